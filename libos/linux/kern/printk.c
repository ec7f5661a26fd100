/* SPDX-License-Identifier: Apache-2.0
 *
 * Words to the host's log, and the two ways to give up: a start that cannot
 * be, and a bug of this kernel.
 */
#include "../lx/proc.h"

#define LINE_SIZE 512

static void print(const char *prefix, const char *fmt, va_list ap)
{
	char line[LINE_SIZE];
	size_t n = strlen(prefix);

	memcpy(line, prefix, n);
	int m = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (m > 0)
		n = MIN(n + (size_t)m, sizeof(line) - 1);
	Dk(DebugStringPrint)(line, n);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print("", fmt, ap);
	va_end(ap);
}

void boot_error(int exit_code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print("error: ", fmt, ap);
	va_end(ap);
	for (;;)
		Dk(ProcessExit)(exit_code);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print("panic: ", fmt, ap);
	va_end(ap);
	for (;;)
		Dk(ProcessExit)(PICO_EXIT_LIBOS_CRASH);
}
