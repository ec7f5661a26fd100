/* SPDX-License-Identifier: Apache-2.0
 *
 * Futexes as such: waits and their errors, requeue, wake-op, locks that
 * inherit priority, robust locks, several at once.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static long futex(uint32_t *a, int op, uint32_t v, const void *t, uint32_t *a2, uint32_t v3)
{
	return syscall(SYS_futex, a, op, v, t, a2, v3);
}

static uint32_t word, word2;

static void errors(void)
{
	struct timespec bad = { 0, 1000000000 }, past = { 0, 1 };
	char *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	FAILS(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	FAILS(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAIT, 0, &past, NULL, 0), ETIMEDOUT);
	FAILS(futex((void *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex((void *)gone, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
	FAILS(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	FAILS(futex(&word, 77, 0, NULL, NULL, 0), ENOSYS);
	FAILS(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &word2, 5), EAGAIN);
	FAILS(futex(&word, FUTEX_REQUEUE, (uint32_t)-1, (void *)1, &word2, 0), EINVAL);
	FAILS(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
	CHECK(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	FAILS(syscall(SYS_set_robust_list, NULL, 8), EINVAL);
	munmap(gone, 4096);
}

static int woken;

static void *waiter(void *arg)
{
	const int op = (int)(long)arg;
	while (futex(&word, op, 0, NULL, NULL, 2) == -1)
		CHECK(errno == EINTR || errno == EAGAIN);
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* All of n have gone to sleep when so many can be moved. */
static void settle(void)
{
	struct timespec ts = { 0, 50000000 };
	nanosleep(&ts, NULL);
}

static void requeue(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, waiter, (void *)FUTEX_WAIT_PRIVATE) == 0);
	settle();
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &word2, 0) == 3);
	settle();
	CHECK(woken == 1);
	CHECK(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 2);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0) == 1);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(woken == 4);
}

static void bits_and_op(void)
{
	pthread_t t;

	woken = 0;
	CHECK(pthread_create(&t, NULL, waiter, (void *)FUTEX_WAIT_BITSET) == 0);
	settle();
	CHECK(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 1) == 0);
	CHECK(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 2) == 1);
	pthread_join(t, NULL);
	CHECK(pthread_create(&t, NULL, waiter, (void *)FUTEX_WAIT) == 0);
	settle();
	word2 = 5;
	CHECK(futex(&word2, FUTEX_WAKE_OP, 1, (void *)1, &word, FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0)) == 1);
	pthread_join(t, NULL);
	CHECK(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_GT, 100)) == 0);
	CHECK(word2 == 9);
	word2 = 0;
}

/* ---- locks ---- */

static pthread_mutex_t lock;
static long shared;

static void *locker(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		CHECK(pthread_mutex_lock(&lock) == 0);
		shared++;
		CHECK(pthread_mutex_unlock(&lock) == 0);
	}
	return NULL;
}

static void *dies_with_it(void *arg)
{
	(void)arg;
	CHECK(pthread_mutex_lock(&lock) == 0);
	return NULL;
}

static void *holds(void *arg)
{
	struct timespec ts = { 0, 100000000 };
	(void)arg;
	CHECK(pthread_mutex_lock(&lock) == 0);
	nanosleep(&ts, NULL);
	CHECK(pthread_mutex_unlock(&lock) == 0);
	return NULL;
}

static void init(int protocol, int robust)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	CHECK(pthread_mutexattr_setprotocol(&a, protocol) == 0);
	CHECK(pthread_mutexattr_setrobust(&a, robust) == 0);
	CHECK(pthread_mutex_init(&lock, &a) == 0);
}

static void pi(void)
{
	pthread_t t[4];
	struct timespec soon;

	init(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
	shared = 0;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, locker, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(shared == 8000);
	CHECK(pthread_create(&t[0], NULL, holds, NULL) == 0);
	settle();
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 10000000;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_nsec -= 1000000000;
		soon.tv_sec++;
	}
	CHECK(pthread_mutex_timedlock(&lock, &soon) == ETIMEDOUT);
	CHECK(pthread_mutex_trylock(&lock) == EBUSY);
	CHECK(pthread_mutex_lock(&lock) == 0);
	CHECK(pthread_mutex_unlock(&lock) == 0);
	pthread_join(t[0], NULL);
}

static void robust(int protocol)
{
	pthread_t t;

	init(protocol, PTHREAD_MUTEX_ROBUST);
	CHECK(pthread_create(&t, NULL, dies_with_it, NULL) == 0);
	pthread_join(t, NULL);
	CHECK(pthread_mutex_lock(&lock) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(&lock) == 0);
	CHECK(pthread_mutex_unlock(&lock) == 0);
	CHECK(pthread_mutex_lock(&lock) == 0);
	CHECK(pthread_mutex_unlock(&lock) == 0);
}

/* ---- WAIT_REQUEUE_PI, which the C library no longer uses ---- */

static uint32_t cond, mutex;

static void *requeued(void *arg)
{
	(void)arg;
	CHECK(futex(&cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &mutex, 0) == 0);
	CHECK((mutex & FUTEX_TID_MASK) == (uint32_t)gettid());
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	uint32_t mine = (uint32_t)gettid();
	if (!__atomic_compare_exchange_n(&mutex, &mine, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		CHECK(futex(&mutex, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	return NULL;
}

static void requeue_pi(void)
{
	pthread_t t[3];

	woken = 0;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, requeued, NULL) == 0);
	settle();
	CHECK(futex(&mutex, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	CHECK(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10, &mutex, 0) == 3);
	settle();
	CHECK(woken == 0);
	CHECK(futex(&mutex, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK(woken == 3 && (mutex & FUTEX_TID_MASK) == 0);
}

/* ---- several at once ---- */

static uint32_t three[3];

static void *poke(void *arg)
{
	settle();
	CHECK(futex(&three[(long)arg], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
	return NULL;
}

static void waitv(void)
{
	struct futex_waitv v[3];
	struct timespec past = { 0, 1 };
	pthread_t t;

	for (int i = 0; i < 3; i++)
		v[i] = (struct futex_waitv){ .uaddr = (uintptr_t)&three[i], .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG };
	FAILS(syscall(SYS_futex_waitv, v, 0, 0, NULL, CLOCK_MONOTONIC), EINVAL);
	FAILS(syscall(SYS_futex_waitv, v, 3, 0, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	CHECK(pthread_create(&t, NULL, poke, (void *)1) == 0);
	CHECK(syscall(SYS_futex_waitv, v, 3, 0, NULL, CLOCK_MONOTONIC) == 1);
	pthread_join(t, NULL);
	v[2].val = 1;
	FAILS(syscall(SYS_futex_waitv, v, 3, 0, NULL, CLOCK_MONOTONIC), EAGAIN);
}

int main(void)
{
	errors();
	requeue();
	bits_and_op();
	pi();
	robust(PTHREAD_PRIO_NONE);
	robust(PTHREAD_PRIO_INHERIT);
	requeue_pi();
	waitv();
	OK();
}
