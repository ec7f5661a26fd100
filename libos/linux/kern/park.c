/* SPDX-License-Identifier: Apache-2.0
 *
 * The park protocol. When the host wants the instance still, every host thread
 * of the library OS comes here with its program's whole state in memory and
 * counts itself; the last one reports, and all go on when the host lets them.
 * Nothing of the host's may be held across it.
 */
#include "../lx/arch.h"
#include "../lx/mem.h"
#include "../lx/proc.h"

static void *vector_area(struct task *t)
{
	if (!t->saved_vector)
		t->saved_vector = page_alloc((arch_xstate_size() + PAGE_SIZE - 1) / PAGE_SIZE);
	return t->saved_vector;
}

/* All are here: tell the host, and open the gate for everybody. */
static void checkpoint(void)
{
	while (Dk(ProcessCheckpoint)(0) == -PICO_EINTR)
		thread_block()->pending = 0;
	K->parked = 0;
	__atomic_fetch_add(&K->park_generation, 1, __ATOMIC_SEQ_CST);
	Dk(AddressWake)(&K->park_generation, UINT32_MAX);
}

void park(void)
{
	struct task *t = current;

	__atomic_fetch_and(&t->flags, ~TIF_PARK, __ATOMIC_SEQ_CST);
	t->fs_base = arch_read_fs();
	if (t->regs)
		t->saved = *t->regs;
	void *area = vector_area(t);
	if (!area || arch_save_vector(area))
		panic("park: no memory for the vector state of task %u", t->tid);

	lock(&K->park_lock);
	if (!K->host->park) { /* called off meanwhile */
		unlock(&K->park_lock);
		return;
	}
	const u32 generation = __atomic_load_n(&K->park_generation, __ATOMIC_SEQ_CST);
	if (++K->parked >= __atomic_load_n(&K->live_tasks, __ATOMIC_SEQ_CST))
		checkpoint();
	unlock(&K->park_lock);
	while (__atomic_load_n(&K->park_generation, __ATOMIC_SEQ_CST) == generation)
		if (Dk(AddressWait)(&K->park_generation, generation, PICO_FOREVER) == -PICO_EINTR)
			thread_block()->pending = 0;
}

void park_task_gone(void)
{
	lock(&K->park_lock);
	const u32 live = __atomic_sub_fetch(&K->live_tasks, 1, __ATOMIC_SEQ_CST);
	if (K->parked && K->parked >= live)
		checkpoint();
	unlock(&K->park_lock);
}
