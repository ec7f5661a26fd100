/* SPDX-License-Identifier: Apache-2.0
 *
 * /dev: memory devices, the terminals' and loop devices' names, links to descriptors. Device
 * numbers are Linux's, so a node made elsewhere with mknod works as well.
 */
#include "loop.h"
#include "tty.h"

#define DEV(major, minor) ((u64)(major) << 8 | (minor))

/* ---- null, zero, full ---- */

static s64 read_end(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return 0;
}

static s64 write_all(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)pos;
	return (s64)b->size;
}

static s64 write_full(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)pos;
	return b->size ? -ENOSPC : 0;
}

static s64 read_zeros(struct file *f, const struct iobuf *b, u64 pos)
{
	static const u8 zeros[PAGE_SIZE];
	size_t done = 0;

	(void)f, (void)pos;
	while (done < b->size) {
		size_t n = MIN(b->size - done, sizeof(zeros));
		int err = b->user && !b->vec_count ? clear_user(b->u + done, n) : iobuf_copy_to(b, done, zeros, n);

		if (err)
			return done ? (s64)done : -EFAULT;
		done += n;
		if (done < b->size && signal_pending())
			break; /* a long read ends early, as Linux's */
	}
	return (s64)done;
}

static s64 seek_nowhere(struct file *f, s64 offset, int whence)
{
	(void)offset, (void)whence;
	f->pos = 0;
	return 0;
}

static s64 seek_anywhere(struct file *f, s64 offset, int whence)
{
	return whence == 2 ? -EINVAL : seek_to(f, offset, whence, 0);
}

/* Private: pages of nothing. Shared ones are made by mm, which knows maps_zero. */
static int zero_mmap(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset)
{
	void *at = (void *)addr;
	s64 err;

	(void)f, (void)offset;
	if (vma_flags & 8u /* VMA_SHARED */)
		return -ENODEV;
	err = Dk(VirtualMemoryAllocate)(&at, size, PICO_VM_COMMIT | PICO_VM_FIXED, vma_flags & 7u, NULL, 0);
	return err < 0 ? (int)err : 0;
}

/* ---- random: every byte comes from the host, none is kept ---- */

static s64 random_read(const struct iobuf *b)
{
	u8 bytes[512];
	size_t done = 0;
	s64 err = 0;

	while (done < b->size) {
		size_t n = MIN(b->size - done, sizeof(bytes));

		err = Dk(RandomBitsRead)(bytes, n);
		if (err < 0 || (err = iobuf_copy_to(b, done, bytes, n)))
			break;
		done += n;
		if (signal_pending() && done < b->size && done >= 256)
			break;
	}
	memset(bytes, 0, sizeof(bytes));
	return done ? (s64)done : err;
}

static s64 read_random(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)pos;
	return random_read(b);
}

#define RNDGETENTCNT 0x80045200u
#define RNDADDTOENTCNT 0x40045201u
#define RNDADDENTROPY 0x40085203u
static long random_ioctl(struct file *f, u32 cmd, u64 arg)
{
	int bits = 256;

	(void)f;
	switch (cmd) {
	case RNDGETENTCNT:
		return put_user(bits, arg);
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
		return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	}
	return -EINVAL;
}

/* ---- terminals: of a major number, the first minor ---- */

static int own_open(struct inode *i, struct file *f)
{
	(void)i;
	return tty_open_own(f);
}

#define PTS_MAJOR 136u

/* ---- the table ---- */

static const struct file_ops null_ops = {
	.read = read_end, .write = write_all, .seek = seek_nowhere, .seekable = true, .gather = true,
};
static const struct file_ops zero_ops = {
	.read = read_zeros, .write = write_all, .seek = seek_nowhere, .mmap = zero_mmap, .seekable = true, .gather = true,
	.maps_zero = true,
};
static const struct file_ops full_ops = {
	.read = read_zeros, .write = write_full, .seek = seek_nowhere, .seekable = true, .gather = true,
};
static const struct file_ops random_ops = {
	.read = read_random, .write = write_all, .seek = seek_anywhere, .ioctl = random_ioctl, .seekable = true,
	.gather = true,
};

static const struct { u64 rdev; const struct file_ops *ops; int (*open)(struct inode *i, struct file *f); } devices[] = {
	{ DEV(1, 3), &null_ops, NULL },
	{ DEV(1, 5), &zero_ops, NULL },
	{ DEV(1, 7), &full_ops, NULL },
	{ DEV(1, 8), &random_ops, NULL },
	{ DEV(1, 9), &random_ops, NULL },
	{ DEV(5, 0), NULL, own_open },
	{ DEV(5, 1), NULL, console_open_tty },
	{ DEV(5, 2), NULL, ptmx_open },
	{ DEV(10, LOOP_CONTROL_MINOR), NULL, loop_control_open },
};

int device_open(struct inode *i, struct file *f)
{
	if ((i->mode & S_IFMT) == S_IFCHR)
		for (unsigned n = 0; n < ARRAY_SIZE(devices); n++)
			if (devices[n].rdev == i->rdev) {
				if (devices[n].open)
					return devices[n].open(i, f);
				f->ops = devices[n].ops;
				return 0;
			}
	if ((i->mode & S_IFMT) == S_IFCHR && (i->rdev >> 8 & 0xfff) == PTS_MAJOR)
		return pts_open(i, f);
	if ((i->mode & S_IFMT) == S_IFBLK && (i->rdev >> 8 & 0xfff) == LOOP_MAJOR)
		return loop_open(i, f);
	return -ENXIO;
}

/* ---- names ---- */

static const struct pseudo_entry nothing[] = { { .name = NULL } };
#define NODE(n, bits, major, minor) { .name = n, .mode = S_IFCHR | bits, .arg = DEV(major, minor) }
#define MOUNTPOINT(n, bits) { .name = n, .mode = S_IFDIR | bits, .children = nothing }
static const struct pseudo_entry dev_table[] = {
	NODE("null", 0666, 1, 3), NODE("zero", 0666, 1, 5), NODE("full", 0666, 1, 7), NODE("random", 0666, 1, 8),
	NODE("urandom", 0666, 1, 9), NODE("tty", 0666, 5, 0), NODE("console", 0620, 5, 1),
	PLINK("fd", "/proc/self/fd"), PLINK("stdin", "/proc/self/fd/0"), PLINK("stdout", "/proc/self/fd/1"),
	PLINK("stderr", "/proc/self/fd/2"),
	NODE("ptmx", 0666, 5, 2), NODE("loop-control", 0660, 10, LOOP_CONTROL_MINOR),
	{ .name = "pts", .mode = S_IFDIR | 0755, .children = pts_table, .find = pts_find, .next = pts_next },
	MOUNTPOINT("shm", 01777), MOUNTPOINT("mqueue", 01777),
	{ .name = NULL },
};
static const struct pseudo_entry dev_root = {
	.name = "dev", .mode = S_IFDIR | 0555, .children = dev_table, .find = loop_dev_find, .next = loop_dev_next,
};

struct inode *devfs_root(void)
{
	struct inode *i = pseudo_root(DEVFS_DEV, &dev_root);

	if (i)
		i->mode = S_IFDIR | 0755;
	return i;
}
