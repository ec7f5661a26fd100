/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading, writing, positions: the calls that move bytes between a program's
 * memory and one file.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"

#define SMALL_TRANSFER 16384u /* vectors up to this go in one piece */
#define RWF_HIPRI 1u
#define RWF_DSYNC 2u
#define RWF_SYNC 4u
#define RWF_NOWAIT 8u
#define RWF_APPEND 16u
#define RWF_NOAPPEND 32u

SYSCALL(read)
{
	struct file *f = fd_get((int)a[0]);
	struct iobuf b = { .user = true, .u = a[1], .size = a[2] };

	if (!f) return -EBADF;
	s64 n = (s64)b.size < 0 ? -EINVAL : file_read(f, &b, NULL);
	file_put(f);
	return n;
}

SYSCALL(write)
{
	struct file *f = fd_get((int)a[0]);
	struct iobuf b = { .user = true, .u = a[1], .size = a[2] };

	if (!f) return -EBADF;
	s64 n = (s64)b.size < 0 ? -EINVAL : file_write(f, &b, NULL);
	file_put(f);
	return n;
}

static s64 positioned(const u64 *a, bool write)
{
	struct file *f;
	struct iobuf b = { .user = true, .u = a[1], .size = a[2] };
	u64 pos = a[3];
	s64 n;

	if ((s64)pos < 0) return -EINVAL;
	f = fd_get((int)a[0]);
	if (!f) return -EBADF;
	if (!f->ops->seekable) n = -ESPIPE;
	else if ((s64)b.size < 0) n = -EINVAL;
	else n = write ? file_write(f, &b, &pos) : file_read(f, &b, &pos);
	file_put(f);
	return n;
}

SYSCALL(pread64) { return positioned(a, false); }
SYSCALL(pwrite64) { return positioned(a, true); }

/* ---- vectors ---- */

static s64 one(struct file *f, struct iobuf *b, u64 *pos, bool write)
{
	return write ? file_write(f, b, pos) : file_read(f, b, pos);
}

/* Bytes were read that found no place: whole buffers before the bad one count. */
static s64 give_back(struct file *f, const struct lx_iovec *v, u32 count, const char *data, size_t had, u64 *pos)
{
	size_t done = 0;

	for (u32 i = 0; i < count && done < had; i++) {
		size_t n = MIN(v[i].size, had - done);
		if (copy_to_user(v[i].base, data + done, n)) break;
		done += n;
	}
	if (pos) {
		*pos -= had - done;
	} else {
		lock(&f->pos_lock);
		f->pos -= had - done;
		unlock(&f->pos_lock);
	}
	return done ? (s64)done : -EFAULT;
}

/* Files that take one buffer at a time: one call when there is little to copy. */
static s64 bounce(struct file *f, const struct lx_iovec *v, u32 count, size_t total, u64 *pos, u32 flags, bool write)
{
	struct iobuf b = { .k = kmalloc(total), .size = total, .flags = flags };
	s64 n = -ENOMEM;

	if (!b.k) return n;
	if (write && iovec_copy_from(v, count, 0, b.k, total)) n = -EFAULT;
	else n = one(f, &b, pos, write);
	if (!write && n > 0 && iovec_copy_to(v, count, 0, b.k, (size_t)n)) n = give_back(f, v, count, b.k, (size_t)n, pos);
	kfree(b.k);
	return n;
}

static s64 each(struct file *f, const struct lx_iovec *v, u32 count, u64 *pos, u32 flags, bool write)
{
	s64 done = 0;

	for (u32 i = 0; i < count; i++) {
		if (!v[i].size) continue;
		struct iobuf b = { .user = true, .u = v[i].base, .size = v[i].size, .flags = flags };
		s64 n = one(f, &b, pos, write);
		if (n < 0) return done ? done : n;
		done += n;
		if ((u64)n < v[i].size) break;
	}
	return done;
}

static s64 transfer(struct file *f, uaddr vector, u64 count, u64 *pos, u32 flags, bool write)
{
	struct lx_iovec small[8], *v;
	size_t total;
	s64 n;

	if (!(f->mode_bits & (write ? FMODE_WRITE : FMODE_READ))) return -EBADF;
	if (write ? !f->ops->write : !f->ops->read) return -EINVAL;
	n = iovec_from_user(vector, count, small, &v, &total);
	if (n) return n;
	if (!total && f->ops->seekable) {
		n = 0;
	} else if (f->ops->gather && count) {
		struct iobuf b = { .user = true, .vec_count = (u32)count, .vec = v, .size = total, .flags = flags };
		n = one(f, &b, pos, write);
	} else if (count > 1 && total && total <= SMALL_TRANSFER && (f->ops->seekable || write)) {
		n = bounce(f, v, (u32)count, total, pos, flags, write);
		/* A bad buffer among good ones: as much as there is. */
		if (n == -EFAULT && write) n = each(f, v, (u32)count, pos, flags, write);
	} else {
		n = each(f, v, (u32)count, pos, flags, write);
	}
	if (v != small) kfree(v);
	return n;
}

static s64 vector_call(const u64 *a, bool write)
{
	struct file *f = fd_get((int)a[0]);

	if (!f) return -EBADF;
	s64 n = transfer(f, a[1], a[2], NULL, 0, write);
	file_put(f);
	return n;
}

SYSCALL(readv) { return vector_call(a, false); }
SYSCALL(writev) { return vector_call(a, true); }

static s64 vector_at(const u64 *a, u32 rwf, bool write)
{
	u64 pos = a[3];
	bool own = rwf & 0x80000000u && (s64)pos == -1; /* preadv2: the file's own position */
	u32 flags = 0;
	struct file *f;
	s64 n;

	rwf &= 0x7fffffffu;
	if (!own && (s64)pos < 0) return -EINVAL;
	f = fd_get((int)a[0]);
	if (!f) return -EBADF;
	n = 0;
	if (!own && !f->ops->seekable) n = -ESPIPE;
	else if (rwf & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)) n = -EOPNOTSUPP;
	else if (rwf & RWF_NOWAIT && write && f->inode && !S_ISREG(f->inode->mode) && f->ops->seekable) n = -EOPNOTSUPP;
	if (rwf & RWF_APPEND && write) flags |= IOBUF_APPEND;
	if (rwf & RWF_NOWAIT) flags |= IOBUF_NOWAIT;
	if (!n) n = transfer(f, a[1], a[2], own ? NULL : &pos, flags, write);
	if (n > 0 && write && rwf & (RWF_DSYNC | RWF_SYNC) && f->ops->fsync) {
		int err = f->ops->fsync(f, !(rwf & RWF_SYNC));
		if (err) n = err;
	}
	file_put(f);
	return n;
}

SYSCALL(preadv) { return vector_at(a, 0, false); }
SYSCALL(pwritev) { return vector_at(a, 0, true); }
SYSCALL(preadv2) { return a[5] & ~0x7fffffffull ? -EOPNOTSUPP : vector_at(a, (u32)a[5] | 0x80000000u, false); }
SYSCALL(pwritev2) { return a[5] & ~0x7fffffffull ? -EOPNOTSUPP : vector_at(a, (u32)a[5] | 0x80000000u, true); }

SYSCALL(lseek)
{
	struct file *f = fd_get((int)a[0]);
	s64 n;

	if (!f) return -EBADF;
	if ((u32)a[2] > 4) {
		n = -EINVAL;
	} else if (!f->ops->seekable && !f->ops->seek) {
		n = -ESPIPE;
	} else {
		lock(&f->pos_lock);
		n = f->ops->seek ? f->ops->seek(f, (s64)a[1], (int)a[2]) : seek_to(f, (s64)a[1], (int)a[2], f->inode ? f->inode->size : 0);
		unlock(&f->pos_lock);
	}
	file_put(f);
	return n;
}
