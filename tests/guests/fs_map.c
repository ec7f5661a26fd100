/* SPDX-License-Identifier: Apache-2.0
 *
 * Mappings of files at their edges: beyond the end, growing, shrinking, seals.
 */
#include "fs.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf jump;
static void on_fault(int signo) { siglongjmp(jump, signo); }

static int touch(volatile char *p)
{
	int signo = sigsetjmp(jump, 1);
	if (!signo)
		*p = 'x';
	return signo;
}

static void edges(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	char c = 0;

	CHECK(ftruncate(fd, 5000) == 0);
	char *m = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *p = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096);
	CHECK(m != MAP_FAILED && p != MAP_FAILED);
	CHECK(touch(m) == 0 && touch(m + 8191) == 0 && touch(p) == 0);
	CHECK(touch(m + 8192) == SIGBUS && touch(m + 15 * 4096) == SIGBUS && touch(p + 4096) == SIGBUS);
	CHECK(ftruncate(fd, 10 * 4096) == 0);
	CHECK(m[5000] == 0 && m[8191] == 0); /* written there beyond the end */
	CHECK(touch(m + 9 * 4096) == 0 && pread(fd, &c, 1, 9 * 4096) == 1 && c == 'x');
	CHECK(touch(m + 2 * 4096) == 0 && touch(p + 4096) == 0 && touch(m + 10 * 4096) == SIGBUS);
	CHECK(pread(fd, &c, 1, 8192) == 1 && c == 'x');
	CHECK(pwrite(fd, "abc", 3, 12 * 4096) == 3 && m[12 * 4096] == 'a' && touch(m + 13 * 4096) == SIGBUS);
	CHECK(munmap(m, 16 * 4096) == 0 && munmap(p, 16 * 4096) == 0);
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 1 << 20);
	CHECK(m != MAP_FAILED && touch(m) == SIGSEGV && munmap(m, 4096) == 0);
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 1 << 20);
	CHECK(touch(m) == SIGBUS && munmap(m, 4096) == 0);
	close(fd);
	CHECK(unlink("f") == 0);
}

static void seals(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	struct stat st;

	CHECK(fd >= 0 && ftruncate(fd, 8192) == 0 && pwrite(fd, "x", 1, 100) == 1);
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED && m[100] == 'x');
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	FAILS(ftruncate(fd, 4096), EPERM);
	FAILS(ftruncate(fd, 16384), EPERM);
	FAILS(pwrite(fd, "xy", 2, 8192), EPERM);
	CHECK(pwrite(fd, "xy", 2, 8191) == 1); /* page by page */
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK(munmap(m, 8192) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	FAILS(pwrite(fd, "y", 1, 0), EPERM);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(m != MAP_FAILED && m[100] == 'x' && touch(m) == 0 && munmap(m, 4096) == 0);
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	FAILS(mprotect(m, 4096, PROT_READ | PROT_WRITE), EACCES);
	CHECK(munmap(m, 4096) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 8192 && (st.st_mode & 0777) == 0777);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	CHECK(sigaction(SIGBUS, &act, NULL) == 0 && sigaction(SIGSEGV, &act, NULL) == 0);
	fs_enter(argc, argv);
	edges();
	seals();
	fs_leave();
	OK();
}
