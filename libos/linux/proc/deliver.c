/* SPDX-License-Identifier: Apache-2.0
 *
 * The way back to the program: what a task has to look at first, signals
 * above all, and what becomes of a system call that one of them interrupted.
 */
#include "../arch/x86_64/entry.h"
#include "../lx/arch.h"
#include "../lx/proc.h"
#include "sets.h"

static void restart_call(struct task *t, s64 nr)
{
	t->regs->rax = (u64)nr;
	t->regs->rip -= 2; /* the system-call instruction again */
}

#define NR_RESTART_SYSCALL 219

/* A handler runs: the interrupted call fails, or is made again after it. */
static void restart_with_handler(struct task *t, const struct lx_sigaction *sa)
{
	if (t->orig_rax == (u64)-1)
		return;
	switch ((s64)t->regs->rax) {
	case -ERESTARTSYS:
		if (!(sa->flags & SA_RESTART)) {
			t->regs->rax = (u64)-EINTR;
			break;
		}
		restart_call(t, (s64)t->orig_rax);
		break;
	case -ERESTARTNOINTR:
		restart_call(t, (s64)t->orig_rax);
		break;
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		t->regs->rax = (u64)-EINTR;
		break;
	}
	t->orig_rax = (u64)-1;
}

static void restart_without_handler(struct task *t)
{
	const s64 result = (s64)t->regs->rax;

	if (t->orig_rax == (u64)-1)
		return;
	if (result == -ERESTART_RESTARTBLOCK)
		restart_call(t, NR_RESTART_SYSCALL);
	else if (result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND)
		restart_call(t, (s64)t->orig_rax);
	t->orig_rax = (u64)-1;
}

static void force_segv(struct task *t, int failed)
{
	if (failed == SIGSEGV) {
		lock(&t->process->sig_lock);
		t->process->sighand->actions[SIGSEGV].handler = HANDLER_DFL;
		unlock(&t->process->sig_lock);
	}
	signal_force(SIGSEGV, NULL);
}

static void run_handler(struct task *t, int signo, const struct lx_sigaction *sa, const struct lx_siginfo *info)
{
	const u64 old = t->flags & TIF_RESTORE_SIGMASK ? t->saved_sigmask : t->sigmask;
	const struct lx_sigaltstack alt = t->altstack;

	restart_with_handler(t, sa);
	if (alt.flags & (s32)SS_AUTODISARM)
		t->altstack = (struct lx_sigaltstack){ .flags = SS_DISABLE };
	struct lx_sigaltstack after = t->altstack;
	t->altstack = alt;
	if (arch_signal_frame(t, signo, sa, info, old)) {
		force_segv(t, signo);
		return;
	}
	t->altstack = after;
	__atomic_fetch_and(&t->flags, ~TIF_RESTORE_SIGMASK, __ATOMIC_SEQ_CST);
	signal_set_mask(t->sigmask | sa->mask | (sa->flags & SA_NODEFER ? 0 : SET(signo)));
}

/* One signal: true when a handler was entered or nothing is left. */
static bool deliver_one(struct task *t)
{
	struct process *p = t->process;
	struct lx_siginfo info;

	lock(&p->sig_lock);
	const int signo = p->group_exit ? 0 : signal_dequeue_locked(t, ~t->sigmask, &info);
	signal_recalc(t);
	if (!signo) {
		unlock(&p->sig_lock);
		return true;
	}
	const struct lx_sigaction sa = p->sighand->actions[signo];
	if (sa.handler > HANDLER_IGN && (sa.flags & SA_RESETHAND))
		p->sighand->actions[signo].handler = HANDLER_DFL;
	unlock(&p->sig_lock);

	if (sa.handler == HANDLER_IGN)
		return false;
	if (sa.handler != HANDLER_DFL) {
		run_handler(t, signo, &sa, &info);
		return true;
	}
	if (SET(signo) & IGNORE_SET)
		return false;
	if (SET(signo) & STOP_SET) {
		signal_begin_stop(p, signo, info.code);
		return true; /* TIF_STOP takes it from here */
	}
	process_exit((u32)signo | (SET(signo) & CORE_SET && core_dump(&info) ? 0x80u : 0));
}

void signal_deliver(void)
{
	while (!deliver_one(current)) {
	}
}

/* The way out to the program: nothing may be left to do when this returns. */
void user_exit_work(void)
{
	struct task *t = current;

	__atomic_store_n(&t->in_user, 0, __ATOMIC_RELAXED);
	for (;;) {
		if (unlikely(thread_block()->pending))
			interrupt_take();
		const u32 flags = __atomic_load_n(&t->flags, __ATOMIC_SEQ_CST) & TIF_WORK;
		if (likely(!flags))
			break;
		if (flags & TIF_EXIT)
			task_exit(t->process->group_exit ? t->process->group_exit_code : 0);
		if (flags & TIF_INTERRUPT)
			interrupt_take();
		if (flags & TIF_SYNC) {
			t->cpu_time = cpu_time_thread();
			__atomic_fetch_and(&t->flags, ~TIF_SYNC, __ATOMIC_SEQ_CST);
			__atomic_fetch_add(&t->sync_count, 1, __ATOMIC_SEQ_CST);
			wake_up(&K->sync_wait, 0);
		}
		if (flags & TIF_REMOTE)
			remote_serve();
		if (flags & TIF_CPUTIMER)
			cpu_timers_check();
		if (flags & TIF_PARK) {
			park();
			continue; /* what came meanwhile first */
		}
		if (flags & TIF_STOP)
			signal_stop_wait();
		else if (flags & TIF_SIGPENDING)
			signal_deliver();
		else if (flags & TIF_RESTORE_SIGMASK) {
			restart_without_handler(t);
			signal_restore_temporary_mask();
		}
	}
	restart_without_handler(t);
	arch_sanitize(t->regs);
}
