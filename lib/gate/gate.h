/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate: the code in the picoprocess under the ABI. It has no authority:
 * the guest may jump anywhere into it, or overwrite it, and gains nothing the
 * filter would not give it anyway. So nothing here checks for security; it
 * checks to give correct errors to a correct library OS.
 */
#ifndef PICO_GATE_H
#define PICO_GATE_H

#include <stdbool.h>
#include <asm/unistd.h>
#include "../abi/wire.h"
#include "gate-asm.h"

#pragma GCC visibility push(hidden)

/* A thread block with the gate's own members after the ABI's part. */
struct gate_block {
	struct pico_thread_block tb;
	uint32_t alive; /* the kernel clears it when the thread is gone */
	int32_t tid; /* and writes this when it is made; entry.S knows that they are neighbours */
	uint32_t region;
	uint32_t seq;
	uint32_t *clear_word;
	void *param;
	uint64_t cookie;
};
_Static_assert(sizeof(struct gate_block) <= GATE_BLOCK_ROOM, "the block is larger than its place");

/* Private to a picoprocess; a clone starts with a copy and fixes regions. */
struct gate_state {
	const struct pico_libos_header *libos;
	int64_t (*vdso_clock)(int clock, uint64_t *ts);
	uint64_t vdso_start, vdso_end;
	uint32_t vdso_usable, system_fs;
	uint32_t regions_lock;
	uint32_t anonymous; /* a clone that nobody has a handle of */
	uint32_t regions[PICO_THREADS_MAX / 32]; /* bit set: in use or not yet known to be free */
	uint32_t regions_made[PICO_THREADS_MAX / 32]; /* bit set: its block is there and can be looked at */
	struct pico_init_info info;
};
extern struct gate_state gate;
extern struct pico_gate_params pico_gate_params;
extern char pico_gate_text[], pico_gate_plain[], pico_gate_wait[], pico_gate_wait_end[], pico_gate_copy_end[], pico_gate_copy_fault[];

#define MAILBOX ((struct pico_mailbox_header *)PICO_MAILBOX_BASE)
static inline struct pico_slot *gate_slot(uint32_t slot)
{
	return (struct pico_slot *)(PICO_MAILBOX_BASE + PICO_MAILBOX_SLOTS + (uint64_t)slot * PICO_SLOT_SIZE);
}
static inline uint64_t gate_region(uint32_t region) { return PICO_THREADS_BASE + (uint64_t)region * PICO_THREAD_SIZE; }

static inline struct gate_block *gate_self(void)
{
	struct gate_block *b;
	if (__builtin_expect(gate.system_fs, 0))
		__asm__ volatile("rdfsbase %0" : "=r"(b));
	else
		__asm__ volatile("rdgsbase %0" : "=r"(b));
	return b;
}
static inline void gate_set_self(struct gate_block *b)
{
	if (gate.system_fs)
		__asm__ volatile("wrfsbase %0" : : "r"(b));
	else
		__asm__ volatile("wrgsbase %0" : : "r"(b));
}

/* The slot is the thread's identity: its handle says so to the library OS. */
static inline void gate_name_thread(struct gate_block *b)
{
	uint64_t generation = __atomic_load_n(&gate_slot(b->tb.slot)->generation, __ATOMIC_RELAXED) & 0xffffff;
	b->tb.thread = PICO_HANDLE(PICO_HT_THREAD, b->tb.slot | generation << 24);
}

static inline long gate_call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long ret;
	__asm__ volatile("call pico_gate_plain"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
/* The interruptible one: -EINTR also when an interrupt is pending already. */
static inline long gate_wait(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	register struct gate_block *r12 __asm__("r12") = gate_self();
	long ret;
	__asm__ volatile("call pico_gate_wait"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), "r"(r12)
			 : "rcx", "r11", "memory");
	return ret;
}

/* request.c: a request to the monitor from the calling thread's slot. */
int64_t gate_request(unsigned nr, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5);
int64_t gate_ask(struct gate_block *b, uint64_t nr, const uint64_t arg[6]); /* one way or the other; retries what signals interrupt */
long gate_may_clone(struct gate_block *b, uint64_t flags, uint64_t tag); /* 0 where the filter lets the monitor decide */
int pico_gate_copy(void *to, const void *from, uint64_t size); /* 0 or -EFAULT */
_Noreturn void gate_exit_group(int code);

/* thread.c */
int64_t gate_slot_take(void); /* a mailbox slot, or -EAGAIN */
void gate_slot_free(uint32_t slot);
void gate_slot_assign(struct gate_block *b, uint32_t slot);
struct gate_block *gate_block_make(uint32_t slot); /* maps a region; NULL: no memory */
void gate_block_drop(struct gate_block *b);
void gate_regions_after_clone(uint32_t mine);
int gate_thread_setup(struct gate_block *b); /* in the thread itself: system pointer, alternate stack */

/* time.c */
uint64_t gate_now(void);
uint64_t gate_host_deadline(uint64_t deadline); /* on the host's monotonic clock */
void gate_time_init(uint64_t vdso);

/* lock words of the gate in shared memory */
void gate_lock(uint32_t *word);
void gate_unlock(uint32_t *word);
int64_t gate_futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline);

/* object.c */
uint32_t *gate_references(pico_handle h); /* of a descriptor handle; NULL: none such */
int64_t gate_opened(int64_t h); /* counts the reference of a new handle; returns it */

_Noreturn void pico_gate_seed(void);
_Noreturn void pico_gate_leave(const void *vector, uint64_t mask, struct pico_exception *e, struct pico_context *c,
			       uint64_t stack, pico_exception_fn libos);
_Noreturn void pico_gate_enter(void *fn, void *arg1, void *arg2, void *stack_top);
long pico_gate_clone_thread(uint64_t flags, void *stack, uint32_t *ctid, uint64_t tag, void (*fn)(void *), void *arg);

/* The downcalls, as the ABI table declares them. */
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) int64_t pico_gate_##name proto;
#include <pico/abi.def>
#undef PICO_DOWNCALL

#pragma GCC visibility pop
#endif
