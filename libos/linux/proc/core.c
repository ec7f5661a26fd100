/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program leaves behind when a signal ends it that asks for that: the
 * file "core" in its working directory, an ELF image of its memory with notes
 * on its state, as debuggers read it. It must not know why the program ended.
 */
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include <asm/fcntl.h>
#include <linux/elf.h>
#include <linux/resource.h>

#define NOTES_MAX (256u << 10)
#define RESERVE_LIMIT (1ull << 30) /* address space set aside without memory behind it, from here on, is left out */
#define FXSAVE_SIZE 512u

struct core_times { s64 sec, usec; };
struct core_status { /* elf_prstatus of x86-64 */
	s32 signo, code, err;
	s16 current_signal, pad0;
	u64 pending, held;
	u32 pid, ppid, pgrp, sid;
	struct core_times utime, stime, cutime, cstime;
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags, rsp, ss, fs_base, gs_base;
	u64 ds, es, fs, gs;
	s32 fp_valid, pad1;
};
struct core_info { /* elf_prpsinfo */
	char state, letter, zombie, nice;
	u32 pad;
	u64 flags;
	u32 uid, gid, pid, ppid, pgrp, sid;
	char name[16], arguments[80];
};
_Static_assert(sizeof(struct core_status) == 336 && sizeof(struct core_info) == 136, "layouts of the kernel");

struct notes { char *data; size_t size; };

static void *note(struct notes *n, const char *name, u32 type, size_t size)
{
	const size_t named = ALIGN_UP(strlen(name) + 1, 4), whole = sizeof(struct elf64_note) + named + ALIGN_UP(size, 4);
	struct elf64_note *head = (void *)(n->data + n->size);

	if (n->size + whole > NOTES_MAX)
		return NULL;
	memset(head, 0, whole);
	*head = (struct elf64_note){ .n_namesz = (u32)strlen(name) + 1, .n_descsz = (u32)size, .n_type = type };
	memcpy(head + 1, name, strlen(name));
	n->size += whole;
	return (char *)(head + 1) + named;
}

static void note_status(struct notes *n, const struct task *t, const struct lx_siginfo *info)
{
	const struct pico_context *r = t->regs;
	const struct process *p = t->process;
	struct core_status *s = note(n, "CORE", NT_PRSTATUS, sizeof(*s));

	if (!s)
		return;
	*s = (struct core_status){
		.signo = info->signo, .code = info->code, .err = info->err, .current_signal = (s16)info->signo,
		.pending = t->pending.set, .held = t->sigmask, .pid = t->tid, .ppid = p->ppid, .pgrp = p->pgid, .sid = p->sid,
		.r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .rbp = r->rbp, .rbx = r->rbx, .r11 = r->r11, .r10 = r->r10,
		.r9 = r->r9, .r8 = r->r8, .rax = r->rax, .rcx = r->rcx, .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi,
		.orig_rax = t->orig_rax, .rip = r->rip, .cs = r->cs, .rflags = r->rflags, .rsp = r->rsp, .ss = r->ss,
		.fs_base = arch_read_fs(), .fp_valid = 1,
	};
	s->utime = (struct core_times){ (s64)(t->cpu_time / NSEC_PER_SEC), (s64)(t->cpu_time % NSEC_PER_SEC / 1000) };
}

static void note_info(struct notes *n, const struct task *t)
{
	const struct process *p = t->process;
	struct core_info *s = note(n, "CORE", NT_PRPSINFO, sizeof(*s));
	u64 size = t->mm->arg_end - t->mm->arg_start;

	if (!s)
		return;
	*s = (struct core_info){
		.letter = 'R', .nice = (char)t->nice, .uid = p->creds.uid, .gid = p->creds.gid, .pid = p->pid, .ppid = p->ppid,
		.pgrp = p->pgid, .sid = p->sid,
	};
	memcpy(s->name, t->comm, sizeof(s->name));
	size = MIN(size, sizeof(s->arguments) - 1);
	if (copy_from_user(s->arguments, t->mm->arg_start, size))
		size = 0;
	for (u64 i = 0; i < size; i++)
		if (!s->arguments[i])
			s->arguments[i] = ' ';
	s->arguments[size] = 0;
}

/* Which files lie where: numbers first, then the names in the same order. */
static void note_files(struct notes *n, struct mm *mm)
{
	const size_t room = NOTES_MAX / 2;
	u64 *numbers = kmalloc(room), count = 0;
	char *names = kmalloc(room), *at = names;
	struct vma v;

	for (u64 addr = 0; numbers && names && mm_next_vma(mm, addr, &v); addr = v.end) {
		if (!v.file)
			continue;
		int size = v.file->path.dentry && (size_t)(at - names) + 4096 < room && (count + 2) * 24 < room ? path_name(&v.file->path, at, 4096) : -1;
		file_put(v.file);
		if (size < 0)
			continue;
		numbers[2 + count * 3] = v.start;
		numbers[3 + count * 3] = v.end;
		numbers[4 + count * 3] = v.offset >> PAGE_SHIFT;
		at += size + 1;
		count++;
	}
	if (count) {
		const size_t fixed = (2 + count * 3) * sizeof(u64);
		char *out = note(n, "CORE", NT_FILE, fixed + (size_t)(at - names));
		numbers[0] = count;
		numbers[1] = PAGE_SIZE;
		if (out) {
			memcpy(out, numbers, fixed);
			memcpy(out + fixed, names, (size_t)(at - names));
		}
	}
	kfree(numbers);
	kfree(names);
}

static void note_vector(struct notes *n)
{
	const u32 size = arch_xstate_size();
	char *area = kmalloc(size + 64), *aligned = (char *)ALIGN_UP((u64)area, 64);
	void *out;

	if (area && !arch_save_vector(aligned)) {
		if ((out = note(n, "CORE", NT_PRFPREG, FXSAVE_SIZE)))
			memcpy(out, aligned, FXSAVE_SIZE);
		if ((out = note(n, "LINUX", NT_X86_XSTATE, size))) {
			memcpy(out, aligned, size);
			*(u64 *)((char *)out + 464) = arch_xstate_mask(); /* where a debugger looks for what there is */
		}
	}
	kfree(area);
}

static void take_notes(struct notes *n, struct task *t, const struct lx_siginfo *info)
{
	void *out;

	note_status(n, t, info);
	note_info(n, t);
	if ((out = note(n, "CORE", NT_SIGINFO, sizeof(*info))))
		memcpy(out, info, sizeof(*info));
	if ((out = note(n, "CORE", NT_AUXV, t->mm->auxv_count * sizeof(u64))))
		memcpy(out, t->mm->auxv, t->mm->auxv_count * sizeof(u64));
	note_files(n, t->mm);
	note_vector(n);
}

/* ---- memory ---- */

/* How much of a mapping is worth a place: what cannot be had from a file. */
static u64 dump_size(const struct vma *v)
{
	char magic[SELFMAG];

	if (!(v->flags & VMA_READ) || v->flags & VMA_DONTDUMP || (v->flags & VMA_NORESERVE && v->end - v->start >= RESERVE_LIMIT))
		return 0;
	if (!v->file || !v->file->path.dentry || (!(v->flags & VMA_SHARED) && v->flags & VMA_WRITE))
		return v->end - v->start;
	if (!v->offset && !(v->flags & VMA_SHARED) && !copy_from_user(magic, v->start, SELFMAG) && !memcmp(magic, ELFMAG, SELFMAG))
		return PAGE_SIZE; /* by its head a debugger knows the file again */
	return 0;
}

struct core { struct file *f; u64 pos, limit; };

static bool put(struct core *c, const void *data, size_t size)
{
	struct iobuf b = { .k = (void *)(uintptr_t)data, .size = size };

	if (c->pos + size > c->limit || c->f->ops->write(c->f, &b, c->pos) != (s64)size)
		return false;
	c->pos += size;
	return true;
}

static bool is_zero(const u64 *page)
{
	for (size_t i = 0; i < PAGE_SIZE / 8; i++)
		if (page[i])
			return false;
	return true;
}

/* What cannot be read, and what is zero, is a hole. */
static bool put_memory(struct core *c, u64 start, u64 size, u64 *page)
{
	for (u64 at = start; at < start + size; at += PAGE_SIZE) {
		if (copy_from_user(page, at, PAGE_SIZE) || is_zero(page))
			c->pos += PAGE_SIZE;
		else if (!put(c, page, PAGE_SIZE))
			return false;
	}
	return true;
}

static void write_image(struct core *c, struct mm *mm, const struct notes *n, u64 *page)
{
	struct elf64_hdr head = { .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(head),
		.e_ehsize = sizeof(head), .e_phentsize = sizeof(struct elf64_phdr) };
	struct elf64_phdr p = { .p_type = PT_NOTE };
	struct vma v;
	u64 count = 1;

	for (u64 addr = 0; mm_next_vma(mm, addr, &v); addr = v.end, count++)
		if (v.file)
			file_put(v.file);
	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_ident[EI_VERSION] = EV_CURRENT;
	head.e_phnum = (u16)count;
	u64 offset = sizeof(head) + count * sizeof(p);
	p.p_offset = offset;
	p.p_filesz = n->size;
	offset = ALIGN_UP(offset + n->size, PAGE_SIZE);
	if (count > 0xfffe || !put(c, &head, sizeof(head)) || !put(c, &p, sizeof(p)))
		return;
	for (u64 addr = 0; --count && mm_next_vma(mm, addr, &v); addr = v.end) {
		p = (struct elf64_phdr){ .p_type = PT_LOAD, .p_offset = offset, .p_vaddr = v.start, .p_memsz = v.end - v.start, .p_filesz = dump_size(&v),
			.p_align = PAGE_SIZE, .p_flags = (v.flags & VMA_READ ? PF_R : 0) | (v.flags & VMA_WRITE ? PF_W : 0) | (v.flags & VMA_EXEC ? PF_X : 0) };
		offset += p.p_filesz;
		if (v.file)
			file_put(v.file);
		if (!put(c, &p, sizeof(p)))
			return;
	}
	if (!put(c, n->data, n->size))
		return;
	c->pos = ALIGN_UP(c->pos, PAGE_SIZE);
	for (u64 addr = 0; mm_next_vma(mm, addr, &v); addr = v.end) {
		const bool ok = put_memory(c, v.start, dump_size(&v), page);
		if (v.file)
			file_put(v.file);
		if (!ok)
			return;
	}
}

/* ---- the file ---- */

static struct file *core_file(void)
{
	path_unlink("core"); /* an earlier one goes; what holds on to its name fails below */
	struct file *f = file_open(AT_FDCWD_, "core", O_CREAT | O_RDWR | O_NOFOLLOW | O_LARGEFILE, 0600);
	struct kstat st = { 0 };

	if (IS_ERR(f))
		return NULL;
	const struct inode *i = f->inode;
	if (i && i->ops->getattr && !i->ops->getattr(f->inode, &st) && (st.mode & 0170000) == 0100000 && st.nlink == 1 &&
	    st.uid == current->process->creds.fsuid && f->ops->write && !file_truncate(f, 0))
		return f;
	file_put(f);
	return NULL;
}

bool core_dump(const struct lx_siginfo *info)
{
	struct task *t = current;
	struct process *p = t->process;
	struct core c = { .limit = rlimit_get(RLIMIT_CORE) };
	struct notes n = { 0 };
	u64 *page;

	if (c.limit < PAGE_SIZE || p->dumpable != 1 || process_kill_others())
		return false;
	n.data = kmalloc(NOTES_MAX);
	page = kmalloc(PAGE_SIZE);
	c.f = n.data && page ? core_file() : NULL;
	if (c.f) {
		take_notes(&n, t, info);
		write_image(&c, t->mm, &n, page);
		file_truncate(c.f, MIN(c.pos, c.limit)); /* holes at the end */
		file_put(c.f);
	}
	kfree(n.data);
	kfree(page);
	return c.f != NULL;
}
