/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process holds, as links: working directory, root, program, namespaces,
 * descriptors. They lead to the object itself, not to a name, and show
 * it to who may look into the process.
 */
#include "proc.h"

/* ---- paths ---- */

static int exe_path(struct task *t, struct path *out)
{
	struct mm *mm = task_mm(t);
	const int err = mm ? mm_exe_path(mm, out) : -ENOENT;

	if (mm)
		mm_put(mm);
	return err;
}

static int path_of(struct pseudo *e, struct path *out)
{
	struct task *t = proc_task(e);
	int err = !t ? -ENOENT : task_may_look(t, true) ? -EACCES : 0;

	if (!err)
		err = e->entry->arg == PROC_EXE ? exe_path(t, out) : task_fs_path(t, e->entry->arg == PROC_ROOT, out);
	task_put(t);
	return err;
}

int proc_read_path(struct pseudo *e, char *buf, size_t size)
{
	struct path path;
	int n = path_of(e, &path);

	if (n)
		return n;
	n = path_name(&path, buf, size);
	path_put(&path);
	return n;
}

int proc_follow_path(struct pseudo *e, struct path *out, struct file **f)
{
	(void)f;
	return path_of(e, out);
}

/* ---- descriptors ---- */

/* The file of descriptor fd of the entry's process; reference; NULL. */
static struct file *entry_file(struct pseudo *e, int fd, bool *cloexec)
{
	struct task *t = proc_task(e);
	struct file *f = t ? task_file(t, fd, cloexec) : NULL;

	task_put(t);
	return f;
}

static int may_look(struct pseudo *e)
{
	struct task *t = proc_task(e);
	const int err = !t ? -ENOENT : task_may_look(t, true) ? -EACCES : 0;

	task_put(t);
	return err;
}

static int read_fd(struct pseudo *e, char *buf, size_t size)
{
	int n = may_look(e);
	bool cloexec;

	if (n)
		return n;
	struct file *f = entry_file(e, (int)e->arg, &cloexec);
	if (!f)
		return -ENOENT;
	n = file_link_text(f, buf, size);
	file_put(f);
	return n;
}

static int follow_fd(struct pseudo *e, struct path *out, struct file **file)
{
	const int err = may_look(e);
	bool cloexec;

	(void)out;
	if (err)
		return err;
	*file = entry_file(e, (int)e->arg, &cloexec);
	return *file ? 0 : -ENOENT;
}

static int show_fdinfo(struct pseudo *e, struct seq *s)
{
	bool cloexec = false;
	struct file *f = entry_file(e, (int)e->arg, &cloexec);
	char *text;
	int n;

	if (!f)
		return -ENOENT;
	seq_printf(s, "pos:\t%lu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%lu\n", f->ops->seekable ? f->pos : 0,
		f->flags | (cloexec ? O_CLOEXEC : 0), f->path.mnt ? f->path.mnt->id : 0, f->inode ? (unsigned long)f->inode->ino : 0);
	if (f->ops->fdinfo) {
		text = kmalloc(PAGE_SIZE);
		n = text ? f->ops->fdinfo(f, text, PAGE_SIZE) : 0;
		if (n > 0)
			seq_put(s, text, (size_t)n);
		kfree(text);
	}
	file_put(f);
	return 0;
}

static bool always_gone(struct pseudo *p)
{
	(void)p;
	return true;
}

/* A link shows by its mode how the descriptor was opened. */
#define FD_LINK(bits) { .name = "fd", .mode = S_IFLNK | bits, .readlink = read_fd, .follow = follow_fd, .gone = always_gone, .owner = proc_owner }
static const struct pseudo_entry fd_links[4] = { FD_LINK(0), FD_LINK(0500), FD_LINK(0300), FD_LINK(0700) };
static const struct pseudo_entry fdinfo_file = {
	.name = "fdinfo", .mode = S_IFREG | 0444, .show = show_fdinfo, .gone = always_gone, .owner = proc_owner, .may_open = proc_may_open,
};

static const struct pseudo_entry *fd_entry(const struct pseudo *dir, const struct file *f)
{
	u32 bits = (f->mode_bits & FMODE_READ ? 1 : 0) | (f->mode_bits & FMODE_WRITE ? 2 : 0);

	return dir->entry->arg ? &fdinfo_file : &fd_links[bits];
}

int proc_find_fd(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	bool cloexec;
	struct file *f;
	u32 fd;
	int err = proc_number(name, size, &fd);

	if (err)
		return err;
	f = entry_file(dir, (int)fd, &cloexec);
	if (!f)
		return -ENOENT;
	child->entry = fd_entry(dir, f);
	child->arg = fd;
	file_put(f);
	return 0;
}

bool proc_next_fd(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	struct task *t = proc_task(dir);
	struct file *f = NULL;
	bool cloexec;
	int fd = t ? task_next_fd(t, (int)*pos, &f, &cloexec) : -1;

	task_put(t);
	if (fd < 0)
		return false;
	child->entry = fd_entry(dir, f);
	child->arg = (u64)fd;
	file_put(f);
	snprintf(name, 64, "%d", fd);
	*pos = (u64)fd + 1;
	return true;
}

/* ---- namespaces: one of each kind, the same for all ---- */

#define FIRST_NAMESPACE 4026531834u

static const char *namespace_kind(const char *name)
{
	return !strcmp(name, "pid_for_children") ? "pid" : !strcmp(name, "time_for_children") ? "time" : name;
}

static int read_namespace(struct pseudo *e, char *buf, size_t size)
{
	const int err = may_look(e);

	return err ? err : snprintf(buf, size, "%s:[%u]", namespace_kind(e->entry->name), (u32)e->arg);
}

static s64 read_nothing(struct file *f, const struct iobuf *b, u64 pos)
{
	(void)f, (void)b, (void)pos;
	return -EINVAL;
}

#define NS_GET_USERNS 0xb701u
#define NS_GET_PARENT 0xb702u
#define NS_GET_NSTYPE 0xb703u
#define NS_GET_OWNER_UID 0xb704u
#define NS_USER (FIRST_NAMESPACE + 3)
#define NS_PID (FIRST_NAMESPACE + 2)

/* All are the first of their kind: above them is nothing that one might see. */
static long namespace_ioctl(struct file *f, u32 cmd, u64 arg)
{
	static const u32 kinds[] = { 0x80, 0x2000000, 0x20000000, 0x10000000, 0x4000000, 0x8000000, 0x20000, 0, 0x40000000 }; /* CLONE_NEW..., by number */
	const u64 n = f->inode->ino;
	u32 root = 0;

	switch (cmd) {
	case NS_GET_USERNS: return -EPERM;
	case NS_GET_PARENT: return n == NS_USER || n == NS_PID ? -EPERM : -EINVAL;
	case NS_GET_NSTYPE: return (long)kinds[n - FIRST_NAMESPACE];
	case NS_GET_OWNER_UID: return n == NS_USER ? put_user(root, arg) : -EINVAL;
	}
	return -ENOTTY;
}

static const struct file_ops namespace_ops = { .name = "anon_inode:[nsfs]", .read = read_nothing, .ioctl = namespace_ioctl };

static int open_namespace(struct pseudo *p, struct file *f)
{
	(void)p;
	f->ops = &namespace_ops;
	return 0;
}

static const struct pseudo_entry namespace_file = { .name = "ns", .mode = S_IFREG | 0444, .open = open_namespace };

/* What the link leads to is told from others by its number. */
static int follow_namespace(struct pseudo *e, struct path *out, struct file **file)
{
	const struct pseudo p = { .entry = &namespace_file, .arg = namespace_file.arg };
	int err = may_look(e);

	(void)out;
	if (err)
		return err;
	struct inode *i = pseudo_inode(PROCFS_DEV, &p);
	struct file *f = i ? file_alloc(&namespace_ops, O_RDONLY) : NULL;
	if (!f) {
		if (i)
			inode_put(i);
		return -ENOMEM;
	}
	i->ino = e->arg;
	f->inode = i;
	f->mode_bits = FMODE_READ;
	*file = f;
	return 0;
}

#define NAMESPACE(n, k) { .name = n, .mode = S_IFLNK | 0777, .arg = FIRST_NAMESPACE + (k), .readlink = read_namespace, \
	.follow = follow_namespace, .owner = proc_owner, .gone = proc_gone }
const struct pseudo_entry proc_namespace_table[] = {
	NAMESPACE("cgroup", 1), NAMESPACE("ipc", 5), NAMESPACE("mnt", 6), NAMESPACE("net", 8), NAMESPACE("pid", 2),
	NAMESPACE("pid_for_children", 2), NAMESPACE("time", 0), NAMESPACE("time_for_children", 0), NAMESPACE("user", 3), NAMESPACE("uts", 4),
	{ .name = NULL },
};
