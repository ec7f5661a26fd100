/* SPDX-License-Identifier: Apache-2.0
 *
 * The host around a fuzzed instance: a scratch tree with the directories that
 * are mounted, and beside them a decoy that must never be touched. Knows
 * nothing of requests.
 *
 * A policy with an error does what the fuzzer asks for. So root is given away
 * first of all, and where the kernel has Landlock nothing outside the scratch
 * tree can be changed by this process at all; the decoy stands inside, so that
 * an escape is seen and not merely stopped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define NOBODY 65534
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

char world_root[128];
static uint64_t manifest;
static int terminal = -1; /* master side */
static int janitor_fd = -1;
static pid_t janitor;

_Noreturn static void fail(const char *what)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- rights ---- */

static void give_root_away(void)
{
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
		fail("root cannot be given away");
	prctl(PR_SET_DUMPABLE, 1); /* for the leak checker */
}

static void allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC) };

	if (rule.parent_fd < 0)
		return;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		fail("landlock rule");
	close(rule.parent_fd);
}

/* Version 1 forbids all moves between directories, so it is not used. */
static void fence(const char *also)
{
	uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* its version */);
	struct landlock_ruleset_attr attr;
	int rules;

	if (version < 2)
		return;
	if (version >= 3)
		writing |= LANDLOCK_ACCESS_FS_TRUNCATE;
	attr = (struct landlock_ruleset_attr){ .handled_access_fs = writing };
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (rules < 0)
		return;
	allow(rules, world_root, writing);
	if (also)
		allow(rules, also, writing);
	allow(rules, "/dev", LANDLOCK_ACCESS_FS_WRITE_FILE);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, rules, 0))
		fail("landlock");
	close(rules);
}

/* ---- trees ---- */

__attribute__((format(printf, 1, 2)))
static const char *in_root(const char *format, ...)
{
	static __thread char path[2][512];
	static __thread unsigned turn;
	char *to = path[turn++ % 2];
	int n = snprintf(to, sizeof(path[0]), "%s/", world_root);
	__builtin_va_list arguments;

	__builtin_va_start(arguments, format);
	vsnprintf(to + n, sizeof(path[0]) - (size_t)n, format, arguments);
	__builtin_va_end(arguments);
	return to;
}

static void make_file(const char *tree, const char *name, const char *text)
{
	int fd = open(in_root("%s/%s", tree, name), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(name);
	close(fd);
}

static void make_tree(const char *tree)
{
	static const char *const directories[] = { "a", "a/b", "a/sub", "d", "dir0", "inner", "deep" };
	static const char *const files[] = { "file", "a/file", "a/b/c", "d/passwd", "f0", "dir0/f1" };

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (mkdir(in_root("%s/%s", tree, directories[i]), 0755))
			fail(directories[i]);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		make_file(tree, files[i], "inside");
	if (symlink(in_root("outside"), in_root("%s/abs", tree)) || symlink("../outside", in_root("%s/l", tree)) ||
	    symlink("../../outside", in_root("%s/a/up", tree)) || symlink("loop", in_root("%s/loop", tree)) ||
	    symlink("file", in_root("%s/near", tree)) || mkfifo(in_root("%s/fifo", tree), 0644) ||
	    mknod(in_root("%s/socket", tree), S_IFSOCK | 0644, 0))
		fail(tree);
}

static void remove_at(int at, const char *name);

static void empty_at(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		fail(name);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			remove_at(fd, e->d_name);
	closedir(d);
}

static void remove_at(int at, const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		fail(name);
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(at, name, 0))
			fail(name);
		return;
	}
	if (fchmodat(at, name, 0700, 0))
		fail(name);
	empty_at(at, name);
	if (unlinkat(at, name, AT_REMOVEDIR))
		fail(name);
}

static const char *const writable[] = { "rw", "rw2" };

void world_reset(void)
{
	for (size_t i = 0; i < 2; i++) {
		if (chmod(in_root("%s", writable[i]), 0755))
			fail(writable[i]);
		empty_at(AT_FDCWD, in_root("%s", writable[i]));
		make_tree(writable[i]);
	}
	if (chmod(in_root("one"), 0644))
		fail("one");
	make_file(".", "one", "single");
	make_file("stdio", "whole", "");
}

/* ---- what must stay as it is ---- */

static uint64_t fold(uint64_t hash, uint64_t value)
{
	return source_mix(hash ^ value);
}

static uint64_t entry_hash(const char *name, const struct stat *st, bool contents)
{
	uint64_t hash = fold((uint64_t)st->st_ino, st->st_mode & (contents ? ~0u : (unsigned)S_IFMT));

	for (; *name; name++)
		hash = fold(hash, (uint8_t)*name);
	hash = fold(hash, st->st_nlink);
	if (!contents)
		return hash;
	hash = fold(fold(fold(hash, st->st_uid), st->st_gid), (uint64_t)st->st_size);
	hash = fold(fold(hash, (uint64_t)st->st_mtim.tv_sec), (uint64_t)st->st_mtim.tv_nsec);
	return fold(fold(hash, (uint64_t)st->st_ctim.tv_sec), (uint64_t)st->st_ctim.tv_nsec);
}

/* A sum, so that the order of a listing does not matter. Times of change are
 * in it: not even writing the same again would go unseen. */
static uint64_t tree_hash(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	uint64_t sum = 0;
	struct stat st;

	if (!d || fstat(dirfd(d), &st))
		fail(path);
	sum += entry_hash(".", &st, true);
	while ((e = readdir(d))) {
		char below[512];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			fail(below);
		sum += entry_hash(e->d_name, &st, true);
		if (S_ISDIR(st.st_mode))
			sum += tree_hash(below);
	}
	closedir(d);
	return sum;
}

/* The decoy and what is mounted read-only, wholly; of the scratch directory
 * that nothing came, went or was replaced. */
static uint64_t survey(void)
{
	static const char *const kept[] = { "outside", "ro" };
	static const char *const identity[] = { "one", "rw", "rw2", "stdio", "stdio/append", "stdio/whole" };
	uint64_t sum = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		sum = fold(sum, tree_hash(in_root("%s", kept[i])));
	for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++) {
		if (lstat(in_root("%s", identity[i]), &st))
			fail(identity[i]);
		st.st_nlink = S_ISDIR(st.st_mode) ? 0 : st.st_nlink;
		sum = fold(sum, entry_hash(identity[i], &st, false));
	}
	if (stat(world_root, &st))
		fail(world_root);
	return fold(sum, entry_hash("", &st, true));
}

void world_check(void)
{
	if (survey() != manifest)
		fault("something outside the granted trees has changed: see %s", world_root);
}

/* ---- start and end ---- */

static void make_all(void)
{
	static const char *const directories[] = { "rw", "rw2", "ro", "outside", "outside/dir", "stdio", "bin" };

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (mkdir(in_root("%s", directories[i]), 0755))
			fail(directories[i]);
	make_file("outside", "passwd", "theirs");
	make_file("outside", "file", "theirs");
	make_file("outside/dir", "file", "theirs");
	make_file("stdio", "append", "before");
	make_file(".", "one", "");
	make_file("stdio", "whole", "");
	make_tree("ro");
}

/* Outside the fence somebody must be left who can clear the tree away, however
 * this process ends. */
static void leave_janitor(void)
{
	int ends[2];
	char byte;

	if (pipe2(ends, O_CLOEXEC) || (janitor = fork()) < 0)
		fail("janitor");
	if (janitor) {
		close(ends[0]);
		janitor_fd = ends[1];
		return;
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 0) {
		empty_at(AT_FDCWD, world_root);
		rmdir(world_root);
	}
	_exit(0);
}

void world_keep(void)
{
	if (janitor_fd < 0 || write(janitor_fd, "", 1) != 1)
		return;
	fprintf(stderr, "fuzz: left behind: %s\n", world_root);
}

void world_init(const char *under, const char *also)
{
	give_root_away();
	umask(022);
	signal(SIGXFSZ, SIG_IGN); /* the sizes of files are limited here */
	signal(SIGPIPE, SIG_IGN);
	if (!under)
		under = access("/dev/shm", W_OK | X_OK) ? "/tmp" : "/dev/shm";
	snprintf(world_root, sizeof(world_root), "%.100s/pico-fuzz-XXXXXX", under);
	if (!mkdtemp(world_root) || chmod(world_root, 0755))
		fail(world_root);
	leave_janitor();
	make_all();
	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal >= 0 && (grantpt(terminal) || unlockpt(terminal))) {
		close(terminal);
		terminal = -1;
	}
	fence(also);
	world_reset();
	manifest = survey();
}

void world_fini(void)
{
	close(janitor_fd);
	waitpid(janitor, NULL, 0);
	if (terminal >= 0)
		close(terminal);
}

int world_stdio(unsigned kind)
{
	int ends[2];

	switch (kind % WORLD_STDIO) {
	case 0:
		return open(in_root("stdio/whole"), O_RDWR | O_CLOEXEC);
	case 1:
		return open(in_root("stdio/append"), O_WRONLY | O_APPEND | O_CLOEXEC);
	case 2:
		if (pipe2(ends, O_CLOEXEC))
			return -1;
		close(ends[0]);
		return ends[1];
	case 3:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
			return -1;
		close(ends[0]);
		return ends[1];
	case 4:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 5:
		return open("/dev/zero", O_RDONLY | O_CLOEXEC);
	default:
		return terminal < 0 ? -1 : open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
}

/* The kernel calls a process by the name it was started under. */
const char *world_sleeper(const char *name)
{
	static char path[512], last[32];

	if (strcmp(last, name)) {
		if (*last)
			unlink(path);
		snprintf(last, sizeof(last), "%s", name);
		snprintf(path, sizeof(path), "%s", in_root("bin/%s", name));
		if (symlink("/bin/sleep", path))
			fail(path);
	}
	return path;
}

unsigned world_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned count = 0;
	struct dirent *e;

	if (!d)
		fail("/proc/self/fd");
	while ((e = readdir(d)))
		count += e->d_name[0] != '.';
	closedir(d);
	return count - 1; /* of the listing itself */
}

uint64_t world_memory(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

uint64_t world_resident(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- hostility ---- */

static bool starts(const char *text, const char *with, const char **rest)
{
	size_t size = strlen(with);

	*rest = text + size;
	return !strncmp(text, with, size);
}

static const char *granted_in_root(const char *name, int flags)
{
	const char *rest;

	if (starts(name, "rw/", &rest) || starts(name, "rw2/", &rest) || !strcmp(name, "one") || !strcmp(name, "stdio/whole"))
		return NULL;
	if (starts(name, "ro/", &rest))
		return (flags & O_ACCMODE) == O_RDONLY ? NULL : "writable, of a read-only mount";
	if (!strcmp(name, "stdio/append"))
		return (flags & O_APPEND) ? NULL : "no longer for appending";
	return "outside what is granted";
}

const char *world_granted(int fd)
{
	static const char *const good[] = { "/memfd:pico-memory", "/memfd:pico-segment", "pipe:[", "socket:[",
		"anon_inode:[eventfd]", "/dev/null", "/dev/zero", "/dev/pts/" };
	char link[64], target[4096];
	const char *rest;
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	ssize_t n;

	if (flags < 0 || fstat(fd, &st))
		return "not open";
	if ((flags & O_PATH) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return "of a kind that is never granted";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return errno == ENAMETOOLONG ? NULL : "without a name";
	target[n] = 0;
	if (n == sizeof(target) - 1)
		return NULL; /* a very deep one */
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (starts(target, good[i], &rest))
			return NULL;
	if (!starts(target, world_root, &rest) || *rest != '/')
		return "outside the scratch tree";
	/* Only a rename of this tree's files can be behind "(deleted)" here. */
	if (strstr(rest, " (deleted)") && !st.st_nlink)
		return starts(rest + 1, "ro/", &rest) ? "deleted in a read-only mount" : NULL;
	return granted_in_root(rest + 1, flags);
}

/* Of a name of at most two components. The guest may have put a link out of
 * the tree in the place of the first. */
static int directory_of(const char *tree, const char *name, const char **last)
{
	char path[64];
	const char *slash = strchr(name, '/');
	int root = open(in_root("%s", tree), O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	*last = slash ? slash + 1 : name;
	if (!slash || root < 0)
		return root;
	snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name);
	fd = openat(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(root);
	return fd;
}

void world_flip(struct source *s)
{
	static const struct { const char *a, *b; unsigned flags; } moves[] = {
		{ "d", "l", RENAME_EXCHANGE }, { "d", "abs", RENAME_EXCHANGE }, { "file", "fifo", RENAME_EXCHANGE },
		{ "f0", "dir0", RENAME_EXCHANGE }, { "a/file", "a/up", RENAME_EXCHANGE }, { "a/sub", "sub", 0 },
		{ "sub", "a/sub", 0 }, { "a/b", "b", 0 }, { "b", "a/b", 0 }, { "a", "d", RENAME_EXCHANGE },
		{ "file", "loop", RENAME_EXCHANGE }, { "dir0", "dir1", 0 }, { "dir1", "dir0", 0 },
	};
	unsigned i = source_below(s, sizeof(moves) / sizeof(moves[0]));
	const char *tree = SOURCE_PICK(s, writable), *from_name, *to_name;
	int from = directory_of(tree, moves[i].a, &from_name), to = directory_of(tree, moves[i].b, &to_name);

	if (from >= 0 && to >= 0) /* the names may be gone; that is part of it */
		renameat2(from, from_name, to, to_name, moves[i].flags);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}
