/* SPDX-License-Identifier: Apache-2.0
 *
 * Futexes: waiters in a hash table in the segment, by the key of the word they
 * wait on. A waiter sleeps on its task's own wait word; the table only finds
 * it. Locks with owners are in futex_pi.c.
 */
#include "../lx/mem.h"
#include "../lx/syscall.h"
#include "futex.h"

struct table *futex_table(void) { return K->futexes; }

void futex_init(void)
{
	struct table *t = page_alloc((sizeof(*t) + PAGE_SIZE - 1) / PAGE_SIZE);

	if (!t)
		panic("futex: no memory for the table");
	for (u32 i = 0; i < BUCKETS; i++)
		list_init(&t->bucket[i].waiters);
	K->futexes = t;
}

/* ---- keys and queues ---- */

int futex_make_key(uaddr a, bool shared, struct futex_key *key)
{
	if (a & 3)
		return -EINVAL;
	if (!user_ok(a, 4))
		return -EFAULT;
	if (shared)
		return mm_futex_key(current->mm, a, true, key);
	key->object = (u64)current->mm;
	key->offset = a;
	return 0;
}

bool futex_same(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

struct bucket *futex_bucket(const struct futex_key *k)
{
	u64 h = (k->object ^ (k->offset >> 2)) * 0x9e3779b97f4a7c15ull;
	h ^= k->object * 0xc2b2ae3d27d4eb4full;
	return &futex_table()->bucket[(h >> 40) % BUCKETS];
}

/* The task's waiter lies in the segment: wakers of other picoprocesses write it. */
struct waiter *futex_own_waiter(void)
{
	struct task *t = current;

	if (!t->futex)
		t->futex = kzalloc(sizeof(struct waiter));
	struct waiter *w = t->futex;
	if (w) {
		*w = (struct waiter){ .task = t, .bitset = FUTEX_BITSET_MATCH_ANY };
		list_init(&w->node);
	}
	return w;
}

void futex_enqueue(struct bucket *b, struct waiter *w)
{
	w->bucket = b;
	list_add_tail(&b->waiters, &w->node);
	__atomic_fetch_add(&b->count, 1, __ATOMIC_SEQ_CST);
	if (w->pi)
		__atomic_fetch_add(&futex_table()->pi_waiters, 1, __ATOMIC_SEQ_CST);
}

void futex_dequeue(struct waiter *w)
{
	list_del(&w->node);
	__atomic_fetch_sub(&w->bucket->count, 1, __ATOMIC_SEQ_CST);
	if (w->pi)
		__atomic_fetch_sub(&futex_table()->pi_waiters, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->bucket, NULL, __ATOMIC_RELEASE);
}

/* The bucket's lock is held; afterwards w may be gone, its task lives. */
void futex_wake_one(struct waiter *w, u32 state)
{
	struct task *t = w->task;

	ref_get(&t->ref); /* once it sees its state it may end */
	futex_dequeue(w);
	__atomic_store_n(&w->state, state, __ATOMIC_SEQ_CST);
	task_wake(t);
	task_put(t);
}

static void lock_two(struct bucket *a, struct bucket *b)
{
	if (a > b) {
		struct bucket *x = a;
		a = b;
		b = x;
	}
	lock(&a->lock);
	if (a != b)
		lock(&b->lock);
}

static void unlock_two(struct bucket *a, struct bucket *b)
{
	unlock(&a->lock);
	if (a != b)
		unlock(&b->lock);
}

/* Lock the bucket w is in now (a requeue moves it); NULL: it is in none. */
static struct bucket *lock_bucket_of(struct waiter *w)
{
	for (;;) {
		struct bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE);
		if (!b)
			return NULL;
		lock(&b->lock);
		if (w->bucket == b)
			return b;
		unlock(&b->lock);
	}
}

/* True: w was still waiting, and is out of the queue now. */
static bool withdraw(struct waiter *w)
{
	struct bucket *b = lock_bucket_of(w);

	if (!b) {
		/* The waker's last write to us is the state: see it. */
		while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == W_WAITING)
			__builtin_ia32_pause();
		return false;
	}
	futex_dequeue(w);
	unlock(&b->lock);
	return true;
}

/* Sleep until woken: 0, or why not. */
int futex_sleep(struct waiter *w, u64 deadline)
{
	int err = 0;

	while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == W_WAITING && !err) {
		err = wait_sleep(deadline);
		if (!err && w->state == W_WAITING)
			wait_begin();
	}
	if (err && withdraw(w))
		return err;
	return 0;
}

/* ---- WAIT, WAKE ---- */

static int wait_setup(struct waiter *w, uaddr a, u32 expected)
{
	struct bucket *b = futex_bucket(&w->key);
	u32 value;

	wait_begin();
	lock(&b->lock);
	int err = user_load_u32(a, &value);
	if (!err && value != expected)
		err = -EAGAIN;
	if (!err)
		futex_enqueue(b, w);
	unlock(&b->lock);
	return err;
}

static s64 do_wait(uaddr a, bool shared, u32 expected, u64 deadline, u32 bitset)
{
	struct waiter *w = futex_own_waiter();

	if (!bitset)
		return -EINVAL;
	if (!w)
		return -ENOMEM;
	int err = futex_make_key(a, shared, &w->key);
	if (err)
		return err;
	w->bitset = bitset;
	err = wait_setup(w, a, expected);
	return err ? err : futex_sleep(w, deadline);
}

static long wait_restart(struct task *t)
{
	u64 *r = t->restart_args;
	s64 err = do_wait(r[0], r[1], (u32)r[2], r[3], (u32)r[4]);
	return err == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : err;
}

static s64 futex_wait(uaddr a, bool shared, u32 expected, u64 deadline, u32 bitset)
{
	s64 err = do_wait(a, shared, expected, deadline, bitset);
	struct task *t = current;

	if (err != -ERESTARTSYS || deadline == PICO_FOREVER)
		return err;
	t->restart = wait_restart;
	t->restart_args[0] = a;
	t->restart_args[1] = shared;
	t->restart_args[2] = expected;
	t->restart_args[3] = deadline;
	t->restart_args[4] = bitset;
	return -ERESTART_RESTARTBLOCK;
}

s64 futex_wake(uaddr a, bool shared, u32 count, u32 bitset)
{
	struct futex_key key;
	u32 n = 0;
	s64 err;

	if (!bitset)
		return -EINVAL;
	err = futex_make_key(a, shared, &key);
	if (err)
		return err;
	struct bucket *b = futex_bucket(&key);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&b->count, __ATOMIC_SEQ_CST) && !__atomic_load_n(&b->lock.word, __ATOMIC_SEQ_CST))
		return 0;
	lock(&b->lock);
	list_for_each_safe(pos, next, &b->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, node);
		if (!futex_same(&w->key, &key))
			continue;
		if (w->pi || w->requeue_pi) {
			err = -EINVAL;
			break;
		}
		if (!(w->bitset & bitset))
			continue;
		futex_wake_one(w, W_WOKEN);
		if (++n >= count)
			break;
	}
	unlock(&b->lock);
	return err ? err : n;
}

long futex_wake_address(uaddr a, u32 count, bool shared)
{
	return futex_wake(a, shared, count, FUTEX_BITSET_MATCH_ANY);
}

/* ---- WAKE_OP ---- */

static int do_op(u32 encoded, uaddr a, bool *condition)
{
	const u32 op = (encoded >> 28) & 7, cmp = (encoded >> 24) & 15;
	s32 arg = (s32)(encoded << 8) >> 20, cmp_arg = (s32)(encoded << 20) >> 20;
	u32 old;
	int err;

	if (encoded & ((u32)FUTEX_OP_OPARG_SHIFT << 28))
		arg = 1 << (arg & 31);
	switch (op) {
	case FUTEX_OP_SET: err = user_xchg_u32(a, (u32)arg, &old); break;
	case FUTEX_OP_ADD: err = user_add_u32(a, (u32)arg, &old); break;
	case FUTEX_OP_OR: err = user_or_u32(a, (u32)arg, &old); break;
	case FUTEX_OP_ANDN: err = user_and_u32(a, ~(u32)arg, &old); break;
	case FUTEX_OP_XOR: err = user_xor_u32(a, (u32)arg, &old); break;
	default: return -ENOSYS;
	}
	if (err)
		return err;
	const s32 v = (s32)old;
	switch (cmp) {
	case FUTEX_OP_CMP_EQ: *condition = v == cmp_arg; break;
	case FUTEX_OP_CMP_NE: *condition = v != cmp_arg; break;
	case FUTEX_OP_CMP_LT: *condition = v < cmp_arg; break;
	case FUTEX_OP_CMP_GE: *condition = v >= cmp_arg; break;
	case FUTEX_OP_CMP_LE: *condition = v <= cmp_arg; break;
	case FUTEX_OP_CMP_GT: *condition = v > cmp_arg; break;
	default: return -ENOSYS;
	}
	return 0;
}

static s64 wake_matching(struct bucket *b, const struct futex_key *key, s32 count)
{
	s64 n = 0;

	list_for_each_safe(pos, next, &b->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, node);
		if (!futex_same(&w->key, key))
			continue;
		if (w->pi || w->requeue_pi)
			return -EINVAL;
		futex_wake_one(w, W_WOKEN);
		if (++n >= count)
			break;
	}
	return n;
}

static s64 futex_wake_op(uaddr a, uaddr a2, bool shared, s32 count, s32 count2, u32 encoded)
{
	struct futex_key k1, k2;
	bool also = false;
	s64 err = futex_make_key(a, shared, &k1);

	if (!err)
		err = futex_make_key(a2, shared, &k2);
	if (err)
		return err;
	struct bucket *b1 = futex_bucket(&k1), *b2 = futex_bucket(&k2);
	lock_two(b1, b2);
	s64 n = do_op(encoded, a2, &also);
	if (n == 0) {
		n = wake_matching(b1, &k1, count);
		if (n >= 0 && also) {
			err = wake_matching(b2, &k2, count2);
			n = err < 0 ? err : n + err;
		}
	}
	unlock_two(b1, b2);
	return n;
}

/* ---- REQUEUE ---- */

void futex_move(struct waiter *w, struct bucket *to, const struct futex_key *key)
{
	list_del(&w->node);
	__atomic_fetch_sub(&w->bucket->count, 1, __ATOMIC_SEQ_CST);
	w->key = *key;
	__atomic_store_n(&w->bucket, to, __ATOMIC_RELEASE);
	list_add_tail(&to->waiters, &w->node);
	__atomic_fetch_add(&to->count, 1, __ATOMIC_SEQ_CST);
}

struct requeue { uaddr a, a2; bool shared, compare, pi; s32 wake, move; u32 expected; };

static s64 requeue_all(const struct requeue *r, struct bucket *b1, const struct futex_key *k1, struct bucket *b2,
		       const struct futex_key *k2)
{
	s32 done = 0, woken = 0;

	list_for_each_safe(pos, next, &b1->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, node);
		if (done - r->wake >= r->move)
			break;
		if (!futex_same(&w->key, k1))
			continue;
		if (r->pi != w->requeue_pi || w->pi)
			return done ? done : -EINVAL;
		if (r->pi) {
			int err = futex_requeue_one_pi(w, b2, k2, r->a2);
			if (err < 0)
				return done ? done : err;
			woken += err;
		} else if (done < r->wake) {
			futex_wake_one(w, W_WOKEN);
		} else if (!futex_same(k1, k2)) {
			futex_move(w, b2, k2);
		}
		done++;
	}
	(void)woken;
	return done;
}

static s64 futex_requeue(const struct requeue *r)
{
	struct futex_key k1, k2;
	u32 value;

	if (r->wake < 0 || r->move < 0)
		return -EINVAL;
	if (r->pi && (r->a == r->a2 || r->wake != 1))
		return -EINVAL;
	s64 err = futex_make_key(r->a, r->shared, &k1);
	if (!err)
		err = futex_make_key(r->a2, r->shared, &k2);
	if (err)
		return err;
	if (r->pi && futex_same(&k1, &k2))
		return -EINVAL;
	struct bucket *b1 = futex_bucket(&k1), *b2 = futex_bucket(&k2);
	lock_two(b1, b2);
	if (r->compare && (err = user_load_u32(r->a, &value)) == 0 && value != r->expected)
		err = -EAGAIN;
	if (!err)
		err = requeue_all(r, b1, &k1, b2, &k2);
	unlock_two(b1, b2);
	return err;
}

static s64 futex_wait_requeue_pi(uaddr a, bool shared, u32 expected, u64 deadline, u32 bitset, uaddr a2)
{
	struct waiter *w = futex_own_waiter();
	int err;

	if (a == a2 || !bitset)
		return -EINVAL;
	if (!w)
		return -ENOMEM;
	err = futex_make_key(a2, shared, &w->target);
	if (!err)
		err = futex_make_key(a, shared, &w->key);
	if (err)
		return err;
	if (futex_same(&w->key, &w->target))
		return -EINVAL;
	w->bitset = bitset;
	w->requeue_pi = true;
	err = wait_setup(w, a, expected);
	if (err)
		return err;
	err = futex_sleep(w, deadline);
	if (err != -ERESTARTSYS)
		return err;
	/* Queued for the lock already: the call cannot simply be made again. */
	return w->pi ? -EAGAIN : -ERESTARTNOINTR;
}

/* ---- the call ---- */

/* The fourth argument is a time for these, and a count for the others. */
static int deadline_of(u32 op, u32 flags, uaddr at, u64 *deadline)
{
	struct lx_timespec ts;
	const bool realtime = flags & FUTEX_CLOCK_REALTIME || op == FUTEX_LOCK_PI;

	*deadline = PICO_FOREVER;
	if (!at)
		return 0;
	if (get_user(ts, at))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (s64)NSEC_PER_SEC)
		return -EINVAL;
	return deadline_from_timespec(&ts, realtime ? 0 : 1, op != FUTEX_WAIT, deadline);
}

SYSCALL(futex)
{
	const u32 flags = (u32)a[1], op = flags & (u32)FUTEX_CMD_MASK, value = (u32)a[2], value3 = (u32)a[5];
	const bool shared = !(flags & FUTEX_PRIVATE_FLAG);
	u64 deadline = PICO_FOREVER;

	if (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2 || op == FUTEX_WAIT_REQUEUE_PI) {
		int err = deadline_of(op, flags, a[3], &deadline);
		if (err)
			return err;
	}
	if ((flags & FUTEX_CLOCK_REALTIME) && op != FUTEX_WAIT_BITSET && op != FUTEX_WAIT_REQUEUE_PI && op != FUTEX_LOCK_PI2)
		return -ENOSYS;
	struct requeue r = { .a = a[0], .a2 = a[4], .shared = shared, .wake = (s32)value, .move = (s32)a[3], .expected = value3 };
	switch (op) {
	case FUTEX_WAIT:
		return futex_wait(a[0], shared, value, deadline, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAIT_BITSET:
		return futex_wait(a[0], shared, value, deadline, value3);
	case FUTEX_WAKE:
		return futex_wake(a[0], shared, value, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(a[0], shared, value, value3);
	case FUTEX_REQUEUE:
		return futex_requeue(&r);
	case FUTEX_CMP_REQUEUE:
		r.compare = true;
		return futex_requeue(&r);
	case FUTEX_WAKE_OP:
		return futex_wake_op(a[0], a[4], shared, (s32)value, (s32)a[3], value3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(a[0], shared, deadline, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(a[0], shared, PICO_FOREVER, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(a[0], shared);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(a[0], shared, value, deadline, FUTEX_BITSET_MATCH_ANY, a[4]);
	case FUTEX_CMP_REQUEUE_PI:
		r.compare = r.pi = true;
		return futex_requeue(&r);
	}
	return -ENOSYS;
}

/* ---- futex_waitv ---- */

static s64 waitv_sleep(struct waiter *ws, u32 n, u64 deadline)
{
	int err = 0;

	for (;;) {
		for (u32 i = 0; i < n; i++)
			if (__atomic_load_n(&ws[i].state, __ATOMIC_ACQUIRE) != W_WAITING)
				return 0;
		err = wait_sleep(deadline);
		if (err)
			return err;
		wait_begin();
	}
}

/* The index of one that was woken; -1: none. All are out of their queues. */
static s64 waitv_withdraw(struct waiter *ws, u32 n)
{
	s64 woken = -1;

	for (u32 i = 0; i < n; i++)
		if (!withdraw(&ws[i]))
			woken = i;
	return woken;
}

SYSCALL(futex_waitv)
{
	const u32 n = (u32)a[1];
	struct futex_waitv v;
	u64 deadline = PICO_FOREVER;
	u32 queued = 0;
	s64 err = 0;

	if (a[2] || !n || n > FUTEX_WAITV_MAX || !a[0])
		return -EINVAL;
	if (a[3]) {
		struct lx_timespec ts;
		if ((u32)a[4] > 1)
			return -EINVAL;
		if (get_user(ts, a[3]))
			return -EFAULT;
		if ((err = deadline_from_timespec(&ts, (u32)a[4], true, &deadline)))
			return err;
	}
	struct waiter *ws = kzalloc(n * sizeof(*ws));
	if (!ws)
		return -ENOMEM;
	wait_begin();
	for (u32 i = 0; i < n; i++) {
		struct waiter *w = &ws[i];
		u32 value;
		*w = (struct waiter){ .task = current, .bitset = FUTEX_BITSET_MATCH_ANY };
		err = -EFAULT;
		if (get_user(v, a[0] + i * sizeof(v)))
			break;
		err = -EINVAL;
		if ((v.flags & ~(u32)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || v.__reserved || !(v.flags & FUTEX_32))
			break;
		if ((err = futex_make_key(v.uaddr, !(v.flags & FUTEX_PRIVATE_FLAG), &w->key)))
			break;
		struct bucket *b = futex_bucket(&w->key);
		lock(&b->lock);
		err = user_load_u32(v.uaddr, &value);
		if (!err && value != (u32)v.val)
			err = -EAGAIN;
		if (!err)
			futex_enqueue(b, w);
		unlock(&b->lock);
		if (err)
			break;
		queued++;
	}
	if (!err)
		err = waitv_sleep(ws, n, deadline);
	s64 woken = waitv_withdraw(ws, queued);
	kfree(ws);
	return woken >= 0 ? woken : err;
}
