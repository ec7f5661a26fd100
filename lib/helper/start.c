/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's first instructions, the memory functions a compiler may call,
 * and the addresses that the linker script compares with its own. Knows nothing
 * of what the program does.
 */
#include "helper.h"

__asm__(".pushsection .text.start, \"ax\", @progbits\n"
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call helper_main\n"
	"	ud2\n"
	".popsection\n");

/* Never called: it only carries constants of C headers into symbols. */
__attribute__((used)) static void addresses(void)
{
/* %n prints the negated constant, the one form both compilers take for 64 bits */
#define ADDRESS(name, value) __asm__ volatile(".globl " #name "\n.set " #name ", -(%n0)" ::"i"(value))
	ADDRESS(wire_abi_page, PICO_ABI_PAGE);
	ADDRESS(wire_gate_text, PICO_GATE_TEXT);
	ADDRESS(wire_helper_base, PICO_HELPER_BASE);
	ADDRESS(wire_libos_base, PICO_LIBOS_BASE);
}

/* In the gate's text, since the gate uses them too and outlives the helper's
 * pages; weak, for it may bring its own. */
#define SHARED __attribute__((weak, section(".gate.text.memory")))

SHARED void *memcpy(void *to, const void *from, size_t size)
{
	void *result = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
	return result;
}

SHARED void *memset(void *to, int byte, size_t size)
{
	void *result = to;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
	return result;
}

SHARED void *memmove(void *to, const void *from, size_t size)
{
	if ((uintptr_t)to - (uintptr_t)from >= size)
		return memcpy(to, from, size);
	for (char *t = (char *)to + size; size--;)
		*--t = ((const char *)from)[size];
	return to;
}

SHARED int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;
	for (; size; size--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}
