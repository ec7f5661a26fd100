/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the kernel's core (kern/, proc/, arch/ and the system calls
 * about processes) need of each other. Nobody else includes this.
 */
#ifndef LX_PROC_H
#define LX_PROC_H

#include "task.h"

/* kern/wait.c */
int wait_sleep_flags(u64 deadline, u32 unwind); /* as wait_sleep, ended by these TIF_ flags only */
void task_kick_raw(struct task *t); /* flags are set already */

/* kern/ktimer.c */
void ktimer_system_init(void);
void ktimer_start_thread(void); /* no-op when it runs */

/* kern/interrupt.c */
void interrupt_take(void); /* look at what the host wants; no lock held */
void interrupt_defer(void); /* in a place where that cannot be: remember it */

/* kern/park.c */
void park(void); /* the current task stops until the instance goes on */
void park_task_comes(bool picoprocess); /* before a host thread begins, or a picoprocess with its first one */
void park_task_gone(bool picoprocess); /* a host thread ends, maybe the last to wait for; or did not begin */

/* kern/snapshot.c */
void snapshot_begin(pico_handle stream); /* the host gives a stream to write to; park_lock held */
bool snapshot_due(void); /* this picoprocess has its part to do, and this task is to; park_lock held */
void snapshot_part(void);
void snapshot_parts_done(void); /* the last has done its part: the host hears of it when all is written */
/* kern/resume.c */
void resume_first(const struct pico_init_info *info) __attribute__((noreturn));
void resume_picoprocess(const struct pico_init_info *info) __attribute__((noreturn));
#define RESUME_PARAM 1ull /* in ProcessCreate's: the rest is a struct mm, not a program */

/* proc/task.c */
struct task *task_alloc(void); /* zeroed, reference 1, initialised queues; not in any list */
void task_free_dead(void);
int task_assign_tid(struct task *t); /* enters the table; 0 or -EAGAIN */
void task_forget_tid(u32 tid);
int task_start(struct task *t); /* a host thread that begins with t->saved; -EAGAIN */
bool process_add_task(struct process *p, struct task *t); /* false: the process is ending */
struct process *process_alloc(void);
struct task *process_any_task(struct process *p); /* leader or any other; reference taken; NULL */
struct user *user_get(u32 uid); /* NULL: out of memory */
void user_put(struct user *u);

struct sighand *sighand_copy(const struct sighand *from); /* NULL: all default; NULL back: out of memory */
void sighand_put(struct sighand *s);
int sighand_unshare(struct process *p); /* -ENOMEM */

/* sys/clone.c, proc/fork.c */
struct clone_request {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, tls, set_tid, set_tid_count, cgroup;
};
void task_inherit(struct task *t, const struct task *from, const struct clone_request *r); /* all but what is shared by flags */
int task_share_files(struct task *t, const struct task *from, u64 flags);
s64 process_clone(const struct clone_request *r); /* a new process: its pid */

#define PATIENCE_NS 300000000ull /* for the host to count an ended picoprocess as gone */
#define PATIENCE_STEP_NS 500000ull

/* proc/lend.c: the host threads of this picoprocess */
void host_threads_init(u32 first); /* in a new picoprocess, with one thread; first: of the instance */
void host_thread_added(void);
void host_thread_failed(void);
bool host_task_gone(void); /* true: that was the last program's here */
bool host_first_picoprocess(void);
void thread_adopt(struct task *t); /* this host thread runs t from now on */
void thread_lend(struct task *child) __attribute__((noreturn)); /* to a vfork child, until it leaves */
void instance_end(u32 status) __attribute__((noreturn)); /* with the first program's wait status */
void thread_leave(struct task *lender, u32 status) __attribute__((noreturn)); /* the current task is done with its host thread */

/* proc/core.c */
bool core_dump(const struct lx_siginfo *info); /* of the current program, ended by this: true when there is a file */

/* proc/exit.c */
void process_end_others(struct process *p, u32 tif); /* sig_lock held */
void process_zombie(struct process *p, u32 status);
void process_release(struct process *p); /* a reported zombie leaves; tree_lock held */
void exit_statistics(void);
void processes_check_starting(void); /* the host says that a picoprocess could not be made */

/* proc/signal.c */
void signal_deliver(void); /* current has TIF_SIGPENDING */
void signal_recalc(struct task *t); /* sig_lock held: TIF_SIGPENDING as the queues say */
void signal_flush_task(struct task *t); /* drops what is queued */
void signal_flush_process(struct process *p);
void signal_drop_ignored(struct process *p, int signo); /* sig_lock held: what is queued and now ignored goes */
void signal_exec(struct process *p); /* handlers to default */
void signal_begin_stop(struct process *p, int signo, int code); /* the default action of a stop signal; code of its siginfo */
void signal_stop_wait(void); /* current has TIF_STOP */
void sigpending_init(struct sigpending *p);
int signal_may_send(struct process *p, int signo); /* kill(2)'s permission: 0 or -EPERM */
int signal_dequeue_locked(struct task *t, u64 set, struct lx_siginfo *info); /* sig_lock held */
void signal_notify_parent(struct process *p, int code, u32 status); /* SIGCHLD and its waiters; tree_lock held */

/* proc/remote.c */
void remote_serve(void); /* current has TIF_REMOTE */
void remote_end(struct mm *mm); /* its last user is gone */
int remote_registers(struct task *t, struct pico_context *out); /* of its program; out in the segment; -ESRCH, -ERESTARTNOINTR */

/* proc/access.c: what another task has; NULL or -1 or -ENOENT when it has none any more */
struct file;
struct path;
int task_may_look(struct task *t, bool by_fs_ids); /* as for ptrace(2): 0 or -EPERM */
struct mm *task_mm(struct task *t); /* reference */
struct file *task_file(struct task *t, int fd, bool *cloexec); /* reference */
int task_next_fd(struct task *t, int fd, struct file **out, bool *cloexec); /* as files_next */
u32 task_fd_room(struct task *t);
int task_fs_path(struct task *t, bool root, struct path *out); /* else the working directory; reference */
u32 task_umask(struct task *t);
void task_detach(struct task *t); /* it ends */

/* proc/account.c */
struct machine_counts { u32 tasks, running, blocked; u64 switches, cpu_time; };
char task_state(const struct task *t); /* R S D T Z X, as ps has them */
u64 task_cpu_time(struct task *t); /* ns; asks it, may wait a little: no lock held */
u64 process_cpu_time(struct process *p); /* of all its threads, ended ones too */
void task_account_end(struct task *t);
void machine_refresh(void);
void machine_counts(struct machine_counts *c);
void load_start(void);
void load_averages(u64 out[3]); /* in units of 1/2048 */

/* sys/pidfd.c */
struct file *pidfd_file(struct process *p, u32 flags); /* NULL: out of memory */
struct process *pidfd_process(int fd, bool *nonblock); /* reference taken; NULL: no such descriptor */

/* sys/seccomp.c */
struct pico_context;
bool seccomp_permits(struct task *t, struct pico_context *c, u64 nr, const u64 a[6]); /* false: c says what happened instead */
void seccomp_inherit(struct task *t, const struct task *from);
void seccomp_release(struct task *t);
u32 seccomp_mode(const struct task *t, u32 *filters);

/* sys/futex.c */
void futex_init(void);
void futex_task_exit(struct task *t); /* robust list, PI locks, clear_child_tid */
long futex_wake_address(uaddr a, u32 count, bool shared);

/* As signal_send_*, but never merged with another: false when nobody will see
 * it. sig_lock held. t NULL: to the process. */
bool signal_queue_timer(struct process *p, struct task *t, int signo, const struct lx_siginfo *info);

/* sys/timer.c, sys/itimer.c */
void timer_signal_taken(struct process *p, struct lx_siginfo *info); /* SI_TIMER; sig_lock held */
void itimer_signal_taken(struct process *p); /* SIGALRM; sig_lock held */
void itimers_init(struct process *p);
void itimers_exit(struct process *p);
void cpu_timers_schedule(struct process *p);
void posix_cpu_timers_check(struct process *p, struct task *t, u64 process_time, u64 thread_time);
u64 posix_cpu_timers_next(struct process *p, struct task *t, u64 process_time, u64 thread_time); /* ns of CPU time until the next */
struct timer_text { char text[160]; };
bool timer_describe(struct process *p, u32 *id, struct timer_text *out); /* for /proc/PID/timers */
void timers_exit(struct process *p); /* posix timers and interval timers end */
void timers_exec(struct process *p);
void cpu_timers_check(void); /* current has TIF_CPUTIMER */
void process_timers_init(struct process *p);

/* CPU time of the current process and thread, ns */
u64 cpu_time_process(void);
u64 cpu_time_thread(void);

#endif
