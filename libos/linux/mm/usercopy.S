/* SPDX-License-Identifier: Apache-2.0
 *
 * The instructions that touch a program's memory. Each function has no stack
 * frame, so a fault anywhere in it is mended in one way: it returns -EFAULT.
 * Ranges are checked by the caller (uaccess.c).
 */

#define EFAULT 14

	.macro	guarded name
	.text
	.balign	16
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	.endm

	.macro	guarded_end name
.L\name\()_end:
	.size	\name, . - \name
	.pushsection .extable, "a", @progbits
	.balign	8
	.quad	\name, .L\name\()_end, uaccess_fault
	.popsection
	.endm

	.text
	.globl	uaccess_fault
	.hidden	uaccess_fault
	.type	uaccess_fault, @function
uaccess_fault:
	mov	$-EFAULT, %rax
	ret
	.size	uaccess_fault, . - uaccess_fault

/* long uaccess_copy(to, from, size) */
	guarded	uaccess_copy
	cmp	$256, %rdx
	jae	5f
	sub	$32, %rdx
	jb	2f
1:	mov	(%rsi), %rax
	mov	8(%rsi), %rcx
	mov	16(%rsi), %r8
	mov	24(%rsi), %r9
	mov	%rax, (%rdi)
	mov	%rcx, 8(%rdi)
	mov	%r8, 16(%rdi)
	mov	%r9, 24(%rdi)
	add	$32, %rsi
	add	$32, %rdi
	sub	$32, %rdx
	jae	1b
2:	test	$16, %dl
	jz	3f
	mov	(%rsi), %rax
	mov	8(%rsi), %rcx
	mov	%rax, (%rdi)
	mov	%rcx, 8(%rdi)
	add	$16, %rsi
	add	$16, %rdi
3:	test	$8, %dl
	jz	3f
	mov	(%rsi), %rax
	mov	%rax, (%rdi)
	add	$8, %rsi
	add	$8, %rdi
3:	test	$4, %dl
	jz	3f
	mov	(%rsi), %eax
	mov	%eax, (%rdi)
	add	$4, %rsi
	add	$4, %rdi
3:	test	$2, %dl
	jz	3f
	movzwl	(%rsi), %eax
	mov	%ax, (%rdi)
	add	$2, %rsi
	add	$2, %rdi
3:	test	$1, %dl
	jz	4f
	movzbl	(%rsi), %eax
	mov	%al, (%rdi)
4:	xor	%eax, %eax
	ret
5:	mov	%rdx, %rcx
	rep movsb
	xor	%eax, %eax
	ret
	guarded_end uaccess_copy

/* long uaccess_clear(to, size) */
	guarded	uaccess_clear
	mov	%rsi, %rcx
	xor	%eax, %eax
	cmp	$128, %rcx
	jae	3f
1:	sub	$8, %rcx
	jb	2f
	mov	%rax, (%rdi)
	add	$8, %rdi
	jmp	1b
2:	add	$8, %rcx
3:	rep stosb
	ret
	guarded_end uaccess_clear

/* long uaccess_strncpy(to, from, most): bytes before the zero, or most when
 * there is none in so many. Words are read aligned, so never over the end of
 * a page the string ends in. */
	guarded	uaccess_strncpy
	xor	%eax, %eax
	movabs	$0x0101010101010101, %r8
	movabs	$0x8080808080808080, %r9
1:	cmp	%rdx, %rax
	jae	4f
	lea	(%rsi,%rax), %rcx
	test	$7, %cl
	jz	3f
2:	movzbl	(%rsi,%rax), %ecx
	mov	%cl, (%rdi,%rax)
	test	%cl, %cl
	jz	4f
	inc	%rax
	jmp	1b
3:	lea	8(%rax), %rcx
	cmp	%rdx, %rcx
	ja	2b
	mov	(%rsi,%rax), %rcx
	mov	%rcx, %r10
	mov	%rcx, %r11
	sub	%r8, %r10
	not	%r11
	and	%r11, %r10
	test	%r9, %r10
	jnz	2b
	mov	%rcx, (%rdi,%rax)
	add	$8, %rax
	cmp	%rdx, %rax
	jb	3b
4:	ret
	guarded_end uaccess_strncpy

/* long uaccess_load_u32(a, *value) */
	guarded	uaccess_load_u32
	mov	(%rdi), %eax
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret
	guarded_end uaccess_load_u32

/* long uaccess_store_u64(a, value): one store */
	guarded	uaccess_store_u64
	mov	%rsi, (%rdi)
	xor	%eax, %eax
	ret
	guarded_end uaccess_store_u64

/* long uaccess_cmpxchg_u32(a, *expected, desired) */
	guarded	uaccess_cmpxchg_u32
	mov	(%rsi), %eax
	lock cmpxchg %edx, (%rdi)
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret
	guarded_end uaccess_cmpxchg_u32

/* long uaccess_xchg_u32(a, value, *old) and its like */
	guarded	uaccess_xchg_u32
	xchg	%esi, (%rdi)
	mov	%esi, (%rdx)
	xor	%eax, %eax
	ret
	guarded_end uaccess_xchg_u32

	guarded	uaccess_add_u32
	lock xadd %esi, (%rdi)
	mov	%esi, (%rdx)
	xor	%eax, %eax
	ret
	guarded_end uaccess_add_u32

	.macro	bitwise op
	guarded	uaccess_\op\()_u32
	mov	(%rdi), %eax
1:	mov	%eax, %ecx
	\op	%esi, %ecx
	lock cmpxchg %ecx, (%rdi)
	jne	1b
	mov	%eax, (%rdx)
	xor	%eax, %eax
	ret
	guarded_end uaccess_\op\()_u32
	.endm
	bitwise	or
	bitwise	and
	bitwise	xor

/* long uaccess_xsave(area, mask), uaccess_xrstor(area, mask): 64-byte aligned */
	guarded	uaccess_xsave
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	xsave64	(%rdi)
	xor	%eax, %eax
	ret
	guarded_end uaccess_xsave

	guarded	uaccess_xrstor
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	xrstor64 (%rdi)
	xor	%eax, %eax
	ret
	guarded_end uaccess_xrstor

	.section .note.GNU-stack, "", @progbits
