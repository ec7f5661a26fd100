/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests as a hostile guest makes them: mostly of the right shape, so that
 * they come far, and wrong in one place or another. Writes the mailbox through
 * the guest's own mapping. Knows the wire format, and nothing of the monitor.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

/* ---- numbers ---- */

uint64_t make_number(struct source *s)
{
	static const uint64_t edges[] = { 0, 1, 2, 15, 16, 17, 63, 64, 255, 256, 4095, 4096, 4352, 4353, 7168, 7169, 16384, 65535,
		65536, PICO_SLOT_COUNT - 1, PICO_SLOT_COUNT, PICO_NUMBER_MAX - 1, PICO_NUMBER_MAX, INT32_MAX, 1ull << 31, UINT32_MAX,
		1ull << 32, 1ull << 40, 1ull << 56, 2ull << 56, 3ull << 56, 4ull << 56, 5ull << 56, INT64_MAX, 1ull << 63, UINT64_MAX,
		PICO_GUEST_BASE, PICO_GUEST_END, PICO_ABI_PAGE, PICO_MAILBOX_BASE, PICO_SEGMENT_BASE };

	switch (source_below(s, 4)) {
	case 0:
		return source_below(s, 256);
	case 1:
		return source_take(s, 8);
	default:
		return SOURCE_PICK(s, edges);
	}
}

static uint64_t one_of(struct source *s, uint32_t bits, uint32_t percent)
{
	uint64_t value = 0;

	for (uint32_t bit = 1; bit && bit <= bits; bit <<= 1)
		if ((bits & bit) && source_chance(s, percent))
			value |= bit;
	return source_chance(s, 3) ? make_number(s) : value;
}

static uint64_t size_or_offset(struct source *s)
{
	switch (source_below(s, 8)) {
	case 0:
		return make_number(s);
	case 1:
		return PICO_OFFSET_NONE;
	case 2:
		return source_below(s, 1u << 20);
	default:
		return source_below(s, 8192);
	}
}

uint32_t make_slot(struct source *s)
{
	static const uint32_t odd[] = { PICO_SLOT_COUNT - 1, PICO_SLOT_COUNT, PICO_SLOT_COUNT - 2, UINT32_MAX, 1u << 31 };

	switch (source_below(s, 8)) {
	case 0:
		return SOURCE_PICK(s, odd);
	case 1:
		return FIRST_SLOT + 2 * source_below(s, ASKING_SLOTS);
	default:
		return source_below(s, 12);
	}
}

/* ---- handles ---- */

static uint64_t handle(struct source *s, const struct knowledge *k)
{
	uint64_t h;

	if (k->handle_count && source_chance(s, 80)) {
		h = (uint64_t)k->handle[source_below(s, k->handle_count)];
		return source_chance(s, 92) ? h : h ^ 1ull << source_below(s, 64);
	}
	if (source_chance(s, 70))
		return PICO_HANDLE(source_below(s, 7), source_below(s, 80));
	return make_number(s);
}

static uint64_t thread_handle(struct source *s, const struct knowledge *k)
{
	uint32_t slot = make_slot(s) % PICO_SLOT_COUNT, generation;

	if (source_chance(s, 20))
		return handle(s, k);
	memcpy(&generation, k->mailbox + PICO_MAILBOX_SLOTS + (uint64_t)slot * PICO_SLOT_SIZE + offsetof(struct pico_slot, generation), 4);
	return (uint64_t)PICO_HANDLE(PICO_HT_THREAD, slot | (uint64_t)(generation & 0xffffff) << 24);
}

static uint64_t callback_handle(struct source *s, const struct knowledge *k)
{
	if (!k->callback_count || source_chance(s, 10))
		return handle(s, k);
	return (uint64_t)k->callback[source_below(s, k->callback_count < 8 ? k->callback_count : 8)];
}

static uint64_t handle_or_none(struct source *s, const struct knowledge *k)
{
	return source_chance(s, 60) ? (uint64_t)PICO_HANDLE_NONE : handle(s, k);
}

/* ---- texts ---- */

#define TEXT_ROOM (PICO_URI_MAX + 512)
struct text { char at[TEXT_ROOM]; size_t size; };

static void put(struct text *t, const char *more)
{
	size_t size = strlen(more);

	if (t->size + size > PICO_URI_MAX + 8)
		size = t->size > PICO_URI_MAX + 8 ? 0 : PICO_URI_MAX + 8 - t->size;
	memcpy(t->at + t->size, more, size);
	t->size += size;
}

static void put_component(struct source *s, struct text *t)
{
	static const char *const names[] = { "a", "b", "c", "d", "l", "abs", "up", "loop", "near", "sub", "file", "fifo", "socket",
		"passwd", "outside", "dir", "dir0", "dir1", "inner", "deep", "f0", "f1", "f2", "f3", "x", "y", "z w", "\xff\xfe",
		"new\n", "...", ".x", ".", "..", "", "~", "%s%n" };
	char filler[260];

	put(t, "/");
	if (source_chance(s, 98)) {
		put(t, SOURCE_PICK(s, names));
		return;
	}
	memset(filler, 'n', sizeof(filler));
	filler[254 + source_below(s, 4)] = 0;
	put(t, filler);
}

static void put_path(struct source *s, struct text *t)
{
	static const char *const mounts[] = { "", "", "", "", "/rw2", "/ro", "/ro", "/one", "/deep/er", "/ro/inner", "/proc/self/fd", "/nowhere" };
	uint32_t count = source_below(s, 4);

	put(t, SOURCE_PICK(s, mounts));
	if (source_chance(s, 1))
		count = source_chance(s, 50) ? 40 : 2200;
	for (uint32_t i = 0; i < count; i++)
		put_component(s, t);
	if (!t->size)
		put(t, "/");
}

static void put_name(struct source *s, struct text *t)
{
	static const char *const apps[] = { "echo", "echo", "in", "out" }, *const consoles[] = { "stdin", "stdout", "stderr" };
	static const char *const names[] = { "", "n0", "n1", "n2", "n3", "segment", "x/y", "stdin", "stdout", "stderr", "echo", "in", "out", "none", "\n" };

	if (t->at[0] == 'a' && source_chance(s, 85))
		put(t, SOURCE_PICK(s, apps));
	else if (t->at[0] == 'c' && source_chance(s, 85))
		put(t, SOURCE_PICK(s, consoles));
	else
		put(t, SOURCE_PICK(s, names));
}

static void put_uri(struct source *s, struct text *t)
{
	static const char *const paths[] = { "file:", "file:", "file:", "dir:", "dir:" };
	static const char *const names[] = { "memory:", "memory:", "pipe:", "pipe:", "unix:", "app:", "app:", "console:", "console:",
		"tcp:", "udp:", "image:", "link:", "handle:", "FILE:", ":", "" };

	if (source_chance(s, 65)) {
		put(t, SOURCE_PICK(s, paths));
		put_path(s, t);
	} else {
		put(t, SOURCE_PICK(s, names));
		put_name(s, t);
	}
}

static void put_link(struct source *s, struct text *t)
{
	put(t, source_chance(s, 95) ? "link:" : "link");
	switch (source_below(s, 4)) {
	case 0:
		put(t, world_root);
		put(t, "/outside");
		break;
	case 1:
		put(t, "../outside/passwd");
		break;
	default:
		put(t, "..");
		put_path(s, t);
	}
}

static void put_handle(struct source *s, const struct knowledge *k, struct text *t)
{
	char number[32];

	snprintf(number, sizeof(number), "handle:%llu", (unsigned long long)handle(s, k));
	put(t, number);
}

static void put_log(struct source *s, struct text *t)
{
	static const char *const words[] = { "error: ", "info:", "warning:", "stat:", "calls", ":+", "1", "99999999999999999999", "\033[2J",
		"\xc3\xa9", "\xc2\x85", "\xf0\x9f\x98\x80", "\xed", "\n", "\r\n", "\t", "text ", "\x7f", "%s%s%n" };
	uint32_t count = source_chance(s, 2) ? 1000 : source_below(s, 8);
	char counter[64];

	if (source_chance(s, 30)) {
		snprintf(counter, sizeof(counter), "stat:c%u:+%u", source_below(s, 300), source_below(s, 3));
		put(t, counter);
		count /= 4;
	}
	for (uint32_t i = 0; i < count; i++)
		put(t, SOURCE_PICK(s, words));
}

static void spoil(struct source *s, struct text *t)
{
	if (!t->size || !source_chance(s, 8))
		return;
	switch (source_below(s, 4)) {
	case 0:
		t->at[source_below(s, (uint32_t)t->size)] = (char)source_take(s, 1);
		break;
	case 1:
		t->at[source_below(s, (uint32_t)t->size)] = 0;
		break;
	case 2:
		t->size = source_below(s, (uint32_t)t->size + 1);
		break;
	default:
		t->at[source_below(s, (uint32_t)t->size)] ^= (char)(1 << source_below(s, 8));
	}
}

/* Puts it into the slot; returns the size the guest claims. */
static uint64_t place(struct source *s, uint8_t *slot, uint32_t offset, struct text *t)
{
	size_t fits = t->size < PICO_URI_MAX ? t->size : PICO_URI_MAX;

	spoil(s, t);
	memcpy(slot + offset, t->at, fits);
	if (source_chance(s, 97))
		return t->size;
	return source_chance(s, 50) ? make_number(s) : t->size + source_below(s, 3) - 1;
}

/* ---- attributes ---- */

static void put_attributes(struct source *s, uint8_t *slot)
{
	static const uint32_t valid[] = { PICO_ATTR_MODE, PICO_ATTR_OWNER, PICO_ATTR_ATIME, PICO_ATTR_MTIME_NOW, PICO_ATTR_TERMINAL, 0,
		PICO_ATTR_MODE | PICO_ATTR_MTIME, PICO_ATTR_ATIME | PICO_ATTR_ATIME_NOW };
	static const uint32_t ids[] = { 0, 7, 1000, 65534, UINT32_MAX };
	static const int64_t seconds[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 1700000000 };
	struct pico_stream_attributes a;
	uint8_t *at = slot + PICO_SLOT_ATTR;

	if (source_chance(s, 5)) {
		for (size_t i = 0; i < sizeof(a); i += 8) {
			uint64_t word = make_number(s);

			memcpy(at + i, &word, sizeof(a) - i < 8 ? sizeof(a) - i : 8);
		}
		return;
	}
	memset(&a, 0, sizeof(a));
	a.valid = source_chance(s, 95) ? SOURCE_PICK(s, valid) : (uint32_t)make_number(s);
	a.type = source_chance(s, 20) ? PICO_STREAM_SYMLINK : 0;
	a.mode = (uint32_t)one_of(s, 07777, 60);
	if (source_chance(s, 50)) /* else the tree soon cannot be entered */
		a.mode |= 0700;
	a.uid = SOURCE_PICK(s, ids);
	a.gid = SOURCE_PICK(s, ids);
	a.atime_sec = SOURCE_PICK(s, seconds);
	a.mtime_sec = SOURCE_PICK(s, seconds);
	a.atime_nsec = source_chance(s, 80) ? 999999999 : (uint32_t)make_number(s);
	a.mtime_nsec = source_chance(s, 80) ? 5 : (uint32_t)make_number(s);
	a.term.cflag = (uint32_t)make_number(s);
	a.term.lflag = (uint32_t)make_number(s);
	a.term.rows = (uint16_t)make_number(s);
	memcpy(at, &a, sizeof(a));
}

/* ---- the requests: what each register is ----
 * h handle  p thread handle  H handle or none  C handle of a callback's stream
 * u URI  v second URI
 * T log text  a access  f open flags  m mode  b yes or no  l length or offset
 * L kind of length  F D R Q flags of flush, delete, rename, query  c cookie
 * s size  B size of BULK  t offset, sometimes a token  z zero  k HELLO's kind
 * e exit code  x anything */
struct shape { uint32_t nr; uint8_t weight; const char *registers; };
static const struct shape shapes[] = {
	{ PICO_NR(PICO_DC_ThreadInterrupt), 3, "p" },
	{ PICO_NR(PICO_DC_ObjectReference), 4, "h" },
	{ PICO_NR(PICO_DC_ObjectClose), 20, "h" },
	{ PICO_NR(PICO_DC_StreamOpen), 60, "uafmb" },
	{ PICO_NR(PICO_DC_StreamRead), 1, "hls" },
	{ PICO_NR(PICO_DC_StreamSetLength), 6, "hlLl" },
	{ PICO_NR(PICO_DC_StreamFlush), 1, "hF" },
	{ PICO_NR(PICO_DC_StreamDelete), 10, "uD" },
	{ PICO_NR(PICO_DC_StreamRename), 20, "uvR" },
	{ PICO_NR(PICO_DC_StreamWaitForClient), 6, "h" },
	{ PICO_NR(PICO_DC_StreamGetName), 4, "h" },
	{ PICO_NR(PICO_DC_StreamAttributesQuery), 12, "uQ" },
	{ PICO_NR(PICO_DC_StreamAttributesQueryByHandle), 6, "h" },
	{ PICO_NR(PICO_DC_StreamAttributesSet), 10, "Hu" },
	{ PICO_NR(PICO_DC_StreamEnumerateChildren), 6, "hcs" },
	{ PICO_NR(PICO_DC_ProcessCreate), 1, "x" },
	{ PICO_NR(PICO_DC_ProcessClone), 2, "z" },
	{ PICO_NR(PICO_DC_ProcessGetExitCode), 2, "h" },
	{ PICO_NR(PICO_DC_ProcessCheckpoint), 1, "z" },
	{ PICO_NR(PICO_DC_RandomBitsRead), 2, "s" },
	{ PICO_NR(PICO_DC_DebugStringPrint), 6, "T" },
	{ PICO_NR_HELLO, 1, "kx" },
	{ PICO_NR_WAKE_FD, 1, "x" },
	{ PICO_NR_STREAM_READ, 6, "Cts" },
	{ PICO_NR_STREAM_WRITE, 6, "CtB" },
};

bool make_is_stream(uint32_t nr)
{
	uint32_t dc = nr - PICO_NR_BASE;

	return (dc >= PICO_DC_StreamOpen && dc <= PICO_DC_StreamEnumerateChildren) || dc == PICO_DC_DebugStringPrint ||
	       dc == PICO_DC_RandomBitsRead || nr == PICO_NR_STREAM_READ || nr == PICO_NR_STREAM_WRITE;
}

static const struct shape *pick_shape(struct source *s)
{
	uint32_t total = 0, at;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		total += shapes[i].weight;
	at = source_below(s, total);
	for (size_t i = 0;; i++) {
		if (at < shapes[i].weight)
			return &shapes[i];
		at -= shapes[i].weight;
	}
}

static uint64_t second_text(struct source *s, uint8_t *slot)
{
	struct text t = { .size = 0 };

	put(&t, source_chance(s, 70) ? "file:" : "dir:");
	put_path(s, &t);
	return place(s, slot, PICO_SLOT_DATA2, &t);
}

static uint64_t first_text(struct source *s, const struct knowledge *k, uint8_t *slot, uint32_t nr, uint64_t *flags)
{
	struct text t = { .size = 0 };

	*flags = one_of(s, PICO_RENAME_NOREPLACE | PICO_RENAME_EXCHANGE | PICO_RENAME_LINK, 20);
	if (nr == PICO_NR(PICO_DC_StreamRename) && source_chance(s, 40)) {
		bool link = source_chance(s, 60);

		*flags = link ? PICO_RENAME_SYMLINK : PICO_RENAME_FROM_HANDLE;
		if (link)
			put_link(s, &t);
		else
			put_handle(s, k, &t);
	} else {
		put_uri(s, &t);
	}
	return place(s, slot, PICO_SLOT_DATA, &t);
}

static uint64_t log_text(struct source *s, uint8_t *slot)
{
	struct text t = { .size = 0 };

	put_log(s, &t);
	return place(s, slot, PICO_SLOT_DATA, &t);
}

static uint64_t length_kind(struct source *s)
{
	return source_chance(s, 60) ? PICO_LENGTH_SET : source_chance(s, 95) ? source_below(s, 8) : make_number(s);
}

static uint64_t known_cookie(struct source *s, const struct knowledge *k)
{
	if (!k->cookie_count || source_chance(s, 30))
		return source_chance(s, 70) ? 0 : make_number(s);
	return k->cookie[source_below(s, k->cookie_count)];
}

static uint64_t open_flags(struct source *s)
{
	static const uint32_t usual[] = { 0, 0, PICO_OPEN_CREATE, PICO_OPEN_CREATE, PICO_OPEN_CREATE | PICO_OPEN_EXCLUSIVE, PICO_OPEN_TRUNCATE,
		PICO_OPEN_TEMPORARY, PICO_OPEN_SERVER, PICO_OPEN_PIPE };

	return source_chance(s, 90) ? SOURCE_PICK(s, usual) : one_of(s, 0x3f, 30);
}

static uint64_t value(struct source *s, const struct knowledge *k, char kind, uint8_t *slot, uint32_t nr, uint64_t *flags)
{
	static const uint64_t access[] = { PICO_ACCESS_READ, PICO_ACCESS_READ, PICO_ACCESS_READ | PICO_ACCESS_WRITE,
		PICO_ACCESS_READ | PICO_ACCESS_WRITE, PICO_ACCESS_WRITE, PICO_ACCESS_APPEND, PICO_ACCESS_READ | PICO_ACCESS_EXECUTE };

	switch (kind) {
	case 'h': return handle(s, k);
	case 'p': return thread_handle(s, k);
	case 'H': return handle_or_none(s, k);
	case 'C': return callback_handle(s, k);
	case 'u': return first_text(s, k, slot, nr, flags);
	case 'v': return second_text(s, slot);
	case 'T': return log_text(s, slot);
	case 'a': return source_chance(s, 90) ? SOURCE_PICK(s, access) : one_of(s, 15, 50);
	case 'f': return open_flags(s);
	case 'm': return source_chance(s, 90) ? 0700 | source_below(s, 0100) : one_of(s, 07777, 50);
	case 'b': return source_below(s, 8) != 0;
	case 'l': return size_or_offset(s);
	case 'L': return length_kind(s);
	case 'F': return one_of(s, PICO_FLUSH_DATA, 50);
	case 'D': return one_of(s, PICO_DELETE_DIRECTORY, 30);
	case 'R': return *flags;
	case 'Q': return one_of(s, PICO_ATTR_FILESYSTEM, 50);
	case 'c': return known_cookie(s, k);
	case 's': return source_chance(s, 80) ? source_below(s, PICO_SLOT_BULK_SIZE + 1) : size_or_offset(s);
	case 'B': return source_chance(s, 95) ? source_below(s, PICO_SLOT_BULK_SIZE + 1) : make_number(s);
	case 't': return source_chance(s, 50) ? TOKEN_BASE : size_or_offset(s);
	case 'z': return source_chance(s, 90) ? 0 : make_number(s);
	case 'k': return source_below(s, 3);
	default: return make_number(s);
	}
}

void make_request(struct source *s, const struct knowledge *k, struct request *q)
{
	const struct shape *shape = pick_shape(s);
	uint8_t *slot = k->mailbox + PICO_MAILBOX_SLOTS + (uint64_t)q->slot * PICO_SLOT_SIZE;
	uint64_t flags = 0;

	q->nr = shape->nr;
	memset(q->r, 0, sizeof(q->r));
	if (q->nr == PICO_NR(PICO_DC_StreamAttributesSet))
		put_attributes(s, slot);
	for (unsigned i = 0; shape->registers[i]; i++)
		q->r[i + 1] = value(s, k, shape->registers[i], slot, q->nr, &flags);
	if (source_chance(s, 3))
		q->r[1 + source_below(s, 5)] = make_number(s);
	if (source_chance(s, 1))
		q->nr = source_chance(s, 80) ? PICO_NR_BASE + source_below(s, 80) : (uint32_t)make_number(s);
	/* life.c asks for these itself. */
	if (q->nr == PICO_NR_CRASHED || q->nr == PICO_NR_SEED_WAIT || q->nr == PICO_NR(PICO_DC_ProcessExit))
		q->nr = PICO_NR(PICO_DC_StreamFlush);
	/* A disk takes its time, and a file system is shared with others. */
	if (q->nr == PICO_NR(PICO_DC_StreamFlush) && source_chance(s, 85))
		q->nr = PICO_NR(PICO_DC_StreamGetName);
	if (q->nr == PICO_NR(PICO_DC_StreamFlush))
		q->r[2] &= ~(uint64_t)PICO_FLUSH_FILESYSTEM;
}

/* ---- the guest's other threads ---- */

void make_scribble(struct source *s, uint8_t *mailbox)
{
	uint8_t *slot = mailbox + PICO_MAILBOX_SLOTS + (uint64_t)(FIRST_SLOT + 2 * source_below(s, ASKING_SLOTS)) * PICO_SLOT_SIZE;
	uint64_t word = make_number(s);
	uint32_t offset;

	switch (source_below(s, 16)) {
	case 0: /* the slots' bitmap: all taken, or any, but for those that must stay */
		offset = (uint32_t)offsetof(struct pico_mailbox_header, slot_used);
		if (source_chance(s, 10))
			memset(mailbox + offset, 0xff, PICO_SLOT_COUNT / 8);
		offset += 4 * source_below(s, 6);
		memcpy(mailbox + offset, &word, 4);
		break;
	case 1:
		memcpy(mailbox + source_below(s, offsetof(struct pico_mailbox_header, slot_used) - 8), &word, 8);
		break;
	case 2:
		slot = mailbox + PICO_MAILBOX_SLOTS + (uint64_t)source_below(s, 12) * PICO_SLOT_SIZE;
		memcpy(slot + source_below(s, 64), &word, 8);
		break;
	case 3:
		memcpy(slot + source_below(s, 56), &word, 8);
		break;
	case 4:
	case 5:
		memcpy(slot + PICO_SLOT_ATTR + source_below(s, sizeof(struct pico_stream_attributes) - 8), &word, 8);
		break;
	case 6:
		memset(slot + PICO_SLOT_BULK + source_below(s, 4096), (int)word, 1024);
		break;
	default: /* texts are short: where it hurts */
		offset = source_chance(s, 80) ? source_below(s, 40) : source_below(s, 4000);
		slot[(source_chance(s, 60) ? PICO_SLOT_DATA : PICO_SLOT_DATA2) + offset] = source_chance(s, 50) ? '/' : (uint8_t)word;
	}
}

static void learn_handle(struct knowledge *k, int64_t h)
{
	for (unsigned i = 0; i < k->handle_count; i++)
		if (k->handle[i] == h)
			return;
	k->handle[k->handle_turn++ % KNOWN_HANDLES] = h;
	k->handle_count += k->handle_count < KNOWN_HANDLES;
}

void make_learn(struct knowledge *k, const struct request *q, int64_t answer)
{
	const uint8_t *slot = k->mailbox + PICO_MAILBOX_SLOTS + (uint64_t)q->slot * PICO_SLOT_SIZE;
	uint64_t word;

	if (answer < 0)
		return;
	switch (q->nr) {
	case PICO_NR(PICO_DC_StreamOpen):
		if (q->r[3] & PICO_OPEN_PIPE) {
			memcpy(&word, slot + PICO_SLOT_ATTR + offsetof(struct pico_stream_attributes, peer_handle), 8);
			learn_handle(k, (int64_t)word);
		}
		learn_handle(k, answer);
		if (PICO_HANDLE_TYPE(answer) == PICO_HT_MONITOR && (slot[PICO_SLOT_DATA] == 'a' || slot[PICO_SLOT_DATA] == 'c'))
			k->callback[k->callback_count++ % 8] = answer;
		break;
	case PICO_NR(PICO_DC_StreamWaitForClient):
	case PICO_NR(PICO_DC_ProcessCreate):
	case PICO_NR(PICO_DC_ProcessClone):
		learn_handle(k, answer);
		break;
	case PICO_NR(PICO_DC_StreamEnumerateChildren):
		memcpy(&word, slot + PICO_SLOT_BULK + offsetof(struct pico_dirent, cookie), 8);
		k->cookie[k->cookie_count % 8] = word;
		k->cookie_count += k->cookie_count < 8;
		break;
	default:
		break;
	}
}

/* ---- what an answer may be ---- */

static bool may_be(const struct request *q, int64_t answer)
{
	uint32_t dc = q->nr - PICO_NR_BASE;
	uint64_t size = q->r[3] < PICO_SLOT_BULK_SIZE ? q->r[3] : PICO_SLOT_BULK_SIZE;

	switch (q->nr) {
	case PICO_NR(PICO_DC_StreamOpen):
	case PICO_NR(PICO_DC_StreamWaitForClient):
		return answer > 0 && (PICO_HANDLE_TYPE(answer) == PICO_HT_STREAM || PICO_HANDLE_TYPE(answer) == PICO_HT_MONITOR);
	case PICO_NR(PICO_DC_ProcessCreate):
	case PICO_NR(PICO_DC_ProcessClone):
		return PICO_HANDLE_TYPE(answer) == PICO_HT_PROCESS && PICO_HANDLE_PAYLOAD(answer) >= PICO_FIRST_FD;
	case PICO_NR(PICO_DC_StreamGetName):
	case PICO_NR(PICO_DC_StreamAttributesQuery):
		return answer <= (int64_t)PICO_URI_MAX;
	case PICO_NR(PICO_DC_StreamEnumerateChildren):
	case PICO_NR_STREAM_READ:
	case PICO_NR_STREAM_WRITE:
		return answer <= (int64_t)size;
	case PICO_NR(PICO_DC_ProcessGetExitCode):
		return answer <= 256 + 64 || answer == PICO_EXIT_LIBOS_CRASH;
	case PICO_NR_WAKE_FD:
		return answer >= (int64_t)PICO_FIRST_FD;
	case PICO_NR_HELLO:
		return answer <= PICO_INIT_PROCESS;
	default:
		return dc < PICO_DOWNCALL_COUNT && answer == 0;
	}
}

static const char *const classes[PICO_DOWNCALL_COUNT] = {
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) [index] = #klass,
#include <pico/abi.def>
#undef PICO_DOWNCALL
};

static bool listed(const struct request *q, int64_t error)
{
	uint32_t dc = q->nr - PICO_NR_BASE;
	static const int64_t anybody[] = { -PICO_EINVAL, -PICO_ENAMETOOLONG, -PICO_ENOMEM, -PICO_EMFILE, -PICO_EINTR };

	for (size_t i = 0; i < sizeof(anybody) / sizeof(anybody[0]); i++)
		if (error == anybody[i])
			return true;
	if (dc >= PICO_DOWNCALL_COUNT) {
		if (q->nr == PICO_NR_STREAM_READ || q->nr == PICO_NR_STREAM_WRITE)
			dc = q->nr == PICO_NR_STREAM_READ ? PICO_DC_StreamRead : PICO_DC_StreamWrite;
		else
			return error >= -PICO_ERRNO_MAX;
	}
	if (error == -PICO_ENOSYS)
		return strcmp(classes[dc], "MONITOR") || dc == PICO_DC_ThreadCreate;
	if (dc == PICO_DC_ProcessExit)
		return error == -PICO_EPERM;
	return pico__error_listed(dc, error) == error;
}

void make_check(const struct request *q, int64_t answer)
{
	if (answer >= 0 ? may_be(q, answer) : listed(q, answer))
		return;
	fault("request 0x%x (%s) was answered %lld: %s", q->nr,
	      q->nr - PICO_NR_BASE < PICO_DOWNCALL_COUNT ? pico_downcall_name(q->nr - PICO_NR_BASE) : "private",
	      (long long)answer, pico_strerror((int)answer));
}
