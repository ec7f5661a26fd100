/* SPDX-License-Identifier: Apache-2.0
 *
 * pico_create and pico_destroy: brings policy, shared memory, helper, seed and
 * guard together, in that order, and takes them apart. Knows what each part
 * needs and nothing of how it works.
 */
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../monitor/cleanup.h"
#include "../monitor/host_errno.h"
#include "../monitor/snapshot.h"
#include "api.h"

#define HWCAP2_FSGSBASE_BIT 2ul

/* ---- the seed ---- */

/* Numbers go to streams, to process handles and to the threads' wake events. */
static uint64_t descriptor_limit(const struct pico__config *c)
{
	struct rlimit host;
	uint64_t wanted = PICO_FIRST_FD + 16ull + c->limits.streams + c->limits.processes + c->limits.threads;

	if (wanted > PICO_NUMBER_MAX)
		wanted = PICO_NUMBER_MAX;
	if (getrlimit(RLIMIT_NOFILE, &host) == 0 && wanted > host.rlim_max)
		wanted = host.rlim_max;
	return wanted;
}

static int spawn_failed(const struct pico__spawn_error *e, int rc, struct pico_error *error)
{
	int code = e->error ? e->error : -rc;

	if (e->host_errno)
		return pico__error_set(error, code, e->host_errno, "helper", "%s: %s", e->where, strerrordesc_np(e->host_errno));
	return pico__error_set(error, code, 0, "helper", "%s", e->where[0] ? e->where : pico_strerror(rc));
}

static int get_seed_with_bell(struct pico *p, struct pico_spawn_order *order, struct pico__seed *seed, struct pico__spawn_error *trouble)
{
	PICO__CLOSE int bell = -1, keeper = -1;
	int guest[2] = { -1, -1 }, rc = pico__bell_create(p, guest);

	bell = guest[0];
	keeper = guest[1];
	if (rc < 0)
		return rc;
	order->flags |= PICO_SPAWN_BELL;
	order->tasks = p->config.limits.threads + 2; /* seed and keeper */
	memset(trouble, 0, sizeof(*trouble));
	rc = pico__helper_seed_with_bell(p->helper, order, (const int[]){ p->mailbox_fd, p->segment_fd, p->boot_fd, p->libos_fd, bell, keeper },
					 seed, trouble);
	if (rc == 0)
		pico__bell_start(p);
	return rc;
}

/* The kernel allows one listener in a task tree. That one is in the way is found
 * by trying; it stays so for this process, but for the listener's end. */
static int get_any_seed(struct pico *p, struct pico_spawn_order *order, struct pico__seed *seed, struct pico__spawn_error *trouble)
{
	static uint32_t taken;
	int rc = -PICO_EKERNEL;

	trouble->host_errno = EBUSY;
	if (!__atomic_load_n(&taken, __ATOMIC_RELAXED) && !(pico__kernel_without & PICO__WITHOUT_NOTIFICATIONS))
		rc = pico__helper_seed(p->helper, order, p->mailbox_fd, p->segment_fd, p->boot_fd, p->libos_fd, seed, trouble);
	if (rc != -PICO_EKERNEL || trouble->host_errno != EBUSY)
		return rc;
	if (!(pico__kernel_without & PICO__WITHOUT_NOTIFICATIONS))
		__atomic_store_n(&taken, 1, __ATOMIC_RELAXED);
	return get_seed_with_bell(p, order, seed, trouble);
}

static int get_seed(struct pico *p, struct pico_error *error)
{
	struct pico_spawn_order order = {
		.version = PICO_SPAWN_VERSION,
		.id = p->serial,
		.limits = { .data_bytes = p->config.limits.memory, .nofile = descriptor_limit(&p->config) },
		.segment_size = p->segment_size,
		.boot_size = p->boot_size,
		.flags = pico__kernel_without & PICO__WITHOUT_WAIT_KILLABLE ? PICO_SPAWN_INTERRUPTIBLE : 0,
	};
	struct pico__spawn_error trouble = { 0 };
	struct pico__seed seed = { .listener = -1, .pidfd = -1 };
	int rc;

	memcpy(order.name, p->name, sizeof(order.name));
	rc = get_any_seed(p, &order, &seed, &trouble);
	if (rc < 0)
		return spawn_failed(&trouble, rc, error);
	if (!p->bell)
		p->listener = seed.listener;
	p->seed_pidfd = seed.pidfd;
	p->killable_recv = seed.killable_recv;
	return 0;
}

static int check_processor(struct pico_error *error)
{
	if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT)
		return 0;
	return pico__error_set(error, PICO_EKERNEL, 0, "processor", "FSGSBASE is not enabled");
}

static int attach(struct pico *p, struct pico_error *error)
{
	int rc = p->libos_fd = pico__libos_open(p->config.libos, &p->libos, error);

	if (rc >= 0)
		rc = pico__guard_get(&p->guard, error);
	if (rc < 0)
		return rc;
	/* Before the seed, so that its exit is heard of whatever comes. */
	rc = pico__guard_watch_helper(p->guard, p->helper);
	if (rc < 0) {
		pico__helper_put(p->helper);
		p->helper = NULL;
		return pico__error_set(error, -rc, 0, "guard", "%s", pico_strerror(rc));
	}
	rc = get_seed(p, error);
	if (rc < 0)
		return rc;
	rc = pico__guard_register(p);
	if (rc < 0) {
		pico__process_kill_all(p, NULL);
		return pico__error_set(error, -rc, 0, "guard", "%s", pico_strerror(rc));
	}
	return 0;
}

static void put_helper(struct pico__helper **helper)
{
	pico__helper_put(*helper);
}

/* The helper comes first: a new one works on its start while memory and policy
 * are made here. */
static int make(struct pico__config *config, struct pico__restore *restore, struct pico **out, struct pico_error *error)
{
	__attribute__((cleanup(put_helper))) struct pico__helper *helper = NULL;
	struct pico__spawn_error trouble = { 0 };
	int rc = check_processor(error);

	if (rc < 0)
		return rc;
	rc = pico__helper_get(config->helper, &helper, &trouble);
	if (rc < 0) {
		helper = NULL;
		return spawn_failed(&trouble, rc, error);
	}
	rc = pico__instance_new(config, restore, out, error);
	if (rc < 0)
		return rc;
	(*out)->helper = helper;
	helper = NULL;
	return 0;
}

int pico__create_restored(const struct pico_options *options, struct pico__restore *restore, struct pico **out, struct pico_error *error)
{
	__attribute__((cleanup(pico__config_fini))) struct pico__config config;
	struct pico *p;
	int rc = pico__options_copy(options, &config, error);

	if (rc == 0)
		rc = pico__restore_check(restore, config.libos, error);
	if (rc == 0)
		rc = make(&config, restore, &p, error);
	if (rc < 0)
		return rc;
	rc = attach(p, error);
	if (rc < 0)
		pico__guard_unregistered(p);
	else
		*out = p;
	return rc;
}

int pico__create_detached(const struct pico_options *options, struct pico **out, struct pico_error *error)
{
	__attribute__((cleanup(pico__config_fini))) struct pico__config config;
	int rc = pico__options_copy(options, &config, error);

	return rc < 0 ? rc : pico__instance_new(&config, NULL, out, error);
}

int pico_create(const struct pico_options *options, struct pico **out, struct pico_error *error)
{
	__attribute__((cleanup(pico__config_fini))) struct pico__config config = { 0 };
	struct pico *p;
	int rc;

	if (!out)
		return pico__error_set(error, PICO_EINVAL, 0, "pico_create", "out is NULL");
	rc = pico__options_copy(options, &config, error);
	if (rc == 0)
		rc = make(&config, NULL, &p, error);
	if (rc < 0)
		return rc;
	rc = attach(p, error);
	if (rc < 0) {
		pico__guard_unregistered(p);
		return rc;
	}
	*out = p;
	return 0;
}

void pico_destroy(struct pico *p)
{
	if (!p)
		return;
	if (p->owner != getpid() || !p->guard) { /* the child of a fork; or never attached */
		pico__guard_forget(p);
		return;
	}
	pico__instance_die(p, PICO_CAUSE_KILLED, "destroyed");
	pico__guard_leave(p);
}
