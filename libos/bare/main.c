/* SPDX-License-Identifier: Apache-2.0
 *
 * The three upcalls of the bare library OS, and what its tests share.
 */
#include "bare.h"

const struct pico_init_info *bare_info;
bare_exception_fn bare_on_exception;
static uint32_t failures;

extern const struct bare_test bare_tests_start[], bare_tests_end[];
void bare_initialize(const struct pico_init_info *info);
void bare_thread_start(void *param);
void bare_exception(struct pico_exception *e, struct pico_context *c);
_Noreturn void bare_resume_inside(struct pico_context *c);
_Noreturn void bare_pending(void);

static size_t length(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

void bare_print(const char *text)
{
	Dk(DebugStringPrint)(text, length(text));
}

void bare_print_number(const char *text, int64_t value)
{
	char line[200], digits[24];
	size_t n = 0, d = 0;
	uint64_t v = value < 0 ? -(uint64_t)value : (uint64_t)value;

	while (text[n] && n < 160) {
		line[n] = text[n];
		n++;
	}
	if (value < 0)
		line[n++] = '-';
	do
		digits[d++] = (char)('0' + v % 10);
	while (v /= 10);
	while (d)
		line[n++] = digits[--d];
	Dk(DebugStringPrint)(line, n);
}

void bare_check(bool ok, const char *file, int line, const char *text, int64_t got)
{
	if (ok)
		return;
	__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
	bare_print(file);
	bare_print_number("line ", line);
	bare_print(text);
	bare_print_number("got ", got);
}

uint64_t bare_now(void)
{
	return (uint64_t)Dk(SystemTimeQuery)(PICO_CLOCK_MONOTONIC);
}

const char *bare_argument(unsigned index)
{
	const char *at = bare_info->boot, *end = at + bare_info->boot_size;

	while (at + sizeof(struct pico_boot_record) <= end) {
		const struct pico_boot_record *r = (const void *)at;
		if (r->tag == PICO_BOOT_END)
			break;
		if (r->tag == PICO_BOOT_ARG && !index--)
			return (const char *)(r + 1);
		at += sizeof(*r) + ((r->size + 7ull) & ~7ull);
	}
	return NULL;
}

struct start { void (*fn)(void *); void *arg; uint32_t used; };
static struct start starts[256];

pico_handle bare_thread(void (*fn)(void *), void *arg, uint32_t *clear_word)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t free = 0;
		if (!__atomic_compare_exchange_n(&starts[i].used, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		starts[i].fn = fn;
		starts[i].arg = arg;
		int64_t h = Dk(ThreadCreate)(&starts[i], clear_word);
		if (h < 0)
			__atomic_store_n(&starts[i].used, 0, __ATOMIC_RELEASE);
		return h;
	}
	return -PICO_EAGAIN;
}

void bare_thread_start(void *param)
{
	struct start *s = param;
	void (*fn)(void *) = s->fn;
	void *arg = s->arg;

	__atomic_store_n(&s->used, 0, __ATOMIC_RELEASE);
	fn(arg);
	Dk(ThreadExit)();
}

void bare_exception(struct pico_exception *e, struct pico_context *c)
{
	if (bare_on_exception && bare_on_exception(e, c)) {
		if (e->in_libos)
			bare_resume_inside(c);
		bare_resume(c);
	}
	bare_print_number("unexpected exception, kind ", e->kind);
	bare_print_number("rip ", (int64_t)c->rip);
	bare_print_number("address ", (int64_t)e->address);
	Dk(ProcessExit)(PICO_EXIT_LIBOS_CRASH);
}

/* An interrupt was noted on the way out: give it to the hook as if it had
 * reached the program there. */
void bare_pending(void)
{
	struct pico_thread_block *tb;
	__asm__("mov %%gs:0, %0" : "=r"(tb));
	tb->pending = 0;
	tb->exception = (struct pico_exception){ .kind = PICO_EXC_INTERRUPT };
	bare_exception(&tb->exception, &tb->context);
	__builtin_unreachable();
}

void bare_run_program(const void *entry, void *stack_top, uint64_t rdi)
{
	struct pico_thread_block *tb;
	uint16_t cs, ss;

	__asm__("mov %%gs:0, %0" : "=r"(tb));
	__asm__("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
	tb->context = (struct pico_context){ .rip = (uint64_t)entry, .cs = cs, .rflags = 0x202,
		.rsp = (uint64_t)stack_top, .ss = ss, .rdi = rdi };
	bare_resume(&tb->context);
}

void bare_finish(void)
{
	Dk(ProcessExit)(failures ? 1 : 0);
	__builtin_unreachable();
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

void bare_initialize(const struct pico_init_info *info)
{
	bare_info = info;
	const char *name = bare_argument(0);
	for (const struct bare_test *t = bare_tests_start; t < bare_tests_end; t++)
		if (name && same(t->name, name)) {
			t->run();
			bare_finish();
		}
	bare_print("no such test");
	Dk(ProcessExit)(2);
}
