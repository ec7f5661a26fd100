/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits and the use of resources. Limits are a process's own; who enforces
 * one reads it with rlimit_get().
 */
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/resource.h>

_Static_assert(RLIM_NLIMITS == RLIM_COUNT, "");

struct limit { u64 soft, hard; };

static int set_limit(struct process *p, u32 which, const struct limit *l)
{
	if (l->soft > l->hard)
		return -EINVAL;
	if (which == RLIMIT_NOFILE && l->hard > (1u << 20))
		return -EPERM; /* what /proc/sys/fs/nr_open allows at most */
	if (l->hard > p->rlimit[which][1] && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	lock(&p->lock);
	p->rlimit[which][0] = l->soft;
	p->rlimit[which][1] = l->hard;
	unlock(&p->lock);
	if (which == RLIMIT_CPU && p == current->process) {
		p->cpu_limit_next = 0;
		cpu_timers_schedule(p);
	}
	return 0;
}

/* Same owner in all of its ids, or the right to do it anyway. */
static bool may_set(const struct process *p)
{
	const struct creds *c = &current->process->creds, *o = &p->creds;

	return p == current->process || capable(CAP_SYS_RESOURCE) ||
		(c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid && c->gid == o->sgid && c->gid == o->gid);
}

static s64 limits(s32 pid, u32 which, uaddr new_at, uaddr old_at)
{
	struct limit new, old;

	if (which >= RLIM_COUNT)
		return -EINVAL;
	if (new_at && get_user(new, new_at))
		return -EFAULT;
	struct task *t = task_by_tid(pid ? (u32)pid : current->tid);
	if (!t)
		return -ESRCH;
	struct process *p = t->process;
	old = (struct limit){ p->rlimit[which][0], p->rlimit[which][1] };
	s64 err = !may_set(p) ? -EPERM : new_at ? set_limit(p, which, &new) : 0;
	task_put(t);
	return err ? err : old_at && put_user(old, old_at) ? -EFAULT : 0;
}

SYSCALL(prlimit64) { return limits((s32)a[0], (u32)a[1], a[2], a[3]); }

SYSCALL(getrlimit)
{
	const u32 which = (u32)a[0];

	if (which >= RLIM_COUNT)
		return -EINVAL;
	const struct limit l = { current->process->rlimit[which][0], current->process->rlimit[which][1] };
	return put_user(l, a[1]);
}

SYSCALL(setrlimit)
{
	struct limit l;

	if (get_user(l, a[1]))
		return -EFAULT;
	return (u32)a[0] >= RLIM_COUNT ? -EINVAL : set_limit(current->process, (u32)a[0], &l);
}

/* ---- use ---- */

struct lx_rusage {
	struct lx_timeval utime, stime;
	s64 maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};

/* The host counts a picoprocess's time as a whole: it is all called user time. */
static struct lx_timeval split(u64 ns)
{
	return (struct lx_timeval){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) };
}

SYSCALL(getrusage)
{
	struct process *p = current->process;
	struct lx_rusage r;

	memset(&r, 0, sizeof(r));
	switch ((s32)a[0]) {
	case RUSAGE_SELF:
		r.utime = split(cpu_time_process());
		break;
	case RUSAGE_THREAD:
		r.utime = split(cpu_time_thread());
		break;
	case RUSAGE_CHILDREN:
		r.utime = split(p->utime_children);
		r.maxrss = (s64)p->maxrss;
		return put_user(r, a[1]);
	default:
		return -EINVAL;
	}
	r.maxrss = (s64)(MAX(mm_rss(current->mm), current->mm->hiwater_rss) / 1024);
	r.minflt = (s64)p->minflt;
	r.inblock = (s64)p->inblock;
	return put_user(r, a[1]);
}
