/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host application can give that no program can use: too many arguments,
 * files that cannot be executed, streams that are none, limits below any need.
 * Each is refused or ends the instance with a reason; the host is unharmed. The
 * guests are the system's own programs under the Linux library OS.
 */
#include "api_host.h"

#include <fcntl.h>

static const struct pico_mount system_mounts[] = {
	{ "/usr", "/usr", PICO_MOUNT_READ_ONLY, 0 },
	{ "/bin", "/bin", PICO_MOUNT_READ_ONLY, 0 },
	{ "/lib", "/lib", PICO_MOUNT_READ_ONLY, 0 },
	{ "/lib64", "/lib64", PICO_MOUNT_READ_ONLY, 0 },
};

static void linux_options(struct pico_options *o, const char *const *argv)
{
	pico_options_init(o);
	o->program = argv[0];
	o->argv = argv;
	o->libos = built("libos-linux");
	o->helper = built("pico-helper");
	o->mounts = system_mounts;
	o->mount_count = sizeof(system_mounts) / sizeof(system_mounts[0]);
}

/* Runs it to its end. */
static struct pico_exit ran(const struct pico_options *o)
{
	struct pico *p = begin(o);
	struct pico_exit end = finish(p);

	pico_destroy(p);
	return end;
}

static char *long_text(size_t size)
{
	char *text = malloc(size + 1);

	memset(text, 'x', size);
	text[size] = 0;
	return text;
}

/* count strings of size bytes each, as arguments or in the environment: whether
 * /bin/true ran with them, else with the right error. */
static bool runs_with(size_t count, size_t size, bool environment)
{
	const char **list = calloc(count + 2, sizeof(*list));
	const char *const plain[] = { "/bin/true", NULL };
	char *text = long_text(size);
	struct pico_error e = { 0 };
	struct pico_exit end = { 0 };
	struct pico *p = NULL;
	struct pico_options o;
	int rc;

	text[1] = '=';
	list[0] = environment ? text : plain[0];
	for (size_t i = 1; i <= count; i++)
		list[i] = text;
	linux_options(&o, environment ? plain : list);
	if (environment)
		o.envp = list;
	rc = pico_create(&o, &p, &e);
	if (rc == 0) {
		cr_assert_eq(pico_start(p), 0);
		end = finish(p);
		cr_assert_eq(end.kind, PICO_EXITED, "kind %u, %s", end.kind, end.message);
	} else {
		cr_assert_eq(rc, -PICO_E2BIG, "%d, %s", rc, e.message);
	}
	pico_destroy(p);
	free(text);
	free(list);
	if (rc == 0 && end.code) {
		cr_assert_eq(end.code, 126, "code %d, %s", end.code, end.message);
		cr_assert(strstr(end.message, "argument list too long"), "%s", end.message);
	}
	return rc == 0 && end.code == 0;
}

Test(api_badinput, arguments)
{
	static const struct { size_t count, size; bool environment, fits; } cases[] = {
		{ 1, 10 << 20, false, false }, { 100, 100 << 10, false, false }, { 15, 100 << 10, false, true },
		{ 30, 100 << 10, false, false }, { 100000, 2, false, true }, { 3000000, 2, false, false },
		{ 1, (128 << 10) - 1, false, true }, { 100, 100 << 10, true, false },
		{ 14, 100 << 10, true, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(runs_with(cases[i].count, cases[i].size, cases[i].environment), cases[i].fits, "case %zu", i);
}

Test(api_badinput, programs)
{
	static const struct { const char *path; int code; } cases[] = {
		{ "/no/such/program", 127 }, { "/bin", 126 }, { "/", 126 }, { "", 127 }, { "/bin/true/x", 127 },
		{ "/usr/share/common-licenses/GPL-2", 126 }, { "relative", 127 }, { "/bin/\xff\xfe", 127 },
	};
	char *path = long_text(1 << 20);
	const char *const far[] = { path, NULL };
	struct pico_options o;
	struct pico *p = NULL;
	struct pico_error e = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const argv[] = { cases[i].path, NULL };
		struct pico_exit end;

		if (!*cases[i].path)
			continue;
		linux_options(&o, argv);
		end = ran(&o);
		cr_assert_eq(end.kind, PICO_EXITED, "%s: kind %u, %s", argv[0], end.kind, end.message);
		cr_assert_eq(end.code, cases[i].code, "%s: code %d, %s", argv[0], end.code, end.message);
		cr_assert_neq(end.message[0], 0, "%s: no reason given", argv[0]);
	}
	linux_options(&o, far);
	if (pico_create(&o, &p, &e) == 0) { /* refused there, or not found */
		cr_assert_eq(pico_start(p), 0);
		cr_assert_eq(finish(p).code, 126);
		pico_destroy(p);
	} else {
		cr_assert_neq(e.message[0], 0);
	}
	free(path);
}

/* The three standard streams of a shell, without forking. */
static int shell(const char *script, const struct pico_stdio stdio[3])
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct pico_options o;

	linux_options(&o, argv);
	if (stdio)
		memcpy(o.stdio, stdio, sizeof(o.stdio));
	return ran(&o).code;
}

Test(api_badinput, closed_streams)
{
	const struct pico_stdio closed[3] = {
		{ .kind = PICO_STDIO_CLOSED }, { .kind = PICO_STDIO_CLOSED }, { .kind = PICO_STDIO_CLOSED },
	};
	const struct pico_stdio mixed[3] = { { .kind = PICO_STDIO_CLOSED }, { .kind = PICO_STDIO_NULL }, { .kind = PICO_STDIO_CLOSED } };

	cr_assert_eq(shell("read x && exit 1; echo x && exit 2; [ -e /proc/self/fd/2 ] && exit 3; exit 9", closed), 9);
	cr_assert_eq(shell("read x && exit 1; echo x || exit 2; [ -e /proc/self/fd/2 ] && exit 3; exit 9", mixed), 9);
	cr_assert_eq(shell("read x && exit 1; echo x || exit 2; echo y >&2 || exit 3; exit 9", NULL), 9, "the default is null");
}

Test(api_badinput, streams_that_are_none)
{
	int directory = open("/", O_RDONLY | O_DIRECTORY), path = open("/", O_PATH), null = open("/dev/null", O_WRONLY);
	struct pico_stdio stdio[3] = { { .kind = PICO_STDIO_FD, .fd = directory }, { .kind = PICO_STDIO_NULL }, { .kind = PICO_STDIO_NULL } };
	const char *const argv[] = { "/bin/true", NULL };
	struct pico_error e = { 0 };
	struct pico *p = NULL;
	struct pico_options o;

	linux_options(&o, argv);
	o.stdio[0] = stdio[0];
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_EISDIR);
	cr_assert(strstr(e.message, "standard input"), "%s", e.message);
	o.stdio[0].fd = path;
	cr_assert_lt(pico_create(&o, &p, &e), 0);
	stdio[0].fd = null; /* input that can only be written */
	cr_assert_eq(shell("read x && exit 1; echo y >&0 || exit 2; exit 9", stdio), 9);
	close(directory);
	close(path);
	close(null);
}

Test(api_badinput, limits_below_any_need)
{
	const char *const argv[] = { "/bin/true", NULL };
	const struct pico_limits small[] = {
		{ .memory = 1 }, { .memory = 1 << 20 }, { .memory = 8 << 20 }, { .threads = 1 }, { .streams = 1 }, { .streams = 4 },
		{ .processes = 1 }, { .deadline_ms = 1 },
	};

	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		struct pico_error e = { 0 };
		struct pico *p = NULL;
		struct pico_options o;
		struct pico_exit end = { 0 };
		int rc;

		linux_options(&o, argv);
		o.limits = small[i];
		rc = pico_create(&o, &p, &e);
		if (rc == 0)
			rc = pico_start(p);
		if (rc == 0)
			end = finish(p);
		else
			cr_assert(e.message[0] || (p && pico_get_error(p)->message[0]), "case %zu: %d without a reason", i, rc);
		pico_destroy(p);
		if (rc == 0)
			cr_assert(end.message[0] || (end.kind == PICO_EXITED && end.code == 0), "case %zu: kind %u code %d cause %u without a reason",
				  i, end.kind, end.code, end.cause);
	}
}
