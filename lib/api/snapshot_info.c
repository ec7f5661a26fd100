/* SPDX-License-Identifier: Apache-2.0
 *
 * pico_snapshot_info: what a file says of itself, for people and for tools.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../monitor/cleanup.h"
#include "../monitor/host_errno.h"
#include "../monitor/snapshot.h"
#include "api.h"

#define FIRST_SIZE sizeof(struct pico_snapshot_info)

static const char *const words[] = {
	[PICO__RECORD_PROGRAM] = "program", [PICO__RECORD_ARG] = "arg", [PICO__RECORD_CWD] = "cwd",
	[PICO__RECORD_HOSTNAME] = "hostname", [PICO__RECORD_MOUNT] = "mount", [PICO__RECORD_STREAM] = "stream",
	[PICO__RECORD_LOST] = "lost", [PICO__RECORD_HOST] = "host",
};
static const size_t fixed[PICO__RECORD_LOST + 1] = {
	[PICO__RECORD_MOUNT] = 8, [PICO__RECORD_STREAM] = sizeof(struct pico__stream_record),
};

/* Control characters of the guest's names are none of a terminal's. */
static void add_line(struct pico_snapshot_info *i, size_t *at, const char *word, const char *text)
{
	size_t left = sizeof(i->text) - *at;
	int n = snprintf(i->text + *at, left, "%s %s", word, text);

	if (n < 0 || (size_t)n + 2 > left) {
		i->text[*at] = 0;
		return;
	}
	for (char *c = i->text + *at; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = '?';
	*at += (size_t)n;
	i->text[(*at)++] = '\n';
	i->text[*at] = 0;
}

static void read_manifest(const struct pico__snapshot_file *f, struct pico_snapshot_info *i)
{
	struct pico__record record;
	size_t at = 0, end = 0;
	const uint8_t *data;
	int64_t clocks[2];

	while (pico__record_next(f->manifest, f->header.manifest_size, &at, &record, &data)) {
		const char *word = record.tag < sizeof(words) / sizeof(words[0]) ? words[record.tag] : NULL;
		const size_t skip = record.tag <= PICO__RECORD_LOST ? fixed[record.tag] : 0;

		i->streams += record.tag == PICO__RECORD_STREAM;
		i->mounts += record.tag == PICO__RECORD_MOUNT;
		if (record.tag == PICO__RECORD_CLOCKS && record.size == sizeof(clocks)) {
			memcpy(clocks, data, sizeof(clocks));
			i->taken_ns = clocks[1];
		}
		if (!word || record.size <= skip || data[record.size - 1])
			continue;
		if (record.tag == PICO__RECORD_HOST)
			snprintf(i->host, sizeof(i->host), "%.63s", (const char *)data);
		else
			add_line(i, &end, word, (const char *)data + skip);
	}
}

static void fill(const struct pico__snapshot_file *f, struct pico_snapshot_info *i)
{
	const struct pico__snapshot_header *h = &f->header;
	size_t at = 0;

	i->version = h->version;
	i->keyed = h->digest_kind == PICO__DIGEST_HMAC;
	i->file_size = h->file_size;
	for (uint64_t n = 0; n < h->index_count; n++)
		i->shared_bytes += f->index[n].pages * PICO_PAGE_SIZE;
	i->private_bytes = h->guest_size;
	snprintf(i->libos, sizeof(i->libos), "%.31s %.31s", h->libos_name, h->libos_build_id);
	for (int n = 0; n < 16; n++)
		at += (size_t)snprintf(i->id + at, sizeof(i->id) - at, "%s%02x", n == 4 || n == 6 || n == 8 || n == 10 ? "-" : "", h->id[n]);
	read_manifest(f, i);
}

int pico_snapshot_info(const char *path, const void *key, size_t key_size, struct pico_snapshot_info *out, struct pico_error *error)
{
	__attribute__((cleanup(pico__snapshot_file_fini))) struct pico__snapshot_file f = { .fd = -1 };
	struct pico_snapshot_info i;
	PICO__CLOSE int fd = -1;
	size_t size;
	int rc;

	if (!path || !out)
		return pico__error_set(error, PICO_EINVAL, 0, "pico_snapshot_info", "%s is NULL", path ? "out" : "path");
	size = out->size;
	if (size < FIRST_SIZE || size > FIRST_SIZE + (1u << 16))
		return pico__error_set(error, PICO_EVERSION, 0, "pico_snapshot_info", "size is %zu", size);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return pico__error_set(error, -pico__error(errno), errno, "snapshot", "%.200s: %s", path, strerrordesc_np(errno));
	rc = pico__snapshot_read(&f, fd, key, key_size, true, error);
	if (rc < 0)
		return rc;
	memset(&i, 0, sizeof(i));
	fill(&f, &i);
	i.size = size;
	memset(out, 0, size);
	memcpy(out, &i, size < sizeof(i) ? size : sizeof(i));
	return 0;
}
