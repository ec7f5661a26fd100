/* SPDX-License-Identifier: Apache-2.0
 *
 * The watchdog: an idle process that outlives the helper by an instant. In a
 * pid namespace it is the init, so its end ends the namespace. Once it has made
 * the namespaces that take long it must not do anything else: what never runs
 * cannot fail.
 */
#include <linux/close_range.h>
#include <linux/prctl.h>

#include "helper.h"

_Noreturn void group_end(void)
{
	sys(kill, 0, SIGKILL);
	sys_exit(0); /* an init does not hear its own signal; its exit kills the rest */
}

/* For all others; the zygote is the last to need this process for joining them,
 * which the kernel allows as long as it is dumpable. */
static void make_namespaces(struct helper *h)
{
	struct pollfd p[2] = { { .fd = h->self, .events = POLLIN }, { .fd = h->joined, .events = POLLIN } };
	helper_make_beside(h);
	sys(munmap, h->beside, PICO_PAGE_SIZE);
	helper_drop_capabilities();
	while (!p[1].revents) {
		sys(ppoll, p, 2, 0, 0, 8);
		if (p[0].revents)
			group_end();
	}
	sys(prctl, PR_SET_DUMPABLE, 0);
}

/* The pidfd was opened before the fork, so the helper's death cannot be missed
 * however early it is; a parent-death signal set too late can. */
_Noreturn void watchdog_main(struct helper *h)
{
	struct pollfd helper = { .fd = h->self, .events = POLLIN };
	sys(prctl, PR_SET_NAME, "pico-watchdog");
	make_namespaces(h);
	if (h->self > 0)
		sys(close_range, 0, h->self - 1, 0);
	sys(close_range, h->self + 1, ~0u, 0);
	while (sys(ppoll, &helper, 1, 0, 0, 8) <= 0)
		;
	group_end();
}
