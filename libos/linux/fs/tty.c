/* SPDX-License-Identifier: Apache-2.0
 *
 * Terminals as processes see them: controlling terminals, foreground groups,
 * the signals of job control; settings in the layouts of termios(3). Knows no
 * kind of terminal.
 */
#include "tty.h"
#include "linux/lx/signal.h"
#include <asm/termios.h>

void tty_lock(void) { lock(&IPC->tty_lock); }
void tty_unlock(void) { unlock(&IPC->tty_lock); }

void tty_signal_foreground(struct tty *t, int signo)
{
	u32 group;

	tty_lock();
	group = t->foreground;
	tty_unlock();
	if (group)
		signal_send_pgrp(group, signo, NULL);
}

int tty_background_check(struct tty *t, int signo)
{
	struct process *p = current->process;
	u64 handler;

	if (!tty_is_ours(t) || !t->foreground || p->pgid == t->foreground)
		return 0;
	lock(&p->sig_lock);
	handler = p->sighand->actions[signo].handler;
	unlock(&p->sig_lock);
	if (current->sigmask & SIGMASK(signo) || handler == 1 /* SIG_IGN */)
		return signo == SIGTTIN ? -EIO : 0;
	if (process_group_orphaned(p->pgid))
		return -EIO;
	signal_send_pgrp(p->pgid, signo, NULL);
	return -ERESTARTSYS;
}

/* ---- whose terminal it is; with tty_lock ---- */

static void forget_everywhere(const struct tty *t)
{
	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);

		if (p->tty == t)
			p->tty = NULL;
	}
	unlock(&K->tree_lock);
}

static int take(struct tty *t, u64 force)
{
	struct process *p = current->process;

	if (p->sid != p->pid)
		return -EPERM;
	if (p->tty == t && t->session == p->sid)
		return 0;
	if (p->tty || (t->session && t->session != p->sid && !(force == 1 && capable(CAP_SYS_ADMIN))))
		return -EPERM;
	if (t->session)
		forget_everywhere(t); /* stolen */
	t->session = p->sid;
	t->foreground = p->pgid;
	p->tty = t;
	return 0;
}

int tty_take(struct tty *t, u64 force)
{
	int err;

	tty_lock();
	err = take(t, force);
	tty_unlock();
	return err;
}

void tty_opened(struct tty *t, struct file *f)
{
	struct process *p = current->process;

	if (f->flags & O_NOCTTY || p->sid != p->pid || p->tty)
		return;
	tty_lock();
	if (!t->session)
		take(t, 0);
	tty_unlock();
}

void tty_forget(struct tty *t, bool hangup)
{
	struct process *leader = NULL;

	tty_lock();
	if (hangup && t->session)
		leader = process_by_pid(t->session);
	if (leader)
		leader->tty_left = t->foreground;
	forget_everywhere(t);
	t->session = t->foreground = 0;
	tty_unlock();
	if (!leader)
		return;
	signal_send_process(leader, SIGHUP, NULL);
	signal_send_process(leader, SIGCONT, NULL);
	process_put(leader);
}

/* The leader of a session gives its terminal up: all of the session lose it. */
static void session_leaves(struct tty *t, bool cont)
{
	u32 group = t->foreground;

	t->session = t->foreground = 0;
	forget_everywhere(t);
	tty_unlock();
	if (group) {
		signal_send_pgrp(group, SIGHUP, NULL);
		if (cont)
			signal_send_pgrp(group, SIGCONT, NULL);
	}
	tty_lock();
}

void tty_session_ended(struct process *p)
{
	u32 group = 0;

	tty_lock();
	if (p->tty && p->tty->session == p->sid)
		session_leaves(p->tty, false);
	else if (!p->tty)
		group = p->tty_left;
	p->tty_left = 0;
	tty_unlock();
	if (group) {
		signal_send_pgrp(group, SIGHUP, NULL);
		signal_send_pgrp(group, SIGCONT, NULL);
	}
}

static int give_up(struct tty *t)
{
	struct process *p = current->process;
	int err = 0;

	tty_lock();
	if (p->tty != t)
		err = -ENOTTY;
	else if (p->sid == p->pid && t->session == p->sid)
		session_leaves(t, true);
	else
		p->tty = NULL;
	tty_unlock();
	return err;
}

int tty_open_own(struct file *f)
{
	struct tty *t;

	tty_lock();
	t = current->process->tty;
	if (t && t->hold && !t->hold(t))
		t = NULL;
	tty_unlock();
	return t ? t->open(t, f) : -ENXIO;
}

u32 tty_number(const struct process *p, u32 *foreground)
{
	u32 number = 0;

	tty_lock();
	if (p->tty) {
		number = p->tty->number;
		*foreground = p->tty->foreground;
	}
	tty_unlock();
	return number;
}

static int set_foreground(struct tty *t, u64 arg)
{
	bool in_session = false;
	s32 pgid;
	int err;

	if (!tty_is_ours(t) || t->session != current->process->sid)
		return -ENOTTY;
	err = tty_background_check(t, SIGTTOU);
	if (err)
		return err;
	if (get_user(pgid, arg))
		return -EFAULT;
	if (pgid < 0)
		return -EINVAL;
	err = -ESRCH;
	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);

		if (p->pgid != (u32)pgid)
			continue;
		err = 0;
		if (p->sid == current->process->sid)
			in_session = true;
	}
	unlock(&K->tree_lock);
	if (err)
		return err;
	if (!in_session)
		return -EPERM;
	tty_lock();
	if (t->session == current->process->sid)
		t->foreground = (u32)pgid;
	tty_unlock();
	return 0;
}

long tty_ioctl(struct tty *t, u32 cmd, u64 arg, bool other_side)
{
	s32 n;

	switch (cmd) {
	case TIOCGPGRP:
		if (!other_side && !tty_is_ours(t))
			return -ENOTTY;
		n = (s32)t->foreground;
		return put_user(n, arg);
	case TIOCSPGRP:
		return set_foreground(t, arg);
	case TIOCGSID:
		if ((!other_side && !tty_is_ours(t)) || !t->session)
			return -ENOTTY;
		n = (s32)t->session;
		return put_user(n, arg);
	case TIOCSCTTY:
		return tty_take(t, arg);
	case TIOCNOTTY:
		return give_up(t);
	case TIOCGETD:
		n = 0; /* N_TTY */
		return put_user(n, arg);
	case TIOCSETD:
		return get_user(n, arg) ? -EFAULT : n ? -EINVAL : 0;
	case TIOCOUTQ:
		n = 0;
		return put_user(n, arg);
	case TIOCSTI:
		return -EIO; /* as kernels without legacy TIOCSTI */
	case TCSBRK: case TCSBRKP: case TIOCSBRK: case TIOCCBRK: /* nothing is under way; a break means nothing */
		return 0;
	}
	return -ENOTTY;
}

/* ---- settings ---- */

#define TERMIOS_SIZE 36u /* of struct termios in the kernel: the head of struct pico_terminal */

static const u32 baud[2][16] = {
	{ 0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 },
	{ 0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000,
	  3500000, 4000000 },
};

static u32 speed_of(u32 cflag) { return baud[(cflag & BOTHER) != 0][cflag & 15]; }

static void to_termio(const struct pico_terminal *t, struct termio *o)
{
	memset(o, 0, sizeof(*o));
	o->c_iflag = (u16)t->iflag;
	o->c_oflag = (u16)t->oflag;
	o->c_cflag = (u16)t->cflag;
	o->c_lflag = (u16)t->lflag;
	o->c_line = t->line;
	memcpy(o->c_cc, t->cc, sizeof(o->c_cc));
}

static void from_termio(struct pico_terminal *t, const struct termio *o)
{
	t->iflag = (t->iflag & 0xffff0000u) | o->c_iflag;
	t->oflag = (t->oflag & 0xffff0000u) | o->c_oflag;
	t->cflag = (t->cflag & 0xffff0000u) | o->c_cflag;
	t->lflag = (t->lflag & 0xffff0000u) | o->c_lflag;
	t->line = o->c_line;
	memcpy(t->cc, o->c_cc, sizeof(o->c_cc));
}

int tty_settings_to_user(u32 cmd, u64 arg, const struct pico_terminal *t, const u32 speeds[2])
{
	u32 own[2] = { speed_of(t->cflag), speed_of(t->cflag) };
	struct termio o;

	if (cmd == TCGETA) {
		to_termio(t, &o);
		return copy_to_user(arg, &o, sizeof(o));
	}
	if (copy_to_user(arg, t, TERMIOS_SIZE))
		return -EFAULT;
	return cmd == TCGETS2 ? copy_to_user(arg + TERMIOS_SIZE, speeds ? speeds : own, sizeof(own)) : 0;
}

/* The output speed is what the flags say, or the number beside them when they
 * say "other"; input follows output unless its own flags say otherwise. */
int tty_settings_from_user(u32 cmd, u64 arg, struct pico_terminal *t, u32 speeds[2])
{
	u32 given[2] = { speeds[0], speeds[1] };
	struct termio o;
	u32 in;

	if (cmd == TCSETA || cmd == TCSETAW || cmd == TCSETAF) {
		if (copy_from_user(&o, arg, sizeof(o)))
			return -EFAULT;
		from_termio(t, &o);
	} else if (copy_from_user(t, arg, TERMIOS_SIZE)) {
		return -EFAULT;
	}
	if ((cmd == TCSETS2 || cmd == TCSETSW2 || cmd == TCSETSF2) && copy_from_user(given, arg + TERMIOS_SIZE, sizeof(given)))
		return -EFAULT;
	in = t->cflag >> IBSHIFT & CBAUD;
	speeds[1] = (t->cflag & CBAUD) == BOTHER ? given[1] : speed_of(t->cflag);
	speeds[0] = !in ? speeds[1] : in == BOTHER ? given[0] : speed_of(in);
	return 0;
}

int tty_window_to_user(u64 arg, const struct pico_terminal *t)
{
	struct winsize w = { .ws_row = t->rows, .ws_col = t->columns, .ws_xpixel = t->xpixel, .ws_ypixel = t->ypixel };

	return put_user(w, arg);
}

int tty_window_from_user(u64 arg, struct pico_terminal *t)
{
	struct winsize w;

	if (get_user(w, arg))
		return -EFAULT;
	if (w.ws_row == t->rows && w.ws_col == t->columns && w.ws_xpixel == t->xpixel && w.ws_ypixel == t->ypixel)
		return 0;
	t->rows = w.ws_row;
	t->columns = w.ws_col;
	t->xpixel = w.ws_xpixel;
	t->ypixel = w.ws_ypixel;
	return 1;
}
