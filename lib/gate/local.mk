# SPDX-License-Identifier: Apache-2.0
#
# The gate, linked into the helper; filter_table.c is the helper's own.
pico_helper_SOURCES += lib/gate/abi_page.c lib/gate/entry.S lib/gate/exception.c \
	lib/gate/filter_table.c lib/gate/filter_program.h lib/gate/memory.c lib/gate/object.c \
	lib/gate/process.c lib/gate/request.c lib/gate/thread.c lib/gate/time.c \
	lib/gate/gate.h lib/gate/gate-asm.h lib/abi/hostcalls.def
