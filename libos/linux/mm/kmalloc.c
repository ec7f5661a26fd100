/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of the kernel: size classes in slabs of one or four pages, whole
 * page runs above. An object has no header; the page's descriptor knows its
 * class. A free object carries a mark, so that freeing it twice is caught.
 */
#include "page.h"
#include "../lx/task.h"

#define LARGE 3072 /* above: page runs */
#define UNIT 16
#define NO_OBJECT 0xffffu
#define FREE_MARK 0xf4eeb10cf4eeb10cull

struct free_object { u64 next; u64 mark; };

static const u16 class_sizes[CLASS_COUNT] = {
	16, 32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048, 3072,
};
/* by (size + 15) / 16 up to 1024, by (size + 255) / 256 above */
static unsigned class_of(size_t size)
{
	static const u8 small[65] = {
		0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11,
		12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14,
		15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	};
	static const u8 big[13] = { 0, 0, 0, 0, 15, 16, 17, 18, 18, 19, 19, 19, 19 };
	return size <= 1024 ? small[(size + 15) / 16] : big[(size + 255) / 256];
}

void kmalloc_init(struct mem *m)
{
	for (unsigned i = 0; i < CLASS_COUNT; i++) {
		struct size_class *c = &m->classes[i];
		c->size = class_sizes[i];
		c->slab_pages = c->size > 512 ? 4 : 1;
		c->per_slab = c->slab_pages * (u32)PAGE_SIZE / c->size;
		c->partial = NO_PAGE;
	}
}

static void slab_link(struct mem *m, struct size_class *c, u32 n)
{
	struct page *p = &m->pages[n];
	p->prev = NO_PAGE;
	p->next = c->partial;
	if (p->next != NO_PAGE)
		m->pages[p->next].prev = n;
	c->partial = n;
}

static void slab_unlink(struct mem *m, struct size_class *c, u32 n)
{
	struct page *p = &m->pages[n];
	if (p->next != NO_PAGE)
		m->pages[p->next].prev = p->prev;
	if (p->prev != NO_PAGE)
		m->pages[p->prev].next = p->next;
	else
		c->partial = p->next;
}

static bool slab_new(struct mem *m, struct size_class *c)
{
	void *a = pages_take(c->slab_pages, false, true);
	if (!a)
		return false;
	u32 n = page_number(m, a);
	for (u32 i = 0; i < c->slab_pages; i++) {
		m->pages[n + i].state = PAGE_SLAB;
		m->pages[n + i].head = i & 3;
		m->pages[n + i].order = (u8)(c - m->classes);
	}
	m->pages[n].inuse = 0;
	m->pages[n].fresh = 0;
	m->pages[n].free = NO_OBJECT;
	c->empty++;
	slab_link(m, c, n);
	return true;
}

static void slab_drop(struct mem *m, struct size_class *c, u32 n)
{
	slab_unlink(m, c, n);
	c->empty--;
	for (u32 i = 0; i < c->slab_pages; i++)
		m->pages[n + i].state = PAGE_USED;
	pages_give(page_address(m, n), c->slab_pages);
}

static bool is_full(const struct size_class *c, const struct page *p)
{
	return p->free == NO_OBJECT && p->fresh == c->per_slab;
}

static void *class_take(struct mem *m, struct size_class *c)
{
	struct free_object *o = NULL;
	lock(&c->lock);
	if (c->partial == NO_PAGE && !slab_new(m, c))
		goto out;
	u32 n = c->partial;
	struct page *p = &m->pages[n];
	if (p->free != NO_OBJECT) {
		o = (struct free_object *)((char *)page_address(m, n) + (size_t)p->free * UNIT);
		BUG_ON(o->mark != (FREE_MARK ^ (u64)o)); /* written after it was freed */
		p->free = (u16)o->next;
	} else {
		o = (struct free_object *)((char *)page_address(m, n) + (size_t)p->fresh++ * c->size);
	}
	if (p->inuse++ == 0)
		c->empty--;
	if (is_full(c, p))
		slab_unlink(m, c, n);
	c->inuse++;
	o->mark = 0;
out:
	unlock(&c->lock);
	return o;
}

static void class_give(struct mem *m, u32 n, void *object)
{
	n -= m->pages[n].head;
	struct page *p = &m->pages[n];
	struct size_class *c = &m->classes[p->order];
	struct free_object *o = object;
	u64 offset = (u64)object - (u64)page_address(m, n);
	BUG_ON(offset % c->size);
	lock(&c->lock);
	BUG_ON(!p->inuse || o->mark == (FREE_MARK ^ (u64)o)); /* freed twice */
	if (is_full(c, p))
		slab_link(m, c, n);
	o->next = p->free;
	o->mark = FREE_MARK ^ (u64)o;
	p->free = (u16)(offset / UNIT);
	c->inuse--;
	if (--p->inuse == 0 && ++c->empty > 1)
		slab_drop(m, c, n);
	unlock(&c->lock);
}

static void *run_take(struct mem *m, size_t size, bool zero)
{
	size_t pages = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	void *p = size <= ~0ull - PAGE_SIZE ? pages_take(pages, zero, false) : NULL;
	if (!p)
		return NULL;
	struct page *d = &m->pages[page_number(m, p)];
	d->state = PAGE_RUN;
	d->next = (u32)pages;
	__atomic_fetch_add(&m->run_bytes, (u64)pages << PAGE_SHIFT, __ATOMIC_RELAXED);
	return p;
}

void *kmalloc(size_t size)
{
	struct mem *m = MEM;
	return likely(size <= LARGE) ? class_take(m, &m->classes[class_of(size)]) : run_take(m, size, false);
}

void *kzalloc(size_t size)
{
	if (size > LARGE)
		return run_take(MEM, size, true);
	void *p = kmalloc(size);
	if (p)
		memset(p, 0, size);
	return p;
}

void kfree(void *p)
{
	struct mem *m = MEM;
	if (!p)
		return;
	u32 n = page_number(m, p);
	BUG_ON((u64)p < m->base || n >= m->page_count);
	struct page *d = &m->pages[n];
	if (likely(d->state == PAGE_SLAB)) {
		class_give(m, n, p);
		return;
	}
	BUG_ON(d->state != PAGE_RUN || ((u64)p & ~PAGE_MASK));
	u64 pages = d->next;
	d->state = PAGE_USED;
	pages_give(p, pages);
	__atomic_fetch_sub(&m->run_bytes, pages << PAGE_SHIFT, __ATOMIC_RELAXED);
}

static size_t room_of(struct mem *m, void *p)
{
	struct page *d = &m->pages[page_number(m, p)];
	return d->state == PAGE_SLAB ? m->classes[d->order].size : (size_t)d->next << PAGE_SHIFT;
}

void *krealloc(void *p, size_t size)
{
	if (!p)
		return kmalloc(size);
	size_t room = room_of(MEM, p);
	if (size <= room && size >= room / 2)
		return p;
	void *n = kmalloc(size);
	if (!n)
		return size <= room ? p : NULL;
	memcpy(n, p, MIN(size, room));
	kfree(p);
	return n;
}

char *kstrndup(const char *s, size_t n)
{
	size_t size = strnlen(s, n);
	char *d = kmalloc(size + 1);
	if (d) {
		memcpy(d, s, size);
		d[size] = 0;
	}
	return d;
}

char *kstrdup(const char *s) { return kstrndup(s, strlen(s)); }
