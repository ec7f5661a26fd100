/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop devices: a file as a block device, within its bounds, and let go at the
 * last close. Where there are none, or we may not, nothing is tested.
 */
#include "check.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 16384

static int read_number(const char *format, int device)
{
	char name[64];
	int value = -1;
	FILE *f;

	snprintf(name, sizeof(name), format, device);
	f = fopen(name, "r");
	if (f && fscanf(f, "%d", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

static int open_free(int control, int file, int *number)
{
	struct loop_config c = { .fd = (unsigned)file, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR, .lo_offset = 512, .lo_sizelimit = 8192 } };
	char name[32];

	for (int turn = 0; turn < 16; turn++) { /* another may be faster */
		int fd;

		*number = ioctl(control, LOOP_CTL_GET_FREE);
		CHECK(*number >= 0);
		snprintf(name, sizeof(name), "/dev/loop%d", *number);
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -1;
		if (!ioctl(fd, LOOP_CONFIGURE, &c))
			return fd;
		CHECK(errno == EBUSY);
		close(fd);
	}
	return -1;
}

int main(void)
{
	char name[] = "loop-XXXXXX", text[600], *page;
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file, dev, number;
	unsigned long long bytes = 0;
	struct loop_info64 info;
	struct stat st;

	if (control < 0)
		OK();
	FAILS(ioctl(control, LOOP_CTL_REMOVE, -1), EINVAL);
	file = mkstemp(name);
	CHECK(file >= 0 && !unlink(name) && !ftruncate(file, SIZE));
	dev = open_free(control, file, &number);
	if (dev < 0)
		OK();
	CHECK(!fstat(dev, &st) && S_ISBLK(st.st_mode) && st.st_rdev >> 8 == 7);
	CHECK(!ioctl(dev, BLKGETSIZE64, &bytes) && bytes == 8192);
	CHECK(lseek(dev, 0, SEEK_END) == 8192);
	CHECK(!ioctl(dev, LOOP_GET_STATUS64, &info));
	CHECK(info.lo_number == (unsigned)number && info.lo_offset == 512 && info.lo_flags & LO_FLAGS_AUTOCLEAR);
	CHECK(read_number("/sys/block/loop%d/size", number) == 16 && read_number("/sys/block/loop%d/loop/offset", number) == 512);

	memset(text, 'x', sizeof(text));
	CHECK(pwrite(dev, text, sizeof(text), 8192 - 100) == 100);
	FAILS(pwrite(dev, text, 1, 8192), ENOSPC);
	CHECK(!fsync(dev));
	page = calloc(1, SIZE);
	CHECK(page && pread(file, page, SIZE, 0) == SIZE);
	CHECK(page[512 + 8191] == 'x' && page[512 + 8192] == 0 && page[512 + 8091] == 0 && page[512 + 8092] == 'x');
	CHECK(pread(dev, page, SIZE, 8000) == 192 && pread(dev, page, SIZE, 8192) == 0);

	FAILS(ioctl(dev, LOOP_SET_FD, file), EBUSY);
	FAILS(ioctl(dev, LOOP_CHANGE_FD, file), EINVAL); /* not read-only */
	FAILS(ioctl(dev, LOOP_SET_BLOCK_SIZE, 1000), EINVAL);
	info.lo_sizelimit = 0;
	CHECK(!ioctl(dev, LOOP_SET_STATUS64, &info));
	CHECK(!ioctl(dev, BLKGETSIZE64, &bytes) && bytes == SIZE - 512);
	CHECK(!ftruncate(file, SIZE / 2) && !ioctl(dev, LOOP_SET_CAPACITY));
	CHECK(!ioctl(dev, BLKGETSIZE64, &bytes) && bytes == SIZE / 2 - 512);
	close(dev);
	OK();
}
