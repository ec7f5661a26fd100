#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every system call with hostile arguments, in a picoprocess: the program comes
# to its end, and the instance with it.
set -u
builddir=$(cd "${builddir:-.}" && pwd)
number=0
for range in '0 60' '61 150' '151 250' '251 350' '351 470'; do
	number=$((number + 1))
	# shellcheck disable=SC2086
	if out=$(timeout 250 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" --verbose -- /guests/hostile $range 2>&1); then
		echo "ok $number - system calls $range with hostile arguments"
	else
		echo "not ok $number - system calls $range with hostile arguments (status $?)"
		printf '%s\n' "$out" | tail -n 10 | sed 's/^/# /'
	fi
done
echo "1..$number"
