/* SPDX-License-Identifier: Apache-2.0
 *
 * ioctl(2) on pseudo-terminals: settings, windows, flushing, packets, and what
 * only the user's side may ask. Settings belong to the terminal, whichever side
 * asks.
 */
#include "pty.h"
#include "linux/lx/signal.h"
#include <asm/termios.h>

static long set_settings(struct pty *p, u32 cmd, u64 arg, bool master)
{
	struct pico_terminal new, old;
	u32 speeds[2];
	int err = master ? 0 : tty_background_check(&p->job, SIGTTOU);

	if (err)
		return err;
	lock(&p->lock);
	new = old = p->line.term;
	memcpy(speeds, p->line.speeds, sizeof(speeds));
	unlock(&p->lock);
	err = tty_settings_from_user(cmd, arg, &new, speeds);
	if (err)
		return err;
	new.cflag = (new.cflag & ~(u32)(CSIZE | PARENB)) | CS8 | CREAD; /* there is no line that could do otherwise */
	lock(&p->lock);
	old = p->line.term;
	new.rows = old.rows, new.columns = old.columns, new.xpixel = old.xpixel, new.ypixel = old.ypixel;
	p->line.term = new;
	memcpy(p->line.speeds, speeds, sizeof(speeds));
	if (cmd == TCSETSF || cmd == TCSETAF || cmd == TCSETSF2)
		ldisc_flush_input(&p->line);
	ldisc_changed(&p->line, &old);
	pty_unlock(p);
	wake_up(&p->slave_wait, 0);
	return 0;
}

static long get_settings(struct pty *p, u32 cmd, u64 arg)
{
	struct pico_terminal t;
	u32 speeds[2];

	lock(&p->lock);
	t = p->line.term;
	memcpy(speeds, p->line.speeds, sizeof(speeds));
	unlock(&p->lock);
	return tty_settings_to_user(cmd, arg, &t, speeds);
}

static long set_window(struct pty *p, u64 arg)
{
	struct pico_terminal t;
	int changed;

	lock(&p->lock);
	t = p->line.term;
	unlock(&p->lock);
	changed = tty_window_from_user(arg, &t);
	if (changed <= 0)
		return changed;
	lock(&p->lock);
	p->line.term.rows = t.rows, p->line.term.columns = t.columns;
	p->line.term.xpixel = t.xpixel, p->line.term.ypixel = t.ypixel;
	unlock(&p->lock);
	tty_signal_foreground(&p->job, SIGWINCH);
	return 0;
}

/* What the user typed is with the program at once: a master's output cannot be taken back. */
static long flush(struct pty *p, u64 arg, bool master)
{
	bool in = arg != TCOFLUSH, out = arg != TCIFLUSH;

	if (arg > TCIOFLUSH)
		return -EINVAL;
	if (!master) {
		int err = tty_background_check(&p->job, SIGTTOU);

		if (err)
			return err;
	}
	lock(&p->lock);
	if (in && master)
		p->line.out_tail = p->line.out_head;
	else if (in)
		ldisc_flush_input(&p->line);
	if (out && !master)
		ldisc_flush_output(&p->line);
	pty_unlock(p);
	wake_up(&p->slave_wait, 0);
	wake_up(&p->master_wait, 0);
	return 0;
}

static long flow(struct pty *p, u64 arg, bool master)
{
	u8 c;

	if (arg > TCION)
		return -EINVAL;
	lock(&p->lock);
	if (!master && arg == TCOOFF)
		ldisc_stop(&p->line);
	else if (!master && arg == TCOON)
		ldisc_start(&p->line);
	else if (arg >= TCIOFF && (c = p->line.term.cc[arg == TCIOFF ? VSTOP : VSTART]))
		(void)(master ? ldisc_type(&p->line, &c, 1) : ldisc_print(&p->line, &c, 1));
	pty_unlock(p);
	wake_up(&p->slave_wait, 0);
	wake_up(&p->master_wait, 0);
	return 0;
}

static long open_peer(struct pty *p, u32 flags)
{
	char name[32];
	struct file *f;
	int fd;

	snprintf(name, sizeof(name), "/dev/pts/%u", p->index);
	f = file_open(AT_FDCWD, name, (flags & ~(u32)O_CREAT) | O_LARGEFILE_X86, 0);
	if (IS_ERR(f))
		return PTR_ERR(f);
	fd = fd_install(f, flags & O_CLOEXEC, 0);
	return fd;
}

static long flag_from_user(struct pty *p, bool *flag, u64 arg)
{
	s32 n;

	if (get_user(n, arg))
		return -EFAULT;
	lock(&p->lock);
	*flag = n != 0;
	unlock(&p->lock);
	return 0;
}

static long master_ioctl(struct pty *p, u32 cmd, u64 arg)
{
	s32 n;

	switch (cmd) {
	case TIOCGPTN:
		return put_user(p->index, arg);
	case TIOCSPTLCK:
		return flag_from_user(p, &p->locked, arg);
	case TIOCGPTLCK:
		n = p->locked;
		return put_user(n, arg);
	case TIOCPKT:
		p->line.packet = 0;
		return flag_from_user(p, &p->packets, arg);
	case TIOCGPKT:
		n = p->packets;
		return put_user(n, arg);
	case TIOCGPTPEER:
		return open_peer(p, (u32)arg);
	case TIOCSIG:
		if (arg < 1 || arg > 64)
			return -EINVAL;
		tty_signal_foreground(&p->job, (int)arg);
		return 0;
	}
	return -ENOTTY;
}

static long pty_ioctl(struct pty *p, u32 cmd, u64 arg, bool master)
{
	s32 n;

	switch (cmd) {
	case TCGETS: case TCGETA: case TCGETS2:
		return get_settings(p, cmd, arg);
	case TCSETS: case TCSETSW: case TCSETSF: case TCSETA: case TCSETAW: case TCSETAF:
	case TCSETS2: case TCSETSW2: case TCSETSF2:
		return set_settings(p, cmd, arg, master);
	case TIOCGWINSZ:
		return tty_window_to_user(arg, &p->line.term);
	case TIOCSWINSZ:
		return set_window(p, arg);
	case FIONREAD:
		lock(&p->lock);
		n = (s32)(master ? ldisc_output_size(&p->line) : ldisc_readable_size(&p->line));
		unlock(&p->lock);
		return put_user(n, arg);
	case TCFLSH:
		return flush(p, arg, master);
	case TCXONC:
		return flow(p, arg, master);
	case TIOCEXCL: case TIOCNXCL:
		p->exclusive = cmd == TIOCEXCL;
		return 0;
	case TIOCGEXCL:
		n = p->exclusive;
		return put_user(n, arg);
	case TIOCNOTTY:
		if (master)
			return -ENOTTY; /* nobody's controlling terminal */
		break;
	}
	return tty_ioctl(&p->job, cmd, arg, master);
}

long pty_master_ioctl(struct file *f, u32 cmd, u64 arg)
{
	long r = master_ioctl(f->data, cmd, arg);

	return r == -ENOTTY ? pty_ioctl(f->data, cmd, arg, true) : r;
}

long pty_slave_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct pty *p = f->data;

	if (!p->master)
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	return pty_ioctl(p, cmd, arg, false);
}
