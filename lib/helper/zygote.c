/* SPDX-License-Identifier: Apache-2.0
 *
 * The zygote: takes orders from the host and clones seeds. A seed shares the
 * zygote's descriptor table until it has left it (close_range in the gate), so
 * the listener it makes appears here and needs no further right to be sent.
 * Must not keep anything of an order once it is answered: until a seed has
 * left the table it sees the next order's descriptors.
 */
#include <linux/ioctl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "helper.h"

#define MAILBOX ((struct pico_mailbox_header *)PICO_MAILBOX_BASE)
#define NAP_NS 2000000ll /* longest sleep before looking whether the seed lives */
#define NAPS 2500 /* 5 s in all */

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif

/* ---- messages ---- */

static void close_all(int32_t *fd, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fd[i] >= 0)
			sys(close, fd[i]);
		fd[i] = -1;
	}
}

/* 1: an order; 0: the host closed its end; negative: a message that is not one
 * (o->order.id is then the best guess for the answer). */
static int receive_order(int socket, struct order *o)
{
	struct sys_rights rights = { 0 };
	struct iovec part = { &o->order, sizeof o->order };
	struct sys_message m = { .parts = &part, .part_count = 1, .control = &rights, .control_size = sizeof rights };
	int32_t given = 0, wanted;
	long size;
	memset(&o->order, 0, sizeof o->order);
	for (unsigned i = 0; i < ORDER_FD_COUNT; i++)
		o->fd[i] = -1;
	size = sys(recvmsg, socket, &m, SYS_MSG_CMSG_CLOEXEC);
	if (size <= 0)
		return size == -EINTR ? -EINTR : 0;
	if (m.control_size >= SYS_RIGHTS_SIZE(1) && rights.level == SYS_SOL_SOCKET && rights.type == SYS_SCM_RIGHTS)
		given = (int32_t)((rights.size - SYS_RIGHTS_SIZE(0)) / sizeof(int32_t));
	for (int32_t i = 0; i < given && i < ORDER_FD_COUNT; i++)
		o->fd[i] = rights.fd[i];
	wanted = order_has_bell(o) ? ORDER_FD_COUNT : ORDER_BELL;
	if (size != sizeof o->order || (m.flags & (SYS_MSG_TRUNC | SYS_MSG_CTRUNC)) || given != wanted ||
	    o->order.version != PICO_SPAWN_VERSION)
		return -EINVAL;
	return 1;
}

static long send_answer(int socket, const struct pico_spawn_answer *answer, const int32_t fd[2])
{
	size_t space = SYS_RIGHTS_SIZE(fd[1] < 0 ? 1 : 2);
	struct sys_rights rights = { space, SYS_SOL_SOCKET, SYS_SCM_RIGHTS, { fd[0], fd[1] } };
	struct iovec part = { (void *)(uintptr_t)answer, sizeof *answer };
	struct sys_message m = { .parts = &part, .part_count = 1 };
	if (!answer->error) {
		m.control = &rights;
		m.control_size = space;
	}
	return sys(sendmsg, socket, &m, SYS_MSG_NOSIGNAL);
}

/* ---- one seed ---- */

static bool is_dead(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct __kernel_timespec now = { 0, 0 };
	return sys(ppoll, &p, 1, &now, 0, 0) > 0;
}

/* Waits for the seed's word in the mailbox. */
static int32_t await_word(int pidfd)
{
	struct __kernel_timespec nap = { 0, NAP_NS };
	for (int i = 0; i < NAPS; i++) {
		bool dead = i && is_dead(pidfd);
		int32_t word = (int32_t)__atomic_load_n(&MAILBOX->listener, __ATOMIC_ACQUIRE);
		if (word)
			return word;
		if (dead)
			return -ECHILD;
		sys(futex, &MAILBOX->listener, FUTEX_WAIT, 0, &nap, 0, 0);
	}
	return -ETIMEDOUT;
}

/* The mailbox is memory that others can write; ask the kernel what the number
 * really is before sending it. Only a listener knows this request. */
static bool is_listener(int fd)
{
	uint64_t id = 0;
	return sys(ioctl, fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == -ENOENT;
}

static void fail(struct pico_spawn_answer *answer, enum pico_seed_step where, long error)
{
	answer->where = where;
	answer->error = (int32_t)error;
}

/* Clones the seed and waits until it is behind its filter. fd[0] pidfd, fd[1]
 * listener, unless it does without. The mailbox is mapped. */
static void make_seed(struct order *o, struct pico_spawn_answer *answer, int32_t fd[2])
{
	unsigned long flags = CLONE_PARENT | CLONE_PIDFD | SIGCHLD | (order_has_bell(o) ? 0 : CLONE_FILES);
	int32_t word;
	long pid;
	MAILBOX->listener = MAILBOX->seed_error_where = 0;
	pid = sys(clone, flags, 0, &fd[0], 0, 0);
	if (pid == 0)
		seed_main(o);
	if (pid < 0) {
		fail(answer, PICO_SEED_CLONE, pid);
		return;
	}
	answer->pid = (int32_t)pid;
	word = await_word(fd[0]);
	if (word > 0 && order_has_bell(o))
		return;
	if (word > 0 && is_listener(word - 1)) {
		fd[1] = word - 1;
		return;
	}
	sys(pidfd_send_signal, fd[0], SIGKILL, 0, 0);
	if (word > 0)
		fail(answer, PICO_SEED_FILTER, -EPROTO);
	else if (word == -ECHILD || word == -ETIMEDOUT)
		fail(answer, PICO_SEED_DIED, word);
	else
		fail(answer, MAILBOX->seed_error_where, word);
}

static void serve_order(int socket, struct order *o, int received)
{
	struct pico_spawn_answer answer = { .id = o->order.id };
	int32_t fd[2] = { -1, -1 };
	long error = received;
	o->wanted_flags = o->filter_flags;
	if (o->order.flags & PICO_SPAWN_INTERRUPTIBLE)
		o->wanted_flags &= ~(uint32_t)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	if (order_has_bell(o))
		o->wanted_flags = 0;
	answer.killable_recv = order_has_bell(o) || (o->wanted_flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (received < 0)
		fail(&answer, PICO_SEED_MESSAGE, received);
	else if ((error = seed_map_mailbox(o->fd[ORDER_MAILBOX])) < 0)
		fail(&answer, PICO_SEED_MAP_MAILBOX, error);
	else
		make_seed(o, &answer, fd);
	error = send_answer(socket, &answer, fd);
	if (error < 0 && !answer.error) {
		sys(pidfd_send_signal, fd[0], SIGKILL, 0, 0);
		fail(&answer, PICO_SEED_SEND, error);
		send_answer(socket, &answer, fd);
	}
	sys(munmap, PICO_MAILBOX_BASE, PICO_MAILBOX_SIZE);
	close_all(fd, 2);
	close_all(o->fd, ORDER_FD_COUNT);
}

/* ---- the process ---- */

/* With a null program a known flag is EFAULT, an unknown one EINVAL. */
static uint32_t filter_flags(void)
{
	uint32_t flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	if (sys(seccomp, SECCOMP_SET_MODE_FILTER, flags, 0) == -EFAULT)
		return flags;
	return SECCOMP_FILTER_FLAG_NEW_LISTENER;
}

/* As soon as it can, but an order that is there goes first: its seed joins by
 * itself, and shares the descriptors that are closed here. */
static void join(struct helper *h)
{
	uint64_t one = 1;
	if (helper_join(h) < 0)
		sys_exit(1);
	sys(write, h->joined, &one, sizeof one);
	sys(close, h->joined);
	sys(close, h->made);
	sys(close, h->watchdog);
}

_Noreturn void zygote_main(struct helper *h, uintptr_t stack_top)
{
	struct order o = {
		.stack_top = stack_top, .filter_flags = filter_flags(),
		.host = h->host, .helper = h->self, .features = h->features, .zygote = h,
	};
	struct pollfd p[3] = { { .fd = h->spawn, .events = POLLIN }, { .fd = h->self, .events = POLLIN },
			       { .fd = h->made, .events = POLLIN } };
	int received;
	sys(prctl, PR_SET_NAME, "pico-zygote");
	/* Into the watchdog's group, which is called 1 in its namespace. */
	if (sys(setpgid, 0, h->features & PICO_HELPER_PIDNS ? 1 : h->group) < 0)
		sys_exit(1);
	sys(close, h->control);
	for (;;) {
		if (sys(ppoll, p, 3, 0, 0, 8) < 0)
			continue;
		if (p[1].revents)
			group_end();
		if (p[2].revents && !p[0].revents) {
			join(h);
			p[2].fd = -1;
		}
		if (!p[0].revents)
			continue;
		received = receive_order(h->spawn, &o);
		if (received == -EINTR)
			continue;
		if (received == 0)
			sys_exit(0); /* the helper sees it and ends the rest */
		serve_order(h->spawn, &o, received);
	}
}
