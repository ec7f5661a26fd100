/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the kernel itself: all of it in the shared segment.
 */
#ifndef LX_MEM_H
#define LX_MEM_H

#include "lock.h"

void mem_init(void *base, u64 size); /* once, on a fresh start; the kernel struct is at base */
void *kmalloc(size_t size); /* 16-byte aligned, any size; NULL: out of memory */
void *kzalloc(size_t size);
void *krealloc(void *p, size_t size);
void kfree(void *p); /* NULL ok */
char *kstrdup(const char *s);
char *kstrndup(const char *s, size_t n);
void *page_alloc(size_t pages); /* page-aligned, contiguous, zeroed; NULL: none */
void page_free(void *p, size_t pages); /* gives the memory back to the host */
u64 page_segment_offset(const void *p); /* where in the segment: for mapping the page elsewhere */
u64 page_segment_end(void); /* a mapping from here on is SIGBUS */
u64 mem_used(void); /* bytes in use: a leak test compares */

#endif
