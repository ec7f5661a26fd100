/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the stream side share: the instance's handle table, an open
 * stream, and the two operation tables a stream provider fills in: one for what
 * is named by a URI, one for what is named by a handle. Knows nothing of
 * notifications, mailboxes or guests' memory.
 *
 * Locks: one, pico__streams.lock. L = under it, C = constant after creation.
 * It is held for table work only, never across a system call that may block.
 * An operation pins its stream, so a close by another thread takes the handle
 * away at once and the stream when the last operation is done with it.
 */
#ifndef PICO_STREAM_INTERNAL_H
#define PICO_STREAM_INTERNAL_H

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "cleanup.h"
#include "host_errno.h"
#include "names.h"
#include "policy.h"
#include "snapshot.h"
#include "streams.h"
#include "uri.h"

struct pico__stream;
struct pico__directory; /* stream_dir.c */
struct pico__memory; /* stream_memory.c */
struct pico__server; /* stream_pipe.c */

/* A table of numbers, each free, reserved, or naming a stream. Lowest first. */
struct pico__numbers { /* L */
	struct pico__stream **entry; /* NULL: free or reserved */
	uint64_t *used; /* one bit each */
	uint32_t capacity; /* multiple of 64 */
	uint32_t hint; /* everything below is used */
};

struct pico__owner { uint32_t host_uid, host_gid, guest_uid, guest_gid; };

struct pico__console {
	int fd; /* -1: callbacks, or null */
	uint32_t type; /* enum pico_stream_type */
	uint32_t access; /* what fd was opened for */
	struct pico__app_ops callbacks;
	bool terminal, changed; /* changed: L; the guest set it, so it is set back at the end */
	struct termios saved;
	struct winsize saved_size;
};

struct pico__app { /* C; list under L */
	struct pico__app *next;
	struct pico__app_ops callbacks;
	char name[];
};

struct pico__streams {
	pthread_mutex_t lock;
	struct pico__policy policy; /* own rules, see policy.h */
	struct pico__owner owner; /* C */
	uint32_t limit; /* C; streams, names and queued clients together */
	uint32_t count; /* L */
	bool stopped; /* L; nothing is opened any more */
	struct pico__numbers descriptors, ids; /* L; HT_STREAM, HT_MONITOR */
	struct pico__names memories, servers; /* L; keys are whole URIs */
	struct pico__app *apps; /* L */
	struct pico__console console[3]; /* C after the first request, but for `changed` */
	int null_fd; /* C; /dev/null, or -1 where the host has none */
	uint64_t next_inode; /* L; of streams that are no files */
	uint64_t census; /* L; number of the last look at memory in use */
	bool waiting; /* L; there are grants for pico__streams_pending */
};

struct pico__open { uint32_t access, flags, mode; bool want; };

/* What can be done with a stream once it is open. NULL: not with this kind;
 * the caller knows the error. Called without the lock, stream pinned, but for
 * `closed`: L, the handle has just gone. `destroy`: last use is over. */
struct pico__stream_ops {
	uint8_t kind; /* enum pico__stream_kind, of snapshots */
	bool transfer_blocks; /* read and write run code of the host application */
	int64_t (*read)(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size);
	int64_t (*write)(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size);
	int (*attributes)(struct pico__stream *e, struct pico_stream_attributes *a);
	int (*set)(struct pico__stream *e, const struct pico_stream_attributes *a);
	int (*set_length)(struct pico__stream *e, uint64_t length, uint32_t mode, uint64_t offset);
	int (*flush)(struct pico__stream *e, uint32_t flags);
	int64_t (*enumerate)(struct pico__stream *e, struct pico__call *c, uint64_t cookie, uint64_t size);
	int64_t (*accept)(struct pico__stream *e, struct pico__call *c);
	void (*closed)(struct pico__stream *e);
	void (*destroy)(struct pico__stream *e);
};

/* What can be done with a name. NULL: `refusal`. */
struct pico__scheme_ops {
	uint32_t open_flags; /* PICO_OPEN_ bits it knows */
	int refusal; /* -PICO_E */
	int64_t (*open)(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c);
	int64_t (*query)(struct pico__streams *s, struct pico__uri *uri, struct pico__call *c);
	int64_t (*set)(struct pico__streams *s, struct pico__uri *uri, const struct pico_stream_attributes *a);
	int64_t (*delete)(struct pico__streams *s, struct pico__uri *uri, uint32_t flags);
};

/* An open stream. Made by the provider, invisible until its claim is filled. */
struct pico__stream {
	struct pico__streams *owner; /* C */
	const struct pico__stream_ops *ops; /* C */
	char *uri; /* L; changes with a rename */
	uint32_t access; /* C */
	uint32_t references; /* L; HT_MONITOR only: the gate counts those of descriptors */
	uint32_t pins; /* L; operations that use it, and one for the table */
	pico_handle handle; /* C once filled */
	int fd; /* C; host descriptor the monitor keeps, or -1 */
	uint64_t inode; /* C; of streams that are no files */
	bool ungranted; /* L; pico__streams_pending owes the guest the descriptor */
	bool given; /* C; and that is then the guest's alone */
	bool slow; /* C; its calls may wait for a network or a process */
	bool linkable; /* C; file without a name that may get one */
	const struct pico__mountpoint *mount; /* C; files and directories */
	union { /* C */
		struct pico__directory *directory;
		struct pico__memory *memory;
		struct pico__server *server;
		struct pico__console *console;
		const struct pico__app *app;
	} of;
};

static inline void pico__streams_lock(struct pico__streams *s) { pthread_mutex_lock(&s->lock); }
static inline void pico__streams_unlock(struct pico__streams *s) { pthread_mutex_unlock(&s->lock); }

/* ---- stream_table.c ---- */

bool pico__streams_host_room(const struct pico__streams *s); /* descriptors of the host process are left for guests */
/* A place in the table, taken before a stream is opened, so that nothing is
 * created that then has no handle. Given back when its scope ends unfilled. */
struct pico__claim { struct pico__streams *s; enum pico_handle_type type; int number; };
#define PICO__CLAIM __attribute__((cleanup(pico__claim_drop)))
int pico__claim_take(struct pico__claim *claim, struct pico__streams *s, enum pico_handle_type type);
int pico__claim_take_at(struct pico__claim *claim, struct pico__streams *s, uint64_t handle); /* this one; -PICO_EEXIST */
void pico__claim_drop(struct pico__claim *claim);
/* The stream becomes the guest's; takes it (NULLs *e). */
pico_handle pico__claim_fill(struct pico__claim *claim, struct pico__stream **e);
/* What counts as a stream but has no number (names, queued clients). L */
int pico__charge_locked(struct pico__streams *s);
void pico__uncharge_locked(struct pico__streams *s);

struct pico__stream *pico__stream_new(struct pico__streams *s, const struct pico__stream_ops *ops, const char *uri, uint32_t access);
/* The stream of a handle, pinned, or NULL. */
struct pico__stream *pico__stream_get(struct pico__streams *s, uint64_t handle);
void pico__stream_put(struct pico__stream **e);
#define PICO__STREAM __attribute__((cleanup(pico__stream_put)))
int pico__stream_close(struct pico__streams *s, uint64_t handle);
int pico__stream_reference(struct pico__streams *s, uint64_t handle);
void pico__streams_close_all(struct pico__streams *s);
void pico__numbers_fini(struct pico__numbers *numbers);
/* A path of the guest changed its name: open streams answer to the new one. */
void pico__streams_renamed(struct pico__streams *s, const char *from, const char *to, bool exchange);
uint64_t pico__streams_inode(struct pico__streams *s);

/* Put a descriptor on the call's grant list, to be closed by the caller after
 * granting: a copy of one the monitor keeps (another thread may close that one
 * before the grant is made), or one given away (*fd becomes -1). */
int pico__grant_copy(struct pico__call *c, int fd, int number);
void pico__grant_give(struct pico__call *c, int *fd, int number);
void pico__grants_drop(struct pico__call *c);
/* The common end of an open: attributes when wanted, grant of e->fd when the
 * handle is a descriptor, and the handle. */
int64_t pico__stream_opened(struct pico__claim *claim, struct pico__stream **e, const struct pico__open *o, struct pico__call *c);

/* ---- attributes.c ---- */
uint32_t pico__type_of_mode(uint32_t mode);
void pico__attributes_of(const struct pico__owner *owner, const struct statx *st, struct pico_stream_attributes *a);
/* Of a descriptor (O_PATH will do), with the file system's when told. */
int pico__attributes_read(const struct pico__owner *owner, int fd, bool filesystem, struct pico_stream_attributes *a);
/* Of something that is no file of the host. */
void pico__attributes_plain(const struct pico__owner *owner, uint32_t type, uint32_t mode, uint64_t inode, struct pico_stream_attributes *a);
int pico__attributes_check(const struct pico_stream_attributes *a); /* what the guest wants set */
int pico__attributes_apply(const struct pico__owner *owner, int fd, const struct pico_stream_attributes *a);
int pico__chmod(int fd, uint32_t mode); /* O_PATH will do */
uint32_t pico__mode_allowed(uint32_t mode, bool directory);
int pico__terminal_read(int fd, struct pico_stream_attributes *a);
int pico__terminal_apply(int fd, const struct pico_terminal *t);
void pico__terminal_restore(const struct pico__console *console);
int pico__length_apply(int fd, uint64_t length, uint32_t mode, uint64_t offset);
int pico__flush_apply(int fd, uint32_t flags);

/* ---- providers ---- */
extern const struct pico__scheme_ops pico__file_scheme, pico__dir_scheme, pico__pipe_scheme, pico__unix_scheme,
	pico__console_scheme, pico__memory_scheme, pico__app_scheme;
int64_t pico__callback_read(const struct pico__app_ops *ops, struct pico__call *c, uint64_t offset, uint64_t size);
int64_t pico__callback_write(const struct pico__app_ops *ops, struct pico__call *c, uint64_t offset, uint64_t size);
extern const struct pico__stream_ops pico__null_stream;
int64_t pico__path_query(struct pico__streams *s, struct pico__uri *uri, struct pico__call *c); /* file: dir: */
int64_t pico__path_set(struct pico__streams *s, struct pico__uri *uri, const struct pico_stream_attributes *a);
int64_t pico__path_delete(struct pico__streams *s, struct pico__uri *uri, uint32_t flags);
int64_t pico__path_rename(struct pico__streams *s, struct pico__call *c, uint64_t flags);
pico_handle pico__memory_adopt(struct pico__streams *s, int fd, uint32_t access, const char *uri);
void pico__memory_forget(void *memory, void *streams); /* for pico__names_fini */
/* Numbers all there are but adopted ones, from 1 on, and visits them without the
 * lock. 0, or what visit said. */
int pico__memories_each(struct pico__streams *s, int (*visit)(void *user, uint32_t id, int fd, const char *name), void *user);
uint32_t pico__memory_id(const struct pico__stream *e); /* as just numbered; 0: adopted */
uint64_t pico__memory_bytes_locked(struct pico__streams *s); /* pages of all memory: streams */
int pico__console_init(struct pico__streams *s, int number, int fd, const struct pico__app_ops *ops, uint32_t *type_out);
void pico__console_fini(struct pico__streams *s);

/* ---- after a restore: the same stream again, as far as the policy of now grants
 * it; not in the table yet. Owed descriptors are in fd. ---- */
struct pico__again { const struct pico__stream_record *record; struct pico__uri uri; struct pico__memory *memory; };
typedef int (*pico__again_fn)(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
int pico__file_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
int pico__dir_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
int pico__console_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
int pico__memory_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
int pico__app_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
int pico__server_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out);
/* Memory that streams of a restore share, empty; name may be NULL. The caller's
 * reference is given back by pico__memory_forget. */
int pico__memory_make(struct pico__streams *s, const char *name, struct pico__memory **out, int *fd_out);

#endif
