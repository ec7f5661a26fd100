/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts the helper program. A child of the host would be seen by its wait()
 * and announced by SIGCHLD, so an intermediate process without an exit signal
 * starts it and ends; the helper then belongs to init (or to a subreaper, which
 * may be the host: that cannot be avoided). Knows nothing of the helper's work.
 *
 * The intermediate and its child run in the host's memory while the calling
 * thread is suspended (CLONE_VM|CLONE_VFORK): no page table is copied however
 * large the host is. They may use nothing but system calls and the caller's
 * stack frame; errno is the suspended thread's, which restores it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

#define STACK_SIZE (64u << 10)
/* The helper's stack and everything the kernel places below it must lie in the
 * system range, at the same places on every host: with an unlimited stack or a
 * strange personality the kernel would turn the layout over, and random bits may
 * be many. What a sandbox around us refuses of this the helper mends (vdso.c). */
#define HELPER_STACK (1u << 20)

enum { CONTROL = 3, SPAWN, HOST, FIXED_END }; /* descriptor numbers in the helper */

/* The thread checker takes every clone for a fork, and stops following the
 * calling thread. It does not know libc's other name of the function. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

#define NO_SANITIZE __attribute__((no_sanitize("address", "undefined", "thread")))

struct launch {
	const char *path;
	int source[3]; /* become CONTROL, SPAWN, HOST */
	char *stacks; /* two of STACK_SIZE */
	int pidfd;
	int error; /* positive errno */
	const char *step;
};

static NO_SANITIZE int note(struct launch *l, const char *step)
{
	l->error = errno;
	l->step = step;
	return 1;
}

static NO_SANITIZE void set_soft_limit(int resource, rlim_t most)
{
	struct rlimit limit;
	if (syscall(SYS_prlimit64, 0, resource, NULL, &limit))
		return;
	limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
	syscall(SYS_prlimit64, 0, resource, &limit, NULL);
}

/* Becomes the helper. Its descriptors are its own copy, its memory the host's. */
static NO_SANITIZE int become_helper(void *arg)
{
	struct launch *l = arg;
	char *const argv[] = { (char *)"pico-helper", (char *)"3", (char *)"4", (char *)"5", NULL };
	char *const environment[] = { NULL };
	int moved[3];
	set_soft_limit(RLIMIT_NOFILE, RLIM_INFINITY);
	set_soft_limit(RLIMIT_AS, RLIM_INFINITY);
	set_soft_limit(RLIMIT_STACK, HELPER_STACK);
	syscall(SYS_personality, PER_LINUX | ADDR_NO_RANDOMIZE);
	/* First out of the way: a source may have another's final number. */
	for (int i = 0; i < 3; i++) {
		moved[i] = (int)syscall(SYS_fcntl, l->source[i], F_DUPFD_CLOEXEC, FIXED_END);
		if (moved[i] < 0)
			return note(l, "descriptors");
	}
	for (int i = 0; i < 3; i++)
		if (syscall(SYS_dup3, moved[i], CONTROL + i, 0) < 0)
			return note(l, "descriptors");
	if (syscall(SYS_close_range, FIXED_END, ~0u, 0) < 0 || syscall(SYS_close_range, 0, CONTROL - 1, 0) < 0)
		return note(l, "close_range");
	syscall(SYS_execve, l->path, argv, environment);
	return note(l, "exec");
}

/* CLONE_FILES makes the helper's pidfd appear in the host. */
static NO_SANITIZE int intermediate(void *arg)
{
	struct launch *l = arg;
	int pid = clone(become_helper, l->stacks + 2 * STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, l,
			&l->pidfd);
	if (pid < 0)
		note(l, "clone");
	else if (l->error) /* nobody else should find the zombie */
		syscall(SYS_wait4, pid, NULL, __WALL, NULL);
	return 0;
}

/* With every signal blocked (libc's own, too): a handler of the host must not
 * run in a process that only shares its memory. */
static NO_SANITIZE int run_intermediate(struct launch *l)
{
	uint64_t all = ~0ull, before;
	int cancel, pid;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	pid = clone(intermediate, l->stacks + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_FILES, l);
	if (pid < 0)
		note(l, "clone");
	else
		while (syscall(SYS_wait4, pid, NULL, __WCLONE, NULL) < 0 && errno == EINTR)
			;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
	pthread_setcancelstate(cancel, NULL);
	return l->error;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_FD __attribute__((cleanup(close_fd))) int

static int steal(int *fd)
{
	int value = *fd;
	*fd = -1;
	return value;
}

struct stacks { char *base; };
static void unmap_stacks(struct stacks *s)
{
	if (s->base != MAP_FAILED)
		munmap(s->base, 2 * STACK_SIZE);
}
static void restore_errno(int *saved)
{
	errno = *saved;
}

static int start(const char *path, struct pico__launched *out, const char **step)
{
	int control[2] = { -1, -1 }, spawn[2] = { -1, -1 };
	struct launch l = { .path = path, .pidfd = -1 };
	*step = "socketpair";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return -errno;
	AUTO_FD control_here = control[0];
	AUTO_FD control_there = control[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, spawn) < 0)
		return -errno;
	AUTO_FD spawn_here = spawn[0];
	AUTO_FD spawn_there = spawn[1];
	*step = "pidfd_open";
	AUTO_FD host = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (host < 0)
		return -errno;
	*step = "stack";
	struct stacks stacks __attribute__((cleanup(unmap_stacks))) = {
		mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)
	};
	if (stacks.base == MAP_FAILED)
		return -errno;
	l.stacks = stacks.base;
	l.source[0] = control_there;
	l.source[1] = spawn_there;
	l.source[2] = host;
	if (run_intermediate(&l)) {
		close_fd(&l.pidfd);
		*step = l.step;
		return -l.error;
	}
	*out = (struct pico__launched){ steal(&control_here), steal(&spawn_here), l.pidfd };
	return 0;
}

int pico__launch(const char *path, struct pico__launched *out, const char **step)
{
	int saved __attribute__((cleanup(restore_errno), unused)) = errno;
	return start(path, out, step);
}

void pico__launch_kill(const struct pico__launched *launched)
{
	syscall(SYS_pidfd_send_signal, launched->pidfd, SIGKILL, NULL, 0);
}
