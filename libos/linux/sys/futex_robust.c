/* SPDX-License-Identifier: Apache-2.0
 *
 * Robust lists: what a task that ends says on the locks it still holds. The
 * list is the program's memory and may be anything.
 */
#include "../lx/syscall.h"
#include "futex.h"

#define ROBUST_LIMIT 2048

static void robust_death(uaddr word, bool pi, bool pending)
{
	const u32 tid = current->tid;
	u32 v, seen;

	if ((word & 3) || user_load_u32(word, &v))
		return;
	/* A waiter may have been woken and never told (the owner died between
	 * unlock and wake): wake one. */
	if (pending && !pi && !v) {
		futex_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
		futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY);
		return;
	}
	for (;;) {
		if ((v & TID_MASK) != tid)
			return;
		seen = v;
		if (user_cmpxchg_u32(word, &seen, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
			return;
		if (seen == v)
			break;
		v = seen;
	}
	if (!pi && (v & FUTEX_WAITERS)) {
		futex_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
		futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY);
	}
}

static void robust_exit(struct task *t)
{
	struct { u64 list; s64 offset; u64 pending; } head;
	u64 entry, next;

	if (!t->robust_list || get_user(head, t->robust_list))
		return;
	entry = head.list;
	for (u32 n = 0; n < ROBUST_LIMIT && (entry & ~1ull) != t->robust_list; n++) {
		const bool stop = get_user(next, entry & ~1ull) != 0;
		if (entry != head.pending)
			robust_death((entry & ~1ull) + (u64)head.offset, entry & 1, false);
		if (stop)
			return;
		entry = next;
	}
	if (head.pending)
		robust_death((head.pending & ~1ull) + (u64)head.offset, head.pending & 1, true);
}

void futex_task_exit(struct task *t)
{
	const u32 zero = 0;

	if (!t->mm)
		return;
	/* Before the robust list: a handed-over lock is not ours any more. */
	futex_pi_owner_gone(t);
	robust_exit(t);
	t->robust_list = 0;
	if (t->clear_child_tid && __atomic_load_n(&t->mm->users, __ATOMIC_RELAXED) > 1) {
		put_user(zero, t->clear_child_tid);
		futex_wake(t->clear_child_tid, true, 1, FUTEX_BITSET_MATCH_ANY);
		futex_wake(t->clear_child_tid, false, 1, FUTEX_BITSET_MATCH_ANY);
	}
	t->clear_child_tid = 0;
}

SYSCALL(set_robust_list)
{
	if (a[1] != 24)
		return -EINVAL;
	current->robust_list = a[0];
	current->robust_list_size = a[1];
	return 0;
}

SYSCALL(get_robust_list)
{
	struct task *t = current;
	u64 list, size = 24;
	s64 err = 0;

	if ((s32)a[0] && (u32)a[0] != t->tid) {
		t = task_by_tid((u32)a[0]);
		if (!t)
			return -ESRCH;
		if (t->process != current->process && !capable(19 /* CAP_SYS_PTRACE */) &&
		    t->process->creds.uid != current->process->creds.euid)
			err = -EPERM;
	} else {
		ref_get(&t->ref);
	}
	list = t->robust_list;
	task_put(t);
	if (err)
		return err;
	return put_user(size, a[2]) || put_user(list, a[1]) ? -EFAULT : 0;
}
