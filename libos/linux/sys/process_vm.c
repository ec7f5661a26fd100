/* SPDX-License-Identifier: Apache-2.0
 *
 * process_vm_readv and process_vm_writev: vectors of the caller's memory and of
 * another's, copied through a buffer of the kernel. How one gets at the other's
 * is proc/remote.c's matter.
 */
#include "../lx/ipc.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"

#define VECTORS_MOST 1024u
#define BUFFER_PAGES 16u
#define SMALL_BUFFER 2048u /* what needs no pages of its own */

struct vectors { struct lx_iovec small[8], *v; u64 count, index; u64 at; };
struct transfer {
	struct vectors local, remote;
	struct mm *mm;
	bool write;
	char *buf;
	size_t room;
	u64 left;
};

/* The remote side is not checked against this program's half: what is wrong with it is a fault there. */
static int take_remote(struct vectors *x, uaddr at, u64 count, u64 *total)
{
	*total = 0;
	x->v = x->small;
	x->count = count;
	if (count > VECTORS_MOST)
		return -EINVAL;
	if (count > ARRAY_SIZE(x->small) && !(x->v = kmalloc(count * sizeof(*x->v)))) {
		x->v = x->small;
		return -ENOMEM;
	}
	if (copy_from_user(x->v, at, count * sizeof(*x->v)))
		return -EFAULT;
	for (u64 i = 0; i < count; i++) {
		if ((s64)x->v[i].size < 0)
			return -EINVAL;
		*total += x->v[i].size;
	}
	return 0;
}

/* Bytes that lie together, 0 at the end; *at is where. */
static u64 stretch(struct vectors *x, u64 *at)
{
	while (x->index < x->count && x->at == x->v[x->index].size) {
		x->index++;
		x->at = 0;
	}
	if (x->index == x->count)
		return 0;
	*at = x->v[x->index].base + x->at;
	return x->v[x->index].size - x->at;
}

static s64 step(struct transfer *t)
{
	u64 mine, theirs, n = MIN(stretch(&t->local, &mine), stretch(&t->remote, &theirs));

	n = MIN(n, t->left);
	n = MIN(n, (u64)t->room);
	if (!n)
		return 0;
	if (t->write && copy_from_user(t->buf, mine, n))
		return -EFAULT;
	const s64 got = remote_access(t->mm, t->write ? REMOTE_WRITE : REMOTE_READ, theirs, t->buf, n);
	if (got <= 0)
		return got;
	if (!t->write && copy_to_user(mine, t->buf, (u64)got))
		return -EFAULT;
	t->local.at += (u64)got;
	t->remote.at += (u64)got;
	t->left -= (u64)got;
	return got;
}

static s64 run(struct transfer *t)
{
	const bool small = t->left <= SMALL_BUFFER;
	s64 n, done = 0;

	t->room = small ? SMALL_BUFFER : BUFFER_PAGES * PAGE_SIZE;
	t->buf = small ? kmalloc(SMALL_BUFFER) : page_alloc(BUFFER_PAGES);
	if (!t->buf)
		return -ENOMEM;
	while ((n = step(t)) > 0)
		done += n;
	if (small)
		kfree(t->buf);
	else
		page_free(t->buf, BUFFER_PAGES);
	return done ? done : n;
}

static s64 open_target(s32 pid, struct mm **mm)
{
	struct task *t = pid > 0 ? task_by_tid((u32)pid) : NULL;
	s64 err = t ? task_may_look(t, false) : -ESRCH;

	if (!err && !(*mm = task_mm(t)))
		err = -ESRCH;
	task_put(t);
	return err;
}

static s64 process_vm(const u64 *a, bool write)
{
	struct transfer t = { .write = write };
	u64 total;
	s64 r;

	if (a[5])
		return -EINVAL;
	r = iovec_from_user(a[1], a[2], t.local.small, &t.local.v, &t.left);
	if (r)
		return r;
	t.local.count = a[2];
	if (!t.left)
		goto out;
	r = take_remote(&t.remote, a[3], a[4], &total);
	if (r || !total)
		goto out;
	r = open_target((s32)a[0], &t.mm);
	if (r)
		goto out;
	r = run(&t);
	mm_put(t.mm);
out:
	if (t.local.v != t.local.small)
		kfree(t.local.v);
	if (t.remote.v != t.remote.small)
		kfree(t.remote.v);
	return r;
}

SYSCALL(process_vm_readv) { return process_vm(a, false); }
SYSCALL(process_vm_writev) { return process_vm(a, true); }
