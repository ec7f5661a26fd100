/* SPDX-License-Identifier: Apache-2.0
 *
 * Netlink sockets, as far as there is something to hear: the C library's helper
 * of mq_notify(SIGEV_THREAD) listens on one. No part of the kernel answers
 * requests: whoever sends is refused, as where the part asked for is missing.
 */
#include <asm/socket.h>
#include <linux/netlink.h>

#include "socket.h"

struct netlink_packet { struct list node; u32 size; u8 data[]; };
struct netlink {
	struct lock lock;
	struct list queue;
	struct wait_queue wait;
	u32 type, protocol;
	u32 port, groups; /* port 0: not bound */
	u64 receive_timeout;
};

static struct netlink *netlink_of(const struct file *f) { return f->data; }

int netlink_send(struct file *f, const void *data, u32 size)
{
	struct netlink *s = netlink_of(f);
	struct netlink_packet *p = kmalloc(sizeof(*p) + size);

	if (!p)
		return -ENOMEM;
	p->size = size;
	memcpy(p->data, data, size);
	lock(&s->lock);
	list_add_tail(&s->queue, &p->node);
	unlock(&s->lock);
	wake_up(&s->wait, EV_IN);
	return 0;
}

struct file *netlink_from_fd(int fd)
{
	struct file *f = fd_get(fd);
	int err;

	if (!f)
		return ERR_PTR(-EBADF);
	if (f->ops == &netlink_file_ops)
		return f;
	err = f->inode && S_ISSOCK(f->inode->mode) ? -EINVAL : -ENOTSOCK;
	file_put(f);
	return ERR_PTR(err);
}

/* ---- receiving ---- */

/* The first packet, which goes unless it is only peeked at; -EAGAIN. */
static s64 take(struct netlink *s, struct message *m)
{
	struct netlink_packet *p;
	s64 n = -EAGAIN;

	lock(&s->lock);
	if (!list_empty(&s->queue)) {
		p = list_entry(s->queue.next, struct netlink_packet, node);
		const u32 part = (u32)MIN(m->data.size, (size_t)p->size);
		n = iobuf_copy_to(&m->data, 0, p->data, part) ? -EFAULT : m->flags & MSG_TRUNC ? (s64)p->size : (s64)part;
		if (part < p->size)
			m->out_flags |= MSG_TRUNC;
		if (!(m->flags & MSG_PEEK)) {
			list_del(&p->node);
			kfree(p);
		}
	}
	unlock(&s->lock);
	return n;
}

static s64 netlink_receive(struct file *f, struct message *m)
{
	struct netlink *s = netlink_of(f);
	const struct sockaddr_nl from = { .nl_family = AF_NETLINK }; /* the kernel */
	const u64 deadline = socket_deadline(s->receive_timeout, f->flags & O_NONBLOCK ? MSG_DONTWAIT : m->flags);
	s64 n = m->flags & MSG_OOB ? -EOPNOTSUPP : take(s, m);

	if (n == -EAGAIN && deadline) {
		struct wait_entry *w = wait_on(&s->wait, EV_IN);
		int err = 0;

		while ((n = take(s, m)) == -EAGAIN && !(err = wait_sleep(deadline)))
			wait_begin();
		wait_remove(w);
		if (err)
			return socket_wait_error(err, s->receive_timeout);
	}
	memcpy(&m->name, &from, sizeof(from));
	m->name_size = sizeof(from);
	return n;
}

static s64 netlink_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct message m = { .data = *b, .flags = b->flags & IOBUF_NOWAIT ? MSG_DONTWAIT : 0 };

	(void)pos;
	return netlink_receive(f, &m);
}

static u32 netlink_poll(struct file *f, struct poll_table *t)
{
	struct netlink *s = netlink_of(f);

	if (t)
		t->add(t, &s->wait);
	lock(&s->lock);
	const bool some = !list_empty(&s->queue);
	unlock(&s->lock);
	return (some ? EV_IN : 0) | EV_OUT;
}

/* ---- sending: nobody is there ---- */

static s64 refuse(struct file *f, struct message *m)
{
	(void)f;
	return m->flags & MSG_OOB ? -EOPNOTSUPP : -ECONNREFUSED;
}

static s64 netlink_write(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return -ECONNREFUSED;
}

/* ---- names, options ---- */

/* A number no process has. */
static void bind_somewhere(struct netlink *s)
{
	if (!s->port)
		s->port = (u32)(-4097 - (s32)(anon_ino() & 0xffffff));
}

static int netlink_bind(struct file *f, const struct sockaddr *a, u32 size)
{
	struct netlink *s = netlink_of(f);
	struct sockaddr_nl name;

	if (size < sizeof(name) || a->family != AF_NETLINK)
		return -EINVAL;
	memcpy(&name, a, sizeof(name));
	if (s->port && name.nl_pid != s->port && name.nl_pid)
		return -EINVAL;
	if (name.nl_pid)
		s->port = name.nl_pid;
	bind_somewhere(s);
	s->groups = name.nl_groups;
	return 0;
}

static int netlink_connect(struct file *f, const struct sockaddr *a, u32 size)
{
	if (size < sizeof(a->family))
		return -EINVAL;
	if (a->family == AF_UNSPEC)
		return 0;
	if (a->family != AF_NETLINK || size < sizeof(struct sockaddr_nl))
		return -EINVAL;
	bind_somewhere(netlink_of(f));
	return 0;
}

static int netlink_name(struct file *f, struct sockaddr *a, bool peer)
{
	struct netlink *s = netlink_of(f);
	const struct sockaddr_nl name = {
		.nl_family = AF_NETLINK, .nl_pid = peer ? 0 : s->port, .nl_groups = peer ? 0 : s->groups,
	};

	memcpy(a, &name, sizeof(name));
	return sizeof(name);
}

static int netlink_listen(struct file *f, int backlog) { return (void)f, (void)backlog, -EOPNOTSUPP; }
static struct file *netlink_accept(struct file *f, u32 flags) { return (void)f, (void)flags, ERR_PTR(-EOPNOTSUPP); }
static int netlink_shutdown(struct file *f, u32 bits) { return (void)f, (void)bits, -EOPNOTSUPP; }

static int netlink_set_option(struct file *f, int level, int option, uaddr value, u32 size)
{
	struct netlink *s = netlink_of(f);

	if (level != SOL_SOCKET || (option != SO_RCVTIMEO_OLD && option != SO_RCVTIMEO_NEW))
		return -ENOPROTOOPT;
	return socket_timeout_from_user(value, size, &s->receive_timeout);
}

static int netlink_get_option(struct file *f, int level, int option, void *value, u32 *size)
{
	struct netlink *s = netlink_of(f);
	int v;

	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	switch (option) {
	case SO_TYPE: v = (int)s->type; break;
	case SO_DOMAIN: v = AF_NETLINK; break;
	case SO_PROTOCOL: v = (int)s->protocol; break;
	case SO_ERROR: case SO_ACCEPTCONN: v = 0; break;
	default: return -ENOPROTOOPT;
	}
	memcpy(value, &v, sizeof(v));
	*size = sizeof(v);
	return 0;
}

/* ---- life ---- */

static void netlink_release(struct file *f)
{
	struct netlink *s = netlink_of(f);

	list_for_each_safe(pos, next, &s->queue)
		kfree(list_entry(pos, struct netlink_packet, node));
	kfree(s);
}

const struct file_ops netlink_file_ops = {
	.name = "socket", .read = netlink_read, .write = netlink_write, .poll = netlink_poll, .release = netlink_release,
	.gather = true,
};
const struct socket_ops netlink_socket_ops = {
	.bind = netlink_bind, .connect = netlink_connect, .listen = netlink_listen, .accept = netlink_accept,
	.name = netlink_name, .send = refuse, .receive = netlink_receive, .shutdown = netlink_shutdown,
	.set_option = netlink_set_option, .get_option = netlink_get_option,
};

/* The protocol that is there on every system, and that programs which only listen take. */
int netlink_create(u32 type, u32 protocol, u32 o_flags, struct file **out)
{
	struct netlink *s;
	struct file *f;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	s = kzalloc(sizeof(*s));
	f = s ? file_alloc(&netlink_file_ops, O_RDWR | (o_flags & O_NONBLOCK)) : NULL;
	if (!f) {
		kfree(s);
		return -ENOMEM;
	}
	list_init(&s->queue);
	wait_queue_init(&s->wait);
	s->type = type;
	s->protocol = protocol;
	s->receive_timeout = PICO_FOREVER;
	f->data = s;
	f->inode = anon_inode(S_IFSOCK | 0777);
	if (!f->inode) {
		file_put(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}
