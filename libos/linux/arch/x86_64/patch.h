/* SPDX-License-Identifier: Apache-2.0
 *
 * Call sites that trap often are patched, so that they do not.
 */
#ifndef LX_PATCH_H
#define LX_PATCH_H

#include "../../lx/task.h"

/* A system call came by a trap: count its site, and patch it when it is hot.
 * Before the call is made; c is what the program goes on with. */
void patch_trapped(struct task *t, const struct pico_context *c);
void patch_forget(void); /* another program: its sites are others */
/* The program was interrupted between a patched site and us: back to the site. */
void patch_rewind(struct task *t, struct pico_context *c);
/* A single step of the program led towards a trampoline. True: the call is to be
 * made now and c stands behind it; else c is where the step ended as if nothing
 * were patched. */
bool patch_stepped(struct task *t, struct pico_context *c);

#endif
