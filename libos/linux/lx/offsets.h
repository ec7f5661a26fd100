/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers the assembly needs. exception.c asserts each against the structures;
 * nothing but numbers may be here.
 */
#ifndef LX_OFFSETS_H
#define LX_OFFSETS_H

#define TB_SELF 0x00
#define TB_LIBOS 0x08
#define TB_STACK_TOP 0x10
#define TB_PENDING 0x18
#define TB_SCRATCH 0x20
#define TB_CONTEXT 0x40
#define CONTEXT_PAD 0xa8
#define FLAGS_HARMFUL 0x40100 /* alignment checks, single step */
#define CONTEXT_R11 0x20
#define CONTEXT_RCX 0x68
#define CONTEXT_RIP 0x80
#define CONTEXT_RFLAGS 0x90
#define FLAGS_PLAIN 0xed7 /* arithmetic, direction, and those that are always set */
#define TASK_FLAGS 0
#define TASK_IN_USER 4
#define TASK_WORK 0x1ff

#endif
