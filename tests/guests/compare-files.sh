#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The same random file calls on the host and inside, in memory and on a host
# directory: every result must be the same. PICO_SEEDS="1 2 3" asks for others.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
builddir=$(cd "${builddir:-.}" && pwd)
program=$builddir/tests/guests/random-files
steps=${PICO_STEPS:-4000}
memory=/dev/shm
IFS=.- read -r major minor _ < <(uname -r)
if [ "$((major * 1000 + minor))" -lt 6006 ]; then
	skip 'random file calls' "the host's kernel is older than 6.6: its answers differ in details"
	tap_end
fi
if [ ! -x "$program" ] || [ ! -w "$memory" ]; then
	skip 'random file calls' 'needs /dev/shm, a tmpfs, to compare with'
	tap_end
fi
users=('')
[ "$(id -u)" != 0 ] || users+=(user) # permission counts for somebody else only

# compare NAME SEED USER MOUNTS DIRECTORY
compare()
{
	local name=$1 seed=$2 user=$3 directory=$4 difference
	shift 4
	# shellcheck disable=SC2086
	timeout 60 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" "$@" -- \
		/guests/random-files "$directory" "$seed" "$steps" $user >"$tap_tmp/inside" 2>&1
	difference=$(diff "$tap_tmp/host" "$tap_tmp/inside" | head -n 6)
	empty "seed $seed${user:+ as another user}, $name" "$difference"
}

for seed in ${PICO_SEEDS:-1 2 3 4 5 6}; do
	for user in "${users[@]}"; do
		there=$(mktemp -d "$memory/pico-random.XXXXXX")
		chmod 755 "$there"
		dir=$(mktemp -d "$memory/pico-random.XXXXXX")
		chmod 755 "$dir"
		# shellcheck disable=SC2086
		"$program" "$there" "$seed" "$steps" $user >"$tap_tmp/host" 2>&1
		rm -rf "$there"
		compare 'in memory' "$seed" "$user" /tmp
		compare 'on a host directory' "$seed" "$user" /work --mount "$dir:/work:rw"
		rm -rf "$dir"
	done
done
tap_end
