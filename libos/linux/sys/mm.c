/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls about the address space: arguments taken apart, the work is in
 * mm/. Calls for NUMA, userfaultfd and the like are absent, as on a kernel
 * built without them.
 */
#include "../lx/syscall.h"
#include "../mm/vma.h"
#include <linux/mman.h>

SYSCALL(mmap)
{
	u64 addr = a[0], size = a[1], offset = a[5];
	u32 prot = (u32)a[2], flags = (u32)a[3];
	struct file *file = NULL;
	if (offset & ~PAGE_MASK)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		file = fd_get((int)a[4]);
		if (!file)
			return -EBADF;
		if (flags & MAP_HUGETLB) {
			file_put(file);
			return -EINVAL;
		}
	} else if (flags & MAP_HUGETLB) {
		u32 log = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
		return log && log != 21 && log != 30 ? -EINVAL : -ENOMEM; /* no huge page is set aside */
	}
	s64 r = mm_map(current->mm, addr, size, prot, flags, file, offset);
	if (file)
		file_put(file);
	return r;
}

/* The pages of a shared mapping in another order: each call is a mapping of the same file at another place. */
SYSCALL(remap_file_pages)
{
	const u64 start = a[0] & PAGE_MASK, size = a[1] & PAGE_MASK, page = a[3];
	struct vma v, next;
	s64 r = -EINVAL;

	if (a[2] || start + size <= start || page + (size >> PAGE_SHIFT) < page || page > ~0ull >> PAGE_SHIFT)
		return -EINVAL;
	if (!mm_next_vma(current->mm, start, &v))
		return -EINVAL;
	if (v.start > start || !(v.flags & VMA_SHARED) || !v.file)
		goto out;
	for (u64 end = v.end; end < start + size; end = next.end) { /* made of pieces by an earlier call */
		if (!mm_next_vma(current->mm, end, &next))
			goto out;
		bool same = next.start == end && next.file == v.file && next.flags == v.flags;
		if (next.file)
			file_put(next.file);
		if (!same)
			goto out;
	}
	lock(&current->mm->lock); /* what is there goes first: it may be the last of a removed segment */
	r = mm_unmap_locked(current->mm, start, size);
	if (!r)
		r = mm_map_locked(current->mm, start, size, v.flags & VMA_ACCESS, MAP_SHARED | MAP_FIXED | (a[4] & MAP_NONBLOCK), v.file,
			page << PAGE_SHIFT);
	unlock(&current->mm->lock);
	r = r < 0 ? r : 0;
out:
	if (v.file)
		file_put(v.file);
	return r;
}

SYSCALL(munmap) { return mm_unmap(current->mm, a[0], a[1]); }
SYSCALL(mprotect) { return mm_protect(current->mm, a[0], a[1], (u32)a[2]); }
SYSCALL(mremap) { return mm_remap(current->mm, a[0], a[1], a[2], (u32)a[3], a[4]); }
SYSCALL(brk) { return (s64)mm_brk(current->mm, a[0]); }
SYSCALL(madvise) { return mm_advise(current->mm, a[0], a[1], (int)a[2]); }
SYSCALL(msync) { return mm_sync(current->mm, a[0], a[1], (int)a[2]); }
SYSCALL(mincore) { return mm_resident(current->mm, a[0], a[1], a[2]); }
SYSCALL(mlock) { return mm_lock(current->mm, a[0], a[1], true, false); }
SYSCALL(munlock) { return mm_lock(current->mm, a[0], a[1], false, false); }
SYSCALL(munlockall) { return mm_lock_all(current->mm, 0); }

SYSCALL(mseal) { return a[2] ? -EINVAL : mm_seal(current->mm, a[0], a[1]); }

SYSCALL(mlock2)
{
	if (a[2] & ~(u64)MLOCK_ONFAULT)
		return -EINVAL;
	return mm_lock(current->mm, a[0], a[1], true, a[2] != 0);
}

SYSCALL(mlockall) { return (int)a[0] ? mm_lock_all(current->mm, (int)a[0]) : -EINVAL; }

/* prctl(PR_SET_VMA), prctl(PR_SET_MM): as in a kernel without CONFIG_ANON_VMA_NAME and CONFIG_CHECKPOINT_RESTORE. */
s64 prctl_set_vma(const u64 *a);
s64 prctl_set_mm(const u64 *a);
s64 prctl_set_vma(const u64 *a __attribute__((unused))) { return -EINVAL; }
s64 prctl_set_mm(const u64 *a __attribute__((unused))) { return -EINVAL; }

/* No protection keys in this processor, as far as a program can tell. */
SYSCALL(pkey_alloc)
{
	return a[0] || (a[1] & ~3ull) ? -EINVAL : -ENOSPC;
}

SYSCALL(pkey_free) { return -EINVAL; }

SYSCALL(pkey_mprotect)
{
	return (int)a[3] == -1 ? mm_protect(current->mm, a[0], a[1], (u32)a[2]) : -EINVAL;
}
