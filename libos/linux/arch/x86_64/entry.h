/* SPDX-License-Identifier: Apache-2.0
 *
 * What entry.S and the C code of the kernel's edge call of each other.
 */
#ifndef LX_ENTRY_H
#define LX_ENTRY_H

#include "../../lx/base.h"

#define LIBOS_RELEASE "0.1"

/* entry.S */
void libos_initialize(const struct pico_init_info *info);
void libos_thread_start(void *param);
void libos_fast_syscall(void); /* not to be called: patched call sites jump to it */
void libos_exception(struct pico_exception *e, struct pico_context *c);

/* called by entry.S */
void exception_dispatch(struct pico_exception *e, struct pico_context *c) __attribute__((noreturn));
void fast_syscall(struct pico_context *c) __attribute__((noreturn));
void boot_main(const struct pico_init_info *info) __attribute__((noreturn));
void thread_main(void *param) __attribute__((noreturn));
void user_exit_work(void);

#endif
