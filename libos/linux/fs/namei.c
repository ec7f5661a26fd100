/* SPDX-License-Identifier: Apache-2.0
 *
 * From a name to a dentry. Components that are in the cache are walked under
 * one hold of the dentry lock, without touching a reference count; a miss, a
 * stale entry or a symbolic link settles the walk where it is first. It must
 * not know file systems: they answer through inode_ops.
 */
#include "internal.h"

#define SCOPED (LOOKUP_BENEATH | LOOKUP_IN_ROOT)

void path_get(struct path *p)
{
	if (p->mnt) ref_get(&p->mnt->ref);
	if (p->dentry) ref_get(&p->dentry->ref);
}

void path_put(struct path *p)
{
	if (p->dentry) dentry_put(p->dentry);
	if (p->mnt) mount_put(p->mnt);
	p->dentry = NULL;
	p->mnt = NULL;
}

int getname_empty(char buf[PATH_MAX], uaddr name)
{
	long n = strncpy_from_user(buf, name, PATH_MAX);
	return n < 0 ? (int)n : 0;
}

int getname(char buf[PATH_MAX], uaddr name)
{
	int err = getname_empty(buf, name);
	return err ? err : *buf ? 0 : -ENOENT;
}

int path_is_dir(const struct path *p)
{
	struct inode *i = p->dentry->inode;
	return i && S_ISDIR(i->mode);
}

/* Is the cache's word on this name to be checked with its file system? */
static bool stale(struct dentry *d, u32 flags, bool last)
{
	struct inode *i = d->inode ? d->inode : d->parent->inode;

	if (likely(!i->ops->revalidate)) return false;
	if (d->flags & (DENTRY_PINNED | DENTRY_KEEP) || d->mounted) return false;
	if (flags & LOOKUP_REVAL) return true;
	u64 expires = last ? d->expires : d->walk_expires;
	return !expires || now_mono() >= expires;
}

struct dentry *lookup_one(struct path *dirp, const char *name, size_t size, bool last, bool force)
{
	struct dentry *parent = dirp->dentry, *d;
	struct inode *dir = parent->inode;
	int err;

	d = dentry_cached(parent, name, size);
	if (d && stale(d, force ? LOOKUP_REVAL : 0, last)) {
		const struct inode_ops *ops = d->inode ? d->inode->ops : dir->ops;
		err = ops->revalidate(d, last);
		if (err <= 0) {
			if (!err) dentry_drop(d, 0);
			dentry_put(d);
			if (err) return ERR_PTR(err);
			d = NULL;
		}
	}
	if (d) return d;
	if (size > NAME_MAX) return ERR_PTR(-ENAMETOOLONG);
	if (parent->flags & DENTRY_DEAD) return ERR_PTR(-ENOENT);
	if (!dir->ops->lookup) return ERR_PTR(-ENOTDIR);
	d = dentry_alloc(parent, name, size);
	if (!d) return ERR_PTR(-ENOMEM);
	err = dir->ops->lookup(dir, d);
	if (err) {
		dentry_put(d);
		return ERR_PTR(err);
	}
	if (d->inode || dir->ops->cache_negative) dentry_publish(d);
	return d;
}

/* Top of the mounts on (mnt, d); dentry lock held. */
static inline bool mounts_down(struct mount **mnt, struct dentry **d)
{
	bool crossed = false;
	while (unlikely((*d)->mounted)) {
		struct mount *m = mount_at(*mnt, *d);
		if (!m) break;
		*mnt = m;
		*d = m->root;
		crossed = true;
	}
	return crossed;
}

void lookup_mounts(struct path *p)
{
	struct path top;

	if (likely(!p->dentry->mounted)) return;
	lock(&vfs()->lock);
	top = *p;
	mounts_down(&top.mnt, &top.dentry);
	path_get(&top);
	unlock(&vfs()->lock);
	path_put(p);
	*p = top;
}

int lookup_begin(struct lookup *lk, int dirfd, const char *name, u32 flags)
{
	struct fs_context *fs = current->fs;
	int err = 0;

	*lk = (struct lookup){ .flags = flags, .rest = name };
	lock(&fs->lock);
	lk->root = fs->root;
	path_get(&lk->root);
	if (*name == '/' && !(flags & SCOPED)) {
		lk->path = lk->root;
		path_get(&lk->path);
	} else if (dirfd == AT_FDCWD) {
		lk->path = fs->cwd;
		path_get(&lk->path);
	}
	unlock(&fs->lock);
	if (!lk->path.dentry) {
		struct file *f = fd_get_any(dirfd);
		if (!f) {
			err = -EBADF;
		} else if (!f->path.dentry) {
			if (*name) err = -ENOTDIR;
			else lk->file = file_get(f);
		} else {
			lk->path = f->path;
			path_get(&lk->path);
			if (*name && !path_is_dir(&lk->path)) err = -ENOTDIR;
		}
		if (f) file_put(f);
	}
	if (!err && flags & SCOPED && lk->path.dentry) {
		if (*name == '/' && flags & LOOKUP_BENEATH) err = -EXDEV;
		path_put(&lk->root);
		lk->root = lk->path;
		path_get(&lk->root);
	}
	if (err) lookup_end(lk);
	return err;
}

void lookup_end(struct lookup *lk)
{
	path_put(&lk->path);
	path_put(&lk->root);
	if (lk->file) file_put(lk->file);
	lk->file = NULL;
	kfree(lk->text);
	lk->text = NULL;
}

/* "..": dentry lock held. */
static int step_up(const struct lookup *lk, struct mount **mnt, struct dentry **d)
{
	struct mount *m = *mnt;
	struct dentry *at = *d;

	if (at == lk->root.dentry && m == lk->root.mnt) return lk->flags & LOOKUP_BENEATH ? -EXDEV : 0;
	while (at == m->root && m->parent) {
		if (lk->flags & LOOKUP_NO_XDEV) return -EXDEV;
		at = m->mountpoint;
		m = m->parent;
		if (at == lk->root.dentry && m == lk->root.mnt) break;
	}
	if (at != m->root && !(at == lk->root.dentry && m == lk->root.mnt)) at = at->parent ? at->parent : at;
	if (mounts_down(&m, &at) && lk->flags & LOOKUP_NO_XDEV) return -EXDEV;
	*mnt = m;
	*d = at;
	return 0;
}

static int exec_permission(struct inode *i)
{
	/* Everybody may pass: the usual case needs no look at the identity. */
	if (likely((i->mode & 0111) == 0111)) return 0;
	return inode_permission(i, 1);
}

static int follow_magic(struct lookup *lk, struct inode *i)
{
	struct path to = { 0 };
	struct file *file = NULL;
	int err;

	if (lk->flags & LOOKUP_NO_MAGICLINKS) return -ELOOP;
	if (lk->flags & SCOPED) return -EXDEV;
	err = i->ops->follow(i, &to, &file);
	if (err) return err;
	if (lk->flags & LOOKUP_NO_XDEV && to.mnt != lk->path.mnt) {
		path_put(&to);
		if (file) file_put(file);
		return -EXDEV;
	}
	if (file && file->path.dentry) {
		to = file->path;
		path_get(&to);
		file_put(file);
		file = NULL;
	}
	if (file) {
		while (*lk->rest == '/') lk->rest++;
		if (*lk->rest) {
			file_put(file);
			return -ENOTDIR;
		}
		lk->file = file;
		return 0;
	}
	path_put(&lk->path);
	lk->path = to;
	return 0;
}

/* link is a symbolic link in the directory lk->path. */
int lookup_follow(struct lookup *lk, struct dentry *link)
{
	struct inode *i = link->inode;
	const char *rest = lk->rest;
	char *text;
	int n;

	if (++lk->links > LINK_DEPTH_MAX || lk->flags & LOOKUP_NO_SYMLINKS) return -ELOOP;
	if (lk->path.mnt && lk->path.mnt->flags & MNT_NOSYMFOLLOW) return -ELOOP;
	if (i->ops->follow) return follow_magic(lk, i);
	size_t rest_size = strlen(rest);
	size_t room = (i->link ? strlen(i->link) : PATH_MAX) + 2;
	text = kmalloc(room + rest_size);
	if (!text) return -ENOMEM;
	if (i->link) {
		n = (int)strlen(i->link);
		memcpy(text, i->link, (size_t)n);
	} else {
		n = i->ops->readlink ? i->ops->readlink(i, text, PATH_MAX) : -EINVAL;
	}
	if (n <= 0) {
		kfree(text);
		return n ? n : -ENOENT;
	}
	if (rest_size && rest[0] != '/') text[n++] = '/';
	memcpy(text + n, rest, rest_size + 1);
	kfree(lk->text);
	lk->text = text;
	lk->rest = text;
	if (*text == '/') {
		if (lk->flags & LOOKUP_BENEATH) return -EXDEV;
		if (lk->flags & LOOKUP_NO_XDEV && lk->root.mnt != lk->path.mnt) return -EXDEV;
		path_put(&lk->path);
		lk->path = lk->root;
		path_get(&lk->path);
	}
	return 0;
}

/* Take what the walk has reached as the new lk->path; the dentry lock is held
 * and given up. */
static void settle(struct lookup *lk, struct mount *mnt, struct dentry *d, struct dentry **held)
{
	struct path now = { mnt, d };

	if (now.mnt != lk->path.mnt || now.dentry != lk->path.dentry) {
		path_get(&now);
		unlock(&vfs()->lock);
		path_put(&lk->path);
		lk->path = now;
	} else {
		unlock(&vfs()->lock);
	}
	if (*held) dentry_put(*held);
	*held = NULL;
}

int lookup_walk(struct lookup *lk)
{
	struct vfs *v = vfs();
	struct dentry *held = NULL; /* keeps the last slow find alive */
	struct mount *mnt;
	struct dentry *d;
	int err = 0;

again:
	if (lk->file) return 0;
	lock(&v->lock);
	mnt = lk->path.mnt;
	d = lk->path.dentry;
	for (;;) {
		const char *name = lk->rest, *end, *next;

		while (*name == '/') name++;
		if (!*name) {
			lk->last_type = LAST_ROOT;
			lk->last = name;
			lk->last_size = 0;
			if (*lk->rest && !(d->inode && S_ISDIR(d->inode->mode))) err = -ENOTDIR;
			break;
		}
		struct inode *dir = d->inode;
		if (unlikely(!dir || !S_ISDIR(dir->mode))) {
			err = -ENOTDIR;
			break;
		}
		if (unlikely((err = exec_permission(dir)) != 0)) break;
		for (end = name; *end && *end != '/'; end++) {}
		for (next = end; *next == '/'; next++) {}
		size_t size = (size_t)(end - name);
		bool last = !*next, slash = last && *end;
		enum last_type type = name[0] != '.' ? LAST_NORMAL : size == 1 ? LAST_DOT :
			size == 2 && name[1] == '.' ? LAST_DOTDOT : LAST_NORMAL;

		if (last && lk->flags & LOOKUP_PARENT) {
			lk->last = name;
			lk->last_size = size;
			lk->last_type = type;
			lk->last_slash = slash;
			break;
		}
		if (type != LAST_NORMAL) {
			if (type == LAST_DOTDOT && (err = step_up(lk, &mnt, &d))) break;
			lk->rest = next;
			continue;
		}
		struct dentry *child = dentry_find(d, dentry_hash(d, name, size), name, size);
		if (unlikely(!child || stale(child, lk->flags, last))) {
			settle(lk, mnt, d, &held);
			struct inode *locked = lk->path.dentry->inode;
			lock(&locked->lock);
			held = lookup_one(&lk->path, name, size, last, lk->flags & LOOKUP_REVAL);
			unlock(&locked->lock);
			if (IS_ERR(held)) return (int)PTR_ERR(held);
			child = held;
			lock(&v->lock);
			mnt = lk->path.mnt;
			d = lk->path.dentry;
		}
		struct mount *child_mnt = mnt;
		struct dentry *link = child;
		if (unlikely(child->mounted) && mounts_down(&child_mnt, &child) && lk->flags & LOOKUP_NO_XDEV) {
			err = -EXDEV;
			break;
		}
		struct inode *i = child->inode;
		if (unlikely(!i)) {
			err = -ENOENT;
			break;
		}
		if (unlikely(S_ISLNK(i->mode)) && child == link && (!last || slash || lk->flags & LOOKUP_FOLLOW)) {
			ref_get(&link->ref);
			settle(lk, mnt, d, &held);
			lk->rest = end;
			err = lookup_follow(lk, link);
			dentry_put(link);
			if (err) return err;
			goto again;
		}
		mnt = child_mnt;
		d = child;
		lk->rest = next;
		if (last) {
			if ((slash || lk->flags & LOOKUP_DIRECTORY) && !S_ISDIR(i->mode)) err = -ENOTDIR;
			lk->last_slash = slash;
			break;
		}
	}
	settle(lk, mnt, d, &held);
	return err;
}

struct dentry *lookup_last(struct lookup *lk)
{
	struct dentry *parent = lk->path.dentry, *d;
	struct vfs *v = vfs();

	lock(&v->lock);
	d = dentry_find(parent, dentry_hash(parent, lk->last, lk->last_size), lk->last, lk->last_size);
	if (d && !stale(d, lk->flags, true)) {
		ref_get(&d->ref);
		unlock(&v->lock);
		return d;
	}
	unlock(&v->lock);
	struct inode *dir = parent->inode;
	lock(&dir->lock);
	d = lookup_one(&lk->path, lk->last, lk->last_size, true, lk->flags & LOOKUP_REVAL);
	unlock(&dir->lock);
	return d;
}

int path_lookup_file(int dirfd, const char *name, u32 flags, struct path *out, struct file **file)
{
	struct lookup lk;
	int err;

	if (file) *file = NULL;
	*out = (struct path){ 0 };
	if (!*name && !(flags & LOOKUP_EMPTY)) return -ENOENT;
	for (int turn = 0;; turn++) {
		err = lookup_begin(&lk, dirfd, name, flags | (turn ? LOOKUP_REVAL : 0));
		if (err) return err;
		err = lookup_walk(&lk);
		if (!err && !lk.file && flags & LOOKUP_DIRECTORY && !path_is_dir(&lk.path)) err = -ENOTDIR;
		if (err != -ESTALE || turn) break;
		lookup_end(&lk);
	}
	if (!err && lk.file) {
		if (file) {
			*file = lk.file;
			lk.file = NULL;
		} else {
			err = -ENOENT; /* no name to give */
		}
	} else if (!err) {
		*out = lk.path;
		lk.path = (struct path){ 0 };
	}
	lookup_end(&lk);
	return err;
}

int path_lookup(int dirfd, const char *name, u32 flags, struct path *out)
{
	return path_lookup_file(dirfd, name, flags, out, NULL);
}

/* Builds the name from its end. */
static bool prepend(char *buf, size_t *at, const char *s, size_t n)
{
	if (*at < n) return false;
	*at -= n;
	memcpy(buf + *at, s, n);
	return true;
}

static int name_of(const struct path *p, char *buf, size_t size, bool unreachable)
{
	struct path root = { 0 };
	struct dentry *d = p->dentry;
	struct mount *m = p->mnt;
	size_t at = size;
	bool ok = true;

	if (!d || !size) return -ENOENT;
	if (current && current->fs) {
		lock(&current->fs->lock);
		root = current->fs->root;
		unlock(&current->fs->lock);
	}
	ok = prepend(buf, &at, "", 1);
	lock(&vfs()->lock);
	if (d->flags & (DENTRY_DEAD | DENTRY_NAMELESS)) ok = ok && prepend(buf, &at, " (deleted)", 10);
	size_t end = at;
	while (ok && !(d == root.dentry && m == root.mnt)) {
		if (m && d == m->root) {
			if (!m->parent) break;
			d = m->mountpoint;
			m = m->parent;
			continue;
		}
		if (!d->parent) break; /* a root without a mount */
		ok = prepend(buf, &at, d->name, d->name_size) && prepend(buf, &at, "/", 1);
		d = d->parent;
	}
	if (ok && at == end) ok = prepend(buf, &at, "/", 1);
	bool reached = d == root.dentry && m == root.mnt;
	unlock(&vfs()->lock);
	if (ok && unreachable && !reached) ok = prepend(buf, &at, "(unreachable)", 13);
	if (!ok) return -ENAMETOOLONG;
	memmove(buf, buf + at, size - at);
	return (int)(size - at) - 1;
}

int path_name(const struct path *p, char *buf, size_t size) { return name_of(p, buf, size, false); }
int path_name_cwd(const struct path *p, char *buf, size_t size) { return name_of(p, buf, size, true); }
