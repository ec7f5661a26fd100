/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals inside the kernel: masks, queues, who gets one, stopping. What is
 * taken from the queues on the way back to the program is deliver.c's matter;
 * the system calls are in sys/signal.c. Everything is under process->sig_lock.
 */
#include "../lx/arch.h"
#include "../lx/mem.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include "sets.h"
#include <linux/capability.h>
#include <linux/resource.h>

struct sigqueue {
	struct list node;
	struct lx_siginfo info;
	struct user *user;
};

static struct list *queue_of(struct sigpending *p) { return (struct list *)&p->queue; }

void sigpending_init(struct sigpending *p)
{
	p->set = 0;
	p->overflow = 0;
	list_init(queue_of(p));
}

/* ---- queues ---- */

static struct sigqueue *sigqueue_new(struct process *p, bool over_limit)
{
	struct user *u = p->user;

	if (u) {
		const u32 n = __atomic_add_fetch(&u->sigqueue, 1, __ATOMIC_RELAXED);
		if (!over_limit && n > p->rlimit[RLIMIT_SIGPENDING][0])
			goto out;
		__atomic_fetch_add(&u->references, 1, __ATOMIC_RELAXED);
	}
	struct sigqueue *q = kmalloc(sizeof(*q));
	if (q) {
		q->user = u;
		return q;
	}
	if (u)
		__atomic_fetch_sub(&u->references, 1, __ATOMIC_RELAXED);
out:
	if (u)
		__atomic_fetch_sub(&u->sigqueue, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void sigqueue_free(struct sigqueue *q)
{
	list_del(&q->node);
	if (q->user) {
		__atomic_fetch_sub(&q->user->sigqueue, 1, __ATOMIC_RELAXED);
		user_put(q->user);
	}
	kfree(q);
}

static void drop_signals(struct sigpending *p, u64 set)
{
	if (!(p->set & set))
		return;
	p->set &= ~set;
	list_for_each_safe(pos, next, queue_of(p)) {
		struct sigqueue *q = list_entry(pos, struct sigqueue, node);
		if (set & SET(q->info.signo))
			sigqueue_free(q);
	}
}

static void drop_everywhere(struct process *p, u64 set)
{
	drop_signals(&p->shared_pending, set);
	list_for_each(pos, &p->tasks)
		drop_signals(&list_entry(pos, struct task, process_node)->pending, set);
}

void signal_flush_task(struct task *t) { drop_signals(&t->pending, ~0ull); }
void signal_flush_process(struct process *p) { drop_signals(&p->shared_pending, ~0ull); }

static int first_signal(u64 set)
{
	if (set & SYNCHRONOUS_SET)
		set &= SYNCHRONOUS_SET;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

static int take_from(struct sigpending *p, u64 set, struct lx_siginfo *info)
{
	const int signo = first_signal(p->set & set);
	struct sigqueue *found = NULL;
	bool more = false;

	if (!signo)
		return 0;
	list_for_each(pos, queue_of(p)) {
		struct sigqueue *q = list_entry(pos, struct sigqueue, node);
		if (q->info.signo != signo)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = q;
	}
	if (found) {
		*info = found->info;
		sigqueue_free(found);
	} else { /* there was no memory for its story */
		*info = (struct lx_siginfo){ .signo = signo, .code = SI_USER };
	}
	if (!more)
		p->set &= ~SET(signo);
	return signo;
}

int signal_dequeue_locked(struct task *t, u64 set, struct lx_siginfo *info)
{
	int signo = take_from(&t->pending, set, info);

	if (!signo && (signo = take_from(&t->process->shared_pending, set, info)) == SIGALRM)
		itimer_signal_taken(t->process);
	if (signo && info->code == SI_TIMER)
		timer_signal_taken(t->process, info);
	return signo;
}

int signal_dequeue(u64 set, struct lx_siginfo *info)
{
	struct process *p = current->process;

	lock(&p->sig_lock);
	const int signo = signal_dequeue_locked(current, set & ~UNBLOCKABLE, info);
	signal_recalc(current);
	unlock(&p->sig_lock);
	return signo;
}

u64 signal_pending_set(struct task *t)
{
	struct process *p = t->process;

	lock(&p->sig_lock);
	const u64 set = t->pending.set | p->shared_pending.set;
	unlock(&p->sig_lock);
	return set;
}

/* ---- masks ---- */

void signal_recalc(struct task *t)
{
	if ((t->pending.set | t->process->shared_pending.set) & ~t->sigmask)
		__atomic_fetch_or(&t->flags, TIF_SIGPENDING, __ATOMIC_SEQ_CST);
	else if (t == current) /* others are left to find out themselves */
		__atomic_fetch_and(&t->flags, ~TIF_SIGPENDING, __ATOMIC_SEQ_CST);
}

static bool wants(struct task *t, int signo)
{
	if (t->exiting || (t->sigmask & SET(signo)))
		return false;
	return signo == SIGKILL || !(t->flags & TIF_STOP);
}

/* What t now blocks, others may take. */
static void retarget(struct process *p, struct task *from, u64 set)
{
	set &= p->shared_pending.set;
	if (!set || p->task_count < 2)
		return;
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		if (t != from && !t->exiting && (set & ~t->sigmask))
			task_kick(t, TIF_SIGPENDING);
	}
}

static void set_mask_locked(struct task *t, u64 mask)
{
	mask &= ~UNBLOCKABLE;
	const u64 newly_blocked = mask & ~t->sigmask;
	t->sigmask = mask;
	retarget(t->process, t, newly_blocked);
	signal_recalc(t);
}

void signal_set_mask(u64 mask)
{
	struct task *t = current;

	lock(&t->process->sig_lock);
	set_mask_locked(t, mask);
	unlock(&t->process->sig_lock);
}

void signal_set_temporary_mask(u64 mask)
{
	struct task *t = current;

	t->saved_sigmask = t->sigmask;
	__atomic_fetch_or(&t->flags, TIF_RESTORE_SIGMASK, __ATOMIC_SEQ_CST);
	signal_set_mask(mask);
}

void signal_restore_temporary_mask(void)
{
	struct task *t = current;

	if (!(t->flags & TIF_RESTORE_SIGMASK))
		return;
	__atomic_fetch_and(&t->flags, ~TIF_RESTORE_SIGMASK, __ATOMIC_SEQ_CST);
	signal_set_mask(t->saved_sigmask);
}

int user_sigset(uaddr set, u64 size, u64 *mask)
{
	if (size != sizeof(*mask))
		return -EINVAL;
	return get_user(*mask, set);
}

/* ---- sending ---- */

static bool ignored(struct process *p, struct task *t, int signo)
{
	const u64 blocked = t ? t->sigmask | (t->sigwait_open ? t->real_sigmask : 0) : 0;
	const u64 handler = p->sighand->actions[signo].handler;

	if (blocked & SET(signo))
		return false;
	return handler == HANDLER_IGN || (handler == HANDLER_DFL && (IGNORE_SET & SET(signo)));
}

/* Stopped or about to stop: go on. */
static void end_stop(struct process *p)
{
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		__atomic_fetch_and(&t->flags, ~TIF_STOP, __ATOMIC_SEQ_CST);
		signal_recalc(t); /* what came meanwhile */
		if (t->stopped)
			task_wake(t);
	}
}

/* Side effects on other signals; false: nobody will ever see this one. */
static bool prepare(struct process *p, struct task *t, int signo)
{
	if (p->state == PROCESS_ZOMBIE || p->state == PROCESS_DEAD || (p->group_exit && signo != SIGKILL))
		return false;
	if (SET(signo) & STOP_SET) {
		drop_everywhere(p, SET(SIGCONT));
	} else if (signo == SIGCONT) {
		drop_everywhere(p, STOP_SET);
		if (p->state == PROCESS_STOPPED || p->stop_count) {
			p->wait_stopped = 0;
			if (p->state == PROCESS_STOPPED) {
				p->wait_continued = 1;
				p->notify_continued = 1;
			}
			p->state = PROCESS_RUNNING;
			p->stop_count = 0;
			end_stop(p);
		}
	}
	return !ignored(p, t ? t : p->leader, signo);
}

/* All tasks but the caller's are to end. */
void process_end_others(struct process *p, u32 tif)
{
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		__atomic_fetch_and(&t->flags, ~TIF_STOP, __ATOMIC_SEQ_CST);
		if (t == current)
			continue;
		__atomic_fetch_or(&t->flags, tif, __ATOMIC_SEQ_CST);
		if (t->stopped)
			task_wake(t);
		else
			task_kick_raw(t);
	}
}

static bool fatal(struct process *p, int signo)
{
	return signo == SIGKILL || (p->sighand->actions[signo].handler == HANDLER_DFL && !(SET(signo) & (STOP_SET | IGNORE_SET | CORE_SET)));
}

static struct task *choose(struct process *p, int signo)
{
	struct task *second = NULL;

	if (p->leader && wants(p->leader, signo))
		return p->leader;
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		if (!wants(t, signo))
			continue;
		if (!(t->flags & TIF_SIGPENDING))
			return t;
		second = t;
	}
	return second;
}

/* The task to tell, once the lock is let go: to interrupt a running thread is a
 * request to the host. NULL: nobody. A reference is taken. */
static struct task *complete(struct process *p, struct task *t, int signo)
{
	if (!t || !wants(t, signo))
		t = t ? NULL : choose(p, signo);
	/* One that waits for it in sigtimedwait does not die of it. */
	const bool awaited = t && t->sigwait_open && (t->real_sigmask & SET(signo));
	if (signo == SIGKILL || (t && !awaited && fatal(p, signo))) {
		if (signo == SIGKILL && p->state == PROCESS_STOPPED)
			p->state = PROCESS_RUNNING;
		if (!p->group_exit) {
			p->group_exit = 1;
			p->group_exit_code = (u32)signo;
		}
		process_end_others(p, TIF_EXIT);
		if (current && current->process == p)
			__atomic_fetch_or(&current->flags, TIF_EXIT, __ATOMIC_SEQ_CST);
		return NULL;
	}
	if (!t)
		return NULL;
	__atomic_fetch_or(&t->flags, TIF_SIGPENDING, __ATOMIC_SEQ_CST);
	if (t == current)
		return NULL;
	ref_get(&t->ref);
	return t;
}

static void tell(struct task *t)
{
	if (!t)
		return;
	task_kick_raw(t);
	task_put(t);
}

static int queue(struct process *p, struct sigpending *pending, int signo, const struct lx_siginfo *info)
{
	const bool realtime = signo >= 32;

	if (!realtime && (pending->set & SET(signo)))
		return 0;
	struct sigqueue *q = sigqueue_new(p, !realtime && (!info || info->code >= 0));
	if (q) {
		if (info)
			q->info = *info;
		else
			q->info = (struct lx_siginfo){ .code = SI_KERNEL };
		q->info.signo = signo;
		list_add_tail(queue_of(pending), &q->node);
	} else if (realtime && info && info->code != SI_USER) {
		return -EAGAIN;
	}
	pending->set |= SET(signo);
	return 0;
}

/* sig_lock held. t NULL: to the process. */
static int send_locked(struct process *p, struct task *t, int signo, const struct lx_siginfo *info, struct task **whom)
{
	if (!prepare(p, t, signo))
		return 0;
	int err = queue(p, t ? &t->pending : &p->shared_pending, signo, info);
	if (err)
		return err;
	*whom = complete(p, t, signo);
	wake_up(&p->signal_wait, 1 /* EPOLLIN: signalfd */);
	return 0;
}

bool signal_queue_timer(struct process *p, struct task *t, int signo, const struct lx_siginfo *info)
{
	struct sigpending *pending = t ? &t->pending : &p->shared_pending;
	struct sigqueue *q;

	if ((t && t->exiting) || !prepare(p, t, signo) || !(q = sigqueue_new(p, true)))
		return false;
	q->info = *info;
	list_add_tail(queue_of(pending), &q->node);
	pending->set |= SET(signo);
	tell(complete(p, t, signo));
	wake_up(&p->signal_wait, 1);
	return true;
}

int signal_send_task(struct task *t, int signo, const struct lx_siginfo *info)
{
	struct process *p = t->process;
	struct task *whom = NULL;

	if (!signo || p == K->root)
		return 0;
	lock(&p->sig_lock);
	int err = t->exiting ? 0 : send_locked(p, t, signo, info, &whom);
	unlock(&p->sig_lock);
	tell(whom);
	return err;
}

int signal_send_process(struct process *p, int signo, const struct lx_siginfo *info)
{
	struct task *whom = NULL;

	if (!signo || p == K->root)
		return 0;
	lock(&p->sig_lock);
	int err = send_locked(p, NULL, signo, info, &whom);
	unlock(&p->sig_lock);
	tell(whom);
	return err;
}

int signal_send_pgrp(u32 pgid, int signo, const struct lx_siginfo *info)
{
	int err = -ESRCH;

	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (p->pgid == pgid && p != K->root) {
			int e = signal_send_process(p, signo, info);
			if (err)
				err = e;
		}
	}
	unlock(&K->tree_lock);
	return err;
}

void signal_force(int signo, const struct lx_siginfo *info)
{
	struct task *t = current;
	struct process *p = t->process;
	struct lx_sigaction *sa = &p->sighand->actions[signo];
	struct task *whom = NULL; /* it is us */

	lock(&p->sig_lock);
	if ((t->sigmask & SET(signo)) || sa->handler == HANDLER_IGN) {
		sa->handler = HANDLER_DFL;
		t->sigmask &= ~SET(signo);
		signal_recalc(t);
	}
	send_locked(p, t, signo, info, &whom);
	unlock(&p->sig_lock);
}

/* kill(2): may the current process send this to p? */
int signal_may_send(struct process *p, int signo)
{
	const struct creds *c = &current->process->creds, *o = &p->creds;

	if (p == current->process || capable(CAP_KILL))
		return 0;
	if (c->euid == o->suid || c->euid == o->uid || c->uid == o->suid || c->uid == o->uid)
		return 0;
	return signo == SIGCONT && p->sid == current->process->sid ? 0 : -EPERM;
}

void signal_drop_ignored(struct process *p, int signo)
{
	const u64 handler = p->sighand->actions[signo].handler;

	if (handler == HANDLER_IGN || (handler == HANDLER_DFL && (IGNORE_SET & SET(signo))))
		drop_everywhere(p, SET(signo));
}

void signal_exec(struct process *p)
{
	lock(&p->sig_lock);
	for (int n = 1; n <= 64; n++)
		p->sighand->actions[n] = (struct lx_sigaction){ .handler = p->sighand->actions[n].handler == HANDLER_IGN ? HANDLER_IGN : HANDLER_DFL };
	unlock(&p->sig_lock);
	current->altstack = (struct lx_sigaltstack){ .flags = SS_DISABLE };
}

/* ---- parents ---- */

void signal_notify_parent(struct process *p, int code, u32 status)
{
	struct process *parent = p->parent;
	struct lx_siginfo info = { .signo = SIGCHLD, .code = code };

	if (!parent || parent == K->root)
		return;
	info.child.pid = (s32)p->pid;
	info.child.uid = p->creds.uid;
	info.child.status = (s32)status;
	info.child.utime = (s64)(p->cpu_time_dead / 10000000);
	const struct lx_sigaction *sa = &parent->sighand->actions[SIGCHLD];
	const bool about_stop = code == CLD_STOPPED || code == CLD_CONTINUED;
	if (sa->handler != HANDLER_IGN && !(about_stop && (sa->flags & SA_NOCLDSTOP)))
		signal_send_process(parent, SIGCHLD, &info);
	wake_up(&parent->child_wait, 0);
}

static void notify_locked(struct process *p, int code, u32 status)
{
	lock(&K->tree_lock);
	signal_notify_parent(p, code, status);
	unlock(&K->tree_lock);
}

/* ---- stopping ---- */

/* Somebody outside the group, of its session, could wake this member of it. The
 * first program's is the host's shell, where there is a terminal. */
static bool has_keeper(const struct process *p)
{
	if (p == K->init)
		return p->tty && p->sid == p->pid;
	return p->parent && p->parent != K->root && p->parent->pgid != p->pgid && p->parent->sid == p->sid;
}

bool process_group_orphaned(u32 pgid)
{
	bool orphaned = true;

	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (p->pgid == pgid && p->state != PROCESS_ZOMBIE && has_keeper(p))
			orphaned = false;
	}
	unlock(&K->tree_lock);
	return orphaned;
}

/* The host's word that the first program stands still, or goes on. Others may
 * change that meanwhile: the last to speak has looked again. */
static void tell_host(const struct process *p)
{
	u32 state;

	if (p != K->init)
		return;
	do {
		state = __atomic_load_n(&p->state, __ATOMIC_SEQ_CST);
		printk(state == PROCESS_STOPPED ? "state:stopped" : "state:running");
	} while (state != __atomic_load_n(&p->state, __ATOMIC_SEQ_CST));
}

void signal_begin_stop(struct process *p, int signo, int code)
{
	/* What this kernel itself sends to the first program, the host has sent. */
	const bool by_host = p == K->init && code == SI_KERNEL;

	if (signo != SIGSTOP && !by_host && process_group_orphaned(p->pgid))
		return;
	lock(&p->sig_lock);
	if (!p->group_exit && !(p->shared_pending.set & SET(SIGCONT))) {
		p->stop_signal = (u32)signo;
		p->stop_count = 0;
		list_for_each(pos, &p->tasks) {
			struct task *t = list_entry(pos, struct task, process_node);
			if (t->stopped || t->exiting)
				continue;
			p->stop_count++;
			task_kick(t, TIF_STOP);
		}
	}
	unlock(&p->sig_lock);
}

void signal_stop_wait(void)
{
	struct task *t = current;
	struct process *p = t->process;

	lock(&p->sig_lock);
	bool tell = false;
	if ((t->flags & TIF_STOP) && !t->stopped) {
		t->stopped = 1;
		if (p->stop_count && --p->stop_count == 0) {
			p->state = PROCESS_STOPPED;
			p->wait_stopped = 1;
			p->wait_continued = 0;
			tell = true;
		}
	}
	unlock(&p->sig_lock);
	if (tell) {
		notify_locked(p, CLD_STOPPED, p->stop_signal);
		tell_host(p);
	}
	for (;;) {
		wait_begin();
		const u32 flags = __atomic_load_n(&t->flags, __ATOMIC_SEQ_CST);
		if (!(flags & TIF_STOP) || (flags & TIF_EXIT))
			break;
		if (flags & TIF_PARK)
			park();
		else
			wait_sleep_flags(PICO_FOREVER, TIF_PARK | TIF_EXIT);
	}
	lock(&p->sig_lock);
	t->stopped = 0;
	tell = p->notify_continued;
	p->notify_continued = 0;
	unlock(&p->sig_lock);
	if (tell) {
		notify_locked(p, CLD_CONTINUED, SIGCONT);
		tell_host(p);
	}
}
