/* SPDX-License-Identifier: Apache-2.0
 *
 * Every way to make a process, what it shares with its maker and what not, and
 * every way it ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

extern char **environ;
static int global = 1;
static char *self;

static int exit_of(pid_t pid)
{
	int status = -1;

	CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int signal_of(pid_t pid)
{
	int status = -1;

	CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFSIGNALED(status));
	return WTERMSIG(status);
}

/* ---- memory ---- */

static void copies(void)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int *gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int *wiped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*shared = *own = *gone = *wiped = global = 1;
	CHECK(madvise(gone, 4096, MADV_DONTFORK) == 0 && madvise(wiped, 4096, MADV_WIPEONFORK) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(*own == 1 && *wiped == 0 && global == 1);
		*own = *shared = global = 7;
		_exit(*own + global);
	}
	CHECK(exit_of(pid) == 14);
	CHECK(*shared == 7 && *own == 1 && global == 1 && *wiped == 1 && *gone == 1);
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile int *)gone);
	}
	CHECK(signal_of(pid) == SIGSEGV);
}

/* ---- vfork ---- */

static jmp_buf back;

static void borrowed(void)
{
	volatile int seen = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		seen = getpid(); /* the parent's memory */
		_exit(5);
	}
	CHECK(exit_of(pid) == 5 && seen == pid && seen != getpid());
	/* A child of a child, each on the same thread. */
	volatile pid_t inner = 0;
	volatile int status = 0;
	pid = vfork();
	if (pid == 0) {
		pid_t p = vfork();
		if (p == 0)
			_exit(3);
		inner = p;
		int s;
		waitpid(p, &s, 0);
		status = s;
		pid_t q = fork();
		if (q == 0)
			_exit(9);
		waitpid(q, &s, 0);
		_exit(WEXITSTATUS(s));
	}
	CHECK(exit_of(pid) == 9 && inner > 0 && inner != pid && WEXITSTATUS(status) == 3);
	/* Descriptors, directory and actions are the child's own. */
	pid = vfork();
	if (pid == 0) {
		close(0);
		signal(SIGUSR1, SIG_IGN);
		if (chdir("/") < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	CHECK(signal_of(pid) == SIGKILL && fcntl(0, F_GETFD) >= 0);
	struct sigaction sa;
	CHECK(sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
	/* A fault kills the child only. */
	pid = vfork();
	if (pid == 0) {
		*(volatile int *)8 = 1;
		_exit(0);
	}
	CHECK(signal_of(pid) == SIGSEGV);
	(void)back;
}

static void vector_state(void)
{
	double keep = 1.5;

	__asm__ volatile("movsd %0, %%xmm15" : : "m"(keep) : "xmm15");
	long pid = SYS_vfork, child = SYS_exit_group;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorps %%xmm15, %%xmm15\n\t"
			 "mov %1, %%rax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n"
			 "1:" : "+a"(pid) : "r"(child) : "rcx", "r11", "rdi", "memory");
	__asm__ volatile("movsd %%xmm15, %0" : "=m"(keep));
	CHECK(keep == 1.5 && exit_of((pid_t)pid) == 0);
}

/* ---- exec ---- */

static void execs(void)
{
	char word_argv[] = "exit", number_argv[] = "42";
	char *const argv[] = { self, word_argv, number_argv, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execv(self, argv);
		_exit(1);
	}
	CHECK(exit_of(pid) == 42);
	pid = vfork();
	if (pid == 0) {
		execv(self, argv);
		_exit(1);
	}
	CHECK(exit_of(pid) == 42);
	CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0 && exit_of(pid) == 42);
	CHECK(posix_spawn(&pid, "/nowhere/at/all", NULL, NULL, argv, environ) == ENOENT);
	CHECK(posix_spawn(&pid, "/usr", NULL, NULL, argv, environ) == EACCES);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	/* Descriptors: close-on-exec goes, the rest stays with its offset. */
	int p[2];
	CHECK(pipe2(p, O_CLOEXEC) == 0);
	char number[16];
	int keep = dup(p[1]);
	snprintf(number, sizeof(number), "%d", keep);
	char word_fd_argv[] = "write";
	char *const fd_argv[] = { self, word_fd_argv, number, NULL };
	CHECK(posix_spawn(&pid, self, NULL, NULL, fd_argv, environ) == 0);
	close(keep);
	close(p[1]);
	char text[8] = "";
	CHECK(exit_of(pid) == 0 && read(p[0], text, 8) == 2 && !strcmp(text, "hi") && read(p[0], text, 8) == 0);
	close(p[0]);
	/* Ignored signals stay ignored, handlers go, masks stay, pending stays. */
	posix_spawnattr_t at;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	posix_spawnattr_init(&at);
	posix_spawnattr_setsigmask(&at, &set);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	char word_mask_argv[] = "mask";
	char *const mask_argv[] = { self, word_mask_argv, NULL };
	signal(SIGHUP, SIG_IGN);
	CHECK(posix_spawn(&pid, self, NULL, &at, mask_argv, environ) == 0 && exit_of(pid) == 0);
	signal(SIGHUP, SIG_DFL);
	posix_spawnattr_destroy(&at);
}

static void *exec_in_thread(void *arg)
{
	(void)arg;
	char word_argv[] = "leader";
	char *const argv[] = { self, word_argv, NULL };

	execv(self, argv);
	_exit(1);
}

static void *sleep_for_ever(void *arg)
{
	while (arg == NULL)
		pause();
	return NULL;
}

static void threads_and_exec(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t a, b;
		char text[16];
		snprintf(text, sizeof(text), "%d", getpid());
		setenv("LEADER", text, 1);
		pthread_create(&a, NULL, sleep_for_ever, NULL);
		pthread_create(&b, NULL, exec_in_thread, NULL);
		sleep_for_ever(NULL);
	}
	CHECK(exit_of(pid) == 0);
}

/* ---- clone ---- */

static char stack[65536] __attribute__((aligned(16)));

static int clone_main(void *arg)
{
	int *what = arg;

	*what = getpid();
	return 6;
}

static int clone_files(void *arg)
{
	close(*(int *)arg);
	return chdir("/");
}

static void on_usr1(int n) { global = n; }
static int clone_sighand(void *arg)
{
	(void)arg;
	signal(SIGUSR1, on_usr1);
	return 0;
}

static void clones(void)
{
	int what = 0;
	pid_t pid = clone(clone_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, &what);

	CHECK(exit_of(pid) == 6 && what == pid);
	pid = clone(clone_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &what);
	CHECK(what == pid && exit_of(pid) == 6);
	what = 0;
	pid = clone(clone_main, stack + sizeof(stack), CLONE_VFORK | SIGCHLD, &what);
	CHECK(what == 0 && exit_of(pid) == 6);
	int fd = dup(1);
	char before[256], after[256];
	CHECK(getcwd(before, sizeof(before)) != NULL);
	pid = clone(clone_files, stack + sizeof(stack), CLONE_FILES | SIGCHLD, &fd);
	CHECK(exit_of(pid) == 0 && fcntl(fd, F_GETFD) == -1);
	CHECK(getcwd(after, sizeof(after)) != NULL && !strcmp(before, after));
	fd = dup(1);
	pid = clone(clone_files, stack + sizeof(stack), CLONE_FS | SIGCHLD, &fd);
	CHECK(exit_of(pid) == 0 && fcntl(fd, F_GETFD) == 0 && getcwd(after, sizeof(after)) && !strcmp(after, "/"));
	CHECK(close(fd) == 0 && chdir(before) == 0);
	pid = clone(clone_sighand, stack + sizeof(stack), CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);
	struct sigaction sa;
	CHECK(exit_of(pid) == 0 && sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == on_usr1);
	signal(SIGUSR1, SIG_DFL);
	/* Without an exit signal: only __WCLONE and __WALL see it. */
	int status;
	pid = clone(clone_main, stack + sizeof(stack), 0, &what);
	CHECK(pid > 0);
	FAILS(waitpid(pid, &status, 0), ECHILD);
	CHECK(waitpid(pid, &status, __WCLONE) == pid && WEXITSTATUS(status) == 6);
	FAILS(clone(clone_main, stack + sizeof(stack), CLONE_THREAD | SIGCHLD, &what), EINVAL);
	FAILS(clone(clone_main, stack + sizeof(stack), CLONE_SIGHAND | SIGCHLD, &what), EINVAL);
	/* clone3, with everything it tells. */
	int pidfd = -1;
	pid_t told = 0, set = 0;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CLEAR_SIGHAND,
		.pidfd = (uintptr_t)&pidfd, .parent_tid = (uintptr_t)&told, .child_tid = (uintptr_t)&set, .exit_signal = SIGCHLD,
	};
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(set == (pid_t)syscall(SYS_gettid) ? 11 : 1);
	struct pollfd pf = { .fd = pidfd, .events = POLLIN };
	siginfo_t info = { 0 };
	CHECK(told == pid && set == 0 && poll(&pf, 1, 10000) == 1);
	CHECK(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0 && info.si_pid == pid && info.si_status == 11);
	CHECK(close(pidfd) == 0 && (fcntl(pidfd, F_GETFD), errno == EBADF));
}

/* ---- families ---- */

static void orphans(void)
{
	int p[2];
	pid_t parent;

	CHECK(pipe(p) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	parent = fork();
	if (parent == 0) {
		if (fork() == 0) {
			char c;
			prctl(PR_SET_PDEATHSIG, SIGUSR2);
			close(p[1]);
			signal(SIGUSR2, SIG_IGN);
			if (read(p[0], &c, 1) != 0) /* until the grandparent closes */
				_exit(1);
			_exit(getppid() == atoi(getenv("TOP")) ? 0 : 2);
		}
		_exit(0);
	}
	CHECK(exit_of(parent) == 0);
	close(p[1]);
	int status;
	pid_t adopted = waitpid(-1, &status, 0);
	CHECK(adopted > 0 && adopted != parent && status == 0);
	close(p[0]);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

static volatile sig_atomic_t chld;
static siginfo_t last;
static void on_chld(int n, siginfo_t *i, void *u) { (void)n; (void)u; last = *i; chld++; }

static void notices(void)
{
	struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART }, old;
	int status;
	siginfo_t info;

	CHECK(sigaction(SIGCHLD, &sa, &old) == 0);
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0);
	CHECK(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK(kill(pid, SIGTERM) == 0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM);
	CHECK(chld >= 1 && last.si_pid == pid && last.si_signo == SIGCHLD);
	FAILS(kill(pid, 0), ESRCH);
	/* Nobody wants to know: no zombie. */
	sa.sa_flags = SA_NOCLDWAIT;
	sa.sa_handler = SIG_DFL;
	CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	FAILS(waitpid(pid, &status, 0), ECHILD);
	CHECK(sigaction(SIGCHLD, &old, NULL) == 0);
	/* Groups. */
	pid_t a = fork();
	if (a == 0) {
		setpgid(0, 0);
		if (fork() == 0)
			for (;;)
				pause();
		for (;;)
			pause();
	}
	CHECK(setpgid(a, a) == 0 || errno == EACCES);
	usleep(20000);
	CHECK(kill(-a, SIGKILL) == 0 && signal_of(a) == SIGKILL);
}

static void *forker(void *arg)
{
	atomic_int *bad = arg;

	for (int i = 0; i < 15; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			char *m = malloc(1000); /* the C library's locks are whole in the child */
			_exit(m ? 0 : 1);
		}
		int status;
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			atomic_fetch_add(bad, 1);
		free(malloc(100));
	}
	return NULL;
}

static void threaded(void)
{
	pthread_t t[6];
	atomic_int bad = 0;

	for (int i = 0; i < 6; i++)
		CHECK(pthread_create(&t[i], NULL, forker, &bad) == 0);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	CHECK(bad == 0);
}

static int other_life(int argc, char **argv)
{
	sigset_t set;
	struct sigaction sa;

	if (!strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (!strcmp(argv[1], "write"))
		return write(atoi(argv[2]), "hi", 2) != 2 || argc != 3;
	if (!strcmp(argv[1], "mask"))
		return sigprocmask(SIG_SETMASK, NULL, &set) || !sigismember(&set, SIGUSR2) || sigismember(&set, SIGUSR1) ||
		       sigaction(SIGHUP, NULL, &sa) || sa.sa_handler != SIG_IGN || getpgrp() != getpid();
	if (!strcmp(argv[1], "leader"))
		return getpid() != atoi(getenv("LEADER")) || syscall(SYS_gettid) != getpid();
	return 99;
}

/* What clone takes and what it refuses. */
static void odd_arguments(void)
{
	siginfo_t info = { .si_signo = 5, .si_code = 6, .si_errno = 7 };
	int status;

	info.si_pid = 77;
	FAILS(waitid(P_PID, (id_t)getpid(), &info, WEXITED), ECHILD);
	CHECK(info.si_signo == 0 && info.si_code == 0 && info.si_errno == 0 && info.si_pid == 0);
	FAILS(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, 0x8000123400000000ul), EPERM);
	FAILS(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, 0x7ffffffff000ul), EPERM);
	for (int number = 65; number < 256; number += 19) {
		pid_t pid = (pid_t)syscall(SYS_clone, number, 0, 0, 0, 0);
		if (pid == 0)
			_exit(3);
		CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
	}
}

/* A program that does not fit is started and dies; its file is free again. */
static void too_large(void)
{
	char copy[] = "/tmp/fork_ways.XXXXXX", buf[65536];
	int in = open(self, O_RDONLY), out = mkstemp(copy), fd;
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		CHECK(write(out, buf, (size_t)n) == n);
	CHECK(fchmod(out, 0755) == 0 && close(out) == 0 && close(in) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit little = { 300000, 300000 }, none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		setrlimit(RLIMIT_AS, &little);
		execl(copy, "copy", "exit", "0", (char *)0);
		_exit(9);
	}
	CHECK(signal_of(pid) == SIGSEGV);
	CHECK((fd = open(copy, O_WRONLY)) >= 0 && close(fd) == 0 && unlink(copy) == 0);
}

static double processor_time(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void own_time(void)
{
	const double before = processor_time();
	pid_t pid = vfork();

	if (pid == 0) {
		struct timespec t;
		do
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		while (t.tv_sec == 0 && t.tv_nsec < 300000000);
		_exit(0);
	}
	CHECK(exit_of(pid) == 0 && processor_time() - before < 0.15);
}

int main(int argc, char **argv)
{
	static char path[4096], top[16];

	if (argc > 1)
		return other_life(argc, argv);
	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	self = path;
	snprintf(top, sizeof(top), "%d", getpid());
	setenv("TOP", top, 1);
	copies();
	borrowed();
	vector_state();
	execs();
	threads_and_exec();
	clones();
	orphans();
	notices();
	threaded();
	odd_arguments();
	too_large();
	own_time();
	FAILS(waitpid(-1, NULL, 0), ECHILD);
	puts("ok");
	return 0;
}
