/* SPDX-License-Identifier: Apache-2.0
 *
 * Two guests and a timer in one poll() loop: pico_fd() says when there is
 * something to do, pico_dispatch() does it, in this thread.
 */
#include "guest.h"

#include <poll.h>
#include <stdio.h>
#include <sys/timerfd.h>

enum { GUESTS = 2 };

static const char *const programs[GUESTS][4] = {
	{ "/bin/sleep", "0.2", NULL },
	{ "/bin/sh", "-c", "exit 3", NULL },
};

static void ended(void *user, const struct pico_exit *end)
{
	printf("guest %d ended with %d\n", *(const int *)user, end->code);
}

static struct pico *start(int *number)
{
	struct pico_options options;
	struct pico_error error;
	struct pico *guest;

	example_options(&options, programs[*number]);
	options.flags = PICO_FLAG_DISPATCH; /* `ended` runs in pico_dispatch() */
	options.on_exit = ended;
	options.exit_user = number;
	if (pico_create(&options, &guest, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return NULL;
	}
	if (pico_start(guest) < 0) {
		fprintf(stderr, "%s\n", pico_get_error(guest)->message);
		pico_destroy(guest);
		return NULL;
	}
	return guest;
}

int main(void)
{
	struct itimerspec tick = { { 0, 50000000 }, { 0, 50000000 } };
	struct pollfd fds[GUESTS + 1] = { { 0 } };
	struct pico *guests[GUESTS];
	int numbers[GUESTS], running = 0;
	uint64_t ticks = 0, expirations;

	for (int i = 0; i < GUESTS; i++) {
		numbers[i] = i;
		guests[i] = start(&numbers[i]);
		fds[i] = (struct pollfd){ .fd = guests[i] ? pico_fd(guests[i]) : -1, .events = POLLIN };
		running += guests[i] != NULL;
	}
	fds[GUESTS] = (struct pollfd){ .fd = timerfd_create(CLOCK_MONOTONIC, 0), .events = POLLIN };
	timerfd_settime(fds[GUESTS].fd, 0, &tick, NULL);

	while (running > 0 && poll(fds, GUESTS + 1, -1) > 0) {
		if (fds[GUESTS].revents && read(fds[GUESTS].fd, &expirations, sizeof(expirations)) > 0)
			ticks += expirations;
		for (int i = 0; i < GUESTS; i++) {
			if (fds[i].revents && pico_dispatch(guests[i]) == 1) {
				fds[i].fd = -1;
				running--;
			}
		}
	}
	printf("the loop went on meanwhile: %s\n", ticks > 0 ? "yes" : "no");
	for (int i = 0; i < GUESTS; i++)
		pico_destroy(guests[i]);
	close(fds[GUESTS].fd);
	return 0;
}
