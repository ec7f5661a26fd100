/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's processor state beyond the general registers: vector state,
 * thread pointer, flags. The state is live in the CPU all the time; this kernel
 * never uses it, it only stores and loads it.
 */
#include "../../lx/arch.h"
#include "../../lx/task.h"
#include "../../lx/uaccess.h"

#define XFEATURE_TILES ((1ull << 17) | (1ull << 18)) /* 8 KiB that no program here has asked for */
#define XSAVE_HEADER_END 576u

static void cpuid(u32 leaf, u32 sub, u32 r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(sub));
}

u64 arch_xstate_mask(void)
{
	return K->xstate_mask & ~XFEATURE_TILES;
}

u32 arch_xstate_size(void)
{
	u32 n = __atomic_load_n(&K->xstate_bytes, __ATOMIC_RELAXED), r[4];

	if (n)
		return n;
	n = XSAVE_HEADER_END;
	for (u32 i = 2; i < 63; i++) {
		if (!((arch_xstate_mask() >> i) & 1))
			continue;
		cpuid(13, i, r);
		n = MAX(n, r[0] + r[1]);
	}
	__atomic_store_n(&K->xstate_bytes, n, __ATOMIC_RELAXED);
	return n;
}

/* What a program starts with: everything in its initial state, which a zero
 * header says, but the control words, which the legacy area holds. */
static const struct { u8 bytes[XSAVE_HEADER_END]; } __attribute__((aligned(64))) initial_state = { .bytes = {
	[0] = 0x7f, [1] = 0x03, /* x87 control word */
	[24] = 0x80, [25] = 0x1f, /* MXCSR */
} };

static void load_initial(u64 mask)
{
	if (mask && user_xrstor((uaddr)&initial_state, mask))
		panic("xrstor of the initial state failed");
}

void arch_reset_user_state(void)
{
	load_initial(arch_xstate_mask());
	arch_write_fs(0);
	current->fs_base = 0;
}

int arch_save_vector(void *area)
{
	memset((u8 *)area + 512, 0, 64);
	return user_xsave((uaddr)area, arch_xstate_mask());
}

int arch_load_vector(void *area)
{
	return user_xrstor((uaddr)area, arch_xstate_mask());
}

#define FLAGS_USER 0x0000000000254dd5ull /* what a program may set: arithmetic, TF, DF, AC, RF, ID; not IOPL, NT, VM */
#define FLAGS_ALWAYS 0x202ull
#define USER_CS 0x33u
#define USER_SS 0x2bu

void arch_sanitize(struct pico_context *c)
{
	c->rflags = (c->rflags & FLAGS_USER) | FLAGS_ALWAYS;
	c->cs = USER_CS;
	c->ss = USER_SS;
	/* iretq to a place that is no address would fault here, not there.
	 * The first page is never mapped: the program faults with its own state. */
	if (unlikely(c->rip >= 0x0000800000000000ull))
		c->rip = 0;
}

u32 arch_current_cpu(u32 *node)
{
	u32 r[4], aux;

	if (unlikely(!K->has_rdtscp)) {
		cpuid(0x80000001, 0, r);
		K->has_rdtscp = (r[3] >> 27) & 1 ? 1 : -1;
	}
	if (K->has_rdtscp < 0) {
		*node = 0;
		return 0;
	}
	__asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
	*node = aux >> 12;
	return aux & 0xfff;
}
