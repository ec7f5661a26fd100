/* SPDX-License-Identifier: Apache-2.0
 *
 * clone, clone3, fork, vfork: what a new task shares with its maker. Threads of
 * a process are made here, processes in proc/fork.c.
 */
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>

#define CLONE_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define TLS_END 0x7ffffffff000ull /* where a processor of four levels ends a program's half, less a page */
#define CLONE3_KNOWN (0xffffffffull | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP)

/* The combinations Linux refuses, in its order. */
static int check_flags(const struct clone_request *r)
{
	const u64 f = r->flags;

	if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) || (f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_THREAD) && (f & (CLONE_NEWUSER | CLONE_NEWPID)))
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & CLONE_DETACHED))
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & CLONE_THREAD))
		return -EINVAL;
	if ((f & CLONE_PARENT) && current->process == K->init)
		return -EINVAL;
	if (f & CLONE_NAMESPACES)
		return capable(CAP_SYS_ADMIN) || (f & CLONE_NEWUSER) ? -EINVAL : -EPERM; /* no namespaces here */
	if ((f & CLONE_SETTLS) && r->tls >= TLS_END)
		return -EPERM;
	return 0;
}

static bool too_many(struct process *p)
{
	const u64 threads = K->limits.threads;

	if (threads && K->task_count >= threads)
		return true;
	return p->user && p->user->tasks >= p->rlimit[RLIMIT_NPROC][0] && p->user->uid != 0 && !capable(CAP_SYS_RESOURCE) &&
	       !capable(CAP_SYS_ADMIN);
}

void task_inherit(struct task *t, const struct task *from, const struct clone_request *r)
{
	t->saved = *from->regs;
	t->saved.rax = 0;
	if (r->stack)
		t->saved.rsp = r->stack;
	t->fs_base = r->flags & CLONE_SETTLS ? r->tls : arch_read_fs();
	memcpy(t->comm, from->comm, sizeof(t->comm));
	t->sigmask = from->sigmask;
	t->nice = from->nice;
	t->ioprio = from->ioprio;
	if (from->policy & SCHED_RESET_ON_FORK) {
		const u32 policy = from->policy & ~(u32)SCHED_RESET_ON_FORK;
		t->policy = policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE ? SCHED_NORMAL : policy;
		t->nice = t->nice < 0 ? 0 : t->nice;
	} else {
		t->policy = from->policy;
		t->rt_priority = from->rt_priority;
	}
	memcpy(t->affinity, from->affinity, sizeof(t->affinity));
	seccomp_inherit(t, from);
	t->timer_slack = t->default_slack = from->timer_slack;
}

int task_share_files(struct task *t, const struct task *from, u64 flags)
{
	if (flags & CLONE_FILES) {
		files_get(from->files);
		t->files = from->files;
	} else if (!(t->files = files_copy(from->files))) {
		return -ENOMEM;
	}
	if (flags & CLONE_FS) {
		ref_get(&from->fs->ref);
		t->fs = from->fs;
	} else if (!(t->fs = fs_context_copy(from->fs))) {
		return -ENOMEM;
	}
	return flags & CLONE_SYSVSEM ? sem_undo_share(t, current) : 0;
}

static void undo(struct task *t)
{
	sem_undo_exit(t);
	if (t->files)
		files_put(t->files);
	if (t->fs)
		fs_context_put(t->fs);
	if (t->mm)
		mm_leave(t->mm);
	task_put(t);
}

static void leave(struct process *p, struct task *t)
{
	lock(&p->lock);
	lock(&p->sig_lock);
	list_del(&t->process_node);
	p->task_count--;
	unlock(&p->sig_lock);
	unlock(&p->lock);
	__atomic_fetch_sub(&K->task_count, 1, __ATOMIC_RELAXED);
}

static s64 make_thread(const struct clone_request *r)
{
	struct task *from = current, *t = NULL;
	struct process *p = from->process;
	int err = -EAGAIN;

	if (too_many(p))
		return -EAGAIN;
	t = task_alloc();
	if (!t)
		return -ENOMEM;
	t->process = p;
	ref_get(&p->ref);
	task_inherit(t, from, r);
	t->mm = from->mm;
	mm_join(t->mm);
	if ((err = task_share_files(t, from, r->flags)))
		goto out;
	if (r->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = r->child_tid;
	if (r->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = r->child_tid;
	if ((err = task_assign_tid(t)))
		goto out;
	const u32 tid = t->tid;
	err = -EFAULT;
	if ((r->flags & CLONE_PARENT_SETTID) && put_user(tid, r->parent_tid))
		goto out_tid;
	err = -ERESTARTNOINTR; /* a signal that ends us comes first */
	if (!process_add_task(p, t))
		goto out_tid;
	if (p->user)
		__atomic_fetch_add(&p->user->tasks, 1, __ATOMIC_RELAXED);
	err = task_start(t);
	if (err)
		goto out_added;
	task_put(t);
	return tid;
out_added:
	if (p->user)
		__atomic_fetch_sub(&p->user->tasks, 1, __ATOMIC_RELAXED);
	leave(p, t);
out_tid:
	task_forget_tid(t->tid);
out:
	undo(t);
	return err;
}

static s64 do_clone(const struct clone_request *r)
{
	int err = check_flags(r);

	if (err)
		return err;
	return r->flags & CLONE_THREAD ? make_thread(r) : process_clone(r);
}

SYSCALL(clone)
{
	const struct clone_request r = {
		.flags = (u32)a[0] & ~(u64)CSIGNAL,
		.pidfd = a[2],
		.child_tid = a[3],
		.parent_tid = a[2],
		.exit_signal = a[0] & CSIGNAL,
		.stack = a[1],
		.tls = a[4],
	};
	if ((r.flags & CLONE_PIDFD) && (r.flags & CLONE_PARENT_SETTID))
		return -EINVAL; /* both use the same argument */
	return do_clone(&r);
}

SYSCALL(fork)
{
	(void)a;
	const struct clone_request r = { .exit_signal = SIGCHLD };
	return do_clone(&r);
}

SYSCALL(vfork)
{
	(void)a;
	const struct clone_request r = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };
	return do_clone(&r);
}

/* A struct of a later kernel is fine as long as what we do not know is zero. */
static int copy_struct(void *to, size_t size, uaddr from, u64 user_size)
{
	u8 byte;

	memset(to, 0, size);
	for (u64 at = size; at < user_size; at++) {
		if (get_user(byte, from + at))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return copy_from_user(to, from, MIN((u64)size, user_size));
}

SYSCALL(clone3)
{
	struct clone_args u;

	if (a[1] > PAGE_SIZE)
		return -E2BIG;
	if (a[1] < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	int err = copy_struct(&u, sizeof(u), a[0], a[1]);
	if (err)
		return err;
	if (u.set_tid_size > 32 || (!u.set_tid) != (!u.set_tid_size))
		return -EINVAL;
	if ((u.exit_signal & ~(u64)CSIGNAL) || u.exit_signal > 64)
		return -EINVAL;
	if ((u.flags & CLONE_INTO_CGROUP) && (u.cgroup > 0x7fffffff || a[1] < CLONE_ARGS_SIZE_VER2))
		return -EINVAL;
	if ((u.flags & ~CLONE3_KNOWN) || (u.flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME))))
		return -EINVAL;
	if ((u.flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) == (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((u.flags & (CLONE_THREAD | CLONE_PARENT)) && u.exit_signal)
		return -EINVAL;
	if ((!u.stack) != (!u.stack_size) || (u.stack && !user_ok(u.stack, u.stack_size)))
		return -EINVAL;
	if (u.set_tid)
		return -EPERM; /* numbers are given by the kernel */
	if (u.flags & CLONE_INTO_CGROUP)
		return -EBADF;
	const struct clone_request r = {
		.flags = u.flags, .pidfd = u.pidfd, .child_tid = u.child_tid, .parent_tid = u.parent_tid,
		.exit_signal = u.exit_signal, .stack = u.stack + u.stack_size, .tls = u.tls,
	};
	return do_clone(&r);
}

SYSCALL(set_tid_address)
{
	current->clear_child_tid = a[0];
	return current->tid;
}

SYSCALL(exit) { task_exit((u32)(a[0] & 0xff) << 8); }
SYSCALL(exit_group) { process_exit((u32)(a[0] & 0xff) << 8); }

SYSCALL(unshare)
{
	const u64 f = a[0];

	if (f & ~(u64)(CLONE_NAMESPACES | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD))
		return -EINVAL;
	if (f & CLONE_NAMESPACES)
		return capable(CAP_SYS_ADMIN) || (f & CLONE_NEWUSER) ? -EINVAL : -EPERM;
	if ((f & (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)) && current->process->task_count > 1)
		return -EINVAL;
	if (f & CLONE_SYSVSEM)
		sem_undo_exit(current);
	if (f & CLONE_FILES) {
		struct files *copy = files_copy(current->files);
		if (!copy)
			return -ENOMEM;
		files_replace(copy);
	}
	if (f & CLONE_FS) {
		struct fs_context *copy = fs_context_copy(current->fs);
		if (!copy)
			return -ENOMEM;
		fs_context_put(task_set_fs(copy));
	}
	return 0;
}

/* Processes are in the only name spaces there are. */
SYSCALL(setns)
{
	struct file *f = fd_get((int)a[0]);

	if (!f)
		return -EBADF;
	file_put(f);
	return capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
}
