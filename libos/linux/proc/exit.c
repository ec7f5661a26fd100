/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of tasks and processes. A task leaves what it shares piece by piece;
 * the last one of a process makes it a zombie and ends the picoprocess; the end
 * of the first program is the end of the instance.
 */
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include <linux/signal.h>


/* What was asked for and is not there, once a call, for whoever runs us. */
void exit_statistics(void)
{
	if (K->patched)
		printk("stat:patched-call-sites:+%u", K->patched);
	for (u32 nr = 0; nr < SYSCALL_COUNT; nr++)
		if (K->unknown_calls[nr])
			printk("stat:%s:+%lu", syscall_names[nr] ? syscall_names[nr] : "unknown", (unsigned long)K->unknown_calls[nr]);
}

/* ---- the family ---- */

/* tree_lock held. Is the group cut off from anyone who could continue it? */
static bool group_cut_off(u32 pgid, u32 sid, const struct process *leaving)
{
	bool stopped = false;

	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (p->pgid != pgid || p == leaving || p->state == PROCESS_ZOMBIE)
			continue;
		if (p->parent && p->parent != K->root && p->parent != leaving && p->parent->pgid != pgid && p->parent->sid == sid)
			return false;
		stopped |= p->state == PROCESS_STOPPED;
	}
	return stopped;
}

static void hang_up_group(u32 pgid)
{
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (p->pgid != pgid)
			continue;
		signal_send_process(p, SIGHUP, NULL);
		signal_send_process(p, SIGCONT, NULL);
	}
}

static struct process *new_parent(struct process *p)
{
	for (struct process *a = p->parent; a && a != K->root; a = a->parent)
		if (a->subreaper && a->state != PROCESS_ZOMBIE)
			return a;
	return K->root;
}

static void parent_died(struct process *child)
{
	lock(&child->lock); /* its tasks may be leaving */
	list_for_each(pos, &child->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		if (t->pdeath_signal)
			signal_send_task(t, (int)t->pdeath_signal, NULL);
	}
	unlock(&child->lock);
}

/* tree_lock held. */
static void give_children_away(struct process *p)
{
	struct process *to = new_parent(p);

	list_for_each_safe(pos, next, &p->children) {
		struct process *c = list_entry(pos, struct process, sibling);
		list_del(&c->sibling);
		list_add_tail(&to->children, &c->sibling);
		c->parent = to;
		c->ppid = to->pid;
		c->exit_signal = SIGCHLD;
		parent_died(c);
		if (c->state == PROCESS_ZOMBIE) {
			if (to == K->root)
				process_release(c);
			else
				signal_notify_parent(c, CLD_EXITED, c->exit_status);
		} else if (c->pgid != p->pgid && group_cut_off(c->pgid, c->sid, p)) {
			hang_up_group(c->pgid);
		}
	}
}

/* tree_lock held. */
void process_release(struct process *p)
{
	struct task *leader = K->pid_table[p->pid];

	K->pid_table[p->pid] = NULL;
	list_del(&p->all_node);
	list_del(&p->sibling);
	K->process_count--;
	p->state = PROCESS_DEAD;
	p->leader = NULL;
	task_put(leader);
	process_put(p);
}

static void report_code(u32 status, int *code, u32 *value)
{
	if (status & 0x7f) {
		*code = status & 0x80 ? CLD_DUMPED : CLD_KILLED;
		*value = status & 0x7f;
	} else {
		*code = CLD_EXITED;
		*value = (status >> 8) & 0xff;
	}
}

void process_zombie(struct process *p, u32 status)
{
	int code;
	u32 value;

	report_code(status, &code, &value);
	lock(&K->tree_lock);
	give_children_away(p);
	if (p->parent && p->parent != K->root && p->parent->pgid != p->pgid && p->parent->sid == p->sid &&
	    group_cut_off(p->pgid, p->sid, p))
		hang_up_group(p->pgid);
	p->exit_status = status;
	p->state = PROCESS_ZOMBIE;
	wake_up(&p->exit_wait, 0);
	struct process *parent = p->parent;
	const struct lx_sigaction *sa = parent ? &parent->sighand->actions[SIGCHLD] : NULL;
	const bool unwanted = !parent || parent == K->root ||
		(p->exit_signal == SIGCHLD && (sa->handler == 1 || (sa->flags & SA_NOCLDWAIT)));
	if (p != K->init) {
		if (p->exit_signal == SIGCHLD)
			signal_notify_parent(p, code, value);
		else if (p->exit_signal && p->exit_signal <= 64 && parent) /* clone(2) takes any number */
			signal_send_process(parent, (int)p->exit_signal, NULL);
		if (unwanted)
			process_release(p);
		if (parent)
			wake_up(&parent->child_wait, 0);
	}
	unlock(&K->tree_lock);
}

/* ---- the task ---- */

static void leave_shared(struct task *t)
{
	struct files *files = t->files;
	struct fs_context *fs = t->fs;
	struct mm *mm = t->mm;

	task_detach(t);
	if (mm)
		mm_leave(mm);
	sysv_task_exit(t);
	if (files && t == current) {
		files_replace(NULL);
	} else if (files) {
		lock(&t->process->sig_lock);
		t->files = NULL;
		unlock(&t->process->sig_lock);
		files_put(files);
	}
	if (fs) {
		t->fs = NULL;
		fs_context_put(fs);
	}
}

/* No signal may wait for a task that is gone: others are told. */
static void stop_taking_signals(struct task *t)
{
	struct process *p = t->process;
	bool stopped = false;

	lock(&p->sig_lock);
	t->exiting = 1;
	if ((t->flags & TIF_STOP) && !t->stopped && p->stop_count && --p->stop_count == 0) {
		p->state = PROCESS_STOPPED;
		p->wait_stopped = 1;
		stopped = true;
	}
	bool last = true;
	list_for_each(pos, &p->tasks) {
		struct task *o = list_entry(pos, struct task, process_node);
		if (o->exiting)
			continue;
		last = false;
		if (p->shared_pending.set & ~o->sigmask)
			task_kick(o, TIF_SIGPENDING);
	}
	if (last && !p->group_exit) { /* the last to leave says what the process ends with */
		p->group_exit = 1;
		p->group_exit_code = t->exit_code;
	}
	unlock(&p->sig_lock);
	if (stopped) {
		lock(&K->tree_lock);
		signal_notify_parent(p, CLD_STOPPED, p->stop_signal);
		unlock(&K->tree_lock);
	}
	wake_up(&K->sync_wait, 0);
}

/* True: that was the last of the process. */
static bool leave_process(struct task *t)
{
	struct process *p = t->process;

	lock(&p->lock);
	lock(&p->sig_lock);
	list_del(&t->process_node);
	const bool last = --p->task_count == 0;
	p->cpu_time_dead += t->cpu_time;
	task_account_end(t);
	signal_flush_task(t);
	struct task *waiter = p->execing;
	if (waiter)
		task_wake(waiter);
	unlock(&p->sig_lock);
	unlock(&p->lock);
	__atomic_fetch_sub(&K->task_count, 1, __ATOMIC_RELAXED);
	if (p->user)
		__atomic_fetch_sub(&p->user->tasks, 1, __ATOMIC_RELAXED);
	return last;
}

void task_exit(u32 wait_status)
{
	struct task *t = current, *lender = t->lender;
	struct process *p = t->process;

	t->in_user = 0;
	t->exit_code = wait_status;
	stop_taking_signals(t);
	futex_task_exit(t);
	t->cpu_time = cpu_time_thread();
	leave_shared(t);
	/* The leader's number stays taken until the process is reaped, or is the
	 * number of the task that execs. */
	const bool leader = t == p->leader;
	const u32 tid = t->tid;
	const bool last = leave_process(t);
	const u32 status = p->group_exit_code;
	if (last)
		timers_exit(p);
	if (!leader)
		task_forget_tid(tid);
	if (last) {
		if (p->pid == p->sid)
			tty_session_ended(p);
		if (p == K->init)
			exit_statistics();
		process_zombie(p, status);
	}
	if (last && p == K->init) /* whose end is the instance's */
		instance_end(status);
	thread_block()->libos = lender;
	task_put(t); /* the thread's own reference */
	thread_leave(lender, status);
}

/* The picoprocess that was to run p's new program will never begin: its only
 * task ends here, by whoever heard of it. */
static void start_lost(struct process *p)
{
	struct task *t = p->leader;

	stop_taking_signals(t);
	task_set_mm(t, NULL); /* the old one was given up when it moved */
	exec_abandon(t);
	t->exit_code = SIGKILL;
	leave_shared(t);
	leave_process(t);
	timers_exit(p);
	if (p->pid == p->sid)
		tty_session_ended(p);
	process_zombie(p, SIGKILL);
	park_task_gone(true);
	task_put(t);
}

void processes_check_starting(void)
{
	struct process *lost;

	do {
		lost = NULL;
		lock(&K->tree_lock);
		list_for_each(pos, &K->starting) {
			struct process *p = list_entry(pos, struct process, starting_node);
			if (Dk(ProcessGetExitCode)(p->starting) < 0)
				continue;
			lost = p;
			list_del(&p->starting_node);
			Dk(ObjectClose)(p->starting);
			p->starting = 0;
			break;
		}
		unlock(&K->tree_lock);
		if (lost)
			start_lost(lost);
	} while (lost);
}

void process_exit(u32 wait_status)
{
	struct process *p = current->process;

	lock(&p->sig_lock);
	if (!p->group_exit) {
		p->group_exit = 1;
		p->group_exit_code = wait_status;
		process_end_others(p, TIF_EXIT);
	}
	unlock(&p->sig_lock);
	task_exit(p->group_exit_code);
}

/* exec: the caller alone remains, under the leader's number. */
int process_kill_others(void)
{
	struct task *t = current;
	struct process *p = t->process;

	lock(&p->sig_lock);
	if (p->group_exit || p->execing) {
		unlock(&p->sig_lock);
		return -ERESTARTNOINTR; /* somebody else's end or exec comes first */
	}
	p->execing = t;
	process_end_others(p, TIF_EXIT);
	for (;;) {
		wait_begin();
		const bool alone = p->task_count == 1;
		unlock(&p->sig_lock);
		if (alone)
			break;
		const int err = wait_sleep_flags(PICO_FOREVER, TIF_PARK);
		lock(&p->sig_lock);
		if (err && p->task_count != 1) { /* the others end when the instance goes on */
			p->execing = NULL;
			unlock(&p->sig_lock);
			return -ERESTARTNOINTR;
		}
	}
	if (t != p->leader) {
		lock(&K->tree_lock);
		struct task *old = K->pid_table[p->pid];
		K->pid_table[t->tid] = NULL;
		K->pid_table[p->pid] = t;
		t->tid = p->pid;
		p->leader = t;
		unlock(&K->tree_lock);
		task_put(old);
	}
	lock(&p->sig_lock);
	p->execing = NULL;
	unlock(&p->sig_lock);
	return 0;
}
