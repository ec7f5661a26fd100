/* SPDX-License-Identifier: Apache-2.0
 *
 * The name space an instance starts with: the root, the host's mounts of the
 * boot block, and what every Linux system has. Mount points that are missing
 * are made in memory, over whatever directory they lie in.
 */
#include "hostfs.h"
#include "internal.h"
#include "loop.h"

static const struct pico_boot_record *next_record(const struct pico_boot_record *r)
{
	return (const void *)((const char *)(r + 1) + ALIGN_UP(r->size, 8u));
}
#define for_each_record(r, boot) \
	for (const struct pico_boot_record *r = (boot); r && r->tag != PICO_BOOT_END; r = next_record(r))

enum { KIND_HOST, KIND_PROC, KIND_DEV, KIND_SYS, KIND_TMPFS, KIND_MQUEUE };
struct planned {
	const char *path;
	u8 kind;
	u8 if_absent; /* only when the root has no such name */
	u16 mode;
	const struct pico_boot_mount *host;
};

static struct inode *root_of(const struct planned *p, const char **type, u32 *flags, int *err)
{
	u64 memory = K->memory_limit ? K->memory_limit : K->phys_memory;

	*flags = MNT_NOSUID | MNT_NODEV;
	*err = -ENOMEM;
	switch (p->kind) {
	case KIND_HOST:
		*type = "hostfs";
		*flags = p->host->flags & PICO_BOOT_MOUNT_READ_ONLY ? MNT_RDONLY : 0;
		return hostfs_root(p->host->guest, p->host->type, p->host->flags & PICO_BOOT_MOUNT_READ_ONLY, err);
	case KIND_PROC:
		*type = "proc";
		*flags |= MNT_NOEXEC;
		return procfs_root();
	case KIND_DEV:
		*type = "devtmpfs";
		*flags = MNT_NOSUID;
		return devfs_root();
	case KIND_SYS:
		*type = "sysfs";
		*flags |= MNT_NOEXEC;
		return sysfs_root();
	default:
		*type = "tmpfs";
		return tmpfs_root(p->mode, memory / 2, memory / 2 / PAGE_SIZE);
	}
}

/* The host knows its mounts by their guest paths and answers for such a name also
 * when the directory has it not. Then no listing would show it; so the mount
 * point is one of ours, in front of what the directory may have. */
static bool only_found_by_name(const struct path *dir, const struct path *found)
{
	return hostfs_inode(dir->dentry->inode) && found->dentry->parent == dir->dentry && found->mnt == dir->mnt &&
	       !(found->dentry->flags & DENTRY_PINNED);
}

/* One step from *at; missing names are made as mode says. Never fails for a
 * name that can be found: permission plays no part at boot. */
static int step(struct path *at, const char *name, size_t size, u32 mode, bool hosts)
{
	char component[NAME_MAX + 1];
	struct lookup lk = { .path = *at, .root = { vfs()->root, vfs()->root->root }, .flags = LOOKUP_FOLLOW };
	struct dentry *made;

	if (size > NAME_MAX) return -ENAMETOOLONG;
	memcpy(component, name, size);
	component[size] = 0;
	lk.rest = component;
	path_get(&lk.root);
	path_get(&lk.path);
	int err = lookup_walk(&lk);
	if (!err && hosts && only_found_by_name(at, &lk.path)) {
		err = -ENOENT;
	} else if (!err) {
		path_put(at);
		*at = lk.path;
		lk.path = (struct path){ 0 };
	}
	lookup_end(&lk);
	/* EACCES: the host has the name and does not show it (its own /proc). ELOOP:
	 * a link to itself, as debootstrap leaves for /proc. Ours is in front of both. */
	if ((err != -ENOENT && err != -EACCES && err != -ELOOP) || !mode) return err;
	struct dentry *stale = dentry_cached(at->dentry, name, size);
	if (stale) {
		dentry_drop(stale, 0);
		dentry_put(stale);
	}
	if ((err = vfs_pin_child(at, name, size, mode, &made))) return err;
	dentry_put(at->dentry);
	at->dentry = made;
	return 0;
}

/* mode 0: the name must exist; else what the last component becomes. hosts: it
 * is for a mount of the host. */
static int boot_lookup(const char *path, u32 mode, bool hosts, struct path *out)
{
	int err = 0;

	*out = (struct path){ vfs()->root, vfs()->root->root };
	path_get(out);
	while (!err) {
		const char *end;
		while (*path == '/') path++;
		if (!*path) return 0;
		for (end = path; *end && *end != '/'; end++) {}
		const char *rest = end;
		while (*rest == '/') rest++;
		err = step(out, path, (size_t)(end - path), !mode ? 0 : *rest ? S_IFDIR | 0755 : mode, hosts && !*rest);
		path = end;
	}
	path_put(out);
	return err;
}

static void mount_planned(const struct planned *p)
{
	const char *type = NULL;
	struct path at;
	u32 flags, mode = S_IFDIR | 0755;
	int err;

	if (p->if_absent && !boot_lookup(p->path, 0, false, &at)) {
		path_put(&at);
		return;
	}
	struct inode *root = p->kind == KIND_MQUEUE ? NULL : root_of(p, &type, &flags, &err);
	if (!root && p->kind != KIND_MQUEUE) boot_error(1, "cannot mount %s: error %d", p->path, -err);
	if (root && !S_ISDIR(root->mode)) mode = S_IFREG | 0644;
	err = boot_lookup(p->path, mode, p->kind == KIND_HOST, &at);
	if (!err) {
		err = root ? mount_tree(type, p->kind == KIND_HOST ? p->path : type, root, flags, NULL, &at) :
			mqueue_mount("mqueue", MNT_NOSUID | MNT_NODEV | MNT_NOEXEC, &at);
		path_put(&at);
	}
	if (err) boot_error(1, "cannot mount %s: error %d", p->path, -err);
}

static void mount_root(const struct pico_boot_mount *host)
{
	struct vfs *v = vfs();
	int err = -ENOMEM;
	bool read_only = host && host->flags & PICO_BOOT_MOUNT_READ_ONLY;
	u64 memory = K->memory_limit ? K->memory_limit : K->phys_memory;
	struct inode *i = host ? hostfs_root("/", host->type, read_only, &err) : tmpfs_root(0755, memory / 2, memory / 2 / PAGE_SIZE);

	if (!i) boot_error(1, "cannot mount the root: error %d", -err);
	struct dentry *d = dentry_alloc_root(i);
	struct mount *m = d ? mount_alloc(d, host ? "hostfs" : "tmpfs", host ? "/" : "rootfs", read_only ? MNT_RDONLY : 0) : NULL;
	if (!m) boot_error(1, "no memory for the root");
	list_add_tail(&v->mounts, &m->node);
	v->root = m;
}

/* What a Linux system has. Host mounts of the same name take its place. */
static const struct planned standard[] = {
	{ "/dev", KIND_DEV, 0, 0, NULL },
	{ "/run", KIND_TMPFS, 0, 0755, NULL },
	{ "/sys", KIND_SYS, 0, 0, NULL },
	{ "/tmp", KIND_TMPFS, 0, 01777, NULL },
	{ "/proc", KIND_PROC, 0, 0, NULL },
	{ "/dev/shm", KIND_TMPFS, 0, 01777, NULL },
	{ "/dev/mqueue", KIND_MQUEUE, 0, 0, NULL },
	{ "/var/tmp", KIND_TMPFS, 1, 01777, NULL },
};

static bool host_gives(const void *boot, const char *path)
{
	for_each_record(r, boot)
		if (r->tag == PICO_BOOT_MOUNT && !strcmp(((const struct pico_boot_mount *)(r + 1))->guest, path)) return true;
	return false;
}

/* Parents before children: a parent's path is the shorter one. */
static void insert(struct planned *plan, u32 *count, struct planned p)
{
	u32 at = (*count)++;

	for (; at && strlen(plan[at - 1].path) > strlen(p.path); at--) plan[at] = plan[at - 1];
	plan[at] = p;
}

static void plan_mounts(const void *boot)
{
	struct planned *plan;
	u32 count = ARRAY_SIZE(standard), used = 0;

	for_each_record(r, boot)
		if (r->tag == PICO_BOOT_MOUNT) count++;
	plan = kmalloc(count * sizeof(*plan));
	if (!plan) boot_error(1, "no memory for mounts");
	for (u32 k = 0; k < ARRAY_SIZE(standard); k++)
		if (!host_gives(boot, standard[k].path)) insert(plan, &used, standard[k]);
	for_each_record(r, boot) {
		const struct pico_boot_mount *m = (const void *)(r + 1);
		if (r->tag == PICO_BOOT_MOUNT && strcmp(m->guest, "/")) insert(plan, &used, (struct planned){ .path = m->guest, .host = m });
	}
	for (u32 k = 0; k < used; k++) mount_planned(&plan[k]);
	kfree(plan);
}

void vfs_init(const void *boot)
{
	struct vfs *v = kzalloc(sizeof(*v));
	const struct pico_boot_mount *root = NULL;

	if (!v) boot_error(1, "no memory for the file system");
	K->vfs = v;
	list_init(&v->mounts);
	list_init(&v->flock_blocked);
	list_init(&v->flock_contexts);
	wait_queue_init(&v->mounts_wait);
	list_init(&v->host_idle);
	v->next_dev = 0x7fff; /* above what a host has, whose files show their own */
	v->next_mount_id = 20;
	if (dentry_init() || tmpfs_init() || mqueue_init()) boot_error(1, "no memory for the file system");
	loop_init();
	for_each_record(r, boot) {
		const struct pico_boot_mount *m = (const void *)(r + 1);
		if (r->tag == PICO_BOOT_MOUNT && !strcmp(m->guest, "/")) root = m;
	}
	mount_root(root);
	plan_mounts(boot);
}

struct fs_context *fs_context_boot(const void *boot)
{
	struct fs_context *fs = kzalloc(sizeof(*fs));

	if (!fs) return NULL;
	ref_init(&fs->ref);
	fs->umask = 022;
	fs->root = (struct path){ vfs()->root, vfs()->root->root };
	path_get(&fs->root);
	for_each_record(r, boot) {
		if (r->tag == PICO_BOOT_UMASK) memcpy(&fs->umask, r + 1, sizeof(fs->umask));
		if (r->tag != PICO_BOOT_CWD || fs->cwd.dentry) continue;
		if (!boot_lookup((const char *)(r + 1), 0, false, &fs->cwd) && !path_is_dir(&fs->cwd)) path_put(&fs->cwd);
	}
	fs->umask &= 0777;
	if (!fs->cwd.dentry) {
		fs->cwd = fs->root;
		path_get(&fs->cwd);
	}
	return fs;
}
