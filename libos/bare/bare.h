/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest library OS: it runs one named test of the ABI and ends. It knows
 * the ABI's header and nothing else, so a built one must run on every later
 * host: that is what the golden files in tests/abi prove.
 */
#ifndef BARE_H
#define BARE_H

#include <stdbool.h>
#include <pico/abi.h>

extern const struct pico_init_info *bare_info;

struct bare_test { const char *name; void (*run)(void); };
#define BARE_TEST(n) \
	static void bare_test_##n(void); \
	__attribute__((section(".data.bare_tests"), used, aligned(8))) \
	static const struct bare_test bare_entry_##n = { #n, bare_test_##n }; \
	static void bare_test_##n(void)

/* Record a failure and go on; the exit code is 1 when there was any. */
void bare_check(bool ok, const char *file, int line, const char *text, int64_t got);
#define CHECK(c) bare_check((c), __FILE__, __LINE__, #c, 0)
#define CHECK_EQ(expression, want) do { \
	int64_t _got = (int64_t)(expression), _want = (int64_t)(want); \
	bare_check(_got == _want, __FILE__, __LINE__, #expression " == " #want, _got); } while (0)
void bare_print(const char *text);
void bare_print_number(const char *text, int64_t value);
uint64_t bare_now(void);
pico_handle bare_thread(void (*fn)(void *), void *arg, uint32_t *clear_word); /* runs fn, then ThreadExit */
const char *bare_argument(unsigned index); /* of the boot block; NULL: none */

/* The last exception of each thread: what tests look at. A test sets a hook
 * that gets it; returning true resumes the context. */
typedef bool (*bare_exception_fn)(struct pico_exception *e, struct pico_context *c);
extern bare_exception_fn bare_on_exception;
void bare_run_program(const void *entry, void *stack_top, uint64_t rdi) __attribute__((noreturn)); /* jump to program code */
_Noreturn void bare_resume(struct pico_context *c);
_Noreturn void bare_finish(void); /* ProcessExit by the failures so far */

void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memmove(void *d, const void *s, size_t n);

#endif
