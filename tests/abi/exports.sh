#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# libpico.so exports exactly what the public header declares and what the
# version script lists: no more, no less, no variables.
. "${srcdir:-.}/tests/tap.sh"
library=$builddir/.libs/libpico.so

# Functions declared in pico.h: the preprocessor's own view of it, so neither
# macros nor comments deceive; without __GNUC__ there are no attributes.
printf '#include <pico/pico.h>\n' >"$tap_tmp/t.c"
${CC:-cc} -E -P -U__GNUC__ -I"$srcdir/include" "$tap_tmp/t.c" | tr '\n' ' ' | tr ';{}' '\n\n\n' | grep -vE 'typedef|static inline' |
	sed -n 's/.*[ *]\(pico_[a-z0-9_]*\) *(.*/\1/p' | sort -u >"$tap_tmp/header"
sed -n 's/^	\(pico_[a-z0-9_]*\);$/\1/p' "$srcdir/lib/libpico.map" | sort >"$tap_tmp/map"
nm -D --defined-only --without-symbol-versions "$library" | awk '$2 != "A" { print $3 }' | sort >"$tap_tmp/built"
nm -D --defined-only "$library" | awk '$2 != "A" && $2 != "T"' >"$tap_tmp/data"

check 'pico.h declares functions' test -s "$tap_tmp/header"
check 'version script lists what the header declares' diff -u "$tap_tmp/header" "$tap_tmp/map"
check 'the library exports what the version script lists' diff -u "$tap_tmp/map" "$tap_tmp/built"
empty 'only functions are exported' "$(cat "$tap_tmp/data")"
empty 'the version script has no wildcard but the last' "$(grep -n '[*?]' "$srcdir/lib/libpico.map" | grep -v '	\*;$')"
is 'soname' "$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" libpico.so.0
needed=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
	grep -vxE 'libc\.so\.6|lib(a|t|ub)san\.so\.[0-9]+|libgcc_s\.so\.1|ld-linux-x86-64\.so\.2|libm\.so\.6|libmbedcrypto\.so\.[0-9]+')
empty 'the library needs nothing but the C library and, for keys, mbedTLS' "$needed"
tap_end
