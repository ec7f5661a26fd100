/* SPDX-License-Identifier: Apache-2.0
 *
 * wait4 and waitid: events of children, found by walking the list of them
 * under the tree's lock.
 */
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/signal.h>
#include <linux/wait.h>

struct lx_rusage { struct lx_timeval utime, stime; s64 counts[14]; };
enum { WHICH_ALL = P_ALL, WHICH_PID = P_PID, WHICH_PGID = P_PGID };

struct wanted { u32 which, id; u32 options; };
struct event { u32 pid, uid; u32 status; /* as wait4 gives it */ int code; u32 value; u64 cpu; };

static bool matches(const struct wanted *w, const struct process *c)
{
	if ((w->which == WHICH_PID && c->pid != w->id) || (w->which == WHICH_PGID && c->pgid != w->id))
		return false;
	/* "Clone children" are those that do not end with SIGCHLD. */
	return (w->options & __WALL) || !!(w->options & __WCLONE) == (c->exit_signal != SIGCHLD);
}

static void take_zombie(const struct wanted *w, struct process *c, struct event *e)
{
	const u32 s = c->exit_status;

	e->status = s;
	e->code = s & 0x7f ? (s & 0x80 ? CLD_DUMPED : CLD_KILLED) : CLD_EXITED;
	e->value = s & 0x7f ? s & 0x7f : (s >> 8) & 0xff;
	e->cpu = c->cpu_time_dead + c->utime_children;
	if (w->options & WNOWAIT)
		return;
	struct process *p = current->process;
	p->utime_children += e->cpu;
	p->maxrss = MAX(p->maxrss, c->maxrss);
	process_release(c);
}

/* tree_lock held. True: an event of c was taken. */
static bool take(const struct wanted *w, struct process *c, struct event *e)
{
	const bool keep = w->options & WNOWAIT;

	e->pid = c->pid;
	e->uid = c->creds.uid;
	if (c->state == PROCESS_ZOMBIE && (w->options & WEXITED)) {
		take_zombie(w, c, e);
		return true;
	}
	if (c->state == PROCESS_STOPPED && c->wait_stopped && (w->options & WSTOPPED)) {
		e->status = 0x7f | c->stop_signal << 8;
		e->code = CLD_STOPPED;
		e->value = c->stop_signal;
		c->wait_stopped = keep;
		return true;
	}
	if (c->wait_continued && (w->options & WCONTINUED)) {
		e->status = 0xffff;
		e->code = CLD_CONTINUED;
		e->value = SIGCONT;
		c->wait_continued = keep;
		return true;
	}
	return false;
}

/* 1: event; 0: none yet; -ECHILD: nothing to wait for. */
static int look(const struct wanted *w, struct event *e)
{
	int found = -ECHILD;

	lock(&K->tree_lock);
	list_for_each(pos, &current->process->children) {
		struct process *c = list_entry(pos, struct process, sibling);
		if (!matches(w, c))
			continue;
		found = 0;
		if (take(w, c, e)) {
			found = 1;
			break;
		}
	}
	unlock(&K->tree_lock);
	return found;
}

static int wait_for_child(const struct wanted *w, struct event *e)
{
	struct wait_entry *entry = &current->wait_slot;
	int r, err = 0;

	wait_begin();
	wait_add(&current->process->child_wait, entry);
	while ((r = look(w, e)) == 0 && !(w->options & WNOHANG)) {
		err = wait_sleep(PICO_FOREVER);
		wait_begin();
		if (err) { /* perhaps by SIGCHLD: the child comes first */
			r = look(w, e);
			break;
		}
	}
	wait_remove(entry);
	return err && r == 0 ? err : r;
}

static int put_rusage(uaddr at, u64 cpu)
{
	struct lx_rusage r = { .utime = { (s64)(cpu / NSEC_PER_SEC), (s64)(cpu % NSEC_PER_SEC / 1000) } };
	return at ? put_user(r, at) : 0;
}

SYSCALL(wait4)
{
	const s32 pid = (s32)a[0];
	const u32 options = (u32)a[2];
	struct wanted w = { .options = options | WEXITED };
	struct event e;

	if (options & ~(u32)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	w.which = pid == -1 ? WHICH_ALL : pid > 0 ? WHICH_PID : WHICH_PGID;
	w.id = pid > 0 ? (u32)pid : pid == 0 ? current->process->pgid : (u32)-pid;
	int r = wait_for_child(&w, &e);
	if (r <= 0)
		return r;
	if (put_rusage(a[3], e.cpu) || (a[1] && put_user(e.status, a[1])))
		return -EFAULT;
	return e.pid;
}

static int id_of_pidfd(int fd, u32 *pid, bool *nonblock)
{
	struct process *p = pidfd_process(fd, nonblock);

	if (!p)
		return -EBADF;
	*pid = p->pid;
	process_put(p);
	return 0;
}

SYSCALL(waitid)
{
	const u32 options = (u32)a[3];
	struct wanted w = { .which = (u32)a[0], .id = (u32)a[1], .options = options };
	struct lx_siginfo info;
	struct event e = { 0 };
	bool nonblock = false;

	if (options & ~(u32)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch (w.which) {
	case P_ALL:
		break;
	case P_PID:
		if ((s32)a[1] <= 0)
			return -EINVAL;
		break;
	case P_PGID:
		if ((s32)a[1] < 0)
			return -EINVAL;
		if (!w.id)
			w.id = current->process->pgid;
		break;
	case P_PIDFD:
		if ((s32)a[1] < 0)
			return -EINVAL;
		w.which = P_PID;
		int err = id_of_pidfd((s32)a[1], &w.id, &nonblock);
		if (err)
			return err;
		break;
	default:
		return -EINVAL;
	}
	if (nonblock)
		w.options |= WNOHANG;
	int r = wait_for_child(&w, &e);
	if (!r && nonblock && !(options & WNOHANG))
		r = -EAGAIN;
	memset(&info, 0, sizeof(info));
	if (r > 0) {
		info.signo = SIGCHLD;
		info.code = e.code;
		info.child.pid = (s32)e.pid;
		info.child.uid = e.uid;
		info.child.status = (s32)e.value;
		if (put_rusage(a[4], e.cpu))
			return -EFAULT;
	}
	/* Linux writes these fields, also when there is no child, and leaves the others alone. */
	if (a[2] && copy_to_user(a[2], &info, offsetof(struct lx_siginfo, child) + 12))
		return -EFAULT;
	return r < 0 ? r : 0;
}
