/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that a signal ends leaves its memory in the file "core", when it
 * may; what the file says is what the program held.
 */
#include "fs.h"
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static volatile char mark[] = "this is what the program held";
static char *heap;

static void *idle(void *arg)
{
	pause();
	return arg;
}

static void child(rlim_t limit, int dumpable)
{
	struct rlimit r;
	pthread_t t;

	CHECK(!getrlimit(RLIMIT_CORE, &r));
	r.rlim_cur = limit < r.rlim_max ? limit : r.rlim_max;
	CHECK(!setrlimit(RLIMIT_CORE, &r));
	CHECK(!prctl(PR_SET_DUMPABLE, dumpable));
	heap = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(heap != MAP_FAILED);
	strcpy(heap + 40960, "and this at another place");
	CHECK(!pthread_create(&t, NULL, idle, NULL));
	abort();
}

static int end_of(rlim_t limit, int dumpable)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid)
		child(limit, dumpable);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	return WCOREDUMP(status);
}

/* The byte of address a, in the image. */
static const char *find(const char *image, const Elf64_Ehdr *e, unsigned long a)
{
	const Elf64_Phdr *p = (const void *)(image + e->e_phoff);

	for (int i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && a >= p[i].p_vaddr && a < p[i].p_vaddr + p[i].p_filesz)
			return image + p[i].p_offset + (a - p[i].p_vaddr);
	return "";
}

static void look(const char *name)
{
	int fd = open(name, O_RDONLY);
	struct stat st;

	CHECK(fd >= 0 && !fstat(fd, &st) && (st.st_mode & 0777) == 0600 && st.st_size > (off_t)sizeof(Elf64_Ehdr));
	const char *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	const Elf64_Ehdr *e = (const void *)image;
	CHECK(image != MAP_FAILED && !memcmp(image, ELFMAG, SELFMAG) && e->e_type == ET_CORE && e->e_machine == EM_X86_64);
	const Elf64_Phdr *p = (const void *)(image + e->e_phoff);
	const Elf64_Nhdr *n = (const void *)(image + p->p_offset);
	CHECK(p->p_type == PT_NOTE && n->n_type == NT_PRSTATUS && n->n_descsz == 336);
	CHECK(!strcmp(find(image, e, (unsigned long)mark), (const char *)mark));
	CHECK(!munmap((void *)image, (size_t)st.st_size) && !close(fd));
}

static int says(const char *name, const char *text)
{
	char now[64] = "";
	int fd = open(name, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, now, sizeof(now) - 1) : -1;

	if (fd >= 0)
		close(fd);
	return n > 0 && !strcmp(now, text);
}

int main(int argc, char **argv)
{
	struct stat one, two;
	struct rlimit r;

	fs_enter(argc, argv);
	CHECK(!end_of(0, 1) && access("core", F_OK));
	CHECK(!getrlimit(RLIMIT_CORE, &r));
	if (says("/proc/sys/kernel/core_pattern", "core\n") && says("/proc/sys/kernel/core_uses_pid", "0\n") && r.rlim_max == RLIM_INFINITY) {
		CHECK(!end_of(RLIM_INFINITY, 0) && access("core", F_OK));
		CHECK(end_of(RLIM_INFINITY, 1));
		look("core");
		CHECK(!link("core", "other"));
		CHECK(end_of(RLIM_INFINITY, 1)); /* a new file, not over one with another name */
		CHECK(!stat("core", &one) && !stat("other", &two) && one.st_nlink == 1 && one.st_ino != two.st_ino);
		CHECK(!unlink("other") && !unlink("core"));
	}
	CHECK(!chdir("/") && !chdir(fs_dir));
	fs_leave();
	OK();
}
