/* SPDX-License-Identifier: Apache-2.0
 *
 * The start of the library OS: the kernel's own structures, the first process
 * and its program, from the boot block. Everything that can be wrong with what
 * the host application asked for is said here, in words.
 */
#include "../arch/x86_64/entry.h"
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/ipc.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/proc.h"
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/sched.h>

#define KERNEL_MAGIC 0x78756e696c6f6369ull
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_MAX_ 4096
#define ALL_CAPS ((1ull << (CAP_LAST_CAP + 1)) - 1)
#define INFINITY_ UINT64_MAX

/* ---- the boot block ---- */

static const struct pico_boot_record *next_record(const struct pico_boot_record *r)
{
	return (const void *)((const char *)(r + 1) + ALIGN_UP(r->size, 8u));
}
#define for_each_record(r, boot) \
	for (const struct pico_boot_record *r = (boot); r && r->tag != PICO_BOOT_END; r = next_record(r))

static const void *find_record(const void *boot, u32 tag)
{
	for_each_record(r, boot)
		if (r->tag == tag)
			return r + 1;
	return NULL;
}

static u32 count_strings(const void *boot, u32 tag, u64 *bytes)
{
	u32 n = 0;

	for_each_record(r, boot)
		if (r->tag == tag) {
			n++;
			*bytes += strlen((const char *)(r + 1)) + 1;
		}
	return n;
}

static char *copy_strings(const void *boot, u32 tag, char *to)
{
	for_each_record(r, boot)
		if (r->tag == tag) {
			const size_t n = strlen((const char *)(r + 1)) + 1;
			memcpy(to, r + 1, n);
			to += n;
		}
	return to;
}

/* Without arguments the program is its own argument 0. */
static void take_strings(const void *boot, const char *program, struct exec_strings *x)
{
	x->bytes = 0;
	x->argc = count_strings(boot, PICO_BOOT_ARG, &x->bytes);
	x->envc = count_strings(boot, PICO_BOOT_ENV, &x->bytes);
	if (!x->argc)
		x->bytes += strlen(program) + 1;
	x->data = kmalloc(x->bytes + 1);
	if (!x->data)
		boot_error(EXIT_NOT_EXECUTABLE, "no memory for the arguments");
	char *at = copy_strings(boot, PICO_BOOT_ARG, x->data);
	if (!x->argc) {
		memcpy(at, program, strlen(program) + 1);
		at += strlen(program) + 1;
		x->argc = 1;
	}
	copy_strings(boot, PICO_BOOT_ENV, at);
}

/* ---- the kernel ---- */

#define HUGE_LEAST (2ull << 20) /* nothing smaller holds a huge page */

static void kernel_init(const struct pico_init_info *info)
{
	const struct pico_boot_limits *limits = find_record(info->boot, PICO_BOOT_LIMITS);
	const u32 *ids = find_record(info->boot, PICO_BOOT_IDS);
	const char *hostname = find_record(info->boot, PICO_BOOT_HOSTNAME);
	const u64 *huge = find_record(info->boot, PICO_BOOT_HUGE_PAGES);

	K->magic = KERNEL_MAGIC;
	K->boot_mono = now_mono();
	K->boot_real = now_real();
	K->next_pid = 1;
	K->knobs.pid_max = 32768;
	K->knobs.max_map_count = 65530;
	K->knobs.lease_break_time = 45;
	K->cpu_count = info->cpu_count ? info->cpu_count : 1;
	K->memory_limit = info->memory_limit;
	K->huge_from = huge ? MAX(*huge, HUGE_LEAST) : 0;
	K->phys_memory = info->phys_memory;
	K->xstate_mask = info->xstate_mask;
	K->xstate_size = info->xstate_size;
	K->host = info->host;
	K->segment_handle = info->segment_handle;
	const u32 *flags = find_record(info->boot, PICO_BOOT_FLAGS);
	K->no_patching = flags && (*flags & PICO_BOOT_FLAG_NO_PATCH);
	if (limits)
		K->limits = *limits;
	if (ids) {
		K->boot_uid = ids[0];
		K->boot_gid = ids[1];
	}
	if (!hostname || !*hostname)
		hostname = "pico";
	memcpy(K->hostname, hostname, strnlen(hostname, sizeof(K->hostname) - 1));
	memcpy(K->domainname, "(none)", 7);
	list_init(&K->processes);
	list_init(&K->users);
	list_init(&K->dead_tasks);
	list_init(&K->starting);
	wait_queue_init(&K->sync_wait);
	ktimer_system_init();
	mem_init(info->segment, info->segment_size);
	futex_init();
	ipc_init();
}

/* ---- the first processes ---- */

static void set_limits(struct process *p)
{
	static const u64 defaults[RLIM_COUNT][2] = {
		[RLIMIT_CPU] = { INFINITY_, INFINITY_ },
		[RLIMIT_FSIZE] = { INFINITY_, INFINITY_ },
		[RLIMIT_DATA] = { INFINITY_, INFINITY_ },
		[RLIMIT_STACK] = { 8 << 20, INFINITY_ },
		[RLIMIT_CORE] = { 0, INFINITY_ },
		[RLIMIT_RSS] = { INFINITY_, INFINITY_ },
		[RLIMIT_NPROC] = { 32768, 32768 },
		[RLIMIT_NOFILE] = { 1024, 1 << 20 },
		[RLIMIT_MEMLOCK] = { 8 << 20, 8 << 20 },
		[RLIMIT_AS] = { INFINITY_, INFINITY_ },
		[RLIMIT_LOCKS] = { INFINITY_, INFINITY_ },
		[RLIMIT_SIGPENDING] = { 32768, 32768 },
		[RLIMIT_MSGQUEUE] = { 819200, 819200 },
		[RLIMIT_NICE] = { 0, 0 },
		[RLIMIT_RTPRIO] = { 0, 0 },
		[RLIMIT_RTTIME] = { INFINITY_, INFINITY_ },
	};
	memcpy(p->rlimit, defaults, sizeof(defaults));
}

static void set_creds(struct process *p, u32 uid, u32 gid)
{
	struct creds *c = &p->creds;

	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = gid;
	c->groups[0] = gid;
	c->group_count = 1;
	c->cap_bounding = ALL_CAPS;
	c->cap_effective = c->cap_permitted = uid == 0 ? ALL_CAPS : 0;
}

static struct task *make_process(struct process *parent, u32 uid, u32 gid)
{
	struct process *p = process_alloc();
	struct task *t = task_alloc();

	if (!p || !t)
		boot_error(EXIT_NOT_EXECUTABLE, "no memory for the first process");
	set_limits(p);
	set_creds(p, uid, gid);
	p->user = user_get(uid);
	p->sighand = sighand_copy(NULL);
	if (!p->sighand)
		boot_error(EXIT_NOT_EXECUTABLE, "no memory for the first process");
	p->leader = t;
	t->process = p;
	if (task_assign_tid(t))
		boot_error(EXIT_NOT_EXECUTABLE, "no number for the first process");
	task_put(t); /* the table holds it */
	ref_get(&p->ref); /* the task's */
	p->pid = p->pgid = p->sid = t->tid;
	p->parent = parent;
	p->ppid = parent ? parent->pid : 0;
	list_add_tail(&K->processes, &p->all_node);
	if (parent)
		list_add_tail(&parent->children, &p->sibling);
	K->process_count++;
	return t;
}

/* pid 1 is a name only: the parent of orphans, so that no program is init. */
static void make_root(void)
{
	struct task *t = make_process(NULL, 0, 0);

	memcpy(t->comm, "init", 5);
	K->root = t->process;
}

static void make_first(const struct pico_init_info *info)
{
	struct task *t = make_process(K->root, K->boot_uid, K->boot_gid);

	K->init = t->process;
	K->live_tasks = K->picoprocesses = 1;
	process_add_task(t->process, t);
	__atomic_fetch_add(&t->process->user->tasks, 1, __ATOMIC_RELAXED);
	ref_get(&t->ref); /* the thread's own */
	host_threads_init(true);
	thread_adopt(t);
	vfs_init(info->boot);
	t->files = files_create();
	t->fs = fs_context_boot(info->boot);
	if (!t->files || !t->fs)
		boot_error(EXIT_NOT_EXECUTABLE, "no memory for the first process");
	int err = console_open_std(t->files);
	if (err < 0)
		boot_error(EXIT_NOT_EXECUTABLE, "the standard streams cannot be opened: error %d", -err);
}

/* ---- the program ---- */

static const char *path_variable(const struct exec_strings *x)
{
	const char *s = x->data;

	for (u32 i = 0; i < x->argc + x->envc; i++, s += strlen(s) + 1)
		if (i >= x->argc && !strncmp(s, "PATH=", 5))
			return s + 5;
	return PATH_DEFAULT;
}

static int try_directory(const char *dir, size_t n, const char *name, struct exec_strings *x)
{
	char *path = kmalloc(PATH_MAX_);
	int err = -ENAMETOOLONG;

	if (!path)
		return -ENOMEM;
	if (snprintf(path, PATH_MAX_, "%.*s%s%s", (int)n, dir, n ? "/" : "", name) < PATH_MAX_)
		err = exec_load(path, x, NULL);
	kfree(path);
	return err;
}

/* As a shell looks: the first that runs; a file one may not run is remembered. */
static int search(const char *name, struct exec_strings *x)
{
	int worst = -ENOENT;

	for (const char *dir = path_variable(x);;) {
		const char *end = strchr(dir, ':');
		const int err = try_directory(dir, end ? (size_t)(end - dir) : strlen(dir), name, x);
		if (!err)
			return 0;
		if (err != -ENOENT && err != -ENOTDIR)
			worst = err;
		if (err == -ENOEXEC || err == -ENOMEM || !end)
			return worst;
		dir = end + 1;
	}
}

static const char *reason(int err)
{
	static const struct { int err; const char *text; } reasons[] = {
		{ ENOENT, "no such file or directory" }, { EACCES, "permission denied" },
		{ ENOEXEC, "not an executable this library OS can run" }, { ENOTDIR, "not a directory" },
		{ EISDIR, "is a directory" }, { ENOMEM, "out of memory" }, { ELOOP, "too many symbolic links" },
		{ EIO, "input/output error" }, { E2BIG, "argument list too long" }, { ENAMETOOLONG, "name too long" },
		{ ELIBBAD, "its interpreter is damaged" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].err == -err)
			return reasons[i].text;
	return "cannot be loaded";
}

static void __attribute__((noreturn)) boot_fresh(const struct pico_init_info *info)
{
	const char *program = find_record(info->boot, PICO_BOOT_PROGRAM);
	struct exec_strings x;

	kernel_init(info);
	vdso_init(info);
	make_root();
	make_first(info);
	K->init_done = 1;
	if (!program || !*program)
		boot_error(EXIT_NOT_FOUND, "no program was named");
	take_strings(info->boot, program, &x);
	const int err = strchr(program, '/') ? exec_load(program, &x, NULL) : search(program, &x);
	if (err == -ENOENT || err == -ENOTDIR)
		boot_error(EXIT_NOT_FOUND, "%s: %s", program, reason(err));
	if (err)
		boot_error(EXIT_NOT_EXECUTABLE, "%s: %s (error %d)", program, reason(err), -err);
	kfree(x.data);
	return_to_user();
}

void boot_main(const struct pico_init_info *info)
{
	if (info->abi_version != PICO_ABI_VERSION)
		boot_error(EXIT_NOT_EXECUTABLE, "this library OS is for ABI version %u, the host has %u", PICO_ABI_VERSION, info->abi_version);
	switch (info->reason) {
	case PICO_INIT_FRESH:
		boot_fresh(info);
	case PICO_INIT_PROCESS:
		vdso_init(info);
		if (info->param & RESUME_PARAM)
			resume_picoprocess(info);
		exec_arrive(info->param);
	case PICO_INIT_RESUME:
		if (K->magic != KERNEL_MAGIC)
			panic("what is to be resumed is not this library OS's");
		vdso_init(info);
		resume_first(info);
	}
	panic("unknown reason %u to start", info->reason);
}
