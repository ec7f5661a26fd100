/* SPDX-License-Identifier: Apache-2.0
 *
 * open and its kin, close. What the flags mean is checked here; the opening
 * itself is fs/open.c's.
 */
#include "../fs/internal.h"
#include "../lx/syscall.h"
#include <linux/openat2.h>

#define O_TMPFILE_BIT 020000000u /* __O_TMPFILE */
#define O_TMPFILE_ALL (O_TMPFILE_BIT | O_DIRECTORY)
#define VALID_OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | FASYNC | \
	O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE_BIT)
#define O_PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u

/* openat(2) forgives what openat2(2) refuses. */
static void forgive(struct open_how *how)
{
	how->flags = (how->flags & VALID_OPEN_FLAGS) | O_LARGEFILE;
	how->mode &= 07777;
	if (how->flags & O_PATH) how->flags &= O_PATH_FLAGS;
	if (!(how->flags & (O_CREAT | O_TMPFILE_BIT))) how->mode = 0;
}

static int check(const struct open_how *how)
{
	u64 flags = how->flags;

	if (flags & ~(u64)VALID_OPEN_FLAGS) return -EINVAL;
	if (how->resolve & ~(u64)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED))
		return -EINVAL;
	if ((how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) return -EINVAL;
	if (how->mode && (!(flags & (O_CREAT | O_TMPFILE_BIT)) || how->mode & ~07777ull)) return -EINVAL;
	if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT)) return -EINVAL;
	if (flags & O_TMPFILE_BIT) {
		if ((flags & O_TMPFILE_ALL) != O_TMPFILE_ALL || (flags & O_ACCMODE) == O_RDONLY) return -EINVAL;
	}
	if (flags & O_PATH && flags & ~(u64)O_PATH_FLAGS) return -EINVAL;
	if (how->resolve & RESOLVE_CACHED) return -EAGAIN; /* "not without waiting": always a right answer */
	return 0;
}

static u32 resolve_flags(u64 resolve)
{
	static const struct { u32 resolve, lookup; } map[] = {
		{ RESOLVE_NO_XDEV, LOOKUP_NO_XDEV }, { RESOLVE_NO_MAGICLINKS, LOOKUP_NO_MAGICLINKS },
		{ RESOLVE_NO_SYMLINKS, LOOKUP_NO_SYMLINKS | LOOKUP_NO_MAGICLINKS }, { RESOLVE_BENEATH, LOOKUP_BENEATH },
		{ RESOLVE_IN_ROOT, LOOKUP_IN_ROOT },
	};
	u32 flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (resolve & map[i].resolve) flags |= map[i].lookup;
	return flags;
}

static s64 open_how(int dirfd, uaddr name, const struct open_how *how)
{
	char path[PATH_MAX];
	int err = check(how);

	if (!err) err = getname(path, name);
	if (err) return err;
	struct file *f = file_open_lookup(dirfd, path, (u32)how->flags, (u32)how->mode, resolve_flags(how->resolve));
	if (IS_ERR(f)) return PTR_ERR(f);
	return fd_install(f, how->flags & O_CLOEXEC, 0);
}

static s64 open_old(int dirfd, uaddr name, u64 flags, u64 mode)
{
	struct open_how how = { .flags = flags, .mode = mode };

	forgive(&how);
	return open_how(dirfd, name, &how);
}

SYSCALL(open) { return open_old(AT_FDCWD, a[0], (u32)a[1], (u32)a[2]); }
SYSCALL(openat) { return open_old((int)a[0], a[1], (u32)a[2], (u32)a[3]); }
SYSCALL(creat) { return open_old(AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, (u32)a[1]); }

SYSCALL(openat2)
{
	struct open_how how;
	u64 size = a[3];
	u8 byte;

	if (size < sizeof(how)) return -EINVAL;
	if (size > PAGE_SIZE) return -E2BIG;
	if (get_user(how, a[2])) return -EFAULT;
	for (u64 at = sizeof(how); at < size; at++) {
		if (get_user(byte, a[2] + at)) return -EFAULT;
		if (byte) return -E2BIG;
	}
	how.flags |= O_LARGEFILE;
	if (how.flags & O_PATH) how.flags &= ~(u64)O_LARGEFILE;
	return open_how((int)a[0], a[1], &how);
}

SYSCALL(close)
{
	int err = fd_close((int)a[0]);

	/* The descriptor is gone: the call must not be done again. */
	if (err == -ERESTARTSYS || err == -ERESTARTNOINTR || err == -ERESTARTNOHAND || err == -ERESTART_RESTARTBLOCK) err = -EINTR;
	return err;
}

SYSCALL(close_range)
{
	u32 first = (u32)a[0], last = (u32)a[1], flags = (u32)a[2];

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last) return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		int err = files_unshare();
		if (err) return err;
	}
	return fd_close_range(first, last, flags & CLOSE_RANGE_CLOEXEC);
}
