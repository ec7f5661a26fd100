/* SPDX-License-Identifier: Apache-2.0
 *
 * The seed's side of an order: turns a copy of the zygote into an instance's
 * first process (limits, mappings, handlers, filter) and enters the gate. Every
 * step that fails is told to the zygote through the mailbox. Must not read
 * anything a guest could have written: there is no guest yet.
 */
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "helper.h"

#define MAILBOX ((struct pico_mailbox_header *)PICO_MAILBOX_BASE)
#define STACK_RESERVE (8ull << 20) /* more than the limit the helper was started with */
#define PAGE_UP(n) (((n) + PICO_PAGE_SIZE - 1) & ~(PICO_PAGE_SIZE - 1))

static void announce(int32_t value)
{
	__atomic_store_n(&MAILBOX->listener, (uint32_t)value, __ATOMIC_RELEASE);
}

/* Its end must not pass for the instance's, which may try again. */
static _Noreturn void give_up(enum pico_seed_step step, long error)
{
	sys(prctl, PR_SET_NAME, "pico-failed");
	MAILBOX->seed_error_where = step;
	announce(error < 0 ? (int32_t)error : -EIO);
	sys_wake(&MAILBOX->listener);
	sys_exit(1);
}

void seed_check(enum pico_seed_step step, long result)
{
	if (result < 0)
		give_up(step, result);
}

/* ---- limits ---- */

static long limit_to(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit64 old, new;
	long error = sys(prlimit64, 0, resource, 0, &old);
	if (error)
		return error;
	new.rlim_max = hard < old.rlim_max ? hard : old.rlim_max;
	new.rlim_cur = soft < new.rlim_max ? soft : new.rlim_max;
	return sys(prlimit64, 0, resource, &new, 0);
}

static void set_limits(const struct pico_seed_limits *wanted)
{
	uint64_t data = wanted->data_bytes ? wanted->data_bytes : RLIM64_INFINITY;
	uint64_t nofile = wanted->nofile ? wanted->nofile : RLIM64_INFINITY;
	const struct { int resource; uint64_t value; } limits[] = {
		{ RLIMIT_DATA, data },
		{ RLIMIT_NOFILE, nofile },
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_STACK, 256 << 10 }, /* nothing grows downwards here */
		{ RLIMIT_FSIZE, RLIM64_INFINITY },
	};
	for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++)
		seed_check(PICO_SEED_RLIMIT, limit_to(limits[i].resource, limits[i].value, limits[i].value));
}

static void set_process(const char name[16])
{
	char text[16];
	memcpy(text, name, sizeof text);
	text[sizeof text - 1] = 0;
	seed_check(PICO_SEED_PRCTL, sys(prctl, PR_SET_NAME, text));
	seed_check(PICO_SEED_PRCTL, sys(prctl, PR_SET_DUMPABLE, 0));
	seed_check(PICO_SEED_PRCTL, sys(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* ---- memory ---- */

static long map_at(uint64_t place, uint64_t size, int prot, int kind, int fd)
{
	long at = sys(mmap, place, size, prot, kind | MAP_FIXED_NOREPLACE, fd, 0);
	return at < 0 || at == (long)place ? at : -EEXIST; /* old kernels take the place as a hint */
}

/* A mapping beyond the file's end would be SIGBUS later; say EINVAL now. */
static long holds(int fd, uint64_t size)
{
	struct stat file;
	long error = sys(fstat, fd, &file);
	if (error == 0 && (uint64_t)file.st_size < size)
		error = -EINVAL;
	return error;
}

int seed_map_mailbox(int fd)
{
	long at = holds(fd, PICO_MAILBOX_SIZE);
	if (at == 0)
		at = map_at(PICO_MAILBOX_BASE, PICO_MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	return at < 0 ? (int)at : 0;
}

void seed_keep_tables(uint64_t place)
{
	if (sys(madvise, place, PICO_PAGE_SIZE, PICO_MADV_GUARD_INSTALL) == 0)
		sys(madvise, place, PICO_PAGE_SIZE, PICO_MADV_GUARD_REMOVE);
}

/* The library OS keeps at the segment's start what every picoprocess needs. */
static long map_segment(int fd, uint64_t size)
{
	long error = size && size % PICO_PAGE_SIZE == 0 ? holds(fd, size) : -EINVAL;
	if (!error)
		error = map_at(PICO_SEGMENT_BASE, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (error < 0)
		return error;
	/* Advice without effect here, which makes it a mapping of its own. */
	if (size > PICO_SEGMENT_NEAR && sys(madvise, PICO_SEGMENT_BASE, PICO_SEGMENT_NEAR, MADV_DONTDUMP) == 0)
		seed_keep_tables(PICO_SEGMENT_BASE);
	return 0;
}

static long map_boot(int fd, uint64_t size)
{
	long error = size && size <= 1u << 30 ? holds(fd, size) : -EINVAL;
	return error ? error : map_at(PICO_BOOT_BASE, PAGE_UP(size), PROT_READ, MAP_PRIVATE, fd);
}

static void map_all(const struct order *o)
{
	enum pico_seed_step step;
	long error;
	seed_check(PICO_SEED_MAP_SEGMENT, map_segment(o->fd[ORDER_SEGMENT], o->order.segment_size));
	seed_check(PICO_SEED_MAP_BOOT, map_boot(o->fd[ORDER_BOOT], o->order.boot_size));
	error = image_map(o->fd[ORDER_LIBOS], &pico_gate_params.libos, &step);
	seed_check(step, error);
}

/* ---- signals ---- */

static long set_action(int signal, void *handler, unsigned long flags)
{
	struct sigaction action = { 0 };
	action.sa_handler = (__sighandler_t)handler;
	action.sa_flags = flags;
	if (flags & SA_RESTORER) {
		action.sa_restorer = (__sigrestore_t)(void *)pico_gate_restorer;
		action.sa_mask = flags & SA_NODEFER ? 0 : ~0ul;
	}
	return sys(rt_sigaction, signal, &action, 0, sizeof(sigset_t));
}

/* All dispositions are the default here (helper_main saw to it). SIGXFSZ is
 * ignored so that a write past a limit is EFBIG and not a death. */
static void set_signals(void)
{
	static const uint8_t caught[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, PICO_INTERRUPT_SIGNAL };
	static const uint8_t ignored[] = { SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ };
	sigset_t none = 0;
	/* SIGSYS blocks nothing, so that its handler may leave by a jump; what
	 * comes in the midst of it finds the gate's text, as in any downcall. */
	for (unsigned i = 0; i < sizeof caught; i++)
		seed_check(PICO_SEED_SIGACTION, set_action(caught[i], pico_gate_handler,
			SA_SIGINFO | SA_ONSTACK | SA_RESTORER | (caught[i] == SIGSYS ? SA_NODEFER : 0)));
	for (unsigned i = 0; i < sizeof ignored; i++)
		seed_check(PICO_SEED_SIGACTION, set_action(ignored[i], SIG_IGN, 0));
	seed_check(PICO_SEED_SIGACTION, sys(rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none));
}

/* ---- the gate ---- */

static void fill_params(const struct order *o)
{
	struct pico_gate_params *p = &pico_gate_params;
	p->segment_size = o->order.segment_size;
	p->boot_size = o->order.boot_size;
	p->bell = order_has_bell(o);
	/* The table is still the zygote's, which closes them at any time. */
	p->mailbox_fd = p->segment_fd = p->boot_fd = p->libos_fd = -1;
	p->unmap[0][0] = (uint64_t)helper_image_start;
	p->unmap[0][1] = (uint64_t)(helper_image_end - helper_image_start);
	p->unmap[1][0] = o->stack_top - STACK_RESERVE;
	p->unmap[1][1] = STACK_RESERVE;
}

/* Behind the filter only the gate's own instructions may enter the kernel. */
static void wake_through_gate(void)
{
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	register long r9 __asm__("r9") = 0;
	long result;
	__asm__ volatile("call pico_gate_plain"
			 : "=a"(result)
			 : "0"((long)__NR_futex), "D"(&MAILBOX->listener), "S"((long)FUTEX_WAKE), "d"(1l), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
}

/* What the zygote waits for: the listener's number, or nothing but a one. */
static long install_filter(const struct order *o)
{
	bool bell = order_has_bell(o);
	struct sock_fprog filter = {
		bell ? pico_bell_filter_count : pico_filter_count,
		(struct sock_filter *)(uintptr_t)(bell ? pico_bell_filter : pico_filter),
	};
	return sys(seccomp, SECCOMP_SET_MODE_FILTER, o->wanted_flags, &filter);
}

/* What the zygote has not done yet. */
static void join(const struct order *o)
{
	if (o->zygote->beside)
		seed_check(PICO_SEED_PRCTL, helper_join(o->zygote));
}

_Noreturn void seed_main(const struct order *o)
{
	long listener;
	if (order_has_bell(o)) {
		join(o); /* out of a further user namespace it could not */
		keeper_unshare(o);
	}
	set_limits(&o->order.limits);
	set_process(o->order.name);
	map_all(o);
	fill_params(o);
	join(o); /* as late as can be: the watchdog works on it meanwhile */
	if (order_has_bell(o))
		keeper_start(o);
	set_signals();
	listener = install_filter(o);
	seed_check(PICO_SEED_FILTER, listener);
	announce((int32_t)listener + 1);
	wake_through_gate();
	pico_gate_seed();
}
