/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving bytes from file to file: sendfile, copy_file_range, splice, tee,
 * vmsplice. All of them copy through a buffer of the kernel; what has been
 * taken from a pipe is always delivered.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <asm/poll.h>

#define BUFFER_PAGES 64u
#define PIPE_ATOMIC 4096u /* a pipe that is writable takes this much whole */
#define SPLICE_NONBLOCK 2u
#define SPLICE_ALL 15u

static bool is_pipe(const struct file *f)
{
	return f->inode && S_ISFIFO(f->inode->mode);
}

struct copy {
	struct file *in, *out;
	u64 *in_pos, *out_pos; /* NULL: the file's own */
	u64 size;
	bool nonblock;
};

static bool ready(struct file *f, u32 event)
{
	return file_poll(f, NULL) & (event | POLLERR | POLLHUP);
}

/* Writes all of what was read; returns what could be written. */
static s64 deliver(struct copy *c, char *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		struct iobuf b = { .k = buf + done, .size = n - done, .flags = c->nonblock ? IOBUF_NOWAIT : 0 };
		s64 w = file_write(c->out, &b, c->out_pos);
		if (w <= 0) return done ? (s64)done : w;
		done += (size_t)w;
	}
	return (s64)done;
}

/* A source that forgets what it gave must not give more than the sink takes. */
static s64 run(struct copy *c)
{
	bool gone = !c->in->ops->seekable;
	char *buf = page_alloc(BUFFER_PAGES);
	s64 done = 0, n = 0;

	if (!buf) return -ENOMEM;
	while (c->size) {
		size_t part = MIN(c->size, (u64)BUFFER_PAGES * PAGE_SIZE);
		if (gone && !c->out->ops->seekable) part = MIN(part, (size_t)PIPE_ATOMIC);
		bool wait_out = c->nonblock || c->out->flags & O_NONBLOCK;
		if (gone && wait_out && !ready(c->out, POLLOUT)) {
			n = -EAGAIN;
			break;
		}
		if (gone && (c->nonblock || done) && !ready(c->in, POLLIN)) {
			n = done ? 0 : -EAGAIN;
			break;
		}
		u64 before = c->in_pos ? *c->in_pos : c->in->pos;
		struct iobuf b = { .k = buf, .size = part };
		n = file_read(c->in, &b, c->in_pos);
		if (n <= 0) break;
		s64 w = deliver(c, buf, (size_t)n);
		if (!gone && w < n) { /* what was not taken is read again */
			if (c->in_pos) *c->in_pos = before + (u64)(w < 0 ? 0 : w);
			else c->in->pos = before + (u64)(w < 0 ? 0 : w);
		}
		if (w < 0) {
			n = w;
			break;
		}
		done += w;
		c->size -= (u64)w;
		if (w < n || (gone && (size_t)n < part)) break;
		if (signal_pending()) break;
	}
	page_free(buf, BUFFER_PAGES);
	return done ? done : n;
}

static int offset_in(uaddr at, struct file *f, u64 *value, u64 **use)
{
	*use = NULL;
	if (!at) return 0;
	if (!f->ops->seekable) return -ESPIPE;
	if (get_user(*value, at)) return -EFAULT;
	if ((s64)*value < 0) return -EINVAL;
	*use = value;
	return 0;
}

static int two_files(int in, int out, struct file **f, struct file **g)
{
	*f = fd_get(in);
	*g = *f ? fd_get(out) : NULL;
	if (*g) return 0;
	if (*f) file_put(*f);
	return -EBADF;
}

static int check_copy(const struct copy *c)
{
	if (!(c->in->mode_bits & FMODE_READ) || !(c->out->mode_bits & FMODE_WRITE)) return -EBADF;
	return 0;
}

SYSCALL(sendfile)
{
	struct copy c = { .size = MIN(a[3], MAX_RW_COUNT) };
	u64 pos;
	s64 n = two_files((int)a[1], (int)a[0], &c.in, &c.out);

	if (n) return n;
	n = check_copy(&c);
	if (!n && (s64)a[3] < 0) n = -EINVAL;
	if (!n) n = offset_in(a[2], c.in, &pos, &c.in_pos);
	if (!n && c.out->flags & O_APPEND && c.out->ops->seekable) n = -EINVAL;
	if (!n && (!c.in->ops->read || (c.in->inode && !S_ISREG(c.in->inode->mode) && !S_ISBLK(c.in->inode->mode) && !S_ISCHR(c.in->inode->mode))))
		n = -EINVAL;
	if (!n) n = run(&c);
	if (c.in_pos && n >= 0 && put_user(pos, a[2])) n = -EFAULT;
	file_put(c.in);
	file_put(c.out);
	return n;
}

static int check_range(const struct copy *c, u64 in_pos, u64 out_pos, u64 *size, u32 flags)
{
	struct inode *in = c->in->inode, *out = c->out->inode;
	struct kstat st;

	if (flags) return -EINVAL;
	if (!in || !out) return -EINVAL;
	if (S_ISDIR(in->mode) || S_ISDIR(out->mode)) return -EISDIR;
	if (!S_ISREG(in->mode) || !S_ISREG(out->mode)) return -EINVAL;
	if (check_copy(c) || c->out->flags & O_APPEND) return -EBADF;
	if (in->dev != out->dev) return -EXDEV;
	if (in_pos + *size < in_pos || out_pos + *size < out_pos) return -EOVERFLOW;
	int err = file_getattr(c->in, &st);
	if (err) return err;
	*size = in_pos >= st.size ? 0 : MIN(*size, st.size - in_pos);
	if (in == out && *size && out_pos + *size > in_pos && out_pos < in_pos + *size) return -EINVAL;
	return 0;
}

SYSCALL(copy_file_range)
{
	struct copy c = { .size = a[4] };
	u64 in_pos, out_pos;
	s64 n = two_files((int)a[0], (int)a[2], &c.in, &c.out);

	if (n) return n;
	n = offset_in(a[1], c.in, &in_pos, &c.in_pos);
	if (!n) n = offset_in(a[3], c.out, &out_pos, &c.out_pos);
	if (n == -ESPIPE) n = -EINVAL;
	if (!n) n = check_range(&c, c.in_pos ? in_pos : c.in->pos, c.out_pos ? out_pos : c.out->pos, &c.size, (u32)a[5]);
	if (c.size > MAX_RW_COUNT) c.size = MAX_RW_COUNT;
	if (!n) n = run(&c);
	if (c.in_pos && n > 0 && put_user(in_pos, a[1])) n = -EFAULT;
	if (c.out_pos && n > 0 && put_user(out_pos, a[3])) n = -EFAULT;
	file_put(c.in);
	file_put(c.out);
	return n;
}

SYSCALL(splice)
{
	struct copy c = { .size = MIN(a[4], MAX_RW_COUNT), .nonblock = (u32)a[5] & SPLICE_NONBLOCK };
	u64 in_pos, out_pos;
	s64 n;

	if (!a[4]) return 0;
	if ((u32)a[5] & ~SPLICE_ALL) return -EINVAL;
	if ((n = two_files((int)a[0], (int)a[2], &c.in, &c.out))) return n;
	n = check_copy(&c);
	if (!n && !is_pipe(c.in) && !is_pipe(c.out)) n = -EINVAL;
	if (!n && ((is_pipe(c.in) && a[1]) || (is_pipe(c.out) && a[3]))) n = -ESPIPE;
	if (!n && c.in->inode == c.out->inode) n = -EINVAL;
	if (!n && !is_pipe(c.out) && c.out->flags & O_APPEND) n = -EINVAL;
	if (!n && (!c.in->ops->read || !c.out->ops->write)) n = -EINVAL;
	if (!n) n = offset_in(a[1], c.in, &in_pos, &c.in_pos);
	if (!n) n = offset_in(a[3], c.out, &out_pos, &c.out_pos);
	if (!n) n = run(&c);
	if (c.in_pos && n > 0 && put_user(in_pos, a[1])) n = -EFAULT;
	if (c.out_pos && n > 0 && put_user(out_pos, a[3])) n = -EFAULT;
	file_put(c.in);
	file_put(c.out);
	return n;
}

static s64 tee(struct file *in, struct file *out, u64 size, bool nonblock)
{
	struct iobuf b = { .k = page_alloc(BUFFER_PAGES), .flags = IOBUF_NOWAIT };
	s64 n;

	if (!b.k) return -ENOMEM;
	n = pipe_peek(in, b.k, MIN(size, (u64)BUFFER_PAGES * PAGE_SIZE), nonblock || in->flags & O_NONBLOCK);
	if (n > 0) {
		b.size = (size_t)n;
		n = file_write(out, &b, NULL);
		if (n == -EAGAIN && !nonblock && !(out->flags & O_NONBLOCK)) { /* full: wait for room for a piece */
			b.size = MIN(b.size, (size_t)PIPE_ATOMIC);
			b.flags = 0;
			n = file_write(out, &b, NULL);
		}
	}
	page_free(b.k, BUFFER_PAGES);
	return n;
}

SYSCALL(tee)
{
	struct file *in, *out;
	s64 n;

	if ((u32)a[3] & ~SPLICE_ALL) return -EINVAL;
	if (!a[2]) return 0;
	if ((n = two_files((int)a[0], (int)a[1], &in, &out))) return n;
	if (!(in->mode_bits & FMODE_READ) || !(out->mode_bits & FMODE_WRITE)) n = -EBADF;
	else if (!is_pipe(in) || !is_pipe(out) || in->inode == out->inode) n = -EINVAL;
	else n = tee(in, out, a[2], (u32)a[3] & SPLICE_NONBLOCK);
	file_put(in);
	file_put(out);
	return n;
}

/* What finds room is taken; only for the first of it there is a wait. */
static s64 give(struct file *f, struct lx_iovec *v, u32 count, struct iobuf b)
{
	size_t total = b.size;
	s64 first, n;

	b.size = MIN(total, (size_t)PIPE_ATOMIC);
	first = file_write(f, &b, NULL);
	if (first < (s64)b.size || (size_t)first == total) return first;
	for (size_t skip = (size_t)first; skip;) {
		size_t part = MIN(skip, v->size);
		v->base += part;
		v->size -= part;
		skip -= part;
		if (!v->size) v++, count--;
	}
	b = (struct iobuf){ .user = true, .vec_count = count, .vec = v, .size = total - (size_t)first, .flags = IOBUF_NOWAIT };
	n = file_write(f, &b, NULL);
	return n > 0 ? first + n : first;
}

/* Copies: the pages stay the program's. */
SYSCALL(vmsplice)
{
	struct file *f;
	struct lx_iovec small[8], *v;
	size_t total;
	s64 n;

	if ((u32)a[3] & ~SPLICE_ALL) return -EINVAL;
	f = fd_get((int)a[0]);
	if (!f) return -EBADF;
	bool write = f->mode_bits & FMODE_WRITE;
	if (!is_pipe(f)) n = -EBADF;
	else n = iovec_from_user(a[1], a[2], small, &v, &total);
	if (n) {
		file_put(f);
		return n;
	}
	struct iobuf b = { .user = true, .vec_count = (u32)a[2], .vec = v, .size = total, .flags = (u32)a[3] & SPLICE_NONBLOCK ? IOBUF_NOWAIT : 0 };
	if (total) n = write ? give(f, v, (u32)a[2], b) : file_read(f, &b, NULL);
	if (v != small) kfree(v);
	file_put(f);
	return n;
}
