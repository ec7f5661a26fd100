/* SPDX-License-Identifier: Apache-2.0
 *
 * The line discipline: what becomes of typed characters on their way to a
 * program (lines, erasing, echo, signals, flow control) and of a program's
 * output on its way to the screen. termios(3) is its manual. It knows no files
 * and never waits; the owner holds a lock.
 */
#include "tty.h"
#include <asm/termios.h>

#define MASK (TTY_RING - 1)
#define PAGES(bytes) (((bytes) + PAGE_SIZE - 1) / PAGE_SIZE)
#define I(d, flag) (((d)->term.iflag & (flag)) != 0)
#define O(d, flag) (((d)->term.oflag & (flag)) != 0)
#define L(d, flag) (((d)->term.lflag & (flag)) != 0)
#define CTRL(c) ((c) ^ 0x40)

/* What a new terminal is set to. */
static const struct pico_terminal fresh = {
	.iflag = ICRNL | IXON, .oflag = OPOST | ONLCR, .cflag = B38400 | CS8 | CREAD,
	.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.cc = {
		[VINTR] = CTRL('C'), [VQUIT] = CTRL('\\'), [VERASE] = 0177, [VKILL] = CTRL('U'), [VEOF] = CTRL('D'), [VMIN] = 1,
		[VSTART] = CTRL('Q'), [VSTOP] = CTRL('S'), [VSUSP] = CTRL('Z'), [VREPRINT] = CTRL('R'), [VDISCARD] = CTRL('O'),
		[VWERASE] = CTRL('W'), [VLNEXT] = CTRL('V'),
	},
};

int ldisc_init(struct ldisc *d)
{
	memset(d, 0, sizeof(*d));
	d->input = page_alloc(PAGES(2 * TTY_RING + TTY_RING / 8));
	if (!d->input)
		return -ENOMEM;
	d->output = d->input + TTY_RING;
	d->marks = d->output + TTY_RING;
	d->term = fresh;
	d->speeds[0] = d->speeds[1] = 38400;
	return 0;
}

void ldisc_fini(struct ldisc *d)
{
	page_free(d->input, PAGES(2 * TTY_RING + TTY_RING / 8));
}

/* ---- marks: ends of lines; an end that is a zero byte is an end of file ---- */

static bool marked(const struct ldisc *d, u32 at) { return d->marks[(at & MASK) >> 3] >> (at & 7) & 1; }
static void mark(struct ldisc *d, u32 at) { d->marks[(at & MASK) >> 3] |= (u8)(1u << (at & 7)); }
static void unmark(struct ldisc *d, u32 at) { d->marks[(at & MASK) >> 3] &= (u8)~(1u << (at & 7)); }

/* ---- output ---- */

static void out(struct ldisc *d, u8 c)
{
	if (ldisc_output_size(d) < TTY_RING)
		d->output[d->out_head++ & MASK] = c;
}

u32 ldisc_output_room(const struct ldisc *d)
{
	u32 used = ldisc_output_size(d) + TTY_ECHO_ROOM;

	return d->stopped || used >= TTY_RING ? 0 : TTY_RING - used;
}

/* One character through the output flags. */
static void post(struct ldisc *d, u8 c)
{
	u32 spaces;

	switch (O(d, OPOST) ? c : 256) {
	case '\n':
		if (O(d, ONLRET))
			d->column = 0;
		if (O(d, ONLCR)) {
			d->column = 0;
			out(d, '\r');
		}
		d->line_column = d->column;
		break;
	case '\r':
		if (O(d, ONOCR) && !d->column)
			return;
		if (O(d, OCRNL)) {
			c = '\n';
			if (O(d, ONLRET))
				d->column = 0;
		} else {
			d->column = 0;
		}
		d->line_column = d->column;
		break;
	case '\t':
		spaces = 8 - (d->column & 7);
		d->column += spaces;
		if ((d->term.oflag & TABDLY) == XTABS) {
			while (spaces--)
				out(d, ' ');
			return;
		}
		break;
	case '\b':
		if (d->column)
			d->column--;
		break;
	case 256:
		break;
	default:
		if (c < 32 || c == 127)
			break;
		if (O(d, OLCUC) && c >= 'a' && c <= 'z')
			c = (u8)(c - 32);
		if (!I(d, IUTF8) || (c & 0xc0) != 0x80)
			d->column++;
	}
	out(d, c);
}

u32 ldisc_print(struct ldisc *d, const u8 *from, u32 size)
{
	u32 done = 0;

	while (done < size && ldisc_output_room(d) >= 8)
		post(d, from[done++]);
	d->out_settled = d->out_head;
	return done;
}

/* What the other end has in its buffer is beyond recall, but for the echo of
 * what is being typed in one go with the reason to flush. */
void ldisc_flush_output(struct ldisc *d)
{
	u32 kept = MIN(d->out_settled - d->out_tail, TTY_LINE - 1);

	if (ldisc_output_size(d) > kept)
		d->out_head = d->out_tail + kept;
	d->packet |= TIOCPKT_FLUSHWRITE;
}

void ldisc_start(struct ldisc *d)
{
	if (d->stopped)
		d->packet = (d->packet & ~(u32)TIOCPKT_STOP) | TIOCPKT_START;
	d->stopped = false;
}

void ldisc_stop(struct ldisc *d)
{
	if (!d->stopped)
		d->packet = (d->packet & ~(u32)TIOCPKT_START) | TIOCPKT_STOP;
	d->stopped = true;
}

/* ---- echo ---- */

static void echo(struct ldisc *d, u8 c)
{
	if (L(d, ECHOCTL) && (c < 32 || c == 127) && c != '\t' && c != '\n') {
		out(d, '^');
		out(d, CTRL(c));
		d->column += 2;
	} else {
		post(d, c);
	}
}

static void echo_typed(struct ldisc *d, u8 c)
{
	if (d->erasing) {
		post(d, '/');
		d->erasing = false;
	}
	if (!L(d, ECHO))
		return;
	if (d->head == d->canon)
		d->line_column = d->column;
	echo(d, c);
}

/* ---- erasing ---- */

static bool continues(const struct ldisc *d, u8 c) { return I(d, IUTF8) && (c & 0xc0) == 0x80; }

static bool is_word(u8 c) { return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c >= 0x80; }

/* How far right of its line's begin the cursor is, over what is typed up to `end`. */
static u32 width_before(const struct ldisc *d, u32 end)
{
	u32 column = d->line_column;

	for (u32 at = d->line_start; at != end; at++) {
		u8 c = d->input[at & MASK];

		if (c == '\t')
			column += 8 - (column & 7);
		else if (c < 32 || c == 127)
			column += L(d, ECHOCTL) ? 2 : 0;
		else if (!continues(d, c))
			column++;
	}
	return column;
}

static void rub_out(struct ldisc *d, u8 c)
{
	u32 back;

	if (c == '\t') {
		u32 to = width_before(d, d->head);

		for (back = d->column > to ? d->column - to : 0; back; back--) {
			out(d, '\b');
			d->column--;
		}
		return;
	}
	back = c < 32 || c == 127 ? (L(d, ECHOCTL) ? 2 : 0) : 1;
	while (back--) {
		out(d, '\b');
		out(d, ' ');
		out(d, '\b');
		if (d->column)
			d->column--;
	}
}

static void end_erasing(struct ldisc *d)
{
	if (d->erasing)
		post(d, '/');
	d->erasing = false;
}

static void erase_one(struct ldisc *d)
{
	u32 to = d->head;
	u8 c;

	do
		c = d->input[--to & MASK];
	while (continues(d, c) && to != d->canon);
	if (continues(d, c))
		return; /* the begin of the character is gone */
	if (L(d, ECHO) && L(d, ECHOPRT)) {
		if (!d->erasing)
			post(d, '\\');
		d->erasing = true;
		echo(d, c);
		for (u32 at = to + 1; at != d->head; at++)
			out(d, d->input[at & MASK]);
	}
	d->head = to;
	if (L(d, ECHO) && !L(d, ECHOPRT)) {
		if (L(d, ECHOE))
			rub_out(d, c);
		else
			echo(d, d->term.cc[VERASE]);
	}
}

static void erase_word(struct ldisc *d)
{
	bool seen = false;

	while (d->head != d->canon) {
		u8 c = d->input[(d->head - 1) & MASK];

		if (is_word(c))
			seen = true;
		else if (seen)
			break;
		u32 before = d->head;
		erase_one(d);
		if (d->head == before)
			break;
	}
}

static void erase_line(struct ldisc *d)
{
	if (!L(d, ECHO) || !L(d, ECHOK) || !L(d, ECHOKE) || !L(d, ECHOE)) {
		d->head = d->canon;
		if (!L(d, ECHO))
			return;
		end_erasing(d);
		echo(d, d->term.cc[VKILL]);
		if (L(d, ECHOK))
			post(d, '\n');
		return;
	}
	while (d->head != d->canon) {
		u32 before = d->head;

		erase_one(d);
		if (d->head == before)
			break;
	}
}

static void reprint(struct ldisc *d)
{
	end_erasing(d);
	echo(d, d->term.cc[VREPRINT]);
	post(d, '\n');
	for (u32 at = d->canon; at != d->head; at++)
		echo(d, d->input[at & MASK]);
}

/* ---- typing ---- */

/* A line may be TTY_LINE bytes; what is typed beyond its last but one place is lost. */
static bool line_full(const struct ldisc *d) { return L(d, ICANON) && d->head - d->canon >= TTY_LINE - 1; }

bool ldisc_takes(const struct ldisc *d)
{
	/* a reader can make room only when there is something to read */
	return d->head - d->tail < TTY_RING - 2 * TTY_LINE || (L(d, ICANON) && d->canon == d->tail);
}

static void put(struct ldisc *d, u8 c)
{
	if (d->head - d->tail >= TTY_RING - 1)
		return;
	unmark(d, d->head);
	d->input[d->head++ & MASK] = c;
}

static void put_typed(struct ldisc *d, u8 c)
{
	if (line_full(d)) {
		if (I(d, IMAXBEL))
			out(d, '\a');
		return;
	}
	echo_typed(d, c);
	if (c == 0xff && I(d, PARMRK))
		put(d, c);
	put(d, c);
}

static void end_line(struct ldisc *d, u8 c)
{
	put(d, c);
	mark(d, d->head - 1);
	d->canon = d->line_start = d->head;
}

static void send(struct ldisc *d, int signo, u8 c)
{
	d->signals |= 1u << signo;
	if (!L(d, NOFLSH)) {
		ldisc_flush_input(d);
		ldisc_flush_output(d);
	}
	if (I(d, IXON))
		ldisc_start(d);
	if (L(d, ECHO))
		echo(d, c);
}

static bool is(const struct ldisc *d, u32 which, u8 c) { return c && d->term.cc[which] == c; }

/* Characters that edit the line; true: that was one. */
static bool edit(struct ldisc *d, u8 c)
{
	bool more = L(d, IEXTEN);

	if (is(d, VERASE, c) || is(d, VKILL, c) || (more && is(d, VWERASE, c))) {
		if (d->head == d->canon)
			return true;
		if (is(d, VERASE, c))
			erase_one(d);
		else if (is(d, VKILL, c))
			erase_line(d);
		else
			erase_word(d);
		if (d->head == d->canon)
			end_erasing(d);
		return true;
	}
	if (more && is(d, VLNEXT, c)) {
		d->literal = true;
		if (L(d, ECHO)) {
			end_erasing(d);
			if (L(d, ECHOCTL)) {
				out(d, '^');
				out(d, '\b');
			}
		}
		return true;
	}
	if (more && L(d, ECHO) && is(d, VREPRINT, c)) {
		reprint(d);
		return true;
	}
	if (c == '\n') {
		if (L(d, ECHO) || L(d, ECHONL)) {
			end_erasing(d);
			post(d, c);
		}
		end_line(d, c);
		return true;
	}
	if (is(d, VEOF, c)) {
		end_line(d, 0);
		return true;
	}
	if (is(d, VEOL, c) || (more && is(d, VEOL2, c))) {
		echo_typed(d, c);
		if (c == 0xff && I(d, PARMRK))
			put(d, c);
		end_line(d, c);
		return true;
	}
	return false;
}

/* Flow control and signals; true: the character is used up. */
static bool control(struct ldisc *d, u8 c)
{
	if (I(d, IXON)) {
		if (is(d, VSTART, c)) {
			ldisc_start(d);
			return true;
		}
		if (is(d, VSTOP, c)) {
			ldisc_stop(d);
			return true;
		}
	}
	if (!L(d, ISIG))
		return false;
	if (is(d, VINTR, c))
		send(d, SIGINT, c);
	else if (is(d, VQUIT, c))
		send(d, SIGQUIT, c);
	else if (is(d, VSUSP, c))
		send(d, SIGTSTP, c);
	else
		return false;
	return true;
}

static void type(struct ldisc *d, u8 c)
{
	if (I(d, ISTRIP))
		c &= 0x7f;
	if (I(d, IUCLC) && L(d, IEXTEN) && c >= 'A' && c <= 'Z')
		c = (u8)(c + 32);
	if (d->literal) {
		d->literal = false;
		put_typed(d, c);
		return;
	}
	if (d->stopped && I(d, IXON) && I(d, IXANY) && !is(d, VSTART, c) && !is(d, VSTOP, c) && !is(d, VINTR, c) &&
	    !is(d, VQUIT, c) && !is(d, VSUSP, c))
		ldisc_start(d);
	if (control(d, c))
		return;
	if (c == '\r') {
		if (I(d, IGNCR))
			return;
		if (I(d, ICRNL))
			c = '\n';
	} else if (c == '\n' && I(d, INLCR)) {
		c = '\r';
	}
	if (L(d, ICANON) && edit(d, c))
		return;
	if (c == '\n' && L(d, ECHO) && !L(d, ICANON)) {
		post(d, c);
		put(d, c);
		return;
	}
	put_typed(d, c);
}

u32 ldisc_type(struct ldisc *d, const u8 *from, u32 size)
{
	u32 done = 0;

	d->out_settled = d->out_head;
	while (done < size && ldisc_takes(d))
		type(d, from[done++]);
	d->out_settled = d->out_head;
	return done;
}

/* ---- reading ---- */

bool ldisc_readable(const struct ldisc *d, bool poll)
{
	u32 enough = poll && !d->term.cc[VTIME] && d->term.cc[VMIN] ? d->term.cc[VMIN] : 1;

	return L(d, ICANON) ? d->canon != d->tail : d->head - d->tail >= enough;
}

u32 ldisc_readable_size(const struct ldisc *d)
{
	u32 n = 0;

	if (!L(d, ICANON))
		return d->head - d->tail;
	for (u32 at = d->tail; at != d->canon; at++)
		n += !(marked(d, at) && !d->input[at & MASK]);
	return n;
}

u32 ldisc_read(struct ldisc *d, u8 *to, u32 size, bool *end)
{
	u32 n = 0;

	if (!L(d, ICANON)) {
		for (; n < size && d->tail != d->head; d->tail++)
			to[n++] = d->input[d->tail & MASK];
		if (d->canon - d->tail > TTY_RING) /* read past it */
			d->canon = d->line_start = d->tail;
		return n;
	}
	while (n < size && d->tail != d->canon) {
		u8 c = d->input[d->tail & MASK];
		bool last = marked(d, d->tail++);

		if (!last || c)
			to[n++] = c;
		if (last) {
			*end = true;
			break;
		}
	}
	return n;
}

void ldisc_flush_input(struct ldisc *d)
{
	d->tail = d->canon = d->line_start = d->head;
	d->erasing = d->literal = false;
	d->packet |= TIOCPKT_FLUSHREAD;
}

/* Between lines and raw what has been typed stays: all of it can be read. */
void ldisc_changed(struct ldisc *d, const struct pico_terminal *old)
{
	if ((old->lflag ^ d->term.lflag) & ICANON) {
		for (u32 at = d->tail; at != d->head; at++)
			unmark(d, at);
		d->canon = d->line_start = d->head;
		if (L(d, ICANON) && d->head != d->tail)
			mark(d, d->head - 1);
		d->erasing = d->literal = false;
	}
	if (!I(d, IXON) && old->iflag & IXON)
		ldisc_start(d);
}
