/* SPDX-License-Identifier: Apache-2.0
 *
 * File positions: what lseek does for a file of a known size.
 */
#include "internal.h"

/* f->pos_lock is held. */
s64 seek_to(struct file *f, s64 offset, int whence, u64 size)
{
	u64 base;

	switch (whence) {
	case 0: base = 0; break;
	case 1: base = f->pos; break;
	case 2: base = size; break;
	case 3: case 4: /* all is data */
		if (offset < 0 || (u64)offset >= size) return -ENXIO;
		base = 0;
		if (whence == 4) offset = (s64)size;
		break;
	default: return -EINVAL;
	}
	if (offset > 0 && base + (u64)offset > (u64)INT64_MAX) return -EOVERFLOW;
	s64 to = (s64)base + offset;
	if (to < 0) return -EINVAL;
	f->pos = (u64)to;
	return to;
}
