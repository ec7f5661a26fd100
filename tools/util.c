/* SPDX-License-Identifier: Apache-2.0
 *
 * Small things every file of the tool needs: messages, strings, lists, and the
 * search for the programs that belong to it.
 */
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("pico: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

void *tool_alloc(void *old, size_t size)
{
	void *memory = realloc(old, size);

	if (!memory) {
		complain("out of memory");
		exit(TOOL_EXIT_FAILED);
	}
	return memory;
}

char *tool_format(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		complain("out of memory");
		exit(TOOL_EXIT_FAILED);
	}
	va_end(args);
	return text;
}

void string_list_add(struct string_list *list, char *item)
{
	list->item = tool_alloc(list->item, (list->count + 2) * sizeof(*list->item));
	list->item[list->count++] = item;
	list->item[list->count] = NULL;
}

void string_list_fini(struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct string_list){ 0 };
}

void free_string(char **string)
{
	free(*string);
	*string = NULL;
}

/* This program's own path. Where /proc is missing, as in a bare chroot, what
 * execve was told is as good until the working directory changes. */
static char *own_path(void)
{
	const char *told = (const char *)getauxval(AT_EXECFN);
	char *path = realpath("/proc/self/exe", NULL);

	return path || !told ? path : realpath(told, NULL);
}

char *find_program(const char *name)
{
	cleanup_string char *self = own_path();
	char *slash = self ? strrchr(self, '/') : NULL, *path;

	if (slash) {
		path = tool_format("%.*s/%s", (int)(slash - self), self, name);
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	path = tool_format("%s/%s", PICO_PKGLIBEXECDIR, name);
	if (access(path, R_OK) == 0)
		return path;
	complain("%s is neither beside this program nor in %s: %s", name, PICO_PKGLIBEXECDIR, strerror(errno));
	free(path);
	return NULL;
}
