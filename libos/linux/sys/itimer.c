/* SPDX-License-Identifier: Apache-2.0
 *
 * setitimer, alarm, and everything measured in CPU time. Nobody tells us when
 * CPU time has passed: a kernel timer wakes the process's tasks no later than
 * the time could have come, and whichever comes by reads the clocks.
 */
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/time.h>

#define SHORTEST_LOOK 1000000ull /* ns between two looks at the clocks */

static void real_fired(struct ktimer *k)
{
	signal_send_process(k->data, SIGALRM, NULL);
}

/* Its signal has been taken: the next period begins where the last ended. */
void itimer_signal_taken(struct process *p)
{
	const u64 now = now_mono();

	if (!p->itimer_interval || p->itimer_real.deadline)
		return;
	const u64 passed = now > p->itimer_expiry ? (now - p->itimer_expiry) / p->itimer_interval : 0;
	p->itimer_expiry += (passed + 1) * p->itimer_interval;
	ktimer_arm(&p->itimer_real, p->itimer_expiry, 0);
}

/* ---- CPU time ---- */

static void cpu_fired(struct ktimer *k)
{
	struct process *p = k->data;

	lock(&p->sig_lock);
	list_for_each(pos, &p->tasks)
		task_kick(list_entry(pos, struct task, process_node), TIF_CPUTIMER);
	unlock(&p->sig_lock);
}

static u64 cpu_limit_next(struct process *p, u64 now)
{
	const u64 soft = p->rlimit[RLIMIT_CPU][0], hard = p->rlimit[RLIMIT_CPU][1];
	u64 at = MAX(soft, p->cpu_limit_next);

	at = MIN(at, hard);
	if (at > UINT64_MAX / NSEC_PER_SEC / 2)
		return PICO_FOREVER;
	return at * NSEC_PER_SEC > now ? at * NSEC_PER_SEC - now : 0;
}

void cpu_timers_schedule(struct process *p)
{
	const u64 now = cpu_time_process(), mine = cpu_time_thread();
	u64 next = cpu_limit_next(p, now);

	for (int i = 0; i < 2; i++)
		if (p->cpu_itimer[i].expires)
			next = MIN(next, p->cpu_itimer[i].expires > now ? p->cpu_itimer[i].expires - now : 0);
	next = MIN(next, posix_cpu_timers_next(p, current, now, mine));
	if (next == PICO_FOREVER)
		return;
	/* All CPUs at once may run us. */
	ktimer_arm(&p->cpu_timer, now_mono() + MAX(next / K->cpu_count, SHORTEST_LOOK), 0);
}

static void check_itimers(struct process *p, u64 now)
{
	static const int signals[2] = { SIGVTALRM, SIGPROF };

	for (int i = 0; i < 2; i++) {
		lock(&p->sig_lock);
		const bool due = p->cpu_itimer[i].expires && p->cpu_itimer[i].expires <= now;
		if (due) {
			const u64 step = p->cpu_itimer[i].interval;
			p->cpu_itimer[i].expires = step ? p->cpu_itimer[i].expires + ((now - p->cpu_itimer[i].expires) / step + 1) * step : 0;
		}
		unlock(&p->sig_lock);
		if (due)
			signal_send_process(p, signals[i], NULL);
	}
}

static void check_limit(struct process *p, u64 now)
{
	const u64 seconds = now / NSEC_PER_SEC;

	if (seconds >= p->rlimit[RLIMIT_CPU][1]) {
		signal_send_process(p, SIGKILL, NULL);
	} else if (seconds >= p->rlimit[RLIMIT_CPU][0] && seconds >= p->cpu_limit_next) {
		p->cpu_limit_next = seconds + 1;
		signal_send_process(p, SIGXCPU, NULL);
	}
}

void cpu_timers_check(void)
{
	struct task *t = current;
	struct process *p = t->process;

	__atomic_fetch_and(&t->flags, ~TIF_CPUTIMER, __ATOMIC_SEQ_CST);
	const u64 now = cpu_time_process();
	check_itimers(p, now);
	check_limit(p, now);
	posix_cpu_timers_check(p, t, now, cpu_time_thread());
	cpu_timers_schedule(p);
}

void itimers_init(struct process *p)
{
	ktimer_init(&p->itimer_real, real_fired, p);
	ktimer_init(&p->cpu_timer, cpu_fired, p);
}

void itimers_exit(struct process *p)
{
	lock(&p->sig_lock);
	p->itimer_interval = 0;
	unlock(&p->sig_lock);
	ktimer_cancel(&p->itimer_real, NULL, NULL);
	ktimer_cancel(&p->cpu_timer, NULL, NULL);
}

/* ---- the calls ---- */

struct lx_itimerval { struct lx_timeval interval, value; };

static struct lx_timeval to_timeval(u64 ns)
{
	return (struct lx_timeval){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) };
}

static int from_timeval(const struct lx_timeval *tv, u64 *ns)
{
	if (tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000)
		return -EINVAL;
	*ns = (u64)tv->sec > (1ull << 62) / NSEC_PER_SEC ? 1ull << 62 : (u64)tv->sec * NSEC_PER_SEC + (u64)tv->usec * 1000;
	return 0;
}

static void get_timer(u32 which, u64 *value, u64 *interval)
{
	struct process *p = current->process;

	if (which == ITIMER_REAL) {
		ktimer_query(&p->itimer_real, value, NULL);
		*interval = p->itimer_interval;
		return;
	}
	const u64 now = cpu_time_process();
	lock(&p->sig_lock);
	const u64 expires = p->cpu_itimer[which - 1].expires;
	*interval = p->cpu_itimer[which - 1].interval;
	unlock(&p->sig_lock);
	*value = !expires ? 0 : expires > now ? expires - now : 1000;
}

static void set_timer(u32 which, u64 value, u64 interval)
{
	struct process *p = current->process;

	if (which == ITIMER_REAL) {
		ktimer_cancel(&p->itimer_real, NULL, NULL);
		lock(&p->sig_lock);
		p->itimer_interval = value ? interval : 0;
		p->itimer_expiry = now_mono() + value;
		if (value)
			ktimer_arm(&p->itimer_real, p->itimer_expiry, 0);
		unlock(&p->sig_lock);
		return;
	}
	const u64 now = cpu_time_process();
	lock(&p->sig_lock);
	p->cpu_itimer[which - 1].expires = value ? now + value : 0;
	p->cpu_itimer[which - 1].interval = value ? interval : 0;
	unlock(&p->sig_lock);
	if (value)
		cpu_timers_schedule(p);
}

SYSCALL(getitimer)
{
	u64 value, interval;

	if ((u32)a[0] > ITIMER_PROF)
		return -EINVAL;
	get_timer((u32)a[0], &value, &interval);
	const struct lx_itimerval v = { to_timeval(interval), to_timeval(value) };
	return put_user(v, a[1]);
}

SYSCALL(setitimer)
{
	struct lx_itimerval v = { { 0, 0 }, { 0, 0 } };
	u64 value, interval, old_value, old_interval;

	if (a[1] && get_user(v, a[1]))
		return -EFAULT;
	if ((u32)a[0] > ITIMER_PROF || from_timeval(&v.value, &value) || from_timeval(&v.interval, &interval))
		return -EINVAL;
	get_timer((u32)a[0], &old_value, &old_interval);
	set_timer((u32)a[0], value, interval);
	if (!a[2])
		return 0;
	const struct lx_itimerval old = { to_timeval(old_interval), to_timeval(old_value) };
	return put_user(old, a[2]);
}

SYSCALL(alarm)
{
	u64 old, interval;

	get_timer(ITIMER_REAL, &old, &interval);
	set_timer(ITIMER_REAL, (u64)(u32)a[0] * NSEC_PER_SEC, 0);
	/* Rounded, but never to 0 while one was running. */
	const u64 seconds = (old + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return (s64)(seconds || !old ? seconds : 1);
}
