# SPDX-License-Identifier: Apache-2.0
#
# For scripts that run a program on the host and inside and want the same of
# both: standard output, standard error, exit status, and what it left behind.
# Source tests/tap.sh first. The one requirement: a function `fixture` that
# fills the current, empty directory.
#
# Cases come as a table on standard input, one a line, quoted as for the shell;
# a line that begins with # is a comment:
#
#   MODE COMMAND ARGUMENT...
#
# MODE is ro; rw: the working directory may be written, and what is left in it is
# compared; or own: it may be written, and what is left is known to differ.
#
# Each runs in $work, a directory at the same path on both sides, with the
# fixture's file `stdin` as its standard input. Nothing else of the host's /tmp
# is there, so a program may use /tmp as it likes.

pico=$(realpath "$builddir/pico")
for program in pico pico-helper libos-linux; do
	[ -e "$(dirname "$pico")/$program" ] || { echo "Bail out! no $program in $builddir"; exit 1; }
done
work=$tap_tmp/work
compare_as=()
compare_ids=()
compare_owner=$(id -u):$(id -g)
compare_label=
compare_env=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C LANG=C TERM=dumb)
compare_limit=${PICO_TEST_TIMEOUT:-30}
chmod 755 "$tap_tmp"

# The host's system, read-only, as `pico run` without --mount has it.
system=()
for directory in /usr /bin /sbin /lib /lib64 /lib32 /libx32 /etc; do
	[ ! -e $directory ] || system+=(--mount $directory)
done

# compare_as_user: all that follows runs as an ordinary user. False when that
# cannot be.
compare_as_user()
{
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || return 1
	compare_as=(setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all)
	"${compare_as[@]}" test -x "$pico" || return 1
	compare_owner=1000:1000
	compare_label=' (ordinary user)'
	compare_reset
}

# The fixture anew.
compare_reset()
{
	[ -d "$tap_tmp/master" ] || (mkdir "$tap_tmp/master" && cd "$tap_tmp/master" && fixture)
	rm -rf "$work"
	cp -a "$tap_tmp/master" "$work"
	[ "$compare_owner" = 0:0 ] || chown -R -h "$compare_owner" "$work"
	compare_ids=(--uid "${compare_owner%:*}" --gid "${compare_owner#*:}")
}

# What is in $work: names, kinds, modes, links, owners, times where they are not
# of this test's run, sizes and contents.
compare_state()
{
	(cd "$work" && {
		find . -printf '%P %y %m %n %U:%G %l %s %T@\n' | awk -v started="$compare_started" '
			$2 == "d" { $(NF - 1) = "-" }
			$NF >= started { $NF = "now" }
			{ print }' | sort
		find . -type f -exec md5sum {} + 2>&1 | sort -k 2
	})
}
compare_started=$(($(date +%s) - 1))

# The outer braces keep the shell's own word about a program that a signal ended.
on_host()
{
	{
		(cd "$work" && exec "${compare_as[@]}" env -i "${compare_env[@]}" timeout "$compare_limit" "$@" \
			>"$tap_tmp/host.out" 2>"$tap_tmp/host.err")
	} 2>/dev/null
}

# inside MODE COMMAND...
inside()
{
	local mode=$1
	shift
	"${compare_as[@]}" timeout "$compare_limit" "$pico" run "${system[@]}" "${compare_ids[@]}" \
		"${compare_env[@]/#/--env=}" --mount "$work:$work:${mode/own/rw}" --cwd "$work" -- "$@"
}

# A program names itself, the shell's line numbers and the like as they are on
# both sides; only what cannot be the same is taken out by the test's `normal`.
normal()
{
	cat
}

# compare NAME MODE COMMAND...
compare()
{
	local name=$1$compare_label mode=$2 status
	shift 2
	on_host "$@" <"$work/stdin"
	status=$?
	echo "status $status" >"$tap_tmp/host.end"
	[ "$mode" != rw ] || compare_state >>"$tap_tmp/host.end"
	[ "$mode" = ro ] || compare_reset
	inside "$mode" "$@" >"$tap_tmp/in.out" 2>"$tap_tmp/in.err" <"$work/stdin"
	status=$?
	echo "status $status" >"$tap_tmp/in.end"
	[ "$mode" != rw ] || compare_state >>"$tap_tmp/in.end"
	[ "$mode" = ro ] || compare_reset
	for part in out err; do
		for side in host in; do
			normal "$@" <"$tap_tmp/$side.$part" >"$tap_tmp/$side.$part.normal"
		done
	done
	if cmp -s "$tap_tmp/host.out.normal" "$tap_tmp/in.out.normal" &&
		cmp -s "$tap_tmp/host.err.normal" "$tap_tmp/in.err.normal" &&
		cmp -s "$tap_tmp/host.end" "$tap_tmp/in.end"; then
		tap_pass "$name"
	else
		tap_fail "$name" "$(for part in end err.normal out.normal; do
			diff -a "$tap_tmp/host.$part" "$tap_tmp/in.$part" | head -n 8 | cut -c 1-200
		done)"
	fi
}

# compare_table: the cases on standard input.
compare_table()
{
	local mode line
	compare_reset
	while read -r mode line <&3; do
		case $mode in '' | '#'*) continue ;; esac
		eval "set -- $line"
		if [ -z "$(command -v "$1")" ]; then
			skip "$line" "$1 is not installed"
			continue
		fi
		compare "$line" "$mode" "$@"
	done 3<&0
}
