/* SPDX-License-Identifier: Apache-2.0
 *
 * Corners of the calls about processes: what a child gets of its parent's
 * scheduling and timer slack, looking at another's descriptors, waiting.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check_child(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
}

static long compare(pid_t a, pid_t b, int kind, unsigned long x, unsigned long y) { return syscall(SYS_kcmp, a, b, kind, x, y); }

/* A child looks at its parent, which lets it: same ids, nothing hidden. */
static void others_files(void)
{
	int fd[2], other, end[2];
	char c;
	pid_t pid;

	CHECK(!pipe(fd) && !pipe(end));
	pid = fork();
	if (!pid) {
		int self = syscall(SYS_pidfd_open, getpid(), 0);

		close(end[1]);
		CHECK(read(end[0], &c, 1) == 0); /* till the parent has looked */
		CHECK(self >= 0);
		_exit(0);
	}
	CHECK(pid > 0);
	CHECK(compare(getpid(), pid, KCMP_FILE, fd[0], fd[0]) == 0);
	CHECK(compare(getpid(), pid, KCMP_FILE, fd[0], fd[1]) > 0);
	CHECK(compare(getpid(), pid, KCMP_VM, 0, 0) > 0);
	FAILS(compare(getpid(), pid, KCMP_FILE, fd[0], 999), EBADF);
	other = syscall(SYS_pidfd_open, pid, 0);
	CHECK(other >= 0);
	int got = syscall(SYS_pidfd_getfd, other, fd[1], 0);
	CHECK(got >= 0 && compare(getpid(), getpid(), KCMP_FILE, got, fd[1]) == 0 && fcntl(got, F_GETFD) == FD_CLOEXEC);
	FAILS(syscall(SYS_pidfd_getfd, other, 999, 0), EBADF);
	close(end[1]);
	check_child(pid);
	FAILS(syscall(SYS_pidfd_getfd, other, fd[1], 0), ESRCH);
	close(fd[0]);
	close(fd[1]);
	close(end[0]);
	close(got);
	close(other);
}

static void inherited(void)
{
	struct sched_param zero = { 0 };
	pid_t pid;

	CHECK(!prctl(PR_SET_TIMERSLACK, 70000));
	CHECK(!sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &zero));
	pid = fork();
	if (!pid) {
		CHECK(prctl(PR_GET_TIMERSLACK) == 70000);
		CHECK(!prctl(PR_SET_TIMERSLACK, 100) && prctl(PR_GET_TIMERSLACK) == 100);
		CHECK(!prctl(PR_SET_TIMERSLACK, 0) && prctl(PR_GET_TIMERSLACK) == 70000);
		CHECK(sched_getscheduler(0) == SCHED_BATCH); /* only real-time and haste are taken away */
		_exit(0);
	}
	check_child(pid);
	CHECK(sched_getscheduler(0) == (SCHED_BATCH | SCHED_RESET_ON_FORK));
	CHECK(!prctl(PR_SET_TIMERSLACK, 0) && prctl(PR_GET_TIMERSLACK) != 70000);
}

static void timeouts(void)
{
	struct timespec ts = { 0, 1000 };
	struct timeval tv = { 0, 1000 };

	CHECK(personality(PER_LINUX | STICKY_TIMEOUTS) >= 0);
	CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && tv.tv_usec == 1000);
	CHECK(personality(PER_LINUX) >= 0);
	CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && tv.tv_usec == 0);
	FAILS(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
}

/* More than a pipe holds: what fits, and no wait for the rest. */
static void splice_memory(void)
{
	static char data[1 << 18];
	struct iovec v = { data, sizeof(data) };
	int fd[2];

	CHECK(!pipe(fd));
	long n = vmsplice(fd[1], &v, 1, 0);
	CHECK(n > 0 && n <= fcntl(fd[1], F_GETPIPE_SZ));
	FAILS(vmsplice(fd[1], &v, 1, SPLICE_F_NONBLOCK), EAGAIN);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	others_files();
	inherited();
	timeouts();
	splice_memory();
	OK();
}
