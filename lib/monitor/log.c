/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library OS says (DebugStringPrint): log lines for the host
 * application, the last error, named counters, and that it stands still. Lines wait in a bounded queue
 * that a worker, or pico_dispatch(), hands to the callback, so neither guest
 * nor guard waits for the host application. Also the exit callback, which must
 * come after the last line.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instance.h"

#define LINE_MAX_SIZE 1024 /* of an escaped line */
#define QUEUE_MAX 2048
#define BURST 2000 /* lines at once; then as many a second */

static const struct { const char *prefix; int level; } levels[] = {
	{ "error:", PICO_LOG_ERROR }, { "warning:", PICO_LOG_WARNING }, { "info:", PICO_LOG_INFO },
};

static int level_of(const char *text)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strncmp(text, levels[i].prefix, strlen(levels[i].prefix)))
			return levels[i].level;
	return PICO_LOG_DEBUG;
}

/* Bytes of the UTF-8 character at text; 0: it is none, or a control. */
static size_t printable(const char *text, size_t size)
{
	const unsigned char *t = (const unsigned char *)text;
	size_t need = t[0] < 0x80 ? 1 : t[0] >= 0xc2 && t[0] < 0xe0 ? 2 : (t[0] & 0xf0) == 0xe0 ? 3 : t[0] >= 0xf0 && t[0] < 0xf5 ? 4 : 0;

	if (need == 1)
		return (t[0] >= 0x20 && t[0] != 0x7f) || t[0] == '\t';
	if (!need || need > size || (t[0] == 0xc2 && t[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

/* A terminal must not be steered by a guest: controls, and bytes that are no
 * character, become \xNN. */
static void escape(char *to, size_t room, const char *text, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < size && at + 5 < room;) {
		size_t good = printable(text + i, size - i);
		unsigned char c = (unsigned char)text[i];

		if (good) {
			memcpy(to + at, text + i, good);
			at += good;
			i += good;
			continue;
		}
		to[at++] = '\\';
		to[at++] = 'x';
		to[at++] = digits[c >> 4];
		to[at++] = digits[c & 15];
		i++;
	}
	to[at] = 0;
}

/* ---- counters: "stat:NAME:+N" ---- */

static struct pico__counter *counter(struct pico *p, const char *name, size_t size)
{
	if (!p->counters)
		p->counters = calloc(PICO__COUNTERS_MAX, sizeof(*p->counters));
	if (!p->counters)
		return NULL;
	for (uint32_t i = 0; i < p->counter_count; i++)
		if (strlen(p->counters[i].name) == size && !memcmp(p->counters[i].name, name, size))
			return &p->counters[i];
	if (p->counter_count == PICO__COUNTERS_MAX)
		return NULL;
	memcpy(p->counters[p->counter_count].name, name, size);
	return &p->counters[p->counter_count++];
}

static int64_t count(struct pico *p, const char *text)
{
	const char *colon = strchr(text, ':');
	struct pico__counter *c;
	uint64_t add = 0;
	size_t size;

	if (!colon || colon[1] != '+')
		return -PICO_EINVAL;
	size = (size_t)(colon - text);
	if (!size || size >= PICO__NAME_SIZE)
		return -PICO_EINVAL;
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return -PICO_EINVAL;
	for (const char *digit = colon + 2; *digit; digit++) {
		if (*digit < '0' || *digit > '9' || add > UINT32_MAX)
			return -PICO_EINVAL;
		add = add * 10 + (uint64_t)(*digit - '0');
	}
	pthread_mutex_lock(&p->lock);
	c = counter(p, text, size);
	if (c)
		c->value += add;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* ---- lines ---- */

static bool within_rate(struct pico *p, uint64_t now)
{
	uint64_t earned = (now - p->log_at) / (PICO__NS / BURST);

	if (earned) {
		p->log_tokens = p->log_tokens + earned > BURST ? BURST : p->log_tokens + earned;
		p->log_at = now;
	}
	if (!p->log_tokens || p->log_queued >= QUEUE_MAX) {
		p->log_dropped++;
		return false;
	}
	p->log_tokens--;
	return true;
}

static void append(struct pico *p, int level, const char *text)
{
	size_t size = strlen(text) + 1;
	struct pico__log_line *line = malloc(sizeof(*line) + size);

	if (!line) {
		p->log_dropped++;
		return;
	}
	line->next = NULL;
	line->level = level;
	memcpy(line->text, text, size);
	*p->log_last = line;
	p->log_last = &line->next;
	p->log_queued++;
}

static bool put_job(struct pico *p, int kind)
{
	struct pico__job *job = calloc(1, sizeof(*job));

	if (!job)
		return false;
	job->kind = kind;
	job->request.instance = p;
	if (!pico__workers_put(pico__guard_workers(p->guard), job)) {
		free(job);
		return false;
	}
	p->busy++; /* under the lock the job needs to undo it */
	return true;
}

/* Lock held. */
static void deliver_later(struct pico *p)
{
	if (!p->guard)
		return;
	if (p->config.flags & PICO_FLAG_DISPATCH) {
		pico__instance_event(p);
	} else if (!p->log_flushing) {
		p->log_flushing = put_job(p, PICO__JOB_LOG);
	}
}

static void emit(struct pico *p, int level, const char *text)
{
	char note[64];

	if (!p->config.log || level > (int)p->config.log_level)
		return;
	pthread_mutex_lock(&p->lock);
	if (within_rate(p, pico__now())) {
		if (p->log_dropped) {
			snprintf(note, sizeof(note), "pico: %llu lines left out", (unsigned long long)p->log_dropped);
			p->log_dropped = 0;
			append(p, PICO_LOG_WARNING, note);
		}
		append(p, level, text);
		deliver_later(p);
	}
	pthread_mutex_unlock(&p->lock);
}

/* "state:stopped", "state:running": of the first program, as its job control says. */
static int64_t state(struct pico *p, const char *text, uint32_t size)
{
	const bool stopped = size == 7 && !memcmp(text, "stopped", 7);

	if (!stopped && (size != 7 || memcmp(text, "running", 7) != 0))
		return -PICO_EINVAL;
	pthread_mutex_lock(&p->lock);
	p->stopped = stopped;
	pthread_mutex_unlock(&p->lock);
	pico__instance_event(p);
	return 0;
}

int64_t pico__log_guest(struct pico *p, const char *text, uint32_t size)
{
	char line[LINE_MAX_SIZE];
	int level;

	while (size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
		size--;
	if (size >= 5 && !memcmp(text, "stat:", 5)) {
		char name[PICO__NAME_SIZE + 32];

		if (size - 5 >= sizeof(name))
			return -PICO_EINVAL;
		memcpy(name, text + 5, size - 5);
		name[size - 5] = 0;
		return count(p, name);
	}
	if (size >= 6 && !memcmp(text, "state:", 6))
		return state(p, text + 6, size - 6);
	escape(line, sizeof(line), text, size);
	level = level_of(line);
	if (level == PICO_LOG_ERROR) {
		const char *what = line + strlen("error:");

		pthread_mutex_lock(&p->lock);
		snprintf(p->said, sizeof(p->said), "%s", what + strspn(what, " "));
		pthread_mutex_unlock(&p->lock);
	}
	emit(p, level, line);
	return 0;
}

void pico__log(struct pico *p, int level, const char *format, ...)
{
	char text[LINE_MAX_SIZE / 4], line[LINE_MAX_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	escape(line, sizeof(line), text, strlen(text));
	emit(p, level, line);
}

/* ---- delivery ---- */

static struct pico__log_line *take_line(struct pico *p)
{
	struct pico__log_line *line;

	pthread_mutex_lock(&p->lock);
	line = p->log_first;
	if (line) {
		p->log_first = line->next;
		if (!p->log_first)
			p->log_last = &p->log_first;
		p->log_queued--;
	} else {
		p->log_flushing = false;
	}
	pthread_mutex_unlock(&p->lock);
	return line;
}

static bool more_lines(struct pico *p)
{
	bool more;

	pthread_mutex_lock(&p->lock);
	more = p->log_first != NULL;
	pthread_mutex_unlock(&p->lock);
	return more;
}

void pico__log_deliver(struct pico *p, bool wait)
{
	struct pico *before = pico__callback_enter(p);
	struct pico__log_line *line;

	/* Looked at again after the unlock: whoever found the lock taken
	 * meanwhile left its line to us. */
	do {
		if (wait)
			pthread_mutex_lock(&p->log_lock);
		else if (pthread_mutex_trylock(&p->log_lock))
			break;
		while ((line = take_line(p))) {
			p->config.log(p->config.log_user, line->level, line->text);
			free(line);
		}
		pthread_mutex_unlock(&p->log_lock);
	} while (more_lines(p));
	pico__callback_leave(before);
}

void pico__exit_deliver(struct pico *p)
{
	struct pico *before;
	struct pico_exit result;
	bool due;

	pthread_mutex_lock(&p->lock);
	due = p->ended && p->started && p->config.on_exit && !p->exit_called;
	if (due)
		p->exit_called = true;
	result = p->result;
	pthread_mutex_unlock(&p->lock);
	if (!due)
		return;
	before = pico__callback_enter(p);
	p->config.on_exit(p->config.exit_user, &result);
	pico__callback_leave(before);
}

/* Lock held; it has ended. */
void pico__exit_later(struct pico *p)
{
	if (p->guard && p->started && p->config.on_exit && !(p->config.flags & PICO_FLAG_DISPATCH))
		put_job(p, PICO__JOB_EXIT);
}

void pico__log_fini(struct pico *p)
{
	while (p->log_first) {
		struct pico__log_line *line = p->log_first;

		p->log_first = line->next;
		free(line);
	}
	free(p->counters);
}
