/* SPDX-License-Identifier: Apache-2.0
 *
 * madvise, msync, mlock and mincore: calls over a range of existing mappings.
 * A piece of advice is a row of a table: flags it changes here, what the host
 * is told, or a function. What the host does with memory that is locked is its
 * own affair; locking here is bookkeeping and touching.
 */
#include "vma.h"
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/mman.h>

#define RLIMIT_MEMLOCK_ 8

#define WANT_ANON 1u /* private anonymous memory only, else -EINVAL */
#define WANT_UNLOCKED 2u /* -EINVAL when locked */

struct advice {
	u32 set, clear, host, want;
	int (*fn)(struct mm *mm, struct vma *v, u64 start, u64 end);
	bool valid;
};

static int discard(struct mm *mm, struct vma *v, u64 start, u64 end)
{
	/* Of shared memory only the page tables would go: nobody can tell. */
	if (v->flags & VMA_SHARED)
		return 0;
	return host_discard(mm, v, start, end);
}

static int discard_lazily(struct mm *mm, struct vma *v __attribute__((unused)), u64 start, u64 end)
{
	if (mm->restored)
		return 0; /* never is as late as one likes */
	return (int)MIN(0, Dk(VirtualMemoryFree)((void *)start, end - start, PICO_VM_LAZY_DISCARD));
}

static int remove_pages(struct mm *mm __attribute__((unused)), struct vma *v, u64 start, u64 end)
{
	if (!v->file)
		return -EINVAL;
	if ((v->flags & (VMA_SHARED | VMA_WRITE)) != (VMA_SHARED | VMA_WRITE))
		return -EACCES;
	if (!v->file->ops->fallocate)
		return -EOPNOTSUPP;
	return v->file->ops->fallocate(v->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, v->offset + (start - v->start), end - start);
}

static const struct advice advices[] = {
	[MADV_NORMAL] = { .valid = true },
	[MADV_RANDOM] = { .valid = true },
	[MADV_SEQUENTIAL] = { .valid = true },
	[MADV_WILLNEED] = { .valid = true, .host = PICO_VM_WILL_NEED },
	[MADV_DONTNEED] = { .valid = true, .want = WANT_UNLOCKED, .fn = discard },
	[MADV_FREE] = { .valid = true, .want = WANT_ANON | WANT_UNLOCKED, .fn = discard_lazily },
	[MADV_REMOVE] = { .valid = true, .want = WANT_UNLOCKED, .fn = remove_pages },
	[MADV_DONTFORK] = { .valid = true, .set = VMA_DONTFORK, .host = PICO_VM_DONT_FORK },
	[MADV_DOFORK] = { .valid = true, .clear = VMA_DONTFORK, .host = PICO_VM_DO_FORK },
	[MADV_WIPEONFORK] = { .valid = true, .want = WANT_ANON, .set = VMA_WIPEONFORK, .host = PICO_VM_WIPE_ON_FORK },
	[MADV_KEEPONFORK] = { .valid = true, .clear = VMA_WIPEONFORK, .host = PICO_VM_KEEP_ON_FORK },
	[MADV_DONTDUMP] = { .valid = true, .set = VMA_DONTDUMP },
	[MADV_DODUMP] = { .valid = true, .clear = VMA_DONTDUMP },
	[MADV_HUGEPAGE] = { .valid = true, .host = PICO_VM_HUGE },
	[MADV_NOHUGEPAGE] = { .valid = true, .host = PICO_VM_NO_HUGE },
	[MADV_COLD] = { .valid = true, .want = WANT_UNLOCKED },
	[MADV_PAGEOUT] = { .valid = true, .want = WANT_UNLOCKED },
};

static int advise_one(struct mm *mm, const struct advice *a, struct vma *v, u64 start, u64 end)
{
	if ((a->want & WANT_ANON) && (v->file || (v->flags & VMA_SHARED)))
		return -EINVAL;
	if ((a->want & WANT_UNLOCKED) && (v->flags & VMA_LOCKED))
		return -EINVAL;
	if (a->host) {
		void *p = (void *)start;
		s64 r = Dk(VirtualMemoryAllocate)(&p, end - start, PICO_VM_ADVISE | a->host, 0, NULL, 0);
		if (r < 0 && (a->set | a->clear))
			return (int)r;
	}
	if (((v->flags | a->set) & ~a->clear) != v->flags) {
		if (vma_split(mm, start) < 0 || vma_split(mm, end) < 0)
			return -ENOMEM;
		v = vma_find(mm, start);
		vma_set_flags(mm, v, (v->flags | a->set) & ~a->clear);
	}
	return a->fn ? a->fn(mm, v, start, end) : 0;
}

/* Holes are passed over and remembered: the rest of the range is advised. */
static int advise_range(struct mm *mm, const struct advice *a, u64 start, u64 end)
{
	int hole = 0;
	for (u64 at = start; at < end;) {
		struct vma *v = vma_find(mm, at);
		if (!v || v->start >= end)
			return -ENOMEM;
		if (v->start > at) {
			hole = -ENOMEM;
			at = v->start;
		}
		u64 to = MIN(v->end, end);
		int r = advise_one(mm, a, v, at, to);
		if (r < 0)
			return r;
		at = to;
	}
	return hole;
}

/* One touch of a page; false: it cannot be there. */
static bool touch(u64 page, bool write)
{
	u32 word;
	return (write ? user_or_u32(page, 0, &word) : user_load_u32(page, &word)) == 0;
}

static int populate_range(struct mm *mm, u64 start, u64 end, bool write, bool strict)
{
	for (u64 at = start; at < end;) {
		lock(&mm->lock);
		struct vma *v = vma_find(mm, at);
		u32 flags = v && v->start <= at ? v->flags : 0;
		u64 to = v && v->start <= at ? MIN(v->end, end) : 0;
		unlock(&mm->lock);
		if (!to)
			return -ENOMEM;
		bool can = flags & (write ? VMA_WRITE : VMA_ACCESS);
		bool by_writing = write || (!strict && (flags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE);
		if (!can && strict)
			return -EINVAL;
		for (; can && at < to; at += PAGE_SIZE)
			if (!touch(at, by_writing)) {
				if (strict)
					return -EFAULT;
				break;
			}
		at = to;
	}
	return 0;
}

void mm_populate(struct mm *mm, u64 addr, u64 size) { populate_range(mm, addr, addr + size, false, false); }

static bool discards(int number)
{
	return number == MADV_DONTNEED || number == MADV_FREE || number == MADV_REMOVE || number == MADV_DONTFORK || number == MADV_WIPEONFORK;
}

/* What cannot be written cannot be thrown away either. */
static bool sealed_memory(struct mm *mm, u64 start, u64 end)
{
	for (const struct vma *v = vma_find(mm, start); v && v->start < end; v = v->next)
		if (v->flags & VMA_SEALED && !v->file && !(v->flags & VMA_WRITE))
			return true;
	return false;
}

int mm_advise(struct mm *mm, u64 addr, u64 size, int number)
{
	bool populate = number == MADV_POPULATE_READ || number == MADV_POPULATE_WRITE;
	const struct advice *a = number >= 0 && number < (int)ARRAY_SIZE(advices) ? &advices[number] : NULL;
	if (!populate && (!a || !a->valid))
		return (number == MADV_HWPOISON || number == 101) && !capable(CAP_SYS_ADMIN) ? -EPERM : -EINVAL;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	u64 end = addr + page_up(size);
	if ((size && !page_up(size)) || end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	if (populate)
		return populate_range(mm, addr, end, number == MADV_POPULATE_WRITE, true);
	lock(&mm->lock);
	int r = discards(number) && sealed_memory(mm, addr, end) ? -EPERM : advise_range(mm, a, addr, end);
	if (a->set | a->clear)
		vma_merge(mm, addr, end);
	unlock(&mm->lock);
	return r;
}

int mm_sync(struct mm *mm, u64 addr, u64 size, int flags)
{
	int hole = 0;
	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (addr & ~PAGE_MASK) || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	u64 end = addr + page_up(size);
	if (end < addr || (size && !page_up(size)))
		return -ENOMEM;
	for (u64 at = addr; at < end;) {
		struct file *f = NULL;
		lock(&mm->lock);
		struct vma *v = vma_find(mm, at);
		if (!v || v->start >= end) {
			unlock(&mm->lock);
			return -ENOMEM;
		}
		if (v->start > at)
			hole = -ENOMEM;
		bool busy = (flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED);
		if ((flags & MS_SYNC) && (v->flags & VMA_SHARED) && v->file && v->file->ops->fsync)
			f = file_get(v->file);
		at = v->end;
		unlock(&mm->lock);
		int r = busy ? -EBUSY : f ? f->ops->fsync(f, true) : 0; /* the medium may take its time: no lock */
		if (f)
			file_put(f);
		if (r < 0 && (busy || r != -EINVAL))
			return r;
	}
	return hole;
}

/* ---- locking ---- */

static u64 locked_in(const struct mm *mm, u64 start, u64 end)
{
	u64 sum = 0;
	for (const struct vma *v = vma_find(mm, start); v && v->start < end; v = v->next)
		if (v->flags & VMA_LOCKED)
			sum += MIN(v->end, end) - MAX(v->start, start);
	return sum;
}

static int set_locked(struct mm *mm, u64 start, u64 end, bool set)
{
	if (vma_split(mm, start) < 0 || vma_split(mm, end) < 0)
		return -ENOMEM;
	u64 at = start;
	for (struct vma *v = vma_find(mm, start); v && v->start == at && at < end; v = v->next) {
		vma_set_flags(mm, v, set ? v->flags | VMA_LOCKED : v->flags & ~VMA_LOCKED);
		at = v->end;
	}
	vma_merge(mm, start, end);
	return at < end ? -ENOMEM : 0;
}

int mm_lock(struct mm *mm, u64 addr, u64 size, bool set, bool on_fault)
{
	u64 limit = rlimit_get(RLIMIT_MEMLOCK_);
	bool free = capable(CAP_IPC_LOCK);
	if (set && !limit && !free)
		return -EPERM;
	size = page_up(size + (addr & ~PAGE_MASK));
	addr &= PAGE_MASK;
	u64 end = addr + size;
	if (end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	int r = -ENOMEM;
	lock(&mm->lock);
	if (!set || free || mm->locked_vm + size - locked_in(mm, addr, end) <= limit)
		r = set_locked(mm, addr, end, set);
	unlock(&mm->lock);
	if (!r && set && !on_fault)
		r = populate_range(mm, addr, end, false, false);
	return r;
}

int mm_lock_all(struct mm *mm, int flags)
{
	u64 limit = rlimit_get(RLIMIT_MEMLOCK_);
	bool free = capable(CAP_IPC_LOCK);
	if (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (flags && !limit && !free)
		return -EPERM;
	lock(&mm->lock);
	if (flags && !free && (flags & MCL_CURRENT) && mm->total_vm > limit) {
		unlock(&mm->lock);
		return -ENOMEM;
	}
	mm->def_flags = flags & MCL_FUTURE ? VMA_LOCKED : 0;
	if (!flags || (flags & MCL_CURRENT))
		for (struct vma *v = mm->first; v; v = v->next)
			vma_set_flags(mm, v, flags ? v->flags | VMA_LOCKED : v->flags & ~VMA_LOCKED);
	vma_merge(mm, 0, PICO_GUEST_END);
	unlock(&mm->lock);
	return 0;
}

/* Which pages are in memory only the host knows. What is sure: locked ones and
 * those of files, which are read from the host's cache; a program that asks of
 * untouched anonymous memory must not be told yes. */
int mm_resident(struct mm *mm, u64 addr, u64 size, uaddr vec)
{
	u8 answer[256];
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!user_ok(addr, size))
		return -ENOMEM;
	u64 pages = (size >> PAGE_SHIFT) + ((size & ~PAGE_MASK) != 0);
	if (!user_ok(vec, pages))
		return -EFAULT;
	while (pages) {
		u64 n = 0, chunk = MIN(pages, (u64)sizeof(answer));
		lock(&mm->lock);
		const struct vma *v = vma_find(mm, addr);
		for (; n < chunk && v && v->start <= addr; n++, addr += PAGE_SIZE) {
			answer[n] = v->file || (v->flags & (VMA_LOCKED | VMA_STACK));
			if (addr + PAGE_SIZE == v->end)
				v = v->next;
		}
		unlock(&mm->lock);
		if (!n)
			return -ENOMEM;
		if (copy_to_user(vec, answer, n) < 0)
			return -EFAULT;
		vec += n;
		pages -= n;
	}
	return 0;
}
