/* SPDX-License-Identifier: Apache-2.0
 *
 * Mounting in steps: a file system is chosen and described, made, mounted where
 * no name leads, and moved to its place. Parameters are gathered as mount(2)
 * takes them; what no file system in memory knows is refused at once.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <linux/mount.h>

#define OPTIONS_MAX PAGE_SIZE
#define ATTR_KNOWN (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME | \
	MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW)

struct context { /* file->data of fsopen and fspick */
	struct lock lock;
	const struct fs_type *type;
	char *source, *options; /* "key=value,..." */
	u32 flags; /* MNT_RDONLY */
	bool picked, made; /* made: described and waiting for fsmount */
	struct path target; /* of fspick */
	struct inode *root; /* once made */
};

static s64 context_read(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return -ENODATA; /* no messages */
}

static void context_release(struct file *f)
{
	struct context *c = f->data;

	path_put(&c->target);
	inode_put(c->root);
	kfree(c->source);
	kfree(c->options);
	kfree(c);
}

static const struct file_ops context_ops = { .name = "anon_inode:[fscontext]", .read = context_read, .release = context_release };

static s64 context_install(struct context *c, bool cloexec)
{
	struct file *f = file_alloc(&context_ops, O_RDWR);

	if (!f) {
		path_put(&c->target);
		kfree(c);
		return -ENOMEM;
	}
	f->data = c;
	return fd_install(f, cloexec ? O_CLOEXEC : 0, 0);
}

/* -EBADF, -EINVAL for another kind of file. */
static struct file *context_get(int fd, s64 *err)
{
	struct file *f = fd_get(fd);

	*err = f ? 0 : -EBADF;
	if (f && f->ops != &context_ops) {
		file_put(f);
		*err = -EINVAL;
	}
	return *err ? NULL : f;
}

SYSCALL(fsopen)
{
	char name[256];
	struct context *c;
	long n;

	if (!capable(CAP_SYS_ADMIN)) return -EPERM;
	if ((u32)a[1] & ~FSOPEN_CLOEXEC) return -EINVAL;
	n = strncpy_from_user(name, a[0], sizeof(name));
	if (n < 0) return n == -EFAULT ? -EFAULT : -EINVAL;
	const struct fs_type *type = fs_type_named(name);
	if (!type || !type->root) return -ENODEV;
	c = kzalloc(sizeof(*c));
	if (!c) return -ENOMEM;
	c->type = type;
	return context_install(c, (u32)a[1] & FSOPEN_CLOEXEC);
}

static int lookup_user(int dirfd, uaddr name, u32 flags, struct path *out)
{
	char *text = kmalloc(PATH_MAX);
	int err;

	if (!text) return -ENOMEM;
	err = flags & LOOKUP_EMPTY ? getname_empty(text, name) : getname(text, name);
	if (!err) err = path_lookup(dirfd, text, flags, out);
	kfree(text);
	return err;
}

SYSCALL(fspick)
{
	const u32 flags = (u32)a[2];
	struct context *c;
	struct path p;
	int err;

	if (!capable(CAP_SYS_ADMIN)) return -EPERM;
	if (flags & ~(u32)(FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH)) return -EINVAL;
	err = lookup_user((int)a[0], a[1], (flags & FSPICK_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & FSPICK_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err) return err;
	if (!p.mnt || p.dentry != p.mnt->root) {
		path_put(&p);
		return -EINVAL;
	}
	c = kzalloc(sizeof(*c));
	if (!c) {
		path_put(&p);
		return -ENOMEM;
	}
	c->picked = true;
	c->target = p;
	c->flags = p.mnt->flags & MNT_RDONLY;
	c->type = fs_type_named(p.mnt->type);
	return context_install(c, flags & FSPICK_CLOEXEC);
}

/* ---- parameters ---- */

/* Those that every file system has; -ENOENT for others. Memory is always in sync. */
static int common_flag(struct context *c, const char *key)
{
	static const char *const idle[] = { "sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand" };

	if (!strcmp(key, "ro")) c->flags |= MNT_RDONLY;
	else if (!strcmp(key, "rw")) c->flags &= ~MNT_RDONLY;
	else {
		size_t n = 0;
		while (n < ARRAY_SIZE(idle) && strcmp(idle[n], key)) n++;
		return n < ARRAY_SIZE(idle) ? 0 : -ENOENT;
	}
	return 0;
}

/* "key=value", tried on a file system of its own, which is thrown away. */
static int own_option(struct context *c, const char *key, const char *value)
{
	size_t size = strlen(key) + strlen(value) + 2, had = c->options ? strlen(c->options) : 0;
	char *option = kmalloc(size), *all;
	struct inode *root;
	int err = -EINVAL;

	if (!option) return -ENOMEM;
	snprintf(option, size, "%s=%s", key, value);
	root = c->type && c->type->takes_options && *key && !strchr(value, ',') ? c->type->root(option, &err) : NULL;
	if (!root) goto out;
	inode_put(root);
	err = -EINVAL;
	if (had + size + 1 > OPTIONS_MAX) goto out;
	err = -ENOMEM;
	all = krealloc(c->options, had + size + 1);
	if (!all) goto out;
	snprintf(all + had, size + 1, "%s%s", had ? "," : "", option);
	c->options = all;
	err = 0;
out:
	kfree(option);
	return err;
}

static int set_parameter(struct context *c, u32 cmd, const char *key, const char *value)
{
	int err = common_flag(c, key);

	if (err != -ENOENT) return err;
	if (cmd != FSCONFIG_SET_STRING) return -EINVAL;
	if (strcmp(key, "source")) return own_option(c, key, value);
	if (c->source) return -EINVAL;
	c->source = kstrdup(value);
	return c->source ? 0 : -ENOMEM;
}

static int act(struct context *c, u32 cmd)
{
	int err = -ENOMEM;

	if (cmd == FSCONFIG_CMD_RECONFIGURE) {
		if (!c->picked) return -EBUSY;
		return mount_change(&c->target, c->flags & MNT_RDONLY, MNT_RDONLY);
	}
	if (c->picked || c->root) return -EBUSY;
	c->root = c->type->root(c->options, &err);
	if (!c->root) return err;
	c->made = true;
	return 0;
}

/* Which of key, value and number a command wants: 1 must be, 0 must not be, 2 a descriptor or AT_FDCWD. */
static const struct { u8 key, value, aux; } wants[] = {
	[FSCONFIG_SET_FLAG] = { 1, 0, 0 }, [FSCONFIG_SET_STRING] = { 1, 1, 0 }, [FSCONFIG_SET_BINARY] = { 1, 1, 1 },
	[FSCONFIG_SET_PATH] = { 1, 1, 2 }, [FSCONFIG_SET_PATH_EMPTY] = { 1, 1, 2 }, [FSCONFIG_SET_FD] = { 1, 0, 3 },
	[FSCONFIG_CMD_CREATE] = { 0, 0, 0 }, [FSCONFIG_CMD_RECONFIGURE] = { 0, 0, 0 },
};

static bool aux_ok(u8 kind, s32 aux)
{
	switch (kind) {
	case 0: return !aux;
	case 1: return aux > 0 && aux <= 1 << 20;
	case 2: return aux >= 0 || aux == AT_FDCWD;
	default: return aux >= 0;
	}
}

static int parameter_from_user(struct context *c, const u64 *a)
{
	const u32 cmd = (u32)a[1];
	char key[256], *value = NULL;
	long n = strncpy_from_user(key, a[2], sizeof(key));
	int err;

	if (n < 0) return n == -EFAULT ? -EFAULT : -EINVAL;
	if (cmd == FSCONFIG_SET_FD) {
		struct file *f = fd_get_any((int)a[4]);
		if (!f) return -EBADF;
		file_put(f);
	} else if (cmd != FSCONFIG_SET_FLAG && cmd != FSCONFIG_SET_BINARY) {
		value = kmalloc(PATH_MAX);
		if (!value) return -ENOMEM;
		n = strncpy_from_user(value, a[3], cmd == FSCONFIG_SET_STRING ? 256 : PATH_MAX);
		if (n < 0) {
			kfree(value);
			return n == -EFAULT ? -EFAULT : -EINVAL;
		}
	}
	lock(&c->lock);
	err = c->made ? -EBUSY : set_parameter(c, cmd, key, value);
	unlock(&c->lock);
	kfree(value);
	return err;
}

SYSCALL(fsconfig)
{
	const u32 cmd = (u32)a[1];
	s64 err;

	if ((s32)a[0] < 0) return -EINVAL;
	if (cmd >= ARRAY_SIZE(wants)) return -EOPNOTSUPP;
	if (!wants[cmd].key != !a[2] || !wants[cmd].value != !a[3] || !aux_ok(wants[cmd].aux, (s32)a[4])) return -EINVAL;
	struct file *f = context_get((int)a[0], &err);
	if (!f) return err;
	struct context *c = f->data;
	if (cmd < FSCONFIG_CMD_CREATE) {
		err = parameter_from_user(c, a);
	} else if (!capable(CAP_SYS_ADMIN)) {
		err = -EPERM;
	} else {
		lock(&c->lock);
		err = act(c, cmd);
		unlock(&c->lock);
	}
	file_put(f);
	return err;
}

/* ---- attributes of mounts ---- */

static u32 flags_of(u64 attr)
{
	u32 flags = (u32)attr & (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC); /* the same bits */

	if (attr & MOUNT_ATTR_NODIRATIME) flags |= MNT_NODIRATIME;
	if (attr & MOUNT_ATTR_NOSYMFOLLOW) flags |= MNT_NOSYMFOLLOW;
	if (attr & MOUNT_ATTR_NOATIME) flags |= MNT_NOATIME;
	if (attr & MOUNT_ATTR_STRICTATIME) flags |= MNT_STRICTATIME;
	return flags;
}

static void tree_release(struct file *f) { mount_dissolve(f->path.mnt); }
static const struct file_ops tree_ops = { .name = NULL, .release = tree_release };

static s64 install_tree(struct mount *m, struct dentry *root, bool made, bool cloexec)
{
	struct path p = { m, root };
	struct file *f = file_open_path(&p, O_PATH);

	if (!IS_ERR(f) && made) f->ops = &tree_ops;
	return IS_ERR(f) ? (s64)PTR_ERR(f) : fd_install(f, cloexec ? O_CLOEXEC : 0, 0);
}

SYSCALL(fsmount)
{
	const u32 attr = (u32)a[2], atime = attr & MOUNT_ATTR__ATIME;
	struct mount *m = NULL;
	s64 err;

	if (!capable(CAP_SYS_ADMIN)) return -EPERM;
	if ((u32)a[1] & ~FSMOUNT_CLOEXEC || attr & ~(u32)ATTR_KNOWN) return -EINVAL;
	if (atime != MOUNT_ATTR_RELATIME && atime != MOUNT_ATTR_NOATIME && atime != MOUNT_ATTR_STRICTATIME) return -EINVAL;
	struct file *f = context_get((int)a[0], &err);
	if (!f) return err;
	struct context *c = f->data;
	lock(&c->lock);
	err = c->made ? 0 : -EINVAL;
	if (!err) {
		struct dentry *root = dentry_alloc_root(inode_get(c->root));
		m = root ? mount_alloc(root, c->type->name, c->source ? c->source : "none", flags_of(attr) | (c->flags & MNT_RDONLY)) : NULL;
		err = m ? 0 : -ENOMEM;
		c->made = err != 0; /* once only */
	}
	unlock(&c->lock);
	file_put(f);
	if (err) return err;
	err = install_tree(m, m->root, true, (u32)a[1] & FSMOUNT_CLOEXEC);
	mount_put(m);
	return err;
}

SYSCALL(open_tree)
{
	const u32 flags = (u32)a[2];
	struct path p;
	s64 err;

	if (flags & ~(u32)(AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)) return -EINVAL;
	if ((flags & (AT_RECURSIVE | OPEN_TREE_CLONE)) == AT_RECURSIVE) return -EINVAL;
	if (flags & OPEN_TREE_CLONE && !capable(CAP_SYS_ADMIN)) return -EPERM;
	err = lookup_user((int)a[0], a[1], (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err) return err;
	if (flags & OPEN_TREE_CLONE) {
		struct mount *m = mount_copy(&p, flags & AT_RECURSIVE);
		err = m ? install_tree(m, m->root, true, flags & OPEN_TREE_CLOEXEC) : -ENOMEM;
		mount_put(m);
	} else {
		err = install_tree(p.mnt, p.dentry, false, flags & OPEN_TREE_CLOEXEC);
	}
	path_put(&p);
	return err;
}

SYSCALL(move_mount)
{
	const u32 flags = (u32)a[4];
	struct path from, to;
	int err;

	if (!capable(CAP_SYS_ADMIN)) return -EPERM;
	if (flags & ~(u32)MOVE_MOUNT__MASK) return -EINVAL;
	err = lookup_user((int)a[0], a[1], (flags & MOVE_MOUNT_F_SYMLINKS ? LOOKUP_FOLLOW : 0) | (flags & MOVE_MOUNT_F_EMPTY_PATH ? LOOKUP_EMPTY : 0), &from);
	if (err) return err;
	err = lookup_user((int)a[2], a[3], (flags & MOVE_MOUNT_T_SYMLINKS ? LOOKUP_FOLLOW : 0) | (flags & MOVE_MOUNT_T_EMPTY_PATH ? LOOKUP_EMPTY : 0), &to);
	if (!err) {
		if (flags & MOVE_MOUNT_SET_GROUP || from.dentry != from.mnt->root) {
			err = -EINVAL;
		} else if (from.mnt->parent || from.mnt == vfs()->root) {
			err = mount_move(&from, &to);
		} else {
			mount_get(from.mnt);
			err = mount_attach(from.mnt, &to);
		}
		path_put(&to);
	}
	path_put(&from);
	return err;
}

static int attr_check(const struct mount_attr *at)
{
	if ((at->attr_set | at->attr_clr) & ~(u64)ATTR_KNOWN) return -EINVAL; /* id-mapped mounts are not here */
	if (at->attr_clr & MOUNT_ATTR__ATIME) {
		const u64 atime = at->attr_set & MOUNT_ATTR__ATIME;
		if ((at->attr_clr & MOUNT_ATTR__ATIME) != MOUNT_ATTR__ATIME) return -EINVAL;
		if (atime != MOUNT_ATTR_RELATIME && atime != MOUNT_ATTR_NOATIME && atime != MOUNT_ATTR_STRICTATIME) return -EINVAL;
	} else if (at->attr_set & MOUNT_ATTR__ATIME) {
		return -EINVAL;
	}
	/* MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED: one of them; there is one name space */
	return at->propagation & ~0x1e0000ull || at->propagation & (at->propagation - 1) ? -EINVAL : 0;
}

SYSCALL(mount_setattr)
{
	const u32 flags = (u32)a[2];
	struct mount_attr at = { 0 };
	struct path p;
	u8 beyond;
	int err;

	if (flags & ~(u32)(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) return -EINVAL;
	if (a[4] > PAGE_SIZE) return -E2BIG;
	if (a[4] < MOUNT_ATTR_SIZE_VER0) return -EINVAL;
	if (!capable(CAP_SYS_ADMIN)) return -EPERM;
	for (u64 n = sizeof(at); n < a[4]; n++) {
		if (get_user(beyond, a[3] + n)) return -EFAULT;
		if (beyond) return -E2BIG;
	}
	if (get_user(at, a[3])) return -EFAULT;
	if (!at.attr_set && !at.attr_clr && !at.propagation) return 0;
	err = attr_check(&at);
	if (err) return err;
	err = lookup_user((int)a[0], a[1], (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err) return err;
	u32 mask = flags_of(at.attr_set | at.attr_clr);
	if (at.attr_clr & MOUNT_ATTR__ATIME) mask |= MNT_NOATIME | MNT_STRICTATIME;
	err = mount_change_tree(&p, flags_of(at.attr_set), mask, flags & AT_RECURSIVE);
	path_put(&p);
	return err;
}
