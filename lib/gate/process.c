/* SPDX-License-Identifier: Apache-2.0
 *
 * Process downcalls, and the seed: an instance's first process, which holds no
 * guest byte and clones picoprocesses to order.
 */
#include <linux/close_range.h>
#include <linux/mman.h>
#include "gate.h"

struct gate_state gate __attribute__((section(".data")));
struct pico_gate_params pico_gate_params __attribute__((section(".data")));

#define SEED_SLOT (PICO_SLOT_COUNT - 1)

static long clone_process(struct gate_block *b, uint32_t slot, uint64_t cookie)
{
	long r = gate_may_clone(b, PICO_CLONE_PROCESS_FLAGS, PICO_CLONE_TAG(slot, cookie));

	if (r < 0)
		return r;
	do
		r = gate_call(__NR_clone, PICO_CLONE_PROCESS_FLAGS, 0, 0, 0, 0, PICO_CLONE_TAG(slot, cookie));
	while (r == -PICO_EINTR); /* a signal came before the monitor took it */
	return r;
}

/* The child of ProcessClone: the thread keeps its region, takes the new slot. */
static void become_child(struct gate_block *b, uint32_t slot, uint64_t cookie)
{
	gate_regions_after_clone(b->region);
	gate_slot_assign(b, slot);
	b->tb.pending = 0;
	b->alive = 1;
	b->clear_word = NULL;
	gate_name_thread(b);
	gate.anonymous = !cookie;
	gate_slot(slot)->wake_fd = 0;
	if (gate_request(PICO_NR_HELLO, 0, cookie, 0, 0, 0) < 0)
		gate_exit_group(127);
}

int64_t pico_gate_ProcessClone(uint32_t flags)
{
	struct gate_block *b = gate_self();
	int64_t handle = 1;
	uint64_t cookie = 0;

	if (flags & ~(uint32_t)PICO_CLONE_NO_HANDLE)
		return -PICO_EINVAL;
	int64_t slot = gate_slot_take();
	if (slot < 0)
		return slot;
	if (!(flags & PICO_CLONE_NO_HANDLE)) {
		handle = gate_request(PICO_NR(PICO_DC_ProcessClone), flags, 0, 0, 0, 0);
		if (handle < 0) {
			gate_slot_free((uint32_t)slot);
			return handle;
		}
		gate_opened(handle);
		cookie = PICO_HANDLE_PAYLOAD(handle);
	}
	long r = clone_process(b, (uint32_t)slot, cookie);
	if (r == 0) {
		become_child(b, (uint32_t)slot, cookie);
		return 0;
	}
	if (r < 0) {
		gate_slot_free((uint32_t)slot);
		if (handle > 1)
			pico_gate_ObjectClose(handle);
		return r == -PICO_ENOMEM ? r : -PICO_EAGAIN;
	}
	return handle;
}

int64_t pico_gate_ProcessCreate(uint64_t param)
{
	int64_t h = gate_request(PICO_NR(PICO_DC_ProcessCreate), param, 0, 0, 0, 0);
	return h > 0 ? gate_opened(h) : h;
}

/* Of one that nobody can ask about only the monitor wants to know that its end
 * was meant; it looks when the end comes. */
int64_t pico_gate_ProcessExit(int32_t code)
{
	if (gate.anonymous && code >= 0 && code <= 255)
		__atomic_store_n(&gate_slot(gate_self()->tb.slot)->exit_note, PICO_EXIT_NOTE | (uint32_t)code, __ATOMIC_RELEASE);
	else
		gate_request(PICO_NR(PICO_DC_ProcessExit), (uint64_t)(int64_t)code, 0, 0, 0, 0);
	gate_exit_group(code & 0xff);
}

/* ---- the seed and what it makes ---- */
static _Noreturn void picoprocess_main(struct gate_block *b)
{
	if (gate_thread_setup(b))
		gate_exit_group(127);
	gate_name_thread(b);
	int64_t reason = gate_request(PICO_NR_HELLO, 0, b->cookie, 0, 0, 0);
	if (reason < 0)
		gate_exit_group(127);
	const struct pico_hello_answer *answer = (const void *)gate_slot(b->tb.slot)->data;
	gate.info.reason = (uint32_t)reason;
	gate.info.param = answer->param;
	gate.info.segment_handle = answer->segment;
	gate.info.memory_limit = answer->memory_limit;
	gate_opened(answer->segment);
	gate.libos->initialize(&gate.info);
	gate_exit_group(127);
}

static void fill_info(void)
{
	const struct pico_gate_params *p = &pico_gate_params;

	gate.info = (struct pico_init_info){
		.size = sizeof(gate.info),
		.abi_version = PICO_ABI_VERSION,
		.cpu_count = p->cpu_count,
		.segment = (void *)PICO_SEGMENT_BASE,
		.segment_size = p->segment_size,
		.boot = (void *)PICO_BOOT_BASE,
		.boot_size = p->boot_size,
		.host = &MAILBOX->host,
		.vdso = (void *)p->vdso,
		.vdso_usable = gate.vdso_usable,
		.phys_memory = p->phys_memory,
		.xstate_mask = p->xstate_mask,
		.xstate_size = p->xstate_size,
	};
}

/* Runs on region 0's system stack; nothing of the helper is needed any more. */
static void seed_main(void *arg1, void *arg2)
{
	struct gate_block *b = arg1;
	(void)arg2;

	gate_thread_setup(b);
	for (unsigned i = 0; i < 8; i++)
		if (pico_gate_params.unmap[i][1])
			gate_call(__NR_munmap, pico_gate_params.unmap[i][0], pico_gate_params.unmap[i][1], 0, 0, 0, 0);
	/* An empty table of our own. The monitor lets this one pass, once. Without
	 * notifications the seed has it already (lib/helper/keeper.c). */
	if (!pico_gate_params.bell && gate_call(__NR_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE, 0, 0, 0))
		gate_exit_group(126);
	gate_time_init(pico_gate_params.vdso);
	fill_info();
	for (long result = 0;;) {
		int64_t order = gate_request(PICO_NR_SEED_WAIT, (uint64_t)result, 0, 0, 0, 0);
		if (order < 0)
			gate_exit_group(order == -PICO_ESRCH ? 0 : 125);
		uint32_t slot = (uint32_t)(order >> 8) & 0xffff;
		uint64_t cookie = (uint64_t)(order >> 24) & 0xffffffff;
		result = clone_process(b, slot, cookie);
		if (result == 0) {
			gate_slot_assign(b, slot);
			b->cookie = cookie;
			picoprocess_main(b);
		}
	}
}

_Noreturn void pico_gate_seed(void)
{
	gate.libos = pico_gate_params.libos;
	gate.system_fs = gate.libos->system_pointer == 1;
	MAILBOX->slot_used[SEED_SLOT / 32] |= 1u << (SEED_SLOT % 32);
	struct gate_block *b = gate_block_make(SEED_SLOT);
	if (!b)
		gate_exit_group(126);
	pico_gate_enter(seed_main, b, NULL, b->tb.stack_top);
}
