/* SPDX-License-Identifier: Apache-2.0
 *
 * The vma tree against a model that is an array of page states: thousands of
 * random insertions, removals, resizes; every lookup and gap search compared.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lx_host.h"
#include "../../libos/linux/mm/vma.c"

#define PAGES 400 /* of the model; address = page << 12, page 0 never used */

static struct mm mm;
static unsigned char state[PAGES]; /* 0 free, else in a vma */
static unsigned seed = 7;

static unsigned pick(unsigned n) { return (unsigned)rand_r(&seed) % n; }

static unsigned check_node(const struct vma *v, u64 low, u64 high)
{
	if (!v)
		return 0;
	cr_assert(v->start >= low && v->end <= high && v->start < v->end);
	unsigned l = check_node(v->left, low, v->start), r = check_node(v->right, v->end, high);
	cr_assert(l <= r + 1 && r <= l + 1, "unbalanced");
	cr_assert_eq(v->height, 1 + MAX(l, r));
	u64 from = v->prev ? v->prev->end : 0, to = vma_low(v), gap = to > from ? to - from : 0;
	u64 below = MAX(most_gap(v->left), most_gap(v->right));
	cr_assert_eq(v->gap, gap);
	cr_assert_eq(v->max_gap, MAX(gap, below));
	return v->height;
}

static void check_list(void)
{
	u32 n = 0;
	const struct vma *prev = NULL;
	for (const struct vma *v = mm.first; v; prev = v, v = v->next, n++)
		cr_assert(v->prev == prev && (!prev || prev->end <= v->start));
	cr_assert_eq(n, mm.vma_count);
}

static void check_find(void)
{
	u64 addr = ((u64)pick(PAGES) << PAGE_SHIFT) + pick(4096);
	u64 page = addr >> PAGE_SHIFT;
	const struct vma *v = vma_find(&mm, addr);
	cr_assert_eq(state[page] != 0, v && v->start <= addr);
	if (v)
		cr_assert(v->end > addr && (!v->prev || v->prev->end <= addr));
}

static bool fits(u64 page, u64 size, u64 low, u64 high)
{
	if (page < low || page + size > high)
		return false;
	for (u64 i = 0; i < size; i++)
		if (page + i < PAGES && state[page + i])
			return false;
	return true;
}

static void check_gaps(void)
{
	u64 size = 1 + pick(12), low = 1 + pick(PAGES / 2), high = low + pick(PAGES), down = 0, up = 0;
	for (u64 p = low; p < high; p++)
		if (fits(p, size, low, high)) {
			down = p;
			if (!up)
				up = p;
		}
	cr_assert_eq(vma_gap_down(&mm, size << PAGE_SHIFT, low << PAGE_SHIFT, high << PAGE_SHIFT), down << PAGE_SHIFT);
	cr_assert_eq(vma_gap_up(&mm, size << PAGE_SHIFT, low << PAGE_SHIFT, high << PAGE_SHIFT), up << PAGE_SHIFT);
}

static void try_insert(void)
{
	u64 page = 1 + pick(PAGES - 20), size = 1 + pick(8);
	if (!fits(page, size, 1, PAGES))
		return;
	struct vma *v = calloc(1, sizeof(*v));
	v->start = page << PAGE_SHIFT;
	v->end = (page + size) << PAGE_SHIFT;
	vma_insert(&mm, v);
	memset(state + page, 1, size);
}

static struct vma *pick_vma(void)
{
	return mm.root ? vma_find(&mm, (u64)pick(PAGES) << PAGE_SHIFT) : NULL;
}

static void try_erase(void)
{
	struct vma *v = pick_vma();
	if (!v)
		return;
	memset(state + (v->start >> PAGE_SHIFT), 0, (v->end - v->start) >> PAGE_SHIFT);
	vma_erase(&mm, v);
	free(v);
}

static void try_resize(void)
{
	struct vma *v = pick_vma();
	if (!v)
		return;
	u64 low = v->prev ? v->prev->end >> PAGE_SHIFT : 1, high = v->next ? v->next->start >> PAGE_SHIFT : PAGES;
	u64 start = low + pick((unsigned)(high - low)), end = start + 1 + pick((unsigned)(high - start));
	memset(state + (v->start >> PAGE_SHIFT), 0, (v->end - v->start) >> PAGE_SHIFT);
	vma_resize(&mm, v, start << PAGE_SHIFT, end << PAGE_SHIFT);
	memset(state + start, 1, end - start);
}

Test(lx_vma, random, .timeout = 60)
{
	for (int i = 0; i < 100000; i++) {
		unsigned what = pick(10);
		if (what < 5)
			try_insert();
		else if (what < 8)
			try_erase();
		else
			try_resize();
		check_find();
		check_gaps();
		if (i % 16 == 0) {
			check_node(mm.root, 0, PICO_GUEST_END);
			check_list();
		}
	}
}

Test(lx_vma, guard_gap)
{
	struct vma *v = calloc(1, sizeof(*v));
	v->start = 0x10000000;
	v->end = 0x10100000;
	v->flags = VMA_STACK;
	vma_insert(&mm, v);
	cr_assert_eq(vma_gap_down(&mm, 0x1000, 0x10000, v->end), v->start - STACK_GUARD - 0x1000);
	cr_assert_eq(vma_gap_down(&mm, 0x1000, v->start - STACK_GUARD, v->end), 0);
	cr_assert_eq(vma_gap_up(&mm, 0x1000, v->start, PICO_GUEST_END), v->end);
	vma_erase(&mm, v);
	free(v);
}

Test(lx_vma, many)
{
	for (u64 i = 1; i <= 65530; i++) {
		struct vma *v = calloc(1, sizeof(*v));
		v->start = i << 13;
		v->end = v->start + PAGE_SIZE;
		vma_insert(&mm, v);
	}
	cr_assert_leq(mm.root->height, 24);
	cr_assert_eq(vma_gap_down(&mm, PAGE_SIZE, PAGE_SIZE, 65530ull << 13), (65530ull << 13) - PAGE_SIZE);
	while (mm.root) {
		struct vma *v = mm.root;
		vma_erase(&mm, v);
		free(v);
	}
	cr_assert(!mm.first && !mm.vma_count);
}
