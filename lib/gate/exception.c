/* SPDX-License-Identifier: Apache-2.0
 *
 * Host signals become LibOsExceptionDispatch. The handler only redirects: it
 * leaves for the library OS on its system stack at once. A trapped system call
 * does so by a jump, which saves the sigreturn's system call (a fifth of the
 * trap's cost); all others rewrite the context and return. It finds the thread block by the alternate stack it runs on, so
 * a program that changed its segment bases does no harm to anyone else.
 */
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/sigcontext.h>
#include "gate.h"

/* struct ucontext of x86-64, spelled out: the kernel's mask has 8 bytes. */
struct host_context {
	uint64_t flags;
	struct host_context *link;
	struct { void *sp; int flags; uint64_t size; } stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
	uint64_t sigmask;
};
#define FLAGS_CLEAN 0x202ull /* interrupts on, nothing else: no DF, AC, TF */

void pico_gate_exception(int signal, siginfo_t *info, struct host_context *uc);

static void save(struct pico_context *c, const struct host_context *uc)
{
	c->r15 = uc->r15; c->r14 = uc->r14; c->r13 = uc->r13; c->r12 = uc->r12;
	c->r11 = uc->r11; c->r10 = uc->r10; c->r9 = uc->r9; c->r8 = uc->r8;
	c->rdi = uc->rdi; c->rsi = uc->rsi; c->rbp = uc->rbp; c->rbx = uc->rbx;
	c->rdx = uc->rdx; c->rcx = uc->rcx; c->rax = uc->rax;
	c->rip = uc->rip; c->cs = uc->cs; c->rflags = uc->eflags; c->rsp = uc->rsp; c->ss = uc->ss;
}

static uint32_t kind_of(int signal)
{
	switch (signal) {
	case SIGSYS: return PICO_EXC_SYSCALL;
	case PICO_INTERRUPT_SIGNAL: return PICO_EXC_INTERRUPT;
	case SIGSEGV: return PICO_EXC_MEMORY;
	case SIGBUS: return PICO_EXC_BUS;
	case SIGFPE: return PICO_EXC_ARITHMETIC;
	case SIGILL: return PICO_EXC_ILLEGAL;
	default: return PICO_EXC_TRAP;
	}
}

static void enter_libos(struct host_context *uc, struct pico_exception *e, struct pico_context *c, uint64_t stack)
{
	uc->rip = (uint64_t)gate.libos->exception;
	uc->rdi = (uint64_t)e;
	uc->rsi = (uint64_t)c;
	uc->rsp = (stack & ~15ull) - 8; /* as after a call */
	uc->rbp = 0;
	uc->eflags = FLAGS_CLEAN;
	uc->sigmask = 0;
}

/* What sigreturn would have done for a handler that changed nothing of the
 * thread's signal state: SIGSYS blocks no signal (lib/helper/seed.c), and the
 * alternate stack is free as soon as the stack pointer is off it. Comes back when
 * there is more to it, such as signals that a frame made by the program blocked. */
static void leave_by_jump(const struct host_context *uc, struct pico_exception *e, struct pico_context *c, uint64_t stack)
{
	const struct _fpstate *vector = (const struct _fpstate *)uc->fpstate;

	if (uc->sigmask || !vector || vector->sw_reserved.magic1 != FP_XSTATE_MAGIC1)
		return;
	pico_gate_leave(vector, vector->sw_reserved.xfeatures, e, c, (stack & ~15ull) - 8, gate.libos->exception);
}

static void describe(struct pico_exception *e, int signal, const siginfo_t *info, const struct host_context *uc)
{
	e->kind = kind_of(signal);
	e->in_libos = 0;
	e->signal = e->kind == PICO_EXC_SYSCALL || e->kind == PICO_EXC_INTERRUPT ? 0 : (uint32_t)signal;
	e->code = info->si_code;
	e->address = e->kind == PICO_EXC_SYSCALL ? uc->rip : (uint64_t)info->si_addr;
	e->trap = (uint32_t)uc->trapno;
	e->error = (uint32_t)uc->err;
}

static bool in_text(uint64_t rip)
{
	return (rip >= PICO_ABI_PAGE && rip < PICO_ABI_PAGE + 0x100000) || (rip >= PICO_LIBOS_BASE && rip < PICO_LIBOS_END);
}

/* Our own code was interrupted: remember it, and rewind marked ranges. */
static void interrupt_inside(struct gate_block *b, struct host_context *uc)
{
	b->tb.pending = 1;
	if (uc->rip >= (uint64_t)pico_gate_wait && uc->rip < (uint64_t)pico_gate_wait_end) {
		uc->rip = (uint64_t)pico_gate_wait;
		return;
	}
	for (uint64_t i = 0; i < gate.libos->range_count; i++) {
		const struct pico_range *r = &gate.libos->ranges[i];
		if (uc->rip >= (uint64_t)r->start && uc->rip < (uint64_t)r->end) {
			uc->rip = (uint64_t)r->restart;
			uc->rsp = (uint64_t)b->tb.stack_top - 8;
			uc->eflags = FLAGS_CLEAN;
			return;
		}
	}
}

static void fault_inside(struct gate_block *b, int signal, const siginfo_t *info, struct host_context *uc)
{
	if (signal == SIGSYS && uc->rip >= gate.vdso_start && uc->rip < gate.vdso_end) {
		/* The host's vDSO fell back to a system call: its clock is no TSC. */
		gate.vdso_usable = 0;
		uc->rax = (uint64_t)-PICO_ENOSYS;
		return;
	}
	if (uc->rip >= (uint64_t)pico_gate_copy && uc->rip < (uint64_t)pico_gate_copy_end) {
		uc->rip = (uint64_t)pico_gate_copy_fault;
		return;
	}
	if (uc->rip >= PICO_LIBOS_BASE && uc->rip < PICO_LIBOS_END && signal != SIGSYS) {
		uint64_t at = (uc->rsp - 1024 - sizeof(struct pico_context) - sizeof(struct pico_exception)) & ~63ull;
		struct pico_context *c = (void *)at;
		struct pico_exception *e = (void *)(at + sizeof(*c));
		save(c, uc);
		describe(e, signal, info, uc);
		e->in_libos = 1;
		enter_libos(uc, e, c, at);
		return;
	}
	gate_ask(b, PICO_NR_CRASHED, (const uint64_t[6]){ 0, (uint64_t)signal, uc->rip, (uint64_t)info->si_addr, uc->rsp, 0 });
	gate_exit_group(127);
}

void pico_gate_exception(int signal, siginfo_t *info, struct host_context *uc)
{
	uint64_t region = (uint64_t)uc & ~(PICO_THREAD_SIZE - 1);
	struct gate_block *b = (void *)(region + GATE_BLOCK);
	bool on_our_stack = uc->rsp >= region && uc->rsp < region + PICO_THREAD_SIZE;

	if (in_text(uc->rip) || (on_our_stack && uc->rip >= PICO_GUEST_END)) {
		if (signal == PICO_INTERRUPT_SIGNAL)
			interrupt_inside(b, uc);
		else
			fault_inside(b, signal, info, uc);
		return;
	}
	gate_set_self(b);
	save(&b->tb.context, uc);
	describe(&b->tb.exception, signal, info, uc);
	if (signal == SIGSYS)
		leave_by_jump(uc, &b->tb.exception, &b->tb.context, (uint64_t)b->tb.stack_top);
	enter_libos(uc, &b->tb.exception, &b->tb.context, (uint64_t)b->tb.stack_top);
}
