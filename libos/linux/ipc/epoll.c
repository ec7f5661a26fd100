/* SPDX-License-Identifier: Apache-2.0
 *
 * epoll. Each watched file calls back through its wait queues; a call-back
 * puts the item on the ready list, so a wait costs what is ready, not what is
 * watched. Files of the host have no call-back: they are asked at each wait
 * and slept on by their stream events.
 *
 * Locks, outer first: ipc->epoll_lock (which epoll watches which file; life
 * and death of items) > epoll->lock (its items; outer epoll before inner) >
 * the files' own locks and queues > epoll->ready_lock > epoll->wait.
 */
#include "ipc.h"
#include "linux/lx/signal.h"

#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define MAX_NESTS 5
#define HASH_MIN 16u
#define HOST_EVENTS_MAX 60u /* how many objects of the host one sleep takes */

struct epoll {
	struct lock lock, ready_lock;
	struct wait_queue wait; /* sleepers of epoll_wait; files that poll us use file->wait */
	struct list ready; u32 ready_count;
	struct list *hash; u32 hash_size, count;
	struct list host_items; /* items with streams */
	struct file *file; /* no reference: this lives in it */
};
struct item {
	struct list hash_node, ready_node, link_node, host_node;
	struct epoll *ep;
	struct file *file; /* no reference: the file's last close removes the item */
	int fd;
	bool queued; /* on ready; under ready_lock */
	u32 events; u64 data;
	u32 told; /* edge-triggered host streams: events told since they were last absent */
	u32 wait_count;
	struct wait_entry waits[2];
	struct item_wait *more_waits;
	u32 stream_count; struct { pico_handle readable, writable; } streams[2];
};
struct item_wait { struct item_wait *next; struct wait_entry w; };
struct links { struct list items; struct async *async; }; /* file->epoll_links */
struct adder { struct poll_table table; struct item *item; int error; };

static const struct file_ops epoll_ops;
bool file_is_epoll(const struct file *f) { return f->ops == &epoll_ops; }

static u32 hash_of(const struct file *f, int fd, u32 size)
{
	return (u32)(((u64)f >> 6) * 31 + (u32)fd * 0x9e3779b1u) & (size - 1);
}

static struct item *find(struct epoll *ep, const struct file *f, int fd)
{
	list_for_each(pos, &ep->hash[hash_of(f, fd, ep->hash_size)]) {
		struct item *it = list_entry(pos, struct item, hash_node);

		if (it->file == f && it->fd == fd)
			return it;
	}
	return NULL;
}

static void grow(struct epoll *ep)
{
	u32 size = ep->hash_size * 4;
	struct list *h = kmalloc(size * sizeof(*h));

	if (!h)
		return; /* longer chains, nothing worse */
	for (u32 i = 0; i < size; i++)
		list_init(&h[i]);
	for (u32 i = 0; i < ep->hash_size; i++)
		list_for_each_safe(pos, next, &ep->hash[i]) {
			struct item *it = list_entry(pos, struct item, hash_node);

			list_del(pos);
			list_add(&h[hash_of(it->file, it->fd, size)], pos);
		}
	kfree(ep->hash);
	ep->hash = h;
	ep->hash_size = size;
}

/* ---- becoming ready ---- */

static void ready_add(struct item *it)
{
	struct epoll *ep = it->ep;
	bool fresh;

	lock(&ep->ready_lock);
	fresh = !it->queued;
	if (fresh) {
		it->queued = true;
		list_add_tail(&ep->ready, &it->ready_node);
		ep->ready_count++;
	}
	unlock(&ep->ready_lock);
}

static void ready_remove(struct item *it)
{
	struct epoll *ep = it->ep;

	lock(&ep->ready_lock);
	if (it->queued) {
		it->queued = false;
		list_del(&it->ready_node);
		ep->ready_count--;
	}
	unlock(&ep->ready_lock);
}

static void tell(struct epoll *ep)
{
	wake_up_count(&ep->wait, EPOLLIN, 1);
	wake_up(&ep->file->wait, EV_IN);
}

static bool item_callback(struct wait_entry *w, u32 events)
{
	struct item *it = w->data;
	u32 mask = __atomic_load_n(&it->events, __ATOMIC_RELAXED);

	if (!(mask & ~PRIVATE_BITS) || (events && !(events & mask)))
		return false;
	bool waited_for = !list_empty(&it->ep->wait.entries);
	it->told = 0;
	ready_add(it);
	tell(it->ep);
	return waited_for;
}

static void adder_add(struct poll_table *t, struct wait_queue *q)
{
	struct adder *a = container_of(t, struct adder, table);
	struct item *it = a->item;
	struct wait_entry *w;

	if (it->wait_count < ARRAY_SIZE(it->waits)) {
		w = &it->waits[it->wait_count++];
	} else {
		struct item_wait *m = kzalloc(sizeof(*m));

		if (!m) {
			a->error = -ENOMEM;
			return;
		}
		m->next = it->more_waits;
		it->more_waits = m;
		w = &m->w;
	}
	wait_add_fn(q, w, item_callback, it);
	w->exclusive = it->events & EPOLLEXCLUSIVE;
}

static void adder_add_stream(struct poll_table *t, pico_handle readable, pico_handle writable)
{
	struct item *it = container_of(t, struct adder, table)->item;

	if (it->stream_count == ARRAY_SIZE(it->streams))
		return; /* a nested epoll with more: its own waiters see them */
	it->streams[it->stream_count].readable = readable;
	it->streams[it->stream_count++].writable = writable;
}

static u32 item_poll(struct item *it, struct poll_table *t)
{
	return file_poll(it->file, t) & it->events & ~PRIVATE_BITS;
}

/* ---- items ---- */

/* With epoll_lock and ep->lock held. */
static void item_destroy(struct item *it)
{
	struct epoll *ep = it->ep;

	for (u32 i = 0; i < it->wait_count; i++)
		wait_remove(&it->waits[i]);
	while (it->more_waits) {
		struct item_wait *m = it->more_waits;

		it->more_waits = m->next;
		wait_remove(&m->w);
		kfree(m);
	}
	ready_remove(it);
	list_del(&it->hash_node);
	list_del(&it->link_node);
	list_del(&it->host_node);
	ep->count--;
	kfree(it);
}

/* With epoll_lock. */
static struct links *links_make(struct file *f)
{
	struct links *l = kzalloc(sizeof(*l));

	if (l) {
		list_init(&l->items);
		f->epoll_links = l;
	}
	return l;
}

static int item_insert(struct epoll *ep, struct file *f, int fd, const struct epoll_event *ev)
{
	struct adder a = { .table = { adder_add, adder_add_stream } };
	struct links *links = f->epoll_links;
	struct item *it = kzalloc(sizeof(*it));
	u32 now;

	if (!it)
		return -ENOMEM;
	if (!links && !(links = links_make(f))) {
		kfree(it);
		return -ENOMEM;
	}
	it->ep = ep;
	it->file = f;
	it->fd = fd;
	it->events = (u32)ev->events;
	it->data = ev->data;
	list_init(&it->ready_node);
	list_init(&it->host_node);
	list_add_tail(&links->items, &it->link_node);
	if (ep->count >= ep->hash_size * 2)
		grow(ep);
	list_add(&ep->hash[hash_of(f, fd, ep->hash_size)], &it->hash_node);
	ep->count++;

	a.item = it;
	now = item_poll(it, &a.table);
	if (a.error) {
		item_destroy(it);
		return a.error;
	}
	if (it->stream_count) {
		list_add_tail(&ep->host_items, &it->host_node);
		now = 0; /* found by the next wait; but one that sleeps must look anew */
		wake_up(&ep->wait, 0);
		wake_up(&ep->file->wait, 0);
	}
	if (now) {
		ready_add(it);
		tell(ep);
	}
	return 0;
}

static void item_modify(struct item *it, const struct epoll_event *ev)
{
	__atomic_store_n(&it->events, (u32)ev->events, __ATOMIC_SEQ_CST);
	it->data = ev->data;
	it->told = 0;
	if (it->stream_count) {
		wake_up(&it->ep->wait, 0);
	} else if (item_poll(it, NULL)) {
		ready_add(it);
		tell(it->ep);
	}
}

/* ---- the graph of epolls that watch epolls ---- */

/* Would watching `inner` from `outer` close a ring, or nest too deep below? Depth of the tree under inner. */
static int depth_below(struct epoll *inner, const struct epoll *outer, int depth)
{
	int deepest = 0;

	if (inner == outer || depth > MAX_NESTS)
		return -ELOOP;
	for (u32 i = 0; i < inner->hash_size; i++)
		list_for_each(pos, &inner->hash[i]) {
			struct item *it = list_entry(pos, struct item, hash_node);
			int below;

			if (!file_is_epoll(it->file))
				continue;
			below = depth_below(it->file->data, outer, depth + 1);
			if (below < 0)
				return below;
			deepest = MAX(deepest, below);
		}
	return deepest + 1;
}

static int depth_above(struct file *f, int depth)
{
	struct links *links = f->epoll_links;
	int highest = 0;

	if (depth > MAX_NESTS)
		return MAX_NESTS + 1;
	if (links)
		list_for_each(pos, &links->items) {
			int above = depth_above(list_entry(pos, struct item, link_node)->ep->file, depth + 1) + 1;

			highest = MAX(highest, above);
		}
	return highest;
}

static int check_nesting(struct epoll *ep, struct file *target)
{
	int below, above;

	if (!file_is_epoll(target))
		return 0;
	below = depth_below(target->data, ep, 0);
	if (below < 0)
		return below;
	above = depth_above(ep->file, 0);
	return below + above + 1 > MAX_NESTS ? -ELOOP : 0;
}

/* ---- control ---- */

static int check_event(int op, const struct epoll_event *ev, struct file *target)
{
	if (op == EPOLL_CTL_DEL || !(ev->events & EPOLLEXCLUSIVE))
		return 0;
	if (op == EPOLL_CTL_MOD)
		return -EINVAL;
	return op == EPOLL_CTL_ADD && (file_is_epoll(target) || ev->events & ~EXCLUSIVE_OK) ? -EINVAL : 0;
}

static int control_locked(struct epoll *ep, int op, struct file *target, int fd, struct epoll_event *ev)
{
	struct item *it = find(ep, target, fd);

	ev->events |= EPOLLERR | EPOLLHUP;
	switch (op) {
	case EPOLL_CTL_ADD:
		return it ? -EEXIST : item_insert(ep, target, fd, ev);
	case EPOLL_CTL_DEL:
		if (!it)
			return -ENOENT;
		item_destroy(it);
		return 0;
	case EPOLL_CTL_MOD:
		if (!it)
			return -ENOENT;
		if (it->events & EPOLLEXCLUSIVE)
			return -EINVAL;
		item_modify(it, ev);
		return 0;
	}
	return -EINVAL;
}

SYSCALL(epoll_ctl)
{
	int op = (int)a[1], fd = (int)a[2], err = 0;
	struct epoll_event ev = { 0, 0 };
	struct file *f, *target;
	struct epoll *ep;

	if (op != EPOLL_CTL_DEL && copy_from_user(&ev, a[3], sizeof(ev)))
		return -EFAULT;
	f = fd_get((int)a[0]);
	if (!f)
		return -EBADF;
	target = fd_get(fd);
	if (!target) {
		file_put(f);
		return -EBADF;
	}
	if (!target->ops->poll)
		err = -EPERM;
	else if (f == target || !file_is_epoll(f))
		err = -EINVAL;
	else
		err = check_event(op, &ev, target);
	if (err)
		goto out;
	ep = f->data;
	lock(&IPC->epoll_lock);
	if (op == EPOLL_CTL_ADD)
		err = check_nesting(ep, target);
	if (!err) {
		lock(&ep->lock);
		err = control_locked(ep, op, target, fd, &ev);
		unlock(&ep->lock);
	}
	unlock(&IPC->epoll_lock);
out:
	file_put(target);
	file_put(f);
	return err;
}

void epoll_file_released(struct file *f)
{
	struct links *links = f->epoll_links;

	if (!links)
		return;
	lock(&IPC->epoll_lock);
	while (!list_empty(&links->items)) {
		struct item *it = list_entry(links->items.next, struct item, link_node);
		struct epoll *ep = it->ep;

		lock(&ep->lock);
		item_destroy(it);
		unlock(&ep->lock);
	}
	f->epoll_links = NULL;
	unlock(&IPC->epoll_lock);
	if (links->async)
		async_stop(links->async);
	kfree(links);
}

int file_set_async(struct file *f, bool on)
{
	struct async *fresh = NULL, *old = NULL;
	struct links *links;
	int err = 0;

	if (!f->ops->poll)
		return 0;
	if (on && !(fresh = async_start(f)))
		return -ENOMEM;
	lock(&IPC->epoll_lock);
	links = f->epoll_links ? f->epoll_links : links_make(f);
	if (links) {
		old = links->async;
		links->async = fresh;
	} else {
		old = fresh;
		err = -ENOMEM;
	}
	unlock(&IPC->epoll_lock);
	if (old)
		async_stop(old);
	return err;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->data;

	lock(&IPC->epoll_lock);
	lock(&ep->lock);
	for (u32 i = 0; i < ep->hash_size; i++)
		while (!list_empty(&ep->hash[i]))
			item_destroy(list_entry(ep->hash[i].next, struct item, hash_node));
	unlock(&ep->lock);
	unlock(&IPC->epoll_lock);
	kfree(ep->hash);
	kfree(ep);
}

/* ---- waiting ---- */

/* Host streams cannot call back: look at them. With ep->lock held. */
static void look_at_streams(struct epoll *ep)
{
	list_for_each(pos, &ep->host_items) {
		struct item *it = list_entry(pos, struct item, host_node);
		u32 now;

		if (!(it->events & ~PRIVATE_BITS))
			continue;
		now = item_poll(it, NULL);
		it->told &= now;
		if (now & ~(it->events & EPOLLET ? it->told : 0u))
			ready_add(it);
	}
}

static struct item *ready_pop(struct epoll *ep)
{
	struct item *it = NULL;

	lock(&ep->ready_lock);
	if (!list_empty(&ep->ready)) {
		it = list_entry(ep->ready.next, struct item, ready_node);
		list_del(&it->ready_node);
		it->queued = false;
		ep->ready_count--;
	}
	unlock(&ep->ready_lock);
	return it;
}

/* Hands out what is ready: a count, or -EFAULT when the first could not be stored. */
static int harvest(struct epoll *ep, uaddr out, int max)
{
	u32 turns;
	int n = 0;

	lock(&ep->lock);
	if (!list_empty(&ep->host_items))
		look_at_streams(ep);
	/* Items put back below come after these: each is looked at once. */
	turns = __atomic_load_n(&ep->ready_count, __ATOMIC_ACQUIRE);
	while (turns-- && n < max) {
		struct item *it = ready_pop(ep);
		struct epoll_event ev;

		if (!it)
			break;
		ev.events = item_poll(it, NULL);
		if (!ev.events)
			continue;
		ev.data = it->data;
		if (copy_to_user(out + (u64)n * sizeof(ev), &ev, sizeof(ev))) {
			ready_add(it);
			n = n ? n : -EFAULT;
			break;
		}
		n++;
		if (it->events & EPOLLONESHOT)
			it->events &= PRIVATE_BITS;
		else if (!(it->events & EPOLLET))
			ready_add(it);
		else
			it->told |= (u32)ev.events;
	}
	unlock(&ep->lock);
	return n;
}

/* The host events to sleep on; 0: none. */
static u32 stream_events(struct epoll *ep, pico_handle *h, u32 max)
{
	u32 n = 0;

	lock(&ep->lock);
	list_for_each(pos, &ep->host_items) {
		struct item *it = list_entry(pos, struct item, host_node);
		u32 ev = it->events & ~PRIVATE_BITS & ~(it->events & EPOLLET ? it->told : 0u);

		for (u32 i = 0; i < it->stream_count && n + 2 <= max; i++) {
			if (it->streams[i].readable > 0 && ev & (EV_IN | EPOLLRDHUP))
				h[n++] = it->streams[i].readable;
			if (it->streams[i].writable > 0 && ev & EV_OUT)
				h[n++] = it->streams[i].writable;
		}
	}
	unlock(&ep->lock);
	return n;
}

static int sleep_on(struct epoll *ep, u64 deadline)
{
	pico_handle h[HOST_EVENTS_MAX];
	u32 n = list_empty(&ep->host_items) ? 0 : stream_events(ep, h, ARRAY_SIZE(h));

	return n ? wait_sleep_streams(deadline, h, n) : wait_sleep(deadline);
}

static int wait_events(struct epoll *ep, uaddr out, int max, u64 deadline)
{
	int n = harvest(ep, out, max), err = 0;
	struct wait_entry *w;

	if (n || !deadline)
		return n;
	w = &current->wait_slot;
	wait_begin();
	wait_add(&ep->wait, w);
	w->exclusive = true;
	while (!(n = harvest(ep, out, max)) && !err) {
		err = sleep_on(ep, deadline);
		if (err == -ERESTARTSYS)
			break;
		wait_begin();
	}
	wait_remove(w);
	/* A wake-up goes to one sleeper: it passes on what is left. */
	if (__atomic_load_n(&ep->ready_count, __ATOMIC_ACQUIRE))
		wake_up_count(&ep->wait, EPOLLIN, 1);
	return n ? n : err == -ETIMEDOUT ? 0 : err;
}

static long wait_again(struct task *t);

static s64 do_wait(int fd, uaddr out, int max, u64 deadline)
{
	struct file *f;
	s64 n;

	if (max <= 0 || (u32)max > 0x7fffffffu / sizeof(struct epoll_event))
		return -EINVAL;
	if (!user_ok(out, (u64)max * sizeof(struct epoll_event)))
		return -EFAULT;
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	n = file_is_epoll(f) ? wait_events(f->data, out, max, deadline) : -EINVAL;
	file_put(f);
	if (n != -ERESTARTSYS)
		return n;
	if (wait_ended_by_signal())
		return -EINTR;
	current->restart = wait_again;
	current->restart_args[0] = (u32)fd;
	current->restart_args[1] = out;
	current->restart_args[2] = (u32)max;
	current->restart_args[3] = deadline;
	current->restart_args[4] = current->sigmask;
	return -ERESTART_RESTARTBLOCK;
}

static long wait_again(struct task *t)
{
	s64 n;

	signal_set_temporary_mask(t->restart_args[4]);
	n = do_wait((int)t->restart_args[0], t->restart_args[1], (int)t->restart_args[2], t->restart_args[3]);
	if (n != -ERESTART_RESTARTBLOCK && n != -EINTR)
		signal_restore_temporary_mask();
	return n;
}

static s64 wait_masked(const u64 *a, u64 deadline, uaddr set, u64 set_size)
{
	u64 mask;
	s64 n;
	int err;

	if (set) {
		err = user_sigset(set, set_size, &mask);
		if (err)
			return err;
		signal_set_temporary_mask(mask);
	}
	n = do_wait((int)a[0], a[1], (int)a[2], deadline);
	/* After a signal the way out runs its handler under the temporary mask first. */
	if (set && n != -EINTR && n != -ERESTART_RESTARTBLOCK)
		signal_restore_temporary_mask();
	return n;
}

SYSCALL(epoll_wait) { return do_wait((int)a[0], a[1], (int)a[2], deadline_from_ms((s32)a[3])); }
SYSCALL(epoll_pwait) { return wait_masked(a, deadline_from_ms((s32)a[3]), a[4], a[5]); }

SYSCALL(epoll_pwait2)
{
	u64 deadline;
	int err = deadline_from_user(a[3], 1 /* CLOCK_MONOTONIC */, false, &deadline);

	return err ? err : wait_masked(a, deadline, a[4], a[5]);
}

/* ---- the file ---- */

static u32 epoll_poll(struct file *f, struct poll_table *t)
{
	struct epoll *ep = f->data;
	bool found = false;
	u32 turns;

	if (t) {
		t->add(t, &f->wait);
		lock(&ep->lock);
		list_for_each(pos, &ep->host_items) {
			struct item *it = list_entry(pos, struct item, host_node);

			for (u32 i = 0; i < it->stream_count; i++)
				t->add_stream(t, it->events & EV_IN ? it->streams[i].readable : 0,
					it->events & EV_OUT ? it->streams[i].writable : 0);
		}
		unlock(&ep->lock);
	}
	lock(&ep->lock);
	if (!list_empty(&ep->host_items))
		look_at_streams(ep);
	turns = __atomic_load_n(&ep->ready_count, __ATOMIC_ACQUIRE);
	while (turns-- && !found) {
		struct item *it = ready_pop(ep);

		if (!it)
			break;
		found = item_poll(it, NULL) != 0;
		if (found)
			ready_add(it);
	}
	unlock(&ep->lock);
	return found ? EV_IN : 0;
}

static int epoll_info(struct file *f, char *buf, size_t size)
{
	struct epoll *ep = f->data;
	size_t n = 0;

	lock(&ep->lock);
	for (u32 i = 0; i < ep->hash_size; i++)
		list_for_each(pos, &ep->hash[i]) {
			struct item *it = list_entry(pos, struct item, hash_node);
			struct inode *inode = it->file->inode;

			if (n + 96 > size)
				break;
			n += (size_t)snprintf(buf + n, size - n, "tfd: %8d events: %8x data: %16llx  pos:%lld ino:%lx sdev:%x\n", it->fd,
				it->events, (unsigned long long)it->data, (long long)it->file->pos,
				inode ? (unsigned long)inode->ino : 0, inode ? (u32)inode->dev : 0);
		}
	unlock(&ep->lock);
	return (int)n;
}

static const struct file_ops epoll_ops = {
	.name = "anon_inode:[eventpoll]", .poll = epoll_poll, .release = epoll_release, .fdinfo = epoll_info,
	.seek = seek_noop,
};

static s64 do_create(u32 flags)
{
	struct epoll *ep;
	struct file *f;

	if (flags & ~(u32)O_CLOEXEC)
		return -EINVAL;
	ep = kzalloc(sizeof(*ep));
	if (!ep)
		return -ENOMEM;
	ep->hash_size = HASH_MIN;
	ep->hash = kmalloc(HASH_MIN * sizeof(*ep->hash));
	f = ep->hash ? file_alloc(&epoll_ops, O_RDWR) : NULL;
	if (!f) {
		kfree(ep->hash);
		kfree(ep);
		return -ENOMEM;
	}
	for (u32 i = 0; i < HASH_MIN; i++)
		list_init(&ep->hash[i]);
	list_init(&ep->ready);
	list_init(&ep->host_items);
	wait_queue_init(&ep->wait);
	ep->file = f;
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	f->data = ep;
	return fd_install(f, flags & O_CLOEXEC, 0);
}

SYSCALL(epoll_create) { return (s32)a[0] <= 0 ? -EINVAL : do_create(0); }
SYSCALL(epoll_create1) { return do_create((u32)a[0]); }
