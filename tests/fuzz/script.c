/* SPDX-License-Identifier: Apache-2.0
 *
 * Sequences of requests that chance alone never puts together: names that grow
 * beyond the longest URI, queues that are full. What other threads do meanwhile
 * may spoil any step. Knows the wire format, and nothing of the monitor.
 */
#include <stdio.h>
#include <string.h>

#include "life.h"

#define LEVELS 16u
#define COMPONENT 250u

static int64_t say(struct life *l, struct asked *a, uint32_t nr, const uint64_t r[5], const char *text, const char *text2)
{
	uint8_t *slot = l->k.mailbox + PICO_MAILBOX_SLOTS + (uint64_t)a->q.slot * PICO_SLOT_SIZE;
	struct request q = { .nr = nr, .slot = a->q.slot };
	int64_t answer = -PICO_EAGAIN;

	memcpy(q.r + 1, r, 5 * sizeof(*r));
	memcpy(slot + PICO_SLOT_DATA, text, strlen(text) < PICO_URI_MAX ? strlen(text) : PICO_URI_MAX);
	memcpy(slot + PICO_SLOT_DATA2, text2, strlen(text2) < PICO_URI_MAX ? strlen(text2) : PICO_URI_MAX);
	ask_new(l, a, &q);
	kernel_answer(a->id, &answer);
	return answer;
}

static int64_t say_open(struct life *l, struct asked *a, const char *uri, uint64_t access, uint64_t flags)
{
	const uint64_t r[5] = { strlen(uri), access, flags, 0755, 1 };

	return say(l, a, PICO_NR(PICO_DC_StreamOpen), r, uri, "");
}

static void say_close(struct life *l, struct asked *a, int64_t handle)
{
	const uint64_t r[5] = { (uint64_t)handle };

	if (handle > 0)
		say(l, a, PICO_NR(PICO_DC_ObjectClose), r, "", "");
}

static void make_directory(struct life *l, struct asked *a, const char *path)
{
	char uri[PICO_URI_MAX + 1];

	snprintf(uri, sizeof(uri), "dir:%s", path);
	say_close(l, a, say_open(l, a, uri, 0, PICO_OPEN_CREATE));
}

static char *put_level(char *at, char letter)
{
	*at++ = '/';
	memset(at, letter, COMPONENT);
	at[COMPONENT] = 0;
	return at + COMPONENT;
}

/* A file as deep as a name can say, open; then its tree goes deeper still. */
static void deepen(struct life *l, struct asked *a)
{
	char path[LEVELS * (COMPONENT + 1) + 8], uri[PICO_URI_MAX + 1], to[PICO_URI_MAX + 1], *at = path;
	uint64_t r[5] = { 0 };

	for (unsigned i = 0; i < LEVELS; i++) {
		at = put_level(at, 'k');
		make_directory(l, a, path);
	}
	snprintf(uri, sizeof(uri), "file:%s/f", path);
	r[0] = (uint64_t)say_open(l, a, uri, PICO_ACCESS_READ | PICO_ACCESS_WRITE, PICO_OPEN_CREATE);
	put_level(put_level(path, 'm'), 'm');
	path[COMPONENT + 1] = 0;
	make_directory(l, a, path);
	path[COMPONENT + 1] = '/';
	make_directory(l, a, path);
	put_level(path + 2 * (COMPONENT + 1), 'k');
	snprintf(to, sizeof(to), "file:%s", path);
	put_level(path, 'k');
	snprintf(uri, sizeof(uri), "file:%s", path);
	say(l, a, PICO_NR(PICO_DC_StreamRename), (const uint64_t[5]){ strlen(uri), strlen(to), 0 }, uri, to);
	if ((int64_t)r[0] > 0)
		say(l, a, PICO_NR(PICO_DC_StreamGetName), r, "", "");
}

/* More clients than a server's queue takes, and it is asked for them. */
static void crowd(struct life *l, struct asked *a)
{
	static const char *const names[] = { "unix:n0", "pipe:n1" };
	const char *name = SOURCE_PICK(l->s, names);
	int64_t server = say_open(l, a, name, PICO_ACCESS_READ, PICO_OPEN_SERVER);
	const uint64_t r[5] = { (uint64_t)server };
	unsigned clients = source_below(l->s, 150);

	for (unsigned i = 0; i < clients; i++) /* the guest gives its own end up */
		say_close(l, a, say_open(l, a, name, PICO_ACCESS_READ | PICO_ACCESS_WRITE, 0));
	for (unsigned i = source_below(l->s, 150); server > 0 && i; i--)
		say(l, a, PICO_NR(PICO_DC_StreamWaitForClient), r, "", "");
	if (source_chance(l->s, 50))
		say_close(l, a, server);
}

/* All that may be open is. */
static void fill(struct life *l, struct asked *a)
{
	static const char *const names[] = { "memory:", "dir:/a", "file:/file", "app:echo" };
	const char *name = SOURCE_PICK(l->s, names);

	for (unsigned i = source_below(l->s, 220); i; i--)
		say_open(l, a, name, PICO_ACCESS_READ, 0);
}

/* More counters than there may be, or more lines than are taken at a time. */
static void talk(struct life *l, struct asked *a)
{
	bool count = source_chance(l->s, 50);
	char text[32];

	for (unsigned i = 0; i < 400; i++) {
		snprintf(text, sizeof(text), "%s:%u:+1", count ? "stat" : "error", i);
		say(l, a, PICO_NR(PICO_DC_DebugStringPrint), (const uint64_t[5]){ strlen(text) }, text, "");
	}
}

void script_run(struct life *l, struct asked *a)
{
	static void (*const scripts[])(struct life *, struct asked *) = { deepen, crowd, fill, talk };

	SOURCE_PICK(l->s, scripts)(l, a);
}
