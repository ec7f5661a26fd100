/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the helper share: orders, library OS images made byte by
 * byte, and a look at the processes of a helper's session. Uses
 * lib/monitor/spawn.h alone.
 */
#ifndef PICO_TEST_SPAWN_HOST_H
#define PICO_TEST_SPAWN_HOST_H

#include <criterion/criterion.h>

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/spawn.h"

#define SEGMENT_SIZE (64ull << 20)
#define TEXT 0x1000u /* of the image: header page, then code */

/* ---- places and orders ---- */

static inline const char *helper_path(void)
{
	static char path[4096];
	const char *given = getenv("PICO_HELPER"), *builddir = getenv("builddir");
	if (given)
		return given;
	snprintf(path, sizeof path, "%s/pico-helper", builddir ? builddir : ".");
	return path;
}

struct world {
	int mailbox, segment, boot, libos;
	struct pico_spawn_order order;
	struct pico__spawn_error error;
};

struct image { /* a library OS of two pages */
	struct pico_libos_header header;
	Elf64_Ehdr elf;
	Elf64_Phdr part[3];
};

static inline struct image good_image(void)
{
	uint64_t code = PICO_LIBOS_BASE + TEXT;
	return (struct image){
		.header = { .magic = PICO_LIBOS_MAGIC, .abi_version = PICO_ABI_VERSION,
			    .initialize = (pico_initialize_fn)code, .thread_start = (pico_thread_start_fn)code,
			    .exception = (pico_exception_fn)code },
		.elf = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC,
			 .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(Elf64_Ehdr),
			 .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3 },
		.part = { { PT_LOAD, PF_R, 0x1000, PICO_LIBOS_BASE, 0, 0x1000, 0x1000, 0x1000 },
			  { PT_LOAD, PF_R | PF_X, 0x2000, PICO_LIBOS_BASE + TEXT, 0, 0x1000, 0x1000, 0x1000 },
			  { PT_LOAD, PF_R | PF_W, 0x3000, PICO_LIBOS_BASE + 0x2000, 0, 0x10, 0x5000, 0x1000 } },
	};
}

static inline int memory_file(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	cr_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static inline int image_file(const struct image *image)
{
	int fd = memory_file(0x4000);
	cr_assert(pwrite(fd, &image->elf, sizeof image->elf, 0) > 0);
	cr_assert(pwrite(fd, image->part, sizeof image->part, sizeof image->elf) > 0);
	cr_assert(pwrite(fd, &image->header, sizeof image->header, 0x1000) > 0);
	return fd;
}

static inline struct world make_world(void)
{
	struct image image = good_image();
	struct world w = { .mailbox = memory_file(PICO_MAILBOX_SIZE), .segment = memory_file(SEGMENT_SIZE),
			   .boot = memory_file(4096), .libos = image_file(&image),
			   .order = { .segment_size = SEGMENT_SIZE, .boot_size = 100, .name = "test-seed" } };
	return w;
}

static inline int order_seed(struct world *w, struct pico__helper *h, struct pico__seed *seed)
{
	return pico__helper_seed(h, &w->order, w->mailbox, w->segment, w->boot, w->libos, seed, &w->error);
}

static inline struct pico__helper *get_helper(void)
{
	struct pico__spawn_error e = { 0 };
	struct pico__helper *h = NULL;
	int status = pico__helper_get(helper_path(), &h, &e);
	cr_assert_eq(status, 0, "%s: errno %d", e.where, e.host_errno);
	return h;
}

static inline struct pico__seed get_seed(struct pico__helper *h)
{
	struct world w = make_world();
	struct pico__seed seed = { -1, -1, 0 };
	int status = order_seed(&w, h, &seed);
	cr_assert_eq(status, 0, "%d: %s: errno %d", status, w.error.where, w.error.host_errno);
	close(w.mailbox), close(w.segment), close(w.boot), close(w.libos);
	return seed;
}

static inline void drop_seed(struct pico__seed *seed)
{
	close(seed->listener);
	close(seed->pidfd);
}

/* ---- looking at processes ---- */

static inline double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline pid_t pid_of(int pidfd)
{
	char path[64], line[256];
	int pid = -1;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	if (f)
		fclose(f);
	return pid;
}

struct process { int pid, parent, session; unsigned flags; char state, name[32]; };
#define EXITING 4u /* PF_EXITING: dead, but for a parent that is slow to reap its children */

static inline int read_process(int pid, struct process *p)
{
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f || !fgets(line, sizeof line, f)) {
		if (f)
			fclose(f);
		return -1;
	}
	fclose(f);
	char *end = strrchr(line, ')');
	*end = 0;
	p->pid = pid;
	snprintf(p->name, sizeof p->name, "%s", strchr(line, '(') + 1);
	return sscanf(end + 2, "%c %d %*d %d %*d %*d %u", &p->state, &p->parent, &p->session, &p->flags) == 4 ? 0 : -1;
}

/* Living members of the helper's session; *found is the one of that name. */
static inline int count_session(int session, const char *name, int *found)
{
	int count = 0;
	struct process p;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	while ((entry = readdir(proc))) {
		int pid = atoi(entry->d_name);
		if (pid <= 0 || read_process(pid, &p) || p.session != session || (p.flags & EXITING))
			continue;
		count++;
		if (name && !strcmp(p.name, name))
			*found = pid;
	}
	closedir(proc);
	return count;
}

static inline int session_of(int pidfd)
{
	struct process p;
	cr_assert_eq(read_process(pid_of(pidfd), &p), 0);
	cr_assert_eq(p.parent, p.session, "the helper is the seed's parent");
	return p.session;
}

static inline bool gone_within_a_second(int session)
{
	double end = now() + 1;
	while (count_session(session, NULL, NULL))
		if (now() > end)
			return false;
	return true;
}

/* Runs f in a forked copy; its exit status. */
static inline int in_child(int (*f)(void))
{
	int status;
	pid_t pid = fork();
	if (!pid)
		_exit(f());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* A whole use without assertions, for strange surroundings. 0 is good. */
static inline int use_once_with(uint32_t must, uint32_t must_not)
{
	struct pico__spawn_error e;
	struct pico__helper *h;
	struct pico__seed seed;
	struct world w = make_world();
	if (pico__helper_get(helper_path(), &h, &e)) {
		fprintf(stderr, "get: %s: %s\n", e.where, strerror(e.host_errno));
		return 1;
	}
	if (order_seed(&w, h, &seed)) {
		fprintf(stderr, "seed: %s: %s\n", w.error.where, strerror(w.error.host_errno));
		return 2;
	}
	uint32_t features = pico__helper_features(h);
	if ((features & must) != must || (features & must_not)) {
		fprintf(stderr, "features %x\n", features);
		return 3;
	}
	struct pollfd p = { .fd = seed.listener, .events = POLLIN };
	if (poll(&p, 1, 2000) != 1 || !(p.revents & POLLIN))
		return 4;
	drop_seed(&seed);
	pico__helper_put(h);
	return 0;
}

static inline int use_once(void)
{
	return use_once_with(0, 0);
}

static inline struct pico__helper *get_helper_quietly(void)
{
	struct pico__helper *h = NULL;
	return pico__helper_get(helper_path(), &h, NULL) ? NULL : h;
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close(fd);
}

/* Into a user namespace, under this id, where no other may be made. */
static inline int leave_user_namespaces(unsigned id)
{
	char map[64];
	unsigned uid = geteuid(), gid = getegid();
	if (syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */))
		return -1;
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "%u %u 1", id, uid);
	write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "%u %u 1", id, gid);
	write_text("/proc/self/gid_map", map);
	write_text("/proc/sys/user/max_user_namespaces", "0");
	return 0;
}

#endif
