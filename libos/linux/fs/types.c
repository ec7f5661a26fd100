/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of file systems that can be mounted: their names, in one order, for
 * mount(2), sysfs(2) and /proc/filesystems.
 */
#include "internal.h"
#include "../lx/syscall.h"

static struct inode *tmpfs_new(const char *options, int *err) { return tmpfs_parse_mount(options, err); }
static struct inode *proc_new(const char *options, int *err) { (void)options, (void)err; return procfs_root(); }
static struct inode *sys_new(const char *options, int *err) { (void)options, (void)err; return sysfs_root(); }
static struct inode *dev_new(const char *options, int *err) { (void)options, (void)err; return devfs_root(); }

static const struct fs_type types[] = {
	{ "sysfs", sys_new, false }, { "tmpfs", tmpfs_new, true }, { "ramfs", tmpfs_new, true }, { "proc", proc_new, false },
	{ "devtmpfs", dev_new, false }, { "mqueue", NULL, false }, { "pipefs", NULL, false }, { "sockfs", NULL, false },
	{ "picofs", NULL, false },
};

const struct fs_type *fs_type_at(u32 index) { return index < ARRAY_SIZE(types) ? &types[index] : NULL; }

const struct fs_type *fs_type_named(const char *name)
{
	for (u32 n = 0; n < ARRAY_SIZE(types); n++)
		if (!strcmp(types[n].name, name)) return &types[n];
	return NULL;
}

SYSCALL(sysfs)
{
	char name[PATH_MAX];
	const struct fs_type *t;
	int err;

	switch ((s32)a[0]) {
	case 1:
		err = getname(name, a[1]);
		if (err) return err;
		t = fs_type_named(name);
		return t ? t - types : -EINVAL;
	case 2:
		t = fs_type_at((u32)a[1]);
		return t ? copy_to_user(a[2], t->name, strlen(t->name) + 1) : -EINVAL;
	case 3:
		return ARRAY_SIZE(types);
	}
	return -EINVAL;
}
