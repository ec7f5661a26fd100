/* SPDX-License-Identifier: Apache-2.0
 *
 * POSIX message queues as a file system: a directory of names, which need not be
 * mounted to be used. Entries are tmpfs's, inodes are ours. Here are names,
 * limits, attributes and who is to be notified; messages are in mqueue_io.c.
 */
#include <asm/siginfo.h>
#include <linux/capability.h>
#include <linux/magic.h>

#include "linux/fs/internal.h"
#include "linux/lx/proc.h"
#include "mqueue.h"
#include "socket.h"

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif
#define RLIMIT_MSGQUEUE_ 12
#define SHOWN_SIZE 80u /* st_size of any queue */
/* Linux charges for its own structures too: a header a message, a tree node a priority. */
#define HEADER_CHARGE 48u
#define NODE_CHARGE 48u

static const struct inode_ops queue_inode_ops, dir_inode_ops;

/* ---- queues ---- */

static int check_limits(s64 count, s64 size)
{
	const bool free = capable(CAP_SYS_RESOURCE);

	if (count <= 0 || size <= 0)
		return -EINVAL;
	if (count > (free ? MQ_HARD_MESSAGES : IPC->mq_msg_max) || size > (free ? MQ_HARD_SIZE : IPC->mq_msgsize_max))
		return -EINVAL;
	return 0;
}

static int charge(struct mq *q)
{
	u64 bytes = (u64)q->max_count * (u64)(q->max_size + HEADER_CHARGE) + MIN((u64)q->max_count, MQ_PRIORITIES) * NODE_CHARGE;
	struct user *u = user_get(current->process->creds.uid);
	int err = -EMFILE;

	if (!u)
		return -ENOMEM;
	lock(&K->user_lock);
	if (u->mq_bytes + bytes <= rlimit_get(RLIMIT_MSGQUEUE_)) {
		u->mq_bytes += bytes;
		err = 0;
	}
	unlock(&K->user_lock);
	if (err) {
		user_put(u);
		return err;
	}
	q->user = u;
	q->charged = bytes;
	return 0;
}

static void uncharge(struct mq *q)
{
	lock(&K->user_lock);
	q->user->mq_bytes -= q->charged;
	unlock(&K->user_lock);
	user_put(q->user);
}

static int queue_create(const struct mq_attr *attr, struct mq **out)
{
	s64 count = MIN(IPC->mq_msg_max, IPC->mq_msg_default), size = MIN(IPC->mq_msgsize_max, IPC->mq_msgsize_default);
	struct mq *q;

	if (attr) {
		count = attr->mq_maxmsg;
		size = attr->mq_msgsize;
	}
	int err = check_limits(count, size);
	if (err)
		return err;
	q = kzalloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->max_count = count;
	q->max_size = size;
	list_init(&q->senders);
	list_init(&q->receivers);
	wait_queue_init(&q->wait);
	err = charge(q);
	if (err)
		kfree(q);
	else
		*out = q;
	return err;
}

static void queue_release(struct inode *i)
{
	struct mq *q = i->data;

	mq_free_messages(q);
	struct file *f = mq_forget_notify(q, NOTIFY_REMOVED);
	if (f)
		file_put(f);
	uncharge(q);
	kfree(q);
	__atomic_fetch_sub(&IPC->mq_queues, 1, __ATOMIC_RELAXED);
}

struct file *mq_forget_notify(struct mq *q, u8 why)
{
	struct file *f = q->notify_socket;

	if (f) {
		q->notify_cookie[NOTIFY_COOKIE_LEN - 1] = why;
		netlink_send(f, q->notify_cookie, NOTIFY_COOKIE_LEN);
	}
	process_put(q->notify_process);
	q->notify_process = NULL;
	q->notify_socket = NULL;
	return f;
}

/* ---- the directory; dir is locked ---- */

static int add_inode(struct inode *dir, struct dentry *d, u32 mode, struct mq *q)
{
	struct inode *i = inode_alloc(&queue_inode_ops, S_IFREG | (mode & 07777));

	if (!i)
		return -ENOMEM;
	i->data = q;
	i->fs = dir->fs;
	i->dev = dir->dev;
	i->uid = creds_now()->fsuid;
	i->gid = creds_now()->fsgid;
	i->size = SHOWN_SIZE;
	i->nlink = 0; /* the entry counts */
	int err = tmpfs_inode_ops.link(dir, d, i);
	if (err)
		i->ops = NULL; /* q stays the caller's */
	inode_put(i);
	return err;
}

static int create_queue(struct inode *dir, struct dentry *d, u32 mode, const struct mq_attr *attr)
{
	struct mq *q;
	int err = 0;

	if (__atomic_fetch_add(&IPC->mq_queues, 1, __ATOMIC_RELAXED) >= (u32)IPC->mq_queues_max && !capable(CAP_SYS_RESOURCE))
		err = -ENOSPC;
	if (!err)
		err = queue_create(attr, &q);
	if (!err && (err = add_inode(dir, d, mode, q))) {
		uncharge(q);
		kfree(q);
	}
	if (err)
		__atomic_fetch_sub(&IPC->mq_queues, 1, __ATOMIC_RELAXED);
	return err;
}

static int dir_create(struct inode *dir, struct dentry *d, u32 mode, u64 rdev)
{
	(void)rdev;
	return S_ISREG(mode) ? create_queue(dir, d, mode, NULL) : -EPERM;
}

static int dir_lookup(struct inode *dir, struct dentry *d) { return tmpfs_inode_ops.lookup(dir, d); }
static int dir_unlink(struct inode *dir, struct dentry *d) { return tmpfs_inode_ops.unlink(dir, d); }

static int dir_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &tmpfs_dir_ops;
	return 0;
}

static int queue_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &mqueue_ops;
	return 0;
}

static int set_attributes(struct inode *i, u32 valid, const struct kstat *st)
{
	generic_setattr(i, valid & ~SETATTR_SIZE, st); /* O_TRUNC means nothing */
	return 0;
}

static int show_statfs(struct inode *i, u64 out[15])
{
	(void)i;
	out[0] = MQUEUE_MAGIC;
	out[1] = PAGE_SIZE;
	out[8] = NAME_MAX;
	out[9] = PAGE_SIZE;
	return 0;
}

static const struct inode_ops queue_inode_ops = {
	.open = queue_open, .setattr = set_attributes, .statfs = show_statfs, .release = queue_release,
};
static const struct inode_ops dir_inode_ops = {
	.lookup = dir_lookup, .create = dir_create, .unlink = dir_unlink, .open = dir_open, .setattr = set_attributes,
	.statfs = show_statfs,
};

int mqueue_init(void)
{
	struct inode *i = tmpfs_inode(NULL, S_IFDIR | 01777, 0);
	struct dentry *d;

	if (!i)
		return -ENOMEM;
	i->ops = &dir_inode_ops;
	i->dev = vfs_new_dev();
	d = dentry_alloc_root(i);
	IPC->mq_root.dentry = d;
	IPC->mq_root.mnt = d ? mount_alloc(dentry_get(d), "mqueue", "mqueue", MNT_NOSUID | MNT_NODEV | MNT_NOEXEC) : NULL;
	return IPC->mq_root.mnt ? 0 : -ENOMEM;
}

int mqueue_mount(const char *source, u32 flags, const struct path *at)
{
	struct mount *m = mount_alloc(dentry_get(IPC->mq_root.dentry), "mqueue", source, flags);

	return m ? mount_attach(m, at) : -ENOMEM;
}

/* ---- names ---- */

/* One component and nothing else: the C library has taken the first slash off. */
static int take_name(char name[PATH_MAX], uaddr from)
{
	int err = getname(name, from);

	if (err)
		return err;
	return strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

/* The directory is locked. A name that is there, or made now; reference. */
static struct dentry *find_or_make(const char *name, u32 flags, u32 mode, const struct mq_attr *attr)
{
	static const u8 access[] = { 4, 2, 6 };
	struct path *root = &IPC->mq_root;
	struct dentry *d = lookup_one(root, name, strlen(name), true, false);
	int err = 0;

	if (IS_ERR(d))
		return d;
	if (!d->inode) {
		err = flags & O_CREAT ? vfs_may_create(root) : -ENOENT;
		if (!err)
			err = create_queue(root->dentry->inode, d, mode & ~current->fs->umask, attr);
		if (!err)
			dentry_publish(d);
	} else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		err = -EEXIST;
	} else {
		err = (flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : inode_permission(d->inode, access[flags & O_ACCMODE]);
	}
	if (!err)
		return d;
	dentry_put(d);
	return ERR_PTR(err);
}

static int open_file(struct dentry *d, u32 flags, struct file **out)
{
	struct file *f = file_alloc(NULL, flags & ~(u32)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC));
	int err;

	if (!f)
		return -ENOMEM;
	f->path = (struct path){ IPC->mq_root.mnt, d };
	path_get(&f->path);
	err = file_open_inode(f);
	if (err)
		file_drop(f);
	else
		*out = f;
	return err;
}

SYSCALL(mq_open)
{
	struct inode *dir = IPC->mq_root.dentry->inode;
	struct mq_attr attr;
	char name[PATH_MAX];
	struct file *f = NULL;
	int err;

	if (a[3] && copy_from_user(&attr, a[3], sizeof(attr)))
		return -EFAULT;
	err = take_name(name, a[0]);
	if (!err)
		err = fd_check_free();
	if (err)
		return err;
	lock(&dir->lock);
	struct dentry *d = find_or_make(name, (u32)a[1], (u32)a[2] & 07777, a[3] ? &attr : NULL);
	unlock(&dir->lock);
	if (IS_ERR(d))
		return PTR_ERR(d);
	err = open_file(d, (u32)a[1], &f);
	dentry_put(d);
	return err ? err : fd_install(f, O_CLOEXEC, 0);
}

SYSCALL(mq_unlink)
{
	char name[PATH_MAX];
	int err = take_name(name, a[0]);

	return err ? err : vfs_unlink_entry(&IPC->mq_root, name);
}

struct file *mq_get(int fd)
{
	struct file *f = fd_get(fd);

	if (!f || f->ops == &mqueue_ops)
		return f;
	file_put(f);
	return NULL;
}

/* ---- attributes, notification ---- */

SYSCALL(mq_getsetattr)
{
	struct mq_attr new = { 0 }, old = { 0 };
	struct file *f;

	if (a[1] && copy_from_user(&new, a[1], sizeof(new)))
		return -EFAULT;
	if (new.mq_flags & ~(s64)O_NONBLOCK)
		return -EINVAL;
	f = mq_get((int)a[0]);
	if (!f)
		return -EBADF;
	struct mq *q = mq_of(f);
	lock(&q->lock);
	old.mq_flags = f->flags & O_NONBLOCK;
	old.mq_maxmsg = q->max_count;
	old.mq_msgsize = q->max_size;
	old.mq_curmsgs = q->count;
	if (a[1]) {
		f->flags = (f->flags & ~(u32)O_NONBLOCK) | (u32)new.mq_flags;
		f->inode->atime = f->inode->ctime = timespec_now();
	}
	unlock(&q->lock);
	file_put(f);
	return a[2] && copy_to_user(a[2], &old, sizeof(old)) ? -EFAULT : 0;
}

struct mq_sigevent { u64 value; s32 signo, notify; u32 pad[12]; };

/* SIGEV_THREAD is the C library's: it hears from us by a netlink socket. */
static int check_event(const struct mq_sigevent *e, u8 cookie[NOTIFY_COOKIE_LEN], struct file **socket)
{
	switch (e->notify) {
	case SIGEV_NONE: return 0;
	case SIGEV_SIGNAL: return (u32)e->signo > 64 ? -EINVAL : 0;
	case SIGEV_THREAD: break;
	default: return -EINVAL;
	}
	if (copy_from_user(cookie, e->value, NOTIFY_COOKIE_LEN))
		return -EFAULT;
	*socket = netlink_from_fd(e->signo);
	if (!IS_ERR(*socket))
		return 0;
	int err = (int)PTR_ERR(*socket);
	*socket = NULL;
	return err;
}

/* lock held. */
static int set_notify(struct mq *q, const struct mq_sigevent *e)
{
	struct process *p = current->process;

	if (q->notify_process)
		return -EBUSY;
	q->notify = e->notify;
	q->notify_signal = e->signo;
	q->notify_value = e->value;
	q->notify_process = p;
	ref_get(&p->ref);
	return 0;
}

SYSCALL(mq_notify)
{
	struct file *f, *socket = NULL; /* given to the queue, or to be dropped */
	u8 cookie[NOTIFY_COOKIE_LEN];
	struct mq_sigevent e;
	int err;

	if (a[1] && copy_from_user(&e, a[1], sizeof(e)))
		return -EFAULT;
	err = a[1] ? check_event(&e, cookie, &socket) : 0;
	if (err)
		return err;
	f = mq_get((int)a[0]);
	if (!f) {
		err = -EBADF;
		goto out;
	}
	struct mq *q = mq_of(f);
	lock(&q->lock);
	if (a[1] && !(err = set_notify(q, &e)) && socket) {
		memcpy(q->notify_cookie, cookie, sizeof(cookie));
		q->notify_socket = socket;
		socket = NULL;
	} else if (!a[1] && q->notify_process == current->process) {
		socket = mq_forget_notify(q, NOTIFY_REMOVED);
	}
	if (!err)
		f->inode->atime = f->inode->ctime = timespec_now();
	unlock(&q->lock);
	file_put(f);
out:
	if (socket)
		file_put(socket);
	return err;
}
