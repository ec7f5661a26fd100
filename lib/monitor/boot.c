/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot block: what the host application asked for, as the records of
 * abi.h in a sealed memfd. Reads a checked configuration; knows nothing of who
 * will read the block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "instance.h"

/* Arguments and environment together; Linux' own limit for a stack of 8 MiB
 * is a quarter of that. */
#define BOOT_MAX (6u << 20)

struct block { uint8_t *bytes; size_t size, room; int error; };

static void block_fini(struct block *b)
{
	free(b->bytes);
}

static uint8_t *grow(struct block *b, size_t size)
{
	if (!b->error && b->size + size > BOOT_MAX)
		b->error = -PICO_E2BIG;
	if (b->error)
		return NULL;
	if (b->size + size > b->room) {
		size_t room = (b->size + size) * 2;
		uint8_t *bytes = realloc(b->bytes, room);

		if (!bytes) {
			b->error = -PICO_ENOMEM;
			return NULL;
		}
		b->bytes = bytes;
		b->room = room;
	}
	memset(b->bytes + b->size, 0, size);
	b->size += size;
	return b->bytes + b->size - size;
}

/* A record of two parts; second may be NULL. */
static void put(struct block *b, uint32_t tag, const void *first, size_t first_size, const void *second, size_t second_size)
{
	struct pico_boot_record head = { tag, (uint32_t)(first_size + second_size) };
	size_t padded = (head.size + 7u) & ~(size_t)7;
	uint8_t *at;

	if (first_size > BOOT_MAX || second_size > BOOT_MAX) {
		b->error = -PICO_E2BIG;
		return;
	}
	at = grow(b, sizeof(head) + padded);
	if (!at)
		return;
	memcpy(at, &head, sizeof(head));
	if (first_size)
		memcpy(at + sizeof(head), first, first_size);
	if (second_size)
		memcpy(at + sizeof(head) + first_size, second, second_size);
}

static void put_string(struct block *b, uint32_t tag, const char *text)
{
	put(b, tag, text, strlen(text) + 1, NULL, 0);
}

static void put_all(struct block *b, const struct pico__config *c, const uint32_t *mount_types, const uint32_t stdio_types[3])
{
	uint32_t ids[2] = { c->uid, c->gid }, flags = c->flags & PICO_FLAG_NO_PATCH ? PICO_BOOT_FLAG_NO_PATCH : 0;
	struct pico_boot_limits limits = {
		.memory = c->limits.memory, .processes = c->limits.processes, .threads = c->limits.threads,
		.streams = c->limits.streams, .cpu_seconds = c->limits.cpu_seconds,
	};

	put_string(b, PICO_BOOT_PROGRAM, c->program);
	for (size_t i = 0; c->argv[i]; i++)
		put_string(b, PICO_BOOT_ARG, c->argv[i]);
	for (size_t i = 0; c->envp[i]; i++)
		put_string(b, PICO_BOOT_ENV, c->envp[i]);
	put_string(b, PICO_BOOT_CWD, c->cwd);
	put_string(b, PICO_BOOT_HOSTNAME, c->hostname);
	for (size_t i = 0; i < c->mount_count; i++) {
		uint32_t head[2] = { c->mounts[i].read_only ? PICO_BOOT_MOUNT_READ_ONLY : 0, mount_types[i] };

		put(b, PICO_BOOT_MOUNT, head, sizeof(head), c->mounts[i].guest, strlen(c->mounts[i].guest) + 1);
	}
	put(b, PICO_BOOT_IDS, ids, sizeof(ids), NULL, 0);
	put(b, PICO_BOOT_LIMITS, &limits, sizeof(limits), NULL, 0);
	put(b, PICO_BOOT_STDIO, stdio_types, 3 * sizeof(uint32_t), NULL, 0);
	put(b, PICO_BOOT_UMASK, &c->umask, sizeof(c->umask), NULL, 0);
	if (c->huge_pages)
		put(b, PICO_BOOT_HUGE_PAGES, &c->huge_pages, sizeof(c->huge_pages), NULL, 0);
	put(b, PICO_BOOT_FLAGS, &flags, sizeof(flags), NULL, 0);
	put(b, PICO_BOOT_END, NULL, 0, NULL, 0);
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int pico__boot_create(const struct pico__config *config, const uint32_t *mount_types, const uint32_t stdio_types[3],
		      uint64_t *size_out, struct pico_error *error)
{
	__attribute__((cleanup(block_fini))) struct block b = { 0 };
	PICO__CLOSE int fd = -1;

	put_all(&b, config, mount_types, stdio_types);
	if (b.error)
		return pico__error_set(error, -b.error, 0, "boot block", b.error == -PICO_E2BIG
			? "arguments and environment are larger than %u bytes" : "out of memory", BOOT_MAX);
	fd = memfd_create("pico-boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || write_all(fd, b.bytes, b.size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return pico__error_set(error, -pico__error(errno), errno, "boot block", "memfd: %s", strerrordesc_np(errno));
	*size_out = b.size;
	return pico__steal_fd(&fd);
}
