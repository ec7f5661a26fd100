/* SPDX-License-Identifier: Apache-2.0
 *
 * inotify and memfd.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"

static int in;
static char buffer[8192];
static size_t have, at;

static struct inotify_event *next(void)
{
	struct inotify_event *e;

	if (at == have) {
		ssize_t n = read(in, buffer, sizeof(buffer));

		if (n <= 0)
			return NULL;
		have = (size_t)n;
		at = 0;
	}
	e = (struct inotify_event *)(buffer + at);
	at += sizeof(*e) + e->len;
	return e;
}

static void expect(int line, int wd, uint32_t mask, const char *name)
{
	struct inotify_event *e = next();

	if (!e || e->wd != wd || e->mask != mask || strcmp(e->len ? e->name : "", name)) {
		fprintf(stderr, "line %d: event %d %x '%s', not %d %x '%s'\n", line, e ? e->wd : -1, e ? e->mask : 0,
			e && e->len ? e->name : "", wd, mask, name);
		exit(1);
	}
}
#define EXPECT(wd, mask, name) expect(__LINE__, wd, mask, name)

static void notify(void)
{
	struct inotify_event *e;
	uint32_t cookie;
	int d, f, w, n;

	unlink("in.dir/b");
	unlink("in.dir/a");
	rmdir("in.dir/sub");
	rmdir("in.dir");
	CHECK(mkdir("in.dir", 0700) == 0);
	FAILS(inotify_init1(1), EINVAL);
	CHECK((in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) >= 0);
	FAILS(inotify_add_watch(in, "in.dir", 0), EINVAL);
	FAILS(inotify_add_watch(in, "nothing", IN_OPEN), ENOENT);
	FAILS(inotify_add_watch(0, "in.dir", IN_OPEN), EINVAL);
	FAILS(inotify_add_watch(999, "in.dir", IN_OPEN), EBADF);
	FAILS(inotify_add_watch(in, "in.dir", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
	FAILS(read(in, buffer, sizeof(buffer)), EAGAIN);
	CHECK((d = inotify_add_watch(in, "in.dir", IN_ALL_EVENTS)) == 1);
	FAILS(inotify_add_watch(in, "in.dir", IN_OPEN | IN_MASK_CREATE), EEXIST);
	CHECK((f = open("in.dir/a", O_CREAT | O_RDWR, 0600)) >= 0);
	CHECK(write(f, "x", 1) == 1 && write(f, "y", 1) == 1);
	CHECK(ioctl(in, FIONREAD, &n) == 0 && n == 3 * 32);
	FAILS(read(in, buffer, 20), EINVAL);
	EXPECT(d, IN_CREATE, "a");
	EXPECT(d, IN_OPEN, "a");
	EXPECT(d, IN_MODIFY, "a"); /* two equal ones in a row are one */
	CHECK(pread(f, buffer + 4096, 1, 0) == 1);
	close(f);
	EXPECT(d, IN_ACCESS, "a");
	EXPECT(d, IN_CLOSE_WRITE, "a");
	CHECK((w = inotify_add_watch(in, "in.dir/a", IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)) == 2);
	CHECK(chmod("in.dir/a", 0644) == 0);
	EXPECT(d, IN_ATTRIB, "a");
	EXPECT(w, IN_ATTRIB, "");
	CHECK(rename("in.dir/a", "in.dir/b") == 0);
	CHECK((e = next()) && e->mask == IN_MOVED_FROM && !strcmp(e->name, "a") && e->cookie);
	cookie = e->cookie;
	CHECK((e = next()) && e->mask == IN_MOVED_TO && !strcmp(e->name, "b") && e->cookie == cookie);
	EXPECT(w, IN_MOVE_SELF, "");
	CHECK(mkdir("in.dir/sub", 0700) == 0 && rmdir("in.dir/sub") == 0);
	EXPECT(d, IN_CREATE | IN_ISDIR, "sub");
	EXPECT(d, IN_DELETE | IN_ISDIR, "sub");
	CHECK(unlink("in.dir/b") == 0);
	uint32_t want[] = { IN_ATTRIB, IN_DELETE_SELF, IN_IGNORED, IN_DELETE };
	unsigned seen = 0;
	for (int i = 0; i < 4; i++) { /* the order of the name's event and the file's differs between kernels */
		CHECK((e = next()));
		for (unsigned k = 0; k < 4; k++)
			if (e->mask == want[k] && e->wd == (k == 3 ? d : w))
				seen |= 1u << k;
	}
	CHECK(seen == 15);
	FAILS(inotify_rm_watch(in, w), EINVAL);
	CHECK(inotify_rm_watch(in, d) == 0);
	EXPECT(d, IN_IGNORED, "");
	CHECK((d = inotify_add_watch(in, "in.dir", IN_CREATE | IN_ONESHOT)) > 0);
	CHECK(mkdir("in.dir/sub", 0700) == 0 && rmdir("in.dir/sub") == 0);
	struct pollfd p = { .fd = in, .events = POLLIN };
	CHECK(poll(&p, 1, 100) == 1 && p.revents == POLLIN);
	EXPECT(d, IN_CREATE | IN_ISDIR, "sub");
	EXPECT(d, IN_IGNORED, "");
	CHECK(!next() && errno == EAGAIN);
	close(in);
	CHECK(rmdir("in.dir") == 0);
}

static void memfds(void)
{
	char link[64], text[128], *p;
	struct stat st;
	int f, ro;

	FAILS(memfd_create("x", 0x1000), EINVAL);
	CHECK((f = memfd_create("pico-test", MFD_CLOEXEC)) >= 0);
	CHECK(fcntl(f, F_GETFD) == FD_CLOEXEC && fcntl(f, F_GET_SEALS) == F_SEAL_SEAL);
	FAILS(fcntl(f, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", f);
	ssize_t n = readlink(link, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = 0;
	CHECK(!strcmp(text, "/memfd:pico-test (deleted)"));
	close(f);
	CHECK((f = memfd_create("seals", MFD_ALLOW_SEALING)) >= 0 && fcntl(f, F_GET_SEALS) == 0);
	CHECK(write(f, "hello", 5) == 5 && ftruncate(f, 8192) == 0 && fstat(f, &st) == 0 && st.st_size == 8192 && S_ISREG(st.st_mode));
	CHECK(pread(f, text, 8, 0) == 8 && !strcmp(text, "hello"));
	CHECK((p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0)) != MAP_FAILED);
	CHECK(!strcmp(p, "hello"));
	p[0] = 'J';
	CHECK(pread(f, text, 8, 0) == 8 && text[0] == 'J');
	FAILS(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK(munmap(p, 8192) == 0);
	CHECK(fcntl(f, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	FAILS(ftruncate(f, 4096), EPERM);
	CHECK(ftruncate(f, 12288) == 0);
	CHECK(fcntl(f, F_ADD_SEALS, F_SEAL_GROW) == 0);
	FAILS(ftruncate(f, 16384), EPERM);
	FAILS(pwrite(f, "x", 1, 20000), EPERM);
	CHECK(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0);
	FAILS(pwrite(f, "x", 1, 0), EPERM);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0) == MAP_FAILED && errno == EPERM);
	CHECK((p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0)) != MAP_FAILED && p[0] == 'J');
	FAILS(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", f);
	CHECK((ro = open(link, O_RDONLY)) >= 0 && read(ro, text, 5) == 5 && text[0] == 'J');
	FAILS(fcntl(ro, F_ADD_SEALS, 0), EPERM);
	CHECK((f = open("/dev/null", O_RDWR)) >= 0);
	FAILS(fcntl(f, F_ADD_SEALS, 0), EINVAL);
	FAILS(fcntl(f, F_GET_SEALS), EINVAL);
}

int main(void)
{
	notify();
	memfds();
	OK();
}
