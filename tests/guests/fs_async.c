/* SPDX-License-Identifier: Apache-2.0
 *
 * io_setup, io_submit, io_getevents: requests, their results, and refusals.
 */
#include "fs.h"
#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>

static long submit(aio_context_t c, struct iocb *cb) { return syscall(SYS_io_submit, c, 1, &cb); }

static long collect(aio_context_t c, long least, long most, struct io_event *e)
{
	struct timespec ts = { 0, 10000000 };

	return syscall(SYS_io_getevents, c, least, most, e, &ts);
}

int main(int argc, char **argv)
{
	aio_context_t c = 0, other = 0;
	struct io_event e[4];
	struct iocb cb = { 0 };
	char text[16];
	struct iovec v[2] = { { text, 2 }, { text + 2, 14 } };
	eventfd_t count;
	int fd, told;

	fs_enter(argc, argv);
	if (syscall(SYS_io_setup, 2, &c) == -1 && errno == ENOSYS)
		goto out; /* a kernel without */
	CHECK(c);
	FAILS(syscall(SYS_io_setup, 2, &c), EINVAL); /* not zero */
	FAILS(syscall(SYS_io_setup, 0, &other), EINVAL);
	FAILS(syscall(SYS_io_setup, 2, NULL), EFAULT);
	fd = open("data", O_RDWR | O_CREAT, 0600);
	told = eventfd(0, 0);
	CHECK(fd >= 0 && told >= 0);

	cb = (struct iocb){ .aio_data = 7, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = (unsigned)fd, .aio_buf = (unsigned long)"asynchronous",
		.aio_nbytes = 12, .aio_offset = 3, .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (unsigned)told };
	CHECK(submit(c, &cb) == 1);
	CHECK(!eventfd_read(told, &count) && count == 1);
	CHECK(collect(c, 1, 4, e) == 1 && e[0].data == 7 && e[0].obj == (unsigned long)&cb && e[0].res == 12);
	CHECK(collect(c, 0, 4, e) == 0 && collect(c, 1, 4, e) == 0); /* nothing comes: out of time */

	cb = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = (unsigned)fd, .aio_buf = (unsigned long)v, .aio_nbytes = 2, .aio_offset = 3 };
	CHECK(submit(c, &cb) == 1 && collect(c, 1, 1, e) == 1 && e[0].res == 12 && !memcmp(text, "asynchronous", 12));
	cb = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (unsigned)fd, .aio_buf = 1, .aio_nbytes = 4 };
	CHECK(submit(c, &cb) == 1 && collect(c, 1, 1, e) == 1 && e[0].res == -EFAULT); /* told like any result */

	cb.aio_lio_opcode = 99;
	FAILS(submit(c, &cb), EINVAL);
	cb.aio_fildes = 999;
	FAILS(submit(c, &cb), EBADF);
	FAILS(submit(0, &cb), EINVAL);
	FAILS(syscall(SYS_io_submit, c, 1, NULL), EFAULT);
	FAILS(syscall(SYS_io_submit, c, -1l, NULL), EINVAL);
	FAILS(collect(c, 3, 2, e), EINVAL);
	CHECK(!syscall(SYS_io_destroy, c));
	FAILS(syscall(SYS_io_destroy, c), EINVAL);
	FAILS(collect(c, 0, 1, e), EINVAL);
	CHECK(!unlink("data"));
out:
	fs_leave();
	OK();
}
