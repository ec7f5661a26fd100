/* SPDX-License-Identifier: Apache-2.0
 *
 * fcntl(F_NOTIFY): a signal to a directory's opener when something happens in
 * it. What inotify replaced; it hears of events through the same call.
 */
#include "internal.h"
#include "linux/ipc/ipc.h"

#define DN_ACCESS 0x1u
#define DN_MODIFY 0x2u
#define DN_CREATE 0x4u
#define DN_DELETE 0x8u
#define DN_RENAME 0x10u
#define DN_ATTRIB 0x20u
#define DN_MULTISHOT 0x80000000u
#define POLL_MSG_ 3
#define POLL_MSG_BAND (EPOLLIN | EPOLLRDNORM | EPOLLMSG)

/* One for each file and table of descriptors it was asked through; goes when a
 * descriptor of both is closed. The file holds the directory. */
struct dnotify { struct list node; struct file *file; struct files *files; int fd; u32 mask; };
struct telling { struct list node; struct file *file; int fd; };

static u32 reasons(u32 in_mask)
{
	static const struct { u32 in, dn; } table[] = {
		{ IN_ACCESS, DN_ACCESS }, { IN_MODIFY, DN_MODIFY }, { IN_CREATE | IN_MOVED_TO, DN_CREATE },
		{ IN_DELETE | IN_MOVED_FROM, DN_DELETE }, { IN_ATTRIB, DN_ATTRIB },
	};
	u32 dn = 0;

	for (unsigned n = 0; n < ARRAY_SIZE(table); n++)
		if (in_mask & table[n].in)
			dn |= table[n].dn;
	return dn;
}

static void drop(struct dnotify *d)
{
	list_del(&d->node);
	IPC->dnotify_count--;
	kfree(d);
}

static void tell(const struct inode *dir, u32 dn)
{
	struct list todo = LIST_INIT(todo);

	lock(&IPC->dnotify_lock);
	list_for_each_safe(pos, next, &IPC->dnotify) {
		struct dnotify *d = list_entry(pos, struct dnotify, node);
		struct telling *t = d->file->inode == dir && d->mask & dn ? kmalloc(sizeof(*t)) : NULL;

		if (!t)
			continue;
		t->file = file_get(d->file);
		t->fd = d->fd;
		list_add_tail(&todo, &t->node);
		if (!(d->mask & DN_MULTISHOT))
			drop(d);
	}
	unlock(&IPC->dnotify_lock);
	list_for_each_safe(pos, next, &todo) { /* signals without the lock */
		struct telling *t = list_entry(pos, struct telling, node);

		file_signal_owner(t->file, t->fd, POLL_MSG_, POLL_MSG_BAND);
		file_put(t->file);
		kfree(t);
	}
}

void dnotify_event(const struct inode *dir, u32 in_mask)
{
	u32 dn = reasons(in_mask);

	if (dn && __atomic_load_n(&IPC->dnotify_count, __ATOMIC_RELAXED))
		tell(dir, dn);
}

void dnotify_renamed(const struct inode *dir)
{
	if (__atomic_load_n(&IPC->dnotify_count, __ATOMIC_RELAXED))
		tell(dir, DN_RENAME);
}

void dnotify_close(struct files *files, const struct file *f)
{
	lock(&IPC->dnotify_lock);
	list_for_each_safe(pos, next, &IPC->dnotify) {
		struct dnotify *d = list_entry(pos, struct dnotify, node);

		if (d->file == f && d->files == files)
			drop(d);
	}
	unlock(&IPC->dnotify_lock);
}

long dnotify_fcntl(struct file *f, int fd, u32 mask)
{
	struct dnotify *d, *found = NULL;

	if (!(mask & ~DN_MULTISHOT)) {
		dnotify_close(current->files, f);
		return 0;
	}
	if (!f->inode || (f->inode->mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	d = kzalloc(sizeof(*d));
	if (!d || !inotify_prepare(f->inode)) {
		kfree(d);
		return -ENOMEM;
	}
	lock(&IPC->dnotify_lock);
	list_for_each(pos, &IPC->dnotify) {
		struct dnotify *o = list_entry(pos, struct dnotify, node);

		if (o->file == f && o->files == current->files)
			found = o;
	}
	if (found) {
		found->mask |= mask;
		found->fd = fd;
	} else {
		*d = (struct dnotify){ .file = f, .files = current->files, .fd = fd, .mask = mask };
		list_add_tail(&IPC->dnotify, &d->node);
		IPC->dnotify_count++;
		d = NULL;
	}
	f->dnotify = true;
	if (!f->owner_pid) {
		f->owner_pid = current->process->pid;
		f->owner_type = F_OWNER_PID;
	}
	unlock(&IPC->dnotify_lock);
	kfree(d);
	return 0;
}
