# SPDX-License-Identifier: Apache-2.0
#
# The monitor: libpico_la_SOURCES += lib/monitor/NAME.c
