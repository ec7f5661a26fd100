/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc, /sys and /dev, as the programs that take them apart do.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "check.h"

static char text[1 << 18];

static char *slurp(const char *name)
{
	int f = open(name, O_RDONLY);
	size_t size = 0;
	ssize_t n;

	if (f < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		exit(1);
	}
	while ((n = read(f, text + size, 700)) > 0) /* in pieces: a text must not change under a reader */
		size += (size_t)n;
	CHECK(n == 0);
	text[size] = 0;
	close(f);
	return text;
}

static unsigned long number(const char *name) { return strtoul(slurp(name), NULL, 0); }

static const char *line(const char *all, const char *key)
{
	const char *p = all;
	size_t n = strlen(key);

	while (p && strncmp(p, key, n))
		p = (p = strchr(p, '\n')) ? p + 1 : NULL;
	if (!p) {
		fprintf(stderr, "no line %s\n", key);
		exit(1);
	}
	return p + n;
}

static void stat_file(void)
{
	char comm[64], state, *end, *s = slurp("/proc/self/stat");
	int pid, ppid, pgrp, session, fields = 0;
	unsigned long start;
	FILE *f;

	CHECK(sscanf(s, "%d (%63[^)]) %c %d %d %d", &pid, comm, &state, &ppid, &pgrp, &session) == 6);
	CHECK(pid == getpid() && ppid == getppid() && pgrp == getpgrp() && session == getsid(0) && state == 'R');
	end = strrchr(s, ')') + 1;
	for (char *p = end; *p; p++)
		fields += *p == ' ';
	CHECK(fields == 50 && s[strlen(s) - 1] == '\n');
	CHECK(sscanf(end, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lu", &start) == 1 && start > 0);
	CHECK((f = fopen("/proc/uptime", "r")) != NULL);
	double up, idle;
	CHECK(fscanf(f, "%lf %lf", &up, &idle) == 2 && (double)start / 100 <= up + 1);
	fclose(f);
}

static void status_file(void)
{
	char name[32];
	unsigned long long v;
	unsigned u[4];
	char *s;

	CHECK(prctl(PR_SET_NAME, "a b(c)") == 0);
	s = slurp("/proc/self/status");
	CHECK(sscanf(line(s, "Name:\t"), "%31[^\n]", name) == 1 && !strcmp(name, "a b(c)"));
	CHECK(atoi(line(s, "Pid:\t")) == getpid() && atoi(line(s, "Tgid:\t")) == getpid() && atoi(line(s, "PPid:\t")) == getppid());
	CHECK(sscanf(line(s, "Uid:\t"), "%u\t%u\t%u\t%u", u, u + 1, u + 2, u + 3) == 4 && u[0] == getuid() && u[1] == geteuid());
	CHECK(sscanf(line(s, "SigBlk:\t"), "%16llx", &v) == 1 && v == 0);
	CHECK(sscanf(line(s, "CapBnd:\t"), "%16llx", &v) == 1);
	CHECK(atoi(line(s, "Threads:\t")) == 1);
	CHECK(sscanf(line(s, "VmSize:\t"), "%llu kB", &v) == 1 && v > 100);
	CHECK(sscanf(line(s, "VmRSS:\t"), "%llu kB", &v) == 1 && v > 0);
	CHECK(!strcmp(slurp("/proc/self/comm"), "a b(c)\n"));
	int f = open("/proc/self/comm", O_WRONLY);
	CHECK(f >= 0 && write(f, "new-name-that-is-long\n", 22) == 22);
	close(f);
	CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "new-name-that-i"));
	CHECK(strstr(slurp("/proc/thread-self/status"), "new-name-that-i"));
}

static void maps_file(void)
{
	static int inside;
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *save = NULL;
	int found = 0, stack = 0, code = 0, data = 0;

	CHECK(p != MAP_FAILED && mprotect(p, 4096, PROT_READ) == 0);
	slurp("/proc/self/maps");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		unsigned long a, b, off, ino;
		unsigned major, minor;
		char perm[5], name[PATH_MAX] = "";
		int at = 0;

		CHECK(sscanf(l, "%lx-%lx %4s %lx %x:%x %lu %n", &a, &b, perm, &off, &major, &minor, &ino, &at) == 7 && a < b);
		if (at && l[at]) {
			CHECK(at >= 73);
			snprintf(name, sizeof(name), "%s", l + at);
		}
		found |= a == (unsigned long)p && b >= a + 4096 && !strcmp(perm, "r--p");
		stack |= !strcmp(name, "[stack]") && a < (unsigned long)&save && b > (unsigned long)&save;
		code |= strchr(name, '/') && strchr(perm, 'x') && a <= (unsigned long)maps_file && b > (unsigned long)maps_file;
		data |= a <= (unsigned long)&inside && b > (unsigned long)&inside && !strcmp(perm, "rw-p");
	}
	CHECK(found && stack && code && data);
	CHECK(strstr(slurp("/proc/self/smaps"), "\nSize: ") && line(text, "Rss: ") && line(text, "VmFlags: rd"));
	unsigned long size, rss;
	CHECK(sscanf(slurp("/proc/self/statm"), "%lu %lu", &size, &rss) == 2 && size > rss && rss > 0);
}

static void texts(char **argv)
{
	extern char **environ;
	int f = open("/proc/self/cmdline", O_RDONLY);
	ssize_t n = read(f, text, sizeof(text));

	CHECK(n > 0 && !strcmp(text, argv[0]) && (size_t)n == strlen(argv[0]) + 1);
	close(f);
	f = open("/proc/self/environ", O_RDONLY);
	n = read(f, text, sizeof(text));
	CHECK(n >= 0 && (!environ[0] || !strcmp(text, environ[0])));
	close(f);
	f = open("/proc/self/auxv", O_RDONLY);
	unsigned long aux[64];
	n = read(f, aux, sizeof(aux));
	CHECK(n > 0 && n % 16 == 0 && aux[n / 8 - 2] == 0);
	int page = 0;
	for (ssize_t i = 0; i < n / 8; i += 2)
		page |= aux[i] == 6 && aux[i + 1] == 4096;
	CHECK(page);
	close(f);
	slurp("/proc/self/limits");
	CHECK(!strncmp(text, "Limit                     Soft Limit           Hard Limit           Units     \n", 79));
	struct rlimit r;
	unsigned long soft;
	CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0 && sscanf(line(text, "Max open files"), "%lu", &soft) == 1 && soft == r.rlim_cur);
	char word[] = "look at me";
	f = open("/proc/self/mem", O_RDWR);
	CHECK(f >= 0 && pread(f, text, sizeof(word), (off_t)(unsigned long)word) == sizeof(word) && !strcmp(text, word));
	CHECK(pwrite(f, "L", 1, (off_t)(unsigned long)word) == 1 && word[0] == 'L');
	FAILS(pread(f, text, 8, 8), EIO);
	close(f);
	CHECK(strstr(slurp("/proc/self/mounts"), " / ") && strstr(slurp("/proc/mounts"), " /proc proc "));
	CHECK(strstr(slurp("/proc/self/mountinfo"), " - "));
}

static void links(const char *program)
{
	char a[PATH_MAX], b[PATH_MAX], here[64];
	struct stat s, t;
	ssize_t n;
	int f, p[2], dirs = 0;

	CHECK((n = readlink("/proc/self/exe", a, sizeof(a) - 1)) > 0);
	a[n] = 0;
	CHECK(realpath(program, b) && !strcmp(a, b));
	CHECK(stat("/proc/self/exe", &s) == 0 && stat(program, &t) == 0 && s.st_ino == t.st_ino);
	CHECK(chdir("/tmp") == 0 && (n = readlink("/proc/self/cwd", a, sizeof(a))) == 4 && !memcmp(a, "/tmp", 4));
	CHECK((n = readlink("/proc/self/root", a, sizeof(a))) == 1);
	CHECK((n = readlink("/proc/self", a, sizeof(a) - 1)) > 0);
	a[n] = 0;
	CHECK(atoi(a) == getpid());
	CHECK((f = open("/tmp/proc_files.x", O_CREAT | O_RDWR | O_TRUNC, 0600)) >= 0 && write(f, "data", 4) == 4);
	snprintf(here, sizeof(here), "/proc/self/fd/%d", f);
	CHECK((n = readlink(here, a, sizeof(a) - 1)) == 17 && !memcmp(a, "/tmp/proc_files.x", 17));
	CHECK(lstat(here, &s) == 0 && S_ISLNK(s.st_mode) && (s.st_mode & 0777) == 0700);
	CHECK(stat(here, &s) == 0 && S_ISREG(s.st_mode) && s.st_size == 4);
	unlink("/tmp/proc_files.x");
	CHECK((n = readlink(here, a, sizeof(a) - 1)) == 27 && !memcmp(a + 17, " (deleted)", 10));
	int again = open(here, O_RDONLY); /* by its link it is still there */
	CHECK(again >= 0 && read(again, a, 8) == 4);
	close(again);
	snprintf(here, sizeof(here), "/proc/self/fdinfo/%d", f);
	CHECK(strstr(slurp(here), "pos:\t4\n") && strstr(text, "flags:\t0"));
	close(f);
	CHECK(pipe(p) == 0);
	snprintf(here, sizeof(here), "/proc/self/fd/%d", p[0]);
	CHECK((n = readlink(here, a, sizeof(a) - 1)) > 0 && fstat(p[0], &s) == 0);
	a[n] = 0;
	snprintf(b, sizeof(b), "pipe:[%lu]", (unsigned long)s.st_ino);
	CHECK(!strcmp(a, b));
	snprintf(here, sizeof(here), "/dev/fd/%d", p[1]);
	CHECK((f = open(here, O_WRONLY)) >= 0 && write(f, "again", 5) == 5 && read(p[0], a, 8) == 5);
	close(f);
	close(p[0]);
	close(p[1]);
	FAILS(open(here, O_RDONLY), ENOENT);
	FAILS(open("/proc/self/fd/x", O_RDONLY), ENOENT);
	FAILS(stat("/proc/4000000", &s), ENOENT);
	DIR *d = opendir("/proc");
	for (struct dirent *e; (e = readdir(d));)
		dirs |= atoi(e->d_name) == getpid() ? 1 : !strcmp(e->d_name, "self") ? 2 : !strcmp(e->d_name, "meminfo") ? 4 :
			!strcmp(e->d_name, "..") ? 8 : 0;
	CHECK(dirs == 15);
	closedir(d);
	FAILS(mkdir("/proc/new", 0700), errno == EPERM ? EPERM : errno == EROFS ? EROFS : ENOENT);
}

static int thread_count(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}
static void *in_thread(void *arg)
{
	char name[64];
	struct stat s;

	CHECK(thread_count() == 2);
	snprintf(name, sizeof(name), "/proc/self/task/%ld/comm", (long)syscall(SYS_gettid));
	CHECK(prctl(PR_SET_NAME, "second") == 0 && !strcmp(slurp(name), "second\n"));
	CHECK(!strcmp(slurp("/proc/thread-self/comm"), "second\n") && strcmp(slurp("/proc/self/comm"), "second\n"));
	snprintf(name, sizeof(name), "/proc/%ld", (long)syscall(SYS_gettid));
	CHECK(stat(name, &s) == 0 && S_ISDIR(s.st_mode));
	return arg;
}

static void machine(void)
{
	cpu_set_t set;
	struct utsname u;
	unsigned long total, left, cpus = 0;
	char again[64];

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	slurp("/proc/cpuinfo");
	for (char *p = text; (p = strstr(p, "processor\t: ")); p++)
		cpus++;
	CHECK(cpus >= (unsigned long)CPU_COUNT(&set) && strstr(text, "\nflags\t\t: fpu ") && strstr(text, "model name\t: "));
	slurp("/proc/meminfo");
	CHECK(sscanf(line(text, "MemTotal:"), "%lu kB", &total) == 1 && sscanf(line(text, "MemAvailable:"), "%lu kB", &left) == 1 && left <= total);
	CHECK(!strncmp(slurp("/proc/stat"), "cpu  ", 5) && line(text, "cpu0 ") && line(text, "btime "));
	CHECK(uname(&u) == 0);
	slurp("/proc/sys/kernel/osrelease");
	CHECK(!strncmp(text, u.release, strlen(u.release)) && text[strlen(u.release)] == '\n');
	CHECK(strstr(slurp("/proc/version"), u.release));
	slurp("/proc/sys/kernel/hostname");
	CHECK(!strncmp(text, u.nodename, strlen(u.nodename)));
	CHECK(strlen(slurp("/proc/sys/kernel/random/boot_id")) == 37 && text[8] == '-' && text[14] == '4');
	strcpy(again, text);
	CHECK(!strcmp(slurp("/proc/sys/kernel/random/boot_id"), again));
	strcpy(again, slurp("/proc/sys/kernel/random/uuid"));
	CHECK(strcmp(slurp("/proc/sys/kernel/random/uuid"), again));
	CHECK(number("/proc/sys/kernel/pid_max") >= 32768 && number("/proc/sys/vm/max_map_count") >= 65530);
	CHECK(number("/proc/sys/fs/pipe-max-size") == 1048576 && number("/proc/sys/fs/nr_open") >= 1024);
	CHECK(number("/proc/sys/net/core/somaxconn") >= 128 && number("/proc/sys/fs/inotify/max_user_watches") > 0);
	CHECK(strstr(slurp("/proc/filesystems"), "nodev\tproc\n"));
	CHECK(isdigit(slurp("/proc/loadavg")[0]) && strchr(text, '/'));
	CHECK(slurp("/sys/devices/system/cpu/online")[0] == '0' && slurp("/sys/devices/system/cpu/possible")[0] == '0');
	CHECK(strstr(slurp("/proc/self/cgroup"), "::/") || strstr(text, ":/"));
}

static void device(const char *name, unsigned major, unsigned minor)
{
	struct stat s;

	CHECK(stat(name, &s) == 0 && S_ISCHR(s.st_mode) && s.st_rdev == makedev(major, minor));
}

static void devices(void)
{
	char a[64], b[64];
	struct stat s;
	int f;

	device("/dev/null", 1, 3);
	device("/dev/zero", 1, 5);
	device("/dev/full", 1, 7);
	device("/dev/random", 1, 8);
	device("/dev/urandom", 1, 9);
	device("/dev/tty", 5, 0);
	CHECK((f = open("/dev/null", O_RDWR)) >= 0 && write(f, a, 64) == 64 && read(f, a, 64) == 0 && lseek(f, 100, SEEK_SET) == 0);
	close(f);
	memset(a, 1, sizeof(a));
	CHECK((f = open("/dev/zero", O_RDWR)) >= 0 && read(f, a, 64) == 64 && !a[0] && !a[63]);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0), *q = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	CHECK(p != MAP_FAILED && q != MAP_FAILED && !p[5000] && !q[5000]);
	p[1] = q[1] = 1;
	struct iovec v[2] = { { a, 32 }, { b, 64 } };
	CHECK(readv(f, v, 2) == 96 && !b[63]);
	close(f);
	CHECK((f = open("/dev/full", O_RDWR)) >= 0 && read(f, a, 1) == 1);
	FAILS(write(f, a, 1), ENOSPC);
	close(f);
	CHECK((f = open("/dev/urandom", O_RDONLY)) >= 0 && read(f, a, 64) == 64 && read(f, b, 64) == 64 && memcmp(a, b, 64));
	close(f);
	CHECK(stat("/dev/shm", &s) == 0 && S_ISDIR(s.st_mode) && (s.st_mode & 07777) == 01777);
	FAILS(open("/dev/null/x", O_RDONLY), ENOTDIR);
}

int main(int argc, char **argv)
{
	char program[PATH_MAX];
	pthread_t t;

	(void)argc;
	CHECK(realpath(argv[0], program));
	stat_file();
	status_file();
	maps_file();
	texts(argv);
	links(program);
	CHECK(thread_count() == 1);
	CHECK(pthread_create(&t, NULL, in_thread, NULL) == 0);
	pthread_join(t, NULL);
	machine();
	devices();
	OK();
}
