/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and kernel timers. Deadlines are nanoseconds of the monotonic clock.
 * Timers fire on the timer thread, a kernel thread of the first picoprocess
 * that is started by the first timer.
 */
#ifndef LX_TIME_H
#define LX_TIME_H

#include "lock.h"

#define NSEC_PER_SEC 1000000000ull
struct lx_timespec { s64 sec, nsec; };
struct lx_timeval { s64 sec, usec; };
struct lx_itimerspec { struct lx_timespec interval, value; };

u64 now_mono(void);
u64 now_real(void);
int clock_read(u32 linux_clock, u64 *ns); /* -EINVAL; knows all CLOCK_ of Linux that make sense */
/* Relative or absolute timespec of a program -> deadline. -EINVAL, -EFAULT. clock: only MONOTONIC, REALTIME, BOOTTIME, TAI */
int deadline_from_user(uaddr ts, u32 linux_clock, bool absolute, u64 *deadline); /* ts 0: PICO_FOREVER */
int deadline_from_timespec(const struct lx_timespec *ts, u32 linux_clock, bool absolute, u64 *deadline);

struct ktimer {
	struct list node;
	u64 deadline; /* 0: not armed */
	u64 interval; /* 0: once */
	u64 overruns;
	void (*fn)(struct ktimer *t); /* on the timer thread, no lock held; the owner's lock protects its own state */
	void *data;
	bool firing;
};
void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *), void *data);
void ktimer_arm(struct ktimer *t, u64 deadline, u64 interval);
/* Returns when fn is not running and will not run; gives what was left. */
void ktimer_cancel(struct ktimer *t, u64 *remaining, u64 *interval);
void ktimer_query(struct ktimer *t, u64 *remaining, u64 *interval);

#endif
