/* SPDX-License-Identifier: Apache-2.0
 *
 * Parking an instance: ask, interrupt every thread, and hold the notification
 * of ProcessCheckpoint with which its library OS says that all stand still.
 * Believes that for no more than consistency: a guest that lies harms itself.
 * Knows nothing of what is done with an instance that is parked.
 */
#include <linux/seccomp.h>
#include <time.h>

#include "instance.h"

#define AGAIN_FIRST (2 * PICO__MS) /* until threads are interrupted again that could not be reached */
#define AGAIN_LAST (50 * PICO__MS)

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
	return p->park.wanted ? -PICO_EBUSY : 0;
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

/* Lock held: the answer, or 1 when there is none for now. A kernel without
 * WAIT_KILLABLE_RECV may take the asker out of a held request; it asks again. */
static int64_t answer_to(struct pico *p, const struct seccomp_notif *n)
{
	if ((uint32_t)n->data.args[0] >= PICO_SLOT_COUNT || (uint32_t)n->data.args[1])
		return -PICO_EINVAL;
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
