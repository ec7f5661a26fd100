# SPDX-License-Identifier: Apache-2.0
#
# Memory of the Linux library OS, the program loader, and the vDSO image.

libos_linux_SOURCES += \
	libos/linux/mm/advise.c \
	libos/linux/mm/elf.c \
	libos/linux/mm/elf.h \
	libos/linux/mm/exec.c \
	libos/linux/mm/fault.c \
	libos/linux/mm/kmalloc.c \
	libos/linux/mm/mmap.c \
	libos/linux/mm/mremap.c \
	libos/linux/mm/page.c \
	libos/linux/mm/page.h \
	libos/linux/mm/shm.c \
	libos/linux/mm/snprintf.c \
	libos/linux/mm/space.c \
	libos/linux/mm/stack.c \
	libos/linux/mm/string.c \
	libos/linux/mm/usercopy.S \
	libos/linux/mm/uaccess.c \
	libos/linux/mm/usage.c \
	libos/linux/mm/vdso.c \
	libos/linux/mm/vdso/data.h \
	libos/linux/mm/vdso/image.S \
	libos/linux/mm/vma.c \
	libos/linux/mm/vma.h \
	libos/linux/sys/exec.c \
	libos/linux/sys/mm.c \
	libos/linux/sys/process_vm.c

# The vDSO is a shared object of its own, built first and carried as bytes.
# The program may be interrupted and unwound in it: it keeps unwind tables.
vdso_so = libos/linux/mm/vdso/vdso.so
vdso_cflags = -std=gnu11 $(WARN_CFLAGS) -O2 -fPIC -ffreestanding -fno-stack-protector \
	-fcf-protection=none -fasynchronous-unwind-tables -fvisibility=hidden -mgeneral-regs-only -fno-common
vdso_ldflags = -shared -nostdlib -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both \
	-Wl,--build-id=sha1 -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-Bsymbolic -Wl,--eh-frame-hdr -Wl,-s

$(vdso_so): libos/linux/mm/vdso/vdso.c libos/linux/mm/vdso/data.h libos/linux/mm/vdso/vdso.ld
	@$(MKDIR_P) libos/linux/mm/vdso
	$(AM_V_GEN)$(CC) $(vdso_cflags) -o $@ $(srcdir)/libos/linux/mm/vdso/vdso.c \
		-Wl,-T,$(srcdir)/libos/linux/mm/vdso/vdso.ld $(vdso_ldflags)

libos/linux/mm/vdso/linux-image.$(OBJEXT): $(vdso_so)
CLEANFILES += $(vdso_so)
EXTRA_DIST += libos/linux/mm/vdso/vdso.c libos/linux/mm/vdso/vdso.ld
