/* SPDX-License-Identifier: Apache-2.0
 *
 * mount and umount inside the instance: file systems that live in memory, and
 * the same tree in two places. Nothing here reaches a file system of the host
 * that the policy did not mount.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <linux/mount.h>

#define MNT_FORCE_ 1u
#define MNT_DETACH_ 2u
#define MNT_EXPIRE_ 4u
#define UMOUNT_NOFOLLOW_ 8u
#define MNT_FLAGS (MNT_NOSYMFOLLOW | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
#define MS_PROPAGATION (MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)

static int mount_new(const char *type, const char *source, const char *options, u32 flags, const struct path *at)
{
	const struct fs_type *t = fs_type_named(type);
	int err = -ENOMEM;
	struct inode *root;

	if (!t || !t->root) return -ENODEV;
	root = t->root(options, &err);
	return root ? mount_tree(type, *source ? source : "none", root, flags, NULL, at) : err;
}

static int mount_from(uaddr source, const struct path *at, u32 flags)
{
	char name[PATH_MAX];
	struct path from;
	int err = getname(name, source);

	if (!err) err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &from);
	if (err) return err == -EFAULT && !source ? -EINVAL : err;
	err = flags & MS_BIND ? mount_bind(&from, at, flags) : mount_move(&from, at);
	path_put(&from);
	return err;
}

/* A short string of the program; absent is empty. */
static char *text_from_user(uaddr from, int *err)
{
	char *text = kmalloc(PAGE_SIZE);
	long n = 0;

	*err = text ? 0 : -ENOMEM;
	if (!text) return NULL;
	text[0] = 0;
	if (from) n = strncpy_from_user(text, from, PAGE_SIZE);
	if (n >= 0) return text;
	*err = n == -ENAMETOOLONG ? -EINVAL : (int)n;
	kfree(text);
	return NULL;
}

SYSCALL(mount)
{
	u32 flags = (u32)a[3];
	char target[PATH_MAX];
	char *type = NULL, *source = NULL, *options = NULL;
	struct path at;
	int err;

	if ((flags & 0xffff0000u) == 0xc0ed0000u) flags &= 0xffffu; /* MS_MGC_VAL of old programs */
	type = text_from_user(a[2], &err);
	if (!err) source = text_from_user(flags & (MS_BIND | MS_MOVE) ? 0 : a[0], &err);
	if (!err) options = text_from_user(flags & (MS_BIND | MS_MOVE) ? 0 : a[4], &err);
	if (!err) err = getname(target, a[1]);
	if (!err) err = path_lookup(AT_FDCWD, target, LOOKUP_FOLLOW, &at);
	if (err) goto out;
	if (!capable(CAP_SYS_ADMIN)) err = -EPERM;
	else if (flags & MS_REMOUNT) err = mount_change(&at, flags & MNT_FLAGS, MNT_FLAGS);
	else if (flags & (MS_BIND | MS_MOVE)) err = mount_from(a[0], &at, flags);
	else if (flags & MS_PROPAGATION) err = at.dentry == at.mnt->root ? 0 : -EINVAL; /* there is one name space */
	else if (!a[2]) err = -EINVAL;
	else err = mount_new(type, source, options, flags & MNT_FLAGS, &at);
	path_put(&at);
out:
	kfree(type);
	kfree(source);
	kfree(options);
	return err;
}

SYSCALL(umount2)
{
	u32 flags = (u32)a[1];
	char name[PATH_MAX];
	struct path at;
	int err;

	if (flags & ~(MNT_FORCE_ | MNT_DETACH_ | MNT_EXPIRE_ | UMOUNT_NOFOLLOW_)) return -EINVAL;
	if (flags & MNT_EXPIRE_ && flags & (MNT_FORCE_ | MNT_DETACH_)) return -EINVAL;
	err = getname(name, a[0]);
	if (!err) err = path_lookup(AT_FDCWD, name, flags & UMOUNT_NOFOLLOW_ ? 0 : LOOKUP_FOLLOW, &at);
	if (err) return err;
	if (at.dentry != at.mnt->root) err = -EINVAL;
	else if (!capable(CAP_SYS_ADMIN)) err = -EPERM;
	else if (flags & MNT_EXPIRE_) return mount_expire(&at);
	else err = mount_detach(&at, flags & MNT_DETACH_);
	path_put(&at);
	return err;
}

SYSCALL(pivot_root) { return -EPERM; }
