/* SPDX-License-Identifier: Apache-2.0
 *
 * The build puts this in front of every freestanding C file (-include). With it
 * the compiler knows that what is only declared is in the same image too, and
 * addresses it directly: a table of addresses (GOT) would lie in pages that a
 * gate does not have, and -fvisibility=hidden speaks of definitions only.
 */
#pragma GCC visibility push(hidden)
