/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gate must know of the machine and cannot ask for itself once the
 * filter is on: the vDSO, the size of the vector state, processors, memory. Must
 * not know what they are used for.
 */
#include <linux/auxvec.h>
#include <linux/sysinfo.h>

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
	if (!(auxiliary(auxv, AT_HWCAP2) & HWCAP2_FSGSBASE)) {
		*what = "the processor or kernel has no FSGSBASE";
		return -EOPNOTSUPP;
	}
	probe_xstate(params);
	params->minsigstksz = auxiliary(auxv, AT_MINSIGSTKSZ);
	if (!params->minsigstksz)
		params->minsigstksz = params->xstate_size + 1024;
	params->vdso = auxiliary(auxv, AT_SYSINFO_EHDR);
	vdso_place(params);
	vdso_test(params);
	if (sys(sysinfo, &info) == 0)
		params->phys_memory = info.totalram * info.mem_unit;
	params->cpu_count = count_processors();
	return 0;
}
