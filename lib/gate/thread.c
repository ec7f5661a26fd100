/* SPDX-License-Identifier: Apache-2.0
 *
 * Thread regions and slots, and the thread downcalls. A region (stack,
 * alternate stack, block) is private to the picoprocess; a mailbox slot belongs
 * to one thread of the whole instance.
 */
#include <linux/mman.h>
#include "gate.h"

struct host_stack { void *sp; int flags; uint64_t size; };

int64_t gate_slot_take(void)
{
	for (uint32_t w = 0; w < PICO_SLOT_COUNT / 32; w++) {
		uint32_t used = __atomic_load_n(&MAILBOX->slot_used[w], __ATOMIC_RELAXED);
		while (~used) {
			uint32_t bit = 1u << __builtin_ctz(~used);
			uint32_t n = w * 32 + (uint32_t)__builtin_ctz(bit);
			if (n == PICO_SLOT_COUNT - 1) /* the seed's */
				break;
			used = __atomic_fetch_or(&MAILBOX->slot_used[w], bit, __ATOMIC_ACQUIRE);
			if (!(used & bit))
				return n;
		}
	}
	return -PICO_EAGAIN;
}

/* The generation first: when this picoprocess ends, the monitor tells by it a
 * slot given back (and perhaps taken by another one) from a slot left behind. */
void gate_slot_free(uint32_t slot)
{
	__atomic_add_fetch(&gate_slot(slot)->generation, 1, __ATOMIC_RELAXED);
	__atomic_fetch_and(&MAILBOX->slot_used[slot / 32], ~(1u << (slot % 32)), __ATOMIC_RELEASE);
}

/* Regions of ended threads are used again when the kernel has let go of them. */
static int64_t region_take(bool *mapped)
{
	int64_t found = -1;

	gate_lock(&gate.regions_lock);
	for (uint32_t i = 0; i < PICO_THREADS_MAX && found < 0; i++) {
		uint32_t bit = 1u << (i % 32);
		if (!(gate.regions[i / 32] & bit)) {
			gate.regions[i / 32] |= bit;
			*mapped = false;
			found = i;
			break;
		}
		if (!(__atomic_load_n(&gate.regions_made[i / 32], __ATOMIC_ACQUIRE) & bit))
			continue; /* another thread is about to map it */
		struct gate_block *b = (void *)(gate_region(i) + GATE_BLOCK);
		if (b->region == i && __atomic_load_n(&b->alive, __ATOMIC_ACQUIRE) == 0) {
			b->alive = 1;
			*mapped = true;
			found = i;
		}
	}
	gate_unlock(&gate.regions_lock);
	return found;
}

/* A thread handle names a slot in one of its lives. */
void gate_slot_assign(struct gate_block *b, uint32_t slot)
{
	struct pico_slot *s = gate_slot(slot);
	uint64_t generation = __atomic_add_fetch(&s->generation, 1, __ATOMIC_RELAXED) & 0xffffff;

	__atomic_store_n(&s->exit_note, 0, __ATOMIC_RELAXED);
	b->tb.slot = slot;
	b->tb.thread = PICO_HANDLE(PICO_HT_THREAD, slot | generation << 24);
	b->seq = __atomic_load_n(&s->seq, __ATOMIC_RELAXED);
}

struct gate_block *gate_block_make(uint32_t slot)
{
	bool mapped;
	int64_t region = region_take(&mapped);
	if (region < 0)
		return NULL;
	uint64_t base = gate_region((uint32_t)region);
	struct gate_block *b = (void *)(base + GATE_BLOCK);
	if (!mapped) {
		int64_t r = gate_call(__NR_mmap, base, PICO_THREAD_SIZE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, (uint64_t)-1, 0);
		if (r >= 0) /* not a mapping of its own where that can be avoided: fork copies them one by one */
			r = gate_call(__NR_madvise, base, PICO_PAGE_SIZE, PICO_MADV_GUARD_INSTALL, 0, 0, 0);
		if (r == -PICO_EINVAL)
			r = gate_call(__NR_mprotect, base, PICO_PAGE_SIZE, PROT_NONE, 0, 0, 0);
		if (r < 0) {
			gate_lock(&gate.regions_lock);
			gate.regions[region / 32] &= ~(1u << (region % 32));
			gate_unlock(&gate.regions_lock);
			return NULL;
		}
	}
	b->tb = (struct pico_thread_block){ .self = &b->tb, .stack_top = (void *)(base + GATE_STACK_TOP) };
	b->region = (uint32_t)region;
	b->alive = 1;
	b->clear_word = NULL;
	gate_slot_assign(b, slot);
	__atomic_fetch_or(&gate.regions_made[region / 32], 1u << (region % 32), __ATOMIC_RELEASE);
	return b;
}

void gate_block_drop(struct gate_block *b)
{
	__atomic_store_n(&b->alive, 0, __ATOMIC_RELEASE);
}

/* In a clone only the calling thread exists: all other regions are free, and
 * are mapped anew when they are taken. */
void gate_regions_after_clone(uint32_t mine)
{
	gate.regions_lock = 0;
	for (uint32_t i = 0; i < PICO_THREADS_MAX / 32; i++)
		gate.regions[i] = gate.regions_made[i] = 0;
	gate.regions[mine / 32] = gate.regions_made[mine / 32] = 1u << (mine % 32);
}

int gate_thread_setup(struct gate_block *b)
{
	uint64_t base = gate_region(b->region);
	struct host_stack stack = { (void *)(base + GATE_ALTSTACK), 0, GATE_ALTSTACK_SIZE };

	gate_set_self(b);
	return (int)gate_call(__NR_sigaltstack, (uint64_t)&stack, 0, 0, 0, 0, 0);
}

static _Noreturn void thread_end(struct gate_block *b)
{
	uint32_t *word = b->clear_word;

	gate_slot_free(b->tb.slot);
	if (word) {
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
		gate_call(__NR_futex, (uint64_t)word, 1 /* FUTEX_WAKE */, INT32_MAX, 0, 0, 0);
	}
	for (;;)
		gate_call(__NR_exit, 0, 0, 0, 0, 0, 0);
}

static void thread_main(void *arg)
{
	struct gate_block *b = arg;

	gate_name_thread(b);
	if (gate_thread_setup(b) || gate_request(PICO_NR_HELLO, 1, b->cookie, (uint64_t)b->tid, 0, 0) < 0)
		thread_end(b);
	gate.libos->thread_start(b->param);
	thread_end(b);
}

int64_t pico_gate_ThreadCreate(void *param, uint32_t *clear_word)
{
	int64_t slot = gate_slot_take();
	if (slot < 0)
		return slot;
	struct gate_block *b = gate_block_make((uint32_t)slot);
	if (!b) {
		gate_slot_free((uint32_t)slot);
		return -PICO_ENOMEM;
	}
	pico_handle handle = b->tb.thread;
	b->param = param;
	b->clear_word = clear_word;
	if (clear_word)
		__atomic_store_n(clear_word, 1, __ATOMIC_RELAXED);
	long r = gate_may_clone(gate_self(), PICO_CLONE_THREAD_FLAGS, PICO_CLONE_TAG(slot, 0));
	if (r == 0)
		do
			r = pico_gate_clone_thread(PICO_CLONE_THREAD_FLAGS, b->tb.stack_top, &b->alive, PICO_CLONE_TAG(slot, 0), thread_main, b);
		while (r == -PICO_EINTR); /* a signal came before the monitor took it */
	if (r < 0) {
		if (clear_word)
			__atomic_store_n(clear_word, 0, __ATOMIC_RELAXED);
		gate_block_drop(b);
		gate_slot_free((uint32_t)slot);
		return r == -PICO_ENOMEM ? r : -PICO_EAGAIN;
	}
	return handle;
}

int64_t pico_gate_ThreadExit(void)
{
	thread_end(gate_self());
}

int64_t pico_gate_ThreadYieldExecution(void)
{
	return gate_call(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
}

int64_t pico_gate_ThreadDelayExecution(uint64_t deadline)
{
	static const uint32_t never = 0;

	for (;;) {
		if (gate_now() >= deadline)
			return 0;
		int64_t r = gate_futex_wait(&never, 0, deadline);
		if (r == -PICO_EINTR)
			return r;
		if (r == -PICO_ETIMEDOUT)
			return 0;
	}
}
