/* SPDX-License-Identifier: Apache-2.0
 *
 * The watchdog: an idle process that outlives the helper by an instant. In a
 * pid namespace it is the init, so its end ends the namespace. Must not do
 * anything else: what never runs cannot fail.
 */
#include <linux/close_range.h>
#include <linux/prctl.h>

#include "helper.h"

_Noreturn void group_end(void)
{
	sys(kill, 0, SIGKILL);
	sys_exit(0); /* an init does not hear its own signal; its exit kills the rest */
}

/* The pidfd was opened before the fork, so the helper's death cannot be missed
 * however early it is; a parent-death signal set too late can. */
_Noreturn void watchdog_main(struct helper *h)
{
	struct pollfd helper = { .fd = h->self, .events = POLLIN };
	sys(prctl, PR_SET_NAME, "pico-watchdog");
	if (h->self > 0)
		sys(close_range, 0, h->self - 1, 0);
	sys(close_range, h->self + 1, ~0u, 0);
	while (sys(ppoll, &helper, 1, 0, 0, 8) <= 0)
		;
	group_end();
}
