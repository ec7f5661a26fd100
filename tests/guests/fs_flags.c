/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that cannot be changed, and those that can only grow (chattr): as root,
 * on file systems that have such; else nothing is tested.
 */
#include "fs.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static int set(int fd, int flags) { return ioctl(fd, FS_IOC_SETFLAGS, &flags); }

int main(int argc, char **argv)
{
	int fd, dir, flags = -1;
	struct statx sx;

	fs_enter(argc, argv);
	fd = open("fixed", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) || set(fd, FS_IMMUTABLE_FL)) {
		CHECK(errno == ENOTTY || errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS);
		goto out;
	}
	CHECK(!ioctl(fd, FS_IOC_GETFLAGS, &flags) && flags & FS_IMMUTABLE_FL);
	CHECK(!statx(AT_FDCWD, "fixed", 0, STATX_BASIC_STATS, &sx) && sx.stx_attributes & STATX_ATTR_IMMUTABLE);
	FAILS(open("fixed", O_WRONLY), EPERM);
	FAILS(truncate("fixed", 0), EPERM);
	FAILS(chmod("fixed", 0644), EPERM);
	FAILS(unlink("fixed"), EPERM);
	FAILS(rename("fixed", "other"), EPERM);
	FAILS(link("fixed", "other"), EPERM);
	FAILS(utimensat(AT_FDCWD, "fixed", NULL, 0), EPERM);
	FAILS(setxattr("fixed", "user.a", "b", 1, 0), EPERM);
	CHECK(!access("fixed", R_OK));

	CHECK(!set(fd, FS_APPEND_FL));
	FAILS(open("fixed", O_WRONLY), EPERM);
	FAILS(open("fixed", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
	FAILS(ftruncate(fd, 0), EPERM);
	FAILS(unlink("fixed"), EPERM);
	close(fd);
	fd = open("fixed", O_RDWR | O_APPEND);
	CHECK(fd >= 0 && write(fd, "more", 4) == 4);
	FAILS(fcntl(fd, F_SETFL, 0), EPERM);
	CHECK(!set(fd, 0));

	/* In a directory that only grows names come, and do not go. */
	CHECK(!mkdir("kept", 0755));
	dir = open("kept", O_RDONLY | O_DIRECTORY);
	if (dir >= 0 && !set(dir, FS_APPEND_FL)) {
		CHECK(!mkdir("kept/one", 0755));
		FAILS(rmdir("kept/one"), EPERM);
		CHECK(!set(dir, FS_IMMUTABLE_FL));
		FAILS(mkdir("kept/two", 0755), EPERM);
		CHECK(!set(dir, 0) && !rmdir("kept/one"));
	}
	close(dir);
	CHECK(!rmdir("kept"));
out:
	close(fd);
	CHECK(!unlink("fixed"));
	fs_leave();
	OK();
}
