/* SPDX-License-Identifier: Apache-2.0 */
/* Constants shared by the gate's assembler and C. */
#ifndef PICO_GATE_ASM_H
#define PICO_GATE_ASM_H

#define GATE_STACK_TOP 0x1fd00 /* of the system stack, from the region's start */
#define GATE_BLOCK 0x1fd00 /* struct pico_thread_block and the gate's own members: in one page with the stack's first frames, since a fork copies both */
#define GATE_BLOCK_ROOM 0x300
#define GATE_ALTSTACK 0x20000 /* 116 KiB: three nested signal frames with room for AMX state */
#define GATE_ALTSTACK_SIZE 0x1d000
#define GATE_POLL 0x3d000 /* struct pollfd array of a wait, 8 KiB */
#define GATE_POLL_MAX 1024

#endif
