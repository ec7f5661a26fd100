/* SPDX-License-Identifier: Apache-2.0
 *
 * An instance goes on from a snapshot: the segment is there as it was, and so
 * are the streams. What was of the old host is made anew here: picoprocesses,
 * one an address space, their mappings, and a thread for each task that has
 * one. Whatever a task did ended at its program's edge when it was parked.
 */
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/mem.h"
#include "../lx/snapshot.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include "../mm/vma.h"
#include <linux/auxvec.h>

/* ---- what was the old host's ---- */

static void forget_host(struct task *t)
{
	t->own_event = 0; /* a new host has no events yet */
	t->host_thread = 0;
	t->parked = t->in_user = 0;
	t->resumable = t->mm && !t->lent;
	t->set_child_tid = 0; /* told when it first began */
	t->cpu_base = 0ul - t->cpu_time; /* its new thread's clock begins at zero */
	__atomic_fetch_and(&t->flags, ~(TIF_PARK | TIF_INTERRUPT), __ATOMIC_SEQ_CST);
}

static void forget_hosts(void)
{
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		list_for_each(at, &p->tasks)
			forget_host(list_entry(at, struct task, process_node));
	}
	list_for_each(pos, &K->dead_tasks)
		forget_host(list_entry(pos, struct task, dead_node));
}

static void new_host(const struct pico_init_info *info)
{
	struct task *timer = K->timer_task;

	K->cpu_count = info->cpu_count ? info->cpu_count : 1;
	K->memory_limit = info->memory_limit;
	K->phys_memory = info->phys_memory;
	K->xstate_mask = info->xstate_mask;
	K->xstate_size = info->xstate_size;
	K->xstate_bytes = K->cpu_features = 0;
	K->has_rdtscp = 0;
	K->host = info->host;
	K->segment_handle = info->segment_handle;
	K->park_lock.word = 0; /* the reporter's, maybe */
	K->parked = K->park_reporting = 0;
	K->park_generation++;
	K->live_tasks = K->picoprocesses = 0;
	K->snapshot.stream = (pico_handle)info->param;
	K->snapshot.base = info->host->snapshot_base & PAGE_MASK;
	K->snapshot.waiting = 0;
	Dk(RandomBitsRead)(K->random_key, sizeof(K->random_key));
	forget_hosts();
	if ((u64)timer > 1) {
		forget_host(timer);
		task_put(timer); /* its thread's own */
		task_put(timer); /* ours */
	}
	K->timer_task = NULL;
}

/* ---- an address space ---- */

static int get(u64 place, void *data, u64 size)
{
	while (size) {
		s64 n = Dk(StreamRead)(K->snapshot.stream, K->snapshot.base + place, data, size, NULL);
		if (n == -PICO_EINTR) {
			interrupt_defer();
			continue;
		}
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		place += (u64)n;
		data = (char *)data + n;
		size -= (u64)n;
	}
	return 0;
}

static int map_vmas(struct mm *mm)
{
	for (const struct vma *v = mm->first; v; v = v->next) {
		u32 advice = (v->flags & VMA_DONTFORK ? PICO_VM_DONT_FORK : 0) | (v->flags & VMA_WIPEONFORK ? PICO_VM_WIPE_ON_FORK : 0);
		void *a = (void *)v->start;
		const int err = host_map(v, 0);
		if (err) {
			printk("resume: the mapping at %lx cannot be made: error %d", (unsigned long)v->start, -err);
			return err;
		}
		if (advice)
			Dk(VirtualMemoryAllocate)(&a, v->end - v->start, PICO_VM_ADVISE | advice, 0, NULL, 0);
	}
	return 0;
}

static int lay_part(const struct vma *v, u64 start, u64 size, u64 place)
{
	void *a = (void *)start;
	const s64 n = Dk(StreamMap)(K->snapshot.stream, &a, v->flags & VMA_ACCESS, K->snapshot.base + place, size,
		PICO_MAP_PRIVATE | PICO_MAP_FIXED);

	return n < 0 ? (int)n : 0;
}

/* A run may go over several vmas: it is one where both sides are without a gap. */
static int lay_run(const struct mm *mm, const struct snapshot_run *r)
{
	const u64 end = r->start + r->pages * PAGE_SIZE;
	const struct vma *v = vma_find(mm, r->start);
	int err = 0;

	for (u64 at = r->start; at < end && !err; at = v->end, v = v->next) {
		if (!v || at < v->start)
			return -EINVAL;
		err = lay_part(v, at, MIN(end, v->end) - at, r->place + (at - r->start));
	}
	return err;
}

static int lay_pages(const struct mm *mm)
{
	struct snapshot_entry e = { 0 };
	struct snapshot_run *runs;
	int err = 0;

	for (u64 at = 0; e.mm_id != mm->id; at += sizeof(e)) {
		if (at + sizeof(e) > SNAPSHOT_TABLE_SIZE)
			return -ENOENT;
		if ((err = get(at, &e, sizeof(e))))
			return err;
		if (!e.mm_id)
			return -ENOENT;
	}
	runs = kmalloc(MAX(e.runs, 1ul) * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	err = get(e.place, runs, e.runs * sizeof(*runs));
	for (u64 i = 0; i < e.runs && !err; i++)
		err = lay_run(mm, &runs[i]);
	kfree(runs);
	return err;
}

/* Who looks at these bytes after a restore does not find the ones of all clones. */
static void new_random(const struct mm *mm)
{
	u8 bits[16];

	Dk(RandomBitsRead)(bits, sizeof(bits));
	for (u32 i = 0; i + 1 < mm->auxv_count; i += 2)
		if (mm->auxv[i] == AT_RANDOM && copy_to_user(mm->auxv[i + 1], bits, sizeof(bits)))
			return; /* not there any more */
}

/* ---- tasks ---- */

/* tree_lock held, or nobody runs yet. The task of mm with the next number, of
 * those that had a thread of their own and have none yet: who runs already makes
 * more. */
static struct task *find_task(const struct mm *mm, u32 after)
{
	struct task *best = NULL;

	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		lock(&p->sig_lock);
		list_for_each(at, &p->tasks) {
			struct task *t = list_entry(at, struct task, process_node);
			if (t->mm == mm && t->resumable && t->tid > after && (!best || t->tid < best->tid))
				best = t;
		}
		unlock(&p->sig_lock);
	}
	return best;
}

static struct task *next_task(const struct mm *mm, u32 after)
{
	lock(&K->tree_lock);
	struct task *t = find_task(mm, after);
	if (t) {
		ref_get(&t->ref);
		t->resumable = 0;
	}
	unlock(&K->tree_lock);
	return t;
}

static void start_others(const struct mm *mm, u32 first)
{
	struct task *t;

	for (u32 tid = first; (t = next_task(mm, tid)); tid = t->tid, task_put(t)) {
		if (task_start(t))
			panic("resume: no thread for task %u", t->tid);
		task_put(t); /* its thread's own, which task_start took again */
	}
}

static void __attribute__((noreturn)) go_on(struct mm *mm, bool first_picoprocess)
{
	int err;
	struct task *t = next_task(mm, 0);

	if (!t)
		panic("resume: address space %u has no task", mm->id);
	host_threads_init(first_picoprocess);
	thread_adopt(t);
	task_put(t);
	mm->restored = true;
	lock(&mm->lock);
	err = map_vmas(mm);
	if (!err)
		err = lay_pages(mm);
	unlock(&mm->lock);
	if (err)
		panic("resume: the memory of process %u (%s) cannot be restored: error %d", t->process->pid, t->comm, -err);
	vdso_refresh(mm);
	new_random(mm);
	if (first_picoprocess) {
		console_resume();
		ktimer_start_thread();
	}
	start_others(mm, t->tid);
	interrupt_take();
	*t->regs = t->saved;
	arch_write_fs(t->fs_base);
	if (t->saved_vector && arch_load_vector(t->saved_vector))
		panic("resume: the vector state of task %u cannot be loaded", t->tid);
	return_to_user();
}

/* ---- the instance ---- */

static void start_picoprocess(struct mm *mm)
{
	park_task_comes(true);
	const s64 h = Dk(ProcessCreate)((u64)mm | RESUME_PARAM);
	if (h < 0)
		panic("resume: no picoprocess for address space %u: error %ld", mm->id, (long)-h);
	Dk(ObjectClose)(h);
}

/* All but ours, each once: by its task with the lowest number. */
static void start_picoprocesses(const struct mm *ours)
{
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		list_for_each(at, &p->tasks) {
			struct task *t = list_entry(at, struct task, process_node);
			if (t->mm && t->mm != ours && find_task(t->mm, 0) == t)
				start_picoprocess(t->mm);
		}
	}
}

void resume_first(const struct pico_init_info *info)
{
	struct mm *ours = NULL;

	new_host(info);
	list_for_each(at, &K->init->tasks)
		ours = list_entry(at, struct task, process_node)->mm;
	if (!ours)
		panic("resume: the first program is not there");
	park_task_comes(true);
	start_picoprocesses(ours);
	go_on(ours, true);
}

void resume_picoprocess(const struct pico_init_info *info)
{
	go_on((struct mm *)(info->param & ~RESUME_PARAM), false);
}
