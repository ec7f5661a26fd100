/* SPDX-License-Identifier: Apache-2.0
 *
 * Advisory locks: flock between descriptions, record locks of the process
 * against those of a description, splitting and joining, waiting.
 */
#include "fs.h"
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>

static int lock(int fd, int cmd, int type, off_t start, off_t size)
{
	struct flock l = { .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = size };
	return fcntl(fd, cmd, &l);
}

/* What stands in the way of fd's description; F_UNLCK: nothing. */
static struct flock in_way(int fd, int cmd, off_t start, off_t size)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = size };
	CHECK(fcntl(fd, cmd, &l) == 0);
	return l;
}

static void flocks(void)
{
	int a = open("f", O_RDWR), b = open("f", O_RDONLY), c = dup(a);

	CHECK(flock(a, LOCK_EX) == 0 && flock(c, LOCK_EX | LOCK_NB) == 0);
	FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(c, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
	FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK); /* and loses what it had */
	CHECK(flock(a, LOCK_EX | LOCK_NB) == 0 && flock(a, LOCK_UN) == 0);
	CHECK(flock(b, LOCK_EX) == 0);
	close(b); /* the last descriptor of a description unlocks */
	CHECK(flock(a, LOCK_EX | LOCK_NB) == 0);
	close(a);
	b = open("f", O_RDONLY);
	FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	close(c);
	CHECK(flock(b, LOCK_SH | LOCK_NB) == 0);
	FAILS(flock(b, 0), EINVAL);
	FAILS(flock(99, LOCK_SH), EBADF);
	close(b);
}

static void records(void)
{
	int a = open("f", O_RDWR), b = open("f", O_RDWR), ro = open("f", O_RDONLY);
	struct flock l;

	CHECK(lock(a, F_SETLK, F_WRLCK, 100, 100) == 0);
	CHECK(lock(b, F_SETLK, F_WRLCK, 150, 10) == 0); /* the same process */
	l = in_way(b, F_OFD_GETLK, 0, 0);
	CHECK(l.l_type == F_WRLCK && l.l_start == 100 && l.l_len == 100 && l.l_pid == getpid());
	FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 199, 1), EAGAIN);
	CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 200, 10) == 0 && lock(b, F_OFD_SETLK, F_WRLCK, 0, 100) == 0);
	l = in_way(a, F_GETLK, 0, 0);
	CHECK(l.l_type == F_WRLCK && l.l_pid == -1);
	FAILS(lock(a, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
	/* a hole in the middle: two locks */
	CHECK(lock(a, F_SETLK, F_UNLCK, 140, 20) == 0);
	CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 140, 20) == 0 && lock(b, F_OFD_SETLK, F_UNLCK, 140, 20) == 0);
	l = in_way(b, F_OFD_GETLK, 100, 100);
	CHECK(l.l_start == 100 && l.l_len == 40);
	l = in_way(b, F_OFD_GETLK, 140, 0);
	CHECK(l.l_start == 160 && l.l_len == 40);
	/* a reader in a writer: three */
	CHECK(lock(a, F_SETLK, F_RDLCK, 110, 10) == 0);
	CHECK(lock(b, F_OFD_SETLK, F_RDLCK, 110, 10) == 0);
	FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 109, 2), EAGAIN);
	FAILS(lock(b, F_OFD_SETLK, F_WRLCK, 110, 10), EAGAIN);
	CHECK(lock(b, F_OFD_SETLK, F_UNLCK, 0, 0) == 0);
	/* all of it again: one */
	CHECK(lock(a, F_SETLK, F_WRLCK, 90, 0) == 0);
	l = in_way(b, F_OFD_GETLK, 0, 0);
	CHECK(l.l_start == 90 && l.l_len == 0);
	/* from the end, and backwards */
	CHECK(lock(a, F_SETLK, F_UNLCK, 0, 0) == 0 && ftruncate(a, 1000) == 0);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -10 };
	CHECK(fcntl(a, F_SETLK, &l) == 0);
	l = in_way(b, F_OFD_GETLK, 0, 0);
	CHECK(l.l_start == 990 && l.l_len == 10);
	FAILS(lock(a, F_SETLK, F_WRLCK, -1, 0), EINVAL);
	FAILS(lock(a, F_SETLK, F_WRLCK, 5, -6), EINVAL);
	FAILS(lock(a, F_SETLK, 77, 0, 0), EINVAL);
	FAILS(lock(ro, F_SETLK, F_WRLCK, 0, 1), EBADF);
	CHECK(lock(ro, F_SETLK, F_RDLCK, 0, 1) == 0);
	close(ro); /* closing any descriptor of the file drops the process's locks */
	CHECK(in_way(b, F_OFD_GETLK, 0, 0).l_type == F_UNLCK);
	close(a);
	close(b);
}

static int holder, order;
static void *unlocker(void *arg)
{
	(void)arg;
	usleep(50000);
	order = 1;
	CHECK(lock(holder, F_OFD_SETLK, F_UNLCK, 0, 0) == 0);
	return NULL;
}
static void on_alarm(int signo) { (void)signo; }

static void waiting(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value.tv_usec = 30000 };
	int b = open("f", O_RDWR);
	pthread_t t;

	holder = open("f", O_RDWR);
	CHECK(lock(holder, F_OFD_SETLK, F_WRLCK, 0, 0) == 0 && flock(holder, LOCK_EX) == 0);
	CHECK(sigaction(SIGALRM, &act, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	FAILS(lock(b, F_OFD_SETLKW, F_WRLCK, 10, 1), EINTR);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	FAILS(flock(b, LOCK_SH), EINTR);
	CHECK(pthread_create(&t, NULL, unlocker, NULL) == 0);
	CHECK(lock(b, F_SETLKW, F_WRLCK, 10, 1) == 0 && order == 1);
	CHECK(pthread_join(t, NULL) == 0);
	close(holder);
	CHECK(flock(b, LOCK_EX | LOCK_NB) == 0);
	close(b);
}

static volatile sig_atomic_t told;
static int leased;
static void on_lease(int signo)
{
	told = signo;
	fcntl(leased, F_SETLEASE, F_UNLCK);
}

static void leases(void)
{
	struct sigaction act = { .sa_handler = on_lease, .sa_flags = SA_RESTART };
	int fd;

	leased = open("f", O_RDONLY);
	CHECK(fcntl(leased, F_GETLEASE) == F_UNLCK);
	if (fcntl(leased, F_SETLEASE, F_RDLCK) && errno == EINVAL)
		return; /* a file system without */
	CHECK(fcntl(leased, F_GETLEASE) == F_RDLCK);
	fd = open("f", O_RDONLY);
	CHECK(fd >= 0);
	FAILS(fcntl(leased, F_SETLEASE, F_WRLCK), EAGAIN);
	close(fd);
	CHECK(sigaction(SIGIO, &act, NULL) == 0);
	fd = open("f", O_WRONLY); /* waits until the holder has let go */
	CHECK(fd >= 0 && told == SIGIO && fcntl(leased, F_GETLEASE) == F_UNLCK);
	FAILS(fcntl(leased, F_SETLEASE, F_RDLCK), EAGAIN);
	close(fd);
	CHECK(fcntl(leased, F_SETLEASE, F_WRLCK) == 0);
	act.sa_handler = on_alarm;
	CHECK(sigaction(SIGIO, &act, NULL) == 0);
	FAILS(open("f", O_RDONLY | O_NONBLOCK), EWOULDBLOCK);
	CHECK(fcntl(leased, F_GETLEASE) == F_RDLCK); /* what it must become */
	close(leased);
	fd = open("f", O_RDWR);
	CHECK(fd >= 0);
	close(fd);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	put("f", "0123456789");
	flocks();
	records();
	waiting();
	leases();
	CHECK(unlink("f") == 0);
	fs_leave();
	OK();
}
