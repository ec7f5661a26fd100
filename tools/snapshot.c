/* SPDX-License-Identifier: Apache-2.0
 *
 * `pico snapshot`, `pico clone`, `pico ps` and `pico inspect`: what is asked of
 * instances that run under a name, and of files.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pico/pico.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KEY_MIN = 16, KEY_MAX = 64 };

void *read_key(const char *path, size_t *size)
{
	uint8_t bytes[KEY_MAX + 1], *key;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	if (n < 0) {
		complain("key %s: %s", path, strerror(errno));
	} else if (n < KEY_MIN || n > KEY_MAX) {
		complain("key %s: not %d to %d bytes", path, KEY_MIN, KEY_MAX);
	} else {
		key = tool_alloc(NULL, (size_t)n);
		memcpy(key, bytes, (size_t)n);
		*size = (size_t)n;
		close(fd);
		return key;
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* ---- asking ---- */

static void show_progress(const struct control_reply *reply)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rpico: %.1f of %.1f MiB ", (double)reply->done / 1048576, (double)reply->total / 1048576);
}

static void end_progress(bool shown)
{
	if (shown && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* Until it is done; visit (may be NULL) gets what else is said. 0, or -1 after complaining. */
static int ask(const char *name, const struct control_request *request, int fd, struct control_reply *reply,
	       void (*visit)(const struct control_reply *reply, void *user), void *user)
{
	int connection = control_connect(name);
	bool shown = false, done = false;

	if (connection < 0) {
		complain("no instance is named '%s'", name);
		return -1;
	}
	if (control_ask(connection, request, fd) == 0)
		while (!done && control_hear(connection, reply) == 1) {
			done = reply->kind == CONTROL_DONE;
			if (reply->kind == CONTROL_PROGRESS) {
				show_progress(reply);
				shown = true;
			} else if (!done && visit) {
				visit(reply, user);
			}
		}
	close(connection);
	end_progress(shown);
	if (!done)
		complain("%s: ended before it answered", name);
	else if (reply->result < 0)
		complain("%s: %s", name, reply->text[0] ? reply->text : pico_strerror(reply->result));
	return done && reply->result == 0 ? 0 : -1;
}

static void show_report(const struct control_reply *reply, void *user)
{
	(void)user;
	if (reply->kind == CONTROL_REPORT)
		complain("not carried: %s", reply->text);
}

/* ---- snapshot ---- */

static int fill_path(struct control_request *q, const char *path)
{
	char here[sizeof(q->path)];
	int n;

	if (*path == '/')
		n = snprintf(q->path, sizeof(q->path), "%s", path);
	else if (getcwd(here, sizeof(here)))
		n = snprintf(q->path, sizeof(q->path), "%s/%s", here, path);
	else
		n = -1;
	if (n > 0 && (size_t)n < sizeof(q->path))
		return 0;
	complain("%s: no absolute path can be made of it", path);
	return -1;
}

static int fill_key(struct control_request *q, const char *path)
{
	size_t size;
	void *key = read_key(path, &size);

	if (!key)
		return -1;
	memcpy(q->key, key, size);
	q->key_size = (uint32_t)size;
	q->flags |= CONTROL_KEY;
	free(key);
	return 0;
}

static int parse(int argc, char **argv, struct control_request *q, bool stop, bool *bad)
{
	static const struct option long_options[] = {
		{ "stop", no_argument, NULL, 's' }, { "key", required_argument, NULL, 'k' }, { NULL, 0, NULL, 0 },
	};
	int c;

	*bad = false;
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+", long_options, NULL)) != -1)
		if (c == 's' && stop)
			q->flags |= CONTROL_STOP;
		else if (c != 'k' || fill_key(q, optarg) < 0)
			*bad = true;
	if (*bad)
		complain("%s: see pico --help", argv[0]);
	return optind;
}

int command_snapshot(int argc, char **argv)
{
	struct control_request q = { .what = CONTROL_SNAPSHOT };
	struct control_reply reply;
	bool bad;
	int at = parse(argc, argv, &q, true, &bad);

	if (bad)
		return TOOL_EXIT_FAILED;
	if (argc - at != 2) {
		complain("snapshot: a name and a file are needed; see pico --help");
		return TOOL_EXIT_FAILED;
	}
	if (fill_path(&q, argv[at + 1]) < 0)
		return TOOL_EXIT_FAILED;
	return ask(argv[at], &q, -1, &reply, show_report, NULL) ? TOOL_EXIT_FAILED : 0;
}

/* ---- clone ---- */

static void take_policy(const struct control_reply *reply, void *user)
{
	struct run_options *o = user;

	if (reply->kind == CONTROL_MOUNT) {
		o->mounts = tool_alloc(o->mounts, (o->mount_count + 1) * sizeof(*o->mounts));
		o->mounts[o->mount_count++] = (struct mount_option){
			tool_format("%s", reply->text), tool_format("%s", reply->text2), reply->result == 1 };
	} else if (reply->kind == CONTROL_ROOT) {
		free(o->root);
		o->root = tool_format("%s", reply->text);
		o->root_writable = reply->result == 1;
	} else if (reply->kind == CONTROL_LIBOS) {
		o->libos = tool_format("%s", reply->text);
	}
}

int command_clone(int argc, char **argv)
{
	const struct control_request policy = { .what = CONTROL_POLICY }, snapshot = { .what = CONTROL_SNAPSHOT };
	struct run_options o = { .cwd = "/", .snapshot_fd = -1, .changed_ok = true };
	struct control_reply reply;

	if (argc < 2 || argc > 3 || argv[1][0] == '-') {
		complain("clone: a name is needed; see pico --help");
		return TOOL_EXIT_FAILED;
	}
	if (argc == 3) {
		if (!control_name_valid(argv[2])) {
			complain("'%s' is no name of an instance", argv[2]);
			return TOOL_EXIT_FAILED;
		}
		o.name = argv[2];
	}
	o.snapshot_fd = memfd_create("pico-clone", MFD_CLOEXEC);
	if (o.snapshot_fd < 0) {
		complain("memory: %s", strerror(errno));
		return TOOL_EXIT_FAILED;
	}
	if (ask(argv[1], &policy, -1, &reply, take_policy, &o) || ask(argv[1], &snapshot, o.snapshot_fd, &reply, show_report, NULL)) {
		run_options_fini(&o);
		return TOOL_EXIT_FAILED;
	}
	return run_with_options(&o);
}

/* ---- ps ---- */

static void show(const char *name, void *user)
{
	const struct control_request q = { .what = CONTROL_STATUS };
	struct control_reply reply;
	int connection = control_connect(name);

	(void)user;
	if (connection < 0)
		return;
	if (control_ask(connection, &q, -1) == 0 && control_hear(connection, &reply) == 1 && reply.result == 0)
		printf("%-16s %s\n", name, reply.text);
	close(connection);
}

int command_ps(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		complain("ps takes no argument");
		return TOOL_EXIT_FAILED;
	}
	printf("%-16s %7s %7s %5s %9s  %s\n", "NAME", "PID", "SECONDS", "PROCS", "MiB", "PROGRAM");
	control_each(show, NULL);
	return 0;
}

/* ---- inspect ---- */

int command_inspect(int argc, char **argv)
{
	struct control_request q = { 0 };
	struct pico_error error = { 0 };
	struct pico_snapshot_info *info;
	char when[64] = "";
	time_t seconds;
	struct tm tm;
	bool bad;
	int at = parse(argc, argv, &q, false, &bad), result;

	if (bad)
		return TOOL_EXIT_FAILED;
	if (argc - at != 1) {
		complain("inspect: a file is needed; see pico --help");
		return TOOL_EXIT_FAILED;
	}
	info = tool_alloc(NULL, sizeof(*info));
	info->size = sizeof(*info);
	result = pico_snapshot_info(argv[at], q.flags & CONTROL_KEY ? q.key : NULL, q.key_size, info, &error);
	if (result < 0) {
		complain("%s: %s", argv[at], error.message[0] ? error.message : pico_strerror(result));
		free(info);
		return TOOL_EXIT_FAILED;
	}
	seconds = (time_t)(info->taken_ns / 1000000000);
	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	printf("format %u%s\nid %s\ntaken %s by %s\nlibos %s\nsize %llu\nshared memory %llu\nprivate memory %llu\nstreams %u\n",
	       info->version, info->keyed ? ", with a key" : "", info->id, when, info->host, info->libos, (unsigned long long)info->file_size,
	       (unsigned long long)info->shared_bytes, (unsigned long long)info->private_bytes, info->streams);
	fputs(info->text, stdout);
	free(info);
	return 0;
}
