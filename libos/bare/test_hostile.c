/* SPDX-License-Identifier: Apache-2.0
 *
 * A hostile guest: it executes system calls from its own text, and jumps into
 * the gate's text. tests/abi/test_boundary.c drives it, one picoprocess a
 * probe, and watches the host. A probe that comes back prints "alive R".
 */
#include "bare.h"

/* Places of the gate's system-call instructions: what any guest can find by
 * reading the gate's text. */
#define GATE (PICO_ABI_PAGE + 0x1000)
#define GATE_PLAIN (GATE + 0x0e)
#define GATE_WAIT (GATE + 0x3e)
#define GATE_SIGRETURN (GATE + 0x4e)

static uint64_t parse(const char *s)
{
	uint64_t v = 0, base = 10;

	if (!s)
		return 0;
	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	for (; *s; s++)
		v = v * base + (uint64_t)(*s <= '9' ? *s - '0' : (*s | 32) - 'a' + 10);
	return v;
}

/* Program code that makes one call and comes back by a second, known one. */
__asm__(".pushsection .rodata.hostile,\"a\"\n"
	"hostile_own: .byte 0x0f, 0x05\n"			/* +0: syscall */
	"hostile_own_after: mov %rax, %rbx\n\tmov $0x7fff, %eax\n\t.byte 0x0f, 0x05\n\tud2\n"
	"hostile_int80: int $0x80\n\tjmp hostile_own_after\n"
	"hostile_call: call *%r12\n\tjmp hostile_own_after\n"	/* r12: where in the gate */
	"hostile_end:\n\t.popsection");
extern const char hostile_own[], hostile_own_after[], hostile_int80[], hostile_call[], hostile_end[];
#define AT 0x500000ull

static struct pico_thread_block *block(void)
{
	struct pico_thread_block *tb;
	__asm__("mov %%gs:0, %0" : "=r"(tb));
	return tb;
}

static uint64_t call_number, arguments[6], high_number, entry, gate_at;
static char stack[65536] __attribute__((aligned(16)));

static void run(uint64_t number)
{
	struct pico_context *c = &block()->context;
	uint16_t cs, ss;

	__asm__("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
	*c = (struct pico_context){ .rip = entry, .cs = cs, .ss = ss, .rflags = 0x202, .rsp = (uint64_t)(stack + sizeof(stack) - 256),
		.rax = number, .rdi = arguments[0], .rsi = arguments[1], .rdx = arguments[2], .r10 = arguments[3],
		.r8 = arguments[4], .r9 = arguments[5], .r12 = gate_at };
	bare_resume(c);
}

/* Linux 6.11 and later let these two past every filter (they are the kernel's
 * own way back from probes); called by hand they do nothing: SIGILL, ENXIO. */
static bool past_filters(uint64_t nr) { return nr == 335 || nr == 336; }

/* Sweep from the guest's own text: every call must come here as an exception. */
static uint64_t unexpected;
static bool on_sweep(struct pico_exception *e, struct pico_context *c)
{
	bool ours = e->kind == PICO_EXC_SYSCALL && c->rip == AT + (uint64_t)(hostile_own_after - hostile_own) && c->rax == call_number;
	bool probe = past_filters(call_number) && (e->kind == PICO_EXC_ILLEGAL || (c->rax == 0x7fff && (int64_t)c->rbx == -PICO_ENXIO));

	if (ours || probe) {
		if (++call_number > high_number) {
			CHECK_EQ(unexpected, 0);
			bare_print("swept");
			bare_finish();
		}
		run(call_number);
	}
	/* it returned: the closing call of hostile_own_after came instead */
	if (e->kind == PICO_EXC_SYSCALL && c->rax == 0x7fff) {
		unexpected++;
		bare_print_number("not trapped: ", (int64_t)call_number);
		if (++call_number > high_number)
			bare_finish();
		run(call_number);
	}
	if (e->kind == PICO_EXC_MEMORY && entry != AT) { /* int 0x80 disabled in the kernel */
		bare_print("swept");
		bare_finish();
	}
	return false;
}

static void place(void)
{
	void *a = (void *)AT;
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 4096, PICO_VM_COMMIT | PICO_VM_FIXED, 3, NULL, 0), 0);
	memcpy(a, hostile_own, (size_t)(hostile_end - hostile_own));
	CHECK_EQ(Dk(VirtualMemoryProtect)(a, 4096, PICO_PROT_READ | PICO_PROT_EXEC), 0);
}

/* hostile_sweep FIRST LAST: from own text */
BARE_TEST(hostile_sweep)
{
	place();
	call_number = parse(bare_argument(1));
	high_number = parse(bare_argument(2));
	for (int i = 0; i < 6; i++)
		arguments[i] = parse(bare_argument(3));
	entry = AT;
	bare_on_exception = on_sweep;
	run(call_number);
}

static bool on_return(struct pico_exception *e, struct pico_context *c)
{
	if (e->kind == PICO_EXC_SYSCALL && c->rax == 0x7fff && c->rip != 0) {
		bare_print_number("alive ", (int64_t)c->rbx);
		bare_finish();
	}
	bare_print_number("exception ", e->kind);
	bare_finish();
	return false;
}

/* hostile_gate WHERE NUMBER A0..A5: through the gate's instruction p, w or s */
BARE_TEST(hostile_gate)
{
	const char *where = bare_argument(1);

	place();
	for (unsigned i = 0; i < 6; i++)
		arguments[i] = parse(bare_argument(3 + i));
	gate_at = *where == 'p' ? GATE_PLAIN : *where == 'w' ? GATE_WAIT : GATE_SIGRETURN;
	entry = AT + (uint64_t)(hostile_call - hostile_own);
	bare_on_exception = on_return;
	run(parse(bare_argument(2)));
}

BARE_TEST(hostile_int80)
{
	place();
	call_number = parse(bare_argument(1));
	entry = AT + (uint64_t)(hostile_int80 - hostile_own);
	bare_on_exception = on_return;
	run(call_number);
}

/* The guest's own system call in the two bytes before the gate's text, and in
 * every place of the gate's pages that is not one of the three: all trap. */
BARE_TEST(hostile_neighbours)
{
	place();
	/* rip after the instruction must be none of the allowed values */
	for (uint64_t at = GATE - 2; at < GATE + 0x60; at++) {
		if (at == GATE_PLAIN || at == GATE_WAIT || at == GATE_SIGRETURN)
			continue;
		const uint8_t *text = (const uint8_t *)at;
		if (at >= GATE)
			CHECK(!(text[0] == 0x0f && text[1] == 0x05));
	}
	/* and the descriptor table is empty of anything but what was granted */
	for (uint64_t fd = 0; fd < 16; fd++) {
		void *a = NULL;
		CHECK_EQ(Dk(StreamMap)((pico_handle)(fd ? fd : 1), &a, 1, 0, 4096, PICO_MAP_PRIVATE), -PICO_EBADF);
	}
}

/* ---- clones that nobody is asked for: only where the filter lets them by ---- */
static long clone_by_gate(uint64_t flags, void *on_stack)
{
	register uint64_t r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("call *%[gate]"
			 : "=a"(ret)
			 : "0"(56l), "D"(flags), "S"(on_stack), "d"(0l), "r"(r10), "r"(r8), "r"(r9), [gate] "b"(GATE_PLAIN)
			 : "rcx", "r11", "memory");
	return ret;
}

/* hostile_children FLAGS: as many, and theirs, as there may be */
BARE_TEST(hostile_children)
{
	uint64_t flags = parse(bare_argument(1));

	for (;;)
		clone_by_gate(flags, NULL);
}

static void linger(void)
{
	for (;;)
		__asm__ volatile("pause");
}

/* hostile_threads FLAGS COUNT: "made N" of COUNT */
BARE_TEST(hostile_threads)
{
	static uint64_t stacks[256][64];
	uint64_t flags = parse(bare_argument(1)), count = parse(bare_argument(2)), made = 0;

	for (uint64_t i = 0; i < count && i < 256; i++) {
		stacks[i][63] = (uint64_t)linger; /* where the gate returns to */
		if (clone_by_gate(flags, &stacks[i][63]) > 0)
			made++;
	}
	bare_print_number("made ", (int64_t)made);
	Dk(ThreadDelayExecution)((uint64_t)Dk(SystemTimeQuery)(PICO_CLOCK_MONOTONIC) + 2000000000ull);
}
