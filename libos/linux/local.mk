# SPDX-License-Identifier: Apache-2.0
#
# The Linux library OS: libos_linux_SOURCES += libos/linux/NAME.c

include libos/linux/mm/local.mk

# ipc: pipes, events, unix sockets, and the memory-generated file systems
libos_linux_SOURCES += \
	libos/linux/ipc/core.c \
	libos/linux/ipc/epoll.c \
	libos/linux/ipc/eventfd.c \
	libos/linux/ipc/events.h \
	libos/linux/ipc/ipc.h \
	libos/linux/ipc/memfd.c \
	libos/linux/ipc/pipe.c \
	libos/linux/ipc/signalfd.c \
	libos/linux/ipc/socket.h \
	libos/linux/ipc/timerfd.c \
	libos/linux/ipc/unix.c \
	libos/linux/ipc/unix_file.c \
	libos/linux/ipc/unix_io.c \
	libos/linux/ipc/unix_scm.c \
	libos/linux/fs/inotify.c \
	libos/linux/sys/poll.c \
	libos/linux/sys/socket.c \
	libos/linux/sys/socket.h \
	libos/linux/sys/sockmsg.c
