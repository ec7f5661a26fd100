/* SPDX-License-Identifier: Apache-2.0
 *
 * Pseudo-terminals: /dev/ptmx, whose every open file is the user's side
 * (master) of a new terminal, and /dev/pts/N, the program's side (slave). Line
 * editing and the rest of termios(3) is the line discipline's; here are files,
 * waits, hang-ups and names.
 */
#include "pty.h"
#include <asm/termios.h>

#define PTY_MAX 1024u
#define PTS_MAJOR 136u
#define TTY_GROUP 5u /* owns the slaves, as distributions have it */
#define PIECE 512u

struct pty_table { struct lock lock; u32 count, next_generation; struct pty *slot[PTY_MAX]; };

static struct pty_table *table(void) { return IPC->ptys; }

/* ---- the table ---- */

/* NULL: none. The number of its files goes up. */
static struct pty *pty_get(u32 index)
{
	struct pty *p = NULL;

	if (!table() || index >= PTY_MAX)
		return NULL;
	lock(&table()->lock);
	p = table()->slot[index];
	if (p)
		p->files++;
	unlock(&table()->lock);
	return p;
}

/* For who knows the pty without having it open; false: it is going. */
static bool pty_hold(struct tty *t)
{
	struct pty *p = (struct pty *)t;
	bool there;

	lock(&table()->lock);
	there = table()->slot[p->index] == p;
	p->files += there;
	unlock(&table()->lock);
	return there;
}

static void pty_put(struct pty *p)
{
	bool last;

	lock(&table()->lock);
	last = --p->files == 0;
	if (last) {
		table()->slot[p->index] = NULL;
		table()->count--;
	}
	unlock(&table()->lock);
	if (!last)
		return;
	tty_forget(&p->job, false);
	ldisc_fini(&p->line);
	inode_put(p->node);
	kfree(p);
}

static struct pty_table *table_make(void)
{
	struct pty_table *t = kzalloc(sizeof(*t)), *none = NULL;

	if (!t || __atomic_compare_exchange_n(&IPC->ptys, &none, t, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return t;
	kfree(t);
	return none;
}

/* A number and a place; the pty is ours alone until its master file is there. */
static int table_add(struct pty *p)
{
	struct pty_table *t = table() ? table() : table_make();
	int err = -ENOSPC;

	if (!t)
		return -ENOMEM;
	lock(&t->lock);
	for (u32 n = 0; n < PTY_MAX; n++)
		if (!t->slot[n]) {
			p->index = n;
			p->generation = ++t->next_generation;
			p->job.number = PTS_MAJOR << 8 | (n & 0xff) | (n & ~0xffu) << 12;
			t->slot[n] = p;
			t->count++;
			err = 0;
			break;
		}
	unlock(&t->lock);
	return err;
}

/* ---- what the other side must know; after a change, without the lock ---- */

static void send_signals(struct pty *p, u32 signals)
{
	for (int signo = 1; signals >> signo; signo++)
		if (signals >> signo & 1)
			tty_signal_foreground(&p->job, signo);
}

void pty_unlock(struct pty *p)
{
	u32 signals = p->line.signals;

	p->line.signals = 0;
	if (!p->packets)
		p->line.packet = 0;
	unlock(&p->lock);
	send_signals(p, signals);
}

/* ---- the program's side ---- */

/* How long a raw read waits for its next byte; 0: not at all. */
static u64 raw_deadline(const struct pico_terminal *t, bool some)
{
	if (t->lflag & ICANON || (t->cc[VMIN] && (!some || !t->cc[VTIME])))
		return PICO_FOREVER;
	return t->cc[VTIME] ? now_mono() + (u64)t->cc[VTIME] * 100000000u : 0;
}

/* Takes what is there; *end: the read is over with it. Lock held. */
static s64 take_input(struct pty *p, const struct iobuf *b, size_t done, bool *end)
{
	const struct pico_terminal *t = &p->line.term;
	u8 piece[PIECE];
	size_t start = done;

	while (done < b->size && !*end) {
		u32 n = ldisc_read(&p->line, piece, (u32)MIN(b->size - done, sizeof(piece)), end);

		if (n && iobuf_copy_to(b, done, piece, n))
			return done > start ? (s64)(done - start) : -EFAULT;
		done += n;
		if (!n)
			break;
	}
	if (done >= b->size || (done && !(t->lflag & ICANON) && done >= t->cc[VMIN]))
		*end = true;
	return (s64)(done - start);
}

static s64 slave_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pty *p = f->data;
	struct wait_entry *w = NULL;
	u64 deadline = 0;
	size_t done = 0;
	bool end = false, waiting = false;
	s64 n;

	(void)pos;
	if (!b->size)
		return 0;
	n = tty_background_check(&p->job, SIGTTIN);
	if (n)
		return n;
	for (;;) {
		lock(&p->lock);
		if (!p->master) {
			unlock(&p->lock);
			n = 0;
			break;
		}
		n = ldisc_readable(&p->line, false) ? take_input(p, b, done, &end) : 0;
		if (n > 0)
			done += (size_t)n;
		if (n > 0 || !waiting)
			deadline = raw_deadline(&p->line.term, done != 0);
		waiting = true;
		pty_unlock(p);
		if (n > 0 || end)
			wake_queue(&p->master_wait, EV_OUT);
		if (n < 0 || end || (!deadline && !done))
			break;
		if (io_nowait(f, b)) {
			n = done ? 0 : -EAGAIN;
			break;
		}
		if (!w) {
			w = wait_on(&p->slave_wait, EPOLLIN | EPOLLHUP);
			continue; /* look again: now nothing is missed */
		}
		n = wait_sleep(deadline);
		if (n)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	return done ? (s64)done : n == -ETIMEDOUT ? 0 : n;
}

static s64 slave_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pty *p = f->data;
	struct wait_entry *w = NULL;
	u8 piece[PIECE];
	size_t done = 0;
	s64 n = 0;

	(void)pos;
	if (p->line.term.lflag & TOSTOP && (n = tty_background_check(&p->job, SIGTTOU)))
		return n;
	while (done < b->size) {
		u32 size = (u32)MIN(b->size - done, sizeof(piece)), fitted;

		n = -EFAULT;
		if (iobuf_copy_from(b, done, piece, size))
			break;
		lock(&p->lock);
		n = p->master ? 0 : -EIO;
		fitted = n ? 0 : ldisc_print(&p->line, piece, size);
		pty_unlock(p);
		done += fitted;
		if (fitted)
			wake_queue(&p->master_wait, EV_IN);
		if (n)
			break;
		if (fitted == size)
			continue;
		n = -EAGAIN;
		if (io_nowait(f, b))
			break;
		if (!w) {
			w = wait_on(&p->slave_wait, EPOLLOUT | EPOLLHUP);
			continue;
		}
		n = wait_sleep(PICO_FOREVER);
		if (n)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	return done ? (s64)done : n;
}

static u32 slave_poll(struct file *f, struct poll_table *t)
{
	struct pty *p = f->data;
	u32 ev = 0;

	if (t)
		t->add(t, &p->slave_wait);
	lock(&p->lock);
	if (!p->master)
		ev = EV_IN | EV_OUT | EPOLLERR | EPOLLHUP;
	if (ldisc_readable(&p->line, true))
		ev |= EV_IN;
	if (ldisc_output_room(&p->line))
		ev |= EV_OUT;
	unlock(&p->lock);
	return ev;
}

/* ---- the user's side ---- */

/* Lock held: a packet's first byte, and how much of the buffer it leaves. */
static s64 take_output(struct pty *p, const struct iobuf *b)
{
	struct ldisc *d = &p->line;
	size_t done = 0;
	u8 status;

	if (p->packets) {
		status = (u8)d->packet;
		if (iobuf_copy_to(b, 0, &status, 1))
			return -EFAULT;
		d->packet = 0;
		done = 1;
		if (status)
			return 1;
	}
	while (done < b->size && ldisc_output_size(d)) {
		u32 at = d->out_tail & (TTY_RING - 1);
		size_t n = MIN((size_t)ldisc_output_size(d), (size_t)(TTY_RING - at));

		n = MIN(n, b->size - done);
		if (iobuf_copy_to(b, done, d->output + at, n))
			return done ? (s64)done : -EFAULT;
		d->out_tail += (u32)n;
		done += n;
	}
	return (s64)done;
}

static bool master_readable(const struct pty *p)
{
	return ldisc_output_size(&p->line) || (p->packets && p->line.packet);
}

static s64 master_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pty *p = f->data;
	struct wait_entry *w = NULL;
	s64 n;

	(void)pos;
	if (!b->size)
		return 0;
	for (;;) {
		lock(&p->lock);
		n = master_readable(p) ? take_output(p, b) : p->left ? -EIO : io_nowait(f, b) ? -EAGAIN : 0;
		pty_unlock(p);
		if (n)
			break;
		if (!w) {
			w = wait_on(&p->master_wait, EPOLLIN | EPOLLHUP);
			continue;
		}
		n = wait_sleep(PICO_FOREVER);
		if (n)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	if (n > 0)
		wake_queue(&p->slave_wait, EV_OUT);
	return n;
}

static s64 master_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct pty *p = f->data;
	struct wait_entry *w = NULL;
	u8 piece[PIECE];
	size_t done = 0;
	s64 n = 0;

	(void)pos;
	while (done < b->size) {
		u32 size = (u32)MIN(b->size - done, sizeof(piece)), fitted;
		bool echoed;

		n = -EFAULT;
		if (iobuf_copy_from(b, done, piece, size))
			break;
		lock(&p->lock);
		fitted = ldisc_type(&p->line, piece, size);
		echoed = master_readable(p);
		pty_unlock(p);
		done += fitted;
		wake_queue(&p->slave_wait, EV_IN | EV_OUT); /* ^Q lets output go on */
		if (echoed)
			wake_queue(&p->master_wait, EV_IN);
		n = 0;
		if (fitted == size)
			continue;
		n = -EAGAIN;
		if (io_nowait(f, b))
			break;
		if (!w) {
			w = wait_on(&p->master_wait, EPOLLOUT);
			continue;
		}
		n = wait_sleep(PICO_FOREVER);
		if (n)
			break;
		wait_begin();
	}
	if (w)
		wait_remove(w);
	return done ? (s64)done : n;
}

static u32 master_poll(struct file *f, struct poll_table *t)
{
	struct pty *p = f->data;
	u32 ev = 0;

	if (t)
		t->add(t, &p->master_wait);
	lock(&p->lock);
	if (master_readable(p))
		ev |= EV_IN;
	if (p->packets && p->line.packet)
		ev |= EPOLLPRI;
	if (p->left)
		ev |= EPOLLHUP;
	if (ldisc_takes(&p->line))
		ev |= EV_OUT;
	unlock(&p->lock);
	return ev;
}

/* ---- closing ---- */

static void master_release(struct file *f)
{
	struct pty *p = f->data;

	if (!p)
		return;
	lock(&p->lock);
	p->master = false;
	ldisc_flush_input(&p->line);
	unlock(&p->lock);
	tty_forget(&p->job, true);
	wake_up(&p->slave_wait, 0);
	pty_put(p);
}

static void slave_release(struct file *f)
{
	struct pty *p = f->data;
	bool last;

	if (!p)
		return;
	lock(&p->lock);
	last = --p->slaves == 0;
	p->left |= last;
	unlock(&p->lock);
	if (last)
		wake_up(&p->master_wait, 0);
	pty_put(p);
}

static const struct file_ops master_ops = {
	.name = "ptmx", .read = master_read, .write = master_write, .poll = master_poll, .ioctl = pty_master_ioctl,
	.release = master_release,
};
static const struct file_ops slave_ops = {
	.name = "pts", .read = slave_read, .write = slave_write, .poll = slave_poll, .ioctl = pty_slave_ioctl,
	.release = slave_release,
};

/* ---- opening ---- */

/* The file gets the caller's count of p, unless it fails. */
static int slave_attach(struct pty *p, struct file *f)
{
	int err = 0;

	lock(&p->lock);
	if (!p->master || p->locked) {
		err = -EIO;
	} else if (p->exclusive && !capable(CAP_SYS_ADMIN)) {
		err = -EBUSY;
	} else {
		p->slaves++;
		p->left = false;
	}
	unlock(&p->lock);
	if (err)
		return err;
	f->data = p;
	f->ops = &slave_ops;
	return 0;
}

int pts_open(struct inode *i, struct file *f)
{
	u32 index = (u32)(i->rdev & 0xff) | (u32)(i->rdev >> 12 & 0xfff00);
	struct pty *p = pty_get(index);
	int err;

	if (!p)
		return -EIO;
	err = slave_attach(p, f);
	if (err)
		pty_put(p);
	else
		tty_opened(&p->job, f);
	return err;
}

static int open_job(struct tty *t, struct file *f)
{
	struct pty *p = (struct pty *)t;
	int err;

	err = slave_attach(p, f);
	if (err)
		pty_put(p);
	return err;
}

static const struct pseudo_entry slave_entry;

int ptmx_open(struct inode *i, struct file *f)
{
	struct pty *p = kzalloc(sizeof(*p));
	struct pseudo what = { .entry = &slave_entry };
	int err = -ENOMEM;

	(void)i;
	if (!p)
		return -ENOMEM;
	if (ldisc_init(&p->line))
		goto out_pty;
	wait_queue_init(&p->master_wait);
	wait_queue_init(&p->slave_wait);
	p->files = 1;
	p->master = p->locked = true;
	p->job.hold = pty_hold;
	p->job.open = open_job;
	err = table_add(p);
	if (err)
		goto out_line;
	what.arg = p->job.number;
	what.tid = p->generation;
	p->node = pseudo_inode(DEVFS_DEV, &what);
	if (!p->node) {
		lock(&table()->lock);
		table()->slot[p->index] = NULL;
		table()->count--;
		unlock(&table()->lock);
		err = -ENOMEM;
		goto out_line;
	}
	p->node->rdev = p->job.number;
	p->node->uid = current->process->creds.fsuid;
	p->node->gid = TTY_GROUP;
	f->data = p;
	f->ops = &master_ops;
	return 0;
out_line:
	ldisc_fini(&p->line);
out_pty:
	kfree(p);
	return err;
}

/* ---- /dev/pts ---- */

static bool slave_gone(struct pseudo *what)
{
	u32 index = (u32)(what->arg & 0xff) | (u32)(what->arg >> 12 & 0xfff00);
	const struct pty *p;
	bool gone;

	lock(&table()->lock);
	p = table()->slot[index];
	gone = !p || !p->master || p->generation != what->tid;
	unlock(&table()->lock);
	return gone;
}

/* Its inode, with the owner and mode it was given, is kept with the terminal. */
static struct inode *slave_inode(struct pseudo *what)
{
	u32 index = (u32)(what->arg & 0xff) | (u32)(what->arg >> 12 & 0xfff00);
	struct inode *i = NULL;
	const struct pty *p;

	lock(&table()->lock);
	p = table()->slot[index];
	if (p && p->generation == what->tid && p->node)
		i = inode_get(p->node);
	unlock(&table()->lock);
	return i;
}

static const struct pseudo_entry slave_entry = { .mode = S_IFCHR | 0620, .gone = slave_gone, .inode = slave_inode };

static void show_slave(const struct pty *p, struct pseudo *child)
{
	child->entry = &slave_entry;
	child->arg = p->job.number;
	child->tid = p->generation;
}

int pts_find(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	const struct pty *p;
	u32 index = 0;
	int err = -ENOENT;

	(void)dir;
	if (!table() || !size || size > 4 || (size > 1 && name[0] == '0'))
		return -ENOENT;
	for (size_t n = 0; n < size; n++) {
		if (name[n] < '0' || name[n] > '9')
			return -ENOENT;
		index = index * 10 + (u32)(name[n] - '0');
	}
	if (index >= PTY_MAX)
		return -ENOENT;
	lock(&table()->lock);
	p = table()->slot[index];
	if (p && p->master && p->node) {
		show_slave(p, child);
		err = 0;
	}
	unlock(&table()->lock);
	return err;
}

bool pts_next(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	bool found = false;

	(void)dir;
	if (!table())
		return false;
	lock(&table()->lock);
	for (; *pos < PTY_MAX && !found; ++*pos) {
		const struct pty *p = table()->slot[*pos];

		if (!p || !p->master || !p->node)
			continue;
		snprintf(name, 64, "%u", p->index);
		show_slave(p, child);
		found = true;
	}
	unlock(&table()->lock);
	return found;
}

const struct pseudo_entry pts_table[] = {
	{ .name = "ptmx", .mode = S_IFCHR | 0666, .arg = 5 << 8 | 2 },
	{ .name = NULL },
};
