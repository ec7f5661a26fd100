/* SPDX-License-Identifier: Apache-2.0
 *
 * signalfd: takes pending signals of the reading task as records.
 */
#include <linux/signalfd.h>

#include "ipc.h"
#include "linux/lx/signal.h"

static u64 mask_of(struct file *f) { return __atomic_load_n((u64 *)f->data, __ATOMIC_ACQUIRE); }

static void to_record(struct signalfd_siginfo *r, const struct lx_siginfo *i)
{
	memset(r, 0, sizeof(*r));
	r->ssi_signo = (u32)i->signo;
	r->ssi_errno = i->err;
	r->ssi_code = i->code;
	if (i->code == -2) { /* SI_TIMER */
		r->ssi_tid = (u32)i->timer.timer;
		r->ssi_overrun = (u32)i->timer.overrun;
		r->ssi_ptr = i->timer.value;
		r->ssi_int = (s32)i->timer.value;
	} else if (i->code > 0 && i->code < 0x80) { /* the kernel's, by signal */
		switch (i->signo) {
		case SIGCHLD:
			r->ssi_pid = (u32)i->child.pid;
			r->ssi_uid = i->child.uid;
			r->ssi_status = i->child.status;
			r->ssi_utime = (u64)i->child.utime;
			r->ssi_stime = (u64)i->child.stime;
			break;
		case SIGPOLL:
			r->ssi_band = (u32)i->poll.band;
			r->ssi_fd = i->poll.fd;
			break;
		case SIGSYS:
			r->ssi_call_addr = i->sys.call;
			r->ssi_syscall = i->sys.nr;
			r->ssi_arch = i->sys.arch;
			break;
		default:
			r->ssi_addr = i->fault.address;
			r->ssi_addr_lsb = (u16)i->fault.lsb;
		}
	} else { /* kill, tgkill, sigqueue, the kernel itself */
		r->ssi_pid = (u32)i->rt.pid;
		r->ssi_uid = i->rt.uid;
		if (i->code < 0) {
			r->ssi_ptr = i->rt.value;
			r->ssi_int = (s32)i->rt.value;
		}
	}
}

static int take_one(struct file *f, struct lx_siginfo *info, bool wait)
{
	struct wait_entry *w;
	int err = 0, n = signal_dequeue(mask_of(f), info);

	if (n || !wait)
		return n;
	w = wait_on(&current->process->signal_wait, 0);
	while (!(n = signal_dequeue(mask_of(f), info)) && !(err = wait_sleep(PICO_FOREVER)))
		wait_begin();
	wait_remove(w);
	return n ? n : err;
}

static s64 signalfd_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct signalfd_siginfo r;
	struct lx_siginfo info;
	size_t done = 0;

	(void)pos;
	if (b->size < sizeof(r))
		return -EINVAL;
	while (done + sizeof(r) <= b->size) {
		int n = take_one(f, &info, !done && !io_nowait(f, b));

		if (n < 0)
			return n;
		if (!n)
			break;
		to_record(&r, &info);
		if (iobuf_copy_to(b, done, &r, sizeof(r)))
			return done ? (s64)done : -EFAULT;
		done += sizeof(r);
	}
	return done ? (s64)done : -EAGAIN;
}

static u32 signalfd_poll(struct file *f, struct poll_table *t)
{
	if (t)
		t->add(t, &current->process->signal_wait);
	return signal_pending_set(current) & mask_of(f) ? EPOLLIN : 0;
}

static int signalfd_info(struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "sigmask:\t%016llx\n", (unsigned long long)mask_of(f));
}

static void signalfd_release(struct file *f) { kfree(f->data); }

static const struct file_ops signalfd_ops = {
	.name = "anon_inode:[signalfd]", .read = signalfd_read, .poll = signalfd_poll,
	.release = signalfd_release, .fdinfo = signalfd_info, .seek = seek_noop, .gather = true,
};

static s64 signalfd_change(int fd, u64 mask)
{
	struct file *f = fd_get(fd);
	s64 ret = fd;

	if (!f)
		return -EBADF;
	if (f->ops == &signalfd_ops) {
		__atomic_store_n((u64 *)f->data, mask, __ATOMIC_SEQ_CST);
		wake_up(&current->process->signal_wait, 0);
	} else {
		ret = -EINVAL;
	}
	file_put(f);
	return ret;
}

static s64 do_signalfd(int fd, uaddr set, u64 size, u32 flags)
{
	struct file *f;
	u64 mask, *data;

	if (size != 8)
		return -EINVAL;
	if (copy_from_user(&mask, set, sizeof(mask)))
		return -EFAULT;
	if (flags & ~(u32)(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	mask &= ~(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP));
	if (fd != -1)
		return signalfd_change(fd, mask);
	data = kmalloc(sizeof(*data));
	if (!data)
		return -ENOMEM;
	*data = mask;
	f = file_alloc(&signalfd_ops, O_RDWR | (flags & SFD_NONBLOCK));
	if (!f) {
		kfree(data);
		return -ENFILE;
	}
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	f->data = data;
	return fd_install(f, flags & SFD_CLOEXEC, 0);
}

SYSCALL(signalfd) { return do_signalfd((int)a[0], a[1], a[2], 0); }
SYSCALL(signalfd4) { return do_signalfd((int)a[0], a[1], a[2], (u32)a[3]); }
