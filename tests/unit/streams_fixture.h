/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of policy and streams share: a scratch tree on the host, one
 * instance's streams, and the downcalls as functions. Knows nothing of
 * picoprocesses: grants are taken and kept here instead.
 */
#ifndef STREAMS_FIXTURE_H
#define STREAMS_FIXTURE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/streams.h"

#define RW (PICO_ACCESS_READ | PICO_ACCESS_WRITE)
#define R PICO_ACCESS_READ
#define GUEST_FDS 4096

struct fixture {
	struct pico__streams *s;
	struct pico__call *c;
	char root[64]; /* scratch directory of the host */
	int guest[GUEST_FDS]; /* granted descriptor by number, or -1 */
};

static inline void die(const char *what)
{
	cr_assert_fail("%s: %s", what, strerror(errno));
}

__attribute__((format(printf, 2, 3)))
static inline char *host_path(struct fixture *f, const char *format, ...)
{
	static _Thread_local char path[8][8192];
	static _Thread_local unsigned next;
	char *to = path[next++ % 8];
	int n = snprintf(to, 8192, "%s/", f->root);
	__builtin_va_list args;

	__builtin_va_start(args, format);
	vsnprintf(to + n, (size_t)(8192 - n), format, args);
	__builtin_va_end(args);
	return to;
}

static inline void host_file(struct fixture *f, const char *name, const char *text)
{
	int fd = open(host_path(f, "%s", name), O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(name);
	close(fd);
}

static inline void host_dir(struct fixture *f, const char *name)
{
	if (mkdir(host_path(f, "%s", name), 0755))
		die(name);
}

static inline void host_link(struct fixture *f, const char *name, const char *target)
{
	if (symlink(target, host_path(f, "%s", name)))
		die(name);
}

static inline int mount_at(struct fixture *f, const char *host, const char *guest, bool read_only)
{
	struct pico__mount m = { .host = host, .guest = guest, .read_only = read_only };

	return pico__streams_mount(f->s, &m, NULL, NULL, 0);
}

static inline void fixture_init(struct fixture *f, uint32_t limit)
{
	memset(f, 0, sizeof(*f));
	for (int i = 0; i < GUEST_FDS; i++)
		f->guest[i] = -1;
	strcpy(f->root, "/tmp/pico-streams-XXXXXX");
	if (!mkdtemp(f->root))
		die("mkdtemp");
	f->c = malloc(sizeof(*f->c));
	memset(f->c, 0x5a, sizeof(*f->c));
	cr_assert_eq(pico__streams_create(&f->s, limit, 1000, 1001), 0);
}

static inline void fixture_fini(struct fixture *f)
{
	char command[256];

	pico__streams_destroy(f->s);
	free(f->c);
	for (int i = 0; i < GUEST_FDS; i++)
		if (f->guest[i] >= 0)
			close(f->guest[i]);
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", f->root, f->root);
	if (system(command))
		cr_log_warn("scratch directory stays: %s", f->root);
}

/* As the guard does: grants become descriptors of the guest. */
static inline void take_grants(struct fixture *f)
{
	for (int i = 0; i < f->c->grant_count; i++) {
		int number = f->c->grant[i].number;

		cr_assert(number >= (int)PICO_FIRST_FD && number < GUEST_FDS);
		cr_assert(f->c->grant_own[i]);
		if (f->guest[number] >= 0)
			close(f->guest[number]);
		f->guest[number] = f->c->grant[i].fd;
	}
}

static inline int64_t call(struct fixture *f, unsigned downcall)
{
	int64_t result = pico__streams_call(f->s, downcall, f->c);

	if (result < 0) {
		cr_assert_eq(f->c->grant_count, 0);
		cr_assert_not(f->c->attr_out || f->c->text_out || f->c->text2_out || f->c->bulk_out);
	}
	take_grants(f);
	return result;
}

static inline void put_uri(struct fixture *f, const char *uri)
{
	size_t size = strlen(uri);

	f->c->text_size = (uint32_t)size;
	memcpy(f->c->text, uri, size < PICO_URI_MAX ? size : PICO_URI_MAX);
}

static inline void put_uri2(struct fixture *f, const char *uri)
{
	size_t size = strlen(uri);

	f->c->text2_size = (uint32_t)size;
	memcpy(f->c->text2, uri, size < PICO_URI_MAX ? size : PICO_URI_MAX);
}

static inline pico_handle stream_open(struct fixture *f, const char *uri, uint64_t access, uint64_t flags, uint64_t mode)
{
	put_uri(f, uri);
	f->c->r[1] = strlen(uri);
	f->c->r[2] = access;
	f->c->r[3] = flags;
	f->c->r[4] = mode;
	f->c->r[5] = 1;
	return call(f, PICO_DC_StreamOpen);
}

static inline int guest_fd(struct fixture *f, pico_handle h)
{
	cr_assert(h > 0 && PICO_HANDLE_TYPE(h) == PICO_HT_STREAM);
	return f->guest[PICO_HANDLE_PAYLOAD(h)];
}

/* As the gate does: the descriptor first. */
static inline int64_t stream_close(struct fixture *f, pico_handle h)
{
	uint64_t number = PICO_HANDLE_PAYLOAD(h);

	if (h > 0 && PICO_HANDLE_TYPE(h) == PICO_HT_STREAM && number < GUEST_FDS && f->guest[number] >= 0) {
		close(f->guest[number]);
		f->guest[number] = -1;
	}
	f->c->r[1] = (uint64_t)h;
	return call(f, PICO_DC_ObjectClose);
}

static inline int64_t stream_delete(struct fixture *f, const char *uri, uint64_t flags)
{
	put_uri(f, uri);
	f->c->r[1] = strlen(uri);
	f->c->r[2] = flags;
	return call(f, PICO_DC_StreamDelete);
}

static inline int64_t stream_rename(struct fixture *f, const char *from, const char *to, uint64_t flags)
{
	put_uri(f, from);
	put_uri2(f, to);
	f->c->r[1] = strlen(from);
	f->c->r[2] = strlen(to);
	f->c->r[3] = flags;
	return call(f, PICO_DC_StreamRename);
}

static inline int64_t stream_query(struct fixture *f, const char *uri)
{
	put_uri(f, uri);
	f->c->r[1] = strlen(uri);
	f->c->r[2] = 0;
	return call(f, PICO_DC_StreamAttributesQuery);
}

static inline int64_t handle_query(struct fixture *f, pico_handle h)
{
	f->c->r[1] = (uint64_t)h;
	return call(f, PICO_DC_StreamAttributesQueryByHandle);
}

/* f->c->attr was filled in by the caller. */
static inline int64_t stream_set(struct fixture *f, const char *uri)
{
	put_uri(f, uri);
	f->c->r[1] = (uint64_t)PICO_HANDLE_NONE;
	f->c->r[2] = strlen(uri);
	return call(f, PICO_DC_StreamAttributesSet);
}

static inline int64_t handle_set(struct fixture *f, pico_handle h)
{
	f->c->r[1] = (uint64_t)h;
	f->c->r[2] = 0;
	return call(f, PICO_DC_StreamAttributesSet);
}

static inline int64_t stream_length(struct fixture *f, pico_handle h, uint64_t length, uint64_t mode, uint64_t offset)
{
	f->c->r[1] = (uint64_t)h;
	f->c->r[2] = length;
	f->c->r[3] = mode;
	f->c->r[4] = offset;
	return call(f, PICO_DC_StreamSetLength);
}

static inline const char *stream_name(struct fixture *f, pico_handle h)
{
	int64_t size;

	f->c->r[1] = (uint64_t)h;
	size = call(f, PICO_DC_StreamGetName);
	if (size < 0)
		return NULL;
	cr_assert_eq((uint64_t)size, f->c->text_out);
	f->c->text[size] = 0;
	return f->c->text;
}

static inline int64_t one(struct fixture *f, unsigned downcall, pico_handle h, uint64_t r2, uint64_t r3)
{
	f->c->r[1] = (uint64_t)h;
	f->c->r[2] = r2;
	f->c->r[3] = r3;
	return call(f, downcall);
}

#endif
