/* SPDX-License-Identifier: Apache-2.0
 *
 * What a C library's threads are made of, through its own calls: thread-local
 * storage, cancellation, barriers, locks of every kind, semaphores, keys, once,
 * stacks and their sizes, names, affinity.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define IS(call, number) do { int is_r = (call); if (is_r != (number)) { \
	fprintf(stderr, "%s:%d: %s gives %d, not %s\n", __FILE__, __LINE__, #call, is_r, #number); exit(1); } } while (0)
#define THREADS 8

static void start(pthread_t *t, void *(*fn)(void *), void *arg) { IS(pthread_create(t, NULL, fn, arg), 0); }
static void *join(pthread_t t)
{
	void *value;
	IS(pthread_join(t, &value), 0);
	return value;
}
static struct timespec after(clockid_t clock, long ms)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* Storage of a thread: initial values, addresses of their own, keys. */
static __thread int counter = 7;
static __thread char text[300] = "as initialised";
static _Thread_local long zeroed[64];
static pthread_key_t key;
static atomic_int destroyed;
static void on_end(void *value)
{
	if ((uintptr_t)value > 1) /* set anew: called once more */
		pthread_setspecific(key, (void *)1);
	atomic_fetch_add(&destroyed, 1);
}
static void *with_storage(void *arg)
{
	CHECK(counter == 7 && !strcmp(text, "as initialised") && zeroed[63] == 0);
	IS(pthread_setspecific(key, arg), 0);
	for (int i = 0; i < 1000; i++) {
		counter++, zeroed[i % 64]++;
		if (i % 100 == 0)
			sched_yield();
	}
	CHECK(pthread_getspecific(key) == arg && counter == 1007);
	return &counter;
}
static void storage(void)
{
	pthread_t t[THREADS];
	IS(pthread_key_create(&key, on_end), 0);
	for (int i = 0; i < THREADS; i++)
		start(&t[i], with_storage, (void *)(intptr_t)(i + 100));
	for (int i = 0; i < THREADS; i++)
		CHECK(join(t[i]) != &counter);
	CHECK(counter == 7 && destroyed == 2 * THREADS);
}

/* Cancellation: in a wait, at a point, disabled, asynchronous. */
static atomic_int cleaned, reached;
static sem_t ready;
static void on_cancel(void *n) { atomic_fetch_add(&cleaned, *(int *)n); }
static void *cancelled(void *how)
{
	static int one = 1;
	int old, p[2];
	char c;
	CHECK(pipe(p) == 0);
	pthread_cleanup_push(on_cancel, &one);
	sem_post(&ready);
	switch (*(char *)how) {
	case 'r': if (read(p[0], &c, 1)) {} break;
	case 's': sleep(100); break;
	case 'p': pause(); break;
	case 'w': { sem_t never; sem_init(&never, 0, 0); sem_wait(&never); break; }
	case 'c': { pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
		pthread_mutex_lock(&m); pthread_cond_wait(&cond, &m); break; }
	case 't': for (;;) pthread_testcancel();
	case 'd':
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
		usleep(30000);
		atomic_fetch_add(&reached, 1);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
		pthread_testcancel();
		break;
	case 'a':
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
		for (;;)
			__asm__ volatile("pause");
	}
	CHECK(!"cancelled");
	pthread_cleanup_pop(0);
	return NULL;
}
static void cancellation(void)
{
	pthread_t t;
	static const char ways[] = "rspwctda";
	sem_init(&ready, 0, 0);
	for (int round = 0; round < 5; round++)
		for (const char *how = ways; *how; how++) {
			start(&t, cancelled, (void *)(uintptr_t)how);
			sem_wait(&ready);
			if (round % 2)
				usleep(1000);
			IS(pthread_cancel(t), 0);
			CHECK(join(t) == PTHREAD_CANCELED);
		}
	CHECK(cleaned == 5 * 8 && reached == 5);
}

/* Barriers and spin locks: every thread of each round is counted. */
static pthread_barrier_t barrier;
static pthread_spinlock_t spin;
static atomic_int serial;
static int together;
static void *at_barrier(void *unused)
{
	(void)unused;
	for (int i = 0; i < 300; i++) {
		int r = pthread_barrier_wait(&barrier);
		if (r == PTHREAD_BARRIER_SERIAL_THREAD)
			atomic_fetch_add(&serial, 1);
		else
			IS(r, 0);
		pthread_spin_lock(&spin);
		together++;
		pthread_spin_unlock(&spin);
		pthread_barrier_wait(&barrier);
		CHECK(together == (i + 1) * 4);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}
static void barriers(void)
{
	pthread_t t[4];
	pthread_spin_init(&spin, 0);
	IS(pthread_barrier_init(&barrier, NULL, 4), 0);
	for (int i = 0; i < 4; i++)
		start(&t[i], at_barrier, NULL);
	for (int i = 0; i < 4; i++)
		join(t[i]);
	CHECK(serial == 300);
	IS(pthread_barrier_destroy(&barrier), 0);
}

/* Readers together, writers alone. */
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int readers, most;
static volatile int pair[2];
static void *reads(void *unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++) {
		IS(pthread_rwlock_rdlock(&rwlock), 0);
		int n = atomic_fetch_add(&readers, 1) + 1;
		if (n > most)
			most = n;
		CHECK(pair[0] == pair[1]);
		sched_yield();
		atomic_fetch_sub(&readers, 1);
		IS(pthread_rwlock_unlock(&rwlock), 0);
	}
	return NULL;
}
static void *writes(void *unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++) {
		IS(pthread_rwlock_wrlock(&rwlock), 0);
		CHECK(readers == 0);
		pair[0]++;
		sched_yield();
		pair[1]++;
		IS(pthread_rwlock_unlock(&rwlock), 0);
	}
	return NULL;
}
static void rwlocks(void)
{
	pthread_t t[6];
	struct timespec soon;
	for (int i = 0; i < 6; i++)
		start(&t[i], i < 4 ? reads : writes, NULL);
	for (int i = 0; i < 6; i++)
		join(t[i]);
	CHECK(pair[0] == 1000 && pair[1] == 1000);
	IS(pthread_rwlock_wrlock(&rwlock), 0);
	IS(pthread_rwlock_tryrdlock(&rwlock), EBUSY);
	IS(pthread_rwlock_unlock(&rwlock), 0);
	IS(pthread_rwlock_rdlock(&rwlock), 0);
	soon = after(CLOCK_REALTIME, 10);
	IS(pthread_rwlock_timedwrlock(&rwlock, &soon), ETIMEDOUT);
	IS(pthread_rwlock_unlock(&rwlock), 0);
}

/* Mutexes: kinds, shared memory, owners that die, priority inheritance. */
static pthread_mutex_t *shared;
static int total;
static void *locks_mutex(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5000; i++) {
		IS(pthread_mutex_lock(shared), 0);
		total++;
		IS(pthread_mutex_unlock(shared), 0);
	}
	return NULL;
}
static void *dies_with_mutex(void *m)
{
	IS(pthread_mutex_lock(m), 0);
	usleep(5000);
	return NULL;
}
static void one_mutex(int type, int protocol, int process_shared, int robust)
{
	pthread_mutexattr_t attr;
	pthread_t t[4];
	struct timespec soon;
	IS(pthread_mutexattr_init(&attr), 0);
	IS(pthread_mutexattr_settype(&attr, type), 0);
	IS(pthread_mutexattr_setprotocol(&attr, protocol), 0);
	IS(pthread_mutexattr_setpshared(&attr, process_shared), 0);
	IS(pthread_mutexattr_setrobust(&attr, robust), 0);
	IS(pthread_mutex_init(shared, &attr), 0);
	total = 0;
	for (int i = 0; i < 4; i++)
		start(&t[i], locks_mutex, NULL);
	for (int i = 0; i < 4; i++)
		join(t[i]);
	CHECK(total == 20000);
	IS(pthread_mutex_lock(shared), 0);
	if (type == PTHREAD_MUTEX_RECURSIVE) {
		IS(pthread_mutex_lock(shared), 0);
		IS(pthread_mutex_unlock(shared), 0);
	} else if (type == PTHREAD_MUTEX_ERRORCHECK) {
		IS(pthread_mutex_lock(shared), EDEADLK);
	} else {
		soon = after(CLOCK_REALTIME, 10);
		IS(pthread_mutex_timedlock(shared, &soon), ETIMEDOUT);
	}
	IS(pthread_mutex_unlock(shared), 0);
	if (robust == PTHREAD_MUTEX_ROBUST) {
		for (int i = 0; i < 20; i++) {
			start(&t[0], dies_with_mutex, shared);
			if (i % 2) /* else wait for it to end while it holds the lock, most times */
				join(t[0]);
			else
				usleep(1000);
			int r = pthread_mutex_lock(shared);
			CHECK(r == EOWNERDEAD || (r == 0 && i % 2 == 0));
			if (r == EOWNERDEAD)
				IS(pthread_mutex_consistent(shared), 0);
			IS(pthread_mutex_unlock(shared), 0);
			if (i % 2 == 0) {
				join(t[0]);
				r = pthread_mutex_lock(shared);
				CHECK(r == EOWNERDEAD || r == 0);
				if (r == EOWNERDEAD)
					IS(pthread_mutex_consistent(shared), 0);
				IS(pthread_mutex_unlock(shared), 0);
			}
		}
		start(&t[0], dies_with_mutex, shared);
		join(t[0]);
		IS(pthread_mutex_lock(shared), EOWNERDEAD);
		IS(pthread_mutex_unlock(shared), 0); /* not made consistent: of no use any more */
		IS(pthread_mutex_lock(shared), ENOTRECOVERABLE);
	}
	IS(pthread_mutex_destroy(shared), 0);
}
static void mutexes(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	for (int i = 0; i < 16; i++)
		one_mutex((int[]){ PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_NORMAL }[i / 4],
			i & 1 ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE, i & 2 ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE,
			i >= 12 ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
}

/* Condition variables and semaphores: a queue between threads. */
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static int queued, taken;
static void *takes(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&queue_lock);
		while (queued == 0)
			pthread_cond_wait(&not_empty, &queue_lock);
		if (queued < 0) {
			pthread_mutex_unlock(&queue_lock);
			return NULL;
		}
		queued--, taken++;
		pthread_mutex_unlock(&queue_lock);
		sem_post(&ready);
	}
}
static void conditions(void)
{
	pthread_t t[4];
	pthread_condattr_t attr;
	pthread_cond_t timed;
	struct timespec soon;
	sem_init(&ready, 0, 0);
	for (int i = 0; i < 4; i++)
		start(&t[i], takes, NULL);
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&queue_lock);
		queued++;
		pthread_mutex_unlock(&queue_lock);
		pthread_cond_signal(&not_empty);
	}
	for (int i = 0; i < 2000; i++)
		CHECK(sem_wait(&ready) == 0);
	pthread_mutex_lock(&queue_lock);
	CHECK(taken == 2000 && queued == 0);
	queued = -1;
	pthread_cond_broadcast(&not_empty);
	pthread_mutex_unlock(&queue_lock);
	for (int i = 0; i < 4; i++)
		join(t[i]);
	pthread_condattr_init(&attr);
	IS(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), 0);
	pthread_cond_init(&timed, &attr);
	pthread_mutex_lock(&queue_lock);
	soon = after(CLOCK_MONOTONIC, 20);
	IS(pthread_cond_timedwait(&timed, &queue_lock, &soon), ETIMEDOUT);
	pthread_mutex_unlock(&queue_lock);
	soon = after(CLOCK_REALTIME, 10);
	FAILS(sem_timedwait(&ready, &soon), ETIMEDOUT);
	FAILS(sem_trywait(&ready), EAGAIN);
	sem_t *named = sem_open("/guest-test", O_CREAT | O_EXCL, 0600, 2);
	CHECK(named != SEM_FAILED);
	CHECK(sem_wait(named) == 0 && sem_trywait(named) == 0);
	FAILS(sem_trywait(named), EAGAIN);
	CHECK(sem_close(named) == 0 && sem_unlink("/guest-test") == 0);
}

/* Attributes of a thread, and what it can be asked. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int ran;
static void run_once(void) { usleep(1000); ran++; }
static void *looks(void *arg)
{
	pthread_attr_t attr;
	char name[16], *low, *here = name;
	size_t size;
	pthread_once(&once, run_once);
	CHECK(ran == 1);
	IS(pthread_getattr_np(pthread_self(), &attr), 0);
	IS(pthread_attr_getstack(&attr, (void **)&low, &size), 0);
	CHECK(here > low && here < low + size && size >= 1 << 20);
	pthread_attr_destroy(&attr);
	IS(pthread_setname_np(pthread_self(), "named"), 0);
	IS(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	CHECK(!strcmp(name, "named"));
	return arg;
}
static void attributes(void)
{
	pthread_t t[3];
	pthread_attr_t attr;
	cpu_set_t set;
	clockid_t clock;
	struct timespec used;
	size_t size;
	char *low, *here = (char *)&size, name[16];
	pthread_attr_init(&attr);
	IS(pthread_attr_setstacksize(&attr, 1 << 20), 0);
	IS(pthread_attr_setguardsize(&attr, 65536), 0);
	for (int i = 0; i < 3; i++)
		IS(pthread_create(&t[i], &attr, looks, &size), 0);
	for (int i = 0; i < 3; i++)
		CHECK(join(t[i]) == &size);
	IS(pthread_getattr_np(pthread_self(), &attr), 0); /* of the first thread: from /proc/self/maps */
	IS(pthread_attr_getstack(&attr, (void **)&low, &size), 0);
	CHECK(here > low && here < low + size);
	IS(pthread_getaffinity_np(pthread_self(), sizeof(set), &set), 0);
	CHECK(CPU_COUNT(&set) >= 1 && CPU_COUNT(&set) == sysconf(_SC_NPROCESSORS_ONLN));
	IS(pthread_getcpuclockid(pthread_self(), &clock), 0);
	CHECK(clock_gettime(clock, &used) == 0 && used.tv_sec * 1000000000 + used.tv_nsec > 0);
	IS(pthread_setname_np(pthread_self(), "a name far too long for it"), ERANGE);
	IS(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	CHECK(strlen(name) > 0);
}

/* Detached threads, many of them, and signals to one. */
static atomic_int detached_done, hit;
static pthread_t target;
static void on_hit(int signo)
{
	(void)signo;
	CHECK(pthread_equal(pthread_self(), target));
	atomic_fetch_add(&hit, 1);
}
static void *short_life(void *unused) { (void)unused; atomic_fetch_add(&detached_done, 1); return NULL; }
static void *waits_for_hits(void *unused)
{
	(void)unused;
	while (hit < 50)
		usleep(200);
	return NULL;
}
static void lives(void)
{
	pthread_attr_t attr;
	pthread_t t;
	signal(SIGUSR2, on_hit);
	start(&target, waits_for_hits, NULL);
	for (int seen = 0; (seen = hit) < 50;) {
		IS(pthread_kill(target, SIGUSR2), 0);
		for (int i = 0; i < 10000 && hit == seen; i++)
			usleep(100);
		CHECK(hit > seen);
	}
	join(target);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 0; i < 500; i++) {
		while (pthread_create(&t, &attr, short_life, NULL) == EAGAIN)
			usleep(1000);
		if (i % 50 == 49)
			while (detached_done < i - 20)
				usleep(100);
	}
	for (int i = 0; i < 10000 && detached_done < 500; i++)
		usleep(1000);
	CHECK(detached_done == 500);
}

int main(void)
{
	storage();
	cancellation();
	barriers();
	rwlocks();
	mutexes();
	conditions();
	attributes();
	lives();
	OK();
}
