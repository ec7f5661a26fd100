/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests as a hostile guest could make them, on an instance without any
 * picoprocess: sizes, handles, numbers, text of the log.
 */
#include <fcntl.h>

#include "api/api.h"
#include "api_host.h"

#define SLOT 5u

static struct pico *detached(struct pico_options *o)
{
	struct pico_error e;
	struct pico *p = NULL;

	o->program = "/x";
	cr_assert_eq(pico__create_detached(o, &p, &e), 0, "%s", e.message);
	return p;
}

static struct pico *plain(void)
{
	struct pico_options o;

	pico_options_init(&o);
	return detached(&o);
}

static int64_t ask(struct pico *p, uint32_t nr, uint64_t r1, uint64_t r2, uint64_t r3)
{
	const uint64_t r[6] = { 0, r1, r2, r3 };

	return pico__request_serve(p, nr, r, SLOT);
}

static void put(struct pico *p, const char *text)
{
	memcpy((char *)pico__mailbox_slot(p, SLOT) + PICO_SLOT_DATA, text, strlen(text));
}

static int64_t print(struct pico *p, const char *text)
{
	put(p, text);
	return ask(p, PICO_NR(PICO_DC_DebugStringPrint), strlen(text), 0, 0);
}

Test(api_request, unknown_numbers)
{
	struct pico *p = plain();
	const uint64_t r[6] = { 0 };

	cr_assert_eq(ask(p, 0, 0, 0, 0), -PICO_EPERM);
	cr_assert_eq(ask(p, PICO_NR_BASE + 45, 0, 0, 0), -PICO_EPERM);
	cr_assert_eq(ask(p, PICO_NR_SEED_WAIT, 0, 0, 0), -PICO_EPERM);
	cr_assert_eq(ask(p, PICO_NR_PRIVATE_END, 0, 0, 0), -PICO_EPERM);
	cr_assert_eq(ask(p, UINT32_MAX, 0, 0, 0), -PICO_EPERM);
	cr_assert_eq(pico__request_serve(p, PICO_NR(PICO_DC_StreamFlush), r, PICO_SLOT_COUNT), -PICO_EINVAL);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ThreadExit), 0, 0, 0), -PICO_ENOSYS);
	pico_destroy(p);
}

Test(api_request, sizes)
{
	struct pico *p = plain();

	cr_assert_eq(ask(p, PICO_NR(PICO_DC_StreamOpen), PICO_URI_MAX + 1, 1, 0), -PICO_ENAMETOOLONG);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_StreamOpen), UINT64_MAX, 1, 0), -PICO_ENAMETOOLONG);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_StreamRename), 1, UINT64_MAX, 0), -PICO_ENAMETOOLONG);
	cr_assert_eq(ask(p, PICO_NR_STREAM_WRITE, 1, 0, PICO_SLOT_BULK_SIZE + 1), -PICO_EINVAL);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_RandomBitsRead), PICO_SLOT_BULK_SIZE + 1, 0, 0), -PICO_EFAULT);
	cr_assert_lt(ask(p, PICO_NR(PICO_DC_StreamEnumerateChildren), 17, 0, UINT64_MAX), 0);
	pico_destroy(p);
}

Test(api_request, random_bits)
{
	struct pico *p = plain();
	const char *bulk = (const char *)pico__mailbox_slot(p, SLOT) + PICO_SLOT_BULK;
	char zero[64] = { 0 };

	cr_assert_eq(ask(p, PICO_NR(PICO_DC_RandomBitsRead), sizeof(zero), 0, 0), 0);
	cr_assert_neq(memcmp(bulk, zero, sizeof(zero)), 0);
	cr_assert_eq(memcmp(bulk + sizeof(zero), zero, sizeof(zero)), 0, "not a byte more");
	pico_destroy(p);
}

Test(api_request, handles)
{
	static const uint64_t odd[] = { 0, 1, 15, 16, 17, 1ull << 40, 1ull << 56, 2ull << 56, 4ull << 56, 5ull << 56,
					(5ull << 56) | 16, (5ull << 56) | 17, INT64_MAX, UINT64_MAX, 1ull << 63 };
	static const enum pico_downcall calls[] = { PICO_DC_ThreadInterrupt, PICO_DC_ProcessGetExitCode, PICO_DC_StreamSetLength,
						    PICO_DC_StreamFlush, PICO_DC_StreamGetName, PICO_DC_StreamAttributesQueryByHandle };
	struct pico *p = plain();

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		for (size_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++)
			if (odd[i] != 16) /* the segment */
				cr_expect_lt(ask(p, PICO_NR(calls[j]), odd[i], 0, 0), 0, "%s(0x%llx)",
					     pico_downcall_name(calls[j]), (unsigned long long)odd[i]);
	pico_destroy(p);
}

Test(api_request, processes_without_a_caller)
{
	struct pico *p = plain();
	int64_t h;

	cr_assert_eq(ask(p, PICO_NR_HELLO, 0, 1, 0), -PICO_EINVAL);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ProcessExit), 0, 0, 0), -PICO_EPERM);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ProcessCheckpoint), 0, 0, 0), -PICO_EAGAIN);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ProcessCheckpoint), 1, 0, 0), -PICO_EINVAL);
	h = ask(p, PICO_NR(PICO_DC_ProcessClone), 0, 0, 0);
	cr_assert_eq(PICO_HANDLE_TYPE(h), PICO_HT_PROCESS);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ProcessGetExitCode), (uint64_t)h, 0, 0), -PICO_EAGAIN);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ObjectClose), (uint64_t)h, 0, 0), 0);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ObjectClose), (uint64_t)h, 0, 0), -PICO_EBADF);
	cr_assert_eq(p->process_count, 0);
	pico_destroy(p);
}

Test(api_request, process_limit)
{
	struct pico_options o;
	struct pico *p;

	pico_options_init(&o);
	o.limits.processes = 3;
	p = detached(&o);
	for (int i = 0; i < 3; i++)
		cr_assert_gt(ask(p, PICO_NR(PICO_DC_ProcessCreate), 7, 0, 0), 0);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ProcessCreate), 7, 0, 0), -PICO_EAGAIN);
	cr_assert_eq(ask(p, PICO_NR(PICO_DC_ProcessClone), 0, 0, 0), -PICO_EAGAIN);
	cr_assert_eq(p->process_count, 3);
	pico_destroy(p);
}

Test(api_request, wake_fd_is_one_a_slot)
{
	struct pico *p = plain();
	int64_t number = ask(p, PICO_NR_WAKE_FD, 0, 0, 0);

	cr_assert_geq(number, PICO_FIRST_FD);
	cr_assert_eq(ask(p, PICO_NR_WAKE_FD, 0, 0, 0), number);
	pico_destroy(p);
}

Test(api_request, crash_is_recorded_once)
{
	struct pico *p = plain();

	cr_assert_eq(ask(p, PICO_NR_CRASHED, 11, 0x1234, 0x5678), 0);
	cr_assert_eq(ask(p, PICO_NR_CRASHED, 4, 0, 0), 0);
	cr_assert_eq(p->result.kind, PICO_DIED);
	cr_assert_eq(p->result.cause, PICO_CAUSE_LIBOS_CRASHED);
	cr_assert_str_eq(p->result.message, "signal 11 at rip 0x1234, address 0x5678");
	cr_assert_eq(pico_start(p), -PICO_ESTATE);
	pico_destroy(p);
}

Test(api_request, counters)
{
	struct pico *p = plain();
	struct pico_stats s = { .size = sizeof(s) };
	char line[64];

	cr_assert_eq(print(p, "stat:ioctl:+2"), 0);
	cr_assert_eq(print(p, "stat:ioctl:+40\n"), 0);
	cr_assert_eq(print(p, "stat:ioctl:2"), -PICO_EINVAL);
	cr_assert_eq(print(p, "stat:ioctl:+x"), -PICO_EINVAL);
	cr_assert_eq(print(p, "stat:ioctl:+99999999999999999999"), -PICO_EINVAL);
	cr_assert_eq(print(p, "stat::+1"), -PICO_EINVAL);
	cr_assert_eq(print(p, "stat:a b:+1"), -PICO_EINVAL);
	cr_assert_eq(print(p, "stat:"), -PICO_EINVAL);
	cr_assert_eq(print(p, "stat:x23456789012345678901234567890123456789012345678:+1"), -PICO_EINVAL);
	cr_assert_eq(pico_stats(p, &s), 0);
	cr_assert_str_eq(s.text, "ioctl 42\n");
	cr_assert_eq(s.downcalls[PICO_DC_DebugStringPrint], 9);
	for (int i = 0; i < 300; i++) {
		snprintf(line, sizeof(line), "stat:name%d:+1", i);
		print(p, line);
	}
	cr_assert_eq(pico_stats(p, &s), 0);
	cr_assert_lt(strlen(s.text), sizeof(s.text));
	s.size = 8;
	cr_assert_eq(pico_stats(p, &s), -PICO_EVERSION);
	pico_destroy(p);
}

Test(api_request, log_text)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico *p;

	pico_options_init(&o);
	o.flags = PICO_FLAG_DISPATCH;
	o.log = keep_log;
	o.log_user = &log;
	o.log_level = PICO_LOG_INFO;
	p = detached(&o);
	cr_assert_eq(print(p, "error: \033[2J \302\233 \233 \303\251 \r\n"), 0);
	cr_assert_eq(print(p, "info: fine"), 0);
	cr_assert_eq(print(p, "chatter"), 0);
	cr_assert_eq(log.lines, 0, "only in pico_dispatch");
	cr_assert_eq(pico_dispatch(p), 0);
	cr_assert_str_eq(log.text, "1 error: \\x1b[2J \\xc2\\x9b \\x9b \303\251 \n3 info: fine\n");
	cr_assert_str_eq(p->said, "\\x1b[2J \\xc2\\x9b \\x9b \303\251 ");
	pico_destroy(p);
}

Test(api_request, log_rate)
{
	struct kept_log log = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pico_options o;
	struct pico *p;

	pico_options_init(&o);
	o.flags = PICO_FLAG_DISPATCH;
	o.log = keep_log;
	o.log_user = &log;
	p = detached(&o);
	for (int i = 0; i < 10000; i++)
		cr_assert_eq(print(p, "error: again"), 0);
	pico_dispatch(p);
	cr_assert_gt(log.lines, 100);
	cr_assert_lt(log.lines, 4000);
	nap_ms(20);
	print(p, "error: last");
	pico_dispatch(p);
	cr_assert_not_null(strstr(log.text, "lines left out"));
	pico_destroy(p);
}

/* Every request with every register odd: no fault, no leak of descriptors. */
Test(api_request, sweep, .timeout = 60)
{
	static const uint64_t odd[] = { 0, 1, 16, 17, 64, 4352, 7168, 65536, 1ull << 32, 1ull << 56, 5ull << 56, INT64_MAX, UINT64_MAX };
	enum { COUNT = sizeof(odd) / sizeof(odd[0]) };
	struct pico *p = plain();
	int before = dup(0), after;

	close(before);
	memset((char *)pico__mailbox_slot(p, SLOT) + PICO_SLOT_DATA, 'x', PICO_SLOT_SIZE - PICO_SLOT_DATA);
	put(p, "file:/");
	for (uint32_t nr = PICO_NR_BASE; nr < PICO_NR_PRIVATE_END; nr++)
		for (unsigned i = 0; i < COUNT; i++)
			for (unsigned j = 0; j < COUNT; j++)
				for (unsigned k = 0; k < COUNT; k++)
					ask(p, nr, odd[i], odd[j], odd[k]);
	pico_destroy(p);
	p = plain();
	pico_destroy(p);
	after = dup(0);
	close(after);
	cr_assert_leq(after, before);
}
