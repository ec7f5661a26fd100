/* SPDX-License-Identifier: Apache-2.0
 *
 * Instances with a name: each is a socket in a directory that only its owner can
 * enter, at which the tool that runs the instance answers. Both ends are this
 * tool and one user's; what comes is still checked for its size.
 */
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pico/pico.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC = 0x6f636970, SERVED_MAX = 16, NAME_MAX_SIZE = 64 };

struct control {
	int fd;
	char *path;
	const struct run_options *options;
	time_t started;
	struct served { pthread_t thread; struct pico *instance; const struct control *control; int connection; bool used, done; } served[SERVED_MAX];
};

bool control_name_valid(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const size_t size = strlen(name);

	return size && size <= NAME_MAX_SIZE && name[0] != '.' && strspn(name, good) == size;
}

/* Made when it is not there. NULL after complaining: somebody else's, or open to others. */
static char *directory(void)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char *path = run && *run == '/' ? tool_format("%s/pico", run) : tool_format("/tmp/pico-%u", (unsigned)geteuid());
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		complain("%s: %s", path, strerror(errno));
	else if (lstat(path, &st) < 0)
		complain("%s: %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		complain("%s: not a directory of this user's alone", path);
	else
		return path;
	free(path);
	return NULL;
}

static int address_of(const char *name, struct sockaddr_un *address)
{
	cleanup_string char *where = directory();

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!where)
		return -1;
	if ((size_t)snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", where, name) >= sizeof(address->sun_path)) {
		complain("%s/%s: too long for a socket", where, name);
		return -1;
	}
	return 0;
}

static int try_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		const int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* ---- the side that runs the instance ---- */

struct control *control_open(const struct run_options *options)
{
	struct control *c;
	struct sockaddr_un address;
	int old, fd;

	if (address_of(options->name, &address) < 0)
		return NULL;
	old = try_connect(&address);
	if (old >= 0) {
		close(old);
		complain("name '%s' is in use", options->name);
		return NULL;
	}
	if (errno == ECONNREFUSED)
		unlink(address.sun_path); /* left behind */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0) {
		complain("%s: %s", address.sun_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	c = tool_alloc(NULL, sizeof(*c));
	*c = (struct control){ .fd = fd, .path = tool_format("%s", address.sun_path), .options = options, .started = time(NULL) };
	return c;
}

int control_fd(const struct control *control)
{
	return control->fd;
}

static bool say(int connection, const struct control_reply *reply)
{
	return send(connection, reply, sizeof(*reply), MSG_NOSIGNAL) == sizeof(*reply);
}

static int say_progress(void *user, uint64_t done, uint64_t total)
{
	const struct served *s = user;
	const struct control_reply reply = { .kind = CONTROL_PROGRESS, .done = done, .total = total };

	return !say(s->connection, &reply); /* nobody waits for it any more */
}

static void say_report(void *user, const char *line)
{
	const struct served *s = user;
	struct control_reply reply = { .kind = CONTROL_REPORT };

	snprintf(reply.text, sizeof(reply.text), "%s", line);
	say(s->connection, &reply);
}

static void take_snapshot(struct served *s, const struct control_request *q, int fd, struct control_reply *reply)
{
	struct pico_snapshot_options o;

	pico_snapshot_options_init(&o);
	o.flags = q->flags & CONTROL_STOP ? PICO_SNAPSHOT_STOP : 0;
	o.path = q->path[0] ? q->path : NULL;
	o.fd = fd;
	if (q->flags & CONTROL_KEY) {
		o.key = q->key;
		o.key_size = q->key_size;
	}
	o.progress = say_progress;
	o.report = say_report;
	o.user = s;
	reply->result = pico_snapshot(s->instance, &o);
	if (reply->result < 0)
		snprintf(reply->text, sizeof(reply->text), "%s", pico_get_error(s->instance)->message);
}

static void tell_status(const struct served *s, struct control_reply *reply)
{
	struct pico_stats *stats = tool_alloc(NULL, sizeof(*stats));

	stats->size = sizeof(*stats);
	reply->result = pico_stats(s->instance, stats);
	if (reply->result == 0)
		snprintf(reply->text, sizeof(reply->text), "%7d %7ld %5u %9.1f  %s", (int)getpid(), (long)(time(NULL) - s->control->started),
			 stats->processes, (double)stats->memory / 1048576,
			 s->control->options->argc ? s->control->options->argv[0] : "(a copy)");
	free(stats);
}

static void tell_policy(const struct served *s)
{
	const struct run_options *o = s->control->options;
	struct control_reply *reply = tool_alloc(NULL, sizeof(*reply));

	for (size_t i = 0; i < o->mount_count; i++) {
		*reply = (struct control_reply){ .kind = CONTROL_MOUNT, .result = o->mounts[i].writable };
		snprintf(reply->text, sizeof(reply->text), "%s", o->mounts[i].host);
		snprintf(reply->text2, sizeof(reply->text2), "%s", o->mounts[i].guest);
		say(s->connection, reply);
	}
	if (o->root) {
		*reply = (struct control_reply){ .kind = CONTROL_ROOT, .result = o->root_writable };
		snprintf(reply->text, sizeof(reply->text), "%s", o->root);
		say(s->connection, reply);
	}
	if (o->libos) {
		*reply = (struct control_reply){ .kind = CONTROL_LIBOS };
		snprintf(reply->text, sizeof(reply->text), "%s", o->libos);
		say(s->connection, reply);
	}
	free(reply);
}

/* The request and, when there is one, the descriptor that comes along. */
static bool hear_request(int connection, struct control_request *q, int *fd)
{
	union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec part = { q, sizeof(*q) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	const ssize_t n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*fd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	q->path[sizeof(q->path) - 1] = 0;
	return n == sizeof(*q) && q->magic == MAGIC && q->key_size <= sizeof(q->key);
}

static void *serve(void *user)
{
	struct served *s = user;
	struct control_reply *reply = tool_alloc(NULL, sizeof(*reply));
	struct control_request *q = tool_alloc(NULL, sizeof(*q));
	int fd;

	*reply = (struct control_reply){ .kind = CONTROL_DONE, .result = -PICO_EINVAL };
	if (hear_request(s->connection, q, &fd)) {
		reply->result = 0;
		if (q->what == CONTROL_STATUS)
			tell_status(s, reply);
		else if (q->what == CONTROL_SNAPSHOT)
			take_snapshot(s, q, fd, reply);
		else if (q->what == CONTROL_POLICY)
			tell_policy(s);
		else
			reply->result = -PICO_EINVAL;
		say(s->connection, reply);
	}
	if (fd >= 0)
		close(fd);
	free(reply);
	free(q);
	close(s->connection);
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void reap(struct control *c, bool all)
{
	for (int i = 0; i < SERVED_MAX; i++)
		if (c->served[i].used && (all || __atomic_load_n(&c->served[i].done, __ATOMIC_ACQUIRE))) {
			pthread_join(c->served[i].thread, NULL);
			c->served[i].used = false;
		}
}

/* In a thread of its own: signals and the program's end are not to wait. */
void control_serve(struct control *c, struct pico *instance)
{
	int connection = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	struct served *s = NULL;

	if (connection < 0)
		return;
	reap(c, false);
	for (int i = 0; i < SERVED_MAX && !s; i++)
		if (!c->served[i].used)
			s = &c->served[i];
	if (s) {
		*s = (struct served){ .instance = instance, .control = c, .connection = connection, .used = true };
		if (pthread_create(&s->thread, NULL, serve, s) == 0)
			return;
		s->used = false;
	}
	close(connection);
}

void control_close(struct control **control)
{
	struct control *c = *control;

	*control = NULL;
	if (!c)
		return;
	unlink(c->path);
	close(c->fd);
	reap(c, true);
	free(c->path);
	free(c);
}

/* ---- the side that asks ---- */

int control_connect(const char *name)
{
	struct sockaddr_un address;
	int fd;

	if (!control_name_valid(name))
		return -1;
	if (address_of(name, &address) < 0)
		return -1;
	fd = try_connect(&address);
	if (fd < 0 && errno == ECONNREFUSED)
		unlink(address.sun_path); /* left behind by one that was killed */
	return fd;
}

int control_ask(int connection, const struct control_request *request, int fd)
{
	union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct control_request q = *request;
	struct iovec part = { &q, sizeof(q) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	q.magic = MAGIC;
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
	}
	if (sendmsg(connection, &m, MSG_NOSIGNAL) == sizeof(q))
		return 0;
	complain("the instance does not listen: %s", strerror(errno));
	return -1;
}

int control_hear(int connection, struct control_reply *reply)
{
	const ssize_t n = recv(connection, reply, sizeof(*reply), 0);

	if (n != sizeof(*reply))
		return 0;
	reply->text[sizeof(reply->text) - 1] = reply->text2[sizeof(reply->text2) - 1] = 0;
	return 1;
}

void control_each(void (*visit)(const char *name, void *user), void *user)
{
	cleanup_string char *where = directory();
	DIR *all = where ? opendir(where) : NULL;

	for (struct dirent *d; all && (d = readdir(all));)
		if (control_name_valid(d->d_name))
			visit(d->d_name, user);
	if (all)
		closedir(all);
}
