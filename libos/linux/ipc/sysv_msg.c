/* SPDX-License-Identifier: Apache-2.0
 *
 * System V message queues. Who waits for a message is handed it by the sender;
 * who waits for room is woken in turn and looks again. Nothing is copied from or
 * to a program while the lock is held.
 */
#include <linux/capability.h>
#include <linux/msg.h>

#include "linux/fs/pseudo.h"
#include "sysv.h"

struct message { struct list node; s64 type; u64 size; char data[]; };
struct queue {
	struct ipc_object ipc;
	s64 stime, rtime, ctime;
	u64 bytes, count, max_bytes;
	u32 lspid, lrpid;
	struct list messages, receivers, senders;
};
enum match { MATCH_ANY, MATCH_EQUAL, MATCH_NOT, MATCH_MOST, MATCH_NUMBER };
struct selection { enum match match; s64 type; };
/* Somebody asleep. Off its list, it was woken for good: got or status say how. */
struct msg_waiter {
	struct list node;
	struct task *task;
	struct selection wanted; /* receivers */
	u64 size; /* of the message to send; the most a receiver takes */
	struct message *got;
	s32 status; /* ASLEEP; 0: look again, or got; -errno */
};
enum { ASLEEP = 1 };

static struct ipc_family *family(void) { return &sysv()->msg; }
static struct queue *queue_of(struct ipc_object *o) { return container_of(o, struct queue, ipc); }

static void finish(struct msg_waiter *w, int status)
{
	list_del(&w->node);
	__atomic_store_n(&w->status, status, __ATOMIC_RELEASE);
	wake_later(&family()->bells, w->task); /* it takes the lock before it frees w */
}

static void finish_all(struct list *waiters, int status)
{
	while (!list_empty(waiters))
		finish(list_entry(waiters->next, struct msg_waiter, node), status);
}

static bool fits(const struct queue *q, u64 size)
{
	return size + q->bytes <= q->max_bytes && 1 + q->count <= q->max_bytes;
}

/* In turn, as long as there would be room; who comes after one that is too big waits with it. */
static void wake_senders(struct queue *q)
{
	u64 bytes = 0;

	while (!list_empty(&q->senders)) {
		struct msg_waiter *w = list_entry(q->senders.next, struct msg_waiter, node);
		if (!fits(q, bytes + w->size))
			break;
		bytes += w->size;
		finish(w, 0);
	}
}

/* lock held, given up meanwhile. */
static int sleep_on(struct list *waiters, struct msg_waiter *w)
{
	int err = 0;

	w->task = current;
	w->got = NULL;
	w->status = ASLEEP;
	list_add_tail(waiters, &w->node);
	wait_begin();
	ipc_unlock(family());
	while (__atomic_load_n(&w->status, __ATOMIC_ACQUIRE) == ASLEEP && !(err = wait_sleep(PICO_FOREVER)))
		wait_begin();
	lock(&family()->lock);
	if (w->status != ASLEEP)
		return w->status;
	list_del(&w->node);
	return err == -ERESTARTSYS ? -ERESTARTNOHAND : err;
}

/* ---- msgget ---- */

static s64 create(const struct ipc_request *r)
{
	struct queue *q = kzalloc(sizeof(*q));

	if (!q)
		return -ENOMEM;
	int id = ipc_add(family(), &q->ipc, r, (u32)sysv()->msg_mni);
	if (id < 0) {
		kfree(q);
		return id;
	}
	list_init(&q->messages);
	list_init(&q->receivers);
	list_init(&q->senders);
	q->max_bytes = (u64)sysv()->msg_mnb;
	q->ctime = ipc_seconds();
	return id;
}

SYSCALL(msgget)
{
	static const struct ipc_kind kind = { create, NULL };
	const struct ipc_request r = { (s32)a[0], (u32)a[1], 0 };

	return ipc_get(family(), &kind, &r);
}

static void take_out(struct queue *q, struct message *m)
{
	list_del(&m->node);
	q->count--;
	q->bytes -= m->size;
	sysv()->msg_count--;
	sysv()->msg_bytes -= m->size;
}

static void destroy(struct queue *q)
{
	finish_all(&q->receivers, -EIDRM);
	finish_all(&q->senders, -EIDRM);
	while (!list_empty(&q->messages)) {
		struct message *m = list_entry(q->messages.next, struct message, node);
		take_out(q, m);
		kfree(m);
	}
	ipc_remove(family(), &q->ipc);
	kfree(q);
}

/* ---- msgsnd ---- */

static bool matches(const struct message *m, const struct selection *s)
{
	switch (s->match) {
	case MATCH_EQUAL: return m->type == s->type;
	case MATCH_NOT: return m->type != s->type;
	case MATCH_MOST: return m->type <= s->type;
	default: return true;
	}
}

/* Gives it to one who waits for such a message; those whom it is too long for are told so. */
static bool hand_over(struct queue *q, struct message *m)
{
	list_for_each_safe(pos, next, &q->receivers) {
		struct msg_waiter *w = list_entry(pos, struct msg_waiter, node);
		if (!matches(m, &w->wanted))
			continue;
		if (w->size < m->size) {
			finish(w, -E2BIG);
			continue;
		}
		q->lrpid = w->task->process->pid;
		q->rtime = ipc_seconds();
		w->got = m;
		finish(w, 0);
		return true;
	}
	return false;
}

static void deliver(struct queue *q, struct message *m)
{
	q->lspid = current->process->pid;
	q->stime = ipc_seconds();
	if (hand_over(q, m))
		return;
	list_add_tail(&q->messages, &m->node);
	q->count++;
	q->bytes += m->size;
	sysv()->msg_count++;
	sysv()->msg_bytes += m->size;
}

/* On success the queue has m. */
static int send(s32 id, struct message *m, u32 flags)
{
	struct msg_waiter *w = NULL; /* others reach it: not on our stack */
	struct ipc_object *o;
	int err = 0;

	lock(&family()->lock);
	for (bool again = false; !err; again = true) {
		if (!(o = ipc_find(family(), id)))
			err = again ? -EIDRM : -EINVAL;
		else if (!ipc_allowed(o, 0222))
			err = -EACCES;
		else if (fits(queue_of(o), m->size))
			break;
		else if (flags & IPC_NOWAIT)
			err = -EAGAIN;
		else if (!w && !(w = kzalloc(sizeof(*w))))
			err = -ENOMEM;
		if (!err) {
			w->size = m->size;
			err = sleep_on(&queue_of(o)->senders, w);
		}
	}
	if (!err)
		deliver(queue_of(o), m);
	ipc_unlock(family());
	kfree(w);
	return err;
}

SYSCALL(msgsnd)
{
	const s32 id = (s32)a[0];
	const u64 size = a[2];
	struct message *m;
	s64 type;

	if (get_user(type, a[1]))
		return -EFAULT;
	if ((s64)size < 0 || size > (u64)sysv()->msg_max || id < 0 || type < 1)
		return -EINVAL;
	m = kmalloc(sizeof(*m) + size);
	if (!m)
		return -ENOMEM;
	m->type = type;
	m->size = size;
	list_init(&m->node);
	int err = copy_from_user(m->data, a[1] + sizeof(type), size) ? -EFAULT : send(id, m, (u32)a[3]);
	if (err)
		kfree(m);
	return err;
}

/* ---- msgrcv ---- */

static struct selection selection(s64 type, u32 flags)
{
	if (flags & MSG_COPY)
		return (struct selection){ MATCH_NUMBER, type };
	if (!type)
		return (struct selection){ MATCH_ANY, 0 };
	if (type < 0)
		return (struct selection){ MATCH_MOST, type == INT64_MIN ? INT64_MAX : -type };
	return (struct selection){ flags & MSG_EXCEPT ? MATCH_NOT : MATCH_EQUAL, type };
}

static struct message *find(const struct queue *q, const struct selection *s)
{
	struct message *best = NULL;
	s64 number = 0;

	list_for_each(pos, &q->messages) {
		struct message *m = list_entry(pos, struct message, node);
		if (s->match == MATCH_NUMBER ? number++ != s->type : !matches(m, s))
			continue;
		if (s->match != MATCH_MOST)
			return m;
		if (!best || m->type < best->type)
			best = m;
	}
	return best;
}

/* For MSG_COPY: the message stays where it is. */
static int copy_message(const struct message *m, u64 room, struct message **out)
{
	if (m->size > room)
		return -EINVAL;
	struct message *copy = kmalloc(sizeof(*m) + m->size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, m, sizeof(*m) + m->size);
	*out = copy;
	return 0;
}

/* One that is there, if any: 0; -ENOMSG. lock held. */
static int receive_now(struct queue *q, const struct selection *s, u64 size, u32 flags, struct message **out)
{
	struct message *m = find(q, s);

	if (!m)
		return -ENOMSG;
	if (size < m->size && !(flags & MSG_NOERROR))
		return -E2BIG;
	if (flags & MSG_COPY)
		return copy_message(m, MIN(size, (u64)sysv()->msg_max), out);
	q->rtime = ipc_seconds();
	q->lrpid = current->process->pid;
	take_out(q, m);
	wake_senders(q);
	*out = m;
	return 0;
}

static int receive(s32 id, const struct selection *s, u64 size, u32 flags, struct message **out)
{
	struct msg_waiter *w = NULL;
	struct ipc_object *o;
	int err;

	*out = NULL;
	lock(&family()->lock);
	for (bool again = false;; again = true) {
		if (!(o = ipc_find(family(), id)))
			err = again ? -EIDRM : -EINVAL;
		else if (!ipc_allowed(o, 0444))
			err = -EACCES;
		else
			err = receive_now(queue_of(o), s, size, flags, out);
		if (err != -ENOMSG || flags & IPC_NOWAIT)
			break;
		if (!w && !(w = kmalloc(sizeof(*w)))) {
			err = -ENOMEM;
			break;
		}
		*w = (struct msg_waiter){ .wanted = *s, .size = flags & MSG_NOERROR ? UINT64_MAX : size };
		err = sleep_on(&queue_of(o)->receivers, w);
		*out = w->got;
		if (err || w->got)
			break;
	}
	ipc_unlock(family());
	kfree(w);
	return err;
}

SYSCALL(msgrcv)
{
	const s32 id = (s32)a[0];
	const u64 size = a[2];
	const u32 flags = (u32)a[4];
	const struct selection s = selection((s64)a[3], flags);
	struct message *m;
	s64 ret;

	if (id < 0 || (s64)size < 0)
		return -EINVAL;
	if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	ret = receive(id, &s, size, flags, &m);
	if (ret)
		return ret;
	ret = (s64)MIN(size, m->size);
	if (put_user(m->type, a[1]) || copy_to_user(a[1] + sizeof(m->type), m->data, (size_t)ret))
		ret = -EFAULT;
	kfree(m);
	return ret;
}

/* ---- msgctl ---- */

static s64 info(u32 cmd, uaddr to)
{
	struct sysv *v = sysv();
	struct msginfo i = {
		.msgmni = v->msg_mni, .msgmax = v->msg_max, .msgmnb = v->msg_mnb, .msgssz = MSGSSZ, .msgseg = MSGSEG,
		.msgpool = MSGPOOL, .msgmap = MSGMAP, .msgtql = MSGTQL,
	};

	lock(&family()->lock);
	if (cmd == MSG_INFO) {
		i.msgpool = (s32)family()->count;
		i.msgmap = (s32)v->msg_count;
		i.msgtql = (s32)v->msg_bytes;
	}
	s32 last = ipc_last_number(family());
	ipc_unlock(family());
	return copy_to_user(to, &i, sizeof(i)) ? -EFAULT : last;
}

static s64 stat(s32 id, u32 cmd, uaddr to)
{
	struct msqid64_ds ds = { .msg_qnum = 0 };
	struct ipc_object *o;

	lock(&family()->lock);
	s64 ret = ipc_find_stat(family(), id, cmd != IPC_STAT, cmd == MSG_STAT_ANY, &o);
	if (!ret) {
		const struct queue *q = queue_of(o);
		ipc_get_perm(o, &ds.msg_perm);
		ds.msg_stime = q->stime;
		ds.msg_rtime = q->rtime;
		ds.msg_ctime = q->ctime;
		ds.msg_cbytes = q->bytes;
		ds.msg_qnum = q->count;
		ds.msg_qbytes = q->max_bytes;
		ds.msg_lspid = (s32)q->lspid;
		ds.msg_lrpid = (s32)q->lrpid;
		ret = cmd == IPC_STAT ? 0 : o->id;
	}
	ipc_unlock(family());
	return ret >= 0 && copy_to_user(to, &ds, sizeof(ds)) ? -EFAULT : ret;
}

/* Sleepers look again, since they may not be allowed any more, or have room now. */
static int change(struct queue *q, const struct msqid64_ds *ds)
{
	if (ds->msg_qbytes > (u64)sysv()->msg_mnb && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	int err = ipc_set_perm(&q->ipc, &ds->msg_perm);
	if (err)
		return err;
	q->max_bytes = ds->msg_qbytes;
	q->ctime = ipc_seconds();
	finish_all(&q->receivers, 0);
	finish_all(&q->senders, 0);
	return 0;
}

static int set_or_remove(s32 id, u32 cmd, uaddr from)
{
	struct msqid64_ds ds;
	struct ipc_object *o;

	if (cmd == IPC_SET && copy_from_user(&ds, from, sizeof(ds)))
		return -EFAULT;
	lock(&family()->lock);
	int err = ipc_find_owned(family(), id, &o);
	if (!err && cmd == IPC_RMID)
		destroy(queue_of(o));
	else if (!err)
		err = change(queue_of(o), &ds);
	ipc_unlock(family());
	return err;
}

SYSCALL(msgctl)
{
	const s32 id = (s32)a[0];
	const u32 cmd = (u32)a[1];

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO: case MSG_INFO: return info(cmd, a[2]);
	case IPC_STAT: case MSG_STAT: case MSG_STAT_ANY: return stat(id, cmd, a[2]);
	case IPC_SET: case IPC_RMID: return set_or_remove(id, cmd, a[2]);
	default: return -EINVAL;
	}
}

/* ---- /proc/sysvipc/msg ---- */

static void show_one(struct ipc_object *o, void *seq)
{
	const struct queue *q = queue_of(o);

	seq_printf(seq, "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10ld %10ld %10ld\n", o->key, o->id, o->mode, q->bytes,
		q->count, q->lspid, q->lrpid, o->uid, o->gid, o->cuid, o->cgid, (long)q->stime, (long)q->rtime, (long)q->ctime);
}

int show_sysvipc_msg(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
	lock(&family()->lock);
	ipc_for_each(family(), show_one, s);
	ipc_unlock(family());
	return 0;
}
