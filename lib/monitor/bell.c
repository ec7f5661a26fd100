/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of requests where the kernel's one listener is somebody else's: the
 * bell, a socket whose every message the kernel marks with its sender's process,
 * answers in the mailbox, and descriptors by way of the keeper
 * (lib/helper/keeper.c). Makes of it what notify.c makes of a notification; the
 * calls at the end take the one way or the other. Knows nothing of what requests
 * mean.
 *
 * What a message says of itself is believed as far as its registers would be:
 * slot and thread id only choose among what is the instance's own.
 */
#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "instance.h"

#define KEEPER_MS 5000 /* it does nothing else, and nobody in the instance can stop it */

#define LOOKS 16 /* for a thread that says HELLO, while others end */

struct pico__bell {
	pthread_mutex_t lock; /* one grant at a time */
	int keeper; /* socket */
	bool met; /* G; seed and keeper are in the table */
	bool walled; /* C after creation; the kernel limits the instance's threads */
	uint64_t rung; /* G; messages so far */
	struct { uint64_t id; uint32_t seq; } asked[PICO_SLOT_COUNT]; /* id: atomic, 0: answered */
};
#define ID(rung, slot) ((rung) * PICO_SLOT_COUNT + (slot))
#define SLOT_OF(id) ((uint32_t)((id) % PICO_SLOT_COUNT))

/* ---- making ---- */

static int make_pair(int *here, int *there)
{
	int pair[2], on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pico__error(errno);
	*here = pair[0];
	*there = pair[1];
	return setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? pico__error(errno) : 0;
}

int pico__bell_create(struct pico *p, int guest[2])
{
	int rc;

	p->bell = calloc(1, sizeof(*p->bell));
	if (!p->bell)
		return -PICO_ENOMEM;
	pthread_mutex_init(&p->bell->lock, NULL);
	p->bell->keeper = -1;
	rc = make_pair(&p->listener, &guest[0]);
	return rc < 0 ? rc : make_pair(&p->bell->keeper, &guest[1]);
}

void pico__bell_destroy(struct pico *p)
{
	if (!p->bell)
		return;
	pico__close(p->bell->keeper);
	pthread_mutex_destroy(&p->bell->lock);
	free(p->bell);
	p->bell = NULL;
}

void pico__bell_start(struct pico *p)
{
	p->bell->walled = pico__mailbox_header(p)->walled == 1;
}

bool pico__bell_walled(const struct pico *p)
{
	return p->bell->walled;
}

/* ---- messages with their sender ---- */

/* Bytes, 0: the other end is closed, or -errno. */
static ssize_t receive(int socket, void *to, size_t size, int32_t *pid)
{
	union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(struct ucred))]; } control = { 0 };
	struct iovec part = { to, size };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct ucred sender = { 0 };
	ssize_t n;

	do
		n = recvmsg(socket, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0 && m.msg_controllen >= CMSG_LEN(sizeof(sender)) && control.head.cmsg_type == SCM_CREDENTIALS)
		memcpy(&sender, CMSG_DATA(&control.head), sizeof(sender));
	*pid = sender.pid;
	return n < 0 ? -errno : (m.msg_flags & MSG_TRUNC) ? -EMSGSIZE : n;
}

/* What the keeper says, within its time. */
static int hear_keeper(struct pico__bell *b, int32_t *pid)
{
	struct pollfd from = { .fd = b->keeper, .events = POLLIN };
	struct pico_granted answer;
	uint64_t end = pico__now() + KEEPER_MS * PICO__MS;

	for (uint64_t now = end - KEEPER_MS * PICO__MS; now < end; now = pico__now()) {
		if (poll(&from, 1, (int)((end - now) / PICO__MS) + 1) > 0)
			return receive(b->keeper, &answer, sizeof(answer), pid) == sizeof(answer) ? -answer.error : -PICO_EHELPER;
	}
	return -PICO_EHELPER;
}

/* ---- who is there at the start ---- */

static struct pico__process *enter(struct pico *p, int32_t pid, int pidfd)
{
	struct pico__process *q = pico__process_new(p);

	if (!q)
		return NULL;
	q->seed = q->ordered = true;
	q->state = PICO__LIVE;
	q->pid = pid;
	q->pidfd = pidfd;
	pico__guard_pid_add(p->guard, q);
	return q;
}

/* Before there is a guest only the seed can ring. Lock held. */
static bool meet_locked(struct pico *p, int32_t seed)
{
	struct pico__process *keeper;
	struct pico__proc_stat stat;
	int32_t pid = 0;
	int pidfd;

	/* The roll is called from there. */
	if (p->seed_pidfd < 0 || seed <= 0 || pico__proc_stat(seed, &stat) < 0 || strcmp(stat.name, p->name)) {
		pico__instance_die_locked(p, PICO_CAUSE_START_FAILED, "without seccomp notifications /proc must show picoprocesses");
		return false;
	}
	p->helper_pid = stat.parent;
	if (!enter(p, seed, p->seed_pidfd))
		return false;
	p->seed_pidfd = -1;
	p->seed_seen = true;
	if (hear_keeper(p->bell, &pid) != 0 || pid <= 0)
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || !(keeper = enter(p, pid, pidfd))) {
		pico__close(pidfd);
		return false;
	}
	keeper->keeper = true;
	if (p->dying)
		pico__process_kill_all(p, NULL);
	return true;
}

static bool meet(struct pico *p, int32_t seed)
{
	bool met;

	pthread_mutex_lock(&p->lock);
	met = meet_locked(p, seed);
	if (!met)
		pico__instance_die_locked(p, PICO_CAUSE_START_FAILED, "no keeper of descriptors");
	pthread_mutex_unlock(&p->lock);
	return p->bell->met = met;
}

/* ---- requests ---- */

/* A thread tells its id as it knows it; in a pid namespace that is not ours. The
 * kernel's list of the sender's threads decides. */
static bool is_known(void *user, int32_t tid)
{
	return pico__thread_is_known(user, tid);
}

static int32_t thread_id(struct pico *p, int32_t pid, const struct pico_bell *m)
{
	const struct pico__proc_search search = { .parent = pid, .known = is_known, .user = p };
	int32_t tid = -1;

	if (m->nr != PICO_NR_HELLO || m->arg[1] != 1)
		return pid;
	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < LOOKS && tid < 0; i++)
		tid = pico__proc_thread(&search, (int32_t)m->arg[3]);
	pthread_mutex_unlock(&p->lock);
	return tid;
}

static struct seccomp_notif *notification(struct pico *p, const struct pico_bell *m, int32_t pid, struct pico__notify *buffer)
{
	struct seccomp_notif *n = (struct seccomp_notif *)buffer;
	int32_t tid = thread_id(p, pid, m);
	uint64_t id = ID(++p->bell->rung, m->slot);

	p->bell->asked[m->slot].seq = m->seq;
	__atomic_store_n(&p->bell->asked[m->slot].id, id, __ATOMIC_RELEASE);
	if (tid <= 0) {
		pico__answer(p, id, -PICO_ESRCH);
		return NULL;
	}
	memset(buffer, 0, sizeof(*buffer));
	n->id = id;
	n->pid = (uint32_t)tid;
	n->data.arch = AUDIT_ARCH_X86_64;
	n->data.nr = (int)m->nr;
	for (int i = 0; i < 6; i++)
		n->data.args[i] = m->arg[i];
	if (m->nr >= PICO_NR_BASE)
		n->data.args[0] = PICO_REQUEST_WORD(m->slot, m->seq);
	return n;
}

struct seccomp_notif *pico__bell_receive(struct pico *p, struct pico__notify *buffer, bool *hup)
{
	struct pico_bell m;
	int32_t pid;
	ssize_t n = receive(p->listener, &m, sizeof(m), &pid);

	*hup = n == 0 || n == -ECONNRESET;
	if (n != sizeof(m) || pid <= 0 || m.slot >= PICO_SLOT_COUNT || m.nr > INT_MAX)
		return NULL;
	if (!p->bell->met && !meet(p, pid))
		return NULL;
	return notification(p, &m, pid, buffer);
}

static int answer(struct pico *p, uint64_t id, int64_t value)
{
	uint32_t slot = SLOT_OF(id), seq = p->bell->asked[slot].seq;
	struct pico_slot *s = pico__mailbox_slot(p, slot);

	if (!id || !__atomic_compare_exchange_n(&p->bell->asked[slot].id, &id, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return -PICO_ENOENT;
	__atomic_store_n(&s->answer, value, __ATOMIC_RELAXED);
	__atomic_store_n(&s->answered, seq, __ATOMIC_RELEASE);
	syscall(SYS_futex, &s->answered, FUTEX_WAKE, 1, NULL, NULL, 0);
	return 0;
}

/* ---- descriptors ---- */

static int send_grant(struct pico__bell *b, int fd, int number)
{
	union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct pico_grant order = { number };
	struct iovec part = { &order, sizeof(order) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n;

	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
	do
		n = sendmsg(b->keeper, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == sizeof(order) ? 0 : -PICO_EHELPER;
}

/* A keeper that does not answer keeps nothing: its socket is shut down, and it
 * ends the instance, or is dead. */
static int grant(struct pico__bell *b, int fd, int number)
{
	int32_t pid;
	int rc;

	pthread_mutex_lock(&b->lock);
	rc = send_grant(b, fd, number);
	if (rc == 0)
		rc = hear_keeper(b, &pid);
	if (rc == -PICO_EHELPER)
		shutdown(b->keeper, SHUT_RDWR);
	pthread_mutex_unlock(&b->lock);
	if (rc > 0) /* dup3 beyond RLIMIT_NOFILE is EBADF */
		return rc == EBADF || rc == EMFILE ? -PICO_EMFILE : pico__error(rc);
	return rc;
}

/* ---- the end ---- */

/* The keeper's own kill takes the group whole; if it cannot, we do, as long as
 * an unreaped member keeps the group's number. */
void pico__bell_end(struct pico *p)
{
	int32_t group = 0;
	bool there = false;

	shutdown(p->bell->keeper, SHUT_RDWR);
	for (const struct pico__process *q = p->processes; q; q = q->next) {
		if (q->state != PICO__LIVE)
			continue;
		there = true;
		if (q->seed && !q->keeper)
			group = q->pid; /* its leader */
	}
	if (there && group)
		kill(-group, SIGKILL);
}

/* ---- the one way or the other ---- */

int pico__answer(struct pico *p, uint64_t id, int64_t value)
{
	return p->bell ? answer(p, id, value) : pico__notify_answer(p->listener, id, value);
}

int pico__continue(struct pico *p, uint64_t id)
{
	return p->bell ? answer(p, id, 0) : pico__notify_continue(p->listener, id); /* the gate goes on itself */
}

bool pico__asks(struct pico *p, uint64_t id)
{
	if (p->bell)
		return id && __atomic_load_n(&p->bell->asked[SLOT_OF(id)].id, __ATOMIC_ACQUIRE) == id;
	return pico__notify_valid(p->listener, id);
}

int pico__grant(struct pico *p, uint64_t id, int fd, int number)
{
	return p->bell ? grant(p->bell, fd, number) : pico__notify_grant(p->listener, id, fd, number);
}
