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

/* task->flags: what a task must look at before it goes back to its program */
#define TIF_SIGPENDING 1u /* a signal may be deliverable */
#define TIF_PARK 2u /* the host wants the instance parked */
#define TIF_EXIT 4u /* the task must end (group exit, exec of a sibling, SIGKILL) */
#define TIF_RESTORE_SIGMASK 8u /* saved_sigmask is to be restored */
#define TIF_STOP 16u /* stopped by job control */

struct creds { /* ids as inside a container; changed by copy under process lock */
	u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	u32 group_count, groups[64];
	u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	u32 securebits, no_new_privs;
};

struct task {
	struct ref ref;
	u32 tid;
	struct process *process;
	struct list process_node; /* in process->tasks */
	struct mm *mm;
	struct files *files;
	struct fs_context *fs; /* root, cwd, umask */
	u32 flags; /* TIF_, atomic */
	u32 in_user; /* 1: the host thread runs program code, an interrupt is needed to reach it */
	u32 wait_word; /* 0 asleep or about to be, 1 woken */
	pico_handle wait_event; /* not 0: asleep in ObjectsWaitAny with this event */
	pico_handle own_event; /* made on first use */
	pico_handle host_thread;
	u32 slot; /* of the host thread */
	u32 host_alive; /* ThreadCreate's clear word */
	struct pico_context *regs; /* the program's registers while in the kernel */
	u64 orig_rax; /* system call number, or -1 when not in a system call */
	u64 fs_base, gs_base;
	uaddr clear_child_tid, set_child_tid, robust_list;
	u64 robust_list_size;
	uaddr rseq, rseq_size;
	char comm[16];
	/* signals: protected by process->sighand lock */
	u64 sigmask, saved_sigmask;
	struct sigpending pending;
	struct lx_sigaltstack altstack;
	long (*restart)(struct task *t); /* for ERESTART_RESTARTBLOCK */
	u64 restart_args[6];
	u32 exit_code;
	u64 start_time;
	s32 nice; u32 policy, rt_priority;
	u64 affinity[16];
	void *futex; /* the futex code's own */
	struct wait_entry wait_slot; /* for a wait on one queue: entries lie in the segment, a waker of another picoprocess reads them */
	u64 timer_slack;
	u32 pdeath_signal, dumpable_unused;
};

#define RLIM_COUNT 16
struct process { /* a thread group */
	struct ref ref;
	u32 pid, pgid, sid, ppid;
	struct process *parent;
	struct list children, sibling, all_node; /* under kernel->tree_lock */
	struct list tasks; /* under lock */
	u32 task_count;
	struct lock lock;
	struct task *leader;
	struct creds creds;
	/* signals */
	struct lock sig_lock;
	struct lx_sigaction actions[65]; /* 1..64 */
	struct sigpending shared_pending;
	struct wait_queue signal_wait; /* signalfd, sigwaitinfo */
	struct wait_queue child_wait; /* wait4 */
	u32 group_exit, group_exit_code; /* code as wait status */
	u32 state; /* enum process_state */
	u32 exit_status;
	u32 exit_signal;
	u64 rlimit[RLIM_COUNT][2]; /* soft, hard */
	u64 utime_children, stime_children, maxrss;
	u64 start_time;
	struct list posix_timers; u32 next_timer_id;
	struct ktimer itimer_real;
	struct lx_itimerspec itimer_virtual, itimer_prof;
	char *exe_path; /* for /proc */
	uaddr arg_start, arg_end, env_start, env_end;
	u32 dumpable, subreaper, keep_caps;
	u32 umask_unused;
	void *tty; /* controlling terminal */
};
enum process_state { PROCESS_RUNNING, PROCESS_STOPPED, PROCESS_ZOMBIE, PROCESS_DEAD };

/* The root of everything, at the start of the segment. */
struct kernel {
	u64 magic;
	u64 boot_mono, boot_real;
	struct lock tree_lock;
	struct list processes;
	u32 next_pid, process_count, task_count;
	struct task *pid_table[65536]; /* by tid, under tree_lock */
	struct process *init;
	struct pico_boot_limits limits;
	char hostname[65], domainname[65];
	u32 boot_uid, boot_gid;
	u64 page_cache_unused;
	u32 cpu_count;
	u64 memory_limit, phys_memory, xstate_mask, xstate_size;
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
	return (__atomic_load_n(&current->flags, __ATOMIC_ACQUIRE) & (TIF_SIGPENDING | TIF_PARK | TIF_EXIT | TIF_STOP)) != 0;
}

struct task *task_by_tid(u32 tid); /* reference taken; NULL */
struct process *process_by_pid(u32 pid); /* reference taken; NULL */
void task_put(struct task *t);
void process_put(struct process *p);
/* Make t look at its flags soon: wakes it, or interrupts its program code. */
void task_kick(struct task *t, u32 tif);
void task_exit(u32 wait_status) __attribute__((noreturn)); /* current task only */
void process_exit(u32 wait_status) __attribute__((noreturn)); /* exit_group */
/* End all other tasks of the process and wait for them (exec). */
int process_kill_others(void);
bool capable(int cap); /* of the current process */
u64 rlimit_get(unsigned resource); /* soft, of the current process */
/* Start a kernel thread in this picoprocess; its tid is not visible. */
int kthread_start(void (*fn)(void *), void *arg, struct task **out);
void return_to_user(void) __attribute__((noreturn)); /* checks flags, delivers signals, loads current->regs */
/* The scheduler-visible path out used by exec: load regs afresh */

#endif
