/* SPDX-License-Identifier: Apache-2.0
 *
 * The streams of a snapshot again, in an instance that is being made: their
 * memory, their handles, and the snapshot's own file, from which the library OS
 * maps its part. Knows nothing of how a stream is opened.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "policy.h"
#include "stream_internal.h"

#define PIECE (1ull << 20)
#define REFUSE(error, code, ...) pico__error_set((error), (code), 0, "restore", __VA_ARGS__)

static int damaged(struct pico_error *error)
{
	return REFUSE(error, PICO_EIO, "the snapshot's manifest is damaged");
}

__attribute__((format(printf, 2, 3)))
static void report(const struct pico__restore *r, const char *format, ...)
{
	va_list arguments;
	char *line;

	if (!r->report)
		return;
	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) >= 0) {
		r->report(r->user, line);
		free(line);
	}
	va_end(arguments);
}

/* ---- memory: streams ---- */

static int make_memory(struct pico *p, struct pico__restore *r, const struct pico__memory_record *m, const char *name, struct pico_error *error)
{
	struct pico__memory **more;
	int fd, rc;

	if (m->id != r->memory_count + 1 || (m->named && !name))
		return damaged(error);
	more = realloc(r->memories, m->id * sizeof(*more));
	if (!more)
		return REFUSE(error, PICO_ENOMEM, "out of memory");
	r->memories = more;
	rc = pico__memory_make(p->streams, m->named ? name : NULL, &more[r->memory_count], &fd);
	if (rc == 0) {
		r->memory_count++;
		rc = pico__length_apply(fd, m->size, PICO_LENGTH_SET, 0);
	}
	return rc < 0 ? REFUSE(error, -rc, "shared memory: %s", pico_strerror(rc)) : pico__restore_fill(r, fd, m, error);
}

static int make_memories(struct pico *p, struct pico__restore *r, struct pico_error *error)
{
	struct pico__memory_record m;
	const char *name;
	size_t at = 0;
	int rc = 0;

	for (bool segment = true; rc == 0 && pico__record_find(&r->file, PICO__RECORD_MEMORY, &at, &m, sizeof(m), &name); segment = false)
		if (!segment)
			rc = make_memory(p, r, &m, name, error);
	return rc;
}

static void drop_memories(struct pico *p, struct pico__restore *r)
{
	for (uint32_t i = 0; i < r->memory_count; i++)
		pico__memory_forget(r->memories[i], p->streams);
	r->memory_count = 0;
}

/* ---- handles ---- */

static void set_references(struct pico *p, pico_handle handle, uint32_t references)
{
	uint32_t *all = (uint32_t *)(uintptr_t)(p->mailbox + PICO_MAILBOX_REFS);

	if (PICO_HANDLE_TYPE(handle) == PICO_HT_STREAM)
		__atomic_store_n(&all[PICO_HANDLE_PAYLOAD(handle)], references ? references : 1, __ATOMIC_RELAXED);
}

/* Numbers beyond are not to be had in a picoprocess. */
static bool has_room(const struct pico *p, pico_handle handle)
{
	const struct pico_limits *l = &p->config.limits;

	return PICO_HANDLE_TYPE(handle) != PICO_HT_STREAM ||
		PICO_HANDLE_PAYLOAD(handle) < PICO_FIRST_FD + 16ull + l->streams + l->processes + l->threads;
}

static bool names_file(const struct pico__stream_record *s)
{
	return (s->kind == PICO__KIND_FILE || s->kind == PICO__KIND_DIRECTORY) && !(s->flags & PICO__STREAM_UNLINKED);
}

static int make_stream(struct pico *p, struct pico__restore *r, const struct pico__stream_record *s, const char *uri, struct pico_error *error)
{
	enum pico__again_result result = PICO__AGAIN_NONE;
	struct pico__memory *memory = s->memory && s->memory <= r->memory_count ? r->memories[s->memory - 1] : NULL;
	int rc;

	if (!has_room(p, s->handle))
		return REFUSE(error, PICO_EMFILE, "limits.streams is less than the snapshot needs");
	rc = pico__streams_again(p->streams, s, uri, memory, &result);
	if (result == PICO__AGAIN_NONE)
		return REFUSE(error, rc < 0 ? -rc : PICO_EIO, "%.150s: %s", uri, pico_strerror(rc));
	set_references(p, s->handle, s->references);
	if (result == PICO__AGAIN_SAME)
		return 0;
	if (names_file(s) && !r->changed_ok)
		return result == PICO__AGAIN_CHANGED ? REFUSE(error, PICO_ESTALE, "%.200s has changed since the snapshot", uri)
						     : REFUSE(error, -rc, "%.200s: %s", uri, pico_strerror(rc));
	if (result == PICO__AGAIN_CHANGED)
		report(r, "%s: has changed since the snapshot", uri);
	else
		report(r, "%s: %s", uri, s->flags & PICO__STREAM_UNLINKED ? "had no name any more" : pico_strerror(rc));
	return 0;
}

static int make_streams(struct pico *p, struct pico__restore *r, struct pico_error *error)
{
	struct pico__stream_record s;
	const char *uri;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && pico__record_find(&r->file, PICO__RECORD_STREAM, &at, &s, sizeof(s), &uri))
		rc = uri ? make_stream(p, r, &s, uri, error) : damaged(error);
	return rc;
}

static void report_mounts(const struct pico *p, const struct pico__restore *r)
{
	const char *guest;
	uint32_t head[2];
	size_t at = 0, i;

	while (pico__record_find(&r->file, PICO__RECORD_MOUNT, &at, head, sizeof(head), &guest)) {
		for (i = 0; guest && i < p->config.mount_count && strcmp(p->config.mounts[i].guest, guest); i++)
			;
		if (guest && i == p->config.mount_count)
			report(r, "mount %s: not there", guest);
	}
}

/* ---- the file itself ---- */

/* Where the file system lets nothing be executed that lies there. */
static int copy_of(int fd, struct pico_error *error)
{
	PICO__CLOSE int copy = memfd_create("pico-snapshot", MFD_CLOEXEC);
	PICO__FREE uint8_t *buffer = malloc(PIECE);
	uint64_t at = 0;
	ssize_t n = 1;
	int rc = copy < 0 ? pico__error(errno) : buffer ? 0 : -PICO_ENOMEM;

	for (; rc == 0 && n > 0; at += (uint64_t)n) {
		n = pread(fd, buffer, PIECE, (off_t)at);
		rc = n < 0 ? pico__error(errno) : pico__write_at(copy, buffer, (size_t)n, at);
	}
	return rc < 0 ? REFUSE(error, -rc, "copy of the snapshot: %s", pico_strerror(rc)) : pico__steal_fd(&copy);
}

/* Only for reading, whatever the caller has it for. */
static int make_own(struct pico *p, const struct pico__restore *r, struct pico_error *error)
{
	PICO__CLOSE int copy = -1, mine = -1;
	struct statvfs fs;

	if (fstatvfs(r->file.fd, &fs) == 0 && (fs.f_flag & ST_NOEXEC)) {
		copy = copy_of(r->file.fd, error);
		if (copy < 0)
			return copy;
	}
	mine = pico__reopen(copy >= 0 ? copy : r->file.fd, O_RDONLY);
	if (mine < 0)
		return REFUSE(error, -mine, "the snapshot: %s", pico_strerror(mine));
	p->resume = pico__streams_snapshot(p->streams, mine, PICO_ACCESS_READ | PICO_ACCESS_EXECUTE, true);
	if (p->resume < 0)
		return REFUSE(error, (int)-p->resume, "the snapshot: %s", pico_strerror((int)p->resume));
	set_references(p, p->resume, 1);
	return 0;
}

int pico__restore_streams(struct pico *p, struct pico__restore *r, struct pico_error *error)
{
	int rc = make_memories(p, r, error);

	if (rc == 0)
		rc = make_streams(p, r, error);
	drop_memories(p, r);
	if (rc == 0)
		rc = make_own(p, r, error);
	if (rc == 0)
		report_mounts(p, r);
	return rc;
}
