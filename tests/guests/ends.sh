#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# How a program ends is what its parent sees: each way on the host and inside.
. "${srcdir:-.}/tests/tap.sh"
program=$builddir/tests/guests/ends

inside()
{
	timeout 60 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" -- /guests/ends "$1" 2>"$tap_tmp/said"
	echo $?
}

for way in leader_gone leader_leaves aborts faults blocked_fault ignored_fault no_stack bad_return far_jump \
	realtime alarmed killed terminated cpu_limit thread_exec barriers; do
	host=$(timeout 60 sh -c '"$0" "$1" 2>/dev/null; echo $?' "$program" "$way" 2>/dev/null)
	is "$way" "$(inside "$way")" "$host"
done

# Stopped and continued from outside.
timeout 60 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" -- /guests/ends stop &
pico=$!
sleep 1
kill -CONT "$(ps -o pid= --ppid $pico | tr -d ' ')" 2>/dev/null
wait $pico
is 'stopped, then continued' $? 9
tap_end
