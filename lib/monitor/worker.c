/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads for what may block: the host application's callbacks, slow file
 * systems. Few, started when needed, gone when idle. No instance may hold all
 * of them. Knows nothing of what a job does.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "instance.h"

#define WORKERS_MAX 32
#define EACH_INSTANCE 12 /* requests */
#define FOR_OTHERS 8 /* the last ones are for instances that have none */
#define FOR_LINES 2 /* the very last, for log lines and ends */
#define IDLE_SECONDS 5
#define STACK_SIZE (1u << 20) /* callbacks are strangers' code */

struct pico__workers {
	pthread_mutex_t lock;
	pthread_cond_t work, gone;
	struct pico__job *first, **last;
	unsigned count, idle, queued, dead_count;
	unsigned requests; /* running: their functions may never return */
	pthread_t dead[WORKERS_MAX]; /* ended, to be joined */
	bool stop;
};

static __thread struct pico *callback_of;

struct pico *pico__callback_enter(struct pico *p)
{
	struct pico *before = callback_of;

	callback_of = p;
	return before;
}

void pico__callback_leave(struct pico *before)
{
	callback_of = before;
}

struct pico *pico__callback_current(void)
{
	return callback_of;
}

struct pico__workers *pico__workers_create(void)
{
	struct pico__workers *w = calloc(1, sizeof(*w));
	pthread_condattr_t attributes;

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attributes);
	pthread_cond_init(&w->gone, &attributes);
	pthread_condattr_destroy(&attributes);
	w->last = &w->first;
	return w;
}

/* Requests may block for ever, so they neither take all workers nor keep what an
 * instance has to say from its host. */
static bool may_start(const struct pico__workers *w, const struct pico__job *job)
{
	unsigned mine = job->request.instance->jobs;
	unsigned most = WORKERS_MAX - FOR_LINES - (mine ? FOR_OTHERS : 0);

	return job->kind != PICO__JOB_REQUEST || (mine < EACH_INSTANCE && w->requests < most);
}

/* The oldest job whose instance does not have its share of workers already. */
static struct pico__job *next_job(struct pico__workers *w)
{
	for (struct pico__job **at = &w->first; *at; at = &(*at)->next) {
		struct pico__job *job = *at;

		if (!may_start(w, job))
			continue;
		*at = job->next;
		if (w->last == &job->next)
			w->last = at;
		if (job->kind == PICO__JOB_REQUEST) {
			job->request.instance->jobs++;
			w->requests++;
		}
		w->queued--;
		return job;
	}
	return NULL;
}

/* Takes job. */
static void run(struct pico__job *job)
{
	struct pico *p = job->request.instance, *before = pico__callback_enter(p);

	if (job->kind == PICO__JOB_REQUEST) {
		pico__request_run(job);
	} else {
		if (p->config.log)
			pico__log_deliver(p, true);
		if (job->kind == PICO__JOB_EXIT)
			pico__exit_deliver(p);
		free(job);
	}
	pico__callback_leave(before);
}

static bool wait_for_work(struct pico__workers *w)
{
	struct timespec end;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += IDLE_SECONDS;
	w->idle++;
	rc = pthread_cond_timedwait(&w->work, &w->lock, &end);
	w->idle--;
	return rc == 0;
}

static void *worker_main(void *argument)
{
	struct pico__workers *w = argument;

	pthread_setname_np(pthread_self(), "pico-worker");
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct pico__job *job = next_job(w);
		struct pico *p;

		if (job) {
			bool request = job->kind == PICO__JOB_REQUEST;

			p = job->request.instance;
			pthread_mutex_unlock(&w->lock);
			run(job);
			pthread_mutex_lock(&w->lock);
			p->jobs -= request;
			w->requests -= request;
			if (w->first)
				pthread_cond_signal(&w->work); /* its instance may have a place now */
			pthread_mutex_unlock(&w->lock);
			pico__instance_unbusy(p); /* p may be gone from here on */
			pthread_mutex_lock(&w->lock);
			continue;
		}
		if (w->stop || (!wait_for_work(w) && !w->queued))
			break;
	}
	w->dead[w->dead_count++] = pthread_self();
	w->count--;
	pthread_cond_broadcast(&w->gone);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void join_dead(struct pico__workers *w)
{
	while (w->dead_count)
		pthread_join(w->dead[--w->dead_count], NULL); /* they hold nothing any more */
}

static void start_one(struct pico__workers *w)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;

	join_dead(w);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (pthread_create(&thread, &attributes, worker_main, w) == 0)
		w->count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

bool pico__workers_put(struct pico__workers *w, struct pico__job *job)
{
	bool taken;

	pthread_mutex_lock(&w->lock);
	if (w->queued >= w->idle && w->count < WORKERS_MAX)
		start_one(w);
	taken = w->count > 0;
	if (taken) {
		job->next = NULL;
		*w->last = job;
		w->last = &job->next;
		w->queued++;
		pthread_cond_signal(&w->work);
	}
	pthread_mutex_unlock(&w->lock);
	return taken;
}

/* In the child of a fork: the threads are the parent's. */
void pico__workers_forget(struct pico__workers *w)
{
	while (w->first) {
		struct pico__job *job = w->first;

		w->first = job->next;
		free(job);
	}
	free(w);
}

void pico__workers_destroy(struct pico__workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	while (w->count)
		pthread_cond_wait(&w->gone, &w->lock);
	pthread_mutex_unlock(&w->lock);
	join_dead(w);
	pthread_cond_destroy(&w->gone);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
