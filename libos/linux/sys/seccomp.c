/* SPDX-License-Identifier: Apache-2.0
 *
 * seccomp(2): a program gives up system calls, for itself and its children. The
 * filters are classic BPF programs over the call's number and arguments; they
 * guard against the program's own mistakes, as on Linux, and are no part of
 * what keeps an instance from its host.
 */
#include "../lx/mem.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/signal.h>

#define INSNS_MAX 4096u
#define TOTAL_MAX 32768u /* instructions of all filters of a task */
#define CALL_RT_SIGRETURN 15u
#define CALL_EXIT 60u

struct seccomp { /* a filter and those before it; never changed */
	struct ref ref;
	struct seccomp *before;
	u32 count, total;
	struct sock_filter insns[];
};

static struct seccomp *strict_mode(void) { return (struct seccomp *)1; }

static struct seccomp *get(struct seccomp *s)
{
	if (s && s != strict_mode())
		ref_get(&s->ref);
	return s;
}

static void put(struct seccomp *s)
{
	while (s && s != strict_mode() && ref_put(&s->ref)) {
		struct seccomp *before = s->before;

		kfree(s);
		s = before;
	}
}

s64 prctl_set_seccomp(const u64 *a);

void seccomp_inherit(struct task *t, const struct task *from) { t->seccomp = get(from->seccomp); }
void seccomp_release(struct task *t) { put(t->seccomp); }

u32 seccomp_mode(const struct task *t, u32 *filters)
{
	const struct seccomp *s = t->seccomp;

	*filters = 0;
	if (s == strict_mode())
		return SECCOMP_MODE_STRICT;
	for (; s; s = s->before)
		++*filters;
	return *filters ? SECCOMP_MODE_FILTER : SECCOMP_MODE_DISABLED;
}

/* ---- running ---- */

static u32 alu(u32 op, u32 a, u32 b)
{
	switch (op) {
	case BPF_ADD: return a + b;
	case BPF_SUB: return a - b;
	case BPF_MUL: return a * b;
	case BPF_DIV: return b ? a / b : 0;
	case BPF_OR: return a | b;
	case BPF_AND: return a & b;
	case BPF_XOR: return a ^ b;
	case BPF_LSH: return a << (b & 31);
	case BPF_RSH: return a >> (b & 31);
	default: return -a; /* BPF_NEG */
	}
}

static bool jumps(u32 op, u32 a, u32 b)
{
	switch (op) {
	case BPF_JEQ: return a == b;
	case BPF_JGT: return a > b;
	case BPF_JGE: return a >= b;
	default: return a & b; /* BPF_JSET */
	}
}

static u32 run(const struct seccomp *s, const struct seccomp_data *data)
{
	u32 a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (const struct sock_filter *i = s->insns;; i++) {
		const u32 code = i->code, operand = BPF_SRC(code) == BPF_X ? x : i->k;

		switch (BPF_CLASS(code)) {
		case BPF_LD: case BPF_LDX: {
			u32 *to = BPF_CLASS(code) == BPF_LD ? &a : &x;
			*to = BPF_MODE(code) == BPF_ABS ? *(const u32 *)((const char *)data + i->k) : BPF_MODE(code) == BPF_MEM ? mem[i->k] :
				BPF_MODE(code) == BPF_LEN ? (u32)sizeof(*data) : i->k;
			break;
		}
		case BPF_ST: mem[i->k] = a; break;
		case BPF_STX: mem[i->k] = x; break;
		case BPF_ALU:
			if (BPF_OP(code) == BPF_DIV && !operand)
				return SECCOMP_RET_KILL_THREAD;
			a = alu(BPF_OP(code), a, operand);
			break;
		case BPF_JMP:
			i += BPF_OP(code) == BPF_JA ? i->k : jumps(BPF_OP(code), a, operand) ? i->jt : i->jf;
			break;
		case BPF_RET: return BPF_RVAL(code) == BPF_A ? a : i->k;
		default: /* BPF_MISC */
			if (BPF_MISCOP(code) == BPF_TAX)
				x = a;
			else
				a = x;
		}
	}
}

/* Of several answers the least permissive counts. */
static u32 ask(const struct seccomp *s, const struct seccomp_data *data)
{
	u32 least = SECCOMP_RET_ALLOW;

	for (; s; s = s->before) {
		const u32 answer = run(s, data);

		if ((s32)(answer & SECCOMP_RET_ACTION_FULL) < (s32)(least & SECCOMP_RET_ACTION_FULL))
			least = answer;
	}
	return least;
}

static void __attribute__((noreturn)) end(struct task *t, bool whole, int signo)
{
	if (whole || t->process->task_count == 1)
		process_exit((u32)signo);
	task_exit((u32)signo);
}

bool seccomp_permits(struct task *t, struct pico_context *c, u64 nr, const u64 a[6])
{
	struct seccomp_data data = { .nr = (int)nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = c->rip };
	struct lx_siginfo info = { .signo = SIGSYS, .code = 1 /* SYS_SECCOMP */ };
	u32 answer;

	if (t->seccomp == strict_mode()) {
		if (nr > 1 && nr != CALL_EXIT && nr != CALL_RT_SIGRETURN) /* read, write */
			end(t, false, SIGKILL);
		return true;
	}
	memcpy(data.args, a, sizeof(data.args));
	answer = ask(t->seccomp, &data);
	switch (answer & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return true;
	case SECCOMP_RET_ERRNO:
		c->rax = (u64)-(s64)MIN(answer & SECCOMP_RET_DATA, 4095u);
		return false;
	case SECCOMP_RET_TRAP:
		info.err = (s32)(answer & SECCOMP_RET_DATA);
		info.sys.call = c->rip;
		info.sys.nr = (s32)nr;
		info.sys.arch = AUDIT_ARCH_X86_64;
		c->rax = nr;
		t->orig_rax = (u64)-1;
		signal_force(SIGSYS, &info);
		return false;
	case SECCOMP_RET_TRACE: /* nobody traces, nobody listens */
	case SECCOMP_RET_USER_NOTIF:
		c->rax = (u64)-ENOSYS;
		return false;
	}
	end(t, (answer & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_KILL_THREAD, SIGSYS);
}

/* ---- setting ---- */

/* Every jump leads forward and inside, every load into the data or the scratch words, and the end returns. */
static bool insn_ok(const struct sock_filter *i, u32 at, u32 count)
{
	const u32 left = count - at - 1;

	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return !(i->k & 3) && i->k < sizeof(struct seccomp_data);
	case BPF_LD | BPF_W | BPF_LEN: case BPF_LDX | BPF_W | BPF_LEN: case BPF_LD | BPF_IMM: case BPF_LDX | BPF_IMM:
	case BPF_MISC | BPF_TAX: case BPF_MISC | BPF_TXA: case BPF_RET | BPF_K: case BPF_RET | BPF_A:
	case BPF_ALU | BPF_ADD | BPF_K: case BPF_ALU | BPF_ADD | BPF_X: case BPF_ALU | BPF_SUB | BPF_K: case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K: case BPF_ALU | BPF_MUL | BPF_X: case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K: case BPF_ALU | BPF_OR | BPF_X: case BPF_ALU | BPF_AND | BPF_K: case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K: case BPF_ALU | BPF_XOR | BPF_X: case BPF_ALU | BPF_LSH | BPF_X: case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
		return true;
	case BPF_ALU | BPF_DIV | BPF_K:
		return i->k;
	case BPF_ALU | BPF_LSH | BPF_K: case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	case BPF_LD | BPF_MEM: case BPF_LDX | BPF_MEM: case BPF_ST: case BPF_STX:
		return i->k < BPF_MEMWORDS;
	case BPF_JMP | BPF_JA:
		return i->k < left;
	case BPF_JMP | BPF_JEQ | BPF_K: case BPF_JMP | BPF_JEQ | BPF_X: case BPF_JMP | BPF_JGT | BPF_K: case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K: case BPF_JMP | BPF_JGE | BPF_X: case BPF_JMP | BPF_JSET | BPF_K: case BPF_JMP | BPF_JSET | BPF_X:
		return i->jt < left && i->jf < left;
	}
	return false;
}

static int filter_from_user(uaddr at, struct seccomp **out)
{
	struct { u16 count; u64 insns; } program;
	struct seccomp *s;
	int err = -EINVAL;

	if (copy_from_user(&program, at, sizeof(program)))
		return -EFAULT;
	if (!program.count || program.count > INSNS_MAX)
		return -EINVAL;
	if (!current->process->creds.no_new_privs && !capable(CAP_SYS_ADMIN))
		return -EACCES;
	s = kmalloc(sizeof(*s) + program.count * sizeof(struct sock_filter));
	if (!s)
		return -ENOMEM;
	if (copy_from_user(s->insns, program.insns, program.count * sizeof(struct sock_filter)))
		err = -EFAULT;
	else if (BPF_CLASS(s->insns[program.count - 1].code) == BPF_RET)
		err = 0;
	for (u32 n = 0; !err && n < program.count; n++)
		if (!insn_ok(&s->insns[n], n, program.count))
			err = -EINVAL;
	if (err) {
		kfree(s);
		return err;
	}
	ref_init(&s->ref);
	s->count = program.count;
	*out = s;
	return 0;
}

static bool descends(const struct seccomp *s, const struct seccomp *from)
{
	for (; s != from; s = s->before)
		if (!s)
			return false;
	return true;
}

/* All threads get the filter, or none: the one that has others of its own is told. sig_lock held. */
static struct task *odd_thread(struct process *p, const struct seccomp *mine)
{
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);

		if (t != current && !t->exiting && (t->seccomp == strict_mode() || !descends(mine, t->seccomp)))
			return t;
	}
	return NULL;
}

static s64 set_filter(u32 flags, uaddr at)
{
	struct process *p = current->process;
	struct seccomp *s, *old = current->seccomp;
	s64 err;

	if (flags & ~(u32)(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return -EINVAL;
	if (old == strict_mode())
		return -EINVAL;
	err = filter_from_user(at, &s);
	if (err)
		return err;
	s->total = s->count + 4 + (old ? old->total : 0);
	if (s->total > TOTAL_MAX) {
		kfree(s);
		return -ENOMEM;
	}
	s->before = old; /* our reference goes with it */
	lock(&p->sig_lock);
	if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
		const struct task *odd = odd_thread(p, old);

		if (odd) {
			err = flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : (s64)odd->tid;
			unlock(&p->sig_lock);
			kfree(s);
			return err;
		}
		list_for_each(pos, &p->tasks) {
			struct task *t = list_entry(pos, struct task, process_node);
			struct seccomp *had = t->seccomp;

			if (t == current || t->exiting)
				continue;
			__atomic_store_n((struct seccomp **)&t->seccomp, get(s), __ATOMIC_RELEASE);
			put(had); /* it is one of ours, which stay */
		}
	}
	current->seccomp = s;
	unlock(&p->sig_lock);
	return 0;
}

static s64 set_strict(void)
{
	if (current->seccomp && current->seccomp != strict_mode())
		return -EINVAL;
	current->seccomp = strict_mode();
	return 0;
}

static s64 action_available(uaddr at)
{
	u32 action;

	if (get_user(action, at))
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS: case SECCOMP_RET_KILL_THREAD: case SECCOMP_RET_TRAP: case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE: case SECCOMP_RET_LOG: case SECCOMP_RET_ALLOW:
		return 0;
	}
	return -EOPNOTSUPP;
}

SYSCALL(seccomp)
{
	switch ((u32)a[0]) {
	case SECCOMP_SET_MODE_STRICT: return a[1] || a[2] ? -EINVAL : set_strict();
	case SECCOMP_SET_MODE_FILTER: return set_filter((u32)a[1], a[2]);
	case SECCOMP_GET_ACTION_AVAIL: return a[1] ? -EINVAL : action_available(a[2]);
	}
	return -EINVAL;
}

s64 prctl_set_seccomp(const u64 *a)
{
	return a[1] == SECCOMP_MODE_STRICT ? set_strict() : a[1] == SECCOMP_MODE_FILTER ? set_filter(0, a[2]) : -EINVAL;
}
