/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the pieces of the program loader: elf.c reads and maps files,
 * stack.c writes the first stack, exec.c puts a program together.
 */
#ifndef LX_MM_ELF_H
#define LX_MM_ELF_H

#include "vma.h"
#include <linux/elf.h>

struct elf_image {
	struct file *file;
	Elf64_Ehdr header;
	Elf64_Phdr *segments; /* kmalloc */
	u64 low, high; /* page range of all loads, unbiased */
	u64 align; /* of the load address, ET_DYN */
	u64 phdr; /* where the program headers are loaded, unbiased; 0: nowhere */
	bool exec_stack;
	char *interpreter; /* kmalloc, or NULL */
	u64 bias;
};
/* All that can be wrong is found here. -ENOEXEC, or what reading or allocating said. */
int elf_open(struct file *file, struct elf_image *e);
void elf_close(struct elf_image *e);
int elf_map(struct mm *mm, const struct elf_image *e); /* at e->bias */

/* A program's start, as stack.c needs it. */
struct start {
	const struct exec_strings *strings;
	const char *execfn;
	const struct elf_image *program, *interpreter; /* the latter may be NULL */
	const u8 *random; /* 32 bytes: AT_RANDOM, then the layout of the stack */
	bool secure;
};
/* Maps the stack below mm->stack_top and fills it; *sp is what the program starts with. */
int stack_build(struct mm *mm, const struct start *s, u64 *sp);

#endif
