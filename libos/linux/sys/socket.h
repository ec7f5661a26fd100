/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two files of socket system calls share.
 */
#ifndef LX_SYS_SOCKET_H
#define LX_SYS_SOCKET_H

#include "linux/ipc/socket.h"

int socket_get(int fd, struct file **f, const struct socket_ops **ops); /* -EBADF, -ENOTSOCK; a reference */
int address_from_user(struct sockaddr *a, uaddr from, s32 size);
int address_to_user(const struct sockaddr *a, u32 size, uaddr to, uaddr size_at);

#endif
