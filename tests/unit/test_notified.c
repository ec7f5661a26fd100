/* SPDX-License-Identifier: Apache-2.0
 *
 * Notifications as the guard takes them, with a kernel that only writes down
 * what it is told: requests that are issued twice, clones, HELLO. Each test
 * that has a story is one that the fuzzer told. No picoprocess; children of
 * the test lend their ids.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "api/api.h"
#include "api_host.h"

#define SLOT 5u

int __wrap_pico__notify_answer(int listener, uint64_t id, int64_t value);
int __wrap_pico__notify_continue(int listener, uint64_t id);
int __wrap_pico__notify_grant(int listener, uint64_t id, int fd, int number);
bool __wrap_pico__notify_valid(int listener, uint64_t id);

static struct {
	uint64_t id; /* of the last answer */
	int64_t value;
	bool continued;
	int granted, refuse; /* what grants are answered; 0: taken */
	int number;
	bool gone; /* the asker */
} kernel;

int __wrap_pico__notify_answer(int listener, uint64_t id, int64_t value)
{
	(void)listener;
	kernel.id = id;
	kernel.value = value;
	return 0;
}

int __wrap_pico__notify_continue(int listener, uint64_t id)
{
	(void)listener;
	kernel.id = id;
	kernel.value = 0;
	kernel.continued = true;
	return 0;
}

int __wrap_pico__notify_grant(int listener, uint64_t id, int fd, int number)
{
	(void)listener, (void)id;
	cr_assert_geq(fcntl(fd, F_GETFD), 0);
	if (kernel.refuse)
		return kernel.refuse;
	kernel.granted++;
	kernel.number = number;
	return 0;
}

bool __wrap_pico__notify_valid(int listener, uint64_t id)
{
	(void)listener, (void)id;
	return !kernel.gone;
}

static struct pico *instance;
static struct pico__job *spare;
static uint64_t next_id;

static void setup(void)
{
	struct pico_options o;
	struct pico_error e;

	pico_options_init(&o);
	o.program = "/x";
	o.limits.threads = 4;
	cr_assert_eq(pico__create_detached(&o, &instance, &e), 0, "%s", e.message);
	cr_assert_eq(pico__guard_get(&instance->guard, &e), 0, "%s", e.message);
	memset(&kernel, 0, sizeof(kernel));
}

static void teardown(void)
{
	free(spare);
	pico__guard_unregistered(instance);
}

TestSuite(notified, .init = setup, .fini = teardown, .timeout = 30);

static void put(const char *text)
{
	memcpy((char *)pico__mailbox_slot(instance, SLOT) + PICO_SLOT_DATA, text, strlen(text));
}

static struct seccomp_notif notification(int64_t nr, int32_t tid)
{
	struct seccomp_notif n = { .id = ++next_id, .pid = (uint32_t)tid };

	n.data.nr = (int)nr;
	n.data.arch = AUDIT_ARCH_X86_64;
	kernel.id = 0;
	kernel.continued = false;
	return n;
}

/* The answer; INT64_MAX: none. */
static int64_t ask(uint32_t nr, uint32_t slot, uint32_t seq, int32_t tid, uint64_t r1, uint64_t r2, uint64_t r3)
{
	struct seccomp_notif n = notification(nr, tid);

	n.data.args[0] = PICO_REQUEST_WORD(slot, seq);
	n.data.args[1] = r1;
	n.data.args[2] = r2;
	n.data.args[3] = r3;
	n.data.args[5] = nr == PICO_NR(PICO_DC_StreamOpen); /* with attributes */
	pico__request_notified(instance, &n, &spare);
	return kernel.id == n.id ? kernel.value : INT64_MAX;
}

static int64_t open_new(uint32_t seq)
{
	const char *uri = "memory:x";

	put(uri);
	return ask(PICO_NR(PICO_DC_StreamOpen), SLOT, seq, 0, strlen(uri), PICO_ACCESS_READ | PICO_ACCESS_WRITE,
		   PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE);
}

Test(notified, asked_again_runs_once)
{
	int64_t h = open_new(1);

	cr_assert_gt(h, 0);
	cr_expect_eq(open_new(1), h);
	cr_expect_eq(open_new(1), h);
	cr_expect_eq(open_new(2), -PICO_EEXIST);
	cr_expect_eq(kernel.granted, 1);
}

/* What ran is told without a buffer, which may not be to be had just then. */
Test(notified, asked_again_needs_no_memory)
{
	int64_t h = open_new(1);

	free(spare);
	spare = NULL;
	cr_expect_eq(open_new(1), h);
	cr_expect_null(spare);
}

/* ---- without WAIT_KILLABLE_RECV: the asker may be gone when it has run ---- */

static uint32_t streams(void)
{
	return pico__streams_count(instance->streams);
}

static unsigned descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(notified, interrupted_grant_is_made_when_asked_again)
{
	int64_t h;

	kernel.refuse = -PICO_EINTR;
	cr_assert_eq(open_new(1), INT64_MAX, "no answer: nobody is there");
	cr_assert_eq(open_new(1), INT64_MAX, "and again");
	kernel.refuse = 0;
	h = open_new(1);
	cr_assert_gt(h, 0, "it was made by the first one: %lld", (long long)h);
	cr_expect_eq(kernel.granted, 1);
	cr_expect_eq(kernel.number, PICO_HANDLE_PAYLOAD(h));
	cr_expect_eq(open_new(1), h);
	cr_expect_eq(kernel.granted, 1);
}

Test(notified, interrupted_for_good)
{
	uint32_t before = streams();
	unsigned open = descriptors();

	kernel.refuse = -PICO_EINTR;
	cr_assert_eq(open_new(1), INT64_MAX);
	kernel.refuse = 0;
	cr_expect_eq(ask(PICO_NR(PICO_DC_ProcessCheckpoint), SLOT, 2, 0, 0, 0, 0), -PICO_EAGAIN); /* the slot goes on */
	cr_expect_eq(streams(), before + 1, "the name alone");
	put("memory:x");
	cr_expect_eq(ask(PICO_NR(PICO_DC_StreamDelete), SLOT, 3, 0, 8, 0, 0), 0);
	cr_expect_eq(descriptors(), open);
	kernel.refuse = -PICO_EINTR;
	cr_assert_eq(open_new(4), INT64_MAX); /* and the instance ends so */
}

Test(notified, interrupted_in_a_slot_that_is_given_away)
{
	struct pico__process *q;
	uint32_t before = streams();

	kernel.refuse = -PICO_EINTR;
	cr_assert_eq(open_new(1), INT64_MAX);
	cr_expect_eq(streams(), before + 2);
	pthread_mutex_lock(&instance->lock);
	q = pico__process_new(instance);
	pico__thread_admit(instance, SLOT, q, 0);
	pico__process_forget(instance, q);
	pthread_mutex_unlock(&instance->lock);
	cr_expect_eq(streams(), before + 1);
}

Test(notified, interrupted_pipe)
{
	uint32_t before = streams();
	int64_t h;

	put("pipe:");
	kernel.refuse = -PICO_EINTR;
	cr_assert_eq(ask(PICO_NR(PICO_DC_StreamOpen), SLOT, 1, 0, 5, 3, PICO_OPEN_PIPE), INT64_MAX);
	cr_expect_eq(streams(), before + 2);
	kernel.refuse = 0;
	h = ask(PICO_NR(PICO_DC_StreamOpen), SLOT, 1, 0, 5, 3, PICO_OPEN_PIPE);
	cr_expect_gt(h, 0);
	cr_expect_eq(kernel.granted, 2);
	kernel.refuse = -PICO_EMFILE;
	cr_expect_eq(ask(PICO_NR(PICO_DC_StreamOpen), SLOT, 2, 0, 5, 3, PICO_OPEN_PIPE), -PICO_EMFILE);
	cr_expect_eq(streams(), before + 2, "both taken back");
}

/* Where a request that was received cannot be interrupted, nobody there means
 * that the asker died. */
Test(notified, asker_died)
{
	uint32_t before = streams();

	instance->killable_recv = true;
	kernel.refuse = -PICO_EINTR;
	open_new(1);
	cr_expect_eq(streams(), before + 1, "the name alone");
}

Test(notified, interrupted_process_handle)
{
	int64_t h;

	kernel.refuse = -PICO_EINTR;
	cr_expect_eq(ask(PICO_NR(PICO_DC_ProcessClone), SLOT, 1, 0, 0, 0, 0), -PICO_EINTR);
	cr_expect_eq(instance->process_count, 0);
	kernel.refuse = 0;
	h = ask(PICO_NR(PICO_DC_ProcessClone), SLOT, 1, 0, 0, 0, 0);
	cr_expect_gt(h, 0);
	cr_expect_eq(instance->process_count, 1);
}

/* ---- processes ---- */

static int32_t child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	cr_assert_gt(pid, 0);
	return pid;
}

static void end_child(int32_t pid)
{
	struct pico__process *q = pico__guard_pid_find(instance->guard, pid);

	kill(pid, SIGKILL);
	if (q)
		pico__process_exited(q, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool let_clone(int32_t tid, uint64_t flags, uint32_t slot, uint32_t cookie)
{
	struct seccomp_notif n = notification(SYS_clone, tid);

	n.data.args[0] = flags;
	n.data.args[5] = PICO_CLONE_TAG(slot, cookie);
	pico__process_clone(instance, &n);
	return kernel.continued;
}

static int64_t hello(int32_t tid, uint32_t slot, uint32_t kind, uint32_t cookie)
{
	static uint32_t seq;

	return ask(PICO_NR_HELLO, slot, ++seq, tid, kind, cookie, 0);
}

static void seed_asks(int32_t seed, uint32_t seq)
{
	struct seccomp_notif n = notification(PICO_NR_SEED_WAIT, seed);

	n.data.args[0] = PICO_REQUEST_WORD(PICO_SLOT_COUNT - 1, seq);
	pico__process_seed_wait(instance, &n);
}

static void begin_seed(int32_t seed)
{
	struct seccomp_notif n = notification(SYS_close_range, seed);

	n.data.args[1] = ~0u;
	n.data.args[2] = 2;
	instance->seed_pidfd = (int)syscall(SYS_pidfd_open, seed, 0);
	pico__process_close_range(instance, &n);
	cr_assert(kernel.continued);
	cr_assert_eq(pico_start(instance), 0);
}

static void be_first(int32_t seed, int32_t pid)
{
	begin_seed(seed);
	seed_asks(seed, 1);
	cr_assert_eq(kernel.value & 0xff, PICO_ORDER_PROCESS);
	cr_assert(let_clone(seed, PICO_CLONE_PROCESS_FLAGS, (uint32_t)(kernel.value >> 8) & 0xffff, PICO__FIRST_COOKIE));
	cr_assert_eq(hello(pid, 0, 0, PICO__FIRST_COOKIE), PICO_INIT_FRESH);
}

/* A guest may have a new thread admitted into a slot that is in use, so that a
 * picoprocess is not found by its thread's id any more. It must not become a
 * second picoprocess in the place of a hidden one: its end would be told once,
 * and the instance would wait for the other. */
Test(notified, hello_of_a_known_process)
{
	int32_t seed = child(), first = child();

	be_first(seed, first);
	cr_assert(let_clone(first, PICO_CLONE_PROCESS_FLAGS, 7, 0));
	cr_assert(let_clone(first, PICO_CLONE_THREAD_FLAGS, 0, 0)); /* slot 0 is its own */
	cr_expect_eq(hello(first, 7, 0, 0), -PICO_EPERM);
	end_child(first);
	end_child(seed);
	for (struct pico__process *q = instance->processes; q; q = q->next)
		cr_expect_neq(q->state, PICO__LIVE);
}

/* A census counts who was admitted long ago and has not come as nobody; when
 * it comes after all it is counted again. */
Test(notified, hello_after_a_census)
{
	int32_t seed = child(), first = child(), second = child();

	be_first(seed, first);
	cr_assert(let_clone(first, PICO_CLONE_PROCESS_FLAGS, 7, 0));
	instance->threads[7].since -= 2 * PICO__NS;
	pthread_mutex_lock(&instance->lock);
	cr_expect_eq(pico__thread_census(instance), 1);
	pthread_mutex_unlock(&instance->lock);
	cr_assert_eq(hello(second, 7, 0, 0), 0);
	cr_expect_eq(instance->thread_count, 2);
	end_child(second);
	end_child(first);
	end_child(seed);
	cr_expect_eq(instance->thread_count, 0);
}

/* The answer got lost: the same order is given again, and so is the segment. */
Test(notified, seed_is_interrupted)
{
	int32_t seed = child();
	int64_t order;

	begin_seed(seed);
	kernel.refuse = -PICO_EINTR;
	seed_asks(seed, 1);
	cr_expect_eq(kernel.id, 0, "no answer");
	cr_expect_not(instance->dying);
	kernel.refuse = 0;
	seed_asks(seed, 1);
	cr_expect_eq(kernel.granted, 1);
	cr_expect_eq(kernel.number, PICO_FIRST_FD);
	order = kernel.value;
	cr_expect_eq(order & 0xff, PICO_ORDER_PROCESS);
	seed_asks(seed, 1);
	cr_expect_eq(kernel.value, order);
	cr_expect_eq(kernel.granted, 1);
	cr_expect(let_clone(seed, PICO_CLONE_PROCESS_FLAGS, (uint32_t)(order >> 8) & 0xffff, PICO__FIRST_COOKIE));
	seed_asks(seed, 2);
	cr_expect_eq(kernel.id, 0, "nothing to do any more");
	end_child(seed);
}

/* HELLO must not fail because a signal came just then. */
Test(notified, interrupted_hello)
{
	int32_t seed = child(), first = child();

	begin_seed(seed);
	seed_asks(seed, 1);
	cr_assert(let_clone(seed, PICO_CLONE_PROCESS_FLAGS, 0, PICO__FIRST_COOKIE));
	kernel.gone = true;
	cr_expect_eq(ask(PICO_NR_HELLO, 0, 1, first, 0, PICO__FIRST_COOKIE, 0), -PICO_EINTR);
	kernel.gone = false;
	cr_expect_eq(ask(PICO_NR_HELLO, 0, 1, first, 0, PICO__FIRST_COOKIE, 0), PICO_INIT_FRESH);
	cr_expect_eq(ask(PICO_NR_HELLO, 0, 1, first, 0, PICO__FIRST_COOKIE, 0), PICO_INIT_FRESH);
	end_child(first);
	end_child(seed);
}

/* A code that is none counts as a crash; those who ask for it before the end
 * must not be told an error number of the guest's choice. */
Test(notified, exit_code_that_is_none)
{
	int32_t seed = child(), first = child(), second = child();
	int64_t handle;

	be_first(seed, first);
	handle = ask(PICO_NR(PICO_DC_ProcessClone), SLOT, 1, first, 0, 0, 0);
	cr_assert_gt(handle, 0);
	cr_assert(let_clone(first, PICO_CLONE_PROCESS_FLAGS, 7, (uint32_t)PICO_HANDLE_PAYLOAD(handle)));
	cr_assert_eq(hello(second, 7, 0, (uint32_t)PICO_HANDLE_PAYLOAD(handle)), 0);
	cr_expect_eq(ask(PICO_NR(PICO_DC_ProcessExit), 7, 100, second, (uint64_t)-PICO_EPERM, 0, 0), 0);
	cr_expect_eq(instance->result.cause, PICO_CAUSE_LIBOS_CRASHED);
	end_child(second);
	cr_expect_eq(ask(PICO_NR(PICO_DC_ProcessGetExitCode), SLOT, 2, first, (uint64_t)handle, 0, 0), PICO_EXIT_LIBOS_CRASH);
	end_child(first);
	end_child(seed);
}
