/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream that reads nothing and swallows writes, for hosts without a
 * /dev/null whose descriptor could be granted. Knows nothing of who opens it.
 */
#include "stream_internal.h"

static int64_t null_read(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	(void)e, (void)c, (void)offset, (void)size;
	return 0;
}

static int64_t null_write(struct pico__stream *e, struct pico__call *c, uint64_t offset, uint64_t size)
{
	(void)e, (void)c, (void)offset;
	return (int64_t)size;
}

static int null_attributes(struct pico__stream *e, struct pico_stream_attributes *a)
{
	pico__attributes_plain(&e->owner->owner, PICO_STREAM_NULL, 0666, e->inode, a);
	return 0;
}

const struct pico__stream_ops pico__null_stream = {
	.kind = PICO__KIND_CONSOLE,
	.read = null_read,
	.write = null_write,
	.attributes = null_attributes,
};
