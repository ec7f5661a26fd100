/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls of sockets, but for messages (sockmsg.c). They check what
 * is the same for every family and hand on to its struct socket_ops. Unix
 * sockets exist, and those of netlink to listen on: no network is granted in this
 * version, so every other family is EAFNOSUPPORT, as on a kernel built without it.
 */
#include "linux/ipc/socket.h"
#include "socket.h"

int socket_get(int fd, struct file **f, const struct socket_ops **ops)
{
	*f = fd_get(fd);
	if (!*f)
		return -EBADF;
	*ops = socket_ops_of(*f);
	if (*ops)
		return 0;
	file_put(*f);
	return -ENOTSOCK;
}

int address_from_user(struct sockaddr *a, uaddr from, s32 size)
{
	memset(a, 0, sizeof(*a));
	if (size < 0 || (size_t)size > sizeof(*a))
		return -EINVAL;
	return size ? copy_from_user(a, from, (size_t)size) : 0;
}

/* What fits of the address, and its full size where the room's size was. */
int address_to_user(const struct sockaddr *a, u32 size, uaddr to, uaddr size_at)
{
	s32 room;

	if (get_user(room, size_at))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (room && copy_to_user(to, a, MIN((u32)room, size)))
		return -EFAULT;
	return put_user(size, size_at);
}

static int check_kind(u32 family, u32 type, u32 protocol)
{
	if (family >= AF_MAX)
		return -EAFNOSUPPORT;
	if ((type & SOCK_TYPE_MASK) > 10)
		return -EINVAL;
	if (family == AF_NETLINK)
		return 0;
	if (family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	type &= SOCK_TYPE_MASK;
	return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_RAW || type == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
}

SYSCALL(socket)
{
	u32 type = (u32)a[1], flags = type & ~SOCK_TYPE_MASK;
	struct file *f;
	int err;

	if (flags & ~(u32)(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	err = check_kind((u32)a[0], type, (u32)a[2]);
	if (!err)
		err = (u32)a[0] == AF_NETLINK ? netlink_create(type & SOCK_TYPE_MASK, (u32)a[2], flags, &f) :
			unix_create(type & SOCK_TYPE_MASK, flags, &f);
	return err ? err : fd_install(f, flags & SOCK_CLOEXEC, 0);
}

SYSCALL(socketpair)
{
	u32 type = (u32)a[1], flags = type & ~SOCK_TYPE_MASK;
	struct file *f[2];
	int fd[2], err;

	if (flags & ~(u32)(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	err = check_kind((u32)a[0], type, (u32)a[2]);
	if (!err && (u32)a[0] == AF_NETLINK)
		err = -EOPNOTSUPP;
	if (!err)
		err = unix_pair(type & SOCK_TYPE_MASK, flags, f);
	if (err)
		return err;
	fd[0] = fd_install(f[0], flags & SOCK_CLOEXEC, 0);
	if (fd[0] < 0) {
		file_put(f[1]);
		return fd[0];
	}
	fd[1] = fd_install(f[1], flags & SOCK_CLOEXEC, 0);
	if (fd[1] >= 0 && !copy_to_user(a[3], fd, sizeof(fd)))
		return 0;
	fd_close(fd[0]);
	if (fd[1] < 0)
		return fd[1];
	fd_close(fd[1]);
	return -EFAULT;
}

typedef int (*address_fn)(struct file *f, const struct sockaddr *a, u32 size);

static s64 with_address(int fd, uaddr from, s32 size, bool connecting)
{
	const struct socket_ops *ops;
	struct sockaddr name;
	struct file *f;
	int err = socket_get(fd, &f, &ops);

	if (err)
		return err;
	err = address_from_user(&name, from, size);
	if (!err)
		err = (connecting ? ops->connect : ops->bind)(f, &name, (u32)size);
	file_put(f);
	return err;
}

SYSCALL(bind) { return with_address((int)a[0], a[1], (s32)a[2], false); }
SYSCALL(connect) { return with_address((int)a[0], a[1], (s32)a[2], true); }

SYSCALL(listen)
{
	const struct socket_ops *ops;
	struct file *f;
	int err = socket_get((int)a[0], &f, &ops);

	if (err)
		return err;
	err = ops->listen(f, (int)a[1]);
	file_put(f);
	return err;
}

static s64 do_accept(int fd, uaddr name_at, uaddr size_at, u32 flags)
{
	const struct socket_ops *ops;
	struct file *f, *out;
	s64 ret;

	if (flags & ~(u32)(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	ret = socket_get(fd, &f, &ops);
	if (ret)
		return ret;
	out = ops->accept(f, flags);
	file_put(f);
	if (IS_ERR(out))
		return PTR_ERR(out);
	if (name_at) {
		struct sockaddr name;
		int size = ops->name(out, &name, true);

		ret = size < 0 ? -ECONNABORTED : address_to_user(&name, (u32)size, name_at, size_at);
		if (ret) {
			file_put(out);
			return ret;
		}
	}
	return fd_install(out, flags & SOCK_CLOEXEC, 0);
}

SYSCALL(accept) { return do_accept((int)a[0], a[1], a[2], 0); }
SYSCALL(accept4) { return do_accept((int)a[0], a[1], a[2], (u32)a[3]); }

static s64 get_name(const u64 *a, bool peer)
{
	const struct socket_ops *ops;
	struct sockaddr name;
	struct file *f;
	int err = socket_get((int)a[0], &f, &ops);

	if (err)
		return err;
	err = ops->name(f, &name, peer);
	file_put(f);
	return err < 0 ? err : address_to_user(&name, (u32)err, a[1], a[2]);
}

SYSCALL(getsockname) { return get_name(a, false); }
SYSCALL(getpeername) { return get_name(a, true); }

SYSCALL(shutdown)
{
	const struct socket_ops *ops;
	struct file *f;
	int err = socket_get((int)a[0], &f, &ops);

	if (err)
		return err;
	err = (u32)a[1] > 2 ? -EINVAL : ops->shutdown(f, (u32)a[1] + 1);
	file_put(f);
	return err;
}

SYSCALL(setsockopt)
{
	const struct socket_ops *ops;
	struct file *f;
	int err;

	if ((s32)a[4] < 0)
		return -EINVAL;
	err = socket_get((int)a[0], &f, &ops);
	if (err)
		return err;
	err = ops->set_option(f, (int)a[1], (int)a[2], a[3], (u32)a[4]);
	file_put(f);
	return err;
}

SYSCALL(getsockopt)
{
	const struct socket_ops *ops;
	u8 value[1024];
	struct file *f;
	u32 size = 0;
	s32 room;
	int err = socket_get((int)a[0], &f, &ops);

	if (err)
		return err;
	if (get_user(room, a[4]))
		err = -EFAULT;
	else if (room < 0)
		err = -EINVAL;
	else
		err = ops->get_option(f, (int)a[1], (int)a[2], value, &size);
	file_put(f);
	if (err)
		return err;
	size = MIN(size, (u32)room);
	if (copy_to_user(a[3], value, size))
		return -EFAULT;
	return put_user(size, a[4]);
}
