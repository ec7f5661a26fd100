/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor can do for programs: written into a snapshot, as a program
 * that found an instruction there must find it again where it goes on. Knows
 * nothing of what programs use.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "snapshot.h"

/* cpuid's answers, and of each the bits that a program can make use of. */
static const struct { uint32_t leaf, subleaf; uint8_t reg; uint32_t bits; } words[PICO__CPU_WORDS] = {
	{ 1, 0, 2, 0x7ed83203 }, /* sse3 .. rdrand, without what only kernels use */
	{ 1, 0, 3, 0x07808111 }, /* fpu tsc cx8 cmov mmx fxsr sse sse2 */
	{ 7, 0, 1, 0xfdaf0b39 },
	{ 7, 0, 2, 0x1a405f62 },
	{ 7, 0, 3, 0x03c1411c },
	{ 7, 1, 0, 0x00a01c37 },
	{ 0x80000001, 0, 2, 0x00210961 },
	{ 0xd, 1, 0, 0x00000007 },
};

/* For messages; the others are told by word and bit. */
static const struct { uint8_t word, bit; const char *name; } names[] = {
	{ 0, 0, "sse3" }, { 0, 9, "ssse3" }, { 0, 12, "fma" }, { 0, 19, "sse4.1" }, { 0, 20, "sse4.2" }, { 0, 22, "movbe" },
	{ 0, 23, "popcnt" }, { 0, 25, "aes" }, { 0, 26, "xsave" }, { 0, 28, "avx" }, { 0, 29, "f16c" }, { 0, 30, "rdrand" },
	{ 2, 3, "bmi1" }, { 2, 5, "avx2" }, { 2, 8, "bmi2" }, { 2, 11, "rtm" }, { 2, 16, "avx512f" }, { 2, 17, "avx512dq" },
	{ 2, 18, "rdseed" }, { 2, 19, "adx" }, { 2, 28, "avx512cd" }, { 2, 29, "sha" }, { 2, 30, "avx512bw" }, { 2, 31, "avx512vl" },
	{ 3, 1, "avx512vbmi" }, { 3, 9, "vaes" }, { 3, 10, "vpclmulqdq" }, { 3, 22, "rdpid" }, { 4, 22, "amx-bf16" }, { 4, 24, "amx-tile" },
};

void pico__processor(uint64_t out[PICO__CPU_WORDS], uint64_t *xstate_mask, uint64_t *xstate_size)
{
	uint32_t r[4], low, high;

	for (int i = 0; i < PICO__CPU_WORDS; i++) {
		memset(r, 0, sizeof(r));
		__get_cpuid_count(words[i].leaf, words[i].subleaf, &r[0], &r[1], &r[2], &r[3]);
		out[i] = r[words[i].reg] & words[i].bits;
	}
	*xstate_mask = *xstate_size = 0;
	if (!(out[0] & bit_XSAVE))
		return;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	*xstate_mask = (uint64_t)high << 32 | low;
	if (__get_cpuid_count(0xd, 0, &r[0], &r[1], &r[2], &r[3]))
		*xstate_size = r[1];
}

static const char *name_of(int word, int bit, char *room, size_t size)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].word == word && names[i].bit == bit)
			return names[i].name;
	snprintf(room, size, "cpuid %x bit %d", words[word].leaf, bit);
	return room;
}

bool pico__processor_lacks(const uint64_t has[PICO__CPU_WORDS], char *text, size_t size)
{
	uint64_t mine[PICO__CPU_WORDS], mask, bytes;
	char room[32];
	size_t at = 0;

	text[0] = 0;
	pico__processor(mine, &mask, &bytes);
	for (int i = 0; i < PICO__CPU_WORDS; i++)
		for (int bit = 0; bit < 32; bit++)
			if ((has[i] & ~mine[i]) >> bit & 1 && at < size)
				at += (size_t)snprintf(text + at, size - at, "%s%s", at ? " " : "", name_of(i, bit, room, sizeof(room)));
	return at;
}
