/* SPDX-License-Identifier: Apache-2.0
 *
 * dir: streams. No descriptor of a directory is ever granted: a guest that
 * held one could walk from it. Knows nothing of how a path is resolved.
 *
 * A listing is read ahead in blocks, and the next request normally continues
 * in the block, so a large directory costs in proportion to its size.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "stream_internal.h"

#define BLOCK_SIZE 16384u

struct pico__directory {
	pthread_mutex_t lock; /* of the rest; held across getdents64 */
	char *block; /* taken at the first listing */
	uint32_t at, end; /* of the block, not delivered yet */
	uint64_t cookie; /* where the next record starts */
};

/* The kernel's record, as getdents64(2) documents it. */
struct host_dirent { uint64_t inode; int64_t next; uint16_t size; uint8_t type; char name[]; };

static const uint8_t stream_types[16] = {
	[DT_REG] = PICO_STREAM_FILE, [DT_DIR] = PICO_STREAM_DIRECTORY, [DT_LNK] = PICO_STREAM_SYMLINK,
	[DT_FIFO] = PICO_STREAM_FIFO, [DT_CHR] = PICO_STREAM_CHARDEV, [DT_BLK] = PICO_STREAM_BLOCKDEV,
	[DT_SOCK] = PICO_STREAM_SOCKET,
};

static int directory_seek(struct pico__stream *e, uint64_t cookie)
{
	struct pico__directory *d = e->of.directory;

	if (!d->block && !(d->block = malloc(BLOCK_SIZE)))
		return -PICO_EIO;
	if (cookie && cookie == d->cookie)
		return 0;
	/* From the start always afresh: that is how a program sees what is new. */
	d->at = d->end = 0;
	if (cookie > INT64_MAX || lseek(e->fd, (off_t)cookie, SEEK_SET) < 0)
		return -PICO_EINVAL;
	d->cookie = cookie;
	return 0;
}

/* 1: the block has a record; 0: the end. */
static int directory_fill(struct pico__stream *e)
{
	struct pico__directory *d = e->of.directory;
	long size;

	if (d->at < d->end)
		return 1;
	size = syscall(SYS_getdents64, e->fd, d->block, BLOCK_SIZE);
	if (size < 0)
		return errno == ENOENT ? 0 : pico__error(errno); /* deleted: it has no entries any more */
	d->at = 0;
	d->end = (uint32_t)size;
	return size > 0;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Bytes written, or 0 when it does not fit. */
static uint32_t put_record(uint8_t *to, uint64_t room, const struct host_dirent *from)
{
	uint32_t name_size = (uint32_t)strlen(from->name);
	uint32_t size = (uint32_t)(sizeof(struct pico_dirent) + name_size + 1 + 7) & ~7u;
	struct pico_dirent head = { .inode = from->inode, .cookie = (uint64_t)from->next,
		.record_size = (uint16_t)size, .name_size = (uint16_t)name_size,
		.type = stream_types[from->type & 15] };

	if (size > room)
		return 0;
	memset(to + size - 8, 0, 8);
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), from->name, name_size + 1);
	return size;
}

static int64_t list_locked(struct pico__stream *e, uint8_t *to, uint64_t room)
{
	struct pico__directory *d = e->of.directory;
	uint64_t done = 0;
	int more;

	while ((more = directory_fill(e)) > 0) {
		const struct host_dirent *from = (const struct host_dirent *)(const void *)(d->block + d->at);

		if (!is_dot(from->name)) {
			uint32_t size = put_record(to + done, room - done, from);

			if (!size)
				return done ? (int64_t)done : -PICO_EINVAL;
			done += size;
		}
		d->at += from->size;
		d->cookie = (uint64_t)from->next;
	}
	return done ? (int64_t)done : more;
}

static int64_t directory_enumerate(struct pico__stream *e, struct pico__call *c, uint64_t cookie, uint64_t size)
{
	struct pico__directory *d = e->of.directory;
	int64_t result;

	pthread_mutex_lock(&d->lock);
	result = directory_seek(e, cookie);
	if (!result)
		result = list_locked(e, c->bulk, size);
	pthread_mutex_unlock(&d->lock);
	return result;
}

static int directory_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	int error = pico__attributes_read(&e->owner->owner, e->fd, true, a);

	if (e->mount->read_only)
		a->flags |= PICO_STREAM_FLAG_READ_ONLY_MOUNT;
	return error;
}

static int directory_set(struct pico__stream *e, const struct pico_stream_attributes *a)
{
	return pico__attributes_apply(&e->owner->owner, e->fd, a);
}

static int directory_flush(struct pico__stream *e, uint32_t flags)
{
	return pico__flush_apply(e->fd, flags);
}

static void directory_destroy(struct pico__stream *e)
{
	if (!e->of.directory)
		return;
	pthread_mutex_destroy(&e->of.directory->lock);
	free(e->of.directory->block);
	free(e->of.directory);
}

static const struct pico__stream_ops directory_stream = {
	.kind = PICO__KIND_DIRECTORY,
	.attributes = directory_attributes,
	.set = directory_set,
	.flush = directory_flush,
	.enumerate = directory_enumerate,
	.destroy = directory_destroy,
};

/* The host's umask is not the guest's. A set-group-id bit that the directory
 * inherited stays. mkdir gives the owner all rights at first, so that a
 * directory made without them can still be opened here. */
static int create_directory(const struct pico__place *place, uint32_t mode)
{
	PICO__CLOSE int parent = -1, fd = -1;
	const char *name;
	struct stat st;
	int error = pico__policy_parent(place, &parent, &name);

	if (error)
		return error == -PICO_EBUSY ? -PICO_EEXIST : error; /* a mount point */
	if (place->mount->read_only)
		return faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) ? -PICO_EROFS : -PICO_EEXIST;
	if (mkdirat(parent, name, mode | 0700))
		return pico__error(errno);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return pico__error(errno);
	mode |= st.st_mode & S_ISGID;
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode))
		return pico__error(errno);
	return pico__steal_fd(&fd);
}

static int open_directory(const struct pico__place *place, const struct pico__open *o)
{
	struct statx st;
	int fd;

	for (unsigned i = 0; i < 16; i++) {
		if (o->flags & PICO_OPEN_CREATE) {
			fd = create_directory(place, pico__mode_allowed(o->mode, true));
			if (fd != -PICO_EEXIST || (o->flags & PICO_OPEN_EXCLUSIVE))
				return fd;
		}
		fd = pico__policy_directory(place, &st);
		if (fd != -PICO_ENOENT || !(o->flags & PICO_OPEN_CREATE))
			return fd;
	}
	return -PICO_EBUSY;
}

static struct pico__directory *directory_new(void)
{
	struct pico__directory *d = calloc(1, sizeof(*d));

	if (d && pthread_mutex_init(&d->lock, NULL)) {
		free(d);
		return NULL;
	}
	return d;
}

static int64_t directory_open(struct pico__streams *s, struct pico__uri *uri, const struct pico__open *o, struct pico__call *c)
{
	PICO__CLAIM struct pico__claim claim = { 0 };
	PICO__STREAM struct pico__stream *e = NULL;
	struct pico__place place;
	int error;

	if (o->access & (PICO_ACCESS_WRITE | PICO_ACCESS_APPEND))
		return -PICO_EISDIR;
	error = pico__policy_find(&s->policy, uri->rest, &place);
	if (!error)
		error = pico__claim_take(&claim, s, PICO_HT_MONITOR);
	if (error)
		return error;
	e = pico__stream_new(s, &directory_stream, uri->text, o->access);
	if (!e || !(e->of.directory = directory_new()))
		return -PICO_ENOMEM;
	e->mount = place.mount;
	e->slow = pico__policy_slow(&place);
	e->fd = open_directory(&place, o);
	if (e->fd < 0)
		return e->fd;
	return pico__stream_opened(&claim, &e, o, c);
}

int pico__dir_again(struct pico__streams *s, const struct pico__again *a, struct pico__stream **out)
{
	const struct pico__open o = { .access = a->record->access };
	PICO__STREAM struct pico__stream *e = NULL;
	struct pico__place place;
	int error = pico__policy_find(&s->policy, a->uri.rest, &place);

	if (error)
		return error;
	e = pico__stream_new(s, &directory_stream, a->uri.text, o.access);
	if (!e || !(e->of.directory = directory_new()))
		return -PICO_ENOMEM;
	e->mount = place.mount;
	e->slow = pico__policy_slow(&place);
	e->fd = open_directory(&place, &o);
	if (e->fd < 0)
		return e->fd;
	*out = e;
	e = NULL;
	return 0;
}

const struct pico__scheme_ops pico__dir_scheme = {
	.open_flags = PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE,
	.refusal = -PICO_ENOTSUP,
	.open = directory_open,
	.query = pico__path_query,
	.set = pico__path_set,
	.delete = pico__path_delete,
};
