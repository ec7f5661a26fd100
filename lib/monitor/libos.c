/* SPDX-License-Identifier: Apache-2.0
 *
 * The library OS image: found to be one, and what its header says. Knows nothing
 * of what it does.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "host_errno.h"
#include "snapshot.h"

#define PROGRAM_HEADERS_MAX 64
#define SUM_PIECE (256u << 10)

static int bad_libos(struct pico_error *error, const char *path, int host_errno, const char *why)
{
	return pico__error_set(error, PICO_ELIBOS, host_errno, "library OS", "%.150s: %s", path, why);
}

/* The header is the first thing in the first segment. */
static const char *read_header(int fd, struct pico_libos_header *header)
{
	Elf64_Phdr segments[PROGRAM_HEADERS_MAX], *first = NULL;
	Elf64_Ehdr elf;

	if (pread(fd, &elf, sizeof(elf), 0) != (ssize_t)sizeof(elf) || memcmp(elf.e_ident, ELFMAG, SELFMAG) ||
	    elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != EM_X86_64)
		return "not an x86-64 ELF file";
	if (elf.e_phentsize != sizeof(segments[0]) || !elf.e_phnum || elf.e_phnum > PROGRAM_HEADERS_MAX ||
	    pread(fd, segments, elf.e_phnum * sizeof(segments[0]), (off_t)elf.e_phoff) != (ssize_t)(elf.e_phnum * sizeof(segments[0])))
		return "its program headers are damaged";
	for (unsigned i = 0; i < elf.e_phnum && !first; i++)
		if (segments[i].p_type == PT_LOAD)
			first = &segments[i];
	if (!first || first->p_filesz < sizeof(*header) ||
	    pread(fd, header, sizeof(*header), (off_t)first->p_offset) != (ssize_t)sizeof(*header) ||
	    header->magic != PICO_LIBOS_MAGIC)
		return "not a library OS";
	return NULL;
}

int pico__libos_open(const char *path, struct pico_libos_header *header, struct pico_error *error)
{
	PICO__CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *why;
	struct stat st;

	if (fd < 0)
		return bad_libos(error, path, errno, strerrordesc_np(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return bad_libos(error, path, 0, "not a file");
	why = read_header(fd, header);
	if (why)
		return bad_libos(error, path, 0, why);
	if (header->abi_version != PICO_ABI_VERSION)
		return pico__error_set(error, PICO_ELIBOS, 0, "library OS", "%.150s: made for version %u of the ABI, this is %u",
				       path, header->abi_version, PICO_ABI_VERSION);
	return pico__steal_fd(&fd);
}

int pico__libos_sum(int fd, uint64_t *size, uint32_t *crc)
{
	PICO__FREE uint8_t *buffer = malloc(SUM_PIECE);
	struct stat st;

	if (!buffer)
		return -PICO_ENOMEM;
	if (fstat(fd, &st))
		return pico__error(errno);
	*size = (uint64_t)st.st_size;
	*crc = 0;
	for (uint64_t at = 0; at < *size; at += SUM_PIECE) {
		const size_t piece = *size - at < SUM_PIECE ? *size - at : SUM_PIECE;
		const int rc = pico__read_at(fd, buffer, piece, at);

		if (rc < 0)
			return rc;
		*crc = pico__crc32c(*crc, buffer, piece);
	}
	return 0;
}
