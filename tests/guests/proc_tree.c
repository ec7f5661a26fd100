/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes look at each other: through /proc/PID, process_vm_readv, kcmp and
 * pidfd_getfd, whatever the other is doing at the time.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_getfd 438
#endif

static char text[1 << 17];
static volatile int *shared; /* between all processes of this test */

static const char *path(int pid, const char *name)
{
	static char buf[64];

	snprintf(buf, sizeof(buf), "/proc/%d/%s", pid, name);
	return buf;
}

static ssize_t slurp(int pid, const char *name)
{
	int f = open(path(pid, name), O_RDONLY);
	size_t size = 0;
	ssize_t n;

	if (f < 0)
		return -1;
	while ((n = read(f, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)n;
	text[size] = 0;
	close(f);
	return n < 0 ? -1 : (ssize_t)size;
}

static const char *line(const char *key)
{
	const char *p = text;
	size_t n = strlen(key);

	while (p && strncmp(p, key, n))
		p = (p = strchr(p, '\n')) ? p + 1 : NULL;
	if (!p) {
		fprintf(stderr, "no line %s in\n%s", key, text);
		exit(1);
	}
	return p + n;
}

static char state(int pid)
{
	CHECK(slurp(pid, "stat") > 0);
	return strrchr(text, ')')[2];
}

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void wait_state(int pid, char wanted)
{
	for (int i = 0; i < 5000 && state(pid) != wanted; i++)
		nap(1);
	if (state(pid) != wanted) {
		fprintf(stderr, "process %d does not come to %c: %s", pid, wanted, text);
		exit(1);
	}
}

static void reap(int pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void end(int pid)
{
	int status;

	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- children that do one thing for ever ---- */

static char mark[4096] = "before";
enum { SLEEPS, RUNS, READS_PIPE, STOPS, WAITS, KINDS };

static void idle(int kind)
{
	int p[2], status;
	char c;

	strcpy(mark, "child's own");
	shared[2] = getpid();
	shared[0] = 1;
	switch (kind) {
	case SLEEPS:
		for (;;)
			pause();
	case RUNS:
		for (;;)
			shared[1]++;
	case READS_PIPE:
		CHECK(pipe(p) == 0 && read(p[0], &c, 1) == 1);
		break;
	case STOPS:
		for (;;)
			raise(SIGSTOP);
	case WAITS:
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				nap(50), getppid() == shared[2] ? (void)0 : _exit(0);
		}
		wait(&status);
	}
	_exit(1);
}

static int start(int kind)
{
	shared[0] = 0;
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		idle(kind);
	while (!shared[0])
		sched_yield();
	if (kind != RUNS)
		wait_state(pid, kind == STOPS ? 'T' : 'S');
	return pid;
}

static ssize_t peer_read(int pid, void *to, void *from, size_t n)
{
	struct iovec local = { to, n }, remote = { from, n };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static ssize_t peer_write(int pid, void *to, const void *from, size_t n)
{
	struct iovec local = { (void *)(unsigned long)from, n }, remote = { to, n };

	return process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

static void memory_of(int pid, const char *program)
{
	char buf[64];
	int f;

	CHECK(slurp(pid, "cmdline") > 0 && !strcmp(text, program));
	ssize_t size = slurp(pid, "environ");
	CHECK(size > 0 && memmem(text, (size_t)size, "PROC_TREE=1", 12));
	CHECK(slurp(pid, "auxv") > 0 && ((unsigned long *)text)[0] != 0);
	CHECK(slurp(pid, "maps") > 0 && strstr(text, "[stack]"));
	CHECK(slurp(pid, "smaps_rollup") > 0 && atoi(line("Rss:")) > 0);
	CHECK(peer_read(pid, buf, mark, 12) == 12 && !strcmp(buf, "child's own"));
	CHECK(!strcmp(mark, "before"));
	CHECK((f = open(path(pid, "mem"), O_RDWR)) >= 0);
	CHECK(pread(f, buf, 12, (off_t)mark) == 12 && !strcmp(buf, "child's own"));
	CHECK(pwrite(f, "written in", 11, (off_t)mark) == 11);
	CHECK(peer_read(pid, buf, mark, 12) == 12 && !strcmp(buf, "written in"));
	CHECK(peer_write(pid, mark, "child's own", 12) == 12);
	CHECK(pread(f, buf, 12, (off_t)mark) == 12 && !strcmp(buf, "child's own"));
	FAILS(pread(f, buf, 12, 64), EIO);
	close(f);
}

static void whatever_it_does(const char *program)
{
	for (int kind = 0; kind < KINDS; kind++) {
		int pid = start(kind), f;

		for (int i = 0; i < 20; i++)
			memory_of(pid, program);
		CHECK((f = open(path(pid, "mem"), O_RDONLY)) >= 0);
		end(pid);
		char buf[4];
		CHECK(read(f, buf, 4) == 0); /* nobody is there any more */
		close(f);
	}
}

/* ---- bounds and protection ---- */

static void edges(void)
{
	static char big[300000], copy[300000];
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[8192];
	struct iovec l[3], r[3];

	CHECK(p != MAP_FAILED && munmap(p + 4096, 4096) == 0);
	memset(p, 'a', 4096);
	memset(p + 8192, 'b', 4096);
	CHECK(mprotect(p + 8192, 4096, PROT_NONE) == 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	int pid = start(SLEEPS);

	CHECK(peer_read(pid, copy, big, sizeof(big)) == sizeof(big) && !memcmp(copy, big, sizeof(big)));
	CHECK(peer_read(pid, buf, p + 4000, 200) == 96 && buf[0] == 'a' && buf[95] == 'a');
	FAILS(peer_read(pid, buf, p + 4096, 10), EFAULT);
	FAILS(peer_read(pid, buf, p + 8192, 10), EFAULT); /* no access for anybody */
	FAILS(peer_read(pid, p + 4096, p, 10), EFAULT);
	FAILS(peer_read(pid, buf, (void *)0xffff800000000000ul, 10), EFAULT);
	FAILS(process_vm_readv(pid, l, 1, r, 1, 1), EINVAL);
	FAILS(process_vm_readv(pid, l, 1025, r, 1, 0), EINVAL);
	FAILS(process_vm_readv(pid, NULL, 1, r, 1, 0), EFAULT);
	CHECK(process_vm_readv(pid, l, 0, r, 0, 0) == 0);
	FAILS(peer_read(999999, buf, p, 1), ESRCH);
	FAILS(peer_read(-1, buf, p, 1), ESRCH);
	/* Vectors of different cuts. */
	l[0] = (struct iovec){ buf, 10 };
	l[1] = (struct iovec){ buf + 100, 0 };
	l[2] = (struct iovec){ buf + 200, 90 };
	r[0] = (struct iovec){ big, 33 };
	r[1] = (struct iovec){ big + 1000, 67 };
	CHECK(process_vm_readv(pid, l, 3, r, 2, 0) == 100);
	CHECK(!memcmp(buf, big, 10) && !memcmp(buf + 200, big + 10, 23) && !memcmp(buf + 223, big + 1000, 67));
	/* mem looks past the protection. */
	int f = open(path(pid, "mem"), O_RDONLY);
	CHECK(f >= 0 && pread(f, buf, 10, (off_t)(p + 8192)) == 10 && buf[0] == 'b');
	close(f);
	end(pid);
	munmap(p, 4096);
	munmap(p + 8192, 4096);
}

/* ---- two that read each other ---- */

static void at_each_other(void)
{
	volatile int *go = shared + 8;
	int pid[2];

	*go = shared[14] = shared[15] = 0;
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		CHECK(pid[i] >= 0);
		if (pid[i])
			continue;
		char buf[16];
		snprintf(mark, sizeof(mark), "I am %d", i);
		shared[14 + i] = 1;
		while (!*go)
			sched_yield();
		int other = shared[10 + !i];
		for (int n = 0; n < 3000; n++) {
			snprintf(buf, sizeof(buf), "I am %d", !i);
			char got[16];
			CHECK(peer_read(other, got, mark, 7) == 7 && !strcmp(got, buf));
			if (n % 10 == 0)
				CHECK(slurp(other, "cmdline") > 0);
		}
		shared[12 + i] = 1;
		while (!shared[12] || !shared[13])
			sched_yield();
		_exit(0);
	}
	shared[12] = shared[13] = 0;
	shared[10] = pid[0];
	shared[11] = pid[1];
	while (!shared[14] || !shared[15])
		sched_yield();
	*go = 1;
	reap(pid[0]);
	reap(pid[1]);
}

/* One open file, read by the process it is about and by its parent. */
static void one_description(void)
{
	int f[2] = { -1, -1 };

	shared[0] = 0;
	int sync[2];
	char c;
	CHECK(pipe(sync) == 0);
	int pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		f[0] = open("/proc/self/cmdline", O_RDONLY);
		char name[32];
		snprintf(name, sizeof(name), "/proc/%d/cmdline", getppid());
		f[1] = open(name, O_RDONLY);
		CHECK(f[0] >= 0 && f[1] >= 0);
		shared[20] = f[0];
		shared[21] = f[1];
		shared[0] = 1;
		CHECK(read(sync[0], &c, 1) == 1);
		for (int i = 0; i < 2000; i++)
			CHECK(lseek(f[i & 1], 0, SEEK_SET) == 0 && read(f[i & 1], text, 100) >= 0);
		_exit(0);
	}
	while (!shared[0])
		sched_yield();
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(pidfd >= 0);
	for (int i = 0; i < 2; i++)
		CHECK((f[i] = (int)syscall(SYS_pidfd_getfd, pidfd, shared[20 + i], 0)) >= 0);
	CHECK(syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, f[0], shared[20]) == 0);
	CHECK(syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, f[0], shared[21]) > 0);
	CHECK(syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) > 0);
	CHECK(syscall(SYS_kcmp, pid, pid, KCMP_VM, 0, 0) == 0);
	FAILS(syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 900, 0), EBADF);
	CHECK(write(sync[1], "g", 1) == 1);
	for (int i = 0; i < 2000; i++)
		CHECK(lseek(f[i & 1], 0, SEEK_SET) == 0 && read(f[i & 1], text, 100) >= 0);
	reap(pid);
	for (int i = 0; i < 2; i++)
		close(f[i]), close(sync[i]);
	close(pidfd);
}

/* ---- ends, execs and vforks meanwhile ---- */

static void passing(const char *program)
{
	for (int i = 0; i < 100; i++) {
		int pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			if (i % 3 == 0)
				nap(1);
			if (i % 2)
				execl(program, "renamed", "--exit", NULL);
			_exit(0);
		}
		int sizes = 0;
		for (int n = 0; n < 40; n++) {
			ssize_t got = slurp(pid, "cmdline");
			CHECK(got >= 0);
			if (got) {
				CHECK(!strcmp(text, program) || !strcmp(text, "renamed"));
				sizes++;
			}
			char buf[8];
			ssize_t r = peer_read(pid, buf, mark, 7);
			CHECK(r == 7 || (r == -1 && (errno == ESRCH || errno == EFAULT)));
		}
		(void)sizes;
		wait_state(pid, 'Z');
		CHECK(slurp(pid, "cmdline") == 0);
		CHECK(slurp(pid, "status") > 0 && strstr(text, "zombie") && !strstr(text, "VmSize"));
		CHECK(slurp(pid, "maps") == 0 || errno == EACCES);
		FAILS(readlink(path(pid, "exe"), text, 10), ENOENT);
		reap(pid);
		FAILS(open(path(pid, "stat"), O_RDONLY), ENOENT);
	}
}

static void *watch_parent(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		char buf[8];
		CHECK(peer_read(getpid(), buf, mark, 7) == 7);
	}
	return NULL;
}

/* The parent stands still in vfork; its memory is the child's. */
static void during_vfork(const char *program)
{
	int parent = getpid(), watcher = fork();

	CHECK(watcher >= 0);
	if (watcher == 0) {
		char buf[8];
		for (int n = 0; n < 300; n++) {
			CHECK(slurp(parent, "cmdline") > 0 && !strcmp(text, program));
			CHECK(peer_read(parent, buf, mark, 7) == 7 && !strcmp(buf, "before"));
			CHECK(slurp(parent, "stat") > 0);
		}
		shared[30] = 1;
		pause();
	}
	shared[30] = 0;
	while (!shared[30]) {
		int pid = vfork();
		if (pid == 0) {
			struct timespec t = { 0, 3000000 };
			nanosleep(&t, NULL);
			_exit(0);
		}
		int status;
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	end(watcher);
	pthread_t t;
	CHECK(pthread_create(&t, NULL, watch_parent, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
}

/* ---- everything else of another ---- */

static int count(int pid, const char *name)
{
	DIR *d = opendir(path(pid, name));
	int n = 0;

	CHECK(d != NULL);
	for (struct dirent *e; (e = readdir(d));)
		n += isdigit((unsigned char)e->d_name[0]) != 0;
	closedir(d);
	return n;
}

static void *thread(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "a thread");
	shared[0]++;
	for (;;)
		pause();
	return NULL;
}

static void fields(const char *program)
{
	char dir[] = "/tmp/proc_tree.XXXXXX", name[PATH_MAX], got[PATH_MAX], want[PATH_MAX];
	struct stat a, b;

	CHECK(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/file", dir);
	shared[0] = 0;
	int pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		pthread_t t;
		int f = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		CHECK(f >= 0 && dup2(f, 77) == 77 && write(f, "inside", 6) == 6 && chdir(dir) == 0 && setpgid(0, 0) == 0);
		CHECK(fcntl(77, F_SETFD, FD_CLOEXEC) == 0);
		umask(027);
		prctl(PR_SET_NAME, "(odd) name");
		signal(SIGUSR1, SIG_IGN);
		for (int i = 0; i < 2; i++)
			CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
		shared[0]++;
		thread(NULL);
	}
	while (shared[0] != 4)
		sched_yield();
	wait_state(pid, 'S');

	int ppid, pgrp, session, number;
	CHECK(slurp(pid, "stat") > 0 && atoi(text) == pid && strstr(text, "(a thread)"));
	CHECK(sscanf(strrchr(text, ')'), ") %*c %d %d %d %d", &ppid, &pgrp, &session, &number) == 4);
	CHECK(ppid == getpid() && pgrp == pid && session == getsid(0));
	int blanks = 0;
	for (char *p = strrchr(text, ')'); *p; p++)
		blanks += *p == ' ';
	CHECK(blanks == 50);
	unsigned long start, vsize;
	long rss, threads;
	CHECK(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %lu %lu %ld",
		     &threads, &start, &vsize, &rss) == 4);
	CHECK(threads == 3 && start > 0 && vsize > 100000 && rss > 10 && (unsigned long)rss * 4096 <= vsize);

	CHECK(slurp(pid, "status") > 0);
	CHECK(atoi(line("PPid:")) == getpid() && atoi(line("Threads:")) == 3 && strtol(line("Umask:"), NULL, 8) == 027);
	CHECK(strtoul(line("SigIgn:"), NULL, 16) & 1ul << (SIGUSR1 - 1));
	CHECK((unsigned)atoi(line("Uid:")) == getuid() && atoi(line("VmRSS:")) > 0 && atoi(line("FDSize:")) >= 78);

	CHECK(count(pid, "task") == 3);
	CHECK(readlink(path(pid, "fd/77"), got, sizeof(got)) == (ssize_t)strlen(name) && !memcmp(got, name, strlen(name)));
	CHECK(lstat(path(pid, "fd/77"), &a) == 0 && (a.st_mode & 0777) == 0700);
	CHECK(stat(path(pid, "fd/77"), &a) == 0 && stat(name, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	int f = open(path(pid, "fd/77"), O_RDONLY);
	CHECK(f >= 0 && read(f, got, 10) == 6 && !memcmp(got, "inside", 6));
	close(f);
	CHECK(slurp(pid, "fdinfo/77") > 0 && atoi(line("pos:")) == 6 && strtol(line("flags:"), NULL, 8) & O_CLOEXEC);
	CHECK(count(pid, "fd") >= 2 && count(pid, "fd") == count(pid, "fdinfo"));
	FAILS(readlink(path(pid, "fd/78"), got, sizeof(got)), ENOENT);

	ssize_t n = readlink(path(pid, "cwd"), got, sizeof(got) - 1);
	CHECK(n > 0 && (got[n] = 0, !strcmp(got, dir)));
	n = readlink(path(pid, "root"), got, sizeof(got) - 1);
	CHECK(n == 1 && got[0] == '/');
	n = readlink(path(pid, "exe"), got, sizeof(got) - 1);
	CHECK(n > 0 && (got[n] = 0, realpath(program, want)) && !strcmp(got, want));
	CHECK(stat(path(pid, "cwd/file"), &a) == 0 && a.st_ino == b.st_ino);

	CHECK(slurp(pid, "comm") > 0 && !strcmp(text, "a thread\n"));
	CHECK(slurp(pid, "limits") > 0 && strstr(text, "Max open files"));
	CHECK(slurp(pid, "syscall") > 0 && atoi(text) == SYS_pause);
	CHECK(slurp(pid, "wchan") > 0);
	CHECK(slurp(pid, "mountinfo") > 0 && strstr(text, " - proc "));
	CHECK(slurp(pid, "sched") > 0 && strstr(text, "threads: 3"));
	CHECK(slurp(pid, "schedstat") > 0 && slurp(pid, "io") > 0 && slurp(pid, "oom_score") > 0 && slurp(pid, "cgroup") > 0);
	CHECK(slurp(getpid(), "task") == -1 || errno == EISDIR);
	snprintf(got, sizeof(got), "task/%d/children", getpid());
	CHECK(slurp(getpid(), got) > 0 && atoi(text) == pid);
	CHECK(readlink(path(pid, "ns/pid"), got, sizeof(got)) > 0 && !memcmp(got, "pid:[", 5));
	CHECK(stat(path(pid, "ns/net"), &a) == 0 && stat("/proc/self/ns/net", &b) == 0 && a.st_ino == b.st_ino);
	end(pid);
	unlink(name);
	rmdir(dir);
}

/* Processor time is seen from outside. */
static void time_of(void)
{
	unsigned long user[2], sys[2];
	int pid = start(RUNS);

	for (int i = 0, tries = 0; i < 2 && tries < 200; tries++) {
		CHECK(slurp(pid, "stat") > 0);
		CHECK(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", user + i, sys + i) == 2);
		if (!i || user[1] + sys[1] >= user[0] + sys[0] + 5)
			i++;
		nap(100); /* the machine may be busy with others */
	}
	CHECK(user[1] + sys[1] >= user[0] + sys[0] + 5);
	CHECK(state(pid) == 'R');
	end(pid);
}

/* ---- who may ---- */

static void rights(void)
{
	char buf[8];

	if (getuid())
		return; /* only root has somebody else to be */
	int pid = start(SLEEPS);
	int other = fork();
	CHECK(other >= 0);
	if (other == 0) {
		CHECK(setgid(12345) == 0 && setuid(12345) == 0);
		FAILS(peer_read(pid, buf, mark, 7), EPERM);
		FAILS(open(path(pid, "mem"), O_RDONLY), EACCES);
		FAILS(open(path(pid, "environ"), O_RDONLY), EACCES);
		FAILS(open(path(pid, "maps"), O_RDONLY), EACCES);
		FAILS(open(path(pid, "auxv"), O_RDONLY), EACCES);
		FAILS(open(path(pid, "fd"), O_RDONLY), EACCES);
		FAILS(readlink(path(pid, "cwd"), buf, 8), EACCES);
		FAILS(readlink(path(pid, "exe"), buf, 8), EACCES);
		FAILS(syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0), EPERM);
		CHECK(slurp(pid, "cmdline") > 0 && slurp(pid, "status") > 0 && slurp(pid, "stat") > 0 && slurp(pid, "statm") > 0);
		CHECK(slurp(pid, "limits") > 0 && slurp(pid, "comm") > 0);
		_exit(0);
	}
	reap(other);
	end(pid);

	/* Of the same user, but what it holds it had as another. */
	shared[0] = 0;
	pid = fork();
	if (pid == 0) {
		CHECK(setgid(12345) == 0 && setuid(12345) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0);
		idle(SLEEPS);
	}
	while (!shared[0])
		sched_yield();
	other = fork();
	CHECK(other >= 0);
	if (other == 0) {
		struct stat st;
		CHECK(setgid(12345) == 0 && setuid(12345) == 0);
		FAILS(peer_read(pid, buf, mark, 7), EPERM);
		FAILS(open(path(pid, "mem"), O_RDONLY), EACCES);
		FAILS(open(path(pid, "maps"), O_RDONLY), EACCES);
		CHECK(stat(path(pid, "status"), &st) == 0 && st.st_uid == 0);
		CHECK(stat(path(pid, ""), &st) == 0 && st.st_uid == 12345);
		_exit(0);
	}
	reap(other);
	CHECK(peer_read(pid, buf, mark, 7) == 7);
	end(pid);
}

/* ---- the machine ---- */

static void machine(void)
{
	unsigned long long user, idle;
	double load[3];
	int running, all, last;

	CHECK(slurp(getpid(), "../loadavg") > 0 && sscanf(text, "%lf %lf %lf %d/%d %d", load, load + 1, load + 2, &running, &all, &last) == 6);
	CHECK(running >= 1 && all >= running);
	CHECK(slurp(getpid(), "../stat") > 0 && sscanf(line("cpu "), "%llu %*u %*u %llu", &user, &idle) == 2);
	CHECK(atoi(line("btime ")) > 1000000000 && atoi(line("processes ")) > 0 && atoi(line("procs_running ")) >= 1);
	CHECK(slurp(getpid(), "../locks") >= 0 && slurp(getpid(), "../tty/drivers") > 0 && strstr(text, "/dev/pts"));
	CHECK(slurp(getpid(), "../swaps") > 0 && slurp(getpid(), "../vmstat") > 0 && slurp(getpid(), "../devices") > 0);
	int f = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (f >= 0) {
		struct flock lk = { .l_type = F_WRLCK, .l_start = 5, .l_len = 10 };
		char want[32];
		CHECK(fcntl(f, F_SETLK, &lk) == 0 && slurp(getpid(), "../locks") > 0);
		snprintf(want, sizeof(want), " WRITE %d ", getpid());
		CHECK(strstr(text, want) && strstr(strstr(text, want), " 5 14\n"));
		close(f);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		_exit(0);
	if (!getenv("PROC_TREE")) {
		setenv("PROC_TREE", "1", 1);
		execv("/proc/self/exe", argv);
	}
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	whatever_it_does(argv[0]);
	edges();
	at_each_other();
	one_description();
	passing(argv[0]);
	during_vfork(argv[0]);
	fields(argv[0]);
	time_of();
	rights();
	machine();
	OK();
}
