/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads of picoprocesses: which mailbox slot is whose, the authentic thread
 * ids, the thread limit, interrupts. Believes the kernel about ids and counts,
 * the guest about nothing but which slot it would like.
 *
 * A thread ends without telling the monitor, so records are of the *last* user
 * of a slot, and counts are upper bounds that a census makes true when a limit
 * seems reached.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "instance.h"

#define CENSUS_EVERY (1 * PICO__MS)
#define ADMITTED_FOR (1 * PICO__NS) /* so long an admitted thread without a HELLO counts */

static uint32_t *bucket(struct pico *p, int32_t tid)
{
	return &p->tid_bucket[(uint32_t)tid % PICO__TID_BUCKETS];
}

struct pico__thread *pico__thread_by_tid(struct pico *p, int32_t tid, uint32_t *slot_out)
{
	for (uint32_t at = tid > 0 ? *bucket(p, tid) : 0; at; at = p->threads[at - 1].tid_next)
		if (p->threads[at - 1].tid == tid) {
			if (slot_out)
				*slot_out = at - 1;
			return &p->threads[at - 1];
		}
	return NULL;
}

static void tid_drop(struct pico *p, uint32_t slot)
{
	struct pico__thread *t = &p->threads[slot];

	if (!t->tid)
		return;
	for (uint32_t *at = bucket(p, t->tid); *at; at = &p->threads[*at - 1].tid_next)
		if (*at == slot + 1) {
			*at = t->tid_next;
			break;
		}
	t->tid = 0;
	t->tid_next = 0;
}

void pico__thread_forget(struct pico *p, uint32_t slot)
{
	struct pico__thread *t = &p->threads[slot];

	tid_drop(p, slot);
	if (!t->process)
		return;
	if (t->prev)
		p->threads[t->prev - 1].next = t->next;
	else
		t->process->first_thread = t->next;
	if (t->next)
		p->threads[t->next - 1].prev = t->prev;
	t->process = NULL;
	t->next = t->prev = 0;
}

/* The slot's new user may start. What the last one left (the wake eventfd, the
 * sequence number) belongs to the slot and stays. */
struct pico__thread *pico__thread_admit(struct pico *p, uint32_t slot, struct pico__process *process, uint32_t cookie)
{
	struct pico__thread *t = &p->threads[slot];

	pico__thread_forget(p, slot);
	t->process = process;
	t->cookie = cookie;
	t->interrupt = false;
	pico__request_abandon(p, t);
	t->since = pico__now();
	t->next = process->first_thread;
	if (t->next)
		p->threads[t->next - 1].prev = slot + 1;
	process->first_thread = slot + 1;
	process->threads++;
	p->thread_count++;
	if (slot >= p->slot_high)
		p->slot_high = slot + 1;
	return t;
}

static uint32_t mailbox_generation(const struct pico *p, uint32_t slot)
{
	return __atomic_load_n(&pico__mailbox_slot(p, slot)->generation, __ATOMIC_ACQUIRE) & 0xffffff;
}

void pico__thread_hello(struct pico *p, uint32_t slot, int32_t tid)
{
	struct pico__thread *t = &p->threads[slot];
	uint32_t old;

	if (pico__thread_by_tid(p, tid, &old)) /* the kernel gave the id out again */
		tid_drop(p, old);
	tid_drop(p, slot);
	t->tid = tid;
	t->tid_next = *bucket(p, tid);
	*bucket(p, tid) = slot + 1;
	t->generation = mailbox_generation(p, slot);
}

bool pico__thread_is_known(struct pico *p, int32_t tid)
{
	uint32_t slot;
	const struct pico__thread *t = pico__thread_by_tid(p, tid, &slot);

	return t && t->generation == mailbox_generation(p, slot);
}

/* ---- the mailbox's bitmap, shared with the gates ---- */

int pico__thread_slot_take(struct pico *p)
{
	struct pico_mailbox_header *h = pico__mailbox_header(p);

	for (uint32_t i = 0; i < PICO_SLOT_COUNT - 1; i++) { /* the last is the seed's */
		uint32_t bit = 1u << (i % 32), high;

		if (__atomic_fetch_or(&h->slot_used[i / 32], bit, __ATOMIC_ACQ_REL) & bit)
			continue;
		high = __atomic_load_n(&h->slot_high, __ATOMIC_RELAXED);
		if (high <= i)
			__atomic_compare_exchange_n(&h->slot_high, &high, i + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		__atomic_fetch_add(&pico__mailbox_slot(p, i)->generation, 1, __ATOMIC_ACQ_REL);
		return (int)i;
	}
	return -PICO_EAGAIN;
}

static void slot_free(struct pico *p, uint32_t slot)
{
	struct pico_mailbox_header *h = pico__mailbox_header(p);
	struct pico_slot *s = pico__mailbox_slot(p, slot);

	__atomic_fetch_add(&s->generation, 1, __ATOMIC_ACQ_REL);
	__atomic_fetch_and(&h->slot_used[slot / 32], ~(1u << (slot % 32)), __ATOMIC_ACQ_REL);
}

/* A gate that gives a slot back itself changes the generation first, so a slot
 * that another picoprocess has taken meanwhile is told from one left behind. The
 * slot of a clone that never came to life is its parent's to give back. */
void pico__thread_end_all(struct pico *p, struct pico__process *process)
{
	while (process->first_thread) {
		uint32_t slot = process->first_thread - 1;
		struct pico__thread *t = &p->threads[slot];
		bool left = t->tid ? t->generation == mailbox_generation(p, slot)
			: process->state != PICO__PENDING || process->slot_taken;

		pico__thread_forget(p, slot);
		pico__request_abandon(p, t);
		if (left)
			slot_free(p, slot);
	}
	p->thread_count -= process->threads;
	process->threads = 0;
}

/* ---- the limit ---- */

static uint32_t count_by_signal(struct pico *p, const struct pico__process *process)
{
	uint32_t count = 0;

	for (uint32_t at = process->first_thread; at; at = p->threads[at - 1].next) {
		const struct pico__thread *t = &p->threads[at - 1];

		if (t->tid && syscall(SYS_tgkill, process->pid, t->tid, 0) == 0)
			count++;
	}
	return count;
}

static uint32_t count_admitted(struct pico *p, const struct pico__process *process, uint64_t now)
{
	uint32_t count = 0;

	for (uint32_t at = process->first_thread; at; at = p->threads[at - 1].next) {
		const struct pico__thread *t = &p->threads[at - 1];

		if (!t->tid && now - t->since < ADMITTED_FOR)
			count++;
	}
	return count;
}

uint32_t pico__thread_census(struct pico *p)
{
	uint64_t now = pico__now();
	uint32_t total = 0;

	for (struct pico__process *q = p->processes; q; q = q->next) {
		struct pico__proc_stat stat;

		if (q->seed || q->state == PICO__GONE)
			continue;
		q->threads = count_admitted(p, q, now);
		if (q->state == PICO__LIVE)
			q->threads += pico__proc_stat(q->pid, &stat) == 0 ? stat.threads : count_by_signal(p, q);
		total += q->threads;
	}
	p->census_at = now;
	return p->thread_count = total;
}

bool pico__thread_room(struct pico *p, uint64_t now)
{
	if (p->thread_count < p->config.limits.threads + p->park.extra)
		return true;
	if (now - p->census_at < CENSUS_EVERY)
		return false;
	return pico__thread_census(p) < p->config.limits.threads + p->park.extra;
}

/* ---- interrupts ---- */

static int interrupt(const struct pico__thread *t)
{
	if (syscall(SYS_tgkill, t->process->pid, t->tid, PICO_INTERRUPT_SIGNAL) == 0)
		return 0;
	/* Root that gave CAP_KILL away: nothing else has more rights. */
	return errno == EAGAIN ? -PICO_EAGAIN : -PICO_ESRCH;
}

int64_t pico__thread_interrupt(struct pico *p, pico_handle handle)
{
	uint64_t payload = PICO_HANDLE_PAYLOAD(handle);
	uint64_t slot = payload & 0xffffff, generation = payload >> 24;
	struct pico__thread *t;

	if (handle <= 0 || PICO_HANDLE_TYPE(handle) != PICO_HT_THREAD || slot >= PICO_SLOT_COUNT)
		return -PICO_EBADF;
	t = &p->threads[slot];
	if (!t->process || generation != mailbox_generation(p, (uint32_t)slot))
		return -PICO_ESRCH;
	if (!t->tid) { /* on its way: HELLO delivers it */
		t->interrupt = true;
		return 0;
	}
	return interrupt(t);
}

int pico__thread_interrupt_first(struct pico *p)
{
	for (struct pico__process *q = p->processes; q; q = q->next) {
		bool starting = q->first && q->state == PICO__PENDING;
		int rc = -PICO_ESRCH;

		if (starting && q->first_thread) {
			p->threads[q->first_thread - 1].interrupt = true;
			return 0;
		}
		if (!q->first || q->state != PICO__LIVE)
			continue;
		if (p->threads[q->slot].process == q && p->threads[q->slot].tid)
			rc = interrupt(&p->threads[q->slot]);
		/* The first thread may have ended before the others. */
		for (uint32_t at = q->first_thread; rc < 0 && at; at = p->threads[at - 1].next)
			if (p->threads[at - 1].tid)
				rc = interrupt(&p->threads[at - 1]);
		return rc;
	}
	return -PICO_ESRCH;
}

void pico__thread_interrupt_all(struct pico *p)
{
	for (struct pico__process *q = p->processes; q; q = q->next)
		for (uint32_t at = q->seed || q->state == PICO__GONE ? 0 : q->first_thread; at; at = p->threads[at - 1].next) {
			struct pico__thread *t = &p->threads[at - 1];

			if (t->tid)
				interrupt(t);
			else
				t->interrupt = true;
		}
}

/* ---- the wake eventfd of a slot ---- */

int64_t pico__thread_wake_fd(const struct pico__request *q)
{
	struct pico *p = q->instance;
	struct pico__thread *t = &p->threads[q->slot];
	PICO__CLOSE int fd = -1;
	int number, rc = 0;

	if (t->wake_number)
		return t->wake_number;
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return pico__error(errno);
	number = pico__streams_reserve_number(p->streams);
	if (number < 0)
		return number;
	if (q->id)
		rc = pico__grant(p, q->id, fd, number);
	if (rc < 0) {
		pico__streams_release_number(p->streams, number);
		return rc;
	}
	return t->wake_number = number;
}
