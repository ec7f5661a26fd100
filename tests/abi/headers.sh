#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Public headers are self-contained and compile in every language they promise.
. "${srcdir:-.}/tests/tap.sh"
warn='-Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Werror'

for header in pico abi errors; do
	printf '#include <pico/%s.h>\n#include <pico/%s.h>\nint main(void) { return 0; }\n' \
		$header $header >"$tap_tmp/t.c"
	cp "$tap_tmp/t.c" "$tap_tmp/t.cc"
	for std in c99 c11 gnu11; do
		# shellcheck disable=SC2086
		check "$header.h as $std" ${CC:-cc} -std=$std -pedantic -Wstrict-prototypes $warn \
			-I"$srcdir/include" -fsyntax-only "$tap_tmp/t.c"
	done
	if command -v "${CXX:-c++}" >/dev/null; then
		# shellcheck disable=SC2086
		# Functions share names with structs, as stat() does: C++'s -Wshadow minds.
		check "$header.h as c++17" ${CXX:-c++} -std=c++17 $warn -Wno-shadow \
			-I"$srcdir/include" -fsyntax-only "$tap_tmp/t.cc"
	else
		skip "$header.h as c++17" 'no C++ compiler'
	fi
done
is 'public headers need no config.h' "$(grep -l 'config\.h' "$srcdir"/include/pico/*)" ''
tap_end
