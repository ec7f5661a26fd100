/* SPDX-License-Identifier: Apache-2.0
 *
 * Picoprocesses that hide: those that were let through and never said HELLO.
 * A clone that was let through may still fail in the kernel, or be issued again
 * because a signal came first; and a hostile guest's child need not say HELLO.
 * Only the kernel can tell these apart: by who is there and is not known. Where
 * clones are not let through but asked for at the bell, the roll is called: who
 * is there without having asked ends the instance.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "instance.h"

#define STRAYS_MAX PICO_THREADS_MAX /* an instance cannot have more picoprocesses */
#define PENDING_FOR (1 * PICO__NS) /* an admitted picoprocess without a HELLO holds its place so long */
#define HELLO_WITHIN (50 * PICO__MS) /* of being admitted; then its use of things is looked at */

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

void pico__census_use(struct pico *p, uint64_t now, uint64_t *memory, uint64_t *cpu)
{
	int32_t pids[STRAYS_MAX];
	uint64_t mine;
	int count = 0;

	*memory = *cpu = 0;
	for (const struct pico__process *q = p->processes; q && !count; q = q->next)
		if (pico__process_is_awaited(q) && now - q->since > HELLO_WITHIN)
			count = find_hidden(p, pids);
	for (int i = 0; i < count; i++) {
		if (pico__proc_memory(pids[i], false, &mine) == 0)
			*memory += mine;
		*cpu += pico__proc_cpu(pids[i], &mine);
	}
}

/* Did the clone that was let through for q come to nothing? */
bool pico__census_came_to_nothing(struct pico *p, const struct pico__process *q)
{
	int32_t pids[STRAYS_MAX];
	int others = 0, hidden = find_hidden(p, pids);

	for (const struct pico__process *r = p->processes; r; r = r->next)
		others += r != q && pico__process_is_awaited(r);
	return hidden >= 0 && hidden <= others;
}

static bool is_overdue(const struct pico__process *q, uint64_t now)
{
	return pico__process_is_awaited(q) && !q->slot_taken && !q->references && now - q->since > PENDING_FOR;
}

void pico__census_drop_overdue(struct pico *p, uint64_t now)
{
	struct pico__process *next;
	int32_t pids[STRAYS_MAX];
	int others = 0, overdue = 0, hidden;

	for (struct pico__process *q = p->processes; q; q = q->next) {
		overdue += is_overdue(q, now);
		others += pico__process_is_awaited(q) && !is_overdue(q, now);
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

/* ---- the roll ---- */

#define ROLL_EVERY (20 * PICO__MS)
#define ROLL_EVERY_WALLED (250 * PICO__MS) /* the kernel itself refuses more threads */
#define THREADS_OVER 32 /* those on their way, admitted and not, at the moment of a look */

/* pidfd holds the pid still: what is read of pid while it lives is of it. */
bool pico__census_is_ours(struct pico *p, int32_t pid, int pidfd)
{
	struct pico__proc_stat stat;

	return pico__proc_stat(pid, &stat) == 0 && stat.parent == p->helper_pid && !strcmp(stat.name, p->name) &&
	       syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
}

static uint32_t threads_of(int32_t pid)
{
	struct pico__proc_stat stat;

	return pico__proc_stat(pid, &stat) == 0 ? stat.threads : 0;
}

/* An honest gate asks first, so nobody is there who is not awaited. */
static void call_roll(struct pico *p)
{
	int32_t pids[STRAYS_MAX];
	int awaited = 0, hidden = find_hidden(p, pids);
	uint32_t threads = 0;

	for (const struct pico__process *q = p->processes; q; q = q->next) {
		awaited += pico__process_is_awaited(q);
		threads += q->state == PICO__LIVE && !q->seed ? threads_of(q->pid) : 0;
	}
	for (int i = 0; i < hidden; i++)
		threads += threads_of(pids[i]);
	if (hidden > awaited)
		pico__instance_die_locked(p, PICO_CAUSE_FILTER, "%d picoprocesses were made without asking", hidden - awaited);
	else if (threads > p->config.limits.threads + THREADS_OVER)
		pico__instance_die_locked(p, PICO_CAUSE_FILTER, "%u threads were made without asking, limit %u", threads, p->config.limits.threads);
}

uint64_t pico__census_roll(struct pico *p, uint64_t now)
{
	uint64_t due = PICO__NEVER;

	if (!p->bell)
		return due;
	pthread_mutex_lock(&p->lock);
	if (p->started && !p->dying && now >= p->roll_at) {
		call_roll(p);
		p->roll_at = now + (pico__bell_walled(p) ? ROLL_EVERY_WALLED : ROLL_EVERY);
	}
	if (p->started && !p->dying)
		due = p->roll_at;
	pthread_mutex_unlock(&p->lock);
	return due;
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
