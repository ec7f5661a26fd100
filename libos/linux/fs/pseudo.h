/* SPDX-License-Identifier: Apache-2.0
 *
 * A frame for trees whose contents are made when somebody looks: proc, sys,
 * dev. A tree is tables of struct pseudo_entry; a table may end in call-backs
 * for names that come and go. The frame knows nothing of what it shows.
 */
#ifndef FS_PSEUDO_H
#define FS_PSEUDO_H

#include "internal.h"
#include "linux/ipc/ipc.h"

/* Text that grows. An error sticks; what was not stored is not shown. */
struct seq { char *buf; size_t size, room; int error; };
void seq_printf(struct seq *s, const char *fmt, ...) __printf(2, 3);
void seq_put(struct seq *s, const void *data, size_t size);
void seq_puts(struct seq *s, const char *text);
void seq_escape(struct seq *s, const char *text, const char *special); /* octal escapes, as in /proc/mounts */

struct pseudo_entry;
struct pseudo { /* inode->data: which entry, of what */
	const struct pseudo_entry *entry;
	u32 pid, tid; /* proc: of which process and task; 0: none */
	u64 arg; /* the entry's own, or its parent's */
	u64 born; /* proc: when the process began, 0: whenever */
};
struct pseudo_entry {
	const char *name; /* NULL ends a table */
	u32 mode; /* with type */
	u64 arg; /* copied to pseudo->arg when not 0; there it is the device number of device nodes */
	const char *target; /* symbolic link with a fixed text */
	const struct pseudo_entry *children; /* directory */
	int (*show)(struct pseudo *p, struct seq *s); /* the whole text; run at each read from position 0, no lock held */
	int (*store)(struct pseudo *p, char *text, size_t size); /* zero-terminated; 0 or -errno */
	int (*readlink)(struct pseudo *p, char *buf, size_t size);
	int (*follow)(struct pseudo *p, struct path *out, struct file **file);
	/* Names beyond the table. find fills child (entry, pid, tid, arg; preset from
	 * the directory); -ENOENT. next: the first at or after *pos; moves *pos on; false at the end. */
	int (*find)(struct pseudo *dir, const char *name, size_t size, struct pseudo *child);
	bool (*next)(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child);
	bool (*gone)(struct pseudo *p); /* what it shows is no more: look the name up again */
	void (*owner)(struct pseudo *p, struct kstat *st); /* whose it is, when that changes */
	int (*permission)(struct pseudo *p, u32 mask); /* as that of inode_ops */
	int (*may_open)(struct pseudo *p, struct file *f); /* asked before a text is opened: 0 or -errno */
	u32 (*poll)(struct poll_table *t, u64 *seen); /* what is new since *seen, which it moves on; files with it can be waited for */
	int (*open)(struct pseudo *p, struct file *f); /* instead of the frame's file operations */
	struct inode *(*inode)(struct pseudo *p); /* a name's inode is kept elsewhere: a reference; NULL: gone */
};

struct inode *pseudo_inode(u32 dev, const struct pseudo *p); /* NULL: out of memory */
struct inode *pseudo_root(u32 dev, const struct pseudo_entry *e);
static inline struct pseudo *pseudo_of(const struct inode *i) { return i->data; }
int pseudo_number(const char *text, u64 *value); /* decimal or 0x, blanks around; -EINVAL */

#define PDIR(n, table) { .name = n, .mode = S_IFDIR | 0555, .children = table }
#define PFILE(n, fn) { .name = n, .mode = S_IFREG | 0444, .show = fn }
#define PKNOB(n, fn, set) { .name = n, .mode = S_IFREG | 0644, .show = fn, .store = set }
#define PTEXT(n, text) { .name = n, .mode = S_IFREG | 0444, .show = pseudo_text, .arg = (u64)(text) }
#define PLINK(n, text) { .name = n, .mode = S_IFLNK | 0777, .target = text }
int pseudo_text(struct pseudo *p, struct seq *s); /* shows arg, a string */

#endif
