/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls about signals. What a signal does is in proc/signal.c; here
 * arguments are checked and the program's structures read and written.
 */
#include "../lx/arch.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/signal.h>

#define UNBLOCKABLE (SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))
#define SA_KNOWN (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | 0x800ul | 0x04000000ul)
#define SA_EXPOSE_TAGBITS_ 0x800ul

static bool valid(u64 signo) { return signo <= 64; }

/* ---- actions and masks ---- */

SYSCALL(rt_sigaction)
{
	const u64 signo = (u32)a[0];
	struct process *p = current->process;
	struct lx_sigaction new, old;

	if (a[3] != 8)
		return -EINVAL;
	if (a[1] && get_user(new, a[1]))
		return -EFAULT;
	if (signo < 1 || signo > 64 || (a[1] && (signo == SIGKILL || signo == SIGSTOP)))
		return -EINVAL;
	lock(&p->sig_lock);
	old = p->sighand->actions[signo];
	if (a[1]) {
		new.flags &= SA_KNOWN & ~SA_EXPOSE_TAGBITS_; /* how a program finds out what we know */
		new.mask &= ~UNBLOCKABLE;
		p->sighand->actions[signo] = new;
		signal_drop_ignored(p, (int)signo);
	}
	unlock(&p->sig_lock);
	return a[2] && put_user(old, a[2]) ? -EFAULT : 0;
}

SYSCALL(rt_sigprocmask)
{
	struct task *t = current;
	const u64 old = t->sigmask;
	u64 set;

	if (a[3] != 8)
		return -EINVAL;
	if (a[1]) {
		if (get_user(set, a[1]))
			return -EFAULT;
		switch ((s32)a[0]) {
		case SIG_BLOCK: set |= old; break;
		case SIG_UNBLOCK: set = old & ~set; break;
		case SIG_SETMASK: break;
		default: return -EINVAL;
		}
		signal_set_mask(set);
	}
	return a[2] && put_user(old, a[2]) ? -EFAULT : 0;
}

SYSCALL(rt_sigpending)
{
	if (a[1] > 8)
		return -EINVAL;
	const u64 set = signal_pending_set(current) & current->sigmask;
	return copy_to_user(a[0], &set, a[1]);
}

SYSCALL(rt_sigreturn) { return arch_sigreturn(current); }

SYSCALL(sigaltstack)
{
	struct task *t = current;
	struct lx_sigaltstack new, old = t->altstack;
	const u64 sp = t->regs->rsp;
	const bool on = !(old.flags & (s32)SS_AUTODISARM) && sp > old.sp && sp - old.sp <= old.size;

	if (a[0]) {
		if (get_user(new, a[0]))
			return -EFAULT;
		const s32 mode = new.flags & ~(s32)SS_AUTODISARM;
		if (on)
			return -EPERM;
		if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
			return -EINVAL;
		if (mode == SS_DISABLE) {
			new.size = 0;
			new.sp = 0;
		} else if (new.size < MINSIGSTKSZ) {
			return -ENOMEM;
		}
		t->altstack = new;
	}
	if (a[1]) {
		old.flags = (!old.size ? SS_DISABLE : on ? SS_ONSTACK : 0) | (old.flags & (s32)SS_AUTODISARM);
		old.pad = 0;
		if (put_user(old, a[1]))
			return -EFAULT;
	}
	return 0;
}

/* ---- waiting for them ---- */

static s64 wait_for_any(void)
{
	do
		wait_begin();
	while (wait_sleep(PICO_FOREVER) != -ERESTARTSYS);
	return -ERESTARTNOHAND;
}

SYSCALL(pause) { return wait_for_any(); }

SYSCALL(rt_sigsuspend)
{
	u64 mask;
	int err = user_sigset(a[0], a[1], &mask);

	if (err)
		return err;
	signal_set_temporary_mask(mask);
	return wait_for_any();
}

static int take_now(struct task *t, u64 set, struct lx_siginfo *info)
{
	struct process *p = t->process;

	lock(&p->sig_lock);
	int signo = signal_dequeue_locked(t, set, info);
	signal_recalc(t);
	unlock(&p->sig_lock);
	return signo;
}

/* While it waits the signals are not blocked, so that senders choose this task. */
static void open_mask(struct task *t, u64 set)
{
	struct process *p = t->process;

	lock(&p->sig_lock);
	t->real_sigmask = t->sigmask;
	t->sigwait_open = 1;
	t->sigmask &= ~set;
	signal_recalc(t);
	unlock(&p->sig_lock);
}

static int close_mask(struct task *t, u64 set, struct lx_siginfo *info)
{
	struct process *p = t->process;

	lock(&p->sig_lock);
	t->sigmask = t->real_sigmask;
	t->sigwait_open = 0;
	int signo = signal_dequeue_locked(t, set, info);
	signal_recalc(t);
	unlock(&p->sig_lock);
	return signo;
}

static s64 sigwait_until(u64 set, uaddr info_at, u64 deadline)
{
	struct task *t = current;
	struct lx_siginfo info;
	int err = 0, signo = take_now(t, set, &info);

	if (!signo && deadline) {
		open_mask(t, set);
		wait_begin();
		while (!(err = wait_sleep(deadline)))
			wait_begin();
		signo = close_mask(t, set, &info);
	}
	if (signo)
		return info_at && put_user(info, info_at) ? -EFAULT : signo;
	if (err != -ERESTARTSYS)
		return -EAGAIN;
	t->restart_args[0] = set;
	t->restart_args[1] = info_at;
	t->restart_args[2] = deadline;
	return -ERESTART_RESTARTBLOCK; /* EINTR with a handler; a park goes on waiting */
}

static long sigwait_restart(struct task *t)
{
	return sigwait_until(t->restart_args[0], t->restart_args[1], t->restart_args[2]);
}

SYSCALL(rt_sigtimedwait)
{
	u64 set, deadline = PICO_FOREVER;
	struct lx_timespec ts;
	int err = user_sigset(a[0], a[3], &set);

	if (err)
		return err;
	if (a[2]) {
		if (get_user(ts, a[2]))
			return -EFAULT;
		if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (s64)NSEC_PER_SEC)
			return -EINVAL;
		if (!ts.sec && !ts.nsec)
			deadline = 0;
		else if ((err = deadline_from_timespec(&ts, 1, false, &deadline)))
			return err;
	}
	current->restart = sigwait_restart;
	return sigwait_until(set & ~UNBLOCKABLE, a[1], deadline);
}

SYSCALL(restart_syscall)
{
	long (*fn)(struct task *) = current->restart;
	return fn ? fn(current) : -EINTR;
}

/* ---- sending ---- */

static struct lx_siginfo info_from_us(int code)
{
	struct lx_siginfo info = { .code = code };

	info.rt.pid = (s32)current->process->pid;
	info.rt.uid = current->process->creds.uid;
	return info;
}

static int send_checked(struct process *p, int signo, const struct lx_siginfo *info)
{
	if (!valid((u64)(u32)signo))
		return -EINVAL;
	int err = signal_may_send(p, signo);
	return err ? err : signal_send_process(p, signo, info);
}

/* Everyone in a group (pgid), or everyone but us and pid 1 (pgid 0). */
static s64 send_many(u32 pgid, int signo, const struct lx_siginfo *info)
{
	int found = 0, done = 0, err = -ESRCH;

	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (pgid ? p->pgid != pgid : p == K->root || p == current->process)
			continue;
		found++;
		int e = send_checked(p, signo, info);
		if (!e)
			done++;
		if (e != -EPERM || err == -ESRCH)
			err = e;
	}
	unlock(&K->tree_lock);
	return done ? 0 : found ? err : -ESRCH;
}

SYSCALL(kill)
{
	const s32 pid = (s32)a[0];
	const int signo = (s32)a[1];
	const struct lx_siginfo info = info_from_us(SI_USER);

	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid <= 0)
		return send_many(pid == 0 ? current->process->pgid : pid == -1 ? 0 : (u32)-pid, signo, &info);
	struct task *t = task_by_tid((u32)pid);
	if (!t)
		return -ESRCH;
	int err = send_checked(t->process, signo, &info);
	task_put(t);
	return err;
}

static s64 send_thread(s32 tgid, s32 tid, int signo, const struct lx_siginfo *info)
{
	struct task *t = task_by_tid((u32)tid);
	s64 err = -ESRCH;

	if (!t)
		return -ESRCH;
	if (tgid <= 0 || t->process->pid == (u32)tgid) {
		err = !valid((u64)(u32)signo) ? -EINVAL : signal_may_send(t->process, signo);
		if (!err && signo)
			err = signal_send_task(t, signo, info);
	}
	task_put(t);
	return err;
}

SYSCALL(tkill)
{
	const struct lx_siginfo info = info_from_us(SI_TKILL);
	return (s32)a[0] <= 0 ? -EINVAL : send_thread(0, (s32)a[0], (s32)a[1], &info);
}

SYSCALL(tgkill)
{
	const struct lx_siginfo info = info_from_us(SI_TKILL);
	return (s32)a[0] <= 0 || (s32)a[1] <= 0 ? -EINVAL : send_thread((s32)a[0], (s32)a[1], (s32)a[2], &info);
}

/* Only to oneself may one say what the kernel or kill(2) says. */
static int user_info(uaddr at, int signo, s32 pid, struct lx_siginfo *info)
{
	if (get_user(*info, at))
		return -EFAULT;
	info->signo = signo;
	return (info->code >= 0 || info->code == SI_TKILL) && (u32)pid != current->process->pid ? -EPERM : 0;
}

SYSCALL(rt_sigqueueinfo)
{
	struct lx_siginfo info;
	int err = user_info(a[2], (s32)a[1], (s32)a[0], &info);

	if (err)
		return err;
	struct task *t = (s32)a[0] > 0 ? task_by_tid((u32)a[0]) : NULL;
	if (!t)
		return -ESRCH;
	err = send_checked(t->process, (s32)a[1], &info);
	task_put(t);
	return err;
}

SYSCALL(rt_tgsigqueueinfo)
{
	struct lx_siginfo info;

	if (get_user(info, a[3]))
		return -EFAULT;
	info.signo = (s32)a[2];
	if ((s32)a[0] <= 0 || (s32)a[1] <= 0)
		return -EINVAL;
	if ((info.code >= 0 || info.code == SI_TKILL) && (u32)a[1] != current->tid)
		return -EPERM;
	return send_thread((s32)a[0], (s32)a[1], (s32)a[2], &info);
}
