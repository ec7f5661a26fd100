/* SPDX-License-Identifier: Apache-2.0
 *
 * What the three files of the futex code share: the table and its waiters.
 */
#ifndef LINUX_SYS_FUTEX_H
#define LINUX_SYS_FUTEX_H

#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include <linux/futex.h>

#define BUCKETS 1024u
#define TID_MASK FUTEX_TID_MASK

struct bucket { struct lock lock; u32 count; struct list waiters; } __attribute__((aligned(64)));

enum waiter_state { W_WAITING, W_WOKEN, W_OWNER, W_REQUEUED_AWAY };
struct waiter {
	struct list node;
	struct futex_key key;
	struct bucket *bucket; /* where it is queued; NULL: on no list */
	struct task *task;
	u32 bitset;
	u32 state; /* enum waiter_state */
	u32 pi; /* waits for a lock, to be handed over */
	u32 owner; /* pi: whose lock it was when it queued */
	uaddr word; /* pi: where, for the exit of the owner */
	bool requeue_pi; /* waits in WAIT_REQUEUE_PI, */
	struct futex_key target; /* to be moved here */
};
struct table { struct bucket bucket[BUCKETS]; u32 pi_waiters; };


struct table *futex_table(void);
int futex_make_key(uaddr a, bool shared, struct futex_key *key);
bool futex_same(const struct futex_key *a, const struct futex_key *b);
struct bucket *futex_bucket(const struct futex_key *k);
struct waiter *futex_own_waiter(void);
/* The bucket's lock is held for these. */
void futex_enqueue(struct bucket *b, struct waiter *w);
void futex_dequeue(struct waiter *w);
void futex_wake_one(struct waiter *w, u32 state); /* afterwards w may be gone */
void futex_move(struct waiter *w, struct bucket *to, const struct futex_key *key);
bool futex_any_waiter(struct bucket *b, const struct futex_key *key);
int futex_requeue_one_pi(struct waiter *w, struct bucket *b2, const struct futex_key *k2, uaddr a2); /* 1: it has the lock, 0: it queues */

int futex_sleep(struct waiter *w, u64 deadline); /* until woken: 0, or why not */
s64 futex_wake(uaddr a, bool shared, u32 count, u32 bitset);
s64 futex_lock_pi(uaddr a, bool shared, u64 deadline, bool try_only);
s64 futex_unlock_pi(uaddr a, bool shared);
void futex_pi_owner_gone(struct task *t);

#endif
