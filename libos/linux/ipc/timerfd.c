/* SPDX-License-Identifier: Apache-2.0
 *
 * timerfd. Expirations are computed from the clock when somebody asks; the
 * kernel timer only wakes sleepers, so no expiration is lost or counted twice.
 */
#include <linux/timerfd.h>
#include <linux/time.h>

#include "ipc.h"

struct timerfd {
	struct lock lock;
	struct ktimer timer;
	struct file *file; /* no reference */
	u32 clock, settime_flags;
	u64 next; /* when it expires next, on the monotonic clock; 0: disarmed */
	u64 interval;
	u64 ticks; /* expirations before next, not read */
};

static const struct file_ops timerfd_ops;

static void timerfd_fire(struct ktimer *k)
{
	struct timerfd *t = k->data;

	wake_up(&t->file->wait, EV_IN);
}

/* Brings ticks and next to the present. With the lock. */
static void advance(struct timerfd *t)
{
	u64 now = now_mono(), n = 1;

	if (!t->next || now < t->next)
		return;
	if (t->interval)
		n += (now - t->next) / t->interval;
	t->ticks += n;
	t->next = t->interval ? t->next + n * t->interval : 0;
}

static u64 take_ticks(struct timerfd *t)
{
	u64 n;

	lock(&t->lock);
	advance(t);
	n = t->ticks;
	t->ticks = 0;
	unlock(&t->lock);
	return n;
}

static s64 timerfd_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct timerfd *t = f->data;
	struct wait_entry *w;
	u64 n;
	int err = 0;

	(void)pos;
	if (b->size < sizeof(n))
		return -EINVAL;
	n = take_ticks(t);
	if (!n && io_nowait(f, b))
		return -EAGAIN;
	if (!n) {
		w = wait_on(&f->wait, EPOLLIN);
		while (!(n = take_ticks(t)) && !(err = wait_sleep(PICO_FOREVER)))
			wait_begin();
		wait_remove(w);
		if (!n)
			return err;
	}
	return iobuf_copy_to(b, 0, &n, sizeof(n)) ? -EFAULT : (s64)sizeof(n);
}

static u32 timerfd_poll(struct file *f, struct poll_table *p)
{
	struct timerfd *t = f->data;
	u64 n;

	if (p)
		p->add(p, &f->wait);
	lock(&t->lock);
	advance(t);
	n = t->ticks;
	unlock(&t->lock);
	return n ? EPOLLIN : 0;
}

static void get_state(struct timerfd *t, struct lx_itimerspec *s)
{
	u64 now, left = 0;

	advance(t);
	now = now_mono();
	if (t->next)
		left = t->next > now ? t->next - now : 1;
	s->value = (struct lx_timespec){ (s64)(left / NSEC_PER_SEC), (s64)(left % NSEC_PER_SEC) };
	s->interval = (struct lx_timespec){ (s64)(t->interval / NSEC_PER_SEC), (s64)(t->interval % NSEC_PER_SEC) };
}

static int timerfd_info(struct file *f, char *buf, size_t size)
{
	struct timerfd *t = f->data;
	struct lx_itimerspec s;
	u64 ticks;

	lock(&t->lock);
	get_state(t, &s);
	ticks = t->ticks;
	unlock(&t->lock);
	return snprintf(buf, size, "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%lld, %lld)\nit_interval: (%lld, %lld)\n",
		(int)t->clock, (unsigned long long)ticks, t->settime_flags, (long long)s.value.sec, (long long)s.value.nsec,
		(long long)s.interval.sec, (long long)s.interval.nsec);
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->data;

	ktimer_cancel(&t->timer, NULL, NULL);
	kfree(t);
}

static const struct file_ops timerfd_ops = {
	.name = "anon_inode:[timerfd]", .read = timerfd_read, .poll = timerfd_poll, .release = timerfd_release,
	.fdinfo = timerfd_info, .seek = seek_noop, .gather = true,
};

static bool clock_known(u32 c)
{
	return c == CLOCK_MONOTONIC || c == CLOCK_REALTIME || c == CLOCK_REALTIME_ALARM || c == CLOCK_BOOTTIME ||
		c == CLOCK_BOOTTIME_ALARM;
}

static bool clock_wakes(u32 c) { return c == CLOCK_REALTIME_ALARM || c == CLOCK_BOOTTIME_ALARM; }

SYSCALL(timerfd_create)
{
	u32 clock = (u32)a[0], flags = (u32)a[1];
	struct timerfd *t;
	struct file *f;

	if (flags & ~(u32)(TFD_CLOEXEC | TFD_NONBLOCK) || !clock_known(clock))
		return -EINVAL;
	if (clock_wakes(clock) && !capable(35 /* CAP_WAKE_ALARM */))
		return -EPERM;
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	f = file_alloc(&timerfd_ops, O_RDWR | (flags & TFD_NONBLOCK));
	if (!f) {
		kfree(t);
		return -ENFILE;
	}
	t->clock = clock;
	t->file = f;
	ktimer_init(&t->timer, timerfd_fire, t);
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	f->data = t;
	return fd_install(f, flags & TFD_CLOEXEC, 0);
}

static int timerfd_get(int fd, struct file **f)
{
	*f = fd_get(fd);
	if (!*f)
		return -EBADF;
	if ((*f)->ops == &timerfd_ops)
		return 0;
	file_put(*f);
	return -EINVAL;
}

static int new_deadline(const struct timerfd *t, const struct lx_itimerspec *s, u32 flags, u64 *next)
{
	u32 clock = t->clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : t->clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : t->clock;
	int err;

	*next = 0;
	if (!s->value.sec && !s->value.nsec)
		return 0;
	err = deadline_from_timespec(&s->value, clock, flags & TFD_TIMER_ABSTIME, next);
	if (!*next)
		*next = 1; /* long ago */
	return err;
}

SYSCALL(timerfd_settime)
{
	u32 flags = (u32)a[1];
	struct lx_itimerspec s, old;
	struct timerfd *t;
	struct file *f;
	u64 next;
	int err;

	if (copy_from_user(&s, a[2], sizeof(s)))
		return -EFAULT;
	if (flags & ~(u32)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !timespec_valid(&s.value) || !timespec_valid(&s.interval))
		return -EINVAL;
	err = timerfd_get((int)a[0], &f);
	if (err)
		return err;
	t = f->data;
	err = clock_wakes(t->clock) && !capable(35 /* CAP_WAKE_ALARM */) ? -EPERM : new_deadline(t, &s, flags, &next);
	if (err) {
		file_put(f);
		return err;
	}
	/* The clock never jumps under us, so cancel-on-set has nothing to cancel. */
	ktimer_cancel(&t->timer, NULL, NULL);
	lock(&t->lock);
	get_state(t, &old);
	t->ticks = 0;
	t->next = next;
	t->interval = (u64)s.interval.sec * NSEC_PER_SEC + (u64)s.interval.nsec;
	t->settime_flags = flags;
	unlock(&t->lock);
	if (next)
		ktimer_arm(&t->timer, next, t->interval);
	file_put(f);
	return a[3] && copy_to_user(a[3], &old, sizeof(old)) ? -EFAULT : 0;
}

SYSCALL(timerfd_gettime)
{
	struct lx_itimerspec s;
	struct file *f;
	int err = timerfd_get((int)a[0], &f);

	if (err)
		return err;
	struct timerfd *t = f->data;

	lock(&t->lock);
	get_state(t, &s);
	unlock(&t->lock);
	file_put(f);
	return copy_to_user(a[1], &s, sizeof(s)) ? -EFAULT : 0;
}
