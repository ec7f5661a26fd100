/* SPDX-License-Identifier: Apache-2.0
 *
 * The park protocol. When the host wants the instance still, every host thread
 * of the library OS comes here with its program's whole state in memory and
 * counts itself; the one that finds everybody here reports, and all go on when
 * the host lets them or gives up. Nothing of the host's and no lock may be held
 * across it.
 *
 * All wait on park_bell, which rings when somebody else must look: to report
 * in the place of a thread that ended, or to go on. The one that reports holds
 * nothing either, so the next start finds the same state whoever it was.
 */
#include "../lx/arch.h"
#include "../lx/mem.h"
#include "../lx/proc.h"

/* The program as another host thread could go on with it. A kernel thread
 * begins anew: its state is in the kernel's. */
static bool save_program(struct task *t)
{
	if (t->kthread_fn)
		return true;
	if (!t->saved_vector)
		t->saved_vector = page_alloc((arch_xstate_size() + PAGE_SIZE - 1) / PAGE_SIZE);
	if (!t->saved_vector)
		return false;
	t->fs_base = arch_read_fs();
	t->saved = *t->regs;
	if (arch_save_vector(t->saved_vector))
		panic("park: the vector state of task %u cannot be stored", t->tid);
	return true;
}

/* Its CPU time stands still now: who waits to hear of it need not. */
static void be_known_parked(struct task *t)
{
	t->cpu_time = cpu_time_thread();
	__atomic_store_n(&t->parked, 1, __ATOMIC_SEQ_CST);
	wake_up(&K->sync_wait, 0);
}

static void ring(u32 count)
{
	__atomic_fetch_add(&K->park_bell, 1, __ATOMIC_SEQ_CST);
	Dk(AddressWake)(&K->park_bell, count);
}

/* park_lock held, given up meanwhile. An interrupt is remembered: it may be for
 * an event of the host, and the host rings only by interrupts. */
static void wait_for_bell(void)
{
	const u32 bell = __atomic_load_n(&K->park_bell, __ATOMIC_SEQ_CST);

	unlock(&K->park_lock);
	if (Dk(AddressWait)(&K->park_bell, bell, PICO_FOREVER) == -PICO_EINTR)
		interrupt_defer();
	lock(&K->park_lock);
}

static bool all_here(void)
{
	return !K->park_reporting && K->parked >= __atomic_load_n(&K->live_tasks, __ATOMIC_SEQ_CST);
}

/* park_lock held. All go on. */
static void release(void)
{
	K->park_generation++;
	K->parked = 0;
	ring(UINT32_MAX);
}

/* park_lock held, given up meanwhile. The host answers when all may go on, or
 * at once that it has given up; or with a stream for a snapshot. */
static void report(void)
{
	K->park_reporting = 1;
	unlock(&K->park_lock);
	const s64 r = Dk(ProcessCheckpoint)(PICO_CHECKPOINT_PARKED);
	lock(&K->park_lock);
	K->park_reporting = 0;
	if (r > 0)
		snapshot_begin(r);
	if (r == 0)
		release();
	else
		ring(UINT32_MAX);
}

/* park_lock held, given up meanwhile. Each picoprocess writes its memory itself. */
static void do_part(void)
{
	unlock(&K->park_lock);
	snapshot_part();
	lock(&K->park_lock);
	if (--K->snapshot.waiting)
		return;
	unlock(&K->park_lock);
	snapshot_parts_done();
	lock(&K->park_lock);
	release();
}

void park(void)
{
	struct task *t = current;

	__atomic_fetch_and(&t->flags, ~TIF_PARK, __ATOMIC_SEQ_CST);
	if (!K->host->park || !save_program(t))
		return; /* called off; or the host will hear that we cannot by waiting in vain */
	be_known_parked(t);
	lock(&K->park_lock);
	const u32 generation = K->park_generation;
	K->parked++;
	while (K->park_generation == generation) {
		if (snapshot_due()) {
			do_part();
		} else if (K->snapshot.waiting || K->park_reporting) {
			wait_for_bell();
		} else if (!K->host->park) { /* given up */
			K->parked--;
			break;
		} else if (all_here()) {
			report();
		} else {
			wait_for_bell();
		}
	}
	unlock(&K->park_lock);
	__atomic_store_n(&t->parked, 0, __ATOMIC_SEQ_CST);
}

void park_task_comes(bool picoprocess)
{
	if (picoprocess)
		__atomic_add_fetch(&K->picoprocesses, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&K->live_tasks, 1, __ATOMIC_SEQ_CST);
}

void park_task_gone(bool picoprocess)
{
	lock(&K->park_lock);
	if (picoprocess)
		__atomic_sub_fetch(&K->picoprocesses, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&K->live_tasks, 1, __ATOMIC_SEQ_CST);
	const bool tell = K->parked && all_here();
	unlock(&K->park_lock);
	if (tell)
		ring(1);
}
