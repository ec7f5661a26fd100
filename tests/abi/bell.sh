#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The bare library OS's tests once more, below a seccomp listener of somebody
# else's: the kernel allows one, so requests go by the bell and descriptors by
# the keeper.
builddir=${builddir:-.}
exec "$builddir/tests/abi/listener" "$builddir/tests/abi/bare"
