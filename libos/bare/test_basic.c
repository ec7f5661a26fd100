/* SPDX-License-Identifier: Apache-2.0
 *
 * First signs of life.
 */
#include "bare.h"

BARE_TEST(hello)
{
	CHECK_EQ(PICO_ABI->magic, PICO_ABI_MAGIC);
	CHECK_EQ(PICO_ABI->version, PICO_ABI_VERSION);
	CHECK_EQ(PICO_ABI->count, PICO_DOWNCALL_COUNT);
	bare_print("hello");
}

static uint32_t woken;
static void child(void *arg)
{
	*(uint32_t *)arg = 42;
	Dk(AddressWake)(arg, 1);
}

BARE_TEST(thread)
{
	uint32_t clear = 0;
	pico_handle t = bare_thread(child, &woken, &clear);
	CHECK(t > 0);
	while (__atomic_load_n(&woken, __ATOMIC_ACQUIRE) != 42)
		Dk(AddressWait)(&woken, 0, PICO_FOREVER);
	while (__atomic_load_n(&clear, __ATOMIC_ACQUIRE))
		Dk(AddressWait)(&clear, 1, bare_now() + 1000000);
	CHECK_EQ(woken, 42);
}

/* Threads that make threads: each needs a place that no other is just making. */
static uint32_t done;
static void count_one(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

static void make_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 30; i++)
		CHECK(bare_thread(count_one, NULL, NULL) > 0);
	count_one(NULL);
}

BARE_TEST(threads_made_at_once)
{
	for (int i = 0; i < 6; i++)
		CHECK(bare_thread(make_many, NULL, NULL) > 0);
	while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < 6 * 31)
		Dk(ThreadDelayExecution)(bare_now() + 1000000);
}

BARE_TEST(clone)
{
	int64_t h = Dk(ProcessClone)(0);
	if (h == 0)
		Dk(ProcessExit)(7);
	CHECK(h > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &h, bare_now() + 5000000000ull), 0);
	CHECK_EQ(Dk(ProcessGetExitCode)(h), 7);
	CHECK_EQ(Dk(ObjectClose)(h), 0);
}

BARE_TEST(time_request)
{
	uint8_t byte;
	uint64_t start = bare_now();
	for (int i = 0; i < 10000; i++)
		Dk(RandomBitsRead)(&byte, 1);
	bare_print_number("ns a request: ", (int64_t)((bare_now() - start) / 10000));
}
