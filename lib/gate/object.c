/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, semaphores, and waiting for any of them and of the streams. The
 * objects lie in the mailbox, so they are the instance's: any picoprocess may
 * use a handle. A signal is handed to a waiter directly (slot->signalled), so
 * an auto-reset event never releases two and is never lost to an interrupt.
 */
#include <linux/futex.h>
#include <asm/poll.h>
#include "gate.h"

enum { FREE, NOTIFICATION, SYNCHRONIZATION, SEMAPHORE };
struct host_timespec { int64_t sec, nsec; };
struct host_pollfd { int fd; short events, revents; };

#define OBJECTS ((struct pico_object *)(PICO_MAILBOX_BASE + PICO_MAILBOX_OBJECTS))
#define NODES ((struct pico_wait_node *)(PICO_MAILBOX_BASE + PICO_MAILBOX_NODES))

/* ---- locks and address waits ---- */
static long futex(const uint32_t *a, int op, uint32_t value, const struct host_timespec *ts, uint32_t bits)
{
	return gate_call(__NR_futex, (uint64_t)a, (uint64_t)op, value, (uint64_t)ts, 0, bits);
}

void gate_lock(uint32_t *word)
{
	uint32_t zero = 0;
	if (__atomic_compare_exchange_n(word, &zero, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE))
		futex(word, FUTEX_WAIT_BITSET, 2, NULL, FUTEX_BITSET_MATCH_ANY);
}

void gate_unlock(uint32_t *word)
{
	if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
		futex(word, FUTEX_WAKE, 1, NULL, 0);
}

int64_t gate_futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline)
{
	deadline = gate_host_deadline(deadline);
	struct host_timespec ts = { (int64_t)(deadline / 1000000000u), (int64_t)(deadline % 1000000000u) };
	bool timed = deadline != PICO_FOREVER;

	return gate_wait(__NR_futex, (uint64_t)address, FUTEX_WAIT_BITSET, expected, timed ? (uint64_t)&ts : 0, 0, FUTEX_BITSET_MATCH_ANY);
}

int64_t pico_gate_AddressWait(const uint32_t *address, uint32_t expected, uint64_t deadline)
{
	if ((uint64_t)address & 3)
		return -PICO_EINVAL;
	return gate_futex_wait(address, expected, deadline);
}

int64_t pico_gate_AddressWake(const uint32_t *address, uint32_t count)
{
	if ((uint64_t)address & 3)
		return -PICO_EINVAL;
	return futex(address, FUTEX_WAKE, count > INT32_MAX ? INT32_MAX : count, NULL, 0);
}

/* ---- objects ---- */
static struct pico_object *object_of(pico_handle h)
{
	uint64_t payload = PICO_HANDLE_PAYLOAD(h), index = payload & 0xffffff;

	if (h <= 0 || PICO_HANDLE_TYPE(h) != PICO_HT_OBJECT || index >= PICO_OBJECT_COUNT)
		return NULL;
	struct pico_object *o = &OBJECTS[index];
	if (o->type == FREE || (o->generation & 0xffffff) != payload >> 24)
		return NULL;
	return o;
}

static int64_t create(uint32_t type, uint32_t count, uint32_t maximum)
{
	struct pico_mailbox_header *m = MAILBOX;
	uint32_t index;

	gate_lock(&m->objects_lock);
	if (m->object_free) {
		index = m->object_free - 1;
		m->object_free = OBJECTS[index].first_waiter;
	} else if (m->object_high < PICO_OBJECT_COUNT) {
		index = m->object_high++;
	} else {
		gate_unlock(&m->objects_lock);
		return -PICO_EMFILE;
	}
	struct pico_object *o = &OBJECTS[index];
	o->references = 1;
	o->count = count;
	o->maximum = maximum;
	o->first_waiter = o->last_waiter = 0;
	o->generation++;
	o->lock = 0;
	__atomic_store_n(&o->type, type, __ATOMIC_RELEASE);
	uint64_t generation = o->generation & 0xffffff;
	gate_unlock(&m->objects_lock);
	return PICO_HANDLE(PICO_HT_OBJECT, index | generation << 24);
}

int64_t pico_gate_NotificationEventCreate(uint32_t initial)
{
	return initial > 1 ? -PICO_EINVAL : create(NOTIFICATION, initial, 1);
}

int64_t pico_gate_SynchronizationEventCreate(uint32_t initial)
{
	return initial > 1 ? -PICO_EINVAL : create(SYNCHRONIZATION, initial, 1);
}

int64_t pico_gate_SemaphoreCreate(uint32_t initial, uint32_t maximum)
{
	return !maximum || initial > maximum ? -PICO_EINVAL : create(SEMAPHORE, initial, maximum);
}

static void unlink_node(struct pico_object *o, uint32_t index)
{
	struct pico_wait_node *n = &NODES[index];

	if (n->prev)
		NODES[n->prev - 1].next = n->next;
	else
		o->first_waiter = n->next;
	if (n->next)
		NODES[n->next - 1].prev = n->prev;
	else
		o->last_waiter = n->prev;
	n->object = 0;
}

/* Give the signal to the waiter of a node; false: it has got one already. */
static bool hand_over(uint32_t node)
{
	struct pico_slot *s = gate_slot(NODES[node].slot);
	uint32_t none = 0;

	if (!__atomic_compare_exchange_n(&s->signalled, &none, node + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&s->wait_word, 1, __ATOMIC_RELEASE);
	if (__atomic_load_n(&s->wait_mode, __ATOMIC_ACQUIRE) == 2) {
		uint64_t one = 1;
		struct { void *base; uint64_t size; } vec = { &one, sizeof(one) };
		gate_call(__NR_pwritev2, s->wake_fd, (uint64_t)&vec, 1, (uint64_t)-1, (uint64_t)-1, 0);
	} else {
		futex(&s->wait_word, FUTEX_WAKE, 1, NULL, 0);
	}
	return true;
}

/* The object's lock is held. */
static void release_waiters(struct pico_object *o)
{
	for (uint32_t at = o->first_waiter; at && o->count;) {
		uint32_t node = at - 1;
		at = NODES[node].next;
		if (!hand_over(node))
			continue;
		unlink_node(o, node);
		if (o->type != NOTIFICATION)
			o->count--;
	}
}

static bool consume(struct pico_object *o)
{
	if (!o->count)
		return false;
	if (o->type != NOTIFICATION)
		o->count--;
	return true;
}

int64_t pico_gate_EventSet(pico_handle event)
{
	struct pico_object *o = object_of(event);
	if (!o || o->type == SEMAPHORE)
		return -PICO_EBADF;
	gate_lock(&o->lock);
	o->count = 1;
	release_waiters(o);
	gate_unlock(&o->lock);
	return 0;
}

int64_t pico_gate_EventClear(pico_handle event)
{
	struct pico_object *o = object_of(event);
	if (!o || o->type == SEMAPHORE)
		return -PICO_EBADF;
	gate_lock(&o->lock);
	o->count = 0;
	gate_unlock(&o->lock);
	return 0;
}

int64_t pico_gate_SemaphoreRelease(pico_handle semaphore, uint32_t count)
{
	struct pico_object *o = object_of(semaphore);
	int64_t before;

	if (!o || o->type != SEMAPHORE)
		return -PICO_EBADF;
	if (!count)
		return -PICO_EINVAL;
	gate_lock(&o->lock);
	before = o->count;
	if (count > o->maximum - o->count) {
		before = -PICO_EOVERFLOW;
	} else {
		o->count += count;
		release_waiters(o);
	}
	gate_unlock(&o->lock);
	return before;
}

/* ---- what a handle is waited for by ---- */
static bool pollable(pico_handle h, struct host_pollfd *p)
{
	uint64_t payload = PICO_HANDLE_PAYLOAD(h);

	if (h <= 0)
		return false;
	switch (PICO_HANDLE_TYPE(h)) {
	case PICO_HT_STREAM_EVENT: {
		uint64_t kind = payload >> 48;
		p->events = kind == PICO_EVENT_READABLE ? POLLIN | POLLRDHUP : kind == PICO_EVENT_WRITABLE ? POLLOUT : 0;
		p->fd = (int)(payload & 0x7fffffff);
		break;
	}
	case PICO_HT_PROCESS:
		p->events = POLLIN;
		p->fd = (int)(payload & 0x7fffffff);
		break;
	default:
		return false;
	}
	p->revents = 0;
	return true;
}

int64_t pico_gate_EventPeek(pico_handle event)
{
	struct host_pollfd p;

	if (pollable(event, &p)) {
		struct host_timespec zero = { 0, 0 };
		long r;
		do /* a zero time-out never sleeps; pending interrupts must not hide the answer */
			r = gate_call(__NR_ppoll, (uint64_t)&p, 1, (uint64_t)&zero, 0, 8, 0);
		while (r == -PICO_EINTR);
		if (r < 0)
			return r;
		return (p.revents & POLLNVAL) ? -PICO_EBADF : r;
	}
	struct pico_object *o = object_of(event);
	if (!o)
		return -PICO_EBADF;
	return __atomic_load_n(&o->count, __ATOMIC_ACQUIRE) != 0;
}

struct wait {
	uint32_t slot, object_count, fd_count;
	uint32_t object_index[PICO_WAIT_NODE_COUNT]; /* node i waits for handles[object_index[i]] */
	struct pico_object *object[PICO_WAIT_NODE_COUNT];
	uint32_t linked;
	struct host_pollfd *fds; /* in the thread's region; entry 0 is the wake descriptor */
	uint16_t *fd_index;
};

static int64_t sort_handles(struct wait *w, uint32_t count, const pico_handle *handles)
{
	for (uint32_t i = 0; i < count; i++) {
		pico_handle h;
		if (pico_gate_copy(&h, &handles[i], sizeof(h)))
			return -PICO_EFAULT;
		if (pollable(h, &w->fds[1 + w->fd_count])) {
			w->fd_index[w->fd_count++] = (uint16_t)i;
			continue;
		}
		struct pico_object *o = object_of(h);
		if (!o)
			return -PICO_EBADF;
		if (w->object_count == PICO_WAIT_NODE_COUNT)
			return -PICO_EINVAL;
		w->object[w->object_count] = o;
		w->object_index[w->object_count++] = i;
	}
	return 0;
}

static int64_t poll_now(struct wait *w)
{
	struct host_timespec zero = { 0, 0 };
	long r;

	do
		r = gate_call(__NR_ppoll, (uint64_t)&w->fds[1], w->fd_count, (uint64_t)&zero, 0, 8, 0);
	while (r == -PICO_EINTR);
	if (r <= 0)
		return r ? r : -PICO_EAGAIN;
	for (uint32_t i = 0; i < w->fd_count; i++)
		if (w->fds[1 + i].revents)
			return (w->fds[1 + i].revents & POLLNVAL) ? -PICO_EBADF : w->fd_index[i];
	return -PICO_EAGAIN;
}

/* Queue on each object; an index when one is signalled meanwhile. */
static int64_t enqueue(struct wait *w)
{
	for (uint32_t i = 0; i < w->object_count; i++) {
		struct pico_object *o = w->object[i];
		uint32_t index = w->slot * PICO_WAIT_NODE_COUNT + i;
		struct pico_wait_node *n = &NODES[index];
		uint32_t none = 0;

		gate_lock(&o->lock);
		/* Taking it ourselves must exclude a hand-over from another object. */
		if (o->count && __atomic_compare_exchange_n(&gate_slot(w->slot)->signalled, &none, index + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			consume(o);
			gate_unlock(&o->lock);
			return w->object_index[i];
		}
		n->slot = w->slot;
		n->object = (uint32_t)(o - OBJECTS) + 1;
		n->next = 0;
		n->prev = o->last_waiter;
		if (o->last_waiter)
			NODES[o->last_waiter - 1].next = index + 1;
		else
			o->first_waiter = index + 1;
		o->last_waiter = index + 1;
		w->linked = i + 1;
		gate_unlock(&o->lock);
	}
	return -PICO_EAGAIN;
}

static void dequeue(struct wait *w)
{
	for (uint32_t i = 0; i < w->linked; i++) {
		uint32_t index = w->slot * PICO_WAIT_NODE_COUNT + i;
		struct pico_object *o = w->object[i];
		gate_lock(&o->lock);
		if (NODES[index].object)
			unlink_node(o, index);
		gate_unlock(&o->lock);
	}
}

static int64_t sleep_any(struct wait *w, struct pico_slot *s, uint64_t deadline)
{
	if (!w->fd_count)
		return gate_futex_wait(&s->wait_word, 0, deadline);
	struct host_timespec ts = { 0, 0 };
	if (deadline != PICO_FOREVER) {
		uint64_t now = gate_now(), left = deadline > now ? deadline - now : 0;
		ts = (struct host_timespec){ (int64_t)(left / 1000000000u), (int64_t)(left % 1000000000u) };
	}
	w->fds[0] = (struct host_pollfd){ (int)s->wake_fd, POLLIN, 0 };
	bool wake = w->object_count != 0;
	long r = gate_wait(__NR_ppoll, (uint64_t)&w->fds[wake ? 0 : 1], w->fd_count + wake,
			   deadline == PICO_FOREVER ? 0 : (uint64_t)&ts, 0, 8, 0);
	return r == 0 ? -PICO_ETIMEDOUT : r < 0 ? r : 0;
}

/* The wake descriptor of this slot, made on the first mixed wait. */
static int64_t need_wake_fd(struct wait *w, struct pico_slot *s)
{
	if (!w->object_count || !w->fd_count || s->wake_fd)
		return 0;
	int64_t fd = gate_request(PICO_NR_WAKE_FD, 0, 0, 0, 0, 0);
	if (fd < 0)
		return fd == -PICO_EMFILE || fd == -PICO_ENFILE ? -PICO_EAGAIN : fd;
	s->wake_fd = (uint32_t)fd;
	return 0;
}

static void drain_wake(struct pico_slot *s)
{
	uint64_t value;
	struct { void *base; uint64_t size; } vec = { &value, sizeof(value) };
	gate_call(__NR_preadv2, s->wake_fd, (uint64_t)&vec, 1, (uint64_t)-1, (uint64_t)-1, 0);
}

int64_t pico_gate_ObjectsWaitAny(uint32_t count, const pico_handle *handles, uint64_t deadline)
{
	struct gate_block *b = gate_self();
	uint64_t region = gate_region(b->region);
	struct pico_slot *s = gate_slot(b->tb.slot);
	struct wait w = { .slot = b->tb.slot, .fds = (void *)(region + GATE_POLL) };
	uint16_t index[GATE_POLL_MAX];
	int64_t r;

	if (!count || count > GATE_POLL_MAX - 1)
		return -PICO_EINVAL;
	w.fd_index = index;
	r = sort_handles(&w, count, handles);
	if (!r)
		r = need_wake_fd(&w, s);
	if (r)
		return r;
	__atomic_store_n(&s->signalled, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->wait_word, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->wait_mode, w.fd_count ? 2 : 1, __ATOMIC_RELEASE);
	r = enqueue(&w);
	while (r == -PICO_EAGAIN) {
		if (w.fd_count && (r = poll_now(&w)) != -PICO_EAGAIN)
			break;
		if (!deadline) {
			r = -PICO_ETIMEDOUT;
			break;
		}
		r = sleep_any(&w, s, deadline);
		if (__atomic_load_n(&s->signalled, __ATOMIC_ACQUIRE))
			break;
		if (r == 0)
			r = -PICO_EAGAIN; /* look again */
	}
	/* Whoever comes first: close the door for hand-overs, then see. */
	dequeue(&w);
	uint32_t got = __atomic_exchange_n(&s->signalled, UINT32_MAX, __ATOMIC_ACQ_REL);
	if (w.fd_count && w.object_count)
		drain_wake(s);
	if (got)
		r = w.object_index[(got - 1) % PICO_WAIT_NODE_COUNT];
	return r;
}

/* ---- references ---- */
uint32_t *gate_references(pico_handle h)
{
	uint64_t number = PICO_HANDLE_PAYLOAD(h);
	unsigned type = PICO_HANDLE_TYPE(h);

	if (h < PICO_FIRST_FD || (type != PICO_HT_STREAM && type != PICO_HT_PROCESS) || number >= PICO_NUMBER_MAX)
		return NULL;
	return (uint32_t *)(PICO_MAILBOX_BASE + PICO_MAILBOX_REFS) + number;
}

/* An open answered with a handle: one more reference on its descriptor. */
int64_t gate_opened(int64_t h)
{
	uint32_t *refs = gate_references(h);
	if (refs)
		__atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
	return h;
}

static int64_t object_put(struct pico_object *o)
{
	struct pico_mailbox_header *m = MAILBOX;

	gate_lock(&o->lock);
	bool last = --o->references == 0;
	if (last)
		__atomic_store_n(&o->type, FREE, __ATOMIC_RELEASE);
	gate_unlock(&o->lock);
	if (last) {
		gate_lock(&m->objects_lock);
		o->first_waiter = m->object_free;
		m->object_free = (uint32_t)(o - OBJECTS) + 1;
		gate_unlock(&m->objects_lock);
	}
	return 0;
}

int64_t pico_gate_ObjectReference(pico_handle h)
{
	struct pico_object *o = object_of(h);

	if (o) {
		int64_t r = 0;
		gate_lock(&o->lock);
		if (o->references == UINT32_MAX)
			r = -PICO_EOVERFLOW;
		else
			o->references++;
		gate_unlock(&o->lock);
		return r;
	}
	switch (h <= 0 ? PICO_HT_OBJECT : PICO_HANDLE_TYPE(h)) {
	case PICO_HT_STREAM:
	case PICO_HT_PROCESS: {
		uint32_t *refs = gate_references(h), now = refs ? __atomic_load_n(refs, __ATOMIC_RELAXED) : 0;
		do {
			if (!now)
				return -PICO_EBADF;
			if (now == UINT32_MAX)
				return -PICO_EOVERFLOW;
		} while (!__atomic_compare_exchange_n(refs, &now, now + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
		return 0;
	}
	case PICO_HT_MONITOR:
		return gate_request(PICO_NR(PICO_DC_ObjectReference), (uint64_t)h, 0, 0, 0, 0);
	case PICO_HT_THREAD:
	case PICO_HT_STREAM_EVENT:
		return 0; /* names, not objects: they need no reference */
	default:
		return -PICO_EBADF;
	}
}

int64_t pico_gate_ObjectClose(pico_handle h)
{
	struct pico_object *o = object_of(h);

	if (o)
		return object_put(o);
	switch (h <= 0 ? PICO_HT_OBJECT : PICO_HANDLE_TYPE(h)) {
	case PICO_HT_STREAM:
	case PICO_HT_PROCESS: {
		uint32_t *refs = gate_references(h), now = refs ? __atomic_load_n(refs, __ATOMIC_RELAXED) : 0;
		do
			if (!now)
				return -PICO_EBADF;
		while (!__atomic_compare_exchange_n(refs, &now, now - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
		if (now > 1)
			return 0;
		/* Closed before the monitor may give the number to another stream. */
		gate_call(__NR_close, PICO_HANDLE_PAYLOAD(h), 0, 0, 0, 0, 0);
		return gate_request(PICO_NR(PICO_DC_ObjectClose), (uint64_t)h, 0, 0, 0, 0);
	}
	case PICO_HT_MONITOR:
		return gate_request(PICO_NR(PICO_DC_ObjectClose), (uint64_t)h, 0, 0, 0, 0);
	case PICO_HT_THREAD:
	case PICO_HT_STREAM_EVENT:
		return 0;
	default:
		return -PICO_EBADF;
	}
}
