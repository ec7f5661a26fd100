/* SPDX-License-Identifier: Apache-2.0
 *
 * Times commands in pairs, interleaved in one run: native and in a picoprocess
 * (and under bubblewrap where it is installed), wall time of the whole process,
 * from posix_spawn to its end. Prints a Markdown table, or JSON with --json.
 *
 * usage: pairs [--json] [--runs N] [--pico FILE] [NAME...]
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX 1000
#define ARGS_MAX 16

extern char **environ;
struct command { const char *name; int runs; const char *argv[ARGS_MAX]; };

/* Short names, whole programs; each must be quick enough to run tens of times. */
static const struct command commands[] = {
	{ "true", 200, { "/bin/true" } },
	{ "busybox true (static)", 200, { "/bin/busybox", "true" } },
	{ "python3 -S -c pass", 40, { "/usr/bin/python3", "-S", "-c", "pass" } },
	{ "perl -e 1", 60, { "/usr/bin/perl", "-e", "1" } },
	{ "xz -6 of 8 MB", 7, { "/usr/bin/xz", "-6", "-c", "-T1", "/tmp/pico-bench/data" } },
	{ "gzip of 8 MB", 9, { "/bin/gzip", "-c", "/tmp/pico-bench/data" } },
	{ "openssl sha256 of 64 MB", 11, { "/usr/bin/openssl", "dgst", "-sha256", "/tmp/pico-bench/big" } },
	{ "sqlite3 in memory", 7, { "/usr/bin/sqlite3", ":memory:",
		"with recursive c(x) as (select 1 union all select x+1 from c where x<400000) select sum(x*x%7) from c;"
		"create table t(a,b); insert into t with recursive c(x) as (select 1 union all select x+1 from c where x<150000) select x, hex(x*7919) from c;"
		"create index i on t(b); select count(*) from t where b like '3%';" } },
	{ "python3 loop", 7, { "/usr/bin/python3", "-S", "-c", "s=0\nd={}\nfor i in range(1500000):\n s+=i*i%7\n d[i%1000]=s\nprint(s)" } },
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t run(const char *const *argv, bool *ok)
{
	posix_spawn_file_actions_t a;
	pid_t pid;
	int status = -1;

	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, 1, "/dev/null", O_WRONLY, 0);
	uint64_t start = now();
	if (posix_spawn(&pid, argv[0], &a, NULL, (char *const *)(uintptr_t)argv, environ) == 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	uint64_t end = now();
	posix_spawn_file_actions_destroy(&a);
	*ok = status == 0;
	return end - start;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}
static double median_ms(uint64_t *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return (double)v[n / 2] / 1e6;
}

static void with_prefix(const char **out, const char *const *prefix, const char *const *argv)
{
	int n = 0;
	while (*prefix)
		out[n++] = *prefix++;
	while (*argv)
		out[n++] = *argv++;
	out[n] = NULL;
}

static bool wanted(const char *name, int argc, char **argv, int first)
{
	if (first >= argc)
		return true;
	for (int i = first; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return false;
}

static int make_data(const char *name, size_t size)
{
	/* Text-like and repeatable: words by a small generator. */
	FILE *f = fopen(name, "wx");
	uint64_t x = 88172645463325252u;
	if (!f)
		return errno == EEXIST ? 0 : -1;
	for (size_t n = 0; n < size;) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		n += (size_t)fprintf(f, "%s%llu ", x % 3 ? "word" : "other\n", (unsigned long long)(x % 5000));
	}
	return fclose(f);
}

int main(int argc, char **argv)
{
	const char *pico = "./pico";
	bool json = false;
	int runs = 0, first = 1;

	for (; first < argc && argv[first][0] == '-'; first++) {
		if (!strcmp(argv[first], "--json"))
			json = true;
		else if (!strcmp(argv[first], "--runs") && first + 1 < argc)
			runs = atoi(argv[++first]);
		else if (!strcmp(argv[first], "--pico") && first + 1 < argc)
			pico = argv[++first];
		else
			return fprintf(stderr, "pairs: unknown option %s\n", argv[first]), 2;
	}
	if (system("mkdir -p /tmp/pico-bench") || make_data("/tmp/pico-bench/data", 8 << 20) || make_data("/tmp/pico-bench/big", 64 << 20))
		return perror("/tmp/pico-bench"), 1;
	const char *const prefix_pico[] = { pico, "run", "--mount", "/tmp/pico-bench", "--mount", "/usr", "--mount", "/bin", "--mount", "/lib",
		"--mount", "/lib64", "--mount", "/etc", "--", NULL };
	const char *const prefix_bwrap[] = { "/usr/bin/bwrap", "--unshare-all", "--dev-bind", "/", "/", "--", NULL };
	bool bwrap = access(prefix_bwrap[0], X_OK) == 0;

	if (!json)
		printf("| command | native ms | pico ms | ratio | bwrap ratio |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];
		static uint64_t t[3][RUNS_MAX];
		const char *in_pico[64], *in_bwrap[64];
		int n = runs ? runs : c->runs;
		bool ok[3] = { true, true, bwrap }, once;

		if (!wanted(c->name, argc, argv, first) || access(c->argv[0], X_OK))
			continue;
		if (n > RUNS_MAX)
			n = RUNS_MAX;
		with_prefix(in_pico, prefix_pico, c->argv);
		with_prefix(in_bwrap, prefix_bwrap, c->argv);
		for (int k = -1; k < n; k++) { /* the first round warms the caches */
			int at = k < 0 ? 0 : k;
			t[0][at] = run(c->argv, &once), ok[0] &= once;
			t[1][at] = run(in_pico, &once), ok[1] &= once;
			if (bwrap)
				t[2][at] = run(in_bwrap, &once), ok[2] &= once;
			if (k < 0 && !(ok[0] && ok[1]))
				break; /* say so once */
		}
		double native = median_ms(t[0], n), inside = median_ms(t[1], n), boxed = bwrap ? median_ms(t[2], n) : 0;
		if (json)
			printf("{\"name\":\"%s\",\"runs\":%d,\"native_ms\":%.4f,\"pico_ms\":%.4f,\"ratio\":%.4f,\"bwrap_ms\":%.4f,\"ok\":%s}\n",
			       c->name, n, native, inside, inside / native, boxed, ok[0] && ok[1] ? "true" : "false");
		else if (!ok[1])
			printf("| %s | %.3f | failed | | |\n", c->name, native);
		else
			printf("| %s | %.3f | %.3f | %.3f | %.2f |\n", c->name, native, inside, inside / native, ok[2] ? boxed / native : 0.0);
		fflush(stdout);
	}
	return 0;
}
