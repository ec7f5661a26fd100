/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/sys: what programs look up there, and the few knobs that do something.
 * A limit that is not this kernel's own is shown and cannot be written.
 */
#include "proc.h"

static int show_u64(struct seq *s, u64 v)
{
	seq_printf(s, "%lu\n", v);
	return 0;
}

/* Fixed numbers: arg. */
static int show_number(struct pseudo *p, struct seq *s) { return show_u64(s, p->arg); }

#define NUMBER(n, value) { .name = n, .mode = S_IFREG | 0444, .show = show_number, .arg = (value) }
#define ZERO(n) PTEXT(n, "0\n")

static int show_uuid(struct pseudo *p, struct seq *s)
{
	char uuid[37];

	(void)p;
	ipc_uuid(uuid);
	seq_printf(s, "%s\n", uuid);
	return 0;
}

static int show_boot_id(struct pseudo *p, struct seq *s)
{
	const u8 *b = (const u8 *)IPC->boot_uuid;

	(void)p;
	for (unsigned i = 0; i < 16; i++)
		seq_printf(s, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			i == 6 ? (b[i] & 0x0f) | 0x40 : i == 8 ? (b[i] & 0x3f) | 0x80 : b[i]);
	seq_puts(s, "\n");
	return 0;
}

static int show_name(struct pseudo *p, struct seq *s)
{
	seq_printf(s, "%s\n", p->arg ? K->domainname : K->hostname);
	return 0;
}

static int store_name(struct pseudo *p, char *text, size_t size)
{
	char *name = p->arg ? K->domainname : K->hostname, *end = strchr(text, '\n');

	(void)size;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (end)
		*end = 0;
	if (strlen(text) > 64)
		text[64] = 0;
	memset(name, 0, 65);
	memcpy(name, text, strlen(text));
	return 0;
}

/* Knobs that are words of struct ipc: arg is their offset. */
static u32 *word(struct pseudo *p) { return (u32 *)((char *)IPC + p->arg); }
static int show_word(struct pseudo *p, struct seq *s) { return show_u64(s, *word(p)); }

static int store_word(struct pseudo *p, char *text, size_t size)
{
	u64 v;
	int err = pseudo_number(text, &v);

	(void)size;
	if (err)
		return err;
	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (v > 0x7fffffff)
		return -EINVAL;
	if (word(p) == &IPC->pipe_max_size) {
		u64 pages = 1;

		if (v < PAGE_SIZE)
			v = PAGE_SIZE;
		while (pages * PAGE_SIZE < v)
			pages *= 2;
		v = pages * PAGE_SIZE;
	}
	*word(p) = (u32)v;
	return 0;
}

#define WORD(n, member) { .name = n, .mode = S_IFREG | 0644, .show = show_word, .store = store_word, .arg = offsetof(struct ipc, member) }

/* Knobs of other parts: which, and what they may be. */
enum { KNOB_PID_MAX, KNOB_LAST_PID, KNOB_MAPS, KNOB_LEASE };
static u32 *const knobs[] = {
	[KNOB_PID_MAX] = &K->knobs.pid_max, [KNOB_LAST_PID] = &K->next_pid, [KNOB_MAPS] = &K->knobs.max_map_count,
	[KNOB_LEASE] = &K->knobs.lease_break_time,
};
static const struct { u32 least, most; } ranges[] = {
	[KNOB_PID_MAX] = { 301, ARRAY_SIZE(K->pid_table) }, [KNOB_LAST_PID] = { 0, ARRAY_SIZE(K->pid_table) - 1 },
	[KNOB_MAPS] = { 0, 0x7fffffff }, [KNOB_LEASE] = { 0, 0x7fffffff },
};

static int show_knob(struct pseudo *p, struct seq *s) { return show_u64(s, *knobs[p->arg] - (p->arg == KNOB_LAST_PID)); }

static int store_knob(struct pseudo *p, char *text, size_t size)
{
	u64 v;
	int err = pseudo_number(text, &v);

	(void)size;
	if (err)
		return err;
	if (!capable(p->arg == KNOB_LAST_PID ? CAP_SYS_ADMIN : CAP_SYS_RESOURCE))
		return -EPERM;
	if (v < ranges[p->arg].least || v > ranges[p->arg].most)
		return -EINVAL;
	lock(&K->tree_lock);
	*knobs[p->arg] = (u32)v + (p->arg == KNOB_LAST_PID);
	unlock(&K->tree_lock);
	return 0;
}

#define KNOB(n, which) { .name = n, .mode = S_IFREG | 0644, .show = show_knob, .store = store_knob, .arg = which }

static int show_file_nr(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_printf(s, "%lu\t0\t9223372036854775807\n", vfs()->file_count);
	return 0;
}

static int show_threads_max(struct pseudo *p, struct seq *s)
{
	(void)p;
	return show_u64(s, K->limits.threads ? K->limits.threads : PICO_THREADS_MAX);
}

static const struct pseudo_entry random_table[] = {
	PFILE("uuid", show_uuid), PFILE("boot_id", show_boot_id), NUMBER("entropy_avail", 256), NUMBER("poolsize", 256),
	NUMBER("urandom_min_reseed_secs", 60), NUMBER("write_wakeup_threshold", 256), { .name = NULL },
};
static const struct pseudo_entry kernel_table[] = {
	PTEXT("osrelease", KERNEL_RELEASE "\n"), PTEXT("ostype", "Linux\n"), PTEXT("version", KERNEL_VERSION "\n"),
	PKNOB("hostname", show_name, store_name),
	{ .name = "domainname", .mode = S_IFREG | 0644, .show = show_name, .store = store_name, .arg = 1 },
	KNOB("pid_max", KNOB_PID_MAX), PFILE("threads-max", show_threads_max), KNOB("ns_last_pid", KNOB_LAST_PID),
	NUMBER("cap_last_cap", 40), PTEXT("core_pattern", "core\n"), ZERO("core_uses_pid"), ZERO("core_pipe_limit"),
	NUMBER("ngroups_max", 65536), IPC_KNOB("shmmax", KNOB_SHMMAX), IPC_KNOB("shmall", KNOB_SHMALL),
	IPC_KNOB("shmmni", KNOB_SHMMNI), IPC_KNOB("shm_rmid_forced", KNOB_SHM_RMID_FORCED), IPC_KNOB("shm_next_id", KNOB_SHM_NEXT_ID),
	IPC_KNOB("sem", KNOB_SEM), IPC_KNOB("sem_next_id", KNOB_SEM_NEXT_ID), IPC_KNOB("msgmax", KNOB_MSGMAX),
	IPC_KNOB("msgmnb", KNOB_MSGMNB), IPC_KNOB("msgmni", KNOB_MSGMNI), IPC_KNOB("msg_next_id", KNOB_MSG_NEXT_ID),
	ZERO("auto_msgmni"), ZERO("tainted"), NUMBER("randomize_va_space", 2), ZERO("kptr_restrict"),
	ZERO("dmesg_restrict"), ZERO("panic"), ZERO("panic_on_oops"), PTEXT("printk", "4\t4\t1\t7\n"),
	NUMBER("perf_event_paranoid", 4), NUMBER("sched_rr_timeslice_ms", 100), NUMBER("sched_rt_period_us", 1000000),
	NUMBER("sched_rt_runtime_us", 950000), NUMBER("sysrq", 0x1b6), NUMBER("unprivileged_bpf_disabled", 2),
	PTEXT("arch", "x86_64\n"), PDIR("random", random_table), { .name = NULL },
};
static const struct pseudo_entry vm_table[] = {
	ZERO("overcommit_memory"), NUMBER("overcommit_ratio", 50), ZERO("overcommit_kbytes"), KNOB("max_map_count", KNOB_MAPS),
	NUMBER("mmap_min_addr", 65536), NUMBER("swappiness", 60),
	NUMBER("vfs_cache_pressure", 100), NUMBER("dirty_ratio", 20), NUMBER("dirty_background_ratio", 10), ZERO("panic_on_oom"),
	ZERO("legacy_va_layout"), ZERO("zone_reclaim_mode"), { .name = NULL },
};
static const struct pseudo_entry inotify_table[] = {
	WORD("max_queued_events", inotify_max_events), WORD("max_user_instances", inotify_max_instances),
	WORD("max_user_watches", inotify_max_watches), { .name = NULL },
};
static const struct pseudo_entry epoll_table[] = { NUMBER("max_user_watches", 1ul << 31), { .name = NULL } };
static const struct pseudo_entry fs_table[] = {
	NUMBER("file-max", 9223372036854775807ul), PFILE("file-nr", show_file_nr), NUMBER("nr_open", 1048576),
	WORD("pipe-max-size", pipe_max_size), ZERO("pipe-user-pages-hard"), NUMBER("pipe-user-pages-soft", 16384),
	KNOB("lease-break-time", KNOB_LEASE), NUMBER("leases-enable", 1), NUMBER("aio-max-nr", 65536), ZERO("aio-nr"),
	ZERO("suid_dumpable"), NUMBER("overflowuid", 65534), NUMBER("overflowgid", 65534), NUMBER("mount-max", 100000),
	NUMBER("protected_hardlinks", 1), NUMBER("protected_symlinks", 1), NUMBER("protected_fifos", 1),
	NUMBER("protected_regular", 2), PDIR("inotify", inotify_table), PDIR("epoll", epoll_table), PDIR("mqueue", proc_mqueue_table), { .name = NULL },
};
static const struct pseudo_entry core_table[] = {
	WORD("somaxconn", somaxconn), NUMBER("rmem_default", 212992), NUMBER("rmem_max", 212992), NUMBER("wmem_default", 212992),
	NUMBER("wmem_max", 212992), NUMBER("netdev_max_backlog", 1000), { .name = NULL },
};
static const struct pseudo_entry unix_table[] = { WORD("max_dgram_qlen", max_dgram_qlen), { .name = NULL } };
static const struct pseudo_entry net_table[] = { PDIR("core", core_table), PDIR("unix", unix_table), { .name = NULL } };
static const struct pseudo_entry user_table[] = {
	ZERO("max_user_namespaces"), ZERO("max_net_namespaces"), ZERO("max_pid_namespaces"), { .name = NULL },
};

const struct pseudo_entry proc_sys_table[] = {
	PDIR("kernel", kernel_table), PDIR("vm", vm_table), PDIR("fs", fs_table), PDIR("net", net_table), PDIR("user", user_table),
	{ .name = NULL },
};
