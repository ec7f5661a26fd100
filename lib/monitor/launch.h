/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting the helper program without the host noticing. Used by spawn.c only;
 * knows nothing of what travels over the sockets.
 */
#ifndef PICO_LAUNCH_H
#define PICO_LAUNCH_H

struct pico__launched { /* all close-on-exec; the caller owns them */
	int control, spawn; /* SOCK_SEQPACKET, host ends */
	int pidfd; /* of the helper */
};

/* Returns 0, or a negative host errno with *step saying what failed. Blocks for
 * one exec. Uses no SIGCHLD and no child that wait() could see. */
int pico__launch(const char *path, struct pico__launched *out, const char **step);

/* SIGKILL for a helper that does not do its work; its watchdog ends the rest. */
void pico__launch_kill(const struct pico__launched *launched);

#endif
