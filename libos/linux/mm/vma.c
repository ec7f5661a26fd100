/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of an address space: AVL by start address, each node knowing the
 * largest free gap of its subtree, so that a place for a new mapping is found
 * without walking the list. Knows nothing of what a mapping contains.
 */
#include "vma.h"

static u32 height(const struct vma *v) { return v ? v->height : 0; }
static u64 most_gap(const struct vma *v) { return v ? v->max_gap : 0; }

static void set_gap(struct vma *v)
{
	u64 from = v->prev ? v->prev->end : 0, to = vma_low(v);
	v->gap = to > from ? to - from : 0;
}

static void pull(struct vma *v)
{
	v->height = 1 + MAX(height(v->left), height(v->right));
	u64 below = MAX(most_gap(v->left), most_gap(v->right));
	v->max_gap = MAX(v->gap, below);
}

static struct vma *rotate_right(struct vma *v)
{
	struct vma *top = v->left;
	v->left = top->right;
	top->right = v;
	pull(v);
	pull(top);
	return top;
}

static struct vma *rotate_left(struct vma *v)
{
	struct vma *top = v->right;
	v->right = top->left;
	top->left = v;
	pull(v);
	pull(top);
	return top;
}

static struct vma *balance(struct vma *v)
{
	if (height(v->left) > height(v->right) + 1) {
		if (height(v->left->right) > height(v->left->left))
			v->left = rotate_left(v->left);
		return rotate_right(v);
	}
	if (height(v->right) > height(v->left) + 1) {
		if (height(v->right->left) > height(v->right->right))
			v->right = rotate_right(v->right);
		return rotate_left(v);
	}
	pull(v);
	return v;
}

static struct vma *insert(struct vma *at, struct vma *v)
{
	if (!at) {
		v->left = v->right = NULL;
		pull(v);
		return v;
	}
	if (v->start < at->start)
		at->left = insert(at->left, v);
	else
		at->right = insert(at->right, v);
	return balance(at);
}

static struct vma *take_first(struct vma *at, struct vma **first)
{
	if (!at->left) {
		*first = at;
		return at->right;
	}
	at->left = take_first(at->left, first);
	return balance(at);
}

static struct vma *erase(struct vma *at, struct vma *v)
{
	if (at == v) {
		struct vma *next;
		if (!v->left || !v->right)
			return v->left ? v->left : v->right;
		struct vma *right = take_first(v->right, &next);
		next->left = v->left;
		next->right = right;
		return balance(next);
	}
	if (v->start < at->start)
		at->left = erase(at->left, v);
	else
		at->right = erase(at->right, v);
	return balance(at);
}

/* The gap of a node changed: mend max_gap from it to the root. */
static void refresh(struct vma *at, const struct vma *v)
{
	if (at != v)
		refresh(v->start < at->start ? at->left : at->right, v);
	pull(at);
}

static void update_gap(struct mm *mm, struct vma *v)
{
	u64 old = v->gap;
	set_gap(v);
	if (v->gap != old)
		refresh(mm->root, v);
}

struct vma *vma_find(const struct mm *mm, u64 addr)
{
	struct vma *found = NULL;
	for (struct vma *v = mm->root; v;) {
		if (v->end > addr) {
			found = v;
			if (v->start <= addr)
				break;
			v = v->left;
		} else {
			v = v->right;
		}
	}
	return found;
}

void vma_insert(struct mm *mm, struct vma *v)
{
	struct vma *next = vma_find(mm, v->start), *prev = NULL;
	if (next) {
		prev = next->prev;
	} else if (mm->root) {
		for (prev = mm->root; prev->right;)
			prev = prev->right;
	}
	v->prev = prev;
	v->next = next;
	if (prev)
		prev->next = v;
	else
		mm->first = v;
	set_gap(v);
	mm->root = insert(mm->root, v);
	if (next) {
		next->prev = v;
		update_gap(mm, next);
	}
	mm->vma_count++;
}

void vma_erase(struct mm *mm, struct vma *v)
{
	mm->root = erase(mm->root, v);
	if (v->prev)
		v->prev->next = v->next;
	else
		mm->first = v->next;
	if (v->next) {
		v->next->prev = v->prev;
		update_gap(mm, v->next);
	}
	mm->vma_count--;
}

void vma_resize(struct mm *mm, struct vma *v, u64 start, u64 end)
{
	v->start = start;
	v->end = end;
	update_gap(mm, v);
	if (v->next)
		update_gap(mm, v->next);
}

/* The part of the gap [from,to) inside the window that holds size bytes. */
static u64 place_down(u64 from, u64 to, u64 size, u64 low, u64 high)
{
	from = MAX(from, low);
	to = MIN(to, high);
	return to > from && to - from >= size ? to - size : 0;
}

static u64 search_down(const struct vma *v, u64 size, u64 low, u64 high)
{
	if (!v || v->max_gap < size)
		return 0;
	u64 a = 0;
	if (v->end < high) /* gaps on the right begin at v->end or above */
		a = search_down(v->right, size, low, high);
	if (!a)
		a = place_down(v->prev ? v->prev->end : 0, vma_low(v), size, low, high);
	if (!a && v->start > low)
		a = search_down(v->left, size, low, high);
	return a;
}

static const struct vma *last_vma(const struct mm *mm)
{
	const struct vma *v = mm->root;
	while (v && v->right)
		v = v->right;
	return v;
}

u64 vma_gap_down(const struct mm *mm, u64 size, u64 low, u64 high)
{
	const struct vma *last = last_vma(mm);
	u64 a = place_down(last ? last->end : 0, PICO_GUEST_END, size, low, high);
	return a ? a : search_down(mm->root, size, low, high);
}

static u64 place_up(u64 from, u64 to, u64 size, u64 low, u64 high)
{
	from = MAX(from, low);
	to = MIN(to, high);
	return to > from && to - from >= size ? from : 0;
}

static u64 search_up(const struct vma *v, u64 size, u64 low, u64 high)
{
	if (!v || v->max_gap < size)
		return 0;
	u64 a = 0;
	if (v->start > low)
		a = search_up(v->left, size, low, high);
	if (!a)
		a = place_up(v->prev ? v->prev->end : 0, vma_low(v), size, low, high);
	if (!a && v->end < high)
		a = search_up(v->right, size, low, high);
	return a;
}

u64 vma_gap_up(const struct mm *mm, u64 size, u64 low, u64 high)
{
	u64 a = search_up(mm->root, size, low, high);
	const struct vma *last = last_vma(mm);
	return a ? a : place_up(last ? last->end : 0, PICO_GUEST_END, size, low, high);
}
