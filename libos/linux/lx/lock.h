/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks and counters of the library OS. A lock lies in the shared segment and
 * is held only inside the library OS, never over a wait that a program can
 * lengthen, never when control goes to program code. A holder cannot be killed
 * by a guest signal; when its picoprocess dies the instance is dead.
 *
 * Lock order (outer first):
 *   process-tree > mm > files > inode (parent before child, by address among
 *   equals) > dentry cache > pipe/socket/epoll object > futex bucket >
 *   signal > wait queue > timer > allocator
 */
#ifndef LX_LOCK_H
#define LX_LOCK_H

#include "base.h"

struct lock { u32 word; /* 0 free, 1 held, 2 held and waited for */ };
void lock_slow(struct lock *l);
void unlock_slow(struct lock *l);
static inline void lock(struct lock *l)
{
	u32 zero = 0;
	if (unlikely(!__atomic_compare_exchange_n(&l->word, &zero, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		lock_slow(l);
}
static inline bool trylock(struct lock *l)
{
	u32 zero = 0;
	return __atomic_compare_exchange_n(&l->word, &zero, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static inline void unlock(struct lock *l)
{
	if (unlikely(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2))
		unlock_slow(l);
}

struct ref { u32 count; };
static inline void ref_init(struct ref *r) { r->count = 1; }
static inline void ref_get(struct ref *r) { __atomic_fetch_add(&r->count, 1, __ATOMIC_RELAXED); }
static inline bool ref_get_unless_zero(struct ref *r)
{
	u32 c = __atomic_load_n(&r->count, __ATOMIC_RELAXED);
	while (c)
		if (__atomic_compare_exchange_n(&r->count, &c, c + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}
static inline bool ref_put(struct ref *r) /* true: that was the last */
{
	return __atomic_fetch_sub(&r->count, 1, __ATOMIC_ACQ_REL) == 1;
}

#endif
