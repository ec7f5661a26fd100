/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest that takes all it can get: each limit of its instance answers with
 * the right error, ends it where no call can answer, and costs nobody else
 * anything; pico_kill ends the worst of them within a second. And families of
 * picoprocesses one of which dies: the instance says why, no one hangs. The
 * guest program is tests/guests/limits.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "api/api.h"
#include "api_host.h"

#define WITHIN_MS 1000 /* of pico_kill, or of a death, where nothing else wants the processors */

#define FAMILY 9 /* `limits family` is so many picoprocesses */

struct guest { struct pico *p; int out; };

static void options(struct pico_options *o, const char *what, const char *number)
{
	static const char *argv[4];
	static char host[4096];
	static struct pico_mount mount;

	snprintf(host, sizeof(host), "%s", built("tests/guests"));
	mount = (struct pico_mount){ .host = host, .guest = "/guests" };
	argv[0] = "limits";
	argv[1] = what;
	argv[2] = number;
	pico_options_init(o);
	o->program = "/guests/limits";
	o->argv = argv;
	o->libos = built("libos-linux");
	o->helper = built("pico-helper");
	o->mounts = &mount;
	o->mount_count = 1;
}

/* Standard output and standard error become one pipe. */
static struct guest begin_guest(struct pico_options *o)
{
	struct guest g;
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	for (int i = 1; i < 3; i++) {
		o->stdio[i].kind = PICO_STDIO_FD;
		o->stdio[i].fd = fds[1];
	}
	g.p = begin(o);
	g.out = fds[0];
	close(fds[1]);
	return g;
}

/* What it says up to `end`, or all. */
static void hear(const struct guest *g, const char *end, char *text, size_t size)
{
	struct pollfd f = { .fd = g->out, .events = POLLIN };
	size_t at = 0;
	ssize_t n;

	text[0] = 0;
	while (!(end && strstr(text, end)) && at < size - 1 && poll(&f, 1, 60000) > 0 &&
	       (n = read(g->out, text + at, size - 1 - at)) > 0)
		text[at += (size_t)n] = 0;
}

static void until_ready(const struct guest *g)
{
	char text[4096];

	hear(g, "ready\n", text, sizeof(text));
	cr_assert(strstr(text, "ready\n"), "it said: %s", text);
}

static void end_guest(struct guest *g)
{
	pico_destroy(g->p);
	close(g->out);
}

/* Runs to its end, as it should; what it got and the error that came then. */
static long take_all(struct pico_options *o, char error[32])
{
	struct guest g = begin_guest(o);
	char text[4096], what[32];
	struct pico_exit e;
	long got = -1;

	hear(&g, NULL, text, sizeof(text));
	e = finish(g.p);
	cr_assert(e.kind == PICO_EXITED && e.code == 0, "kind %u code %d %s; it said: %s", e.kind, e.code, e.message, text);
	cr_assert_eq(sscanf(text, "%31s %ld %31s", what, &got, error), 3, "%s", text);
	end_guest(&g);
	return got;
}

/* ---- calls that fail ---- */

Test(limits, processes, .timeout = 120)
{
	struct pico_options o;
	char error[32];

	options(&o, "processes", NULL);
	o.limits.processes = 40;
	cr_assert_eq(take_all(&o, error), 39);
	cr_assert_str_eq(error, "EAGAIN");
}

Test(limits, threads, .timeout = 120)
{
	struct pico_options o;
	char error[32];
	long got;

	options(&o, "threads", NULL);
	o.limits.threads = 60;
	got = take_all(&o, error);
	cr_assert(got >= 50 && got < 60, "%ld", got);
	cr_assert_str_eq(error, "EAGAIN");
}

/* Each process is also a thread. */
Test(limits, threads_of_processes, .timeout = 120)
{
	struct pico_options o;
	char error[32];
	long got;

	options(&o, "processes", NULL);
	o.limits.threads = 30;
	got = take_all(&o, error);
	cr_assert(got >= 20 && got < 30, "%ld", got);
	cr_assert_str_eq(error, "EAGAIN");
}

Test(limits, descriptors, .timeout = 120)
{
	struct pico_options o;
	char error[32];

	options(&o, "descriptors", NULL);
	cr_assert_eq(take_all(&o, error), 1024);
	cr_assert_str_eq(error, "EMFILE");
}

Test(limits, streams, .timeout = 120)
{
	char directory[] = "/tmp/pico-limits.XXXXXX";
	struct pico_mount mounts[2];
	struct pico_options o;
	char error[32];
	long got;

	cr_assert(mkdtemp(directory));
	options(&o, "files", NULL);
	mounts[0] = o.mounts[0];
	mounts[1] = (struct pico_mount){ .host = directory, .guest = "/w" };
	o.mounts = mounts;
	o.mount_count = 2;
	o.cwd = "/w";
	o.limits.streams = 100;
	got = take_all(&o, error);
	cr_assert(got >= 80 && got < 100, "%ld", got);
	cr_assert_str_eq(error, "ENFILE", "the system is full, not the process: %s", error);
	cr_assert_eq(rmdir(directory), 0, "files are left");
}

Test(limits, memory, .timeout = 120)
{
	struct pico_options o;
	char error[32];
	long got;

	options(&o, "memory", NULL);
	o.limits.memory = 96 << 20;
	got = take_all(&o, error);
	cr_assert(got >= 64 && got < 96, "%ld MiB", got);
	cr_assert_str_eq(error, "ENOMEM");
}

/* ---- ends ---- */

static uint64_t within_ms(void)
{
	double load = 0, cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);

	return getloadavg(&load, 1) == 1 && load > cpus ? (uint64_t)(WITHIN_MS * load / cpus) : WITHIN_MS;
}

static struct pico_exit finish_in_time(struct pico *p, const char *of)
{
	struct pico_exit e = { 0 };
	const uint64_t start = now_ms();
	const int rc = pico_wait(p, 20000, &e);

	cr_assert_eq(rc, 0, "%s: %s", of, pico_strerror(rc));
	cr_assert_leq(now_ms() - start, within_ms(), "%s: %lu ms", of, (unsigned long)(now_ms() - start));
	return e;
}

static void died(const struct pico_exit *e, enum pico_cause why)
{
	cr_assert_eq(e->kind, PICO_DIED, "kind %u code %d", e->kind, e->code);
	cr_assert_eq(e->cause, why, "%s: %s", pico_cause_name(e->cause), e->message);
}

/* No single one has too much: the sum ends the instance. */
Test(limits, memory_together, .timeout = 120)
{
	struct pico_options o;
	struct pico_exit e;
	struct guest g;

	options(&o, "memory_together", "8");
	o.limits.memory = 128 << 20;
	g = begin_guest(&o);
	cr_assert_eq(pico_wait(g.p, 20000, &e), 0);
	died(&e, PICO_CAUSE_MEMORY_LIMIT);
	end_guest(&g);
}

/* Kernel memory counts too: either the calls fail, or the instance ends. */
Test(limits, pipes, .timeout = 120)
{
	struct pico_options o;
	struct pico_stats s = { .size = sizeof(s) };
	struct pico_exit e;
	struct guest g;

	options(&o, "pipes", "30"); /* 30 * 32 MiB, if nobody says no */
	o.limits.memory = 192 << 20;
	g = begin_guest(&o);
	cr_assert_eq(pico_wait(g.p, 60000, &e), 0);
	if (e.kind == PICO_DIED)
		died(&e, PICO_CAUSE_MEMORY_LIMIT);
	else
		cr_assert(e.kind == PICO_EXITED && e.code == 0, "kind %u code %d signal %d", e.kind, e.code, e.signal);
	cr_assert_eq(pico_stats(g.p, &s), 0);
	cr_assert_leq(s.memory_peak, 2 * (192ull << 20));
	end_guest(&g);
}

/* ---- bombs, and a neighbour ---- */

static void bomb(const char *what, uint32_t processes, uint32_t count)
{
	struct pico_options o;
	struct pico_stats s = { .size = sizeof(s) };
	struct pico_exit e;
	struct guest g, neighbour;
	char text[4096];
	long beats = 0;
	uint64_t start;

	options(&o, "beat", "2500");
	neighbour = begin_guest(&o);
	until_ready(&neighbour);
	options(&o, what, NULL);
	o.limits.processes = processes;
	o.limits.threads = count;
	o.limits.memory = 1ull << 30;
	g = begin_guest(&o);
	until_ready(&g);
	for (start = now_ms(); now_ms() - start < 1500; nap_ms(50)) {
		cr_assert_eq(pico_stats(g.p, &s), 0);
		cr_assert_leq(s.threads, count);
		cr_assert_leq(s.processes, processes);
		const pid_t pid = fork(); /* the host itself has room */
		cr_assert_geq(pid, 0);
		if (!pid)
			_exit(0);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
	}
	cr_assert(pico_wait(g.p, 0, &e) == -PICO_ETIMEDOUT, "it lives: %s", pico_get_error(g.p)->message);
	cr_assert_eq(pico_kill(g.p), 0);
	e = finish_in_time(g.p, what);
	died(&e, PICO_CAUSE_KILLED);
	end_guest(&g);
	hear(&neighbour, NULL, text, sizeof(text));
	e = finish(neighbour.p);
	cr_assert(e.kind == PICO_EXITED && e.code == 0, "the neighbour: %s %s", e.message, text);
	cr_assert_eq(sscanf(text, "beats %ld", &beats), 1, "%s", text);
	cr_assert_geq(beats, 1, "the neighbour: %s", text); /* how many is the scheduler's affair */
	end_guest(&neighbour);
}

Test(limits, fork_bomb, .timeout = 120) { bomb("bomb", 100, 1024); }
Test(limits, thread_bomb, .timeout = 120) { bomb("thread_bomb", 256, 200); }

/* ---- deaths in a family ---- */

static int pids_of(struct pico *p, int32_t pids[64])
{
	int count = 0;

	pthread_mutex_lock(&p->lock);
	for (struct pico__process *q = p->processes; q && count < 64; q = q->next)
		if (q->pid > 0 && q->state == PICO__LIVE)
			pids[count++] = q->pid;
	pthread_mutex_unlock(&p->lock);
	return count;
}

/* When it began, in ticks: a number alone may be somebody else's by now. 0: gone. */
static unsigned long long born(int32_t pid)
{
	char name[32], state = 'X';
	unsigned long long at = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	f = fopen(name, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state, &at) != 2)
		at = 0;
	fclose(f);
	return state != 'Z' && state != 'X' ? at : 0;
}

/* Each of them in turn, whatever it is doing; the seed, too. */
Test(limits, killed_one_of_many, .timeout = 240)
{
	for (int victim = 0, count = 1; victim < count; victim++) {
		struct pico_options o;
		struct pico_exit e;
		struct guest g;
		int32_t pids[64];
		unsigned long long since[64];

		options(&o, "family", NULL);
		g = begin_guest(&o);
		until_ready(&g);
		for (int i = 0; i < 1000 && (count = pids_of(g.p, pids)) < FAMILY; i++)
			nap_ms(10); /* the youngest may still be on their way */
		cr_assert_geq(count, FAMILY);
		for (int i = 0; i < count; i++)
			since[i] = born(pids[i]);
		cr_assert_eq(kill(pids[victim], SIGKILL), 0);
		e = finish_in_time(g.p, "killed from outside");
		died(&e, PICO_CAUSE_KILLED_OUTSIDE);
		for (int i = 0; i < count; i++)
			cr_assert(!since[i] || born(pids[i]) != since[i], "%d is left", pids[i]);
		end_guest(&g);
	}
}

Test(limits, crashed_one_of_many, .timeout = 120)
{
	struct pico_options o;
	struct pico_exit e;
	struct guest g;

	options(&o, "crash", NULL);
	g = begin_guest(&o);
	until_ready(&g);
	cr_assert_eq(pico_wait(g.p, 10000, &e), 0);
	died(&e, PICO_CAUSE_LIBOS_CRASHED);
	end_guest(&g);
}

Test(limits, killed_family, .timeout = 120)
{
	struct pico_options o;
	struct pico_exit e;
	struct guest g;

	options(&o, "family", NULL);
	g = begin_guest(&o);
	until_ready(&g);
	cr_assert_eq(pico_kill(g.p), 0);
	e = finish_in_time(g.p, "pico_kill");
	died(&e, PICO_CAUSE_KILLED);
	end_guest(&g);
}
