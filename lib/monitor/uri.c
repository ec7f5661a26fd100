/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing and checking of stream URIs. Every byte here was written by the
 * guest; nothing but the bytes themselves is looked at.
 */
#include <string.h>

#include <pico/abi.h>
#include "uri.h"

#define SCHEME(name) { name, sizeof(name) - 1 }
static const struct { const char *prefix; uint32_t size; } schemes[PICO__SCHEME_COUNT] = {
	[PICO__SCHEME_FILE] = SCHEME("file:"),
	[PICO__SCHEME_DIR] = SCHEME("dir:"),
	[PICO__SCHEME_PIPE] = SCHEME("pipe:"),
	[PICO__SCHEME_UNIX] = SCHEME("unix:"),
	[PICO__SCHEME_TCP] = SCHEME("tcp:"),
	[PICO__SCHEME_UDP] = SCHEME("udp:"),
	[PICO__SCHEME_CONSOLE] = SCHEME("console:"),
	[PICO__SCHEME_IMAGE] = SCHEME("image:"),
	[PICO__SCHEME_MEMORY] = SCHEME("memory:"),
	[PICO__SCHEME_APP] = SCHEME("app:"),
};

int pico__text_check(char *text, uint64_t claimed, uint32_t size)
{
	if (claimed > PICO_URI_MAX || size > PICO_URI_MAX)
		return -PICO_ENAMETOOLONG;
	if (claimed != size || !size || memchr(text, 0, size))
		return -PICO_EINVAL;
	text[size] = 0;
	return 0;
}

static bool component_valid(const char *name, size_t size)
{
	if (!size)
		return false;
	return !(name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')));
}

bool pico__path_valid(const char *path)
{
	if (path[0] != '/')
		return false;
	if (!path[1])
		return true;
	for (const char *at = path; *at == '/';) {
		size_t size = strcspn(++at, "/");

		if (!component_valid(at, size))
			return false;
		at += size;
	}
	return true;
}

int pico__uri_parse(struct pico__uri *uri, char *text, uint64_t claimed, uint32_t size)
{
	int error = pico__text_check(text, claimed, size);

	if (error)
		return error;
	for (unsigned i = 0; i < PICO__SCHEME_COUNT; i++) {
		uint32_t prefix = schemes[i].size;

		if (size < prefix || memcmp(text, schemes[i].prefix, prefix))
			continue;
		*uri = (struct pico__uri){ .scheme = (enum pico__scheme)i, .text = text, .rest = text + prefix,
			.size = size, .rest_size = size - prefix };
		if ((i == PICO__SCHEME_FILE || i == PICO__SCHEME_DIR) && !pico__path_valid(uri->rest))
			return -PICO_EINVAL;
		return 0;
	}
	return -PICO_EINVAL;
}

int pico__decimal_parse(const char *text, uint64_t *value)
{
	uint64_t v = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -PICO_EINVAL;
	for (; *text; text++) {
		unsigned digit = (unsigned)*text - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
			return -PICO_EINVAL;
	}
	*value = v;
	return 0;
}
