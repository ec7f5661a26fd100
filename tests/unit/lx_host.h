/* SPDX-License-Identifier: Apache-2.0
 *
 * Lets a unit test include sources of the Linux library OS and run them in an
 * ordinary process: an ABI page whose memory calls are the system's own, the
 * segment at its address, locks that spin. Include criterion before this.
 */
#ifndef LX_HOST_H
#define LX_HOST_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#undef MIN
#undef MAX
#include "../../libos/linux/lx/task.h"

#define HOST_SEGMENT_SIZE (1ull << 30)

void lock_slow(struct lock *l)
{
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE))
		sched_yield();
}

void unlock_slow(struct lock *l __attribute__((unused))) { }

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

static uint64_t host_removed; /* bytes given back */

static int64_t host_free(void *address, uint64_t size, uint32_t flags)
{
	if (flags != PICO_VM_REMOVE)
		return -PICO_EINVAL;
	__atomic_fetch_add(&host_removed, size, __ATOMIC_RELAXED);
	return madvise(address, size, MADV_REMOVE) ? -PICO_EINVAL : 0;
}

static inline struct pico_abi_page *host_setup(void)
{
	struct pico_abi_page *page = mmap((void *)PICO_ABI_PAGE, sizeof(*page), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	int fd = memfd_create("segment", 0);
	if (fd < 0 || ftruncate(fd, HOST_SEGMENT_SIZE))
		abort();
	void *segment = mmap((void *)PICO_SEGMENT_BASE, HOST_SEGMENT_SIZE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	if (page != (void *)PICO_ABI_PAGE || segment != (void *)PICO_SEGMENT_BASE)
		abort();
	page->call.VirtualMemoryFree = host_free;
	K->segment_handle = fd;
	return page;
}

#endif
