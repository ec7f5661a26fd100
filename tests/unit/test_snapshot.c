/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots: a program in many states that is stored and goes on elsewhere again
 * and again and must not notice, and files that are not what was written: cut
 * off, altered, of another version or key, or never finished.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "api/api.h"
#include "api_host.h"
#include "monitor/snapshot.h"

#define HOPS 10

static char directory[4096], file[128];
static struct pico_mount mounts[1];

/* ---- a Linux program; without descriptors of ours when output is -1 ---- */

static void linux_options(struct pico_options *o, int output)
{
	static const char *argv[] = { "park", NULL };

	snprintf(directory, sizeof(directory), "%s", built("tests/guests"));
	mounts[0] = (struct pico_mount){ .host = directory, .guest = "/guests", .flags = PICO_MOUNT_READ_ONLY };
	pico_options_init(o);
	o->program = "/guests/park";
	o->argv = argv;
	o->libos = built("libos-linux");
	o->helper = built("pico-helper");
	o->mounts = mounts;
	o->mount_count = 1;
	for (int i = 1; i < 3 && output >= 0; i++) {
		o->stdio[i].kind = PICO_STDIO_FD;
		o->stdio[i].fd = output;
	}
}

static void until_ready(int fd)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };
	char text[4096] = "";
	size_t at = 0;
	ssize_t n;

	while (!strstr(text, "ready\n") && at < sizeof(text) - 1 && poll(&f, 1, 20000) > 0 && (n = read(fd, text + at, sizeof(text) - 1 - at)) > 0)
		text[at += (size_t)n] = 0;
	cr_assert(strstr(text, "ready\n"), "it said: %s", text);
}

static struct pico *begin_linux(int *out)
{
	struct pico_options o;
	struct pico *p;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	linux_options(&o, fds[1]);
	p = begin(&o);
	close(fds[1]);
	until_ready(fds[0]);
	*out = fds[0];
	return p;
}

static int take(struct pico *p, uint64_t flags, const void *key, size_t key_size)
{
	struct pico_snapshot_options s;

	pico_snapshot_options_init(&s);
	s.path = file;
	s.flags = flags;
	s.key = key;
	s.key_size = key_size;
	s.timeout_ms = 60000;
	return pico_snapshot(p, &s);
}

static int go_on(struct pico **p, uint64_t flags, const void *key, size_t key_size, struct pico_error *e)
{
	struct pico_restore_options r;
	struct pico_options o;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), rc;

	linux_options(&o, null);
	pico_restore_options_init(&r);
	r.path = file;
	r.flags = flags;
	r.key = key;
	r.key_size = key_size;
	r.options = &o;
	memset(e, 0, sizeof(*e));
	rc = pico_restore(&r, p, e);
	close(null);
	return rc;
}

static void ends_well(struct pico *p)
{
	struct pico_exit e;

	if (pico_signal(p, SIGTERM) < 0) {
		e = finish(p);
		cr_assert_fail("it ended before: kind %u code %d signal %d %s", e.kind, e.code, e.signal, e.message);
	}
	e = finish(p);
	cr_assert(e.kind == PICO_EXITED && e.code == 0, "kind %u code %d signal %d %s", e.kind, e.code, e.signal, e.message);
	pico_destroy(p);
}

static void name_file(void)
{
	snprintf(file, sizeof(file), "/tmp/pico-snapshot-%d", (int)getpid());
}

static void remove_file(void)
{
	unlink(file);
}

TestSuite(snapshot, .init = name_file, .fini = remove_file, .timeout = 300);

Test(snapshot, hops)
{
	unsigned seed = (unsigned)now_ms();
	struct pico_error e;
	struct pico *p;
	int out, rc;

	p = begin_linux(&out);
	for (int i = 0; i < HOPS; i++) {
		struct pico_exit end;

		nap_ms((unsigned)rand_r(&seed) % 60);
		rc = take(p, PICO_SNAPSHOT_STOP, NULL, 0);
		cr_assert_eq(rc, 0, "%d: %s", i, pico_get_error(p)->message);
		end = finish(p);
		cr_assert(end.kind == PICO_DIED && end.cause == PICO_CAUSE_STOPPED);
		pico_destroy(p);
		cr_assert_eq(go_on(&p, i % 2 ? PICO_RESTORE_VERIFY : 0, NULL, 0, &e), 0, "%d: %s", i, e.message);
	}
	nap_ms(50);
	ends_well(p);
	close(out);
}

Test(snapshot, both_go_on)
{
	struct pico *p, *q, *r;
	struct pico_restore_options ro;
	struct pico_options o;
	struct pico_error e;
	int out, null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	p = begin_linux(&out);
	cr_assert_eq(take(p, 0, NULL, 0), 0, "%s", pico_get_error(p)->message);
	cr_assert_eq(go_on(&q, PICO_RESTORE_PAUSED, NULL, 0, &e), 0, "%s", e.message);
	cr_assert_eq(take(q, 0, NULL, 0), -PICO_ESTATE);
	cr_assert_eq(pico_start(q), 0);
	linux_options(&o, null);
	pico_restore_options_init(&ro);
	ro.options = &o;
	cr_assert_eq(pico_clone(p, &ro, &r, &e), 0, "%s", e.message);
	cr_assert_neq(memcmp(pico__mailbox_header(p)->host.generation, pico__mailbox_header(r)->host.generation, 16), 0);
	nap_ms(100);
	ends_well(p);
	ends_well(q);
	ends_well(r);
	close(out);
	close(null);
}

/* ---- files that are not what was written ---- */

static void make_file(const void *key, size_t key_size)
{
	int out;
	struct pico *p = begin_linux(&out);

	cr_assert_eq(take(p, PICO_SNAPSHOT_STOP, key, key_size), 0, "%s", pico_get_error(p)->message);
	pico_destroy(p);
	close(out);
}

static int refused(uint64_t flags, const char *why)
{
	struct pico *p = NULL;
	struct pico_error e;
	int rc = go_on(&p, flags, NULL, 0, &e);

	cr_assert_lt(rc, 0, "it was taken for good");
	cr_assert_eq(e.code, -rc);
	cr_assert(strstr(e.message, why), "%d: %s", rc, e.message);
	return rc;
}

static struct pico__snapshot_header header_of(int fd)
{
	struct pico__snapshot_header h;

	cr_assert_eq(pread(fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	return h;
}

static char *whole(int fd, size_t *size)
{
	struct stat st;
	char *bytes;

	cr_assert_eq(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	cr_assert_eq(pread(fd, bytes, *size, 0), (ssize_t)*size);
	return bytes;
}

Test(snapshot, truncated)
{
	struct pico__snapshot_header h;
	size_t size;
	char *bytes;
	int fd;

	make_file(NULL, 0);
	fd = open(file, O_RDWR);
	h = header_of(fd);
	bytes = whole(fd, &size);
	const uint64_t at[] = { 0, 1, 7, 8, 9, sizeof(h) - 1, sizeof(h), 4095, 4096, h.index_at, h.index_at + 1, h.manifest_at, h.guest_at,
		h.guest_at + h.guest_size, h.chunks_at, h.chunks_at + 1, h.file_size - 1 };
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		cr_assert_eq(ftruncate(fd, (off_t)at[i]), 0);
		refused(0, at[i] < 8 ? "not a snapshot" : "truncated");
		cr_assert_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
	}
	free(bytes);
	close(fd);
}

Test(snapshot, altered)
{
	unsigned seed = (unsigned)now_ms();
	struct pico__snapshot_header h;
	int fd;

	make_file(NULL, 0);
	fd = open(file, O_RDWR);
	h = header_of(fd);
	const struct { uint64_t at, size; uint64_t flags; } parts[] = {
		{ 16, sizeof(h) - 16, 0 }, { h.index_at, h.index_count * sizeof(struct pico__snapshot_run), 0 },
		{ h.manifest_at, h.manifest_size, 0 }, { h.chunks_at, h.chunk_count * PICO__DIGEST_SIZE, 0 },
		{ 4096, h.index_at - 4096, PICO_RESTORE_VERIFY }, { h.guest_at, h.guest_size, PICO_RESTORE_VERIFY },
	};
	for (size_t i = 0; i < 6 * 40; i++) {
		const uint64_t at = parts[i % 6].at + (uint64_t)rand_r(&seed) % parts[i % 6].size;
		char byte, other;

		cr_assert_eq(pread(fd, &byte, 1, (off_t)at), 1);
		other = byte ^ (char)(1 << rand_r(&seed) % 8);
		cr_assert_eq(pwrite(fd, &other, 1, (off_t)at), 1);
		refused(parts[i % 6].flags, "");
		cr_assert_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
	}
	close(fd);
}

static void put_word(int fd, size_t at, uint32_t value)
{
	cr_assert_eq(pwrite(fd, &value, sizeof(value), (off_t)at), (ssize_t)sizeof(value));
}

Test(snapshot, foreign)
{
	struct pico__snapshot_header h;
	int fd;

	make_file(NULL, 0);
	fd = open(file, O_RDWR);
	h = header_of(fd);
	put_word(fd, offsetof(struct pico__snapshot_header, version), PICO__SNAPSHOT_VERSION + 1);
	cr_assert_eq(refused(0, "version 2 of the format"), -PICO_EVERSION);
	put_word(fd, offsetof(struct pico__snapshot_header, version), h.version);
	put_word(fd, offsetof(struct pico__snapshot_header, abi_version), 77);
	cr_assert_eq(refused(0, "version 77 of the picoprocess ABI"), -PICO_EVERSION);
	put_word(fd, offsetof(struct pico__snapshot_header, abi_version), h.abi_version);
	put_word(fd, offsetof(struct pico__snapshot_header, machine), 183);
	cr_assert_eq(refused(0, "another kind of machine"), -PICO_ENOEXEC);
	close(fd);
}

/* As if it had been made there: with a good digest. */
static void reseal(int fd, struct pico__snapshot_header *h)
{
	struct pico__snapshot_header before = header_of(fd);
	struct pico__snapshot_file f = { .fd = fd };

	cr_assert_eq(pico__snapshot_read(&f, fd, NULL, 0, false, NULL), 0);
	cr_assert_eq(memcmp(&before.id, &h->id, sizeof(h->id)), 0);
	cr_assert_eq(pico__snapshot_digest(h, f.manifest, f.index, f.chunks, NULL, 0, h->digest), 0);
	cr_assert_eq(pwrite(fd, h, sizeof(*h), 0), (ssize_t)sizeof(*h));
	pico__snapshot_file_fini(&f);
}

Test(snapshot, another_host)
{
	struct pico__snapshot_header h, changed;
	int fd;

	make_file(NULL, 0);
	fd = open(file, O_RDWR);
	h = changed = header_of(fd);
	changed.cpu[0] |= 1ull << 31;
	reseal(fd, &changed);
	cr_assert_eq(refused(0, "this processor lacks"), -PICO_EKERNEL);
	reseal(fd, &h);
	changed = h;
	changed.xstate_mask |= 1ull << 61;
	reseal(fd, &changed);
	cr_assert_eq(refused(0, "extended state"), -PICO_EKERNEL);
	reseal(fd, &h);
	changed = h;
	changed.libos_crc ^= 1;
	reseal(fd, &changed);
	cr_assert_eq(refused(0, "another build of library OS"), -PICO_ELIBOS);
	close(fd);
}

Test(snapshot, keys)
{
	static const char key[] = "sixteen bytes and more", wrong[] = "sixteen bytes and less";
	struct pico *p = NULL;
	struct pico_error e;

	if (!pico__digest_has_keys())
		cr_skip_test("built without mbedTLS");
	make_file(key, sizeof(key));
	cr_assert_eq(go_on(&p, 0, NULL, 0, &e), -PICO_EACCES);
	cr_assert_eq(go_on(&p, 0, wrong, sizeof(wrong), &e), -PICO_EACCES);
	cr_assert_eq(go_on(&p, 0, key, 5, &e), -PICO_EINVAL);
	cr_assert_eq(go_on(&p, PICO_RESTORE_VERIFY, key, sizeof(key), &e), 0, "%s", e.message);
	ends_well(p);
	make_file(NULL, 0);
	cr_assert_eq(go_on(&p, 0, key, sizeof(key), &e), -PICO_EACCES);
}

/* ---- what goes wrong while one is taken ---- */

Test(snapshot, no_room)
{
	struct pico_snapshot_info info = { .size = sizeof(info) };
	struct rlimit before, small = { 200000, RLIM_INFINITY };
	char id[sizeof(info.id)];
	struct pico_error e;
	struct pico *p;
	int out;

	p = begin_linux(&out);
	cr_assert_eq(take(p, 0, NULL, 0), 0, "%s", pico_get_error(p)->message);
	cr_assert_eq(pico_snapshot_info(file, NULL, 0, &info, &e), 0, "%s", e.message);
	memcpy(id, info.id, sizeof(id));
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_assert_eq(take(p, PICO_SNAPSHOT_STOP, NULL, 0), -PICO_EFBIG);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	cr_assert_eq(pico_snapshot_info(file, NULL, 0, &info, &e), 0, "%s", e.message);
	cr_assert_str_eq(info.id, id, "the old file is whole");
	snprintf(file, sizeof(file), "/nowhere/at/all");
	cr_assert_eq(take(p, PICO_SNAPSHOT_STOP, NULL, 0), -PICO_ENOENT);
	name_file();
	cr_assert_eq(take(p, 0, NULL, 0), 0, "%s", pico_get_error(p)->message);
	ends_well(p);
	close(out);
}

static void take_for_ever(void)
{
	int out;
	struct pico *p = begin_linux(&out);

	for (;;)
		if (take(p, 0, NULL, 0) < 0)
			_exit(1);
}

Test(snapshot, host_killed)
{
	unsigned seed = (unsigned)now_ms();
	struct pico_snapshot_info info = { .size = sizeof(info) };
	struct pico_error e;
	int status;

	for (int i = 0; i < 12; i++) {
		const pid_t child = fork();

		if (!child)
			take_for_ever();
		nap_ms(150 + (unsigned)rand_r(&seed) % 250);
		kill(child, SIGKILL);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSIGNALED(status), "the child failed by itself");
		if (access(file, F_OK) == 0)
			cr_assert_eq(pico_snapshot_info(file, NULL, 0, &info, &e), 0, "%s", e.message);
	}
}

Test(snapshot, killed_meanwhile)
{
	unsigned seed = (unsigned)now_ms();

	for (int i = 0; i < 5; i++) {
		int out;
		struct pico *p = begin_linux(&out);
		const pid_t child = fork(); /* kills a picoprocess from outside, at some moment */

		if (!child) {
			usleep((unsigned)rand_r(&seed) % 20000 * (unsigned)i);
			for (const struct pico__process *q = p->processes; q; q = q->next)
				if (q->first)
					kill(q->pid, SIGKILL);
			_exit(0);
		}
		for (int k = 0; k < 50 && take(p, 0, NULL, 0) == 0; k++)
			;
		cr_assert_eq(waitpid(child, NULL, 0), child);
		cr_assert_eq(finish(p).kind, PICO_DIED);
		pico_destroy(p);
		close(out);
	}
}
