/* SPDX-License-Identifier: Apache-2.0
 *
 * Guests for the tests of the host's side: each does one thing the host
 * application must hear of, stop, limit or count.
 */
#include "bare.h"

static int64_t number(unsigned index)
{
	const char *text = bare_argument(index);
	int64_t value = 0;

	for (; text && *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (*text - '0');
	return value;
}

static _Noreturn void spin(void)
{
	for (volatile uint64_t n = 0;; n++)
		;
}

static _Noreturn void rest(void)
{
	static const uint32_t never;

	for (;;)
		Dk(AddressWait)(&never, 0, PICO_FOREVER);
}

BARE_TEST(host_exit) { Dk(ProcessExit)((int32_t)number(1)); }
BARE_TEST(host_spin) { spin(); }
BARE_TEST(host_rest) { rest(); }

/* The last thread leaves, and nobody called ProcessExit. */
BARE_TEST(host_vanish) { Dk(ThreadExit)(); }

/* Ends by the guest signal that the first host event stands for. */
BARE_TEST(host_events)
{
	static const uint32_t never;

	bare_print("ready");
	for (;;) {
		uint32_t events = __atomic_exchange_n(&bare_info->host->events, 0, __ATOMIC_SEQ_CST);

		if (events & PICO_HOST_TERMINATE)
			Dk(ProcessExit)(PICO_EXIT_SIGNAL(15));
		if (events)
			bare_print_number("events ", events);
		Dk(AddressWait)(&never, 0, bare_now() + 10000000000ull);
	}
}

/* host_clones COUNT s|r: children that spin or rest; says how many there are */
BARE_TEST(host_clones)
{
	const char *how = bare_argument(2);
	int64_t made = 0, h = 0;

	while (made < number(1) && (h = Dk(ProcessClone)(PICO_CLONE_NO_HANDLE)) > 0)
		made++;
	if (made < number(1) && h == 0) {
		if (how && *how == 's')
			spin();
		rest();
	}
	bare_print_number("clones ", made);
	bare_print_number("then ", h);
	rest();
}

static int64_t await(int64_t h)
{
	int64_t rc;

	do
		rc = Dk(ObjectsWaitAny)(1, &h, bare_now() + 10000000000ull);
	while (rc == -PICO_EINTR);
	return rc;
}

/* host_churn COUNT: clones that end at once, with and without handles */
BARE_TEST(host_churn)
{
	for (int64_t i = 0; i < number(1); i++) {
		int64_t h = Dk(ProcessClone)(0), code = 0;

		if (h == 0)
			Dk(ProcessExit)((int32_t)(i & 0x7f));
		if (h < 0)
			bare_print_number("ProcessClone: ", h);
		CHECK(h > 0);
		CHECK_EQ(await(h), 0);
		code = Dk(ProcessGetExitCode)(h);
		CHECK_EQ(code, i & 0x7f);
		CHECK_EQ(Dk(ObjectClose)(h), 0);
		if (Dk(ProcessClone)(PICO_CLONE_NO_HANDLE) == 0)
			Dk(ProcessExit)(0);
	}
	bare_print("churned");
}

static void thread_rest(void *arg)
{
	(void)arg;
	rest();
}

BARE_TEST(host_threads)
{
	int64_t made = 1, h = 0;

	while (made < number(1) && (h = bare_thread(thread_rest, NULL, NULL)) > 0)
		made++;
	bare_print_number("threads ", made);
	bare_print_number("then ", h);
	Dk(ProcessExit)(0);
}

static void thread_end(void *arg)
{
	(void)arg;
}

/* One after the other: many more than may be at a time. */
BARE_TEST(host_thread_churn)
{
	for (int64_t i = 0; i < number(1); i++) {
		uint32_t clear = 0;
		int64_t h;

		for (int tries = 0; (h = bare_thread(thread_end, NULL, &clear)) == -PICO_EAGAIN && tries < 1000; tries++)
			Dk(ThreadDelayExecution)(bare_now() + 1000000);
		CHECK(h > 0);
		while (__atomic_load_n(&clear, __ATOMIC_ACQUIRE))
			Dk(AddressWait)(&clear, 1, bare_now() + 1000000);
	}
	bare_print("churned");
}

/* host_memory MIB p|s: touches private memory or the segment */
BARE_TEST(host_memory)
{
	const char *how = bare_argument(2);
	uint8_t *at = bare_info->segment;

	for (int64_t i = 0; i < number(1); i++) {
		void *piece = NULL;
		int64_t rc = 0;

		if (how && *how == 's')
			piece = at + (i << 20);
		else
			rc = Dk(VirtualMemoryAllocate)(&piece, 1 << 20, PICO_VM_COMMIT, PICO_PROT_READ | PICO_PROT_WRITE, NULL, 0);
		if (rc < 0) {
			bare_print_number("refused after ", i);
			bare_print_number("with ", rc);
			Dk(ProcessExit)(3);
		}
		for (uint64_t page = 0; page < 1 << 20; page += PICO_PAGE_SIZE)
			((volatile uint8_t *)piece)[page] = 1;
	}
	bare_print("touched");
	rest();
}

/* host_memory_sum MIB CLONES: each within its own limit */
BARE_TEST(host_memory_sum)
{
	int64_t rc = 0;

	for (int64_t i = 0; i < number(2) && rc >= 0; i++) {
		rc = Dk(ProcessClone)(PICO_CLONE_NO_HANDLE);
		if (rc == 0)
			break;
	}
	for (int64_t i = 0; i < number(1); i++) {
		void *piece = NULL;

		if (Dk(VirtualMemoryAllocate)(&piece, 1 << 20, PICO_VM_COMMIT, PICO_PROT_READ | PICO_PROT_WRITE, NULL, 0) < 0)
			break;
		for (uint64_t page = 0; page < 1 << 20; page += PICO_PAGE_SIZE)
			((volatile uint8_t *)piece)[page] = 1;
	}
	rest();
}

BARE_TEST(host_says)
{
	bare_print("stat:ioctl:+2");
	bare_print("stat:ioctl:+3");
	bare_print("stat:mount:+1");
	bare_print("info: \033[31mred\302\233\n");
	bare_print("warning: careful");
	bare_print("error: no such program");
	Dk(ProcessExit)(127);
}

BARE_TEST(host_flood)
{
	for (int64_t i = 0; i < number(1); i++)
		bare_print_number("error: line ", i);
	Dk(ProcessExit)(0);
}

/* host_create COUNT: fresh picoprocesses; each ends with its parameter */
BARE_TEST(host_create)
{
	if (bare_info->reason == PICO_INIT_PROCESS)
		Dk(ProcessExit)((int32_t)bare_info->param);
	CHECK_EQ(bare_info->reason, PICO_INIT_FRESH);
	for (int64_t i = 0; i < number(1); i++) {
		int64_t h = Dk(ProcessCreate)((uint64_t)i & 0x7f);

		CHECK(h > 0);
		CHECK_EQ(await(h), 0);
		CHECK_EQ(Dk(ProcessGetExitCode)(h), i & 0x7f);
		CHECK_EQ(Dk(ObjectClose)(h), 0);
	}
	bare_print("created");
}

static int64_t open_stream(const char *uri, uint32_t access)
{
	uint64_t size = 0;

	while (uri[size])
		size++;
	return Dk(StreamOpen)(uri, size, access, 0, 0, NULL);
}

static void copy(int64_t from, int64_t to)
{
	static char buffer[1000];
	int64_t n;

	while ((n = Dk(StreamRead)(from, PICO_OFFSET_NONE, buffer, sizeof(buffer), NULL)) > 0)
		for (int64_t at = 0, done; at < n; at += done) {
			done = Dk(StreamWrite)(to, PICO_OFFSET_NONE, buffer + at, (uint64_t)(n - at), NULL);
			if (done <= 0)
				Dk(ProcessExit)(4);
		}
	CHECK_EQ(n, 0);
}

BARE_TEST(host_copy)
{
	int64_t from = open_stream("console:stdin", PICO_ACCESS_READ);
	int64_t to = open_stream("console:stdout", PICO_ACCESS_WRITE);

	CHECK(from > 0);
	CHECK(to > 0);
	copy(from, to);
}

/* Interrupts of the host while requests are on their way. */
BARE_TEST(host_requests)
{
	uint8_t byte[16];

	bare_print("ready");
	for (;;) {
		uint32_t events = __atomic_exchange_n(&bare_info->host->events, 0, __ATOMIC_SEQ_CST);
		int64_t h;

		if (events & PICO_HOST_TERMINATE)
			bare_finish();
		CHECK_EQ(Dk(RandomBitsRead)(byte, sizeof(byte)), 0);
		h = open_stream("console:stdin", PICO_ACCESS_READ);
		CHECK(h > 0);
		CHECK_EQ(Dk(ObjectClose)(h), 0);
	}
}

static int64_t bare_clone(uint64_t slot)
{
	register uint64_t r10 __asm__("r10") = 0;
	register uint64_t r8 __asm__("r8") = 0;
	register uint64_t r9 __asm__("r9") = slot;
	int64_t rc;

	__asm__ volatile("call *%[gate]"
			 : "=a"(rc)
			 : "0"(56l), "D"(0x8411l), "S"(0l), "d"(0l), "r"(r10), "r"(r8), "r"(r9), [gate] "b"(PICO_ABI_PAGE + 0x100e)
			 : "rcx", "r11", "memory");
	return rc;
}

/* host_hide COUNT: clones by the gate's bare instruction, whose children say
 * nothing to the monitor and spin. Slot 100 for all of them. */
BARE_TEST(host_hide)
{
	int64_t made = 0, rc = 0;

	for (int64_t i = 0; i < number(1); i++) {
		rc = bare_clone(100);
		if (rc == 0)
			spin();
		if (rc < 0)
			break;
		made++;
	}
	bare_print_number("hidden ", made);
	bare_print_number("then ", rc);
	rest();
}

/* host_hoard COUNT MIB: children that say nothing, each with a slot and memory
 * of its own. */
BARE_TEST(host_hoard)
{
	uint64_t size = (uint64_t)number(2) << 20;
	void *memory = NULL;

	CHECK_EQ(Dk(VirtualMemoryAllocate)(&memory, size, PICO_VM_COMMIT, PICO_PROT_READ | PICO_PROT_WRITE, NULL, 0), 0);
	for (int64_t i = 0; i < number(1); i++)
		if (bare_clone(100 + (uint64_t)i) == 0) {
			for (uint64_t page = 0; page < size; page += PICO_PAGE_SIZE)
				((volatile uint8_t *)memory)[page] = 1;
			spin();
		}
	rest();
}

/* host_swarm: as many silent children as there can be, for ever. */
BARE_TEST(host_swarm)
{
	for (uint64_t slot = 100;; slot++) {
		int64_t rc = bare_clone(slot);

		if (rc == 0)
			rest();
		if (rc < 0)
			slot--;
		if (slot == 8000)
			slot = 100;
	}
}

/* host_tables GIB: memory that is only read costs page tables. */
BARE_TEST(host_tables)
{
	for (int64_t i = 0; i < number(1); i++) {
		void *piece = NULL;

		CHECK_EQ(Dk(VirtualMemoryAllocate)(&piece, 1ull << 30, PICO_VM_COMMIT, PICO_PROT_READ, NULL, 0), 0);
		for (uint64_t at = 0; at < 1ull << 30; at += 2u << 20)
			(void)((volatile uint8_t *)piece)[at];
	}
	bare_print("read");
	rest();
}

/* host_unnamed MIB: gives the handle of the segment back and goes on using it. */
BARE_TEST(host_unnamed)
{
	volatile uint8_t *at = bare_info->segment;

	CHECK_EQ(Dk(ObjectClose)(bare_info->segment_handle), 0);
	for (uint64_t page = 0; page < (uint64_t)number(1) << 20; page += PICO_PAGE_SIZE)
		at[page] = 1;
	bare_print("touched");
	rest();
}

static void read_stdin(void *arg)
{
	static char byte[16];
	int64_t h = open_stream("console:stdin", PICO_ACCESS_READ);

	(void)arg;
	Dk(StreamRead)(h, 0, byte, 1, NULL);
}

/* host_dead_readers COUNT: picoprocesses that end while one of their threads
 * waits for a function of the host application. */
BARE_TEST(host_dead_readers)
{
	for (int64_t i = 0; i < number(1); i++) {
		int64_t h = Dk(ProcessClone)(0);

		if (h == 0) {
			bare_thread(read_stdin, NULL, NULL);
			Dk(ThreadDelayExecution)(bare_now() + 2000000);
			Dk(ProcessExit)(0);
		}
		while (Dk(ProcessGetExitCode)(h) == -PICO_EAGAIN)
			Dk(ThreadDelayExecution)(bare_now() + 500000);
		Dk(ObjectClose)(h);
	}
	bare_print("all dead");
	rest();
}
