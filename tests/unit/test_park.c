/* SPDX-License-Identifier: Apache-2.0
 *
 * Parking: a program of the Linux library OS that is stopped and let go at
 * random moments and must not notice, the protocol alone with the bare one,
 * what cannot be parked, and what dies before, while and after.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "api/api.h"
#include "api_host.h"

#define PARKS 100
#define LATENCY_BOUND_MS 30000 /* of one park, on any machine */

/* ---- a Linux program, its output through a pipe ---- */

struct guest { struct pico *p; int out; };

static struct guest linux_begin(const char *program)
{
	static char directory[4096], path[4200];
	const char *argv[] = { program, NULL };
	struct pico_options o;
	struct guest g;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	snprintf(directory, sizeof(directory), "%s", built("tests/guests"));
	snprintf(path, sizeof(path), "/guests/%s", program);
	const struct pico_mount mounts[] = {
		{ .host = directory, .guest = "/guests" },
	};
	pico_options_init(&o);
	o.program = path;
	o.argv = argv;
	o.libos = built("libos-linux");
	o.helper = built("pico-helper");
	o.mounts = mounts;
	o.mount_count = 1;
	for (int i = 1; i < 3; i++) {
		o.stdio[i].kind = PICO_STDIO_FD;
		o.stdio[i].fd = fds[1];
	}
	g.p = begin(&o);
	g.out = fds[0];
	close(fds[1]);
	return g;
}

/* All it says until it has said `end`, or is gone. */
static bool hears(struct guest *g, const char *end, char *text, size_t size)
{
	struct pollfd f = { .fd = g->out, .events = POLLIN };
	size_t at = 0;
	ssize_t n;

	text[0] = 0;
	while (!strstr(text, end) && at < size - 1 && poll(&f, 1, 60000) > 0 && (n = read(g->out, text + at, size - 1 - at)) > 0)
		text[at += (size_t)n] = 0;
	return strstr(text, end);
}

/* It has ended before it should: what it says of that. */
static void ended(struct guest *g, const char *text)
{
	struct pico_exit e = { 0 };
	char more[4096] = "";

	if (pico_wait(g->p, 1000, &e) == 0)
		hears(g, "no such line", more, sizeof(more));
	cr_assert_fail("kind %u code %d signal %d %s; it said: %s%s", e.kind, e.code, e.signal, e.message, text, more);
}

static void until_ready(struct guest *g)
{
	char text[4096];

	if (!hears(g, "ready\n", text, sizeof(text)))
		ended(g, text);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t cpu_of(struct pico *p)
{
	uint64_t user, system;

	pthread_mutex_lock(&p->lock);
	pico__limits_cpu(p, &user, &system);
	pthread_mutex_unlock(&p->lock);
	return user + system;
}

static void park_and_rest(struct pico *p, unsigned rest_ms)
{
	const int rc = pico__instance_park(p, LATENCY_BOUND_MS);

	cr_assert_eq(rc, 0, "%s: %s", pico_strerror(rc), pico_get_error(p)->message);
	nap_ms(rest_ms);
	cr_assert_eq(pico__instance_unpark(p), 0);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void look_at_rest(struct pico *p)
{
	uint64_t before;

	nap_ms(20); /* the last has just entered its wait */
	before = cpu_of(p);
	nap_ms(200);
	cr_assert_eq(cpu_of(p) - before, 0, "%llu ns used while parked", (unsigned long long)(cpu_of(p) - before));
}

static void park_often(void)
{
	struct guest g = linux_begin("park");
	uint64_t took[PARKS];
	unsigned seed = (unsigned)now_us();
	struct pico_exit e;
	char text[4096];

	until_ready(&g);
	for (int i = 0; i < PARKS; i++) {
		const unsigned run_us = (unsigned)rand_r(&seed) % 20000;
		uint64_t start;
		int rc;

		usleep(run_us);
		start = now_us();
		rc = pico__instance_park(g.p, LATENCY_BOUND_MS);
		took[i] = now_us() - start;
		if (rc < 0)
			ended(&g, pico_strerror(rc));
		if (i % 25 == 24)
			look_at_rest(g.p);
		else
			usleep((unsigned)rand_r(&seed) % 8000);
		cr_assert_eq(pico__instance_unpark(g.p), 0);
	}
	nap_ms(200);
	cr_assert_eq(pico_signal(g.p, SIGTERM), 0);
	hears(&g, "ok\n", text, sizeof(text));
	e = finish(g.p);
	cr_assert_eq(e.kind, PICO_EXITED, "%s %s", e.message, text);
	cr_assert_eq(e.code, 0, "%s", text);
	cr_assert(strstr(text, "ok\n"), "%s", text);
	qsort(took, PARKS, sizeof(took[0]), by_size);
	fprintf(stderr, "park: median %llu us, 90 of 100 within %llu us, longest %llu us\n",
		(unsigned long long)took[PARKS / 2], (unsigned long long)took[PARKS * 9 / 10], (unsigned long long)took[PARKS - 1]);
	pico_destroy(g.p);
	close(g.out);
}

Test(park, program_does_not_notice, .timeout = 120) { park_often(); }

/* One that takes the asker out of a held request at an interrupt. */
Test(park, program_does_not_notice_on_an_old_kernel, .timeout = 120)
{
	pico__kernel_without = PICO__WITHOUT_SYNC_WAKE_UP | PICO__WITHOUT_WAIT_KILLABLE;
	park_often();
}

/* From the first moment on, and one straight after the other. */
Test(park, while_it_starts_and_at_once_again, .timeout = 120)
{
	for (int i = 0; i < 10; i++) {
		struct guest g = linux_begin("park");
		struct pico_exit e;
		char text[4096];

		for (int k = 0; k < 5; k++)
			park_and_rest(g.p, 0);
		until_ready(&g);
		for (int k = 0; k < 20; k++)
			park_and_rest(g.p, 0);
		nap_ms(300);
		cr_assert_eq(pico_signal(g.p, SIGTERM), 0);
		hears(&g, "ok\n", text, sizeof(text));
		e = finish(g.p);
		cr_assert_eq(e.code, 0, "%s", text);
		pico_destroy(g.p);
		close(g.out);
	}
}

/* What comes from the host meanwhile is there afterwards. */
static void signal_while_parked(void)
{
	struct guest g = linux_begin("park");
	struct pico_exit e;
	char text[4096];

	until_ready(&g);
	nap_ms(400);
	cr_assert_eq(pico__instance_park(g.p, LATENCY_BOUND_MS), 0);
	cr_assert_eq(pico_signal(g.p, SIGTERM), 0);
	cr_assert_eq(pico_wait(g.p, 100, &e), -PICO_ETIMEDOUT);
	cr_assert_eq(pico__instance_unpark(g.p), 0);
	cr_assert(hears(&g, "ok\n", text, sizeof(text)), "%s", text);
	e = finish(g.p);
	cr_assert_eq(e.code, 0, "%s", text);
	pico_destroy(g.p);
	close(g.out);
}

Test(park, signal_while_parked, .timeout = 120) { signal_while_parked(); }
Test(park, signal_while_parked_on_an_old_kernel, .timeout = 120)
{
	pico__kernel_without = PICO__WITHOUT_SYNC_WAKE_UP | PICO__WITHOUT_WAIT_KILLABLE;
	signal_while_parked();
}

/* ---- the protocol alone ---- */

static struct pico *bare_begin(struct kept_log *log, const char *command)
{
	struct pico_options o;
	struct pico *p;

	bare_options(&o, command);
	o.log = keep_log;
	o.log_user = log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	cr_assert(said(log, "ready"), "%s", log->text);
	return p;
}

Test(park, bare, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico *p = bare_begin(&log, "host_park 8");

	for (int i = 0; i < 100; i++)
		park_and_rest(p, i % 3);
	cr_assert_eq(pico__instance_park(p, LATENCY_BOUND_MS), 0);
	look_at_rest(p);
	cr_assert_eq(pico__instance_unpark(p), 0);
	cr_assert_eq(pico_signal(p, SIGTERM), 0);
	cr_assert_eq(finish(p).code, 0, "%s", log.text);
	cr_assert(log_has(&log, "parks 101"), "%s", log.text);
	pico_destroy(p);
}

Test(park, states, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_park 2");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = make(&o);
	cr_assert_eq(pico__instance_park(p, 0), -PICO_ESTATE);
	cr_assert_eq(pico__instance_unpark(p), -PICO_ESTATE);
	cr_assert_eq(pico_start(p), 0);
	cr_assert_eq(pico__instance_unpark(p), -PICO_ESTATE);
	cr_assert(said(&log, "ready"), "%s", log.text);
	cr_assert_eq(pico__instance_park(p, -1), 0);
	cr_assert_eq(pico__instance_park(p, 0), -PICO_EBUSY);
	cr_assert_eq(pico__instance_unpark(p), 0);
	cr_assert_eq(pico__instance_unpark(p), -PICO_ESTATE);
	cr_assert_eq(pico_signal(p, SIGTERM), 0);
	cr_assert_eq(finish(p).code, 0, "%s", log.text);
	cr_assert_eq(pico__instance_park(p, 0), -PICO_EDIED);
	cr_assert_eq(pico__instance_unpark(p), -PICO_EDIED);
	pico_destroy(p);
}

/* One thread never looks: the others go on when the host gives up. */
Test(park, given_up, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico *p = bare_begin(&log, "host_park_not 5");

	for (int i = 0; i < 5; i++) {
		const uint64_t start = now_ms();

		cr_assert_eq(pico__instance_park(p, 50), -PICO_ETIMEDOUT);
		cr_assert_lt(now_ms() - start, 2000);
		cr_assert_eq(pico__instance_unpark(p), -PICO_ESTATE);
	}
	cr_assert_eq(pico_signal(p, SIGTERM), 0);
	cr_assert_eq(finish(p).code, 0, "%s", log.text);
	cr_assert(log_has(&log, "parks 0"), "%s", log.text);
	pico_destroy(p);
}

/* ---- deaths ---- */

Test(park, ends_instead, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico *p = bare_begin(&log, "host_park_end");

	cr_assert_eq(pico__instance_park(p, 10000), -PICO_EDIED);
	cr_assert_eq(finish(p).code, 5);
	pico_destroy(p);
}

Test(park, killed_while_parked, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico *p = bare_begin(&log, "host_park 8");

	cr_assert_eq(pico__instance_park(p, LATENCY_BOUND_MS), 0);
	cr_assert_eq(pico_kill(p), 0);
	cr_assert_eq(finish(p).kind, PICO_DIED);
	cr_assert_eq(pico__instance_unpark(p), -PICO_EDIED);
	pico_destroy(p);
}

Test(park, destroyed_while_parked, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico *p = bare_begin(&log, "host_park 8");
	uint64_t start;

	cr_assert_eq(pico__instance_park(p, LATENCY_BOUND_MS), 0);
	start = now_ms();
	pico_destroy(p);
	cr_assert_lt(now_ms() - start, 2000);
}

static void *kill_soon(void *argument)
{
	nap_ms(100);
	cr_assert_eq(pico_kill(argument), 0);
	return NULL;
}

Test(park, killed_while_asked, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico *p = bare_begin(&log, "host_park_not 3");
	const uint64_t start = now_ms();
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, kill_soon, p), 0);
	cr_assert_eq(pico__instance_park(p, -1), -PICO_EDIED);
	cr_assert_lt(now_ms() - start, 5000);
	pthread_join(t, NULL);
	pico_destroy(p);
}

Test(park, one_request_without_an_asker)
{
	const uint64_t none[6] = { 0 }, flags[6] = { 0, 1 };
	struct pico_options o;
	struct pico_error error;
	struct pico *p = NULL;

	pico_options_init(&o);
	o.program = "/x";
	cr_assert_eq(pico__create_detached(&o, &p, &error), 0);
	cr_assert_eq(pico__request_serve(p, PICO_NR(PICO_DC_ProcessCheckpoint), none, 5), -PICO_EAGAIN);
	cr_assert_eq(pico__request_serve(p, PICO_NR(PICO_DC_ProcessCheckpoint), flags, 5), -PICO_EINVAL);
	cr_assert_eq(pico__instance_park(p, 0), -PICO_ESTATE);
	pico_destroy(p);
}
