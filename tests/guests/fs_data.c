/* SPDX-License-Identifier: Apache-2.0
 *
 * Contents of files: positions, vectors, holes, truncation, mapping, limits.
 */
#include "fs.h"
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

static char page[4096];

static void positions(void)
{
	char buf[16];
	int fd = open("f", O_CREAT | O_RDWR | O_TRUNC, 0644), left;
	void *volatile bad = (void *)16; /* not even the compiler knows */

	CHECK(write(fd, "0123456789", 10) == 10 && lseek(fd, 0, SEEK_CUR) == 10);
	CHECK(read(fd, buf, 16) == 0);
	CHECK(lseek(fd, -4, SEEK_END) == 6 && read(fd, buf, 2) == 2 && !memcmp(buf, "67", 2));
	CHECK(ioctl(fd, FIONREAD, &left) == 0 && left == 2);
	CHECK(pread(fd, buf, 3, 1) == 3 && !memcmp(buf, "123", 3) && lseek(fd, 0, SEEK_CUR) == 8);
	CHECK(pwrite(fd, "AB", 2, 4) == 2 && pread(fd, buf, 16, 0) == 10 && !memcmp(buf, "0123AB6789", 10));
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	FAILS(lseek(fd, 0, 99), EINVAL);
	FAILS(pread(fd, buf, 1, -1), EINVAL);
	FAILS(read(fd, bad, 1), EFAULT);
	FAILS(write(fd, bad, 1), EFAULT);
	FAILS(read(99, buf, 1), EBADF);
	CHECK(read(fd, buf, 0) == 0 && write(fd, buf, 0) == 0);
	CHECK(lseek(fd, 100000, SEEK_SET) == 100000 && read(fd, buf, 1) == 0);
	int dup_fd = dup(fd);
	CHECK(lseek(dup_fd, 2, SEEK_SET) == 2 && lseek(fd, 0, SEEK_CUR) == 2);
	close(dup_fd);
	int p[2];
	CHECK(pipe(p) == 0);
	FAILS(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	FAILS(pread(p[0], buf, 1, 0), ESPIPE);
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void vectors(void)
{
	char a[4], b[4], many[3][40000];
	struct iovec in[2] = { { (void *)"abc", 3 }, { (void *)"defg", 4 } }, out[3] = { { a, 3 }, { NULL, 0 }, { b, 4 } };
	int fd = open("f", O_RDWR | O_TRUNC);
	volatile int minus = -1;

	CHECK(writev(fd, in, 2) == 7 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(readv(fd, out, 3) == 7 && !memcmp(a, "abc", 3) && !memcmp(b, "defg", 4));
	CHECK(pwritev(fd, in, 2, 100) == 7 && preadv(fd, out, 3, 101) == 6 && !memcmp(a, "bcd", 3));
	FAILS(writev(fd, in, minus), EINVAL);
	FAILS(writev(fd, in, minus + 1026), EINVAL);
	CHECK(writev(fd, in, 0) == 0);
	out[0].iov_len = (size_t)-1;
	FAILS(readv(fd, out, 3), EINVAL);
	for (int i = 0; i < 3; i++)
		memset(many[i], 'a' + i, sizeof(many[i]));
	struct iovec big[3] = { { many[0], 40000 }, { many[1], 40000 }, { many[2], 40000 } };
	CHECK(pwritev(fd, big, 3, 0) == 120000 && pread(fd, a, 4, 79998) == 4 && !memcmp(a, "bbcc", 4));
	CHECK(pwritev2(fd, in, 2, 0, RWF_APPEND) == 7 && lseek(fd, 0, SEEK_END) == 120007);
	CHECK(pwritev2(fd, in, 2, -1, 0) == 7 && lseek(fd, 0, SEEK_CUR) == 120014);
	FAILS(pwritev2(fd, in, 2, 0, 0x4000), EOPNOTSUPP);
	FAILS(pwritev(fd, in, 2, -1), EINVAL);
	close(fd);
}

static void sizes(void)
{
	struct stat st;
	char buf[4096];
	int fd = open("f", O_RDWR | O_TRUNC);

	CHECK(pwrite(fd, "end", 3, 1000000) == 3);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 1000003 && st.st_blocks < 64);
	CHECK(pread(fd, buf, 4096, 500000) == 4096 && !memcmp(buf, page, 4096));
	off_t data = lseek(fd, 0, SEEK_DATA);
	CHECK(data >= 0 && data <= 1000000);
	CHECK(lseek(fd, 1000001, SEEK_HOLE) == 1000003);
	FAILS(lseek(fd, 1000003, SEEK_DATA), ENXIO);
	CHECK(ftruncate(fd, 1000001) == 0 && ftruncate(fd, 1000010) == 0);
	CHECK(pread(fd, buf, 100, 1000000) == 10 && buf[0] == 'e' && !memcmp(buf + 1, page, 9));
	CHECK(truncate("f", 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5);
	FAILS(truncate("f", -1), EINVAL);
	FAILS(truncate(".", 0), EISDIR);
	FAILS(truncate("none", 0), ENOENT);
	int ro = open("f", O_RDONLY);
	FAILS(ftruncate(ro, 0), EINVAL);
	close(ro);
	if (fallocate(fd, 0, 0, 100000) == 0) {
		CHECK(fstat(fd, &st) == 0 && st.st_size == 100000 && st.st_blocks >= 190);
		memset(buf, 'x', 4096);
		for (int i = 0; i < 25; i++)
			CHECK(pwrite(fd, buf, 4096, i * 4096) == 4096);
		CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000) == 0 && fstat(fd, &st) == 0 && st.st_size == 102400);
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 20000) == 0) {
			CHECK(pread(fd, buf, 4096, 4096) == 4096 && buf[903] == 'x' && buf[904] == 0 && buf[4095] == 0);
			CHECK(pread(fd, buf, 4096, 24576) == 4096 && buf[0] == 0 && buf[423] == 0 && buf[424] == 'x');
		}
		FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
		FAILS(fallocate(fd, 0, 0, 0), EINVAL);
		FAILS(fallocate(fd, 0, -1, 10), EINVAL);
	}
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	close(fd);
}

static void growing(void)
{
	int fd = open("f", O_RDWR | O_TRUNC);
	unsigned sum = 0, n = 0;
	static unsigned block[2500];

	for (int i = 0; i < 800; i++) { /* 8 MB in odd pieces */
		for (int k = 0; k < 2500; k++)
			block[k] = n++;
		CHECK(write(fd, block, sizeof(block)) == sizeof(block));
	}
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	n = 0;
	for (int i = 0; i < 800; i++) {
		CHECK(read(fd, block, sizeof(block)) == sizeof(block));
		for (int k = 0; k < 2500; k++)
			sum += block[k] != n++;
	}
	CHECK(sum == 0);
	unsigned *map = mmap(NULL, 8000000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	for (n = 0; n < 2000000; n++)
		sum += map[n] != n;
	CHECK(sum == 0);
	map[1234567] = 42;
	CHECK(pread(fd, &n, 4, 1234567 * 4) == 4 && n == 42);
	n = 43;
	CHECK(pwrite(fd, &n, 4, 4 * 777) == 4 && map[777] == 43);
	CHECK(munmap(map, 8000000) == 0);
	close(fd);
}

static void mapping(void)
{
	int fd = open("f", O_RDWR | O_TRUNC);

	CHECK(ftruncate(fd, 3 * 4096) == 0);
	char *shared = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *own = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *second = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	CHECK(shared != MAP_FAILED && own != MAP_FAILED && second != MAP_FAILED);
	shared[4096] = 'S';
	CHECK(second[0] == 'S' && own[4096] == 'S');
	own[4096] = 'P';
	CHECK(second[0] == 'S');
	CHECK(pwrite(fd, "W", 1, 4097) == 1 && shared[4097] == 'W' && second[1] == 'W');
	close(fd);
	shared[8192] = 'L'; /* a mapping outlives its descriptor */
	fd = open("f", O_RDWR);
	char c;
	CHECK(pread(fd, &c, 1, 8192) == 1 && c == 'L');
	CHECK(ftruncate(fd, 4096) == 0 && ftruncate(fd, 3 * 4096) == 0);
	CHECK(shared[4096] == 0 && shared[8192] == 0); /* zero, not what was there */
	shared[8192] = 'M';
	CHECK(pread(fd, &c, 1, 8192) == 1 && c == 'M');
	int ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, wo, 0) == MAP_FAILED && errno == EACCES);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	CHECK(p != MAP_FAILED && munmap(p, 4096) == 0);
	close(ro);
	close(wo);
	CHECK(munmap(shared, 3 * 4096) == 0 && munmap(own, 3 * 4096) == 0 && munmap(second, 4096) == 0);
	close(fd);
}

static volatile sig_atomic_t got;
static void on_signal(int signo) { got = signo; }

static void limits(void)
{
	struct rlimit old, small = { 10000, 10000 };
	int fd = open("f", O_RDWR | O_TRUNC);

	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, on_signal);
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CHECK(pwrite(fd, page, 4096, 8000) == 2000);
	CHECK(got == 0);
	FAILS(pwrite(fd, page, 1, 10000), EFBIG);
	CHECK(got == SIGXFSZ);
	FAILS(ftruncate(fd, 10001), EFBIG);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	close(fd);
}

int main(int argc, char **argv)
{
	fs_enter(argc, argv);
	positions();
	vectors();
	sizes();
	growing();
	mapping();
	limits();
	CHECK(unlink("f") == 0);
	fs_leave();
	OK();
}
