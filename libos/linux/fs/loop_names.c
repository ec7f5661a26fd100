/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop devices by name: /dev/loopN, and /sys/block/loopN with what can be read
 * there about each. It must not change a device.
 */
#include "loop.h"

#define NUMBER(p) ((p)->arg & 0xff)

/* "loop12" -> 12, of a device that is there. */
static int number_of_name(const char *name, size_t size, u64 *number)
{
	u64 n = 0;

	if (size < 5 || size > 7 || memcmp(name, "loop", 4) || (size > 5 && name[4] == '0'))
		return -ENOENT;
	for (size_t i = 4; i < size; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		n = n * 10 + (u64)(name[i] - '0');
	}
	*number = n;
	return loop_of(n) ? 0 : -ENOENT;
}

static int find(const struct pseudo_entry *entry, u64 base, const char *name, size_t size, struct pseudo *child)
{
	u64 n;
	int err = number_of_name(name, size, &n);

	child->entry = entry;
	child->arg = base | n;
	return err;
}

static bool next(const struct pseudo_entry *entry, u64 base, u64 *pos, char name[64], struct pseudo *child)
{
	for (; *pos < LOOP_MAX; ++*pos) {
		if (!loop_of(*pos))
			continue;
		snprintf(name, 64, "loop%lu", *pos);
		child->entry = entry;
		child->arg = base | *pos;
		++*pos;
		return true;
	}
	return false;
}

static bool loop_gone(struct pseudo *p) { return !loop_of(NUMBER(p)); }

/* ---- /dev ---- */

#define DEVICE ((u64)LOOP_MAJOR << 8)
static const struct pseudo_entry node = { .name = "loop", .mode = S_IFBLK | 0660, .gone = loop_gone };

int loop_dev_find(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	(void)dir;
	return find(&node, DEVICE, name, size, child);
}

bool loop_dev_next(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	(void)dir;
	return next(&node, DEVICE, pos, name, child);
}

/* ---- /sys/block ---- */

static int show_size(struct pseudo *p, struct seq *s)
{
	const struct loop *l = loop_of(NUMBER(p));

	seq_printf(s, "%lu\n", l ? l->size / 512 : 0);
	return 0;
}

static int show_ro(struct pseudo *p, struct seq *s)
{
	const struct loop *l = loop_of(NUMBER(p));

	seq_printf(s, "%d\n", l && l->read_only);
	return 0;
}

static int show_dev(struct pseudo *p, struct seq *s)
{
	seq_printf(s, "%u:%lu\n", LOOP_MAJOR, NUMBER(p));
	return 0;
}

static int show_block_size(struct pseudo *p, struct seq *s)
{
	const struct loop *l = loop_of(NUMBER(p));

	seq_printf(s, "%u\n", l ? l->block_size : 0);
	return 0;
}

static int show_flag(struct pseudo *p, struct seq *s, u32 flag)
{
	const struct loop *l = loop_of(NUMBER(p));

	seq_printf(s, "%d\n", l && l->info.lo_flags & flag);
	return 0;
}
static int show_autoclear(struct pseudo *p, struct seq *s) { return show_flag(p, s, LO_FLAGS_AUTOCLEAR); }
static int show_partscan(struct pseudo *p, struct seq *s) { return show_flag(p, s, LO_FLAGS_PARTSCAN); }
static int show_dio(struct pseudo *p, struct seq *s) { return show_flag(p, s, LO_FLAGS_DIRECT_IO); }

static int show_offset(struct pseudo *p, struct seq *s)
{
	const struct loop *l = loop_of(NUMBER(p));

	seq_printf(s, "%lu\n", l ? (u64)l->info.lo_offset : 0);
	return 0;
}

static int show_sizelimit(struct pseudo *p, struct seq *s)
{
	const struct loop *l = loop_of(NUMBER(p));

	seq_printf(s, "%lu\n", l ? (u64)l->info.lo_sizelimit : 0);
	return 0;
}

static int show_backing(struct pseudo *p, struct seq *s)
{
	struct loop *l = loop_of(NUMBER(p));
	struct file *backing = NULL;
	char *name;
	int n = -ENOMEM;

	if (!l)
		return -ENODEV;
	lock(&l->lock);
	if (l->backing)
		backing = file_get(l->backing);
	unlock(&l->lock);
	if (!backing)
		return -ENODEV;
	name = kmalloc(PATH_MAX);
	if (name)
		n = path_name(&backing->path, name, PATH_MAX);
	if (n >= 0)
		seq_printf(s, "%s\n", name);
	kfree(name);
	file_put(backing);
	return n < 0 ? n : 0;
}

static bool unbound(struct pseudo *p)
{
	const struct loop *l = loop_of(NUMBER(p));

	return !l || !l->backing;
}

static const struct pseudo_entry loop_table[] = {
	PFILE("backing_file", show_backing), PFILE("offset", show_offset), PFILE("sizelimit", show_sizelimit),
	PFILE("autoclear", show_autoclear), PFILE("partscan", show_partscan), PFILE("dio", show_dio), { .name = NULL },
};
static const struct pseudo_entry loop_dir = { .name = "loop", .mode = S_IFDIR | 0555, .children = loop_table, .gone = unbound };
static const struct pseudo_entry queue_table[] = {
	PFILE("logical_block_size", show_block_size), PFILE("physical_block_size", show_block_size),
	PTEXT("rotational", "0\n"), { .name = NULL },
};
static const struct pseudo_entry disk_table[] = {
	PFILE("size", show_size), PFILE("ro", show_ro), PFILE("dev", show_dev), PTEXT("removable", "0\n"), PTEXT("range", "1\n"),
	PDIR("queue", queue_table), { .name = NULL },
};

/* The directory "loop" is there while a file is bound. */
static int find_loop_dir(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	if (size != 4 || memcmp(name, "loop", 4) || unbound(dir))
		return -ENOENT;
	child->entry = &loop_dir;
	return 0;
}

static bool next_loop_dir(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	if (*pos || unbound(dir))
		return false;
	snprintf(name, 64, "loop");
	child->entry = &loop_dir;
	++*pos;
	return true;
}

static const struct pseudo_entry disk = {
	.name = "loop", .mode = S_IFDIR | 0555, .children = disk_table, .find = find_loop_dir, .next = next_loop_dir, .gone = loop_gone,
};

int loop_sys_find(struct pseudo *dir, const char *name, size_t size, struct pseudo *child)
{
	(void)dir;
	return find(&disk, DEVICE, name, size, child);
}

bool loop_sys_next(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child)
{
	(void)dir;
	return next(&disk, DEVICE, pos, name, child);
}
