/* SPDX-License-Identifier: Apache-2.0
 *
 * What the guard side of the monitor knows of an instance: its configuration,
 * its picoprocesses and threads, its cause of death; and the calls its files
 * offer each other and to the public calls of lib/api. Knows nothing of what a
 * stream is, nor of any library OS.
 *
 * Threads: G = guard thread only, L = under instance->lock, A = atomic,
 * C = constant after creation. Lock order: guard lock, instance lock, log lock.
 */
#ifndef PICO_INSTANCE_H
#define PICO_INSTANCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pico/pico.h>

#include "../abi/wire.h"
#include "spawn.h"
#include "streams.h"

#define PICO__NS 1000000000ull
#define PICO__MS 1000000ull
#define PICO__NEVER UINT64_MAX
#define PICO__SEGMENT_SIZE (16ull << 30)
#define PICO__COUNTERS_MAX 128
#define PICO__NAME_SIZE 48
#define PICO__TID_BUCKETS 256u
#define PICO__FIRST_COOKIE 1u /* of the first picoprocess; others: their handle's number, >= PICO_FIRST_FD */

struct pico__bell;
struct pico__guard;
struct pico__job;
struct pico__restore;

/* What epoll hands to the guard. */
enum pico__source_kind { PICO__SOURCE_COMMAND, PICO__SOURCE_TIMER, PICO__SOURCE_HELPER, PICO__SOURCE_LISTENER };
struct pico__source { enum pico__source_kind kind; };

struct pico__config { /* C; owns all it points to */
	uint64_t flags;
	char *program, *cwd, *hostname, *libos, *helper;
	char **argv, **envp;
	struct pico__mount *mounts; /* the root included, in order */
	size_t mount_count;
	struct pico_stdio stdio[3];
	struct pico_app_stream *apps;
	size_t app_count;
	struct pico_limits limits; /* defaults put in */
	pico_log_fn log;
	void *log_user;
	pico_exit_fn on_exit;
	void *exit_user;
	uint32_t log_level, uid, gid, umask;
	uint64_t huge_pages;
};

enum pico__process_state {
	PICO__PENDING, /* admitted or asked for; has not said HELLO */
	PICO__LIVE,
	PICO__GONE, /* ended; kept while a handle names it */
};
/* A picoprocess. Freed when it is gone and no handle names it. */
struct pico__process { /* L; changed by the guard only */
	struct pico__process *next, *pid_next; /* pid_next: G, the guard's table */
	struct pico *instance;
	enum pico__process_state state;
	bool seed, first, ordered, admitted, exit_recorded;
	bool keeper; /* and seed: neither runs guest code */
	bool slot_taken; /* by the monitor, not by a gate */
	int32_t pid; /* thread group, in the host's pid namespace */
	int pidfd; /* -1 unless LIVE */
	uint32_t cookie, slot; /* slot of the first thread */
	int number; /* of the handle's descriptor, 0: no handle */
	int event; /* eventfd behind the handle, or -1 */
	uint32_t references; /* of the handle */
	int32_t exit_code;
	uint64_t param;
	uint64_t since; /* monotonic ns: asked for, admitted */
	uint32_t first_thread; /* slot + 1, chain of pico__thread.next */
	uint32_t threads; /* admitted since the last census, and found by it */
};

/* The monitor's own knowledge of a mailbox slot. Slots are shared out by the
 * guest's gates, so this says who used a slot last; that the thread still
 * lives must be asked of the kernel. */
struct pico__thread { /* L; changed by the guard only, but for the answer */
	struct pico__process *process;
	int32_t tid; /* 0: not known yet */
	uint32_t cookie;
	uint32_t next, prev; /* slot + 1, in the chain of the process */
	uint32_t tid_next; /* slot + 1, in the bucket of the tid */
	uint32_t generation; /* the mailbox's when it said HELLO */
	bool interrupt; /* asked for before the thread said HELLO */
	bool have_seq, have_answer;
	uint32_t seq, nr; /* of the last request */
	int64_t answer;
	struct pico__job *job; /* a worker has it, or it is parked */
	int wake_number; /* descriptor of its wake eventfd, or 0 */
	uint64_t since;
};

struct pico__counter { char name[PICO__NAME_SIZE]; uint64_t value; };
struct pico__log_line { struct pico__log_line *next; int level; char text[]; };

struct pico__park { /* L */
	bool wanted;
	uint32_t number; /* of the last request */
	uint64_t id; /* of the held notification of ProcessCheckpoint; 0: not parked */
	bool writing; /* the library OS has a stream for its part of a snapshot */
	bool hold; /* and is not to go on when it has written that */
	pico_handle stream;
	int outcome; /* 1: written; or -PICO_E */
	uint32_t extra; /* picoprocesses, and threads, that write besides those of the guest */
};

struct pico {
	struct pico__source source; /* first: epoll points here */
	struct pico *next; /* guard's list, under the guard's lock */
	struct pico__guard *guard; /* C; NULL: detached, for tests and fuzzing */
	struct pico__config config;
	pid_t owner; /* C; host process */
	uint32_t serial; /* C */
	char name[16]; /* C; of its picoprocesses, for ps and for census */
	struct pico__helper *helper; /* C */
	struct pico__streams *streams; /* C */
	struct pico__bell *bell; /* C; NULL: there are notifications. Else listener is the bell's socket */
	int listener, mailbox_fd, segment_fd, boot_fd, libos_fd, event_fd; /* C after creation; -1: none */
	int seed_pidfd; /* L; until the seed is in the table */
	int32_t helper_pid; /* L; parent of all picoprocesses, 0 unknown */
	bool helper_dead; /* L */
	bool killable_recv; /* C */
	struct pico_libos_header libos; /* C; of the image */
	pico_handle resume; /* C; of the snapshot it goes on from, or 0 */
	int64_t clock_offset; /* C; of the guest's monotonic clock */
	uint64_t segment_size, boot_size; /* C */
	pico_handle segment_handle; /* C */
	volatile uint8_t *mailbox; /* C; shared with the guest, who may write anything at any time */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* ended, busy, removed */
	struct pico__process *processes; /* L */
	struct pico__thread *threads; /* L; PICO_SLOT_COUNT of them, by slot */
	uint32_t tid_bucket[PICO__TID_BUCKETS]; /* L */
	uint32_t slot_high; /* L; slots below have been used */
	uint32_t thread_count, process_count, process_peak, process_total; /* L; thread_count is an upper bound */
	uint64_t census_at, overdue_at, roll_at; /* L */
	bool registered; /* L; in the guard's epoll */
	bool started, dying, hup, ended, stopped; /* L */
	bool seed_seen, segment_granted, segment_owed; /* L */
	uint32_t seed_seq; /* L; of its last request */
	bool leaving, abandoned, removed; /* L; pico_destroy */
	bool exit_called; /* L; on_exit has been given out */
	bool log_flushing; /* L; a job will hand the queue to the callback */
	uint32_t attention; /* A; the guard should look */
	uint32_t busy; /* L; jobs and callbacks that use this instance */
	uint32_t parked; /* L; jobs that wait to be asked for again */
	uint32_t jobs; /* under the workers' lock: requests running on workers */
	struct pico__park park;
	uint64_t seed_wait; /* L; id of the seed's held request, or 0 */
	struct pico__process *ordered; /* L; order the seed is carrying out */
	uint64_t started_at, dying_at, strays_at, hup_at; /* L; monotonic ns */
	struct pico_exit result; /* L; when dying is set */
	struct pico_error error; /* L */
	char said[256]; /* L; last "error:" line of the library OS */

	uint64_t cpu_gone, cpu_gone_user; /* L; ns, of ended picoprocesses */
	uint64_t memory_peak; /* L */
	uint64_t cpu_due, memory_due; /* L; next looks */
	uint64_t requests, downcalls[PICO_DOWNCALL_COUNT]; /* A */

	pthread_mutex_t log_lock; /* log callbacks one at a time, in order */
	struct pico__counter *counters; /* L */
	uint32_t counter_count; /* L */
	uint64_t log_tokens, log_at, log_dropped; /* L */
	struct pico__log_line *log_first, **log_last; /* L; for pico_dispatch */
	uint32_t log_queued; /* L */
};

static inline struct pico_mailbox_header *pico__mailbox_header(const struct pico *p)
{
	return (struct pico_mailbox_header *)(uintptr_t)p->mailbox;
}
static inline struct pico_slot *pico__mailbox_slot(const struct pico *p, uint32_t slot)
{
	return (struct pico_slot *)(uintptr_t)(p->mailbox + PICO_MAILBOX_SLOTS + (uint64_t)slot * PICO_SLOT_SIZE);
}
uint64_t pico__now(void); /* monotonic ns */

/* ---- instance.c: life and death ---- */

/* A new instance that owns *config (emptied on success). Opens the policy,
 * makes the shared memory. No guard, no seed yet. restore: as it was then; or NULL. */
int pico__instance_new(struct pico__config *config, struct pico__restore *restore, struct pico **out, struct pico_error *error);
void pico__instance_free(struct pico *p); /* no thread may use it any more */
void pico__config_fini(struct pico__config *config);
/* Record the cause, first one wins, and kill everything. Any thread, lock not
 * held (the _locked form: held). */
void pico__instance_die(struct pico *p, enum pico_cause cause, const char *format, ...) __attribute__((format(printf, 3, 4)));
void pico__instance_die_locked(struct pico *p, enum pico_cause cause, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The first picoprocess ended with this ProcessExit code. L */
void pico__instance_finish(struct pico *p, int32_t code, const struct pico__process *spare);
/* G: end it when nothing of it is left. Returns when to look again. */
uint64_t pico__instance_tend(struct pico *p, uint64_t now);
void pico__instance_event(struct pico *p); /* makes pico_fd readable */

/* Errors: fills in *error (may be NULL), returns -code. */
int pico__error_set(struct pico_error *error, int code, int host_errno, const char *where, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
int pico__instance_error(struct pico *p, int code, int host_errno, const char *where, const char *format, ...)
	__attribute__((format(printf, 5, 6))); /* lock not held */

/* ---- boot.c ---- */
/* The boot block of a configuration, in a sealed memfd. Types as the streams told. */
int pico__boot_create(const struct pico__config *config, const uint32_t *mount_types, const uint32_t stdio_types[3],
		      uint64_t *size_out, struct pico_error *error);

/* ---- notify.c: the kernel's notification descriptor ---- */
struct seccomp_notif;
#define PICO__NOTIFY_MAX 256 /* bytes of the kernel's structs we can take */
struct pico__notify { _Alignas(8) uint8_t bytes[PICO__NOTIFY_MAX]; };
int pico__notify_check(void); /* 0, or -PICO_EKERNEL: this kernel has none, or larger structs */
int pico__notify_sync(int listener); /* 0, or -PICO_ENOTSUP */
/* Tests: do without what older kernels lack, in instances created from now on. */
enum { PICO__WITHOUT_SYNC_WAKE_UP = 1, PICO__WITHOUT_WAIT_KILLABLE = 2, PICO__WITHOUT_NOTIFICATIONS = 4 };
extern uint32_t pico__kernel_without;
struct seccomp_notif *pico__notify_receive(int listener, struct pico__notify *buffer); /* NULL: gone again */
int pico__notify_answer(int listener, uint64_t id, int64_t value); /* 0, or -PICO_ENOENT: gone */
int pico__notify_continue(int listener, uint64_t id);
bool pico__notify_valid(int listener, uint64_t id);
int pico__notify_grant(int listener, uint64_t id, int fd, int number);
bool pico__notify_taken(void); /* whoever started us has a listener, and the kernel gives a task tree one */

/* ---- bell.c: the same for instances that have a bell in place of it ---- */
int pico__answer(struct pico *p, uint64_t id, int64_t value); /* 0, or -PICO_ENOENT: gone */
int pico__continue(struct pico *p, uint64_t id);
bool pico__asks(struct pico *p, uint64_t id); /* still */
int pico__grant(struct pico *p, uint64_t id, int fd, int number); /* in the asker's table; as pico__notify_grant */
/* Makes p one with a bell; guest[] are the picoprocesses' ends, the caller's. */
int pico__bell_create(struct pico *p, int guest[2]);
void pico__bell_destroy(struct pico *p);
void pico__bell_start(struct pico *p); /* the seed is there, and no guest yet */
bool pico__bell_walled(const struct pico *p); /* the kernel limits its threads in all */
/* G: the next request as if it were a notification; NULL: none. *hup: all are gone. */
struct seccomp_notif *pico__bell_receive(struct pico *p, struct pico__notify *buffer, bool *hup);
void pico__bell_end(struct pico *p); /* L; kills all there are, however they clone */

/* ---- guard.c: the guard thread ---- */
int pico__guard_get(struct pico__guard **out, struct pico_error *error); /* starts it when there is none */
void pico__guard_put(struct pico__guard *g); /* the last one ends it; not from its own threads */
int pico__guard_watch_helper(struct pico__guard *g, struct pico__helper *helper);
void pico__guard_unwatch_helper(struct pico__guard *g, struct pico__helper *helper);
int pico__guard_register(struct pico *p); /* listener is served from now on */
void pico__guard_poke(struct pico *p); /* have the guard look at this instance. Any thread */
/* pico_destroy: the guard forgets p when it has ended and nothing uses it. In a
 * callback of p this returns at once and the guard closes p itself. Else it
 * waits for that and closes p. p is gone afterwards. */
void pico__guard_leave(struct pico *p);
void pico__guard_forget(struct pico *p); /* in the child of a fork, or without a guard: free what is here, touch no guest */
void pico__guard_unregistered(struct pico *p); /* close one that was never registered, and its users of helper and guard */
void pico__guard_pid_add(struct pico__guard *g, struct pico__process *process); /* G */
void pico__guard_pid_remove(struct pico__guard *g, struct pico__process *process); /* G */
struct pico__process *pico__guard_pid_find(struct pico__guard *g, int32_t pid); /* G */
bool pico__sync_wake_up_seen(void); /* a listener took the flag */

/* ---- worker.c: threads for what may block ---- */
struct pico__workers;
struct pico__request {
	struct pico *instance;
	uint64_t id; /* of the notification, 0: none */
	int32_t tid; /* authentic, 0: none */
	uint32_t nr, slot, seq;
};
struct pico__job {
	struct pico__job *next;
	struct pico__request request;
	enum { PICO__JOB_REQUEST, PICO__JOB_LOG, PICO__JOB_EXIT } kind;
	bool abandoned; /* L; the thread has gone on to another request */
	bool parked; /* L; it has run, and waits to be asked again */
	int64_t result; /* L; of a parked one */
	struct pico__call call;
};
struct pico__workers *pico__workers_create(void);
void pico__workers_destroy(struct pico__workers *w); /* waits for what runs; nothing may be queued any more */
bool pico__workers_put(struct pico__workers *w, struct pico__job *job); /* takes job; false: no thread can be had, job stays the caller's */
void pico__workers_forget(struct pico__workers *w); /* in the child of a fork */
struct pico__workers *pico__guard_workers(struct pico__guard *g);
/* Which instance's callback runs on this thread, or NULL. */
struct pico *pico__callback_enter(struct pico *p); /* returns what to give to leave */
void pico__callback_leave(struct pico *before);
struct pico *pico__callback_current(void);
void pico__instance_unbusy(struct pico *p); /* busy - 1; p may be gone afterwards. Lock not held */

/* ---- request.c ---- */
/* G: serve one notification of class MONITOR or private. *spare is the guard's
 * buffer: made when it is NULL, and NULL again when it went to a worker. */
void pico__request_notified(struct pico *p, const struct seccomp_notif *n, struct pico__job **spare);
void pico__request_run(struct pico__job *job); /* on a worker: run and answer; takes job */
void pico__request_abandon(struct pico *p, struct pico__thread *t); /* L; nobody will ask again what its last thread asked */
void pico__request_fini(struct pico *p); /* no job runs any more */
/* One request as a guest could make it, on an instance that need not have a
 * picoprocess: for fuzzing. r[0] is not used. Returns the answer. */
int64_t pico__request_serve(struct pico *p, uint32_t nr, const uint64_t r[6], uint32_t slot);

/* ---- process.c: picoprocesses; clone.c: how they come to be; census.c: those
 * that hide; thread.c: slots and tids. All L, all G where not said ---- */
struct pico__process *pico__process_new(struct pico *p);
struct pico__process *pico__process_ask_for(struct pico *p, int *error); /* a new one, within the limits; or NULL */
struct pico__process *pico__process_by_tid(struct pico *p, int32_t tid); /* whose thread it is, the seed's too */
struct pico__process *pico__process_by_cookie(struct pico *p, uint32_t cookie); /* of those that are PENDING */
static inline bool pico__process_is_awaited(const struct pico__process *q)
{
	return q->state == PICO__PENDING && q->admitted;
}
bool pico__census_came_to_nothing(struct pico *p, const struct pico__process *q); /* the clone that was let through for q */
void pico__census_drop_overdue(struct pico *p, uint64_t now);
/* What those use that should have said HELLO by now. */
void pico__census_use(struct pico *p, uint64_t now, uint64_t *memory, uint64_t *cpu);
/* G, lock not held; of an instance with a bell: end it when there are some that
 * were not asked for. Returns when to look again. */
uint64_t pico__census_roll(struct pico *p, uint64_t now);
bool pico__census_is_ours(struct pico *p, int32_t pid, int pidfd); /* by the kernel's word; pidfd was opened for pid */
void pico__process_order(struct pico *p); /* L, any thread: hand the next order to a waiting seed */
int pico__process_start_first(struct pico *p); /* L, any thread */
int64_t pico__process_create(const struct pico__request *q, uint64_t param);
int64_t pico__process_clone_handle(const struct pico__request *q, uint64_t flags);
int64_t pico__process_exit(const struct pico__request *q, uint64_t code);
int64_t pico__process_exit_code(struct pico *p, pico_handle handle);
int64_t pico__process_close(struct pico *p, pico_handle handle);
int64_t pico__process_reference(struct pico *p, pico_handle handle);
int64_t pico__process_hello(const struct pico__request *q, uint64_t kind, uint64_t cookie);
void pico__process_seed_wait(struct pico *p, const struct seccomp_notif *n); /* takes the lock itself */
void pico__process_close_range(struct pico *p, const struct seccomp_notif *n); /* takes the lock itself */
void pico__process_clone(struct pico *p, const struct seccomp_notif *n); /* takes the lock itself */
void pico__process_exited(struct pico__process *process, int status); /* takes the lock itself */
void pico__process_stray_exited(struct pico *p, int32_t pid, int status); /* it never said HELLO; takes the lock itself */
void pico__process_forget(struct pico *p, struct pico__process *process); /* unlink and free */
void pico__process_kill_all(struct pico *p, const struct pico__process *spare);
void pico__process_kill_strays(struct pico *p);

struct pico__thread *pico__thread_by_tid(struct pico *p, int32_t tid, uint32_t *slot_out);
struct pico__thread *pico__thread_admit(struct pico *p, uint32_t slot, struct pico__process *process, uint32_t cookie);
void pico__thread_hello(struct pico *p, uint32_t slot, int32_t tid);
bool pico__thread_is_known(struct pico *p, int32_t tid); /* it said HELLO, and has not given its slot back */
void pico__thread_forget(struct pico *p, uint32_t slot); /* out of the chains */
void pico__thread_end_all(struct pico *p, struct pico__process *process); /* it ended: free its slots */
int pico__thread_slot_take(struct pico *p); /* a free slot of the mailbox, or -PICO_EAGAIN. Any thread */
bool pico__thread_room(struct pico *p, uint64_t now); /* one more thread is within the limit */
uint32_t pico__thread_census(struct pico *p);
int64_t pico__thread_interrupt(struct pico *p, pico_handle handle);
int64_t pico__thread_wake_fd(const struct pico__request *q);
int pico__thread_interrupt_first(struct pico *p); /* any thread: some thread of the first picoprocess */

void pico__thread_interrupt_all(struct pico *p); /* any thread; every one of which something is known */

/* ---- park.c ---- */
/* Have every thread of the instance save its program's state and stand still: 0
 * when its library OS says so, or -PICO_ETIMEDOUT (negative time: no limit) when
 * it did not, as a guest that blocks the interrupt or a thread in a callback of
 * the application will not: then all go on as if nothing had been asked.
 * -PICO_EDIED, -PICO_ESTATE not started, -PICO_EBUSY parked or asked already.
 * Any thread but the guard's. */
int pico__instance_park(struct pico *p, int64_t timeout_ms);
/* All go on. -PICO_ESTATE: it is not parked; -PICO_EDIED: it died meanwhile. */
int pico__instance_unpark(struct pico *p);
/* All stand still: those who are parked get fd as a stream to write their part of
 * a snapshot to, from base on, and go on (hold: when it is written and
 * pico__park_let_go is called). Then for that. `poll` is called now and then,
 * without the lock; not 0 ends the wait. 0, or -PICO_E. */
struct pico__park_gift { int fd; uint64_t base; bool hold; uint64_t deadline; int (*poll)(void *user); void *user; };
int pico__park_give(struct pico *p, const struct pico__park_gift *gift);
int pico__park_written(struct pico *p, const struct pico__park_gift *gift);
void pico__park_let_go(struct pico *p);
void pico__park_checkpoint(struct pico *p, const struct seccomp_notif *n); /* G; takes the lock itself */

/* ---- limits.c ---- */
uint64_t pico__limits_tend(struct pico *p, uint64_t now); /* G, lock not held: look, maybe end it; returns when to look again */
void pico__limits_cpu(struct pico *p, uint64_t *user, uint64_t *system); /* L */
uint64_t pico__limits_memory(struct pico *p); /* L; bytes now, keeps the peak */
void pico__limits_account(struct pico *p, const struct pico__process *process); /* L; it ended, not reaped yet */

/* ---- proc.c: what the host's /proc tells of a picoprocess ---- */
struct pico__proc_stat { char name[16]; char state; int32_t parent; uint32_t threads; };
int pico__proc_stat(int32_t pid, struct pico__proc_stat *out); /* 0, or -1 */
int pico__proc_memory(int32_t pid, bool exact, uint64_t *private_bytes); /* page tables and swap too; 0, or -1 */
uint64_t pico__proc_cpu(int32_t pid, uint64_t *user); /* ns, zombies too */
struct pico__proc_search {
	int32_t parent; /* 0: anybody's */
	const char *name;
	bool (*known)(void *user, int32_t pid); /* these are left out */
	void *user;
};
/* Pids of living children that bear the name and are not known; returns how
 * many, at most max; -1: cannot be told. */
int pico__proc_children(const struct pico__proc_search *search, int32_t *pids, int max);
/* The thread of process search->parent that calls itself so in the innermost pid
 * namespace it has; its id in ours, or -1. May miss one while others end. */
int32_t pico__proc_thread(const struct pico__proc_search *search, int32_t own);

/* ---- log.c ---- */
int64_t pico__log_guest(struct pico *p, const char *text, uint32_t size); /* DebugStringPrint; lock not held */
void pico__log(struct pico *p, int level, const char *format, ...) __attribute__((format(printf, 3, 4))); /* lock not held */
/* Run what is queued, in the calling thread; lock not held. wait: also for
 * another thread that is at it. */
void pico__log_deliver(struct pico *p, bool wait);
void pico__exit_deliver(struct pico *p); /* run on_exit if it is due; lock not held */
void pico__exit_later(struct pico *p); /* L; it has ended: have a worker run on_exit */
void pico__log_fini(struct pico *p);

#endif
