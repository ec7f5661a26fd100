# SPDX-License-Identifier: Apache-2.0
#
# The gate, linked into the helper: pico_helper_SOURCES += lib/gate/NAME.c
