/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes, threads, signals, pipes, sockets, shared memory, execs and kills at
 * random. Every operation is one that succeeds or fails in a known way; at the
 * end nothing is left: no child, no descriptor, and (inside) not a byte of the
 * kernel's memory more than before.
 *
 * usage: stress_tree [SECONDS [SEED]]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

extern char **environ;
static uint64_t state;
static char self[4096];

static unsigned pick(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what children do ---- */

static void *idle(void *arg)
{
	(void)arg;
	usleep(pick(2000));
	return NULL;
}

static void threads(void)
{
	pthread_t t[4];
	unsigned n = 1 + pick(4), made = 0;

	for (unsigned i = 0; i < n; i++)
		made += pthread_create(&t[made], NULL, idle, NULL) == 0;
	if (pick(2))
		for (unsigned i = 0; i < made; i++)
			pthread_join(t[i], NULL);
}

static void nothing(int n) { (void)n; }

static void child(unsigned what)
{
	struct itimerval soon = { { 0, 0 }, { 0, 1 + (long)pick(3000) } };
	char *const argv[] = { self, (char *)"exit", NULL };
	char *m;

	switch (what) {
	case 0: _exit(0);
	case 1: usleep(pick(3000)); break;
	case 2: threads(); break;
	case 3: execv(self, argv); break;
	case 4: raise(SIGKILL); break;
	case 5: *(volatile int *)16 = 1; break;
	case 6: raise(SIGSTOP); break; /* until it is killed */
	case 7: for (;;) pause();
	case 8: signal(SIGALRM, nothing); setitimer(ITIMER_REAL, &soon, NULL); pause(); break;
	case 9:
		m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m != MAP_FAILED)
			memset(m, 1, 1 << 20);
		break;
	case 10:
		for (unsigned i = 0; i < 3; i++)
			if (fork() == 0)
				_exit(0); /* its zombie is pid 1's */
		break;
	case 11: setpgid(0, 0); if (fork() == 0) { usleep(500); _exit(0); } break;
	case 12: if (vfork() == 0) execv(self, argv); break;
	case 13: for (volatile int i = 0; i < 2000000; i++) { } break;
	}
	_exit(3);
}
#define CHILD_KINDS 14

/* ---- what the parent does ---- */

static void end(pid_t pid, int kill_it)
{
	int status;

	if (kill_it)
		CHECK(kill(pid, SIGKILL) == 0);
	while (waitpid(pid, &status, 0) != pid)
		CHECK(errno == EINTR);
}

static void batch(void)
{
	pid_t pid[12];
	unsigned n = 1 + pick(12);

	for (unsigned i = 0; i < n; i++) {
		unsigned what = pick(CHILD_KINDS);
		fflush(stdout);
		pid[i] = fork();
		CHECK(pid[i] >= 0);
		if (pid[i] == 0) {
			state += i + 1;
			child(what);
		}
		if (pick(4) == 0)
			kill(pid[i], pick(2) ? SIGSTOP : SIGCONT);
	}
	if (pick(2))
		usleep(pick(3000));
	for (unsigned i = 0; i < n; i++)
		end(pid[i], 1);
}

static void pipeline(void)
{
	enum { LENGTH = 4 };
	size_t size = 1 + pick(300000), got = 0;
	int in = -1, p[2], q[2];
	pid_t pid[LENGTH];
	char buffer[8192];
	int cut = pick(3) == 0;

	CHECK(pipe(q) == 0);
	in = q[0];
	for (unsigned i = 0; i < LENGTH; i++) {
		CHECK((pick(2) ? pipe(p) : socketpair(AF_UNIX, SOCK_STREAM, 0, p)) == 0);
		if ((pid[i] = fork()) == 0) {
			ssize_t r;
			close(q[1]);
			close(p[0]);
			while ((r = read(in, buffer, 1 + pick(sizeof(buffer)))) > 0)
				for (ssize_t done = 0, w; done < r; done += w)
					if ((w = write(p[1], buffer + done, (size_t)(r - done))) < 0)
						_exit(1);
			_exit(r < 0);
		}
		CHECK(pid[i] > 0);
		close(in);
		close(p[1]);
		in = p[0];
	}
	pid_t feeder = fork();
	if (feeder == 0) {
		memset(buffer, 'x', sizeof(buffer));
		for (size_t left = size; left;) {
			ssize_t w = write(q[1], buffer, left < sizeof(buffer) ? left : sizeof(buffer));
			if (w < 0)
				_exit(1);
			left -= (size_t)w;
		}
		_exit(0);
	}
	close(q[1]);
	if (cut)
		kill(pid[pick(LENGTH)], SIGKILL);
	for (ssize_t r; (r = read(in, buffer, sizeof(buffer))) > 0;)
		got += (size_t)r;
	close(in);
	CHECK(cut ? got <= size : got == size);
	end(feeder, 0);
	for (unsigned i = 0; i < LENGTH; i++)
		end(pid[i], 0);
}

static void spawn(void)
{
	char *const argv[] = { self, (char *)"exit", NULL };
	pid_t pid[6];
	unsigned n = 1 + pick(6);

	for (unsigned i = 0; i < n; i++)
		CHECK(posix_spawn(&pid[i], self, NULL, NULL, argv, environ) == 0);
	for (unsigned i = 0; i < n; i++)
		end(pid[i], (int)pick(2));
}

static void passed(void)
{
	int s[2], e = eventfd(0, EFD_CLOEXEC);
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'x';
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	CHECK(e >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), pick(2) ? &e : &s[1], sizeof(int)); /* a socket in itself, too */
	CHECK(sendmsg(s[0], &m, 0) == 1);
	if (pick(2)) { /* else it goes with the socket */
		pid_t pid = fork();
		if (pid == 0) {
			CHECK(recvmsg(s[1], &m, 0) == 1);
			_exit(0);
		}
		end(pid, 0);
	}
	close(s[0]);
	close(s[1]);
	close(e);
}

static void shared_lock(void)
{
	struct { pthread_mutex_t m; pthread_cond_t c; int n; } *s;
	pthread_mutexattr_t a;
	pid_t pid[3];

	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	CHECK(pthread_mutex_init(&s->m, &a) == 0);
	for (unsigned i = 0; i < 3; i++) {
		unsigned die = pick(3) == 0;
		if ((pid[i] = fork()) == 0) {
			for (unsigned k = 0; k < 50; k++) {
				if (pthread_mutex_lock(&s->m) == EOWNERDEAD)
					pthread_mutex_consistent(&s->m);
				s->n++;
				if (die && k == 20)
					_exit(0);
				pthread_mutex_unlock(&s->m);
			}
			_exit(0);
		}
		CHECK(pid[i] > 0);
	}
	for (unsigned i = 0; i < 3; i++)
		end(pid[i], 0);
	CHECK(s->n >= 63 && s->n <= 150);
	munmap(s, 4096);
}

static void group(void)
{
	pid_t leader = fork();

	if (leader == 0) {
		setpgid(0, 0);
		for (unsigned i = 0; i < 4; i++)
			if (fork() == 0)
				for (;;)
					pause();
		for (;;)
			pause();
	}
	setpgid(leader, leader);
	usleep(pick(2000));
	CHECK(kill(-leader, SIGKILL) == 0);
	end(leader, 0);
}

static void (*const operations[])(void) = { batch, batch, pipeline, spawn, passed, shared_lock, group };

static unsigned long kernel_memory(void)
{
	char line[128];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Shmem: %lu kB", &kib);
	if (f)
		fclose(f);
	return kib;
}

static unsigned descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void run(double seconds)
{
	const double until = now() + seconds;

	while (now() < until)
		operations[pick(sizeof(operations) / sizeof(operations[0]))]();
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 0;
	const double seconds = argc > 1 ? atof(argv[1]) : 4;
	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	state = state * 0x9e3779b97f4a7c15ull + 1;
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		operations[i](); /* what is only made once */
	run(seconds / 4);
	usleep(100000);
	const unsigned long before = kernel_memory();
	const unsigned open_before = descriptors();
	run(seconds * 3 / 4);
	for (int i = 0; i < 50 && kernel_memory() > before; i++)
		usleep(20000); /* orphans end */
	CHECK(descriptors() == open_before);
	FAILS(waitpid(-1, NULL, 0), ECHILD);
	if (getenv("INSIDE")) { /* on a host, others use the kernel too */
		const unsigned long after = kernel_memory();
		if (after > before) {
			fprintf(stderr, "the kernel's memory grew from %lu to %lu KiB\n", before, after);
			return 1;
		}
	}
	puts("ok");
	return 0;
}
