/* SPDX-License-Identifier: Apache-2.0
 *
 * POSIX message queues: what their file system (mqueue.c) and the passing of
 * messages (mqueue_io.c) share. Nobody else includes this.
 */
#ifndef LX_IPC_MQUEUE_H
#define LX_IPC_MQUEUE_H

#include <linux/mqueue.h>

#include "ipc.h"

#define MQ_PRIORITIES 32768u
#define MQ_HARD_MESSAGES 65536
#define MQ_HARD_SIZE (16 << 20)

struct mq_message { u32 priority; u32 size; u64 order; char data[]; };
struct mq { /* inode->data */
	struct lock lock;
	s64 max_count, max_size; /* messages, bytes of one */
	u32 count, room;
	u64 bytes, order;
	struct mq_message **heap; /* the next one to go first */
	struct list senders, receivers; /* asleep, the next one to serve first */
	struct wait_queue wait; /* readiness */
	struct user *user; /* reference; who is charged */
	u64 charged;
	/* mq_notify */
	struct process *notify_process; /* reference; NULL: nobody */
	s32 notify, notify_signal;
	u64 notify_value;
	struct file *notify_socket; /* SIGEV_THREAD: reference; and what is sent there */
	u8 notify_cookie[NOTIFY_COOKIE_LEN];
};
static inline struct mq *mq_of(const struct file *f) { return f->inode->data; }

extern const struct file_ops mqueue_ops;
struct file *mq_get(int fd); /* reference; NULL: EBADF */
void mq_free_messages(struct mq *q);
/* lock held. Nobody is to be told any more; who listens hears why (NOTIFY_ of
 * linux/mqueue.h). What comes back is to be file_put() without the lock; NULL. */
struct file *mq_forget_notify(struct mq *q, u8 why) __attribute__((warn_unused_result));

#endif
