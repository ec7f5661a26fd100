/* SPDX-License-Identifier: Apache-2.0
 *
 * Control that leaves its place: setjmp, siglongjmp out of a handler on the
 * alternate stack (stack overflow, a page that may not be written), contexts,
 * and vector state over all of it.
 */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <ucontext.h>
#endif

static __thread sigjmp_buf back;
static __thread volatile uintptr_t fault_at;
static __thread char *volatile stack_seen;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	char here;
	(void)context;
	CHECK(signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE || signo == SIGILL);
	fault_at = (uintptr_t)info->si_addr;
	stack_seen = &here;
	siglongjmp(back, signo);
}

static volatile int deep = 1 << 30;
static int overflow(volatile char *above, int depth)
{
	volatile char room[4096];
	room[0] = above ? above[0] : 1;
	return depth > deep ? 0 : overflow(room, depth + 1) + room[17];
}

/* Each fault is recovered from, again and again: a handler that is left by a
 * jump leaves its stack free. */
static void faults(void)
{
	static __thread char alternate[65536];
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, now;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile int zero = 0, ten = 10, result = 0;

	CHECK(page != MAP_FAILED && sigaltstack(&ss, NULL) == 0);
	for (volatile int i = 0; i < 300; i++) {
		int signo = sigsetjmp(back, 1);
		if (signo == 0) {
			switch (i % 4) {
			case 0: page[i] = 1; break;
			case 1: result = *(volatile int *)(uintptr_t)64; break;
			case 2: result = ten / zero; break;
			case 3: __builtin_trap();
			}
			CHECK(!"no fault");
		}
		CHECK(stack_seen >= alternate && stack_seen < alternate + sizeof(alternate));
		CHECK(signo == (i % 4 < 2 ? SIGSEGV : i % 4 == 2 ? SIGFPE : SIGILL));
		CHECK(i % 4 != 0 || fault_at == (uintptr_t)page + (unsigned)i);
		CHECK(i % 4 != 1 || fault_at == 64);
		CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0);
	}
	CHECK(result == 0 && munmap(page, 4096) == 0);
}

static void stack_overflow(void)
{
	for (volatile int i = 0; i < 3; i++)
		if (sigsetjmp(back, 1) == 0)
			CHECK(overflow(NULL, 0) == -1);
}

static void *in_thread(void *unused)
{
	(void)unused;
	faults();
	stack_overflow();
	return NULL;
}

static jmp_buf env;
static void (*volatile again)(int);
static void thrown(int depth)
{
	if (depth > 0) {
		again(depth - 1);
		return; /* never */
	}
	longjmp(env, 5);
}

static void jumps(void)
{
	volatile int count = 0;
	again = thrown;
	int value = setjmp(env);
	if (++count < 1000)
		thrown(count % 50);
	CHECK(value == 5 && count == 1000);
}

#ifdef __GLIBC__
static ucontext_t home, side[3];
static int steps[3], order[64], ordered;
static double sums[3];

static void walk(int me, int unused)
{
	double x = me;
	(void)unused;
	for (int i = 0; i < 5; i++) {
		steps[me]++;
		order[ordered++] = me;
		x = x * 1.5 + i;
		CHECK(swapcontext(&side[me], &side[(me + 1) % 3]) == 0);
	}
	sums[me] = x;
}

static void contexts(void)
{
	static char stacks[3][65536];
	for (volatile int i = 0; i < 3; i++) {
		CHECK(getcontext(&side[i]) == 0);
		side[i].uc_stack.ss_sp = stacks[i];
		side[i].uc_stack.ss_size = sizeof(stacks[i]);
		side[i].uc_link = i == 2 ? &home : &side[i + 1];
		makecontext(&side[i], (void (*)(void))walk, 2, i, 0);
	}
	CHECK(swapcontext(&home, &side[0]) == 0);
	CHECK(steps[0] == 5 && steps[1] == 5 && steps[2] == 5 && ordered == 15);
	for (volatile int i = 0; i < 15; i++)
		CHECK(order[i] == i % 3);
	for (volatile int i = 0; i < 3; i++) {
		double x = i;
		for (int k = 0; k < 5; k++)
			x = x * 1.5 + k;
		CHECK(sums[i] == x);
	}
}

/* A handler returns elsewhere by what it finds and changes in its frame. */
static void on_step(int signo, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	(void)signo, (void)info;
	c->uc_mcontext.gregs[REG_RAX] = 1234;
	c->uc_mcontext.gregs[REG_RIP] += 2; /* over ud2 */
}

static void edited_frame(void)
{
	struct sigaction sa = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_ONSTACK }, old;
	long value = 0;
	CHECK(sigaction(SIGILL, &sa, &old) == 0);
	for (int i = 0; i < 100; i++) {
		__asm__ volatile("ud2" : "+a"(value));
		CHECK(value == 1234);
		value = i;
	}
	CHECK(sigaction(SIGILL, &old, NULL) == 0);
}
#endif

/* Vector registers are the program's own: a signal's handler that uses them all
 * does not change them, and a system call neither. */
static void on_usr(int signo)
{
	double x[8];
	(void)signo;
	for (int i = 0; i < 8; i++)
		x[i] = i * 3.25 + (double)getpid();
	__asm__ volatile("" : : "r"(x) : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
		"xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	__asm__ volatile("pcmpeqd %%xmm9, %%xmm9\n\tpcmpeqd %%xmm3, %%xmm3" : : : "xmm3", "xmm9");
}

static void vectors(void)
{
	struct sigaction sa = { .sa_handler = on_usr };
	long a = 0x0123456789abcdef, b = 0x7edcba9876543210, x, y;
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		/* kill(getpid(), SIGUSR1) with two registers full. */
		long number = 62, pid = getpid();
		__asm__ volatile("movq %3, %%xmm9\n\tmovq %4, %%xmm3\n\tsyscall\n\tmovq %%xmm9, %1\n\tmovq %%xmm3, %2"
			: "+a"(number), "=&r"(x), "=&r"(y) : "r"(a), "r"(b), "D"(pid), "S"((long)SIGUSR1)
			: "rcx", "r11", "memory", "xmm3", "xmm9");
		CHECK(number == 0 && x == a && y == b);
		a += i, b -= i;
	}
}

/* The same with signals that come at any moment: before a system call, within
 * the way in, within the way out. Every register that a call must keep is full. */
static volatile int enough;
static pthread_t worker;
static void *sends(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20000 && !enough; i++)
		CHECK(pthread_kill(worker, SIGUSR1) == 0);
	enough = 1;
	return NULL;
}

static void storm(void)
{
	static _Alignas(16) unsigned char in[128], out[128];
	pthread_t t;
	long calls = 0;

	worker = pthread_self();
	CHECK(pthread_create(&t, NULL, sends, NULL) == 0);
	for (unsigned char seed = 1; !enough; seed++, calls++) {
		long number = 39, check = 0;
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (unsigned char)(seed * 7 + i * 13);
		__asm__ volatile(
			"movdqa (%[in]), %%xmm0\n\tmovdqa 16(%[in]), %%xmm1\n\tmovdqa 32(%[in]), %%xmm2\n\tmovdqa 48(%[in]), %%xmm3\n\t"
			"movdqa 64(%[in]), %%xmm4\n\tmovdqa 80(%[in]), %%xmm5\n\tmovdqa 96(%[in]), %%xmm6\n\tmovdqa 112(%[in]), %%xmm7\n\t"
			"mov %[in], %%rdx\n\tmov %[out], %%r10\n\tmov $0x1357, %%r8\n\tmov $0x2468, %%r9\n\tmov $0x369c, %%r12\n\t"
			"mov $77, %%r13\n\tmov $88, %%r14\n\tmov $99, %%r15\n\tstc\n\tstd\n\t"
			"syscall\n\t"
			"jnc 1f\n\tpushfq\n\tpop %%rcx\n\tcld\n\ttest $0x400, %%ecx\n\tjz 1f\n\tcmp %[in], %%rdx\n\tjne 1f\n\tcmp %[out], %%r10\n\tjne 1f\n\t"
			"cmp $0x1357, %%r8\n\tjne 1f\n\tcmp $0x2468, %%r9\n\tjne 1f\n\tcmp $0x369c, %%r12\n\tjne 1f\n\t"
			"cmp $77, %%r13\n\tjne 1f\n\tcmp $88, %%r14\n\tjne 1f\n\tcmp $99, %%r15\n\tjne 1f\n\tmov $1, %[check]\n\t"
			"1: cld\n\t"
			"movdqa %%xmm0, (%[out])\n\tmovdqa %%xmm1, 16(%[out])\n\tmovdqa %%xmm2, 32(%[out])\n\tmovdqa %%xmm3, 48(%[out])\n\t"
			"movdqa %%xmm4, 64(%[out])\n\tmovdqa %%xmm5, 80(%[out])\n\tmovdqa %%xmm6, 96(%[out])\n\tmovdqa %%xmm7, 112(%[out])"
			: "+a"(number), [check] "+S"(check) : [in] "b"(in), [out] "D"(out)
			: "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
			  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
		CHECK(number == getpid() && check == 1 && memcmp(in, out, sizeof(in)) == 0);
	}
	CHECK(pthread_join(t, NULL) == 0 && calls > 0);
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	int all[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK(sigaction(all[i], &sa, NULL) == 0);
	jumps();
	faults();
	stack_overflow();
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, in_thread, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
#ifdef __GLIBC__
	contexts();
	edited_frame();
#endif
	vectors();
	storm();
	OK();
}
