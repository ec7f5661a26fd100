#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the examples, linked with the shared library, and compares what they say.
. "${srcdir:-.}/tests/tap.sh"
PICO_HELPER=$(cd "$builddir" && pwd)/pico-helper
PICO_LIBOS=$(cd "$builddir" && pwd)/libos-linux
export PICO_HELPER PICO_LIBOS

is 'hello' "$("$builddir/examples/hello")" 'hello from inside
it ended with 0'
is 'capture' "$("$builddir/examples/capture")" 'status 0, 14 bytes:
two
three
one'
is 'loop' "$("$builddir/examples/loop" | sort)" 'guest 0 ended with 0
guest 1 ended with 3
the loop went on meanwhile: yes'
tap_end
