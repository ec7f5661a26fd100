/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts a program in the place of the current one. First everything is read
 * and checked: file, #! lines, interpreter, sizes; only then the old address
 * space goes. What fails after that ends the process.
 */
#include "elf.h"
#include "../lx/arch.h"
#include "../arch/x86_64/patch.h"
#include "../lx/proc.h"
#include "../lx/time.h"
#include <linux/mman.h>
#include <linux/signal.h>
#include <linux/stat.h>

#define RLIMIT_STACK_ 3
#define HEAD_SIZE 256 /* what a #! line must fit in */
#define SCRIPTS_MOST 5
#define STRINGS_FLOOR (32 * PAGE_SIZE)
#define STRINGS_CEILING (6ull << 20)
#define DYN_BASE 0x555555554000ull
#define GAP_LEAST (128ull << 20)

struct program {
	struct exec_strings strings; /* the caller's, or ours once it moves */
	bool prepended; /* these are others, with a script's interpreter before them */
	struct file *file; /* what is loaded in the end */
	struct elf_image image, interpreter;
	char *path; /* as execve was told */
	struct mm *mm;
	u8 random[64];
	u64 random_used;
	bool secure, set_id;
	struct creds creds;
	struct task *task; /* whose program it will be, in another picoprocess */
};

/* ---- strings ---- */

u64 exec_strings_limit(void)
{
	u64 quarter = rlimit_get(RLIMIT_STACK_) / 4;
	return quarter < STRINGS_FLOOR ? STRINGS_FLOOR : quarter > STRINGS_CEILING ? STRINGS_CEILING : quarter;
}

static int check_strings(const struct exec_strings *x)
{
	u64 limit = exec_strings_limit();
	u64 pointers = ((u64)x->argc + x->envc) * 8;
	return pointers >= limit || x->bytes > limit - pointers ? -E2BIG : 0;
}

/* argv[0] gives way to the interpreter, its argument and the script's path. */
static int prepend(struct program *p, const char *interpreter, const char *argument, const char *script)
{
	const char *parts[3] = { interpreter, argument, script };
	struct exec_strings old = p->strings, new = { .argc = old.argc, .envc = old.envc };
	u64 skip = 0;
	if (old.argc) {
		skip = strlen(old.data) + 1;
		new.argc--;
	}
	new.bytes = old.bytes - skip;
	for (int i = 0; i < 3; i++)
		if (parts[i]) {
			new.bytes += strlen(parts[i]) + 1;
			new.argc++;
		}
	int r = check_strings(&new);
	if (r < 0)
		return r;
	char *at = new.data = kmalloc(new.bytes);
	if (!at)
		return -ENOMEM;
	for (int i = 0; i < 3; i++)
		if (parts[i]) {
			u64 n = strlen(parts[i]) + 1;
			memcpy(at, parts[i], n);
			at += n;
		}
	memcpy(at, old.data + skip, old.bytes - skip);
	if (p->prepended)
		kfree(old.data);
	p->strings = new;
	p->prepended = true;
	return 0;
}

/* ---- #! ---- */

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* Cuts the line into interpreter and argument; a name that may be cut off by
 * the end of the buffer is refused. head has HEAD_SIZE bytes and a zero. */
static int parse_script(char *head, char **interpreter, char **argument)
{
	char *line = head + 2, *end = strchr(line, '\n');
	if (!end) {
		char *p = line;
		while (blank(*p))
			p++;
		while (*p && !blank(*p))
			p++;
		if (p == head + HEAD_SIZE) /* no end of the name in sight */
			return -ENOEXEC;
		end = line + strlen(line);
	}
	while (end > line && blank(end[-1]))
		end--;
	*end = 0;
	while (blank(*line))
		line++;
	if (!*line)
		return -ENOEXEC;
	*interpreter = line;
	*argument = NULL;
	while (*line && !blank(*line))
		line++;
	if (*line) {
		*line++ = 0;
		while (blank(*line))
			line++;
		if (*line)
			*argument = line;
	}
	return 0;
}

/* Follows #! lines to a file that has none. */
static int resolve_scripts(struct program *p)
{
	char head[HEAD_SIZE + 1], name[HEAD_SIZE + 1];
	const char *script = p->path;
	for (int depth = 0;; depth++) {
		char *interpreter, *argument;
		memset(head, 0, sizeof(head));
		s64 r = file_read_kernel(p->file, head, HEAD_SIZE, 0);
		if (r < 0)
			return (int)r;
		if (head[0] != '#' || head[1] != '!')
			return 0;
		if (depth > SCRIPTS_MOST - 1)
			return -ELOOP;
		if ((r = parse_script(head, &interpreter, &argument)) < 0)
			return (int)r;
		struct file *f = file_open_exec(interpreter);
		if (IS_ERR(f))
			return (int)PTR_ERR(f);
		file_put(p->file);
		p->file = f;
		if ((r = prepend(p, interpreter, argument, script)) < 0)
			return (int)r;
		memcpy(name, interpreter, strlen(interpreter) + 1); /* the script of the next turn */
		script = name;
	}
}

/* ---- ids and capabilities ---- */

static void new_creds(struct program *p)
{
	struct creds *c = &p->creds;
	struct kstat st = { 0 };
	struct inode *i = p->file->inode;
	*c = current->process->creds;
	if (!c->no_new_privs && !path_nosuid(&p->file->path) && i->ops && i->ops->getattr && !i->ops->getattr(i, &st)) {
		if (st.mode & S_ISUID)
			c->euid = st.uid;
		if ((st.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			c->egid = st.gid;
	}
	p->set_id = c->euid != current->process->creds.euid || c->egid != current->process->creds.egid;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	p->secure = c->uid != c->euid || c->gid != c->egid;
	if (p->set_id)
		c->cap_ambient = 0;
	c->cap_permitted = c->cap_effective = c->cap_ambient;
	if (!(c->securebits & 1 /* SECBIT_NOROOT */)) {
		if (!c->euid || !c->uid)
			c->cap_permitted = c->cap_bounding | c->cap_inheritable;
		if (!c->euid)
			c->cap_effective = c->cap_permitted;
	}
	c->securebits &= ~(1u << 4); /* SECBIT_KEEP_CAPS */
}

/* ---- layout ---- */

static u64 take_random(struct program *p)
{
	u64 v;
	memcpy(&v, p->random + 32 + p->random_used, 8);
	p->random_used = (p->random_used + 8) % 32;
	return v;
}

static void lay_out(struct program *p)
{
	struct mm *mm = p->mm;
	u64 limit = rlimit_get(RLIMIT_STACK_), gap = MAX(limit, GAP_LEAST);
	mm->stack_top = PICO_GUEST_END - PAGE_SIZE - ((take_random(p) & 0x3fffff) << PAGE_SHIFT);
	gap = MIN(gap, 64ull << 30) + STACK_GUARD + (16ull << 30);
	mm->mmap_base = (PICO_GUEST_END - gap - ((take_random(p) & 0xfffffff) << PAGE_SHIFT)) & PAGE_MASK;
	if (p->image.header.e_type == ET_DYN) {
		u64 base = DYN_BASE + ((take_random(p) & 0xfffffff) << PAGE_SHIFT);
		p->image.bias = ALIGN_UP(base, p->image.align) - p->image.low;
	}
}

/* The interpreter lies where mmap would put it. */
static int place_interpreter(struct program *p)
{
	struct elf_image *e = &p->interpreter;
	if (e->header.e_type != ET_DYN)
		return 0;
	u64 span = e->high - e->low, at = mm_find_area(p->mm, 0, span + e->align, 0);
	if (!at)
		return -ENOMEM;
	e->bias = ((at + e->align) & ~(e->align - 1)) - e->low;
	return 0;
}

static void set_code_range(struct mm *mm, const struct elf_image *e)
{
	mm->start_code = ~0ull;
	for (u32 i = 0; i < e->header.e_phnum; i++) {
		const Elf64_Phdr *p = &e->segments[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		mm->start_code = MIN(mm->start_code, e->bias + p->p_vaddr);
		mm->end_code = MAX(mm->end_code, e->bias + p->p_vaddr + p->p_filesz);
	}
}

static int load(struct program *p, u64 *sp)
{
	struct mm *mm = p->mm;
	lay_out(p);
	int r = elf_map(mm, &p->image);
	if (r < 0)
		return r;
	mm->brk_start = mm->brk = page_up(p->image.bias + p->image.high) + (take_random(p) & 0x1fff) * PAGE_SIZE;
	set_code_range(mm, &p->image);
	if (p->interpreter.file) {
		if ((r = place_interpreter(p)) < 0 || (r = elf_map(mm, &p->interpreter)) < 0)
			return r;
	}
	if ((r = vdso_map(mm)) < 0)
		return r;
	struct start s = {
		.strings = &p->strings, .execfn = p->path, .program = &p->image,
		.interpreter = p->interpreter.file ? &p->interpreter : NULL, .random = p->random, .secure = p->secure,
	};
	return stack_build(mm, &s, sp);
}

/* ---- the two halves of exec ---- */

static int open_images(struct program *p)
{
	int r = elf_open(p->file, &p->image);
	if (r < 0 || !p->image.interpreter)
		return r;
	struct file *f = file_open_exec(p->image.interpreter);
	r = IS_ERR(f) ? (int)PTR_ERR(f) : elf_open(f, &p->interpreter);
	if (!IS_ERR(f))
		file_put(f);
	if (r == -ENOEXEC)
		r = -ELIBBAD;
	if (r < 0 && !current->mm) /* the first program: its user sees a plain error and looks at the wrong file */
		printk("%s: interpreter %s: error %d", p->path, p->image.interpreter, -r);
	return r;
}

static int prepare(struct program *p)
{
	int r = check_strings(&p->strings);
	if (!r)
		r = resolve_scripts(p);
	if (!r)
		r = open_images(p);
	if (r < 0)
		return r;
	new_creds(p);
	Dk(RandomBitsRead)(p->random, sizeof(p->random));
	p->mm = mm_create();
	return p->mm ? 0 : -ENOMEM;
}

static void set_names(struct program *p)
{
	struct process *proc = current->process;
	const char *slash = strrchr(p->path, '/'), *base = slash ? slash + 1 : p->path;
	size_t n = strnlen(base, sizeof(current->comm) - 1);
	memset(current->comm, 0, sizeof(current->comm));
	memcpy(current->comm, base, n);
	char *name = kmalloc(PAGE_SIZE);
	char *exe = name && p->file->path.dentry && path_name(&p->file->path, name, PAGE_SIZE) >= 0 ? kstrdup(name) : kstrdup(p->path);
	kfree(name);
	lock(&proc->lock);
	char *old = proc->exe_path;
	proc->exe_path = exe;
	proc->arg_start = p->mm->arg_start;
	proc->arg_end = p->mm->arg_end;
	proc->env_start = p->mm->env_start;
	proc->env_end = p->mm->env_end;
	unlock(&proc->lock);
	kfree(old);
}

/* What does not outlive the old program. */
static void reset_task(struct program *p)
{
	struct task *t = current;
	struct process *proc = t->process;
	lock(&proc->lock);
	proc->creds = p->creds;
	proc->dumpable = !p->secure;
	proc->keep_caps = 0;
	proc->has_execed = 1;
	proc->membarrier = 0;
	unlock(&proc->lock);
	if (p->set_id)
		t->pdeath_signal = 0;
	signal_exec(proc);
	timers_exec(proc);
	t->altstack = (struct lx_sigaltstack){ .flags = SS_DISABLE };
	t->clear_child_tid = t->set_child_tid = 0;
	t->robust_list = t->robust_list_size = 0;
	t->rseq = t->rseq_size = 0;
	t->restart = NULL;
	files_close_on_exec(t->files);
}

static void set_registers(const struct program *p, u64 sp)
{
	struct pico_context *c = current->regs;
	const struct elf_image *e = p->interpreter.file ? &p->interpreter : &p->image;
	*c = (struct pico_context){
		.rip = e->bias + e->header.e_entry, .rsp = sp, .rflags = 0x202, .cs = 0x33, .ss = 0x2b,
	};
	current->orig_rax = (u64)-1;
	current->fs_base = current->gs_base = 0;
	patch_forget();
	arch_reset_user_state();
}

/* From here there is no way back: the old program is gone. */
static int start_here(struct program *p)
{
	u64 sp;

	lock(&p->mm->lock);
	int r = load(p, &sp);
	unlock(&p->mm->lock);
	if (r < 0)
		return r;
	reset_task(p);
	set_names(p);
	set_registers(p, sp);
	p->mm = NULL; /* the task's now */
	wake_up(&current->process->exit_wait, 0); /* who waits for the exec of its child */
	return 0;
}

/* As Linux: a signal that nothing can hold off. Nobody else is left in the process. */
static void die(struct task *t)
{
	struct process *p = t->process;

	lock(&p->sig_lock);
	if (!p->group_exit) {
		p->group_exit = 1;
		p->group_exit_code = SIGSEGV;
	}
	__atomic_fetch_or(&t->flags, TIF_EXIT, __ATOMIC_SEQ_CST);
	unlock(&p->sig_lock);
}

/* The first program of all has nothing to lose and gets its error. Another ends
 * on its way out, when all that the call holds has been given up. */
static int commit(struct program *p)
{
	struct task *t = current;
	struct mm *old = t->mm;
	bool first = !old || !old->first;
	if (!first)
		futex_task_exit(t);
	host_unmap(PICO_GUEST_BASE, PICO_GUEST_END - PICO_GUEST_BASE);
	task_set_mm(t, p->mm);
	if (old)
		mm_leave(old);
	int r = start_here(p);
	if (r < 0 && !first)
		die(t);
	return r;
}

static void drop(struct program *p)
{
	elf_close(&p->image);
	elf_close(&p->interpreter);
	if (p->file)
		file_put(p->file);
	kfree(p->strings.data);
	kfree(p->path);
	if (p->mm && p->mm != current->mm)
		mm_leave(p->mm);
	kfree(p);
}

/* A new program shares descriptors and signal actions with nobody. */
static int unshare(void)
{
	const int err = files_unshare();

	return err ? err : sighand_unshare(current->process);
}

int exec_load(const char *path, struct exec_strings *strings, struct file *opened)
{
	struct program *p = kzalloc(sizeof(*p));
	int r = -ENOMEM;
	if (!p)
		return r;
	p->path = kstrdup(path);
	p->strings = *strings;
	p->file = opened ? file_get(opened) : file_open_exec(path);
	if (IS_ERR(p->file)) {
		r = (int)PTR_ERR(p->file);
		p->file = NULL;
	} else if (p->path) {
		r = prepare(p);
	}
	if (!r)
		r = process_kill_others();
	if (!r && current->mm)
		r = unshare();
	if (!r && current->mm && __atomic_load_n(&current->mm->users, __ATOMIC_ACQUIRE) > 1) {
		current->exec = p;
		if (p->strings.data == strings->data)
			strings->data = NULL;
		return EXEC_MOVE;
	}
	if (!r)
		r = commit(p);
	if (p->strings.data == strings->data)
		p->strings.data = NULL; /* still the caller's */
	drop(p);
	return r;
}

/* ---- in a fresh picoprocess ---- */

int exec_move(void)
{
	struct task *t = current, *lender = t->lender;
	struct program *p = t->exec;
	struct mm *old = t->mm;
	struct process *proc = t->process;
	pico_handle h;

	t->in_user = 0;
	t->cpu_time = cpu_time_thread();
	p->task = t;
	futex_task_exit(t);
	park_task_comes(true);
	task_set_mm(t, p->mm); /* who looks at us waits for the new program */
	for (const u64 end = now_mono() + PATIENCE_NS;;) {
		lock(&K->tree_lock);
		h = Dk(ProcessCreate)((u64)p);
		if (h > 0) {
			proc->starting = h;
			list_add_tail(&K->starting, &proc->starting_node);
		}
		unlock(&K->tree_lock);
		if (h != -PICO_EAGAIN || now_mono() >= end)
			break;
		Dk(ThreadDelayExecution)(now_mono() + PATIENCE_STEP_NS);
	}
	if (h < 0) {
		park_task_gone(true);
		task_set_mm(t, old);
		exec_abandon(t);
		return h == -PICO_ENOMEM ? -ENOMEM : -EAGAIN;
	}
	thread_block()->libos = lender; /* the task is another picoprocess's now */
	mm_leave(old);
	thread_leave(lender, 0);
}

void exec_abandon(struct task *t)
{
	drop(t->exec);
	t->exec = NULL;
}

void exec_arrive(u64 param)
{
	struct program *p = (struct program *)param;
	struct process *proc = p->task->process;

	host_threads_init(false);
	p->task->lender = NULL;
	p->task->cpu_base = 0 - p->task->cpu_time; /* what it had used in the old one */
	p->task->exec = NULL;
	thread_adopt(p->task);
	lock(&K->tree_lock);
	const pico_handle h = proc->starting;
	proc->starting = 0;
	list_del(&proc->starting_node);
	unlock(&K->tree_lock);
	interrupt_take();
	const int r = start_here(p);
	drop(p);
	Dk(ObjectClose)(h);
	if (r < 0)
		process_exit(SIGSEGV);
	return_to_user();
}
