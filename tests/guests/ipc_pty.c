/* SPDX-License-Identifier: Apache-2.0
 *
 * Pseudo-terminals: lines and their editing, echo, raw reads, output, flow
 * control, windows, packets, hang-ups, controlling terminals and their signals.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int master, slave;
static char slave_name[64];
static volatile sig_atomic_t caught[65];

static void catch(int signo) { caught[signo]++; }

static void open_pair(void)
{
	int locked, n;

	CHECK((master = open("/dev/ptmx", O_RDWR | O_NOCTTY)) >= 0);
	CHECK(ioctl(master, TIOCGPTN, &n) == 0);
	snprintf(slave_name, sizeof(slave_name), "/dev/pts/%d", n);
	CHECK(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 1);
	FAILS(open(slave_name, O_RDWR | O_NOCTTY), EIO);
	CHECK(unlockpt(master) == 0);
	CHECK((slave = open(slave_name, O_RDWR | O_NOCTTY)) >= 0);
	CHECK(isatty(slave) && isatty(master) && !strcmp(ttyname(slave), slave_name));
}

static void close_pair(void)
{
	struct stat st;

	CHECK(close(slave) == 0 && close(master) == 0);
	FAILS(stat(slave_name, &st), ENOENT);
}

/* Linux works on what is typed a little later. */
static void type(const char *text)
{
	CHECK(write(master, text, strlen(text)) == (ssize_t)strlen(text));
	usleep(5000);
}

/* What the program reads in one call. */
static void reads(const char *text)
{
	char buf[8192];
	ssize_t n = read(slave, buf, sizeof(buf));

	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
		fprintf(stderr, "read \"%.*s\", not \"%s\"\n", (int)n, buf, text);
	CHECK(n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n));
}

/* What the screen gets: all of it, and no more. */
static void shows(const char *text)
{
	char buf[8192];
	size_t done = 0;
	struct pollfd p = { .fd = master, .events = POLLIN };

	while (poll(&p, 1, done < strlen(text) ? 1000 : 20) == 1 && p.revents & POLLIN) {
		ssize_t n = read(master, buf + done, sizeof(buf) - done);
		CHECK(n > 0);
		done += (size_t)n;
	}
	if (done != strlen(text) || memcmp(buf, text, done))
		fprintf(stderr, "shown \"%.*s\", not \"%s\"\n", (int)done, buf, text);
	CHECK(done == strlen(text) && !memcmp(buf, text, done));
}

static int readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 50) == 1 && p.revents & POLLIN;
}

static int waiting(int fd)
{
	int n;

	CHECK(ioctl(fd, FIONREAD, &n) == 0);
	return n;
}

static void lines(void)
{
	char buf[8];

	open_pair();
	type("one\ntwo");
	shows("one\r\ntwo");
	CHECK(waiting(slave) == 4);
	reads("one\n");
	CHECK(!readable(slave) && waiting(slave) == 0);
	type("\n");
	shows("\r\n");
	CHECK(read(slave, buf, 2) == 2 && !memcmp(buf, "tw", 2)); /* a line in parts */
	reads("o\n");
	type("cr\r");
	shows("cr\r\n");
	reads("cr\n");
	type("end\004\004"); /* ^D: what is there, then an end of file */
	shows("end");
	reads("end");
	reads("");
	type("a\003b\n"); /* ^C drops the line; nobody gets the signal */
	shows("^Cb\r\n");
	reads("b\n");
	type("abc\177\177x\n");
	shows("abc\b \b\b \bx\r\n");
	reads("ax\n");
	type("some words\027w\n");
	shows("some words\b \b\b \b\b \b\b \b\b \bw\r\n");
	reads("some w\n");
	type("gone\025k\n");
	shows("gone\b \b\b \b\b \b\b \bk\r\n");
	reads("k\n");
	type("\026\003\n"); /* ^V takes ^C's meaning away */
	shows("^\b^C\r\n");
	reads("\003\n");
	type("a\tb\177\177c\n");
	shows("a\tb\b \b\b\b\b\b\b\b\bc\r\n");
	reads("ac\n");
	type("re\022print\n");
	shows("re^R\r\nreprint\r\n");
	reads("reprint\n");
	close_pair();
}

static void long_lines(void)
{
	static char text[6000];
	struct termios t;
	char buf[8192];
	ssize_t n;

	open_pair();
	CHECK(tcgetattr(slave, &t) == 0);
	t.c_lflag &= ~(tcflag_t)ECHO;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	memset(text, 'x', sizeof(text) - 1);
	for (size_t done = 0; done < sizeof(text) - 1; done += (size_t)n)
		CHECK((n = write(master, text + done, sizeof(text) - 1 - done)) > 0);
	CHECK(!readable(slave));
	type("\n");
	CHECK(read(slave, buf, sizeof(buf)) == 4096 && buf[4094] == 'x' && buf[4095] == '\n');
	close_pair();
}

static void settings(void)
{
	struct termios t, back;
	struct winsize w = { 24, 80, 1, 2 }, got;

	open_pair();
	CHECK(tcgetattr(slave, &t) == 0);
	CHECK(t.c_iflag == (ICRNL | IXON) && t.c_oflag == (OPOST | ONLCR) && t.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
	CHECK(t.c_cc[VINTR] == 3 && t.c_cc[VERASE] == 127 && t.c_cc[VMIN] == 1 && cfgetospeed(&t) == B38400);
	CHECK(ioctl(slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 0);
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0 && ioctl(slave, TIOCGWINSZ, &got) == 0);
	CHECK(!memcmp(&w, &got, sizeof(w)));
	cfmakeraw(&t);
	cfsetspeed(&t, B9600);
	CHECK(tcsetattr(master, TCSANOW, &t) == 0 && tcgetattr(slave, &back) == 0); /* the master's are the slave's */
	CHECK(!(back.c_lflag & ICANON) && cfgetospeed(&back) == B9600);
	CHECK(write(slave, "a\nb", 3) == 3);
	shows("a\nb");
	FAILS(ioctl(slave, 0x5499, 0), ENOTTY);
	FAILS(tcgetpgrp(slave), ENOTTY);
	CHECK(lseek(slave, 0, SEEK_CUR) == -1 && errno == ESPIPE);
	close_pair();
}

static void set_raw(cc_t min, cc_t time)
{
	struct termios t;

	CHECK(tcgetattr(slave, &t) == 0);
	cfmakeraw(&t);
	t.c_cc[VMIN] = min;
	t.c_cc[VTIME] = time;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
}

static void *type_later(void *text)
{
	usleep(60000);
	type(text);
	return NULL;
}

static void raw(void)
{
	pthread_t thread;
	struct termios t;
	char buf[16];

	open_pair();
	type("typed before");
	shows("typed before");
	CHECK(!readable(slave));
	set_raw(1, 0);
	reads("typed before"); /* what no line end let through */
	type("x\003\r");
	reads("x\003\r");
	set_raw(0, 0);
	reads("");
	set_raw(0, 1);
	reads("");
	set_raw(3, 0);
	type("ab");
	CHECK(!readable(slave));
	CHECK(pthread_create(&thread, NULL, type_later, (void *)(uintptr_t)"c") == 0);
	reads("abc");
	pthread_join(thread, NULL);
	set_raw(5, 1); /* the wait begins with the first byte */
	CHECK(pthread_create(&thread, NULL, type_later, (void *)(uintptr_t)"de") == 0);
	reads("de");
	pthread_join(thread, NULL);
	set_raw(1, 0);
	CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
	FAILS(read(slave, buf, 1), EAGAIN);
	CHECK(fcntl(master, F_SETFL, O_NONBLOCK) == 0);
	FAILS(read(master, buf, 1), EAGAIN);
	type("left");
	CHECK(tcgetattr(slave, &t) == 0);
	t.c_lflag |= ICANON;
	CHECK(tcsetattr(slave, TCSAFLUSH, &t) == 0);
	FAILS(read(slave, buf, 1), EAGAIN);
	close_pair();
}

static void output(void)
{
	struct termios t;

	open_pair();
	CHECK(tcgetattr(slave, &t) == 0);
	t.c_oflag |= XTABS;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	CHECK(write(slave, "ab\tc\n\td", 7) == 7);
	shows("ab      c\r\n        d");
	type("\023"); /* ^S */
	CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
	FAILS(write(slave, "x", 1), EAGAIN);
	type("\021"); /* ^Q */
	CHECK(write(slave, "x", 1) == 1);
	shows("x");
	CHECK(tcflow(slave, TCOOFF) == 0);
	FAILS(write(slave, "x", 1), EAGAIN);
	CHECK(tcflow(slave, TCOON) == 0 && write(slave, "y", 1) == 1);
	CHECK(readable(master) && waiting(master) == 1);
	CHECK(tcflush(slave, TCOFLUSH) == 0 && readable(master)); /* it was out already */
	CHECK(tcflush(master, TCIFLUSH) == 0 && !readable(master));
	close_pair();
}

static void packets(void)
{
	char buf[16];
	int on = 1;

	open_pair();
	CHECK(ioctl(master, TIOCPKT, &on) == 0);
	CHECK(write(slave, "hi", 2) == 2);
	CHECK(read(master, buf, sizeof(buf)) == 3 && buf[0] == TIOCPKT_DATA && !memcmp(buf + 1, "hi", 2));
	CHECK(tcflush(slave, TCIFLUSH) == 0);
	CHECK(read(master, buf, sizeof(buf)) == 1 && buf[0] == TIOCPKT_FLUSHREAD);
	close_pair();
}

static void hang_ups(void)
{
	struct pollfd p;
	char buf[16];

	open_pair();
	CHECK(write(slave, "last", 4) == 4 && close(slave) == 0);
	shows("last");
	FAILS(read(master, buf, 1), EIO);
	p = (struct pollfd){ .fd = master, .events = POLLIN };
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
	CHECK((slave = open(slave_name, O_RDWR | O_NOCTTY)) >= 0); /* and it goes on */
	CHECK(write(slave, "more", 4) == 4);
	shows("more");
	type("lost\n");
	CHECK(close(master) == 0);
	reads("");
	FAILS(write(slave, "x", 1), EIO);
	p = (struct pollfd){ .fd = slave, .events = POLLIN };
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
	CHECK(!isatty(slave));
	FAILS(open(slave_name, O_RDWR), ENOENT);
	CHECK(close(slave) == 0);
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	FAILS(ioctl(master, TIOCNOTTY), ENOTTY);
	close(master);
}

/* The leader of a session with a terminal of its own. */
static void session(void)
{
	struct winsize w = { 10, 20, 0, 0 };
	pid_t pid;
	int own;

	CHECK(getsid(0) == getpid() || setsid() == getpid());
	if ((own = open("/dev/tty", O_RDWR)) >= 0) {
		signal(SIGHUP, SIG_IGN);
		CHECK(ioctl(own, TIOCNOTTY) == 0 && close(own) == 0);
	}
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	open_pair();
	FAILS(tcsetpgrp(slave, getpgrp()), ENOTTY);
	CHECK(ioctl(slave, TIOCSCTTY, 0) == 0 && ioctl(master, TIOCSCTTY, 0) == 0);
	CHECK(tcgetpgrp(slave) == getpgrp() && tcgetsid(slave) == getpid());
	CHECK(ioctl(master, TIOCGPGRP, &pid) == 0 && pid == getpgrp());
	CHECK((own = open("/dev/tty", O_RDWR)) >= 0 && write(own, "own", 3) == 3);
	shows("own");
	CHECK(tcsetpgrp(own, getpgrp()) == 0);
	FAILS(tcsetpgrp(own, 999999), ESRCH);
	for (int signo = 1; signo < 32; signo++)
		if (signo != SIGKILL && signo != SIGSTOP && signo != SIGSEGV)
			signal(signo, catch);
	type("\003\034\032");
	usleep(20000);
	CHECK(caught[SIGINT] == 1 && caught[SIGQUIT] == 1 && caught[SIGTSTP] == 1);
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0);
	usleep(20000);
	CHECK(caught[SIGWINCH] == 1);
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0); /* the same is no change */
	usleep(20000);
	CHECK(caught[SIGWINCH] == 1);
	CHECK(close(own) == 0 && close(master) == 0);
	usleep(20000);
	CHECK(caught[SIGHUP] == 1 && caught[SIGCONT] == 1);
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	CHECK(close(slave) == 0);
}

int main(void)
{
	pid_t pid;
	int status;

	alarm(30);
	lines();
	long_lines();
	settings();
	raw();
	output();
	packets();
	hang_ups();
	pid = fork();
	if (pid <= 0) {
		CHECK(pid == 0 || errno == ENOSYS); /* then this process is a leader */
		session();
		if (pid == 0)
			_exit(0);
	} else {
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	OK();
}
