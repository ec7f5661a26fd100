/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to the monitor: registers carry the scalars, the thread's mailbox
 * slot the rest. The slot's sequence number makes a request that the kernel
 * issues twice (no WAIT_KILLABLE_RECV) run once. Where there are no
 * notifications the registers go through a socket, and the slot has the answer.
 */
#include <linux/futex.h>
#include "gate.h"

int64_t gate_request(unsigned nr, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5)
{
	const uint64_t arg[6] = { 0, r1, r2, r3, r4, r5 };

	return gate_ask(gate_self(), nr, arg);
}

/* Signals that come in between do what they do in any downcall: the handler
 * notes an interrupt, and nothing more. */
static int64_t ring(struct gate_block *b, uint64_t nr, const uint64_t arg[6])
{
	struct pico_slot *s = gate_slot(b->tb.slot);
	struct pico_bell m = { b->tb.slot, b->seq, nr, { arg[0], arg[1], arg[2], arg[3], arg[4], arg[5] } };
	struct { void *base; uint64_t size; } vec = { &m, sizeof(m) };
	uint32_t last;
	long ret;

	do
		ret = gate_call(__NR_pwritev2, PICO_BELL_FD, (uint64_t)&vec, 1, (uint64_t)-1, (uint64_t)-1, 0);
	while (ret == -PICO_EINTR);
	if (ret != sizeof(m))
		return -PICO_ENOSYS;
	while ((last = __atomic_load_n(&s->answered, __ATOMIC_ACQUIRE)) != m.seq)
		gate_call(__NR_futex, (uint64_t)&s->answered, FUTEX_WAIT_BITSET, last, 0, 0, FUTEX_BITSET_MATCH_ANY);
	return s->answer;
}

int64_t gate_ask(struct gate_block *b, uint64_t nr, const uint64_t arg[6])
{
	uint32_t seq = ++b->seq;
	int64_t ret;

	gate_slot(b->tb.slot)->seq = seq;
	if (__builtin_expect(pico_gate_params.bell, 0))
		ret = ring(b, nr, arg);
	else
		do
			ret = gate_call((long)nr, PICO_REQUEST_WORD(b->tb.slot, seq), arg[1], arg[2], arg[3], arg[4], arg[5]);
		while (ret == -PICO_EINTR); /* signal before the monitor took it, or reissue: same seq */
	if (__builtin_expect(ret == -PICO_ENOSYS, 0)) /* nobody listens any more: the host is gone */
		gate_exit_group(PICO_EXIT_LIBOS_CRASH & 0xff);
	return ret;
}

/* Whoever does not ask is found by the monitor's roll call, and ended. */
long gate_may_clone(struct gate_block *b, uint64_t flags, uint64_t tag)
{
	const uint64_t arg[6] = { flags, 0, 0, 0, 0, tag };

	return pico_gate_params.bell ? (long)gate_ask(b, __NR_clone, arg) : 0;
}

_Noreturn void gate_exit_group(int code)
{
	for (;;)
		gate_call(__NR_exit_group, (uint64_t)(unsigned)code, 0, 0, 0, 0, 0);
}

static int put_text(uint32_t offset, const char *text, uint64_t size, uint64_t limit)
{
	if (size > limit)
		return -PICO_ENAMETOOLONG;
	return pico_gate_copy((char *)gate_slot(gate_self()->tb.slot) + offset, text, size);
}
static int get_bytes(void *to, uint32_t offset, uint64_t size)
{
	return pico_gate_copy(to, (char *)gate_slot(gate_self()->tb.slot) + offset, size);
}

int64_t pico_gate_StreamOpen(const char *uri, uint64_t uri_size, uint32_t access, uint32_t flags, uint32_t mode,
			     struct pico_stream_attributes *attributes)
{
	int err = put_text(PICO_SLOT_DATA, uri, uri_size, PICO_URI_MAX);
	if (err)
		return err;
	int64_t h = gate_request(PICO_NR(PICO_DC_StreamOpen), uri_size, access, flags, mode, attributes != NULL);
	if (h > 0)
		gate_opened(h);
	if (h > 0 && (flags & PICO_OPEN_PIPE))
		gate_opened(((struct pico_stream_attributes *)((char *)gate_slot(gate_self()->tb.slot) + PICO_SLOT_ATTR))->peer_handle);
	if (h > 0 && attributes && get_bytes(attributes, PICO_SLOT_ATTR, sizeof(*attributes))) {
		pico_gate_ObjectClose(h);
		return -PICO_EFAULT;
	}
	return h;
}

int64_t pico_gate_StreamSetLength(pico_handle stream, uint64_t length, uint32_t mode, uint64_t offset)
{
	return gate_request(PICO_NR(PICO_DC_StreamSetLength), (uint64_t)stream, length, mode, offset, 0);
}

int64_t pico_gate_StreamFlush(pico_handle stream, uint32_t flags)
{
	return gate_request(PICO_NR(PICO_DC_StreamFlush), (uint64_t)stream, flags, 0, 0, 0);
}

int64_t pico_gate_StreamDelete(const char *uri, uint64_t uri_size, uint32_t flags)
{
	int err = put_text(PICO_SLOT_DATA, uri, uri_size, PICO_URI_MAX);
	return err ? err : gate_request(PICO_NR(PICO_DC_StreamDelete), uri_size, flags, 0, 0, 0);
}

int64_t pico_gate_StreamRename(const char *uri, uint64_t uri_size, const char *new_uri, uint64_t new_uri_size, uint32_t flags)
{
	int err = put_text(PICO_SLOT_DATA, uri, uri_size, PICO_URI_MAX);
	if (!err)
		err = put_text(PICO_SLOT_DATA2, new_uri, new_uri_size, PICO_URI_MAX);
	return err ? err : gate_request(PICO_NR(PICO_DC_StreamRename), uri_size, new_uri_size, flags, 0, 0);
}

int64_t pico_gate_StreamWaitForClient(pico_handle server)
{
	if (PICO_HANDLE_TYPE(server) != PICO_HT_STREAM)
		return -PICO_EBADF;
	for (;;) {
		int64_t h = gate_request(PICO_NR(PICO_DC_StreamWaitForClient), (uint64_t)server, 0, 0, 0, 0);
		if (h != -PICO_EAGAIN)
			return h > 0 ? gate_opened(h) : h;
		pico_handle event = PICO_HANDLE(PICO_HT_STREAM_EVENT, PICO_HANDLE_PAYLOAD(server) | (uint64_t)PICO_EVENT_READABLE << 48);
		int64_t r = pico_gate_ObjectsWaitAny(1, &event, PICO_FOREVER);
		if (r < 0)
			return r;
	}
}

int64_t pico_gate_StreamGetName(pico_handle stream, char *buffer, uint64_t size)
{
	int64_t n = gate_request(PICO_NR(PICO_DC_StreamGetName), (uint64_t)stream, 0, 0, 0, 0);
	if (n < 0)
		return n;
	if ((uint64_t)n > size)
		return -PICO_ENAMETOOLONG;
	int err = get_bytes(buffer, PICO_SLOT_DATA, (uint64_t)n);
	return err ? err : n;
}

int64_t pico_gate_StreamAttributesQuery(const char *uri, uint64_t uri_size, uint32_t flags,
					struct pico_stream_attributes *attributes, char *link, uint64_t link_size)
{
	int err = put_text(PICO_SLOT_DATA, uri, uri_size, PICO_URI_MAX);
	if (err)
		return err;
	int64_t n = gate_request(PICO_NR(PICO_DC_StreamAttributesQuery), uri_size, flags, 0, 0, 0);
	if (n < 0)
		return n;
	if (attributes && get_bytes(attributes, PICO_SLOT_ATTR, sizeof(*attributes)))
		return -PICO_EFAULT;
	uint64_t copy = (uint64_t)n < link_size ? (uint64_t)n : link_size;
	if (link && copy && get_bytes(link, PICO_SLOT_DATA2, copy))
		return -PICO_EFAULT;
	return n;
}

int64_t pico_gate_StreamAttributesQueryByHandle(pico_handle stream, struct pico_stream_attributes *attributes)
{
	int64_t n = gate_request(PICO_NR(PICO_DC_StreamAttributesQueryByHandle), (uint64_t)stream, 0, 0, 0, 0);
	if (n < 0)
		return n;
	return get_bytes(attributes, PICO_SLOT_ATTR, sizeof(*attributes));
}

int64_t pico_gate_StreamAttributesSet(pico_handle stream, const char *uri, uint64_t uri_size, const struct pico_stream_attributes *attributes)
{
	int err = 0;
	if (stream == PICO_HANDLE_NONE)
		err = put_text(PICO_SLOT_DATA, uri, uri_size, PICO_URI_MAX);
	else
		uri_size = 0;
	if (!err)
		err = put_text(PICO_SLOT_ATTR, (const char *)attributes, sizeof(*attributes), sizeof(*attributes));
	return err ? err : gate_request(PICO_NR(PICO_DC_StreamAttributesSet), (uint64_t)stream, uri_size, 0, 0, 0);
}

int64_t pico_gate_StreamEnumerateChildren(pico_handle directory, uint64_t cookie, void *buffer, uint64_t size)
{
	if (size > PICO_SLOT_BULK_SIZE)
		size = PICO_SLOT_BULK_SIZE;
	int64_t n = gate_request(PICO_NR(PICO_DC_StreamEnumerateChildren), (uint64_t)directory, cookie, size, 0, 0);
	if (n <= 0)
		return n;
	int err = get_bytes(buffer, PICO_SLOT_BULK, (uint64_t)n);
	return err ? err : n;
}

int64_t pico_gate_RandomBitsRead(void *buffer, uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		uint64_t n = size - at < PICO_SLOT_BULK_SIZE ? size - at : PICO_SLOT_BULK_SIZE;
		int64_t r = gate_request(PICO_NR(PICO_DC_RandomBitsRead), n, 0, 0, 0, 0);
		if (r < 0)
			return r;
		if (get_bytes((char *)buffer + at, PICO_SLOT_BULK, n))
			return -PICO_EFAULT;
		at += n;
	}
	return 0;
}

int64_t pico_gate_DebugStringPrint(const char *text, uint64_t size)
{
	int err = put_text(PICO_SLOT_DATA, text, size, PICO_URI_MAX);
	if (err == -PICO_ENAMETOOLONG)
		return -PICO_EINVAL;
	return err ? err : gate_request(PICO_NR(PICO_DC_DebugStringPrint), size, 0, 0, 0, 0);
}

int64_t pico_gate_ThreadInterrupt(pico_handle thread)
{
	return gate_request(PICO_NR(PICO_DC_ThreadInterrupt), (uint64_t)thread, 0, 0, 0, 0);
}

int64_t pico_gate_ProcessGetExitCode(pico_handle process)
{
	return gate_request(PICO_NR(PICO_DC_ProcessGetExitCode), (uint64_t)process, 0, 0, 0, 0);
}

int64_t pico_gate_ProcessCheckpoint(uint32_t flags)
{
	int64_t h = gate_request(PICO_NR(PICO_DC_ProcessCheckpoint), flags, 0, 0, 0, 0);
	return h > 0 ? gate_opened(h) : h;
}

/* Data of streams that have no descriptor: app: names and callback stdio. */
static int64_t monitor_transfer(unsigned nr, pico_handle stream, uint64_t offset, void *buffer, uint64_t size)
{
	if (size > PICO_SLOT_BULK_SIZE)
		size = PICO_SLOT_BULK_SIZE;
	if (nr == PICO_NR_STREAM_WRITE && put_text(PICO_SLOT_BULK, buffer, size, PICO_SLOT_BULK_SIZE))
		return -PICO_EFAULT;
	int64_t n = gate_request(nr, (uint64_t)stream, offset, size, 0, 0);
	if (nr == PICO_NR_STREAM_READ && n > 0 && get_bytes(buffer, PICO_SLOT_BULK, (uint64_t)n))
		return -PICO_EFAULT;
	return n;
}

/* Peers are for datagram streams, which no policy grants in this version. */
static int64_t transfer(long nr, unsigned request, pico_handle stream, uint64_t offset, void *buffer, uint64_t size)
{
	if (PICO_HANDLE_TYPE(stream) == PICO_HT_MONITOR && stream > 0)
		return monitor_transfer(request, stream, offset, buffer, size);
	if (PICO_HANDLE_TYPE(stream) != PICO_HT_STREAM || stream < PICO_FIRST_FD)
		return -PICO_EBADF;
	if (offset != PICO_OFFSET_NONE && (int64_t)offset < 0)
		return -PICO_EINVAL;
	struct { void *base; uint64_t size; } vec = { buffer, size };
	return gate_wait(nr, (uint64_t)stream, (uint64_t)&vec, 1, offset, 0, 0);
}

int64_t pico_gate_StreamRead(pico_handle stream, uint64_t offset, void *buffer, uint64_t size, struct pico_peer *peer)
{
	if (peer)
		return -PICO_ENOTSUP;
	return transfer(__NR_preadv2, PICO_NR_STREAM_READ, stream, offset, buffer, size);
}

int64_t pico_gate_StreamWrite(pico_handle stream, uint64_t offset, const void *buffer, uint64_t size, const struct pico_peer *peer)
{
	if (peer)
		return -PICO_ENOTSUP;
	return transfer(__NR_pwritev2, PICO_NR_STREAM_WRITE, stream, offset, (void *)(uintptr_t)buffer, size);
}

int64_t pico_gate_StreamGetEvent(pico_handle stream, uint32_t kind)
{
	if (kind < PICO_EVENT_READABLE || kind > PICO_EVENT_HANGUP)
		return -PICO_EINVAL;
	if (PICO_HANDLE_TYPE(stream) == PICO_HT_MONITOR && stream > 0)
		return -PICO_ENOTSUP;
	if (PICO_HANDLE_TYPE(stream) != PICO_HT_STREAM || stream < PICO_FIRST_FD)
		return -PICO_EBADF;
	return PICO_HANDLE(PICO_HT_STREAM_EVENT, (uint64_t)stream | (uint64_t)kind << 48);
}
