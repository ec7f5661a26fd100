/* SPDX-License-Identifier: Apache-2.0
 *
 * Host threads and the tasks that run on them. A vfork child runs on its
 * parent's host thread, whose program stands still meanwhile: its registers
 * and vector state lie in its task, and it goes on when the child leaves. All
 * that is private to a picoprocess here is how many threads it has: the last
 * one to leave ends it.
 */
#include "../lx/arch.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include <linux/sched.h>

static u32 host_threads __percpu_process; /* running programs; kernel threads do not count. The last to leave ends the picoprocess */
static u32 host_tasks __percpu_process; /* the same less those that are leaving: they take no lock any more when they are gone from above */
static u32 first_picoprocess __percpu_process;

void host_threads_init(u32 first)
{
	host_threads = host_tasks = 1;
	first_picoprocess = first;
}

void host_thread_added(void)
{
	__atomic_fetch_add(&host_threads, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&host_tasks, 1, __ATOMIC_SEQ_CST);
}

void host_thread_failed(void)
{
	__atomic_fetch_sub(&host_tasks, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&host_threads, 1, __ATOMIC_SEQ_CST);
}

bool host_task_gone(void) { return __atomic_sub_fetch(&host_tasks, 1, __ATOMIC_SEQ_CST) == 0; }
bool host_first_picoprocess(void) { return first_picoprocess; }

void thread_adopt(struct task *t)
{
	struct pico_thread_block *tb = thread_block();

	t->host_thread = tb->thread;
	t->slot = tb->slot;
	t->regs = &tb->context;
	tb->libos = t;
}

/* ---- the ends ---- */

static void __attribute__((noreturn)) picoprocess_end(u32 status)
{
	const u32 signo = status & 0x7f;

	for (;;)
		Dk(ProcessExit)(signo ? (s32)PICO_EXIT_SIGNAL(signo) : (s32)((status >> 8) & 0xff));
}

/* The host takes the end of the first picoprocess for the instance's. */
void instance_end(u32 status)
{
	struct task *timer;

	if (first_picoprocess)
		picoprocess_end(status);
	K->end_status = status;
	__atomic_store_n(&K->ended, 1, __ATOMIC_RELEASE);
	while ((u64)(timer = __atomic_load_n(&K->timer_task, __ATOMIC_SEQ_CST)) <= 1)
		Dk(ThreadYieldExecution)();
	task_wake(timer);
	for (;;)
		Dk(ThreadDelayExecution)(PICO_FOREVER);
}

/* ---- vfork ---- */

static void load_program(struct task *t)
{
	thread_adopt(t);
	*t->regs = t->saved;
	arch_write_fs(t->fs_base);
}

void thread_lend(struct task *child)
{
	struct task *t = current;

	/* The program's frame may not lie on any stack: the child's calls would
	 * write over it. */
	t->fs_base = arch_read_fs();
	t->saved = *t->regs;
	t->saved.rax = child->tid;
	if (arch_save_vector(t->saved_vector))
		panic("vfork: the vector state of task %u cannot be stored", t->tid);
	child->lender = t;
	t->cpu_time = cpu_time_thread();
	child->cpu_base = t->cpu_base + t->cpu_time;
	__atomic_store_n(&t->lent, 1, __ATOMIC_SEQ_CST);
	wake_up(&K->sync_wait, 0);
	load_program(child);
	if (child->set_child_tid) {
		const u32 tid = child->tid;
		put_user(tid, child->set_child_tid);
	}
	return_to_user();
}

static void __attribute__((noreturn)) take_back(struct task *t)
{
	load_program(t);
	if (arch_load_vector(t->saved_vector))
		panic("vfork: the vector state of task %u cannot be loaded", t->tid);
	t->cpu_base += cpu_time_thread() - t->cpu_time; /* what the thread did meanwhile was the child's */
	__atomic_store_n(&t->lent, 0, __ATOMIC_SEQ_CST);
	return_to_user();
}

/* The task's own reference is given up; the task may be gone, or be another
 * picoprocess's by now, when its thread goes here. */
void thread_leave(struct task *lender, u32 status)
{
	if (lender)
		take_back(lender);
	thread_block()->libos = NULL;
	park_task_gone(host_task_gone());
	if (__atomic_sub_fetch(&host_threads, 1, __ATOMIC_SEQ_CST) == 0)
		picoprocess_end(status);
	for (;;)
		Dk(ThreadExit)();
}
