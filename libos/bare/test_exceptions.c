/* SPDX-License-Identifier: Apache-2.0
 *
 * Exceptions of program code and interrupts: registers come back whole, and
 * of a great number of interrupts none is lost.
 */
#include "bare.h"

#define SECOND 1000000000ull
#define LOST (60 * SECOND) /* on a machine with much else to do an interrupt may take seconds */
static char program_stack[65536] __attribute__((aligned(16)));

/* ---- program code: assembled into the image, but copied to guest memory ---- */
__asm__(".pushsection .rodata.program,\"a\"\n"
	"program_syscall: mov $39, %eax\n\tmov $0x1234, %rbx\n\t.byte 0x0f, 0x05\n\tmov %rax, %rdi\n\tmov $60, %eax\n\t.byte 0x0f, 0x05\n\tud2\n"
	"program_fault: mov $0xdead0000, %rbx\n\tmov (%rbx), %rax\n\tud2\n"
	"program_spin: xor %eax, %eax\n1: inc %rax\n\tjmp 1b\n"
	"program_illegal: ud2\n"
	"program_break: int3\n\tud2\n"
	"program_divide: xor %ecx, %ecx\n\tmov $1, %eax\n\txor %edx, %edx\n\tdiv %ecx\n\tud2\n"
	"program_segments: xor %eax, %eax\n\twrgsbase %rax\n\tmov $39, %eax\n\t.byte 0x0f, 0x05\n\tmov $60, %eax\n\t.byte 0x0f, 0x05\n"
	"program_end:\n\t.popsection");
extern const char program_syscall[], program_fault[], program_spin[], program_illegal[], program_break[], program_divide[],
	program_segments[], program_end[];
#define PROGRAM_AT 0x400000ull

static const void *place(const char *code)
{
	void *a = (void *)PROGRAM_AT;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096, PICO_VM_COMMIT | PICO_VM_FIXED, 3, NULL, 0), 0);
	memcpy(a, program_syscall, (size_t)(program_end - program_syscall));
	CHECK_EQ(Dk(VirtualMemoryProtect)(a, 4096, PICO_PROT_READ | PICO_PROT_EXEC), 0);
	return (const char *)a + (code - program_syscall);
}
static void *stack_top(void) { return program_stack + sizeof(program_stack); }

static unsigned calls;
static bool on_syscall(struct pico_exception *e, struct pico_context *c)
{
	CHECK_EQ(e->kind, PICO_EXC_SYSCALL);
	CHECK_EQ(e->in_libos, 0);
	if (!calls++) {
		CHECK_EQ(c->rax, 39);
		CHECK_EQ(c->rbx, 0x1234);
		c->rax = 4711;
		return true;
	}
	CHECK_EQ(c->rax, 60);
	CHECK_EQ(c->rdi, 4711);
	bare_finish();
}
BARE_TEST(program_system_call)
{
	bare_on_exception = on_syscall;
	bare_run_program(place(program_syscall), stack_top(), 0);
}

static uint32_t want_kind;
static uint64_t want_address;
static bool on_fault(struct pico_exception *e, struct pico_context *c)
{
	CHECK_EQ(e->kind, want_kind);
	CHECK_EQ(e->in_libos, 0);
	if (want_address)
		CHECK_EQ(e->address, want_address);
	CHECK(c->rip >= PROGRAM_AT && c->rip < PROGRAM_AT + 4096);
	bare_finish();
}
static void fault(const char *code, uint32_t kind, uint64_t address)
{
	want_kind = kind;
	want_address = address;
	bare_on_exception = on_fault;
	bare_run_program(place(code), stack_top(), 0);
}
BARE_TEST(program_memory_fault) { fault(program_fault, PICO_EXC_MEMORY, 0xdead0000); }
BARE_TEST(program_illegal_instruction) { fault(program_illegal, PICO_EXC_ILLEGAL, 0); }
BARE_TEST(program_breakpoint) { fault(program_break, PICO_EXC_TRAP, 0); }
BARE_TEST(program_division) { fault(program_divide, PICO_EXC_ARITHMETIC, 0); }

/* A program that takes the system's segment base away harms nobody. */
static bool on_segments(struct pico_exception *e, struct pico_context *c)
{
	CHECK_EQ(e->kind, PICO_EXC_SYSCALL);
	CHECK_EQ(c->rax, 39);
	bare_finish();
}
BARE_TEST(program_segment_base)
{
	bare_on_exception = on_segments;
	bare_run_program(place(program_segments), stack_top(), 0);
}

/* ---- interrupts ---- */
static pico_handle spinner;
static uint32_t interrupts, running;
static bool on_interrupt(struct pico_exception *e, struct pico_context *c)
{
	(void)c;
	CHECK_EQ(e->kind, PICO_EXC_INTERRUPT);
	__atomic_fetch_add(&interrupts, 1, __ATOMIC_ACQ_REL);
	Dk(AddressWake)(&interrupts, 1);
	return true;
}
static void spin(void *arg)
{
	__atomic_store_n(&running, 1, __ATOMIC_RELEASE);
	bare_run_program(arg, stack_top(), 0);
}
/* Each is answered before the next is sent, so each must arrive: a lost one
 * ends the wait. The thread is interrupted at random places of the way out. */
BARE_TEST(interrupt_running)
{
	bare_on_exception = on_interrupt;
	spinner = bare_thread(spin, (void *)(uintptr_t)place(program_spin), NULL);
	CHECK(spinner > 0);
	while (!__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		Dk(ThreadYieldExecution)();
	for (uint32_t i = 0; i < 20000; i++) {
		CHECK_EQ(Dk(ThreadInterrupt)(spinner), 0);
		uint64_t limit = bare_now() + LOST;
		while (__atomic_load_n(&interrupts, __ATOMIC_ACQUIRE) == i) {
			if (Dk(AddressWait)(&interrupts, i, limit) == -PICO_ETIMEDOUT) {
				CHECK(!"an interrupt was lost");
				return;
			}
		}
	}
	CHECK_EQ(Dk(ThreadInterrupt)(-1), -PICO_EBADF);
	CHECK_EQ(Dk(ThreadInterrupt)(12), -PICO_EBADF);
}

/* Blocking calls return EINTR, may be issued again, and then succeed. */
static uint32_t phase, interrupted;
static pico_handle sleeper_event;
static void sleeper(void *arg)
{
	struct pico_thread_block *tb;
	static uint32_t word;
	pico_handle never = Dk(NotificationEventCreate)(0);
	(void)arg;

	__asm__("mov %%gs:0, %0" : "=r"(tb));
	for (uint32_t kind = 0; kind < 3; kind++) {
		__atomic_store_n(&phase, kind + 1, __ATOMIC_RELEASE);
		int64_t r = kind == 0 ? Dk(AddressWait)(&word, 0, PICO_FOREVER) :
			    kind == 1 ? Dk(ObjectsWaitAny)(1, &never, PICO_FOREVER) :
					Dk(ThreadDelayExecution)(bare_now() + 100 * SECOND);
		CHECK_EQ(r, -PICO_EINTR);
		CHECK_EQ(tb->pending, 1);
		/* still pending: the next call returns at once, too */
		CHECK_EQ(Dk(AddressWait)(&word, 0, PICO_FOREVER), -PICO_EINTR);
		tb->pending = 0;
		CHECK_EQ(Dk(AddressWait)(&word, 0, bare_now() + 1000000), -PICO_ETIMEDOUT);
		__atomic_store_n(&interrupted, kind + 1, __ATOMIC_RELEASE);
	}
	Dk(EventSet)(sleeper_event);
}
BARE_TEST(interrupt_blocked)
{
	sleeper_event = Dk(NotificationEventCreate)(0);
	pico_handle t = bare_thread(sleeper, NULL, NULL);
	for (uint32_t kind = 1; kind <= 3; kind++) {
		while (__atomic_load_n(&phase, __ATOMIC_ACQUIRE) != kind)
			Dk(ThreadYieldExecution)();
		Dk(ThreadDelayExecution)(bare_now() + 2000000);
		CHECK_EQ(Dk(ThreadInterrupt)(t), 0);
		while (__atomic_load_n(&interrupted, __ATOMIC_ACQUIRE) != kind)
			Dk(ThreadYieldExecution)();
	}
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &sleeper_event, bare_now() + 5 * SECOND), 0);
}

/* Interrupts sent at any moment around a wait: the sleeper counts them all. */
static uint32_t taken;
static void counting(void *arg)
{
	struct pico_thread_block *tb;
	static uint32_t word;
	(void)arg;
	__asm__("mov %%gs:0, %0" : "=r"(tb));
	__atomic_store_n(&running, 1, __ATOMIC_RELEASE);
	for (;;) {
		CHECK_EQ(Dk(AddressWait)(&word, 0, PICO_FOREVER), -PICO_EINTR);
		__atomic_store_n(&tb->pending, 0, __ATOMIC_RELEASE);
		__atomic_fetch_add(&taken, 1, __ATOMIC_ACQ_REL);
	}
}
BARE_TEST(interrupt_not_lost)
{
	pico_handle t = bare_thread(counting, NULL, NULL);
	while (!__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		Dk(ThreadYieldExecution)();
	for (uint32_t i = 0; i < 20000; i++) {
		CHECK_EQ(Dk(ThreadInterrupt)(t), 0);
		uint64_t limit = bare_now() + LOST;
		while (__atomic_load_n(&taken, __ATOMIC_ACQUIRE) == i)
			if (bare_now() > limit) {
				CHECK(!"an interrupt was lost");
				return;
			}
	}
}
