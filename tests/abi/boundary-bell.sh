#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The boundary once more, below a seccomp listener of somebody else's: another
# filter, with a bell in place of notifications.
builddir=${builddir:-.}
exec "$builddir/tests/abi/listener" "$builddir/tests/abi/boundary"
