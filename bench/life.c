/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host application pays: making, running and ending an instance with
 * the helper warm, one monitor request, the memory of an idle instance.
 * Prints a Markdown table.
 */
#include <pico/pico.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNS 300

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}
static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[n / 2];
}

static char request_line[128];
static void keep_line(void *user, int level, const char *line)
{
	(void)user;
	(void)level;
	if (strstr(line, "ns a request"))
		snprintf(request_line, sizeof(request_line), "%s", line);
}

struct job { const char *libos, *program; const char *const *argv; };
static int one(const struct job *job, double *create, double *all)
{
	struct pico_options o;
	struct pico *p;
	struct pico_exit e = { 0 };
	const struct pico_mount mounts[] = { { "/bin", "/bin", PICO_MOUNT_READ_ONLY, 0 } };
	struct pico_error error = { 0 };

	pico_options_init(&o);
	o.program = job->program;
	o.argv = job->argv;
	o.libos = job->libos;
	o.helper = "./pico-helper";
	o.mounts = mounts;
	o.mount_count = 1;
	o.log = keep_line;
	o.log_level = PICO_LOG_DEBUG;
	double start = now_us();
	if (pico_create(&o, &p, &error)) {
		fprintf(stderr, "life: %s\n", error.message);
		return -1;
	}
	*create = now_us() - start;
	int rc = pico_start(p);
	if (!rc)
		rc = pico_wait(p, -1, &e);
	pico_destroy(p);
	*all = now_us() - start;
	if (rc || e.kind != PICO_EXITED || e.code) {
		fprintf(stderr, "life: %s: rc %d kind %u code %d %s\n", job->program, rc, e.kind, e.code, e.message);
		return -1;
	}
	return 0;
}

static void repeat(const char *name, const struct job *job)
{
	static double create[RUNS], all[RUNS];

	for (int i = -3; i < RUNS; i++)
		if (one(job, &create[i < 0 ? 0 : i], &all[i < 0 ? 0 : i]))
			return;
	double c = median(create, RUNS), a = median(all, RUNS), slow = all[RUNS * 99 / 100];
	printf("| %s | create %.0f us, all %.0f us (p99 %.0f) |\n", name, c, a, slow);
}

/* Private memory of each process called like a picoprocess, from smaps_rollup. */
static long private_kib(const char *comm, int *count)
{
	DIR *d = opendir("/proc");
	long sum = 0;

	*count = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[300], line[256], name[64] = "";
		long value;
		FILE *f;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		if (e->d_name[0] < '0' || e->d_name[0] > '9' || !(f = fopen(path, "r")))
			continue;
		if (!fgets(name, sizeof(name), f))
			name[0] = 0;
		fclose(f);
		if (strncmp(name, comm, strlen(comm)))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", e->d_name);
		if (!(f = fopen(path, "r")))
			continue;
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, "Private_Clean: %ld", &value) == 1 || sscanf(line, "Private_Dirty: %ld", &value) == 1)
				sum += value;
		fclose(f);
		++*count;
	}
	if (d)
		closedir(d);
	return sum;
}

static void idle_memory(void)
{
	static const char *const argv[] = { "busybox", "sleep", "1000", NULL };
	const struct pico_mount mounts[] = { { "/bin", "/bin", PICO_MOUNT_READ_ONLY, 0 } };
	struct pico_options o;
	struct pico *p[20];
	int made = 0, count;

	pico_options_init(&o);
	o.program = "/bin/busybox";
	o.argv = argv;
	o.libos = "./libos-linux";
	o.helper = "./pico-helper";
	o.mounts = mounts;
	o.mount_count = 1;
	for (; made < 20; made++)
		if (pico_create(&o, &p[made], NULL) || pico_start(p[made]))
			break;
	usleep(300000);
	long kib = private_kib("pico", &count);
	if (made && count)
		printf("| private memory, idle busybox sleep, all its processes | %ld KiB an instance (%d processes for %d instances) |\n",
		       kib / made, count, made);
	while (made)
		pico_destroy(p[--made]);
}

int main(void)
{
	static const char *const true_argv[] = { "busybox", "true", NULL };
	static const char *const hello[] = { "hello", NULL }, *const request[] = { "time_request", NULL };
	struct pico_features f = { .size = sizeof(f) };
	double c, a;

	/* An instance that only stands there keeps guard and helper running. */
	struct pico_options o;
	struct pico *keep = NULL;
	pico_options_init(&o);
	o.program = "hello";
	o.libos = "./libos-bare";
	o.helper = "./pico-helper";
	if (pico_create(&o, &keep, NULL))
		return fprintf(stderr, "life: cannot make an instance: run in the build folder\n"), 1;
	if (pico_features("./pico-helper", &f) == 0)
		printf("kernel %s; missing: %s\n\n| what | measured |\n|---|---|\n", f.kernel, f.missing[0] ? f.missing : "nothing");
	repeat("static true (busybox), warm helper", &(struct job){ "./libos-linux", "/bin/busybox", true_argv });
	repeat("empty picoprocess (libos-bare)", &(struct job){ "./libos-bare", "hello", hello });
	if (one(&(struct job){ "./libos-bare", "time_request", request }, &c, &a) == 0)
		printf("| monitor request | %s |\n", request_line);
	idle_memory();
	pico_destroy(keep);
	return 0;
}
