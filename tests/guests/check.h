/* SPDX-License-Identifier: Apache-2.0
 *
 * For guest programs: a check that ends the program with the line it failed
 * in. They also pass on the host itself, which keeps them honest.
 */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(c) do { if (!(c)) { \
	fprintf(stderr, "%s:%d: %s (errno %d, %s)\n", __FILE__, __LINE__, #c, errno, strerror(errno)); exit(1); } } while (0)
/* The call fails with this errno. */
#define FAILS(call, number) do { errno = 0; long fails_r = (long)(call); if (fails_r != -1 || errno != (number)) { \
	fprintf(stderr, "%s:%d: %s gives %ld, errno %d, not %s\n", __FILE__, __LINE__, #call, fails_r, errno, #number); exit(1); } } while (0)
#define OK() do { puts("ok"); return 0; } while (0)

#endif
