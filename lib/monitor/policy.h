/* SPDX-License-Identifier: Apache-2.0
 *
 * The mounts of an instance: which host directories and files its file: and
 * dir: paths reach, and the walk from a guest path to a host object that cannot
 * leave them. Knows nothing of handles, URIs or requests.
 *
 * The longest mount prefix wins, by whole components. A walk never follows a
 * symbolic link and never enters procfs: what a process finds there speaks of,
 * and acts on, the process that opens it, which is the host application.
 * A guest can neither remove nor move a mount point or a directory above one,
 * so what a mount covers stays covered. (Not promised: on a host file system
 * that ignores case, a covered directory has other spellings.)
 *
 * Mounts are added by one thread at a time and stay until the end; all other
 * functions may run in any thread at any time.
 */
#ifndef PICO_POLICY_H
#define PICO_POLICY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct pico__mountpoint {
	_Atomic(struct pico__mountpoint *) next; /* shorter or equally long guest path */
	char *guest;
	uint32_t guest_size;
	uint32_t type; /* PICO_STREAM_DIRECTORY or PICO_STREAM_FILE */
	bool read_only;
	bool slow; /* a file system whose calls may wait for a network or a process */
	char **slow_below; /* paths below it where the host has mounted such a one, ended by NULL; or NULL */
	int fd; /* O_PATH */
	/* A single file only: where it was found, for hosts without /proc. */
	int parent;
	char *name;
	struct statx identity;
};
struct pico__policy {
	_Atomic(struct pico__mountpoint *) first; /* longest guest path first */
	atomic_bool any_slow;
};

/* A guest path and the mount it lies in. rel is the part of path below the
 * mount point, "" for the mount point itself. */
struct pico__place {
	const struct pico__mountpoint *mount;
	char *path;
	char *rel;
};

/* A host object found by a walk. Caller owns fd (O_PATH). */
struct pico__found { int fd; struct statx st; };

void pico__policy_fini(struct pico__policy *policy);
int pico__policy_add(struct pico__policy *policy, const char *host, const char *guest, bool read_only,
		     uint32_t *type_out, char *why, size_t why_size);

/* All below return >= 0 or -PICO_E. */

/* path is valid (pico__path_valid) and outlives place. -PICO_ENOENT when no mount holds it. */
int pico__policy_find(const struct pico__policy *policy, char *path, struct pico__place *place);
/* May a call on this place wait for a network or a process? */
bool pico__policy_slow(const struct pico__place *place);
/* -PICO_EBUSY when path is a mount point or lies above one. */
int pico__policy_movable(const struct pico__policy *policy, const char *path);

/* The object itself, unopened. link_itself: a symbolic link as last component
 * is the answer; otherwise it is -PICO_ELOOP. */
int pico__policy_walk(const struct pico__place *place, bool link_itself, struct pico__found *found);
/* Open a found regular file: a descriptor of that very object. Nothing but a
 * regular file is ever opened. */
int pico__policy_open(const struct pico__place *place, const struct pico__found *found, uint64_t flags);
/* A new regular file; -PICO_EEXIST when the name is taken by anything. */
int pico__policy_create(const struct pico__place *place, uint64_t flags, uint32_t mode);
/* Open a directory for reading; st tells its attributes. */
int pico__policy_directory(const struct pico__place *place, struct statx *st);
/* A file without a name in the directory. */
int pico__policy_temporary(const struct pico__place *place, uint64_t flags, uint32_t mode);
/* The directory that holds the last component (O_PATH); *name is that component.
 * -PICO_EBUSY for a mount point. */
int pico__policy_parent(const struct pico__place *place, int *fd, const char **name);

/* A second descriptor of the object behind fd, with other access. -PICO_ENOTSUP
 * on a host without /proc. */
int pico__reopen(int fd, uint64_t flags);

#endif
