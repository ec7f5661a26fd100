/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors: numbers, flags, dup, close_range, many of them, shared tables.
 */
#include "fs.h"
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>

static void numbers(void)
{
	int a = open("f", O_CREAT | O_RDWR, 0644), b, c;

	CHECK(a >= 3);
	b = dup(a);
	CHECK(b == a + 1 && fcntl(b, F_GETFD) == 0);
	c = fcntl(a, F_DUPFD, 100);
	CHECK(c == 100 && fcntl(a, F_DUPFD_CLOEXEC, 100) == 101 && fcntl(101, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(c, F_SETFD, FD_CLOEXEC) == 0 && fcntl(c, F_GETFD) == FD_CLOEXEC);
	CHECK(ioctl(c, FIONCLEX) == 0 && fcntl(c, F_GETFD) == 0 && ioctl(c, FIOCLEX) == 0 && fcntl(c, F_GETFD) == 1);
	CHECK(close(b) == 0 && dup(a) == b);
	FAILS(close(b + 50), EBADF);
	FAILS(dup(-1), EBADF);
	FAILS(dup2(77, 5), EBADF);
	FAILS(dup2(a, -1), EBADF);
	CHECK(dup2(a, a) == a && dup2(a, 200) == 200 && fcntl(200, F_GETFD) == 0);
	FAILS(dup3(a, a, 0), EINVAL);
	FAILS(dup3(a, 201, 1), EINVAL);
	CHECK(dup3(a, 201, O_CLOEXEC) == 201 && fcntl(201, F_GETFD) == 1);
	FAILS(fcntl(a, F_DUPFD, -1), EINVAL);
	FAILS(fcntl(a, 9999, 0), EINVAL);
	FAILS(fcntl(99, F_GETFD), EBADF);
	CHECK(syscall(SYS_close_range, 100, 201, 4 /* CLOEXEC */) == 0 && fcntl(200, F_GETFD) == 1);
	FAILS(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	FAILS(syscall(SYS_close_range, 4, 5, 8), EINVAL);
	CHECK(syscall(SYS_close_range, b, ~0u, 0) == 0);
	FAILS(fcntl(200, F_GETFD), EBADF);
	FAILS(fcntl(b, F_GETFD), EBADF);
	int on = 1;
	CHECK(ioctl(a, FIONBIO, &on) == 0 && fcntl(a, F_GETFL) & O_NONBLOCK);
	FAILS(ioctl(a, 0x5401 /* TCGETS */, &on), ENOTTY);
	CHECK(fcntl(a, F_SETFL, O_APPEND) == 0 && (fcntl(a, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE)) == (O_APPEND | O_RDWR));
	CHECK(fcntl(a, F_SETOWN, getpid()) == 0 && fcntl(a, F_GETOWN) == getpid());
	FAILS(fcntl(a, F_SETOWN, 0x7ffffff0), ESRCH);
	CHECK(fcntl(a, F_SETSIG, 40) == 0 && fcntl(a, F_GETSIG) == 40);
	FAILS(fcntl(a, F_SETSIG, 65), EINVAL);
	close(a);
}

static void many(void)
{
	struct rlimit old, more;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	more = old;
	if (more.rlim_max >= 110000)
		more.rlim_cur = 110000;
	else
		more.rlim_cur = more.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &more) == 0);
	int count = more.rlim_cur >= 110000 ? 100000 : (int)more.rlim_cur - 20;
	int first = open("/dev/null", O_RDONLY), last = first;
	for (int i = 1; i < count; i++) {
		int fd = i % 2 ? dup(first) : open("/dev/null", O_RDONLY);
		CHECK(fd == last + 1);
		last = fd;
	}
	CHECK(close(first + count / 2) == 0 && close(first + 7) == 0);
	CHECK(dup(first) == first + 7 && dup(first) == first + count / 2 && dup(first) == last + 1);
	CHECK(syscall(SYS_close_range, first, ~0u, 0) == 0);
	more.rlim_cur = 20;
	CHECK(setrlimit(RLIMIT_NOFILE, &more) == 0);
	while ((first = open("/dev/null", O_RDONLY)) >= 0)
		last = first;
	CHECK(errno == EMFILE && last == 19);
	FAILS(dup2(0, 20), EBADF);
	FAILS(fcntl(0, F_DUPFD, 20), EINVAL);
	FAILS(dup(0), EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
}

static int shared_fd;
static void *worker(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		int fd = open("/dev/null", O_RDWR);
		CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	}
	CHECK(write(shared_fd, arg, 8) == 8);
	return NULL;
}

static void threads(void)
{
	pthread_t t[4];
	struct stat st;

	shared_fd = open("f", O_RDWR | O_TRUNC);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, worker, (void *)"12345678") == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(fstat(shared_fd, &st) == 0 && st.st_size == 32);
	close(shared_fd);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	numbers();
	many();
	threads();
	CHECK(unlink("f") == 0);
	fs_leave();
	OK();
}
