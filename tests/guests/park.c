/* SPDX-License-Identifier: Apache-2.0
 *
 * A program in many states at once: vector and x87 registers in use, futexes,
 * sleeps, pipes, epoll, timers, queued signals, threads that come and go. It
 * runs until SIGTERM, and then whatever was done to it meanwhile must not show:
 * no call may have failed with EINTR, no sleep been short, nothing been lost.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static atomic_int stop;
static atomic_ulong rounds[16];
#define ROUND(n) atomic_fetch_add_explicit(&rounds[n], 1, memory_order_relaxed)

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- processor state ---- */

/* Sixteen vector registers and a rounding mode hold over many turns of a loop
 * that makes no call. */
static uint64_t spin_vectors(uint64_t seed, uint64_t turns)
{
	uint64_t values[32] __attribute__((aligned(32))), out[32] __attribute__((aligned(32))), bad = 0;
	uint32_t mxcsr = 0x1f80 | 0x6000, after = 0;

	for (int i = 0; i < 32; i++)
		values[i] = seed * (uint64_t)(2 * i + 1);
	__asm__ volatile(
		"ldmxcsr %[mode]\n"
		"movdqa 0(%[v]), %%xmm0; movdqa 16(%[v]), %%xmm1; movdqa 32(%[v]), %%xmm2; movdqa 48(%[v]), %%xmm3\n"
		"movdqa 64(%[v]), %%xmm4; movdqa 80(%[v]), %%xmm5; movdqa 96(%[v]), %%xmm6; movdqa 112(%[v]), %%xmm7\n"
		"movdqa 128(%[v]), %%xmm8; movdqa 144(%[v]), %%xmm9; movdqa 160(%[v]), %%xmm10; movdqa 176(%[v]), %%xmm11\n"
		"movdqa 192(%[v]), %%xmm12; movdqa 208(%[v]), %%xmm13; movdqa 224(%[v]), %%xmm14; movdqa 240(%[v]), %%xmm15\n"
		"1: dec %[n]; jnz 1b\n"
		"movdqa %%xmm0, 0(%[o]); movdqa %%xmm1, 16(%[o]); movdqa %%xmm2, 32(%[o]); movdqa %%xmm3, 48(%[o])\n"
		"movdqa %%xmm4, 64(%[o]); movdqa %%xmm5, 80(%[o]); movdqa %%xmm6, 96(%[o]); movdqa %%xmm7, 112(%[o])\n"
		"movdqa %%xmm8, 128(%[o]); movdqa %%xmm9, 144(%[o]); movdqa %%xmm10, 160(%[o]); movdqa %%xmm11, 176(%[o])\n"
		"movdqa %%xmm12, 192(%[o]); movdqa %%xmm13, 208(%[o]); movdqa %%xmm14, 224(%[o]); movdqa %%xmm15, 240(%[o])\n"
		"stmxcsr %[after]\n"
		: [n] "+r"(turns), [after] "=m"(after)
		: [v] "r"(values), [o] "r"(out), [mode] "m"(mxcsr)
		: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		  "xmm13", "xmm14", "xmm15", "memory", "cc");
	for (int i = 0; i < 32; i++)
		bad |= values[i] ^ out[i];
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	return bad | ((after & 0x6000) ^ 0x6000);
}

/* The upper halves, where there are any. */
static uint64_t spin_upper(uint64_t seed, uint64_t turns)
{
	uint64_t in[4] __attribute__((aligned(32))) = { seed, ~seed, seed * 3, seed * 5 }, out[4] __attribute__((aligned(32)));

	if (!__builtin_cpu_supports("avx"))
		return 0;
	__asm__ volatile("vmovdqa (%[v]), %%ymm15\n1: dec %[n]; jnz 1b\nvmovdqa %%ymm15, (%[o])\nvzeroupper"
			 : [n] "+r"(turns) : [v] "r"(in), [o] "r"(out) : "xmm15", "memory", "cc");
	return (in[0] ^ out[0]) | (in[1] ^ out[1]) | (in[2] ^ out[2]) | (in[3] ^ out[3]);
}

static void *vectors(void *arg)
{
	(void)arg;
	for (uint64_t n = 1; !stop; n++) {
		CHECK(spin_vectors(n * 0x9e3779b97f4a7c15u, 200000) == 0);
		CHECK(spin_upper(n * 0xbf58476d1ce4e5b9u, 200000) == 0);
		ROUND(0);
	}
	return NULL;
}

static long double series(int n)
{
	volatile long double sum = 0;

	for (int i = 1; i < n; i++)
		sum += 1.0L / i;
	return sum;
}

static void *floats(void *arg)
{
	const long double want = series(20000);

	(void)arg;
	while (!stop) {
		CHECK(series(20000) == want);
		ROUND(1);
	}
	return NULL;
}

/* ---- futexes ---- */

static atomic_uint turn;
static long futex(atomic_uint *at, int op, unsigned value, const struct timespec *t)
{
	return syscall(SYS_futex, at, op | FUTEX_PRIVATE_FLAG, value, t, NULL, 0);
}

static void *ping_pong(void *arg)
{
	const unsigned me = (unsigned)(uintptr_t)arg;

	while (!stop) {
		const unsigned seen = turn;

		if (seen % 2 == me) {
			turn = seen + 1;
			futex(&turn, FUTEX_WAKE, 1, NULL);
			ROUND(2);
			continue;
		}
		const long r = futex(&turn, FUTEX_WAIT, seen, NULL);
		CHECK(r == 0 || errno == EAGAIN);
	}
	turn |= 0x80000000u; /* the other one must not wait for us */
	futex(&turn, FUTEX_WAKE, 1, NULL);
	return NULL;
}

/* ---- System V IPC, message queues ---- */

static int sems, msgs;
static mqd_t queue, empty;

static void make_ipc(void)
{
	struct mq_attr a = { .mq_maxmsg = 2, .mq_msgsize = 8 };

	CHECK((sems = semget(IPC_PRIVATE, 2, 0600)) >= 0 && (msgs = msgget(IPC_PRIVATE, 0600)) >= 0);
	CHECK((queue = mq_open("/pico-park", O_CREAT | O_RDWR, 0600, &a)) >= 0 && mq_unlink("/pico-park") == 0);
	CHECK((empty = mq_open("/pico-park", O_CREAT | O_RDWR, 0600, &a)) >= 0 && mq_unlink("/pico-park") == 0);
}

static void drop_ipc(void)
{
	CHECK(semctl(sems, 0, IPC_RMID) == 0 && msgctl(msgs, IPC_RMID, NULL) == 0);
}

/* One tells the other by a message, which answers in three ways. */
static void *passer(void *arg)
{
	const int second = (uintptr_t)arg != 0;
	struct sembuf op = { 0, second ? 1 : -1, SEM_UNDO };
	struct { long type; int last; } m;
	char byte[8] = { 0 };

	do {
		m.type = 1;
		m.last = stop;
		if (second)
			CHECK(msgrcv(msgs, &m, sizeof(m.last), 1, 0) == sizeof(m.last));
		else
			CHECK(msgsnd(msgs, &m, sizeof(m.last), 0) == 0);
		CHECK(semop(sems, &op, 1) == 0);
		if (second) {
			m.type = 2;
			CHECK(mq_send(queue, byte, 1, 0) == 0 && msgsnd(msgs, &m, sizeof(m.last), 0) == 0);
		} else {
			CHECK(mq_receive(queue, byte, 8, NULL) == 1 && msgrcv(msgs, &m, sizeof(m.last), 2, 0) == sizeof(m.last));
		}
		ROUND(11);
	} while (!m.last);
	return NULL;
}

/* ---- time ---- */

static void sleep_ways(unsigned way)
{
	static const struct timespec three = { 0, 3000000 };
	atomic_uint word = 0;
	struct timespec t = three, end;
	struct timeval tv = { 0, 3000 };
	struct sembuf never = { 1, -1, 0 };
	char byte[8];
	sigset_t set;
	long r;

	switch (way) {
	case 0:
		r = nanosleep(&three, NULL);
		CHECK(r == 0);
		break;
	case 1:
		r = poll(NULL, 0, 3);
		CHECK(r == 0);
		break;
	case 2:
		r = ppoll(NULL, 0, &t, NULL);
		CHECK(r == 0);
		break;
	case 3:
		r = select(0, NULL, NULL, NULL, &tv);
		CHECK(r == 0);
		break;
	case 4:
		r = futex(&word, FUTEX_WAIT, 0, &three);
		CHECK(r == -1 && errno == ETIMEDOUT);
		break;
	case 5:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		r = sigtimedwait(&set, NULL, &three);
		CHECK(r == -1 && errno == EAGAIN);
		break;
	case 6:
		r = semtimedop(sems, &never, 1, &three);
		CHECK(r == -1 && errno == EAGAIN);
		break;
	case 7:
		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_nsec += 4000000; /* the other clock may differ a little */
		if (end.tv_nsec >= 1000000000)
			end.tv_sec++, end.tv_nsec -= 1000000000;
		r = mq_timedreceive(empty, byte, 8, NULL, &end);
		CHECK(r == -1 && errno == ETIMEDOUT);
		break;
	default:
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_nsec += 3000000;
		if (end.tv_nsec >= 1000000000)
			end.tv_sec++, end.tv_nsec -= 1000000000;
		r = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
		CHECK(r == 0);
	}
}

static void *sleeper(void *arg)
{
	(void)arg;
	for (unsigned n = 0; !stop; n++) {
		const uint64_t start = now();

		sleep_ways(n % 9);
		CHECK(now() - start >= 3000000);
		ROUND(3);
	}
	return NULL;
}

static void *long_sleeper(void *arg)
{
	(void)arg;
	while (!stop) {
		const struct timespec t = { 0, 150000000 };
		const uint64_t start = now();

		CHECK(nanosleep(&t, NULL) == 0);
		CHECK(now() - start >= 150000000);
		ROUND(4);
	}
	return NULL;
}

/* Every expiration is counted, and once. */
static void *ticks(void *arg)
{
	const struct itimerspec every = { { 0, 2000000 }, { 0, 2000000 } };
	const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	const uint64_t before = now();
	uint64_t total = 0, n;

	(void)arg;
	CHECK(fd >= 0 && timerfd_settime(fd, 0, &every, NULL) == 0);
	const uint64_t start = now();
	uint64_t end = UINT64_MAX;
	while (total < (end - start) / 2000000) {
		CHECK(read(fd, &n, sizeof(n)) == sizeof(n));
		total += n;
		CHECK(total <= (now() - before) / 2000000);
		if (stop && end == UINT64_MAX)
			end = now();
		ROUND(5);
	}
	close(fd);
	return NULL;
}

/* ---- pipes, epoll ---- */

static int pipe_fds[2], event_fd, quiet_fds[2];

static void *writer(void *arg)
{
	static unsigned char data[20000];
	size_t size = 1;
	unsigned char next = 0;

	(void)arg;
	while (!stop) {
		size = (size * 7919 + 13) % sizeof(data) + 1;
		for (size_t i = 0; i < size; i++)
			data[i] = next++;
		for (size_t at = 0; at < size;) {
			const ssize_t n = write(pipe_fds[1], data + at, size - at);
			CHECK(n > 0);
			at += (size_t)n;
		}
		ROUND(6);
	}
	close(pipe_fds[1]);
	return NULL;
}

static void *reader(void *arg)
{
	static unsigned char data[7000];
	unsigned char next = 0;
	ssize_t n;

	(void)arg;
	while ((n = read(pipe_fds[0], data, sizeof(data))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			CHECK(data[i] == next++);
		ROUND(7);
	}
	CHECK(n == 0);
	return NULL;
}

static atomic_ulong posted;
static void *poster(void *arg)
{
	(void)arg;
	while (!stop) {
		const struct timespec t = { 0, 500000 };

		CHECK(eventfd_write(event_fd, 1) == 0);
		posted++;
		CHECK(nanosleep(&t, NULL) == 0);
	}
	CHECK(eventfd_write(event_fd, 1ul << 40) == 0);
	return NULL;
}

static void *waiter(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN };
	const int ep = epoll_create1(0);
	uint64_t total = 0, value;

	(void)arg;
	CHECK(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, event_fd, &ev) == 0);
	while (total < 1ul << 40) {
		const uint64_t start = now();
		const int n = epoll_wait(ep, &ev, 1, 1);

		CHECK(n >= 0);
		CHECK(n == 1 || now() - start >= 1000000);
		if (n) {
			CHECK(read(event_fd, &value, sizeof(value)) == sizeof(value));
			total += value;
		}
		ROUND(8);
	}
	CHECK(total - (1ul << 40) == posted);
	close(ep);
	return NULL;
}

/* Blocks all the time, once. */
static void *quiet(void *arg)
{
	char byte = 0;

	(void)arg;
	CHECK(read(quiet_fds[0], &byte, 1) == 1 && byte == 'x');
	return NULL;
}

/* ---- signals ---- */

static atomic_ulong sent, taken[2];
static __thread int which;
static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info, (void)context;
	taken[which]++;
}

static void open_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static atomic_int targets, over;
static void *hit_running(void *arg)
{
	volatile unsigned long n = 0;

	(void)arg;
	which = 0;
	open_signal();
	targets++;
	while (!over || taken[0] < sent)
		n++;
	return NULL;
}

static void *hit_waiting(void *arg)
{
	sigset_t all;

	(void)arg;
	which = 1;
	targets++;
	sigfillset(&all);
	sigdelset(&all, SIGRTMIN);
	while (!over || taken[1] < sent) {
		CHECK(sigsuspend(&all) == -1 && errno == EINTR);
		ROUND(9);
	}
	return NULL;
}

static pthread_t hit[2];
static void *storm(void *arg)
{
	(void)arg;
	while (targets < 2)
		sched_yield();
	while (!stop || sent < 1) {
		sent++;
		for (int i = 0; i < 2; i++)
			while (pthread_kill(hit[i], SIGRTMIN) != 0)
				sched_yield();
		if (sent % 16 == 0)
			usleep(1000);
	}
	return NULL;
}

/* ---- threads ---- */

static void *short_life(void *arg)
{
	return arg;
}

static void *maker(void *arg)
{
	(void)arg;
	while (!stop) {
		pthread_t t;
		void *got = NULL;

		CHECK(pthread_create(&t, NULL, short_life, &stop) == 0);
		CHECK(pthread_join(t, &got) == 0 && got == &stop);
		ROUND(10);
	}
	return NULL;
}

static pthread_t start(void *(*fn)(void *), uintptr_t arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, fn, (void *)arg) == 0);
	return t;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	pthread_t threads[24];
	int count = 0, signo = 0;
	sigset_t set;

	/* All but the targets of the storm are never signalled. */
	sigfillset(&set);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK(sigaction(SIGRTMIN, &sa, NULL) == 0);
	CHECK(pipe(pipe_fds) == 0 && pipe(quiet_fds) == 0 && (event_fd = eventfd(0, 0)) >= 0);
	make_ipc();
	static void *(*const plain[])(void *) = { vectors, floats, sleeper, long_sleeper, ticks, writer, reader, poster, waiter, quiet, maker };
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		threads[count++] = start(plain[i], 0);
	threads[count++] = start(passer, 0);
	threads[count++] = start(passer, 1);
	threads[count++] = start(ping_pong, 0);
	threads[count++] = start(ping_pong, 1);
	threads[count++] = hit[0] = start(hit_running, 0);
	threads[count++] = hit[1] = start(hit_waiting, 0);
	threads[count++] = start(storm, 0);
	puts("ready");
	fflush(stdout);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (argc > 1)
		alarm((unsigned)atoi(argv[1])), sigaddset(&set, SIGALRM);
	CHECK(sigwait(&set, &signo) == 0);
	for (int i = 0; i <= 11; i++) /* everybody came to something */
		while (!rounds[i])
			usleep(1000);
	stop = 1;
	CHECK(write(quiet_fds[1], "x", 1) == 1);
	CHECK(pthread_join(threads[count - 1], NULL) == 0);
	over = 1; /* one more, for the last may have been taken before this was seen */
	for (int i = 0; i < 2; i++)
		pthread_kill(hit[i], SIGRTMIN);
	for (int i = 0; i < count - 1; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	drop_ipc();
	CHECK(taken[0] >= sent && taken[1] >= sent);
	CHECK(taken[0] <= sent + 1 && taken[1] <= sent + 1);
	OK();
}
