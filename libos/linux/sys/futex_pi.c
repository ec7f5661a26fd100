/* SPDX-License-Identifier: Apache-2.0
 *
 * Priority-inheriting futexes keep Linux's protocol on the word (owner's tid,
 * WAITERS, OWNER_DIED) and hand over in order; nobody's priority changes, as
 * there is no scheduler here to change it in.
 */
#include "futex.h"

static bool tid_lives(u32 tid)
{
	struct task *t = task_by_tid(tid);
	const bool lives = t && !t->exiting;
	task_put(t);
	return lives;
}

/* The bucket is locked. 1: tid has the lock now; 0: somebody else has it and
 * WAITERS is set; else an error. */
static int futex_pi_try(uaddr a, u32 tid, bool set_waiters, u32 *owner)
{
	u32 v;
	int err = user_load_u32(a, &v);

	while (!err) {
		const u32 holder = v & TID_MASK;
		u32 want, seen = v;
		*owner = holder;
		if (holder == tid)
			return -EDEADLK;
		if (!holder) /* free, or its owner died and said so */
			want = tid | (v & (FUTEX_OWNER_DIED | FUTEX_WAITERS)) | (set_waiters ? FUTEX_WAITERS : 0);
		else if (!tid_lives(holder)) {
			if (!(v & FUTEX_OWNER_DIED))
				return -ESRCH;
			want = tid | FUTEX_OWNER_DIED | (v & FUTEX_WAITERS);
		} else {
			if (v & FUTEX_WAITERS)
				return 0;
			want = v | FUTEX_WAITERS;
		}
		err = user_cmpxchg_u32(a, &seen, want);
		if (!err && seen == v)
			return (want & TID_MASK) == tid;
		v = seen;
	}
	return err;
}

static struct waiter *top_pi_waiter(struct bucket *b, const struct futex_key *key, bool *more)
{
	struct waiter *top = NULL;

	*more = false;
	list_for_each(pos, &b->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, node);
		if (!futex_same(&w->key, key) || !w->pi)
			continue;
		if (!top) {
			top = w;
		} else {
			*more = true;
			if (w->task->rt_priority > top->task->rt_priority)
				top = w;
		}
	}
	return top;
}

bool futex_any_waiter(struct bucket *b, const struct futex_key *key)
{
	list_for_each(pos, &b->waiters)
		if (futex_same(&list_entry(pos, struct waiter, node)->key, key))
			return true;
	return false;
}

s64 futex_lock_pi(uaddr a, bool shared, u64 deadline, bool try_only)
{
	struct waiter *w = futex_own_waiter();
	const u32 tid = current->tid;

	if (!w)
		return -ENOMEM;
	int err = futex_make_key(a, shared, &w->key);
	if (err)
		return err;
	struct bucket *b = futex_bucket(&w->key);
	wait_begin();
	lock(&b->lock);
	if (try_only) {
		u32 v, seen = 0;
		err = user_cmpxchg_u32(a, &seen, tid);
		if (!err && seen) {
			v = seen;
			err = (v & TID_MASK) == tid ? -EDEADLK : -EAGAIN;
			if (err == -EAGAIN && (!(v & TID_MASK) || !tid_lives(v & TID_MASK))) {
				err = futex_pi_try(a, tid, futex_any_waiter(b, &w->key), &w->owner);
				err = err == 1 ? 0 : err == 0 ? -EAGAIN : err;
			}
		}
		unlock(&b->lock);
		return err;
	}
	err = futex_pi_try(a, tid, futex_any_waiter(b, &w->key), &w->owner);
	if (err == 0) {
		w->pi = 1;
		w->word = a;
		futex_enqueue(b, w);
	}
	unlock(&b->lock);
	if (err)
		return err == 1 ? 0 : err;
	err = futex_sleep(w, deadline);
	return err == -ERESTARTSYS ? -ERESTARTNOINTR : err;
}

/* Give the lock to the first in line; extra goes into the word. */
static int pi_hand_over(struct bucket *b, struct waiter *w, bool more, uaddr a, u32 from, u32 extra)
{
	u32 v, seen;
	int err = user_load_u32(a, &v);

	while (!err) {
		if ((v & TID_MASK) != from)
			return -EINVAL;
		seen = v;
		const u32 want = w->task->tid | extra | (more ? FUTEX_WAITERS : 0);
		err = user_cmpxchg_u32(a, &seen, want);
		if (!err && seen == v) {
			/* who still waits, waits for the new owner */
			list_for_each(pos, &b->waiters) {
				struct waiter *o = list_entry(pos, struct waiter, node);
				if (o->pi && futex_same(&o->key, &w->key))
					o->owner = w->task->tid;
			}
			futex_wake_one(w, W_OWNER);
			return 0;
		}
		v = seen;
	}
	return err;
}

s64 futex_unlock_pi(uaddr a, bool shared)
{
	struct futex_key key;
	const u32 tid = current->tid;
	bool more;
	u32 v, seen;
	int err = futex_make_key(a, shared, &key);

	if (err)
		return err;
	if (user_load_u32(a, &v))
		return -EFAULT;
	if ((v & TID_MASK) != tid)
		return -EPERM;
	struct bucket *b = futex_bucket(&key);
	lock(&b->lock);
	struct waiter *w = top_pi_waiter(b, &key, &more);
	if (w) {
		err = pi_hand_over(b, w, more, a, tid, 0);
	} else {
		err = user_load_u32(a, &v);
		while (!err) {
			if ((v & TID_MASK) != tid) {
				err = -EPERM;
				break;
			}
			seen = v;
			err = user_cmpxchg_u32(a, &seen, 0);
			if (!err && seen == v)
				break;
			v = seen;
		}
	}
	unlock(&b->lock);
	return err;
}

/* A task ends with locks somebody waits for: they get them, marked. */
void futex_pi_owner_gone(struct task *t)
{
	if (!__atomic_load_n(&futex_table()->pi_waiters, __ATOMIC_SEQ_CST))
		return;
	for (u32 i = 0; i < BUCKETS; i++) {
		struct bucket *b = &futex_table()->bucket[i];
		if (!b->count)
			continue;
		lock(&b->lock);
		bool again = true;
		while (again) {
			again = false;
			list_for_each(pos, &b->waiters) {
				struct waiter *w = list_entry(pos, struct waiter, node);
				bool more;
				if (!w->pi || w->owner != t->tid || w->task->mm != t->mm)
					continue;
				w = top_pi_waiter(b, &w->key, &more);
				w->owner = 0;
				again = pi_hand_over(b, w, more, w->word, t->tid, FUTEX_OWNER_DIED) == 0;
				break;
			}
		}
		unlock(&b->lock);
	}
}

/* CMP_REQUEUE_PI: one waiter of the condition. 1: it has the lock, 0: it queues. */
int futex_requeue_one_pi(struct waiter *w, struct bucket *b2, const struct futex_key *k2, uaddr a2)
{
	u32 owner;

	if (!w->requeue_pi || !futex_same(&w->target, k2))
		return -EINVAL;
	int err = futex_pi_try(a2, w->task->tid, futex_any_waiter(b2, k2), &owner);
	if (err < 0)
		return err;
	if (err == 1) {
		futex_wake_one(w, W_OWNER);
		return 1;
	}
	futex_move(w, b2, k2);
	w->requeue_pi = false;
	w->pi = 1;
	w->owner = owner;
	w->word = a2;
	__atomic_fetch_add(&futex_table()->pi_waiters, 1, __ATOMIC_SEQ_CST);
	return 0;
}
