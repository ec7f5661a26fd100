#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# PostgreSQL, as an ordinary user, on the host and inside: the single-user server; a server
# with many backends, parallel workers and clients on a unix socket; what is
# left when some of them are killed; a benchmark whose books must balance.
. "${srcdir:-.}/tests/tap.sh" || exit 1
. "$srcdir/tests/apps/compare.sh" || exit 1

fixture()
{
	cp "$srcdir/tests/apps/src/postgres.sh" .
	: >stdin
}

compare_limit=60
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ ! -x "$bin/postgres" ]; then
	skip 'PostgreSQL' 'postgresql is not installed'
	tap_end
fi
if [ "$(id -u)" = 0 ] && ! compare_as_user; then
	skip 'PostgreSQL' 'it does not run as root, and nothing here is in reach for others'
	tap_end
fi

compare_reset
for step in single posix sysv killed bench; do
	compare "$step" own sh ./postgres.sh "$bin" "$step"
done
tap_end
