/* SPDX-License-Identifier: Apache-2.0
 *
 * `pico run`: makes one instance from the command line, passes the tool's own
 * signals on to it, and ends as the program ended. The tool is an ordinary
 * event loop over pico_fd() and a signalfd; it has no signal handlers.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pico/pico.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* What a terminal or a service manager sends; the guest hears of each. */
static const int forwarded[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2,
};
enum { STREAMS = 16384 }; /* as far as the host's limit of open files lets it */
enum { FORWARDED_COUNT = sizeof(forwarded) / sizeof(forwarded[0]) };

struct run {
	struct run_options options;
	struct pico *instance;
	struct control *control; /* or NULL */
	int signals; /* signalfd */
	int terminations; /* SIGTERMs so far: the second kills */
	bool killed;
	bool stdio_closed[3];
	bool terminal_saved;
	struct termios terminal;
	uint64_t started_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void log_line(void *user, int level, const char *line)
{
	static const char *const levels[] = { "", "", "warning: ", "info: ", "debug: " };

	(void)user;
	complain("%s%s", level >= 1 && level <= 4 ? levels[level] : "", line);
}

/* Signals are blocked before any thread exists, so all threads inherit that
 * and only the signalfd takes them. */
static int open_signals(struct run *run)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < FORWARDED_COUNT; i++)
		sigaddset(&set, forwarded[i]);
	sigaddset(&set, SIGTTOU); /* the terminal is restored even from the background */
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGTTOU);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals < 0) {
		complain("signalfd: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* A program may leave the terminal raw when it is killed; a shell's user would
 * be left with that. */
static void save_terminal(struct run *run)
{
	run->terminal_saved = tcgetattr(STDIN_FILENO, &run->terminal) == 0;
}

static void restore_terminal(const struct run *run)
{
	if (run->terminal_saved)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &run->terminal);
}

/* What is closed here is closed inside. Until then something else must have
 * the number, lest the next file opened takes it; a path only can neither be read
 * nor written, as if nothing were there. */
static int hold_stdio(struct run *run)
{
	for (int i = 0; i < 3; i++) {
		run->stdio_closed[i] = fcntl(i, F_GETFD) < 0;
		if (run->stdio_closed[i] && open("/", O_PATH | O_CLOEXEC) != i)
			return -1;
	}
	return 0;
}

/* A program's open files are descriptors here too, and a shell's usual limit of
 * 1024 would be the program's. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void fill_stdio(const struct run *run, struct pico_options *o)
{
	for (int i = 0; i < 3; i++)
		o->stdio[i].kind = run->stdio_closed[i] ? PICO_STDIO_CLOSED : PICO_STDIO_INHERIT;
}

static void report(void *user, const char *line)
{
	(void)user;
	complain("%s", line);
}

/* pico_create, or pico_restore without its start. */
static int make_instance(struct run *run, const struct pico_options *o, struct pico_error *error)
{
	const struct run_options *from = &run->options;
	struct pico_restore_options r;
	size_t key_size = 0;
	void *key = NULL;
	int result;

	if (!from->snapshot && from->snapshot_fd < 0)
		return pico_create(o, &run->instance, error);
	if (from->key && !(key = read_key(from->key, &key_size)))
		return -PICO_EINVAL;
	pico_restore_options_init(&r);
	r.flags = PICO_RESTORE_PAUSED | (from->verify ? PICO_RESTORE_VERIFY : 0) |
		(from->changed_ok ? PICO_RESTORE_CHANGED_OK : 0) | (from->add_pause ? PICO_RESTORE_ADD_PAUSE : 0);
	r.path = from->snapshot;
	r.fd = from->snapshot_fd;
	r.key = key;
	r.key_size = key_size;
	r.options = o;
	r.report = report;
	result = pico_restore(&r, &run->instance, error);
	free(key);
	return result;
}

/* Creates the instance. 0, or -1 after complaining. */
static int create(struct run *run)
{
	const struct run_options *from = &run->options;
	cleanup_string char *helper = find_program("pico-helper");
	cleanup_string char *libos = from->libos ? tool_format("%s", from->libos) : find_program("libos-linux");
	struct pico_mount *mounts;
	struct pico_options o;
	struct pico_error error = { 0 };
	int result;

	if (!helper || !libos)
		return -1;
	mounts = tool_alloc(NULL, (from->mount_count + 1) * sizeof(*mounts));
	for (size_t i = 0; i < from->mount_count; i++)
		mounts[i] = (struct pico_mount){ from->mounts[i].host, from->mounts[i].guest,
						 from->mounts[i].writable ? 0 : PICO_MOUNT_READ_ONLY, 0 };
	pico_options_init(&o);
	if (from->argc) {
		o.program = from->argv[0];
		o.argv = (const char *const *)from->argv;
	}
	o.envp = (const char *const *)from->env.item;
	o.cwd = from->cwd;
	o.root = from->root;
	if (from->root && !from->root_writable)
		o.flags |= PICO_FLAG_ROOT_READ_ONLY;
	if (from->no_patch || getenv("PICO_NO_PATCH"))
		o.flags |= PICO_FLAG_NO_PATCH;
	o.mounts = mounts;
	o.mount_count = from->mount_count;
	o.limits.memory = from->memory;
	o.huge_pages = from->huge_pages;
	o.limits.streams = STREAMS;
	o.limits.deadline_ms = (from->timeout_ns + 999999) / 1000000;
	o.hostname = from->hostname;
	o.uid = from->uid;
	o.gid = from->gid;
	if (from->verbose) { /* else the end's message says why a program did not start */
		o.log = log_line;
		o.log_level = PICO_LOG_DEBUG;
	}
	o.libos = libos;
	o.helper = helper;
	fill_stdio(run, &o);
	result = make_instance(run, &o, &error);
	free(mounts);
	if (result < 0) {
		complain("%s", error.message[0] ? error.message : pico_strerror(result));
		return -1;
	}
	return 0;
}

static void handle_signal(struct run *run, int signo)
{
	if (signo == SIGTERM && ++run->terminations > 1) {
		run->killed = true;
		pico_kill(run->instance);
		return;
	}
	if (pico_signal(run->instance, signo) < 0)
		return; /* it has ended meanwhile: the loop will see that */
}

/* The shell waits for this process to stop, not for the guest. A guest that
 * handles ^Z itself, a shell with jobs of its own above all, goes on. */
static void stop_with_guest(const struct run *run)
{
	if (pico_stopped(run->instance) == 1)
		kill(getpid(), SIGSTOP);
}

static void take_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof(info)) == sizeof(info))
		handle_signal(run, (int)info.ssi_signo);
}

/* Until the instance has ended. */
static void loop(struct run *run)
{
	struct pollfd fds[3] = {
		{ .fd = pico_fd(run->instance), .events = POLLIN },
		{ .fd = run->signals, .events = POLLIN },
		{ .fd = run->control ? control_fd(run->control) : -1, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if (fds[2].revents)
			control_serve(run->control, run->instance);
		if (fds[1].revents)
			take_signals(run);
		if (!fds[0].revents)
			continue;
		if (pico_dispatch(run->instance) == 1)
			return;
		stop_with_guest(run);
	}
}

static void print_stats(struct run *run)
{
	struct pico_stats *stats = tool_alloc(NULL, sizeof(*stats));
	double wall = (double)(now_ns() - run->started_ns) / 1e9;

	stats->size = sizeof(*stats);
	if (pico_stats(run->instance, stats) < 0) {
		complain("stats: %s", pico_get_error(run->instance)->message);
		free(stats);
		return;
	}
	fprintf(stderr, "%-30s %12.6f s\n", "wall", wall);
	fprintf(stderr, "%-30s %12.6f s\n", "cpu user", (double)stats->cpu_user_ns / 1e9);
	fprintf(stderr, "%-30s %12.6f s\n", "cpu system", (double)stats->cpu_system_ns / 1e9);
	fprintf(stderr, "%-30s %12.1f MiB\n", "memory peak", (double)stats->memory_peak / 1048576);
	fprintf(stderr, "%-30s %12u (%u at once)\n", "picoprocesses", stats->processes_total, stats->processes_peak);
	fprintf(stderr, "%-30s %12llu\n", "requests to the monitor", (unsigned long long)stats->requests);
	for (unsigned i = 0; i < PICO_STAT_DOWNCALLS; i++)
		if (stats->downcalls[i])
			fprintf(stderr, "  %-28s %12llu\n", pico_downcall_name(i),
				(unsigned long long)stats->downcalls[i]);
	if (stats->text[0]) {
		stats->text[sizeof(stats->text) - 1] = 0;
		fputs("library OS\n", stderr);
		for (char *save, *line = strtok_r(stats->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			size_t name_size = strcspn(line, " ");
			fprintf(stderr, "  %-28.*s %12s\n", (int)name_size, line,
				line[name_size] ? line + name_size + 1 : "");
		}
	}
	free(stats);
}

/* For messages. */
static const char *name_of(const struct run *run)
{
	return run->options.argc ? run->options.argv[0] : run->options.name ? run->options.name : "the copy";
}

/* The tool's exit status for how the instance ended, complaining where the
 * program itself cannot have said anything. */
static int exit_status(const struct run *run, const struct pico_exit *end)
{
	const char *program = name_of(run);

	switch (end->kind) {
	case PICO_EXITED:
		if ((end->code == TOOL_EXIT_NOT_FOUND || end->code == TOOL_EXIT_CANNOT_RUN) && end->message[0] &&
		    !run->options.verbose)
			complain("%s", end->message);
		return end->code & 0xff;
	case PICO_SIGNALED:
		return TOOL_EXIT_SIGNAL + end->signal;
	default:
		break;
	}
	if (end->cause == PICO_CAUSE_DEADLINE) {
		complain("%s: out of time after %g s", program, (double)run->options.timeout_ns / 1e9);
		return TOOL_EXIT_TIMEOUT;
	}
	if (end->cause == PICO_CAUSE_STOPPED)
		return 0;
	if (end->cause == PICO_CAUSE_KILLED && run->killed)
		return TOOL_EXIT_SIGNAL + SIGKILL;
	complain("%s: %s%s%s", program, pico_cause_name(end->cause), end->message[0] ? ": " : "", end->message);
	return TOOL_EXIT_FAILED;
}

static int run_instance(struct run *run)
{
	struct pico_exit end;
	int result;

	run->started_ns = now_ns();
	if (open_signals(run) < 0)
		return TOOL_EXIT_FAILED;
	if (run->options.name && !(run->control = control_open(&run->options)))
		return TOOL_EXIT_FAILED;
	if (create(run) < 0)
		return TOOL_EXIT_FAILED;
	save_terminal(run);
	result = pico_start(run->instance);
	if (result == 0) {
		loop(run);
		result = pico_wait(run->instance, -1, &end);
	}
	restore_terminal(run);
	if (result < 0) {
		const char *message = pico_get_error(run->instance)->message;
		complain("%s: %s", name_of(run), message[0] ? message : pico_strerror(result));
		return TOOL_EXIT_FAILED;
	}
	if (run->options.stats)
		print_stats(run);
	return exit_status(run, &end);
}

static void run_fini(struct run *run)
{
	control_close(&run->control);
	pico_destroy(run->instance);
	if (run->signals >= 0)
		close(run->signals);
	run_options_fini(&run->options);
}

int run_with_options(struct run_options *options)
{
	__attribute__((cleanup(run_fini))) struct run run = { .signals = -1, .options = *options };

	*options = (struct run_options){ .snapshot_fd = -1 };
	raise_descriptor_limit();
	return hold_stdio(&run) < 0 ? TOOL_EXIT_FAILED : run_instance(&run);
}

int command_restore(int argc, char **argv)
{
	return command_run(argc, argv);
}

int command_run(int argc, char **argv)
{
	__attribute__((cleanup(run_fini))) struct run run = { .signals = -1 };

	raise_descriptor_limit();
	if (hold_stdio(&run) < 0 || run_options_parse(&run.options, argc, argv) < 0)
		return TOOL_EXIT_FAILED;
	if (run.options.help)
		return command_help();
	return run_instance(&run);
}
