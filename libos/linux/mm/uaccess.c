/* SPDX-License-Identifier: Apache-2.0
 *
 * Range checks in front of the guarded instructions of usercopy.S, and the
 * table that tells a fault there from a bug. Knows nothing of mappings.
 */
#include "../lx/uaccess.h"

long uaccess_copy(void *to, const void *from, u64 size);
long uaccess_clear(void *to, u64 size);
long uaccess_strncpy(char *to, const char *from, u64 most);
long uaccess_load_u32(void *a, u32 *value);
long uaccess_store_u64(void *a, u64 value);
long uaccess_cmpxchg_u32(void *a, u32 *expected, u32 desired);
long uaccess_xchg_u32(void *a, u32 value, u32 *old);
long uaccess_add_u32(void *a, u32 value, u32 *old);
long uaccess_or_u32(void *a, u32 value, u32 *old);
long uaccess_and_u32(void *a, u32 value, u32 *old);
long uaccess_xor_u32(void *a, u32 value, u32 *old);
long uaccess_xsave(void *area, u64 mask);
long uaccess_xrstor(void *area, u64 mask);

int copy_from_user(void *to, uaddr from, size_t size)
{
	return likely(user_ok(from, size)) ? (int)uaccess_copy(to, (const void *)from, size) : -EFAULT;
}

int copy_to_user(uaddr to, const void *from, size_t size)
{
	return likely(user_ok(to, size)) ? (int)uaccess_copy((void *)to, from, size) : -EFAULT;
}

int clear_user(uaddr to, size_t size)
{
	return likely(user_ok(to, size)) ? (int)uaccess_clear((void *)to, size) : -EFAULT;
}

long strncpy_from_user(char *to, uaddr from, size_t size)
{
	if (!size)
		return -ENAMETOOLONG;
	if (from >= USER_END)
		return -EFAULT;
	u64 most = MIN((u64)size, USER_END - from);
	long n = uaccess_strncpy(to, (const char *)from, most);
	if (n < 0 || (u64)n < most)
		return n;
	return most == size ? -ENAMETOOLONG : -EFAULT;
}

#define ATOMIC(op) \
	int user_##op##_u32(uaddr a, u32 value, u32 *old) \
	{ \
		return likely(user_ok(a, 4)) ? (int)uaccess_##op##_u32((void *)a, value, old) : -EFAULT; \
	}
ATOMIC(xchg)
ATOMIC(add)
ATOMIC(or)
ATOMIC(and)
ATOMIC(xor)

int user_load_u32(uaddr a, u32 *value)
{
	return likely(user_ok(a, 4)) ? (int)uaccess_load_u32((void *)a, value) : -EFAULT;
}

int user_store_u64(uaddr a, u64 value)
{
	return likely(user_ok(a, 8)) ? (int)uaccess_store_u64((void *)a, value) : -EFAULT;
}

int user_cmpxchg_u32(uaddr a, u32 *expected, u32 desired)
{
	return likely(user_ok(a, 4)) ? (int)uaccess_cmpxchg_u32((void *)a, expected, desired) : -EFAULT;
}

/* A misaligned area is a general protection fault; say so without it. */
int user_xsave(uaddr a, u64 mask) { return a & 63 ? -EFAULT : (int)uaccess_xsave((void *)a, mask); }
int user_xrstor(uaddr a, u64 mask) { return a & 63 ? -EFAULT : (int)uaccess_xrstor((void *)a, mask); }

struct ex_entry { u64 start, end, fixup; };
extern const struct ex_entry __extable_start[], __extable_end[];

bool uaccess_fixup(struct pico_context *context)
{
	for (const struct ex_entry *e = __extable_start; e < __extable_end; e++) {
		if (context->rip >= e->start && context->rip < e->end) {
			context->rip = e->fixup;
			return true;
		}
	}
	return false;
}
