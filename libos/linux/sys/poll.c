/* SPDX-License-Identifier: Apache-2.0
 *
 * poll, ppoll, select, pselect6: one engine (struct poller) sleeps on any
 * number of wait queues and host streams at once. It knows nothing of what the
 * files are.
 */
#include <linux/poll.h>

#include "linux/ipc/ipc.h"
#include "linux/lx/signal.h"

#define ALWAYS (EPOLLERR | EPOLLHUP)

/* ---- the engine ---- */

static void poller_add(struct poll_table *t, struct wait_queue *q)
{
	struct poller *p = container_of(t, struct poller, table);
	struct poll_chunk *c = p->chunks;
	struct wait_entry *w;

	if (c->used == ARRAY_SIZE(c->entries)) {
		c = kmalloc(sizeof(*c));
		if (!c) {
			p->error = -ENOMEM;
			return;
		}
		c->used = 0;
		c->next = p->chunks;
		p->chunks = c;
	}
	w = &c->entries[c->used++];
	wait_add(q, w);
	w->events = p->wanted;
}

static void add_stream(struct poller *p, pico_handle h)
{
	if (h <= 0)
		return;
	if (p->stream_count == p->stream_max) {
		u32 max = p->stream_max * 2;
		pico_handle *more = kmalloc(max * sizeof(*more));

		if (!more) {
			p->error = -ENOMEM;
			return;
		}
		memcpy(more, p->streams, p->stream_count * sizeof(*more));
		if (p->streams != p->first_streams)
			kfree(p->streams);
		p->streams = more;
		p->stream_max = max;
	}
	p->streams[p->stream_count++] = h;
}

static void poller_add_stream(struct poll_table *t, pico_handle readable, pico_handle writable)
{
	struct poller *p = container_of(t, struct poller, table);

	if (!p->wanted || p->wanted & (EV_IN | EPOLLRDHUP))
		add_stream(p, readable);
	if (!p->wanted || p->wanted & EV_OUT)
		add_stream(p, writable);
}

struct poller *poller_create(void)
{
	struct poller *p = kmalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->table = (struct poll_table){ poller_add, poller_add_stream };
	p->first.used = 0;
	p->first.next = NULL;
	p->chunks = &p->first;
	p->error = 0;
	p->wanted = 0;
	p->stream_count = 0;
	p->stream_max = ARRAY_SIZE(p->first_streams);
	p->streams = p->first_streams;
	return p;
}

void poller_destroy(struct poller *p)
{
	struct poll_chunk *c = p->chunks;

	while (c) {
		struct poll_chunk *next = c->next;

		for (u32 i = 0; i < c->used; i++)
			wait_remove(&c->entries[i]);
		if (c != &p->first)
			kfree(c);
		c = next;
	}
	if (p->streams != p->first_streams)
		kfree(p->streams);
	kfree(p);
}

int poller_sleep(struct poller *p, u64 deadline)
{
	return p->stream_count ? wait_sleep_streams(deadline, p->streams, p->stream_count) : wait_sleep(deadline);
}

/* ---- what poll and select have in common ---- */

struct watched { struct file *file; u32 events, revents; };

/* One look at all; how many have something. Adds to the poller until the first one has. */
static int look(struct watched *v, u32 count, struct poller *p)
{
	int found = 0;

	for (u32 i = 0; i < count; i++) {
		u32 ev;

		v[i].revents = 0;
		if (!v[i].file)
			continue;
		if (p)
			p->wanted = v[i].events;
		ev = file_poll(v[i].file, p ? &p->table : NULL) & v[i].events;
		if (!ev)
			continue;
		v[i].revents = ev;
		found++;
		p = NULL;
	}
	return found;
}

/* Waits until one is ready: count, 0 at the deadline, or -ERESTARTSYS, -ENOMEM. already: that many are ready anyhow. */
static int watch(struct watched *v, u32 count, int already, u64 deadline)
{
	struct poller *p;
	int found, err = 0;

	found = look(v, count, NULL) + already;
	if (found || !deadline)
		return found;
	p = poller_create();
	if (!p)
		return -ENOMEM;
	wait_begin();
	found = look(v, count, p);
	while (!found && !err && !p->error) {
		err = poller_sleep(p, deadline);
		if (err == -ERESTARTSYS)
			break;
		wait_begin();
		found = look(v, count, NULL);
	}
	if (!found)
		found = p->error ? p->error : err == -ETIMEDOUT ? 0 : err;
	poller_destroy(p);
	return found;
}

static void forget(struct watched *v, u32 count, struct watched *small)
{
	for (u32 i = 0; i < count; i++)
		if (v[i].file)
			file_put(v[i].file);
	if (v != small)
		kfree(v);
}

/* Timeouts are given back as Linux gives them: what is left, never negative. */
#define STICKY_TIMEOUTS 0x4000000u /* of personality(2): as other Unixes, a timeout is not changed */
struct wait_time { uaddr at; enum { TIME_NONE, TIME_SPEC, TIME_VAL } kind; u64 deadline; bool given, zero; };

static int take_timeout(struct wait_time *t, uaddr at, int kind)
{
	struct lx_timespec ts;

	t->at = at;
	t->kind = kind;
	t->given = at != 0;
	t->zero = false;
	t->deadline = PICO_FOREVER;
	if (!at)
		return 0;
	if (copy_from_user(&ts, at, sizeof(ts)))
		return -EFAULT;
	if (kind == TIME_VAL) { /* microseconds may pass a second here */
		ts.sec += ts.nsec / 1000000;
		ts.nsec = ts.nsec % 1000000 * 1000;
	}
	if (!timespec_valid(&ts))
		return -EINVAL;
	t->zero = !ts.sec && !ts.nsec;
	if (t->zero)
		t->deadline = 0;
	else
		return deadline_from_timespec(&ts, 1 /* CLOCK_MONOTONIC */, false, &t->deadline);
	return 0;
}

static void give_timeout(const struct wait_time *t)
{
	struct lx_timespec left = { 0, 0 };
	u64 now;

	if (!t->given || t->zero || current->process->personality & STICKY_TIMEOUTS)
		return;
	now = now_mono();
	if (t->deadline > now) {
		left.sec = (s64)((t->deadline - now) / NSEC_PER_SEC);
		left.nsec = (s64)((t->deadline - now) % NSEC_PER_SEC);
	}
	if (t->kind == TIME_VAL)
		left.nsec /= 1000;
	/* A timeout in read-only memory is no error. */
	(void)copy_to_user(t->at, &left, sizeof(left));
}

static s64 finish(const struct wait_time *t, s64 ret)
{
	if (ret != -ERESTARTNOHAND)
		signal_restore_temporary_mask();
	give_timeout(t);
	return ret;
}

/* ---- poll ---- */

static s64 poll_files(uaddr fds, u32 count, u64 deadline)
{
	struct pollfd small_fds[32], *p = small_fds;
	struct watched small[32], *v = small;
	int ready = 0;
	s64 ret;

	if (count > rlimit_get(7 /* RLIMIT_NOFILE */))
		return -EINVAL;
	if (count > ARRAY_SIZE(small)) {
		p = kmalloc(count * sizeof(*p));
		v = kmalloc(count * sizeof(*v));
		if (!p || !v) {
			kfree(p);
			kfree(v);
			return -ENOMEM;
		}
	}
	ret = -EFAULT;
	if (count && copy_from_user(p, fds, count * sizeof(*p))) {
		count = 0;
		goto out;
	}
	for (u32 i = 0; i < count; i++) {
		p[i].revents = 0;
		v[i].file = p[i].fd < 0 ? NULL : fd_get(p[i].fd);
		v[i].events = (u16)p[i].events | ALWAYS;
		if (p[i].fd >= 0 && !v[i].file) {
			p[i].revents = POLLNVAL_;
			ready++;
		}
	}
	ret = watch(v, count, ready, deadline);
	if (ret == -ERESTARTSYS)
		ret = -EINTR;
	if (ret < 0)
		goto out;
	for (u32 i = 0; i < count; i++) {
		if (v[i].file)
			p[i].revents = (s16)v[i].revents;
		if (put_user(p[i].revents, fds + i * sizeof(*p) + offsetof(struct pollfd, revents))) {
			ret = -EFAULT;
			goto out;
		}
	}
out:
	forget(v, count, small);
	if (p != small_fds)
		kfree(p);
	return ret;
}

static long poll_again(struct task *t);

static s64 poll_restartable(uaddr fds, u32 count, u64 deadline)
{
	s64 ret = poll_files(fds, count, deadline);

	if (ret == -EINTR) {
		current->restart = poll_again;
		current->restart_args[0] = fds;
		current->restart_args[1] = count;
		current->restart_args[2] = deadline;
		ret = -ERESTART_RESTARTBLOCK;
	}
	return ret;
}

static long poll_again(struct task *t)
{
	return poll_restartable(t->restart_args[0], (u32)t->restart_args[1], t->restart_args[2]);
}

SYSCALL(poll)
{
	return poll_restartable(a[0], (u32)a[1], deadline_from_ms((s32)a[2]));
}

SYSCALL(ppoll)
{
	struct wait_time t;
	u64 mask;
	s64 ret;
	int err = take_timeout(&t, a[2], TIME_SPEC);

	if (err)
		return err;
	if (a[3]) {
		err = user_sigset(a[3], a[4], &mask);
		if (err)
			return err;
		signal_set_temporary_mask(mask);
	}
	ret = poll_files(a[0], (u32)a[1], t.deadline);
	return finish(&t, ret == -EINTR ? -ERESTARTNOHAND : ret);
}

/* ---- select ---- */

#define SELECT_IN (EV_IN | EPOLLRDBAND | EPOLLHUP | EPOLLERR | EPOLLNVAL)
#define SELECT_OUT (EV_OUT | EPOLLWRBAND | EPOLLERR | EPOLLNVAL)
#define SELECT_EX (EPOLLPRI | EPOLLNVAL)
static const u32 select_events[3] = { SELECT_IN, SELECT_OUT, SELECT_EX };

struct select_sets { u64 *in[3], *out[3]; u32 words; };

static bool set_has(const u64 *s, u32 fd) { return s[fd / 64] >> (fd % 64) & 1; }

static int select_get(struct select_sets *s, const uaddr user[3])
{
	for (int k = 0; k < 3; k++)
		if (user[k] && copy_from_user(s->in[k], user[k], s->words * 8))
			return -EFAULT;
	return 0;
}

static int select_put(const struct select_sets *s, const uaddr user[3])
{
	for (int k = 0; k < 3; k++)
		if (user[k] && copy_to_user(user[k], s->out[k], s->words * 8))
			return -EFAULT;
	return 0;
}

/* The files of the sets, in v; *fds says which descriptor each one is. */
static s64 select_collect(const struct select_sets *s, u32 n, struct watched *v, u32 *fds)
{
	u32 count = 0;

	for (u32 fd = 0; fd < n; fd++) {
		u32 ev = 0;

		for (int k = 0; k < 3; k++)
			if (set_has(s->in[k], fd))
				ev |= select_events[k];
		if (!ev)
			continue;
		fds[count] = fd;
		v[count].events = ev;
		v[count].file = fd_get((int)fd);
		if (!v[count].file) {
			forget(v, count, v);
			return -EBADF;
		}
		count++;
	}
	return count;
}

static s64 select_files(u32 n, const uaddr user[3], u64 deadline)
{
	struct select_sets s = { .words = (n + 63) / 64 };
	u32 wanted = 0, *fds = NULL;
	struct watched *v = NULL;
	s64 count, ret = 0;
	u64 *bits = kzalloc(MAX(s.words, 1u) * 6 * sizeof(u64));

	if (!bits)
		return -ENOMEM;
	for (int k = 0; k < 3; k++) {
		s.in[k] = bits + (size_t)k * s.words;
		s.out[k] = bits + (size_t)(k + 3) * s.words;
	}
	ret = select_get(&s, user);
	if (ret)
		goto out;
	for (u32 i = 0; i < s.words; i++)
		wanted += (u32)__builtin_popcountll(s.in[0][i] | s.in[1][i] | s.in[2][i]);
	v = kmalloc((wanted + 1) * sizeof(*v));
	fds = kmalloc((wanted + 1) * sizeof(*fds));
	ret = -ENOMEM;
	if (!v || !fds)
		goto out;
	ret = count = select_collect(&s, n, v, fds);
	if (ret < 0)
		goto out;
	ret = watch(v, (u32)count, 0, deadline);
	if (ret >= 0) { /* select counts bits, not descriptors */
		s64 found = 0;

		for (u32 i = 0; i < (u32)count; i++)
			for (int k = 0; k < 3; k++)
				if (set_has(s.in[k], fds[i]) && v[i].revents & select_events[k]) {
					s.out[k][fds[i] / 64] |= 1ull << (fds[i] % 64);
					found++;
				}
		ret = select_put(&s, user);
		if (!ret)
			ret = found;
	}
	forget(v, (u32)count, v);
out:
	kfree(v);
	kfree(fds);
	kfree(bits);
	return ret == -ERESTARTSYS ? -ERESTARTNOHAND : ret;
}

static s64 do_select(s32 n, const uaddr user[3], u64 deadline)
{
	if (n < 0)
		return -EINVAL;
	/* Linux cuts n at the size of the descriptor table; no descriptor lies above the limit. */
	return select_files(MIN((u32)n, 1u << 20), user, deadline);
}

SYSCALL(select)
{
	const uaddr sets[3] = { a[1], a[2], a[3] };
	struct wait_time t;
	int err = take_timeout(&t, a[4], TIME_VAL);

	if (err)
		return err;
	return finish(&t, do_select((s32)a[0], sets, t.deadline));
}

SYSCALL(pselect6)
{
	const uaddr sets[3] = { a[1], a[2], a[3] };
	struct { u64 set, size; } arg = { 0, 0 };
	struct wait_time t;
	u64 mask;
	int err;

	if (a[5] && copy_from_user(&arg, a[5], sizeof(arg)))
		return -EFAULT;
	err = take_timeout(&t, a[4], TIME_SPEC);
	if (err)
		return err;
	if (arg.set) {
		err = user_sigset(arg.set, arg.size, &mask);
		if (err)
			return err;
		signal_set_temporary_mask(mask);
	}
	return finish(&t, do_select((s32)a[0], sets, t.deadline));
}
