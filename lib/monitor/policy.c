/* SPDX-License-Identifier: Apache-2.0
 *
 * Mount table and resolution of guest paths by openat2(2), beneath a
 * descriptor that was opened when the mount was made. Knows nothing of
 * handles, URIs or requests.
 *
 * Files are found first (O_PATH) and opened after their type is known: opening
 * a device or FIFO can have effects of its own, whatever is read from it later.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <pico/abi.h>
#include "cleanup.h"
#include "host_errno.h"
#include "policy.h"
#include "uri.h"

#define WALK (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
#define WALK_TRIES 128 /* of EAGAIN: a rename somewhere on the host got in the way */
#define WANTED (STATX_BASIC_STATS | STATX_BTIME)

/* File systems whose calls may wait for another machine or process. Numbers
 * that linux/magic.h lacks are from their own projects. */
static const uint32_t slow_types[] = {
	NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC,
	V9FS_MAGIC, CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC, AFS_FS_MAGIC, CODA_SUPER_MAGIC,
	NCP_SUPER_MAGIC, OCFS2_SUPER_MAGIC, AUTOFS_SUPER_MAGIC, ECRYPTFS_SUPER_MAGIC,
	0x0bd00bd0 /* Lustre */, 0x47504653 /* GPFS */, 0x01161970 /* GFS2 */, 0x19830326 /* BeeGFS */,
	0x20030528 /* OrangeFS */, 0x786f4256 /* vboxsf */, 0xaad7aaea /* PanFS */,
};

/* The same by name, for those that are mounted below a granted directory: to ask
 * one of them would be to wait for it. */
static const char *const slow_names[] = {
	"nfs", "fuse", "cifs", "smb", "9p", "ceph", "afs", "coda", "ncpfs", "ocfs2", "autofs", "ecryptfs", "lustre", "gpfs",
	"gfs", "beegfs", "pvfs2", "vboxsf", "panfs", "glusterfs", "virtiofs",
};

static int open_beneath(int at, const char *rel, uint64_t flags, uint32_t mode)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode, .resolve = WALK };

	for (unsigned i = 0;; i++) {
		int fd = (int)syscall(SYS_openat2, at, *rel ? rel : ".", &how, sizeof(how));

		if (fd >= 0)
			return fd;
		if (errno != EINTR && (errno != EAGAIN || i >= WALK_TRIES))
			return pico__error(errno == EAGAIN ? EBUSY : errno);
	}
}

static int stat_fd(int fd, struct statx *st)
{
	return statx(fd, "", AT_EMPTY_PATH, WANTED, st) ? pico__error(errno) : 0;
}

/* procfs has an anonymous device number (major 0), as have few others: a disk
 * costs nothing here. */
static int refuse_procfs(int fd, const struct statx *st)
{
	struct statfs fs;

	if (st->stx_dev_major)
		return 0;
	if (fstatfs(fd, &fs))
		return pico__error(errno);
	return (uint32_t)fs.f_type == PROC_SUPER_MAGIC ? -PICO_EACCES : 0;
}

static int inspect(int fd, struct statx *st)
{
	int error = stat_fd(fd, st);

	return error ? error : refuse_procfs(fd, st);
}

static bool same_object(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor && (a->stx_mode & S_IFMT) == (b->stx_mode & S_IFMT);
}

/* ---- the table ---- */

static void mountpoint_free(struct pico__mountpoint *m)
{
	if (!m)
		return;
	pico__close(m->fd);
	pico__close(m->parent);
	for (char **at = m->slow_below; at && *at; at++)
		free(*at);
	free(m->slow_below);
	free(m->guest);
	free(m->name);
	free(m);
}

static void auto_mountpoint(struct pico__mountpoint **m)
{
	mountpoint_free(*m);
}

void pico__policy_fini(struct pico__policy *policy)
{
	struct pico__mountpoint *m = atomic_exchange(&policy->first, NULL);

	while (m) {
		struct pico__mountpoint *next = atomic_load(&m->next);

		mountpoint_free(m);
		m = next;
	}
}

__attribute__((format(printf, 4, 5)))
static int fail(char *why, size_t size, int error, const char *format, ...)
{
	__builtin_va_list args;

	if (why && size) {
		__builtin_va_start(args, format);
		vsnprintf(why, size, format, args);
		__builtin_va_end(args);
	}
	return error;
}

/* Remembers directory and name of a single file, so that it can be opened on
 * hosts where a descriptor cannot be reopened. Best effort. */
static void note_parent(struct pico__mountpoint *m, const char *host)
{
	PICO__FREE char *path = realpath(host, NULL);
	char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		return;
	m->name = strdup(slash + 1);
	slash[slash == path] = 0;
	m->parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool slow_name(const char *type)
{
	for (size_t i = 0; i < sizeof(slow_names) / sizeof(slow_names[0]); i++)
		if (!strncmp(type, slow_names[i], strlen(slow_names[i])))
			return true;
	return false;
}

static int add_slow_below(struct pico__mountpoint *m, size_t count, const char *path)
{
	char **list = realloc(m->slow_below, (count + 2) * sizeof(*list));

	if (!list)
		return -PICO_ENOMEM;
	m->slow_below = list;
	list[count + 1] = NULL;
	list[count] = strdup(path);
	return list[count] ? 0 : -PICO_ENOMEM;
}

static void end_mounts(FILE **f)
{
	if (*f)
		endmntent(*f);
}

/* Without /proc nothing is known; what is mounted later is not either. */
static int note_slow_below(struct pico__mountpoint *m, const char *host)
{
	__attribute__((cleanup(end_mounts))) FILE *f = setmntent("/proc/self/mounts", "re");
	PICO__FREE char *root = f ? realpath(host, NULL) : NULL;
	size_t size = root ? strlen(root) : 0, count = 0;
	char text[8192];
	struct mntent mount;
	int error = 0;

	size -= size == 1; /* "/" */
	while (root && !error && getmntent_r(f, &mount, text, sizeof(text)))
		if (slow_name(mount.mnt_type) && !strncmp(mount.mnt_dir, root, size) && mount.mnt_dir[size] == '/' && mount.mnt_dir[size + 1])
			error = add_slow_below(m, count++, mount.mnt_dir + size + 1);
	return error;
}

static int open_host(struct pico__mountpoint *m, const char *host, char *why, size_t why_size)
{
	struct statfs fs;
	int error, probe;

	m->fd = open(host, O_PATH | O_CLOEXEC);
	if (m->fd < 0)
		return fail(why, why_size, pico__error(errno), "%s: %s", host, strerror(errno));
	error = inspect(m->fd, &m->identity);
	if (error == -PICO_EACCES)
		return fail(why, why_size, error, "%s: procfs cannot be granted", host);
	if (error || fstatfs(m->fd, &fs))
		return fail(why, why_size, error ? error : pico__error(errno), "%s: attributes cannot be read", host);
	for (unsigned i = 0; i < sizeof(slow_types) / sizeof(slow_types[0]); i++)
		m->slow |= (uint32_t)fs.f_type == slow_types[i];
	if (S_ISREG(m->identity.stx_mode)) {
		m->type = PICO_STREAM_FILE;
		note_parent(m, host);
		return 0;
	}
	if (!S_ISDIR(m->identity.stx_mode))
		return fail(why, why_size, -PICO_ENXIO, "%s: neither a directory nor a regular file", host);
	m->type = PICO_STREAM_DIRECTORY;
	probe = open_beneath(m->fd, ".", O_PATH | O_DIRECTORY, 0);
	if (probe < 0)
		return probe == -PICO_ENOSYS ? fail(why, why_size, -PICO_EKERNEL, "%s: openat2 does not work here", host) :
			fail(why, why_size, probe, "%s: %s", host, strerror(errno));
	close(probe);
	if (!m->slow && (error = note_slow_below(m, host)))
		return fail(why, why_size, error, "out of memory");
	return 0;
}

int pico__policy_add(struct pico__policy *policy, const char *host, const char *guest, bool read_only,
		     uint32_t *type_out, char *why, size_t why_size)
{
	__attribute__((cleanup(auto_mountpoint))) struct pico__mountpoint *m = NULL;
	_Atomic(struct pico__mountpoint *) *at = &policy->first;
	int error;

	if (!host || !guest || !pico__path_valid(guest) || strlen(guest) > PICO_URI_MAX)
		return fail(why, why_size, -PICO_EINVAL, "%s: not an absolute, normalised path", guest ? guest : "(null)");
	m = calloc(1, sizeof(*m));
	if (!m || (m->fd = m->parent = -1, !(m->guest = strdup(guest))))
		return fail(why, why_size, -PICO_ENOMEM, "out of memory");
	m->guest_size = (uint32_t)strlen(guest);
	m->read_only = read_only;
	error = open_host(m, host, why, why_size);
	if (error)
		return error;
	for (struct pico__mountpoint *o; (o = atomic_load(at)) && o->guest_size >= m->guest_size; at = &o->next)
		if (!strcmp(o->guest, guest))
			return fail(why, why_size, -PICO_EEXIST, "%s: mounted already", guest);
	if (m->slow || m->slow_below)
		atomic_store(&policy->any_slow, true);
	if (type_out)
		*type_out = m->type;
	atomic_store(&m->next, atomic_load(at));
	atomic_store(at, m); /* readers see the whole entry or none */
	m = NULL;
	return 0;
}

/* Is path the same as or below prefix? *rest is what follows. */
static bool path_below(char *path, const char *prefix, uint32_t prefix_size, char **rest)
{
	if (prefix_size == 1) { /* "/" */
		*rest = path + 1;
		return true;
	}
	if (strncmp(path, prefix, prefix_size) || (path[prefix_size] && path[prefix_size] != '/'))
		return false;
	*rest = path + prefix_size + (path[prefix_size] == '/');
	return true;
}

int pico__policy_find(const struct pico__policy *policy, char *path, struct pico__place *place)
{
	for (struct pico__mountpoint *m = atomic_load(&policy->first); m; m = atomic_load(&m->next))
		if (path_below(path, m->guest, m->guest_size, &place->rel)) {
			place->mount = m;
			place->path = path;
			/* A file has nothing below it. */
			return m->type == PICO_STREAM_FILE && *place->rel ? -PICO_ENOTDIR : 0;
		}
	return -PICO_ENOENT;
}

/* A directory above such a mount is not slow itself: only names below it and the
 * mount point are looked up there. */
bool pico__policy_slow(const struct pico__place *place)
{
	if (place->mount->slow)
		return true;
	for (char **at = place->mount->slow_below; at && *at; at++) {
		size_t size = strlen(*at);

		if (!strncmp(place->rel, *at, size) && (!place->rel[size] || place->rel[size] == '/'))
			return true;
	}
	return false;
}

int pico__policy_movable(const struct pico__policy *policy, const char *path)
{
	uint32_t size = (uint32_t)strlen(path);
	char *rest;

	for (struct pico__mountpoint *m = atomic_load(&policy->first); m; m = atomic_load(&m->next))
		if (path_below(m->guest, path, size, &rest))
			return -PICO_EBUSY;
	return 0;
}

/* ---- the walk ---- */

int pico__policy_walk(const struct pico__place *place, bool link_itself, struct pico__found *found)
{
	const struct pico__mountpoint *m = place->mount;
	PICO__CLOSE int fd = -1;
	int error;

	if (m->type == PICO_STREAM_FILE) {
		fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return pico__error(errno);
	} else {
		fd = open_beneath(m->fd, place->rel, O_PATH | (link_itself ? O_NOFOLLOW : 0), 0);
		if (fd < 0)
			return fd;
	}
	error = inspect(fd, &found->st);
	if (error)
		return error;
	found->fd = pico__steal_fd(&fd);
	return 0;
}

/* /proc/self/fd is the one way from an O_PATH descriptor to an open file.
 * O_NONBLOCK: a lease held on the host must not stop the guard. */
int pico__reopen(int fd, uint64_t flags)
{
	char path[32];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	do
		opened = open(path, (int)flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	while (opened < 0 && errno == EINTR);
	if (opened >= 0) {
		fcntl(opened, F_SETFL, (int)flags & O_APPEND);
		return opened;
	}
	if (errno == EAGAIN)
		return -PICO_EBUSY;
	/* The object exists, so it is /proc that does not. */
	return errno == ENOENT || errno == ENOTDIR ? -PICO_ENOTSUP : pico__error(errno);
}

/* Without /proc: by name again, and no matter unless it is the same object.
 * O_TRUNC waits until that is known. */
static int open_by_name(const struct pico__place *place, const struct pico__found *found, uint64_t flags)
{
	const struct pico__mountpoint *m = place->mount;
	bool single = m->type == PICO_STREAM_FILE;
	PICO__CLOSE int fd = -1;
	struct statx st;
	int error;

	if (single && (m->parent < 0 || !m->name))
		return -PICO_ENOENT;
	fd = open_beneath(single ? m->parent : m->fd, single ? m->name : place->rel,
			  (flags & ~(uint64_t)O_TRUNC) | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	error = inspect(fd, &st);
	if (error)
		return error;
	if (!same_object(&st, &found->st))
		return single ? -PICO_ENOENT : -PICO_EBUSY;
	if (flags & O_TRUNC && ftruncate(fd, 0))
		return pico__error(errno);
	fcntl(fd, F_SETFL, (int)flags & O_APPEND);
	return pico__steal_fd(&fd);
}

int pico__policy_open(const struct pico__place *place, const struct pico__found *found, uint64_t flags)
{
	int fd;

	if (S_ISDIR(found->st.stx_mode))
		return -PICO_EISDIR;
	if (S_ISLNK(found->st.stx_mode))
		return -PICO_ELOOP;
	if (!S_ISREG(found->st.stx_mode))
		return -PICO_ENXIO;
	fd = pico__reopen(found->fd, flags);
	return fd == -PICO_ENOTSUP ? open_by_name(place, found, flags) : fd;
}

int pico__policy_create(const struct pico__place *place, uint64_t flags, uint32_t mode)
{
	if (!*place->rel)
		return -PICO_EEXIST;
	return open_beneath(place->mount->fd, place->rel, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, mode);
}

int pico__policy_directory(const struct pico__place *place, struct statx *st)
{
	PICO__CLOSE int fd = -1;
	int error;

	if (place->mount->type == PICO_STREAM_FILE)
		return -PICO_ENOTDIR;
	fd = open_beneath(place->mount->fd, place->rel, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	error = inspect(fd, st);
	return error ? error : pico__steal_fd(&fd);
}

int pico__policy_temporary(const struct pico__place *place, uint64_t flags, uint32_t mode)
{
	if (place->mount->type == PICO_STREAM_FILE)
		return -PICO_ENOTDIR;
	return open_beneath(place->mount->fd, place->rel, flags | O_TMPFILE, mode);
}

int pico__policy_parent(const struct pico__place *place, int *fd, const char **name)
{
	char *slash = strrchr(place->rel, '/');

	if (!*place->rel)
		return -PICO_EBUSY;
	*name = slash ? slash + 1 : place->rel;
	/* The path is the caller's own copy: cut it for the time of the walk. */
	if (slash)
		*slash = 0;
	*fd = open_beneath(place->mount->fd, slash ? place->rel : ".", O_PATH | O_DIRECTORY, 0);
	if (slash)
		*slash = '/';
	return *fd < 0 ? *fd : 0;
}
