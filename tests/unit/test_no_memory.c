/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of an instance's life fails in turn, or every descriptor: no
 * crash, a clear error, nothing lost, and the next instance lives.
 */
#include <dirent.h>
#include <sys/resource.h>

#include "api/api.h"
#include "api_host.h"

#define ROUNDS 150

static long until_failure = -1; /* atomic; allocations still granted, -1: all */
static long alive; /* atomic; blocks of the library */

static bool fails(void)
{
	return __atomic_load_n(&until_failure, __ATOMIC_SEQ_CST) >= 0 &&
	       __atomic_sub_fetch(&until_failure, 1, __ATOMIC_SEQ_CST) == -1;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void __real_free(void *block);
void __wrap_free(void *block);

static void *counted(void *block)
{
	if (block)
		__atomic_fetch_add(&alive, 1, __ATOMIC_RELAXED);
	return block;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : counted(__real_calloc(count, size)); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : counted(__real_strdup(text)); }
void *__wrap_realloc(void *old, size_t size)
{
	void *block = fails() ? NULL : __real_realloc(old, size);

	if (block && !old)
		counted(block);
	return block;
}
void __wrap_free(void *block)
{
	if (block)
		__atomic_fetch_sub(&alive, 1, __ATOMIC_RELAXED);
	__real_free(block);
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

/* 0: all went well; 1: refused with a reason; -1: wrong. */
static int one_life(long allocations)
{
	static const struct pico_mount mounts[] = { { .host = "/tmp", .guest = "/tmp" } };
	struct pico_options o;
	struct pico_error e = { 0 };
	struct pico_exit x = { 0 };
	struct pico *p = NULL;
	int rc, result = 0;

	bare_options(&o, "host_create 3");
	o.mounts = mounts;
	o.mount_count = 1;
	__atomic_store_n(&until_failure, allocations, __ATOMIC_SEQ_CST);
	rc = pico_create(&o, &p, &e);
	if (rc < 0) {
		__atomic_store_n(&until_failure, -1, __ATOMIC_SEQ_CST);
		cr_assert(rc == -PICO_ENOMEM || rc == -PICO_EHELPER || (allocations < 0 && (rc == -PICO_EMFILE || rc == -PICO_ENFILE || rc == -PICO_ELIBOS)), "allocation %ld: %d %s: %s", allocations, rc, e.where, e.message);
		cr_assert(e.message[0]);
		return 1;
	}
	rc = pico_start(p);
	if (rc == 0) {
		rc = pico_wait(p, 15000, &x);
		cr_assert_eq(rc, 0, "allocation %ld: the instance hangs", allocations);
		result = x.kind != PICO_EXITED || x.code != 0;
		cr_assert(!result || x.kind == PICO_EXITED || x.message[0], "allocation %ld: no reason", allocations);
	} else {
		cr_assert_eq(rc, -PICO_ENOMEM);
		result = 1;
	}
	pico_destroy(p);
	__atomic_store_n(&until_failure, -1, __ATOMIC_SEQ_CST);
	return result;
}

Test(no_memory, each_allocation_fails_in_turn, .timeout = 300)
{
	int descriptors, refused = 0;
	long before;

	cr_assert_eq(one_life(-1), 0);
	before = alive;
	descriptors = open_descriptors();
	for (long n = 0; n < ROUNDS; n++) {
		refused += one_life(n) == 1;
		cr_assert_eq(open_descriptors(), descriptors, "allocation %ld: a descriptor is lost", n);
		cr_assert_leq(alive, before, "allocation %ld: %ld blocks are lost", n, alive - before);
	}
	cr_assert_gt(refused, 20);
	cr_assert_eq(one_life(-1), 0);
}

Test(no_memory, each_descriptor_fails_in_turn, .timeout = 300)
{
	struct rlimit limit, all;
	int descriptors, refused = 0;
	long before;

	cr_assert_eq(one_life(-1), 0);
	before = alive;
	descriptors = open_descriptors();
	getrlimit(RLIMIT_NOFILE, &all);
	limit = all;
	for (int room = 0; room < 60; room++) {
		limit.rlim_cur = (rlim_t)(descriptors + room);
		setrlimit(RLIMIT_NOFILE, &limit);
		refused += one_life(-1) == 1;
		setrlimit(RLIMIT_NOFILE, &all);
		cr_assert_eq(open_descriptors(), descriptors, "room for %d: a descriptor is lost", room);
		cr_assert_leq(alive, before, "room for %d: %ld blocks are lost", room, alive - before);
	}
	cr_assert_gt(refused, 10);
	cr_assert_eq(one_life(-1), 0);
}
