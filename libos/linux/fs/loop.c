/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop devices: a block device is a stretch of a regular file (loop(4)). Reads,
 * writes and mappings go straight to that file; nothing is cached here and no
 * partition table is read. It must not know file systems.
 */
#include "loop.h"
#include <linux/fs.h>

#define SECTOR 512u
#define BLOCK_SIZE_MAX PAGE_SIZE
#define FLAGS_BY_USER (LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN)

static struct loops *loops(void) { return vfs()->loops; }

static struct loop *loop_make(void)
{
	struct loop *l = kzalloc(sizeof(*l));

	if (l) {
		l->block_size = SECTOR;
		l->blkbsz = PAGE_SIZE;
		l->read_ahead = 256;
	}
	return l;
}

void loop_init(void)
{
	vfs()->loops = kzalloc(sizeof(struct loops));
	for (u32 n = 0; loops() && n < LOOP_AT_START; n++) {
		loops()->device[n] = loop_make();
		if (loops()->device[n])
			loops()->device[n]->present = true;
	}
}

struct loop *loop_of(u64 number)
{
	struct loop *l = number < LOOP_MAX && loops() ? __atomic_load_n(&loops()->device[number], __ATOMIC_ACQUIRE) : NULL;

	return l && l->present ? l : NULL;
}

static u32 number_of(const struct file *f) { return (u32)(f->inode->rdev & 0xff) | ((u32)(f->inode->rdev >> 12) & ~0xffu); }

/* ---- what the device is made of ---- */

static const struct file_ops loop_ops;
/* The device that a file is, NULL for any other. */
static struct loop *below_of(const struct file *f) { return f && f->ops == &loop_ops ? f->data : NULL; }

static int backing_size(struct file *backing, u64 *size)
{
	struct kstat st;
	int err;

	if (below_of(backing)) {
		*size = below_of(backing)->size;
		return 0;
	}
	err = file_getattr(backing, &st);
	*size = st.size;
	return err;
}

static int measure(struct loop *l)
{
	u64 size;
	int err = backing_size(l->backing, &size);

	if (err)
		return err;
	size = size > l->info.lo_offset ? size - l->info.lo_offset : 0;
	if (l->info.lo_sizelimit && size > l->info.lo_sizelimit)
		size = l->info.lo_sizelimit;
	l->size = ALIGN_DOWN(size, SECTOR);
	return 0;
}

/* The file behind descriptor fd, if a device can be made of it. */
static struct file *backing_get(const struct loop *l, int fd, int *err)
{
	struct file *f = fd_get(fd);

	*err = -EBADF;
	if (!f)
		return NULL;
	*err = -EINVAL;
	if (!f->inode || !f->ops->read)
		goto no;
	if (!S_ISREG(f->inode->mode) && !below_of(f))
		goto no;
	for (const struct loop *below = below_of(f); below; below = below_of(below->backing)) {
		*err = below == l ? -EBADF : -EINVAL;
		if (below == l || !below->backing) /* not on itself, through however many others */
			goto no;
	}
	*err = 0;
	return f;
no:
	file_put(f);
	return NULL;
}

static bool block_size_ok(u64 size) { return size >= SECTOR && size <= BLOCK_SIZE_MAX && !(size & (size - 1)); }

static int info_ok(const struct loop_info64 *info)
{
	if (info->lo_encrypt_type || info->lo_encrypt_key_size)
		return -EINVAL;
	return (s64)info->lo_offset < 0 || (s64)info->lo_sizelimit < 0 ? -EOVERFLOW : 0;
}

static void take_info(struct loop *l, const struct loop_info64 *info)
{
	l->info.lo_offset = info->lo_offset;
	l->info.lo_sizelimit = info->lo_sizelimit;
	memcpy(l->info.lo_file_name, info->lo_file_name, LO_NAME_SIZE);
	l->info.lo_file_name[LO_NAME_SIZE - 1] = 0;
}

static int loop_bind(struct file *f, const struct loop_config *c)
{
	struct loop *l = f->data;
	struct file *backing;
	int err;

	backing = backing_get(l, (int)c->fd, &err);
	if (!backing)
		return err;
	if (c->info.lo_flags & ~(u32)LOOP_CONFIGURE_SETTABLE_FLAGS || (c->block_size && !block_size_ok(c->block_size)))
		err = -EINVAL;
	else
		err = info_ok(&c->info);
	if (err) {
		file_put(backing);
		return err;
	}
	lock(&l->lock);
	if (l->backing) {
		err = -EBUSY;
		goto out;
	}
	memset(&l->info, 0, sizeof(l->info));
	take_info(l, &c->info);
	l->info.lo_flags = c->info.lo_flags;
	if (!(backing->mode_bits & FMODE_WRITE) || !(f->mode_bits & FMODE_WRITE) || !backing->ops->write)
		l->info.lo_flags |= LO_FLAGS_READ_ONLY;
	l->read_only = l->info.lo_flags & LO_FLAGS_READ_ONLY;
	l->block_size = c->block_size ? c->block_size : SECTOR;
	l->backing = backing;
	err = measure(l);
	if (err)
		l->backing = NULL;
out:
	unlock(&l->lock);
	if (err)
		file_put(backing);
	return err;
}

static void loop_release_backing(struct loop *l)
{
	struct file *backing = l->backing;

	l->backing = NULL;
	l->size = 0;
	l->read_only = false;
	l->block_size = SECTOR;
	memset(&l->info, 0, sizeof(l->info));
	unlock(&l->lock);
	if (backing)
		file_put(backing);
	lock(&l->lock);
}

/* While others have the device open it is only marked: the last close lets go. */
static int loop_unbind(struct loop *l)
{
	if (l->openers > 1)
		l->info.lo_flags |= LO_FLAGS_AUTOCLEAR;
	else
		loop_release_backing(l);
	return 0;
}

static int loop_change(struct loop *l, int fd)
{
	struct file *old = l->backing, *backing;
	u64 had, has;
	int err;

	if (!(l->info.lo_flags & LO_FLAGS_READ_ONLY))
		return -EINVAL;
	backing = backing_get(l, fd, &err);
	if (!backing)
		return err;
	err = backing_size(old, &had);
	if (!err)
		err = backing_size(backing, &has);
	if (!err && had != has)
		err = -EINVAL;
	if (!err) {
		l->backing = backing;
		backing = old;
	}
	unlock(&l->lock);
	file_put(backing);
	lock(&l->lock);
	return err;
}

/* ---- status, in two layouts ---- */

static int set_status(struct loop *l, const struct loop_info64 *info)
{
	int err = info_ok(info);

	if (err)
		return err;
	take_info(l, info);
	l->info.lo_flags &= ~(u32)LOOP_SET_STATUS_CLEARABLE_FLAGS;
	l->info.lo_flags |= info->lo_flags & FLAGS_BY_USER;
	return measure(l);
}

static int status_from_user(struct loop *l, bool wide, u64 arg)
{
	struct loop_info64 info;
	struct loop_info narrow;

	if (wide) {
		if (copy_from_user(&info, arg, sizeof(info)))
			return -EFAULT;
		return set_status(l, &info);
	}
	if (copy_from_user(&narrow, arg, sizeof(narrow)))
		return -EFAULT;
	memset(&info, 0, sizeof(info));
	info.lo_offset = (u64)(s64)narrow.lo_offset;
	info.lo_encrypt_type = (u32)narrow.lo_encrypt_type;
	info.lo_encrypt_key_size = (u32)narrow.lo_encrypt_key_size;
	info.lo_flags = (u32)narrow.lo_flags;
	memcpy(info.lo_file_name, narrow.lo_name, LO_NAME_SIZE);
	return set_status(l, &info);
}

static int status_to_user(struct loop *l, u32 number, bool wide, u64 arg)
{
	struct loop_info64 info = l->info;
	struct loop_info narrow;
	struct kstat st;
	int err = file_getattr(l->backing, &st);

	if (err)
		return err;
	info.lo_number = number;
	info.lo_device = st.dev;
	info.lo_inode = st.ino;
	info.lo_rdevice = (u64)LOOP_MAJOR << 8 | number;
	if (wide)
		return copy_to_user(arg, &info, sizeof(info));
	memset(&narrow, 0, sizeof(narrow));
	narrow.lo_number = (int)number;
	narrow.lo_device = (__kernel_old_dev_t)info.lo_device;
	narrow.lo_inode = info.lo_inode;
	narrow.lo_rdevice = (__kernel_old_dev_t)info.lo_rdevice;
	narrow.lo_offset = (int)info.lo_offset;
	narrow.lo_flags = (int)info.lo_flags;
	memcpy(narrow.lo_name, info.lo_file_name, LO_NAME_SIZE);
	if ((u64)narrow.lo_offset != info.lo_offset || narrow.lo_inode != info.lo_inode)
		return -EOVERFLOW;
	return copy_to_user(arg, &narrow, sizeof(narrow));
}

static int direct_io(struct loop *l, bool on)
{
	if (on && l->info.lo_offset & (SECTOR - 1))
		return -EINVAL;
	l->info.lo_flags = (l->info.lo_flags & ~(u32)LO_FLAGS_DIRECT_IO) | (on ? LO_FLAGS_DIRECT_IO : 0);
	return 0;
}

/* ---- transfers ---- */

/* The stretch of the file that a transfer at pos means; a reference on the file. */
static struct file *stretch(struct loop *l, u64 pos, size_t *size, u64 *at)
{
	struct file *backing = NULL;

	lock(&l->lock);
	if (l->backing && pos < l->size) {
		backing = file_get(l->backing);
		*size = MIN(*size, l->size - pos);
		*at = l->info.lo_offset + pos;
	}
	unlock(&l->lock);
	return backing;
}

static s64 loop_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct iobuf cut = *b;
	struct file *backing;
	u64 at;
	s64 n;

	backing = stretch(f->data, pos, &cut.size, &at);
	if (!backing)
		return 0;
	n = backing->ops->read(backing, &cut, at);
	file_put(backing);
	return n;
}

static s64 loop_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct loop *l = f->data;
	struct iobuf cut = *b;
	struct file *backing;
	u64 at;
	s64 n;

	if (l->read_only)
		return -EPERM;
	if (!b->size)
		return 0;
	backing = stretch(l, pos, &cut.size, &at);
	if (!backing)
		return -ENOSPC;
	cut.flags &= ~IOBUF_APPEND;
	n = backing->ops->write(backing, &cut, at);
	file_put(backing);
	return n;
}

static s64 loop_seek(struct file *f, s64 offset, int whence)
{
	const struct loop *l = f->data;

	return whence > 2 ? -EINVAL : seek_to(f, offset, whence, l->size);
}

static int loop_mmap(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset)
{
	struct file *backing;
	size_t whole = size;
	u64 at;
	int err = -EINVAL;

	backing = stretch(f->data, offset, &whole, &at);
	if (!backing)
		return -EINVAL;
	if (backing->ops->mmap && !(at & ~PAGE_MASK))
		err = backing->ops->mmap(backing, addr, size, vma_flags, at);
	file_put(backing);
	return err;
}

static int loop_fsync(struct file *f, bool data_only)
{
	size_t any = 1;
	u64 at;
	struct file *backing = stretch(f->data, 0, &any, &at);
	int err = 0;

	if (!backing)
		return 0;
	if (backing->ops->fsync)
		err = backing->ops->fsync(backing, data_only);
	file_put(backing);
	return err;
}

/* BLKDISCARD, BLKZEROOUT: the range reads as zeros afterwards. */
static int zero_range(struct file *f, u64 arg)
{
	static const char zeros[PAGE_SIZE];
	struct loop *l = f->data;
	u64 range[2];

	if (!(f->mode_bits & FMODE_WRITE))
		return -EBADF;
	if (copy_from_user(range, arg, sizeof(range)))
		return -EFAULT;
	if ((range[0] | range[1]) & (l->block_size - 1) || range[0] + range[1] < range[0] || range[0] + range[1] > l->size)
		return -EINVAL;
	while (range[1]) {
		struct iobuf b = { .k = (void *)(uintptr_t)zeros, .size = MIN(range[1], sizeof(zeros)) };
		s64 n = loop_write(f, &b, range[0]);

		if (n <= 0)
			return n ? (int)n : -EIO;
		range[0] += (u64)n;
		range[1] -= (u64)n;
	}
	return 0;
}

/* ---- ioctl ---- */

static long block_ioctl(struct file *f, struct loop *l, u32 cmd, u64 arg)
{
	s32 number;

	switch (cmd) {
	case BLKGETSIZE64: return put_user(l->size, arg);
	case BLKGETSIZE: return put_user(l->size / SECTOR, arg);
	case BLKSSZGET: return put_user((s32)l->block_size, arg);
	case BLKPBSZGET: case BLKIOMIN: return put_user(l->block_size, arg);
	case BLKIOOPT: case BLKALIGNOFF: return put_user((u32)0, arg);
	case BLKBSZGET: return put_user((s32)l->blkbsz, arg);
	case BLKROGET: return put_user((s32)l->read_only, arg);
	case BLKRAGET: case BLKFRAGET: return put_user((u64)l->read_ahead, arg);
	case BLKSECTGET: return put_user((u16)2560, arg);
	case BLKROTATIONAL: return put_user((u16)0, arg);
	case BLKDISCARDZEROES: return put_user((u32)0, arg);
	case BLKDISCARD: case BLKZEROOUT: return zero_range(f, arg);
	}
	if (cmd != BLKROSET && cmd != BLKRASET && cmd != BLKFRASET && cmd != BLKBSZSET && cmd != BLKFLSBUF && cmd != BLKRRPART)
		return -ENOTTY;
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	switch (cmd) {
	case BLKROSET:
		if (get_user(number, arg))
			return -EFAULT;
		l->read_only = number || l->info.lo_flags & LO_FLAGS_READ_ONLY;
		return 0;
	case BLKRASET: case BLKFRASET:
		l->read_ahead = (u32)arg;
		return 0;
	case BLKBSZSET:
		if (get_user(number, arg))
			return -EFAULT;
		if (!block_size_ok((u32)number) || (u32)number < l->block_size)
			return -EINVAL;
		l->blkbsz = (u32)number;
		return 0;
	case BLKFLSBUF:
		return loop_fsync(f, false);
	}
	return l->info.lo_flags & LO_FLAGS_PARTSCAN ? 0 : -EINVAL; /* BLKRRPART */
}

static long loop_configure(struct file *f, u32 cmd, u64 arg)
{
	struct loop_config c;

	memset(&c, 0, sizeof(c));
	if (cmd == LOOP_SET_FD)
		c.fd = (u32)arg;
	else if (copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	return loop_bind(f, &c);
}

/* Of a bound device; its lock is held. */
static long bound_ioctl(struct file *f, struct loop *l, u32 cmd, u64 arg)
{
	switch (cmd) {
	case LOOP_CLR_FD: return loop_unbind(l);
	case LOOP_SET_STATUS: case LOOP_SET_STATUS64: return status_from_user(l, cmd == LOOP_SET_STATUS64, arg);
	case LOOP_GET_STATUS: case LOOP_GET_STATUS64: return status_to_user(l, number_of(f), cmd == LOOP_GET_STATUS64, arg);
	case LOOP_CHANGE_FD: return loop_change(l, (int)arg);
	case LOOP_SET_CAPACITY: return measure(l);
	case LOOP_SET_DIRECT_IO: return direct_io(l, arg);
	}
	if (!block_size_ok(arg)) /* LOOP_SET_BLOCK_SIZE */
		return -EINVAL;
	l->block_size = (u32)arg;
	return 0;
}

static long loop_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct loop *l = f->data;
	bool asks = cmd == LOOP_GET_STATUS || cmd == LOOP_GET_STATUS64;
	long r;

	if (cmd < LOOP_SET_FD || cmd > LOOP_CONFIGURE)
		return block_ioctl(f, l, cmd, arg);
	if (cmd == LOOP_SET_FD || cmd == LOOP_CONFIGURE)
		return loop_configure(f, cmd, arg);
	if (!asks && cmd != LOOP_CLR_FD && cmd != LOOP_CHANGE_FD && !(f->mode_bits & FMODE_WRITE) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	lock(&l->lock);
	r = l->backing ? bound_ioctl(f, l, cmd, arg) : -ENXIO;
	unlock(&l->lock);
	return r;
}

static void loop_release(struct file *f)
{
	struct loop *l = f->data;

	lock(&l->lock);
	if (!--l->openers && l->info.lo_flags & LO_FLAGS_AUTOCLEAR)
		loop_release_backing(l);
	unlock(&l->lock);
}

static const struct file_ops loop_ops = {
	.read = loop_read, .write = loop_write, .seek = loop_seek, .mmap = loop_mmap, .fsync = loop_fsync, .ioctl = loop_ioctl,
	.release = loop_release, .seekable = true,
};

int loop_open(struct inode *i, struct file *f)
{
	struct loop *l;

	(void)i;
	lock(&loops()->lock);
	l = loop_of(number_of(f));
	if (l) {
		lock(&l->lock);
		l->openers++;
		unlock(&l->lock);
		f->data = l;
		f->ops = &loop_ops;
	}
	unlock(&loops()->lock);
	return l ? 0 : -ENXIO;
}

/* ---- /dev/loop-control ---- */

static long add_device(u64 number)
{
	struct loop *l;

	if (number >= LOOP_MAX)
		return -ENOSPC;
	if (loop_of(number))
		return -EEXIST;
	l = loops()->device[number] ? loops()->device[number] : loop_make();
	if (!l)
		return -ENOMEM;
	l->present = true;
	__atomic_store_n(&loops()->device[number], l, __ATOMIC_RELEASE);
	return (long)number;
}

static long remove_device(u64 number)
{
	struct loop *l = loop_of(number);

	if (!l)
		return -ENODEV;
	if (l->openers || l->backing)
		return -EBUSY;
	l->present = false;
	return 0;
}

static long free_device(void)
{
	u64 none = LOOP_MAX;

	for (u64 n = 0; n < LOOP_MAX; n++) {
		if (!loop_of(n))
			none = MIN(none, n);
		else if (!loop_of(n)->backing)
			return (long)n;
	}
	return add_device(none);
}

static long control_ioctl(struct file *f, u32 cmd, u64 arg)
{
	long r = -ENOSYS;

	(void)f;
	lock(&loops()->lock);
	if (cmd == LOOP_CTL_ADD && (s32)arg < 0) {
		for (arg = 0; arg < LOOP_MAX && loop_of(arg);)
			arg++;
		r = add_device(arg);
	} else if (cmd == LOOP_CTL_ADD) {
		r = add_device((u32)arg);
	} else if (cmd == LOOP_CTL_REMOVE) {
		r = (s32)arg < 0 ? -EINVAL : remove_device((u32)arg);
	} else if (cmd == LOOP_CTL_GET_FREE) {
		r = free_device();
	}
	unlock(&loops()->lock);
	return r;
}

static const struct file_ops control_ops = { .ioctl = control_ioctl };

int loop_control_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &control_ops;
	return 0;
}
