/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad options, refused before anything is opened or started; defaults; texts.
 */
#include "api/api.h"
#include "api_host.h"

static int check_options(const struct pico_options *o, struct pico_error *e)
{
	struct pico *p = NULL;
	int rc = pico__create_detached(o, &p, e);

	cr_assert_eq(rc == 0, p != NULL);
	pico_destroy(p);
	return rc;
}

static struct pico_options good(void)
{
	struct pico_options o;

	pico_options_init(&o);
	o.program = "/bin/true";
	return o;
}

#define REFUSES(want, change) do { \
	struct pico_options o = good(); \
	struct pico_error error_ = { 0 }; \
	change; \
	cr_expect_eq(check_options(&o, &error_), -(want), #change); \
	cr_expect_eq(error_.code, (want), #change); \
	cr_expect(error_.message[0] && error_.where[0], #change); \
} while (0)

Test(api_options, defaults_are_good)
{
	struct pico_options o = good();
	struct pico_error e = { 0 };

	cr_assert_eq(check_options(&o, &e), 0, "%s", e.message);
	cr_assert_eq(o.size, sizeof(o));
	cr_assert_eq(o.umask, 022);
}

Test(api_options, null)
{
	struct pico_error e;
	struct pico_options o = good();

	cr_assert_eq(check_options(NULL, &e), -PICO_EINVAL);
	cr_assert_eq(pico_create(&o, NULL, &e), -PICO_EINVAL);
	cr_assert_eq(pico_create(&o, NULL, NULL), -PICO_EINVAL);
	cr_assert_eq(pico_start(NULL), -PICO_EINVAL);
	cr_assert_eq(pico_wait(NULL, 0, NULL), -PICO_EINVAL);
	cr_assert_eq(pico_kill(NULL), -PICO_EINVAL);
	cr_assert_eq(pico_signal(NULL, 15), -PICO_EINVAL);
	cr_assert_eq(pico_fd(NULL), -PICO_EINVAL);
	cr_assert_eq(pico_dispatch(NULL), -PICO_EINVAL);
	cr_assert_eq(pico_stopped(NULL), -PICO_EINVAL);
	cr_assert_eq(pico_stats(NULL, NULL), -PICO_EINVAL);
	cr_assert_eq(pico_features(NULL, NULL), -PICO_EINVAL);
	cr_assert_eq(pico_get_error(NULL)->code, PICO_EINVAL);
	pico_destroy(NULL);
}

Test(api_options, size)
{
	struct { struct pico_options o; uint64_t more[4]; } large = { .o = good() };
	struct pico_error e;

	REFUSES(PICO_EVERSION, o.size = 0);
	REFUSES(PICO_EVERSION, o.size--);
	REFUSES(PICO_EVERSION, o.size = SIZE_MAX);
	large.o.size = sizeof(large);
	cr_assert_eq(check_options(&large.o, &e), 0, "a newer caller that asks for nothing new");
	large.more[3] = 1;
	cr_assert_eq(check_options(&large.o, &e), -PICO_EVERSION);
}

Test(api_options, scalars)
{
	REFUSES(PICO_EINVAL, o.flags = 1ull << 40);
	REFUSES(PICO_EINVAL, o.program = NULL);
	REFUSES(PICO_EINVAL, o.program = "");
	REFUSES(PICO_EINVAL, o.umask = 01000);
	REFUSES(PICO_EINVAL, o.uid = UINT32_MAX);
	REFUSES(PICO_EINVAL, o.log_level = 5);
	REFUSES(PICO_EINVAL, o.hostname = "");
	REFUSES(PICO_EINVAL, o.hostname = "a/b");
	REFUSES(PICO_EINVAL, o.cwd = "tmp");
	REFUSES(PICO_EINVAL, o.mount_count = 1);
	REFUSES(PICO_EINVAL, o.app_count = 1);
	REFUSES(PICO_EINVAL, o.limits.reserved = 1);
	REFUSES(PICO_EINVAL, o.limits.threads = 8193);
	REFUSES(PICO_EINVAL, o.limits.streams = 1000001);
	REFUSES(PICO_EINVAL, o.limits.memory = 4096);
}

Test(api_options, arguments)
{
	static const char *none[] = { NULL };
	static char large[7 << 20];
	static const char *too_much[] = { large, NULL };

	REFUSES(PICO_EINVAL, o.argv = none);
	memset(large, 'x', sizeof(large) - 1);
	REFUSES(PICO_E2BIG, o.envp = too_much);
}

Test(api_options, stdio)
{
	REFUSES(PICO_EINVAL, o.stdio[1].kind = 9);
	REFUSES(PICO_EBADF, (o.stdio[0].kind = PICO_STDIO_FD, o.stdio[0].fd = -1));
	REFUSES(PICO_EBADF, (o.stdio[2].kind = PICO_STDIO_FD, o.stdio[2].fd = 999));
	REFUSES(PICO_EINVAL, o.stdio[0].kind = PICO_STDIO_CALLBACK);
	REFUSES(PICO_EINVAL, o.stdio[1].kind = PICO_STDIO_CALLBACK);
}

Test(api_options, mounts)
{
	struct pico_mount m[2] = { { .host = "/tmp", .guest = "/a/b" }, { .host = "/usr", .guest = "//a//b/" } };
	struct pico_error e;
	struct pico_options fine = good();

	fine.mounts = m;
	fine.mount_count = 1;
	cr_assert_eq(check_options(&fine, &e), 0, "%s", e.message);
	REFUSES(PICO_EEXIST, (o.mounts = m, o.mount_count = 2));
	m[1].guest = "/";
	REFUSES(PICO_EEXIST, (o.mounts = m, o.mount_count = 2, o.root = "/usr"));
	m[0].guest = "a";
	REFUSES(PICO_EINVAL, (o.mounts = m, o.mount_count = 1));
	m[0].guest = "/a/../b";
	REFUSES(PICO_EINVAL, (o.mounts = m, o.mount_count = 1));
	m[0].guest = "/a";
	m[0].flags = 2;
	REFUSES(PICO_EINVAL, (o.mounts = m, o.mount_count = 1));
	m[0].flags = 0;
	m[0].host = "/nothing/here";
	REFUSES(PICO_ENOENT, (o.mounts = m, o.mount_count = 1));
	m[0].host = NULL;
	REFUSES(PICO_EINVAL, (o.mounts = m, o.mount_count = 1));
}

Test(api_options, apps)
{
	struct pico_app_stream a[2] = { { .name = "one" }, { .name = "one" } };

	REFUSES(PICO_EEXIST, (o.apps = a, o.app_count = 2));
	a[0].name = "";
	REFUSES(PICO_EINVAL, (o.apps = a, o.app_count = 1));
}

Test(api_options, libos_and_helper)
{
	struct pico_options o;
	struct pico_error e = { 0 };
	struct pico *p = NULL;

	bare_options(&o, "hello");
	o.libos = "/nothing/here";
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_ELIBOS);
	cr_assert_eq(e.host_errno, 2);
	o.libos = "/bin/true";
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_ELIBOS);
	o.libos = "/etc/passwd";
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_ELIBOS);
	o.libos = "/tmp";
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_ELIBOS);
	o.libos = built("libos-bare");
	o.helper = "/nothing/here";
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_EHELPER, "%s", e.message);
	o.helper = "/etc/passwd";
	cr_assert_eq(pico_create(&o, &p, &e), -PICO_EHELPER, "%s", e.message);
	cr_assert_null(p);
}

Test(api_options, texts)
{
	cr_assert_str_eq(pico_strerror(-PICO_ENOENT), "no such file or directory");
	cr_assert_str_eq(pico_strerror(PICO_ENOENT), "no such file or directory");
	cr_assert_str_eq(pico_strerror(0), "no error");
	cr_assert_str_eq(pico_strerror(-987654), "unknown error");
	cr_assert_str_eq(pico_strerror(INT32_MIN), "unknown error");
	cr_assert_str_eq(pico_cause_name(PICO_CAUSE_DEADLINE), "deadline passed");
	cr_assert_str_eq(pico_cause_name(99), "unknown cause");
	cr_assert_str_eq(pico_downcall_name(0), "VirtualMemoryAllocate");
	cr_assert_str_eq(pico_downcall_name(44), "DebugStringPrint");
	cr_assert_null(pico_downcall_name(45));
	cr_assert_eq(pico_version_number(), PICO_VERSION_NUMBER);
	cr_assert_str_eq(pico_version(), "0.1.0");
}

Test(api_options, boot_block)
{
	static const char *argv[] = { "true", "--version", NULL }, *envp[] = { "A=1", NULL };
	struct pico_options o = good();
	struct pico_error e;
	struct pico *p = NULL;
	char block[4096];
	ssize_t size;
	unsigned args = 0, envs = 0, seen = 0;

	o.argv = argv;
	o.envp = envp;
	o.uid = 1000;
	o.root = "/usr";
	o.flags = PICO_FLAG_ROOT_READ_ONLY;
	o.huge_pages = 32u << 20;
	cr_assert_eq(pico__create_detached(&o, &p, &e), 0, "%s", e.message);
	size = pread(p->boot_fd, block, sizeof(block), 0);
	cr_assert_eq((uint64_t)size, p->boot_size);
	cr_assert_lt(pwrite(p->boot_fd, "x", 1, 0), 0, "it is sealed");
	for (ssize_t at = 0; at < size;) {
		struct pico_boot_record r;
		const char *data = block + at + sizeof(r);

		memcpy(&r, block + at, sizeof(r));
		seen |= 1u << r.tag;
		if (r.tag == PICO_BOOT_ARG)
			cr_assert_str_eq(data, argv[args++]);
		if (r.tag == PICO_BOOT_ENV)
			cr_assert_str_eq(data, envp[envs++]);
		if (r.tag == PICO_BOOT_IDS)
			cr_assert_eq(*(const uint32_t *)(const void *)data, 1000);
		if (r.tag == PICO_BOOT_HUGE_PAGES)
			cr_assert_eq(*(const uint64_t *)(const void *)data, 32u << 20);
		if (r.tag == PICO_BOOT_MOUNT) {
			const struct pico_boot_mount *m = (const void *)data;

			cr_assert_eq(m->flags, PICO_BOOT_MOUNT_READ_ONLY);
			cr_assert_eq(m->type, PICO_STREAM_DIRECTORY);
			cr_assert_str_eq(m->guest, "/");
		}
		at += (ssize_t)(sizeof(r) + ((r.size + 7u) & ~7u));
	}
	cr_assert_eq(args, 2);
	cr_assert_eq(envs, 1);
	cr_assert_eq(seen, (1u << (PICO_BOOT_HUGE_PAGES + 1)) - 1, "every record, the end too");
	pico_destroy(p);
}
