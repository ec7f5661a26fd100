/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and sleeping. The host's clocks are read by downcall, which costs no
 * kernel entry where the host's vDSO has one; deadlines are monotonic
 * nanoseconds from here on.
 */
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/time.h>
#include <linux/timex.h>

#define NSEC_PER_TICK 10000000ull /* USER_HZ is 100 */
#define COARSE_RESOLUTION 4000000ull
#define FAR (1ull << 62) /* later than anything: as good as never */

u64 now_mono(void) { return (u64)Dk(SystemTimeQuery)(PICO_CLOCK_MONOTONIC); }
u64 now_real(void) { return (u64)Dk(SystemTimeQuery)(PICO_CLOCK_REALTIME); }
u64 cpu_time_process(void) { return (u64)Dk(SystemTimeQuery)(PICO_CLOCK_PROCESS_CPU); }
u64 cpu_time_thread(void) { return (u64)Dk(SystemTimeQuery)(PICO_CLOCK_THREAD_CPU) - current->cpu_base; }

/* ---- clocks ---- */

/* Clocks of processes and threads: ~id << 3, thread bit 4, kind 0..2, as the
 * C library builds them. Only the current process's can be read. */
#define CPU_CLOCK_THREAD 4
static int cpu_clock_read(s32 clock, u64 *ns)
{
	const u32 id = (u32)~(clock >> 3);

	if ((clock & 3) == 3)
		return -EINVAL;
	if (!(clock & CPU_CLOCK_THREAD)) {
		if (id && id != current->process->pid) {
			struct process *p = process_by_pid(id);
			process_put(p);
			return p ? -EOPNOTSUPP : -EINVAL;
		}
		*ns = cpu_time_process();
		return 0;
	}
	if (!id || id == current->tid) {
		*ns = cpu_time_thread();
		return 0;
	}
	struct task *t = task_by_tid(id);
	int err = !t || t->process != current->process || t->exiting ? -EINVAL : 0;
	if (!err) {
		task_sync(t, false);
		*ns = t->cpu_time;
	}
	task_put(t);
	return err;
}

int clock_read(u32 clock, u64 *ns)
{
	if ((s32)clock < 0)
		return cpu_clock_read((s32)clock, ns);
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI: /* no leap seconds are known here, as on a host without NTP */
		*ns = now_real();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = now_mono();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = cpu_time_process();
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = cpu_time_thread();
		return 0;
	}
	return -EINVAL;
}

static bool clock_is_real(u32 c) { return c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE || c == CLOCK_REALTIME_ALARM || c == CLOCK_TAI; }
static bool clock_is_mono(u32 c) { return c == CLOCK_MONOTONIC || c == CLOCK_BOOTTIME || c == CLOCK_BOOTTIME_ALARM; }

static bool timespec_ok(const struct lx_timespec *ts)
{
	return ts->sec >= 0 && (u64)ts->nsec < NSEC_PER_SEC;
}

static u64 timespec_ns(const struct lx_timespec *ts)
{
	return (u64)ts->sec >= FAR / NSEC_PER_SEC ? FAR : (u64)ts->sec * NSEC_PER_SEC + (u64)ts->nsec;
}

int deadline_from_timespec(const struct lx_timespec *ts, u32 clock, bool absolute, u64 *deadline)
{
	if (!timespec_ok(ts))
		return -EINVAL;
	u64 ns = timespec_ns(ts);
	const u64 now = now_mono();

	if (!clock_is_real(clock) && !clock_is_mono(clock) && clock != CLOCK_MONOTONIC_RAW)
		return -EINVAL;
	if (!absolute) {
		ns += now;
	} else if (clock_is_real(clock)) {
		const u64 real = now_real();
		ns = ns > real ? now + (ns - real) : 1;
	}
	*deadline = ns >= FAR ? PICO_FOREVER : ns ? ns : 1;
	return 0;
}

int deadline_from_user(uaddr at, u32 clock, bool absolute, u64 *deadline)
{
	struct lx_timespec ts;

	*deadline = PICO_FOREVER;
	if (!at)
		return 0;
	return get_user(ts, at) ? -EFAULT : deadline_from_timespec(&ts, clock, absolute, deadline);
}

static int put_timespec(uaddr at, u64 ns)
{
	const struct lx_timespec ts = { (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC) };
	return copy_to_user(at, &ts, sizeof(ts));
}

SYSCALL(clock_gettime)
{
	u64 ns;
	int err = clock_read((u32)a[0], &ns);
	return err ? err : put_timespec(a[1], ns);
}

SYSCALL(clock_getres)
{
	const u32 clock = (u32)a[0];
	u64 ns;
	int err = clock_read(clock, &ns);

	if (err || !a[1])
		return err;
	return put_timespec(a[1], clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ? COARSE_RESOLUTION : 1);
}

/* The clocks are the host's: nobody in here may set them. */
SYSCALL(clock_settime)
{
	struct lx_timespec ts;

	if ((u32)a[0] != CLOCK_REALTIME) {
		u64 ns;
		int err = clock_read((u32)a[0], &ns);
		return err == -EINVAL || (s32)a[0] >= 0 ? -EINVAL : -EPERM;
	}
	if (get_user(ts, a[1]))
		return -EFAULT;
	return timespec_ok(&ts) ? -EPERM : -EINVAL;
}

SYSCALL(gettimeofday)
{
	const s32 zone[2] = { 0, 0 };

	if (a[0]) {
		const u64 ns = now_real();
		const struct lx_timeval tv = { (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) };
		if (put_user(tv, a[0]))
			return -EFAULT;
	}
	return a[1] ? copy_to_user(a[1], zone, sizeof(zone)) : 0;
}

SYSCALL(settimeofday)
{
	struct lx_timeval tv;

	if (a[0]) {
		if (get_user(tv, a[0]))
			return -EFAULT;
		if (tv.sec < 0 || tv.usec < 0 || tv.usec >= 1000000)
			return -EINVAL;
	}
	return -EPERM;
}

SYSCALL(time)
{
	const s64 now = (s64)(now_real() / NSEC_PER_SEC);
	return a[0] && put_user(now, a[0]) ? -EFAULT : now;
}

SYSCALL(times)
{
	const struct process *p = current->process;
	const s64 t[4] = {
		(s64)(cpu_time_process() / NSEC_PER_TICK), 0,
		(s64)(p->utime_children / NSEC_PER_TICK), (s64)(p->stime_children / NSEC_PER_TICK),
	};
	if (a[0] && copy_to_user(a[0], t, sizeof(t)))
		return -EFAULT;
	return (s64)(now_mono() / NSEC_PER_TICK);
}

static s64 clock_adjust(uaddr at)
{
	struct __kernel_timex t;

	if (get_user(t, at))
		return -EFAULT;
	if (t.modes && t.modes != ADJ_OFFSET_SS_READ)
		return capable(CAP_SYS_TIME) && (t.modes & ADJ_TICK) && (t.tick < 9000 || t.tick > 11000) ? -EINVAL : -EPERM;
	const u64 now = now_real();
	memset(&t, 0, sizeof(t));
	t.status = STA_UNSYNC;
	t.maxerror = t.esterror = 16000000;
	t.constant = 2;
	t.precision = 1;
	t.tolerance = 32768000;
	t.tick = 10000;
	t.time.tv_sec = (s64)(now / NSEC_PER_SEC);
	t.time.tv_usec = (s64)(now % NSEC_PER_SEC / 1000);
	return put_user(t, at) ? -EFAULT : TIME_ERROR;
}

SYSCALL(adjtimex) { return clock_adjust(a[0]); }

SYSCALL(clock_adjtime)
{
	u64 ns;
	int err = clock_read((u32)a[0], &ns);
	return err ? err : (u32)a[0] == CLOCK_REALTIME ? clock_adjust(a[1]) : -EOPNOTSUPP;
}

/* ---- sleeping ---- */

static s64 sleep_until(u64 deadline, uaddr remaining);

static long sleep_restart(struct task *t)
{
	return sleep_until(t->restart_args[0], t->restart_args[1]);
}

static s64 sleep_until(u64 deadline, uaddr remaining)
{
	struct task *t = current;
	int err;

	do
		wait_begin();
	while (!(err = wait_sleep(deadline)));
	if (err == -ETIMEDOUT)
		return 0;
	const u64 now = now_mono();
	if (now >= deadline)
		return 0;
	if (remaining && put_timespec(remaining, deadline - now))
		return -EFAULT;
	t->restart = sleep_restart;
	t->restart_args[0] = deadline;
	t->restart_args[1] = remaining;
	return -ERESTART_RESTARTBLOCK;
}

SYSCALL(nanosleep)
{
	struct lx_timespec ts;
	u64 deadline;

	if (get_user(ts, a[0]))
		return -EFAULT;
	int err = deadline_from_timespec(&ts, CLOCK_MONOTONIC, false, &deadline);
	return err ? err : sleep_until(deadline, a[1]);
}

/* On a CPU clock time passes only while other threads run: look again each
 * time it could have come. */
static s64 sleep_cpu_until(u32 clock, u64 end, uaddr remaining);

static long sleep_cpu_restart(struct task *t)
{
	return sleep_cpu_until((u32)t->restart_args[0], t->restart_args[1], t->restart_args[2]);
}

static s64 sleep_cpu_until(u32 clock, u64 end, uaddr remaining)
{
	struct task *t = current;
	u64 now;
	int err = clock_read(clock, &now);

	while (!err && now < end) {
		wait_begin();
		err = wait_sleep(now_mono() + MAX((end - now) / K->cpu_count, 1000000ull));
		if (err == -ERESTARTSYS)
			break;
		err = clock_read(clock, &now);
	}
	if (err != -ERESTARTSYS)
		return err;
	if (remaining && put_timespec(remaining, end - now))
		return -EFAULT;
	t->restart = sleep_cpu_restart;
	t->restart_args[0] = clock;
	t->restart_args[1] = end;
	t->restart_args[2] = remaining;
	return -ERESTART_RESTARTBLOCK;
}

static s64 sleep_cpu(u32 clock, const struct lx_timespec *ts, bool absolute, uaddr remaining)
{
	u64 now;
	s64 err = clock_read(clock, &now);

	if (err)
		return err;
	if (!absolute)
		return sleep_cpu_until(clock, now + timespec_ns(ts), remaining);
	err = sleep_cpu_until(clock, timespec_ns(ts), 0);
	return err == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : err;
}

SYSCALL(clock_nanosleep)
{
	const u32 clock = (u32)a[0];
	const bool absolute = (u32)a[1] & 1; /* TIMER_ABSTIME */
	struct lx_timespec ts;
	u64 deadline, now;

	const bool cpu = clock == CLOCK_PROCESS_CPUTIME_ID || ((s32)clock < 0 && !((s32)clock & CPU_CLOCK_THREAD));
	if (!cpu && !clock_is_real(clock) && !clock_is_mono(clock)) {
		int err = clock_read(clock, &now);
		return err ? err : -EOPNOTSUPP;
	}
	if (clock == CLOCK_REALTIME_COARSE)
		return -EOPNOTSUPP;
	if (get_user(ts, a[2]))
		return -EFAULT;
	if (!timespec_ok(&ts))
		return -EINVAL;
	if (cpu)
		return sleep_cpu(clock, &ts, absolute, a[3]);
	deadline_from_timespec(&ts, clock, absolute, &deadline);
	if (!absolute)
		return sleep_until(deadline, a[3]);
	s64 err = sleep_until(deadline, 0);
	return err == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : err;
}
