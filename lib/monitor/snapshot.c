/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking a snapshot: park, write what the host has of the instance, let the
 * library OS write the rest, and give the file its header and its name last, so
 * that whatever fails leaves the old file as it was. Format: docs/snapshot.md.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "policy.h"
#include "snapshot.h"

#define PIECE (1ull << 20) /* of memory, copied at a time */
#define PARK_FOR_MS 60000 /* where the caller sets no time */

/* One that is being taken. */
struct taking {
	struct pico *p;
	const struct pico__snapshot_order *order;
	struct pico_error *error;
	int file; /* read and write */
	char *temporary; /* its name, or NULL: it has none */
	uint8_t *buffer; /* PIECE bytes */
	uint64_t at; /* where in the file to go on */
	uint64_t total; /* an estimate */
	struct pico__bytes manifest, index, chunks;
	uint32_t memories;
	struct pico__snapshot_header header;
};

static int fail(struct taking *t, int rc, const char *what)
{
	const int host = errno;

	if (rc < 0)
		pico__error_set(t->error, -rc, 0, "snapshot", "%s: %s", what, pico_strerror(rc));
	else
		pico__error_set(t->error, -pico__error(host), host, "snapshot", "%s: %s", what, strerrordesc_np(host));
	return rc < 0 ? rc : pico__error(host);
}

static int progress(void *user)
{
	struct taking *t = user;
	struct stat st;
	uint64_t done = t->at;

	if (!t->order->progress)
		return 0;
	if (!fstat(t->file, &st) && (uint64_t)st.st_size > done)
		done = (uint64_t)st.st_size;
	return t->order->progress(t->order->user, done, t->total > done ? t->total : done);
}

/* ---- memory that is the host's ---- */

static bool is_zero(const uint8_t *page)
{
	const uint64_t *w = (const uint64_t *)(const void *)page;

	for (size_t i = 0; i < PICO_PAGE_SIZE / 8; i += 8)
		if (w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] | w[i + 7])
			return false;
	return true;
}

static int put_run(struct taking *t, uint64_t offset, const uint8_t *data, uint64_t size)
{
	struct pico__snapshot_run run = { offset, size / PICO_PAGE_SIZE, t->at }, *last;
	int rc = pico__write_at(t->file, data, size, t->at);

	if (rc < 0)
		return fail(t, rc, "memory cannot be written");
	t->at += size;
	last = t->index.size ? (void *)(t->index.at + t->index.size - sizeof(run)) : NULL;
	if (last && offset && last->offset + last->pages * PICO_PAGE_SIZE == offset && last->place + last->pages * PICO_PAGE_SIZE == run.place &&
	    t->index.size / sizeof(run) > t->header.index_count)
		last->pages += run.pages;
	else
		pico__bytes_add(&t->index, &run, sizeof(run));
	return 0;
}

/* Whole pages; the last one of a file may have been filled up with zeros. */
static int put_piece(struct taking *t, uint64_t offset, uint64_t size)
{
	uint64_t begin = 0, at = 0;
	int rc = 0;

	for (; at < size && rc == 0; at += PICO_PAGE_SIZE) {
		if (!is_zero(t->buffer + at))
			continue;
		if (at > begin)
			rc = put_run(t, offset + begin, t->buffer + begin, at - begin);
		begin = at + PICO_PAGE_SIZE;
	}
	return rc == 0 && size > begin ? put_run(t, offset + begin, t->buffer + begin, size - begin) : rc;
}

static int put_data(struct taking *t, int fd, uint64_t from, uint64_t to)
{
	int rc = 0;

	for (uint64_t at = from; at < to && rc == 0; at += PIECE) {
		const uint64_t size = to - at < PIECE ? to - at : PIECE;

		memset(t->buffer + size, 0, pico__page_up(size) - size);
		rc = pico__read_at(fd, t->buffer, size, at);
		rc = rc < 0 ? fail(t, rc, "memory cannot be read") : put_piece(t, at, pico__page_up(size));
	}
	return rc;
}

/* A memory file: its used parts. */
static int put_memory(struct taking *t, int fd, uint64_t *size)
{
	struct stat st;
	off_t from = 0, to;
	int rc = 0;

	if (fstat(fd, &st))
		return fail(t, 0, "memory");
	*size = (uint64_t)st.st_size;
	while (rc == 0 && from < st.st_size && (from = lseek(fd, from, SEEK_DATA)) >= 0) {
		from &= ~(off_t)(PICO_PAGE_SIZE - 1);
		to = lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			return fail(t, 0, "memory");
		rc = put_data(t, fd, (uint64_t)from, (uint64_t)to);
		from = to;
	}
	return rc;
}

static int save_memory(void *user, uint32_t id, int fd, const char *name)
{
	struct taking *t = user;
	struct pico__memory_record r = { .id = id, .named = name != NULL };
	int rc;

	t->header.index_count = r.first_run = t->index.size / sizeof(struct pico__snapshot_run);
	rc = put_memory(t, fd, &r.size);
	r.runs = t->index.size / sizeof(struct pico__snapshot_run) - r.first_run;
	pico__record_add(&t->manifest, PICO__RECORD_MEMORY, &r, sizeof(r), name, name ? strlen(name) + 1 : 0);
	return rc;
}

/* ---- streams ---- */

static const char *why_lost(const struct pico__stream_record *r)
{
	if (r->flags & PICO__STREAM_UNLINKED)
		return "the file has no name any more";
	if (r->kind == PICO__KIND_OTHER)
		return "a connection of the host";
	return r->kind == PICO__KIND_DEAD ? "lost before" : NULL;
}

static int save_stream(void *user, const struct pico__stream_record *r, const char *uri)
{
	struct taking *t = user;
	const char *why = why_lost(r);
	PICO__FREE char *line = NULL;

	pico__record_add(&t->manifest, PICO__RECORD_STREAM, r, sizeof(*r), uri, strlen(uri) + 1);
	if (!why)
		return 0;
	if (asprintf(&line, "%s: %s", uri, why) < 0) {
		line = NULL;
		return -PICO_ENOMEM;
	}
	pico__record_text(&t->manifest, PICO__RECORD_LOST, line);
	if (t->order->report)
		t->order->report(t->order->user, line);
	return 0;
}

/* ---- the manifest ---- */

static void save_config(struct taking *t)
{
	const struct pico__config *c = &t->p->config;
	const uint32_t ids[4] = { c->uid, c->gid, c->umask, 0 };
	struct pico__bytes *m = &t->manifest;

	pico__record_text(m, PICO__RECORD_PROGRAM, c->program);
	for (char **at = c->argv; *at; at++)
		pico__record_text(m, PICO__RECORD_ARG, *at);
	for (char **at = c->envp; *at; at++)
		pico__record_text(m, PICO__RECORD_ENV, *at);
	pico__record_text(m, PICO__RECORD_CWD, c->cwd);
	pico__record_text(m, PICO__RECORD_HOSTNAME, c->hostname);
	pico__record_add(m, PICO__RECORD_IDS, ids, sizeof(ids), NULL, 0);
	pico__record_add(m, PICO__RECORD_LIMITS, &c->limits, sizeof(c->limits), NULL, 0);
	for (size_t i = 0; i < c->mount_count; i++) {
		const uint32_t head[2] = { c->mounts[i].read_only, 0 };

		pico__record_add(m, PICO__RECORD_MOUNT, head, sizeof(head), c->mounts[i].guest, strlen(c->mounts[i].guest) + 1);
	}
}

static void save_host(struct taking *t)
{
	PICO__FREE char *text = NULL;
	struct timespec real;
	struct utsname name;
	int64_t clocks[2];

	clock_gettime(CLOCK_REALTIME, &real);
	clocks[0] = (int64_t)pico__now() + t->p->clock_offset;
	clocks[1] = (int64_t)real.tv_sec * (int64_t)PICO__NS + real.tv_nsec;
	pico__record_add(&t->manifest, PICO__RECORD_CLOCKS, clocks, sizeof(clocks), NULL, 0);
	if (uname(&name) || asprintf(&text, "pico %d.%d.%d, Linux %s", PICO_VERSION_MAJOR, PICO_VERSION_MINOR, PICO_VERSION_PATCH, name.release) < 0)
		text = NULL;
	if (text)
		pico__record_text(&t->manifest, PICO__RECORD_HOST, text);
}

/* All of the host's, while the guest stands still. */
static int save_all(struct taking *t)
{
	const uint32_t *references = (const uint32_t *)(uintptr_t)(t->p->mailbox + PICO_MAILBOX_REFS);
	int rc;

	t->at = PICO_PAGE_SIZE;
	save_host(t);
	save_config(t);
	rc = save_memory(t, 0, t->p->segment_fd, NULL);
	if (rc == 0)
		rc = pico__streams_save(t->p->streams, references, save_stream, save_memory, t);
	if (rc < 0)
		return t->error && t->error->code ? rc : fail(t, rc, "streams");
	if (t->manifest.failed || t->index.failed)
		return fail(t, -PICO_ENOMEM, "manifest");
	t->header.index_at = t->at;
	t->header.index_count = t->index.size / sizeof(struct pico__snapshot_run);
	rc = pico__write_at(t->file, t->index.at, t->index.size, t->at);
	t->at = pico__page_up(t->at + t->index.size);
	t->header.manifest_at = t->at;
	t->header.manifest_size = t->manifest.size;
	if (rc == 0)
		rc = pico__write_at(t->file, t->manifest.at, t->manifest.size, t->at);
	t->at = pico__page_up(t->at + t->manifest.size);
	t->header.guest_at = t->at;
	return rc < 0 ? fail(t, rc, "manifest") : 0;
}

/* ---- the end of the file ---- */

static int sum_chunks(struct taking *t, uint64_t end)
{
	for (uint64_t at = PICO_PAGE_SIZE; at < end; at += PIECE) {
		const uint64_t size = end - at < PIECE ? end - at : PIECE;
		uint8_t digest[PICO__DIGEST_SIZE];
		int rc = pico__snapshot_chunk(t->file, at, size, (enum pico__digest_kind)t->header.digest_kind, t->buffer, digest);

		if (rc < 0)
			return fail(t, rc, "digests");
		pico__bytes_add(&t->chunks, digest, sizeof(digest));
	}
	return t->chunks.failed ? fail(t, -PICO_ENOMEM, "digests") : 0;
}

static int describe(struct taking *t)
{
	struct pico__snapshot_header *h = &t->header;
	const struct pico_libos_header *libos = &t->p->libos;
	int rc;

	memcpy(h->magic, PICO__SNAPSHOT_MAGIC, sizeof(h->magic));
	h->version = PICO__SNAPSHOT_VERSION;
	h->abi_version = PICO_ABI_VERSION;
	h->machine = PICO__SNAPSHOT_MACHINE;
	memcpy(h->libos_name, libos->name, sizeof(h->libos_name));
	memcpy(h->libos_build_id, libos->build_id, sizeof(h->libos_build_id));
	pico__processor(h->cpu, &h->xstate_mask, &h->xstate_size);
	if (getrandom(h->id, sizeof(h->id), 0) != (ssize_t)sizeof(h->id))
		return fail(t, 0, "random bits");
	rc = pico__libos_sum(t->p->libos_fd, &h->libos_size, &h->libos_crc);
	return rc < 0 ? fail(t, rc, "library OS") : 0;
}

static int put_header(struct taking *t)
{
	struct pico__snapshot_header *h = &t->header;
	uint8_t page[PICO_PAGE_SIZE] = { 0 };
	struct stat st;
	uint64_t end;
	int rc;

	if (fstat(t->file, &st))
		return fail(t, 0, "file");
	end = (uint64_t)st.st_size;
	if (end < h->guest_at || end > PICO__SNAPSHOT_MAX)
		return fail(t, -PICO_EFBIG, "the library OS's part");
	h->guest_size = end - h->guest_at;
	rc = sum_chunks(t, end);
	if (rc < 0)
		return rc;
	h->chunks_at = pico__page_up(end);
	h->chunk_count = t->chunks.size / PICO__DIGEST_SIZE;
	h->file_size = h->chunks_at + t->chunks.size;
	rc = pico__write_at(t->file, t->chunks.at, t->chunks.size, h->chunks_at);
	if (rc == 0)
		rc = pico__snapshot_digest(h, t->manifest.at, (const void *)t->index.at, t->chunks.at, t->order->key, t->order->key_size, h->digest);
	memcpy(page, h, sizeof(*h));
	/* Two steps: a header is there only when all else is. */
	if (rc == 0 && t->order->path && fsync(t->file))
		return fail(t, 0, "file");
	if (rc == 0)
		rc = pico__write_at(t->file, page, sizeof(page), 0);
	if (rc == 0 && t->order->path && fsync(t->file))
		return fail(t, 0, "file");
	return rc < 0 ? fail(t, rc, "file") : 0;
}

/* ---- the file's name ---- */

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* In the directory of the name it will have; best without one of its own, so that
 * nothing is left of it when the host is killed. */
static int open_file(struct taking *t)
{
	PICO__FREE char *directory = NULL;

	if (!t->order->path) {
		t->file = fcntl(t->order->fd, F_DUPFD_CLOEXEC, 0);
		return t->file < 0 || ftruncate(t->file, 0) ? fail(t, 0, "file") : 0;
	}
	directory = directory_of(t->order->path);
	if (!directory)
		return fail(t, -PICO_ENOMEM, "file");
	t->file = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (t->file >= 0)
		return 0;
	if (asprintf(&t->temporary, "%s.XXXXXX", t->order->path) < 0) {
		t->temporary = NULL;
		return fail(t, -PICO_ENOMEM, "file");
	}
	t->file = mkostemp(t->temporary, O_CLOEXEC);
	if (t->file >= 0)
		return 0;
	free(t->temporary);
	t->temporary = NULL;
	return fail(t, 0, t->order->path);
}

static int give_temporary_name(struct taking *t)
{
	char link[40];
	uint64_t bits;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", t->file);
	for (int i = 0; i < 16; i++) {
		if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits) ||
		    asprintf(&t->temporary, "%s.%012llx", t->order->path, (unsigned long long)bits >> 16) < 0) {
			t->temporary = NULL;
			return -1;
		}
		if (linkat(AT_FDCWD, link, AT_FDCWD, t->temporary, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		free(t->temporary);
		t->temporary = NULL;
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

static int sync_directory(const char *path)
{
	PICO__FREE char *directory = directory_of(path);
	PICO__CLOSE int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 ? -1 : fsync(fd) && errno != EINVAL ? -1 : 0;
}

static int give_name(struct taking *t)
{
	if (!t->order->path)
		return 0;
	if (!t->temporary && give_temporary_name(t))
		return fail(t, 0, t->order->path);
	if (rename(t->temporary, t->order->path))
		return fail(t, 0, t->order->path);
	free(t->temporary);
	t->temporary = NULL;
	return sync_directory(t->order->path) ? fail(t, 0, t->order->path) : 0;
}

/* ---- all together ---- */

static void taking_fini(struct taking *t)
{
	if (t->temporary)
		unlink(t->temporary);
	free(t->temporary);
	pico__close(t->file);
	pico__bytes_fini(&t->manifest);
	pico__bytes_fini(&t->index);
	pico__bytes_fini(&t->chunks);
	free(t->buffer);
}

static uint64_t deadline_of(int64_t timeout_ms)
{
	const uint64_t now = pico__now();

	return timeout_ms < 0 || (uint64_t)timeout_ms >= (PICO__NEVER - now) / PICO__MS ? PICO__NEVER : now + (uint64_t)timeout_ms * PICO__MS;
}

static int prepare(struct taking *t)
{
	const struct pico__snapshot_order *o = t->order;

	if (o->key && !pico__digest_has_keys())
		return pico__error_set(t->error, PICO_ENOTSUP, 0, "snapshot", "this library was built without keys");
	t->header.digest_kind = o->key ? PICO__DIGEST_HMAC : PICO__DIGEST_CRC;
	t->buffer = malloc(PIECE + PICO_PAGE_SIZE);
	if (!t->buffer)
		return fail(t, -PICO_ENOMEM, "snapshot");
	return open_file(t);
}

/* The guest is parked; it goes on in any case, but for what holds it. */
static int take_parked(struct taking *t, struct pico__park_gift *gift)
{
	PICO__CLOSE int guest = -1;
	int rc = save_all(t);

	if (rc == 0) {
		guest = pico__reopen(t->file, O_WRONLY);
		if (guest < 0)
			rc = fail(t, guest, "file");
	}
	if (rc == 0) {
		gift->fd = guest;
		gift->base = t->header.guest_at;
		rc = pico__park_give(t->p, gift);
		if (rc < 0)
			fail(t, rc, "the library OS");
	}
	if (rc < 0) {
		pico__instance_unpark(t->p);
		return rc;
	}
	rc = pico__park_written(t->p, gift);
	return rc < 0 ? fail(t, rc, "the library OS's part") : 0;
}

static int take(struct taking *t)
{
	const struct pico__snapshot_order *o = t->order;
	struct pico__park_gift gift = { .hold = o->stop, .deadline = deadline_of(o->timeout_ms), .poll = progress, .user = t };
	int rc = prepare(t);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&t->p->lock);
	t->total = pico__limits_memory(t->p);
	pthread_mutex_unlock(&t->p->lock);
	rc = pico__instance_park(t->p, o->timeout_ms < 0 ? PARK_FOR_MS : o->timeout_ms);
	if (rc < 0)
		return pico__error_set(t->error, -rc, 0, "snapshot", "it cannot be made to stand still: %s", pico_strerror(rc));
	rc = take_parked(t, &gift);
	if (rc == 0)
		rc = describe(t);
	if (rc == 0)
		rc = put_header(t);
	if (rc == 0)
		rc = give_name(t);
	if (rc == 0 && o->stop)
		pico__instance_die(t->p, PICO_CAUSE_STOPPED, "after a snapshot");
	else
		pico__park_let_go(t->p);
	if (rc == 0 && o->progress)
		(void)o->progress(o->user, t->header.file_size, t->header.file_size);
	return rc;
}

int pico__snapshot_take(struct pico *p, const struct pico__snapshot_order *order, struct pico_error *error)
{
	__attribute__((cleanup(taking_fini))) struct taking t = { .p = p, .order = order, .error = error, .file = -1 };

	return take(&t);
}
