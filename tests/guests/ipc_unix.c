/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix sockets: pairs, names, connections, packets, descriptors and
 * credentials in flight, options, ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"

#define PATH "ipc_unix.sock"
static volatile sig_atomic_t got;
static void note(int n) { got = n; }

static int events(int fd, short want)
{
	struct pollfd p = { .fd = fd, .events = want };

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static socklen_t name(struct sockaddr_un *a, const char *path)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (path[0] == '@') {
		memcpy(a->sun_path + 1, path + 1, strlen(path) - 1);
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	strcpy(a->sun_path, path);
	return sizeof(*a);
}

static void creation(void)
{
	struct stat st;
	int s, p[2];

	FAILS(socket(AF_UNIX, 77, 0), EINVAL);
	FAILS(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	FAILS(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
	FAILS(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
	FAILS(socket(200, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK((s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) >= 0);
	CHECK(fcntl(s, F_GETFD) == FD_CLOEXEC && fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fstat(s, &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK(events(s, POLLIN | POLLOUT) == (POLLOUT | POLLHUP));
	FAILS(recv(s, p, 1, 0), EINVAL);
	FAILS(send(s, p, 1, 0), ENOTCONN);
	FAILS(accept(s, NULL, NULL), EINVAL);
	FAILS(listen(s, 1), EINVAL);
	FAILS(shutdown(s, 5), EINVAL);
	FAILS(lseek(s, 0, SEEK_SET), ESPIPE);
	close(s);
	FAILS(bind(0, NULL, 0), ENOTSOCK);
	FAILS(listen(999, 0), EBADF);
	CHECK((s = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	FAILS(listen(s, 1), EOPNOTSUPP);
	FAILS(accept(s, NULL, NULL), EOPNOTSUPP);
	FAILS(send(s, p, 1, 0), ENOTCONN);
	close(s);
}

static void streams(void)
{
	char b[100];
	int s[2], n;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(write(s[0], "abc", 3) == 3 && send(s[0], "defg", 4, 0) == 4);
	CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 7);
	CHECK(recv(s[1], b, 5, MSG_PEEK) == 5 && !memcmp(b, "abcde", 5));
	CHECK(recv(s[1], b, 2, 0) == 2 && recv(s[1], b, 100, 0) == 5 && !memcmp(b, "cdefg", 5));
	FAILS(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
	struct timeval tv = { 0, 30000 };
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	FAILS(recv(s[1], b, 1, 0), EAGAIN);
	tv.tv_usec = 0;
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(shutdown(s[0], SHUT_WR) == 0 && read(s[1], b, 1) == 0);
	CHECK(events(s[1], POLLIN | POLLRDHUP) == (POLLIN | POLLRDHUP));
	signal(SIGPIPE, note);
	got = 0;
	FAILS(send(s[0], b, 1, MSG_NOSIGNAL), EPIPE);
	CHECK(got == 0);
	FAILS(write(s[0], b, 1), EPIPE);
	CHECK(got == SIGPIPE);
	CHECK(write(s[1], "back", 4) == 4 && read(s[0], b, 10) == 4);
	CHECK(write(s[1], "lost", 4) == 4);
	close(s[0]);
	FAILS(read(s[1], b, 1), ECONNRESET); /* the other end left with data unread */
	CHECK(read(s[1], b, 1) == 0);
	close(s[1]);
	/* what is under way is bounded */
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	long total = 0;
	static char big[4096];
	while ((n = (int)write(s[0], big, sizeof(big))) > 0)
		total += n;
	CHECK(errno == EAGAIN && total >= 65536 && total <= 1 << 20);
	CHECK(events(s[0], POLLOUT) == 0);
	while (read(s[1], big, sizeof(big)) > 0)
		;
	CHECK(events(s[0], POLLOUT) == POLLOUT);
	close(s[0]);
	close(s[1]);
}

static int ends[2];
static void *feeder(void *arg)
{
	static char b[300000];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (char)(i % 251);
	usleep(10000);
	CHECK(write(ends[0], b, sizeof(b)) == sizeof(b));
	return arg;
}

static void blocking(void)
{
	static char b[300000];
	pthread_t t;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	CHECK(pthread_create(&t, NULL, feeder, NULL) == 0);
	CHECK(recv(ends[1], b, sizeof(b), MSG_WAITALL) == sizeof(b));
	for (size_t i = 0; i < sizeof(b); i++)
		CHECK(b[i] == (char)(i % 251));
	pthread_join(t, NULL);
	struct sigaction sa = { .sa_handler = note };
	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	FAILS(read(ends[1], b, 1), EINTR);
	close(ends[0]);
	close(ends[1]);
}

static void packets(int type)
{
	char b[100];
	int s[2], n;

	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(send(s[0], "one", 3, 0) == 3 && send(s[0], "second", 6, 0) == 6 && send(s[0], "", 0, 0) == 0);
	CHECK(recv(s[1], b, 100, MSG_PEEK) == 3);
	CHECK(recv(s[1], b, 2, 0) == 2);
	struct iovec v = { b, 4 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	CHECK(recvmsg(s[1], &m, MSG_TRUNC) == 6 && (m.msg_flags & MSG_TRUNC));
	CHECK(recv(s[1], b, 100, 0) == 0);
	FAILS(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
	struct iovec w[2] = { { (char *)"ab", 2 }, { (char *)"cd", 2 } }, r[2] = { { b, 1 }, { b + 50, 50 } };
	CHECK(writev(s[0], w, 2) == 4 && readv(s[1], r, 2) == 4 && b[0] == 'a' && !memcmp(b + 50, "bcd", 3));
	n = 300000;
	static char big[300000];
	FAILS(send(s[0], big, (size_t)n, MSG_DONTWAIT), EMSGSIZE);
	struct mmsghdr mm[3] = { 0 };
	struct iovec x[3] = { { (char *)"1", 1 }, { (char *)"22", 2 }, { (char *)"333", 3 } };
	for (int i = 0; i < 3; i++)
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &x[i], .msg_iovlen = 1 };
	CHECK(sendmmsg(s[0], mm, 3, 0) == 3 && mm[2].msg_len == 3);
	char in[3][8];
	for (int i = 0; i < 3; i++) {
		x[i] = (struct iovec){ in[i], 8 };
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &x[i], .msg_iovlen = 1 };
	}
	CHECK(recvmmsg(s[1], mm, 3, MSG_WAITFORONE, NULL) == 3 && mm[1].msg_len == 2 && in[2][0] == '3');
	close(s[0]);
	if (type == SOCK_SEQPACKET)
		CHECK(recv(s[1], b, 1, 0) == 0);
	else
		FAILS(send(s[1], b, 1, 0), ECONNREFUSED);
	close(s[1]);
}

static int server;
static void *client(void *path)
{
	struct sockaddr_un a;
	socklen_t size = name(&a, path);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	usleep(20000);
	CHECK(s >= 0 && connect(s, (struct sockaddr *)&a, size) == 0);
	FAILS(connect(s, (struct sockaddr *)&a, size), EISCONN);
	CHECK(write(s, "hello", 5) == 5);
	char b[8];
	CHECK(read(s, b, 8) == 2);
	close(s);
	return NULL;
}

static void names(const char *path)
{
	struct sockaddr_un a, b;
	socklen_t size = name(&a, path), room = sizeof(b);
	struct ucred cred;
	pthread_t t;
	char buf[8];
	int s, c, v, again;

	if (path[0] != '@')
		unlink(path);
	CHECK((server = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0 && (c = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	FAILS(connect(c, (struct sockaddr *)&a, size), path[0] != '@' ? ENOENT : ECONNREFUSED);
	CHECK(bind(server, (struct sockaddr *)&a, size) == 0);
	FAILS(bind(server, (struct sockaddr *)&a, size), path[0] != '@' ? EADDRINUSE : EINVAL);
	CHECK((again = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	FAILS(bind(again, (struct sockaddr *)&a, size), EADDRINUSE);
	close(again);
	FAILS(connect(c, (struct sockaddr *)&a, size), ECONNREFUSED); /* bound, not listening */
	CHECK(getsockname(server, (struct sockaddr *)&b, &room) == 0);
	CHECK(room == (path[0] != '@' ? offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1 : size) && !memcmp(&a, &b, room));
	CHECK(listen(server, 1) == 0);
	room = sizeof(v);
	CHECK(getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &v, &room) == 0 && v == 1);
	again = socket(AF_UNIX, SOCK_DGRAM, 0);
	FAILS(connect(again, (struct sockaddr *)&a, size), path[0] != '@' ? EPROTOTYPE : ECONNREFUSED); /* abstract names are by type */
	close(again);
	CHECK(pthread_create(&t, NULL, client, (void *)path) == 0);
	room = sizeof(b);
	CHECK((s = accept4(server, (struct sockaddr *)&b, &room, SOCK_CLOEXEC)) >= 0 && room == 2);
	CHECK(fcntl(s, F_GETFD) == FD_CLOEXEC);
	CHECK(read(s, buf, 8) == 5);
	room = sizeof(b);
	CHECK(getsockname(s, (struct sockaddr *)&b, &room) == 0 && !memcmp(&a, &b, room));
	room = sizeof(b);
	CHECK(getpeername(s, (struct sockaddr *)&b, &room) == 0 && room == 2);
	room = sizeof(cred);
	CHECK(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &room) == 0 && cred.pid == getpid() && cred.uid == geteuid());
	CHECK(write(s, "ok", 2) == 2);
	pthread_join(t, NULL);
	close(s);
	/* the queue of connections */
	int q[3];
	for (int i = 0; i < 3; i++) {
		CHECK((q[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
		int r = connect(q[i], (struct sockaddr *)&a, size);
		CHECK(i < 2 ? r == 0 : r == -1 && errno == EAGAIN);
	}
	CHECK(events(server, POLLIN) == POLLIN);
	CHECK(write(q[0], "early", 5) == 5);
	CHECK((s = accept(server, NULL, NULL)) >= 0 && read(s, buf, 8) == 5);
	close(s);
	close(server);
	CHECK(events(q[1], POLLIN) & POLLHUP);
	FAILS(read(q[1], buf, 1), ECONNRESET);
	for (int i = 0; i < 3; i++)
		close(q[i]);
	FAILS(connect(c, (struct sockaddr *)&a, size), ECONNREFUSED);
	close(c);
	if (path[0] != '@') {
		struct stat st;
		CHECK(stat(path, &st) == 0 && S_ISSOCK(st.st_mode));
		FAILS(open(path, O_RDONLY), ENXIO);
		unlink(path);
	}
}

static void datagrams(void)
{
	struct sockaddr_un a, b, none = { .sun_family = AF_UNIX };
	socklen_t size = name(&a, "@ipc_unix-dgram"), room;
	struct sockaddr off = { .sa_family = AF_UNSPEC };
	char buf[64];
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0), x = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(bind(s, (struct sockaddr *)&a, size) == 0);
	CHECK(sendto(c, "anon", 4, 0, (struct sockaddr *)&a, size) == 4);
	room = sizeof(b);
	CHECK(recvfrom(s, buf, 64, 0, (struct sockaddr *)&b, &room) == 4 && room == 0);
	CHECK(bind(c, (struct sockaddr *)&none, sizeof(sa_family_t)) == 0); /* autobind */
	room = sizeof(b);
	CHECK(getsockname(c, (struct sockaddr *)&b, &room) == 0 && room == 8 && !b.sun_path[0]);
	CHECK(connect(c, (struct sockaddr *)&a, size) == 0 && send(c, "named", 5, 0) == 5);
	room = sizeof(b);
	CHECK(recvfrom(s, buf, 64, 0, (struct sockaddr *)&b, &room) == 5 && room == 8);
	CHECK(sendto(s, "reply", 5, 0, (struct sockaddr *)&b, room) == 5 && recv(c, buf, 64, 0) == 5);
	CHECK(connect(s, (struct sockaddr *)&b, room) == 0);
	FAILS(sendto(x, "no", 2, 0, (struct sockaddr *)&a, size), EPERM); /* it talks to one only */
	FAILS(connect(x, (struct sockaddr *)&a, size), EPERM);
	CHECK(connect(s, &off, sizeof(off)) == 0 && sendto(x, "yes", 3, 0, (struct sockaddr *)&a, size) == 3);
	close(s);
	FAILS(send(c, "gone", 4, 0), ECONNREFUSED);
	FAILS(send(c, "gone", 4, 0), ENOTCONN);
	close(c);
	close(x);
}

static ssize_t send_fds(int s, const int *fds, int n, struct ucred *cred)
{
	union { char room[256]; struct cmsghdr align; } u = { 0 };
	struct iovec v = { (char *)"F", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = u.room };
	struct cmsghdr *c = (struct cmsghdr *)u.room;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = cred ? SCM_CREDENTIALS : SCM_RIGHTS;
	c->cmsg_len = cred ? CMSG_LEN(sizeof(*cred)) : CMSG_LEN((size_t)n * sizeof(int));
	if (cred)
		memcpy(CMSG_DATA(c), cred, sizeof(*cred));
	else
		memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
	m.msg_controllen = cred ? CMSG_SPACE(sizeof(*cred)) : CMSG_SPACE((size_t)n * sizeof(int));
	return sendmsg(s, &m, 0);
}

/* How many descriptors came; *flags of the message. */
static int receive_fds(int s, int *fds, size_t room, int flags, int *out, struct ucred *cred)
{
	union { char room[256]; struct cmsghdr align; } u = { 0 };
	char b[8];
	struct iovec v = { b, sizeof(b) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = u.room, .msg_controllen = room };
	int n = 0;

	CHECK(recvmsg(s, &m, flags) >= 1);
	*out = m.msg_flags;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == SCM_CREDENTIALS && cred)
			memcpy(cred, CMSG_DATA(c), sizeof(*cred));
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)n * sizeof(int));
	}
	return n;
}

static void descriptors(int type)
{
	int s[2], p[2], in[8], flags, two[2], on = 1;
	struct ucred cred = { 0, 0, 0 };
	char b[8];

	CHECK(socketpair(AF_UNIX, type, 0, s) == 0 && pipe(p) == 0);
	CHECK(send_fds(s[0], p, 2, NULL) == 1);
	CHECK(receive_fds(s[1], in, 256, MSG_CMSG_CLOEXEC, &flags, NULL) == 2 && !(flags & MSG_CTRUNC));
	CHECK(fcntl(in[0], F_GETFD) == FD_CLOEXEC);
	CHECK(write(in[1], "via", 3) == 3 && read(p[0], b, 8) == 3);
	close(in[0]);
	close(in[1]);
	/* room for one only; and none at all */
	CHECK(send_fds(s[0], p, 2, NULL) == 1);
	CHECK(receive_fds(s[1], in, CMSG_LEN(sizeof(int)), 0, &flags, NULL) == 1 && (flags & MSG_CTRUNC));
	close(in[0]);
	CHECK(send_fds(s[0], p, 2, NULL) == 1 && recv(s[1], b, 8, 0) == 1);
	two[0] = 999;
	FAILS(send_fds(s[0], two, 1, NULL), EBADF);
	/* the queue keeps a file alive */
	CHECK(send_fds(s[0], p, 2, NULL) == 1);
	close(p[1]);
	struct pollfd f = { .fd = p[0], .events = POLLIN };
	CHECK(poll(&f, 1, 0) == 0);
	CHECK(receive_fds(s[1], in, 256, 0, &flags, NULL) == 2);
	close(in[0]);
	close(in[1]);
	CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLHUP);
	close(p[0]);
	/* peeked descriptors are copies */
	CHECK(pipe(p) == 0 && send_fds(s[0], p, 1, NULL) == 1);
	CHECK(receive_fds(s[1], in, 256, MSG_PEEK, &flags, NULL) == 1 && receive_fds(s[1], in + 1, 256, 0, &flags, NULL) == 1);
	close(in[0]);
	close(in[1]);
	close(p[0]);
	close(p[1]);
	/* credentials */
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	CHECK(write(s[0], "c", 1) == 1 && receive_fds(s[1], in, 256, 0, &flags, &cred) == 0);
	CHECK(cred.pid == getpid() && cred.uid == getuid() && cred.gid == getgid());
	cred = (struct ucred){ getpid(), getuid(), getgid() };
	CHECK(send_fds(s[0], NULL, 0, &cred) == 1);
	struct ucred other = { 0 };
	CHECK(receive_fds(s[1], in, 256, 0, &flags, &other) == 0 && other.pid == getpid());
	close(s[0]);
	close(s[1]);
}

/* Sockets that hold only each other must go: their pipe's other end sees it. */
static void cycles(void)
{
	for (int round = 0; round < 50; round++) {
		int a[2], b[2], p[2];
		struct pollfd f;

		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0 && pipe(p) == 0);
		CHECK(send_fds(a[0], b, 2, NULL) == 1 && send_fds(b[0], a, 2, NULL) == 1);
		CHECK(send_fds(a[0], &p[1], 1, NULL) == 1);
		close(p[1]);
		for (int i = 0; i < 2; i++) {
			close(a[i]);
			close(b[i]);
		}
		close(socket(AF_UNIX, SOCK_STREAM, 0)); /* the end of any socket has them looked for */
		f = (struct pollfd){ .fd = p[0], .events = POLLIN };
		CHECK(poll(&f, 1, 2000) == 1 && f.revents == POLLHUP);
		close(p[0]);
	}
}

static void options(void)
{
	int s[2], v;
	socklen_t room = sizeof(v);

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &room) == 0 && v == SOCK_SEQPACKET && room == 4);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &room) == 0 && v == AF_UNIX);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &room) == 0 && v == 0);
	v = 10000;
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &room) == 0 && v == 20000);
	FAILS(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, sizeof(v)), ENOPROTOOPT);
	FAILS(setsockopt(s[0], SOL_SOCKET, 9999, &v, sizeof(v)), ENOPROTOOPT);
	FAILS(getsockopt(s[0], SOL_SOCKET, 9999, &v, &room), ENOPROTOOPT);
	FAILS(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 2), EINVAL);
	FAILS(setsockopt(s[0], 6, 1, &v, sizeof(v)), EOPNOTSUPP);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	creation();
	streams();
	blocking();
	packets(SOCK_DGRAM);
	packets(SOCK_SEQPACKET);
	names(PATH);
	names("@ipc_unix-name");
	datagrams();
	descriptors(SOCK_STREAM);
	descriptors(SOCK_DGRAM);
	descriptors(SOCK_SEQPACKET);
	cycles();
	options();
	OK();
}
