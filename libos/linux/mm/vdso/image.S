/* SPDX-License-Identifier: Apache-2.0
 *
 * The built vDSO as bytes, in read-only data: the system-call instructions in
 * it are the program's, never to be executed here.
 */
	.section .rodata.vdso, "a", @progbits
	.balign	4096
	.globl	vdso_image, vdso_image_end
	.hidden	vdso_image, vdso_image_end
vdso_image:
	.incbin	"libos/linux/mm/vdso/vdso.so"
	.balign	4096, 0xcc
vdso_image_end:
	.section .note.GNU-stack, "", @progbits
