/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program does with processes, timed by itself: run natively and inside,
 * bench/process.sh pairs the two. Prints the median of one operation in ns.
 *
 * usage: process_guest OPERATION ROUNDS [MIB]
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char true_path[] = "/bin/true";
static char *const true_argv[] = { true_path, NULL };

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("child");
}

static void do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	reap(pid);
}

static void do_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	reap(pid);
}

static void do_exec(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execv(true_argv[0], true_argv);
		_exit(127);
	}
	reap(pid);
}

static void do_spawn(void)
{
	pid_t pid;

	if (posix_spawn(&pid, true_argv[0], NULL, NULL, true_argv, environ))
		die("posix_spawn");
	reap(pid);
}

static int ping[2], pong[2];

static void pair(const char *kind)
{
	if (strcmp(kind, "unix")) {
		if (pipe(ping) || pipe(pong))
			die("pipe");
		return;
	}
	int a[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, a))
		die("socketpair");
	ping[1] = pong[0] = a[0];
	ping[0] = pong[1] = a[1];
}

static void start_echo(const char *kind, int one_cpu)
{
	char c;

	pair(kind);
	if (one_cpu) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(0, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	if (fork() == 0) {
		if (strcmp(kind, "unix")) {
			close(ping[1]);
			close(pong[0]);
		} else {
			close(ping[1]);
		}
		while (read(ping[0], &c, 1) == 1)
			if (write(pong[1], &c, 1) != 1)
				break;
		_exit(0);
	}
}

static void do_pong(void)
{
	char c = 'x';

	if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
		die("ping");
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*fn)(void); int batch; } operations[] = {
		{ "fork", do_fork, 1 }, { "vfork", do_vfork, 1 }, { "exec", do_exec, 1 }, { "spawn", do_spawn, 1 },
		{ "pipe", do_pong, 20 }, { "unix", do_pong, 20 }, { "pipe1", do_pong, 20 }, { "unix1", do_pong, 20 },
	};
	if (argc < 3) {
		fprintf(stderr, "usage: process_guest OPERATION ROUNDS [MIB [huge]]\n");
		return 2;
	}
	const int rounds = atoi(argv[2]);
	const size_t size = argc > 3 ? (size_t)atoi(argv[3]) << 20 : 0;
	uint64_t *took = calloc((size_t)rounds, sizeof(*took));

	if (size) {
		char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			die("mmap");
		if (argc > 4)
			madvise(m, size, MADV_HUGEPAGE);
		memset(m, 1, size);
	}
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].name, argv[1]))
			continue;
		if (operations[i].fn == do_pong) {
			char kind[8] = "";
			strncpy(kind, argv[1], 4);
			start_echo(kind, argv[1][4] == '1');
		}
		for (int n = -rounds / 10 - 1; n < rounds; n++) {
			const uint64_t begin = now();
			for (int b = 0; b < operations[i].batch; b++)
				operations[i].fn();
			if (n >= 0)
				took[n] = (now() - begin) / (uint64_t)operations[i].batch;
		}
		qsort(took, (size_t)rounds, sizeof(*took), compare);
		printf("%llu\n", (unsigned long long)took[rounds / 2]);
		fflush(stdout);
		close(ping[1]);
		return 0;
	}
	return 2;
}
