/* SPDX-License-Identifier: Apache-2.0
 *
 * Readiness bits and records of epoll as programs know them. The kernel's own
 * header draws in linux/fcntl.h, which collides with what fs/ names for itself.
 */
#ifndef LX_IPC_EVENTS_H
#define LX_IPC_EVENTS_H

#include "linux/lx/base.h"

#define EPOLLIN 0x1u
#define EPOLLPRI 0x2u
#define EPOLLOUT 0x4u
#define EPOLLERR 0x8u
#define EPOLLHUP 0x10u
#define EPOLLNVAL 0x20u
#define EPOLLRDNORM 0x40u
#define EPOLLRDBAND 0x80u
#define EPOLLWRNORM 0x100u
#define EPOLLWRBAND 0x200u
#define EPOLLMSG 0x400u
#define EPOLLRDHUP 0x2000u
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP (1u << 29)
#define EPOLLONESHOT (1u << 30)
#define EPOLLET (1u << 31)
#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_DEL 2
#define EPOLL_CTL_MOD 3
struct epoll_event { u32 events; u64 data; } __attribute__((packed));

#endif
