/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of fs/ share: the dentry cache, mounts, the path walk, and the
 * operations on names that system calls and boot use. Nothing outside fs/ and
 * the file calls in sys/ includes it.
 *
 * One lock, vfs()->lock (the "dentry lock" of lx/lock.h), protects the hash,
 * the parent-child lists, names, aliases, mounts and the LRU. It is held for
 * memory operations only. A count of a dentry goes from 1 to 0 only under it.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/mem.h"
#include "../lx/task.h"
#include "../lx/uaccess.h"
#include <asm/fcntl.h>
#include <linux/stat.h>

#define AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_EACCESS 0x200
#define AT_REMOVEDIR 0x200
#define AT_SYMLINK_FOLLOW 0x400
#define AT_NO_AUTOMOUNT 0x800
#define AT_EMPTY_PATH 0x1000
#define AT_STATX_SYNC_TYPE 0x6000
#define AT_RECURSIVE 0x8000

#define NAME_MAX 255u
#define PATH_MAX 4096u
#define MAX_RW_COUNT 0x7ffff000ull
#define LINK_DEPTH_MAX 40u

#define CAP_CHOWN 0
#define CAP_DAC_OVERRIDE 1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER 3
#define CAP_FSETID 4
#define CAP_LINUX_IMMUTABLE 9
#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN 21
#define CAP_SYS_RESOURCE 24
#define CAP_MKNOD 27
#define CAP_LEASE 28
#define CAP_SETFCAP 31

#define DENTRY_HASHED 1u
#define DENTRY_DEAD 2u /* removed: path_name() says so, nothing can be made below it */
#define DENTRY_PINNED 4u /* kept in memory over a directory of another file system: always valid, listed */
#define DENTRY_KEEP 8u /* a mount lies here or below: never dropped as stale */
#define DENTRY_LRU 16u
#define DENTRY_ALIAS 32u /* in inode->aliases */
#define DENTRY_NAMELESS 64u /* O_TMPFILE: shown as "#ino (deleted)" */

/* st_flags of mounts, as mount(2) */
#define MNT_RDONLY 1u
#define MNT_NOSUID 2u
#define MNT_NODEV 4u
#define MNT_NOEXEC 8u
#define MNT_NOSYMFOLLOW 256u
#define MNT_NOATIME 1024u
#define MNT_NODIRATIME 2048u
#define MNT_RELATIME 0x200000u
#define MNT_STRICTATIME 0x1000000u

struct mount {
	struct ref ref;
	u32 id, flags; /* MNT_ */
	struct list node; /* all mounts, oldest first; the vfs holds a reference */
	struct mount *parent; /* NULL: the root, or detached */
	struct dentry *mountpoint; /* in parent; reference */
	struct mount *next_here; /* chain of mountpoint->mounted */
	struct dentry *root; /* reference */
	u32 children; /* mounts whose parent this is */
	char *type, *source, *options;
	bool expiring; /* nobody has been here since umount2(MNT_EXPIRE) */
};

struct tmpfs;
struct loops;
struct vfs {
	struct lock lock; /* the dentry lock */
	struct list *hash;
	u32 hash_mask;
	struct list lru;
	u32 lru_count, dentry_count;
	struct lock rename_lock; /* renames that change the tree */
	struct list mounts;
	struct mount *root;
	u32 next_mount_id, next_dev;
	u64 next_ino;
	u32 watched; /* inotify has been used: look for watchers */
	u32 rename_cookie;
	u64 pin_cookie; /* positions of pinned entries, under their directory's lock */
	struct lock flock_lock; /* fs/lock.c */
	struct list flock_blocked, flock_contexts;
	struct lock lease_lock; /* fs/lease.c */
	struct lock host_lock; /* fs/hostfs.c: idle handles */
	struct list host_idle;
	u32 host_idle_count;
	u64 file_count;
	struct tmpfs *anon_tmpfs; /* of inodes without a mount */
	struct loops *loops; /* fs/loop.c */
	struct wait_queue mounts_wait; u64 mounts_changed; /* who polls /proc/mounts */
};
static inline struct vfs *vfs(void) { return K->vfs; }

/* ---- dentry.c ---- */
int dentry_init(void);
struct dentry *dentry_alloc(struct dentry *parent, const char *name, size_t size); /* reference 1, not in the cache; NULL */
struct dentry *dentry_alloc_root(struct inode *i); /* takes over the reference on i, also on failure */
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
u32 dentry_hash(const struct dentry *parent, const char *name, size_t size);
struct dentry *dentry_find(struct dentry *parent, u32 hash, const char *name, size_t size); /* dentry lock held; no reference */
struct dentry *dentry_cached(struct dentry *parent, const char *name, size_t size); /* takes a reference */
void dentry_publish(struct dentry *d); /* into the cache; its inode gets the alias */
void dentry_set(struct dentry *d, struct inode *i); /* negative -> positive; takes over the reference */
void dentry_bound(struct dentry *d); /* after an operation set d->inode itself */
void dentry_drop(struct dentry *d, u32 flags); /* out of the cache; DENTRY_DEAD: removed */
int dentry_reserve_name(struct dentry *d, size_t size, char **spare); /* room for a longer name, before rename */
void dentry_move(struct dentry *d, struct dentry *target, bool exchange, char **spare); /* d takes target's name and place */
bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor); /* dentry lock held; true when equal */
void dentry_shrink(u32 keep);
void dentry_kill_children(struct dentry *root); /* of a tree held by one reference a dentry: drops all of them */
static inline bool d_negative(const struct dentry *d) { return !__atomic_load_n(&d->inode, __ATOMIC_ACQUIRE); }

/* ---- mount.c ---- */
struct mount *mount_alloc(struct dentry *root /* reference given */, const char *type, const char *source, u32 flags);
struct mount *mount_at(const struct mount *parent, const struct dentry *d); /* dentry lock held; topmost step only */
void mount_get(struct mount *m);
void mount_put(struct mount *m);
int mount_attach(struct mount *m, const struct path *at); /* takes over m, also on failure */
int mount_tree(const char *type, const char *source, struct inode *root, u32 flags, const char *options, const struct path *at); /* takes over root */
int mount_expire(struct path *at);
u32 mounts_poll(struct poll_table *t, u64 *seen); /* for pseudo_entry: has anything been mounted since? */
bool mount_of_dev(u64 dev, struct path *root); /* the root of a file system; references */
int mount_detach(const struct path *at, bool lazy);
int mount_bind(const struct path *from, const struct path *at, u32 flags);
int mount_move(const struct path *from, const struct path *at);
void mount_sync_all(void);
void mount_dissolve(struct mount *m); /* the file of a tree that was never attached is closed */
struct mount *mount_copy(const struct path *from, bool recursive); /* attached nowhere; NULL: no memory */
int mount_change_tree(const struct path *at, u32 flags, u32 mask, bool recursive);
int mount_change(const struct path *at, u32 flags, u32 mask);

/* ---- namei.c ---- */
#define LOOKUP_REVAL 0x1000u /* believe no cached name */
#define LOOKUP_MOUNTED_LAST 0x2000u /* internal */
enum last_type { LAST_NORMAL, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
struct lookup {
	struct path path, root;
	u32 flags, links;
	const char *rest; /* what is still to be walked */
	char *text; /* kmalloc: what rest points into after a symbolic link */
	struct file *file; /* a magic link led to a file without a name; reference */
	const char *last; size_t last_size; enum last_type last_type;
	bool last_slash; /* a slash follows the last component */
};
int lookup_begin(struct lookup *lk, int dirfd, const char *name, u32 flags);
int lookup_walk(struct lookup *lk); /* to the end, or with LOOKUP_PARENT to the last component */
int lookup_follow(struct lookup *lk, struct dentry *link); /* go on with the text of a symbolic link in lk->path */
void lookup_end(struct lookup *lk);
struct dentry *lookup_last(struct lookup *lk); /* parent found: the last component's dentry, may be negative; dir->lock not held; ERR_PTR */
struct dentry *lookup_one(struct path *dir, const char *name, size_t size, bool last, bool force); /* dir->lock held */
void lookup_mounts(struct path *p); /* p (references held) becomes the top of what is mounted there */
/* The same as path_lookup(), and a nameless file behind a magic link in *file. */
int path_lookup_file(int dirfd, const char *name, u32 flags, struct path *out, struct file **file);
int path_is_dir(const struct path *p);
int getname(char buf[PATH_MAX], uaddr name); /* -ENOENT when empty */
int getname_empty(char buf[PATH_MAX], uaddr name);

/* ---- names.c: operations on names; kernel strings ---- */
int vfs_mkdir(int dirfd, const char *name, u32 mode);
int vfs_unlink(int dirfd, const char *name, bool directory);
int vfs_unlink_entry(struct path *dir, const char *name); /* no directory, in dir itself */
int vfs_rename(int olddir, const char *oldname, int newdir, const char *newname, u32 flags);
int vfs_link(int olddir, const char *oldname, int newdir, const char *newname, u32 at_flags);
int vfs_symlink(const char *target, int dirfd, const char *name);
int vfs_may_create(struct path *dir);
/* An entry held in memory over any directory: mount points, sockets. dir lock not held. */
int vfs_pin_child(struct path *dir, const char *name, size_t size, u32 mode, struct dentry **out);

/* ---- inode.c ---- */
int vfs_getattr(struct inode *i, struct kstat *st);
u32 mode_without_sgid(const struct inode *dir, u32 mode); /* of a new file in dir, before the umask */
int file_getattr(struct file *f, struct kstat *st);
#define SETATTR_CHOWN 0x40000000u /* to vfs_setattr: a chown, which clears set-id bits */
int vfs_setattr(const struct path *p, u32 valid, struct kstat *st); /* with permission checks */
int vfs_truncate(const struct path *p, struct file *f, u64 size);
int mount_want_write(const struct mount *m); /* -EROFS */
void generic_getattr(struct inode *i, struct kstat *st);
void generic_setattr(struct inode *i, u32 valid, const struct kstat *st); /* of what is held in memory */
int inode_permission_as(struct inode *i, u32 mask, const struct creds *c);
bool owner_or_capable(struct inode *i);
bool in_group(u32 gid);
const struct creds *creds_now(void); /* of the current process; at boot those of root */
void touch_atime(struct file *f);
void touch_mtime(struct inode *i); /* and ctime */
int remove_privileges(struct file *f); /* a write clears set-id bits */
void notify_dentry(struct dentry *d, u32 mask);
void notify_file(struct file *f, u32 mask);

/* ---- file.c / open ---- */
struct file *file_open_lookup(int dirfd, const char *name, u32 flags, u32 mode, u32 lookup_flags);
struct file *file_open_path(const struct path *p, u32 flags); /* an existing object, permissions checked */
int file_open_inode(struct file *f); /* f->path, flags set */
void file_drop(struct file *f); /* of a file that was never opened */
/* fdtable.c */
int fd_set_cloexec(int fd, bool on);
int fd_close_range(u32 first, u32 last, bool cloexec_only);

/* ---- tmpfs.c ---- */
struct inode *tmpfs_root(u32 mode, u64 max_bytes, u64 max_inodes);
struct inode *tmpfs_inode(void *fs, u32 mode, u64 rdev); /* fs NULL: the anonymous instance */
int tmpfs_init(void);
struct inode *tmpfs_parse_mount(const char *options, int *err);
extern const struct inode_ops tmpfs_inode_ops;
extern const struct file_ops tmpfs_file_ops, tmpfs_dir_ops;
/* tmpfs_data.c */
s64 tmpfs_read(struct file *f, const struct iobuf *b, u64 pos);
s64 tmpfs_write(struct file *f, const struct iobuf *b, u64 pos);
s64 tmpfs_seek(struct file *f, s64 offset, int whence);
bool tmpfs_grown(struct file *f, u64 offset);
int tmpfs_mmap(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset);
int tmpfs_fallocate(struct file *f, u32 mode, u64 offset, u64 size);
int tmpfs_resize(struct inode *i, u64 size); /* inode lock held */
void tmpfs_data_free(struct inode *i);
void tmpfs_data_trim(struct inode *i);
u64 tmpfs_data_pages(struct inode *i); /* in use up to the end of the file */
struct tmpfs {
	struct ref ref; /* inodes */
	u64 dev, max_pages, used_pages, max_inodes, used_inodes; /* max 0: none; used: atomic */
	u32 mounts;
	u64 max_bytes;
};
struct run { u64 index, pages; char *mem; }; /* pages index.. of the file */
struct tnode { /* inode->data */
	struct tmpfs *fs;
	struct run *runs; u32 count, room; /* sorted by index, under the inode's lock */
	u64 extra; /* pages of the last run that were taken ahead of need */
	bool mapped; /* was mapped once: pages must not go to others before the inode does */
	bool keep; /* fallocate wants pages beyond the end */
	u64 next_cookie;
	struct task *copier; /* holds the inode's lock and touches a program's memory */
};
/* Adds the children in memory of f's directory to a listing, from cookie `after`
 * on; positions are cookie | pos_flag. Returns what emit returned. */
int dentry_list_children(struct file *f, u64 after, u64 pos_flag, u32 want_flags, dir_emit_fn emit, void *ctx);
int emit_dots(struct file *f, u64 *pos, dir_emit_fn emit, void *ctx); /* positions 0 and 1 */
u64 inode_new_cookie(struct inode *dir);
/* ---- seek.c ---- */
s64 seek_to(struct file *f, s64 offset, int whence, u64 size); /* 0..2, and DATA and HOLE as if all were data */
static inline u32 dtype_of(u32 mode) { return (mode & S_IFMT) >> 12; }

/* ---- types.c ---- */
struct fs_type { const char *name; struct inode *(*root)(const char *options, int *err); bool takes_options; }; /* root NULL: not to be mounted */
const struct fs_type *fs_type_at(u32 index); /* NULL: no more */
const struct fs_type *fs_type_named(const char *name);

/* ---- hostfs*.c ---- */
struct inode *hostfs_root(const char *guest_path, u32 type, bool read_only, int *err);

/* ---- xattr.c ---- */
s64 simple_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int simple_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags);
s64 simple_listxattr(struct inode *i, char *buf, size_t size);
int simple_removexattr(struct inode *i, const char *name);
void simple_xattr_free(struct inode *i);

/* ---- lease.c ---- */
int lease_set(struct file *f, u32 type);
u32 lease_get(struct file *f);
int lease_break(struct inode *i, bool write, bool nonblock); /* an open or a truncation: waits for the holders */
void lease_released(struct file *f); /* last reference */
void lease_inode_free(struct inode *i);
int file_claim(struct file *f, bool exec); /* ETXTBSY, counts */
void file_unclaim(struct file *f);

/* ---- lock.c ---- */
int lock_flock(struct file *f, u32 operation);
struct lock_line { u32 number; const char *kind; bool write, to_end; s32 pid; u64 dev, ino, start, end; };
void locks_each(void (*fn)(void *ctx, const struct lock_line *l), void *ctx); /* fn runs with the lock held */
int lock_fcntl(struct file *f, u32 cmd, u64 arg);
void locks_close(struct file *f, struct files *owner); /* a descriptor is closed: POSIX locks of the process go */
void locks_file_released(struct file *f); /* last reference */
void locks_inode_free(struct inode *i);

#define IN_ACCESS 1u
#define IN_MODIFY 2u
#define IN_ATTRIB 4u
#define IN_CLOSE_WRITE 8u
#define IN_CLOSE_NOWRITE 16u
#define IN_OPEN 32u
#define IN_MOVED_FROM 64u
#define IN_MOVED_TO 128u
#define IN_CREATE 256u
#define IN_DELETE 512u
#define IN_DELETE_SELF 1024u
#define IN_MOVE_SELF 2048u
#define IN_EXCL_UNLINK 0x4000000u /* lx/ipc.h */
#define IN_ISDIR 0x40000000u

#endif
