/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the helper out of the host's world, once: root, capabilities,
 * namespaces, the file tree. What the kernel refuses is recorded and not
 * fatal, but for root, which is never kept. Must not know of picoprocesses.
 */
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>

#include "helper.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#define NOBODY 65534

static int set_capabilities(uint64_t set)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)set, (uint32_t)set, 0 },
		{ (uint32_t)(set >> 32), (uint32_t)(set >> 32), 0 },
	};
	return (int)sys(capset, &head, data);
}

void helper_drop_bounding_set(void)
{
	for (int i = 0; i < 64; i++)
		if (sys(prctl, PR_CAPBSET_DROP, i) == -EINVAL)
			break; /* past the last one */
}

void helper_drop_capabilities(void)
{
	sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
	set_capabilities(0);
}

static bool is_root(void)
{
	uint32_t user[3] = { 0 }, group[3] = { 0 };
	sys(getresuid, &user[0], &user[1], &user[2]);
	sys(getresgid, &group[0], &group[1], &group[2]);
	for (int i = 0; i < 3; i++)
		if (!user[i] || !group[i])
			return true;
	return false;
}

/* The rights to make namespaces and to empty the bounding set are kept over the
 * change of user, and dropped by helper_drop_capabilities: where user namespaces
 * are forbidden, a root host's helper still gets the others. (A new user
 * namespace would fill the bounding set again, so it is emptied after that.) */
int helper_drop_root(struct helper *h, const char **what)
{
	long error;
	if (!is_root()) {
		sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
		return set_capabilities(0);
	}
	sys(prctl, PR_SET_KEEPCAPS, 1);
	*what = "setgroups";
	error = sys(setgroups, 0, 0);
	if (error == 0 || error == -EPERM) { /* EPERM: denied in this user namespace, or no right; the next call tells */
		*what = "setresgid";
		error = sys(setresgid, NOBODY, NOBODY, NOBODY);
	}
	if (error == 0) {
		*what = "setresuid";
		error = sys(setresuid, NOBODY, NOBODY, NOBODY);
	}
	sys(prctl, PR_SET_KEEPCAPS, 0);
	if (error == 0)
		h->features |= PICO_HELPER_DROPPED_ROOT;
	/* EINVAL: an id that is not mapped, so this root is only a user
	 * namespace's, not the host's; it cannot become anybody else. */
	if (error == -EINVAL)
		error = 0;
	sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
	set_capabilities(1ull << CAP_SYS_ADMIN | 1ull << CAP_SETPCAP);
	return (int)error;
}

/* ---- namespaces ---- */

static bool write_file(const char *path, const char *text, size_t size)
{
	long written, fd = sys(open, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = sys(write, fd, text, size);
	sys(close, fd);
	return written == (long)size;
}

static size_t put_number(char *to, uint32_t number)
{
	char digits[10];
	size_t count = 0, size;
	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	for (size = 0; size < count; size++)
		to[size] = digits[count - 1 - size];
	return size;
}

static void write_map(const char *path, uint32_t id)
{
	char text[32];
	size_t size = put_number(text, id);
	text[size++] = ' ';
	size += put_number(text + size, id);
	text[size++] = ' ';
	text[size++] = '1';
	write_file(path, text, size);
}

/* A map that cannot be written is no loss: the ids are then the overflow ids,
 * and nothing here makes a file. */
static void map_ids(uint32_t uid, uint32_t gid)
{
	write_file("/proc/self/setgroups", "deny", 4);
	write_map("/proc/self/uid_map", uid);
	write_map("/proc/self/gid_map", gid);
}

/* An empty read-only tmpfs as root, the host's tree detached. The tmpfs is
 * mounted over a directory that every system has; mode 0 would lock out the
 * helper itself where its ids are not mapped. */
static bool empty_root(void)
{
	static const char *const places[] = { "/proc", "/tmp", "/dev", "/usr" };
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	const char *place = NULL;
	if (sys(mount, 0, "/", 0, MS_REC | MS_PRIVATE, 0) < 0)
		return false;
	for (unsigned i = 0; !place && i < sizeof places / sizeof *places; i++)
		if (sys(mount, "pico", places[i], "tmpfs", flags, "mode=0755,size=4k,nr_inodes=2") == 0)
			place = places[i];
	if (!place || sys(chdir, place) < 0)
		return false;
	if (sys(pivot_root, ".", ".") < 0 || sys(umount2, ".", MNT_DETACH) < 0)
		return false;
	sys(chdir, "/");
	return sys(mount, 0, "/", 0, MS_REMOUNT | MS_RDONLY | flags, "mode=0755,size=4k,nr_inodes=2") == 0;
}

enum stage { FIRST, ROOT, BESIDE };
static const struct {
	int flag;
	enum stage stage;
	uint32_t feature;
	const char *name;
} namespaces[] = {
	{ CLONE_NEWUSER, FIRST, PICO_HELPER_USERNS, "user" },
	{ CLONE_NEWPID, FIRST, PICO_HELPER_PIDNS, "pid" },
	{ CLONE_NEWNS, ROOT, PICO_HELPER_MNTNS, "mount" },
	{ CLONE_NEWNET, BESIDE, PICO_HELPER_NETNS, "net" },
	{ CLONE_NEWIPC, BESIDE, PICO_HELPER_IPCNS, "ipc" },
	{ CLONE_NEWUTS, BESIDE, PICO_HELPER_UTSNS, "uts" },
};
#define NAMESPACES (sizeof namespaces / sizeof *namespaces)

static void enter(enum stage stage, struct helper_beside *result)
{
	for (unsigned i = 0; i < NAMESPACES; i++) {
		long error;
		if (namespaces[i].stage != stage)
			continue;
		error = sys(unshare, namespaces[i].flag);
		if (error == 0) {
			result->features |= namespaces[i].feature;
			result->flags |= (uint32_t)namespaces[i].flag;
		} else if (!result->refused) {
			result->refused = (int32_t)-error;
			result->refused_index = i;
		}
	}
}

static void record(struct helper *h, const struct helper_beside *result)
{
	h->features |= result->features;
	if (result->refused && !h->refused) {
		h->refused = result->refused;
		h->refused_name = namespaces[result->refused_index].name;
	}
}

void helper_enter_first(struct helper *h)
{
	struct helper_beside result = { 0 };
	h->uid = (uint32_t)sys(geteuid);
	h->gid = (uint32_t)sys(getegid);
	/* After a change of user the process is not dumpable, and its /proc
	 * files, the maps among them, belong to root. Undone by the caller. */
	sys(prctl, PR_SET_DUMPABLE, 1);
	enter(FIRST, &result);
	record(h, &result);
}

void helper_enter_root(struct helper *h)
{
	struct helper_beside result = { 0 };
	if (h->features & PICO_HELPER_USERNS)
		map_ids(h->uid, h->gid);
	enter(ROOT, &result);
	record(h, &result);
	if ((h->features & PICO_HELPER_MNTNS) && empty_root())
		h->features |= PICO_HELPER_EMPTY_ROOT;
}

void helper_make_beside(struct helper *h)
{
	uint64_t one = 1;
	enter(BESIDE, h->beside);
	sys(write, h->made, &one, sizeof one);
}

/* Where the kernel does not let a pidfd be joined (before 5.8, or a security
 * module), namespaces of one's own do as well. */
static int enter_like(const struct helper_beside *wanted, int watchdog)
{
	struct helper_beside own = { 0 };
	if (!wanted->flags || sys(setns, watchdog, wanted->flags) == 0)
		return 0;
	enter(BESIDE, &own);
	return own.features == wanted->features ? 0 : -EPERM;
}

int helper_join(struct helper *h)
{
	struct pollfd p[2] = { { .fd = h->made, .events = POLLIN }, { .fd = h->watchdog, .events = POLLIN } };
	int error;
	while (!p[0].revents) {
		sys(ppoll, p, 2, 0, 0, 8);
		if (p[1].revents)
			return -ECHILD;
	}
	record(h, h->beside);
	error = enter_like(h->beside, h->watchdog);
	helper_drop_capabilities();
	sys(munmap, h->beside, PICO_PAGE_SIZE);
	h->beside = NULL;
	return error;
}
