/* SPDX-License-Identifier: Apache-2.0
 *
 * Advisory locks: flock(2) and record locks, whose owner is a process's
 * descriptor table (POSIX) or an open file description (OFD). One lock guards
 * all of them: they are few, and looking for deadlocks needs the whole picture.
 */
#include "internal.h"

#define OFFSET_LAST ((u64)INT64_MAX)
#define DEADLOCK_DEPTH 100

struct user_flock { s16 type, whence; u32 pad; s64 start, size; s32 pid; u32 pad2; };
struct file_lock {
	struct list node;
	void *owner;
	u32 pid; /* 0: OFD */
	u32 type; /* F_RDLCK F_WRLCK F_UNLCK */
	u64 start, end; /* both included */
};
struct lock_context { /* inode->flocks */
	struct list records, flocks;
	struct wait_queue wait; /* something was unlocked */
	struct list node; /* of all contexts, under the lock */
	struct inode *inode;
};
struct blocked { struct list node; void *owner, *by; };

static struct lock_context *context(struct inode *i, bool make)
{
	struct lock_context *c = __atomic_load_n((struct lock_context **)&i->flocks, __ATOMIC_ACQUIRE), *none = NULL;

	if (c || !make) return c;
	c = kzalloc(sizeof(*c));
	if (!c) return NULL;
	list_init(&c->records);
	list_init(&c->flocks);
	wait_queue_init(&c->wait);
	list_init(&c->node);
	c->inode = i;
	if (__atomic_compare_exchange_n((struct lock_context **)&i->flocks, &none, c, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		lock(&vfs()->flock_lock);
		list_add_tail(&vfs()->flock_contexts, &c->node);
		unlock(&vfs()->flock_lock);
		return c;
	}
	kfree(c);
	return none;
}

static bool conflict(const struct file_lock *a, const struct file_lock *b)
{
	return a->owner != b->owner && a->start <= b->end && b->start <= a->end && (a->type == F_WRLCK || b->type == F_WRLCK);
}

static struct file_lock *find_conflict(struct list *locks, const struct file_lock *want)
{
	list_for_each(p, locks) {
		struct file_lock *l = list_entry(p, struct file_lock, node);
		if (conflict(l, want)) return l;
	}
	return NULL;
}

/* Would waiting for `by` close a circle? The lock is held. */
static bool deadlock(void *owner, void *by)
{
	for (int depth = 0; depth < DEADLOCK_DEPTH; depth++) {
		void *next = NULL;
		if (by == owner) return true;
		list_for_each(p, &vfs()->flock_blocked) {
			struct blocked *b = list_entry(p, struct blocked, node);
			if (b->owner == by) next = b->by;
		}
		if (!next) return false;
		by = next;
	}
	return false;
}

/* Sleeps until something changes; the lock is held and given up. */
static int block(struct lock_context *c, void *owner, void *by)
{
	struct vfs *v = vfs();
	struct blocked *b = kmalloc(sizeof(*b));
	struct wait_entry *w = &current->wait_slot;
	int err;

	if (!b) {
		unlock(&v->flock_lock);
		return -ENOLCK;
	}
	b->owner = owner;
	b->by = by;
	list_add(&v->flock_blocked, &b->node);
	wait_begin();
	wait_add(&c->wait, w);
	unlock(&v->flock_lock);
	err = wait_sleep(PICO_FOREVER);
	wait_remove(w);
	lock(&v->flock_lock);
	list_del(&b->node);
	unlock(&v->flock_lock);
	kfree(b);
	return err;
}

/* ---- record locks ---- */

/* The locks of one owner stand together, in the order of their places: that is what F_GETLK finds first. */
static void insert(struct list *records, struct file_lock *new)
{
	bool met = false;

	list_for_each(p, records) {
		const struct file_lock *l = list_entry(p, struct file_lock, node);
		bool own = l->owner == new->owner;
		if (own ? l->start > new->start : met) {
			list_add_tail(p, &new->node);
			return;
		}
		met |= own;
	}
	list_add_tail(records, &new->node);
}

/* Puts want among the locks of its owner: joins equal neighbours, cuts others.
 * spare: two free objects; those that are used are taken out. */
static void apply(struct lock_context *c, struct file_lock *want, struct file_lock *spare[2])
{
	list_for_each_safe(p, next, &c->records) {
		struct file_lock *l = list_entry(p, struct file_lock, node);
		if (l->owner != want->owner) continue;
		if (l->type == want->type) {
			if (l->start > want->end + 1 || want->start > l->end + 1) continue;
			want->start = MIN(want->start, l->start);
			want->end = MAX(want->end, l->end);
			list_del(&l->node);
			kfree(l);
			continue;
		}
		if (l->start > want->end || want->start > l->end) continue;
		if (l->start < want->start && l->end > want->end) {
			struct file_lock *right = spare[1];
			spare[1] = NULL;
			*right = *l;
			right->start = want->end + 1;
			l->end = want->start - 1;
			list_add(&l->node, &right->node);
		} else if (l->start < want->start) {
			l->end = want->start - 1;
		} else if (l->end > want->end) {
			l->start = want->end + 1;
		} else {
			list_del(&l->node);
			kfree(l);
		}
	}
	if (want->type != F_UNLCK) {
		*spare[0] = *want;
		insert(&c->records, spare[0]);
		spare[0] = NULL;
	}
}

static int set_record(struct file *f, struct file_lock *want, bool wait, bool ofd)
{
	struct vfs *v = vfs();
	struct lock_context *c = context(f->inode, want->type != F_UNLCK);
	struct file_lock *spare[2];
	int err = 0;

	if (!c) return want->type == F_UNLCK ? 0 : -ENOLCK;
	spare[0] = kmalloc(sizeof(struct file_lock));
	spare[1] = kmalloc(sizeof(struct file_lock));
	if (!spare[0] || !spare[1]) {
		err = -ENOLCK;
		goto out;
	}
	for (;;) {
		lock(&v->flock_lock);
		struct file_lock *other = want->type == F_UNLCK ? NULL : find_conflict(&c->records, want);
		if (!other) break;
		void *by = other->owner;
		err = !wait ? -EAGAIN : !ofd && deadlock(want->owner, by) ? -EDEADLK : 0;
		if (err) {
			unlock(&v->flock_lock);
			goto out;
		}
		err = block(c, want->owner, by);
		if (err) goto out;
	}
	apply(c, want, spare);
	unlock(&v->flock_lock);
	if (want->type != F_WRLCK) wake_up(&c->wait, 0);
out:
	kfree(spare[0]);
	kfree(spare[1]);
	return err;
}

static int range_of(struct file *f, const struct user_flock *u, struct file_lock *l)
{
	s64 base = 0, start;

	if (u->whence == 1) {
		base = (s64)f->pos;
	} else if (u->whence == 2) {
		struct kstat st;
		int err = file_getattr(f, &st);
		if (err) return err;
		base = (s64)st.size;
	} else if (u->whence) {
		return -EINVAL;
	}
	if (u->start > INT64_MAX - base) return -EOVERFLOW;
	start = base + u->start;
	if (start < 0) return -EINVAL;
	l->start = (u64)start;
	l->end = OFFSET_LAST;
	if (u->size > 0) {
		if (u->size - 1 > INT64_MAX - start) return -EOVERFLOW;
		l->end = (u64)(start + u->size - 1);
	} else if (u->size < 0) {
		if (start + u->size < 0) return -EINVAL;
		l->end = (u64)start - 1;
		l->start = (u64)(start + u->size);
	}
	if (u->type != F_RDLCK && u->type != F_WRLCK && u->type != F_UNLCK) return -EINVAL;
	l->type = (u32)u->type;
	return 0;
}

static int get_record(struct file *f, struct file_lock *want, struct user_flock *u)
{
	struct lock_context *c = context(f->inode, false);

	u->type = F_UNLCK;
	if (!c) return 0;
	lock(&vfs()->flock_lock);
	struct file_lock *l = find_conflict(&c->records, want);
	if (l) {
		u->type = (s16)l->type;
		u->whence = 0;
		u->start = (s64)l->start;
		u->size = l->end == OFFSET_LAST ? 0 : (s64)(l->end - l->start + 1);
		u->pid = l->pid ? (s32)l->pid : -1;
	}
	unlock(&vfs()->flock_lock);
	return 0;
}

int lock_fcntl(struct file *f, u32 cmd, u64 arg)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	struct user_flock u;
	struct file_lock want = { .owner = ofd ? (void *)f : (void *)current->files, .pid = ofd ? 0 : current->process->pid };
	int err;

	if (get_user(u, arg)) return -EFAULT;
	if (cmd == F_GETLK && u.type != F_RDLCK && u.type != F_WRLCK) return -EINVAL;
	if ((err = range_of(f, &u, &want))) return err;
	if (ofd && u.pid) return -EINVAL;
	if (!f->inode) return -EBADF;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		err = get_record(f, &want, &u);
		return err ? err : put_user(u, arg);
	}
	if (want.type == F_RDLCK && !(f->mode_bits & FMODE_READ)) return -EBADF;
	if (want.type == F_WRLCK && !(f->mode_bits & FMODE_WRITE)) return -EBADF;
	return set_record(f, &want, cmd == F_SETLKW || cmd == F_OFD_SETLKW, ofd);
}

/* ---- flock ---- */

static bool remove_owned(struct list *locks, void *owner)
{
	bool any = false;

	list_for_each_safe(p, next, locks) {
		struct file_lock *l = list_entry(p, struct file_lock, node);
		if (l->owner != owner) continue;
		list_del(&l->node);
		kfree(l);
		any = true;
	}
	return any;
}

int lock_flock(struct file *f, u32 operation)
{
	struct vfs *v = vfs();
	u32 kind = operation & ~LOCK_NB;
	struct file_lock *mine = NULL;
	struct lock_context *c;
	int err = 0;

	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) return -EINVAL;
	if (!f->inode) return -EBADF;
	c = context(f->inode, true);
	mine = kmalloc(sizeof(*mine));
	if (!c || !mine) {
		kfree(mine);
		return -ENOLCK;
	}
	*mine = (struct file_lock){ .owner = f, .pid = current->process->pid, .type = kind == LOCK_EX ? F_WRLCK : F_RDLCK, .end = OFFSET_LAST };
	for (;;) {
		lock(&v->flock_lock);
		list_for_each(p, &c->flocks) {
			struct file_lock *l = list_entry(p, struct file_lock, node);
			if (l->owner == f && kind != LOCK_UN && l->type == mine->type) goto done; /* has it */
		}
		/* A change of kind is not atomic: the old lock goes first. */
		bool released = remove_owned(&c->flocks, f);
		if (released) wake_up(&c->wait, 0);
		if (kind == LOCK_UN) goto done;
		struct file_lock *other = find_conflict(&c->flocks, mine);
		if (!other) break;
		if (operation & LOCK_NB) {
			err = -EAGAIN;
			goto done;
		}
		err = block(c, f, other->owner);
		if (err) goto out;
	}
	list_add_tail(&c->flocks, &mine->node);
	mine = NULL;
done:
	unlock(&v->flock_lock);
out:
	kfree(mine);
	return err;
}

/* ---- ends ---- */

static void remove_all(struct inode *i, void *owner, bool flocks)
{
	struct lock_context *c = context(i, false);

	if (!c) return;
	lock(&vfs()->flock_lock);
	bool any = remove_owned(&c->records, owner);
	if (flocks) any |= remove_owned(&c->flocks, owner);
	if (any) wake_up(&c->wait, 0);
	unlock(&vfs()->flock_lock);
}

void locks_close(struct file *f, struct files *owner)
{
	remove_all(f->inode, owner, false);
}

void locks_file_released(struct file *f)
{
	remove_all(f->inode, f, true);
}

void locks_inode_free(struct inode *i)
{
	struct lock_context *c = i->flocks;

	lock(&vfs()->flock_lock);
	list_del(&c->node);
	unlock(&vfs()->flock_lock);
	kfree(c);
	i->flocks = NULL;
}

/* ---- for /proc/locks ---- */

struct tell { void (*fn)(void *ctx, const struct lock_line *l); void *ctx; u32 number; };

static void tell_all(struct tell *t, const struct inode *i, const struct list *locks, bool flocks)
{
	list_for_each(p, locks) {
		const struct file_lock *l = list_entry(p, struct file_lock, node);
		const struct lock_line line = {
			.number = ++t->number, .kind = flocks ? "FLOCK " : l->pid ? "POSIX " : "OFDLCK", .write = l->type == F_WRLCK,
			.pid = l->pid ? (s32)l->pid : -1, .dev = i->dev, .ino = i->ino, .start = l->start, .end = l->end, .to_end = l->end == OFFSET_LAST,
		};
		t->fn(t->ctx, &line);
	}
}

void locks_each(void (*fn)(void *ctx, const struct lock_line *l), void *ctx)
{
	struct tell t = { fn, ctx, 0 };

	lock(&vfs()->flock_lock);
	list_for_each(p, &vfs()->flock_contexts) {
		const struct lock_context *c = list_entry(p, struct lock_context, node);
		tell_all(&t, c->inode, &c->records, false);
		tell_all(&t, c->inode, &c->flocks, true);
	}
	unlock(&vfs()->flock_lock);
}
