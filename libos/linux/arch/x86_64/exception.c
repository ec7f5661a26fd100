/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes in from below: system calls, faults and interrupts of the program,
 * and faults of this kernel's own text, of which only those of the guarded
 * copy functions are no bug. It must not know what a system call does.
 */
#include "../../lx/arch.h"
#include "../../lx/mm.h"
#include "../../lx/offsets.h"
#include "../../lx/proc.h"
#include "../../lx/syscall.h"
#include "../../lx/task.h"
#include "../../lx/uaccess.h"
#include "entry.h"
#include "patch.h"
#include <asm/signal.h>

_Static_assert(TB_SELF == offsetof(struct pico_thread_block, self), "");
_Static_assert(TB_LIBOS == offsetof(struct pico_thread_block, libos), "");
_Static_assert(TB_STACK_TOP == offsetof(struct pico_thread_block, stack_top), "");
_Static_assert(TB_PENDING == offsetof(struct pico_thread_block, pending), "");
_Static_assert(TB_CONTEXT == offsetof(struct pico_thread_block, context), "");
_Static_assert(CONTEXT_R11 == offsetof(struct pico_context, r11), "");
_Static_assert(CONTEXT_RCX == offsetof(struct pico_context, rcx), "");
_Static_assert(CONTEXT_RIP == offsetof(struct pico_context, rip), "");
_Static_assert(CONTEXT_RFLAGS == offsetof(struct pico_context, rflags), "");
_Static_assert(TB_SCRATCH == offsetof(struct pico_thread_block, scratch), "");
_Static_assert(CONTEXT_PAD == offsetof(struct pico_context, pad), "");
_Static_assert(TASK_FLAGS == offsetof(struct task, flags), "");
_Static_assert(TASK_IN_USER == offsetof(struct task, in_user), "");
_Static_assert(TASK_WORK == TIF_WORK, "");
_Static_assert(offsetof(struct pico_context, rip) == 16 * 8, "the way out pops fifteen registers and skips one");

enum { /* si_code, as <asm/siginfo.h>, which cannot be included beside our own siginfo */
	LX_SI_KERNEL = 0x80,
	LX_ILL_ILLOPN = 2,
	LX_FPE_INTDIV = 1,
	LX_BUS_ADRERR = 2,
	LX_SEGV_MAPERR = 1,
	LX_TRAP_BRKPT = 1,
};
enum { TRAP_DB = 1, TRAP_GP = 13, TRAP_PF = 14 };

static s64 call_unknown(u64 nr)
{
	if (nr < SYSCALL_COUNT)
		__atomic_fetch_add(&K->unknown_calls[nr], 1, __ATOMIC_RELAXED);
	return -ENOSYS;
}

static void do_syscall(struct task *t, struct pico_context *c)
{
	const u64 nr = (u64)(s64)(s32)c->rax;
	const u64 a[6] = { c->rdi, c->rsi, c->rdx, c->r10, c->r8, c->r9 };

	t->orig_rax = nr;
	c->rcx = c->rip;
	c->r11 = c->rflags;
	if (unlikely(t->seccomp) && !seccomp_permits(t, c, nr, a))
		return;
	syscall_fn fn = nr < SYSCALL_COUNT ? syscall_table[nr] : NULL;
	c->rax = (u64)(likely(fn) ? fn(a) : call_unknown(nr));
}

/* A stack that grows does so for the kernel too, unless the lock that needs is
 * taken (perhaps by us) or we are here because of such a look already. */
static bool grown_for_us(struct task *t, const struct pico_exception *e)
{
	int code;

	if (t->in_fault || !trylock(&t->mm->lock))
		return false;
	unlock(&t->mm->lock);
	t->in_fault = 1;
	const bool ok = mm_fault(t->mm, e->address, e->error, &code) == 0;
	t->in_fault = 0;
	return ok;
}

/* This kernel's own text: a program's bad pointer, or a bug. */
static void __attribute__((noreturn)) libos_fault(struct pico_exception *e, struct pico_context *c)
{
	if (e->kind == PICO_EXC_INTERRUPT) {
		thread_block()->pending = 1;
		arch_resume(c);
	}
	if (e->kind == PICO_EXC_MEMORY || e->kind == PICO_EXC_BUS) {
		if (e->trap == TRAP_PF && current && current->mm && user_ok(e->address, 1) && grown_for_us(current, e))
			arch_resume(c);
		if (uaccess_fixup(c))
			arch_resume(c);
	}
	panic("exception %u (signal %u code %d trap %u error %x) at %lx address %lx sp %lx task %u", e->kind, e->signal, e->code,
	      e->trap, e->error, (unsigned long)c->rip, (unsigned long)e->address, (unsigned long)c->rsp, current ? current->tid : 0);
}

static void fault_signal(struct task *t, const struct pico_exception *e, int signo, int code, u64 address)
{
	struct lx_siginfo info = { .signo = signo, .code = code };

	t->trap_nr = e->trap;
	t->error_code = e->error;
	if (e->trap == TRAP_PF)
		t->cr2 = e->address;
	info.fault.address = address;
	signal_force(signo, &info);
}

static void do_memory(struct task *t, const struct pico_exception *e)
{
	int code = LX_SEGV_MAPERR;

	if (e->trap == TRAP_GP || (e->trap != TRAP_PF && e->code == LX_SI_KERNEL)) {
		fault_signal(t, e, SIGSEGV, LX_SI_KERNEL, 0);
		return;
	}
	t->in_fault = 1;
	int signo = mm_fault(t->mm, e->address, e->error, &code);
	t->in_fault = 0;
	if (signo)
		fault_signal(t, e, signo, code, e->address);
}

/* Beyond the end of a file; it may have grown since it was mapped. */
static void do_bus(struct task *t, const struct pico_exception *e)
{
	int code, signo = SIGBUS;

	if (e->trap == TRAP_PF && e->code == LX_BUS_ADRERR) {
		t->in_fault = 1;
		signo = mm_fault(t->mm, e->address, e->error, &code);
		t->in_fault = 0;
	}
	if (!signo)
		return;
	fault_signal(t, e, SIGBUS, e->code > 0 ? e->code : LX_BUS_ADRERR, e->code == LX_SI_KERNEL ? 0 : e->address);
}

static void do_arithmetic(struct task *t, const struct pico_exception *e)
{
	fault_signal(t, e, SIGFPE, e->code > 0 ? e->code : LX_FPE_INTDIV, t->regs->rip);
}

static void do_illegal(struct task *t, const struct pico_exception *e)
{
	fault_signal(t, e, SIGILL, e->code > 0 ? e->code : LX_ILL_ILLOPN, t->regs->rip);
}

static void do_trap(struct task *t, const struct pico_exception *e)
{
	if (e->trap == TRAP_DB && patch_stepped(t, t->regs)) {
		do_syscall(t, t->regs);
		return;
	}
	const bool kernel = e->code == LX_SI_KERNEL; /* int3: Linux gives no address */
	fault_signal(t, e, SIGTRAP, e->code > 0 ? e->code : LX_TRAP_BRKPT, kernel ? 0 : e->address ? e->address : t->regs->rip);
}

static void do_interrupt(struct task *t, const struct pico_exception *e)
{
	(void)e;
	patch_rewind(t, t->regs);
	interrupt_take();
}

static void (*const fault_table[])(struct task *, const struct pico_exception *) = {
	[PICO_EXC_INTERRUPT] = do_interrupt,
	[PICO_EXC_MEMORY] = do_memory,
	[PICO_EXC_BUS] = do_bus,
	[PICO_EXC_ARITHMETIC] = do_arithmetic,
	[PICO_EXC_ILLEGAL] = do_illegal,
	[PICO_EXC_TRAP] = do_trap,
};

/* A call from a patched site: c is the thread block's, as after a trap. */
void fast_syscall(struct pico_context *c)
{
	struct task *t = current;

	t->in_user = 0;
	do_syscall(t, c);
	return_to_user();
}

void exception_dispatch(struct pico_exception *e, struct pico_context *c)
{
	if (e->in_libos)
		libos_fault(e, c);
	struct task *t = current;
	t->in_user = 0;
	if (likely(e->kind == PICO_EXC_SYSCALL)) {
		patch_trapped(t, c);
		do_syscall(t, c);
	} else {
		t->orig_rax = (u64)-1;
		if (e->kind >= ARRAY_SIZE(fault_table) || !fault_table[e->kind])
			panic("unknown exception %u", e->kind);
		fault_table[e->kind](t, e);
	}
	return_to_user();
}
