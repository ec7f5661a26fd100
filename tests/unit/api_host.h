/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the public calls share: where the built helper and the
 * bare library OS are, an instance in one line, a log that is kept.
 */
#ifndef API_HOST_H
#define API_HOST_H

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pico/pico.h>

static inline const char *built(const char *name)
{
	static __thread char paths[4][4096];
	static __thread int next;
	const char *builddir = getenv("builddir");
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", builddir ? builddir : ".", name);
	return path;
}

struct kept_log {
	pthread_mutex_t lock;
	char text[65536];
	size_t size, lines;
};

static inline void keep_log(void *user, int level, const char *line)
{
	struct kept_log *log = user;

	pthread_mutex_lock(&log->lock);
	log->lines++;
	if (log->size + strlen(line) + 8 < sizeof(log->text))
		log->size += (size_t)sprintf(log->text + log->size, "%d %s\n", level, line);
	pthread_mutex_unlock(&log->lock);
}

static inline bool log_has(struct kept_log *log, const char *text)
{
	bool has;

	pthread_mutex_lock(&log->lock);
	has = strstr(log->text, text) != NULL;
	pthread_mutex_unlock(&log->lock);
	return has;
}

static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void nap_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Until the guest has said it, at most ten seconds. */
static inline bool said(struct kept_log *log, const char *text)
{
	for (int i = 0; i < 1000 && !log_has(log, text); i++)
		nap_ms(10);
	return log_has(log, text);
}

/* Options for the bare library OS's test `command` ("name arg arg"). */
static inline void bare_options(struct pico_options *o, const char *command)
{
	static __thread char text[256];
	static __thread const char *argv[16];
	int count = 0;

	snprintf(text, sizeof(text), "%s", command);
	for (char *save, *word = strtok_r(text, " ", &save); word && count < 15; word = strtok_r(NULL, " ", &save))
		argv[count++] = word;
	argv[count] = NULL;
	pico_options_init(o);
	o->program = argv[0];
	o->argv = argv;
	o->libos = built("libos-bare");
	o->helper = built("pico-helper");
}

static inline struct pico *make(const struct pico_options *o)
{
	struct pico_error e = { 0 };
	struct pico *p = NULL;
	int rc = pico_create(o, &p, &e);

	cr_assert_eq(rc, 0, "pico_create: %d, %s: %s", rc, e.where, e.message);
	return p;
}

static inline struct pico *begin(const struct pico_options *o)
{
	struct pico *p = make(o);

	cr_assert_eq(pico_start(p), 0, "%s", pico_get_error(p)->message);
	return p;
}

static inline struct pico_exit finish(struct pico *p)
{
	struct pico_exit e = { 0 };
	int rc = pico_wait(p, 20000, &e);

	cr_assert_eq(rc, 0, "pico_wait: %s", pico_strerror(rc));
	return e;
}

static inline struct pico_exit run(const char *command)
{
	struct pico_options o;
	struct pico_exit e;
	struct pico *p;

	bare_options(&o, command);
	p = begin(&o);
	e = finish(p);
	pico_destroy(p);
	return e;
}

#endif
