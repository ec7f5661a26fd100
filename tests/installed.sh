#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What `make installcheck` runs: the installed tool, and the README's example
# built as a stranger would build it, with pkg-config and nothing of this tree.
. "${srcdir:-.}/tests/tap.sh"

PKG_CONFIG_PATH=$libdir/pkgconfig
LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH LD_LIBRARY_PATH
check 'the installed tool runs a program' "$bindir/pico" run /bin/true
check 'pkg-config knows pico' pkg-config --exists pico
# shellcheck disable=SC2046
check 'the example compiles against what is installed' ${CC:-cc} -o "$tap_tmp/hello" \
	"$srcdir/examples/hello.c" $(pkg-config --cflags --libs pico)
is 'and runs' "$("$tap_tmp/hello")" 'hello from inside
it ended with 0'
check 'the manual page is installed' test -r "$mandir/man1/pico.1"
tap_end
