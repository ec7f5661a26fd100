/* SPDX-License-Identifier: Apache-2.0
 *
 * Handles and stream providers: numbers, references and limits; files,
 * directories, standard streams, shared memory, pipes, servers and the host
 * application's callbacks; nonsense from the guest; several threads at once.
 * Runs as root and as an ordinary user.
 */
#include "streams_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <termios.h>

#include "monitor/stream_internal.h"

#define CREATE PICO_OPEN_CREATE
#define EXCLUSIVE PICO_OPEN_EXCLUSIVE

static struct fixture f;

static void setup_limit(uint32_t limit)
{
	fixture_init(&f, limit);
	umask(077); /* must not show in what the guest creates */
	host_dir(&f, "a");
	host_file(&f, "a/file", "hello");
	cr_assert_eq(mount_at(&f, host_path(&f, "a"), "/m", false), 0);
}

static void setup(void)
{
	setup_limit(64);
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(streams, .init = setup, .fini = teardown, .timeout = 60);

static pico_handle must_open(const char *uri, uint64_t access, uint64_t flags)
{
	pico_handle h = stream_open(&f, uri, access, flags, 0644);

	cr_assert_gt(h, 0, "%s: %lld", uri, (long long)h);
	return h;
}

static mode_t host_mode(const char *name)
{
	struct stat st;

	if (lstat(host_path(&f, "%s", name), &st))
		return 0;
	return st.st_mode & 07777;
}

/* ---- handles ---- */

Test(streams, numbers_are_lowest_and_come_back)
{
	pico_handle a = must_open("file:/m/file", R, 0), b = must_open("memory:", RW, 0);

	cr_expect_eq(a, PICO_HANDLE(PICO_HT_STREAM, PICO_FIRST_FD));
	cr_expect_eq(b, PICO_HANDLE(PICO_HT_STREAM, PICO_FIRST_FD + 1));
	cr_expect_eq(pico__streams_reserve_number(f.s), (int)PICO_FIRST_FD + 2);
	cr_expect_eq(pico__streams_count(f.s), 2); /* a reserved number is no stream */
	cr_expect_eq(stream_close(&f, a), 0);
	cr_expect_eq(stream_close(&f, a), -PICO_EBADF);
	cr_expect_eq(must_open("file:/m/file", R, 0), a);
	cr_expect_eq(must_open("file:/m/file", R, 0), PICO_HANDLE(PICO_HT_STREAM, PICO_FIRST_FD + 3));
	pico__streams_release_number(f.s, PICO_FIRST_FD + 2);
	pico__streams_release_number(f.s, PICO_FIRST_FD + 1); /* a stream's: not to be had this way */
	pico__streams_release_number(f.s, -1);
	pico__streams_release_number(f.s, 1 << 30);
	cr_expect_eq(handle_query(&f, b), 0);
	cr_expect_eq(must_open("file:/m/file", R, 0), PICO_HANDLE(PICO_HT_STREAM, PICO_FIRST_FD + 2));
	for (int i = 0; i < 300; i++)
		cr_assert_gt(pico__streams_reserve_number(f.s), 0);
}

Test(streams, references)
{
	pico_handle d = must_open("dir:/m", R, 0), h = must_open("file:/m/file", R, 0);

	cr_expect_eq(PICO_HANDLE_TYPE(d), PICO_HT_MONITOR);
	cr_expect_eq(one(&f, PICO_DC_ObjectReference, d, 0, 0), 0);
	cr_expect_eq(stream_close(&f, d), 0);
	cr_expect_eq(handle_query(&f, d), 0);
	cr_expect_eq(stream_close(&f, d), 0);
	cr_expect_eq(handle_query(&f, d), -PICO_EBADF);
	cr_expect_eq(one(&f, PICO_DC_ObjectReference, d, 0, 0), -PICO_EBADF);
	/* The gate counts those of descriptors; the monitor hears of the last close. */
	cr_expect_eq(one(&f, PICO_DC_ObjectReference, h, 0, 0), -PICO_EBADF);
	cr_expect_eq(stream_close(&f, h), 0);
	cr_expect_eq(pico__streams_count(f.s), 0);
}

Test(streams, bad_handles)
{
	static const pico_handle bad[] = { 0, -1, 1, 15, 16, 64, 1000000, INT64_MAX, INT64_MIN,
		PICO_HANDLE(PICO_HT_MONITOR, 0), PICO_HANDLE(PICO_HT_MONITOR, 1), PICO_HANDLE(PICO_HT_OBJECT, 16),
		PICO_HANDLE(PICO_HT_THREAD, 16), PICO_HANDLE(PICO_HT_PROCESS, 16), PICO_HANDLE(127, 16),
		PICO_HANDLE(PICO_HT_STREAM, (1ull << 56) - 1) };
	static const unsigned calls[] = { PICO_DC_ObjectClose, PICO_DC_ObjectReference, PICO_DC_StreamSetLength, PICO_DC_StreamFlush,
		PICO_DC_StreamWaitForClient, PICO_DC_StreamGetName, PICO_DC_StreamAttributesQueryByHandle,
		PICO_DC_StreamEnumerateChildren };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++)
			cr_expect_eq(one(&f, calls[j], bad[i], 0, 0), -PICO_EBADF, "%llx call %u", (long long)bad[i], calls[j]);
	memset(&f.c->attr, 0, sizeof(f.c->attr));
	cr_expect_eq(handle_set(&f, 16), -PICO_EBADF);
	f.c->r[1] = 16;
	cr_expect_eq(pico__streams_read(f.s, f.c), -PICO_EBADF);
	cr_expect_eq(pico__streams_write(f.s, f.c), -PICO_EBADF);
	cr_expect_eq(call(&f, PICO_DC_ThreadCreate), -PICO_ENOSYS);
	cr_expect_eq(call(&f, PICO_DC_StreamRead), -PICO_ENOSYS);
	cr_expect_eq(call(&f, PICO_DC_RandomBitsRead), -PICO_ENOSYS);
	cr_expect_eq(call(&f, 45), -PICO_ENOSYS);
	cr_expect_eq(call(&f, UINT32_MAX), -PICO_ENOSYS);
}

Test(limits, handles, .fini = teardown)
{
	pico_handle h[4];

	setup_limit(4);
	for (int i = 0; i < 4; i++)
		h[i] = must_open(i % 2 ? "dir:/m" : "file:/m/file", R, 0);
	cr_expect_eq(stream_open(&f, "file:/m/file", R, 0, 0), -PICO_EMFILE);
	cr_expect_eq(stream_open(&f, "file:/m/new", RW, CREATE, 0600), -PICO_EMFILE);
	cr_expect_eq(stream_query(&f, "file:/m/new"), -PICO_ENOENT); /* nothing made without a handle for it */
	cr_expect_eq(stream_open(&f, "console:stdin", R, 0, 0), -PICO_EMFILE);
	stream_close(&f, h[0]);
	cr_expect_eq(stream_open(&f, "pipe:", R, PICO_OPEN_PIPE, 0), -PICO_EMFILE); /* needs two */
	cr_expect_eq(stream_open(&f, "memory:x", RW, CREATE, 0), -PICO_EMFILE); /* and its name */
	cr_expect_eq(pico__streams_count(f.s), 3);
	stream_close(&f, h[1]);
	cr_expect_gt(stream_open(&f, "memory:x", RW, CREATE, 0), 0);
	cr_expect_eq(stream_delete(&f, "memory:x", 0), 0);
	cr_expect_gt(stream_open(&f, "file:/m/file", R, 0, 0), 0);
}

Test(streams, host_out_of_descriptors)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 3;
	must_open("dir:/m", R, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_expect_eq(stream_open(&f, "file:/m/file", R, 0, 0), -PICO_ENFILE);
	cr_expect_eq(stream_open(&f, "memory:", RW, 0, 0), -PICO_ENFILE);
	cr_expect_eq(stream_open(&f, "pipe:", R, PICO_OPEN_PIPE, 0), -PICO_ENFILE);
	cr_expect_eq(stream_open(&f, "unix:x", RW, PICO_OPEN_SERVER, 0), -PICO_ENFILE);
	cr_expect_eq(stream_delete(&f, "file:/m/file", 0), -PICO_ENOMEM);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_expect_eq(pico__streams_count(f.s), 1);
	must_open("file:/m/file", R, 0);
}

/* ---- opening ---- */

Test(streams, open_registers)
{
	static const struct { const char *uri; uint64_t access, flags, mode; int64_t result; } t[] = {
		{ "file:/m/file", 0, 0, 0, -PICO_EINVAL },
		{ "file:/m/file", 16, 0, 0, -PICO_EINVAL },
		{ "file:/m/file", R | 1ull << 32, 0, 0, -PICO_EINVAL },
		{ "file:/m/file", R, 64, 0, -PICO_EINVAL },
		{ "file:/m/file", R, 1ull << 63, 0, -PICO_EINVAL },
		{ "file:/m/file", R, 0, 010000, -PICO_EINVAL },
		{ "file:/m/file", R, EXCLUSIVE, 0, -PICO_EINVAL },
		{ "file:/m/file", R, PICO_OPEN_TRUNCATE, 0, -PICO_EINVAL },
		{ "file:/m/file", R, PICO_OPEN_SERVER, 0, -PICO_EINVAL },
		{ "file:/m/file", R, PICO_OPEN_PIPE, 0, -PICO_EINVAL },
		{ "file:/m", R, PICO_OPEN_TEMPORARY, 0600, -PICO_EINVAL },
		{ "file:/m", RW, PICO_OPEN_TEMPORARY | CREATE, 0600, -PICO_EINVAL },
		{ "dir:/m", R, PICO_OPEN_TEMPORARY, 0, -PICO_EINVAL },
		{ "dir:/m", R, PICO_OPEN_TRUNCATE, 0, -PICO_EINVAL },
		{ "pipe:", R, 0, 0, -PICO_EINVAL },
		{ "pipe:x", R, PICO_OPEN_PIPE, 0, -PICO_EINVAL },
		{ "pipe:x", RW, PICO_OPEN_PIPE | PICO_OPEN_SERVER, 0, -PICO_EINVAL },
		{ "unix:", RW, PICO_OPEN_SERVER, 0, -PICO_EINVAL },
		{ "unix:x", RW, PICO_OPEN_PIPE, 0, -PICO_EINVAL },
		{ "unix:x", RW, 0, 0, -PICO_ENOENT },
		{ "memory:x", RW, 0, 0, -PICO_ENOENT },
		{ "memory:", 0, 0, 0, -PICO_EINVAL },
		{ "console:stdin", R, CREATE, 0, -PICO_EINVAL },
		{ "console:", R, 0, 0, -PICO_ENOENT },
		{ "console:tty", R, 0, 0, -PICO_ENOENT },
		{ "console:stdin", 0, 0, 0, -PICO_EINVAL },
		{ "console:stdin", PICO_ACCESS_EXECUTE, 0, 0, -PICO_EACCES },
		{ "app:", R, 0, 0, -PICO_ENOENT },
		{ "bad", R, 0, 0, -PICO_EINVAL },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		cr_expect_eq(stream_open(&f, t[i].uri, t[i].access, t[i].flags, t[i].mode), t[i].result, "%zu %s", i, t[i].uri);
	cr_expect_eq(pico__streams_count(f.s), 0);
}

Test(streams, create)
{
	pico_handle h = stream_open(&f, "file:/m/new", RW, CREATE, 0666);

	cr_assert_gt(h, 0);
	cr_expect_eq(host_mode("a/new"), 0666);
	cr_expect_eq(f.c->attr.mode, 0666);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_FILE);
	cr_expect_eq(f.c->attr.flags, PICO_STREAM_FLAG_SEEKABLE | PICO_STREAM_FLAG_MAPPABLE);
	cr_expect_eq(f.c->attr.uid, 1000);
	cr_expect_eq(f.c->attr.gid, 1001);
	cr_expect_eq(write(guest_fd(&f, h), "abc", 3), 3);
	cr_expect_eq(stream_open(&f, "file:/m/new", RW, CREATE | EXCLUSIVE, 0600), -PICO_EEXIST);
	cr_expect_gt(stream_open(&f, "file:/m/new", R, CREATE, 0600), 0);
	cr_expect_eq(host_mode("a/new"), 0666);
	cr_expect_eq(f.c->attr.size, 3);
	cr_expect_gt(stream_open(&f, "file:/m/new", RW, PICO_OPEN_TRUNCATE, 0), 0);
	cr_expect_eq(f.c->attr.size, 0);
	cr_expect_eq(stream_open(&f, "file:/m/none/new", RW, CREATE, 0600), -PICO_ENOENT);
	cr_expect_eq(stream_open(&f, "file:/m/file/new", RW, CREATE, 0600), -PICO_ENOTDIR);
	cr_expect_gt(stream_open(&f, "file:/m/quiet", PICO_ACCESS_WRITE, CREATE | EXCLUSIVE, 0200), 0);
	cr_expect_eq(host_mode("a/quiet"), 0200);
	/* Not even root's guest makes a program that runs with the host's rights. */
	cr_expect_gt(stream_open(&f, "file:/m/suid", RW, CREATE, 06777), 0);
	cr_expect_eq(host_mode("a/suid"), 0777);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 06755 };
	cr_expect_eq(stream_set(&f, "file:/m/suid"), 0);
	cr_expect_eq(host_mode("a/suid"), 0755);
}

Test(streams, access_of_the_descriptor)
{
	char byte;
	int fd = guest_fd(&f, must_open("file:/m/file", R, 0));

	cr_expect_eq(read(fd, &byte, 1), 1);
	cr_expect_lt(write(fd, "x", 1), 0);
	cr_expect_eq(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_PATH), 0);
	fd = guest_fd(&f, must_open("file:/m/file", PICO_ACCESS_WRITE, 0));
	cr_expect_lt(read(fd, &byte, 1), 0);
	cr_expect_eq(write(fd, "J", 1), 1);
	fd = guest_fd(&f, must_open("file:/m/file", PICO_ACCESS_APPEND, 0));
	cr_expect_eq(pwrite(fd, "!", 1, 0), 1);
	cr_expect_lt(read(fd, &byte, 1), 0);
	fd = guest_fd(&f, must_open("file:/m/file", R | PICO_ACCESS_APPEND, 0));
	cr_expect_neq(fcntl(fd, F_GETFL) & O_APPEND, 0);
	char all[8] = "";

	cr_expect_eq(pread(fd, all, 8, 0), 6);
	cr_expect_str_eq(all, "Jello!");
	cr_expect_gt(stream_open(&f, "file:/m/file", R | PICO_ACCESS_EXECUTE, 0, 0), 0);
}

Test(streams, temporary_files)
{
	pico_handle h = stream_open(&f, "file:/m", RW, PICO_OPEN_TEMPORARY, 0640);
	char uri[64];

	if (h == -PICO_ENOTSUP)
		cr_skip_test("no O_TMPFILE here");
	cr_assert_gt(h, 0);
	cr_expect_eq(write(guest_fd(&f, h), "temp", 4), 4);
	snprintf(uri, sizeof(uri), "handle:%lld", (long long)h);
	cr_expect_eq(stream_rename(&f, uri, "file:/m/file", PICO_RENAME_FROM_HANDLE), -PICO_EEXIST);
	cr_expect_eq(stream_rename(&f, uri, "file:/m/named", PICO_RENAME_FROM_HANDLE), 0);
	cr_expect_str_eq(stream_name(&f, h), "file:/m/named");
	cr_expect_eq(stream_query(&f, "file:/m/named"), 0);
	cr_expect_eq(f.c->attr.size, 4);
	cr_expect_eq(f.c->attr.mode, 0640);
	h = stream_open(&f, "file:/m", RW, PICO_OPEN_TEMPORARY | EXCLUSIVE, 0600);
	cr_assert_gt(h, 0);
	snprintf(uri, sizeof(uri), "handle:%lld", (long long)h);
	cr_expect_eq(stream_rename(&f, uri, "file:/m/other", PICO_RENAME_FROM_HANDLE), -PICO_EINVAL);
	h = must_open("file:/m/file", RW, 0);
	snprintf(uri, sizeof(uri), "handle:%lld", (long long)h);
	cr_expect_eq(stream_rename(&f, uri, "file:/m/other", PICO_RENAME_FROM_HANDLE), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "handle:-1", "file:/m/other", PICO_RENAME_FROM_HANDLE), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "handle:", "file:/m/other", PICO_RENAME_FROM_HANDLE), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/other", PICO_RENAME_FROM_HANDLE), -PICO_EINVAL);
}

/* ---- names ---- */

Test(streams, rename_and_delete)
{
	pico_handle d, h;

	cr_assert_gt(stream_open(&f, "dir:/m/d", R, CREATE | EXCLUSIVE, 0755), 0);
	d = stream_open(&f, "dir:/m/d/e", R, CREATE | EXCLUSIVE, 0755);
	h = must_open("file:/m/d/e/x", RW, CREATE);
	cr_expect_eq(stream_rename(&f, "dir:/m/d", "dir:/m/longer-name", 0), 0);
	cr_expect_str_eq(stream_name(&f, h), "file:/m/longer-name/e/x");
	cr_expect_str_eq(stream_name(&f, d), "dir:/m/longer-name/e");
	cr_expect_eq(stream_rename(&f, "file:/m/longer-name/e/x", "file:/m/file", PICO_RENAME_NOREPLACE), -PICO_EEXIST);
	cr_expect_eq(stream_rename(&f, "file:/m/longer-name/e/x", "file:/m/file", PICO_RENAME_EXCHANGE), 0);
	cr_expect_str_eq(stream_name(&f, h), "file:/m/file");
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/hard", PICO_RENAME_LINK), 0);
	cr_expect_str_eq(stream_name(&f, h), "file:/m/file");
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/hard", PICO_RENAME_LINK), -PICO_EEXIST);
	cr_expect_eq(stream_query(&f, "file:/m/hard"), 0);
	cr_expect_eq(f.c->attr.link_count, 2);
	cr_expect_eq(stream_rename(&f, "link:../somewhere", "file:/m/soft", PICO_RENAME_SYMLINK), 0);
	cr_expect_eq(stream_query(&f, "file:/m/soft"), (int64_t)strlen("../somewhere"));
	cr_expect_eq(stream_rename(&f, "dir:/m/longer-name", "dir:/m/longer-name/e/in", 0), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "file:/m/none", "file:/m/x", 0), -PICO_ENOENT);
	cr_expect_eq(stream_rename(&f, "memory:x", "file:/m/x", 0), -PICO_ENOTSUP);
	cr_expect_eq(stream_rename(&f, "link:", "file:/m/x", PICO_RENAME_SYMLINK), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/x", 32), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/x", PICO_RENAME_EXCHANGE | PICO_RENAME_NOREPLACE), -PICO_EINVAL);
	cr_expect_eq(stream_rename(&f, "file:/m/file", "file:/m/x", PICO_RENAME_LINK | PICO_RENAME_SYMLINK), -PICO_EINVAL);
	cr_expect_eq(stream_delete(&f, "dir:/m/longer-name", 0), -PICO_ENOTEMPTY);
	cr_expect_eq(stream_delete(&f, "file:/m/longer-name", 0), -PICO_EISDIR);
	cr_expect_eq(stream_delete(&f, "file:/m/longer-name/e/x", 0), 0);
	cr_expect_eq(stream_delete(&f, "file:/m/longer-name/e/x", 0), -PICO_ENOENT);
	cr_expect_eq(stream_delete(&f, "file:/m/longer-name/e", PICO_DELETE_DIRECTORY), 0);
	cr_expect_eq(stream_delete(&f, "dir:/m/longer-name", 0), 0);
	cr_expect_eq(stream_delete(&f, "dir:/m/file", 0), -PICO_ENOTDIR);
	cr_expect_eq(stream_delete(&f, "file:/m/file", 2), -PICO_EINVAL);
	cr_expect_eq(stream_delete(&f, "file:/m/file", 0), 0);
	cr_expect_eq(write(guest_fd(&f, h), "still", 5), 5);
	cr_expect_eq(stream_delete(&f, "console:stdin", 0), -PICO_ENOTSUP);
	cr_expect_eq(stream_delete(&f, "tcp:x", 0), -PICO_EACCES);
}

Test(streams, directories)
{
	pico_handle h = stream_open(&f, "dir:/m/d", R, CREATE | EXCLUSIVE, 0777);

	cr_assert_gt(h, 0);
	cr_expect_eq(f.c->grant_count, 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_DIRECTORY);
	cr_expect_eq(host_mode("a/d"), 0777);
	cr_expect_eq(stream_open(&f, "dir:/m/d", R, CREATE | EXCLUSIVE, 0777), -PICO_EEXIST);
	cr_expect_gt(stream_open(&f, "dir:/m/d", R, CREATE, 0700), 0);
	cr_expect_eq(host_mode("a/d"), 0777);
	cr_expect_gt(stream_open(&f, "dir:/m/dark", R, CREATE | EXCLUSIVE, 0), 0);
	cr_expect_eq(host_mode("a/dark"), 0);
	cr_expect_gt(stream_open(&f, "dir:/m/sticky", R, CREATE | EXCLUSIVE, 01777), 0);
	cr_expect_eq(host_mode("a/sticky"), 01777);
	cr_expect_eq(stream_open(&f, "dir:/m", R, CREATE | EXCLUSIVE, 0700), -PICO_EEXIST);
	cr_expect_eq(stream_open(&f, "dir:/m/file", R, CREATE, 0700), -PICO_ENOTDIR);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, h, 0, 0), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamSetLength, h, 0, 0), -PICO_EINVAL);
	f.c->r[1] = (uint64_t)h;
	f.c->r[3] = 10;
	cr_expect_eq(pico__streams_read(f.s, f.c), -PICO_EISDIR);
}

#define ENTRIES 3000
static unsigned char seen[ENTRIES];

static uint64_t check_records(int64_t size, unsigned *count)
{
	uint64_t cookie = 0;

	for (int64_t at = 0; at < size;) {
		const struct pico_dirent *d = (const void *)(f.c->bulk + at);
		unsigned n;

		cr_assert_eq(d->record_size % 8, 0);
		cr_assert_eq(strlen(d->name), d->name_size);
		cr_assert_eq(sscanf(d->name, "entry-%u", &n), 1, "%s", d->name);
		cr_assert(n < ENTRIES && !seen[n]);
		cr_assert_eq(d->type, PICO_STREAM_FILE);
		cr_assert_neq(d->inode, 0);
		seen[n] = 1;
		cookie = d->cookie;
		at += d->record_size;
		++*count;
	}
	return cookie;
}

static unsigned list_all(pico_handle h, uint64_t size, unsigned *calls)
{
	unsigned count = 0;
	uint64_t cookie = 0;
	int64_t n;

	memset(seen, 0, sizeof(seen));
	while ((n = one(&f, PICO_DC_StreamEnumerateChildren, h, cookie, size)) > 0) {
		cr_assert(f.c->bulk_out == (uint64_t)n && (uint64_t)n <= size && n <= (int64_t)PICO_SLOT_BULK_SIZE);
		cookie = check_records(n, &count);
		++*calls;
	}
	cr_assert_eq(n, 0);
	return count;
}

Test(streams, listing)
{
	pico_handle h, empty;
	unsigned calls = 0;

	host_dir(&f, "a/big");
	host_dir(&f, "a/empty");
	for (int i = 0; i < ENTRIES; i++) {
		int fd = open(host_path(&f, "a/big/entry-%d%.*s", i, i % 150, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), O_CREAT | O_WRONLY, 0600);

		cr_assert(fd >= 0);
		close(fd);
	}
	h = must_open("dir:/m/big", R, 0);
	empty = must_open("dir:/m/empty", R, 0);
	cr_expect_eq(list_all(h, UINT64_MAX, &calls), ENTRIES);
	cr_expect_eq(list_all(h, 300, &calls), ENTRIES);
	cr_expect_eq(list_all(h, PICO_SLOT_BULK_SIZE, &calls), ENTRIES);
	cr_expect_eq(one(&f, PICO_DC_StreamEnumerateChildren, empty, 0, 4096), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamEnumerateChildren, h, 0, 16), -PICO_EINVAL);
	cr_expect_eq(one(&f, PICO_DC_StreamEnumerateChildren, h, 0, 0), -PICO_EINVAL);
	cr_expect_lt(one(&f, PICO_DC_StreamEnumerateChildren, h, UINT64_MAX, 4096), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamEnumerateChildren, must_open("file:/m/file", R, 0), 0, 4096), -PICO_ENOTDIR);
}

Test(streams, listing_goes_back)
{
	uint64_t first, second;
	const struct pico_dirent *d = (const void *)f.c->bulk;
	char name[64];
	pico_handle h;

	for (int i = 0; i < 20; i++)
		host_file(&f, "a/file", "x"), host_file(&f, (char[]){ 'a', '/', (char)('a' + i), 0 }, "");
	h = must_open("dir:/m", R, 0);
	cr_assert_gt(one(&f, PICO_DC_StreamEnumerateChildren, h, 0, 40), 0);
	first = d->cookie;
	cr_assert_gt(one(&f, PICO_DC_StreamEnumerateChildren, h, first, 40), 0);
	second = d->cookie;
	strcpy(name, d->name);
	cr_assert_gt(one(&f, PICO_DC_StreamEnumerateChildren, h, second, 40), 0);
	cr_assert_gt(one(&f, PICO_DC_StreamEnumerateChildren, h, first, 40), 0);
	cr_expect_str_eq(d->name, name);
	/* What is new shows from the start on. */
	cr_assert_gt(stream_open(&f, "dir:/m/new", R, CREATE, 0700), 0);
	for (uint64_t cookie = 0;;) {
		cr_assert_gt(one(&f, PICO_DC_StreamEnumerateChildren, h, cookie, 40), 0, "new is there");
		if (!strcmp(d->name, "new"))
			break;
		cookie = d->cookie;
	}
	cr_expect_eq(d->type, PICO_STREAM_DIRECTORY);
	h = must_open("dir:/m/new", R, 0);
	cr_assert_eq(stream_delete(&f, "dir:/m/new", 0), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamEnumerateChildren, h, 0, 4096), 0);
}

/* ---- attributes and length ---- */

Test(streams, attributes)
{
	pico_handle h = must_open("file:/m/file", RW, 0);
	struct pico_stream_attributes by_name;

	cr_assert_eq(stream_query(&f, "file:/m/file"), 0);
	by_name = f.c->attr;
	cr_assert_eq(handle_query(&f, h), 0);
	cr_expect_eq(memcmp(&by_name, &f.c->attr, sizeof(by_name)), 0);
	cr_expect_eq(by_name.size, 5);
	cr_expect_neq(by_name.valid & PICO_ATTR_FILESYSTEM, 0);
	cr_expect(by_name.fs_block_size && by_name.fs_name_max);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE | PICO_ATTR_ATIME | PICO_ATTR_MTIME, .mode = 0640,
		.atime_sec = 1000, .atime_nsec = 5, .mtime_sec = -7, .mtime_nsec = 999999999 };
	cr_expect_eq(handle_set(&f, h), 0);
	cr_assert_eq(stream_query(&f, "file:/m/file"), 0);
	cr_expect_eq(f.c->attr.mode, 0640);
	cr_expect(f.c->attr.atime_sec == 1000 && f.c->attr.atime_nsec == 5);
	cr_expect(f.c->attr.mtime_sec == -7 && f.c->attr.mtime_nsec == 999999999);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MTIME_NOW };
	cr_expect_eq(stream_set(&f, "file:/m/file"), 0);
	cr_assert_eq(stream_query(&f, "file:/m/file"), 0);
	cr_expect(f.c->attr.atime_sec == 1000 && f.c->attr.mtime_sec > 1000000000);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0111 };
	cr_expect_eq(stream_set(&f, "file:/m/file"), 0);
	cr_expect_eq(host_mode("a/file"), 0111);
	cr_assert_eq(stream_query(&f, "dir:/m"), 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_DIRECTORY);
	put_uri(&f, "file:/m/file");
	f.c->r[1] = 12;
	f.c->r[2] = 1;
	cr_expect_eq(call(&f, PICO_DC_StreamAttributesQuery), -PICO_EINVAL);
}

Test(streams, attributes_refused)
{
	static const struct pico_stream_attributes bad[] = {
		{ .valid = 0x200 }, { .valid = PICO_ATTR_BASIC }, { .valid = PICO_ATTR_FILESYSTEM },
		{ .valid = PICO_ATTR_MODE, .mode = 010644 }, { .valid = PICO_ATTR_ATIME, .atime_nsec = 1000000000 },
		{ .valid = PICO_ATTR_MTIME, .mtime_nsec = 0x3fffffff /* UTIME_NOW */ },
		{ .valid = PICO_ATTR_ATIME | PICO_ATTR_ATIME_NOW },
	};
	pico_handle h = must_open("file:/m/file", RW, 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f.c->attr = bad[i];
		cr_expect_eq(handle_set(&f, h), -PICO_EINVAL, "%zu", i);
	}
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_TERMINAL };
	cr_expect_eq(handle_set(&f, h), -PICO_ENOTSUP);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE };
	cr_expect_eq(stream_set(&f, "memory:x"), -PICO_ENOTSUP);
}

Test(streams, owner)
{
	struct stat st;

	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_OWNER, .uid = 1000, .gid = 1001 };
	cr_expect_eq(stream_set(&f, "file:/m/file"), 0); /* already so, as the guest sees it */
	stat(host_path(&f, "a/file"), &st);
	cr_expect(st.st_uid == geteuid() && st.st_gid == getegid());
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_OWNER, .uid = UINT32_MAX, .gid = UINT32_MAX };
	cr_expect_eq(stream_set(&f, "file:/m/file"), 0);
	if (geteuid() != 1000) {
		f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_OWNER, .uid = geteuid(), .gid = 1001 };
		cr_expect_eq(stream_set(&f, "file:/m/file"), -PICO_EPERM);
	}
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_OWNER, .uid = 4242, .gid = UINT32_MAX };
	cr_expect_eq(stream_set(&f, "file:/m/file"), geteuid() ? -PICO_EPERM : 0);
	if (!geteuid()) {
		cr_assert_eq(stream_query(&f, "file:/m/file"), 0);
		cr_expect_eq(f.c->attr.uid, 4242);
		f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_OWNER, .uid = 1000, .gid = 1001 };
		cr_expect_eq(stream_set(&f, "file:/m/file"), 0);
		stat(host_path(&f, "a/file"), &st);
		cr_expect_eq(st.st_uid, 0);
	}
}

Test(streams, length)
{
	pico_handle h = must_open("file:/m/file", RW, 0), r = must_open("file:/m/file", R, 0);
	struct stat st;

	cr_expect_eq(stream_length(&f, h, 8192, PICO_LENGTH_SET, 0), 0);
	stat(host_path(&f, "a/file"), &st);
	cr_expect_eq(st.st_size, 8192);
	cr_expect_eq(stream_length(&f, h, 1, PICO_LENGTH_SET, 1), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, h, 1ull << 63, PICO_LENGTH_SET, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, h, 1, 7, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, h, 1, 1ull << 32, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, h, 0, PICO_LENGTH_ALLOCATE, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, h, INT64_MAX, PICO_LENGTH_ALLOCATE, INT64_MAX), -PICO_EFBIG);
	cr_expect_eq(stream_length(&f, r, 0, PICO_LENGTH_SET, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, r, 1, PICO_LENGTH_ALLOCATE, 0), -PICO_EBADF);
	cr_expect_eq(stream_length(&f, h, 4096, PICO_LENGTH_ALLOCATE, 8192), 0);
	cr_expect_eq(stream_length(&f, h, 4096, PICO_LENGTH_PUNCH_HOLE, 0), 0);
	stat(host_path(&f, "a/file"), &st);
	cr_expect_eq(st.st_size, 12288);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, h, PICO_FLUSH_DATA, 0), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, h, 0, 0), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, h, 4, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, must_open("pipe:", R, PICO_OPEN_PIPE), 0, 0, 0), -PICO_EINVAL);
}

Test(streams, names)
{
	cr_expect_str_eq(stream_name(&f, must_open("file:/m/file", R, 0)), "file:/m/file");
	cr_expect_str_eq(stream_name(&f, must_open("dir:/m", R, 0)), "dir:/m");
	cr_expect_str_eq(stream_name(&f, must_open("console:stdout", PICO_ACCESS_WRITE, 0)), "console:stdout");
	cr_expect_str_eq(stream_name(&f, must_open("memory:", RW, 0)), "memory:");
}

/* ---- standard streams ---- */

Test(streams, stdio_null)
{
	pico_handle h = must_open("console:stdin", R, 0);
	char byte;

	cr_expect_eq(f.c->attr.type, PICO_STREAM_NULL);
	if (PICO_HANDLE_TYPE(h) == PICO_HT_STREAM)
		cr_expect_eq(read(guest_fd(&f, h), &byte, 1), 0);
	h = must_open("console:stdout", PICO_ACCESS_WRITE, 0);
	if (PICO_HANDLE_TYPE(h) == PICO_HT_STREAM)
		cr_expect_eq(write(guest_fd(&f, h), "x", 1), 1);
	cr_expect_eq(stream_query(&f, "console:stderr"), 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_NULL);
}

Test(streams, stdio_pipe_file_socket)
{
	int ends[2], fd = open(host_path(&f, "log"), O_CREAT | O_RDWR | O_APPEND, 0600);
	pico_handle in, out, again;
	uint32_t type = 0;
	char text[8] = "";

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(pico__streams_stdio(f.s, 0, ends[0], NULL, &type), 0);
	cr_expect_eq(type, PICO_STREAM_PIPE);
	cr_assert_eq(pico__streams_stdio(f.s, 1, fd, NULL, &type), 0);
	cr_expect_eq(type, PICO_STREAM_FILE);
	cr_expect_eq(pico__streams_stdio(f.s, 2, open(f.root, O_RDONLY), NULL, &type), -PICO_EISDIR);
	cr_expect_eq(pico__streams_stdio(f.s, 2, open(host_path(&f, "log"), O_PATH), NULL, &type), -PICO_EINVAL);
	cr_expect_eq(pico__streams_stdio(f.s, 2, 9999, NULL, &type), -PICO_EBADF);
	cr_expect_eq(pico__streams_stdio(f.s, 3, fd, NULL, &type), -PICO_EINVAL);
	cr_expect_eq(stream_open(&f, "console:stdin", RW, 0, 0), -PICO_EACCES);
	in = must_open("console:stdin", R, 0);
	again = must_open("console:stdin", R, 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_PIPE);
	cr_expect_eq(f.c->attr.flags, 0);
	cr_expect_eq(write(ends[1], "hi", 2), 2);
	stream_close(&f, again);
	cr_expect_eq(read(guest_fd(&f, in), text, 8), 2);
	out = must_open("console:stdout", PICO_ACCESS_WRITE, 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_FILE);
	cr_expect_neq(f.c->attr.flags & PICO_STREAM_FLAG_SEEKABLE, 0);
	cr_expect_eq(write(guest_fd(&f, out), "hi", 2), 2);
	cr_expect_eq(stream_length(&f, out, 0, PICO_LENGTH_SET, 0), -PICO_EPERM); /* for appending only */
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0777 };
	cr_expect_eq(handle_set(&f, out), -PICO_EPERM);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, out, 0, 0), 0);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, in, 0, 0), -PICO_EINVAL);
}

/* When the guest has ended, who reads its output sees the end. */
Test(streams, stop_closes_the_output)
{
	int ends[2];
	pico_handle h;
	char byte;

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(pico__streams_stdio(f.s, 1, ends[1], NULL, NULL), 0);
	close(ends[1]);
	h = must_open("console:stdout", PICO_ACCESS_WRITE, 0);
	close(guest_fd(&f, h));
	f.guest[PICO_HANDLE_PAYLOAD(h)] = -1;
	pico__streams_stop(f.s);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	cr_expect_eq(read(ends[0], &byte, 1), 0);
	cr_expect_eq(pico__streams_count(f.s), 0);
	cr_expect_eq(stream_open(&f, "file:/m/file", R, 0, 0), -PICO_EMFILE);
	cr_expect_eq(handle_query(&f, h), -PICO_EBADF);
}

Test(streams, stdio_terminal)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct termios before, after;
	pico_handle h;
	uint32_t type;

	if (master < 0 || grantpt(master) || unlockpt(master) || (slave = open(ptsname(master), O_RDWR | O_NOCTTY)) < 0)
		cr_skip_test("no terminals here");
	ioctl(slave, TIOCSWINSZ, &size);
	tcgetattr(slave, &before);
	cr_assert_eq(pico__streams_stdio(f.s, 0, slave, NULL, &type), 0);
	cr_expect_eq(type, PICO_STREAM_CONSOLE);
	h = must_open("console:stdin", RW, 0);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_CONSOLE);
	cr_expect_eq(f.c->attr.flags, PICO_STREAM_FLAG_TERMINAL);
	cr_expect_neq(f.c->attr.valid & PICO_ATTR_TERMINAL, 0);
	cr_expect(f.c->attr.term.rows == 24 && f.c->attr.term.columns == 80);
	cr_expect_eq(f.c->attr.term.lflag, before.c_lflag);
	cr_expect_eq(f.c->attr.term.cc[VINTR], before.c_cc[VINTR]);
	f.c->attr.term.lflag &= ~(uint32_t)(ECHO | ICANON);
	f.c->attr.term.rows = 50;
	f.c->attr.valid = PICO_ATTR_TERMINAL;
	cr_expect_eq(handle_set(&f, h), 0);
	tcgetattr(slave, &after);
	cr_expect_eq(after.c_lflag & (ECHO | ICANON), 0);
	ioctl(slave, TIOCGWINSZ, &size);
	cr_expect_eq(size.ws_row, 50);
	f.c->attr = (struct pico_stream_attributes){ .valid = PICO_ATTR_TERMINAL | PICO_ATTR_MODE };
	cr_expect_eq(handle_set(&f, h), -PICO_EINVAL);
	pico__streams_stop(f.s);
	tcgetattr(slave, &after);
	ioctl(slave, TIOCGWINSZ, &size);
	cr_expect_eq(after.c_lflag, before.c_lflag);
	cr_expect_eq(size.ws_row, 24);
}

static char app_text[64];
static int64_t app_read(void *user, uint64_t offset, void *buffer, size_t size)
{
	const char *text = user;

	if (offset == PICO_OFFSET_NONE)
		offset = 0;
	if (offset > strlen(text))
		return -PICO_EINVAL;
	size = size < strlen(text + offset) ? size : strlen(text + offset);
	memcpy(buffer, text + offset, size);
	return (int64_t)size;
}

static int64_t app_write(void *user, uint64_t offset, const void *buffer, size_t size)
{
	(void)user, (void)offset;
	memcpy(app_text, buffer, size < sizeof(app_text) - 1 ? size : sizeof(app_text) - 1);
	return (int64_t)size;
}

static int64_t app_lies(void *user, uint64_t offset, void *buffer, size_t size)
{
	(void)offset, (void)buffer, (void)size;
	return *(int64_t *)user;
}

static int64_t transfer(bool reading, pico_handle h, uint64_t offset, uint64_t size)
{
	f.c->r[1] = (uint64_t)h;
	f.c->r[2] = offset;
	f.c->r[3] = size;
	return reading ? pico__streams_read(f.s, f.c) : pico__streams_write(f.s, f.c);
}

Test(streams, app)
{
	struct pico__app_ops ops = { .read = app_read, .write = app_write, .user = (void *)(uintptr_t)"contents" };
	struct pico__app_ops read_only = { .read = app_read, .user = (void *)(uintptr_t)"x" };
	pico_handle h;

	cr_assert_eq(pico__streams_app(f.s, "data", &ops), 0);
	cr_expect_eq(pico__streams_app(f.s, "data", &ops), -PICO_EEXIST);
	cr_expect_eq(pico__streams_app(f.s, "", &ops), -PICO_EINVAL);
	cr_assert_eq(pico__streams_app(f.s, "ro", &read_only), 0);
	cr_expect_eq(stream_open(&f, "app:ro", RW, 0, 0), -PICO_EACCES);
	h = must_open("app:data", RW, 0);
	cr_expect_eq(PICO_HANDLE_TYPE(h), PICO_HT_MONITOR);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_APP);
	cr_expect_eq(transfer(true, h, 3, 100), 5);
	cr_expect_eq(f.c->bulk_out, 5);
	cr_expect_eq(memcmp(f.c->bulk, "tents", 5), 0);
	cr_expect_eq(transfer(true, h, 0, UINT64_MAX), 8);
	cr_expect_eq(transfer(true, h, 100, 10), -PICO_EINVAL);
	strcpy((char *)f.c->bulk, "written");
	cr_expect_eq(transfer(false, h, 0, 8), 8);
	cr_expect_str_eq(app_text, "written");
	cr_expect_eq(transfer(false, h, 0, PICO_SLOT_BULK_SIZE + 1), -PICO_EINVAL);
	f.c->r[1] = (uint64_t)h;
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamRead, f.c));
	cr_expect(!pico__streams_may_block(f.s, PICO_DC_StreamAttributesQueryByHandle, f.c));
	h = must_open("app:ro", R, 0);
	cr_expect_eq(transfer(false, h, 0, 1), -PICO_EBADF);
	cr_expect_eq(stream_query(&f, "app:ro"), 0);
	cr_expect_eq(stream_query(&f, "app:none"), -PICO_ENOENT);
}

Test(streams, app_that_lies)
{
	int64_t answer;
	struct pico__app_ops ops = { .read = app_lies, .user = &answer };
	pico_handle h;

	cr_assert_eq(pico__streams_app(f.s, "x", &ops), 0);
	h = must_open("app:x", R, 0);
	static const struct { int64_t says, is; } t[] = { { 11, -PICO_EIO }, { INT64_MAX, -PICO_EIO }, { -PICO_EHELPER, -PICO_EIO },
		{ INT64_MIN, -PICO_EIO }, { -PICO_ECONNRESET, -PICO_ECONNRESET }, { 10, 10 }, { 0, 0 } };

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		answer = t[i].says;
		cr_expect_eq(transfer(true, h, 0, 10), t[i].is, "%zu", i);
		cr_expect_eq(f.c->bulk_out, t[i].is > 0 ? (uint32_t)t[i].is : 0);
	}
}

Test(streams, stdio_callbacks)
{
	struct pico__app_ops in = { .read = app_read, .user = (void *)(uintptr_t)"input" }, out = { .write = app_write };
	pico_handle h;
	uint32_t type;

	cr_assert_eq(pico__streams_stdio(f.s, 0, -1, &in, &type), 0);
	cr_expect_eq(type, PICO_STREAM_APP);
	cr_assert_eq(pico__streams_stdio(f.s, 1, -1, &out, &type), 0);
	cr_expect_eq(stream_open(&f, "console:stdin", PICO_ACCESS_WRITE, 0, 0), -PICO_EACCES);
	h = must_open("console:stdin", R, 0);
	cr_expect_eq(transfer(true, h, 3, 100), 5); /* no positions: the offset says nothing */
	f.c->r[1] = (uint64_t)h;
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamRead, f.c));
	h = must_open("console:stdout", PICO_ACCESS_WRITE, 0);
	strcpy((char *)f.c->bulk, "out");
	cr_expect_eq(transfer(false, h, 0, 4), 4);
	cr_expect_str_eq(app_text, "out");
}

/* ---- memory ---- */

Test(streams, memory)
{
	pico_handle a = must_open("memory:x", RW, CREATE), b, c;
	char *pa, *pb;

	cr_expect_eq(f.c->attr.type, PICO_STREAM_MEMORY);
	cr_expect_eq(stream_open(&f, "memory:x", RW, CREATE | EXCLUSIVE, 0), -PICO_EEXIST);
	b = must_open("memory:x", R, 0);
	cr_expect_eq(stream_length(&f, a, 65536, PICO_LENGTH_SET, 0), 0);
	cr_expect_eq(stream_length(&f, b, 0, PICO_LENGTH_SET, 0), -PICO_EINVAL);
	pa = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, guest_fd(&f, a), 0);
	pb = mmap(NULL, 65536, PROT_READ, MAP_SHARED, guest_fd(&f, b), 0);
	cr_assert(pa != MAP_FAILED && pb != MAP_FAILED);
	cr_expect_eq(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, guest_fd(&f, b), 0), MAP_FAILED);
	strcpy(pa, "shared");
	cr_expect_str_eq(pb, "shared");
	cr_expect_eq(pico__streams_memory(f.s), 4096);
	cr_expect_eq(stream_query(&f, "memory:x"), 0);
	cr_expect_eq(f.c->attr.size, 65536);
	c = must_open("memory:", RW, 0);
	cr_expect_eq(write(guest_fd(&f, c), "y", 1), 1);
	cr_expect_eq(pico__streams_memory(f.s), 8192);
	cr_expect_eq(one(&f, PICO_DC_StreamFlush, c, 0, 0), 0);
	stream_close(&f, a);
	stream_close(&f, b);
	b = must_open("memory:x", R, 0); /* the name keeps it */
	cr_expect_eq(f.c->attr.size, 65536);
	cr_expect_eq(stream_delete(&f, "memory:x", PICO_DELETE_DIRECTORY), -PICO_ENOTDIR);
	cr_expect_eq(stream_delete(&f, "memory:x", 0), 0);
	cr_expect_eq(stream_delete(&f, "memory:x", 0), -PICO_ENOENT);
	cr_expect_eq(stream_open(&f, "memory:x", R, 0, 0), -PICO_ENOENT);
	cr_expect_eq(handle_query(&f, b), 0);
	cr_expect_eq(pico__streams_memory(f.s), 8192);
	stream_close(&f, b);
	cr_expect_eq(pico__streams_memory(f.s), 4096);
	cr_expect_eq(pico__streams_count(f.s), 1);
}

/* One request must not make the host allocate, or the guard would be at it until
 * there is no memory left. */
Test(streams, memory_is_not_allocated_by_request)
{
	pico_handle a = must_open("memory:", RW, 0);
	struct stat st;

	cr_expect_eq(stream_length(&f, a, 64 << 20, PICO_LENGTH_ALLOCATE, 4096), 0);
	cr_expect_eq(fstat(guest_fd(&f, a), &st), 0);
	cr_expect_eq(st.st_size, (64 << 20) + 4096);
	cr_expect_leq(pico__streams_memory(f.s), 4096);
	cr_expect_eq(stream_length(&f, a, 1 << 20, PICO_LENGTH_ALLOCATE, 0), 0);
	cr_expect_eq(stream_length(&f, a, 1ull << 32, PICO_LENGTH_ALLOCATE_KEEP_SIZE, 0), 0);
	cr_expect_eq(fstat(guest_fd(&f, a), &st), 0);
	cr_expect_eq(st.st_size, (64 << 20) + 4096, "never shorter");
	cr_expect_leq(pico__streams_memory(f.s), 8192);
	cr_expect_eq(stream_length(&f, a, 0, PICO_LENGTH_ALLOCATE, 0), -PICO_EINVAL);
	cr_expect_eq(stream_length(&f, a, UINT64_MAX, PICO_LENGTH_ALLOCATE, 4096), -PICO_EFBIG);
	cr_expect_eq(stream_length(&f, a, INT64_MAX, PICO_LENGTH_ALLOCATE, 1), -PICO_EFBIG);
	f.c->r[1] = (uint64_t)a;
	f.c->r[3] = PICO_LENGTH_ALLOCATE;
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamSetLength, f.c));
	f.c->r[3] = PICO_LENGTH_SET;
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamSetLength, f.c));
}

/* A guest can close the handle and keep descriptor and mapping. */
Test(streams, memory_without_a_handle_is_empty_for_good)
{
	pico_handle a = must_open("memory:", RW, 0);
	int fd = guest_fd(&f, a);
	struct stat st;

	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	cr_assert_eq(pwrite(fd, "x", 1, 0), 1);
	f.c->r[1] = (uint64_t)a;
	cr_expect_eq(call(&f, PICO_DC_ObjectClose), 0);
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_blocks, 0);
	cr_expect_lt(pwrite(fd, "x", 1, 0), 0);
	cr_expect_lt(ftruncate(fd, 4096), 0);
	cr_expect_lt(fallocate(fd, 0, 0, 4096), 0);
}

Test(streams, adopted_memory_is_always_counted)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	pico_handle h;

	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	h = pico__streams_adopt(f.s, fd, RW, "memory:segment");
	cr_assert_gt(h, 0);
	cr_expect_eq(stream_close(&f, h), 0);
	cr_expect_eq(stream_delete(&f, "memory:segment", 0), -PICO_ENOENT);
	cr_assert_eq(pwrite(fd, "x", 1, 0), 1);
	cr_expect_eq(pico__streams_memory(f.s), 4096);
	close(fd);
}

Test(streams, adopted_memory)
{
	int fd = memfd_create("segment", MFD_CLOEXEC);
	pico_handle h;

	cr_expect_eq(pico__streams_pending(f.s, f.c), 0);
	h = pico__streams_adopt(f.s, fd, RW, "memory:");
	cr_assert_gt(h, 0);
	cr_assert_eq(pico__streams_pending(f.s, f.c), 1);
	cr_expect_eq(f.c->grant[0].number, (int)PICO_HANDLE_PAYLOAD(h));
	take_grants(&f);
	cr_expect_eq(pico__streams_pending(f.s, f.c), 0);
	cr_expect_eq(ftruncate(fd, 4096), 0);
	cr_expect_eq(handle_query(&f, h), 0);
	cr_expect_eq(f.c->attr.size, 4096);
	cr_expect_eq(pico__streams_adopt(f.s, -1, RW, "memory:"), -PICO_EBADF);
	for (int i = 0; i < 5; i++)
		cr_assert_gt(pico__streams_adopt(f.s, fd, RW, "memory:"), 0);
	cr_expect_eq(pico__streams_pending(f.s, f.c), 2);
	take_grants(&f);
	cr_expect_eq(pico__streams_pending(f.s, f.c), 2);
	take_grants(&f);
	cr_expect_eq(pico__streams_pending(f.s, f.c), 1);
	take_grants(&f);
	cr_expect_eq(pico__streams_pending(f.s, f.c), 0);
	close(fd);
}

/* ---- pipes and servers ---- */

Test(streams, pipes)
{
	pico_handle r = stream_open(&f, "pipe:", R, PICO_OPEN_PIPE, 0), w = f.c->attr.peer_handle;
	char text[4] = "";

	cr_assert(r > 0 && w > 0 && r != w);
	cr_expect_eq(f.c->grant_count, 2);
	cr_expect_eq(f.c->attr.type, PICO_STREAM_PIPE);
	cr_expect_eq(write(guest_fd(&f, w), "ab", 2), 2);
	cr_expect_eq(read(guest_fd(&f, r), text, 4), 2);
	cr_expect_eq(stream_close(&f, w), 0);
	cr_expect_eq(read(guest_fd(&f, r), text, 4), 0); /* the monitor holds no end */
	put_uri(&f, "pipe:");
	f.c->r[1] = 5;
	f.c->r[2] = R;
	f.c->r[3] = PICO_OPEN_PIPE;
	f.c->r[4] = f.c->r[5] = 0;
	cr_expect_eq(call(&f, PICO_DC_StreamOpen), -PICO_EINVAL); /* where would the other end be told? */
	cr_expect_eq(pico__streams_count(f.s), 1);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

Test(streams, servers)
{
	pico_handle server = must_open("unix:/run/x", RW, PICO_OPEN_SERVER), client, peer, second;
	char text[8] = "";

	cr_expect_eq(stream_open(&f, "unix:/run/x", RW, PICO_OPEN_SERVER, 0), -PICO_EEXIST);
	cr_expect_eq(stream_open(&f, "pipe:/run/x", RW, 0, 0), -PICO_ENOENT); /* another name space */
	cr_expect_eq(one(&f, PICO_DC_StreamWaitForClient, server, 0, 0), -PICO_EAGAIN);
	cr_expect_not(readable(guest_fd(&f, server)));
	client = must_open("unix:/run/x", RW, 0);
	second = must_open("unix:/run/x", RW, 0);
	cr_expect(readable(guest_fd(&f, server)));
	cr_expect_eq(write(guest_fd(&f, client), "early", 5), 5);
	peer = one(&f, PICO_DC_StreamWaitForClient, server, 0, 0);
	cr_assert_gt(peer, 0);
	cr_expect_eq(f.c->grant_count, 1);
	cr_expect_eq(read(guest_fd(&f, peer), text, 8), 5);
	cr_expect_str_eq(stream_name(&f, peer), "unix:/run/x");
	cr_expect(readable(guest_fd(&f, server)));
	cr_expect_eq(one(&f, PICO_DC_StreamWaitForClient, client, 0, 0), -PICO_EINVAL);
	stream_close(&f, server);
	cr_expect_eq(read(guest_fd(&f, second), text, 8), 0); /* turned away */
	cr_expect_eq(stream_open(&f, "unix:/run/x", RW, 0, 0), -PICO_ENOENT);
	cr_expect_eq(pico__streams_count(f.s), 3);
	server = must_open("unix:/run/x", RW, PICO_OPEN_SERVER);
	cr_expect_eq(stream_delete(&f, "unix:/run/x", 0), 0);
	cr_expect_eq(stream_open(&f, "unix:/run/x", RW, 0, 0), -PICO_ENOENT);
	second = must_open("unix:/run/x", RW, PICO_OPEN_SERVER);
	stream_close(&f, server); /* must not take the other's name */
	cr_expect_gt(stream_open(&f, "unix:/run/x", RW, 0, 0), 0);
}

Test(limits, backlog, .fini = teardown)
{
	uint64_t fill = UINT64_MAX - 1;
	pico_handle server, h;
	unsigned n = 0;

	setup_limit(1000);
	server = must_open("pipe:p", RW, PICO_OPEN_SERVER);
	while ((h = stream_open(&f, "pipe:p", RW, 0, 0)) > 0) {
		stream_close(&f, h);
		cr_assert_lt(n++, 1000);
	}
	cr_expect_eq(h, -PICO_ECONNREFUSED);
	cr_expect_eq(n, 128);
	cr_expect_eq(pico__streams_count(f.s), 129);
	/* The guest may fill the counter: nobody waits for that. */
	while (write(guest_fd(&f, server), &fill, sizeof(fill)) > 0)
		;
	for (unsigned i = 0; i < n; i++) {
		h = one(&f, PICO_DC_StreamWaitForClient, server, 0, 0);
		cr_assert_gt(h, 0);
		stream_close(&f, h);
	}
	cr_expect_eq(one(&f, PICO_DC_StreamWaitForClient, server, 0, 0), -PICO_EAGAIN);
	cr_expect_gt(stream_open(&f, "pipe:p", RW, 0, 0), 0);
	while (read(guest_fd(&f, server), &fill, sizeof(fill)) > 0)
		cr_assert_lt(n++, 3000);
	cr_expect_gt(one(&f, PICO_DC_StreamWaitForClient, server, 0, 0), 0);
}

Test(limits, waiting_clients_count, .fini = teardown)
{
	pico_handle h;
	unsigned n = 0;

	setup_limit(8);
	must_open("pipe:p", RW, PICO_OPEN_SERVER);
	while ((h = stream_open(&f, "pipe:p", RW, 0, 0)) > 0) {
		stream_close(&f, h);
		n++;
	}
	cr_expect_eq(h, -PICO_EMFILE);
	cr_expect_eq(n, 6); /* server, 6 that wait, and no room for client and connection */
}

/* However many streams a guest may have, the host application keeps some of its
 * own descriptors. */
Test(streams, host_keeps_descriptors)
{
	const struct rlimit few = { 80, 80 };
	int64_t h;
	int n = 0, spare = 0;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < 200 && (h = stream_open(&f, "memory:", RW, 0, 0)) > 0) {
		close(guest_fd(&f, h));
		f.guest[PICO_HANDLE_PAYLOAD(h)] = -1;
		n++;
	}
	cr_expect_gt(n, 30);
	cr_expect_eq(h, -PICO_ENFILE);
	cr_expect_eq(stream_open(&f, "dir:/m", R, 0, 0), -PICO_ENFILE);
	cr_expect_eq(pico__streams_reserve_number(f.s), -PICO_EMFILE);
	while (dup(0) >= 0)
		spare++;
	cr_expect_geq(spare, 9);
}

/* ---- what may block ---- */

Test(streams, may_block)
{
	f.c->r[1] = (uint64_t)must_open("file:/m/file", RW, 0);
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamFlush, f.c));
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamSetLength, f.c));
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamRead, f.c));
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamOpen, f.c));
	cr_expect_not(pico__streams_may_block(f.s, UINT32_MAX, f.c));
}

/* As if one were mounted below the host directory. */
Test(streams, slow_below_a_mount)
{
	static const struct { const char *uri; bool slow; } t[] = { { "file:/m/file", false }, { "dir:/m", false },
		{ "file:/m/b", true }, { "dir:/m/b/x", true }, { "file:/m/bc", false }, { "file:/m/a", false } };
	struct pico__mountpoint *m = atomic_load(&f.s->policy.first);
	int64_t h;

	for (char **at = m->slow_below; at && *at; at++)
		free(*at);
	m->slow_below = realloc(m->slow_below, 2 * sizeof(char *));
	m->slow_below[0] = strdup("b");
	m->slow_below[1] = NULL;
	atomic_store(&f.s->policy.any_slow, true);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_uri(&f, t[i].uri);
		f.c->r[1] = strlen(t[i].uri);
		cr_expect_eq(pico__streams_may_block(f.s, PICO_DC_StreamOpen, f.c), t[i].slow, "%s", t[i].uri);
	}
	host_dir(&f, "a/b");
	h = must_open("dir:/m/b", R, 0);
	f.c->r[1] = (uint64_t)h;
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamEnumerateChildren, f.c));
	h = must_open("file:/m/file", RW, 0);
	f.c->r[1] = (uint64_t)h;
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamAttributesQueryByHandle, f.c));
}

/* As if the host directory lay on a file system of the network. */
Test(streams, slow_mount)
{
	static const struct { const char *uri; bool slow; } t[] = { { "file:/m/file", true }, { "dir:/m", true },
		{ "file:/fast/x", false }, { "memory:x", false }, { "file:/m/../x", false }, { "bad", false } };
	struct pico__mountpoint *m = atomic_load(&f.s->policy.first);
	pico_handle h = must_open("file:/m/file", RW, 0), d = must_open("dir:/m", R, 0);

	m->slow = true;
	cr_assert_eq(mount_at(&f, f.root, "/fast", false), 0);
	atomic_store(&f.s->policy.any_slow, true);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_uri(&f, t[i].uri);
		f.c->r[1] = f.c->r[2] = strlen(t[i].uri);
		cr_expect_eq(pico__streams_may_block(f.s, PICO_DC_StreamOpen, f.c), t[i].slow, "%s", t[i].uri);
		cr_expect_eq(pico__streams_may_block(f.s, PICO_DC_StreamAttributesQuery, f.c), t[i].slow);
		put_uri2(&f, t[i].uri);
		put_uri(&f, "link:x");
		cr_expect_eq(pico__streams_may_block(f.s, PICO_DC_StreamRename, f.c), t[i].slow);
		put_uri(&f, t[i].uri);
		f.c->r[1] = (uint64_t)PICO_HANDLE_NONE;
		cr_expect_eq(pico__streams_may_block(f.s, PICO_DC_StreamAttributesSet, f.c), t[i].slow);
	}
	f.c->r[1] = (uint64_t)h;
	cr_expect(pico__streams_may_block(f.s, PICO_DC_ObjectClose, f.c));
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamAttributesSet, f.c));
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamGetName, f.c));
	f.c->r[1] = (uint64_t)d;
	cr_expect(pico__streams_may_block(f.s, PICO_DC_StreamEnumerateChildren, f.c));
	f.c->r[1] = 99;
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_ObjectClose, f.c));
	f.c->text_size = UINT32_MAX;
	f.c->r[1] = UINT32_MAX;
	cr_expect_not(pico__streams_may_block(f.s, PICO_DC_StreamOpen, f.c));
}

/* ---- nonsense, and many at once ---- */

static uint64_t random_state = 88172645463325252ull;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const char *const some_uris[] = { "file:/m/file", "file:/m/a", "dir:/m/b", "dir:/m", "file:/m/b/c", "memory:x", "memory:",
	"pipe:", "pipe:p", "unix:p", "console:stdin", "console:stdout", "app:x", "link:zz", "handle:16", "tcp:1", "file:/m/../x" };
static const unsigned some_calls[] = { PICO_DC_StreamOpen, PICO_DC_StreamOpen, PICO_DC_StreamOpen, PICO_DC_ObjectClose,
	PICO_DC_ObjectClose, PICO_DC_ObjectReference, PICO_DC_StreamSetLength, PICO_DC_StreamDelete, PICO_DC_StreamRename,
	PICO_DC_StreamWaitForClient, PICO_DC_StreamGetName, PICO_DC_StreamAttributesQuery,
	PICO_DC_StreamAttributesQueryByHandle, PICO_DC_StreamAttributesSet, PICO_DC_StreamEnumerateChildren, PICO_DC_StreamRead };

static uint64_t random_value(uint64_t *state)
{
	uint64_t v = next_random(state);

	switch (v >> 8 & 7) {
	case 0:
		return next_random(state);
	case 1:
		return v & 0xfff;
	case 2:
		return PICO_FIRST_FD + (v & 31);
	case 3:
		return (uint64_t)PICO_HANDLE(PICO_HT_MONITOR, 1 + (v & 15));
	case 4:
		return (uint64_t)PICO_HANDLE_NONE;
	default:
		return v & 0x3f;
	}
}

static uint32_t random_text(uint64_t *state, char *text)
{
	uint64_t v = next_random(state);
	const char *uri = some_uris[v % (sizeof(some_uris) / sizeof(some_uris[0]))];
	uint32_t size = (uint32_t)strlen(uri);

	memcpy(text, uri, size);
	if ((v >> 20 & 31) == 0)
		text[(v >> 32) % size] = (char)(v >> 40);
	if ((v >> 25 & 63) == 0)
		return (uint32_t)next_random(state);
	return size;
}

/* Mostly registers that pass the first checks. */
static void random_open(struct pico__call *c, uint64_t *state)
{
	static const uint8_t flags[] = { 0, 0, 0, 0, 0, CREATE, CREATE, CREATE | EXCLUSIVE, CREATE | PICO_OPEN_TRUNCATE,
		PICO_OPEN_TRUNCATE, PICO_OPEN_TEMPORARY, PICO_OPEN_SERVER, PICO_OPEN_PIPE };
	static const uint8_t access[] = { R, R, R, RW, RW, PICO_ACCESS_WRITE, PICO_ACCESS_APPEND, R | PICO_ACCESS_EXECUTE };
	uint64_t v = next_random(state);

	if ((v & 15) == 0)
		return;
	c->r[2] = access[(v >> 4) % sizeof(access)];
	c->r[3] = flags[(v >> 16) % sizeof(flags)];
	c->r[4] = 0700 | (v >> 32 & 077);
	c->r[5] = v >> 40 & 3;
}

/* Whether it succeeded. */
static bool random_call(struct pico__streams *s, struct pico__call *c, uint64_t *state)
{
	unsigned downcall = some_calls[next_random(state) % (sizeof(some_calls) / sizeof(some_calls[0]))];
	int64_t result;

	for (int i = 1; i < 6; i++)
		c->r[i] = random_value(state);
	c->text_size = random_text(state, c->text);
	c->text2_size = random_text(state, c->text2);
	if (downcall == PICO_DC_StreamOpen || downcall == PICO_DC_StreamDelete || downcall == PICO_DC_StreamRename ||
	    downcall == PICO_DC_StreamAttributesQuery)
		c->r[1] = c->text_size;
	if (downcall == PICO_DC_StreamOpen)
		random_open(c, state);
	if (downcall == PICO_DC_StreamRename) {
		c->r[2] = c->text2_size;
		c->r[3] = 1u << (next_random(state) & 7) & 31;
	}
	if (downcall == PICO_DC_StreamAttributesQuery)
		c->r[2] = 0;
	if (downcall == PICO_DC_StreamDelete)
		c->r[2] &= 1;
	if (downcall == PICO_DC_StreamAttributesSet) {
		c->r[2] = c->text_size;
		c->attr.valid = (uint32_t)next_random(state) & 0x3f;
		c->attr.mode = 0700 | ((uint32_t)next_random(state) & 077);
		c->attr.type = (uint32_t)next_random(state) & 3;
	}
	if (downcall == PICO_DC_StreamSetLength)
		c->r[2] &= 0xffff;
	(void)pico__streams_may_block(s, downcall, c);
	result = downcall == PICO_DC_StreamRead ? pico__streams_read(s, c) : pico__streams_call(s, downcall, c);
	cr_assert(result >= -PICO_ERRNO_MAX);
	for (int i = 0; i < c->grant_count; i++)
		close(c->grant[i].fd);
	cr_assert(c->text_out <= PICO_URI_MAX && c->text2_out <= PICO_URI_MAX && c->bulk_out <= PICO_SLOT_BULK_SIZE);
	return result >= 0;
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(streams, nonsense)
{
	struct pico__app_ops ops = { .read = app_read, .user = (void *)(uintptr_t)"contents" };
	int before, after;
	unsigned done = 0;

	cr_assert_eq(pico__streams_app(f.s, "x", &ops), 0);
	before = descriptors();
	for (int i = 0; i < 100000; i++)
		done += random_call(f.s, f.c, &random_state);
	cr_log_info("%u of 100000 did something", done);
	cr_expect_gt(done, 10000);
	cr_expect_leq(pico__streams_count(f.s), 64);
	pico__streams_stop(f.s);
	for (size_t i = 0; i < sizeof(some_uris) / sizeof(some_uris[0]); i++)
		stream_delete(&f, some_uris[i], 0);
	after = descriptors();
	cr_expect_leq(after, before, "%d descriptors lost", after - before);
	cr_expect_eq(pico__streams_count(f.s), 0);
}

static void *random_thread(void *arg)
{
	struct pico__call *c = calloc(1, sizeof(*c));
	uint64_t state = 0x9e3779b97f4a7c15ull * (uintptr_t)arg;

	for (int i = 0; i < 20000; i++)
		random_call(f.s, c, &state);
	free(c);
	return NULL;
}

Test(streams, threads)
{
	struct pico__app_ops ops = { .read = app_read, .user = (void *)(uintptr_t)"contents" };
	pthread_t thread[6];
	char guest[32];

	cr_assert_eq(pico__streams_app(f.s, "x", &ops), 0);
	for (uintptr_t i = 0; i < 6; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, random_thread, (void *)(i + 1)), 0);
	for (int i = 0; i < 200; i++) {
		int number = pico__streams_reserve_number(f.s);

		(void)pico__streams_memory(f.s);
		snprintf(guest, sizeof(guest), "/n%d", i);
		cr_assert_eq(mount_at(&f, f.root, guest, false), 0);
		pico__streams_release_number(f.s, number);
	}
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	cr_expect_leq(pico__streams_count(f.s), 64);
}

Test(streams, stop_under_way)
{
	pthread_t thread[4];

	for (uintptr_t i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, random_thread, (void *)(i + 7)), 0);
	usleep(20000);
	pico__streams_stop(f.s);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	pico__streams_stop(f.s); /* what was being opened meanwhile */
	cr_expect_eq(stream_open(&f, "file:/m/file", R, 0, 0), -PICO_EMFILE);
}
