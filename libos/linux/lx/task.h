/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks (threads) and processes. A task is one thread of a program with its
 * own identity; the current task belongs to the host thread that runs it, not
 * to the picoprocess, so that a vfork child can borrow its parent's thread.
 */
#ifndef LX_TASK_H
#define LX_TASK_H

#include "lock.h"
#include "signal.h"
#include "time.h"
#include "wait.h"

struct mm;
struct files;
struct fs_context;
struct file;
struct tty;
struct sem_undo_list;

/* task->flags: what a task must look at before it goes back to its program */
#define TIF_SIGPENDING 1u /* a signal may be deliverable */
#define TIF_PARK 2u /* the host wants the instance parked */
#define TIF_EXIT 4u /* the task must end (group exit, exec of a sibling, SIGKILL) */
#define TIF_RESTORE_SIGMASK 8u /* saved_sigmask is to be restored */
#define TIF_STOP 16u /* stopped by job control */
#define TIF_INTERRUPT 32u /* an interrupt was met where it could not be looked at */
#define TIF_SYNC 64u /* somebody waits for this task to pass the kernel (membarrier, its CPU clock) */
#define TIF_CPUTIMER 128u /* CPU-time timers of the process are to be checked */
#define TIF_REMOTE 256u /* somebody waits for memory of this address space: proc/remote.c */
#define TIF_WORK (TIF_SIGPENDING | TIF_PARK | TIF_EXIT | TIF_RESTORE_SIGMASK | TIF_STOP | TIF_INTERRUPT | TIF_SYNC | TIF_CPUTIMER | TIF_REMOTE)
#define TIF_UNWIND (TIF_SIGPENDING | TIF_PARK | TIF_EXIT | TIF_STOP) /* ends an interruptible wait */

struct creds { /* ids as inside a container; changed by copy under process lock */
	u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	u32 group_count, groups[64];
	u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	u32 securebits, no_new_privs;
};

/* What a task wants of another address space; under mm->remote_lock. */
struct remote_request {
	struct remote_request *next;
	struct task *requester, *only; /* only: who must serve it; NULL: whoever */
	u32 op, state;
	u64 addr;
	void *buf; /* in the segment */
	size_t size;
	s64 result;
};

struct task {
	u32 flags; /* TIF_, atomic; entry.S knows the place of these two */
	u32 in_user; /* 1: the host thread runs program code, an interrupt is needed to reach it */
	struct ref ref;
	u32 tid;
	struct process *process;
	struct list process_node; /* in process->tasks */
	struct mm *mm;
	struct files *files;
	struct fs_context *fs; /* root, cwd, umask */
	u32 wait_word; /* WAIT_ of kern/wait.c: how this task sleeps, or what woke it */
	u32 waker_cpu; /* where who woke it last ran */
	u32 spins; /* wait a little awake before sleeping: recent waits were short, and their ends came from another CPU */
	pico_handle own_event; /* for waits mixed with host streams; made on first use */
	pico_handle host_thread;
	u32 slot; /* of the host thread */
	struct pico_context *regs; /* the program's registers while in the kernel */
	struct pico_context saved; /* what a new or a resumed host thread starts with */
	struct task *lender; /* of a vfork child: whose host thread it runs on, see proc/lend.c; NULL */
	void *exec; /* mm/exec.c: what it will run in another picoprocess */
	u32 lent; /* atomic: its host thread runs a vfork child meanwhile */
	u32 resumable; /* came with a snapshot, and has no host thread yet */
	void *saved_vector; /* vector state of a parked task */
	u64 orig_rax; /* system call number, or -1 when not in a system call */
	u64 fs_base, gs_base;
	uaddr clear_child_tid, set_child_tid, robust_list;
	u64 robust_list_size;
	uaddr rseq, rseq_size;
	char comm[16];
	/* signals: protected by process->sig_lock */
	u64 sigmask, saved_sigmask;
	u64 real_sigmask; /* what sigmask was before sigtimedwait opened it, */
	u32 sigwait_open; /* while this is set */
	u32 stopped; /* counted as stopped by job control */
	u64 trap_nr, error_code, cr2; /* of the last fault, for signal frames */
	struct sigpending pending;
	struct lx_sigaltstack altstack;
	long (*restart)(struct task *t); /* for ERESTART_RESTARTBLOCK */
	u64 restart_args[6];
	u32 exit_code;
	u64 start_time;
	s32 nice; u32 policy, rt_priority; u16 ioprio;
	u64 affinity[16];
	void *futex; /* the futex code's own */
	struct sem_undo_list *sem_undo; /* ipc/sysv_sem.c; shared by CLONE_SYSVSEM; NULL: nothing yet */
	struct wait_entry wait_slot; /* for a wait on one queue: entries lie in the segment, a waker of another picoprocess reads them */
	u64 timer_slack, default_slack; /* the second is what a slack of 0 means */
	void *seccomp; /* sys/seccomp.c: NULL: all calls */
	u64 dl_runtime, dl_deadline, dl_period; /* SCHED_DEADLINE: told, not kept */
	u32 pdeath_signal, dumpable_unused;
	u32 parked; /* atomic: it stands still until the instance goes on */
	u32 sync_count; /* how often it passed the kernel on request */
	u32 in_fault; /* its fault is being looked at: one met then is not looked at again */
	u32 exiting; /* under sig_lock: takes no signals any more */
	u32 detached; /* under process->lock: fs is not others' to look at any more, mm is gone */
	u32 asleep; /* atomic: in one of the waits */
	u32 cpu_fresh; /* atomic: cpu_time was taken in the sleep it is in, if it is asleep */
	u64 switches; /* how often it slept */
	struct remote_request remote; /* its own */
	u64 cpu_time; /* of this thread, ns, as of the last sync */
	u64 cpu_base; /* what its host thread had used before */
	void (*kthread_fn)(void *); void *kthread_arg; /* kernel threads; their process is that with pid 1 */
	struct list dead_node; /* to be freed */
};

struct sighand { struct ref ref; struct lx_sigaction actions[65]; /* 1..64 */ };

#define RLIM_COUNT 16
struct process { /* a thread group */
	struct ref ref;
	u32 pid, pgid, sid, ppid;
	struct process *parent;
	struct list children, sibling, all_node; /* under kernel->tree_lock */
	struct list tasks; /* changed under lock and sig_lock, read under either */
	u32 task_count;
	struct lock lock;
	struct task *leader;
	struct creds creds;
	/* signals */
	struct lock sig_lock;
	struct sighand *sighand; /* own, or shared by CLONE_SIGHAND */
	struct sigpending shared_pending;
	struct wait_queue signal_wait; /* signalfd, sigwaitinfo */
	struct wait_queue child_wait; /* wait4 */
	struct wait_queue exit_wait; /* pidfd: it has ended */
	u32 group_exit, group_exit_code; /* code as wait status */
	u32 state; /* enum process_state */
	u32 exit_status;
	u32 exit_signal;
	u64 rlimit[RLIM_COUNT][2]; /* soft, hard */
	u64 utime_children, stime_children, maxrss;
	u64 start_time;
	struct list posix_timers; u32 next_timer_id; /* under sig_lock */
	struct ktimer itimer_real;
	u64 itimer_interval; /* of itimer_real: it starts anew when its signal is taken */
	u64 itimer_expiry;
	struct { u64 expires, interval; } cpu_itimer[2]; /* virtual, prof: ns of CPU time */
	char *exe_path; /* for /proc */
	uaddr arg_start, arg_end, env_start, env_end;
	u32 dumpable, subreaper, keep_caps;
	u32 personality;
	u32 no_huge; /* PR_SET_THP_DISABLE */
	u32 membarrier; /* registered: 1 private, 2 with core serialisation */
	u32 umask_unused;
	struct tty *tty; /* controlling terminal, fs/tty.h; a child's is its parent's, copied under tree_lock */
	u32 tty_left; /* foreground group of the terminal that hung up on this leader of a session */
	s32 oom_score_adj; /* kept for /proc; nothing is killed for memory here */
	struct user *user; /* of the real uid */
	struct task *execing; /* the task that ends all others */
	u32 stop_signal; /* last stop, for wait4 */
	u32 stop_count; /* tasks that have yet to stop before the parent is told */
	u32 wait_stopped, wait_continued; /* an event wait4 has not reported */
	u32 notify_continued; /* the first task that runs tells the parent */
	u32 has_execed; /* setpgid by the parent fails after it */
	struct ktimer cpu_timer; /* wakes a task to look at CPU clocks */
	u64 cpu_time_dead; /* of threads, for getrusage */
	u64 cpu_limit_next; /* RLIMIT_CPU: next SIGXCPU, seconds */
	u64 minflt, inblock; /* counters of getrusage */
	struct list starting_node; /* in kernel->starting */
	pico_handle starting; /* of the picoprocess that will run it */
};
struct user { /* counts per real uid; under kernel->user_lock */
	struct list node;
	u32 uid, references;
	u32 sigqueue, tasks;
	u64 mq_bytes; /* RLIMIT_MSGQUEUE */
};
enum process_state { PROCESS_RUNNING, PROCESS_STOPPED, PROCESS_ZOMBIE, PROCESS_DEAD };

/* The root of everything, at the start of the segment. */
struct kernel {
	u64 magic;
	u64 boot_mono, boot_real;
	struct lock tree_lock;
	struct list processes;
	u32 next_pid, pids_wrapped, process_count, task_count;
	struct task *pid_table[65536]; /* by tid, under tree_lock */
	struct process *init; /* the first program, pid 2: its end is the instance's */
	struct process *root; /* pid 1: parent of orphans, owner of kernel threads, runs no program */
	struct lock user_lock; struct list users;
	struct lock dead_lock; struct list dead_tasks; /* without references; freed where no lock is held */
	struct wait_queue sync_wait; /* task_sync */
	u32 live_tasks; /* host threads, kernel threads too; atomic: who parks */
	struct lock park_lock; u32 parked, park_generation, park_reporting; /* kern/park.c */
	u32 park_bell; /* rings when a parked task must look again */
	struct pico_boot_limits limits;
	char hostname[65], domainname[65];
	u32 boot_uid, boot_gid;
	u64 page_cache_unused;
	u32 cpu_count;
	u64 memory_limit, phys_memory, xstate_mask, xstate_size;
	u64 huge_from; /* pieces of anonymous memory of this size are to be in huge pages; 0: none */
	volatile struct pico_host_info *host;
	pico_handle segment_handle;
	struct wait_queue timer_wait; struct lock timer_lock; struct list timers; struct task *timer_task;
	void *vfs; /* fs/ */
	void *futexes; /* sys/futex.c */
	void *mem; /* mm/kmalloc.c */
	void *ipc; /* ipc/ */
	void *devices; /* fs/dev.c: terminals */
	u64 unknown_calls[512];
	u8 random_key[32];
	u32 init_done;
	u32 patched, no_patching; /* call sites, arch/x86_64/patch.c */
	struct { u32 pid_max, max_map_count, lease_break_time; } knobs; /* of /proc/sys */
	u32 last_mm; /* last mm->id given out */
	u32 picoprocesses; /* atomic: that run programs */
	struct { /* a snapshot being written, kern/snapshot.c */
		pico_handle stream;
		u64 base, cursor; /* the next free place, relative to base */
		u32 number; /* counts snapshots; each picoprocess does its part once */
		u32 waiting; /* picoprocesses that have not yet; under park_lock */
		u32 writers, entries, failed; /* atomic */
		bool still; /* nobody goes on before all is written */
	} snapshot;
	/* what cpuid said: asked once, since a virtual machine takes tens of microseconds for it */
	u32 xstate_bytes; /* of the vector state; 0: not asked */
	u32 cpu_features; /* leaf 1, edx */
	s32 has_rdtscp; /* 1 yes, -1 no, 0: not asked */
	u64 cpu_time_dead, switches_dead; /* of tasks that have ended; atomic */
	u32 load_on; u64 load[3]; struct ktimer load_timer; /* proc/account.c */
	struct list starting; /* processes whose new picoprocess has not begun yet; under tree_lock */
	u32 ended, end_status; /* the first program ended in another picoprocess than the first, which must end */
};
#define K ((struct kernel *)PICO_SEGMENT_BASE)

static inline struct task *current_task(void)
{
	struct task *t;
	__asm__("mov %%gs:8, %0" : "=r"(t)); /* PICO_TB_LIBOS */
	return t;
}
#define current current_task()
static inline struct pico_thread_block *thread_block(void)
{
	struct pico_thread_block *tb;
	__asm__("mov %%gs:0, %0" : "=r"(tb));
	return tb;
}
static inline bool signal_pending(void)
{
	return (__atomic_load_n(&current->flags, __ATOMIC_ACQUIRE) & TIF_UNWIND) != 0;
}

struct task *task_by_tid(u32 tid); /* reference taken; NULL */
struct process *process_by_pid(u32 pid); /* reference taken; NULL */
void task_put(struct task *t);
struct files *task_files_get(struct task *t); /* its descriptors; reference; NULL: it has left them */
void process_put(struct process *p);
/* Make t look at its flags soon: wakes it, or interrupts its program code. */
void task_kick(struct task *t, u32 tif);
/* Returns when t has passed the kernel after this call began (cpu_time is then
 * fresh), at once when t is asleep or in the kernel and only_running is set. */
void task_sync(struct task *t, bool only_running);
void task_exit(u32 wait_status) __attribute__((noreturn)); /* current task only */
void process_exit(u32 wait_status) __attribute__((noreturn)); /* exit_group */
/* Of the current task, changed so that others may look at any time (proc/access.c); the old one back. */
struct fs_context *task_set_fs(struct fs_context *fs);
struct mm *task_set_mm(struct task *t, struct mm *mm); /* or of one that is being moved */
/* End all other tasks of the process and wait for them (exec). */
int process_kill_others(void);
bool capable(int cap); /* of the current process */
u64 rlimit_get(unsigned resource); /* soft, of the current process */
/* Start a kernel thread in this picoprocess; its tid is not visible. */
int kthread_start(void (*fn)(void *), void *arg, struct task **out);
void return_to_user(void) __attribute__((noreturn)); /* checks flags, delivers signals, loads current->regs */

#endif
