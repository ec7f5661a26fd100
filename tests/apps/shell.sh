#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shells: dash and bash run scripts about signals, pipelines, jobs and what bash
# alone can do. On the host and inside, with the same result.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=30

fixture()
{
	: >stdin
	cp "$srcdir"/tests/apps/src/shell/*.sh .
}

# bash says which process ended how.
normal()
{
	sed -E 's/(: line [0-9]+: ) *[0-9]+ /\1PID /'
}

compare_table <<-END
	rw dash signals.sh
	rw dash pipes.sh
	rw bash signals.sh
	rw bash pipes.sh
	rw bash jobs.sh
	rw bash bash.sh
	rw bash --posix pipes.sh
END
if compare_as_user; then
	compare_table <<-END
		rw dash signals.sh
		rw bash jobs.sh
	END
fi
tap_end
