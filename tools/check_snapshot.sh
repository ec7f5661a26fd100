#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Snapshots by the command-line tool: names, files that go on elsewhere, copies,
# what is said of what cannot be.
. "${srcdir:-.}/tests/tap.sh"
pico=$builddir/pico
XDG_RUNTIME_DIR=$tap_tmp
export XDG_RUNTIME_DIR
cd "$tap_tmp" || exit 1
count='i=0; while [ $i -lt 30 ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit 7'
seq 0 29 >whole

# until NAME: the instance has said something.
until_said()
{
	n=0
	while [ ! -s "$1" ] && [ $n -lt 200 ]; do
		sleep 0.05
		n=$((n + 1))
	done
}

# complains NAME TEXT COMMAND...: 125 and one line with the text.
complains()
{
	name=$1 text=$2
	shift 2
	"$@" >out 2>err </dev/null
	is "$name" "$? $(grep -c "$text" err)" '125 1'
}

"$pico" run --name first sh -c "$count" >a 2>a.err </dev/null &
first=$!
until_said a
is 'ps shows it' "$("$pico" ps | awk '$1 == "first" { print $6 }')" sh
complains 'a name is one instance' 'in use' "$pico" run --name first true
check 'snapshot of what runs' "$pico" snapshot first live.snap
check 'snapshot and stop' "$pico" snapshot --stop first stopped.snap
wait $first
is 'the stopped one ends with 0' $? 0
is 'its name is free again' "$("$pico" ps | wc -l)" 1
"$pico" restore --name second stopped.snap >b 2>b.err </dev/null
is 'the exit status is the program'\''s' $? 7
is 'restored it goes on where it stood' "$(cat a b)" "$(cat whole)"
cp stopped.snap moved.snap
rm stopped.snap
"$pico" restore --verify moved.snap >c 2>c.err </dev/null
is 'a file may be copied, and go on again' "$(cat a c)" "$(cat whole)"
is 'inspect names the program' "$("$pico" inspect moved.snap | grep -c '^program sh$')" 1

"$pico" run --name model sh -c "$count" >d 2>d.err </dev/null &
until_said d
"$pico" clone model copy >e 2>e.err </dev/null &
copy=$!
until_said e
is 'a copy has a name of its own' "$("$pico" ps | awk 'NR > 1 { print $1 }' | sort | tr '\n' ' ')" 'copy model '
wait $copy
is 'a copy ends as the program does' $? 7
is 'and counts to the end' "$(tail -n 1 e)" 29
wait
is 'the model does so, too' "$(cat d)" "$(cat whole)"

complains 'no such instance' "no instance is named 'nobody'" "$pico" snapshot nobody x.snap
complains 'no such file' 'No such file' "$pico" restore absent.snap
complains 'no snapshot' 'not a snapshot' "$pico" restore whole
complains 'truncated' 'truncated' sh -c "head -c 20000 moved.snap >cut.snap; exec '$pico' restore cut.snap"
complains 'a bad name' 'not 1 to 64' "$pico" run --name a/b true
complains 'options of restore' 'options of restore' "$pico" run --verify true

# An open file that has changed.
mkdir m
seq 1000 >m/f
"$pico" run --name reader --mount /usr --mount /bin --mount /lib --mount /lib64 --mount "$tap_tmp/m:/m:rw" sh -c 'exec 3</m/f; read -r x <&3; echo ready; sleep 0.7; read -r y <&3; echo $x $y' >r 2>r.err </dev/null &
until_said r
check 'with an open file' "$pico" snapshot --stop reader reader.snap
wait
echo more >>m/f
restore_reader()
{
	"$pico" restore "$@" --mount /usr --mount /bin --mount /lib --mount /lib64 --mount "$tap_tmp/m:/m:rw" reader.snap
}
complains 'a changed file is refused by its name' 'file:/m/f has changed' restore_reader
is 'or only told' "$(restore_reader --changed-ok 2>r.err) $(grep -c 'file:/m/f' r.err)" '1 2 1'
rm m/f
complains 'so is one that is gone' 'file:/m/f' restore_reader
tap_end
