/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts that lack something: the C library's calls that have another way round
 * in the monitor end here (the linker puts these in their place), and fail as
 * they do there. Knows nothing of requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

int __wrap_open(const char *path, int flags, ...);
int __wrap_chmod(const char *path, mode_t mode);
int __wrap_faccessat(int at, const char *path, int mode, int flags);
int __wrap_linkat(int from_at, const char *from, int to_at, const char *to, int flags);
long __wrap_syscall(long number, ...);
int __real_open(const char *path, int flags, ...);
int __real_chmod(const char *path, mode_t mode);
int __real_faccessat(int at, const char *path, int mode, int flags);
int __real_linkat(int from_at, const char *from, int to_at, const char *to, int flags);
long __real_syscall(long number, ...);

static _Atomic unsigned lacking;

void host_lacks(unsigned what)
{
	atomic_store(&lacking, what);
}

static bool absent(const char *path)
{
	if (!(atomic_load(&lacking) & HOST_WITHOUT_PROC) || strncmp(path, "/proc/", 6))
		return false;
	errno = ENOENT;
	return true;
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return absent(path) ? -1 : __real_open(path, flags, mode);
}

int __wrap_chmod(const char *path, mode_t mode)
{
	return absent(path) ? -1 : __real_chmod(path, mode);
}

int __wrap_faccessat(int at, const char *path, int mode, int flags)
{
	return absent(path) ? -1 : __real_faccessat(at, path, mode, flags);
}

int __wrap_linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	if (absent(from))
		return -1;
	if ((flags & AT_EMPTY_PATH) && (atomic_load(&lacking) & HOST_OLD)) {
		errno = ENOENT; /* Linux before 6.10, to those without privilege */
		return -1;
	}
	return __real_linkat(from_at, from, to_at, to, flags);
}

/* As the C library's own, it takes six of whatever was passed. */
__attribute__((no_sanitize("address")))
long __wrap_syscall(long number, ...)
{
	va_list arguments;
	long a[6];

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_fchmodat2 && (atomic_load(&lacking) & HOST_OLD)) {
		errno = ENOSYS; /* before 6.6 */
		return -1;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
