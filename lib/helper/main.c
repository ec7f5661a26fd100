/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper process: cuts itself off from the host, makes the watchdog and the
 * zygote, then reaps. It is the parent of every seed and picoprocess
 * (CLONE_PARENT), and ends them all when the host, the watchdog, the zygote or
 * the control socket goes. Must not know what picoprocesses are for.
 *
 * Started by lib/monitor/spawn.c as: pico-helper CONTROL SPAWN HOST, three
 * descriptor numbers; all signals are blocked then and stay so.
 */
#include <linux/auxvec.h>
#include <linux/close_range.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/signalfd.h>

#include "helper.h"

#define SIGNALS 64

/* ---- the end ---- */

/* The helper waits for its children: what an init that is slow to reap leaves
 * behind would keep the pid namespace, and the descriptors, alive. */
_Noreturn void helper_end(struct helper *h)
{
	siginfo_t info;
	if (h->group > 0)
		sys(kill, -h->group, SIGKILL);
	sys(close_range, 0, ~0u, 0);
	while (sys(waitid, P_ALL, 0, &info, WEXITED | __WALL, 0) != -ECHILD)
		;
	sys_exit(0);
}

/* ---- control socket ---- */

static size_t copy_text(char *to, size_t size, const char *from)
{
	size_t n = 0;
	while (from && from[n] && n + 1 < size) {
		to[n] = from[n];
		n++;
	}
	to[n] = 0;
	return n;
}

_Noreturn void helper_fail(struct helper *h, int error, const char *what)
{
	struct pico_control m = { .kind = PICO_CONTROL_FAILED, .value = error < 0 ? -error : error };
	copy_text(m.text, sizeof m.text, what);
	sys_send(h->control, &m, sizeof m);
	helper_end(h);
}

static void send_ready(struct helper *h)
{
	struct pico_control m = { .kind = PICO_CONTROL_READY, .value = h->refused, .features = h->features };
	copy_text(m.text, sizeof m.text, h->refused_name);
	if (sys_send(h->control, &m, sizeof m) < 0)
		helper_end(h);
	h->ready = true;
}

/* ---- reaping ----
 * An exited child stays a zombie until the host has acknowledged it, so its pid
 * means nobody else meanwhile. One is reported at a time: the kernel shows the
 * same zombie until it is reaped, and the next is found right after. */

static void report_next(struct helper *h)
{
	siginfo_t info;
	struct pico_control m = { .kind = PICO_CONTROL_EXITED };
	if (h->reported || !h->ready)
		return;
	info.si_pid = 0;
	if (sys(waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, 0) < 0 || !info.si_pid)
		return;
	m.pid = info.si_pid;
	/* as wait(2) has it */
	m.value = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 :
		  (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	if (sys_send(h->control, &m, sizeof m) < 0)
		helper_end(h);
	h->reported = m.pid;
}

static void reap(struct helper *h, int32_t pid)
{
	siginfo_t info;
	if (!pid || pid != h->reported)
		return;
	sys(waitid, P_PID, pid, &info, WEXITED | WNOHANG | __WALL, 0);
	h->reported = 0;
	report_next(h);
}

static void on_control(struct helper *h)
{
	struct pico_control m;
	long size = sys(recvfrom, h->control, &m, sizeof m, SYS_MSG_DONTWAIT, 0, 0);
	if (size == -EAGAIN || size == -EINTR)
		return;
	if (size <= 0)
		helper_end(h); /* the host closed its end */
	if (size == sizeof m && m.kind == PICO_CONTROL_ACK)
		reap(h, m.pid);
}

/* The last of the namespaces is there: what this host can promise is known. */
static void on_made(struct helper *h)
{
	int error = helper_join(h);
	if (error)
		helper_fail(h, error, "joining the namespaces");
	sys(close, h->made);
	send_ready(h);
	report_next(h);
}

static _Noreturn void serve(struct helper *h, int signals)
{
	enum { HOST, WATCHDOG, ZYGOTE, CONTROL, SIGNAL, MADE, COUNT };
	struct pollfd p[COUNT] = {
		[HOST] = { .fd = h->host }, [WATCHDOG] = { .fd = h->watchdog }, [ZYGOTE] = { .fd = h->zygote },
		[CONTROL] = { .fd = h->control }, [SIGNAL] = { .fd = signals }, [MADE] = { .fd = h->made },
	};
	struct signalfd_siginfo seen;
	for (int i = 0; i < COUNT; i++)
		p[i].events = POLLIN;
	for (;;) {
		if (sys(ppoll, p, COUNT, 0, 0, 8) <= 0)
			continue;
		if (p[HOST].revents || p[WATCHDOG].revents || p[ZYGOTE].revents)
			helper_end(h);
		if (p[MADE].revents) {
			on_made(h);
			p[MADE].fd = -1;
		}
		if (p[SIGNAL].revents) {
			sys(read, signals, &seen, sizeof seen);
			report_next(h);
		}
		if (p[CONTROL].revents)
			on_control(h);
	}
}

/* ---- start ---- */

static int parse_fd(const char *text)
{
	int value = 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > 1000000)
			return -1;
		value = value * 10 + (*text - '0');
	}
	return value;
}

static void parse_arguments(struct helper *h, const uintptr_t *stack)
{
	static const char usage[] = "pico-helper is started by libpico, not by hand\n";
	struct stat file;
	char **argv = (char **)(stack + 1);
	int *fds[] = { &h->control, &h->spawn, &h->host };
	for (unsigned i = 0; i < 3; i++) {
		*fds[i] = stack[0] == 4 ? parse_fd(argv[i + 1]) : -1;
		if (*fds[i] < 0 || sys(fstat, *fds[i], &file) < 0) {
			sys(write, 2, usage, sizeof usage - 1);
			sys_exit(2);
		}
		sys(fcntl, *fds[i], F_SETFD, FD_CLOEXEC);
	}
}

static const uint64_t *find_auxv(const uintptr_t *stack)
{
	const uintptr_t *at = stack + 1 + stack[0] + 1;
	while (*at++)
		;
	return (const uint64_t *)at;
}

/* The kernel ends the stack with the program's name and eight zero bytes. */
static uintptr_t find_stack_top(const uint64_t *auxv, uintptr_t stack)
{
	for (; auxv[0] != AT_NULL; auxv += 2)
		if (auxv[0] == AT_EXECFN)
			stack = auxv[1];
	while (*(const char *)stack)
		stack++;
	return (stack + 9 + PICO_PAGE_SIZE - 1) & ~(PICO_PAGE_SIZE - 1);
}

/* What was ignored in the host stays ignored over exec. */
static void reset_signals(void)
{
	struct sigaction action = { 0 };
	sigset_t all = ~0ul;
	sys(rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
	action.sa_handler = SIG_DFL;
	for (int i = 1; i <= SIGNALS; i++)
		sys(rt_sigaction, i, &action, 0, sizeof all);
}

static int start_child(int *pidfd)
{
	int32_t number = -1;
	long pid = sys(clone, CLONE_PIDFD | SIGCHLD, 0, &number, 0, 0);
	*pidfd = number;
	return (int)pid;
}

static int event(struct helper *h)
{
	long fd = sys(eventfd2, 0, 02000000 /* EFD_CLOEXEC */);
	if (fd < 0)
		helper_fail(h, (int)fd, "eventfd");
	return (int)fd;
}

static void share_beside(struct helper *h)
{
	long at = sys(mmap, 0, PICO_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at < 0)
		helper_fail(h, (int)at, "shared page");
	h->beside = (struct helper_beside *)at;
	h->made = event(h);
	h->joined = event(h);
}

static void start_watchdog(struct helper *h)
{
	int pid = (int)sys(getpid);
	h->self = (int)sys(pidfd_open, pid, 0);
	if (h->self < 0)
		helper_fail(h, h->self, "pidfd_open");
	pid = start_child(&h->watchdog); /* first in a new pid namespace: its init */
	if (pid == 0)
		watchdog_main(h);
	if (pid < 0)
		helper_fail(h, pid, "fork of the watchdog");
	sys(setpgid, pid, pid);
	h->group = pid;
}

static void start_zygote(struct helper *h, uintptr_t stack_top)
{
	int pid = start_child(&h->zygote);
	if (pid == 0)
		zygote_main(h, stack_top);
	if (pid < 0)
		helper_fail(h, pid, "fork of the zygote");
	sys(close, h->spawn);
	sys(close, h->self);
	sys(close, h->joined);
}

__attribute__((used)) _Noreturn void helper_main(const uintptr_t *stack)
{
	static struct helper h;
	const uint64_t *auxv = find_auxv(stack);
	sigset_t child = 1ul << (SIGCHLD - 1);
	const char *what = "";
	long error, signals;
	parse_arguments(&h, stack);
	if (sys(setsid) < 0)
		sys_exit(1); /* its group is not its own: nothing else may be tried */
	reset_signals();
	sys(prctl, PR_SET_NAME, "pico-helper");
	sys(chdir, "/");
	error = sys(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (error)
		helper_fail(&h, (int)error, "no_new_privs");
	error = helper_drop_root(&h, &what);
	if (error)
		helper_fail(&h, (int)error, what);
	error = helper_probe(&pico_gate_params, auxv, &what);
	if (error)
		helper_fail(&h, (int)error, what);
	helper_enter_first(&h);
	helper_drop_bounding_set();
	share_beside(&h);
	start_watchdog(&h);
	helper_enter_root(&h);
	sys(prctl, PR_SET_DUMPABLE, 0);
	start_zygote(&h, find_stack_top(auxv, (uintptr_t)stack));
	signals = sys(signalfd4, -1, &child, sizeof child, 02000000 /* SFD_CLOEXEC */);
	if (signals < 0)
		helper_fail(&h, (int)signals, "signalfd");
	serve(&h, (int)signals);
}
