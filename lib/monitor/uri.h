/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream URIs as the guest writes them: split into scheme and rest, and
 * checked. Knows nothing of mounts, handles or what a scheme does.
 */
#ifndef PICO_URI_H
#define PICO_URI_H

#include <stdbool.h>
#include <stdint.h>

enum pico__scheme {
	PICO__SCHEME_FILE,
	PICO__SCHEME_DIR,
	PICO__SCHEME_PIPE,
	PICO__SCHEME_UNIX,
	PICO__SCHEME_TCP,
	PICO__SCHEME_UDP,
	PICO__SCHEME_CONSOLE,
	PICO__SCHEME_IMAGE,
	PICO__SCHEME_MEMORY,
	PICO__SCHEME_APP,
	PICO__SCHEME_COUNT
};

/* Points into the text it was parsed from; `rest` is what follows the colon.
 * Both are zero-terminated and contain no other zero. */
struct pico__uri {
	enum pico__scheme scheme;
	char *text;
	char *rest;
	uint32_t size, rest_size;
};

/* text has room for PICO_URI_MAX + 1 bytes; claimed is what the guest's
 * register says, size what was copied. 0, -PICO_EINVAL, -PICO_ENAMETOOLONG. */
int pico__uri_parse(struct pico__uri *uri, char *text, uint64_t claimed, uint32_t size);

/* Zero-terminates text after size bytes once both sizes and the bytes are
 * found good; for the two pseudo schemes of StreamRename. */
int pico__text_check(char *text, uint64_t claimed, uint32_t size);

/* "/" or "/a/b": absolute, no empty component, no `.`, no `..`. */
bool pico__path_valid(const char *path);

/* 0, or -PICO_EINVAL: decimal digits only, no sign, no leading zero. */
int pico__decimal_parse(const char *text, uint64_t *value);

#endif
