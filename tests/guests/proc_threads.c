/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads: making, joining, thread-local storage, vector registers, the C
 * library's locks, and the end of a process with many threads.
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define THREADS 16
#define ROUNDS 20000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long counter;
static __thread long own;

static void *add(void *arg)
{
	own = (long)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	CHECK(own == (long)arg);
	return (void *)(own * 2);
}

static void many(void)
{
	pthread_t t[THREADS];
	void *r;

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, add, (void *)i) == 0);
	for (long i = 0; i < THREADS; i++) {
		CHECK(pthread_join(t[i], &r) == 0);
		CHECK(r == (void *)(i * 2));
	}
	CHECK(counter == (long)THREADS * ROUNDS);
}

static int turn;

static void *player(void *arg)
{
	const int me = (int)(long)arg;

	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&cond, &mutex);
		turn = !me;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void ping_pong(void)
{
	pthread_t t[2];

	for (long i = 0; i < 2; i++)
		CHECK(pthread_create(&t[i], NULL, player, (void *)i) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

/* Vector registers live through calls and through other threads' work. */
static void *vectors(void *arg)
{
	const double seed = (double)(long)arg;
	double a[8], b[8];

	for (int i = 0; i < 8; i++)
		a[i] = seed + i;
	for (int round = 0; round < 2000; round++) {
		__asm__ volatile("movupd %0, %%xmm4\n movupd %1, %%xmm15" : : "m"(a[0]), "m"(a[2]) : "xmm4", "xmm15");
		long r = 39;
		__asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
		__asm__ volatile("movupd %%xmm4, %0\n movupd %%xmm15, %1" : "=m"(b[0]), "=m"(b[2]));
		CHECK(b[0] == a[0] && b[1] == a[1] && b[2] == a[2] && b[3] == a[3]);
		CHECK(r == getpid());
	}
	return NULL;
}

static void vector_threads(void)
{
	pthread_t t[4];

	for (long i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, vectors, (void *)(i * 100)) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void *ids(void *arg)
{
	(void)arg;
	CHECK(gettid() != getpid());
	CHECK(syscall(SYS_tgkill, getpid(), gettid(), 0) == 0);
	pthread_barrier_wait(&barrier);
	return (void *)(long)gettid();
}

static void identities(void)
{
	pthread_t t;
	void *tid;

	CHECK(gettid() == getpid());
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(pthread_create(&t, NULL, ids, NULL) == 0);
	pthread_barrier_wait(&barrier);
	pthread_join(t, &tid);
	for (int i = 0; i < 1000 && syscall(SYS_tgkill, getpid(), (int)(long)tid, 0) == 0; i++)
		sched_yield();
	FAILS(syscall(SYS_tgkill, getpid(), (int)(long)tid, 0), ESRCH);
}

static void *detached(void *sem) { sem_post(sem); return NULL; }

static void churn(void)
{
	pthread_attr_t attr;
	sem_t sem;
	pthread_t t;

	sem_init(&sem, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 300; i++) {
		while (pthread_create(&t, &attr, detached, &sem) == EAGAIN)
			sched_yield();
		sem_wait(&sem);
	}
}

static void refused(void)
{
	struct clone_args a = { .flags = CLONE_THREAD };

	FAILS(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone3, &a, 8), EINVAL);
	FAILS(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
	FAILS(syscall(SYS_clone3, NULL, sizeof(a)), EFAULT);
	a = (struct clone_args){ .flags = CLONE_VM, .exit_signal = 4096 };
	FAILS(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
	FAILS(waitpid(-1, NULL, 0), ECHILD);
	FAILS(waitpid(-1, NULL, 0x1000), EINVAL);
}

static void *forever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *spin(void *arg)
{
	for (volatile long *n = arg;;)
		++*n;
	return NULL;
}

/* Ends while others sleep and run: the status is the one given here. */
static int end(void)
{
	static long n;
	pthread_t t;

	pthread_create(&t, NULL, forever, NULL);
	pthread_create(&t, NULL, spin, &n);
	while (!__atomic_load_n(&n, __ATOMIC_RELAXED))
		sched_yield();
	puts("ok");
	return 0;
}

int main(void)
{
	identities();
	many();
	ping_pong();
	vector_threads();
	churn();
	refused();
	return end();
}
