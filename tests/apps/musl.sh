#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# musl: its programs make other system calls than glibc's, and it has a dynamic
# linker of its own.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

if ! command -v musl-gcc >/dev/null; then
	skip 'musl' 'musl-tools is not installed'
	tap_end
fi

fixture()
{
	musl-gcc -O1 -static -o static "$srcdir/tests/apps/src/musl.c" &&
	musl-gcc -O1 -static -static-pie -fPIE -o pie "$srcdir/tests/apps/src/musl.c" &&
	musl-gcc -O1 -o dynamic "$srcdir/tests/apps/src/musl.c" &&
	musl-gcc -O1 -shared -fPIC -o plugin.so "$srcdir/tests/apps/src/plugin.c"
	: >stdin
}

compare_reset
if [ ! -e "$work/plugin.so" ]; then
	tap_fail 'the programs compile'
	tap_end
fi
compare 'static' own ./static
[ ! -e "$work/pie" ] || compare 'static, for any address' own ./pie
compare 'dynamic' own ./dynamic
compare 'dynamic, with a library it loads' own ./dynamic ./plugin.so
compare 'a library that is not there' own ./dynamic ./none.so
tap_end
