#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Go: a static program that makes its own system calls, threads and signals.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

if ! command -v go >/dev/null; then
	skip 'go' 'golang-go is not installed'
	tap_end
fi
# What was compiled of Go's own library is kept for the next run of the tests.
mkdir -p "$builddir/tests/go-cache"
GOCACHE=$(cd "$builddir/tests/go-cache" && pwd)
export GOCACHE GO111MODULE=off GOFLAGS= GOPATH=$tap_tmp/gopath
if ! CGO_ENABLED=0 go build -o "$tap_tmp/program" "$srcdir/tests/apps/src/go.go"; then
	tap_fail 'the program compiles'
	tap_end
fi

fixture()
{
	cp "$tap_tmp/program" program
	mkdir dir
	: >stdin
}

compare_reset
for i in 1 2 3; do
	compare "what a program uses, $i" own ./program "$work/dir"
done
compare_env+=(GOGC=5)
compare 'a collector that hardly rests' own ./program "$work/dir"
tap_end
