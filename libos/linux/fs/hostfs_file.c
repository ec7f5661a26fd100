/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files and directories of the host. Transfers go straight between the
 * program's buffer and the host; positions are ours, so one host handle serves
 * every description of the same file that needs no more access than it has.
 */
#include "hostfs.h"
#include "../lx/proc.h"

/* ---- handles ---- */

static void close_list(struct list *dead)
{
	while (!list_empty(dead)) {
		struct hhandle *h = list_entry(dead->next, struct hhandle, idle);
		list_del(&h->idle);
		Dk(ObjectClose)(h->stream);
		kfree(h);
	}
}

static void unidle(struct hhandle *h) /* host_lock held */
{
	if (!list_empty(&h->idle)) {
		list_del(&h->idle);
		vfs()->host_idle_count--;
	}
}

struct hhandle *handle_find(struct inode *i, u32 access)
{
	struct vfs *v = vfs();
	struct hhandle *found = NULL;

	if (list_empty(&hnode(i)->handles)) return NULL;
	lock(&v->host_lock);
	list_for_each(p, &hnode(i)->handles) {
		struct hhandle *h = list_entry(p, struct hhandle, node);
		/* A handle that appends is for appending only. */
		if ((h->access & access) != access || (access && (h->access ^ access) & PICO_ACCESS_APPEND)) continue;
		if (!h->users++) unidle(h);
		found = h;
		break;
	}
	unlock(&v->host_lock);
	return found;
}

struct hhandle *handle_new(struct inode *i, pico_handle stream, u32 access)
{
	struct hhandle *h = kmalloc(sizeof(*h));

	if (!h) {
		Dk(ObjectClose)(stream);
		return NULL;
	}
	*h = (struct hhandle){ .owner = hnode(i), .stream = stream, .access = access, .users = 1 };
	list_init(&h->idle);
	lock(&vfs()->host_lock);
	list_add(&hnode(i)->handles, &h->node);
	unlock(&vfs()->host_lock);
	return h;
}

void handle_put(struct hhandle *h)
{
	struct vfs *v = vfs();
	struct inode *i = h->owner->inode;
	struct list dead;

	list_init(&dead);
	lock(&v->host_lock);
	if (!--h->users) {
		/* One that writes would keep the host from executing the file. */
		if (!(h->access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND)) && i->nlink) {
			list_add_tail(&v->host_idle, &h->idle);
			v->host_idle_count++;
			if (v->host_idle_count > HOST_IDLE_MAX) h = list_entry(v->host_idle.next, struct hhandle, idle);
			else h = NULL;
		}
		if (h) {
			unidle(h);
			list_del(&h->node);
			list_add(&dead, &h->idle);
		}
	}
	unlock(&v->host_lock);
	close_list(&dead);
}

void handles_close_idle(struct inode *i)
{
	struct list dead;

	list_init(&dead);
	lock(&vfs()->host_lock);
	list_for_each_safe(p, next, &hnode(i)->handles) {
		struct hhandle *h = list_entry(p, struct hhandle, node);
		if (h->users) continue;
		unidle(h);
		list_del(&h->node);
		list_add(&dead, &h->idle);
	}
	unlock(&vfs()->host_lock);
	close_list(&dead);
}

u32 host_access(u32 flags)
{
	static const u8 access[4] = {
		PICO_ACCESS_READ | PICO_ACCESS_EXECUTE, PICO_ACCESS_WRITE, PICO_ACCESS_READ | PICO_ACCESS_WRITE, PICO_ACCESS_READ,
	};
	u32 a = access[flags & O_ACCMODE];
	return flags & O_APPEND && a & PICO_ACCESS_WRITE ? a | PICO_ACCESS_APPEND : a;
}

/* The instance's streams are this system's table of open files: when it is full
 * the process may have room still. */
static s64 stream_open(const char *uri, u64 size, u32 access, u32 flags, u32 mode, struct pico_stream_attributes *a)
{
	const s64 r = Dk(StreamOpen)(uri, size, access, flags, mode, a);

	return r == -PICO_EMFILE ? -ENFILE : r;
}

s64 host_stream_open(struct hostfs *h, const char *uri, u64 size, u32 *access, u32 flags, u32 mode, struct pico_stream_attributes *a)
{
	if (h->no_exec) *access &= ~(u32)PICO_ACCESS_EXECUTE;
	s64 r = stream_open(uri, size, *access, flags, mode, a);
	if (r == -EACCES && *access & PICO_ACCESS_EXECUTE) {
		u32 less = *access & ~(u32)PICO_ACCESS_EXECUTE;
		r = stream_open(uri, size, less, flags, mode, a);
		if (r >= 0) {
			h->no_exec = true;
			*access = less;
		}
	}
	return r;
}

static const struct file_ops host_file_ops, host_dir_ops;

static int opened(struct file *f, struct hhandle *h)
{
	if (!h) return -ENOMEM;
	f->ops = &host_file_ops;
	f->data = h;
	f->stream = h->stream;
	return 0;
}

/* i is known; f->path is its name. */
int host_open(struct inode *i, struct file *f)
{
	struct hostfs *h = hostfs_of(i);
	struct pico_stream_attributes a;
	char uri[PICO_URI_MAX];
	u32 access = host_access(f->flags);

	if (S_ISDIR(i->mode)) {
		f->ops = &host_dir_ops;
		return 0;
	}
	if (!S_ISREG(i->mode)) return -ENXIO;
	if (h->no_exec) access &= ~(u32)PICO_ACCESS_EXECUTE;
	struct hhandle *open = handle_find(i, access);
	if (open) return opened(f, open);
	int n = f->path.dentry->flags & (DENTRY_DEAD | DENTRY_NAMELESS) ? host_uri_of(i, "file:", uri) : host_uri(f->path.dentry, "file:", uri);
	if (n == -ENOENT) { /* it has no name any more, but somebody has it open */
		open = handle_find(i, access & ~(u32)PICO_ACCESS_EXECUTE);
		return open ? opened(f, open) : n;
	}
	if (n < 0) return n;
	const u32 mark = host_mark(&hnode(i)->changes);
	s64 r = host_stream_open(h, uri, (u64)n, &access, 0, 0, &a);
	if (r < 0) return r == -ELOOP ? -ESTALE : (int)r;
	if (!host_same(i, &a)) {
		Dk(ObjectClose)(r);
		return -ESTALE;
	}
	host_learn(i, &hnode(i)->changes, mark, &a);
	return opened(f, handle_new(i, r, access));
}

/* An open handle tells as well as a new one that the name still means it. */
static int share_open(struct inode *i, struct dentry *d, struct file *f, u32 access)
{
	struct hhandle *open = handle_find(i, access);

	if (!open) return 1;
	int r = hostfs_of(i)->read_only && d->expires && now_mono() < d->expires ? 1 : i->ops->revalidate(d, true);
	if (r == 1) return opened(f, open);
	handle_put(open);
	return r < 0 ? r : -ESTALE;
}

/* The host made it ours; another user of this system may have asked. */
static void claim(pico_handle stream, struct pico_stream_attributes *a)
{
	const struct creds *c = creds_now();
	struct pico_stream_attributes own = { .valid = PICO_ATTR_OWNER, .uid = c->fsuid, .gid = c->fsgid };

	if (c->fsuid == a->uid || Dk(StreamAttributesSet)(stream, NULL, 0, &own) < 0) return;
	a->uid = c->fsuid;
	a->gid = c->fsgid;
}

int host_lookup_open(struct inode *dir, struct dentry *d, struct file *f, u32 mode, bool *created)
{
	struct hostfs *h = hostfs_of(dir);
	struct pico_stream_attributes a;
	char uri[PICO_URI_MAX];
	u32 access = host_access(f->flags), create = f->flags & O_CREAT;
	s64 r = -EEXIST;

	if (h->no_exec) access &= ~(u32)PICO_ACCESS_EXECUTE;
	if (d->inode) {
		if (create && f->flags & O_EXCL) return 1;
		int shared = share_open(d->inode, d, f, access);
		if (shared == -ESTALE) dentry_drop(d, 0);
		if (shared != 1) return shared;
	}
	int n = host_uri(d, "file:", uri);
	if (n < 0) return n;
	const u32 mark = host_mark(&h->changes);
	if (create && !d->inode) {
		r = host_stream_open(h, uri, (u64)n, &access, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, mode & 07777, &a);
		if (r >= 0) *created = true;
		else if (r == -EEXIST && f->flags & O_EXCL) return -EEXIST;
	}
	if (r == -EEXIST) {
		r = host_stream_open(h, uri, (u64)n, &access, 0, 0, &a);
		if (r == -ENOENT && create && d->inode) { /* it was deleted on the host */
			dentry_drop(d, 0);
			return -ESTALE;
		}
	}
	if (r == -ENOENT) {
		if (d->inode) {
			dentry_drop(d, 0);
			return -ENOENT;
		}
		host_validated(h, d);
		return -ENOENT;
	}
	/* A directory, a link, a special file, or something on the way: the
	 * long way finds out. So does it what may be seen but not opened. */
	if (r == -ELOOP || r == -EISDIR || r == -ENXIO || r == -ENOTDIR || r == -EACCES || r == -EPERM || r == -EOPNOTSUPP) return 1;
	if (r < 0) return (int)r;
	if (*created) {
		claim(r, &a);
	}
	if (d->inode && !host_same(d->inode, &a)) {
		Dk(ObjectClose)(r);
		dentry_drop(d, 0);
		return -ESTALE;
	}
	struct inode *i = d->inode ? d->inode : host_inode(h, mark, &a, NULL, 0);
	if (*created) host_changed(dir, 0);
	if (!i) {
		Dk(ObjectClose)(r);
		return -ENOMEM;
	}
	if (d->inode) host_learn(i, &h->changes, mark, &a);
	else dentry_set(d, i);
	host_validated(h, d);
	return opened(f, handle_new(i, r, access));
}

int host_tmpfile(struct inode *dir, struct file *f, u32 mode)
{
	struct hostfs *h = hostfs_of(dir);
	struct pico_stream_attributes a;
	char uri[PICO_URI_MAX];
	u32 access = host_access(f->flags);
	int n = host_uri_of(dir, "file:", uri);

	if (n < 0) return n;
	s64 r = stream_open(uri, (u64)n, access, PICO_OPEN_TEMPORARY | (f->flags & O_EXCL ? PICO_OPEN_EXCLUSIVE : 0), mode & 07777, &a);
	if (r < 0) return (int)r;
	claim(r, &a);
	struct inode *i = host_inode(h, host_mark(&h->changes), &a, NULL, 0); /* new: nobody else knows it */
	if (!i) {
		Dk(ObjectClose)(r);
		return -ENOMEM;
	}
	f->inode = i;
	return opened(f, handle_new(i, r, access));
}

/* A handle to write with, for a moment. */
static struct hhandle *writable(struct inode *i, int *err)
{
	struct pico_stream_attributes a;
	char uri[PICO_URI_MAX];
	struct hhandle *h = handle_find(i, PICO_ACCESS_WRITE);

	if (!h) h = handle_find(i, PICO_ACCESS_WRITE | PICO_ACCESS_APPEND);
	if (h) return h;
	int n = host_uri_of(i, "file:", uri);
	s64 r = n < 0 ? n : stream_open(uri, (u64)n, PICO_ACCESS_WRITE, 0, 0, &a);
	*err = (int)r;
	if (r < 0) return NULL;
	if (!host_same(i, &a)) {
		Dk(ObjectClose)(r);
		*err = -ESTALE;
		return NULL;
	}
	*err = -ENOMEM;
	return handle_new(i, r, PICO_ACCESS_WRITE);
}

/* A transfer of a file is over soon and, as on Linux, no signal ends it: the
 * interrupt is remembered and the call issued again. A program may be loading
 * that could not say EINTR to anybody. */
#define settled(call) ({ \
	s64 settled_; \
	while ((settled_ = (call)) == -PICO_EINTR) \
		interrupt_defer(); \
	settled_; \
})

int host_resize(struct inode *i, u64 size)
{
	int err = 0;
	struct hhandle *h = writable(i, &err);

	if (!h) return err;
	s64 r = settled(Dk(StreamSetLength)(h->stream, size, PICO_LENGTH_SET, 0));
	handle_put(h);
	if (r < 0) return (int)r;
	i->size = size;
	host_changed(i, 0);
	return 0;
}

/* ---- files ---- */

static s64 host_read(struct file *f, const struct iobuf *b, u64 pos)
{
	return settled(Dk(StreamRead)(f->stream, pos, b->user ? (void *)b->u : b->k, b->size, NULL));
}

static s64 append(struct file *f, const struct iobuf *b, const void *from)
{
	struct inode *i = f->inode;
	struct hhandle *h = f->data;
	struct pico_stream_attributes a;
	u64 end = 0;
	s64 n = 0;

	lock(&i->lock);
	if (!(h->access & PICO_ACCESS_APPEND)) {
		n = Dk(StreamAttributesQueryByHandle)(f->stream, &a);
		if (n >= 0) i->size = end = a.size;
	}
	if (n >= 0) n = settled(Dk(StreamWrite)(f->stream, end, from, b->size, NULL));
	if (n > 0) i->size += (u64)n;
	f->append_end = i->size;
	host_changed(i, 0);
	unlock(&i->lock);
	return n;
}

static s64 host_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct inode *i = f->inode;
	const void *from = b->user ? (const void *)b->u : b->k;
	s64 n;

	if (unlikely(b->flags & IOBUF_APPEND)) return append(f, b, from);
	n = settled(Dk(StreamWrite)(f->stream, pos, from, b->size, NULL));
	host_changed(i, n > 0 ? pos + (u64)n : 0);
	return n;
}

static s64 host_seek(struct file *f, s64 offset, int whence)
{
	struct pico_stream_attributes a;
	const int r = whence > 1 ? host_update(f->inode, &a) : 0;

	return r < 0 ? r : seek_to(f, offset, whence, r ? a.size : f->inode->size);
}

static int host_mmap(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset)
{
	void *a = (void *)addr;
	u32 flags = PICO_MAP_FIXED | (vma_flags & 8 /* VMA_SHARED */ ? PICO_MAP_SHARED : PICO_MAP_PRIVATE);
	s64 r = Dk(StreamMap)(f->stream, &a, vma_flags & 7 /* VMA_ and PICO_PROT_ agree */, offset, size, flags);

	return r < 0 ? (int)r : 0;
}

static int host_fsync(struct file *f, bool data_only)
{
	return (int)MIN(0, settled(Dk(StreamFlush)(f->stream, data_only ? PICO_FLUSH_DATA : 0)));
}

static int host_fallocate(struct file *f, u32 mode, u64 offset, u64 size)
{
	static const struct { u32 linux_mode, mode; } modes[] = {
		{ 0, PICO_LENGTH_ALLOCATE }, { 1, PICO_LENGTH_ALLOCATE_KEEP_SIZE }, { 3, PICO_LENGTH_PUNCH_HOLE },
		{ 0x10, PICO_LENGTH_ZERO_RANGE }, { 8, PICO_LENGTH_COLLAPSE_RANGE }, { 0x20, PICO_LENGTH_INSERT_RANGE },
	};

	for (size_t k = 0; k < ARRAY_SIZE(modes); k++)
		if (modes[k].linux_mode == mode) {
			s64 r = settled(Dk(StreamSetLength)(f->stream, size, modes[k].mode, offset));
			if (r < 0) return (int)r;
			host_changed(f->inode, mode ? 0 : offset + size);
			struct pico_stream_attributes a;
			return MIN(0, host_update(f->inode, &a));
		}
	return -EOPNOTSUPP;
}

/* O_APPEND set later is done by asking for the size before each write; taken
 * away it needs a handle that does not append. */
static int host_set_flags(struct file *f, u32 new_flags)
{
	struct hhandle *h = f->data;
	struct inode *i = f->inode;
	struct file again = { .flags = new_flags, .path = f->path, .inode = i };

	if (!(h->access & PICO_ACCESS_APPEND) || new_flags & O_APPEND) return 0;
	int err = host_open(i, &again);
	if (err) return -EPERM;
	f->data = again.data;
	f->stream = again.stream;
	handle_put(h);
	return 0;
}

static void host_release(struct file *f)
{
	if (f->data) handle_put(f->data);
}

static const struct file_ops host_file_ops = {
	.read = host_read, .write = host_write, .seek = host_seek, .mmap = host_mmap, .fsync = host_fsync,
	.fallocate = host_fallocate, .set_flags = host_set_flags, .release = host_release, .seekable = true,
};

/* ---- directories ---- */

#define LIST_SIZE 7168u /* what a request carries */
#define PINNED_FLAG (3ull << 62) /* positions of entries in memory; a host's cookie + 2 never has both bits */
struct hdir { /* f->data */
	u32 at, end; /* records not delivered yet */
	u64 pos; /* where they belong */
	char buf[LIST_SIZE] __attribute__((aligned(8)));
};

static int dir_stream(struct file *f)
{
	char uri[PICO_URI_MAX];

	if (f->stream) return 0;
	if (f->path.dentry->flags & DENTRY_DEAD) return -ENOENT;
	int n = host_uri(f->path.dentry, "dir:", uri);
	if (n < 0) return n;
	s64 r = stream_open(uri, (u64)n, PICO_ACCESS_READ, 0, 0, NULL);
	if (r < 0) return r == -ELOOP ? -ENOENT : (int)r;
	f->stream = r;
	return 0;
}

static bool hidden(struct file *f, const char *name, size_t size)
{
	if (likely(!f->inode->pins)) return false;
	struct dentry *d = dentry_cached(f->path.dentry, name, size);
	bool yes = d && d->flags & DENTRY_PINNED;
	if (d) dentry_put(d);
	return yes;
}

static int emit_records(struct file *f, struct hdir *l, dir_emit_fn emit, void *ctx)
{
	static const u8 types[] = {
		[PICO_STREAM_FILE] = 8, [PICO_STREAM_DIRECTORY] = 4, [PICO_STREAM_SYMLINK] = 10, [PICO_STREAM_SOCKET] = 12,
		[PICO_STREAM_FIFO] = 1, [PICO_STREAM_CHARDEV] = 2, [PICO_STREAM_BLOCKDEV] = 6,
	};

	while (l->at < l->end) {
		const struct pico_dirent *e = (const struct pico_dirent *)(l->buf + l->at);
		u64 next = e->cookie + 2;
		if (!hidden(f, e->name, e->name_size)) {
			int stop = emit(ctx, e->name, e->name_size, e->inode, e->type < ARRAY_SIZE(types) ? types[e->type] : 0, next);
			if (stop) return stop;
		}
		l->at += e->record_size;
		l->pos = next;
	}
	return 0;
}

static int host_readdir(struct file *f, u64 pos, dir_emit_fn emit, void *ctx)
{
	struct hdir *l;
	int stop = emit_dots(f, &pos, emit, ctx);

	if (stop) return stop;
	if (!f->data && !(f->data = kzalloc(sizeof(*l)))) return -ENOMEM;
	l = f->data;
	while ((pos & PINNED_FLAG) != PINNED_FLAG) {
		if (l->at == l->end || l->pos != pos) {
			int err = dir_stream(f);
			if (err) return err;
			s64 n = Dk(StreamEnumerateChildren)(f->stream, pos - 2, l->buf, LIST_SIZE);
			if (n < 0) return (int)n;
			l->at = 0;
			l->end = (u32)n;
			l->pos = pos;
			if (!n) pos = PINNED_FLAG;
			if (!n) break;
		}
		stop = emit_records(f, l, emit, ctx);
		if (stop) return stop;
		pos = l->pos;
	}
	return f->inode->pins ? dentry_list_children(f, pos & ~PINNED_FLAG, PINNED_FLAG, DENTRY_PINNED, emit, ctx) : 0;
}

static s64 host_dir_read(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return -EISDIR;
}

static s64 host_dir_seek(struct file *f, s64 offset, int whence)
{
	s64 r = whence > 1 ? -EINVAL : seek_to(f, offset, whence, 0);
	/* From the start: what is new must be seen. */
	if (!r && f->data) ((struct hdir *)f->data)->at = ((struct hdir *)f->data)->end = 0;
	return r;
}

int host_syncfs(struct inode *i)
{
	char uri[PICO_URI_MAX];
	struct hhandle *open = handle_find(i, 0);
	pico_handle stream;
	s64 r;

	if (open) {
		r = settled(Dk(StreamFlush)(open->stream, PICO_FLUSH_FILESYSTEM));
		handle_put(open);
		return (int)MIN(0, r);
	}
	int n = host_uri_of(i, S_ISDIR(i->mode) ? "dir:" : "file:", uri);
	if (n < 0) return n == -ENOENT ? 0 : n;
	stream = stream_open(uri, (u64)n, PICO_ACCESS_READ, 0, 0, NULL);
	if (stream < 0) return (int)stream;
	r = settled(Dk(StreamFlush)(stream, PICO_FLUSH_FILESYSTEM));
	Dk(ObjectClose)(stream);
	return (int)MIN(0, r);
}

static int host_dir_fsync(struct file *f, bool data_only)
{
	(void)data_only;
	int err = dir_stream(f);
	if (err) return err == -ENOENT ? 0 : err;
	return (int)MIN(0, settled(Dk(StreamFlush)(f->stream, 0)));
}

static void host_dir_release(struct file *f)
{
	if (f->stream) Dk(ObjectClose)(f->stream);
	kfree(f->data);
}

static const struct file_ops host_dir_ops = {
	.read = host_dir_read, .seek = host_dir_seek, .readdir = host_readdir, .fsync = host_dir_fsync,
	.release = host_dir_release, .seekable = true,
};
