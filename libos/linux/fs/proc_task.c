/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID and /proc/PID/task/TID: what a process is and what it holds.
 * Formats are Linux's to the letter, since ps, top and many libraries take
 * them apart.
 */
#include "proc.h"
#include "linux/lx/proc.h"
#include "linux/lx/signal.h"

struct task *proc_task(struct pseudo *p)
{
	struct task *t = task_by_tid(p->tid);

	if (t && t->process && t->process->pid == p->pid)
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

static bool always_gone(struct pseudo *p)
{
	(void)p;
	return true;
}

void proc_owner(struct pseudo *p, struct kstat *st)
{
	struct task *t = proc_task(p);

	if (t && t->process->dumpable == 1) {
		st->uid = t->process->creds.euid;
		st->gid = t->process->creds.egid;
	}
	task_put(t);
}

static char state_of(const struct task *t)
{
	if (t->process->state == PROCESS_ZOMBIE)
		return 'Z';
	if (t->process->state == PROCESS_STOPPED)
		return 'T';
	return t->lent || task_sleeps(t) ? 'S' : 'R';
}

static u64 cpu_of(const struct task *t, bool whole)
{
	if (whole)
		return t->process == current->process ? cpu_time_process() : t->process->cpu_time_dead;
	return t == current ? cpu_time_thread() : t->cpu_time;
}

/* Blocked, ignored, caught: as sets. */
static void signal_sets(struct process *p, u64 *ignored, u64 *caught)
{
	*ignored = *caught = 0;
	lock(&p->sig_lock);
	for (int n = 1; n <= 64; n++) {
		if (p->sighand->actions[n].handler == 1)
			*ignored |= SIGMASK(n);
		else if (p->sighand->actions[n].handler)
			*caught |= SIGMASK(n);
	}
	unlock(&p->sig_lock);
}

/* ---- stat ---- */

static int stat_line(struct pseudo *e, struct seq *s, bool whole)
{
	struct task *t = proc_task(e);
	struct process *p;
	u64 ignored, caught, cpu;
	u32 foreground = (u32)-1;
	struct mm *mm;

	if (!t)
		return -ESRCH;
	p = t->process;
	mm = proc_mm_get(t);
	cpu = ticks(cpu_of(t, whole));
	signal_sets(p, &ignored, &caught);
	seq_printf(s, "%u (%.15s) %c %u %u %u %u %d 4194304 %lu 0 0 0 %lu 0 %lu %lu ", t->tid, t->comm, state_of(t), p->ppid, p->pgid,
		p->sid, tty_number(p, &foreground), (int)foreground, p->minflt, cpu, ticks(p->utime_children),
		ticks(p->stime_children));
	seq_printf(s, "%d %d %u 0 %lu %lu %lu %lu ", t->policy == 1 || t->policy == 2 ? -1 - (int)t->rt_priority : 20 + t->nice, t->nice,
		p->task_count, ticks(t->start_time), mm ? mm->total_vm : 0, mm ? mm_rss(mm) / PAGE_SIZE : 0, p->rlimit[5][0]);
	seq_printf(s, "%lu %lu %lu 0 0 %lu %lu %lu %lu 0 0 0 %u 0 %u %u 0 0 0 ", mm ? mm->start_code : 0, mm ? mm->end_code : 0,
		mm ? mm->stack_top : 0, t->pending.set & 0x7fffffff, t->sigmask & 0x7fffffff, ignored & 0x7fffffff, caught & 0x7fffffff,
		p->exit_signal, t->rt_priority, t->policy);
	seq_printf(s, "%lu %lu %lu %lu %lu %lu %lu %u\n", mm ? mm->end_code : 0, mm ? mm->brk_start : 0, mm ? mm->brk_start : 0,
		mm ? mm->arg_start : 0, mm ? mm->arg_end : 0, mm ? mm->env_start : 0, mm ? mm->env_end : 0, p->exit_status);
	if (mm)
		mm_put(mm);
	task_put(t);
	return 0;
}

static int show_stat(struct pseudo *e, struct seq *s) { return stat_line(e, s, true); }
static int show_thread_stat(struct pseudo *e, struct seq *s) { return stat_line(e, s, false); }

/* ---- status ---- */

static void memory_lines(struct seq *s, struct mm *mm)
{
	u64 rss = mm_rss(mm), text = ALIGN_UP(mm->end_code, PAGE_SIZE) - ALIGN_DOWN(mm->start_code, PAGE_SIZE);
	u64 stack = mm->stack_top > mm->stack_limit_bottom ? mm->stack_top - mm->stack_limit_bottom : 0;
	const struct { const char *name; u64 bytes; } lines[] = {
		{ "VmPeak", mm->total_vm }, { "VmSize", mm->total_vm }, { "VmLck", mm->locked_vm }, { "VmPin", 0 },
		{ "VmHWM", MAX(mm->hiwater_rss, rss) }, { "VmRSS", rss }, { "RssAnon", rss }, { "RssFile", 0 }, { "RssShmem", 0 },
		{ "VmData", mm->data_vm }, { "VmStk", stack }, { "VmExe", text }, { "VmLib", 0 }, { "VmPTE", 0 }, { "VmSwap", 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		seq_printf(s, "%s:\t%8lu kB\n", lines[i].name, kb(lines[i].bytes));
	seq_puts(s, "HugetlbPages:\t       0 kB\nCoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void id_lines(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	const struct creds *c = &p->creds;

	seq_printf(s, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", p->pid, t->tid, p->ppid);
	seq_printf(s, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t64\nGroups:\t", c->uid, c->euid, c->suid, c->fsuid, c->gid,
		c->egid, c->sgid, c->fsgid);
	for (u32 i = 0; i < c->group_count; i++)
		seq_printf(s, i ? " %u" : "%u", c->groups[i]);
	seq_printf(s, " \nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", p->pid, t->tid, p->pgid, p->sid);
}

static void cpu_list(struct seq *s, const struct task *t)
{
	u32 n = K->cpu_count;
	u64 mask = t->affinity[0] ? t->affinity[0] : n >= 64 ? ~0ull : (1ull << n) - 1;
	bool first = true;

	if (n < 64)
		mask &= (1ull << n) - 1;
	seq_printf(s, n > 32 ? "Cpus_allowed:\t%08x,%08x\n" : "Cpus_allowed:\t%x\n", n > 32 ? (u32)(mask >> 32) : (u32)mask, (u32)mask);
	seq_puts(s, "Cpus_allowed_list:\t");
	for (u32 i = 0; i < 64; i++) {
		u32 end = i;

		if (!(mask >> i & 1))
			continue;
		while (end + 1 < 64 && mask >> (end + 1) & 1)
			end++;
		seq_printf(s, end == i ? "%s%u" : "%s%u-%u", first ? "" : ",", i, end);
		first = false;
		i = end;
	}
	seq_puts(s, "\n");
}

static int show_status(struct pseudo *e, struct seq *s)
{
	static const struct { char c; const char *text; } states[] = { { 'R', "running" }, { 'S', "sleeping" }, { 'T', "stopped" },
		{ 'Z', "zombie" } };
	struct task *t = proc_task(e);
	struct process *p;
	u64 ignored, caught;
	const char *text = "";
	struct mm *mm;
	char c;

	if (!t)
		return -ESRCH;
	p = t->process;
	mm = proc_mm_get(t);
	c = state_of(t);
	for (unsigned i = 0; i < ARRAY_SIZE(states); i++)
		if (states[i].c == c)
			text = states[i].text;
	seq_puts(s, "Name:\t");
	seq_escape(s, t->comm, "\n\\");
	seq_printf(s, "\nUmask:\t%04o\nState:\t%c (%s)\n", t->fs ? t->fs->umask : 0, c, text);
	id_lines(s, t);
	if (mm)
		memory_lines(s, mm);
	signal_sets(p, &ignored, &caught);
	seq_printf(s, "Threads:\t%u\nSigQ:\t%u/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
		p->task_count, p->user ? p->user->sigqueue : 0, p->rlimit[11][0], t->pending.set, p->shared_pending.set, t->sigmask, ignored,
		caught);
	seq_printf(s, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%u\n",
		p->creds.cap_inheritable, p->creds.cap_permitted, p->creds.cap_effective, p->creds.cap_bounding, p->creds.cap_ambient,
		p->creds.no_new_privs);
	seq_puts(s, "Seccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown\n");
	cpu_list(s, t);
	seq_puts(s, "Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
	if (mm)
		mm_put(mm);
	task_put(t);
	return 0;
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

static int show_mounts(struct pseudo *e, struct seq *s) { (void)e; return mount_lines(s, false); }
static int show_mountinfo(struct pseudo *e, struct seq *s) { (void)e; return mount_lines(s, true); }

/* ---- links ---- */

static int path_text(const struct path *path, char *buf, size_t size) { return path_name(path, buf, size); }

static int fs_path(struct pseudo *e, struct path *out, bool root)
{
	struct task *t = proc_task(e);

	if (!t || !t->fs) {
		task_put(t);
		return -ENOENT;
	}
	lock(&t->fs->lock);
	*out = root ? t->fs->root : t->fs->cwd;
	path_get(out);
	unlock(&t->fs->lock);
	task_put(t);
	return 0;
}

static int exe_path(struct pseudo *e, struct path *out, bool unused)
{
	struct task *t = proc_task(e);
	struct mm *mm = t ? proc_mm_get(t) : NULL;
	int err = mm ? mm_exe_path(mm, out) : -ENOENT;

	(void)unused;
	if (mm)
		mm_put(mm);
	task_put(t);
	return err;
}

static int read_path(struct pseudo *e, char *buf, size_t size, int (*get)(struct pseudo *, struct path *, bool), bool root)
{
	struct path path;
	int n = get(e, &path, root);

	if (n)
		return n;
	n = path_text(&path, buf, size);
	path_put(&path);
	return n;
}

static int read_cwd(struct pseudo *e, char *buf, size_t size) { return read_path(e, buf, size, fs_path, false); }
static int read_root(struct pseudo *e, char *buf, size_t size) { return read_path(e, buf, size, fs_path, true); }
static int read_exe(struct pseudo *e, char *buf, size_t size) { return read_path(e, buf, size, exe_path, false); }
static int follow_cwd(struct pseudo *e, struct path *out, struct file **f) { (void)f; return fs_path(e, out, false); }
static int follow_root(struct pseudo *e, struct path *out, struct file **f) { (void)f; return fs_path(e, out, true); }
static int follow_exe(struct pseudo *e, struct path *out, struct file **f) { (void)f; return exe_path(e, out, false); }

/* ---- descriptors ---- */

/* The file of descriptor fd of the entry's process; reference; NULL. */
static struct file *entry_file(struct pseudo *e, int fd, bool *cloexec)
{
	struct task *t = proc_task(e);
	struct files *files = t ? task_files_get(t) : NULL;
	struct file *f = files_file(files, fd, cloexec);

	files_put(files);
	task_put(t);
	return f;
}

static int read_fd(struct pseudo *e, char *buf, size_t size)
{
	bool cloexec;
	struct file *f = entry_file(e, (int)e->arg, &cloexec);
	int n;

	if (!f)
		return -ENOENT;
	n = file_link_text(f, buf, size);
	file_put(f);
	return n;
}

static int follow_fd(struct pseudo *e, struct path *out, struct file **file)
{
	bool cloexec;

	(void)out;
	*file = entry_file(e, (int)e->arg, &cloexec);
	return *file ? 0 : -ENOENT;
}

static int show_fdinfo(struct pseudo *e, struct seq *s)
{
	bool cloexec = false;
	struct file *f = entry_file(e, (int)e->arg, &cloexec);
	char *text;
	int n;

	if (!f)
		return -ENOENT;
	seq_printf(s, "pos:\t%lu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%lu\n", f->ops->seekable ? f->pos : 0,
		f->flags | (cloexec ? O_CLOEXEC : 0), f->path.mnt ? f->path.mnt->id : 0, f->inode ? (unsigned long)f->inode->ino : 0);
	if (f->ops->fdinfo) {
		text = kmalloc(PAGE_SIZE);
		n = text ? f->ops->fdinfo(f, text, PAGE_SIZE) : 0;
		if (n > 0)
			seq_put(s, text, (size_t)n);
		kfree(text);
	}
	file_put(f);
	return 0;
}

/* A link shows by its mode how the descriptor was opened. */
#define FD_LINK(bits) { .name = "fd", .mode = S_IFLNK | bits, .readlink = read_fd, .follow = follow_fd, .gone = always_gone, .owner = proc_owner }
static const struct pseudo_entry fd_links[4] = { FD_LINK(0), FD_LINK(0500), FD_LINK(0300), FD_LINK(0700) };
static const struct pseudo_entry fdinfo_file = {
	.name = "fdinfo", .mode = S_IFREG | 0444, .show = show_fdinfo, .gone = always_gone, .owner = proc_owner,
};

static int number_of(const char *name, size_t size, u32 *out)
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

static const struct pseudo_entry *fd_entry(const struct pseudo *dir, const struct file *f)
{
	u32 bits = (f->mode_bits & FMODE_READ ? 1 : 0) | (f->mode_bits & FMODE_WRITE ? 2 : 0);

	return dir->entry->arg ? &fdinfo_file : &fd_links[bits];
}

static int find_fd(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	bool cloexec;
	struct file *f;
	u32 fd;
	int err = number_of(name, size, &fd);

	if (err)
		return err;
	f = entry_file(dir, (int)fd, &cloexec);
	if (!f)
		return -ENOENT;
	child->entry = fd_entry(dir, f);
	child->arg = fd;
	file_put(f);
	return 0;
}

static bool next_fd(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	struct task *t = proc_task(dir);
	struct file *f = NULL;
	bool cloexec;
	struct files *files = t ? task_files_get(t) : NULL;
	int fd = files ? files_next(files, (int)*pos, &f, &cloexec) : -1;

	files_put(files);
	task_put(t);
	if (fd < 0)
		return false;
	child->entry = fd_entry(dir, f);
	child->arg = (u64)fd;
	file_put(f);
	snprintf(name, 64, "%d", fd);
	*pos = (u64)fd + 1;
	return true;
}

/* ---- the directories ---- */

#define FILE_(n, bits, fn) { .name = n, .mode = S_IFREG | bits, .show = fn, .owner = proc_owner, .gone = proc_gone }
#define KNOB_(n, fn, set) { .name = n, .mode = S_IFREG | 0644, .show = fn, .store = set, .owner = proc_owner, .gone = proc_gone }
#define TEXT_(n, bits, text) { .name = n, .mode = S_IFREG | bits, .show = pseudo_text, .arg = (u64)(text), .owner = proc_owner, .gone = proc_gone }
#define MAGIC_(n) { .name = #n, .mode = S_IFLNK | 0777, .readlink = read_##n, .follow = follow_##n, .owner = proc_owner, .gone = proc_gone }
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

#define COMMON_FILES \
	FILE_("status", 0444, show_status), FILE_("statm", 0444, show_statm), FILE_("maps", 0444, show_maps), \
	FILE_("smaps", 0444, show_smaps), FILE_("smaps_rollup", 0444, show_smaps_rollup), FILE_("cmdline", 0444, show_cmdline), \
	FILE_("environ", 0400, show_environ), KNOB_("comm", show_comm, store_comm), FILE_("limits", 0444, show_limits), \
	FILE_("io", 0400, show_io), FILE_("auxv", 0400, show_auxv), FILE_("personality", 0400, show_personality), \
	FILE_("mounts", 0444, show_mounts), FILE_("mountinfo", 0444, show_mountinfo), \
	KNOB_("oom_score_adj", show_oom_score_adj, store_oom_score_adj), TEXT_("oom_score", 0444, "0\n"), \
	TEXT_("cgroup", 0444, "0::/\n"), TEXT_("cpuset", 0444, "/\n"), TEXT_("wchan", 0444, "0"), \
	TEXT_("loginuid", 0444, "4294967295"), TEXT_("sessionid", 0444, "4294967295"), \
	TEXT_("uid_map", 0444, "         0          0 4294967295\n"), TEXT_("gid_map", 0444, "         0          0 4294967295\n"), \
	TEXT_("setgroups", 0444, "allow\n"), TEXT_("schedstat", 0444, "0 0 0\n"), TEXT_("syscall", 0400, "running\n"), \
	TEXT_("stack", 0400, ""), \
	{ .name = "mem", .mode = S_IFREG | 0600, .open = open_mem, .owner = proc_owner, .gone = proc_gone }, \
	MAGIC_(exe), MAGIC_(cwd), MAGIC_(root), \
	{ DIR_("fd", 0500, 0), .find = find_fd, .next = next_fd, .permission = own_process }, \
	{ DIR_("fdinfo", 0555, 1), .find = find_fd, .next = next_fd, .permission = own_process }, \
	{ DIR_("net", 0555, 0), .children = proc_net_table }

static const struct pseudo_entry thread_table[] = {
	FILE_("stat", 0444, show_thread_stat), COMMON_FILES, TEXT_("children", 0444, ""), { .name = NULL },
};
static const struct pseudo_entry thread_dir = { DIR_("tid", 0555, 0), .children = thread_table };

static int find_thread(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	u32 tid;
	int err = number_of(name, size, &tid);

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
	for (; n < ARRAY_SIZE(K->pid_table); n++) {
		const struct task *t = K->pid_table[n];

		if (t && t->process && (pid ? t->process->pid == pid : t->process->pid == n))
			break;
	}
	unlock(&K->tree_lock);
	if (n >= ARRAY_SIZE(K->pid_table))
		return false;
	*found = n;
	*pos = n + 1;
	return true;
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
	FILE_("stat", 0444, show_stat), COMMON_FILES, FILE_("timerslack_ns", 0444, show_timerslack),
	{ DIR_("task", 0555, 0), .find = find_thread, .next = next_thread }, { .name = NULL },
};
const struct pseudo_entry proc_process_dir = { DIR_("pid", 0555, 0), .children = process_table };

int proc_find_process(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	struct task *t;
	u32 n;
	int err = number_of(name, size, &n);

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
