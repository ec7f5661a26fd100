/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame of memory-generated trees: inodes made at lookup, text made at the
 * first read, listings from tables and call-backs.
 */
#include "pseudo.h"

/* ---- text ---- */

static bool seq_room(struct seq *s, size_t more)
{
	size_t room = s->room ? s->room : 1024;
	char *buf;

	if (s->error)
		return false;
	if (s->size + more <= s->room)
		return true;
	while (room < s->size + more)
		room *= 2;
	buf = krealloc(s->buf, room);
	if (!buf) {
		s->error = -ENOMEM;
		return false;
	}
	s->buf = buf;
	s->room = room;
	return true;
}

void seq_put(struct seq *s, const void *data, size_t size)
{
	if (!seq_room(s, size))
		return;
	memcpy(s->buf + s->size, data, size);
	s->size += size;
}

void seq_puts(struct seq *s, const char *text) { seq_put(s, text, strlen(text)); }

void seq_printf(struct seq *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!seq_room(s, 256))
		return;
	va_start(ap, fmt);
	n = vsnprintf(s->buf + s->size, s->room - s->size, fmt, ap);
	va_end(ap);
	if ((size_t)n >= s->room - s->size) {
		if (!seq_room(s, (size_t)n + 1))
			return;
		va_start(ap, fmt);
		vsnprintf(s->buf + s->size, s->room - s->size, fmt, ap);
		va_end(ap);
	}
	s->size += (size_t)n;
}

void seq_escape(struct seq *s, const char *text, const char *special)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			seq_printf(s, "\\%03o", (u8)*text);
		else
			seq_put(s, text, 1);
	}
}

int pseudo_text(struct pseudo *p, struct seq *s)
{
	seq_puts(s, (const char *)p->arg);
	return 0;
}

int pseudo_number(const char *t, u64 *value)
{
	bool negative = false;
	unsigned base = 10;
	u64 v = 0;

	while (*t == ' ' || *t == '\t')
		t++;
	if (*t == '-' || *t == '+')
		negative = *t++ == '-';
	if (t[0] == '0' && (t[1] | 32) == 'x') {
		base = 16;
		t += 2;
	}
	if (!*t || *t == '\n')
		return -EINVAL;
	for (; *t && *t != '\n' && *t != ' '; t++) {
		unsigned digit = *t >= '0' && *t <= '9' ? (unsigned)(*t - '0') : (*t | 32) >= 'a' && (*t | 32) <= 'f' ?
			(unsigned)((*t | 32) - 'a' + 10) : 99;

		if (digit >= base)
			return -EINVAL;
		v = v * base + digit;
	}
	while (*t == ' ' || *t == '\n')
		t++;
	if (*t)
		return -EINVAL;
	*value = negative ? -v : v;
	return 0;
}

/* ---- files ---- */

struct text_file { struct lock lock; bool made; struct seq seq; u64 seen; };

/* Without the lock: it may wait for another task, and that one for the lock. */
static int make_text(struct file *f, struct text_file *t)
{
	struct pseudo *p = pseudo_of(f->inode);
	struct seq new = { 0 }, old;
	int err = p->entry->show(p, &new);

	err = err ? err : new.error;
	if (err) {
		kfree(new.buf);
		return err;
	}
	lock(&t->lock);
	old = t->seq;
	t->seq = new;
	t->made = true;
	unlock(&t->lock);
	kfree(old.buf);
	return 0;
}

static s64 text_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct text_file *t = f->data;
	s64 n = 0;

	if (!pseudo_of(f->inode)->entry->show)
		return -EINVAL;
	if ((!t->made || !pos) && (n = make_text(f, t)))
		return n;
	lock(&t->lock);
	if (pos < t->seq.size) {
		size_t part = MIN(b->size, (size_t)(t->seq.size - pos));

		n = iobuf_copy_to(b, 0, t->seq.buf + pos, part) ? -EFAULT : (s64)part;
	}
	unlock(&t->lock);
	return n;
}

static s64 text_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pseudo *p = pseudo_of(f->inode);
	size_t size = MIN(b->size, 4095ul);
	char *text;
	int err;

	(void)pos;
	if (!p->entry->store)
		return -EIO;
	text = kmalloc(size + 1);
	if (!text)
		return -ENOMEM;
	err = iobuf_copy_from(b, 0, text, size);
	text[size] = 0;
	if (!err)
		err = p->entry->store(p, text, size);
	kfree(text);
	return err ? err : (s64)b->size;
}

static s64 text_seek(struct file *f, s64 offset, int whence)
{
	/* The size is not known before it is read. */
	return whence > 1 ? -EINVAL : seek_to(f, offset, whence, 0);
}

static void text_release(struct file *f)
{
	struct text_file *t = f->data;

	kfree(t->seq.buf);
	kfree(t);
}

static const struct file_ops text_ops = {
	.read = text_read, .write = text_write, .seek = text_seek, .release = text_release, .seekable = true,
	.waits = true,
};

static u32 text_poll(struct file *f, struct poll_table *t)
{
	struct text_file *text = f->data;

	return pseudo_of(f->inode)->entry->poll(t, &text->seen);
}

static const struct file_ops polled_text_ops = {
	.read = text_read, .write = text_write, .seek = text_seek, .release = text_release, .seekable = true, .poll = text_poll,
};

/* ---- directories ---- */

static u64 ino_of(const struct pseudo *p)
{
	struct { const void *e; u64 ids, arg; } key = { p->entry, (u64)p->pid << 32 | p->tid, p->arg };

	return (hash_bytes(&key, sizeof(key)) & 0x7fffffff) | 0x10000;
}

/* Positions: 0 and 1 the dots, then the table, then (from `dynamic` on) the call-back's. */
#define DYNAMIC 0x1000u

static int dir_readdir(struct file *f, u64 pos, dir_emit_fn emit, void *ctx)
{
	struct pseudo *dir = pseudo_of(f->inode), child;
	const struct pseudo_entry *e = dir->entry->children;
	u64 count = 0;
	int stop;

	stop = emit_dots(f, &pos, emit, ctx);
	if (stop)
		return stop;
	for (; e && e->name; e++, count++) {
		if (pos > 2 + count)
			continue;
		child = *dir;
		child.entry = e;
		stop = emit(ctx, e->name, strlen(e->name), ino_of(&child), (e->mode & S_IFMT) >> 12, 3 + count);
		if (stop)
			return stop;
		pos = 3 + count;
	}
	if (!dir->entry->next)
		return 0;
	pos = pos < DYNAMIC ? 0 : pos - DYNAMIC;
	for (;;) {
		char name[64];

		child = *dir;
		if (!dir->entry->next(dir, &pos, name, &child))
			return 0;
		stop = emit(ctx, name, strlen(name), ino_of(&child), (child.entry->mode & S_IFMT) >> 12, DYNAMIC + pos);
		if (stop)
			return stop;
	}
}

static s64 dir_read(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return -EISDIR;
}

static const struct file_ops dir_ops = {
	.read = dir_read, .seek = text_seek, .readdir = dir_readdir, .seekable = true,
};

static int pseudo_find(struct inode *i, const char *name, size_t size, struct pseudo *child)
{
	struct pseudo *dir = pseudo_of(i);

	*child = *dir;
	for (const struct pseudo_entry *e = dir->entry->children; e && e->name; e++)
		if (strlen(e->name) == size && !memcmp(e->name, name, size)) {
			child->entry = e;
			if (e->arg)
				child->arg = e->arg;
			return 0;
		}
	return dir->entry->find ? dir->entry->find(dir, name, size, child) : -ENOENT;
}

static int pseudo_lookup(struct inode *dir, struct dentry *d)
{
	struct pseudo child;
	int err = pseudo_find(dir, d->name, d->name_size, &child);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (child.entry->inode) {
		d->inode = child.entry->inode(&child);
		return 0;
	}
	d->inode = pseudo_inode((u32)dir->dev, &child);
	return d->inode ? 0 : -ENOMEM;
}

/* ---- inodes ---- */

static int pseudo_open(struct inode *i, struct file *f)
{
	struct pseudo *p = pseudo_of(i);
	struct text_file *t;

	if (p->entry->may_open) {
		int err = p->entry->may_open(p, f);

		if (err)
			return err;
	}
	if (p->entry->open)
		return p->entry->open(p, f);
	if ((i->mode & S_IFMT) == S_IFDIR) {
		f->ops = &dir_ops;
		return 0;
	}
	if (f->mode_bits & FMODE_WRITE && !p->entry->store && i->dev == SYSFS_DEV)
		return -EACCES; /* proc opens for who may, and fails to write */
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	f->data = t;
	f->ops = p->entry->poll ? &polled_text_ops : &text_ops;
	if (p->entry->poll)
		p->entry->poll(NULL, &t->seen);
	return 0;
}

static int pseudo_getattr(struct inode *i, struct kstat *st)
{
	struct pseudo *p = pseudo_of(i);

	inode_getattr_plain(i, st);
	if (p->entry->owner)
		p->entry->owner(p, st);
	return 0;
}

/* The owner may have changed since the name was looked up. */
static int pseudo_permission(struct inode *i, u32 mask)
{
	struct pseudo *p = pseudo_of(i);
	struct kstat st = { 0 };

	if (p->entry->owner) {
		p->entry->owner(p, &st);
		i->uid = st.uid;
		i->gid = st.gid;
	}
	return p->entry->permission ? p->entry->permission(p, mask) : 1;
}

static int pseudo_setattr(struct inode *i, u32 valid, const struct kstat *st)
{
	/* Truncation happens to knobs opened with O_TRUNC and means nothing. */
	if (valid & ~(SETATTR_SIZE | SETATTR_MTIME | SETATTR_MTIME_NOW | SETATTR_ATIME | SETATTR_ATIME_NOW))
		return i->dev == DEVFS_DEV ? anon_setattr(i, valid, st) : -EPERM;
	return 0;
}

static int pseudo_readlink(struct inode *i, char *buf, size_t size)
{
	struct pseudo *p = pseudo_of(i);

	if (p->entry->target)
		return snprintf(buf, size, "%s", p->entry->target);
	return p->entry->readlink ? p->entry->readlink(p, buf, size) : -EINVAL;
}

static int pseudo_follow(struct inode *i, struct path *out, struct file **file)
{
	struct pseudo *p = pseudo_of(i);

	return p->entry->follow(p, out, file);
}

static int pseudo_revalidate(struct dentry *d, bool last)
{
	struct pseudo *p;

	(void)last;
	if (!d->inode)
		return 0;
	p = pseudo_of(d->inode);
	return !p->entry->gone || !p->entry->gone(p);
}

static int pseudo_statfs(struct inode *i, u64 out[15])
{
	static const u64 magic[] = { [PROCFS_DEV] = 0x9fa0, [DEVFS_DEV] = 0x01021994, [SYSFS_DEV] = 0x62656572 };

	memset(out, 0, 15 * sizeof(*out));
	out[0] = magic[i->dev];
	out[1] = PAGE_SIZE;
	out[8] = 255;
	out[9] = PAGE_SIZE;
	return 0;
}

static void pseudo_release(struct inode *i) { kfree(i->data); }

#define COMMON \
	.lookup = pseudo_lookup, .open = pseudo_open, .permission = pseudo_permission, .getattr = pseudo_getattr, .setattr = pseudo_setattr, \
	.statfs = pseudo_statfs, .release = pseudo_release
/* Names that stay; names that may be gone; links that lead to an object rather than to a name. */
static const struct inode_ops static_ops = { COMMON, .readlink = pseudo_readlink };
static const struct inode_ops dynamic_ops = { COMMON, .readlink = pseudo_readlink, .revalidate = pseudo_revalidate, .transient = true };
static const struct inode_ops magic_ops = { COMMON, .readlink = pseudo_readlink, .follow = pseudo_follow, .revalidate = pseudo_revalidate, .transient = true };

struct inode *pseudo_inode(u32 dev, const struct pseudo *child)
{
	const struct pseudo_entry *e = child->entry;
	const struct inode_ops *ops = e->follow ? &magic_ops : e->gone ? &dynamic_ops : &static_ops;
	struct inode *i = inode_alloc(ops, e->mode);
	struct pseudo *p = i ? kmalloc(sizeof(*p)) : NULL;

	if (!p) {
		if (i)
			inode_put(i);
		return NULL;
	}
	*p = *child;
	i->data = p;
	i->dev = dev;
	i->ino = ino_of(p);
	i->nlink = (e->mode & S_IFMT) == S_IFDIR ? 2 : 1;
	i->link = e->target;
	if ((e->mode & S_IFMT) == S_IFCHR || (e->mode & S_IFMT) == S_IFBLK)
		i->rdev = p->arg;
	i->atime = i->mtime = i->ctime = i->btime = timespec_now();
	if (e->owner) { /* permission checks look at the inode */
		struct kstat st = { .uid = i->uid, .gid = i->gid };

		e->owner(p, &st);
		i->uid = st.uid;
		i->gid = st.gid;
	}
	return i;
}

struct inode *pseudo_root(u32 dev, const struct pseudo_entry *e)
{
	struct pseudo p = { .entry = e };
	struct inode *i = pseudo_inode(dev, &p);

	if (i)
		i->ino = 1;
	return i;
}
