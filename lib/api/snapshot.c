/* SPDX-License-Identifier: Apache-2.0
 *
 * pico_snapshot, pico_restore, pico_clone: checks of what the caller wants, and
 * the order of the steps. Knows nothing of what lies in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../monitor/cleanup.h"
#include "../monitor/host_errno.h"
#include "../monitor/snapshot.h"
#include "api.h"

#define KEY_MIN 16
#define STRUCT_MAX (1u << 16)

void pico_snapshot_options_init_sized(struct pico_snapshot_options *options, size_t size)
{
	const struct pico_snapshot_options defaults = { .size = size, .fd = -1, .timeout_ms = -1 };

	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

void pico_restore_options_init_sized(struct pico_restore_options *options, size_t size)
{
	const struct pico_restore_options defaults = { .size = size, .fd = -1 };

	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

/* A newer caller's struct is larger: fine while it asks for nothing new. */
static bool copy_struct(void *to, size_t known, const void *from, size_t size)
{
	const uint8_t *tail = from;

	if (size < known || size > known + STRUCT_MAX)
		return false;
	for (size_t i = known; i < size; i++)
		if (tail[i])
			return false;
	memcpy(to, from, known);
	return true;
}

static bool key_is_good(const void *key, size_t size)
{
	return key ? size >= KEY_MIN : !size;
}

/* ---- taking ---- */

/* What goes beyond RLIMIT_FSIZE is an error here, and no signal to the host. */
static int take(struct pico *p, const struct pico__snapshot_order *order, struct pico_error *error)
{
	const struct timespec now = { 0 };
	sigset_t only, before, pending;
	bool was;
	int rc;

	sigemptyset(&only);
	sigaddset(&only, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &only, &before);
	sigpending(&pending);
	was = sigismember(&pending, SIGXFSZ) > 0;
	rc = pico__snapshot_take(p, order, error);
	while (!was && sigtimedwait(&only, NULL, &now) > 0)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static int check(const struct pico_snapshot_options *o, const char **why)
{
	*why = o->flags & ~(uint64_t)PICO_SNAPSHOT_STOP ? "flags: unknown bits" : o->reserved ? "reserved is not 0" :
		!o->path == (o->fd < 0) ? "either path or fd must be given" : o->path && !*o->path ? "path is empty" :
		!key_is_good(o->key, o->key_size) ? "a key has at least 16 bytes" : NULL;
	if (*why)
		return PICO_EINVAL;
	*why = "incremental snapshots are not there";
	return o->parent ? PICO_ENOTSUP : 0;
}

int pico_snapshot(struct pico *p, const struct pico_snapshot_options *options)
{
	struct pico_snapshot_options o;
	struct pico_error error = { 0 };
	const char *why;
	int rc = pico__owned(p);

	if (rc < 0)
		return rc;
	if (!options || !copy_struct(&o, sizeof(o), options, options->size))
		return pico__instance_error(p, options ? PICO_EVERSION : PICO_EINVAL, 0, "pico_snapshot", "options are not known");
	rc = check(&o, &why);
	if (rc)
		return pico__instance_error(p, rc, 0, "pico_snapshot", "%s", why);
	if (pico__callback_current() == p)
		return pico__instance_error(p, PICO_EDEADLK, 0, "pico_snapshot", "called from a callback of the instance");
	const struct pico__snapshot_order order = {
		.path = o.path, .fd = o.fd, .stop = o.flags & PICO_SNAPSHOT_STOP, .key = o.key, .key_size = o.key_size,
		.timeout_ms = o.timeout_ms, .progress = o.progress, .report = o.report, .user = o.user,
	};
	pthread_mutex_lock(&p->lock);
	p->busy++; /* not to be destroyed under us */
	pthread_mutex_unlock(&p->lock);
	rc = take(p, &order, &error);
	if (rc < 0)
		pico__instance_error(p, error.code ? error.code : -rc, error.host_errno, error.where, "%s", error.message);
	pico__instance_unbusy(p);
	return rc;
}

/* ---- restoring ---- */

/* Files whose pages were checked in this process. */
static struct { pthread_mutex_t lock; struct verified { dev_t dev; ino_t ino; off_t size; struct timespec mtime, ctime; } seen[64]; unsigned next; }
	verified = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_verified(const struct stat *st, bool remember)
{
	bool found = false;

	pthread_mutex_lock(&verified.lock);
	for (size_t i = 0; i < sizeof(verified.seen) / sizeof(verified.seen[0]) && !found; i++) {
		const struct verified *v = &verified.seen[i];

		found = v->size && v->dev == st->st_dev && v->ino == st->st_ino && v->size == st->st_size &&
			!memcmp(&v->mtime, &st->st_mtim, sizeof(v->mtime)) && !memcmp(&v->ctime, &st->st_ctim, sizeof(v->ctime));
	}
	if (!found && remember)
		verified.seen[verified.next++ % (sizeof(verified.seen) / sizeof(verified.seen[0]))] =
			(struct verified){ st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
	pthread_mutex_unlock(&verified.lock);
	return found;
}

static int verify(const struct pico__restore *r, bool always, struct pico_error *error)
{
	struct stat st;
	int rc;

	if (fstat(r->file.fd, &st))
		return pico__error_set(error, -pico__error(errno), errno, "snapshot", "%s", strerrordesc_np(errno));
	if (!always && is_verified(&st, false))
		return 0;
	rc = pico__snapshot_verify(&r->file, error);
	if (rc == 0)
		is_verified(&st, true);
	return rc;
}

/* The caller's options as large as ours, or a copy of all of a newer caller's. */
static struct pico_options *copy_options(const struct pico_options *from, struct pico_error *error)
{
	size_t size = from ? from->size : sizeof(*from);
	struct pico_options *o;

	if (size < sizeof(o->size) || size > sizeof(*o) + STRUCT_MAX) {
		pico__error_set(error, PICO_EVERSION, 0, "options", "size is %zu", size);
		return NULL;
	}
	o = calloc(1, size > sizeof(*o) ? size : sizeof(*o));
	if (!o)
		pico__error_set(error, PICO_ENOMEM, 0, "options", "out of memory");
	else if (from)
		memcpy(o, from, size);
	else
		pico_options_init(o);
	if (o && size < sizeof(*o))
		o->size = sizeof(*o);
	return o;
}

static int restore(const struct pico_restore_options *o, int fd, bool verified_already, struct pico **out, struct pico_error *error)
{
	__attribute__((cleanup(pico__restore_fini))) struct pico__restore r = {
		.changed_ok = o->flags & PICO_RESTORE_CHANGED_OK, .add_pause = o->flags & PICO_RESTORE_ADD_PAUSE,
		.report = o->report, .user = o->user,
	};
	PICO__FREE struct pico_options *options = NULL;
	struct pico *p;
	int rc;

	options = copy_options(o->options, error);
	if (!options)
		return o->options && (o->options->size < sizeof(size_t) || o->options->size > sizeof(*options)) ? -PICO_EVERSION : -PICO_ENOMEM;
	rc = pico__snapshot_read(&r.file, fd, o->key, o->key_size, false, error);
	if (rc == 0 && !verified_already)
		rc = verify(&r, o->flags & PICO_RESTORE_VERIFY, error);
	if (rc == 0)
		rc = pico__restore_options(&r, options, error);
	if (rc == 0)
		rc = pico__create_restored(options, &r, &p, error);
	if (rc < 0)
		return rc;
	rc = o->flags & PICO_RESTORE_PAUSED ? 0 : pico_start(p);
	if (rc < 0) {
		if (error)
			*error = *pico_get_error(p);
		pico_destroy(p);
		return rc;
	}
	*out = p;
	return 0;
}

static int check_restore(const struct pico_restore_options *options, struct pico_restore_options *o, struct pico **out, struct pico_error *error)
{
	const uint64_t known = PICO_RESTORE_PAUSED | PICO_RESTORE_VERIFY | PICO_RESTORE_CHANGED_OK | PICO_RESTORE_ADD_PAUSE;

	if (!out || !options)
		return pico__error_set(error, PICO_EINVAL, 0, "pico_restore", "%s is NULL", out ? "options" : "out");
	if (!copy_struct(o, sizeof(*o), options, options->size))
		return pico__error_set(error, PICO_EVERSION, 0, "pico_restore", "options are not known");
	if ((o->flags & ~known) || o->reserved)
		return pico__error_set(error, PICO_EINVAL, 0, "pico_restore", "flags: unknown bits");
	return 0;
}

int pico_restore(const struct pico_restore_options *options, struct pico **out, struct pico_error *error)
{
	struct pico_restore_options o;
	PICO__CLOSE int fd = -1;
	int rc = check_restore(options, &o, out, error);

	if (rc < 0)
		return rc;
	if (!o.path == (o.fd < 0))
		return pico__error_set(error, PICO_EINVAL, 0, "pico_restore", "either path or fd must be given");
	if (!key_is_good(o.key, o.key_size))
		return pico__error_set(error, PICO_EINVAL, 0, "pico_restore", "a key has at least 16 bytes");
	fd = o.path ? open(o.path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : fcntl(o.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return pico__error_set(error, -pico__error(errno), errno, "snapshot", "%.200s: %s", o.path ? o.path : "fd", strerrordesc_np(errno));
	return restore(&o, fd, false, out, error);
}

int pico_clone(struct pico *p, const struct pico_restore_options *options, struct pico **out, struct pico_error *error)
{
	struct pico_snapshot_options snapshot;
	struct pico_restore_options o;
	PICO__CLOSE int fd = -1;
	int rc = check_restore(options, &o, out, error);

	if (rc < 0)
		return rc;
	fd = memfd_create("pico-clone", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return pico__error_set(error, -pico__error(errno), errno, "pico_clone", "%s", strerrordesc_np(errno));
	pico_snapshot_options_init(&snapshot);
	snapshot.fd = fd;
	rc = pico_snapshot(p, &snapshot);
	if (rc < 0) {
		if (error)
			*error = *pico_get_error(p);
		return rc;
	}
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	o.flags |= PICO_RESTORE_CHANGED_OK;
	o.key = NULL;
	o.key_size = 0;
	return restore(&o, fd, true, out, error);
}
