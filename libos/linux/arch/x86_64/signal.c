/* SPDX-License-Identifier: Apache-2.0
 *
 * Signal frames of x86-64, as the kernel lays them out: programs, unwinders and
 * run-times read and change them. What a handler gives back is checked like any
 * other input.
 */
#include "../../lx/arch.h"
#include "../../lx/proc.h"
#include "../../lx/task.h"
#include "../../lx/uaccess.h"
#include <linux/signal.h>

struct sigcontext64 {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct ucontext64 {
	u64 flags, link;
	struct lx_sigaltstack stack;
	struct sigcontext64 mc;
	u64 sigmask;
};
struct rt_frame {
	u64 return_address;
	struct ucontext64 uc;
	struct lx_siginfo info;
};
_Static_assert(sizeof(struct sigcontext64) == 256, "");
_Static_assert(sizeof(struct ucontext64) == 304, "");
_Static_assert(sizeof(struct lx_siginfo) == 128, "");

#define UC_FP_XSTATE_ 1u
#define UC_SIGCONTEXT_SS_ 2u
#define UC_STRICT_RESTORE_SS_ 4u
#define FP_MAGIC1 0x46505853u
#define FP_MAGIC2 0x46505845u
#define FP_SW_OFFSET 464u
#define FP_HEADER 512u
#define FP_LEGACY 512u
struct fp_software { u32 magic1, extended_size; u64 features; u32 xstate_size, padding[7]; };
_Static_assert(sizeof(struct fp_software) == 48, "");

#define RED_ZONE 128u
#define SA_RESTORER_ 0x04000000u
#define FLAG_TF 0x100ull
#define FLAG_DF 0x400ull
#define FLAG_RF 0x10000ull

/* ---- stacks ---- */

static bool inside(const struct lx_sigaltstack *s, u64 sp)
{
	return sp > s->sp && sp - s->sp <= s->size;
}

static bool on_altstack(const struct task *t, u64 sp)
{
	/* With SS_AUTODISARM the handler may switch away: it never counts. */
	return !(t->altstack.flags & (s32)SS_AUTODISARM) && inside(&t->altstack, sp);
}

u32 arch_min_sigstack(void)
{
	return (u32)ALIGN_UP(sizeof(struct rt_frame) + arch_xstate_size() + 4 + 64 + 16 + RED_ZONE, 16u);
}

/* ---- vector state ---- */

static int save_fp(u64 at)
{
	const u32 size = arch_xstate_size(), magic2 = FP_MAGIC2;
	const struct fp_software sw = {
		.magic1 = FP_MAGIC1, .extended_size = size + 4, .features = arch_xstate_mask(), .xstate_size = size,
	};
	u64 present;

	if (clear_user(at + FP_HEADER, 64) || user_xsave(at, arch_xstate_mask()))
		return -EFAULT;
	/* Programs of the time before XSAVE change the legacy part only:
	 * it is always taken as present. */
	if (get_user(present, at + FP_HEADER) || put_user(present | 3, at + FP_HEADER))
		return -EFAULT;
	return copy_to_user(at + FP_SW_OFFSET, &sw, sizeof(sw)) || put_user(magic2, at + size) ? -EFAULT : 0;
}

/* Only the legacy part is there: the rest starts anew. */
static int load_fp_legacy(u64 at)
{
	struct { u8 b[FP_LEGACY + 64]; } __attribute__((aligned(64))) area;
	const u64 present = 3;

	memset(&area, 0, sizeof(area));
	if (copy_from_user(area.b, at, FP_LEGACY))
		return -EFAULT;
	memset(area.b + FP_SW_OFFSET, 0, sizeof(struct fp_software));
	memcpy(area.b + FP_HEADER, &present, sizeof(present));
	return user_xrstor((uaddr)&area, arch_xstate_mask());
}

static int load_fp(u64 at)
{
	struct fp_software sw;
	u32 magic2;

	if (!at) {
		const u64 fs = arch_read_fs();
		arch_reset_user_state();
		arch_write_fs(fs);
		return 0;
	}
	if (!user_ok(at, FP_LEGACY) || get_user(sw, at + FP_SW_OFFSET))
		return -EFAULT;
	if (sw.magic1 != FP_MAGIC1 || sw.xstate_size < FP_LEGACY + 64 || sw.xstate_size > arch_xstate_size() ||
	    sw.xstate_size > sw.extended_size || get_user(magic2, at + sw.xstate_size) || magic2 != FP_MAGIC2)
		return load_fp_legacy(at);
	if (at & 63)
		return -EFAULT;
	/* What the frame says it has not is put into its initial state. */
	const u64 mask = arch_xstate_mask(), has = sw.features & mask;
	if (mask & ~has) {
		const u64 fs = arch_read_fs();
		arch_reset_user_state();
		arch_write_fs(fs);
	}
	return user_xrstor(at, has);
}

/* ---- the frame ---- */

static void fill_sigcontext(struct sigcontext64 *m, const struct task *t, u64 mask, u64 fp)
{
	const struct pico_context *c = t->regs;

	*m = (struct sigcontext64){
		.r8 = c->r8, .r9 = c->r9, .r10 = c->r10, .r11 = c->r11, .r12 = c->r12, .r13 = c->r13, .r14 = c->r14, .r15 = c->r15,
		.rdi = c->rdi, .rsi = c->rsi, .rbp = c->rbp, .rbx = c->rbx, .rdx = c->rdx, .rax = c->rax, .rcx = c->rcx,
		.rsp = c->rsp, .rip = c->rip, .rflags = c->rflags, .cs = 0x33, .ss = 0x2b,
		.err = t->error_code, .trapno = t->trap_nr, .oldmask = mask, .cr2 = t->cr2, .fpstate = fp,
	};
}

int arch_signal_frame(struct task *t, int signo, const struct lx_sigaction *sa, const struct lx_siginfo *info, u64 mask)
{
	struct pico_context *c = t->regs;
	const u64 sp = c->rsp;
	const bool nested = on_altstack(t, sp);
	const bool use_alt = (sa->flags & SA_ONSTACK) && t->altstack.size && !(t->altstack.flags & SS_DISABLE) && !nested;
	struct rt_frame f;

	if (!(sa->flags & SA_RESTORER_))
		return -EFAULT; /* x86-64 has no other way back */
	u64 at = use_alt ? t->altstack.sp + t->altstack.size : sp - RED_ZONE;
	const u64 fp = (at - arch_xstate_size() - 4) & ~63ull;
	at = ((fp - sizeof(f)) & ~15ull) - 8;
	if ((use_alt || nested) && !inside(&t->altstack, at))
		return -EFAULT; /* the alternate stack is too small: never overflow it silently */
	if (save_fp(fp))
		return -EFAULT;

	memset(&f, 0, sizeof(f));
	f.return_address = sa->restorer;
	f.uc.flags = UC_FP_XSTATE_ | UC_SIGCONTEXT_SS_ | UC_STRICT_RESTORE_SS_;
	f.uc.stack = t->altstack;
	fill_sigcontext(&f.uc.mc, t, mask, fp);
	f.uc.sigmask = mask;
	f.info = *info;
	if (copy_to_user(at, &f, sizeof(f)))
		return -EFAULT;

	c->rdi = (u64)signo;
	c->rsi = at + offsetof(struct rt_frame, info);
	c->rdx = at + offsetof(struct rt_frame, uc);
	c->rax = 0;
	c->rip = sa->handler;
	c->rsp = at;
	c->rflags &= ~(FLAG_TF | FLAG_DF | FLAG_RF);
	return 0;
}

static void take_sigcontext(struct pico_context *c, const struct sigcontext64 *m)
{
	c->r8 = m->r8; c->r9 = m->r9; c->r10 = m->r10; c->r11 = m->r11;
	c->r12 = m->r12; c->r13 = m->r13; c->r14 = m->r14; c->r15 = m->r15;
	c->rdi = m->rdi; c->rsi = m->rsi; c->rbp = m->rbp; c->rbx = m->rbx;
	c->rdx = m->rdx; c->rax = m->rax; c->rcx = m->rcx;
	c->rsp = m->rsp; c->rip = m->rip; c->rflags = m->rflags;
}

/* The alternate stack as it was; wrong values are passed over, as Linux does. */
static void restore_altstack(struct task *t, const struct lx_sigaltstack *s)
{
	const s32 mode = s->flags & ~(s32)SS_AUTODISARM;

	if (on_altstack(t, t->regs->rsp) || (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0))
		return;
	if (mode == SS_DISABLE)
		t->altstack = (struct lx_sigaltstack){ .flags = SS_DISABLE };
	else if (s->size >= MINSIGSTKSZ)
		t->altstack = *s;
}

s64 arch_sigreturn(struct task *t)
{
	const u64 at = t->regs->rsp - 8;
	struct ucontext64 uc;

	t->orig_rax = (u64)-1; /* whatever rax is, no call is to be made again */
	t->restart = NULL; /* nor one that was about to be, when the handler came between */
	if (copy_from_user(&uc, at + offsetof(struct rt_frame, uc), sizeof(uc)))
		goto bad;
	signal_set_mask(uc.sigmask);
	take_sigcontext(t->regs, &uc.mc);
	if (load_fp(uc.mc.fpstate))
		goto bad;
	restore_altstack(t, &uc.stack);
	return (s64)t->regs->rax;
bad:
	signal_force(SIGSEGV, NULL);
	return 0;
}
