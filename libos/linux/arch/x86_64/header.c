/* SPDX-License-Identifier: Apache-2.0
 *
 * The image header: what the host reads of this library OS, and all it knows
 * of it.
 */
#include "../../lx/base.h"
#include "entry.h"

extern const struct pico_range libos_ranges[1];

extern const struct pico_libos_header libos_header;
__attribute__((section(".libos_header"), used)) const struct pico_libos_header libos_header = {
	.magic = PICO_LIBOS_MAGIC,
	.abi_version = PICO_ABI_VERSION,
	.system_pointer = 0,
	.initialize = libos_initialize,
	.thread_start = libos_thread_start,
	.exception = libos_exception,
	.ranges = libos_ranges,
	.range_count = 1,
	.name = "linux",
	.build_id = LIBOS_RELEASE,
};
