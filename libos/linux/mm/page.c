/* SPDX-License-Identifier: Apache-2.0
 *
 * Page runs of the shared segment: a buddy system over its sparse address
 * space that hands out exact runs (what a power of two has too much goes back
 * at once). Large free runs are given back to the host; small ones stay, and
 * a bitmap remembers which pages must be cleared before they are used again.
 */
#include "page.h"
#include "../lx/task.h"

#define RETURN_PAGES 16 /* a freed run of this many goes to the host at once */
#define TRIM_PAGES 8192 /* kept dirty pages before all larger blocks are given back */
#define TRIM_ORDER 4
#define NEAR_SIZE PICO_SEGMENT_NEAR /* what one page table maps */
#define NEAR_TABLE 0x2000ull /* room in it for descriptors of the near pages */

/* ---- free blocks ---- */

static struct free_pages *free_of(struct mem *m, u32 n) { return &m->free[n >= m->near_count]; }

static void list_push(struct mem *m, u32 n, unsigned order)
{
	struct page *p = &m->pages[n];
	struct free_pages *f = free_of(m, n);
	p->state = PAGE_FREE;
	p->order = (u8)order;
	p->prev = NO_PAGE;
	p->next = f->list[order];
	if (p->next != NO_PAGE)
		m->pages[p->next].prev = n;
	f->list[order] = n;
	f->orders |= 1u << order;
}

static void list_take(struct mem *m, u32 n)
{
	struct page *p = &m->pages[n];
	struct free_pages *f = free_of(m, n);
	if (p->next != NO_PAGE)
		m->pages[p->next].prev = p->prev;
	if (p->prev != NO_PAGE)
		m->pages[p->prev].next = p->next;
	else if ((f->list[p->order] = p->next) == NO_PAGE)
		f->orders &= ~(1u << p->order);
	p->state = PAGE_USED;
}

static void free_block(struct mem *m, u32 n, unsigned order)
{
	for (; order < MAX_ORDER; order++) {
		u32 buddy = n ^ (1u << order);
		if ((u64)buddy + (1u << order) > m->page_count)
			break;
		struct page *b = &m->pages[buddy];
		if (b->state != PAGE_FREE || b->order != order)
			break;
		list_take(m, buddy);
		n &= ~(1u << order);
	}
	list_push(m, n, order);
}

static void free_run(struct mem *m, u32 n, u64 count)
{
	while (count) {
		unsigned order = 63 - (unsigned)__builtin_clzll(count);
		if (n && (unsigned)__builtin_ctz(n) < order)
			order = (unsigned)__builtin_ctz(n);
		if (order > MAX_ORDER)
			order = MAX_ORDER;
		free_block(m, n, order);
		n += 1u << order;
		count -= 1u << order;
	}
}

static u32 take_from(struct mem *m, const struct free_pages *f, u64 count)
{
	unsigned want = count > 1 ? 64 - (unsigned)__builtin_clzll(count - 1) : 0;
	if (want > MAX_ORDER)
		return NO_PAGE;
	u32 orders = f->orders >> want;
	if (!orders)
		return NO_PAGE;
	unsigned order = want + (unsigned)__builtin_ctz(orders);
	u32 n = f->list[order];
	list_take(m, n);
	free_run(m, n + (u32)count, (1ull << order) - count);
	return n;
}

static u32 take_run(struct mem *m, u64 count, bool near)
{
	u32 n = take_from(m, &m->free[!near], count);
	return n != NO_PAGE ? n : take_from(m, &m->free[near], count);
}

/* ---- what must be cleared ---- */

/* Calls fn for each stretch of dirty pages in a run and marks them clean. */
static u64 for_dirty(struct mem *m, u32 n, u64 count, bool (*fn)(void *p, u64 size))
{
	u64 found = 0, i = n, end = n + count;
	while (i < end) {
		u64 mask = ~0ull << (i & 63), word_end = (i | 63) + 1;
		if (word_end > end)
			mask &= ~0ull >> (word_end - end);
		u64 bits = __atomic_load_n(&m->dirty[i / 64], __ATOMIC_RELAXED) & mask;
		if (!bits) {
			i = word_end;
			continue;
		}
		u64 first = (i & ~63ull) + (u64)__builtin_ctzll(bits), last = first;
		while (last < end && (m->dirty[last / 64] >> (last & 63) & 1))
			last++;
		if (fn(page_address(m, (u32)first), (last - first) << PAGE_SHIFT)) {
			for (u64 k = first; k < last; k++)
				__atomic_fetch_and(&m->dirty[k / 64], ~(1ull << (k & 63)), __ATOMIC_RELAXED);
			found += last - first;
		}
		i = last;
	}
	return found;
}

static u64 count_dirty(const struct mem *m, u32 n, u64 count)
{
	u64 sum = 0;
	for (u64 i = n; i < n + count;) {
		u64 mask = ~0ull << (i & 63), word_end = (i | 63) + 1;
		if (word_end > n + count)
			mask &= ~0ull >> (word_end - (n + count));
		sum += (u64)__builtin_popcountll(m->dirty[i / 64] & mask);
		i = word_end;
	}
	return sum;
}

static void set_dirty(struct mem *m, u32 n, u64 count)
{
	for (u64 i = n; i < n + count; i++)
		__atomic_fetch_or(&m->dirty[i / 64], 1ull << (i & 63), __ATOMIC_RELAXED);
}

static bool clear_pages(void *p, u64 size)
{
	memset(p, 0, size);
	return true;
}

static bool return_pages(void *p, u64 size)
{
	return Dk(VirtualMemoryFree)(p, size, PICO_VM_REMOVE) >= 0;
}

/* Many small runs were freed and kept: what has grown together goes back. */
static void trim(struct mem *m)
{
	for (unsigned order = TRIM_ORDER; order <= MAX_ORDER; order++)
		for (u32 n = m->free[1].list[order]; n != NO_PAGE; n = m->pages[n].next)
			m->dirty_free -= for_dirty(m, n, 1ull << order, return_pages);
	m->trim_at = m->dirty_free + TRIM_PAGES;
}

/* ---- taking and giving ---- */

static u64 limit_pages(void)
{
	u64 limit = K->limits.memory ? K->limits.memory : K->memory_limit;
	return limit ? limit >> PAGE_SHIFT : ~0ull;
}

void *pages_take(size_t count, bool zero, bool near)
{
	struct mem *m = MEM;
	if (!count || count > m->page_count)
		return NULL;
	lock(&m->lock);
	u32 n = m->used + count > limit_pages() ? NO_PAGE : take_run(m, count, near);
	if (n != NO_PAGE) {
		m->used += count;
		m->dirty_free -= count_dirty(m, n, count);
	}
	unlock(&m->lock);
	if (n == NO_PAGE)
		return NULL;
	if (zero)
		for_dirty(m, n, count, clear_pages);
	return page_address(m, n);
}

void pages_give(void *p, size_t count)
{
	struct mem *m = MEM;
	u32 n = page_number(m, p);
	BUG_ON(((u64)p & ~PAGE_MASK) || (u64)p < m->base || n + count > m->page_count);
	bool clean = count >= RETURN_PAGES && return_pages(p, (u64)count << PAGE_SHIFT);
	lock(&m->lock);
	if (clean) {
		/* Pages that were dirty when taken uncleared are clean now. */
		for (u64 i = n; i < n + count; i++)
			if (m->dirty[i / 64] >> (i & 63) & 1)
				__atomic_fetch_and(&m->dirty[i / 64], ~(1ull << (i & 63)), __ATOMIC_RELAXED);
	} else {
		set_dirty(m, n, count);
		m->dirty_free += count;
	}
	m->used -= count;
	free_run(m, n, count);
	if (m->dirty_free > m->trim_at)
		trim(m);
	unlock(&m->lock);
}

void *page_alloc(size_t pages)
{
	void *p = pages_take(pages, true, false);
	if (p)
		__atomic_fetch_add(&MEM->run_bytes, (u64)pages << PAGE_SHIFT, __ATOMIC_RELAXED);
	return p;
}

void page_free(void *p, size_t pages)
{
	if (!p || !pages)
		return;
	pages_give(p, pages);
	__atomic_fetch_sub(&MEM->run_bytes, (u64)pages << PAGE_SHIFT, __ATOMIC_RELAXED);
}

u64 page_segment_offset(const void *p) { return (u64)p - MEM->segment; }

u64 page_segment_end(void) { return ALIGN_UP(MEM->segment_size, PAGE_SIZE); }

u64 mem_used(void)
{
	struct mem *m = MEM;
	u64 sum = __atomic_load_n(&m->run_bytes, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < CLASS_COUNT; i++)
		sum += m->classes[i].inuse * m->classes[i].size;
	return sum;
}

/* kernel | struct mem | near pages | descriptors | dirty bitmap | pages. What is
 * before the near pages' end, and their descriptors, are one page table, which
 * a clone has from its parent: small objects are there. The numbers of the
 * descriptors' own pages are never given out. */
void mem_init(void *base, u64 size)
{
	u64 at = ALIGN_UP((u64)base + sizeof(struct kernel), 64), end = ((u64)base + size) & PAGE_MASK;
	struct mem *m = (struct mem *)at;
	m->segment = (u64)base;
	m->segment_size = size;
	m->base = at = ALIGN_UP(at + sizeof(*m), PAGE_SIZE);
	m->page_count = (end - at) >> PAGE_SHIFT;
	if (size >= 4 * NEAR_SIZE && at < (u64)base + NEAR_SIZE - NEAR_TABLE)
		at = (u64)base + NEAR_SIZE - NEAR_TABLE;
	m->near_count = (at - m->base) >> PAGE_SHIFT;
	m->pages = (struct page *)at;
	at = ALIGN_UP(at + m->page_count * sizeof(struct page), 64);
	m->dirty = (u64 *)at;
	at = ALIGN_UP(at + (m->page_count / 64 + 1) * 8, PAGE_SIZE);
	m->trim_at = TRIM_PAGES;
	for (unsigned i = 0; i <= MAX_ORDER; i++)
		m->free[0].list[i] = m->free[1].list[i] = NO_PAGE;
	K->mem = m;
	const u32 far = page_number(m, (void *)at);
	free_run(m, far, m->page_count - far);
	free_run(m, 0, m->near_count);
	kmalloc_init(m);
}
