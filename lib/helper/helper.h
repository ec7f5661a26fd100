/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the helper program share, and what they take from the gate,
 * which is linked into the same program. The helper has no libc, allocates
 * nothing, and has one thread in each of its processes.
 *
 *	helper    talks to the host, reaps          main.c
 *	watchdog  kills everything when it dies     watchdog.c
 *	zygote    clones seeds to order             zygote.c
 *	seed      becomes an instance's first process and enters the gate   seed.c
 *	keeper    of an instance without notifications: grants descriptors   keeper.c
 */
#ifndef PICO_HELPER_H
#define PICO_HELPER_H

#include <linux/filter.h>

#include "../abi/wire.h"
#include "sys.h"

#pragma GCC visibility push(hidden)

/* What the watchdog makes while the others go on: written by it alone, read
 * when `made` is readable. In a page the helper's processes share, which none
 * of them keeps. */
struct helper_beside {
	uint32_t features; /* PICO_HELPER_ bits */
	uint32_t flags; /* the same as setns() wants them */
	int32_t refused; /* errno of the first refused */
	uint32_t refused_index; /* in the table of isolate.c */
};

struct helper {
	int control; /* to the host: struct pico_control */
	int spawn; /* zygote's end of the spawn socket */
	int host; /* pidfd of the host process */
	int self; /* pidfd of the helper, for its children */
	int watchdog, zygote; /* their pidfds */
	int made, joined; /* eventfds: the watchdog's namespaces are there; the zygote is in them */
	struct helper_beside *beside; /* NULL when this process has joined */
	bool ready; /* told so to the host: nothing is reported before */
	int32_t group; /* the watchdog's pid, and the group's; 0: none yet */
	int32_t reported; /* pid told to the host and not acknowledged yet; 0: none */
	uint32_t uid, gid; /* before the user namespace */
	uint32_t features; /* PICO_HELPER_ bits */
	int32_t refused; /* errno of the first namespace refused; 0: none */
	const char *refused_name;
};

/* What _start calls, with the stack as the kernel left it. */
_Noreturn void helper_main(const uintptr_t *stack);

/* The watchdog leads a process group that holds the zygote, all seeds and all
 * picoprocesses, and nothing else. A group's SIGKILL cannot be outrun by fork. */
_Noreturn void helper_end(struct helper *h); /* helper: ends the group, waits, exits */
_Noreturn void helper_fail(struct helper *h, int error, const char *what); /* tells the host why, then the same */
_Noreturn void group_end(void); /* a member, when the helper is dead */

/* probe.c: fills the machine-dependent part of the gate's parameters.
 * Returns 0 or a negative errno, *what naming what is missing. */
int helper_probe(struct pico_gate_params *params, const uint64_t *auxv, const char **what);
/* vdso.c: params->vdso, when it is not 0, is moved or given up, then tested. */
void vdso_place(struct pico_gate_params *params);
void vdso_test(struct pico_gate_params *params);

/* isolate.c: no step but dropping root is required; the others are recorded in
 * h->features and h->refused. Returns 0 or a negative errno.
 *
 * A net namespace takes longer than all the rest. So the helper makes user and
 * pid namespaces, starts the watchdog, and goes on with the file tree, while the
 * watchdog makes the remaining ones for all; each other process joins them, a
 * seed before it has a filter. The right to do so is kept until then. */
int helper_drop_root(struct helper *h, const char **what);
void helper_enter_first(struct helper *h);
void helper_drop_bounding_set(void);
void helper_enter_root(struct helper *h); /* ids, mount namespace and empty root */
void helper_make_beside(struct helper *h); /* the watchdog's part */
int helper_join(struct helper *h); /* waits for that, enters; no capability is left afterwards */
void helper_drop_capabilities(void);

/* The children's bodies. */
_Noreturn void watchdog_main(struct helper *h);
_Noreturn void zygote_main(struct helper *h, uintptr_t stack_top);

/* An order with its descriptors, in the order of the message. */
enum { ORDER_MAILBOX, ORDER_SEGMENT, ORDER_BOOT, ORDER_LIBOS, ORDER_BELL, ORDER_KEEPER, ORDER_FD_COUNT };
struct order {
	struct pico_spawn_order order;
	int32_t fd[ORDER_FD_COUNT];
	uint32_t filter_flags; /* for seccomp(): all that this kernel has, and what this order wants of it */
	uint32_t wanted_flags;
	int32_t host, helper; /* pidfds, for a keeper */
	uint32_t features; /* PICO_HELPER_ bits */
	uintptr_t stack_top; /* end of the stack the kernel gave the helper */
	struct helper *zygote; /* whose the descriptors are */
};
/* Zygote: the mailbox in its place, for itself and for the seed's copy. */
int seed_map_mailbox(int fd);
/* Seed's child side: never returns; reports through the mailbox. */
_Noreturn void seed_main(const struct order *order);

static inline bool order_has_bell(const struct order *o) { return o->order.flags & PICO_SPAWN_BELL; }
/* seed.c: ends the seed when result is an error, and tells which step it was. */
void seed_check(enum pico_seed_step step, long result);

/* keeper.c: for an order with a bell. First a user namespace of the instance's
 * own, where there may be one; then, with everything mapped and limited, its
 * process group, its descriptor table and its keeper. */
void keeper_unshare(const struct order *o);
void keeper_start(const struct order *o);

/* seed.c: what is mapped at a place (in one piece) will be mapped in clones, too,
 * where it was in their parent: a fork leaves page tables of files to be filled
 * by faults, unless the mapping once had guard pages (Linux 6.15; otherwise it is
 * only slower). Nothing else is different; no page ever changes its protection. */
void seed_keep_tables(uint64_t place);

/* image.c: maps a library OS image; 0 or a negative errno, *step telling
 * LIBOS_HEADER (not an image) or MAP_LIBOS (memory). */
int image_map(int fd, const struct pico_libos_header **header, enum pico_seed_step *step);

/* helper.ld: the helper's own pages. */
extern char helper_image_start[], helper_image_end[], helper_text_start[], helper_text_end[];

/* The gate. */
extern struct pico_gate_params pico_gate_params;
extern char pico_gate_handler[], pico_gate_restorer[];
extern char pico_gate_plain[]; /* syscall; ret */
extern const struct sock_filter pico_filter[];
extern const unsigned short pico_filter_count;
extern const struct sock_filter pico_bell_filter[];
extern const unsigned short pico_bell_filter_count;
_Noreturn void pico_gate_seed(void);

#pragma GCC visibility pop

#endif
