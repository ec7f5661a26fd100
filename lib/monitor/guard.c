/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard: one thread for all instances of the host process. It waits for
 * notifications, for news of the helper, for timers and for other threads'
 * pokes, and never for anything else. Knows which notification is whose, and
 * nothing of what requests mean.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "instance.h"

#define BATCH 64
#define PID_BUCKETS 1024u
#define STACK_SIZE (256u << 10)

/* Of a helper's control socket. Used again, but not freed before the guard
 * ends: epoll may have named it just before. */
struct watch {
	struct pico__source source; /* first: epoll points here */
	struct watch *next;
	struct pico__helper *helper; /* NULL: free */
	unsigned users;
	bool dead;
};

struct pico__guard {
	struct pico__source command, timer;
	pthread_t thread;
	int epoll, command_fd, timer_fd;
	unsigned users; /* under global.lock */
	pthread_mutex_t lock; /* instances, watches */
	struct pico *instances;
	struct watch *watches;
	struct pico__workers *workers;
	uint32_t attention, stop, detached; /* atomic */
	struct pico__process *pids[PID_BUCKETS]; /* guard thread only */
	struct pico__notify notify;
	struct pico__job *spare;
};

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	struct pico__guard *current;
	uint32_t sync_seen;
} global = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static __thread struct pico__guard *guard_of_this_thread;

bool pico__sync_wake_up_seen(void)
{
	return __atomic_load_n(&global.sync_seen, __ATOMIC_RELAXED);
}

struct pico__workers *pico__guard_workers(struct pico__guard *g)
{
	return g->workers;
}

static void wake(struct pico__guard *g)
{
	if (!__atomic_exchange_n(&g->attention, 1, __ATOMIC_SEQ_CST) && guard_of_this_thread != g)
		eventfd_write(g->command_fd, 1);
}

void pico__guard_poke(struct pico *p)
{
	if (p->guard)
		wake(p->guard);
}

/* ---- pids ---- */

static struct pico__process **pid_bucket(struct pico__guard *g, int32_t pid)
{
	return &g->pids[(uint32_t)pid % PID_BUCKETS];
}

void pico__guard_pid_add(struct pico__guard *g, struct pico__process *q)
{
	q->pid_next = *pid_bucket(g, q->pid);
	*pid_bucket(g, q->pid) = q;
}

void pico__guard_pid_remove(struct pico__guard *g, struct pico__process *q)
{
	for (struct pico__process **at = pid_bucket(g, q->pid); *at; at = &(*at)->pid_next)
		if (*at == q) {
			*at = q->pid_next;
			return;
		}
}

struct pico__process *pico__guard_pid_find(struct pico__guard *g, int32_t pid)
{
	struct pico__process *q = *pid_bucket(g, pid);

	while (q && q->pid != pid)
		q = q->pid_next;
	return q;
}

/* ---- helpers ---- */

static int listen_to(struct pico__guard *g, int fd, struct pico__source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	return epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? pico__error(errno) : 0;
}

static struct watch *find_watch(struct pico__guard *g, const struct pico__helper *helper)
{
	struct watch *w = g->watches;

	while (w && w->helper != helper)
		w = w->next;
	return w;
}

static struct watch *new_watch(struct pico__guard *g)
{
	struct watch *w = find_watch(g, NULL);

	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->source.kind = PICO__SOURCE_HELPER;
	w->next = g->watches;
	return g->watches = w;
}

int pico__guard_watch_helper(struct pico__guard *g, struct pico__helper *helper)
{
	struct watch *w;
	int rc = 0;

	pthread_mutex_lock(&g->lock);
	w = find_watch(g, helper);
	if (!w && !(w = new_watch(g)))
		rc = -PICO_ENOMEM;
	if (rc == 0 && !w->helper)
		rc = listen_to(g, pico__helper_fd(helper), &w->source);
	if (rc == 0) {
		w->dead = w->helper && w->dead;
		w->helper = helper;
		w->users++;
	}
	pthread_mutex_unlock(&g->lock);
	return rc;
}

/* Lock held. */
static void unwatch(struct pico__guard *g, const struct pico__helper *helper)
{
	struct watch *w = find_watch(g, helper);

	if (!w || --w->users)
		return;
	if (!w->dead)
		epoll_ctl(g->epoll, EPOLL_CTL_DEL, pico__helper_fd(helper), NULL);
	w->helper = NULL;
}

void pico__guard_unwatch_helper(struct pico__guard *g, struct pico__helper *helper)
{
	pthread_mutex_lock(&g->lock);
	unwatch(g, helper);
	pthread_mutex_unlock(&g->lock);
}

static void helper_died(struct pico *p)
{
	pthread_mutex_lock(&p->lock);
	p->helper_dead = true;
	pico__instance_die_locked(p, PICO_CAUSE_HELPER_DIED, "the helper program ended");
	pthread_mutex_unlock(&p->lock);
	pico__guard_poke(p);
}

/* Somebody who never said HELLO ended; its name says of which instance. */
static void stray_exited(struct pico__guard *g, int32_t pid, int status)
{
	struct pico__proc_stat stat;

	if (pico__proc_stat(pid, &stat) < 0)
		return;
	for (struct pico *p = g->instances; p; p = p->next)
		if (!strcmp(p->name, stat.name))
			pico__process_stray_exited(p, pid, status);
}

/* Lock held, so that the helper cannot be put away meanwhile. */
static void hear(struct pico__guard *g, struct watch *w)
{
	struct pico_control message;
	int rc;

	while ((rc = pico__helper_read(w->helper, &message)) == 1) {
		struct pico__process *q;

		if (message.kind != PICO_CONTROL_EXITED)
			continue;
		q = pico__guard_pid_find(g, message.pid);
		if (q)
			pico__process_exited(q, (int)message.value);
		else
			stray_exited(g, message.pid, (int)message.value);
		pico__helper_ack(w->helper, message.pid);
	}
	if (rc >= 0)
		return;
	w->dead = true;
	epoll_ctl(g->epoll, EPOLL_CTL_DEL, pico__helper_fd(w->helper), NULL);
	for (struct pico *p = g->instances; p; p = p->next)
		if (p->helper == w->helper)
			helper_died(p);
}

static void helper_event(struct pico__guard *g, struct watch *w)
{
	pthread_mutex_lock(&g->lock);
	if (w->helper && !w->dead)
		hear(g, w);
	pthread_mutex_unlock(&g->lock);
}

/* ---- listeners ---- */

static void hang_up(struct pico__guard *g, struct pico *p)
{
	epoll_ctl(g->epoll, EPOLL_CTL_DEL, p->listener, NULL);
	pthread_mutex_lock(&p->lock);
	p->hup = true;
	p->hup_at = pico__now();
	p->seed_wait = 0;
	pthread_mutex_unlock(&p->lock);
	wake(g);
}

static void serve(struct pico__guard *g, struct pico *p)
{
	bool hup = false;
	struct seccomp_notif *n = p->bell ? pico__bell_receive(p, &g->notify, &hup) : pico__notify_receive(p->listener, &g->notify);

	if (hup)
		hang_up(g, p);
	if (!n)
		return;
	if (n->data.arch != AUDIT_ARCH_X86_64) {
		pico__answer(p, n->id, -PICO_EPERM);
	} else if (n->data.nr == SYS_clone) {
		pico__process_clone(p, n);
	} else if (n->data.nr == SYS_close_range) {
		pico__process_close_range(p, n);
	} else if (n->data.nr == PICO_NR_SEED_WAIT) {
		pico__process_seed_wait(p, n);
	} else if (n->data.nr == PICO_NR(PICO_DC_ProcessCheckpoint)) {
		pico__park_checkpoint(p, n);
	} else {
		pico__request_notified(p, n, &g->spare);
	}
}

int pico__guard_register(struct pico *p)
{
	struct pico__guard *g = p->guard;
	struct watch *w;
	bool dead;
	int rc;

	if (!p->bell && pico__notify_sync(p->listener) == 0)
		__atomic_store_n(&global.sync_seen, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&g->lock);
	rc = listen_to(g, p->listener, &p->source);
	if (rc == 0) {
		p->next = g->instances;
		g->instances = p;
	}
	w = find_watch(g, p->helper);
	dead = !w || w->dead;
	pthread_mutex_unlock(&g->lock);
	if (rc < 0)
		return rc;
	p->registered = true;
	if (dead)
		helper_died(p);
	wake(g);
	return 0;
}

/* ---- leaving ---- */

static void stop_guard(struct pico__guard *g);

/* What an instance holds of the shared things, and itself. Returns the guard
 * when it has no user left. */
static struct pico__guard *close_instance(struct pico *p)
{
	struct pico__guard *g = p->guard;
	bool last = false;

	if (p->helper)
		pico__helper_put(p->helper);
	pico__instance_free(p);
	if (!g)
		return NULL;
	pthread_mutex_lock(&global.lock);
	last = --g->users == 0;
	if (last && global.current == g)
		global.current = NULL;
	pthread_mutex_unlock(&global.lock);
	return last ? g : NULL;
}

void pico__guard_put(struct pico__guard *g)
{
	bool last;

	pthread_mutex_lock(&global.lock);
	last = --g->users == 0;
	if (last && global.current == g)
		global.current = NULL;
	pthread_mutex_unlock(&global.lock);
	if (last)
		stop_guard(g);
}

void pico__guard_unregistered(struct pico *p)
{
	struct pico__guard *g;

	if (p->helper && p->guard)
		pico__guard_unwatch_helper(p->guard, p->helper);
	g = close_instance(p);
	if (g)
		stop_guard(g);
}

void pico__guard_forget(struct pico *p)
{
	if (p->helper)
		pico__helper_put(p->helper); /* knows whose it is */
	if (p->owner != getpid()) {
		pico__streams_abandon(p->streams);
		p->streams = NULL;
	}
	pico__instance_free(p);
}

void pico__guard_leave(struct pico *p)
{
	bool inside = pico__callback_current() == p;
	struct pico__guard *g;

	pthread_mutex_lock(&p->lock);
	p->leaving = true;
	p->abandoned = inside;
	pico__guard_poke(p);
	while (!inside && !p->removed)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (inside)
		return;
	g = close_instance(p);
	if (g)
		stop_guard(g);
}

void pico__instance_unbusy(struct pico *p)
{
	struct pico__guard *g = p->guard;

	pthread_mutex_lock(&p->lock);
	p->busy--;
	pthread_cond_broadcast(&p->changed);
	if (p->leaving && g)
		wake(g); /* before the unlock: the guard lives as long as p */
	pthread_mutex_unlock(&p->lock);
}

/* Guard's lock held. True: p is out of the list and is nobody's but ours, or
 * another thread's that frees it. */
static bool let_go(struct pico__guard *g, struct pico **at, struct pico **abandoned)
{
	struct pico *p = *at;
	bool go;

	pthread_mutex_lock(&p->lock);
	go = p->leaving && p->ended && !p->busy;
	if (go) {
		*at = p->next;
		if (!p->hup)
			epoll_ctl(g->epoll, EPOLL_CTL_DEL, p->listener, NULL);
		for (struct pico__process *q = p->processes; q; q = q->next)
			if (q->state == PICO__LIVE) /* given up on */
				pico__guard_pid_remove(g, q);
		unwatch(g, p->helper);
		if (p->abandoned) {
			p->next = *abandoned;
			*abandoned = p;
		} else {
			p->removed = true;
			pthread_cond_broadcast(&p->changed);
		}
	}
	pthread_mutex_unlock(&p->lock); /* if removed, p may be gone now */
	return go;
}

static uint64_t tend(struct pico *p, uint64_t now)
{
	uint64_t limits = pico__limits_tend(p, now);
	uint64_t roll = pico__census_roll(p, now);
	uint64_t life = pico__instance_tend(p, now);

	limits = limits < roll ? limits : roll;
	return limits < life ? limits : life;
}

static void set_timer(struct pico__guard *g, uint64_t due)
{
	struct itimerspec when = { .it_value = { .tv_sec = 0 } };

	if (due != PICO__NEVER) {
		when.it_value.tv_sec = (time_t)(due / PICO__NS);
		when.it_value.tv_nsec = (long)(due % PICO__NS);
	}
	timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void look_after_all(struct pico__guard *g)
{
	struct pico *abandoned = NULL;
	uint64_t due = PICO__NEVER, now = pico__now();

	pthread_mutex_lock(&g->lock);
	for (struct pico **at = &g->instances; *at;) {
		uint64_t mine = tend(*at, now);

		due = mine < due ? mine : due;
		if (!let_go(g, at, &abandoned))
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&g->lock);
	set_timer(g, due);
	while (abandoned) {
		struct pico *p = abandoned;

		abandoned = p->next;
		if (close_instance(p)) { /* nobody can join us: destroyed in a callback */
			__atomic_store_n(&g->detached, 1, __ATOMIC_RELAXED);
			__atomic_store_n(&g->stop, 1, __ATOMIC_RELEASE);
		}
	}
}

/* ---- the thread ---- */

static void free_watches(struct pico__guard *g)
{
	while (g->watches) {
		struct watch *w = g->watches;

		g->watches = w->next;
		free(w);
	}
}

static void guard_free(struct pico__guard *g)
{
	if (g->workers)
		pico__workers_destroy(g->workers);
	free_watches(g);
	pico__close(g->epoll);
	pico__close(g->command_fd);
	pico__close(g->timer_fd);
	pthread_mutex_destroy(&g->lock);
	free(g->spare);
	free(g);
}

static void drain(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n; /* not there: somebody else's event */
}

static void handle(struct pico__guard *g, const struct epoll_event *event)
{
	struct pico__source *source = event->data.ptr;

	switch (source->kind) {
	case PICO__SOURCE_COMMAND:
		drain(g->command_fd);
		break;
	case PICO__SOURCE_TIMER:
		drain(g->timer_fd);
		wake(g);
		break;
	case PICO__SOURCE_HELPER:
		helper_event(g, (struct watch *)source);
		break;
	case PICO__SOURCE_LISTENER:
		if (event->events & EPOLLIN)
			serve(g, (struct pico *)source);
		else
			hang_up(g, (struct pico *)source);
		break;
	}
}

static void *guard_main(void *argument)
{
	struct pico__guard *g = argument;
	struct epoll_event events[BATCH];

	guard_of_this_thread = g;
	pthread_setname_np(pthread_self(), "pico-guard");
	while (!__atomic_load_n(&g->stop, __ATOMIC_ACQUIRE)) {
		int n = epoll_wait(g->epoll, events, BATCH, -1);

		for (int i = 0; i < n; i++)
			handle(g, &events[i]); /* instances leave only between batches */
		if (__atomic_exchange_n(&g->attention, 0, __ATOMIC_SEQ_CST))
			look_after_all(g);
	}
	if (__atomic_load_n(&g->detached, __ATOMIC_RELAXED)) {
		pthread_detach(pthread_self());
		guard_free(g);
	}
	return NULL;
}

static void stop_guard(struct pico__guard *g)
{
	pthread_t thread = g->thread;

	__atomic_store_n(&g->stop, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&g->attention, 1, __ATOMIC_SEQ_CST);
	eventfd_write(g->command_fd, 1);
	pthread_join(thread, NULL);
	guard_free(g);
}

static int start_thread(struct pico__guard *g)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int rc;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&g->thread, &attributes, guard_main, g);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return rc ? pico__error(rc) : 0;
}

static int start_guard(struct pico__guard **out)
{
	struct pico__guard *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return -PICO_ENOMEM;
	g->command.kind = PICO__SOURCE_COMMAND;
	g->timer.kind = PICO__SOURCE_TIMER;
	pthread_mutex_init(&g->lock, NULL);
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	g->command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	rc = g->epoll < 0 || g->command_fd < 0 || g->timer_fd < 0 ? pico__error(errno) : 0;
	if (rc == 0 && !(g->workers = pico__workers_create()))
		rc = -PICO_ENOMEM;
	if (rc == 0)
		rc = listen_to(g, g->command_fd, &g->command);
	if (rc == 0)
		rc = listen_to(g, g->timer_fd, &g->timer);
	if (rc == 0)
		rc = start_thread(g);
	if (rc < 0)
		guard_free(g);
	else
		*out = g;
	return rc;
}

/* ---- fork of the host ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&global.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&global.lock);
}

/* The threads are the parent's, the epoll set is shared with it: close and
 * forget, touch nothing. */
static void after_fork_child(void)
{
	struct pico__guard *g = global.current;

	global.current = NULL;
	pthread_mutex_init(&global.lock, NULL);
	if (!g)
		return;
	pico__close(g->epoll);
	pico__close(g->command_fd);
	pico__close(g->timer_fd);
	pico__workers_forget(g->workers);
	free_watches(g);
	free(g->spare);
	free(g);
}

static void prepare_for_fork(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

int pico__guard_get(struct pico__guard **out, struct pico_error *error)
{
	int rc = pico__notify_check();

	if (rc < 0)
		return pico__error_set(error, -rc, errno, "kernel", "no seccomp notifications that this library understands");
	pthread_once(&global.once, prepare_for_fork);
	pthread_mutex_lock(&global.lock);
	if (!global.current)
		rc = start_guard(&global.current);
	if (rc == 0) {
		*out = global.current;
		global.current->users++;
	}
	pthread_mutex_unlock(&global.lock);
	return rc < 0 ? pico__error_set(error, -rc, 0, "guard", "thread cannot be started: %s", pico_strerror(rc)) : 0;
}
