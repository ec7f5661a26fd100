/* SPDX-License-Identifier: Apache-2.0
 *
 * The address space under several threads: maps, faults and protections at
 * once, a mapping made while another thread faults on its place, and execve
 * by a thread that is not the first.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
enum { THREADS = 6, ROUNDS = 1500 };

extern char **environ;

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char *kept[16] = { 0 };
	size_t sizes[16] = { 0 };
	int shared[16] = { 0 };
	for (int i = 0; i < ROUNDS; i++) {
		int k = rand_r(&seed) % 16;
		if (kept[k]) {
			CHECK(kept[k][0] == (char)k && kept[k][(sizes[k] - 1) * PAGE] == (char)k);
			size_t more = 1 + (size_t)rand_r(&seed) % 40;
			if (!shared[k] && rand_r(&seed) % 2) { /* a shared object does not grow */
				char *p = mremap(kept[k], sizes[k] * PAGE, more * PAGE, MREMAP_MAYMOVE);
				CHECK(p != MAP_FAILED && p[0] == (char)k);
				p[(more - 1) * PAGE] = (char)k;
				kept[k] = p;
				sizes[k] = more;
			} else {
				CHECK(munmap(kept[k], sizes[k] * PAGE) == 0);
				kept[k] = NULL;
			}
			continue;
		}
		sizes[k] = 1 + (size_t)rand_r(&seed) % 40;
		shared[k] = rand_r(&seed) % 4 == 0;
		kept[k] = mmap(0, sizes[k] * PAGE, RW, shared[k] ? MAP_SHARED | MAP_ANONYMOUS : ANON, -1, 0);
		CHECK(kept[k] != MAP_FAILED);
		for (size_t n = 0; n < sizes[k]; n++)
			CHECK(kept[k][n * PAGE] == 0);
		memset(kept[k], k, sizes[k] * PAGE);
		CHECK(mprotect(kept[k], PAGE, PROT_READ) == 0 && kept[k][1] == (char)k && mprotect(kept[k], PAGE, RW) == 0);
		void *heap = malloc(1 + (size_t)rand_r(&seed) % 300000);
		CHECK(heap);
		free(heap);
	}
	for (int k = 0; k < 16; k++)
		if (kept[k])
			munmap(kept[k], sizes[k] * PAGE);
	return NULL;
}

/* One thread takes a page away and brings it back; the handler of the other
 * just tries again. No access may be lost or end in another signal. */
static volatile int stop;
static char *blink;
static volatile unsigned faults;

static void on_fault(int signo)
{
	(void)signo;
	faults++;
}

static void *blinker(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		CHECK(mprotect(blink, PAGE, PROT_NONE) == 0);
		CHECK(mprotect(blink, PAGE, RW) == 0);
		if (i % 16 == 0)
			CHECK(mmap(blink, PAGE, RW, ANON | MAP_FIXED, -1, 0) == blink);
	}
	stop = 1;
	return arg;
}

static void *spin(void *arg)
{
	for (;;)
		syscall(SYS_getppid);
	return arg;
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *exec_here(void *arg)
{
	(void)arg;
	execve((char *)getauxval(AT_EXECFN), (char *[]){ (char *)"x", (char *)"again", NULL }, environ);
	CHECK(!"execve came back");
	return NULL;
}

int main(int argc, char **argv)
{
	(void)argv;
	pthread_t t[THREADS];
	if (argc > 1) {
		CHECK(syscall(SYS_gettid) == getpid());
		OK();
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, churn, (void *)(i + 1)) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	struct sigaction sa = { .sa_handler = on_fault };
	sigaction(SIGSEGV, &sa, NULL);
	blink = mmap(0, PAGE, RW, ANON, -1, 0);
	CHECK(blink != MAP_FAILED && pthread_create(&t[0], NULL, blinker, NULL) == 0);
	while (!stop)
		((volatile char *)blink)[8]++;
	pthread_join(t[0], NULL);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, i == 0 ? exec_here : i % 2 ? spin : sleeper, NULL) == 0);
	pause();
	return 1;
}
