/* SPDX-License-Identifier: Apache-2.0
 *
 * Random calls on a few names and descriptors; each one's result is printed.
 * The same seed on the same kind of file system must print the same, so a run
 * on the host and one inside are compared.
 * usage: random-files DIRECTORY SEED COUNT [user]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 8

static uint64_t state;
static int fds[FDS], fd; /* fd: the one of this step */
static char a[600], b[600], buf[20000];
static int as_user;

static unsigned rnd(unsigned n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(state >> 33) % n;
}

static void name(char *out)
{
	static const char *const part[] = { "a", "b", "c", "d", "e", ".", "..", "l1", "l2", "longer_than_a_name_before" };
	unsigned n = 1 + rnd(3);

	strcpy(out, rnd(40) ? "" : "/proc/self/cwd/");
	for (unsigned i = 0; i < n; i++) {
		strcat(out, part[rnd(10)]);
		if (i + 1 < n)
			strcat(out, rnd(20) ? "/" : "//");
	}
	if (!rnd(15))
		strcat(out, "/");
}

static unsigned sum(const char *p, long n)
{
	unsigned h = 5381;

	for (long i = 0; i < n; i++)
		h = h * 33 + (unsigned char)p[i];
	return h;
}

static void result(const char *what, long r)
{
	printf(" %s=%ld/%d", what, r, r < 0 ? errno : 0);
}
static void data(const char *what, long r)
{
	result(what, r);
	if (r > 0)
		printf(" %x", sum(buf, r));
}
static size_t fill(void)
{
	size_t n = rnd(sizeof(buf));
	memset(buf, 'A' + (int)rnd(26), n);
	return n;
}
static void show(const struct stat *st)
{
	long dir = S_ISDIR(st->st_mode);
	printf(" %o %ld %ld", st->st_mode, dir ? 0 : (long)st->st_size, dir ? !st->st_nlink : (long)st->st_nlink);
}

static void op_open(void)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_CREAT, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC,
		O_RDWR | O_CREAT | O_EXCL, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_RDWR | O_APPEND | O_CREAT, O_PATH,
		O_PATH | O_NOFOLLOW, O_RDONLY | O_CREAT, O_RDWR | O_TRUNC, O_TMPFILE | O_RDWR };
	unsigned k = rnd(FDS);
	int f = flags[rnd(15)], new = open(a, f, rnd(2) ? 0644 : 0600);

	printf("open %s %x", a, f);
	result("", new < 0 ? -1 : 0);
	if (new < 0)
		return;
	if (fds[k] >= 0)
		close(fds[k]);
	fds[k] = new;
}
static void op_mkdir(void) { printf("mkdir %s", a); result("", mkdir(a, rnd(2) ? 0755 : 0700)); }
static void op_rmdir(void) { printf("rmdir %s", a); result("", rmdir(a)); }
static void op_unlink(void) { printf("unlink %s", a); result("", unlink(a)); }
static void op_rename(void) { printf("rename %s %s", a, b); result("", rename(a, b)); }
static void op_rename2(void)
{
	unsigned flags = rnd(4);
	printf("rename %s %s %u", a, b, flags);
	result("", syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags));
}
static void op_link(void) { printf("link %s %s", a, b); result("", link(a, b)); }
static void op_symlink(void) { printf("symlink %s %s", a, b); result("", symlink(a, b)); }
static void op_readlink(void) { printf("readlink %s", a); data("", readlink(a, buf, 100)); }
static void op_stat(void)
{
	struct stat st;

	printf("stat %s", a);
	if (lstat(a, &st) == 0)
		show(&st);
	result("", stat(a, &st));
}
static void op_list(void)
{
	DIR *d = opendir(a);
	struct dirent *e;
	unsigned h = 0;
	int n = 0;

	printf("list %s", a);
	result("", d ? 0 : -1);
	for (; d && (e = readdir(d)); n++)
		h += sum(e->d_name, (long)strlen(e->d_name)) * (e->d_type + 1u);
	printf(" %d %x", n, h);
	if (d)
		closedir(d);
}
static void op_write(void) { printf("write"); result("", write(fd, buf, fill())); }
static void op_pwrite(void) { printf("pwrite"); result("", pwrite(fd, buf, fill(), rnd(60000))); }
static void op_read(void) { printf("read"); data("", read(fd, buf, rnd(sizeof(buf)))); }
static void op_pread(void) { printf("pread"); data("", pread(fd, buf, rnd(sizeof(buf)), rnd(60000))); }
static void op_lseek(void)
{
	struct stat st;
	off_t to = (off_t)rnd(70000) - 1000;
	int whence = (int)rnd(3);

	printf("lseek");
	if (fstat(fd, &st) || !S_ISDIR(st.st_mode)) /* positions in directories are each file system's own */
		result("", lseek(fd, to, whence));
}
static void op_ftruncate(void) { printf("ftruncate"); result("", ftruncate(fd, (long)rnd(70000) - 100)); }
static void op_truncate(void) { printf("truncate %s", a); result("", truncate(a, rnd(50000))); }
static void op_fstat(void)
{
	struct stat st;
	int r = fstat(fd, &st);

	printf("fstat");
	result("", r);
	if (!r)
		show(&st);
}
static void op_chmod(void)
{
	static const mode_t modes[] = { 0755, 0640, 0, 0111, 0444, 0555, 0666, 01777, 0755, 01755, 0311, 0600 };
	printf("chmod %s", a);
	result("", chmod(a, modes[rnd(as_user ? 12 : 2)]));
}
static void op_fallocate(void)
{
	static const int modes[] = { 0, 1, 3, 2 };
	int mode = modes[rnd(4)];
	off_t at = rnd(40000);

	printf("fallocate %d", mode);
	result("", fallocate(fd, mode, at, 1 + rnd(40000)));
}
static void op_copy(void)
{
	off_t from = rnd(30000), to = rnd(30000);
	int other = fds[rnd(FDS)];

	printf("copy");
	result("", copy_file_range(fd, rnd(2) ? &from : NULL, other, rnd(2) ? &to : NULL, rnd(20000), 0));
}
static void op_link_fd(void)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	printf("link fd %s", b);
	result("", linkat(AT_FDCWD, proc, AT_FDCWD, b, AT_SYMLINK_FOLLOW));
}
static void op_writev(void)
{
	struct iovec v[3];

	for (int i = 0; i < 3; i++)
		v[i] = (struct iovec){ buf + i * 100, rnd(5000) };
	memset(buf, '0' + (int)rnd(10), sizeof(buf));
	printf("writev");
	result("", writev(fd, v, 3));
}
static void op_access(void) { printf("access %s", a); result("", access(a, (int)rnd(8))); }
static void op_chown(void)
{
	uid_t uid = rnd(2) ? 1000 : (uid_t)-1;
	printf("chown %s", a);
	result("", as_user ? chown(a, uid, rnd(2) ? 1000 : 0) : 0);
}
static void op_times(void)
{
	struct timespec t[2] = { { rnd(1000), 5 }, { rnd(1000), rnd(3) ? 7 : UTIME_NOW } };
	struct stat st;

	if (!rnd(4))
		t[0].tv_nsec = UTIME_NOW;
	printf("times %s", a);
	result("", utimensat(AT_FDCWD, a, rnd(4) ? t : NULL, rnd(2) ? AT_SYMLINK_NOFOLLOW : 0));
	if (!lstat(a, &st))
		printf(" %ld", st.st_mtime < 100000 ? (long)st.st_mtime : -1);
}

static void (*const ops[])(void) = {
	op_open, op_open, op_open, op_open, op_mkdir, op_mkdir, op_rmdir, op_unlink, op_unlink, op_rename, op_rename, op_rename,
	op_rename2, op_link, op_symlink, op_symlink, op_readlink, op_stat, op_stat, op_list, op_write, op_write, op_pwrite, op_read,
	op_pread, op_lseek, op_ftruncate, op_truncate, op_fstat, op_chmod, op_fallocate, op_copy, op_link_fd, op_writev, op_access,
	op_chown, op_times,
};

static void become_user(void)
{
	if (chmod(".", 01777) || chown(".", 1000, 1000) || setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000)) {
		perror("another user");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4 || chdir(argv[1])) {
		perror("usage: random-files DIRECTORY SEED COUNT [user]");
		return 1;
	}
	state = strtoull(argv[2], NULL, 10) * 7919 + 1;
	umask(022);
	/* Links made of ".." can lead up any way, and root may change what is
	 * there: it stays in. Others do no harm; six levels are for the same answers. */
	if (geteuid() == 0 && (chroot(".") || chdir("/"))) {
		perror("chroot");
		return 1;
	}
	for (int i = 0; i < 6; i++)
		if ((mkdir("deep", 0755) && errno != EEXIST) || chdir("deep"))
			return 1;
	as_user = argc > 4;
	if (as_user)
		become_user();
	for (int i = 0; i < FDS; i++)
		fds[i] = -1;
	for (long i = 0, n = atol(argv[3]); i < n; i++) {
		name(a);
		name(b);
		fd = fds[rnd(FDS)];
		printf("%ld ", i);
		ops[rnd(sizeof(ops) / sizeof(*ops))]();
		putchar('\n');
	}
	return 0;
}
