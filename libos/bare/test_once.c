/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests under a storm of interrupts: whatever the kernel does with a
 * request that a signal comes into, it is carried out once, and its answer is
 * the one of that time. Every call here fails when it is made a second time.
 */
#include "bare.h"

#define SECOND 1000000000ull
#define ROUNDS 600

static struct pico_thread_block *block(void)
{
	struct pico_thread_block *tb;

	__asm__("mov %%gs:0, %0" : "=r"(tb));
	return tb;
}

static void calm(void)
{
	__atomic_store_n(&block()->pending, 0, __ATOMIC_RELEASE);
}

static uint64_t length(const char *text)
{
	uint64_t n = 0;

	while (text[n])
		n++;
	return n;
}

static int64_t open(const char *uri, uint32_t flags, struct pico_stream_attributes *a)
{
	int64_t h = Dk(StreamOpen)(uri, length(uri), PICO_ACCESS_READ | PICO_ACCESS_WRITE, flags, 0600, a);

	CHECK_EQ(h < 0 ? h : 0, 0);
	return h;
}

static void close(pico_handle h)
{
	CHECK_EQ(Dk(ObjectClose)(h), 0);
}

static void memory_once(void)
{
	int64_t h = open("memory:once", PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, NULL);

	CHECK_EQ(Dk(StreamDelete)("memory:once", 11, 0), 0);
	close(h);
}

static void file_once(void)
{
	static const char from[] = "file:/rw/once", to[] = "file:/rw/twice";
	int64_t h = open(from, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, NULL);

	close(h);
	CHECK_EQ(Dk(StreamRename)(from, sizeof(from) - 1, to, sizeof(to) - 1, PICO_RENAME_NOREPLACE), 0);
	CHECK_EQ(Dk(StreamDelete)(to, sizeof(to) - 1, 0), 0);
}

static void pipe_once(void)
{
	struct pico_stream_attributes a;
	int64_t h = open("pipe:", PICO_OPEN_PIPE, &a);

	CHECK(a.peer_handle > 0 && a.peer_handle != h);
	close(h);
	close(a.peer_handle);
}

static void client_once(void)
{
	int64_t server = open("pipe:once", PICO_OPEN_SERVER, NULL), client = open("pipe:once", 0, NULL), accepted;

	do {
		calm();
		accepted = Dk(StreamWaitForClient)(server);
	} while (accepted == -PICO_EINTR);
	CHECK_EQ(accepted < 0 ? accepted : 0, 0);
	close(accepted);
	close(client);
	close(server);
}

static void clone_once(void)
{
	int64_t child = Dk(ProcessClone)(0), r;

	if (child == 0)
		Dk(ProcessExit)(7);
	CHECK(child > 0);
	do {
		calm();
		r = Dk(ObjectsWaitAny)(1, &child, bare_now() + 10 * SECOND);
	} while (r == -PICO_EINTR);
	CHECK_EQ(r, 0);
	CHECK_EQ(Dk(ProcessGetExitCode)(child), 7);
	close(child);
}

static uint32_t started;
static void short_thread(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&started, 1, __ATOMIC_ACQ_REL);
}

static void thread_once(void)
{
	uint32_t before = __atomic_load_n(&started, __ATOMIC_ACQUIRE), alive = 0;

	CHECK(bare_thread(short_thread, NULL, &alive) > 0);
	while (__atomic_load_n(&alive, __ATOMIC_ACQUIRE)) {
		calm();
		Dk(AddressWait)(&alive, 1, bare_now() + SECOND);
	}
	CHECK_EQ(started, before + 1);
}

/* The host counts the bytes: it served them on a thread that may sleep. */
static void write_once(pico_handle out)
{
	int64_t n;

	do {
		calm();
		n = Dk(StreamWrite)(out, PICO_OFFSET_NONE, "x", 1, NULL);
	} while (n == -PICO_EINTR);
	CHECK_EQ(n, 1);
}

static uint32_t ready, done;
static void victim(void *arg)
{
	int64_t out = Dk(StreamOpen)("console:stdout", 14, PICO_ACCESS_WRITE, 0, 0, NULL);

	(void)arg;
	CHECK(out > 0);
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < ROUNDS; i++) {
		memory_once();
		file_once();
		pipe_once();
		client_once();
		write_once(out);
		if (i % 10 == 0)
			clone_once();
		if (i % 4 == 0)
			thread_once();
	}
	calm();
	close(out);
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (;;) { /* it is interrupted until the end */
		calm();
		Dk(ThreadDelayExecution)(bare_now() + SECOND);
	}
}

BARE_TEST(interrupt_requests)
{
	pico_handle t = bare_thread(victim, NULL, NULL);
	uint64_t limit = bare_now() + 60 * SECOND;
	uint32_t sent = 0;

	CHECK(t > 0);
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		Dk(ThreadYieldExecution)();
	for (; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); sent++) {
		if (bare_now() > limit) {
			CHECK(!"the thread does not come to its end");
			return;
		}
		CHECK_EQ(Dk(ThreadInterrupt)(t), 0);
		if (sent % 4 == 0)
			Dk(ThreadYieldExecution)();
		for (volatile uint32_t i = 0; i < (sent % 64) * 100; i++)
			;
	}
	CHECK(sent > ROUNDS);
	bare_print_number("interrupts sent: ", sent);
}
