/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc: its root. What the files in it show is told elsewhere.
 */
#include "proc.h"

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

/* What ps knows terminals by: name, root of the device's name, major, minors, kind. */
#define DRIVERS \
	"/dev/tty             /dev/tty        5       0 system:/dev/tty\n" \
	"/dev/console         /dev/console    5       1 system:console\n" \
	"/dev/ptmx            /dev/ptmx       5       2 system\n" \
	"pty_slave            /dev/pts      136 0-1048575 pty:slave\n" \
	"pty_master           /dev/ptm      128 0-1048575 pty:master\n"
static const struct pseudo_entry tty_table[] = { PTEXT("drivers", DRIVERS), PTEXT("ldiscs", "n_tty       0\n"), { .name = NULL } };
static const struct pseudo_entry empty_table[] = { { .name = NULL } };
static int show_filesystems(struct pseudo *p, struct seq *s)
{
	const struct fs_type *t;

	(void)p;
	for (u32 n = 0; (t = fs_type_at(n)); n++)
		seq_printf(s, "nodev\t%s\n", t->name);
	return 0;
}

static const struct pseudo_entry root_table[] = {
	{ .name = "self", .mode = S_IFLNK | 0777, .readlink = read_self },
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = read_thread_self },
	PLINK("mounts", "self/mounts"), PLINK("net", "self/net"),
	PFILE("cpuinfo", show_cpuinfo), PFILE("meminfo", show_meminfo), PFILE("stat", show_machine_stat), PFILE("uptime", show_uptime),
	PFILE("loadavg", show_loadavg), PFILE("version", show_version), PFILE("vmstat", show_vmstat),
	PFILE("filesystems", show_filesystems),
	PTEXT("cmdline", "pico\n"),
	PTEXT("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"),
	PTEXT("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	PTEXT("partitions", "major minor  #blocks  name\n\n"), PTEXT("diskstats", ""), PTEXT("modules", ""),
	PFILE("interrupts", show_interrupts), PFILE("softirqs", show_interrupts), PTEXT("misc", ""),
	PTEXT("cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"), PTEXT("consoles", ""), PTEXT("execdomains", "0-0\tLinux           \t[kernel]\n"),
	PTEXT("iomem", ""), PTEXT("ioports", ""), PTEXT("dma", ""), PTEXT("fb", ""), PTEXT("buddyinfo", ""), PTEXT("zoneinfo", ""),
	PTEXT("mdstat", "Personalities : \nunused devices: <none>\n"), PFILE("locks", show_locks), PDIR("tty", tty_table),
	PDIR("sys", proc_sys_table), PDIR("sysvipc", proc_sysvipc_table), PDIR("driver", empty_table), PDIR("fs", empty_table), PDIR("bus", empty_table), PDIR("irq", empty_table),
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
