/* SPDX-License-Identifier: Apache-2.0
 *
 * The handle table of an instance: numbers, the streams they name, and how
 * long a stream lives. Knows nothing of what a stream is.
 *
 * A number is the descriptor number in every picoprocess of the instance, so
 * it is free again only when the gate has closed the descriptor and said so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "stream_internal.h"

/* ---- numbers ---- */

static uint32_t first_number(enum pico_handle_type type)
{
	return type == PICO_HT_STREAM ? PICO_FIRST_FD : 1;
}

static struct pico__numbers *numbers_of(struct pico__streams *s, enum pico_handle_type type)
{
	return type == PICO_HT_STREAM ? &s->descriptors : &s->ids;
}

static int numbers_grow(struct pico__numbers *n)
{
	uint32_t capacity = n->capacity ? n->capacity * 2 : 64;
	struct pico__stream **entry;
	uint64_t *used;

	if (capacity > PICO_NUMBER_MAX)
		return -PICO_EMFILE;
	entry = realloc(n->entry, capacity * sizeof(*entry));
	if (!entry)
		return -PICO_ENOMEM;
	n->entry = entry;
	used = realloc(n->used, capacity / 64 * sizeof(*used));
	if (!used)
		return -PICO_ENOMEM;
	n->used = used;
	memset(entry + n->capacity, 0, (capacity - n->capacity) * sizeof(*entry));
	memset(used + n->capacity / 64, 0, (capacity - n->capacity) / 64 * sizeof(*used));
	n->capacity = capacity;
	return 0;
}

/* Lowest free number from `first` on. */
static int numbers_take(struct pico__numbers *n, uint32_t first)
{
	uint32_t at = n->hint > first ? n->hint : first;

	for (;;) {
		if (at >= n->capacity) {
			int error = numbers_grow(n);

			if (error)
				return error;
		}
		uint64_t open = ~n->used[at / 64] & ~0ull << at % 64;

		if (open) {
			at = at / 64 * 64 + (uint32_t)__builtin_ctzll(open);
			break;
		}
		at = (at / 64 + 1) * 64;
	}
	n->used[at / 64] |= 1ull << at % 64;
	n->hint = at + 1;
	return (int)at;
}

static void numbers_free(struct pico__numbers *n, uint32_t number)
{
	n->entry[number] = NULL;
	n->used[number / 64] &= ~(1ull << number % 64);
	if (number < n->hint)
		n->hint = number;
}

void pico__numbers_fini(struct pico__numbers *n)
{
	free(n->entry);
	free(n->used);
	memset(n, 0, sizeof(*n));
}

/* The descriptors that the monitor keeps for a guest are the host process's: an
 * eighth of what that may have is left to it. The lowest free number tells
 * nearly how many there are. */
bool pico__streams_host_room(const struct pico__streams *s)
{
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return true;
	fd = s->null_fd >= 0 ? fcntl(s->null_fd, F_DUPFD_CLOEXEC, 0) : eventfd(0, EFD_CLOEXEC);
	pico__close(fd);
	return fd >= 0 && (rlim_t)fd < limit.rlim_cur - limit.rlim_cur / 8;
}

int pico__streams_reserve_number(struct pico__streams *s)
{
	int number;

	if (!pico__streams_host_room(s))
		return -PICO_EMFILE;
	pico__streams_lock(s);
	number = numbers_take(&s->descriptors, PICO_FIRST_FD);
	pico__streams_unlock(s);
	return number;
}

void pico__streams_release_number(struct pico__streams *s, int number)
{
	struct pico__numbers *n = &s->descriptors;

	pico__streams_lock(s);
	if (number >= (int)PICO_FIRST_FD && (uint32_t)number < n->capacity && !n->entry[number])
		numbers_free(n, (uint32_t)number);
	pico__streams_unlock(s);
}

uint32_t pico__streams_count(const struct pico__streams *s)
{
	struct pico__streams *mutable = (struct pico__streams *)s;
	uint32_t count;

	pico__streams_lock(mutable);
	count = s->count;
	pico__streams_unlock(mutable);
	return count;
}

/* ---- claims ---- */

int pico__charge_locked(struct pico__streams *s)
{
	if (s->stopped || s->count >= s->limit)
		return -PICO_EMFILE;
	s->count++;
	return 0;
}

void pico__uncharge_locked(struct pico__streams *s)
{
	s->count--;
}

int pico__claim_take(struct pico__claim *claim, struct pico__streams *s, enum pico_handle_type type)
{
	int result;

	pico__streams_lock(s);
	result = pico__charge_locked(s);
	if (!result) {
		result = numbers_take(numbers_of(s, type), first_number(type));
		if (result < 0)
			pico__uncharge_locked(s);
	}
	pico__streams_unlock(s);
	if (result < 0)
		return result;
	*claim = (struct pico__claim){ .s = s, .type = type, .number = result };
	return 0;
}

/* This very number. */
static int numbers_take_at(struct pico__numbers *n, uint32_t number)
{
	int error = 0;

	while (!error && number >= n->capacity)
		error = numbers_grow(n);
	if (error)
		return error;
	if (n->used[number / 64] >> number % 64 & 1)
		return -PICO_EEXIST;
	n->used[number / 64] |= 1ull << number % 64;
	return 0;
}

int pico__claim_take_at(struct pico__claim *claim, struct pico__streams *s, uint64_t handle)
{
	const enum pico_handle_type type = (enum pico_handle_type)PICO_HANDLE_TYPE(handle);
	const uint64_t number = PICO_HANDLE_PAYLOAD(handle);
	int result;

	if ((type != PICO_HT_STREAM && type != PICO_HT_MONITOR) || number < first_number(type) || number >= PICO_NUMBER_MAX)
		return -PICO_EINVAL;
	pico__streams_lock(s);
	result = pico__charge_locked(s);
	if (!result) {
		result = numbers_take_at(numbers_of(s, type), (uint32_t)number);
		if (result < 0)
			pico__uncharge_locked(s);
	}
	pico__streams_unlock(s);
	if (!result)
		*claim = (struct pico__claim){ .s = s, .type = type, .number = (int)number };
	return result;
}

void pico__claim_drop(struct pico__claim *claim)
{
	struct pico__streams *s = claim->s;

	if (!s)
		return;
	pico__streams_lock(s);
	numbers_free(numbers_of(s, claim->type), (uint32_t)claim->number);
	pico__uncharge_locked(s);
	pico__streams_unlock(s);
	claim->s = NULL;
}

pico_handle pico__claim_fill(struct pico__claim *claim, struct pico__stream **e)
{
	struct pico__streams *s = claim->s;
	struct pico__stream *stream = *e;

	*e = NULL;
	claim->s = NULL;
	pico__streams_lock(s);
	stream->handle = PICO_HANDLE(claim->type, claim->number);
	stream->references = 1;
	stream->pins = 1; /* the maker's pin becomes the table's */
	numbers_of(s, claim->type)->entry[claim->number] = stream;
	pico__streams_unlock(s);
	/* Another thread may have closed it already: not *stream. */
	return PICO_HANDLE(claim->type, claim->number);
}

/* ---- streams ---- */

struct pico__stream *pico__stream_new(struct pico__streams *s, const struct pico__stream_ops *ops, const char *uri, uint32_t access)
{
	struct pico__stream *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->uri = strdup(uri);
	if (!e->uri) {
		free(e);
		return NULL;
	}
	e->owner = s;
	e->ops = ops;
	e->access = access;
	e->pins = 1;
	e->fd = -1;
	return e;
}

static void stream_free(struct pico__stream *e)
{
	if (e->ops->destroy)
		e->ops->destroy(e);
	pico__close(e->fd);
	free(e->uri);
	free(e);
}

void pico__stream_put(struct pico__stream **e)
{
	struct pico__stream *stream = *e;
	uint32_t left;

	if (!stream)
		return;
	pico__streams_lock(stream->owner);
	left = --stream->pins;
	pico__streams_unlock(stream->owner);
	*e = NULL;
	if (!left)
		stream_free(stream);
}

static struct pico__stream *find_locked(struct pico__streams *s, uint64_t handle)
{
	unsigned type = PICO_HANDLE_TYPE(handle);
	uint64_t number = PICO_HANDLE_PAYLOAD(handle);
	struct pico__numbers *n;

	if (type != PICO_HT_STREAM && type != PICO_HT_MONITOR)
		return NULL;
	n = numbers_of(s, (enum pico_handle_type)type);
	return number < n->capacity ? n->entry[number] : NULL;
}

struct pico__stream *pico__stream_get(struct pico__streams *s, uint64_t handle)
{
	struct pico__stream *e;

	pico__streams_lock(s);
	e = find_locked(s, handle);
	if (e)
		e->pins++;
	pico__streams_unlock(s);
	return e;
}

/* The handle goes; returns whether the stream goes with it. */
static bool remove_locked(struct pico__streams *s, struct pico__stream *e)
{
	numbers_free(numbers_of(s, (enum pico_handle_type)PICO_HANDLE_TYPE(e->handle)),
		     (uint32_t)PICO_HANDLE_PAYLOAD(e->handle));
	pico__uncharge_locked(s);
	if (e->ops->closed)
		e->ops->closed(e);
	return !--e->pins;
}

int pico__stream_close(struct pico__streams *s, uint64_t handle)
{
	struct pico__stream *e;
	bool last = false;

	pico__streams_lock(s);
	e = find_locked(s, handle);
	if (e && !--e->references)
		last = remove_locked(s, e);
	pico__streams_unlock(s);
	if (last)
		stream_free(e);
	return e ? 0 : -PICO_EBADF;
}

int pico__stream_reference(struct pico__streams *s, uint64_t handle)
{
	struct pico__stream *e;
	int result = 0;

	pico__streams_lock(s);
	e = PICO_HANDLE_TYPE(handle) == PICO_HT_MONITOR ? find_locked(s, handle) : NULL;
	if (!e)
		result = -PICO_EBADF;
	else if (e->references == UINT32_MAX)
		result = -PICO_EOVERFLOW;
	else
		e->references++;
	pico__streams_unlock(s);
	return result;
}

static void close_numbers(struct pico__streams *s, struct pico__numbers *n)
{
	for (uint32_t i = 0;; i++) {
		struct pico__stream *e;
		bool last = false;

		pico__streams_lock(s);
		if (i >= n->capacity) {
			pico__streams_unlock(s);
			return;
		}
		e = n->entry[i];
		if (e)
			last = remove_locked(s, e);
		pico__streams_unlock(s);
		if (last)
			stream_free(e);
	}
}

void pico__streams_close_all(struct pico__streams *s)
{
	pico__streams_lock(s);
	s->stopped = true;
	pico__streams_unlock(s);
	close_numbers(s, &s->descriptors);
	close_numbers(s, &s->ids);
}

uint64_t pico__streams_inode(struct pico__streams *s)
{
	uint64_t inode;

	pico__streams_lock(s);
	inode = ++s->next_inode;
	pico__streams_unlock(s);
	return inode;
}

/* ---- names of open streams ---- */

/* The URI of e after `from` became `to`, or NULL when that does not touch it. */
static char *renamed_uri(const struct pico__stream *e, const char *from, const char *to)
{
	const char *path = strchr(e->uri, ':') + 1;
	size_t size = strlen(from);
	char *uri;

	if (strncmp(path, from, size) || (path[size] && path[size] != '/'))
		return NULL;
	if (asprintf(&uri, "%.*s%s%s", (int)(path - e->uri), e->uri, to, path + size) < 0)
		return NULL; /* no memory for the new name: the old one is told */
	return uri;
}

static void rename_numbers(struct pico__numbers *n, const char *from, const char *to, bool exchange)
{
	for (uint32_t i = 0; i < n->capacity; i++) {
		struct pico__stream *e = n->entry[i];
		char *uri;

		if (!e || !e->mount)
			continue;
		uri = renamed_uri(e, from, to);
		if (!uri && exchange)
			uri = renamed_uri(e, to, from);
		if (!uri)
			continue;
		free(e->uri);
		e->uri = uri;
	}
}

void pico__streams_renamed(struct pico__streams *s, const char *from, const char *to, bool exchange)
{
	pico__streams_lock(s);
	rename_numbers(&s->descriptors, from, to, exchange);
	rename_numbers(&s->ids, from, to, exchange);
	pico__streams_unlock(s);
}

/* ---- grants ---- */

void pico__grant_give(struct pico__call *c, int *fd, int number)
{
	int i = c->grant_count++;

	c->grant[i].fd = pico__steal_fd(fd);
	c->grant[i].number = number;
	c->grant_own[i] = true;
}

int pico__grant_copy(struct pico__call *c, int fd, int number)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return pico__error(errno);
	pico__grant_give(c, &copy, number);
	return 0;
}

void pico__grants_drop(struct pico__call *c)
{
	for (int i = 0; i < c->grant_count; i++)
		if (c->grant_own[i])
			pico__close(c->grant[i].fd);
	c->grant_count = 0;
}

int64_t pico__stream_opened(struct pico__claim *claim, struct pico__stream **e, const struct pico__open *o, struct pico__call *c)
{
	int error = 0;

	if (o->want && !c->attr_out) {
		error = (*e)->ops->attributes(*e, &c->attr);
		c->attr_out = true;
	}
	if (!error && claim->type == PICO_HT_STREAM && !c->grant_count)
		error = pico__grant_copy(c, (*e)->fd, claim->number);
	return error ? error : pico__claim_fill(claim, e);
}
