/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel half of the monitor: the seccomp filter, made from
 * lib/abi/hostcalls.def. It compares rip with three exact values, then the
 * architecture, then the number, then the arguments.
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

#define LD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define FIELD(f) ((unsigned)offsetof(struct seccomp_data, f))
#define LO(arg) (FIELD(args) + 8u * (arg))
#define HI(arg) (LO(arg) + 4u)
#define RET(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define KILL RET(SECCOMP_RET_KILL_PROCESS)
#define TRAP RET(SECCOMP_RET_TRAP)
#define ALLOW RET(SECCOMP_RET_ALLOW)
#define ASK RET(SECCOMP_RET_USER_NOTIF)
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

#define WAIT_RULE SKIP_RULE
#define PLAIN_RULE SKIP_RULE
#define SIGRETURN_RULE SKIP_RULE
#define HOSTCALL(where, name, reason, ...) where##_RULE(name, __VA_ARGS__)

/* Sizes of the lists: head and final KILL, and each rule. */
#define RULE_SIZE(name, ...) + 1 + COUNT(__VA_ARGS__)
#define HEAD_SIZE 4
#undef WAIT_RULE
#define WAIT_RULE RULE_SIZE
enum { wait_size = HEAD_SIZE + 1
#include "../abi/hostcalls.def"
};
#undef WAIT_RULE
#define WAIT_RULE SKIP_RULE
#undef PLAIN_RULE
#define PLAIN_RULE RULE_SIZE
enum { plain_size = HEAD_SIZE + 4 + 1 /* the private range */
#include "../abi/hostcalls.def"
};
#undef PLAIN_RULE
#define PLAIN_RULE SKIP_RULE

/* Jumps reach 255 instructions; longer ones go by BPF_JA. */
#define GO(distance) BPF_STMT(BPF_JMP | BPF_JA, (distance))

const struct sock_filter pico_filter[] = {
	LD(FIELD(instruction_pointer) + 4),
	JEQ((unsigned)(PICO_GATE_TEXT >> 32), 1, 0),
	TRAP,
	LD(FIELD(instruction_pointer)),
	JEQ((unsigned)PICO_RIP_PLAIN, 4, 0),
	JEQ((unsigned)PICO_RIP_WAIT, 4, 0),
	JEQ((unsigned)PICO_RIP_SIGRETURN, 1, 0),
	TRAP,
	GO(2 + plain_size + wait_size), /* to the sigreturn list */
	GO(1), /* to the plain list */
	GO(plain_size), /* to the wait list */

	LIST_HEAD(PLAIN)
	/* requests to the monitor: a range of private numbers */
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PICO_NR_BASE, 0, 3),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PICO_NR_PRIVATE_END, 1, 0),
	ASK,
	KILL,
#undef PLAIN_RULE
#define PLAIN_RULE RULE
#include "../abi/hostcalls.def"
#undef PLAIN_RULE
#define PLAIN_RULE SKIP_RULE
	KILL,

	LIST_HEAD(WAIT)
#undef WAIT_RULE
#define WAIT_RULE RULE
#include "../abi/hostcalls.def"
#undef WAIT_RULE
#define WAIT_RULE SKIP_RULE
	KILL,

	LIST_HEAD(SIGRETURN)
#undef SIGRETURN_RULE
#define SIGRETURN_RULE RULE
#include "../abi/hostcalls.def"
	KILL,
};
const unsigned short pico_filter_count = sizeof(pico_filter) / sizeof(pico_filter[0]);
_Static_assert(PICO_GATE_TEXT >> 32 == PICO_RIP_WAIT >> 32, "one upper half");
