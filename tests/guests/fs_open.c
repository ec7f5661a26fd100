/* SPDX-License-Identifier: Apache-2.0
 *
 * open: what each flag does, and which error comes first.
 */
#include "fs.h"
#include <sys/ioctl.h>

static void existing(void)
{
	int fd;

	put("file", "hello");
	CHECK(mkdir("dir", 0755) == 0);
	CHECK(symlink("file", "link") == 0);
	CHECK(symlink("nowhere", "dangling") == 0);
	CHECK(symlink("loop", "loop") == 0);
	FAILS(open("absent", O_RDONLY), ENOENT);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open("file/x", O_RDONLY), ENOTDIR);
	FAILS(open("file/", O_RDONLY), ENOTDIR);
	FAILS(open("dir", O_WRONLY), EISDIR);
	FAILS(open("dir", O_RDWR), EISDIR);
	FAILS(open("dir", O_RDONLY | O_CREAT, 0644), EISDIR);
	FAILS(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open("file", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	FAILS(open("link", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	FAILS(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	FAILS(open("loop", O_RDONLY), ELOOP);
	FAILS(open("loop/x", O_RDONLY), ELOOP);
	FAILS(open("dangling", O_RDONLY), ENOENT);
	FAILS(open("newdir/", O_CREAT | O_WRONLY, 0644), EISDIR);
	FAILS(open((char *)8, O_RDONLY), EFAULT);
	FAILS(openat(-5, "file", O_RDONLY), EBADF);
	FAILS(openat(9999, "file", O_RDONLY), EBADF);
	fd = open("dangling", O_CREAT | O_WRONLY, 0600); /* makes what it points to */
	CHECK(fd >= 0 && close(fd) == 0 && there("nowhere"));
	fd = open("dir", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	FAILS(read(fd, (char[8]){ 0 }, 8), EISDIR);
	FAILS(openat(fd, "../file/", O_RDONLY), ENOTDIR);
	int up = openat(fd, "../file", O_RDONLY);
	CHECK(up >= 0 && close(up) == 0);
	close(fd);
	char name[300];
	memset(name, 'n', 256);
	name[256] = 0;
	FAILS(open(name, O_RDONLY), ENAMETOOLONG);
	FAILS(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
	name[255] = 0;
	fd = open(name, O_CREAT | O_WRONLY, 0644);
	CHECK(fd >= 0 && close(fd) == 0 && unlink(name) == 0);
	char *big = malloc(5000);
	memset(big, '/', 4999);
	big[4999] = 0;
	FAILS(open(big, O_RDONLY), ENAMETOOLONG);
	big[4095] = 0;
	fd = open(big, O_RDONLY);
	CHECK(fd >= 0 && close(fd) == 0);
	free(big);
	CHECK(unlink("link") == 0 && unlink("dangling") == 0 && unlink("loop") == 0 && unlink("nowhere") == 0 && rmdir("dir") == 0);
}

static void creation(void)
{
	struct stat st;
	int fd;

	umask(027);
	fd = open("made", O_CREAT | O_RDWR, 0777);
	CHECK(fd >= 0);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0750 && st.st_size == 0 && st.st_nlink == 1);
	CHECK(st.st_uid == geteuid());
	close(fd);
	umask(022);
	fd = open("sealed", O_CREAT | O_WRONLY, 0); /* who makes a file may write it, whatever its mode */
	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	FAILS(read(fd, &st, 1), EBADF);
	close(fd);
	fd = open("file", O_RDONLY);
	FAILS(write(fd, "x", 1), EBADF);
	close(fd);
	fd = open("file", O_WRONLY | O_TRUNC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
	close(fd);
	fd = creat("file", 0644);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(unlink("made") == 0 && unlink("sealed") == 0);
}

static void appending(void)
{
	char buf[16];
	int fd = open("log", O_CREAT | O_WRONLY | O_APPEND, 0644), other;

	CHECK(fd >= 0 && write(fd, "one", 3) == 3);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd, "two", 3) == 3);
	CHECK(lseek(fd, 0, SEEK_CUR) == 6);
	other = open("log", O_RDWR);
	CHECK(pwrite(other, "X", 1, 0) == 1);
	CHECK(pread(other, buf, 16, 0) == 6 && !memcmp(buf, "Xnetwo", 6));
	CHECK(fcntl(other, F_SETFL, O_APPEND) == 0);
	CHECK(write(other, "!", 1) == 1 && pread(other, buf, 16, 0) == 7 && buf[6] == '!');
	CHECK(fcntl(fd, F_SETFL, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd, "1", 1) == 1 && pread(other, buf, 16, 0) == 7 && !memcmp(buf, "1netwo!", 7));
	close(fd);
	close(other);
	CHECK(unlink("log") == 0);
}

static void nameless(void)
{
	char proc[64], buf[8], name[PATH_MAX];
	struct stat st;
	int fd;

	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0 && errno == EOPNOTSUPP)
		return;
	CHECK(fd >= 0 && write(fd, "quiet", 5) == 5);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, name, sizeof(name) - 1);
	CHECK(n > 0);
	name[n] = 0;
	CHECK(strstr(name, "(deleted)"));
	CHECK(linkat(AT_FDCWD, proc, AT_FDCWD, "loud", AT_SYMLINK_FOLLOW) == 0);
	CHECK(holds("loud", "quiet"));
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1);
	close(fd);
	CHECK(unlink("loud") == 0);
	FAILS(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	FAILS(open("file", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	CHECK(fd >= 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	FAILS(linkat(AT_FDCWD, proc, AT_FDCWD, "loud", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
	/* A file lives on without its name. */
	put("gone", "still here");
	fd = open("gone", O_RDWR);
	CHECK(unlink("gone") == 0 && !there("gone"));
	CHECK(pread(fd, buf, 5, 0) == 5 && !memcmp(buf, "still", 5));
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 10);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	int again = open(proc, O_RDONLY);
	CHECK(again >= 0 && read(again, buf, 5) == 5 && !memcmp(buf, "still", 5));
	close(again);
	CHECK(ftruncate(fd, 3) == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
	put("gone", "new");
	CHECK(pread(fd, buf, 8, 0) == 3 && holds("gone", "new"));
	close(fd);
	CHECK(unlink("gone") == 0);
}

static void paths(void)
{
	struct stat st;
	int fd;

	put("file", "hello");
	fd = open("file", O_PATH);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 5);
	FAILS(read(fd, &st, 1), EBADF);
	FAILS(fchmod(fd, 0600), EBADF);
	FAILS(ioctl(fd, 0x541b, &st), EBADF);
	CHECK((fcntl(fd, F_GETFL) & O_PATH) == O_PATH);
	char proc[64];
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	int again = open(proc, O_RDONLY);
	CHECK(again >= 0 && read(again, proc, 5) == 5);
	close(again);
	close(fd);
	CHECK(symlink("file", "link") == 0);
	fd = open("link", O_PATH | O_NOFOLLOW);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
	char text[8];
	CHECK(readlinkat(fd, "", text, 8) == 4 && !memcmp(text, "file", 4));
	close(fd);
	CHECK(unlink("link") == 0);
	fd = open("file", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK((fcntl(fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
}

static void permissions(void)
{
	if (geteuid())
		return;
	put("secret", "x");
	put("mine", "x");
	CHECK(chmod("secret", 0600) == 0);
	if (chown("mine", 1000, 1000)) { /* a directory of a host whose user is nobody special */
		CHECK(errno == EPERM && unlink("secret") == 0 && unlink("mine") == 0);
		return;
	}
	CHECK(chmod("mine", 0600) == 0);
	CHECK(mkdir("closed", 0700) == 0);
	put("closed/file", "x");
	CHECK(chmod(fs_dir, 0755) == 0);
	CHECK(setresuid(1000, 1000, 0) == 0);
	FAILS(open("secret", O_RDONLY), EACCES);
	FAILS(open("closed/file", O_RDONLY), EACCES);
	FAILS(open("new", O_CREAT | O_WRONLY, 0644), EACCES);
	FAILS(open("secret", O_RDONLY | O_TRUNC), EACCES);
	FAILS(unlink("secret"), EACCES);
	FAILS(chmod("secret", 0777), EPERM);
	FAILS(open("file", O_RDONLY | O_NOATIME), EPERM);
	int fd = open("mine", O_RDWR);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(access("mine", R_OK | W_OK) == 0);
	FAILS(access("mine", X_OK), EACCES);
	FAILS(access("secret", R_OK), EACCES);
	CHECK(setresuid(0, 0, 0) == 0);
	FAILS(access("secret", X_OK), EACCES);
	CHECK(access("secret", R_OK | W_OK) == 0);
	CHECK(unlink("secret") == 0 && unlink("mine") == 0 && unlink("closed/file") == 0 && rmdir("closed") == 0);
}

/* A program that runs is not written to, a file that is written to does not
 * run. The second half runs in a copy of this program. */
static void busy(char **argv)
{
	char *again[] = { argv[0], fs_dir, (char *)"busy", NULL };
	static char copy[65536];
	int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_CREAT | O_WRONLY, 0755);
	ssize_t n;

	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, copy, sizeof(copy))) > 0)
		CHECK(write(to, copy, (size_t)n) == n);
	FAILS(execv("./copy", again), ETXTBSY);
	close(to);
	close(from);
	execv("./copy", again);
	CHECK(!"execv returns");
}

static int busy_second_half(const char *dir)
{
	CHECK(chdir(dir) == 0);
	FAILS(open("copy", O_WRONLY), ETXTBSY);
	FAILS(open("copy", O_RDWR | O_TRUNC), ETXTBSY);
	FAILS(truncate("copy", 0), ETXTBSY);
	CHECK(rename("copy", "other") == 0 && unlink("other") == 0);
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	OK();
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[2], "busy"))
		return busy_second_half(argv[1]);
	fs_enter(argc, argv);
	existing();
	creation();
	appending();
	nameless();
	paths();
	permissions();
	CHECK(unlink("file") == 0);
	busy(argv);
}
