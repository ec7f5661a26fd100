/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes: modes, owners, times, access, statx, statfs, extended attributes.
 */
#include "fs.h"
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

static void modes(void)
{
	int fd = open("f", O_RDWR);

	CHECK(chmod("f", 0640) == 0 && (stat_of("f").st_mode & 07777) == 0640);
	CHECK(fchmod(fd, 0604) == 0 && (stat_of("f").st_mode & 07777) == 0604);
	CHECK(fchmodat(AT_FDCWD, "f", 0644, 0) == 0 && (stat_of("f").st_mode & 07777) == 0644);
	FAILS(chmod("none", 0644), ENOENT);
	FAILS(fchmod(99, 0644), EBADF);
	FAILS(chmod("f/x", 0644), ENOTDIR);
	CHECK(symlink("f", "l") == 0 && chmod("l", 0600) == 0 && (stat_of("f").st_mode & 0777) == 0600);
	CHECK(mkdir("d", 0755) == 0 && chmod("d", 01777) == 0 && (stat_of("d").st_mode & 07777) == 01777 && rmdir("d") == 0);
	mode_t old = umask(077);
	CHECK(old == 022 && umask(022) == 077);
	CHECK(access("f", F_OK) == 0 && access("f", R_OK | W_OK) == 0);
	FAILS(access("f", 8), EINVAL);
	FAILS(access("none", F_OK), ENOENT);
	CHECK(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW) == 0 && unlink("l") == 0);
	CHECK(chown("f", (uid_t)-1, (gid_t)-1) == 0 && chown("f", getuid(), getgid()) == 0);
	close(fd);
}

static void times(void)
{
	struct timespec ts[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
	struct timeval tv[2] = { { 3000, 5 }, { 4000, 6 } };
	struct stat st;
	int fd = open("f", O_RDWR);

	CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0);
	st = stat_of("f");
	CHECK(st.st_atim.tv_sec == 1000 && st.st_atim.tv_nsec == 123456789 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 987654321);
	CHECK(st.st_ctime > 1000000);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK(futimens(fd, ts) == 0);
	st = stat_of("f");
	CHECK(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 1000000);
	CHECK(utimes("f", tv) == 0);
	st = stat_of("f");
	CHECK(st.st_atim.tv_sec == 3000 && st.st_mtim.tv_sec == 4000 && st.st_mtim.tv_nsec == 6000);
	struct utimbuf ub = { 50, 60 };
	CHECK(utime("f", &ub) == 0 && stat_of("f").st_mtime == 60);
	ts[0].tv_nsec = 1000000000;
	FAILS(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	ts[0].tv_nsec = 0;
	FAILS(utimensat(AT_FDCWD, "none", ts, 0), ENOENT);
	CHECK(symlink("none", "l") == 0);
	ts[1] = (struct timespec){ 77, 0 };
	CHECK(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW) == 0 && stat_of("l").st_mtime == 77 && unlink("l") == 0);
	CHECK(write(fd, "x", 1) == 1 && stat_of("f").st_mtime > 1000000);
	close(fd);
	CHECK(mkdir("d", 0755) == 0);
	ts[0] = ts[1] = (struct timespec){ 99, 0 };
	CHECK(utimensat(AT_FDCWD, "d", ts, 0) == 0 && stat_of("d").st_mtime == 99);
	put("d/x", "");
	CHECK(stat_of("d").st_mtime > 1000000);
	CHECK(unlink("d/x") == 0 && rmdir("d") == 0);
}

static void statx_too(void)
{
	struct statx sx;
	struct stat st = stat_of("f");
	struct statfs fs;
	int fd = open("f", O_RDONLY);

	CHECK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx) == 0);
	CHECK(sx.stx_ino == st.st_ino && sx.stx_size == (unsigned long)st.st_size && sx.stx_mode == st.st_mode && sx.stx_nlink == 1);
	CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &sx) == 0 && sx.stx_ino == st.st_ino);
	FAILS(statx(fd, "", 0, STATX_ALL, &sx), ENOENT);
	FAILS(statx(AT_FDCWD, "f", 0x80, STATX_ALL, &sx), EINVAL);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, "f", &st, 0x4), EINVAL);
	CHECK(statfs("f", &fs) == 0 && fs.f_bsize > 0 && fs.f_namelen == 255 && fstatfs(fd, &fs) == 0);
	FAILS(statfs("none", &fs), ENOENT);
	FAILS(stat("f", (struct stat *)(void *)8), EFAULT);
	close(fd);
}

static void xattrs(void)
{
	char buf[64];

	if (setxattr("f", "user.one", "value", 5, 0) < 0) {
		CHECK(errno == EOPNOTSUPP);
		FAILS(getxattr("f", "user.one", buf, 64), EOPNOTSUPP);
		CHECK(listxattr("f", buf, 64) == 0);
		return;
	}
	CHECK(getxattr("f", "user.one", buf, 64) == 5 && !memcmp(buf, "value", 5));
	CHECK(getxattr("f", "user.one", NULL, 0) == 5);
	FAILS(getxattr("f", "user.one", buf, 4), ERANGE);
	FAILS(getxattr("f", "user.two", buf, 64), ENODATA);
	FAILS(setxattr("f", "user.one", "x", 1, XATTR_CREATE), EEXIST);
	FAILS(setxattr("f", "user.two", "x", 1, XATTR_REPLACE), ENODATA);
	FAILS(setxattr("f", "user.two", "x", 1, 7), EINVAL);
	FAILS(setxattr("f", "nonsense", "x", 1, 0), EOPNOTSUPP);
	CHECK(setxattr("f", "user.two", "", 0, 0) == 0 && getxattr("f", "user.two", buf, 64) == 0);
	CHECK(listxattr("f", buf, 64) >= 18 && listxattr("f", NULL, 0) >= 18);
	FAILS(listxattr("f", buf, 5), ERANGE);
	int fd = open("f", O_RDONLY);
	CHECK(fgetxattr(fd, "user.one", buf, 64) == 5 && fremovexattr(fd, "user.one") == 0);
	FAILS(removexattr("f", "user.one"), ENODATA);
	close(fd);
	CHECK(symlink("f", "l") == 0);
	CHECK(getxattr("l", "user.two", buf, 64) == 0);
	FAILS(lsetxattr("l", "user.two", "x", 1, 0), EPERM);
	CHECK(unlink("l") == 0);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	put("f", "12345");
	modes();
	times();
	statx_too();
	xattrs();
	CHECK(unlink("f") == 0);
	fs_leave();
	OK();
}
