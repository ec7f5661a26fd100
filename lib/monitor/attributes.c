/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the host's stat, statfs and termios and the ABI's attributes, in both
 * directions, and the operations on a descriptor that every kind of file has.
 * Knows nothing of handles or mounts.
 *
 * A guest never makes a set-user-id or set-group-id program on the host: its
 * bytes would run with the rights of the host's user for anybody there. The
 * two bits are dropped from the modes of files, as a nosuid mount ignores them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "stream_internal.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

static const uint8_t stream_types[16] = {
	[S_IFREG >> 12] = PICO_STREAM_FILE,
	[S_IFDIR >> 12] = PICO_STREAM_DIRECTORY,
	[S_IFLNK >> 12] = PICO_STREAM_SYMLINK,
	[S_IFIFO >> 12] = PICO_STREAM_FIFO,
	[S_IFCHR >> 12] = PICO_STREAM_CHARDEV,
	[S_IFBLK >> 12] = PICO_STREAM_BLOCKDEV,
	[S_IFSOCK >> 12] = PICO_STREAM_SOCKET,
};

uint32_t pico__type_of_mode(uint32_t mode)
{
	return stream_types[(mode & S_IFMT) >> 12];
}

/* ---- owners: the host process's own ids are the guest user's ---- */

static uint32_t guest_id(uint32_t id, uint32_t host, uint32_t guest)
{
	return id == host ? guest : id;
}

/* 0: *host_id is what to set, or (uint32_t)-1 for no change. */
static int host_id(uint32_t wanted, uint32_t current, uint32_t host, uint32_t guest, uint32_t *id)
{
	*id = (uint32_t)-1;
	if (wanted == (uint32_t)-1 || wanted == guest_id(current, host, guest))
		return 0;
	if (wanted == host && wanted != guest)
		return -PICO_EPERM; /* would show as the guest user's */
	*id = wanted == guest ? host : wanted;
	return 0;
}

/* ---- reading ---- */

void pico__attributes_of(const struct pico__owner *owner, const struct statx *st, struct pico_stream_attributes *a)
{
	memset(a, 0, sizeof(*a));
	a->valid = PICO_ATTR_BASIC | PICO_ATTR_MODE | PICO_ATTR_OWNER | PICO_ATTR_ATIME | PICO_ATTR_MTIME;
	a->type = pico__type_of_mode(st->stx_mode);
	a->mode = st->stx_mode & 07777;
	a->link_count = st->stx_nlink;
	a->uid = guest_id(st->stx_uid, owner->host_uid, owner->guest_uid);
	a->gid = guest_id(st->stx_gid, owner->host_gid, owner->guest_gid);
	a->size = st->stx_size;
	a->blocks = st->stx_blocks;
	a->inode = st->stx_ino;
	a->device = makedev(st->stx_dev_major, st->stx_dev_minor);
	a->atime_sec = st->stx_atime.tv_sec;
	a->atime_nsec = st->stx_atime.tv_nsec;
	a->mtime_sec = st->stx_mtime.tv_sec;
	a->mtime_nsec = st->stx_mtime.tv_nsec;
	a->ctime_sec = st->stx_ctime.tv_sec;
	a->ctime_nsec = st->stx_ctime.tv_nsec;
	if (st->stx_mask & STATX_BTIME) {
		a->btime_sec = st->stx_btime.tv_sec;
		a->btime_nsec = st->stx_btime.tv_nsec;
	}
	a->block_size = st->stx_blksize;
	a->peer_handle = PICO_HANDLE_NONE;
	if (a->type == PICO_STREAM_FILE)
		a->flags = PICO_STREAM_FLAG_SEEKABLE | PICO_STREAM_FLAG_MAPPABLE;
}

static int read_filesystem(int fd, struct pico_stream_attributes *a)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return pico__error(errno);
	a->valid |= PICO_ATTR_FILESYSTEM;
	a->fs_type = (uint32_t)fs.f_type;
	a->fs_block_size = (uint64_t)fs.f_bsize;
	a->fs_blocks = fs.f_blocks;
	a->fs_blocks_free = fs.f_bfree;
	a->fs_blocks_available = fs.f_bavail;
	a->fs_files = fs.f_files;
	a->fs_files_free = fs.f_ffree;
	a->fs_name_max = (uint64_t)fs.f_namelen;
	return 0;
}

int pico__attributes_read(const struct pico__owner *owner, int fd, bool filesystem, struct pico_stream_attributes *a)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st))
		return pico__error(errno);
	pico__attributes_of(owner, &st, a);
	return filesystem ? read_filesystem(fd, a) : 0;
}

void pico__attributes_plain(const struct pico__owner *owner, uint32_t type, uint32_t mode, uint64_t inode, struct pico_stream_attributes *a)
{
	memset(a, 0, sizeof(*a));
	a->valid = PICO_ATTR_BASIC | PICO_ATTR_MODE | PICO_ATTR_OWNER | PICO_ATTR_ATIME | PICO_ATTR_MTIME;
	a->type = type;
	a->mode = mode;
	a->link_count = 1;
	a->uid = owner->guest_uid;
	a->gid = owner->guest_gid;
	a->inode = inode;
	a->block_size = 4096;
	a->peer_handle = PICO_HANDLE_NONE;
}

/* ---- setting ---- */

#define SETTABLE (PICO_ATTR_MODE | PICO_ATTR_OWNER | PICO_ATTR_ATIME | PICO_ATTR_MTIME | \
		  PICO_ATTR_ATIME_NOW | PICO_ATTR_MTIME_NOW | PICO_ATTR_TERMINAL)

int pico__attributes_check(const struct pico_stream_attributes *a)
{
	uint32_t v = a->valid;

	if (v & ~(uint32_t)SETTABLE)
		return -PICO_EINVAL;
	if ((v & PICO_ATTR_MODE) && (a->mode & ~07777u))
		return -PICO_EINVAL;
	if (((v & PICO_ATTR_ATIME) && (v & PICO_ATTR_ATIME_NOW)) || ((v & PICO_ATTR_MTIME) && (v & PICO_ATTR_MTIME_NOW)))
		return -PICO_EINVAL;
	if (((v & PICO_ATTR_ATIME) && a->atime_nsec > 999999999) || ((v & PICO_ATTR_MTIME) && a->mtime_nsec > 999999999))
		return -PICO_EINVAL;
	return 0;
}

uint32_t pico__mode_allowed(uint32_t mode, bool directory)
{
	return mode & (directory ? 03777 : 01777);
}

/* fchmod() refuses O_PATH descriptors; before Linux 6.6 only /proc helps. */
int pico__chmod(int fd, uint32_t mode)
{
	char path[32];

	if (!syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH))
		return 0;
	if (errno != ENOSYS && errno != EPERM) /* EPERM: also what an older container's filter says to new calls */
		return pico__error(errno);
	if (!fchmod(fd, mode))
		return 0;
	if (errno != EBADF)
		return pico__error(errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!chmod(path, mode))
		return 0;
	return errno == ENOENT || errno == ENOTDIR ? -PICO_ENOTSUP : pico__error(errno);
}

static int apply_owner(const struct pico__owner *o, int fd, const struct statx *st, const struct pico_stream_attributes *a)
{
	uint32_t uid, gid;

	if (host_id(a->uid, st->stx_uid, o->host_uid, o->guest_uid, &uid) ||
	    host_id(a->gid, st->stx_gid, o->host_gid, o->guest_gid, &gid))
		return -PICO_EPERM;
	if (uid == (uint32_t)-1 && gid == (uint32_t)-1)
		return 0;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ? pico__error(errno) : 0;
}

static struct timespec time_wanted(uint32_t valid, uint32_t set, uint32_t now, int64_t sec, uint32_t nsec)
{
	if (valid & set)
		return (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
	return (struct timespec){ .tv_nsec = valid & now ? UTIME_NOW : UTIME_OMIT };
}

static int apply_times(int fd, const struct pico_stream_attributes *a)
{
	struct timespec times[2] = {
		time_wanted(a->valid, PICO_ATTR_ATIME, PICO_ATTR_ATIME_NOW, a->atime_sec, a->atime_nsec),
		time_wanted(a->valid, PICO_ATTR_MTIME, PICO_ATTR_MTIME_NOW, a->mtime_sec, a->mtime_nsec),
	};

	return utimensat(fd, "", times, AT_EMPTY_PATH) ? pico__error(errno) : 0;
}

/* Order as chown clears mode bits and both touch no times but ctime. */
int pico__attributes_apply(const struct pico__owner *owner, int fd, const struct pico_stream_attributes *a)
{
	struct statx st;
	int error = 0;

	if (a->valid & PICO_ATTR_TERMINAL)
		return -PICO_ENOTSUP;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st))
		return pico__error(errno);
	if (!S_ISREG(st.stx_mode) && !S_ISDIR(st.stx_mode) && !S_ISLNK(st.stx_mode))
		return -PICO_EPERM; /* devices and the like may lie in a mount; they are not the guest's to change */
	if ((a->valid & PICO_ATTR_MODE) && S_ISLNK(st.stx_mode))
		return -PICO_ENOTSUP;
	if (a->valid & PICO_ATTR_OWNER)
		error = apply_owner(owner, fd, &st, a);
	if (!error && (a->valid & PICO_ATTR_MODE))
		error = pico__chmod(fd, pico__mode_allowed(a->mode, S_ISDIR(st.stx_mode)));
	if (!error && (a->valid & (PICO_ATTR_ATIME | PICO_ATTR_MTIME | PICO_ATTR_ATIME_NOW | PICO_ATTR_MTIME_NOW)))
		error = apply_times(fd, a);
	return error;
}

/* ---- terminals ---- */

_Static_assert(sizeof(((struct pico_terminal *)0)->cc) <= NCCS, "c_cc of the host is as long");

int pico__terminal_read(int fd, struct pico_stream_attributes *a)
{
	struct pico_terminal *t = &a->term;
	struct winsize size = { 0 };
	struct termios host;

	if (tcgetattr(fd, &host))
		return pico__error(errno);
	ioctl(fd, TIOCGWINSZ, &size); /* a terminal without a size has 0 by 0 */
	*t = (struct pico_terminal){ .iflag = host.c_iflag, .oflag = host.c_oflag, .cflag = host.c_cflag,
		.lflag = host.c_lflag, .line = host.c_line, .rows = size.ws_row, .columns = size.ws_col,
		.xpixel = size.ws_xpixel, .ypixel = size.ws_ypixel };
	memcpy(t->cc, host.c_cc, sizeof(t->cc));
	a->valid |= PICO_ATTR_TERMINAL;
	return 0;
}

/* From the background a change would stop the whole host process, unless the
 * signal that does it is blocked: then the kernel lets it pass. */
static void hold_stop_signal(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &set, before);
}

static int terminal_write(int fd, const struct termios *host, const struct winsize *size)
{
	struct winsize now = { 0 };
	sigset_t before;
	int error = 0;

	hold_stop_signal(&before);
	if (tcsetattr(fd, TCSANOW, host))
		error = pico__error(errno);
	/* Setting it signals the foreground processes, so only when it changes. */
	if (!error && !ioctl(fd, TIOCGWINSZ, &now) && memcmp(&now, size, sizeof(now)) && ioctl(fd, TIOCSWINSZ, size))
		error = pico__error(errno);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

int pico__terminal_apply(int fd, const struct pico_terminal *t)
{
	struct winsize size = { .ws_row = t->rows, .ws_col = t->columns, .ws_xpixel = t->xpixel, .ws_ypixel = t->ypixel };
	struct termios host;

	if (tcgetattr(fd, &host))
		return pico__error(errno);
	host.c_iflag = t->iflag;
	host.c_oflag = t->oflag;
	host.c_cflag = t->cflag;
	host.c_lflag = t->lflag;
	host.c_line = t->line;
	memcpy(host.c_cc, t->cc, sizeof(t->cc));
	return terminal_write(fd, &host, &size);
}

void pico__terminal_restore(const struct pico__console *console)
{
	terminal_write(console->fd, &console->saved, &console->saved_size);
}

/* ---- contents ---- */

static const int fallocate_modes[] = {
	[PICO_LENGTH_ALLOCATE] = 0,
	[PICO_LENGTH_ALLOCATE_KEEP_SIZE] = FALLOC_FL_KEEP_SIZE,
	[PICO_LENGTH_PUNCH_HOLE] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	[PICO_LENGTH_ZERO_RANGE] = FALLOC_FL_ZERO_RANGE,
	[PICO_LENGTH_COLLAPSE_RANGE] = FALLOC_FL_COLLAPSE_RANGE,
	[PICO_LENGTH_INSERT_RANGE] = FALLOC_FL_INSERT_RANGE,
};

int pico__length_apply(int fd, uint64_t length, uint32_t mode, uint64_t offset)
{
	int result;

	if (length > INT64_MAX || offset > INT64_MAX || mode > PICO_LENGTH_INSERT_RANGE)
		return -PICO_EINVAL;
	if (mode == PICO_LENGTH_SET && offset)
		return -PICO_EINVAL;
	do
		result = mode == PICO_LENGTH_SET ? ftruncate(fd, (off_t)length) :
			 fallocate(fd, fallocate_modes[mode], (off_t)offset, (off_t)length);
	while (result && errno == EINTR);
	return result ? pico__error(errno) : 0;
}

int pico__flush_apply(int fd, uint32_t flags)
{
	int result = flags & PICO_FLUSH_FILESYSTEM ? syncfs(fd) : flags & PICO_FLUSH_DATA ? fdatasync(fd) : fsync(fd);

	return result ? pico__error(errno) : 0;
}
