/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel timers: one sorted list for the instance, one thread that sleeps until
 * the first is due. Their owners' locks are taken only inside the callbacks.
 */
#include "../lx/proc.h"
#include "../lx/time.h"

void ktimer_system_init(void)
{
	list_init(&K->timers);
	wait_queue_init(&K->timer_wait);
}

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *), void *data)
{
	*t = (struct ktimer){ .fn = fn, .data = data };
	list_init(&t->node);
}

/* timer_lock held. True: it is the first now. */
static bool insert(struct ktimer *t)
{
	struct list *pos = K->timers.prev;

	while (pos != &K->timers && list_entry(pos, struct ktimer, node)->deadline > t->deadline)
		pos = pos->prev;
	list_add(pos, &t->node);
	return K->timers.next == &t->node;
}

static void advance(struct ktimer *t, u64 now)
{
	list_del(&t->node);
	t->overruns = 0;
	if (!t->interval) {
		t->deadline = 0;
		return;
	}
	t->overruns = (now - t->deadline) / t->interval;
	t->deadline += (t->overruns + 1) * t->interval;
	insert(t);
}

/* Fires what is due; the deadline of the next. */
static u64 run_due(void)
{
	u64 next = PICO_FOREVER;

	lock(&K->timer_lock);
	while (!list_empty(&K->timers)) {
		struct ktimer *t = list_entry(K->timers.next, struct ktimer, node);
		const u64 now = now_mono();
		if (t->deadline > now) {
			next = t->deadline;
			break;
		}
		advance(t, now);
		t->firing = true;
		unlock(&K->timer_lock);
		t->fn(t);
		lock(&K->timer_lock);
		t->firing = false;
		/* Whoever cancels waits for this; the timer may be gone after. */
		wake_up(&K->timer_wait, 0);
	}
	unlock(&K->timer_lock);
	return next;
}

static void timer_thread(void *arg)
{
	(void)arg;
	for (;;) {
		wait_begin();
		const u64 next = run_due();
		if (wait_sleep_flags(next, TIF_PARK) == -ERESTARTSYS)
			park();
		if (__atomic_load_n(&K->ended, __ATOMIC_ACQUIRE)) /* we are of the first picoprocess */
			instance_end(K->end_status);
	}
}

void ktimer_start_thread(void)
{
	struct task *none = NULL, *const starting = (struct task *)1;

	if (!__atomic_compare_exchange_n(&K->timer_task, &none, starting, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	struct task *t;
	int err = kthread_start(timer_thread, NULL, &t);
	if (err)
		panic("the timer thread cannot be started: error %d", err);
	__atomic_store_n(&K->timer_task, t, __ATOMIC_SEQ_CST);
}

static void wake_timer_thread(void)
{
	struct task *t = __atomic_load_n(&K->timer_task, __ATOMIC_SEQ_CST);

	if ((u64)t > 1)
		task_wake(t);
}

void ktimer_arm(struct ktimer *t, u64 deadline, u64 interval)
{
	bool first = false;

	ktimer_start_thread();
	lock(&K->timer_lock);
	if (t->deadline)
		list_del(&t->node);
	t->deadline = deadline ? deadline : 1;
	t->interval = interval;
	first = insert(t);
	unlock(&K->timer_lock);
	if (first)
		wake_timer_thread();
}

static void left(struct ktimer *t, u64 *remaining, u64 *interval)
{
	const u64 now = now_mono();

	/* Armed and due is not yet over: 0 would say that it is not armed. */
	if (remaining)
		*remaining = !t->deadline ? 0 : t->deadline > now ? t->deadline - now : 1;
	if (interval)
		*interval = t->interval;
}

void ktimer_query(struct ktimer *t, u64 *remaining, u64 *interval)
{
	lock(&K->timer_lock);
	left(t, remaining, interval);
	unlock(&K->timer_lock);
}

void ktimer_cancel(struct ktimer *t, u64 *remaining, u64 *interval)
{
	lock(&K->timer_lock);
	left(t, remaining, interval);
	if (t->deadline)
		list_del(&t->node);
	t->deadline = 0;
	t->interval = 0;
	while (t->firing && current != K->timer_task) {
		struct wait_entry *w = &current->wait_slot;
		wait_begin();
		wait_add(&K->timer_wait, w);
		unlock(&K->timer_lock);
		wait_sleep_uninterruptible(PICO_FOREVER);
		wait_remove(w);
		lock(&K->timer_lock);
	}
	unlock(&K->timer_lock);
}
