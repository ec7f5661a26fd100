/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of /proc about the whole machine, which is the instance. Numbers
 * this kernel does not keep (interrupts, disks) are shown as zero, never
 * invented.
 */
#include "proc.h"

#define NSEC_PER_CENT 10000000u

/* ---- time and load ---- */

int show_uptime(struct pseudo *p, struct seq *s)
{
	struct machine_counts c;
	const u64 t = now_mono() / NSEC_PER_CENT;

	(void)p;
	machine_counts(&c);
	const u64 all = t * K->cpu_count, used = c.cpu_time / NSEC_PER_CENT, idle = all > used ? all - used : 0;
	seq_printf(s, "%lu.%02lu %lu.%02lu\n", t / 100, t % 100, idle / 100, idle % 100);
	return 0;
}

int show_loadavg(struct pseudo *p, struct seq *s)
{
	struct machine_counts c;
	u64 load[3];

	(void)p;
	load_averages(load);
	machine_counts(&c);
	for (int i = 0; i < 3; i++) {
		const u64 hundredths = (load[i] * 100 + 1024) / 2048;
		seq_printf(s, "%lu.%02lu ", hundredths / 100, hundredths % 100);
	}
	seq_printf(s, "%u/%u %u\n", c.running, c.tasks, K->next_pid - 1);
	return 0;
}

int show_version(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "Linux version " KERNEL_RELEASE " (pico) " KERNEL_VERSION "\n");
	return 0;
}

/* ---- processors ---- */

/* Every processor is said to have had its share: who ran where only the host knows. */
int show_machine_stat(struct pseudo *p, struct seq *s)
{
	const u64 up = ticks(now_mono()), all = up * K->cpu_count;
	struct machine_counts c;

	(void)p;
	machine_refresh();
	machine_counts(&c);
	const u64 used = ticks(c.cpu_time), share = used / K->cpu_count;
	seq_printf(s, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", used, all > used ? all - used : 0);
	for (u32 i = 0; i < K->cpu_count; i++)
		seq_printf(s, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, share, up > share ? up - share : 0);
	seq_printf(s, "intr 0\nctxt %lu\nbtime %lu\nprocesses %u\nprocs_running %u\nprocs_blocked %u\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		c.switches, (u64)((K->boot_real - K->boot_mono) / NSEC_PER_SEC), K->next_pid - 1, MAX(c.running, 1u), c.blocked);
	return 0;
}

int show_interrupts(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "           ");
	for (u32 i = 0; i < K->cpu_count; i++)
		seq_printf(s, "CPU%-8u", i);
	seq_puts(s, "\n");
	return 0;
}

/* ---- memory ---- */

/* In use by programs: what the host says, or the sum of what is estimated of each. */
static u64 memory_used(void)
{
	const u64 told = K->host->memory_used;
	u64 sum = 0;

	if (told)
		return told;
	for (u32 tid = 0; proc_next_tid(&tid); tid++) {
		struct task *t = task_by_tid(tid);
		struct mm *mm = t && t->process->leader == t ? task_mm(t) : NULL;
		struct mm_usage u;
		if (mm) {
			mm_usage(mm, &u);
			sum += u.anon;
			mm_put(mm);
		}
		task_put(t);
	}
	return sum;
}

int show_meminfo(struct pseudo *p, struct seq *s)
{
	task_free_dead(); /* what only waits to be freed is not in use */
	u64 total = K->memory_limit ? K->memory_limit : K->phys_memory, used = memory_used(), shared = mem_used();
	u64 left = used + shared < total ? total - used - shared : 0;
	const struct { const char *name; u64 bytes; } lines[] = {
		{ "MemTotal", total }, { "MemFree", left }, { "MemAvailable", left }, { "Buffers", 0 }, { "Cached", shared },
		{ "SwapCached", 0 }, { "Active", used }, { "Inactive", 0 }, { "Active(anon)", used }, { "Inactive(anon)", 0 },
		{ "Active(file)", 0 }, { "Inactive(file)", 0 }, { "Unevictable", 0 }, { "Mlocked", 0 }, { "SwapTotal", 0 },
		{ "SwapFree", 0 }, { "Dirty", 0 }, { "Writeback", 0 }, { "AnonPages", used }, { "Mapped", 0 },
		{ "Shmem", shared }, { "KReclaimable", 0 }, { "Slab", shared }, { "SReclaimable", 0 }, { "SUnreclaim", shared },
		{ "KernelStack", 0 }, { "PageTables", 0 }, { "NFS_Unstable", 0 }, { "Bounce", 0 }, { "WritebackTmp", 0 },
		{ "CommitLimit", total }, { "Committed_AS", used }, { "VmallocTotal", 0 }, { "VmallocUsed", 0 },
		{ "VmallocChunk", 0 }, { "Percpu", 0 }, { "AnonHugePages", 0 }, { "ShmemHugePages", 0 }, { "ShmemPmdMapped", 0 },
		{ "FileHugePages", 0 }, { "FilePmdMapped", 0 },
	};

	(void)p;
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		int pad = 15 - (int)strlen(lines[i].name);

		seq_printf(s, "%s:%*s%8lu kB\n", lines[i].name, pad > 0 ? pad : 0, "", kb(lines[i].bytes));
	}
	seq_puts(s, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n"
		"Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
	return 0;
}

int show_vmstat(struct pseudo *p, struct seq *s)
{
	u64 total = K->memory_limit ? K->memory_limit : K->phys_memory, used = memory_used();

	(void)p;
	seq_printf(s, "nr_free_pages %lu\nnr_zone_inactive_anon 0\nnr_zone_active_anon %lu\nnr_anon_pages %lu\nnr_mapped 0\n"
		"nr_file_pages 0\nnr_dirty 0\nnr_writeback 0\nnr_shmem %lu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"
		"pgfault 0\npgmajfault 0\noom_kill 0\n",
		(used < total ? total - used : 0) / PAGE_SIZE, used / PAGE_SIZE, used / PAGE_SIZE, mem_used() / PAGE_SIZE);
	return 0;
}

/* ---- locks ---- */

static void lock_line(void *ctx, const struct lock_line *l)
{
	struct seq *s = ctx;

	seq_printf(s, "%u: %s ADVISORY  %s %d %02x:%02x:%lu %lu ", l->number, l->kind, l->write ? "WRITE" : "READ ", l->pid,
		(u32)(l->dev >> 8 & 0xfff), (u32)((l->dev & 0xff) | (l->dev >> 12 & 0xfff00)), l->ino, l->start);
	if (l->to_end)
		seq_puts(s, "EOF\n");
	else
		seq_printf(s, "%lu\n", l->end);
}

int show_locks(struct pseudo *p, struct seq *s)
{
	(void)p;
	locks_each(lock_line, s);
	return 0;
}
