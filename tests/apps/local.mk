# SPDX-License-Identifier: Apache-2.0
#
# Real programs, run inside.
tap_tests += tests/apps/busybox.sh tests/apps/coreutils.sh tests/apps/tools.sh
tap_tests += tests/apps/python.sh
slow_tests += tests/apps/python.sh
EXTRA_DIST += tests/apps/compare.sh
EXTRA_DIST += tests/apps/python-suite.py tests/apps/python-modules.txt
