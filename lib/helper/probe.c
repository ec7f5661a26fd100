/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gate must know of the machine and cannot ask for itself once the
 * filter is on: the vDSO and whether its clocks stay out of the kernel, the
 * size of the vector state, processors, memory. Must not know what they are
 * used for.
 */
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/prctl.h>
#include <linux/sysinfo.h>
#include <linux/time.h>

#include "helper.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define HWCAP2_FSGSBASE 2

static uint64_t auxiliary(const uint64_t *auxv, uint64_t type)
{
	for (; auxv[0] != AT_NULL; auxv += 2)
		if (auxv[0] == type)
			return auxv[1];
	return 0;
}

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(sub));
}

static void probe_xstate(struct pico_gate_params *params)
{
	uint32_t r[4], low, high;
	params->xstate_mask = 3; /* x87 and SSE */
	params->xstate_size = 576; /* and the header */
	cpuid(1, 0, r);
	if (!(r[2] & 1u << 27)) /* OSXSAVE */
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	params->xstate_mask = low | (uint64_t)high << 32;
	cpuid(13, 0, r);
	params->xstate_size = r[1]; /* for the components that are on */
}

/* ---- the vDSO: clock_gettime, by name ---- */

struct vdso {
	const char *base; /* what symbol values are relative to */
	const Elf64_Sym *symbols;
	const char *names;
	uint64_t symbol_count;
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* DT_HASH counts the symbols; images without it have a section header. */
static uint64_t count_symbols(const char *image, const uint32_t *hash)
{
	const Elf64_Ehdr *e = (const void *)image;
	if (hash)
		return hash[1];
	for (unsigned i = 0; e->e_shoff && i < e->e_shnum; i++) {
		const Elf64_Shdr *s = (const Elf64_Shdr *)(image + e->e_shoff) + i;
		if (s->sh_type == SHT_DYNSYM)
			return s->sh_size / sizeof(Elf64_Sym);
	}
	return 0;
}

static bool vdso_open(struct vdso *v, const char *image)
{
	const Elf64_Ehdr *e = (const void *)image;
	const Elf64_Phdr *p = (const void *)(image + e->e_phoff);
	const Elf64_Dyn *d = NULL;
	const uint32_t *hash = NULL;
	*v = (struct vdso){ 0 };
	for (unsigned i = 0; i < e->e_phnum; i++) {
		if (p[i].p_type == PT_LOAD && !v->base)
			v->base = image + p[i].p_offset - p[i].p_vaddr;
		if (p[i].p_type == PT_DYNAMIC)
			d = (const void *)(image + p[i].p_offset);
	}
	if (!v->base || !d)
		return false;
	for (; d->d_tag != DT_NULL; d++) {
		const void *at = v->base + d->d_un.d_ptr;
		if (d->d_tag == DT_SYMTAB)
			v->symbols = at;
		else if (d->d_tag == DT_STRTAB)
			v->names = at;
		else if (d->d_tag == DT_HASH)
			hash = at;
	}
	v->symbol_count = count_symbols(image, hash);
	return v->symbols && v->names;
}

static const void *vdso_symbol(const struct vdso *v, const char *name)
{
	for (uint64_t i = 0; i < v->symbol_count; i++)
		if (v->symbols[i].st_shndx && same(v->names + v->symbols[i].st_name, name))
			return v->base + v->symbols[i].st_value;
	return NULL;
}

/* ---- does it enter the kernel? ----
 * Every system call outside the helper's own text is made to trap, then the
 * clocks are read once. A timing test would guess; this one knows. */

static volatile uint32_t trapped;

static void on_trap(int signal)
{
	(void)signal;
	trapped = 1;
}

__attribute__((visibility("hidden"))) void helper_restorer(void);
__asm__(".pushsection .text, \"ax\", @progbits\n"
	".globl helper_restorer\n"
	"helper_restorer:\n"
	"	mov $15, %eax\n" /* rt_sigreturn */
	"	syscall\n"
	"	ud2\n"
	".popsection\n");

static bool vdso_stays_outside(const void *entry)
{
	int (*gettime)(int, struct __kernel_timespec *) = (int (*)(int, struct __kernel_timespec *))(uintptr_t)entry;
	struct sigaction action = { .sa_handler = on_trap, .sa_flags = SA_RESTORER, .sa_restorer = helper_restorer };
	struct sigaction none = { .sa_handler = SIG_DFL };
	struct __kernel_timespec now;
	sigset_t mask = ~0ul, open = ~(1ul << (SIGSYS - 1));
	if (!entry || sys(rt_sigaction, SIGSYS, &action, 0, sizeof mask) < 0)
		return false;
	trapped = 0;
	sys(rt_sigprocmask, SIG_SETMASK, &open, 0, sizeof open);
	if (sys(prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, helper_text_start,
		helper_text_end - helper_text_start, 0) < 0)
		trapped = 1; /* kernel before 5.11: unknown, so do not rely on it */
	else {
		gettime(CLOCK_MONOTONIC, &now);
		gettime(CLOCK_REALTIME, &now);
		sys(prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF);
	}
	sys(rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof mask);
	sys(rt_sigaction, SIGSYS, &none, 0, sizeof mask);
	return !trapped;
}

static uint32_t count_processors(void)
{
	uint64_t set[128]; /* 8192 processors */
	long size = sys(sched_getaffinity, 0, sizeof set, set);
	uint32_t count = 0;
	for (long i = 0; i < size / 8; i++)
		for (uint64_t word = set[i]; word; word &= word - 1)
			count++;
	return count ? count : 1;
}

int helper_probe(struct pico_gate_params *params, const uint64_t *auxv, const char **what)
{
	struct sysinfo info = { 0 };
	struct vdso vdso;
	if (!(auxiliary(auxv, AT_HWCAP2) & HWCAP2_FSGSBASE)) {
		*what = "the processor or kernel has no FSGSBASE";
		return -EOPNOTSUPP;
	}
	probe_xstate(params);
	params->minsigstksz = auxiliary(auxv, AT_MINSIGSTKSZ);
	if (!params->minsigstksz)
		params->minsigstksz = params->xstate_size + 1024;
	params->vdso = auxiliary(auxv, AT_SYSINFO_EHDR);
	if (params->vdso && vdso_open(&vdso, (const char *)params->vdso))
		params->vdso_usable = vdso_stays_outside(vdso_symbol(&vdso, "__vdso_clock_gettime"));
	if (sys(sysinfo, &info) == 0)
		params->phys_memory = info.totalram * info.mem_unit;
	params->cpu_count = count_processors();
	return 0;
}
