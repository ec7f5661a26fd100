#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A directory of the host under a running program: what the host changes is
# seen at once, what the program changes is the host's; and what a read-only
# mount refuses. The program is a shell that never has to fork.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
builddir=$(cd "${builddir:-.}" && pwd)
work=$tap_tmp/work
mkdir "$work"
base=(--mount /usr --mount /bin --mount /lib --mount /lib64)

# inside MODE SCRIPT: the script's output, in a shell of a picoprocess
inside()
{
	timeout 60 "$builddir/pico" run "${base[@]}" --mount "$work:/work:$1" --cwd /work -- /bin/sh -c "$2" 2>&1
}

# The program tells what it sees, and waits for the host's next change.
watcher='
	i=0
	while [ $i -lt 7 ]; do
		what=none
		{ read -r what <d1/d2/f; } 2>/dev/null
		[ -e new ] && what="$what new"
		echo "$what"
		: >tick$i
		while [ ! -e tock$i ]; do :; done
		i=$((i + 1))
	done'

change()
{
	while [ ! -e "$work/tick$1" ]; do sleep 0.01; done
	shift
	(cd "$work" && eval "$1")
}

mkdir -p "$work/d1/d2" "$work/other/d2"
echo one >"$work/d1/d2/f"
echo two >"$work/other/d2/f"
inside rw "$watcher" >"$tap_tmp/seen" &
change 0 'echo changed >d1/d2/f; : >tock0'
change 1 'rm d1/d2/f; : >new; : >tock1'
change 2 'echo again >d1/d2/f; rm new; : >tock2'
change 3 'mv d1 old; ln -s other d1; : >tock3'
change 4 'rm d1; mkdir -p d1/d2; echo fresh >d1/d2/f; : >tock4'
change 5 'rm -r d1/d2; : >d1/d2; : >tock5'
change 6 ': >tock6'
wait
seen=$(tr '\n' ',' <"$tap_tmp/seen")
is 'what the host changes is seen' "$seen" 'one,changed,none new,again,two,fresh,none,'
rm -rf "${work:?}"/*

inside rw 'echo text >made; echo more >>made; umask 077; echo secret >private' >/dev/null
is 'what the program writes is the host'\''s' "$(tr '\n' , <"$work/made")" text,more,
is 'with the mode it asked for' "$(stat -c %a "$work/private")" 600

out=$(inside ro '
	{ echo x >made; } 2>/dev/null && echo wrote
	{ echo x >fresh; } 2>/dev/null && echo created
	[ -w made ] && echo writable
	read -r a <made && echo $a')
is 'a read-only mount is read' "$out" text
is 'and not changed' "$(cd "$work" && echo *)" 'made private'
tap_end
