/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's notification descriptor: take a notification, answer it, put a
 * descriptor into the asker's table. The only file that knows these ioctls.
 * Knows nothing of requests, instances or policy.
 *
 * Descriptor first, answer afterwards, in two calls: the kernel's combined
 * form wakes the asker without the hand-over on one processor that
 * SYNC_WAKE_UP gives to a plain answer (30 microseconds instead of 9).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host_errno.h"
#include "instance.h"

/* Linux 6.6; absent from older headers. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1ul << 0)
#endif

_Static_assert(sizeof(struct seccomp_notif) <= PICO__NOTIFY_MAX, "notification fits");
_Static_assert(sizeof(struct seccomp_notif_resp) <= PICO__NOTIFY_MAX, "answer fits");

/* The kernel reads and writes as much as *its* structs have. */
int pico__notify_check(void)
{
	struct seccomp_notif_sizes sizes = { 0 };

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -PICO_EKERNEL;
	if (sizes.seccomp_notif > PICO__NOTIFY_MAX || sizes.seccomp_notif_resp > PICO__NOTIFY_MAX)
		return -PICO_EKERNEL;
	return 0;
}

uint32_t pico__kernel_without;

/* Tried in a thread of its own: no filter and no bit set here outlives it. */
static void *try_to_listen(void *result)
{
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 1, all };
	int fd = -1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	*(bool *)result = fd < 0 && errno == EBUSY;
	if (fd >= 0)
		close(fd);
	return NULL;
}

bool pico__notify_taken(void)
{
	sigset_t all, before;
	bool taken = false;
	pthread_t thread;
	int rc;

	if (pico__kernel_without & PICO__WITHOUT_NOTIFICATIONS)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&thread, NULL, try_to_listen, &taken);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_join(thread, NULL);
	return taken;
}


int pico__notify_sync(int listener)
{
	if (pico__kernel_without & PICO__WITHOUT_SYNC_WAKE_UP)
		return -PICO_ENOTSUP;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
		return -PICO_ENOTSUP;
	return 0;
}

/* Only after poll said so: older kernels wait for ever when nobody is left. */
struct seccomp_notif *pico__notify_receive(int listener, struct pico__notify *buffer)
{
	memset(buffer, 0, sizeof(*buffer)); /* the kernel insists */
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, buffer) < 0)
		if (errno != EINTR)
			return NULL;
	return (struct seccomp_notif *)buffer;
}

static int send_answer(int listener, uint64_t id, int64_t value, uint32_t flags)
{
	struct pico__notify buffer;
	struct seccomp_notif_resp *answer = (struct seccomp_notif_resp *)&buffer;

	memset(&buffer, 0, sizeof(buffer));
	answer->id = id;
	answer->val = value;
	answer->flags = flags;
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer) < 0)
		if (errno != EINTR)
			return -PICO_ENOENT;
	return 0;
}

int pico__notify_answer(int listener, uint64_t id, int64_t value)
{
	return send_answer(listener, id, value, 0);
}

int pico__notify_continue(int listener, uint64_t id)
{
	return send_answer(listener, id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

bool pico__notify_valid(int listener, uint64_t id)
{
	int rc;

	do
		rc = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
	while (rc < 0 && errno == EINTR);
	return rc == 0;
}

/* EINTR: the asker is gone, or a signal took it out of its request (kernels
 * without WAIT_KILLABLE_RECV): before the call, ENOENT, or during it, ESRCH. */
int pico__notify_grant(int listener, uint64_t id, int fd, int number)
{
	struct seccomp_notif_addfd grant = {
		.id = id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)fd,
		.newfd = (uint32_t)number,
	};

	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &grant) < 0)
		if (errno == EBADF || errno == EMFILE) /* beyond the asker's RLIMIT_NOFILE */
			return -PICO_EMFILE;
		else if (errno == ENOENT || errno == ESRCH)
			return -PICO_EINTR;
		else if (errno != EINTR)
			return pico__error(errno);
	return 0;
}
