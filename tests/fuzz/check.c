/* SPDX-License-Identifier: Apache-2.0
 *
 * Do the monitor's tables agree? Looks where no guest can, and faults where the
 * counts, chains and numbers contradict each other.
 */
#include <string.h>

#include "life.h"
#include "monitor/stream_internal.h"

static void check_process(const struct pico *p, const struct pico__process *q)
{
	uint32_t before = 0, steps = 0;

	if (q->instance != p)
		fault("a picoprocess of another instance");
	for (uint32_t at = q->first_thread; at; at = p->threads[at - 1].next) {
		if (at > PICO_SLOT_COUNT || ++steps > PICO_SLOT_COUNT)
			fault("the chain of a picoprocess's threads is broken");
		if (p->threads[at - 1].process != q || p->threads[at - 1].prev != before)
			fault("slot %u is in the wrong chain", at - 1);
		before = at;
	}
	if (q->state == PICO__GONE && q->first_thread)
		fault("threads of a picoprocess that is gone");
	if (q->number && q->state == PICO__GONE && !q->references)
		fault("a picoprocess that nobody knows any more");
}

static void check_tids(const struct pico *p)
{
	for (uint32_t slot = 0; slot < p->slot_high; slot++) {
		const struct pico__thread *t = &p->threads[slot];

		if (t->tid && pico__thread_by_tid((struct pico *)(uintptr_t)p, t->tid, NULL) != t)
			fault("thread id %d of slot %u cannot be found", t->tid, slot);
		if (t->tid && !t->process)
			fault("slot %u has a thread id and no picoprocess", slot);
	}
}

void check_tables(struct pico *p)
{
	uint32_t processes = 0, threads = 0;

	pthread_mutex_lock(&p->lock);
	for (const struct pico__process *q = p->processes; q; q = q->next) {
		check_process(p, q);
		processes += !q->seed && q->state != PICO__GONE;
		threads += q->threads;
	}
	check_tids(p);
	if (processes != p->process_count || threads != p->thread_count)
		fault("%u picoprocesses counted as %u, %u threads as %u", processes, p->process_count, threads, p->thread_count);
	if (processes > p->config.limits.processes)
		fault("%u picoprocesses, limit %u", processes, p->config.limits.processes);
	pthread_mutex_unlock(&p->lock);
	if (pico__streams_count(p->streams) > p->config.limits.streams)
		fault("%u streams, limit %u", pico__streams_count(p->streams), p->config.limits.streams);
}

static void count_one(void *value, void *user)
{
	(void)value;
	++*(uint32_t *)user;
}

void check_streams(struct pico__streams *s)
{
	uint32_t names = 0, servers = 0;

	pico__streams_stop(s);
	pico__names_each(&s->memories, count_one, &names);
	pico__names_each(&s->servers, count_one, &servers);
	names--; /* the segment's, which no guest gave */
	if (s->count != names || servers)
		fault("%u streams counted when only %u names are left, and %u servers", s->count, names, servers);
}

void check_canaries(const struct life *l)
{
	for (unsigned i = 0; i < ASKING_SLOTS; i++) {
		const uint8_t *slot = l->k.mailbox + PICO_MAILBOX_SLOTS + (uint64_t)(FIRST_SLOT + 2 * i + 1) * PICO_SLOT_SIZE;

		for (uint32_t at = PICO_SLOT_DATA; at < PICO_SLOT_SIZE; at += 8)
			if (slot[at] != CANARY || slot[at + 7] != CANARY)
				fault("the slot after slot %u was written to, at %u", FIRST_SLOT + 2 * i, at);
	}
}

void check_lay_canaries(const struct life *l)
{
	uint64_t all = UINT64_MAX;

	for (unsigned i = 0; i < ASKING_SLOTS; i++)
		memset(l->k.mailbox + PICO_MAILBOX_SLOTS + (uint64_t)(FIRST_SLOT + 2 * i + 1) * PICO_SLOT_SIZE + PICO_SLOT_DATA,
		       CANARY, PICO_SLOT_SIZE - PICO_SLOT_DATA);
	/* Their slots are taken, and stay so. */
	memcpy(l->k.mailbox + offsetof(struct pico_mailbox_header, slot_used) + 4 * (FIRST_SLOT / 32), &all, 8);
}
