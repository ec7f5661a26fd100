/* SPDX-License-Identifier: Apache-2.0
 *
 * The slow half of locks: waiting. Interrupts do not end the wait; they are
 * remembered, so that a holder's short work is never left half waited for.
 */
#include "../lx/lock.h"
#include "../lx/proc.h"

#define SPINS 60

void lock_slow(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		__builtin_ia32_pause();
		if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == 0 && trylock(l))
			return;
	}
	/* 2 even when nobody else waits: the unlock then wakes once for
	 * nothing, which is cheaper than knowing. */
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE) != 0)
		if (Dk(AddressWait)(&l->word, 2, PICO_FOREVER) == -PICO_EINTR)
			interrupt_defer();
}

void unlock_slow(struct lock *l)
{
	Dk(AddressWake)(&l->word, 1);
}
