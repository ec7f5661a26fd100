# SPDX-License-Identifier: Apache-2.0
#
# The ABI tests' library OS: libos_bare_SOURCES += libos/bare/NAME.c
libos_bare_SOURCES += libos/bare/bare.h libos/bare/entry.S libos/bare/main.c libos/bare/test_basic.c
