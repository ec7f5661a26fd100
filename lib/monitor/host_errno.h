/* SPDX-License-Identifier: Apache-2.0
 *
 * The one converter between the host's errno and the ABI's error numbers, and
 * the check that a downcall returns only what the ABI table lists for it.
 * Knows nothing of streams.
 */
#ifndef PICO_HOST_ERRNO_H
#define PICO_HOST_ERRNO_H

#include <stdint.h>

/* Negative PICO_E of a host errno; what the ABI has no name for is EIO. */
int pico__error(int host_errno);

/* Result of a downcall as the guest may see it: an error that abi.def does not
 * list for this call becomes one that it does. Values >= 0 pass. */
int64_t pico__error_listed(unsigned downcall, int64_t result);

#endif
