/* SPDX-License-Identifier: Apache-2.0
 *
 * Corners of the file calls: vectors with a bad part, the order in which record
 * locks are found, memfds opened again, a working directory outside the root.
 */
#include "fs.h"
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void bad_parts(void)
{
	char good[64], *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v[3] = { { good, 64 }, { bad, 64 }, { good, 64 } };
	int fd = open("parts", O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(good, 'g', sizeof(good));
	CHECK(fd >= 0 && bad != MAP_FAILED && edge != MAP_FAILED && !mprotect(edge + 4096, 4096, PROT_NONE));
	CHECK(writev(fd, v, 3) == 64 && lseek(fd, 0, SEEK_CUR) == 64);
	CHECK(write(fd, edge + 4096 - 10, 20) == 10 || errno == EFAULT); /* as much as there is, or nothing */
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(ftruncate(fd, 128) == 0 && readv(fd, v, 3) == 64);
	v[0].iov_base = bad;
	FAILS(writev(fd, v, 3), EFAULT);
	close(fd);
	CHECK(!unlink("parts"));
}

static void lock_set(int fd, short type, off_t start, off_t size)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size };

	CHECK(!fcntl(fd, F_SETLK, &l));
}

/* Whatever the order they were made in, the first in the file is found first. */
static void lock_order(void)
{
	int fd = open("locks", O_RDWR | O_CREAT, 0600), status;
	pid_t pid;

	lock_set(fd, F_WRLCK, 10, 5);
	lock_set(fd, F_RDLCK, 1, 5);
	lock_set(fd, F_WRLCK, 30, 5);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		CHECK(!fcntl(fd, F_GETLK, &l));
		CHECK(l.l_type == F_RDLCK && l.l_start == 1 && l.l_len == 5 && l.l_pid == getppid());
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	close(fd);
	CHECK(!unlink("locks"));
}

static void memfd_again(void)
{
	char name[64];
	int fd = memfd_create("again", 0), other;
	struct stat st;

	CHECK(fd >= 0 && write(fd, "data", 4) == 4);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	other = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(other >= 0 && !fstat(fd, &st) && st.st_size == 0);
	close(fd);
	close(other);
}

static void outside(void)
{
	char name[PATH_MAX];
	pid_t pid;
	int status;

	if (geteuid())
		return;
	CHECK(!mkdir("jail", 0755));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (chroot("jail"))
			_exit(0);
		long n = syscall(SYS_getcwd, name, sizeof(name));
		CHECK(n > 13 && !strncmp(name, "(unreachable)/", 14));
		FAILS(realpath(".", NULL) ? 0 : -1, ENOENT);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(!rmdir("jail"));
}

/* root under another file system id is not root to files. */
static void file_id(void)
{
	pid_t pid;
	int status, fd;

	if (geteuid())
		return;
	fd = open("mine", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !close(fd));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setfsuid(65534);
		FAILS(open("mine", O_RDWR), EACCES);
		setfsuid(0);
		CHECK(open("mine", O_RDWR) >= 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(!unlink("mine"));
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	bad_parts();
	lock_order();
	memfd_again();
	outside();
	file_id();
	fs_leave();
	OK();
}
