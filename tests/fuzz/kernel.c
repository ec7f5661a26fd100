/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel of a fuzzed instance: the monitor's notification calls end here
 * (the linker puts these in their place), a guest's descriptor table, thread
 * ids that are real, and allocations that fail. Knows nothing of what is asked.
 *
 * The ids are those of children of this process that sleep: the monitor sends
 * signals to what it holds for its picoprocesses, and must find nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define NUMBERS 4096u

int __wrap_pico__notify_answer(int listener, uint64_t id, int64_t value);
int __wrap_pico__notify_continue(int listener, uint64_t id);
int __wrap_pico__notify_grant(int listener, uint64_t id, int fd, int number);
bool __wrap_pico__notify_valid(int listener, uint64_t id);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);

/* ---- notifications ---- */

static struct notification { atomic_uint answered; atomic_int continued; atomic_bool excused; int64_t value; } notes[KERNEL_IDS];
static _Atomic uint64_t last_id;
static atomic_uint runs[KERNEL_IDS];
static _Atomic uint64_t last_token;
static atomic_bool refusing;
static int table[NUMBERS]; /* the guest's: descriptor + 1 */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

void kernel_begin(void)
{
	uint64_t used = atomic_load(&last_id);

	for (uint64_t i = 0; i <= used; i++) {
		atomic_store(&notes[i].answered, 0);
		atomic_store(&notes[i].continued, 0);
		atomic_store(&notes[i].excused, false);
	}
	atomic_store(&last_id, 0);
	for (uint64_t i = atomic_exchange(&last_token, 0); i; i--)
		atomic_store(&runs[i], 0);
}

void kernel_end(void)
{
	uint64_t used = atomic_load(&last_id);

	for (unsigned i = 0; i < NUMBERS; i++)
		kernel_guest_closes((int)i);
	for (uint64_t i = 1; i <= used; i++)
		if (!atomic_load(&notes[i].answered) && !atomic_load(&notes[i].excused))
			fault("notification %llu of this life was never answered", (unsigned long long)i);
}

uint64_t kernel_id(void)
{
	uint64_t id = atomic_fetch_add(&last_id, 1) + 1;

	if (id >= KERNEL_IDS)
		fault("a life of too many requests");
	return id;
}

void kernel_excuse(uint64_t id)
{
	atomic_store(&notes[id].excused, true);
}

bool kernel_answer(uint64_t id, int64_t *value)
{
	if (!id || !atomic_load(&notes[id].answered))
		return false;
	*value = notes[id].value;
	return true;
}

bool kernel_continued(uint64_t id)
{
	return atomic_load(&notes[id].continued);
}

static struct notification *known(int listener, uint64_t id)
{
	if (listener != -1 || !id || id > atomic_load(&last_id))
		fault("notification %llu does not exist", (unsigned long long)id);
	return &notes[id];
}

static int answered(int listener, uint64_t id, int64_t value, bool go_on)
{
	struct notification *n = known(listener, id);

	if (atomic_load(&n->excused))
		return -PICO_ENOENT;
	if (atomic_load(&n->answered))
		fault("notification %llu was answered twice", (unsigned long long)id);
	n->value = value;
	atomic_store(&n->continued, go_on);
	atomic_store(&n->answered, 1);
	return 0;
}

int __wrap_pico__notify_answer(int listener, uint64_t id, int64_t value)
{
	return answered(listener, id, value, false);
}

int __wrap_pico__notify_continue(int listener, uint64_t id)
{
	return answered(listener, id, 0, true);
}

/* A signal, or its end, takes the asker out of its request. */
static bool is_gone(struct notification *n, uint64_t id)
{
	if (atomic_load(&refusing) && source_mix(id) % 8 == 0)
		atomic_store(&n->excused, true);
	return atomic_load(&n->excused);
}

bool __wrap_pico__notify_valid(int listener, uint64_t id)
{
	struct notification *n = known(listener, id);

	return !is_gone(n, id) && !atomic_load(&n->answered);
}

void kernel_refuse(bool some)
{
	atomic_store(&refusing, some);
}

/* ---- the guest's descriptors ---- */

static int put(int fd, int number)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), old;

	if (copy < 0)
		return -PICO_EMFILE;
	pthread_mutex_lock(&table_lock);
	old = table[number];
	table[number] = copy + 1;
	pthread_mutex_unlock(&table_lock);
	if (old)
		close(old - 1);
	return 0;
}

int __wrap_pico__notify_grant(int listener, uint64_t id, int fd, int number)
{
	struct notification *n = known(listener, id);
	const char *why = world_granted(fd);

	if (why)
		fault("descriptor %d granted as %d is %s", fd, number, why);
	if (number < (int)PICO_FIRST_FD || number >= (int)NUMBERS)
		fault("descriptor granted as number %d", number);
	if (atomic_load(&n->answered))
		fault("descriptor granted after the answer");
	if (is_gone(n, id))
		return -PICO_EINTR;
	if (atomic_load(&refusing) && source_mix(id) % 8 == 1)
		return -PICO_EMFILE;
	return put(fd, number);
}

void kernel_guest_closes(int number)
{
	int old;

	if (number < 0 || number >= (int)NUMBERS)
		return;
	pthread_mutex_lock(&table_lock);
	old = table[number];
	table[number] = 0;
	pthread_mutex_unlock(&table_lock);
	if (old)
		close(old - 1);
}

/* What the filter allows on a descriptor, where it does not block. */
void kernel_guest_uses(struct source *s)
{
	unsigned number = PICO_FIRST_FD + source_below(s, 48);
	static const uint64_t words[8] = { UINT64_MAX - 1, 1, 7 };
	char bytes[64];
	struct iovec part = { bytes, sizeof(bytes) };
	struct pollfd p;
	int fd;

	pthread_mutex_lock(&table_lock);
	fd = table[number] ? fcntl(table[number] - 1, F_DUPFD_CLOEXEC, 0) : -1;
	pthread_mutex_unlock(&table_lock);
	if (fd < 0)
		return;
	p = (struct pollfd){ .fd = fd, .events = POLLIN | POLLOUT };
	memcpy(bytes, words, sizeof(bytes));
	part.iov_len = source_chance(s, 50) ? 8 : sizeof(bytes);
	if (poll(&p, 1, 0) > 0) {
		ssize_t n = 0;

		if (p.revents & POLLOUT)
			n = pwritev2(fd, &part, 1, -1, 0);
		else if (p.revents & POLLIN)
			n = preadv2(fd, &part, 1, -1, 0);
		(void)n;
	}
	close(fd);
}

uint64_t kernel_token(void)
{
	uint64_t token = atomic_fetch_add(&last_token, 1) + 1;

	if (token >= KERNEL_IDS)
		fault("a life of too many tokens");
	return token;
}

void kernel_ran(uint64_t token)
{
	if (token > atomic_load(&last_token))
		fault("request %llu of this life was never made", (unsigned long long)token);
	if (token && atomic_fetch_add(&runs[token], 1))
		fault("request %llu of this life ran twice", (unsigned long long)token);
}

/* ---- real thread ids ---- */

bool kid_make(struct kid *kid, const char *name)
{
	char *const arguments[] = { (char *)"sleep", (char *)"300", NULL }, *const environment[] = { NULL };

	if (posix_spawn(&kid->pid, world_sleeper(name), NULL, NULL, arguments, environment)) {
		kid->pid = 0;
		return false;
	}
	return true;
}

void kid_end(struct kid *kid, int *status)
{
	siginfo_t info = { 0 };

	kill(kid->pid, SIGKILL);
	if (waitid(P_PID, (id_t)kid->pid, &info, WEXITED | WNOWAIT))
		fault("a child of the fuzzer is gone");
	*status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
}

void kid_reap(struct kid *kid)
{
	waitpid(kid->pid, NULL, 0);
	kid->pid = 0;
}

/* ---- memory that cannot be had ---- */

__thread bool memory_mine;
static _Atomic uint32_t fails_one_in;
static _Atomic uint64_t allocations;

void memory_fails(uint32_t one_in)
{
	atomic_store(&fails_one_in, one_in);
}

static bool fails(void)
{
	uint32_t one_in = memory_mine ? 0 : atomic_load(&fails_one_in);

	if (!one_in || source_mix(atomic_fetch_add(&allocations, 1)) % one_in)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}
