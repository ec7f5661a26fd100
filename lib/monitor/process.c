/* SPDX-License-Identifier: Apache-2.0
 *
 * Picoprocesses: the table of them, their limit, the handles that name them,
 * exit codes, ends. How they come to be stands in clone.c. Decides by ids the
 * kernel told, never by what a guest says.
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

struct pico__process *pico__process_by_cookie(struct pico *p, uint32_t cookie)
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

/* Whose thread is it? The seed never says HELLO, so it is known by its pid, and
 * so is everybody who asks by the bell. */
struct pico__process *pico__process_by_tid(struct pico *p, int32_t tid)
{
	struct pico__thread *t = pico__thread_by_tid(p, tid, NULL);

	if (t)
		return t->process;
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (q->state == PICO__LIVE && q->pid == tid)
			return q;
	return NULL;
}

static bool process_room(struct pico *p)
{
	uint64_t now = pico__now();

	if (p->process_count >= p->config.limits.processes + p->park.extra)
		pico__census_drop_overdue(p, now);
	return p->process_count < p->config.limits.processes + p->park.extra && pico__thread_room(p, now);
}

/* A new record, counted against the limit. */
struct pico__process *pico__process_ask_for(struct pico *p, int *error)
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
		rc = pico__grant(p, request->id, q->event, number);
	if (rc == 0)
		q->references = 1;
	return rc == 0 || rc == -PICO_EMFILE || rc == -PICO_EINTR ? rc : -PICO_ENOMEM;
}

int64_t pico__process_create(const struct pico__request *request, uint64_t param)
{
	struct pico *p = request->instance;
	struct pico__process *q;
	int error = 0, slot;

	q = pico__process_ask_for(p, &error);
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
	q = pico__process_ask_for(p, &error);
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

/* ---- ends ---- */

/* Codes a guest may end with; anything else counts as a crash. */
static bool good_code(int32_t code)
{
	return (code >= 0 && code <= 255) || (code > 256 && code <= 256 + 64);
}

int64_t pico__process_exit(const struct pico__request *request, uint64_t code)
{
	struct pico *p = request->instance;
	struct pico__process *q = pico__process_by_tid(p, request->tid);

	if (!q || q->seed)
		return -PICO_EPERM;
	if (q->exit_recorded) /* two threads at once: the first one's counts */
		return 0;
	q->exit_recorded = true;
	/* The others may yet ask for it: an error number must not stand there. */
	q->exit_code = good_code((int32_t)code) ? (int32_t)code : PICO_EXIT_LIBOS_CRASH;
	if ((int32_t)code == PICO_EXIT_LIBOS_CRASH)
		pico__instance_die_locked(p, PICO_CAUSE_LIBOS_CRASHED, "%s", p->said[0] ? p->said : "the library OS gave up");
	else if (q->exit_code == PICO_EXIT_LIBOS_CRASH)
		pico__instance_die_locked(p, PICO_CAUSE_LIBOS_CRASHED, "ProcessExit with code %d", (int32_t)code);
	else if (q->first)
		pico__instance_finish(p, q->exit_code, q);
	return 0;
}

static void unexpected_end(struct pico *p, const struct pico__process *q, int32_t pid, int status)
{
	const char *what = q && q->keeper ? "the keeper" : q && q->seed ? "the seed" : q && q->first ? "the first picoprocess" : "a picoprocess";

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

/* A note in the slot of one of its threads says the same as ProcessExit would
 * have. Whoever could forge it could ask, too. */
static bool has_left_note(struct pico *p, const struct pico__process *q, int status)
{
	if (q->first || q->seed || q->keeper || q->references || !WIFEXITED(status))
		return false;
	for (uint32_t at = q->first_thread; at; at = p->threads[at - 1].next)
		if (__atomic_load_n(&pico__mailbox_slot(p, at - 1)->exit_note, __ATOMIC_ACQUIRE) ==
		    (PICO_EXIT_NOTE | (uint32_t)WEXITSTATUS(status)))
			return true;
	return false;
}

static void ended(struct pico *p, struct pico__process *q, int status)
{
	pico__limits_account(p, q);
	if (!q->exit_recorded && has_left_note(p, q, status)) {
		__atomic_fetch_add(&p->downcalls[PICO_DC_ProcessExit], 1, __ATOMIC_RELAXED);
		q->exit_recorded = true;
		q->exit_code = WEXITSTATUS(status);
	}
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
	/* The guest has its own copy; how long it keeps the handle is its affair. */
	pico__close(q->event);
	q->event = -1;
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

/* A keeper ends with all, or last. */
void pico__process_kill_all(struct pico *p, const struct pico__process *spare)
{
	if (p->bell && !spare)
		pico__bell_end(p);
	if (p->seed_pidfd >= 0)
		syscall(SYS_pidfd_send_signal, p->seed_pidfd, SIGKILL, NULL, 0);
	for (struct pico__process *q = p->processes; q; q = q->next)
		if (q != spare && !q->keeper && q->pidfd >= 0)
			syscall(SYS_pidfd_send_signal, q->pidfd, SIGKILL, NULL, 0);
}
