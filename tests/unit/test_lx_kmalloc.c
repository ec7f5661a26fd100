/* SPDX-License-Identifier: Apache-2.0
 *
 * The library OS's allocators: no overlap, zeroed when promised, nothing lost
 * at the end, limits, memory given back, several threads.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "lx_host.h"
#include "../../libos/linux/mm/page.c"
#include "../../libos/linux/mm/kmalloc.c"

#define SLOTS 2000

static void setup(void)
{
	host_setup();
	mem_init((void *)PICO_SEGMENT_BASE, HOST_SEGMENT_SIZE);
}

TestSuite(lx_kmalloc, .init = setup, .timeout = 60);

struct slot { unsigned char *p; size_t size, pages; unsigned char mark; };

static size_t random_size(unsigned *seed)
{
	unsigned r = (unsigned)rand_r(seed);
	return r % 16 == 0 ? r / 16 % 40000 : r % 4 == 0 ? r / 16 % 4000 : r / 16 % 300;
}

static void check_and_free(struct slot *s)
{
	for (size_t i = 0; i < s->size; i++)
		if (s->p[i] != s->mark)
			cr_assert_fail("byte %zu of %zu changed", i, s->size);
	if (s->pages)
		page_free(s->p, s->pages);
	else
		kfree(s->p);
	s->p = NULL;
}

static void take(struct slot *s, unsigned *seed)
{
	unsigned kind = (unsigned)rand_r(seed) % 8;
	s->mark = (unsigned char)rand_r(seed);
	s->pages = 0;
	if (kind == 0) {
		s->pages = 1 + (unsigned)rand_r(seed) % 40;
		s->size = s->pages * PAGE_SIZE;
		s->p = page_alloc(s->pages);
	} else {
		s->size = random_size(seed);
		s->p = kind == 1 ? kzalloc(s->size) : kmalloc(s->size);
	}
	cr_assert(s->p);
	cr_assert_eq((u64)s->p & (s->pages ? PAGE_SIZE - 1 : 15), 0);
	if (kind <= 1)
		for (size_t i = 0; i < s->size; i++)
			if (s->p[i])
				cr_assert_fail("byte %zu of %zu is not zero", i, s->size);
	memset(s->p, s->mark, s->size);
}

static void churn(unsigned seed, unsigned rounds)
{
	struct slot *slots = calloc(SLOTS, sizeof(*slots));
	for (unsigned i = 0; i < rounds; i++) {
		struct slot *s = &slots[(unsigned)rand_r(&seed) % SLOTS];
		if (!s->p) {
			take(s, &seed);
		} else if (!s->pages && rand_r(&seed) % 4 == 0) {
			size_t size = random_size(&seed), keep = MIN(size, s->size);
			s->p = krealloc(s->p, size);
			cr_assert(s->p);
			for (size_t k = 0; k < keep; k++)
				cr_assert_eq(s->p[k], s->mark);
			memset(s->p, s->mark, size);
			s->size = size;
		} else {
			check_and_free(s);
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].p)
			check_and_free(&slots[i]);
	free(slots);
}

/* Empty slabs may be kept, one a class; everything else is one free space again. */
static void check_nothing_lost(void)
{
	u64 kept = 0;
	cr_assert_eq(mem_used(), 0);
	for (unsigned i = 0; i < CLASS_COUNT; i++)
		kept += MEM->classes[i].empty * MEM->classes[i].slab_pages;
	cr_assert_eq(MEM->used, kept);
	/* Runs are aligned as their size; the descriptors lie among the first. */
	size_t most = MEM->page_count / 4;
	void *p = page_alloc(most);
	cr_assert(p, "a quarter of the segment in one run");
	page_free(p, most);
}

Test(lx_kmalloc, random)
{
	churn(1, 200000);
	check_nothing_lost();
}

static void *churn_thread(void *arg)
{
	churn((unsigned)(size_t)arg, 60000);
	return NULL;
}

Test(lx_kmalloc, threads)
{
	pthread_t t[4];
	for (size_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn_thread, (void *)(i + 10));
	for (size_t i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	check_nothing_lost();
}

Test(lx_kmalloc, every_size)
{
	for (size_t size = 0; size < 9000; size++) {
		unsigned char *p = kmalloc(size), *q = kmalloc(size);
		cr_assert(p && q && (p + MAX(size, 16ul) <= q || q + MAX(size, 16ul) <= p), "size %zu", size);
		cr_assert_geq(room_of(MEM, p), size);
		memset(p, 1, size);
		memset(q, 2, size);
		kfree(p);
		kfree(q);
	}
	check_nothing_lost();
}

Test(lx_kmalloc, limit)
{
	K->limits.memory = 8 << 20;
	void *p = page_alloc(1000), *q = page_alloc(1000);
	cr_assert(p && q);
	cr_assert_null(page_alloc(1000));
	cr_assert_null(kmalloc(1 << 20));
	page_free(p, 1000);
	p = page_alloc(1000);
	cr_assert(p);
	page_free(p, 1000);
	page_free(q, 1000);
	K->limits.memory = 0;
	cr_assert_null(page_alloc(HOST_SEGMENT_SIZE / PAGE_SIZE));
	cr_assert_null(kmalloc(~0ull));
	cr_assert_null(kmalloc(1ull << 60));
	check_nothing_lost();
}

Test(lx_kmalloc, gives_back)
{
	char *p = page_alloc(4096);
	memset(p, 1, 4096 * PAGE_SIZE);
	host_removed = 0;
	page_free(p, 4096);
	cr_assert_eq(host_removed, 4096 * PAGE_SIZE);
	/* Many single pages: kept at first, returned when they are many. */
	enum { PAGES = 30000 };
	static void *pages[PAGES];
	for (int i = 0; i < PAGES; i++) {
		pages[i] = page_alloc(1);
		memset(pages[i], 2, PAGE_SIZE);
	}
	host_removed = 0;
	for (int i = 0; i < PAGES; i++)
		page_free(pages[i], 1);
	cr_assert_gt(host_removed, (PAGES - 2 * TRIM_PAGES) * PAGE_SIZE);
	for (int i = 0; i < PAGES; i++) {
		unsigned char *c = pages[i] = page_alloc(1);
		for (size_t k = 0; k < PAGE_SIZE; k += 64)
			cr_assert_eq(c[k], 0);
	}
	for (int i = 0; i < PAGES; i++)
		page_free(pages[i], 1);
	check_nothing_lost();
}

Test(lx_kmalloc, strings)
{
	char *s = kstrdup("hello"), *t = kstrndup("hello", 3);
	cr_assert_str_eq(s, "hello");
	cr_assert_str_eq(t, "hel");
	kfree(s);
	kfree(t);
	kfree(NULL);
	check_nothing_lost();
}
