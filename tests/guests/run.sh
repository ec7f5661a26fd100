#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs each guest program on the host and inside, without and with the dynamic
# linker, and as a static program for any address where it is built so. The run on
# the host says whether the test itself is right.
set -u
srcdir=${srcdir:-.}
builddir=$(cd "${builddir:-.}" && pwd)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
mkdir -m 1777 "$scratch/tmp"
number=0
export TMPDIR=$scratch/tmp

# report NAME STATUS
report()
{
	number=$((number + 1))
	if [ "$2" = 0 ] && [ "$(tail -n 1 "$scratch/out")" = ok ]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		sed 's/^/# /' "$scratch/out"
		echo "# status $2"
	fi
}

for source in "$srcdir"/tests/guests/*_*.c "$srcdir"/tests/guests/*_*.cc; do
	name=$(basename "${source%.c*}")
	for program in "$name" "$name.dyn" "$name.pie"; do
		[ -e "$builddir/tests/guests/$program" ] || continue
		(cd "$scratch/tmp" && timeout 60 "$builddir/tests/guests/$program") >"$scratch/out" 2>&1
		report "$program on the host" $?
		timeout 60 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" --mount "$scratch/tmp:/tmp:rw" \
			--mount /usr --mount /bin --mount /lib --mount /lib64 --cwd /tmp --env INSIDE=1 \
			-- "/guests/$program" >"$scratch/out" 2>&1
		report "$program inside" $?
		# Files behave the same in memory as in a directory of the host.
		case $name in fs_*)
			timeout 60 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" \
				--mount /usr --mount /bin --mount /lib --mount /lib64 \
				-- "/guests/$program" /run >"$scratch/out" 2>&1
			report "$program in memory" $?
		esac
	done
done
echo "1..$number"
