/* SPDX-License-Identifier: Apache-2.0
 *
 * The main stack: as deep as its limit, not deeper; it grows with the limit
 * after an execve, also when only the kernel touches it; its overflow is a
 * signal that an alternate stack can catch.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>
#include "check.h"

extern char **environ;
static sigjmp_buf jump;
static volatile uintptr_t fault;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	fault = (uintptr_t)info->si_addr;
	siglongjmp(jump, 1);
}

__attribute__((noinline)) static size_t deep(size_t bytes)
{
	volatile char frame[4000];
	frame[0] = (char)bytes;
	return bytes < sizeof(frame) ? (size_t)frame[0] : deep(bytes - sizeof(frame)) + (size_t)frame[0];
}

static int overflows(size_t bytes)
{
	if (sigsetjmp(jump, 1))
		return 1;
	deep(bytes);
	return 0;
}

/* read(2) into pages of the stack that nobody touched yet. */
__attribute__((noinline)) static void kernel_first(void)
{
	volatile char frame[20 << 20];
	int fd = open((char *)getauxval(AT_EXECFN), O_RDONLY);
	CHECK(fd >= 0 && read(fd, (char *)frame, 100) == 100 && frame[1] == 'E');
	close(fd);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	stack_t alternate = { .ss_size = 65536, .ss_sp = malloc(65536) };
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	CHECK(sigaltstack(&alternate, NULL) == 0 && sigaction(SIGSEGV, &sa, NULL) == 0);
	CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
	if (argc == 1) {
		limit.rlim_cur = 8 << 20;
		CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
		CHECK(!overflows(6 << 20));
		CHECK(overflows(9 << 20));
		uintptr_t here = (uintptr_t)&limit;
		CHECK(fault < here && here - fault < 9 << 20);
		CHECK(!overflows(1 << 20));
		limit.rlim_cur = 64 << 20;
		CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
		execve((char *)getauxval(AT_EXECFN), (char *[]){ argv[0], (char *)"again", NULL }, environ);
		CHECK(!"execve came back");
	}
	kernel_first();
	CHECK(!overflows(50 << 20));
	CHECK(overflows(70 << 20));
	OK();
}
