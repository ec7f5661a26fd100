#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Java: the machine with its own threads, code, faults and collectors.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

if ! java -version >/dev/null 2>&1 || ! command -v javac >/dev/null; then
	skip 'java' 'no Java runtime with a compiler is installed (default-jdk-headless)'
	tap_end
fi
if ! javac -d "$tap_tmp/classes" "$srcdir/tests/apps/src/Work.java"; then
	tap_fail 'the program compiles'
	tap_end
fi

fixture()
{
	cp -r "$tap_tmp/classes" classes
	: >stdin
}

compare_reset
for collector in Serial Parallel G1 Z; do
	if java "-XX:+Use${collector}GC" -version >/dev/null 2>&1; then
		compare "$collector collector" own java "-XX:+Use${collector}GC" -Xmx400m -cp classes Work "$work/dir"
	else
		skip "$collector collector" 'not in this Java'
	fi
done
compare 'interpreted' own java -Xint -Xmx400m -cp classes Work "$work/dir"
compare 'no such class' ro java -cp classes Absent
tap_end
