/* SPDX-License-Identifier: Apache-2.0
 *
 * poll, ppoll, select, pselect and epoll in its forms.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t got;
static void note(int n) { got = n; }
static void *volatile bad = (void *)8; /* no memory there */

static uint64_t ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int target;
static void *poke(void *arg)
{
	uint64_t v = 1;

	usleep(20000);
	CHECK(write(target, &v, 8) == 8);
	return arg;
}
static void later(pthread_t *t, int fd)
{
	target = fd;
	CHECK(pthread_create(t, NULL, poke, NULL) == 0);
}

static void polls(void)
{
	struct timespec short_time = { 0, 30000000 };
	struct pollfd p[3];
	uint64_t v, start;
	pthread_t t;
	sigset_t set;
	int e = eventfd(0, EFD_NONBLOCK), f = eventfd(1, 0);

	p[0] = (struct pollfd){ .fd = e, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = -3, .events = POLLIN, .revents = 77 };
	p[2] = (struct pollfd){ .fd = 999, .events = POLLIN };
	CHECK(poll(p, 3, -1) == 1 && p[2].revents == POLLNVAL && !p[1].revents && !p[0].revents);
	p[2].fd = f;
	CHECK(poll(p, 3, 1000) == 1 && p[2].revents == POLLIN);
	start = ms();
	CHECK(poll(p, 1, 30) == 0 && ms() - start >= 30 && ms() - start < 2000);
	CHECK(poll(NULL, 0, 10) == 0);
	FAILS(poll(bad, 1, 0), EFAULT);
	later(&t, e);
	CHECK(poll(p, 2, -1) == 1 && p[0].revents == POLLIN);
	pthread_join(t, NULL);
	CHECK(read(e, &v, 8) == 8);

	/* ppoll: the mask lets the signal in only during the call. */
	signal(SIGUSR1, note);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	CHECK(got == 0);
	sigemptyset(&set);
	FAILS(ppoll(p, 1, NULL, &set), EINTR);
	CHECK(got == SIGUSR1);
	got = 0;
	CHECK(ppoll(p, 1, &short_time, &set) == 0);
	/* The raw call gives back what was left. */
	short_time = (struct timespec){ 5, 0 };
	p[0].fd = f;
	CHECK(syscall(SYS_ppoll, p, 1, &short_time, NULL, 8) == 1 && short_time.tv_sec == 4);
	short_time.tv_nsec = -1;
	FAILS(syscall(SYS_ppoll, p, 1, &short_time, NULL, 8), EINVAL);
	close(e);
	close(f);
}

static void selects(void)
{
	struct timeval tv = { 0, 20000 };
	int e = eventfd(0, EFD_NONBLOCK), s[2];
	fd_set r, w, x;
	pthread_t t;
	uint64_t v;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(e, &r);
	CHECK(select(e + 1, &r, NULL, NULL, &tv) == 0 && !FD_ISSET(e, &r) && !tv.tv_sec && !tv.tv_usec);
	FD_SET(e, &r);
	FD_SET(e, &w);
	CHECK(select(e + 1, &r, &w, NULL, NULL) == 1 && !FD_ISSET(e, &r) && FD_ISSET(e, &w));
	v = 1;
	CHECK(write(e, &v, 8) == 8);
	FD_SET(e, &r);
	tv = (struct timeval){ 9, 0 };
	CHECK(select(e + 1, &r, &w, NULL, &tv) == 2 && tv.tv_sec == 8);
	FD_ZERO(&x);
	FD_SET(900, &x);
	tv = (struct timeval){ 0, 0 };
	FAILS(select(-1, NULL, NULL, NULL, &tv), EINVAL);
	tv.tv_sec = -1;
	FAILS(select(1, NULL, NULL, NULL, &tv), EINVAL);
	CHECK(read(e, &v, 8) == 8);
	later(&t, e);
	FD_ZERO(&r);
	FD_SET(e, &r);
	CHECK(pselect(e + 1, &r, NULL, NULL, NULL, NULL) == 1 && FD_ISSET(e, &r));
	pthread_join(t, NULL);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	close(s[1]);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(s[0], &r);
	FD_SET(s[0], &w);
	FD_SET(s[0], &x);
	CHECK(select(s[0] + 1, &r, &w, &x, NULL) == 2 && FD_ISSET(s[0], &r) && FD_ISSET(s[0], &w) && !FD_ISSET(s[0], &x));
	close(s[0]);
	close(e);
}

static int add(int ep, int fd, uint32_t ev)
{
	struct epoll_event e = { .events = ev, .data.fd = fd };

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}
static int modify(int ep, int fd, uint32_t ev)
{
	struct epoll_event e = { .events = ev, .data.fd = fd };

	return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

static void epoll_errors(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep, other, f = open("/tmp", O_RDONLY), ev = eventfd(0, 0);

	FAILS(epoll_create(0), EINVAL);
	FAILS(epoll_create1(1), EINVAL);
	CHECK((ep = epoll_create1(EPOLL_CLOEXEC)) >= 0 && (other = epoll_create(1)) >= 0);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &e), EBADF);
	FAILS(epoll_ctl(999, EPOLL_CTL_ADD, ev, &e), EBADF);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, f, &e), EPERM);
	FAILS(epoll_ctl(ev, EPOLL_CTL_ADD, ep, &e), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_MOD, ev, &e), ENOENT);
	FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, ev, &e), ENOENT);
	FAILS(epoll_ctl(ep, 77, ev, &e), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ev, NULL), EFAULT);
	CHECK(add(ep, ev, EPOLLIN) == 0);
	FAILS(add(ep, ev, EPOLLIN), EEXIST);
	FAILS(modify(ep, ev, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	FAILS(add(ep, other, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	FAILS(epoll_wait(ep, &e, 0, 0), EINVAL);
	FAILS(syscall(SYS_epoll_wait, ep, &e, -1, 0), EINVAL);
	FAILS(epoll_wait(ev, &e, 1, 0), EINVAL);
	FAILS(epoll_wait(999, &e, 1, 0), EBADF);
	/* rings and depth */
	CHECK(add(ep, other, EPOLLIN) == 0);
	FAILS(add(other, ep, EPOLLIN), ELOOP);
	int chain[8];
	chain[0] = epoll_create1(0);
	for (int i = 1; i < 8; i++) {
		chain[i] = epoll_create1(0);
		errno = 0;
		int r = add(chain[i], chain[i - 1], EPOLLIN);
		CHECK(i < 5 ? r == 0 : r == -1 && errno == ELOOP);
		if (r)
			break;
	}
	for (int i = 0; i < 6; i++)
		close(chain[i]);
	close(ep);
	close(other);
	close(f);
	close(ev);
}

static void epolls(void)
{
	struct epoll_event e[4];
	int ep = epoll_create1(0), x = eventfd(1, EFD_NONBLOCK), y = eventfd(0, EFD_NONBLOCK), outer = epoll_create1(0), d;
	pthread_t t;
	uint64_t v = 1, start;

	CHECK(add(ep, x, EPOLLIN) == 0 && add(ep, y, EPOLLIN | EPOLLET) == 0);
	CHECK(epoll_wait(ep, e, 4, 0) == 1 && e[0].data.fd == x && e[0].events == EPOLLIN);
	CHECK(epoll_wait(ep, e, 4, 0) == 1); /* level */
	CHECK(read(x, &v, 8) == 8 && epoll_wait(ep, e, 4, 0) == 0);
	CHECK(write(y, &v, 8) == 8 && epoll_wait(ep, e, 4, -1) == 1 && e[0].data.fd == y);
	CHECK(epoll_wait(ep, e, 4, 0) == 0); /* edge: told once */
	CHECK(write(y, &v, 8) == 8 && epoll_wait(ep, e, 4, 0) == 1);
	CHECK(modify(ep, y, EPOLLIN | EPOLLET) == 0 && epoll_wait(ep, e, 4, 0) == 1); /* and anew after a change */
	CHECK(modify(ep, x, EPOLLIN | EPOLLONESHOT) == 0 && write(x, &v, 8) == 8);
	CHECK(epoll_wait(ep, e, 4, 0) == 1 && epoll_wait(ep, e, 4, 0) == 0);
	CHECK(write(x, &v, 8) == 8 && epoll_wait(ep, e, 4, 0) == 0);
	CHECK(modify(ep, x, EPOLLIN | EPOLLONESHOT) == 0 && epoll_wait(ep, e, 4, 0) == 1);
	CHECK(read(x, &v, 8) == 8 && modify(ep, x, EPOLLIN) == 0);
	start = ms();
	CHECK(epoll_wait(ep, e, 4, 30) == 0 && ms() - start >= 29);
	later(&t, x);
	CHECK(epoll_wait(ep, e, 4, -1) == 1 && e[0].data.fd == x);
	pthread_join(t, NULL);
	/* nested */
	CHECK(add(outer, ep, EPOLLIN) == 0 && epoll_wait(outer, e, 4, 0) == 1 && e[0].data.fd == ep);
	CHECK(read(x, &v, 8) == 8 && epoll_wait(outer, e, 4, 0) == 0);
	later(&t, x);
	CHECK(epoll_wait(outer, e, 4, -1) == 1 && e[0].data.fd == ep);
	pthread_join(t, NULL);
	/* the last close of the file takes the item away, not the first */
	d = dup(x);
	close(x);
	CHECK(epoll_wait(ep, e, 4, 0) == 1);
	close(d);
	CHECK(epoll_wait(ep, e, 4, 0) == 0);
	close(y);
	close(outer);
	/* hang-up of a socket */
	int s[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && add(ep, s[0], EPOLLIN | EPOLLRDHUP | EPOLLOUT) == 0);
	CHECK(epoll_wait(ep, e, 4, 0) == 1 && e[0].events == EPOLLOUT);
	shutdown(s[1], SHUT_WR);
	CHECK(epoll_wait(ep, e, 4, 0) == 1 && e[0].events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP));
	close(s[1]);
	CHECK(epoll_wait(ep, e, 4, 0) == 1 && e[0].events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP));
	close(s[0]);
	/* pipes, many at once, fairness */
	int p[64][2];
	for (int i = 0; i < 64; i++)
		CHECK(pipe(p[i]) == 0 && add(ep, p[i][0], EPOLLIN) == 0 && write(p[i][1], "x", 1) == 1);
	unsigned char seen[1024] = { 0 };
	for (int i = 0; i < 16; i++) {
		CHECK(epoll_wait(ep, e, 4, 0) == 4);
		for (int k = 0; k < 4; k++)
			seen[e[k].data.fd]++;
	}
	for (int i = 0; i < 64; i++)
		CHECK(seen[p[i][0]] == 1);
	for (int i = 0; i < 64; i++) {
		close(p[i][0]);
		close(p[i][1]);
	}
	/* a signal ends it */
	struct timespec ts = { 0, 20000000 };
	struct sigaction sa = { .sa_handler = note };
	sigaction(SIGALRM, &sa, NULL);
	got = 0;
	alarm(1);
	FAILS(epoll_wait(ep, e, 4, -1), EINTR);
	CHECK(got == SIGALRM);
	CHECK(syscall(441 /* epoll_pwait2 */, ep, e, 4, &ts, NULL, 8) == 0);
	close(ep);
}

static int wide, hits;
static void *waiter(void *arg)
{
	struct epoll_event e;

	if (epoll_wait(wide, &e, 1, 3000) == 1)
		__atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST);
	return arg;
}

/* Each of several sleepers gets one of several events. */
static void sleepers(void)
{
	pthread_t t[4];
	int ev[4];
	uint64_t v = 1;

	wide = epoll_create1(0);
	for (int i = 0; i < 4; i++)
		CHECK((ev[i] = eventfd(0, 0)) >= 0 && add(wide, ev[i], EPOLLIN | EPOLLET) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, waiter, NULL) == 0);
	usleep(30000);
	for (int i = 0; i < 4; i++)
		CHECK(write(ev[i], &v, 8) == 8);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(hits == 4);
	for (int i = 0; i < 4; i++)
		close(ev[i]);
	close(wide);
}

static siginfo_t last;
static void tell(int n, siginfo_t *i, void *c)
{
	(void)c;
	got = n;
	last = *i;
}

/* A signal to the owner when there is something to read. */
static void asynchronous(void)
{
	struct sigaction sa = { .sa_sigaction = tell, .sa_flags = SA_SIGINFO };
	struct f_owner_ex owner = { F_OWNER_TID, (pid_t)syscall(SYS_gettid) };
	int p[2];

	sigaction(SIGIO, &sa, NULL);
	sigaction(SIGRTMIN + 3, &sa, NULL);
	CHECK(pipe(p) == 0 && fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_GETOWN) == getpid());
	got = 0;
	CHECK(write(p[1], "x", 1) == 1 && got == 0);
	CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0 && (fcntl(p[0], F_GETFL) & O_ASYNC));
	CHECK(write(p[1], "x", 1) == 1);
	usleep(1000);
	CHECK(got == SIGIO);
	CHECK(fcntl(p[0], F_SETSIG, SIGRTMIN + 3) == 0 && fcntl(p[0], F_SETOWN_EX, &owner) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	usleep(1000);
	CHECK(got == SIGRTMIN + 3 && last.si_fd == p[0] && last.si_code == POLL_IN && (last.si_band & POLLIN));
	got = 0;
	CHECK(fcntl(p[0], F_SETFL, 0) == 0 && write(p[1], "x", 1) == 1);
	usleep(1000);
	CHECK(got == 0);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	polls();
	selects();
	epoll_errors();
	epolls();
	sleepers();
	asynchronous();
	OK();
}
