/* SPDX-License-Identifier: Apache-2.0
 *
 * The fuzzer of the monitor's requests, run in one of three ways:
 *   - by itself, with a seed and a count: `tests/fuzz/monitor --seed 7
 *     --requests 10000000`. The choices depend on the seed alone; the moments
 *     at which several threads meet do not, unless with --alone.
 *   - with files as arguments: each is an input that libFuzzer found.
 *   - by libFuzzer (`make fuzz`), which brings its own main. It writes its
 *     corpus below the working directory; for root, as the user nobody.
 * Knows nothing of what a request is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"

#define REQUESTS 300000u
#define LIFE 5000u /* requests of one instance */
#define LIFE_BYTES 400u /* the same, of libFuzzer's */
#define RESIDENT_GROWTH (96u << 20)
#define HEAP_GROWTH (256u << 10)

_Atomic uint64_t fuzz_done;
static uint64_t seed = 1;

void fault(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "fuzz: seed %llu, after %llu requests: ", (unsigned long long)seed, (unsigned long long)atomic_load(&fuzz_done));
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	world_keep();
	abort();
}

/* Sanitizers: freed memory is kept back for a while, but not without end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16:detect_stack_use_after_return=0";
}

static uint64_t one_life(struct source *s, const struct life_plan *plan)
{
	unsigned before = world_descriptors(), after;
	uint64_t made;

	world_reset();
	made = life_run(s, plan);
	after = world_descriptors();
	if (after != before)
		fault("%u descriptors before an instance's life, %u after it", before, after);
	world_check();
	return made;
}

/* ---- libFuzzer, or its inputs one by one ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	world_init(getenv("PICO_FUZZ_DIR"), ".");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct life_plan plan = { .failures = true, .requests = LIFE_BYTES };
	struct source s = source_bytes(data, size);

	one_life(&s, &plan);
	return 0;
}

#ifndef FUZZ_LIBFUZZER

static int run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	uint8_t *data;
	size_t size;

	if (!f || fstat(fileno(f), &st) || !S_ISREG(st.st_mode)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	data = malloc((size_t)st.st_size + 1);
	size = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

/* ---- the generator ---- */

static unsigned number, failed;

static void report(bool good, const char *name, const char *detail)
{
	printf("%s %u - %s%s%s\n", good ? "ok" : "not ok", ++number, name, *detail ? ": " : "", detail);
	failed += !good;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct measure { uint64_t heap, resident; };

static struct measure measure(void)
{
	return (struct measure){ world_memory(), world_resident() };
}

static void compare(struct measure early, struct measure late)
{
	char text[96];

	snprintf(text, sizeof(text), "heap %+lld KiB, resident %+lld KiB", ((long long)late.heap - (long long)early.heap) / 1024,
		 ((long long)late.resident - (long long)early.resident) / 1024);
	report(late.heap <= early.heap + HEAP_GROWTH && late.resident <= early.resident + RESIDENT_GROWTH,
	       "memory does not grow", text);
}

static void generate(uint64_t requests, struct life_plan *plan)
{
	struct source s = source_seeded(seed);
	struct measure early = { 0 };
	unsigned before = world_descriptors(), lives = 0, still = 0;
	double begin = seconds();
	char text[128];

	for (uint64_t made = 0; made < requests; lives++) {
		uint64_t now;

		if (lives == 12) /* by now everything was in use once */
			early = measure();
		plan->requests = requests - made < LIFE ? requests - made : LIFE;
		now = one_life(&s, plan);
		made += now;
		still = now ? 0 : still + 1;
		if (still > 100)
			fault("no instance can be made");
	}
	snprintf(text, sizeof(text), "seed %llu, %u instances, %.0f requests a second", (unsigned long long)seed, lives,
		 (double)requests / (seconds() - begin));
	report(true, "requests were served", text);
	if (lives > 24)
		compare(early, measure());
	report(world_descriptors() == before, "no descriptor is left open", "");
	world_check();
	report(true, "nothing outside the granted trees has changed", "");
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [--seed N] [--requests N] [--alone] [--no-failures] [--dir DIR]\n       %s FILE...\n", name, name);
	return 2;
}

int main(int argc, char **argv)
{
	struct life_plan plan = { .threads = true, .failures = true };
	uint64_t requests = REQUESTS;
	int i = 1;

	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		bool more = i + 1 < argc;

		if (!strcmp(argv[i], "--seed") && more)
			seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--requests") && more)
			requests = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--dir") && more)
			setenv("PICO_FUZZ_DIR", argv[++i], 1);
		else if (!strcmp(argv[i], "--alone"))
			plan.threads = false;
		else if (!strcmp(argv[i], "--no-failures"))
			plan.failures = false;
		else
			return usage(argv[0]);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	world_init(getenv("PICO_FUZZ_DIR"), NULL);
	if (i == argc)
		generate(requests, &plan);
	for (; i < argc; i++)
		report(run_file(argv[i]) == 0, argv[i], "");
	world_fini();
	printf("1..%u\n", number);
	return failed != 0;
}

#endif
