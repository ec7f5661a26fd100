/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper: of an instance without notifications, where no ioctl of the
 * monitor can put a descriptor into a picoprocess. It shares the instance's
 * descriptor table and nothing else: it runs no guest byte, and the guests'
 * filter keeps its sockets from them. It is also the instance's watchdog: the
 * instance is a process group of its own, which can be ended though its members
 * clone as they like. Must not know what is granted, nor to whom.
 */
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "helper.h"

#define MAILBOX ((struct pico_mailbox_header *)PICO_MAILBOX_BASE)

/* ---- its own filter: whoever sends descriptors sends no orders ---- */

#define LD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define PASS(name, left) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, (left), 0)
static const struct sock_filter calls[] = {
	LD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	LD(nr),
	PASS(ppoll, 9), PASS(recvmsg, 8), PASS(dup3, 7), PASS(close, 6), PASS(sendto, 5), PASS(exit_group, 4),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_kill, 0, 2), /* its own group only */
	LD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* ---- granting ---- */

static void tell(int32_t error)
{
	struct pico_granted answer = { error };
	if (sys_send(PICO_KEEPER_FD, &answer, sizeof answer) < 0)
		group_end();
}

/* What arrives has the lowest free number until it has its own; that may be
 * seen and even closed by a guest, whose own loss it is. */
static int32_t put(int32_t fd, int32_t number)
{
	long error = number < PICO_FIRST_FD ? -EBADF : sys(dup3, fd, number, 0);
	sys(close, fd);
	return error < 0 ? (int32_t)error : 0;
}

static void grant(void)
{
	struct sys_rights rights = { 0 };
	struct pico_grant order;
	struct iovec part = { &order, sizeof order };
	struct sys_message m = { .parts = &part, .part_count = 1, .control = &rights, .control_size = SYS_RIGHTS_SIZE(1) };
	long size = sys(recvmsg, PICO_KEEPER_FD, &m, SYS_MSG_DONTWAIT);
	if (size == -EAGAIN || size == -EINTR)
		return;
	if (size <= 0)
		group_end(); /* the monitor wants no more of us */
	if (size != sizeof order || rights.type != SYS_SCM_RIGHTS || m.control_size < SYS_RIGHTS_SIZE(1))
		tell(-EMFILE); /* no number was free */
	else
		tell(put(rights.fd[0], order.number));
}

static _Noreturn void keeper_main(void)
{
	struct sock_fprog filter = { sizeof calls / sizeof *calls, (struct sock_filter *)(uintptr_t)calls };
	struct pollfd p[3] = {
		{ .fd = PICO_KEEPER_FD, .events = POLLIN },
		{ .fd = PICO_KEEPER_HOST_FD, .events = POLLIN },
		{ .fd = PICO_KEEPER_HELPER_FD, .events = POLLIN },
	};
	sys(munmap, PICO_MAILBOX_BASE, PICO_MAILBOX_SIZE);
	if (sys(seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		group_end();
	tell(0);
	for (;;) {
		if (sys(ppoll, p, 3, 0, 0, 8) <= 0)
			continue;
		if (p[1].revents || p[2].revents)
			group_end();
		if (p[0].revents)
			grant();
	}
}

/* ---- the seed's side ---- */

/* In a user namespace of its own the kernel counts the instance's threads. */
void keeper_unshare(const struct order *o)
{
	if ((o->features & PICO_HELPER_USERNS) && sys(unshare, CLONE_NEWUSER) == 0) {
		helper_drop_bounding_set();
		helper_drop_capabilities();
	}
}

static void make_table(const struct order *o)
{
	const int32_t source[] = { o->fd[ORDER_BELL], o->fd[ORDER_KEEPER], o->host, o->helper };
	int32_t moved[4];
	/* First out of the way: a source may have another's final number. */
	for (int i = 0; i < 4; i++) {
		moved[i] = (int32_t)sys(fcntl, source[i], F_DUPFD, PICO_BELL_FD_END);
		seed_check(PICO_SEED_DESCRIPTORS, moved[i]);
	}
	for (int i = 0; i < 4; i++)
		seed_check(PICO_SEED_DESCRIPTORS, sys(dup3, moved[i], PICO_BELL_FD + i, 0));
	seed_check(PICO_SEED_DESCRIPTORS, sys(close_range, 0, PICO_BELL_FD - 1, 0));
	seed_check(PICO_SEED_DESCRIPTORS, sys(close_range, PICO_BELL_FD_END, ~0u, 0));
}

static long limit_tasks(uint64_t count, bool for_good)
{
	struct rlimit64 limit;
	long error = sys(prlimit64, 0, RLIMIT_NPROC, 0, &limit);
	if (error)
		return error;
	if (for_good)
		limit.rlim_max = count < limit.rlim_max ? count : limit.rlim_max;
	limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
	return sys(prlimit64, 0, RLIMIT_NPROC, &limit, 0);
}

static long clone_keeper(void)
{
	long pid = sys(clone, CLONE_PARENT | CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		keeper_main();
	return pid;
}

/* The limit on threads is a wall when the kernel counts this instance alone: one
 * task too few for a clone, one just enough. Older kernels count all of the
 * user's, and some users are never refused. */
static long clone_walled(const struct order *o)
{
	uint64_t all = RLIM64_INFINITY;
	long pid;
	if (!(o->features & PICO_HELPER_USERNS))
		return clone_keeper();
	limit_tasks(1, false);
	pid = sys(clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		sys(prctl, PR_SET_NAME, "pico-trial"); /* its end is not the instance's */
		sys_exit(0);
	}
	if (pid == -EAGAIN) {
		limit_tasks(2, false);
		pid = clone_keeper();
		if (pid > 0 && limit_tasks(o->order.tasks, true) == 0)
			MAILBOX->walled = 1;
		if (pid > 0)
			return pid;
	}
	limit_tasks(all, false);
	return clone_keeper();
}

void keeper_start(const struct order *o)
{
	seed_check(PICO_SEED_KEEPER, sys(setpgid, 0, 0));
	make_table(o);
	seed_check(PICO_SEED_KEEPER, clone_walled(o));
}
