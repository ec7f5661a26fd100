/* SPDX-License-Identifier: Apache-2.0
 *
 * mmap, munmap, mprotect, brk: results, errors and their order, faults.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf jump;
static volatile int fault_code, fault_signal;
static void *volatile fault_address;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = signo;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(jump, 1);
}

static int faults_on(volatile char *p, int write)
{
	fault_signal = 0;
	if (!sigsetjmp(jump, 1)) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return fault_signal;
}

static char *map(void *hint, size_t size, int prot, int flags)
{
	void *p = mmap(hint, size, prot, flags, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void arguments(void)
{
	int fd = open((char *)getauxval(AT_EXECFN), O_RDONLY);
	CHECK(fd >= 0);
	FAILS(mmap(0, 0, RW, ANON, -1, 0), EINVAL);
	FAILS(mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(0, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	FAILS(mmap(0, PAGE, RW, MAP_PRIVATE, 999, 0), EBADF);
	FAILS(syscall(SYS_mmap, 0, PAGE, RW, ANON, -1, 1), EINVAL);
	FAILS(mmap(0, SIZE_MAX, RW, ANON, -1, 0), ENOMEM);
	FAILS(mmap(0, 1ul << 48, RW, ANON, -1, 0), ENOMEM);
	FAILS(mmap((void *)(1ul << 20 | 1), PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	FAILS(mmap(0, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
	FAILS(mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL);
	FAILS(mmap(0, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x2000000, fd, 0), EOPNOTSUPP);
	void *p = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && !memcmp(p, "\177ELF", 4));
	FAILS(mprotect(p, PAGE, RW), EACCES);
	CHECK(munmap(p, PAGE) == 0);
	close(fd);
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	FAILS(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0), ENODEV);
	FAILS(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, pipes[1], 0), EACCES);
	close(pipes[0]);
	close(pipes[1]);
	FAILS(munmap((void *)1, PAGE), EINVAL);
	FAILS(munmap((void *)PAGE, 0), EINVAL);
	FAILS(mprotect((void *)1, PAGE, RW), EINVAL);
	CHECK(mprotect((void *)PAGE, 0, RW) == 0);
	FAILS(mprotect((void *)(PAGE * 32), PAGE, RW), ENOMEM);
	FAILS(mprotect((void *)(PAGE * 32), PAGE, 0x40), EINVAL);
}

static void places(void)
{
	char *p = map(0, 16 * PAGE, RW, ANON);
	CHECK(((uintptr_t)p & (PAGE - 1)) == 0);
	for (size_t i = 0; i < 16 * PAGE; i += 512)
		CHECK(p[i] == 0);
	memset(p, 7, 16 * PAGE);
	CHECK(munmap(p + 4 * PAGE, 2 * PAGE) == 0);
	CHECK(faults_on(p + 4 * PAGE, 0) == SIGSEGV && fault_code == SEGV_MAPERR && fault_address == p + 4 * PAGE);
	CHECK(p[3 * PAGE] == 7 && p[6 * PAGE] == 7);
	CHECK(map(p + 4 * PAGE, PAGE, RW, ANON) == p + 4 * PAGE); /* a hint that is free is honoured */
	char *other = map(p, PAGE, RW, ANON);
	CHECK(other != p && munmap(other, PAGE) == 0);
	FAILS(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK(map(p + 5 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE) == p + 5 * PAGE);
	CHECK(map(p, 2 * PAGE, RW, ANON | MAP_FIXED) == p && p[0] == 0 && p[2 * PAGE] == 7);
	CHECK(munmap(p, 16 * PAGE) == 0 && munmap(p, 16 * PAGE) == 0);
	char *low = map(0, PAGE, RW, ANON | MAP_32BIT);
	CHECK((uintptr_t)low < 1ul << 31);
	munmap(low, PAGE);
	char *fixed = map((void *)0x20000000, PAGE, RW, ANON | MAP_FIXED);
	CHECK((uintptr_t)fixed == 0x20000000);
	munmap(fixed, PAGE);
}

static void protection(void)
{
	char *p = map(0, 8 * PAGE, RW, ANON);
	memset(p, 1, 8 * PAGE);
	CHECK(mprotect(p + 2 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(faults_on(p + 2 * PAGE, 1) == SIGSEGV && fault_code == SEGV_ACCERR);
	CHECK(p[2 * PAGE] == 1 && !faults_on(p + 3 * PAGE, 1));
	CHECK(mprotect(p + 2 * PAGE, PAGE, PROT_NONE) == 0);
	CHECK(faults_on(p + 2 * PAGE, 0) == SIGSEGV && fault_code == SEGV_ACCERR);
	CHECK(mprotect(p, 8 * PAGE, RW) == 0 && p[2 * PAGE] == 1);
	munmap(p + 4 * PAGE, PAGE);
	FAILS(mprotect(p, 8 * PAGE, PROT_READ), ENOMEM); /* up to the hole it is done */
	CHECK(faults_on(p, 1) == SIGSEGV && !faults_on(p + 5 * PAGE, 1));
	munmap(p, 8 * PAGE);
	/* Code written, then run. */
	unsigned char *code = (unsigned char *)map(0, PAGE, RW, ANON);
	memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42,%eax; ret */
	CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))code)() == 42);
	CHECK(mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	code[1] = 43;
	CHECK(((int (*)(void))code)() == 43);
	munmap(code, PAGE);
	char *none = map(0, PAGE, PROT_NONE, ANON | MAP_NORESERVE);
	CHECK(faults_on(none, 0) == SIGSEGV);
	CHECK(mprotect(none, PAGE, RW) == 0 && !faults_on(none, 1));
	munmap(none, PAGE);
}

static void files(void)
{
	char name[] = "/tmp/mm_map.XXXXXX", text[PAGE];
	int fd = mkstemp(name);
	CHECK(fd >= 0);
	memset(text, 'a', sizeof(text));
	for (int i = 0; i < 3; i++)
		CHECK(write(fd, text, PAGE) == (ssize_t)PAGE);
	CHECK(write(fd, "tail", 4) == 4);
	char *s = mmap(0, 5 * PAGE, RW, MAP_SHARED, fd, 0), *p = mmap(0, 5 * PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(s != MAP_FAILED && p != MAP_FAILED);
	CHECK(s[0] == 'a' && p[0] == 'a' && !memcmp(s + 3 * PAGE, "tail\0", 5));
	s[1] = 'S';
	CHECK(p[1] == 'S'); /* not yet copied */
	p[2] = 'P';
	CHECK(s[2] == 'a' && p[2] == 'P');
	CHECK(msync(s, PAGE, MS_SYNC) == 0);
	CHECK(pread(fd, text, 3, 0) == 3 && !memcmp(text, "aSa", 3));
	CHECK(pwrite(fd, "W", 1, 5) == 1 && s[5] == 'W');
	CHECK(faults_on(s + 4 * PAGE, 0) == SIGBUS && fault_code == BUS_ADRERR);
	char *o = mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 3 * PAGE);
	CHECK(o != MAP_FAILED && !memcmp(o, "tail", 4));
	munmap(o, PAGE);
	munmap(s, 5 * PAGE);
	CHECK(p[1] == 'S' && p[2] == 'P');
	munmap(p, 5 * PAGE);
	close(fd);
	unlink(name);
}

static void shared_memory(void)
{
	static const size_t sizes[] = { PAGE, 64 * PAGE, 2048 * PAGE };
	for (int i = 0; i < 3; i++) {
		char *p = map(0, sizes[i], RW, MAP_SHARED | MAP_ANONYMOUS);
		for (size_t k = 0; k < sizes[i]; k += PAGE)
			CHECK(p[k] == 0);
		memset(p, i + 1, sizes[i]);
		/* Another view of the same pages. */
		char *q = mremap(p, 0, sizes[i], MREMAP_MAYMOVE);
		CHECK(q != MAP_FAILED && q != p && q[sizes[i] - 1] == i + 1);
		q[0] = 99;
		CHECK(p[0] == 99);
		munmap(p, sizes[i]);
		CHECK(q[0] == 99);
		munmap(q, sizes[i]);
	}
}

static void heap(void)
{
	char *start = sbrk(0);
	CHECK((char *)sbrk(5 * PAGE) == start);
	memset(start, 1, 5 * PAGE);
	CHECK(brk(start + PAGE) == 0);
	CHECK(brk(start + 3 * PAGE) == 0);
	char *next = (char *)(((uintptr_t)start + PAGE + PAGE - 1) & ~(PAGE - 1));
	CHECK(*next == 0); /* given back, then fresh */
	CHECK(brk(start) == 0 && sbrk(0) == start);
	FAILS(brk((void *)(1ul << 47)), ENOMEM);
	CHECK(sbrk(0) == start);
}

static void limits(void)
{
	struct rlimit old, small;
	CHECK(getrlimit(RLIMIT_AS, &old) == 0);
	small = old;
	small.rlim_cur = 1 << 20;
	CHECK(setrlimit(RLIMIT_AS, &small) == 0);
	FAILS(mmap(0, 64 << 20, RW, ANON, -1, 0), ENOMEM);
	CHECK(setrlimit(RLIMIT_AS, &old) == 0);
	char *p = map(0, 64 << 20, RW, ANON);
	munmap(p, 64 << 20);
}

static void growing_stack(void)
{
	/* A stack that the program makes: room below, then touch downwards. */
	size_t room = 4ul << 20;
	char *area = map(0, room, PROT_NONE, ANON);
	munmap(area, room);
	char *top = map(area + room - PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN) + PAGE;
	for (size_t i = 1; i < 256; i++) {
		CHECK(!faults_on(top - i * PAGE, 1));
		CHECK(*(top - i * PAGE) == 1);
	}
	munmap(top - 256 * PAGE, 256 * PAGE);
}

static void many(void)
{
	/* Every second page of another protection: as many mappings. */
	size_t n = 4000;
	char *p = map(0, n * PAGE, RW, ANON);
	for (size_t i = 0; i < n; i += 2)
		CHECK(mprotect(p + i * PAGE, PAGE, PROT_READ) == 0);
	for (size_t i = 1; i < n; i += 2)
		p[i * PAGE] = 3;
	CHECK(mprotect(p, n * PAGE, RW) == 0);
	for (size_t i = 0; i < n; i++)
		CHECK(p[i * PAGE] == (i % 2 ? 3 : 0));
	CHECK(munmap(p, n * PAGE) == 0);
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	arguments();
	places();
	protection();
	files();
	shared_memory();
	heap();
	limits();
	growing_stack();
	many();
	OK();
}
