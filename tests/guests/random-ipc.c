/* SPDX-License-Identifier: Apache-2.0
 *
 * Random calls on pipes, sockets, event counters and epoll, none of which
 * waits. See random.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "random.h"

#define SLOTS 10
enum kind { NONE, PIPE, STREAM, DGRAM, SEQPACKET, EVENT, EPOLL };
static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
static const char *const path = "random-ipc.sock";
static int fds[SLOTS];
static enum kind kinds[SLOTS];
static char out[70000], in[70000];
static int broken; /* SIGPIPEs */

static void note(int n) { broken += n == SIGPIPE; }
static unsigned length(void) { return pick(8) ? pick(300) : pick(9000); }
static int slot(void) { return (int)pick(SLOTS); }

static int free_slot(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (fds[i] < 0)
			return i;
	return -1;
}

static void drop(int s)
{
	if (fds[s] >= 0)
		close(fds[s]);
	fds[s] = -1;
	kinds[s] = NONE;
}

static void keep(int fd, enum kind kind)
{
	int s = free_slot();

	if (fd < 0)
		return;
	if (s < 0) {
		close(fd);
		return;
	}
	fds[s] = fd;
	kinds[s] = kind;
}

static void make_room(void)
{
	int s = slot();

	if (free_slot() >= 0)
		return;
	drop(s);
	drop((s + 1) % SLOTS);
}

static long make_pipe(void)
{
	int p[2];

	make_room();
	long r = pipe2(p, O_NONBLOCK | (pick(6) ? 0 : O_DIRECT));
	if (!r) {
		keep(p[0], PIPE);
		keep(p[1], PIPE);
	}
	return r;
}

static long make_pair(void)
{
	unsigned t = pick(3);
	int p[2];

	make_room();
	long r = socketpair(AF_UNIX, types[t] | SOCK_NONBLOCK, 0, p);
	if (!r) {
		keep(p[0], STREAM + t);
		keep(p[1], STREAM + t);
	}
	return r;
}

static long make_event(void)
{
	int fd = eventfd(pick(5), EFD_NONBLOCK | (pick(2) ? EFD_SEMAPHORE : 0));

	keep(fd, EVENT);
	return fd >= 0;
}

static long make_epoll(void)
{
	int fd = epoll_create1(0);

	keep(fd, EPOLL);
	return fd >= 0;
}

static long write_some(void)
{
	int s = slot(), queued = 0;
	unsigned n = length();

	/* How much fits depends on how a kernel counts: stay below. */
	if (kinds[s] >= STREAM && kinds[s] <= SEQPACKET && !ioctl(fds[s], TIOCOUTQ, &queued) && queued > 60000)
		return SKIPPED;
	errno = 0;
	return write(fds[s], out + pick(100), kinds[s] == DGRAM && !n ? 1 : n);
}

static long read_some(void)
{
	long r = read(fds[slot()], in, length());

	if (r > 0)
		printf(" [%x]", sum(in, r));
	return r;
}

static long receive(void)
{
	static const int flags[] = { MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL };
	unsigned n = length();
	long r = recv(fds[slot()], in, n, flags[pick(5)]);

	if (r > 0)
		printf(" [%x]", sum(in, r > (long)n ? (long)n : r));
	return r;
}

static long ask(void)
{
	struct pollfd p = { .fd = fds[slot()], .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
	long r = poll(&p, 1, 0);

	return r * 0x10000 + p.revents;
}

static long how_much(void)
{
	int s = slot(), n = -1;

	if (kinds[s] == EPOLL) /* newer kernels know ioctls there */
		return SKIPPED;
	long r = ioctl(fds[s], FIONREAD, &n);
	printf(" (%d)", n);
	return r;
}

static long shut(void) { return shutdown(fds[slot()], (int)pick(4)); }

static long end(void)
{
	drop(slot());
	return 0;
}

static long control(void)
{
	static const unsigned bits[] = { EPOLLIN, EPOLLOUT, EPOLLET, EPOLLONESHOT, EPOLLRDHUP };
	unsigned target = pick(SLOTS);
	struct epoll_event e = { .data.u64 = target };

	for (unsigned i = 0; i < 5; i++)
		if (!pick(i == 2 ? 3 : i == 3 ? 4 : 2))
			e.events |= bits[i];
	return epoll_ctl(fds[slot()], 1 + (int)pick(3), fds[target], &e);
}

static long harvest(void)
{
	struct epoll_event e[16];
	long r = epoll_wait(fds[slot()], e, 16, 0);
	unsigned long all = 0;

	for (long i = 0; i < r; i++)
		all += e[i].events * 1000003ul * (e[i].data.u64 + 1);
	printf(" {%lx}", all);
	return r;
}

union control { char room[128]; struct cmsghdr head; };

static long send_file(void)
{
	unsigned what = pick(SLOTS);
	union control u = { { 0 } };
	struct iovec v = { out, 1 + pick(20) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = u.room, .msg_controllen = CMSG_SPACE(sizeof(int)) };

	/* Sockets in flight: when a ring of them is found differs. */
	if (kinds[what] != PIPE && kinds[what] != EVENT)
		return SKIPPED;
	u.head.cmsg_level = SOL_SOCKET;
	u.head.cmsg_type = SCM_RIGHTS;
	u.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.head), &fds[what], sizeof(int));
	return sendmsg(fds[slot()], &m, MSG_NOSIGNAL);
}

static long receive_message(void)
{
	union control u = { { 0 } };
	struct sockaddr_un from;
	struct iovec v = { in, length() };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1 };

	if (pick(4)) {
		m.msg_control = u.room;
		m.msg_controllen = pick(4) ? sizeof(u.room) : pick(40);
	}
	long r = recvmsg(fds[slot()], &m, MSG_DONTWAIT);
	if (r < 0)
		return r;
	printf(" (flags %x control %zu name %u)", (unsigned)m.msg_flags, m.msg_controllen, m.msg_namelen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; c->cmsg_type == SCM_RIGHTS && i < count; i++) {
			struct stat st;
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (!fstat(fd, &st))
				printf(" file %o", st.st_mode);
			close(fd);
		}
	}
	return r;
}

static long option(void)
{
	static const int options[] = { SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_DOMAIN, SO_PASSCRED, SO_PROTOCOL, SO_RCVLOWAT, SO_REUSEADDR };
	socklen_t size = sizeof(int);
	int v = 0, s = slot();
	long r = getsockopt(fds[s], SOL_SOCKET, options[pick(8)], &v, &size);

	printf(" (%d)", v);
	return r;
}

static long change(void)
{
	int s = slot(), v;
	long r;

	switch (pick(6)) {
	case 0:
		return fcntl(fds[s], F_SETPIPE_SZ, 1 << (pick(9) + 8));
	case 1:
		return fcntl(fds[s], F_GETPIPE_SZ);
	case 2:
		r = dup(fds[s]);
		keep((int)r, kinds[s]);
		return r < 0 ? r : 1;
	case 3:
		v = (int)pick(2);
		return setsockopt(fds[s], SOL_SOCKET, SO_PASSCRED, &v, sizeof(v));
	case 4:
		return lseek(fds[s], 0, SEEK_CUR);
	default:
		return fcntl(fds[s], F_GETFL);
	}
}

static long names(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(a);
	unsigned t = pick(3);
	int s = slot();
	long r;

	strcpy(a.sun_path, path);
	switch (pick(7)) {
	case 0:
		r = socket(AF_UNIX, types[t] | SOCK_NONBLOCK, 0);
		keep((int)r, STREAM + t);
		return r < 0 ? r : 1;
	case 1:
		return bind(fds[s], (struct sockaddr *)&a, size);
	case 2:
		return listen(fds[s], (int)pick(3));
	case 3:
		return connect(fds[s], (struct sockaddr *)&a, size);
	case 4:
		r = accept4(fds[s], NULL, NULL, SOCK_NONBLOCK);
		keep((int)r, kinds[s]);
		return r < 0 ? r : 1;
	case 5:
		r = getpeername(fds[s], (struct sockaddr *)&a, &size);
		printf(" (%u)", size);
		return r;
	default:
		return unlink(path);
	}
}

static const struct op ops[] = {
	{ "pipe", make_pipe }, { "pair", make_pair }, { "eventfd", make_event }, { "epoll", make_epoll }, { "write", write_some },
	{ "write", write_some }, { "write", write_some }, { "read", read_some }, { "read", read_some }, { "read", read_some },
	{ "poll", ask }, { "poll", ask }, { "fionread", how_much }, { "shutdown", shut }, { "close", end }, { "epoll_ctl", control },
	{ "epoll_ctl", control }, { "epoll_wait", harvest }, { "epoll_wait", harvest }, { "recv", receive }, { "sendmsg", send_file },
	{ "recvmsg", receive_message }, { "getsockopt", option }, { "change", change }, { "names", names },
};

static void show_broken(void) { printf(" %d", broken); }

int main(int argc, char **argv)
{
	signal(SIGPIPE, note);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 256);
	for (int i = 0; i < SLOTS; i++)
		fds[i] = -1;
	unlink(path);
	random_calls(argc, argv, ops, sizeof(ops) / sizeof(ops[0]), show_broken);
	unlink(path);
	return 0;
}
