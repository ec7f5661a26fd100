/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel half of the monitor: the seccomp filter, made from
 * lib/abi/hostcalls.def, once with notifications and once without (the bell of
 * lib/abi/wire.h).
 */
#include <stddef.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/seccomp.h>
#include <asm/unistd.h>
#include "../abi/wire.h"

extern const struct sock_filter pico_filter[];
extern const unsigned short pico_filter_count;
extern const struct sock_filter pico_bell_filter[];
extern const unsigned short pico_bell_filter_count;

#define LD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define FIELD(f) ((unsigned)offsetof(struct seccomp_data, f))
#define LO(arg) (FIELD(args) + 8u * (arg))
#define HI(arg) (LO(arg) + 4u)
#define RET(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define KILL RET(SECCOMP_RET_KILL_PROCESS)
#define TRAP RET(SECCOMP_RET_TRAP)
#define ALLOW RET(SECCOMP_RET_ALLOW)
#define JEQ(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define AND(mask) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (mask))

/* Checks go on when they hold and kill when not. 32 bits, unless they say 64:
 * the kernel looks at no more of those arguments. */
#define EQ(arg, value) LD(LO(arg)), JEQ((value), 1, 0), KILL
#define EQ64(arg, value) EQ(arg, value), LD(HI(arg)), JEQ(0, 1, 0), KILL /* value below 2^32 */
#define BITS(arg, mask) LD(LO(arg)), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~(unsigned)(mask), 0, 1), KILL
#define BITS64(arg, mask) BITS(arg, mask), LD(HI(arg)), JEQ(0, 1, 0), KILL
#define MASKED_NOT(arg, mask, value) LD(LO(arg)), AND(mask), JEQ((value), 0, 1), KILL
#define ONE_OF2(arg, a, b) LD(LO(arg)), JEQ((a), 2, 0), JEQ((b), 1, 0), KILL
#define ONE_OF11(arg, a, b, c, d, e, f, g, h, i, j, k) \
	LD(LO(arg)), JEQ((a), 11, 0), JEQ((b), 10, 0), JEQ((c), 9, 0), JEQ((d), 8, 0), JEQ((e), 7, 0), JEQ((f), 6, 0), \
	JEQ((g), 5, 0), JEQ((h), 4, 0), JEQ((i), 3, 0), JEQ((j), 2, 0), JEQ((k), 1, 0), KILL
#define EITHER64(arg, a, b) LD(HI(arg)), JEQ(0, 1, 0), KILL, ONE_OF2(arg, a, b)

#define COUNT(...) (sizeof((struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter))
#define RULE(name, ...) JEQ(__NR_##name, 0, COUNT(__VA_ARGS__)), __VA_ARGS__,

/* Each instruction's own list, as an array expression. */
#define SKIP_RULE(name, ...)
#define LIST_HEAD(rip) LD(FIELD(arch)), JEQ(AUDIT_ARCH_X86_64, 1, 0), KILL, LD(FIELD(nr)),
#define HOSTCALL(where, name, reason, ...) where##_RULE(name, __VA_ARGS__)
#define RULE_SIZE(name, ...) + 1 + COUNT(__VA_ARGS__)
#define HEAD_SIZE 4
/* Jumps reach 255 instructions; longer ones go by BPF_JA. */
#define GO(distance) BPF_STMT(BPF_JMP | BPF_JA, (distance))

#define ASK RET(SECCOMP_RET_USER_NOTIF)
#define ASK_AT_START ASK
#define REQUEST ASK
#define PLAIN_FIRST
#define WAIT_FIRST
#define NAME(part) pico_##part
#include "filter_program.h"
#undef ASK
#undef ASK_AT_START
#undef REQUEST
#undef PLAIN_FIRST
#undef WAIT_FIRST
#undef NAME

/* Without notifications: clones are asked for at the bell, and counted. Of the
 * descriptors below those that are granted only the bell may be written to. */
#define GRANTED(name) JEQ(__NR_##name, 0, 4), LD(LO(0)), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PICO_FIRST_FD, 1, 0), KILL, LD(FIELD(nr)),
#define GRANTED_OR(name, fd) JEQ(__NR_##name, 0, 5), LD(LO(0)), JEQ((fd), 2, 0), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PICO_FIRST_FD, 1, 0), KILL, LD(FIELD(nr)),
#define ASK ALLOW
#define ASK_AT_START KILL
#define REQUEST KILL
#define PLAIN_FIRST GRANTED(close) GRANTED(preadv2) GRANTED_OR(pwritev2, PICO_BELL_FD)
#define WAIT_FIRST GRANTED(preadv2) GRANTED(pwritev2)
#define NAME(part) pico_bell_##part
#include "filter_program.h"

_Static_assert(PICO_GATE_TEXT >> 32 == PICO_RIP_WAIT >> 32, "one upper half");
