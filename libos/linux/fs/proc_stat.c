/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/stat, status and their kin: what a task is, does and has used, in
 * Linux's formats to the letter, since ps, top and many libraries take them
 * apart. What it has open and mapped is shown elsewhere.
 */
#include "proc.h"
#include "linux/lx/proc.h"
#include "linux/lx/signal.h"
#include "linux/lx/syscall.h"

#define PF_EXITING 0x4u
#define PF_FORKNOEXEC 0x40u
#define PF_SUPERPRIV 0x100u
#define PF_RANDOMIZE 0x400000u

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

static u32 thread_count(const struct process *p) { return MAX(p->task_count, 1u); }

/* ---- stat ---- */

static u32 flags_of(const struct task *t, char state)
{
	const struct process *p = t->process;

	return PF_RANDOMIZE | (p->has_execed ? 0 : PF_FORKNOEXEC) | (p->creds.euid ? 0 : PF_SUPERPRIV) | (state == 'Z' ? PF_EXITING : 0);
}

static u32 policy_of(const struct task *t) { return t->policy & 0xff; } /* without SCHED_RESET_ON_FORK */

static s32 priority_of(const struct task *t)
{
	const u32 policy = policy_of(t);

	return policy == 1 || policy == 2 ? -1 - (s32)t->rt_priority : policy == 6 ? -101 : 20 + t->nice;
}

/* Addresses are for those who may look into the program. */
static void stat_addresses(struct seq *s, const struct task *t, const struct mm *mm, bool permitted, u64 ignored, u64 caught)
{
	const bool all = mm && permitted;
	const u32 sigs = 0x7fffffff;

	seq_printf(s, "%lu %lu %lu 0 0 %lu %lu %lu %lu %u 0 0 ", mm ? (permitted ? mm->start_code : 1) : 0, mm ? (permitted ? mm->end_code : 1) : 0,
		all ? mm->stack_top : 0, t->pending.set & sigs, t->sigmask & sigs, ignored & sigs, caught & sigs,
		permitted && task_sleeps(t) ? 1 : 0);
	seq_printf(s, "%u 0 %u %u 0 0 0 ", t == t->process->leader ? t->process->exit_signal : (u32)-1, t->rt_priority, policy_of(t));
	seq_printf(s, "%lu %lu %lu %lu %lu %lu %lu %u\n", all ? mm->end_code : 0, all ? mm->brk_start : 0, all ? mm->brk_start : 0,
		all ? mm->arg_start : 0, all ? mm->arg_end : 0, all ? mm->env_start : 0, all ? mm->env_end : 0,
		permitted ? t->process->exit_status : 0);
}

static int stat_line(struct pseudo *e, struct seq *s, bool whole)
{
	struct task *t = proc_task(e);
	u64 ignored, caught, cpu;
	u32 foreground = (u32)-1, tty;
	struct mm_usage use = { 0 };

	if (!t)
		return -ESRCH;
	struct process *p = t->process;
	struct mm *mm = task_mm(t);
	const char state = task_state(t);
	const bool permitted = !task_may_look(t, true);
	cpu = ticks(whole ? process_cpu_time(p) : task_cpu_time(t));
	signal_sets(p, &ignored, &caught);
	if (mm)
		mm_usage(mm, &use);
	tty = tty_number(p, &foreground);
	seq_printf(s, "%u (%.15s) %c %u %u %u %u %d %u ", t->tid, t->comm, state, p->ppid, p->pgid, p->sid, tty, (int)foreground,
		flags_of(t, state));
	seq_printf(s, "%lu 0 0 0 %lu 0 %lu %lu ", p->minflt, cpu, ticks(p->utime_children), ticks(p->stime_children));
	seq_printf(s, "%d %d %u 0 %lu %lu %lu %lu ", priority_of(t), t->nice, thread_count(p), ticks(t->start_time), mm ? mm->total_vm : 0,
		use.all / PAGE_SIZE, p->rlimit[5][0]);
	stat_addresses(s, t, mm, permitted, ignored, caught);
	if (mm)
		mm_put(mm);
	task_put(t);
	return 0;
}

int show_stat(struct pseudo *e, struct seq *s) { return stat_line(e, s, true); }
int show_thread_stat(struct pseudo *e, struct seq *s) { return stat_line(e, s, false); }

/* ---- status ---- */

static void memory_lines(struct seq *s, struct mm *mm)
{
	struct mm_usage use;
	const u64 text = ALIGN_UP(mm->end_code, PAGE_SIZE) - ALIGN_DOWN(mm->start_code, PAGE_SIZE);

	mm_usage(mm, &use);
	const struct { const char *name; u64 bytes; } lines[] = {
		{ "VmPeak", MAX(mm->total_vm, mm->hiwater_vm) }, { "VmSize", mm->total_vm }, { "VmLck", mm->locked_vm }, { "VmPin", 0 },
		{ "VmHWM", MAX(mm->hiwater_rss, use.all) }, { "VmRSS", use.all }, { "RssAnon", use.anon }, { "RssFile", use.file },
		{ "RssShmem", use.shared }, { "VmData", mm->data_vm }, { "VmStk", use.stack }, { "VmExe", text },
		{ "VmLib", use.code > text ? use.code - text : 0 }, { "VmPTE", use.tables }, { "VmSwap", 0 },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		seq_printf(s, "%s:\t%8lu kB\n", lines[i].name, kb(lines[i].bytes));
	seq_puts(s, "HugetlbPages:\t       0 kB\nCoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void id_lines(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	struct creds c;

	lock(&p->lock);
	c = p->creds;
	unlock(&p->lock);
	seq_printf(s, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", p->pid, t->tid, p->ppid);
	seq_printf(s, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t", c.uid, c.euid, c.suid, c.fsuid, c.gid,
		c.egid, c.sgid, c.fsgid, task_fd_room(t));
	for (u32 i = 0; i < c.group_count; i++)
		seq_printf(s, i ? " %u" : "%u", c.groups[i]);
	seq_printf(s, " \nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", p->pid, t->tid, p->pgid, p->sid);
}

static void signal_lines(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	u64 ignored, caught;

	signal_sets(p, &ignored, &caught);
	seq_printf(s, "Threads:\t%u\nSigQ:\t%u/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
		thread_count(p), p->user ? p->user->sigqueue : 0, p->rlimit[11][0], t->pending.set, p->shared_pending.set, t->sigmask, ignored,
		caught);
	seq_printf(s, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%u\n",
		p->creds.cap_inheritable, p->creds.cap_permitted, p->creds.cap_effective, p->creds.cap_bounding, p->creds.cap_ambient,
		p->creds.no_new_privs);
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

static const char *state_text(char c)
{
	static const struct { char c; const char *text; } states[] = { { 'R', "running" }, { 'S', "sleeping" }, { 'D', "disk sleep" },
		{ 'T', "stopped" }, { 'Z', "zombie" }, { 'X', "dead" } };

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++)
		if (states[i].c == c)
			return states[i].text;
	return "unknown";
}

int show_status(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	struct mm *mm = task_mm(t);
	const char c = task_state(t);
	u32 filters;
	seq_puts(s, "Name:\t");
	seq_escape(s, t->comm, "\n\\");
	if (c != 'Z')
		seq_printf(s, "\nUmask:\t%04o", task_umask(t));
	seq_printf(s, "\nState:\t%c (%s)\n", c, state_text(c));
	id_lines(s, t);
	if (mm)
		memory_lines(s, mm);
	signal_lines(s, t);
	const u32 mode = seccomp_mode(t, &filters);
	seq_printf(s, "Seccomp:\t%u\nSeccomp_filters:\t%u\n", mode, filters);
	seq_puts(s, "Speculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown\n");
	cpu_list(s, t);
	seq_printf(s, "Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t0\n", t->switches);
	if (mm)
		mm_put(mm);
	task_put(t);
	return 0;
}

/* ---- scheduling ---- */

int show_schedstat(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	seq_printf(s, "%lu 0 %lu\n", task_cpu_time(t), t->switches);
	task_put(t);
	return 0;
}

int show_sched(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	const u64 cpu = task_cpu_time(t), up = now_mono();
	const struct { const char *name; u64 ns; } times[] = { { "se.exec_start", up }, { "se.vruntime", cpu }, { "se.sum_exec_runtime", cpu } };
	const struct { const char *name; s64 value; } numbers[] = { { "nr_switches", (s64)t->switches },
		{ "nr_voluntary_switches", (s64)t->switches }, { "nr_involuntary_switches", 0 }, { "policy", policy_of(t) },
		{ "prio", priority_of(t) + 100 } };
	seq_printf(s, "%s (%u, #threads: %u)\n", t->comm, t->tid, thread_count(t->process));
	seq_puts(s, "-------------------------------------------------------------------\n");
	for (unsigned i = 0; i < ARRAY_SIZE(times); i++)
		seq_printf(s, "%-45s:%14lu.%06lu\n", times[i].name, times[i].ns / 1000000, times[i].ns % 1000000);
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		seq_printf(s, "%-45s:%21ld\n", numbers[i].name, (long)numbers[i].value);
	task_put(t);
	return 0;
}

/* ---- where it waits ---- */

/* What Linux's own waits in these calls are called; others by the name of the call. */
static const struct { u16 nr; const char *name; } waits[] = {
	{ 7, "do_sys_poll" }, { 23, "do_select" }, { 34, "do_sys_pause" }, { 35, "hrtimer_nanosleep" },
	{ 61, "do_wait" }, { 128, "do_sigtimedwait" }, { 130, "sigsuspend" }, { 202, "futex_wait_queue" }, { 230, "hrtimer_nanosleep" },
	{ 232, "do_epoll_wait" }, { 247, "do_wait" }, { 270, "do_select" }, { 271, "do_sys_poll" }, { 281, "do_epoll_wait" },
};

static const char *call_name(const struct task *t)
{
	const u64 nr = t->orig_rax;

	for (unsigned i = 0; i < ARRAY_SIZE(waits); i++)
		if (waits[i].nr == nr)
			return waits[i].name;
	return nr < SYSCALL_COUNT && syscall_names[nr] ? syscall_names[nr] : NULL;
}

int show_wchan(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);

	if (!t)
		return -ESRCH;
	const char state = task_state(t);
	const char *name = state == 'T' ? "do_signal_stop" : state == 'D' ? "vfork" : state == 'S' ? call_name(t) : NULL;
	seq_puts(s, name && !task_may_look(t, true) ? name : "0");
	task_put(t);
	return 0;
}

static void syscall_line(struct seq *s, const struct task *t, const struct pico_context *c)
{
	if (t->orig_rax == (u64)-1)
		seq_printf(s, "-1 0x%lx 0x%lx\n", c->rsp, c->rip);
	else
		seq_printf(s, "%lu 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx\n", t->orig_rax, c->rdi, c->rsi, c->rdx, c->r10, c->r8, c->r9,
			c->rsp, c->rip);
}

int show_syscall(struct pseudo *e, struct seq *s)
{
	struct task *t = proc_task(e);
	struct pico_context *c = kmalloc(sizeof(*c));
	int err = t ? c ? 0 : -ENOMEM : -ESRCH;

	if (err)
		goto out;
	const char state = task_state(t);
	if (state == 'R' || state == 'Z') {
		seq_puts(s, "running\n");
		goto out;
	}
	err = remote_registers(t, c);
	if (!err)
		syscall_line(s, t, c);
out:
	kfree(c);
	task_put(t);
	return err;
}
