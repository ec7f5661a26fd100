/* SPDX-License-Identifier: Apache-2.0
 *
 * System V shared memory: keys and ids, rules of attaching, who counts as
 * attached over fork, exec, exit, munmap and mprotect, removal, permissions,
 * and what several processes see of one segment.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul
static void *volatile bad = (void *)8; /* no memory there */

static key_t new_key(void) { return (key_t)(0x50000000 | (getpid() & 0xffff) << 8 | 1); }

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds ds;

	CHECK(shmctl(id, IPC_STAT, &ds) == 0);
	return ds;
}

static void child_ends_well(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void ids(void)
{
	const key_t key = new_key();
	time_t before = time(NULL);
	int id, other;

	FAILS(shmget(key, PAGE, 0600), ENOENT);
	FAILS(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
	FAILS(shmget(IPC_PRIVATE, ~0ul, IPC_CREAT | 0600), EINVAL);
	id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
	CHECK(id >= 0);
	FAILS(shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	FAILS(shmget(key, 5001, 0600), EINVAL);
	CHECK(shmget(key, 5000, 0) == id && shmget(key, 0, 0600) == id && shmget(key, 10, IPC_CREAT | 0600) == id);
	struct shmid_ds ds = stat_of(id);
	CHECK(ds.shm_segsz == 5000 && ds.shm_nattch == 0 && ds.shm_cpid == getpid() && ds.shm_lpid == 0);
	CHECK(ds.shm_perm.__key == key && ds.shm_perm.mode == 0640 && ds.shm_perm.uid == geteuid() && ds.shm_perm.cgid == getegid());
	CHECK(ds.shm_atime == 0 && ds.shm_dtime == 0 && ds.shm_ctime >= before - 1 && ds.shm_ctime <= time(NULL));
	other = shmget(IPC_PRIVATE, PAGE, 0600);
	CHECK(other >= 0 && other != id);
	CHECK(shmctl(other, IPC_RMID, NULL) == 0);
	FAILS(shmctl(other, IPC_STAT, &ds), EINVAL);
	FAILS(shmat(other, NULL, 0), (EINVAL));
	FAILS(shmctl(id, IPC_STAT, bad), EFAULT);
	FAILS(shmctl(id, IPC_SET, bad), EFAULT);
	FAILS(shmctl(id, 99, &ds), EINVAL);
	FAILS(shmctl(-1, IPC_STAT, &ds), EINVAL);
	ds = stat_of(id);
	ds.shm_perm.mode = 07777;
	CHECK(shmctl(id, IPC_SET, &ds) == 0 && stat_of(id).shm_perm.mode == 0777);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	FAILS(shmget(key, 1, 0), ENOENT);
}

static void infos(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE + 1, 0600), last, found = 0;
	struct shminfo limits;
	struct shm_info info;
	struct shmid_ds ds;

	CHECK(id >= 0);
	last = shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);
	CHECK(last >= 0 && limits.shmmin == 1 && limits.shmmni > 0 && limits.shmmax > 1 << 20 && limits.shmseg == limits.shmmni);
	CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&info) == last && info.used_ids >= 1 && info.shm_tot >= 4);
	for (int i = 0; i <= last; i++)
		if (shmctl(i, SHM_STAT, &ds) == id)
			found = ds.shm_segsz == 3 * PAGE + 1;
	CHECK(found);
	FAILS(shmctl(0, IPC_INFO, bad), EFAULT);
	FAILS(shmctl(0, SHM_INFO, bad), EFAULT);
	FILE *f = fopen("/proc/sysvipc/shm", "r");
	char line[512];
	found = 0;
	CHECK(f && fgets(line, sizeof(line), f) && strstr(line, "nattch"));
	while (fgets(line, sizeof(line), f)) {
		int key, this_id, mode;
		unsigned long size;
		CHECK(sscanf(line, "%d %d %o %lu", &key, &this_id, (unsigned *)&mode, &size) == 4);
		found |= this_id == id && key == 0 && mode == 0600 && size == 3 * PAGE + 1;
	}
	CHECK(found);
	fclose(f);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void attaching(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE + 10, 0600);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY), *room;

	CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
	CHECK(stat_of(id).shm_nattch == 2 && stat_of(id).shm_atime != 0 && stat_of(id).shm_lpid == getpid());
	for (unsigned long i = 0; i < 3 * PAGE; i++)
		CHECK(a[i] == 0);
	strcpy(a + 2 * PAGE, "here");
	CHECK(!strcmp(b + 2 * PAGE, "here"));
	FAILS(mprotect(b, PAGE, PROT_READ | PROT_WRITE), EACCES);
	FAILS(read(open("/dev/zero", O_RDONLY), b, 1), EFAULT);
	/* where it may go */
	room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(room != MAP_FAILED);
	FAILS(shmat(id, room + PAGE, 0), EINVAL);
	FAILS(shmat(id, room + 1, 0), EINVAL);
	FAILS(shmat(id, NULL, SHM_REMAP), EINVAL);
	FAILS(shmat(id, (void *)1, SHM_RND | SHM_REMAP), EINVAL);
	CHECK(munmap(room, 4 * PAGE) == 0);
	FAILS(shmat(id, room + 2 * PAGE, 0), EINVAL); /* its last page is taken */
	CHECK(shmat(id, room + PAGE + 100, SHM_RND) == room + PAGE && !strcmp(room + 3 * PAGE, "here"));
	CHECK(shmat(id, room + 4 * PAGE, SHM_REMAP) == room + 4 * PAGE && !strcmp(room + 6 * PAGE, "here"));
	CHECK(stat_of(id).shm_nattch == 4);
	FAILS(shmdt(room), EINVAL);
	FAILS(shmdt(room + 1), EINVAL);
	FAILS(shmdt(room + 2 * PAGE), EINVAL);
	CHECK(shmdt(room + PAGE) == 0 && shmdt(room + 4 * PAGE) == 0);
	FAILS(shmdt(room + PAGE), EINVAL);
	CHECK(stat_of(id).shm_nattch == 2 && stat_of(id).shm_dtime != 0);
	/* an attachment in pieces is one still, and counts for each */
	CHECK(mprotect(a + PAGE, PAGE, PROT_READ) == 0 && stat_of(id).shm_nattch == 4);
	CHECK(munmap(a + PAGE, PAGE) == 0 && stat_of(id).shm_nattch == 3);
	CHECK(!strcmp(a + 2 * PAGE, "here"));
	CHECK(shmdt(a) == 0 && stat_of(id).shm_nattch == 1);
	FAILS(read(open("/dev/zero", O_RDONLY), a + 2 * PAGE, 1), EFAULT);
	/* munmap of all of it is a detach, too; then it goes */
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(stat_of(id).shm_perm.mode & SHM_DEST && stat_of(id).shm_perm.__key == 0);
	a = shmat(id, NULL, SHM_EXEC); /* it is there as long as somebody has it */
	CHECK(a == (void *)-1 ? errno == EACCES : shmdt(a) == 0);
	CHECK(munmap(b, 3 * PAGE) == 0);
	FAILS(shmat(id, NULL, 0), (EINVAL));
}

/* Who is attached: parents, children, programs that exec. */
static void attached(const char *self)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600), p[2];
	volatile int *a = shmat(id, NULL, 0);
	char word[32], c;
	pid_t pid;

	CHECK(a != (void *)-1 && pipe(p) == 0);
	*a = 1;
	pid = fork();
	if (pid == 0) {
		CHECK(stat_of(id).shm_nattch == 2);
		*a = 2;
		CHECK(write(p[1], "x", 1) == 1);
		while (*a == 2)
			usleep(1000);
		_exit(0);
	}
	CHECK(read(p[0], &c, 1) == 1 && *a == 2 && stat_of(id).shm_nattch == 2);
	*a = 3;
	child_ends_well(pid);
	CHECK(stat_of(id).shm_nattch == 1 && stat_of(id).shm_lpid == pid);
	pid = fork();
	if (pid == 0) { /* exec detaches, and the segment is there by its id */
		snprintf(word, sizeof(word), "%d", id);
		execl(self, self, "attach", word, NULL);
		_exit(1);
	}
	child_ends_well(pid);
	CHECK(*a == 77 && stat_of(id).shm_nattch == 1);
	pid = vfork();
	if (pid == 0) {
		snprintf(word, sizeof(word), "%d", id);
		execl(self, self, "attach", word, NULL);
		_exit(1);
	}
	child_ends_well(pid);
	CHECK(stat_of(id).shm_nattch == 1);
	pid = fork();
	if (pid == 0) { /* killed, it is detached as well */
		pause();
		_exit(1);
	}
	CHECK(stat_of(id).shm_nattch == 2 && kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	CHECK(stat_of(id).shm_nattch == 1);
	CHECK(madvise((void *)a, PAGE, MADV_DONTFORK) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(stat_of(id).shm_nattch == 1);
		_exit(0);
	}
	child_ends_well(pid);
	CHECK(madvise((void *)a, PAGE, MADV_DOFORK) == 0);
	/* removed while a child has it: its memory stays */
	pid = fork();
	if (pid == 0) {
		CHECK(write(p[1], "x", 1) == 1);
		while (*a != 5)
			usleep(1000);
		CHECK(shmdt((void *)a) == 0);
		struct shmid_ds ds;
		FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
		_exit(0);
	}
	CHECK(read(p[0], &c, 1) == 1 && shmctl(id, IPC_RMID, NULL) == 0);
	*a = 5;
	CHECK(shmdt((void *)a) == 0);
	child_ends_well(pid);
	close(p[0]);
	close(p[1]);
}

static int attach_program(int id)
{
	int *a;

	CHECK(stat_of(id).shm_nattch == 1);
	a = shmat(id, NULL, 0);
	CHECK(a != (void *)-1 && (*a == 3 || *a == 77));
	*a = 77;
	CHECK(stat_of(id).shm_nattch == 2);
	return 0;
}

/* A futex in it wakes another process at another address. */
static void futexes(void)
{
	int id = shmget(IPC_PRIVATE, 2 << 20, 0600);
	int *a = shmat(id, NULL, 0);
	pid_t pid;

	CHECK(a != (void *)-1);
	pid = fork();
	if (pid == 0) {
		int *b = shmat(id, NULL, 0);
		CHECK(b != a && shmdt(a) == 0);
		while (__atomic_load_n(&b[300000], __ATOMIC_SEQ_CST) == 0)
			syscall(SYS_futex, &b[300000], FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(b[300000] != 9);
	}
	usleep(20000);
	__atomic_store_n(&a[300000], 9, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &a[300000], FUTEX_WAKE, 1, NULL, NULL, 0);
	child_ends_well(pid);
	CHECK(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static void locking(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);

	CHECK(shmctl(id, SHM_LOCK, NULL) == 0 && stat_of(id).shm_perm.mode & SHM_LOCKED);
	CHECK(shmctl(id, SHM_LOCK, NULL) == 0);
	CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0 && !(stat_of(id).shm_perm.mode & SHM_LOCKED));
	CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
	FAILS(shmctl(id, SHM_LOCK, NULL), EINVAL);
}

static void permissions(void)
{
	int id = shmget(new_key(), PAGE, IPC_CREAT | 0640), readable = shmget(IPC_PRIVATE, PAGE, 0604);
	struct shmid_ds ds;
	pid_t pid = 0;

	if (geteuid() == 0 && (pid = fork()) == 0) {
		CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
		FAILS(shmget(new_key(), PAGE, 0), ENOENT); /* another pid */
		FAILS(shmat(id, NULL, 0), EACCES);
		FAILS(shmat(id, NULL, SHM_RDONLY), EACCES);
		FAILS(shmctl(id, IPC_STAT, &ds), EACCES);
		FAILS(shmctl(id, IPC_RMID, NULL), EPERM);
		FAILS(shmctl(id, SHM_LOCK, NULL), EPERM);
		FAILS(shmat(readable, NULL, 0), EACCES);
		CHECK(shmat(readable, NULL, SHM_RDONLY) != (void *)-1);
		FAILS(shmat(readable, NULL, SHM_RDONLY | SHM_EXEC), EACCES);
		CHECK(shmctl(readable, IPC_STAT, &ds) == 0);
		FAILS(shmctl(readable, IPC_SET, &ds), EPERM);
		_exit(0);
	} else if (geteuid() == 0) {
		child_ends_well(pid);
	}
	if (geteuid() == 0 && (pid = fork()) == 0) { /* the owner may be changed, the maker not */
		ds = stat_of(id);
		ds.shm_perm.uid = 65534;
		CHECK(shmctl(id, IPC_SET, &ds) == 0 && setuid(65534) == 0);
		CHECK(stat_of(id).shm_perm.uid == 65534 && stat_of(id).shm_perm.cuid == 0);
		CHECK(shmat(id, NULL, 0) != (void *)-1);
		_exit(0);
	} else if (geteuid() == 0) {
		child_ends_well(pid);
	}
	CHECK(shmctl(id, IPC_RMID, NULL) == 0 && shmctl(readable, IPC_RMID, NULL) == 0);
}

static void names(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600), found = 0;
	char *a = shmat(id, NULL, 0), line[512], want[64];
	FILE *f = fopen("/proc/self/maps", "r");

	snprintf(want, sizeof(want), " %d ", id);
	while (fgets(line, sizeof(line), f))
		if (strtoul(line, NULL, 16) == (unsigned long)a)
			found = strstr(line, "rw-s") && strstr(line, "/SYSV00000000 (deleted)") && strstr(line, want);
	CHECK(found);
	fclose(f);
	char *moved = mremap(a, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 64 * PAGE);
	CHECK(moved == a + 64 * PAGE && stat_of(id).shm_nattch == 1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0 && shmdt(moved) == 0);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "attach"))
		return attach_program(atoi(argv[2]));
	ids();
	infos();
	attaching();
	attached("/proc/self/exe");
	futexes();
	locking();
	permissions();
	names();
	OK();
}
