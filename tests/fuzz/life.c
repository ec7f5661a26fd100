/* SPDX-License-Identifier: Apache-2.0
 *
 * One fuzzed instance from its start to its end. The calling thread is the
 * guard: it takes the notifications of guests that are not there. Beside it
 * run the real workers, a guest thread that scribbles over the mailbox, a
 * hostile process of the host that renames, and a thread of the application.
 * Looks into the monitor's tables, and faults where they contradict themselves.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "monitor/stream_internal.h"

#define FILE_LIMIT (256u << 10)
#define TIGHT_DESCRIPTORS 40u
#define CANARY 0xc5

struct asked { struct request q; uint64_t id; uint32_t seq; };
struct life {
	struct pico *p;
	struct source *s;
	const struct life_plan *plan;
	struct knowledge k, app_k;
	struct pico__job *spare;
	struct asked last[ASKING_SLOTS];
	struct kid kid[KIDS];
	uint64_t seed_wait; /* id of the held request */
	uint32_t slot, cookie; /* of the last clone that was let through, or the last order */
	/* One a thread of the guest: the thread checker need not know that they race. */
	uint8_t *mapping[3];
	uint64_t made, salt;
	uint32_t process_rate; /* of 256 steps */
	atomic_bool over;
	pthread_t threads[3];
	bool running;
};

/* ---- the application's callbacks ---- */

/* Anything a careless application may answer. */
static int64_t careless(uint64_t offset, size_t size, bool reading)
{
	uint64_t dice = source_mix(offset ^ (uint64_t)size << 32);

	switch (dice % 16) {
	case 0: return 0;
	case 1: return -PICO_EIO;
	case 2: return -PICO_EINTR;
	case 3: return -(int64_t)(dice >> 40);
	case 4: return INT64_MIN;
	case 5: return INT64_MAX;
	case 6: return (int64_t)size + 1;
	case 7: return -PICO_EAGAIN;
	default: return reading && dice & 256 ? (int64_t)size / 2 : (int64_t)size;
	}
}

static void ran(uint64_t offset, int64_t answer)
{
	if (offset >= TOKEN_BASE && offset < TOKEN_BASE + KERNEL_IDS && answer != -PICO_EINTR)
		kernel_ran(offset - TOKEN_BASE);
	if (offset % 64 == 3) /* so that others come meanwhile */
		nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
}

static int64_t app_read(void *user, uint64_t offset, void *buffer, size_t size)
{
	int64_t answer = careless(offset, size, true);

	(void)user;
	memset(buffer, 'r', size);
	ran(offset, answer);
	return answer;
}

static int64_t app_write(void *user, uint64_t offset, const void *buffer, size_t size)
{
	int64_t answer = careless(offset, size, false);
	unsigned sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += ((const uint8_t *)buffer)[i];
	atomic_fetch_add((atomic_uint *)user, sum);
	ran(offset, answer);
	return answer;
}

static atomic_uint sums, lines, ends;

static void logged(void *user, int level, const char *line)
{
	(void)user;
	for (; *line; line++)
		if (((uint8_t)*line < 0x20 && *line != '\t') || *line == 0x7f)
			fault("a control character in the log");
	if (level < PICO_LOG_ERROR || level > PICO_LOG_DEBUG)
		fault("log level %d", level);
	atomic_fetch_add(&lines, 1);
}

static void ended(void *user, const struct pico_exit *e)
{
	(void)user;
	atomic_fetch_add(&ends, e->kind ? 1 : 0);
}

/* ---- making ---- */

static void choose_stdio(struct source *s, struct pico_options *o)
{
	for (int i = 0; i < 3; i++) {
		struct pico_stdio *io = &o->stdio[i];

		io->fd = -1;
		switch (source_below(s, 3)) {
		case 0:
			io->kind = PICO_STDIO_CALLBACK;
			io->read = i == 0 ? app_read : NULL;
			io->write = i == 0 ? NULL : app_write;
			io->user = &sums;
			break;
		case 1:
			io->fd = world_stdio(source_below(s, WORLD_STDIO));
			io->kind = io->fd >= 0 ? PICO_STDIO_FD : PICO_STDIO_NULL;
			break;
		default:
			break;
		}
	}
}

static void choose(struct source *s, struct pico_options *o)
{
	static const uint32_t processes[] = { 1, 3, 8 }, threads[] = { 2, 8, 64 }, streams[] = { 6, 40, 200 };

	pico_options_init(o);
	o->program = "/file";
	o->flags = source_chance(s, 25) ? PICO_FLAG_DISPATCH : 0;
	o->limits.processes = SOURCE_PICK(s, processes);
	o->limits.threads = SOURCE_PICK(s, threads);
	o->limits.streams = SOURCE_PICK(s, streams);
	o->limits.memory = source_chance(s, 20) ? 64u << 20 : 0;
	o->limits.cpu_seconds = source_chance(s, 20) ? 1000 : 0;
	o->limits.deadline_ms = source_chance(s, 20) ? 60000 : 0;
	o->log = source_chance(s, 90) ? logged : NULL;
	o->log_level = 1 + source_below(s, 4);
	o->on_exit = ended;
	choose_stdio(s, o);
}

static struct pico *make(const struct pico_options *choice)
{
	static const char *const hosts[] = { "rw2", "ro", "one", "rw2", "rw2" };
	static const char *const guests[] = { "/rw2", "/ro", "/one", "/deep/er", "/ro/inner" };
	static const struct pico_app_stream apps[] = {
		{ "echo", app_read, app_write, &sums }, { "in", app_read, NULL, &sums }, { "out", NULL, app_write, &sums },
	};
	char paths[5][160], root[160];
	struct pico_mount mounts[5];
	struct pico_options o = *choice;
	struct pico_error error;
	struct pico *p = NULL;

	snprintf(root, sizeof(root), "%s/rw", world_root);
	for (int i = 0; i < 5; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", world_root, hosts[i]);
		mounts[i] = (struct pico_mount){ paths[i], guests[i], i == 1 ? PICO_MOUNT_READ_ONLY : 0, 0 };
	}
	o.root = root;
	o.mounts = mounts;
	o.mount_count = 5;
	o.apps = apps;
	o.app_count = 3;
	return pico__create_detached(&o, &p, &error) ? NULL : p;
}

static struct pico *attached(const struct pico_options *o)
{
	struct pico *p = make(o);
	struct pico_error error;

	if (!p)
		return NULL;
	if (pico__guard_get(&p->guard, &error) < 0) {
		p->guard = NULL;
		pico_destroy(p);
		return NULL;
	}
	return p;
}

/* ---- the other threads ---- */

static void breathe(struct source *s)
{
	if (source_chance(s, 10))
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

static void *guest_main(void *argument)
{
	struct life *l = argument;
	struct source s = source_seeded(l->salt + 1);

	memory_mine = true;
	while (!atomic_load(&l->over)) {
		for (int i = 0; i < 8; i++)
			make_scribble(&s, l->mapping[1]);
		kernel_guest_uses(&s);
		breathe(&s);
	}
	return NULL;
}

static void *host_main(void *argument)
{
	struct life *l = argument;
	struct source s = source_seeded(l->salt + 2);

	memory_mine = true;
	while (!atomic_load(&l->over)) {
		world_flip(&s);
		breathe(&s);
	}
	return NULL;
}

static void use_api(struct source *s, struct pico *p)
{
	struct pico_stats stats = { .size = sizeof(stats) };

	switch (source_below(s, 6)) {
	case 0:
		if (pico_stats(p, &stats) == 0 && stats.streams > p->config.limits.streams)
			fault("%u streams, limit %u", stats.streams, p->config.limits.streams);
		break;
	case 1:
		if (pico_signal(p, 1 + (int)source_below(s, 30)) == 0)
			break;
		break;
	case 2:
		pico_dispatch(p);
		break;
	case 3:
		if (strlen(pico_get_error(p)->message) >= sizeof(pico_get_error(p)->message))
			fault("error message without an end");
		break;
	default:
		break;
	}
}

/* Streams are used by several threads at once: guard and workers. */
static void *app_main(void *argument)
{
	struct life *l = argument;
	struct source s = source_seeded(l->salt + 3);
	struct request q = { .slot = APP_SLOT };

	while (!atomic_load(&l->over)) {
		memory_mine = true;
		make_request(&s, &l->app_k, &q);
		memory_mine = false;
		if (source_chance(&s, 20))
			use_api(&s, l->p);
		if (make_is_stream(q.nr))
			make_learn(&l->app_k, &q, pico__request_serve(l->p, q.nr, q.r, q.slot));
		breathe(&s);
	}
	return NULL;
}

static void start_threads(struct life *l)
{
	void *(*const mains[])(void *) = { guest_main, host_main, app_main };

	l->running = l->plan->threads;
	for (int i = 0; l->running && i < 3; i++)
		if (pthread_create(&l->threads[i], NULL, mains[i], l))
			fault("no threads");
}

static void stop_threads(struct life *l)
{
	atomic_store(&l->over, true);
	for (int i = 0; l->running && i < 3; i++)
		pthread_join(l->threads[i], NULL);
}

/* ---- notifications ---- */

static struct seccomp_notif notification(uint64_t id, pid_t pid, int64_t nr)
{
	struct seccomp_notif n = { .id = id, .pid = (uint32_t)pid };

	n.data.nr = (int)nr;
	n.data.arch = AUDIT_ARCH_X86_64;
	return n;
}

/* As the guard does. */
static void serve(struct life *l, const struct seccomp_notif *n)
{
	memory_mine = false;
	if (n->data.nr == SYS_clone) {
		pico__process_clone(l->p, n);
	} else if (n->data.nr == SYS_close_range) {
		pico__process_close_range(l->p, n);
	} else if ((uint32_t)n->data.nr == PICO_NR_SEED_WAIT) {
		pico__process_seed_wait(l->p, n);
	} else {
		pico__request_notified(l->p, n, &l->spare);
	}
	memory_mine = true;
}

static pid_t some_tid(struct life *l)
{
	unsigned at = source_below(l->s, KIDS);

	for (unsigned i = 0; i < KIDS && source_chance(l->s, 90); i++)
		if (l->kid[(at + i) % KIDS].pid)
			return l->kid[(at + i) % KIDS].pid;
	return 0;
}

/* A request that is not answered yet when its slot asks for something else
 * belongs to a thread that is gone: it will not be answered. */
static void supersede(struct asked *a)
{
	int64_t ignored;

	if (a->id && !kernel_answer(a->id, &ignored))
		kernel_excuse(a->id);
}

static void notify(struct life *l, struct asked *a, pid_t tid)
{
	struct seccomp_notif n;
	int64_t answer;

	a->id = kernel_id();
	n = notification(a->id, tid, (int32_t)a->q.nr);
	for (int i = 1; i < 6; i++)
		n.data.args[i] = a->q.r[i];
	n.data.args[0] = PICO_REQUEST_WORD(a->q.slot, a->seq);
	if (a->q.nr == PICO_NR_CRASHED)
		kernel_excuse(a->id);
	serve(l, &n);
	if (!kernel_answer(a->id, &answer))
		return;
	make_check(&a->q, answer);
	make_learn(&l->k, &a->q, answer);
}

/* A slot may have been given to a new thread since: then nothing is known of
 * what its last one asked. Only the guard's thread changes that. */
static bool remembered(struct life *l, const struct asked *a)
{
	struct pico__thread *t = &l->p->threads[a->q.slot];
	bool yes;

	pthread_mutex_lock(&l->p->lock);
	yes = t->have_seq && t->seq == a->seq && t->nr == a->q.nr;
	pthread_mutex_unlock(&l->p->lock);
	return yes;
}

/* The kernel issues a request again, without WAIT_KILLABLE_RECV: it must get
 * the answer it got before, or was to get, and not run again. */
static void again(struct life *l, struct asked *a)
{
	int64_t before = 0, after = 0;
	bool had = kernel_answer(a->id, &before);

	supersede(a);
	notify(l, a, some_tid(l));
	if (had && before != -PICO_EINTR && kernel_answer(a->id, &after) && after != before)
		fault("request 0x%x: answered %lld, and %lld when asked again", a->q.nr, (long long)before, (long long)after);
}

static void closed_first(const struct request *q)
{
	/* The gate closes its descriptor before it says so. */
	if (q->nr == PICO_NR(PICO_DC_ObjectClose) && PICO_HANDLE_TYPE(q->r[1]) == PICO_HT_STREAM)
		kernel_guest_closes((int)(PICO_HANDLE_PAYLOAD(q->r[1]) & 0xffff));
}

static void ask(struct life *l)
{
	struct asked *a = &l->last[source_below(l->s, ASKING_SLOTS)];
	int64_t ignored;

	if (a->id && source_chance(l->s, kernel_answer(a->id, &ignored) ? 8 : 60) && remembered(l, a)) {
		again(l, a);
		return;
	}
	supersede(a);
	a->seq = source_chance(l->s, 98) ? a->seq + 1 : (uint32_t)make_number(l->s);
	make_request(l->s, &l->k, &a->q);
	/* Offsets of this range are promises: each runs once. */
	for (int i = 1; i < 6; i++)
		if (a->q.r[i] - TOKEN_BASE < KERNEL_IDS)
			a->q.r[i] = TOKEN_BASE + 1 + l->made;
	closed_first(&a->q);
	notify(l, a, some_tid(l));
}

/* Never asked again, whether it is answered or not. */
static void ask_once(struct life *l, struct asked *a, pid_t tid)
{
	notify(l, a, tid);
	supersede(a);
}

/* Slots and words that no thread of a gate would use. */
static void ask_oddly(struct life *l)
{
	struct asked a = { .seq = (uint32_t)source_take(l->s, 4) };

	a.q.slot = FIRST_SLOT;
	make_request(l->s, &l->k, &a.q);
	a.q.slot = make_slot(l->s) & ~1u;
	ask_once(l, &a, some_tid(l));
}

/* ---- processes ---- */

static struct kid *new_kid(struct life *l)
{
	for (unsigned i = 1; i < KIDS; i++)
		if (!l->kid[i].pid)
			return kid_make(&l->kid[i], l->p->name) ? &l->kid[i] : NULL;
	return NULL;
}

static bool is_known(const struct life *l, const struct kid *kid)
{
	return pico__guard_pid_find(l->p->guard, kid->pid) != NULL;
}

/* A child that the monitor has not heard of. */
static struct kid *hidden_kid(struct life *l)
{
	for (unsigned i = 1; i < KIDS; i++)
		if (l->kid[i].pid && !is_known(l, &l->kid[i]))
			return &l->kid[i];
	return NULL;
}

static void report_end(struct life *l, struct kid *kid)
{
	struct pico__process *q;
	int status;

	static const int statuses[] = { 0, 1 << 8, 127 << 8, 9, 11, 31 };

	kid_end(kid, &status);
	if (source_chance(l->s, 50)) /* it might as well have ended so */
		status = SOURCE_PICK(l->s, statuses);
	q = pico__guard_pid_find(l->p->guard, kid->pid);
	memory_mine = false;
	if (q)
		pico__process_exited(q, status);
	else if (status && source_chance(l->s, 20))
		pico__process_stray_exited(l->p, kid->pid, status);
	memory_mine = true;
	kid_reap(kid);
}

static void leave_table(struct life *l)
{
	struct seccomp_notif n = notification(kernel_id(), l->kid[0].pid, SYS_close_range);
	bool first = !l->p->seed_seen;

	n.data.args[1] = source_chance(l->s, 95) ? ~0u : make_number(l->s);
	n.data.args[2] = 2;
	serve(l, &n);
	if (kernel_continued(n.id) && !first)
		fault("close_range was let through twice");
}

static void take_order(struct life *l)
{
	int64_t order;

	if (l->seed_wait && kernel_answer(l->seed_wait, &order) && order > 0) {
		l->slot = (uint32_t)(order >> 8) & 0xffff;
		l->cookie = (uint32_t)(order >> 24);
		l->seed_wait = 0;
	}
}

static void seed_waits(struct life *l)
{
	struct seccomp_notif n = notification(kernel_id(), source_chance(l->s, 95) ? l->kid[0].pid : some_tid(l), PICO_NR_SEED_WAIT);

	if (l->seed_wait)
		kernel_excuse(l->seed_wait);
	n.data.args[1] = source_chance(l->s, 70) ? 1000 : source_chance(l->s, 50) ? (uint64_t)-PICO_EAGAIN : make_number(l->s);
	serve(l, &n);
	l->seed_wait = n.id;
	take_order(l);
}

static bool clone_as(struct life *l, pid_t tid, uint64_t flags, uint32_t slot, uint32_t cookie)
{
	struct seccomp_notif n = notification(kernel_id(), tid, SYS_clone);

	n.data.args[0] = flags;
	n.data.args[5] = PICO_CLONE_TAG(slot, cookie);
	serve(l, &n);
	if (!kernel_continued(n.id))
		return false;
	if (flags != PICO_CLONE_PROCESS_FLAGS && flags != PICO_CLONE_THREAD_FLAGS)
		fault("clone with flags 0x%llx was let through", (unsigned long long)flags);
	l->slot = slot;
	l->cookie = cookie;
	return true;
}

static uint64_t clone_flags(struct source *s)
{
	return source_chance(s, 60) ? PICO_CLONE_PROCESS_FLAGS : source_chance(s, 97) ? PICO_CLONE_THREAD_FLAGS : make_number(s);
}

static void clone_oddly(struct life *l)
{
	uint32_t slot = source_chance(l->s, 50) ? l->slot : make_slot(l->s), cookie = l->cookie;
	uint64_t flags = clone_flags(l->s);

	if (source_chance(l->s, 50))
		cookie = l->k.handle_count && source_chance(l->s, 70) ?
			 (uint32_t)PICO_HANDLE_PAYLOAD(l->k.handle[source_below(l->s, l->k.handle_count)]) : source_below(l->s, 40);
	if (clone_as(l, some_tid(l), flags, slot, cookie) && flags == PICO_CLONE_PROCESS_FLAGS && source_chance(l->s, 80))
		new_kid(l); /* hidden until it says HELLO; else the clone came to nothing */
}

static int64_t hello_as(struct life *l, pid_t tid, uint32_t slot, uint64_t kind, uint64_t cookie)
{
	struct asked a = { .q = { .nr = PICO_NR_HELLO, .slot = slot, .r = { 0, kind, cookie } }, .seq = (uint32_t)source_take(l->s, 4) };
	int64_t answer = -PICO_EAGAIN;

	ask_once(l, &a, tid);
	kernel_answer(a.id, &answer);
	return answer;
}

static void hello_oddly(struct life *l)
{
	struct kid *kid = source_chance(l->s, 70) ? hidden_kid(l) : NULL;
	uint32_t slot = source_chance(l->s, 90) ? l->slot : make_slot(l->s);
	uint64_t kind = source_chance(l->s, 70) ? 0 : source_below(l->s, 3);

	hello_as(l, kid ? kid->pid : some_tid(l), slot, kind, source_chance(l->s, 90) ? l->cookie : make_number(l->s));
	if (kid && !is_known(l, kid) && source_chance(l->s, 30)) /* as the gate does */
		report_end(l, kid);
}

/* ---- as gates do it, so that there are picoprocesses to be hostile with ---- */

static void be_born(struct life *l)
{
	struct kid *kid = new_kid(l);

	if (kid && hello_as(l, kid->pid, l->slot, 0, l->cookie) < 0)
		report_end(l, kid);
}

static void seed_makes_one(struct life *l)
{
	if (!l->seed_wait)
		seed_waits(l);
	take_order(l);
	if (!l->seed_wait && clone_as(l, l->kid[0].pid, PICO_CLONE_PROCESS_FLAGS, l->slot, l->cookie))
		be_born(l);
}

static struct kid *live_kid(struct life *l)
{
	unsigned at = source_below(l->s, KIDS);

	for (unsigned i = 0; i < KIDS; i++) {
		struct kid *kid = &l->kid[(at + i) % KIDS];

		if (kid != &l->kid[0] && kid->pid && is_known(l, kid))
			return kid;
	}
	return NULL;
}

static void clone_makes_one(struct life *l)
{
	struct kid *parent = live_kid(l);
	struct asked a = { .q = { .nr = PICO_NR(PICO_DC_ProcessClone), .slot = 20 }, .seq = (uint32_t)source_take(l->s, 4) };
	int64_t handle = 0;

	if (!parent)
		return;
	if (source_chance(l->s, 50)) {
		ask_once(l, &a, parent->pid);
		if (!kernel_answer(a.id, &handle) || handle < 0)
			return;
	}
	if (clone_as(l, parent->pid, PICO_CLONE_PROCESS_FLAGS, 30 + source_below(l->s, 8), (uint32_t)PICO_HANDLE_PAYLOAD(handle)) &&
	    source_chance(l->s, 80))
		be_born(l);
}

/* The kernel would give the new thread an id of its own; here the first
 * thread's must do, which the monitor takes for one used again. */
static void thread_makes_one(struct life *l)
{
	struct kid *kid = live_kid(l);

	if (kid && clone_as(l, kid->pid, PICO_CLONE_THREAD_FLAGS, 40 + source_below(l->s, 8), 0) && source_chance(l->s, 80))
		hello_as(l, source_chance(l->s, 80) ? kid->pid : some_tid(l), l->slot, 1, 0);
}

static void one_ends(struct life *l)
{
	struct kid *kid = live_kid(l);
	struct asked a = { .q = { .nr = PICO_NR(PICO_DC_ProcessExit), .slot = 22 }, .seq = (uint32_t)source_take(l->s, 4) };

	if (!kid)
		return;
	a.q.r[1] = source_below(l->s, 300);
	ask_once(l, &a, kid->pid);
	if (source_chance(l->s, 80))
		report_end(l, kid);
}

static void exit_one(struct life *l)
{
	static const uint64_t codes[] = { 0, 1, 255, 256, 257, 256 + 64, 256 + 65, PICO_EXIT_LIBOS_CRASH, UINT64_MAX };
	struct asked a = { .q = { .nr = PICO_NR(PICO_DC_ProcessExit), .slot = 2 * source_below(l->s, 6) }, .seq = (uint32_t)source_take(l->s, 4) };

	a.q.r[1] = SOURCE_PICK(l->s, codes);
	if (source_chance(l->s, 5))
		a.q.nr = PICO_NR_CRASHED;
	ask_once(l, &a, some_tid(l));
}

static void die_one(struct life *l)
{
	struct kid *kid = &l->kid[1 + source_below(l->s, KIDS - 1)];

	if (kid->pid)
		report_end(l, kid);
}

static void begin_seed(struct life *l)
{
	if (!source_chance(l->s, 70) || !kid_make(&l->kid[0], "pico-seed"))
		return;
	l->p->seed_pidfd = (int)syscall(SYS_pidfd_open, l->kid[0].pid, 0);
	leave_table(l);
}

/* As if two seconds had passed. */
static void age(struct life *l)
{
	pthread_mutex_lock(&l->p->lock);
	for (struct pico__process *q = l->p->processes; q; q = q->next)
		q->since -= 2 * PICO__NS;
	for (uint32_t slot = 0; slot < l->p->slot_high; slot++)
		l->p->threads[slot].since -= 2 * PICO__NS;
	l->p->overdue_at -= l->p->overdue_at ? 2 * PICO__NS : 0;
	pthread_mutex_unlock(&l->p->lock);
}

static void process_step(struct life *l)
{
	static void (*const odd[])(struct life *) = { seed_waits, clone_oddly, clone_oddly, hello_oddly, hello_oddly, leave_table, age };
	static void (*const proper[])(struct life *) = { seed_makes_one, clone_makes_one, clone_makes_one, thread_makes_one, thread_makes_one, one_ends };

	if (!l->kid[0].pid)
		return;
	take_order(l);
	if (source_below(l->s, 512) < 2)
		source_chance(l->s, 50) ? exit_one(l) : die_one(l);
	else if (source_chance(l->s, 50))
		SOURCE_PICK(l->s, proper)(l);
	else
		SOURCE_PICK(l->s, odd)(l);
}

/* ---- do the tables agree? ---- */

static void check_process(const struct pico *p, const struct pico__process *q)
{
	uint32_t before = 0, steps = 0;

	if (q->instance != p)
		fault("a picoprocess of another instance");
	for (uint32_t at = q->first_thread; at; at = p->threads[at - 1].next) {
		if (at > PICO_SLOT_COUNT || ++steps > PICO_SLOT_COUNT)
			fault("the chain of a picoprocess's threads is broken");
		if (p->threads[at - 1].process != q || p->threads[at - 1].prev != before)
			fault("slot %u is in the wrong chain", at - 1);
		before = at;
	}
	if (q->state == PICO__GONE && q->first_thread)
		fault("threads of a picoprocess that is gone");
	if (q->number && q->state == PICO__GONE && !q->references)
		fault("a picoprocess that nobody knows any more");
}

static void check_tids(const struct pico *p)
{
	for (uint32_t slot = 0; slot < p->slot_high; slot++) {
		const struct pico__thread *t = &p->threads[slot];

		if (t->tid && pico__thread_by_tid((struct pico *)(uintptr_t)p, t->tid, NULL) != t)
			fault("thread id %d of slot %u cannot be found", t->tid, slot);
		if (t->tid && !t->process)
			fault("slot %u has a thread id and no picoprocess", slot);
	}
}

static void check_tables(struct pico *p)
{
	uint32_t processes = 0, threads = 0;

	pthread_mutex_lock(&p->lock);
	for (const struct pico__process *q = p->processes; q; q = q->next) {
		check_process(p, q);
		processes += !q->seed && q->state != PICO__GONE;
		threads += q->threads;
	}
	check_tids(p);
	if (processes != p->process_count || threads != p->thread_count)
		fault("%u picoprocesses counted as %u, %u threads as %u", processes, p->process_count, threads, p->thread_count);
	if (processes > p->config.limits.processes)
		fault("%u picoprocesses, limit %u", processes, p->config.limits.processes);
	pthread_mutex_unlock(&p->lock);
	if (pico__streams_count(p->streams) > p->config.limits.streams)
		fault("%u streams, limit %u", pico__streams_count(p->streams), p->config.limits.streams);
}

static void count_one(void *value, void *user)
{
	(void)value;
	++*(uint32_t *)user;
}

static void check_streams(struct pico__streams *s)
{
	uint32_t names = 0, servers = 0;

	pico__streams_stop(s);
	pico__names_each(&s->memories, count_one, &names);
	pico__names_each(&s->servers, count_one, &servers);
	names--; /* the segment's, which no guest gave */
	if (s->count != names || servers)
		fault("%u streams counted when only %u names are left, and %u servers", s->count, names, servers);
}

static void check_canaries(const struct life *l)
{
	for (unsigned i = 0; i < ASKING_SLOTS; i++) {
		const uint8_t *slot = l->k.mailbox + PICO_MAILBOX_SLOTS + (uint64_t)(FIRST_SLOT + 2 * i + 1) * PICO_SLOT_SIZE;

		for (uint32_t at = PICO_SLOT_DATA; at < PICO_SLOT_SIZE; at += 8)
			if (slot[at] != CANARY || slot[at + 7] != CANARY)
				fault("the slot after slot %u was written to, at %u", FIRST_SLOT + 2 * i, at);
	}
}

static void lay_canaries(const struct life *l)
{
	uint64_t all = UINT64_MAX;

	for (unsigned i = 0; i < ASKING_SLOTS; i++)
		memset(l->k.mailbox + PICO_MAILBOX_SLOTS + (uint64_t)(FIRST_SLOT + 2 * i + 1) * PICO_SLOT_SIZE + PICO_SLOT_DATA,
		       CANARY, PICO_SLOT_SIZE - PICO_SLOT_DATA);
	/* Their slots are taken, and stay so. */
	memcpy(l->k.mailbox + offsetof(struct pico_mailbox_header, slot_used) + 4 * (FIRST_SLOT / 32), &all, 8);
}

/* ---- life ---- */

static void limit(int resource, rlim_t soft)
{
	struct rlimit r;

	getrlimit(resource, &r);
	r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
	setrlimit(resource, &r);
}

/* Hosts differ: file systems that may be slow, no /dev/null. */
static void bend(struct life *l)
{
	struct pico__streams *streams = l->p->streams;

	for (struct pico__mountpoint *m = atomic_load(&streams->policy.first); m; m = atomic_load(&m->next))
		if (source_chance(l->s, 15)) {
			m->slow = true;
			atomic_store(&streams->policy.any_slow, true);
		}
	if (source_chance(l->s, 20)) {
		pico__close(streams->null_fd);
		streams->null_fd = -1;
	}
}

static bool begin(struct life *l)
{
	static const uint32_t rates[] = { 2, 6, 100 };
	struct pico_options o;

	choose(l->s, &o);
	if (l->plan->failures && source_chance(l->s, 20))
		memory_fails(64);
	memory_mine = false;
	l->p = attached(&o);
	memory_mine = true;
	memory_fails(0);
	for (int i = 0; i < 3; i++)
		if (o.stdio[i].fd >= 0)
			close(o.stdio[i].fd);
	if (!l->p)
		return false;
	for (int i = 0; i < 3; i++) {
		l->mapping[i] = mmap(NULL, PICO_MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, l->p->mailbox_fd, 0);
		if (l->mapping[i] == MAP_FAILED)
			fault("the mailbox cannot be mapped again");
	}
	l->k.mailbox = l->mapping[0];
	l->app_k.mailbox = l->mapping[2];
	l->salt = source_take(l->s, 8);
	l->process_rate = SOURCE_PICK(l->s, rates);
	l->p->killable_recv = source_chance(l->s, 50);
	bend(l);
	lay_canaries(l);
	for (unsigned i = 0; i < ASKING_SLOTS; i++)
		l->last[i].q.slot = FIRST_SLOT + 2 * i;
	return true;
}

static void wait_idle(struct pico *p)
{
	for (int i = 0; i < 20000; i++) {
		bool idle;

		pthread_mutex_lock(&p->lock);
		idle = !p->busy;
		pthread_mutex_unlock(&p->lock);
		if (idle)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	fault("the instance is busy for ever");
}

/* What the guard would see: all ended, the listener hung up. */
static void hang_up(struct life *l)
{
	struct pico *p = l->p;
	bool over = false;

	pico__instance_die(p, PICO_CAUSE_KILLED, "the end of the fuzzer's run");
	for (unsigned i = 0; i < KIDS; i++)
		if (l->kid[i].pid)
			report_end(l, &l->kid[i]);
	pthread_mutex_lock(&p->lock);
	p->hup = true;
	p->hup_at = pico__now();
	if (p->seed_wait)
		kernel_excuse(p->seed_wait);
	p->seed_wait = 0;
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < 100 && !over; i++) {
		pico__instance_tend(p, pico__now());
		pthread_mutex_lock(&p->lock);
		over = p->ended;
		pthread_mutex_unlock(&p->lock);
	}
	if (!over)
		fault("the instance does not end");
}

static void finish(struct life *l)
{
	stop_threads(l);
	for (unsigned i = 0; i < ASKING_SLOTS; i++)
		supersede(&l->last[i]); /* a worker may have it yet */
	if (l->seed_wait)
		kernel_excuse(l->seed_wait);
	hang_up(l);
	wait_idle(l->p);
	memory_fails(0);
	kernel_refuse(false);
	check_tables(l->p);
	check_canaries(l);
	check_streams(l->p->streams);
	kernel_end();
	limit(RLIMIT_FSIZE, RLIM_INFINITY);
	limit(RLIMIT_NOFILE, 1024);
	pico__guard_unregistered(l->p);
	for (int i = 0; i < 3; i++)
		munmap(l->mapping[i], PICO_MAILBOX_SIZE);
	free(l->spare);
}

static void look_after(struct life *l)
{
	uint64_t now = pico__now();

	memory_mine = false;
	pico__limits_tend(l->p, now);
	pico__instance_tend(l->p, now);
	memory_mine = true;
	check_tables(l->p);
}

static void step(struct life *l)
{
	uint32_t dice = source_below(l->s, 256);

	if (dice == 0)
		ask_oddly(l);
	else if (dice < 4)
		make_scribble(l->s, l->k.mailbox);
	else if (dice < 7)
		world_flip(l->s);
	else if (dice < 10)
		kernel_guest_uses(l->s);
	else if (dice == 10)
		look_after(l);
	else if (dice >= 256 - l->process_rate)
		process_step(l);
	else
		ask(l);
	l->made++;
	atomic_fetch_add_explicit(&fuzz_done, 1, memory_order_relaxed);
}

static void trouble(struct life *l)
{
	if (!l->plan->failures)
		return;
	memory_fails(source_chance(l->s, 15) ? 200 : 0);
	kernel_refuse(source_chance(l->s, 20));
	if (source_chance(l->s, 10))
		limit(RLIMIT_NOFILE, world_descriptors() + source_below(l->s, TIGHT_DESCRIPTORS));
}

uint64_t life_run(struct source *s, const struct life_plan *plan)
{
	struct life *l = __builtin_calloc(1, sizeof(*l));
	uint64_t made;

	memory_mine = true;
	l->s = s;
	l->plan = plan;
	kernel_begin();
	if (!begin(l)) {
		free(l);
		return 0;
	}
	begin_seed(l);
	if (source_chance(s, 70) && pico_start(l->p) == 0)
		take_order(l);
	limit(RLIMIT_FSIZE, FILE_LIMIT);
	trouble(l);
	start_threads(l);
	while (l->made < plan->requests && !source_over(s))
		step(l);
	finish(l);
	made = l->made;
	free(l);
	return made;
}
