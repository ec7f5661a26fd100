/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories and files of the host, as the policy's mounts show them: names
 * and attributes over file: and dir: streams. Path resolution is ours (the host
 * follows no link for us), permission is checked here and again by the host. It
 * must not know what the host's paths are.
 */
#include "hostfs.h"

static const struct inode_ops hostfs_inode_ops;

bool hostfs_inode(const struct inode *i) { return i->ops == &hostfs_inode_ops; }

/* ---- URIs ---- */

/* Built from the end; dentry lock held. */
static int build_uri(const struct hostfs *h, const struct dentry *d, const char *scheme, char *buf)
{
	size_t at = PICO_URI_MAX, scheme_size = strlen(scheme);

	for (; d->parent; d = d->parent) {
		if (at < d->name_size + 1u + h->prefix_size + scheme_size) return -ENAMETOOLONG;
		at -= d->name_size;
		memcpy(buf + at, d->name, d->name_size);
		buf[--at] = '/';
	}
	if (at == PICO_URI_MAX && !h->prefix_size) buf[--at] = '/';
	at -= h->prefix_size;
	memcpy(buf + at, h->prefix, h->prefix_size);
	at -= scheme_size;
	memcpy(buf + at, scheme, scheme_size);
	memmove(buf, buf + at, PICO_URI_MAX - at);
	return (int)(PICO_URI_MAX - at);
}

static struct hostfs *owner_of(const struct dentry *d)
{
	while (d->parent) d = d->parent;
	return d->inode->fs;
}

int host_uri(struct dentry *d, const char *scheme, char buf[PICO_URI_MAX])
{
	lock(&vfs()->lock);
	int n = build_uri(owner_of(d), d, scheme, buf);
	unlock(&vfs()->lock);
	return n;
}

int host_uri_of(struct inode *i, const char *scheme, char buf[PICO_URI_MAX])
{
	int n = -ENOENT;

	lock(&vfs()->lock);
	list_for_each(p, &i->aliases) {
		struct dentry *d = list_entry(p, struct dentry, alias);
		if (d->flags & DENTRY_HASHED || !d->parent) {
			n = build_uri(hostfs_of(i), d, scheme, buf);
			break;
		}
	}
	unlock(&vfs()->lock);
	return n;
}

/* ---- inodes ---- */

static const u32 modes[] = {
	[PICO_STREAM_FILE] = S_IFREG, [PICO_STREAM_DIRECTORY] = S_IFDIR, [PICO_STREAM_SYMLINK] = S_IFLNK,
	[PICO_STREAM_SOCKET] = S_IFSOCK, [PICO_STREAM_FIFO] = S_IFIFO, [PICO_STREAM_CHARDEV] = S_IFCHR,
	[PICO_STREAM_BLOCKDEV] = S_IFBLK,
};

static u32 type_mode(const struct pico_stream_attributes *a)
{
	u32 m = a->type < ARRAY_SIZE(modes) ? modes[a->type] : 0;
	return m ? m : S_IFREG;
}

static void keep(struct inode *i, const struct pico_stream_attributes *a)
{
	i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	i->uid = a->uid;
	i->gid = a->gid;
	i->nlink = a->link_count;
	i->size = a->size;
	i->blocks = a->blocks;
	i->blksize = a->block_size;
	i->atime = (struct lx_timespec){ a->atime_sec, a->atime_nsec };
	i->mtime = (struct lx_timespec){ a->mtime_sec, a->mtime_nsec };
	i->ctime = (struct lx_timespec){ a->ctime_sec, a->ctime_nsec };
	i->btime = (struct lx_timespec){ a->btime_sec, a->btime_nsec };
	hnode(i)->fresh = now_mono();
}

bool host_learn(struct inode *i, const u32 *changes, u32 mark, const struct pico_stream_attributes *a)
{
	struct hnode *n = hnode(i);

	lock(&n->lock);
	const bool current_ = host_mark(changes) == mark;
	if (current_) keep(i, a);
	else n->fresh = 0;
	unlock(&n->lock);
	return current_;
}

void host_changed(struct inode *i, u64 size)
{
	struct hnode *n = hnode(i);

	lock(&n->lock);
	__atomic_fetch_add(&hostfs_of(i)->changes, 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&n->changes, 1, __ATOMIC_RELEASE);
	if (size > i->size) i->size = size;
	n->fresh = 0;
	unlock(&n->lock);
}

bool host_same(struct inode *i, const struct pico_stream_attributes *a)
{
	struct hnode *n = hnode(i);

	return n->ino == a->inode && n->device == a->device && (i->mode & S_IFMT) == type_mode(a) &&
	       n->btime_sec == a->btime_sec && n->btime_nsec == a->btime_nsec;
}

static struct list *bucket_of(struct hostfs *h, u64 ino)
{
	struct list *l = &h->hash[(u32)((ino * 0x9e3779b97f4a7c15ull) >> 40) & h->hash_mask];
	if (!l->next) list_init(l); /* most are never used: their pages stay untouched */
	return l;
}

static struct list *bucket(struct hostfs *h, const struct pico_stream_attributes *a)
{
	return bucket_of(h, a->inode);
}

/* Lock held. Without memory it works on, more slowly. */
static void hash_grow(struct hostfs *h)
{
	u32 size = h->hash_mask + 1;
	struct list *old = h->hash, *table = kzalloc(size * 4 * sizeof(*table));

	if (!table) return;
	h->hash = table;
	h->hash_mask = size * 4 - 1;
	for (u32 k = 0; k < size; k++)
		while (old[k].next && !list_empty(&old[k])) {
			struct hnode *n = list_entry(old[k].next, struct hnode, hash_node);
			list_del(&n->hash_node);
			list_add(bucket_of(h, n->ino), &n->hash_node);
		}
	if (old != h->first_hash) kfree(old);
}

/* Lock held. */
static void hash_insert(struct hostfs *h, const struct pico_stream_attributes *a, struct hnode *n)
{
	if (++h->inodes / 2 > h->hash_mask && h->hash_mask < HOST_HASH_MOST - 1) hash_grow(h);
	list_add(bucket(h, a), &n->hash_node);
}

static struct inode *find_inode(struct hostfs *h, const struct pico_stream_attributes *a, const char *link, size_t link_size)
{
	struct list *b = bucket(h, a);

	list_for_each(p, b) {
		struct inode *i = list_entry(p, struct hnode, hash_node)->inode;
		if (!host_same(i, a)) continue;
		if (i->link && (strlen(i->link) != link_size || memcmp(i->link, link, link_size))) continue;
		if (ref_get_unless_zero(&i->ref)) return i;
	}
	return NULL;
}

struct inode *host_inode(struct hostfs *h, u32 mark, const struct pico_stream_attributes *a, const char *link, size_t link_size)
{
	struct inode *i;
	struct hnode *n;

	lock(&h->lock);
	i = find_inode(h, a, link, link_size);
	unlock(&h->lock);
	if (i) {
		host_learn(i, &h->changes, mark, a);
		return i;
	}
	i = inode_alloc(&hostfs_inode_ops, type_mode(a));
	n = i ? kzalloc(sizeof(*n)) : NULL;
	char *text = n && S_ISLNK(i->mode) ? kstrndup(link, link_size) : NULL;
	if (!n || (S_ISLNK(i->mode) && !text)) {
		kfree(n);
		kfree(i);
		return NULL;
	}
	list_init(&n->handles);
	n->inode = i;
	n->device = a->device;
	n->ino = a->inode;
	n->btime_sec = a->btime_sec;
	n->btime_nsec = a->btime_nsec;
	i->fs = h;
	i->data = n;
	i->link = text;
	i->ino = a->inode;
	i->dev = a->device;
	keep(i, a);
	lock(&h->lock);
	struct inode *other = find_inode(h, a, link, link_size); /* another thread may have been faster */
	if (!other) hash_insert(h, a, n);
	else list_init(&n->hash_node);
	unlock(&h->lock);
	if (other) {
		inode_put(i);
		return other;
	}
	return i;
}

static void hostfs_release(struct inode *i)
{
	struct hostfs *h = hostfs_of(i);

	lock(&h->lock);
	if (!list_empty(&hnode(i)->hash_node)) h->inodes--;
	list_del(&hnode(i)->hash_node);
	unlock(&h->lock);
	handles_close_idle(i);
	kfree((void *)(uintptr_t)i->link);
	kfree(hnode(i));
}

static void changed(struct inode *i) { host_changed(i, 0); }

int host_update(struct inode *i, struct pico_stream_attributes *a)
{
	char uri[PICO_URI_MAX];
	struct hnode *h = hnode(i);
	const u64 fresh = h->fresh;
	const u32 mark = host_mark(&h->changes);
	s64 r;

	if (fresh && now_mono() - fresh < (hostfs_of(i)->read_only ? HOST_TTL : HOST_GRACE)) return 0;
	struct hhandle *open = handle_find(i, 0);
	if (open) {
		r = Dk(StreamAttributesQueryByHandle)(open->stream, a);
		handle_put(open);
	} else {
		int n = host_uri_of(i, "file:", uri);
		if (n < 0) return n == -ENOENT ? 0 : n; /* deleted: what was known is all there is */
		r = Dk(StreamAttributesQuery)(uri, (u64)n, 0, a, NULL, 0);
		/* Another object has the name now: this one keeps what was known. */
		if (r >= 0 && !host_same(i, a)) return 0;
		if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) return 0;
	}
	if (r < 0) return (int)r;
	return !host_learn(i, &h->changes, mark, a);
}

/* ---- names; dir is locked ---- */

void host_validated(struct hostfs *h, struct dentry *d)
{
	u64 now = now_mono();

	d->expires = now + (h->read_only ? HOST_TTL : HOST_GRACE);
	/* The host is asked by whole paths and says when a directory on the way
	 * is none any more; a link is not on the way it sees. */
	d->walk_expires = d->inode && S_ISDIR(d->inode->mode) ? now + HOST_TTL : d->expires;
}

/* Something on the way is not the directory it was: all of it is looked at anew. */
static int way_changed(struct dentry *d)
{
	lock(&vfs()->lock);
	for (; d; d = d->parent) d->expires = d->walk_expires = 0;
	unlock(&vfs()->lock);
	return -ESTALE;
}

/* 0: found, 1: absent, or the error. */
static int query(struct dentry *d, struct pico_stream_attributes *a, char link[PATH_MAX], size_t *link_size)
{
	char uri[PICO_URI_MAX];
	int n = host_uri(d, "file:", uri);

	if (n < 0) return n;
	s64 r = Dk(StreamAttributesQuery)(uri, (u64)n, 0, a, link, PATH_MAX);
	if (r >= 0) {
		*link_size = (size_t)r < PATH_MAX ? (size_t)r : PATH_MAX;
		return 0;
	}
	if (r == -ENOENT) return 1;
	if (r == -ELOOP || r == -ENOTDIR) return way_changed(d->parent);
	return (int)r;
}

static int hostfs_lookup(struct inode *dir, struct dentry *d)
{
	struct hostfs *h = hostfs_of(dir);
	struct pico_stream_attributes a;
	char *link = kmalloc(PATH_MAX);
	size_t link_size = 0;
	const u32 mark = host_mark(&h->changes);

	if (!link) return -ENOMEM;
	int r = query(d, &a, link, &link_size);
	if (!r) {
		struct inode *i = host_inode(h, mark, &a, link, link_size);
		if (i) dentry_set(d, i);
		else r = -ENOMEM;
	}
	kfree(link);
	if (r < 0) return r;
	host_validated(h, d);
	return 0;
}

static int hostfs_revalidate(struct dentry *d, bool last)
{
	struct hostfs *h = hostfs_of(d->parent->inode);
	struct pico_stream_attributes a;
	char *link = kmalloc(PATH_MAX);
	struct inode *i = d->inode;
	const u32 mark = i ? host_mark(&hnode(i)->changes) : 0;
	size_t link_size = 0;
	int r = link ? query(d, &a, link, &link_size) : -ENOMEM;

	(void)last;
	if (r < 0) goto out;
	bool same = r ? !i : i && host_same(i, &a) &&
		(!i->link || (strlen(i->link) == link_size && !memcmp(i->link, link, link_size)));
	if (same) {
		if (i) host_learn(i, &hnode(i)->changes, mark, &a);
		host_validated(h, d);
	} else if (i) {
		handles_close_idle(i); /* deleted on the host: give its space back */
	}
	r = same;
out:
	kfree(link);
	return r;
}

/* The host made it ours; another user of this system may have asked. */
static void claim(struct pico_stream_attributes *a, const char *uri, int n, u32 type)
{
	const struct creds *c = creds_now();
	struct pico_stream_attributes own = { .valid = PICO_ATTR_OWNER, .type = type, .uid = c->fsuid, .gid = c->fsgid };

	if (c->fsuid == a->uid || Dk(StreamAttributesSet)(PICO_HANDLE_NONE, uri, (u64)n, &own) < 0) return;
	a->uid = c->fsuid;
	a->gid = c->fsgid;
}

static int bind_new(struct hostfs *h, struct inode *dir, struct dentry *d, struct pico_stream_attributes *a, const char *uri, int n)
{
	changed(dir);
	claim(a, uri, n, 0);
	struct inode *i = host_inode(h, host_mark(&h->changes), a, NULL, 0); /* new: nobody else knows it yet */
	if (!i) return -ENOMEM;
	dentry_set(d, i);
	host_validated(h, d);
	return 0;
}

/* Fifos, sockets and devices of the guest are in memory only: the host's would
 * mean something else there. */
static int create_special(struct inode *dir, struct dentry *d, u32 mode, u64 rdev)
{
	struct inode *i = tmpfs_inode(NULL, mode, rdev);

	if (!i) return -ENOMEM;
	i->uid = creds_now()->fsuid;
	i->gid = creds_now()->fsgid;
	d->flags |= DENTRY_PINNED;
	d->cookie = __atomic_add_fetch(&vfs()->pin_cookie, 1, __ATOMIC_RELAXED);
	dir->pins++;
	dentry_get(d);
	dentry_set(d, i);
	return 0;
}

static int hostfs_create(struct inode *dir, struct dentry *d, u32 mode, u64 rdev)
{
	struct hostfs *h = hostfs_of(dir);
	bool is_dir = S_ISDIR(mode);
	struct pico_stream_attributes a;
	char uri[PICO_URI_MAX];

	if (h->read_only) return -EROFS;
	if (!is_dir && !S_ISREG(mode)) return create_special(dir, d, mode, rdev);
	int n = host_uri(d, is_dir ? "dir:" : "file:", uri);
	if (n < 0) return n;
	s64 r = Dk(StreamOpen)(uri, (u64)n, PICO_ACCESS_READ, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, mode & 07777, &a);
	if (r == -PICO_EMFILE) return -ENFILE;
	if (r == -ELOOP || r == -ENOTDIR) return way_changed(d->parent);
	if (r < 0) return (int)r;
	Dk(ObjectClose)(r);
	return bind_new(h, dir, d, &a, uri, n);
}

static int hostfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	char uri[PICO_URI_MAX], *text;
	size_t size = strlen(target);
	int n = host_uri(d, "file:", uri);

	if (n < 0) return n;
	text = kmalloc(size + 6);
	if (!text) return -ENOMEM;
	memcpy(text, "link:", 5);
	memcpy(text + 5, target, size + 1);
	s64 r = Dk(StreamRename)(text, size + 5, uri, (u64)n, PICO_RENAME_SYMLINK);
	kfree(text);
	if (r < 0) return (int)r;
	changed(dir);
	int err = hostfs_lookup(dir, d);
	if (err || !d->inode) return err ? err : -ENOENT;
	struct pico_stream_attributes a = { .uid = d->inode->uid, .gid = d->inode->gid };
	claim(&a, uri, n, PICO_STREAM_SYMLINK);
	d->inode->uid = a.uid;
	d->inode->gid = a.gid;
	return 0;
}

static int hostfs_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	char uri[PICO_URI_MAX], old[PICO_URI_MAX];
	int n = host_uri(d, "file:", uri), m;
	u32 flags = PICO_RENAME_LINK;
	struct hhandle *open = NULL;

	if (n < 0) return n;
	if (!hostfs_inode(target) || target->fs != dir->fs) return -EXDEV;
	m = host_uri_of(target, "file:", old);
	if (m == -ENOENT) { /* made without a name */
		open = handle_find(target, PICO_ACCESS_WRITE);
		if (!open) return -ENOENT;
		m = snprintf(old, sizeof(old), "handle:%llu", (unsigned long long)open->stream);
		flags = PICO_RENAME_FROM_HANDLE;
	}
	s64 r = m < 0 ? m : Dk(StreamRename)(old, (u64)m, uri, (u64)n, flags);
	if (open) handle_put(open);
	if (r < 0) return (int)r;
	target->nlink++;
	changed(target);
	changed(dir);
	dentry_set(d, inode_get(target));
	host_validated(hostfs_of(dir), d);
	return 0;
}

static void name_gone(struct inode *i)
{
	if (!hostfs_inode(i)) return;
	i->nlink = S_ISDIR(i->mode) || !i->nlink ? 0 : i->nlink - 1;
	changed(i);
	if (!i->nlink) handles_close_idle(i);
}

static int hostfs_unlink(struct inode *dir, struct dentry *d)
{
	char uri[PICO_URI_MAX];
	bool is_dir = S_ISDIR(d->inode->mode);
	int n = host_uri(d, is_dir ? "dir:" : "file:", uri);

	if (n < 0) return n;
	s64 r = Dk(StreamDelete)(uri, (u64)n, is_dir ? PICO_DELETE_DIRECTORY : 0);
	if (r < 0) {
		d->expires = d->walk_expires = 0;
		return (int)r;
	}
	name_gone(d->inode);
	changed(dir);
	return 0;
}

static int hostfs_rename(struct inode *dir, struct dentry *d, struct inode *new_dir, struct dentry *new_d, u32 flags)
{
	char from[PICO_URI_MAX], to[PICO_URI_MAX];
	int n = host_uri(d, "file:", from), m = host_uri(new_d, "file:", to);

	if (n < 0 || m < 0) return n < 0 ? n : m;
	s64 r = Dk(StreamRename)(from, (u64)n, to, (u64)m, flags); /* the two flags agree with Linux's */
	if (r < 0) {
		d->expires = new_d->expires = 0;
		return (int)r;
	}
	if (new_d->inode && !(flags & PICO_RENAME_EXCHANGE)) name_gone(new_d->inode);
	changed(dir);
	changed(new_dir);
	changed(d->inode);
	host_validated(hostfs_of(dir), d);
	return 0;
}

/* ---- attributes ---- */

static int hostfs_getattr(struct inode *i, struct kstat *st)
{
	struct pico_stream_attributes a;
	const int r = host_update(i, &a);

	generic_getattr(i, st);
	if (r <= 0) return r;
	st->mode = (st->mode & S_IFMT) | (a.mode & 07777);
	st->uid = a.uid;
	st->gid = a.gid;
	st->nlink = a.link_count;
	st->size = a.size;
	st->blocks = a.blocks;
	st->atime = (struct lx_timespec){ a.atime_sec, a.atime_nsec };
	st->mtime = (struct lx_timespec){ a.mtime_sec, a.mtime_nsec };
	st->ctime = (struct lx_timespec){ a.ctime_sec, a.ctime_nsec };
	return 0;
}

static u32 attr_valid(u32 valid)
{
	u32 v = 0;

	if (valid & SETATTR_MODE) v |= PICO_ATTR_MODE;
	if (valid & (SETATTR_UID | SETATTR_GID)) v |= PICO_ATTR_OWNER;
	if (valid & SETATTR_ATIME) v |= valid & SETATTR_ATIME_NOW ? PICO_ATTR_ATIME_NOW : PICO_ATTR_ATIME;
	if (valid & SETATTR_MTIME) v |= valid & SETATTR_MTIME_NOW ? PICO_ATTR_MTIME_NOW : PICO_ATTR_MTIME;
	return v;
}

static int hostfs_setattr(struct inode *i, u32 valid, const struct kstat *st)
{
	struct pico_stream_attributes a = {
		.valid = attr_valid(valid), .type = S_ISLNK(i->mode) ? PICO_STREAM_SYMLINK : 0, .mode = st->mode & 07777,
		.uid = valid & SETATTR_UID ? st->uid : ~0u, .gid = valid & SETATTR_GID ? st->gid : ~0u,
		.atime_sec = st->atime.sec, .atime_nsec = (u32)st->atime.nsec,
		.mtime_sec = st->mtime.sec, .mtime_nsec = (u32)st->mtime.nsec,
	};
	char uri[PICO_URI_MAX];
	s64 r = 0;

	if (hostfs_of(i)->read_only) return -EROFS;
	if (valid & SETATTR_SIZE) {
		int err = host_resize(i, st->size);
		if (err) return err;
	}
	if (!a.valid) return 0;
	int n = host_uri_of(i, "file:", uri);
	if (n >= 0) {
		r = Dk(StreamAttributesSet)(PICO_HANDLE_NONE, uri, (u64)n, &a);
	} else {
		struct hhandle *open = handle_find(i, 0);
		r = n;
		if (open) {
			r = Dk(StreamAttributesSet)(open->stream, NULL, 0, &a);
			handle_put(open);
		}
	}
	if (r < 0) return (int)r;
	if (valid & SETATTR_MODE) i->mode = (i->mode & S_IFMT) | a.mode;
	if (valid & SETATTR_UID) i->uid = st->uid;
	if (valid & SETATTR_GID) i->gid = st->gid;
	changed(i);
	return 0;
}

static int hostfs_readlink(struct inode *i, char *buf, size_t size)
{
	size_t n = strlen(i->link);

	if (n > size) n = size;
	memcpy(buf, i->link, n);
	return (int)n;
}

static int hostfs_statfs(struct inode *i, u64 out[15])
{
	struct pico_stream_attributes a;
	char uri[PICO_URI_MAX];
	s64 r;
	struct hhandle *open = handle_find(i, 0);

	if (open) {
		r = Dk(StreamAttributesQueryByHandle)(open->stream, &a);
		handle_put(open);
	} else {
		r = host_uri_of(i, "file:", uri);
		if (r >= 0) r = Dk(StreamAttributesQuery)(uri, (u64)r, PICO_ATTR_FILESYSTEM, &a, NULL, 0);
	}
	if (r < 0) return (int)r;
	if (!(a.valid & PICO_ATTR_FILESYSTEM)) return -ENOSYS;
	out[0] = a.fs_type;
	out[1] = out[9] = a.fs_block_size;
	out[2] = a.fs_blocks;
	out[3] = a.fs_blocks_free;
	out[4] = a.fs_blocks_available;
	out[5] = a.fs_files;
	out[6] = a.fs_files_free;
	out[7] = a.device;
	out[8] = a.fs_name_max;
	return 0;
}

static const struct inode_ops hostfs_inode_ops = {
	.lookup = hostfs_lookup, .create = hostfs_create, .symlink = hostfs_symlink, .link = hostfs_link, .unlink = hostfs_unlink,
	.rename = hostfs_rename, .tmpfile = host_tmpfile, .open = host_open, .getattr = hostfs_getattr, .setattr = hostfs_setattr,
	.readlink = hostfs_readlink, .statfs = hostfs_statfs, .syncfs = host_syncfs,
	.revalidate = hostfs_revalidate, .release = hostfs_release,
	.lookup_open = host_lookup_open, .cache_negative = true,
};

struct inode *hostfs_root(const char *guest_path, u32 type, bool read_only, int *err)
{
	size_t size = strlen(guest_path);
	struct pico_stream_attributes a;
	struct hostfs *h;
	char uri[PICO_URI_MAX];
	int n = snprintf(uri, sizeof(uri), "file:%s", guest_path);
	struct inode *i;

	(void)type;
	if (n >= (int)sizeof(uri)) {
		*err = -ENAMETOOLONG;
		return NULL;
	}
	s64 r = Dk(StreamAttributesQuery)(uri, (u64)n, 0, &a, NULL, 0);
	if (r < 0) {
		*err = (int)r;
		return NULL;
	}
	*err = -ENOMEM;
	h = kzalloc(sizeof(*h) + size + 1);
	if (!h) return NULL;
	h->hash = h->first_hash;
	h->hash_mask = HOST_HASH - 1;
	h->read_only = read_only;
	h->prefix_size = size == 1 ? 0 : (u32)size;
	memcpy(h->prefix, guest_path, size + 1);
	i = host_inode(h, 0, &a, NULL, 0);
	if (!i) kfree(h);
	return i;
}
