/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the page allocator and kmalloc: one descriptor a page of the
 * segment, and the allocator's root. Nobody else includes this.
 */
#ifndef LX_MM_PAGE_H
#define LX_MM_PAGE_H

#include "../lx/mem.h"

#define NO_PAGE 0xffffffffu
#define MAX_ORDER 24

enum page_state {
	PAGE_USED = 0, /* in an allocated run, or inside a free block */
	PAGE_FREE = 1, /* first page of a free block of 2^order pages */
	PAGE_SLAB = 2, /* in a slab; head pages back is its first page */
	PAGE_RUN = 3, /* first page of a kmalloc of whole pages */
};
/* Only the first page of a free block is ever PAGE_FREE: that is how two
 * buddies know each other. The array is sparse memory, touched where used. */
struct page {
	u32 next, prev; /* free list or slab list, page numbers; PAGE_RUN: next = pages */
	u8 state;
	u8 order; /* PAGE_FREE: order; PAGE_SLAB: size class */
	u16 free; /* PAGE_SLAB: first object given back, in 16-byte units; 0xffff none */
	u32 inuse : 10; /* PAGE_SLAB: objects handed out */
	u32 fresh : 10; /* PAGE_SLAB: objects from this one on were never handed out, and are not touched */
	u32 head : 2; /* PAGE_SLAB: pages back to the first */
};

_Static_assert(sizeof(struct page) == 16, "one for each page of the segment");

#define CLASS_COUNT 20
struct size_class {
	struct lock lock;
	u32 size, slab_pages, per_slab;
	u32 partial; /* list of slabs with a free object */
	u32 empty; /* how many of them are all free */
	u64 inuse;
} __attribute__((aligned(64)));

struct mem {
	u64 base; /* address of page 0 */
	u64 segment, segment_size; /* address of the segment, bytes */
	u64 page_count;
	u64 near_count; /* pages before the descriptors */
	struct page *pages;
	u64 *dirty; /* bit a page: contents are not known to be zero */
	struct lock lock; /* of all below */
	struct free_pages { /* the near ones, and all others */
		u32 list[MAX_ORDER + 1];
		u32 orders; /* bit an order: list not empty */
	} free[2];
	u64 used; /* pages handed out */
	u64 dirty_free, trim_at;
	u64 run_bytes; /* in runs of page_alloc and large kmallocs, atomic */
	struct size_class classes[CLASS_COUNT];
};
#define MEM ((struct mem *)K->mem)

void kmalloc_init(struct mem *m);
/* Like page_alloc and page_free, not counted in run_bytes; zero: clear it; near:
 * among the pages that every picoprocess has at hand, if there are any left. */
void *pages_take(size_t count, bool zero, bool near);
void pages_give(void *p, size_t count);

static inline u32 page_number(const struct mem *m, const void *p) { return (u32)(((u64)p - m->base) >> PAGE_SHIFT); }
static inline void *page_address(const struct mem *m, u32 n) { return (void *)(m->base + ((u64)n << PAGE_SHIFT)); }

#endif
