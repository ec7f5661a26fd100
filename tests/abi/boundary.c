/* SPDX-License-Identifier: Apache-2.0
 *
 * The boundary, from outside: a hostile guest makes every system call from its
 * own text and through each of the gate's instructions, with hostile arguments.
 * All but the listed ones must trap or kill, and nothing of the host may change.
 * Below somebody else's seccomp listener (boundary-bell.sh) there are other ways
 * to ask, with checks of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bare_run.h"

static unsigned number, failed;
static bool bell;
static struct bare_result r;

static void report(const char *name, bool ok)
{
	failed += !ok;
	bare_report(++number, name, &r, ok);
}

static bool killed_by_filter(void)
{
	return r.rc == 0 && r.exit.kind == PICO_DIED && r.exit.cause == PICO_CAUSE_FILTER;
}

/* What the host had before is what it has afterwards. */
static pid_t bystander;
static char directory[] = "/tmp/pico-boundary-XXXXXX";
static int witness_socket;
static void host_prepare(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!mkdtemp(directory) || chdir(directory))
		abort();
	bystander = fork();
	if (bystander == 0)
		for (;;)
			pause();
	close(open("witness", O_CREAT | O_WRONLY, 0666));
	chmod(".", 0777);
	witness_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	strcpy(a.sun_path, "socket");
	if (bind(witness_socket, (struct sockaddr *)&a, sizeof(a)))
		abort();
}
static bool host_unchanged(void)
{
	struct stat st;
	char byte;
	int status;

	return stat("witness", &st) == 0 && st.st_size == 0 && st.st_nlink == 1 &&
	       recv(witness_socket, &byte, 1, 0) < 0 && errno == EAGAIN &&
	       waitpid(bystander, &status, WNOHANG) == 0 && kill(bystander, 0) == 0;
}
static void host_clean(void)
{
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	unlink("witness");
	unlink("socket");
	rmdir(directory);
}

static void sweep(const char *first, const char *last, const char *argument, const char *name)
{
	const char *args[] = { "hostile_sweep", first, last, argument, NULL };

	bare_run(&r, NULL, args, NULL);
	report(name, bare_passed(&r) && strstr(r.log, "swept"));
}

/* ---- through the gate's instructions ---- */
struct rule { char where; int nr; };
static const struct rule allowed[] = {
#define WAIT 'w'
#define PLAIN 'p'
#define SIGRETURN 's'
#define HOSTCALL(where, name, reason, ...) { where, SYS_##name },
#include "../../lib/abi/hostcalls.def"
};
static bool is_allowed(char where, int nr)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i].where == where && allowed[i].nr == nr)
			return true;
	return false;
}

static void gate(const char *where, long nr, const char *const *a)
{
	char text[32];
	const char *args[10] = { "hostile_gate", where, text, a[0], a[1], a[2], a[3], a[4], a[5], NULL };

	snprintf(text, sizeof(text), "%ld", nr);
	bare_run(&r, NULL, args, NULL);
}

static void gate_sweep(const char *where)
{
	static const char *const zero[6] = { "0", "0", "0", "0", "0", "0" };
	char name[64];
	unsigned alive = 0;

	for (int nr = 0; nr < 1024; nr++) {
		/* 335 and 336, uretprobe and uprobe: Linux 6.11 and later pass
		 * them by every filter; by hand they give SIGILL and ENXIO. */
		if (is_allowed(*where, nr) || nr == 335 || nr == 336)
			continue;
		gate(where, nr, zero);
		if (killed_by_filter())
			continue;
		alive++;
		printf("# number %d through %s was not killed: kind %u cause %u %s", nr, where, r.exit.kind, r.exit.cause, r.log);
	}
	snprintf(name, sizeof(name), "every number through the gate's instruction %s kills", where);
	report(name, alive == 0);
}

/* Listed numbers with arguments that are not: killed, one by one. */
static const struct { const char *name, *where; long nr; const char *a[6]; } hostile[] = {
	{ "futex LOCK_PI", "p", SYS_futex, { "0x500000", "6", "1", "0", "0", "0" } },
	{ "futex LOCK_PI private", "p", SYS_futex, { "0x500000", "134", "1", "0", "0", "0" } },
	{ "futex TRYLOCK_PI", "w", SYS_futex, { "0x500000", "8", "1", "0", "0", "0" } },
	{ "futex CMP_REQUEUE_PI", "p", SYS_futex, { "0x500000", "12", "1", "1", "0x500000", "0" } },
	{ "futex WAIT_REQUEUE_PI", "w", SYS_futex, { "0x500000", "11", "1", "0", "0x500000", "0" } },
	{ "mmap MAP_SHARED|ANONYMOUS", "p", SYS_mmap, { "0", "4096", "3", "0x21", "0xffffffff", "0" } },
	{ "mmap HUGETLB", "p", SYS_mmap, { "0", "0x200000", "3", "0x40022", "0xffffffff", "0" } },
	{ "mmap LOCKED", "p", SYS_mmap, { "0", "4096", "3", "0x2022", "0xffffffff", "0" } },
	{ "mmap GROWSDOWN", "p", SYS_mmap, { "0", "4096", "3", "0x122", "0xffffffff", "0" } },
	{ "mmap SHARED_VALIDATE", "p", SYS_mmap, { "0", "4096", "3", "0x3", "16", "0" } },
	{ "mmap prot with high bits", "p", SYS_mmap, { "0", "4096", "0x100000003", "0x22", "0xffffffff", "0" } },
	{ "mprotect GROWSDOWN", "p", SYS_mprotect, { "0x500000", "4096", "0x01000001", "0", "0", "0" } },
	{ "madvise HWPOISON", "p", SYS_madvise, { "0x500000", "4096", "100", "0", "0", "0" } },
	{ "madvise SOFT_OFFLINE", "p", SYS_madvise, { "0x500000", "4096", "101", "0", "0", "0" } },
	{ "mremap unknown flag", "p", SYS_mremap, { "0x500000", "4096", "4096", "8", "0", "0" } },
	{ "pwritev2 NOAPPEND", "w", SYS_pwritev2, { "16", "0x500000", "1", "0", "0", "0x20" } },
	{ "pwritev2 HIPRI", "p", SYS_pwritev2, { "16", "0x500000", "1", "0", "0", "1" } },
	{ "preadv2 NOWAIT", "w", SYS_preadv2, { "16", "0x500000", "1", "0", "0", "8" } },
	{ "ppoll with a mask", "w", SYS_ppoll, { "0", "0", "0", "0x500000", "8", "0" } },
	{ "ppoll with a mask at 4 GiB", "w", SYS_ppoll, { "0", "0", "0", "0x100000000", "8", "0" } },
	{ "ppoll with a mask at 4 GiB, plain", "p", SYS_ppoll, { "0", "0", "0", "0x100000000", "8", "0" } },
	{ "clone SIGCHLD", "p", SYS_clone, { "17", "0", "0", "0", "0", "0" } },
	{ "clone NEWUSER", "p", SYS_clone, { "0x10008411", "0", "0", "0", "0", "0" } },
	{ "clone NEWNET", "p", SYS_clone, { "0x40008411", "0", "0", "0", "0", "0" } },
	{ "clone PIDFD", "p", SYS_clone, { "0x9411", "0x500000", "0", "0", "0", "0" } },
	{ "clone UNTRACED", "p", SYS_clone, { "0x808411", "0", "0", "0", "0", "0" } },
	{ "clone CLEAR_SIGHAND in the high half", "p", SYS_clone, { "0x100008411", "0", "0", "0", "0", "0" } },
	{ "clone PTRACE", "p", SYS_clone, { "0xa411", "0", "0", "0", "0", "0" } },
	{ "clock of another process", "p", SYS_clock_gettime, { "0xfffffffa", "0x500000", "0", "0", "0", "0" } },
	{ "close_range without unshare", "p", SYS_close_range, { "0", "0xffffffff", "0", "0", "0", "0" } },
	{ "number with high bits", "p", (1l << 32) + SYS_getpid, { "0", "0", "0", "0", "0", "0" } },
	{ "x32 getpid", "p", 0x40000000 + SYS_getpid, { "0", "0", "0", "0", "0", "0" } },
	{ "x32 futex", "p", 0x40000000 + SYS_futex, { "0x500000", "1", "1", "0", "0", "0" } },
	{ "number -1", "p", -1, { "0", "0", "0", "0", "0", "0" } },
	{ "private number past the end", "p", 0x1000 + 200, { "0", "0", "0", "0", "0", "0" } },
};

/* ---- where requests go by the bell ---- */
static const struct { const char *name, *where; long nr; const char *a[6]; } at_the_bell[] = {
	{ "a request by its number", "p", 0x1000 + 20, { "0", "0", "0", "0", "0", "0" } },
	{ "the last request by its number", "p", 0x1000 + 69, { "0", "0", "0", "0", "0", "0" } },
	{ "reading the bell", "p", SYS_preadv2, { "3", "0x500000", "1", "-1", "-1", "0" } },
	{ "reading the bell, interruptible", "w", SYS_preadv2, { "3", "0x500000", "1", "-1", "-1", "0" } },
	{ "writing to the bell, interruptible", "w", SYS_pwritev2, { "3", "0x500000", "1", "-1", "-1", "0" } },
	{ "closing the bell", "p", SYS_close, { "3", "0", "0", "0", "0", "0" } },
	{ "reading the keeper's orders", "p", SYS_preadv2, { "4", "0x500000", "1", "-1", "-1", "0" } },
	{ "reading the keeper's orders, interruptible", "w", SYS_preadv2, { "4", "0x500000", "1", "-1", "-1", "0" } },
	{ "answering for the keeper", "p", SYS_pwritev2, { "4", "0x500000", "1", "-1", "-1", "0" } },
	{ "answering for the keeper, high bits", "p", SYS_pwritev2, { "0x100000004", "0x500000", "1", "-1", "-1", "0" } },
	{ "closing the keeper's socket", "p", SYS_close, { "4", "0", "0", "0", "0", "0" } },
	{ "closing the host's pidfd", "p", SYS_close, { "5", "0", "0", "0", "0", "0" } },
	{ "closing the helper's pidfd", "p", SYS_close, { "6", "0", "0", "0", "0", "0" } },
	{ "a closed number below the granted ones", "p", SYS_close, { "15", "0", "0", "0", "0", "0" } },
	{ "close_range", "p", SYS_close_range, { "0", "0xffffffff", "2", "0", "0", "0" } },
};

static void limited(const char *test, const char *flags, const char *count)
{
	const char *args[] = { test, flags, count, NULL };
	struct pico_options o;

	pico_options_init(&o);
	o.limits.processes = 4;
	o.limits.threads = 8;
	bare_run(&r, NULL, args, &o);
}

static void sweep_the_bell(void)
{
	const char *made;

	for (size_t i = 0; i < sizeof(at_the_bell) / sizeof(at_the_bell[0]); i++) {
		gate(at_the_bell[i].where, at_the_bell[i].nr, at_the_bell[i].a);
		report(at_the_bell[i].name, killed_by_filter());
	}
	for (int i = 0; i < 8; i++) {
		limited("hostile_children", "0x8411", NULL);
		if (!killed_by_filter() || i == 7)
			report("children that were not asked for end the instance", killed_by_filter());
		if (!killed_by_filter())
			break;
	}
	limited("hostile_threads", "0x350f00", "200");
	made = strstr(r.log, "made ");
	report("threads past the limit end the instance, or cannot be made",
	       killed_by_filter() || (bare_passed(&r) && made && atoi(made + 5) <= 8));
}

static bool has_notifications(void)
{
	struct pico_features f = { .size = sizeof(f) };
	char helper[512];

	return pico_features(built("pico-helper", helper, sizeof(helper)), &f) == 0 && (f.have & PICO_FEATURE_NOTIFY);
}

int main(void)
{
	char builddir[4096];
	const char *from = getenv("builddir");

	if (!realpath(from && *from ? from : ".", builddir))
		return 2;
	setenv("builddir", builddir, 1);
	host_prepare();
	bell = !has_notifications();
	sweep("0", "1023", "0", "numbers 0..1023 from the guest's text trap");
	sweep("0", "1023", "0x500000", "the same with pointers as arguments");
	sweep("0", "1023", "-1", "the same with odd arguments");
	sweep("1073741824", "1073742847", "0", "the x32 range traps");
	for (int nr = 0; nr < 400; nr += 7) {
		char text[16];
		const char *args[] = { "hostile_int80", text, NULL };
		snprintf(text, sizeof(text), "%d", nr);
		bare_run(&r, NULL, args, NULL);
		if (r.rc || !(killed_by_filter() || (bare_passed(&r) && !strstr(r.log, "alive")))) {
			report("int 0x80", false);
			break;
		}
		if (nr + 7 >= 400)
			report("int 0x80 traps or kills", true);
	}
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		gate(hostile[i].where, hostile[i].nr, hostile[i].a);
		report(hostile[i].name, killed_by_filter());
	}
	/* The monitor's own calls: a second close_range, and a clone that is past the limit, are refused. */
	if (bell) {
		sweep_the_bell();
	} else {
		static const char *const a[6] = { "0", "0xffffffff", "2", "0", "0", "0" };
		gate("p", SYS_close_range, a);
		report("a guest's close_range is refused", bare_passed(&r) && strstr(r.log, "alive -1"));
	}
	for (int nr = 335; nr <= 336; nr++) {
		static const char *const a[6] = { "0x500000", "0x500000", "0x500000", "0", "0", "0" };
		gate("p", nr, a);
		report(nr == 335 ? "uretprobe does nothing" : "uprobe does nothing",
		       killed_by_filter() || strstr(r.log, "alive -6") || (r.exit.kind == PICO_DIED && r.exit.cause == PICO_CAUSE_LIBOS_CRASHED));
	}
	gate_sweep("p");
	gate_sweep("w");
	gate_sweep("s");
	report("nothing of the host changed", host_unchanged());
	host_clean();
	printf("1..%u\n", number);
	return failed != 0;
}
