/* SPDX-License-Identifier: Apache-2.0
 *
 * Picoprocesses: who may make one, the seed and its orders, HELLO, exit codes
 * and the handles behind them. Decides by thread ids the kernel told; of what
 * the guest says it believes only which of its own slots it means.
 *
 * The way of a picoprocess: asked for (ProcessCreate, or ProcessClone with a
 * handle) -> admitted (its clone was let through) -> live (HELLO) -> gone (the
 * helper told its exit) -> freed (no handle names it).
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "instance.h"

#define STRAYS_MAX 64
#define PENDING_FOR (1 * PICO__NS) /* an admitted picoprocess without a HELLO holds its place so long */

/* ---- the table ---- */

struct pico__process *pico__process_new(struct pico *p)
{
	struct pico__process *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->instance = p;
	q->pidfd = q->event = -1;
	q->since = pico__now();
	q->next = p->processes;
	p->processes = q;
	return q;
}

static bool counts(const struct pico__process *q)
{
	return !q->seed && q->state != PICO__GONE;
}

void pico__process_forget(struct pico *p, struct pico__process *q)
{
	for (struct pico__process **at = &p->processes; *at; at = &(*at)->next)
		if (*at == q) {
			*at = q->next;
			break;
		}
	if (p->ordered == q)
		p->ordered = NULL;
	pico__thread_end_all(p, q);
	pico__close(q->pidfd);
	pico__close(q->event);
	if (q->number)
		pico__streams_release_number(p->streams, q->number);
	if (counts(q))
		p->process_count--;
	free(q);
}

static struct pico__process *by_cookie(struct pico *p, uint32_t cookie)
{
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (q->cookie == cookie && q->state == PICO__PENDING && !q->seed)
			return q;
	return NULL;
}

static struct pico__process *by_handle(struct pico *p, pico_handle handle)
{
	uint64_t number = PICO_HANDLE_PAYLOAD(handle);

	if (handle <= 0 || PICO_HANDLE_TYPE(handle) != PICO_HT_PROCESS || !number)
		return NULL;
	for (struct pico__process *q = p->processes; q; q = q->next)
		if ((uint64_t)q->number == number && q->references)
			return q;
	return NULL;
}

/* Whose thread is it? The seed never says HELLO, so it is known by its pid. */
static struct pico__process *by_tid(struct pico *p, int32_t tid)
{
	struct pico__thread *t = pico__thread_by_tid(p, tid, NULL);

	if (t)
		return t->process;
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (q->seed && q->pid == tid)
			return q;
	return NULL;
}

/* ---- who hides ----
 * A clone that was let through may still fail in the kernel, or be issued again
 * because a signal came first; and a hostile guest's child need not say HELLO.
 * Only the kernel can tell these apart: by who is there and is not known. */

static bool is_known(void *user, int32_t pid)
{
	return pico__guard_pid_find(((struct pico *)user)->guard, pid) != NULL;
}

/* Picoprocesses of this instance that never said HELLO; -1: cannot be told. */
static int find_hidden(struct pico *p, int32_t pids[STRAYS_MAX])
{
	const struct pico__proc_search search = {
		.parent = p->helper_dead ? 0 : p->helper_pid, .name = p->name, .known = is_known, .user = p,
	};

	return p->guard && p->helper_pid ? pico__proc_children(&search, pids, STRAYS_MAX) : -1;
}

static bool is_awaited(const struct pico__process *q)
{
	return q->state == PICO__PENDING && q->admitted;
}

/* Did the clone that was let through for q come to nothing? */
static bool came_to_nothing(struct pico *p, const struct pico__process *q)
{
	int32_t pids[STRAYS_MAX];
	int others = 0, hidden = find_hidden(p, pids);

	for (const struct pico__process *r = p->processes; r; r = r->next)
		others += r != q && is_awaited(r);
	return hidden >= 0 && hidden <= others;
}

static bool is_overdue(const struct pico__process *q, uint64_t now)
{
	return is_awaited(q) && !q->slot_taken && !q->references && now - q->since > PENDING_FOR;
}

static void drop_overdue(struct pico *p, uint64_t now)
{
	struct pico__process *next;
	int32_t pids[STRAYS_MAX];
	int others = 0, overdue = 0, hidden;

	for (struct pico__process *q = p->processes; q; q = q->next) {
		overdue += is_overdue(q, now);
		others += is_awaited(q) && !is_overdue(q, now);
	}
	if (!overdue || now - p->overdue_at < PENDING_FOR)
		return;
	p->overdue_at = now;
	hidden = find_hidden(p, pids);
	if (hidden < 0 || hidden > others)
		return;
	for (struct pico__process *q = p->processes; q; q = next) {
		next = q->next;
		if (is_overdue(q, now))
			pico__process_forget(p, q);
	}
}

static bool process_room(struct pico *p)
{
	uint64_t now = pico__now();

	if (p->process_count >= p->config.limits.processes)
		drop_overdue(p, now);
	return p->process_count < p->config.limits.processes && pico__thread_room(p, now);
}

/* A new record, counted against the limit. */
static struct pico__process *ask_for(struct pico *p, int *error)
{
	struct pico__process *q;

	if (p->dying || !process_room(p)) {
		*error = -PICO_EAGAIN;
		return NULL;
	}
	q = pico__process_new(p);
	if (!q) {
		*error = -PICO_ENOMEM;
		return NULL;
	}
	p->process_count++;
	return q;
}

/* ---- handles ---- */

static int give_handle(const struct pico__request *request, struct pico__process *q)
{
	struct pico *p = request->instance;
	int number, rc = 0;

	q->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->event < 0)
		return errno == EMFILE || errno == ENFILE ? -PICO_EMFILE : -PICO_ENOMEM;
	number = pico__streams_reserve_number(p->streams);
	if (number < 0)
		return -PICO_EMFILE;
	q->number = number;
	q->cookie = (uint32_t)number;
	if (request->id)
		rc = pico__notify_grant(p->listener, request->id, q->event, number);
	if (rc == 0)
		q->references = 1;
	return rc;
}

int64_t pico__process_create(const struct pico__request *request, uint64_t param)
{
	struct pico *p = request->instance;
	struct pico__process *q;
	int error = 0, slot;

	q = ask_for(p, &error);
	if (!q)
		return error;
	slot = pico__thread_slot_take(p);
	error = slot < 0 ? slot : give_handle(request, q);
	if (error < 0) {
		if (slot >= 0) {
			q->slot_taken = true;
			pico__thread_admit(p, (uint32_t)slot, q, 0); /* so that it is given back */
		}
		pico__process_forget(p, q);
		return error;
	}
	q->slot = (uint32_t)slot;
	q->slot_taken = true;
	q->param = param;
	pico__thread_admit(p, q->slot, q, q->cookie);
	pico__process_order(p);
	return PICO_HANDLE(PICO_HT_PROCESS, q->number);
}

int64_t pico__process_clone_handle(const struct pico__request *request, uint64_t flags)
{
	struct pico *p = request->instance;
	struct pico__process *q;
	int error = 0;

	if (flags)
		return -PICO_EINVAL;
	q = ask_for(p, &error);
	if (!q)
		return error;
	error = give_handle(request, q);
	if (error < 0) {
		pico__process_forget(p, q);
		return error;
	}
	q->ordered = true; /* not the seed's to make */
	q->slot = PICO_SLOT_COUNT;
	return PICO_HANDLE(PICO_HT_PROCESS, q->number);
}

int64_t pico__process_exit_code(struct pico *p, pico_handle handle)
{
	struct pico__process *q = by_handle(p, handle);

	if (!q)
		return -PICO_EBADF;
	return q->state == PICO__GONE ? q->exit_code : -PICO_EAGAIN;
}

int64_t pico__process_reference(struct pico *p, pico_handle handle)
{
	struct pico__process *q = by_handle(p, handle);

	if (!q)
		return -PICO_EBADF;
	if (q->references == UINT32_MAX)
		return -PICO_EOVERFLOW;
	q->references++;
	return 0;
}

int64_t pico__process_close(struct pico *p, pico_handle handle)
{
	struct pico__process *q = by_handle(p, handle);

	if (!q)
		return -PICO_EBADF;
	if (--q->references)
		return 0;
	/* A clone that failed in the guest: nothing will come of it. */
	if (q->state == PICO__GONE || (q->state == PICO__PENDING && q->slot == PICO_SLOT_COUNT)) {
		pico__process_forget(p, q);
		return 0;
	}
	pico__close(q->event);
	q->event = -1;
	if (q->state == PICO__LIVE) { /* while pending the number is its cookie */
		pico__streams_release_number(p->streams, q->number);
		q->number = 0;
	}
	return 0;
}

/* ---- the seed ---- */

/* Hands the oldest order out when the seed waits for one. */
void pico__process_order(struct pico *p)
{
	struct pico__process *oldest = NULL;
	int64_t answer;

	if (!p->seed_wait || p->ordered || p->dying)
		return;
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (q->state == PICO__PENDING && !q->ordered && !q->seed)
			oldest = q; /* new ones come to the head of the list */
	if (!oldest)
		return;
	answer = PICO_ORDER_PROCESS | (int64_t)oldest->slot << 8 | (int64_t)oldest->cookie << 24;
	if (pico__notify_answer(p->listener, p->seed_wait, answer) == 0) {
		oldest->ordered = true;
		p->ordered = oldest;
	}
	p->seed_wait = 0;
}

int pico__process_start_first(struct pico *p)
{
	struct pico__process *q;
	int slot = pico__thread_slot_take(p);

	if (slot < 0)
		return slot;
	q = pico__process_new(p);
	if (!q)
		return -PICO_ENOMEM;
	q->first = q->slot_taken = true;
	q->cookie = PICO__FIRST_COOKIE;
	q->slot = (uint32_t)slot;
	p->process_count++;
	pico__thread_admit(p, q->slot, q, q->cookie);
	pico__process_order(p);
	return 0;
}

static void order_failed(struct pico *p, int64_t error)
{
	struct pico__process *q = p->ordered;

	p->ordered = NULL;
	if (!q || q->state != PICO__PENDING)
		return;
	if (q->first) {
		pico__instance_die_locked(p, PICO_CAUSE_START_FAILED, "the seed's clone failed: %s", pico_strerror((int)error));
		return;
	}
	/* Its creator has the handle by now: it looks as if killed. */
	pico__thread_end_all(p, q);
	q->state = PICO__GONE;
	q->exit_code = PICO_EXIT_SIGNAL(SIGKILL);
	p->process_count--;
	if (q->event >= 0)
		eventfd_write(q->event, 1);
	if (!q->references)
		pico__process_forget(p, q);
}

/* What no request asked for: the shared segment. The seed's table is the one
 * that all picoprocesses will have. */
static bool grant_pending(struct pico *p, uint64_t id)
{
	PICO__FREE struct pico__call *c = malloc(sizeof(*c));
	int count = -1, rc = 0;

	while (c && rc == 0 && (count = pico__streams_pending(p->streams, c)) > 0)
		for (int i = 0; i < count; i++) {
			if (rc == 0)
				rc = pico__notify_grant(p->listener, id, c->grant[i].fd, c->grant[i].number);
			if (c->grant_own[i])
				pico__close(c->grant[i].fd);
		}
	return c && rc == 0 && count == 0;
}

void pico__process_seed_wait(struct pico *p, const struct seccomp_notif *n)
{
	int64_t result = (int64_t)n->data.args[1];
	struct pico__process *seed;

	pthread_mutex_lock(&p->lock);
	seed = by_tid(p, (int32_t)n->pid);
	if (!seed || !seed->seed || p->dying) {
		pthread_mutex_unlock(&p->lock);
		pico__notify_answer(p->listener, n->id, -PICO_EPERM);
		return;
	}
	if (!p->segment_granted)
		p->segment_granted = grant_pending(p, n->id);
	if (!p->segment_granted)
		pico__instance_die_locked(p, PICO_CAUSE_START_FAILED, "the shared segment could not be granted");
	if (p->ordered && result < 0 && result >= -PICO_ERRNO_MAX)
		order_failed(p, result);
	p->ordered = NULL;
	p->seed_wait = n->id;
	pico__process_order(p);
	pthread_mutex_unlock(&p->lock);
}

/* The seed takes leave of the zygote's descriptor table, before anything of
 * the guest runs. Nobody else ever needs this call. */
void pico__process_close_range(struct pico *p, const struct seccomp_notif *n)
{
	struct pico__process *seed = NULL;
	struct pico__proc_stat stat;
	bool good;

	pthread_mutex_lock(&p->lock);
	good = !p->seed_seen && p->seed_pidfd >= 0 && n->data.args[0] == 0 &&
	       (uint32_t)n->data.args[1] == ~0u && n->data.args[2] == 2 /* CLOSE_RANGE_UNSHARE */;
	if (good && (seed = pico__process_new(p))) {
		seed->seed = true;
		seed->state = PICO__LIVE;
		seed->ordered = true;
		seed->pid = (int32_t)n->pid;
		seed->pidfd = pico__steal_fd(&p->seed_pidfd);
		p->seed_seen = true;
		if (pico__proc_stat(seed->pid, &stat) == 0)
			p->helper_pid = stat.parent;
		pico__guard_pid_add(p->guard, seed);
	}
	if (p->dying && seed)
		syscall(SYS_pidfd_send_signal, seed->pidfd, SIGKILL, NULL, 0);
	pthread_mutex_unlock(&p->lock);
	if (seed)
		pico__notify_continue(p->listener, n->id);
	else
		pico__notify_answer(p->listener, n->id, good ? -PICO_ENOMEM : -PICO_EPERM);
}

/* ---- clones ---- */

static int admit_thread(struct pico *p, struct pico__process *caller, uint32_t slot, uint32_t cookie)
{
	if (caller->seed)
		return -PICO_EPERM;
	if (!pico__thread_room(p, pico__now()))
		return -PICO_EAGAIN;
	pico__thread_admit(p, slot, caller, cookie);
	return 0;
}

/* The same clone again: the kernel restarts one that a signal came before. */
static int admit_again(struct pico *p, struct pico__process *q)
{
	if (!came_to_nothing(p, q))
		return -PICO_EPERM;
	q->since = pico__now();
	return 0;
}

static int admit_by_seed(struct pico *p, uint32_t slot, uint32_t cookie)
{
	struct pico__process *q = p->ordered;

	if (!q || q->state != PICO__PENDING || q->slot != slot || q->cookie != cookie)
		return -PICO_EPERM;
	if (q->admitted)
		return admit_again(p, q);
	q->admitted = true;
	q->since = pico__now();
	return 0;
}

static int admit_clone(struct pico *p, uint32_t slot, uint32_t cookie)
{
	struct pico__process *q, *old = p->threads[slot].process;
	int error = 0;

	if (old && is_awaited(old) && old->slot == slot && !old->slot_taken) {
		if (old->cookie == cookie)
			return admit_again(p, old);
		/* The last clone into this slot failed, and its parent gave the slot back. */
		if (!came_to_nothing(p, old))
			return -PICO_EPERM;
		pico__thread_forget(p, slot);
		if (old->references)
			old->admitted = false, old->slot = PICO_SLOT_COUNT;
		else
			pico__process_forget(p, old);
	}
	q = cookie ? by_cookie(p, cookie) : ask_for(p, &error);
	if (!q)
		return cookie ? -PICO_EPERM : error;
	if (q->admitted || q->slot_taken)
		return -PICO_EPERM;
	q->ordered = q->admitted = true;
	q->since = pico__now();
	q->slot = slot;
	pico__thread_admit(p, slot, q, cookie);
	return 0;
}

static int admit(struct pico *p, const struct seccomp_notif *n)
{
	uint64_t flags = n->data.args[0], tag = n->data.args[5];
	uint32_t slot = (uint32_t)tag, cookie = (uint32_t)(tag >> 32);
	struct pico__process *caller = by_tid(p, (int32_t)n->pid);

	if (p->dying || !caller || slot >= PICO_SLOT_COUNT - 1)
		return -PICO_EPERM;
	if (flags == PICO_CLONE_THREAD_FLAGS)
		return admit_thread(p, caller, slot, cookie);
	if (flags != PICO_CLONE_PROCESS_FLAGS)
		return -PICO_EPERM;
	return caller->seed ? admit_by_seed(p, slot, cookie) : admit_clone(p, slot, cookie);
}

/* Registers only, so letting it continue is safe: what was checked is what the
 * kernel will use. */
void pico__process_clone(struct pico *p, const struct seccomp_notif *n)
{
	bool thread = n->data.args[0] == PICO_CLONE_THREAD_FLAGS;
	int error;

	pthread_mutex_lock(&p->lock);
	__atomic_fetch_add(&p->downcalls[thread ? PICO_DC_ThreadCreate : PICO_DC_ProcessClone], 1, __ATOMIC_RELAXED);
	error = admit(p, n);
	pthread_mutex_unlock(&p->lock);
	if (error)
		pico__notify_answer(p->listener, n->id, error);
	else
		pico__notify_continue(p->listener, n->id);
}

/* ---- HELLO ---- */

static int hello_process(const struct pico__request *request, uint32_t cookie)
{
	struct pico *p = request->instance;
	struct pico__process *q = p->threads[request->slot].process;
	PICO__CLOSE int pidfd = -1;

	if (!q || q->state != PICO__PENDING || !q->admitted || q->slot != request->slot || q->cookie != cookie)
		return -PICO_EPERM;
	if (by_tid(p, request->tid))
		return -PICO_EPERM; /* somebody old poses as the new one */
	pidfd = (int)syscall(SYS_pidfd_open, request->tid, 0);
	if (pidfd < 0)
		return errno == EMFILE || errno == ENFILE ? -PICO_EAGAIN : -PICO_EPERM;
	/* Still asking, hence still the process the descriptor was opened for. */
	if (!pico__notify_valid(p->listener, request->id))
		return -PICO_ESRCH;
	q->state = PICO__LIVE;
	q->pid = request->tid;
	q->pidfd = pico__steal_fd(&pidfd);
	q->threads = q->threads ? q->threads : 1;
	p->process_total++;
	if (p->process_count > p->process_peak)
		p->process_peak = p->process_count;
	if (q->number && !q->references) {
		pico__streams_release_number(p->streams, q->number);
		q->number = 0;
	}
	pico__guard_pid_add(p->guard, q);
	if (p->dying) {
		syscall(SYS_pidfd_send_signal, q->pidfd, SIGKILL, NULL, 0);
		return -PICO_ESRCH;
	}
	return 0;
}

static int hello_thread(const struct pico__request *request, uint32_t cookie)
{
	struct pico *p = request->instance;
	struct pico__thread *t = &p->threads[request->slot];

	if (!t->process || t->process->state != PICO__LIVE || t->tid || t->cookie != cookie)
		return -PICO_EPERM;
	if (syscall(SYS_tgkill, t->process->pid, request->tid, 0) < 0 && errno == ESRCH)
		return -PICO_EPERM; /* of another picoprocess */
	return 0;
}

/* What the seed could not know when it cloned. */
static int64_t greet(struct pico *p, const struct pico__process *q)
{
	struct pico_hello_answer answer = {
		.param = q->param,
		.segment = p->segment_handle,
		.memory_limit = p->config.limits.memory,
	};

	if (!q->slot_taken) /* a clone has all that */
		return 0;
	memcpy(pico__mailbox_slot(p, q->slot)->data, &answer, sizeof(answer));
	return q->first ? PICO_INIT_FRESH : PICO_INIT_PROCESS;
}

int64_t pico__process_hello(const struct pico__request *request, uint64_t kind, uint64_t cookie)
{
	struct pico *p = request->instance;
	struct pico__thread *t = &p->threads[request->slot];
	int error;

	if (!request->id || kind > 1 || cookie > UINT32_MAX)
		return -PICO_EINVAL;
	error = kind ? hello_thread(request, (uint32_t)cookie) : hello_process(request, (uint32_t)cookie);
	if (error)
		return error;
	pico__thread_hello(p, request->slot, request->tid);
	if (t->interrupt) {
		t->interrupt = false;
		syscall(SYS_tgkill, t->process->pid, t->tid, PICO_INTERRUPT_SIGNAL);
	}
	return kind ? 0 : greet(p, t->process);
}

/* ---- ends ---- */

/* Codes a guest may end with; anything else counts as a crash. */
static bool good_code(int32_t code)
{
	return (code >= 0 && code <= 255) || (code > 256 && code <= 256 + 64);
}

int64_t pico__process_exit(const struct pico__request *request, uint64_t code)
{
	struct pico *p = request->instance;
	struct pico__process *q = by_tid(p, request->tid);

	if (!q || q->seed)
		return -PICO_EPERM;
	if (q->exit_recorded) /* two threads at once: the first one's counts */
		return 0;
	q->exit_recorded = true;
	q->exit_code = (int32_t)code;
	if (q->exit_code == PICO_EXIT_LIBOS_CRASH)
		pico__instance_die_locked(p, PICO_CAUSE_LIBOS_CRASHED, "%s", p->said[0] ? p->said : "the library OS gave up");
	else if (!good_code(q->exit_code))
		pico__instance_die_locked(p, PICO_CAUSE_LIBOS_CRASHED, "ProcessExit with code %d", q->exit_code);
	else if (q->first)
		pico__instance_finish(p, q->exit_code, q);
	return 0;
}

static void unexpected_end(struct pico *p, const struct pico__process *q, int32_t pid, int status)
{
	const char *what = q && q->seed ? "the seed" : q && q->first ? "the first picoprocess" : "a picoprocess";

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		pico__instance_die_locked(p, PICO_CAUSE_FILTER, "%s (pid %d) made a host system call its filter forbids", what, pid);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		pico__instance_die_locked(p, PICO_CAUSE_KILLED_OUTSIDE, "%s (pid %d) was killed by somebody else", what, pid);
	else if (WIFSIGNALED(status))
		pico__instance_die_locked(p, PICO_CAUSE_LIBOS_CRASHED, "%s (pid %d) died by signal %d", what, pid, WTERMSIG(status));
	else
		pico__instance_die_locked(p, PICO_CAUSE_LIBOS_CRASHED, "%s (pid %d) ended with status %d without ProcessExit",
					  what, pid, WEXITSTATUS(status));
}

static void ended(struct pico *p, struct pico__process *q, int status)
{
	pico__limits_account(p, q);
	if (!q->exit_recorded) {
		unexpected_end(p, q, q->pid, status);
		q->exit_code = PICO_EXIT_SIGNAL(WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL);
	}
	if (counts(q))
		p->process_count--;
	pico__thread_end_all(p, q);
	q->state = PICO__GONE;
	pico__close(q->pidfd);
	q->pidfd = -1;
	if (q->event >= 0)
		eventfd_write(q->event, 1);
	if (!q->references)
		pico__process_forget(p, q);
}

/* Not reaped yet, so its pid is still its own. */
void pico__process_exited(struct pico__process *q, int status)
{
	struct pico *p = q->instance;

	pico__guard_pid_remove(p->guard, q);
	pthread_mutex_lock(&p->lock);
	ended(p, q, status);
	pthread_mutex_unlock(&p->lock);
	pico__guard_poke(p);
}

void pico__process_stray_exited(struct pico *p, int32_t pid, int status)
{
	pthread_mutex_lock(&p->lock);
	unexpected_end(p, NULL, pid, status);
	pthread_mutex_unlock(&p->lock);
	pico__guard_poke(p);
}

void pico__process_kill_all(struct pico *p, const struct pico__process *spare)
{
	if (p->seed_pidfd >= 0)
		syscall(SYS_pidfd_send_signal, p->seed_pidfd, SIGKILL, NULL, 0);
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (q != spare && q->pidfd >= 0)
			syscall(SYS_pidfd_send_signal, q->pidfd, SIGKILL, NULL, 0);
}

/* Those that never said HELLO are known by parent and name only. The name was
 * given before the filter; no call that changes it passes. */
void pico__process_kill_strays(struct pico *p)
{
	int32_t pids[STRAYS_MAX];
	int count = find_hidden(p, pids);

	for (int i = 0; i < count; i++) {
		PICO__CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pids[i], 0);
		struct pico__proc_stat stat;

		/* Again, now that the descriptor holds the pid still. */
		if (pidfd >= 0 && pico__proc_stat(pids[i], &stat) == 0 &&
		    (p->helper_dead || stat.parent == p->helper_pid) && !strcmp(stat.name, p->name))
			syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	}
}
