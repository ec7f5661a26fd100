/* SPDX-License-Identifier: Apache-2.0
 *
 * The library OS's memory and string functions against the C library's, at all
 * small lengths and alignments, and its formatted printing.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { SPAN = 2200 };
static unsigned char src[SPAN], dst[SPAN], want[SPAN];
static void *(*const std_memcpy)(void *, const void *, size_t) = memcpy;
static void *(*const std_memmove)(void *, const void *, size_t) = memmove;
static void *(*const std_memset)(void *, int, size_t) = memset;
static int (*const std_memcmp)(const void *, const void *, size_t) = memcmp;
static int (*const std_vsnprintf)(char *, size_t, const char *, va_list) = vsnprintf;

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef snprintf
#undef vsnprintf
#undef MIN
#undef MAX
#define memcpy lx_memcpy
#define memmove lx_memmove
#define memset lx_memset
#define memcmp lx_memcmp
#define strlen lx_strlen
#define strnlen lx_strnlen
#define strcmp lx_strcmp
#define strncmp lx_strncmp
#define strchr lx_strchr
#define strrchr lx_strrchr
#define snprintf lx_snprintf
#define vsnprintf lx_vsnprintf
#include "../../libos/linux/mm/string.c"
#include "../../libos/linux/mm/snprintf.c"

static const size_t lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 255, 256, 257, 300, 511, 512, 513, 1000, 1500 };
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void fill(void)
{
	for (size_t i = 0; i < SPAN; i++)
		src[i] = (unsigned char)(i * 131 + i / 256 * 7 + 1);
}

static bool same(const void *x, const void *y, size_t n) { return std_memcmp(x, y, n) == 0; }

Test(lx_string, copies)
{
	for (size_t l = 0; l < LENGTHS; l++)
		for (size_t from = 0; from < 9; from++)
			for (size_t to = 0; to < 9; to++) {
				fill();
				std_memset(dst, 0xee, SPAN);
				std_memset(want, 0xee, SPAN);
				std_memcpy(want + to, src + from, lengths[l]);
				cr_assert_eq(lx_memcpy(dst + to, src + from, lengths[l]), dst + to);
				cr_assert(same(dst, want, SPAN), "memcpy of %zu, %zu to %zu", lengths[l], from, to);
			}
}

Test(lx_string, moves)
{
	static const int shifts[] = { -600, -130, -65, -64, -63, -33, -32, -17, -9, -8, -7, -1, 0, 1, 3, 7, 8, 9, 16, 31, 33, 64, 129, 600 };
	for (size_t l = 0; l < LENGTHS; l++)
		for (size_t s = 0; s < sizeof(shifts) / sizeof(shifts[0]); s++) {
			fill();
			std_memcpy(want, src, SPAN);
			std_memmove(want + 640 + shifts[s], want + 640, lengths[l] > 900 ? 900 : lengths[l]);
			lx_memmove(src + 640 + shifts[s], src + 640, lengths[l] > 900 ? 900 : lengths[l]);
			cr_assert(same(src, want, SPAN), "memmove of %zu by %d", lengths[l], shifts[s]);
		}
}

Test(lx_string, fills)
{
	for (size_t l = 0; l < LENGTHS; l++)
		for (size_t at = 0; at < 9; at++) {
			fill();
			std_memcpy(want, src, SPAN);
			std_memset(want + at, 0xa5, lengths[l]);
			lx_memset(src + at, 0x1a5, lengths[l]);
			cr_assert(same(src, want, SPAN), "memset of %zu at %zu", lengths[l], at);
		}
}

Test(lx_string, compares)
{
	fill();
	for (size_t n = 0; n < 70; n++) {
		std_memcpy(dst, src, SPAN);
		cr_assert_eq(lx_memcmp(src, dst, n), 0);
		for (size_t i = 0; i < n; i++) {
			dst[i] = (unsigned char)(src[i] + 1);
			cr_assert_eq(lx_memcmp(src, dst, n) < 0, std_memcmp(src, dst, n) < 0);
			cr_assert_neq(lx_memcmp(src, dst, n), 0);
			dst[i] = src[i];
		}
	}
	char text[64] = "";
	for (size_t n = 0; n < 40; n++) {
		cr_assert_eq(lx_strlen(text), n);
		cr_assert_eq(lx_strlen(text + n / 2), n - n / 2);
		cr_assert_eq(lx_strnlen(text, 10), n < 10 ? n : 10);
		text[n] = 'x';
	}
	cr_assert(lx_strcmp("ab", "ac") < 0 && lx_strcmp("ab", "ab") == 0 && lx_strcmp("\xff", "a") > 0);
	cr_assert(lx_strncmp("abc", "abd", 2) == 0 && lx_strncmp("abc", "abd", 3) < 0 && lx_strncmp("a", "a", 9) == 0);
	const char *path = "/a/b";
	cr_assert(lx_strchr(path, 'a') == path + 1 && lx_strrchr(path, '/') == path + 2);
	cr_assert(!lx_strchr(path, 'z') && !lx_strrchr(path, 'z') && lx_strchr(path, 0) == path + 4);
}

/* Both printers, same arguments, same text and length; also cut short. */
static void check(const char *fmt, ...)
{
	char x[128], y[128];
	for (size_t size = 0; size <= sizeof(x); size += size < 12 ? 1 : 29) {
		va_list p, q;
		va_start(p, fmt);
		va_copy(q, p);
		std_memset(x, '#', sizeof(x));
		std_memset(y, '#', sizeof(y));
		int n = lx_vsnprintf(x, size, fmt, p), m = std_vsnprintf(y, size, fmt, q);
		va_end(p);
		va_end(q);
		cr_assert_eq(n, m, "%s: length %d, not %d", fmt, n, m);
		cr_assert(same(x, y, sizeof(x)), "%s: '%.127s', not '%.127s'", fmt, x, y);
	}
}

Test(lx_string, prints)
{
	check("plain");
	check("%d %i %u", -5, 0, 4000000000u);
	check("[%5d] [%-5d] [%05d] [%+d] [%+d] [% d]", 42, 42, -42, 7, -7, 7);
	check("%x %X %#x %o %08lx", 0xbeefu, 0xBEEFu, 255u, 8u, 0x123456789abcdefUL);
	check("%ld %lu %lld %zu", (long)INT64_MIN, UINT64_MAX, (long long)INT64_MAX, (size_t)0);
	check("%hhu %hd %hx", 300, 70000, 0x12345);
	check("%s|%10s|%-10s|%.3s|%.*s", "text", "right", "left", "cutme", 2, "star");
	check("%c%c%%", 'a', 'b');
	check("%*d|%-*d|", 6, 1, 6, 2);
	check("%.5d %8.3d %.0d", 12, 7, 0);
	check("%p", (void *)0x7e0000001000);
}
