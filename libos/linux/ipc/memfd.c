/* SPDX-License-Identifier: Apache-2.0
 *
 * memfd_create and seals. The data is tmpfs's, which also looks at the seals
 * where it writes; here they are only kept.
 */
#include <linux/fcntl.h>
#include <linux/memfd.h>

#include "ipc.h"
#include "linux/lx/mm.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC 16u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#define MFD_ALL (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC)
#define SEALS_ALL (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)
#define NAME_MAX_ 249

static int take_name(uaddr u, char name[NAME_MAX_ + 1])
{
	long n = strncpy_from_user(name, u, NAME_MAX_ + 1);

	return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

static int make_file(const char *name, u32 flags, struct file **out)
{
	u32 mode = flags & MFD_NOEXEC_SEAL ? 0666 : 0777;
	struct inode *i = tmpfs_anon_inode(S_IFREG | mode);
	struct file *f;
	int err = -ENOMEM;

	if (!i)
		return -ENOMEM;
	i->anon_name = kstrdup(name);
	i->sealable = 1;
	i->seals = flags & MFD_NOEXEC_SEAL ? F_SEAL_EXEC : flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
	f = i->anon_name ? file_alloc(NULL, O_RDWR | O_LARGEFILE_X86) : NULL;
	if (!f) {
		inode_put(i);
		return err;
	}
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	f->inode = i;
	err = i->ops->open ? i->ops->open(i, f) : 0;
	if (err)
		file_put(f);
	else
		*out = f;
	return err;
}

SYSCALL(memfd_create)
{
	u32 flags = (u32)a[1];
	char name[NAME_MAX_ + 1];
	struct file *f;
	int err;

	if (flags & ~MFD_ALL && !(flags & MFD_HUGETLB && !(flags & ~(MFD_ALL | MFD_HUGE_MASK << MFD_HUGE_SHIFT))))
		return -EINVAL;
	if ((flags & (MFD_EXEC | MFD_NOEXEC_SEAL)) == (MFD_EXEC | MFD_NOEXEC_SEAL))
		return -EINVAL;
	err = take_name(a[0], name);
	if (err)
		return err;
	if (flags & MFD_HUGETLB)
		return -ENOSYS; /* as a kernel without hugetlbfs */
	err = make_file(name, flags, &f);
	return err ? err : fd_install(f, flags & MFD_CLOEXEC ? O_CLOEXEC : 0, 0);
}

/* Does any process map the file so that it may write through the mapping? */
static bool mapped_for_writing(const struct inode *i)
{
	bool found = false;
	u32 pid = 0;

	for (;;) {
		struct task *t = NULL;
		struct vma v;
		u64 at = 0;

		lock(&K->tree_lock);
		while (pid < ARRAY_SIZE(K->pid_table) && !((t = K->pid_table[pid]) && t->process && t->process->pid == pid && t->mm))
			pid++;
		if (pid < ARRAY_SIZE(K->pid_table))
			ref_get(&t->ref);
		else
			t = NULL;
		unlock(&K->tree_lock);
		if (!t || found)
			return found;
		while (!found && t->mm && mm_next_vma(t->mm, at, &v)) {
			found = v.file && v.file->inode == i && v.flags & VMA_SHARED && v.flags & VMA_MAYWRITE;
			at = v.end;
			if (v.file)
				file_put(v.file);
		}
		task_put(t);
		pid++;
	}
}

static long add_seals(struct file *f, u32 seals)
{
	struct inode *i = f->inode;
	u32 before;
	long err = 0;

	if (seals & ~(u32)SEALS_ALL)
		return -EINVAL;
	lock(&i->lock);
	before = i->seals;
	if (before & F_SEAL_SEAL)
		err = -EPERM;
	if (seals & F_SEAL_EXEC && i->mode & 0111)
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	if (!err)
		i->seals |= seals;
	unlock(&i->lock);
	if (err || !(seals & F_SEAL_WRITE) || before & F_SEAL_WRITE || !mapped_for_writing(i))
		return err;
	lock(&i->lock); /* nobody maps it anew under the seal, but some do already */
	i->seals = before;
	unlock(&i->lock);
	return -EBUSY;
}

long memfd_fcntl(struct file *f, u32 cmd, u64 arg)
{
	bool add = cmd == F_LINUX_SPECIFIC_BASE + 9; /* F_ADD_SEALS; else F_GET_SEALS */

	if (add && !(f->mode_bits & FMODE_WRITE))
		return -EPERM;
	if (!f->inode || !f->inode->sealable)
		return -EINVAL;
	return add ? add_seals(f, (u32)arg) : (long)f->inode->seals;
}
