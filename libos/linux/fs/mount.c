/* SPDX-License-Identifier: Apache-2.0
 *
 * Mounts: a tree of file systems hung on dentries. The vfs owns one reference
 * on each mount that is attached; open files and working directories own more.
 * All links are under the dentry lock.
 */
#include "internal.h"
#include <asm/poll.h>

#define MNT_CHANGEABLE (MNT_RDONLY | MNT_NOSUID | MNT_NODEV | MNT_NOEXEC | MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME | MNT_STRICTATIME | MNT_NOSYMFOLLOW)

u64 vfs_new_dev(void)
{
	u32 minor = __atomic_add_fetch(&vfs()->next_dev, 1, __ATOMIC_RELAXED);
	return (minor & 0xff) | ((u64)(minor & ~0xffu) << 12);
}

struct mount *mount_alloc(struct dentry *root, const char *type, const char *source, u32 flags)
{
	struct mount *m = kzalloc(sizeof(*m));

	if (!m) goto fail;
	m->type = kstrdup(type);
	m->source = kstrdup(source);
	if (!m->type || !m->source) goto fail;
	ref_init(&m->ref);
	list_init(&m->node);
	m->id = __atomic_add_fetch(&vfs()->next_mount_id, 1, __ATOMIC_RELAXED);
	m->flags = flags & MNT_CHANGEABLE;
	m->root = root;
	if (root->inode->ops->mounted) root->inode->ops->mounted(root, 1);
	return m;
fail:
	if (m) {
		kfree(m->type);
		kfree(m->source);
		kfree(m);
	}
	dentry_put(root);
	return NULL;
}

bool path_nosuid(const struct path *p) { return p->mnt && p->mnt->flags & MNT_NOSUID; }
bool path_noexec(const struct path *p) { return p->mnt && p->mnt->flags & MNT_NOEXEC; }

void mount_get(struct mount *m) { ref_get(&m->ref); }

static void mount_leave(struct mount *m)
{
	if (!ref_put(&m->ref)) return;
	if (m->root->inode->ops->mounted) m->root->inode->ops->mounted(m->root, -1);
	dentry_put(m->root);
	kfree(m->type);
	kfree(m->source);
	kfree(m->options);
	kfree(m);
}

void mount_put(struct mount *m)
{
	if (!m) return;
	if (unlikely(m->expiring)) m->expiring = false;
	mount_leave(m);
}

struct mount *mount_at(const struct mount *parent, const struct dentry *d)
{
	for (struct mount *m = d->mounted; m; m = m->next_here)
		if (m->parent == parent) return m;
	return NULL;
}

static void mounts_tell(void)
{
	__atomic_fetch_add(&vfs()->mounts_changed, 1, __ATOMIC_SEQ_CST);
	wake_up(&vfs()->mounts_wait, 0);
}

u32 mounts_poll(struct poll_table *t, u64 *seen)
{
	u64 now, old = *seen;

	if (t) t->add(t, &vfs()->mounts_wait);
	*seen = now = __atomic_load_n(&vfs()->mounts_changed, __ATOMIC_SEQ_CST);
	return now == old ? POLLIN | POLLRDNORM : POLLIN | POLLRDNORM | POLLERR | POLLPRI;
}

int mount_attach(struct mount *m, const struct path *at)
{
	struct vfs *v = vfs();

	if (!S_ISDIR(m->root->inode->mode) != !S_ISDIR(at->dentry->inode->mode)) {
		mount_put(m);
		return -ENOTDIR;
	}
	if (at->dentry->inode->dev == PROCFS_DEV && S_ISLNK(at->dentry->inode->mode)) { /* what hides a magic link cheats who trusts it */
		mount_put(m);
		return -ENOENT;
	}
	lock(&v->lock);
	if (at->dentry->flags & DENTRY_DEAD) {
		unlock(&v->lock);
		mount_put(m);
		return -ENOENT;
	}
	struct mount *parent = at->mnt;
	struct dentry *d = at->dentry;
	for (struct mount *top; (top = mount_at(parent, d)); d = top->root) parent = top;
	ref_get(&parent->ref);
	ref_get(&d->ref);
	m->parent = parent;
	m->mountpoint = d;
	m->next_here = d->mounted;
	d->mounted = m;
	parent->children++;
	for (struct dentry *up = d; up; up = up->parent) up->flags |= DENTRY_KEEP;
	list_add_tail(&v->mounts, &m->node);
	unlock(&v->lock);
	mounts_tell();
	return 0;
}

int mount_tree(const char *type, const char *source, struct inode *root, u32 flags, const char *options, const struct path *at)
{
	struct dentry *d = dentry_alloc_root(root);
	struct mount *m = d ? mount_alloc(d, type, source, flags) : NULL;

	if (!m) return -ENOMEM;
	if (options && *options) m->options = kstrdup(options);
	return mount_attach(m, at);
}

/* Off the tree; dentry lock held. The references of the tree go to *dead. */
static void unhook(struct mount *m, struct list *dead)
{
	struct mount **link = (struct mount **)&m->mountpoint->mounted;

	while (*link != m) link = &(*link)->next_here;
	*link = m->next_here;
	m->parent->children--;
	list_del(&m->node);
	list_add_tail(dead, &m->node);
}

static void release_dead(struct list *dead)
{
	while (!list_empty(dead)) {
		struct mount *m = list_entry(dead->next, struct mount, node);
		list_del(&m->node);
		struct mount *parent = m->parent;
		struct dentry *mountpoint = m->mountpoint;
		m->parent = NULL;
		m->mountpoint = NULL;
		mount_put(parent);
		dentry_put(mountpoint);
		mount_put(m);
	}
}

static bool mount_is_below(const struct mount *m, const struct mount *ancestor)
{
	for (; m; m = m->parent)
		if (m == ancestor) return true;
	return false;
}

int mount_detach(const struct path *at, bool lazy)
{
	struct vfs *v = vfs();
	struct mount *m = at->mnt;
	struct list dead;
	int err = 0;

	if (at->dentry != m->root) return -EINVAL;
	list_init(&dead);
	lock(&v->lock);
	if (!m->parent) {
		err = m == v->root ? -EBUSY : -EINVAL;
	} else if (!lazy && (m->children || m->ref.count > 2)) { /* the tree's and the caller's */
		err = -EBUSY;
	} else {
		/* Children come after their parents in the list: from the end. */
		for (struct list *p = v->mounts.prev, *prev = p->prev; p != &v->mounts; p = prev, prev = p->prev) {
			struct mount *c = list_entry(p, struct mount, node);
			if (mount_is_below(c, m)) unhook(c, &dead);
		}
	}
	unlock(&v->lock);
	release_dead(&dead);
	if (!err) mounts_tell();
	return err;
}

/* Goes when it was marked before and nobody has been here since; takes over `at`. */
int mount_expire(struct path *at)
{
	struct mount *m = at->mnt;
	int err = m->expiring ? mount_detach(at, false) : m->children || m->ref.count > 2 ? -EBUSY : -EAGAIN;

	m->expiring = err == -EAGAIN;
	dentry_put(at->dentry);
	mount_leave(m);
	return err;
}

/* What hangs below a mount that hangs nowhere goes. */
void mount_dissolve(struct mount *m)
{
	struct vfs *v = vfs();
	struct list dead;

	list_init(&dead);
	lock(&v->lock);
	if (!m->parent && m != v->root)
		for (struct list *p = v->mounts.prev, *prev = p->prev; p != &v->mounts; p = prev, prev = p->prev) {
			struct mount *c = list_entry(p, struct mount, node);
			if (mount_is_below(c, m)) unhook(c, &dead);
		}
	unlock(&v->lock);
	release_dead(&dead);
}

static struct mount *mount_clone(const struct mount *m, struct dentry *root)
{
	struct mount *copy = mount_alloc(dentry_get(root), m->type, m->source, m->flags);

	if (copy && m->options) copy->options = kstrdup(m->options);
	return copy;
}

/* Copies what is mounted below from (MS_REC), parents first. */
static int bind_children(const struct path *from, struct mount *copy, u32 before_id)
{
	for (;;) {
		struct mount *child = NULL;
		u32 after = copy->children; /* how many were done: they keep the order of the list */
		lock(&vfs()->lock);
		list_for_each(p, &vfs()->mounts) {
			struct mount *m = list_entry(p, struct mount, node);
			if (m->id >= before_id) break;
			if (m->parent != from->mnt || !dentry_is_below(m->mountpoint, from->dentry)) continue;
			if (after-- == 0) {
				child = m;
				mount_get(m);
				break;
			}
		}
		unlock(&vfs()->lock);
		if (!child) return 0;
		struct mount *child_copy = mount_clone(child, child->root);
		int err = -ENOMEM;
		if (child_copy) {
			struct path at = { copy, child->mountpoint }, below = { child, child->root };
			err = mount_attach(child_copy, &at);
			if (!err) err = bind_children(&below, child_copy, before_id);
		}
		mount_put(child);
		if (err) return err;
	}
}

struct mount *mount_copy(const struct path *from, bool recursive)
{
	struct mount *m = mount_clone(from->mnt, from->dentry);

	if (m && recursive) bind_children(from, m, m->id);
	return m;
}

int mount_bind(const struct path *from, const struct path *at, u32 flags)
{
	struct mount *m = mount_clone(from->mnt, from->dentry);
	u32 before_id = m ? m->id : 0;
	int err;

	if (!m) return -ENOMEM;
	mount_get(m);
	err = mount_attach(m, at);
	if (!err && flags & 0x4000u /* MS_REC */) err = bind_children(from, m, before_id);
	mount_put(m);
	return err;
}

int mount_move(const struct path *from, const struct path *at)
{
	struct vfs *v = vfs();
	struct mount *m = from->mnt;
	struct list dead;

	if (from->dentry != m->root) return -EINVAL;
	if (!S_ISDIR(m->root->inode->mode) != !S_ISDIR(at->dentry->inode->mode)) return -ENOTDIR;
	list_init(&dead);
	lock(&v->lock);
	if (!m->parent || mount_is_below(at->mnt, m)) {
		int err = m->parent ? -ELOOP : -EINVAL;
		unlock(&v->lock);
		return err;
	}
	unhook(m, &dead);
	struct mount *old_parent = m->parent;
	struct dentry *old_point = m->mountpoint;
	ref_get(&at->mnt->ref);
	ref_get(&at->dentry->ref);
	m->parent = at->mnt;
	m->mountpoint = at->dentry;
	m->next_here = at->dentry->mounted;
	at->dentry->mounted = m;
	at->mnt->children++;
	list_del(&m->node);
	list_add_tail(&v->mounts, &m->node);
	for (struct dentry *up = at->dentry; up; up = up->parent) up->flags |= DENTRY_KEEP;
	unlock(&v->lock);
	mount_put(old_parent);
	dentry_put(old_point);
	mounts_tell();
	return 0;
}

bool mount_of_dev(u64 dev, struct path *root)
{
	bool found = false;

	lock(&vfs()->lock);
	list_for_each(p, &vfs()->mounts) {
		struct mount *m = list_entry(p, struct mount, node);
		if (m->root->inode->dev != dev) continue;
		*root = (struct path){ m, m->root };
		path_get(root);
		found = true;
		break;
	}
	unlock(&vfs()->lock);
	return found;
}

/* sync(2). Mounts are taken one by one: syncing may last. */
void mount_sync_all(void)
{
	u32 id = 0;

	for (;;) {
		struct mount *next = NULL;
		lock(&vfs()->lock);
		list_for_each(p, &vfs()->mounts) {
			struct mount *m = list_entry(p, struct mount, node);
			if (m->id > id && !(m->flags & MNT_RDONLY) && m->root->inode->ops->syncfs && (!next || m->id < next->id)) next = m;
		}
		if (next) mount_get(next);
		unlock(&vfs()->lock);
		if (!next) return;
		id = next->id;
		next->root->inode->ops->syncfs(next->root->inode);
		mount_put(next);
	}
}

int mount_change(const struct path *at, u32 flags, u32 mask)
{
	if (at->dentry != at->mnt->root) return -EINVAL;
	lock(&vfs()->lock);
	at->mnt->flags = (at->mnt->flags & ~(mask & MNT_CHANGEABLE)) | (flags & mask & MNT_CHANGEABLE);
	unlock(&vfs()->lock);
	mounts_tell();
	return 0;
}

int mount_change_tree(const struct path *at, u32 flags, u32 mask, bool recursive)
{
	int err = mount_change(at, flags, mask);

	if (err || !recursive) return err;
	lock(&vfs()->lock);
	list_for_each(p, &vfs()->mounts) {
		struct mount *m = list_entry(p, struct mount, node);
		if (m != at->mnt && mount_is_below(m, at->mnt))
			m->flags = (m->flags & ~(mask & MNT_CHANGEABLE)) | (flags & mask & MNT_CHANGEABLE);
	}
	unlock(&vfs()->lock);
	return 0;
}

static int append(char *buf, size_t size, int at, const char *text)
{
	return at < (int)size ? at + snprintf(buf + at, size - (size_t)at, "%s", text) : at;
}

/* Blanks and such in names would end a column: they stand as octal numbers. */
static int append_escaped(char *buf, size_t size, int at, const char *s)
{
	for (; *s && at + 5 < (int)size; s++) {
		if (strchr(" \t\n\\", *s)) at += snprintf(buf + at, size - (size_t)at, "\\%03o", (u8)*s);
		else buf[at++] = *s;
	}
	if (at < (int)size) buf[at] = 0;
	return at;
}

static int append_flags(char *buf, size_t size, int at, u32 flags)
{
	static const struct { u32 bit; const char *text; } names[] = {
		{ MNT_NOSUID, ",nosuid" }, { MNT_NODEV, ",nodev" }, { MNT_NOEXEC, ",noexec" },
		{ MNT_NOATIME, ",noatime" }, { MNT_NODIRATIME, ",nodiratime" }, { MNT_NOSYMFOLLOW, ",nosymfollow" },
	};
	at = append(buf, size, at, flags & MNT_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].bit) at = append(buf, size, at, names[i].text);
	if (!(flags & (MNT_NOATIME | MNT_STRICTATIME))) at = append(buf, size, at, ",relatime");
	return at;
}

int vfs_mount_line(u32 index, bool mountinfo, char *buf, size_t size)
{
	struct mount *m = NULL;
	char *name;
	int n = 0;

	lock(&vfs()->lock);
	list_for_each(p, &vfs()->mounts)
		if (index-- == 0) {
			m = list_entry(p, struct mount, node);
			mount_get(m);
			break;
		}
	unlock(&vfs()->lock);
	if (!m) return 0;
	name = kmalloc(PATH_MAX);
	struct path p = { m, m->root };
	if (!name || path_name(&p, name, PATH_MAX) < 0) goto out;
	u64 dev = m->root->inode->dev;
	const char *extra = m->options ? m->options : "";
	if (mountinfo) {
		u32 parent = m->parent ? m->parent->id : 1;
		n = snprintf(buf, size, "%u %u %u:%u / ", m->id, parent, (u32)(dev >> 8) & 0xfff, (u32)(dev & 0xff) | ((u32)(dev >> 12) & ~0xffu));
		n = append_escaped(buf, size, n, name);
		n = append(buf, size, n, " ");
		n = append_flags(buf, size, n, m->flags);
		n = append(buf, size, n, " - ");
		n = append(buf, size, n, m->type);
		n = append(buf, size, n, " ");
		n = append_escaped(buf, size, n, m->source);
		n = append(buf, size, n, m->flags & MNT_RDONLY ? " ro" : " rw");
		if (*extra) n = append(buf, size, append(buf, size, n, ","), extra);
		n = append(buf, size, n, "\n");
	} else {
		n = append_escaped(buf, size, 0, m->source);
		n = append(buf, size, n, " ");
		n = append_escaped(buf, size, n, name);
		n = append(buf, size, n, " ");
		n = append(buf, size, n, m->type);
		n = append(buf, size, n, " ");
		n = append_flags(buf, size, n, m->flags);
		if (*extra) n = append(buf, size, append(buf, size, n, ","), extra);
		n = append(buf, size, n, " 0 0\n");
	}
	if (n > (int)size - 1) n = (int)size - 1;
out:
	kfree(name);
	mount_put(m);
	return n;
}
