/* SPDX-License-Identifier: Apache-2.0
 *
 * Scheduling. The host's kernel schedules; what programs ask for is checked
 * and remembered, so that they read back what they set, and has no effect.
 */
#include "../lx/arch.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/resource.h>
#include <linux/sched.h>

#define RT_MIN 1
#define RT_MAX 99

SYSCALL(sched_yield)
{
	Dk(ThreadYieldExecution)();
	return 0;
}

static bool owns(const struct task *t)
{
	const struct creds *c = &current->process->creds, *o = &t->process->creds;
	return c->euid == o->uid || c->euid == o->euid || capable(CAP_SYS_NICE);
}

static struct task *by_tid(s32 tid) { return task_by_tid(tid ? (u32)tid : current->tid); }

/* ---- affinity ---- */

static u32 mask_bytes(void) { return (K->cpu_count + 63) / 64 * 8; }

static void cpus_there(u64 out[16])
{
	memset(out, 0, 16 * sizeof(*out));
	for (u32 i = 0; i < K->cpu_count && i < 1024; i++)
		out[i / 64] |= 1ull << (i % 64);
}

SYSCALL(sched_setaffinity)
{
	u64 mask[16] = { 0 }, there[16], any = 0;
	s64 err = 0;

	if (copy_from_user(mask, a[2], MIN((u64)(u32)a[1], sizeof(mask))))
		return -EFAULT;
	struct task *t = by_tid((s32)a[0]);
	if (!t)
		return -ESRCH;
	cpus_there(there);
	for (u32 i = 0; i < 16; i++)
		any |= mask[i] &= there[i];
	if (!owns(t))
		err = -EPERM;
	else if (!any)
		err = -EINVAL;
	else
		memcpy(t->affinity, mask, sizeof(mask));
	task_put(t);
	return err;
}

SYSCALL(sched_getaffinity)
{
	u64 mask[16];

	if ((u32)a[1] * 8 < K->cpu_count || (a[1] & 7))
		return -EINVAL;
	struct task *t = by_tid((s32)a[0]);
	if (!t)
		return -ESRCH;
	cpus_there(mask);
	if (t->affinity[0] | t->affinity[1])
		memcpy(mask, t->affinity, sizeof(mask));
	task_put(t);
	const u32 n = (u32)MIN((u64)(u32)a[1], (u64)mask_bytes());
	return copy_to_user(a[2], mask, n) ? -EFAULT : (s64)n;
}

SYSCALL(getcpu)
{
	u32 node, cpu = arch_current_cpu(&node);

	if ((a[0] && put_user(cpu, a[0])) || (a[1] && put_user(node, a[1])))
		return -EFAULT;
	return 0;
}

/* ---- policies ---- */

static bool policy_ok(u32 p) { return p == SCHED_NORMAL || p == SCHED_FIFO || p == SCHED_RR || p == SCHED_BATCH || p == SCHED_IDLE; }
static bool realtime(u32 p) { return p == SCHED_FIFO || p == SCHED_RR; }

static int check_policy(const struct task *t, u32 policy, s32 priority)
{
	if (realtime(policy) ? priority < RT_MIN || priority > RT_MAX : priority != 0)
		return -EINVAL;
	if (!owns(t))
		return -EPERM;
	if (realtime(policy) && !capable(CAP_SYS_NICE)) {
		const u64 limit = t->process->rlimit[RLIMIT_RTPRIO][0];
		if ((policy != t->policy && !limit) || ((u32)priority > t->rt_priority && (u64)priority > limit))
			return -EPERM;
	}
	return 0;
}

static s64 set_policy(s32 tid, s64 policy, uaddr param)
{
	s32 priority;

	if (!param || tid < 0)
		return -EINVAL;
	if (get_user(priority, param))
		return -EFAULT;
	struct task *t = by_tid(tid);
	if (!t)
		return -ESRCH;
	const bool reset = policy >= 0 && (policy & SCHED_RESET_ON_FORK);
	const u32 p = policy < 0 ? t->policy & ~(u32)SCHED_RESET_ON_FORK : (u32)policy & ~(u32)SCHED_RESET_ON_FORK;
	s64 err = policy_ok(p) ? check_policy(t, p, priority) : -EINVAL;
	if (!err) {
		t->policy = p | (reset ? SCHED_RESET_ON_FORK : 0);
		t->rt_priority = (u32)priority;
	}
	task_put(t);
	return err;
}

SYSCALL(sched_setscheduler) { return (s32)a[1] < 0 ? -EINVAL : set_policy((s32)a[0], (s32)a[1], a[2]); }
SYSCALL(sched_setparam) { return set_policy((s32)a[0], -1, a[1]); }

SYSCALL(sched_getscheduler)
{
	if ((s32)a[0] < 0)
		return -EINVAL;
	struct task *t = by_tid((s32)a[0]);
	s64 r = t ? (s64)t->policy : -ESRCH;
	task_put(t);
	return r;
}

SYSCALL(sched_getparam)
{
	if ((s32)a[0] < 0 || !a[1])
		return -EINVAL;
	struct task *t = by_tid((s32)a[0]);
	if (!t)
		return -ESRCH;
	const u32 priority = t->rt_priority;
	task_put(t);
	return put_user(priority, a[1]);
}

SYSCALL(sched_get_priority_max) { return realtime((u32)a[0]) ? RT_MAX : policy_ok((u32)a[0]) || a[0] == SCHED_DEADLINE ? 0 : -EINVAL; }
SYSCALL(sched_get_priority_min) { return realtime((u32)a[0]) ? RT_MIN : policy_ok((u32)a[0]) || a[0] == SCHED_DEADLINE ? 0 : -EINVAL; }

SYSCALL(sched_rr_get_interval)
{
	if ((s32)a[0] < 0)
		return -EINVAL;
	struct task *t = by_tid((s32)a[0]);
	if (!t)
		return -ESRCH;
	const u32 p = t->policy & ~(u32)SCHED_RESET_ON_FORK;
	const struct lx_timespec ts = { 0, p == SCHED_RR ? 100000000 : p == SCHED_FIFO ? 0 : 4000000 };
	task_put(t);
	return put_user(ts, a[1]);
}

#define DL_MIN 1024u /* ns */

static int check_deadline(const struct task *t, u64 runtime, u64 deadline, u64 period)
{
	if (!deadline || runtime < DL_MIN || (s64)deadline < 0 || (s64)period < 0 || (period && period < deadline) || deadline < runtime)
		return -EINVAL;
	return owns(t) && capable(CAP_SYS_NICE) ? 0 : -EPERM;
}

struct lx_sched_attr { u32 size, policy; u64 flags; s32 nice; u32 priority; u64 runtime, deadline, period; u32 util_min, util_max; };
#define ATTR_SIZE_0 48u

SYSCALL(sched_getattr)
{
	struct lx_sched_attr at = { .size = sizeof(at) };
	const u32 size = (u32)a[2];

	if (!a[1] || (s32)a[0] < 0 || size > PAGE_SIZE || size < ATTR_SIZE_0 || a[3])
		return -EINVAL;
	struct task *t = by_tid((s32)a[0]);
	if (!t)
		return -ESRCH;
	at.policy = t->policy & ~(u32)SCHED_RESET_ON_FORK;
	at.flags = t->policy & SCHED_RESET_ON_FORK ? 1 : 0;
	at.nice = realtime(at.policy) || at.policy == SCHED_DEADLINE ? 0 : t->nice;
	if (at.policy == SCHED_DEADLINE) {
		at.runtime = t->dl_runtime;
		at.deadline = t->dl_deadline;
		at.period = t->dl_period;
	}
	at.priority = t->rt_priority;
	at.util_max = 1024;
	task_put(t);
	at.size = MIN(size, (u32)sizeof(at));
	return copy_to_user(a[1], &at, at.size);
}

SYSCALL(sched_setattr)
{
	struct lx_sched_attr at = { 0 };

	if (!a[1] || (s32)a[0] < 0 || a[2])
		return -EINVAL;
	if (get_user(at.size, a[1]))
		return -EFAULT;
	if (!at.size)
		at.size = ATTR_SIZE_0;
	if (at.size < ATTR_SIZE_0 || at.size > PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(&at, a[1], MIN((u64)at.size, sizeof(at))))
		return -EFAULT;
	struct task *t = by_tid((s32)a[0]);
	if (!t)
		return -ESRCH;
	s64 err = at.policy == SCHED_DEADLINE ? check_deadline(t, at.runtime, at.deadline, at.period) :
		policy_ok(at.policy) ? check_policy(t, at.policy, (s32)at.priority) : -EINVAL;
	if (!err) {
		t->dl_runtime = at.runtime;
		t->dl_deadline = at.deadline;
		t->dl_period = at.period ? at.period : at.deadline;
		t->policy = at.policy | (at.flags & 1 ? SCHED_RESET_ON_FORK : 0);
		t->rt_priority = at.priority;
		if (!realtime(at.policy) && at.policy != SCHED_DEADLINE)
			t->nice = at.nice < -20 ? -20 : at.nice > 19 ? 19 : at.nice;
	}
	task_put(t);
	return err;
}

/* ---- nice ---- */

static int one_nice(struct task *t, s32 nice)
{
	const struct creds *c = &current->process->creds, *o = &t->process->creds;

	if (c->euid != o->uid && c->euid != o->euid && !capable(CAP_SYS_NICE))
		return -EPERM;
	if (nice < t->nice && !capable(CAP_SYS_NICE) && (u64)(20 - nice) > t->process->rlimit[RLIMIT_NICE][0])
		return -EACCES;
	t->nice = nice;
	return 0;
}

/* Calls fn for each task that which and who name; -ESRCH when there is none. */
static s64 for_each_of(s32 which, u32 who, int (*fn)(struct task *, s32), s32 arg)
{
	s64 err = -ESRCH;

	if (which == PRIO_PROCESS) {
		struct task *t = by_tid((s32)who);
		if (t)
			err = fn(t, arg);
		task_put(t);
		return err;
	}
	if (!who)
		who = which == PRIO_PGRP ? current->process->pgid : current->process->creds.uid;
	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (p == K->root || p->state == PROCESS_ZOMBIE || (which == PRIO_PGRP ? p->pgid != who : p->creds.uid != who))
			continue;
		lock(&p->sig_lock);
		list_for_each(node, &p->tasks) {
			int e = fn(list_entry(node, struct task, process_node), arg);
			if (e > err || err == -ESRCH)
				err = e;
		}
		unlock(&p->sig_lock);
	}
	unlock(&K->tree_lock);
	return err;
}

static int nice_value(struct task *t, s32 unused)
{
	(void)unused;
	return 20 - t->nice; /* 1..40, so that no value looks like an error */
}

SYSCALL(setpriority)
{
	s32 nice = (s32)a[2];

	if ((u32)a[0] > PRIO_USER)
		return -EINVAL;
	nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	return for_each_of((s32)a[0], (u32)a[1], one_nice, nice);
}

SYSCALL(getpriority)
{
	return (u32)a[0] > PRIO_USER ? -EINVAL : for_each_of((s32)a[0], (u32)a[1], nice_value, 0);
}

/* ---- priorities of input and output: kept and told, the host's own decide ---- */

#define IOPRIO(class, level) ((class) << 13 | (level))
enum { IO_NONE, IO_REALTIME, IO_BEST_EFFORT, IO_IDLE };

static int one_ioprio(struct task *t, s32 value)
{
	const struct creds *c = &current->process->creds, *o = &t->process->creds;

	if (c->euid != o->uid && c->uid != o->uid && !capable(CAP_SYS_NICE))
		return -EPERM;
	t->ioprio = (u16)value;
	return 0;
}

static int ioprio_as_set(struct task *t, s32 unused)
{
	(void)unused;
	return t->ioprio;
}

/* What is in force, with the best the greatest. */
static int ioprio_rank(struct task *t, s32 unused)
{
	u32 policy = t->policy & ~SCHED_RESET_ON_FORK;
	s32 value = t->ioprio;

	(void)unused;
	if (value >> 13 == IO_NONE)
		value = IOPRIO(policy == SCHED_IDLE ? IO_IDLE : realtime(policy) ? IO_REALTIME : IO_BEST_EFFORT, (t->nice + 20) / 5);
	return IOPRIO(IO_IDLE + 1, 0) - value;
}

/* One task is told what was set for it, of several the best that is in force. */
SYSCALL(ioprio_get)
{
	const s32 which = (s32)a[0] - 1;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	if (which == PRIO_PROCESS)
		return for_each_of(which, (u32)a[1], ioprio_as_set, 0);
	s64 rank = for_each_of(which, (u32)a[1], ioprio_rank, 0);
	return rank < 0 ? rank : IOPRIO(IO_IDLE + 1, 0) - rank;
}

SYSCALL(ioprio_set)
{
	const s32 which = (s32)a[0] - 1, value = (s32)a[2];
	const u32 klass = (u32)value >> 13, level = (u32)value & 0x1fff;

	if (klass > IO_IDLE || (klass == IO_NONE && level) || ((klass == IO_REALTIME || klass == IO_BEST_EFFORT) && level > 7))
		return -EINVAL;
	if (klass == IO_REALTIME && !capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
		return -EPERM;
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	return for_each_of(which, (u32)a[1], one_ioprio, value);
}

/* ---- membarrier ---- */

#define MEMBARRIER_HAVE (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | \
	MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

/* Who runs program code is interrupted, which orders memory and serialises the
 * core; who is in here passes both on its way out. */
static void barrier_all(struct process *p)
{
	for (u32 after = 0;;) {
		struct task *next = NULL;
		lock(&p->sig_lock);
		list_for_each(pos, &p->tasks) {
			struct task *t = list_entry(pos, struct task, process_node);
			if (t != current && !t->exiting && t->tid > after && (!next || t->tid < next->tid))
				next = t;
		}
		if (next)
			ref_get(&next->ref);
		unlock(&p->sig_lock);
		if (!next)
			return;
		after = next->tid;
		task_sync(next, true);
		task_put(next);
	}
}

static void barrier_everyone(void)
{
	for (u32 after = 0;;) {
		struct process *next = NULL;
		lock(&K->tree_lock);
		list_for_each(pos, &K->processes) {
			struct process *p = list_entry(pos, struct process, all_node);
			if (p->pid > after && p != K->root && (!next || p->pid < next->pid))
				next = p;
		}
		if (next)
			ref_get(&next->ref);
		unlock(&K->tree_lock);
		if (!next)
			return;
		after = next->pid;
		barrier_all(next);
		process_put(next);
	}
}

SYSCALL(membarrier)
{
	struct process *p = current->process;

	if ((u32)a[1])
		return -EINVAL;
	switch ((s32)a[0]) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_HAVE;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		barrier_everyone();
		return 0;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		p->membarrier |= 1;
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		p->membarrier |= 2;
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		if (!(p->membarrier & ((s32)a[0] == MEMBARRIER_CMD_PRIVATE_EXPEDITED ? 1u : 2u)))
			return -EPERM;
		barrier_all(p);
		return 0;
	}
	return -EINVAL;
}
