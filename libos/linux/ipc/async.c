/* SPDX-License-Identifier: Apache-2.0
 *
 * O_ASYNC: a signal to a file's owner when it becomes ready. Hangs on the same
 * queues as epoll, with a call-back that sends.
 */
#include "ipc.h"
#include "linux/lx/signal.h"

struct async {
	struct poll_table table;
	struct file *file; /* no reference: goes before the file does */
	int fd; /* which the program named; told in the signal */
	u32 count;
	struct wait_entry waits[4];
};

static void send(const struct file *f, int signo, const struct lx_siginfo *info)
{
	struct process *p;
	struct task *t;

	switch (f->owner_type) {
	case F_OWNER_TID:
		t = task_by_tid(f->owner_pid);
		if (t) {
			signal_send_task(t, signo, info);
			task_put(t);
		}
		break;
	case F_OWNER_PID:
		p = process_by_pid(f->owner_pid);
		if (p) {
			signal_send_process(p, signo, info);
			process_put(p);
		}
		break;
	default:
		signal_send_pgrp(f->owner_pid, signo, info);
	}
}

void file_signal_owner(const struct file *f, int fd, s32 code, u32 band)
{
	struct lx_siginfo info = { .signo = (s32)f->owner_signal, .code = code, .poll.band = band, .poll.fd = fd };

	if (f->owner_pid && f->owner_signal)
		send(f, (int)f->owner_signal, &info);
	else if (f->owner_pid)
		send(f, SIGIO, NULL);
}

static bool async_callback(struct wait_entry *w, u32 events)
{
	static const struct { u32 events; s32 code; u32 band; } reasons[] = { /* POLL_HUP, POLL_ERR, POLL_IN, POLL_OUT */
		{ EPOLLHUP, 6, EPOLLHUP | EPOLLERR }, { EPOLLERR, 4, EPOLLERR }, { EPOLLIN, 1, EPOLLIN | EPOLLRDNORM },
		{ EPOLLOUT, 2, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND },
	};
	struct async *a = w->data;
	s32 code = 0;
	u32 band = 0;

	for (unsigned i = ARRAY_SIZE(reasons); i-- > 0;) /* data before the end of it */
		if (events & reasons[i].events) {
			code = reasons[i].code;
			band = reasons[i].band;
			if (reasons[i].events == EPOLLIN)
				break;
		}
	if (code)
		file_signal_owner(a->file, a->fd, code, band);
	return true;
}

static void async_add(struct poll_table *t, struct wait_queue *q)
{
	struct async *a = container_of(t, struct async, table);

	if (a->count < ARRAY_SIZE(a->waits))
		wait_add_fn(q, &a->waits[a->count++], async_callback, a);
}

static void async_add_stream(struct poll_table *t, pico_handle readable, pico_handle writable)
{
	(void)t, (void)readable, (void)writable; /* the host cannot call back: no signals for its streams */
}

void async_stop(struct async *a)
{
	for (u32 i = 0; i < a->count; i++)
		wait_remove(&a->waits[i]);
	kfree(a);
}

struct async *async_start(struct file *f)
{
	struct async *a = kzalloc(sizeof(*a));

	if (!a)
		return NULL;
	a->table = (struct poll_table){ async_add, async_add_stream };
	a->file = f;
	a->fd = (int)current->regs->rdi; /* fcntl's or ioctl's first argument */
	f->ops->poll(f, &a->table);
	return a;
}
