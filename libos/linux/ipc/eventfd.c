/* SPDX-License-Identifier: Apache-2.0
 *
 * eventfd: a 64-bit counter that is readable while it is not zero.
 */
#include "ipc.h"

#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK

struct eventfd { struct lock lock; u64 count; bool semaphore; u64 id; };

static s64 eventfd_try(struct eventfd *e, bool reading, u64 *value)
{
	s64 err = 0;

	lock(&e->lock);
	if (reading && !e->count) {
		err = -EAGAIN;
	} else if (reading) {
		*value = e->semaphore ? 1 : e->count;
		e->count -= *value;
	} else if (UINT64_MAX - e->count > *value) {
		e->count += *value;
	} else {
		err = -EAGAIN;
	}
	unlock(&e->lock);
	return err;
}

static s64 eventfd_do(struct file *f, bool nowait, bool reading, u64 *value)
{
	s64 err = eventfd_try(f->data, reading, value);
	struct wait_entry *w;

	if (err != -EAGAIN || nowait)
		return err;
	w = wait_on(&f->wait, reading ? EPOLLIN : EPOLLOUT);
	while ((err = eventfd_try(f->data, reading, value)) == -EAGAIN && !(err = wait_sleep(PICO_FOREVER)))
		wait_begin();
	wait_remove(w);
	return err;
}

static s64 eventfd_read(struct file *f, const struct iobuf *b, u64 pos)
{
	u64 value = 0;
	s64 err;

	(void)pos;
	if (b->size < sizeof(value))
		return -EINVAL;
	err = eventfd_do(f, io_nowait(f, b), true, &value);
	if (err)
		return err;
	wake_queue(&f->wait, EPOLLOUT);
	return iobuf_copy_to(b, 0, &value, sizeof(value)) ? -EFAULT : (s64)sizeof(value);
}

static s64 eventfd_write(struct file *f, const struct iobuf *b, u64 pos)
{
	u64 value;
	s64 err;

	(void)pos;
	if (b->size != sizeof(value)) /* strict since Linux 6.7 */
		return -EINVAL;
	if (iobuf_copy_from(b, 0, &value, sizeof(value)))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	err = eventfd_do(f, io_nowait(f, b), false, &value);
	if (err)
		return err;
	wake_queue(&f->wait, EPOLLIN);
	return sizeof(value);
}

static u32 eventfd_poll(struct file *f, struct poll_table *t)
{
	struct eventfd *e = f->data;
	u32 ev = 0;
	u64 count;

	if (t)
		t->add(t, &f->wait);
	lock(&e->lock);
	count = e->count;
	unlock(&e->lock);
	if (count > 0)
		ev |= EPOLLIN;
	if (count == UINT64_MAX)
		ev |= EPOLLERR;
	if (count < UINT64_MAX - 1)
		ev |= EPOLLOUT;
	return ev;
}

static int eventfd_info(struct file *f, char *buf, size_t size)
{
	struct eventfd *e = f->data;

	return snprintf(buf, size, "eventfd-count: %16llx\neventfd-id: %llu\neventfd-semaphore: %d\n",
		(unsigned long long)e->count, (unsigned long long)e->id, e->semaphore);
}

static void eventfd_release(struct file *f) { kfree(f->data); }

static const struct file_ops eventfd_ops = {
	.name = "anon_inode:[eventfd]", .read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll,
	.release = eventfd_release, .fdinfo = eventfd_info, .seek = seek_noop, .gather = true,
};

bool file_is_eventfd(const struct file *f) { return f->ops == &eventfd_ops; }

/* From inside: never waits; what is too much stays at the end, which only this can reach. */
void eventfd_signal(struct file *f)
{
	struct eventfd *e = f->data;

	lock(&e->lock);
	e->count += e->count < UINT64_MAX;
	unlock(&e->lock);
	wake_queue(&f->wait, EPOLLIN);
}

static s64 do_eventfd(u32 count, u32 flags)
{
	struct eventfd *e;
	struct file *f;

	if (flags & ~(u32)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	e = kzalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	f = file_alloc(&eventfd_ops, O_RDWR | (flags & EFD_NONBLOCK));
	if (!f) {
		kfree(e);
		return -ENFILE;
	}
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	f->data = e;
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	e->id = anon_ino();
	return fd_install(f, flags & EFD_CLOEXEC, 0);
}

SYSCALL(eventfd) { return do_eventfd((u32)a[0], 0); }
SYSCALL(eventfd2) { return do_eventfd((u32)a[0], (u32)a[1]); }
