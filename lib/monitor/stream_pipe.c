/* SPDX-License-Identifier: Apache-2.0
 *
 * Anonymous pipes, and the pipe: and unix: servers of an instance with their
 * clients. The names are the instance's own: the host's unix names are not
 * used at all. Knows nothing of how the guest waits.
 *
 * The monitor keeps no end of a pipe or connection once it is granted, so
 * closing works as it should. A server is a queue of connections here, and an
 * eventfd there that is readable while somebody waits in the queue. The guest
 * can write to that eventfd too, and so deceive nobody but itself: it never
 * blocks, and what counts is the queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "stream_internal.h"

#define BACKLOG 128u

struct pico__server { /* L */
	int queue[BACKLOG]; /* descriptors; each counts as a stream */
	uint32_t first, count;
};

/* ---- ends that have been granted ---- */

static int pipe_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_PIPE, 0600, e->inode, a);
	return 0;
}

static int socket_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_SOCKET, 0777, e->inode, a);
	return 0;
}

static const struct pico__stream_ops pipe_stream = { .attributes = pipe_attributes };
static const struct pico__stream_ops socket_stream = { .attributes = socket_attributes };

static struct pico__stream *end_new(struct pico__streams *s, const struct pico__stream_ops *ops, const char *uri, uint32_t access, uint64_t inode)
{
	struct pico__stream *e = pico__stream_new(s, ops, uri, access);

	if (e)
		e->inode = inode;
	return e;
}

static int64_t open_pipe(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	PICO__CLAIM struct pico__claim read_claim = { 0 };
	PICO__CLAIM struct pico__claim write_claim = { 0 };
	PICO__STREAM struct pico__stream *reader = NULL;
	PICO__STREAM struct pico__stream *writer = NULL;
	uint64_t inode = pico__streams_inode(s);
	int ends[2], error;

	/* Without attributes the caller could not learn of the other end. */
	if (uri->rest_size || o->flags != PICO_OPEN_PIPE || !o->want)
		return -PICO_EINVAL;
	error = pico__claim_take(&read_claim, s, PICO_HT_STREAM);
	if (!error)
		error = pico__claim_take(&write_claim, s, PICO_HT_STREAM);
	if (error)
		return error;
	reader = end_new(s, &pipe_stream, uri->text, PICO_ACCESS_READ, inode);
	writer = end_new(s, &pipe_stream, uri->text, PICO_ACCESS_WRITE, inode);
	if (!reader || !writer)
		return -PICO_ENOMEM;
	if (pipe2(ends, O_CLOEXEC))
		return pico__error(errno);
	pico__grant_give(c, &ends[0], read_claim.number);
	pico__grant_give(c, &ends[1], write_claim.number);
	pipe_attributes(reader, &c->attr);
	c->attr_out = true;
	c->attr.peer_handle = pico__claim_fill(&write_claim, &writer);
	return pico__claim_fill(&read_claim, &reader);
}

/* ---- servers ---- */

static void event_signal(int event)
{
	uint64_t one = 1;
	/* Full only when the guest filled it; then it is readable anyway. */
	ssize_t ignored = write(event, &one, sizeof(one));

	(void)ignored;
}

static void event_take(int event)
{
	uint64_t one;
	ssize_t ignored = read(event, &one, sizeof(one));

	(void)ignored;
}

/* Waiting clients are turned away: their connections hang up. */
static void server_closed(struct pico__stream *e)
{
	struct pico__server *server = e->of.server;
	struct pico__streams *s = e->owner;

	if (pico__names_find(&s->servers, e->uri) == e)
		pico__names_remove(&s->servers, e->uri);
	for (; server->count; server->count--, server->first = (server->first + 1) % BACKLOG) {
		pico__close(server->queue[server->first]);
		pico__uncharge_locked(s);
	}
}

static void server_destroy(struct pico__stream *e)
{
	free(e->of.server);
}

static int queue_put_locked(struct pico__streams *s, struct pico__stream *server_stream, int *fd)
{
	struct pico__server *server = server_stream->of.server;
	int error;

	if (server->count == BACKLOG)
		return -PICO_ECONNREFUSED;
	error = pico__charge_locked(s);
	if (error)
		return error;
	server->queue[(server->first + server->count++) % BACKLOG] = pico__steal_fd(fd);
	event_signal(server_stream->fd);
	return 0;
}

static int queue_take(struct pico__stream *e)
{
	struct pico__server *server = e->of.server;
	int fd = -1;

	pico__streams_lock(e->owner);
	if (server->count) {
		fd = server->queue[server->first];
		server->first = (server->first + 1) % BACKLOG;
		server->count--;
		pico__uncharge_locked(e->owner);
		event_take(e->fd);
	}
	pico__streams_unlock(e->owner);
	return fd;
}

static bool queue_empty(struct pico__stream *e)
{
	uint32_t count;

	pico__streams_lock(e->owner);
	count = e->of.server->count;
	pico__streams_unlock(e->owner);
	return !count;
}

static int64_t server_accept(struct pico__stream *server, struct pico__call *c)
{
	static const struct pico__open wanted = { .access = PICO_ACCESS_READ | PICO_ACCESS_WRITE };
	struct pico__streams *s = server->owner;
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	PICO__CLOSE int fd = -1;
	int error;

	if (queue_empty(server))
		return -PICO_EAGAIN;
	/* All that can fail comes first: a client is never lost. */
	error = pico__claim_take(&claim, s, PICO_HT_STREAM);
	if (error)
		return error;
	e = end_new(s, &socket_stream, server->uri, wanted.access, pico__streams_inode(s));
	if (!e)
		return -PICO_ENOMEM;
	fd = queue_take(server);
	if (fd < 0)
		return -PICO_EAGAIN; /* another thread was quicker */
	pico__grant_give(c, &fd, claim.number);
	return pico__stream_opened(&claim, &e, &wanted, c);
}

static const struct pico__stream_ops server_stream = {
	.kind = PICO__KIND_SERVER,
	.attributes = socket_attributes,
	.accept = server_accept,
	.closed = server_closed,
	.destroy = server_destroy,
};

static int server_name(struct pico__streams *s, struct pico__stream *e)
{
	int error;

	pico__streams_lock(s);
	error = pico__names_find(&s->servers, e->uri) ? -PICO_EEXIST : pico__names_add(&s->servers, e->uri, e);
	pico__streams_unlock(s);
	return error;
}

static int64_t open_server(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	int error;

	if (!uri->rest_size || o->flags != PICO_OPEN_SERVER)
		return -PICO_EINVAL;
	error = pico__claim_take(&claim, s, PICO_HT_STREAM);
	if (error)
		return error;
	e = end_new(s, &server_stream, uri->text, PICO_ACCESS_READ, pico__streams_inode(s));
	if (!e || !(e->of.server = calloc(1, sizeof(*e->of.server))))
		return -PICO_ENOMEM;
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (e->fd < 0)
		return pico__error(errno);
	error = pico__grant_copy(c, e->fd, claim.number);
	/* The name comes last: from then on clients come, and nothing fails. */
	if (!error)
		error = server_name(s, e);
	return error ? error : pico__stream_opened(&claim, &e, o, c);
}

int pico__server_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out)
{
	PICO__STREAM struct pico__stream *e = end_new(s, &server_stream, a->uri.text, PICO_ACCESS_READ, pico__streams_inode(s));
	int error;

	if (!e || !(e->of.server = calloc(1, sizeof(*e->of.server))))
		return -PICO_ENOMEM;
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (e->fd < 0)
		return pico__error(errno);
	error = server_name(s, e);
	if (error)
		return error;
	*out = e;
	e = NULL;
	return 0;
}

static int64_t open_client(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	struct pico__stream *server; /* not ours to release: the attribute would bind to it, too */
	PICO__CLOSE int mine = -1;
	PICO__CLOSE int theirs = -1;
	int ends[2], error;

	if (!uri->rest_size || o->flags)
		return -PICO_EINVAL;
	error = pico__claim_take(&claim, s, PICO_HT_STREAM);
	if (error)
		return error;
	e = end_new(s, &socket_stream, uri->text, PICO_ACCESS_READ | PICO_ACCESS_WRITE, pico__streams_inode(s));
	if (!e)
		return -PICO_ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return pico__error(errno);
	mine = ends[0];
	theirs = ends[1];
	pico__streams_lock(s);
	server = pico__names_find(&s->servers, uri->text);
	error = server ? queue_put_locked(s, server, &theirs) : -PICO_ENOENT;
	pico__streams_unlock(s);
	if (error)
		return error;
	pico__grant_give(c, &mine, claim.number);
	return pico__stream_opened(&claim, &e, o, c);
}

static int64_t pipe_open(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	if (o->access & PICO_ACCESS_EXECUTE)
		return -PICO_EACCES;
	if (o->flags & PICO_OPEN_PIPE)
		return open_pipe(s, uri, o, c);
	return o->flags & PICO_OPEN_SERVER ? open_server(s, uri, o, c) : open_client(s, uri, o, c);
}

/* The name goes; the server lives on for the clients it has. */
static int64_t name_delete(struct pico__streams *s, struct pico__uri *uri, uint32_t flags)
{
	void *server;

	if (flags)
		return -PICO_ENOTDIR;
	pico__streams_lock(s);
	server = pico__names_remove(&s->servers, uri->text);
	pico__streams_unlock(s);
	return server ? 0 : -PICO_ENOENT;
}

const struct pico__scheme_ops pico__pipe_scheme = {
	.open_flags = PICO_OPEN_PIPE | PICO_OPEN_SERVER,
	.refusal = -PICO_ENOTSUP,
	.open = pipe_open,
	.delete = name_delete,
};
const struct pico__scheme_ops pico__unix_scheme = {
	.open_flags = PICO_OPEN_SERVER,
	.refusal = -PICO_ENOTSUP,
	.open = pipe_open,
	.delete = name_delete,
};
