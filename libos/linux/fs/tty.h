/* SPDX-License-Identifier: Apache-2.0
 *
 * Terminals: what the host's and pseudo-terminals have in common. Job control
 * (tty.c) knows no kind of terminal, the line discipline (ldisc.c) no files.
 */
#ifndef FS_TTY_H
#define FS_TTY_H

#include "pseudo.h"

/* ---- job control: tty.c ---- */

/* process->tty points here. Its owner clears those pointers with tty_forget()
 * before it goes; nobody counts them. */
struct tty {
	u32 session, foreground; /* session leader's pid and a process group; 0: none */
	u32 number; /* device number */
	/* For /dev/tty. hold, where there is one: under tty_lock, t stays until open; false: it is going. */
	bool (*hold)(struct tty *t);
	int (*open)(struct tty *t, struct file *f);
};
void tty_lock(void); /* over session, foreground and process->tty; outside of all but inode locks */
void tty_unlock(void);
static inline bool tty_is_ours(const struct tty *t) { return current->process->tty == t; }
/* A background group that touches its terminal gets a signal. 0: go on. */
int tty_background_check(struct tty *t, int signo);
int tty_take(struct tty *t, u64 force); /* becomes the caller's controlling terminal */
/* Opened by a session leader without one: it becomes its controlling terminal. */
void tty_opened(struct tty *t, struct file *f);
void tty_signal_foreground(struct tty *t, int signo);
void tty_forget(struct tty *t, bool hangup); /* of all processes; hangup: the session's leader is told */
/* TIOCGPGRP TIOCSPGRP TIOCGSID TIOCSCTTY TIOCNOTTY, and what means nothing
 * here; -ENOTTY for others. other_side: asked through a pseudo-terminal's master. */
long tty_ioctl(struct tty *t, u32 cmd, u64 arg, bool other_side);
int tty_open_own(struct file *f); /* /dev/tty */

/* ---- settings in the program's layouts: tty.c ---- */

int tty_settings_to_user(u32 cmd, u64 arg, const struct pico_terminal *t, const u32 speeds[2]); /* TCGETS TCGETS2 TCGETA; speeds NULL: as the flags say */
int tty_settings_from_user(u32 cmd, u64 arg, struct pico_terminal *t, u32 speeds[2]); /* TCSETS... */
int tty_window_to_user(u64 arg, const struct pico_terminal *t);
int tty_window_from_user(u64 arg, struct pico_terminal *t); /* 1: changed, 0: the same, -EFAULT */

/* ---- the line discipline: ldisc.c ---- */

#define TTY_RING 65536u
#define TTY_LINE 4096u /* the longest line, with its end */
#define TTY_ECHO_ROOM 256u /* kept free of the program's output */

/* Both directions of a terminal whose user sits at `output`'s and `input`'s
 * other ends. Positions run on and wrap; the owner's lock is held. */
struct ldisc {
	struct pico_terminal term;
	u32 speeds[2]; /* in, out */
	u8 *input, *output, *marks; /* marks: a bit a byte of input: a line ends here */
	u32 head, canon, tail; /* input: received, lines complete up to, read */
	u32 out_head, out_tail, out_settled; /* settled: will not be flushed */
	u32 line_start; /* of the line being typed */
	u32 column, line_column; /* of the cursor; where the typed line began */
	bool stopped, literal, erasing; /* ^S; after ^V; inside \.../ of ECHOPRT */
	u32 signals; /* to the foreground group once the lock is free: bits of SIGMASK */
	u32 packet; /* TIOCPKT_ bits that happened */
};
int ldisc_init(struct ldisc *d); /* 0 or -ENOMEM */
void ldisc_fini(struct ldisc *d);
static inline u32 ldisc_output_size(const struct ldisc *d) { return d->out_head - d->out_tail; }
u32 ldisc_output_room(const struct ldisc *d); /* for the program */
bool ldisc_takes(const struct ldisc *d); /* one more typed character finds a place, or may be dropped */
u32 ldisc_type(struct ldisc *d, const u8 *from, u32 size); /* the user typed this; how much found a place */
/* The program writes; returns how many of the bytes fitted. */
u32 ldisc_print(struct ldisc *d, const u8 *from, u32 size);
bool ldisc_readable(const struct ldisc *d, bool poll);
u32 ldisc_readable_size(const struct ldisc *d); /* FIONREAD */
/* What a read takes now, at most size; *end: it ends here (a line, an end of file). */
u32 ldisc_read(struct ldisc *d, u8 *to, u32 size, bool *end);
void ldisc_flush_input(struct ldisc *d);
void ldisc_flush_output(struct ldisc *d); /* what has not reached the other end */
void ldisc_changed(struct ldisc *d, const struct pico_terminal *old); /* term was set */
void ldisc_start(struct ldisc *d);
void ldisc_stop(struct ldisc *d);

/* ---- pseudo-terminals: pty.c ---- */

int ptmx_open(struct inode *i, struct file *f);
int pts_open(struct inode *i, struct file *f);
extern const struct pseudo_entry pts_table[]; /* of /dev/pts, and the names beyond it: */
int pts_find(struct pseudo *dir, const char *name, size_t size, struct pseudo *child);
bool pts_next(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child);

#endif
