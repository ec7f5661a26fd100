/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of ipc/, the memory-generated file systems and the system
 * calls above them share: the root of their state, anonymous inodes, the usual
 * wait, the poll engine. Nothing outside of these includes it.
 */
#ifndef LX_IPC_IPC_H
#define LX_IPC_IPC_H

#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/stat.h>

#include "linux/lx/fs.h"
#include "linux/lx/ipc.h"
#include "linux/lx/mem.h"
#include "linux/lx/syscall.h"
#include "linux/lx/task.h"
#include "linux/lx/uaccess.h"
#include "events.h"

#define O_LARGEFILE_X86 0100000u
#define PIPE_BUF 4096u
#ifndef MAX_RW_COUNT
#define MAX_RW_COUNT 0x7ffff000ull
#endif
#define POLLNVAL_ 0x20u

struct unix_sock;
struct console;
struct pty_table;
struct sysv;
#define UNIX_HASH 256
struct ipc { /* K->ipc */
	u64 next_ino;
	u64 boot_uuid[2];
	u64 boot_tsc, boot_tsc_at; /* the time-stamp counter at a time: how fast it runs */
	struct lock page_lock; u32 page_count; void *pages[64]; /* pages of pipes, kept for the next pipe */
	u32 pipe_max_size; /* bytes: /proc/sys/fs/pipe-max-size */
	struct lock epoll_lock; /* which epoll watches which file; epoll graph */
	struct lock inotify_lock; /* all watches and event queues */
	struct lock dnotify_lock; struct list dnotify; u32 dnotify_count;
	u32 inotify_cookie, inotify_max_events, inotify_max_instances, inotify_max_watches, inotify_instances;
	struct lock unix_lock; /* names, connections, descriptors in flight */
	struct list unix_names[UNIX_HASH]; /* abstract addresses */
	struct list unix_all;
	u32 unix_autobind, unix_in_flight, somaxconn, max_dgram_qlen;
	struct console *console;
	struct lock tty_lock; /* controlling terminals; sending signals comes after it */
	struct pty_table *ptys;
	struct sysv *sysv; /* sysv.h */
	struct path mq_root; /* mqueue.c: where message queues have their names, mounted or not */
	s32 mq_queues_max, mq_msg_max, mq_msgsize_max, mq_msg_default, mq_msgsize_default;
	u32 mq_queues;
};
#define IPC ((struct ipc *)K->ipc)

u64 anon_ino(void);
/* An inode that no file system holds (pipe, socket): getattr and nothing else. */
struct inode *anon_inode(u32 mode);
bool inode_is_anon(const struct inode *i); /* made by that */
void inode_getattr_plain(struct inode *i, struct kstat *st);
int anon_setattr(struct inode *i, u32 valid, const struct kstat *st); /* mode and owner, kept in memory */
/* May this transfer not wait? */
static inline bool io_nowait(const struct file *f, const struct iobuf *b) { return f->flags & O_NONBLOCK || b->flags & IOBUF_NOWAIT; }

/* A wake that costs two loads when nobody sleeps. Right only when the waiter
 * looks at its condition under the lock the waker held while changing it. */
static inline void wake_queue(struct wait_queue *q, u32 events)
{
	if (__atomic_load_n((void **)&q->entries.next, __ATOMIC_ACQUIRE) != &q->entries)
		wake_up(q, events);
}
/* Begin a wait on one queue with the task's own entry. */
static inline struct wait_entry *wait_on(struct wait_queue *q, u32 events)
{
	struct wait_entry *w = &current->wait_slot;
	wait_begin();
	wait_add(q, w);
	w->events = events;
	return w;
}
#define EV_IN (EPOLLIN | EPOLLRDNORM)
#define EV_OUT (EPOLLOUT | EPOLLWRNORM)

/* Program asked for a wait that a signal ends with EINTR: when only the host
 * wants the instance parked, the call goes on afterwards instead. */
static inline bool wait_ended_by_signal(void)
{
	return (__atomic_load_n(&current->flags, __ATOMIC_ACQUIRE) & (TIF_SIGPENDING | TIF_EXIT)) != 0;
}

/* sys/poll.c: a sleep on any number of files. Lies in the segment. */
struct poll_chunk { struct poll_chunk *next; u32 used; struct wait_entry entries[16]; };
struct poller {
	struct poll_table table;
	struct poll_chunk *chunks;
	int error; /* -ENOMEM while adding */
	u32 wanted; /* events of interest in the file being added; 0: all */
	u32 stream_count, stream_max;
	pico_handle *streams;
	pico_handle first_streams[16];
	struct poll_chunk first;
};
struct poller *poller_create(void);
void poller_destroy(struct poller *p);
/* Sleep until something that was added happens: as wait_sleep. wait_begin() came before. */
int poller_sleep(struct poller *p, u64 deadline);

/* Host's clock made a user's timeout: ms < 0 is for ever. */
u64 deadline_from_ms(s64 ms);
bool timespec_valid(const struct lx_timespec *t);

/* pipe.c */
extern const struct file_ops pipe_ops;
void *ipc_page_get(void);
void ipc_page_put(void *page);
/* epoll.c: all of epoll's own */
bool file_is_epoll(const struct file *f);
struct async;
struct async *async_start(struct file *f); /* async.c; kept by epoll.c's links */
void async_stop(struct async *a);
s64 seek_noop(struct file *f, s64 offset, int whence);
void pipe_signal(void); /* SIGPIPE to the current task */

/* async.c: the signal an event of f sends; code and band as in siginfo */
void file_signal_owner(const struct file *f, int fd, s32 code, u32 band);
/* fs/inotify.c: events of the directory are told from now on; false: no memory */
bool inotify_prepare(struct inode *dir);
/* fs/dnotify.c */
void dnotify_event(const struct inode *dir, u32 in_mask); /* in it, or to it */

/* fs/console.c */
int console_open_tty(struct inode *i, struct file *f); /* /dev/tty, /dev/console; -ENXIO */
u32 tty_number(const struct process *p, u32 *foreground); /* for /proc/PID/stat; 0: none, *foreground untouched */

struct sysv *sysv_create(void); /* NULL: out of memory */

#endif
