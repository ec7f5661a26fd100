#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian's source packages built inside: the configure script of hello, zlib with
# make -j4, every file as the host makes it. The sources come from the mirror and
# are kept in the build folder.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=150
sources=$(cd "$builddir" && pwd)/tests/sources

# source_of PACKAGE: its unpacked tree appears as $sources/PACKAGE; false: it cannot be had.
source_of()
{
	local state=$sources/apt apt
	[ ! -d "$sources/$1" ] || return 0
	command -v dpkg-source >/dev/null || return 1
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial" || return 1
	echo "deb-src http://deb.debian.org/debian $(. /etc/os-release && echo "$VERSION_CODENAME") main" >"$state/list"
	apt=(timeout 60 apt-get -q -o "Dir::Etc::sourcelist=$state/list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$state/lists"
		-o "Dir::Cache=$state/cache" -o Acquire::http::Timeout=10 -o Acquire::Retries=0 -o APT::Sandbox::User=root)
	[ -e "$state/fresh" ] || { "${apt[@]}" update && : >"$state/fresh"; } || return 1
	(cd "$state" && "${apt[@]}" source --download-only "$1" && dpkg-source --no-check -x "$1"_*.dsc "$sources/$1.part" &&
		mv "$sources/$1.part" "$sources/$1")
}

fixture()
{
	: >stdin
	for package in hello zlib; do
		source_of "$package" >&2 && cp -a "$sources/$package" .
	done
	cat >configure.sh <<-'END'
	cd hello && ./configure && rm config.log
	END
	cat >make.sh <<-'END'
	cd zlib && ./configure && make -j4 all >out && sort out && make test && rm out configure.log
	END
}

compare_reset
for case in 'hello configure.sh' 'zlib make.sh'; do
	if ! command -v gcc >/dev/null || ! command -v make >/dev/null; then
		skip "$case" 'gcc or make is not installed'
	elif [ ! -d "$work/${case% *}" ]; then
		skip "$case" "the source of ${case% *} cannot be had here"
	else
		compare "$case" rw sh "${case#* }"
	fi
done
tap_end
