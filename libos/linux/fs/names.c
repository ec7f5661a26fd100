/* SPDX-License-Identifier: Apache-2.0
 *
 * What changes names: mkdir, unlink, rename, link, symlink, mknod. The rules of
 * permission and of the tree stand here, once for all file systems, in the
 * order in which Linux checks them.
 */
#include "internal.h"

#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u

static u32 umask_now(void) { return current->fs->umask; }

static void notify_name(struct inode *dir, const char *name, struct inode *target, u32 mask, u32 cookie)
{
	if (likely(!vfs()->watched)) return;
	if (target && S_ISDIR(target->mode)) mask |= IN_ISDIR;
	fsnotify(dir, name, target, mask, cookie);
}

int vfs_may_create(struct path *dir)
{
	if (dir->dentry->flags & DENTRY_DEAD) return -ENOENT;
	return inode_permission(dir->dentry->inode, 3);
}

/* Finds where the new name goes. On success the directory is locked and *out is
 * a negative dentry. On failure all is given back. */
static int name_begin(struct lookup *lk, int dirfd, const char *name, u32 flags, bool is_dir, struct dentry **out)
{
	int err = lookup_begin(lk, dirfd, name, LOOKUP_PARENT | flags);
	struct dentry *d;

	if (err) return err;
	if ((err = lookup_walk(lk)) || (err = lk->file ? -ENOTDIR : 0)) goto fail;
	if (lk->last_type != LAST_NORMAL) {
		err = -EEXIST;
		goto fail;
	}
	struct inode *dir = lk->path.dentry->inode;
	int read_only = mount_want_write(lk->path.mnt);
	lock(&dir->lock);
	d = lookup_one(&lk->path, lk->last, lk->last_size, true, flags & LOOKUP_REVAL);
	if (IS_ERR(d)) {
		err = (int)PTR_ERR(d);
	} else {
		err = d->inode ? -EEXIST : lk->last_slash && !is_dir ? -ENOENT : read_only;
		if (!err) {
			*out = d;
			return 0;
		}
		dentry_put(d);
	}
	unlock(&dir->lock);
fail:
	lookup_end(lk);
	return err;
}

static int create_end(struct lookup *lk, struct dentry *d, int err)
{
	struct inode *dir = lk->path.dentry->inode;

	if (!err) dentry_publish(d);
	unlock(&dir->lock);
	if (!err) notify_name(dir, d->name, d->inode, IN_CREATE, 0);
	dentry_put(d);
	lookup_end(lk);
	return err;
}

/* The same with the permission to make something there. */
static int create_begin(struct lookup *lk, int dirfd, const char *name, u32 flags, bool is_dir, struct dentry **out)
{
	int err = name_begin(lk, dirfd, name, flags, is_dir, out);

	if (err || !(err = vfs_may_create(&lk->path))) return err;
	return create_end(lk, *out, err);
}

/* A stale directory on the way is looked up once more, afresh. */
#define RETRY_STALE(call, flags) ({ \
	u32 flags = 0; \
	int err_ = (call); \
	if (err_ == -ESTALE) { \
		flags = LOOKUP_REVAL; \
		err_ = (call); \
	} \
	err_; })

static int do_mkdir(int dirfd, const char *name, u32 mode, u32 flags)
{
	struct lookup lk;
	struct dentry *d;
	int err = create_begin(&lk, dirfd, name, flags, true, &d);

	if (err) return err;
	struct inode *dir = lk.path.dentry->inode;
	mode = (mode & 01777 & ~umask_now()) | S_IFDIR;
	return create_end(&lk, d, dir->ops->create ? dir->ops->create(dir, d, mode, 0) : -EPERM);
}

int vfs_mkdir(int dirfd, const char *name, u32 mode)
{
	return RETRY_STALE(do_mkdir(dirfd, name, mode, flags), flags);
}

static int do_mknod(int dirfd, const char *name, u32 mode, u64 rdev, struct path *out, u32 flags)
{
	struct lookup lk;
	struct dentry *d;
	int err = create_begin(&lk, dirfd, name, flags, false, &d);

	if (err) return err;
	struct inode *dir = lk.path.dentry->inode;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD)) err = -EPERM;
	if (!err) err = dir->ops->create ? dir->ops->create(dir, d, (mode & S_IFMT) | (mode_without_sgid(dir, mode & 07777) & ~umask_now()), rdev) : -EPERM;
	if (!err && out) {
		out->mnt = lk.path.mnt;
		out->dentry = d;
		path_get(out);
	}
	return create_end(&lk, d, err);
}

int path_mknod(int dirfd, const char *name, u32 mode, u64 rdev, struct path *out)
{
	switch (mode & S_IFMT) {
	case 0: mode |= S_IFREG; break;
	case S_IFREG: case S_IFCHR: case S_IFBLK: case S_IFIFO: case S_IFSOCK: break;
	case S_IFDIR: return -EPERM;
	default: return -EINVAL;
	}
	return RETRY_STALE(do_mknod(dirfd, name, mode, rdev, out, flags), flags);
}

static int do_symlink(const char *target, int dirfd, const char *name, u32 flags)
{
	struct lookup lk;
	struct dentry *d;
	int err = create_begin(&lk, dirfd, name, flags, false, &d);

	if (err) return err;
	struct inode *dir = lk.path.dentry->inode;
	return create_end(&lk, d, dir->ops->symlink ? dir->ops->symlink(dir, d, target) : -EPERM);
}

int vfs_symlink(const char *target, int dirfd, const char *name)
{
	return RETRY_STALE(do_symlink(target, dirfd, name, flags), flags);
}

/* As with protected_hardlinks=1, which systems set: no links to what one could
 * not write oneself, or to what has special rights. */
static bool may_link(struct inode *i)
{
	bool special = i->mode & S_ISUID || (i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);

	return owner_or_capable(i) || (S_ISREG(i->mode) && !special && !inode_permission(i, 6));
}

static int do_link(struct path *old, int dirfd, const char *name, u32 flags)
{
	struct lookup lk;
	struct dentry *d;
	struct inode *i = old->dentry->inode;
	int err = name_begin(&lk, dirfd, name, flags, false, &d);

	if (err) return err;
	struct inode *dir = lk.path.dentry->inode;
	bool unnamed = (old->dentry->flags & (DENTRY_NAMELESS | DENTRY_DEAD)) == DENTRY_NAMELESS;
	if (old->mnt != lk.path.mnt) err = -EXDEV;
	else if (!may_link(i) || i->attributes & ATTR_FROZEN) err = -EPERM;
	else if ((err = vfs_may_create(&lk.path))) {}
	else if (S_ISDIR(i->mode) || !dir->ops->link) err = -EPERM;
	else if (!i->nlink && !unnamed) err = -ENOENT;
	else err = dir->ops->link(dir, d, i);
	if (!err && !d->inode) dentry_set(d, inode_get(i));
	if (!err && unnamed) dentry_drop(old->dentry, DENTRY_DEAD);
	return create_end(&lk, d, err);
}

int vfs_link(int olddir, const char *oldname, int newdir, const char *newname, u32 at_flags)
{
	struct path old;
	u32 look = at_flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0;

	if (at_flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return -EINVAL;
	if (at_flags & AT_EMPTY_PATH) {
		if (!*oldname && !capable(CAP_DAC_READ_SEARCH)) return -ENOENT;
		look |= LOOKUP_EMPTY;
	}
	int err = path_lookup(olddir, oldname, look, &old);
	if (err) return err;
	err = RETRY_STALE(do_link(&old, newdir, newname, flags), flags);
	path_put(&old);
	return err;
}

/* May the current task take victim out of dir? */
static int may_delete(struct inode *dir, struct dentry *victim, bool is_dir)
{
	struct inode *i = victim->inode;
	int err = inode_permission(dir, 3);

	if (err) return err;
	if (dir->attributes & ATTR_APPEND || i->attributes & ATTR_FROZEN) return -EPERM;
	if (dir->mode & S_ISVTX && creds_now()->fsuid != i->uid && creds_now()->fsuid != dir->uid &&
	    !capable(CAP_FOWNER))
		return -EPERM;
	if (is_dir) {
		if (!S_ISDIR(i->mode)) return -ENOTDIR;
	} else if (S_ISDIR(i->mode)) {
		return -EISDIR;
	}
	return victim->mounted ? -EBUSY : 0;
}

/* An entry that lies only in memory. */
static int unpin(struct inode *dir, struct dentry *d)
{
	if (S_ISDIR(d->inode->mode)) {
		bool empty = true;
		lock(&vfs()->lock);
		list_for_each(p, &d->children)
			if (list_entry(p, struct dentry, child_node)->inode) empty = false;
		unlock(&vfs()->lock);
		if (!empty) return -ENOTEMPTY;
		d->inode->nlink = 0;
	} else if (d->inode->nlink) {
		d->inode->nlink--;
	}
	dir->pins--;
	d->flags &= ~DENTRY_PINNED;
	return 0;
}

static int remove_entry(struct inode *dir, struct dentry *d)
{
	bool pinned = d->flags & DENTRY_PINNED;
	bool is_dir = S_ISDIR(d->inode->mode);
	int err;

	if (is_dir) lock(&d->inode->lock);
	err = pinned ? unpin(dir, d) : dir->ops->unlink ? dir->ops->unlink(dir, d) : -EPERM;
	if (!err) dentry_drop(d, DENTRY_DEAD); /* still locked: nothing is made in it any more */
	if (is_dir) unlock(&d->inode->lock);
	if (!err && pinned) dentry_put(d);
	return err;
}

/* lk.path is the directory, lk.last the name. */
static int unlink_last(struct lookup *lk, bool directory, u32 flags)
{
	int err = mount_want_write(lk->path.mnt);
	struct dentry *d;

	if (err) return err;
	struct inode *dir = lk->path.dentry->inode;
	lock(&dir->lock);
	d = lookup_one(&lk->path, lk->last, lk->last_size, true, flags & LOOKUP_REVAL);
	if (IS_ERR(d)) {
		unlock(&dir->lock);
		return (int)PTR_ERR(d);
	}
	if (!d->inode) err = -ENOENT;
	else if (!directory && lk->last_slash) err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
	else err = may_delete(dir, d, directory);
	if (!err) err = remove_entry(dir, d);
	unlock(&dir->lock);
	if (!err && vfs()->watched) {
		notify_name(dir, d->name, d->inode, IN_DELETE, 0);
	}
	dentry_put(d);
	return err;
}

int vfs_unlink_entry(struct path *dir, const char *name)
{
	struct lookup lk = { .path = *dir, .last = name, .last_size = strlen(name) };

	return unlink_last(&lk, false, 0);
}

static int do_unlink(int dirfd, const char *name, bool directory, u32 flags)
{
	struct lookup lk;
	int err = lookup_begin(&lk, dirfd, name, LOOKUP_PARENT | flags);

	if (err) return err;
	if ((err = lookup_walk(&lk)) || (err = lk.file ? -ENOTDIR : 0)) goto out;
	if (lk.last_type != LAST_NORMAL) {
		err = !directory ? -EISDIR : lk.last_type == LAST_DOT ? -EINVAL : lk.last_type == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
		goto out;
	}
	err = unlink_last(&lk, directory, flags);
out:
	lookup_end(&lk);
	return err;
}

int vfs_unlink(int dirfd, const char *name, bool directory)
{
	return RETRY_STALE(do_unlink(dirfd, name, directory, flags), flags);
}

/* Locks two directories: an ancestor first, else by address. */
static void lock_two(struct dentry *a, struct dentry *b)
{
	bool a_first;

	if (a == b || a->inode == b->inode) {
		lock(&a->inode->lock);
		return;
	}
	lock(&vfs()->lock);
	if (dentry_is_below(b, a)) a_first = true;
	else if (dentry_is_below(a, b)) a_first = false;
	else a_first = (uintptr_t)a->inode < (uintptr_t)b->inode;
	unlock(&vfs()->lock);
	lock(a_first ? &a->inode->lock : &b->inode->lock);
	lock(a_first ? &b->inode->lock : &a->inode->lock);
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
	unlock(&a->inode->lock);
	if (a->inode != b->inode) unlock(&b->inode->lock);
}

/* A pinned entry changes its name in memory only. */
static int rename_pinned(struct inode *dir, struct dentry *d, struct inode *new_dir, struct dentry *new_d, u32 flags)
{
	int err = 0;

	if (flags & RENAME_EXCHANGE) return -EINVAL;
	if (S_ISDIR(d->inode->mode)) return -EXDEV; /* only mount points are: copy it */
	if (new_d->inode) err = new_d->flags & DENTRY_PINNED ? unpin(new_dir, new_d) : new_dir->ops->unlink(new_dir, new_d);
	if (err) return err;
	dir->pins--;
	new_dir->pins++;
	return 0;
}

/* Both parents locked, both dentries found. */
static int rename_locked(struct lookup *from, struct lookup *to, struct dentry *d, struct dentry *new_d, u32 flags)
{
	struct inode *dir = from->path.dentry->inode, *new_dir = to->path.dentry->inode;
	bool exchange = flags & RENAME_EXCHANGE, is_dir = S_ISDIR(d->inode->mode);
	char *spare[2] = { NULL, NULL };
	int err;

	if (d->inode == new_d->inode) return 0;
	if ((err = may_delete(dir, d, is_dir))) return err;
	if (!new_d->inode) err = vfs_may_create(&to->path);
	else err = may_delete(new_dir, new_d, exchange ? S_ISDIR(new_d->inode->mode) : is_dir);
	if (err) return err;
	if (dir != new_dir) { /* ".." of a moved directory is written */
		if (is_dir && (err = inode_permission(d->inode, 2))) return err;
		if (exchange && S_ISDIR(new_d->inode->mode) && (err = inode_permission(new_d->inode, 2))) return err;
	}
	if ((err = dentry_reserve_name(d, new_d->name_size, &spare[0]))) return err;
	if (exchange && (err = dentry_reserve_name(new_d, d->name_size, &spare[1]))) goto fail;
	bool lock_victim = new_d->inode && S_ISDIR(new_d->inode->mode) && !exchange;
	bool was_pinned = new_d->inode && new_d->flags & DENTRY_PINNED;
	if (lock_victim) lock(&new_d->inode->lock);
	if ((d->flags | new_d->flags) & DENTRY_PINNED) err = d->flags & DENTRY_PINNED ? rename_pinned(dir, d, new_dir, new_d, flags) : -EBUSY;
	else err = dir->ops->rename ? dir->ops->rename(dir, d, new_dir, new_d, flags) : -EPERM;
	if (!err) dentry_move(d, new_d, exchange, spare);
	if (lock_victim) unlock(&new_d->inode->lock);
	if (err) goto fail;
	if (was_pinned) dentry_put(new_d);
	return 0;
fail:
	kfree(spare[0]);
	kfree(spare[1]);
	return err;
}

static void notify_rename(struct inode *dir, const char *old, struct inode *new_dir, const char *name, struct inode *i, struct inode *gone)
{
	u32 cookie = __atomic_add_fetch(&vfs()->rename_cookie, 1, __ATOMIC_RELAXED);

	if (!vfs()->watched) return;
	notify_name(dir, old, i, IN_MOVED_FROM, cookie);
	notify_name(new_dir, name, i, IN_MOVED_TO, cookie);
	if (dir == new_dir) dnotify_renamed(dir);
	if (gone) notify_name(NULL, NULL, gone, IN_ATTRIB, 0);
	notify_name(NULL, NULL, i, IN_MOVE_SELF, 0);
	if (gone) notify_name(NULL, NULL, gone, IN_DELETE_SELF, 0);
}

static int rename_parents_found(struct lookup *from, struct lookup *to, u32 flags)
{
	struct dentry *a = from->path.dentry, *b = to->path.dentry, *d = NULL, *new_d = NULL;
	struct vfs *v = vfs();
	char old_name[NAME_MAX + 1];
	int err;

	if (from->path.mnt != to->path.mnt) return -EXDEV;
	if (from->last_type != LAST_NORMAL) return -EBUSY;
	if (to->last_type != LAST_NORMAL) return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if ((err = mount_want_write(from->path.mnt))) return err;
	if (a != b) lock(&v->rename_lock);
	lock_two(a, b);
	d = lookup_one(&from->path, from->last, from->last_size, true, from->flags & LOOKUP_REVAL);
	if (IS_ERR(d)) {
		err = (int)PTR_ERR(d);
		d = NULL;
		goto out;
	}
	if (!d->inode) {
		err = -ENOENT;
		goto out;
	}
	new_d = lookup_one(&to->path, to->last, to->last_size, true, to->flags & LOOKUP_REVAL);
	if (IS_ERR(new_d)) {
		err = (int)PTR_ERR(new_d);
		new_d = NULL;
		goto out;
	}
	if (flags & RENAME_NOREPLACE && new_d->inode) err = -EEXIST;
	else if (flags & RENAME_EXCHANGE && !new_d->inode) err = -ENOENT;
	else if (flags & RENAME_EXCHANGE && !S_ISDIR(new_d->inode->mode) && to->last_slash) err = -ENOTDIR;
	else if (!S_ISDIR(d->inode->mode) && (from->last_slash || (!(flags & RENAME_EXCHANGE) && to->last_slash))) err = -ENOTDIR;
	if (err) goto out;
	lock(&v->lock);
	if (dentry_is_below(b, d)) err = -EINVAL; /* into itself */
	else if (new_d->inode && dentry_is_below(a, new_d)) err = flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	memcpy(old_name, d->name, d->name_size + 1u);
	unlock(&v->lock);
	struct inode *gone = new_d->inode;
	if (!err) err = rename_locked(from, to, d, new_d, flags);
	if (!err && gone != d->inode) {
		bool exchange = flags & RENAME_EXCHANGE;
		notify_rename(a->inode, old_name, b->inode, d->name, d->inode, exchange ? NULL : gone);
		if (exchange) notify_rename(b->inode, d->name, a->inode, new_d->name, gone, NULL);
	}
out:
	unlock_two(a, b);
	if (a != b) unlock(&v->rename_lock);
	if (d) dentry_put(d);
	if (new_d) dentry_put(new_d);
	return err;
}

static int do_rename(int olddir, const char *oldname, int newdir, const char *newname, u32 flags, u32 look)
{
	struct lookup from, to;
	int err = lookup_begin(&from, olddir, oldname, LOOKUP_PARENT | look);

	if (err) return err;
	err = lookup_walk(&from);
	if (!err) err = lookup_begin(&to, newdir, newname, LOOKUP_PARENT | look);
	if (!err) {
		err = lookup_walk(&to);
		if (!err) err = from.file || to.file ? -ENOTDIR : rename_parents_found(&from, &to, flags);
		lookup_end(&to);
	}
	lookup_end(&from);
	return err;
}

int vfs_rename(int olddir, const char *oldname, int newdir, const char *newname, u32 flags)
{
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) return -EINVAL;
	if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) return -EINVAL;
	return RETRY_STALE(do_rename(olddir, oldname, newdir, newname, flags, look), look);
}

int vfs_pin_child(struct path *dirp, const char *name, size_t size, u32 mode, struct dentry **out)
{
	struct inode *dir = dirp->dentry->inode, *i;
	struct dentry *d;

	if (dir->ops == &tmpfs_inode_ops) { /* all its entries are in memory */
		d = dentry_alloc(dirp->dentry, name, size);
		if (!d) return -ENOMEM;
		lock(&dir->lock);
		int err = dir->ops->create(dir, d, mode, 0);
		if (!err) dentry_publish(d);
		unlock(&dir->lock);
		if (err) dentry_put(d);
		*out = d;
		return err;
	}
	i = tmpfs_inode(NULL, mode, 0);
	if (!i) return -ENOMEM;
	d = dentry_alloc(dirp->dentry, name, size);
	if (!d) {
		inode_put(i);
		return -ENOMEM;
	}
	lock(&dir->lock);
	d->inode = i;
	d->flags |= DENTRY_PINNED;
	d->cookie = __atomic_add_fetch(&vfs()->pin_cookie, 1, __ATOMIC_RELAXED);
	dir->pins++;
	dentry_get(d);
	dentry_publish(d);
	unlock(&dir->lock);
	*out = d;
	return 0;
}

int path_unlink(const char *name) { return vfs_unlink(AT_FDCWD, name, false); }
