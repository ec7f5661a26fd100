/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that several mappings share and no name leads to: what MAP_SHARED |
 * MAP_ANONYMOUS and /dev/zero map. Small pieces are pages of the segment, larger
 * ones a memory stream of the host, whose pages are taken when touched.
 */
#include "vma.h"
#include <asm/fcntl.h>
#include <linux/falloc.h>

#define SEGMENT_MOST (1ul << 20)

struct shm { u64 size; void *pages; pico_handle stream; };

/* Pages past the object's end are SIGBUS when touched, whatever mprotect says:
 * those of a stream by themselves, ours as pages past the segment's end. */
static int shm_mmap(struct file *f, u64 addr, u64 size, u32 flags, u64 offset)
{
	const struct shm *s = f->data;
	u64 inside = offset < s->size ? MIN(size, s->size - offset) : 0;
	u32 how = (flags & VMA_SHARED ? PICO_MAP_SHARED : PICO_MAP_PRIVATE) | PICO_MAP_FIXED, prot = flags & VMA_ACCESS;
	void *a = (void *)addr;
	s64 r = 0;
	if (!s->pages)
		return (int)MIN(0, Dk(StreamMap)(s->stream, &a, prot, offset, size, how));
	if (inside)
		r = Dk(StreamMap)(K->segment_handle, &a, prot, page_segment_offset(s->pages) + offset, inside, how);
	if (r >= 0 && inside < size) {
		a = (void *)(addr + inside);
		r = Dk(StreamMap)(K->segment_handle, &a, prot, page_segment_end(), size - inside, how);
	}
	return r < 0 ? (int)r : 0;
}

static int shm_fallocate(struct file *f, u32 mode, u64 offset, u64 size)
{
	const struct shm *s = f->data;
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (offset >= s->size)
		return 0;
	size = MIN(size, s->size - offset);
	s64 r = s->pages ? Dk(VirtualMemoryFree)((char *)s->pages + offset, size, PICO_VM_REMOVE) :
		Dk(StreamSetLength)(s->stream, size, PICO_LENGTH_PUNCH_HOLE, offset);
	return r < 0 ? (int)r : 0;
}

static int shm_fsync(struct file *f __attribute__((unused)), bool data_only __attribute__((unused))) { return 0; }

static void shm_release(struct file *f)
{
	struct shm *s = f->data;
	if (!s)
		return;
	if (s->pages)
		page_free(s->pages, s->size >> PAGE_SHIFT);
	else
		Dk(ObjectClose)(s->stream);
	kfree(s);
}

static const struct file_ops shm_ops = {
	.name = "/dev/zero (deleted)",
	.mmap = shm_mmap,
	.fallocate = shm_fallocate,
	.fsync = shm_fsync,
	.release = shm_release,
};

static bool shm_fill(struct shm *s)
{
	static const char uri[] = "memory:";
	if (s->size > SEGMENT_MOST) {
		pico_handle h = Dk(StreamOpen)(uri, sizeof(uri) - 1, PICO_ACCESS_READ | PICO_ACCESS_WRITE | PICO_ACCESS_EXECUTE, PICO_OPEN_CREATE, 0600, NULL);
		if (h > 0 && Dk(StreamSetLength)(h, s->size, PICO_LENGTH_SET, 0) >= 0) {
			s->stream = h;
			return true;
		}
		if (h > 0)
			Dk(ObjectClose)(h);
	}
	s->pages = page_alloc(s->size >> PAGE_SHIFT);
	return s->pages != NULL;
}

struct file *mm_shared_memory(u64 size)
{
	struct shm *s = kzalloc(sizeof(*s));
	if (!s)
		return NULL;
	s->size = page_up(size);
	if (!s->size || !shm_fill(s)) {
		kfree(s);
		return NULL;
	}
	struct file *f = file_alloc(&shm_ops, O_RDWR);
	if (f) {
		f->data = s;
		return f;
	}
	if (s->pages)
		page_free(s->pages, s->size >> PAGE_SHIFT);
	else
		Dk(ObjectClose)(s->stream);
	kfree(s);
	return NULL;
}
