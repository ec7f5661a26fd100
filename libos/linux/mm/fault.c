/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fault of a program means, stacks that grow, and access to a program's
 * memory past its own protection. Knows nothing of signals but their numbers.
 */
#include "vma.h"

#define RLIMIT_STACK_ 3
enum { SIG_BUS = 7, SIG_SEGV = 11 };
enum { MAP_ERROR = 1, ACCESS_ERROR = 2 }; /* si_code of SIGSEGV */
enum { ADDRESS_ERROR = 2 }; /* of SIGBUS */
#define FAULT_WRITE 2u /* x86 page-fault error code */
#define FAULT_FETCH 16u

/* v is the stack above addr. It may grow as far as its limit and its guard gap allow. */
static bool grow_stack(struct mm *mm, struct vma *v, u64 addr)
{
	u64 start = addr & PAGE_MASK, more = v->start - start;
	if (start < PICO_GUEST_BASE || v->end - start > rlimit_get(RLIMIT_STACK_))
		return false;
	const struct vma *prev = v->prev;
	if (prev && !(prev->flags & VMA_STACK) && (prev->flags & VMA_ACCESS) && start < prev->end + STACK_GUARD)
		return false;
	if (prev && start < prev->end)
		return false;
	if (!mm_may_expand(mm, v->flags, more))
		return false;
	struct vma part = *v;
	part.start = start;
	part.end = v->start;
	if (host_map(&part, 0) < 0)
		return false;
	vma_resize(mm, v, start, v->end);
	mm->total_vm += more;
	if (v->flags & VMA_LOCKED)
		mm->locked_vm += more;
	return true;
}

/* The mapping allows the access: another thread made it so meanwhile, or the
 * object behind it ends before this page. Trying says which; under the lock,
 * so that what is tried is what the vma says. */
static bool try_again(const struct vma *v, u64 addr, u32 want)
{
	u64 word_at = addr & ~3ull;
	u32 word;
	if (want == VMA_WRITE)
		return user_or_u32(word_at, 0, &word) == 0;
	if (want == VMA_EXEC && host_protect(addr & PAGE_MASK, PAGE_SIZE, v->flags) < 0)
		return false;
	return user_load_u32(word_at, &word) == 0;
}

/* The file behind v has grown over this page since it was mapped. */
static bool file_grown(struct vma *v, u64 addr)
{
	u64 start = addr & PAGE_MASK;
	struct vma part = *v;
	if (!v->file || !v->file->ops->grown || !v->file->ops->grown(v->file, v->offset + (start - v->start)))
		return false;
	part.start = start;
	part.offset += start - v->start;
	return host_map(&part, 0) >= 0;
}

int mm_fault(struct mm *mm, u64 addr, u32 error, int *code)
{
	u32 want = error & FAULT_FETCH ? VMA_EXEC : error & FAULT_WRITE ? VMA_WRITE : VMA_ACCESS;
	int signo = SIG_SEGV;

	lock(&mm->lock);
	struct vma *v = vma_find(mm, addr);
	if (!v || v->start > addr) {
		*code = MAP_ERROR;
		if (v && (v->flags & VMA_STACK) && grow_stack(mm, v, addr))
			signo = 0;
	} else if (!(v->flags & want)) {
		*code = ACCESS_ERROR;
	} else if (try_again(v, addr, want) || (file_grown(v, addr) && try_again(v, addr, want))) {
		signo = 0;
	} else {
		signo = SIG_BUS;
		*code = ADDRESS_ERROR;
	}
	unlock(&mm->lock);
	return signo;
}

/* One stretch inside one vma. mm->lock held. */
static int access_part(const struct vma *v, u64 addr, void *buf, u64 size, bool write)
{
	u32 need = write ? VMA_READ | VMA_WRITE : VMA_READ;
	u64 start = addr & PAGE_MASK, span = page_up(addr + size) - start;
	if (write && !(v->flags & VMA_MAYWRITE))
		return -EFAULT;
	if ((v->flags & need) != need && host_protect(start, span, v->flags | need) < 0)
		return -EFAULT;
	int r = write ? copy_to_user(addr, buf, size) : copy_from_user(buf, addr, size);
	if ((v->flags & need) != need)
		host_protect(start, span, v->flags);
	return r;
}

s64 mm_access(struct mm *mm, u64 addr, void *buf, size_t size, bool write)
{
	u64 done = 0;
	if (mm != current->mm)
		return -EIO;
	lock(&mm->lock);
	while (done < size) {
		struct vma *v = vma_find(mm, addr + done);
		if (!v || v->start > addr + done)
			break;
		if (write)
			v->flags |= VMA_USED | VMA_WRITTEN;
		u64 n = MIN(size - done, v->end - (addr + done));
		if (access_part(v, addr + done, (char *)buf + done, n, write) < 0)
			break;
		done += n;
	}
	unlock(&mm->lock);
	return done ? (s64)done : size ? -EFAULT : 0;
}
