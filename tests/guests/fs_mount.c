/* SPDX-License-Identifier: Apache-2.0
 *
 * Mounts inside the instance, and chroot. Where mounting is not allowed (most
 * hosts) only the refusals are looked at.
 */
#include "fs.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>

static void trees(void)
{
	struct statfs fs;
	char cwd[PATH_MAX];

	CHECK(mount("none", "m", "tmpfs", MS_NOEXEC, NULL) == 0);
	put("m/x", "text");
	CHECK(chmod("m/x", 0755) == 0);
	int code = open("m/x", O_RDONLY);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, code, 0) == MAP_FAILED && errno == EPERM);
	CHECK(close(code) == 0);
	FAILS(access("m/x", X_OK), EACCES);
	FAILS(execl("m/x", "x", (char *)NULL), EACCES);
	CHECK(umount("m") == 0);
	CHECK(mount("none", "m", "tmpfs", MS_NOSUID, "size=1m,mode=0750") == 0);
	CHECK((stat_of("m").st_mode & 07777) == 0750 && stat_of("m").st_dev != stat_of(".").st_dev);
	CHECK(statfs("m", &fs) == 0 && fs.f_type == 0x01021994 && fs.f_blocks == 256 && fs.f_flags & 2 /* ST_NOSUID */);
	put("m/x", "in");
	FAILS(rename("m/x", "x"), EXDEV);
	FAILS(link("m/x", "x"), EXDEV);
	FAILS(rmdir("m"), EBUSY);
	FAILS(rename("m", "n"), EBUSY);
	int fd = open("m/big", O_CREAT | O_WRONLY, 0644);
	static char block[600000];
	CHECK(write(fd, block, sizeof(block)) == sizeof(block));
	ssize_t n = write(fd, block, sizeof(block));
	CHECK(n > 0 && n < (ssize_t)sizeof(block));
	FAILS(write(fd, block, sizeof(block)), ENOSPC);
	FAILS(umount("m"), EBUSY);
	close(fd);
	CHECK(unlink("m/big") == 0);
	CHECK(mkdir("b", 0755) == 0 && mkdir("m/sub", 0755) == 0);
	put("m/sub/y", "Y");
	CHECK(mount("m/sub", "b", NULL, MS_BIND, NULL) == 0 && holds("b/y", "Y"));
	CHECK(mount(NULL, "b", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
	FAILS(open("b/z", O_CREAT | O_WRONLY, 0644), EROFS);
	FAILS(unlink("b/y"), EROFS);
	FAILS(open("b/y", O_RDWR), EROFS);
	FAILS(access("b/y", W_OK), EROFS);
	put("m/sub/z", "Z");
	CHECK(holds("b/z", "Z"));
	CHECK(chdir("b") == 0 && chdir("..") == 0 && getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, fs_dir));
	CHECK(mount("none", "b", "tmpfs", 0, NULL) == 0 && !there("b/y")); /* on top */
	CHECK(umount("b") == 0 && there("b/y"));
	put("one", "1");
	CHECK(mount("one", "m/x", NULL, MS_BIND, NULL) == 0 && holds("m/x", "1")); /* a file on a file */
	FAILS(mount("one", "b", NULL, MS_BIND, NULL), ENOTDIR);
	FAILS(unlink("m/x"), EBUSY);
	CHECK(umount("m/x") == 0 && holds("m/x", "in"));
	CHECK(umount("b") == 0 && rmdir("b") == 0 && unlink("one") == 0);
	fd = open("m/x", O_RDONLY);
	CHECK(umount2("m", MNT_DETACH) == 0 && !there("m/x"));
	CHECK(read(fd, cwd, 2) == 2 && cwd[0] == 'i');
	close(fd);
	FAILS(umount("m"), EINVAL);
	FAILS(mount("none", "m", "nonsense", 0, NULL), ENODEV);
	FAILS(mount("none", "absent", "tmpfs", 0, NULL), ENOENT);
}

static void roots(void)
{
	char cwd[PATH_MAX];

	CHECK(mkdir("m/etc", 0755) == 0 && mkdir("m/etc/deep", 0755) == 0);
	put("m/etc/file", "jail");
	CHECK(symlink("/etc/file", "m/link") == 0);
	int out = open("/", O_RDONLY | O_DIRECTORY);
	CHECK(chroot("m") == 0 && chdir("/etc/deep") == 0);
	CHECK(holds("/etc/file", "jail") && holds("/link", "jail") && holds("/../../etc/file", "jail") && holds("../../../../etc/file", "jail"));
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/etc/deep"));
	CHECK(fchdir(out) == 0 && chroot(".") == 0 && chdir(fs_dir) == 0);
	close(out);
	CHECK(unlink("m/link") == 0 && unlink("m/etc/file") == 0 && rmdir("m/etc/deep") == 0 && rmdir("m/etc") == 0);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	CHECK(mkdir("m", 0755) == 0);
	if (geteuid() == 0)
		roots();
	/* On a host: not in its own name space. */
	if (geteuid() == 0 && (getpid() < 5 || (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)))
		trees();
	CHECK(rmdir("m") == 0);
	fs_leave();
	if (geteuid() == 0) {
		CHECK(setresuid(1000, 1000, 1000) == 0);
		FAILS(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
		FAILS(umount("/tmp"), EPERM);
		FAILS(chroot("/"), EPERM);
	}
	OK();
}
