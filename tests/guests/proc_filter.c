/* SPDX-License-Identifier: Apache-2.0
 *
 * seccomp: calls a program has given up fail, trap or end it, in its children
 * and threads too; what is no filter is refused.
 */
#define _GNU_SOURCE
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1)
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)

static int install(unsigned call, unsigned answer, unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		NR(call), RET(answer), RET(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(*f), f };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* The child's wait status. */
static int in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		fn();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void refusals(void)
{
	struct sock_filter endless = BPF_STMT(BPF_LD | BPF_IMM, 0), odd = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 3), ret = RET(SECCOMP_RET_ALLOW);
	struct sock_filter two[2] = { odd, ret };
	struct sock_fprog p = { 1, &endless };

	FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 1ul), EFAULT);
	FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p), EINVAL);
	p = (struct sock_fprog){ 2, two };
	FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p), EINVAL);
	p.len = 0;
	FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p), EINVAL);
	FAILS(prctl(PR_SET_SECCOMP, 99, &p), EINVAL);
	CHECK(prctl(PR_GET_SECCOMP) == 0);
}

static void numbers(void)
{
	CHECK(!install(SYS_getppid, SECCOMP_RET_ERRNO | 42, 0));
	CHECK(prctl(PR_GET_SECCOMP) == 2);
	FAILS(syscall(SYS_getppid), 42);
	CHECK(!install(SYS_getppid, SECCOMP_RET_ERRNO | 43, 0)); /* equal ones: the last counts */
	FAILS(syscall(SYS_getppid), 43);
	pid_t pid = fork();
	int status;

	if (!pid) {
		FAILS(syscall(SYS_getppid), 43);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
	CHECK(!install(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0));
	syscall(SYS_getppid);
}

static volatile int trapped;

static void on_trap(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	CHECK(info->si_code == 1 && info->si_errno == 7 && info->si_syscall == SYS_getppid && info->si_arch == AUDIT_ARCH_X86_64);
	trapped = 1;
}

static void traps(void)
{
	struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(SIGSYS, &sa, NULL) && !install(SYS_getppid, SECCOMP_RET_TRAP | 7, 0));
	syscall(SYS_getppid);
	CHECK(trapped);
}

static int gate[2];

static void *thread(void *arg)
{
	char c;

	CHECK(read(gate[0], &c, 1) == 1);
	FAILS(syscall(SYS_getppid), 44);
	return arg;
}

static void all_threads(void)
{
	pthread_t t;

	CHECK(!pipe(gate) && !pthread_create(&t, NULL, thread, NULL));
	CHECK(!install(SYS_getppid, SECCOMP_RET_ERRNO | 44, SECCOMP_FILTER_FLAG_TSYNC));
	CHECK(write(gate[1], "x", 1) == 1 && !pthread_join(t, NULL));
}

static void strict(void)
{
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	syscall(SYS_exit, 0);
}

static void strict_broken(void)
{
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	syscall(SYS_getpid);
}

int main(void)
{
	int status;

	CHECK(!in_child(refusals));
	status = in_child(numbers);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	CHECK(!in_child(traps));
	CHECK(!in_child(all_threads));
	CHECK(!in_child(strict));
	status = in_child(strict_broken);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(syscall(SYS_getppid) > 0); /* children only */
	OK();
}
