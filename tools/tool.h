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
	uint64_t huge_pages; /* bytes, 0: none */
	uint64_t timeout_ns; /* 0: none */
	uint32_t uid, gid;
	bool stats, verbose, help;
	const char *name; /* of the instance, for other calls of this tool; or NULL */
	bool verify, changed_ok, add_pause; /* restore */
	const char *key; /* file with the snapshot's key, or NULL */
	const char *snapshot; /* go on from this file; or NULL */
	int snapshot_fd; /* or from this one; -1 */
	bool no_patch; /* PICO_FLAG_NO_PATCH */
	char **argv; /* program and arguments: the caller's strings */
	int argc;
};

/* One line on standard error, "pico: ..." */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 0, or -1 after complaining. The command's name is argv[0]; what it works on is
 * the first argument that is no option: a program, or the file of a snapshot. */
int run_options_parse(struct run_options *options, int argc, char **argv);
void run_options_fini(struct run_options *options);

/* Where the library OS and the helper are: beside the tool itself when it runs
 * from a build folder, else where they are installed. Returns a string to be
 * freed, or NULL after complaining. */
char *find_program(const char *name);

int command_help(void);
int command_run(int argc, char **argv);
int command_features(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_snapshot(int argc, char **argv);
int command_clone(int argc, char **argv);
int command_ps(int argc, char **argv);
int command_inspect(int argc, char **argv);

/* Runs what the options say and returns the tool's exit status; takes them. */
int run_with_options(struct run_options *options);

/* The key in a file: 16 bytes or more. NULL after complaining; freed by the caller. */
void *read_key(const char *path, size_t *size);

/* ---- control.c: instances with a name, and their sockets ---- */
struct pico;
struct control;
/* NULL after complaining: the name is no good, or in use. */
struct control *control_open(const struct run_options *options);
int control_fd(const struct control *control); /* readable: call control_serve */
void control_serve(struct control *control, struct pico *instance);
void control_close(struct control **control); /* waits for what is being served */

enum control_what { CONTROL_STATUS = 1, CONTROL_SNAPSHOT, CONTROL_POLICY };
enum { CONTROL_STOP = 1, CONTROL_KEY = 2 }; /* flags */
struct control_request {
	uint32_t magic, what, flags, key_size;
	uint8_t key[64];
	char path[4096]; /* absolute; empty: into the descriptor that comes along */
};
enum control_kind { CONTROL_DONE = 1, CONTROL_PROGRESS, CONTROL_REPORT, CONTROL_MOUNT, CONTROL_ROOT, CONTROL_LIBOS };
struct control_reply {
	uint32_t kind; /* DONE is the last */
	int32_t result; /* DONE: 0 or -PICO_E. MOUNT, ROOT: 1: may be written */
	uint64_t done, total;
	char text[4096], text2[4096];
};
/* A connection to the instance of that name, or -1: there is none. */
int control_connect(const char *name);
int control_ask(int connection, const struct control_request *request, int fd);
int control_hear(int connection, struct control_reply *reply); /* 1, or 0: hung up */
/* Calls visit with each name there is. */
void control_each(void (*visit)(const char *name, void *user), void *user);
bool control_name_valid(const char *name);

/* Out of memory has no way on in a tool of this kind: it says so and ends. */
void *tool_alloc(void *old, size_t size);
char *tool_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void string_list_add(struct string_list *list, char *item); /* takes item */
void string_list_fini(struct string_list *list);
void free_string(char **string);
#define cleanup_string __attribute__((cleanup(free_string)))

#endif
