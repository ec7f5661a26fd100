/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals: handlers and what they may change, masks, queues, alternate stacks,
 * faults, restarts.
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t count, last;
static volatile siginfo_t last_info;

static void note(int signo) { count++; last = signo; }

static void note_info(int signo, siginfo_t *info, void *uc)
{
	(void)uc;
	count++;
	last = signo;
	memcpy((void *)(uintptr_t)&last_info, info, sizeof(last_info));
}

static void handle(int signo, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };
	CHECK(sigaction(signo, &sa, NULL) == 0);
}

static void handle_info(int signo, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO };
	CHECK(sigaction(signo, &sa, NULL) == 0);
}

static void block(int how, int signo)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, signo);
	CHECK(sigprocmask(how, &s, NULL) == 0);
}

static void basics(void)
{
	sigset_t s;

	handle(SIGUSR1, note, 0);
	count = 0;
	CHECK(raise(SIGUSR1) == 0 && count == 1 && last == SIGUSR1);
	block(SIG_BLOCK, SIGUSR1);
	CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0 && count == 1);
	CHECK(sigpending(&s) == 0 && sigismember(&s, SIGUSR1) == 1);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 2); /* the two were one */
	handle(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction sa;
	sigaction(SIGUSR1, NULL, &sa);
	CHECK(count == 3 && sa.sa_handler == SIG_DFL);
	handle(SIGUSR1, SIG_IGN, 0);
	raise(SIGUSR1);
	CHECK(count == 3);
	FAILS(kill(getpid(), 65), EINVAL);
	FAILS(kill(0x3fffffff, 0), ESRCH);
	struct sigaction bad = { .sa_handler = note };
	FAILS(sigaction(SIGKILL, &bad, NULL), EINVAL);
	FAILS(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
}

static void queues(void)
{
	sigset_t s;
	siginfo_t info;
	struct timespec none = { 0, 0 }, little = { 0, 20000000 };

	handle_info(SIGRTMIN + 1, note_info, 0);
	block(SIG_BLOCK, SIGRTMIN + 1);
	block(SIG_BLOCK, SIGRTMIN);
	count = 0;
	for (int i = 0; i < 3; i++)
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 40 + i }) == 0);
	CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 7 }) == 0);
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN);
	sigaddset(&s, SIGRTMIN + 1);
	CHECK(sigtimedwait(&s, &info, &none) == SIGRTMIN && info.si_value.sival_int == 7); /* lowest first */
	CHECK(sigwaitinfo(&s, &info) == SIGRTMIN + 1 && info.si_value.sival_int == 40 && info.si_code == SI_QUEUE);
	CHECK(info.si_pid == getpid() && info.si_uid == getuid());
	block(SIG_UNBLOCK, SIGRTMIN + 1);
	CHECK(count == 2 && last_info.si_value.sival_int == 42);
	FAILS(sigtimedwait(&s, &info, &none), EAGAIN);
	FAILS(sigtimedwait(&s, &info, &little), EAGAIN);
}

static void limits(void)
{
	struct rlimit old, small = { 8, 8 };
	int ok = 0;

	getrlimit(RLIMIT_SIGPENDING, &old);
	small.rlim_max = old.rlim_max;
	block(SIG_BLOCK, SIGRTMIN + 2);
	CHECK(setrlimit(RLIMIT_SIGPENDING, &small) == 0);
	while (ok < 20 && sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ 0 }) == 0)
		ok++;
	CHECK(ok <= 8 && errno == EAGAIN);
	handle(SIGRTMIN + 2, SIG_IGN, 0); /* drops what is queued */
	block(SIG_UNBLOCK, SIGRTMIN + 2);
	CHECK(setrlimit(RLIMIT_SIGPENDING, &old) == 0);
}

/* ---- what a handler sees and may change ---- */

static void change(int signo, siginfo_t *info, void *p)
{
	ucontext_t *uc = p;

	(void)info;
	count++;
	last = signo;
	CHECK(uc->uc_mcontext.fpregs != NULL);
	CHECK(((uintptr_t)uc->uc_mcontext.fpregs & 63) == 0);
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
	uc->uc_mcontext.gregs[REG_RBX] = 1234;
	uc->uc_mcontext.fpregs->_xmm[3].element[0] = 99;
}

static void contexts(void)
{
	long rbx = 0;
	uint32_t xmm[4] = { 1, 2, 3, 4 };

	handle_info(SIGILL, change, 0);
	count = 0;
	__asm__ volatile("movups %1, %%xmm3\n mov $5, %%rbx\n ud2\n mov %%rbx, %0\n movups %%xmm3, %1"
			 : "=r"(rbx), "+m"(xmm) : : "rbx", "xmm3");
	CHECK(count == 1 && rbx == 1234 && xmm[0] == 99 && xmm[1] == 2 && xmm[3] == 4);
}

static void trash(int signo)
{
	(void)signo;
	count++;
	__asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm7, %%xmm7\n fninit" : : : "xmm0", "xmm7");
}

/* A signal in the middle of a computation leaves no trace. */
static void kept(void)
{
	struct itimerval it = { { 0, 500 }, { 0, 500 } }, off = { { 0, 0 }, { 0, 0 } };
	double x = 1.0;

	handle(SIGALRM, trash, SA_RESTART);
	count = 0;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (count < 50) {
		for (int i = 0; i < 1000; i++)
			x = x * 1.0000001 + 0.5 - 0.5 * 1.0;
		double y = x;
		__asm__ volatile("" : "+x"(y));
		CHECK(y == x && x > 0.99 && x < 1e300);
		x = 1.0;
	}
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	handle(SIGALRM, SIG_IGN, 0);
}

/* ---- faults ---- */

static sigjmp_buf back;

static void fault(int signo, siginfo_t *info, void *uc)
{
	(void)uc;
	last = signo;
	memcpy((void *)(uintptr_t)&last_info, info, sizeof(last_info));
	siglongjmp(back, 1);
}

#define FAULT(expression, signo, code, address) do { \
	if (!sigsetjmp(back, 1)) { expression; CHECK(!"no fault"); } \
	CHECK(last == (signo) && last_info.si_code == (code)); \
	if (address) CHECK(last_info.si_addr == (void *)(address)); } while (0)

static void faults(void)
{
	char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int quotient = 1;
	volatile char *low = (volatile char *)16;

	handle_info(SIGSEGV, fault, 0);
	handle_info(SIGFPE, fault, 0);
	handle_info(SIGTRAP, fault, 0);
	handle_info(SIGILL, fault, 0);
	FAULT(*(volatile char *)p = 1, SIGSEGV, SEGV_ACCERR, p);
	munmap(p, 8192);
	FAULT((void)*(volatile char *)p, SIGSEGV, SEGV_MAPERR, p);
	__asm__("" : "+r"(low)); /* the compiler knows nothing of it */
	FAULT((void)*low, SIGSEGV, SEGV_MAPERR, 16);
	FAULT((void)*(volatile char *)0xdead000000000000ul, SIGSEGV, SI_KERNEL, 0);
	FAULT(__asm__ volatile("cltd; idivl %1" : "+a"(quotient) : "r"(0) : "edx"), SIGFPE, FPE_INTDIV, 0);
	FAULT(__asm__ volatile("ud2"), SIGILL, ILL_ILLOPN, 0);
	FAULT(__asm__ volatile("int3"), SIGTRAP, SI_KERNEL, 0);
	FAULT(((void (*)(void))0x12345000)(), SIGSEGV, SEGV_MAPERR, 0x12345000);
	/* Blocked faults cannot be tested without dying; ignored ones neither. */
	errno = 0;
	CHECK(write(1, (const char *)low, 5) == -1 && errno == EFAULT);
}

/* ---- the alternate stack ---- */

static char alt[65536] __attribute__((aligned(16)));
static volatile int on_alt;

static void where(int signo)
{
	char here;
	stack_t ss;

	(void)signo;
	on_alt = &here >= alt && &here < alt + sizeof(alt);
	CHECK(sigaltstack(NULL, &ss) == 0);
	CHECK(!on_alt || (ss.ss_flags & SS_ONSTACK));
	ss.ss_flags = SS_DISABLE;
	if (on_alt)
		FAILS(sigaltstack(&ss, NULL), EPERM);
}

static void (*volatile deeper)(int);

static void deep(int n)
{
	volatile char big[4096];
	big[0] = (char)n;
	deeper(n + 1);
	big[1] = big[0];
}

static void overflow(int signo, siginfo_t *info, void *uc)
{
	(void)info;
	(void)uc;
	last = signo;
	siglongjmp(back, 1);
}

static void *overflowing(void *arg)
{
	stack_t ss = { .ss_sp = malloc(32768), .ss_size = 32768 };

	(void)arg;
	CHECK(sigaltstack(&ss, NULL) == 0);
	last = 0;
	deeper = deep;
	if (!sigsetjmp(back, 1))
		deep(0);
	CHECK(last == SIGSEGV);
	return NULL;
}

static void altstacks(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, tiny = { .ss_sp = alt, .ss_size = 100 }, old;
	pthread_t t;

	FAILS(sigaltstack(&tiny, NULL), ENOMEM);
	CHECK(sigaltstack(&ss, &old) == 0 && (old.ss_flags & SS_DISABLE));
	handle(SIGUSR2, where, SA_ONSTACK);
	raise(SIGUSR2);
	CHECK(on_alt);
	handle(SIGUSR2, where, 0);
	raise(SIGUSR2);
	CHECK(!on_alt);
	handle_info(SIGSEGV, overflow, SA_ONSTACK);
	CHECK(pthread_create(&t, NULL, overflowing, NULL) == 0);
	pthread_join(t, NULL);
}

/* ---- interrupted calls ---- */

static void *later(void *target)
{
	struct timespec ts = { 0, 30000000 };
	nanosleep(&ts, NULL);
	pthread_kill(*(pthread_t *)target, SIGUSR1);
	return NULL;
}

static void *later_write(void *arg)
{
	int *fd = arg;
	struct timespec ts = { 0, 60000000 };
	nanosleep(&ts, NULL);
	CHECK(write(fd[1], "x", 1) == 1);
	return NULL;
}

static void restarts(void)
{
	pthread_t self = pthread_self(), t, w;
	struct timespec ts = { 30, 0 }, rem = { 99, 9 };
	char c;
	int fd[2];

	handle(SIGUSR1, note, 0);
	count = 0;
	pthread_create(&t, NULL, later, &self);
	errno = 0;
	CHECK(nanosleep(&ts, &rem) == -1 && errno == EINTR && count == 1);
	CHECK(rem.tv_sec < 30 && rem.tv_sec >= 0 && rem.tv_nsec >= 0 && rem.tv_nsec < 1000000000);
	pthread_join(t, NULL);
	CHECK(pipe(fd) == 0);
	pthread_create(&t, NULL, later, &self);
	errno = 0;
	CHECK(read(fd[0], &c, 1) == -1 && errno == EINTR && count == 2);
	pthread_join(t, NULL);
	handle(SIGUSR1, note, SA_RESTART);
	pthread_create(&t, NULL, later, &self);
	pthread_create(&w, NULL, later_write, fd);
	CHECK(read(fd[0], &c, 1) == 1 && c == 'x' && count == 3);
	pthread_join(t, NULL);
	pthread_join(w, NULL);
	sigset_t none;
	sigemptyset(&none);
	block(SIG_BLOCK, SIGUSR1);
	pthread_create(&t, NULL, later, &self);
	FAILS(sigsuspend(&none), EINTR);
	CHECK(count == 4);
	raise(SIGUSR1);
	CHECK(count == 4);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 5);
	pthread_join(t, NULL);
	handle(SIGUSR1, SIG_IGN, 0);
	pthread_create(&t, NULL, later, &self);
	ts = (struct timespec){ 0, 60000000 };
	CHECK(nanosleep(&ts, NULL) == 0); /* ignored: not even noticed */
	pthread_join(t, NULL);
}

/* ---- a thread that computes ---- */

static volatile int stop;
static volatile long spins;

static void quit(int signo) { (void)signo; stop = 1; }

static void *compute(void *arg)
{
	(void)arg;
	while (!stop)
		spins++;
	return NULL;
}

static void running(void)
{
	pthread_t t;

	handle(SIGUSR2, quit, 0);
	pthread_create(&t, NULL, compute, NULL);
	while (!spins)
		sched_yield();
	pthread_kill(t, SIGUSR2);
	pthread_join(t, NULL);
}

/* ---- nested, with SA_NODEFER and masks ---- */

static volatile int depth, deepest, runs;

static void nest(int signo)
{
	if (++depth > deepest)
		deepest = depth;
	if (++runs < 5)
		raise(signo);
	depth--;
}

static void nesting(void)
{
	handle(SIGUSR1, nest, SA_NODEFER);
	raise(SIGUSR1);
	CHECK(deepest == 5);
	deepest = runs = 0;
	handle(SIGUSR1, nest, 0);
	raise(SIGUSR1);
	CHECK(deepest == 1 && runs == 5); /* one after the other */
}

static void storm(void)
{
	struct itimerval it = { { 0, 100 }, { 0, 100 } }, off = { { 0, 0 }, { 0, 0 } };
	int fd[2];
	char c = 0;

	handle(SIGALRM, note, SA_RESTART);
	CHECK(pipe(fd) == 0);
	count = 0;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	for (int i = 0; i < 20000 || count < 100; i++) {
		CHECK(write(fd[1], &c, 1) == 1);
		CHECK(read(fd[0], &c, 1) == 1);
	}
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

int main(void)
{
	basics();
	queues();
	limits();
	contexts();
	kept();
	faults();
	altstacks();
	restarts();
	running();
	nesting();
	storm();
	OK();
}
