# SPDX-License-Identifier: Apache-2.0
#
# Real programs, run inside.
tap_tests += tests/apps/busybox.sh tests/apps/coreutils.sh tests/apps/tools.sh
EXTRA_DIST += tests/apps/compare.sh
