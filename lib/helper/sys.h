/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's system calls for a program without a C library: raw wrappers that
 * return a negative errno, and the few structures that the kernel's own headers
 * leave to libc. Must not know what the helper does with them.
 */
#ifndef PICO_HELPER_SYS_H
#define PICO_HELPER_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/errno.h>
#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/time_types.h>
#include <linux/uio.h>
#include <linux/wait.h>

#ifndef __x86_64__
#error "the helper's system calls are written for x86-64"
#endif

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#define SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define SYS_0(nr) sys6(nr, 0, 0, 0, 0, 0, 0)
#define SYS_1(nr, a) sys6(nr, (long)(a), 0, 0, 0, 0, 0)
#define SYS_2(nr, a, b) sys6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS_3(nr, a, b, c) sys6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS_4(nr, a, b, c, d) sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS_5(nr, a, b, c, d, e) sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS_6(nr, a, b, c, d, e, f) \
	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* sys(futex, &word, FUTEX_WAKE, 1): up to six arguments, the rest are 0. */
#define sys(name, ...) \
	SYS_PICK(_, ##__VA_ARGS__, SYS_6, SYS_5, SYS_4, SYS_3, SYS_2, SYS_1, SYS_0)(__NR_##name, ##__VA_ARGS__)

/* ---- what <sys/socket.h> has ---- */
#define SYS_MSG_CTRUNC 0x08
#define SYS_MSG_TRUNC 0x20
#define SYS_MSG_DONTWAIT 0x40
#define SYS_MSG_NOSIGNAL 0x4000
#define SYS_MSG_CMSG_CLOEXEC 0x40000000
#define SYS_SOL_SOCKET 1
#define SYS_SCM_RIGHTS 1

struct sys_message {
	void *name;
	uint32_t name_size;
	struct iovec *parts;
	size_t part_count;
	void *control;
	size_t control_size;
	uint32_t flags;
};
#define SYS_RIGHTS_MAX 6
struct sys_rights { /* one control message of descriptors */
	size_t size;
	int32_t level, type;
	int32_t fd[SYS_RIGHTS_MAX];
};
#define SYS_RIGHTS_SIZE(count) (offsetof(struct sys_rights, fd) + (count) * sizeof(int32_t))

/* ---- small conveniences ---- */
static inline long sys_send(int fd, const void *data, size_t size)
{
	return sys(sendto, fd, data, size, SYS_MSG_NOSIGNAL);
}

static inline _Noreturn void sys_exit(int code)
{
	for (;;)
		sys(exit_group, code);
}

static inline long sys_wake(uint32_t *word)
{
	return sys(futex, word, FUTEX_WAKE, 1);
}

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
void *memmove(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
