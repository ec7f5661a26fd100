# SPDX-License-Identifier: Apache-2.0
#
# The ABI tests' library OS: libos_bare_SOURCES += libos/bare/NAME.c
libos_bare_SOURCES += libos/bare/bare.h libos/bare/entry.S libos/bare/main.c libos/bare/test_basic.c \
	libos/bare/test_memory.c libos/bare/test_objects.c libos/bare/test_exceptions.c libos/bare/test_hostile.c libos/bare/test_streams.c \
	libos/bare/test_host.c libos/bare/test_once.c libos/bare/test_park.c
