#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Random calls inside and on the host, compared line by line. Only on a kernel
# whose answers are the ones looked for: older ones differ in details.
set -u
builddir=$(cd "${builddir:-.}" && pwd)
seeds=${COMPARE_SEEDS:-12}
steps=${COMPARE_STEPS:-2000}
IFS=.- read -r major minor _ < <(uname -r)
if [ "$((major * 1000 + minor))" -lt 6018 ]; then
	echo "1..0 # SKIP the host's kernel is older than 6.18"
	exit 0
fi
scratch=$(mktemp -d -p /dev/shm) || exit 1
trap 'rm -rf "$scratch"' EXIT
number=0
echo "1..$((2 * seeds))"
for name in random-ipc random-names; do
	for seed in $(seq "$seeds"); do
		number=$((number + 1))
		mkdir "$scratch/$number"
		(cd "$scratch/$number" && timeout 60 "$builddir/tests/guests/$name" "$seed" "$steps") >"$scratch/host" 2>&1
		timeout 60 "$builddir/pico" run --mount "$builddir/tests/guests:/guests" --cwd /tmp \
			-- "/guests/$name" "$seed" "$steps" >"$scratch/inside" 2>&1
		if [ -s "$scratch/host" ] && difference=$(diff "$scratch/host" "$scratch/inside"); then
			echo "ok $number - $name $seed"
		else
			echo "not ok $number - $name $seed"
			head -n 6 <<<"$difference" | sed 's/^/# /'
		fi
	done
done
