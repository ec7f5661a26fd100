/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory downcalls: each success and each error they list.
 */
#include "bare.h"

#define AT ((void *)0x10000000ull)
#define MIB (1024 * 1024ull)

static struct pico_exception seen;
static bool skip_fault(struct pico_exception *e, struct pico_context *c)
{
	seen = *e;
	c->rip = c->rbx; /* touch() put its continuation there */
	return true;
}
/* Read a byte of any address; the fault's description is in `seen`. */
static __attribute__((noinline)) bool touch(const void *address, bool write)
{
	uint64_t ok = 0;
	seen = (struct pico_exception){ 0 };
	bare_on_exception = skip_fault;
	if (write)
		__asm__ volatile("lea 1f(%%rip), %%rbx\n\tmovb $1, (%1)\n\tmov $1, %0\n1:" : "+r"(ok) : "r"(address) : "rbx", "memory");
	else
		__asm__ volatile("lea 1f(%%rip), %%rbx\n\tmovb (%1), %%al\n\tmov $1, %0\n1:" : "+r"(ok) : "r"(address) : "rbx", "rax", "memory");
	bare_on_exception = NULL;
	return ok;
}

BARE_TEST(vm_allocate)
{
	void *a = AT;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, MIB, PICO_VM_COMMIT | PICO_VM_FIXED, PICO_PROT_READ | PICO_PROT_WRITE, NULL, 0), 0);
	CHECK(a == AT);
	CHECK(touch(a, true));
	void *b = AT;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&b, 4096, PICO_VM_COMMIT | PICO_VM_NOREPLACE, PICO_PROT_READ, NULL, 0), -PICO_EEXIST);
	b = NULL;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&b, 4096, PICO_VM_RESERVE, 0, NULL, 0), 0);
	CHECK(b != NULL && b != a);
	CHECK(!touch(b, false));
	CHECK_EQ(seen.kind, PICO_EXC_MEMORY);
	CHECK_EQ(seen.in_libos, 1);
	CHECK_EQ(seen.address, (uint64_t)b);
	/* errors */
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096, 0, 0, NULL, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096, PICO_VM_COMMIT | PICO_VM_RESERVE, 0, NULL, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 0, PICO_VM_COMMIT, 0, NULL, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096, PICO_VM_COMMIT, 8, NULL, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096, PICO_VM_COMMIT | 0x80000000u, 0, NULL, 0), -PICO_EINVAL);
	void *odd = (char *)AT + 1;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&odd, 4096, PICO_VM_COMMIT | PICO_VM_FIXED, 0, NULL, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryAllocate)((void **)8, 4096, PICO_VM_COMMIT, 0, NULL, 0), -PICO_EFAULT);
	void *huge = NULL;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&huge, 1ull << 60, PICO_VM_COMMIT, 3, NULL, 0), -PICO_ENOMEM);
}

BARE_TEST(vm_move)
{
	void *a = NULL, *to;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096 * 4, PICO_VM_COMMIT, 3, NULL, 0), 0);
	memset(a, 7, 4096 * 4);
	to = NULL;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&to, 64 * MIB, PICO_VM_MOVE, 3, a, 4096 * 4), 0);
	CHECK(((char *)to)[4096 * 4 - 1] == 7);
	CHECK(((char *)to)[4096 * 4] == 0);
	void *fixed = AT;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&fixed, 4096, PICO_VM_MOVE | PICO_VM_FIXED, 3, to, 4096), 0);
	CHECK(fixed == AT && *(char *)fixed == 7);
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&to, 4096, PICO_VM_MOVE, 3, (void *)0x123, 4096), -PICO_EINVAL);
}

BARE_TEST(vm_protect_free)
{
	void *a = AT;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, MIB, PICO_VM_COMMIT | PICO_VM_FIXED, 3, NULL, 0), 0);
	memset(a, 1, MIB);
	CHECK_EQ(Dk(VirtualMemoryProtect)(a, 4096, PICO_PROT_READ), 0);
	CHECK(touch(a, false));
	CHECK(!touch(a, true));
	CHECK_EQ(Dk(VirtualMemoryProtect)(a, 4096, 16), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryProtect)((char *)a + 1, 4096, 1), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryProtect)((void *)0x5550000000ull, 4096, 1), -PICO_ENOMEM);
	CHECK_EQ(Dk(VirtualMemoryProtect)(a, 4096, 3), 0);
	CHECK_EQ(Dk(VirtualMemoryFree)(a, 4096, PICO_VM_DISCARD), 0);
	CHECK_EQ(*(char *)a, 0);
	CHECK_EQ(((char *)a)[4096], 1);
	CHECK_EQ(Dk(VirtualMemoryFree)(a, 4096, PICO_VM_LAZY_DISCARD), 0);
	CHECK_EQ(Dk(VirtualMemoryFree)(a, 4096, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(VirtualMemoryFree)(a, MIB, PICO_VM_RELEASE), 0);
	CHECK(!touch(a, false));
}
