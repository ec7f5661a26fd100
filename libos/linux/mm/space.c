/* SPDX-License-Identifier: Apache-2.0
 *
 * Address spaces and the vmas in them: creation, splitting, joining, counting,
 * and the three calls that make the host do what a vma says. Knows nothing of
 * how mmap's arguments are judged.
 */
#include "vma.h"
#include "../lx/proc.h"
#include "../lx/time.h"

struct vma *vma_new(u64 start, u64 end, u32 flags, struct file *file, u64 offset)
{
	struct vma *v = kzalloc(sizeof(*v));
	if (!v)
		return NULL;
	v->start = start;
	v->end = end;
	v->flags = flags;
	v->file = file ? file_get(file) : NULL;
	v->offset = offset;
	if (file && file->ops->mapped)
		file->ops->mapped(file, 1);
	return v;
}

void vma_drop(struct vma *v)
{
	if (v->file && v->file->ops->mapped)
		v->file->ops->mapped(v->file, -1);
	if (v->file)
		file_put(v->file);
	kfree(v);
}

/* What RLIMIT_DATA counts. */
bool vma_is_data(u32 flags)
{
	return (flags & (VMA_WRITE | VMA_SHARED | VMA_STACK)) == VMA_WRITE;
}

static void account(struct mm *mm, u32 flags, u64 size, bool more)
{
	u64 n = more ? size : -size;
	mm->total_vm += n;
	if (mm->total_vm > mm->hiwater_vm)
		mm->hiwater_vm = mm->total_vm;
	if (vma_is_data(flags))
		mm->data_vm += n;
	if (flags & VMA_LOCKED)
		mm->locked_vm += n;
}

/* What it once was stays known. */
static u32 with_history(u32 flags, u32 old)
{
	flags |= old & (VMA_USED | VMA_WRITTEN);
	return flags | (flags & VMA_ACCESS ? VMA_USED : 0) | (flags & VMA_WRITE ? VMA_WRITTEN : 0);
}

void vma_add(struct mm *mm, struct vma *v)
{
	v->flags = with_history(v->flags, 0);
	vma_insert(mm, v);
	account(mm, v->flags, v->end - v->start, true);
}

void vma_set_flags(struct mm *mm, struct vma *v, u32 flags)
{
	account(mm, v->flags, v->end - v->start, false);
	v->flags = flags = with_history(flags, v->flags);
	account(mm, flags, v->end - v->start, true);
}

int vma_split(struct mm *mm, u64 addr)
{
	struct vma *v = vma_find(mm, addr);
	if (!v || v->start >= addr)
		return 0;
	struct vma *upper = vma_new(addr, v->end, v->flags, v->file, v->file ? v->offset + (addr - v->start) : 0);
	if (!upper)
		return -ENOMEM;
	memcpy(upper->name, v->name, sizeof(v->name));
	vma_resize(mm, v, v->start, addr);
	vma_insert(mm, upper);
	return 0;
}

void vma_remove_range(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);
	while (v && v->start < end) {
		struct vma *next = v->next;
		account(mm, v->flags, v->end - v->start, false);
		vma_erase(mm, v);
		vma_drop(v);
		v = next;
	}
}

static bool can_join(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->flags == b->flags && a->file == b->file && !(a->flags & VMA_STACK) &&
	       (!a->file || a->offset + (a->end - a->start) == b->offset) && !memcmp(a->name, b->name, sizeof(a->name));
}

void vma_merge(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);
	if (!v)
		return;
	if (v->prev)
		v = v->prev;
	while (v->next && v->start <= end) {
		struct vma *next = v->next;
		if (!can_join(v, next)) {
			v = next;
			continue;
		}
		u64 new_end = next->end;
		vma_erase(mm, next);
		vma_drop(next);
		vma_resize(mm, v, v->start, new_end);
	}
}

/* ---- the host ---- */

static u32 host_prot(u32 flags) { return flags & VMA_ACCESS; } /* the same bits */

int host_map(const struct vma *v, u32 modifiers)
{
	u64 size = v->end - v->start;
	if (v->file)
		return v->file->ops->mmap(v->file, v->start, size, v->flags, v->offset);
	void *a = (void *)v->start;
	if ((v->flags & VMA_NORESERVE) || !(v->flags & VMA_ACCESS))
		modifiers |= PICO_VM_NORESERVE;
	s64 r = Dk(VirtualMemoryAllocate)(&a, size, PICO_VM_COMMIT | PICO_VM_FIXED | modifiers, host_prot(v->flags), NULL, 0);
	return r < 0 ? (int)r : 0;
}

int host_discard(const struct mm *mm, const struct vma *v, u64 start, u64 end)
{
	struct vma part = *v;

	if (!mm->restored) {
		s64 r = Dk(VirtualMemoryFree)((void *)start, end - start, PICO_VM_DISCARD);
		return r < 0 ? (int)r : 0;
	}
	/* Below it may be a snapshot's pages, which would come back. */
	part.start = start;
	part.end = end;
	part.offset = v->offset + (start - v->start);
	return host_map(&part, 0);
}

int host_unmap(u64 start, u64 size)
{
	s64 r = Dk(VirtualMemoryFree)((void *)start, size, PICO_VM_RELEASE);
	return r < 0 ? (int)r : 0;
}

int host_protect(u64 start, u64 size, u32 vma_flags)
{
	s64 r = Dk(VirtualMemoryProtect)((void *)start, size, host_prot(vma_flags));
	return r < 0 ? (int)r : 0;
}

/* ---- address spaces ---- */

struct mm *mm_create(void)
{
	struct mm *mm = kzalloc(sizeof(*mm));
	if (mm) {
		mm->id = __atomic_add_fetch(&K->last_mm, 1, __ATOMIC_RELAXED);
		ref_init(&mm->ref);
		mm->users = 1;
	}
	return mm;
}

void mm_put(struct mm *mm)
{
	if (!mm || !ref_put(&mm->ref))
		return;
	vma_remove_range(mm, 0, PICO_GUEST_END);
	kfree(mm);
}

/* The pages themselves go with the picoprocess, or were taken over by exec. */
void mm_leave(struct mm *mm)
{
	if (__atomic_sub_fetch(&mm->users, 1, __ATOMIC_ACQ_REL))
		return;
	lock(&mm->lock);
	vma_remove_range(mm, 0, PICO_GUEST_END);
	unlock(&mm->lock);
	aio_exit(mm);
	remote_end(mm);
	mm_put(mm);
}

static bool copy_vmas(struct mm *child, const struct mm *parent)
{
	for (const struct vma *v = parent->first; v; v = v->next) {
		if (v->flags & VMA_DONTFORK)
			continue;
		struct vma *n = vma_new(v->start, v->end, v->flags & ~VMA_LOCKED, v->file, v->offset);
		if (!n)
			return false;
		memcpy(n->name, v->name, sizeof(v->name));
		vma_add(child, n);
	}
	return true;
}

struct mm *mm_fork(struct mm *parent)
{
	struct mm *mm = mm_create();
	if (!mm)
		return NULL;
	mm->restored = parent->restored;
	memcpy(mm->islands, parent->islands, sizeof(mm->islands));
	bool ok = copy_vmas(mm, parent);
	mm->brk_start = parent->brk_start;
	mm->brk = parent->brk;
	mm->stack_top = parent->stack_top;
	mm->stack_limit_bottom = parent->stack_limit_bottom;
	mm->mmap_base = parent->mmap_base;
	mm->arg_start = parent->arg_start;
	mm->arg_end = parent->arg_end;
	mm->env_start = parent->env_start;
	mm->env_end = parent->env_end;
	mm->vdso = parent->vdso;
	memcpy(mm->auxv, parent->auxv, sizeof(mm->auxv));
	mm->auxv_count = parent->auxv_count;
	mm->start_code = parent->start_code;
	mm->end_code = parent->end_code;
	mm->brk_mapped_end = parent->brk_mapped_end;
	mm->hiwater_rss = parent->hiwater_rss;
	if (!ok) {
		mm_put(mm);
		return NULL;
	}
	return mm;
}

bool mm_next_vma(struct mm *mm, u64 addr, struct vma *out)
{
	lock(&mm->lock);
	struct vma *v = vma_find(mm, addr);
	if (v) {
		*out = *v;
		if (out->file)
			file_get(out->file);
	}
	unlock(&mm->lock);
	return v != NULL;
}

int mm_futex_key(struct mm *mm, uaddr a, bool shared, struct futex_key *key)
{
	if (!user_ok(a, 4))
		return -EFAULT;
	key->object = (u64)mm;
	key->offset = a;
	if (!shared)
		return 0;
	lock(&mm->lock);
	struct vma *v = vma_find(mm, a);
	int r = v && v->start <= a && (v->flags & VMA_ACCESS) ? 0 : -EFAULT;
	if (!r && (v->flags & VMA_SHARED) && v->file) {
		const u64 page = v->offset + (ALIGN_DOWN(a, PAGE_SIZE) - v->start);
		if (v->file->ops->grown && !v->file->ops->grown(v->file, page))
			r = -EFAULT; /* the file has shrunk */
		key->object = v->file->inode ? (u64)v->file->inode : (u64)v->file;
		key->offset = v->offset + (a - v->start);
	}
	unlock(&mm->lock);
	return r;
}
