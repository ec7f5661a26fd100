/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a snapshot: its header, its manifest and its index, as they lie
 * on the disk; and the calls by which the files that write and read it help
 * each other. Knows nothing of what the library OS writes into its part.
 *
 * Format version 1. Everything is little-endian. A member never changes its
 * meaning within a version; records of the manifest that are not known are an
 * error, as they say something that would be lost.
 */
#ifndef PICO_SNAPSHOT_H
#define PICO_SNAPSHOT_H

#include "instance.h"

#define PICO__SNAPSHOT_MAGIC "picosnap"
#define PICO__SNAPSHOT_VERSION 1u
#define PICO__SNAPSHOT_MACHINE 62u /* x86-64, as ELF numbers it */
#define PICO__SNAPSHOT_CHUNK (1ull << 20)
#define PICO__SNAPSHOT_MAX (1ull << 42) /* bytes of a file */
#define PICO__MANIFEST_MAX (64ull << 20)
#define PICO__DIGEST_SIZE 32
#define PICO__CPU_WORDS 8

enum pico__digest_kind {
	PICO__DIGEST_CRC = 1, /* CRC-32C, the rest of the 32 bytes zero: finds damage */
	PICO__DIGEST_HMAC = 2, /* chunks: SHA-256; the whole: HMAC-SHA-256 with the caller's key */
};

struct pico__snapshot_header { /* at 0; the rest of its 4096 bytes is zero */
	char magic[8];
	uint32_t version, abi_version, machine, digest_kind;
	char libos_name[32], libos_build_id[32];
	uint64_t libos_size; /* of its image */
	uint32_t libos_crc, reserved; /* CRC-32C of that */
	uint8_t id[16];
	uint64_t cpu[PICO__CPU_WORDS], xstate_mask, xstate_size; /* of the processor it was taken on */
	uint64_t file_size;
	uint64_t index_at, index_count; /* struct pico__snapshot_run */
	uint64_t manifest_at, manifest_size;
	uint64_t guest_at, guest_size; /* the library OS's part */
	uint64_t chunks_at, chunk_count; /* digests of all from 4096 to guest_at + guest_size, PICO__SNAPSHOT_CHUNK bytes each */
	uint8_t digest[PICO__DIGEST_SIZE]; /* of the header with zeros here, the manifest, the index, the chunks' digests */
};
_Static_assert(sizeof(struct pico__snapshot_header) <= 4096, "header");

struct pico__snapshot_run { uint64_t offset, pages, place; }; /* in the memory, and in the file */

/* Records of the manifest: tag, size of data, data, zeros up to 8 bytes. */
struct pico__record { uint32_t tag, size; };
enum pico__record_tag {
	PICO__RECORD_PROGRAM = 1, /* strings: all with their zero */
	PICO__RECORD_ARG = 2,
	PICO__RECORD_ENV = 3,
	PICO__RECORD_CWD = 4,
	PICO__RECORD_HOSTNAME = 5,
	PICO__RECORD_IDS = 6, /* uint32_t uid, gid, umask, 0 */
	PICO__RECORD_LIMITS = 7, /* struct pico_limits */
	PICO__RECORD_MOUNT = 8, /* uint32_t flags (1: read-only), type; guest path */
	PICO__RECORD_STDIO = 9, /* uint32_t type[3], 0 */
	PICO__RECORD_CLOCKS = 10, /* int64_t the guest's monotonic, real; both ns */
	PICO__RECORD_MEMORY = 11, /* struct pico__memory_record; the first is the segment */
	PICO__RECORD_STREAM = 12, /* struct pico__stream_record, URI */
	PICO__RECORD_HOST = 13, /* text: pico's version and the kernel's */
	PICO__RECORD_LOST = 14, /* text: what cannot be carried, a line for people */
};
struct pico__memory_record {
	uint64_t size;
	uint64_t first_run, runs; /* in the index */
	uint32_t id; /* the number streams know it by; 0: the segment */
	uint32_t named; /* its name follows, a URI */
};
enum pico__stream_kind {
	PICO__KIND_OTHER = 0, /* not to be restored: an end of a pipe or of a connection */
	PICO__KIND_FILE = 1,
	PICO__KIND_DIRECTORY = 2,
	PICO__KIND_CONSOLE = 3,
	PICO__KIND_MEMORY = 4,
	PICO__KIND_APP = 5,
	PICO__KIND_SERVER = 6,
	PICO__KIND_SEGMENT = 7, /* only its references */
	PICO__KIND_DEAD = 8, /* was lost in an earlier restore */
	PICO__KIND_OWN = 9, /* the snapshot file itself: not recorded */
};
enum { PICO__STREAM_LINKABLE = 1, PICO__STREAM_UNLINKED = 2, PICO__STREAM_CHECKED = 4 /* inode, size, mtime mean something */ };
struct pico__stream_record {
	int64_t handle;
	uint32_t kind, access, references, flags;
	uint32_t memory; /* MEMORY: id of the memory record */
	uint32_t type; /* CONSOLE: enum pico_stream_type */
	uint64_t inode, size;
	int64_t mtime_sec;
	uint32_t mtime_nsec, reserved;
};

/* ---- digest.c ---- */
struct pico__digest; /* a running one */
uint32_t pico__crc32c(uint32_t before, const void *data, size_t size);
bool pico__digest_has_keys(void); /* was built with HMAC */
/* -PICO_ENOTSUP: not built with HMAC; -PICO_ENOMEM. key: of the whole, or NULL for one of a chunk. */
int pico__digest_begin(struct pico__digest **out, enum pico__digest_kind kind, const void *key, size_t key_size);
void pico__digest_add(struct pico__digest *d, const void *data, size_t size);
void pico__digest_end(struct pico__digest *d, uint8_t out[PICO__DIGEST_SIZE]); /* frees */

/* ---- processor.c ---- */
void pico__processor(uint64_t words[PICO__CPU_WORDS], uint64_t *xstate_mask, uint64_t *xstate_size);
/* Names what the one has and this one lacks; false: nothing. */
bool pico__processor_lacks(const uint64_t has[PICO__CPU_WORDS], char *text, size_t size);

/* ---- manifest.c: bytes that grow, and the records in them ---- */
struct pico__bytes { uint8_t *at; size_t size, room; bool failed; };
void pico__bytes_fini(struct pico__bytes *b);
void pico__bytes_add(struct pico__bytes *b, const void *data, size_t size); /* too large, or no memory: failed */
/* second may be NULL */
void pico__record_add(struct pico__bytes *b, uint32_t tag, const void *first, size_t first_size, const void *second, size_t second_size);
void pico__record_text(struct pico__bytes *b, uint32_t tag, const char *text);
/* The next record: true, and *at goes on. What lies wrong ends the walk: then *at is not size. */
bool pico__record_next(const uint8_t *manifest, size_t size, size_t *at, struct pico__record *record, const uint8_t **data);

/* ---- snapshot_file.c: reading one, and what both ways share ---- */
struct pico__snapshot_file {
	int fd; /* not owned */
	struct pico__snapshot_header header;
	uint8_t *manifest;
	struct pico__snapshot_run *index;
	uint8_t *chunks;
};
/* The next record of a kind from *at on; its fixed part is copied, and what
 * follows is text, or NULL. */
bool pico__record_find(const struct pico__snapshot_file *f, uint32_t tag, size_t *at, void *fixed, size_t fixed_size, const char **text);
/* Checks all but the pages; every refusal names its reason. unchecked: a keyed
 * one is read without its key. */
int pico__snapshot_read(struct pico__snapshot_file *f, int fd, const void *key, size_t key_size, bool unchecked, struct pico_error *error);
int pico__snapshot_verify(const struct pico__snapshot_file *f, struct pico_error *error); /* the pages; takes its time */
void pico__snapshot_file_fini(struct pico__snapshot_file *f);
int pico__snapshot_chunk(int fd, uint64_t at, uint64_t size, enum pico__digest_kind kind, uint8_t *buffer, uint8_t out[PICO__DIGEST_SIZE]);
int pico__snapshot_digest(const struct pico__snapshot_header *h, const uint8_t *manifest, const struct pico__snapshot_run *index,
			  const uint8_t *chunks, const void *key, size_t key_size, uint8_t out[PICO__DIGEST_SIZE]);
int pico__read_at(int fd, void *data, size_t size, uint64_t at); /* 0, or -PICO_E; the end is -PICO_EIO */
int pico__write_at(int fd, const void *data, size_t size, uint64_t at);
static inline uint64_t pico__page_up(uint64_t n) { return (n + PICO_PAGE_SIZE - 1) & ~(PICO_PAGE_SIZE - 1); }

/* ---- libos.c ---- */
/* Opens and checks an image; header says what it is. Returns a descriptor. */
int pico__libos_open(const char *path, struct pico_libos_header *header, struct pico_error *error);
/* Which image it is, whatever it says of itself. */
int pico__libos_sum(int fd, uint64_t *size, uint32_t *crc);

/* ---- snapshot.c ---- */
struct pico__snapshot_order {
	const char *path; /* or NULL: into fd */
	int fd;
	bool stop;
	const void *key;
	size_t key_size;
	int64_t timeout_ms; /* negative: none */
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void (*report)(void *user, const char *line);
	void *user;
};
int pico__snapshot_take(struct pico *p, const struct pico__snapshot_order *order, struct pico_error *error);

/* ---- restore.c ---- */
struct pico__restore {
	struct pico__snapshot_file file;
	int64_t clocks[2]; /* as they were */
	uint64_t segment_size;
	bool changed_ok, add_pause;
	void (*report)(void *user, const char *line);
	void *user;
	const char **argv, **envp; /* owned; the strings are the manifest's */
	struct pico__memory **memories; /* by id; owned */
	uint32_t memory_count;
};
/* Can it go on with this library OS, on this processor? */
int pico__restore_check(const struct pico__restore *r, const char *libos, struct pico_error *error);
/* What the snapshot says of the program and what it was granted; for what *o leaves
 * open, that. Strings are the manifest's. */
int pico__restore_options(struct pico__restore *r, struct pico_options *o, struct pico_error *error);
void pico__restore_fini(struct pico__restore *r);
int pico__restore_fill(const struct pico__restore *r, int fd, const struct pico__memory_record *m, struct pico_error *error);
/* In the making of an instance, after its mailbox: segment size and contents, clocks. */
int pico__restore_memory(struct pico *p, const struct pico__restore *r, struct pico_error *error);
/* After its policy: all streams at their numbers, and the snapshot's own. */
int pico__restore_streams(struct pico *p, struct pico__restore *r, struct pico_error *error);

#endif
