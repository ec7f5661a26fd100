/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs that make random calls and print what came of each. The same seed
 * gives the same calls, so what is printed inside and on the host is compared.
 */
#ifndef GUEST_RANDOM_H
#define GUEST_RANDOM_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long random_state;

static inline unsigned pick(unsigned below)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(random_state >> 33) % below;
}

struct op { const char *name; long (*run)(void); };
#define SKIPPED (-9) /* the call was not made */

/* Runs steps calls of the table; argv: seed, steps. */
static inline void random_calls(int argc, char **argv, const struct op *ops, unsigned count, void (*after)(void))
{
	int steps = argc > 2 ? atoi(argv[2]) : 2000;

	random_state = (argc > 1 ? strtoul(argv[1], NULL, 0) : 1) * 7919 + 1;
	for (int i = 0; i < steps; i++) {
		const struct op *o = &ops[pick(count)];

		errno = 0;
		long r = o->run();
		printf(" %d %s = %ld %d", i, o->name, r, r < 0 ? errno : 0);
		after();
		putchar('\n');
	}
}

static inline unsigned sum(const char *b, long size)
{
	unsigned s = 0;

	for (long i = 0; i < size; i++)
		s = s * 31 + (unsigned char)b[i];
	return s;
}

#endif
