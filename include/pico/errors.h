/* SPDX-License-Identifier: Apache-2.0
 *
 * Error numbers of the public interface and of the picoprocess ABI.
 *
 * Those below 1000 carry the POSIX names with the numbers Linux gives them on
 * x86-64; they are frozen here, so they do not change with the host. Those from
 * 1000 on are libpico's own and never cross the picoprocess ABI.
 * Functions return them negated.
 */
#ifndef PICO_ERRORS_H
#define PICO_ERRORS_H

#define PICO_ERROR_LIST(X) \
	X(EPERM, 1, "operation not permitted") \
	X(ENOENT, 2, "no such file or directory") \
	X(ESRCH, 3, "no such process or thread") \
	X(EINTR, 4, "interrupted") \
	X(EIO, 5, "input/output error") \
	X(ENXIO, 6, "no such device or address") \
	X(E2BIG, 7, "argument list too long") \
	X(ENOEXEC, 8, "not an executable this library OS can run") \
	X(EBADF, 9, "bad handle") \
	X(ECHILD, 10, "no child process") \
	X(EAGAIN, 11, "not now, try again") \
	X(ENOMEM, 12, "out of memory") \
	X(EACCES, 13, "not granted by the policy") \
	X(EFAULT, 14, "bad address") \
	X(EBUSY, 16, "in use") \
	X(EEXIST, 17, "exists already") \
	X(EXDEV, 18, "crosses mounts") \
	X(ENODEV, 19, "no such device") \
	X(ENOTDIR, 20, "not a directory") \
	X(EISDIR, 21, "is a directory") \
	X(EINVAL, 22, "invalid argument") \
	X(ENFILE, 23, "host has no descriptors left") \
	X(EMFILE, 24, "too many open streams or handles") \
	X(ENOTTY, 25, "not a terminal") \
	X(ETXTBSY, 26, "file is being executed") \
	X(EFBIG, 27, "file too large") \
	X(ENOSPC, 28, "no space left on device") \
	X(ESPIPE, 29, "stream has no positions") \
	X(EROFS, 30, "read-only") \
	X(EMLINK, 31, "too many links") \
	X(EPIPE, 32, "nobody reads") \
	X(ERANGE, 34, "result does not fit") \
	X(EDEADLK, 35, "would deadlock") \
	X(ENAMETOOLONG, 36, "name too long") \
	X(ENOSYS, 38, "not implemented") \
	X(ENOTEMPTY, 39, "directory not empty") \
	X(ELOOP, 40, "symbolic link in the way") \
	X(EOVERFLOW, 75, "value too large") \
	X(ENOTSUP, 95, "not supported") \
	X(ECONNRESET, 104, "connection reset") \
	X(ETIMEDOUT, 110, "timed out") \
	X(ECONNREFUSED, 111, "connection refused") \
	X(ESTALE, 116, "file changed underneath") \
	X(EDQUOT, 122, "quota exceeded") \
	X(EHELPER, 1000, "the helper program cannot be started or has died") \
	X(EKERNEL, 1001, "the host kernel lacks something pico needs") \
	X(ELIBOS, 1002, "the library OS is missing, damaged, or of another ABI version") \
	X(ESTATE, 1003, "not possible in the instance's present state") \
	X(EDIED, 1004, "the instance died") \
	X(EVERSION, 1005, "struct size or version not known to this library")

enum pico_errno {
#define PICO_ERROR_ENUM(name, number, text) PICO_##name = number,
	PICO_ERROR_LIST(PICO_ERROR_ENUM)
#undef PICO_ERROR_ENUM
	PICO_ERRNO_MAX = 4095
};

#endif
