/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of signals by what they do when nobody handles them.
 */
#ifndef LINUX_PROC_SETS_H
#define LINUX_PROC_SETS_H

#include "../lx/signal.h"
#include <linux/signal.h>

#define SET(n) SIGMASK(n)
#define STOP_SET (SET(SIGSTOP) | SET(SIGTSTP) | SET(SIGTTIN) | SET(SIGTTOU))
#define IGNORE_SET (SET(SIGCONT) | SET(SIGCHLD) | SET(SIGWINCH) | SET(SIGURG))
#define CORE_SET (SET(SIGQUIT) | SET(SIGILL) | SET(SIGTRAP) | SET(SIGABRT) | SET(SIGFPE) | SET(SIGSEGV) | SET(SIGBUS) | \
	SET(SIGSYS) | SET(SIGXCPU) | SET(SIGXFSZ))
#define SYNCHRONOUS_SET (SET(SIGSEGV) | SET(SIGBUS) | SET(SIGILL) | SET(SIGTRAP) | SET(SIGFPE) | SET(SIGSYS))
#define UNBLOCKABLE (SET(SIGKILL) | SET(SIGSTOP))
#define HANDLER_DFL 0ull
#define HANDLER_IGN 1ull

#endif
