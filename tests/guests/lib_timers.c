/* SPDX-License-Identifier: Apache-2.0
 *
 * What a C library does with threads of its own: timers that call a function
 * (SIGEV_THREAD), asynchronous file operations; and
 * interval timers beside.
 */
#define _GNU_SOURCE
#include "check.h"
#include <aio.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_int called, other, alarms, completed;
static pthread_t first;

static void on_timer(union sigval v)
{
	CHECK(v.sival_int == 77 && !pthread_equal(pthread_self(), first));
	atomic_fetch_add(&called, 1);
}
static void on_other(union sigval v)
{
	struct timespec t = { 0, 3000000 }; /* slower than it comes */
	atomic_fetch_add((atomic_int *)v.sival_ptr, 1);
	nanosleep(&t, NULL);
}
static void on_alarm(int signo) { atomic_fetch_add(&alarms, signo == SIGALRM); }
static void until(atomic_int *what, int n)
{
	for (int i = 0; i < 10000 && *what < n; i++)
		usleep(1000);
	CHECK(*what >= n);
}

static void thread_timers(void)
{
	struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer, .sigev_value.sival_int = 77 };
	struct itimerspec often = { { 0, 2000000 }, { 0, 2000000 } }, once = { { 0, 0 }, { 0, 1000000 } }, left, none = { { 0, 0 }, { 0, 0 } };
	timer_t t, o, many[20];

	CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
	e.sigev_notify_function = on_other;
	e.sigev_value.sival_ptr = &other;
	CHECK(timer_create(CLOCK_REALTIME, &e, &o) == 0);
	CHECK(timer_settime(t, 0, &often, NULL) == 0 && timer_settime(o, 0, &often, NULL) == 0);
	until(&called, 20);
	until(&other, 5);
	CHECK(timer_gettime(t, &left) == 0 && left.it_interval.tv_nsec == 2000000);
	CHECK(timer_settime(t, 0, &none, &left) == 0 && left.it_interval.tv_nsec == 2000000);
	usleep(10000);
	int now = called;
	usleep(20000);
	CHECK(called == now);
	CHECK(timer_getoverrun(t) >= 0 && timer_delete(t) == 0 && timer_delete(o) == 0);
	called = 0;
	e.sigev_notify_function = on_timer;
	e.sigev_value.sival_int = 77;
	for (int i = 0; i < 20; i++)
		CHECK(timer_create(CLOCK_MONOTONIC, &e, &many[i]) == 0 && timer_settime(many[i], 0, &once, NULL) == 0);
	until(&called, 20);
	for (int i = 0; i < 20; i++)
		CHECK(timer_delete(many[i]) == 0);
	CHECK(called == 20);
}

static void intervals(void)
{
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, none = { { 0, 0 }, { 0, 0 } }, old;
	signal(SIGALRM, on_alarm);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (volatile long i = 0; alarms < 10; i++) /* a loop without a system call */
		;
	CHECK(setitimer(ITIMER_REAL, &none, &old) == 0 && old.it_interval.tv_usec == 2000);
	alarm(1);
	CHECK(alarm(0) == 1);
}

static void on_aio(union sigval v)
{
	CHECK(aio_error(v.sival_ptr) == 0);
	atomic_fetch_add(&completed, 1);
}

static void wait_aio(struct aiocb *a)
{
	const struct aiocb *list[] = { a };
	while (aio_error(a) == EINPROGRESS)
		CHECK(aio_suspend(list, 1, NULL) == 0 || errno == EINTR);
}

static void files(void)
{
	char name[] = "aio.XXXXXX", data[8][4096], back[8][4096];
	struct aiocb a[8], *list[8];
	int fd = mkstemp(name), p[2];
	char byte = 0;

	CHECK(fd >= 0 && unlink(name) == 0);
	memset(a, 0, sizeof(a));
	for (int i = 0; i < 8; i++) {
		memset(data[i], 'a' + i, 4096);
		a[i].aio_fildes = fd;
		a[i].aio_offset = i * 4096;
		a[i].aio_buf = data[i];
		a[i].aio_nbytes = 4096;
		a[i].aio_sigevent.sigev_notify = SIGEV_THREAD;
		a[i].aio_sigevent.sigev_notify_function = on_aio;
		a[i].aio_sigevent.sigev_value.sival_ptr = &a[i];
		CHECK(aio_write(&a[i]) == 0);
	}
	for (int i = 0; i < 8; i++) {
		wait_aio(&a[i]);
		CHECK(aio_return(&a[i]) == 4096);
	}
	until(&completed, 8);
	memset(a, 0, sizeof(a));
	for (int i = 0; i < 8; i++) {
		a[i].aio_fildes = fd;
		a[i].aio_offset = i * 4096;
		a[i].aio_buf = back[i];
		a[i].aio_nbytes = 4096;
		a[i].aio_lio_opcode = LIO_READ;
		a[i].aio_sigevent.sigev_notify = SIGEV_NONE;
		list[i] = &a[i];
	}
	CHECK(lio_listio(LIO_WAIT, list, 8, NULL) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(aio_return(&a[i]) == 4096 && !memcmp(back[i], data[i], 4096));
	CHECK(aio_fsync(O_SYNC, &a[0]) == 0);
	wait_aio(&a[0]);
	CHECK(aio_return(&a[0]) == 0);
	/* A read of an empty pipe waits in its thread, until there is a byte. */
	CHECK(pipe(p) == 0);
	struct aiocb r = { .aio_fildes = p[0], .aio_buf = &byte, .aio_nbytes = 1, .aio_sigevent.sigev_notify = SIGEV_NONE };
	CHECK(aio_read(&r) == 0);
	usleep(5000);
	CHECK(aio_error(&r) == EINPROGRESS);
	CHECK(write(p[1], "z", 1) == 1);
	wait_aio(&r);
	CHECK(aio_return(&r) == 1 && byte == 'z');
	struct aiocb bad = { .aio_fildes = 999, .aio_buf = &byte, .aio_nbytes = 1, .aio_sigevent.sigev_notify = SIGEV_NONE };
	if (aio_read(&bad) == 0) {
		while (aio_error(&bad) == EINPROGRESS)
			usleep(100);
		CHECK(aio_error(&bad) == EBADF && aio_return(&bad) == -1);
	}
	CHECK(close(fd) == 0 && close(p[0]) == 0 && close(p[1]) == 0);
}

int main(void)
{
	first = pthread_self();
	thread_timers();
	intervals();
	files();
	OK();
}
