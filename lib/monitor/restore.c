/* SPDX-License-Identifier: Apache-2.0
 *
 * An instance from the file of a snapshot: what it was, its shared memory, its
 * streams at the numbers they had. Everything is opened by the policy of now; a
 * snapshot grants nothing. Private memory is the library OS's affair.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "snapshot.h"

#define PIECE (1ull << 20)
#define REFUSE(error, code, ...) pico__error_set((error), (code), 0, "restore", __VA_ARGS__)

static int damaged(struct pico_error *error)
{
	return REFUSE(error, PICO_EIO, "the snapshot's manifest is damaged");
}

/* ---- is it for us? ---- */

int pico__restore_check(const struct pico__restore *r, const char *libos, struct pico_error *error)
{
	const struct pico__snapshot_header *h = &r->file.header;
	uint64_t words[PICO__CPU_WORDS], mask, bytes, size;
	struct pico_libos_header image;
	PICO__CLOSE int fd = -1;
	char lacks[128];
	uint32_t crc;
	int rc;

	if (pico__processor_lacks(h->cpu, lacks, sizeof(lacks)))
		return REFUSE(error, PICO_EKERNEL, "this processor lacks what the snapshot's programs found: %s", lacks);
	pico__processor(words, &mask, &bytes);
	if ((h->xstate_mask & ~mask) || h->xstate_size > bytes)
		return REFUSE(error, PICO_EKERNEL, "this processor's extended state (0x%llx) lacks some of the snapshot's (0x%llx)",
			      (unsigned long long)mask, (unsigned long long)h->xstate_mask);
	fd = pico__libos_open(libos, &image, error);
	if (fd < 0)
		return fd;
	rc = pico__libos_sum(fd, &size, &crc);
	if (rc < 0)
		return REFUSE(error, -rc, "library OS: %s", pico_strerror(rc));
	if (memcmp(image.name, h->libos_name, sizeof(image.name)) || memcmp(image.build_id, h->libos_build_id, sizeof(image.build_id)))
		return REFUSE(error, PICO_ELIBOS, "the snapshot is of library OS %.31s %.31s, %.60s is %.31s %.31s", h->libos_name, h->libos_build_id,
			      libos, image.name, image.build_id);
	if (size != h->libos_size || crc != h->libos_crc)
		return REFUSE(error, PICO_ELIBOS, "the snapshot is of another build of library OS %.31s %.31s than %.60s",
			      h->libos_name, h->libos_build_id, libos);
	return 0;
}

/* ---- what it was ---- */

struct walk { struct pico_options *o; size_t args, vars; bool segment; };

static bool is_text(const uint8_t *data, uint32_t size)
{
	return size && !data[size - 1] && strlen((const char *)data) + 1 == size;
}

static int add_text(const char ***list, size_t *count, const char *text)
{
	const char **more = realloc(*list, (*count + 2) * sizeof(*more));

	if (!more)
		return -PICO_ENOMEM;
	*list = more;
	more[(*count)++] = text;
	more[*count] = NULL;
	return 0;
}

/* Not given: as it was. */
static void take_limits(const struct pico_limits *was, struct pico_limits *now)
{
	if (!now->memory)
		now->memory = was->memory;
	if (!now->cpu_seconds)
		now->cpu_seconds = was->cpu_seconds;
	if (!now->processes)
		now->processes = was->processes;
	if (!now->threads)
		now->threads = was->threads;
	if (!now->streams)
		now->streams = was->streams;
}

static int take_text(struct pico__restore *r, struct walk *w, uint32_t tag, const char *text)
{
	switch (tag) {
	case PICO__RECORD_PROGRAM:
		w->o->program = text;
		return 0;
	case PICO__RECORD_ARG:
		return add_text(&r->argv, &w->args, text);
	case PICO__RECORD_ENV:
		return add_text(&r->envp, &w->vars, text);
	case PICO__RECORD_CWD:
		w->o->cwd = text;
		return 0;
	case PICO__RECORD_HOSTNAME:
		w->o->hostname = text;
		return 0;
	default: /* HOST, LOST: for people */
		return 0;
	}
}

static int take_numbers(struct pico__restore *r, struct walk *w, const struct pico__record *record, const uint8_t *data)
{
	struct pico__memory_record memory;
	struct pico_limits limits;
	uint32_t ids[4];

	if (record->tag == PICO__RECORD_IDS && record->size == sizeof(ids)) {
		memcpy(ids, data, sizeof(ids));
		w->o->uid = ids[0];
		w->o->gid = ids[1];
		w->o->umask = ids[2];
	} else if (record->tag == PICO__RECORD_LIMITS && record->size == sizeof(limits)) {
		memcpy(&limits, data, sizeof(limits));
		take_limits(&limits, &w->o->limits);
	} else if (record->tag == PICO__RECORD_CLOCKS && record->size == sizeof(r->clocks)) {
		memcpy(r->clocks, data, sizeof(r->clocks));
	} else if (record->tag == PICO__RECORD_MEMORY && record->size >= sizeof(memory)) {
		memcpy(&memory, data, sizeof(memory));
		if (!w->segment)
			r->segment_size = memory.size;
		w->segment = true;
	} else {
		return record->tag == PICO__RECORD_MOUNT || record->tag == PICO__RECORD_STREAM ? 0 : -PICO_EIO;
	}
	return 0;
}

static bool says_text(uint32_t tag)
{
	return tag <= PICO__RECORD_HOSTNAME || tag == PICO__RECORD_HOST || tag == PICO__RECORD_LOST;
}

int pico__restore_options(struct pico__restore *r, struct pico_options *o, struct pico_error *error)
{
	const size_t size = r->file.header.manifest_size;
	struct walk w = { .o = o };
	struct pico__record record;
	const uint8_t *data;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && pico__record_next(r->file.manifest, size, &at, &record, &data))
		if (!says_text(record.tag))
			rc = take_numbers(r, &w, &record, data);
		else
			rc = is_text(data, record.size) ? take_text(r, &w, record.tag, (const char *)data) : -PICO_EIO;
	if (rc == -PICO_ENOMEM)
		return REFUSE(error, PICO_ENOMEM, "out of memory");
	if (rc < 0 || at != size || !w.segment || !o->program || !r->argv)
		return damaged(error);
	o->argv = r->argv;
	o->envp = r->envp;
	if (!r->segment_size || r->segment_size % PICO_PAGE_SIZE || r->segment_size > PICO__SEGMENT_SIZE)
		return damaged(error);
	return 0;
}

void pico__restore_fini(struct pico__restore *r)
{
	free(r->argv);
	free(r->envp);
	free(r->memories);
	pico__snapshot_file_fini(&r->file);
	*r = (struct pico__restore){ .file.fd = -1 };
}

/* ---- memory ---- */

static int fill_run(const struct pico__restore *r, int fd, const struct pico__snapshot_run *run, uint8_t *buffer)
{
	uint64_t left = run->pages * PICO_PAGE_SIZE, from = run->place, to = run->offset;
	int rc = 0;

	while (left && rc == 0) {
		const uint64_t size = left < PIECE ? left : PIECE;

		rc = pico__read_at(r->file.fd, buffer, size, from);
		if (rc == 0)
			rc = pico__write_at(fd, buffer, size, to);
		left -= size;
		from += size;
		to += size;
	}
	return rc;
}

int pico__restore_fill(const struct pico__restore *r, int fd, const struct pico__memory_record *m, struct pico_error *error)
{
	const struct pico__snapshot_header *h = &r->file.header;
	PICO__FREE uint8_t *buffer = malloc(PIECE);
	int rc = buffer ? 0 : -PICO_ENOMEM;

	if (m->first_run > h->index_count || m->runs > h->index_count - m->first_run || m->size > PICO__SNAPSHOT_MAX)
		return damaged(error);
	for (uint64_t i = 0; i < m->runs && rc == 0; i++) {
		const struct pico__snapshot_run *run = &r->file.index[m->first_run + i];

		if (run->offset + run->pages * PICO_PAGE_SIZE > pico__page_up(m->size))
			return damaged(error);
		rc = fill_run(r, fd, run, buffer);
	}
	return rc < 0 ? REFUSE(error, -rc, "memory cannot be filled: %s", pico_strerror(rc)) : 0;
}

/* A clock that goes on from where it stood, or has also run meanwhile. */
static int64_t offset_of(const struct pico__restore *r)
{
	struct timespec real;
	int64_t guest = r->clocks[0], pause;

	clock_gettime(CLOCK_REALTIME, &real);
	pause = (int64_t)real.tv_sec * (int64_t)PICO__NS + real.tv_nsec - r->clocks[1];
	if (r->add_pause && pause > 0)
		guest += pause;
	return guest - (int64_t)pico__now();
}

int pico__restore_memory(struct pico *p, const struct pico__restore *r, struct pico_error *error)
{
	struct pico_host_info *host = &pico__mailbox_header(p)->host;
	struct pico__memory_record m;
	const char *name;
	size_t at = 0;

	if (!pico__record_find(&r->file, PICO__RECORD_MEMORY, &at, &m, sizeof(m), &name))
		return damaged(error);
	p->clock_offset = offset_of(r);
	host->clock_offset = p->clock_offset;
	host->snapshot_base = r->file.header.guest_at;
	return pico__restore_fill(r, p->segment_fd, &m, error);
}
