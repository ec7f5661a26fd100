# SPDX-License-Identifier: Apache-2.0
#
# Real programs, run inside.
tap_tests += tests/apps/busybox.sh tests/apps/coreutils.sh tests/apps/tools.sh tests/apps/badinput.sh
tap_tests += tests/apps/python.sh tests/apps/procps.sh tests/apps/python-children.sh tests/apps/python-processes.sh
slow_tests += tests/apps/python.sh tests/apps/python-children.sh tests/apps/python-processes.sh
EXTRA_DIST += tests/apps/compare.sh
EXTRA_DIST += tests/apps/python-suite.py tests/apps/python-modules.txt
tap_tests += tests/apps/musl.sh tests/apps/node.sh tests/apps/go.sh tests/apps/rust.sh tests/apps/java.sh \
	tests/apps/ffmpeg.sh tests/apps/big.sh tests/apps/postgres.sh tests/apps/debian.sh
slow_tests += tests/apps/go.sh tests/apps/big.sh tests/apps/postgres.sh tests/apps/debian.sh tests/apps/java.sh tests/apps/procps.sh
EXTRA_DIST += $(addprefix tests/apps/src/,node.js go.go rust.rs musl.c plugin.c Work.java postgres.sh)
tap_tests += tests/apps/shell.sh tests/apps/children.sh tests/apps/build.sh
slow_tests += tests/apps/shell.sh tests/apps/children.sh tests/apps/build.sh
EXTRA_DIST += $(addprefix tests/apps/src/shell/,signals.sh pipes.sh jobs.sh bash.sh) $(addprefix tests/apps/src/,git.sh children.pl tmux.sh)
