/* SPDX-License-Identifier: Apache-2.0
 *
 * The host application of a fuzzed instance, careless in its callbacks, and the
 * threads beside the guard: a guest that scribbles over the mailbox, a process
 * of the host that renames, the application's own. Knows nothing of how
 * requests are brought to the monitor.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "life.h"

/* ---- the application's callbacks ---- */

/* Anything a careless application may answer. */
static int64_t careless(uint64_t offset, size_t size, bool reading)
{
	uint64_t dice = source_mix(offset ^ (uint64_t)size << 32);

	switch (dice % 16) {
	case 0: return 0;
	case 1: return -PICO_EIO;
	case 2: return -PICO_EINTR;
	case 3: return -(int64_t)(dice >> 40);
	case 4: return INT64_MIN;
	case 5: return INT64_MAX;
	case 6: return (int64_t)size + 1;
	case 7: return -PICO_EAGAIN;
	default: return reading && dice & 256 ? (int64_t)size / 2 : (int64_t)size;
	}
}

static void ran(uint64_t offset, int64_t answer)
{
	if (offset >= TOKEN_BASE && offset < TOKEN_BASE + KERNEL_IDS && answer != -PICO_EINTR)
		kernel_ran(offset - TOKEN_BASE);
	if (offset % 64 == 3) /* so that others come meanwhile */
		nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
}

static int64_t app_read(void *user, uint64_t offset, void *buffer, size_t size)
{
	int64_t answer = careless(offset, size, true);

	(void)user;
	memset(buffer, 'r', size);
	ran(offset, answer);
	return answer;
}

static int64_t app_write(void *user, uint64_t offset, const void *buffer, size_t size)
{
	int64_t answer = careless(offset, size, false);
	unsigned sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += ((const uint8_t *)buffer)[i];
	atomic_fetch_add((atomic_uint *)user, sum);
	ran(offset, answer);
	return answer;
}

static atomic_uint sums, lines, ends;

static void logged(void *user, int level, const char *line)
{
	(void)user;
	for (; *line; line++)
		if (((uint8_t)*line < 0x20 && *line != '\t') || *line == 0x7f)
			fault("a control character in the log");
	if (level < PICO_LOG_ERROR || level > PICO_LOG_DEBUG)
		fault("log level %d", level);
	atomic_fetch_add(&lines, 1);
}

static void ended(void *user, const struct pico_exit *e)
{
	(void)user;
	atomic_fetch_add(&ends, e->kind ? 1 : 0);
}

/* ---- making ---- */

static void choose_stdio(struct source *s, struct pico_options *o)
{
	for (int i = 0; i < 3; i++) {
		struct pico_stdio *io = &o->stdio[i];

		io->fd = -1;
		switch (source_below(s, 4)) {
		case 0:
			io->kind = PICO_STDIO_CALLBACK;
			io->read = i == 0 ? app_read : NULL;
			io->write = i == 0 ? NULL : app_write;
			io->user = &sums;
			break;
		case 1:
			io->fd = world_stdio(source_below(s, WORLD_STDIO));
			io->kind = io->fd >= 0 ? PICO_STDIO_FD : PICO_STDIO_NULL;
			break;
		case 2:
			io->kind = PICO_STDIO_CLOSED;
			break;
		default:
			break;
		}
	}
}

static void choose(struct source *s, struct pico_options *o)
{
	static const uint32_t processes[] = { 1, 3, 8 }, threads[] = { 2, 8, 64 }, streams[] = { 6, 40, 200 };
	static const uint32_t ids[] = { 0, 7, 1000, 65534 };

	pico_options_init(o);
	o->program = "/file";
	o->flags = source_chance(s, 25) ? PICO_FLAG_DISPATCH : 0;
	o->uid = SOURCE_PICK(s, ids);
	o->gid = SOURCE_PICK(s, ids);
	o->root = source_chance(s, 90) ? world_root : NULL; /* its place is make()'s to say */
	o->limits.processes = SOURCE_PICK(s, processes);
	o->limits.threads = SOURCE_PICK(s, threads);
	o->limits.streams = SOURCE_PICK(s, streams);
	o->limits.memory = source_chance(s, 20) ? 64u << 20 : 0;
	o->limits.cpu_seconds = source_chance(s, 20) ? 1000 : 0;
	o->limits.deadline_ms = source_chance(s, 20) ? 60000 : 0;
	o->log = source_chance(s, 90) ? logged : NULL;
	o->log_level = 1 + source_below(s, 4);
	o->on_exit = ended;
	choose_stdio(s, o);
}

static struct pico *make(const struct pico_options *choice)
{
	static const char *const hosts[] = { "rw2", "ro", "one", "rw2", "rw2" };
	static const char *const guests[] = { "/rw2", "/ro", "/one", "/deep/er", "/ro/inner" };
	static const struct pico_app_stream apps[] = {
		{ "echo", app_read, app_write, &sums }, { "in", app_read, NULL, &sums }, { "out", NULL, app_write, &sums },
	};
	char paths[5][160], root[160];
	struct pico_mount mounts[5];
	struct pico_options o = *choice;
	struct pico_error error;
	struct pico *p = NULL;

	snprintf(root, sizeof(root), "%s/rw", world_root);
	for (int i = 0; i < 5; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", world_root, hosts[i]);
		mounts[i] = (struct pico_mount){ paths[i], guests[i], i == 1 ? PICO_MOUNT_READ_ONLY : 0, 0 };
	}
	o.root = o.root ? root : NULL;
	o.mounts = mounts;
	o.mount_count = 5;
	o.apps = apps;
	o.app_count = 3;
	return pico__create_detached(&o, &p, &error) ? NULL : p;
}

static struct pico *attached(const struct pico_options *o)
{
	struct pico *p = make(o);
	struct pico_error error;

	if (!p)
		return NULL;
	if (pico__guard_get(&p->guard, &error) < 0) {
		p->guard = NULL;
		pico_destroy(p);
		return NULL;
	}
	return p;
}

struct pico *app_instance(struct source *s, bool failures)
{
	struct pico_options o;
	struct pico *p;

	choose(s, &o);
	if (failures && source_chance(s, 20))
		memory_fails(64);
	memory_mine = false;
	p = attached(&o);
	memory_mine = true;
	memory_fails(0);
	for (int i = 0; i < 3; i++)
		if (o.stdio[i].fd >= 0)
			close(o.stdio[i].fd);
	return p;
}

/* ---- the other threads ---- */

static void breathe(struct source *s)
{
	if (source_chance(s, 10))
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

static void *guest_main(void *argument)
{
	struct life *l = argument;
	struct source s = source_seeded(l->salt + 1);

	memory_mine = true;
	while (!atomic_load(&l->over)) {
		for (int i = 0; i < 8; i++)
			make_scribble(&s, l->mapping[1]);
		kernel_guest_uses(&s);
		breathe(&s);
	}
	return NULL;
}

static void *host_main(void *argument)
{
	struct life *l = argument;
	struct source s = source_seeded(l->salt + 2);

	memory_mine = true;
	while (!atomic_load(&l->over)) {
		world_flip(&s);
		breathe(&s);
	}
	return NULL;
}

static void use_api(struct source *s, struct pico *p)
{
	struct pico_stats stats = { .size = sizeof(stats) };

	switch (source_below(s, 8)) {
	case 0:
		if (pico_stats(p, &stats) == 0 && stats.streams > p->config.limits.streams)
			fault("%u streams, limit %u", stats.streams, p->config.limits.streams);
		break;
	case 1:
		if (pico_signal(p, 1 + (int)source_below(s, 30)) == 0)
			break;
		break;
	case 2:
		pico_dispatch(p);
		break;
	case 3:
		if (strlen(pico_get_error(p)->message) >= sizeof(pico_get_error(p)->message))
			fault("error message without an end");
		break;
	case 4:
		if (pico__instance_park(p, source_below(s, 3)) == 0 && source_chance(s, 50))
			nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
		break;
	case 5:
		if (pico__instance_unpark(p) > 0)
			fault("unpark says more than 0");
		break;
	default:
		break;
	}
}

/* Streams are used by several threads at once: guard and workers. */
static void *app_main(void *argument)
{
	struct life *l = argument;
	struct source s = source_seeded(l->salt + 3);
	struct request q = { .slot = APP_SLOT };

	while (!atomic_load(&l->over)) {
		memory_mine = true;
		make_request(&s, &l->app_k, &q);
		memory_mine = false;
		if (source_chance(&s, 20))
			use_api(&s, l->p);
		if (make_is_stream(q.nr))
			make_learn(&l->app_k, &q, pico__request_serve(l->p, q.nr, q.r, q.slot));
		breathe(&s);
	}
	return NULL;
}

void app_start_threads(struct life *l)
{
	void *(*const mains[])(void *) = { guest_main, host_main, app_main };

	l->running = l->plan->threads;
	for (int i = 0; l->running && i < 3; i++)
		if (pthread_create(&l->threads[i], NULL, mains[i], l))
			fault("no threads");
}

void app_stop_threads(struct life *l)
{
	atomic_store(&l->over, true);
	for (int i = 0; l->running && i < 3; i++)
		pthread_join(l->threads[i], NULL);
}
