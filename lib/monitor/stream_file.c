/* SPDX-License-Identifier: Apache-2.0
 *
 * file: streams, and what file: and dir: names have in common: attributes by
 * name, deleting, renaming, linking. Knows nothing of how a path is resolved.
 *
 * The monitor keeps a descriptor of every open file, for length, flush and
 * attributes; the guest's is a copy of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "stream_internal.h"

#define CREATE_TRIES 16 /* the name appears and disappears under our eyes */

static void auto_found(struct pico__found *found)
{
	pico__close(found->fd);
}
#define FOUND __attribute__((cleanup(auto_found)))

static bool writes(const struct pico__open *o)
{
	return o->access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND);
}

static uint64_t host_flags(const struct pico__open *o)
{
	uint64_t flags = writes(o) ? O_WRONLY : O_RDONLY;

	if (writes(o) && (o->access & (PICO_ACCESS_READ | PICO_ACCESS_EXECUTE)))
		flags = O_RDWR;
	if (o->access & PICO_ACCESS_APPEND)
		flags |= O_APPEND;
	return flags;
}

/* The host's umask is not the guest's, which the library OS has applied. */
static int exact_mode(int fd, uint32_t mode)
{
	struct stat st;

	if (fstat(fd, &st))
		return pico__error(errno);
	return (st.st_mode & 01777) == mode ? 0 : pico__chmod(fd, mode);
}

static int create_file(const struct pico__place *place, const struct pico__open *o)
{
	uint32_t mode = pico__mode_allowed(o->mode, false);
	PICO__CLOSE int fd = -1;
	int error;

	if (place->mount->read_only) {
		PICO__CLOSE int parent = -1;
		const char *name;

		error = pico__policy_parent(place, &parent, &name);
		return error ? error : -PICO_EROFS;
	}
	fd = pico__policy_create(place, host_flags(o), mode);
	if (fd < 0)
		return fd;
	error = exact_mode(fd, mode);
	return error ? error : pico__steal_fd(&fd);
}

static int open_existing(const struct pico__place *place, const struct pico__open *o, const struct pico__found *found)
{
	if (o->flags & PICO_OPEN_EXCLUSIVE)
		return -PICO_EEXIST;
	if (S_ISREG(found->st.stx_mode) && place->mount->read_only && (writes(o) || (o->flags & PICO_OPEN_TRUNCATE)))
		return -PICO_EROFS;
	return pico__policy_open(place, found, host_flags(o) | (o->flags & PICO_OPEN_TRUNCATE ? O_TRUNC : 0));
}

static int open_named(const struct pico__place *place, const struct pico__open *o)
{
	bool create = o->flags & PICO_OPEN_CREATE;
	int fd;

	for (unsigned i = 0; i < CREATE_TRIES; i++) {
		FOUND struct pico__found found = { .fd = -1 };

		fd = pico__policy_walk(place, create && (o->flags & PICO_OPEN_EXCLUSIVE), &found);
		if (!fd)
			fd = open_existing(place, o, &found);
		else if (fd == -PICO_ENOENT && create)
			fd = create_file(place, o);
		else
			return fd;
		if (fd == -PICO_EEXIST && !(o->flags & PICO_OPEN_EXCLUSIVE))
			continue;
		if (fd != -PICO_EBUSY)
			return fd;
	}
	return -PICO_EBUSY;
}

static int open_temporary(const struct pico__place *place, const struct pico__open *o)
{
	uint32_t mode = pico__mode_allowed(o->mode, false);
	PICO__CLOSE int fd = -1;
	int error;

	if (place->mount->read_only)
		return -PICO_EROFS;
	if (!writes(o) || (o->flags & (PICO_OPEN_CREATE | PICO_OPEN_TRUNCATE)))
		return -PICO_EINVAL;
	fd = pico__policy_temporary(place, host_flags(o) | (o->flags & PICO_OPEN_EXCLUSIVE ? O_EXCL : 0), mode);
	if (fd < 0)
		return fd;
	error = exact_mode(fd, mode);
	return error ? error : pico__steal_fd(&fd);
}

/* The kernel lets any readable file of an executable mount be mapped so. */
static int check_executable(int fd)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs))
		return pico__error(errno);
	return fs.f_flag & ST_NOEXEC ? -PICO_EACCES : 0;
}

/* ---- an open file ---- */

static int file_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	int error = pico__attributes_read(&e->owner->owner, e->fd, true, a);

	if (e->mount->read_only)
		a->flags |= PICO_STREAM_FLAG_READ_ONLY_MOUNT;
	return error;
}

static int file_set(struct pico__stream *e, const struct pico_stream_attributes *a)
{
	return pico__attributes_apply(&e->owner->owner, e->fd, a);
}

static int file_set_length(struct pico__stream *e, uint64_t length, uint32_t mode, uint64_t offset)
{
	return pico__length_apply(e->fd, length, mode, offset);
}

static int file_flush(struct pico__stream *e, uint32_t flags)
{
	return pico__flush_apply(e->fd, flags);
}

static const struct pico__stream_ops file_stream = {
	.kind = PICO__KIND_FILE,
	.attributes = file_attributes,
	.set = file_set,
	.set_length = file_set_length,
	.flush = file_flush,
};

static int64_t file_open(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	bool temporary = o->flags & PICO_OPEN_TEMPORARY;
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	struct pico__place place;
	int error;

	if (!o->access || ((o->flags & PICO_OPEN_TRUNCATE) && !writes(o)))
		return -PICO_EINVAL;
	error = pico__policy_find(&s->policy, uri->rest, &place);
	if (!error)
		error = pico__claim_take(&claim, s, PICO_HT_STREAM);
	if (error)
		return error;
	e = pico__stream_new(s, &file_stream, uri->text, o->access);
	if (!e)
		return -PICO_ENOMEM;
	e->mount = place.mount;
	e->slow = pico__policy_slow(&place);
	e->linkable = temporary && !(o->flags & PICO_OPEN_EXCLUSIVE);
	e->fd = temporary ? open_temporary(&place, o) : open_named(&place, o);
	if (e->fd < 0)
		return e->fd;
	if ((o->access & PICO_ACCESS_EXECUTE) && (error = check_executable(e->fd)))
		return error;
	return pico__stream_opened(&claim, &e, o, c);
}

int pico__file_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out)
{
	const struct pico__open o = { .access = a->record->access };
	PICO__STREAM struct pico__stream *e = NULL;
	struct pico__place place;
	int error = pico__policy_find(&s->policy, a->uri.rest, &place);

	if (error)
		return error;
	e = pico__stream_new(s, &file_stream, a->uri.text, o.access);
	if (!e)
		return -PICO_ENOMEM;
	e->mount = place.mount;
	e->slow = pico__policy_slow(&place);
	e->fd = open_named(&place, &o);
	if (e->fd < 0)
		return e->fd;
	if ((o.access & PICO_ACCESS_EXECUTE) && (error = check_executable(e->fd)))
		return error;
	*out = e;
	e = NULL;
	return 0;
}

/* ---- by name: file: and dir: ---- */

static int64_t read_link(int fd, struct pico__call *c)
{
	ssize_t size = readlinkat(fd, "", c->text2, PICO_URI_MAX);

	if (size < 0)
		return pico__error(errno);
	c->text2_out = (uint32_t)size;
	return size;
}

int64_t pico__path_query(struct pico__streams *s, struct pico__uri *uri, struct pico__call *c)
{
	FOUND struct pico__found found = { .fd = -1 };
	struct pico__place place;
	int error = pico__policy_find(&s->policy, uri->rest, &place);

	if (!error)
		error = pico__policy_walk(&place, true, &found);
	if (error)
		return error;
	if (uri->scheme == PICO__SCHEME_DIR && !S_ISDIR(found.st.stx_mode))
		return -PICO_ENOTDIR;
	error = pico__attributes_read(&s->owner, found.fd, true, &c->attr);
	if (error)
		return error;
	if (place.mount->read_only)
		c->attr.flags |= PICO_STREAM_FLAG_READ_ONLY_MOUNT;
	return S_ISLNK(found.st.stx_mode) ? read_link(found.fd, c) : 0;
}

/* A link as the last component is meant only when the caller says that it
 * knows: type is SYMLINK. */
int64_t pico__path_set(struct pico__streams *s, struct pico__uri *uri, const struct pico_stream_attributes *a)
{
	FOUND struct pico__found found = { .fd = -1 };
	struct pico__place place;
	int error = pico__policy_find(&s->policy, uri->rest, &place);

	if (!error)
		error = pico__policy_walk(&place, a->type == PICO_STREAM_SYMLINK, &found);
	if (error)
		return error;
	if (uri->scheme == PICO__SCHEME_DIR && !S_ISDIR(found.st.stx_mode))
		return -PICO_ENOTDIR;
	if (place.mount->read_only)
		return -PICO_EROFS;
	return a->valid ? pico__attributes_apply(&s->owner, found.fd, a) : 0;
}

/* A name that is to change: its directory, opened. */
struct target { struct pico__place place; int parent; const char *name; };
static void auto_target(struct target *t)
{
	pico__close(t->parent);
}
#define TARGET __attribute__((cleanup(auto_target)))

static int target_find(struct pico__streams *s, char *path, struct target *t)
{
	int error = pico__policy_find(&s->policy, path, &t->place);

	return error ? error : pico__policy_movable(&s->policy, path);
}

static int target_open(struct target *t)
{
	return pico__policy_parent(&t->place, &t->parent, &t->name);
}

int64_t pico__path_delete(struct pico__streams *s, struct pico__uri *uri, uint32_t flags)
{
	bool directory = uri->scheme == PICO__SCHEME_DIR || (flags & PICO_DELETE_DIRECTORY);
	TARGET struct target t = { .parent = -1 };
	int error = target_find(s, uri->rest, &t);

	if (!error)
		error = target_open(&t);
	if (error)
		return error;
	if (t.place.mount->read_only)
		return -PICO_EROFS;
	return unlinkat(t.parent, t.name, directory ? AT_REMOVEDIR : 0) ? pico__error(errno) : 0;
}

static int64_t rename_path(struct pico__streams *s, char *from, char *to, uint32_t flags)
{
	bool exchange = flags & PICO_RENAME_EXCHANGE;
	unsigned host = (exchange ? RENAME_EXCHANGE : 0) | (flags & PICO_RENAME_NOREPLACE ? RENAME_NOREPLACE : 0);
	TARGET struct target a = { .parent = -1 }, b = { .parent = -1 };
	int error = target_find(s, from, &a);

	if (!error)
		error = target_find(s, to, &b);
	if (error)
		return error;
	if (a.place.mount != b.place.mount)
		return -PICO_EXDEV;
	if (a.place.mount->read_only)
		return -PICO_EROFS;
	if ((error = target_open(&a)) || (error = target_open(&b)))
		return error;
	if (flags & PICO_RENAME_LINK)
		return linkat(a.parent, a.name, b.parent, b.name, 0) ? pico__error(errno) : 0;
	if (renameat2(a.parent, a.name, b.parent, b.name, host))
		return pico__error(errno);
	pico__streams_renamed(s, from, to, exchange);
	return 0;
}

static int new_name(struct pico__streams *s, char *to, struct target *t)
{
	int error = target_find(s, to, t);

	if (!error && t->place.mount->read_only)
		error = -PICO_EROFS;
	return error ? error : target_open(t);
}

static int64_t make_symlink(struct pico__streams *s, const char *text, char *to)
{
	TARGET struct target t = { .parent = -1 };
	int error = new_name(s, to, &t);

	if (error)
		return error;
	return symlinkat(text, t.parent, t.name) ? pico__error(errno) : 0;
}

/* linkat() by descriptor alone needs a privilege or Linux 6.10, and says
 * ENOENT without; the way through /proc needs /proc. */
static int link_descriptor(int fd, const struct target *t)
{
	char path[32];

	if (!linkat(fd, "", t->parent, t->name, AT_EMPTY_PATH))
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return pico__error(errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, path, t->parent, t->name, AT_SYMLINK_FOLLOW))
		return 0;
	if (errno == ENOENT && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
		return -PICO_ENOTSUP;
	return pico__error(errno);
}

static int64_t name_handle(struct pico__streams *s, const char *number, char *to)
{
	PICO__STREAM struct pico__stream *e = NULL;
	TARGET struct target t = { .parent = -1 };
	char *uri, *old;
	uint64_t handle;
	int error;

	if (pico__decimal_parse(number, &handle))
		return -PICO_EINVAL;
	e = pico__stream_get(s, handle);
	if (!e || !e->linkable)
		return -PICO_EINVAL;
	error = new_name(s, to, &t);
	if (error)
		return error;
	if (t.place.mount != e->mount)
		return -PICO_EXDEV;
	error = link_descriptor(e->fd, &t);
	if (error || asprintf(&uri, "file:%s", to) < 0) /* no memory: the old name is told */
		return error;
	pico__streams_lock(s);
	old = e->uri;
	e->uri = uri;
	pico__streams_unlock(s);
	free(old);
	return 0;
}

static int parse_path(struct pico__uri *uri, char *text, uint64_t claimed, uint32_t size)
{
	int error = pico__uri_parse(uri, text, claimed, size);

	return error ? error : uri->scheme > PICO__SCHEME_DIR ? -PICO_ENOTSUP : 0;
}

#define RENAME_BITS (PICO_RENAME_NOREPLACE | PICO_RENAME_EXCHANGE | PICO_RENAME_LINK | PICO_RENAME_SYMLINK | PICO_RENAME_FROM_HANDLE)
#define RENAME_KINDS (PICO_RENAME_EXCHANGE | PICO_RENAME_LINK | PICO_RENAME_SYMLINK | PICO_RENAME_FROM_HANDLE)

/* The three ways to give a new name never replace anything, so NOREPLACE goes
 * with them; EXCHANGE goes with nothing. */
static bool rename_flags_valid(uint64_t flags)
{
	uint64_t kind = flags & RENAME_KINDS;

	if ((flags & ~(uint64_t)RENAME_BITS) || (kind & (kind - 1)))
		return false;
	return !(flags & PICO_RENAME_EXCHANGE) || !(flags & PICO_RENAME_NOREPLACE);
}

int64_t pico__path_rename(struct pico__streams *s, struct pico__call *c, uint64_t flags)
{
	struct pico__uri from, to;
	int error;

	if (!rename_flags_valid(flags))
		return -PICO_EINVAL;
	error = parse_path(&to, c->text2, c->r[2], c->text2_size);
	if (error)
		return error;
	if (!(flags & (PICO_RENAME_SYMLINK | PICO_RENAME_FROM_HANDLE))) {
		error = parse_path(&from, c->text, c->r[1], c->text_size);
		return error ? error : rename_path(s, from.rest, to.rest, (uint32_t)flags);
	}
	error = pico__text_check(c->text, c->r[1], c->text_size);
	if (error)
		return error;
	if ((flags & PICO_RENAME_SYMLINK) && !strncmp(c->text, "link:", 5) && c->text[5])
		return make_symlink(s, c->text + 5, to.rest);
	if ((flags & PICO_RENAME_FROM_HANDLE) && !strncmp(c->text, "handle:", 7))
		return name_handle(s, c->text + 7, to.rest);
	return -PICO_EINVAL;
}

const struct pico__scheme_ops pico__file_scheme = {
	.open_flags = PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE | PICO_OPEN_TRUNCATE | PICO_OPEN_TEMPORARY,
	.refusal = -PICO_ENOTSUP,
	.open = file_open,
	.query = pico__path_query,
	.set = pico__path_set,
	.delete = pico__path_delete,
};
