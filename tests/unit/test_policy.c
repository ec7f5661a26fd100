/* SPDX-License-Identifier: Apache-2.0
 *
 * What a guest's names reach on the host, and what they must not: mounts,
 * links, special files, procfs, read-only, and a hostile party that changes
 * the tree while it is walked. Runs as root and as an ordinary user.
 *
 * What must not be reached is a decoy: a directory `outside` beside the mount,
 * in the scratch tree. A test here fails by doing the very thing it forbids,
 * so nothing of the machine may stand where a call that changes could end up.
 */
#include "streams_fixture.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "monitor/host_errno.h"
#include "monitor/uri.h"

static struct fixture f;

static void setup(void)
{
	fixture_init(&f, 256);
	umask(022);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void outside(void)
{
	host_dir(&f, "outside");
	host_file(&f, "outside/passwd", "theirs");
}

/* One file, as it was, and nothing new. */
static void outside_untouched(void)
{
	DIR *d = opendir(host_path(&f, "outside"));
	struct dirent *e;
	struct stat st;
	unsigned count = 0;

	cr_assert(d != NULL);
	while ((e = readdir(d)))
		count += e->d_name[0] != '.';
	closedir(d);
	cr_expect_eq(count, 1);
	cr_expect(!stat(host_path(&f, "outside/passwd"), &st) && st.st_size == 6);
}

TestSuite(policy, .init = setup, .fini = teardown, .timeout = 60);

static int parse(const char *text, size_t size)
{
	char copy[PICO_URI_MAX + 1] = { 0 };
	struct pico__uri uri;

	memcpy(copy, text, size < PICO_URI_MAX ? size : PICO_URI_MAX);
	return pico__uri_parse(&uri, copy, size, (uint32_t)size);
}

Test(uri, accepts_and_refuses)
{
	static const char *const good[] = { "file:/", "file:/a", "dir:/a/b", "file:/...", "file:/.a/..b", "pipe:", "unix:/x//y",
		"tcp:1.2.3.4:5", "udp:x", "console:stdin", "image:x", "memory:", "app:a b", "file:/a\nb", "file:/\xff" };
	static const char *const bad[] = { "", "file", "file:", "file:a", "file:./a", "file:/a/", "file://", "file://a", "file:/a//b",
		"file:/.", "file:/..", "file:/a/.", "file:/a/../b", "file:/../a", "dir:/a/./b", "FILE:/a", "http:x", ":", "/a",
		"filex:/a", "link:x", "handle:1" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(parse(good[i], strlen(good[i])), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(parse(bad[i], strlen(bad[i])), -PICO_EINVAL, "%s", bad[i]);
	cr_expect_eq(parse("file:/a\0b", 9), -PICO_EINVAL);
	cr_expect_eq(parse("file:/a\0", 8), -PICO_EINVAL);
}

Test(uri, sizes)
{
	char text[PICO_URI_MAX + 1];
	struct pico__uri uri;

	memset(text, 'a', sizeof(text));
	memcpy(text, "app:", 4);
	cr_expect_eq(pico__uri_parse(&uri, text, PICO_URI_MAX, PICO_URI_MAX), 0);
	cr_expect_eq(uri.rest_size, PICO_URI_MAX - 4);
	cr_expect_eq(pico__uri_parse(&uri, text, PICO_URI_MAX + 1, PICO_URI_MAX), -PICO_ENAMETOOLONG);
	cr_expect_eq(pico__uri_parse(&uri, text, PICO_URI_MAX, PICO_URI_MAX + 1), -PICO_ENAMETOOLONG);
	cr_expect_eq(pico__uri_parse(&uri, text, UINT64_MAX, 5), -PICO_ENAMETOOLONG);
	cr_expect_eq(pico__uri_parse(&uri, text, 5, 6), -PICO_EINVAL);
}

Test(uri, decimal)
{
	uint64_t v;

	cr_expect_eq(pico__decimal_parse("0", &v), 0);
	cr_expect_eq(pico__decimal_parse("18446744073709551615", &v), 0);
	cr_expect_eq(v, UINT64_MAX);
	cr_expect_eq(pico__decimal_parse("18446744073709551616", &v), -PICO_EINVAL);
	cr_expect_eq(pico__decimal_parse("99999999999999999999999", &v), -PICO_EINVAL);
	cr_expect_eq(pico__decimal_parse("", &v), -PICO_EINVAL);
	cr_expect_eq(pico__decimal_parse("01", &v), -PICO_EINVAL);
	cr_expect_eq(pico__decimal_parse("+1", &v), -PICO_EINVAL);
	cr_expect_eq(pico__decimal_parse("1 ", &v), -PICO_EINVAL);
}

Test(errors, map)
{
	cr_expect_eq(pico__error(ENOENT), -PICO_ENOENT);
	cr_expect_eq(pico__error(EMFILE), -PICO_ENFILE);
	cr_expect_eq(pico__error(EDQUOT), -PICO_EDQUOT);
	cr_expect_eq(pico__error(EUCLEAN), -PICO_EIO);
	cr_expect_eq(pico__error(0), -PICO_EIO);
	cr_expect_eq(pico__error(-3), -PICO_EIO);
	cr_expect_eq(pico__error(100000), -PICO_EIO);
	cr_expect_eq(pico__error_listed(PICO_DC_StreamOpen, -PICO_ENOENT), -PICO_ENOENT);
	cr_expect_eq(pico__error_listed(PICO_DC_StreamOpen, -PICO_EAGAIN), -PICO_EIO);
	cr_expect_eq(pico__error_listed(PICO_DC_StreamDelete, -PICO_ENFILE), -PICO_ENOMEM);
	cr_expect_eq(pico__error_listed(PICO_DC_ObjectClose, 7), 7);
	cr_expect_eq(pico__error_listed(PICO_DC_StreamRead, -1000), -PICO_EIO);
	cr_expect_eq(pico__error_listed(PICO_DC_StreamRead, INT64_MIN), -PICO_EIO);
}

static char first_byte(const char *uri)
{
	pico_handle h = stream_open(&f, uri, R, 0, 0);
	char byte = 0;

	cr_assert_gt(h, 0, "%s: %lld", uri, (long long)h);
	cr_assert_eq(pread(guest_fd(&f, h), &byte, 1, 0), 1);
	stream_close(&f, h);
	return byte;
}

Test(policy, longest_prefix_by_component)
{
	host_dir(&f, "a");
	host_dir(&f, "b");
	host_dir(&f, "a/sub");
	host_file(&f, "a/x", "A");
	host_file(&f, "a/sub/x", "S");
	host_file(&f, "a/subx", "P");
	host_file(&f, "b/x", "B");
	host_file(&f, "one", "1");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/", false), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "b"), "/sub", false), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "one"), "/sub/deep/file", true), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "b"), "/sub", false), -PICO_EEXIST);
	cr_expect_eq(first_byte("file:/x"), 'A');
	cr_expect_eq(first_byte("file:/sub/x"), 'B');
	cr_expect_eq(first_byte("file:/subx"), 'P');
	cr_expect_eq(first_byte("file:/sub/deep/file"), '1');
	cr_expect_eq(stream_open(&f, "file:/sub/deep/file/x", R, 0, 0), -PICO_ENOTDIR);
	cr_expect_eq(stream_open(&f, "file:/sub/deep", R, 0, 0), -PICO_ENOENT);
	cr_expect_eq(stream_open(&f, "file:/sub/deep/file", RW, 0, 0), -PICO_EROFS);
}

Test(policy, nothing_granted)
{
	cr_expect_eq(stream_open(&f, "file:/etc/passwd", R, 0, 0), -PICO_ENOENT);
	host_dir(&f, "a");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/usr/local", false), 0);
	cr_expect_eq(stream_open(&f, "dir:/usr", R, 0, 0), -PICO_ENOENT);
	cr_expect_eq(stream_open(&f, "dir:/", R, 0, 0), -PICO_ENOENT);
	cr_expect_eq(stream_query(&f, "file:/usr/localx"), -PICO_ENOENT);
	cr_expect_gt(stream_open(&f, "dir:/usr/local", R, 0, 0), 0);
	cr_expect_eq(stream_open(&f, "tcp:127.0.0.1:80", RW, 0, 0), -PICO_EACCES);
	cr_expect_eq(stream_open(&f, "udp:127.0.0.1:80", RW, 0, 0), -PICO_EACCES);
	cr_expect_eq(stream_open(&f, "image:x", R, 0, 0), -PICO_ENOTSUP);
	cr_expect_eq(stream_open(&f, "app:x", R, 0, 0), -PICO_ENOENT);
}

Test(policy, mount_mistakes)
{
	char why[128] = "";
	struct pico__mount m = { .host = host_path(&f, "missing"), .guest = "/x" };
	uint32_t type = 0;

	cr_expect_eq(pico__streams_mount(f.s, &m, &type, why, sizeof(why)), -PICO_ENOENT);
	cr_expect_neq(strstr(why, "missing"), NULL, "%s", why);
	cr_expect_eq(mount_at(&f, f.root, "relative", false), -PICO_EINVAL);
	cr_expect_eq(mount_at(&f, f.root, "/a/../b", false), -PICO_EINVAL);
	cr_expect_eq(mount_at(&f, f.root, "/a/", false), -PICO_EINVAL);
	cr_expect_eq(mount_at(&f, "/dev/null", "/null", false), -PICO_ENXIO);
	m.host = f.root;
	cr_expect_eq(pico__streams_mount(f.s, &m, &type, why, sizeof(why)), 0);
	cr_expect_eq(type, PICO_STREAM_DIRECTORY);
	host_file(&f, "file", "x");
	m = (struct pico__mount){ .host = host_path(&f, "file"), .guest = "/y" };
	cr_expect_eq(pico__streams_mount(f.s, &m, &type, why, sizeof(why)), 0);
	cr_expect_eq(type, PICO_STREAM_FILE);
}

Test(policy, mount_survives_the_host_path)
{
	host_dir(&f, "a");
	host_file(&f, "a/x", "A");
	host_file(&f, "one", "1");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "one"), "/one", false), 0);
	cr_assert_eq(rename(host_path(&f, "a"), host_path(&f, "moved")), 0);
	outside();
	host_link(&f, "a", host_path(&f, "outside"));
	cr_assert_eq(rename(host_path(&f, "one"), host_path(&f, "two")), 0);
	host_file(&f, "one", "2");
	cr_expect_eq(first_byte("file:/m/x"), 'A');
	cr_expect_eq(first_byte("file:/one"), '1');
}

Test(policy, links_are_not_followed)
{
	char target[] = "../outside";

	outside();
	host_dir(&f, "a");
	host_file(&f, "a/file", "x");
	host_link(&f, "a/good", "file");
	host_link(&f, "a/abs", host_path(&f, "outside"));
	host_link(&f, "a/up", target);
	host_link(&f, "a/dangling", "nothing");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	cr_expect_eq(stream_open(&f, "file:/m/good", R, 0, 0), -PICO_ELOOP);
	cr_expect_eq(stream_open(&f, "file:/m/abs/passwd", R, 0, 0), -PICO_ELOOP);
	cr_expect_eq(stream_open(&f, "dir:/m/abs", R, 0, 0), -PICO_ELOOP);
	cr_expect_eq(stream_open(&f, "file:/m/up/passwd", R, 0, 0), -PICO_ELOOP);
	cr_expect_eq(stream_open(&f, "file:/m/dangling", RW, PICO_OPEN_CREATE, 0600), -PICO_ELOOP);
	cr_expect_eq(stream_open(&f, "file:/m/dangling", RW, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, 0600), -PICO_EEXIST);
	cr_expect_eq(stream_open(&f, "dir:/m/dangling", R, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, 0700), -PICO_EEXIST);
	cr_expect_eq(stream_open(&f, "file:/m/abs/new", RW, PICO_OPEN_CREATE, 0600), -PICO_ELOOP);
	cr_expect_eq(stream_open(&f, "file:/m/abs", RW, PICO_OPEN_TEMPORARY, 0600), -PICO_ELOOP);
	cr_expect_eq(stream_query(&f, "file:/m/abs/passwd"), -PICO_ELOOP);
	cr_expect_eq(stream_delete(&f, "file:/m/up/passwd", 0), -PICO_ELOOP);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/up/x", 0), -PICO_ELOOP);
	cr_expect_eq(stream_query(&f, "file:/m/up"), (int64_t)strlen(target));
	cr_expect_eq(f.c->attr.type, PICO_STREAM_SYMLINK);
	cr_expect_eq(f.c->text2_out, strlen(target));
	cr_expect_eq(memcmp(f.c->text2, target, strlen(target)), 0);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MTIME, .mtime_sec = 77 };
	cr_expect_eq(stream_set(&f, "file:/m/good"), -PICO_ELOOP);
	f.c->attr.type = PICO_STREAM_SYMLINK;
	cr_expect_eq(stream_set(&f, "file:/m/good"), 0);
	cr_expect_eq(stream_query(&f, "file:/m/good"), 4);
	cr_expect_eq(f.c->attr.mtime_sec, 77);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0600, .type = PICO_STREAM_SYMLINK };
	cr_expect_eq(stream_set(&f, "file:/m/good"), -PICO_ENOTSUP);
	cr_expect_eq(stream_delete(&f, "file:/m/abs", 0), 0);
	outside_untouched();
}

Test(policy, only_files_and_directories)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	host_dir(&f, "a");
	strcpy(address.sun_path, host_path(&f, "a/socket"));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(mkfifo(host_path(&f, "a/fifo"), 0666), 0);
	host_file(&f, "a/file", "x");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	cr_assert_eq(mount_at(&f, "/dev", "/dev", true), 0);
	cr_expect_eq(stream_open(&f, "file:/m/socket", R, 0, 0), -PICO_ENXIO);
	cr_expect_eq(stream_open(&f, "file:/m/fifo", R, 0, 0), -PICO_ENXIO);
	cr_expect_eq(stream_open(&f, "file:/m/fifo", RW, PICO_OPEN_CREATE, 0600), -PICO_ENXIO);
	cr_expect_eq(stream_open(&f, "file:/dev/null", R, 0, 0), -PICO_ENXIO);
	cr_expect_eq(stream_open(&f, "file:/dev/tty", RW, 0, 0), -PICO_ENXIO);
	cr_expect_eq(stream_open(&f, "file:/m", R, 0, 0), -PICO_EISDIR);
	cr_expect_eq(stream_open(&f, "dir:/m/file", R, 0, 0), -PICO_ENOTDIR);
	cr_expect_eq(stream_open(&f, "dir:/m", RW, 0, 0), -PICO_EISDIR);
	cr_expect_eq(stream_open(&f, "file:/m/file/x", R, 0, 0), -PICO_ENOTDIR);
	cr_expect_eq(stream_query(&f, "file:/m/fifo"), 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_FIFO);
	cr_expect_eq(stream_query(&f, "file:/dev/null"), 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_CHARDEV);
	cr_expect_eq(stream_query(&f, "dir:/m/file"), -PICO_ENOTDIR);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0600 };
	cr_expect_eq(stream_set(&f, "file:/m/fifo"), -PICO_EPERM);
	close(fd);
}

Test(policy, procfs_is_out_of_reach)
{
	char uri[64];

	cr_expect_eq(mount_at(&f, "/proc", "/p", true), -PICO_EACCES);
	cr_assert_eq(mount_at(&f, "/", "/", true), 0);
	snprintf(uri, sizeof(uri), "file:/proc/%d/mem", getpid());
	cr_expect_eq(stream_open(&f, uri, R, 0, 0), -PICO_EACCES);
	snprintf(uri, sizeof(uri), "file:/proc/%d/environ", getpid());
	cr_expect_eq(stream_open(&f, uri, R, 0, 0), -PICO_EACCES);
	snprintf(uri, sizeof(uri), "file:/proc/%d/root/etc/passwd", getpid());
	cr_expect_eq(stream_open(&f, uri, R, 0, 0), -PICO_ELOOP);
	cr_expect_eq(stream_query(&f, uri), -PICO_ELOOP);
	snprintf(uri, sizeof(uri), "file:/proc/%d/exe", getpid());
	cr_expect_eq(stream_query(&f, uri), -PICO_EACCES);
	cr_expect_eq(stream_open(&f, "dir:/proc", R, 0, 0), -PICO_EACCES);
	cr_expect_eq(stream_open(&f, "file:/proc/self/maps", R, 0, 0), -PICO_ELOOP);
	cr_expect_gt(stream_open(&f, "file:/etc/passwd", R, 0, 0), 0);
}

Test(policy, read_only)
{
	pico_handle h;

	host_dir(&f, "a");
	host_dir(&f, "a/d");
	host_file(&f, "a/file", "x");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", true), 0);
	cr_expect_eq(stream_open(&f, "file:/m/file", RW, 0, 0), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "file:/m/file", PICO_ACCESS_APPEND, 0, 0), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "file:/m/file", RW, PICO_OPEN_TRUNCATE, 0), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "file:/m/new", R, PICO_OPEN_CREATE, 0600), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "file:/m/none/new", R, PICO_OPEN_CREATE, 0600), -PICO_ENOENT);
	cr_expect_eq(stream_open(&f, "file:/m/file", R, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, 0600), -PICO_EEXIST);
	cr_expect_eq(stream_open(&f, "file:/m/new", R, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, 0600), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "file:/m", RW, PICO_OPEN_TEMPORARY, 0600), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "dir:/m/new", R, PICO_OPEN_CREATE, 0700), -PICO_EROFS);
	cr_expect_eq(stream_open(&f, "dir:/m/d", R, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, 0700), -PICO_EEXIST);
	cr_expect_gt(stream_open(&f, "dir:/m/d", R, PICO_OPEN_CREATE, 0700), 0);
	cr_expect_eq(stream_delete(&f, "file:/m/file", 0), -PICO_EROFS);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/x", 0), -PICO_EROFS);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/x", PICO_RENAME_LINK), -PICO_EROFS);
	cr_expect_eq(stream_rename(&f, "link:file", "file:/m/x", PICO_RENAME_SYMLINK), -PICO_EROFS);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0600 };
	cr_expect_eq(stream_set(&f, "file:/m/file"), -PICO_EROFS);
	h = stream_open(&f, "file:/m/file", R, PICO_OPEN_CREATE, 0600);
	cr_assert_gt(h, 0);
	cr_expect_neq(f.c->attr.flags & PICO_STREAM_FLAG_READ_ONLY_MOUNT, 0);
	cr_expect_lt(write(guest_fd(&f, h), "x", 1), 0);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0600 };
	cr_expect_eq(handle_set(&f, h), -PICO_EROFS);
	cr_expect_eq(stream_length(&f, h, 0, PICO_LENGTH_SET, 0), -PICO_EINVAL);
}

/* A read-only mount inside a writable one must not be laid bare by moving what
 * is above it. */
Test(policy, mount_points_stay)
{
	host_dir(&f, "a");
	host_dir(&f, "a/x");
	host_dir(&f, "a/x/y");
	host_dir(&f, "a/x/yy");
	host_file(&f, "a/x/y/secret", "s");
	host_dir(&f, "b");
	host_file(&f, "file", "1");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "b"), "/m/x/y", true), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "file"), "/m/f", false), 0);
	cr_expect_eq(stream_rename(&f, "dir:/m/x/y", "dir:/m/z", 0), -PICO_EBUSY);
	cr_expect_eq(stream_rename(&f, "dir:/m/x", "dir:/m/z", 0), -PICO_EBUSY);
	cr_expect_eq(stream_rename(&f, "dir:/m", "dir:/m/z", 0), -PICO_EBUSY);
	cr_expect_eq(stream_rename(&f, "dir:/m/x/yy", "dir:/m/x", PICO_RENAME_EXCHANGE), -PICO_EBUSY);
	cr_expect_eq(stream_rename(&f, "dir:/m/x/yy", "dir:/m/x/y", 0), -PICO_EBUSY);
	cr_expect_eq(stream_rename(&f, "file:/m/f", "file:/m/g", PICO_RENAME_LINK), -PICO_EBUSY);
	cr_expect_eq(stream_rename(&f, "link:a", "file:/m/f", PICO_RENAME_SYMLINK), -PICO_EBUSY);
	cr_expect_eq(stream_delete(&f, "dir:/m", 0), -PICO_EBUSY);
	cr_expect_eq(stream_delete(&f, "dir:/m/x", 0), -PICO_EBUSY);
	cr_expect_eq(stream_delete(&f, "file:/m/f", 0), -PICO_EBUSY);
	cr_expect_eq(stream_delete(&f, "dir:/m/x/yy", 0), 0);
	cr_expect_eq(stream_query(&f, "file:/m/x/y/secret"), -PICO_ENOENT);
}

Test(policy, across_mounts)
{
	host_dir(&f, "a");
	host_dir(&f, "b");
	host_file(&f, "a/file", "x");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/a", false), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "b"), "/b", false), 0);
	cr_expect_eq(stream_rename(&f, "file:/a/file", "file:/b/file", 0), -PICO_EXDEV);
	cr_expect_eq(stream_rename(&f, "file:/a/file", "file:/b/file", PICO_RENAME_LINK), -PICO_EXDEV);
	cr_expect_eq(stream_rename(&f, "file:/a/file", "file:/c/file", 0), -PICO_ENOENT);
	pico_handle h = stream_open(&f, "file:/a", RW, PICO_OPEN_TEMPORARY, 0600);

	if (h > 0) {
		char uri[64];

		snprintf(uri, sizeof(uri), "handle:%lld", (long long)h);
		cr_expect_eq(stream_rename(&f, uri, "file:/b/file", PICO_RENAME_FROM_HANDLE), -PICO_EXDEV);
	}
}

static atomic_bool flipping;

/* a/d is a directory and a symbolic link out of the mount, by turns, without a gap. */
static void *flip(void *arg)
{
	char *d = strdup(host_path(arg, "a/d")), *l = strdup(host_path(arg, "a/l"));

	while (atomic_load(&flipping))
		if (renameat2(AT_FDCWD, d, AT_FDCWD, l, RENAME_EXCHANGE))
			break;
	free(d);
	free(l);
	return NULL;
}

static bool in_mount(int fd)
{
	char link[64], target[4096], *mount = host_path(&f, "a/");
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	return n > 0 && !strncmp(target, mount, strlen(mount));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(policy, hostile_renames)
{
	struct stat theirs, now;
	unsigned opened = 0, refused = 0, created = 0;
	pthread_t thread;
	double end = seconds() + 2;

	outside();
	host_dir(&f, "a");
	host_dir(&f, "a/d");
	host_file(&f, "a/d/passwd", "mine");
	host_link(&f, "a/l", host_path(&f, "outside"));
	cr_assert_eq(stat(host_path(&f, "outside/passwd"), &theirs), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	atomic_store(&flipping, true);
	cr_assert_eq(pthread_create(&thread, NULL, flip, &f), 0);
	while (seconds() < end) {
		pico_handle h = stream_open(&f, "file:/m/d/passwd", R, 0, 0);

		if (h > 0) {
			opened++;
			cr_assert_eq(fstat(guest_fd(&f, h), &now), 0);
			cr_assert(now.st_ino != theirs.st_ino || now.st_dev != theirs.st_dev);
			cr_assert(in_mount(guest_fd(&f, h)));
			stream_close(&f, h);
		} else {
			refused++;
			cr_assert(h == -PICO_ELOOP || h == -PICO_ENOENT || h == -PICO_EBUSY, "%lld", (long long)h);
		}
		h = stream_open(&f, "file:/m/d/pico-created", RW, PICO_OPEN_CREATE, 0600);
		if (h > 0) {
			created++;
			cr_assert(in_mount(guest_fd(&f, h)));
			stream_close(&f, h);
		}
		h = stream_open(&f, "dir:/m/d/pico-dir", R, PICO_OPEN_CREATE, 0700);
		if (h > 0)
			stream_close(&f, h);
		h = stream_open(&f, "file:/m/d", RW, PICO_OPEN_TEMPORARY, 0600);
		if (h > 0) {
			cr_assert(in_mount(guest_fd(&f, h)));
			stream_close(&f, h);
		}
		stream_rename(&f, "file:/m/d/pico-created", "file:/m/d/pico-renamed", 0);
		stream_delete(&f, "file:/m/d/pico-renamed", 0);
		if (stream_query(&f, "file:/m/d/passwd") == 0)
			cr_assert_neq(f.c->attr.inode, theirs.st_ino);
	}
	atomic_store(&flipping, false);
	pthread_join(thread, NULL);
	cr_log_info("opened %u, refused %u, created %u", opened, refused, created);
	cr_expect(opened && refused && created);
	outside_untouched();
}

/* The same with a link to the machine's own /etc: only looking and reading. */
Test(policy, hostile_renames_to_etc)
{
	struct stat theirs, now;
	unsigned opened = 0, refused = 0;
	pthread_t thread;
	double end = seconds() + 0.5;

	host_dir(&f, "a");
	host_dir(&f, "a/d");
	host_file(&f, "a/d/passwd", "mine");
	host_link(&f, "a/l", "/etc");
	cr_assert_eq(stat("/etc/passwd", &theirs), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", true), 0);
	atomic_store(&flipping, true);
	cr_assert_eq(pthread_create(&thread, NULL, flip, &f), 0);
	while (seconds() < end) {
		pico_handle h = stream_open(&f, "file:/m/d/passwd", R, 0, 0);

		if (h > 0) {
			opened++;
			cr_assert_eq(fstat(guest_fd(&f, h), &now), 0);
			cr_assert(now.st_ino != theirs.st_ino || now.st_dev != theirs.st_dev);
			stream_close(&f, h);
		} else {
			refused++;
		}
		if (stream_query(&f, "file:/m/d/passwd") == 0)
			cr_assert_eq(f.c->attr.size, 4);
	}
	atomic_store(&flipping, false);
	pthread_join(thread, NULL);
	cr_expect(opened && refused);
}


/* The object found and the object opened: a directory entry that is a regular
 * file and a FIFO by turns must never open the FIFO. */
static void *flip_fifo(void *arg)
{
	char *d = strdup(host_path(arg, "a/file")), *l = strdup(host_path(arg, "a/fifo"));

	while (atomic_load(&flipping))
		if (renameat2(AT_FDCWD, d, AT_FDCWD, l, RENAME_EXCHANGE))
			break;
	free(d);
	free(l);
	return NULL;
}

Test(policy, file_that_becomes_a_fifo)
{
	unsigned opened = 0, refused = 0;
	pthread_t thread;
	double end = seconds() + 0.5;

	host_dir(&f, "a");
	host_file(&f, "a/file", "x");
	cr_assert_eq(mkfifo(host_path(&f, "a/fifo"), 0666), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	atomic_store(&flipping, true);
	cr_assert_eq(pthread_create(&thread, NULL, flip_fifo, &f), 0);
	while (seconds() < end) {
		pico_handle h = stream_open(&f, "file:/m/file", R, 0, 0);
		struct stat st;

		if (h > 0) {
			opened++;
			cr_assert_eq(fstat(guest_fd(&f, h), &st), 0);
			cr_assert(S_ISREG(st.st_mode));
			stream_close(&f, h);
		} else {
			refused++;
			cr_assert_eq(h, -PICO_ENXIO);
		}
	}
	atomic_store(&flipping, false);
	pthread_join(thread, NULL);
	cr_expect(opened && refused);
}

/* Nor a /dev/null: standard streams are the monitor's own then. */
static int without_null(void)
{
	struct pico__streams *usual = f.s;
	pico_handle h;

	if (pico__streams_create(&f.s, 16, 0, 0))
		return 10;
	h = stream_open(&f, "console:stdin", RW, 0, 0);
	if (h <= 0 || PICO_HANDLE_TYPE(h) != PICO_HT_MONITOR || f.c->attr.type != PICO_STREAM_NULL)
		return 11;
	f.c->r[1] = (uint64_t)h;
	f.c->r[2] = PICO_OFFSET_NONE;
	f.c->r[3] = 5;
	if (pico__streams_read(f.s, f.c) != 0 || pico__streams_write(f.s, f.c) != 5)
		return 12;
	if (pico__streams_may_block(f.s, PICO_DC_StreamRead, f.c))
		return 13;
	pico__streams_destroy(f.s);
	f.s = usual;
	return 0;
}

/* An empty root: no /proc to open descriptors again through. */
static int without_proc(void)
{
	static const char *const steps[] = { "file:/m/x", "file:/one" };
	pico_handle h;
	char byte;

	if (geteuid() && unshare(CLONE_NEWUSER))
		return 77;
	if (chroot(host_path(&f, "empty")) || chdir("/"))
		return 77;
	for (int i = 0; i < 2; i++) {
		h = stream_open(&f, steps[i], RW, 0, 0);
		if (h <= 0 || pread(guest_fd(&f, h), &byte, 1, 0) != 1 || byte != "A1"[i])
			return 1 + i;
		if (fcntl(guest_fd(&f, h), F_GETFL) & O_NONBLOCK)
			return 3;
	}
	h = stream_open(&f, "file:/m/x", RW, PICO_OPEN_TRUNCATE, 0);
	if (h <= 0 || pread(guest_fd(&f, h), &byte, 1, 0) != 0)
		return 4;
	if (stream_open(&f, "file:/m/fifo", R, 0, 0) != -PICO_ENXIO)
		return 5;
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0640 };
	h = stream_set(&f, "file:/m/x");
	if (h != 0 && h != -PICO_ENOTSUP) /* Linux before 6.6 */
		return 6;
	if (stream_open(&f, "memory:", R, 0, 0) != -PICO_ENOTSUP || stream_open(&f, "memory:", RW, 0, 0) <= 0)
		return 7;
	h = stream_open(&f, "console:stdin", R, 0, 0);
	return h > 0 ? without_null() : 8;
}

Test(policy, host_without_proc)
{
	int status;
	pid_t child;

	host_dir(&f, "a");
	host_dir(&f, "empty");
	host_file(&f, "a/x", "A");
	host_file(&f, "one", "1");
	cr_assert_eq(mkfifo(host_path(&f, "a/fifo"), 0666), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
	cr_assert_eq(mount_at(&f, host_path(&f, "one"), "/one", false), 0);
	child = fork();
	if (!child)
		_exit(without_proc());
	waitpid(child, &status, 0);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		cr_skip_test("no chroot here");
	cr_expect_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}
