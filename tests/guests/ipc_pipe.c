/* SPDX-License-Identifier: Apache-2.0
 *
 * Pipes and fifos: capacity, atomic writes, packets, ends that close, blocking
 * and not, sizes, opening rules.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t got;
static void *volatile bad = (void *)8; /* no memory there */
static void note(int n) { got = n; }

static int events(int fd, short want)
{
	struct pollfd p = { .fd = fd, .events = want };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void basics(void)
{
	char b[64];
	int p[2], n;

	FAILS(pipe2(p, 0x40000000), EINVAL);
	FAILS(pipe(bad), EFAULT);
	CHECK(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(p[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDONLY | O_NONBLOCK));
	CHECK((fcntl(p[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK));
	FAILS(read(p[0], b, 1), EAGAIN);
	CHECK(read(p[0], b, 0) == 0);
	FAILS(read(p[1], b, 1), EBADF);
	FAILS(write(p[0], b, 1), EBADF);
	FAILS(lseek(p[0], 0, SEEK_SET), ESPIPE);
	FAILS(pread(p[0], b, 1, 0), ESPIPE);
	CHECK(events(p[0], POLLIN) == 0 && events(p[1], POLLOUT) == POLLOUT);
	CHECK(write(p[1], "hello", 5) == 5);
	CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 5);
	CHECK(events(p[0], POLLIN) == POLLIN);
	CHECK(read(p[0], b, 2) == 2 && read(p[0], b, 64) == 3 && b[2] == 'o');
	struct iovec v[3] = { { (char *)"ab", 2 }, { b, 0 }, { (char *)"cde", 3 } }, w[2] = { { b, 1 }, { b + 10, 50 } };
	CHECK(writev(p[1], v, 3) == 5);
	CHECK(readv(p[0], w, 2) == 5 && b[0] == 'a' && !memcmp(b + 10, "bcde", 4));
	FAILS(write(p[1], bad, 4), EFAULT);
	close(p[1]);
	CHECK(read(p[0], b, 1) == 0);
	CHECK(events(p[0], POLLIN) == POLLHUP);
	close(p[0]);

	struct stat st;
	CHECK(pipe(p) == 0 && fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode) && st.st_size == 0);
	close(p[0]);
	CHECK(events(p[1], POLLOUT) == (POLLOUT | POLLERR));
	signal(SIGPIPE, note);
	FAILS(write(p[1], "x", 1), EPIPE);
	CHECK(got == SIGPIPE);
	CHECK(write(p[1], "", 0) == 0);
	close(p[1]);
}

static void capacity(void)
{
	static char big[1 << 20];
	char b[PIPE_BUF];
	long total = 0;
	int p[2];

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536);
	while (write(p[1], "x", 1) == 1)
		total++;
	CHECK(errno == EAGAIN && total == 65536);
	CHECK(events(p[1], POLLOUT) == 0);
	CHECK(read(p[0], b, PIPE_BUF) == PIPE_BUF);
	CHECK(events(p[1], POLLOUT) == POLLOUT);
	CHECK(write(p[1], big, 2 * PIPE_BUF) == PIPE_BUF); /* more than PIPE_BUF: what fits */
	FAILS(write(p[1], big, 10), EAGAIN);
	CHECK(read(p[0], b, 10) == 10);
	FAILS(write(p[1], big, PIPE_BUF), EAGAIN); /* whole or not at all */
	CHECK(read(p[0], big, sizeof(big)) == 65536 - 10);
	CHECK(fcntl(p[0], F_SETPIPE_SZ, 1 << 20) == 1 << 20);
	CHECK(write(p[1], big, sizeof(big)) == 1 << 20);
	FAILS(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY);
	CHECK(read(p[0], big, sizeof(big)) == 1 << 20);
	CHECK(fcntl(p[0], F_SETPIPE_SZ, 1) == 4096 && fcntl(p[1], F_GETPIPE_SZ) == 4096);
	CHECK(write(p[1], big, 8192) == 4096);
	CHECK(read(p[0], big, 4095) == 4095 && read(p[0], big, 10) == 1);
	close(p[0]);
	close(p[1]);
}

static void packets(void)
{
	char b[8192];
	int p[2];

	CHECK(pipe2(p, O_DIRECT) == 0);
	CHECK(write(p[1], "one", 3) == 3 && write(p[1], "second", 6) == 6);
	CHECK(read(p[0], b, 64) == 3);
	CHECK(read(p[0], b, 2) == 2); /* the rest of the packet is gone */
	memset(b, 7, sizeof(b));
	CHECK(write(p[1], b, 5000) == 5000);
	CHECK(read(p[0], b, sizeof(b)) == 4096 && read(p[0], b, sizeof(b)) == 904);
	close(p[0]);
	close(p[1]);
}

static int ends[2];
static void *late_writer(void *arg)
{
	(void)arg;
	usleep(20000);
	CHECK(write(ends[1], "late", 4) == 4);
	return NULL;
}
static void *late_reader(void *arg)
{
	static char b[200000];
	size_t sum = 0;

	usleep(20000);
	while (sum < 200000) {
		ssize_t n = read(ends[0], b, sizeof(b));

		CHECK(n > 0);
		for (ssize_t i = 0; i < n; i++)
			CHECK(b[i] == (char)((sum + (size_t)i) / 7));
		sum += (size_t)n;
	}
	return arg;
}

static void blocking(void)
{
	static char big[200000];
	pthread_t t;
	char b[8];

	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&t, NULL, late_writer, NULL) == 0);
	CHECK(read(ends[0], b, sizeof(b)) == 4);
	pthread_join(t, NULL);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i / 7);
	CHECK(pthread_create(&t, NULL, late_reader, NULL) == 0);
	CHECK(write(ends[1], big, sizeof(big)) == sizeof(big));
	pthread_join(t, NULL);

	struct sigaction sa = { .sa_handler = note };
	sigaction(SIGALRM, &sa, NULL);
	got = 0;
	alarm(1);
	FAILS(read(ends[0], b, 1), EINTR);
	CHECK(got == SIGALRM);
	close(ends[0]);
	close(ends[1]);
}

static const char *fifo = "ipc_pipe.fifo";
static void *open_writer(void *arg)
{
	usleep(20000);
	int fd = open(fifo, O_WRONLY);

	CHECK(fd >= 0 && write(fd, "f", 1) == 1);
	close(fd);
	return arg;
}

static void fifos(void)
{
	pthread_t t;
	char b[8];
	int r, w;

	unlink(fifo);
	CHECK(mkfifo(fifo, 0600) == 0);
	FAILS(open(fifo, O_WRONLY | O_NONBLOCK), ENXIO);
	CHECK((r = open(fifo, O_RDONLY | O_NONBLOCK)) >= 0);
	CHECK(read(r, b, 1) == 0); /* no writer */
	CHECK(events(r, POLLIN) == 0); /* and none was there: no hang-up yet */
	CHECK((w = open(fifo, O_WRONLY | O_NONBLOCK)) >= 0);
	FAILS(read(r, b, 1), EAGAIN);
	CHECK(write(w, "12", 2) == 2 && read(r, b, 8) == 2);
	close(w);
	CHECK(events(r, POLLIN) == POLLHUP);
	close(r);
	CHECK((r = open(fifo, O_RDWR)) >= 0 && write(r, "x", 1) == 1 && read(r, b, 1) == 1);
	close(r);
	CHECK(pthread_create(&t, NULL, open_writer, NULL) == 0);
	CHECK((r = open(fifo, O_RDONLY)) >= 0); /* waits for the writer */
	CHECK(read(r, b, 8) == 1 && b[0] == 'f');
	CHECK(read(r, b, 8) == 0);
	pthread_join(t, NULL);
	close(r);
	unlink(fifo);
}

/* A pipe opened again by its descriptor's name waits for no partner. */
static void again(void)
{
	char name[32], b[8];
	int p[2], r, w;

	CHECK(pipe(p) == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
	CHECK((w = open(name, O_WRONLY)) >= 0 && write(w, "ab", 2) == 2);
	close(w);
	CHECK(write(p[1], "c", 1) == 1);
	close(p[1]);
	CHECK((r = open(name, O_RDONLY)) >= 0); /* there is no writer any more */
	CHECK(events(r, POLLIN) == (POLLIN | POLLHUP));
	CHECK(read(r, b, 8) == 3 && read(p[0], b, 8) == 0);
	close(p[0]);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", r);
	CHECK((w = open(name, O_WRONLY | O_NONBLOCK)) >= 0);
	close(r);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", w);
	CHECK((r = open(name, O_WRONLY | O_NONBLOCK)) >= 0);
	close(r);
	close(w);
}

int main(void)
{
	basics();
	again();
	capacity();
	packets();
	blocking();
	fifos();
	OK();
}
