# SPDX-License-Identifier: Apache-2.0
#
# The command-line tool.
pico_SOURCES += tools/pico.c tools/run.c tools/options.c tools/control.c tools/snapshot.c tools/util.c tools/tool.h
tap_tests += tools/check.sh tools/check_snapshot.sh tools/check_tty.py
