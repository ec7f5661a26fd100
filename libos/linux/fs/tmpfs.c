/* SPDX-License-Identifier: Apache-2.0
 *
 * tmpfs: files in memory. A directory is nothing but its dentries, each kept in
 * the cache by a reference of the directory; data is in tmpfs_data.c. Serves
 * the root file system, /tmp, memfd, and entries laid over other file systems.
 */
#include "internal.h"
#include <linux/magic.h>

#define DIRENT_SIZE 20u /* what an entry adds to st_size, as Linux has it */

static inline struct tnode *tnode(struct inode *i) { return i->data; }

static struct tmpfs *tmpfs_alloc(u64 max_bytes, u64 max_inodes)
{
	struct tmpfs *t = kzalloc(sizeof(*t));

	if (!t) return NULL;
	ref_init(&t->ref);
	t->dev = vfs_new_dev();
	t->max_bytes = max_bytes;
	t->max_pages = max_bytes >> PAGE_SHIFT;
	t->max_inodes = max_inodes;
	return t;
}

int tmpfs_init(void)
{
	vfs()->anon_tmpfs = tmpfs_alloc(0, 0);
	return vfs()->anon_tmpfs ? 0 : -ENOMEM;
}

struct inode *tmpfs_inode(void *fs, u32 mode, u64 rdev)
{
	struct tmpfs *t = fs ? fs : vfs()->anon_tmpfs;
	struct inode *i;
	struct tnode *n;

	if (__atomic_add_fetch(&t->used_inodes, 1, __ATOMIC_RELAXED) > t->max_inodes && t->max_inodes) goto full;
	i = inode_alloc(&tmpfs_inode_ops, mode);
	n = i ? kzalloc(sizeof(*n)) : NULL;
	if (!n) {
		kfree(i);
		goto full;
	}
	ref_get(&t->ref);
	n->fs = t;
	n->next_cookie = 3; /* 1 and 2 are the positions behind the dots */
	i->data = n;
	i->fs = t;
	i->dev = t->dev;
	i->rdev = rdev;
	if (S_ISDIR(mode)) i->nlink = 2;
	return i;
full:
	__atomic_fetch_sub(&t->used_inodes, 1, __ATOMIC_RELAXED);
	return NULL;
}

struct inode *tmpfs_root(u32 mode, u64 max_bytes, u64 max_inodes)
{
	struct tmpfs *t = tmpfs_alloc(max_bytes, max_inodes);
	struct inode *i = t ? tmpfs_inode(t, S_IFDIR | mode, 0) : NULL;

	if (t && ref_put(&t->ref)) kfree(t); /* the inode has its own */
	return i;
}

struct inode *tmpfs_anon_inode(u32 mode)
{
	struct inode *i = tmpfs_inode(NULL, mode, 0);

	if (!i) return NULL;
	i->nlink = 0;
	i->uid = creds_now()->fsuid;
	i->gid = creds_now()->fsgid;
	return i;
}

static void tmpfs_release(struct inode *i)
{
	struct tnode *n = tnode(i);
	struct tmpfs *t = n->fs;

	tmpfs_data_free(i);
	if (S_ISLNK(i->mode)) kfree((void *)(uintptr_t)i->link);
	kfree(n);
	__atomic_fetch_sub(&t->used_inodes, 1, __ATOMIC_RELAXED);
	if (ref_put(&t->ref)) kfree(t);
}

static void tmpfs_mounted(struct dentry *root, int change)
{
	struct tmpfs *t = root->inode->fs;

	if (__atomic_add_fetch(&t->mounts, (u32)change, __ATOMIC_ACQ_REL) || change > 0) return;
	while (root->parent) root = root->parent; /* a bind mount shows a part */
	dentry_kill_children(root);
}

u64 inode_new_cookie(struct inode *dir)
{
	return tnode(dir)->next_cookie++;
}

/* ---- names; dir is locked ---- */

static int tmpfs_lookup(struct inode *dir, struct dentry *d)
{
	(void)dir;
	(void)d; /* what exists is in the cache */
	return 0;
}

static void dir_changed(struct inode *dir, int entries)
{
	dir->size = (u64)((s64)dir->size + entries * (int)DIRENT_SIZE);
	touch_mtime(dir);
}

/* Puts i under d's name. */
static void attach(struct inode *dir, struct dentry *d, struct inode *i)
{
	d->cookie = inode_new_cookie(dir);
	dentry_get(d); /* the directory's */
	dentry_set(d, i);
	if (S_ISDIR(i->mode)) dir->nlink++;
	dir_changed(dir, 1);
}

static struct inode *new_inode(struct inode *dir, u32 mode, u64 rdev)
{
	const struct creds *c = creds_now();
	struct inode *i = tmpfs_inode(tnode(dir)->fs, mode, rdev);

	if (!i) return NULL;
	i->uid = c->fsuid;
	i->gid = c->fsgid;
	if (dir->mode & S_ISGID) {
		i->gid = dir->gid;
		if (S_ISDIR(mode)) i->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !in_group(i->gid) && !capable(CAP_FSETID))
			i->mode &= ~(u32)S_ISGID;
	}
	return i;
}

static int tmpfs_create(struct inode *dir, struct dentry *d, u32 mode, u64 rdev)
{
	struct inode *i = new_inode(dir, mode, rdev);

	if (!i) return -ENOSPC;
	attach(dir, d, i);
	return 0;
}

static int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	char *text = kstrdup(target);
	struct inode *i = text ? new_inode(dir, S_IFLNK | 0777, 0) : NULL;

	if (!i) {
		kfree(text);
		return text ? -ENOSPC : -ENOMEM;
	}
	i->link = text;
	i->size = strlen(target);
	attach(dir, d, i);
	return 0;
}

static int tmpfs_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	if (target->fs != dir->fs) return -EXDEV;
	lock(&target->lock);
	target->nlink++;
	target->ctime = timespec_now();
	unlock(&target->lock);
	attach(dir, d, inode_get(target));
	return 0;
}

static bool dir_empty(struct dentry *d)
{
	bool empty = true;

	lock(&vfs()->lock);
	list_for_each(p, &d->children)
		if (list_entry(p, struct dentry, child_node)->inode) empty = false;
	unlock(&vfs()->lock);
	return empty;
}

/* d's inode loses this name; the directory's reference goes. */
static void detach(struct inode *dir, struct dentry *d)
{
	struct inode *i = d->inode;

	if (S_ISDIR(i->mode)) {
		i->nlink = 0;
		dir->nlink--;
	} else {
		__atomic_fetch_sub(&i->nlink, 1, __ATOMIC_RELAXED);
	}
	i->ctime = timespec_now();
	dir_changed(dir, -1);
	dentry_put(d);
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	if (S_ISDIR(d->inode->mode) && !dir_empty(d)) return -ENOTEMPTY;
	detach(dir, d);
	return 0;
}

static int tmpfs_rename(struct inode *dir, struct dentry *d, struct inode *new_dir, struct dentry *new_d, u32 flags)
{
	bool is_dir = S_ISDIR(d->inode->mode);

	if (flags & 2) { /* RENAME_EXCHANGE */
		bool other_dir = S_ISDIR(new_d->inode->mode);
		if (dir != new_dir && is_dir != other_dir) {
			dir->nlink += other_dir ? 1 : -1ull;
			new_dir->nlink += is_dir ? 1 : -1ull;
		}
		d->cookie = inode_new_cookie(new_dir);
		new_d->cookie = inode_new_cookie(dir);
		new_d->inode->ctime = timespec_now();
	} else {
		if (new_d->inode) {
			if (S_ISDIR(new_d->inode->mode) && !dir_empty(new_d)) return -ENOTEMPTY;
			detach(new_dir, new_d);
		}
		if (is_dir && dir != new_dir) {
			dir->nlink--;
			new_dir->nlink++;
		}
		d->cookie = inode_new_cookie(new_dir);
		dir_changed(dir, -1);
		dir_changed(new_dir, 1);
	}
	touch_mtime(dir);
	touch_mtime(new_dir);
	d->inode->ctime = timespec_now();
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, struct file *f, u32 mode)
{
	struct inode *i = new_inode(dir, mode, 0);

	if (!i) return -ENOSPC;
	i->nlink = 0;
	f->inode = i;
	f->ops = &tmpfs_file_ops;
	return 0;
}

/* ---- any inode ---- */

static int tmpfs_open(struct inode *i, struct file *f)
{
	f->ops = S_ISDIR(i->mode) ? &tmpfs_dir_ops : &tmpfs_file_ops;
	return 0;
}

static int tmpfs_getattr(struct inode *i, struct kstat *st)
{
	generic_getattr(i, st);
	st->attributes = i->attributes & ~ATTR_NOATIME;
	st->attributes_known = ATTR_FROZEN | ATTR_NODUMP;
	if (S_ISREG(i->mode)) {
		lock(&i->lock);
		st->size = i->size;
		st->blocks = tmpfs_data_pages(i) * (PAGE_SIZE / 512);
		unlock(&i->lock);
	}
	return 0;
}

static int tmpfs_setattr(struct inode *i, u32 valid, const struct kstat *st)
{
	if (valid & SETATTR_MODE && i->seals & 0x20 /* F_SEAL_EXEC */ && (i->mode ^ st->mode) & 0111) return -EPERM;
	if (valid & SETATTR_SIZE) {
		if (i->seals & 2 /* F_SEAL_SHRINK */ && st->size < i->size) return -EPERM;
		if (i->seals & 4 /* F_SEAL_GROW */ && st->size > i->size) return -EPERM;
		int err = tmpfs_resize(i, st->size);
		if (err) return err;
		i->mtime = timespec_now();
	}
	generic_setattr(i, valid, st);
	return 0;
}

static int tmpfs_readlink(struct inode *i, char *buf, size_t size)
{
	size_t n = strlen(i->link);

	if (n > size) n = size;
	memcpy(buf, i->link, n);
	return (int)n;
}

static int tmpfs_statfs(struct inode *i, u64 out[15])
{
	struct tmpfs *t = i->fs;

	out[0] = TMPFS_MAGIC;
	out[1] = PAGE_SIZE;
	out[2] = t->max_pages;
	out[3] = out[4] = t->max_pages > t->used_pages ? t->max_pages - t->used_pages : 0;
	out[5] = t->max_inodes;
	out[6] = t->max_inodes > t->used_inodes ? t->max_inodes - t->used_inodes : 0;
	out[7] = t->dev;
	out[8] = NAME_MAX;
	out[9] = PAGE_SIZE;
	return 0;
}

/* ---- directories ---- */

int emit_dots(struct file *f, u64 *pos, dir_emit_fn emit, void *ctx)
{
	if (*pos == 0) {
		int stop = emit(ctx, ".", 1, f->inode->ino, 4, 1);
		if (stop) return stop;
		*pos = 1;
	}
	if (*pos == 1) {
		struct dentry *d = f->path.dentry;
		u64 ino = f->inode->ino;
		lock(&vfs()->lock);
		struct mount *m = f->path.mnt;
		if (m && d == m->root && m->parent) d = m->mountpoint;
		if (d->parent && d->parent->inode) ino = d->parent->inode->ino;
		unlock(&vfs()->lock);
		int stop = emit(ctx, "..", 2, ino, 4, 2);
		if (stop) return stop;
		*pos = 2;
	}
	return 0;
}

#define BATCH_SIZE 8192u
struct batch_entry { u64 ino, cookie; u16 size; u8 type; char name[]; };

/* f->data is a dentry where the last batch that was delivered ended: while it is
 * in its place the next one starts there, and a big directory is not walked
 * again and again. *end: the last dentry of this batch, with a reference. */
static u32 fill_batch(struct file *f, u64 after, u32 want_flags, char *buf, u64 *last, struct dentry **end)
{
	struct dentry *dir = f->path.dentry, *cursor = want_flags ? NULL : f->data, *d = NULL;
	struct list *p;
	u32 used = 0;

	lock(&vfs()->lock);
	p = dir->children.next;
	if (cursor && cursor->parent == dir && cursor->flags & DENTRY_HASHED && cursor->cookie <= after) p = &cursor->child_node;
	for (; p != &dir->children; p = p->next) {
		d = list_entry(p, struct dentry, child_node);
		if (!d->inode || d->cookie <= after || (d->flags & want_flags) != want_flags) continue;
		u32 size = ALIGN_UP((u32)(sizeof(struct batch_entry) + d->name_size + 1u), 8u);
		if (used + size > BATCH_SIZE) break;
		struct batch_entry *e = (struct batch_entry *)(buf + used);
		e->ino = d->inode->ino;
		e->cookie = *last = d->cookie;
		e->size = d->name_size;
		e->type = (u8)dtype_of(d->inode->mode);
		memcpy(e->name, d->name, d->name_size + 1u);
		used += size;
		cursor = d;
	}
	*end = used ? dentry_get(cursor) : NULL;
	unlock(&vfs()->lock);
	return used;
}

int dentry_list_children(struct file *f, u64 after, u64 pos_flag, u32 want_flags, dir_emit_fn emit, void *ctx)
{
	char *buf = kmalloc(BATCH_SIZE);
	struct dentry *end;
	int stop = 0;
	u32 used;

	if (!buf) return -ENOMEM;
	while (!stop && (used = fill_batch(f, after, want_flags, buf, &after, &end))) {
		for (u32 at = 0; at < used && !stop;) {
			struct batch_entry *e = (struct batch_entry *)(buf + at);
			stop = emit(ctx, e->name, e->size, e->ino, e->type, e->cookie | pos_flag);
			at += ALIGN_UP((u32)(sizeof(*e) + e->size + 1u), 8u);
		}
		if (!stop && !want_flags) {
			struct dentry *old = f->data;
			f->data = end;
			end = old;
		}
		if (end) dentry_put(end);
	}
	kfree(buf);
	return stop;
}

/* A position is the cookie of the entry before it. */
static int tmpfs_readdir(struct file *f, u64 pos, dir_emit_fn emit, void *ctx)
{
	touch_atime(f);
	int stop = emit_dots(f, &pos, emit, ctx);
	return stop ? stop : dentry_list_children(f, pos, 0, 0, emit, ctx);
}

static s64 dir_read(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return -EISDIR;
}

static s64 dir_seek(struct file *f, s64 offset, int whence)
{
	return whence > 1 ? -EINVAL : seek_to(f, offset, whence, 0);
}

static int nothing_to_sync(struct file *f, bool data_only)
{
	(void)f, (void)data_only;
	return 0;
}

static void dir_release(struct file *f)
{
	if (f->data) dentry_put(f->data);
}

static void tmpfs_file_release(struct file *f)
{
	if (f->mode_bits & FMODE_WRITE) tmpfs_data_trim(f->inode);
}

const struct file_ops tmpfs_dir_ops = {
	.read = dir_read, .seek = dir_seek, .readdir = tmpfs_readdir, .fsync = nothing_to_sync, .release = dir_release,
	.seekable = true,
};
const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read, .write = tmpfs_write, .seek = tmpfs_seek, .mmap = tmpfs_mmap, .grown = tmpfs_grown, .fsync = nothing_to_sync,
	.release = tmpfs_file_release, .fallocate = tmpfs_fallocate, .seekable = true,
	.gather = true,
};
const struct inode_ops tmpfs_inode_ops = {
	.lookup = tmpfs_lookup, .create = tmpfs_create, .symlink = tmpfs_symlink, .link = tmpfs_link, .unlink = tmpfs_unlink,
	.rename = tmpfs_rename, .tmpfile = tmpfs_tmpfile, .open = tmpfs_open, .getattr = tmpfs_getattr, .setattr = tmpfs_setattr,
	.readlink = tmpfs_readlink, .getxattr = simple_getxattr, .setxattr = simple_setxattr, .listxattr = simple_listxattr,
	.removexattr = simple_removexattr, .statfs = tmpfs_statfs, .release = tmpfs_release, .mounted = tmpfs_mounted, .stays = true, .keeps_flags = true,
};

/* ---- mount options: size=, nr_inodes=, mode=, uid=, gid= ---- */

static u64 number(const char **s, unsigned base, u64 of_percent)
{
	u64 v = 0;

	for (; **s >= '0' && **s < (int)('0' + base); (*s)++) v = v * base + (u64)(**s - '0');
	switch (**s | 32) {
	case 'k': (*s)++; return v << 10;
	case 'm': (*s)++; return v << 20;
	case 'g': (*s)++; return v << 30;
	}
	if (**s == '%') {
		(*s)++;
		return of_percent / 100 * v;
	}
	return v;
}

struct inode *tmpfs_parse_mount(const char *options, int *err)
{
	u64 size = (K->memory_limit ? K->memory_limit : K->phys_memory) / 2, inodes = size / PAGE_SIZE, uid = creds_now()->fsuid, gid = creds_now()->fsgid, mode = 01777;
	static const struct { const char *name; u8 base, field; } known[] = {
		{ "size=", 10, 0 }, { "nr_inodes=", 10, 1 }, { "mode=", 8, 2 }, { "uid=", 10, 3 }, { "gid=", 10, 4 }, { "nr_blocks=", 10, 5 },
	};

	*err = -EINVAL;
	while (options && *options) {
		size_t k;
		for (k = 0; k < ARRAY_SIZE(known); k++)
			if (!strncmp(options, known[k].name, strlen(known[k].name))) break;
		if (k == ARRAY_SIZE(known)) return NULL;
		options += strlen(known[k].name);
		const char *start = options;
		u64 v = number(&options, known[k].base, K->phys_memory);
		if (options == start || (*options && *options != ',')) return NULL;
		switch (known[k].field) {
		case 0: size = v; break;
		case 1: inodes = v; break;
		case 2: mode = v & 07777; break;
		case 3: uid = v; break;
		case 4: gid = v; break;
		default: size = v << PAGE_SHIFT;
		}
		if (*options == ',') options++;
	}
	struct inode *i = tmpfs_root((u32)mode, ALIGN_UP(size, PAGE_SIZE), inodes);
	*err = -ENOMEM;
	if (i) {
		i->uid = (u32)uid;
		i->gid = (u32)gid;
	}
	return i;
}
