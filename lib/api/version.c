/* SPDX-License-Identifier: Apache-2.0
 *
 * The version of the library that runs, which need not be the header's.
 */
#include "api.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *pico_version(void)
{
	return TEXT(PICO_VERSION_MAJOR) "." TEXT(PICO_VERSION_MINOR) "." TEXT(PICO_VERSION_PATCH);
}

uint32_t pico_version_number(void)
{
	return PICO_VERSION_NUMBER;
}
