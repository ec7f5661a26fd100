/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests on their way to the monitor, as the guard takes them: with sequence
 * numbers, asked again, given up. Knows what an answer must be when a request
 * is issued twice, and nothing of what it asks.
 */
#include <linux/audit.h>

#include "life.h"

struct seccomp_notif ask_notification(uint64_t id, pid_t pid, int64_t nr)
{
	struct seccomp_notif n = { .id = id, .pid = (uint32_t)pid };

	n.data.nr = (int)nr;
	n.data.arch = AUDIT_ARCH_X86_64;
	return n;
}

/* As the guard does. */
void ask_serve(struct life *l, const struct seccomp_notif *n)
{
	memory_mine = false;
	if (n->data.nr == SYS_clone) {
		pico__process_clone(l->p, n);
	} else if (n->data.nr == SYS_close_range) {
		pico__process_close_range(l->p, n);
	} else if ((uint32_t)n->data.nr == PICO_NR_SEED_WAIT) {
		pico__process_seed_wait(l->p, n);
	} else if ((uint32_t)n->data.nr == PICO_NR(PICO_DC_ProcessCheckpoint)) {
		pico__park_checkpoint(l->p, n);
	} else {
		pico__request_notified(l->p, n, &l->spare);
	}
	memory_mine = true;
}

pid_t ask_tid(struct life *l)
{
	unsigned at = source_below(l->s, KIDS);

	for (unsigned i = 0; i < KIDS && source_chance(l->s, 90); i++)
		if (l->kid[(at + i) % KIDS].pid)
			return l->kid[(at + i) % KIDS].pid;
	return 0;
}

/* A request that is not answered yet when its slot asks for something else
 * belongs to a thread that is gone: it will not be answered. */
void ask_forget(struct asked *a)
{
	int64_t answer;

	if (a->id && kernel_answer(a->id, &answer))
		make_check(&a->q, answer); /* a worker may have been later than notify() */
	else if (a->id)
		kernel_excuse(a->id);
}

static void notify(struct life *l, struct asked *a, pid_t tid)
{
	struct seccomp_notif n;
	int64_t answer;

	a->id = kernel_id();
	n = ask_notification(a->id, tid, (int32_t)a->q.nr);
	for (int i = 1; i < 6; i++)
		n.data.args[i] = a->q.r[i];
	n.data.args[0] = PICO_REQUEST_WORD(a->q.slot, a->seq);
	if (a->q.nr == PICO_NR_CRASHED)
		kernel_excuse(a->id);
	ask_serve(l, &n);
	if (!kernel_answer(a->id, &answer))
		return;
	make_check(&a->q, answer);
	make_learn(&l->k, &a->q, answer);
}

/* A slot may have been given to a new thread since: then nothing is known of
 * what its last one asked. Only the guard's thread changes that. */
static bool remembered(struct life *l, const struct asked *a)
{
	struct pico__thread *t = &l->p->threads[a->q.slot];
	bool yes;

	pthread_mutex_lock(&l->p->lock);
	yes = t->have_seq && t->seq == a->seq && t->nr == a->q.nr;
	pthread_mutex_unlock(&l->p->lock);
	return yes;
}

/* The kernel issues a request again, without WAIT_KILLABLE_RECV: it must get
 * the answer it got before, or was to get, and not run again. */
static void again(struct life *l, struct asked *a)
{
	int64_t before = 0, after = 0;
	bool had = kernel_answer(a->id, &before);

	ask_forget(a);
	notify(l, a, ask_tid(l));
	if (had && before != -PICO_EINTR && kernel_answer(a->id, &after) && after != before)
		fault("request 0x%x: answered %lld, and %lld when asked again", a->q.nr, (long long)before, (long long)after);
}

static void closed_first(const struct request *q)
{
	/* The gate closes its descriptor before it says so. */
	if (q->nr == PICO_NR(PICO_DC_ObjectClose) && PICO_HANDLE_TYPE(q->r[1]) == PICO_HT_STREAM)
		kernel_guest_closes((int)(PICO_HANDLE_PAYLOAD(q->r[1]) & 0xffff));
}

/* Offsets of a certain range are promises: each runs once. */
static void promise(struct asked *a)
{
	for (int i = 1; i < 6; i++)
		if (a->q.r[i] - TOKEN_BASE < KERNEL_IDS)
			a->q.r[i] = TOKEN_BASE + kernel_token();
}

void ask_new(struct life *l, struct asked *a, const struct request *q)
{
	ask_forget(a);
	a->q = *q;
	a->seq++;
	promise(a);
	closed_first(&a->q);
	notify(l, a, ask_tid(l));
}

static void flood(struct life *l, struct asked *a)
{
	const struct request q = a->q;

	for (unsigned i = source_below(l->s, 160); i; i--)
		ask_new(l, a, &q);
}

void ask(struct life *l)
{
	struct asked *a = &l->last[source_below(l->s, ASKING_SLOTS)];
	int64_t ignored;

	if (a->id && source_chance(l->s, kernel_answer(a->id, &ignored) ? 8 : 60) && remembered(l, a)) {
		again(l, a);
		return;
	}
	if (source_below(l->s, 8192) == 0) {
		script_run(l, a);
		return;
	}
	ask_forget(a);
	a->seq = source_chance(l->s, 98) ? a->seq + 1 : (uint32_t)make_number(l->s);
	make_request(l->s, &l->k, &a->q);
	promise(a);
	closed_first(&a->q);
	notify(l, a, ask_tid(l));
	if (source_below(l->s, 4096) == 0)
		flood(l, a);
}

/* Never asked again, whether it is answered or not. */
void ask_once(struct life *l, struct asked *a, pid_t tid)
{
	notify(l, a, tid);
	ask_forget(a);
}

/* Slots and words that no thread of a gate would use. */
void ask_oddly(struct life *l)
{
	struct asked a = { .seq = (uint32_t)source_take(l->s, 4) };

	a.q.slot = FIRST_SLOT;
	make_request(l->s, &l->k, &a.q);
	a.q.slot = make_slot(l->s) & ~1u;
	ask_once(l, &a, ask_tid(l));
}
