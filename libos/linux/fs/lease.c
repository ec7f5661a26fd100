/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has a file open: running programs keep writers away (ETXTBSY), leases
 * (fcntl F_SETLEASE) are told when somebody opens. It must not know how files
 * are opened.
 */
#include "internal.h"
#include <asm/signal.h>

#define LEASE_BREAK_TIME (K->knobs.lease_break_time * NSEC_PER_SEC)

struct lease {
	struct list node;
	struct file *holder; /* goes with it */
	u32 type; /* F_RDLCK F_WRLCK */
	u32 wanted; /* what it must become: F_UNLCK, F_RDLCK; its own type: nobody asks */
	u64 deadline; /* of the change */
};
struct leases { struct list list; struct wait_queue wait; };

/* ---- counts ---- */

int file_claim(struct file *f, bool exec)
{
	struct inode *i = f->inode;

	if (exec || f->mode_bits & FMODE_WRITE) {
		s32 c = __atomic_load_n(&i->writers, __ATOMIC_RELAXED);
		do
			if (exec ? c > 0 : c < 0) return -ETXTBSY;
		while (!__atomic_compare_exchange_n(&i->writers, &c, exec ? c - 1 : c + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
		f->mode_bits |= exec ? FMODE_EXEC : FMODE_WRITER;
	}
	__atomic_fetch_add(&i->opens, 1, __ATOMIC_RELAXED);
	f->mode_bits |= FMODE_COUNTED;
	return 0;
}

void file_unclaim(struct file *f)
{
	struct inode *i = f->inode;

	if (f->mode_bits & FMODE_WRITER) __atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
	if (f->mode_bits & FMODE_EXEC) __atomic_fetch_add(&i->writers, 1, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&i->opens, 1, __ATOMIC_RELAXED);
	if (i->leases) lease_released(f);
}

/* ---- leases ---- */

static struct lease *find(struct leases *l, const struct file *holder)
{
	list_for_each(p, &l->list) {
		struct lease *e = list_entry(p, struct lease, node);
		if (e->holder == holder) return e;
	}
	return NULL;
}

static struct leases *leases_of(struct inode *i, bool make)
{
	struct leases *l = __atomic_load_n((struct leases **)&i->leases, __ATOMIC_ACQUIRE), *none = NULL;

	if (l || !make) return l;
	l = kzalloc(sizeof(*l));
	if (!l) return NULL;
	list_init(&l->list);
	wait_queue_init(&l->wait);
	if (__atomic_compare_exchange_n((struct leases **)&i->leases, &none, l, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return l;
	kfree(l);
	return none;
}

static void drop(struct leases *l, struct lease *e)
{
	list_del(&e->node);
	kfree(e);
	wake_up(&l->wait, 0);
}

static int unlease(struct file *f)
{
	struct leases *l = leases_of(f->inode, false);
	int err = -EAGAIN;

	if (!l) return err;
	lock(&vfs()->lease_lock);
	struct lease *e = find(l, f);
	if (e) {
		drop(l, e);
		err = 0;
	}
	unlock(&vfs()->lease_lock);
	return err;
}

/* lease_lock held. */
static int grant(struct leases *l, struct file *f, u32 type, struct lease **fresh)
{
	struct inode *i = f->inode;
	struct lease *e = find(l, f);

	if (type == F_RDLCK && __atomic_load_n(&i->writers, __ATOMIC_ACQUIRE) > 0) return -EAGAIN;
	if (type == F_WRLCK && (__atomic_load_n(&i->opens, __ATOMIC_ACQUIRE) > 1 || i->writers < 0)) return -EAGAIN;
	list_for_each(p, &l->list) {
		struct lease *other = list_entry(p, struct lease, node);
		if (other != e && (type == F_WRLCK || other->type == F_WRLCK)) return -EAGAIN;
	}
	if (!e) {
		e = *fresh;
		*fresh = NULL;
		e->holder = f;
		list_add_tail(&l->list, &e->node);
	} else if (e->wanted != e->type && type != e->wanted) {
		return -EAGAIN; /* being broken: only down */
	}
	e->type = e->wanted = type;
	wake_up(&l->wait, 0);
	return 0;
}

int lease_set(struct file *f, u32 type)
{
	struct inode *i = f->inode;

	if (!i) return -EINVAL;
	if (creds_now()->fsuid != i->uid && !capable(CAP_LEASE)) return -EACCES;
	if (!S_ISREG(i->mode)) return -EINVAL;
	if (type == F_UNLCK) return unlease(f);
	if (type != F_RDLCK && type != F_WRLCK) return -EINVAL;
	struct leases *l = leases_of(i, true);
	struct lease *fresh = kzalloc(sizeof(*fresh));
	if (!l || !fresh) {
		kfree(fresh);
		return -ENOMEM;
	}
	lock(&vfs()->lease_lock);
	int err = grant(l, f, type, &fresh);
	unlock(&vfs()->lease_lock);
	kfree(fresh);
	if (!err && !f->owner_pid) {
		f->owner_type = F_OWNER_PID;
		f->owner_pid = current->process->pid;
	}
	return err;
}

u32 lease_get(struct file *f)
{
	struct leases *l = f->inode ? leases_of(f->inode, false) : NULL;
	u32 type = F_UNLCK;

	if (!l) return type;
	lock(&vfs()->lease_lock);
	struct lease *e = find(l, f);
	if (e) type = e->wanted;
	unlock(&vfs()->lease_lock);
	return type;
}

/* Asks who stands in the way to go; returns until when to wait, 0: nobody does. */
static u64 ask(struct leases *l, bool write, struct process **tell, int *signo)
{
	u64 until = 0;

	list_for_each_safe(p, next, &l->list) {
		struct lease *e = list_entry(p, struct lease, node);
		if (!write && e->type == F_RDLCK) continue;
		u32 wanted = write ? F_UNLCK : F_RDLCK;
		if (e->wanted == e->type) {
			if (*tell) { /* one at a time: this one at the next turn, at once */
				until = now_mono();
				continue;
			}
			e->deadline = now_mono() + LEASE_BREAK_TIME;
			if (e->holder->owner_pid && e->holder->owner_type != F_OWNER_PGRP) {
				*tell = process_by_pid(e->holder->owner_pid);
				*signo = e->holder->owner_signal ? (int)e->holder->owner_signal : SIGIO;
			}
		} else if (now_mono() >= e->deadline) { /* had its time */
			if (wanted == F_UNLCK) drop(l, e);
			else e->type = e->wanted = F_RDLCK;
			continue;
		}
		if (e->wanted != F_UNLCK) e->wanted = wanted;
		if (!until || e->deadline < until) until = e->deadline;
	}
	return until;
}

int lease_break(struct inode *i, bool write, bool nonblock)
{
	struct leases *l = leases_of(i, false);
	struct wait_entry *w = &current->wait_slot;
	int err = 0;

	if (!l) return 0;
	for (;;) {
		struct process *tell = NULL;
		int signo = 0;
		wait_begin();
		wait_add(&l->wait, w);
		lock(&vfs()->lease_lock);
		u64 until = ask(l, write, &tell, &signo);
		unlock(&vfs()->lease_lock);
		if (tell) {
			signal_send_process(tell, signo, NULL);
			process_put(tell);
		}
		if (until) err = nonblock ? -EAGAIN : wait_sleep(until);
		wait_remove(w);
		if (!until || (err && err != -ETIMEDOUT)) return err;
	}
}

void lease_released(struct file *f)
{
	unlease(f);
}

void lease_inode_free(struct inode *i)
{
	kfree(i->leases);
	i->leases = NULL;
}
