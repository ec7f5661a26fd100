/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix sockets: names, connections, and their end. Data goes through
 * unix_io.c, descriptors in flight through unix_scm.c.
 *
 * ipc->unix_lock covers names and who is connected to whom; a socket's own
 * lock its queue. Nothing sleeps under either.
 */
#include "socket.h"

#define PATH_AT 2u /* of sun_path in the address */
#define SUN_PATH 108u
#define DEFAULT_BUFFER 212992u

/* ---- life ---- */

struct ucred ucred_current(void)
{
	const struct creds *c = &current->process->creds;

	return (struct ucred){ (s32)current->process->pid, c->euid, c->egid };
}

void unix_address_put(struct unix_address *a)
{
	if (a && ref_put(&a->ref))
		kfree(a);
}

static struct unix_address *address_make(const struct sockaddr *name, u32 size)
{
	struct unix_address *a = kzalloc(sizeof(*a));

	if (!a)
		return NULL;
	ref_init(&a->ref);
	memcpy(&a->name, name, size);
	a->size = size;
	a->hash = (u32)hash_bytes(name, size) % UNIX_HASH;
	return a;
}

void unix_put(struct unix_sock *s)
{
	if (!ref_put(&s->ref))
		return;
	lock(&IPC->unix_lock);
	list_del(&s->all_node);
	unlock(&IPC->unix_lock);
	unix_address_put(s->address);
	kfree(s);
}

static struct unix_sock *sock_alloc(u32 type)
{
	struct unix_sock *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->ref);
	s->type = (u16)type;
	wait_queue_init(&s->wait);
	list_init(&s->queue);
	list_init(&s->accept_node);
	list_init(&s->name_node);
	list_init(&s->gc_node);
	s->sndbuf = s->rcvbuf = DEFAULT_BUFFER;
	s->lowat = 1;
	s->receive_timeout = s->send_timeout = PICO_FOREVER;
	s->peer_creds = (struct ucred){ 0, (u32)-1, (u32)-1 };
	s->backlog = type == SOCK_DGRAM ? IPC->max_dgram_qlen : 0;
	lock(&IPC->unix_lock);
	list_add(&IPC->unix_all, &s->all_node);
	unlock(&IPC->unix_lock);
	return s;
}

/* A file for a socket; takes over the reference on s, also on failure. */
static struct file *sock_file(struct unix_sock *s, u32 o_flags)
{
	struct inode *i = anon_inode(S_IFSOCK | 0777);
	struct file *f = i ? file_alloc(&unix_file_ops, O_RDWR | (o_flags & O_NONBLOCK)) : NULL;

	if (!f) {
		if (i)
			inode_put(i);
		unix_put(s);
		return NULL;
	}
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	f->inode = i;
	f->data = s;
	s->file = f;
	return f;
}

int unix_create(u32 type, u32 o_flags, struct file **out)
{
	struct unix_sock *s = sock_alloc(type == SOCK_RAW ? SOCK_DGRAM : type);

	*out = s ? sock_file(s, o_flags) : NULL;
	return *out ? 0 : -ENOMEM;
}

int unix_pair(u32 type, u32 o_flags, struct file *out[2])
{
	struct unix_sock *x, *y;
	int err = unix_create(type, o_flags, &out[0]);

	if (err)
		return err;
	err = unix_create(type, o_flags, &out[1]);
	if (err) {
		file_put(out[0]);
		return err;
	}
	x = unix_of(out[0]);
	y = unix_of(out[1]);
	x->peer = unix_get(y);
	y->peer = unix_get(x);
	x->peer_creds = y->peer_creds = ucred_current();
	x->state = y->state = UNIX_CONNECTED;
	return 0;
}

struct unix_sock *unix_peer(struct unix_sock *s)
{
	struct unix_sock *p;

	lock(&s->lock);
	p = s->peer ? unix_get(s->peer) : NULL;
	unlock(&s->lock);
	return p;
}

/* Takes the queue apart: packets go to `packets`, embryos to `embryos`. With the lock. */
static void take_queue(struct unix_sock *s, struct list *packets, struct list *embryos)
{
	list_for_each_safe(pos, next, &s->queue) {
		list_del(pos);
		list_add_tail(s->state == UNIX_LISTENING ? embryos : packets, pos);
	}
	s->queue_count = 0;
	s->queue_bytes = 0;
}

/* A datagram socket parts from its peer: what came before is dropped. Was there anything? */
bool unix_purge(struct unix_sock *s)
{
	struct list packets = LIST_INIT(packets), none = LIST_INIT(none);

	lock(&IPC->unix_lock);
	lock(&s->lock);
	take_queue(s, &packets, &none);
	list_for_each(pos, &packets)
		scm_land(&list_entry(pos, struct unix_packet, node)->scm);
	unlock(&s->lock);
	unlock(&IPC->unix_lock);
	if (list_empty(&packets))
		return false;
	list_for_each_safe(pos, next, &packets)
		unix_packet_free(list_entry(pos, struct unix_packet, node));
	return true;
}

static void peer_lost(struct unix_sock *s, struct unix_sock *peer, bool unread)
{
	lock(&peer->lock);
	peer->shutdown = SHUT_RECEIVE | SHUT_SEND;
	if (unread)
		peer->error = ECONNRESET;
	unlock(&peer->lock);
	wake_up(&peer->wait, EV_IN | EV_OUT | EPOLLHUP | EPOLLRDHUP | EPOLLERR);
	(void)s;
}

/* The end of a socket, seen by the others. */
static void sock_close(struct unix_sock *s, bool reset)
{
	struct list packets = LIST_INIT(packets), embryos = LIST_INIT(embryos);
	struct unix_sock *peer;
	struct inode *bound;
	struct path path;
	bool unread;

	lock(&IPC->unix_lock);
	list_del(&s->name_node);
	bound = s->bound_inode;
	path = s->path;
	if (bound && bound->unix_socket == s)
		bound->unix_socket = NULL;
	s->bound_inode = NULL;
	lock(&s->lock);
	unread = s->state != UNIX_LISTENING && s->queue_bytes; /* empty packets do not count */
	take_queue(s, &packets, &embryos);
	list_for_each(pos, &packets)
		scm_land(&list_entry(pos, struct unix_packet, node)->scm);
	s->state = UNIX_DEAD;
	s->shutdown = SHUT_RECEIVE | SHUT_SEND;
	s->file = NULL;
	peer = s->peer;
	s->peer = NULL;
	unlock(&s->lock);
	if (peer && unix_connects(s))
		peer_lost(s, peer, unread || reset);
	unlock(&IPC->unix_lock);

	wake_up(&s->wait, 0); /* who waits for room here, or to connect */
	list_for_each_safe(pos, next, &embryos) {
		struct unix_sock *e = list_entry(pos, struct unix_sock, accept_node);

		list_del(pos);
		sock_close(e, true);
		unix_put(e);
	}
	list_for_each_safe(pos, next, &packets)
		unix_packet_free(list_entry(pos, struct unix_packet, node));
	if (bound)
		path_put(&path);
	if (peer)
		unix_put(peer);
}

static void unix_release(struct file *f)
{
	struct unix_sock *s = unix_of(f);

	sock_close(s, false);
	unix_put(s);
	unix_collect();
}

/* ---- names ---- */

/* Checks an address and brings a path into its usual form: the size, or -EINVAL. */
static int address_check(struct sockaddr *out, const struct sockaddr *a, u32 size)
{
	*out = *a;
	if (size <= PATH_AT || size > PATH_AT + SUN_PATH || a->family != AF_UNIX)
		return -EINVAL;
	if (!a->data[0])
		return (int)size;
	out->data[size - PATH_AT] = 0;
	return (int)(PATH_AT + strlen((const char *)out->data) + 1);
}

/* Abstract names are apart by type, as on Linux. */
static struct unix_sock *find_abstract(const struct sockaddr *a, u32 size, u32 type)
{
	u32 hash = (u32)hash_bytes(a, size) % UNIX_HASH;

	list_for_each(pos, &IPC->unix_names[hash]) {
		struct unix_sock *s = list_entry(pos, struct unix_sock, name_node);

		if (s->address->size == size && !memcmp(&s->address->name, a, size) && s->type == type)
			return s;
	}
	return NULL;
}

static struct unix_sock *find_path(const char *name, u32 type)
{
	struct unix_sock *s = ERR_PTR(-ECONNREFUSED);
	struct path path;
	int err = path_lookup(AT_FDCWD_, name, LOOKUP_FOLLOW, &path);
	struct inode *i;

	if (err)
		return ERR_PTR(err);
	i = path.dentry->inode;
	err = inode_permission(i, 2);
	if (err) {
		s = ERR_PTR(err);
	} else if ((i->mode & S_IFMT) == S_IFSOCK) {
		lock(&IPC->unix_lock);
		if (i->unix_socket)
			s = unix_get(i->unix_socket);
		unlock(&IPC->unix_lock);
	}
	if (!IS_ERR(s) && type && s->type != type) {
		unix_put(s);
		s = ERR_PTR(-EPROTOTYPE);
	}
	path_put(&path);
	return s;
}

struct unix_sock *unix_find(const struct sockaddr *a, u32 size, u32 type)
{
	struct sockaddr name;
	int n = address_check(&name, a, size);
	struct unix_sock *s;

	if (n < 0)
		return ERR_PTR(n);
	if (name.data[0])
		return find_path((const char *)name.data, type);
	lock(&IPC->unix_lock);
	s = find_abstract(&name, (u32)n, type);
	if (s)
		unix_get(s);
	else
		s = ERR_PTR(-ECONNREFUSED);
	unlock(&IPC->unix_lock);
	return s;
}

static int bind_abstract(struct unix_sock *s, const struct sockaddr *name, u32 size)
{
	struct unix_address *a = address_make(name, size);
	int err = 0;

	if (!a)
		return -ENOMEM;
	lock(&IPC->unix_lock);
	if (s->address)
		err = -EINVAL;
	else if (find_abstract(name, size, s->type))
		err = -EADDRINUSE;
	if (!err) {
		s->address = a;
		list_add(&IPC->unix_names[a->hash], &s->name_node);
	}
	unlock(&IPC->unix_lock);
	if (err)
		unix_address_put(a);
	return err;
}

static int bind_path(struct unix_sock *s, const struct sockaddr *name, u32 size)
{
	struct unix_address *a = address_make(name, size);
	struct path path;
	int err;

	if (!a)
		return -ENOMEM;
	err = path_mknod(AT_FDCWD_, (const char *)name->data, S_IFSOCK | 0777, 0, &path);
	if (err) {
		unix_address_put(a);
		return err == -EEXIST ? -EADDRINUSE : err;
	}
	lock(&IPC->unix_lock);
	if (s->address) {
		err = -EINVAL;
	} else {
		s->address = a;
		s->path = path;
		s->bound_inode = path.dentry->inode;
		s->bound_inode->unix_socket = s;
	}
	unlock(&IPC->unix_lock);
	if (err) {
		path_put(&path);
		unix_address_put(a);
	}
	return err;
}

int unix_autobind(struct unix_sock *s)
{
	struct sockaddr name = { .family = AF_UNIX };
	int err = 0;

	for (u32 turn = 0; turn < 0x100000 && !s->address; turn++) {
		u32 n = __atomic_fetch_add(&IPC->unix_autobind, 1, __ATOMIC_RELAXED) & 0xfffff;

		snprintf((char *)name.data + 1, 6, "%05x", n);
		err = bind_abstract(s, &name, PATH_AT + 6);
		if (err != -EADDRINUSE)
			return err == -EINVAL ? 0 : err; /* another thread named it meanwhile */
	}
	return s->address ? 0 : -ENOSPC;
}

/* Linux makes the name first and finds out later that the socket has one. */
static bool path_taken(const char *name)
{
	struct path path;

	if (path_lookup(AT_FDCWD_, name, 0, &path))
		return false;
	path_put(&path);
	return true;
}

static int unix_bind(struct file *f, const struct sockaddr *a, u32 size)
{
	struct unix_sock *s = unix_of(f);
	struct sockaddr name;
	int n;

	if (size == PATH_AT && a->family == AF_UNIX)
		return unix_autobind(s);
	n = address_check(&name, a, size);
	if (n < 0)
		return n;
	if (s->address && name.data[0])
		return path_taken((const char *)name.data) ? -EADDRINUSE : -EINVAL;
	if (s->address)
		return -EINVAL;
	return name.data[0] ? bind_path(s, &name, (u32)n) : bind_abstract(s, &name, (u32)n);
}

static int unix_name(struct file *f, struct sockaddr *a, bool of_peer)
{
	struct unix_sock *s = unix_of(f), *who = of_peer ? unix_peer(s) : unix_get(s);
	int size = PATH_AT;

	if (!who)
		return -ENOTCONN;
	memset(a, 0, sizeof(*a));
	a->family = AF_UNIX;
	lock(&IPC->unix_lock);
	if (who->address) {
		size = (int)who->address->size;
		memcpy(a, &who->address->name, (u32)size);
	}
	unlock(&IPC->unix_lock);
	unix_put(who);
	return size;
}

/* ---- connections ---- */

static int unix_listen(struct file *f, int backlog)
{
	struct unix_sock *s = unix_of(f);
	int err = 0;

	if (!unix_connects(s))
		return -EOPNOTSUPP;
	lock(&IPC->unix_lock);
	lock(&s->lock);
	if (!s->address || (s->state != UNIX_UNCONNECTED && s->state != UNIX_LISTENING)) {
		err = -EINVAL;
	} else {
		s->backlog = MIN((u32)backlog, IPC->somaxconn);
		s->state = UNIX_LISTENING;
		s->peer_creds = ucred_current();
	}
	unlock(&s->lock);
	unlock(&IPC->unix_lock);
	if (!err)
		wake_up(&s->wait, EV_OUT);
	return err;
}

/* 0: connected; 1: the accept queue is full; -errno. e becomes the other end. */
static int try_connect(struct unix_sock *s, struct unix_sock *server, struct unix_sock *e)
{
	int err = 0;

	lock(&IPC->unix_lock);
	if (server->state != UNIX_LISTENING || server->shutdown & SHUT_RECEIVE)
		err = -ECONNREFUSED;
	else if (server->queue_count > server->backlog)
		err = 1;
	else if (s->state == UNIX_CONNECTED)
		err = -EISCONN;
	else if (s->state != UNIX_UNCONNECTED)
		err = -EINVAL;
	if (err)
		goto out;
	e->peer = unix_get(s);
	e->state = UNIX_CONNECTED;
	e->peer_creds = ucred_current();
	e->passcred = server->passcred;
	if (server->address) {
		ref_get(&server->address->ref);
		e->address = server->address;
	}
	lock(&s->lock);
	s->peer = unix_get(e);
	s->state = UNIX_CONNECTED;
	s->peer_creds = server->peer_creds;
	unlock(&s->lock);
	lock(&server->lock);
	list_add_tail(&server->queue, &e->accept_node);
	server->queue_count++;
	unlock(&server->lock);
out:
	unlock(&IPC->unix_lock);
	if (!err)
		wake_up(&server->wait, EV_IN);
	return err;
}

static int connect_stream(struct file *f, const struct sockaddr *a, u32 size)
{
	u64 deadline = socket_deadline(unix_of(f)->send_timeout, f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
	struct unix_sock *s = unix_of(f), *server = NULL, *e = sock_alloc(s->type);
	struct wait_entry *w = NULL;
	int err;

	if (!e)
		return -ENOMEM;
	err = s->passcred && !s->address ? unix_autobind(s) : 0;
	while (!err) {
		server = unix_find(a, size, s->type);
		if (IS_ERR(server)) {
			err = (int)PTR_ERR(server);
			break;
		}
		w = wait_on(&server->wait, EPOLLOUT | EPOLLHUP);
		err = try_connect(s, server, e);
		if (err == 1)
			err = deadline ? wait_sleep(deadline) : -EAGAIN;
		else if (!err)
			err = 1; /* done */
		wait_remove(w);
		unix_put(server);
	}
	if (err == 1)
		return 0;
	unix_put(e);
	return err == -ETIMEDOUT || err == -ERESTARTSYS ? socket_wait_error(err, s->send_timeout) : err;
}

static int connect_dgram(struct unix_sock *s, const struct sockaddr *a, u32 size)
{
	struct unix_sock *other = NULL, *old;
	int err = 0;

	if (a->family != AF_UNSPEC) {
		err = s->passcred && !s->address ? unix_autobind(s) : 0;
		if (err)
			return err;
		other = unix_find(a, size, s->type);
		if (IS_ERR(other))
			return (int)PTR_ERR(other);
	}
	lock(&IPC->unix_lock);
	if (other && other->peer && other->peer != s)
		err = -EPERM;
	lock(&s->lock);
	old = err ? other : s->peer;
	if (!err) {
		s->peer = other;
		s->state = other ? UNIX_CONNECTED : UNIX_UNCONNECTED;
	}
	unlock(&s->lock);
	unlock(&IPC->unix_lock);
	if (old && !err && old != other && unix_purge(s) && old->peer == s && old->state != UNIX_DEAD) {
		old->error = ECONNRESET;
		wake_up(&old->wait, EPOLLERR);
	}
	if (old)
		unix_put(old);
	wake_up(&s->wait, EV_OUT);
	return err;
}

static int unix_connect(struct file *f, const struct sockaddr *a, u32 size)
{
	struct unix_sock *s = unix_of(f);

	if (size < sizeof(a->family))
		return -EINVAL;
	return unix_connects(s) ? connect_stream(f, a, size) : connect_dgram(s, a, size);
}

static struct unix_sock *take_embryo(struct unix_sock *s)
{
	struct unix_sock *e = NULL;

	lock(&IPC->unix_lock);
	lock(&s->lock);
	if (s->state != UNIX_LISTENING) {
		e = ERR_PTR(-EINVAL);
	} else if (!list_empty(&s->queue)) {
		e = list_entry(s->queue.next, struct unix_sock, accept_node);
		list_del(&e->accept_node);
		s->queue_count--;
	} else if (s->shutdown & SHUT_RECEIVE) {
		e = ERR_PTR(-EINVAL);
	}
	unlock(&s->lock);
	unlock(&IPC->unix_lock);
	return e;
}

static struct file *unix_accept(struct file *f, u32 o_flags)
{
	struct unix_sock *s = unix_of(f), *e;
	u64 deadline = socket_deadline(s->receive_timeout, f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
	struct wait_entry *w;
	struct file *out;
	int err = 0;

	if (!unix_connects(s))
		return ERR_PTR(-EOPNOTSUPP);
	e = take_embryo(s);
	if (!e && !deadline)
		return ERR_PTR(-EAGAIN);
	if (!e) {
		w = wait_on(&s->wait, EPOLLIN | EPOLLHUP);
		while (!(e = take_embryo(s)) && !(err = wait_sleep(deadline)))
			wait_begin();
		wait_remove(w);
		if (!e)
			return ERR_PTR(socket_wait_error(err, s->receive_timeout));
	}
	if (IS_ERR(e))
		return (struct file *)e;
	wake_up(&s->wait, EV_OUT); /* room to connect */
	unix_get(e);
	out = sock_file(e, o_flags);
	if (!out)
		sock_close(e, true);
	unix_put(e);
	return out ? out : ERR_PTR(-ENFILE);
}

static int unix_shutdown(struct file *f, u32 bits)
{
	struct unix_sock *s = unix_of(f), *peer;
	u32 theirs = (bits & SHUT_RECEIVE ? SHUT_SEND : 0) | (bits & SHUT_SEND ? SHUT_RECEIVE : 0);

	lock(&IPC->unix_lock);
	lock(&s->lock);
	s->shutdown |= (u8)bits;
	peer = s->peer && unix_connects(s) ? unix_get(s->peer) : NULL;
	unlock(&s->lock);
	if (peer) {
		lock(&peer->lock);
		peer->shutdown |= (u8)theirs;
		unlock(&peer->lock);
	}
	unlock(&IPC->unix_lock);
	wake_up(&s->wait, 0);
	if (peer) {
		wake_up(&peer->wait, 0);
		unix_put(peer);
	}
	return 0;
}

/* ---- as a file ---- */

static s64 unix_file_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct message m = { .data = *b, .flags = b->flags & IOBUF_NOWAIT ? MSG_DONTWAIT : 0 };

	(void)pos;
	if (!b->size)
		return 0;
	s64 n = unix_receive(f, &m);

	if (n >= 0)
		scm_drop(&m.scm);
	return n;
}

static s64 unix_file_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct message m = { .data = *b, .flags = b->flags & IOBUF_NOWAIT ? MSG_DONTWAIT : 0 };

	(void)pos;
	if (unix_of(f)->type == SOCK_SEQPACKET)
		m.flags |= MSG_EOR;
	return unix_send(f, &m);
}

static const struct socket_ops unix_socket_ops = {
	.bind = unix_bind, .connect = unix_connect, .listen = unix_listen, .accept = unix_accept, .name = unix_name,
	.send = unix_send, .receive = unix_receive, .shutdown = unix_shutdown, .set_option = unix_set_option,
	.get_option = unix_get_option,
};

const struct file_ops unix_file_ops = {
	.name = "socket", .read = unix_file_read, .write = unix_file_write, .poll = unix_poll, .ioctl = unix_ioctl,
	.release = unix_release, .gather = true,
};

const struct socket_ops *socket_ops_of(const struct file *f)
{
	return f->ops == &unix_file_ops ? &unix_socket_ops : f->ops == &netlink_file_ops ? &netlink_socket_ops : NULL;
}
