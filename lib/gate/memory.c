/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory downcalls and mappings of streams: all of class KERNEL.
 */
#include <linux/mman.h>
#include "gate.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define MREMAP_MAYMOVE_ 1u
#define MREMAP_FIXED_ 2u
#define MREMAP_DONTUNMAP_ 4u

static bool page_multiple(uint64_t v) { return !(v & (PICO_PAGE_SIZE - 1)); }

static const struct { uint32_t flag; int advice; } advices[] = {
	{ PICO_VM_HUGE, MADV_HUGEPAGE },
	{ PICO_VM_NO_HUGE, MADV_NOHUGEPAGE },
	{ PICO_VM_WIPE_ON_FORK, MADV_WIPEONFORK },
	{ PICO_VM_KEEP_ON_FORK, MADV_KEEPONFORK },
	{ PICO_VM_DONT_FORK, MADV_DONTFORK },
	{ PICO_VM_DO_FORK, MADV_DOFORK },
	{ PICO_VM_WILL_NEED, MADV_WILLNEED },
};
#define ADVICE_FLAGS (PICO_VM_HUGE | PICO_VM_NO_HUGE | PICO_VM_WIPE_ON_FORK | PICO_VM_KEEP_ON_FORK | PICO_VM_DONT_FORK | PICO_VM_DO_FORK | PICO_VM_WILL_NEED)
#define ALLOCATE_FLAGS (0x1fu | PICO_VM_FIXED | PICO_VM_NOREPLACE | PICO_VM_IN_PLACE | PICO_VM_KEEP_SOURCE | PICO_VM_NORESERVE | PICO_VM_POPULATE | ADVICE_FLAGS)

static int64_t advise(uint64_t address, uint64_t size, uint32_t flags)
{
	for (unsigned i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (flags & advices[i].flag) {
			int64_t r = gate_call(__NR_madvise, address, size, (uint64_t)advices[i].advice, 0, 0, 0);
			/* Kernels without huge pages say EINVAL: advice may go unheard. */
			if (r < 0 && !(r == -PICO_EINVAL && (flags & (PICO_VM_HUGE | PICO_VM_NO_HUGE))))
				return r == -PICO_EBADF ? -PICO_EINVAL : r;
		}
	return 0;
}

static int64_t move(uint64_t *address, uint64_t size, uint32_t flags, uint64_t source, uint64_t source_size)
{
	uint64_t how = 0;

	if (!page_multiple(source) || !source_size)
		return -PICO_EINVAL;
	if (!(flags & PICO_VM_IN_PLACE))
		how |= MREMAP_MAYMOVE_;
	if (flags & PICO_VM_FIXED)
		how |= MREMAP_MAYMOVE_ | MREMAP_FIXED_;
	if (flags & PICO_VM_KEEP_SOURCE)
		how |= MREMAP_MAYMOVE_ | MREMAP_DONTUNMAP_;
	int64_t r = gate_call(__NR_mremap, source, source_size, size, how, *address, 0);
	if (r < 0)
		return r == -PICO_EAGAIN ? -PICO_ENOMEM : r;
	*address = (uint64_t)r;
	return 0;
}

int64_t pico_gate_VirtualMemoryAllocate(void **address, uint64_t size, uint32_t flags, uint32_t prot, void *source, uint64_t source_size)
{
	uint64_t at, kind = flags & 0x1f;
	int64_t r;

	if (pico_gate_copy(&at, address, sizeof(at)))
		return -PICO_EFAULT;
	if ((flags & ~ALLOCATE_FLAGS) || !kind || (kind & (kind - 1)) || !size || !page_multiple(at) || prot > 7 ||
	    ((flags & PICO_VM_FIXED) && (flags & PICO_VM_NOREPLACE)))
		return -PICO_EINVAL;
	size = (size + PICO_PAGE_SIZE - 1) & ~(PICO_PAGE_SIZE - 1);
	if (!size)
		return -PICO_ENOMEM;
	switch (kind) {
	case PICO_VM_RESET:
		r = gate_call(__NR_madvise, at, size, MADV_FREE, 0, 0, 0);
		return r;
	case PICO_VM_ADVISE:
		return advise(at, size, flags);
	case PICO_VM_MOVE:
		r = move(&at, size, flags, (uint64_t)source, source_size);
		break;
	default: {
		uint64_t map = MAP_PRIVATE | MAP_ANONYMOUS;
		if (kind == PICO_VM_RESERVE) {
			prot = PICO_PROT_NONE;
			map |= MAP_NORESERVE;
		}
		if (flags & PICO_VM_NORESERVE)
			map |= MAP_NORESERVE;
		if (flags & PICO_VM_FIXED)
			map |= MAP_FIXED;
		if (flags & PICO_VM_NOREPLACE)
			map |= MAP_FIXED_NOREPLACE;
		if (flags & PICO_VM_POPULATE)
			map |= MAP_POPULATE;
		r = gate_call(__NR_mmap, at, size, prot, map, (uint64_t)-1, 0);
		if (r > 0) {
			if ((flags & PICO_VM_NOREPLACE) && (uint64_t)r != at) {
				gate_call(__NR_munmap, (uint64_t)r, size, 0, 0, 0, 0);
				return -PICO_EEXIST;
			}
			at = (uint64_t)r;
			r = 0;
		}
		if (!r && (flags & ADVICE_FLAGS))
			r = advise(at, size, flags);
	}
	}
	if (r < 0)
		return r == -PICO_EPERM || r == -PICO_EAGAIN || r == -PICO_EOVERFLOW ? -PICO_ENOMEM : r;
	return pico_gate_copy(address, &at, sizeof(at));
}

int64_t pico_gate_VirtualMemoryFree(void *address, uint64_t size, uint32_t flags)
{
	uint64_t a = (uint64_t)address;

	if (!page_multiple(a) || !size)
		return -PICO_EINVAL;
	switch (flags) {
	case PICO_VM_RELEASE: return gate_call(__NR_munmap, a, size, 0, 0, 0, 0);
	case PICO_VM_DISCARD: return gate_call(__NR_madvise, a, size, MADV_DONTNEED, 0, 0, 0);
	case PICO_VM_LAZY_DISCARD: return gate_call(__NR_madvise, a, size, MADV_FREE, 0, 0, 0);
	case PICO_VM_REMOVE: return gate_call(__NR_madvise, a, size, MADV_REMOVE, 0, 0, 0);
	default: return -PICO_EINVAL;
	}
}

int64_t pico_gate_VirtualMemoryProtect(void *address, uint64_t size, uint32_t prot)
{
	if (!page_multiple((uint64_t)address) || prot > 7)
		return -PICO_EINVAL;
	return gate_call(__NR_mprotect, (uint64_t)address, size, prot, 0, 0, 0);
}

int64_t pico_gate_StreamMap(pico_handle stream, void **address, uint32_t prot, uint64_t offset, uint64_t size, uint32_t flags)
{
	uint64_t at, map, share = flags & (PICO_MAP_SHARED | PICO_MAP_PRIVATE);

	if (PICO_HANDLE_TYPE(stream) == PICO_HT_MONITOR && stream > 0)
		return -PICO_ENODEV;
	if (PICO_HANDLE_TYPE(stream) != PICO_HT_STREAM || stream < PICO_FIRST_FD)
		return -PICO_EBADF;
	if (pico_gate_copy(&at, address, sizeof(at)))
		return -PICO_EFAULT;
	if ((flags & ~(PICO_MAP_SHARED | PICO_MAP_PRIVATE | PICO_MAP_FIXED | PICO_MAP_NOREPLACE | PICO_MAP_POPULATE)) ||
	    (share != PICO_MAP_SHARED && share != PICO_MAP_PRIVATE) || prot > 7 || !size || !page_multiple(at) || !page_multiple(offset))
		return -PICO_EINVAL;
	map = share == PICO_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE;
	if (flags & PICO_MAP_FIXED)
		map |= MAP_FIXED;
	if (flags & PICO_MAP_NOREPLACE)
		map |= MAP_FIXED_NOREPLACE;
	if (flags & PICO_MAP_POPULATE)
		map |= MAP_POPULATE;
	int64_t r = gate_call(__NR_mmap, at, size, prot, map, (uint64_t)stream, offset);
	if (r < 0)
		return r == -PICO_EAGAIN || r == -PICO_EOVERFLOW ? -PICO_ENOMEM : r;
	if ((flags & PICO_MAP_NOREPLACE) && (uint64_t)r != at) {
		gate_call(__NR_munmap, (uint64_t)r, size, 0, 0, 0, 0);
		return -PICO_EEXIST;
	}
	return pico_gate_copy(address, &r, sizeof(r));
}

int64_t pico_gate_StreamUnmap(void *address, uint64_t size)
{
	if (!page_multiple((uint64_t)address) || !size)
		return -PICO_EINVAL;
	return gate_call(__NR_munmap, (uint64_t)address, size, 0, 0, 0, 0);
}
