/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of one instance: its policy (mounts, standard streams, app: names),
 * its handle table, and the operations of the stream downcalls. Knows nothing
 * of notifications, mailboxes or guests' memory: it gets copies and gives
 * copies, so it can be tested and fuzzed without a picoprocess.
 *
 * Threads: every operation takes the instance's stream lock itself where it
 * touches the table, never across a system call that may block; several
 * threads may run operations of one instance at once.
 */
#ifndef PICO_STREAMS_H
#define PICO_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../abi/wire.h"

struct pico__streams;

/* One request: registers and the copied-in parts of the slot, and its answer.
 * About 20 KiB: guards keep one each, not on small stacks. */
struct pico__call {
	uint64_t r[6]; /* as in wire.h; r[0] is not used here */
	char text[PICO_URI_MAX + 1]; /* DATA, zero-terminated after text_size bytes */
	char text2[PICO_URI_MAX + 1];
	uint32_t text_size, text2_size;
	struct pico_stream_attributes attr; /* in for AttributesSet, else out */
	/* answer */
	bool attr_out; /* attr is to be copied to the slot */
	uint32_t text_out, text2_out, bulk_out; /* bytes of text, text2, bulk to copy out */
	int grant_count; /* descriptors to put into the instance's table before the answer */
	struct { int fd; int number; } grant[2]; /* host descriptor (closed by the caller after granting when own is set) -> number */
	bool grant_own[2]; /* always set: a copy, as another thread may close the handle before the grant is made */
	_Alignas(8) uint8_t bulk[PICO_SLOT_BULK_SIZE];
};

struct pico__mount {
	const char *host; /* host directory or file; any type of path the host can open */
	const char *guest; /* absolute, normalised guest path */
	bool read_only;
};
/* Host application's stream callbacks (app: URIs, and callback stdio). */
struct pico__app_ops {
	int64_t (*read)(void *user, uint64_t offset, void *buffer, size_t size);
	int64_t (*write)(void *user, uint64_t offset, const void *buffer, size_t size);
	void *user;
};

/* All fallible calls return 0 (or a value >= 0) or -PICO_E. */
/* handle_limit: streams, names of memory: streams and clients that wait at a
 * server, together; 0: 1024. Reserved numbers are not counted, so numbers stay
 * below PICO_FIRST_FD + handle_limit + the most that were ever reserved at a time. */
int pico__streams_create(struct pico__streams **out, uint32_t handle_limit, uint32_t guest_uid, uint32_t guest_gid);
/* The guest has ended: closes every handle and the standard streams (so that
 * who reads the other end of a pipe sees its end) and sets terminals back.
 * Operations that still run end as they will; later ones find no handle. */
void pico__streams_stop(struct pico__streams *s);
void pico__streams_destroy(struct pico__streams *s); /* closes everything the monitor side holds; no operation runs any more */
/* The same in the child of a host's fork: terminals stay as the parent's guest
 * has them, and the lock's holder may not exist here. */
void pico__streams_abandon(struct pico__streams *s);
/* Opens the host side at once (O_PATH), so later changes of the host's path do
 * not matter. -PICO_EEXIST: the guest path has a mount already. *type_out
 * tells PICO_STREAM_DIRECTORY or PICO_STREAM_FILE; *why names the trouble. */
int pico__streams_mount(struct pico__streams *s, const struct pico__mount *m, uint32_t *type_out, char *why, size_t why_size);
enum { PICO__STDIO_NULL = -1, PICO__STDIO_CLOSED = -2 };
/* number 0..2; fd is duplicated, or one of the above; ops for callbacks (then fd is negative).
 * Before the first call they are null. */
/* Each open of console:NAME is a handle of its own on the same host descriptor.
 * Terminals are set back to what they were now, if the guest changed them. */
int pico__streams_stdio(struct pico__streams *s, int number, int fd, const struct pico__app_ops *ops, uint32_t *type_out);
int pico__streams_app(struct pico__streams *s, const char *name, const struct pico__app_ops *ops);
/* A memory: stream the monitor itself provides (the shared segment); fd is
 * duplicated, and the guest gets what access it has. Returns its handle; the
 * descriptor is granted by the first request (grant list of pico__streams_pending). */
pico_handle pico__streams_adopt(struct pico__streams *s, int fd, uint32_t access, const char *uri);
/* Grants that no request asked for: fills c->grant only and returns how many
 * there are; to be called again until it returns 0. -PICO_ENFILE: later. */
int pico__streams_pending(struct pico__streams *s, struct pico__call *c);
/* Reserve a descriptor number for something that is no stream (wake eventfd, process handle). */
int pico__streams_reserve_number(struct pico__streams *s);
void pico__streams_release_number(struct pico__streams *s, int number);
uint32_t pico__streams_count(const struct pico__streams *s);
/* Bytes of memory that memory: streams take now, adopted ones included. A guest
 * makes them grow by writing, without a request, so a limit must be sampled. */
uint64_t pico__streams_memory(struct pico__streams *s);

/* ---- snapshots (stream_save.c) ---- */
struct pico__stream_record;
typedef int (*pico__streams_save_fn)(void *user, const struct pico__stream_record *r, const char *uri);
typedef int (*pico__streams_memory_fn)(void *user, uint32_t id, int fd, const char *name);
/* What each handle is, and the memory behind memory: streams, that first; a
 * standing guest's. references: of descriptors, by number. What is not 0 ends it. */
int pico__streams_save(struct pico__streams *s, const uint32_t *references, pico__streams_save_fn each,
		       pico__streams_memory_fn memory, void *user);
enum pico__again_result { PICO__AGAIN_NONE, PICO__AGAIN_SAME, PICO__AGAIN_CHANGED, PICO__AGAIN_LOST };
/* The handle again, as long as there is no guest. 0, or why it is LOST: it is
 * there, and good for nothing; or NONE: it is not even there. */
int pico__streams_again(struct pico__streams *s, const struct pico__stream_record *r, const char *uri, void *memory,
			enum pico__again_result *out);
/* A stream of the snapshot's own file; grant_later: as for pico__streams_pending,
 * else the caller does. fd stays the caller's. */
pico_handle pico__streams_snapshot(struct pico__streams *s, int fd, uint32_t access, bool grant_later);
void pico__streams_snapshot_end(struct pico__streams *s, pico_handle handle);
int pico__streams_no_write(void); /* a descriptor that takes no data: what replaces that of a file */

/* The operation of a downcall, by its number; result as the downcall returns it.
 * Calls of other classes: -PICO_ENOSYS. may_block is set for what must run in
 * a worker (fsync, app callbacks, file systems of the network or FUSE). */
int64_t pico__streams_call(struct pico__streams *s, unsigned downcall, struct pico__call *c);
bool pico__streams_may_block(struct pico__streams *s, unsigned downcall, const struct pico__call *c);
/* PICO_NR_STREAM_READ / WRITE: app: streams and callback stdio; data in c->bulk (bulk_out is the size read). */
int64_t pico__streams_read(struct pico__streams *s, struct pico__call *c);
int64_t pico__streams_write(struct pico__streams *s, struct pico__call *c);

#endif
