/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tells of a picoprocess by its pid: name, parent, threads,
 * memory, processor time. A pid given here must not have been reaped. Works
 * without /proc as far as that goes. Knows nothing of instances.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "instance.h"

/* The kernel's way to name another process's clocks (clock_getcpuclockid). */
#define CPU_CLOCK_USER 1
#define CPU_CLOCK_ALL 2
#define CPU_CLOCK(pid, which) ((clockid_t)((~(unsigned)(pid) << 3) | (which)))

/* Bytes read, zero-terminated; or -1. */
static int read_file(int32_t pid, const char *name, char *buffer, size_t size)
{
	PICO__CLOSE int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buffer, size - 1);
	if (n < 0)
		return -1;
	buffer[n] = 0;
	return (int)n;
}

int pico__proc_stat(int32_t pid, struct pico__proc_stat *out)
{
	char buffer[512], *open_at, *close_at;
	unsigned threads;

	if (read_file(pid, "stat", buffer, sizeof(buffer)) <= 0)
		return -1;
	open_at = strchr(buffer, '(');
	close_at = strrchr(buffer, ')');
	if (!open_at || !close_at || close_at < open_at)
		return -1;
	*close_at = 0;
	memset(out, 0, sizeof(*out));
	strncpy(out->name, open_at + 1, sizeof(out->name) - 1);
	/* state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt
	 * utime stime cutime cstime priority nice num_threads */
	if (sscanf(close_at + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u",
		   &out->state, &out->parent, &threads) != 3)
		return -1;
	out->threads = threads;
	return 0;
}

/* "Name:  123 kB" of a text of the kernel's, in bytes; false: not there. */
static bool add_kib(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = strstr(text, name);
	unsigned long long kib;

	if (!at || sscanf(at + strlen(name), " %llu kB", &kib) != 1)
		return false;
	*bytes += kib * 1024;
	return true;
}

/* exact shares copy-on-write pages out among their users; it needs a right
 * over the picoprocess that only root has, so callers try it and live without.
 * Page tables count, as reading alone makes them grow, and so does what was
 * swapped out. Old kernels do not tell the anonymous pages of a process. */
int pico__proc_memory(int32_t pid, bool exact, uint64_t *private_bytes)
{
	unsigned long long resident = 0, shared = 0;
	char buffer[4096];
	uint64_t bytes = 0;

	if (exact) {
		if (read_file(pid, "smaps_rollup", buffer, sizeof(buffer)) <= 0 || !add_kib(buffer, "\nPss_Anon:", &bytes))
			return -1;
		add_kib(buffer, "\nSwapPss:", &bytes);
	}
	if (read_file(pid, "status", buffer, sizeof(buffer)) <= 0)
		return -1;
	add_kib(buffer, "\nVmPTE:", &bytes);
	if (!exact && add_kib(buffer, "\nRssAnon:", &bytes)) {
		add_kib(buffer, "\nVmSwap:", &bytes);
	} else if (!exact) {
		if (read_file(pid, "statm", buffer, sizeof(buffer)) <= 0 ||
		    sscanf(buffer, "%*u %llu %llu", &resident, &shared) != 2)
			return -1;
		bytes += (resident > shared ? resident - shared : 0) * (uint64_t)sysconf(_SC_PAGESIZE);
	}
	*private_bytes = bytes;
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * PICO__NS + (uint64_t)t.tv_nsec;
}

uint64_t pico__proc_cpu(int32_t pid, uint64_t *user)
{
	uint64_t all = clock_ns(CPU_CLOCK(pid, CPU_CLOCK_ALL));

	*user = clock_ns(CPU_CLOCK(pid, CPU_CLOCK_USER));
	if (*user > all) /* two readings, two moments */
		*user = all;
	return all;
}

static void close_directory(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The last number is that of the innermost namespace. */
static bool calls_itself(int32_t tid, int32_t own)
{
	char buffer[4096], *at, *end;
	long last = -1;

	if (read_file(tid, "status", buffer, sizeof(buffer)) <= 0 || !(at = strstr(buffer, "\nNSpid:")))
		return false;
	at += strlen("\nNSpid:");
	end = strchr(at, '\n');
	while (at < (end ? end : at))
		last = strtol(at, &at, 10);
	return last == own;
}

int32_t pico__proc_thread(const struct pico__proc_search *search, int32_t own)
{
	__attribute__((cleanup(close_directory))) DIR *d = NULL;
	struct dirent *entry;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", search->parent);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		int32_t tid = (int32_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0 && !search->known(search->user, tid) && calls_itself(tid, own))
			return tid;
	}
	return -1;
}

/* A child that runs; the dead ones only wait for the helper. */
static bool is_child(int32_t pid, int32_t parent, const char *name)
{
	struct pico__proc_stat stat;

	return pid > 0 && pico__proc_stat(pid, &stat) == 0 && stat.state != 'Z' && stat.state != 'X' &&
	       (!parent || stat.parent == parent) && !strcmp(stat.name, name);
}

static int search_all(const struct pico__proc_search *search, int32_t *pids, int max)
{
	__attribute__((cleanup(close_directory))) DIR *d = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	if (!d)
		return -1;
	while (count < max && (entry = readdir(d))) {
		int32_t pid = (int32_t)strtol(entry->d_name, NULL, 10);

		if (!search->known(search->user, pid) && is_child(pid, search->parent, search->name))
			pids[count++] = pid;
	}
	return count;
}

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* The kernel's own list, where it is compiled in. */
int pico__proc_children(const struct pico__proc_search *search, int32_t *pids, int max)
{
	__attribute__((cleanup(close_file))) FILE *f = NULL;
	char path[64];
	int32_t pid;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", search->parent, search->parent);
	f = search->parent ? fopen(path, "re") : NULL;
	if (!f)
		return search_all(search, pids, max);
	while (count < max && fscanf(f, "%d", &pid) == 1)
		if (!search->known(search->user, pid) && is_child(pid, search->parent, search->name))
			pids[count++] = pid;
	return count;
}
