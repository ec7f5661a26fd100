/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals: what is pending, what is done about it. Layouts are the kernel's
 * user ABI on x86-64 (sigaction(2), signal(7)).
 */
#ifndef LX_SIGNAL_H
#define LX_SIGNAL_H

#include "base.h"

struct task;
struct process;
struct lx_sigaction { u64 handler, flags, restorer, mask; };
struct lx_sigaltstack { u64 sp; s32 flags; u32 pad; u64 size; };
struct lx_siginfo { /* 128 bytes, as siginfo_t */
	s32 signo, err, code, pad0;
	union {
		u8 bytes[112];
		struct { s32 pid; u32 uid; u64 value; } rt; /* kill, sigqueue */
		struct { s32 timer; s32 overrun; u64 value; } timer;
		struct { s32 pid; u32 uid; s32 status; u32 pad; s64 utime, stime; } child;
		struct { u64 address; s16 lsb; } fault;
		struct { s64 band; s32 fd; } poll;
		struct { u64 call; s32 nr; u32 arch; } sys;
	};
};
struct sigpending { u64 set; u64 overflow; struct { void *next, *prev; } queue; }; /* queue: struct list of queued infos */

#define SIGMASK(n) (1ull << ((n) - 1))

/* Send; info NULL means from the kernel (SI_KERNEL). 0, or -EAGAIN when the
 * queue of a realtime signal is full. Any context that holds no lock below
 * `signal` in the lock order. */
int signal_send_task(struct task *t, int signo, const struct lx_siginfo *info);
int signal_send_process(struct process *p, int signo, const struct lx_siginfo *info);
int signal_send_pgrp(u32 pgid, int signo, const struct lx_siginfo *info); /* -ESRCH */
bool process_group_orphaned(u32 pgid); /* nobody is there to continue it: the terminal's signals do not stop it */
/* A fault of the current program: not ignorable, resets to default when blocked. */
void signal_force(int signo, const struct lx_siginfo *info);
/* Take one pending signal of set for the current task (signalfd, sigwaitinfo): its number, or 0. */
int signal_dequeue(u64 set, struct lx_siginfo *info);
u64 signal_pending_set(struct task *t); /* own and shared, blocked or not */
void signal_set_mask(u64 mask); /* of the current task; SIGKILL and SIGSTOP taken out */
/* poll(2)-like calls: set a mask until the call is over (restored by the exit path after handlers ran). */
void signal_set_temporary_mask(u64 mask);
void signal_restore_temporary_mask(void); /* when the call did not return an ERESTART error */
int user_sigset(uaddr set, u64 size, u64 *mask); /* -EINVAL -EFAULT */

#endif
