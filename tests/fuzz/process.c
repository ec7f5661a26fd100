/* SPDX-License-Identifier: Apache-2.0
 *
 * Picoprocesses that are not there: the seed, clones, HELLO, ends, in the right
 * order and in any other. Children of the fuzzer lend their ids.
 */
#include <string.h>

#include "life.h"

static struct kid *new_kid(struct life *l)
{
	for (unsigned i = 1; i < KIDS; i++)
		if (!l->kid[i].pid)
			return kid_make(&l->kid[i], l->p->name) ? &l->kid[i] : NULL;
	return NULL;
}

static bool is_known(const struct life *l, const struct kid *kid)
{
	return pico__guard_pid_find(l->p->guard, kid->pid) != NULL;
}

/* A child that the monitor has not heard of. */
static struct kid *hidden_kid(struct life *l)
{
	for (unsigned i = 1; i < KIDS; i++)
		if (l->kid[i].pid && !is_known(l, &l->kid[i]))
			return &l->kid[i];
	return NULL;
}

void process_report_end(struct life *l, struct kid *kid)
{
	struct pico__process *q;
	int status;

	static const int statuses[] = { 0, 1 << 8, 127 << 8, 9, 11, 31 };

	kid_end(kid, &status);
	if (source_chance(l->s, 50)) /* it might as well have ended so */
		status = SOURCE_PICK(l->s, statuses);
	q = pico__guard_pid_find(l->p->guard, kid->pid);
	memory_mine = false;
	if (q)
		pico__process_exited(q, status);
	else if (status && source_chance(l->s, 20))
		pico__process_stray_exited(l->p, kid->pid, status);
	memory_mine = true;
	kid_reap(kid);
}

static void leave_table(struct life *l)
{
	struct seccomp_notif n = ask_notification(kernel_id(), l->kid[0].pid, SYS_close_range);
	bool first = !l->p->seed_seen;

	n.data.args[1] = source_chance(l->s, 95) ? ~0u : make_number(l->s);
	n.data.args[2] = 2;
	ask_serve(l, &n);
	if (kernel_continued(n.id) && !first)
		fault("close_range was let through twice");
}

void process_take_order(struct life *l)
{
	int64_t order;

	if (l->seed_wait && kernel_answer(l->seed_wait, &order) && order > 0) {
		l->slot = (uint32_t)(order >> 8) & 0xffff;
		l->cookie = (uint32_t)(order >> 24);
		l->seed_wait = 0;
	}
}

static void seed_waits(struct life *l)
{
	struct seccomp_notif n = ask_notification(kernel_id(), source_chance(l->s, 95) ? l->kid[0].pid : ask_tid(l), PICO_NR_SEED_WAIT);

	if (l->seed_wait)
		kernel_excuse(l->seed_wait);
	if (source_chance(l->s, 80))
		l->seed_seq++;
	n.data.args[0] = PICO_REQUEST_WORD(PICO_SLOT_COUNT - 1, l->seed_seq);
	n.data.args[1] = source_chance(l->s, 70) ? 1000 : source_chance(l->s, 50) ? (uint64_t)-PICO_EAGAIN : make_number(l->s);
	ask_serve(l, &n);
	l->seed_wait = n.id;
	process_take_order(l);
}

static bool clone_as(struct life *l, pid_t tid, uint64_t flags, uint32_t slot, uint32_t cookie)
{
	struct seccomp_notif n = ask_notification(kernel_id(), tid, SYS_clone);

	n.data.args[0] = flags;
	n.data.args[5] = PICO_CLONE_TAG(slot, cookie);
	ask_serve(l, &n);
	if (!kernel_continued(n.id))
		return false;
	if (flags != PICO_CLONE_PROCESS_FLAGS && flags != PICO_CLONE_THREAD_FLAGS)
		fault("clone with flags 0x%llx was let through", (unsigned long long)flags);
	l->slot = slot;
	l->cookie = cookie;
	return true;
}

/* The kernel starts a clone again that a signal came before; or a guest does. */
static bool clone_twice(struct life *l, pid_t tid, uint32_t slot, uint32_t cookie)
{
	bool first = clone_as(l, tid, PICO_CLONE_PROCESS_FLAGS, slot, cookie);

	if (!first || !source_chance(l->s, 15))
		return first;
	if (source_chance(l->s, 30))
		new_kid(l); /* the first one was no failure */
	if (source_chance(l->s, 30))
		cookie++;
	return clone_as(l, tid, PICO_CLONE_PROCESS_FLAGS, slot, cookie) || first;
}

static uint64_t clone_flags(struct source *s)
{
	return source_chance(s, 60) ? PICO_CLONE_PROCESS_FLAGS : source_chance(s, 97) ? PICO_CLONE_THREAD_FLAGS : make_number(s);
}

static void clone_oddly(struct life *l)
{
	uint32_t slot = source_chance(l->s, 50) ? l->slot : make_slot(l->s), cookie = l->cookie;
	uint64_t flags = clone_flags(l->s);

	if (source_chance(l->s, 50))
		cookie = l->k.handle_count && source_chance(l->s, 70) ?
			 (uint32_t)PICO_HANDLE_PAYLOAD(l->k.handle[source_below(l->s, l->k.handle_count)]) : source_below(l->s, 40);
	if (clone_as(l, ask_tid(l), flags, slot, cookie) && flags == PICO_CLONE_PROCESS_FLAGS && source_chance(l->s, 80))
		new_kid(l); /* hidden until it says HELLO; else the clone came to nothing */
}

static int64_t hello_as(struct life *l, pid_t tid, uint32_t slot, uint64_t kind, uint64_t cookie)
{
	struct asked a = { .q = { .nr = PICO_NR_HELLO, .slot = slot, .r = { 0, kind, cookie } }, .seq = (uint32_t)source_take(l->s, 4) };
	int64_t answer = -PICO_EAGAIN;

	ask_once(l, &a, tid);
	kernel_answer(a.id, &answer);
	return answer;
}

static void hello_oddly(struct life *l)
{
	struct kid *kid = source_chance(l->s, 70) ? hidden_kid(l) : NULL;
	uint32_t slot = source_chance(l->s, 90) ? l->slot : make_slot(l->s);
	uint64_t kind = source_chance(l->s, 70) ? 0 : source_below(l->s, 3);

	hello_as(l, kid ? kid->pid : ask_tid(l), slot, kind, source_chance(l->s, 90) ? l->cookie : make_number(l->s));
	if (kid && !is_known(l, kid) && source_chance(l->s, 30)) /* as the gate does */
		process_report_end(l, kid);
}

/* ---- as gates do it, so that there are picoprocesses to be hostile with ---- */

static void be_born(struct life *l)
{
	struct kid *kid = new_kid(l);

	if (kid && hello_as(l, kid->pid, l->slot, 0, l->cookie) < 0)
		process_report_end(l, kid);
}

static void seed_makes_one(struct life *l)
{
	if (!l->seed_wait)
		seed_waits(l);
	process_take_order(l);
	if (!l->seed_wait && clone_twice(l, l->kid[0].pid, l->slot, l->cookie))
		be_born(l);
}

static struct kid *live_kid(struct life *l)
{
	unsigned at = source_below(l->s, KIDS);

	for (unsigned i = 0; i < KIDS; i++) {
		struct kid *kid = &l->kid[(at + i) % KIDS];

		if (kid != &l->kid[0] && kid->pid && is_known(l, kid))
			return kid;
	}
	return NULL;
}

static void clone_makes_one(struct life *l)
{
	struct kid *parent = live_kid(l);
	struct asked a = { .q = { .nr = PICO_NR(PICO_DC_ProcessClone), .slot = 20 }, .seq = (uint32_t)source_take(l->s, 4) };
	int64_t handle = 0;

	if (!parent)
		return;
	if (source_chance(l->s, 50)) {
		ask_once(l, &a, parent->pid);
		if (!kernel_answer(a.id, &handle) || handle < 0)
			return;
	}
	if (clone_twice(l, parent->pid, 30 + source_below(l->s, 8), (uint32_t)PICO_HANDLE_PAYLOAD(handle)) &&
	    source_chance(l->s, 80))
		be_born(l);
}

/* The kernel would give the new thread an id of its own; here the first
 * thread's must do, which the monitor takes for one used again. */
static void thread_makes_one(struct life *l)
{
	struct kid *kid = live_kid(l);

	if (kid && clone_as(l, kid->pid, PICO_CLONE_THREAD_FLAGS, 40 + source_below(l->s, 8), 0) && source_chance(l->s, 80))
		hello_as(l, source_chance(l->s, 80) ? kid->pid : ask_tid(l), l->slot, 1, 0);
}

static void one_ends(struct life *l)
{
	struct kid *kid = live_kid(l);
	struct asked a = { .q = { .nr = PICO_NR(PICO_DC_ProcessExit), .slot = 22 }, .seq = (uint32_t)source_take(l->s, 4) };

	if (!kid)
		return;
	a.q.r[1] = source_below(l->s, 300);
	ask_once(l, &a, kid->pid);
	if (source_chance(l->s, 80))
		process_report_end(l, kid);
}

static void exit_one(struct life *l)
{
	static const uint64_t codes[] = { 0, 1, 255, 256, 257, 256 + 64, 256 + 65, PICO_EXIT_LIBOS_CRASH, UINT64_MAX };
	struct asked a = { .q = { .nr = PICO_NR(PICO_DC_ProcessExit), .slot = 2 * source_below(l->s, 6) }, .seq = (uint32_t)source_take(l->s, 4) };

	a.q.r[1] = SOURCE_PICK(l->s, codes);
	if (source_chance(l->s, 5))
		a.q.nr = PICO_NR_CRASHED;
	ask_once(l, &a, ask_tid(l));
}

static void die_one(struct life *l)
{
	struct kid *kid = &l->kid[1 + source_below(l->s, KIDS - 1)];

	if (kid->pid)
		process_report_end(l, kid);
}

void process_begin(struct life *l)
{
	if (!source_chance(l->s, 70) || !kid_make(&l->kid[0], "pico-seed"))
		return;
	l->p->seed_pidfd = (int)syscall(SYS_pidfd_open, l->kid[0].pid, 0);
	leave_table(l);
}

/* As if two seconds had passed. */
static void age(struct life *l)
{
	pthread_mutex_lock(&l->p->lock);
	for (struct pico__process *q = l->p->processes; q; q = q->next)
		q->since -= 2 * PICO__NS;
	for (uint32_t slot = 0; slot < l->p->slot_high; slot++)
		l->p->threads[slot].since -= 2 * PICO__NS;
	l->p->overdue_at -= l->p->overdue_at ? 2 * PICO__NS : 0;
	if (l->p->dying && !l->p->ended) {
		l->p->dying_at -= 2 * PICO__NS;
		l->p->strays_at -= 2 * PICO__NS;
	}
	pthread_mutex_unlock(&l->p->lock);
}

void process_step(struct life *l)
{
	static void (*const odd[])(struct life *) = { seed_waits, clone_oddly, clone_oddly, hello_oddly, hello_oddly, leave_table, age };
	static void (*const proper[])(struct life *) = { seed_makes_one, clone_makes_one, clone_makes_one, thread_makes_one, thread_makes_one, one_ends };

	if (!l->kid[0].pid)
		return;
	process_take_order(l);
	if (source_below(l->s, 512) < 2)
		source_chance(l->s, 50) ? exit_one(l) : die_one(l);
	else if (source_chance(l->s, 50))
		SOURCE_PICK(l->s, proper)(l);
	else
		SOURCE_PICK(l->s, odd)(l);
}
