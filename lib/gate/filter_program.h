/* SPDX-License-Identifier: Apache-2.0
 *
 * One program of filter_table.c, which includes this file once for each and
 * says by macros what differs: the NAME, the verdicts ASK, ASK_AT_START and
 * REQUEST, and what each list does FIRST. It compares rip with three exact values,
 * then the architecture, then the number, then the arguments. Must not know why
 * programs differ.
 */

/* Sizes of the lists: head and final KILL, and each rule. */
#define SIGRETURN_RULE SKIP_RULE
#define PLAIN_RULE SKIP_RULE
#define WAIT_RULE RULE_SIZE
enum { NAME(wait_size) = HEAD_SIZE + COUNT(WAIT_FIRST) + 1
#include "../abi/hostcalls.def"
};
#undef WAIT_RULE
#define WAIT_RULE SKIP_RULE
#undef PLAIN_RULE
#define PLAIN_RULE RULE_SIZE
enum { NAME(plain_size) = HEAD_SIZE + 4 /* the private range */ + COUNT(PLAIN_FIRST) + 1
#include "../abi/hostcalls.def"
};

const struct sock_filter NAME(filter)[] = {
	LD(FIELD(instruction_pointer) + 4),
	JEQ((unsigned)(PICO_GATE_TEXT >> 32), 1, 0),
	TRAP,
	LD(FIELD(instruction_pointer)),
	JEQ((unsigned)PICO_RIP_PLAIN, 4, 0),
	JEQ((unsigned)PICO_RIP_WAIT, 4, 0),
	JEQ((unsigned)PICO_RIP_SIGRETURN, 1, 0),
	TRAP,
	GO(2 + NAME(plain_size) + NAME(wait_size)), /* to the sigreturn list */
	GO(1), /* to the plain list */
	GO(NAME(plain_size)), /* to the wait list */

	LIST_HEAD(PLAIN)
	/* requests to the monitor: a range of private numbers */
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PICO_NR_BASE, 0, 3),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PICO_NR_PRIVATE_END, 1, 0),
	REQUEST,
	KILL,
	PLAIN_FIRST
#undef PLAIN_RULE
#define PLAIN_RULE RULE
#include "../abi/hostcalls.def"
#undef PLAIN_RULE
#define PLAIN_RULE SKIP_RULE
	KILL,

	LIST_HEAD(WAIT)
	WAIT_FIRST
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
const unsigned short NAME(filter_count) = sizeof(NAME(filter)) / sizeof(NAME(filter)[0]);
#undef SIGRETURN_RULE
#undef PLAIN_RULE
#undef WAIT_RULE
