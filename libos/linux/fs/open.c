/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening files by name: creation, symbolic links at the end, permission,
 * truncation, in the order in which Linux does them.
 */
#include "internal.h"

#define O_TMPFILE_BIT 020000000u /* __O_TMPFILE */
#define TRANSIENT (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)

static const struct file_ops path_file_ops = { .name = NULL };

struct opening {
	struct lookup lk;
	struct file *f;
	u32 flags, mode;
	bool created, opened, told;
};

static u32 access_mask(u32 flags)
{
	static const u8 masks[4] = { 4, 2, 6, 6 };
	return masks[flags & O_ACCMODE] | (flags & O_TRUNC ? 2 : 0);
}

/* May an object that was there before be opened so? Not for O_PATH. */
static int may_open(const struct path *p, u32 *flags)
{
	struct inode *i = p->dentry->inode;
	u32 mask = access_mask(*flags), mnt = p->mnt ? p->mnt->flags : 0;

	switch (i->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (mask & 2) return -EISDIR;
		break;
	case S_IFCHR: case S_IFBLK:
		if (mnt & MNT_NODEV) return -EACCES;
		*flags &= ~(u32)O_TRUNC;
		break;
	case S_IFIFO: case S_IFSOCK:
		*flags &= ~(u32)O_TRUNC;
		break;
	default:
		if (mask & 2 && mnt & MNT_RDONLY) return -EROFS;
	}
	int err = inode_permission(i, mask);
	if (err) return err;
	if (i->attributes & ATTR_APPEND && ((*flags & O_ACCMODE) != O_RDONLY ? !(*flags & O_APPEND) || *flags & O_TRUNC : *flags & O_TRUNC))
		return -EPERM;
	return *flags & O_NOATIME && !owner_or_capable(i) ? -EPERM : 0;
}

int file_open_inode(struct file *f)
{
	struct inode *i = f->path.dentry->inode;

	f->inode = inode_get(i);
	switch (i->mode & S_IFMT) {
	case S_IFIFO: return fifo_open(i, f);
	case S_IFCHR: case S_IFBLK: return device_open(i, f);
	case S_IFSOCK: return -ENXIO;
	default: return i->ops->open ? i->ops->open(i, f) : -ENXIO;
	}
}

/* f has its path: permission, the file system's open, truncation. */
static int finish_open(struct opening *o)
{
	struct file *f = o->f;
	int err = 0;

	if (f->flags & O_PATH) {
		f->inode = inode_get(f->path.dentry->inode);
		f->ops = &path_file_ops;
		f->mode_bits = FMODE_PATH;
		return 0;
	}
	if (!o->created) err = may_open(&f->path, &o->flags);
	if (!err && unlikely(f->path.dentry->inode->leases)) err = lease_break(f->path.dentry->inode, access_mask(o->flags) & 2, o->flags & O_NONBLOCK);
	if (!err && !o->opened) {
		err = file_open_inode(f);
		if (!err) o->opened = true;
	}
	if (!err && S_ISREG(f->inode->mode)) err = file_claim(f, false);
	if (!err && o->flags & O_TRUNC && !o->created) {
		notify_file(f, IN_OPEN); /* comes before the change */
		o->told = true;
		err = vfs_truncate(&f->path, f, 0);
	}
	if (!err) f->flags = o->flags & ~(u32)TRANSIENT;
	return err;
}

/* The walk ended at lk->path, which exists. */
static int open_found(struct opening *o)
{
	struct lookup *lk = &o->lk;
	u32 flags = o->flags;

	if (flags & O_CREAT && !o->created) {
		if (flags & O_EXCL) return -EEXIST;
		if (path_is_dir(&lk->path)) return -EISDIR;
	}
	if ((flags & O_DIRECTORY || lk->last_slash) && !path_is_dir(&lk->path)) return -ENOTDIR;
	if (!o->f->path.dentry) {
		o->f->path = lk->path;
		lk->path = (struct path){ 0 };
	}
	return finish_open(o);
}

/* A nameless file reached through a magic link (a pipe, a socket): the inode
 * is opened anew where that is possible, else the description is shared. */
static int open_nameless(struct opening *o)
{
	struct file *old = o->lk.file;
	u32 want = o->f->mode_bits;

	if (o->flags & O_DIRECTORY) return -ENOTDIR;
	if (o->flags & O_CREAT && o->flags & O_EXCL) return -EEXIST;
	if (old->inode && S_ISSOCK(old->inode->mode)) return -ENXIO;
	if (old->inode && S_ISFIFO(old->inode->mode)) {
		o->f->inode = inode_get(old->inode);
		int err = fifo_open(old->inode, o->f);
		if (!err) o->f->flags &= ~(u32)TRANSIENT;
		return err;
	}
	if (old->inode && old->inode->ops && old->inode->ops->open) {
		int err = inode_permission(old->inode, access_mask(o->flags));
		if (err) return err;
		o->f->inode = inode_get(old->inode);
		err = old->inode->ops->open(old->inode, o->f);
		if (err) return err;
		if (o->flags & O_TRUNC && S_ISREG(old->inode->mode)) {
			o->opened = true;
			if ((err = vfs_truncate(&old->path, o->f, 0))) return err;
		}
		o->f->flags &= ~(u32)TRANSIENT;
		return 0;
	}
	if (want & ~old->mode_bits & 3) return -EACCES;
	file_drop(o->f);
	o->f = file_get(old);
	return 0;
}

static u32 create_mode(const struct opening *o, const struct inode *dir)
{
	return S_IFREG | (mode_without_sgid(dir, o->mode & 07777) & ~current->fs->umask);
}

/* One request for "look up, create, open", where the file system can. d is
 * unknown, stale or negative; dir is locked. 1: the long way. */
static int try_lookup_open(struct opening *o, struct inode *dir, struct dentry *d)
{
	struct lookup *lk = &o->lk;
	u32 flags = o->flags;
	int create_err = 0, err;

	if (flags & (O_PATH | O_DIRECTORY) || lk->last_slash || d->mounted || d->flags & (DENTRY_PINNED | DENTRY_KEEP)) return 1;
	if (flags & O_CREAT) {
		create_err = mount_want_write(lk->path.mnt);
		if (!create_err) create_err = vfs_may_create(&lk->path);
		if (create_err && flags & O_EXCL) return 1; /* only looking is needed: it is there, or cannot be made */
		if (create_err) flags &= ~(u32)O_CREAT;
	}
	if ((flags & O_ACCMODE) != O_RDONLY && lk->path.mnt->flags & MNT_RDONLY) return 1;
	o->f->flags = flags;
	o->f->path.mnt = lk->path.mnt;
	o->f->path.dentry = d;
	path_get(&o->f->path);
	err = dir->ops->lookup_open(dir, d, o->f, create_mode(o, dir), &o->created);
	o->f->flags = o->flags;
	if (!err) {
		dentry_publish(d);
		if (!o->f->inode) o->f->inode = inode_get(d->inode);
		o->opened = true;
		return 0;
	}
	path_put(&o->f->path);
	if (err == -ENOENT && create_err) err = create_err;
	if (err == -ENOENT && dir->ops->cache_negative && !(o->flags & O_CREAT)) dentry_publish(d);
	return err;
}

static int create_last(struct opening *o, struct inode *dir, struct dentry *d)
{
	int err = mount_want_write(o->lk.path.mnt);

	if (!err) err = vfs_may_create(&o->lk.path);
	if (!err) err = dir->ops->create ? dir->ops->create(dir, d, create_mode(o, dir), 0) : -EACCES;
	if (!err) {
		dentry_publish(d);
		o->created = true;
	}
	return err;
}

/* The last component with the directory locked: found, made or opened. */
static struct dentry *open_last_locked(struct opening *o)
{
	struct lookup *lk = &o->lk;
	struct dentry *parent = lk->path.dentry, *d;
	struct inode *dir = parent->inode;
	int err;

	if (dir->ops->lookup_open && lk->last_size <= NAME_MAX && !(parent->flags & DENTRY_DEAD)) {
		d = dentry_cached(parent, lk->last, lk->last_size);
		if (!d) d = dentry_alloc(parent, lk->last, lk->last_size);
		if (!d) return ERR_PTR(-ENOMEM);
		err = d->inode && !S_ISREG(d->inode->mode) ? 1 : try_lookup_open(o, dir, d);
		if (!err) return d;
		dentry_put(d);
		if (err != 1) return ERR_PTR(err);
	}
	d = lookup_one(&lk->path, lk->last, lk->last_size, true, lk->flags & LOOKUP_REVAL);
	if (!IS_ERR(d) && !d->inode) {
		err = o->flags & O_CREAT ? create_last(o, dir, d) : -ENOENT;
		if (err) {
			dentry_put(d);
			return ERR_PTR(err);
		}
	}
	return d;
}

static struct dentry *cached_last(struct opening *o);

/* Walks to the end, through symbolic links. */
static int open_walk(struct opening *o)
{
	struct lookup *lk = &o->lk;

	for (;;) {
		int err = lookup_walk(lk);
		if (err) return err;
		if (lk->file) return open_nameless(o);
		if (lk->last_type != LAST_NORMAL) {
			lk->flags &= ~LOOKUP_PARENT;
			err = lookup_walk(lk);
			return err ? err : open_found(o);
		}
		if (o->flags & O_CREAT && lk->last_slash) return -EISDIR;
		struct dentry *d = cached_last(o);
		if (!d) {
			struct inode *dir = lk->path.dentry->inode;
			lock(&dir->lock);
			d = open_last_locked(o);
			unlock(&dir->lock);
			if (IS_ERR(d)) return (int)PTR_ERR(d);
			if (o->created && vfs()->watched) notify_dentry(d, IN_CREATE);
			if (o->opened) {
				dentry_put(d);
				return finish_open(o);
			}
		}
		bool nofollow = o->flags & O_NOFOLLOW || (o->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
		if (S_ISLNK(d->inode->mode) && (!nofollow || lk->last_slash)) {
			lk->rest = lk->last + lk->last_size;
			err = lookup_follow(lk, d);
			dentry_put(d);
			if (err) return err;
			continue;
		}
		struct path found = { lk->path.mnt, d };
		ref_get(&found.mnt->ref);
		struct mount *before = found.mnt;
		lookup_mounts(&found);
		if (found.mnt != before && lk->flags & LOOKUP_NO_XDEV) {
			path_put(&found);
			return -EXDEV;
		}
		path_put(&lk->path);
		lk->path = found;
		return open_found(o);
	}
}

/* The usual case: the name is known, nothing is to be asked. */
static struct dentry *cached_last(struct opening *o)
{
	struct lookup *lk = &o->lk;
	struct dentry *d = dentry_cached(lk->path.dentry, lk->last, lk->last_size);

	if (!d) return NULL;
	struct inode *i = d->inode;
	bool known = i && (!i->ops->revalidate || d->mounted || d->flags & (DENTRY_PINNED | DENTRY_KEEP) ||
			   (!(lk->flags & LOOKUP_REVAL) && d->expires && now_mono() < d->expires));
	if (known) return d;
	dentry_put(d);
	return NULL;
}

static int open_tmpfile(struct opening *o, int dirfd, const char *name)
{
	struct lookup *lk = &o->lk;
	struct file *f = o->f;
	int err;

	err = lookup_begin(lk, dirfd, name, (lk->flags & ~LOOKUP_PARENT) | LOOKUP_FOLLOW | LOOKUP_DIRECTORY);
	if (!err) err = lookup_walk(lk);
	if (!err && (lk->file || !path_is_dir(&lk->path))) err = -ENOTDIR;
	if (!err) err = mount_want_write(lk->path.mnt);
	if (err) return err;
	struct inode *dir = lk->path.dentry->inode;
	if ((err = inode_permission(dir, 3))) return err;
	if (!dir->ops->tmpfile) return -EOPNOTSUPP;
	/* It hangs below its directory, in no list, under the name "#". */
	struct dentry *d = dentry_alloc(lk->path.dentry, "#tmpfile", 8);
	if (!d) return -ENOMEM;
	d->flags |= DENTRY_NAMELESS | (o->flags & O_EXCL ? DENTRY_DEAD : 0);
	f->path.mnt = lk->path.mnt;
	ref_get(&f->path.mnt->ref);
	f->path.dentry = d;
	lock(&dir->lock);
	err = dir->ops->tmpfile(dir, f, create_mode(o, dir));
	unlock(&dir->lock);
	if (err) return err;
	if (!d->inode) dentry_set(d, inode_get(f->inode));
	f->flags = o->flags & ~(u32)TRANSIENT;
	return 0;
}

struct file *file_open_lookup(int dirfd, const char *name, u32 flags, u32 mode, u32 lookup_flags)
{
	struct opening o = { .mode = mode };
	int err = 0;

	if (!*name) return ERR_PTR(-ENOENT);
	for (int turn = 0;; turn++) {
		o.flags = flags;
		o.created = o.opened = o.told = false;
		o.lk = (struct lookup){ .flags = lookup_flags | LOOKUP_PARENT | (turn ? LOOKUP_REVAL : 0) };
		o.f = file_alloc(NULL, flags);
		if (!o.f) return ERR_PTR(-ENOMEM);
		if (flags & O_TMPFILE_BIT) {
			err = open_tmpfile(&o, dirfd, name);
			if (!err) o.opened = true;
		} else {
			err = lookup_begin(&o.lk, dirfd, name, o.lk.flags);
			if (!err) err = open_walk(&o);
		}
		lookup_end(&o.lk);
		if (!err) break;
		if (o.opened) file_put(o.f);
		else file_drop(o.f);
		if (err != -ESTALE || turn) return ERR_PTR(err);
	}
	if (!o.told) notify_file(o.f, IN_OPEN);
	return o.f;
}

struct file *file_open(int dirfd, const char *name, u32 flags, u32 mode)
{
	return file_open_lookup(dirfd, name, flags, mode, 0);
}

struct file *file_open_path(const struct path *p, u32 flags)
{
	struct opening o = { .flags = flags };
	int err;

	o.f = file_alloc(NULL, flags);
	if (!o.f) return ERR_PTR(-ENOMEM);
	o.f->path = *p;
	path_get(&o.f->path);
	err = finish_open(&o);
	if (!err) return o.f;
	if (o.opened) file_put(o.f);
	else file_drop(o.f);
	return ERR_PTR(err);
}

struct file *file_open_exec(const char *name)
{
	struct path p;
	struct file *f = NULL;
	int err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &p);

	if (err) return ERR_PTR(err);
	struct inode *i = p.dentry->inode;
	if (!S_ISREG(i->mode) || p.mnt->flags & MNT_NOEXEC) err = -EACCES;
	if (!err) err = inode_permission(i, 1);
	/* Execution needs no right to read: the file is opened beside may_open(). */
	if (!err && !(f = file_alloc(NULL, O_RDONLY))) err = -ENOMEM;
	if (!err) {
		f->path = p;
		path_get(&f->path);
		err = file_open_inode(f);
		if (err) {
			file_drop(f);
		} else if ((err = file_claim(f, true))) {
			file_put(f);
		}
	}
	path_put(&p);
	return err ? ERR_PTR(err) : f;
}

int file_truncate(struct file *f, u64 size) { return vfs_truncate(&f->path, f, size); }
