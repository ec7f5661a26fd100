/* SPDX-License-Identifier: Apache-2.0
 *
 * For the file tests: a fresh directory to work in, below the one that is the
 * program's first argument (TMPDIR or /tmp without), and what all of them do
 * with files.
 */
#ifndef GUEST_FS_H
#define GUEST_FS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include "check.h"

#define UNUSED __attribute__((unused))
static char fs_dir[PATH_MAX];

static UNUSED void fs_enter(int argc, char **argv)
{
	const char *base = argc > 1 ? argv[1] : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	umask(022);
	snprintf(fs_dir, sizeof(fs_dir), "%s/fs_test.XXXXXX", base);
	CHECK(mkdtemp(fs_dir));
	CHECK(chdir(fs_dir) == 0);
}

static UNUSED void fs_leave(void)
{
	CHECK(chdir("/") == 0);
	if (rmdir(fs_dir)) {
		fprintf(stderr, "left over: ");
		CHECK(!"directory is empty");
	}
}

static UNUSED void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static UNUSED int holds(const char *name, const char *text)
{
	char buf[4096];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static UNUSED struct stat stat_of(const char *name)
{
	struct stat st;
	CHECK(lstat(name, &st) == 0);
	return st;
}

static UNUSED int there(const char *name)
{
	struct stat st;
	return lstat(name, &st) == 0;
}

#endif
