/* SPDX-License-Identifier: Apache-2.0
 *
 * memfd_create and seals. The data is tmpfs's, which also looks at the seals
 * where it writes; here they are only kept.
 */
#include <linux/fcntl.h>
#include <linux/memfd.h>

#include "ipc.h"

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

static long add_seals(struct file *f, u32 seals)
{
	struct inode *i = f->inode;
	long err = 0;

	if (!(f->mode_bits & FMODE_WRITE))
		return -EPERM;
	if (seals & ~(u32)SEALS_ALL)
		return -EINVAL;
	lock(&i->lock);
	if (i->seals & F_SEAL_SEAL)
		err = -EPERM;
	else if (seals & F_SEAL_WRITE && !(i->seals & F_SEAL_WRITE) && i->writable_maps)
		err = -EBUSY;
	else
		i->seals |= seals;
	if (!err && seals & F_SEAL_EXEC && i->mode & 0111)
		i->seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	unlock(&i->lock);
	return err;
}

long memfd_fcntl(struct file *f, u32 cmd, u64 arg)
{
	if (!f->inode || !f->inode->sealable)
		return -EINVAL;
	if (cmd == F_LINUX_SPECIFIC_BASE + 10) /* F_GET_SEALS */
		return (long)f->inode->seals;
	return add_seals(f, (u32)arg);
}
