/* SPDX-License-Identifier: Apache-2.0
 *
 * Many signals to threads that compute, make system calls, sleep, and wait for
 * each other: each one queued is handled, and nothing else is disturbed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define THREADS 8
#define SIGNALS 5000

static volatile long got[THREADS];
static volatile int stop, ready;
static __thread int me;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void count(int signo) { (void)signo; __atomic_fetch_add(&got[me], 1, __ATOMIC_SEQ_CST); }

static void compute(void)
{
	volatile double x = 1.0;
	for (int i = 0; i < 1000; i++)
		x = x * 1.5 - 0.5;
	CHECK(x == 1.0);
}

static void call(void) { CHECK(syscall(SYS_getpid) == getpid()); }

static void rest(void)
{
	struct timespec ts = { 0, 1000 };
	nanosleep(&ts, NULL);
}

static void wait_timed(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 100000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	pthread_mutex_lock(&mutex);
	int r = pthread_cond_timedwait(&cond, &mutex, &ts);
	CHECK(r == 0 || r == ETIMEDOUT);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
}

static void (*const works[])(void) = { compute, call, rest, wait_timed };

static void *work(void *arg)
{
	me = (int)(long)arg;
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		works[me % 4]();
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = count, .sa_flags = SA_RESTART };
	pthread_t t[THREADS];
	long sent[THREADS] = { 0 };
	unsigned random = 1;

	sigaction(SIGRTMIN, &sa, NULL);
	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, work, (void *)i) == 0);
	while (ready < THREADS)
		sched_yield();
	for (int i = 0; i < SIGNALS; i++) {
		random = random * 1103515245 + 12345;
		const int k = (int)((random >> 16) % THREADS);
		int e;
		while ((e = pthread_sigqueue(t[k], SIGRTMIN, (union sigval){ 0 })) == EAGAIN)
			sched_yield();
		CHECK(e == 0);
		sent[k]++;
	}
	for (int k = 0; k < THREADS; k++)
		for (int n = 0; got[k] < sent[k]; n++) {
			CHECK(n < 20000); /* lost */
			rest();
		}
	stop = 1;
	for (int k = 0; k < THREADS; k++)
		CHECK(pthread_join(t[k], NULL) == 0);
	OK();
}
