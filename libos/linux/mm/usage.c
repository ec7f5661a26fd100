/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory a program uses, as far as can be said: which pages are in
 * memory only the host knows, and it tells the sum of the instance at most. So
 * what is mapped and accessible is counted, less what programs are known to map
 * and not to touch; and never more private memory than the instance has in all.
 */
#include "vma.h"

#define STACK_USED (64ull << 10) /* of one, the rest is room */
#define FILE_USED (4ull << 20) /* of one mapping: files larger than that are looked up, not read through */
#define TABLE_SPAN (2ull << 20) /* what a page of page tables maps */

static u64 touched(const struct vma *v)
{
	const u64 size = v->end - v->start;

	if (v->flags & VMA_LOCKED)
		return size;
	if (!(v->flags & VMA_ACCESS))
		return 0;
	if (v->flags & (VMA_STACK | VMA_THREAD_STACK))
		return MIN(size, STACK_USED);
	return v->file ? MIN(size, FILE_USED) : size;
}

void vma_usage(const struct vma *v, struct vma_usage *out)
{
	const u64 n = touched(v);

	*out = (struct vma_usage){ 0 };
	if (v->flags & VMA_SHARED && (!v->file || v->file->ops->maps_zero || !v->file->stream))
		out->shared = n;
	else if (v->file && !((v->flags & VMA_WRITE) && !(v->flags & VMA_SHARED)))
		out->file = n;
	else
		out->anon = n; /* private and writable: written, most of the time */
}

void mm_usage(struct mm *mm, struct mm_usage *out)
{
	const u64 used = K->host ? K->host->memory_used : 0;

	*out = (struct mm_usage){ .tables = PAGE_SIZE * 3 };
	lock(&mm->lock);
	for (const struct vma *v = mm->first; v; v = v->next) {
		struct vma_usage u;
		vma_usage(v, &u);
		out->anon += u.anon;
		out->file += u.file;
		out->shared += u.shared;
		out->tables += (u.anon + u.file + u.shared + TABLE_SPAN - 1) / TABLE_SPAN * PAGE_SIZE;
		if (v->flags & VMA_STACK)
			out->stack += v->end - v->start;
		if ((v->flags & VMA_EXEC) && v->file)
			out->code += v->end - v->start;
	}
	if (used && out->anon > used)
		out->anon = used;
	out->all = out->anon + out->file + out->shared;
	if (out->all > mm->hiwater_rss)
		mm->hiwater_rss = out->all;
	unlock(&mm->lock);
}

u64 mm_rss(struct mm *mm)
{
	struct mm_usage u;

	mm_usage(mm, &u);
	return u.all;
}
