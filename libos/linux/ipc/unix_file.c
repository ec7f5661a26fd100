/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix sockets as files: readiness, ioctl, options. Knows nothing of how data
 * or names move.
 */
#include <asm/socket.h>

#include "socket.h"

/* ---- readiness ---- */

/* A datagram socket whose peer's queue is full cannot write. */
static bool peer_full(struct unix_sock *s)
{
	struct unix_sock *to = s->type == SOCK_DGRAM ? unix_peer(s) : NULL;
	bool full;

	if (!to)
		return false;
	full = to->peer != s && to->queue_count > to->backlog;
	/* No wait on the peer's own queue, which may go before the poll does:
	 * its readers wake those connected to it. */
	unix_put(to);
	return full;
}

u32 unix_poll(struct file *f, struct poll_table *t)
{
	struct unix_sock *s = unix_of(f);
	u32 ev = 0;

	if (t)
		t->add(t, &s->wait);
	lock(&s->lock);
	if (s->error)
		ev |= EPOLLERR;
	if (s->shutdown == (SHUT_RECEIVE | SHUT_SEND))
		ev |= EPOLLHUP;
	if (s->shutdown & SHUT_RECEIVE)
		ev |= EPOLLRDHUP | EV_IN;
	if (!list_empty(&s->queue))
		ev |= EV_IN;
	if (unix_connects(s) && s->state == UNIX_UNCONNECTED)
		ev |= EPOLLHUP;
	unlock(&s->lock);
	if (s->state != UNIX_LISTENING && unix_writable(s) && !peer_full(s))
		ev |= EV_OUT | EPOLLWRBAND;
	return ev;
}

long unix_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct unix_sock *s = unix_of(f);
	int n = 0;

	switch (cmd) {
	case TIOCOUTQ: /* and SIOCOUTQ */
		n = (int)s->wmem;
		break;
	case FIONREAD: /* and SIOCINQ */
		if (s->state == UNIX_LISTENING)
			return -EINVAL;
		lock(&s->lock);
		if (unix_connects(s))
			n = (int)s->queue_bytes;
		else if (!list_empty(&s->queue))
			n = (int)list_entry(s->queue.next, struct unix_packet, node)->size;
		unlock(&s->lock);
		break;
	default:
		return -ENOTTY;
	}
	return put_user(n, arg);
}

/* ---- options ---- */

int socket_timeout_from_user(uaddr at, u32 size, u64 *out)
{
	struct lx_timeval tv;

	if (size < sizeof(tv))
		return -EINVAL;
	if (copy_from_user(&tv, at, sizeof(tv)))
		return -EFAULT;
	if (tv.usec < 0 || tv.usec >= 1000000)
		return -EDOM;
	if (tv.sec < 0)
		*out = 0;
	else if (!tv.sec && !tv.usec)
		*out = PICO_FOREVER;
	else
		*out = tv.sec > 1000000000 ? PICO_FOREVER : (u64)tv.sec * NSEC_PER_SEC + (u64)tv.usec * 1000;
	return 0;
}

/* Doubled for overhead, as Linux does. A negative wish is a huge one. */
static u32 buffer_size(int wish, u32 most, u32 least)
{
	u32 n = MIN((u32)wish, most) * 2;

	return MAX(n, least);
}

int unix_set_option(struct file *f, int level, int option, uaddr value, u32 size)
{
	struct unix_sock *s = unix_of(f);
	struct { int on, linger; } v = { 0, 0 };

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (option == SO_RCVTIMEO_OLD || option == SO_RCVTIMEO_NEW)
		return socket_timeout_from_user(value, size, &s->receive_timeout);
	if (option == SO_SNDTIMEO_OLD || option == SO_SNDTIMEO_NEW)
		return socket_timeout_from_user(value, size, &s->send_timeout);
	if (size < sizeof(int))
		return -EINVAL;
	if (copy_from_user(&v, value, MIN((size_t)size, sizeof(v))))
		return -EFAULT;
	switch (option) {
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (!capable(12 /* CAP_NET_ADMIN */))
			return -EPERM;
		if (option == SO_SNDBUFFORCE)
			s->sndbuf = buffer_size(v.on < 0 ? 0 : v.on, 0x3fffffff, 4608);
		else
			s->rcvbuf = buffer_size(v.on < 0 ? 0 : v.on, 0x3fffffff, 2304);
		return 0;
	case SO_SNDBUF:
		s->sndbuf = buffer_size(v.on, 212992, 4608);
		wake_up(&s->wait, EV_OUT);
		return 0;
	case SO_RCVBUF:
		s->rcvbuf = buffer_size(v.on, 212992, 2304);
		return 0;
	case SO_PASSCRED: s->passcred = v.on != 0; return 0;
	case SO_REUSEADDR: s->reuse = v.on != 0; return 0;
	case SO_KEEPALIVE: s->keepalive = v.on != 0; return 0;
	case SO_BROADCAST: s->broadcast = v.on != 0; return 0;
	case SO_RCVLOWAT: s->lowat = v.on < 0 ? 0x7fffffffu : v.on ? (u32)v.on : 1; return 0;
	case SO_PRIORITY: s->priority = (u32)v.on; return 0;
	case SO_LINGER:
		if (size < sizeof(v))
			return -EINVAL;
		s->linger_on = v.on != 0;
		s->linger_seconds = (u32)v.linger;
		return 0;
	case SO_DEBUG:
		return v.on && !capable(12) ? -EACCES : 0;
	case SO_DONTROUTE:
	case SO_OOBINLINE:
	case SO_NO_CHECK:
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMPNS_OLD:
	case SO_BUSY_POLL:
		return 0;
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
	case SO_ACCEPTCONN:
	case SO_SNDLOWAT:
		return -ENOPROTOOPT;
	}
	return -ENOPROTOOPT;
}

static void timeout_to(u64 t, void *value, u32 *size)
{
	struct lx_timeval tv = { 0, 0 };

	if (t != PICO_FOREVER)
		tv = (struct lx_timeval){ (s64)(t / NSEC_PER_SEC), (s64)(t % NSEC_PER_SEC / 1000) };
	memcpy(value, &tv, sizeof(tv));
	*size = sizeof(tv);
}

int unix_get_option(struct file *f, int level, int option, void *value, u32 *size)
{
	struct unix_sock *s = unix_of(f);
	int v = 0;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	switch (option) {
	case SO_TYPE: v = s->type; break;
	case SO_DOMAIN: v = AF_UNIX; break;
	case SO_PROTOCOL: v = 0; break;
	case SO_ERROR: v = -unix_take_error(s); break;
	case SO_ACCEPTCONN: v = s->state == UNIX_LISTENING; break;
	case SO_SNDBUF: v = (int)s->sndbuf; break;
	case SO_RCVBUF: v = (int)s->rcvbuf; break;
	case SO_PASSCRED: v = s->passcred; break;
	case SO_REUSEADDR: v = s->reuse; break;
	case SO_KEEPALIVE: v = s->keepalive; break;
	case SO_BROADCAST: v = s->broadcast; break;
	case SO_RCVLOWAT: v = (int)s->lowat; break;
	case SO_SNDLOWAT: v = 1; break;
	case SO_PRIORITY: v = (int)s->priority; break;
	case SO_DEBUG:
	case SO_DONTROUTE:
	case SO_OOBINLINE:
	case SO_NO_CHECK:
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMPNS_OLD:
	case SO_PASSSEC:
		break;
	case SO_LINGER: {
		struct { int on, linger; } l = { s->linger_on, (int)s->linger_seconds };

		memcpy(value, &l, sizeof(l));
		*size = sizeof(l);
		return 0;
	}
	case SO_PEERCRED:
		memcpy(value, &s->peer_creds, sizeof(s->peer_creds));
		*size = sizeof(s->peer_creds);
		return 0;
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		timeout_to(s->receive_timeout, value, size);
		return 0;
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		timeout_to(s->send_timeout, value, size);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
	memcpy(value, &v, sizeof(v));
	*size = sizeof(v);
	return 0;
}
