/* SPDX-License-Identifier: Apache-2.0
 *
 * From file to file: sendfile, copy_file_range, splice, tee, vmsplice.
 */
#include "fs.h"
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
	static char big[300000], back[300000];
	char buf[64];
	loff_t from = 0, to = 0;
	int a, b, p[2], q[2];

	fs_enter(argc, argv);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	a = open("a", O_CREAT | O_RDWR, 0644);
	b = open("b", O_CREAT | O_RDWR, 0644);
	CHECK(write(a, big, sizeof(big)) == sizeof(big));

	off_t at = 1000;
	CHECK(sendfile(b, a, &at, 2000) == 2000 && at == 3000 && lseek(b, 0, SEEK_CUR) == 2000);
	CHECK(pread(b, back, 3000, 0) == 2000 && !memcmp(back, big + 1000, 2000));
	CHECK(lseek(a, 0, SEEK_SET) == 0 && lseek(b, 0, SEEK_SET) == 0);
	CHECK(sendfile(b, a, NULL, 1000000) == sizeof(big) && lseek(a, 0, SEEK_CUR) == sizeof(big));
	CHECK(pread(b, back, sizeof(back), 0) == sizeof(back) && !memcmp(big, back, sizeof(big)));
	CHECK(sendfile(b, a, NULL, 10) == 0);
	CHECK(pipe(p) == 0 && pipe(q) == 0);
	FAILS(sendfile(p[1], p[0], NULL, 1), EINVAL);
	FAILS(sendfile(b, 99, NULL, 1), EBADF);

	CHECK(ftruncate(b, 0) == 0);
	from = 5;
	to = 10;
	CHECK(copy_file_range(a, &from, b, &to, 100, 0) == 100 && from == 105 && to == 110);
	CHECK(pread(b, back, 200, 0) == 110 && !memcmp(back + 10, big + 5, 100) && !back[0]);
	FAILS(copy_file_range(a, &from, a, &from, 100, 0), EINVAL);
	FAILS(copy_file_range(a, NULL, b, NULL, 100, 1), EINVAL);
	FAILS(copy_file_range(p[0], NULL, b, NULL, 100, 0), EINVAL);
	from = (loff_t)sizeof(big);
	CHECK(copy_file_range(a, &from, b, NULL, 100, 0) == 0);
	int elsewhere = memfd_create("another file system", 0);
	CHECK(elsewhere >= 0);
	FAILS(copy_file_range(a, NULL, elsewhere, NULL, 100, 0), EXDEV);
	close(elsewhere);

	from = 100;
	CHECK(splice(a, &from, p[1], NULL, 5000, 0) == 5000 && from == 5100);
	CHECK(tee(p[0], q[1], 3000, 0) == 3000);
	CHECK(read(q[0], back, 4000) == 3000 && !memcmp(back, big + 100, 3000));
	CHECK(splice(p[0], NULL, q[1], NULL, 1000, 0) == 1000 && read(q[0], back, 4000) == 1000);
	to = 0;
	CHECK(splice(p[0], NULL, b, &to, 10000, 0) == 4000 && to == 4000);
	CHECK(pread(b, back, 4000, 0) == 4000 && !memcmp(back, big + 1100, 4000));
	FAILS(splice(p[0], NULL, b, &to, 100, SPLICE_F_NONBLOCK), EAGAIN);
	FAILS(splice(p[0], &from, b, &to, 100, 0), ESPIPE);
	FAILS(splice(a, NULL, b, NULL, 100, 0), EINVAL);
	FAILS(tee(p[0], b, 100, 0), EINVAL);
	struct iovec v[2] = { { (void *)"one", 3 }, { (void *)"two", 3 } };
	CHECK(vmsplice(p[1], v, 2, 0) == 6 && read(p[0], buf, 64) == 6 && !memcmp(buf, "onetwo", 6));
	close(p[1]);
	CHECK(splice(p[0], NULL, b, NULL, 100, 0) == 0);
	close(a);
	close(b);
	CHECK(unlink("a") == 0 && unlink("b") == 0);
	fs_leave();
	OK();
}
