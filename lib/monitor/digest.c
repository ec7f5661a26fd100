/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests of a snapshot's parts: CRC-32C, which finds damage, and with a key of
 * the caller's HMAC-SHA-256, which finds forgery too. Knows nothing of files.
 */
#include <stdlib.h>
#include <string.h>

#include <config.h>
#ifdef HAVE_MBEDTLS
#include <mbedtls/md.h>
#endif

#include "snapshot.h"

/* ---- CRC-32C ---- */

#define POLYNOMIAL 0x82f63b78u /* Castagnoli's, bits reversed */

__attribute__((target("sse4.2")))
static uint32_t crc_by_processor(uint32_t crc, const uint8_t *data, size_t size)
{
	uint64_t wide = crc, word;

	for (; size >= 8; size -= 8, data += 8) {
		memcpy(&word, data, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; size; size--)
		crc = __builtin_ia32_crc32qi(crc, *data++);
	return crc;
}

static uint32_t crc_by_hand(uint32_t crc, const uint8_t *data, size_t size)
{
	for (; size; size--) {
		crc ^= *data++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return crc;
}

uint32_t pico__crc32c(uint32_t before, const void *data, size_t size)
{
	return ~(__builtin_cpu_supports("sse4.2") ? crc_by_processor : crc_by_hand)(~before, data, size);
}

/* ---- running ones ---- */

struct pico__digest {
	enum pico__digest_kind kind;
	uint32_t crc;
#ifdef HAVE_MBEDTLS
	bool keyed;
	mbedtls_md_context_t md;
#endif
};

#ifdef HAVE_MBEDTLS
bool pico__digest_has_keys(void)
{
	return true;
}

static int begin_hash(struct pico__digest *d, const void *key, size_t key_size)
{
	d->keyed = key;
	mbedtls_md_init(&d->md);
	if (mbedtls_md_setup(&d->md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key != NULL) ||
	    (key ? mbedtls_md_hmac_starts(&d->md, key, key_size) : mbedtls_md_starts(&d->md))) {
		mbedtls_md_free(&d->md);
		return -PICO_ENOMEM;
	}
	return 0;
}

static void add_hash(struct pico__digest *d, const void *data, size_t size)
{
	if (d->keyed)
		mbedtls_md_hmac_update(&d->md, data, size);
	else
		mbedtls_md_update(&d->md, data, size);
}

static void end_hash(struct pico__digest *d, uint8_t *out)
{
	if (d->keyed)
		mbedtls_md_hmac_finish(&d->md, out);
	else
		mbedtls_md_finish(&d->md, out);
	mbedtls_md_free(&d->md);
}
#else
bool pico__digest_has_keys(void)
{
	return false;
}

static int begin_hash(struct pico__digest *d, const void *key, size_t key_size)
{
	(void)d, (void)key, (void)key_size;
	return -PICO_ENOTSUP;
}

static void add_hash(struct pico__digest *d, const void *data, size_t size)
{
	(void)d, (void)data, (void)size;
}

static void end_hash(struct pico__digest *d, uint8_t *out)
{
	(void)d, (void)out;
}
#endif

int pico__digest_begin(struct pico__digest **out, enum pico__digest_kind kind, const void *key, size_t key_size)
{
	struct pico__digest *d = calloc(1, sizeof(*d));
	int rc = 0;

	if (!d)
		return -PICO_ENOMEM;
	d->kind = kind;
	if (kind == PICO__DIGEST_HMAC)
		rc = begin_hash(d, key, key_size);
	if (rc < 0)
		free(d);
	else
		*out = d;
	return rc;
}

void pico__digest_add(struct pico__digest *d, const void *data, size_t size)
{
	if (d->kind == PICO__DIGEST_CRC)
		d->crc = pico__crc32c(d->crc, data, size);
	else
		add_hash(d, data, size);
}

void pico__digest_end(struct pico__digest *d, uint8_t out[PICO__DIGEST_SIZE])
{
	memset(out, 0, PICO__DIGEST_SIZE);
	if (d->kind == PICO__DIGEST_CRC)
		memcpy(out, &d->crc, sizeof(d->crc));
	else
		end_hash(d, out);
	free(d);
}
