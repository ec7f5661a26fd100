/* SPDX-License-Identifier: Apache-2.0
 *
 * System V semaphores: all operations or none, waits and what ends them, who
 * waits for what, undoing at the end of a process and between threads, limits,
 * permissions.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

union arg { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };
static void *volatile bad = (void *)8; /* no memory there */
static volatile sig_atomic_t got;
static void note(int n) { got = n; }

static int op(int id, int number, int value, int flags)
{
	struct sembuf b = { .sem_num = (unsigned short)number, .sem_op = (short)value, .sem_flg = (short)flags };

	return semop(id, &b, 1);
}

static int get(int id, int number, int cmd) { return semctl(id, number, cmd, (union arg){ 0 }); }
static int set(int id, int number, int value) { return semctl(id, number, SETVAL, (union arg){ .val = value }); }
static int drop(int id) { return semctl(id, 0, IPC_RMID, (union arg){ 0 }); }

static void until(int id, int number, int cmd, int count)
{
	for (int i = 0; i < 20000 && get(id, number, cmd) != count; i++)
		usleep(500);
	CHECK(get(id, number, cmd) == count);
}

static void child_ends_well(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void values(void)
{
	int id = semget(IPC_PRIVATE, 3, 0600);
	unsigned short v[3] = { 4, 5, 6 };
	struct semid_ds ds;
	time_t before = time(NULL);

	FAILS(semget(IPC_PRIVATE, 0, 0600), EINVAL);
	FAILS(semget(IPC_PRIVATE, -1, 0600), EINVAL);
	FAILS(semget(IPC_PRIVATE, 1 << 30, 0600), EINVAL);
	CHECK(id >= 0 && semctl(id, 0, IPC_STAT, (union arg){ .buf = &ds }) == 0);
	CHECK(ds.sem_nsems == 3 && ds.sem_otime == 0 && ds.sem_ctime >= before - 1 && ds.sem_perm.mode == 0600);
	CHECK(semctl(id, 0, SETALL, (union arg){ .array = v }) == 0 && get(id, 1, GETVAL) == 5);
	memset(v, 0, sizeof(v));
	CHECK(semctl(id, 99, GETALL, (union arg){ .array = v }) == 0 && v[0] == 4 && v[2] == 6);
	CHECK(get(id, 0, GETPID) == getpid() && get(id, 0, GETNCNT) == 0 && get(id, 0, GETZCNT) == 0);
	v[1] = 32768;
	FAILS(semctl(id, 0, SETALL, (union arg){ .array = v }), ERANGE);
	FAILS(semctl(id, 0, SETALL, (union arg){ .array = bad }), EFAULT);
	FAILS(semctl(id, 0, GETALL, (union arg){ .array = bad }), EFAULT);
	FAILS(semctl(id, 0, IPC_STAT, (union arg){ .buf = bad }), EFAULT);
	FAILS(semctl(id, 0, IPC_SET, (union arg){ .buf = bad }), EFAULT);
	FAILS(set(id, 0, -1), ERANGE);
	FAILS(set(id, 0, 32768), ERANGE);
	FAILS(set(id, 3, 1), EINVAL);
	FAILS(set(id, -1, 1), EINVAL);
	FAILS(get(id, 3, GETVAL), EINVAL);
	FAILS(get(-1, 0, GETVAL), EINVAL);
	FAILS(semctl(id, 0, 1234, (union arg){ 0 }), EINVAL);
	CHECK(op(id, 0, 3, 0) == 0 && get(id, 0, GETVAL) == 7 && op(id, 0, -7, 0) == 0 && op(id, 0, 0, 0) == 0);
	CHECK(semctl(id, 0, IPC_STAT, (union arg){ .buf = &ds }) == 0 && ds.sem_otime >= before - 1);
	ds.sem_perm.mode = 0666;
	CHECK(semctl(id, 0, IPC_SET, (union arg){ .buf = &ds }) == 0);
	CHECK(semctl(id, 0, IPC_STAT, (union arg){ .buf = &ds }) == 0 && ds.sem_perm.mode == 0666);
	FAILS(op(id, 0, -1, IPC_NOWAIT), EAGAIN);
	FAILS(op(id, 1, 0, IPC_NOWAIT), EAGAIN);
	FAILS(op(id, 3, 1, 0), EFBIG);
	FAILS(op(-1, 0, 1, 0), EINVAL);
	FAILS(semop(id, bad, 1), EFAULT);
	FAILS(semop(id, NULL, 0), EINVAL);
	FAILS(semop(id, NULL, 501), E2BIG);
	CHECK(set(id, 0, 32767) == 0);
	FAILS(op(id, 0, 1, 0), ERANGE);
	/* none, when one cannot be done */
	CHECK(set(id, 0, 1) == 0 && set(id, 1, 0) == 0);
	struct sembuf b[3] = { { 0, -1, 0 }, { 2, 1, 0 }, { 1, -1, IPC_NOWAIT } };
	FAILS(semop(id, b, 3), EAGAIN);
	CHECK(get(id, 0, GETVAL) == 1 && get(id, 2, GETVAL) == 6);
	b[2] = (struct sembuf){ 0, 0, IPC_NOWAIT }; /* sees what the first has done */
	CHECK(semop(id, b, 3) == 0 && get(id, 0, GETVAL) == 0 && get(id, 2, GETVAL) == 7);
	CHECK(drop(id) == 0);
	FAILS(get(id, 0, GETVAL), EINVAL);
	FAILS(op(id, 0, 1, 0), EINVAL);
}

static void keys_and_infos(void)
{
	const key_t key = (key_t)(0x51000000 | (getpid() & 0xffff) << 8);
	struct seminfo limits, used;
	struct semid_ds ds;
	int id = semget(key, 2, IPC_CREAT | IPC_EXCL | 0640), found = 0, last;

	CHECK(id >= 0 && semget(key, 2, 0) == id && semget(key, 0, 0600) == id && semget(key, 1, IPC_CREAT) == id);
	FAILS(semget(key, 3, 0), EINVAL);
	FAILS(semget(key, 2, IPC_CREAT | IPC_EXCL), EEXIST);
	last = semctl(0, 0, IPC_INFO, (union arg){ .info = &limits });
	CHECK(last >= 0 && limits.semvmx == 32767 && limits.semaem == 32767 && limits.semusz == 20 && limits.semopm > 0);
	CHECK(semctl(0, 0, SEM_INFO, (union arg){ .info = &used }) == last && used.semusz >= 1 && used.semaem >= 2);
	for (int i = 0; i <= last; i++)
		if (semctl(i, 0, SEM_STAT, (union arg){ .buf = &ds }) == id)
			found = ds.sem_nsems == 2 && ds.sem_perm.__key == key;
	CHECK(found);
	FAILS(semctl(0, 0, IPC_INFO, (union arg){ .info = bad }), EFAULT);
	FILE *f = fopen("/proc/sysvipc/sem", "r");
	char line[512];
	CHECK(f && fgets(line, sizeof(line), f) && strstr(line, "nsems"));
	for (found = 0; fgets(line, sizeof(line), f);) {
		int this_key, this_id, count;
		unsigned mode;
		CHECK(sscanf(line, "%d %d %o %d", &this_key, &this_id, &mode, &count) == 4);
		found |= this_id == id && this_key == key && mode == 0640 && count == 2;
	}
	CHECK(found);
	fclose(f);
	CHECK(drop(id) == 0);
	FAILS(semget(key, 2, 0), ENOENT);
}

/* ---- waiting ---- */

struct waiting { int id, number, value, flags, result, error; struct timespec *timeout; pthread_t thread; };
static void *wait_thread(void *p)
{
	struct waiting *w = p;
	struct sembuf b = { (unsigned short)w->number, (short)w->value, (short)w->flags };

	w->result = semtimedop(w->id, &b, 1, w->timeout);
	w->error = errno;
	return NULL;
}
static void start(struct waiting *w, int id, int number, int value)
{
	*w = (struct waiting){ .id = id, .number = number, .value = value };
	CHECK(pthread_create(&w->thread, NULL, wait_thread, w) == 0);
}
static void done(struct waiting *w) { CHECK(pthread_join(w->thread, NULL) == 0); }

static void waits(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	struct waiting w[4];
	struct timespec ts = { 0, 20000000 }, t0, t1;
	struct sembuf b = { 0, -1, 0 };
	pid_t pid;

	start(&w[0], id, 0, -2);
	until(id, 0, GETNCNT, 1);
	start(&w[1], id, 0, -1);
	until(id, 0, GETNCNT, 2);
	CHECK(get(id, 0, GETZCNT) == 0 && get(id, 1, GETNCNT) == 0);
	CHECK(op(id, 0, 1, 0) == 0); /* enough for the second only */
	done(&w[1]);
	CHECK(w[1].result == 0 && get(id, 0, GETNCNT) == 1 && get(id, 0, GETVAL) == 0);
	CHECK(set(id, 0, 3) == 0);
	done(&w[0]);
	CHECK(w[0].result == 0 && get(id, 0, GETVAL) == 1);
	start(&w[0], id, 0, 0);
	start(&w[1], id, 0, 0);
	until(id, 0, GETZCNT, 2);
	start(&w[2], id, 1, -1);
	until(id, 1, GETNCNT, 1);
	CHECK(op(id, 0, -1, 0) == 0);
	done(&w[0]);
	done(&w[1]);
	CHECK(w[0].result == 0 && w[1].result == 0);
	CHECK(semctl(id, 0, SETALL, (union arg){ .array = (unsigned short[]){ 0, 1 } }) == 0);
	done(&w[2]);
	CHECK(w[2].result == 0 && get(id, 1, GETVAL) == 0);
	/* time */
	clock_gettime(CLOCK_MONOTONIC, &t0);
	FAILS(semtimedop(id, &b, 1, &ts), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	CHECK((t1.tv_sec - t0.tv_sec) * 1000000000l + t1.tv_nsec - t0.tv_nsec >= 20000000);
	ts = (struct timespec){ 0, 0 };
	FAILS(semtimedop(id, &b, 1, &ts), EAGAIN);
	ts.tv_nsec = 1000000000;
	FAILS(semtimedop(id, &b, 1, &ts), EINVAL);
	ts = (struct timespec){ -1, 0 };
	FAILS(semtimedop(id, &b, 1, &ts), EINVAL);
	FAILS(semtimedop(id, &b, 1, bad), EFAULT);
	/* a signal, whatever SA_RESTART says */
	struct sigaction sa = { .sa_handler = note, .sa_flags = SA_RESTART };
	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		FAILS(op(id, 0, -1, 0), EINTR);
		CHECK(got == SIGUSR1);
		_exit(0);
	}
	until(id, 0, GETNCNT, 1);
	CHECK(kill(pid, SIGUSR1) == 0);
	child_ends_well(pid);
	CHECK(get(id, 0, GETNCNT) == 0);
	/* another process wakes; killed ones are gone from the queue */
	pid = fork();
	if (pid == 0)
		_exit(op(id, 0, -5, 0) != 0);
	until(id, 0, GETNCNT, 1);
	CHECK(op(id, 0, 5, 0) == 0);
	child_ends_well(pid);
	CHECK(get(id, 0, GETPID) == pid);
	pid = fork();
	if (pid == 0)
		_exit(op(id, 0, -5, 0) != 0);
	until(id, 0, GETNCNT, 1);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid && get(id, 0, GETNCNT) == 0);
	/* one of several operations waits: it is counted where it waits */
	pid = fork();
	if (pid == 0) {
		struct sembuf two[2] = { { 0, 0, 0 }, { 1, -1, 0 } };
		_exit(semop(id, two, 2) != 0);
	}
	until(id, 1, GETNCNT, 1);
	CHECK(get(id, 0, GETNCNT) == 0 && get(id, 0, GETZCNT) == 0);
	CHECK(op(id, 1, 1, 0) == 0);
	child_ends_well(pid);
	/* removed */
	start(&w[0], id, 0, -1);
	start(&w[1], id, 1, -1);
	until(id, 0, GETNCNT, 1);
	until(id, 1, GETNCNT, 1);
	CHECK(drop(id) == 0);
	done(&w[0]);
	done(&w[1]);
	CHECK(w[0].result == -1 && w[0].error == EIDRM && w[1].error == EIDRM);
}

/* ---- undoing ---- */

static void *undo_thread(void *p)
{
	int id = *(int *)p;

	CHECK(op(id, 0, 3, SEM_UNDO) == 0);
	return NULL;
}

static int alone(void *p)
{
	int id = *(int *)p;

	_exit(op(id, 0, 4, SEM_UNDO) != 0);
}

static void undo(const char *self)
{
	int id = semget(IPC_PRIVATE, 2, 0600);
	static char stack[65536] __attribute__((aligned(16)));
	char word[32];
	pthread_t t;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		CHECK(op(id, 0, 5, SEM_UNDO) == 0 && op(id, 0, -2, SEM_UNDO) == 0 && op(id, 1, 1, 0) == 0);
		CHECK(get(id, 0, GETVAL) == 3);
		_exit(0);
	}
	child_ends_well(pid);
	CHECK(get(id, 0, GETVAL) == 0 && get(id, 1, GETVAL) == 1 && get(id, 0, GETPID) == pid);
	/* a thread shares it with its process; a child has none of it */
	pid = fork();
	if (pid == 0) {
		CHECK(pthread_create(&t, NULL, undo_thread, &id) == 0 && pthread_join(t, NULL) == 0);
		CHECK(get(id, 0, GETVAL) == 3);
		pid_t grandchild = fork();
		if (grandchild == 0)
			_exit(0);
		child_ends_well(grandchild);
		CHECK(get(id, 0, GETVAL) == 3);
		_exit(0);
	}
	child_ends_well(pid);
	CHECK(get(id, 0, GETVAL) == 0);
	/* it lasts over exec */
	pid = fork();
	if (pid == 0) {
		CHECK(op(id, 0, 6, SEM_UNDO) == 0);
		snprintf(word, sizeof(word), "%d", id);
		execl(self, self, "undo", word, NULL);
		_exit(1);
	}
	child_ends_well(pid);
	CHECK(get(id, 0, GETVAL) == 0);
	/* a killed process pays, too; and who waits goes on */
	CHECK(set(id, 0, 1) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(op(id, 0, -1, SEM_UNDO) == 0);
		pause();
		_exit(1);
	}
	for (int i = 0; i < 20000 && get(id, 0, GETVAL); i++)
		usleep(500);
	struct waiting w;
	start(&w, id, 0, -1);
	until(id, 0, GETNCNT, 1);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	done(&w);
	CHECK(w.result == 0 && get(id, 0, GETVAL) == 0);
	/* never below zero; SETVAL and SETALL settle it */
	pid = fork();
	if (pid == 0) {
		CHECK(op(id, 0, 5, SEM_UNDO) == 0 && op(id, 0, -4, 0) == 0 && op(id, 1, 5, SEM_UNDO) == 0 && set(id, 1, 9) == 0);
		_exit(0);
	}
	child_ends_well(pid);
	CHECK(get(id, 0, GETVAL) == 0 && get(id, 1, GETVAL) == 9);
	FAILS(op(id, 0, -32768, SEM_UNDO | IPC_NOWAIT), EAGAIN);
	pid = fork();
	if (pid == 0) { /* not more than can be kept */
		CHECK(op(id, 0, 32767, SEM_UNDO) == 0 && op(id, 0, -32767, 0) == 0 && op(id, 0, 1, SEM_UNDO) == 0);
		FAILS(op(id, 0, 1, SEM_UNDO), ERANGE);
		_exit(0);
	}
	child_ends_well(pid);
	/* clone(2) says who shares it: this process of its own ends, and the thing stays done */
	CHECK(set(id, 0, 0) == 0);
	pid = clone(alone, stack + sizeof(stack), CLONE_SYSVSEM | CLONE_VM | SIGCHLD, &id);
	child_ends_well(pid);
	CHECK(get(id, 0, GETVAL) == 4);
	CHECK(unshare(CLONE_SYSVSEM) == 0 && get(id, 0, GETVAL) == 0);
	CHECK(drop(id) == 0);
	/* removed before it is undone */
	id = semget(IPC_PRIVATE, 1, 0600);
	pid = fork();
	if (pid == 0) {
		CHECK(op(id, 0, 1, SEM_UNDO) == 0 && drop(id) == 0);
		_exit(0);
	}
	child_ends_well(pid);
}

static void permissions(void)
{
	int id = semget(IPC_PRIVATE, 1, 0604);
	struct semid_ds ds;
	pid_t pid;

	if (geteuid() == 0) {
		pid = fork();
		if (pid == 0) {
			CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
			CHECK(get(id, 0, GETVAL) == 0 && op(id, 0, 0, 0) == 0);
			FAILS(op(id, 0, 1, 0), EACCES);
			FAILS(set(id, 0, 1), EACCES);
			FAILS(semctl(id, 0, SETALL, (union arg){ .array = (unsigned short[]){ 0 } }), EACCES);
			FAILS(drop(id), EPERM);
			CHECK(semctl(id, 0, IPC_STAT, (union arg){ .buf = &ds }) == 0);
			FAILS(semctl(id, 0, IPC_SET, (union arg){ .buf = &ds }), EPERM);
			_exit(0);
		}
		child_ends_well(pid);
	}
	CHECK(drop(id) == 0);
}

/* Processes that pass two tokens on, many times. */
static void race(void)
{
	enum { PROCESSES = 4, TURNS = 500 };
	int id = semget(IPC_PRIVATE, PROCESSES + 1, 0600);
	pid_t pids[PROCESSES];

	for (int n = 0; n < PROCESSES; n++)
		if ((pids[n] = fork()) == 0) {
			for (int i = 0; i < TURNS; i++) {
				struct sembuf b[2] = { { (unsigned short)n, -1, SEM_UNDO }, { PROCESSES, 1, 0 } };
				CHECK(semop(id, b, 2) == 0);
				b[0] = (struct sembuf){ (unsigned short)n, 1, SEM_UNDO };
				b[1] = (struct sembuf){ (unsigned short)((n + 1) % PROCESSES), 1, 0 };
				CHECK(semop(id, b, 2) == 0);
				CHECK(op(id, n, -1, 0) == 0);
			}
			_exit(0);
		}
	CHECK(op(id, 0, 1, 0) == 0 && op(id, 2, 1, 0) == 0);
	for (int n = 0; n < PROCESSES; n++)
		child_ends_well(pids[n]);
	int sum = 0;
	for (int n = 0; n < PROCESSES; n++)
		sum += get(id, n, GETVAL);
	CHECK(sum == 2 && get(id, PROCESSES, GETVAL) == PROCESSES * TURNS);
	CHECK(drop(id) == 0);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "undo"))
		return get(atoi(argv[2]), 0, GETVAL) != 6;
	values();
	keys_and_infos();
	waits();
	undo("/proc/self/exe");
	permissions();
	race();
	OK();
}
