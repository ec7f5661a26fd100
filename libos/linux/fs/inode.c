/* SPDX-License-Identifier: Apache-2.0
 *
 * Inodes: life, permission, attributes and the checks before a change of them.
 * It must not know file systems: they answer through inode_ops.
 */
#include "internal.h"

struct inode *inode_alloc(const struct inode_ops *ops, u32 mode)
{
	struct inode *i = kzalloc(sizeof(*i));

	if (!i) return NULL;
	ref_init(&i->ref);
	list_init(&i->aliases);
	i->ops = ops;
	i->mode = mode;
	i->nlink = 1;
	i->blksize = PAGE_SIZE;
	i->ino = __atomic_add_fetch(&vfs()->next_ino, 1, __ATOMIC_RELAXED);
	i->atime = i->mtime = i->ctime = i->btime = timespec_now();
	return i;
}

struct inode *inode_get(struct inode *i)
{
	ref_get(&i->ref);
	return i;
}

void inode_put(struct inode *i)
{
	if (!i || !ref_put(&i->ref)) return;
	if (i->flocks) locks_inode_free(i);
	if (i->leases) lease_inode_free(i);
	if (i->fifo || i->watches || i->unix_socket || i->anon_name) inode_ipc_release(i);
	if (i->ops && i->ops->release) i->ops->release(i);
	if (i->xattrs) simple_xattr_free(i);
	kfree(i);
}

struct lx_timespec timespec_now(void)
{
	u64 t = now_real();
	return (struct lx_timespec){ (s64)(t / NSEC_PER_SEC), (s64)(t % NSEC_PER_SEC) };
}

const struct creds *creds_now(void)
{
	static const struct creds root = { .cap_effective = ~0ull };
	const struct task *t = current;
	return likely(t && t->process) ? &t->process->creds : &root;
}

static inline bool cred_capable(const struct creds *c, int cap) { return c->cap_effective >> cap & 1; }

static bool creds_in_group(const struct creds *c, u32 gid)
{
	if (c->fsgid == gid) return true;
	for (u32 i = 0; i < c->group_count; i++)
		if (c->groups[i] == gid) return true;
	return false;
}

bool in_group(u32 gid)
{
	return creds_in_group(creds_now(), gid);
}

int inode_permission(struct inode *i, u32 mask)
{
	return inode_permission_as(i, mask, creds_now());
}

int inode_permission_as(struct inode *i, u32 mask, const struct creds *c)
{
	if (unlikely(i->attributes & ATTR_IMMUTABLE) && mask & 2) return -EPERM;
	if (unlikely(i->ops && i->ops->permission)) {
		int answer = i->ops->permission(i, mask);
		if (answer <= 0) return answer;
	}
	u32 mode = i->mode;
	if (c->fsuid == i->uid) mode >>= 6;
	else if (((mode >> 3) ^ mode) & 7 && creds_in_group(c, i->gid)) mode >>= 3;
	if (!(mask & ~mode & 7)) return 0;
	if (S_ISDIR(i->mode)) {
		if (!(mask & 2) && cred_capable(c, CAP_DAC_READ_SEARCH)) return 0;
		if (cred_capable(c, CAP_DAC_OVERRIDE)) return 0;
		return -EACCES;
	}
	if (mask == 4 && cred_capable(c, CAP_DAC_READ_SEARCH)) return 0;
	/* Even root executes only what somebody may execute. */
	if ((!(mask & 1) || i->mode & 0111) && cred_capable(c, CAP_DAC_OVERRIDE)) return 0;
	return -EACCES;
}

/* A file that its maker cannot give to the group of the directory does not get that group's rights either. */
u32 mode_without_sgid(const struct inode *dir, u32 mode)
{
	const struct creds *c = creds_now();

	if ((mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP) || !(dir->mode & S_ISGID)) return mode;
	return creds_in_group(c, dir->gid) || cred_capable(c, CAP_FSETID) ? mode : mode & ~(u32)S_ISGID;
}

bool owner_or_capable(struct inode *i)
{
	const struct creds *c = creds_now();
	return c->fsuid == i->uid || cred_capable(c, CAP_FOWNER);
}

int mount_want_write(const struct mount *m)
{
	return m && m->flags & MNT_RDONLY ? -EROFS : 0;
}

void generic_getattr(struct inode *i, struct kstat *st)
{
	*st = (struct kstat){
		.dev = i->dev, .ino = i->ino, .nlink = i->nlink, .mode = i->mode, .uid = i->uid, .gid = i->gid,
		.rdev = i->rdev, .size = i->size, .blocks = i->blocks, .blksize = i->blksize ? i->blksize : (u32)PAGE_SIZE,
		.atime = i->atime, .mtime = i->mtime, .ctime = i->ctime, .btime = i->btime,
	};
}

int vfs_getattr(struct inode *i, struct kstat *st)
{
	if (!i->ops || !i->ops->getattr) {
		generic_getattr(i, st);
		return 0;
	}
	memset(st, 0, sizeof(*st));
	return i->ops->getattr(i, st);
}

int file_getattr(struct file *f, struct kstat *st)
{
	if (f->inode) return vfs_getattr(f->inode, st);
	*st = (struct kstat){ .dev = ANON_DEV, .ino = 1, .nlink = 1, .mode = 0600, .blksize = PAGE_SIZE };
	st->atime = st->mtime = st->ctime = timespec_now();
	return 0;
}

void generic_setattr(struct inode *i, u32 valid, const struct kstat *st)
{
	struct lx_timespec now = timespec_now();

	if (valid & SETATTR_UID) i->uid = st->uid;
	if (valid & SETATTR_GID) i->gid = st->gid;
	if (valid & SETATTR_MODE) i->mode = (i->mode & S_IFMT) | (st->mode & 07777);
	if (valid & SETATTR_ATIME) i->atime = valid & SETATTR_ATIME_NOW ? now : st->atime;
	if (valid & SETATTR_MTIME) i->mtime = valid & SETATTR_MTIME_NOW ? now : st->mtime;
	i->ctime = now;
}

static int setattr_allowed(struct inode *i, u32 valid, struct kstat *st)
{
	const struct creds *c = creds_now();

	if (valid & SETATTR_UID && (c->fsuid != i->uid || st->uid != i->uid) && !capable(CAP_CHOWN)) return -EPERM;
	if (valid & SETATTR_GID && (c->fsuid != i->uid || (!in_group(st->gid) && st->gid != i->gid)) && !capable(CAP_CHOWN))
		return -EPERM;
	if (valid & SETATTR_MODE) {
		if (!owner_or_capable(i)) return -EPERM;
		if (!in_group(i->gid) && !capable(CAP_FSETID)) st->mode &= ~(u32)S_ISGID;
	}
	if (valid & (SETATTR_ATIME | SETATTR_MTIME)) {
		bool now = !(valid & SETATTR_ATIME && !(valid & SETATTR_ATIME_NOW)) && !(valid & SETATTR_MTIME && !(valid & SETATTR_MTIME_NOW));
		now = now && valid & SETATTR_ATIME && valid & SETATTR_MTIME;
		if (!owner_or_capable(i)) {
			if (!now) return -EPERM;
			int err = inode_permission(i, 2);
			if (err) return err;
		}
	}
	return 0;
}

int vfs_setattr(const struct path *p, u32 valid, struct kstat *st)
{
	struct inode *i = p->dentry->inode;
	int err = mount_want_write(p->mnt);

	if (err) return err;
	const u32 both = SETATTR_ATIME | SETATTR_ATIME_NOW | SETATTR_MTIME | SETATTR_MTIME_NOW;
	bool chosen = valid & (SETATTR_ATIME | SETATTR_MTIME) && (valid & both) != both; /* more than a touch */
	if (i->attributes & ATTR_IMMUTABLE) return -EPERM;
	if (i->attributes & ATTR_APPEND && (chosen || valid & (SETATTR_MODE | SETATTR_UID | SETATTR_GID))) return -EPERM;
	if (valid & SETATTR_CHOWN && !S_ISDIR(i->mode)) { /* also one that changes nothing */
		u32 mode = i->mode & ~(u32)S_ISUID;
		if (mode & S_IXGRP) mode &= ~(u32)S_ISGID;
		if (mode != i->mode) {
			valid |= SETATTR_MODE;
			st->mode = mode & 07777;
		}
	}
	valid &= ~SETATTR_CHOWN;
	if ((err = setattr_allowed(i, valid, st))) return err;
	if (!i->ops || !i->ops->setattr) return -EPERM;
	lock(&i->lock);
	err = i->ops->setattr(i, valid, st);
	unlock(&i->lock);
	if (!err) notify_dentry(p->dentry, IN_ATTRIB);
	return err;
}

/* f: opened for writing, or NULL after the permission was checked by path. */
int vfs_truncate(const struct path *p, struct file *f, u64 size)
{
	struct inode *i = f ? f->inode : p->dentry->inode;
	struct kstat st = { .size = size };
	u32 valid = SETATTR_SIZE;
	int err;

	if (!i->ops || !i->ops->setattr) return -EINVAL;
	if (i->attributes & ATTR_APPEND) return -EPERM;
	if (i->mode & (S_ISUID | S_ISGID) && !capable(CAP_FSETID)) {
		u32 mode = i->mode & ~(u32)S_ISUID;
		if (mode & S_IXGRP) mode &= ~(u32)S_ISGID;
		if (mode != i->mode) {
			valid |= SETATTR_MODE;
			st.mode = mode & 07777;
		}
	}
	lock(&i->lock);
	err = i->ops->setattr(i, valid, &st);
	unlock(&i->lock);
	if (!err && p->dentry) notify_dentry(p->dentry, IN_MODIFY);
	return err;
}

int remove_privileges(struct file *f)
{
	struct inode *i = f->inode;
	struct kstat st = { 0 };

	if (likely(!(i->mode & (S_ISUID | S_ISGID))) || capable(CAP_FSETID)) return 0;
	st.mode = i->mode & ~(u32)S_ISUID;
	if (st.mode & S_IXGRP) st.mode &= ~(u32)S_ISGID;
	if (st.mode == i->mode || !i->ops->setattr) return 0;
	st.mode &= 07777;
	lock(&i->lock);
	int err = i->ops->setattr(i, SETATTR_MODE, &st);
	unlock(&i->lock);
	return err;
}

static bool earlier(const struct lx_timespec *a, const struct lx_timespec *b)
{
	return a->sec < b->sec || (a->sec == b->sec && a->nsec <= b->nsec);
}

/* relatime, as mounts have by default: often enough for who asks "read since
 * it was written?", seldom enough not to cost. */
void touch_atime(struct file *f)
{
	struct inode *i = f->inode;
	u32 flags = f->path.mnt ? f->path.mnt->flags : 0;

	if (f->flags & O_NOATIME || i->attributes & ATTR_NOATIME || flags & (MNT_NOATIME | MNT_RDONLY)) return;
	if (flags & MNT_NODIRATIME && S_ISDIR(i->mode)) return;
	struct lx_timespec now = timespec_now();
	if (!(flags & MNT_STRICTATIME) && !earlier(&i->atime, &i->mtime) && !earlier(&i->atime, &i->ctime) &&
	    now.sec - i->atime.sec < 24 * 3600)
		return;
	i->atime = now;
}

void touch_mtime(struct inode *i)
{
	i->mtime = i->ctime = timespec_now();
}

/* The parent is taken under the lock: a rename may be on its way. */
void notify_dentry(struct dentry *d, u32 mask)
{
	struct dentry *parent = NULL;
	char name[NAME_MAX + 1];

	if (likely(!vfs()->watched) || !d || !d->inode) return;
	if (S_ISDIR(d->inode->mode)) mask |= IN_ISDIR;
	lock(&vfs()->lock);
	if (d->flags & DENTRY_DEAD) mask |= IN_EXCL_UNLINK;
	if (d->parent && d->parent->inode && d->parent->inode->watches && !(d->flags & DENTRY_NAMELESS)) {
		parent = dentry_get(d->parent);
		memcpy(name, d->name, d->name_size + 1u);
	}
	unlock(&vfs()->lock);
	if (parent || d->inode->watches) fsnotify(parent ? parent->inode : NULL, parent ? name : NULL, d->inode, mask, 0);
	if (parent) dentry_put(parent);
}

void notify_file(struct file *f, u32 mask)
{
	if (likely(!vfs()->watched) || !f->path.dentry || f->mode_bits & FMODE_PATH) return;
	notify_dentry(f->path.dentry, mask);
}
