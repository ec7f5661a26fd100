#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Python's own regression suite, test modules one after the other in one
# process, on the host and inside: what each single test says must be the same.
# Which modules, and which not and why: python-modules.txt.
. "${srcdir:-.}/tests/tap.sh"

if ! /usr/bin/python3 -c 'import test.test_grammar' 2>/dev/null; then
	skip "Python's own tests" 'libpython3.11-testsuite is not installed'
	tap_end
fi
exec /usr/bin/python3 "$srcdir/tests/apps/python-suite.py" \
	"$(cd "$builddir" && pwd)/pico" "$srcdir/tests/apps/python-modules.txt" "$@"
