/* SPDX-License-Identifier: Apache-2.0
 *
 * The only way to a program's memory. Ranges are checked against the program's
 * half; a fault inside comes back as -EFAULT through the exception table.
 */
#ifndef LX_UACCESS_H
#define LX_UACCESS_H

#include "base.h"

#define USER_BASE PICO_GUEST_BASE
#define USER_END PICO_GUEST_END
static inline bool user_ok(uaddr a, u64 size) { return size <= USER_END && a <= USER_END - size; }

/* 0 or -EFAULT; on a fault a prefix may have been copied. */
int copy_from_user(void *to, uaddr from, size_t size);
int copy_to_user(uaddr to, const void *from, size_t size);
int clear_user(uaddr to, size_t size);
/* Copies a zero-terminated string of at most size-1 bytes; returns its length,
 * -EFAULT, or -ENAMETOOLONG. */
long strncpy_from_user(char *to, uaddr from, size_t size);
#define get_user(v, a) copy_from_user(&(v), (a), sizeof(v))
#define put_user(v, a) ({ __typeof__(v) _v = (v); copy_to_user((a), &_v, sizeof(_v)); })
/* Atomic operations on a program's word: 0 or -EFAULT. */
int user_load_u32(uaddr a, u32 *value);
int user_store_u64(uaddr a, u64 value);
int user_cmpxchg_u32(uaddr a, u32 *expected, u32 desired); /* *expected becomes what was there */
int user_xchg_u32(uaddr a, u32 value, u32 *old);
int user_add_u32(uaddr a, u32 value, u32 *old);
int user_or_u32(uaddr a, u32 value, u32 *old);
int user_and_u32(uaddr a, u32 value, u32 *old);
int user_xor_u32(uaddr a, u32 value, u32 *old);
/* Save or load the vector state of the CPU at a program's (or our own)
 * 64-byte aligned address; -EFAULT. mask as for XSAVE. */
int user_xsave(uaddr a, u64 mask);
int user_xrstor(uaddr a, u64 mask);
/* Called by the exception entry for a fault in the library OS's own text:
 * changes context->rip to the fix-up and returns true, or false (a bug). */
bool uaccess_fixup(struct pico_context *context);

#endif
