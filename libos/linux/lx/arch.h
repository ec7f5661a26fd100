/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rest of the kernel needs of the processor: the program's thread
 * pointer, its vector state, signal frames. x86-64 only, in arch/x86_64.
 */
#ifndef LX_ARCH_H
#define LX_ARCH_H

#include "signal.h"

struct task;

static inline u64 arch_read_fs(void)
{
	u64 v;
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}
static inline u64 arch_cycles(void) /* of the time stamp counter: for short spans on one CPU */
{
	u32 low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}
static inline void arch_write_fs(u64 v) { __asm__ volatile("wrfsbase %0" : : "r"(v)); }

/* A program starts: vector registers and thread pointer as after execve(2). */
void arch_reset_user_state(void);
/* Components of the vector state in signal frames, and bytes they need. */
u64 arch_xstate_mask(void);
u32 arch_xstate_size(void);
u32 arch_min_sigstack(void); /* AT_MINSIGSTKSZ */
/* Registers of the program may be anything it likes; what could hurt is taken out. */
void arch_sanitize(struct pico_context *c);
/* Build the frame of a handler on the program's stack and enter it: 0, or -EFAULT. */
int arch_signal_frame(struct task *t, int signo, const struct lx_sigaction *sa, const struct lx_siginfo *info, u64 mask);
/* Continue at c, which may be code of this kernel. */
void arch_resume(struct pico_context *c) __attribute__((noreturn));
/* Number of the CPU this runs on and its node, 0 when the CPU does not say. */
u32 arch_current_cpu(u32 *node);
/* The frame's way back; the value for rax. */
s64 arch_sigreturn(struct task *t);
/* Store and load the vector state of a task that parks; area of arch_xstate_size() bytes, 64-byte aligned. */
int arch_save_vector(void *area);
int arch_load_vector(void *area);

#endif
