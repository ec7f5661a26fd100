/* SPDX-License-Identifier: Apache-2.0
 *
 * mmap, munmap and mprotect: judging the arguments in Linux's order, finding
 * the place, keeping the tree and the host in step. Every vma that a change
 * needs is allocated before the host is asked, so that a failure leaves both
 * as they were.
 */
#include "vma.h"
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#define RLIMIT_DATA_ 2
#define RLIMIT_MEMLOCK_ 8
#define RLIMIT_AS_ 9
#define HUGE_PAGE (2ull << 20)
#define LOW_2G 0x40000000ull /* MAP_32BIT: [1 GiB, 2 GiB) as Linux */
#define POPULATE_FLAGS (MAP_POPULATE | MAP_NONBLOCK) /* with MAP_NONBLOCK nothing is populated */
#define LEGACY_FLAGS (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | \
	MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | \
	MAP_HUGETLB | MAP_32BIT | 0x80 /* MAP_ABOVE4G */)

bool mm_may_expand(struct mm *mm, u32 flags, u64 size)
{
	if (mm->total_vm + size > rlimit_get(RLIMIT_AS_))
		return false;
	return !vma_is_data(flags) || mm->data_vm + size <= rlimit_get(RLIMIT_DATA_);
}

bool mm_can_lock(struct mm *mm, u64 more, int *err)
{
	u64 limit = rlimit_get(RLIMIT_MEMLOCK_);
	if (capable(CAP_IPC_LOCK))
		return true;
	if (!limit) {
		*err = -EPERM;
		return false;
	}
	if (mm->locked_vm + more <= limit)
		return true;
	*err = -EAGAIN;
	return false;
}

/* A hint is taken when nothing is there, guard gaps of stacks included. */
static bool place_free(const struct mm *mm, u64 addr, u64 size)
{
	const struct vma *v = vma_find(mm, addr);
	return !v || addr + size <= vma_low(v);
}

u64 mm_find_area(struct mm *mm, u64 hint, u64 size, u32 map_flags)
{
	if (size > PICO_GUEST_END - PICO_GUEST_BASE)
		return 0;
	if (map_flags & MAP_32BIT)
		return vma_gap_up(mm, size, LOW_2G, 2 * LOW_2G);
	if (hint) {
		hint = MAX(page_up(hint), PICO_GUEST_BASE);
		if (hint <= PICO_GUEST_END - size && place_free(mm, hint, size))
			return hint;
	}
	u64 a = vma_gap_down(mm, size, PICO_GUEST_BASE, mm->mmap_base);
	return a ? a : vma_gap_up(mm, size, mm->mmap_base, PICO_GUEST_END);
}

/* Anonymous memory in multiples of a huge page gets aligned to one, as since
 * Linux 6.7: otherwise its ends could never be huge. */
static u64 anonymous_area(struct mm *mm, u64 hint, u64 size, u32 map_flags)
{
	if (!hint && !(size & (HUGE_PAGE - 1)) && !(map_flags & MAP_32BIT)) {
		u64 a = vma_gap_down(mm, size + HUGE_PAGE - PAGE_SIZE, PICO_GUEST_BASE, mm->mmap_base);
		if (a)
			return ALIGN_UP(a, HUGE_PAGE);
	}
	return mm_find_area(mm, hint, size, map_flags);
}

static s64 fixed_area(struct mm *mm, u64 addr, u64 size, u32 flags)
{
	if (size > PICO_GUEST_END || addr > PICO_GUEST_END - size)
		return -ENOMEM;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (addr < PICO_GUEST_BASE)
		return -EPERM;
	if ((flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE) {
		const struct vma *v = vma_find(mm, addr);
		if (v && v->start < addr + size)
			return -EEXIST;
	}
	return (s64)addr;
}

static u32 flags_of(const struct mm *mm, u32 prot, u32 flags)
{
	u32 f = (prot & VMA_ACCESS) | VMA_MAYWRITE | mm->def_flags;
	if (flags & MAP_GROWSDOWN)
		f |= VMA_STACK;
	if (flags & MAP_LOCKED)
		f |= VMA_LOCKED;
	if (flags & MAP_NORESERVE)
		f |= VMA_NORESERVE;
	if ((flags & (MAP_STACK | MAP_ANONYMOUS | MAP_TYPE)) == (MAP_STACK | MAP_ANONYMOUS | MAP_PRIVATE))
		f |= VMA_THREAD_STACK;
	return f;
}

/* Type and file rights; the order is Linux's do_mmap. */
static int check_file(struct file *file, u32 prot, u32 flags, u64 size, u64 offset, u32 *vma_flags)
{
	u32 type = flags & MAP_TYPE;
	if (offset + size > (u64)INT64_MAX || offset + size < offset)
		return -EOVERFLOW;
	switch (type) {
	case MAP_SHARED:
	case MAP_SHARED_VALIDATE:
		if (type == MAP_SHARED_VALIDATE && (flags & ~(LEGACY_FLAGS | MAP_TYPE)))
			return -EOPNOTSUPP;
		if ((prot & PROT_WRITE) && !(file->mode_bits & FMODE_WRITE))
			return -EACCES;
		*vma_flags |= VMA_SHARED;
		if (!(file->mode_bits & FMODE_WRITE))
			*vma_flags &= ~VMA_MAYWRITE;
		if (file->inode && (file->inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
			if (prot & PROT_WRITE)
				return -EPERM;
			*vma_flags &= ~VMA_MAYWRITE;
		}
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (!(file->mode_bits & FMODE_READ))
		return -EACCES;
	if ((prot & PROT_EXEC) && path_noexec(&file->path))
		return -EPERM;
	if (!file->ops->mmap)
		return -ENODEV;
	return flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

static int check_anonymous(u32 flags, u32 *vma_flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED: /* MAP_SHARED_VALIDATE is for files only */
		if (flags & MAP_GROWSDOWN)
			return -EINVAL;
		*vma_flags |= VMA_SHARED;
		return 0;
	case MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Puts v over whatever is in its range. On failure the range is a hole, as in Linux. */
static int install(struct mm *mm, struct vma *v, u32 modifiers)
{
	u64 start = v->start, end = v->end;
	if (vma_split(mm, start) < 0 || vma_split(mm, end) < 0)
		return -ENOMEM;
	int r = host_map(v, modifiers);
	if (r < 0) {
		const struct vma *old = vma_find(mm, start);
		if (old && old->start < end)
			host_unmap(start, end - start);
	}
	vma_remove_range(mm, start, end);
	if (r < 0)
		return r;
	vma_add(mm, v);
	vma_merge(mm, start, end);
	return 0;
}

static u64 covered(const struct mm *mm, u64 start, u64 end)
{
	u64 sum = 0;
	for (const struct vma *v = vma_find(mm, start); v && v->start < end; v = v->next)
		sum += MIN(v->end, end) - MAX(v->start, start);
	return sum;
}

/* Huge pages where nobody asked for them: only where all of a large piece is
 * likely to be used. A reserve that is committed in parts is not that. */
static u32 huge_by_size(u32 vma_flags, u64 size, bool has_file)
{
	const u32 unfit = VMA_SHARED | VMA_STACK | VMA_THREAD_STACK | VMA_NORESERVE;

	if (!K->huge_from || size < K->huge_from || has_file || current->process->no_huge)
		return 0;
	return (vma_flags & (unfit | VMA_WRITE)) == VMA_WRITE ? PICO_VM_HUGE : 0;
}

s64 mm_map_locked(struct mm *mm, u64 addr, u64 size, u32 prot, u32 flags, struct file *file, u64 offset)
{
	struct file *shared = NULL;
	int r;
	if (!size)
		return -EINVAL;
	size = page_up(size);
	if (!size)
		return -ENOMEM;
	if (offset + size < offset)
		return -EOVERFLOW;
	if (mm->vma_count > MAX_MAP_COUNT)
		return -ENOMEM;
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (flags & MAP_FIXED_NOREPLACE)
			flags |= MAP_FIXED;
		s64 a = fixed_area(mm, addr, size, flags & MAP_FIXED_NOREPLACE ? MAP_FIXED_NOREPLACE : 0);
		if (a < 0)
			return a;
	} else {
		addr &= PAGE_MASK;
		addr = file ? mm_find_area(mm, addr, size, flags) : anonymous_area(mm, addr, size, flags);
		if (!addr)
			return -ENOMEM;
	}
	u32 vma_flags = flags_of(mm, prot, flags);
	if ((vma_flags & VMA_LOCKED) && !mm_can_lock(mm, size, &r))
		return r;
	r = file ? check_file(file, prot, flags, size, offset, &vma_flags) : check_anonymous(flags, &vma_flags);
	if (r < 0)
		return r;
	u64 old = flags & MAP_FIXED ? covered(mm, addr, addr + size) : 0;
	if (!mm_may_expand(mm, vma_flags, size - old))
		return -ENOMEM;
	if ((!file || file->ops->maps_zero) && (vma_flags & VMA_SHARED)) {
		shared = file = mm_shared_memory(size);
		if (!file)
			return -ENOMEM;
		offset = 0;
	}
	struct vma *v = vma_new(addr, addr + size, vma_flags, file, file ? offset : 0);
	if (shared)
		file_put(shared);
	if (!v)
		return -ENOMEM;
	u32 modifiers = huge_by_size(vma_flags, size, file);
	if ((vma_flags & VMA_LOCKED) || (flags & POPULATE_FLAGS) == MAP_POPULATE)
		modifiers |= PICO_VM_POPULATE;
	r = install(mm, v, modifiers);
	if (r < 0) {
		vma_drop(v);
		return r;
	}
	return (s64)addr;
}

s64 mm_map(struct mm *mm, u64 addr, u64 size, u32 prot, u32 flags, struct file *file, u64 offset)
{
	lock(&mm->lock);
	bool sealed = flags & MAP_FIXED && user_ok(addr, size) && vma_sealed(mm, addr, addr + page_up(size));
	s64 a = sealed ? -EPERM : mm_map_locked(mm, addr, size, prot, flags, file, offset);
	unlock(&mm->lock);
	/* Private anonymous pages came populated from the host. */
	if (a > 0 && ((flags & MAP_LOCKED) || (flags & POPULATE_FLAGS) == MAP_POPULATE) && (file || (flags & MAP_SHARED)))
		mm_populate(mm, (u64)a, page_up(size));
	return a;
}

int mm_unmap_locked(struct mm *mm, u64 addr, u64 size)
{
	if ((addr & ~PAGE_MASK) || addr > PICO_GUEST_END || size > PICO_GUEST_END - addr || !(size = page_up(size)))
		return -EINVAL;
	u64 end = addr + size;
	struct vma *v = vma_find(mm, addr);
	if (!v || v->start >= end)
		return 0;
	if (v->start < addr && v->end > end && mm->vma_count >= MAX_MAP_COUNT)
		return -ENOMEM;
	if (vma_split(mm, addr) < 0 || vma_split(mm, end) < 0)
		return -ENOMEM;
	int r = host_unmap(addr, size);
	if (r < 0) {
		vma_merge(mm, addr, end);
		return r;
	}
	vma_remove_range(mm, addr, end);
	return 0;
}

bool vma_sealed(struct mm *mm, u64 start, u64 end)
{
	for (const struct vma *v = vma_find(mm, start); v && v->start < end; v = v->next)
		if (v->flags & VMA_SEALED)
			return true;
	return false;
}

int mm_seal(struct mm *mm, u64 addr, u64 size)
{
	const u64 end = addr + page_up(size);
	u64 at = addr;
	int r = 0;

	if ((addr & ~PAGE_MASK) || (size && !page_up(size)) || end < addr)
		return -EINVAL;
	lock(&mm->lock);
	for (const struct vma *v = vma_find(mm, addr); v && v->start <= at && at < end; v = v->next)
		at = v->end;
	if (at < end || vma_split(mm, addr) < 0 || vma_split(mm, end) < 0)
		r = -ENOMEM;
	for (struct vma *v = vma_find(mm, addr); !r && v && v->start < end; v = v->next)
		vma_set_flags(mm, v, v->flags | VMA_SEALED);
	vma_merge(mm, addr, end);
	unlock(&mm->lock);
	return r;
}

int mm_unmap(struct mm *mm, u64 addr, u64 size)
{
	lock(&mm->lock);
	int r = user_ok(addr, size) && vma_sealed(mm, addr, addr + page_up(size)) ? -EPERM : mm_unmap_locked(mm, addr, size);
	unlock(&mm->lock);
	return r;
}

/* How far [start,end) may get the new rights; the error of what stops it. */
static u64 protectable(struct mm *mm, u64 start, u64 end, u32 prot, int *err)
{
	u64 at = start, new_data = 0;
	*err = 0;
	for (struct vma *v = vma_find(mm, start); at < end; v = v->next) {
		if (!v || v->start > at) {
			*err = -ENOMEM;
			break;
		}
		if ((prot & VMA_WRITE) && !(v->flags & VMA_MAYWRITE)) {
			*err = -EACCES;
			break;
		}
		u64 part = MIN(v->end, end) - at;
		if (!vma_is_data(v->flags) && vma_is_data((v->flags & ~VMA_ACCESS) | prot))
			new_data += part;
		if (new_data && mm->data_vm + new_data > rlimit_get(RLIMIT_DATA_)) {
			*err = -ENOMEM;
			break;
		}
		at += part;
	}
	return at;
}

static int protect_locked(struct mm *mm, u64 start, u64 end, u32 prot)
{
	int err;
	u64 to = protectable(mm, start, end, prot, &err);
	if (to == start)
		return err;
	if (vma_sealed(mm, start, to))
		return -EPERM;
	struct vma *v = vma_find(mm, start);
	if ((v->start < start || v->end > to) && mm->vma_count >= MAX_MAP_COUNT - 1)
		return -ENOMEM;
	if (vma_split(mm, start) < 0 || vma_split(mm, to) < 0)
		return -ENOMEM;
	int r = host_protect(start, to - start, prot);
	if (r < 0) {
		vma_merge(mm, start, to);
		return r;
	}
	for (v = vma_find(mm, start); v && v->start < to; v = v->next)
		vma_set_flags(mm, v, (v->flags & ~VMA_ACCESS) | prot);
	vma_merge(mm, start, to);
	return err;
}

int mm_protect(struct mm *mm, u64 addr, u64 size, u32 prot)
{
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	prot &= ~(u32)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (!size)
		return 0;
	size = page_up(size);
	u64 end = addr + size;
	if (end <= addr)
		return -ENOMEM;
	if (prot & ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	prot &= VMA_ACCESS;
	int r;
	lock(&mm->lock);
	struct vma *v = vma_find(mm, addr);
	if (grows && (!v || (grows == PROT_GROWSDOWN ? v->start >= end : v->start > addr))) {
		r = -ENOMEM;
	} else if (grows && (grows == PROT_GROWSUP || !(v->flags & VMA_STACK))) {
		r = -EINVAL;
	} else {
		if (grows)
			addr = v->start;
		r = protect_locked(mm, addr, end, prot);
	}
	unlock(&mm->lock);
	return r;
}
