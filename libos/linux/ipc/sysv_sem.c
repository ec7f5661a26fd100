/* SPDX-License-Identifier: Apache-2.0
 *
 * System V semaphores. The operations of one semop() are done all or none: who
 * must wait leaves them with the set, and whoever changes a value carries out
 * those that have become possible before the sleeper is woken. It knows of
 * processes only what undoing needs.
 */
#include <linux/capability.h>
#include <linux/sem.h>
#include <linux/time.h>

#include "linux/fs/pseudo.h"
#include "sysv.h"

enum { SLEEPING = 1 }; /* sem_waiter.status; else what semop() returns */

struct sem { u16 value; u32 pid; /* of the last operation */ };
struct sem_set {
	struct ipc_object ipc;
	s64 otime, ctime;
	struct list zero, alter; /* sleepers, in order: those that only wait for zero, and others */
	struct list undos;
	u32 count;
	struct sem sems[];
};
/* What a process owes a set when it ends. */
struct sem_undo {
	struct list process_node, set_node;
	struct sem_set *set;
	s16 adjust[];
};
struct sem_undo_list { struct ref ref; struct list undos; }; /* of the tasks that share it */
struct sem_waiter {
	struct list node;
	struct task *task;
	struct sem_undo *undo;
	u32 pid, count;
	u32 blocking; /* the operation that cannot be done */
	s32 status;
	bool alters;
	struct sembuf ops[];
};

static struct ipc_family *family(void) { return &sysv()->sem; }
static struct sem_set *set_of(struct ipc_object *o) { return container_of(o, struct sem_set, ipc); }

/* ---- operations ---- */

static int try_one(struct sem_set *s, const struct sem_waiter *w, const struct sembuf *op)
{
	struct sem *sem = &s->sems[op->sem_num];
	s32 value = sem->value + op->sem_op;

	if ((!op->sem_op && sem->value) || value < 0)
		return op->sem_flg & IPC_NOWAIT ? -EAGAIN : SLEEPING;
	if (value > SEMVMX)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		s32 adjust = w->undo->adjust[op->sem_num] - op->sem_op;
		if (adjust < -SEMAEM - 1 || adjust > SEMAEM)
			return -ERANGE;
		w->undo->adjust[op->sem_num] = (s16)adjust;
	}
	sem->value = (u16)value;
	return 0;
}

/* All of them: 0; or none: SLEEPING or an error. */
static int try_all(struct sem_set *s, struct sem_waiter *w)
{
	int err = 0;
	u32 i = 0;

	while (i < w->count && !(err = try_one(s, w, &w->ops[i])))
		i++;
	if (!err) {
		while (i-- > 0)
			s->sems[w->ops[i].sem_num].pid = w->pid;
		return 0;
	}
	w->blocking = i;
	while (i-- > 0) {
		const struct sembuf *op = &w->ops[i];
		s->sems[op->sem_num].value = (u16)(s->sems[op->sem_num].value - op->sem_op);
		if (op->sem_flg & SEM_UNDO)
			w->undo->adjust[op->sem_num] = (s16)(w->undo->adjust[op->sem_num] + op->sem_op);
	}
	return err;
}

static void finish(struct sem_waiter *w, int status)
{
	list_del(&w->node);
	__atomic_store_n(&w->status, status, __ATOMIC_RELEASE);
	wake_later(&family()->bells, w->task); /* it takes the lock before it frees w */
}

static bool serve_zero(struct sem_set *s)
{
	bool any = false;

	list_for_each_safe(pos, next, &s->zero) {
		struct sem_waiter *w = list_entry(pos, struct sem_waiter, node);
		int status = try_all(s, w);
		if (status == SLEEPING)
			continue;
		finish(w, status);
		any |= !status;
	}
	return any;
}

static bool serve_alter(struct sem_set *s)
{
	list_for_each_safe(pos, next, &s->alter) {
		struct sem_waiter *w = list_entry(pos, struct sem_waiter, node);
		int status = try_all(s, w);
		if (status == SLEEPING)
			continue;
		finish(w, status);
		if (!status)
			return true;
	}
	return false;
}

/* Values changed: let those go on that can. operated: by an operation, which has its time. */
static void update(struct sem_set *s, bool operated)
{
	do
		operated |= serve_zero(s);
	while (serve_alter(s) && (operated = true));
	if (operated)
		s->otime = ipc_seconds();
}

/* ---- undoing ---- */

static struct sem_undo_list *undo_list(struct task *t)
{
	struct sem_undo_list *l = t->sem_undo;

	if (l || !(l = kzalloc(sizeof(*l))))
		return l;
	ref_init(&l->ref);
	list_init(&l->undos);
	t->sem_undo = l;
	return l;
}

/* lock held. NULL: out of memory. */
static struct sem_undo *find_undo(struct sem_set *s)
{
	struct sem_undo_list *l = undo_list(current);
	struct sem_undo *u;

	if (!l)
		return NULL;
	list_for_each(pos, &l->undos) {
		u = list_entry(pos, struct sem_undo, process_node);
		if (u->set == s)
			return u;
	}
	u = kzalloc(sizeof(*u) + s->count * sizeof(u->adjust[0]));
	if (!u)
		return NULL;
	u->set = s;
	list_add(&l->undos, &u->process_node);
	list_add(&s->undos, &u->set_node);
	return u;
}

static void undo_free(struct sem_undo *u)
{
	list_del(&u->process_node);
	list_del(&u->set_node);
	kfree(u);
}

static void undo_apply(struct sem_undo *u, u32 pid)
{
	struct sem_set *s = u->set;

	for (u32 i = 0; i < s->count; i++) {
		s32 value = s->sems[i].value + u->adjust[i];
		if (!u->adjust[i])
			continue;
		s->sems[i].value = (u16)(value < 0 ? 0 : value > SEMVMX ? SEMVMX : value);
		s->sems[i].pid = pid;
	}
	undo_free(u);
	update(s, true);
}

int sem_undo_share(struct task *child, struct task *from)
{
	int err = -ENOMEM;

	lock(&family()->lock); /* threads that share nothing yet may make others at once */
	if (undo_list(from)) {
		child->sem_undo = from->sem_undo;
		ref_get(&from->sem_undo->ref);
		err = 0;
	}
	ipc_unlock(family());
	return err;
}

void sem_undo_exit(struct task *t)
{
	struct sem_undo_list *l = t->sem_undo;

	t->sem_undo = NULL;
	if (!l || !ref_put(&l->ref))
		return;
	lock(&family()->lock);
	while (!list_empty(&l->undos))
		undo_apply(list_entry(l->undos.next, struct sem_undo, process_node), t->process->pid);
	ipc_unlock(family());
	kfree(l);
}

/* ---- semget ---- */

static s64 create(const struct ipc_request *r)
{
	struct sysv *v = sysv();
	const u32 count = (u32)r->size;

	if (!count)
		return -EINVAL;
	if (v->sem_count + (s64)count > v->sem_limits[1])
		return -ENOSPC;
	struct sem_set *s = kzalloc(sizeof(*s) + count * sizeof(s->sems[0]));
	if (!s)
		return -ENOMEM;
	int id = ipc_add(family(), &s->ipc, r, (u32)v->sem_limits[3]);
	if (id < 0) {
		kfree(s);
		return id;
	}
	list_init(&s->zero);
	list_init(&s->alter);
	list_init(&s->undos);
	s->count = count;
	s->ctime = ipc_seconds();
	v->sem_count += (s32)count;
	return id;
}

static int check(const struct ipc_object *o, const struct ipc_request *r)
{
	return r->size > container_of(o, const struct sem_set, ipc)->count ? -EINVAL : 0;
}

SYSCALL(semget)
{
	static const struct ipc_kind kind = { create, check };
	const struct ipc_request r = { (s32)a[0], (u32)a[2], (u32)a[1] };

	if ((s32)a[1] < 0 || (s32)a[1] > sysv()->sem_limits[0])
		return -EINVAL;
	return ipc_get(family(), &kind, &r);
}

static void destroy(struct sem_set *s)
{
	struct list *lists[] = { &s->zero, &s->alter };

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		while (!list_empty(lists[i]))
			finish(list_entry(lists[i]->next, struct sem_waiter, node), -EIDRM);
	while (!list_empty(&s->undos))
		undo_free(list_entry(s->undos.next, struct sem_undo, set_node));
	ipc_remove(family(), &s->ipc);
	sysv()->sem_count -= (s32)s->count;
	kfree(s);
}

/* ---- semop ---- */

/* lock held, given up. */
static int wait_for(struct sem_set *s, struct sem_waiter *w, u64 deadline)
{
	int err = 0;

	w->status = SLEEPING;
	list_add_tail(w->alters ? &s->alter : &s->zero, &w->node);
	wait_begin();
	ipc_unlock(family());
	while (__atomic_load_n(&w->status, __ATOMIC_ACQUIRE) == SLEEPING && !(err = wait_sleep(deadline)))
		wait_begin();
	lock(&family()->lock);
	if (w->status == SLEEPING)
		list_del(&w->node);
	else
		err = w->status;
	ipc_unlock(family());
	return err;
}

static int operate(s32 id, struct sem_waiter *w, u64 deadline)
{
	struct ipc_object *o;
	u32 highest = 0;
	bool undo = false;
	int err = -EINVAL;

	for (u32 i = 0; i < w->count; i++) {
		highest = MAX(highest, w->ops[i].sem_num);
		undo |= w->ops[i].sem_flg & SEM_UNDO;
		w->alters |= w->ops[i].sem_op != 0;
	}
	lock(&family()->lock);
	if (!(o = ipc_find(family(), id)))
		goto out;
	struct sem_set *s = set_of(o);
	err = -ENOMEM;
	if (undo && !(w->undo = find_undo(s)))
		goto out;
	err = -EFBIG;
	if (highest >= s->count)
		goto out;
	err = -EACCES;
	if (!ipc_allowed(o, w->alters ? 0222 : 0444))
		goto out;
	err = try_all(s, w);
	if (err == SLEEPING)
		return wait_for(s, w, deadline);
	if (!err && w->alters)
		update(s, true);
	else if (!err)
		s->otime = ipc_seconds();
out:
	ipc_unlock(family());
	return err;
}

static struct sem_waiter *take_ops(uaddr ops, u32 count)
{
	struct sem_waiter *w = kmalloc(sizeof(*w) + count * sizeof(w->ops[0]));

	if (!w)
		return ERR_PTR(-ENOMEM);
	memset(w, 0, sizeof(*w));
	if (copy_from_user(w->ops, ops, count * sizeof(w->ops[0]))) {
		kfree(w);
		return ERR_PTR(-EFAULT);
	}
	w->task = current;
	w->pid = current->process->pid;
	w->count = count;
	return w;
}

static s64 do_semop(s32 id, uaddr ops, u32 count, u64 deadline);

static long semop_restart(struct task *t)
{
	return do_semop((s32)t->restart_args[0], t->restart_args[1], (u32)t->restart_args[2], t->restart_args[3]);
}

/* No signal restarts semop(). When only the instance was parked, it goes on. */
static s64 interrupted(s32 id, uaddr ops, u32 count, u64 deadline)
{
	struct task *t = current;

	if (wait_ended_by_signal() || __atomic_load_n(&t->flags, __ATOMIC_ACQUIRE) & TIF_STOP)
		return -EINTR;
	t->restart = semop_restart;
	t->restart_args[0] = (u64)id;
	t->restart_args[1] = ops;
	t->restart_args[2] = count;
	t->restart_args[3] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

static s64 do_semop(s32 id, uaddr ops, u32 count, u64 deadline)
{
	struct sem_waiter *w = take_ops(ops, count);

	if (IS_ERR(w))
		return PTR_ERR(w);
	int err = id < 0 ? -EINVAL : operate(id, w, deadline);
	kfree(w);
	return err == -ETIMEDOUT ? -EAGAIN : err == -ERESTARTSYS ? interrupted(id, ops, count, deadline) : err;
}

static s64 semop(const u64 *a, uaddr timeout)
{
	struct lx_timespec ts;
	u64 deadline = PICO_FOREVER;

	if (timeout && copy_from_user(&ts, timeout, sizeof(ts)))
		return -EFAULT;
	if ((u32)a[2] > (u32)sysv()->sem_limits[2])
		return -E2BIG;
	if (!(u32)a[2])
		return -EINVAL;
	if (timeout && deadline_from_timespec(&ts, CLOCK_MONOTONIC, false, &deadline))
		return -EINVAL;
	return do_semop((s32)a[0], a[1], (u32)a[2], deadline);
}

SYSCALL(semop) { return semop(a, 0); }
SYSCALL(semtimedop) { return semop(a, a[3]); }

/* ---- semctl ---- */

static s64 info(u32 cmd, uaddr to)
{
	struct sysv *v = sysv();
	struct seminfo i = {
		.semmni = v->sem_limits[3], .semmns = v->sem_limits[1], .semmsl = v->sem_limits[0], .semopm = v->sem_limits[2],
		.semvmx = SEMVMX, .semmnu = SEMMNU, .semmap = SEMMAP, .semume = SEMUME, .semusz = SEMUSZ, .semaem = SEMAEM,
	};

	lock(&family()->lock);
	if (cmd == SEM_INFO) {
		i.semusz = (s32)family()->count;
		i.semaem = v->sem_count;
	}
	s32 last = ipc_last_number(family());
	ipc_unlock(family());
	return copy_to_user(to, &i, sizeof(i)) ? -EFAULT : last;
}

static s64 stat(s32 id, u32 cmd, uaddr to)
{
	struct semid64_ds ds = { .sem_nsems = 0 };
	struct ipc_object *o;

	lock(&family()->lock);
	s64 ret = ipc_find_stat(family(), id, cmd != IPC_STAT, cmd == SEM_STAT_ANY, &o);
	if (!ret) {
		struct sem_set *s = set_of(o);
		ipc_get_perm(o, &ds.sem_perm);
		ds.sem_otime = s->otime;
		ds.sem_ctime = s->ctime;
		ds.sem_nsems = s->count;
		ret = cmd == IPC_STAT ? 0 : o->id;
	}
	ipc_unlock(family());
	return ret >= 0 && copy_to_user(to, &ds, sizeof(ds)) ? -EFAULT : ret;
}

static int set_or_remove(s32 id, u32 cmd, uaddr from)
{
	struct semid64_ds ds;
	struct ipc_object *o;

	if (cmd == IPC_SET && copy_from_user(&ds, from, sizeof(ds)))
		return -EFAULT;
	lock(&family()->lock);
	int err = ipc_find_owned(family(), id, &o);
	if (!err && cmd == IPC_RMID)
		destroy(set_of(o));
	else if (!err && !(err = ipc_set_perm(o, &ds.sem_perm)))
		set_of(o)->ctime = ipc_seconds();
	ipc_unlock(family());
	return err;
}

/* Sleepers for one of a set, by the operation that they cannot do. */
static u32 sleepers(const struct sem_set *s, u32 number, bool for_zero)
{
	const struct list *lists[] = { &s->zero, &s->alter };
	u32 n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		list_for_each(pos, lists[i]) {
			const struct sem_waiter *w = list_entry(pos, struct sem_waiter, node);
			const struct sembuf *op = &w->ops[w->blocking];
			n += op->sem_num == number && (for_zero ? op->sem_op == 0 : op->sem_op < 0);
		}
	return n;
}

static s64 ask_one(const struct sem_set *s, u32 number, u32 cmd)
{
	const struct sem *sem = &s->sems[number];

	switch (cmd) {
	case GETVAL: return sem->value;
	case GETPID: return sem->pid;
	case GETNCNT: return sleepers(s, number, false);
	default: return sleepers(s, number, true);
	}
}

static s64 get_one(s32 id, s32 number, u32 cmd)
{
	struct ipc_object *o;
	s64 ret;

	lock(&family()->lock);
	if (!(o = ipc_find(family(), id)))
		ret = -EINVAL;
	else if (!ipc_allowed(o, 0444))
		ret = -EACCES;
	else if (number < 0 || (u32)number >= set_of(o)->count)
		ret = -EINVAL;
	else
		ret = ask_one(set_of(o), (u32)number, cmd);
	ipc_unlock(family());
	return ret;
}

/* lock held: a value is set by hand, so nothing is owed any more. */
static void assign(struct sem_set *s, u32 number, u16 value)
{
	list_for_each(pos, &s->undos)
		list_entry(pos, struct sem_undo, set_node)->adjust[number] = 0;
	s->sems[number].value = value;
	s->sems[number].pid = current->process->pid;
}

static s64 set_one(s32 id, s32 number, s32 value)
{
	struct ipc_object *o;
	s64 err = 0;

	if (value < 0 || value > SEMVMX)
		return -ERANGE;
	lock(&family()->lock);
	if (!(o = ipc_find(family(), id)) || number < 0 || (u32)number >= set_of(o)->count) {
		err = -EINVAL;
	} else if (!ipc_allowed(o, 0222)) {
		err = -EACCES;
	} else {
		assign(set_of(o), (u32)number, (u16)value);
		set_of(o)->ctime = ipc_seconds();
		update(set_of(o), false);
	}
	ipc_unlock(family());
	return err;
}

/* How many there are, with the right to look (or to set); the set may be another one later. */
static s64 all_count(s32 id, u32 mode)
{
	struct ipc_object *o;

	lock(&family()->lock);
	s64 ret = !(o = ipc_find(family(), id)) ? -EINVAL : ipc_allowed(o, mode) ? (s64)set_of(o)->count : -EACCES;
	ipc_unlock(family());
	return ret;
}

static s64 get_all(s32 id, uaddr to)
{
	s64 count = all_count(id, 0444), err = 0;
	struct ipc_object *o;
	u16 *values;

	if (count < 0)
		return count;
	if (!(values = kmalloc((size_t)count * sizeof(*values))))
		return -ENOMEM;
	lock(&family()->lock);
	if (!(o = ipc_find(family(), id)) || set_of(o)->count != count)
		err = -EIDRM;
	for (u32 i = 0; !err && i < (u32)count; i++)
		values[i] = set_of(o)->sems[i].value;
	ipc_unlock(family());
	if (!err && copy_to_user(to, values, (size_t)count * sizeof(*values)))
		err = -EFAULT;
	kfree(values);
	return err;
}

static s64 set_all(s32 id, uaddr from)
{
	s64 count = all_count(id, 0222), err = 0;
	struct ipc_object *o;
	u16 *values;

	if (count < 0)
		return count;
	if (!(values = kmalloc((size_t)count * sizeof(*values))))
		return -ENOMEM;
	if (copy_from_user(values, from, (size_t)count * sizeof(*values)))
		err = -EFAULT;
	for (u32 i = 0; !err && i < (u32)count; i++)
		err = values[i] > SEMVMX ? -ERANGE : 0;
	lock(&family()->lock);
	if (!err && (!(o = ipc_find(family(), id)) || set_of(o)->count != count))
		err = -EIDRM;
	if (!err) {
		for (u32 i = 0; i < (u32)count; i++)
			assign(set_of(o), i, values[i]);
		set_of(o)->ctime = ipc_seconds();
		update(set_of(o), false);
	}
	ipc_unlock(family());
	kfree(values);
	return err;
}

SYSCALL(semctl)
{
	const s32 id = (s32)a[0], number = (s32)a[1];
	const u32 cmd = (u32)a[2];

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO: case SEM_INFO: return info(cmd, a[3]);
	case IPC_STAT: case SEM_STAT: case SEM_STAT_ANY: return stat(id, cmd, a[3]);
	case IPC_SET: case IPC_RMID: return set_or_remove(id, cmd, a[3]);
	case GETVAL: case GETPID: case GETNCNT: case GETZCNT: return get_one(id, number, cmd);
	case GETALL: return get_all(id, a[3]);
	case SETVAL: return set_one(id, number, (s32)a[3]);
	case SETALL: return set_all(id, a[3]);
	default: return -EINVAL;
	}
}

/* ---- /proc/sysvipc/sem ---- */

static void show_one(struct ipc_object *o, void *seq)
{
	const struct sem_set *s = set_of(o);

	seq_printf(seq, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", o->key, o->id, o->mode, s->count, o->uid, o->gid,
		o->cuid, o->cgid, (long)s->otime, (long)s->ctime);
}

int show_sysvipc_sem(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	lock(&family()->lock);
	ipc_for_each(family(), show_one, s);
	ipc_unlock(family());
	return 0;
}
