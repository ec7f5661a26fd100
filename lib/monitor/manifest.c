/* SPDX-License-Identifier: Apache-2.0
 *
 * The manifest of a snapshot as bytes: records of tag, size and data. Knows
 * nothing of what they say.
 */
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

void pico__bytes_fini(struct pico__bytes *b)
{
	free(b->at);
	memset(b, 0, sizeof(*b));
}

static uint8_t *grow(struct pico__bytes *b, size_t size)
{
	uint8_t *at;
	size_t room;

	if (b->failed || size > PICO__MANIFEST_MAX || b->size + size > PICO__MANIFEST_MAX) {
		b->failed = true;
		return NULL;
	}
	if (b->size + size > b->room) {
		room = (b->size + size) * 2;
		at = realloc(b->at, room);
		if (!at) {
			b->failed = true;
			return NULL;
		}
		b->at = at;
		b->room = room;
	}
	b->size += size;
	return b->at + b->size - size;
}

void pico__bytes_add(struct pico__bytes *b, const void *data, size_t size)
{
	uint8_t *at = grow(b, size);

	if (at && size)
		memcpy(at, data, size);
}

void pico__record_add(struct pico__bytes *b, uint32_t tag, const void *first, size_t first_size, const void *second, size_t second_size)
{
	static const uint8_t zeros[8];
	const struct pico__record head = { tag, (uint32_t)(first_size + second_size) };

	pico__bytes_add(b, &head, sizeof(head));
	pico__bytes_add(b, first, first_size);
	pico__bytes_add(b, second, second_size);
	pico__bytes_add(b, zeros, -(size_t)head.size & 7);
}

void pico__record_text(struct pico__bytes *b, uint32_t tag, const char *text)
{
	pico__record_add(b, tag, text, strlen(text) + 1, NULL, 0);
}

bool pico__record_next(const uint8_t *manifest, size_t size, size_t *at, struct pico__record *record, const uint8_t **data)
{
	if (size - *at < sizeof(*record))
		return false;
	memcpy(record, manifest + *at, sizeof(*record));
	if (record->size > size - *at - sizeof(*record))
		return false;
	*data = manifest + *at + sizeof(*record);
	*at += sizeof(*record) + (((size_t)record->size + 7) & ~(size_t)7);
	if (*at > size)
		*at = size;
	return true;
}

static bool is_text(const uint8_t *data, size_t size)
{
	return size && !data[size - 1] && strlen((const char *)data) + 1 == size;
}

bool pico__record_find(const struct pico__snapshot_file *f, uint32_t tag, size_t *at, void *fixed, size_t fixed_size, const char **text)
{
	struct pico__record record;
	const uint8_t *data;

	while (pico__record_next(f->manifest, f->header.manifest_size, at, &record, &data)) {
		if (record.tag != tag || record.size < fixed_size)
			continue;
		memcpy(fixed, data, fixed_size);
		*text = is_text(data + fixed_size, record.size - fixed_size) ? (const char *)data + fixed_size : NULL;
		return true;
	}
	return false;
}
