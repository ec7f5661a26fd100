/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes read: the stat family, access, readlink, statfs.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <linux/magic.h>

/* Attributes of what a name or (name empty) a descriptor means; *mnt_id too. */
static int attributes(int dirfd, const char *name, u32 flags, struct kstat *st, u32 *mnt_id, bool *mount_root)
{
	struct path p;
	struct file *f = NULL;
	u32 look = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int err = path_lookup_file(dirfd, name, look, &p, &f);

	if (err) return err;
	err = f ? file_getattr(f, st) : vfs_getattr(p.dentry->inode, st);
	if (mnt_id) *mnt_id = f ? 0 : p.mnt->id;
	if (mount_root) *mount_root = !f && p.dentry == p.mnt->root;
	if (f) file_put(f);
	else path_put(&p);
	return err;
}

static s64 give_stat(const struct kstat *st, uaddr to)
{
	struct lx_stat out = {
		.dev = st->dev, .ino = st->ino, .nlink = st->nlink, .mode = st->mode, .uid = st->uid, .gid = st->gid,
		.rdev = st->rdev, .size = (s64)st->size, .blksize = st->blksize, .blocks = (s64)st->blocks,
		.atime = st->atime, .mtime = st->mtime, .ctime = st->ctime,
	};
	return copy_to_user(to, &out, sizeof(out));
}

static s64 stat_at(int dirfd, uaddr name, uaddr to, u32 flags)
{
	char path[PATH_MAX];
	struct kstat st;
	int err = flags & AT_EMPTY_PATH ? getname_empty(path, name) : getname(path, name);

	if (!err) err = attributes(dirfd, path, flags, &st, NULL, NULL);
	return err ? err : give_stat(&st, to);
}

static s64 stat_fd(int fd, uaddr to)
{
	struct file *f = fd_get_any(fd);
	struct kstat st;
	int err;

	if (!f) return -EBADF;
	err = file_getattr(f, &st);
	file_put(f);
	return err ? err : give_stat(&st, to);
}

SYSCALL(stat) { return stat_at(AT_FDCWD, a[0], a[1], 0); }
SYSCALL(lstat) { return stat_at(AT_FDCWD, a[0], a[1], AT_SYMLINK_NOFOLLOW); }
SYSCALL(fstat) { return stat_fd((int)a[0], a[1]); }

SYSCALL(newfstatat)
{
	u32 flags = (u32)a[3];
	char first;

	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) return -EINVAL;
	/* fstat() of newer C libraries */
	if (flags & AT_EMPTY_PATH && (int)a[0] >= 0) {
		if (!a[1]) return stat_fd((int)a[0], a[2]);
		if (get_user(first, a[1])) return -EFAULT;
		if (!first) return stat_fd((int)a[0], a[2]);
	}
	return stat_at((int)a[0], a[1], a[2], flags);
}

static struct statx_timestamp statx_time(const struct lx_timespec *t)
{
	return (struct statx_timestamp){ .tv_sec = t->sec, .tv_nsec = (u32)t->nsec };
}

static u32 dev_major(u64 dev) { return (u32)(dev >> 8) & 0xfff; }
static u32 dev_minor(u64 dev) { return (u32)(dev & 0xff) | ((u32)(dev >> 12) & ~0xffu); }

SYSCALL(statx)
{
	u32 flags = (u32)a[2], mask = (u32)a[3], mnt_id = 0;
	char path[PATH_MAX];
	bool mount_root = false;
	struct kstat st;
	int err = 0;

	if (mask & 0x80000000u || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE ||
	    flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if (!a[1] && flags & AT_EMPTY_PATH) path[0] = 0;
	else err = flags & AT_EMPTY_PATH ? getname_empty(path, a[1]) : getname(path, a[1]);
	if (!err) err = attributes((int)a[0], path, flags, &st, &mnt_id, &mount_root);
	if (err) return err;
	struct statx out = {
		.stx_mask = STATX_BASIC_STATS | (st.btime.sec || st.btime.nsec ? STATX_BTIME : 0) | (mnt_id ? STATX_MNT_ID : 0),
		.stx_blksize = st.blksize, .stx_nlink = (u32)st.nlink, .stx_uid = st.uid, .stx_gid = st.gid, .stx_mode = (u16)st.mode,
		.stx_ino = st.ino, .stx_size = st.size, .stx_blocks = st.blocks,
		.stx_atime = statx_time(&st.atime), .stx_btime = statx_time(&st.btime),
		.stx_ctime = statx_time(&st.ctime), .stx_mtime = statx_time(&st.mtime),
		.stx_rdev_major = dev_major(st.rdev), .stx_rdev_minor = dev_minor(st.rdev),
		.stx_dev_major = dev_major(st.dev), .stx_dev_minor = dev_minor(st.dev),
		.stx_mnt_id = mnt_id, .stx_attributes_mask = STATX_ATTR_MOUNT_ROOT | st.attributes_known, /* the same bits */
		.stx_attributes = (mount_root ? STATX_ATTR_MOUNT_ROOT : 0) | st.attributes,
	};
	return copy_to_user(a[4], &out, sizeof(out));
}

/* ---- access ---- */

/* access(2) asks for the real ids. */
static int permission_real(struct inode *i, u32 mask)
{
	const struct creds *now = creds_now();
	struct creds real;

	if (now->uid == now->fsuid && now->gid == now->fsgid) return inode_permission(i, mask);
	real = *now;
	real.fsuid = now->uid;
	real.fsgid = now->gid;
	if (now->uid) real.cap_effective = 0;
	else real.cap_effective = now->cap_permitted;
	return inode_permission_as(i, mask, &real);
}

static s64 access_at(int dirfd, uaddr name, u32 mode, u32 flags)
{
	char path[PATH_MAX];
	struct path p;
	struct file *f;
	u32 look = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int err;

	if (mode & ~7u || flags & ~(u32)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
	err = flags & AT_EMPTY_PATH ? getname_empty(path, name) : getname(path, name);
	if (err || (err = path_lookup_file(dirfd, path, look, &p, &f))) return err;
	struct inode *i = f ? f->inode : p.dentry->inode;
	u32 type = i ? i->mode & S_IFMT : 0, mnt = f ? 0 : p.mnt->flags;
	if (mode & 1 && type == S_IFREG && mnt & MNT_NOEXEC) err = -EACCES;
	if (!err && i) err = flags & AT_EACCESS ? inode_permission(i, mode) : permission_real(i, mode);
	if (!err && mode & 2 && mnt & MNT_RDONLY && (type == S_IFREG || type == S_IFDIR || type == S_IFLNK)) err = -EROFS;
	if (f) file_put(f);
	else path_put(&p);
	return err;
}

SYSCALL(access) { return access_at(AT_FDCWD, a[0], (u32)a[1], 0); }
SYSCALL(faccessat) { return access_at((int)a[0], a[1], (u32)a[2], 0); }
SYSCALL(faccessat2) { return access_at((int)a[0], a[1], (u32)a[2], (u32)a[3]); }

/* ---- symbolic links ---- */

static s64 readlink_at(int dirfd, uaddr name, uaddr to, s32 size)
{
	char path[PATH_MAX];
	struct path p;
	int err;

	if (size <= 0) return -EINVAL;
	if ((err = getname_empty(path, name))) return err;
	bool empty = !*path;
	if ((err = path_lookup(dirfd, path, LOOKUP_EMPTY, &p))) return err;
	if (empty && dirfd == AT_FDCWD) err = -ENOENT;
	struct inode *i = p.dentry->inode;
	s64 n = err ? err : empty ? -ENOENT : -EINVAL;
	if (!err && S_ISLNK(i->mode) && i->ops->readlink) {
		n = i->ops->readlink(i, path, sizeof(path));
		if (n > size) n = size;
		if (n > 0 && copy_to_user(to, path, (size_t)n)) n = -EFAULT;
	}
	path_put(&p);
	return n;
}

SYSCALL(readlink) { return readlink_at(AT_FDCWD, a[0], a[1], (s32)a[2]); }
SYSCALL(readlinkat) { return readlink_at((int)a[0], a[1], a[2], (s32)a[3]); }

/* ---- statfs ---- */

static s64 give_statfs(struct inode *i, struct mount *m, uaddr to)
{
	static const struct { u32 mnt, st; } map[] = {
		{ MNT_RDONLY, 1 }, { MNT_NOSUID, 2 }, { MNT_NODEV, 4 }, { MNT_NOEXEC, 8 }, { MNT_NOATIME, 1024 }, { MNT_NODIRATIME, 2048 },
		{ MNT_NOSYMFOLLOW, 0x2000 },
	};
	u64 out[15] = { 0 };
	int err = 0;

	if (i && i->ops && i->ops->statfs) {
		err = i->ops->statfs(i, out);
	} else { /* pipes, sockets, anonymous files */
		out[0] = i && S_ISFIFO(i->mode) ? PIPEFS_MAGIC : i && S_ISSOCK(i->mode) ? SOCKFS_MAGIC : ANON_INODE_FS_MAGIC;
		out[1] = out[9] = PAGE_SIZE;
		out[8] = NAME_MAX;
	}
	if (err) return err;
	out[10] |= 0x20; /* ST_VALID */
	for (size_t k = 0; m && k < ARRAY_SIZE(map); k++)
		if (m->flags & map[k].mnt) out[10] |= map[k].st;
	if (m && !(m->flags & (MNT_NOATIME | MNT_STRICTATIME))) out[10] |= 4096; /* ST_RELATIME */
	return copy_to_user(to, out, sizeof(out));
}

SYSCALL(statfs)
{
	char name[PATH_MAX];
	struct path p;
	struct file *f;
	int err = getname(name, a[0]);

	if (err || (err = path_lookup_file(AT_FDCWD, name, LOOKUP_FOLLOW, &p, &f))) return err;
	s64 r = give_statfs(f ? f->inode : p.dentry->inode, f ? NULL : p.mnt, a[1]);
	if (f) file_put(f);
	else path_put(&p);
	return r;
}

SYSCALL(fstatfs)
{
	struct file *f = fd_get_any((int)a[0]);

	if (!f) return -EBADF;
	s64 r = give_statfs(f->inode, f->path.mnt, a[1]);
	file_put(f);
	return r;
}

/* ---- ustat: by device number, of what is mounted ---- */

SYSCALL(ustat)
{
	struct { s32 free_blocks, pad; u64 free_inodes; char names[16]; } u = { 0 };
	u64 out[15] = { 0 };
	struct path p;
	int err;

	if (!mount_of_dev((u32)a[0], &p)) return -EINVAL;
	struct inode *i = p.dentry->inode;
	err = i->ops && i->ops->statfs ? i->ops->statfs(i, out) : -ENOSYS;
	path_put(&p);
	if (err) return err;
	u.free_blocks = (s32)out[3];
	u.free_inodes = out[6];
	return copy_to_user(a[1], &u, 32);
}
