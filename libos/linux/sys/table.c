/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of system calls, made from table.def. It names functions and
 * nothing else; what a number means is said where the function is.
 */
#include "../lx/syscall.h"

#define CALL(nr, name) s64 sys_##name(const u64 *a) __attribute__((weak));
#include "table.def"
#undef CALL

const syscall_fn syscall_table[SYSCALL_COUNT] = {
#define CALL(nr, name) [nr] = sys_##name,
#include "table.def"
#undef CALL
};

const char *const syscall_names[SYSCALL_COUNT] = {
#define CALL(nr, name) [nr] = #name,
#include "table.def"
#undef CALL
};
