/* SPDX-License-Identifier: Apache-2.0
 *
 * Interrupts from the host: they say only "look". What for stands in the host
 * info page (signals for the instance, a park) and in the task's own flags.
 */
#include "../lx/ipc.h"
#include "../lx/proc.h"
#include <asm/signal.h>

/* Who gets an event: the terminal's foreground group, or the first program. */
static const struct { u32 event; int signo; bool foreground; } event_signals[] = {
	{ PICO_HOST_INTERRUPT, SIGINT, true },
	{ PICO_HOST_QUIT, SIGQUIT, true },
	{ PICO_HOST_STOP, SIGTSTP, true },
	{ PICO_HOST_TERMINATE, SIGTERM, false },
	{ PICO_HOST_HANGUP, SIGHUP, false },
	{ PICO_HOST_USER1, SIGUSR1, false },
	{ PICO_HOST_USER2, SIGUSR2, false },
	{ PICO_HOST_CONTINUE, SIGCONT, false },
	{ PICO_HOST_CPU_LIMIT, SIGXCPU, false },
};

static void host_events(u32 events)
{
	const u32 group = console_foreground();

	for (size_t i = 0; i < ARRAY_SIZE(event_signals); i++) {
		if (!(events & event_signals[i].event))
			continue;
		if (event_signals[i].foreground && group && signal_send_pgrp(group, event_signals[i].signo, NULL) == 0)
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
