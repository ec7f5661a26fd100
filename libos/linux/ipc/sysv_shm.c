/* SPDX-License-Identifier: Apache-2.0
 *
 * System V shared memory. The memory is that of shared anonymous mappings; an
 * attachment is a mapping of a file of its own over it, and the mappings of such
 * files are what nattch counts. So fork, exec, exit and munmap need to know
 * nothing of it. It must not look into address spaces but through mm.h.
 */
#include <asm/shmbuf.h>
#include <linux/capability.h>
#include <linux/mman.h>

#include "linux/fs/pseudo.h"
#include "linux/lx/mm.h"
#include "sysv.h"

#define SHM_DEST 01000u /* in the mode: goes with its last mapping */
#define SHM_LOCKED 02000u
#define SHM_HUGETLB 04000u
#define SHM_NORESERVE 010000u
#define SHM_RDONLY 010000u
#define SHM_RND 020000u
#define SHM_REMAP 040000u
#define SHM_EXEC 0100000u
enum { SHM_LOCK = 11, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY };
#define RLIMIT_MEMLOCK_ 8

struct segment {
	struct ipc_object ipc;
	struct ref ref; /* the family's, one each file */
	u64 size;
	u64 mappings;
	bool gone; /* destroyed: only a file over it is left */
	s64 atime, dtime, ctime;
	u32 cpid, lpid;
	s32 first_key; /* its name in /proc/PID/maps has it for ever */
	struct task *creator; /* no reference: forgotten when it ends; for shm_rmid_forced */
	u32 locker; /* whose limit the lock counts against */
	struct file *memory;
	struct inode *inode; /* of all files over it */
};
struct lx_shm_info { s32 used_ids; u32 pad; u64 total, resident, swapped, swap_attempts, swap_successes; };

static struct ipc_family *family(void) { return &sysv()->shm; }
static struct segment *segment_of(struct ipc_object *o) { return container_of(o, struct segment, ipc); }
static u64 pages_of(const struct segment *s) { return (s->size + PAGE_SIZE - 1) >> PAGE_SHIFT; }

static void segment_put(struct segment *s)
{
	if (!ref_put(&s->ref))
		return;
	file_put(s->memory);
	inode_put(s->inode);
	kfree(s);
}

/* lock held. */
static void destroy(struct segment *s)
{
	s->gone = true;
	ipc_remove(family(), &s->ipc);
	sysv()->shm_pages -= pages_of(s);
	segment_put(s);
}

static bool unwanted(const struct segment *s)
{
	return !s->mappings && !s->gone && (s->ipc.mode & SHM_DEST || sysv()->shm_rmid_forced);
}

/* ---- the files that are mapped ---- */

static int attach_mmap(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset)
{
	const struct segment *s = f->data;
	struct file *m = s->memory;

	if (s->gone) /* remap_file_pages(2) took its last mapping away first */
		return -EIDRM;
	return m->ops->mmap(m, addr, size, vma_flags, offset);
}

static void attach_mapped(struct file *f, int change)
{
	struct segment *s = f->data;

	lock(&family()->lock);
	s->lpid = current->process->pid;
	*(change > 0 ? &s->atime : &s->dtime) = ipc_seconds();
	s->mappings += (u64)(s64)change;
	if (change < 0 && unwanted(s))
		destroy(s);
	unlock(&family()->lock);
}

static int attach_fsync(struct file *f, bool data_only)
{
	(void)f, (void)data_only;
	return 0;
}

static int attach_fallocate(struct file *f, u32 mode, u64 offset, u64 size)
{
	struct file *m = ((struct segment *)f->data)->memory;

	return m->ops->fallocate(m, mode, offset, size);
}

static void attach_release(struct file *f)
{
	if (f->data)
		segment_put(f->data);
}

static int attach_link_text(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "/SYSV%08x (deleted)", (u32)((const struct segment *)f->data)->first_key);
}

static const struct file_ops attach_ops = {
	.mmap = attach_mmap, .mapped = attach_mapped, .fsync = attach_fsync, .fallocate = attach_fallocate,
	.link_text = attach_link_text, .release = attach_release,
};

static struct file *attach_file(struct segment *s, bool writable)
{
	struct file *f = file_alloc(&attach_ops, writable ? O_RDWR : O_RDONLY);

	if (!f)
		return NULL;
	f->mode_bits = writable ? FMODE_READ | FMODE_WRITE : FMODE_READ;
	f->inode = inode_get(s->inode);
	f->data = s;
	ref_get(&s->ref);
	return f;
}

/* ---- shmget ---- */

static int make_memory(struct segment *s, u32 flags)
{
	const u64 machine = K->memory_limit ? K->memory_limit : K->phys_memory;

	if (!(flags & SHM_NORESERVE) && machine && s->size > machine)
		return -ENOMEM;
	s->inode = anon_inode(S_IFREG | (flags & 0777));
	s->memory = s->inode ? mm_shared_memory(s->size) : NULL;
	return s->memory ? 0 : -ENOMEM;
}

static s64 create(const struct ipc_request *r)
{
	struct sysv *v = sysv();
	const u64 pages = (r->size >> PAGE_SHIFT) + !!(r->size & ~PAGE_MASK);
	int err;

	if (!r->size || r->size > v->shm_max)
		return -EINVAL;
	if (pages << PAGE_SHIFT < r->size || v->shm_pages + pages < pages || v->shm_pages + pages > v->shm_all)
		return -ENOSPC;
	if (r->flags & SHM_HUGETLB)
		return -EINVAL; /* no huge pages of any size, as a kernel without hugetlbfs */
	struct segment *s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->size = r->size;
	err = make_memory(s, r->flags);
	if (!err)
		err = ipc_add(family(), &s->ipc, r, (u32)v->shm_mni);
	if (err < 0) {
		if (s->memory)
			file_put(s->memory);
		inode_put(s->inode);
		kfree(s);
		return err;
	}
	ref_init(&s->ref);
	s->inode->ino = (u64)err;
	s->inode->nlink = 0;
	s->inode->size = s->size;
	s->cpid = current->process->pid;
	s->ctime = ipc_seconds();
	s->first_key = r->key;
	s->creator = current;
	v->shm_pages += pages;
	return err;
}

static int check(const struct ipc_object *o, const struct ipc_request *r)
{
	return container_of(o, const struct segment, ipc)->size < r->size ? -EINVAL : 0;
}

SYSCALL(shmget)
{
	static const struct ipc_kind kind = { create, check };
	const struct ipc_request r = { (s32)a[0], (u32)a[2], a[1] };

	return ipc_get(family(), &kind, &r);
}

/* ---- shmat, shmdt ---- */

/* Where: MAP_ flags, and the address rounded. */
static int place(u64 *addr, u32 flags)
{
	if (!*addr)
		return flags & SHM_REMAP ? -EINVAL : MAP_SHARED;
	if (*addr & ~PAGE_MASK) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		*addr &= PAGE_MASK;
		if (!*addr && flags & SHM_REMAP)
			return -EINVAL;
	}
	return MAP_SHARED | (flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE);
}

/* The segment stays while this is going on, as if it were mapped already. */
static int hold(s32 id, u32 mode, struct segment **out)
{
	struct ipc_object *o;
	int err = -EINVAL;

	lock(&family()->lock);
	if ((o = ipc_find(family(), id)) && !(err = ipc_allowed(o, mode) ? 0 : -EACCES)) {
		*out = segment_of(o);
		(*out)->mappings++;
		ref_get(&(*out)->ref);
	}
	unlock(&family()->lock);
	return err;
}

static void let_go(struct segment *s)
{
	lock(&family()->lock);
	s->mappings--;
	if (unwanted(s))
		destroy(s);
	unlock(&family()->lock);
	segment_put(s);
}

SYSCALL(shmat)
{
	const s32 id = (s32)a[0];
	const u32 flags = (u32)a[2];
	const bool writable = !(flags & SHM_RDONLY);
	u64 addr = a[1];
	struct segment *s;
	s64 ret;

	if (id < 0)
		return -EINVAL;
	int map_flags = place(&addr, flags);
	if (map_flags < 0)
		return map_flags;
	ret = hold(id, 0444u | (writable ? 0222u : 0) | (flags & SHM_EXEC ? 0111u : 0), &s);
	if (ret)
		return ret;
	struct file *f = attach_file(s, writable);
	ret = -ENOMEM;
	if (f && !(flags & SHM_REMAP) && addr + s->size < addr)
		ret = -EINVAL;
	else if (f)
		ret = mm_map(current->mm, addr, s->size, PROT_READ | (writable ? PROT_WRITE : 0) | (flags & SHM_EXEC ? PROT_EXEC : 0),
			(u32)map_flags, f, 0);
	if (ret == -EEXIST)
		ret = -EINVAL;
	if (f)
		file_put(f);
	let_go(s);
	return ret;
}

/* All that is left of the attachment that began at addr, in how many pieces ever. */
SYSCALL(shmdt)
{
	struct mm *mm = current->mm;
	const u64 addr = a[0];
	struct file *attached = NULL;
	struct vma v;
	u64 end = USER_END;
	s64 err = -EINVAL;

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	for (u64 at = addr; at < end && mm_next_vma(mm, at, &v); at = v.end) {
		if (v.start >= addr && v.file && v.file->ops == &attach_ops && v.start - addr == v.offset && (!attached || v.file == attached)) {
			if (!attached) {
				attached = file_get(v.file);
				end = MIN(end, addr + pages_of(v.file->data) * PAGE_SIZE);
			}
			if (v.end <= end)
				err = mm_unmap(mm, v.start, v.end - v.start);
		}
		if (v.file)
			file_put(v.file);
	}
	if (attached)
		file_put(attached);
	return err;
}

/* ---- shmctl ---- */

static s64 ipc_info(uaddr to)
{
	struct sysv *v = sysv();
	const struct shminfo64 i = {
		.shmmax = v->shm_max, .shmmin = 1, .shmmni = (u64)v->shm_mni, .shmseg = (u64)v->shm_mni, .shmall = v->shm_all,
	};

	lock(&family()->lock);
	s32 last = ipc_last_number(family());
	unlock(&family()->lock);
	return copy_to_user(to, &i, sizeof(i)) ? -EFAULT : last;
}

/* What of it is in memory only the host knows. */
static s64 shm_info(uaddr to)
{
	struct lx_shm_info i = { 0 };

	lock(&family()->lock);
	i.used_ids = (s32)family()->count;
	i.total = sysv()->shm_pages;
	s32 last = ipc_last_number(family());
	unlock(&family()->lock);
	return copy_to_user(to, &i, sizeof(i)) ? -EFAULT : last;
}

static s64 stat(s32 id, u32 cmd, uaddr to)
{
	struct shmid64_ds ds = { .shm_segsz = 0 };
	struct ipc_object *o;

	lock(&family()->lock);
	s64 ret = ipc_find_stat(family(), id, cmd != IPC_STAT, cmd == SHM_STAT_ANY, &o);
	if (!ret) {
		const struct segment *s = segment_of(o);
		ipc_get_perm(o, &ds.shm_perm);
		ds.shm_segsz = s->size;
		ds.shm_atime = s->atime;
		ds.shm_dtime = s->dtime;
		ds.shm_ctime = s->ctime;
		ds.shm_cpid = (s32)s->cpid;
		ds.shm_lpid = (s32)s->lpid;
		ds.shm_nattch = s->mappings;
		ret = cmd == IPC_STAT ? 0 : o->id;
	}
	unlock(&family()->lock);
	return ret >= 0 && copy_to_user(to, &ds, sizeof(ds)) ? -EFAULT : ret;
}

static int set_or_remove(s32 id, u32 cmd, uaddr from)
{
	struct shmid64_ds ds;
	struct ipc_object *o;

	if (cmd == IPC_SET && copy_from_user(&ds, from, sizeof(ds)))
		return -EFAULT;
	lock(&family()->lock);
	int err = ipc_find_owned(family(), id, &o);
	if (!err && cmd == IPC_SET) {
		err = ipc_set_perm(o, &ds.shm_perm);
		if (!err)
			segment_of(o)->ctime = ipc_seconds();
	} else if (!err && segment_of(o)->mappings) {
		o->mode |= SHM_DEST;
		ipc_forget_key(o);
	} else if (!err) {
		destroy(segment_of(o));
	}
	unlock(&family()->lock);
	return err;
}

struct locked { u32 uid; u64 bytes; };
static void count_locked(struct ipc_object *o, void *arg)
{
	struct locked *l = arg;

	if (o->mode & SHM_LOCKED && segment_of(o)->locker == l->uid)
		l->bytes += pages_of(segment_of(o)) * PAGE_SIZE;
}

/* lock held. */
static int lock_memory(struct segment *s)
{
	struct locked l = { current->process->creds.uid, pages_of(s) * PAGE_SIZE };

	if (s->ipc.mode & SHM_LOCKED)
		return 0;
	ipc_for_each(family(), count_locked, &l);
	if (l.bytes > rlimit_get(RLIMIT_MEMLOCK_) && !capable(CAP_IPC_LOCK))
		return -ENOMEM;
	s->locker = l.uid;
	s->ipc.mode |= SHM_LOCKED;
	return 0;
}

static int lock_or_unlock(s32 id, bool locking)
{
	const struct creds *c = &current->process->creds;
	struct ipc_object *o;
	int err = 0;

	lock(&family()->lock);
	if (!(o = ipc_find(family(), id)))
		err = -EINVAL;
	else if (!capable(CAP_IPC_LOCK) && ((c->euid != o->uid && c->euid != o->cuid) || (locking && !rlimit_get(RLIMIT_MEMLOCK_))))
		err = -EPERM;
	else if (locking)
		err = lock_memory(segment_of(o));
	else
		o->mode &= ~SHM_LOCKED;
	unlock(&family()->lock);
	return err;
}

SYSCALL(shmctl)
{
	const s32 id = (s32)a[0];
	const u32 cmd = (u32)a[1];

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO: return ipc_info(a[2]);
	case SHM_INFO: return shm_info(a[2]);
	case IPC_STAT: case SHM_STAT: case SHM_STAT_ANY: return stat(id, cmd, a[2]);
	case IPC_SET: case IPC_RMID: return set_or_remove(id, cmd, a[2]);
	case SHM_LOCK: case SHM_UNLOCK: return lock_or_unlock(id, cmd == SHM_LOCK);
	default: return -EINVAL;
	}
}

/* ---- shm_rmid_forced: what nobody maps goes with its creator ---- */

static void leave(struct ipc_object *o, void *task)
{
	struct segment *s = segment_of(o);

	if (s->creator != task)
		return;
	s->creator = NULL;
	if (task && unwanted(s))
		destroy(s);
}

static void remove_orphan(struct ipc_object *o, void *arg)
{
	(void)arg;
	if (!segment_of(o)->creator && unwanted(segment_of(o)))
		destroy(segment_of(o));
}

void shm_task_exit(struct task *t)
{
	if (!__atomic_load_n(&family()->count, __ATOMIC_RELAXED))
		return;
	lock(&family()->lock);
	ipc_for_each(family(), leave, t);
	unlock(&family()->lock);
}

void shm_destroy_orphans(void)
{
	lock(&family()->lock);
	ipc_for_each(family(), remove_orphan, NULL);
	unlock(&family()->lock);
}

/* ---- /proc/sysvipc/shm ---- */

static void show_one(struct ipc_object *o, void *seq)
{
	const struct segment *s = segment_of(o);

	seq_printf(seq, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10ld %10ld %10ld %21lu %21lu\n", o->key, o->id, o->mode,
		s->size, s->cpid, s->lpid, s->mappings, o->uid, o->gid, o->cuid, o->cgid, (long)s->atime, (long)s->dtime,
		(long)s->ctime, 0ul, 0ul);
}

int show_sysvipc_shm(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime"
		"                   rss                  swap\n");
	lock(&family()->lock);
	ipc_for_each(family(), show_one, s);
	unlock(&family()->lock);
	return 0;
}
