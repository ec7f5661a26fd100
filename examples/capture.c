/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard streams as callbacks: the host feeds a program's standard input
 * from memory and collects its output in memory. No file and no descriptor of
 * the host is involved.
 */
#include "guest.h"

#include <stdio.h>
#include <string.h>

struct text {
	char bytes[4096];
	size_t size, done;
};

/* Called in a thread of libpico's whenever the guest wants input. */
static int64_t feed(void *user, uint64_t offset, void *buffer, size_t size)
{
	struct text *text = user;

	(void)offset; /* standard streams have no positions */
	if (size > text->size - text->done)
		size = text->size - text->done;
	memcpy(buffer, text->bytes + text->done, size);
	text->done += size;
	return (int64_t)size; /* 0: the end */
}

static int64_t collect(void *user, uint64_t offset, const void *buffer, size_t size)
{
	struct text *text = user;

	(void)offset;
	if (size > sizeof(text->bytes) - text->size)
		return -PICO_ENOSPC;
	memcpy(text->bytes + text->size, buffer, size);
	text->size += size;
	return (int64_t)size;
}

int main(void)
{
	static const char *const argv[] = { "/usr/bin/sort", "-r", NULL };
	static struct text input = { .bytes = "one\ntwo\nthree\n", .size = 14 }, output;
	struct pico_options options;
	struct pico_error error;
	struct pico_exit end;
	struct pico *guest;
	int result;

	example_options(&options, argv);
	options.stdio[0] = (struct pico_stdio){ .kind = PICO_STDIO_CALLBACK, .read = feed, .user = &input };
	options.stdio[1] = (struct pico_stdio){ .kind = PICO_STDIO_CALLBACK, .write = collect, .user = &output };
	options.stdio[2] = (struct pico_stdio){ .kind = PICO_STDIO_INHERIT };
	if (pico_create(&options, &guest, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	result = pico_start(guest);
	if (result == 0)
		result = pico_wait(guest, -1, &end);
	if (result < 0)
		fprintf(stderr, "%s\n", pico_get_error(guest)->message);
	else
		printf("status %d, %zu bytes:\n%.*s", end.code, output.size, (int)output.size, output.bytes);
	pico_destroy(guest);
	return result < 0;
}
