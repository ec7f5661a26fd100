/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside mm/ only: the vma tree and the pieces of the mmap family that the
 * program loader shares. mm->lock is held for everything here.
 */
#ifndef LX_MM_VMA_H
#define LX_MM_VMA_H

#include "../lx/fs.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/task.h"
#include "../lx/uaccess.h"

#define MAX_MAP_COUNT (K->knobs.max_map_count)
#define STACK_GUARD (256 * PAGE_SIZE)
#define VMA_ACCESS (VMA_READ | VMA_WRITE | VMA_EXEC)

/* ---- the tree ---- */
struct vma *vma_find(const struct mm *mm, u64 addr); /* first that ends above addr */
void vma_insert(struct mm *mm, struct vma *v); /* overlaps nothing */
void vma_erase(struct mm *mm, struct vma *v);
void vma_resize(struct mm *mm, struct vma *v, u64 start, u64 end); /* keeps the order */
/* The highest (lowest) place for size bytes in [low,high) that leaves stacks their guard gap; 0: none. */
u64 vma_gap_down(const struct mm *mm, u64 size, u64 low, u64 high);
u64 vma_gap_up(const struct mm *mm, u64 size, u64 low, u64 high);
static inline u64 vma_low(const struct vma *v) /* its start, less a stack's guard gap */
{
	return !(v->flags & VMA_STACK) ? v->start : v->start > STACK_GUARD ? v->start - STACK_GUARD : 0;
}

/* ---- vma objects ---- */
struct vma *vma_new(u64 start, u64 end, u32 flags, struct file *file, u64 offset); /* takes its own file reference */
void vma_drop(struct vma *v);
int vma_split(struct mm *mm, u64 addr); /* a vma that spans addr becomes two; -ENOMEM */
void vma_add(struct mm *mm, struct vma *v); /* insert and account */
void vma_remove_range(struct mm *mm, u64 start, u64 end); /* whole vmas; bookkeeping only */
void vma_merge(struct mm *mm, u64 start, u64 end); /* joins what can be joined in and around the range */
bool vma_sealed(struct mm *mm, u64 start, u64 end); /* something in there; mm->lock held */
int mm_seal(struct mm *mm, u64 addr, u64 size);
void vma_set_flags(struct mm *mm, struct vma *v, u32 flags); /* with accounting */
bool vma_is_data(u32 flags);

/* ---- the host's side ---- */
int host_map(const struct vma *v, u32 modifiers); /* v as it says, over what is there */
int host_unmap(u64 start, u64 size);
/* Drops what is in [start,end) of a private v: zero, or the file's, from now on. */
int host_discard(const struct mm *mm, const struct vma *v, u64 start, u64 end);
int host_protect(u64 start, u64 size, u32 vma_flags);

/* ---- mmap ---- */
bool mm_may_expand(struct mm *mm, u32 vma_flags, u64 size); /* RLIMIT_AS, RLIMIT_DATA */
u64 mm_find_area(struct mm *mm, u64 hint, u64 size, u32 map_flags); /* 0: none */
s64 mm_map_locked(struct mm *mm, u64 addr, u64 size, u32 prot, u32 flags, struct file *file, u64 offset);
int mm_unmap_locked(struct mm *mm, u64 addr, u64 size);
int mm_protect(struct mm *mm, u64 addr, u64 size, u32 prot);
s64 mm_remap(struct mm *mm, u64 addr, u64 old_size, u64 new_size, u32 flags, u64 new_addr);
u64 mm_brk(struct mm *mm, u64 brk);
int mm_advise(struct mm *mm, u64 addr, u64 size, int advice);
int mm_sync(struct mm *mm, u64 addr, u64 size, int flags);
int mm_lock(struct mm *mm, u64 addr, u64 size, bool set, bool on_fault);
int mm_lock_all(struct mm *mm, int flags); /* 0: unlock all */
int mm_resident(struct mm *mm, u64 addr, u64 size, uaddr vec);
void mm_populate(struct mm *mm, u64 addr, u64 size); /* no lock held; best effort */
bool mm_can_lock(struct mm *mm, u64 more, int *err);
static inline u64 page_up(u64 x) { return (x + PAGE_SIZE - 1) & PAGE_MASK; } /* 0 when it overflows */

/* ---- vDSO ---- */
int vdso_map(struct mm *mm); /* into a new address space; sets mm->vdso */

#endif
