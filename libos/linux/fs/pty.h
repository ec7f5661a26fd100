/* SPDX-License-Identifier: Apache-2.0
 *
 * A pseudo-terminal, for the files that are one: its files (pty.c) and what
 * ioctl(2) does to them (pty_ioctl.c).
 */
#ifndef FS_PTY_H
#define FS_PTY_H

#include "tty.h"

struct pty {
	struct tty job; /* session, foreground; first: process->tty leads here */
	struct lock lock;
	struct ldisc line;
	u32 index, generation;
	u32 files; /* master and slaves; under the table's lock */
	u32 slaves; /* open */
	bool master; /* open */
	bool left; /* slaves were there, and are gone */
	bool locked; /* TIOCSPTLCK: no slave may be opened */
	bool packets; /* TIOCPKT */
	bool exclusive; /* TIOCEXCL */
	struct inode *node; /* /dev/pts/N */
	struct wait_queue master_wait, slave_wait;
};
void pty_unlock(struct pty *p); /* and tells of all that happened under the lock */
long pty_master_ioctl(struct file *f, u32 cmd, u64 arg);
long pty_slave_ioctl(struct file *f, u32 cmd, u64 arg);

#endif
