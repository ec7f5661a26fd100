# SPDX-License-Identifier: Apache-2.0
#
# The helper program: pico_helper_SOURCES += lib/helper/NAME.c
pico_helper_SOURCES += lib/helper/start.c lib/helper/main.c lib/helper/probe.c lib/helper/vdso.c \
	lib/helper/isolate.c lib/helper/watchdog.c lib/helper/zygote.c \
	lib/helper/seed.c lib/helper/keeper.c lib/helper/image.c \
	lib/helper/helper.h lib/helper/sys.h
