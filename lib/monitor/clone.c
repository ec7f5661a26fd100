/* SPDX-License-Identifier: Apache-2.0
 *
 * How picoprocesses and threads come to be: the seed and its orders, which
 * clones are let through, HELLO. Decides by thread ids the kernel told; of what
 * the guest says it believes only which of its own slots it means.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "instance.h"

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
	if (pico__answer(p, p->seed_wait, answer) == 0) {
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
	pico__close(q->event); /* the guest has its own */
	q->event = -1;
	if (!q->references)
		pico__process_forget(p, q);
	/* Perhaps nobody waits for its event. */
	__atomic_fetch_or(&pico__mailbox_header(p)->host.events, PICO_HOST_PROCESS_LOST, __ATOMIC_SEQ_CST);
	pico__thread_interrupt_first(p);
}

/* What no request asked for: the shared segment. The seed's table is the one
 * that all picoprocesses will have. -PICO_EINTR: once more when it asks again. */
static int grant_pending(struct pico *p, uint64_t id)
{
	PICO__FREE struct pico__call *c = malloc(sizeof(*c));
	int count = -1, rc = 0;

	if (p->segment_owed)
		return pico__grant(p, id, p->segment_fd, (int)PICO_HANDLE_PAYLOAD(p->segment_handle));
	while (c && rc == 0 && (count = pico__streams_pending(p->streams, c)) > 0)
		for (int i = 0; i < count; i++) {
			if (rc == 0)
				rc = pico__grant(p, id, c->grant[i].fd, c->grant[i].number);
			if (c->grant_own[i])
				pico__close(c->grant[i].fd);
		}
	p->segment_owed = rc == -PICO_EINTR;
	return rc ? rc : c && count == 0 ? 0 : -PICO_ENOMEM;
}

/* The seed has not seen the last order, or it would not ask the same again. */
static void order_again(struct pico *p)
{
	if (p->ordered->state == PICO__PENDING && !p->ordered->admitted)
		p->ordered->ordered = false;
	p->ordered = NULL;
}

void pico__process_seed_wait(struct pico *p, const struct seccomp_notif *n)
{
	int64_t result = (int64_t)n->data.args[1];
	uint32_t seq = (uint32_t)(n->data.args[0] >> 32);
	struct pico__process *seed;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	seed = pico__process_by_tid(p, (int32_t)n->pid);
	if (!seed || !seed->seed || p->dying) {
		pthread_mutex_unlock(&p->lock);
		pico__answer(p, n->id, -PICO_EPERM);
		return;
	}
	if (!p->segment_granted)
		rc = grant_pending(p, n->id);
	p->segment_granted = rc == 0;
	if (rc < 0 && rc != -PICO_EINTR)
		pico__instance_die_locked(p, PICO_CAUSE_START_FAILED, "the shared segment could not be granted");
	if (p->ordered && seq == p->seed_seq)
		order_again(p);
	else if (p->ordered && result < 0 && result >= -PICO_ERRNO_MAX)
		order_failed(p, result);
	p->ordered = NULL;
	p->seed_seq = seq;
	p->seed_wait = rc == 0 ? n->id : 0;
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
		pico__continue(p, n->id);
	else
		pico__answer(p, n->id, good ? -PICO_ENOMEM : -PICO_EPERM);
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
	if (!pico__census_came_to_nothing(p, q))
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

	if (old && pico__process_is_awaited(old) && old->slot == slot && !old->slot_taken) {
		if (old->cookie == cookie)
			return admit_again(p, old);
		/* The last clone into this slot failed, and its parent gave the slot back. */
		if (!pico__census_came_to_nothing(p, old))
			return -PICO_EPERM;
		pico__thread_forget(p, slot);
		if (old->references)
			old->admitted = false, old->slot = PICO_SLOT_COUNT;
		else
			pico__process_forget(p, old);
	}
	q = cookie ? pico__process_by_cookie(p, cookie) : pico__process_ask_for(p, &error);
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
	struct pico__process *caller = pico__process_by_tid(p, (int32_t)n->pid);

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
		pico__answer(p, n->id, error);
	else
		pico__continue(p, n->id);
}

/* ---- HELLO ---- */

/* By its slot it may be forgotten: a guest can have a new thread admitted into
 * a slot that is in use. */
static bool is_known_process(struct pico *p, int32_t pid)
{
	for (const struct pico__process *q = p->processes; q; q = q->next)
		if (q->state == PICO__LIVE && q->pid == pid)
			return true;
	return pico__process_by_tid(p, pid) != NULL;
}

static int hello_process(const struct pico__request *request, uint32_t cookie)
{
	struct pico *p = request->instance;
	struct pico__process *q = p->threads[request->slot].process;
	PICO__CLOSE int pidfd = -1;

	if (!q || q->state != PICO__PENDING || !q->admitted || q->slot != request->slot || q->cookie != cookie)
		return -PICO_EPERM;
	if (is_known_process(p, request->tid))
		return -PICO_EPERM; /* somebody old poses as the new one */
	pidfd = (int)syscall(SYS_pidfd_open, request->tid, 0);
	if (pidfd < 0)
		return errno == EMFILE || errno == ENFILE ? -PICO_EAGAIN : -PICO_EPERM;
	/* Still asking, hence still the process the descriptor was opened for. Who
	 * rang the bell may have died since: then it is ours all the same. */
	if (p->bell ? !pico__census_is_ours(p, request->tid, pidfd) : !pico__asks(p, request->id))
		return -PICO_EINTR;
	q->state = PICO__LIVE;
	q->pid = request->tid;
	q->pidfd = pico__steal_fd(&pidfd);
	if (!q->threads) { /* a census took it for one that never came */
		q->threads = 1;
		p->thread_count++;
	}
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
		.param = q->first && p->resume ? (uint64_t)p->resume : q->param,
		.segment = p->segment_handle,
		.memory_limit = p->config.limits.memory,
	};

	if (!q->slot_taken) /* a clone has all that */
		return 0;
	memcpy(pico__mailbox_slot(p, q->slot)->data, &answer, sizeof(answer));
	return !q->first ? PICO_INIT_PROCESS : p->resume ? PICO_INIT_RESUME : PICO_INIT_FRESH;
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
