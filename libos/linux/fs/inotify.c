/* SPDX-License-Identifier: Apache-2.0
 *
 * inotify: watches on inodes, queues of events. One lock for all of it:
 * watches are few, and fsnotify() comes here only when an inode or its
 * directory is watched. A watch pins its name, so that a file system that
 * drops cached inodes does not lose it.
 */
#include "internal.h"
#include "linux/ipc/ipc.h"

struct inotify_event { s32 wd; u32 mask, cookie, len; }; /* of the user ABI; a name follows */
#define IN_UNMOUNT 0x2000u
#define IN_Q_OVERFLOW 0x4000u
#define IN_IGNORED 0x8000u
#define IN_ONLYDIR 0x1000000u
#define IN_DONT_FOLLOW 0x2000000u
#define IN_MASK_CREATE 0x10000000u
#define IN_MASK_ADD 0x20000000u
#define IN_ONESHOT 0x80000000u
#define IN_EVENTS 0xfffu /* what a watch can ask for */
#define IN_OPTIONS (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)
#define IN_ALL (IN_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_OPTIONS)
#define IN_NAMED (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) /* told to the directory only */

struct event { struct list node; s32 wd; u32 mask, cookie, name_size; char name[]; };
struct inotify {
	struct list watches, events;
	u32 event_count, watch_count;
	u64 bytes; /* as read(2) would return */
	s32 next_wd;
	struct file *file; /* no reference */
};
struct watch { struct list inode_node, node; struct inotify *in; struct path path; s32 wd; u32 mask; };
struct watchers { struct list list; }; /* inode->watches; stays with the inode */

static u32 padded(u32 name_size)
{
	return name_size ? ALIGN_UP(name_size + 1, (u32)sizeof(struct inotify_event)) : 0;
}

/* ---- telling; all with inotify_lock ---- */

/* In a mask that is told, IN_EXCL_UNLINK says that the name is gone already. */

static void queue_event(struct inotify *in, s32 wd, u32 mask, u32 cookie, const char *name)
{
	u32 size = name ? (u32)strlen(name) : 0;
	struct event *e;

	if (!list_empty(&in->events)) {
		struct event *last = list_entry(in->events.prev, struct event, node);

		if (last->wd == wd && last->mask == mask && !(mask & IN_IGNORED) && last->name_size == size &&
		    !memcmp(last->name, name ? name : "", size))
			return; /* the same again is no news, whatever its cookie */
	}
	if (in->event_count >= IPC->inotify_max_events) {
		struct event *last = list_entry(in->events.prev, struct event, node);

		if (last->mask == IN_Q_OVERFLOW)
			return;
		wd = -1;
		mask = IN_Q_OVERFLOW;
		cookie = size = 0;
	}
	e = kmalloc(sizeof(*e) + size + 1);
	if (!e)
		return;
	e->wd = wd;
	e->mask = mask;
	e->cookie = cookie;
	e->name_size = size;
	memcpy(e->name, name ? name : "", size);
	e->name[size] = 0;
	list_add_tail(&in->events, &e->node);
	in->event_count++;
	in->bytes += sizeof(struct inotify_event) + padded(size);
	wake_up(&in->file->wait, EV_IN);
}

/* The watch is unlinked; the caller drops its name and frees it without the lock. */
static void watch_unlink(struct watch *w, struct list *dead)
{
	queue_event(w->in, w->wd, IN_IGNORED, 0, NULL);
	list_del(&w->inode_node);
	list_del(&w->node);
	w->in->watch_count--;
	list_add_tail(dead, &w->node);
}

static void tell_inode(struct inode *i, u32 mask, u32 cookie, const char *name, struct list *dead)
{
	struct watchers *ws = i->watches;

	if (!ws)
		return;
	list_for_each_safe(pos, next, &ws->list) {
		struct watch *w = list_entry(pos, struct watch, inode_node);

		if (!(w->mask & mask & IN_EVENTS) || w->mask & mask & IN_EXCL_UNLINK)
			continue;
		queue_event(w->in, w->wd, mask & ~(u32)IN_EXCL_UNLINK, cookie, name);
		if (w->mask & IN_ONESHOT)
			watch_unlink(w, dead);
	}
}

static void unlink_all(struct inode *i, struct list *dead)
{
	struct watchers *ws = i->watches;

	if (ws)
		list_for_each_safe(pos, next, &ws->list)
			watch_unlink(list_entry(pos, struct watch, inode_node), dead);
}

static void bury(struct list *dead)
{
	list_for_each_safe(pos, next, dead) {
		struct watch *w = list_entry(pos, struct watch, node);

		path_put(&w->path);
		kfree(w);
	}
}

/* Does anything but names hold the inode, such as an open file? Beside so many. */
static bool in_use(struct inode *i, u32 besides)
{
	u32 names = 0;

	lock(&vfs()->lock);
	list_for_each(pos, &i->aliases)
		names++;
	unlock(&vfs()->lock);
	return i->ref.count > names + besides;
}

static void tell_end(struct inode *i, struct list *dead)
{
	tell_inode(i, IN_DELETE_SELF, 0, NULL, dead);
	unlink_all(i, dead);
}

/* A file ends with its last name, or with its last close after that. */
static bool ends(struct inode *i, u32 mask)
{
	if (i->nlink && (i->mode & S_IFMT) != S_IFDIR)
		return false;
	if (mask & (IN_DELETE | IN_DELETE_SELF))
		return !in_use(i, 0);
	return mask & (IN_CLOSE_WRITE | IN_CLOSE_NOWRITE) && !i->nlink && !in_use(i, 1);
}

void fsnotify(struct inode *dir, const char *name, struct inode *target, u32 mask, u32 cookie)
{
	struct list dead = LIST_INIT(dead);
	bool end, is_dir;

	if (!(dir && dir->watches) && !(target && target->watches))
		return;
	end = target && target->watches && ends(target, mask);
	is_dir = target && (target->mode & S_IFMT) == S_IFDIR;
	lock(&IPC->inotify_lock);
	if (target && mask & IN_CREATE && !is_dir && target->nlink > 1)
		tell_inode(target, IN_ATTRIB, 0, NULL, &dead); /* one more name */
	if (target && mask & IN_DELETE) { /* what happens to the object comes before its name's event */
		if (!is_dir)
			tell_inode(target, IN_ATTRIB, 0, NULL, &dead); /* the link count */
		if (end)
			tell_end(target, &dead);
	}
	if (dir)
		tell_inode(dir, mask, cookie, name, &dead);
	if (target && !(mask & (IN_NAMED | IN_DELETE_SELF)))
		tell_inode(target, mask & IN_MOVE_SELF ? IN_MOVE_SELF : mask & ~(u32)IN_EXCL_UNLINK, cookie, NULL, &dead);
	if (end && !(mask & IN_DELETE))
		tell_end(target, &dead);
	unlock(&IPC->inotify_lock);
	bury(&dead);
	if (dir)
		dnotify_event(dir, mask);
	if (is_dir && !(mask & IN_NAMED))
		dnotify_event(target, mask);
}

u32 fsnotify_cookie(void)
{
	return __atomic_add_fetch(&IPC->inotify_cookie, 1, __ATOMIC_RELAXED);
}

/* An inode ends: it has no watches (they hold it), only the list's head. */
void inode_ipc_release(struct inode *i)
{
	kfree(i->watches);
	i->watches = NULL;
	kfree(i->anon_name);
	i->anon_name = NULL;
}

/* ---- the file ---- */

static struct event *take_event(struct inotify *in, size_t room, bool *small)
{
	struct event *e = NULL;

	lock(&IPC->inotify_lock);
	if (!list_empty(&in->events)) {
		e = list_entry(in->events.next, struct event, node);
		if (sizeof(struct inotify_event) + padded(e->name_size) > room) {
			*small = true;
			e = NULL;
		} else {
			list_del(&e->node);
			in->event_count--;
			in->bytes -= sizeof(struct inotify_event) + padded(e->name_size);
		}
	}
	unlock(&IPC->inotify_lock);
	return e;
}

static s64 give_event(const struct event *e, const struct iobuf *b, size_t at)
{
	struct inotify_event head = { .wd = e->wd, .mask = e->mask, .cookie = e->cookie, .len = padded(e->name_size) };
	static const char zeros[sizeof(head)];
	size_t pad = head.len - (head.len ? e->name_size : 0);

	if (iobuf_copy_to(b, at, &head, sizeof(head)))
		return -EFAULT;
	at += sizeof(head);
	if (iobuf_copy_to(b, at, e->name, e->name_size) || iobuf_copy_to(b, at + e->name_size, zeros, pad))
		return -EFAULT;
	return (s64)(sizeof(head) + head.len);
}

static s64 inotify_take(struct inotify *in, const struct iobuf *b)
{
	bool small = false;
	size_t done = 0;
	struct event *e;

	while ((e = take_event(in, b->size - done, &small))) {
		s64 n = give_event(e, b, done);

		kfree(e);
		if (n < 0)
			return done ? (s64)done : n;
		done += (size_t)n;
	}
	return done ? (s64)done : small ? -EINVAL : 0;
}

static s64 inotify_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct inotify *in = f->data;
	struct wait_entry *w;
	s64 n = inotify_take(in, b);
	int err = 0;

	(void)pos;
	if (n)
		return n;
	if (io_nowait(f, b))
		return -EAGAIN;
	w = wait_on(&f->wait, EPOLLIN);
	while (!(n = inotify_take(in, b)) && !(err = wait_sleep(PICO_FOREVER)))
		wait_begin();
	wait_remove(w);
	return n ? n : err;
}

static u32 inotify_poll(struct file *f, struct poll_table *t)
{
	struct inotify *in = f->data;

	if (t)
		t->add(t, &f->wait);
	return __atomic_load_n(&in->event_count, __ATOMIC_ACQUIRE) ? EV_IN : 0;
}

static long inotify_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct inotify *in = f->data;
	int n = (int)in->bytes;

	return cmd == FIONREAD ? put_user(n, arg) : -ENOTTY;
}

static void inotify_release(struct file *f)
{
	struct inotify *in = f->data;
	struct list dead = LIST_INIT(dead);

	lock(&IPC->inotify_lock);
	list_for_each_safe(pos, next, &in->watches)
		watch_unlink(list_entry(pos, struct watch, node), &dead);
	IPC->inotify_instances--;
	unlock(&IPC->inotify_lock);
	bury(&dead);
	list_for_each_safe(pos, next, &in->events)
		kfree(list_entry(pos, struct event, node));
	kfree(in);
}

static int inotify_info(struct file *f, char *buf, size_t size)
{
	struct inotify *in = f->data;
	size_t n = 0;

	lock(&IPC->inotify_lock);
	list_for_each(pos, &in->watches) {
		struct watch *w = list_entry(pos, struct watch, node);
		struct inode *i = w->path.dentry->inode;

		if (n + 96 < size)
			n += (size_t)snprintf(buf + n, size - n, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0\n", (u32)w->wd,
				i ? (unsigned long)i->ino : 0, i ? (u32)i->dev : 0, w->mask & (IN_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK));
	}
	unlock(&IPC->inotify_lock);
	return (int)n;
}

static const struct file_ops inotify_ops = {
	.name = "anon_inode:inotify", .read = inotify_read, .poll = inotify_poll, .ioctl = inotify_ioctl,
	.release = inotify_release, .fdinfo = inotify_info, .seek = seek_noop, .gather = true,
};

/* ---- system calls ---- */

static s64 do_init(u32 flags)
{
	struct inotify *in;
	struct file *f;

	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (IPC->inotify_instances >= IPC->inotify_max_instances)
		return -EMFILE;
	in = kzalloc(sizeof(*in));
	if (!in)
		return -ENOMEM;
	f = file_alloc(&inotify_ops, O_RDONLY | (flags & O_NONBLOCK));
	if (!f) {
		kfree(in);
		return -ENFILE;
	}
	list_init(&in->watches);
	list_init(&in->events);
	in->next_wd = 1;
	in->file = f;
	f->mode_bits = FMODE_READ;
	f->data = in;
	__atomic_fetch_add(&IPC->inotify_instances, 1, __ATOMIC_RELAXED);
	return fd_install(f, flags & O_CLOEXEC, 0);
}

SYSCALL(inotify_init) { return do_init(0); }
SYSCALL(inotify_init1) { return do_init((u32)a[0]); }

static struct watch *find_watch(struct inotify *in, const struct inode *i)
{
	list_for_each(pos, &in->watches) {
		struct watch *w = list_entry(pos, struct watch, node);

		if (w->path.dentry->inode == i)
			return w;
	}
	return NULL;
}

/* Takes over the path when it makes a watch; *taken tells. */
static s64 add_locked(struct inotify *in, struct path *path, struct watch *fresh, struct watchers *head, u32 mask)
{
	struct inode *i = path->dentry->inode;
	struct watch *w = find_watch(in, i);
	u32 bits = mask & (IN_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);

	if (w && mask & IN_MASK_CREATE)
		return -EEXIST;
	if (w) {
		w->mask = mask & IN_MASK_ADD ? w->mask | bits : bits;
		return w->wd;
	}
	if (in->watch_count >= IPC->inotify_max_watches)
		return -ENOSPC;
	if (!i->watches) {
		list_init(&head->list);
		i->watches = head;
	}
	*fresh = (struct watch){ .in = in, .path = *path, .wd = in->next_wd++, .mask = bits };
	list_add_tail(&((struct watchers *)i->watches)->list, &fresh->inode_node);
	list_add_tail(&in->watches, &fresh->node);
	in->watch_count++;
	vfs()->watched = 1;
	return fresh->wd;
}

static s64 add_watch(struct inotify *in, struct path *path, u32 mask)
{
	struct watch *fresh = kmalloc(sizeof(*fresh));
	struct watchers *head = kmalloc(sizeof(*head));
	s64 wd = -ENOMEM;
	bool used = false, head_used = false;

	if (fresh && head) {
		fresh->in = NULL;
		lock(&IPC->inotify_lock);
		wd = add_locked(in, path, fresh, head, mask);
		used = fresh->in != NULL;
		head_used = path->dentry->inode->watches == head;
		unlock(&IPC->inotify_lock);
	}
	if (!used) {
		path_put(path);
		kfree(fresh);
	}
	if (!head_used)
		kfree(head);
	return wd;
}

bool inotify_prepare(struct inode *dir)
{
	struct watchers *head = kmalloc(sizeof(*head));

	if (!head)
		return false;
	list_init(&head->list);
	lock(&IPC->inotify_lock);
	if (!dir->watches) {
		dir->watches = head;
		head = NULL;
	}
	vfs()->watched = 1;
	unlock(&IPC->inotify_lock);
	kfree(head);
	return true;
}

SYSCALL(inotify_add_watch)
{
	u32 mask = (u32)a[2], flags = 0;
	char *name = NULL;
	struct path path;
	struct file *f;
	s64 ret;

	if (mask & ~(u32)IN_ALL || !(mask & IN_ALL))
		return -EINVAL;
	f = fd_get((int)a[0]);
	if (!f)
		return -EBADF;
	ret = -EINVAL;
	if ((mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE) || f->ops != &inotify_ops)
		goto out;
	if (!(mask & IN_DONT_FOLLOW))
		flags |= LOOKUP_FOLLOW;
	if (mask & IN_ONLYDIR)
		flags |= LOOKUP_DIRECTORY;
	name = kmalloc(PATH_MAX);
	ret = -ENOMEM;
	if (!name)
		goto out;
	ret = getname(name, a[1]);
	if (ret < 0)
		goto out;
	ret = path_lookup(AT_FDCWD, name, flags, &path);
	if (ret)
		goto out;
	ret = inode_permission(path.dentry->inode, 4);
	if (ret)
		path_put(&path);
	else
		ret = add_watch(f->data, &path, mask);
out:
	kfree(name);
	file_put(f);
	return ret;
}

SYSCALL(inotify_rm_watch)
{
	struct list dead = LIST_INIT(dead);
	struct file *f = fd_get((int)a[0]);
	s64 ret = -EINVAL;

	if (!f)
		return -EBADF;
	if (f->ops == &inotify_ops) {
		struct inotify *in = f->data;

		lock(&IPC->inotify_lock);
		list_for_each_safe(pos, next, &in->watches) {
			struct watch *w = list_entry(pos, struct watch, node);

			if (w->wd != (s32)a[1])
				continue;
			watch_unlink(w, &dead);
			ret = 0;
			break;
		}
		unlock(&IPC->inotify_lock);
	}
	bury(&dead);
	file_put(f);
	return ret;
}
