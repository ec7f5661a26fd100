/* SPDX-License-Identifier: Apache-2.0
 *
 * mseal: mappings that stay as they are, where the kernel has such.
 */
#define _GNU_SOURCE
#include "check.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_mseal 462

int main(void)
{
	const size_t page = 4096;
	char *m = mmap(NULL, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(m != MAP_FAILED);
	if (syscall(NR_mseal, m, 0, 0) && errno == ENOSYS)
		OK();
	FAILS(syscall(NR_mseal, m, page, 1l), EINVAL);
	FAILS(syscall(NR_mseal, m + 1, page, 0l), EINVAL);
	CHECK(!syscall(NR_mseal, m + page, page, 0l));
	FAILS(munmap(m + page, page), EPERM);
	FAILS(munmap(m, 4 * page), EPERM); /* all or nothing */
	FAILS(mprotect(m + page, page, PROT_READ | PROT_WRITE), EPERM);
	FAILS(madvise(m + page, page, MADV_DONTNEED), EPERM);
	CHECK(mmap(m, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EPERM);
	CHECK(mremap(m + page, page, 2 * page, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
	CHECK(!munmap(m, page) && !mprotect(m + 2 * page, page, PROT_NONE)); /* its neighbours are free */
	FAILS(syscall(NR_mseal, m, 2 * page, 0l), ENOMEM); /* a hole */
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) { /* a child has it sealed too */
		FAILS(munmap(m + page, page), EPERM);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	OK();
}
