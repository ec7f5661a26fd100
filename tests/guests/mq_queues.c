/* SPDX-License-Identifier: Apache-2.0
 *
 * POSIX message queues: names and permissions, priorities, limits, waits with
 * and without a time, notification, readiness, and what the descriptor is as
 * a file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static void *volatile bad = (void *)8; /* no memory there */
static char name[64], other[64];
static volatile sig_atomic_t got, got_code, got_value, got_pid;
static void note(int n, siginfo_t *i, void *c)
{
	(void)c;
	got = n;
	got_code = i->si_code;
	got_value = i->si_value.sival_int;
	got_pid = i->si_pid;
}

static void child_ends_well(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	while (waitpid(pid, &status, 0) < 0) /* a notification may come meanwhile */
		CHECK(errno == EINTR);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void asleep(pid_t pid)
{
	char file[64], state = 'R';

	snprintf(file, sizeof(file), "/proc/%d/stat", pid);
	for (int i = 0; i < 20000 && state != 'S'; i++) {
		FILE *f = fopen(file, "r");
		CHECK(f && fscanf(f, "%*d %*s %c", &state) == 1);
		fclose(f);
		usleep(500);
	}
	CHECK(state == 'S');
}

static int events(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static struct timespec in_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static mqd_t make(long count, long size, int flags)
{
	struct mq_attr a = { .mq_maxmsg = count, .mq_msgsize = size };
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a);

	CHECK(q >= 0);
	return q;
}

static void names(void)
{
	struct mq_attr a = { .mq_maxmsg = 3, .mq_msgsize = 20, .mq_flags = O_NONBLOCK, .mq_curmsgs = 9 };
	struct stat st;
	char text[128] = "", path[64], link[128] = "";
	mqd_t q, r;

	FAILS(mq_open(name, O_RDWR), ENOENT);
	FAILS(mq_unlink(name), ENOENT);
	FAILS(mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	FAILS(syscall(SYS_mq_open, ".", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	FAILS(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL), ENOENT);
	FAILS(syscall(SYS_mq_open, bad, O_CREAT | O_RDWR, 0600, NULL), EFAULT);
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, bad), EFAULT);
	memset(text, 'a', sizeof(text) - 1);
	char *long_name = malloc(300);
	memset(long_name, 'a', 299);
	long_name[0] = '/';
	long_name[299] = 0;
	FAILS(mq_open(long_name, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
	free(long_name);
	umask(022);
	q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0666, &a);
	CHECK(q >= 0 && fcntl(q, F_GETFD) == FD_CLOEXEC);
	FAILS(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
	memset(&a, 0xff, sizeof(a));
	CHECK(mq_getattr(q, &a) == 0 && a.mq_flags == 0 && a.mq_maxmsg == 3 && a.mq_msgsize == 20 && a.mq_curmsgs == 0);
	a.mq_flags = O_NONBLOCK;
	struct mq_attr old;
	CHECK(mq_setattr(q, &a, &old) == 0 && old.mq_flags == 0 && fcntl(q, F_GETFL) & O_NONBLOCK);
	a.mq_flags = 1;
	FAILS(mq_setattr(q, &a, NULL), EINVAL);
	FAILS(mq_getattr(0, &a), EBADF);
	FAILS(mq_getattr(-1, &a), EBADF);
	CHECK(fstat(q, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0644 && st.st_size == 80 && st.st_nlink == 1);
	r = mq_open(name, O_RDONLY);
	CHECK(r >= 0);
	FAILS(mq_send(r, "x", 1, 0), EBADF);
	CHECK(mq_send(q, "hello", 5, 2) == 0);
	memset(text, 0, sizeof(text));
	CHECK(read(r, text, sizeof(text)) > 0 && !strncmp(text, "QSIZE:5 ", 8) && strstr(text, "NOTIFY:0 "));
	CHECK(mq_receive(r, text, 20, NULL) == 5);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", q);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && strstr(link, name));
	CHECK(mq_unlink(name) == 0 && fstat(q, &st) == 0 && st.st_nlink == 0);
	FAILS(mq_open(name, O_RDWR), ENOENT);
	CHECK(mq_send(q, "still", 5, 0) == 0 && mq_receive(r, text, 20, NULL) == 5);
	CHECK(mq_close(q) == 0 && mq_close(r) == 0);
	FAILS(mq_close(r), EBADF);
	q = open("/dev/null", O_RDWR);
	FAILS(mq_send(q, "x", 1, 0), EBADF);
	FAILS(mq_receive(q, text, 1, 0), EBADF);
	FAILS(mq_notify(q, NULL), EBADF);
	close(q);
}

static void messages(void)
{
	mqd_t q = make(5, 10, O_NONBLOCK);
	char b[16];
	unsigned prio;

	FAILS(mq_receive(q, b, 10, NULL), EAGAIN);
	FAILS(mq_receive(q, b, 9, NULL), EMSGSIZE);
	FAILS(mq_send(q, "01234567890", 11, 0), EMSGSIZE);
	FAILS(mq_send(q, "x", 1, 32768), EINVAL);
	FAILS(mq_send(q, bad, 1, 0), EFAULT);
	CHECK(events(q) == POLLOUT);
	CHECK(mq_send(q, "b1", 2, 5) == 0 && mq_send(q, "a1", 2, 32767) == 0 && mq_send(q, "c", 1, 0) == 0 && mq_send(q, "b2", 2, 5) == 0);
	CHECK(events(q) == (POLLIN | POLLOUT));
	CHECK(mq_send(q, "", 0, 5) == 0 && events(q) == POLLIN);
	FAILS(mq_send(q, "x", 1, 0), EAGAIN);
	CHECK(mq_receive(q, b, 16, &prio) == 2 && !memcmp(b, "a1", 2) && prio == 32767);
	CHECK(mq_receive(q, b, 16, &prio) == 2 && !memcmp(b, "b1", 2) && prio == 5);
	CHECK(mq_receive(q, b, 16, &prio) == 2 && !memcmp(b, "b2", 2) && prio == 5);
	CHECK(mq_receive(q, b, 16, &prio) == 0 && prio == 5);
	CHECK(mq_receive(q, b, 16, NULL) == 1 && *b == 'c');
	CHECK(mq_send(q, "x", 1, 0) == 0);
	FAILS(mq_receive(q, bad, 16, NULL), EFAULT);
	FAILS(mq_receive(q, b, 16, NULL), EAGAIN); /* it is gone */
	/* many of all priorities come out in order */
	CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
	q = make(10, 8, 0);
	unsigned seed = 1, last = 99;
	for (int turn = 0; turn < 20; turn++, last = 99) {
		unsigned sequence[8] = { 0 }, seen[8] = { 0 };
		for (int i = 0; i < 10; i++) {
			prio = (seed = seed * 1103515245 + 12345) >> 16 & 7;
			CHECK(mq_send(q, (char *)&sequence[prio], 4, prio) == 0);
			sequence[prio]++;
		}
		for (int i = 0; i < 10; i++) {
			unsigned n[2];
			CHECK(mq_receive(q, (char *)n, 8, &prio) == 4 && prio <= last && n[0] == seen[prio]++);
			last = prio;
		}
	}
	CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
}

static void waits(void)
{
	mqd_t q = make(1, 8, 0);
	struct timespec t = in_ms(30), past = { 1, 0 }, wrong = { 0, 1000000000 };
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	char b[8];
	pid_t pid;

	FAILS(mq_timedreceive(q, b, 8, NULL, &t), ETIMEDOUT);
	struct timespec now = in_ms(0);
	CHECK(now.tv_sec > t.tv_sec || (now.tv_sec == t.tv_sec && now.tv_nsec >= t.tv_nsec));
	FAILS(mq_timedreceive(q, b, 8, NULL, &past), ETIMEDOUT);
	FAILS(mq_timedreceive(q, b, 8, NULL, &wrong), EINVAL);
	FAILS(syscall(SYS_mq_timedreceive, q, b, 8ul, NULL, bad), EFAULT);
	CHECK(mq_timedsend(q, "1", 1, 0, &past) == 0);
	FAILS(mq_timedsend(q, "2", 1, 0, &past), ETIMEDOUT);
	/* a sender that waits is served by the receiver */
	pid = fork();
	if (pid == 0)
		_exit(mq_send(q, "2", 1, 0) != 0);
	asleep(pid);
	CHECK(mq_receive(q, b, 8, NULL) == 1 && *b == '1' && mq_receive(q, b, 8, NULL) == 1 && *b == '2');
	child_ends_well(pid);
	pid = fork();
	if (pid == 0) {
		CHECK(mq_receive(q, b, 8, NULL) == 1 && *b == '3');
		_exit(0);
	}
	asleep(pid);
	CHECK(mq_send(q, "3", 1, 0) == 0);
	child_ends_well(pid);
	/* signals */
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_flags |= SA_RESTART;
	sigaction(SIGUSR2, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		FAILS(mq_receive(q, b, 8, NULL), EINTR);
		CHECK(mq_receive(q, b, 8, NULL) == 1 && got == SIGUSR2);
		_exit(0);
	}
	asleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0);
	usleep(10000);
	asleep(pid);
	CHECK(kill(pid, SIGUSR2) == 0);
	usleep(10000);
	CHECK(mq_send(q, "4", 1, 0) == 0);
	child_ends_well(pid);
	/* epoll hears of another process */
	struct epoll_event ev = { .events = EPOLLIN };
	int e = epoll_create1(0);
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, q, &ev) == 0);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(mq_send(q, "5", 1, 0) != 0);
	}
	CHECK(epoll_wait(e, &ev, 1, 10000) == 1 && ev.events == EPOLLIN);
	child_ends_well(pid);
	CHECK(mq_receive(q, b, 8, NULL) == 1 && epoll_wait(e, &ev, 1, 0) == 0);
	close(e);
	CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
}

static void notification(void)
{
	mqd_t q = make(4, 8, O_NONBLOCK), q2;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	char b[128];
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	got = 0;
	CHECK(mq_notify(q, &ev) == 0);
	FAILS(mq_notify(q, &ev), EBUSY);
	memset(b, 0, sizeof(b));
	CHECK(read(q, b, sizeof(b)) > 0 && strstr(b, "SIGNO:10 "));
	pid = fork();
	if (pid == 0) {
		FAILS(mq_notify(q, &ev), EBUSY);
		CHECK(mq_notify(q, NULL) == 0); /* not ours: nothing happens */
		_exit(mq_send(q, "x", 1, 0) != 0);
	}
	child_ends_well(pid);
	CHECK(got == SIGUSR1 && got_code == SI_MESGQ && got_value == 42 && got_pid == pid);
	/* once only, and only when it was empty */
	got = 0;
	CHECK(mq_notify(q, &ev) == 0 && mq_send(q, "y", 1, 0) == 0 && got == 0);
	CHECK(mq_receive(q, b, 8, NULL) == 1 && mq_receive(q, b, 8, NULL) == 1 && mq_send(q, "z", 1, 0) == 0 && got == SIGUSR1);
	CHECK(mq_receive(q, b, 8, NULL) == 1);
	/* not when somebody waits for the message */
	got = 0;
	struct mq_attr a = { 0 };
	CHECK(mq_notify(q, &ev) == 0 && mq_setattr(q, &a, NULL) == 0);
	pid = fork();
	if (pid == 0)
		_exit(mq_receive(q, b, 8, NULL) != 1);
	asleep(pid);
	CHECK(mq_send(q, "w", 1, 0) == 0);
	child_ends_well(pid);
	CHECK(got == 0);
	/* given up by closing any descriptor, or by hand */
	q2 = mq_open(name, O_RDONLY);
	CHECK(mq_close(q2) == 0 && mq_notify(q, &ev) == 0);
	CHECK(mq_notify(q, NULL) == 0 && mq_notify(q, NULL) == 0);
	pid = fork();
	if (pid == 0)
		_exit(mq_notify(q, &ev) != 0);
	child_ends_well(pid);
	ev.sigev_notify = SIGEV_NONE;
	CHECK(mq_notify(q, &ev) == 0 && mq_send(q, "v", 1, 0) == 0 && got == 0);
	ev.sigev_notify = 77;
	FAILS(mq_notify(q, &ev), EINVAL);
	ev.sigev_notify = SIGEV_SIGNAL;
	ev.sigev_signo = 65;
	FAILS(mq_notify(q, &ev), EINVAL);
	FAILS(syscall(SYS_mq_notify, q, bad), EFAULT);
	CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
}

static volatile int told;
static void tell(union sigval v) { __atomic_store_n(&told, v.sival_int, __ATOMIC_SEQ_CST); }

/* The C library has a thread for it, which hears by a netlink socket. */
static void by_thread(void)
{
	mqd_t q = make(4, 8, O_NONBLOCK);
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = tell, .sigev_value.sival_int = 7 };
	char b[32] = { 0 };
	int fd, i;

	CHECK(mq_notify(q, &ev) == 0);
	FAILS(mq_notify(q, &ev), EBUSY);
	CHECK(mq_send(q, "x", 1, 0) == 0);
	for (i = 0; i < 5000 && told != 7; i++)
		usleep(1000);
	CHECK(told == 7 && mq_receive(q, b, 8, NULL) == 1);
	ev.sigev_value.sival_int = 8;
	CHECK(mq_notify(q, &ev) == 0 && mq_notify(q, NULL) == 0 && mq_send(q, "y", 1, 0) == 0);
	CHECK(mq_receive(q, b, 8, NULL) == 1);
	/* what the library does; the last byte of its 32 says what happened */
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0);
	CHECK(fd >= 0);
	FAILS(recv(fd, b, 32, 0), EAGAIN);
	struct sigevent raw = { .sigev_notify = SIGEV_THREAD, .sigev_signo = fd, .sigev_value.sival_ptr = b };
	memset(b, 'c', sizeof(b));
	CHECK(syscall(SYS_mq_notify, q, &raw) == 0 && events(fd) == POLLOUT && mq_send(q, "z", 1, 0) == 0);
	CHECK(events(fd) == (POLLIN | POLLOUT) && recv(fd, b, 32, MSG_WAITALL) == 32 && b[30] == 'c' && b[31] == 1);
	CHECK(mq_receive(q, b, 8, NULL) == 1);
	memset(b, 'd', sizeof(b));
	CHECK(syscall(SYS_mq_notify, q, &raw) == 0 && mq_notify(q, NULL) == 0);
	CHECK(recv(fd, b, 32, 0) == 32 && b[0] == 'd' && b[31] == 2);
	raw.sigev_value.sival_ptr = bad;
	FAILS(syscall(SYS_mq_notify, q, &raw), EFAULT);
	raw.sigev_value.sival_ptr = b;
	raw.sigev_signo = -1;
	FAILS(syscall(SYS_mq_notify, q, &raw), EBADF);
	raw.sigev_signo = q;
	FAILS(syscall(SYS_mq_notify, q, &raw), ENOTSOCK);
	close(fd);
	raw.sigev_signo = fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	FAILS(syscall(SYS_mq_notify, q, &raw), EINVAL);
	close(fd);
	CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
}

static void limits(void)
{
	struct mq_attr a = { .mq_maxmsg = 0, .mq_msgsize = 8 };
	struct rlimit rl;
	pid_t pid;

	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a.mq_maxmsg = -1;
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a = (struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = 0 };
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a = (struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = (16 << 20) + 1 };
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	pid = fork();
	if (pid == 0) { /* bytes of a user */
		CHECK(getrlimit(RLIMIT_MSGQUEUE, &rl) == 0);
		rl.rlim_cur = 0;
		CHECK(setrlimit(RLIMIT_MSGQUEUE, &rl) == 0);
		FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, NULL), EMFILE);
		FAILS(mq_open(name, O_RDWR), ENOENT);
		rl.rlim_cur = 0;
		CHECK(getrlimit(RLIMIT_NOFILE, &rl) == 0);
		rl.rlim_cur = 0;
		CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
		FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, NULL), EMFILE);
		_exit(0);
	}
	child_ends_well(pid);
	FAILS(mq_open(name, O_RDWR), ENOENT);
	FILE *f = fopen("/proc/sys/fs/mqueue/msg_max", "r");
	int most = 0;
	CHECK(f && fscanf(f, "%d", &most) == 1 && most >= 1);
	fclose(f);
	if (geteuid())
		return;
	pid = fork();
	if (pid == 0) { /* of others no more than is allowed; names of others stay */
		mqd_t q = make(1, 8, 0);
		CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
		a = (struct mq_attr){ .mq_maxmsg = most + 1, .mq_msgsize = 8 };
		FAILS(mq_open(other, O_CREAT | O_RDWR, 0600, &a), EINVAL);
		FAILS(mq_open(name, O_RDWR), EACCES);
		FAILS(syscall(SYS_mq_unlink, name + 1), EPERM);
		CHECK(mq_send(q, "x", 1, 0) == 0); /* it is open */
		_exit(0);
	}
	child_ends_well(pid);
	CHECK(mq_unlink(name) == 0);
}

int main(void)
{
	snprintf(name, sizeof(name), "/pico-test-%d", getpid());
	snprintf(other, sizeof(other), "/pico-other-%d", getpid());
	names();
	messages();
	waits();
	notification();
	by_thread();
	limits();
	OK();
}
