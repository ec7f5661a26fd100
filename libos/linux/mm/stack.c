/* SPDX-License-Identifier: Apache-2.0
 *
 * The first stack of a program: strings, the auxiliary vector, the pointer
 * arrays, as the System V ABI and the kernel's own habits lay them out.
 */
#include "elf.h"
#include "../lx/arch.h"
#include <linux/auxvec.h>
#include <linux/mman.h>

#define RLIMIT_STACK_ 3
#define STACK_FIRST (8ull << 20) /* mapped at once; the host takes pages when touched */
#define CLOCK_TICKS 100
#define HWCAP2_FSGSBASE 2
#define PLATFORM "x86_64"

/* Under a hypervisor each cpuid costs more than the rest of this file. */
static u32 cpu_features(void)
{
	u32 a = 1, b, c = 0, features = K->cpu_features;
	if (!features) {
		__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(features));
		K->cpu_features = features;
	}
	return features;
}

static void aux(struct mm *mm, u64 type, u64 value)
{
	mm->auxv[mm->auxv_count++] = type;
	mm->auxv[mm->auxv_count++] = value;
}

static void fill_auxv(struct mm *mm, const struct start *s, u64 random, u64 platform, u64 execfn)
{
	const struct elf_image *e = s->program;
	const struct creds *c = &current->process->creds;
	mm->auxv_count = 0;
	aux(mm, AT_SYSINFO_EHDR, mm->vdso);
	aux(mm, AT_HWCAP, cpu_features());
	aux(mm, AT_PAGESZ, PAGE_SIZE);
	aux(mm, AT_CLKTCK, CLOCK_TICKS);
	aux(mm, AT_PHDR, e->phdr ? e->bias + e->phdr : 0);
	aux(mm, AT_PHENT, sizeof(Elf64_Phdr));
	aux(mm, AT_PHNUM, e->header.e_phnum);
	aux(mm, AT_BASE, s->interpreter ? s->interpreter->bias : 0);
	aux(mm, AT_FLAGS, 0);
	aux(mm, AT_ENTRY, e->bias + e->header.e_entry);
	aux(mm, AT_UID, c->uid);
	aux(mm, AT_EUID, c->euid);
	aux(mm, AT_GID, c->gid);
	aux(mm, AT_EGID, c->egid);
	aux(mm, AT_SECURE, s->secure);
	aux(mm, AT_RANDOM, random);
	aux(mm, AT_HWCAP2, HWCAP2_FSGSBASE);
	aux(mm, AT_EXECFN, execfn);
	aux(mm, AT_PLATFORM, platform);
	aux(mm, AT_MINSIGSTKSZ, arch_min_sigstack());
	aux(mm, AT_NULL, 0);
}

static int map_stack(struct mm *mm, u64 need, bool exec)
{
	u64 limit = rlimit_get(RLIMIT_STACK_), size = MIN(limit, STACK_FIRST);
	size = page_up(MAX(size, need + 32 * PAGE_SIZE));
	struct vma *v = vma_new(mm->stack_top - size, mm->stack_top, VMA_READ | VMA_WRITE | VMA_MAYWRITE | VMA_STACK | (exec ? VMA_EXEC : 0), NULL, 0);
	if (!v)
		return -ENOMEM;
	memcpy(v->name, "[stack]", 8);
	int r = host_map(v, PICO_VM_NORESERVE);
	if (r < 0) {
		vma_drop(v);
		return r;
	}
	vma_add(mm, v);
	mm->stack_limit_bottom = v->start;
	return 0;
}

/* argc, the arrays, the auxiliary vector: one copy to sp. */
static int write_vectors(struct mm *mm, const struct exec_strings *x, u64 sp, u64 words)
{
	u64 *v = kmalloc(words * 8), n = 0, at = mm->arg_start;
	const char *text = x->data;
	if (!v)
		return -ENOMEM;
	v[n++] = x->argc;
	for (u32 i = 0; i < x->argc + x->envc; i++) {
		if (i == x->argc) {
			v[n++] = 0;
			mm->arg_end = mm->env_start = at;
		}
		u64 size = strlen(text) + 1;
		v[n++] = at;
		at += size;
		text += size;
	}
	if (!x->envc) {
		v[n++] = 0;
		mm->arg_end = mm->env_start = at;
	}
	v[n++] = 0;
	mm->env_end = at;
	memcpy(v + n, mm->auxv, mm->auxv_count * 8);
	int r = copy_to_user(sp, v, words * 8);
	kfree(v);
	return r;
}

int stack_build(struct mm *mm, const struct start *s, u64 *sp)
{
	const struct exec_strings *x = s->strings;
	u64 name_size = strlen(s->execfn) + 1, jitter;
	u64 pointers = ((u64)x->argc + x->envc + 3) * 8;
	int r = map_stack(mm, x->bytes + name_size + pointers + PAGE_SIZE, s->program->exec_stack);
	if (r < 0)
		return r;
	u64 execfn = mm->stack_top - 8 - name_size;
	mm->arg_start = execfn - x->bytes;
	memcpy(&jitter, s->random + 16, 8);
	u64 platform = (mm->arg_start - jitter % 8192 - sizeof(PLATFORM)) & ~15ull, random = platform - 16;
	fill_auxv(mm, s, random, platform, execfn);
	u64 words = 1 + (u64)x->argc + 1 + x->envc + 1 + mm->auxv_count;
	*sp = (random - words * 8) & ~15ull;
	r = copy_to_user(execfn, s->execfn, name_size);
	if (!r)
		r = copy_to_user(mm->arg_start, x->data, x->bytes);
	if (!r)
		r = copy_to_user(platform, PLATFORM, sizeof(PLATFORM));
	if (!r)
		r = copy_to_user(random, s->random, 16);
	return r ? r : write_vectors(mm, x, *sp, words);
}
