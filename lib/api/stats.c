/* SPDX-License-Identifier: Apache-2.0
 *
 * pico_stats and the names of the downcalls. Counts are read while they
 * change; each is right at some moment of the call.
 */
#include <stdio.h>
#include <string.h>

#include "api.h"

#define FIRST_SIZE sizeof(struct pico_stats)

_Static_assert(PICO_STAT_DOWNCALLS == PICO_DOWNCALL_COUNT, "the header's number");

static const char *const names[PICO_DOWNCALL_COUNT] = {
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) [index] = #name,
#include <pico/abi.def>
#undef PICO_DOWNCALL
};

const char *pico_downcall_name(unsigned index)
{
	return index < PICO_DOWNCALL_COUNT ? names[index] : NULL;
}

static void list_counters(const struct pico *p, char *text, size_t size)
{
	size_t at = 0;

	for (uint32_t i = 0; i < p->counter_count; i++) {
		char line[PICO__NAME_SIZE + 32];
		int n = snprintf(line, sizeof(line), "%s %llu\n", p->counters[i].name, (unsigned long long)p->counters[i].value);

		if (n < 0 || at + (size_t)n >= size)
			return;
		memcpy(text + at, line, (size_t)n + 1);
		at += (size_t)n;
	}
}

static void collect(struct pico *p, struct pico_stats *s)
{
	pico__limits_cpu(p, &s->cpu_user_ns, &s->cpu_system_ns);
	s->memory = pico__limits_memory(p);
	s->memory_peak = p->memory_peak;
	s->processes = p->process_count;
	s->processes_peak = p->process_peak;
	s->processes_total = p->process_total;
	s->threads = pico__thread_census(p);
	s->requests = __atomic_load_n(&p->requests, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < PICO_DOWNCALL_COUNT; i++)
		s->downcalls[i] = __atomic_load_n(&p->downcalls[i], __ATOMIC_RELAXED);
	list_counters(p, s->text, sizeof(s->text));
}

int pico_stats(struct pico *p, struct pico_stats *out)
{
	struct pico_stats s;
	size_t size;
	int rc = pico__owned(p);

	if (rc < 0)
		return rc;
	if (!out)
		return pico__instance_error(p, PICO_EINVAL, 0, "pico_stats", "out is NULL");
	size = out->size;
	if (size < FIRST_SIZE || size > FIRST_SIZE + (1u << 16))
		return pico__instance_error(p, PICO_EVERSION, 0, "pico_stats", "size is %zu", size);
	memset(&s, 0, sizeof(s));
	pthread_mutex_lock(&p->lock);
	collect(p, &s);
	pthread_mutex_unlock(&p->lock);
	s.streams = pico__streams_count(p->streams);
	s.size = size;
	memset(out, 0, size); /* a newer caller's members that are not known here */
	memcpy(out, &s, size < sizeof(s) ? size : sizeof(s));
	return 0;
}
