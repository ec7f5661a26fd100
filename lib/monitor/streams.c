/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream side of an instance: its making and end, and the dispatch of the
 * stream downcalls to the providers. All registers and texts are the guest's:
 * they are checked here once, and nothing below sees an unknown bit.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "stream_internal.h"

#define DEFAULT_LIMIT 1024u

static const struct pico__scheme_ops no_network = { .refusal = -PICO_EACCES };
static const struct pico__scheme_ops no_images = { .refusal = -PICO_ENOTSUP };
static const struct pico__scheme_ops *const schemes[PICO__SCHEME_COUNT] = {
	[PICO__SCHEME_FILE] = &pico__file_scheme,
	[PICO__SCHEME_DIR] = &pico__dir_scheme,
	[PICO__SCHEME_PIPE] = &pico__pipe_scheme,
	[PICO__SCHEME_UNIX] = &pico__unix_scheme,
	[PICO__SCHEME_TCP] = &no_network,
	[PICO__SCHEME_UDP] = &no_network,
	[PICO__SCHEME_CONSOLE] = &pico__console_scheme,
	[PICO__SCHEME_IMAGE] = &no_images,
	[PICO__SCHEME_MEMORY] = &pico__memory_scheme,
	[PICO__SCHEME_APP] = &pico__app_scheme,
};

/* ---- life ---- */

static int open_null(void)
{
	struct stat st;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0 && (fstat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int pico__streams_create(struct pico__streams **out, uint32_t handle_limit, uint32_t guest_uid, uint32_t guest_gid)
{
	struct pico__streams *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s)
		return -PICO_ENOMEM;
	if (pthread_mutex_init(&s->lock, NULL)) {
		free(s);
		return -PICO_ENOMEM;
	}
	s->limit = handle_limit ? handle_limit : DEFAULT_LIMIT;
	s->owner = (struct pico__owner){ .host_uid = geteuid(), .host_gid = getegid(),
		.guest_uid = guest_uid, .guest_gid = guest_gid };
	pico__names_init(&s->memories);
	pico__names_init(&s->servers);
	s->null_fd = open_null();
	for (int i = 0; i < 3; i++)
		pico__console_init(s, i, -1, NULL, NULL);
	*out = s;
	return 0;
}

void pico__streams_stop(struct pico__streams *s)
{
	pico__streams_close_all(s);
	pico__console_fini(s);
}

void pico__streams_destroy(struct pico__streams *s)
{
	if (!s)
		return;
	pico__streams_stop(s);
	pico__names_fini(&s->memories, pico__memory_forget, s);
	pico__names_fini(&s->servers, NULL, NULL); /* their handles are closed, so there are none */
	for (struct pico__app *app = s->apps, *next; app; app = next) {
		next = app->next;
		free(app);
	}
	pico__policy_fini(&s->policy);
	pico__close(s->null_fd);
	pico__numbers_fini(&s->descriptors);
	pico__numbers_fini(&s->ids);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void pico__streams_abandon(struct pico__streams *s)
{
	if (!s)
		return;
	pthread_mutex_init(&s->lock, NULL);
	for (int i = 0; i < 3; i++)
		s->console[i].changed = false;
	pico__streams_destroy(s);
}

int pico__streams_mount(struct pico__streams *s, const struct pico__mount *m, uint32_t *type_out, char *why, size_t why_size)
{
	return pico__policy_add(&s->policy, m->host, m->guest, m->read_only, type_out, why, why_size);
}

int pico__streams_stdio(struct pico__streams *s, int number, int fd, const struct pico__app_ops *ops, uint32_t *type_out)
{
	if (number < 0 || number > 2 || (ops && fd >= 0))
		return -PICO_EINVAL;
	return pico__console_init(s, number, fd, ops, type_out);
}

pico_handle pico__streams_adopt(struct pico__streams *s, int fd, uint32_t access, const char *uri)
{
	return pico__memory_adopt(s, fd, access, uri);
}

/* 1: one more grant; 0: none is waiting; -PICO_E: it waits on. */
static int pending_one(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = NULL;
	int error;

	pico__streams_lock(s);
	for (uint32_t i = 0; !e && i < s->descriptors.capacity; i++)
		if (s->descriptors.entry[i] && s->descriptors.entry[i]->ungranted)
			e = s->descriptors.entry[i];
	s->waiting = e != NULL;
	if (e)
		e->pins++;
	pico__streams_unlock(s);
	if (!e)
		return 0;
	error = pico__grant_copy(c, e->fd, (int)PICO_HANDLE_PAYLOAD(e->handle));
	if (error)
		return error;
	pico__streams_lock(s);
	e->ungranted = false;
	if (e->given) { /* nobody but the table has it, and the table only until it is granted */
		pico__close(e->fd);
		e->fd = -1;
	}
	pico__streams_unlock(s);
	return 1;
}

int pico__streams_pending(struct pico__streams *s, struct pico__call *c)
{
	bool waiting;
	int result = 1;

	c->grant_count = 0;
	pico__streams_lock(s);
	waiting = s->waiting;
	pico__streams_unlock(s);
	while (waiting && result > 0 && c->grant_count < 2)
		result = pending_one(s, c);
	return c->grant_count || result > 0 ? c->grant_count : result;
}

uint64_t pico__streams_memory(struct pico__streams *s)
{
	uint64_t bytes;

	pico__streams_lock(s);
	bytes = pico__memory_bytes_locked(s);
	pico__streams_unlock(s);
	return bytes;
}

/* ---- the downcalls ---- */

#define ACCESS_BITS (PICO_ACCESS_READ | PICO_ACCESS_WRITE | PICO_ACCESS_APPEND | PICO_ACCESS_EXECUTE)
#define OPEN_BITS (PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE | PICO_OPEN_TRUNCATE | PICO_OPEN_TEMPORARY | \
		   PICO_OPEN_SERVER | PICO_OPEN_PIPE)

static int64_t call_open(struct pico__streams *s, struct pico__call *c)
{
	struct pico__open o = { .access = (uint32_t)c->r[2], .flags = (uint32_t)c->r[3], .mode = (uint32_t)c->r[4], .want = c->r[5] };
	struct pico__uri uri;
	int error = pico__uri_parse(&uri, c->text, c->r[1], c->text_size);

	if (error)
		return error;
	if ((c->r[2] & ~(uint64_t)ACCESS_BITS) || (c->r[3] & ~(uint64_t)OPEN_BITS) || (c->r[4] & ~07777ull))
		return -PICO_EINVAL;
	const struct pico__scheme_ops *ops = schemes[uri.scheme];

	if (!ops->open)
		return ops->refusal;
	if (o.flags & ~ops->open_flags)
		return -PICO_EINVAL;
	/* Alone it says nothing; with TEMPORARY: never to get a name. */
	if ((o.flags & PICO_OPEN_EXCLUSIVE) && !(o.flags & (PICO_OPEN_CREATE | PICO_OPEN_TEMPORARY)))
		return -PICO_EINVAL;
	if (!pico__streams_host_room(s))
		return -PICO_ENFILE;
	return ops->open(s, &uri, &o, c);
}

static int64_t call_set_length(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);

	if (!e)
		return -PICO_EBADF;
	if (!e->ops->set_length || c->r[3] > PICO_LENGTH_INSERT_RANGE)
		return -PICO_EINVAL;
	if (!(e->access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND)))
		return c->r[3] == PICO_LENGTH_SET ? -PICO_EINVAL : -PICO_EBADF; /* as the host's calls say */
	return e->ops->set_length(e, c->r[2], (uint32_t)c->r[3], c->r[4]);
}

static int64_t call_flush(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);

	if (!e)
		return -PICO_EBADF;
	if (!e->ops->flush || (c->r[2] & ~(uint64_t)(PICO_FLUSH_DATA | PICO_FLUSH_FILESYSTEM)))
		return -PICO_EINVAL;
	return e->ops->flush(e, (uint32_t)c->r[2]);
}

static int64_t call_delete(struct pico__streams *s, struct pico__call *c)
{
	struct pico__uri uri;
	int error = pico__uri_parse(&uri, c->text, c->r[1], c->text_size);

	if (error)
		return error;
	if (c->r[2] & ~(uint64_t)PICO_DELETE_DIRECTORY)
		return -PICO_EINVAL;
	return schemes[uri.scheme]->delete ? schemes[uri.scheme]->delete(s, &uri, (uint32_t)c->r[2]) : schemes[uri.scheme]->refusal;
}

static int64_t call_rename(struct pico__streams *s, struct pico__call *c)
{
	return pico__path_rename(s, c, c->r[3]);
}

static int64_t call_wait_for_client(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);

	if (!e)
		return -PICO_EBADF;
	return e->ops->accept ? e->ops->accept(e, c) : -PICO_EINVAL;
}

static int64_t call_get_name(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);
	size_t size;

	if (!e)
		return -PICO_EBADF;
	pico__streams_lock(s);
	size = strlen(e->uri);
	if (size <= PICO_URI_MAX) /* renaming a directory above can make it longer */
		memcpy(c->text, e->uri, size);
	pico__streams_unlock(s);
	if (size > PICO_URI_MAX)
		return -PICO_ENAMETOOLONG;
	c->text_out = (uint32_t)size;
	return (int64_t)size;
}

static int64_t call_query(struct pico__streams *s, struct pico__call *c)
{
	struct pico__uri uri;
	int64_t result = pico__uri_parse(&uri, c->text, c->r[1], c->text_size);

	if (result)
		return result;
	if (c->r[2] & ~(uint64_t)PICO_ATTR_FILESYSTEM) /* asked for or not, they are told */
		return -PICO_EINVAL;
	if (!schemes[uri.scheme]->query)
		return schemes[uri.scheme]->refusal;
	result = schemes[uri.scheme]->query(s, &uri, c);
	c->attr_out = result >= 0;
	return result;
}

static int64_t call_query_by_handle(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);
	int error;

	if (!e)
		return -PICO_EBADF;
	error = e->ops->attributes(e, &c->attr);
	c->attr_out = !error;
	return error;
}

static int64_t set_by_handle(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);

	if (!e)
		return -PICO_EBADF;
	if (e->mount && e->mount->read_only)
		return -PICO_EROFS;
	if (!c->attr.valid)
		return 0;
	return e->ops->set ? e->ops->set(e, &c->attr) : -PICO_ENOTSUP;
}

static int64_t call_set(struct pico__streams *s, struct pico__call *c)
{
	struct pico__uri uri;
	int error = pico__attributes_check(&c->attr);

	if (error)
		return error;
	if ((pico_handle)c->r[1] != PICO_HANDLE_NONE)
		return set_by_handle(s, c);
	error = pico__uri_parse(&uri, c->text, c->r[2], c->text_size);
	if (error)
		return error;
	return schemes[uri.scheme]->set ? schemes[uri.scheme]->set(s, &uri, &c->attr) : schemes[uri.scheme]->refusal;
}

static int64_t call_enumerate(struct pico__streams *s, struct pico__call *c)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);
	uint64_t size = c->r[3] < PICO_SLOT_BULK_SIZE ? c->r[3] : PICO_SLOT_BULK_SIZE;
	int64_t result;

	if (!e)
		return -PICO_EBADF;
	if (!e->ops->enumerate)
		return -PICO_ENOTDIR;
	result = e->ops->enumerate(e, c, c->r[2], size);
	if (result > 0)
		c->bulk_out = (uint32_t)result;
	return result;
}

static int64_t call_reference(struct pico__streams *s, struct pico__call *c)
{
	return pico__stream_reference(s, c->r[1]);
}

static int64_t call_close(struct pico__streams *s, struct pico__call *c)
{
	return pico__stream_close(s, c->r[1]);
}

/* What a call names, to tell whether serving it may block. */
enum { NAMES_NOTHING, NAMES_URI, NAMES_TWO_URIS, NAMES_HANDLE, NAMES_EITHER, TRANSFERS, ALWAYS_BLOCKS };
static const struct {
	int64_t (*run)(struct pico__streams *s, struct pico__call *c);
	uint8_t names;
} calls[PICO_DOWNCALL_COUNT] = {
	[PICO_DC_ObjectReference] = { call_reference, NAMES_NOTHING },
	[PICO_DC_ObjectClose] = { call_close, NAMES_HANDLE },
	[PICO_DC_StreamOpen] = { call_open, NAMES_URI },
	[PICO_DC_StreamRead] = { NULL, TRANSFERS },
	[PICO_DC_StreamWrite] = { NULL, TRANSFERS },
	[PICO_DC_StreamSetLength] = { call_set_length, NAMES_HANDLE },
	[PICO_DC_StreamFlush] = { call_flush, ALWAYS_BLOCKS },
	[PICO_DC_StreamDelete] = { call_delete, NAMES_URI },
	[PICO_DC_StreamRename] = { call_rename, NAMES_TWO_URIS },
	[PICO_DC_StreamWaitForClient] = { call_wait_for_client, NAMES_NOTHING },
	[PICO_DC_StreamGetName] = { call_get_name, NAMES_NOTHING },
	[PICO_DC_StreamAttributesQuery] = { call_query, NAMES_URI },
	[PICO_DC_StreamAttributesQueryByHandle] = { call_query_by_handle, NAMES_HANDLE },
	[PICO_DC_StreamAttributesSet] = { call_set, NAMES_EITHER },
	[PICO_DC_StreamEnumerateChildren] = { call_enumerate, NAMES_HANDLE },
};

static void answer_init(struct pico__call *c)
{
	c->attr_out = false;
	c->text_out = c->text2_out = c->bulk_out = 0;
	c->grant_count = 0;
}

int64_t pico__streams_call(struct pico__streams *s, unsigned downcall, struct pico__call *c)
{
	int64_t result;

	answer_init(c);
	if (downcall >= PICO_DOWNCALL_COUNT || !calls[downcall].run)
		return -PICO_ENOSYS;
	result = pico__error_listed(downcall, calls[downcall].run(s, c));
	if (result < 0) {
		pico__grants_drop(c);
		answer_init(c);
	}
	return result;
}

/* ---- what may block ---- */

static bool uri_slow(struct pico__streams *s, const char *text, uint64_t claimed, uint32_t size)
{
	char copy[PICO_URI_MAX + 1];
	struct pico__place place;
	struct pico__uri uri;

	if (size > PICO_URI_MAX)
		return false;
	memcpy(copy, text, size);
	if (pico__uri_parse(&uri, copy, claimed, size) || uri.scheme > PICO__SCHEME_DIR)
		return false;
	return !pico__policy_find(&s->policy, uri.rest, &place) && pico__policy_slow(&place);
}

static bool handle_slow(struct pico__streams *s, uint64_t handle)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, handle);

	return e && e->mount && (e->slow || e->mount->slow);
}

static bool transfer_slow(struct pico__streams *s, uint64_t handle)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, handle);

	return e && e->ops->transfer_blocks;
}

bool pico__streams_may_block(struct pico__streams *s, unsigned downcall, const struct pico__call *c)
{
	uint8_t names = downcall < PICO_DOWNCALL_COUNT ? calls[downcall].names : NAMES_NOTHING;
	const uint64_t *r = c->r;

	if (names == ALWAYS_BLOCKS || names == NAMES_NOTHING)
		return names == ALWAYS_BLOCKS;
	if (names == TRANSFERS)
		return transfer_slow(s, r[1]);
	/* The other kinds work in proportion to the length. */
	if (downcall == PICO_DC_StreamSetLength && r[3] != PICO_LENGTH_SET)
		return true;
	if (!atomic_load(&s->policy.any_slow))
		return false;
	switch (names) {
	case NAMES_URI:
		return uri_slow(s, c->text, r[1], c->text_size);
	case NAMES_TWO_URIS: /* the first may be a pseudo URI: the second is in the same mount or it fails */
		return uri_slow(s, c->text, r[1], c->text_size) || uri_slow(s, c->text2, r[2], c->text2_size);
	case NAMES_EITHER:
		if ((pico_handle)r[1] == PICO_HANDLE_NONE)
			return uri_slow(s, c->text, r[2], c->text_size);
		return handle_slow(s, r[1]);
	default:
		return handle_slow(s, r[1]);
	}
}

/* ---- data of streams without a descriptor ---- */

static int64_t transfer(struct pico__streams *s, struct pico__call *c, unsigned downcall)
{
	PICO__STREAM struct pico__stream *e = pico__stream_get(s, c->r[1]);
	bool reading = downcall == PICO_DC_StreamRead;
	uint64_t size = c->r[3];
	int64_t result;

	answer_init(c);
	if (!e)
		return -PICO_EBADF;
	if (!(e->access & (reading ? PICO_ACCESS_READ : PICO_ACCESS_WRITE | PICO_ACCESS_APPEND)))
		return -PICO_EBADF;
	if (reading ? !e->ops->read : !e->ops->write)
		return pico__error_listed(downcall, e->ops->enumerate ? -PICO_EISDIR : -PICO_EINVAL);
	if (size > PICO_SLOT_BULK_SIZE) {
		if (!reading)
			return -PICO_EINVAL; /* only so much was copied in */
		size = PICO_SLOT_BULK_SIZE;
	}
	result = (reading ? e->ops->read : e->ops->write)(e, c, c->r[2], size);
	if (result > (int64_t)size)
		result = -PICO_EIO; /* the host application's mistake must not reach beyond the buffer */
	if (reading && result > 0)
		c->bulk_out = (uint32_t)result;
	return pico__error_listed(downcall, result);
}

int64_t pico__streams_read(struct pico__streams *s, struct pico__call *c)
{
	return transfer(s, c, PICO_DC_StreamRead);
}

int64_t pico__streams_write(struct pico__streams *s, struct pico__call *c)
{
	return transfer(s, c, PICO_DC_StreamWrite);
}
