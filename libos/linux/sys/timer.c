/* SPDX-License-Identifier: Apache-2.0
 *
 * POSIX timers. A timer that has fired rests until its signal is taken; what
 * it missed meanwhile is the overrun count. All under the process's sig_lock.
 */
#include "../lx/mem.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/time.h>

#define OVERRUN_MAX 0x7fffffffull
#define IGNORED_STEP 10000000ull /* how often a timer whose signal is ignored fires at most */

struct posix_timer {
	struct list node;
	struct process *process;
	struct task *target; /* reference; SIGEV_THREAD_ID */
	struct task *cpu_task; /* reference; whose CPU time; NULL: the process's */
	u32 id, clock, sequence;
	s32 notify, signo;
	u64 value; /* sigval */
	bool cpu; /* on a CPU clock: expiry is of that, and no ktimer runs */
	u64 expiry, interval; /* expiry 0: not armed */
	bool resting; /* fired, signal not taken */
	u64 overrun, overrun_last;
	struct ktimer ktimer;
};
struct lx_sigevent { u64 value; s32 signo, notify; s32 tid; u32 pad[11]; };
struct itimer_spec { struct lx_timespec interval, value; };

/* The sequence number travels in the info beside what the program may see. */
static u32 *info_sequence(struct lx_siginfo *info) { return (u32 *)(void *)&info->bytes[16]; }

static struct posix_timer *find(struct process *p, u32 id)
{
	list_for_each(pos, &p->posix_timers)
		if (list_entry(pos, struct posix_timer, node)->id == id)
			return list_entry(pos, struct posix_timer, node);
	return NULL;
}

static void forward(struct posix_timer *t, u64 now)
{
	const u64 missed = now > t->expiry ? (now - t->expiry) / t->interval : 0;

	t->overrun += missed;
	t->expiry += (missed + 1) * t->interval;
}

static void start_again(struct posix_timer *t)
{
	if (!t->cpu)
		ktimer_arm(&t->ktimer, t->expiry, 0);
	else /* on the way out, without the lock */
		__atomic_fetch_or(&current->flags, TIF_CPUTIMER, __ATOMIC_SEQ_CST);
}

static void fire(struct posix_timer *t, u64 now)
{
	struct lx_siginfo info = { .signo = t->signo, .code = SI_TIMER };

	t->overrun = 0;
	if (t->notify == SIGEV_NONE) {
		if (t->interval)
			forward(t, now);
		else
			t->expiry = 0;
		return;
	}
	info.timer.timer = (s32)t->id;
	info.timer.value = t->value;
	*info_sequence(&info) = t->sequence;
	t->resting = signal_queue_timer(t->process, t->target, t->signo, &info);
	if (t->resting)
		return;
	if (!t->interval) {
		t->expiry = 0;
		return;
	}
	forward(t, now);
	if (!t->cpu)
		ktimer_arm(&t->ktimer, MAX(t->expiry, now + IGNORED_STEP), 0);
}

static void fired(struct ktimer *k)
{
	struct posix_timer *t = k->data;
	struct process *p = t->process;

	lock(&p->sig_lock);
	if (t->expiry && !t->resting && now_mono() >= t->expiry)
		fire(t, now_mono());
	unlock(&p->sig_lock);
}

static u64 clock_of(const struct posix_timer *t)
{
	return !t->cpu ? now_mono() : t->cpu_task ? (t->cpu_task == current ? cpu_time_thread() : t->cpu_task->cpu_time) : cpu_time_process();
}

void timer_signal_taken(struct process *p, struct lx_siginfo *info)
{
	struct posix_timer *t = find(p, (u32)info->timer.timer);

	if (t && t->resting && t->sequence == *info_sequence(info)) {
		t->resting = false;
		if (t->interval) {
			forward(t, clock_of(t));
			start_again(t);
		} else {
			t->expiry = 0;
		}
		t->overrun_last = MIN(t->overrun, OVERRUN_MAX);
		info->timer.overrun = (s32)t->overrun_last;
	}
	*info_sequence(info) = 0;
}

/* ---- CPU clocks ---- */

void posix_cpu_timers_check(struct process *p, struct task *task, u64 process_time, u64 thread_time)
{
	lock(&p->sig_lock);
	list_for_each(pos, &p->posix_timers) {
		struct posix_timer *t = list_entry(pos, struct posix_timer, node);
		if (!t->cpu || !t->expiry || t->resting || (t->cpu_task && t->cpu_task != task))
			continue;
		const u64 now = t->cpu_task ? thread_time : process_time;
		if (now >= t->expiry)
			fire(t, now);
	}
	unlock(&p->sig_lock);
}

u64 posix_cpu_timers_next(struct process *p, struct task *task, u64 process_time, u64 thread_time)
{
	u64 next = PICO_FOREVER;

	lock(&p->sig_lock);
	list_for_each(pos, &p->posix_timers) {
		struct posix_timer *t = list_entry(pos, struct posix_timer, node);
		if (!t->cpu || !t->expiry || t->resting)
			continue;
		const u64 now = !t->cpu_task ? process_time : t->cpu_task == task ? thread_time : t->cpu_task->cpu_time;
		next = MIN(next, t->expiry > now ? t->expiry - now : 0);
	}
	unlock(&p->sig_lock);
	return next;
}

/* ---- the calls ---- */

static void timer_free(struct posix_timer *t)
{
	task_put(t->target);
	task_put(t->cpu_task);
	kfree(t);
}

static int set_clock(struct posix_timer *t, u32 clock)
{
	u64 ns;

	t->clock = clock;
	if ((s32)clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
		int err = clock_read(clock, &ns);
		if (err)
			return -EINVAL;
		t->cpu = true;
		if (clock == CLOCK_THREAD_CPUTIME_ID || ((s32)clock < 0 && (clock & 4))) {
			const u32 tid = clock == CLOCK_THREAD_CPUTIME_ID ? 0 : (u32)~((s32)clock >> 3);
			t->cpu_task = task_by_tid(tid ? tid : current->tid);
			if (!t->cpu_task)
				return -EINVAL;
		}
		return 0;
	}
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		return 0;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return capable(CAP_WAKE_ALARM) ? 0 : -EPERM;
	}
	return clock_read(clock, &ns) ? -EINVAL : -EOPNOTSUPP;
}

static int set_event(struct posix_timer *t, const struct lx_sigevent *e)
{
	t->notify = e->notify;
	t->signo = e->signo;
	t->value = e->value;
	switch (e->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL | SIGEV_THREAD_ID:
		t->target = e->tid > 0 ? task_by_tid((u32)e->tid) : NULL;
		if (!t->target || t->target->process != current->process)
			return -EINVAL;
		__attribute__((fallthrough));
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		return e->signo <= 0 || e->signo > 64 ? -EINVAL : 0;
	}
	return -EINVAL;
}

SYSCALL(timer_create)
{
	struct process *p = current->process;
	struct lx_sigevent e = { .notify = SIGEV_SIGNAL, .signo = SIGALRM };
	struct posix_timer *t = kzalloc(sizeof(*t));

	if (!t)
		return -EAGAIN;
	int err = set_clock(t, (u32)a[0]);
	if (!err && a[1] && get_user(e, a[1]))
		err = -EFAULT;
	if (!err)
		err = set_event(t, &e);
	if (err)
		goto out;
	t->process = p;
	ktimer_init(&t->ktimer, fired, t);
	lock(&p->sig_lock);
	t->id = p->next_timer_id++;
	if (!a[1])
		t->value = t->id;
	unlock(&p->sig_lock);
	err = -EFAULT;
	if (put_user(t->id, a[2]))
		goto out;
	lock(&p->sig_lock);
	list_add_tail(&p->posix_timers, &t->node);
	unlock(&p->sig_lock);
	return 0;
out:
	timer_free(t);
	return err;
}

static void query(struct posix_timer *t, struct itimer_spec *s)
{
	u64 left = 0, now = clock_of(t);

	if (t->expiry) {
		if (t->expiry > now)
			left = t->expiry - now;
		else if (t->interval)
			left = t->interval - (now - t->expiry) % t->interval;
		else if (!t->resting && t->notify != SIGEV_NONE)
			left = 1; /* due, and about to fire */
	}
	s->value = (struct lx_timespec){ (s64)(left / NSEC_PER_SEC), (s64)(left % NSEC_PER_SEC) };
	s->interval = (struct lx_timespec){ (s64)(t->interval / NSEC_PER_SEC), (s64)(t->interval % NSEC_PER_SEC) };
}

SYSCALL(timer_gettime)
{
	struct process *p = current->process;
	struct itimer_spec s;

	lock(&p->sig_lock);
	struct posix_timer *t = find(p, (u32)a[0]);
	if (t)
		query(t, &s);
	unlock(&p->sig_lock);
	return t ? put_user(s, a[1]) : -EINVAL;
}

static u64 spec_ns(const struct lx_timespec *ts)
{
	return (u64)ts->sec > (1ull << 61) / NSEC_PER_SEC ? 1ull << 61 : (u64)ts->sec * NSEC_PER_SEC + (u64)ts->nsec;
}

static bool spec_ok(const struct lx_timespec *ts) { return ts->sec >= 0 && (u64)ts->nsec < NSEC_PER_SEC; }

static u64 expiry_of(const struct posix_timer *t, const struct lx_timespec *value, bool absolute)
{
	u64 at = spec_ns(value);

	if (!at)
		return 0;
	if (!absolute)
		return clock_of(t) + at;
	if (!t->cpu && t->clock != CLOCK_MONOTONIC && t->clock != CLOCK_BOOTTIME && t->clock != CLOCK_BOOTTIME_ALARM) {
		const u64 real = now_real();
		return at > real ? now_mono() + (at - real) : 1;
	}
	return at;
}

SYSCALL(timer_settime)
{
	struct process *p = current->process;
	struct itimer_spec new, old;

	if (!a[2])
		return -EINVAL;
	if (get_user(new, a[2]))
		return -EFAULT;
	if (!spec_ok(&new.value) || !spec_ok(&new.interval))
		return -EINVAL;
	lock(&p->sig_lock);
	struct posix_timer *t = find(p, (u32)a[0]);
	if (!t) {
		unlock(&p->sig_lock);
		return -EINVAL;
	}
	query(t, &old);
	t->sequence++;
	t->resting = false;
	t->overrun = t->overrun_last = 0;
	t->interval = spec_ns(&new.interval);
	t->expiry = expiry_of(t, &new.value, a[1] & 1);
	if (!t->expiry)
		t->interval = 0;
	else if (!t->cpu && t->notify != SIGEV_NONE)
		ktimer_arm(&t->ktimer, t->expiry, 0);
	const bool cpu = t->cpu && t->expiry;
	unlock(&p->sig_lock);
	if (cpu)
		cpu_timers_schedule(p);
	return a[3] && put_user(old, a[3]) ? -EFAULT : 0;
}

SYSCALL(timer_getoverrun)
{
	struct process *p = current->process;

	lock(&p->sig_lock);
	struct posix_timer *t = find(p, (u32)a[0]);
	s64 n = t ? (s64)t->overrun_last : -EINVAL;
	unlock(&p->sig_lock);
	return n;
}

static struct posix_timer *take_out(struct process *p, s64 id)
{
	lock(&p->sig_lock);
	struct posix_timer *t = id >= 0 ? find(p, (u32)id) : list_empty(&p->posix_timers) ? NULL :
		list_entry(p->posix_timers.next, struct posix_timer, node);
	if (t) {
		list_del(&t->node);
		t->expiry = 0;
	}
	unlock(&p->sig_lock);
	return t;
}

SYSCALL(timer_delete)
{
	struct posix_timer *t = take_out(current->process, (u32)a[0]);

	if (!t)
		return -EINVAL;
	ktimer_cancel(&t->ktimer, NULL, NULL);
	timer_free(t);
	return 0;
}

/* ---- processes ---- */

void process_timers_init(struct process *p)
{
	list_init(&p->posix_timers);
	itimers_init(p);
}

/* exec keeps interval timers and deletes these. */
void timers_exec(struct process *p)
{
	struct posix_timer *t;

	while ((t = take_out(p, -1))) {
		ktimer_cancel(&t->ktimer, NULL, NULL);
		timer_free(t);
	}
}

void timers_exit(struct process *p)
{
	timers_exec(p);
	itimers_exit(p);
}

/* The first timer whose number is at least *id. */
bool timer_describe(struct process *p, u32 *id, struct timer_text *out)
{
	const struct posix_timer *best = NULL;

	lock(&p->sig_lock);
	list_for_each(pos, &p->posix_timers) {
		const struct posix_timer *t = list_entry(pos, struct posix_timer, node);
		if (t->id >= *id && (!best || t->id < best->id))
			best = t;
	}
	if (best) {
		const s32 kind = best->notify & ~SIGEV_THREAD_ID;
		*id = best->id;
		snprintf(out->text, sizeof(out->text), "ID: %u\nsignal: %d/%016lx\nnotify: %s/%s.%u\nClockID: %d\n", best->id, best->signo, best->value,
			 kind == SIGEV_SIGNAL ? "signal" : kind == SIGEV_NONE ? "none" : "thread", best->notify & SIGEV_THREAD_ID ? "tid" : "pid",
			 best->target ? best->target->tid : p->pid, (s32)best->clock);
	}
	unlock(&p->sig_lock);
	return best != NULL;
}
