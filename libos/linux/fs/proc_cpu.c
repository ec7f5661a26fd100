/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/cpuinfo, from the processor itself.
 */
#include "proc.h"

struct regs { u32 a, b, c, d; };

static struct regs cpuid(u32 leaf, u32 sub)
{
	struct regs r;

	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
	return r;
}

/* Names by bit, "" where Linux shows none. */
static const char *const leaf1_d[32] = { "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr",
	"pge", "mca", "cmov", "pat", "pse36", "pn", "clflush", "", "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm",
	"ia64", "pbe" };
static const char *const leaf1_c[32] = { "pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3",
	"cid", "sdbg", "fma", "cx16", "xtpr", "pdcm", "", "pcid", "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt",
	"tsc_deadline_timer", "aes", "xsave", "", "avx", "f16c", "rdrand", "hypervisor" };
static const char *const ext1_d[32] = { [11] = "syscall", [19] = "mp", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt",
	[26] = "pdpe1gb", [27] = "rdtscp", [29] = "lm", [30] = "3dnowext", [31] = "3dnow" };
static const char *const ext1_c[32] = { "lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse",
	"3dnowprefetch", "osvw", "ibs", "xop", "skinit", "wdt", "", "lwp", "fma4", "tce", "", "nodeid_msr", "", "tbm", "topoext",
	"perfctr_core", "perfctr_nb", "", "bpext", "ptsc", "perfctr_llc", "mwaitx", "", "" };
static const char *const leaf7_b[32] = { "fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", "", "smep", "bmi2", "erms",
	"invpcid", "rtm", "cqm", "", "mpx", "rdt_a", "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", "", "clflushopt",
	"clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd", "sha_ni", "avx512bw", "avx512vl" };
static const char *const leaf7_c[32] = { "", "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512_vbmi2", "", "gfni", "vaes",
	"vpclmulqdq", "avx512_vnni", "avx512_bitalg", "tme", "avx512_vpopcntdq", "", "la57", "", "", "", "", "", "rdpid", "", "",
	"cldemote", "", "movdiri", "movdir64b", "enqcmd", "", "sgx_lc" };
static const char *const leaf7_d[32] = { [2] = "avx512_4vnniw", [3] = "avx512_4fmaps", [4] = "fsrm", [8] = "avx512_vp2intersect",
	[10] = "md_clear", [14] = "serialize", [16] = "tsxldtrk", [18] = "pconfig", [19] = "arch_lbr", [20] = "ibt",
	[22] = "amx_bf16", [23] = "avx512_fp16", [24] = "amx_tile", [25] = "amx_int8", [28] = "flush_l1d",
	[29] = "arch_capabilities" };
static const char *const xsave_a[32] = { "xsaveopt", "xsavec", "xgetbv1", "xsaves" };

static void names(struct seq *s, u32 bits, const char *const table[32])
{
	for (unsigned i = 0; i < 32; i++)
		if (bits >> i & 1 && table[i] && *table[i])
			seq_printf(s, " %s", table[i]);
}

static void flags(struct seq *s)
{
	struct regs one = cpuid(1, 0), ext = cpuid(0x80000001, 0);

	seq_puts(s, "flags\t\t:");
	names(s, one.d, leaf1_d);
	names(s, ext.d, ext1_d);
	names(s, one.c, leaf1_c);
	names(s, ext.c, ext1_c);
	if (cpuid(0, 0).a >= 7) {
		struct regs seven = cpuid(7, 0);

		names(s, seven.b, leaf7_b);
		if (cpuid(0, 0).a >= 0xd)
			names(s, cpuid(0xd, 1).a, xsave_a);
		names(s, seven.c, leaf7_c);
		names(s, seven.d, leaf7_d);
	}
	seq_puts(s, "\n");
}

static void brand(char name[49])
{
	const char *p = name;

	memset(name, 0, 49);
	if (cpuid(0x80000000, 0).a < 0x80000004) {
		memcpy(name, "unknown", 8);
		return;
	}
	for (u32 i = 0; i < 3; i++) {
		struct regs r = cpuid(0x80000002 + i, 0);

		memcpy(name + 16 * i, &r, 16);
	}
	while (*p == ' ')
		p++;
	memmove(name, p, strlen(p) + 1);
}

/* What the time-stamp counter did since boot, in kHz. */
static u32 measured(void)
{
	u64 ns = now_mono() - IPC->boot_tsc_at, clocks = __builtin_ia32_rdtsc() - IPC->boot_tsc;

	/* After a restore on another machine the two do not fit. */
	return ns < 1000000 || clocks / 20 > ns || clocks < ns / 20 ? 0 : (u32)(clocks / (ns / 1000000));
}

/* In kHz: the base frequency leaf, the TSC's, what the brand says, or measured. */
static u32 frequency(const char *name)
{
	struct regs r;
	const char *at = strchr(name, '@');
	u32 value = 0, digits = 0;

	if (cpuid(0, 0).a >= 0x16 && (r = cpuid(0x16, 0)).a & 0xffff)
		return (r.a & 0xffff) * 1000;
	if (cpuid(0, 0).a >= 0x15 && (r = cpuid(0x15, 0)).a && r.b && r.c)
		return (u32)((u64)r.c * r.b / r.a / 1000);
	if (!at)
		return measured();
	for (at++; *at == ' '; at++)
		;
	for (; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (u32)(*at - '0');
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9' && digits < 2; at++, digits++)
			value = value * 10 + (u32)(*at - '0');
	for (; digits < 2; digits++)
		value *= 10;
	return *at == 'G' ? value * 10000 : *at == 'M' ? value * 10 : 0;
}

static u32 cache_kb(void)
{
	u32 largest = 0;

	if (cpuid(0, 0).a >= 4)
		for (u32 i = 0; i < 8; i++) {
			struct regs r = cpuid(4, i);
			u32 size;

			if (!(r.a & 31))
				break;
			size = ((r.b >> 22) + 1) * (((r.b >> 12) & 0x3ff) + 1) * ((r.b & 0xfff) + 1) * (r.c + 1) / 1024;
			largest = MAX(largest, size);
		}
	if (!largest && cpuid(0x80000000, 0).a >= 0x80000006)
		largest = cpuid(0x80000006, 0).c >> 16;
	return largest;
}

int show_cpuinfo(struct pseudo *p, struct seq *s)
{
	struct regs zero = cpuid(0, 0), one = cpuid(1, 0), size = { 0x3030, 0, 0, 0 };
	u32 family = one.a >> 8 & 15, model = one.a >> 4 & 15, khz;
	char vendor[13] = { 0 }, name[49];

	(void)p;
	memcpy(vendor, &zero.b, 4);
	memcpy(vendor + 4, &zero.d, 4);
	memcpy(vendor + 8, &zero.c, 4);
	if (family == 6 || family == 15)
		model |= one.a >> 12 & 0xf0;
	if (family == 15)
		family += one.a >> 20 & 0xff;
	if (cpuid(0x80000000, 0).a >= 0x80000008)
		size = cpuid(0x80000008, 0);
	brand(name);
	khz = frequency(name);
	for (u32 i = 0; i < K->cpu_count; i++) {
		seq_printf(s, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", i,
			vendor, family, model, name, one.a & 15);
		seq_printf(s, "cpu MHz\t\t: %u.%03u\ncache size\t: %u KB\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
			khz / 1000, khz % 1000, cache_kb(), K->cpu_count, i, K->cpu_count);
		seq_printf(s, "apicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", i, i,
			zero.a);
		flags(s);
		seq_printf(s, "bugs\t\t:\nbogomips\t: %u.%02u\nclflush size\t: %u\ncache_alignment\t: 64\n", khz / 500, khz / 5 % 100,
			(one.b >> 8 & 0xff) * 8);
		seq_printf(s, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n", size.a & 0xff, size.a >> 8 & 0xff);
	}
	return 0;
}
