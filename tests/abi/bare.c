/* SPDX-License-Identifier: Apache-2.0
 *
 * Every test of the bare library OS (libos/bare), each in an instance of its
 * own. With arguments: the images to run in place of the built one (golden
 * files of earlier versions), each with the tests that IMAGE.tests names.
 *   --old-kernel  as on a kernel that can interrupt a request that was received
 *                 (before Linux 5.19), without synchronous wake-up (before 6.6)
 *   --bell        as where somebody above has the kernel's one seccomp listener
 *   --NAME        that test alone        --list   the names of all
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bare_run.h"
#include "monitor/instance.h"

static const char *const tests[] = {
	"hello", "thread", "threads_made_at_once", "clone",
	"vm_allocate", "vm_move", "vm_protect_free",
	"events", "semaphores", "objects_run_out", "token_64_threads", "mixed_wait", "address_wait",
	"program_system_call", "program_memory_fault", "program_illegal_instruction", "program_breakpoint",
	"program_division", "program_segment_base",
	"interrupt_running", "interrupt_blocked", "interrupt_not_lost", "interrupt_requests",
	"hostile_neighbours",
	"stream_open", "stream_read_write", "stream_map", "stream_names", "stream_attributes", "stream_directories",
	"stream_memory", "stream_server", "stream_broken_pipe", "stream_limit",
	"system_calls", "process_create",
	"limit_processes", "limit_threads", "limit_memory",
};
#define INTERRUPTED_WRITES 600u /* of libos/bare/test_once.c */
#define COUNT (sizeof(tests) / sizeof(tests[0]))
#define COUNT_MAX 256


/* What test_streams.c expects to find. */
static char directory[] = "/tmp/pico-bare-XXXXXX";
static int prepare(void)
{
	int fd;

	if (!mkdtemp(directory) || chmod(directory, 0755) || chdir(directory))
		return -1;
	fd = open("file", O_CREAT | O_WRONLY, 0644);
	if (fd < 0 || write(fd, "content", 7) != 7)
		return -1;
	close(fd);
	return mkdir("dir", 0755) || mkdir("dir/inner", 0755) || symlink("file", "link") || mkfifo("fifo", 0644) ? -1 : 0;
}
static void clean(void)
{
	if (unlink("file") || unlink("link") || unlink("fifo") || rmdir("dir/inner") || rmdir("dir") || rmdir(directory))
		fprintf(stderr, "something was left in %s\n", directory);
}

/* interrupt_requests writes a byte at a time: each must come once. Some take
 * longer, so that they are asked for again meanwhile. */
static atomic_uint bytes;
static int64_t count_bytes(void *user, uint64_t offset, const void *buffer, size_t size)
{
	(void)user, (void)offset, (void)buffer;
	if (atomic_fetch_add(&bytes, (unsigned)size) % 8 == 0)
		usleep(200);
	return (int64_t)size;
}

static void run(struct bare_result *r, const char *image, const char *test)
{
	const char *args[] = { test, NULL };
	const struct pico_mount mounts[] = { { directory, "/rw", 0, 0 }, { directory, "/ro", PICO_MOUNT_READ_ONLY, 0 } };
	struct pico_options o;

	pico_options_init(&o);
	o.mounts = mounts;
	o.mount_count = 2;
	if (!strncmp(test, "limit_", 6)) {
		o.limits.processes = 4;
		o.limits.threads = 8;
		o.limits.memory = 64 << 20;
	}
	if (!strcmp(test, "stream_limit"))
		o.limits.streams = 64;
	o.stdio[1] = (struct pico_stdio){ .kind = PICO_STDIO_CALLBACK, .write = count_bytes };
	atomic_store(&bytes, 0);
	bare_run(r, image, args, &o);
}

static bool passed(const struct bare_result *r, const char *test)
{
	if (!strcmp(test, "interrupt_requests") && bare_passed(r) && atomic_load(&bytes) != INTERRUPTED_WRITES) {
		printf("# %u bytes written of %u\n", atomic_load(&bytes), INTERRUPTED_WRITES);
		return false;
	}
	return bare_passed(r);
}

/* The tests an image has: this program's, or one a line in a file beside it. */
static const char *golden[COUNT_MAX];
static size_t list_of(const char *image, const char *const **list)
{
	static char text[8192];
	char path[4096];
	size_t size, count = 0;
	FILE *f;

	*list = tests;
	if (!image)
		return COUNT;
	snprintf(path, sizeof(path), "%s.tests", image);
	f = fopen(path, "re");
	if (!f)
		return COUNT;
	size = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[size] = 0;
	for (char *save, *name = strtok_r(text, "\n", &save); name && count < COUNT_MAX; name = strtok_r(NULL, "\n", &save))
		golden[count++] = name;
	*list = golden;
	return count;
}

static unsigned number, failed;
static void run_all(const char *image, const char *only)
{
	static struct bare_result r;
	const char *const *list;
	size_t count = list_of(image, &list);

	for (size_t i = 0; i < count; i++) {
		bool ok;

		if (only && strcmp(only, list[i]))
			continue;
		run(&r, image, list[i]);
		ok = passed(&r, list[i]);
		failed += !ok;
		bare_report(++number, list[i], &r, ok);
	}
}

int main(int argc, char **argv)
{
	char dir[4096];
	const char *from = getenv("builddir");
	const char *only = NULL;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < COUNT; i++)
			puts(tests[i]);
		return 0;
	}
	if (!realpath(from && *from ? from : ".", dir) || setenv("builddir", dir, 1) || prepare()) {
		perror("bare");
		return 2;
	}
	for (; argc > 1 && !strncmp(argv[1], "--", 2); argc--, argv++)
		if (!strcmp(argv[1], "--old-kernel"))
			pico__kernel_without = PICO__WITHOUT_SYNC_WAKE_UP | PICO__WITHOUT_WAIT_KILLABLE;
		else if (!strcmp(argv[1], "--bell"))
			pico__kernel_without = PICO__WITHOUT_NOTIFICATIONS;
		else
			only = argv[1] + 2;
	if (argc == 1)
		run_all(NULL, only);
	for (int image = 1; image < argc; image++)
		run_all(argv[image], only);
	clean();
	printf("1..%u\n", number);
	return failed != 0;
}
