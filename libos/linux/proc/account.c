/* SPDX-License-Identifier: Apache-2.0
 *
 * What tasks do, as others see it: whether they run, how much processor time
 * they have used, how many want a processor (the load). The host tells a thread
 * only its own time, so a task is asked for it; one that sleeps since it was
 * last asked is not asked again. All of it is user time: the host does not
 * divide what program and library OS use.
 */
#include "../lx/proc.h"
#include "../lx/time.h"

#define ASKED_AT_ONCE 32u
#define PATIENCE 20000000ull /* ns: a task in a long call of the host is not waited for */

/* ---- states ---- */

char task_state(const struct task *t)
{
	const struct process *p = t->process;

	if (p->state == PROCESS_ZOMBIE || t->exiting || (p == K->root ? false : t->detached))
		return p->state == PROCESS_DEAD ? 'X' : 'Z';
	if (__atomic_load_n(&t->lent, __ATOMIC_RELAXED))
		return 'D';
	if (t->stopped)
		return 'T';
	return t != current && (task_sleeps(t) || p == K->root) ? 'S' : 'R';
}

/* ---- processor time ---- */

static bool known(const struct task *t)
{
	return t == current || t->exiting || __atomic_load_n(&t->lent, __ATOMIC_SEQ_CST) || __atomic_load_n(&t->parked, __ATOMIC_SEQ_CST) ||
	       (task_sleeps(t) && __atomic_load_n(&t->cpu_fresh, __ATOMIC_SEQ_CST));
}

struct asked { struct task *task; u32 before; };

static bool answered(const struct asked *a, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (__atomic_load_n(&a[i].task->sync_count, __ATOMIC_SEQ_CST) == a[i].before && !known(a[i].task))
			return false;
	return true;
}

static void ask(struct asked *a, u32 n)
{
	struct wait_entry *w = &current->wait_slot;
	const u64 deadline = now_mono() + PATIENCE;

	for (u32 i = 0; i < n; i++) {
		a[i].before = __atomic_load_n(&a[i].task->sync_count, __ATOMIC_SEQ_CST);
		task_kick(a[i].task, TIF_SYNC);
	}
	wait_begin();
	wait_add(&K->sync_wait, w);
	while (!answered(a, n)) {
		if (wait_sleep_uninterruptible(deadline) == -ETIMEDOUT)
			break;
		wait_begin();
	}
	wait_remove(w);
	for (u32 i = 0; i < n; i++)
		task_put(a[i].task);
}

static void refresh(struct process *p)
{
	struct asked a[ASKED_AT_ONCE];
	u32 n = 0;

	lock(&p->lock);
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		if (n == ASKED_AT_ONCE)
			break;
		if (known(t))
			continue;
		ref_get(&t->ref);
		a[n++].task = t;
	}
	unlock(&p->lock);
	if (n)
		ask(a, n);
}

u64 task_cpu_time(struct task *t)
{
	struct asked a = { .task = t };

	if (t == current)
		return cpu_time_thread();
	if (!known(t)) {
		ref_get(&t->ref);
		ask(&a, 1);
	}
	return t->cpu_time;
}

u64 process_cpu_time(struct process *p)
{
	u64 sum;

	refresh(p);
	if (p == current->process)
		current->cpu_time = cpu_time_thread();
	lock(&p->lock);
	sum = p->cpu_time_dead;
	list_for_each(pos, &p->tasks)
		sum += list_entry(pos, struct task, process_node)->cpu_time;
	unlock(&p->lock);
	return sum;
}

void task_account_end(struct task *t)
{
	__atomic_fetch_add(&K->cpu_time_dead, t->cpu_time, __ATOMIC_RELAXED);
	__atomic_fetch_add(&K->switches_dead, t->switches, __ATOMIC_RELAXED);
}

/* ---- the whole instance ---- */

/* Those that run are asked; the others have not changed much. */
void machine_refresh(void)
{
	struct asked a[ASKED_AT_ONCE];
	u32 n = 0;

	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		lock(&p->lock);
		list_for_each(at, &p->tasks) {
			struct task *t = list_entry(at, struct task, process_node);
			if (n == ASKED_AT_ONCE || known(t) || task_sleeps(t))
				continue;
			ref_get(&t->ref);
			a[n++].task = t;
		}
		unlock(&p->lock);
	}
	unlock(&K->tree_lock);
	current->cpu_time = cpu_time_thread();
	if (n)
		ask(a, n);
}

void machine_counts(struct machine_counts *c)
{
	*c = (struct machine_counts){
		.switches = __atomic_load_n(&K->switches_dead, __ATOMIC_RELAXED), .cpu_time = __atomic_load_n(&K->cpu_time_dead, __ATOMIC_RELAXED),
	};
	lock(&K->tree_lock);
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		lock(&p->lock);
		list_for_each(at, &p->tasks) {
			const struct task *t = list_entry(at, struct task, process_node);
			const char state = task_state(t);
			c->tasks++;
			c->running += state == 'R';
			c->blocked += state == 'D';
			c->switches += t->switches;
			c->cpu_time += t->cpu_time;
		}
		unlock(&p->lock);
	}
	unlock(&K->tree_lock);
}

/* ---- load ---- */

#define LOAD_STEP (5 * NSEC_PER_SEC)
#define FIXED_1 2048u
/* e^-(5s/1min), e^-(5s/5min), e^-(5s/15min) */
static const u32 decay[3] = { 1884, 2014, 2037 };

static void load_step(u32 active)
{
	for (int i = 0; i < 3; i++) {
		const u64 now = (u64)active * FIXED_1;
		u64 load = K->load[i] * decay[i] + now * (FIXED_1 - decay[i]);
		if (now >= K->load[i])
			load += FIXED_1 - 1;
		K->load[i] = load / FIXED_1;
	}
}

static void load_fired(struct ktimer *timer)
{
	struct machine_counts c;

	(void)timer;
	machine_counts(&c);
	load_step(c.running + c.blocked);
}

/* Sampling begins with the second process, or when somebody asks: a single
 * short program need not pay for it. */
void load_start(void)
{
	u32 off = 0;

	if (__atomic_load_n(&K->load_on, __ATOMIC_RELAXED) ||
	    !__atomic_compare_exchange_n(&K->load_on, &off, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	ktimer_init(&K->load_timer, load_fired, NULL);
	ktimer_arm(&K->load_timer, now_mono() + LOAD_STEP, LOAD_STEP);
}

void load_averages(u64 out[3])
{
	load_start();
	for (int i = 0; i < 3; i++)
		out[i] = __atomic_load_n(&K->load[i], __ATOMIC_RELAXED);
}
