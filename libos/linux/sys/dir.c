/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories: listings, the working directory, the root.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"

struct listing {
	uaddr to;
	u64 left, used;
	u64 pos;
	bool old; /* getdents(2): the type is the last byte */
	int error;
};

static int emit(void *ctx, const char *name, size_t size, u64 ino, u32 type, u64 next_pos)
{
	struct listing *l = ctx;
	struct { u64 ino, next; u16 record; char rest[NAME_MAX + 8]; } e;
	u64 record = ALIGN_UP(18 + (l->old ? size + 2 : size + 2), 8ul);

	if (record > l->left) {
		if (!l->used) l->error = -EINVAL;
		return 1;
	}
	memset(&e, 0, record < sizeof(e) ? record : sizeof(e));
	e.ino = ino;
	e.next = next_pos;
	e.record = (u16)record;
	char *rest = e.rest;
	if (!l->old) *rest++ = (char)type;
	memcpy(rest, name, size);
	if (l->old) ((char *)&e)[record - 1] = (char)type;
	if (copy_to_user(l->to + l->used, &e, record)) {
		l->error = -EFAULT;
		return 1;
	}
	l->used += record;
	l->left -= record;
	l->pos = next_pos;
	return 0;
}

static s64 list(int fd, uaddr to, u64 size, bool old)
{
	struct file *f = fd_get(fd);
	struct listing l = { .to = to, .left = (u32)size, .old = old };
	int stop;

	if (!f) return -EBADF;
	if (!f->inode || !S_ISDIR(f->inode->mode) || !f->ops->readdir) {
		file_put(f);
		return -ENOTDIR;
	}
	lock(&f->pos_lock);
	l.pos = f->pos;
	if (f->path.dentry->flags & DENTRY_DEAD) stop = -ENOENT;
	else stop = f->ops->readdir(f, f->pos, emit, &l);
	f->pos = l.pos;
	unlock(&f->pos_lock);
	file_put(f);
	if (l.used) return (s64)l.used;
	return l.error ? l.error : stop < 0 ? stop : 0;
}

SYSCALL(getdents) { return list((int)a[0], a[1], a[2], true); }
SYSCALL(getdents64) { return list((int)a[0], a[1], a[2], false); }

SYSCALL(getcwd)
{
	char *buf = kmalloc(PATH_MAX);
	struct fs_context *fs = current->fs;
	struct path cwd;
	s64 n;

	if (!buf) return -ENOMEM;
	lock(&fs->lock);
	cwd = fs->cwd;
	path_get(&cwd);
	unlock(&fs->lock);
	if (cwd.dentry->flags & DENTRY_DEAD) n = -ENOENT;
	else n = path_name_cwd(&cwd, buf, PATH_MAX);
	path_put(&cwd);
	if (n >= 0) {
		n++;
		if ((u64)n > a[1]) n = -ERANGE;
		else if (copy_to_user(a[0], buf, (size_t)n)) n = -EFAULT;
	}
	kfree(buf);
	return n;
}

/* Takes over p. */
static int enter(struct path *p, bool root)
{
	struct fs_context *fs = current->fs;
	int err = !path_is_dir(p) ? -ENOTDIR : inode_permission(p->dentry->inode, 1);

	if (!err && root && !capable(CAP_SYS_CHROOT)) err = -EPERM;
	if (!err) {
		lock(&fs->lock);
		struct path old = root ? fs->root : fs->cwd;
		if (root) fs->root = *p;
		else fs->cwd = *p;
		unlock(&fs->lock);
		*p = old;
	}
	path_put(p);
	return err;
}

static s64 enter_name(uaddr name, bool root)
{
	char path[PATH_MAX];
	struct path p;
	int err = getname(path, name);

	if (!err) err = path_lookup(AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	return err ? err : enter(&p, root);
}

SYSCALL(chdir) { return enter_name(a[0], false); }
SYSCALL(chroot) { return enter_name(a[0], true); }

SYSCALL(fchdir)
{
	struct file *f = fd_get_any((int)a[0]);
	struct path p;

	if (!f) return -EBADF;
	p = f->path;
	path_get(&p);
	file_put(f);
	return p.dentry ? enter(&p, false) : -ENOTDIR;
}
