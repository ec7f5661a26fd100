/* SPDX-License-Identifier: Apache-2.0
 *
 * A table from names to pointers, for what an instance names itself (memory:,
 * pipe: and unix: streams). The guest chooses the names, so the hash is keyed.
 * Knows nothing of what the pointers are; takes no lock.
 */
#ifndef PICO_NAMES_H
#define PICO_NAMES_H

#include <stdint.h>

#define PICO__NAME_BUCKETS 512u

struct pico__name;
struct pico__names {
	uint64_t key;
	struct pico__name *bucket[PICO__NAME_BUCKETS];
};

void pico__names_init(struct pico__names *names);
/* Frees the names; release (may be NULL) is called with each pointer. */
void pico__names_fini(struct pico__names *names, void (*release)(void *value, void *user), void *user);
void pico__names_each(const struct pico__names *names, void (*visit)(void *value, void *user), void *user);
void *pico__names_find(const struct pico__names *names, const char *name);
/* Caller has made sure that the name is new. 0 or -PICO_ENOMEM. */
int pico__names_add(struct pico__names *names, const char *name, void *value);
/* The pointer that was there, or NULL. */
void *pico__names_remove(struct pico__names *names, const char *name);

#endif
