/* SPDX-License-Identifier: Apache-2.0
 *
 * eventfd, signalfd, timerfd.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static int events(int fd, short want)
{
	struct pollfd p = { .fd = fd, .events = want };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static int shared;
static void *signal_it(void *arg)
{
	uint64_t v = 7;

	usleep(20000);
	CHECK(write(shared, &v, 8) == 8);
	return arg;
}

static void eventfds(void)
{
	uint64_t v = 5;
	pthread_t t;
	int e;

	FAILS(eventfd(0, 0x10), EINVAL);
	CHECK((e = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0 && fcntl(e, F_GETFD) == FD_CLOEXEC);
	FAILS(read(e, &v, 4), EINVAL);
	CHECK(events(e, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
	CHECK(read(e, &v, 8) == 8 && v == 3);
	FAILS(read(e, &v, 8), EAGAIN);
	CHECK(events(e, POLLIN | POLLOUT) == POLLOUT);
	v = UINT64_MAX;
	FAILS(write(e, &v, 8), EINVAL);
	v = UINT64_MAX - 1;
	CHECK(write(e, &v, 8) == 8 && events(e, POLLIN | POLLOUT) == POLLIN);
	v = 1;
	FAILS(write(e, &v, 8), EAGAIN);
	CHECK(read(e, &v, 8) == 8 && v == UINT64_MAX - 1);
	close(e);
	CHECK((e = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK)) >= 0);
	CHECK(read(e, &v, 8) == 8 && v == 1 && read(e, &v, 8) == 8 && v == 1);
	FAILS(read(e, &v, 8), EAGAIN);
	close(e);
	CHECK((shared = eventfd(0, 0)) >= 0 && pthread_create(&t, NULL, signal_it, NULL) == 0);
	CHECK(read(shared, &v, 8) == 8 && v == 7);
	pthread_join(t, NULL);
	close(shared);
}

static void signalfds(void)
{
	struct signalfd_siginfo si[3];
	union sigval value = { .sival_int = 1234 };
	sigset_t set;
	int s;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 1);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	FAILS(signalfd(-1, &set, 1), EINVAL);
	FAILS(signalfd(0, &set, 0), EINVAL);
	FAILS(signalfd(99, &set, 0), EBADF);
	CHECK((s = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) >= 0);
	FAILS(read(s, si, sizeof(si)), EAGAIN);
	FAILS(read(s, si, 10), EINVAL);
	CHECK(events(s, POLLIN) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0 && events(s, POLLIN) == POLLIN);
	CHECK(sigqueue(getpid(), SIGRTMIN + 1, value) == 0);
	CHECK(read(s, si, sizeof(si)) == 2 * (ssize_t)sizeof(si[0]));
	CHECK(si[0].ssi_signo == SIGUSR1 && si[0].ssi_code == SI_USER && si[0].ssi_pid == (uint32_t)getpid());
	CHECK((int)si[1].ssi_signo == SIGRTMIN + 1 && si[1].ssi_code == SI_QUEUE && si[1].ssi_int == 1234);
	sigdelset(&set, SIGUSR1);
	CHECK(signalfd(s, &set, 0) == s);
	kill(getpid(), SIGUSR1);
	CHECK(events(s, POLLIN) == 0);
	sigaddset(&set, SIGUSR1);
	CHECK(signalfd(s, &set, 0) == s && events(s, POLLIN) == POLLIN && read(s, si, sizeof(si[0])) == sizeof(si[0]));
	close(s);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void timerfds(void)
{
	struct itimerspec t = { { 0, 0 }, { 0, 20000000 } }, old;
	uint64_t n, start;
	int f, r;

	FAILS(timerfd_create(77, 0), EINVAL);
	FAILS(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	FAILS(timerfd_settime(0, 0, &t, NULL), EINVAL);
	CHECK((f = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0);
	FAILS(read(f, &n, 8), EAGAIN);
	FAILS(read(f, &n, 7), EINVAL);
	FAILS(timerfd_settime(f, 77, &t, NULL), EINVAL);
	t.it_value.tv_nsec = 1000000000;
	FAILS(timerfd_settime(f, 0, &t, NULL), EINVAL);
	t.it_value.tv_nsec = 20000000;
	start = now();
	CHECK(timerfd_settime(f, 0, &t, NULL) == 0);
	CHECK(timerfd_gettime(f, &old) == 0 && old.it_value.tv_sec == 0 && old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 20000000);
	struct pollfd p = { .fd = f, .events = POLLIN };
	CHECK(poll(&p, 1, 2000) == 1 && p.revents == POLLIN);
	CHECK(now() - start >= 20000000);
	CHECK(read(f, &n, 8) == 8 && n == 1);
	CHECK(timerfd_gettime(f, &old) == 0 && !old.it_value.tv_nsec && !old.it_value.tv_sec);
	t.it_interval.tv_nsec = 5000000;
	t.it_value.tv_nsec = 5000000;
	CHECK(timerfd_settime(f, 0, &t, NULL) == 0);
	usleep(52000);
	CHECK(read(f, &n, 8) == 8 && n >= 10);
	CHECK(timerfd_gettime(f, &old) == 0 && old.it_interval.tv_nsec == 5000000 && old.it_value.tv_nsec > 0);
	memset(&t, 0, sizeof(t));
	CHECK(timerfd_settime(f, 0, &t, &old) == 0 && old.it_interval.tv_nsec == 5000000);
	usleep(10000);
	FAILS(read(f, &n, 8), EAGAIN);
	close(f);
	CHECK((r = timerfd_create(CLOCK_REALTIME, 0)) >= 0);
	clock_gettime(CLOCK_REALTIME, &t.it_value);
	t.it_value.tv_sec -= 10;
	CHECK(timerfd_settime(r, TFD_TIMER_ABSTIME, &t, NULL) == 0 && read(r, &n, 8) == 8 && n == 1);
	clock_gettime(CLOCK_REALTIME, &t.it_value);
	t.it_value.tv_nsec += 10000000;
	if (t.it_value.tv_nsec >= 1000000000) {
		t.it_value.tv_sec++;
		t.it_value.tv_nsec -= 1000000000;
	}
	CHECK(timerfd_settime(r, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL) == 0 && read(r, &n, 8) == 8 && n == 1);
	close(r);
}

int main(void)
{
	eventfds();
	signalfds();
	timerfds();
	OK();
}
