/* SPDX-License-Identifier: Apache-2.0
 *
 * Interrupts from the host: they say only "look". What for stands in the host
 * info page (signals for the instance, a park) and in the task's own flags.
 */
#include "../lx/ipc.h"
#include "../lx/proc.h"
#include <asm/signal.h>

/* Who gets an event: the terminal's foreground group, the first program, or its
 * group, as a shell's `fg` does. */
enum { TO_FIRST, TO_FOREGROUND, TO_FIRST_GROUP };
static const struct { u32 event; int signo, whom; } event_signals[] = {
	{ PICO_HOST_INTERRUPT, SIGINT, TO_FOREGROUND },
	{ PICO_HOST_QUIT, SIGQUIT, TO_FOREGROUND },
	{ PICO_HOST_STOP, SIGTSTP, TO_FOREGROUND },
	{ PICO_HOST_TERMINATE, SIGTERM, TO_FIRST },
	{ PICO_HOST_HANGUP, SIGHUP, TO_FIRST },
	{ PICO_HOST_USER1, SIGUSR1, TO_FIRST },
	{ PICO_HOST_USER2, SIGUSR2, TO_FIRST },
	{ PICO_HOST_CONTINUE, SIGCONT, TO_FIRST_GROUP },
	{ PICO_HOST_CPU_LIMIT, SIGXCPU, TO_FIRST },
};

static void host_events(u32 events)
{
	const u32 groups[] = { 0, console_foreground(), K->init->pgid };

	for (size_t i = 0; i < ARRAY_SIZE(event_signals); i++) {
		const u32 group = groups[event_signals[i].whom];

		if (!(events & event_signals[i].event))
			continue;
		if (group && signal_send_pgrp(group, event_signals[i].signo, NULL) == 0)
			continue;
		signal_send_process(K->init, event_signals[i].signo, NULL);
	}
	if (events & PICO_HOST_WINDOW)
		console_window_changed();
	if (events & PICO_HOST_PROCESS_LOST)
		processes_check_starting();
}

void interrupt_take(void)
{
	struct task *t = current;

	thread_block()->pending = 0;
	__atomic_fetch_and(&t->flags, ~TIF_INTERRUPT, __ATOMIC_SEQ_CST);
	if (!K->init_done)
		return;
	if (K->host->events)
		host_events(__atomic_exchange_n(&K->host->events, 0, __ATOMIC_SEQ_CST));
	if (K->host->park)
		__atomic_fetch_or(&t->flags, TIF_PARK, __ATOMIC_SEQ_CST);
}

void interrupt_defer(void)
{
	thread_block()->pending = 0;
	if (current)
		__atomic_fetch_or(&current->flags, TIF_INTERRUPT, __ATOMIC_SEQ_CST);
}
