/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory and string functions in general registers: the vector registers are
 * the program's. Short lengths go by overlapping words, long ones by the
 * processor's own copy loop. Knows nothing of the kernel around it.
 */
#define LX_STRING_C
#include "../lx/base.h"

#define REP_MIN 512 /* from here the start-up of rep movsb pays */

typedef u64 __attribute__((may_alias, aligned(1))) word;
typedef u32 __attribute__((may_alias, aligned(1))) half;
typedef u16 __attribute__((may_alias, aligned(1))) quarter;

/* n <= 32; everything is loaded before anything is stored: overlap is fine. */
static inline void copy_short(u8 *to, const u8 *from, size_t n)
{
	if (n >= 16) {
		word a = *(const word *)from, b = *(const word *)(from + 8);
		word c = *(const word *)(from + n - 16), d = *(const word *)(from + n - 8);
		*(word *)to = a;
		*(word *)(to + 8) = b;
		*(word *)(to + n - 16) = c;
		*(word *)(to + n - 8) = d;
	} else if (n >= 8) {
		word a = *(const word *)from, b = *(const word *)(from + n - 8);
		*(word *)to = a;
		*(word *)(to + n - 8) = b;
	} else if (n >= 4) {
		half a = *(const half *)from, b = *(const half *)(from + n - 4);
		*(half *)to = a;
		*(half *)(to + n - 4) = b;
	} else if (n) {
		u8 a = from[0], b = from[n / 2], c = from[n - 1];
		to[0] = a;
		to[n / 2] = b;
		to[n - 1] = c;
	}
}

static inline void copy_32(u8 *to, const u8 *from)
{
	word a = *(const word *)from, b = *(const word *)(from + 8);
	word c = *(const word *)(from + 16), d = *(const word *)(from + 24);
	*(word *)to = a;
	*(word *)(to + 8) = b;
	*(word *)(to + 16) = c;
	*(word *)(to + 24) = d;
}

static inline void copy_rep(u8 *to, const u8 *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

__used void *memcpy(void *d, const void *s, size_t n)
{
	u8 *to = d;
	const u8 *from = s;
	if (n >= REP_MIN) {
		copy_rep(to, from, n);
		return d;
	}
	for (; n > 32; n -= 32, to += 32, from += 32)
		copy_32(to, from);
	copy_short(to, from, n);
	return d;
}

__used void *memmove(void *d, const void *s, size_t n)
{
	u8 *to = d;
	const u8 *from = s;
	if ((u64)to - (u64)from >= n) { /* a forward copy reads before it overwrites */
		if (n >= REP_MIN && (u64)from - (u64)to >= 64) {
			copy_rep(to, from, n);
			return d;
		}
		for (; n > 32; n -= 32, to += 32, from += 32)
			copy_32(to, from);
		copy_short(to, from, n);
		return d;
	}
	for (; n > 32; n -= 32)
		copy_32(to + n - 32, from + n - 32);
	copy_short(to, from, n);
	return d;
}

__used void *memset(void *d, int c, size_t n)
{
	u8 *to = d;
	u64 v = (u8)c * 0x0101010101010101ull;
	if (n >= 256) {
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(v) : "memory");
		return d;
	}
	if (n >= 8) {
		u8 *last = to + n - 8;
		for (; to < last; to += 8)
			*(word *)to = v;
		*(word *)last = v;
	} else if (n >= 4) {
		*(half *)to = (u32)v;
		*(half *)(to + n - 4) = (u32)v;
	} else if (n) {
		to[0] = (u8)v;
		to[n / 2] = (u8)v;
		to[n - 1] = (u8)v;
	}
	return d;
}

__used int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;
	for (; n >= 8; n -= 8, x += 8, y += 8) {
		u64 p = *(const word *)x, q = *(const word *)y;
		if (p != q) {
			p = __builtin_bswap64(p);
			q = __builtin_bswap64(q);
			return p < q ? -1 : 1;
		}
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull
static inline u64 has_zero(u64 v) { return (v - ONES) & ~v & HIGHS; }

__attribute__((no_sanitize("address"))) /* words go past the end */
__used size_t strlen(const char *s)
{
	const char *p = s;
	for (; (u64)p & 7; p++)
		if (!*p)
			return (size_t)(p - s);
	u64 z;
	while (!(z = has_zero(*(const word *)p))) /* aligned: never leaves the page */
		p += 8;
	return (size_t)(p - s) + (size_t)__builtin_ctzll(z) / 8;
}

size_t strnlen(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n && s[i])
		i++;
	return i;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(u64)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;
	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)(u64)last;
	}
}

/* What the compiler calls where the processor may lack the instruction. */
int __popcountdi2(u64 v);
__used int __popcountdi2(u64 v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (int)(v * ONES >> 56);
}
