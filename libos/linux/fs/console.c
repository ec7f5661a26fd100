/* SPDX-License-Identifier: Apache-2.0
 *
 * The standard streams of the host as descriptors 0, 1 and 2, and the terminal
 * behind them. Line discipline, echo and the like happen in the host's
 * terminal; here are settings, job control and interruptible waits.
 *
 * A regular file behind a stream is used at the host's own position, so that
 * redirections shared with other programs work (`>>`, a loop's input), until
 * the program seeks. The position it sees counts from 0 for input and from the
 * file's size for output, which is what a shell leaves there.
 */
#include "tty.h"
#include "linux/lx/signal.h"
#include <asm/termios.h>

#define PIECE 4096u /* what a ready pipe or terminal takes without waiting */
#define BOUNCE 4096u

struct console { /* one an instance */
	struct lock lock;
	pico_handle stream[3];
	u32 type[3], access[3];
	bool terminal[3];
	pico_handle tty; /* a stream that is the terminal; 0: none */
	struct tty job;
	bool settings_known; /* term is the host's, but for what the host changed since */
	struct pico_terminal term;
	struct wait_queue wait; /* of settings and of edge-triggered watchers */
};
struct endpoint { /* file->data */
	pico_handle in, out;
	pico_handle in_event, out_event, hup_event; /* 0: always ready */
	u32 type;
	bool terminal;
	u64 host_pos; /* of a regular file: where the host's own position is, as far as we know */
	bool own_pos; /* the program has seeked */
};

static struct console *con(void) { return IPC->console; }
static struct endpoint *end_of(const struct file *f) { return f->data; }

/* ---- settings ---- */

/* The terminal's settings, from the host. */
static int settings_read(struct pico_terminal *t)
{
	struct pico_stream_attributes a;
	s64 err;

	if (!con()->tty)
		return -ENOTTY;
	err = Dk(StreamAttributesQueryByHandle)(con()->tty, &a);
	if (err < 0)
		return (int)err;
	if (!(a.valid & PICO_ATTR_TERMINAL))
		return -ENOTTY;
	lock(&con()->lock);
	con()->term = a.term;
	con()->settings_known = true;
	unlock(&con()->lock);
	*t = a.term;
	return 0;
}

static int settings_write(const struct pico_terminal *t)
{
	struct pico_stream_attributes a = { .valid = PICO_ATTR_TERMINAL, .term = *t };
	s64 err = Dk(StreamAttributesSet)(con()->tty, NULL, 0, &a);

	if (err < 0)
		return (int)err;
	lock(&con()->lock);
	con()->term = *t;
	con()->settings_known = true;
	unlock(&con()->lock);
	return 0;
}

void console_window_changed(void)
{
	struct pico_terminal t;

	if (!con() || !con()->tty || settings_read(&t))
		return;
	tty_signal_foreground(&con()->job, SIGWINCH);
}

u32 console_foreground(void) { return con() ? con()->job.foreground : 0; }

/* ---- waiting and moving data ---- */

static bool ready(pico_handle event) { return event <= 0 || Dk(EventPeek)(event) != 0; }

/* Until the stream is ready: 0, -EAGAIN, -ETIMEDOUT or -ERESTARTSYS. */
static int wait_ready(pico_handle event, bool nowait, u64 deadline)
{
	int err;

	if (ready(event))
		return 0;
	if (nowait)
		return -EAGAIN;
	do {
		wait_begin();
		err = wait_sleep_streams(deadline, &event, 1);
	} while (!err && !ready(event));
	return err;
}

static s64 stream_error(s64 n) { return n == -PICO_EINTR ? -ERESTARTSYS : n; }

/* The host's calls take ordinary memory of the program as it is; streams that
 * the host application serves are copied by the gate, which must not fault. */
static s64 move_in(const struct endpoint *e, const struct iobuf *b, u64 offset)
{
	void *bounce;
	s64 n;

	if (e->in_event > 0 || e->type == PICO_STREAM_FILE)
		return stream_error(Dk(StreamRead)(e->in, offset, b->user ? (void *)b->u : b->k, b->size, NULL));
	bounce = kmalloc(BOUNCE);
	if (!bounce)
		return -ENOMEM;
	n = stream_error(Dk(StreamRead)(e->in, offset, bounce, MIN(b->size, (size_t)BOUNCE), NULL));
	if (n > 0 && iobuf_copy_to(b, 0, bounce, (size_t)n))
		n = -EFAULT;
	kfree(bounce);
	return n;
}

static s64 move_out(const struct endpoint *e, const struct iobuf *b, size_t at, size_t size, u64 offset)
{
	void *bounce;
	s64 n;

	if (e->out_event > 0 || e->type == PICO_STREAM_FILE)
		return stream_error(Dk(StreamWrite)(e->out, offset, (b->user ? (char *)b->u : (char *)b->k) + at, size, NULL));
	size = MIN(size, (size_t)BOUNCE);
	bounce = kmalloc(size);
	if (!bounce)
		return -ENOMEM;
	n = iobuf_copy_from(b, at, bounce, size) ? -EFAULT : stream_error(Dk(StreamWrite)(e->out, offset, bounce, size, NULL));
	kfree(bounce);
	return n;
}

/* How long a read of a raw terminal waits; *block false: not at all. */
static u64 raw_deadline(bool *block)
{
	const struct pico_terminal *t = &con()->term;
	struct pico_terminal fresh;

	*block = true;
	if (!con()->settings_known)
		settings_read(&fresh);
	if (t->lflag & ICANON || t->cc[VMIN])
		return PICO_FOREVER;
	*block = t->cc[VTIME] != 0;
	return now_mono() + (u64)t->cc[VTIME] * 100000000u;
}

static s64 read_stream(struct file *f, const struct iobuf *b, u64 pos)
{
	struct endpoint *e = end_of(f);
	u64 deadline = PICO_FOREVER;
	bool block = true;
	s64 n;

	(void)pos;
	if (e->type == PICO_STREAM_NULL || !b->size)
		return 0;
	if (e->in <= 0)
		return -EIO;
	if (e->terminal) {
		n = tty_background_check(&con()->job, SIGTTIN);
		if (n)
			return n;
		if (!io_nowait(f, b))
			deadline = raw_deadline(&block);
	}
	n = wait_ready(e->in_event, io_nowait(f, b) || !block, deadline);
	if (n == -ETIMEDOUT || (n == -EAGAIN && !block))
		return 0;
	if (n)
		return n;
	n = move_in(e, b, PICO_OFFSET_NONE);
	if (n == -EAGAIN && !io_nowait(f, b))
		n = -ERESTARTNOINTR; /* the host's descriptor does not wait, and another reader was faster */
	wake_queue(&f->wait, EV_IN);
	return n;
}

static s64 write_stream(struct file *f, const struct iobuf *b, u64 pos)
{
	struct endpoint *e = end_of(f);
	size_t done = 0;
	s64 n = 0;

	(void)pos;
	if (e->type == PICO_STREAM_NULL || !b->size)
		return (s64)b->size;
	if (e->out <= 0)
		return -EIO;
	if (e->terminal && con()->settings_known && con()->term.lflag & TOSTOP) {
		n = tty_background_check(&con()->job, SIGTTOU);
		if (n)
			return n;
	}
	while (done < b->size) {
		n = wait_ready(e->out_event, io_nowait(f, b), PICO_FOREVER);
		if (n)
			break;
		n = move_out(e, b, done, MIN(b->size - done, (size_t)PIECE), PICO_OFFSET_NONE);
		if (n == -EAGAIN && !io_nowait(f, b)) {
			Dk(ThreadYieldExecution)();
			continue;
		}
		if (n <= 0)
			break;
		done += (size_t)n;
		n = 0;
	}
	if (n == -EPIPE)
		pipe_signal();
	return done ? (s64)done : n;
}

/* ---- regular files ---- */

static u64 file_offset(const struct endpoint *e, u64 pos)
{
	return !e->own_pos && pos == e->host_pos ? PICO_OFFSET_NONE : pos;
}

static s64 read_file(struct file *f, const struct iobuf *b, u64 pos)
{
	struct endpoint *e = end_of(f);
	u64 offset = file_offset(e, pos);
	s64 n = move_in(e, b, offset);

	if (n > 0 && offset == PICO_OFFSET_NONE)
		e->host_pos += (u64)n;
	return n;
}

static u64 file_size(const struct endpoint *e)
{
	struct pico_stream_attributes a;

	return Dk(StreamAttributesQueryByHandle)(e->in > 0 ? e->in : e->out, &a) < 0 ? 0 : a.size;
}

static s64 write_file(struct file *f, const struct iobuf *b, u64 pos)
{
	struct endpoint *e = end_of(f);
	bool append = b->flags & IOBUF_APPEND;
	u64 offset = append ? file_size(e) : file_offset(e, pos);
	s64 n = move_out(e, b, 0, b->size, offset);

	if (n > 0 && offset == PICO_OFFSET_NONE)
		e->host_pos += (u64)n;
	if (n > 0 && append)
		f->append_end = offset + (u64)n;
	return n;
}

static s64 seek_file(struct file *f, s64 offset, int whence)
{
	u64 before = f->pos;
	s64 to = seek_to(f, offset, whence, whence >= 2 ? file_size(end_of(f)) : 0);

	if (to >= 0 && (u64)to != before)
		end_of(f)->own_pos = true;
	return to;
}

static int map_file(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset)
{
	struct endpoint *e = end_of(f);
	void *at = (void *)addr;
	s64 err = Dk(StreamMap)(e->in > 0 ? e->in : e->out, &at, vma_flags & 7u, offset, size,
		PICO_MAP_FIXED | (vma_flags & 8u /* VMA_SHARED */ ? PICO_MAP_SHARED : PICO_MAP_PRIVATE));

	return err < 0 ? (int)err : 0;
}

static int sync_file(struct file *f, bool data_only)
{
	struct endpoint *e = end_of(f);
	s64 err = Dk(StreamFlush)(e->in > 0 ? e->in : e->out, data_only ? PICO_FLUSH_DATA : 0);

	return err < 0 ? (int)err : 0;
}

/* ---- readiness ---- */

static u32 poll_stream(struct file *f, struct poll_table *t)
{
	struct endpoint *e = end_of(f);
	bool reads = f->mode_bits & FMODE_READ, writes = f->mode_bits & FMODE_WRITE;
	u32 ev = 0;

	if (t) {
		t->add(t, &f->wait);
		if (e->in_event > 0 || e->out_event > 0)
			t->add_stream(t, reads ? e->in_event : 0, writes ? e->out_event : 0);
	}
	if (reads && ready(e->in_event))
		ev |= EV_IN;
	if (writes && ready(e->out_event))
		ev |= EV_OUT;
	if (e->hup_event > 0 && Dk(EventPeek)(e->hup_event))
		ev |= reads ? EPOLLHUP : EPOLLERR;
	return ev;
}

/* ---- ioctl ---- */

static int get_settings(u32 cmd, u64 arg)
{
	struct pico_terminal t;
	int err = settings_read(&t);

	return err ? err : tty_settings_to_user(cmd, arg, &t, NULL);
}

static int set_settings(u32 cmd, u64 arg)
{
	u32 speeds[2] = { 0, 0 };
	struct pico_terminal t;
	int err = tty_background_check(&con()->job, SIGTTOU);

	if (!err)
		err = settings_read(&t);
	if (!err)
		err = tty_settings_from_user(cmd, arg, &t, speeds);
	return err ? err : settings_write(&t);
}

static int window(u32 cmd, u64 arg)
{
	struct pico_terminal t;
	int err;

	/* We hear of a change only while the host's foreground is ours. */
	err = settings_read(&t);
	if (err)
		return err;
	if (cmd == TIOCGWINSZ)
		return tty_window_to_user(arg, &t);
	err = tty_window_from_user(arg, &t);
	if (err <= 0)
		return err;
	err = settings_write(&t);
	if (!err)
		tty_signal_foreground(&con()->job, SIGWINCH);
	return err;
}

static long terminal_ioctl(u32 cmd, u64 arg)
{
	switch (cmd) {
	case TCGETS: case TCGETA: case TCGETS2:
		return get_settings(cmd, arg);
	case TCSETS: case TCSETSW: case TCSETSF: case TCSETA: case TCSETAW: case TCSETAF:
	case TCSETS2: case TCSETSW2: case TCSETSF2:
		return set_settings(cmd, arg);
	case TIOCGWINSZ: case TIOCSWINSZ:
		return window(cmd, arg);
	case TCFLSH:
		return arg > 2 ? -EINVAL : 0;
	case TCXONC:
		return arg > 3 ? -EINVAL : 0;
	case TIOCEXCL: case TIOCNXCL:
		return 0;
	}
	return tty_ioctl(&con()->job, cmd, arg, false);
}

static long console_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct endpoint *e = end_of(f);
	s32 n = 0;

	if (cmd == FIONREAD) {
		if (e->type == PICO_STREAM_FILE) {
			u64 size = file_size(e);

			n = (s32)(size > f->pos ? size - f->pos : 0);
		} else if (e->in > 0 && e->in_event > 0) {
			n = ready(e->in_event); /* how much, only the host knows */
		}
		return put_user(n, arg);
	}
	return e->terminal ? terminal_ioctl(cmd, arg) : -ENOTTY;
}

static void console_release(struct file *f) { kfree(f->data); }

static const struct file_ops stream_ops = {
	.name = "console", .read = read_stream, .write = write_stream, .poll = poll_stream, .ioctl = console_ioctl,
	.release = console_release,
};
static const struct file_ops regular_ops = {
	.name = "console", .read = read_file, .write = write_file, .seek = seek_file, .mmap = map_file, .fsync = sync_file,
	.ioctl = console_ioctl, .release = console_release, .seekable = true,
};

/* ---- inodes of what is not a terminal ---- */

static int std_getattr(struct inode *i, struct kstat *st)
{
	struct pico_stream_attributes a;
	pico_handle h = (pico_handle)i->data;

	inode_getattr_plain(i, st);
	if ((i->mode & S_IFMT) != S_IFREG || Dk(StreamAttributesQueryByHandle)(h, &a) < 0)
		return 0;
	i->size = a.size;
	st->ino = a.inode;
	st->size = a.size;
	st->blocks = a.blocks;
	st->blksize = a.block_size ? a.block_size : 4096;
	st->mode = S_IFREG | (a.mode & 07777);
	st->uid = a.uid;
	st->gid = a.gid;
	st->atime = (struct lx_timespec){ a.atime_sec, a.atime_nsec };
	st->mtime = (struct lx_timespec){ a.mtime_sec, a.mtime_nsec };
	st->ctime = (struct lx_timespec){ a.ctime_sec, a.ctime_nsec };
	st->btime = (struct lx_timespec){ a.btime_sec, a.btime_nsec };
	return 0;
}

static int std_setattr(struct inode *i, u32 valid, const struct kstat *st)
{
	s64 err;

	if (valid & SETATTR_SIZE) {
		err = Dk(StreamSetLength)((pico_handle)i->data, st->size, PICO_LENGTH_SET, 0);
		if (err < 0)
			return (int)err;
		i->size = st->size;
	}
	return valid & (SETATTR_MODE | SETATTR_UID | SETATTR_GID) ? -EPERM : 0;
}

static const struct inode_ops std_inode_ops = { .getattr = std_getattr, .setattr = std_setattr };

static const struct { u32 mode; u64 rdev; } kinds[] = {
	[PICO_STREAM_FILE] = { S_IFREG | 0644, 0 }, [PICO_STREAM_PIPE] = { S_IFIFO | 0600, 0 },
	[PICO_STREAM_FIFO] = { S_IFIFO | 0600, 0 }, [PICO_STREAM_SOCKET] = { S_IFSOCK | 0777, 0 },
	[PICO_STREAM_APP] = { S_IFIFO | 0600, 0 }, [PICO_STREAM_NULL] = { S_IFCHR | 0666, 1 << 8 | 3 },
	[PICO_STREAM_CONSOLE] = { S_IFCHR | 0620, 5 << 8 | 1 }, [PICO_STREAM_CHARDEV] = { S_IFCHR | 0660, 4 << 8 | 64 },
	[PICO_STREAM_BLOCKDEV] = { S_IFBLK | 0660, 7 << 8 },
};

static struct inode *std_inode(u32 type, pico_handle h)
{
	u32 mode = type < ARRAY_SIZE(kinds) && kinds[type].mode ? kinds[type].mode : S_IFIFO | 0600;
	struct inode *i = inode_alloc(&std_inode_ops, mode);

	if (!i)
		return NULL;
	i->ino = anon_ino();
	i->dev = ANON_DEV;
	i->nlink = 1;
	i->uid = K->boot_uid;
	i->gid = K->boot_gid;
	i->rdev = type < ARRAY_SIZE(kinds) ? kinds[type].rdev : 0;
	i->data = (void *)h;
	i->atime = i->mtime = i->ctime = i->btime = timespec_now();
	return i;
}

/* ---- opening ---- */

static pico_handle event_of(pico_handle stream, u32 kind)
{
	s64 h = stream > 0 ? Dk(StreamGetEvent)(stream, kind) : 0;

	return h > 0 ? h : 0;
}

static struct endpoint *endpoint_make(pico_handle in, pico_handle out, u32 type, bool terminal)
{
	struct endpoint *e = kzalloc(sizeof(*e));

	if (!e)
		return NULL;
	e->in = in;
	e->out = out;
	e->type = type;
	e->terminal = terminal;
	if (type == PICO_STREAM_FILE || type == PICO_STREAM_NULL)
		return e;
	e->in_event = event_of(in, PICO_EVENT_READABLE);
	e->out_event = event_of(out, PICO_EVENT_WRITABLE);
	e->hup_event = event_of(in > 0 ? in : out, PICO_EVENT_HANGUP);
	return e;
}

/* The terminal: input and output in one file, as a shell's descriptors are. */
static int terminal_attach(struct file *f, int preferred_output)
{
	struct console *c = con();
	pico_handle in = c->terminal[0] ? c->stream[0] : 0, out = 0;
	struct endpoint *e;

	for (int n = 1; n < 3; n++)
		if (c->terminal[n] && (!out || n == preferred_output))
			out = c->stream[n];
	e = endpoint_make(in ? in : c->tty, out ? out : c->tty, PICO_STREAM_CONSOLE, true);
	if (!e)
		return -ENOMEM;
	f->data = e;
	f->ops = &stream_ops;
	return 0;
}

static int open_job(struct tty *t, struct file *f)
{
	(void)t;
	return terminal_attach(f, 1);
}

int console_open_tty(struct inode *i, struct file *f)
{
	int err;

	(void)i;
	if (!con() || !con()->tty)
		return -ENXIO;
	err = terminal_attach(f, 1);
	if (!err)
		tty_opened(&con()->job, f);
	return err;
}

static struct file *std_file(int n)
{
	struct console *c = con();
	bool out = c->access[n] == PICO_ACCESS_WRITE;
	struct file *f = file_alloc(&stream_ops, c->terminal[n] ? O_RDWR : out ? O_WRONLY : O_RDONLY);
	struct endpoint *e;

	if (!f)
		return NULL;
	f->flags |= O_LARGEFILE_X86;
	f->inode = std_inode(c->type[n], c->stream[n]);
	if (c->terminal[n]) {
		f->mode_bits = FMODE_READ | FMODE_WRITE;
		if (f->inode && !terminal_attach(f, n))
			return f;
	} else {
		e = f->inode ? endpoint_make(out ? 0 : c->stream[n], out ? c->stream[n] : 0, c->type[n], false) : NULL;
		f->mode_bits = out ? FMODE_WRITE : FMODE_READ;
		f->data = e;
		if (e && c->type[n] == PICO_STREAM_FILE) {
			f->ops = &regular_ops;
			f->stream = c->stream[n];
			e->host_pos = f->pos = out ? file_size(e) : 0;
		}
		if (e)
			return f;
	}
	file_put(f); /* release takes a NULL */
	return NULL;
}

/* A terminal's descriptor has the name /dev/console when there is one. */
static struct file *named_terminal(int n)
{
	struct file *f = file_open(AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY, 0);

	if (IS_ERR(f))
		return NULL;
	if (f->ops != &stream_ops) {
		file_put(f);
		return NULL;
	}
	kfree(f->data);
	f->data = NULL;
	if (!terminal_attach(f, n))
		return f;
	file_put(f);
	return NULL;
}

static void open_streams(struct console *c)
{
	static const char *const names[3] = { "console:stdin", "console:stdout", "console:stderr" };

	for (int n = 0; n < 3; n++) {
		struct pico_stream_attributes a = { 0 };
		u32 usual = n ? PICO_ACCESS_WRITE : PICO_ACCESS_READ, other = n ? PICO_ACCESS_READ : PICO_ACCESS_WRITE;
		s64 h = Dk(StreamOpen)(names[n], strlen(names[n]), usual, 0, 0, &a);

		c->access[n] = usual;
		if (h == -EACCES) { /* input that can only be written, as 0>file makes it */
			h = Dk(StreamOpen)(names[n], strlen(names[n]), other, 0, 0, &a);
			c->access[n] = h < 0 ? usual : other;
		}
		if (h == -ENOENT) /* closed */
			continue;
		if (h < 0) { /* not granted: as if it were /dev/null */
			c->type[n] = PICO_STREAM_NULL;
			continue;
		}
		c->stream[n] = h;
		c->type[n] = a.type;
		c->terminal[n] = a.type == PICO_STREAM_CONSOLE && a.flags & PICO_STREAM_FLAG_TERMINAL;
		if (c->terminal[n] && !c->tty) {
			c->tty = h;
			if (a.valid & PICO_ATTR_TERMINAL) {
				c->term = a.term;
				c->settings_known = true;
			}
		}
	}
}

/* Other standard streams stand at the old handles. The program's settings are
 * given to a terminal that is one still; what the programs hold as a terminal
 * and is none any more answers like one that has hung up its line. */
void console_resume(void)
{
	struct console *c = con();

	for (int n = 0; n < 3; n++) {
		struct pico_stream_attributes a = { 0 };
		if (!c->type[n] || c->stream[n] <= 0 || Dk(StreamAttributesQueryByHandle)(c->stream[n], &a) < 0)
			continue;
		c->type[n] = a.type;
	}
	if (c->tty && c->settings_known) {
		struct pico_stream_attributes a = { .valid = PICO_ATTR_TERMINAL, .term = c->term };
		Dk(StreamAttributesSet)(c->tty, NULL, 0, &a);
	}
}

int console_open_std(struct files *files)
{
	struct process *p = current->process;
	struct console *c = kzalloc(sizeof(*c));

	(void)files; /* the current task's */
	if (!c)
		return -ENOMEM;
	wait_queue_init(&c->wait);
	IPC->console = c;
	open_streams(c);
	if (c->tty) {
		c->job = (struct tty){ p->sid, p->pgid, 5 << 8 | 1, NULL, open_job };
		p->tty = &c->job;
	}
	for (int n = 0; n < 3; n++) {
		struct file *f = c->terminal[n] ? named_terminal(n) : NULL;
		int fd;

		if (!c->type[n])
			continue;
		if (!f)
			f = std_file(n);
		if (!f)
			return -ENOMEM;
		fd = fd_install(f, 0, n);
		if (fd < 0)
			return fd;
	}
	return 0;
}
