/* SPDX-License-Identifier: Apache-2.0
 *
 * A program's start and execve: the auxiliary vector, arguments, errors of bad
 * files, #! lines, limits. Goes through a chain of itself by execve, each link
 * named by argv[1].
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

extern char **environ;
static char self[4096];

static void write_file(const char *name, const void *data, size_t size, int mode)
{
	unlink(name);
	umask(0);
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, (mode_t)mode);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void auxiliary(void)
{
	CHECK(getauxval(AT_PAGESZ) == 4096);
	CHECK(getauxval(AT_CLKTCK) == 100);
	CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
	CHECK(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
	CHECK(getauxval(AT_SECURE) == 0);
	CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
	CHECK(getauxval(AT_RANDOM) != 0 && getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
	CHECK(*(char *)getauxval(AT_EXECFN) != 0);
	const Elf64_Phdr *ph = (const Elf64_Phdr *)getauxval(AT_PHDR);
	int loads = 0;
	for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
		loads += ph[i].p_type == PT_LOAD;
	CHECK(loads > 0);
	const unsigned char *vdso = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
	CHECK(vdso && !memcmp(vdso, "\177ELF", 4));
	/* The stack pointer was aligned: the compiler counts on it. */
	_Alignas(16) volatile char a[16];
	CHECK(((uintptr_t)a & 15) == 0);
}

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct timespec a, b, c;
		CHECK(clock_gettime(ids[i], &a) == 0 && syscall(SYS_clock_gettime, ids[i], &b) == 0 && clock_gettime(ids[i], &c) == 0);
		int64_t x = a.tv_sec * 1000000000ll + a.tv_nsec, y = b.tv_sec * 1000000000ll + b.tv_nsec, z = c.tv_sec * 1000000000ll + c.tv_nsec;
		/* A coarse clock may stand one tick behind. */
		CHECK(y >= x - 20000000 && z >= y - 20000000 && z - x < 5000000000ll);
		CHECK(clock_getres(ids[i], &a) == 0);
	}
	FAILS(clock_gettime(99, &(struct timespec){ 0 }), EINVAL);
	struct timeval tv;
	CHECK(gettimeofday(&tv, NULL) == 0 && labs(tv.tv_sec - time(NULL)) < 2);
	unsigned cpu = ~0u;
	CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu < 4096);
}

static int try_exec(const char *name)
{
	char *argv[] = { (char *)name, NULL };
	errno = 0;
	execve(name, argv, environ);
	return errno;
}

/* A small valid file, then one field spoiled at a time: all are refused and we live on. */
static void bad_files(void)
{
	struct image { Elf64_Ehdr h; Elf64_Phdr p[2]; unsigned char code[64]; } good = {
		.h = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0x10000000,
			.e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
		},
		.p = {
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x10000000, .p_filesz = 240, .p_memsz = 240, .p_align = 4096 },
			{ .p_type = PT_NULL },
		},
	}, bad;
	char name[64];
	snprintf(name, sizeof(name), "/tmp/mm_exec.%d", (int)getpid());
#define REFUSED(...) do { bad = good; __VA_ARGS__; write_file(name, &bad, sizeof(bad), 0755); \
	int e = try_exec(name); if (e != ENOEXEC) { fprintf(stderr, "line %d: %s: errno %d\n", __LINE__, #__VA_ARGS__, e); exit(1); } } while (0)
	REFUSED(bad.h.e_ident[0] = 0);
	REFUSED(bad.h.e_type = ET_REL);
	REFUSED(bad.h.e_machine = EM_AARCH64);
	REFUSED(bad.h.e_phentsize = 8);
	REFUSED(bad.h.e_phnum = 0);
	REFUSED(bad.h.e_phnum = 60000);
	REFUSED(bad.p[0] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_filesz = 1 });
	REFUSED(bad.p[0] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_filesz = 100000 });
	REFUSED(bad.p[0] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_filesz = 7 }); /* no zero at the end */
	write_file(name, &good, 20, 0755);
	CHECK(try_exec(name) == ENOEXEC);
	write_file(name, "", 0, 0755);
	CHECK(try_exec(name) == ENOEXEC);
	write_file(name, "just text", 9, 0755);
	CHECK(try_exec(name) == ENOEXEC);
	write_file(name, &good, sizeof(good), 0644);
	CHECK(try_exec(name) == EACCES);
	bad = good;
	bad.p[1] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = offsetof(struct image, code), .p_filesz = 16 };
	strcpy((char *)bad.code, "/none/there/abc");
	write_file(name, &bad, sizeof(bad), 0755);
	CHECK(try_exec(name) == ENOENT);
	unlink(name);
	CHECK(try_exec(name) == ENOENT);
	CHECK(try_exec("/tmp") == EACCES);
	CHECK(try_exec("") == ENOENT);
	char below[4200];
	snprintf(below, sizeof(below), "%s/x", self);
	CHECK(try_exec(below) == ENOTDIR);
	FAILS(syscall(SYS_execve, 1, environ, environ), EFAULT);
	FAILS(syscall(SYS_execve, self, 1, environ), EFAULT);
	FAILS(execve(self, (char *[]){ (char *)1, NULL }, environ), EFAULT);
	char *big = malloc(200000);
	memset(big, 'x', 200000);
	big[199999] = 0;
	FAILS(execve(self, (char *[]){ self, big, NULL }, environ), E2BIG);
	big[131071] = 0;
	static char *many[100];
	for (int i = 0; i < 99; i++)
		many[i] = big;
	FAILS(execve(self, many, environ), E2BIG);
	free(big);
}

static void scripts(void)
{
	char name[64], text[600];
	snprintf(name, sizeof(name), "/tmp/mm_exec_s.%d", (int)getpid());
	write_file(name, "#!\n", 3, 0755);
	CHECK(try_exec(name) == ENOEXEC);
	write_file(name, "#!   \t \n", 8, 0755);
	CHECK(try_exec(name) == ENOEXEC);
	write_file(name, "#!/none/there\n", 14, 0755);
	CHECK(try_exec(name) == ENOENT);
	memset(text, 'x', sizeof(text));
	memcpy(text, "#!/", 3);
	write_file(name, text, sizeof(text), 0755);
	CHECK(try_exec(name) == ENOEXEC); /* a name without an end */
	snprintf(text, sizeof(text), "#!%s\n", name);
	write_file(name, text, strlen(text), 0755);
	CHECK(try_exec(name) == ELOOP);
	unlink(name);
}

static void next(const char *link, char *const env[])
{
	char *argv[] = { (char *)"name", (char *)link, (char *)"", (char *)"last argument", NULL };
	execve(self, argv, env);
	CHECK(!"execve came back");
}

static void link_script(void)
{
	char name[64], text[4200];
	snprintf(name, sizeof(name), "/tmp/mm_exec_t.%d", (int)getpid());
	if (strlen(self) > 200) {
		next("script-done", environ);
		return;
	}
	int n = snprintf(text, sizeof(text), "#! %s \t script  with blanks \nrest\n", self);
	write_file(name, text, (size_t)n, 0755);
	char *argv[] = { (char *)"lost", (char *)"kept", NULL };
	execve(name, argv, environ);
	CHECK(!"execve of a script came back");
}

static void chain(int argc, char **argv)
{
	const char *link = argv[1];
	auxiliary();
	if (!strcmp(link, "first")) {
		CHECK(argc == 4 && !strcmp(argv[0], "name") && !*argv[2] && !strcmp(argv[3], "last argument"));
		CHECK(environ[0] && !strcmp(environ[0], "A=1") && environ[1] && !strcmp(environ[1], "B=2") && !environ[2]);
		CHECK(fcntl(200, F_GETFD) == -1 && fcntl(201, F_GETFD) == 0);
		close(201);
		link_script();
	} else if (!strncmp(link, "script  with", 12)) {
		CHECK(argc == 4 && !strcmp(argv[0], self) && !strcmp(link, "script  with blanks") && !strncmp(argv[2], "/tmp/mm_exec_t.", 15) && !strcmp(argv[3], "kept"));
		unlink(argv[2]);
		next("script-done", environ);
	} else if (!strcmp(link, "script-done")) {
		next("no-environment", (char *[]){ NULL });
	} else if (!strcmp(link, "no-environment")) {
		CHECK(environ[0] == NULL);
		/* no arguments at all: the kernel adds an empty one */
		int fd = open(self, O_RDONLY | O_CLOEXEC);
		CHECK(fd >= 0);
		syscall(SYS_execveat, fd, "", NULL, (char *[]){ (char *)"LINK=fd", NULL }, AT_EMPTY_PATH);
		CHECK(!"execveat came back");
	}
}

int main(int argc, char **argv)
{
	const char *name = (char *)getauxval(AT_EXECFN);
	/* Of a script that is the script's name, and we are argv[0]. */
	CHECK(realpath(strncmp(name, "/tmp/mm_exec_t.", 15) ? name : argv[0], self) || !strncmp(name, "/dev/fd/", 8));
	if (argc > 1) {
		chain(argc, argv);
		return 1;
	}
	auxiliary();
	if (argc == 1 && !*argv[0] && getenv("LINK")) {
		CHECK(!strncmp((char *)getauxval(AT_EXECFN), "/dev/fd/", 8));
		OK();
	}
	clocks();
	bad_files();
	scripts();
	int fd = open("/dev/null", O_RDONLY);
	CHECK(dup3(fd, 200, O_CLOEXEC) == 200 && dup2(fd, 201) == 201);
	close(fd);
	next("first", (char *[]){ (char *)"A=1", (char *)"B=2", NULL });
	return 1;
}
