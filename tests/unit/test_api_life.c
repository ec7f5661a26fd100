/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole lives of instances with real picoprocesses: results, deaths, limits,
 * signals, logs, event loops, many threads, forks of the host.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "api/api.h"
#include "api_host.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#ifdef __SANITIZE_THREAD__
#define THREAD_CHECKER 1
#else
#define THREAD_CHECKER __has_feature(thread_sanitizer)
#endif

#define cr_died(e, why) do { \
	cr_assert_eq((e).kind, PICO_DIED, "kind %u code %d", (e).kind, (e).code); \
	cr_assert_eq((e).cause, (why), "%s: %s", pico_cause_name((e).cause), (e).message); \
} while (0)

Test(api_life, exit_codes)
{
	struct pico_exit e = run("host_exit 7");

	cr_assert_eq(e.kind, PICO_EXITED);
	cr_assert_eq(e.code, 7);
	e = run("host_exit 0");
	cr_assert_eq(e.kind, PICO_EXITED);
	cr_assert_eq(e.code, 0);
	e = run("host_exit 271");
	cr_assert_eq(e.kind, PICO_SIGNALED);
	cr_assert_eq(e.signal, 15);
}

Test(api_life, order_of_calls)
{
	struct pico_options o;
	struct pico_exit e;
	struct pico *p;

	bare_options(&o, "host_exit 3");
	p = make(&o);
	cr_assert_eq(pico_wait(p, 0, &e), -PICO_ESTATE);
	cr_assert_eq(pico_get_error(p)->code, PICO_ESTATE);
	cr_assert_eq(pico_signal(p, SIGTERM), -PICO_ESTATE);
	cr_assert_eq(pico_start(p), 0);
	cr_assert_eq(pico_start(p), -PICO_ESTATE);
	e = finish(p);
	cr_assert_eq(e.code, 3);
	cr_assert_eq(pico_kill(p), 0);
	e = finish(p);
	cr_assert_eq(e.code, 3, "the first cause stays");
	cr_assert_eq(pico_signal(p, SIGTERM), -PICO_ESRCH);
	cr_assert_eq(pico_start(p), -PICO_EDIED);
	pico_destroy(p);
}

static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
static unsigned reads;
static int64_t read_on_hold(void *user, uint64_t offset, void *buffer, size_t size)
{
	(void)user, (void)offset, (void)buffer, (void)size;
	__atomic_fetch_add(&reads, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&hold);
	pthread_mutex_unlock(&hold);
	return 0;
}

/* What the dead asked for neither piles up nor is done. */
Test(api_life, dead_readers)
{
	static struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_dead_readers 220");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	o.limits.threads = 100;
	o.stdio[0].kind = PICO_STDIO_CALLBACK;
	o.stdio[0].read = read_on_hold;
	pthread_mutex_lock(&hold);
	p = begin(&o);
	cr_assert(said(&log, "all dead"), "%s", log.text);
	cr_assert_leq(p->busy, 100 + 70);
	cr_assert_geq(reads, 1);
	pthread_mutex_unlock(&hold);
	pico_destroy(p);
	cr_assert_leq(reads, 16, "%u", reads);
}

/* What has the number of a closed standard stream may be another instance's. */
Test(api_life, inherits_nothing_of_ours)
{
	struct pico_options o;
	struct pico_error e = { 0 };
	struct pico *a, *b;
	int before = dup(0);

	close(0);
	bare_options(&o, "host_rest");
	a = begin(&o);
	cr_assert_geq(fcntl(0, F_GETFD), 0, "the first instance took the number");
	o.stdio[0].kind = PICO_STDIO_INHERIT;
	cr_assert_eq(pico_create(&o, &b, &e), -PICO_EBADF);
	cr_assert(strstr(e.message, "descriptor 0 is not open"), "%s", e.message);
	pico_destroy(a);
	dup2(before, 0);
	b = make(&o);
	pico_destroy(b);
}

static void *wait_in_thread(void *p)
{
	struct pico_exit e = { 0 };

	return (void *)(intptr_t)(pico_wait(p, -1, &e) == 0 && e.cause == PICO_CAUSE_KILLED);
}

/* Those that wait get their answer, and nothing is freed under them. */
Test(api_life, destroyed_while_others_wait)
{
	for (int round = 0; round < 20; round++) {
		pthread_t threads[8];
		struct pico_options o;
		void *good;
		struct pico *p;

		bare_options(&o, "host_rest");
		p = begin(&o);
		for (int i = 0; i < 8; i++)
			pthread_create(&threads[i], NULL, wait_in_thread, p);
		nap_ms(20);
		pico_destroy(p);
		for (int i = 0; i < 8; i++) {
			pthread_join(threads[i], &good);
			cr_assert(good);
		}
	}
}

Test(api_life, destroyed_without_start)
{
	struct pico_options o;

	bare_options(&o, "host_exit 3");
	for (int i = 0; i < 10; i++)
		pico_destroy(make(&o));
}

Test(api_life, killed_without_start)
{
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_exit 3");
	p = make(&o);
	cr_assert_eq(pico_kill(p), 0);
	cr_died(finish(p), PICO_CAUSE_KILLED);
	cr_assert_eq(pico_start(p), -PICO_EDIED);
	pico_destroy(p);
}

static void kill_one(const char *command, const char *sign)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico_exit e;
	struct pico *p;
	uint64_t start;

	bare_options(&o, command);
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	if (sign)
		cr_assert(said(&log, sign), "%s", log.text);
	else
		nap_ms(50);
	cr_assert_eq(pico_wait(p, 10, &e), -PICO_ETIMEDOUT);
	start = now_ms();
	cr_assert_eq(pico_kill(p), 0);
	cr_died(finish(p), PICO_CAUSE_KILLED);
	cr_assert_lt(now_ms() - start, 1000);
	cr_assert_eq(pico_get_error(p)->code, PICO_EDIED);
	pico_destroy(p);
}

Test(api_life, kill_a_spinner) { kill_one("host_spin", NULL); }
Test(api_life, kill_a_sleeper) { kill_one("host_rest", NULL); }
Test(api_life, kill_spinning_clones) { kill_one("host_clones 20 s", "clones 20"); }
Test(api_life, kill_many_clones) { kill_one("host_clones 200 r", "clones 200"); }

static bool is_number(const char *text)
{
	return *text >= '1' && *text <= '9';
}

/* Processes that bear this name. */
static int count_named(const char *name)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	cr_assert_not_null(d);
	while ((entry = readdir(d))) {
		struct pico__proc_stat stat;

		if (is_number(entry->d_name) && pico__proc_stat(atoi(entry->d_name), &stat) == 0 && stat.state != 'Z')
			count += !strcmp(stat.name, name);
	}
	closedir(d);
	return count;
}

/* Children that never said HELLO are counted, and found. */
Test(api_life, hidden_picoprocesses)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	char name[16];
	uint64_t start;
	struct pico *p;

	bare_options(&o, "host_hide 5");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	memcpy(name, p->name, sizeof(name));
	cr_assert(said(&log, "then "), "%s", log.text);
	cr_assert(log_has(&log, "hidden 1\n"), "%s", log.text);
	cr_assert(log_has(&log, "then -1\n"), "%s", log.text);
	cr_assert_eq(count_named(name), 3, "the seed, the first and one that hides");
	start = now_ms();
	cr_assert_eq(pico_kill(p), 0);
	cr_died(finish(p), PICO_CAUSE_KILLED);
	/* Those that hide are found and killed, too, if not in the same moment. */
	while (count_named(name) && now_ms() - start < 10000)
		usleep(1000);
	cr_assert_eq(count_named(name), 0);
	pico_destroy(p);
}

Test(api_life, forbidden_host_call)
{
	cr_died(run("hostile_gate p 1 1 0 0"), PICO_CAUSE_FILTER); /* write */
}

Test(api_life, crashes)
{
	struct pico_exit e = run("host_exit 512");

	cr_died(e, PICO_CAUSE_LIBOS_CRASHED);
	e = run("host_exit 255000");
	cr_died(e, PICO_CAUSE_LIBOS_CRASHED);
	e = run("host_vanish");
	cr_died(e, PICO_CAUSE_LIBOS_CRASHED);
}

/* Somebody kills a picoprocess: the instance ends and says so. */
Test(api_life, killed_from_outside)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	int32_t pid = 0;
	struct pico *p;

	bare_options(&o, "host_clones 3 r");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	cr_assert(said(&log, "clones 3"));
	pthread_mutex_lock(&p->lock);
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (!q->seed && !q->first)
			pid = q->pid;
	pthread_mutex_unlock(&p->lock);
	cr_assert_gt(pid, 0);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_died(finish(p), PICO_CAUSE_KILLED_OUTSIDE);
	pico_destroy(p);
}

Test(api_life, helper_killed, .timeout = 30)
{
	struct pico_options o;
	struct pico *p, *q;
	int32_t pid = 0;

	bare_options(&o, "host_spin");
	p = begin(&o);
	q = begin(&o);
	for (int i = 0; i < 1000 && !pid; i++) {
		nap_ms(1);
		pthread_mutex_lock(&p->lock);
		pid = p->helper_pid;
		pthread_mutex_unlock(&p->lock);
	}
	cr_assert_gt(pid, 0);
	nap_ms(50);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_died(finish(p), PICO_CAUSE_HELPER_DIED);
	cr_died(finish(q), PICO_CAUSE_HELPER_DIED);
	pico_destroy(p);
	pico_destroy(q);
	cr_assert_eq(run("host_exit 4").code, 4, "the next one gets a new helper");
}

/* ---- limits ---- */

Test(api_life, deadline)
{
	struct pico_options o;
	uint64_t start;
	struct pico *p;

	bare_options(&o, "host_rest");
	o.limits.deadline_ms = 200;
	p = make(&o);
	nap_ms(100);
	start = now_ms();
	cr_assert_eq(pico_start(p), 0);
	cr_died(finish(p), PICO_CAUSE_DEADLINE);
	cr_assert_geq(now_ms() - start, 195);
	cr_assert_lt(now_ms() - start, 1200);
	pico_destroy(p);
}

Test(api_life, processor_time)
{
	struct pico_stats s = { .size = sizeof(s) };
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_clones 3 s");
	o.limits.cpu_seconds = 1;
	p = begin(&o);
	cr_died(finish(p), PICO_CAUSE_CPU_LIMIT);
	cr_assert_eq(pico_stats(p, &s), 0);
	cr_assert_geq(s.cpu_user_ns + s.cpu_system_ns, 990000000ull);
	cr_assert_lt(s.cpu_user_ns + s.cpu_system_ns, 1900000000ull);
	pico_destroy(p);
}

static struct pico_exit with_memory(const char *command, uint64_t limit)
{
	struct pico_options o;
	struct pico_exit e;
	struct pico *p;

	bare_options(&o, command);
	o.limits.memory = limit;
	p = begin(&o);
	e = finish(p);
	pico_destroy(p);
	return e;
}

Test(api_life, memory)
{
	struct pico_exit e = with_memory("host_memory 200 p", 64 << 20);

	/* One picoprocess is refused; the sum, and shared memory, are watched. */
	cr_assert(e.kind == PICO_EXITED && e.code == 3, "kind %u %s", e.kind, e.message);
	cr_died(with_memory("host_memory 2000 s", 64 << 20), PICO_CAUSE_MEMORY_LIMIT);
	cr_died(with_memory("host_memory_sum 40 3", 64 << 20), PICO_CAUSE_MEMORY_LIMIT);
}

/* Ways around the sum: children that say nothing, page tables, the segment
 * without its handle. */
Test(api_life, memory_that_hides)
{
	cr_died(with_memory("host_hoard 4 40", 64 << 20), PICO_CAUSE_MEMORY_LIMIT);
	cr_died(with_memory("host_tables 64", 64 << 20), PICO_CAUSE_MEMORY_LIMIT);
	cr_died(with_memory("host_unnamed 2000", 64 << 20), PICO_CAUSE_MEMORY_LIMIT);
}

Test(api_life, processor_time_that_hides)
{
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_hoard 2 1");
	o.limits.cpu_seconds = 1;
	p = begin(&o);
	cr_died(finish(p), PICO_CAUSE_CPU_LIMIT);
	pico_destroy(p);
}

/* More than 64 silent children, and some of them old: the limit holds. */
Test(api_life, silent_children)
{
	struct pico_options o;
	char name[16];
	struct pico *p;

	bare_options(&o, "host_swarm");
	o.limits.processes = 150;
	p = begin(&o);
	memcpy(name, p->name, sizeof(name));
	for (int i = 0; i < 40; i++) {
		nap_ms(100);
		cr_assert_leq(count_named(name), 151); /* and the seed */
	}
	cr_assert_geq(count_named(name), 140);
	pico_destroy(p);
	cr_assert_eq(count_named(name), 0);
}

static void limited(struct kept_log *log, const char *command, uint32_t processes, uint32_t threads, const char *made)
{
	struct pico_options o;
	struct pico *p;

	bare_options(&o, command);
	o.log = keep_log;
	o.log_user = log;
	o.log_level = PICO_LOG_DEBUG;
	o.limits.processes = processes;
	o.limits.threads = threads;
	p = begin(&o);
	cr_assert(said(log, "then "), "%s", log->text);
	cr_assert(log_has(log, made), "%s", log->text);
	cr_assert(log_has(log, "then -11"), "%s", log->text);
	pico_destroy(p);
}

Test(api_life, processes)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };

	limited(&log, "host_clones 50 r", 10, 0, "clones 9\n");
}

Test(api_life, threads)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };

	limited(&log, "host_threads 50", 0, 20, "threads 20\n");
	memset(log.text, 0, sizeof(log.text));
	log.size = 0;
	limited(&log, "host_clones 50 r", 0, 10, "clones 9\n");
}

Test(api_life, ended_threads_do_not_count)
{
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_thread_churn 500");
	o.limits.threads = 8;
	p = begin(&o);
	cr_assert_eq(finish(p).code, 0);
	pico_destroy(p);
}

Test(api_life, ended_processes_do_not_count)
{
	struct pico_stats s = { .size = sizeof(s) };
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_churn 100");
	o.limits.processes = 50;
	p = begin(&o);
	cr_assert_eq(finish(p).code, 0);
	cr_assert_eq(pico_stats(p, &s), 0);
	cr_assert_eq(s.processes, 0);
	cr_assert_geq(s.processes_total, 101);
	cr_assert_leq(s.processes_peak, 50);
	pico_destroy(p);
}

Test(api_life, fresh_picoprocesses)
{
	cr_assert_eq(run("host_create 50").code, 0);
}

/* ---- what the guest says and hears ---- */

Test(api_life, library_os_tells_why)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_stats s = { .size = sizeof(s) };
	struct pico_options o;
	struct pico_exit e;
	struct pico *p;

	bare_options(&o, "host_says");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_INFO;
	p = begin(&o);
	e = finish(p);
	cr_assert_eq(e.kind, PICO_EXITED);
	cr_assert_eq(e.code, 127);
	cr_assert_str_eq(e.message, "no such program");
	cr_assert_str_eq(pico_get_error(p)->message, "no such program");
	cr_assert_eq(pico_stats(p, &s), 0);
	cr_assert_str_eq(s.text, "ioctl 5\nmount 1\n");
	pico_destroy(p);
	cr_assert_str_eq(log.text, "3 info: \\x1b[31mred\\xc2\\x9b\n2 warning: careful\n1 error: no such program\n");
}

Test(api_life, signals)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico_exit e;
	struct pico *p;

	bare_options(&o, "host_events");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	cr_assert(said(&log, "ready"));
	cr_assert_eq(pico_signal(p, SIGKILL), -PICO_EINVAL);
	cr_assert_eq(pico_signal(p, SIGWINCH), 0);
	cr_assert(said(&log, "events 16"));
	cr_assert_eq(pico_signal(p, SIGUSR1), 0);
	cr_assert(said(&log, "events 32"));
	cr_assert_eq(pico_signal(p, SIGTERM), 0);
	e = finish(p);
	cr_assert_eq(e.kind, PICO_SIGNALED);
	cr_assert_eq(e.signal, 15);
	pico_destroy(p);
}

/* Right after the start the first thread may not be there yet. */
Test(api_life, early_signal)
{
	struct pico_options o;

	bare_options(&o, "host_events");
	for (int i = 0; i < 20; i++) {
		struct pico *p = begin(&o);

		cr_assert_eq(pico_signal(p, SIGTERM), 0);
		cr_assert_eq(finish(p).signal, 15);
		pico_destroy(p);
	}
}

/* Interrupts hit requests at every moment; each runs once. */
Test(api_life, signals_during_requests, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_requests");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	cr_assert(said(&log, "ready"));
	for (int i = 0; i < 2000; i++)
		cr_assert_eq(pico_signal(p, SIGUSR2), 0);
	cr_assert_eq(pico_signal(p, SIGTERM), 0);
	cr_assert_eq(finish(p).code, 0, "%s", log.text);
	pico_destroy(p);
}

struct text { char bytes[4096]; size_t size, at; };

static int64_t give(void *user, uint64_t offset, void *buffer, size_t size)
{
	struct text *t = user;
	size_t n = t->size - t->at < size ? t->size - t->at : size;

	cr_assert_eq(offset, UINT64_MAX);
	n = n > 100 ? 100 : n;
	memcpy(buffer, t->bytes + t->at, n);
	t->at += n;
	return (int64_t)n;
}

static int64_t take(void *user, uint64_t offset, const void *buffer, size_t size)
{
	struct text *t = user;
	size_t n = size > 70 ? 70 : size;

	(void)offset;
	if (t->size + n > sizeof(t->bytes))
		return -PICO_ENOSPC;
	memcpy(t->bytes + t->size, buffer, n);
	t->size += n;
	return (int64_t)n;
}

Test(api_life, callback_stdio)
{
	static struct text in = { .size = 3000 }, out;
	struct pico_options o;
	struct pico *p;

	for (size_t i = 0; i < in.size; i++)
		in.bytes[i] = (char)(i * 7);
	bare_options(&o, "host_copy");
	o.stdio[0] = (struct pico_stdio){ .kind = PICO_STDIO_CALLBACK, .read = give, .user = &in };
	o.stdio[1] = (struct pico_stdio){ .kind = PICO_STDIO_CALLBACK, .write = take, .user = &out };
	p = begin(&o);
	cr_assert_eq(finish(p).code, 0);
	pico_destroy(p);
	cr_assert_eq(out.size, in.size);
	cr_assert_eq(memcmp(in.bytes, out.bytes, in.size), 0);
}

Test(api_life, descriptor_stdio)
{
	char buffer[64] = "";
	struct pico_options o;
	int in[2], out[2];
	struct pico *p;

	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(pipe(out), 0);
	bare_options(&o, "host_copy");
	o.stdio[0] = (struct pico_stdio){ .kind = PICO_STDIO_FD, .fd = in[0] };
	o.stdio[1] = (struct pico_stdio){ .kind = PICO_STDIO_FD, .fd = out[1] };
	p = begin(&o);
	close(in[0]);
	close(out[1]);
	cr_assert_eq(write(in[1], "through", 7), 7);
	close(in[1]);
	cr_assert_eq(finish(p).code, 0);
	pico_destroy(p);
	cr_assert_eq(read(out[0], buffer, sizeof(buffer)), 7);
	cr_assert_str_eq(buffer, "through");
	cr_assert_eq(read(out[0], buffer, sizeof(buffer)), 0, "nobody else holds the pipe");
}

/* ---- event loops and callbacks ---- */

static void note_exit(void *user, const struct pico_exit *exit)
{
	int *count = user;

	cr_assert_eq(exit->code, 7);
	__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
}

Test(api_life, event_loop)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pollfd fd = { .events = POLLIN };
	struct pico_options o;
	struct pico *p;
	int exits = 0;

	bare_options(&o, "host_exit 7");
	o.flags = PICO_FLAG_DISPATCH;
	o.log = keep_log;
	o.log_user = &log;
	o.on_exit = note_exit;
	o.exit_user = &exits;
	p = begin(&o);
	fd.fd = pico_fd(p);
	cr_assert_eq(pico_fd(p), fd.fd);
	do
		cr_assert_eq(poll(&fd, 1, 10000), 1);
	while (!pico_dispatch(p));
	cr_assert_eq(exits, 1);
	cr_assert_eq(pico_dispatch(p), 1);
	cr_assert_eq(exits, 1, "once");
	cr_assert_eq(poll(&fd, 1, 0), 0);
	cr_assert_eq(finish(p).code, 7);
	pico_destroy(p);
}

Test(api_life, exit_callback_from_a_worker)
{
	struct pico_options o;
	struct pico *p;
	int exits = 0;

	bare_options(&o, "host_exit 7");
	o.on_exit = note_exit;
	o.exit_user = &exits;
	p = begin(&o);
	finish(p);
	pico_destroy(p);
	cr_assert_eq(exits, 1, "at the latest before pico_destroy returns");
}

struct self { struct pico *p; int deadlock, done; };

static void end_self(void *user, const struct pico_exit *exit)
{
	struct self *self = user;

	(void)exit;
	self->deadlock = pico_wait(self->p, -1, NULL);
	pico_destroy(self->p);
	__atomic_store_n(&self->done, 1, __ATOMIC_RELEASE);
}

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int count = 0;

	cr_assert_not_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

/* libpico's own threads. */
static int threads_now(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	cr_assert_not_null(d);
	while ((entry = readdir(d))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strncmp(name, "pico-", 5))
			count++;
		fclose(f);
	}
	closedir(d);
	return count;
}

/* Destroyed in its own callback, the last one: nothing of libpico stays. */
Test(api_life, destroy_in_a_callback)
{
	for (int i = 0; i < 10; i++) {
		struct self self = { 0 };
		struct pico_options o;

		bare_options(&o, "host_exit 7");
		o.on_exit = end_self;
		o.exit_user = &self;
		self.p = make(&o);
		cr_assert_eq(pico_start(self.p), 0);
		for (int j = 0; j < 2000 && !__atomic_load_n(&self.done, __ATOMIC_ACQUIRE); j++)
			nap_ms(1);
		cr_assert_eq(self.deadlock, -PICO_EDEADLK);
	}
	for (int j = 0; j < 1000 && threads_now(); j++)
		nap_ms(1);
	cr_assert_eq(threads_now(), 0);
}

Test(api_life, nothing_stays)
{
	int descriptors;

	run("host_churn 5");
	descriptors = count_entries("/proc/self/fd");
	for (int i = 0; i < 5; i++)
		run("host_churn 5");
	cr_assert_eq(count_entries("/proc/self/fd"), descriptors);
	cr_assert_eq(threads_now(), 0);
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_assert_eq(errno, ECHILD);
}

/* ---- many at once ---- */

static void *many_lives(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;

	for (int i = 0; i < 15; i++) {
		struct pico_options o;
		struct pico_exit e = { 0 };
		struct pico *p;

		switch (rand_r(&seed) % 4) {
		case 0:
			e = run("host_exit 9");
			if (e.code != 9)
				return (void *)"exit";
			break;
		case 1:
			bare_options(&o, "host_spin");
			p = begin(&o);
			pico_kill(p);
			if (pico_wait(p, 20000, &e) || e.cause != PICO_CAUSE_KILLED)
				return (void *)"kill";
			pico_destroy(p);
			break;
		case 2:
			bare_options(&o, "host_clones 5 r");
			p = begin(&o);
			nap_ms((unsigned)rand_r(&seed) % 5);
			pico_destroy(p);
			break;
		default:
			e = run("host_churn 3");
			if (e.kind != PICO_EXITED || e.code)
				return (void *)"churn";
		}
	}
	return NULL;
}

Test(api_life, many_threads, .timeout = 120)
{
	pthread_t threads[6];

	for (uintptr_t i = 0; i < 6; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, many_lives, (void *)(i + 1)), 0);
	for (int i = 0; i < 6; i++) {
		void *trouble;

		pthread_join(threads[i], &trouble);
		cr_assert_null(trouble, "%s", (const char *)trouble);
	}
	cr_assert_eq(threads_now(), 0);
}

static void *poll_stats(void *argument)
{
	struct pico_stats s = { .size = sizeof(s) };
	struct pico *p = argument;

	while (pico_wait(p, 0, NULL) == -PICO_ETIMEDOUT) {
		if (pico_stats(p, &s) < 0)
			return (void *)"stats";
		if (pico_signal(p, SIGUSR1) == -PICO_EINVAL)
			return (void *)"signal";
		if (pico_get_error(p)->code < 0)
			return (void *)"error";
		pico_dispatch(p);
	}
	return NULL;
}

Test(api_life, one_instance_many_threads, .timeout = 60)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[3];
	struct pico_options o;
	struct pico *p;

	bare_options(&o, "host_churn 300");
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_DEBUG;
	p = begin(&o);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, poll_stats, p), 0);
	cr_assert_eq(finish(p).code, 0, "%s", log.text);
	for (int i = 0; i < 3; i++) {
		void *trouble;

		pthread_join(threads[i], &trouble);
		cr_assert_null(trouble);
	}
	pico_destroy(p);
}

/* ---- the host forks ---- */

Test(api_life, fork_of_the_host, .timeout = 60)
{
	struct pico_options o;
	struct pico *p;
	int status;
	pid_t child;

	bare_options(&o, "host_events");
	p = begin(&o);
	child = fork();
	if (child == 0) {
		int bad = pico_kill(p) != -PICO_ESTATE || pico_wait(p, -1, NULL) != -PICO_ESTATE;

		pico_destroy(p);
#if !THREAD_CHECKER /* cannot start threads in a fork's child */
		if (run("host_exit 11").code != 11)
			bad |= 2;
#endif
		_exit(bad);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
	cr_assert_eq(pico_wait(p, 0, NULL), -PICO_ETIMEDOUT, "the parent's guest goes on");
	cr_assert_eq(pico_signal(p, SIGTERM), 0);
	cr_assert_eq(finish(p).signal, 15);
	pico_destroy(p);
}

Test(api_life, signals_stay_the_hosts)
{
	struct sigaction before[65], after;
	sigset_t mask_before, mask_after;

	sigemptyset(&mask_before); /* the kernel's is shorter */
	sigemptyset(&mask_after);
	for (int i = 1; i < 65; i++)
		sigaction(i, NULL, &before[i]);
	pthread_sigmask(SIG_BLOCK, NULL, &mask_before);
	run("host_churn 2");
	pthread_sigmask(SIG_BLOCK, NULL, &mask_after);
	cr_assert_eq(memcmp(&mask_before, &mask_after, sizeof(mask_before)), 0);
	for (int i = 1; i < 65; i++)
		if (sigaction(i, NULL, &after) == 0)
			cr_assert_eq(before[i].sa_handler, after.sa_handler);
}

Test(api_life, features)
{
	struct pico_features f = { .size = sizeof(f) };

	cr_assert_eq(pico_features(built("pico-helper"), &f), 0);
	cr_assert_eq(!(f.have & PICO_FEATURE_NOTIFY), pico__notify_taken());
	cr_assert(f.have & PICO_FEATURE_HELPER, "missing: %s", f.missing);
	cr_assert_eq(pico_features("/nothing", &f), 0);
	cr_assert_not(f.have & PICO_FEATURE_HELPER);
	cr_assert_not_null(strstr(f.missing, "helper"));
	f.size = 4;
	cr_assert_eq(pico_features(NULL, &f), -PICO_EVERSION);
}
