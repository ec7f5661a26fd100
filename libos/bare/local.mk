# SPDX-License-Identifier: Apache-2.0
#
# The ABI tests' library OS: libos_bare_SOURCES += libos/bare/NAME.c
