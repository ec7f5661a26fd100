/* SPDX-License-Identifier: Apache-2.0
 *
 * What hostfs.c (names, attributes) and hostfs_file.c (handles, contents) share.
 *
 * Every request to the host costs some microseconds, so answers are believed
 * for a time: on a read-only mount for a second; on a writable one, where the
 * host may change anything, only for GRACE (one system call's worth) at the end
 * of a path, and for a second where a directory is only walked through.
 *
 * An answer may be older than what another task has done since it was asked for:
 * a size that is put back so is a lost write to a database. So each change is
 * counted when it is done, and an answer is kept only when the count is still
 * what it was before the question; whoever asked may use it all the same.
 */
#ifndef FS_HOSTFS_H
#define FS_HOSTFS_H

#include "internal.h"

#define HOST_TTL NSEC_PER_SEC
#define HOST_GRACE 20000ull /* ns: shorter than any message from the host takes to arrive */
#define HOST_HASH 64u /* buckets at the start */
#define HOST_HASH_MOST (1u << 20)
#define HOST_IDLE_MAX 64u /* handles for reading kept for the next open */

struct hostfs {
	struct lock lock; /* the hash */
	u32 changes; /* of all its inodes */
	struct list *hash; /* a bucket becomes a list when it is first used */
	u32 hash_mask, inodes;
	struct list first_hash[HOST_HASH];
	bool read_only, no_exec;
	u32 prefix_size; /* 0 for "/" */
	char prefix[];
};
struct hnode { /* inode->data */
	struct list hash_node;
	struct inode *inode;
	u64 device, ino;
	s64 btime_sec; u32 btime_nsec; /* tells a reused inode number */
	struct lock lock; /* attributes and these two */
	u32 changes;
	u64 fresh; /* when the attributes were learnt; 0: not to be believed */
	struct list handles; /* under vfs()->host_lock */
};
/* An open host stream, shared by the descriptions that need no more access. */
struct hhandle {
	struct list node, idle;
	struct hnode *owner;
	pico_handle stream;
	u32 access, users;
};

static inline struct hnode *hnode(struct inode *i) { return i->data; }
static inline struct hostfs *hostfs_of(struct inode *i) { return i->fs; }
bool hostfs_inode(const struct inode *i);
/* URI of a name in the cache. Length, or -ENAMETOOLONG. */
int host_uri(struct dentry *d, const char *scheme, char buf[PICO_URI_MAX]);
int host_uri_of(struct inode *i, const char *scheme, char buf[PICO_URI_MAX]); /* of any of its names; -ENOENT: deleted */
/* mark: host_mark(&h->changes) before a was asked for. */
struct inode *host_inode(struct hostfs *h, u32 mark, const struct pico_stream_attributes *a, const char *link, size_t link_size);
bool host_same(struct inode *i, const struct pico_stream_attributes *a);
static inline u32 host_mark(const u32 *changes) { return __atomic_load_n(changes, __ATOMIC_ACQUIRE); }
bool host_learn(struct inode *i, const u32 *changes, u32 mark, const struct pico_stream_attributes *a); /* true: kept */
void host_changed(struct inode *i, u64 size); /* something was done; a write reached to size */
void host_validated(struct hostfs *h, struct dentry *d);
int host_update(struct inode *i, struct pico_stream_attributes *a); /* attributes afresh when they are old. 1: only a has them, for i has changed */

/* hostfs_file.c */
struct hhandle *handle_find(struct inode *i, u32 access); /* one that is open already; users counted */
struct hhandle *handle_new(struct inode *i, pico_handle stream, u32 access); /* closes the stream when there is no memory */
void handle_put(struct hhandle *h);
void handles_close_idle(struct inode *i);
u32 host_access(u32 open_flags);
int host_open(struct inode *i, struct file *f);
int host_lookup_open(struct inode *dir, struct dentry *d, struct file *f, u32 mode, bool *created);
int host_tmpfile(struct inode *dir, struct file *f, u32 mode);
int host_resize(struct inode *i, u64 size);
int host_syncfs(struct inode *i);
/* StreamOpen that copes with mounts from which nothing may be executed. */
s64 host_stream_open(struct hostfs *h, const char *uri, u64 size, u32 *access, u32 flags, u32 mode, struct pico_stream_attributes *a);

#endif
