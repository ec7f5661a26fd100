/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of POSIX queues: kept in a heap by priority and age, handed straight
 * to a receiver that sleeps, or taken from a sender that sleeps when there is
 * room again. Nothing is copied from or to a program while a queue is locked.
 */
#include <asm/siginfo.h>
#include <linux/time.h>

#include "linux/lx/proc.h"
#include "mqueue.h"

enum { ASLEEP = 1 };
struct mq_waiter {
	struct list node;
	struct task *task;
	s32 urgency; /* as Linux numbers priorities: less is more urgent */
	s32 status; /* ASLEEP; 0: served */
	struct mq_message *message; /* to send; received */
};

/* ---- the heap ---- */

static bool before(const struct mq_message *a, const struct mq_message *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->order < b->order;
}

/* Room for one more: at once, so that one can always be put in. */
static bool make_room(struct mq *q)
{
	if (q->count < q->room)
		return true;
	u32 room = q->room ? q->room * 2 : 8;
	struct mq_message **heap = krealloc(q->heap, room * sizeof(*heap));
	if (!heap)
		return false;
	q->heap = heap;
	q->room = room;
	return true;
}

static void insert(struct mq *q, struct mq_message *m)
{
	u32 at = q->count++;

	m->order = q->order++;
	q->bytes += m->size;
	for (; at && before(m, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
		q->heap[at] = q->heap[(at - 1) / 2];
	q->heap[at] = m;
}

static struct mq_message *take(struct mq *q)
{
	struct mq_message *first = q->heap[0], *last = q->heap[--q->count];
	u32 at = 0, child;

	q->bytes -= first->size;
	for (; (child = at * 2 + 1) < q->count; at = child) {
		if (child + 1 < q->count && before(q->heap[child + 1], q->heap[child]))
			child++;
		if (!before(q->heap[child], last))
			break;
		q->heap[at] = q->heap[child];
	}
	q->heap[at] = last;
	return first;
}

void mq_free_messages(struct mq *q)
{
	while (q->count)
		kfree(q->heap[--q->count]);
	kfree(q->heap);
}

/* ---- sleeping ---- */

static s32 urgency(const struct task *t)
{
	return t->policy == 1 || t->policy == 2 /* SCHED_FIFO, SCHED_RR */ ? 99 - (s32)t->rt_priority : 120 + t->nice;
}

static void enqueue(struct list *waiters, struct mq_waiter *w)
{
	struct list *after = waiters->prev;

	while (after != waiters && list_entry(after, struct mq_waiter, node)->urgency > w->urgency)
		after = after->prev;
	list_add(after, &w->node);
}

static struct mq_waiter *first_waiter(struct list *waiters)
{
	return list_empty(waiters) ? NULL : list_entry(waiters->next, struct mq_waiter, node);
}

static void serve(struct mq_waiter *w, struct bells *bells)
{
	list_del(&w->node);
	__atomic_store_n(&w->status, 0, __ATOMIC_RELEASE);
	wake_later(bells, w->task); /* it takes the lock before it frees w */
}

/* lock held, given up. */
static int sleep_on(struct mq *q, struct list *waiters, struct mq_waiter *w, u64 deadline)
{
	int err = 0;

	w->task = current;
	w->status = ASLEEP;
	w->urgency = urgency(current);
	enqueue(waiters, w);
	wait_begin();
	unlock(&q->lock);
	while (__atomic_load_n(&w->status, __ATOMIC_ACQUIRE) == ASLEEP && !(err = wait_sleep(deadline)))
		wait_begin();
	lock(&q->lock);
	if (w->status != ASLEEP)
		err = 0;
	else
		list_del(&w->node);
	unlock(&q->lock);
	return err;
}

/* ---- send ---- */

/* A message came to an empty queue where nobody waits: once, the one who asked is told. */
static struct file *notify(struct mq *q)
{
	struct lx_siginfo info = { .signo = q->notify_signal, .code = SI_MESGQ };

	if (q->count != 1 || !q->notify_process)
		return NULL;
	if (q->notify == SIGEV_SIGNAL && q->notify_signal) {
		info.rt.pid = (s32)current->process->pid;
		info.rt.uid = current->process->creds.uid;
		info.rt.value = q->notify_value;
		signal_send_process(q->notify_process, q->notify_signal, &info);
	}
	return mq_forget_notify(q, NOTIFY_WOKENUP);
}

/* On success the message is the queue's or a receiver's. */
static int send(struct file *f, struct mq_message *m, u64 deadline)
{
	struct mq *q = mq_of(f);
	struct mq_waiter *w, *own = kzalloc(sizeof(*own)); /* others reach it: not on our stack */
	struct file *told = NULL;
	struct bells bells;
	int err = 0;

	if (!own)
		return -ENOMEM;
	bells.count = 0;
	lock(&q->lock);
	if (q->count == q->max_count) {
		if (!(f->flags & O_NONBLOCK)) {
			own->message = m;
			err = sleep_on(q, &q->senders, own, deadline);
			kfree(own);
			return err;
		}
		err = -EAGAIN;
	} else if ((w = first_waiter(&q->receivers))) {
		w->message = m;
		serve(w, &bells);
	} else if (!make_room(q)) {
		err = -ENOMEM;
	} else {
		insert(q, m);
		told = notify(q);
		wake_queue(&q->wait, EV_IN);
	}
	if (!err)
		f->inode->atime = f->inode->mtime = f->inode->ctime = timespec_now();
	unlock(&q->lock);
	wake_ring(&bells);
	if (told)
		file_put(told);
	kfree(own);
	return err;
}

static int send_from_user(struct file *f, uaddr from, u64 size, u32 priority, u64 deadline)
{
	struct mq_message *m;
	int err;

	if (!(f->mode_bits & FMODE_WRITE))
		return -EBADF;
	if (size > (u64)mq_of(f)->max_size)
		return -EMSGSIZE;
	m = kmalloc(sizeof(*m) + size);
	if (!m)
		return -ENOMEM;
	m->priority = priority;
	m->size = (u32)size;
	err = copy_from_user(m->data, from, size) ? -EFAULT : send(f, m, deadline);
	if (err)
		kfree(m);
	return err;
}

SYSCALL(mq_timedsend)
{
	u64 deadline;
	struct file *f;
	int err = deadline_from_user(a[4], CLOCK_REALTIME, true, &deadline);

	if (err)
		return err;
	if ((u32)a[3] >= MQ_PRIORITIES)
		return -EINVAL;
	f = mq_get((int)a[0]);
	if (!f)
		return -EBADF;
	err = send_from_user(f, a[1], a[2], (u32)a[3], deadline);
	file_put(f);
	return err;
}

/* ---- receive ---- */

static int receive(struct file *f, u64 deadline, struct mq_message **out)
{
	struct mq *q = mq_of(f);
	struct mq_waiter *w, *own;
	struct bells bells;
	int err = 0;

	bells.count = 0;
	lock(&q->lock);
	if (q->count) {
		*out = take(q);
		if ((w = first_waiter(&q->senders))) {
			insert(q, w->message); /* the room just made */
			serve(w, &bells);
		} else {
			wake_queue(&q->wait, EV_OUT);
		}
		f->inode->atime = f->inode->mtime = f->inode->ctime = timespec_now();
	} else if (f->flags & O_NONBLOCK) {
		err = -EAGAIN;
	} else if (!(own = kzalloc(sizeof(*own)))) {
		err = -ENOMEM;
	} else {
		err = sleep_on(q, &q->receivers, own, deadline);
		*out = own->message;
		kfree(own);
		return err;
	}
	unlock(&q->lock);
	wake_ring(&bells);
	return err;
}

static s64 receive_to_user(struct file *f, uaddr to, u64 size, uaddr priority, u64 deadline)
{
	struct mq_message *m;
	s64 ret;

	if (!(f->mode_bits & FMODE_READ))
		return -EBADF;
	if (size < (u64)mq_of(f)->max_size)
		return -EMSGSIZE;
	ret = receive(f, deadline, &m);
	if (ret)
		return ret;
	ret = m->size;
	if ((priority && put_user(m->priority, priority)) || copy_to_user(to, m->data, m->size))
		ret = -EFAULT;
	kfree(m);
	return ret;
}

SYSCALL(mq_timedreceive)
{
	u64 deadline;
	struct file *f;
	s64 ret = deadline_from_user(a[4], CLOCK_REALTIME, true, &deadline);

	if (ret)
		return ret;
	f = mq_get((int)a[0]);
	if (!f)
		return -EBADF;
	ret = receive_to_user(f, a[1], a[2], a[3], deadline);
	file_put(f);
	return ret;
}

/* ---- the descriptor as a file ---- */

static u32 mqueue_poll(struct file *f, struct poll_table *t)
{
	struct mq *q = mq_of(f);
	u32 ev = 0;

	if (t)
		t->add(t, &q->wait);
	lock(&q->lock);
	if (q->count)
		ev |= EV_IN;
	if (q->count < q->max_count)
		ev |= EV_OUT;
	unlock(&q->lock);
	return ev;
}

/* What `cat /dev/mqueue/NAME` shows. */
static s64 mqueue_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct mq *q = mq_of(f);
	char text[96];

	lock(&q->lock);
	u64 size = (u64)snprintf(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q->bytes,
		q->notify_process ? q->notify : 0, q->notify_process && q->notify == SIGEV_SIGNAL ? q->notify_signal : 0,
		q->notify_process ? (int)q->notify_process->pid : 0);
	unlock(&q->lock);
	if (pos >= size)
		return 0;
	u64 n = MIN(size - pos, b->size);
	return iobuf_copy_to(b, 0, text + pos, n) ? -EFAULT : (s64)n;
}

/* Whoever asked to be told gives that up by closing any descriptor of the queue. */
static int mqueue_flush(struct file *f)
{
	struct mq *q = mq_of(f);
	struct file *told = NULL;

	lock(&q->lock);
	if (q->notify_process == current->process)
		told = mq_forget_notify(q, NOTIFY_REMOVED);
	unlock(&q->lock);
	if (told)
		file_put(told);
	return 0;
}

const struct file_ops mqueue_ops = {
	.poll = mqueue_poll, .read = mqueue_read, .flush = mqueue_flush, .seekable = true,
};
