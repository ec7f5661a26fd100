/* SPDX-License-Identifier: Apache-2.0
 *
 * Job control between processes: a session of its own on a pseudo-terminal,
 * foreground and background groups, stops and what the parent hears of them,
 * orphaned groups, hang-up. No shell is needed for that.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <stdbool.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int master, tty;
static volatile sig_atomic_t seen[65];
static void note(int signo) { seen[signo]++; }

static void handle(int signo, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	CHECK(sigaction(signo, &sa, NULL) == 0);
}

static void nap(int ms) { usleep((useconds_t)ms * 1000); }

/* A word from another process: each test's children tell when they are ready. */
static int told[2];
static void tell(char c) { CHECK(write(told[1], &c, 1) == 1); }
static char hear(void)
{
	char c = 0;

	CHECK(read(told[0], &c, 1) == 1);
	return c;
}

static void type(const char *text) { CHECK(write(master, text, strlen(text)) == (ssize_t)strlen(text)); }

static pid_t status_of(pid_t pid, int options, int *status)
{
	pid_t r;

	while ((r = waitpid(pid, status, options)) < 0 && errno == EINTR) {
	}
	return r;
}

/* A child in a group of its own, as a shell makes them; fn's result is its exit status. */
static pid_t job(int (*fn)(void), bool foreground)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		setpgid(0, 0);
		for (int s = 1; s < 32; s++)
			if (s != SIGKILL && s != SIGSTOP)
				signal(s, SIG_DFL);
		alarm(20);
		_exit(fn());
	}
	setpgid(pid, pid);
	if (foreground)
		CHECK(tcsetpgrp(tty, pid) == 0);
	return pid;
}

static int read_tty(void)
{
	char line[64];

	tell('r');
	ssize_t n = read(tty, line, sizeof(line));
	return n > 0 ? line[0] : n == 0 ? 100 : 101;
}

/* ^Z, ^C and ^\ reach the foreground group and nobody else. */
static void typed_signals(void)
{
	int status;
	pid_t pid = job(read_tty, true);

	CHECK(hear() == 'r');
	nap(20);
	type("\x1a");
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	CHECK(tcsetpgrp(tty, getpgrp()) == 0);
	CHECK(tcgetpgrp(tty) == getpgrp());
	CHECK(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0); /* told once */
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(status_of(pid, WCONTINUED, &status) == pid && WIFCONTINUED(status));
	/* Now it reads in the background. */
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
	CHECK(tcsetpgrp(tty, pid) == 0 && kill(-pid, SIGCONT) == 0);
	nap(20);
	type("A line\n");
	CHECK(status_of(pid, 0, &status) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 'A');
	CHECK(tcsetpgrp(tty, getpgrp()) == 0);

	static const struct { const char *key; int signo; } keys[] = { { "\x03", SIGINT }, { "\x1c", SIGQUIT } };
	for (int i = 0; i < 2; i++) {
		pid = job(read_tty, true);
		CHECK(hear() == 'r');
		nap(20);
		type(keys[i].key);
		CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSIGNALED(status) && WTERMSIG(status) == keys[i].signo);
		CHECK(tcsetpgrp(tty, getpgrp()) == 0);
	}
	CHECK(!seen[SIGINT] && !seen[SIGQUIT] && !seen[SIGTSTP]);
}

static int write_tty(void)
{
	struct termios t;

	CHECK(tcgetattr(tty, &t) == 0); /* to look is free */
	tell('w');
	if (write(tty, "x", 1) != 1)
		return 1;
	return tcsetattr(tty, TCSANOW, &t) == 0 ? 0 : 2;
}

static int take_tty(void)
{
	signal(SIGTTOU, SIG_IGN);
	tell('t');
	return tcsetpgrp(tty, getpgrp()) == 0 ? 0 : 1;
}

static void background(void)
{
	struct termios t, loud;
	int status;
	pid_t pid = job(write_tty, false);

	CHECK(hear() == 'w'); /* may write, must not set */
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	CHECK(tcsetpgrp(tty, pid) == 0 && kill(pid, SIGCONT) == 0);
	CHECK(status_of(pid, 0, &status) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(tcsetpgrp(tty, getpgrp()) == 0); /* the group is gone: we are in none that is in front, and SIGTTOU is ignored */

	CHECK(tcgetattr(tty, &t) == 0);
	loud = t;
	loud.c_lflag |= TOSTOP;
	CHECK(tcsetattr(tty, TCSANOW, &loud) == 0);
	pid = job(write_tty, false);
	CHECK(hear() == 'w');
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(tcsetattr(tty, TCSANOW, &t) == 0);

	pid = job(take_tty, false); /* from behind, as a shell does it */
	CHECK(hear() == 't');
	CHECK(status_of(pid, 0, &status) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(tcgetpgrp(tty) == pid);
	CHECK(tcsetpgrp(tty, getpgrp()) == 0);
	FAILS(tcsetpgrp(tty, 30000), ESRCH);
	FAILS(tcsetpgrp(tty, getpgid(getppid())), EPERM); /* of another session */
	FAILS(tcsetpgrp(told[0], getpgrp()), ENOTTY);
}

/* SIGCHLD tells of stops, unless it is told not to; waitid has the story. */
static int stop_twice(void)
{
	raise(SIGSTOP);
	raise(SIGTSTP);
	return 7;
}

static void children(void)
{
	siginfo_t info;
	int status;

	handle(SIGCHLD, note, SA_RESTART);
	seen[SIGCHLD] = 0;
	pid_t pid = job(stop_twice, false);
	CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT) == 0);
	CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == pid && seen[SIGCHLD] == 1);
	CHECK(waitid(P_PGID, (id_t)pid, &info, WSTOPPED | WEXITED) == 0 && info.si_status == SIGSTOP);
	handle(SIGCHLD, note, SA_RESTART | SA_NOCLDSTOP);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED) == 0 && info.si_status == SIGTSTP);
	CHECK(seen[SIGCHLD] == 1);
	CHECK(kill(pid, SIGTERM) == 0); /* waits until it goes on */
	nap(20);
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(status_of(pid, 0, &status) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK(seen[SIGCHLD] == 2);
	handle(SIGCHLD, SIG_DFL, 0);
	/* A stop is taken back by a SIGCONT that comes before it is seen. */
	pid = job(stop_twice, false);
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status));
	CHECK(kill(pid, SIGTSTP) == 0 && kill(pid, SIGCONT) == 0);
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* Its parent, the only one of another group, ends: SIGHUP and SIGCONT for the
 * stopped; then nothing but SIGSTOP stops it, and reading is an error. */
static int orphan(void)
{
	char c;

	handle(SIGHUP, note, 0);
	handle(SIGCONT, note, 0);
	tell('o');
	raise(SIGSTOP);
	CHECK(seen[SIGHUP] == 1 && seen[SIGCONT] == 1);
	raise(SIGTSTP);
	raise(SIGTTIN);
	FAILS(read(tty, &c, 1), EIO);
	tell('p');
	return 0;
}

static int parent_of_orphan(void)
{
	int status;
	pid_t pid = job(orphan, false);

	CHECK(status_of(pid, WUNTRACED, &status) == pid && WIFSTOPPED(status));
	return 0;
}

static void orphans(void)
{
	int status;
	pid_t pid = job(parent_of_orphan, false);

	CHECK(hear() == 'o');
	CHECK(status_of(pid, 0, &status) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(hear() == 'p');
}

static int pipeline(void)
{
	int p[2];
	char c;

	CHECK(pipe(p) == 0);
	if (fork() == 0) {
		close(p[0]);
		tell('1');
		pause();
	}
	close(p[1]);
	tell('2');
	return read(p[0], &c, 1) == 0 ? 0 : 1;
}

static void groups(void)
{
	int status;
	pid_t pid = job(pipeline, true);
	struct winsize w = { .ws_row = 33, .ws_col = 44 };

	hear();
	hear();
	handle(SIGWINCH, note, 0);
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0); /* nobody minds */
	type("\x1a");
	CHECK(status_of(-pid, WUNTRACED, &status) == pid && WIFSTOPPED(status));
	CHECK(!seen[SIGWINCH]);
	CHECK(kill(-pid, SIGCONT) == 0 && kill(-pid, SIGINT) == 0);
	CHECK(status_of(pid, 0, &status) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	CHECK(tcsetpgrp(tty, getpgrp()) == 0);
	CHECK(ioctl(tty, TIOCGWINSZ, &w) == 0 && w.ws_row == 33 && w.ws_col == 44);
	FAILS(setpgid(0, 0), EPERM); /* the session's leader */
	FAILS(setsid(), EPERM);
}

/* The terminal's user hangs up: the session's leader hears of it, the
 * foreground when the leader ends. */
static int alive[2];
static int sleeper(void)
{
	close(told[0]);
	tell('s');
	pause();
	return 0;
}

static int hang_up(void)
{
	char c;

	handle(SIGHUP, note, 0);
	seen[SIGHUP] = 0;
	close(master);
	pid_t pid = job(sleeper, true);
	CHECK(hear() == 's');
	CHECK(write(alive[1], "h", 1) == 1);
	for (int i = 0; i < 500 && !seen[SIGHUP]; i++)
		nap(10);
	CHECK(seen[SIGHUP] == 1);
	FAILS(write(tty, "x", 1), EIO);
	CHECK(read(tty, &c, 1) == 0);
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	nap(20);
	CHECK(kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == 0);
	return 0;
}

static int session(void)
{
	CHECK(setsid() == getpid());
	close(alive[0]);
	CHECK((tty = open(ptsname(master), O_RDWR)) >= 0);
	CHECK(tcgetsid(tty) == getpid());
	signal(SIGTTOU, SIG_IGN);
	handle(SIGINT, note, 0);
	handle(SIGQUIT, note, 0);
	handle(SIGTSTP, note, 0);
	typed_signals();
	background();
	children();
	orphans();
	groups();
	return hang_up();
}

int main(void)
{
	int status = -1;
	char c;

	alarm(50);
	CHECK(pipe(told) == 0 && pipe(alive) == 0);
	CHECK((master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	fflush(stdout);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(session());
	close(alive[1]);
	if (read(alive[0], &c, 1) == 1)
		close(master);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(read(alive[0], &c, 1) == 0); /* the foreground is gone, too */
	OK();
}
