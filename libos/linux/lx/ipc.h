/* SPDX-License-Identifier: Apache-2.0
 *
 * What the inter-process part (ipc/, the memory-generated file systems and the
 * console) offers to the rest of the kernel. Only hooks that others call stand
 * here; its own structures are in ipc/ipc.h.
 */
#ifndef LX_IPC_H
#define LX_IPC_H

#include "fs.h"

struct process;

void ipc_init(void); /* once, on a fresh start, after mem_init and before vfs_init */

/* Roots of the memory-generated file systems, for mounting; a reference each. */
struct inode *devfs_root(void);
struct inode *procfs_root(void);
u32 procfs_process(const struct file *f); /* of which process this is the directory; 0: of none */
struct inode *sysfs_root(void);
/* Is this inode on proc (what statfs needs)? */
#define DEVFS_DEV 5u
#define PROCFS_DEV 4u
#define SYSFS_DEV 6u
#define ANON_DEV 7u /* pipes, sockets, anonymous files */

/* Opening inodes that are not data: called by file_open() for any file system.
 * f has flags and mode_bits; they set f->ops, f->data. */
int fifo_open(struct inode *i, struct file *f); /* S_IFIFO; blocks as fifo(7) says: no lock held */
int device_open(struct inode *i, struct file *f); /* S_IFCHR and S_IFBLK by i->rdev; -ENXIO */
/* S_IFSOCK: open is -ENXIO, no hook. */
void inode_ipc_release(struct inode *i); /* last reference of any inode: frees fifo and watches */
void epoll_file_released(struct file *f); /* from file_put, last reference, when f->epoll_links is not NULL */

void dnotify_renamed(const struct inode *dir); /* a name in it, to another in it */
u32 fsnotify_cookie(void); /* joins IN_MOVED_FROM and IN_MOVED_TO of one rename */
/* Of fsnotify(): IN_DELETE also tells the target IN_ATTRIB and, when nothing holds it
 * any more, IN_DELETE_SELF; told as IN_DELETE_SELF it is only looked at whether it
 * ends. A close of a file without a name may end it too. IN_EXCL_UNLINK in the mask:
 * the name is gone. */

/* fcntl commands that belong to a kind of file */
long dnotify_fcntl(struct file *f, int fd, u32 mask); /* F_NOTIFY */
void dnotify_close(struct files *files, const struct file *f); /* a descriptor of a file with f->dnotify is closed */
s64 pipe_peek(struct file *f, void *buf, size_t size, bool nonblock); /* tee(2): f is a pipe to read from; 0 at its end */
long pipe_fcntl(struct file *f, u32 cmd, u64 arg); /* F_SETPIPE_SZ F_GETPIPE_SZ; -EBADF when f is no pipe */
long memfd_fcntl(struct file *f, u32 cmd, u64 arg); /* F_ADD_SEALS F_GET_SEALS; -EINVAL when f has no seals */

/* System V IPC and tasks: CLONE_SYSVSEM; unshare(CLONE_SYSVSEM); the end of a task, after its address space */
int sem_undo_share(struct task *child, struct task *from); /* from is current; -ENOMEM */
void sem_undo_exit(struct task *t);
void sysv_task_exit(struct task *t);

/* POSIX message queues: after the caches of names; one more mount of their names. */
int mqueue_init(void);
int mqueue_mount(const char *source, u32 flags, const struct path *at);

bool file_is_eventfd(const struct file *f);
void eventfd_signal(struct file *f); /* one more */
int file_set_async(struct file *f, bool on); /* O_ASYNC changes: signals for the owner */

/* Descriptors 0, 1, 2 over the host's console streams. */
int console_open_std(struct files *files);
void console_resume(void); /* after a restore: other standard streams, the same settings */
/* The host's window changed (PICO_HOST_WINDOW): reads the size again, SIGWINCH to the foreground. */
void console_window_changed(void);
/* The process group that ^C of the host goes to; 0: none, use the first process. */
u32 console_foreground(void);
/* A session leader ends: it gives up the terminal. */
void tty_session_ended(struct process *leader);

/* "anon_inode:[eventfd]", "pipe:[12]", "/dev/null", "/tmp/x (deleted)": what a
 * magic link to an open file reads as. Returns the length or -errno. */
int file_link_text(struct file *f, char *buf, size_t size);

/* For sysinfo and /proc: bytes */
void ipc_uuid(char out[37]); /* a fresh random UUID */

/* Transfers of several buffers: f->ops->gather says a file takes them. */
int iovec_copy_to(const struct lx_iovec *v, u32 count, size_t at, const void *from, size_t n);
int iovec_copy_from(const struct lx_iovec *v, u32 count, size_t at, void *to, size_t n);
/* Kernel copy of a program's vector; checks as readv(2). small has 8 elements;
 * *out is small or to be kfree()d. Sum of sizes in *total, cut at MAX_RW_COUNT. */
int iovec_from_user(uaddr v, u64 count, struct lx_iovec small[8], struct lx_iovec **out, size_t *total);

#endif
