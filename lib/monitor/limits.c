/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounting and limits that no single picoprocess's rlimit can hold: memory
 * and processor time of all picoprocesses together, and the deadline. Sampled;
 * the nearer a limit may be, the sooner the next look. Knows nothing of how
 * the pieces were admitted.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "instance.h"

/* No guest touches new memory faster than this, in bytes a nanosecond. */
#define TOUCH_SPEED 4
#define MEMORY_SOON (10 * PICO__MS)
#define MEMORY_LATE (250 * PICO__MS)
#define CPU_SOON (5 * PICO__MS)
#define CPU_LATE (1000 * PICO__MS)

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static uint64_t file_pages(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t sum_memory(const struct pico *p, bool exact, bool *known)
{
	uint64_t sum = pico__streams_memory(p->streams) + file_pages(p->mailbox_fd), one;

	*known = true;
	for (const struct pico__process *q = p->processes; q; q = q->next) {
		if (q->state != PICO__LIVE || q->seed)
			continue;
		if (pico__proc_memory(q->pid, exact, &one) == 0)
			sum += one;
		else
			*known = false;
	}
	return sum;
}

uint64_t pico__limits_memory(struct pico *p)
{
	bool known;
	uint64_t sum = sum_memory(p, false, &known);

	if (sum > p->memory_peak)
		p->memory_peak = sum;
	if (p->mailbox)
		__atomic_store_n(&pico__mailbox_header(p)->host.memory_used, sum, __ATOMIC_RELAXED);
	return sum;
}

void pico__limits_cpu(struct pico *p, uint64_t *user, uint64_t *system)
{
	uint64_t all = p->cpu_gone, mine;

	*user = p->cpu_gone_user;
	for (const struct pico__process *q = p->processes; q; q = q->next) {
		if (q->state != PICO__LIVE || q->seed)
			continue;
		all += pico__proc_cpu(q->pid, &mine);
		*user += mine;
	}
	*system = all - *user;
}

void pico__limits_account(struct pico *p, const struct pico__process *q)
{
	uint64_t user;

	if (q->seed)
		return;
	p->cpu_gone += pico__proc_cpu(q->pid, &user);
	p->cpu_gone_user += user;
}

static void look_at_memory(struct pico *p, uint64_t now)
{
	/* Who writes a snapshot counts once more what it shares. */
	uint64_t limit = p->config.limits.memory << (p->park.writing && p->config.limits.memory < 1ull << 62), hidden, cpu, used;
	bool known;

	pico__census_use(p, now, &hidden, &cpu);
	used = pico__limits_memory(p) + hidden;
	if (used > limit) {
		uint64_t exact = sum_memory(p, true, &known) + hidden;

		if (!known || exact > limit) {
			pico__instance_die_locked(p, PICO_CAUSE_MEMORY_LIMIT, "%llu MiB used, limit %llu MiB",
						  (unsigned long long)(used >> 20), (unsigned long long)(limit >> 20));
			return;
		}
		used = exact;
	}
	p->memory_due = now + clamp((limit - used) / TOUCH_SPEED, MEMORY_SOON, MEMORY_LATE);
}

static void look_at_cpu(struct pico *p, uint64_t now)
{
	uint64_t limit, user, system, memory, hidden;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (__builtin_mul_overflow(p->config.limits.cpu_seconds, PICO__NS, &limit))
		limit = PICO__NEVER;
	pico__limits_cpu(p, &user, &system);
	pico__census_use(p, now, &memory, &hidden);
	system += hidden;
	if (user + system >= limit) {
		pico__instance_die_locked(p, PICO_CAUSE_CPU_LIMIT, "%llu s of processor time used",
					  (unsigned long long)p->config.limits.cpu_seconds);
		return;
	}
	p->cpu_due = now + clamp((limit - user - system) / (uint64_t)(cpus > 0 ? cpus : 1), CPU_SOON, CPU_LATE);
}

static void look_at_deadline(struct pico *p, uint64_t now, uint64_t *due)
{
	uint64_t at;

	if (!p->config.limits.deadline_ms || __builtin_mul_overflow(p->config.limits.deadline_ms, PICO__MS, &at) ||
	    __builtin_add_overflow(at, p->started_at, &at))
		return;
	if (now >= at)
		pico__instance_die_locked(p, PICO_CAUSE_DEADLINE, "after %llu ms",
					  (unsigned long long)p->config.limits.deadline_ms);
	else if (at < *due)
		*due = at;
}

uint64_t pico__limits_tend(struct pico *p, uint64_t now)
{
	uint64_t due = PICO__NEVER;

	pthread_mutex_lock(&p->lock);
	if (p->started && !p->dying)
		look_at_deadline(p, now, &due);
	if (p->started && !p->dying && p->config.limits.memory) {
		if (now >= p->memory_due)
			look_at_memory(p, now);
		due = p->memory_due < due ? p->memory_due : due;
	}
	if (p->started && !p->dying && p->config.limits.cpu_seconds) {
		if (now >= p->cpu_due)
			look_at_cpu(p, now);
		due = p->cpu_due < due ? p->cpu_due : due;
	}
	if (p->dying) /* pico__instance_tend says */
		due = PICO__NEVER;
	pthread_mutex_unlock(&p->lock);
	return due;
}
