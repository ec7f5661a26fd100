# SPDX-License-Identifier: Apache-2.0
#
# The public calls: libpico_la_SOURCES += lib/api/NAME.c
