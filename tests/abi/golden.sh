#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Library OSes that were built long ago still run: every image in golden/ does
# the tests it had when it was put there. See golden/README.md.
folder=$(cd "${srcdir:-.}/tests/abi/golden" && pwd) || exit 1
set --
for image in "$folder"/libos-bare-v*; do
	case $image in
	*.tests) ;;
	*) set -- "$@" "$image" ;;
	esac
done
exec "${builddir:-.}/tests/abi/bare" "$@"
