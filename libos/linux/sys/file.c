/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls on open descriptors that are neither reading nor writing: dup, fcntl,
 * locks, ioctl, syncing, sizes.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <asm/ioctls.h>
#include <asm/signal.h>

#define RLIMIT_FSIZE 1
#define RLIMIT_NOFILE 7
#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | FASYNC)
#define F_LINUX 1024u

/* ---- dup ---- */

SYSCALL(dup)
{
	struct file *f = fd_get_any((int)a[0]);
	return f ? fd_install(f, 0, 0) : -EBADF;
}

SYSCALL(dup2)
{
	struct file *f = fd_get_any((int)a[0]);

	if (!f) return -EBADF;
	if ((u32)a[0] == (u32)a[1]) {
		file_put(f);
		return (s64)(u32)a[1];
	}
	return fd_install_at(f, 0, (int)a[1]);
}

SYSCALL(dup3)
{
	struct file *f;

	if ((u32)a[2] & ~(u32)O_CLOEXEC || (u32)a[0] == (u32)a[1]) return -EINVAL;
	if ((u32)a[1] >= rlimit_get(RLIMIT_NOFILE)) return -EBADF;
	f = fd_get_any((int)a[0]);
	return f ? fd_install_at(f, (u32)a[2] & O_CLOEXEC, (int)a[1]) : -EBADF;
}

/* ---- fcntl ---- */

struct owner_ex { s32 type, pid; };

static s64 dup_from(struct file *f, u64 lowest, u32 cloexec)
{
	if (lowest >= rlimit_get(RLIMIT_NOFILE)) return -EINVAL;
	return fd_install(file_get(f), cloexec, (int)lowest);
}

static s64 set_flags(struct file *f, u32 wanted)
{
	u32 flags = (f->flags & ~(u32)SETFL_MASK) | (wanted & SETFL_MASK);
	int err;

	if (f->flags & ~flags & O_APPEND && f->inode && f->inode->attributes & ATTR_APPEND) return -EPERM;
	if (flags & ~f->flags & O_NOATIME && f->inode && !owner_or_capable(f->inode)) return -EPERM;
	if (f->ops->set_flags && (err = f->ops->set_flags(f, flags))) return err;
	if ((flags ^ f->flags) & FASYNC && (err = file_set_async(f, flags & FASYNC))) return err;
	f->flags = flags;
	return 0;
}

static s64 set_owner(struct file *f, u32 type, s32 pid)
{
	if (pid) {
		struct process *p = NULL;
		struct task *t = NULL;
		if (type == F_OWNER_PID && !(p = process_by_pid((u32)pid))) return -ESRCH;
		if (type == F_OWNER_TID && !(t = task_by_tid((u32)pid))) return -ESRCH;
		if (p) process_put(p);
		if (t) task_put(t);
	}
	f->owner_type = type;
	f->owner_pid = (u32)pid;
	return 0;
}

static s64 fcntl_owner(struct file *f, u32 cmd, u64 arg)
{
	struct owner_ex ex;
	s32 pid = (s32)arg;

	switch (cmd) {
	case F_SETOWN:
		if (pid == INT32_MIN) return -EINVAL;
		return set_owner(f, pid < 0 ? F_OWNER_PGRP : F_OWNER_PID, pid < 0 ? -pid : pid);
	case F_GETOWN:
		return f->owner_type == F_OWNER_PGRP ? -(s64)f->owner_pid : (s64)f->owner_pid;
	case F_SETOWN_EX:
		if (get_user(ex, arg)) return -EFAULT;
		if (ex.type < F_OWNER_TID || ex.type > F_OWNER_PGRP) return -EINVAL;
		return set_owner(f, (u32)ex.type, ex.pid);
	case F_GETOWN_EX:
		ex = (struct owner_ex){ (s32)f->owner_type, (s32)f->owner_pid };
		return put_user(ex, arg);
	case F_SETSIG:
		if (arg > 64) return -EINVAL;
		f->owner_signal = (u32)arg;
		return 0;
	default:
		return (s64)f->owner_signal;
	}
}

static s64 fcntl_file(struct file *f, int fd, u32 cmd, u64 arg)
{
	switch (cmd) {
	case F_SETFL:
		return set_flags(f, (u32)arg);
	case F_GETLK: case F_SETLK: case F_SETLKW: case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW:
		return lock_fcntl(f, cmd, arg);
	case F_SETOWN: case F_GETOWN: case F_SETOWN_EX: case F_GETOWN_EX: case F_SETSIG: case F_GETSIG:
		return fcntl_owner(f, cmd, arg);
	case F_LINUX + 0: /* F_SETLEASE */
		return lease_set(f, (u32)arg);
	case F_LINUX + 1: /* F_GETLEASE */
		return lease_get(f);
	case F_LINUX + 2: /* F_NOTIFY */
		return dnotify_fcntl(f, fd, (u32)arg);
	case F_LINUX + 7: case F_LINUX + 8: /* F_SETPIPE_SZ F_GETPIPE_SZ */
		return pipe_fcntl(f, cmd, arg);
	case F_LINUX + 9: case F_LINUX + 10: /* F_ADD_SEALS F_GET_SEALS */
		return memfd_fcntl(f, cmd, arg);
	default:
		return -EINVAL;
	}
}

SYSCALL(fcntl)
{
	int fd = (int)a[0];
	u32 cmd = (u32)a[1];
	struct file *f = fd_get_any(fd);
	s64 r;

	if (!f) return -EBADF;
	switch (cmd) {
	case F_DUPFD: r = dup_from(f, a[2], 0); break;
	case F_LINUX + 6: r = dup_from(f, a[2], 1); break; /* F_DUPFD_CLOEXEC */
	case F_GETFD: r = fd_get_cloexec(fd); break;
	case F_SETFD: r = fd_set_cloexec(fd, a[2] & 1); break;
	case F_GETFL: r = f->flags; break;
	default: r = f->mode_bits & FMODE_PATH ? -EBADF : fcntl_file(f, fd, cmd, a[2]);
	}
	file_put(f);
	return r;
}

SYSCALL(flock)
{
	struct file *f = fd_get((int)a[0]);

	if (!f) return -EBADF;
	s64 r = lock_flock(f, (u32)a[1]);
	file_put(f);
	return r;
}

/* ---- ioctl ---- */

static s64 set_flag_from_user(struct file *f, u32 flag, uaddr arg)
{
	s32 on;

	if (get_user(on, arg)) return -EFAULT;
	return set_flags(f, on ? f->flags | flag : f->flags & ~flag);
}

static s64 ioctl_regular(struct file *f, u32 cmd, u64 arg)
{
	struct kstat st;
	int err = file_getattr(f, &st);

	if (err) return err;
	if (cmd == FIONREAD) {
		s64 left = (s64)st.size - (s64)f->pos;
		return put_user((s32)(left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left), arg);
	}
	return put_user((s64)st.size, arg); /* FIOQSIZE */
}

/* FS_IOC_GETFLAGS, FS_IOC_SETFLAGS: what chattr(1) changes. */
#define GET_ATTRIBUTES 0x80086601u
#define SET_ATTRIBUTES 0x40086602u

static s64 ioctl_attributes(struct file *f, bool change, uaddr arg)
{
	struct inode *i = f->inode;
	u32 now;
	int err;

	if (!i || !i->ops || !i->ops->keeps_flags || (!S_ISREG(i->mode) && !S_ISDIR(i->mode))) return -ENOTTY;
	if (!change) return put_user(i->attributes, arg);
	if ((err = mount_want_write(f->path.mnt))) return err;
	if (get_user(now, arg)) return -EFAULT;
	if (!owner_or_capable(i)) return -EPERM;
	if (now & ~(ATTR_FROZEN | ATTR_NODUMP | ATTR_NOATIME)) return -EOPNOTSUPP;
	lock(&i->lock);
	if ((now ^ i->attributes) & ATTR_FROZEN && !capable(CAP_LINUX_IMMUTABLE)) err = -EPERM;
	else i->attributes = now;
	i->ctime = timespec_now();
	unlock(&i->lock);
	return err;
}

SYSCALL(ioctl)
{
	struct file *f = fd_get((int)a[0]);
	u32 cmd = (u32)a[1];
	u32 type;
	s64 r;

	if (!f) return -EBADF;
	type = f->inode ? f->inode->mode & S_IFMT : 0;
	switch (cmd) {
	case FIOCLEX: r = fd_set_cloexec((int)a[0], true); break;
	case FIONCLEX: r = fd_set_cloexec((int)a[0], false); break;
	case FIONBIO: r = set_flag_from_user(f, O_NONBLOCK, a[2]); break;
	case FIOASYNC: r = set_flag_from_user(f, FASYNC, a[2]); break;
	case 0x40049409: case 0x4020940d: /* FICLONE FICLONERANGE: nothing here shares blocks */
		r = type == S_IFREG ? -EOPNOTSUPP : -ENOTTY;
		break;
	case GET_ATTRIBUTES: case SET_ATTRIBUTES:
		r = ioctl_attributes(f, cmd == SET_ATTRIBUTES, a[2]);
		break;
	case 2: /* FIGETBSZ */
		r = type == S_IFREG || type == S_IFDIR ? put_user((s32)(f->inode->blksize ? f->inode->blksize : PAGE_SIZE), a[2]) : -ENOTTY;
		break;
	case FIONREAD: case FIOQSIZE:
		if (type == S_IFREG && !f->ops->ioctl) {
			r = ioctl_regular(f, cmd, a[2]);
			break;
		}
		/* fall through */
	default:
		r = f->ops->ioctl ? f->ops->ioctl(f, cmd, a[2]) : -ENOTTY;
	}
	file_put(f);
	return r;
}

/* ---- syncing ---- */

static s64 sync_fd(int fd, bool data_only)
{
	struct file *f = fd_get(fd);

	if (!f) return -EBADF;
	s64 r = f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
	file_put(f);
	return r;
}

SYSCALL(fsync) { return sync_fd((int)a[0], false); }
SYSCALL(fdatasync) { return sync_fd((int)a[0], true); }
SYSCALL(sync)
{
	mount_sync_all();
	return 0;
}

SYSCALL(syncfs)
{
	struct file *f = fd_get((int)a[0]);
	s64 r = 0;

	if (!f) return -EBADF;
	if (f->inode && f->inode->ops && f->inode->ops->syncfs) r = f->inode->ops->syncfs(f->inode);
	file_put(f);
	return r;
}

SYSCALL(sync_file_range)
{
	struct file *f;
	s64 offset = (s64)a[1], size = (s64)a[2], r;

	if ((u32)a[3] & ~7u || offset < 0 || size < 0 || (u64)offset + (u64)size > (u64)INT64_MAX) {
		f = fd_get((int)a[0]);
		if (!f) return -EBADF;
		file_put(f);
		return -EINVAL;
	}
	f = fd_get((int)a[0]);
	if (!f) return -EBADF;
	u32 type = f->inode ? f->inode->mode & S_IFMT : 0;
	if (type != S_IFREG && type != S_IFBLK && type != S_IFDIR && type != S_IFLNK) r = -ESPIPE;
	else r = (u32)a[3] && f->ops->fsync ? f->ops->fsync(f, true) : 0;
	file_put(f);
	return r;
}

SYSCALL(fadvise64)
{
	struct file *f = fd_get((int)a[0]);
	s64 r = 0;

	if (!f) return -EBADF;
	if (f->inode && S_ISFIFO(f->inode->mode)) r = -ESPIPE;
	else if ((s64)a[2] < 0 || (u32)a[3] > 5) r = -EINVAL;
	file_put(f);
	return r;
}

SYSCALL(readahead)
{
	struct file *f = fd_get((int)a[0]);
	s64 r = 0;

	if (!f) return -EBADF;
	if (!(f->mode_bits & FMODE_READ)) r = -EBADF;
	else if (!f->inode || (!S_ISREG(f->inode->mode) && !S_ISBLK(f->inode->mode))) r = -EINVAL;
	file_put(f);
	return r;
}

/* ---- sizes ---- */

static int size_allowed(struct inode *i, u64 size)
{
	u64 limit = rlimit_get(RLIMIT_FSIZE);

	if (size <= i->size || size <= limit) return 0;
	signal_send_task(current, SIGXFSZ, NULL);
	return -EFBIG;
}

SYSCALL(truncate)
{
	char name[PATH_MAX];
	struct path p;
	int err;

	if ((s64)a[1] < 0) return -EINVAL;
	if ((err = getname(name, a[0])) || (err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &p))) return err;
	struct inode *i = p.dentry->inode;
	if (S_ISDIR(i->mode)) err = -EISDIR;
	else if (!S_ISREG(i->mode)) err = -EINVAL;
	else if (!(err = mount_want_write(p.mnt))) err = inode_permission(i, 2);
	if (!err && __atomic_load_n(&i->writers, __ATOMIC_RELAXED) < 0) err = -ETXTBSY;
	if (!err && i->leases) err = lease_break(i, true, false);
	if (!err) err = size_allowed(i, a[1]);
	if (!err) err = vfs_truncate(&p, NULL, a[1]);
	path_put(&p);
	return err;
}

SYSCALL(ftruncate)
{
	struct file *f;
	int err;

	if ((s64)a[1] < 0) return -EINVAL;
	f = fd_get((int)a[0]);
	if (!f) return -EBADF;
	if (!(f->mode_bits & FMODE_WRITE) || !f->inode || !S_ISREG(f->inode->mode)) err = -EINVAL;
	else if (!(err = size_allowed(f->inode, a[1]))) err = vfs_truncate(&f->path, f, a[1]);
	file_put(f);
	return err;
}

SYSCALL(fallocate)
{
	struct file *f = fd_get((int)a[0]);
	u32 mode = (u32)a[1];
	s64 offset = (s64)a[2], size = (s64)a[3];
	int err;

	if (!f) return -EBADF;
	u32 type = f->inode ? f->inode->mode & S_IFMT : S_IFSOCK;
	if (offset < 0 || size <= 0) err = -EINVAL;
	else if (mode & ~0x7bu) err = -EOPNOTSUPP;
	else if ((mode & 0x12) == 0x12) err = -EOPNOTSUPP; /* PUNCH_HOLE with ZERO_RANGE */
	else if ((mode & 3) == 2) err = -EOPNOTSUPP; /* PUNCH_HOLE without KEEP_SIZE */
	else if ((mode & 8 && mode & ~8u) || (mode & 0x20 && mode & ~0x20u)) err = -EINVAL;
	else if (!(f->mode_bits & FMODE_WRITE)) err = -EBADF;
	else if (type == S_IFIFO) err = -ESPIPE;
	else if (type == S_IFDIR) err = -EISDIR;
	else if (type != S_IFREG && type != S_IFBLK) err = -ENODEV;
	else if (size > INT64_MAX - offset) err = -EFBIG;
	else if (!(mode & 1) && (err = size_allowed(f->inode, (u64)(offset + size)))) {}
	else if (f->inode->attributes & ATTR_IMMUTABLE || (mode & ~1u && f->inode->attributes & ATTR_APPEND)) err = -EPERM;
	else if (!f->ops->fallocate) err = -EOPNOTSUPP;
	else if (!(err = remove_privileges(f))) err = f->ops->fallocate(f, mode, (u64)offset, (u64)size);
	if (!err) notify_file(f, IN_MODIFY);
	file_put(f);
	return err;
}
