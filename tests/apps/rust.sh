#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Rust: threads, channels, panics; a stack that overflows is told and aborts.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

if ! command -v rustc >/dev/null; then
	skip 'rust' 'rustc is not installed'
	tap_end
fi
if ! rustc --edition 2021 -O -o "$tap_tmp/program" "$srcdir/tests/apps/src/rust.rs"; then
	tap_fail 'the program compiles'
	tap_end
fi

fixture()
{
	cp "$tap_tmp/program" program
	mkdir dir
	: >stdin
}

# Threads have other numbers.
normal()
{
	sed -e "s/^\(thread '[a-z]*'\) ([0-9]*)/\1/"
}

compare_reset
for i in 1 2; do
	compare "what a program uses, $i" own ./program "$work/dir"
done
compare 'a stack that overflows' ro ./program overflow
compare 'a panic that ends the program' ro env RUST_BACKTRACE=0 ./program panic
tap_end
