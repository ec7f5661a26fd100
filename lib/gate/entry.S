/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate's three system-call instructions at the addresses the filter
 * compares (lib/abi/wire.h), the signal entry, and the guarded copy. The places
 * are fixed by .org: moving one is a link error in the ABI's static tests.
 */
#include "gate-asm.h"

	.section .text.gate_entry, "ax", @progbits
	.globl pico_gate_text
pico_gate_text:
	.fill 0x0e, 1, 0xcc
/* rax = number, rdi rsi rdx r10 r8 r9 = arguments. Not interruptible by us. */
	.globl pico_gate_plain
	.type pico_gate_plain, @function
pico_gate_plain:			/* +0x0e */
	syscall
	ret				/* +0x10 = PICO_RIP_PLAIN */
	.org 0x33, 0xcc
/* The same, given up with -EINTR when an interrupt is pending; r12 = thread
 * block. An interrupt that lands before the kernel is entered rewinds to the
 * start, so none is lost between the check and the wait. */
	.globl pico_gate_wait
	.globl pico_gate_wait_end
	.type pico_gate_wait, @function
pico_gate_wait:				/* +0x33: 6 + 2 bytes of check, then padding to the call */
	cmpl $0, 0x18(%r12)
	jne .Linterrupted
	.org 0x3e, 0x90
	syscall
pico_gate_wait_end:
	ret				/* +0x40 = PICO_RIP_WAIT */
.Linterrupted:
	mov $-4, %rax
	ret
	.org 0x49, 0xcc
	.globl pico_gate_restorer
	.type pico_gate_restorer, @function
pico_gate_restorer:
	mov $15, %eax
	syscall				/* ends at +0x50 = PICO_RIP_SIGRETURN */
	ud2
	.org 0x60, 0xcc

/* Signals: flags of the program (AC above all) must not hold in our code. */
	.globl pico_gate_handler
	.type pico_gate_handler, @function
pico_gate_handler:
	pushq $2
	popfq
	jmp pico_gate_exception

/* void pico_gate_leave(vector, mask, exception, context, stack, libos_exception):
 * off the signal's stack with the program's vector state; flags are clean. */
	.globl pico_gate_leave
	.type pico_gate_leave, @function
pico_gate_leave:
	mov %rdx, %r10
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
	xrstor64 (%rdi)
	mov %r8, %rsp
	mov %r10, %rdi
	mov %rcx, %rsi
	xor %ebp, %ebp
	jmp *%r9

/* int pico_gate_copy(void *to, const void *from, size_t size): 0 or -14 when
 * either range faults; the exception code continues at the fix-up. */
	.globl pico_gate_copy
	.globl pico_gate_copy_end
	.globl pico_gate_copy_fault
	.type pico_gate_copy, @function
pico_gate_copy:
	mov %rdx, %rcx
	rep movsb
pico_gate_copy_end:
	xor %eax, %eax
	ret
pico_gate_copy_fault:
	mov $-14, %eax
	ret

/* void pico_gate_enter(void *fn, void *arg1, void *arg2, void *stack_top) */
	.globl pico_gate_enter
	.type pico_gate_enter, @function
pico_gate_enter:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rsp
	xor %ebp, %ebp
	call *%rax
	ud2

/* long pico_gate_clone_thread(flags, stack, ctid, tag, fn, arg)
 * In the child: fn(arg) on the new stack. */
	.globl pico_gate_clone_thread
	.type pico_gate_clone_thread, @function
pico_gate_clone_thread:
	push %r12
	push %r13
	mov %r8, %r12			/* fn */
	mov %r9, %r13			/* arg */
	mov %rcx, %r9			/* tag: register 5 of the filter's data */
	mov %rdx, %r10			/* ctid */
	add $4, %rdx			/* ptid: the word after it */
	xor %r8d, %r8d			/* tls */
	mov $56, %eax
	/* The call's return address must be on both stacks. */
	lea .Lcloned(%rip), %rcx
	mov %rcx, -8(%rsi)
	sub $8, %rsi
	call pico_gate_plain
.Lcloned:
	test %rax, %rax
	jz .Lchild
	pop %r13
	pop %r12
	ret
.Lchild:
	xor %ebp, %ebp
	mov %r13, %rdi
	call *%r12
	ud2
	.section .note.GNU-stack, "", @progbits
