/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that takes all it can get of one thing: processes, threads, pipes,
 * files, memory. Called `limits WHAT [NUMBER]`, it says in one line how much it
 * got and which error came then, gives all back, and must be able to take one
 * again. Others run until the host ends them: `bomb`, `beat`, `family`, `crash`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static const char *error_name(int error)
{
	switch (error) {
	case 0: return "0";
	case EAGAIN: return "EAGAIN";
	case EMFILE: return "EMFILE";
	case ENFILE: return "ENFILE";
	case ENOMEM: return "ENOMEM";
	default: return strerror(error);
	}
}

static int report(const char *what, long got, int error)
{
	printf("%s %ld %s\n", what, got, error_name(error));
	fflush(stdout);
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- processes ---- */

static void reap(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
}

static int processes(long most)
{
	static pid_t pids[65536];
	long count = 0;
	int error = 0;

	while (count < most && (pids[count] = fork()) >= 0) {
		if (!pids[count])
			for (;;)
				pause();
		count++;
	}
	if (count < most)
		error = errno;
	FAILS(fork(), error); /* it stays so */
	for (long i = 0; i < count; i++)
		CHECK(kill(pids[i], SIGKILL) == 0);
	for (long i = 0; i < count; i++)
		reap(pids[i]);
	pids[0] = fork();
	CHECK(pids[0] >= 0);
	if (!pids[0])
		_exit(0);
	reap(pids[0]);
	return report("processes", count, error);
}

static void __attribute__((noreturn)) bomb(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		fork();
}

/* ---- threads ---- */

static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
static void *wait_for_hold(void *arg)
{
	pthread_mutex_lock(&hold);
	pthread_mutex_unlock(&hold);
	return arg;
}

static int threads(long most)
{
	static pthread_t ids[65536];
	pthread_attr_t attr;
	long count = 0;
	int error = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_mutex_lock(&hold);
	while (count < most && (error = pthread_create(&ids[count], &attr, wait_for_hold, NULL)) == 0)
		count++;
	pthread_mutex_unlock(&hold);
	for (long i = 0; i < count; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
	CHECK(pthread_create(&ids[0], &attr, wait_for_hold, NULL) == 0);
	CHECK(pthread_join(ids[0], NULL) == 0);
	return report("threads", count, error);
}

static void *make_more(void *arg)
{
	pthread_t id;

	while (!arg)
		if (pthread_create(&id, NULL, make_more, arg) == 0)
			pthread_detach(id);
	return arg;
}

static void __attribute__((noreturn)) thread_bomb(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		make_more(NULL);
}

/* ---- descriptors ---- */

static int descriptors(long most)
{
	long count = 0, first = eventfd(0, 0);
	int error = 0;

	CHECK(first >= 0);
	while (count < most) {
		if (eventfd(0, 0) < 0) {
			error = errno;
			break;
		}
		count++;
	}
	FAILS(dup(0), error);
	for (long i = 0; i < count; i++)
		close((int)(first + 1 + i));
	CHECK(dup((int)first) >= 0);
	return report("descriptors", count + first + 1, error);
}

/* Files of the host: each one open is one more of the instance's streams. */
static int files(long most)
{
	static int fds[65536];
	struct rlimit limit;
	char name[32];
	long count = 0;
	int error = 0;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (count < most) {
		snprintf(name, sizeof(name), "file%ld", count);
		fds[count] = open(name, O_RDWR | O_CREAT, 0600);
		if (fds[count] < 0) {
			error = errno;
			break;
		}
		unlink(name);
		count++;
	}
	for (long i = 0; i < count; i++)
		close(fds[i]);
	fds[0] = open("last", O_RDWR | O_CREAT, 0600);
	CHECK(fds[0] >= 0);
	CHECK(unlink("last") == 0);
	return report("files", count, error);
}

/* ---- memory ---- */

static int memory(long megabytes)
{
	long got = 0;
	char *first = NULL, *last = NULL;
	int error = 0;

	while (got < megabytes) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			error = errno;
			break;
		}
		memset(p, 1, 1 << 20);
		*(char **)p = last;
		last = p;
		first = first ? first : p;
		got++;
	}
	while (last) {
		char *next = *(char **)last;
		CHECK(munmap(last, 1 << 20) == 0);
		last = next;
	}
	last = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(last != MAP_FAILED);
	return report("memory", got, error);
}

/* Each child takes its share and keeps it: only the sum is too much. */
static int memory_together(long children)
{
	for (long i = 0; i < children; i++) {
		const pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid)
			continue;
		char *p = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		for (;;)
			memset(p, 1, 32 << 20), usleep(1000);
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

/* ---- pipes ---- */

/* Kernel memory: every pipe filled to the brim, until there are no more
 * descriptors or no more memory. */
static long fill(int *error)
{
	static char block[65536];
	long bytes = 0;
	int fds[2];

	while (pipe2(fds, O_NONBLOCK) == 0) {
		ssize_t n;
		while ((n = write(fds[1], block, sizeof(block))) > 0)
			bytes += n;
		if (errno != EAGAIN)
			break;
	}
	*error = errno;
	return bytes;
}

static int pipes(long children)
{
	long bytes = 0;
	int error = 0, told[2];

	CHECK(pipe(told) == 0);
	for (long i = 0; i < children; i++) {
		const pid_t pid = fork();
		if (pid < 0) {
			error = errno;
			break;
		}
		if (pid)
			continue;
		struct { long bytes; int error; } mine;
		mine.bytes = fill(&mine.error);
		CHECK(write(told[1], &mine, sizeof(mine)) == sizeof(mine));
		for (;;)
			pause();
	}
	for (long i = 0; i < children && !error; i++) {
		struct { long bytes; int error; } one;
		CHECK(read(told[0], &one, sizeof(one)) == sizeof(one));
		bytes += one.bytes;
		error = one.error == EMFILE ? 0 : one.error;
	}
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0)
		;
	return report("pipes", bytes >> 20, error);
}

/* ---- somebody who wants to be left alone ---- */

/* Does a little of everything every few milliseconds and remembers how long it
 * took at most. */
static int beat(long milliseconds)
{
	const uint64_t end = now() + (uint64_t)milliseconds * 1000000;
	uint64_t worst = 0;
	long beats = 0;

	puts("ready");
	fflush(stdout);
	while (now() < end) {
		const uint64_t start = now();
		int fds[2], status;
		struct stat st;
		char c = 'x';
		CHECK(pipe(fds) == 0);
		const pid_t pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			_exit(write(fds[1], &c, 1) == 1 ? 7 : 1);
		CHECK(read(fds[0], &c, 1) == 1);
		CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
		CHECK(stat("/guests/limits", &st) == 0);
		CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
		const uint64_t took = now() - start;
		worst = took > worst ? took : worst;
		beats++;
		usleep(5000);
	}
	return report("beats", beats, 0) || report("worst", (long)(worst / 1000000), 0);
}

/* ---- processes that wait for each other in every way ---- */

static int futex_words[2] __attribute__((aligned(4)));
static void member(int which, int in, int out, int peer)
{
	char c;

	switch (which) {
	case 0: /* for a byte that never comes */
		while (read(in, &c, 1) >= 0)
			;
		break;
	case 1: /* for room */
		for (;;)
			if (write(out, &c, 1) != 1)
				break;
		break;
	case 2: {
		struct pollfd p = { .fd = peer, .events = POLLIN };
		poll(&p, 1, -1);
		break;
	}
	case 3: { /* has a child of its own and waits for it */
		const pid_t pid = fork();
		if (!pid)
			for (;;)
				pause();
		waitpid(pid, NULL, 0);
		break;
	}
	case 4: /* runs */
		for (;;)
			__atomic_fetch_add(&futex_words[0], 1, __ATOMIC_RELAXED);
	case 5: /* has another program, by vfork and exec */
		execl("/proc/self/exe", "limits", "wait", NULL);
		break;
	default:
		for (;;)
			getppid();
	}
	_exit(1);
}

static int family(int with_crash)
{
	int pipes_[2], full[2], pair[2];

	CHECK(pipe(pipes_) == 0 && pipe(full) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	for (int i = 0; i < 7; i++) {
		const pid_t pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			member(i, pipes_[0], full[1], pair[0]);
	}
	usleep(100000);
	puts("ready");
	fflush(stdout);
	if (with_crash && fork() == 0) {
		usleep(100000);
		/* The library OS's own word of this thread: its next entry faults. */
		__asm__ volatile("movq $0x10, %%gs:8" : : : "memory");
		getppid();
	}
	while (wait(NULL) > 0)
		;
	return 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const long number = argc > 2 ? atol(argv[2]) : 60000;

	if (!strcmp(what, "processes")) return processes(number);
	if (!strcmp(what, "threads")) return threads(number);
	if (!strcmp(what, "descriptors")) return descriptors(number);
	if (!strcmp(what, "files")) return files(number);
	if (!strcmp(what, "memory")) return memory(number);
	if (!strcmp(what, "memory_together")) return memory_together(number);
	if (!strcmp(what, "pipes")) return pipes(number);
	if (!strcmp(what, "bomb")) bomb();
	if (!strcmp(what, "thread_bomb")) thread_bomb();
	if (!strcmp(what, "beat")) return beat(number);
	if (!strcmp(what, "family")) return family(0);
	if (!strcmp(what, "crash")) return family(1);
	if (!strcmp(what, "wait")) for (;;) pause();
	fprintf(stderr, "limits: what?\n");
	return 2;
}
