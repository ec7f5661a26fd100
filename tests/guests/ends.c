/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways to end, one by argument: ends.sh compares the exit status with the
 * host's own.
 */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static char *self;
static volatile long spins;

static void pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&ts, NULL);
}

static void *exits_later(void *arg)
{
	pause_ms(50);
	exit((int)(long)arg);
}

static void *leaves_later(void *arg)
{
	pause_ms(50);
	syscall(SYS_exit, (int)(long)arg);
	return NULL;
}

static void *spinning(void *arg)
{
	(void)arg;
	for (;;)
		spins++;
	return NULL;
}

static void *sleeping(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void thread(void *(*fn)(void *), long arg)
{
	pthread_t t;
	CHECK(pthread_create(&t, NULL, fn, (void *)arg) == 0);
}

static void leader_gone(void) { thread(exits_later, 5); pthread_exit(NULL); }
static void leader_leaves(void) { thread(leaves_later, 4); syscall(SYS_exit, 3); }
static void aborts(void) { abort(); }
static void faults(void) { *(volatile char *)spins = 1; }

static void blocked_fault(void)
{
	sigset_t s;
	sigfillset(&s);
	sigprocmask(SIG_BLOCK, &s, NULL);
	faults();
}

static void ignored_fault(void) { signal(SIGSEGV, SIG_IGN); faults(); }
static void on_signal(int signo) { (void)signo; }

static void no_stack(void)
{
	signal(SIGUSR1, on_signal);
	__asm__ volatile("mov $0x1000, %%rsp\n mov %0, %%edi\n mov $200, %%eax\n mov $10, %%esi\n syscall" : : "r"(gettid()) : "memory");
}

static void bad_return(void)
{
	__asm__ volatile("mov $0x1000, %%rsp\n mov $15, %%eax\n syscall" : : : "memory");
}

static void far_jump(void) { __asm__ volatile("mov $0xdead000000000000, %%rax\n jmp *%%rax" : : : "rax"); }
static void realtime(void) { raise(SIGRTMIN + 6); pause(); }
static void alarmed(void) { alarm(1); pause(); }
static void killed(void) { thread(spinning, 0); thread(sleeping, 0); kill(getpid(), SIGKILL); pause(); }
static void terminated(void) { thread(spinning, 0); while (!spins) sched_yield(); kill(getpid(), SIGTERM); pause(); }

static void cpu_limit(void)
{
	struct rlimit r = { 1, 5 };
	CHECK(setrlimit(RLIMIT_CPU, &r) == 0);
	spinning(NULL);
}

static void *execs(void *arg)
{
	char *args[] = { self, arg, NULL };
	execv(self, args);
	_exit(99);
}

/* A thread's exec: it becomes the whole process, under the leader's number. */
static void thread_exec(void)
{
	sigset_t s;
	char number[16];

	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGHUP, on_signal);
	raise(SIGUSR2); /* stays pending over exec */
	kill(getpid(), SIGUSR2);
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("PID", number, 1);
	thread(spinning, 0);
	thread(sleeping, 0);
	pthread_t t;
	CHECK(pthread_create(&t, NULL, execs, (void *)(uintptr_t)"execed") == 0);
	pause();
}

static void execed(void)
{
	struct sigaction sa;
	sigset_t s;

	CHECK(getpid() == gettid() && getpid() == atoi(getenv("PID")));
	CHECK(sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN);
	CHECK(sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
	CHECK(sigpending(&s) == 0 && sigismember(&s, SIGUSR2));
	sigprocmask(SIG_SETMASK, NULL, &s);
	CHECK(sigismember(&s, SIGUSR2));
	exit(6);
}

static void barriers(void)
{
	thread(spinning, 0);
	thread(sleeping, 0);
	while (!spins)
		sched_yield();
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
		for (int i = 0; i < 200; i++)
			CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	exit(8);
}

static void stop(void)
{
	raise(SIGSTOP);
	exit(9);
}

static const struct { const char *name; void (*fn)(void); } ways[] = {
	{ "leader_gone", leader_gone }, { "leader_leaves", leader_leaves }, { "aborts", aborts }, { "faults", faults },
	{ "blocked_fault", blocked_fault }, { "ignored_fault", ignored_fault }, { "no_stack", no_stack },
	{ "bad_return", bad_return }, { "far_jump", far_jump }, { "realtime", realtime }, { "alarmed", alarmed },
	{ "killed", killed }, { "terminated", terminated }, { "cpu_limit", cpu_limit }, { "thread_exec", thread_exec },
	{ "execed", execed }, { "barriers", barriers }, { "stop", stop },
};

int main(int argc, char **argv)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	self = argv[0];
	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(argv[1], ways[i].name))
			ways[i].fn();
	return 98;
}
