/* SPDX-License-Identifier: Apache-2.0
 *
 * mkdir, rmdir, unlink, rename, link, symlink, mknod, and walking: results and
 * errors.
 */
#include "fs.h"
#include <sys/syscall.h>
#ifndef RENAME_EXCHANGE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int rename2(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void directories(void)
{
	CHECK(mkdir("d", 0750) == 0);
	CHECK((stat_of("d").st_mode & 07777) == 0750 && stat_of("d").st_nlink >= 1);
	FAILS(mkdir("d", 0755), EEXIST);
	FAILS(mkdir("d/", 0755), EEXIST);
	FAILS(mkdir(".", 0755), EEXIST);
	FAILS(mkdir("..", 0755), EEXIST);
	FAILS(mkdir("/", 0755), EEXIST);
	FAILS(mkdir("x/y", 0755), ENOENT);
	FAILS(mkdir("", 0755), ENOENT);
	CHECK(mkdir("d/sub/", 0755) == 0);
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(rmdir("d/sub/."), EINVAL);
	FAILS(rmdir("d/sub/.."), ENOTEMPTY);
	FAILS(rmdir("/"), EBUSY);
	FAILS(unlink("d"), EISDIR);
	FAILS(unlink("d/."), EISDIR);
	put("f", "x");
	FAILS(rmdir("f"), ENOTDIR);
	FAILS(unlink("f/"), ENOTDIR);
	FAILS(mkdir("f", 0755), EEXIST);
	FAILS(mkdir("f/x", 0755), ENOTDIR);
	FAILS(unlink("none"), ENOENT);
	FAILS(unlinkat(AT_FDCWD, "f", 1), EINVAL);
	CHECK(unlinkat(AT_FDCWD, "d/sub", AT_REMOVEDIR) == 0);
	/* A directory lives on without its name, and takes nothing new. */
	CHECK(chdir("d") == 0 && rmdir("../d") == 0);
	FAILS(open("new", O_CREAT | O_WRONLY, 0644), ENOENT);
	FAILS(mkdir("new", 0755), ENOENT);
	char buf[PATH_MAX];
	CHECK(syscall(SYS_getcwd, buf, sizeof(buf)) < 0 && errno == ENOENT);
	CHECK(chdir("..") == 0 || chdir(fs_dir) == 0);
	CHECK(chdir(fs_dir) == 0);
	CHECK(unlink("f") == 0);
	CHECK(mkdir("sticky", 01777) == 0 && (stat_of("sticky").st_mode & 07777) == 01755);
	CHECK(rmdir("sticky") == 0);
}

static void renames(void)
{
	put("a", "A");
	put("b", "B");
	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0 && mkdir("empty", 0755) == 0);
	ino_t ino = stat_of("a").st_ino;
	CHECK(rename("a", "c") == 0 && !there("a") && stat_of("c").st_ino == ino);
	CHECK(rename("c", "b") == 0 && holds("b", "A") && !there("c"));
	FAILS(rename("none", "x"), ENOENT);
	FAILS(rename("b", "d"), EISDIR);
	FAILS(rename("d", "b"), ENOTDIR);
	FAILS(rename("d", "d/e/f"), EINVAL);
	FAILS(rename("d", "d/x"), EINVAL);
	FAILS(rename("d/e", "d"), ENOTEMPTY);
	FAILS(rename("empty", "d"), ENOTEMPTY);
	FAILS(rename("d/.", "x"), EBUSY);
	FAILS(rename("d", "empty/.."), EBUSY);
	FAILS(rename("b", "x/"), ENOTDIR);
	FAILS(rename("b/", "x"), ENOTDIR);
	FAILS(rename("b", "none/x"), ENOENT);
	FAILS(rename("b", "b/x"), ENOTDIR);
	CHECK(rename("d", "d") == 0);
	CHECK(rename("d/", "dir/") == 0 && there("dir/e") && !there("d"));
	CHECK(rename("dir", "empty") == 0 && there("empty/e"));
	CHECK(rename("empty/e", "e") == 0 && !there("empty/e"));
	FAILS(rename2("b", "e", RENAME_NOREPLACE), EEXIST);
	CHECK(rename2("b", "new", RENAME_NOREPLACE) == 0);
	FAILS(rename2("new", "none", RENAME_EXCHANGE), ENOENT);
	FAILS(rename2("new", "e", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	FAILS(rename2("new", "e", 0x80), EINVAL);
	CHECK(rename2("new", "e", RENAME_EXCHANGE) == 0);
	CHECK(S_ISDIR(stat_of("new").st_mode) && holds("e", "A"));
	int fd = open("e", O_RDONLY);
	char name[PATH_MAX], proc[64];
	CHECK(rename("e", "new/a-name-that-is-longer-than-what-was-there-before-it-was-moved") == 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, name, sizeof(name) - 1);
	CHECK(n > 0);
	name[n] = 0;
	CHECK(strstr(name, "/new/a-name-that-is-longer"));
	close(fd);
	CHECK(rename("new/a-name-that-is-longer-than-what-was-there-before-it-was-moved", "e") == 0);
	CHECK(unlink("e") == 0 && rmdir("new") == 0 && rmdir("empty") == 0);
}

static void links(void)
{
	char buf[8];

	put("a", "A");
	CHECK(mkdir("d", 0755) == 0);
	CHECK(link("a", "b") == 0 && stat_of("a").st_nlink == 2 && stat_of("b").st_ino == stat_of("a").st_ino);
	FAILS(link("a", "b"), EEXIST);
	FAILS(link("none", "x"), ENOENT);
	FAILS(link("d", "x"), EPERM);
	FAILS(link("a", "x/y"), ENOENT);
	FAILS(link("a", "/dev/fs_test_link"), EXDEV);
	CHECK(rename("a", "b") == 0 && there("a")); /* two names of one file: nothing happens */
	CHECK(unlink("a") == 0 && stat_of("b").st_nlink == 1);
	CHECK(symlink("b", "s") == 0 && readlink("s", buf, 8) == 1 && buf[0] == 'b');
	CHECK(stat_of("s").st_size == 1 && S_ISLNK(stat_of("s").st_mode));
	FAILS(symlink("b", "s"), EEXIST);
	FAILS(symlink("", "t"), ENOENT);
	FAILS(readlink("b", buf, 8), EINVAL);
	FAILS(syscall(SYS_readlink, "s", buf, 0), EINVAL);
	CHECK(link("s", "s2") == 0 && S_ISLNK(stat_of("s2").st_mode));
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW) == 0 && S_ISREG(stat_of("s3").st_mode));
	CHECK(unlink("s2") == 0 && unlink("s3") == 0 && unlink("s") == 0);
	CHECK(symlink("d", "sd") == 0);
	FAILS(rmdir("sd"), ENOTDIR);
	CHECK(S_ISDIR(stat_of("sd/").st_mode) && S_ISLNK(stat_of("sd").st_mode));
	put("sd/f", "F");
	CHECK(holds("d/f", "F") && holds("d/../sd/./f", "F") && holds("sd//f", "F"));
	CHECK(unlink("sd/f") == 0 && unlink("sd") == 0 && rmdir("d") == 0 && unlink("b") == 0);
}

/* 40 links in a row are followed, 41 are not. */
static void chains(void)
{
	char from[16], to[16];

	put("0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "%d", i - 1);
		snprintf(to, sizeof(to), "%d", i);
		CHECK(symlink(from, to) == 0);
	}
	CHECK(holds("40", "end"));
	FAILS(open("41", O_RDONLY), ELOOP);
	for (int i = 0; i <= 41; i++) {
		snprintf(to, sizeof(to), "%d", i);
		CHECK(unlink(to) == 0);
	}
}

static void special(void)
{
	struct stat st;

	CHECK(mkfifo("fifo", 0644) == 0 && S_ISFIFO(stat_of("fifo").st_mode));
	FAILS(mkfifo("fifo", 0644), EEXIST);
	FAILS(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	int r = open("fifo", O_RDONLY | O_NONBLOCK), w = open("fifo", O_WRONLY);
	char c = 0;
	CHECK(r >= 0 && w >= 0 && write(w, "z", 1) == 1 && read(r, &c, 1) == 1 && c == 'z');
	close(r);
	close(w);
	CHECK(rename("fifo", "pipe") == 0 && there("pipe") && !there("fifo"));
	CHECK(unlink("pipe") == 0 && !there("pipe"));
	CHECK(mknod("plain", S_IFREG | 0600, 0) == 0 && S_ISREG(stat_of("plain").st_mode) && unlink("plain") == 0);
	FAILS(mknod("x", S_IFDIR | 0700, 0), EPERM);
	FAILS(mknod("x", S_IFLNK | 0700, 0), EINVAL);
	CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x103);
}

static void walking(void)
{
	char cwd[PATH_MAX], *deep = calloc(1, PATH_MAX);

	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, fs_dir));
	CHECK(syscall(SYS_getcwd, cwd, 2) < 0 && errno == ERANGE);
	CHECK(mkdir("one", 0755) == 0 && mkdir("one/two", 0755) == 0 && chdir("one/two") == 0);
	CHECK(getcwd(cwd, sizeof(cwd)) && strstr(cwd, "/one/two"));
	put("../file", "up");
	CHECK(holds("../file", "up") && holds("../../one/file", "up") && holds("./.././file", "up"));
	CHECK(chdir("/..") == 0 && getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/"));
	FAILS(chdir("/dev/null"), ENOTDIR);
	FAILS(chdir("/none"), ENOENT);
	CHECK(chdir(fs_dir) == 0);
	int fd = open("one", O_RDONLY | O_DIRECTORY);
	CHECK(fchdir(fd) == 0 && holds("file", "up") && chdir("..") == 0);
	CHECK(rename("one", "uno") == 0 && fchdir(fd) == 0 && getcwd(cwd, sizeof(cwd)) && strstr(cwd, "/uno"));
	close(fd);
	CHECK(chdir(fs_dir) == 0);
	for (int i = 0; i < 300; i++)
		strcat(deep, "uno/../");
	strcat(deep, "uno/file");
	CHECK(holds(deep, "up"));
	free(deep);
	CHECK(unlink("uno/file") == 0 && rmdir("uno/two") == 0 && rmdir("uno") == 0);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	directories();
	renames();
	links();
	chains();
	special();
	walking();
	fs_leave();
	OK();
}
