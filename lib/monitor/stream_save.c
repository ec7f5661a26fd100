/* SPDX-License-Identifier: Apache-2.0
 *
 * The handle table in a snapshot: what each handle was, and the same handles
 * again. Knows nothing of files of snapshots, nor of who calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "stream_internal.h"

/* ---- streams of this file's own ---- */

static int64_t dead_transfer(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	(void)e, (void)c, (void)offset, (void)size;
	return -PICO_EIO;
}

static int dead_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_NULL, 0, e->inode, a);
	return 0;
}

static const struct pico__stream_ops dead_stream = {
	.kind = PICO__KIND_DEAD,
	.read = dead_transfer,
	.write = dead_transfer,
	.attributes = dead_attributes,
};

static int own_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_FILE, 0400, e->inode, a);
	return 0;
}

static const struct pico__stream_ops own_stream = {
	.kind = PICO__KIND_OWN,
	.attributes = own_attributes,
};

int pico__streams_no_write(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return pico__error(errno);
	pico__close(ends[1]);
	return ends[0];
}

pico_handle pico__streams_snapshot(struct pico__streams *s, int fd, uint32_t access, bool grant_later)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	int error = pico__claim_take(&claim, s, PICO_HT_STREAM);

	if (error)
		return error;
	e = pico__stream_new(s, &own_stream, "image:snapshot", access);
	if (!e)
		return -PICO_ENOMEM;
	e->inode = pico__streams_inode(s);
	if (grant_later) {
		e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (e->fd < 0)
			return pico__error(errno);
		e->ungranted = e->given = true;
		pico__streams_lock(s);
		s->waiting = true;
		pico__streams_unlock(s);
	}
	return pico__claim_fill(&claim, &e);
}

void pico__streams_snapshot_end(struct pico__streams *s, pico_handle handle)
{
	pico__stream_close(s, (uint64_t)handle);
}

/* ---- saving ---- */

/* What a file is, so that it can be told from another of that name. */
static void describe(const struct pico__stream *e, struct pico__stream_record *r)
{
	struct stat st;

	if ((r->kind != PICO__KIND_FILE && r->kind != PICO__KIND_DIRECTORY) || e->fd < 0 || fstat(e->fd, &st))
		return;
	if (!st.st_nlink)
		r->flags |= PICO__STREAM_UNLINKED;
	if (r->kind == PICO__KIND_FILE)
		r->flags |= PICO__STREAM_CHECKED;
	r->inode = st.st_ino;
	r->size = (uint64_t)st.st_size;
	r->mtime_sec = st.st_mtim.tv_sec;
	r->mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
}

static int save(struct pico__stream *e, const uint32_t *references, pico__streams_save_fn each, void *user)
{
	struct pico__stream_record r = { .handle = e->handle, .kind = e->ops->kind, .access = e->access, .references = e->references };
	PICO__FREE char *uri = NULL;

	if (PICO_HANDLE_TYPE(e->handle) == PICO_HT_STREAM)
		r.references = __atomic_load_n(&references[PICO_HANDLE_PAYLOAD(e->handle)], __ATOMIC_RELAXED);
	pico__streams_lock(e->owner);
	uri = strdup(e->uri);
	if (r.kind == PICO__KIND_MEMORY) {
		r.memory = pico__memory_id(e);
		if (!r.memory)
			r.kind = PICO__KIND_SEGMENT;
	}
	pico__streams_unlock(e->owner);
	if (!uri)
		return -PICO_ENOMEM;
	if (e->linkable)
		r.flags |= PICO__STREAM_LINKABLE;
	describe(e, &r);
	return r.kind == PICO__KIND_OWN || r.kind == PICO__KIND_SEGMENT ? 0 : each(user, &r, uri);
}

static int save_numbers(struct pico__streams *s, struct pico__numbers *n, const uint32_t *references, pico__streams_save_fn each, void *user)
{
	int result = 0;

	for (uint32_t i = 0; !result; i++) {
		PICO__STREAM struct pico__stream *e = NULL;
		bool end;

		pico__streams_lock(s);
		end = i >= n->capacity;
		e = end ? NULL : n->entry[i];
		if (e)
			e->pins++;
		pico__streams_unlock(s);
		if (end)
			break;
		if (e)
			result = save(e, references, each, user);
	}
	return result;
}

int pico__streams_save(struct pico__streams *s, const uint32_t *references, pico__streams_save_fn each,
		       pico__streams_memory_fn memory, void *user)
{
	int result = pico__memories_each(s, memory, user);

	if (!result)
		result = save_numbers(s, &s->descriptors, references, each, user);
	return result ? result : save_numbers(s, &s->ids, references, each, user);
}

/* ---- the same again ---- */

static const struct { pico__again_fn again; enum pico__scheme scheme; } kinds[] = {
	[PICO__KIND_FILE] = { pico__file_again, PICO__SCHEME_FILE },
	[PICO__KIND_DIRECTORY] = { pico__dir_again, PICO__SCHEME_DIR },
	[PICO__KIND_CONSOLE] = { pico__console_again, PICO__SCHEME_CONSOLE },
	[PICO__KIND_MEMORY] = { pico__memory_again, PICO__SCHEME_MEMORY },
	[PICO__KIND_APP] = { pico__app_again, PICO__SCHEME_APP },
	[PICO__KIND_SERVER] = { pico__server_again, PICO__SCHEME_COUNT }, /* pipe: or unix: */
};

static int make_dead(struct pico__streams *s, const struct pico__stream_record *r, const char *uri, struct pico__stream **out)
{
	struct pico__stream *e = pico__stream_new(s, &dead_stream, uri, r->access);

	if (!e)
		return -PICO_ENOMEM;
	e->inode = pico__streams_inode(s);
	if (PICO_HANDLE_TYPE(r->handle) == PICO_HT_STREAM) {
		e->fd = pico__streams_no_write();
		e->given = true;
		if (e->fd < 0) {
			int error = e->fd;

			pico__stream_put(&e);
			return error;
		}
	}
	*out = e;
	return 0;
}

static bool is_other_file(const struct pico__stream *e, const struct pico__stream_record *r)
{
	struct stat st;

	if (!(r->flags & PICO__STREAM_CHECKED) || fstat(e->fd, &st))
		return false;
	return st.st_ino != r->inode || (uint64_t)st.st_size != r->size || st.st_mtim.tv_sec != r->mtime_sec ||
		(uint32_t)st.st_mtim.tv_nsec != r->mtime_nsec;
}

static int make(struct pico__streams *s, const struct pico__stream_record *r, const char *uri, struct pico__memory *memory,
		struct pico__stream **out)
{
	struct pico__again a = { .record = r, .memory = memory };
	char text[PICO_URI_MAX + 1];
	size_t size = strlen(uri);
	int error;

	if (r->kind == PICO__KIND_OTHER || r->kind >= sizeof(kinds) / sizeof(kinds[0]))
		return r->kind > PICO__KIND_OWN ? -PICO_EINVAL : -PICO_ECONNRESET;
	if (size > PICO_URI_MAX)
		return -PICO_EINVAL;
	memcpy(text, uri, size + 1);
	error = pico__uri_parse(&a.uri, text, size, (uint32_t)size);
	if (error)
		return error;
	if (kinds[r->kind].scheme == PICO__SCHEME_COUNT ? a.uri.scheme != PICO__SCHEME_PIPE && a.uri.scheme != PICO__SCHEME_UNIX
							: a.uri.scheme != kinds[r->kind].scheme)
		return -PICO_EINVAL;
	return kinds[r->kind].again(s, &a, out);
}

/* The descriptor is put in place when the seed first waits. */
static void fill(struct pico__streams *s, struct pico__claim *claim, struct pico__stream **e, const struct pico__stream_record *r)
{
	struct pico__stream *stream = *e;

	stream->ungranted = claim->type == PICO_HT_STREAM;
	stream->linkable = (r->flags & PICO__STREAM_LINKABLE) && !(r->flags & PICO__STREAM_UNLINKED);
	pico__claim_fill(claim, e);
	pico__streams_lock(s); /* nobody else has the handle yet */
	if (claim->type == PICO_HT_MONITOR)
		stream->references = r->references ? r->references : 1;
	s->waiting |= stream->ungranted;
	pico__streams_unlock(s);
}

int pico__streams_again(struct pico__streams *s, const struct pico__stream_record *r, const char *uri, void *memory, enum pico__again_result *out)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	int error = pico__claim_take_at(&claim, s, (uint64_t)r->handle), lost;

	if (error)
		return error;
	*out = PICO__AGAIN_NONE;
	lost = r->flags & PICO__STREAM_UNLINKED ? -PICO_ENOENT : make(s, r, uri, memory, &e);
	if (lost == -PICO_ENOMEM || lost == -PICO_EMFILE || lost == -PICO_ENFILE)
		return lost;
	if (lost < 0)
		error = make_dead(s, r, uri, &e);
	if (error)
		return error;
	*out = lost < 0 ? PICO__AGAIN_LOST : is_other_file(e, r) ? PICO__AGAIN_CHANGED : PICO__AGAIN_SAME;
	fill(s, &claim, &e, r);
	return lost;
}
