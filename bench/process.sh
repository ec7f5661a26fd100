#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Processes inside against processes outside, interleaved: medians of medians.
# usage: bench/process.sh [PICO [GUEST]]   (make bench calls it)
set -u
pico=$(realpath "${1:-./pico}")
guest=$(realpath "${2:-bench/process_guest}")
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cp "$guest" "$work/guest"
view=(--mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro --mount /lib64:/lib64:ro --mount /etc:/etc:ro --mount "$work:/w:rw")

median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

more=() # options of pico run
# pair NAME COUNT ARGS...: COUNT interleaved runs
pair()
{
	local name=$1 count=$2
	shift 2
	: >"$work/n" ; : >"$work/p"
	for ((i = 0; i < count; i++)); do
		"$work/guest" "$@" >>"$work/n"
		"$pico" run "${more[@]}" "${view[@]}" -- /w/guest "$@" >>"$work/p"
	done
	row "$name"
}

row()
{
	awk -v name="$1" -v n="$(median <"$work/n")" -v p="$(median <"$work/p")" \
		'BEGIN { printf "| %s | %.1f | %.1f | %.2f |\n", name, n / 1000, p / 1000, p / n }'
}

# whole NAME COUNT COMMAND...: the wall clock of a command under sh -c
whole()
{
	local name=$1 count=$2 t
	shift 2
	: >"$work/n" ; : >"$work/p"
	for ((i = 0; i < count; i++)); do
		t=$(date +%s%N); "$@" >/dev/null; echo $(($(date +%s%N) - t)) >>"$work/n"
		t=$(date +%s%N); "$pico" run "${view[@]}" --cwd /w -- "$@" >/dev/null; echo $(($(date +%s%N) - t)) >>"$work/p"
	done
	row "$name"
}

echo '| operation | native us | pico us | ratio |'
echo '|---|---|---|---|'
pair 'fork + exit + wait' 5 fork 300
pair 'fork + exit + wait, 500 MiB touched' 3 fork 30 500
pair 'fork + exit + wait, 500 MiB, huge pages advised' 3 fork 30 500 huge
more=(--huge-pages)
pair 'fork + exit + wait, 500 MiB, --huge-pages' 3 fork 30 500
more=()
pair 'vfork + exit + wait' 5 vfork 300
pair 'posix_spawn of /bin/true + wait' 5 spawn 200
pair 'fork + exec of /bin/true + wait' 5 exec 200
pair 'pipe, there and back' 5 pipe 500
pair 'pipe, there and back, one CPU' 5 pipe1 500
pair 'unix socket, there and back' 5 unix 500
pair 'unix socket, there and back, one CPU' 5 unix1 500
whole '200 commands in a shell script' 5 sh -c 'i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done'
if command -v gcc >/dev/null; then
	cat >"$work/one.c" <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		int main(int n, char **v) { char *s = malloc(100); strcpy(s, v[0]); printf("%d %s\n", n, s); return 0; }
	END
	(cd "$work" && whole 'gcc -O2 of one file' 5 gcc -O2 -c one.c -o /tmp/.pico-bench.o; rm -f /tmp/.pico-bench.o)
fi
