/* SPDX-License-Identifier: Apache-2.0
 *
 * What the public calls' files share. The monitor never sees this header.
 */
#ifndef PICO_API_H
#define PICO_API_H

#include <unistd.h>

#include "../monitor/instance.h"

/* options.c: checks the caller's options and copies all of them. *config is to
 * be given to pico__config_fini, also after a failure. */
int pico__options_copy(const struct pico_options *options, struct pico__config *config, struct pico_error *error);
/* Where the library OS or the helper is when the caller does not say; heap. */
char *pico__default_path(const char *name);

/* create.c: an instance without guard, helper and seed: for tests and fuzzing.
 * pico_destroy frees it. */
int pico__create_detached(const struct pico_options *options, struct pico **out, struct pico_error *error);

/* create.c: as pico_create, from a snapshot. */
int pico__create_restored(const struct pico_options *options, struct pico__restore *restore, struct pico **out, struct pico_error *error);

/* Only the process that created an instance may use it. */
static inline int pico__owned(const struct pico *p)
{
	if (!p)
		return -PICO_EINVAL;
	return p->owner == getpid() ? 0 : -PICO_ESTATE;
}

#endif
