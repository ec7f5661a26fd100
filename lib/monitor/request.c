/* SPDX-License-Identifier: Apache-2.0
 *
 * One request: from registers and mailbox slot to an operation's arguments,
 * and from its result to slot, descriptors and answer. The only file that
 * reads the slots' data: each value is copied once, then checked, then used.
 * Knows what each request carries, and not what it does.
 *
 * A request runs once, though a kernel without WAIT_KILLABLE_RECV may issue it
 * twice: the slot's last sequence number and answer are kept.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cleanup.h"
#include "host_errno.h"
#include "instance.h"

#define BUSY_BESIDES 64 /* log lines, callers of the host */

typedef int64_t (*operation)(struct pico__job *job);

/* What a request brings in its slot, and who serves it. Numbers of registers;
 * 0: does not come. */
struct spec {
	uint8_t text, text2, bulk; /* register with the size of DATA, DATA2, BULK */
	bool attr; /* ATTR comes in */
	bool blocks; /* always a worker's */
	operation serve; /* NULL: the stream side */
};

/* ---- operations of the guard itself; the instance's lock is not held ---- */

static struct pico *lock(struct pico__job *job)
{
	pthread_mutex_lock(&job->request.instance->lock);
	return job->request.instance;
}

static int64_t unlock(struct pico *p, int64_t result)
{
	pthread_mutex_unlock(&p->lock);
	return result;
}

static int64_t thread_interrupt(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__thread_interrupt(p, (pico_handle)job->call.r[1]));
}

static int64_t process_create(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__process_create(&job->request, job->call.r[1]));
}

static int64_t process_clone(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__process_clone_handle(&job->request, job->call.r[1]));
}

static int64_t process_exit(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__process_exit(&job->request, job->call.r[1]));
}

static int64_t process_exit_code(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__process_exit_code(p, (pico_handle)job->call.r[1]));
}

static int64_t process_checkpoint(struct pico__job *job)
{
	return job->call.r[1] ? -PICO_EINVAL : -PICO_EAGAIN; /* as a notification it is park.c's */
}

static bool is_process(uint64_t handle)
{
	return (int64_t)handle > 0 && PICO_HANDLE_TYPE(handle) == PICO_HT_PROCESS;
}

static int64_t object_close(struct pico__job *job)
{
	struct pico *p = job->request.instance;

	if (!is_process(job->call.r[1]))
		return pico__streams_call(p->streams, PICO_DC_ObjectClose, &job->call);
	lock(job);
	return unlock(p, pico__process_close(p, (pico_handle)job->call.r[1]));
}

static int64_t object_reference(struct pico__job *job)
{
	struct pico *p = job->request.instance;

	if (!is_process(job->call.r[1]))
		return pico__streams_call(p->streams, PICO_DC_ObjectReference, &job->call);
	lock(job);
	return unlock(p, pico__process_reference(p, (pico_handle)job->call.r[1]));
}

static int64_t random_bits(struct pico__job *job)
{
	uint64_t size = job->call.r[1];

	if (size > sizeof(job->call.bulk))
		return -PICO_EFAULT;
	for (uint64_t at = 0; at < size;) {
		ssize_t n = getrandom(job->call.bulk + at, size - at, 0);

		if (n < 0 && errno != EINTR)
			return -PICO_EFAULT;
		at += n > 0 ? (uint64_t)n : 0;
	}
	job->call.bulk_out = (uint32_t)size;
	return 0;
}

static int64_t debug_string(struct pico__job *job)
{
	return pico__log_guest(job->request.instance, job->call.text, job->call.text_size);
}

static int64_t hello(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__process_hello(&job->request, job->call.r[1], job->call.r[2]));
}

static int64_t wake_fd(struct pico__job *job)
{
	struct pico *p = lock(job);

	return unlock(p, pico__thread_wake_fd(&job->request));
}

static int64_t stream_read(struct pico__job *job)
{
	return pico__streams_read(job->request.instance->streams, &job->call);
}

static int64_t stream_write(struct pico__job *job)
{
	return pico__streams_write(job->request.instance->streams, &job->call);
}

static int64_t crashed(struct pico__job *job)
{
	const uint64_t *r = job->call.r;

	pico__instance_die(job->request.instance, PICO_CAUSE_LIBOS_CRASHED, "signal %d at rip 0x%llx, address 0x%llx",
			   (int)r[1], (unsigned long long)r[2], (unsigned long long)r[3]);
	return 0;
}

static const struct spec downcalls[PICO_DOWNCALL_COUNT] = {
	[PICO_DC_ThreadInterrupt] = { .serve = thread_interrupt },
	[PICO_DC_ObjectReference] = { .serve = object_reference },
	[PICO_DC_ObjectClose] = { .serve = object_close },
	[PICO_DC_StreamOpen] = { .text = 1 },
	[PICO_DC_StreamDelete] = { .text = 1 },
	[PICO_DC_StreamRename] = { .text = 1, .text2 = 2 },
	[PICO_DC_StreamAttributesQuery] = { .text = 1 },
	[PICO_DC_StreamAttributesSet] = { .text = 2, .attr = true },
	[PICO_DC_ProcessCreate] = { .serve = process_create },
	[PICO_DC_ProcessClone] = { .serve = process_clone },
	[PICO_DC_ProcessExit] = { .serve = process_exit },
	[PICO_DC_ProcessGetExitCode] = { .serve = process_exit_code },
	[PICO_DC_ProcessCheckpoint] = { .serve = process_checkpoint },
	[PICO_DC_RandomBitsRead] = { .serve = random_bits },
	[PICO_DC_DebugStringPrint] = { .text = 1, .serve = debug_string },
};

#define PRIVATE(nr) [(nr) - PICO_NR_PRIVATE]
static const struct spec privates[PICO_NR_PRIVATE_END - PICO_NR_PRIVATE] = {
	PRIVATE(PICO_NR_HELLO) = { .serve = hello },
	PRIVATE(PICO_NR_WAKE_FD) = { .serve = wake_fd },
	PRIVATE(PICO_NR_STREAM_READ) = { .blocks = true, .serve = stream_read },
	PRIVATE(PICO_NR_STREAM_WRITE) = { .bulk = 3, .blocks = true, .serve = stream_write },
	PRIVATE(PICO_NR_CRASHED) = { .serve = crashed },
};

/* NULL: there is no such request. */
static const struct spec *find(uint32_t nr)
{
	if (nr - PICO_NR_BASE < PICO_DOWNCALL_COUNT)
		return &downcalls[nr - PICO_NR_BASE];
	if (nr > PICO_NR_SEED_WAIT && nr < PICO_NR_PRIVATE_END)
		return &privates[nr - PICO_NR_PRIVATE];
	return NULL;
}

/* ---- copying in and out: the slot's side may change at any moment ---- */

static uint8_t *slot_at(const struct pico__request *q, uint32_t offset)
{
	return (uint8_t *)pico__mailbox_slot(q->instance, q->slot) + offset;
}

static int copy_text(const struct pico__request *q, uint32_t offset, uint64_t size, char *to, uint32_t *size_out)
{
	if (size > PICO_URI_MAX)
		return -PICO_ENAMETOOLONG;
	memcpy(to, slot_at(q, offset), size);
	to[size] = 0;
	*size_out = (uint32_t)size;
	return 0;
}

static int copy_in(struct pico__job *job, const struct spec *spec, const uint64_t r[6])
{
	struct pico__call *c = &job->call;
	int rc = 0;

	memcpy(c->r, r, sizeof(c->r));
	c->text[0] = c->text2[0] = 0;
	c->text_size = c->text2_size = 0;
	c->attr_out = false;
	c->text_out = c->text2_out = c->bulk_out = 0;
	c->grant_count = 0;
	if (spec->text)
		rc = copy_text(&job->request, PICO_SLOT_DATA, c->r[spec->text], c->text, &c->text_size);
	if (rc == 0 && spec->text2)
		rc = copy_text(&job->request, PICO_SLOT_DATA2, c->r[spec->text2], c->text2, &c->text2_size);
	if (spec->attr)
		memcpy(&c->attr, slot_at(&job->request, PICO_SLOT_ATTR), sizeof(c->attr));
	if (rc == 0 && spec->bulk) {
		if (c->r[spec->bulk] > sizeof(c->bulk))
			return -PICO_EINVAL;
		memcpy(c->bulk, slot_at(&job->request, PICO_SLOT_BULK), c->r[spec->bulk]);
	}
	return rc;
}

static uint32_t at_most(uint32_t size, size_t limit)
{
	return size < limit ? size : (uint32_t)limit;
}

static void copy_out(const struct pico__job *job)
{
	const struct pico__call *c = &job->call;

	if (c->text_out)
		memcpy(slot_at(&job->request, PICO_SLOT_DATA), c->text, at_most(c->text_out, PICO_URI_MAX));
	if (c->text2_out)
		memcpy(slot_at(&job->request, PICO_SLOT_DATA2), c->text2, at_most(c->text2_out, PICO_URI_MAX));
	if (c->attr_out)
		memcpy(slot_at(&job->request, PICO_SLOT_ATTR), &c->attr, sizeof(c->attr));
	if (c->bulk_out)
		memcpy(slot_at(&job->request, PICO_SLOT_BULK), c->bulk, at_most(c->bulk_out, sizeof(c->bulk)));
}
_Static_assert(PICO_SLOT_ATTR + sizeof(struct pico_stream_attributes) <= PICO_SLOT_BULK, "slot layout");

/* ---- answers ---- */

/* -PICO_EINTR: the asker is not there now. The descriptors are kept then. */
static int grant_all(const struct pico__job *job, uint64_t id)
{
	const struct pico__call *c = &job->call;
	int rc = 0;

	for (int i = 0; rc == 0 && i < c->grant_count; i++)
		rc = pico__grant(job->request.instance, id, c->grant[i].fd, c->grant[i].number);
	return rc;
}

static void drop_grants(struct pico__job *job)
{
	struct pico__call *c = &job->call;

	for (int i = 0; i < c->grant_count; i++)
		if (c->grant_own[i])
			pico__close(c->grant[i].fd);
	c->grant_count = 0;
}

/* The guest will never learn of the handles it was to get. */
static void take_back(struct pico__job *job, int64_t result)
{
	struct pico__call *c = &job->call;
	bool pipe = job->request.nr == PICO_NR(PICO_DC_StreamOpen) && (c->r[3] & PICO_OPEN_PIPE) && c->attr_out;
	pico_handle peer = pipe ? c->attr.peer_handle : 0;

	drop_grants(job);
	if (result < 0 || (job->request.nr != PICO_NR(PICO_DC_StreamOpen) && job->request.nr != PICO_NR(PICO_DC_StreamWaitForClient)))
		return;
	c->r[1] = (uint64_t)result;
	pico__streams_call(job->request.instance->streams, PICO_DC_ObjectClose, c);
	if (peer > 0) {
		c->r[1] = (uint64_t)peer;
		pico__streams_call(job->request.instance->streams, PICO_DC_ObjectClose, c);
	}
}

static int64_t run(struct pico__job *job, const struct spec *spec)
{
	if (spec->serve)
		return spec->serve(job);
	return pico__streams_call(job->request.instance->streams, job->request.nr - PICO_NR_BASE, &job->call);
}

static bool never_answered(uint32_t nr)
{
	return nr == PICO_NR_CRASHED;
}

/* EINTR is not kept: the gate asks again, with the same number, in earnest. */
static void answer_locked(const struct pico__request *q, int64_t result)
{
	struct pico__thread *t = &q->instance->threads[q->slot];

	t->job = NULL;
	t->answer = result;
	t->have_answer = result != -PICO_EINTR;
	pico__answer(q->instance, q->id, result);
}

static void answer(const struct pico__request *q, int64_t result)
{
	pthread_mutex_lock(&q->instance->lock);
	answer_locked(q, result);
	pthread_mutex_unlock(&q->instance->lock);
}

enum ending {
	ENDED, /* answered, or nobody wants to know: job is free again */
	CHANGED, /* asked again meanwhile */
	PARKED, /* waits in its slot's record until it is asked again; job is the record's */
};

/* It has run, but whoever asked has been interrupted: the kernel will issue it
 * again, unless it died. */
static enum ending park(struct pico__job *job, uint64_t id, int64_t result)
{
	struct pico *p = job->request.instance;
	enum ending ending = CHANGED;

	pthread_mutex_lock(&p->lock);
	if (!job->abandoned && job->request.id == id) {
		job->parked = true;
		job->result = result;
		p->threads[job->request.slot].job = job;
		p->parked++;
		ending = PARKED;
	}
	pthread_mutex_unlock(&p->lock);
	return ending;
}

/* With the descriptors granted, or not to be granted. */
static enum ending conclude(struct pico__job *job, uint64_t id, int64_t result)
{
	struct pico *p = job->request.instance;
	enum ending ending = CHANGED;

	pthread_mutex_lock(&p->lock);
	if (!job->abandoned && job->request.id == id) {
		if (result >= 0)
			copy_out(job);
		answer_locked(&job->request, result);
		ending = ENDED;
	}
	pthread_mutex_unlock(&p->lock);
	return ending;
}

static enum ending try_to_end(struct pico__job *job, int64_t *result)
{
	struct pico *p = job->request.instance;
	uint64_t id;
	bool abandoned;
	int rc;

	pthread_mutex_lock(&p->lock);
	abandoned = job->abandoned;
	id = job->request.id;
	pthread_mutex_unlock(&p->lock);
	if (abandoned) { /* its slot is another request's now */
		take_back(job, *result);
		return ENDED;
	}
	rc = grant_all(job, id);
	if (rc == -PICO_EINTR && !p->killable_recv)
		return park(job, id, *result);
	if (rc < 0) {
		take_back(job, *result);
		*result = rc == -PICO_EMFILE || rc == -PICO_EINTR ? rc : -PICO_ENOMEM;
	}
	return conclude(job, id, *result);
}

/* Descriptors, slot and answer. Returns whether job is the caller's still. */
static bool finish(struct pico__job *job, int64_t result)
{
	enum ending ending = ENDED;

	if (never_answered(job->request.nr))
		return true;
	do
		ending = try_to_end(job, &result);
	while (ending == CHANGED);
	if (ending == ENDED)
		drop_grants(job);
	return ending == ENDED;
}

/* Whoever asked may have died in the queue. */
static bool is_wanted(struct pico__job *job)
{
	struct pico *p = job->request.instance;
	bool wanted;

	pthread_mutex_lock(&p->lock);
	wanted = !job->abandoned && (!p->killable_recv || pico__asks(p, job->request.id));
	if (!wanted && p->threads[job->request.slot].job == job)
		p->threads[job->request.slot].job = NULL;
	pthread_mutex_unlock(&p->lock);
	return wanted;
}

void pico__request_run(struct pico__job *job)
{
	if (!is_wanted(job))
		free(job);
	else if (finish(job, run(job, find(job->request.nr))))
		free(job);
}

void pico__request_abandon(struct pico *p, struct pico__thread *t)
{
	struct pico__job *job = t->job;

	t->job = NULL;
	t->have_seq = t->have_answer = false;
	if (!job)
		return;
	job->abandoned = true;
	if (!job->parked)
		return; /* a worker will see it */
	p->parked--;
	take_back(job, job->result);
	free(job);
}

void pico__request_fini(struct pico *p)
{
	for (uint32_t slot = 0; p->parked && slot < PICO_SLOT_COUNT; slot++) {
		struct pico__job *job = p->threads[slot].job;

		if (!job || !job->parked)
			continue;
		drop_grants(job);
		free(job);
		p->parked--;
	}
}

/* ---- notifications ---- */

/* What is known of the request? */
enum known {
	UNKNOWN,
	ON_ITS_WAY, /* asked before, and answered now or by a worker soon */
	WAITING, /* asked before, and run: *parked has it */
};

static enum known look_up_locked(struct pico *p, struct pico__thread *t, const struct pico__request *q, struct pico__job **parked)
{
	bool same = t->have_seq && t->seq == q->seq && t->nr == q->nr;

	if (same && t->job && t->job->parked) {
		*parked = t->job;
		t->job->parked = false;
		t->job->request.id = q->id;
		p->parked--;
		return WAITING;
	}
	if (same && t->job) {
		t->job->request.id = q->id;
		return ON_ITS_WAY;
	}
	if (same && t->have_answer) {
		pico__answer(p, q->id, t->answer);
		return ON_ITS_WAY;
	}
	pico__request_abandon(p, t);
	t->have_seq = true;
	t->have_answer = false;
	t->seq = q->seq;
	t->nr = q->nr;
	return UNKNOWN;
}

static bool is_again(struct pico *p, const struct pico__request *q)
{
	struct pico__job *parked;
	enum known known;

	pthread_mutex_lock(&p->lock);
	known = look_up_locked(p, &p->threads[q->slot], q, &parked);
	pthread_mutex_unlock(&p->lock);
	if (known == WAITING && finish(parked, parked->result))
		free(parked);
	return known != UNKNOWN;
}

static bool hand_over(struct pico *p, struct pico__job *job)
{
	bool taken;

	pthread_mutex_lock(&p->lock);
	job->kind = PICO__JOB_REQUEST;
	job->abandoned = false;
	p->threads[job->request.slot].job = job;
	/* Those who ask may die and others take their place, while nothing is
	 * done: one for each thread is enough. */
	taken = p->busy < p->config.limits.threads + BUSY_BESIDES &&
		pico__workers_put(pico__guard_workers(p->guard), job);
	if (taken)
		p->busy++;
	else
		p->threads[job->request.slot].job = NULL;
	pthread_mutex_unlock(&p->lock);
	return taken;
}

static bool may_block(struct pico__job *job, const struct spec *spec)
{
	if (spec->blocks)
		return true;
	if (spec->serve && job->request.nr != PICO_NR(PICO_DC_ObjectClose))
		return false;
	return pico__streams_may_block(job->request.instance->streams, job->request.nr - PICO_NR_BASE, &job->call);
}

static void note(struct pico *p, uint32_t nr)
{
	__atomic_fetch_add(&p->requests, 1, __ATOMIC_RELAXED);
	if (nr - PICO_NR_BASE < PICO_DOWNCALL_COUNT)
		__atomic_fetch_add(&p->downcalls[nr - PICO_NR_BASE], 1, __ATOMIC_RELAXED);
	else if (nr == PICO_NR_STREAM_READ || nr == PICO_NR_STREAM_WRITE)
		__atomic_fetch_add(&p->downcalls[nr == PICO_NR_STREAM_READ ? PICO_DC_StreamRead : PICO_DC_StreamWrite], 1, __ATOMIC_RELAXED);
}

/* Copied in, run and answered; *spare is NULL then if a worker or the slot's
 * record has it. */
static void serve(struct pico__job **spare, const struct spec *spec, const uint64_t r[6])
{
	struct pico__job *job = *spare;
	int64_t result;

	job->abandoned = job->parked = false;
	result = copy_in(job, spec, r);
	if (result == 0 && may_block(job, spec)) {
		if (hand_over(job->request.instance, job)) {
			*spare = NULL;
			return;
		}
		result = -PICO_ENOMEM;
	} else if (result == 0) {
		result = run(job, spec);
	}
	if (!finish(job, result))
		*spare = NULL;
}

void pico__request_notified(struct pico *p, const struct seccomp_notif *n, struct pico__job **spare)
{
	const struct spec *spec = find((uint32_t)n->data.nr);
	uint64_t word = n->data.args[0], r[6];
	const struct pico__request request = {
		.instance = p, .id = n->id, .tid = (int32_t)n->pid, .nr = (uint32_t)n->data.nr,
		.slot = (uint32_t)word, .seq = (uint32_t)(word >> 32),
	};

	if (!spec || request.slot >= PICO_SLOT_COUNT) {
		pico__answer(p, n->id, spec ? -PICO_EINVAL : -PICO_EPERM);
		return;
	}
	for (int i = 0; i < 6; i++)
		r[i] = n->data.args[i];
	note(p, request.nr);
	/* First of all: what ran already needs nothing more. */
	if (is_again(p, &request))
		return;
	if (!*spare)
		*spare = malloc(sizeof(**spare));
	if (*spare) {
		(*spare)->request = request;
		serve(spare, spec, r);
	} else {
		answer(&request, -PICO_ENOMEM);
	}
}

int64_t pico__request_serve(struct pico *p, uint32_t nr, const uint64_t r[6], uint32_t slot)
{
	const struct spec *spec = find(nr);
	PICO__FREE struct pico__job *job = NULL;
	int64_t result;

	if (!spec)
		return -PICO_EPERM;
	if (slot >= PICO_SLOT_COUNT)
		return -PICO_EINVAL;
	job = malloc(sizeof(*job));
	if (!job)
		return -PICO_ENOMEM;
	job->request = (struct pico__request){ .instance = p, .nr = nr, .slot = slot };
	note(p, nr);
	result = copy_in(job, spec, r);
	if (result < 0)
		return result;
	result = run(job, spec);
	drop_grants(job);
	if (result >= 0)
		copy_out(job);
	return result;
}
