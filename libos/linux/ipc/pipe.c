/* SPDX-License-Identifier: Apache-2.0
 *
 * Pipes and fifos: a ring of pages, as Linux has it, so that capacities,
 * merging of small writes, atomic writes up to PIPE_BUF and packets come out
 * the same. Pages stay with the ring until the pipe goes.
 */
#include "ipc.h"
#include "linux/lx/signal.h"

#define F_SETPIPE_SZ_ 1031u
#define F_GETPIPE_SZ_ 1032u
#define DEFAULT_SLOTS 16u

struct pipe_slot { u8 *page; u32 at, size; bool packet; };
struct pipe {
	struct lock lock;
	u32 head, tail, slots; /* filled: head - tail; slots is a power of two */
	struct pipe_slot *ring;
	u32 readers, writers, files;
	u32 reader_opens, writer_opens; /* counts opens ever: fifo open waits for a change */
	struct wait_queue read_wait, write_wait;
};

void *ipc_page_get(void)
{
	struct ipc *s = IPC;
	void *page = NULL;

	lock(&s->page_lock);
	if (s->page_count)
		page = s->pages[--s->page_count];
	unlock(&s->page_lock);
	return page ? page : page_alloc(1);
}

void ipc_page_put(void *page)
{
	struct ipc *s = IPC;

	lock(&s->page_lock);
	if (s->page_count < ARRAY_SIZE(s->pages)) {
		s->pages[s->page_count++] = page;
		page = NULL;
	}
	unlock(&s->page_lock);
	if (page)
		page_free(page, 1);
}

static struct pipe *pipe_create(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->slots = DEFAULT_SLOTS;
	p->ring = kzalloc(p->slots * sizeof(*p->ring));
	if (!p->ring) {
		kfree(p);
		return NULL;
	}
	wait_queue_init(&p->read_wait);
	wait_queue_init(&p->write_wait);
	return p;
}

static void pipe_destroy(struct pipe *p)
{
	for (u32 i = 0; i < p->slots; i++)
		if (p->ring[i].page)
			ipc_page_put(p->ring[i].page);
	kfree(p->ring);
	kfree(p);
}

static struct pipe_slot *slot_at(struct pipe *p, u32 n) { return &p->ring[n & (p->slots - 1)]; }
static bool pipe_full(const struct pipe *p) { return p->head - p->tail >= p->slots; }

/* Takes what is there, under the lock; *freed tells that a page became free. */
static s64 pipe_take(struct pipe *p, const struct iobuf *b, bool *freed)
{
	size_t done = 0;

	while (done < b->size && p->head != p->tail) {
		struct pipe_slot *s = slot_at(p, p->tail);
		size_t n = MIN(b->size - done, (size_t)s->size);
		bool packet = s->packet;

		if (iobuf_copy_to(b, done, s->page + s->at, n))
			return done ? (s64)done : -EFAULT;
		done += n;
		s->at += (u32)n;
		s->size -= (u32)n;
		if (packet)
			s->size = 0; /* what did not fit is gone */
		if (!s->size) {
			p->tail++;
			*freed = true;
		}
		if (packet)
			break;
	}
	return (s64)done;
}

static s64 pipe_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pipe *p = f->data;
	struct wait_entry *w = NULL;
	bool freed = false;
	s64 n;

	(void)pos;
	if (!b->size)
		return 0;
	for (;;) {
		lock(&p->lock);
		n = pipe_take(p, b, &freed);
		if (n == 0) {
			if (!p->writers)
				n = 0;
			else
				n = io_nowait(f, b) ? -EAGAIN : -ERESTARTSYS;
		}
		unlock(&p->lock);
		if (n != -ERESTARTSYS)
			break;
		if (!w) {
			w = wait_on(&p->read_wait, EPOLLIN | EPOLLHUP);
			continue; /* look again: now nothing is missed */
		}
		n = wait_sleep(PICO_FOREVER);
		if (n)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	if (freed)
		wake_queue(&p->write_wait, EV_OUT);
	return n;
}

/* For tee(2): copies what is there and leaves it. Waits for something as a read
 * does, unless nonblock. */
s64 pipe_peek(struct file *f, void *buf, size_t size, bool nonblock)
{
	struct pipe *p = f->data;
	struct wait_entry *w = NULL;
	s64 n;

	for (;;) {
		lock(&p->lock);
		n = 0;
		for (u32 at = p->tail; at != p->head && (size_t)n < size; at++) {
			struct pipe_slot *s = slot_at(p, at);
			size_t part = MIN(size - (size_t)n, (size_t)s->size);

			memcpy((char *)buf + n, s->page + s->at, part);
			n += (s64)part;
		}
		if (!n && p->writers)
			n = nonblock ? -EAGAIN : -ERESTARTSYS;
		unlock(&p->lock);
		if (n != -ERESTARTSYS)
			break;
		if (!w) {
			w = wait_on(&p->read_wait, EPOLLIN | EPOLLHUP);
			continue;
		}
		n = wait_sleep(PICO_FOREVER);
		if (n)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	return n;
}

static u32 room_to_merge(struct pipe *p, bool packet)
{
	struct pipe_slot *s = slot_at(p, p->head - 1);

	return packet || p->head == p->tail || s->packet ? 0 : (u32)PAGE_SIZE - s->at - s->size;
}

static int fill_slot(struct pipe *p, const struct iobuf *b, size_t at, size_t n, bool packet)
{
	struct pipe_slot *s = slot_at(p, p->head);

	if (!s->page && !(s->page = ipc_page_get()))
		return -ENOMEM;
	if (iobuf_copy_from(b, at, s->page, n))
		return -EFAULT;
	*s = (struct pipe_slot){ s->page, 0, (u32)n, packet };
	p->head++;
	return 0;
}

/* Puts what fits; a write of at most PIPE_BUF goes whole or not at all. */
static s64 pipe_put(struct pipe *p, const struct iobuf *b, size_t *done, bool packet)
{
	size_t first = (b->size - *done) & (PAGE_SIZE - 1);

	if (first && first <= room_to_merge(p, packet)) {
		struct pipe_slot *s = slot_at(p, p->head - 1);

		if (iobuf_copy_from(b, *done, s->page + s->at + s->size, first))
			return -EFAULT;
		s->size += (u32)first;
		*done += first;
	}
	while (*done < b->size && !pipe_full(p)) {
		size_t n = MIN(b->size - *done, PAGE_SIZE);
		int err = fill_slot(p, b, *done, n, packet);

		if (err)
			return err;
		*done += n;
	}
	return 0;
}

static s64 pipe_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pipe *p = f->data;
	struct wait_entry *w = NULL;
	size_t done = 0, told = 0;
	s64 err;

	(void)pos;
	if (!b->size)
		return 0;
	for (;;) {
		lock(&p->lock);
		err = p->readers ? pipe_put(p, b, &done, f->flags & O_DIRECT) : -EPIPE;
		unlock(&p->lock);
		if (done != told) {
			wake_queue(&p->read_wait, EV_IN);
			told = done;
		}
		if (err || done == b->size)
			break;
		if (io_nowait(f, b)) {
			err = -EAGAIN;
			break;
		}
		if (!w) {
			w = wait_on(&p->write_wait, EPOLLOUT | EPOLLERR);
			continue;
		}
		err = wait_sleep(PICO_FOREVER);
		if (err)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	if (err == -EPIPE)
		pipe_signal();
	return done ? (s64)done : err;
}

static u32 pipe_poll(struct file *f, struct poll_table *t)
{
	struct pipe *p = f->data;
	u32 ev = 0;

	if (t && f->mode_bits & FMODE_READ)
		t->add(t, &p->read_wait);
	if (t && f->mode_bits & FMODE_WRITE)
		t->add(t, &p->write_wait);
	lock(&p->lock);
	if (f->mode_bits & FMODE_READ) {
		if (p->head != p->tail)
			ev |= EV_IN;
		if (!p->writers && (u32)f->pos != p->writer_opens)
			ev |= EPOLLHUP;
	}
	if (f->mode_bits & FMODE_WRITE) {
		if (!pipe_full(p))
			ev |= EV_OUT;
		if (!p->readers)
			ev |= EPOLLERR;
	}
	unlock(&p->lock);
	return ev;
}

static long pipe_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct pipe *p = f->data;
	int n = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	lock(&p->lock);
	for (u32 i = p->tail; i != p->head; i++)
		n += (int)slot_at(p, i)->size;
	unlock(&p->lock);
	return put_user(n, arg);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->data;
	struct inode *i = f->inode;
	bool last;

	lock(&i->lock);
	lock(&p->lock);
	if (f->mode_bits & FMODE_READ)
		p->readers--;
	if (f->mode_bits & FMODE_WRITE)
		p->writers--;
	last = --p->files == 0;
	if (last)
		i->fifo = NULL;
	unlock(&p->lock);
	unlock(&i->lock);
	if (last) {
		pipe_destroy(p);
		return;
	}
	if (f->mode_bits & FMODE_WRITE)
		wake_queue(&p->read_wait, EV_IN | EPOLLHUP);
	if (f->mode_bits & FMODE_READ)
		wake_queue(&p->write_wait, EV_OUT | EPOLLERR);
}

const struct file_ops pipe_ops = {
	.name = "pipe", .read = pipe_read, .write = pipe_write, .poll = pipe_poll, .ioctl = pipe_ioctl,
	.release = pipe_release, .gather = true,
};

static u32 rdwr_bits(u32 flags)
{
	static const u8 bits[4] = { FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0 };

	return bits[flags & O_ACCMODE];
}

static void pipe_attach(struct pipe *p, u32 bits)
{
	p->files++;
	if (bits & FMODE_READ) {
		p->readers++;
		p->reader_opens++;
	}
	if (bits & FMODE_WRITE) {
		p->writers++;
		p->writer_opens++;
	}
}

/* Sleeps until somebody opened the other end since `seen`. */
static int fifo_wait_partner(struct pipe *p, const u32 *counter, u32 seen, struct wait_queue *q)
{
	struct wait_entry *w = wait_on(q, 0);
	int err = 0;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) == seen && !(err = wait_sleep(PICO_FOREVER)))
		wait_begin();
	wait_remove(w);
	(void)p;
	return err;
}

int fifo_open(struct inode *i, struct file *f)
{
	const bool named = !inode_is_anon(i); /* a pipe opened again (/dev/fd) waits for nobody */
	u32 bits = rdwr_bits(f->flags);
	struct pipe *p, *fresh;
	bool partner;
	u32 seen;
	int err = 0;

	fresh = i->fifo ? NULL : pipe_create();
	lock(&i->lock);
	p = i->fifo;
	if (!p) {
		p = i->fifo = fresh;
		fresh = NULL;
	}
	if (!p) {
		unlock(&i->lock);
		return -ENOMEM;
	}
	lock(&p->lock);
	partner = !named || (bits == FMODE_READ ? p->writers : p->readers) != 0;
	seen = bits == FMODE_READ ? p->writer_opens : p->reader_opens;
	if (bits == FMODE_WRITE && !partner && f->flags & O_NONBLOCK)
		err = -ENXIO;
	else
		pipe_attach(p, bits);
	if (err && !p->files) {
		i->fifo = NULL;
		unlock(&p->lock);
		fresh = p;
	} else {
		unlock(&p->lock);
	}
	unlock(&i->lock);
	if (fresh)
		pipe_destroy(fresh);
	if (err)
		return err;

	f->data = p;
	f->mode_bits = bits;
	f->pos = 0;
	if (!f->inode)
		f->inode = inode_get(i);
	if (bits == FMODE_READ) {
		wake_queue(&p->write_wait, 0);
		/* No hang-up is shown before the first writer came. */
		if (!partner && f->flags & O_NONBLOCK)
			f->pos = seen;
		else if (!partner)
			err = fifo_wait_partner(p, &p->writer_opens, seen, &p->read_wait);
	} else if (bits == FMODE_WRITE) {
		wake_queue(&p->read_wait, 0);
		if (!partner)
			err = fifo_wait_partner(p, &p->reader_opens, seen, &p->write_wait);
	} else {
		wake_queue(&p->read_wait, 0);
		wake_queue(&p->write_wait, 0);
	}
	if (err) {
		pipe_release(f);
		f->data = NULL;
		return err;
	}
	f->ops = &pipe_ops;
	return 0;
}

static long pipe_resize(struct pipe *p, u64 size)
{
	struct pipe_slot *ring, *old;
	u32 slots = 1, used, old_slots;

	if (size > 1ull << 31)
		return -EINVAL;
	while ((u64)slots * PAGE_SIZE < size)
		slots *= 2;
	if ((u64)slots * PAGE_SIZE > IPC->pipe_max_size && slots > p->slots && !capable(24 /* CAP_SYS_RESOURCE */))
		return -EPERM;
	ring = kzalloc(slots * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	lock(&p->lock);
	used = p->head - p->tail;
	if (used > slots) {
		unlock(&p->lock);
		kfree(ring);
		return -EBUSY;
	}
	for (u32 i = 0; i < used; i++)
		ring[i] = *slot_at(p, p->tail + i);
	for (u32 i = used; i < p->slots; i++) { /* pages of empty slots */
		struct pipe_slot *s = slot_at(p, p->tail + i);

		if (s->page && i < slots)
			ring[i].page = s->page;
		else if (s->page)
			ipc_page_put(s->page);
	}
	old = p->ring;
	old_slots = p->slots;
	p->ring = ring;
	p->slots = slots;
	p->tail = 0;
	p->head = used;
	unlock(&p->lock);
	kfree(old);
	if (slots > old_slots)
		wake_queue(&p->write_wait, EV_OUT);
	return (long)(slots * PAGE_SIZE);
}

long pipe_fcntl(struct file *f, u32 cmd, u64 arg)
{
	struct pipe *p = f->data;

	if (f->ops != &pipe_ops)
		return -EBADF;
	if (cmd == F_GETPIPE_SZ_)
		return (long)(p->slots * PAGE_SIZE);
	return pipe_resize(p, (u32)arg);
}

static struct file *pipe_end(struct pipe *p, struct inode *i, u32 flags)
{
	struct file *f = file_alloc(&pipe_ops, flags);

	if (!f)
		return NULL;
	f->mode_bits = rdwr_bits(flags);
	f->inode = inode_get(i);
	f->data = p;
	lock(&p->lock);
	pipe_attach(p, f->mode_bits);
	unlock(&p->lock);
	return f;
}

static int pipe_files(u32 flags, struct file *out[2])
{
	struct inode *i = anon_inode(S_IFIFO | 0600);
	struct pipe *p = pipe_create();
	int err = -ENOMEM;

	out[0] = out[1] = NULL;
	if (!i || !p)
		goto fail;
	i->fifo = p;
	out[0] = pipe_end(p, i, O_RDONLY | (flags & ~(u32)O_DIRECT)); /* the writer alone makes packets */
	if (!out[0])
		goto fail;
	out[1] = pipe_end(p, i, O_WRONLY | flags);
	if (!out[1]) {
		file_put(out[0]);
		inode_put(i);
		return -ENFILE;
	}
	inode_put(i);
	return 0;
fail:
	if (p)
		pipe_destroy(p);
	if (i) {
		i->fifo = NULL;
		inode_put(i);
	}
	return err;
}

static s64 do_pipe(uaddr fds, u32 flags)
{
	struct file *f[2];
	int fd[2], err;

	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	err = pipe_files(flags & (O_NONBLOCK | O_DIRECT), f);
	if (err)
		return err;
	fd[0] = fd_install(f[0], flags & O_CLOEXEC, 0);
	if (fd[0] < 0) {
		file_put(f[1]);
		return fd[0];
	}
	fd[1] = fd_install(f[1], flags & O_CLOEXEC, 0);
	if (fd[1] < 0) {
		fd_close(fd[0]);
		return fd[1];
	}
	if (copy_to_user(fds, fd, sizeof(fd))) {
		fd_close(fd[0]);
		fd_close(fd[1]);
		return -EFAULT;
	}
	return 0;
}

SYSCALL(pipe) { return do_pipe(a[0], 0); }
SYSCALL(pipe2) { return do_pipe(a[0], (u32)a[1]); }
