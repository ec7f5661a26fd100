/* SPDX-License-Identifier: Apache-2.0
 *
 * The host kernel's vDSO: moved out of the way where the kernel put it in a
 * guest's place, and tested for clocks that never enter the kernel. Must not
 * know who will call it.
 */
#include <linux/elf.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/time.h>

#include "helper.h"

/* ---- clock_gettime, by name ---- */

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

void vdso_test(struct pico_gate_params *params)
{
	struct vdso vdso;
	if (params->vdso && vdso_open(&vdso, (const char *)params->vdso))
		params->vdso_usable = vdso_stays_outside(vdso_symbol(&vdso, "__vdso_clock_gettime"));
}

/* ---- its place ----
 * Newer kernels put it anywhere below the stack; with 32 random bits that may be
 * the guest's part, or on top of something of ours. It works at any place as
 * long as its parts keep their distances. */

#define GOOD_PLACE 0x00007ef000000000ull /* nothing of ours is above */
#define PARTS_MAX 4

struct part { uint64_t start, end; };

static uint64_t hexadecimal(const char **at)
{
	uint64_t value = 0;
	for (;; ++*at) {
		char c = **at;
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return value;
	}
}

static bool begins(const char *text, const char *with)
{
	while (*with)
		if (*text++ != *with++)
			return false;
	return true;
}

/* The lines of /proc/self/maps that end in [vdso], [vvar] or [vvar_NAME]. */
static unsigned find_parts(const char *maps, struct part part[PARTS_MAX])
{
	unsigned count = 0;
	while (*maps && count < PARTS_MAX) {
		struct part p;
		p.start = hexadecimal(&maps);
		maps++; /* the dash */
		p.end = hexadecimal(&maps);
		while (*maps && *maps != '[' && *maps != '\n')
			maps++;
		if (begins(maps, "[vdso]") || begins(maps, "[vvar]") || begins(maps, "[vvar_"))
			part[count++] = p;
		while (*maps && *maps++ != '\n')
			;
	}
	return count;
}

static size_t read_maps(char *text, size_t size)
{
	size_t have = 0;
	long fd = sys(open, "/proc/self/maps", O_RDONLY | O_CLOEXEC), got;
	if (fd < 0)
		return 0;
	while (have < size - 1 && (got = sys(read, fd, text + have, size - 1 - have)) > 0)
		have += (size_t)got;
	sys(close, fd);
	text[have] = 0;
	return have;
}

static bool move_parts(const struct part *part, unsigned count, uint64_t distance)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t size = part[i].end - part[i].start, to = part[i].start + distance;
		if (sys(mremap, part[i].start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != (long)to)
			return false;
	}
	return count > 0;
}

/* What cannot be moved is not used; the gate then asks the kernel for the time. */
void vdso_place(struct pico_gate_params *params)
{
	static char maps[8192];
	struct part part[PARTS_MAX];
	unsigned count;
	uint64_t distance;
	if (params->vdso >= GOOD_PLACE || !params->vdso)
		return;
	count = read_maps(maps, sizeof maps) ? find_parts(maps, part) : 0;
	distance = PICO_VDSO_BASE - (count ? part[0].start : 0);
	params->vdso = move_parts(part, count, distance) ? params->vdso + distance : 0;
}
