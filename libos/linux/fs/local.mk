# SPDX-License-Identifier: Apache-2.0
#
# Files and directories, and the system calls over them.
libos_linux_SOURCES += \
	libos/linux/fs/boot.c \
	libos/linux/fs/dentry.c \
	libos/linux/fs/fdtable.c \
	libos/linux/fs/file.c \
	libos/linux/fs/handle.c \
	libos/linux/fs/hostfs.c \
	libos/linux/fs/hostfs.h \
	libos/linux/fs/hostfs_file.c \
	libos/linux/fs/inode.c \
	libos/linux/fs/internal.h \
	libos/linux/fs/lease.c \
	libos/linux/fs/lock.c \
	libos/linux/fs/loop.c \
	libos/linux/fs/loop.h \
	libos/linux/fs/loop_names.c \
	libos/linux/fs/mount.c \
	libos/linux/fs/namei.c \
	libos/linux/fs/names.c \
	libos/linux/fs/open.c \
	libos/linux/fs/seek.c \
	libos/linux/fs/tmpfs.c \
	libos/linux/fs/tmpfs_data.c \
	libos/linux/fs/types.c \
	libos/linux/fs/xattr.c \
	libos/linux/sys/aio.c \
	libos/linux/sys/attr.c \
	libos/linux/sys/copy.c \
	libos/linux/sys/dir.c \
	libos/linux/sys/file.c \
	libos/linux/sys/fsmount.c \
	libos/linux/sys/link.c \
	libos/linux/sys/mount.c \
	libos/linux/sys/open.c \
	libos/linux/sys/rw.c \
	libos/linux/sys/stat.c \
	libos/linux/sys/xattr.c \
	libos/linux/lx/fs.h
