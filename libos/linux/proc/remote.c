/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of other address spaces. It lies in another picoprocess, where
 * only a task that runs there can touch it: who wants some leaves a request
 * with the mm, and one of its tasks serves it on its way through the kernel,
 * or out of its sleep, which goes on as if nothing had been. What is copied goes
 * through a buffer of the requester's in the segment. It must not know what the
 * memory means.
 *
 * Nobody waits here for one who waits here: a requester sleeps like everybody
 * and serves meanwhile. So no lock may be held over remote_access() that a
 * task takes on its way to a sleep or to its program.
 */
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/time.h"
#include "../lx/uaccess.h"

enum { QUEUED, BUSY, DONE };
#define PATIENCE 5000000ull /* ns until all tasks are told, not only one */
#define TOLD_AT_ONCE 16u

/* ---- the one who serves ---- */

/* As far as its protection lets a program: page by page, to say how much. */
static s64 copy_plain(u64 addr, char *buf, size_t size, bool write)
{
	size_t done = 0;

	while (done < size) {
		const size_t n = MIN(size - done, (size_t)(PAGE_SIZE - ((addr + done) & ~PAGE_MASK)));
		if (write ? copy_to_user(addr + done, buf + done, n) : copy_from_user(buf + done, addr + done, n))
			break;
		done += n;
	}
	return done || !size ? (s64)done : -EFAULT;
}

/* In the address space itself. */
static s64 perform(struct task *t, const struct remote_request *r)
{
	switch (r->op) {
	case REMOTE_READ:
	case REMOTE_WRITE:
		return copy_plain(r->addr, r->buf, r->size, r->op == REMOTE_WRITE);
	case REMOTE_PEEK:
	case REMOTE_POKE:
		return mm_access(t->mm, r->addr, r->buf, r->size, r->op == REMOTE_POKE);
	case REMOTE_REGISTERS:
		memcpy(r->buf, t->regs, r->size);
		return (s64)r->size;
	}
	return -EINVAL;
}

static struct remote_request *take(struct mm *mm, const struct task *t)
{
	struct remote_request *r = NULL;

	lock(&mm->remote_lock);
	for (struct remote_request **at = &mm->remote; *at; at = &(*at)->next)
		if (!(*at)->only || (*at)->only == t) {
			r = *at;
			*at = r->next;
			r->state = BUSY;
			break;
		}
	unlock(&mm->remote_lock);
	return r;
}

/* The request is the requester's again once it sees DONE. */
static void answer(struct remote_request *r, s64 result)
{
	struct task *who = r->requester;

	ref_get(&who->ref);
	r->result = result;
	__atomic_store_n(&r->state, DONE, __ATOMIC_SEQ_CST);
	task_wake(who);
	task_put(who);
}

void remote_serve(void)
{
	struct task *t = current;
	struct remote_request *r;

	__atomic_fetch_and(&t->flags, ~TIF_REMOTE, __ATOMIC_SEQ_CST);
	while (t->mm && (r = take(t->mm, t)))
		answer(r, perform(t, r));
}

void remote_end(struct mm *mm)
{
	lock(&mm->remote_lock);
	struct remote_request *all = mm->remote;
	mm->remote = NULL;
	for (struct remote_request *r = all; r; r = r->next)
		r->state = BUSY; /* ours to answer */
	unlock(&mm->remote_lock);
	while (all) {
		struct remote_request *next = all->next;
		answer(all, -ESRCH);
		all = next;
	}
}

/* ---- the one who asks ---- */

static bool serves(const struct task *t, const struct mm *mm)
{
	return t->mm == mm && !t->detached && !__atomic_load_n(&t->lent, __ATOMIC_RELAXED) && t != current;
}

/* One that sleeps is at once ready, one in its program is interrupted, one in
 * the kernel comes by some time. */
static u32 rank(const struct task *t)
{
	return task_sleeps(t) ? 3 : __atomic_load_n(&t->in_user, __ATOMIC_RELAXED) ? 2 : 1;
}

static u32 find_servers(const struct mm *mm, struct task **out, u32 most)
{
	u32 n = 0;

	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		lock(&p->lock);
		list_for_each(at, &p->tasks) {
			struct task *t = list_entry(at, struct task, process_node);
			if (!serves(t, mm))
				continue;
			if (n < most) {
				ref_get(&t->ref);
				out[n++] = t;
			} else if (most == 1 && rank(t) > rank(out[0])) {
				ref_get(&t->ref);
				task_put(out[0]);
				out[0] = t;
			}
		}
		unlock(&p->lock);
	}
	unlock(&K->tree_lock);
	return n;
}

static void tell(const struct mm *mm, struct task *only, u32 most)
{
	struct task *some[TOLD_AT_ONCE];

	if (only) {
		task_kick(only, TIF_REMOTE);
		return;
	}
	const u32 n = find_servers(mm, some, most);
	for (u32 i = 0; i < n; i++) {
		task_kick(some[i], TIF_REMOTE);
		task_put(some[i]);
	}
}

static bool enqueue(struct mm *mm, struct remote_request *r)
{
	struct remote_request **at = &mm->remote;

	lock(&mm->remote_lock);
	const bool alive = __atomic_load_n(&mm->users, __ATOMIC_SEQ_CST) != 0;
	if (alive) {
		while (*at)
			at = &(*at)->next;
		*at = r;
	}
	unlock(&mm->remote_lock);
	return alive;
}

/* False: it is being served, or has been. */
static bool withdraw(struct mm *mm, struct remote_request *r)
{
	bool found = false;

	lock(&mm->remote_lock);
	for (struct remote_request **at = &mm->remote; *at && !found; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			found = true;
			break;
		}
	unlock(&mm->remote_lock);
	return found;
}

static s64 await(struct mm *mm, struct remote_request *r)
{
	u32 unwind = TIF_EXIT | TIF_PARK;

	for (;;) {
		wait_begin();
		if (__atomic_load_n(&r->state, __ATOMIC_SEQ_CST) == DONE)
			return r->result;
		const int err = wait_sleep_flags(now_mono() + PATIENCE, unwind);
		if (err == -ERESTARTSYS && withdraw(mm, r))
			return -ERESTARTNOINTR;
		if (err == -ERESTARTSYS)
			unwind = 0; /* it is a matter of a copy now */
		if (err != -ETIMEDOUT)
			continue;
		if (r->only && r->only->detached && withdraw(mm, r))
			return -ESRCH;
		tell(mm, r->only, TOLD_AT_ONCE);
	}
}

static s64 ask(struct mm *mm, struct task *only, u32 op, u64 addr, void *buf, size_t size)
{
	struct remote_request *r = &current->remote;

	*r = (struct remote_request){ .requester = current, .only = only, .op = op, .addr = addr, .buf = buf, .size = size };
	if (only ? only == current : mm == current->mm)
		return perform(current, r);
	if (!enqueue(mm, r))
		return -ESRCH;
	tell(mm, only, 1);
	return await(mm, r);
}

s64 remote_access(struct mm *mm, u32 op, u64 addr, void *buf, size_t size)
{
	return ask(mm, NULL, op, addr, buf, size);
}

int remote_registers(struct task *t, struct pico_context *out)
{
	struct mm *mm = task_mm(t);
	s64 r;

	if (!mm)
		return -ESRCH;
	if (__atomic_load_n(&t->lent, __ATOMIC_SEQ_CST)) { /* they lie in the segment while its host thread is another's */
		*out = t->saved;
		r = 0;
	} else {
		r = ask(mm, t, REMOTE_REGISTERS, 0, out, sizeof(*out));
	}
	mm_put(mm);
	return r < 0 ? (int)r : 0;
}
