/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of the helper: one helper a host process, its two sockets,
 * orders and answers. How it is started stands in launch.c. Knows nothing of
 * policy, streams or notifications, and leaves the host's signals, children and
 * standard descriptors alone.
 *
 * A host may fork without exec. The copy's handles then name the parent's
 * helper, which serves the parent only: every call compares the owner's pid,
 * and the first pico__helper_get of the copy starts a helper of its own.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"
#include "spawn.h"

#define ANSWER_MS 10000

struct pico__helper {
	pid_t owner;
	_Atomic unsigned references; /* changed under domain.lock, but in a fork's copy */
	struct pico__launched link; /* descriptors stay open until the last put */
	ino_t control_inode, spawn_inode; /* to know our own after a fork */
	pthread_mutex_t order_lock; /* one order at a time; guards next_id */
	uint32_t next_id;
	pthread_mutex_t control_lock; /* reading the control socket; guards the rest */
	bool ready;
	_Atomic uint32_t features;
	atomic_bool dead;
	int failed_errno; /* of PICO_CONTROL_FAILED */
	char failed_text[64];
};

/* ---- errors ---- */

__attribute__((format(printf, 4, 5)))
static int fail(struct pico__spawn_error *e, int error, int host_errno, const char *format, ...)
{
	va_list args;
	if (e) {
		e->error = error;
		e->host_errno = host_errno;
		va_start(args, format);
		vsnprintf(e->where, sizeof e->where, format, args);
		va_end(args);
	}
	return -error;
}

/* Errors of the host that mean the same to the caller; the rest is the
 * helper's trouble. */
static int public_error(int host_errno)
{
	switch (host_errno) {
	case ENOMEM: return PICO_ENOMEM;
	case EAGAIN: return PICO_EAGAIN;
	case EMFILE: return PICO_EMFILE;
	case ENFILE: return PICO_ENFILE;
	default: return PICO_EHELPER;
	}
}

/* ---- one helper a process ---- */

/* Belongs to one process: a fork's copy is left alone (its lock may be held by
 * a thread that does not exist there) and stays reachable from the new one. */
struct domain {
	pid_t owner;
	pthread_mutex_t lock;
	struct pico__helper *current;
	struct domain *inherited;
};
static _Atomic(struct domain *) the_domain;

static struct domain *domain_of_this_process(void)
{
	struct domain *old = atomic_load(&the_domain), *new;
	pid_t self = getpid();
	while (!old || old->owner != self) {
		new = calloc(1, sizeof *new);
		if (!new)
			return NULL;
		new->owner = self;
		new->inherited = old;
		pthread_mutex_init(&new->lock, NULL);
		if (atomic_compare_exchange_strong(&the_domain, &old, new))
			return new;
		free(new);
	}
	return old;
}

static bool is_ours(int fd, ino_t inode)
{
	struct stat file;
	return fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode) && file.st_ino == inode;
}

static ino_t inode_of(int fd)
{
	struct stat file;
	return fstat(fd, &file) == 0 ? file.st_ino : 0;
}

/* A forked copy of the host may have closed the numbers and used them anew, so
 * there only what is certainly ours is closed. The helper ends when it sees the
 * end of the control socket; a mere close would not show it that while a forked
 * copy holds the socket, too. */
static void helper_destroy(struct pico__helper *h)
{
	bool owner = h->owner == getpid();
	if (owner)
		shutdown(h->link.control, SHUT_RDWR);
	if (owner || is_ours(h->link.control, h->control_inode))
		close(h->link.control);
	if (owner || is_ours(h->link.spawn, h->spawn_inode))
		close(h->link.spawn);
	if (owner)
		close(h->link.pidfd);
	pthread_mutex_destroy(&h->order_lock);
	pthread_mutex_destroy(&h->control_lock);
	free(h);
}

static int helper_create(const char *path, struct pico__helper **out, struct pico__spawn_error *error)
{
	const char *step = "";
	struct pico__helper *h = calloc(1, sizeof *h);
	int status;
	if (!h)
		return fail(error, PICO_ENOMEM, ENOMEM, "start of the helper");
	status = pico__launch(path, &h->link, &step);
	if (status) {
		free(h);
		return fail(error, status == -ENOENT || status == -EACCES ? PICO_EHELPER : public_error(-status),
			    -status, "%s of the helper %s", step, path);
	}
	h->owner = getpid();
	h->control_inode = inode_of(h->link.control);
	h->spawn_inode = inode_of(h->link.spawn);
	pthread_mutex_init(&h->order_lock, NULL);
	pthread_mutex_init(&h->control_lock, NULL);
	*out = h;
	return 0;
}

static bool has_exited(const struct pico__helper *h)
{
	struct pollfd p = { .fd = h->link.pidfd, .events = POLLIN };
	return atomic_load(&h->dead) || poll(&p, 1, 0) > 0;
}

int pico__helper_get(const char *path, struct pico__helper **out, struct pico__spawn_error *error)
{
	struct domain *domain = domain_of_this_process();
	int status = 0;
	if (!domain)
		return fail(error, PICO_ENOMEM, ENOMEM, "start of the helper");
	pthread_mutex_lock(&domain->lock);
	/* A dead one stays with its users; the next user gets a new one. */
	if (domain->current && has_exited(domain->current))
		domain->current = NULL;
	if (!domain->current)
		status = helper_create(path, &domain->current, error);
	if (!status) {
		domain->current->references++;
		*out = domain->current;
	}
	pthread_mutex_unlock(&domain->lock);
	return status;
}

void pico__helper_put(struct pico__helper *h)
{
	struct domain *domain = atomic_load(&the_domain);
	bool locked, last;
	if (!h)
		return;
	/* In a fork's copy the parent's domain may be locked for ever. */
	locked = domain && domain->owner == h->owner && h->owner == getpid();
	if (locked)
		pthread_mutex_lock(&domain->lock);
	last = --h->references == 0;
	if (last && locked && domain->current == h)
		domain->current = NULL;
	if (locked)
		pthread_mutex_unlock(&domain->lock);
	if (last)
		helper_destroy(h);
}

/* ---- control socket ---- */

/* Under control_lock. 1 message, 0 none, -PICO_EHELPER dead. READY and FAILED
 * are this file's own and are not passed on. */
static int control_receive(struct pico__helper *h, struct pico_control *m)
{
	for (;;) {
		ssize_t size = recv(h->link.control, m, sizeof *m, MSG_DONTWAIT);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN)
			return atomic_load(&h->dead) ? -PICO_EHELPER : 0;
		if (size != sizeof *m)
			break;
		if (m->kind == PICO_CONTROL_EXITED)
			return 1;
		if (m->kind == PICO_CONTROL_READY) {
			atomic_store(&h->features, m->features);
			h->ready = true;
			return 0;
		}
		if (m->kind == PICO_CONTROL_FAILED) {
			h->failed_errno = (int)m->value;
			memcpy(h->failed_text, m->text, sizeof h->failed_text);
			h->failed_text[sizeof h->failed_text - 1] = 0;
			break;
		}
	}
	atomic_store(&h->dead, true);
	return -PICO_EHELPER;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1 readable (or closed), 0 after the time. */
static int await_readable(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	for (;;) {
		int64_t left = deadline - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n > 0 || (n == 0 && left <= 0))
			return n > 0;
		if (n < 0 && errno != EINTR)
			return 0;
	}
}

/* The helper works on its namespaces while the host goes on; whoever needs the
 * outcome waits here. READY is always the first message. */
static void await_ready(struct pico__helper *h)
{
	struct pico_control m;
	int64_t deadline = now_ms() + ANSWER_MS;
	pthread_mutex_lock(&h->control_lock);
	while (!h->ready && !atomic_load(&h->dead)) {
		if (!await_readable(h->link.control, deadline)) {
			pico__launch_kill(&h->link);
			atomic_store(&h->dead, true);
		} else
			(void)control_receive(h, &m);
	}
	pthread_mutex_unlock(&h->control_lock);
}

uint32_t pico__helper_features(const struct pico__helper *helper)
{
	struct pico__helper *h = (struct pico__helper *)(uintptr_t)helper;
	if (h->owner == getpid())
		await_ready(h);
	return atomic_load(&h->features);
}

int pico__helper_fd(const struct pico__helper *h)
{
	return h->link.control;
}

int pico__helper_read(struct pico__helper *h, struct pico_control *message)
{
	int status = -PICO_EHELPER;
	if (h->owner != getpid())
		return status;
	pthread_mutex_lock(&h->control_lock);
	if (!atomic_load(&h->dead)) {
		bool was_ready = h->ready;
		status = control_receive(h, message);
		if (status == 0 && h->ready != was_ready)
			status = control_receive(h, message);
	}
	pthread_mutex_unlock(&h->control_lock);
	return status;
}

void pico__helper_ack(struct pico__helper *h, int32_t pid)
{
	struct pico_control m = { .kind = PICO_CONTROL_ACK, .pid = pid };
	if (h->owner != getpid())
		return;
	while (send(h->link.control, &m, sizeof m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

/* ---- orders ---- */

static int send_order(struct pico__helper *h, const struct pico_spawn_order *order, const int *fds, size_t count)
{
	struct pico_spawn_order o = *order;
	union { struct cmsghdr head; char space[CMSG_SPACE(6 * sizeof(int))]; } control = { 0 };
	struct iovec part = { &o, sizeof o };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	ssize_t size;
	o.version = PICO_SPAWN_VERSION;
	o.id = h->next_id;
	control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	do
		size = sendmsg(h->link.spawn, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (size < 0 && errno == EINTR);
	return size < 0 ? -errno : 0;
}

/* 1 an answer, 0 the other end is closed, -errno. fds are -1 where none came. */
static int receive_answer(struct pico__helper *h, struct pico_spawn_answer *answer, int fds[2])
{
	union { struct cmsghdr head; char space[CMSG_SPACE(2 * sizeof(int))]; } control = { 0 };
	struct iovec part = { answer, sizeof *answer };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t size;
	fds[0] = fds[1] = -1;
	do
		size = recvmsg(h->link.spawn, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (size < 0 && errno == EINTR);
	if (size <= 0)
		return size == 0 || errno == ECONNRESET ? 0 : -errno;
	if (m.msg_controllen >= CMSG_LEN(sizeof(int)) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(&control.head),
		       control.head.cmsg_len - CMSG_LEN(0) < 2 * sizeof(int) ? sizeof(int) : 2 * sizeof(int));
	return size == sizeof *answer ? 1 : -EPROTO;
}

static const char *const step_text[] = {
	[PICO_SEED_OK] = "the seed",
	[PICO_SEED_MESSAGE] = "the order to the zygote",
	[PICO_SEED_CLONE] = "fork of the seed",
	[PICO_SEED_RLIMIT] = "resource limits of the seed",
	[PICO_SEED_PRCTL] = "process attributes of the seed",
	[PICO_SEED_SIGACTION] = "signal handlers of the seed",
	[PICO_SEED_MAP_MAILBOX] = "mapping the mailbox",
	[PICO_SEED_MAP_SEGMENT] = "mapping the shared segment",
	[PICO_SEED_MAP_BOOT] = "mapping the boot block",
	[PICO_SEED_LIBOS_HEADER] = "the library OS is not a valid image",
	[PICO_SEED_MAP_LIBOS] = "mapping the library OS",
	[PICO_SEED_MAP_STACK] = "mapping the first stack",
	[PICO_SEED_FILTER] = "installing the system-call filter",
	[PICO_SEED_SEND] = "sending the listener",
	[PICO_SEED_DIED] = "the seed died at its start",
	[PICO_SEED_DESCRIPTORS] = "descriptors of the seed",
	[PICO_SEED_KEEPER] = "fork of the keeper",
};

static int seed_failed(const struct pico_spawn_answer *a, struct pico__spawn_error *error)
{
	unsigned count = sizeof step_text / sizeof *step_text;
	const char *step = a->where < count ? step_text[a->where] : "unknown step of the seed";
	int host = a->error < 0 ? -a->error : EPROTO;
	if (a->where == PICO_SEED_LIBOS_HEADER && host == EPROTONOSUPPORT)
		return fail(error, PICO_ELIBOS, host, "the library OS was built for another ABI version");
	if (a->where == PICO_SEED_LIBOS_HEADER)
		return fail(error, PICO_ELIBOS, host, "%s", step);
	if (a->where == PICO_SEED_FILTER && host == EBUSY)
		return fail(error, PICO_EKERNEL, host,
			    "a seccomp listener is on already (a container manager's?); pico cannot add its own");
	if (a->where == PICO_SEED_FILTER && host != ENOMEM)
		return fail(error, PICO_EKERNEL, host, "%s", step);
	return fail(error, public_error(host), host, "%s", step);
}

/* The helper or its zygote is gone, or does not answer; say why where it said so. */
static int helper_died(struct pico__helper *h, struct pico__spawn_error *error, const char *what)
{
	struct pico_control m;
	int status = 0;
	pthread_mutex_lock(&h->control_lock);
	/* EXITED messages that nobody will ask for any more are thrown away. */
	while (!atomic_load(&h->dead) && status >= 0 && (status = control_receive(h, &m)) != 0)
		;
	atomic_store(&h->dead, true);
	if (h->failed_errno)
		status = fail(error, h->failed_errno == EOPNOTSUPP ? PICO_EKERNEL : PICO_EHELPER, h->failed_errno,
			      "start of the helper: %s", h->failed_text);
	else
		status = fail(error, PICO_EHELPER, 0, "%s", what);
	pthread_mutex_unlock(&h->control_lock);
	pico__launch_kill(&h->link);
	return status;
}

static void close_fds(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Under order_lock. */
static int order_and_wait(struct pico__helper *h, const struct pico_spawn_order *order, const int *fds, size_t count,
			  struct pico__seed *seed, struct pico__spawn_error *error)
{
	struct pico_spawn_answer answer = { 0 };
	int got[2], status;
	h->next_id++;
	status = send_order(h, order, fds, count);
	if (status == -EBADF)
		return fail(error, PICO_EBADF, EBADF, "%s", step_text[PICO_SEED_MESSAGE]);
	if (status == -EPIPE || status == -ECONNRESET)
		return helper_died(h, error, "the helper has died");
	if (status < 0)
		return fail(error, public_error(-status), -status, "%s", step_text[PICO_SEED_MESSAGE]);
	if (!await_readable(h->link.spawn, now_ms() + ANSWER_MS))
		return helper_died(h, error, "the helper does not answer");
	status = receive_answer(h, &answer, got);
	if (status == 0)
		return helper_died(h, error, "the helper has died");
	if (status < 0 || answer.id != h->next_id) {
		close_fds(got);
		return helper_died(h, error, "the helper's answer is not understood");
	}
	if (answer.error || got[0] < 0 || (got[1] < 0 && !(order->flags & PICO_SPAWN_BELL))) {
		close_fds(got);
		return answer.error ? seed_failed(&answer, error) :
		       fail(error, PICO_EMFILE, EMFILE, "receiving the listener");
	}
	*seed = (struct pico__seed){ got[1], got[0], answer.killable_recv != 0 };
	return 0;
}

static int seed(struct pico__helper *h, const struct pico_spawn_order *order, const int *fds, size_t count,
		struct pico__seed *out, struct pico__spawn_error *error)
{
	int status;
	if (h->owner != getpid())
		return fail(error, PICO_EHELPER, 0, "the helper belongs to the process this one was forked from");
	pthread_mutex_lock(&h->order_lock);
	if (atomic_load(&h->dead))
		status = helper_died(h, error, "the helper has died");
	else
		status = order_and_wait(h, order, fds, count, out, error);
	pthread_mutex_unlock(&h->order_lock);
	return status;
}

int pico__helper_seed(struct pico__helper *h, const struct pico_spawn_order *order, int mailbox, int segment,
		      int boot, int libos, struct pico__seed *out, struct pico__spawn_error *error)
{
	const int fds[] = { mailbox, segment, boot, libos };
	return seed(h, order, fds, 4, out, error);
}

int pico__helper_seed_with_bell(struct pico__helper *h, const struct pico_spawn_order *order, const int fds[6],
				struct pico__seed *out, struct pico__spawn_error *error)
{
	return seed(h, order, fds, 6, out, error);
}
