/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc: its root and the files about the whole machine. Numbers this kernel
 * does not keep (interrupts, load) are shown as zero, never invented.
 */
#include "proc.h"

static u64 uptime(void) { return now_mono(); }

static int show_uptime(struct pseudo *p, struct seq *s)
{
	u64 t = uptime() / 10000000u, used = cpu_time_process() / 10000000u, idle = t * K->cpu_count;

	(void)p;
	idle = idle > used ? idle - used : 0;
	seq_printf(s, "%lu.%02lu %lu.%02lu\n", t / 100, t % 100, idle / 100, idle % 100);
	return 0;
}

static int show_loadavg(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_printf(s, "0.00 0.00 0.00 1/%u %u\n", K->task_count, K->next_pid - 1);
	return 0;
}

static int show_version(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "Linux version " KERNEL_RELEASE " (pico) " KERNEL_VERSION "\n");
	return 0;
}

static int show_meminfo(struct pseudo *p, struct seq *s)
{
	u64 total = K->memory_limit ? K->memory_limit : K->phys_memory, used = K->host->memory_used, shared = mem_used();
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

static int show_stat(struct pseudo *p, struct seq *s)
{
	u64 up = ticks(uptime()), used = ticks(cpu_time_process()), all = up * K->cpu_count;

	(void)p;
	seq_printf(s, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", used, all > used ? all - used : 0);
	for (u32 i = 0; i < K->cpu_count; i++) {
		u64 mine = used / K->cpu_count;

		seq_printf(s, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, mine, up > mine ? up - mine : 0);
	}
	seq_printf(s, "intr 0\nctxt 0\nbtime %lu\nprocesses %u\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		(u64)((now_real() - uptime()) / NSEC_PER_SEC), K->next_pid - 1);
	return 0;
}

static int show_vmstat(struct pseudo *p, struct seq *s)
{
	u64 total = K->memory_limit ? K->memory_limit : K->phys_memory, used = K->host->memory_used;

	(void)p;
	seq_printf(s, "nr_free_pages %lu\nnr_zone_inactive_anon 0\nnr_zone_active_anon %lu\nnr_anon_pages %lu\nnr_mapped 0\n"
		"nr_file_pages 0\nnr_dirty 0\nnr_writeback 0\nnr_shmem %lu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"
		"pgfault 0\npgmajfault 0\noom_kill 0\n",
		(used < total ? total - used : 0) / PAGE_SIZE, used / PAGE_SIZE, used / PAGE_SIZE, mem_used() / PAGE_SIZE);
	return 0;
}

static int read_self(struct pseudo *p, char *buf, size_t size)
{
	(void)p;
	return snprintf(buf, size, "%u", current->process->pid);
}

static int read_thread_self(struct pseudo *p, char *buf, size_t size)
{
	(void)p;
	return snprintf(buf, size, "%u/task/%u", current->process->pid, current->tid);
}

static const struct pseudo_entry root_table[] = {
	{ .name = "self", .mode = S_IFLNK | 0777, .readlink = read_self },
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = read_thread_self },
	PLINK("mounts", "self/mounts"), PLINK("net", "self/net"),
	PFILE("cpuinfo", show_cpuinfo), PFILE("meminfo", show_meminfo), PFILE("stat", show_stat), PFILE("uptime", show_uptime),
	PFILE("loadavg", show_loadavg), PFILE("version", show_version), PFILE("vmstat", show_vmstat),
	PTEXT("filesystems", "nodev\tsysfs\nnodev\ttmpfs\nnodev\tmqueue\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tpipefs\nnodev\tsockfs\nnodev\tpicofs\n"),
	PTEXT("cmdline", "pico\n"),
	PTEXT("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"),
	PTEXT("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	PTEXT("partitions", "major minor  #blocks  name\n\n"), PTEXT("diskstats", ""), PTEXT("modules", ""),
	PTEXT("interrupts", ""), PTEXT("misc", ""),
	PDIR("sys", proc_sys_table), PDIR("sysvipc", proc_sysvipc_table),
	{ .name = NULL },
};
static const struct pseudo_entry proc_root = {
	.name = "proc", .mode = S_IFDIR | 0555, .children = root_table, .find = proc_find_process, .next = proc_next_process,
};

u32 procfs_process(const struct file *f)
{
	if (!f->inode || f->inode->dev != PROCFS_DEV || (f->inode->mode & S_IFMT) != S_IFDIR)
		return 0;
	return pseudo_of(f->inode)->entry == &proc_process_dir ? pseudo_of(f->inode)->pid : 0;
}

struct inode *procfs_root(void) { return pseudo_root(PROCFS_DEV, &proc_root); }
