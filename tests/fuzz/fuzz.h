/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the monitor's fuzzer share. It drives the real request
 * code of an instance that has no picoprocess: world.c is the host around it,
 * host.c what that may lack, kernel.c the kernel and its notifications, make.c
 * the guest's wishes, life.c one instance from its start to its end, monitor.c
 * the three ways to run.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "monitor/host_errno.h"
#include "source.h"

/* A broken promise: says what and where, and aborts. */
_Noreturn void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern _Atomic uint64_t fuzz_done; /* requests, for the message */

/* ---- world.c: the host's side ---- */
extern char world_root[]; /* scratch directory: mounted trees, and the decoy beside them */
/* Gives root away first. under NULL: where memory is; also (may be NULL): what may
 * be written beside the scratch tree. */
void world_init(const char *under, const char *also);
void world_fini(void);
void world_keep(void); /* the scratch tree shall stay, to be looked at */
void world_reset(void); /* the writable trees as at the start */
void world_check(void); /* faults when the decoy or a read-only tree has changed */
unsigned world_descriptors(void);
uint64_t world_memory(void); /* heap in use; 0 when it cannot be told */
uint64_t world_resident(void);
void world_flip(struct source *s); /* one hostile change of the writable tree from the host's side */
const char *world_granted(int fd); /* NULL: may be the guest's; else why not */
/* Descriptors for standard streams: a file, a file for appending, ends of a pipe
 * and of a connection, two devices, a terminal. */
enum { WORLD_STDIO = 7 };
int world_stdio(unsigned kind); /* the caller closes it */
const char *world_sleeper(const char *name); /* a program of this name that sleeps */

/* ---- kernel.c: notifications, authentic ids, the guest's descriptor table ---- */
#define KERNEL_IDS 65536u /* notifications of one life */
#define KIDS 5u
struct kid { pid_t pid; };
void kernel_begin(void);
void kernel_end(void); /* closes what the guest held; faults when an asker was forgotten */
uint64_t kernel_id(void); /* of a new notification */
void kernel_excuse(uint64_t id); /* need not be answered: asked again, or never answered */
bool kernel_answer(uint64_t id, int64_t *value);
bool kernel_continued(uint64_t id);
void kernel_refuse(bool some); /* let some grants fail */
void kernel_guest_uses(struct source *s); /* reads or writes a granted descriptor */
void kernel_guest_closes(int number);
uint64_t kernel_token(void); /* of a new request that must run once */
void kernel_ran(uint64_t token); /* it has run; 0: of one that may run often */
bool kid_make(struct kid *kid, const char *name); /* a child of this name */
void kid_end(struct kid *kid, int *status); /* kills it; not reaped yet */
void kid_reap(struct kid *kid);

/* ---- host.c: hosts that lack something ---- */
enum { HOST_WITHOUT_PROC = 1, HOST_OLD = 2 /* kernel */ };
void host_lacks(unsigned what);

/* ---- faults of memory: while set, allocations of the monitor may fail ---- */
void memory_fails(uint32_t one_in); /* 0: never */
extern __thread bool memory_mine; /* this thread is in the fuzzer's own code */

/* ---- make.c: what a guest may ask ---- */
#define ASKING_SLOTS 8u
#define FIRST_SLOT 200u /* then every second one; those between must stay as they are */
#define APP_SLOT 230u /* of the second asking thread */
#define TOKEN_BASE 0x5000000000000000ull

#define KNOWN_HANDLES 32u
struct request { uint32_t nr, slot; uint64_t r[6]; };
struct knowledge { /* what answers told the guest */
	int64_t handle[KNOWN_HANDLES];
	unsigned handle_count, handle_turn;
	int64_t callback[8]; /* of app: and console: streams without a descriptor */
	unsigned callback_count;
	uint64_t cookie[8];
	unsigned cookie_count;
	uint8_t *mailbox; /* the guest's own mapping */
};
void make_request(struct source *s, const struct knowledge *k, struct request *q);
void make_scribble(struct source *s, uint8_t *mailbox); /* hostile change of the mailbox */
void make_learn(struct knowledge *k, const struct request *q, int64_t answer);
uint64_t make_number(struct source *s); /* at a boundary of something */
uint32_t make_slot(struct source *s); /* for a clone's tag */
bool make_is_stream(uint32_t nr); /* may be asked by several threads at a time */
void make_check(const struct request *q, int64_t answer); /* faults when the table does not list it */

/* ---- life.c ---- */
struct life_plan { bool threads, failures; uint64_t requests; };
/* One instance; returns the requests made. */
uint64_t life_run(struct source *s, const struct life_plan *plan);

#endif
