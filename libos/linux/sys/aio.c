/* SPDX-License-Identifier: Apache-2.0
 *
 * Linux's own asynchronous input and output (io_setup and its family). A
 * request is done when it is handed in, as Linux does with buffered files; what
 * is asynchronous is only the collection of results. No ring is shown to the
 * program: the page that a context's number points to says so.
 */
#include "../fs/internal.h"
#include "../lx/mm.h"
#include "../lx/syscall.h"
#include <linux/aio_abi.h>
#include <linux/mman.h>

#define AIO_MAX 65536u /* fs.aio-max-nr */
#define KEY 0u /* what io_submit leaves in an iocb */
#define RWF_KNOWN 31u
#define RWF_DATA_SYNC 2u
#define RWF_ALL_SYNC 4u
#define RWF_NO_WAIT 8u
#define RWF_AT_END 16u

struct aio_context {
	struct aio_context *next; /* of mm->aio, under mm->lock */
	struct ref ref;
	u64 id;
	struct lock lock;
	u32 room, head, count;
	bool dead;
	struct wait_queue wait;
	struct io_event *events;
};

static void context_put(struct aio_context *c)
{
	if (!c || !ref_put(&c->ref)) return;
	kfree(c->events);
	kfree(c);
}

static void context_end(struct aio_context *c)
{
	lock(&c->lock);
	c->dead = true;
	unlock(&c->lock);
	wake_up(&c->wait, 0);
	context_put(c);
}

void aio_exit(struct mm *mm)
{
	struct aio_context *c = mm->aio, *next;

	for (mm->aio = NULL; c; c = next) {
		next = c->next;
		context_end(c);
	}
}

static struct aio_context *context_get(u64 id)
{
	struct mm *mm = current->mm;
	struct aio_context *c;

	lock(&mm->lock);
	for (c = mm->aio; c && c->id != id; c = c->next) {}
	if (c) ref_get(&c->ref);
	unlock(&mm->lock);
	return c;
}

SYSCALL(io_setup)
{
	const u32 count = (u32)a[0];
	struct mm *mm = current->mm;
	struct aio_context *c;
	u64 id;

	if (get_user(id, a[1])) return -EFAULT;
	if (id || !count || count > 0x10000000u / sizeof(struct io_event)) return -EINVAL;
	if (count > AIO_MAX) return -EAGAIN;
	c = kzalloc(sizeof(*c));
	if (!c) return -ENOMEM;
	ref_init(&c->ref);
	wait_queue_init(&c->wait);
	c->room = count;
	c->events = kmalloc(count * sizeof(struct io_event));
	s64 page = c->events ? mm_map(mm, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0) : -ENOMEM;
	if (page < 0 || put_user((u64)page, a[1])) {
		if (page >= 0) mm_unmap(mm, (u64)page, PAGE_SIZE);
		context_put(c);
		return page < 0 ? page : -EFAULT;
	}
	c->id = (u64)page;
	lock(&mm->lock);
	c->next = mm->aio;
	mm->aio = c;
	unlock(&mm->lock);
	return 0;
}

SYSCALL(io_destroy)
{
	struct mm *mm = current->mm;
	struct aio_context **link, *c;

	lock(&mm->lock);
	for (link = (struct aio_context **)&mm->aio; (c = *link) && c->id != a[0]; link = &c->next) {}
	if (c) *link = c->next;
	unlock(&mm->lock);
	if (!c) return -EINVAL;
	mm_unmap(mm, c->id, PAGE_SIZE);
	context_end(c);
	return 0;
}

/* ---- requests ---- */

static s64 transfer(struct file *f, const struct iocb *cb, bool write)
{
	struct iobuf b = { .user = true, .u = cb->aio_buf, .size = cb->aio_nbytes };
	u64 pos = (u64)cb->aio_offset, *at = f->ops->seekable ? &pos : NULL;

	if (cb->aio_rw_flags & RWF_AT_END && write) b.flags |= IOBUF_APPEND;
	if (cb->aio_rw_flags & RWF_NO_WAIT) b.flags |= IOBUF_NOWAIT;
	return write ? file_write(f, &b, at) : file_read(f, &b, at);
}

static s64 transfer_vector(struct file *f, const struct iocb *cb, bool write)
{
	struct lx_iovec small[8], *v;
	struct iocb one = *cb;
	size_t total;
	s64 done = 0, n = iovec_from_user(cb->aio_buf, cb->aio_nbytes, small, &v, &total);

	if (n) return n;
	for (u64 i = 0; i < cb->aio_nbytes; i++) {
		if (!v[i].size) continue;
		one.aio_buf = v[i].base;
		one.aio_nbytes = v[i].size;
		n = transfer(f, &one, write);
		if (n < 0) break;
		done += n;
		one.aio_offset += n;
		if ((u64)n < v[i].size) break;
	}
	if (v != small) kfree(v);
	return done ? done : n;
}

static s64 perform(struct file *f, const struct iocb *cb)
{
	const bool write = cb->aio_lio_opcode == IOCB_CMD_PWRITE || cb->aio_lio_opcode == IOCB_CMD_PWRITEV;
	s64 n;

	switch (cb->aio_lio_opcode) {
	case IOCB_CMD_PREAD: case IOCB_CMD_PWRITE: n = transfer(f, cb, write); break;
	case IOCB_CMD_PREADV: case IOCB_CMD_PWRITEV: n = transfer_vector(f, cb, write); break;
	default: return f->ops->fsync(f, cb->aio_lio_opcode == IOCB_CMD_FDSYNC);
	}
	if (n > 0 && write && cb->aio_rw_flags & (RWF_DATA_SYNC | RWF_ALL_SYNC) && f->ops->fsync) {
		int err = f->ops->fsync(f, !(cb->aio_rw_flags & RWF_ALL_SYNC));
		if (err) n = err;
	}
	return n == -ERESTARTSYS ? -EINTR : n;
}

static int may_perform(const struct file *f, const struct iocb *cb)
{
	switch (cb->aio_lio_opcode) {
	case IOCB_CMD_PREAD: case IOCB_CMD_PREADV:
		if (!(f->mode_bits & FMODE_READ)) return -EBADF;
		return f->ops->read ? 0 : -EINVAL;
	case IOCB_CMD_PWRITE: case IOCB_CMD_PWRITEV:
		if (!(f->mode_bits & FMODE_WRITE)) return -EBADF;
		return f->ops->write ? 0 : -EINVAL;
	case IOCB_CMD_FSYNC: case IOCB_CMD_FDSYNC:
		return f->ops->fsync ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int take_place(struct aio_context *c)
{
	int err = 0;

	lock(&c->lock);
	if (c->dead) err = -EINVAL;
	else if (c->count == c->room) err = -EAGAIN;
	unlock(&c->lock);
	return err;
}

static void complete(struct aio_context *c, const struct io_event *e, struct file *told)
{
	lock(&c->lock);
	if (c->count < c->room) c->events[(c->head + c->count++) % c->room] = *e;
	unlock(&c->lock);
	wake_up(&c->wait, 0);
	if (told) eventfd_signal(told);
}

static int submit_one(struct aio_context *c, uaddr at)
{
	struct io_event e = { .obj = at };
	struct file *f, *told = NULL;
	struct iocb cb;
	int err;

	if (get_user(cb, at)) return -EFAULT;
	if (cb.aio_reserved2 || (s64)cb.aio_nbytes < 0) return -EINVAL;
	if ((err = take_place(c))) return err;
	f = fd_get((int)cb.aio_fildes);
	if (!f) return -EBADF;
	if (cb.aio_flags & IOCB_FLAG_RESFD) {
		told = fd_get((int)cb.aio_resfd);
		err = !told ? -EBADF : file_is_eventfd(told) ? 0 : -EINVAL;
	}
	if (!err && put_user(KEY, at + offsetof(struct iocb, aio_key))) err = -EFAULT;
	if (!err && (u32)cb.aio_rw_flags & ~RWF_KNOWN) err = -EOPNOTSUPP;
	if (!err) err = may_perform(f, &cb);
	if (!err) {
		e.data = cb.aio_data;
		e.res = perform(f, &cb);
		complete(c, &e, told);
	}
	if (told) file_put(told);
	file_put(f);
	return err;
}

SYSCALL(io_submit)
{
	struct aio_context *c;
	s64 done = 0, err = 0;
	u64 at;

	if ((s64)a[1] < 0) return -EINVAL;
	c = context_get(a[0]);
	if (!c) return -EINVAL;
	for (; done < (s64)MIN(a[1], (u64)c->room) && !err; done += !err) {
		err = get_user(at, a[2] + 8 * (u64)done) ? -EFAULT : submit_one(c, at);
	}
	context_put(c);
	return done ? done : err;
}

/* Nothing is ever on its way. */
SYSCALL(io_cancel)
{
	u32 key;

	if (get_user(key, a[1] + offsetof(struct iocb, aio_key))) return -EFAULT;
	return -EINVAL;
}

/* ---- results ---- */

/* At most `room` events to the program; how many, or -EFAULT. */
static s64 take_events(struct aio_context *c, u64 room, uaddr to)
{
	s64 done = 0;

	lock(&c->lock);
	while (c->count && (u64)done < room) {
		if (put_user(c->events[c->head], to + (u64)done * sizeof(struct io_event))) {
			done = done ? done : -EFAULT;
			break;
		}
		c->head = (c->head + 1) % c->room;
		c->count--;
		done++;
	}
	unlock(&c->lock);
	return done;
}

static s64 get_events(const u64 *a)
{
	const s64 least = (s64)a[1], most = (s64)a[2];
	struct wait_entry *w = &current->wait_slot;
	u64 deadline = PICO_FOREVER;
	struct aio_context *c;
	s64 done = 0, n;
	int err = a[4] ? deadline_from_user(a[4], 1 /* CLOCK_MONOTONIC */, false, &deadline) : 0;

	if (err) return err;
	c = context_get(a[0]);
	if (!c) return -EINVAL;
	err = least > most || least < 0 ? -EINVAL : 0;
	if (err) goto out;
	wait_begin();
	wait_add(&c->wait, w);
	for (;;) {
		n = take_events(c, (u64)(most - done), a[3] + (u64)done * sizeof(struct io_event));
		if (n > 0) done += n;
		if (n < 0 || done >= least || c->dead) break;
		err = wait_sleep(deadline);
		if (err) break;
		wait_begin();
	}
	wait_remove(w);
	if (n < 0 && !done) err = (int)n;
	else if (done || err == -ETIMEDOUT) err = 0;
	else if (err) err = -EINTR;
	else if (c->dead && least) err = -EINVAL;
out:
	context_put(c);
	return err ? err : done;
}

SYSCALL(io_getevents) { return get_events(a); }

SYSCALL(io_pgetevents)
{
	struct { u64 set, size; } arg = { 0, 0 };
	u64 mask;
	s64 n;
	int err;

	if (a[5] && copy_from_user(&arg, a[5], sizeof(arg))) return -EFAULT;
	if (arg.set) {
		err = user_sigset(arg.set, arg.size, &mask);
		if (err) return err;
		signal_set_temporary_mask(mask);
	}
	n = get_events(a);
	if (n == -EINTR) return -ERESTARTNOHAND;
	signal_restore_temporary_mask();
	return n;
}
