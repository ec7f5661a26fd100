/* SPDX-License-Identifier: Apache-2.0
 *
 * Open-file descriptions: life, and reading and writing with the rules that
 * hold for every kind of file (positions, limits, set-id bits). It must not
 * know descriptors.
 */
#include "internal.h"
#include <asm/poll.h>
#include <asm/signal.h>

#define RLIMIT_FSIZE 1

struct file *file_alloc(const struct file_ops *ops, u32 flags)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f) return NULL;
	ref_init(&f->ref);
	f->ops = ops;
	f->flags = flags;
	f->mode_bits = (flags + 1) & 3; /* 3 is neither to read nor to write */
	wait_queue_init(&f->wait);
	__atomic_fetch_add(&vfs()->file_count, 1, __ATOMIC_RELAXED);
	return f;
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

void file_drop(struct file *f)
{
	inode_put(f->inode);
	path_put(&f->path);
	kfree(f);
	__atomic_fetch_sub(&vfs()->file_count, 1, __ATOMIC_RELAXED);
}

void file_put(struct file *f)
{
	if (!ref_put(&f->ref)) return;
	if (f->epoll_links) epoll_file_released(f);
	if (f->inode && f->inode->flocks) locks_file_released(f);
	if (f->mode_bits & FMODE_COUNTED) file_unclaim(f);
	notify_file(f, f->mode_bits & FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (f->ops && f->ops->release) f->ops->release(f);
	file_drop(f);
}

int iobuf_copy_to(const struct iobuf *b, size_t at, const void *from, size_t n)
{
	if (b->vec_count) return iovec_copy_to(b->vec, b->vec_count, at, from, n);
	if (b->user) return copy_to_user(b->u + at, from, n);
	memcpy((char *)b->k + at, from, n);
	return 0;
}

int iobuf_copy_from(const struct iobuf *b, size_t at, void *to, size_t n)
{
	if (b->vec_count) return iovec_copy_from(b->vec, b->vec_count, at, to, n);
	if (b->user) return copy_from_user(to, b->u + at, n);
	memcpy(to, (const char *)b->k + at, n);
	return 0;
}

static inline bool buffer_ok(const struct iobuf *b)
{
	return !b->user || b->vec_count || user_ok(b->u, b->size);
}

static s64 read_at(struct file *f, const struct iobuf *b, u64 pos)
{
	if (f->ops->seekable && (s64)pos < 0) return -EINVAL;
	s64 n = f->ops->read(f, b, pos);
	if (n > 0) notify_file(f, IN_ACCESS);
	return n;
}

s64 file_read(struct file *f, const struct iobuf *b, u64 *pos)
{
	struct iobuf cut;
	s64 n;

	if (unlikely(!(f->mode_bits & FMODE_READ))) return -EBADF;
	if (unlikely(!f->ops->read)) return f->inode && S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	if (unlikely(!buffer_ok(b))) return -EFAULT;
	if (unlikely(b->size > MAX_RW_COUNT)) {
		cut = *b;
		cut.size = MAX_RW_COUNT;
		b = &cut;
	}
	if (pos) {
		n = read_at(f, b, *pos);
		if (n > 0) *pos += (u64)n;
		return n;
	}
	if (!f->ops->seekable) return read_at(f, b, 0);
	if (unlikely(f->ops->waits)) {
		u64 at = __atomic_load_n(&f->pos, __ATOMIC_RELAXED);
		n = read_at(f, b, at);
		if (n > 0) __atomic_store_n(&f->pos, at + (u64)n, __ATOMIC_RELAXED);
		return n;
	}
	lock(&f->pos_lock);
	n = read_at(f, b, f->pos);
	if (n > 0) f->pos += (u64)n;
	unlock(&f->pos_lock);
	return n;
}

/* RLIMIT_FSIZE and the largest file: cuts the transfer, or refuses it. */
static int write_limit(struct file *f, u64 pos, size_t *size)
{
	u64 limit = rlimit_get(RLIMIT_FSIZE);

	if (unlikely(limit < (u64)INT64_MAX)) {
		if (pos >= limit) {
			signal_send_task(current, SIGXFSZ, NULL);
			return -EFBIG;
		}
		if (*size > limit - pos) *size = limit - pos;
	}
	(void)f;
	if (pos >= (u64)INT64_MAX) return -EFBIG;
	if (*size > (u64)INT64_MAX - pos) *size = (u64)INT64_MAX - pos;
	return 0;
}

static s64 write_at(struct file *f, const struct iobuf *b, u64 *pos)
{
	struct iobuf cut;
	s64 n;

	if (f->ops->seekable && (s64)*pos < 0) return -EINVAL;
	if (f->inode && S_ISREG(f->inode->mode)) {
		if (!b->size) return 0;
		cut = *b;
		if (f->flags & O_APPEND) cut.flags |= IOBUF_APPEND;
		int err = write_limit(f, cut.flags & IOBUF_APPEND ? f->inode->size : *pos, &cut.size);
		if (err) return err;
		if ((err = remove_privileges(f))) return err;
		b = &cut;
	}
	n = f->ops->write(f, b, *pos);
	if (n > 0) {
		*pos = b->flags & IOBUF_APPEND && f->ops->seekable ? f->append_end : *pos + (u64)n;
		notify_file(f, IN_MODIFY);
	}
	return n;
}

s64 file_write(struct file *f, const struct iobuf *b, u64 *pos)
{
	struct iobuf cut;
	s64 n;
	u64 none = 0;

	if (unlikely(!(f->mode_bits & FMODE_WRITE))) return -EBADF;
	if (unlikely(!f->ops->write)) return -EINVAL;
	if (unlikely(!buffer_ok(b))) return -EFAULT;
	if (unlikely(b->size > MAX_RW_COUNT)) {
		cut = *b;
		cut.size = MAX_RW_COUNT;
		b = &cut;
	}
	if (pos) {
		n = write_at(f, b, pos);
	} else if (!f->ops->seekable) {
		n = write_at(f, b, &none);
	} else if (unlikely(f->ops->waits)) {
		u64 at = __atomic_load_n(&f->pos, __ATOMIC_RELAXED);
		n = write_at(f, b, &at);
		__atomic_store_n(&f->pos, at, __ATOMIC_RELAXED);
	} else {
		lock(&f->pos_lock);
		n = write_at(f, b, &f->pos);
		unlock(&f->pos_lock);
	}
	if (n > 0 && unlikely(f->flags & O_DSYNC) && f->ops->fsync) {
		int err = f->ops->fsync(f, (f->flags & O_SYNC) != O_SYNC);
		if (err) return err;
	}
	return n;
}

s64 file_read_kernel(struct file *f, void *buf, size_t size, u64 pos)
{
	struct iobuf b = { .k = buf, .size = size };

	if (!f->ops->read) return -EINVAL;
	return f->ops->read(f, &b, pos);
}

u32 file_poll(struct file *f, struct poll_table *t)
{
	if (!f->ops || !f->ops->poll) return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	return f->ops->poll(f, t);
}
