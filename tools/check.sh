#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The command-line tool: exit statuses, messages, options, signals. Each guest
# program is one every system has (sh, cat, sleep), so what is tested is the
# tool and not the library OS's breadth.
. "${srcdir:-.}/tests/tap.sh"
pico=$builddir/pico

# status NAME WANTED COMMAND...: compares the exit status; output to $tap_tmp.
status()
{
	name=$1 wanted=$2
	shift 2
	"$@" >"$tap_tmp/out" 2>"$tap_tmp/err" </dev/null
	got=$?
	if [ "$got" = "$wanted" ]; then
		tap_pass "$name"
	else
		tap_fail "$name" "status $got, wanted $wanted
$(head -n 5 "$tap_tmp/err")"
	fi
}

# complains NAME COMMAND...: 125, nothing on stdout, one line `pico: ...`.
complains()
{
	name=$1
	shift
	"$@" >"$tap_tmp/out" 2>"$tap_tmp/err" </dev/null
	is "$name" "$? $(wc -c <"$tap_tmp/out") $(grep -c '^pico: ' "$tap_tmp/err") $(wc -l <"$tap_tmp/err")" '125 0 1 1'
}

# --- without a guest ---
is 'it is a program of its own, no wrapper' "$(head -c 4 "$pico" | tail -c 3)" ELF
is 'version' "$("$pico" version)" "pico $(sed -n 's/^AC_INIT(\[pico\], \[\([0-9.]*\)\].*/\1/p' "$srcdir/configure.ac")"
status 'help' 0 "$pico" --help
is 'help is on standard output' "$(head -n 1 "$tap_tmp/out" | cut -c 1-15)" 'usage: pico run'
status 'no command: usage' 125 "$pico"
complains 'unknown command' "$pico" frobnicate
complains 'run without a program' "$pico" run
complains 'unknown option' "$pico" run --frob /bin/true
complains 'option without its value' "$pico" run --memory
complains 'bad memory' "$pico" run --memory 12Q /bin/true
complains 'memory too large' "$pico" run --memory 99999999999T /bin/true
complains 'bad timeout' "$pico" run --timeout never /bin/true
complains 'timeout of 0' "$pico" run --timeout 0 /bin/true
complains 'bad uid' "$pico" run --uid -1 /bin/true
complains 'relative cwd' "$pico" run --cwd tmp /bin/true
complains 'bad environment' "$pico" run --env =x /bin/true
complains 'bad mount mode' "$pico" run --mount /usr:/usr:rx /bin/true
complains 'mount of nothing' "$pico" run --mount '' /bin/true
complains 'mount at a relative guest path' "$pico" run --mount /usr:usr /bin/true
complains 'root-rw without root' "$pico" run --root-rw /bin/true
complains 'a mount that is not there' "$pico" run --mount "$tap_tmp/absent" /bin/true
is 'and it is named' "$(grep -c "$tap_tmp/absent" "$tap_tmp/err")" 1
complains 'a library OS that is not there' "$pico" run --libos "$tap_tmp/absent" /bin/true
complains 'a library OS that is none' "$pico" run --libos "$srcdir/LICENSE" /bin/true
status 'features' 0 "$pico" features
is 'features names the kernel' "$(sed -n 's/^kernel *//p' "$tap_tmp/out")" "$(uname -r)"

# --- with one ---
status 'true' 0 "$pico" run /bin/true
status 'false' 1 "$pico" run /bin/false
status 'exit status' 42 "$pico" run -- /bin/sh -c 'exit 42'
status 'death by a signal' 143 "$pico" run /bin/sh -c 'kill -TERM $$'
status 'a program that is not there' 127 "$pico" run /no/such/program
is 'and it is named' "$(grep -c '^pico: .*/no/such/program' "$tap_tmp/err")" 1
status 'a program that cannot be executed' 126 "$pico" run --mount "$srcdir/LICENSE:/plain" /plain
is 'and it is named' "$(grep -c '^pico: .*/plain' "$tap_tmp/err")" 1
status 'a directory is no program' 126 "$pico" run /usr
status 'search on the guest PATH' 0 "$pico" run true
status 'not on the guest PATH' 127 "$pico" run no-such-program-anywhere
is 'arguments' "$("$pico" run /bin/echo a 'b  c' --env '' d)" 'a b  c --env  d'
status 'limit of memory' 0 "$pico" run --memory 256M /bin/true
is 'standard input' "$(printf 'one\ntwo\n' | "$pico" run /bin/cat)" "$(printf 'one\ntwo')"
is 'standard error' "$("$pico" run /bin/sh -c 'echo x >&2' 2>&1 >/dev/null)" x
is 'environment' "$("$pico" run --env A=1 --env B=2 --env A=3 /bin/sh -c 'echo $A$B')" 32
is 'environment by name' "$(XYZZY=plugh "$pico" run --env XYZZY /bin/sh -c 'echo $XYZZY')" plugh
is 'nothing else leaks in' "$(XYZZY=plugh "$pico" run /bin/sh -c 'echo "[$XYZZY]"')" '[]'
is 'current directory' "$("$pico" run --cwd /usr/lib /bin/pwd)" /usr/lib
is 'user id' "$("$pico" run --uid 12 --gid 34 /usr/bin/id -u)" 12
is 'group id' "$("$pico" run --uid 12 --gid 34 /usr/bin/id -g)" 34
is 'host name' "$("$pico" run --hostname grue /bin/uname -n)" grue
status 'timeout' 124 "$pico" run --timeout 0.5 /bin/sleep 60
is 'and it says so' "$(grep -c '^pico: ' "$tap_tmp/err")" 1
status 'stats' 0 "$pico" run --stats /bin/true
is 'stats go to standard error' "$(wc -c <"$tap_tmp/out") $(grep -c '^wall ' "$tap_tmp/err")" '0 1'

# --- mounts ---
system=
for path in /usr /bin /sbin /lib /lib64 /etc; do
	[ ! -e $path ] || system="$system --mount $path"
done
mkdir "$tap_tmp/ro" "$tap_tmp/rw" "$tap_tmp/a:b"
echo content >"$tap_tmp/ro/file"
echo colon >"$tap_tmp/a:b/file"
chmod 755 "$tap_tmp"
# shellcheck disable=SC2086
{
	is 'a mount is seen' "$("$pico" run $system --mount "$tap_tmp/ro:/data" /bin/cat /data/file)" content
	is 'at its own path by default' "$("$pico" run $system --mount "$tap_tmp/ro" /bin/cat "$tap_tmp/ro/file")" content
	is 'given relative' "$(here=$PWD; program=$(cd "$builddir" && pwd)/pico; cd "$tap_tmp" &&
		"$program" run $system --mount ro /bin/cat "$tap_tmp/ro/file"; cd "$here")" content
	is 'a colon in its name' "$("$pico" run $system --mount "$tap_tmp/a\\:b:/data" /bin/cat /data/file)" colon
	is 'a single file' "$("$pico" run $system --mount "$tap_tmp/ro/file:/f" /bin/cat /f)" content
	status 'read-only by default' 1 "$pico" run $system --mount "$tap_tmp/ro:/data" /bin/sh -c 'echo x >/data/new || exit 1'
	is 'and nothing was written' "$(ls "$tap_tmp/ro")" file
	status 'writable when asked' 0 "$pico" run $system --mount "$tap_tmp/rw:/data:rw" /bin/sh -c 'echo x >/data/new'
	is 'and the host has it' "$(cat "$tap_tmp/rw/new")" x
	status 'what is not mounted is not there' 1 "$pico" run /bin/sh -c "test -e $tap_tmp/ro/file"
}

# --- a root of its own: needs a program that needs no other file ---
busybox=$(command -v busybox)
if [ -n "$busybox" ] && ! readelf -lW "$busybox" | grep -q INTERP; then
	mkdir -p "$tap_tmp/root/bin"
	cp "$busybox" "$tap_tmp/root/bin/busybox"
	is 'root' "$("$pico" run --root "$tap_tmp/root" /bin/busybox ls /bin)" busybox
	status 'root is read-only' 1 "$pico" run --root "$tap_tmp/root" /bin/busybox touch /bin/new
	status 'root is writable when asked' 0 "$pico" run --root "$tap_tmp/root" --root-rw /bin/busybox touch /bin/new
	check 'and the host has it' test -e "$tap_tmp/root/bin/new"
	is 'a mount inside a root' "$("$pico" run --root "$tap_tmp/root" --mount "$tap_tmp/ro:/data" \
		/bin/busybox cat /data/file)" content
else
	skip 'root' 'no static busybox'
fi

# --- signals: the tool tells the guest and reports its end ---
# forward SIGNAL: sends it when the guest is up; prints status and output.
forward()
{
	mkfifo "$tap_tmp/ready.$1"
	"$pico" run /bin/sh -c "trap 'echo got $1; exit 9' $1; echo up; while :; do :; done" \
		>"$tap_tmp/ready.$1" 2>/dev/null </dev/null &
	pid=$!
	{
		read -r line
		kill -"$1" "$pid"
		timeout 10 cat
	} <"$tap_tmp/ready.$1"
	wait "$pid"
	echo "status $?"
}
for signal in TERM HUP INT QUIT USR1; do
	# A shell without job control starts background programs with INT and QUIT
	# ignored; the tool asks for them all the same.
	is "SIG$signal is passed on" "$(forward $signal)" "got $signal
status 9"
done
# A signal may come while the program is being loaded: it must not spoil that.
early=$(for delay in 000 001 002 003 004 005 006; do
	for i in 1 2 3 4 5; do
		"$pico" run /bin/true 2>&1 </dev/null &
		sleep "0.$delay"
		kill -WINCH $! 2>/dev/null
		kill -CONT $! 2>/dev/null
		wait $! || echo "status $?"
	done
done)
empty 'a signal during the start does no harm' "$early"
tap_end
