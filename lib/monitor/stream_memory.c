/* SPDX-License-Identifier: Apache-2.0
 *
 * memory: streams: memory that the picoprocesses of one instance share. The
 * monitor never maps it: the guest can shorten it at any time. Knows nothing
 * of limits beyond the number of streams.
 *
 * A name lives until StreamDelete or the end of the instance and counts as one
 * stream; the memory lives while there is a name or a handle. Then it is emptied
 * for good: a guest may have kept the descriptor or a mapping, and what no
 * handle names is counted by nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "stream_internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* Linux 6.3 */
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 16u
#endif

struct pico__memory {
	int fd; /* C */
	uint32_t references; /* L; the name, and each handle */
	uint64_t census; /* L; counted in this look */
	uint32_t id; /* L; of the last numbering */
	bool adopted; /* C */
	char *name; /* L; or NULL */
};

/* Old kernels know neither flag; a strict setting of newer ones (memfd_noexec)
 * allows only the second. Executable or not by mode, it can be mapped so. */
static int memory_fd(void)
{
	static const unsigned flags[] = { MFD_EXEC, 0, MFD_NOEXEC_SEAL };
	int fd = -1;

	for (unsigned i = 0; fd < 0 && i < sizeof(flags) / sizeof(flags[0]); i++) {
		fd = memfd_create("pico-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags[i]);
		if (fd < 0 && errno != EINVAL && errno != EACCES)
			break;
	}
	return fd < 0 ? pico__error(errno) : fd;
}

static int memory_new(int fd, struct pico__memory **out)
{
	struct pico__memory *m = malloc(sizeof(*m));

	*out = m;
	if (!m) {
		pico__close(fd);
		return -PICO_ENOMEM;
	}
	*m = (struct pico__memory){ .fd = fd, .references = 1 };
	return 0;
}

static void memory_put(struct pico__streams *s, struct pico__memory *m)
{
	uint32_t left;

	if (!m)
		return;
	pico__streams_lock(s);
	left = --m->references;
	pico__streams_unlock(s);
	if (left)
		return;
	/* Not of what the monitor adopted: that is sealed against it. */
	if (ftruncate(m->fd, 0) == 0)
		fcntl(m->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	pico__close(m->fd);
	free(m->name);
	free(m);
}

void pico__memory_forget(void *memory, void *streams)
{
	memory_put(streams, memory);
}

static struct pico__memory *memory_find(struct pico__streams *s, const char *uri)
{
	struct pico__memory *m;

	pico__streams_lock(s);
	m = pico__names_find(&s->memories, uri);
	if (m)
		m->references++;
	pico__streams_unlock(s);
	return m;
}

/* Gives the memory its name, unless another thread was first. */
static int memory_name(struct pico__streams *s, const char *uri, struct pico__memory *m)
{
	char *name = strdup(uri);
	int error;

	if (!name)
		return -PICO_ENOMEM;
	pico__streams_lock(s);
	error = pico__names_find(&s->memories, uri) ? -PICO_EEXIST : pico__charge_locked(s);
	if (!error) {
		error = pico__names_add(&s->memories, uri, m);
		if (error)
			pico__uncharge_locked(s);
	}
	if (!error) {
		m->references++;
		m->name = name;
		name = NULL;
	}
	pico__streams_unlock(s);
	free(name);
	return error;
}

static int memory_make(struct pico__streams *s, const char *uri, bool named, struct pico__memory **out)
{
	int fd = memory_fd(), error;

	if (fd < 0)
		return fd;
	error = memory_new(fd, out);
	if (!error && named)
		error = memory_name(s, uri, *out);
	if (error) {
		memory_put(s, *out);
		*out = NULL;
	}
	return error;
}

static int memory_get(struct pico__streams *s, const struct pico__uri *uri, uint32_t flags, struct pico__memory **out)
{
	int error = -PICO_EEXIST;

	if (!uri->rest_size)
		return memory_make(s, uri->text, false, out);
	while (error == -PICO_EEXIST) {
		*out = memory_find(s, uri->text);
		if (*out && !(flags & PICO_OPEN_EXCLUSIVE))
			return 0;
		if (*out) {
			memory_put(s, *out);
			*out = NULL;
			return -PICO_EEXIST;
		}
		if (!(flags & PICO_OPEN_CREATE))
			return -PICO_ENOENT;
		error = memory_make(s, uri->text, true, out);
	}
	return error;
}

/* ---- an open one ---- */

static int memory_fd_attributes(struct pico__streams *s, int fd, struct pico_stream_attributes *a)
{
	int error = pico__attributes_read(&s->owner, fd, false, a);

	a->type = PICO_STREAM_MEMORY;
	a->mode = 0600;
	return error;
}

static int memory_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	return memory_fd_attributes(e->owner, e->of.memory->fd, a);
}

/* Memory is given when it is touched, within the guest's limit, and never by the
 * host on request: only the last byte is allocated, to make the length. */
static int memory_set_length(struct pico__stream *e, uint64_t length, uint32_t mode, uint64_t offset)
{
	uint64_t end;

	if (mode != PICO_LENGTH_ALLOCATE && mode != PICO_LENGTH_ALLOCATE_KEEP_SIZE)
		return pico__length_apply(e->of.memory->fd, length, mode, offset);
	if (!length || __builtin_add_overflow(length, offset, &end) || end > INT64_MAX)
		return !length ? -PICO_EINVAL : -PICO_EFBIG;
	return mode == PICO_LENGTH_ALLOCATE ? pico__length_apply(e->of.memory->fd, 1, mode, end - 1) : 0;
}

static int memory_flush(struct pico__stream *e, uint32_t flags)
{
	(void)e, (void)flags;
	return 0;
}

static void memory_destroy(struct pico__stream *e)
{
	memory_put(e->owner, e->of.memory);
}

static const struct pico__stream_ops memory_stream = {
	.kind = PICO__KIND_MEMORY,
	.attributes = memory_attributes,
	.set_length = memory_set_length,
	.flush = memory_flush,
	.destroy = memory_destroy,
};

/* The memory's own descriptor reads and writes; any less needs a new one. */
static int memory_grant(const struct pico__memory *m, uint32_t access, struct pico__call *c, int number)
{
	bool reads = access & (PICO_ACCESS_READ | PICO_ACCESS_EXECUTE);
	bool writes = access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND);
	uint64_t flags = reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY;
	int fd;

	if (reads && writes && !(access & PICO_ACCESS_APPEND))
		return pico__grant_copy(c, m->fd, number);
	fd = pico__reopen(m->fd, flags | (access & PICO_ACCESS_APPEND ? O_APPEND : 0));
	if (fd < 0)
		return fd;
	pico__grant_give(c, &fd, number);
	return 0;
}

static int64_t memory_open(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	bool writes = o->access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND);
	int error;

	if (!o->access || ((o->flags & PICO_OPEN_TRUNCATE) && !writes))
		return -PICO_EINVAL;
	error = pico__claim_take(&claim, s, PICO_HT_STREAM);
	if (error)
		return error;
	e = pico__stream_new(s, &memory_stream, uri->text, o->access);
	if (!e)
		return -PICO_ENOMEM;
	error = memory_get(s, uri, o->flags, &e->of.memory);
	if (!error && (o->flags & PICO_OPEN_TRUNCATE))
		error = pico__length_apply(e->of.memory->fd, 0, PICO_LENGTH_SET, 0);
	if (!error)
		error = memory_grant(e->of.memory, o->access, c, claim.number);
	return error ? error : pico__stream_opened(&claim, &e, o, c);
}

/* It stays in use, and is counted, though the guest closes its handle. The name
 * is none that a guest can say. */
static int keep_adopted(struct pico__streams *s, const char *uri, struct pico__memory *m)
{
	PICO__FREE char *name = NULL;
	int error;

	if (asprintf(&name, "adopted %s", uri) < 0) {
		name = NULL;
		return -PICO_ENOMEM;
	}
	pico__streams_lock(s);
	error = pico__names_add(&s->memories, name, m);
	if (!error)
		m->references++;
	pico__streams_unlock(s);
	return error;
}

pico_handle pico__memory_adopt(struct pico__streams *s, int fd, uint32_t access, const char *uri)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	int error = pico__claim_take(&claim, s, PICO_HT_STREAM), copy;

	if (error)
		return error;
	e = pico__stream_new(s, &memory_stream, uri, access);
	if (!e)
		return -PICO_ENOMEM;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return pico__error(errno);
	error = memory_new(copy, &e->of.memory);
	if (error)
		return error;
	e->of.memory->adopted = true;
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* what is granted later */
	if (e->fd < 0)
		return pico__error(errno);
	error = keep_adopted(s, uri, e->of.memory);
	if (error)
		return error;
	e->ungranted = true;
	pico__streams_lock(s);
	s->waiting = true;
	pico__streams_unlock(s);
	return pico__claim_fill(&claim, &e);
}

/* ---- by name ---- */

static int64_t memory_query(struct pico__streams *s, struct pico__uri *uri, struct pico__call *c)
{
	struct pico__memory *m = memory_find(s, uri->text);
	int error;

	if (!m)
		return -PICO_ENOENT;
	error = memory_fd_attributes(s, m->fd, &c->attr);
	memory_put(s, m);
	return error;
}

static int64_t memory_delete(struct pico__streams *s, struct pico__uri *uri, uint32_t flags)
{
	struct pico__memory *m;

	if (flags)
		return -PICO_ENOTDIR;
	pico__streams_lock(s);
	m = pico__names_remove(&s->memories, uri->text);
	if (m) {
		pico__uncharge_locked(s);
		free(m->name);
		m->name = NULL;
	}
	pico__streams_unlock(s);
	memory_put(s, m);
	return m ? 0 : -PICO_ENOENT;
}

/* ---- for snapshots ---- */

struct numbering { uint64_t look; uint32_t last, room; struct pico__memory **list; };

static void number_memory(void *memory, void *user)
{
	struct pico__memory *m = memory;
	struct numbering *n = user;

	if (m->adopted || m->census == n->look)
		return;
	m->census = n->look;
	m->id = ++n->last;
	if (n->list && m->id <= n->room) {
		m->references++;
		n->list[m->id - 1] = m;
	}
}

static void number_all_locked(struct pico__streams *s, struct numbering *n)
{
	n->look = ++s->census;
	n->last = 0;
	pico__names_each(&s->memories, number_memory, n);
	for (uint32_t i = 0; i < s->descriptors.capacity; i++) {
		struct pico__stream *e = s->descriptors.entry[i];

		if (e && e->ops == &memory_stream)
			number_memory(e->of.memory, n);
	}
}

int pico__memories_each(struct pico__streams *s, int (*visit)(void *user, uint32_t id, int fd, const char *name), void *user)
{
	struct numbering n = { 0 };
	int result = 0;

	pico__streams_lock(s);
	number_all_locked(s, &n);
	n.room = n.last;
	n.list = n.room ? calloc(n.room, sizeof(struct pico__memory *)) : NULL;
	if (n.list)
		number_all_locked(s, &n);
	else if (n.room)
		result = -PICO_ENOMEM;
	pico__streams_unlock(s);
	for (uint32_t i = 0; n.list && i < n.room; i++) {
		if (!result)
			result = visit(user, i + 1, n.list[i]->fd, n.list[i]->name);
		memory_put(s, n.list[i]);
	}
	free(n.list);
	return result;
}

uint32_t pico__memory_id(const struct pico__stream *e)
{
	return e->of.memory->adopted ? 0 : e->of.memory->id;
}

int pico__memory_make(struct pico__streams *s, const char *name, struct pico__memory **out, int *fd_out)
{
	int error = memory_make(s, name, name != NULL, out);

	if (!error)
		*fd_out = (*out)->fd;
	return error;
}

int pico__memory_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out)
{
	PICO__STREAM struct pico__stream *e = pico__stream_new(s, &memory_stream, a->uri.text, a->record->access);
	struct pico__call c = { .grant_count = 0 };
	int error;

	if (!e || !a->memory)
		return e ? -PICO_EIO : -PICO_ENOMEM;
	error = memory_grant(a->memory, a->record->access, &c, 0);
	if (error)
		return error;
	e->fd = c.grant[0].fd;
	e->given = true;
	pico__streams_lock(s);
	e->of.memory = a->memory;
	a->memory->references++;
	pico__streams_unlock(s);
	*out = e;
	e = NULL;
	return 0;
}

/* ---- how much there is ---- */

struct census { uint64_t number, bytes; };

static void count_memory(void *memory, void *user)
{
	struct pico__memory *m = memory;
	struct census *census = user;
	struct stat st;

	if (m->census == census->number)
		return; /* by another name or handle */
	m->census = census->number;
	if (!fstat(m->fd, &st)) /* of a memfd: does not block */
		census->bytes += (uint64_t)st.st_blocks * 512;
}

uint64_t pico__memory_bytes_locked(struct pico__streams *s)
{
	struct census census = { .number = ++s->census };

	pico__names_each(&s->memories, count_memory, &census);
	for (uint32_t i = 0; i < s->descriptors.capacity; i++) {
		struct pico__stream *e = s->descriptors.entry[i];

		if (e && e->ops == &memory_stream)
			count_memory(e->of.memory, &census);
	}
	return census.bytes;
}

const struct pico__scheme_ops pico__memory_scheme = {
	.open_flags = PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE | PICO_OPEN_TRUNCATE,
	.refusal = -PICO_ENOTSUP,
	.open = memory_open,
	.query = memory_query,
	.delete = memory_delete,
};
