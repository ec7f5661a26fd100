/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of the helper: starts it, asks its zygote for seeds, hears of
 * exits. One helper serves all instances of the host process; it is started by
 * the first pico__helper_get and ended by the last pico__helper_put.
 * Knows nothing of policy, streams or notifications.
 */
#ifndef PICO_SPAWN_H
#define PICO_SPAWN_H

#include <stdint.h>
#include "../abi/wire.h"

struct pico__helper;

struct pico__seed {
	int listener; /* seccomp notification descriptor, close-on-exec; caller owns; -1: has a bell */
	int pidfd; /* of the seed; caller owns */
	int killable_recv; /* 1: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is on */
};
struct pico__spawn_error { int error; /* PICO_E, positive */ int host_errno; char where[96]; };

/* Start the helper program at path (or add a user to the running one).
 * Any thread; serialised inside. Never touches the host's SIGCHLD, wait(),
 * process group, signal mask or dispositions. Returns 0 or -PICO_E. */
int pico__helper_get(const char *path, struct pico__helper **out, struct pico__spawn_error *error);
void pico__helper_put(struct pico__helper *helper);

uint32_t pico__helper_features(const struct pico__helper *helper); /* PICO_HELPER_ bits */

/* Ask for a seed. The descriptors stay the caller's. Any thread; serialised.
 * Blocks for well under a millisecond; bounded by 10 s, then -PICO_EHELPER. */
int pico__helper_seed(struct pico__helper *helper, const struct pico_spawn_order *order,
		      int mailbox, int segment, int boot, int libos,
		      struct pico__seed *seed, struct pico__spawn_error *error);

/* The same where another listener is in the way: error is then PICO_EKERNEL, with
 * EBUSY. order->flags have PICO_SPAWN_BELL; fds: mailbox, segment, boot, libos, the
 * picoprocesses' ends of bell and keeper's socket. */
int pico__helper_seed_with_bell(struct pico__helper *helper, const struct pico_spawn_order *order, const int fds[6],
				struct pico__seed *seed, struct pico__spawn_error *error);

/* Control socket for the guard's epoll, and reading from it without blocking.
 * Returns 1 with *message filled, 0 when there is none, -PICO_EHELPER when the
 * helper is dead (each later call says so again). */
int pico__helper_fd(const struct pico__helper *helper);
int pico__helper_read(struct pico__helper *helper, struct pico_control *message);
void pico__helper_ack(struct pico__helper *helper, int32_t pid);

#endif
