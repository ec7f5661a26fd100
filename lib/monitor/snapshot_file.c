/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the file of a snapshot: what it is, whether it is whole, whether this
 * host can make use of it. Believes nothing it has not checked. Knows nothing of
 * instances, nor what the library OS's part says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "snapshot.h"

#define RUNS_MAX (1ull << 24)

int pico__read_at(int fd, void *data, size_t size, uint64_t at)
{
	while (size) {
		ssize_t n = pread(fd, data, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? pico__error(errno) : -PICO_EIO;
		data = (uint8_t *)data + n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int pico__write_at(int fd, const void *data, size_t size, uint64_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, data, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? pico__error(errno) : -PICO_EIO;
		data = (const uint8_t *)data + n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* ---- digests ---- */

int pico__snapshot_chunk(int fd, uint64_t at, uint64_t size, enum pico__digest_kind kind, uint8_t *buffer, uint8_t out[PICO__DIGEST_SIZE])
{
	struct pico__digest *d;
	int rc = pico__read_at(fd, buffer, size, at);

	if (rc == 0)
		rc = pico__digest_begin(&d, kind, NULL, 0);
	if (rc < 0)
		return rc;
	pico__digest_add(d, buffer, size);
	pico__digest_end(d, out);
	return 0;
}

int pico__snapshot_digest(const struct pico__snapshot_header *h, const uint8_t *manifest, const struct pico__snapshot_run *index,
			  const uint8_t *chunks, const void *key, size_t key_size, uint8_t out[PICO__DIGEST_SIZE])
{
	struct pico__snapshot_header plain = *h;
	struct pico__digest *d;
	int rc = pico__digest_begin(&d, (enum pico__digest_kind)h->digest_kind, key, key_size);

	if (rc < 0)
		return rc;
	memset(plain.digest, 0, sizeof(plain.digest));
	pico__digest_add(d, &plain, sizeof(plain));
	pico__digest_add(d, manifest, h->manifest_size);
	pico__digest_add(d, index, h->index_count * sizeof(*index));
	pico__digest_add(d, chunks, h->chunk_count * PICO__DIGEST_SIZE);
	pico__digest_end(d, out);
	return 0;
}

/* ---- the header ---- */

#define REFUSE(error, code, ...) pico__error_set((error), (code), 0, "snapshot", __VA_ARGS__)

static bool part_is_inside(const struct pico__snapshot_header *h, uint64_t at, uint64_t size)
{
	return at >= PICO_PAGE_SIZE && !(at % PICO_PAGE_SIZE) && at <= h->file_size && size <= h->file_size - at;
}

static int check_parts(const struct pico__snapshot_header *h, struct pico_error *error)
{
	uint64_t end;

	if (h->file_size > PICO__SNAPSHOT_MAX || h->manifest_size > PICO__MANIFEST_MAX || h->index_count > RUNS_MAX ||
	    h->chunk_count > PICO__SNAPSHOT_MAX / PICO__SNAPSHOT_CHUNK ||
	    !part_is_inside(h, h->manifest_at, h->manifest_size) ||
	    !part_is_inside(h, h->index_at, h->index_count * sizeof(struct pico__snapshot_run)) ||
	    !part_is_inside(h, h->guest_at, h->guest_size) ||
	    !part_is_inside(h, h->chunks_at, h->chunk_count * PICO__DIGEST_SIZE))
		return REFUSE(error, PICO_EIO, "the snapshot's header is damaged");
	end = h->guest_at + h->guest_size;
	if (h->chunk_count != (end - PICO_PAGE_SIZE + PICO__SNAPSHOT_CHUNK - 1) / PICO__SNAPSHOT_CHUNK || h->chunks_at < end)
		return REFUSE(error, PICO_EIO, "the snapshot's header is damaged");
	return 0;
}

static int check_header(const struct pico__snapshot_header *h, uint64_t size, bool key, bool unchecked, struct pico_error *error)
{
	if (memcmp(h->magic, PICO__SNAPSHOT_MAGIC, sizeof(h->magic)))
		return REFUSE(error, PICO_ENOEXEC, "not a snapshot");
	if (h->version != PICO__SNAPSHOT_VERSION)
		return REFUSE(error, PICO_EVERSION, "the snapshot has version %u of the format, this library reads version %u",
			      h->version, PICO__SNAPSHOT_VERSION);
	if (h->machine != PICO__SNAPSHOT_MACHINE)
		return REFUSE(error, PICO_ENOEXEC, "the snapshot is of another kind of machine (%u, this is %u)", h->machine, PICO__SNAPSHOT_MACHINE);
	if (h->abi_version != PICO_ABI_VERSION)
		return REFUSE(error, PICO_EVERSION, "the snapshot is for version %u of the picoprocess ABI, this is %u", h->abi_version, PICO_ABI_VERSION);
	if (size < h->file_size)
		return REFUSE(error, PICO_EIO, "the snapshot is truncated: %llu bytes of %llu are there",
			      (unsigned long long)size, (unsigned long long)h->file_size);
	if (h->digest_kind == PICO__DIGEST_HMAC && !unchecked && !pico__digest_has_keys())
		return REFUSE(error, PICO_ENOTSUP, "the snapshot was made with a key, and this library was built without");
	if (h->digest_kind == PICO__DIGEST_HMAC && !unchecked && !key)
		return REFUSE(error, PICO_EACCES, "the snapshot was made with a key, and none is given");
	if (h->digest_kind == PICO__DIGEST_CRC && key)
		return REFUSE(error, PICO_EACCES, "a key is given, and the snapshot was made without");
	if (h->digest_kind != PICO__DIGEST_CRC && h->digest_kind != PICO__DIGEST_HMAC)
		return REFUSE(error, PICO_EIO, "the snapshot's header is damaged");
	return check_parts(h, error);
}

/* ---- the rest ---- */

static void *read_part(int fd, uint64_t at, uint64_t size, struct pico_error *error)
{
	void *part = malloc(size ? size : 1);
	int rc = part ? pico__read_at(fd, part, size, at) : -PICO_ENOMEM;

	if (rc == 0)
		return part;
	free(part);
	REFUSE(error, -rc, "the snapshot cannot be read: %s", pico_strerror(rc));
	return NULL;
}

/* In equal time, wherever they differ. */
static bool is_same(const uint8_t *a, const uint8_t *b)
{
	uint8_t differ = 0;

	for (int i = 0; i < PICO__DIGEST_SIZE; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static int check_index(const struct pico__snapshot_file *f, struct pico_error *error)
{
	const struct pico__snapshot_header *h = &f->header;

	for (uint64_t i = 0; i < h->index_count; i++) {
		const struct pico__snapshot_run *r = &f->index[i];

		if (r->pages > PICO__SNAPSHOT_MAX / PICO_PAGE_SIZE || !part_is_inside(h, r->place, r->pages * PICO_PAGE_SIZE) ||
		    r->offset % PICO_PAGE_SIZE || r->offset > PICO__SNAPSHOT_MAX)
			return REFUSE(error, PICO_EIO, "the snapshot's index is damaged");
	}
	return 0;
}

int pico__snapshot_read(struct pico__snapshot_file *f, int fd, const void *key, size_t key_size, bool unchecked, struct pico_error *error)
{
	struct pico__snapshot_header *h = &f->header;
	uint8_t digest[PICO__DIGEST_SIZE];
	struct stat st;
	int rc;

	*f = (struct pico__snapshot_file){ .fd = fd };
	if (fstat(fd, &st))
		return pico__error_set(error, -pico__error(errno), errno, "snapshot", "%s", strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return REFUSE(error, PICO_EINVAL, "the snapshot is no file");
	if (st.st_size < (off_t)PICO_PAGE_SIZE && st.st_size < (off_t)sizeof(h->magic))
		return REFUSE(error, PICO_ENOEXEC, "not a snapshot");
	rc = pico__read_at(fd, h, (size_t)st.st_size < sizeof(*h) ? (size_t)st.st_size : sizeof(*h), 0);
	if (rc < 0)
		return REFUSE(error, -rc, "the snapshot cannot be read: %s", pico_strerror(rc));
	if (!memcmp(h->magic, PICO__SNAPSHOT_MAGIC, sizeof(h->magic)) && st.st_size < (off_t)PICO_PAGE_SIZE)
		return REFUSE(error, PICO_EIO, "the snapshot is truncated: its header is not whole");
	rc = check_header(h, (uint64_t)st.st_size, key != NULL, unchecked, error);
	if (rc < 0)
		return rc;
	f->manifest = read_part(fd, h->manifest_at, h->manifest_size, error);
	f->index = f->manifest ? read_part(fd, h->index_at, h->index_count * sizeof(*f->index), error) : NULL;
	f->chunks = f->index ? read_part(fd, h->chunks_at, h->chunk_count * PICO__DIGEST_SIZE, error) : NULL;
	if (!f->chunks)
		return -PICO_EIO;
	if (h->digest_kind == PICO__DIGEST_HMAC && unchecked && !key)
		return check_index(f, error);
	rc = pico__snapshot_digest(h, f->manifest, f->index, f->chunks, key, key_size, digest);
	if (rc < 0)
		return REFUSE(error, -rc, "%s", pico_strerror(rc));
	if (!is_same(digest, h->digest))
		return key ? REFUSE(error, PICO_EACCES, "the snapshot has been altered, or was made with another key")
			   : REFUSE(error, PICO_EIO, "the snapshot is damaged");
	return check_index(f, error);
}

int pico__snapshot_verify(const struct pico__snapshot_file *f, struct pico_error *error)
{
	const struct pico__snapshot_header *h = &f->header;
	const uint64_t end = h->guest_at + h->guest_size;
	PICO__FREE uint8_t *buffer = malloc(PICO__SNAPSHOT_CHUNK);
	uint8_t digest[PICO__DIGEST_SIZE];

	if (!buffer)
		return REFUSE(error, PICO_ENOMEM, "out of memory");
	for (uint64_t i = 0, at = PICO_PAGE_SIZE; at < end; i++, at += PICO__SNAPSHOT_CHUNK) {
		const uint64_t size = end - at < PICO__SNAPSHOT_CHUNK ? end - at : PICO__SNAPSHOT_CHUNK;
		int rc = pico__snapshot_chunk(f->fd, at, size, (enum pico__digest_kind)h->digest_kind, buffer, digest);

		if (rc < 0)
			return REFUSE(error, -rc, "the snapshot cannot be read: %s", pico_strerror(rc));
		if (!is_same(digest, f->chunks + i * PICO__DIGEST_SIZE))
			return REFUSE(error, PICO_EIO, "the snapshot is damaged: page data around byte %llu", (unsigned long long)at);
	}
	return 0;
}

void pico__snapshot_file_fini(struct pico__snapshot_file *f)
{
	free(f->manifest);
	free(f->index);
	free(f->chunks);
	*f = (struct pico__snapshot_file){ .fd = -1 };
}
