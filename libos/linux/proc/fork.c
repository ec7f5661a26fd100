/* SPDX-License-Identifier: Apache-2.0
 *
 * New processes. One with an address space of its own is a clone of this
 * picoprocess made by the host; a vfork child runs on this thread; any other
 * that shares our memory gets a thread here. In each case the process is whole
 * and known before it runs, and taken back when it cannot be started.
 */
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>

/* ---- the copy ---- */

static bool too_many(const struct process *p)
{
	const struct user *u = p->user;

	if (K->limits.processes && K->process_count - 1 >= K->limits.processes) /* pid 1 is only a name */
		return true;
	if (K->limits.threads && K->task_count >= K->limits.threads)
		return true;
	return u && u->tasks >= p->rlimit[RLIMIT_NPROC][0] && u->uid != 0 && !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN);
}

static int copy_actions(struct process *p, struct process *from, u64 flags)
{
	if (flags & CLONE_SIGHAND) {
		ref_get(&from->sighand->ref);
		p->sighand = from->sighand;
		return 0;
	}
	lock(&from->sig_lock);
	p->sighand = sighand_copy(from->sighand);
	unlock(&from->sig_lock);
	if (!p->sighand)
		return -ENOMEM;
	for (int n = 1; (flags & CLONE_CLEAR_SIGHAND) && n <= 64; n++)
		if (p->sighand->actions[n].handler != 1)
			p->sighand->actions[n] = (struct lx_sigaction){ 0 };
	return 0;
}

static int copy_process(struct process *p, struct process *from, const struct clone_request *r)
{
	int err = copy_actions(p, from, r->flags);

	if (err)
		return err;
	lock(&from->lock);
	p->creds = from->creds;
	memcpy(p->rlimit, from->rlimit, sizeof(p->rlimit));
	p->exe_path = from->exe_path ? kstrdup(from->exe_path) : NULL;
	p->arg_start = from->arg_start;
	p->arg_end = from->arg_end;
	p->env_start = from->env_start;
	p->env_end = from->env_end;
	p->dumpable = from->dumpable;
	p->keep_caps = from->keep_caps;
	p->personality = from->personality;
	p->no_huge = from->no_huge;
	p->membarrier = from->membarrier;
	p->oom_score_adj = from->oom_score_adj;
	unlock(&from->lock);
	p->exit_signal = (u32)r->exit_signal;
	p->user = user_get(p->creds.uid);
	return p->user && (p->exe_path || !from->exe_path) ? 0 : -ENOMEM;
}

/* Everything of the new one but its address space and its place among others. */
static int make(const struct clone_request *r, struct process **out_process, struct task **out_task)
{
	struct task *from = current, *t = task_alloc();
	struct process *p = process_alloc();
	int err = -ENOMEM;

	*out_process = p;
	*out_task = t;
	if (!p || !t)
		return err;
	t->process = p;
	ref_get(&p->ref); /* the task's */
	p->leader = t;
	if ((err = copy_process(p, from->process, r)))
		return err;
	task_inherit(t, from, r);
	t->altstack = from->altstack;
	if ((r->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		t->altstack = (struct lx_sigaltstack){ .flags = 2 /* SS_DISABLE */ };
	if ((err = task_share_files(t, from, r->flags)))
		return err;
	if (r->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = r->child_tid;
	if (r->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = r->child_tid;
	if ((err = task_assign_tid(t)))
		return err;
	task_put(t); /* the table holds it */
	p->pid = t->tid;
	return 0;
}

static void unmake(struct process *p, struct task *t)
{
	const bool numbered = t && t->tid;

	if (t) {
		sem_undo_exit(t);
		struct mm *mm = t->mm;
		if (t->process)
			task_detach(t);
		if (mm)
			mm_leave(mm);
		if (t->files)
			files_put(t->files);
		if (t->fs)
			fs_context_put(t->fs);
		t->files = NULL;
		t->fs = NULL;
		if (numbered)
			task_forget_tid(t->tid);
		else
			task_put(t);
	}
	process_put(p);
}

/* ---- its place ---- */

static void link_in(struct process *p, struct task *t, const struct clone_request *r)
{
	struct process *from = current->process;

	p->parent = r->flags & CLONE_PARENT ? from->parent : from;
	if (r->flags & CLONE_PARENT)
		p->exit_signal = from->exit_signal;
	p->ppid = p->parent->pid;
	p->pgid = from->pgid;
	p->sid = from->sid;
	p->tty = from->tty;
	list_add_tail(&K->processes, &p->all_node);
	list_add_tail(&p->parent->children, &p->sibling);
	K->process_count++;
	list_add_tail(&p->tasks, &t->process_node);
	p->task_count = 1;
	__atomic_fetch_add(&K->task_count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&p->user->tasks, 1, __ATOMIC_RELAXED);
	ref_get(&t->ref); /* its thread's own */
}

/* A signal to the group must find the child, or find us before there is one. */
static int enter(struct process *p, struct task *t, const struct clone_request *r)
{
	int err = 0;

	lock(&K->tree_lock);
	if (__atomic_load_n(&current->flags, __ATOMIC_SEQ_CST) & (TIF_SIGPENDING | TIF_EXIT | TIF_STOP))
		err = -ERESTARTNOINTR;
	else
		link_in(p, t, r);
	unlock(&K->tree_lock);
	return err;
}

static void take_out(struct process *p, struct task *t)
{
	lock(&K->tree_lock);
	lock(&p->sig_lock);
	list_del(&t->process_node);
	p->task_count = 0;
	p->state = PROCESS_DEAD;
	unlock(&p->sig_lock);
	list_del(&p->all_node);
	list_del(&p->sibling);
	K->process_count--;
	unlock(&K->tree_lock);
	__atomic_fetch_sub(&K->task_count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&p->user->tasks, 1, __ATOMIC_RELAXED);
	task_put(t);
}

/* ---- how it runs ---- */

/* In the child, a copy of the thread that asked. */
static void __attribute__((noreturn)) child_main(struct task *t)
{
	host_threads_init(false);
	thread_adopt(t);
	interrupt_take();
	*t->regs = t->saved;
	arch_write_fs(t->fs_base);
	if (t->set_child_tid) {
		const u32 tid = t->tid;
		put_user(tid, t->set_child_tid);
	}
	return_to_user();
}

/* The host learns of an end a little later than we do: its limit may seem
 * reached when ours is not. */
static s64 clone_patiently(void)
{
	const u64 end = now_mono() + PATIENCE_NS;
	s64 r;

	while ((r = Dk(ProcessClone)(PICO_CLONE_NO_HANDLE)) == -PICO_EAGAIN && now_mono() < end)
		Dk(ThreadDelayExecution)(now_mono() + PATIENCE_STEP_NS);
	return r;
}

/* The pages are copied by the host; what we know of them is copied under the
 * same lock. */
static int start_clone(struct task *t)
{
	struct mm *mm = current->mm;
	s64 r = -ENOMEM;

	park_task_comes(true);
	lock(&mm->lock);
	t->mm = mm_fork(mm);
	if (t->mm)
		r = clone_patiently();
	if (r == 0)
		child_main(t);
	unlock(&mm->lock);
	if (r > 0)
		return 0;
	park_task_gone(true);
	return r == -PICO_ENOMEM ? -ENOMEM : -EAGAIN;
}

static int start_thread(struct task *t)
{
	t->mm = current->mm;
	mm_join(t->mm);
	const int err = task_start(t);
	if (!err)
		task_put(t); /* task_start took one more for the thread */
	return err;
}

static int prepare_loan(struct task *t)
{
	struct task *from = current;

	if (!from->saved_vector)
		from->saved_vector = page_alloc((arch_xstate_size() + PAGE_SIZE - 1) / PAGE_SIZE);
	if (!from->saved_vector)
		return -ENOMEM;
	t->mm = from->mm;
	mm_join(t->mm);
	return 0;
}

/* What the parent is told through memory and descriptors, before anything runs. */
static int announce(struct process *p, const struct clone_request *r, int *pidfd)
{
	const u32 pid = p->pid;

	*pidfd = -1;
	if (r->flags & CLONE_PIDFD) {
		struct file *f = pidfd_file(p, 0);
		if (!f)
			return -ENOMEM;
		*pidfd = fd_install(f, O_CLOEXEC, 0);
		if (*pidfd < 0)
			return *pidfd;
		if (put_user(*pidfd, r->pidfd))
			return -EFAULT;
	}
	return (r->flags & CLONE_PARENT_SETTID) && put_user(pid, r->parent_tid) ? -EFAULT : 0;
}

/* CLONE_VFORK with a copy of the memory: the parent waits like any sleeper. */
static void wait_until_released(struct process *p)
{
	struct wait_entry *w = &current->wait_slot;

	current->regs->rax = p->pid; /* whoever restores us while parked need not wait */
	wait_begin();
	wait_add(&p->exit_wait, w);
	while (!p->has_execed && p->state != PROCESS_ZOMBIE && p->state != PROCESS_DEAD) {
		if (wait_sleep_flags(PICO_FOREVER, TIF_EXIT | TIF_PARK) == 0) {
			wait_begin();
			continue;
		}
		if (!(__atomic_load_n(&current->flags, __ATOMIC_SEQ_CST) & TIF_PARK))
			break;
		park();
	}
	wait_remove(w);
}

s64 process_clone(const struct clone_request *r)
{
	const bool shared = r->flags & CLONE_VM, loan = shared && (r->flags & CLONE_VFORK);
	struct process *p = NULL;
	struct task *t = NULL;
	int err, pidfd = -1;

	if (too_many(current->process))
		return -EAGAIN;
	ktimer_start_thread(); /* in the first picoprocess, which every other one descends from */
	load_start();
	if ((err = make(r, &p, &t)))
		goto out;
	if ((err = announce(p, r, &pidfd)))
		goto out;
	const u32 pid = p->pid;
	if (loan && (err = prepare_loan(t)))
		goto out;
	if ((err = enter(p, t, r)))
		goto out;
	if (loan)
		thread_lend(t);
	ref_get(&p->ref);
	err = shared ? start_thread(t) : start_clone(t);
	if (!err && (r->flags & CLONE_VFORK))
		wait_until_released(p);
	if (!err) {
		process_put(p);
		return pid;
	}
	take_out(p, t);
	process_put(p);
out:
	if (pidfd >= 0)
		fd_close(pidfd);
	unmake(p, t);
	return err;
}
