# SPDX-License-Identifier: Apache-2.0
#
# For shell tests: `. "$srcdir/tests/tap.sh"`, then check/is/skip, and tap_end.
# tests/run sets srcdir and builddir; a test run by hand gets usable ones.
# Everything a check prints goes to standard error, so to the test's log.

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$srcdir/build}
tap_count=0
tap_failed=0
tap_tmp=$(mktemp -d "${TMPDIR:-/tmp}/pico-test.XXXXXX")
trap 'rm -rf "$tap_tmp"' EXIT

tap_pass()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

# tap_fail NAME [DETAIL]: detail lines are shown under the test.
tap_fail()
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
	[ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/#   /'
}

# check NAME COMMAND...: passes when the command succeeds.
check()
{
	tap_name=$1
	shift
	if tap_output=$("$@" 2>&1); then
		tap_pass "$tap_name"
	else
		tap_fail "$tap_name" "$tap_output"
	fi
}

# is NAME GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then
		tap_pass "$1"
	else
		tap_fail "$1" "got:    $2
wanted: $3"
	fi
}

# empty NAME TEXT: passes when there is no text; shows it otherwise.
empty()
{
	if [ -z "$2" ]; then tap_pass "$1"; else tap_fail "$1" "$2"; fi
}

skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

tap_end()
{
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
	exit
}
