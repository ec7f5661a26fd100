/* SPDX-License-Identifier: Apache-2.0
 *
 * Life and death of an instance: the shared memory and the policy it starts
 * with, the one cause of its end, and when nothing of it is left. Knows nothing
 * of how requests are served.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "snapshot.h"

#define STRAYS_AFTER (300 * PICO__MS) /* of dying: kill what never said HELLO, then every tenth of a second */
#define SPARED_FOR (500 * PICO__MS) /* so long the first picoprocess may take to end by itself */
#define GIVE_UP (5 * PICO__NS) /* the kernel holds on to something: end without it */
#define HUP_GRACE (1 * PICO__NS) /* for the helper to say how they ended */

uint64_t pico__now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * PICO__NS + (uint64_t)t.tv_nsec;
}

/* ---- errors ---- */

static int error_fill(struct pico_error *error, int code, int host_errno, const char *where, const char *format, va_list arguments)
{
	memset(error, 0, sizeof(*error));
	error->code = code;
	error->host_errno = host_errno;
	snprintf(error->where, sizeof(error->where), "%s", where);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	return -code;
}

int pico__error_set(struct pico_error *error, int code, int host_errno, const char *where, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return -code;
	va_start(arguments, format);
	error_fill(error, code, host_errno, where, format, arguments);
	va_end(arguments);
	return -code;
}

int pico__instance_error(struct pico *p, int code, int host_errno, const char *where, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&p->lock);
	error_fill(&p->error, code, host_errno, where, format, arguments);
	pthread_mutex_unlock(&p->lock);
	va_end(arguments);
	return -code;
}

/* ---- making ---- */

static int host_error(struct pico_error *error, const char *where)
{
	int saved = errno;

	return pico__error_set(error, -pico__error(saved), saved, where, "%s", strerrordesc_np(saved));
}

/* Sealed against change of size, so that no guest can make the host fault. */
static int shared_memory(const char *name, uint64_t size, struct pico_error *error)
{
	PICO__CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return host_error(error, name);
	return pico__steal_fd(&fd);
}

/* A file beyond RLIMIT_FSIZE would bring the host SIGXFSZ. */
static int segment_size(uint64_t *size, struct pico_error *error)
{
	struct rlimit limit;

	*size = PICO__SEGMENT_SIZE;
	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	if (limit.rlim_cur < PICO_MAILBOX_SIZE)
		return pico__error_set(error, PICO_EFBIG, 0, "shared memory", "RLIMIT_FSIZE is below %llu MiB",
				       (unsigned long long)(PICO_MAILBOX_SIZE >> 20));
	if (limit.rlim_cur < *size)
		*size = limit.rlim_cur & ~(PICO_PAGE_SIZE - 1);
	return 0;
}

static int make_memory(struct pico *p, const struct pico__restore *restore, struct pico_error *error)
{
	struct pico_mailbox_header *h;
	void *at;
	int rc = segment_size(&p->segment_size, error);

	if (rc == 0 && restore)
		p->segment_size = restore->segment_size; /* its library OS counts on it */
	if (rc < 0)
		return rc;
	p->mailbox_fd = shared_memory("pico-mailbox", PICO_MAILBOX_SIZE, error);
	if (p->mailbox_fd < 0)
		return p->mailbox_fd;
	p->segment_fd = shared_memory("pico-segment", p->segment_size, error);
	if (p->segment_fd < 0)
		return p->segment_fd;
	at = mmap(NULL, PICO_MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->mailbox_fd, 0);
	if (at == MAP_FAILED)
		return host_error(error, "mailbox");
	p->mailbox = at;
	/* A host's core dump need not hold it. */
	madvise(at, PICO_MAILBOX_SIZE, MADV_DONTDUMP);
	h = pico__mailbox_header(p);
	if (getrandom(h->host.generation, sizeof(h->host.generation), 0) != (ssize_t)sizeof(h->host.generation))
		return host_error(error, "random bits");
	h->host.generation[6] = (uint8_t)((h->host.generation[6] & 0x0f) | 0x40); /* a version 4 UUID */
	h->host.generation[8] = (uint8_t)((h->host.generation[8] & 0x3f) | 0x80);
	return restore ? pico__restore_memory(p, restore, error) : 0;
}

static int app_ops(const struct pico_stdio *from, struct pico__app_ops *to)
{
	*to = (struct pico__app_ops){ .read = from->read, .write = from->write, .user = from->user };
	return from->kind == PICO_STDIO_CALLBACK;
}

/* What this library opened has a number below 3 where the host had closed that,
 * another instance's files among it. All of that is close-on-exec, and so is
 * nothing that a program is started with. */
static bool is_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

static int open_stdio(struct pico *p, uint32_t types[3], struct pico_error *error)
{
	static const char *const names[3] = { "standard input", "standard output", "standard error" };

	for (int i = 0; i < 3; i++) {
		const struct pico_stdio *from = &p->config.stdio[i];
		int fd = from->kind == PICO_STDIO_INHERIT ? i : from->kind == PICO_STDIO_FD ? from->fd :
			 from->kind == PICO_STDIO_CLOSED ? PICO__STDIO_CLOSED : PICO__STDIO_NULL, rc;
		struct pico__app_ops ops;

		if (from->kind == PICO_STDIO_INHERIT ? !is_inherited(i) : fd >= 0 && fcntl(fd, F_GETFD) < 0)
			return pico__error_set(error, PICO_EBADF, EBADF, names[i], "descriptor %d is not open", fd);
		rc = pico__streams_stdio(p->streams, i, fd, app_ops(from, &ops) ? &ops : NULL, &types[i]);
		if (rc < 0)
			return pico__error_set(error, -rc, 0, names[i], "%s cannot be given: %s", names[i], pico_strerror(rc));
	}
	return 0;
}

static int open_mounts(struct pico *p, uint32_t *types, struct pico_error *error)
{
	for (size_t i = 0; i < p->config.mount_count; i++) {
		const struct pico__mount *m = &p->config.mounts[i];
		char why[128] = "";
		int rc = pico__streams_mount(p->streams, m, &types[i], why, sizeof(why));

		if (rc < 0)
			return pico__error_set(error, -rc, 0, "mount", "%.60s at %.60s: %s", m->host, m->guest,
					       why[0] ? why : pico_strerror(rc));
	}
	return 0;
}

static int open_policy(struct pico *p, struct pico__restore *restore, struct pico_error *error)
{
	PICO__FREE uint32_t *mount_types = calloc(p->config.mount_count + 1, sizeof(*mount_types));
	uint32_t stdio_types[3] = { 0 };
	int rc;

	if (!mount_types)
		return pico__error_set(error, PICO_ENOMEM, 0, "policy", "out of memory");
	rc = pico__streams_create(&p->streams, p->config.limits.streams, p->config.uid, p->config.gid);
	if (rc < 0)
		return pico__error_set(error, -rc, 0, "policy", "%s", pico_strerror(rc));
	/* First of all, so its number is PICO_FIRST_FD and the gate need not be told. */
	p->segment_handle = pico__streams_adopt(p->streams, p->segment_fd, PICO_ACCESS_READ | PICO_ACCESS_WRITE, "memory:segment");
	if (p->segment_handle != PICO_HANDLE(PICO_HT_STREAM, PICO_FIRST_FD))
		return pico__error_set(error, p->segment_handle < 0 ? (int)-p->segment_handle : PICO_EMFILE, 0, "policy", "no place for the shared segment");
	rc = open_mounts(p, mount_types, error);
	if (rc == 0)
		rc = open_stdio(p, stdio_types, error);
	for (size_t i = 0; rc == 0 && i < p->config.app_count; i++) {
		const struct pico_app_stream *a = &p->config.apps[i];
		struct pico__app_ops ops = { .read = a->read, .write = a->write, .user = a->user };

		rc = pico__streams_app(p->streams, a->name, &ops);
		if (rc < 0)
			pico__error_set(error, -rc, 0, "app stream", "app:%.100s: %s", a->name, pico_strerror(rc));
	}
	if (rc == 0 && restore)
		rc = pico__restore_streams(p, restore, error);
	if (rc < 0)
		return rc;
	p->boot_fd = pico__boot_create(&p->config, mount_types, stdio_types, &p->boot_size, error);
	return p->boot_fd < 0 ? p->boot_fd : 0;
}

static void init(struct pico *p)
{
	static uint32_t serials;
	pthread_condattr_t attributes;

	p->source.kind = PICO__SOURCE_LISTENER;
	p->owner = getpid();
	p->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	snprintf(p->name, sizeof(p->name), "pico%x.%x", (unsigned)p->owner & 0xffffff, p->serial & 0xffff);
	p->listener = p->mailbox_fd = p->segment_fd = p->boot_fd = p->libos_fd = p->event_fd = p->seed_pidfd = -1;
	p->log_last = &p->log_first;
	p->log_tokens = 100;
	p->log_at = pico__now();
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->log_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

int pico__instance_new(struct pico__config *config, struct pico__restore *restore, struct pico **out, struct pico_error *error)
{
	struct pico *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return pico__error_set(error, PICO_ENOMEM, 0, "instance", "out of memory");
	init(p);
	p->config = *config;
	memset(config, 0, sizeof(*config));
	p->threads = calloc(PICO_SLOT_COUNT, sizeof(*p->threads));
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!p->threads)
		rc = pico__error_set(error, PICO_ENOMEM, 0, "instance", "out of memory");
	else if (p->event_fd < 0)
		rc = host_error(error, "instance");
	else
		rc = make_memory(p, restore, error);
	if (rc == 0)
		rc = open_policy(p, restore, error);
	if (rc < 0)
		pico__instance_free(p);
	else
		*out = p;
	return rc;
}

void pico__config_fini(struct pico__config *c)
{
	char **const lists[] = { c->argv, c->envp };

	for (size_t i = 0; i < 2; i++) {
		for (char **at = lists[i]; at && *at; at++)
			free(*at);
		free(lists[i]);
	}
	for (size_t i = 0; i < c->mount_count && c->mounts; i++) {
		free((char *)(uintptr_t)c->mounts[i].host);
		free((char *)(uintptr_t)c->mounts[i].guest);
	}
	for (size_t i = 0; i < c->app_count && c->apps; i++)
		free((char *)(uintptr_t)c->apps[i].name);
	free(c->mounts);
	free(c->apps);
	free(c->program);
	free(c->cwd);
	free(c->hostname);
	free(c->libos);
	free(c->helper);
	memset(c, 0, sizeof(*c));
}

void pico__instance_free(struct pico *p)
{
	while (p->processes) {
		struct pico__process *q = p->processes;

		p->processes = q->next;
		pico__close(q->pidfd);
		pico__close(q->event);
		free(q);
	}
	if (p->mailbox)
		munmap((void *)(uintptr_t)p->mailbox, PICO_MAILBOX_SIZE);
	pico__bell_destroy(p);
	pico__close(p->listener);
	pico__close(p->seed_pidfd);
	pico__close(p->mailbox_fd);
	pico__close(p->segment_fd);
	pico__close(p->boot_fd);
	pico__close(p->libos_fd);
	pico__close(p->event_fd);
	if (p->threads)
		pico__request_fini(p);
	if (p->streams)
		pico__streams_destroy(p->streams);
	pico__log_fini(p);
	free(p->threads);
	pico__config_fini(&p->config);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->log_lock);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- the end ---- */

static void start_dying(struct pico *p, const struct pico__process *spare)
{
	p->dying = true;
	p->dying_at = pico__now();
	p->strays_at = p->dying_at + (spare ? SPARED_FOR : STRAYS_AFTER);
	pico__process_kill_all(p, spare);
	pthread_cond_broadcast(&p->changed); /* who waits for a park */
	pico__guard_poke(p);
}

static void die(struct pico *p, enum pico_cause cause, const char *format, va_list arguments)
{
	if (p->dying || p->ended)
		return;
	memset(&p->result, 0, sizeof(p->result));
	p->result.kind = PICO_DIED;
	p->result.cause = cause;
	vsnprintf(p->result.message, sizeof(p->result.message), format, arguments);
	pico__error_set(&p->error, PICO_EDIED, 0, pico_cause_name(cause), "%s", p->result.message);
	start_dying(p, NULL);
}

void pico__instance_die_locked(struct pico *p, enum pico_cause cause, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	die(p, cause, format, arguments);
	va_end(arguments);
}

void pico__instance_die(struct pico *p, enum pico_cause cause, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&p->lock);
	die(p, cause, format, arguments);
	pthread_mutex_unlock(&p->lock);
	va_end(arguments);
}

void pico__instance_finish(struct pico *p, int32_t code, const struct pico__process *spare)
{
	if (p->dying || p->ended)
		return;
	memset(&p->result, 0, sizeof(p->result));
	p->result.kind = code < 256 ? PICO_EXITED : PICO_SIGNALED;
	p->result.code = code < 256 ? code : 0;
	p->result.signal = code < 256 ? 0 : code - 256;
	/* What shells mean by these two: the program never ran. */
	if ((code == 126 || code == 127) && p->said[0]) {
		snprintf(p->result.message, sizeof(p->result.message), "%s", p->said);
		pico__error_set(&p->error, code == 127 ? PICO_ENOENT : PICO_ENOEXEC, 0, "program", "%s", p->said);
	}
	pico__limits_memory(p); /* the last chance to see its peak */
	start_dying(p, spare);
}

void pico__instance_event(struct pico *p)
{
	eventfd_write(p->event_fd, 1);
}

/* Streams first: whoever saw the end finds pipes closed, the terminal as it was. */
static void end(struct pico *p)
{
	pico__streams_stop(p->streams);
	p->ended = true;
	pico__exit_later(p);
	pico__instance_event(p);
	pthread_cond_broadcast(&p->changed);
}

/* The keeper, which goes last, waits for those on their way, too. */
static bool anything_left(const struct pico *p, bool but_the_keeper)
{
	for (const struct pico__process *q = p->processes; q; q = q->next)
		if (but_the_keeper ? !q->keeper && (q->state == PICO__LIVE || pico__process_is_awaited(q)) : q->state == PICO__LIVE)
			return true;
	return false;
}

uint64_t pico__instance_tend(struct pico *p, uint64_t now)
{
	uint64_t due = PICO__NEVER;

	pthread_mutex_lock(&p->lock);
	if (p->hup && !p->dying && !p->ended) {
		due = p->hup_at + HUP_GRACE;
		if (now >= due)
			pico__instance_die_locked(p, PICO_CAUSE_KILLED_OUTSIDE, "all picoprocesses are gone");
	}
	if (p->dying && !p->ended) {
		if (p->bell && !p->hup && !anything_left(p, true))
			pico__process_kill_all(p, NULL);
		if (p->hup && (p->helper_dead || !anything_left(p, false))) {
			end(p);
		} else if (now - p->dying_at >= GIVE_UP) {
			end(p);
		} else if (now >= p->strays_at) {
			pico__process_kill_all(p, NULL);
			pico__process_kill_strays(p);
			p->strays_at = now + 100 * PICO__MS;
		}
		due = p->strays_at;
	}
	if (p->ended)
		due = PICO__NEVER;
	pthread_mutex_unlock(&p->lock);
	return due;
}
