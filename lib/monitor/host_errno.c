/* SPDX-License-Identifier: Apache-2.0
 *
 * Host errno -> PICO_E, and the errors each downcall may return, both as
 * tables; the second is read from abi.def, so the reference page cannot lie.
 * Knows nothing of streams.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <pico/abi.h>
#include "host_errno.h"

/* 0: the ABI has no such error. */
static const uint16_t from_host[] = {
	[EPERM] = PICO_EPERM, [ENOENT] = PICO_ENOENT, [ESRCH] = PICO_ESRCH,
	[EINTR] = PICO_EINTR, [EIO] = PICO_EIO, [ENXIO] = PICO_ENXIO,
	[E2BIG] = PICO_E2BIG, [ENOEXEC] = PICO_ENOEXEC, [EBADF] = PICO_EBADF,
	[ECHILD] = PICO_ECHILD, [EAGAIN] = PICO_EAGAIN, [ENOMEM] = PICO_ENOMEM,
	[EACCES] = PICO_EACCES, [EFAULT] = PICO_EFAULT, [EBUSY] = PICO_EBUSY,
	[EEXIST] = PICO_EEXIST, [EXDEV] = PICO_EXDEV, [ENODEV] = PICO_ENODEV,
	[ENOTDIR] = PICO_ENOTDIR, [EISDIR] = PICO_EISDIR, [EINVAL] = PICO_EINVAL,
	/* EMFILE of the host process is not the guest's limit. */
	[ENFILE] = PICO_ENFILE, [EMFILE] = PICO_ENFILE,
	[ENOTTY] = PICO_ENOTTY, [ETXTBSY] = PICO_ETXTBSY, [EFBIG] = PICO_EFBIG,
	[ENOSPC] = PICO_ENOSPC, [ESPIPE] = PICO_ESPIPE, [EROFS] = PICO_EROFS,
	[EMLINK] = PICO_EMLINK, [EPIPE] = PICO_EPIPE, [ERANGE] = PICO_ERANGE,
	[EDEADLK] = PICO_EDEADLK, [ENAMETOOLONG] = PICO_ENAMETOOLONG,
	[ENOSYS] = PICO_ENOSYS, [ENOTEMPTY] = PICO_ENOTEMPTY, [ELOOP] = PICO_ELOOP,
	[EOVERFLOW] = PICO_EOVERFLOW, [EOPNOTSUPP] = PICO_ENOTSUP,
	[ECONNRESET] = PICO_ECONNRESET, [ETIMEDOUT] = PICO_ETIMEDOUT,
	[ECONNREFUSED] = PICO_ECONNREFUSED, [ESTALE] = PICO_ESTALE, [EDQUOT] = PICO_EDQUOT,
};

int pico__error(int host_errno)
{
	unsigned count = sizeof(from_host) / sizeof(from_host[0]);

	if (host_errno <= 0 || (unsigned)host_errno >= count || !from_host[host_errno])
		return -PICO_EIO;
	return -(int)from_host[host_errno];
}

#define ERROR_BITS 128
struct error_set { uint64_t bits[ERROR_BITS / 64]; };
static struct error_set listed[PICO_DOWNCALL_COUNT];
static pthread_once_t listed_once = PTHREAD_ONCE_INIT;

static const struct { const char *name; int number; } names[] = {
#define PICO_ERROR_NAME(name, number, text) { #name, number },
	PICO_ERROR_LIST(PICO_ERROR_NAME)
#undef PICO_ERROR_NAME
};
static const char *const error_lists[PICO_DOWNCALL_COUNT] = {
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) [index] = errors,
#include <pico/abi.def>
#undef PICO_DOWNCALL
};

static void add_error(struct error_set *set, const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int n = names[i].number;

		if (n < ERROR_BITS && strlen(names[i].name) == size && !memcmp(names[i].name, name, size))
			set->bits[n / 64] |= 1ull << (n % 64);
	}
}

static void read_lists(void)
{
	for (unsigned call = 0; call < PICO_DOWNCALL_COUNT; call++)
		for (const char *at = error_lists[call]; *at;) {
			size_t size = strcspn(at, " ");

			add_error(&listed[call], at, size);
			at += size + strspn(at + size, " ");
		}
}

static bool is_listed(unsigned downcall, int64_t error)
{
	return error < ERROR_BITS && listed[downcall].bits[error / 64] >> (error % 64) & 1;
}

int64_t pico__error_listed(unsigned downcall, int64_t result)
{
	if (result >= 0)
		return result;
	if (downcall >= PICO_DOWNCALL_COUNT)
		return -PICO_ENOSYS;
	if (result < -PICO_ERRNO_MAX)
		return -PICO_EIO; /* a host callback's nonsense */
	pthread_once(&listed_once, read_lists);
	if (is_listed(downcall, -result))
		return result;
	/* Out of something: the guest can only be told so in general. */
	if ((result == -PICO_ENFILE || result == -PICO_EMFILE) && is_listed(downcall, PICO_ENOMEM))
		return -PICO_ENOMEM;
	if (result == -PICO_EPERM && is_listed(downcall, PICO_EACCES))
		return -PICO_EACCES;
	return -PICO_EIO;
}
