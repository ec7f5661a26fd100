/* SPDX-License-Identifier: Apache-2.0
 *
 * sendto, sendmsg, sendmmsg and their counterparts: message headers, control
 * data, descriptors. The data itself moves in the family's send and receive.
 */
#include "socket.h"

struct msghdr { u64 name; s32 name_size; u32 pad0; u64 iov, iov_count, control, control_size; u32 flags, pad1; };
struct mmsghdr { struct msghdr h; u32 size, pad; };
struct cmsghdr { u64 size; s32 level, type; };
#define CMSG_SPACE(n) (ALIGN_UP((u64)(n), 8ul) + sizeof(struct cmsghdr))
#define CMSG_LEN(n) ((u64)(n) + sizeof(struct cmsghdr))
#define CONTROL_MAX 20480u

/* ---- control data of a program ---- */

static int take_descriptors(struct scm *scm, uaddr at, u64 bytes)
{
	u64 n = bytes / sizeof(int);

	if (scm->file_count + n > SCM_MAX_FD)
		return -EINVAL;
	if (!n)
		return 0;
	if (!scm->files) {
		scm->files = kmalloc(SCM_MAX_FD * sizeof(*scm->files));
		if (!scm->files)
			return -ENOMEM;
	}
	for (u64 i = 0; i < n; i++) {
		struct file *f;
		int fd;

		if (get_user(fd, at + i * sizeof(fd)))
			return -EFAULT;
		f = fd < 0 ? NULL : fd_get_any(fd);
		if (!f)
			return -EBADF;
		scm->files[scm->file_count++] = f;
	}
	return 0;
}

static bool one_of(u32 x, u32 p, u32 q, u32 r) { return x == p || x == q || x == r; }

static int take_creds(struct scm *scm, uaddr at)
{
	const struct creds *c = &current->process->creds;
	struct ucred u;

	if (get_user(u, at))
		return -EFAULT;
	if (((u32)u.pid != current->process->pid && !capable(21 /* CAP_SYS_ADMIN */)) ||
	    (!one_of(u.uid, c->uid, c->euid, c->suid) && !capable(7 /* CAP_SETUID */)) ||
	    (!one_of(u.gid, c->gid, c->egid, c->sgid) && !capable(6 /* CAP_SETGID */)))
		return -EPERM;
	scm->has_creds = true;
	scm->creds = u;
	return 0;
}

static int take_control(struct scm *scm, uaddr at, u64 size)
{
	u64 pos = 0;

	if (size > CONTROL_MAX)
		return -ENOBUFS;
	while (pos + sizeof(struct cmsghdr) <= size) {
		uaddr data = at + pos + sizeof(struct cmsghdr);
		struct cmsghdr h;
		int err = 0;

		if (get_user(h, at + pos))
			return -EFAULT;
		if (h.size < sizeof(h) || h.size > size - pos)
			return -EINVAL;
		if (h.level == SOL_SOCKET) {
			if (h.type == SCM_RIGHTS)
				err = take_descriptors(scm, data, h.size - sizeof(h));
			else if (h.type == SCM_CREDENTIALS && h.size == CMSG_LEN(sizeof(struct ucred)))
				err = take_creds(scm, data);
			else
				err = -EINVAL;
		}
		if (err)
			return err;
		pos += ALIGN_UP(h.size, 8ul);
	}
	return 0;
}

/* ---- control data for a program ---- */

struct control { uaddr at; u64 room, used; };

static void put_control(struct control *c, int level, int type, const void *data, u64 size, u32 *out_flags)
{
	struct cmsghdr h = { CMSG_LEN(size), level, type };
	u64 left = c->room - c->used;

	if (left < sizeof(h)) {
		*out_flags |= MSG_CTRUNC;
		return;
	}
	if (left < h.size) {
		*out_flags |= MSG_CTRUNC;
		h.size = left;
	}
	if (put_user(h, c->at + c->used) || copy_to_user(c->at + c->used + sizeof(h), data, h.size - sizeof(h)))
		return;
	c->used += MIN(CMSG_SPACE(size), left);
}

static void give_descriptors(struct control *c, struct message *m)
{
	u64 left = c->room - c->used;
	u32 room = left > sizeof(struct cmsghdr) ? (u32)((left - sizeof(struct cmsghdr)) / sizeof(int)) : 0, n = 0;
	uaddr data = c->at + c->used + sizeof(struct cmsghdr);

	while (n < room && n < m->scm.file_count) {
		int fd = fd_install(file_get(m->scm.files[n]), m->flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0, 0);

		if (fd < 0)
			break;
		if (put_user(fd, data + n * sizeof(fd))) {
			fd_close(fd);
			break;
		}
		n++;
	}
	if (n) {
		struct cmsghdr h = { CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };

		if (!put_user(h, c->at + c->used))
			c->used += MIN(CMSG_SPACE(n * sizeof(int)), left);
	}
	if (n < m->scm.file_count)
		m->out_flags |= MSG_CTRUNC;
}

static void give_control(struct control *c, struct message *m)
{
	if (m->want_creds)
		put_control(c, SOL_SOCKET, SCM_CREDENTIALS, &m->scm.creds, sizeof(m->scm.creds), &m->out_flags);
	if (m->scm.file_count)
		give_descriptors(c, m);
	scm_drop(&m->scm);
}

/* ---- one message ---- */

static int take_header(struct msghdr *h, uaddr at)
{
	if (copy_from_user(h, at, sizeof(*h)))
		return -EFAULT;
	if (h->name_size < 0)
		return -EINVAL;
	if (!h->name)
		h->name_size = 0;
	if ((size_t)h->name_size > sizeof(struct sockaddr))
		h->name_size = sizeof(struct sockaddr);
	return h->iov_count > 1024 ? -EMSGSIZE : 0;
}

static s64 send_one(struct file *f, const struct socket_ops *ops, uaddr at, u32 flags)
{
	struct lx_iovec small[8], *v = small;
	struct message m = { .flags = flags };
	struct msghdr h;
	s64 ret = take_header(&h, at);

	if (ret)
		return ret;
	if (h.name_size) {
		m.name_size = (u32)h.name_size;
		ret = address_from_user(&m.name, h.name, h.name_size);
		if (ret)
			return ret;
	}
	ret = iovec_from_user(h.iov, h.iov_count, small, &v, &m.data.size);
	if (ret)
		return ret;
	m.data.user = true;
	m.data.vec = v;
	m.data.vec_count = (u32)h.iov_count;
	if (h.control_size > 0x7fffffff)
		ret = -ENOBUFS;
	else if (h.control_size)
		ret = take_control(&m.scm, h.control, h.control_size);
	if (!ret)
		ret = ops->send(f, &m);
	scm_drop(&m.scm);
	if (v != small)
		kfree(v);
	return ret;
}

static s64 receive_one(struct file *f, const struct socket_ops *ops, uaddr at, u32 flags)
{
	struct lx_iovec small[8], *v = small;
	struct message m = { .flags = flags };
	struct control c;
	struct msghdr h;
	s64 n = take_header(&h, at), err;

	if (n)
		return n;
	n = iovec_from_user(h.iov, h.iov_count, small, &v, &m.data.size);
	if (n)
		return n;
	m.data.user = true;
	m.data.vec = v;
	m.data.vec_count = (u32)h.iov_count;
	n = ops->receive(f, &m);
	if (v != small)
		kfree(v);
	if (n < 0)
		return n;
	c = (struct control){ h.control, h.control ? h.control_size : 0, 0 };
	give_control(&c, &m);
	if (flags & MSG_CMSG_CLOEXEC)
		m.out_flags |= MSG_CMSG_CLOEXEC;
	err = h.name ? address_to_user(&m.name, m.name_size, h.name, at + offsetof(struct msghdr, name_size)) : 0;
	if (!err)
		err = put_user(m.out_flags, at + offsetof(struct msghdr, flags));
	if (!err)
		err = put_user(c.used, at + offsetof(struct msghdr, control_size));
	return err ? err : n;
}

/* ---- system calls ---- */

static s64 whole_buffer(struct message *m, uaddr at, u64 size)
{
	size = MIN(size, (u64)MAX_RW_COUNT);
	if (!user_ok(at, size))
		return -EFAULT;
	m->data = (struct iobuf){ .user = true, .u = at, .size = size };
	return 0;
}

SYSCALL(sendto)
{
	struct message m = { .flags = (u32)a[3] };
	const struct socket_ops *ops;
	struct file *f;
	s64 ret = whole_buffer(&m, a[1], a[2]);

	if (ret)
		return ret;
	ret = socket_get((int)a[0], &f, &ops);
	if (ret)
		return ret;
	if (a[4]) {
		m.name_size = (u32)a[5];
		ret = address_from_user(&m.name, a[4], (s32)a[5]);
	}
	if (!ret)
		ret = ops->send(f, &m);
	file_put(f);
	return ret;
}

SYSCALL(recvfrom)
{
	struct message m = { .flags = (u32)a[3] };
	const struct socket_ops *ops;
	struct file *f;
	s64 ret = whole_buffer(&m, a[1], a[2]), err;

	if (ret)
		return ret;
	ret = socket_get((int)a[0], &f, &ops);
	if (ret)
		return ret;
	ret = ops->receive(f, &m);
	file_put(f);
	if (ret < 0)
		return ret;
	scm_drop(&m.scm);
	err = a[4] ? address_to_user(&m.name, m.name_size, a[4], a[5]) : 0;
	return err ? err : ret;
}

static s64 do_message(const u64 *a, s64 (*one)(struct file *, const struct socket_ops *, uaddr, u32))
{
	const struct socket_ops *ops;
	struct file *f;
	s64 ret;

	if ((u32)a[2] & 0x80000000u) /* MSG_CMSG_COMPAT */
		return -EINVAL;
	ret = socket_get((int)a[0], &f, &ops);
	if (ret)
		return ret;
	ret = one(f, ops, a[1], (u32)a[2]);
	file_put(f);
	return ret;
}

SYSCALL(sendmsg) { return do_message(a, send_one); }
SYSCALL(recvmsg) { return do_message(a, receive_one); }

SYSCALL(sendmmsg)
{
	u32 count = (u32)MIN(a[2], 1024ul), done = 0;
	const struct socket_ops *ops;
	struct file *f;
	s64 ret;

	if ((u32)a[3] & 0x80000000u)
		return -EINVAL;
	ret = socket_get((int)a[0], &f, &ops);
	if (ret)
		return ret;
	while (done < count) {
		uaddr at = a[1] + done * sizeof(struct mmsghdr);

		ret = send_one(f, ops, at, (u32)a[3]);
		if (ret < 0)
			break;
		ret = put_user((u32)ret, at + offsetof(struct mmsghdr, size));
		if (ret)
			break;
		done++;
	}
	file_put(f);
	return done ? (s64)done : ret;
}

SYSCALL(recvmmsg)
{
	u32 count = (u32)MIN(a[2], 1024ul), done = 0, flags = (u32)a[3];
	u64 deadline = PICO_FOREVER, now;
	const struct socket_ops *ops;
	struct lx_timespec left = { 0, 0 };
	struct file *f;
	s64 ret;

	if (flags & 0x80000000u)
		return -EINVAL;
	if (a[4]) {
		if (get_user(left, a[4]))
			return -EFAULT;
		if (!timespec_valid(&left))
			return -EINVAL;
		ret = deadline_from_timespec(&left, 1 /* CLOCK_MONOTONIC */, false, &deadline);
		if (ret)
			return ret;
	}
	ret = socket_get((int)a[0], &f, &ops);
	if (ret)
		return ret;
	/* As on Linux the timeout is only looked at after each message. */
	while (done < count) {
		uaddr at = a[1] + done * sizeof(struct mmsghdr);

		ret = receive_one(f, ops, at, flags & ~MSG_WAITFORONE);
		if (ret < 0)
			break;
		ret = put_user((u32)ret, at + offsetof(struct mmsghdr, size));
		if (ret)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (a[4] && now_mono() >= deadline)
			break;
	}
	file_put(f);
	if (a[4] && done) {
		now = now_mono();
		now = deadline > now ? deadline - now : 0;
		left = (struct lx_timespec){ (s64)(now / NSEC_PER_SEC), (s64)(now % NSEC_PER_SEC) };
		if (put_user(left, a[4]))
			return -EFAULT;
	}
	return done ? (s64)done : ret;
}
