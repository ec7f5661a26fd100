/* SPDX-License-Identifier: Apache-2.0
 *
 * Formatted text into a buffer: the conversions base.h names and no others.
 * An unknown one is copied as it stands. No floating point, no locale.
 */
#include "../lx/base.h"

struct out { char *buf; size_t size, length; };
struct spec { bool left, zero, plus, space, alt; int width, precision; int longs, shorts; };

static void put(struct out *o, char c)
{
	if (o->length + 1 < o->size)
		o->buf[o->length] = c;
	o->length++;
}

static void pad(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, size_t n)
{
	int fill = s->width > (int)n ? s->width - (int)n : 0;
	if (!s->left)
		pad(o, ' ', fill);
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', fill);
}

static void put_number(struct out *o, const struct spec *s, u64 v, unsigned base, bool upper, const char *prefix)
{
	char digits[24];
	int n = 0, prefix_size = (int)strlen(prefix);
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	for (; v; v /= base)
		digits[n++] = set[v % base];
	if (!n && s->precision != 0)
		digits[n++] = '0';
	int zeros = s->precision > n ? s->precision - n : 0;
	int fill = s->width - prefix_size - zeros - n;
	if (s->zero && !s->left && s->precision < 0 && fill > 0) {
		zeros = fill;
		fill = 0;
	}
	if (!s->left)
		pad(o, ' ', fill);
	for (int i = 0; i < prefix_size; i++)
		put(o, prefix[i]);
	pad(o, '0', zeros);
	while (n)
		put(o, digits[--n]);
	if (s->left)
		pad(o, ' ', fill);
}

static const char *parse(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-') s->left = true;
		else if (*f == '0') s->zero = true;
		else if (*f == '+') s->plus = true;
		else if (*f == ' ') s->space = true;
		else if (*f == '#') s->alt = true;
		else break;
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		if (s->width < 0) {
			s->left = true;
			s->width = -s->width;
		}
		f++;
	} else {
		for (; *f >= '0' && *f <= '9'; f++)
			s->width = s->width * 10 + (*f - '0');
	}
	if (*f == '.') {
		s->precision = 0;
		if (*++f == '*') {
			s->precision = va_arg(*ap, int);
			f++;
		} else {
			for (; *f >= '0' && *f <= '9'; f++)
				s->precision = s->precision * 10 + (*f - '0');
		}
	}
	for (;; f++) {
		if (*f == 'l') s->longs++;
		else if (*f == 'h') s->shorts++;
		else if (*f == 'z' || *f == 't' || *f == 'j') s->longs = 2;
		else return f;
	}
}

static s64 take_signed(const struct spec *s, va_list *ap)
{
	if (s->longs)
		return va_arg(*ap, long);
	int v = va_arg(*ap, int);
	return s->shorts >= 2 ? (signed char)v : s->shorts ? (short)v : v;
}

static u64 take_unsigned(const struct spec *s, va_list *ap)
{
	if (s->longs)
		return va_arg(*ap, unsigned long);
	unsigned v = va_arg(*ap, unsigned);
	return s->shorts >= 2 ? (u8)v : s->shorts ? (u16)v : v;
}

static void convert(struct out *o, char c, const struct spec *s, va_list *ap)
{
	u64 u;
	s64 i;
	switch (c) {
	case 'd':
	case 'i':
		i = take_signed(s, ap);
		put_number(o, s, i < 0 ? -(u64)i : (u64)i, 10, false, i < 0 ? "-" : s->plus ? "+" : s->space ? " " : "");
		break;
	case 'u':
		put_number(o, s, take_unsigned(s, ap), 10, false, "");
		break;
	case 'x':
	case 'X':
		u = take_unsigned(s, ap);
		put_number(o, s, u, 16, c == 'X', s->alt && u ? (c == 'X' ? "0X" : "0x") : "");
		break;
	case 'o':
		u = take_unsigned(s, ap);
		put_number(o, s, u, 8, false, s->alt && u ? "0" : "");
		break;
	case 'p':
		put_number(o, s, (u64)va_arg(*ap, void *), 16, false, "0x");
		break;
	case 'c': {
		char one = (char)va_arg(*ap, int);
		put_text(o, s, &one, 1);
		break;
	}
	case 's': {
		const char *text = va_arg(*ap, const char *);
		if (!text)
			text = "(null)";
		put_text(o, s, text, s->precision >= 0 ? strnlen(text, (size_t)s->precision) : strlen(text));
		break;
	}
	case '%':
		put(o, '%');
		break;
	default:
		put(o, '%');
		if (c)
			put(o, c);
	}
}

int vsnprintf(char *buf, size_t size, const char *f, va_list ap)
{
	struct out o = { buf, size, 0 };
	struct spec s;
	va_list args;
	va_copy(args, ap);
	for (; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse(f + 1, &s, &args);
		convert(&o, *f, &s, &args);
		if (!*f)
			break;
	}
	va_end(args);
	if (size)
		buf[MIN(o.length, size - 1)] = 0;
	return (int)o.length;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
