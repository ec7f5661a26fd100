/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at other tasks: who may, and how to get hold of what they have while
 * they may be ending. What is seen is fs/proc's matter.
 */
#include "../lx/fs.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include <linux/capability.h>

/* ptrace(2), "Ptrace access mode checking". */
int task_may_look(struct task *t, bool by_fs_ids)
{
	const struct creds *c = &current->process->creds, *o = &t->process->creds;
	const u32 uid = by_fs_ids ? c->fsuid : c->uid, gid = by_fs_ids ? c->fsgid : c->gid;

	if (t->process == current->process || capable(CAP_SYS_PTRACE))
		return 0;
	if (uid != o->euid || uid != o->suid || uid != o->uid || gid != o->egid || gid != o->sgid || gid != o->gid)
		return -EPERM;
	if (t->mm && t->process->dumpable != 1)
		return -EPERM;
	return o->cap_permitted & ~(by_fs_ids ? c->cap_effective : c->cap_permitted) ? -EPERM : 0;
}

struct mm *task_mm(struct task *t)
{
	struct mm *mm;

	lock(&t->process->lock);
	mm = t->mm;
	if (mm)
		ref_get(&mm->ref);
	unlock(&t->process->lock);
	return mm;
}

struct file *task_file(struct task *t, int fd, bool *cloexec)
{
	struct files *files = task_files_get(t);
	struct file *f = files_file(files, fd, cloexec);

	files_put(files);
	return f;
}

int task_next_fd(struct task *t, int fd, struct file **out, bool *cloexec)
{
	struct files *files = task_files_get(t);
	const int n = files ? files_next(files, fd, out, cloexec) : -1;

	files_put(files);
	return n;
}

u32 task_fd_room(struct task *t)
{
	struct files *files = task_files_get(t);
	const u32 n = files ? files_room(files) : 0;

	files_put(files);
	return n;
}

int task_fs_path(struct task *t, bool root, struct path *out)
{
	int err = -ENOENT;

	lock(&t->process->lock);
	if (!t->detached && t->fs) {
		lock(&t->fs->lock);
		*out = root ? t->fs->root : t->fs->cwd;
		path_get(out);
		unlock(&t->fs->lock);
		err = 0;
	}
	unlock(&t->process->lock);
	return err;
}

u32 task_umask(struct task *t)
{
	lock(&t->process->lock);
	const u32 mask = !t->detached && t->fs ? t->fs->umask : 0;
	unlock(&t->process->lock);
	return mask;
}

/* Swaps what others may be looking at; descriptors are swapped by files_replace(). */
struct fs_context *task_set_fs(struct fs_context *fs)
{
	struct task *t = current;

	lock(&t->process->lock);
	struct fs_context *old = t->fs;
	t->fs = fs;
	unlock(&t->process->lock);
	return old;
}

struct mm *task_set_mm(struct task *t, struct mm *mm)
{
	lock(&t->process->lock);
	struct mm *old = t->mm;
	t->mm = mm;
	unlock(&t->process->lock);
	return old;
}

/* The current task ends: nobody looks any more. */
void task_detach(struct task *t)
{
	lock(&t->process->lock);
	t->detached = 1;
	t->mm = NULL;
	unlock(&t->process->lock);
}
