/* SPDX-License-Identifier: Apache-2.0
 *
 * Files and file systems by other things than names: handles, device numbers,
 * pages in another order; and news of mounts.
 */
#include "fs.h"
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <stdbool.h>

union room { struct file_handle h; char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ]; };

static void handles(void)
{
	union room r = { .h = { .handle_bytes = 0 } };
	int id, other, fd = open("named", O_RDWR | O_CREAT, 0600), dir = open(".", O_RDONLY | O_DIRECTORY), again;
	struct stat a, b;

	CHECK(fd >= 0 && dir >= 0);
	if (name_to_handle_at(AT_FDCWD, "named", &r.h, &id, 0) == -1 && errno == EOPNOTSUPP)
		goto out; /* a file system without */
	CHECK(errno == EOVERFLOW && r.h.handle_bytes > 0 && r.h.handle_bytes <= MAX_HANDLE_SZ);
	CHECK(!name_to_handle_at(AT_FDCWD, "named", &r.h, &id, 0));
	CHECK(!name_to_handle_at(fd, "", &r.h, &other, AT_EMPTY_PATH) && other == id);
	FAILS(name_to_handle_at(AT_FDCWD, "absent", &r.h, &id, 0), ENOENT);
	again = open_by_handle_at(dir, &r.h, O_RDONLY);
	if (again < 0) {
		CHECK(errno == EPERM);
		goto out;
	}
	CHECK(!fstat(fd, &a) && !fstat(again, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	close(again);
	r.h.handle_bytes = 0;
	FAILS(open_by_handle_at(dir, &r.h, O_RDONLY), EINVAL);
out:
	close(fd);
	close(dir);
	CHECK(!unlink("named"));
}

static void kinds(void)
{
	char name[256];
	long count = syscall(SYS_sysfs, 3);

	if (count < 0)
		return; /* a kernel without the call */
	CHECK(count > 0 && syscall(SYS_sysfs, 2, 0, name) == 0 && name[0]);
	CHECK(syscall(SYS_sysfs, 1, name) == 0);
	CHECK(syscall(SYS_sysfs, 1, "tmpfs") > 0);
	FAILS(syscall(SYS_sysfs, 1, "no such thing"), EINVAL);
	FAILS(syscall(SYS_sysfs, 2, 100000, name), EINVAL);
	FAILS(syscall(SYS_ustat, 0xfffffffful, name), EINVAL);
}

static void order(void)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = open("pages", O_RDWR | O_CREAT, 0600);
	char *m;

	CHECK(fd >= 0 && !ftruncate(fd, 4 * page));
	m = mmap(NULL, (size_t)(4 * page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	for (int i = 0; i < 4; i++)
		m[i * page] = (char)('0' + i);
	CHECK(!syscall(SYS_remap_file_pages, m, page, 0, 3, 0));
	CHECK(m[0] == '3' && m[page] == '1');
	CHECK(!syscall(SYS_remap_file_pages, m + page, 2 * page, 0, 0, 0));
	CHECK(m[0] == '3' && m[page] == '0' && m[2 * page] == '1' && m[3 * page] == '3');
	FAILS(syscall(SYS_remap_file_pages, m, page, PROT_READ, 3, 0), EINVAL);
	CHECK(!munmap(m, (size_t)(4 * page)));
	close(fd);
	CHECK(!unlink("pages"));
}

/* In a name space of its own where there are such. */
static void news(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		struct pollfd p = { .fd = open("/proc/self/mounts", O_RDONLY), .events = POLLPRI };
		bool own = !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);

		if (own) {
			close(p.fd);
			p.fd = open("/proc/self/mounts", O_RDONLY);
		}
		CHECK(p.fd >= 0 && poll(&p, 1, 0) == 0);
		CHECK(!mkdir("there", 0755));
		if (own || errno != EPERM) {
			if (mount("none", "there", "tmpfs", MS_NOSUID, "size=1m")) {
				CHECK(errno == EPERM);
				_exit(0);
			}
			CHECK(poll(&p, 1, 1000) == 1 && p.revents & POLLPRI && p.revents & POLLERR);
			CHECK(poll(&p, 1, 0) == 0);
			FAILS(umount2("there", MNT_EXPIRE), EAGAIN);
			CHECK(!access("there", F_OK)); /* somebody was here */
			FAILS(umount2("there", MNT_EXPIRE), EAGAIN);
			CHECK(!umount2("there", MNT_EXPIRE));
			CHECK(poll(&p, 1, 1000) == 1);
		}
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(!rmdir("there") || errno == ENOENT);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	handles();
	kinds();
	order();
	news();
	fs_leave();
	OK();
}
