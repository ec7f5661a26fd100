/* SPDX-License-Identifier: Apache-2.0
 *
 * One fuzzed instance, as the files that drive it share it: app.c is the host
 * application around it and the hostile threads, ask.c brings requests to the
 * monitor, script.c whole sequences, process.c picoprocesses, check.c looks into the monitor's tables,
 * life.c begins and ends it.
 */
#ifndef FUZZ_LIFE_H
#define FUZZ_LIFE_H

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#define CANARY 0xc5

struct asked { struct request q; uint64_t id; uint32_t seq; };
struct life {
	struct pico *p;
	struct source *s;
	const struct life_plan *plan;
	struct knowledge k, app_k;
	struct pico__job *spare;
	struct asked last[ASKING_SLOTS];
	struct kid kid[KIDS];
	uint64_t seed_wait; /* id of the held request */
	uint32_t seed_seq; /* of the seed's requests */
	uint32_t slot, cookie; /* of the last clone that was let through, or the last order */
	/* One a thread of the guest: the thread checker need not know that they race. */
	uint8_t *mapping[3];
	uint64_t made, salt;
	uint32_t process_rate; /* of 256 steps */
	atomic_bool over;
	pthread_t threads[3];
	bool running;
};

/* app.c */
/* Of the application's choice; NULL: it could not be made. */
struct pico *app_instance(struct source *s, bool failures);
void app_start_threads(struct life *l);
void app_stop_threads(struct life *l);

/* ask.c */
struct seccomp_notif ask_notification(uint64_t id, pid_t pid, int64_t nr);
void ask_serve(struct life *l, const struct seccomp_notif *n); /* as the guard does */
pid_t ask_tid(struct life *l); /* of a child, or none */
void ask(struct life *l); /* one request of a usual thread, seldom many */
void ask_new(struct life *l, struct asked *a, const struct request *q); /* the slot's next request */
void ask_oddly(struct life *l); /* from a slot that no gate would use */
void ask_once(struct life *l, struct asked *a, pid_t tid); /* never asked again, whether it is answered or not */
void ask_forget(struct asked *a); /* it need not be answered any more */

/* script.c */
void script_run(struct life *l, struct asked *a); /* one of its sequences, from a slot */

/* process.c */
void process_begin(struct life *l); /* the seed, mostly */
void process_step(struct life *l); /* one change in who there is */
void process_take_order(struct life *l);
void process_report_end(struct life *l, struct kid *kid); /* kills it, and tells as the helper does */

/* check.c: faults where the monitor's tables contradict themselves */
void check_tables(struct pico *p);
void check_streams(struct pico__streams *s); /* closes them */
void check_lay_canaries(const struct life *l);
void check_canaries(const struct life *l);

#endif
