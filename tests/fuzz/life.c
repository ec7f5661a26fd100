/* SPDX-License-Identifier: Apache-2.0
 *
 * One fuzzed instance from its start to its end. The calling thread is the
 * guard: it takes the notifications of guests that are not there, and at the
 * end does what the guard would do.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "life.h"
#include "monitor/stream_internal.h"

#define FILE_LIMIT (256u << 10)
#define TIGHT_DESCRIPTORS 40u

static void limit(int resource, rlim_t soft)
{
	struct rlimit r;

	getrlimit(resource, &r);
	r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
	setrlimit(resource, &r);
}

/* Hosts differ: file systems that may be slow, no /dev/null. */
static void bend(struct life *l)
{
	struct pico__streams *streams = l->p->streams;

	for (struct pico__mountpoint *m = atomic_load(&streams->policy.first); m; m = atomic_load(&m->next))
		if (source_chance(l->s, 15)) {
			m->slow = true;
			atomic_store(&streams->policy.any_slow, true);
		}
	if (source_chance(l->s, 20)) {
		pico__close(streams->null_fd);
		streams->null_fd = -1;
	}
	host_lacks(source_chance(l->s, 25) ? 1 + source_below(l->s, 3) : 0);
}

static bool begin(struct life *l)
{
	static const uint32_t rates[] = { 2, 6, 100 };

	l->p = app_instance(l->s, l->plan->failures);
	if (!l->p)
		return false;
	for (int i = 0; i < 3; i++) {
		l->mapping[i] = mmap(NULL, PICO_MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, l->p->mailbox_fd, 0);
		if (l->mapping[i] == MAP_FAILED)
			fault("the mailbox cannot be mapped again");
	}
	l->k.mailbox = l->mapping[0];
	l->app_k.mailbox = l->mapping[2];
	l->salt = source_take(l->s, 8);
	l->process_rate = SOURCE_PICK(l->s, rates);
	l->p->killable_recv = source_chance(l->s, 50);
	bend(l);
	check_lay_canaries(l);
	for (unsigned i = 0; i < ASKING_SLOTS; i++)
		l->last[i].q.slot = FIRST_SLOT + 2 * i;
	return true;
}

static void wait_idle(struct pico *p)
{
	for (int i = 0; i < 20000; i++) {
		bool idle;

		pthread_mutex_lock(&p->lock);
		idle = !p->busy;
		pthread_mutex_unlock(&p->lock);
		if (idle)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	fault("the instance is busy for ever");
}

/* What the guard would see: all ended, the listener hung up. */
static void hang_up(struct life *l)
{
	struct pico *p = l->p;
	bool over = false;

	pico__instance_die(p, PICO_CAUSE_KILLED, "the end of the fuzzer's run");
	for (unsigned i = 0; i < KIDS; i++)
		if (l->kid[i].pid)
			process_report_end(l, &l->kid[i]);
	pthread_mutex_lock(&p->lock);
	p->hup = true;
	p->hup_at = pico__now();
	if (p->seed_wait)
		kernel_excuse(p->seed_wait);
	p->seed_wait = 0;
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < 100 && !over; i++) {
		pico__instance_tend(p, pico__now());
		pthread_mutex_lock(&p->lock);
		over = p->ended;
		pthread_mutex_unlock(&p->lock);
	}
	if (!over)
		fault("the instance does not end");
}

static void finish(struct life *l)
{
	app_stop_threads(l);
	for (unsigned i = 0; i < ASKING_SLOTS; i++)
		ask_forget(&l->last[i]); /* a worker may have it yet */
	if (l->seed_wait)
		kernel_excuse(l->seed_wait);
	hang_up(l);
	wait_idle(l->p);
	memory_fails(0);
	kernel_refuse(false);
	host_lacks(0);
	check_tables(l->p);
	check_canaries(l);
	check_streams(l->p->streams);
	kernel_end();
	limit(RLIMIT_FSIZE, RLIM_INFINITY);
	limit(RLIMIT_NOFILE, 1024);
	pico__guard_unregistered(l->p);
	for (int i = 0; i < 3; i++)
		munmap(l->mapping[i], PICO_MAILBOX_SIZE);
	free(l->spare);
}

static void look_after(struct life *l)
{
	uint64_t now = pico__now();

	memory_mine = false;
	pico__limits_tend(l->p, now);
	pico__instance_tend(l->p, now);
	memory_mine = true;
	check_tables(l->p);
}

static void step(struct life *l)
{
	uint32_t dice = source_below(l->s, 256);

	if (dice == 0)
		ask_oddly(l);
	else if (dice < 4)
		make_scribble(l->s, l->k.mailbox);
	else if (dice < 7)
		world_flip(l->s);
	else if (dice < 10)
		kernel_guest_uses(l->s);
	else if (dice == 10)
		look_after(l);
	else if (dice >= 256 - l->process_rate)
		process_step(l);
	else
		ask(l);
	l->made++;
	atomic_fetch_add_explicit(&fuzz_done, 1, memory_order_relaxed);
}

static void trouble(struct life *l)
{
	if (!l->plan->failures)
		return;
	memory_fails(source_chance(l->s, 15) ? 200 : 0);
	kernel_refuse(source_chance(l->s, 20));
	if (source_chance(l->s, 10))
		limit(RLIMIT_NOFILE, world_descriptors() + source_below(l->s, TIGHT_DESCRIPTORS));
}

uint64_t life_run(struct source *s, const struct life_plan *plan)
{
	struct life *l = __builtin_calloc(1, sizeof(*l));
	uint64_t made;

	memory_mine = true;
	l->s = s;
	l->plan = plan;
	kernel_begin();
	if (!begin(l)) {
		free(l);
		return 0;
	}
	process_begin(l);
	if (source_chance(s, 70) && pico_start(l->p) == 0)
		process_take_order(l);
	limit(RLIMIT_FSIZE, FILE_LIMIT);
	trouble(l);
	app_start_threads(l);
	while (l->made < plan->requests && !source_over(s))
		step(l);
	finish(l);
	made = l->made;
	free(l);
	return made;
}
