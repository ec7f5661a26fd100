/* SPDX-License-Identifier: Apache-2.0
 *
 * Small properties: ids, groups, capabilities, limits, names, scheduling.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <grp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static void names(void)
{
	char name[16];
	struct utsname u;
	struct sysinfo s;

	CHECK(prctl(PR_SET_NAME, "a name that is far too long") == 0);
	CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a name that is "));
	CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
	FAILS(syscall(SYS_uname, (void *)16), EFAULT);
	CHECK(sysinfo(&s) == 0 && s.totalram > 0 && s.mem_unit > 0);
	CHECK(prctl(PR_GET_DUMPABLE) >= 0);
	FAILS(prctl(12345), EINVAL);
	FAILS(prctl(PR_SET_PDEATHSIG, 100), EINVAL);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_TIMERSLACK, 1000) == 0 && prctl(PR_GET_TIMERSLACK) == 1000);
	uintptr_t fs = 0;
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs != 0);
}

static void processes(void)
{
	CHECK(getpid() > 1 && getppid() > 0);
	CHECK(getpgid(0) == getpgrp() && getsid(0) >= 0);
	FAILS(getpgid(0x3fffffff), ESRCH);
	FAILS(setpgid(0x3fffffff, 0), ESRCH);
	FAILS(setpgid(0, -1), EINVAL);
}

static void limits(void)
{
	struct rlimit r, old;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0 && old.rlim_cur > 0);
	r = old;
	r.rlim_cur = 100;
	CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
	CHECK(prlimit(0, RLIMIT_NOFILE, &old, &r) == 0 && r.rlim_cur == 100);
	r = (struct rlimit){ 10, 5 };
	FAILS(setrlimit(RLIMIT_NOFILE, &r), EINVAL);
	FAILS(getrlimit((__rlimit_resource_t)16, &r), EINVAL);
}

static void scheduling(void)
{
	cpu_set_t set;
	struct sched_param p = { 0 };
	unsigned cpu, node;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1);
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
	CPU_ZERO(&set);
	FAILS(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	FAILS(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &p) == 0 && sched_getscheduler(0) == SCHED_BATCH);
	CHECK(sched_setscheduler(0, SCHED_OTHER, &p) == 0);
	p.sched_priority = 5;
	FAILS(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
	FAILS(sched_get_priority_max(50), EINVAL);
	errno = 0;
	CHECK(getpriority(PRIO_PROCESS, 0) == 0 && errno == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
	FAILS(getpriority(9, 0), EINVAL);
	CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu < 1024);
	CHECK(sched_yield() == 0);
	long q = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	if (q > 0 && (q & MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
		FAILS(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
		CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
		CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	}
}

static void randomness(void)
{
	unsigned char a[64], b[64], big[3000];

	CHECK(getrandom(a, sizeof(a), 0) == sizeof(a) && getrandom(b, sizeof(b), GRND_NONBLOCK) == sizeof(b));
	CHECK(memcmp(a, b, sizeof(a)));
	CHECK(getrandom(big, sizeof(big), 0) == sizeof(big));
	FAILS(getrandom(a, 1, 0x100), EINVAL);
	FAILS(syscall(SYS_getrandom, (void *)16, 10, 0), EFAULT);
}

static void users(void)
{
	uid_t r, e, s;
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	CHECK(getresuid(&r, &e, &s) == 0 && r == getuid() && e == geteuid());
	CHECK(getgroups(0, NULL) >= 0);
	FAILS(syscall(SYS_getgroups, -1, NULL), EINVAL);
	CHECK(syscall(SYS_capget, &h, d) == 0);
	h.version = 1;
	FAILS(syscall(SYS_capget, &h, d), EINVAL);
	CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
	FAILS(setuid((uid_t)-1), EINVAL);
	if (getuid() != 0) {
		FAILS(setuid(0), EPERM);
		return;
	}
	gid_t g[2] = { 30, 20 }, got[2];
	CHECK(setgroups(2, g) == 0 && getgroups(2, got) == 2 && got[0] == 20 && got[1] == 30);
	CHECK(setresgid(100, 100, 100) == 0 && setresuid(1000, 1000, 0) == 0);
	CHECK(getuid() == 1000 && geteuid() == 1000);
	FAILS(setgroups(2, g), EPERM);
	CHECK(seteuid(0) == 0 && geteuid() == 0);
	CHECK(setresuid(1000, 1000, 1000) == 0);
	FAILS(seteuid(0), EPERM);
	FAILS(setresuid(0, 0, 0), EPERM);
	FAILS(sethostname("x", 1), EPERM);
}

/* What is set is told for one task; of several the best that is in force, which
 * without a setting follows the nice value. */
static void io_priority(void)
{
	enum { PROCESS = 1, USER = 3, BEST_EFFORT = 2 << 13, IDLE = 3 << 13 };

	FAILS(syscall(SYS_ioprio_get, 0, 0), EINVAL);
	FAILS(syscall(SYS_ioprio_get, PROCESS, 4000000), ESRCH);
	CHECK(syscall(SYS_ioprio_set, PROCESS, 0, BEST_EFFORT | 6) == 0);
	CHECK(syscall(SYS_ioprio_get, PROCESS, 0) == (BEST_EFFORT | 6));
	CHECK(syscall(SYS_ioprio_get, PROCESS, getpid()) == (BEST_EFFORT | 6));
	CHECK(syscall(SYS_ioprio_set, PROCESS, 0, IDLE) == 0);
	CHECK(syscall(SYS_ioprio_get, PROCESS, 0) == IDLE);
	CHECK(syscall(SYS_ioprio_get, USER, getuid()) <= IDLE);
	FAILS(syscall(SYS_ioprio_set, PROCESS, 0, 1), EINVAL);
	FAILS(syscall(SYS_ioprio_set, 4, 0, 0), EINVAL);
	CHECK(syscall(SYS_ioprio_set, PROCESS, 0, 0) == 0);
}

/* A descriptor of ourselves: never readable, no child's. */
static void descriptors(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct pollfd p = { fd, POLLIN, 0 };
	siginfo_t info;
	char c;

	CHECK(fd >= 0);
	FAILS(syscall(SYS_pidfd_open, getpid(), 77), EINVAL);
	FAILS(syscall(SYS_pidfd_open, -1, 0), EINVAL);
	FAILS(syscall(SYS_pidfd_open, 0x3fffff, 0), ESRCH);
	CHECK(poll(&p, 1, 0) == 0);
	CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
	FAILS(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
	FAILS(syscall(SYS_pidfd_send_signal, 1, 0, NULL, 0), EBADF);
	FAILS(read(fd, &c, 1), EINVAL);
	close(fd);
	fd = open("/proc/self", O_RDONLY | O_DIRECTORY); /* signals took these before there were pidfds */
	CHECK(fd >= 0 && syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
	close(fd);
	fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	FAILS(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), EBADF);
	close(fd);
}

int main(void)
{
	names();
	processes();
	limits();
	scheduling();
	randomness();
	descriptors();
	users();
	io_priority();
	OK();
}
