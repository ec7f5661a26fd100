/* SPDX-License-Identifier: Apache-2.0
 *
 * Scope-bound ownership for the monitor: a descriptor or heap block declared
 * with these attributes is given back when its scope ends, unless it was
 * stolen. Knows nothing of what they are for.
 */
#ifndef PICO_CLEANUP_H
#define PICO_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Keeps errno, so it may stand between a failure and its report. */
static inline void pico__close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

static inline void pico__auto_close(int *fd)
{
	pico__close(*fd);
}

static inline void pico__auto_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline int pico__steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define PICO__CLOSE __attribute__((cleanup(pico__auto_close)))
#define PICO__FREE __attribute__((cleanup(pico__auto_free)))

#endif
