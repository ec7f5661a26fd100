/* SPDX-License-Identifier: Apache-2.0
 *
 * pico_features: what this host can promise, found by asking the kernel and a
 * started helper, not by guessing from versions where there is a way to ask.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../monitor/cleanup.h"
#include "api.h"

#define FIRST_SIZE sizeof(struct pico_features)
#define HWCAP2_FSGSBASE_BIT 2ul

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif

static const struct { uint64_t bit; const char *name; } names[] = {
	{ PICO_FEATURE_NOTIFY, "seccomp-notify" }, { PICO_FEATURE_SYNC_WAKE_UP, "sync-wake-up" },
	{ PICO_FEATURE_WAIT_KILLABLE, "wait-killable" }, { PICO_FEATURE_FSGSBASE, "fsgsbase" },
	{ PICO_FEATURE_HELPER, "helper" }, { PICO_FEATURE_USER_NAMESPACE, "user-namespace" },
	{ PICO_FEATURE_MOUNT_NAMESPACE, "mount-namespace" }, { PICO_FEATURE_NET_NAMESPACE, "net-namespace" },
	{ PICO_FEATURE_IPC_NAMESPACE, "ipc-namespace" }, { PICO_FEATURE_UTS_NAMESPACE, "uts-namespace" },
	{ PICO_FEATURE_PID_NAMESPACE, "pid-namespace" }, { PICO_FEATURE_EMPTY_ROOT, "empty-root" },
};

static const struct { uint32_t helper; uint64_t bit; } of_helper[] = {
	{ PICO_HELPER_USERNS, PICO_FEATURE_USER_NAMESPACE }, { PICO_HELPER_MNTNS, PICO_FEATURE_MOUNT_NAMESPACE },
	{ PICO_HELPER_NETNS, PICO_FEATURE_NET_NAMESPACE }, { PICO_HELPER_IPCNS, PICO_FEATURE_IPC_NAMESPACE },
	{ PICO_HELPER_UTSNS, PICO_FEATURE_UTS_NAMESPACE }, { PICO_HELPER_PIDNS, PICO_FEATURE_PID_NAMESPACE },
	{ PICO_HELPER_EMPTY_ROOT, PICO_FEATURE_EMPTY_ROOT }, { PICO_HELPER_DROPPED_ROOT, PICO_FEATURE_DROPPED_ROOT },
};

/* With no program at all a known flag is EFAULT, an unknown one EINVAL. */
static bool filter_flag_known(unsigned long flag)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

/* Only a listener can be asked; before there was one the release must do. */
static bool sync_wake_up(const char *release)
{
	unsigned major = 0, minor = 0;

	if (pico__sync_wake_up_seen())
		return true;
	return sscanf(release, "%u.%u", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 6));
}

static uint64_t kernel_features(const char *release)
{
	bool notify = pico__notify_check() == 0 && !pico__notify_taken();
	uint64_t have = 0;

	if (notify)
		have |= PICO_FEATURE_NOTIFY;
	if (notify && sync_wake_up(release))
		have |= PICO_FEATURE_SYNC_WAKE_UP;
	if (notify && filter_flag_known(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV))
		have |= PICO_FEATURE_WAIT_KILLABLE;
	if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT)
		have |= PICO_FEATURE_FSGSBASE;
	return have;
}

static uint64_t helper_features(const char *path)
{
	struct pico__spawn_error error;
	struct pico__helper *helper;
	uint64_t have = PICO_FEATURE_HELPER;
	uint32_t bits;

	if (pico__helper_get(path, &helper, &error) < 0)
		return 0;
	bits = pico__helper_features(helper);
	pico__helper_put(helper);
	for (size_t i = 0; i < sizeof(of_helper) / sizeof(of_helper[0]); i++)
		if (bits & of_helper[i].helper)
			have |= of_helper[i].bit;
	return have;
}

static void list_missing(uint64_t have, char *text, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int n;

		if (have & names[i].bit)
			continue;
		n = snprintf(text + at, size - at, "%s%s", at ? " " : "", names[i].name);
		if (n < 0 || (size_t)n >= size - at)
			return;
		at += (size_t)n;
	}
}

int pico_features(const char *helper, struct pico_features *out)
{
	PICO__FREE char *path = NULL;
	struct pico_features f;
	struct utsname host;
	size_t size;

	if (!out)
		return -PICO_EINVAL;
	size = out->size;
	if (size < FIRST_SIZE || size > FIRST_SIZE + (1u << 16))
		return -PICO_EVERSION;
	path = helper ? strdup(helper) : pico__default_path("pico-helper");
	if (!path)
		return -PICO_ENOMEM;
	memset(&f, 0, sizeof(f));
	if (uname(&host) == 0)
		snprintf(f.kernel, sizeof(f.kernel), "%.63s", host.release);
	f.have = kernel_features(f.kernel) | helper_features(path);
	list_missing(f.have, f.missing, sizeof(f.missing));
	f.size = size;
	memset(out, 0, size);
	memcpy(out, &f, size < sizeof(f) ? size : sizeof(f));
	return 0;
}
