/* SPDX-License-Identifier: Apache-2.0
 *
 * app: streams, which the host application serves with its own functions. They
 * have no descriptor: each read and write is a request. Knows nothing of
 * workers; it only says that the functions may block.
 */
#include <string.h>

#include "stream_internal.h"

int64_t pico__callback_read(const struct pico__app_ops *ops, struct pico__call *c, uint64_t offset, uint64_t size)
{
	return ops->read ? ops->read(ops->user, offset, c->bulk, size) : -PICO_EINVAL;
}

int64_t pico__callback_write(const struct pico__app_ops *ops, struct pico__call *c, uint64_t offset, uint64_t size)
{
	return ops->write ? ops->write(ops->user, offset, c->bulk, size) : -PICO_EINVAL;
}

static int64_t app_read(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	return pico__callback_read(&e->of.app->callbacks, c, offset, size);
}

static int64_t app_write(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	return pico__callback_write(&e->of.app->callbacks, c, offset, size);
}

static uint32_t app_mode(const struct pico__app *app)
{
	return (app->callbacks.read ? 0400 : 0) | (app->callbacks.write ? 0200 : 0);
}

static int app_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_APP, app_mode(e->of.app), e->inode, a);
	a->flags = PICO_STREAM_FLAG_SEEKABLE; /* the functions are told the offset */
	return 0;
}

static const struct pico__stream_ops app_stream = {
	.kind = PICO__KIND_APP,
	.transfer_blocks = true,
	.read = app_read,
	.write = app_write,
	.attributes = app_attributes,
};

int pico__streams_app(struct pico__streams *s, const char *name, const struct pico__app_ops *ops)
{
	size_t size = name ? strlen(name) : 0;
	struct pico__app *app;

	if (!size || size > PICO_URI_MAX - strlen("app:") || !ops || (!ops->read && !ops->write))
		return -PICO_EINVAL;
	app = calloc(1, sizeof(*app) + size + 1);
	if (!app)
		return -PICO_ENOMEM;
	memcpy(app->name, name, size + 1);
	app->callbacks = *ops;
	pico__streams_lock(s);
	for (struct pico__app *o = s->apps; o; o = o->next)
		if (!strcmp(o->name, name)) {
			pico__streams_unlock(s);
			free(app);
			return -PICO_EEXIST;
		}
	app->next = s->apps;
	s->apps = app;
	pico__streams_unlock(s);
	return 0;
}

static const struct pico__app *app_find(struct pico__streams *s, const char *name)
{
	const struct pico__app *app;

	pico__streams_lock(s);
	for (app = s->apps; app && strcmp(app->name, name); app = app->next)
		;
	pico__streams_unlock(s);
	return app;
}

static bool app_grants(const struct pico__app *app, uint32_t access)
{
	return !(access & PICO_ACCESS_EXECUTE) && (!(access & PICO_ACCESS_READ) || app->callbacks.read) &&
		(!(access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND)) || app->callbacks.write);
}

int pico__app_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out)
{
	const struct pico__app *app = app_find(s, a->uri.rest);

	if (!app || !app_grants(app, a->record->access))
		return app ? -PICO_EACCES : -PICO_ENOENT;
	*out = pico__stream_new(s, &app_stream, a->uri.text, a->record->access);
	if (!*out)
		return -PICO_ENOMEM;
	(*out)->of.app = app;
	(*out)->inode = pico__streams_inode(s);
	return 0;
}

static int64_t app_open(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	const struct pico__app *app = app_find(s, uri->rest);
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	int error;

	if (!app)
		return -PICO_ENOENT;
	if (!o->access || !app_grants(app, o->access))
		return o->access ? -PICO_EACCES : -PICO_EINVAL;
	error = pico__claim_take(&claim, s, PICO_HT_MONITOR);
	if (error)
		return error;
	e = pico__stream_new(s, &app_stream, uri->text, o->access);
	if (!e)
		return -PICO_ENOMEM;
	e->of.app = app;
	e->inode = pico__streams_inode(s);
	return pico__stream_opened(&claim, &e, o, c);
}

static int64_t app_query(struct pico__streams *s, struct pico__uri *uri, struct pico__call *c)
{
	const struct pico__app *app = app_find(s, uri->rest);

	if (!app)
		return -PICO_ENOENT;
	pico__attributes_plain(&s->owner, PICO_STREAM_APP, app_mode(app), 0, &c->attr);
	c->attr.flags = PICO_STREAM_FLAG_SEEKABLE;
	return 0;
}

const struct pico__scheme_ops pico__app_scheme = {
	.refusal = -PICO_ENOTSUP,
	.open = app_open,
	.query = app_query,
};
