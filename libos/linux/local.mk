# SPDX-License-Identifier: Apache-2.0
#
# The Linux library OS: libos_linux_SOURCES += libos/linux/NAME.c
