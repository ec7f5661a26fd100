/* SPDX-License-Identifier: Apache-2.0
 *
 * Data through unix sockets: streams, datagrams, sequenced packets. A packet is charged to its sender until somebody has read it, as
 * Linux does, so that SO_SNDBUF bounds what is under way.
 */
#include "socket.h"

#define STREAM_PIECE 32768u /* of a stream: one packet carries at most this */

/* ---- timeouts ---- */

u64 socket_deadline(u64 timeout, u32 flags)
{
	return flags & MSG_DONTWAIT || !timeout ? 0 : timeout == PICO_FOREVER ? PICO_FOREVER : now_mono() + timeout;
}

int socket_wait_error(int err, u64 timeout)
{
	if (err == -ETIMEDOUT)
		return -EAGAIN;
	return err == -ERESTARTSYS && timeout != PICO_FOREVER && wait_ended_by_signal() ? -EINTR : err;
}

/* ---- sending ---- */

/* Credentials ride along when either end asks for them, or nobody has accepted
 * the other yet and so could not ask. */
static struct ucred creds_for(const struct unix_sock *s, const struct unix_sock *to, const struct message *m)
{
	if (m->scm.has_creds)
		return m->scm.creds;
	if (s->passcred || to->passcred || !to->file)
		return ucred_current();
	return (struct ucred){ 0, 65534, 65534 }; /* nobody, as Linux shows it */
}

static struct unix_packet *packet_make(struct unix_sock *s, const struct unix_sock *to, struct message *m, size_t at, u32 size)
{
	struct unix_packet *p = kmalloc(sizeof(*p) + size);

	if (!p)
		return ERR_PTR(-ENOBUFS);
	if (m->data.vec_count ? iovec_copy_from(m->data.vec, m->data.vec_count, at, p->data, size)
			      : iobuf_copy_from(&m->data, at, p->data, size)) {
		kfree(p);
		return ERR_PTR(-EFAULT);
	}
	p->size = size;
	p->at = 0;
	p->charge = MAX(768u, ALIGN_UP(size + 576u, 256u));
	p->creds = creds_for(s, to, m);
	p->scm = (struct scm){ NULL, 0, false, { 0, 0, 0 } };
	p->sender = unix_get(s);
	__atomic_fetch_add(&s->wmem, p->charge, __ATOMIC_SEQ_CST);
	return p;
}

static bool room_to_send(const struct unix_sock *s) { return __atomic_load_n(&s->wmem, __ATOMIC_ACQUIRE) < s->sndbuf; }

/* Waits until the socket may send more: 0, or the error. */
static int wait_for_room(struct unix_sock *s, u64 deadline)
{
	struct wait_entry *w;
	int err = 0;

	if (likely(room_to_send(s)) || s->shutdown & SHUT_SEND)
		return 0;
	if (!deadline)
		return -EAGAIN;
	w = wait_on(&s->wait, EPOLLOUT | EPOLLHUP | EPOLLERR);
	while (!room_to_send(s) && !(s->shutdown & SHUT_SEND) && !s->error && !(err = wait_sleep(deadline)))
		wait_begin();
	wait_remove(w);
	return err ? socket_wait_error(err, s->send_timeout) : 0;
}

/* Into the queue of `to`: 0, -EPIPE, -ECONNREFUSED, or 1 when its queue is full. */
static int enqueue(struct unix_sock *s, struct unix_sock *to, struct unix_packet *p)
{
	int err = 0;

	lock(&to->lock);
	if (to->state == UNIX_DEAD)
		err = unix_connects(s) ? -EPIPE : -ECONNREFUSED;
	else if (to->shutdown & SHUT_RECEIVE)
		err = -EPIPE;
	else if (s->type == SOCK_DGRAM && to != s && to->peer != s && to->queue_count > to->backlog)
		err = 1;
	if (!err) {
		list_add_tail(&to->queue, &p->node);
		to->queue_count++;
		to->queue_bytes += p->size;
	}
	unlock(&to->lock);
	if (!err)
		wake_queue(&to->wait, EV_IN);
	return err;
}

/* The files of a message ride on this packet. */
static int load_files(struct unix_packet *p, struct message *m)
{
	int err = m->scm.file_count ? scm_fly(&m->scm) : 0;

	if (err)
		return err;
	p->scm.files = m->scm.files;
	p->scm.file_count = m->scm.file_count;
	m->scm.files = NULL;
	m->scm.file_count = 0;
	return 0;
}

/* A packet that was never queued: its files go back to the message. */
static void unload_files(struct unix_packet *p, struct message *m)
{
	if (!p->scm.file_count)
		return;
	lock(&IPC->unix_lock);
	scm_land(&p->scm);
	unlock(&IPC->unix_lock);
	m->scm.files = p->scm.files;
	m->scm.file_count = p->scm.file_count;
	p->scm.files = NULL;
	p->scm.file_count = 0;
}

static s64 broken_pipe(struct message *m, size_t sent)
{
	if (sent)
		return (s64)sent;
	if (!(m->flags & MSG_NOSIGNAL))
		pipe_signal();
	return -EPIPE;
}

static s64 send_stream(struct unix_sock *s, struct message *m, u64 deadline)
{
	struct unix_sock *to;
	const u32 piece = s->sndbuf < STREAM_PIECE * 2 ? MAX(s->sndbuf / 2, 2048u) : STREAM_PIECE;
	size_t sent = 0;
	s64 err;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->name_size)
		return s->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	to = unix_peer(s);
	if (!to)
		return -ENOTCONN;
	err = 0;
	do {
		struct unix_packet *p;
		size_t left = m->data.size - sent;
		u32 size = left < piece ? (u32)left : piece;

		if (err)
			break;
		if (s->shutdown & SHUT_SEND) {
			err = -EPIPE;
			break;
		}
		if (!m->data.size && !m->scm.file_count)
			break;
		err = unix_take_error(s);
		if (!err)
			err = wait_for_room(s, deadline);
		if (err)
			break;
		p = packet_make(s, to, m, sent, size);
		if (IS_ERR(p)) {
			err = PTR_ERR(p);
			break;
		}
		err = load_files(p, m);
		if (!err)
			err = enqueue(s, to, p);
		if (err) {
			unload_files(p, m);
			unix_packet_free(p);
			break;
		}
		sent += size;
	} while (sent < m->data.size);
	unix_put(to);
	if (err == -EPIPE)
		return broken_pipe(m, sent);
	return sent ? (s64)sent : err;
}

/* The peer of a datagram socket is gone: forget it. */
static void drop_peer(struct unix_sock *s, struct unix_sock *peer)
{
	bool ours;

	lock(&IPC->unix_lock);
	lock(&s->lock);
	ours = s->peer == peer;
	if (ours) {
		s->peer = NULL;
		s->state = UNIX_UNCONNECTED;
	}
	unlock(&s->lock);
	unlock(&IPC->unix_lock);
	if (ours) {
		unix_purge(s);
		unix_put(peer);
	}
}

static struct unix_sock *dgram_target(struct unix_sock *s, struct message *m)
{
	struct unix_sock *to;

	if (!m->name_size || s->type == SOCK_SEQPACKET) {
		to = unix_peer(s);
		return to ? to : ERR_PTR(-ENOTCONN);
	}
	to = unix_find(&m->name, m->name_size, s->type);
	if (!IS_ERR(to) && to->peer && to->peer != s) {
		unix_put(to);
		return ERR_PTR(-EPERM);
	}
	return to;
}

static s64 send_packet(struct unix_sock *s, struct message *m, u64 deadline)
{
	struct unix_sock *to;
	struct unix_packet *p;
	struct wait_entry *w;
	s64 err;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET) {
		if (s->error)
			return unix_take_error(s);
		if (s->state != UNIX_CONNECTED)
			return -ENOTCONN;
	}
	if (s->passcred && !s->address && (err = unix_autobind(s)))
		return err;
	if (m->data.size > s->sndbuf - 32)
		return -EMSGSIZE;
	err = unix_take_error(s);
	if (!err && s->shutdown & SHUT_SEND)
		err = -EPIPE;
	if (!err)
		err = wait_for_room(s, deadline);
	if (err)
		return err;
	to = dgram_target(s, m);
	if (IS_ERR(to))
		return PTR_ERR(to);
	p = packet_make(s, to, m, 0, (u32)m->data.size);
	err = PTR_ERR(p);
	if (IS_ERR(p))
		goto out;
	err = load_files(p, m);
	if (!err)
		err = enqueue(s, to, p);
	if (err == 1) { /* its queue is full: wait there */
		w = wait_on(&to->wait, EPOLLOUT | EPOLLHUP);
		while ((err = enqueue(s, to, p)) == 1 && (err = deadline ? wait_sleep(deadline) : -EAGAIN) == 0)
			wait_begin();
		wait_remove(w);
		if (err == -ETIMEDOUT || err == -ERESTARTSYS)
			err = socket_wait_error((int)err, s->send_timeout);
	}
	if (err) {
		unload_files(p, m);
		unix_packet_free(p);
	}
out:
	if (err == -ECONNREFUSED && !m->name_size)
		drop_peer(s, to);
	unix_put(to);
	return err ? err : (s64)m->data.size; /* -EPIPE without a signal: only streams send one */
}

s64 unix_send(struct file *f, struct message *m)
{
	struct unix_sock *s = unix_of(f);
	u64 deadline = socket_deadline(s->send_timeout, f->flags & O_NONBLOCK ? MSG_DONTWAIT : m->flags);

	return unix_is_stream(s) ? send_stream(s, m, deadline) : send_packet(s, m, deadline);
}

/* ---- receiving ---- */

/* The queue has room again: whoever is connected to it may poll for that. */
static void wake_connected(struct unix_sock *s)
{
	lock(&IPC->unix_lock);
	list_for_each(pos, &IPC->unix_all) {
		struct unix_sock *o = list_entry(pos, struct unix_sock, all_node);

		if (o->peer == s)
			wake_up(&o->wait, EV_OUT);
	}
	unlock(&IPC->unix_lock);
}

static int give(struct message *m, size_t at, const void *from, size_t n)
{
	if (m->data.vec_count)
		return iovec_copy_to(m->data.vec, m->data.vec_count, at, from, n);
	return iobuf_copy_to(&m->data, at, from, n);
}

static void give_sender(struct message *m, const struct unix_packet *p)
{
	/* The name the sender has now; once there it stays as long as the sender. */
	const struct unix_address *a = __atomic_load_n(&p->sender->address, __ATOMIC_ACQUIRE);

	m->name.family = AF_UNIX;
	m->name_size = a ? a->size : 0;
	if (a)
		memcpy(&m->name, &a->name, a->size);
	m->scm.has_creds = true;
	m->scm.creds = p->creds;
}

/* Copies of the references, for a look without taking. With the lock. */
static int peek_files(struct message *m, const struct unix_packet *p)
{
	m->scm.files = kmalloc(p->scm.file_count * sizeof(*m->scm.files));
	if (!m->scm.files)
		return -ENOMEM;
	m->scm.file_count = p->scm.file_count;
	for (u32 i = 0; i < p->scm.file_count; i++)
		m->scm.files[i] = file_get(p->scm.files[i]);
	return 0;
}

/* Takes the files off the first packet, which is p unless another reader was
 * faster. The lock is held, and given up in between. */
static void take_files(struct unix_sock *s, struct unix_packet *p, struct message *m)
{
	unlock(&s->lock);
	lock(&IPC->unix_lock);
	lock(&s->lock);
	if (!list_empty(&s->queue) && s->queue.next == &p->node && p->scm.file_count && !m->scm.file_count) {
		scm_land(&p->scm);
		m->scm.files = p->scm.files;
		m->scm.file_count = p->scm.file_count;
		p->scm.files = NULL;
		p->scm.file_count = 0;
	}
	unlock(&IPC->unix_lock);
}

static void unqueue(struct unix_sock *s, struct unix_packet *p, struct list *done)
{
	list_del(&p->node);
	list_add_tail(done, &p->node);
	s->queue_count--;
}

static void free_all(struct list *done)
{
	list_for_each_safe(pos, next, done)
		unix_packet_free(list_entry(pos, struct unix_packet, node));
}

static bool same_creds(const struct ucred *x, const struct ucred *y)
{
	return x->pid == y->pid && x->uid == y->uid && x->gid == y->gid;
}

/* What the queue of a stream has; with the lock. *stop: nothing more may be glued on. */
static s64 stream_take(struct unix_sock *s, struct message *m, size_t done, struct list *dead, bool *stop)
{
	bool peek = m->flags & MSG_PEEK;
	struct list *pos = s->queue.next;
	size_t start = done;

	while (pos != &s->queue && !*stop) {
		struct unix_packet *p = list_entry(pos, struct unix_packet, node);
		size_t n;

		if (done && s->passcred && !same_creds(&m->scm.creds, &p->creds)) {
			*stop = true;
			break;
		}
		if (p->scm.file_count && !peek) {
			if (m->scm.file_count) {
				*stop = true;
				break;
			}
			take_files(s, p, m);
			if (m->scm.file_count)
				*stop = true;
			pos = s->queue.next; /* the lock was open: look anew, at the first */
			if (pos == &s->queue)
				break;
			p = list_entry(pos, struct unix_packet, node);
			if (p->scm.file_count)
				continue;
		} else if (p->scm.file_count) {
			int err = peek_files(m, p);

			if (err)
				return done > start ? (s64)(done - start) : err;
			*stop = true;
		}
		if (!done)
			give_sender(m, p);
		n = MIN(m->data.size - done, (size_t)(p->size - p->at));
		if (give(m, done, p->data + p->at, n)) {
			*stop = true;
			return done > start ? (s64)(done - start) : -EFAULT;
		}
		done += n;
		pos = pos->next;
		if (!peek) {
			p->at += (u32)n;
			s->queue_bytes -= n;
			if (p->at == p->size)
				unqueue(s, p, dead);
		}
		if (done == m->data.size)
			*stop = true;
	}
	return (s64)(done - start);
}

static s64 receive_stream(struct unix_sock *s, struct message *m, u64 deadline)
{
	size_t target = m->flags & MSG_WAITALL ? m->data.size : MIN((size_t)s->lowat, m->data.size), done = 0;
	struct list dead = LIST_INIT(dead);
	struct wait_entry *w = NULL;
	bool stop = false, eof;
	s64 err = 0, n;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	target = target ? target : 1;
	lock(&s->lock);
	if (s->state != UNIX_CONNECTED && s->state != UNIX_DEAD)
		err = -EINVAL;
	while (!err && !stop) {
		n = stream_take(s, m, done, &dead, &stop);
		if (n < 0) {
			err = n;
			break;
		}
		done += (size_t)n;
		if (stop || done >= target || (done && m->flags & MSG_PEEK))
			break;
		err = unix_take_error(s); /* gone, even when there is data to return instead */
		eof = s->shutdown & SHUT_RECEIVE;
		if (err || eof)
			break;
		if (!deadline) {
			err = -EAGAIN;
			break;
		}
		unlock(&s->lock);
		free_all(&dead);
		list_init(&dead);
		if (!w)
			w = wait_on(&s->wait, EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP);
		else
			err = wait_sleep(deadline);
		if (w && err == 0)
			wait_begin();
		lock(&s->lock);
		if (err)
			err = socket_wait_error((int)err, s->receive_timeout);
	}
	unlock(&s->lock);
	if (w)
		wait_remove(w);
	free_all(&dead);
	return done ? (s64)done : err;
}

/* One packet, or NULL with *err (0: end of file, which a datagram socket
 * shows only to who would wait). */
static struct unix_packet *packet_take(struct unix_sock *s, struct message *m, u64 deadline, s64 *err)
{
	struct unix_packet *p;

	*err = unix_take_error(s);
	if (*err)
		return NULL;
	while (!list_empty(&s->queue)) {
		p = list_entry(s->queue.next, struct unix_packet, node);
		if (m->flags & MSG_PEEK) {
			*err = p->scm.file_count ? peek_files(m, p) : 0;
			return *err ? NULL : p;
		}
		if (!p->scm.file_count) {
			list_del(&p->node);
			s->queue_count--;
			s->queue_bytes -= p->size;
			return p;
		}
		if (m->scm.file_count) { /* of a packet another reader got meanwhile */
			*err = -EAGAIN;
			return NULL;
		}
		take_files(s, p, m);
	}
	*err = s->shutdown & SHUT_RECEIVE && (deadline || s->type == SOCK_SEQPACKET) ? 0 : -ERESTARTSYS;
	return NULL;
}

static s64 receive_packet(struct unix_sock *s, struct message *m, u64 deadline)
{
	bool peek = m->flags & MSG_PEEK;
	struct wait_entry *w = NULL;
	struct unix_packet *p;
	s64 err = 0, n;
	size_t part;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET && s->state != UNIX_CONNECTED)
		return -ENOTCONN;
	lock(&s->lock);
	while (!(p = packet_take(s, m, deadline, &err)) && err == -ERESTARTSYS) {
		unlock(&s->lock);
		if (!deadline) {
			err = -EAGAIN;
			goto out;
		}
		if (!w) {
			w = wait_on(&s->wait, EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP);
		} else {
			err = wait_sleep(deadline);
			if (err) {
				err = socket_wait_error((int)err, s->receive_timeout);
				goto out;
			}
			wait_begin();
		}
		lock(&s->lock);
	}
	if (!p) {
		unlock(&s->lock);
		goto out; /* the end, or an error of the socket */
	}
	give_sender(m, p);
	part = MIN(m->data.size, (size_t)p->size);
	err = give(m, 0, p->data, part);
	if (part < p->size)
		m->out_flags |= MSG_TRUNC;
	n = m->flags & MSG_TRUNC ? (s64)p->size : (s64)part;
	unlock(&s->lock);
	if (!peek) {
		wake_queue(&s->wait, EV_OUT); /* who waits for room in this queue */
		if (s->queue_count == s->backlog && s->type == SOCK_DGRAM)
			wake_connected(s);
		unix_packet_free(p);
	}
	if (!err)
		err = n;
out:
	if (w)
		wait_remove(w);
	return err;
}

s64 unix_receive(struct file *f, struct message *m)
{
	struct unix_sock *s = unix_of(f);
	u64 deadline = socket_deadline(s->receive_timeout, f->flags & O_NONBLOCK ? MSG_DONTWAIT : m->flags);
	s64 n = unix_is_stream(s) ? receive_stream(s, m, deadline) : receive_packet(s, m, deadline);

	m->want_creds = s->passcred && (m->scm.has_creds || unix_is_stream(s)); /* a stream tells even at its end: zeros */
	if (n < 0)
		scm_drop(&m->scm);
	return n;
}
