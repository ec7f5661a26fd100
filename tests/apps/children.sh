#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Programs that live on children: git with a repository of 5,000 commits, Perl's
# ways to start and meet processes, tmux with its panes. On the host and inside, with the same result.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=80

fixture()
{
	: >stdin
	cp "$srcdir"/tests/apps/src/git.sh "$srcdir"/tests/apps/src/children.pl "$srcdir"/tests/apps/src/tmux.sh .
}

compare_reset
for case in 'git own sh git.sh' 'perl own perl children.pl' 'tmux own bash tmux.sh'; do
	read -r program mode command <<<"$case"
	if command -v "$program" >/dev/null; then
		# shellcheck disable=SC2086
		compare "$command" $mode $command
	else
		skip "$command" "$program is not installed"
	fi
done
tap_end
