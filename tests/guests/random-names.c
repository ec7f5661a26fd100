/* SPDX-License-Identifier: Apache-2.0
 *
 * Random calls on names and files of a small tree, with inotify watching. See
 * random.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "random.h"

static int fds[4] = { -1, -1, -1, -1 }, notify;
static char names[2][8], data[8192];
static unsigned cookies[64];
static int cookie_count;

static const char *name(int which)
{
	static const char *const dirs[] = { "", "s/", "t/" };

	snprintf(names[which], sizeof(names[which]), "%s%c", dirs[pick(3)], 'a' + (char)pick(4));
	return names[which];
}

static int *file(void) { return &fds[pick(4)]; }

static long watch(void)
{
	static const struct { unsigned bit, in; } options[] = { { IN_ONESHOT, 8 }, { IN_MASK_ADD, 6 }, { IN_ONLYDIR, 6 },
		{ IN_DONT_FOLLOW, 8 }, { IN_MASK_CREATE, 20 } };
	static const char *const places[] = { ".", "s", "t" };
	unsigned mask = 0, place = pick(5);

	for (unsigned i = 0; i < 12; i++)
		mask |= pick(2) << i;
	for (unsigned i = 0; i < 5; i++)
		if (!pick(options[i].in))
			mask |= options[i].bit;
	return inotify_add_watch(notify, place < 3 ? places[place] : name(0), mask);
}

static long unwatch(void) { return inotify_rm_watch(notify, 1 + (int)pick(20)); }

static long open_one(void)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_RDWR | O_APPEND };
	int *f = file(), how = flags[pick(5)] | (pick(3) ? O_CREAT : 0);

	if (*f >= 0)
		close(*f);
	*f = open(name(0), how, 0644);
	return *f < 0 ? -1 : 1;
}

static long create_one(void)
{
	int fd = open(name(0), O_CREAT | O_EXCL | O_RDWR, 0600);

	if (fd < 0)
		return fd;
	close(fd);
	return 1;
}

static long close_one(void)
{
	int *f = file(), r = SKIPPED;

	if (*f >= 0)
		r = close(*f);
	*f = -1;
	return r;
}

static long write_one(void) { return write(*file(), data, pick(3) ? pick(100) : 0); }
static long read_one(void) { return read(*file(), data, pick(100)); }
static long rename_one(void) { return rename(name(0), name(1)); }
static long rename_special(void) { return renameat2(AT_FDCWD, name(0), AT_FDCWD, name(1), pick(2) + 1); }
static long unlink_one(void) { return unlink(name(0)); }
static long make_dir(void) { return mkdir(name(0), 0700); }
static long remove_dir(void) { return rmdir(name(0)); }
static long link_one(void) { return symlink(pick(2) ? "a" : "s", name(0)); }
static long mode_one(void) { return chmod(name(0), 0600 | pick(64)); }
static long cut_one(void) { return truncate(name(0), pick(200)); }
static long cut_open(void) { return ftruncate(*file(), pick(300)); }
static long mode_open(void) { return fchmod(*file(), 0644); }

static long time_one(void)
{
	struct timeval tv[2] = { { pick(1000), 0 }, { pick(1000), 0 } };

	return utimes(name(0), pick(2) ? tv : NULL);
}

static const struct op ops[] = {
	{ "watch", watch }, { "watch", watch }, { "unwatch", unwatch }, { "open", open_one }, { "open", open_one },
	{ "create", create_one }, { "close", close_one }, { "write", write_one }, { "write", write_one }, { "read", read_one },
	{ "rename", rename_one }, { "renameat2", rename_special }, { "unlink", unlink_one }, { "unlink", unlink_one },
	{ "mkdir", make_dir }, { "rmdir", remove_dir }, { "symlink", link_one }, { "chmod", mode_one }, { "truncate", cut_one },
	{ "ftruncate", cut_open }, { "fchmod", mode_open }, { "utimes", time_one },
};

static int cookie_number(unsigned cookie)
{
	if (!cookie)
		return 0;
	for (int i = 0; i < cookie_count; i++)
		if (cookies[i] == cookie)
			return i + 1;
	if (cookie_count == 64)
		cookie_count = 0;
	cookies[cookie_count] = cookie;
	return ++cookie_count;
}

static void show_events(void)
{
	static char buffer[65536] __attribute__((aligned(8)));
	ssize_t n;

	if (pick(2))
		return;
	while ((n = read(notify, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buffer + at);

			printf(" <%d %x %d %s>", e->wd, e->mask, cookie_number(e->cookie), e->len ? e->name : "");
			at += (ssize_t)(sizeof(*e) + e->len);
		}
}

int main(int argc, char **argv)
{
	umask(022);
	if (mkdir("s", 0755) || mkdir("t", 0755) || (notify = inotify_init1(IN_NONBLOCK)) < 0)
		return 1;
	random_calls(argc, argv, ops, sizeof(ops) / sizeof(ops[0]), show_events);
	return 0;
}
