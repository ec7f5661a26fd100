/* SPDX-License-Identifier: Apache-2.0
 *
 * mremap, madvise, msync, mlock, mincore.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

static char *map(size_t pages)
{
	char *p = mmap(0, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void fill(char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		memset(p + i * PAGE, (int)(i + 1), PAGE);
}

static void check_fill(const char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		CHECK(p[i * PAGE] == (char)(i + 1) && p[i * PAGE + PAGE - 1] == (char)(i + 1));
}

static void moving(void)
{
	char *p = map(8), *q = map(32);
	fill(p, 8);
	FAILS(mremap(p + 1, PAGE, PAGE, 0), EINVAL);
	FAILS(mremap(p, PAGE, 0, 0), EINVAL);
	FAILS(mremap(p, PAGE, PAGE, MREMAP_FIXED, q), EINVAL);
	FAILS(mremap(p, PAGE, PAGE, 0x100), EINVAL);
	FAILS(mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL);
	FAILS(mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + 1), EINVAL);
	FAILS(mremap((void *)(32 * PAGE), PAGE, PAGE, 0), EFAULT);
	FAILS(mremap(p, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	/* shrink in place */
	CHECK(mremap(p, 8 * PAGE, 6 * PAGE, 0) == p);
	check_fill(p, 6);
	/* to a fixed place, over what is there, growing */
	char *r = mremap(p, 6 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + 4 * PAGE);
	CHECK(r == q + 4 * PAGE);
	check_fill(r, 6);
	CHECK(r[6 * PAGE] == 0 && r[9 * PAGE] == 0);
	FAILS(mremap(p, PAGE, PAGE, 0), EFAULT); /* gone */
	/* no room: only when it may move */
	char *wall = mmap(r + 10 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(wall == r + 10 * PAGE);
	FAILS(mremap(r, 10 * PAGE, 400 * PAGE, 0), ENOMEM);
	char *s = mremap(r, 10 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
	CHECK(s != MAP_FAILED && s != r);
	check_fill(s, 6);
	s[399 * PAGE] = 1;
	/* grow in place where there is room */
	munmap(s + 200 * PAGE, 200 * PAGE);
	CHECK(mremap(s, 200 * PAGE, 300 * PAGE, 0) == s);
	check_fill(s, 6);
	CHECK(s[250 * PAGE] == 0);
	/* a piece from the middle, moved away */
	char *t = mremap(s + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	CHECK(t == q && t[0] == 3 && t[PAGE] == 4 && s[PAGE] == 2 && s[4 * PAGE] == 5);
	munmap(s, 400 * PAGE);
	munmap(q, 32 * PAGE);
}

static void realloc_like(void)
{
	size_t size = 64;
	char *p = map(size);
	for (size_t i = 0; i < size; i++)
		p[i * PAGE] = (char)i;
	while (size < 20000) {
		size_t more = size + size / 2;
		p = mremap(p, size * PAGE, more * PAGE, MREMAP_MAYMOVE);
		CHECK(p != MAP_FAILED);
		for (size_t i = 0; i < size; i += 7)
			CHECK(p[i * PAGE] == (char)i);
		for (size_t i = size; i < more; i++)
			p[i * PAGE] = (char)i;
		size = more;
	}
	munmap(p, size * PAGE);
}

static void advice(void)
{
	char *p = map(16);
	memset(p, 5, 16 * PAGE);
	FAILS(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	FAILS(madvise(p, PAGE, 1234), EINVAL);
	CHECK(madvise(p, 0, MADV_DONTNEED) == 0);
	CHECK(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(p[0] == 5 && p[PAGE] == 0 && p[2 * PAGE] == 0 && p[3 * PAGE] == 5);
	CHECK(madvise(p, 16 * PAGE, MADV_WILLNEED) == 0 && madvise(p, 16 * PAGE, MADV_RANDOM) == 0);
	CHECK(madvise(p, 16 * PAGE, MADV_SEQUENTIAL) == 0 && madvise(p, 16 * PAGE, MADV_NORMAL) == 0);
	CHECK(madvise(p, 8 * PAGE, MADV_FREE) == 0);
	p[0] = 9;
	CHECK(p[0] == 9 && (p[3 * PAGE] == 5 || p[3 * PAGE] == 0));
	CHECK(madvise(p + 4 * PAGE, PAGE, MADV_DONTFORK) == 0 && madvise(p + 4 * PAGE, PAGE, MADV_DOFORK) == 0);
	CHECK(madvise(p + 4 * PAGE, PAGE, MADV_WIPEONFORK) == 0 && madvise(p + 4 * PAGE, PAGE, MADV_KEEPONFORK) == 0);
	CHECK(madvise(p, 16 * PAGE, MADV_DONTDUMP) == 0 && madvise(p, 16 * PAGE, MADV_DODUMP) == 0);
	FAILS(madvise(p, PAGE, MADV_REMOVE), EINVAL);
	munmap(p + 8 * PAGE, PAGE);
	FAILS(madvise(p, 16 * PAGE, MADV_DONTNEED), ENOMEM); /* the rest is done all the same */
	CHECK(p[0] == 0 && p[15 * PAGE] == 0);
	munmap(p, 16 * PAGE);
	char *s = mmap(0, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	memset(s, 5, 4 * PAGE);
	CHECK(madvise(s, PAGE, MADV_DONTNEED) == 0 && s[0] == 5); /* shared memory keeps its contents */
	FAILS(madvise(s, PAGE, MADV_FREE), EINVAL);
	FAILS(madvise(s, PAGE, MADV_WIPEONFORK), EINVAL);
	CHECK(madvise(s + PAGE, 2 * PAGE, MADV_REMOVE) == 0);
	CHECK(s[0] == 5 && s[PAGE] == 0 && s[2 * PAGE] == 0 && s[3 * PAGE] == 5);
	munmap(s, 4 * PAGE);
}

static void syncing(void)
{
	char *p = map(4);
	CHECK(msync(p, 4 * PAGE, MS_SYNC) == 0 && msync(p, 4 * PAGE, MS_ASYNC) == 0 && msync(p, 0, MS_SYNC) == 0);
	FAILS(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	FAILS(msync(p, PAGE, 64), EINVAL);
	FAILS(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	CHECK(mlock(p, PAGE) == 0);
	FAILS(msync(p, PAGE, MS_INVALIDATE), EBUSY);
	CHECK(munlock(p, PAGE) == 0);
	munmap(p + PAGE, PAGE);
	FAILS(msync(p, 4 * PAGE, MS_SYNC), ENOMEM);
	munmap(p, 4 * PAGE);
}

static void locking(void)
{
	unsigned char vec[4];
	char *p = map(4);
	CHECK(mlock(p + 10, PAGE) == 0); /* two pages: rounded outwards */
	CHECK(mincore(p, 2 * PAGE, vec) == 0 && (vec[0] & 1) && (vec[1] & 1));
	FAILS(madvise(p, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(munlock(p, 2 * PAGE) == 0 && madvise(p, PAGE, MADV_DONTNEED) == 0);
	FAILS(mincore(p + 1, PAGE, vec), EINVAL);
	FAILS(mincore(p, PAGE, (unsigned char *)16), EFAULT);
	munmap(p + PAGE, PAGE);
	FAILS(mincore(p, 4 * PAGE, vec), ENOMEM);
	FAILS(mlock(p, 4 * PAGE), ENOMEM);
	FAILS(mlockall(0), EINVAL);
	FAILS(mlockall(0x80), EINVAL);
	CHECK(munlockall() == 0);
	munmap(p, 4 * PAGE);
}

int main(void)
{
	moving();
	realloc_like();
	advice();
	syncing();
	locking();
	OK();
}
