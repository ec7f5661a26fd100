/* SPDX-License-Identifier: Apache-2.0
 *
 * libpico: run a program in a picoprocess. This header is the manual; what is
 * not in it is not promised. It needs C99, C11 or C++17 and knows nothing of
 * the picoprocess ABI (abi.h), which is for library OSes.
 *
 * An instance is one guest system: a library OS and its programs in one or
 * more picoprocesses. Its life:
 *
 *	struct pico_options o;
 *	struct pico *p;
 *	struct pico_exit e;
 *
 *	pico_options_init(&o);
 *	o.program = "/bin/true";
 *	o.root = "/srv/images/debian";
 *	if (pico_create(&o, &p, NULL) == 0) {
 *		if (pico_start(p) == 0 && pico_wait(p, -1, &e) == 0)
 *			...
 *		pico_destroy(p);
 *	}
 *
 * Errors: fallible functions return 0 (or a value >= 0) or a negative PICO_E
 * number of errors.h. After a failure nothing has changed unless the function
 * says so. pico_get_error() tells more.
 *
 * Threads: every function may be called from any thread; on one instance, all
 * but pico_destroy() may run at the same time in several threads. No signal
 * handler may call any of them. libpico runs its own threads ("pico-guard",
 * "pico-worker", all signals blocked) from the first pico_create() to the last
 * pico_destroy(); it never exits, aborts, prints, waits for children it did
 * not start, or changes a signal disposition.
 *
 * Callbacks run in a libpico thread, or, with PICO_FLAG_DISPATCH, those for log
 * and exit in the thread that calls pico_dispatch(). They may call any function
 * but pico_wait() on their own instance (-PICO_EDEADLK), and must return.
 *
 * fork(): the child of a host's fork may only pico_destroy() the instances it
 * inherited, which frees memory and descriptors and leaves the guests to the
 * parent; other calls on them return -PICO_ESTATE. It may create new ones.
 */
#ifndef PICO_PICO_H
#define PICO_PICO_H

#include <stddef.h>
#include <stdint.h>

#include "errors.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PICO_API __attribute__((visibility("default")))
#define PICO_MUST_CHECK __attribute__((warn_unused_result))
#else
#define PICO_API
#define PICO_MUST_CHECK
#endif

#define PICO_VERSION_MAJOR 0
#define PICO_VERSION_MINOR 1
#define PICO_VERSION_PATCH 0
#define PICO_VERSION_NUMBER (PICO_VERSION_MAJOR * 1000000 + PICO_VERSION_MINOR * 1000 + PICO_VERSION_PATCH)

struct pico; /* an instance */

/* ---- errors ---- */

struct pico_error {
	int code; /* a PICO_E number, positive; 0 when nothing failed yet */
	int host_errno; /* errno of the host's system call behind it, or 0 */
	char where[64]; /* which step failed */
	char message[256]; /* one line for people, without a newline */
	uint64_t reserved[4]; /* 0 */
};

/* The text of a PICO_E number, negative or positive. Never NULL. */
PICO_API const char *pico_strerror(int error);

/* The last failure of a call on this instance, by any thread; after a death or
 * a failed start of the program also what the library OS said about it. The
 * answer belongs to the calling thread: it stays as it is until this thread
 * calls pico_get_error() again or ends. Never NULL; p may be NULL. */
PICO_API const struct pico_error *pico_get_error(const struct pico *p);

/* ---- options ---- */

enum { /* pico_options.flags */
	PICO_FLAG_DISPATCH = 1, /* run the log and exit callbacks in pico_dispatch() */
	PICO_FLAG_ROOT_READ_ONLY = 2, /* pico_options.root cannot be written */
	PICO_FLAG_NO_PATCH = 4, /* leave programs' text as it is: every system call traps, which costs 0.7 microseconds */
};

enum { /* pico_mount.flags */
	PICO_MOUNT_READ_ONLY = 1,
};

struct pico_mount {
	const char *host; /* a directory or file of the host */
	const char *guest; /* where the guest sees it: absolute */
	uint32_t flags; /* PICO_MOUNT_ */
	uint32_t reserved; /* 0 */
};

/* Streams served by the host application. Return bytes done, 0 for the end, or
 * a negative PICO_E number. offset is UINT64_MAX where a stream has no
 * positions (standard streams). A call may block: it holds up only the guest
 * thread that asked, and pico_destroy(). Several may run at once. */
typedef int64_t (*pico_read_fn)(void *user, uint64_t offset, void *buffer, size_t size);
typedef int64_t (*pico_write_fn)(void *user, uint64_t offset, const void *buffer, size_t size);

enum pico_stdio_kind {
	PICO_STDIO_NULL = 0, /* reads nothing, swallows writes */
	PICO_STDIO_INHERIT = 1, /* the host's own descriptor 0, 1 or 2 */
	PICO_STDIO_FD = 2, /* fd; duplicated by pico_create(), stays the caller's */
	PICO_STDIO_CALLBACK = 3, /* read for stdin, write for stdout and stderr */
	PICO_STDIO_CLOSED = 4, /* not there: the guest's descriptor is closed */
};

struct pico_stdio {
	uint32_t kind; /* enum pico_stdio_kind */
	int fd;
	pico_read_fn read;
	pico_write_fn write;
	void *user;
};

struct pico_app_stream { /* what the guest opens as app:NAME */
	const char *name; /* without the scheme */
	pico_read_fn read; /* may be NULL */
	pico_write_fn write; /* may be NULL */
	void *user;
};

/* 0 means the default, everywhere. */
struct pico_limits {
	uint64_t memory; /* bytes, of all picoprocesses together. Default: none. Each one's allocations
			  * fail beyond it; the sum is sampled, and passing it ends the instance.
			  * Pages shared copy-on-write may count once for each sharer. */
	uint64_t cpu_seconds; /* of processor time, all picoprocesses together. Default: none */
	uint64_t deadline_ms; /* from pico_start() on. Default: none */
	uint32_t processes; /* picoprocesses at a time. Default: 256 */
	uint32_t threads; /* of all picoprocesses, first threads included. Default: 1024; at most 8192 */
	uint32_t streams; /* open at a time. Default: 1024; at most 1000000 */
	uint32_t reserved; /* 0 */
};

enum pico_log_level {
	PICO_LOG_ERROR = 1,
	PICO_LOG_WARNING = 2,
	PICO_LOG_INFO = 3,
	PICO_LOG_DEBUG = 4,
};

enum pico_exit_kind {
	PICO_EXITED = 1, /* the program called exit: code */
	PICO_SIGNALED = 2, /* the program died by a guest signal: signal */
	PICO_DIED = 3, /* the instance was ended: cause */
};

#define PICO_CAUSE_LIST(X) \
	X(NONE, 0, "none") \
	X(KILLED, 1, "killed by pico_kill") \
	X(DEADLINE, 2, "deadline passed") \
	X(CPU_LIMIT, 3, "processor time used up") \
	X(MEMORY_LIMIT, 4, "memory limit passed") \
	X(LIBOS_CRASHED, 5, "library OS crashed") \
	X(KILLED_OUTSIDE, 6, "picoprocess killed from outside") \
	X(FILTER, 7, "forbidden host system call") \
	X(HELPER_DIED, 8, "helper died") \
	X(START_FAILED, 9, "picoprocess could not be started") \
	X(STOPPED, 10, "stopped after a snapshot")

enum pico_cause {
#define PICO_CAUSE_ENUM(name, number, text) PICO_CAUSE_##name = number,
	PICO_CAUSE_LIST(PICO_CAUSE_ENUM)
#undef PICO_CAUSE_ENUM
	PICO_CAUSE_MAX = 255
};

struct pico_exit {
	uint32_t kind; /* enum pico_exit_kind */
	int32_t code; /* EXITED: 0..255. 127 and 126: the program was not found, cannot be executed */
	int32_t signal; /* SIGNALED: the guest's number, 1..64 */
	uint32_t cause; /* DIED: enum pico_cause */
	char message[256]; /* DIED: what happened; EXITED: what the library OS said at its end, or "" */
	uint64_t reserved[4]; /* 0 */
};

/* One line of the library OS or of libpico: no newline, control characters
 * escaped as \xNN, at most a few thousand lines a second (what is left out is
 * counted in a line of its own). One call at a time an instance, in order; the
 * last ones may come after pico_wait() has returned, never after pico_destroy(). */
typedef void (*pico_log_fn)(void *user, int level, const char *line);
/* Called once, when a started instance has ended. */
typedef void (*pico_exit_fn)(void *user, const struct pico_exit *exit);

/* What pico_create() reads. Everything is copied: strings and arrays stay the
 * caller's and may go after the call. With the defaults of
 * pico_options_init() the guest is granted nothing: no files, no standard
 * streams, no network. */
struct pico_options {
	size_t size; /* of this struct, as the caller was compiled */
	uint64_t flags; /* PICO_FLAG_; unknown ones are -PICO_EINVAL */
	const char *program; /* guest path of the program. Required */
	const char *const *argv; /* NULL-terminated; NULL: program only */
	const char *const *envp; /* "NAME=value", NULL-terminated; NULL: empty */
	const char *cwd; /* absolute guest path; NULL: "/" */
	const char *root; /* host directory mounted at "/"; NULL: none */
	const struct pico_mount *mounts; /* later ones may lie inside earlier ones; two at one place are -PICO_EEXIST */
	size_t mount_count; /* at most 256 */
	struct pico_stdio stdio[3]; /* in, out, err */
	struct pico_limits limits;
	pico_log_fn log; /* NULL: nothing is logged */
	void *log_user;
	pico_exit_fn on_exit; /* may be NULL */
	void *exit_user;
	const char *hostname; /* the guest's; at most 64 bytes; NULL: "pico" */
	uint32_t log_level; /* enum pico_log_level, the most detailed wanted */
	uint32_t uid, gid; /* of the guest's program, in the guest's eyes. Default 0, 0 */
	uint32_t umask; /* default 022 */
	/* NULL: libos-linux and pico-helper in the directory the environment's
	 * PICO_LIBEXECDIR names (not in set-id programs), else where they were installed. */
	const char *libos; /* library OS image */
	const char *helper; /* helper program; one serves all instances at a time */
	const struct pico_app_stream *apps;
	size_t app_count; /* at most 64 */
	/* Private anonymous mappings of at least this many bytes that the program
	 * may write are advised to be in huge pages, unless it says otherwise
	 * (MADV_NOHUGEPAGE, PR_SET_THP_DISABLE): forks and snapshots of it cost a
	 * fraction then, and so do its page faults; what it does not touch of 2 MiB
	 * is paid for as soon as it touches some. 0: only where it asks itself. */
	uint64_t huge_pages;
};

/* Fills in size and the defaults. */
#define pico_options_init(options) pico_options_init_sized((options), sizeof(struct pico_options))
PICO_API void pico_options_init_sized(struct pico_options *options, size_t size);

/* ---- life ---- */

/* Make an instance, warm but not running: the policy is opened, a seed process
 * stands ready. *out is the caller's, to be given to pico_destroy(); untouched
 * on failure. error may be NULL; else it is filled in on failure.
 *   EINVAL    an option is wrong (message names it)
 *   EVERSION  options->size is too small, or its unknown tail is not zero
 *   EEXIST    two mounts at one place
 *   ENOENT EACCES ENOTDIR ELOOP   a mount or the root cannot be opened
 *   EBADF     a standard stream's descriptor is not open
 *   ELIBOS    the library OS image is missing, damaged, or for another ABI
 *   EHELPER   the helper cannot be started
 *   EKERNEL   the host's kernel lacks seccomp notifications or FSGSBASE
 *   ENOMEM EMFILE ENFILE EAGAIN   the host is short of something */
PICO_API int pico_create(const struct pico_options *options, struct pico **out, struct pico_error *error) PICO_MUST_CHECK;

/* Let the guest run. Does not wait for it: that the program is missing, say,
 * is told by its exit code 127 and the exit's message.
 *   ESTATE    started before
 *   EDIED     the instance died before (pico_wait() tells why) */
PICO_API int pico_start(struct pico *p) PICO_MUST_CHECK;

/* Wait until the instance has ended and none of its picoprocesses is left.
 * timeout_ms: -1 for ever, 0 not at all. out may be NULL. May be called again,
 * and by several threads.
 *   ETIMEDOUT it still runs
 *   ESTATE    not started, and not dead
 *   EDEADLK   called from a callback of this instance */
PICO_API int pico_wait(struct pico *p, int64_t timeout_ms, struct pico_exit *out) PICO_MUST_CHECK;

/* End all picoprocesses at once. Returns before they are gone: pico_wait() says
 * when. An instance that has ended already keeps its result. */
PICO_API int pico_kill(struct pico *p);

/* Tell the library OS of a signal to the guest's system, as a terminal or an
 * init would: SIGINT TERM QUIT HUP WINCH USR1 USR2 STOP TSTP CONT, by the
 * host's numbers. What it does is the guest's affair.
 *   EINVAL    any other number
 *   ESTATE    not started
 *   ESRCH     ended */
PICO_API int pico_signal(struct pico *p, int signo) PICO_MUST_CHECK;

/* Kill what runs, wait for its end, for running callbacks, and free all. NULL
 * is fine. No other call on p may be running or follow. Called from a callback
 * of the instance, it returns at once and the rest follows the callback. */
PICO_API void pico_destroy(struct pico *p);

/* ---- event loops ---- */

/* A descriptor that is readable (POLLIN) when pico_dispatch() has something to
 * do: the instance ended, a callback is due, or pico_stopped() changed. Owned by
 * p; do not read it.
 * Always the same for one instance. */
PICO_API int pico_fd(const struct pico *p);

/* Make pico_fd() unreadable and, with PICO_FLAG_DISPATCH, run the callbacks
 * that are due. Never blocks by itself. Returns 1 when the instance has ended,
 * else 0. */
PICO_API int pico_dispatch(struct pico *p);

/* 1 while the guest's first program stands still because job control has
 * stopped it (^Z on its terminal, say); else 0. SIGCONT by pico_signal() lets it
 * go on. */
PICO_API int pico_stopped(struct pico *p);

/* ---- snapshots ---- */

/* Called now and then in the calling thread; not 0 gives up (-PICO_EINTR). total
 * is an estimate until done reaches it. */
typedef int (*pico_progress_fn)(void *user, uint64_t done, uint64_t total);
/* One line for people about something that cannot be carried, or is not as it was. */
typedef void (*pico_report_fn)(void *user, const char *line);

enum { /* pico_snapshot_options.flags */
	PICO_SNAPSHOT_STOP = 1, /* the instance ends when the snapshot is safe: DIED, PICO_CAUSE_STOPPED */
};
struct pico_snapshot_options {
	size_t size; /* of this struct; pico_snapshot_options_init() fills it in */
	uint64_t flags; /* PICO_SNAPSHOT_ */
	const char *path; /* of the file to make or to replace. NULL: into fd */
	int fd; /* a file or memfd, open for reading and writing; emptied. Default -1 */
	int reserved; /* 0 */
	const void *key; /* authenticates the snapshot; NULL: none, only damage is found */
	size_t key_size; /* bytes; at least 16 */
	int64_t timeout_ms; /* for all of it; default -1: a minute to stand still, and no limit to write */
	pico_progress_fn progress; /* may be NULL */
	pico_report_fn report; /* may be NULL */
	void *user; /* of both */
	const char *parent; /* NULL; incremental snapshots are not there yet (-PICO_ENOTSUP) */
};
#define pico_snapshot_options_init(options) pico_snapshot_options_init_sized((options), sizeof(struct pico_snapshot_options))
PICO_API void pico_snapshot_options_init_sized(struct pico_snapshot_options *options, size_t size);

/* Store a running instance in one file: all its processes, their memory, timers,
 * pipes, terminals, and its open files by name. The guest stands still while
 * memory it shares is copied, and goes on while the rest is written. The file has
 * its name, or its old contents are replaced, when it is whole and on the medium;
 * after a failure path is as it was (what fd holds is not told) and the instance
 * goes on, STOP or not. May be called from any thread but a callback's.
 *   EINVAL    an option is wrong
 *   EVERSION  options->size is not known
 *   ESTATE    not started
 *   EBUSY     another snapshot is being taken
 *   ETIMEDOUT the guest did not stand still, or writing took too long
 *   EDIED     the instance died before or meanwhile
 *   ENOTSUP   a key, and this library was built without mbedTLS; a parent
 *   EINTR     the progress callback gave up
 *   ENOSPC EDQUOT EFBIG EIO ENOENT EACCES EROFS ...   the file cannot be written */
PICO_API int pico_snapshot(struct pico *p, const struct pico_snapshot_options *options) PICO_MUST_CHECK;

enum { /* pico_restore_options.flags */
	PICO_RESTORE_PAUSED = 1, /* pico_start() is left to the caller */
	PICO_RESTORE_VERIFY = 2, /* check the digests of the pages in any case; else once a file and process */
	PICO_RESTORE_CHANGED_OK = 4, /* a file that changed or is gone is reported only */
	PICO_RESTORE_ADD_PAUSE = 8, /* the guest's monotonic clock has run on meanwhile; else it stood still */
};
struct pico_restore_options {
	size_t size; /* of this struct; pico_restore_options_init() fills it in */
	uint64_t flags; /* PICO_RESTORE_ */
	const char *path; /* of the snapshot. NULL: fd */
	int fd; /* open for reading. Default -1 */
	int reserved; /* 0 */
	const void *key; /* the one it was made with; NULL: none */
	size_t key_size;
	/* What the instance is granted from now on, and where it logs. Not read are
	 * program, argv, envp, cwd, hostname, uid, gid and umask; limits that are 0
	 * are as they were. NULL: nothing is granted. */
	const struct pico_options *options;
	pico_report_fn report; /* may be NULL */
	void *user;
};
#define pico_restore_options_init(options) pico_restore_options_init_sized((options), sizeof(struct pico_restore_options))
PICO_API void pico_restore_options_init_sized(struct pico_restore_options *options, size_t size);

/* Make an instance that goes on from a snapshot, any number of times, in any
 * process. A snapshot grants nothing: each file is opened again, by its guest
 * path, under the mounts given here. It is refused when one of them is not there
 * or not the same (inode, size, time of change). Application streams that are
 * missing, files without a name and pipes of the host are reported and give EIO
 * from then on. The file must stay as it is while the instance lives; it may be
 * deleted or replaced by rename. *out and error as with pico_create().
 *   those of pico_create(), and
 *   ENOEXEC   no snapshot, or one of another kind of machine
 *   EVERSION  of another version of the format or the ABI; a size is not known
 *   EIO       truncated or damaged
 *   EACCES    altered; another key; a key where there is none, or the reverse
 *   ELIBOS    of another library OS, or another build of it
 *   EKERNEL   the processor lacks something its programs found
 *   ESTALE    a file has changed */
PICO_API int pico_restore(const struct pico_restore_options *options, struct pico **out, struct pico_error *error) PICO_MUST_CHECK;

/* A live copy: a snapshot in memory, and an instance that goes on from it. As
 * pico_restore() with the flags CHANGED_OK and those given; path, fd and key are
 * not read. p goes on. */
PICO_API int pico_clone(struct pico *p, const struct pico_restore_options *options, struct pico **out, struct pico_error *error) PICO_MUST_CHECK;

struct pico_snapshot_info {
	size_t size; /* set by the caller: sizeof(struct pico_snapshot_info) */
	uint32_t version; /* of the format */
	uint32_t keyed; /* 1: made with a key */
	uint64_t file_size;
	uint64_t shared_bytes, private_bytes; /* of memory, as stored; private: the library OS's part */
	int64_t taken_ns; /* since 1970 */
	uint32_t streams, mounts; /* recorded */
	char libos[64]; /* name and build */
	char host[64]; /* versions of pico and of the kernel that took it */
	char id[40]; /* a UUID */
	char text[8192]; /* a line each: "program PATH", "arg TEXT", "mount PATH", "stream URI", "lost TEXT" */
};
/* What a snapshot is, without its pages being checked. key NULL: what has one is not checked
 * either. error may be NULL. Errors as with pico_restore(). */
PICO_API int pico_snapshot_info(const char *path, const void *key, size_t key_size, struct pico_snapshot_info *out,
				struct pico_error *error) PICO_MUST_CHECK;

/* ---- facts ---- */

#define PICO_STAT_DOWNCALLS 45

struct pico_stats {
	size_t size; /* set by the caller: sizeof(struct pico_stats) */
	uint64_t cpu_user_ns, cpu_system_ns; /* of all picoprocesses, ended ones included */
	uint64_t memory, memory_peak; /* bytes; the peak is sampled */
	uint32_t processes, processes_peak, processes_total; /* picoprocesses, the seed not counted */
	uint32_t threads; /* now */
	uint32_t streams; /* open now */
	uint32_t reserved;
	uint64_t requests; /* served by the monitor */
	uint64_t downcalls[PICO_STAT_DOWNCALLS]; /* those the monitor sees; others stay 0. Names: pico_downcall_name() */
	char text[4096]; /* counters the library OS keeps, a line each: "name count\n"; for example
			  * system calls a program wanted and the library OS does not have */
};

/*   EVERSION  size not known */
PICO_API int pico_stats(struct pico *p, struct pico_stats *out) PICO_MUST_CHECK;

/* The name of downcall 0..44, or NULL. */
PICO_API const char *pico_downcall_name(unsigned index);
/* The text of an enum pico_cause. Never NULL. */
PICO_API const char *pico_cause_name(unsigned cause);

enum { /* pico_features.have */
	PICO_FEATURE_NOTIFY = 0x01, /* seccomp notifications; without, as below a container manager's listener, requests take half as long again */
	PICO_FEATURE_SYNC_WAKE_UP = 0x02, /* Linux 6.6: requests take 5 instead of 30 microseconds */
	PICO_FEATURE_WAIT_KILLABLE = 0x04, /* Linux 5.19: requests are not interrupted half way */
	PICO_FEATURE_FSGSBASE = 0x08, /* required */
	PICO_FEATURE_HELPER = 0x10, /* the helper could be started; the next ones are its */
	PICO_FEATURE_USER_NAMESPACE = 0x20,
	PICO_FEATURE_MOUNT_NAMESPACE = 0x40,
	PICO_FEATURE_NET_NAMESPACE = 0x80,
	PICO_FEATURE_IPC_NAMESPACE = 0x100,
	PICO_FEATURE_UTS_NAMESPACE = 0x200,
	PICO_FEATURE_PID_NAMESPACE = 0x400, /* else a picoprocess may outlive a host and a helper killed at the same time */
	PICO_FEATURE_EMPTY_ROOT = 0x800, /* picoprocesses see no host file even without their filter */
	PICO_FEATURE_DROPPED_ROOT = 0x1000, /* the host is root, the picoprocesses are not */
};
struct pico_features {
	size_t size; /* set by the caller */
	uint64_t have; /* PICO_FEATURE_ */
	char kernel[64]; /* release of the host's kernel */
	char missing[256]; /* names of what is not there, separated by spaces */
};
/* What this host can promise. Starts the helper for a moment when none runs;
 * helper as in the options. Succeeds too when things are missing. */
PICO_API int pico_features(const char *helper, struct pico_features *out) PICO_MUST_CHECK;

/* Version of the library in use: "0.1.0", and as PICO_VERSION_NUMBER. */
PICO_API const char *pico_version(void);
PICO_API uint32_t pico_version_number(void);

#ifdef __cplusplus
}
#endif

#endif
