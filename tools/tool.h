/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the command-line tool share. The tool uses the public
 * header only: whatever it can do, any host application can.
 */
#ifndef PICO_TOOL_H
#define PICO_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of the tool's own, as env(1) and timeout(1) have them. */
enum {
	TOOL_EXIT_TIMEOUT = 124,
	TOOL_EXIT_FAILED = 125,
	TOOL_EXIT_CANNOT_RUN = 126,
	TOOL_EXIT_NOT_FOUND = 127,
	TOOL_EXIT_SIGNAL = 128, /* plus the signal's number */
};

struct string_list {
	char **item; /* item[count] is NULL once there is one */
	size_t count;
};

struct mount_option {
	char *host; /* absolute */
	char *guest; /* absolute */
	bool writable;
};

/* The command line of `pico run`, understood. All strings are owned. */
struct run_options {
	struct mount_option *mounts;
	size_t mount_count;
	struct string_list env; /* "K=V", later ones win */
	char *root; /* host directory, or NULL */
	bool root_writable;
	const char *cwd;
	const char *hostname;
	const char *libos; /* path, or NULL: the Linux one */
	uint64_t memory; /* bytes, 0: no limit */
	uint64_t timeout_ns; /* 0: none */
	uint32_t uid, gid;
	bool stats, verbose, help;
	bool no_patch; /* PICO_FLAG_NO_PATCH */
	char **argv; /* program and arguments: the caller's strings */
	int argc;
};

/* One line on standard error, "pico: ..." */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 0, or -1 after complaining. */
int run_options_parse(struct run_options *options, int argc, char **argv);
void run_options_fini(struct run_options *options);

/* Where the library OS and the helper are: beside the tool itself when it runs
 * from a build folder, else where they are installed. Returns a string to be
 * freed, or NULL after complaining. */
char *find_program(const char *name);

int command_help(void);
int command_run(int argc, char **argv);
int command_features(int argc, char **argv);

/* Out of memory has no way on in a tool of this kind: it says so and ends. */
void *tool_alloc(void *old, size_t size);
char *tool_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void string_list_add(struct string_list *list, char *item); /* takes item */
void string_list_fini(struct string_list *list);
void free_string(char **string);
#define cleanup_string __attribute__((cleanup(free_string)))

#endif
