/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's options: defaults, checks, and a copy of everything. What the
 * rest of the library reads has passed here. Opens nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"

#ifndef PICO_PKGLIBEXECDIR
#define PICO_PKGLIBEXECDIR "/usr/local/libexec/pico"
#endif

#define FIRST_SIZE sizeof(struct pico_options) /* of the first version; stays when members are added */
#define MOUNTS_MAX 256
#define APPS_MAX 64
#define STRINGS_MAX (1u << 20) /* of argv, of envp */
#define GUEST_PATH_MAX 4095
#define ID_NONE UINT32_MAX

#define DEFAULT_PROCESSES 256
#define DEFAULT_THREADS 1024
#define DEFAULT_STREAMS 1024
#define MOST_STREAMS 1000000

static const uint64_t known_flags = PICO_FLAG_DISPATCH | PICO_FLAG_ROOT_READ_ONLY | PICO_FLAG_NO_PATCH;

void pico_options_init_sized(struct pico_options *options, size_t size)
{
	struct pico_options defaults = { .size = size, .umask = 022, .log_level = PICO_LOG_WARNING };

	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

char *pico__default_path(const char *name)
{
	const char *directory = secure_getenv("PICO_LIBEXECDIR");
	char *path;

	if (!directory || !*directory)
		directory = PICO_PKGLIBEXECDIR;
	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* ---- checks ---- */

#define REFUSE(error, code, ...) pico__error_set((error), (code), 0, "options", __VA_ARGS__)

static int no_memory(struct pico_error *error)
{
	return REFUSE(error, PICO_ENOMEM, "out of memory");
}

/* A newer caller's struct is larger: fine while it asks for nothing new. */
static int check_size(const struct pico_options *options, struct pico_options *o, struct pico_error *error)
{
	const uint8_t *tail = (const uint8_t *)options;

	if (options->size < FIRST_SIZE)
		return REFUSE(error, PICO_EVERSION, "size is %zu, less than the first version's %zu", options->size, FIRST_SIZE);
	if (options->size > FIRST_SIZE + (1u << 16))
		return REFUSE(error, PICO_EVERSION, "size is %zu: not initialised?", options->size);
	for (size_t i = sizeof(*o); i < options->size; i++)
		if (tail[i])
			return REFUSE(error, PICO_EVERSION, "something is set that this version does not know");
	memset(o, 0, sizeof(*o));
	memcpy(o, options, options->size < sizeof(*o) ? options->size : sizeof(*o));
	return 0;
}

static int check_scalars(const struct pico_options *o, struct pico_error *error)
{
	if (o->flags & ~known_flags)
		return REFUSE(error, PICO_EINVAL, "flags: unknown bits 0x%llx", (unsigned long long)(o->flags & ~known_flags));
	if (!o->program || !*o->program)
		return REFUSE(error, PICO_EINVAL, "program is not given");
	if (o->argv && !o->argv[0])
		return REFUSE(error, PICO_EINVAL, "argv is empty");
	if (o->umask > 0777)
		return REFUSE(error, PICO_EINVAL, "umask is 0%o", o->umask);
	if (o->uid == ID_NONE || o->gid == ID_NONE)
		return REFUSE(error, PICO_EINVAL, "uid and gid must be below %u", ID_NONE);
	if (o->log_level > PICO_LOG_DEBUG)
		return REFUSE(error, PICO_EINVAL, "log_level is %u", o->log_level);
	if (o->hostname && (!*o->hostname || strlen(o->hostname) > 64 || strpbrk(o->hostname, "/\n ")))
		return REFUSE(error, PICO_EINVAL, "hostname is not one");
	if (o->cwd && o->cwd[0] != '/')
		return REFUSE(error, PICO_EINVAL, "cwd is not absolute");
	if ((o->mount_count && !o->mounts) || o->mount_count > MOUNTS_MAX)
		return REFUSE(error, PICO_EINVAL, "mount_count is %zu; at most %d, with mounts", o->mount_count, MOUNTS_MAX);
	if ((o->app_count && !o->apps) || o->app_count > APPS_MAX)
		return REFUSE(error, PICO_EINVAL, "app_count is %zu; at most %d, with apps", o->app_count, APPS_MAX);
	return 0;
}

static int check_stdio(const struct pico_stdio stdio[3], struct pico_error *error)
{
	for (int i = 0; i < 3; i++) {
		const struct pico_stdio *s = &stdio[i];

		if (s->kind > PICO_STDIO_CLOSED)
			return REFUSE(error, PICO_EINVAL, "stdio[%d].kind is %u", i, s->kind);
		if (s->kind == PICO_STDIO_FD && s->fd < 0)
			return REFUSE(error, PICO_EBADF, "stdio[%d].fd is %d", i, s->fd);
		if (s->kind == PICO_STDIO_CALLBACK && !(i ? (void *)(uintptr_t)s->write : (void *)(uintptr_t)s->read))
			return REFUSE(error, PICO_EINVAL, "stdio[%d].%s is not given", i, i ? "write" : "read");
	}
	return 0;
}

static int copy_limits(const struct pico_limits *from, struct pico_limits *to, struct pico_error *error)
{
	*to = *from;
	if (!to->processes)
		to->processes = DEFAULT_PROCESSES;
	if (!to->threads)
		to->threads = DEFAULT_THREADS;
	if (!to->streams)
		to->streams = DEFAULT_STREAMS;
	if (from->reserved)
		return REFUSE(error, PICO_EINVAL, "limits.reserved is not 0");
	if (to->threads > PICO_THREADS_MAX)
		return REFUSE(error, PICO_EINVAL, "limits.threads is %u; at most %d", to->threads, PICO_THREADS_MAX);
	if (to->streams > MOST_STREAMS)
		return REFUSE(error, PICO_EINVAL, "limits.streams is %u; at most %d", to->streams, MOST_STREAMS);
	if (to->processes > PICO_THREADS_MAX)
		to->processes = PICO_THREADS_MAX; /* each has a thread */
	if (to->memory && to->memory < (1u << 20))
		return REFUSE(error, PICO_EINVAL, "limits.memory is %llu bytes: no library OS fits", (unsigned long long)to->memory);
	return 0;
}

/* ---- copies ---- */

static int copy_string(const char *from, const char *otherwise, char **to, struct pico_error *error)
{
	if (!from)
		from = otherwise;
	*to = strdup(from);
	return *to ? 0 : no_memory(error);
}

static int copy_list(const char *const *from, const char *only, char ***to, struct pico_error *error)
{
	size_t count = 0;

	while (from && from[count])
		if (++count > STRINGS_MAX)
			return REFUSE(error, PICO_E2BIG, "more than %u arguments or variables", STRINGS_MAX);
	*to = calloc(count + (only ? 2 : 1), sizeof(**to));
	if (!*to)
		return no_memory(error);
	if (!from && only)
		return copy_string(only, NULL, &(*to)[0], error);
	for (size_t i = 0; i < count; i++)
		if (copy_string(from[i], NULL, &(*to)[i], error))
			return -PICO_ENOMEM;
	return 0;
}

/* "/a//b/" -> "/a/b"; -PICO_EINVAL: not absolute, or with . or .. */
static int normal_path(const char *path, const char **result)
{
	char *out, *at;

	if (!path || path[0] != '/' || strlen(path) > GUEST_PATH_MAX)
		return -PICO_EINVAL;
	at = out = malloc(strlen(path) + 2);
	if (!out)
		return -PICO_ENOMEM;
	while (*path) {
		size_t size = strcspn(path += strspn(path, "/"), "/");

		if ((size == 1 && path[0] == '.') || (size == 2 && path[0] == '.' && path[1] == '.')) {
			free(out);
			return -PICO_EINVAL;
		}
		if (size)
			*at++ = '/';
		memcpy(at, path, size);
		at += size;
		path += size;
	}
	if (at == out)
		*at++ = '/';
	*at = 0;
	*result = out;
	return 0;
}

static int add_mount(struct pico__config *c, const char *host, const char *guest, bool read_only, struct pico_error *error)
{
	struct pico__mount *m = &c->mounts[c->mount_count];
	int rc;

	if (!host || !*host)
		return REFUSE(error, PICO_EINVAL, "a mount has no host path");
	rc = normal_path(guest, &m->guest);
	if (rc == -PICO_ENOMEM)
		return no_memory(error);
	if (rc < 0)
		return REFUSE(error, PICO_EINVAL, "guest path \"%.100s\" of a mount is not absolute and plain", guest ? guest : "");
	c->mount_count++;
	m->read_only = read_only;
	m->host = strdup(host);
	if (!m->host)
		return no_memory(error);
	for (size_t i = 0; i + 1 < c->mount_count; i++)
		if (!strcmp(c->mounts[i].guest, m->guest))
			return REFUSE(error, PICO_EEXIST, "two mounts at %.200s", m->guest);
	return 0;
}

static int copy_mounts(const struct pico_options *o, struct pico__config *c, struct pico_error *error)
{
	int rc = 0;

	c->mounts = calloc(o->mount_count + 1, sizeof(*c->mounts));
	if (!c->mounts)
		return no_memory(error);
	if (o->root)
		rc = add_mount(c, o->root, "/", o->flags & PICO_FLAG_ROOT_READ_ONLY, error);
	for (size_t i = 0; rc == 0 && i < o->mount_count; i++) {
		const struct pico_mount *m = &o->mounts[i];

		if (m->flags & ~(uint32_t)PICO_MOUNT_READ_ONLY || m->reserved)
			return REFUSE(error, PICO_EINVAL, "mounts[%zu].flags: unknown bits", i);
		rc = add_mount(c, m->host, m->guest, m->flags & PICO_MOUNT_READ_ONLY, error);
	}
	return rc;
}

static int copy_apps(const struct pico_options *o, struct pico__config *c, struct pico_error *error)
{
	c->apps = calloc(o->app_count + 1, sizeof(*c->apps));
	if (!c->apps)
		return no_memory(error);
	for (size_t i = 0; i < o->app_count; i++) {
		if (!o->apps[i].name || !*o->apps[i].name || strlen(o->apps[i].name) > 255)
			return REFUSE(error, PICO_EINVAL, "apps[%zu].name is not one", i);
		c->apps[i] = o->apps[i];
		c->apps[i].name = strdup(o->apps[i].name);
		if (!c->apps[i].name)
			return no_memory(error);
		c->app_count++;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(c->apps[i].name, c->apps[j].name))
				return REFUSE(error, PICO_EEXIST, "two apps are named %.100s", c->apps[i].name);
	}
	return 0;
}

static int copy_file(const char *given, const char *name, char **to, struct pico_error *error)
{
	*to = given ? strdup(given) : pico__default_path(name);
	return *to ? 0 : no_memory(error);
}

static void copy_scalars(const struct pico_options *o, struct pico__config *c)
{
	c->flags = o->flags;
	memcpy(c->stdio, o->stdio, sizeof(c->stdio));
	c->log = o->log;
	c->log_user = o->log_user;
	c->log_level = o->log_level ? o->log_level : PICO_LOG_WARNING;
	c->on_exit = o->on_exit;
	c->exit_user = o->exit_user;
	c->uid = o->uid;
	c->gid = o->gid;
	c->umask = o->umask;
	c->huge_pages = o->huge_pages;
}

int pico__options_copy(const struct pico_options *options, struct pico__config *c, struct pico_error *error)
{
	struct pico_options o;
	int rc;

	memset(c, 0, sizeof(*c));
	if (!options)
		return REFUSE(error, PICO_EINVAL, "options is NULL");
	if ((rc = check_size(options, &o, error)) || (rc = check_scalars(&o, error)) || (rc = check_stdio(o.stdio, error)))
		return rc;
	copy_scalars(&o, c);
	if ((rc = copy_limits(&o.limits, &c->limits, error)) || (rc = copy_string(o.program, NULL, &c->program, error)) ||
	    (rc = copy_string(o.cwd, "/", &c->cwd, error)) || (rc = copy_string(o.hostname, "pico", &c->hostname, error)) ||
	    (rc = copy_list(o.argv, o.program, &c->argv, error)) || (rc = copy_list(o.envp, NULL, &c->envp, error)) ||
	    (rc = copy_mounts(&o, c, error)) || (rc = copy_apps(&o, c, error)) ||
	    (rc = copy_file(o.libos, "libos-linux", &c->libos, error)) ||
	    (rc = copy_file(o.helper, "pico-helper", &c->helper, error)))
		return rc;
	return 0;
}
