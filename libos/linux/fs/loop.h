/* SPDX-License-Identifier: Apache-2.0
 *
 * Block devices made of files (loop(4)): what /dev and /sys show of them.
 */
#ifndef FS_LOOP_H
#define FS_LOOP_H

#include "pseudo.h"

#define LOOP_MAJOR 7u
#define LOOP_CONTROL_MINOR 237u /* of major 10 */

void loop_init(void); /* once, on a fresh start */
int loop_open(struct inode *i, struct file *f); /* major 7: -ENXIO when there is none of that number */
int loop_control_open(struct inode *i, struct file *f);
/* The names loop0... of /dev, and the directories of that name in /sys/block. */
int loop_dev_find(struct pseudo *dir, const char *name, size_t size, struct pseudo *child);
bool loop_dev_next(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child);
int loop_sys_find(struct pseudo *dir, const char *name, size_t size, struct pseudo *child);
bool loop_sys_next(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child);

/* ---- between loop.c and loop_names.c ---- */

#define LOOP_MAX 64u
#define LOOP_AT_START 8u

#include <linux/loop.h>

struct loop {
	struct lock lock; /* over what follows; inside no file's lock */
	struct file *backing; /* reference; NULL: nothing is bound */
	struct loop_info64 info; /* lo_flags, lo_offset, lo_sizelimit and the name; the rest is made when asked for */
	u64 size; /* of the device, bytes, as of binding or LOOP_SET_CAPACITY */
	u32 openers, block_size, read_ahead, blkbsz;
	bool present; /* LOOP_CTL_REMOVE takes it away; the memory stays, for what may look at it */
	bool read_only; /* by BLKROSET, or because of the backing file */
};
struct loops {
	struct lock lock; /* over device[]; outside of a device's lock */
	struct loop *device[LOOP_MAX];
};
struct loop *loop_of(u64 number); /* NULL: none */

#endif
