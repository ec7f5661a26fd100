/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID and /proc/PID/task/TID: the directories, who may look into them, and
 * the small files. What is longer has a file of its own: proc_stat.c, proc_mm.c,
 * proc_link.c.
 */
#include "proc.h"
#include "linux/lx/signal.h"

/* A number that was given to another since the name was looked up names nobody. */
struct task *proc_task(struct pseudo *p)
{
	struct task *t = task_by_tid(p->tid);

	if (t && t->process && t->process->pid == p->pid && (!p->born || t->process->start_time == p->born))
		return t;
	task_put(t);
	return NULL;
}

bool proc_gone(struct pseudo *p)
{
	struct task *t = proc_task(p);

	task_put(t);
	return !t;
}

/* Directories that all may list are always the process's own; the rest is root's
 * when there is something to hide. */
void proc_owner(struct pseudo *p, struct kstat *st)
{
	struct task *t = proc_task(p);

	if (t && (p->entry->mode == (S_IFDIR | 0555) || (t->mm && t->process->dumpable == 1))) {
		st->uid = t->process->creds.euid;
		st->gid = t->process->creds.egid;
	} else {
		st->uid = st->gid = 0;
	}
	task_put(t);
}

/* What lies in the program's memory, or tells of it. A process without memory has nothing to hide. */
int proc_may_open(struct pseudo *p, struct file *f)
{
	struct task *t = proc_task(p);
	const int err = !t ? -ESRCH : t->mm && task_may_look(t, true) ? -EACCES : 0;

	(void)f;
	task_put(t);
	return err;
}

/* ---- small files ---- */

static int show_comm(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%.15s\n", t->comm);
	task_put(t);
	return 0;
}

static int store_comm(struct pseudo *e, char *text, size_t size)
{
	struct task *t = proc_task(e);
	int err = 0;

	if (!t)
		return -ESRCH;
	if (t->process != current->process) {
		err = -EINVAL;
	} else {
		char name[16] = { 0 };

		memcpy(name, text, MIN(size, 15ul));
		for (int i = 0; i < 15; i++)
			if (name[i] == '\n')
				name[i] = 0;
		memcpy(t->comm, name, sizeof(name));
	}
	task_put(t);
	return err;
}

static int show_limits(struct pseudo *e, struct seq *s)
{
	static const struct { const char *name, *unit; u32 n; } rows[] = {
		{ "Max cpu time", "seconds", 0 }, { "Max file size", "bytes", 1 }, { "Max data size", "bytes", 2 },
		{ "Max stack size", "bytes", 3 }, { "Max core file size", "bytes", 4 }, { "Max resident set", "bytes", 5 },
		{ "Max processes", "processes", 6 }, { "Max open files", "files", 7 }, { "Max locked memory", "bytes", 8 },
		{ "Max address space", "bytes", 9 }, { "Max file locks", "locks", 10 }, { "Max pending signals", "signals", 11 },
		{ "Max msgqueue size", "bytes", 12 }, { "Max nice priority", NULL, 13 }, { "Max realtime priority", NULL, 14 },
		{ "Max realtime timeout", "us", 15 },
	};
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const u64 *v = t->process->rlimit[rows[i].n];

		seq_printf(s, "%-25s ", rows[i].name);
		for (int k = 0; k < 2; k++) {
			if (v[k] == ~0ull)
				seq_printf(s, "%-20s ", "unlimited");
			else
				seq_printf(s, "%-20lu ", v[k]);
		}
		if (rows[i].unit)
			seq_printf(s, "%-10s\n", rows[i].unit);
		else
			seq_puts(s, "\n");
	}
	task_put(t);
	return 0;
}

static int show_io(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: %lu\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
		t->process->inblock * 512);
	task_put(t);
	return 0;
}

static int show_personality(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%08x\n", t->process->personality);
	task_put(t);
	return 0;
}

static int show_timerslack(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%lu\n", t->timer_slack);
	task_put(t);
	return 0;
}

static int show_oom_score_adj(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%d\n", t->process->oom_score_adj);
	task_put(t);
	return 0;
}

static int store_oom_score_adj(struct pseudo *e, char *text, size_t size)
{
	struct task *t;
	u64 v;
	int err = pseudo_number(text, &v);

	(void)size;
	if (err)
		return err;
	if ((s64)v < -1000 || (s64)v > 1000)
		return -EINVAL;
	t = proc_task(e);
	if (!t)
		return -ESRCH;
	if ((s32)v < t->process->oom_score_adj && !capable(CAP_SYS_RESOURCE))
		err = -EACCES;
	else
		t->process->oom_score_adj = (s32)v;
	task_put(t);
	return err;
}

static int mount_lines(struct seq *s, bool info)
{
	char *line = kmalloc(2 * PATH_MAX);

	if (!line)
		return -ENOMEM;
	for (u32 i = 0; vfs_mount_line(i, info, line, 2 * PATH_MAX) > 0; i++)
		seq_puts(s, line);
	kfree(line);
	return 0;
}

/* Linux's baseline, so that what programs compute from it comes out right: nothing is killed for memory here. */
static int show_oom_score(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%d\n", t->process->oom_score_adj == -1000 ? 0 : (1000 + t->process->oom_score_adj) * 2 / 3);
	task_put(t);
	return 0;
}

/* Those of the whole process: all are children of its leader here. */
static int show_children(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	if (t == t->process->leader) {
		lock(&K->tree_lock);
		list_for_each(pos, &t->process->children)
			seq_printf(s, "%u ", list_entry(pos, struct process, sibling)->pid);
		unlock(&K->tree_lock);
	}
	task_put(t);
	return 0;
}

static int show_timers(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);
	struct timer_text text;

	if (!t)
		return -ESRCH;
	for (u32 id = 0; timer_describe(t->process, &id, &text); id++)
		seq_puts(s, text.text);
	task_put(t);
	return 0;
}

static int show_mounts(struct pseudo *e, struct seq *s) { (void)e; return mount_lines(s, false); }
static int show_mountinfo(struct pseudo *e, struct seq *s) { (void)e; return mount_lines(s, true); }

int proc_number(const char *name, size_t size, u32 *out)
{
	u32 n = 0;

	if (!size || size > 9 || (size > 1 && name[0] == '0'))
		return -ENOENT;
	for (size_t i = 0; i < size; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		n = n * 10 + (u32)(name[i] - '0');
	}
	*out = n;
	return 0;
}

/* ---- the directories ---- */

#define FILE_(n, bits, fn) { .name = n, .mode = S_IFREG | bits, .show = fn, .owner = proc_owner, .gone = proc_gone }
#define LOOK_(n, bits, fn) { .name = n, .mode = S_IFREG | bits, .show = fn, .owner = proc_owner, .gone = proc_gone, .may_open = proc_may_open }
#define POLLED_(n, fn) { .name = n, .mode = S_IFREG | 0444, .show = fn, .poll = mounts_poll, .owner = proc_owner, .gone = proc_gone }
#define KNOB_(n, fn, set) { .name = n, .mode = S_IFREG | 0644, .show = fn, .store = set, .owner = proc_owner, .gone = proc_gone }
#define TEXT_(n, bits, text) { .name = n, .mode = S_IFREG | bits, .show = pseudo_text, .arg = (u64)(text), .owner = proc_owner, .gone = proc_gone }
/* A process may always look at its own descriptors, whoever it has become. */
static int own_process(struct pseudo *p, u32 mask)
{
	struct task *t = proc_task(p);
	bool own = t && t->process == current->process;

	(void)mask;
	task_put(t);
	return own ? 0 : 1;
}

#define DIR_(n, bits, value) .name = n, .mode = S_IFDIR | bits, .arg = value, .owner = proc_owner, .gone = proc_gone
#define PATH_(n, what) { .name = n, .mode = S_IFLNK | 0777, .arg = what, .readlink = proc_read_path, .follow = proc_follow_path, \
	.owner = proc_owner, .gone = proc_gone }

#define COMMON_FILES \
	FILE_("status", 0444, show_status), FILE_("statm", 0444, show_statm), LOOK_("maps", 0444, show_maps), \
	LOOK_("smaps", 0444, show_smaps), LOOK_("smaps_rollup", 0444, show_smaps_rollup), FILE_("cmdline", 0444, show_cmdline), \
	LOOK_("environ", 0400, show_environ), KNOB_("comm", show_comm, store_comm), FILE_("limits", 0444, show_limits), \
	LOOK_("io", 0400, show_io), LOOK_("auxv", 0400, show_auxv), LOOK_("personality", 0400, show_personality), \
	POLLED_("mounts", show_mounts), POLLED_("mountinfo", show_mountinfo), \
	KNOB_("oom_score_adj", show_oom_score_adj, store_oom_score_adj), FILE_("oom_score", 0444, show_oom_score), \
	TEXT_("cgroup", 0444, "0::/\n"), TEXT_("cpuset", 0444, "/\n"), FILE_("wchan", 0444, show_wchan), \
	TEXT_("loginuid", 0444, "4294967295"), TEXT_("sessionid", 0444, "4294967295"), \
	TEXT_("uid_map", 0444, "         0          0 4294967295\n"), TEXT_("gid_map", 0444, "         0          0 4294967295\n"), \
	TEXT_("setgroups", 0444, "allow\n"), FILE_("schedstat", 0444, show_schedstat), FILE_("sched", 0444, show_sched), \
	LOOK_("syscall", 0400, show_syscall), { .name = "stack", .mode = S_IFREG | 0400, .show = pseudo_text, .arg = (u64) "", .owner = proc_owner, .gone = proc_gone, .may_open = proc_may_open }, \
	{ .name = "mem", .mode = S_IFREG | 0600, .open = open_mem, .owner = proc_owner, .gone = proc_gone }, \
	PATH_("cwd", PROC_CWD), PATH_("root", PROC_ROOT), PATH_("exe", PROC_EXE), \
	{ DIR_("fd", 0500, 0), .find = proc_find_fd, .next = proc_next_fd, .permission = own_process }, \
	{ DIR_("fdinfo", 0555, 1), .find = proc_find_fd, .next = proc_next_fd, .permission = own_process }, \
	{ DIR_("ns", 0511, 0), .children = proc_namespace_table }, \
	{ DIR_("net", 0555, 0), .children = proc_net_table }

static const struct pseudo_entry thread_table[] = {
	FILE_("stat", 0444, show_thread_stat), COMMON_FILES, FILE_("children", 0444, show_children), { .name = NULL },
};
static const struct pseudo_entry thread_dir = { DIR_("tid", 0555, 0), .children = thread_table };

static int find_thread(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	u32 tid;
	int err = proc_number(name, size, &tid);

	(void)dir;
	if (err)
		return err;
	child->entry = &thread_dir;
	child->tid = tid;
	return proc_gone(child) ? -ENOENT : 0;
}

static bool next_number(u64 *pos, u32 pid, u32 *found)
{
	u32 n = (u32)*pos;

	lock(&K->tree_lock);
	const u32 end = K->pids_wrapped ? ARRAY_SIZE(K->pid_table) : K->next_pid; /* what was never used is not touched */
	for (; n < end; n++) {
		const struct task *t = K->pid_table[n];

		if (t && t->process && (pid ? t->process->pid == pid : t->process->pid == n))
			break;
	}
	unlock(&K->tree_lock);
	if (n >= end)
		return false;
	*found = n;
	*pos = n + 1;
	return true;
}

bool proc_next_tid(u32 *tid)
{
	u64 pos = *tid;

	return next_number(&pos, 0, tid);
}

static bool next_thread(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	if (!next_number(pos, dir->pid, &child->tid))
		return false;
	child->entry = &thread_dir;
	snprintf(name, 64, "%u", child->tid);
	return true;
}

static const struct pseudo_entry process_table[] = {
	FILE_("stat", 0444, show_stat), COMMON_FILES, FILE_("timerslack_ns", 0444, show_timerslack), FILE_("timers", 0444, show_timers),
	{ DIR_("task", 0555, 0), .find = find_thread, .next = next_thread }, { .name = NULL },
};
const struct pseudo_entry proc_process_dir = { DIR_("pid", 0555, 0), .children = process_table };

int proc_find_process(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	struct task *t;
	u32 n;
	int err = proc_number(name, size, &n);

	(void)dir;
	if (err)
		return err;
	t = task_by_tid(n); /* a thread's number leads to its process, though it is not listed */
	if (!t || !t->process) {
		task_put(t);
		return -ENOENT;
	}
	child->entry = &proc_process_dir;
	child->pid = t->process->pid;
	child->tid = n;
	child->born = t->process->start_time;
	task_put(t);
	return 0;
}

bool proc_next_process(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	(void)dir;
	if (!next_number(pos, 0, &child->pid))
		return false;
	child->entry = &proc_process_dir;
	child->tid = child->pid;
	snprintf(name, 64, "%u", child->pid);
	return true;
}
