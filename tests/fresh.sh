#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Does what the README tells a newcomer to do, from a clean clone in a temporary
# folder: ./bootstrap, ./bootstrap demo. Not part of `make check`: it builds
# everything anew and may install packages. With --check also ./bootstrap check.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/pico-fresh.XXXXXX")
trap 'rm -rf "$folder"' EXIT
started=$(date +%s)

git clone -q "$top" "$folder/pico"
cd "$folder/pico"
grep -q '^    \./bootstrap$' README.md
grep -q '^    \./bootstrap demo$' README.md
./bootstrap
./bootstrap demo
if [ "${1-}" = --check ]; then
	./bootstrap check
fi
if [ -n "$(git status --porcelain)" ]; then
	echo 'fresh: the build left files that git does not know:' >&2
	git status --porcelain >&2
	exit 1
fi
echo "fresh: done in $(($(date +%s) - started)) s"
