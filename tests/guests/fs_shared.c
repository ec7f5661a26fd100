/* SPDX-License-Identifier: Apache-2.0
 *
 * One file in the hands of several processes: who holds the lock sees the size
 * and the mode that the last holder left, whoever else asks for them meanwhile.
 * That is what a database's files stand on.
 */
#include "fs.h"
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WRITERS 4
#define READERS 4
#define BLOCK 8192
#define MOST (32 << 20)
#define MILLISECONDS 1000

static struct { volatile uint64_t size; volatile uint32_t mode; volatile int stop; } *shared;

/* Its own open file, for the lock is the description's. */
static void writer(unsigned seed)
{
	static char block[BLOCK];
	int fd = open("f", O_RDWR);
	struct stat st;

	CHECK(fd >= 0);
	while (!shared->stop) {
		CHECK(flock(fd, LOCK_EX) == 0);
		off_t end = lseek(fd, 0, SEEK_END);
		if ((uint64_t)end != shared->size) {
			fprintf(stderr, "the file has %lu bytes, lseek says %ld\n", (unsigned long)shared->size, (long)end);
			exit(1);
		}
		CHECK(stat("f", &st) == 0 && (uint64_t)st.st_size == shared->size && (st.st_mode & 0777) == shared->mode);
		seed = seed * 1664525 + 1013904223;
		if (end > MOST) {
			CHECK(ftruncate(fd, 0) == 0);
			shared->size = 0;
		} else if (seed >> 30) {
			CHECK(pwrite(fd, block, BLOCK, end) == BLOCK);
			shared->size = (uint64_t)end + BLOCK;
		} else {
			shared->mode = shared->mode ^ 0111;
			CHECK(fchmod(fd, shared->mode) == 0);
		}
		CHECK((uint64_t)lseek(fd, 0, SEEK_END) == shared->size);
		CHECK(fstat(fd, &st) == 0 && (uint64_t)st.st_size == shared->size && (st.st_mode & 0777) == shared->mode);
		CHECK(flock(fd, LOCK_UN) == 0);
	}
	exit(0);
}

static void reader(void)
{
	int fd = open("f", O_RDONLY);
	struct stat st;

	CHECK(fd >= 0);
	while (!shared->stop) {
		CHECK(lseek(fd, 0, SEEK_END) >= 0);
		CHECK(stat("f", &st) == 0);
		close(open("f", O_RDWR));
	}
	exit(0);
}

static void extend(void)
{
	pid_t pids[WRITERS + READERS];
	int status;

	put("f", "");
	shared->mode = 0644;
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i] && i < WRITERS)
			writer(i);
		if (!pids[i])
			reader();
	}
	usleep(MILLISECONDS * 1000);
	shared->stop = 1;
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(status == 0);
	}
	CHECK(shared->size > 0 || shared->mode != 0644);
	CHECK(unlink("f") == 0);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	extend();
	fs_leave();
	OK();
}
