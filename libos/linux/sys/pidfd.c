/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors of processes: a reference that stays good when the number is
 * given to another. Readable when the process has ended.
 */
#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <asm/fcntl.h>
#include <linux/eventpoll.h>
#include <linux/signal.h>

#define PIDFD_NONBLOCK O_NONBLOCK

static bool ended(const struct process *p)
{
	const u32 state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
	return state == PROCESS_ZOMBIE || state == PROCESS_DEAD;
}

static u32 pidfd_poll(struct file *f, struct poll_table *t)
{
	struct process *p = f->data;

	if (t)
		t->add(t, &p->exit_wait);
	return ended(p) ? 0x001 | 0x040 : 0; /* EPOLLIN, EPOLLRDNORM */
}

static int pidfd_info(struct file *f, char *buf, size_t size)
{
	const struct process *p = f->data;
	const s32 pid = p->state == PROCESS_DEAD ? -1 : (s32)p->pid;
	return snprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static void pidfd_release(struct file *f) { process_put(f->data); }

static const struct file_ops pidfd_ops = {
	.name = "anon_inode:[pidfd]",
	.poll = pidfd_poll,
	.fdinfo = pidfd_info,
	.release = pidfd_release,
};

struct file *pidfd_file(struct process *p, u32 flags)
{
	struct file *f = file_alloc(&pidfd_ops, O_RDWR | (flags & O_NONBLOCK));

	if (f) {
		ref_get(&p->ref);
		f->data = p;
	}
	return f;
}

struct process *pidfd_process(int fd, bool *nonblock)
{
	struct file *f = fd_get(fd);
	struct process *p = NULL;

	if (f && f->ops == &pidfd_ops) {
		p = f->data;
		ref_get(&p->ref);
		if (nonblock)
			*nonblock = f->flags & O_NONBLOCK;
	}
	if (f)
		file_put(f);
	return p;
}

SYSCALL(pidfd_open)
{
	const s32 pid = (s32)a[0];

	if ((u32)a[1] & ~(u32)PIDFD_NONBLOCK)
		return -EINVAL;
	if (pid <= 0)
		return -EINVAL;
	struct task *t = task_by_tid((u32)pid);
	if (!t)
		return -ESRCH;
	s64 r = -EINVAL; /* a thread that leads no group */
	if (t->process->pid == (u32)pid) {
		struct file *f = pidfd_file(t->process, (u32)a[1]);
		r = f ? fd_install(f, O_CLOEXEC, 0) : -ENOMEM;
	}
	task_put(t);
	return r;
}

/* The directory of a process on proc does as well, as before pidfd_open(2). */
static int directory_process(int fd, struct process **p)
{
	struct file *f = fd_get(fd);
	const u32 pid = f ? procfs_process(f) : 0;
	u64 seen = 0;

	if (pid) {
		const struct lx_timespec *made = &f->inode->btime; /* the directory's, when it was first looked at */
		seen = (u64)made->sec * NSEC_PER_SEC + (u64)made->nsec - now_real() + now_mono();
	}
	if (f)
		file_put(f);
	if (!pid)
		return -EBADF;
	*p = process_by_pid(pid);
	if (*p && (*p)->start_time > seen) { /* the number was given to another since */
		process_put(*p);
		*p = NULL;
	}
	return *p ? 0 : -ESRCH;
}

SYSCALL(pidfd_send_signal)
{
	const int signo = (s32)a[1];
	struct lx_siginfo info = { .signo = signo, .code = SI_USER };

	if ((u32)a[3])
		return -EINVAL;
	struct process *p = pidfd_process((s32)a[0], NULL);
	s64 err = p ? 0 : directory_process((s32)a[0], &p);
	if (err)
		return err;
	err = -EFAULT;
	if (a[2]) {
		if (get_user(info, a[2]))
			goto out;
		err = -EINVAL;
		if (info.signo != signo)
			goto out;
		err = -EPERM;
		if (p != current->process && (info.code >= 0 || info.code == SI_TKILL))
			goto out;
	} else {
		info.rt.pid = (s32)current->process->pid;
		info.rt.uid = current->process->creds.uid;
	}
	err = p->state == PROCESS_DEAD ? -ESRCH : (u32)signo > 64 ? -EINVAL : signal_may_send(p, signo);
	if (!err)
		err = signal_send_process(p, signo, &info);
out:
	process_put(p);
	return err;
}

/* Another's descriptors are for who may trace it. */
SYSCALL(pidfd_getfd)
{
	if ((u32)a[2])
		return -EINVAL;
	struct process *p = pidfd_process((s32)a[0], NULL);
	if (!p)
		return -EBADF;
	struct task *t = ended(p) ? NULL : process_any_task(p);
	s64 r = !t ? -ESRCH : task_may_look(t, false);
	if (!r) {
		struct files *files = task_files_get(t);
		struct file *f = files_file(files, (s32)a[1], NULL);
		r = f ? fd_install(f, O_CLOEXEC, 0) : files ? -EBADF : -ESRCH;
		files_put(files);
	}
	task_put(t);
	process_put(p);
	return r;
}

static s64 order(const void *one, const void *two) { return one == two ? 0 : one < two ? 1 : 2; }

static s64 compare_files(struct task *x, int fd, struct task *y, int other)
{
	struct files *one = task_files_get(x), *two = task_files_get(y);
	struct file *f = files_file(one, fd, NULL), *g = files_file(two, other, NULL);
	const s64 r = f && g ? order(f, g) : -EBADF;

	if (f)
		file_put(f);
	if (g)
		file_put(g);
	files_put(one);
	files_put(two);
	return r;
}

/* Equal things of two processes compare as 0. */
SYSCALL(kcmp)
{
	enum { FILE_, VM, FILES, FS, SIGHAND, IO, SYSVSEM, EPOLL_TFD };
	struct task *x = task_by_tid((u32)a[0]), *y = task_by_tid((u32)a[1]);
	const void *one = NULL, *two = NULL;
	s64 r = -ESRCH;

	if (!x || !y)
		goto out;
	r = task_may_look(x, false);
	if (!r)
		r = task_may_look(y, false);
	if (r)
		goto out;
	switch ((u32)a[2]) {
	case FILE_: r = compare_files(x, (s32)a[3], y, (s32)a[4]); goto out;
	case VM: one = x->mm; two = y->mm; break;
	case FILES: one = x->files; two = y->files; break;
	case FS: one = x->fs; two = y->fs; break;
	case SIGHAND: one = x->process->sighand; two = y->process->sighand; break;
	case IO: case SYSVSEM: break;
	case EPOLL_TFD: r = -EOPNOTSUPP; goto out;
	default: r = -EINVAL; goto out;
	}
	r = order(one, two);
out:
	task_put(x);
	task_put(y);
	return r;
}
