/* SPDX-License-Identifier: Apache-2.0
 *
 * The image header and the way out to program code.
 */
	.section .libos_header, "a", @progbits
	.globl libos_header
libos_header:
	.quad 0x31736f62696c6970
	.long 1, 0
	.quad bare_initialize, bare_thread_start, bare_exception
	.quad bare_ranges, 1
	.ascii "bare"
	.fill 28, 1, 0
	.fill 32, 1, 0

	.section .rodata.ranges, "a", @progbits
bare_ranges:
	.quad bare_way_out, bare_way_out_end, bare_way_out_restart

	.text
/* void bare_resume(struct pico_context *c): c must be tb->context. The range
 * has no side effect; an interrupt in it starts it again, and finds pending. */
	.globl bare_resume
bare_resume:
bare_way_out_restart:
	mov %gs:0x10, %rsp
	sub $8, %rsp
bare_way_out:
	cmpl $0, %gs:0x18
	jne bare_pending
	mov %gs:0, %rdi
	add $0x40, %rdi
	lea 0x80(%rdi), %rsp		/* the iretq frame */
	mov 0x00(%rdi), %r15
	mov 0x08(%rdi), %r14
	mov 0x10(%rdi), %r13
	mov 0x18(%rdi), %r12
	mov 0x20(%rdi), %r11
	mov 0x28(%rdi), %r10
	mov 0x30(%rdi), %r9
	mov 0x38(%rdi), %r8
	mov 0x48(%rdi), %rsi
	mov 0x50(%rdi), %rbp
	mov 0x58(%rdi), %rbx
	mov 0x60(%rdi), %rdx
	mov 0x68(%rdi), %rcx
	mov 0x70(%rdi), %rax
	mov 0x40(%rdi), %rdi
	iretq
bare_way_out_end:

/* A fault of our own text comes with a context that is not tb->context. */
	.globl bare_resume_inside
bare_resume_inside:
	lea 0x80(%rdi), %rsp
	mov 0x00(%rdi), %r15
	mov 0x08(%rdi), %r14
	mov 0x10(%rdi), %r13
	mov 0x18(%rdi), %r12
	mov 0x20(%rdi), %r11
	mov 0x28(%rdi), %r10
	mov 0x30(%rdi), %r9
	mov 0x38(%rdi), %r8
	mov 0x48(%rdi), %rsi
	mov 0x50(%rdi), %rbp
	mov 0x58(%rdi), %rbx
	mov 0x60(%rdi), %rdx
	mov 0x68(%rdi), %rcx
	mov 0x70(%rdi), %rax
	mov 0x40(%rdi), %rdi
	iretq

	.globl memcpy
memcpy:
	mov %rdi, %rax
	mov %rdx, %rcx
	rep movsb
	ret
	.globl memset
memset:
	mov %rdi, %r8
	mov %esi, %eax
	mov %rdx, %rcx
	rep stosb
	mov %r8, %rax
	ret
	.globl memmove
memmove:
	mov %rdi, %rax
	mov %rdx, %rcx
	mov %rdi, %r8
	sub %rsi, %r8
	cmp %rdx, %r8
	jb 1f
	rep movsb
	ret
1:	lea -1(%rdi,%rdx), %rdi
	lea -1(%rsi,%rdx), %rsi
	std
	rep movsb
	cld
	ret
	.globl memcmp
memcmp:
	xor %eax, %eax
	mov %rdx, %rcx
	cmp %rcx, %rcx
	repe cmpsb
	je 1f
	movzbl -1(%rdi), %eax
	movzbl -1(%rsi), %ecx
	sub %ecx, %eax
1:	ret
	.section .note.GNU-stack, "", @progbits
