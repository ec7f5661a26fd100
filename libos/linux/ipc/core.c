/* SPDX-License-Identifier: Apache-2.0
 *
 * What the inter-process files have in common: the root of their state,
 * inodes without a file system, vectors of buffers, names of anonymous files.
 */
#include "ipc.h"

void ipc_init(void)
{
	struct ipc *s = kzalloc(sizeof(*s));

	if (!s)
		panic("no memory for ipc");
	s->next_ino = 1;
	s->pipe_max_size = 1024 * 1024;
	s->inotify_max_events = 16384;
	s->inotify_max_instances = 128;
	s->inotify_max_watches = 65536;
	s->somaxconn = 4096;
	s->max_dgram_qlen = 512;
	s->mq_queues_max = 256;
	s->mq_msg_max = s->mq_msg_default = 10;
	s->mq_msgsize_max = s->mq_msgsize_default = 8192;
	for (unsigned i = 0; i < UNIX_HASH; i++)
		list_init(&s->unix_names[i]);
	list_init(&s->unix_all);
	list_init(&s->dnotify);
	s->sysv = sysv_create();
	if (!s->sysv)
		panic("no memory for ipc");
	Dk(RandomBitsRead)(s->boot_uuid, sizeof(s->boot_uuid));
	s->boot_tsc = __builtin_ia32_rdtsc();
	s->boot_tsc_at = now_mono();
	K->ipc = s;
}

u64 anon_ino(void)
{
	return __atomic_fetch_add(&IPC->next_ino, 1, __ATOMIC_RELAXED) + 1024;
}

void inode_getattr_plain(struct inode *i, struct kstat *st)
{
	*st = (struct kstat){
		.dev = i->dev, .ino = i->ino, .nlink = i->nlink, .mode = i->mode, .uid = i->uid, .gid = i->gid,
		.rdev = i->rdev, .size = i->size, .blksize = 4096, .atime = i->atime, .mtime = i->mtime,
		.ctime = i->ctime, .btime = i->btime,
	};
}

static int anon_getattr(struct inode *i, struct kstat *st)
{
	inode_getattr_plain(i, st);
	return 0;
}

int anon_setattr(struct inode *i, u32 valid, const struct kstat *st)
{
	if (valid & SETATTR_SIZE)
		return -EINVAL;
	if (valid & SETATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (st->mode & 07777);
	if (valid & SETATTR_UID)
		i->uid = st->uid;
	if (valid & SETATTR_GID)
		i->gid = st->gid;
	return 0;
}

/* A pipe opened again through /proc/self/fd is a fifo like any other. */
static int anon_open(struct inode *i, struct file *f)
{
	return (i->mode & S_IFMT) == S_IFIFO ? fifo_open(i, f) : -ENXIO;
}

static const struct inode_ops anon_inode_ops = { .getattr = anon_getattr, .setattr = anon_setattr, .open = anon_open };

bool inode_is_anon(const struct inode *i) { return i->ops == &anon_inode_ops; }

struct inode *anon_inode(u32 mode)
{
	struct inode *i = inode_alloc(&anon_inode_ops, mode);
	u64 now = now_real();

	if (!i)
		return NULL;
	i->ino = anon_ino();
	i->dev = ANON_DEV;
	i->nlink = 1;
	i->uid = current->process->creds.fsuid;
	i->gid = current->process->creds.fsgid;
	i->atime = i->mtime = i->ctime = i->btime = (struct lx_timespec){ (s64)(now / NSEC_PER_SEC), (s64)(now % NSEC_PER_SEC) };
	return i;
}

/* Files of events have no positions, yet lseek(2) on them succeeds. */
s64 seek_noop(struct file *f, s64 offset, int whence)
{
	(void)offset, (void)whence;
	return (s64)f->pos;
}

void pipe_signal(void)
{
	struct lx_siginfo info = { .signo = SIGPIPE, .code = 0 /* SI_USER, as the kernel's send_sig does */ };

	info.rt.pid = (s32)current->process->pid;
	info.rt.uid = current->process->creds.uid;
	signal_send_task(current, SIGPIPE, &info);
}

static int iovec_walk(const struct lx_iovec *v, u32 count, size_t at, const void *from, void *to, size_t n)
{
	for (u32 i = 0; i < count && n; i++) {
		size_t part;
		int err;

		if (at >= v[i].size) {
			at -= v[i].size;
			continue;
		}
		part = MIN(n, (size_t)(v[i].size - at));
		err = from ? copy_to_user(v[i].base + at, from, part) : copy_from_user(to, v[i].base + at, part);
		if (err)
			return err;
		if (from)
			from = (const char *)from + part;
		else
			to = (char *)to + part;
		n -= part;
		at = 0;
	}
	return n ? -EFAULT : 0;
}

int iovec_copy_to(const struct lx_iovec *v, u32 count, size_t at, const void *from, size_t n)
{
	return iovec_walk(v, count, at, from, NULL, n);
}

int iovec_copy_from(const struct lx_iovec *v, u32 count, size_t at, void *to, size_t n)
{
	return iovec_walk(v, count, at, NULL, to, n);
}

int iovec_from_user(uaddr u, u64 count, struct lx_iovec small[8], struct lx_iovec **out, size_t *total)
{
	struct lx_iovec *v = small;
	size_t sum = 0;
	int err = -EFAULT;

	if (count > 1024)
		return -EINVAL;
	if (count > 8 && !(v = kmalloc(count * sizeof(*v))))
		return -ENOMEM;
	if (count && copy_from_user(v, u, count * sizeof(*v)))
		goto fail;
	for (u64 i = 0; i < count; i++) {
		err = -EINVAL;
		if ((s64)v[i].size < 0)
			goto fail;
		err = -EFAULT;
		if (!user_ok(v[i].base, v[i].size))
			goto fail;
		if (v[i].size > MAX_RW_COUNT - sum)
			v[i].size = MAX_RW_COUNT - sum;
		sum += v[i].size;
	}
	*out = v;
	*total = sum;
	return 0;
fail:
	if (v != small)
		kfree(v);
	return err;
}

int file_link_text(struct file *f, char *buf, size_t size)
{
	struct inode *i = f->inode;
	int n;

	if (f->path.dentry)
		return path_name(&f->path, buf, size);
	if (i && i->anon_name)
		n = snprintf(buf, size, "/memfd:%s (deleted)", i->anon_name);
	else if (f->ops->link_text)
		n = f->ops->link_text(f, buf, size);
	else if (i && (i->mode & S_IFMT) == S_IFIFO)
		n = snprintf(buf, size, "pipe:[%lu]", (unsigned long)i->ino);
	else if (i && (i->mode & S_IFMT) == S_IFSOCK)
		n = snprintf(buf, size, "socket:[%lu]", (unsigned long)i->ino);
	else
		n = snprintf(buf, size, "%s", f->ops->name ? f->ops->name : "anon_inode:[unknown]");
	return (size_t)n >= size ? -ENAMETOOLONG : n;
}

void ipc_uuid(char out[37])
{
	u8 b[16];

	Dk(RandomBitsRead)(b, sizeof(b));
	b[6] = (u8)((b[6] & 0x0f) | 0x40);
	b[8] = (u8)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
		b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

bool timespec_valid(const struct lx_timespec *t)
{
	return t->sec >= 0 && t->nsec >= 0 && t->nsec < (s64)NSEC_PER_SEC;
}

u64 deadline_from_ms(s64 ms)
{
	return ms < 0 ? PICO_FOREVER : ms == 0 ? 0 : now_mono() + (u64)ms * 1000000u;
}
