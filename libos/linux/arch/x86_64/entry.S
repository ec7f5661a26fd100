/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways in and out of the library OS. In: upcalls come on the system stack
 * with clean flags. Out: a marked range without side effects, which an
 * interrupt sends back to its start, so that none is lost between the check
 * and the jump. Nothing here touches a vector register.
 */
#include "../../lx/offsets.h"

	.text
	.p2align 4
	.globl return_to_user
	.hidden return_to_user
	.type return_to_user, @function
return_to_user:
return_restart:
	mov %gs:TB_STACK_TOP, %rsp
	and $-16, %rsp
	cld
	xor %ebp, %ebp
	call user_exit_work
return_begin:
	mov %gs:TB_LIBOS, %rax
	movl $1, TASK_IN_USER(%rax)
	lock orl $0, TASK_IN_USER(%rax) /* who sets a flag now sees in_user, or we see the flag */
	cmpl $0, %gs:TB_PENDING
	jne return_restart
	testl $TASK_WORK, TASK_FLAGS(%rax)
	jne return_restart
	mov %gs:TB_SELF, %rsp
	add $TB_CONTEXT, %rsp
	/* After a system call rcx and r11 are rip and flags: a jump does, which
	 * costs a tenth of an iretq. */
	mov CONTEXT_RIP(%rsp), %rcx
	cmp %rcx, CONTEXT_RCX(%rsp)
	jne return_exact
	mov CONTEXT_RFLAGS(%rsp), %r11
	cmp %r11, CONTEXT_R11(%rsp)
	jne return_exact
	test $~FLAGS_PLAIN, %r11
	jnz return_exact
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	lea 24(%rsp), %rsp /* the reserved word, rip, cs */
	popfq
	pop %rsp
	jmp *%rcx
return_exact:
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	lea 8(%rsp), %rsp /* the reserved word */
	iretq
return_end:
	.size return_to_user, . - return_to_user

/* A patched call site comes here (patch.c): on the program's stack with its
 * registers, rax the number, rcx the address to go back to, r11 free. Only
 * registers and the thread block are touched before the stack is ours: below
 * the program's stack pointer may lie what it still needs. An interrupt in here
 * finds the library OS's text and is remembered. */
	.p2align 4
	.globl libos_fast_syscall
	.hidden libos_fast_syscall
	.type libos_fast_syscall, @function
libos_fast_syscall:
	mov %rsp, %gs:TB_SCRATCH
	mov %gs:TB_SELF, %rsp
	lea (TB_CONTEXT + CONTEXT_PAD)(%rsp), %rsp /* no flag may change before they are saved */
	push $0x2b
	push %gs:TB_SCRATCH
	pushfq
	mov (%rsp), %r11 /* as the instruction does */
	push $0x33
	push %rcx
	push $0
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	mov %gs:TB_STACK_TOP, %rsp
	and $-16, %rsp
	xor %ebp, %ebp
	cld
	test $FLAGS_HARMFUL, %r11d
	jnz 1f
	call fast_syscall
	ud2
1:	push $2
	popfq
	call fast_syscall
	ud2
	.size libos_fast_syscall, . - libos_fast_syscall

/* arch_resume(context): any context, the kernel's own code too. */
	.p2align 4
	.globl arch_resume
	.hidden arch_resume
	.type arch_resume, @function
arch_resume:
	mov %rdi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	lea 8(%rsp), %rsp
	iretq
	.size arch_resume, . - arch_resume

/* Upcalls. */
	.p2align 4
	.globl libos_exception
	.hidden libos_exception
	.type libos_exception, @function
libos_exception:
	cld
	and $-16, %rsp
	xor %ebp, %ebp
	call exception_dispatch
	ud2
	.size libos_exception, . - libos_exception

	.globl libos_initialize
	.hidden libos_initialize
	.type libos_initialize, @function
libos_initialize:
	and $-16, %rsp
	xor %ebp, %ebp
	call boot_main
	ud2
	.size libos_initialize, . - libos_initialize

	.globl libos_thread_start
	.hidden libos_thread_start
	.type libos_thread_start, @function
libos_thread_start:
	and $-16, %rsp
	xor %ebp, %ebp
	call thread_main
	ud2
	.size libos_thread_start, . - libos_thread_start

	.section .rodata, "a", @progbits
	.p2align 3
	.globl libos_ranges
	.hidden libos_ranges
	.type libos_ranges, @object
libos_ranges:
	.quad return_begin, return_end, return_restart
	.size libos_ranges, . - libos_ranges
	.section .note.GNU-stack, "", @progbits
