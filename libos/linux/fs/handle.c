/* SPDX-License-Identifier: Apache-2.0
 *
 * File handles: a file named by number instead of by name, for file systems
 * whose names all stay in memory. It must not know how they keep them.
 */
#include "internal.h"
#include "../lx/syscall.h"

#define HANDLE_MAX 128u
#define HANDLE_TYPE 1
#define AT_HANDLE_CONNECTABLE 2u /* its name is found too; as always here */
#define AT_HANDLE_FID 0x200u /* need not be opened; ours can always */
struct user_handle { u32 size; s32 type; };
struct handle { u64 ino, dev; };

static bool has_handles(const struct inode *i) { return i && i->ops && i->ops->stays; }

SYSCALL(name_to_handle_at)
{
	const u32 flags = (u32)a[4];
	char name[PATH_MAX];
	struct user_handle head;
	struct handle h;
	struct path p;
	int err;

	if (flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | AT_HANDLE_FID | AT_HANDLE_CONNECTABLE)) return -EINVAL;
	if ((flags & (AT_HANDLE_FID | AT_HANDLE_CONNECTABLE)) == (AT_HANDLE_FID | AT_HANDLE_CONNECTABLE)) return -EINVAL;
	err = flags & AT_EMPTY_PATH ? getname_empty(name, a[1]) : getname(name, a[1]);
	if (!err) err = path_lookup((int)a[0], name, (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err) return err;
	err = -EOPNOTSUPP;
	if (!has_handles(p.dentry->inode) && !(flags & AT_HANDLE_FID)) goto out;
	err = -EFAULT;
	if (get_user(head, a[2])) goto out;
	err = -EINVAL;
	if (head.size > HANDLE_MAX) goto out;
	err = head.size < sizeof(h) ? -EOVERFLOW : 0;
	head = (struct user_handle){ .size = sizeof(h), .type = err ? 0 : HANDLE_TYPE };
	h = (struct handle){ p.dentry->inode->ino, p.dentry->inode->dev };
	if (put_user((s32)p.mnt->id, a[3]) || put_user(head, a[2]) || (!err && put_user(h, a[2] + sizeof(head)))) err = -EFAULT;
out:
	path_put(&p);
	return err;
}

/* The next dentry below root after d, children first; the dentry lock is held. */
static struct dentry *next_below(const struct dentry *root, struct dentry *d)
{
	if (!list_empty(&d->children)) return list_entry(d->children.next, struct dentry, child_node);
	for (; d != root; d = d->parent)
		if (d->child_node.next != &d->parent->children) return list_entry(d->child_node.next, struct dentry, child_node);
	return NULL;
}

static int find_below(struct mount *m, const struct handle *h, struct path *out)
{
	int err = -ESTALE;

	lock(&vfs()->lock);
	for (struct dentry *d = m->root; d; d = next_below(m->root, d)) {
		if (!d->inode || d->inode->ino != h->ino || d->inode->dev != h->dev || d->flags & DENTRY_DEAD) continue;
		*out = (struct path){ m, d };
		path_get(out);
		err = 0;
		break;
	}
	unlock(&vfs()->lock);
	return err;
}

static int mount_of_fd(int fd, struct path *where)
{
	if (fd != AT_FDCWD) {
		struct file *f = fd_get_any(fd);
		if (!f) return -EBADF;
		*where = f->path;
		if (where->mnt) path_get(where);
		file_put(f);
		return where->mnt ? 0 : -ESTALE;
	}
	lock(&current->fs->lock);
	*where = current->fs->cwd;
	path_get(where);
	unlock(&current->fs->lock);
	return 0;
}

SYSCALL(open_by_handle_at)
{
	struct user_handle head;
	struct path where, p;
	struct handle h;
	int err;

	if (!capable(CAP_DAC_READ_SEARCH)) return -EPERM;
	err = mount_of_fd((int)a[0], &where);
	if (err) return err;
	err = -EFAULT;
	if (get_user(head, a[1])) goto out;
	err = -EINVAL;
	if (!head.size || head.size > HANDLE_MAX) goto out;
	err = -ESTALE;
	if (head.type != HANDLE_TYPE || head.size != sizeof(h) || !has_handles(where.dentry->inode)) goto out;
	err = -EFAULT;
	if (get_user(h, a[1] + sizeof(head))) goto out;
	err = find_below(where.mnt, &h, &p);
out:
	path_put(&where);
	if (err) return err;
	struct file *f = file_open_path(&p, (u32)a[2] & ~(u32)(O_CREAT | O_EXCL));
	path_put(&p);
	return IS_ERR(f) ? (s64)PTR_ERR(f) : fd_install(f, (u32)a[2] & O_CLOEXEC, 0);
}
