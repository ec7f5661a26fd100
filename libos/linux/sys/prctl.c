/* SPDX-License-Identifier: Apache-2.0
 *
 * prctl and arch_prctl: small properties of a task or process, one function
 * each in a table.
 */
#include "../lx/arch.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <linux/signal.h>

/* sys/mm.c */
s64 prctl_set_vma(const u64 *a);
s64 prctl_set_mm(const u64 *a);
/* sys/seccomp.c */
s64 prctl_set_seccomp(const u64 *a);

#define CAP_KNOWN(n) ((n) <= CAP_LAST_CAP)

static bool none(const u64 *a, int from)
{
	for (int i = from; i < 5; i++)
		if (a[i])
			return false;
	return true;
}

static s64 set_pdeathsig(const u64 *a)
{
	if (a[1] > 64)
		return -EINVAL;
	current->pdeath_signal = (u32)a[1];
	return 0;
}

static s64 get_pdeathsig(const u64 *a) { return put_user(current->pdeath_signal, a[1]); }
static s64 get_dumpable(const u64 *a) { (void)a; return current->process->dumpable; }

static s64 set_dumpable(const u64 *a)
{
	if (a[1] > 1)
		return -EINVAL;
	current->process->dumpable = (u32)a[1];
	return 0;
}

static s64 get_keepcaps(const u64 *a) { (void)a; return current->process->keep_caps; }

static s64 set_keepcaps(const u64 *a)
{
	if (a[1] > 1)
		return -EINVAL;
	if (current->process->creds.securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	current->process->keep_caps = (u32)a[1];
	return 0;
}

static s64 set_name(const u64 *a)
{
	char name[16];
	long n = strncpy_from_user(name, a[1], sizeof(name));

	if (n == -EFAULT)
		return -EFAULT;
	if (n == -ENAMETOOLONG && copy_from_user(name, a[1], sizeof(name) - 1))
		return -EFAULT;
	name[n < 0 ? 15 : n] = 0;
	memset(current->comm, 0, sizeof(current->comm));
	memcpy(current->comm, name, strlen(name));
	return 0;
}

static s64 get_name(const u64 *a) { return copy_to_user(a[1], current->comm, sizeof(current->comm)); }
static s64 get_timing(const u64 *a) { (void)a; return PR_TIMING_STATISTICAL; }
static s64 set_timing(const u64 *a) { return a[1] == PR_TIMING_STATISTICAL ? 0 : -EINVAL; }

static s64 bounding_read(const u64 *a) { return CAP_KNOWN(a[1]) ? (s64)((current->process->creds.cap_bounding >> a[1]) & 1) : -EINVAL; }

static s64 bounding_drop(const u64 *a)
{
	if (!capable(CAP_SETPCAP))
		return -EPERM;
	if (!CAP_KNOWN(a[1]))
		return -EINVAL;
	current->process->creds.cap_bounding &= ~(1ull << a[1]);
	return 0;
}

static s64 get_securebits(const u64 *a)
{
	(void)a;
	const struct process *p = current->process;
	return p->creds.securebits | (p->keep_caps ? SECBIT_KEEP_CAPS : 0);
}

static s64 set_securebits(const u64 *a)
{
	struct process *p = current->process;
	const u32 old = p->creds.securebits;
	const u32 known = SECURE_ALL_BITS | SECURE_ALL_LOCKS;

	if ((a[1] & ~(u64)known) || (((old & SECURE_ALL_LOCKS) >> 1) & (old ^ a[1])) || (old & SECURE_ALL_LOCKS & ~a[1]) ||
	    !capable(CAP_SETPCAP))
		return -EPERM;
	p->creds.securebits = (u32)a[1] & ~(u32)SECBIT_KEEP_CAPS;
	p->keep_caps = !!(a[1] & SECBIT_KEEP_CAPS);
	return 0;
}

static s64 ambient(const u64 *a)
{
	struct creds *c = &current->process->creds;

	if (a[1] == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (!none(a, 2))
			return -EINVAL;
		c->cap_ambient = 0;
		return 0;
	}
	if (!CAP_KNOWN(a[2]) || a[3] || a[4])
		return -EINVAL;
	const u64 bit = 1ull << a[2];
	switch (a[1]) {
	case PR_CAP_AMBIENT_IS_SET:
		return !!(c->cap_ambient & bit);
	case PR_CAP_AMBIENT_RAISE:
		if (!(c->cap_permitted & c->cap_inheritable & bit) || (c->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
		c->cap_ambient |= bit;
		return 0;
	case PR_CAP_AMBIENT_LOWER:
		c->cap_ambient &= ~bit;
		return 0;
	}
	return -EINVAL;
}

static s64 set_slack(const u64 *a)
{
	current->timer_slack = a[1] ? a[1] : current->default_slack;
	return 0;
}

static s64 get_slack(const u64 *a) { (void)a; return (s64)current->timer_slack; }

static s64 set_no_new_privs(const u64 *a)
{
	if (a[1] != 1 || !none(a, 2))
		return -EINVAL;
	current->process->creds.no_new_privs = 1;
	return 0;
}

static s64 get_no_new_privs(const u64 *a) { return none(a, 1) ? (s64)current->process->creds.no_new_privs : -EINVAL; }

static s64 set_subreaper(const u64 *a)
{
	current->process->subreaper = !!a[1];
	return 0;
}

static s64 get_subreaper(const u64 *a)
{
	const s32 v = (s32)current->process->subreaper;
	return put_user(v, a[1]);
}

static s64 get_tid_address(const u64 *a) { return put_user(current->clear_child_tid, a[1]); }

static s64 get_thp(const u64 *a) { return none(a, 1) ? (s64)current->process->no_huge : -EINVAL; }

static s64 set_thp(const u64 *a)
{
	if (!none(a, 2))
		return -EINVAL;
	current->process->no_huge = !!a[1];
	return 0;
}

static s64 set_mm(const u64 *a) { return capable(CAP_SYS_RESOURCE) ? prctl_set_mm(a) : -EPERM; }
static s64 get_seccomp(const u64 *a)
{
	u32 filters;

	(void)a;
	return seccomp_mode(current, &filters);
}
static s64 get_tsc(const u64 *a) { const s32 v = PR_TSC_ENABLE; return put_user(v, a[1]); }
static s64 set_tsc(const u64 *a) { return a[1] == PR_TSC_ENABLE ? 0 : a[1] == PR_TSC_SIGSEGV ? -EPERM : -EINVAL; }
static s64 set_ptracer(const u64 *a) { (void)a; return -EINVAL; }

static s64 mce_kill(const u64 *a)
{
	if (a[1] == PR_MCE_KILL_CLEAR)
		return none(a, 2) ? 0 : -EINVAL;
	return a[1] == PR_MCE_KILL_SET && a[2] <= PR_MCE_KILL_DEFAULT && none(a, 3) ? 0 : -EINVAL;
}

static s64 mce_kill_get(const u64 *a) { return none(a, 1) ? PR_MCE_KILL_DEFAULT : -EINVAL; }

static s64 speculation(const u64 *a) { return a[1] <= PR_SPEC_L1D_FLUSH && none(a, 2) ? PR_SPEC_NOT_AFFECTED : a[1] > PR_SPEC_L1D_FLUSH ? -ENODEV : -EINVAL; }

static const struct { u32 option; s64 (*fn)(const u64 *a); } options[] = {
	{ PR_SET_PDEATHSIG, set_pdeathsig },
	{ PR_GET_PDEATHSIG, get_pdeathsig },
	{ PR_GET_DUMPABLE, get_dumpable },
	{ PR_SET_DUMPABLE, set_dumpable },
	{ PR_GET_KEEPCAPS, get_keepcaps },
	{ PR_SET_KEEPCAPS, set_keepcaps },
	{ PR_SET_NAME, set_name },
	{ PR_GET_NAME, get_name },
	{ PR_GET_TIMING, get_timing },
	{ PR_SET_TIMING, set_timing },
	{ PR_CAPBSET_READ, bounding_read },
	{ PR_CAPBSET_DROP, bounding_drop },
	{ PR_GET_SECUREBITS, get_securebits },
	{ PR_SET_SECUREBITS, set_securebits },
	{ PR_CAP_AMBIENT, ambient },
	{ PR_SET_TIMERSLACK, set_slack },
	{ PR_GET_TIMERSLACK, get_slack },
	{ PR_SET_NO_NEW_PRIVS, set_no_new_privs },
	{ PR_GET_NO_NEW_PRIVS, get_no_new_privs },
	{ PR_SET_CHILD_SUBREAPER, set_subreaper },
	{ PR_GET_CHILD_SUBREAPER, get_subreaper },
	{ PR_GET_TID_ADDRESS, get_tid_address },
	{ PR_GET_THP_DISABLE, get_thp },
	{ PR_SET_THP_DISABLE, set_thp },
	{ PR_SET_MM, set_mm },
	{ PR_SET_VMA, prctl_set_vma },
	{ PR_GET_SECCOMP, get_seccomp },
	{ PR_SET_SECCOMP, prctl_set_seccomp },
	{ PR_GET_TSC, get_tsc },
	{ PR_SET_TSC, set_tsc },
	{ PR_SET_PTRACER, set_ptracer },
	{ PR_MCE_KILL, mce_kill },
	{ PR_MCE_KILL_GET, mce_kill_get },
	{ PR_GET_SPECULATION_CTRL, speculation },
};

SYSCALL(prctl)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].option == (u32)a[0])
			return options[i].fn(a);
	return -EINVAL;
}

/* GS is the kernel's own here: a program that wants it cannot be served. */
SYSCALL(arch_prctl)
{
	const u64 gs = 0;

	switch ((u32)a[0]) {
	case ARCH_SET_FS:
		if (a[1] >= USER_END)
			return -EPERM;
		arch_write_fs(a[1]);
		return 0;
	case ARCH_GET_FS: {
		const u64 fs = arch_read_fs();
		return put_user(fs, a[1]);
	}
	case ARCH_GET_GS:
		return put_user(gs, a[1]);
	case ARCH_SET_GS:
		return -EPERM;
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID: /* cpuid cannot be made to fault */
		return -ENODEV;
	}
	return -EINVAL;
}
