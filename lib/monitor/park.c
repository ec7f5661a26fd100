/* SPDX-License-Identifier: Apache-2.0
 *
 * Parking an instance: ask, interrupt every thread, and hold the notification
 * of ProcessCheckpoint with which its library OS says that all stand still.
 * Believes that for no more than consistency: a guest that lies harms itself.
 * Knows nothing of what is done with an instance that is parked.
 */
#include <linux/seccomp.h>
#include <time.h>

#include "cleanup.h"
#include "instance.h"

#define AGAIN_FIRST (2 * PICO__MS) /* until threads are interrupted again that could not be reached */
#define AGAIN_LAST (50 * PICO__MS)
#define LOOK_EVERY (50 * PICO__MS) /* at who writes a snapshot */

/* Lock held. The guest reads the word at any time; its value says which request. */
static void tell(struct pico *p, uint32_t number)
{
	__atomic_store_n(&pico__mailbox_header(p)->host.park, number, __ATOMIC_SEQ_CST);
}

/* Lock held. Parked threads look when they are interrupted. */
static void call_off(struct pico *p)
{
	p->park.wanted = false;
	p->park.id = 0;
	tell(p, 0);
	pico__thread_interrupt_all(p);
}

/* Lock held, given up meanwhile. */
static void sleep_until(struct pico *p, uint64_t at)
{
	const struct timespec when = { (time_t)(at / PICO__NS), (long)(at % PICO__NS) };

	pthread_cond_timedwait(&p->changed, &p->lock, &when);
}

/* Lock held. */
static int wait_until_parked(struct pico *p, uint64_t deadline)
{
	uint64_t step = AGAIN_FIRST, again = 0;

	while (!p->park.id && !p->dying && !p->ended) {
		const uint64_t now = pico__now();

		if (now >= deadline)
			return -PICO_ETIMEDOUT;
		if (now >= again) {
			pico__thread_interrupt_all(p);
			again = now + step;
			step = step * 2 < AGAIN_LAST ? step * 2 : AGAIN_LAST;
		}
		sleep_until(p, again < deadline ? again : deadline);
	}
	return p->dying || p->ended ? -PICO_EDIED : 0;
}

/* Lock held. */
static int check(const struct pico *p)
{
	if (p->dying || p->ended)
		return -PICO_EDIED;
	if (!p->started)
		return -PICO_ESTATE;
	return p->park.wanted || p->park.writing ? -PICO_EBUSY : 0;
}

/* Lock held, given up meanwhile. */
static int ask(struct pico *p, uint64_t deadline)
{
	int rc;

	if (!++p->park.number)
		p->park.number = 1;
	p->park.wanted = true;
	tell(p, p->park.number);
	rc = wait_until_parked(p, deadline);
	if (rc < 0)
		call_off(p);
	return rc;
}

int pico__instance_park(struct pico *p, int64_t timeout_ms)
{
	const uint64_t now = pico__now();
	uint64_t deadline = PICO__NEVER;
	int rc;

	if (timeout_ms >= 0 && (uint64_t)timeout_ms < (PICO__NEVER - now) / PICO__MS)
		deadline = now + (uint64_t)timeout_ms * PICO__MS;
	pthread_mutex_lock(&p->lock);
	p->busy++; /* not to be destroyed under us */
	rc = check(p);
	if (rc == 0)
		rc = ask(p, deadline);
	pthread_mutex_unlock(&p->lock);
	pico__instance_unbusy(p);
	return rc;
}

int pico__instance_unpark(struct pico *p)
{
	uint64_t id;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	id = p->park.id;
	if (id) {
		p->park.wanted = false;
		p->park.id = 0;
		tell(p, 0); /* before the answer: who goes on finds no request */
		pico__answer(p, id, 0);
	}
	if (p->dying || p->ended)
		rc = -PICO_EDIED;
	else if (!id)
		rc = -PICO_ESTATE;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* ---- a snapshot's part of the library OS ---- */

static uint32_t *references_of(const struct pico *p, pico_handle stream)
{
	uint32_t *references = (uint32_t *)(uintptr_t)(p->mailbox + PICO_MAILBOX_REFS);

	return &references[PICO_HANDLE_PAYLOAD(stream)];
}

/* Lock held. 0, or -PICO_EINTR: who was parked is to be waited for once more. */
static int give(struct pico *p, const struct pico__park_gift *gift)
{
	struct pico_host_info *host = &pico__mailbox_header(p)->host;
	const int rc = pico__grant(p, p->park.id, gift->fd, (int)PICO_HANDLE_PAYLOAD(p->park.stream));

	if (rc < 0)
		return rc;
	__atomic_store_n(&host->snapshot_base, gift->base | (gift->hold ? 1 : 0), __ATOMIC_SEQ_CST);
	tell(p, 0); /* before the answer: who goes on finds no request */
	p->park.writing = true;
	p->park.hold = gift->hold;
	p->park.outcome = 0;
	p->park.extra = p->process_count;
	if (pico__answer(p, p->park.id, p->park.stream) == 0) {
		p->park.wanted = false;
		p->park.id = 0;
		return 0;
	}
	p->park.writing = false;
	p->park.extra = 0;
	tell(p, p->park.number);
	return -PICO_EINTR;
}

int pico__park_give(struct pico *p, const struct pico__park_gift *gift)
{
	pico_handle stream = pico__streams_snapshot(p->streams, gift->fd, PICO_ACCESS_WRITE, false);
	int rc = stream < 0 ? (int)stream : -PICO_EINTR;

	pthread_mutex_lock(&p->lock);
	p->park.stream = stream;
	while (rc == -PICO_EINTR) {
		rc = p->dying || p->ended ? -PICO_EDIED : !p->park.wanted ? -PICO_ESTATE : pico__now() >= gift->deadline ? -PICO_ETIMEDOUT : 0;
		if (rc == 0)
			rc = p->park.id ? give(p, gift) : -PICO_EINTR;
		if (rc == -PICO_EINTR)
			sleep_until(p, pico__now() + PICO__MS);
	}
	pthread_mutex_unlock(&p->lock);
	if (rc < 0 && stream > 0)
		pico__streams_snapshot_end(p->streams, stream);
	return rc;
}

int pico__park_written(struct pico *p, const struct pico__park_gift *gift)
{
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (rc == 0 && !p->park.outcome) {
		if (p->dying || p->ended)
			rc = -PICO_EDIED;
		else if (pico__now() >= gift->deadline)
			rc = -PICO_ETIMEDOUT;
		else
			sleep_until(p, pico__now() + LOOK_EVERY);
		pthread_mutex_unlock(&p->lock);
		if (rc == 0 && gift->poll && gift->poll(gift->user))
			rc = -PICO_EINTR;
		pthread_mutex_lock(&p->lock);
	}
	if (rc == 0 && p->park.outcome < 0)
		rc = p->park.outcome;
	if (rc < 0)
		p->park.hold = false; /* whoever is still at it goes on when it is done */
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* Lock held. */
static void let_go(struct pico *p)
{
	p->park.writing = p->park.hold = false;
	p->park.extra = 0;
	if (p->park.id)
		pico__answer(p, p->park.id, 0);
	p->park.id = 0;
}

void pico__park_let_go(struct pico *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->park.outcome)
		let_go(p);
	pthread_mutex_unlock(&p->lock);
}

/* Lock held: the answer, or 1. From now on nothing that the guest still does can
 * reach the file; its own last reference on the handle is this one. */
static int64_t written(struct pico *p, const struct seccomp_notif *n, bool good)
{
	PICO__CLOSE int nothing = -1;
	int rc;

	if (!p->park.writing || p->dying)
		return -PICO_EAGAIN;
	if (!p->park.outcome) {
		nothing = pico__streams_no_write();
		rc = nothing < 0 ? nothing : pico__grant(p, n->id, nothing, (int)PICO_HANDLE_PAYLOAD(p->park.stream));
		if (rc == -PICO_EINTR)
			return rc;
		__atomic_store_n(references_of(p, p->park.stream), 0, __ATOMIC_RELAXED);
		pico__streams_snapshot_end(p->streams, p->park.stream);
		p->park.outcome = rc < 0 ? rc : good ? 1 : -PICO_EIO;
		pthread_cond_broadcast(&p->changed);
	}
	p->park.id = n->id;
	if (p->park.hold)
		return 1;
	let_go(p);
	return 1;
}

/* ---- requests ---- */

/* Lock held: the answer, or 1 when there is none for now. A kernel without
 * WAIT_KILLABLE_RECV may take the asker out of a held request; it asks again. */
static int64_t answer_to(struct pico *p, const struct seccomp_notif *n)
{
	const uint32_t what = (uint32_t)n->data.args[1];

	if ((uint32_t)n->data.args[0] >= PICO_SLOT_COUNT || what > PICO_CHECKPOINT_REQUEST)
		return -PICO_EINVAL;
	if (what == PICO_CHECKPOINT_REQUEST)
		return -PICO_ENOTSUP;
	if (what != PICO_CHECKPOINT_PARKED)
		return written(p, n, what == PICO_CHECKPOINT_WRITTEN);
	if (!p->park.wanted || p->dying || (p->park.id && pico__asks(p, p->park.id)))
		return -PICO_EAGAIN;
	p->park.id = n->id;
	pthread_cond_broadcast(&p->changed);
	return 1;
}

void pico__park_checkpoint(struct pico *p, const struct seccomp_notif *n)
{
	int64_t answer;

	__atomic_fetch_add(&p->requests, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&p->downcalls[PICO_DC_ProcessCheckpoint], 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&p->lock);
	answer = answer_to(p, n);
	if (answer <= 0)
		pico__answer(p, n->id, answer);
	pthread_mutex_unlock(&p->lock);
}
