/* SPDX-License-Identifier: Apache-2.0
 *
 * Wait queues and the one interruptible wait of this kernel. Everything that
 * blocks a program ends in wait_sleep; nothing else may block but a lock.
 *
 * The pattern (an entry lies in the segment: a waker may be of another
 * picoprocess, where this thread's stack is not; current->wait_slot serves the
 * usual wait on one queue, the innermost one only):
 *	struct wait_entry *w = &current->wait_slot;
 *	wait_begin();                        // from here wakes are remembered
 *	wait_add(&queue, w);                 // any number of queues
 *	while (!condition && !(err = wait_sleep(deadline)))
 *		wait_begin();
 *	wait_remove(w);
 * A wake between wait_begin and wait_sleep makes wait_sleep return at once.
 */
#ifndef LX_WAIT_H
#define LX_WAIT_H

#include "lock.h"

struct task;
struct wait_entry;
struct wait_queue { struct lock lock; struct list entries; };
typedef bool (*wait_fn)(struct wait_entry *w, u32 events); /* called with the queue's lock held: must not block, must not touch the queue; has it woken somebody? */
struct wait_entry {
	struct list node;
	struct wait_queue *queue; /* NULL: not on any */
	struct task *task; /* woken when fn is NULL */
	wait_fn fn;
	void *data;
	u32 events; /* only wakes with one of these bits matter; 0: all */
	bool exclusive; /* wake_up with a count stops after that many of these */
};

void wait_queue_init(struct wait_queue *q);
void wait_add(struct wait_queue *q, struct wait_entry *w); /* for the current task */
void wait_add_fn(struct wait_queue *q, struct wait_entry *w, wait_fn fn, void *data);
void wait_remove(struct wait_entry *w); /* safe when it is on no queue */

void wait_begin(void);
/* Sleep until woken (0), the deadline (monotonic ns, PICO_FOREVER; -ETIMEDOUT),
 * or a signal, kill or park request is there (-ERESTARTSYS; the caller turns it
 * into what its call returns). */
int wait_sleep(u64 deadline);
/* The same, not ended by signals: only for bounded waits on the kernel itself. */
int wait_sleep_uninterruptible(u64 deadline);
/* The same, and also ended (0) when one of the host's stream events is
 * signalled: for files backed by host streams (console, host pipes). */
int wait_sleep_streams(u64 deadline, const pico_handle *events, u32 count);

void wake_up(struct wait_queue *q, u32 events); /* all; of exclusive ones one, when there are events without error or hang-up */
void wake_up_count(struct wait_queue *q, u32 events, int exclusive_count);
void task_wake(struct task *t);
/* Wakes that are rung when the lock under which they were decided is free: the
 * woken task may run at once, on this very CPU, and wants it. count is 0 at first. */
#define BELLS 16
struct bells { u32 count; struct { const u32 *word; pico_handle event; u32 old; } bell[BELLS]; };
void wake_later(struct bells *b, struct task *t); /* the lock keeps t alive */
void wake_ring(const struct bells *b);
bool task_sleeps(const struct task *t); /* now, in one of the waits above */

#endif
