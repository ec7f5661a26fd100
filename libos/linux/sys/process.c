/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of processes: who is whose child, process groups, sessions. The
 * first program is pid 2 with the parent 1, so that nothing treats it as init.
 */
#include "../lx/proc.h"
#include "../lx/syscall.h"

SYSCALL(getpid) { return current->process->pid; }
SYSCALL(gettid) { return current->tid; }
SYSCALL(getppid) { return current->process->ppid; }
SYSCALL(getpgrp) { return current->process->pgid; }

/* pid 0 is the caller. Reference taken; NULL: none. */
static struct process *by_pid(s32 pid)
{
	if (pid == 0) {
		ref_get(&current->process->ref);
		return current->process;
	}
	struct task *t = pid > 0 ? task_by_tid((u32)pid) : NULL;
	if (!t)
		return NULL;
	struct process *p = t->process;
	ref_get(&p->ref);
	task_put(t);
	return p;
}

SYSCALL(getpgid)
{
	struct process *p = by_pid((s32)a[0]);
	s64 r = p ? (s64)p->pgid : -ESRCH;
	process_put(p);
	return r;
}

SYSCALL(getsid)
{
	struct process *p = by_pid((s32)a[0]);
	s64 r = p ? (s64)p->sid : -ESRCH;
	process_put(p);
	return r;
}

/* tree_lock held: a group of the session. */
static bool group_in_session(u32 pgid, u32 sid)
{
	list_for_each(pos, &K->processes) {
		const struct process *p = list_entry(pos, struct process, all_node);
		if (p->pgid == pgid && p->sid == sid)
			return true;
	}
	return false;
}

static int may_set_group(struct process *p, u32 pgid)
{
	struct process *self = current->process;

	if (p->parent == self) {
		if (p->sid != self->sid)
			return -EPERM;
		if (p->has_execed)
			return -EACCES;
	} else if (p != self) {
		return -ESRCH;
	}
	if (p->sid == p->pid)
		return -EPERM;
	return pgid == p->pid || group_in_session(pgid, self->sid) ? 0 : -EPERM;
}

SYSCALL(setpgid)
{
	const s32 pgid = (s32)a[1];

	if (pgid < 0)
		return -EINVAL;
	struct process *p = by_pid((s32)a[0]);
	if (!p)
		return -ESRCH;
	if ((s32)a[0] > 0 && p->pid != (u32)a[0]) { /* a thread's number */
		process_put(p);
		return -EINVAL;
	}
	lock(&K->tree_lock);
	const u32 to = pgid ? (u32)pgid : p->pid;
	int err = p->state == PROCESS_ZOMBIE ? -ESRCH : may_set_group(p, to);
	if (!err)
		p->pgid = to;
	unlock(&K->tree_lock);
	process_put(p);
	return err;
}

SYSCALL(setsid)
{
	struct process *p = current->process;
	int err = 0;

	lock(&K->tree_lock);
	if (p->sid == p->pid)
		err = -EPERM;
	list_for_each(pos, &K->processes)
		if (list_entry(pos, struct process, all_node)->pgid == p->pid)
			err = -EPERM;
	if (!err) {
		p->sid = p->pgid = p->pid;
		p->tty = NULL;
	}
	unlock(&K->tree_lock);
	return err ? err : (s64)p->pid;
}
