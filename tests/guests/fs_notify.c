/* SPDX-License-Identifier: Apache-2.0
 *
 * fcntl(F_NOTIFY): signals for what happens in a directory, once or for as long
 * as a descriptor is open.
 */
#include "fs.h"
#include <signal.h>

static volatile int count, last_fd, last_code;

static void handler(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	count++;
	last_fd = info->si_fd;
	last_code = info->si_code;
}

/* How many signals came since the last call. */
static int signals(void)
{
	int n = count;
	count = 0;
	return n;
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int fd, other;
	char c;

	fs_enter(argc, argv);
	CHECK(sigaction(SIGRTMIN, &act, NULL) == 0);
	CHECK(mkdir("d", 0755) == 0 && (fd = open("d", O_RDONLY)) >= 0);
	put("plain", "");
	CHECK((other = open("plain", O_RDONLY)) >= 0);
	FAILS(fcntl(other, F_NOTIFY, DN_CREATE), ENOTDIR);
	CHECK(fcntl(other, F_NOTIFY, 0) == 0);
	close(other);
	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0);
	CHECK(fcntl(fd, F_NOTIFY, DN_CREATE) == 0 && fcntl(fd, F_GETOWN) == getpid());
	put("d/a", "x");
	CHECK(signals() == 1 && last_fd == fd && last_code == POLL_MSG);
	put("d/b", "x"); /* once */
	CHECK(signals() == 0);
	CHECK(fcntl(fd, F_NOTIFY, DN_MULTISHOT | DN_MODIFY | DN_ATTRIB | DN_DELETE) == 0);
	CHECK((other = open("d/a", O_RDWR)) >= 0 && write(other, "y", 1) == 1 && signals() == 1);
	CHECK(fchmod(other, 0600) == 0 && signals() == 1);
	CHECK(pread(other, &c, 1, 0) == 1 && signals() == 0);
	CHECK(fcntl(fd, F_NOTIFY, DN_MULTISHOT | DN_ACCESS) == 0); /* more, not instead */
	CHECK(pread(other, &c, 1, 0) == 1 && signals() == 1);
	close(other);
	CHECK(unlink("d/a") == 0 && signals() >= 1);
	CHECK(fcntl(fd, F_NOTIFY, 0) == 0);
	CHECK(unlink("d/b") == 0 && signals() == 0);
	CHECK(fcntl(fd, F_NOTIFY, DN_MULTISHOT | DN_RENAME) == 0);
	put("d/c", "");
	CHECK(signals() == 0 && rename("d/c", "d/e") == 0 && signals() == 1);
	CHECK(rename("d/e", "f") == 0 && signals() == 0);
	close(fd);
	CHECK(rename("f", "d/f") == 0 && rename("d/f", "d/g") == 0 && signals() == 0);
	CHECK(unlink("d/g") == 0 && rmdir("d") == 0 && unlink("plain") == 0);
	fs_leave();
	OK();
}
