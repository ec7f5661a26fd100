#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The bare library OS's tests once more, as on a kernel that lacks what the
# monitor has fallbacks for: above all, a request that was received can be
# interrupted there, and is issued a second time.
builddir=${builddir:-.}
exec "$builddir/tests/abi/bare" --old-kernel
