/* SPDX-License-Identifier: Apache-2.0
 *
 * /sys: the processors and the few settings that run-time libraries read to
 * size themselves. Of devices only loop devices.
 */
#include "loop.h"

static int show_cpu_range(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_printf(s, K->cpu_count > 1 ? "0-%u\n" : "%u\n", K->cpu_count - 1);
	return 0;
}

static int show_core(struct pseudo *p, struct seq *s)
{
	seq_printf(s, "%lu\n", p->arg);
	return 0;
}

static int show_siblings(struct pseudo *p, struct seq *s)
{
	u64 cpu = p->arg;

	for (u64 word = (K->cpu_count - 1) / 32 + 1; word-- > 0;)
		seq_printf(s, word ? "%08x," : "%08x", cpu / 32 == word ? 1u << (cpu % 32) : 0u);
	seq_puts(s, "\n");
	return 0;
}

static int show_all_cpus(struct pseudo *p, struct seq *s)
{
	u64 words = (K->cpu_count - 1) / 32 + 1;

	(void)p;
	for (u64 word = words; word-- > 0;)
		seq_printf(s, word ? "%08x," : "%08x",
			word + 1 == words && K->cpu_count % 32 ? (1u << (K->cpu_count % 32)) - 1 : 0xffffffffu);
	seq_puts(s, "\n");
	return 0;
}

static const struct pseudo_entry topology_table[] = {
	PFILE("core_id", show_core), PTEXT("physical_package_id", "0\n"), PFILE("thread_siblings", show_siblings),
	PFILE("thread_siblings_list", show_core), PFILE("core_cpus", show_siblings), PFILE("core_cpus_list", show_core),
	PFILE("core_siblings", show_all_cpus), PFILE("core_siblings_list", show_cpu_range),
	PFILE("package_cpus", show_all_cpus), PFILE("package_cpus_list", show_cpu_range), { .name = NULL },
};
static const struct pseudo_entry one_cpu_table[] = { PDIR("topology", topology_table), PTEXT("online", "1\n"), { .name = NULL } };
static const struct pseudo_entry one_cpu = PDIR("cpu", one_cpu_table);

static int find_cpu(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	u64 n = 0;

	(void)dir;
	if (size < 4 || size > 7 || memcmp(name, "cpu", 3) || (size > 4 && name[3] == '0'))
		return -ENOENT;
	for (size_t i = 3; i < size; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		n = n * 10 + (u64)(name[i] - '0');
	}
	if (n >= K->cpu_count)
		return -ENOENT;
	child->entry = &one_cpu;
	child->arg = n;
	return 0;
}

static bool next_cpu(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	(void)dir;
	if (*pos >= K->cpu_count)
		return false;
	child->entry = &one_cpu;
	child->arg = *pos;
	snprintf(name, 64, "cpu%lu", *pos);
	(*pos)++;
	return true;
}

static const struct pseudo_entry empty[] = { { .name = NULL } };
static const struct pseudo_entry cpu_table[] = {
	PFILE("online", show_cpu_range), PFILE("possible", show_cpu_range), PFILE("present", show_cpu_range),
	PTEXT("offline", "\n"), PTEXT("isolated", "\n"), PTEXT("kernel_max", "8191\n"), { .name = NULL },
};
static int show_node_meminfo(struct pseudo *p, struct seq *s)
{
	u64 total = K->memory_limit ? K->memory_limit : K->phys_memory, used = K->host->memory_used;

	(void)p;
	seq_printf(s, "Node 0 MemTotal:       %lu kB\nNode 0 MemFree:        %lu kB\nNode 0 MemUsed:        %lu kB\n", total >> 10,
		(used < total ? total - used : 0) >> 10, used >> 10);
	return 0;
}
static const struct pseudo_entry node0_table[] = {
	PFILE("cpulist", show_cpu_range), PFILE("cpumap", show_all_cpus), PTEXT("distance", "10\n"), PFILE("meminfo", show_node_meminfo),
	{ .name = NULL },
};
static const struct pseudo_entry node_table[] = {
	PTEXT("online", "0\n"), PTEXT("possible", "0\n"), PTEXT("has_cpu", "0\n"), PTEXT("has_memory", "0\n"),
	PTEXT("has_normal_memory", "0\n"), PDIR("node0", node0_table), { .name = NULL },
};
static const struct pseudo_entry system_table[] = {
	{ .name = "cpu", .mode = S_IFDIR | 0555, .children = cpu_table, .find = find_cpu, .next = next_cpu },
	PDIR("node", node_table), { .name = NULL },
};
static const struct pseudo_entry devices_table[] = { PDIR("system", system_table), { .name = NULL } };
static const struct pseudo_entry thp_table[] = {
	PTEXT("enabled", "always [madvise] never\n"), PTEXT("defrag", "always defer defer+madvise [madvise] never\n"),
	PTEXT("shmem_enabled", "always within_size advise [never] deny force\n"), PTEXT("hpage_pmd_size", "2097152\n"),
	{ .name = NULL },
};
static const struct pseudo_entry mm_table[] = { PDIR("transparent_hugepage", thp_table), { .name = NULL } };
static const struct pseudo_entry kernel_table[] = { PDIR("mm", mm_table), PDIR("security", empty), PDIR("debug", empty), { .name = NULL } };
static const struct pseudo_entry fs_table[] = { PDIR("cgroup", empty), { .name = NULL } };
static const struct pseudo_entry class_table[] = { PDIR("net", empty), PDIR("block", empty), PDIR("tty", empty), { .name = NULL } };
static const struct pseudo_entry sys_table[] = {
	PDIR("devices", devices_table), PDIR("kernel", kernel_table), PDIR("fs", fs_table), PDIR("class", class_table),
	{ .name = "block", .mode = S_IFDIR | 0555, .children = empty, .find = loop_sys_find, .next = loop_sys_next },
	PDIR("bus", empty), PDIR("dev", empty), PDIR("module", empty), PDIR("firmware", empty),
	PDIR("power", empty), { .name = NULL },
};
static const struct pseudo_entry sys_root = PDIR("sys", sys_table);

struct inode *sysfs_root(void) { return pseudo_root(SYSFS_DEV, &sys_root); }
