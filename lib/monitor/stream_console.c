/* SPDX-License-Identifier: Apache-2.0
 *
 * console:stdin, console:stdout, console:stderr: a descriptor of the host
 * application's choice, its callbacks, or nothing. Knows nothing of who reads
 * or writes at the other end.
 *
 * A descriptor is shared with the host as it is: the guest can neither change
 * its flags nor do more with it than the host could.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "stream_internal.h"

/* ---- what the host gave ---- */

/* enum pico_stream_type, or -PICO_E. */
static int descriptor_type(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return pico__error(errno);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return PICO_STREAM_FILE;
	case S_IFIFO:
		return PICO_STREAM_PIPE;
	case S_IFSOCK:
		return PICO_STREAM_SOCKET;
	case S_IFBLK:
		return PICO_STREAM_BLOCKDEV;
	case S_IFCHR:
		if (st.st_rdev == makedev(1, 3))
			return PICO_STREAM_NULL;
		return isatty(fd) ? PICO_STREAM_CONSOLE : PICO_STREAM_CHARDEV;
	case S_IFDIR:
		return -PICO_EISDIR;
	default:
		return -PICO_EINVAL;
	}
}

/* PICO_ACCESS_ bits, or -PICO_E. */
static int descriptor_access(int fd)
{
	static const int access[] = {
		[O_RDONLY] = PICO_ACCESS_READ,
		[O_WRONLY] = PICO_ACCESS_WRITE | PICO_ACCESS_APPEND,
		[O_RDWR] = PICO_ACCESS_READ | PICO_ACCESS_WRITE | PICO_ACCESS_APPEND,
	};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return pico__error(errno);
	if ((flags & O_PATH) || (flags & O_ACCMODE) == O_ACCMODE)
		return -PICO_EINVAL;
	return access[flags & O_ACCMODE];
}

static int describe_descriptor(struct pico__console *console, int fd)
{
	int type = descriptor_type(fd), access = descriptor_access(fd);

	if (type < 0 || access < 0)
		return type < 0 ? type : access;
	console->type = (uint32_t)type;
	console->access = (uint32_t)access;
	if (type == PICO_STREAM_CONSOLE && !tcgetattr(fd, &console->saved)) {
		console->terminal = true;
		ioctl(fd, TIOCGWINSZ, &console->saved_size);
	}
	console->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return console->fd < 0 ? pico__error(errno) : 0;
}

static void describe_callbacks(struct pico__console *console, const struct pico__app_ops *ops)
{
	console->callbacks = *ops;
	console->type = PICO_STREAM_APP;
	console->access = (ops->read ? PICO_ACCESS_READ : 0) | (ops->write ? PICO_ACCESS_WRITE | PICO_ACCESS_APPEND : 0);
}

int pico__console_init(struct pico__streams *s, int number, int fd, const struct pico__app_ops *ops, uint32_t *type_out)
{
	struct pico__console console = { .fd = -1, .type = PICO_STREAM_NULL,
		.access = PICO_ACCESS_READ | PICO_ACCESS_WRITE | PICO_ACCESS_APPEND };
	int error = 0, before = -1;

	if (fd == PICO__STDIO_CLOSED)
		console.type = 0;
	else if (ops)
		describe_callbacks(&console, ops);
	else if (fd >= 0)
		error = describe_descriptor(&console, fd);
	if (error)
		return error;
	pico__streams_lock(s);
	if (s->console[number].type) /* zero before its first init */
		before = s->console[number].fd;
	s->console[number] = console;
	pico__streams_unlock(s);
	pico__close(before);
	if (type_out)
		*type_out = console.type;
	return 0;
}

void pico__console_fini(struct pico__streams *s)
{
	for (int i = 0; i < 3; i++) {
		struct pico__console *console = &s->console[i], gone;

		pico__streams_lock(s);
		gone = *console;
		console->fd = -1;
		console->changed = false;
		pico__streams_unlock(s);
		if (gone.changed && gone.fd >= 0)
			pico__terminal_restore(&gone);
		pico__close(gone.fd);
	}
}

/* ---- open ones ---- */

static int console_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	const struct pico__console *console = e->of.console;
	int error = pico__attributes_read(&e->owner->owner, e->fd, console->type == PICO_STREAM_FILE, a);

	if (error)
		return error;
	a->type = console->type;
	if (!console->terminal)
		return 0;
	a->flags = PICO_STREAM_FLAG_TERMINAL;
	return pico__terminal_read(e->fd, a);
}

/* The terminal's settings are the guest's while it runs; owner, mode and times
 * of what the host gave are not. */
static int console_set(struct pico__stream *e, const struct pico_stream_attributes *a)
{
	struct pico__console *console = e->of.console;

	if (a->valid != PICO_ATTR_TERMINAL)
		return a->valid & PICO_ATTR_TERMINAL ? -PICO_EINVAL : -PICO_EPERM;
	if (!console->terminal)
		return -PICO_ENOTSUP;
	pico__streams_lock(e->owner);
	console->changed = true;
	pico__streams_unlock(e->owner);
	return pico__terminal_apply(e->fd, &a->term);
}

/* A host that gave a file for appending did not give what is in it. */
static int console_set_length(struct pico__stream *e, uint64_t length, uint32_t mode, uint64_t offset)
{
	int flags = fcntl(e->fd, F_GETFL);

	if (e->of.console->type != PICO_STREAM_FILE)
		return -PICO_EINVAL;
	return flags < 0 || (flags & O_APPEND) ? -PICO_EPERM : pico__length_apply(e->fd, length, mode, offset);
}

static int console_flush(struct pico__stream *e, uint32_t flags)
{
	return e->of.console->type == PICO_STREAM_FILE ? pico__flush_apply(e->fd, flags) : -PICO_EINVAL;
}

static const struct pico__stream_ops descriptor_stream = {
	.kind = PICO__KIND_CONSOLE,
	.attributes = console_attributes,
	.set = console_set,
	.set_length = console_set_length,
	.flush = console_flush,
};

static int64_t callback_read(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	(void)offset; /* a standard stream has no positions */
	return pico__callback_read(&e->of.console->callbacks, c, PICO_OFFSET_NONE, size);
}

static int64_t callback_write(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	(void)offset;
	return pico__callback_write(&e->of.console->callbacks, c, PICO_OFFSET_NONE, size);
}

static int callback_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_APP, 0600, e->inode, a);
	return 0;
}

static const struct pico__stream_ops callback_stream = {
	.kind = PICO__KIND_CONSOLE,
	.transfer_blocks = true,
	.read = callback_read,
	.write = callback_write,
	.attributes = callback_attributes,
};

static struct pico__console *console_find(struct pico__streams *s, const char *name)
{
	static const char *const names[3] = { "stdin", "stdout", "stderr" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(name, names[i]))
			return s->console[i].type ? &s->console[i] : NULL; /* closed: no such stream */
	return NULL;
}

/* A copy of the host's descriptor, or of /dev/null's. -PICO_ENODEV: no
 * descriptor stands behind it. */
static int console_descriptor(struct pico__streams *s, const struct pico__console *console)
{
	int fd, copy = -1;

	pico__streams_lock(s); /* the end of the guest may be closing it */
	fd = console->type == PICO_STREAM_NULL && console->fd < 0 ? s->null_fd : console->fd;
	if (fd >= 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pico__streams_unlock(s);
	return fd < 0 ? -PICO_ENODEV : copy < 0 ? pico__error(errno) : copy;
}

static int64_t console_open(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	struct pico__console *console = console_find(s, uri->rest);
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	PICO__CLOSE int fd = -1;
	int error;

	if (!console)
		return -PICO_ENOENT;
	if (!o->access || (o->access & ~console->access))
		return o->access ? -PICO_EACCES : -PICO_EINVAL;
	fd = console_descriptor(s, console);
	if (fd < 0 && fd != -PICO_ENODEV)
		return fd;
	error = pico__claim_take(&claim, s, fd >= 0 ? PICO_HT_STREAM : PICO_HT_MONITOR);
	if (error)
		return error;
	e = pico__stream_new(s, fd >= 0 ? &descriptor_stream : console->type == PICO_STREAM_APP ? &callback_stream : &pico__null_stream,
			     uri->text, o->access);
	if (!e)
		return -PICO_ENOMEM;
	e->of.console = console;
	e->inode = pico__streams_inode(s);
	e->fd = pico__steal_fd(&fd);
	return pico__stream_opened(&claim, &e, o, c);
}

/* A descriptor stays one, and what has none stays without: the handle says. Of
 * the access, what the new one has. */
int pico__console_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out)
{
	struct pico__console *console = console_find(s, a->uri.rest);
	PICO__STREAM struct pico__stream *e = NULL;
	PICO__CLOSE int fd = -1;

	if (!console)
		return -PICO_ENOENT;
	if (!(a->record->access & console->access))
		return -PICO_EACCES;
	fd = console_descriptor(s, console);
	if (fd < 0 && fd != -PICO_ENODEV)
		return fd;
	if ((fd >= 0) != (PICO_HANDLE_TYPE(a->record->handle) == PICO_HT_STREAM))
		return -PICO_ENOTSUP;
	e = pico__stream_new(s, fd >= 0 ? &descriptor_stream : console->type == PICO_STREAM_APP ? &callback_stream : &pico__null_stream,
			     a->uri.text, a->record->access & console->access);
	if (!e)
		return -PICO_ENOMEM;
	e->of.console = console;
	e->inode = pico__streams_inode(s);
	e->fd = pico__steal_fd(&fd);
	*out = e;
	e = NULL;
	return 0;
}

static int64_t console_query(struct pico__streams *s, struct pico__uri *uri, struct pico__call *c)
{
	struct pico__console *console = console_find(s, uri->rest);
	PICO__CLOSE int fd = -1;
	struct pico__stream e = { .owner = s };

	if (!console)
		return -PICO_ENOENT;
	fd = console_descriptor(s, console);
	e.of.console = console;
	e.fd = fd;
	if (fd >= 0)
		return console_attributes(&e, &c->attr);
	if (fd != -PICO_ENODEV)
		return fd;
	pico__attributes_plain(&s->owner, console->type, 0600, 0, &c->attr);
	return 0;
}

const struct pico__scheme_ops pico__console_scheme = {
	.refusal = -PICO_ENOTSUP,
	.open = console_open,
	.query = console_query,
};
