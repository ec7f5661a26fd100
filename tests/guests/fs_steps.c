/* SPDX-License-Identifier: Apache-2.0
 *
 * Mounting in steps: fsopen, fsconfig, fsmount, move_mount, open_tree,
 * mount_setattr, fspick. As root, in a name space of its own where there are
 * such; else nothing is tested.
 */
#include "fs.h"
#include <linux/mount.h>
#include <sched.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define MS_REC_PRIVATE (16384 | 1 << 18)
#define NR_move_mount 429
#define NR_open_tree 428
#define NR_fsopen 430
#define NR_fsconfig 431
#define NR_fsmount 432
#define NR_fspick 433
#define NR_mount_setattr 442

static void steps(void)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	struct statfs st;
	long fs, mnt, tree, fd;

	FAILS(syscall(NR_fsopen, "no such thing", 0), ENODEV);
	FAILS(syscall(NR_fsopen, "tmpfs", 2), EINVAL);
	fs = syscall(NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	CHECK(fs >= 0 && fcntl((int)fs, F_GETFD) == FD_CLOEXEC);
	FAILS(syscall(NR_fsconfig, fs, 100, NULL, NULL, 0), EOPNOTSUPP);
	FAILS(syscall(NR_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", "x", 0), EINVAL);
	FAILS(syscall(NR_fsconfig, fs, FSCONFIG_SET_STRING, "no such key", "x", 0), EINVAL);
	CHECK(!syscall(NR_fsconfig, fs, FSCONFIG_SET_STRING, "source", "steps", 0));
	CHECK(!syscall(NR_fsconfig, fs, FSCONFIG_SET_STRING, "size", "65536", 0));
	CHECK(!syscall(NR_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "750", 0));
	FAILS(syscall(NR_fsmount, fs, 0, 0), EINVAL); /* not made yet */
	CHECK(!syscall(NR_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mnt = syscall(NR_fsmount, fs, 0, MOUNT_ATTR_NODEV);
	CHECK(mnt >= 0 && !close((int)fs));

	/* It can be used before it has a name. */
	fd = openat((int)mnt, "file", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0 && write((int)fd, "data", 4) == 4 && !close((int)fd));
	CHECK(!mkdir("one", 0755) && !mkdir("two", 0755));
	FAILS(syscall(NR_move_mount, mnt, "", AT_FDCWD, "one", 0), ENOENT);
	CHECK(!syscall(NR_move_mount, mnt, "", AT_FDCWD, "one", MOVE_MOUNT_F_EMPTY_PATH));
	CHECK(!close((int)mnt) && !access("one/file", F_OK));
	CHECK(!statfs("one", &st) && st.f_flags & 4 && st.f_blocks * (unsigned long)st.f_bsize == 65536);

	/* The same tree at a second place, read-only there. */
	tree = syscall(NR_open_tree, AT_FDCWD, "one", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CHECK(tree >= 0);
	FAILS(syscall(NR_mount_setattr, tree, "", AT_EMPTY_PATH, &ro, 8), EINVAL);
	CHECK(!syscall(NR_mount_setattr, tree, "", AT_EMPTY_PATH, &ro, sizeof(ro)));
	CHECK(!syscall(NR_move_mount, tree, "", AT_FDCWD, "two", MOVE_MOUNT_F_EMPTY_PATH) && !close((int)tree));
	FAILS(open("two/file", O_RDWR), EROFS);
	CHECK(!access("two/file", R_OK) && open("one/file", O_RDWR | O_CLOEXEC) >= 0);
	CHECK(!statfs("two", &st) && (st.f_flags & 3) == 3);

	/* All of the file system. */
	fs = syscall(NR_fspick, AT_FDCWD, "two", 0);
	CHECK(fs >= 0 && !close((int)fs));
	FAILS(syscall(NR_fspick, AT_FDCWD, "two/file", 0), EINVAL);
	tree = syscall(NR_open_tree, AT_FDCWD, "one", OPEN_TREE_CLONE);
	CHECK(tree >= 0 && !close((int)tree)); /* gone with its descriptor */
}

int main(int argc, char **argv)
{
	pid_t pid;
	int status;

	fs_enter(argc, argv);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (!unshare(CLONE_NEWNS))
			CHECK(!syscall(SYS_mount, "none", "/", NULL, MS_REC_PRIVATE, NULL));
		else if (errno == EPERM)
			_exit(0);
		steps();
		CHECK(!syscall(SYS_umount2, "two", 2) && !syscall(SYS_umount2, "one", 2));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	rmdir("one");
	rmdir("two");
	fs_leave();
	OK();
}
