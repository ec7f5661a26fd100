/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls: one function each, arguments in an array as the registers had
 * them. A function casts what it needs at its top. It returns a value or a
 * negative errno; ERESTART codes are resolved by the way out.
 */
#ifndef LX_SYSCALL_H
#define LX_SYSCALL_H

#include "base.h"

typedef s64 (*syscall_fn)(const u64 *a);
#define SYSCALL(name) s64 sys_##name(const u64 *a); s64 sys_##name(const u64 *a __attribute__((unused)))
#define SYSCALL_COUNT 512
extern const syscall_fn syscall_table[SYSCALL_COUNT]; /* NULL: ENOSYS, counted */
extern const char *const syscall_names[SYSCALL_COUNT];

#endif
