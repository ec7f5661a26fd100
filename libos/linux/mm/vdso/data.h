/* SPDX-License-Identifier: Apache-2.0
 *
 * The page in front of the vDSO: filled by the library OS, read by the vDSO's
 * code in the program. Both sides include this and nothing else in common.
 */
#ifndef LX_VDSO_DATA_H
#define LX_VDSO_DATA_H

#include <stdint.h>

#define VDSO_DATA_SIZE 4096

struct vdso_data {
	/* Functions of the host's vDSO, all 0 when they are no use. */
	uint64_t clock_gettime, gettimeofday, time, clock_getres, getcpu;
	int64_t monotonic_offset; /* nanoseconds to add to clocks that count from the start */
	uint32_t cpu_count; /* CPUs a program knows of */
};

#endif
