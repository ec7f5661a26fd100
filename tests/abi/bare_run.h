/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs one test of the bare library OS in an instance of its own and keeps what
 * it printed. Used by the TAP drivers beside it; knows only the public API.
 */
#ifndef BARE_RUN_H
#define BARE_RUN_H

#include <pico/pico.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bare_result {
	int rc; /* of the API, 0 when the instance ran and ended */
	struct pico_exit exit;
	char log[16384];
	size_t log_size;
};

static inline void bare_log(void *user, int level, const char *line)
{
	struct bare_result *r = user;
	(void)level;
	int n = snprintf(r->log + r->log_size, sizeof(r->log) - r->log_size, "# %s\n", line);
	if (n > 0 && r->log_size + (size_t)n < sizeof(r->log))
		r->log_size += (size_t)n;
}

static inline const char *built(const char *name, char *buffer, size_t size)
{
	const char *dir = getenv("builddir");
	snprintf(buffer, size, "%s/%s", dir && *dir ? dir : ".", name);
	return buffer;
}

/* args: the test's name and its arguments, NULL-terminated. libos NULL: the built libos-bare. */
static inline void bare_run(struct bare_result *r, const char *libos, const char *const *args, struct pico_options *options)
{
	char helper[512], image[512];
	struct pico_options own;
	struct pico_error error = { 0 };
	struct pico *p;

	memset(r, 0, sizeof(*r));
	if (!options) {
		pico_options_init(&own);
		options = &own;
	}
	options->program = args[0];
	options->argv = args;
	options->log = bare_log;
	options->log_user = r;
	options->log_level = PICO_LOG_DEBUG;
	options->helper = built("pico-helper", helper, sizeof(helper));
	options->libos = libos ? libos : built("libos-bare", image, sizeof(image));
	if (!options->limits.deadline_ms)
		options->limits.deadline_ms = 120000;
	r->rc = pico_create(options, &p, &error);
	if (r->rc) {
		bare_log(r, 0, error.message);
		return;
	}
	r->rc = pico_start(p);
	if (!r->rc)
		r->rc = pico_wait(p, -1, &r->exit);
	pico_destroy(p);
}

static inline bool bare_passed(const struct bare_result *r)
{
	return r->rc == 0 && r->exit.kind == PICO_EXITED && r->exit.code == 0;
}

static inline void bare_report(unsigned number, const char *name, const struct bare_result *r, bool ok)
{
	printf("%s %u - %s\n", ok ? "ok" : "not ok", number, name);
	if (!ok)
		printf("# rc %d kind %u code %d signal %d cause %s: %s\n%s", r->rc, r->exit.kind, r->exit.code, r->exit.signal,
		       pico_cause_name(r->exit.cause), r->exit.message, r->log);
	fflush(stdout);
}

#endif
