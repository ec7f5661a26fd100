/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: open-file descriptions, descriptor tables, inodes, dentries, mounts.
 * An open-file description exists once and is reference-counted; descriptor
 * tables of several processes may hold it.
 */
#ifndef LX_FS_H
#define LX_FS_H

#include "lock.h"
#include "time.h"
#include "wait.h"

struct file;
struct inode;
struct dentry;
struct mount;
struct path { struct mount *mnt; struct dentry *dentry; }; /* a holder owns a reference on both */

struct lx_stat { /* struct stat of x86-64 */
	u64 dev, ino, nlink; u32 mode, uid, gid, pad0; u64 rdev; s64 size, blksize, blocks;
	struct lx_timespec atime, mtime, ctime; s64 unused[3];
};
struct kstat { /* what inode operations fill */
	u64 dev, ino, nlink; u32 mode, uid, gid; u64 rdev; u64 size, blocks; u32 blksize, attributes, attributes_known;
	struct lx_timespec atime, mtime, ctime, btime;
};

/* One buffer of a transfer: the program's memory (user) or the kernel's. */
struct poll_table;
struct lx_iovec { u64 base, size; }; /* struct iovec of x86-64 */
struct iobuf {
	bool user;
	u32 vec_count; /* not 0: a vector of the program's buffers; only for files whose ops->gather is set */
	union { uaddr u; void *k; const struct lx_iovec *vec; };
	size_t size; /* of all */
	u32 flags; /* IOBUF_ */
};
#define IOBUF_APPEND 1u /* write at the end, whatever pos says; leave the new end in f->append_end */
#define IOBUF_NOWAIT 2u /* as if O_NONBLOCK were set, for this call */
int iobuf_copy_to(const struct iobuf *b, size_t at, const void *from, size_t n); /* into the buffer; 0 or -EFAULT */
int iobuf_copy_from(const struct iobuf *b, size_t at, void *to, size_t n);

typedef int (*dir_emit_fn)(void *ctx, const char *name, size_t name_size, u64 ino, u32 dtype, u64 next_pos); /* not 0: stop */

struct file_ops {
	const char *name; /* for anonymous files: what /proc/self/fd shows, e.g. "anon_inode:[eventpoll]" */
	/* pos: where, for seekable files; ignored else. Return bytes or -errno.
	 * Blocking per file->flags & O_NONBLOCK; interrupted: -ERESTARTSYS. */
	s64 (*read)(struct file *f, const struct iobuf *b, u64 pos);
	s64 (*write)(struct file *f, const struct iobuf *b, u64 pos);
	s64 (*seek)(struct file *f, s64 offset, int whence); /* NULL: default with the inode's size, or -ESPIPE when !seekable */
	/* Readiness now (EPOLLIN ...). Must add every queue that announces a change through w->add when w is not NULL. */
	u32 (*poll)(struct file *f, struct poll_table *w);
	long (*ioctl)(struct file *f, u32 cmd, u64 arg);
	/* Map [offset,offset+size) at the fixed address with VMA_ flags; NULL: -ENODEV. mm->lock held. */
	int (*mmap)(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset);
	/* What was mapped beyond the end of a file answers with SIGBUS; files that map no further than they reach say
	 * here that they reach this offset now, and mmap is called again from there. NULL: the host knows. */
	bool (*grown)(struct file *f, u64 offset);
	/* A vma of it came (1) or went (-1): a new mapping, a copy by fork, a split. mm->lock may be held. */
	void (*mapped)(struct file *f, int change);
	int (*readdir)(struct file *f, u64 pos, dir_emit_fn emit, void *ctx);
	int (*fsync)(struct file *f, bool data_only);
	int (*flush)(struct file *f); /* at each close of a descriptor */
	void (*release)(struct file *f); /* last reference */
	int (*fallocate)(struct file *f, u32 mode, u64 offset, u64 size);
	int (*link_text)(const struct file *f, char *buf, size_t size); /* anonymous files whose name is not the same for all; as snprintf */
	/* Line for /proc/self/fdinfo; may be NULL. */
	int (*fdinfo)(struct file *f, char *buf, size_t size);
	int (*set_flags)(struct file *f, u32 new_flags); /* fcntl F_SETFL */
	bool seekable;
	bool maps_zero; /* /dev/zero: a shared mapping is mm_shared_memory(), made by mm */
	bool waits; /* reads may wait for another task: f->pos is not kept still meanwhile */
	bool gather; /* read and write take vectors: readv(2) is one call (pipes, sockets, packets) */
};
struct poll_table { void (*add)(struct poll_table *t, struct wait_queue *q); /* called by file_ops->poll */
	/* a file of the host adds its readiness event instead */
	void (*add_stream)(struct poll_table *t, pico_handle readable, pico_handle writable); };

struct file {
	struct ref ref;
	const struct file_ops *ops;
	u32 flags; /* O_ as opened and changed by F_SETFL; access mode in O_ACCMODE */
	u32 mode_bits; /* FMODE_READ, FMODE_WRITE */
	u64 pos; struct lock pos_lock;
	struct path path; /* dentry NULL for anonymous files */
	struct inode *inode; /* reference; may be NULL for anonymous files */
	pico_handle stream; /* host stream behind it, or 0 */
	void *data;
	struct wait_queue wait; /* readiness changes */
	u32 owner_pid, owner_signal, owner_type; /* F_SETOWN, F_SETSIG */
	void *epoll_links; /* epoll's: entries that watch this file */
	void *locks; /* fs/lock.c */
	u64 append_end; /* where the last appending write ended */
	bool dnotify; /* F_NOTIFY was used */
};
#define FMODE_READ 1u
#define FMODE_WRITE 2u
#define FMODE_PATH 4u /* O_PATH */
#define FMODE_WRITER 8u /* counted in inode->writers */
#define FMODE_EXEC 16u /* counted there downwards */
#define FMODE_COUNTED 32u /* in inode->opens */
struct file *file_alloc(const struct file_ops *ops, u32 flags); /* anonymous, reference 1; NULL */
struct file *file_get(struct file *f);
void file_put(struct file *f);
struct file *fd_get(int fd); /* of the current task; reference taken; NULL: EBADF (O_PATH files too) */
struct file *fd_get_any(int fd); /* O_PATH allowed */
int fd_install(struct file *f, u32 o_cloexec, int lowest); /* takes over the reference, also on failure; the number or -EMFILE */
int fd_check_free(void); /* -EMFILE: no number is free; before a call does what it cannot take back */
int fd_install_at(struct file *f, u32 o_cloexec, int fd); /* dup2 */
int fd_close(int fd);
int fd_get_cloexec(int fd); /* 0 or 1, -EBADF */
s64 file_read(struct file *f, const struct iobuf *b, u64 *pos); /* pos NULL: f->pos under pos_lock */
s64 file_write(struct file *f, const struct iobuf *b, u64 *pos);
u32 file_poll(struct file *f, struct poll_table *t);

struct files; /* descriptor table */
struct files *files_create(void);
struct files *files_copy(struct files *old);
int files_unshare(void); /* the current task has a table that no other has, or -ENOMEM */
void files_get(struct files *fs);
void files_put(struct files *fs);
void files_replace(struct files *fs); /* the current task's, by this one (its reference) or none */
void files_close_on_exec(struct files *fs);
/* For /proc: the next descriptor in use from fd on; -1 when none; file reference taken. */
struct file *files_file(struct files *fs, int fd, bool *cloexec); /* reference; NULL: none, or fs is NULL */
int files_next(struct files *fs, int fd, struct file **out, bool *cloexec);
u32 files_room(struct files *fs); /* numbers it has room for now */

struct fs_context { struct ref ref; struct lock lock; struct path root, cwd; u32 umask; };
struct fs_context *fs_context_copy(struct fs_context *old);
void fs_context_put(struct fs_context *fs);
struct fs_context *fs_context_boot(const void *boot); /* of the first process: root, working directory and umask of the boot block; after vfs_init */

struct inode_ops {
	/* Directory operations: dir's lock is held. name is one component. */
	int (*lookup)(struct inode *dir, struct dentry *d); /* sets d->inode (gives its reference to d) or leaves it NULL (negative); -errno. create and symlink set d->inode too; link takes its own reference on target */
	int (*create)(struct inode *dir, struct dentry *d, u32 mode, u64 rdev); /* file, dir, fifo, socket, device: type in mode */
	int (*symlink)(struct inode *dir, struct dentry *d, const char *target);
	int (*link)(struct inode *dir, struct dentry *d, struct inode *target);
	int (*unlink)(struct inode *dir, struct dentry *d); /* rmdir for directories */
	int (*rename)(struct inode *dir, struct dentry *d, struct inode *new_dir, struct dentry *new_d, u32 flags);
	int (*tmpfile)(struct inode *dir, struct file *f, u32 mode);
	/* Any inode */
	int (*open)(struct inode *i, struct file *f); /* sets f->ops, f->data ... */
	int (*getattr)(struct inode *i, struct kstat *st);
	int (*setattr)(struct inode *i, u32 valid, const struct kstat *st); /* SETATTR_ bits */
	int (*readlink)(struct inode *i, char *buf, size_t size); /* length */
	/* Magic links (/proc/self/fd/N, exe, cwd): go straight to a path, or to a file */
	int (*follow)(struct inode *i, struct path *out, struct file **file_out);
	s64 (*getxattr)(struct inode *i, const char *name, void *buf, size_t size);
	int (*setxattr)(struct inode *i, const char *name, const void *buf, size_t size, int flags);
	s64 (*listxattr)(struct inode *i, char *buf, size_t size);
	int (*removexattr)(struct inode *i, const char *name);
	int (*statfs)(struct inode *i, u64 out[15]); /* struct statfs */
	int (*syncfs)(struct inode *i); /* all of its file system; NULL: nothing to sync */
	int (*revalidate)(struct dentry *d, bool last); /* of d->inode, or of the directory when negative: 1 still good, 0 look up again. last: end of a path. Not asked before d->expires */
	void (*release)(struct inode *i); /* last reference: free private data */
	/* Optional: find or make the last component and open it in one go, when d
	 * is unknown, negative or stale. d->inode is replaced through dentry_set().
	 * 0: opened (f->ops set; *created tells); 1: not done, go the long way; -errno. */
	int (*lookup_open)(struct inode *dir, struct dentry *d, struct file *f, u32 mode, bool *created);
	/* Optional: asked before the mode bits. 0: allowed; 1: as the mode says (uid, gid, mode may have been brought up to date); -errno */
	int (*permission)(struct inode *i, u32 mask);
	/* Optional: a mount of the tree with this root came (1) or went (-1, the last one: free what only the tree keeps). */
	void (*mounted)(struct dentry *root, int change);
	bool keeps_flags; /* inode->attributes can be set (chattr) */
	bool stays; /* all its names stay in the dentry cache: a file can be found by number */
	bool transient; /* names of it, and in it, are forgotten when nobody holds them: a process may be gone tomorrow */
	bool cache_negative; /* of a directory: absent names may stay in the cache (revalidate is asked for them too) */
};
#define ATTR_IMMUTABLE 0x10u /* FS_IMMUTABLE_FL ... */
#define ATTR_APPEND 0x20u
#define ATTR_NODUMP 0x40u
#define ATTR_NOATIME 0x80u
#define ATTR_FROZEN (ATTR_IMMUTABLE | ATTR_APPEND)
#define SETATTR_MODE 1u
#define SETATTR_UID 2u
#define SETATTR_GID 4u
#define SETATTR_SIZE 8u
#define SETATTR_ATIME 16u
#define SETATTR_MTIME 32u
#define SETATTR_ATIME_NOW 64u
#define SETATTR_MTIME_NOW 128u

struct inode {
	struct ref ref;
	const struct inode_ops *ops;
	struct lock lock;
	u64 ino, dev, rdev; u32 mode, uid, gid, nlink;
	u64 size; /* regular files: in memory file systems exact */
	struct lx_timespec atime, mtime, ctime, btime;
	void *fs; /* file system instance */
	void *data;
	void *flocks; /* fs/lock.c: record locks and flock */
	void *leases; /* fs/lease.c */
	s32 writers; /* descriptions that write; negative: programs that run from it, ETXTBSY */
	u32 opens; /* descriptions of a regular file opened by name */
	void *watches; /* fs/inotify.c */
	void *unix_socket; /* bound socket */
	void *fifo; /* named pipe */
	u32 attributes; /* ATTR_, as chattr(1) sets them */
	u64 version; /* counts changes: directory revalidation */
	struct list aliases; /* dentries, under the dentry lock */
	const char *link; /* symbolic link: its text, when it never changes; NULL: ops->readlink */
	u64 blocks; u32 blksize; /* what generic getattr shows; 0: by size, PAGE_SIZE */
	u32 pins; /* directory: children in the cache that no lookup would find (mount points, sockets) */
	void *xattrs; /* fs/xattr.c: kept in memory */
	u32 seals; /* F_SEAL_ of memfd: write, truncate, fallocate and mmap of tmpfs respect them */
	u32 sealable; /* 1: F_ADD_SEALS works */
	char *anon_name; /* memfd's; inode_ipc_release frees it */
};
struct inode *inode_alloc(const struct inode_ops *ops, u32 mode);
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);

struct dentry {
	struct ref ref;
	struct dentry *parent; /* reference */
	struct inode *inode; /* NULL: negative */
	struct list hash_node, child_node, children, lru;
	struct list alias; /* in inode->aliases */
	u32 flags; u32 hash; /* DENTRY_ */
	void *mounted; /* mounts that sit here, fs/internal.h */
	u64 expires; /* monotonic: no revalidation before; 0: ask each time when there is ops->revalidate */
	u64 walk_expires; /* the same when it is not the last component of a path */
	u64 cookie; /* position in the listing of a directory held in memory */
	u16 name_size, name_room; const char *name; /* zero-terminated; changed by rename under the dentry lock */
	char name_inline[];
};

/* Path lookup */
#define LOOKUP_FOLLOW 1u /* last component's symlink */
#define LOOKUP_PARENT 2u /* stop at the parent; last component in *last */
#define LOOKUP_DIRECTORY 4u
#define LOOKUP_EMPTY 8u /* AT_EMPTY_PATH */
#define LOOKUP_BENEATH 16u
#define LOOKUP_IN_ROOT 32u
#define LOOKUP_NO_SYMLINKS 64u
#define LOOKUP_NO_MAGICLINKS 128u
#define LOOKUP_NO_XDEV 256u
#define AT_FDCWD_ (-100)
int path_lookup(int dirfd, const char *name, u32 flags, struct path *out);
void path_put(struct path *p);
void path_get(struct path *p);
bool path_nosuid(const struct path *p); /* set-id bits count for nothing on this mount */
bool path_noexec(const struct path *p); /* nothing from this mount is executed: no exec, no executable mapping */
/* Absolute name as the current root sees it, " (deleted)" appended when unlinked; returns length or -ENAMETOOLONG. */
int path_name(const struct path *p, char *buf, size_t size);
int path_name_cwd(const struct path *p, char *buf, size_t size); /* the same; from outside the root it begins with "(unreachable)" */
struct file *file_open(int dirfd, const char *name, u32 flags, u32 mode); /* kernel string; ERR_PTR */
int path_mknod(int dirfd, const char *name, u32 mode, u64 rdev, struct path *out); /* kernel string; type in mode, umask applied; out may be NULL */
int path_unlink(const char *name); /* kernel string */
int file_truncate(struct file *f, u64 size); /* of a file opened for writing */
struct file *file_open_exec(const char *name); /* checks execute permission and regular file; ERR_PTR */
int inode_permission(struct inode *i, u32 mask); /* 4 r 2 w 1 x with the current creds; -EACCES */
void vfs_init(const void *boot); /* root and mounts of the boot block, /tmp /dev /proc /sys; once, on a fresh start */
u64 vfs_new_dev(void); /* a device number for a file system without device */
/* For /proc/mounts and mountinfo: the text of mount number `index` in order, 0 at the end. */
int vfs_mount_line(u32 index, bool mountinfo, char *buf, size_t size);
struct lx_timespec timespec_now(void); /* of file times */
s64 file_read_kernel(struct file *f, void *buf, size_t size, u64 pos);
/* fs/inotify.c: something happened to a name or inode */
void fsnotify(struct inode *dir, const char *name, struct inode *target, u32 in_mask, u32 cookie);

/* tmpfs: a nameless file (memfd_create): an inode of S_IFREG, for files opened
 * by ops->open. NULL: out of memory. */
struct inode *tmpfs_anon_inode(u32 mode);

/* Memory-generated file systems (proc, sys): see fs/pseudo.h. What the kinds of
 * files hook into these calls: lx/ipc.h */
#endif
