/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the fuzzer's choices come from: a generator with a seed, or the bytes
 * of an input (libFuzzer's, or a file of its corpus). Knows nothing of what is
 * chosen.
 */
#ifndef FUZZ_SOURCE_H
#define FUZZ_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
	const uint8_t *at, *end; /* at NULL: the generator */
	uint64_t state; /* never 0 */
};

/* splitmix64, so that neighbouring seeds have nothing in common. */
static inline uint64_t source_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline struct source source_seeded(uint64_t seed)
{
	return (struct source){ .state = source_mix(seed) | 1 };
}

static inline struct source source_bytes(const uint8_t *data, size_t size)
{
	return (struct source){ .at = data, .end = data + size, .state = 1 };
}

static inline bool source_over(const struct source *s)
{
	return s->at && s->at == s->end;
}

/* The low `bytes` bytes count. After an input's end all are zero. */
static inline uint64_t source_take(struct source *s, unsigned bytes)
{
	uint64_t value = 0;

	if (!s->at) { /* xorshift64* */
		s->state ^= s->state >> 12;
		s->state ^= s->state << 25;
		s->state ^= s->state >> 27;
		return s->state * 0x2545f4914f6cdd1dull >> (64 - 8 * bytes);
	}
	for (unsigned i = 0; i < bytes && s->at < s->end; i++)
		value |= (uint64_t)*s->at++ << 8 * i;
	return value;
}

static inline uint32_t source_below(struct source *s, uint32_t limit)
{
	return (uint32_t)(source_take(s, limit <= 256 && s->at ? 1 : limit <= 65536 && s->at ? 2 : 4) % limit);
}

static inline bool source_chance(struct source *s, uint32_t percent)
{
	return source_below(s, 100) < percent;
}

#define SOURCE_PICK(s, array) ((array)[source_below((s), sizeof(array) / sizeof((array)[0]))])

#endif
