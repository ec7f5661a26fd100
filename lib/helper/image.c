/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps a library OS image into a seed: a static ELF64 executable linked into
 * the library OS's range. Everything is checked before it is used; the checks
 * guard against damaged files, not against the library OS, which may do all
 * this itself later. Must not know what a library OS does.
 */
#include <linux/elf.h>
#include <linux/mman.h>

#include "helper.h"

#define LOAD_MAX 16
#define RANGE_MAX 4096u
#define PAGE_MASK (PICO_PAGE_SIZE - 1)

struct image {
	int fd;
	uint64_t file_size;
	Elf64_Ehdr head;
	Elf64_Phdr part[LOAD_MAX];
	unsigned first; /* index of the first PT_LOAD; LOAD_MAX: none */
};

static bool part_is_good(const struct image *image, const Elf64_Phdr *p)
{
	if ((p->p_flags & PF_W) && (p->p_flags & PF_X))
		return false;
	if (p->p_filesz > p->p_memsz || p->p_offset > image->file_size ||
	    p->p_filesz > image->file_size - p->p_offset)
		return false;
	if (p->p_vaddr < PICO_LIBOS_BASE || p->p_vaddr >= PICO_LIBOS_END ||
	    p->p_memsz > PICO_LIBOS_END - p->p_vaddr)
		return false;
	if (p->p_memsz > p->p_filesz && !(p->p_flags & PF_W))
		return false;
	return ((p->p_vaddr ^ p->p_offset) & PAGE_MASK) == 0;
}

static int image_read(struct image *image)
{
	const Elf64_Ehdr *e = &image->head;
	struct stat file;
	if (sys(fstat, image->fd, &file) < 0)
		return -EBADF;
	image->file_size = (uint64_t)file.st_size;
	image->first = LOAD_MAX;
	if (sys(pread64, image->fd, &image->head, sizeof *e, 0) != sizeof *e)
		return -ENOEXEC;
	if (*(const uint32_t *)e->e_ident != 0x464c457f || e->e_ident[EI_CLASS] != ELFCLASS64 ||
	    e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_type != ET_EXEC || e->e_machine != EM_X86_64 ||
	    e->e_phentsize != sizeof(Elf64_Phdr) || !e->e_phnum || e->e_phnum > LOAD_MAX)
		return -ENOEXEC;
	long size = e->e_phnum * (long)sizeof(Elf64_Phdr);
	if (sys(pread64, image->fd, image->part, size, e->e_phoff) != size)
		return -ENOEXEC;
	for (unsigned i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = &image->part[i];
		if (p->p_type == PT_INTERP || p->p_type == PT_DYNAMIC)
			return -ENOEXEC;
		if (p->p_type != PT_LOAD)
			continue;
		if (!part_is_good(image, p))
			return -ENOEXEC;
		if (image->first == LOAD_MAX)
			image->first = i;
	}
	return image->first == LOAD_MAX ? -ENOEXEC : 0;
}

static int map_part(const struct image *image, const Elf64_Phdr *p)
{
	uint64_t start = p->p_vaddr & ~PAGE_MASK, file_end = p->p_vaddr + p->p_filesz;
	uint64_t middle = p->p_filesz ? (file_end + PAGE_MASK) & ~PAGE_MASK : start;
	uint64_t end = (p->p_vaddr + p->p_memsz + PAGE_MASK) & ~PAGE_MASK;
	int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
		   (p->p_flags & PF_X ? PROT_EXEC : 0);
	long at;
	if (middle > start) {
		at = sys(mmap, start, middle - start, prot, MAP_PRIVATE | MAP_FIXED_NOREPLACE, image->fd,
			 p->p_offset & ~PAGE_MASK);
		if (at != (long)start)
			return at < 0 ? (int)at : -EEXIST;
		if (p->p_memsz > p->p_filesz)
			memset((void *)file_end, 0, middle - file_end);
		if (!(p->p_flags & PF_W))
			seed_keep_tables(start);
	}
	if (end > middle) {
		at = sys(mmap, middle, end - middle, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (at != (long)middle)
			return at < 0 ? (int)at : -EEXIST;
	}
	return 0;
}

/* Is [start, start+size) inside one segment that has all these rights? */
static bool inside(const struct image *image, const void *start, uint64_t size, uint32_t rights)
{
	uint64_t at = (uint64_t)start;
	for (unsigned i = 0; i < image->head.e_phnum; i++) {
		const Elf64_Phdr *p = &image->part[i];
		if (p->p_type == PT_LOAD && (p->p_flags & rights) == rights && at >= p->p_vaddr &&
		    at - p->p_vaddr <= p->p_memsz && size <= p->p_memsz - (at - p->p_vaddr))
			return true;
	}
	return false;
}

static int check_header(const struct image *image, const struct pico_libos_header *header)
{
	if (!inside(image, header, sizeof *header, PF_R) || header->magic != PICO_LIBOS_MAGIC)
		return -ENOEXEC;
	if (header->abi_version != PICO_ABI_VERSION)
		return -EPROTONOSUPPORT;
	if (header->system_pointer > 1 || !inside(image, (void *)(uintptr_t)header->initialize, 1, PF_X) ||
	    !inside(image, (void *)(uintptr_t)header->thread_start, 1, PF_X) ||
	    !inside(image, (void *)(uintptr_t)header->exception, 1, PF_X))
		return -ENOEXEC;
	if (!header->range_count)
		return 0;
	if (header->range_count > RANGE_MAX ||
	    !inside(image, header->ranges, header->range_count * sizeof *header->ranges, PF_R))
		return -ENOEXEC;
	for (uint64_t i = 0; i < header->range_count; i++) {
		const struct pico_range *r = &header->ranges[i];
		if (r->start > r->end || !inside(image, r->restart, 1, PF_X) ||
		    !inside(image, r->start, (uint64_t)((const char *)r->end - (const char *)r->start), PF_X))
			return -ENOEXEC;
	}
	return 0;
}

int image_map(int fd, const struct pico_libos_header **header, enum pico_seed_step *step)
{
	struct image image = { .fd = fd };
	int error;
	*step = PICO_SEED_LIBOS_HEADER;
	error = image_read(&image);
	if (error)
		return error;
	*step = PICO_SEED_MAP_LIBOS;
	for (unsigned i = 0; i < image.head.e_phnum; i++) {
		if (image.part[i].p_type != PT_LOAD || !image.part[i].p_memsz)
			continue;
		error = map_part(&image, &image.part[i]);
		if (error)
			return error;
	}
	*step = PICO_SEED_LIBOS_HEADER;
	*header = (const void *)image.part[image.first].p_vaddr;
	return check_header(&image, *header);
}
