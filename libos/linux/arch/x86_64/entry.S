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
