/* SPDX-License-Identifier: Apache-2.0
 *
 * Every system call with hostile pointers, lengths and flags in every argument
 * position: each must return (an error or not), none may end the program, hurt
 * memory it was not given, or bring down the library OS. Runs inside only:
 * on a host these calls would do what they say. The calls are made, not
 * listed: all numbers, all positions, all values below.
 *
 * usage: hostile [FIRST [LAST]]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* What would end this program by right, or take away what the test stands on. */
static const short left_out[] = {
	SYS_exit, SYS_exit_group, SYS_seccomp, SYS_rt_sigreturn, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_pidfd_send_signal, SYS_munmap, SYS_mremap, SYS_mmap, SYS_mprotect, SYS_brk, SYS_madvise, SYS_process_madvise, SYS_shmat, SYS_shmdt,
	SYS_arch_prctl, SYS_setrlimit, SYS_close_range, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid,
	SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_capset, SYS_chroot, SYS_fork, SYS_vfork, SYS_clone, SYS_setgroups,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_setitimer, SYS_alarm, SYS_remap_file_pages, SYS_pkey_mprotect, SYS_personality,
	335, /* uretprobe: SIGILL, on every kernel that has it */
};

static volatile sig_atomic_t ticks;
static void tick(int s)
{
	(void)s;
	ticks++;
}

/* The timer ends whatever waits; set anew before each call, as calls may take it away. */
static void arm(void)
{
	struct sigaction a = { .sa_handler = tick };
	struct itimerval t = { { 0, 3000 }, { 0, 3000 } };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGALRM, &a, NULL);
	a.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &a, NULL);
	sigaction(SIGXFSZ, &a, NULL);
	sigaction(SIGIO, &a, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static int is_left_out(long nr)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (left_out[i] == nr)
			return 1;
	return 0;
}

static char *buffer, *guard, *read_only, *before_hole;
#define BUFFER 65536

static int remake_descriptor(void)
{
	int fd = open("/tmp/hostile", O_RDWR | O_CREAT, 0600);
	if (fd >= 0 && fd != 7) {
		dup2(fd, 7);
		close(fd);
	}
	return 7;
}

int main(int argc, char **argv)
{
	long first = argc > 1 ? atol(argv[1]) : 0, last = argc > 2 ? atol(argv[2]) : 470;

	buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	guard = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	before_hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || guard == MAP_FAILED || read_only == MAP_FAILED || before_hole == MAP_FAILED)
		return 1;
	munmap(before_hole + 4096, 4096);
	const uint64_t hostile[] = {
		0, 1, 7, 8, (uint64_t)guard, (uint64_t)read_only, (uint64_t)before_hole + 4093, (uint64_t)before_hole + 4096,
		(uint64_t)buffer + 3, 0x7e0000000000, 0x7dffffffffff, 0x7e0100000040, 0x7e0200020000, 0x7e1000000000, 0x7ffffffff000,
		0x800000000000, 0xffff800000000000, 0xffffffffff600000, UINT64_MAX, UINT64_MAX - 4095, INT64_MAX, 1ull << 63,
		0xffffffff, 0x7fffffff, 0x80000000, 0x100000001, 4096, 65536,
	};
	const int count = sizeof(hostile) / sizeof(hostile[0]);
	uint64_t calls = 0;

	for (long nr = first; nr <= last; nr++) {
		if (is_left_out(nr))
			continue;
		for (int base = 0; base < 3; base++)
			for (int position = 0; position < 6; position++)
				for (int v = 0; v < count; v++) {
					uint64_t a[6];
					int fd = remake_descriptor();
					for (int i = 0; i < 6; i++)
						a[i] = base == 0 ? 0 : base == 1 ? (uint64_t)buffer : i == 0 ? (uint64_t)fd : (i & 1) ? (uint64_t)buffer : 16;
					a[position] = hostile[v];
					/* fork-like and endless by right */
					if (nr == SYS_clone3 && base == 1)
						memset(buffer, 0xff, 64);
					else
						memset(buffer, 0, 4096);
					if (nr == SYS_prlimit64 && a[2] == (uint64_t)buffer)
						a[2] = 0; /* limits of nothing: death by right */
					if (nr == SYS_prctl || nr == SYS_prlimit64 || nr == SYS_unshare || nr == SYS_setns)
						a[1] = hostile[v];
					arm();
					syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
					calls++;
				}
	}
	/* What was read-only is as it was, and the program still works. */
	for (int i = 0; i < 4096; i++)
		if (read_only[i])
			return 2;
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &off, NULL);
	close(7);
	unlink("/tmp/hostile"); /* fallocate may have filled the file system with it */
	int out = open("/tmp/hostile-result", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	char text[64];
	int n = snprintf(text, sizeof(text), "%llu calls\n", (unsigned long long)calls);
	if (out < 0 || write(out, text, (size_t)n) != n)
		return 3;
	return 0;
}
