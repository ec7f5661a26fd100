/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream downcalls. The driver mounts a writable directory at /rw and the same
 * read-only at /ro, with: file (the text "content"), dir/inner, link -> file,
 * and a fifo.
 */
#include "bare.h"

#define SECOND 1000000000ull
#define URI(s) (s), sizeof(s) - 1

static pico_handle open_rw(const char *uri, uint64_t size, uint32_t flags)
{
	return Dk(StreamOpen)(uri, size, PICO_ACCESS_READ | PICO_ACCESS_WRITE, flags, 0644, NULL);
}

BARE_TEST(stream_open)
{
	struct pico_stream_attributes a;
	pico_handle h = Dk(StreamOpen)(URI("file:/ro/file"), PICO_ACCESS_READ, 0, 0, &a);

	CHECK(h > 0);
	CHECK_EQ(a.type, PICO_STREAM_FILE);
	CHECK_EQ(a.size, 7);
	CHECK(a.valid & PICO_ATTR_BASIC);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	CHECK_EQ(Dk(ObjectClose)(h), -PICO_EBADF);
	h = open_rw(URI("file:/rw/new"), PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE);
	CHECK(h > 0);
	CHECK_EQ(Dk(ObjectReference)(h), 0);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	CHECK_EQ(Dk(StreamWrite)(h, 0, "x", 1, NULL), 1);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	CHECK_EQ(Dk(StreamWrite)(h, 0, "x", 1, NULL), -PICO_EBADF);
	/* errors */
	CHECK_EQ(open_rw(URI("file:/rw/new"), PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE), -PICO_EEXIST);
	CHECK_EQ(open_rw(URI("file:/ro/file"), 0), -PICO_EROFS);
	CHECK_EQ(open_rw(URI("file:/ro/other"), PICO_OPEN_CREATE), -PICO_EROFS);
	CHECK_EQ(open_rw(URI("file:/rw/absent"), 0), -PICO_ENOENT);
	CHECK_EQ(open_rw(URI("file:/etc/passwd"), 0), -PICO_ENOENT);
	CHECK_EQ(open_rw(URI("file:/rw/link"), 0), -PICO_ELOOP);
	CHECK_EQ(open_rw(URI("file:/rw/dir"), 0), -PICO_EISDIR);
	CHECK_EQ(open_rw(URI("file:/rw/file/x"), 0), -PICO_ENOTDIR);
	CHECK_EQ(open_rw(URI("file:/rw/fifo"), 0), -PICO_ENXIO);
	CHECK_EQ(open_rw(URI("file:/rw/../rw/file"), 0), -PICO_EINVAL);
	CHECK_EQ(open_rw(URI("file:/rw//file"), 0), -PICO_EINVAL);
	CHECK_EQ(open_rw(URI("file:/rw/fi\0le"), 0), -PICO_EINVAL);
	CHECK_EQ(open_rw(URI("file:rw/file"), 0), -PICO_EINVAL);
	CHECK_EQ(open_rw(URI("nothing:/rw/file"), 0), -PICO_EINVAL);
	CHECK_EQ(open_rw(URI("file:/rw/file"), 0x80000000u), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamOpen)(URI("file:/rw/file"), 0x100, 0, 0, NULL), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamOpen)("file:/rw/file", PICO_URI_MAX + 1, 1, 0, 0, NULL), -PICO_ENAMETOOLONG);
	CHECK_EQ(Dk(StreamOpen)((const char *)8, 20, 1, 0, 0, NULL), -PICO_EFAULT);
	CHECK_EQ(open_rw(URI("tcp:127.0.0.1:80"), 0), -PICO_EACCES);
	CHECK_EQ(open_rw(URI("udp:127.0.0.1:53"), 0), -PICO_EACCES);
	CHECK_EQ(open_rw(URI("image:/x"), 0), -PICO_ENOTSUP);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/new"), 0), 0);
}

BARE_TEST(stream_read_write)
{
	char text[16];
	pico_handle h = Dk(StreamOpen)(URI("file:/ro/file"), PICO_ACCESS_READ, 0, 0, NULL);

	CHECK_EQ(Dk(StreamRead)(h, 0, text, sizeof(text), NULL), 7);
	CHECK(!memcmp(text, "content", 7));
	CHECK_EQ(Dk(StreamRead)(h, 3, text, 2, NULL), 2);
	CHECK(!memcmp(text, "te", 2));
	CHECK_EQ(Dk(StreamRead)(h, 7, text, 2, NULL), 0);
	CHECK_EQ(Dk(StreamRead)(h, 0, (void *)64, 2, NULL), -PICO_EFAULT);
	CHECK_EQ(Dk(StreamWrite)(h, 0, "x", 1, NULL), -PICO_EBADF);
	CHECK_EQ(Dk(StreamRead)(1 << 19, 0, text, 1, NULL), -PICO_EBADF);
	CHECK_EQ(Dk(StreamRead)(-5, 0, text, 1, NULL), -PICO_EBADF);
	CHECK_EQ(Dk(StreamRead)(h, 1ull << 63, text, 1, NULL), -PICO_EINVAL);
	Dk(ObjectClose)(h);

	h = Dk(StreamOpen)(URI("file:/rw/append"), PICO_ACCESS_WRITE | PICO_ACCESS_APPEND, PICO_OPEN_CREATE, 0644, NULL);
	CHECK_EQ(Dk(StreamWrite)(h, 0, "one", 3, NULL), 3);
	CHECK_EQ(Dk(StreamWrite)(h, 0, "two", 3, NULL), 3);
	CHECK_EQ(Dk(StreamFlush)(h, PICO_FLUSH_DATA), 0);
	CHECK_EQ(Dk(StreamFlush)(h, 0xff), -PICO_EINVAL);
	Dk(ObjectClose)(h);
	h = Dk(StreamOpen)(URI("file:/rw/append"), PICO_ACCESS_READ, 0, 0, NULL);
	CHECK_EQ(Dk(StreamRead)(h, 0, text, sizeof(text), NULL), 6);
	CHECK(!memcmp(text, "onetwo", 6));
	Dk(ObjectClose)(h);
	h = open_rw(URI("file:/rw/append"), PICO_OPEN_TRUNCATE);
	CHECK_EQ(Dk(StreamRead)(h, 0, text, sizeof(text), NULL), 0);
	Dk(ObjectClose)(h);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/append"), 0), 0);
}

BARE_TEST(stream_map)
{
	void *a = NULL, *b = (void *)0x20000000ull;
	pico_handle h = open_rw(URI("file:/rw/map"), PICO_OPEN_CREATE);

	CHECK_EQ(Dk(StreamSetLength)(h, 8192, PICO_LENGTH_SET, 0), 0);
	CHECK_EQ(Dk(StreamMap)(h, &a, 3, 0, 8192, PICO_MAP_SHARED), 0);
	CHECK_EQ(Dk(StreamMap)(h, &b, 3, 4096, 4096, PICO_MAP_PRIVATE | PICO_MAP_FIXED), 0);
	memcpy((char *)a + 4096, "shared", 6);
	CHECK(!memcmp(b, "shared", 6));
	*(char *)b = 'X';
	CHECK(!memcmp((char *)a + 4096, "shared", 6));
	char text[6];
	CHECK_EQ(Dk(StreamRead)(h, 4096, text, 6, NULL), 6);
	CHECK(!memcmp(text, "shared", 6));
	CHECK_EQ(Dk(StreamMap)(h, &b, 3, 0, 4096, PICO_MAP_PRIVATE | PICO_MAP_NOREPLACE), -PICO_EEXIST);
	CHECK_EQ(Dk(StreamMap)(h, &b, 3, 1, 4096, PICO_MAP_PRIVATE), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamMap)(h, &b, 3, 0, 4096, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamMap)(h, &b, 9, 0, 4096, PICO_MAP_PRIVATE), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamMap)(777777, &b, 1, 0, 4096, PICO_MAP_PRIVATE), -PICO_EBADF);
	CHECK_EQ(Dk(StreamUnmap)(a, 8192), 0);
	CHECK_EQ(Dk(StreamUnmap)(a, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	h = Dk(StreamOpen)(URI("file:/ro/map"), PICO_ACCESS_READ, 0, 0, NULL);
	a = NULL;
	CHECK_EQ(Dk(StreamMap)(h, &a, 3, 0, 4096, PICO_MAP_SHARED), -PICO_EACCES);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/map"), 0), 0);
}

BARE_TEST(stream_names)
{
	char name[64];
	pico_handle h = open_rw(URI("file:/rw/first"), PICO_OPEN_CREATE);

	CHECK_EQ(Dk(StreamGetName)(h, name, sizeof(name)), 14);
	CHECK(!memcmp(name, "file:/rw/first", 14));
	CHECK_EQ(Dk(StreamGetName)(h, name, 3), -PICO_ENAMETOOLONG);
	CHECK_EQ(Dk(StreamGetName)(99999, name, 64), -PICO_EBADF);
	CHECK_EQ(Dk(StreamRename)(URI("file:/rw/first"), URI("file:/rw/second"), 0), 0);
	CHECK_EQ(Dk(StreamRename)(URI("file:/rw/first"), URI("file:/rw/second"), 0), -PICO_ENOENT);
	CHECK_EQ(Dk(StreamRename)(URI("file:/rw/second"), URI("file:/rw/file"), PICO_RENAME_NOREPLACE), -PICO_EEXIST);
	CHECK_EQ(Dk(StreamRename)(URI("file:/rw/second"), URI("file:/ro/second"), 0), -PICO_EXDEV);
	CHECK_EQ(Dk(StreamRename)(URI("file:/rw/second"), URI("file:/rw/third"), PICO_RENAME_LINK), 0);
	CHECK_EQ(Dk(StreamRename)(URI("link:second"), URI("file:/rw/symbolic"), PICO_RENAME_SYMLINK), 0);
	CHECK_EQ(Dk(StreamRename)(URI("file:/rw/second"), URI("file:/rw/third"), 0x4000), -PICO_EINVAL);
	struct pico_stream_attributes a;
	char link[32];
	CHECK_EQ(Dk(StreamAttributesQuery)(URI("file:/rw/symbolic"), 0, &a, link, sizeof(link)), 6);
	CHECK_EQ(a.type, PICO_STREAM_SYMLINK);
	CHECK(!memcmp(link, "second", 6));
	CHECK_EQ(Dk(StreamAttributesQuery)(URI("file:/rw/third"), 0, &a, link, sizeof(link)), 0);
	CHECK_EQ(a.link_count, 2);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/second"), PICO_DELETE_DIRECTORY), -PICO_ENOTDIR);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/second"), 0), 0);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/third"), 0), 0);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/symbolic"), 0), 0);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/symbolic"), 0), -PICO_ENOENT);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/ro/file"), 0), -PICO_EROFS);
	CHECK_EQ(Dk(StreamDelete)(URI("dir:/rw"), PICO_DELETE_DIRECTORY), -PICO_EBUSY);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
}

BARE_TEST(stream_attributes)
{
	struct pico_stream_attributes a, set;
	pico_handle h = open_rw(URI("file:/rw/attributes"), PICO_OPEN_CREATE);

	set = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE | PICO_ATTR_MTIME, .mode = 0600, .mtime_sec = 1000000000, .mtime_nsec = 5 };
	CHECK_EQ(Dk(StreamAttributesSet)(h, NULL, 0, &set), 0);
	CHECK_EQ(Dk(StreamAttributesQueryByHandle)(h, &a), 0);
	CHECK_EQ(a.mode, 0600);
	CHECK_EQ(a.mtime_sec, 1000000000);
	CHECK_EQ(a.mtime_nsec, 5);
	set = (struct pico_stream_attributes){ .valid = PICO_ATTR_MODE, .mode = 0640 };
	CHECK_EQ(Dk(StreamAttributesSet)(PICO_HANDLE_NONE, URI("file:/rw/attributes"), &set), 0);
	CHECK_EQ(Dk(StreamAttributesQuery)(URI("file:/rw/attributes"), 0, &a, NULL, 0), 0);
	CHECK_EQ(a.mode, 0640);
	CHECK_EQ(Dk(StreamAttributesSet)(PICO_HANDLE_NONE, URI("file:/ro/file"), &set), -PICO_EROFS);
	set.valid = 0x8000000;
	CHECK_EQ(Dk(StreamAttributesSet)(h, NULL, 0, &set), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamAttributesQueryByHandle)(55555, &a), -PICO_EBADF);
	CHECK_EQ(Dk(StreamAttributesQuery)(URI("file:/rw/none"), 0, &a, NULL, 0), -PICO_ENOENT);
	CHECK_EQ(Dk(StreamAttributesQuery)(URI("file:/rw/none"), 0xf0000, &a, NULL, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamSetLength)(h, 100, PICO_LENGTH_SET, 0), 0);
	CHECK_EQ(Dk(StreamSetLength)(h, 100, 77, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamSetLength)(55555, 100, 0, 0), -PICO_EBADF);
	CHECK_EQ(Dk(StreamAttributesQueryByHandle)(h, &a), 0);
	CHECK_EQ(a.size, 100);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/attributes"), 0), 0);
}

BARE_TEST(stream_directories)
{
	static char buffer[4096] __attribute__((aligned(8)));
	uint64_t cookie = 0;
	unsigned seen = 0;
	int64_t n;
	pico_handle d = Dk(StreamOpen)(URI("dir:/rw/made"), PICO_ACCESS_READ, PICO_OPEN_CREATE, 0755, NULL);

	CHECK(d > 0);
	Dk(ObjectClose)(d);
	d = Dk(StreamOpen)(URI("dir:/rw"), PICO_ACCESS_READ, 0, 0, NULL);
	CHECK(d > 0);
	while ((n = Dk(StreamEnumerateChildren)(d, cookie, buffer, sizeof(buffer))) > 0)
		for (int64_t at = 0; at < n;) {
			struct pico_dirent *e = (void *)(buffer + at);
			CHECK(e->name[e->name_size] == 0);
			seen++;
			cookie = e->cookie;
			at += e->record_size;
		}
	CHECK_EQ(n, 0);
	CHECK(seen >= 5);
	CHECK_EQ(Dk(StreamEnumerateChildren)(123456, 0, buffer, 100), -PICO_EBADF);
	CHECK_EQ(Dk(StreamMap)(d, (void *[]){ NULL }, 1, 0, 4096, PICO_MAP_PRIVATE), -PICO_ENODEV);
	CHECK_EQ(Dk(ObjectReference)(d), 0);
	CHECK_EQ(Dk(ObjectClose)(d), 0);
	CHECK_EQ(Dk(ObjectClose)(d), 0);
	CHECK_EQ(Dk(ObjectClose)(d), -PICO_EBADF);
	CHECK_EQ(Dk(StreamOpen)(URI("dir:/rw/file"), PICO_ACCESS_READ, 0, 0, NULL), -PICO_ENOTDIR);
	CHECK_EQ(Dk(StreamDelete)(URI("dir:/rw/dir"), PICO_DELETE_DIRECTORY), -PICO_ENOTEMPTY);
	CHECK_EQ(Dk(StreamDelete)(URI("file:/rw/made"), 0), -PICO_EISDIR);
	CHECK_EQ(Dk(StreamDelete)(URI("dir:/rw/made"), PICO_DELETE_DIRECTORY), 0);
}

BARE_TEST(stream_memory)
{
	pico_handle a = open_rw(URI("memory:shared"), PICO_OPEN_CREATE), b;
	void *p = NULL, *q = NULL;

	CHECK(a > 0);
	CHECK_EQ(Dk(StreamSetLength)(a, 4096, 0, 0), 0);
	b = open_rw(URI("memory:shared"), 0);
	CHECK(b > 0);
	CHECK_EQ(Dk(StreamMap)(a, &p, 3, 0, 4096, PICO_MAP_SHARED), 0);
	CHECK_EQ(Dk(StreamMap)(b, &q, 3, 0, 4096, PICO_MAP_SHARED), 0);
	*(volatile uint32_t *)p = 99;
	CHECK_EQ(*(volatile uint32_t *)q, 99);
	/* and across picoprocesses */
	int64_t child = Dk(ProcessClone)(0);
	if (child == 0) {
		*(volatile uint32_t *)q = 100;
		Dk(ProcessExit)(0);
	}
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &child, bare_now() + 5 * SECOND), 0);
	CHECK_EQ(*(volatile uint32_t *)p, 100);
	CHECK_EQ(open_rw(URI("memory:other"), 0), -PICO_ENOENT);
}

static void client(void *arg)
{
	pico_handle h = open_rw(URI("pipe:service"), 0);
	(void)arg;
	CHECK(h > 0);
	CHECK_EQ(Dk(StreamWrite)(h, PICO_OFFSET_NONE, "hi", 2, NULL), 2);
	char c;
	CHECK_EQ(Dk(StreamRead)(h, PICO_OFFSET_NONE, &c, 1, NULL), 1);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
}

BARE_TEST(stream_server)
{
	char text[8];
	pico_handle s = open_rw(URI("pipe:service"), PICO_OPEN_SERVER);

	CHECK(s > 0);
	CHECK_EQ(open_rw(URI("pipe:service"), PICO_OPEN_SERVER), -PICO_EEXIST);
	CHECK_EQ(open_rw(URI("pipe:nobody"), 0), -PICO_ENOENT);
	CHECK(bare_thread(client, NULL, NULL) > 0);
	pico_handle c = Dk(StreamWaitForClient)(s);
	CHECK(c > 0);
	CHECK_EQ(Dk(StreamRead)(c, PICO_OFFSET_NONE, text, sizeof(text), NULL), 2);
	CHECK_EQ(Dk(StreamWrite)(c, PICO_OFFSET_NONE, "y", 1, NULL), 1);
	CHECK_EQ(Dk(StreamRead)(c, PICO_OFFSET_NONE, text, sizeof(text), NULL), 0);
	CHECK_EQ(Dk(ObjectClose)(c), 0);
	CHECK_EQ(Dk(StreamWaitForClient)(12345), -PICO_EBADF);
	CHECK_EQ(Dk(ObjectClose)(s), 0);
}

/* A write to a pipe nobody reads is an error, never a signal. */
BARE_TEST(stream_broken_pipe)
{
	struct pico_stream_attributes a;
	pico_handle r = Dk(StreamOpen)(URI("pipe:"), PICO_ACCESS_READ | PICO_ACCESS_WRITE, PICO_OPEN_PIPE, 0, &a);

	CHECK(r > 0);
	CHECK_EQ(Dk(ObjectClose)(r), 0);
	CHECK_EQ(Dk(StreamWrite)(a.peer_handle, PICO_OFFSET_NONE, "x", 1, NULL), -PICO_EPIPE);
}

BARE_TEST(stream_limit)
{
	int64_t r;
	unsigned opened = 0;
	while ((r = Dk(StreamOpen)(URI("file:/ro/file"), PICO_ACCESS_READ, 0, 0, NULL)) > 0)
		opened++;
	CHECK(r == -PICO_EMFILE || r == -PICO_ENFILE);
	CHECK(opened >= 32);
	CHECK_EQ(Dk(StreamOpen)(URI("dir:/ro"), PICO_ACCESS_READ, 0, 0, NULL), r);
}

BARE_TEST(system_calls)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	CHECK_EQ(Dk(RandomBitsRead)(a, 32), 0);
	CHECK_EQ(Dk(RandomBitsRead)(b, 32), 0);
	CHECK(memcmp(a, b, 32) != 0);
	CHECK_EQ(Dk(RandomBitsRead)((void *)64, 32), -PICO_EFAULT);
	static uint8_t big[20000];
	CHECK_EQ(Dk(RandomBitsRead)(big, sizeof(big)), 0);
	CHECK(big[19998] | big[19999] | big[19997] | big[19996]);
	int64_t t = Dk(SystemTimeQuery)(PICO_CLOCK_REALTIME);
	CHECK(t > 1600000000000000000);
	uint64_t before = bare_now();
	CHECK_EQ(Dk(ThreadDelayExecution)(bare_now() + 2000000), 0);
	CHECK(bare_now() - before >= 2000000);
	CHECK(Dk(SystemTimeQuery)(PICO_CLOCK_PROCESS_CPU) > 0);
	CHECK(Dk(SystemTimeQuery)(PICO_CLOCK_THREAD_CPU) > 0);
	CHECK_EQ(Dk(SystemTimeQuery)(99), -PICO_EINVAL);
	CHECK_EQ(Dk(InstructionCacheFlush)(a, 32), 0);
	CHECK_EQ(Dk(DebugStringPrint)((const char *)64, 5), -PICO_EFAULT);
	CHECK_EQ(Dk(DebugStringPrint)("x", 100000), -PICO_EINVAL);
	CHECK_EQ(Dk(ThreadYieldExecution)(), 0);
	CHECK_EQ(Dk(ProcessCheckpoint)(0), -PICO_EAGAIN);
	CHECK_EQ(Dk(ProcessCheckpoint)(1u << 31), -PICO_EINVAL);
	CHECK_EQ(Dk(ProcessGetExitCode)(4711), -PICO_EBADF);
	CHECK_EQ(Dk(ProcessClone)(0x80), -PICO_EINVAL);
}

/* A fresh picoprocess of the same instance: its own memory, the same segment. */
BARE_TEST(process_create)
{
	volatile uint32_t *shared = bare_info->segment;
	if (bare_info->reason == PICO_INIT_PROCESS) {
		CHECK_EQ(bare_info->param, 0x1234567890ull);
		shared[0] = 77;
		Dk(ProcessExit)(5);
	}
	shared[0] = 1;
	int64_t h = Dk(ProcessCreate)(0x1234567890ull);
	CHECK(h > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &h, bare_now() + 5 * SECOND), 0);
	CHECK_EQ(shared[0], 77);
	CHECK_EQ(Dk(ProcessGetExitCode)(h), 5);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
	int64_t c = Dk(ProcessClone)(0);
	if (c == 0) {
		Dk(ThreadDelayExecution)(bare_now() + 50000000);
		Dk(ProcessExit)(1);
	}
	CHECK_EQ(Dk(ProcessGetExitCode)(c), -PICO_EAGAIN);
	CHECK_EQ(Dk(ProcessClone)(PICO_CLONE_NO_HANDLE) ? 1 : (Dk(ProcessExit)(0), 1), 1);
}

/* Limits: the driver allows 4 picoprocesses and 8 threads. */
static void forever(void *arg)
{
	(void)arg;
	Dk(ThreadDelayExecution)(PICO_FOREVER);
}
BARE_TEST(limit_processes)
{
	int64_t r;
	unsigned made = 0;
	while ((r = Dk(ProcessClone)(0)) > 0)
		made++;
	if (r == 0)
		Dk(ThreadDelayExecution)(bare_now() + 30 * SECOND);
	CHECK_EQ(r, -PICO_EAGAIN);
	CHECK_EQ(made, 3);
	CHECK_EQ(Dk(ProcessCreate)(0), -PICO_EAGAIN);
}
BARE_TEST(limit_threads)
{
	int64_t r;
	unsigned made = 0;
	while ((r = bare_thread(forever, NULL, NULL)) > 0)
		made++;
	CHECK_EQ(r, -PICO_EAGAIN);
	CHECK_EQ(made, 7);
}
BARE_TEST(limit_memory)
{
	void *a = NULL;
	int64_t r = Dk(VirtualMemoryAllocate)(&a, 1ull << 30, PICO_VM_COMMIT, 3, NULL, 0);
	CHECK_EQ(r, -PICO_ENOMEM);
	CHECK_EQ(Dk(VirtualMemoryAllocate)(&a, 1ull << 36, PICO_VM_RESERVE, 0, NULL, 0), 0);
}
