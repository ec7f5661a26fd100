/* SPDX-License-Identifier: Apache-2.0
 *
 * Guests that park when the host asks: the protocol of ProcessCheckpoint with
 * nothing around it. What the last thread says is true: a count that it takes
 * does not change until it goes on.
 */
#include "bare.h"

static struct {
	uint32_t threads, here, generation, ready, parks;
	uint64_t work; /* by those that are not parked */
	uint32_t stubborn;
} park;

static uint32_t threads_wanted(void)
{
	const char *text = bare_argument(1);
	uint32_t n = 0;

	while (text && *text >= '0' && *text <= '9')
		n = n * 10 + (uint32_t)(*text++ - '0');
	return n ? n : 1;
}

static void clear_pending(void)
{
	struct pico_thread_block *tb;

	__asm__("mov %%gs:0, %0" : "=r"(tb));
	tb->pending = 0;
}

static void last_one(void)
{
	const uint64_t before = __atomic_load_n(&park.work, __ATOMIC_SEQ_CST);
	const int64_t rc = Dk(ProcessCheckpoint)(0);

	if (rc == 0) {
		CHECK_EQ(__atomic_load_n(&park.work, __ATOMIC_SEQ_CST), before);
		park.parks++;
	} else {
		CHECK_EQ(rc, -PICO_EAGAIN);
	}
	__atomic_store_n(&park.here, 0, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&park.generation, 1, __ATOMIC_SEQ_CST);
	Dk(AddressWake)(&park.generation, UINT32_MAX);
}

static void park_here(void)
{
	const uint32_t generation = __atomic_load_n(&park.generation, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&park.here, 1, __ATOMIC_SEQ_CST) == park.threads) {
		last_one();
		return;
	}
	while (__atomic_load_n(&park.generation, __ATOMIC_SEQ_CST) == generation) {
		if (!bare_info->host->park && park.stubborn) { /* given up */
			__atomic_sub_fetch(&park.here, 1, __ATOMIC_SEQ_CST);
			return;
		}
		if (Dk(AddressWait)(&park.generation, generation, PICO_FOREVER) == -PICO_EINTR)
			clear_pending();
	}
}

static void look(void)
{
	clear_pending();
	while (bare_info->host->park) /* an interrupt met in there may be for the next one */
		park_here();
}

/* Every other one sleeps, the rest run. */
static void work(void *arg)
{
	static const uint32_t never;
	const bool sleeps = (uint64_t)arg & 1;

	__atomic_fetch_add(&park.ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		look();
		if (sleeps)
			Dk(AddressWait)(&never, 0, PICO_FOREVER);
		else
			for (int i = 0; i < 1000; i++)
				__atomic_fetch_add(&park.work, 1, __ATOMIC_RELAXED);
	}
}

static void do_not_look(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&park.ready, 1, __ATOMIC_SEQ_CST);
	for (volatile uint64_t n = 0;; n++)
		;
}

/* The first thread parks as the others do, until the host says TERMINATE. */
static void serve(void)
{
	static const uint32_t never;

	while (__atomic_load_n(&park.ready, __ATOMIC_SEQ_CST) < park.threads - 1)
		Dk(ThreadYieldExecution)();
	bare_print("ready");
	for (;;) {
		look(); /* first: it forgets the interrupt that the events came with */
		if (__atomic_exchange_n(&bare_info->host->events, 0, __ATOMIC_SEQ_CST) & PICO_HOST_TERMINATE)
			break;
		Dk(AddressWait)(&never, 0, PICO_FOREVER);
	}
	bare_print_number("parks ", park.parks);
}

/* host_park THREADS */
BARE_TEST(host_park)
{
	CHECK_EQ(Dk(ProcessCheckpoint)(0), -PICO_EAGAIN);
	CHECK_EQ(Dk(ProcessCheckpoint)(PICO_CHECKPOINT_WRITTEN), -PICO_EAGAIN);
	CHECK_EQ(Dk(ProcessCheckpoint)(PICO_CHECKPOINT_REQUEST), -PICO_ENOTSUP);
	CHECK_EQ(Dk(ProcessCheckpoint)(PICO_CHECKPOINT_REQUEST + 1), -PICO_EINVAL);
	park.threads = threads_wanted();
	for (uint64_t i = 1; i < park.threads; i++)
		CHECK(bare_thread(work, (void *)i, NULL) > 0);
	serve();
}

/* host_park_not THREADS: one of them never does */
BARE_TEST(host_park_not)
{
	park.threads = threads_wanted();
	park.stubborn = 1;
	CHECK(bare_thread(do_not_look, NULL, NULL) > 0);
	for (uint64_t i = 2; i < park.threads; i++)
		CHECK(bare_thread(work, (void *)i, NULL) > 0);
	serve();
}

/* Parked without a thread that could say so: the last one ends instead. */
BARE_TEST(host_park_end)
{
	bare_print("ready");
	while (!bare_info->host->park) {
		static const uint32_t never;

		Dk(AddressWait)(&never, 0, PICO_FOREVER);
		clear_pending();
	}
	Dk(ProcessExit)(5);
}
