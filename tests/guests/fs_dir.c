/* SPDX-License-Identifier: Apache-2.0
 *
 * Listings: complete, without doubles, while entries come and go; openat2 and
 * its bounds.
 */
#include "fs.h"
#include <dirent.h>
#include <linux/openat2.h>

#define FILES 3000

static int count(const char *name, char *seen)
{
	DIR *d = opendir(name);
	struct dirent *e;
	int n = 0;

	CHECK(d);
	while ((e = readdir(d))) {
		n++;
		if (e->d_name[0] == 'f' && seen)
			CHECK(!seen[atoi(e->d_name + 1)]++);
	}
	closedir(d);
	return n;
}

static void listing(void)
{
	static char seen[FILES];
	char name[32];

	CHECK(mkdir("d", 0755) == 0 && count("d", NULL) == 2);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "d/f%d", i);
		put(name, "");
	}
	CHECK(count("d", seen) == FILES + 2);
	/* deleting what is listed, as rm -r does */
	DIR *d = opendir("d");
	struct dirent *e;
	int n = 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] != 'f')
			continue;
		CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
		if (n++ % 2)
			CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
	}
	CHECK(n == FILES);
	rewinddir(d);
	for (n = 0; (e = readdir(d)); n++) {}
	CHECK(n == FILES / 2 + 2);
	rewinddir(d);
	long where = 0;
	char *after = NULL;
	for (n = 0; n < 100 && (e = readdir(d)); n++) {
		if (n == 50)
			where = telldir(d);
		if (n == 51)
			after = strdup(e->d_name);
	}
	seekdir(d, where);
	e = readdir(d);
	CHECK(e && !strcmp(e->d_name, after));
	rewinddir(d);
	while ((e = readdir(d)))
		if (e->d_name[0] == 'f')
			CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
	closedir(d);
	char buf[8];
	int fd = open("d", O_RDONLY);
	FAILS(syscall(SYS_getdents64, fd, buf, 8), EINVAL);
	CHECK(rmdir("d") == 0);
	FAILS(syscall(SYS_getdents64, fd, buf, 8), ENOENT);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	FAILS(syscall(SYS_getdents64, fd, buf, 8), ENOTDIR);
	close(fd);
}

/* The smallest listings, where the file system is in memory too. */
static void few(const char *in)
{
	char name[64], one[80];

	snprintf(name, sizeof(name), "%s/few%d", in, getpid());
	snprintf(one, sizeof(one), "%s/f0", name);
	CHECK(mkdir(name, 0755) == 0 && count(name, NULL) == 2);
	put(one, "");
	CHECK(count(name, (char[1]){ 0 }) == 3);
	CHECK(unlink(one) == 0 && count(name, NULL) == 2 && rmdir(name) == 0);
}

/* What lies only in memory on a host directory is listed too, once. */
static void special(void)
{
	CHECK(mkdir("s", 0755) == 0 && mkfifo("s/pipe", 0644) == 0);
	put("s/plain", "");
	CHECK(count("s", NULL) == 4);
	FAILS(rmdir("s"), ENOTEMPTY);
	CHECK(unlink("s/pipe") == 0 && unlink("s/plain") == 0 && count("s", NULL) == 2 && rmdir("s") == 0);
}

static int open2(int at, const char *name, unsigned long resolve)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = resolve };
	return (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
}

static void bounds(void)
{
	int fd, in;

	CHECK(mkdir("box", 0755) == 0 && mkdir("box/sub", 0755) == 0);
	put("out", "outside");
	put("box/in", "inside");
	CHECK(symlink("../out", "box/up") == 0 && symlink("/in", "box/abs") == 0 && symlink("in", "box/near") == 0);
	in = open("box", O_RDONLY | O_DIRECTORY);
	CHECK((fd = open2(in, "in", RESOLVE_BENEATH)) >= 0 && close(fd) == 0);
	CHECK((fd = open2(in, "sub/../in", RESOLVE_BENEATH)) >= 0 && close(fd) == 0);
	CHECK((fd = open2(in, "near", RESOLVE_BENEATH)) >= 0 && close(fd) == 0);
	FAILS(open2(in, "../out", RESOLVE_BENEATH), EXDEV);
	FAILS(open2(in, "up", RESOLVE_BENEATH), EXDEV);
	FAILS(open2(in, "abs", RESOLVE_BENEATH), EXDEV);
	FAILS(open2(in, "/in", RESOLVE_BENEATH), EXDEV);
	CHECK((fd = open2(in, "abs", RESOLVE_IN_ROOT)) >= 0 && close(fd) == 0);
	CHECK((fd = open2(in, "/../in", RESOLVE_IN_ROOT)) >= 0 && close(fd) == 0);
	FAILS(open2(in, "up", RESOLVE_IN_ROOT), ENOENT);
	FAILS(open2(in, "near", RESOLVE_NO_SYMLINKS), ELOOP);
	CHECK((fd = open2(in, "in", RESOLVE_NO_SYMLINKS)) >= 0 && close(fd) == 0);
	FAILS(open2(AT_FDCWD, "/dev/null", RESOLVE_NO_XDEV), EXDEV);
	char proc[64];
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", in);
	FAILS(open2(AT_FDCWD, proc, RESOLVE_NO_MAGICLINKS), ELOOP);
	FAILS(open2(in, "in", 0x1000), EINVAL);
	FAILS(open2(in, "in", RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
	struct open_how how = { .flags = O_RDONLY, .mode = 0644 };
	FAILS(syscall(SYS_openat2, in, "in", &how, sizeof(how)), EINVAL);
	FAILS(syscall(SYS_openat2, in, "in", &how, 8), EINVAL);
	close(in);
	CHECK(unlink("box/up") == 0 && unlink("box/abs") == 0 && unlink("box/near") == 0 && unlink("box/in") == 0);
	CHECK(rmdir("box/sub") == 0 && rmdir("box") == 0 && unlink("out") == 0);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	listing();
	few(".");
	few("/dev/shm");
	special();
	bounds();
	fs_leave();
	OK();
}
