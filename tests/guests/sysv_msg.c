/* SPDX-License-Identifier: Apache-2.0
 *
 * System V message queues: selection by type, sizes, a full queue, waits and
 * what ends them, MSG_COPY where the kernel has it, limits, permissions.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
struct message { long type; char text[64]; };
static void *volatile bad = (void *)8; /* no memory there */
static volatile sig_atomic_t got;
static void note(int n) { got = n; }

static int send(int id, long type, const char *text, int flags)
{
	struct message m = { .type = type };

	strcpy(m.text, text);
	return msgsnd(id, &m, strlen(text), flags);
}

/* The next one of this type is this text. */
static void expect(int id, long type, int flags, long type_got, const char *text)
{
	struct message m = { 0 };

	CHECK(msgrcv(id, &m, sizeof(m.text), type, flags | IPC_NOWAIT) == (ssize_t)strlen(text));
	CHECK(m.type == type_got && !strcmp(m.text, text));
}

static struct msqid_ds stat_of(int id)
{
	struct msqid_ds ds;

	CHECK(msgctl(id, IPC_STAT, &ds) == 0);
	return ds;
}

static void child_ends_well(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Until that process sleeps. */
static void asleep(pid_t pid)
{
	char name[64], state = 'R';

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	for (int i = 0; i < 20000 && state != 'S'; i++) {
		FILE *f = fopen(name, "r");
		CHECK(f && fscanf(f, "%*d %*s %c", &state) == 1);
		fclose(f);
		usleep(500);
	}
	CHECK(state == 'S');
}

static void types(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct message m;
	time_t before = time(NULL);

	struct msqid_ds ds = stat_of(id);
	CHECK(ds.msg_qnum == 0 && ds.msg_lspid == 0 && ds.msg_stime == 0 && ds.msg_qbytes >= 128 && ds.msg_ctime >= before - 1);
	CHECK(send(id, 5, "five", 0) == 0 && send(id, 3, "three", 0) == 0 && send(id, 7, "seven", 0) == 0 && send(id, 3, "again", 0) == 0);
	ds = stat_of(id);
	CHECK(ds.msg_qnum == 4 && ds.__msg_cbytes == 19 && ds.msg_lspid == getpid() && ds.msg_stime >= before - 1);
	expect(id, -6, 0, 3, "three");
	expect(id, -6, 0, 3, "again");
	expect(id, 5, MSG_EXCEPT, 7, "seven");
	CHECK(send(id, 1, "one", 0) == 0);
	expect(id, 0, 0, 5, "five");
	FAILS(msgrcv(id, &m, 64, 2, IPC_NOWAIT), ENOMSG);
	FAILS(msgrcv(id, &m, 64, -0x7fffffffffffffff - 1, IPC_NOWAIT | MSG_COPY), (ENOMSG));
	expect(id, -0x7fffffffffffffff - 1, 0, 1, "one");
	CHECK(stat_of(id).msg_lrpid == getpid() && stat_of(id).msg_rtime >= before - 1 && stat_of(id).msg_qnum == 0);
	CHECK(send(id, 1, "", 0) == 0);
	expect(id, 0, 0, 1, "");
	/* too long */
	CHECK(send(id, 2, "long text", 0) == 0);
	FAILS(msgrcv(id, &m, 4, 0, 0), E2BIG);
	CHECK(msgrcv(id, &m, 4, 0, MSG_NOERROR) == 4 && !memcmp(m.text, "long", 4) && stat_of(id).msg_qnum == 0);
	/* arguments */
	FAILS(send(id, 0, "x", 0), EINVAL);
	FAILS(send(id, -1, "x", 0), EINVAL);
	FAILS(send(-1, 1, "x", 0), EINVAL);
	FAILS(msgsnd(id, &m, (size_t)-1, 0), EINVAL);
	FAILS(msgsnd(id, bad, 1, 0), EFAULT);
	FAILS(msgrcv(id, &m, (size_t)-1, 0, 0), EINVAL);
	FAILS(msgrcv(-1, &m, 1, 0, 0), EINVAL);
	FAILS(msgctl(id, IPC_STAT, bad), EFAULT);
	FAILS(msgctl(id, IPC_SET, bad), EFAULT);
	FAILS(msgctl(id, 77, &ds), EINVAL);
	CHECK(send(id, 1, "lost", 0) == 0);
	FAILS(msgrcv(id, bad, 64, 0, 0), EFAULT);
	CHECK(stat_of(id).msg_qnum == 0);
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
	FAILS(msgctl(id, IPC_STAT, &ds), EINVAL);
	FAILS(send(id, 1, "x", 0), EINVAL);
}

static void copies(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct message m;

	CHECK(send(id, 9, "nine", 0) == 0 && send(id, 4, "four", 0) == 0);
	FAILS(msgrcv(id, &m, 64, 0, MSG_COPY), EINVAL);
	FAILS(msgrcv(id, &m, 64, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT), EINVAL);
	if (msgrcv(id, &m, 64, 1, MSG_COPY | IPC_NOWAIT) < 0) {
		CHECK(errno == ENOSYS);
	} else {
		CHECK(m.type == 4 && !memcmp(m.text, "four", 4));
		expect(id, 0, MSG_COPY, 9, "nine");
		FAILS(msgrcv(id, &m, 64, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
		FAILS(msgrcv(id, &m, 1, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
	}
	CHECK(stat_of(id).msg_qnum == 2 && msgctl(id, IPC_RMID, NULL) == 0);
}

static void keys_and_infos(void)
{
	const key_t key = (key_t)(0x52000000 | (getpid() & 0xffff) << 8);
	struct msginfo limits, used;
	struct msqid_ds ds;
	int id, last, found = 0;

	FAILS(msgget(key, 0600), ENOENT);
	id = msgget(key, IPC_CREAT | IPC_EXCL | 0640);
	CHECK(id >= 0 && msgget(key, 0600) == id && msgget(key, IPC_CREAT) == id);
	FAILS(msgget(key, IPC_CREAT | IPC_EXCL), EEXIST);
	CHECK(send(id, 1, "abc", 0) == 0);
	last = msgctl(0, IPC_INFO, (struct msqid_ds *)&limits);
	CHECK(last >= 0 && limits.msgmax > 0 && limits.msgmnb > 0 && limits.msgmni > 0 && limits.msgssz == 16 && limits.msgseg == 0xffff);
	CHECK(msgctl(0, MSG_INFO, (struct msqid_ds *)&used) == last && used.msgpool >= 1 && used.msgmap >= 1 && used.msgtql >= 3);
	for (int i = 0; i <= last; i++)
		if (msgctl(i, MSG_STAT, &ds) == id)
			found = ds.msg_qnum == 1 && ds.msg_perm.__key == key && ds.msg_perm.mode == 0640;
	CHECK(found);
	FILE *f = fopen("/proc/sysvipc/msg", "r");
	char line[512];
	CHECK(f && fgets(line, sizeof(line), f) && strstr(line, "qnum"));
	for (found = 0; fgets(line, sizeof(line), f);) {
		int this_key, this_id, bytes, count;
		unsigned mode;
		CHECK(sscanf(line, "%d %d %o %d %d", &this_key, &this_id, &mode, &bytes, &count) == 5);
		found |= this_id == id && this_key == key && mode == 0640 && bytes == 3 && count == 1;
	}
	CHECK(found);
	fclose(f);
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static void waits(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct sigaction sa = { .sa_handler = note, .sa_flags = SA_RESTART };
	struct message m = { .type = 1 };
	pid_t pid, other;

	/* handed over, to the one who asked for it */
	pid = fork();
	if (pid == 0) {
		CHECK(msgrcv(id, &m, 64, 2, 0) == 3 && !memcmp(m.text, "two", 3));
		_exit(0);
	}
	asleep(pid);
	CHECK(send(id, 1, "one", 0) == 0 && send(id, 2, "two", 0) == 0);
	child_ends_well(pid);
	CHECK(stat_of(id).msg_qnum == 1 && stat_of(id).msg_lrpid == pid);
	expect(id, 0, 0, 1, "one");
	/* too big for one who waits */
	pid = fork();
	if (pid == 0) {
		FAILS(msgrcv(id, &m, 2, 0, 0), E2BIG);
		_exit(0);
	}
	asleep(pid);
	CHECK(send(id, 1, "big", 0) == 0);
	child_ends_well(pid);
	expect(id, 0, 0, 1, "big");
	/* full */
	struct msqid_ds ds = stat_of(id);
	ds.msg_qbytes = 10;
	CHECK(msgctl(id, IPC_SET, &ds) == 0);
	CHECK(send(id, 1, "eight888", IPC_NOWAIT) == 0);
	FAILS(send(id, 1, "abc", IPC_NOWAIT), EAGAIN);
	pid = fork();
	if (pid == 0)
		_exit(send(id, 3, "abc", 0) != 0);
	asleep(pid);
	expect(id, 0, 0, 1, "eight888");
	child_ends_well(pid);
	expect(id, 0, 0, 3, "abc");
	CHECK(send(id, 1, "eight888", IPC_NOWAIT) == 0);
	pid = fork();
	if (pid == 0)
		_exit(send(id, 3, "abc", 0) != 0);
	asleep(pid);
	ds.msg_qbytes = 100; /* room made by decree */
	CHECK(msgctl(id, IPC_SET, &ds) == 0);
	child_ends_well(pid);
	CHECK(stat_of(id).msg_qnum == 2);
	expect(id, 0, 0, 1, "eight888");
	expect(id, 0, 0, 3, "abc");
	/* empty messages fill it, too */
	ds.msg_qbytes = 2;
	CHECK(msgctl(id, IPC_SET, &ds) == 0 && send(id, 1, "", IPC_NOWAIT) == 0 && send(id, 1, "", IPC_NOWAIT) == 0);
	FAILS(send(id, 1, "", IPC_NOWAIT), EAGAIN);
	expect(id, 0, 0, 1, "");
	expect(id, 0, 0, 1, "");
	/* signals: never restarted after a handler; forgotten ones do not count */
	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		FAILS(msgrcv(id, &m, 64, 0, 0), EINTR);
		CHECK(got == SIGUSR1 && msgrcv(id, &m, 64, 0, 0) == 1);
		_exit(0);
	}
	asleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0);
	usleep(10000);
	asleep(pid);
	CHECK(kill(pid, SIGWINCH) == 0 && kill(pid, SIGSTOP) == 0 && kill(pid, SIGCONT) == 0);
	usleep(10000);
	CHECK(send(id, 1, "x", 0) == 0);
	child_ends_well(pid);
	/* killed while it waits; removed while they wait */
	pid = fork();
	if (pid == 0)
		_exit(msgrcv(id, &m, 64, 0, 0) != 0);
	asleep(pid);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	CHECK(send(id, 1, "", 0) == 0 && send(id, 1, "", 0) == 0);
	pid = fork();
	if (pid == 0) {
		FAILS(send(id, 1, "", 0), EIDRM);
		_exit(0);
	}
	other = fork();
	if (other == 0) {
		FAILS(msgrcv(id, &m, 64, 7, 0), EIDRM);
		_exit(0);
	}
	asleep(pid);
	asleep(other);
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
	child_ends_well(pid);
	child_ends_well(other);
}

static void permissions(void)
{
	int id = msgget(IPC_PRIVATE, 0604);
	struct msqid_ds ds;
	struct message m;
	pid_t pid;

	CHECK(send(id, 1, "x", 0) == 0);
	if (geteuid() == 0) {
		pid = fork();
		if (pid == 0) {
			CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
			FAILS(send(id, 1, "y", 0), EACCES);
			CHECK(msgrcv(id, &m, 64, 0, 0) == 1 && msgctl(id, IPC_STAT, &ds) == 0);
			FAILS(msgctl(id, IPC_SET, &ds), EPERM);
			FAILS(msgctl(id, IPC_RMID, NULL), EPERM);
			int own = msgget(IPC_PRIVATE, 0600);
			ds = stat_of(own);
			ds.msg_qbytes = 1 << 30;
			FAILS(msgctl(own, IPC_SET, &ds), EPERM);
			CHECK(msgctl(own, IPC_RMID, NULL) == 0);
			id = msgget(IPC_PRIVATE, 0200);
			CHECK(send(id, 1, "x", 0) == 0);
			FAILS(msgrcv(id, &m, 64, 0, 0), EACCES);
			FAILS(msgctl(id, IPC_STAT, &ds), EACCES);
			CHECK(msgctl(id, IPC_RMID, NULL) == 0);
			_exit(0);
		}
		child_ends_well(pid);
	}
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

/* Many writers, many readers: every message arrives once. */
static void crowd(void)
{
	enum { WRITERS = 3, READERS = 3, COUNT = 3000 };
	int id = msgget(IPC_PRIVATE, 0600);
	pid_t writers[WRITERS], readers[READERS];
	struct { long type; int value; } m;
	long sum = 0, want = 0;

	int results = msgget(IPC_PRIVATE, 0600);
	for (int n = 0; n < READERS; n++)
		if ((readers[n] = fork()) == 0) {
			struct { long type; long sum; } r = { 1, 0 };
			for (;;) {
				CHECK(msgrcv(id, &m, sizeof(m.value), -9, 0) == sizeof(m.value));
				if (m.type == 9)
					break;
				r.sum += m.value;
			}
			CHECK(msgsnd(results, &r, sizeof(r.sum), 0) == 0);
			_exit(0);
		}
	for (int n = 0; n < WRITERS; n++)
		if ((writers[n] = fork()) == 0) {
			m.type = n + 1;
			for (m.value = n; m.value < COUNT; m.value += WRITERS)
				CHECK(msgsnd(id, &m, sizeof(m.value), 0) == 0);
			_exit(0);
		}
	for (int n = 0; n < WRITERS; n++)
		child_ends_well(writers[n]);
	m.type = 9;
	for (int n = 0; n < READERS; n++)
		CHECK(msgsnd(id, &m, sizeof(m.value), 0) == 0);
	for (int n = 0; n < READERS; n++) {
		struct { long type; long sum; } r;
		child_ends_well(readers[n]);
		CHECK(msgrcv(results, &r, sizeof(r.sum), 0, 0) == sizeof(r.sum));
		sum += r.sum;
	}
	for (int i = 0; i < COUNT; i++)
		want += i;
	CHECK(sum == want && msgctl(id, IPC_RMID, NULL) == 0 && msgctl(results, IPC_RMID, NULL) == 0);
}

int main(void)
{
	types();
	copies();
	keys_and_infos();
	waits();
	permissions();
	crowd();
	OK();
}
