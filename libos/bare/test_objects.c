/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, semaphores and waits: semantics, errors, hand-over without loss.
 */
#include "bare.h"

#define SECOND 1000000000ull

BARE_TEST(events)
{
	pico_handle n = Dk(NotificationEventCreate)(0), s = Dk(SynchronizationEventCreate)(1), both[2] = { n, s };

	CHECK(n > 0 && s > 0);
	CHECK_EQ(Dk(EventPeek)(n), 0);
	CHECK_EQ(Dk(EventPeek)(s), 1);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, both, 0), 1); /* takes the auto-reset event */
	CHECK_EQ(Dk(ObjectsWaitAny)(2, both, 0), -PICO_ETIMEDOUT);
	CHECK_EQ(Dk(EventSet)(n), 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, both, 0), 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, both, 0), 0); /* stays */
	CHECK_EQ(Dk(EventClear)(n), 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, both, bare_now() + 1000000), -PICO_ETIMEDOUT);
	/* errors */
	CHECK_EQ(Dk(NotificationEventCreate)(2), -PICO_EINVAL);
	CHECK_EQ(Dk(SynchronizationEventCreate)(9), -PICO_EINVAL);
	CHECK_EQ(Dk(EventSet)(12345), -PICO_EBADF);
	CHECK_EQ(Dk(EventClear)(-1), -PICO_EBADF);
	CHECK_EQ(Dk(EventPeek)(0), -PICO_EBADF);
	CHECK_EQ(Dk(ObjectsWaitAny)(0, both, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(ObjectsWaitAny)(100000, both, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, (const pico_handle *)16, 0), -PICO_EFAULT);
	both[0] = 77;
	CHECK_EQ(Dk(ObjectsWaitAny)(2, both, 0), -PICO_EBADF);
	/* references */
	CHECK_EQ(Dk(ObjectReference)(n), 0);
	CHECK_EQ(Dk(ObjectClose)(n), 0);
	CHECK_EQ(Dk(EventSet)(n), 0);
	CHECK_EQ(Dk(ObjectClose)(n), 0);
	CHECK_EQ(Dk(EventSet)(n), -PICO_EBADF);
	CHECK_EQ(Dk(ObjectClose)(n), -PICO_EBADF);
	CHECK_EQ(Dk(ObjectReference)(n), -PICO_EBADF);
}

BARE_TEST(semaphores)
{
	pico_handle s = Dk(SemaphoreCreate)(2, 3);

	CHECK(s > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &s, 0), 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &s, 0), 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &s, 0), -PICO_ETIMEDOUT);
	CHECK_EQ(Dk(SemaphoreRelease)(s, 3), 0);
	CHECK_EQ(Dk(SemaphoreRelease)(s, 1), -PICO_EOVERFLOW);
	CHECK_EQ(Dk(SemaphoreRelease)(s, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(EventSet)(s), -PICO_EBADF);
	CHECK_EQ(Dk(SemaphoreCreate)(2, 1), -PICO_EINVAL);
	CHECK_EQ(Dk(SemaphoreCreate)(0, 0), -PICO_EINVAL);
	pico_handle e = Dk(NotificationEventCreate)(0);
	CHECK_EQ(Dk(SemaphoreRelease)(e, 1), -PICO_EBADF);
}

BARE_TEST(objects_run_out)
{
	int64_t last = 0, count = 0;
	while ((last = Dk(NotificationEventCreate)(0)) > 0)
		count++;
	CHECK_EQ(last, -PICO_EMFILE);
	CHECK(count > 60000);
	CHECK_EQ(Dk(SemaphoreCreate)(0, 1), -PICO_EMFILE);
	CHECK_EQ(Dk(SynchronizationEventCreate)(0), -PICO_EMFILE);
}

/* 64 threads pass a token through one auto-reset event and count; none is lost. */
#define THREADS 63
#define ROUNDS 200
static pico_handle token, done;
static uint64_t counter;
static uint32_t finished;
static void worker(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t r;
		while ((r = Dk(ObjectsWaitAny)(1, &token, bare_now() + 20 * SECOND)) == -PICO_EINTR)
			;
		CHECK_EQ(r, 0);
		counter++;
		Dk(EventSet)(token);
	}
	if (__atomic_add_fetch(&finished, 1, __ATOMIC_ACQ_REL) == THREADS)
		Dk(EventSet)(done);
}

BARE_TEST(token_64_threads)
{
	token = Dk(SynchronizationEventCreate)(1);
	done = Dk(NotificationEventCreate)(0);
	for (int i = 0; i < THREADS; i++)
		CHECK(bare_thread(worker, NULL, NULL) > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(1, &done, bare_now() + 60 * SECOND), 0);
	CHECK_EQ(counter, THREADS * ROUNDS);
}

/* A wait for an event and a pipe at once is ended by either. */
static pico_handle pipe_read, pipe_write, event;
static void later(void *which)
{
	Dk(ThreadDelayExecution)(bare_now() + 20000000);
	if (which)
		CHECK_EQ(Dk(StreamWrite)(pipe_write, PICO_OFFSET_NONE, "x", 1, NULL), 1);
	else
		Dk(EventSet)(event);
}

BARE_TEST(mixed_wait)
{
	struct pico_stream_attributes a;
	pipe_read = Dk(StreamOpen)("pipe:", 5, PICO_ACCESS_READ, PICO_OPEN_PIPE, 0, &a);
	CHECK(pipe_read > 0);
	pipe_write = a.peer_handle;
	event = Dk(SynchronizationEventCreate)(0);
	pico_handle h[2] = { event, Dk(StreamGetEvent)(pipe_read, PICO_EVENT_READABLE) };
	CHECK(h[1] > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, h, 0), -PICO_ETIMEDOUT);
	CHECK_EQ(Dk(EventPeek)(h[1]), 0);
	CHECK(bare_thread(later, NULL, NULL) > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, h, bare_now() + 5 * SECOND), 0);
	CHECK(bare_thread(later, &event, NULL) > 0);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, h, bare_now() + 5 * SECOND), 1);
	CHECK_EQ(Dk(EventPeek)(h[1]), 1);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, h, bare_now() + 5 * SECOND), 1);
	char c;
	CHECK_EQ(Dk(StreamRead)(pipe_read, PICO_OFFSET_NONE, &c, 1, NULL), 1);
	CHECK_EQ(Dk(ObjectsWaitAny)(2, h, bare_now() + 10000000), -PICO_ETIMEDOUT);
	CHECK_EQ(Dk(StreamGetEvent)(pipe_read, 9), -PICO_EINVAL);
	CHECK_EQ(Dk(StreamGetEvent)(3, PICO_EVENT_READABLE), -PICO_EBADF);
	CHECK_EQ(Dk(ObjectClose)(pipe_write), 0);
	CHECK_EQ(Dk(StreamRead)(pipe_read, PICO_OFFSET_NONE, &c, 1, NULL), 0);
	CHECK_EQ(Dk(ObjectClose)(pipe_read), 0);
	CHECK_EQ(Dk(ObjectClose)(pipe_read), -PICO_EBADF);
}

BARE_TEST(address_wait)
{
	static uint32_t word = 5;
	CHECK_EQ(Dk(AddressWait)(&word, 6, PICO_FOREVER), -PICO_EAGAIN);
	CHECK_EQ(Dk(AddressWait)(&word, 5, bare_now() + 1000000), -PICO_ETIMEDOUT);
	CHECK_EQ(Dk(AddressWait)(&word, 5, 0), -PICO_ETIMEDOUT);
	CHECK_EQ(Dk(AddressWait)((uint32_t *)((char *)&word + 1), 5, 0), -PICO_EINVAL);
	CHECK_EQ(Dk(AddressWait)((uint32_t *)64, 5, 0), -PICO_EFAULT);
	CHECK_EQ(Dk(AddressWake)(&word, 1), 0);
	CHECK_EQ(Dk(AddressWake)((uint32_t *)((char *)&word + 1), 1), -PICO_EINVAL);
}
