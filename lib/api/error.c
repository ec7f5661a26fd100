/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of error numbers and causes, and the last error of an instance. All
 * texts come from the lists in the public headers.
 */
#include <string.h>

#include "api.h"

static const struct { int number; const char *text; } errors[] = {
#define ERROR_TEXT(name, number, text) { number, text },
	PICO_ERROR_LIST(ERROR_TEXT)
#undef ERROR_TEXT
};

static const char *const causes[] = {
#define CAUSE_TEXT(name, number, text) [number] = text,
	PICO_CAUSE_LIST(CAUSE_TEXT)
#undef CAUSE_TEXT
};

const char *pico_strerror(int error)
{
	unsigned number = error < 0 ? -(unsigned)error : (unsigned)error;

	if (!number)
		return "no error";
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if ((unsigned)errors[i].number == number)
			return errors[i].text;
	return "unknown error";
}

const char *pico_cause_name(unsigned cause)
{
	return cause < sizeof(causes) / sizeof(causes[0]) && causes[cause] ? causes[cause] : "unknown cause";
}

/* A copy for each thread: the instance's own may change at any moment. */
const struct pico_error *pico_get_error(const struct pico *p)
{
	static __thread struct pico_error mine;
	struct pico *instance = (struct pico *)(uintptr_t)p; /* its lock is not part of what a caller sees */

	memset(&mine, 0, sizeof(mine));
	if (pico__owned(p) < 0) {
		pico__error_set(&mine, p ? PICO_ESTATE : PICO_EINVAL, 0, "pico_get_error",
				p ? "the instance is another process's" : "no instance");
		return &mine;
	}
	pthread_mutex_lock(&instance->lock);
	mine = instance->error;
	pthread_mutex_unlock(&instance->lock);
	return &mine;
}
