/* SPDX-License-Identifier: Apache-2.0
 *
 * Start, wait, kill, signal, and the event-loop pair pico_fd and
 * pico_dispatch. Everything here only changes or reads the instance's state;
 * the guard does the rest.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api.h"

int pico_start(struct pico *p)
{
	const char *why = "started before";
	int rc = pico__owned(p), code = PICO_ESTATE;

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->lock);
	if (!p->guard) {
		why = "not attached to a guard";
	} else if (p->dying) {
		code = PICO_EDIED;
		why = pico_cause_name(p->result.cause);
	} else if (!p->started) {
		p->started = true;
		p->started_at = pico__now();
		code = -pico__process_start_first(p);
		why = "no room for the first picoprocess";
		if (code)
			p->started = false;
	}
	pthread_mutex_unlock(&p->lock);
	if (code)
		return pico__instance_error(p, code, 0, "pico_start", "%s", why);
	pico__guard_poke(p); /* limits run from now on */
	return 0;
}

static struct timespec deadline_of(int64_t timeout_ms)
{
	uint64_t at = pico__now(), add;
	struct timespec t;

	/* A century is for ever. */
	add = (uint64_t)timeout_ms > 100ull * 366 * 86400 * 1000 ? 100ull * 366 * 86400 * 1000 : (uint64_t)timeout_ms;
	at += add * PICO__MS;
	t.tv_sec = (time_t)(at / PICO__NS);
	t.tv_nsec = (long)(at % PICO__NS);
	return t;
}

/* Lock held. */
static int wait_for_end(struct pico *p, int64_t timeout_ms)
{
	struct timespec deadline = { 0 };
	int rc = 0;

	if (timeout_ms >= 0)
		deadline = deadline_of(timeout_ms);
	while (!p->ended && rc == 0) {
		if (timeout_ms < 0)
			pthread_cond_wait(&p->changed, &p->lock);
		else
			rc = pthread_cond_timedwait(&p->changed, &p->lock, &deadline);
	}
	return p->ended ? 0 : -PICO_ETIMEDOUT;
}

int pico_wait(struct pico *p, int64_t timeout_ms, struct pico_exit *out)
{
	int rc = pico__owned(p);

	if (rc < 0)
		return rc;
	if (pico__callback_current() == p)
		return pico__instance_error(p, PICO_EDEADLK, 0, "pico_wait", "called from a callback of the instance");
	pthread_mutex_lock(&p->lock);
	if (!p->started && !p->dying && !p->ended) {
		pthread_mutex_unlock(&p->lock);
		return pico__instance_error(p, PICO_ESTATE, 0, "pico_wait", "not started");
	}
	p->busy++; /* another thread may destroy it meanwhile */
	rc = wait_for_end(p, timeout_ms);
	p->busy--;
	if (rc == 0 && out)
		*out = p->result;
	if (p->leaving)
		pico__guard_poke(p);
	pthread_mutex_unlock(&p->lock); /* p may be gone from here on */
	return rc;
}

int pico_kill(struct pico *p)
{
	int rc = pico__owned(p);

	if (rc < 0)
		return rc;
	pico__instance_die(p, PICO_CAUSE_KILLED, "pico_kill");
	return 0;
}

static const struct { int signo; uint32_t bit; } signals[] = {
	{ SIGINT, PICO_HOST_INTERRUPT }, { SIGTERM, PICO_HOST_TERMINATE }, { SIGQUIT, PICO_HOST_QUIT },
	{ SIGHUP, PICO_HOST_HANGUP }, { SIGWINCH, PICO_HOST_WINDOW }, { SIGUSR1, PICO_HOST_USER1 },
	{ SIGUSR2, PICO_HOST_USER2 }, { SIGSTOP, PICO_HOST_STOP }, { SIGTSTP, PICO_HOST_STOP },
	{ SIGCONT, PICO_HOST_CONTINUE },
};

static uint32_t bit_of(int signo)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signals[i].signo == signo)
			return signals[i].bit;
	return 0;
}

int pico_signal(struct pico *p, int signo)
{
	uint32_t bit = bit_of(signo);
	int rc = pico__owned(p);

	if (rc < 0)
		return rc;
	if (!bit)
		return pico__instance_error(p, PICO_EINVAL, 0, "pico_signal", "signal %d cannot be passed on", signo);
	pthread_mutex_lock(&p->lock);
	if (p->dying || p->ended) {
		rc = -PICO_ESRCH;
	} else if (!p->started) {
		rc = -PICO_ESTATE;
	} else {
		__atomic_fetch_or(&pico__mailbox_header(p)->host.events, bit, __ATOMIC_SEQ_CST);
		rc = pico__thread_interrupt_first(p);
	}
	pthread_mutex_unlock(&p->lock);
	return rc < 0 ? pico__instance_error(p, -rc, 0, "pico_signal", "signal %d: %s", signo, pico_strerror(rc)) : 0;
}

int pico_fd(const struct pico *p)
{
	return p ? p->event_fd : -PICO_EINVAL;
}

int pico_stopped(struct pico *p)
{
	int rc = pico__owned(p);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->lock);
	rc = p->stopped && !p->dying && !p->ended;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int pico_dispatch(struct pico *p)
{
	int rc = pico__owned(p);
	uint64_t count;
	ssize_t n;

	if (rc < 0)
		return rc;
	n = read(p->event_fd, &count, sizeof(count));
	(void)n; /* nothing new: still look */
	pthread_mutex_lock(&p->lock);
	p->busy++; /* a callback may destroy it */
	rc = p->ended;
	pthread_mutex_unlock(&p->lock);
	if (p->config.flags & PICO_FLAG_DISPATCH) {
		if (p->config.log)
			pico__log_deliver(p, false);
		pico__exit_deliver(p);
	}
	pico__instance_unbusy(p);
	return rc;
}
