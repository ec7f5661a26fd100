/* SPDX-License-Identifier: Apache-2.0
 *
 * mremap and brk. Private pages are moved by the host's page tables; shared
 * ones are simply mapped again, since the object behind them keeps the data.
 */
#include "vma.h"
#include <linux/capability.h>
#include <linux/mman.h>

#define RLIMIT_DATA_ 2

/* A move the host refuses (its own mappings may be in more pieces than the
 * vma) is made by hand. */
static int copy_range(const struct vma *v, u64 from, u64 to, u64 size)
{
	struct vma copy = *v;
	copy.start = to;
	copy.end = to + size;
	copy.offset = v->offset + (from - v->start);
	copy.flags |= VMA_WRITE | VMA_READ;
	int r = host_map(&copy, 0);
	if (r < 0)
		return r;
	if (!(v->flags & VMA_READ))
		host_protect(from, size, v->flags | VMA_READ);
	for (u64 done = 0; !r && done < size; done += PAGE_SIZE) {
		u8 page[256];
		for (u64 i = 0; !r && i < PAGE_SIZE; i += sizeof(page))
			if (!(r = copy_from_user(page, from + done + i, sizeof(page))))
				r = copy_to_user(to + done + i, page, sizeof(page));
		if (r == -EFAULT && v->file) /* beyond the end of the file: so it is there too */
			r = 0;
	}
	if (!r)
		r = host_protect(to, size, v->flags);
	if (r < 0)
		host_unmap(to, size);
	return r;
}

/* Pages that came from a snapshot are a mapping of its file: let the host grow
 * that, and what the file has behind them would be there. */
static int move_pages(const struct mm *mm, const struct vma *v, u64 from, u64 size, u64 to, u64 new_size, bool keep)
{
	const u64 whole = mm->restored ? size : new_size;
	struct vma rest = *v;
	void *a = (void *)to;

	rest.start = to + whole;
	rest.end = to + new_size;
	rest.offset = v->offset + (from - v->start) + whole;
	if (whole < new_size && host_map(&rest, 0) < 0)
		return -ENOMEM;
	const s64 r = Dk(VirtualMemoryAllocate)(&a, whole, PICO_VM_MOVE | PICO_VM_FIXED | (keep ? PICO_VM_KEEP_SOURCE : 0),
		v->flags & VMA_ACCESS, (void *)from, size);
	return r < 0 ? (int)r : 0;
}

static int move_private(const struct mm *mm, const struct vma *v, u64 from, u64 size, u64 to, u64 new_size, bool keep)
{
	int r = move_pages(mm, v, from, size, to, new_size, keep);
	if (r >= 0)
		return keep && mm->restored ? host_discard(mm, v, from, from + size) : 0;
	r = copy_range(v, from, to, size);
	if (r < 0)
		return r;
	struct vma rest = *v;
	rest.start = to + size;
	rest.end = to + new_size;
	rest.offset = v->offset + (from - v->start) + size;
	if (new_size > size && (r = host_map(&rest, 0)) < 0) {
		host_unmap(to, new_size);
		return r;
	}
	if (keep) {
		return host_discard(mm, v, from, from + size);
	}
	return host_unmap(from, size);
}

/* [from,from+size) of v goes to [to,to+new_size), which is free. size 0: one more mapping of shared memory. */
static int move(struct mm *mm, u64 from, u64 size, u64 to, u64 new_size, bool keep)
{
	if (vma_split(mm, from) < 0 || vma_split(mm, from + size) < 0)
		return -ENOMEM;
	struct vma *v = vma_find(mm, from);
	u32 flags = keep ? v->flags & ~VMA_LOCKED : v->flags;
	struct vma *n = vma_new(to, to + new_size, v->flags, v->file, v->file ? v->offset + (from - v->start) : 0);
	if (!n)
		return -ENOMEM;
	memcpy(n->name, v->name, sizeof(n->name));
	int r = v->flags & VMA_SHARED ? host_map(n, 0) : move_private(mm, v, from, size, to, new_size, keep);
	if (r < 0) {
		vma_drop(n);
		vma_merge(mm, from, from + size);
		return r;
	}
	if (size && !keep) {
		if (v->flags & VMA_SHARED)
			host_unmap(from, size);
		vma_remove_range(mm, from, from + size);
	} else if (keep) {
		vma_set_flags(mm, v, flags);
	}
	vma_add(mm, n);
	vma_merge(mm, to, to + new_size);
	return 0;
}

/* The vma and the limits of growing it; -errno. */
static int check_source(struct mm *mm, u64 addr, u64 old_size, u64 new_size, u32 flags, struct vma **out)
{
	struct vma *v = vma_find(mm, addr);
	int err;
	if (!v || v->start > addr)
		return -EFAULT;
	if (!old_size && !(v->flags & VMA_SHARED))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && ((v->flags & VMA_SHARED) || v->file))
		return -EINVAL;
	if (old_size > v->end - addr)
		return -EFAULT;
	*out = v;
	if (new_size <= old_size)
		return 0;
	if (v->file && v->offset + (addr - v->start) + new_size < new_size)
		return -EINVAL;
	if ((v->flags & VMA_LOCKED) && !mm_can_lock(mm, new_size - old_size, &err))
		return err == -EPERM ? -EAGAIN : err;
	return mm_may_expand(mm, v->flags, new_size - old_size) ? 0 : -ENOMEM;
}

static s64 remap_to(struct mm *mm, u64 addr, u64 old_size, u64 new_size, u32 flags, u64 to)
{
	struct vma *v;
	if ((to & ~PAGE_MASK) || new_size > PICO_GUEST_END || to > PICO_GUEST_END - new_size)
		return -EINVAL;
	if (addr + old_size > to && to + new_size > addr)
		return -EINVAL;
	if (mm->vma_count + 2 >= MAX_MAP_COUNT - 3)
		return -ENOMEM;
	if (to < PICO_GUEST_BASE && (flags & MREMAP_FIXED))
		return -EPERM;
	int r = 0;
	if (flags & MREMAP_FIXED)
		r = mm_unmap_locked(mm, to, new_size);
	if (r < 0)
		return r;
	if (old_size > new_size && !(flags & MREMAP_DONTUNMAP)) {
		r = mm_unmap_locked(mm, addr + new_size, old_size - new_size);
		if (r < 0)
			return r;
		old_size = new_size;
	}
	r = check_source(mm, addr, old_size, new_size, flags, &v);
	if (r < 0)
		return r;
	if ((flags & MREMAP_DONTUNMAP) && !mm_may_expand(mm, v->flags, new_size))
		return -ENOMEM;
	if (!(flags & MREMAP_FIXED) && !(to = mm_find_area(mm, to, new_size, 0)))
		return -ENOMEM;
	r = move(mm, addr, old_size, to, new_size, flags & MREMAP_DONTUNMAP);
	return r < 0 ? r : (s64)to;
}

/* More of the same vma right behind it; false when there is no room. */
static bool grow_in_place(struct mm *mm, struct vma *v, u64 more)
{
	u64 end = v->end + more;
	if (end < v->end || end > PICO_GUEST_END || (v->next && vma_low(v->next) < end))
		return false;
	struct vma part = *v;
	part.start = v->end;
	part.end = end;
	part.offset = v->offset + (v->end - v->start);
	struct vma *n = vma_new(part.start, end, v->flags, v->file, v->file ? part.offset : 0);
	if (!n)
		return false;
	memcpy(n->name, v->name, sizeof(n->name));
	if (host_map(&part, 0) < 0) {
		vma_drop(n);
		return false;
	}
	vma_add(mm, n);
	vma_merge(mm, part.start, end);
	return true;
}

static s64 remap(struct mm *mm, u64 addr, u64 old_size, u64 new_size, u32 flags, u64 new_addr)
{
	struct vma *v = vma_find(mm, addr);
	if (!v || v->start > addr)
		return -EFAULT;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_to(mm, addr, old_size, new_size, flags, new_addr);
	if (old_size >= new_size) {
		int r = old_size > new_size ? mm_unmap_locked(mm, addr + new_size, old_size - new_size) : 0;
		return r < 0 ? r : (s64)addr;
	}
	int r = check_source(mm, addr, old_size, new_size, flags, &v);
	if (r < 0)
		return r;
	if (old_size && old_size == v->end - addr && grow_in_place(mm, v, new_size - old_size))
		return (s64)addr;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	if (mm->vma_count >= MAX_MAP_COUNT - 3)
		return -ENOMEM;
	u64 to = mm_find_area(mm, 0, new_size, 0);
	if (!to)
		return -ENOMEM;
	r = move(mm, addr, old_size, to, new_size, false);
	return r < 0 ? r : (s64)to;
}

s64 mm_remap(struct mm *mm, u64 addr, u64 old_size, u64 new_size, u32 flags, u64 new_addr)
{
	if (flags & ~(u32)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && (!(flags & MREMAP_MAYMOVE) || old_size != new_size))
		return -EINVAL;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	old_size = page_up(old_size);
	new_size = page_up(new_size);
	if (!new_size)
		return -EINVAL;
	lock(&mm->lock);
	bool sealed = (user_ok(addr, old_size) && vma_sealed(mm, addr, addr + MAX(old_size, PAGE_SIZE))) ||
		(flags & MREMAP_FIXED && user_ok(new_addr, new_size) && vma_sealed(mm, new_addr, new_addr + new_size));
	s64 r = sealed ? -EPERM : remap(mm, addr, old_size, new_size, flags, new_addr);
	unlock(&mm->lock);
	return r;
}

static u64 brk_locked(struct mm *mm, u64 brk)
{
	u64 old = page_up(mm->brk), new = page_up(brk);
	if (brk < mm->brk_start || new > PICO_GUEST_END || !new)
		return mm->brk;
	u64 data_limit = rlimit_get(RLIMIT_DATA_);
	if (data_limit != ~0ull && brk - mm->brk_start > data_limit)
		return mm->brk;
	if (new < old) {
		if (mm_unmap_locked(mm, new, old - new) < 0)
			return mm->brk;
	} else if (new > old) {
		const struct vma *next = vma_find(mm, old);
		int err;
		if ((next && vma_low(next) < new + PAGE_SIZE) || !mm_may_expand(mm, VMA_WRITE, new - old) ||
		    mm->vma_count > MAX_MAP_COUNT || ((mm->def_flags & VMA_LOCKED) && !mm_can_lock(mm, new - old, &err)))
			return mm->brk;
		struct vma *v = vma_new(old, new, VMA_READ | VMA_WRITE | VMA_MAYWRITE | VMA_HEAP | mm->def_flags, NULL, 0);
		if (!v)
			return mm->brk;
		memcpy(v->name, "[heap]", 7);
		if (host_map(v, 0) < 0) {
			vma_drop(v);
			return mm->brk;
		}
		vma_add(mm, v);
		vma_merge(mm, old, new);
	}
	return mm->brk = brk;
}

u64 mm_brk(struct mm *mm, u64 brk)
{
	lock(&mm->lock);
	u64 r = brk_locked(mm, brk);
	unlock(&mm->lock);
	return r;
}
