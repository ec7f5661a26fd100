# SPDX-License-Identifier: Apache-2.0
#
# The Linux library OS: libos_linux_SOURCES += libos/linux/NAME.c

# core: entry, processes, signals, waits, timers, the start
libos_linux_SOURCES += \
	libos/linux/arch/x86_64/entry.S \
	libos/linux/arch/x86_64/entry.h \
	libos/linux/arch/x86_64/exception.c \
	libos/linux/arch/x86_64/header.c \
	libos/linux/arch/x86_64/patch.c \
	libos/linux/arch/x86_64/patch.h \
	libos/linux/arch/x86_64/signal.c \
	libos/linux/arch/x86_64/state.c \
	libos/linux/kern/interrupt.c \
	libos/linux/kern/ktimer.c \
	libos/linux/kern/lock.c \
	libos/linux/kern/main.c \
	libos/linux/kern/park.c \
	libos/linux/kern/printk.c \
	libos/linux/kern/resume.c \
	libos/linux/kern/snapshot.c \
	libos/linux/kern/wait.c \
	libos/linux/proc/access.c \
	libos/linux/proc/account.c \
	libos/linux/proc/core.c \
	libos/linux/proc/deliver.c \
	libos/linux/proc/exit.c \
	libos/linux/proc/fork.c \
	libos/linux/proc/lend.c \
	libos/linux/proc/remote.c \
	libos/linux/proc/sets.h \
	libos/linux/proc/signal.c \
	libos/linux/proc/task.c \
	libos/linux/sys/clone.c \
	libos/linux/sys/futex.c \
	libos/linux/sys/futex.h \
	libos/linux/sys/futex_pi.c \
	libos/linux/sys/futex_robust.c \
	libos/linux/sys/ids.c \
	libos/linux/sys/itimer.c \
	libos/linux/sys/pidfd.c \
	libos/linux/sys/prctl.c \
	libos/linux/sys/process.c \
	libos/linux/sys/rlimit.c \
	libos/linux/sys/sched.c \
	libos/linux/sys/seccomp.c \
	libos/linux/sys/signal.c \
	libos/linux/sys/system.c \
	libos/linux/sys/table.c \
	libos/linux/sys/table.def \
	libos/linux/sys/time.c \
	libos/linux/sys/timer.c \
	libos/linux/sys/waitpid.c \
	libos/linux/lx/arch.h \
	libos/linux/lx/base.h \
	libos/linux/lx/lock.h \
	libos/linux/lx/offsets.h \
	libos/linux/lx/proc.h \
	libos/linux/lx/signal.h \
	libos/linux/lx/syscall.h \
	libos/linux/lx/task.h \
	libos/linux/lx/time.h \
	libos/linux/lx/wait.h

include libos/linux/mm/local.mk

# ipc: pipes, events, unix sockets, and the memory-generated file systems
libos_linux_SOURCES += \
	libos/linux/ipc/async.c \
	libos/linux/ipc/core.c \
	libos/linux/ipc/epoll.c \
	libos/linux/ipc/eventfd.c \
	libos/linux/ipc/events.h \
	libos/linux/ipc/ipc.h \
	libos/linux/ipc/memfd.c \
	libos/linux/ipc/pipe.c \
	libos/linux/ipc/mqueue.c \
	libos/linux/ipc/mqueue.h \
	libos/linux/ipc/mqueue_io.c \
	libos/linux/ipc/netlink.c \
	libos/linux/ipc/signalfd.c \
	libos/linux/ipc/socket.h \
	libos/linux/ipc/sysv.c \
	libos/linux/ipc/sysv.h \
	libos/linux/ipc/sysv_msg.c \
	libos/linux/ipc/sysv_sem.c \
	libos/linux/ipc/sysv_shm.c \
	libos/linux/ipc/timerfd.c \
	libos/linux/ipc/unix.c \
	libos/linux/ipc/unix_file.c \
	libos/linux/ipc/unix_io.c \
	libos/linux/ipc/unix_scm.c \
	libos/linux/fs/console.c \
	libos/linux/fs/dev.c \
	libos/linux/fs/dnotify.c \
	libos/linux/fs/inotify.c \
	libos/linux/fs/ldisc.c \
	libos/linux/fs/proc.c \
	libos/linux/fs/proc.h \
	libos/linux/fs/proc_cpu.c \
	libos/linux/fs/proc_ipc.c \
	libos/linux/fs/proc_link.c \
	libos/linux/fs/proc_machine.c \
	libos/linux/fs/proc_mm.c \
	libos/linux/fs/proc_net.c \
	libos/linux/fs/proc_stat.c \
	libos/linux/fs/proc_sys.c \
	libos/linux/fs/proc_task.c \
	libos/linux/fs/pseudo.c \
	libos/linux/fs/pseudo.h \
	libos/linux/fs/pty.c \
	libos/linux/fs/pty.h \
	libos/linux/fs/pty_ioctl.c \
	libos/linux/fs/sysfs.c \
	libos/linux/fs/tty.c \
	libos/linux/fs/tty.h \
	libos/linux/sys/poll.c \
	libos/linux/sys/socket.c \
	libos/linux/sys/socket.h \
	libos/linux/sys/sockmsg.c

include libos/linux/fs/local.mk
