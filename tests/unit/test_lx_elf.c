/* SPDX-License-Identifier: Apache-2.0
 *
 * The library OS's ELF loader with damaged files: whatever elf_open accepts,
 * elf_map must map inside the file, inside the program's half and in the pages
 * it has made itself.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lx_host.h"
#undef current
#include "../../libos/linux/mm/page.c"
#include "../../libos/linux/mm/kmalloc.c"
#include "../../libos/linux/mm/elf.c"

static unsigned char *image;
static u64 image_size;
static u64 mapped_low, mapped_high; /* of the last map */

s64 file_read_kernel(struct file *f __attribute__((unused)), void *buf, size_t size, u64 pos)
{
	if (pos >= image_size)
		return 0;
	size = MIN(size, image_size - pos);
	memcpy(buf, image + pos, size);
	return (s64)size;
}

struct file *file_get(struct file *f) { return f; }
void file_put(struct file *f __attribute__((unused))) { }

s64 mm_map_locked(struct mm *mm __attribute__((unused)), u64 addr, u64 size, u32 prot, u32 flags, struct file *file, u64 offset)
{
	cr_assert(size && !(addr & ~PAGE_MASK) && !(size & ~PAGE_MASK) && addr >= PICO_GUEST_BASE && prot <= 7);
	cr_assert(addr + size > addr && addr + size <= PICO_GUEST_END && (flags & MAP_FIXED));
	if (file)
		cr_assert(!(offset & ~PAGE_MASK) && offset + size <= ALIGN_UP(image_size, PAGE_SIZE), "mapped past the file");
	mapped_low = addr;
	mapped_high = addr + size;
	return (s64)addr;
}

int clear_user(uaddr to, size_t size)
{
	cr_assert(size < PAGE_SIZE && to >= mapped_low && to + size <= mapped_high);
	return 0;
}

int host_protect(u64 start, u64 size, u32 vma_flags)
{
	cr_assert(start >= mapped_low && start + size <= mapped_high && vma_flags <= 7);
	return 0;
}

static struct inode inode;
static int dummy_mmap(struct file *f, u64 a, u64 s, u32 v, u64 o) { return (void)f, (void)a, (void)s, (void)v, (void)o, 0; }
static const struct file_ops ops = { .mmap = dummy_mmap };
static struct file file = { .ops = &ops, .inode = &inode };

static void setup(void)
{
	host_setup();
	mem_init((void *)PICO_SEGMENT_BASE, HOST_SEGMENT_SIZE);
	FILE *f = fopen("/proc/self/exe", "rb");
	fseek(f, 0, SEEK_END);
	image_size = (u64)ftell(f);
	rewind(f);
	image = malloc(image_size);
	cr_assert_eq(fread(image, 1, image_size, f), image_size);
	fclose(f);
	inode.size = image_size;
}

TestSuite(lx_elf, .init = setup, .timeout = 60);

static int try(void)
{
	struct elf_image e;
	int r = elf_open(&file, &e);
	if (!r) {
		cr_assert(e.low < e.high && e.high <= PICO_GUEST_END && !(e.low & ~PAGE_MASK) && !(e.high & ~PAGE_MASK));
		cr_assert(e.align >= PAGE_SIZE && !(e.align & (e.align - 1)));
		if (e.header.e_type == ET_DYN)
			e.bias = ALIGN_UP(0x555555554000ull, e.align) - e.low;
		r = elf_map(NULL, &e);
		cr_assert_eq(r, 0);
	}
	cr_assert(r == 0 || r == -ENOEXEC, "error %d", r);
	elf_close(&e);
	cr_assert_eq(mem_used(), 0);
	return r;
}

Test(lx_elf, whole) { cr_assert_eq(try(), 0); }

Test(lx_elf, cut)
{
	u64 whole = image_size;
	unsigned char *all = image;
	for (u64 n = 0; n < 2000; n++) {
		image_size = inode.size = n;
		image = malloc(n ? n : 1); /* of its exact size, for the address checker */
		memcpy(image, all, n);
		cr_assert_neq(try(), 0);
		free(image);
	}
	image = all;
	image_size = inode.size = whole;
}

Test(lx_elf, damaged)
{
	static const u64 values[] = { 0, 1, 0xfff, 0x1000, 0x1001, 0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 46,
		PICO_GUEST_END - 1, PICO_GUEST_END, 1ull << 47, 1ull << 63, ~0ull, ~0ull - 4095, ~0ull - 4096 };
	unsigned seed = 5;
	u64 span = sizeof(Elf64_Ehdr) + 12 * sizeof(Elf64_Phdr), accepted = 0;
	unsigned char *saved = malloc(span);
	memcpy(saved, image, span);
	for (int i = 0; i < 60000; i++) {
		for (int k = 0; k < 1 + i % 4; k++) {
			u64 at = (unsigned)rand_r(&seed) % (span - 8) & ~(i % 3 ? 7ull : 0ull);
			u64 v = values[(unsigned)rand_r(&seed) % ARRAY_SIZE(values)];
			if (i % 5 == 0)
				v = (u64)rand_r(&seed) * (u64)rand_r(&seed);
			memcpy(image + at, &v, 1u << ((unsigned)rand_r(&seed) % 4));
		}
		accepted += try() == 0;
		memcpy(image, saved, span);
	}
	cr_assert(accepted > 100, "some damage does not matter");
	free(saved);
}
