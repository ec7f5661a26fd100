/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a process about its memory: what is mapped, and contents. How one
 * gets at those of another process is proc/remote.c's matter; so no lock may be
 * held where contents are read.
 */
#include "proc.h"

/* The address space of the process of an entry; reference or NULL. */
static struct mm *entry_mm(struct pseudo *p)
{
	struct task *t = proc_task(p);
	struct mm *mm = t ? task_mm(t) : NULL;

	task_put(t);
	return mm;
}

static u32 dev_major(u64 d) { return (u32)(d >> 8 & 0xfff); }
static u32 dev_minor(u64 d) { return (u32)((d & 0xff) | (d >> 12 & 0xfff00)); }

static void vma_line(struct seq *s, const struct vma *v, char *name, size_t room)
{
	const struct inode *i = v->file ? v->file->inode : NULL;
	size_t start = s->size;

	seq_printf(s, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", v->start, v->end, v->flags & VMA_READ ? 'r' : '-',
		v->flags & VMA_WRITE ? 'w' : '-', v->flags & VMA_EXEC ? 'x' : '-', v->flags & VMA_SHARED ? 's' : 'p',
		v->file ? v->offset : 0, i ? dev_major(i->dev) : 0, i ? dev_minor(i->dev) : 0, i ? (unsigned long)i->ino : 0);
	name[0] = 0;
	if (v->file && file_link_text(v->file, name, room) < 0)
		name[0] = 0;
	else if (!v->file && v->name[0])
		snprintf(name, room, "%s", v->name);
	if (name[0]) {
		while (!s->error && s->size - start < 73)
			seq_put(s, " ", 1);
		seq_escape(s, name, "\n");
	}
	seq_puts(s, "\n");
}

static void each_vma(struct pseudo *p, struct seq *s, void (*fn)(struct seq *s, const struct vma *v, char *name, size_t room))
{
	struct mm *mm = entry_mm(p);
	char *name = kmalloc(PATH_MAX);
	u64 at = 0;
	struct vma v;

	while (mm && name && mm_next_vma(mm, at, &v)) {
		fn(s, &v, name, PATH_MAX);
		at = v.end;
		if (v.file)
			file_put(v.file);
	}
	kfree(name);
	if (mm)
		mm_put(mm);
}

int show_maps(struct pseudo *p, struct seq *s)
{
	each_vma(p, s, vma_line);
	return 0;
}

static void usage_lines(struct seq *s, const struct vma_usage *u, u64 locked)
{
	const u64 rss = u->anon + u->file + u->shared, anon = u->anon;

	seq_printf(s, "Rss:            %8lu kB\nPss:            %8lu kB\nPss_Dirty:      %8lu kB\n", kb(rss), kb(rss), kb(anon));
	seq_printf(s, "Shared_Clean:   %8lu kB\nShared_Dirty:   %8u kB\nPrivate_Clean:  %8lu kB\nPrivate_Dirty:  %8lu kB\n",
		kb(u->shared), 0, kb(u->file), kb(anon));
	seq_printf(s, "Referenced:     %8lu kB\nAnonymous:      %8lu kB\nLazyFree:              0 kB\nAnonHugePages:         0 kB\n"
		"ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
		"Swap:                  0 kB\nSwapPss:               0 kB\nLocked:         %8lu kB\n", kb(rss), kb(anon), kb(locked));
}

static void smaps_entry(struct seq *s, const struct vma *v, char *name, size_t room)
{
	struct vma_usage u;
	static const struct { u32 bit; const char *name; } names[] = {
		{ VMA_READ, "rd " }, { VMA_WRITE, "wr " }, { VMA_EXEC, "ex " }, { VMA_SHARED, "sh " }, { VMA_MAYWRITE, "mr mw me " },
		{ VMA_STACK, "gd " }, { VMA_LOCKED, "lo " }, { VMA_DONTFORK, "dc " }, { VMA_WIPEONFORK, "wf " },
		{ VMA_DONTDUMP, "dd " }, { VMA_NORESERVE, "nr " },
	};

	vma_line(s, v, name, room);
	seq_printf(s, "Size:           %8lu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n", kb(v->end - v->start));
	vma_usage(v, &u);
	usage_lines(s, &u, v->flags & VMA_LOCKED ? u.anon + u.file + u.shared : 0);
	seq_puts(s, "THPeligible:           0\nVmFlags: ");
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (v->flags & names[i].bit)
			seq_puts(s, names[i].name);
	seq_puts(s, "\n");
}

int show_smaps(struct pseudo *p, struct seq *s)
{
	each_vma(p, s, smaps_entry);
	return 0;
}

int show_smaps_rollup(struct pseudo *p, struct seq *s)
{
	struct mm *mm = entry_mm(p);
	u64 first = 0, last = 0;
	struct mm_usage use;
	struct vma v;

	if (!mm)
		return 0;
	while (mm_next_vma(mm, last, &v)) {
		if (!last)
			first = v.start;
		last = v.end;
		if (v.file)
			file_put(v.file);
	}
	seq_printf(s, "%08lx-%08lx ---p 00000000 00:00 0                          [rollup]\n", first, last);
	mm_usage(mm, &use);
	usage_lines(s, &(struct vma_usage){ .anon = use.anon, .file = use.file, .shared = use.shared }, mm->locked_vm);
	mm_put(mm);
	return 0;
}

int show_statm(struct pseudo *p, struct seq *s)
{
	struct mm *mm = entry_mm(p);
	struct mm_usage use;

	if (!mm) {
		seq_puts(s, "0 0 0 0 0 0 0\n");
		return 0;
	}
	mm_usage(mm, &use);
	seq_printf(s, "%lu %lu %lu %lu 0 %lu 0\n", mm->total_vm / PAGE_SIZE, use.all / PAGE_SIZE, (use.file + use.shared) / PAGE_SIZE,
		(ALIGN_UP(mm->end_code, PAGE_SIZE) - ALIGN_DOWN(mm->start_code, PAGE_SIZE)) / PAGE_SIZE,
		(mm->data_vm + use.stack) / PAGE_SIZE);
	mm_put(mm);
	return 0;
}

/* ---- contents ---- */

#define CHUNK 2048u

/* Up to limit bytes; a program that ends meanwhile has nothing more to show. */
static int memory_text(struct mm *mm, u64 from, u64 to, u64 limit, struct seq *s)
{
	char *chunk = kmalloc(CHUNK);
	s64 n = chunk ? 0 : -ENOMEM;

	to = to - from > limit ? from + limit : to;
	while (chunk && from < to) {
		n = remote_access(mm, REMOTE_PEEK, from, chunk, MIN((size_t)(to - from), (size_t)CHUNK));
		if (n <= 0)
			break;
		seq_put(s, chunk, (size_t)n);
		from += (u64)n;
	}
	kfree(chunk);
	return n == -ENOMEM || n == -ERESTARTNOINTR ? (int)n : 0;
}

/* In the middle of an exec there is an address space without anything in it:
 * whoever runs there next has it whole. */
static int wait_loaded(struct mm *mm)
{
	const s64 err = __atomic_load_n(&mm->env_end, __ATOMIC_ACQUIRE) ? 0 : remote_access(mm, REMOTE_READ, 0, NULL, 0);

	return err == -ERESTARTNOINTR ? (int)err : 0;
}

int show_environ(struct pseudo *p, struct seq *s)
{
	struct mm *mm = entry_mm(p);

	if (!mm)
		return 0;
	int err = wait_loaded(mm);
	if (!err)
		err = memory_text(mm, mm->env_start, mm->env_end, ~0ull, s);
	mm_put(mm);
	return err;
}

/* A program that has overwritten the end of its arguments (setproctitle) is
 * shown to the first zero, beyond them if need be. */
static int arguments(struct mm *mm, struct seq *s)
{
	int err = wait_loaded(mm);

	if (!err)
		err = memory_text(mm, mm->arg_start, mm->arg_end, ~0ull, s);
	if (err || !s->size || !s->buf[s->size - 1])
		return err;
	if (mm->env_start == mm->arg_end)
		err = memory_text(mm, mm->env_start, mm->env_end, PAGE_SIZE, s);
	const size_t n = strnlen(s->buf, s->size);
	if (n < s->size)
		s->size = n + 1;
	return err;
}

int show_cmdline(struct pseudo *p, struct seq *s)
{
	struct mm *mm = entry_mm(p);
	int err = 0;

	/* It may have given way to another by an exec while we asked. */
	while (mm && !(err = arguments(mm, s)) && !s->size) {
		struct mm *next = entry_mm(p);
		const bool same = next == mm;
		mm_put(mm);
		mm = next;
		if (same)
			break;
	}
	if (mm)
		mm_put(mm);
	return err;
}

int show_auxv(struct pseudo *p, struct seq *s)
{
	struct mm *mm = entry_mm(p);

	if (mm) {
		seq_put(s, mm->auxv, mm->auxv_count * sizeof(mm->auxv[0]));
		mm_put(mm);
	}
	return 0;
}

int mm_exe_path(struct mm *mm, struct path *out)
{
	struct vma v;
	int err = -ENOENT;

	if (!mm_next_vma(mm, mm->start_code, &v))
		return err;
	if (v.file && v.file->path.dentry) {
		*out = v.file->path;
		path_get(out);
		err = 0;
	}
	if (v.file)
		file_put(v.file);
	return err;
}

/* ---- mem ---- */

static s64 mem_step(struct file *f, const struct iobuf *b, size_t done, char *chunk, u64 pos, bool write)
{
	const size_t part = MIN(b->size - done, PAGE_SIZE);

	if (write && iobuf_copy_from(b, done, chunk, part))
		return -EFAULT;
	const s64 n = remote_access(f->data, write ? REMOTE_POKE : REMOTE_PEEK, pos + done, chunk, part);
	if (n == -ESRCH)
		return 0;
	if (n < 0)
		return n == -ERESTARTNOINTR ? n : -EIO;
	return !write && iobuf_copy_to(b, done, chunk, (size_t)n) ? -EFAULT : n;
}

static s64 mem_move(struct file *f, const struct iobuf *b, u64 pos, bool write)
{
	char *chunk = f->data ? kmalloc(PAGE_SIZE) : NULL;
	size_t done = 0;
	s64 n = 0;

	if (!chunk)
		return f->data ? -ENOMEM : 0;
	while (done < b->size && (n = mem_step(f, b, done, chunk, pos, write)) > 0)
		done += (size_t)n;
	kfree(chunk);
	return done ? (s64)done : n;
}

static s64 mem_read(struct file *f, const struct iobuf *b, u64 pos) { return mem_move(f, b, pos, false); }
static s64 mem_write(struct file *f, const struct iobuf *b, u64 pos) { return mem_move(f, b, pos, true); }

static s64 mem_seek(struct file *f, s64 offset, int whence)
{
	if (whence > 1)
		return -EINVAL;
	f->pos = whence ? f->pos + (u64)offset : (u64)offset;
	return (s64)f->pos;
}

static void mem_release(struct file *f)
{
	if (f->data)
		mm_put(f->data);
}

static const struct file_ops mem_ops = { .read = mem_read, .write = mem_write, .seek = mem_seek, .release = mem_release,
	.seekable = true, .waits = true };

int open_mem(struct pseudo *p, struct file *f)
{
	struct task *t = proc_task(p);
	int err = !t ? -ESRCH : t->mm && task_may_look(t, true) ? -EACCES : 0;

	if (!err) {
		f->data = task_mm(t); /* whatever it execs */
		f->ops = &mem_ops;
	}
	task_put(t);
	return err;
}
