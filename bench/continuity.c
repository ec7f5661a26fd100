/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots in figures: how long a guest stands still, how fast its memory is
 * written, how soon a restored one or a clone executes its first instruction.
 * The program is its own guest: `continuity guest MIB` touches so much memory,
 * then looks at the clock for ever and tells when it has seen a pause.
 *
 * usage: continuity [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <pico/pico.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS 500000u /* what the guest takes for one */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the guest ---- */

static int guest(size_t mib)
{
	uint64_t told[2] = { 0, 0 }; /* when it went on, and since when it stood */
	char *m = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < mib << 20; i += 64)
		m[i] = (char)(i / 64 + 1);
	if (write(1, told, sizeof(told)) != sizeof(told)) /* ready */
		return 1;
	for (uint64_t last = now(), t;; last = t) {
		t = now();
		if (t - last < PAUSE_NS)
			continue;
		told[0] = t;
		told[1] = last;
		if (write(1, told, sizeof(told)) != sizeof(told))
			return 1;
		t = now();
	}
}

/* ---- the host ---- */

static void die(const char *what, const struct pico_error *e)
{
	fprintf(stderr, "continuity: %s: %s %s\n", what, e ? e->where : strerror(errno), e ? e->message : "");
	exit(1);
}

static char self[4096];

static void grant(struct pico_options *o, struct pico_mount *m, int out)
{
	static const char *const trees[] = { "/usr", "/lib", "/lib64", "/bin" };

	pico_options_init(o);
	for (size_t i = 0; i < 4; i++)
		m[i] = (struct pico_mount){ trees[i], trees[i], PICO_MOUNT_READ_ONLY, 0 };
	m[4] = (struct pico_mount){ self, "/guest", PICO_MOUNT_READ_ONLY, 0 };
	o->mounts = m;
	o->mount_count = 5;
	o->stdio[1] = (struct pico_stdio){ .kind = PICO_STDIO_FD, .fd = out };
	o->stdio[2] = (struct pico_stdio){ .kind = PICO_STDIO_FD, .fd = 2 };
	o->program = "/guest";
}

/* What the guest tells, at the latest after a minute. */
static void hear(int fd, uint64_t told[2])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 60000) != 1 || read(fd, told, 16) != 16)
		die("the guest says nothing", NULL);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void row(const char *what, const char *mib, double *ms, int n)
{
	qsort(ms, (size_t)n, sizeof(*ms), compare);
	printf("| %s | %s | %.2f | %.2f |\n", what, mib, ms[n / 2], ms[n * 99 / 100]);
	fflush(stdout);
}

static void measure(const char *mib, int rounds)
{
	const char *argv[] = { "guest", "guest", mib, NULL };
	struct pico_mount m[5];
	struct pico_options o;
	struct pico_restore_options r;
	struct pico_snapshot_options s;
	struct pico_error e;
	struct pico *p, *q;
	uint64_t told[2];
	double *ms = calloc((size_t)rounds, sizeof(*ms));
	char path[] = "/dev/shm/pico-bench-XXXXXX";
	struct stat st;
	int out[2], again[2], fd = mkstemp(path);

	if (pipe(out) || pipe(again) || fd < 0 || !ms)
		die("start", NULL);
	grant(&o, m, out[1]);
	o.argv = argv;
	if (pico_create(&o, &p, &e) || pico_start(p))
		die("create", &e);
	hear(out[0], told);
	pico_snapshot_options_init(&s);
	s.path = path;
	for (int i = 0; i < 5; i++) {
		const uint64_t begin = now();
		if (pico_snapshot(p, &s))
			die("snapshot", pico_get_error(p));
		const double took = (double)(now() - begin) / 1e9;
		do
			hear(out[0], told); /* pauses of a busy machine before */
		while (told[0] < begin);
		ms[i] = (double)(told[0] - told[1]) / 1e6;
		if (stat(path, &st) == 0 && i == 4)
			printf("| written, MB/s; file | %s | %.0f | %.1f MiB |\n", mib, (double)st.st_size / 1e6 / took, (double)st.st_size / 1048576.0);
	}
	row("guest stands still, ms", mib, ms, 5);
	for (int i = 0; i < rounds; i++) {
		grant(&o, m, again[1]);
		pico_restore_options_init(&r);
		r.path = path;
		r.options = &o;
		const uint64_t begin = now();
		if (pico_restore(&r, &q, &e))
			die("restore", &e);
		hear(again[0], told);
		ms[i] = (double)(told[0] - begin) / 1e6;
		pico_destroy(q);
		while (poll(&(struct pollfd){ .fd = again[0], .events = POLLIN }, 1, 0) == 1)
			hear(again[0], told);
	}
	row("restore to the first instruction, ms", mib, ms, rounds);
	for (int i = 0; i < rounds / 4 + 1; i++) {
		grant(&o, m, again[1]);
		pico_restore_options_init(&r);
		r.options = &o;
		const uint64_t begin = now();
		if (pico_clone(p, &r, &q, &e))
			die("clone", &e);
		hear(again[0], told);
		ms[i] = (double)(told[0] - begin) / 1e6;
		pico_destroy(q);
		while (poll(&(struct pollfd){ .fd = again[0], .events = POLLIN }, 1, 0) == 1)
			hear(again[0], told);
	}
	row("clone to the first instruction, ms", mib, ms, rounds / 4 + 1);
	pico_destroy(p);
	unlink(path);
	free(ms);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "guest"))
		return guest((size_t)atoi(argv[2]));
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("self", NULL);
	const int rounds = argc > 1 ? atoi(argv[1]) : 40;
	puts("| what | MiB | median | p99 |\n|---|---|---|---|");
	measure("10", rounds);
	measure("100", rounds);
	measure("1024", rounds / 4 + 1);
	return 0;
}
