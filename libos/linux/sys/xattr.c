/* SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes: name spaces and who may use them. Values are kept by
 * the file systems.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <linux/xattr.h>

#define XATTR_NAME_MAX 255u /* linux/limits.h, which would define more than that */
#define XATTR_SIZE_MAX 65536ul
#define XATTR_LIST_MAX 65536ul


/* What the name space says to a read (write false) or a change; 0: go on. */
static int allowed(const struct path *p, struct inode *i, const char *name, bool write)
{
	int err = write && p->mnt ? mount_want_write(p->mnt) : 0;

	if (err) return err;
	if (write && i->attributes & ATTR_FROZEN) return -EPERM;
	if (!strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN)) {
		if (!write) return 0;
		return capable(!strcmp(name, "security.capability") ? CAP_SETFCAP : CAP_SYS_ADMIN) ? 0 : -EPERM;
	}
	if (!strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN))
		return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
	if (!strncmp(name, XATTR_USER_PREFIX, XATTR_USER_PREFIX_LEN)) {
		if (!S_ISREG(i->mode) && !S_ISDIR(i->mode)) return write ? -EPERM : -ENODATA;
		if (write && S_ISDIR(i->mode) && i->mode & S_ISVTX && !owner_or_capable(i)) return -EPERM;
		return inode_permission(i, write ? 2 : 4);
	}
	return -EOPNOTSUPP; /* "system." and what nobody knows */
}

static int get_attr_name(char name[XATTR_NAME_MAX + 1], uaddr from)
{
	long n = strncpy_from_user(name, from, XATTR_NAME_MAX + 1);
	return n == -ENAMETOOLONG || n == 0 ? -ERANGE : n < 0 ? (int)n : 0;
}

/* Which object: by name, or by descriptor when name is 0. */
struct object { struct path path; struct file *file; struct inode *inode; };

static int object_find(struct object *o, uaddr name, int fd, bool follow)
{
	char path[PATH_MAX];
	int err;

	*o = (struct object){ 0 };
	if (!name) {
		o->file = fd_get(fd);
		if (!o->file) return -EBADF;
		o->path = o->file->path;
		path_get(&o->path);
		o->inode = o->file->inode;
	} else {
		err = getname(path, name);
		if (!err) err = path_lookup(AT_FDCWD, path, follow ? LOOKUP_FOLLOW : 0, &o->path);
		if (err) return err;
		o->inode = o->path.dentry->inode;
	}
	return 0;
}

static void object_put(struct object *o)
{
	path_put(&o->path);
	if (o->file) file_put(o->file);
}

static s64 set(struct object *o, const u64 *a)
{
	char name[XATTR_NAME_MAX + 1];
	int flags = (int)a[4], err;
	size_t size = a[3];
	void *value = NULL;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) return -EINVAL;
	if ((err = get_attr_name(name, a[1]))) return err;
	if (size > XATTR_SIZE_MAX) return -E2BIG;
	if (size) {
		value = kmalloc(size);
		if (!value) return -ENOMEM;
		if (copy_from_user(value, a[2], size)) err = -EFAULT;
	}
	if (!err) err = allowed(&o->path, o->inode, name, true);
	if (!err) err = o->inode->ops && o->inode->ops->setxattr ? o->inode->ops->setxattr(o->inode, name, value ? value : "", size, flags) : -EOPNOTSUPP;
	kfree(value);
	if (!err && o->path.dentry) notify_dentry(o->path.dentry, IN_ATTRIB);
	return err;
}

static s64 get(struct object *o, const u64 *a)
{
	char name[XATTR_NAME_MAX + 1];
	size_t size = MIN(a[3], XATTR_SIZE_MAX);
	void *value = NULL;
	s64 n = get_attr_name(name, a[1]);

	if (n) return n;
	if (size && !(value = kmalloc(size))) return -ENOMEM;
	n = allowed(&o->path, o->inode, name, false);
	if (!n) n = o->inode->ops && o->inode->ops->getxattr ? o->inode->ops->getxattr(o->inode, name, value, size) : -EOPNOTSUPP;
	if (n > 0 && size && copy_to_user(a[2], value, (size_t)n)) n = -EFAULT;
	kfree(value);
	return n;
}

static s64 list(struct object *o, const u64 *a)
{
	size_t size = MIN(a[2], XATTR_LIST_MAX);
	char *names = NULL;

	if (!o->inode->ops || !o->inode->ops->listxattr) return 0;
	if (size && !(names = kmalloc(size))) return -ENOMEM;
	s64 n = o->inode->ops->listxattr(o->inode, names, size);
	if (n > 0 && size && copy_to_user(a[1], names, (size_t)n)) n = -EFAULT;
	kfree(names);
	return n;
}

static s64 remove(struct object *o, const u64 *a)
{
	char name[XATTR_NAME_MAX + 1];
	int err = get_attr_name(name, a[1]);

	if (!err) err = allowed(&o->path, o->inode, name, true);
	if (!err) err = o->inode->ops && o->inode->ops->removexattr ? o->inode->ops->removexattr(o->inode, name) : -EOPNOTSUPP;
	if (!err && o->path.dentry) notify_dentry(o->path.dentry, IN_ATTRIB);
	return err;
}

static s64 with_object(const u64 *a, bool by_fd, bool follow, s64 (*fn)(struct object *o, const u64 *a))
{
	struct object o;
	int err = object_find(&o, by_fd ? 0 : a[0], (int)a[0], follow);
	s64 r;

	if (err) return !by_fd && !a[0] ? -EFAULT : err;
	r = o.inode ? fn(&o, a) : -EOPNOTSUPP;
	object_put(&o);
	return r;
}

SYSCALL(setxattr) { return a[0] ? with_object(a, false, true, set) : -EFAULT; }
SYSCALL(lsetxattr) { return a[0] ? with_object(a, false, false, set) : -EFAULT; }
SYSCALL(fsetxattr) { return with_object(a, true, false, set); }
SYSCALL(getxattr) { return a[0] ? with_object(a, false, true, get) : -EFAULT; }
SYSCALL(lgetxattr) { return a[0] ? with_object(a, false, false, get) : -EFAULT; }
SYSCALL(fgetxattr) { return with_object(a, true, false, get); }
SYSCALL(listxattr) { return a[0] ? with_object(a, false, true, list) : -EFAULT; }
SYSCALL(llistxattr) { return a[0] ? with_object(a, false, false, list) : -EFAULT; }
SYSCALL(flistxattr) { return with_object(a, true, false, list); }
SYSCALL(removexattr) { return a[0] ? with_object(a, false, true, remove) : -EFAULT; }
SYSCALL(lremovexattr) { return a[0] ? with_object(a, false, false, remove) : -EFAULT; }
SYSCALL(fremovexattr) { return with_object(a, true, false, remove); }
