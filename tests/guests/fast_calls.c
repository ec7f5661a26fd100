/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls made so often that their sites are changed: results, errors,
 * registers, flags and the red zone are as before, under signals, threads, forks
 * and jumps straight to the instruction.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

#define ROUNDS 3000

/* mov and syscall side by side, with everything a call must keep filled in. */
static void registers_kept(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t in[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, red = 0, stack_before, stack_after, flags;
		double x = 1.25, y = 0;
		long r;

		__asm__ volatile(
			"movsd %[x], %%xmm7\n\t"
			"mov 0(%[in]), %%rbx\n\t mov 8(%[in]), %%r12\n\t mov 16(%[in]), %%r13\n\t"
			"mov 24(%[in]), %%r14\n\t mov 32(%[in]), %%r15\n\t"
			"mov %%rsp, %[before]\n\t"
			"movq $0x1234567, -8(%%rsp)\n\t" /* the red zone */
			"movq $0x7654321, -120(%%rsp)\n\t"
			"stc\n\t"
			"mov $39, %%eax\n\t"
			"syscall\n\t"
			"pushfq\n\t pop %[flags]\n\t" /* overwrites -8 */
			"mov %%rsp, %[after]\n\t"
			"mov -120(%%rsp), %[red]\n\t"
			"mov %%rbx, 0(%[in])\n\t mov %%r12, 8(%[in])\n\t mov %%r13, 16(%[in])\n\t"
			"mov %%r14, 24(%[in])\n\t mov %%r15, 32(%[in])\n\t"
			"movsd %%xmm7, %[y]\n\t"
			: "=&a"(r), [red] "=&r"(red), [before] "=&r"(stack_before), [after] "=&r"(stack_after), [flags] "=&r"(flags), [y] "=m"(y)
			: [in] "D"(in), [x] "m"(x)
			: "rbx", "rcx", "r11", "r12", "r13", "r14", "r15", "xmm7", "memory", "cc");
		CHECK(r == getpid() && red == 0x7654321 && stack_before == stack_after && (flags & 1) && y == 1.25);
		CHECK(in[0] == 1 && in[1] == 2 && in[2] == 3 && in[3] == 4 && in[4] == 5);
	}
}

/* The instruction itself as the target of a jump, with another number. */
static void jumped_to(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		long r;
		__asm__ volatile(
			"mov $110, %%eax\n\t" /* getppid */
			"test $1, %%edi\n\t"
			"jz 1f\n\t"
			"mov $39, %%eax\n"
			"1:\n\t"
			"syscall\n\t" : "=&a"(r) : "D"(i) : "rcx", "r11", "memory", "cc");
		CHECK(r == (i & 1 ? getpid() : getppid()));
	}
}

static void results(void)
{
	int p[2], null = open("/dev/null", O_RDWR);
	char c = 'x';

	CHECK(null >= 0 && pipe(p) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		FAILS(close(12345), EBADF);
		FAILS(read(-1, &c, 1), EBADF);
		CHECK(write(p[1], &c, 1) == 1 && read(p[0], &c, 1) == 1 && c == 'x');
		CHECK(read(null, &c, 1) == 0 && lseek(null, 0, SEEK_SET) == 0);
		FAILS(syscall(SYS_write, p[1], 8, 1), EFAULT);
	}
	close(p[0]);
	close(p[1]);
	close(null);
}

static volatile sig_atomic_t ticks;
static void tick(int n) { (void)n; ticks++; (void)getppid(); }

static void under_signals(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = tick, .sa_flags = SA_RESTART };
	const pid_t me = getpid();
	int p[2], status;

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && pipe(p) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (long i = 0; i < 200000 && ticks < 300; i++) {
		char c;
		CHECK(syscall(SYS_getpid) == me && getppid() > 0);
		if (i % 64 == 0) {
			pid_t child = fork();
			if (child == 0) {
				setitimer(ITIMER_REAL, &off, NULL);
				_exit(write(p[1], "y", 1) != 1);
			}
			CHECK(read(p[0], &c, 1) == 1 && c == 'y'); /* restarted */
			CHECK(waitpid(child, &status, 0) == child && status == 0);
		}
	}
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0 && ticks > 0);
	close(p[0]);
	close(p[1]);
}

static void *hammer(void *arg)
{
	atomic_int *bad = arg;
	int p[2];

	if (pipe(p))
		return NULL;
	for (int i = 0; i < ROUNDS; i++) {
		char c = (char)i, d = 0;
		struct timespec t;
		if (write(p[1], &c, 1) != 1 || read(p[0], &d, 1) != 1 || c != d || syscall(SYS_gettid) <= 0 ||
		    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) || fcntl(p[0], F_GETFD) != 0)
			atomic_fetch_add(bad, 1);
		if (i % 500 == 250) {
			pid_t pid = fork();
			int status;
			if (pid == 0)
				_exit(syscall(SYS_gettid) == getpid() ? 0 : 1);
			if (waitpid(pid, &status, 0) != pid || status)
				atomic_fetch_add(bad, 1);
		}
	}
	close(p[0]);
	close(p[1]);
	return NULL;
}

static void by_threads(void)
{
	pthread_t t[6];
	atomic_int bad = 0;

	for (int i = 0; i < 6; i++)
		CHECK(pthread_create(&t[i], NULL, hammer, &bad) == 0);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	CHECK(bad == 0);
}

/* What a program makes itself is never changed. */
static void generated(void)
{
	static const unsigned char code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 }; /* getpid */
	unsigned char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED);
	memcpy(m, code, sizeof(code));
	for (int i = 0; i < 200; i++)
		CHECK(((long (*)(void))(uintptr_t)m)() == getpid());
	CHECK(!memcmp(m, code, sizeof(code)));
}

/* A debugger's step over a call ends where it would if nothing were changed. */
static volatile long steps;
static void step(int n) { (void)n; steps++; }
#define TRACE(on) __asm__ volatile("sub $128, %%rsp\n\t pushfq\n\t orl $0x100, (%%rsp)\n\t" \
	"xorl %0, (%%rsp)\n\t popfq\n\t add $128, %%rsp" : : "i"(on ? 0 : 0x100) : "memory", "cc")

static __attribute__((noinline)) long stepped(int on)
{
	long r;

	if (on)
		TRACE(1);
	__asm__ volatile("mov $39, %%eax\n\t syscall" : "=a"(r) : : "rcx", "r11", "memory");
	if (on)
		TRACE(0);
	return r;
}

static __attribute__((noinline)) long stepped_library(int on)
{
	long r;

	if (on)
		TRACE(1);
	r = syscall(SYS_getpid);
	if (on)
		TRACE(0);
	return r;
}

static void under_steps(void)
{
	struct sigaction sa = { .sa_handler = step };
	long before, after;

	CHECK(sigaction(SIGTRAP, &sa, NULL) == 0);
	CHECK(stepped(1) == getpid() && stepped_library(1) == getpid());
	steps = 0;
	CHECK(stepped(1) == getpid());
	before = steps;
	for (int i = 0; i < ROUNDS; i++)
		CHECK(stepped(0) == getpid() && stepped_library(0) == getpid());
	CHECK(before > 5 && stepped_library(1) == getpid());
	for (int i = 0; i < 10; i++) {
		steps = 0;
		CHECK(stepped(1) == getpid());
		after = steps;
		CHECK(after == before);
	}
}

/* A call that no site of is changed. */
static __attribute__((noinline)) long plain(long nr, long a, long b, long c)
{
	long r;
	register long flags __asm__("r10") = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, fd __asm__("r8") = -1, at __asm__("r9") = 0;

	__asm__ volatile("nop\n\t syscall\n\t nop" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(flags), "r"(fd), "r"(at)
		: "rcx", "r11", "memory");
	return r;
}

/* Whatever lies beside the program's files: memory that the program takes stays its own. */
static void beside_us(void)
{
	unsigned long start = 0, end = 0;
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");
	int status;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "[pico]"))
			CHECK(sscanf(line, "%lx-%lx", &start, &end) == 2);
	fclose(f);
	if (!start)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		volatile unsigned char *m = (void *)start;
		if (plain(SYS_mmap, (long)start, (long)(end - start), PROT_READ | PROT_WRITE) != (long)start)
			plain(SYS_exit_group, 1, 0, 0);
		for (unsigned long i = 0; i < end - start; i++)
			m[i] = 0x5a;
		for (int i = 0; i < 200; i++)
			__asm__ volatile("mov $110, %%eax\n\t syscall" : : : "rax", "rcx", "r11", "memory");
		for (unsigned long i = 0; i < end - start; i++)
			if (m[i] != 0x5a)
				plain(SYS_exit_group, 2, 0, 0);
		plain(SYS_exit_group, 0, 0, 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
	by_threads(); /* first, while all sites are as they were */
	registers_kept();
	jumped_to();
	results();
	under_signals();
	generated();
	under_steps();
	beside_us();
	by_threads();
	puts("ok");
	return 0;
}
