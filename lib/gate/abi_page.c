/* SPDX-License-Identifier: Apache-2.0
 *
 * The ABI page: the table a library OS finds at PICO_ABI_PAGE. Made from the
 * table file alone.
 */
#include "gate.h"

__attribute__((section(".gate.abi"), used)) const struct pico_abi_page pico_gate_abi_page = {
	.magic = PICO_ABI_MAGIC,
	.version = PICO_ABI_VERSION,
	.count = PICO_DOWNCALL_COUNT,
	.call = {
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) .name = pico_gate_##name,
#include <pico/abi.def>
#undef PICO_DOWNCALL
	},
};
_Static_assert(sizeof(((struct pico_abi_page *)0)->call) == PICO_DOWNCALL_COUNT * sizeof(void *), "45 downcalls");
