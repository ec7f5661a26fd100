/* SPDX-License-Identifier: Apache-2.0
 *
 * Wait queues and sleeping. A task sleeps on its own wait word (or, mixed with
 * streams of the host, on its own event); queues only say whom to wake.
 */
#include "../lx/wait.h"
#include "../lx/arch.h"
#include "../lx/mem.h"
#include "../lx/proc.h"
#include "../lx/task.h"

/* task->wait_word. A waker makes it WOKEN whatever it was, and rings the bell
 * the old value asks for; a kick makes it KICKED unless it is WOKEN. */
enum { WAIT_ARMED, WAIT_WOKEN, WAIT_ADDRESS, WAIT_EVENT, WAIT_KICKED };

void wait_queue_init(struct wait_queue *q)
{
	q->lock.word = 0;
	list_init(&q->entries);
}

static void queue_insert(struct wait_queue *q, struct wait_entry *w)
{
	w->queue = q;
	lock(&q->lock);
	list_add_tail(&q->entries, &w->node);
	unlock(&q->lock);
}

void wait_add(struct wait_queue *q, struct wait_entry *w)
{
	w->task = current;
	w->fn = NULL;
	w->data = NULL;
	w->events = 0;
	w->exclusive = false;
	queue_insert(q, w);
}

void wait_add_fn(struct wait_queue *q, struct wait_entry *w, wait_fn fn, void *data)
{
	w->task = NULL;
	w->fn = fn;
	w->data = data;
	w->events = 0;
	w->exclusive = false;
	queue_insert(q, w);
}

void wait_remove(struct wait_entry *w)
{
	struct wait_queue *q = w->queue;

	if (!q)
		return;
	lock(&q->lock);
	list_del(&w->node);
	unlock(&q->lock);
	w->queue = NULL;
}

static void ring(const u32 *word, pico_handle event, u32 old)
{
	if (old == WAIT_ADDRESS)
		Dk(AddressWake)((u32 *)word, 1);
	else if (old == WAIT_EVENT)
		Dk(EventSet)(event);
}

/* A bell that nobody listens to any more is harmless, so nothing needs to keep
 * the task alive until it is rung. */
void wake_later(struct bells *b, struct task *t)
{
	u32 node;

	t->waker_cpu = arch_current_cpu(&node);
	const pico_handle event = t->own_event;
	const u32 old = __atomic_exchange_n(&t->wait_word, WAIT_WOKEN, __ATOMIC_SEQ_CST);

	if (old != WAIT_ADDRESS && old != WAIT_EVENT)
		return;
	if (b->count == BELLS) {
		ring(&t->wait_word, event, old);
		return;
	}
	b->bell[b->count].word = &t->wait_word;
	b->bell[b->count].event = event;
	b->bell[b->count++].old = old;
}

void wake_ring(const struct bells *b)
{
	for (u32 i = 0; i < b->count; i++)
		ring(b->bell[i].word, b->bell[i].event, b->bell[i].old);
}

void wake_up_count(struct wait_queue *q, u32 events, int exclusive_count)
{
	struct bells bells;

	/* Nobody waits: the usual case. A waiter looks at its condition after
	 * it has entered the queue, so the barrier makes this safe. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (list_empty(&q->entries))
		return;
	bells.count = 0;
	lock(&q->lock);
	list_for_each_safe(pos, next, &q->entries) {
		struct wait_entry *w = list_entry(pos, struct wait_entry, node);
		if (events && w->events && !(events & w->events))
			continue;
		if (w->exclusive && exclusive_count <= 0)
			continue;
		bool woken = true;
		if (w->fn)
			woken = w->fn(w, events);
		else
			wake_later(&bells, w->task);
		exclusive_count -= w->exclusive && woken;
	}
	unlock(&q->lock);
	wake_ring(&bells);
}

#define EVENTS_FOR_ALL (0x8u | 0x10u) /* EPOLLERR EPOLLHUP: it stays so, for everybody */

void wake_up(struct wait_queue *q, u32 events)
{
	wake_up_count(q, events, events && !(events & EVENTS_FOR_ALL) ? 1 : 0x7fffffff);
}

void task_wake(struct task *t)
{
	const pico_handle event = t->own_event;
	u32 node;

	t->waker_cpu = arch_current_cpu(&node);
	ring(&t->wait_word, event, __atomic_exchange_n(&t->wait_word, WAIT_WOKEN, __ATOMIC_SEQ_CST));
}

void task_kick_raw(struct task *t)
{
	if (t == current)
		return;
	u32 old = __atomic_load_n(&t->wait_word, __ATOMIC_SEQ_CST);
	while (old != WAIT_WOKEN && old != WAIT_KICKED)
		if (__atomic_compare_exchange_n(&t->wait_word, &old, WAIT_KICKED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			ring(&t->wait_word, t->own_event, old);
			break;
		}
	if (__atomic_load_n(&t->in_user, __ATOMIC_SEQ_CST) && t->host_thread > 0)
		Dk(ThreadInterrupt)(t->host_thread);
}

void task_kick(struct task *t, u32 tif)
{
	__atomic_fetch_or(&t->flags, tif, __ATOMIC_SEQ_CST);
	task_kick_raw(t);
}

/* Also while it does what a kick was for, so that looking at a task does not change what one sees. */
bool task_sleeps(const struct task *t)
{
	return __atomic_load_n(&t->asleep, __ATOMIC_SEQ_CST) && __atomic_load_n(&t->wait_word, __ATOMIC_SEQ_CST) != WAIT_WOKEN &&
	       !(__atomic_load_n(&t->flags, __ATOMIC_SEQ_CST) & TIF_UNWIND); /* a signal ends its sleep */
}

void wait_begin(void)
{
	__atomic_store_n(&current->wait_word, WAIT_ARMED, __ATOMIC_SEQ_CST);
}

/* What must be done even by a task that goes on sleeping. */
static void sleeper_work(struct task *t)
{
	const u32 flags = __atomic_load_n(&t->flags, __ATOMIC_ACQUIRE);

	if (unlikely(thread_block()->pending || (flags & TIF_INTERRUPT)))
		interrupt_take();
	if (unlikely(flags & TIF_SYNC)) {
		t->cpu_time = cpu_time_thread();
		__atomic_store_n(&t->cpu_fresh, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_and(&t->flags, ~TIF_SYNC, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&t->sync_count, 1, __ATOMIC_SEQ_CST);
		wake_up(&K->sync_wait, 0);
	}
	if (unlikely(flags & TIF_REMOTE))
		remote_serve();
}

static s64 sleep_event(struct task *t, u64 deadline, const pico_handle *events, u32 count)
{
	pico_handle small[16], *all = small;

	if (count + 1 > ARRAY_SIZE(small) && !(all = kmalloc((count + 1) * sizeof(*all))))
		return -PICO_ENOMEM;
	all[0] = t->own_event;
	memcpy(all + 1, events, count * sizeof(*events));
	s64 r = Dk(ObjectsWaitAny)(count + 1, all, deadline);
	if (all != small)
		kfree(all);
	return r;
}

/* ---- sleeping ---- */

/* Two that answer each other from different CPUs pay two idle CPUs' wake-ups a
 * round when both sleep. So a task whose last waits were short looks for a
 * while before it sleeps; it stops doing so when that was in vain. */
#define SPIN_CYCLES 24000 /* some 10 us */
#define SHORT_CYCLES 400000 /* a sleep that spinning might have saved */

static void spin(const struct task *t, u32 unwind)
{
	const u64 begin = arch_cycles();

	while (__atomic_load_n(&t->wait_word, __ATOMIC_RELAXED) == WAIT_ARMED &&
	       !(__atomic_load_n(&t->flags, __ATOMIC_RELAXED) & (unwind | TIF_SYNC | TIF_REMOTE | TIF_INTERRUPT)) &&
	       arch_cycles() - begin < SPIN_CYCLES)
		__builtin_ia32_pause();
}

static void learn(struct task *t, u64 began)
{
	u32 node;

	t->spins = K->cpu_count > 1 && arch_cycles() - began < SHORT_CYCLES && t->waker_cpu != arch_current_cpu(&node);
}

static int sleep_loop(u64 deadline, u32 unwind, const pico_handle *events, u32 count)
{
	struct task *t = current;
	const u32 how = count ? WAIT_EVENT : WAIT_ADDRESS;
	const u64 began = arch_cycles();

	if (count && !t->own_event) {
		t->own_event = Dk(SynchronizationEventCreate)(0);
		if (t->own_event < 0) {
			t->own_event = 0;
			return -ENOMEM;
		}
	}
	for (;;) {
		u32 word = __atomic_load_n(&t->wait_word, __ATOMIC_SEQ_CST);
		if (word == WAIT_WOKEN) {
			learn(t, began);
			return 0;
		}
		sleeper_work(t);
		if (__atomic_load_n(&t->flags, __ATOMIC_SEQ_CST) & unwind)
			return -ERESTARTSYS;
		if (word == WAIT_KICKED) { /* for something that is done now */
			__atomic_compare_exchange_n(&t->wait_word, &word, WAIT_ARMED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
			continue;
		}
		if (t->spins) {
			t->spins = 0;
			spin(t, unwind);
			continue;
		}
		if (word == WAIT_ARMED && !__atomic_compare_exchange_n(&t->wait_word, &word, how, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		t->switches++;
		s64 r = count ? sleep_event(t, deadline, events, count) : Dk(AddressWait)(&t->wait_word, WAIT_ADDRESS, deadline);
		if (count && r > 0) { /* a stream is ready */
			__atomic_store_n(&t->wait_word, WAIT_WOKEN, __ATOMIC_SEQ_CST);
			return 0;
		}
		if (r == -PICO_ETIMEDOUT) {
			word = how; /* a wake that came just now counts */
			if (__atomic_compare_exchange_n(&t->wait_word, &word, WAIT_ARMED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				return -ETIMEDOUT;
			continue;
		}
		if (r < 0 && r != -PICO_EINTR && r != -PICO_EAGAIN)
			return count ? (int)r : (panic("wait: error %ld", (long)r), 0);
		word = how; /* a spurious end: arm again, so that a waker need not ring */
		__atomic_compare_exchange_n(&t->wait_word, &word, WAIT_ARMED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
}

static int sleep_core(u64 deadline, u32 unwind, const pico_handle *events, u32 count)
{
	struct task *t = current;

	__atomic_store_n(&t->cpu_fresh, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&t->asleep, 1, __ATOMIC_RELEASE);
	const int r = sleep_loop(deadline, unwind, events, count);
	__atomic_store_n(&t->asleep, 0, __ATOMIC_RELEASE);
	return r;
}

int wait_sleep(u64 deadline)
{
	return sleep_core(deadline, TIF_UNWIND, NULL, 0);
}

int wait_sleep_flags(u64 deadline, u32 unwind)
{
	return sleep_core(deadline, unwind, NULL, 0);
}

int wait_sleep_uninterruptible(u64 deadline)
{
	return sleep_core(deadline, 0, NULL, 0);
}

int wait_sleep_streams(u64 deadline, const pico_handle *events, u32 count)
{
	return sleep_core(deadline, TIF_UNWIND, events, count);
}

void task_sync(struct task *t, bool only_running)
{
	struct wait_entry *w = &current->wait_slot;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (t == current) {
		t->cpu_time = cpu_time_thread();
		return;
	}
	if (only_running && !__atomic_load_n(&t->in_user, __ATOMIC_SEQ_CST))
		return;
	if (__atomic_load_n(&t->parked, __ATOMIC_SEQ_CST) || __atomic_load_n(&t->lent, __ATOMIC_SEQ_CST))
		return;
	const u32 before = __atomic_load_n(&t->sync_count, __ATOMIC_SEQ_CST);
	task_kick(t, TIF_SYNC);
	wait_begin();
	wait_add(&K->sync_wait, w);
	while (__atomic_load_n(&t->sync_count, __ATOMIC_SEQ_CST) == before && !t->exiting && !__atomic_load_n(&t->parked, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&t->lent, __ATOMIC_SEQ_CST) &&
	       !(only_running && !__atomic_load_n(&t->in_user, __ATOMIC_SEQ_CST)))
		if (wait_sleep_uninterruptible(now_mono() + 10 * 1000 * 1000) == 0)
			wait_begin();
	wait_remove(w);
}
