#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What can go wrong at the edges: programs that cannot run, mounts that cannot be,
# streams that are closed or full, memory, files and time used up, signals, a host
# without /proc. Each has the right error inside, the right exit status outside
# and leaves the host as it was.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
export LC_ALL=C

dir=$tap_tmp/files
out=$tap_tmp/out
err=$tap_tmp/err
mkdir "$dir"
run=(timeout 60 "$pico" run "${system[@]}")

# ends NAME STATUS PATTERN COMMAND...: exit status, and standard error matches
# the pattern (for grep -E; '' is: says nothing).
ends()
{
	local name=$1 wanted=$2 pattern=$3 got
	shift 3
	"$@" >"$out" 2>"$err"
	got=$?
	if [ "$got" != "$wanted" ]; then
		tap_fail "$name" "status $got, wanted $wanted
$(head -n 5 "$err")"
	elif [ -z "$pattern" ] && [ -s "$err" ]; then
		tap_fail "$name" "$(head -n 5 "$err")"
	elif [ -n "$pattern" ] && ! grep -q -a -E "$pattern" "$err"; then
		tap_fail "$name" "wanted: $pattern
$(head -n 5 "$err")"
	else
		tap_pass "$name"
	fi
}

# same NAME SCRIPT: a bash script that runs "${it[@]} COMMAND" prints the same and
# has the same standard error, on the host and inside.
same()
{
	local name=$1 script=$2
	(it=(env -i "${compare_env[@]}"); cd "$dir" && eval "$script") >"$out.host" 2>"$err.host" </dev/null
	(it=("${run[@]}" "${compare_env[@]/#/--env=}" --mount "$dir:$dir:rw" --cwd "$dir" --); cd "$dir" && eval "$script") \
		>"$out" 2>"$err" </dev/null
	if cmp -s "$out" "$out.host" && cmp -s "$err" "$err.host"; then
		tap_pass "$name"
	else
		tap_fail "$name" "$(diff "$out.host" "$out" | head -n 6; diff "$err.host" "$err" | head -n 6)"
	fi
}

# --- programs that cannot run ---

# patched OFFSET BYTES NAME: a copy of true(1) with some bytes changed.
patched()
{
	cp /bin/true "$dir/$3"
	printf "$2" | dd of="$dir/$3" bs=1 seek="$1" conv=notrunc status=none
}
program()
{
	ends "$1" "$2" "^pico: .*$3" "${run[@]}" --mount "$dir" -- "$dir/$4"
}
echo 'echo text' >"$dir/text"
echo data >"$dir/data"
: >"$dir/empty"
printf '#!/no/such/interpreter\n' >"$dir/astray"
printf '#!%s\n' "$dir/loop" >"$dir/loop"
printf '#!\n' >"$dir/nothing"
head -c 40 /bin/true >"$dir/short40"
head -c 100 /bin/true >"$dir/short100"
patched 4 '\1' elf32
patched 18 '\267' arm64
patched 16 '\1' object
patched 54 '\1' entries
patched 32 '\377\377\377\377\377\377\377\177' far
sed 's#/lib64/ld-linux-x86-64.so.2#/lib64/no-such-linker.so.2#' /bin/true >"$dir/nolinker"
chmod 755 "$dir"/*
chmod 644 "$dir/data"
program 'a missing program' 127 'no such file' absent
program 'a directory as program' 126 'permission denied' .
program 'a file that is not executable' 126 'permission denied' data
program 'a name below a file' 127 'not a directory' text/x
program 'text without #!' 126 'not an executable' text
program 'an empty file' 126 'not an executable' empty
program '#! and nothing' 126 'not an executable' nothing
program '#! of a missing interpreter' 127 'no such file' astray
program '#! of itself' 126 'too many symbolic links' loop
program 'an ELF file of 40 bytes' 126 'not an executable' short40
program 'an ELF file of 100 bytes' 126 'not an executable' short100
program 'a 32-bit ELF file' 126 'not an executable' elf32
program 'another machine'"'s ELF file" 126 'not an executable' arm64
program 'an object file' 126 'not an executable' object
program 'a program header of the wrong size' 126 'not an executable' entries
program 'program headers beyond the file' 126 'not an executable' far
program 'an ELF file of a missing linker' 127 'no such file' nolinker
for file in text empty data astray loop nolinker absent text/x; do
	same "exec of $file" "\"\${it[@]}\" env ./$file; echo \$?"
done
same 'exec of a directory' '"${it[@]}" env "$dir"; echo $?'

# --- mounts ---
mkdir -p "$dir/one/inner" "$dir/two"
echo outer >"$dir/one/inner/file"
echo other >"$dir/two/file"
ends 'a mount that is not there' 125 "^pico: .*$dir/absent.*No such file" "${run[@]}" --mount "$dir/absent" -- /bin/true
ends 'a device as mount' 125 '^pico: .*neither a directory nor a regular file' "${run[@]}" --mount /dev/null:/x -- /bin/true
ends 'two mounts at one place' 125 '^pico: two mounts at /m' "${run[@]}" --mount "$dir/one:/m" --mount "$dir/two:/m" -- /bin/true
for order in "$dir/one:/m $dir/two:/m/inner" "$dir/two:/m/inner $dir/one:/m"; do
	is "a mount inside a mount, ${order%%:*} first" "$("${run[@]}" --mount "${order% *}" --mount "${order#* }" -- /bin/cat /m/inner/file)" other
done
is 'a mount at a new name inside a mount is listed' \
	"$("${run[@]}" --mount "$dir/one:/m" --mount "$dir/two:/m/new" -- /bin/ls /m | tr '\n' ' ')" 'inner new '
is 'and where the host has the name it is listed once' \
	"$("${run[@]}" --mount "$dir/one:/m" --mount "$dir/two:/m/inner" -- /bin/ls /m | tr '\n' ' ')" 'inner '
is 'mounts in a root of the host are listed' \
	"$("${run[@]}" --root "$dir/two" -- /bin/ls / | grep -x -c -e usr -e file)" 2
ends 'a mount at / is a root' 0 '' "${run[@]}" --mount "$dir/two:/" -- /bin/cat /file
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid 1000 --clear-groups test -x "$pico"; then
	mkdir -m 700 "$dir/secret"
	mkdir "$dir/secret/inside"
	user=(setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all)
	ends 'an unreadable mount' 125 '^pico: .*secret.*[Pp]ermission denied' "${user[@]}" "${run[@]}" --mount "$dir/secret:/s" -- /bin/true
	ends 'a mount below an unreadable directory' 125 '^pico: .*secret.*[Pp]ermission denied' \
		"${user[@]}" "${run[@]}" --mount "$dir/secret/inside:/s" -- /bin/true
	chmod 711 "$dir/secret"
	chmod 0 "$dir/secret/inside"
	ends 'an unreadable directory in a mount' 2 'Permission denied' "${user[@]}" "${run[@]}" --uid 1000 --mount "$dir/secret:/s" -- /bin/ls /s/inside
else
	skip 'an unreadable mount' 'not root, or the programs are out of reach for others'
fi

# --- standard streams ---
same 'closed standard input' '"${it[@]}" cat <&-; echo $?'
same 'closed standard output' '"${it[@]}" echo text >&-; echo $?'
same 'closed standard error' '"${it[@]}" ls absent 2>&-; echo $?'
same 'all three closed' '("${it[@]}" sh -c "echo x; exit 3" <&- >&- 2>&-); echo $?'
same 'the numbers of closed streams are free' '"${it[@]}" sh -c "exec 3<text; read x <&3; echo \$x; [ -e /proc/self/fd/0 ]" <&-; echo $?'
same 'a full device' '"${it[@]}" echo text >/dev/full; echo $?'
same 'a pipe nobody reads any more' '"${it[@]}" yes | head -n 1; echo ${PIPESTATUS[0]}'
same 'the same, with the signal ignored inside' '"${it[@]}" perl -e "\$SIG{PIPE} = q(IGNORE); \$| = 1; print(qq(x\n)) or (warn(qq(\$!\n)), exit 7) while 1" | head -n 1; echo ${PIPESTATUS[0]}'
same 'input that can only be written' '"${it[@]}" cat 0>turned; echo $?; "${it[@]}" sh -c "echo text >&0" 0>turned; cat turned'
same 'output that can only be read' '"${it[@]}" echo x 1<text; echo $?; "${it[@]}" sh -c "read x <&1; echo \$x >&2" 1<text; true'
same 'the same of a pipe' 'echo text | "${it[@]}" sh -c "echo x || exit 4; exit 5" 1<&0; echo $?'
same 'input from the middle of a file' '{ read -r x; "${it[@]}" cat; } <"$srcdir/tests/tap.sh" | md5sum'
same 'output in turns' '{ echo one; "${it[@]}" echo two; echo three; } >turns; cat turns'
same 'output appended' 'echo zero >turns; { echo one; "${it[@]}" echo two; echo three; } >>turns; cat turns'
ends 'a directory as input' 125 '^pico: standard input' "${run[@]}" -- /bin/cat </usr

# --- a full disk ---
small=$dir/small
mkdir "$small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=256k,nr_inodes=20 none "$small" 2>/dev/null; then
	trap 'umount "$small"; rm -rf "$tap_tmp"' EXIT
	fresh='rm -rf small/*; '
	same 'dd to a full disk' "$fresh"'"${it[@]}" dd if=/dev/zero of=small/x bs=64k count=9 2>&1 | head -n 3; stat -c %s small/x'
	same 'cp to a full disk' "$fresh"'"${it[@]}" cp /bin/bash small/x; echo $?'
	same 'sort to a full disk' "$fresh"'"${it[@]}" sort -o small/x /bin/bash; echo $?'
	same 'a shell on a full disk' "$fresh"'head -c 256k /dev/zero >small/x; "${it[@]}" sh -c "echo text >small/y || echo failed; : >small/x; echo text >small/y && read x <small/y && echo \$x" 2>&1'
	same 'room reserved beyond the disk' "$fresh"'"${it[@]}" fallocate -l 1M small/x; echo $?'
	same 'output to a full disk' "$fresh"'"${it[@]}" seq 100000 >small/x; echo $?; stat -c %s small/x'
	same 'no inodes left' "$fresh"'"${it[@]}" touch $(seq -f small/%.0f 30) 2>&1 | tail -n 3; ls small | wc -l'
	if command -v sqlite3 >/dev/null; then
		same 'a database on a full disk' "$fresh"'"${it[@]}" sqlite3 small/db "create table t (a); insert into t values (zeroblob(1000000));"; echo $?
			"${it[@]}" sqlite3 small/db "pragma integrity_check; select count(*) from t"'
	fi
	umount "$small"
	trap 'rm -rf "$tap_tmp"' EXIT
else
	skip 'a full disk' 'a tmpfs cannot be mounted here'
fi
ends 'memory of /tmp used up' 1 'No space left' "${run[@]}" --memory 64M -- /bin/dd if=/dev/zero of=/tmp/x bs=1M count=200

# --- memory ---
free_before=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
hungry='my @a; eval { push @a, "x" x 1048576 while @a < 2000; }; print scalar(@a), "\n"'
ends 'memory used up: perl' 1 'Out of memory' "${run[@]}" --memory 64M -- /usr/bin/perl -e "$hungry"
if command -v python3 >/dev/null; then
	# shellcheck disable=SC2016
	ends 'memory used up: an exception, then life goes on' 0 '' "${run[@]}" --memory 64M -- /usr/bin/python3 -S -c '
l = []
try:
    while len(l) < 2000: l.append(bytearray(1 << 20))
except MemoryError:
    n = len(l); del l
    assert 10 < n < 64
    print(len(bytearray(8 << 20)))'
fi
ends 'too little memory to start' 126 '^pico: .*out of memory' "${run[@]}" --memory 8M -- /bin/true
free_after=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
is 'the host has its memory back' "$((free_before - free_after < 1500))" 1

# --- arguments ---
same 'many arguments' '"${it[@]}" echo $(seq 60000) | md5sum'
same 'two megabytes less a little' 'x=$(printf %0100000d 1); "${it[@]}" echo $x $x $x $x $x $x $x $x $x $x $x $x $x $x | md5sum'
same 'ten megabytes inside' '"${it[@]}" perl -e "exec q(/bin/echo), (q(x) x 100000) x 100; print qq(\$!\n)"'
same 'one argument of 128 KiB inside' '"${it[@]}" perl -e "exec q(/bin/echo), q(x) x 131072; print qq(\$!\n)"'
same 'and one byte less' '"${it[@]}" perl -e "exec q(/bin/echo), q(x) x 131071; print qq(\$!\n)" | md5sum'
same 'a name of 300 bytes' '"${it[@]}" cat $(printf %0300d 0); echo $?'
same 'a path of 5000 bytes' '"${it[@]}" cat $(printf %02500d 0 | sed s#0#a/#g); echo $?'

# --- open files ---
files='use POSIX; my $n = 0; $n++ while $n < $ARGV[0] && defined POSIX::open($ARGV[1]); print "$!\n" if $n < $ARGV[0]; print "$n\n"'
for limit in 64 1024; do
	same "files up to a limit of $limit" "ulimit -n $limit; \"\${it[@]}\" sh -c 'ulimit -n $limit; exec perl -e '\\''$files'\\'' 100000 text' | head -n 1"
done
ends 'a hundred thousand open files' 0 '' "${run[@]}" --mount "$dir" -- /bin/sh -c \
	"ulimit -n 100100; exec perl -e '$files' 100000 $dir/text"
is 'all of them' "$(cat "$out")" 100000
ends 'a hundred thousand and no more' 0 '' "${run[@]}" --mount "$dir" -- /bin/sh -c \
	"ulimit -n 100000; exec perl -e '$files' 100000 $dir/text"
is 'the error is the right one' "$(head -n 1 "$out")" 'Too many open files'
mkdir "$dir/many"
(cd "$dir/many" && seq 3000 | xargs touch)
many='my @k; for (1 .. 3000) { open(my $f, "<", "many/$_") or do { print "$!\n"; last }; push @k, $f } print scalar(@k), "\n"'
(ulimit -n 100 && cd "$dir" && "${run[@]}" --mount "$dir" --cwd "$dir" -- /bin/sh -c "ulimit -n 10000; exec perl -e '$many'" >"$out" 2>&1)
is 'a host out of descriptors: an error inside' "$(grep -c 'Too many open files' "$out")" 1

# --- exit statuses and time ---
for status in 0 1 77 124 125 126 127 128 255; do
	ends "exit status $status" $status '' "${run[@]}" -- /bin/sh -c "exit $status"
done
for signal in HUP INT QUIT ILL ABRT FPE KILL USR1 SEGV PIPE ALRM TERM XCPU SYS; do
	ends "death by SIG$signal" $((128 + $(kill -l $signal))) '' "${run[@]}" -- /bin/sh -c "kill -$signal \$\$"
done
for program in 'sleep 60' 'perl -e for(;;){}' 'perl -e $SIG{$_}="IGNORE"for(keys(%SIG));for(;;){}' 'cat'; do
	# shellcheck disable=SC2086
	ends "out of time: ${program:0:24}" 124 '^pico: .*out of time' "${run[@]}" --timeout 0.3 -- $program < <(sleep 5)
done

# --- signals ---
# forwarded NAME STATUS SIGNALS COMMAND...: a dot in SIGNALS is a short pause.
forwarded()
{
	local name=$1 wanted=$2 signals=$3 pid line
	shift 3
	rm -f "$tap_tmp/ready"
	mkfifo "$tap_tmp/ready"
	"$pico" run "${system[@]}" -- "$@" >"$tap_tmp/ready" 2>"$err" </dev/null &
	pid=$!
	{
		read -r line
		for signal in $signals; do
			if [ "$signal" = . ]; then sleep 0.2; else kill -"$signal" $pid; fi
		done
		wait $pid
		is "$name" "$line $?" "up $wanted"
	} <"$tap_tmp/ready"
}
ready='$| = 1; print "up\n"; '
for signal in INT TERM HUP QUIT USR1 USR2; do
	forwarded "SIG$signal ends the program" $((128 + $(kill -l $signal))) "$signal" /usr/bin/perl -e "${ready}sleep 60"
	forwarded "SIG$signal is handled inside" 9 "$signal" /usr/bin/perl -e "\$SIG{$signal} = sub { exit 9 }; ${ready}1 while 1"
done
forwarded 'SIGTERM ignored: the second kills' 137 'TERM . TERM' /usr/bin/perl -e "\$SIG{TERM} = 'IGNORE'; ${ready}1 while 1"
forwarded 'stopped and continued from outside' 5 'STOP . CONT USR1' /usr/bin/perl -e "\$SIG{USR1} = sub { exit 5 }; ${ready}sleep 60"

# Nothing of an instance may outlive its host: the guest's bytes go round a pipe
# of the host, which ends when the last holder has gone.
mkfifo "$tap_tmp/alive"
"$pico" run "${system[@]}" -- /usr/bin/perl -e "${ready}\$SIG{\$_} = 'IGNORE' for keys %SIG; 1 while 1" >"$tap_tmp/alive" 2>/dev/null </dev/null &
pid=$!
{
	read -r line
	kill -KILL $pid
	wait $pid 2>/dev/null
	if timeout 5 cat >/dev/null; then
		tap_pass 'a killed host leaves no picoprocess'
	else
		tap_fail 'a killed host leaves no picoprocess'
	fi
} <"$tap_tmp/alive" 2>/dev/null

# --- a host without /proc ---
without_proc()
{
	unshare -m sh -c 'mount --make-rprivate / && mount -t tmpfs none /proc && exec "$@"' sh "$@"
}
if [ "$(id -u)" = 0 ] && without_proc true 2>/dev/null; then
	ends 'no /proc on the host: a program' 0 '' without_proc "${run[@]}" -- /bin/cat /proc/self/comm
	is 'it has its own' "$(cat "$out")" cat
	ends 'no /proc on the host: files change' 0 '' without_proc "${run[@]}" --mount "$dir:$dir:rw" --cwd "$dir" -- /bin/chmod 751 two
	is 'as told' "$(stat -c %a "$dir/two")" 751
	ends 'no /proc on the host: features' 0 '' without_proc "$pico" features
else
	skip 'no /proc on the host' 'no mount namespace to be had'
fi
bare=$tap_tmp/bare
if [ "$(id -u)" = 0 ] && command -v busybox >/dev/null; then
	mkdir -p "$bare/bin" "$bare/empty"
	cp "$pico" "$(dirname "$pico")/pico-helper" "$(dirname "$pico")/libos-linux" "$(command -v busybox)" "$bare/bin/"
	ldd "$pico" | grep -o '/[^ ]*' | while read -r library; do
		mkdir -p "$bare$(dirname "$library")"
		cp -L "$library" "$bare$library"
	done
	ends 'a chroot with nothing in it' 0 '' chroot "$bare" /bin/pico run -- /bin/busybox echo text
	is 'the program ran' "$(cat "$out")" text
	ends 'and as an ordinary user' 7 '' chroot --userspec 1000:1000 "$bare" /bin/pico run -- /bin/busybox sh -c 'exit 7'
else
	skip 'a chroot with nothing in it' 'not root, or no busybox-static'
fi
tap_end
