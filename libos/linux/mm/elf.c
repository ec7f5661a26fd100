/* SPDX-License-Identifier: Apache-2.0
 *
 * ELF files: every field is checked against the file and against the address
 * space before anything is mapped, so that a bad file is an error of execve
 * and not a dead process. Knows nothing of arguments and stacks.
 */
#include "elf.h"
#include <linux/mman.h>

#define PATH_MOST 4096
#define SPAN_MOST (1ull << 40) /* no program needs more room; a forged one might ask for it */
#define LOAD_END (PICO_GUEST_END - (1ull << 36)) /* stacks begin above */

static bool header_ok(const Elf64_Ehdr *h)
{
	return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64 &&
	       (h->e_type == ET_EXEC || h->e_type == ET_DYN) && h->e_phentsize == sizeof(Elf64_Phdr) &&
	       h->e_phnum && h->e_phnum * sizeof(Elf64_Phdr) <= PAGE_SIZE;
}

static bool load_ok(const struct elf_image *e, const Elf64_Phdr *p, u64 file_size)
{
	u64 start = p->p_vaddr & PAGE_MASK;
	if (p->p_filesz > p->p_memsz || p->p_offset > file_size || p->p_filesz > file_size - p->p_offset)
		return false;
	if (p->p_filesz && ((p->p_vaddr ^ p->p_offset) & ~PAGE_MASK))
		return false;
	if (p->p_vaddr >= LOAD_END || p->p_memsz > LOAD_END - p->p_vaddr)
		return false;
	/* In order; two may share the page where one ends and the next begins. */
	return e->low == ~0ull || start + PAGE_SIZE >= e->high;
}

static int read_interpreter(struct elf_image *e, const Elf64_Phdr *p)
{
	if (e->interpreter)
		return 0; /* the first counts */
	if (p->p_filesz > PATH_MOST || p->p_filesz < 2)
		return -ENOEXEC;
	e->interpreter = kmalloc(p->p_filesz);
	if (!e->interpreter)
		return -ENOMEM;
	if (file_read_kernel(e->file, e->interpreter, p->p_filesz, p->p_offset) != (s64)p->p_filesz)
		return -ENOEXEC;
	return e->interpreter[p->p_filesz - 1] ? -ENOEXEC : 0;
}

static int take_load(struct elf_image *e, const Elf64_Phdr *p, u64 file_size)
{
	if (!load_ok(e, p, file_size))
		return -ENOEXEC;
	if (!p->p_memsz)
		return 0;
	if (e->low == ~0ull)
		e->low = p->p_vaddr & PAGE_MASK;
	e->high = page_up(p->p_vaddr + p->p_memsz);
	if (p->p_align && !(p->p_align & (p->p_align - 1)) && p->p_align <= 1ull << 30)
		e->align = MAX(e->align, p->p_align);
	u64 phoff = e->header.e_phoff;
	if (!e->phdr && p->p_offset <= phoff && phoff - p->p_offset < p->p_filesz)
		e->phdr = p->p_vaddr + (phoff - p->p_offset);
	return 0;
}

static int check_segments(struct elf_image *e, u64 file_size)
{
	for (u32 i = 0; i < e->header.e_phnum; i++) {
		const Elf64_Phdr *p = &e->segments[i];
		int r = 0;
		if (p->p_type == PT_LOAD)
			r = take_load(e, p, file_size);
		else if (p->p_type == PT_INTERP)
			r = read_interpreter(e, p);
		else if (p->p_type == PT_GNU_STACK)
			e->exec_stack = p->p_flags & PF_X;
		if (r < 0)
			return r;
	}
	if (e->low == ~0ull || e->high - e->low > SPAN_MOST)
		return -ENOEXEC;
	if (e->header.e_type == ET_EXEC && e->low < PICO_GUEST_BASE)
		return -ENOEXEC;
	return e->header.e_entry < LOAD_END ? 0 : -ENOEXEC;
}

static int file_size_of(struct file *f, u64 *size)
{
	struct kstat st;
	if (!f->inode)
		return -EACCES;
	*size = f->inode->size;
	if (!f->inode->ops || !f->inode->ops->getattr)
		return 0;
	int r = f->inode->ops->getattr(f->inode, &st);
	if (!r)
		*size = st.size;
	return r;
}

int elf_open(struct file *file, struct elf_image *e)
{
	u64 size;
	*e = (struct elf_image){ .file = file_get(file), .low = ~0ull, .align = PAGE_SIZE };
	s64 r = file_size_of(file, &size);
	if (r < 0)
		return (int)r;
	r = file_read_kernel(file, &e->header, sizeof(e->header), 0);
	if (r < 0)
		return (int)r;
	if (r != sizeof(e->header) || !header_ok(&e->header) || !file->ops->mmap)
		return -ENOEXEC;
	u64 bytes = e->header.e_phnum * sizeof(Elf64_Phdr);
	if (e->header.e_phoff > size || bytes > size - e->header.e_phoff)
		return -ENOEXEC;
	e->segments = kmalloc(bytes);
	if (!e->segments)
		return -ENOMEM;
	r = file_read_kernel(file, e->segments, bytes, e->header.e_phoff);
	if (r != (s64)bytes)
		return r < 0 ? (int)r : -ENOEXEC;
	return check_segments(e, size);
}

void elf_close(struct elf_image *e)
{
	if (e->file)
		file_put(e->file);
	kfree(e->segments);
	kfree(e->interpreter);
	*e = (struct elf_image){ 0 };
}

/* The rest of the last page of the file belongs to the zeroed part. */
static int zero_tail(u64 from, u64 to, u32 prot)
{
	if (from == to)
		return 0;
	if (prot & PROT_WRITE)
		return clear_user(from, to - from);
	int r = host_protect(from & PAGE_MASK, PAGE_SIZE, VMA_READ | VMA_WRITE);
	if (!r)
		r = clear_user(from, to - from);
	if (!r)
		r = host_protect(from & PAGE_MASK, PAGE_SIZE, prot);
	return r;
}

static int map_load(struct mm *mm, const struct elf_image *e, const Elf64_Phdr *p)
{
	u32 prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) | (p->p_flags & PF_X ? PROT_EXEC : 0);
	u64 start = p->p_vaddr & PAGE_MASK, file_end = p->p_vaddr + p->p_filesz;
	u64 from_file = p->p_filesz ? page_up(file_end) : start, end = page_up(p->p_vaddr + p->p_memsz);
	s64 r = 0;
	if (p->p_filesz)
		r = mm_map_locked(mm, e->bias + start, from_file - start, prot, MAP_PRIVATE | MAP_FIXED, e->file, p->p_offset & PAGE_MASK);
	if (r >= 0 && p->p_filesz && p->p_memsz > p->p_filesz)
		r = zero_tail(e->bias + file_end, e->bias + from_file, prot);
	if (r >= 0 && end > from_file)
		r = mm_map_locked(mm, e->bias + from_file, end - from_file, prot, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, NULL, 0);
	return r < 0 ? (int)r : 0;
}

int elf_map(struct mm *mm, const struct elf_image *e)
{
	for (u32 i = 0; i < e->header.e_phnum; i++) {
		const Elf64_Phdr *p = &e->segments[i];
		if (p->p_type != PT_LOAD || !p->p_memsz)
			continue;
		int r = map_load(mm, e, p);
		if (r < 0)
			return r;
	}
	return 0;
}
