/* SPDX-License-Identifier: Apache-2.0
 *
 * Every test of the bare library OS (libos/bare), each in an instance of its
 * own. With arguments: the images to run in place of the built one (golden
 * files of earlier versions).
 */
#include "bare_run.h"

static const char *const tests[] = {
	"hello", "thread", "clone",
	"vm_allocate", "vm_move", "vm_protect_free",
	"events", "semaphores", "objects_run_out", "token_64_threads", "mixed_wait", "address_wait",
	"program_system_call", "program_memory_fault", "program_illegal_instruction", "program_breakpoint",
	"program_division", "program_segment_base",
	"interrupt_running", "interrupt_blocked", "interrupt_not_lost",
	"hostile_neighbours",
};
#define COUNT (sizeof(tests) / sizeof(tests[0]))

int main(int argc, char **argv)
{
	unsigned number = 0, failed = 0;
	static struct bare_result r;

	for (int image = argc > 1 ? 1 : 0; image < (argc > 1 ? argc : 1); image++)
		for (unsigned i = 0; i < COUNT; i++) {
			const char *args[] = { tests[i], NULL };
			bare_run(&r, image ? argv[image] : NULL, args, NULL);
			failed += !bare_passed(&r);
			bare_report(++number, tests[i], &r, bare_passed(&r));
		}
	printf("1..%u\n", number);
	return failed != 0;
}
