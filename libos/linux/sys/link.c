/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls that change names. The work is fs/names.c's.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"

static s64 mkdir_at(int dirfd, uaddr name, u32 mode)
{
	char path[PATH_MAX];
	int err = getname(path, name);
	return err ? err : vfs_mkdir(dirfd, path, mode);
}

SYSCALL(mkdir) { return mkdir_at(AT_FDCWD, a[0], (u32)a[1]); }
SYSCALL(mkdirat) { return mkdir_at((int)a[0], a[1], (u32)a[2]); }

/* The program's number of a device is 32 bits here: what mknod(2) takes. */
static s64 mknod_at(int dirfd, uaddr name, u32 mode, u32 dev)
{
	char path[PATH_MAX];
	int err = getname(path, name);
	return err ? err : path_mknod(dirfd, path, mode, dev, NULL);
}

SYSCALL(mknod) { return mknod_at(AT_FDCWD, a[0], (u32)a[1], (u32)a[2]); }
SYSCALL(mknodat) { return mknod_at((int)a[0], a[1], (u32)a[2], (u32)a[3]); }

static s64 unlink_at(int dirfd, uaddr name, bool directory)
{
	char path[PATH_MAX];
	int err = getname(path, name);
	return err ? err : vfs_unlink(dirfd, path, directory);
}

SYSCALL(unlink) { return unlink_at(AT_FDCWD, a[0], false); }
SYSCALL(rmdir) { return unlink_at(AT_FDCWD, a[0], true); }
SYSCALL(unlinkat)
{
	if ((u32)a[2] & ~(u32)AT_REMOVEDIR) return -EINVAL;
	return unlink_at((int)a[0], a[1], a[2] & AT_REMOVEDIR);
}

static s64 rename_at(int olddir, uaddr oldname, int newdir, uaddr newname, u32 flags)
{
	char from[PATH_MAX], to[PATH_MAX];
	int err = getname(from, oldname);

	if (!err) err = getname(to, newname);
	return err ? err : vfs_rename(olddir, from, newdir, to, flags);
}

SYSCALL(rename) { return rename_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0); }
SYSCALL(renameat) { return rename_at((int)a[0], a[1], (int)a[2], a[3], 0); }
SYSCALL(renameat2) { return rename_at((int)a[0], a[1], (int)a[2], a[3], (u32)a[4]); }

static s64 link_at(int olddir, uaddr oldname, int newdir, uaddr newname, u32 flags)
{
	char from[PATH_MAX], to[PATH_MAX];
	int err = flags & AT_EMPTY_PATH ? getname_empty(from, oldname) : getname(from, oldname);

	if (!err) err = getname(to, newname);
	return err ? err : vfs_link(olddir, from, newdir, to, flags);
}

SYSCALL(link) { return link_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0); }
SYSCALL(linkat)
{
	if ((u32)a[4] & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return -EINVAL;
	return link_at((int)a[0], a[1], (int)a[2], a[3], (u32)a[4]);
}

static s64 symlink_at(uaddr target, int dirfd, uaddr name)
{
	char text[PATH_MAX], path[PATH_MAX];
	int err = getname(text, target);

	if (!err) err = getname(path, name);
	return err ? err : vfs_symlink(text, dirfd, path);
}

SYSCALL(symlink) { return symlink_at(a[0], AT_FDCWD, a[1]); }
SYSCALL(symlinkat) { return symlink_at(a[0], (int)a[1], a[2]); }
