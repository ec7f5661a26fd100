# SPDX-License-Identifier: Apache-2.0
#
# The helper program: pico_helper_SOURCES += lib/helper/NAME.c
