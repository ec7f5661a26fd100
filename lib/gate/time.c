/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks. The host's vDSO is called directly; where its clock would enter the
 * kernel (that call traps and exception.c notes it), the gate's own filtered
 * clock_gettime is used.
 */
#include <linux/elf.h>
#include <linux/time.h>
#include "gate.h"

struct host_timespec { int64_t sec, nsec; };

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Find __vdso_clock_gettime by the dynamic symbol table (ELF gABI). */
static void *vdso_symbol(uint64_t base, const char *name, uint64_t *size)
{
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	uint64_t bias = 0;

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD) {
			bias = base - ph[i].p_vaddr + ph[i].p_offset;
			*size = ph[i].p_memsz;
		} else if (ph[i].p_type == PT_DYNAMIC) {
			dyn = (const void *)(base + ph[i].p_offset);
		}
	}
	const Elf64_Sym *symbols = NULL;
	const char *strings = NULL;
	const uint32_t *hash = NULL;
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			symbols = (const void *)(bias + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_STRTAB)
			strings = (const void *)(bias + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_HASH)
			hash = (const void *)(bias + dyn->d_un.d_ptr);
	}
	if (!symbols || !strings)
		return NULL;
	/* Newer kernels have only a GNU hash; the symbols then end where the strings begin. */
	uint64_t count = hash ? hash[1] : ((uint64_t)strings - (uint64_t)symbols) / sizeof(*symbols);
	for (uint64_t i = 1; i < count && i < 64; i++)
		if (symbols[i].st_shndx && same(strings + symbols[i].st_name, name))
			return (void *)(bias + symbols[i].st_value);
	return NULL;
}

void gate_time_init(uint64_t vdso)
{
	uint64_t size = 0;

	if (!vdso)
		return;
	gate.vdso_clock = (int64_t (*)(int, uint64_t *))vdso_symbol(vdso, "__vdso_clock_gettime", &size);
	gate.vdso_start = vdso;
	gate.vdso_end = vdso + ((size + PICO_PAGE_SIZE - 1) & ~(PICO_PAGE_SIZE - 1));
	gate.vdso_usable = gate.vdso_clock != NULL;
	if (gate.vdso_usable) {
		uint64_t ts[2];
		if (gate.vdso_clock(CLOCK_MONOTONIC, ts)) /* a trap here clears vdso_usable */
			gate.vdso_usable = 0;
	}
}

static int64_t query(int clock, bool vdso)
{
	uint64_t ts[2];

	if (vdso && gate.vdso_usable && gate.vdso_clock(clock, ts) == 0)
		return (int64_t)(ts[0] * 1000000000u + ts[1]);
	int64_t r = gate_call(__NR_clock_gettime, (uint64_t)clock, (uint64_t)ts, 0, 0, 0, 0);
	return r < 0 ? r : (int64_t)(ts[0] * 1000000000u + ts[1]);
}

/* A restored instance's clock goes on where it stood; the guest may write the
 * offset, and has only its own clock wrong then. */
static int64_t clock_offset(void) { return __atomic_load_n(&MAILBOX->host.clock_offset, __ATOMIC_RELAXED); }

uint64_t gate_now(void)
{
	return (uint64_t)(query(CLOCK_MONOTONIC, true) + clock_offset());
}

uint64_t gate_host_deadline(uint64_t deadline)
{
	const int64_t offset = clock_offset();

	if (deadline == PICO_FOREVER || !offset)
		return deadline;
	if (offset > 0)
		return deadline > (uint64_t)offset ? deadline - (uint64_t)offset : 0;
	return deadline < PICO_FOREVER - (uint64_t)-offset ? deadline + (uint64_t)-offset : PICO_FOREVER;
}

int64_t pico_gate_SystemTimeQuery(uint32_t clock)
{
	switch (clock) {
	case PICO_CLOCK_MONOTONIC: return (int64_t)gate_now();
	case PICO_CLOCK_REALTIME: return query(CLOCK_REALTIME, true);
	case PICO_CLOCK_PROCESS_CPU: return query(CLOCK_PROCESS_CPUTIME_ID, false);
	case PICO_CLOCK_THREAD_CPU: return query(CLOCK_THREAD_CPUTIME_ID, false);
	default: return -PICO_EINVAL;
	}
}

int64_t pico_gate_InstructionCacheFlush(const void *address, uint64_t size)
{
	/* x86: instruction fetch is coherent; a serialising instruction is enough. */
	(void)address;
	(void)size;
	uint32_t a = 0, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
	return 0;
}
