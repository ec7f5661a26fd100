/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks and processes as objects: numbers, references, host threads. What a
 * clone shares or copies is decided in sys/clone.c, how they end in exit.c.
 */
#include "../arch/x86_64/entry.h"
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"

#define FIRST_PID 1u
#define RESERVED_PIDS 300u /* numbering starts anew above these */

struct task *task_alloc(void)
{
	task_free_dead();
	struct task *t = kzalloc(sizeof(*t));
	if (!t)
		return NULL;
	ref_init(&t->ref);
	list_init(&t->process_node);
	list_init(&t->dead_node);
	sigpending_init(&t->pending);
	t->altstack.flags = 2; /* SS_DISABLE */
	t->timer_slack = t->default_slack = 50000;
	t->orig_rax = (u64)-1;
	t->start_time = now_mono();
	return t;
}

struct files *task_files_get(struct task *t)
{
	lock(&t->process->sig_lock);
	struct files *files = t->files;
	if (files)
		files_get(files);
	unlock(&t->process->sig_lock);
	return files;
}

/* The last reference may go under any lock, so the rest is done later. A host
 * thread gives up its task's before it ends and uses nothing of it after. */
void task_put(struct task *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	lock(&K->dead_lock);
	list_add_tail(&K->dead_tasks, &t->dead_node);
	unlock(&K->dead_lock);
}

static void task_destroy(struct task *t)
{
	if (t->own_event)
		Dk(ObjectClose)(t->own_event);
	if (t->saved_vector)
		page_free(t->saved_vector, (arch_xstate_size() + PAGE_SIZE - 1) / PAGE_SIZE);
	kfree(t->futex);
	seccomp_release(t);
	process_put(t->process);
	kfree(t);
}

void task_free_dead(void)
{
	struct list gone = LIST_INIT(gone);

	if (list_empty(&K->dead_tasks))
		return;
	lock(&K->dead_lock);
	list_for_each_safe(pos, next, &K->dead_tasks) {
		list_del(pos);
		list_add_tail(&gone, pos);
	}
	unlock(&K->dead_lock);
	list_for_each_safe(pos, next, &gone)
		task_destroy(list_entry(pos, struct task, dead_node));
}

/* tree_lock held. A number stays taken while a group or session bears it. */
static bool pid_taken(u32 n)
{
	if (K->pid_table[n])
		return true;
	if (!K->pids_wrapped)
		return false;
	list_for_each(pos, &K->processes) {
		struct process *p = list_entry(pos, struct process, all_node);
		if (p->pgid == n || p->sid == n)
			return true;
	}
	return false;
}

int task_assign_tid(struct task *t)
{
	int err = -EAGAIN;

	lock(&K->tree_lock);
	for (u32 tries = 0; tries < K->knobs.pid_max && err; tries++) {
		if (K->next_pid >= K->knobs.pid_max) {
			K->next_pid = RESERVED_PIDS;
			K->pids_wrapped = 1;
		}
		const u32 n = K->next_pid++;
		if (n < FIRST_PID || pid_taken(n))
			continue;
		t->tid = n;
		K->pid_table[n] = t;
		ref_get(&t->ref);
		err = 0;
	}
	unlock(&K->tree_lock);
	return err;
}

void task_forget_tid(u32 tid)
{
	lock(&K->tree_lock);
	struct task *t = K->pid_table[tid];
	K->pid_table[tid] = NULL;
	unlock(&K->tree_lock);
	task_put(t);
}

struct task *task_by_tid(u32 tid)
{
	struct task *t = NULL;

	if (tid >= ARRAY_SIZE(K->pid_table))
		return NULL;
	lock(&K->tree_lock);
	t = K->pid_table[tid];
	if (t)
		ref_get(&t->ref);
	unlock(&K->tree_lock);
	return t;
}

struct process *process_by_pid(u32 pid)
{
	struct process *p = NULL;

	if (pid >= ARRAY_SIZE(K->pid_table))
		return NULL;
	lock(&K->tree_lock);
	struct task *t = K->pid_table[pid];
	if (t && t->process && t->process->pid == pid) {
		p = t->process;
		ref_get(&p->ref);
	}
	unlock(&K->tree_lock);
	return p;
}

struct process *process_alloc(void)
{
	struct process *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	ref_init(&p->ref);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->starting_node);
	list_init(&p->all_node);
	list_init(&p->tasks);
	sigpending_init(&p->shared_pending);
	wait_queue_init(&p->signal_wait);
	wait_queue_init(&p->child_wait);
	wait_queue_init(&p->exit_wait);
	p->exit_signal = 17; /* SIGCHLD */
	p->dumpable = 1;
	p->start_time = now_mono();
	process_timers_init(p);
	return p;
}

void process_put(struct process *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	signal_flush_process(p);
	sighand_put(p->sighand);
	user_put(p->user);
	kfree(p->exe_path);
	kfree(p);
}

bool process_add_task(struct process *p, struct task *t)
{
	lock(&p->lock);
	lock(&p->sig_lock);
	const bool ok = !p->group_exit && !p->execing;
	if (ok) {
		list_add_tail(&p->tasks, &t->process_node);
		p->task_count++;
		__atomic_fetch_add(&K->task_count, 1, __ATOMIC_RELAXED);
	}
	unlock(&p->sig_lock);
	unlock(&p->lock);
	return ok;
}

struct task *process_any_task(struct process *p)
{
	struct task *found = NULL;

	lock(&p->sig_lock);
	list_for_each(pos, &p->tasks) {
		struct task *t = list_entry(pos, struct task, process_node);
		if (!found || t == p->leader)
			found = t;
	}
	if (found)
		ref_get(&found->ref);
	unlock(&p->sig_lock);
	return found;
}

/* ---- signal actions ---- */

struct sighand *sighand_copy(const struct sighand *from)
{
	struct sighand *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	if (from)
		memcpy(s->actions, from->actions, sizeof(s->actions));
	ref_init(&s->ref);
	return s;
}

void sighand_put(struct sighand *s)
{
	if (s && ref_put(&s->ref))
		kfree(s);
}

int sighand_unshare(struct process *p)
{
	struct sighand *old = p->sighand;

	if (__atomic_load_n(&old->ref.count, __ATOMIC_ACQUIRE) == 1)
		return 0;
	struct sighand *own = sighand_copy(old);
	if (!own)
		return -ENOMEM;
	lock(&p->sig_lock);
	p->sighand = own;
	unlock(&p->sig_lock);
	sighand_put(old);
	return 0;
}

struct user *user_get(u32 uid)
{
	struct user *u = NULL;

	lock(&K->user_lock);
	list_for_each(pos, &K->users)
		if (list_entry(pos, struct user, node)->uid == uid)
			u = list_entry(pos, struct user, node);
	if (!u && (u = kzalloc(sizeof(*u)))) {
		u->uid = uid;
		list_add(&K->users, &u->node);
	}
	if (u)
		__atomic_fetch_add(&u->references, 1, __ATOMIC_RELAXED);
	unlock(&K->user_lock);
	return u;
}

void user_put(struct user *u)
{
	if (!u)
		return;
	lock(&K->user_lock);
	const bool last = __atomic_sub_fetch(&u->references, 1, __ATOMIC_ACQ_REL) == 0;
	if (last)
		list_del(&u->node);
	unlock(&K->user_lock);
	if (last)
		kfree(u);
}

bool capable(int cap)
{
	return (current->process->creds.cap_effective >> cap) & 1;
}

u64 rlimit_get(unsigned resource)
{
	return resource < RLIM_COUNT ? __atomic_load_n(&current->process->rlimit[resource][0], __ATOMIC_RELAXED) : UINT64_MAX;
}

/* ---- host threads ---- */

int task_start(struct task *t)
{
	if (!t->kthread_fn)
		host_thread_added();
	park_task_comes(false);
	ref_get(&t->ref); /* the thread's own */
	s64 h = Dk(ThreadCreate)(t, NULL);
	if (h >= 0)
		return 0;
	if (!t->kthread_fn)
		host_thread_failed();
	park_task_gone(false);
	task_put(t);
	return -EAGAIN;
}

/* A host thread begins: a task of a program, or one of ours. */
void thread_main(void *param)
{
	struct task *t = param;
	struct pico_thread_block *tb = thread_block();

	thread_adopt(t);
	interrupt_take(); /* a park may have been asked for before anybody could interrupt us */
	if (t->kthread_fn) {
		t->kthread_fn(t->kthread_arg);
		tb->libos = NULL;
		park_task_gone(false);
		task_put(t);
		for (;;)
			Dk(ThreadExit)();
	}
	tb->context = t->saved;
	arch_write_fs(t->fs_base);
	if (t->saved_vector)
		arch_load_vector(t->saved_vector);
	if (t->set_child_tid) {
		u32 tid = t->tid;
		put_user(tid, t->set_child_tid);
		t->set_child_tid = 0;
	}
	return_to_user();
}

int kthread_start(void (*fn)(void *), void *arg, struct task **out)
{
	struct task *t = task_alloc();

	if (!t)
		return -ENOMEM;
	t->process = K->root;
	ref_get(&K->root->ref);
	t->kthread_fn = fn;
	t->kthread_arg = arg;
	memcpy(t->comm, "kthread", 8);
	if (out)
		*out = t;
	int err = task_start(t);
	if (err)
		task_put(t);
	return err;
}
