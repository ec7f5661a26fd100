/* SPDX-License-Identifier: Apache-2.0
 *
 * Chained hash table of the instance's own stream names. Knows nothing of what
 * the pointers are; the caller's lock protects it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <pico/errors.h>
#include "names.h"

struct pico__name {
	struct pico__name *next;
	void *value;
	char text[];
};

void pico__names_init(struct pico__names *names)
{
	memset(names, 0, sizeof(*names));
	if (getrandom(&names->key, sizeof(names->key), GRND_NONBLOCK) < 0)
		names->key = (uint64_t)(uintptr_t)names;
}

void pico__names_fini(struct pico__names *names, void (*release)(void *value, void *user), void *user)
{
	for (unsigned i = 0; i < PICO__NAME_BUCKETS; i++)
		for (struct pico__name *n = names->bucket[i], *next; n; n = next) {
			next = n->next;
			if (release)
				release(n->value, user);
			free(n);
		}
	memset(names->bucket, 0, sizeof(names->bucket));
}

static unsigned bucket_of(const struct pico__names *names, const char *text)
{
	uint64_t h = names->key ^ 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return (unsigned)((h ^ h >> 32) * 0x9e3779b97f4a7c15ull >> 32) % PICO__NAME_BUCKETS;
}

void pico__names_each(const struct pico__names *names, void (*visit)(void *value, void *user), void *user)
{
	for (unsigned i = 0; i < PICO__NAME_BUCKETS; i++)
		for (struct pico__name *n = names->bucket[i]; n; n = n->next)
			visit(n->value, user);
}

void *pico__names_find(const struct pico__names *names, const char *name)
{
	for (struct pico__name *n = names->bucket[bucket_of(names, name)]; n; n = n->next)
		if (!strcmp(n->text, name))
			return n->value;
	return NULL;
}

int pico__names_add(struct pico__names *names, const char *name, void *value)
{
	size_t size = strlen(name) + 1;
	struct pico__name **head = &names->bucket[bucket_of(names, name)];
	struct pico__name *n = malloc(sizeof(*n) + size);

	if (!n)
		return -PICO_ENOMEM;
	memcpy(n->text, name, size);
	n->value = value;
	n->next = *head;
	*head = n;
	return 0;
}

void *pico__names_remove(struct pico__names *names, const char *name)
{
	for (struct pico__name **at = &names->bucket[bucket_of(names, name)], *n; (n = *at); at = &n->next)
		if (!strcmp(n->text, name)) {
			void *value = n->value;

			*at = n->next;
			free(n);
			return value;
		}
	return NULL;
}
