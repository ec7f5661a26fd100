/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes changed: modes, owners, times, the umask. Who may is decided in
 * fs/inode.c.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"

#define UTIME_NOW ((1l << 30) - 1)
#define UTIME_OMIT ((1l << 30) - 2)
#define NO_ID (~0u)

/* A name, or with AT_EMPTY_PATH a descriptor, as a path. */
static int find(int dirfd, uaddr name, u32 flags, struct path *p)
{
	char path[PATH_MAX];
	u32 look = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int err = flags & AT_EMPTY_PATH ? getname_empty(path, name) : getname(path, name);

	return err ? err : path_lookup(dirfd, path, look, p);
}

/* Changes by descriptor; files without a name have attributes too. */
static s64 change_fd(int fd, u32 valid, struct kstat *st)
{
	struct file *f = fd_get(fd);
	int err;

	if (!f) return -EBADF;
	if (f->path.dentry) {
		err = vfs_setattr(&f->path, valid, st);
	} else if (!f->inode || !f->inode->ops || !f->inode->ops->setattr) {
		err = f->inode ? -EPERM : 0; /* anonymous files share one inode nobody looks at */
	} else {
		struct dentry nameless = { .inode = f->inode };
		struct path p = { NULL, &nameless };
		list_init(&nameless.children);
		err = vfs_setattr(&p, valid, st);
	}
	file_put(f);
	return err;
}

static s64 change_at(int dirfd, uaddr name, u32 flags, u32 valid, struct kstat *st)
{
	struct path p;
	int err = find(dirfd, name, flags, &p);

	if (err) return err;
	if (valid & SETATTR_MODE && S_ISLNK(p.dentry->inode->mode)) err = -EOPNOTSUPP;
	else err = vfs_setattr(&p, valid, st);
	path_put(&p);
	return err;
}

/* ---- modes ---- */

static s64 chmod_at(int dirfd, uaddr name, u32 mode, u32 flags)
{
	struct kstat st = { .mode = mode & 07777 };

	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
	return change_at(dirfd, name, flags, SETATTR_MODE, &st);
}

SYSCALL(chmod) { return chmod_at(AT_FDCWD, a[0], (u32)a[1], 0); }
SYSCALL(fchmodat) { return chmod_at((int)a[0], a[1], (u32)a[2], 0); }
SYSCALL(fchmodat2) { return chmod_at((int)a[0], a[1], (u32)a[2], (u32)a[3]); }
SYSCALL(fchmod)
{
	struct kstat st = { .mode = (u32)a[1] & 07777 };
	return change_fd((int)a[0], SETATTR_MODE, &st);
}

SYSCALL(umask)
{
	u32 old = current->fs->umask;
	current->fs->umask = (u32)a[0] & 0777;
	return old;
}

/* ---- owners ---- */

static u32 owner_of(struct kstat *st, u32 uid, u32 gid)
{
	*st = (struct kstat){ .uid = uid, .gid = gid };
	return SETATTR_CHOWN | (uid != NO_ID ? SETATTR_UID : 0) | (gid != NO_ID ? SETATTR_GID : 0);
}

static s64 chown_at(int dirfd, uaddr name, u32 uid, u32 gid, u32 flags)
{
	struct kstat st;
	u32 valid = owner_of(&st, uid, gid);

	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
	return change_at(dirfd, name, flags, valid, &st);
}

SYSCALL(chown) { return chown_at(AT_FDCWD, a[0], (u32)a[1], (u32)a[2], 0); }
SYSCALL(lchown) { return chown_at(AT_FDCWD, a[0], (u32)a[1], (u32)a[2], AT_SYMLINK_NOFOLLOW); }
SYSCALL(fchownat) { return chown_at((int)a[0], a[1], (u32)a[2], (u32)a[3], (u32)a[4]); }
SYSCALL(fchown)
{
	struct kstat st;
	u32 valid = owner_of(&st, (u32)a[1], (u32)a[2]);
	return change_fd((int)a[0], valid, &st);
}

/* ---- times ---- */

static bool time_valid(const struct lx_timespec *t)
{
	return t->nsec == UTIME_NOW || t->nsec == UTIME_OMIT || (u64)t->nsec < NSEC_PER_SEC;
}

static u32 one_time(const struct lx_timespec *t, u32 set, u32 now)
{
	return t->nsec == UTIME_OMIT ? 0 : t->nsec == UTIME_NOW ? set | now : set;
}

/* times NULL: both now. */
static s64 set_times(int dirfd, uaddr name, const struct lx_timespec times[2], u32 flags)
{
	struct kstat st = { 0 };
	u32 valid = SETATTR_ATIME | SETATTR_MTIME | SETATTR_ATIME_NOW | SETATTR_MTIME_NOW;

	if (times) {
		if (!time_valid(&times[0]) || !time_valid(&times[1])) return -EINVAL;
		if (times[0].nsec == UTIME_OMIT && times[1].nsec == UTIME_OMIT) return 0; /* not even the name is looked at */
		st.atime = times[0];
		st.mtime = times[1];
		valid = one_time(&times[0], SETATTR_ATIME, SETATTR_ATIME_NOW) | one_time(&times[1], SETATTR_MTIME, SETATTR_MTIME_NOW);
	}
	if (!name && dirfd != AT_FDCWD) return flags ? -EINVAL : change_fd(dirfd, valid, &st);
	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
	return change_at(dirfd, name, flags, valid, &st);
}

SYSCALL(utimensat)
{
	struct lx_timespec times[2];

	if (a[2] && copy_from_user(times, a[2], sizeof(times))) return -EFAULT;
	return set_times((int)a[0], a[1], a[2] ? times : NULL, (u32)a[3]);
}

static s64 set_timevals(int dirfd, uaddr name, uaddr from)
{
	struct lx_timeval tv[2];
	struct lx_timespec times[2];

	if (!from) return set_times(dirfd, name, NULL, 0);
	if (copy_from_user(tv, from, sizeof(tv))) return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if ((u64)tv[i].usec >= 1000000) return -EINVAL;
		times[i] = (struct lx_timespec){ tv[i].sec, tv[i].usec * 1000 };
	}
	return set_times(dirfd, name, times, 0);
}

SYSCALL(utimes) { return set_timevals(AT_FDCWD, a[0], a[1]); }
SYSCALL(futimesat) { return set_timevals((int)a[0], a[1], a[2]); }

SYSCALL(utime)
{
	s64 seconds[2];

	if (!a[1]) return set_times(AT_FDCWD, a[0], NULL, 0);
	if (copy_from_user(seconds, a[1], sizeof(seconds))) return -EFAULT;
	struct lx_timespec times[2] = { { seconds[0], 0 }, { seconds[1], 0 } };
	return set_times(AT_FDCWD, a[0], times, 0);
}
