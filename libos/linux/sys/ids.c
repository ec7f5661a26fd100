/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a process is: user and group ids, groups, capabilities. They belong to
 * the process; the C library's habit of changing them in every thread finds
 * them changed already.
 */
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>

#define KEEP ((u32)-1) /* an id that is not to be changed; no id can be this */
#define MAX_GROUPS 65536
#define ALL_CAPS ((1ull << (CAP_LAST_CAP + 1)) - 1)

SYSCALL(getuid) { return current->process->creds.uid; }
SYSCALL(geteuid) { return current->process->creds.euid; }
SYSCALL(getgid) { return current->process->creds.gid; }
SYSCALL(getegid) { return current->process->creds.egid; }

static struct creds begin(void) { return current->process->creds; }

/* root who becomes somebody else loses what only root has, and the reverse. */
static void fix_caps(const struct creds *old, struct creds *c)
{
	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	const bool was = old->uid == 0 || old->euid == 0 || old->suid == 0;
	const bool is = c->uid == 0 || c->euid == 0 || c->suid == 0;
	if (was && !is) {
		if (!current->process->keep_caps)
			c->cap_permitted = c->cap_effective = 0;
		c->cap_ambient = 0;
	}
	if (old->euid == 0 && c->euid != 0)
		c->cap_effective = 0;
	if (old->euid != 0 && c->euid == 0)
		c->cap_effective = c->cap_permitted;
}

static void move_user(struct process *p, u32 uid)
{
	struct user *u = user_get(uid), *old = p->user;

	if (!u)
		return;
	__atomic_fetch_add(&u->tasks, p->task_count, __ATOMIC_RELAXED);
	p->user = u;
	if (old)
		__atomic_fetch_sub(&old->tasks, p->task_count, __ATOMIC_RELAXED);
	user_put(old);
}

static s64 commit(const struct creds *c)
{
	struct process *p = current->process;

	lock(&p->lock);
	const struct creds old = p->creds;
	struct creds new = *c;
	fix_caps(&old, &new);
	p->creds = new;
	if (new.uid != old.uid)
		move_user(p, new.uid);
	if (new.euid != old.euid || new.egid != old.egid)
		p->dumpable = 0;
	unlock(&p->lock);
	return 0;
}

SYSCALL(setuid)
{
	const u32 uid = (u32)a[0];
	struct creds c = begin();

	if (uid == KEEP)
		return -EINVAL;
	if (capable(CAP_SETUID))
		c.uid = c.suid = uid;
	else if (uid != c.uid && uid != c.suid)
		return -EPERM;
	c.euid = c.fsuid = uid;
	return commit(&c);
}

SYSCALL(setgid)
{
	const u32 gid = (u32)a[0];
	struct creds c = begin();

	if (gid == KEEP)
		return -EINVAL;
	if (capable(CAP_SETGID))
		c.gid = c.sgid = gid;
	else if (gid != c.gid && gid != c.sgid)
		return -EPERM;
	c.egid = c.fsgid = gid;
	return commit(&c);
}

SYSCALL(setreuid)
{
	const u32 r = (u32)a[0], e = (u32)a[1];
	const struct creds old = begin();
	struct creds c = old;
	const bool any = capable(CAP_SETUID);

	if (r != KEEP) {
		if (r != old.uid && r != old.euid && !any)
			return -EPERM;
		c.uid = r;
	}
	if (e != KEEP) {
		if (e != old.uid && e != old.euid && e != old.suid && !any)
			return -EPERM;
		c.euid = e;
	}
	if (r != KEEP || (e != KEEP && e != old.uid))
		c.suid = c.euid;
	c.fsuid = c.euid;
	return commit(&c);
}

SYSCALL(setregid)
{
	const u32 r = (u32)a[0], e = (u32)a[1];
	const struct creds old = begin();
	struct creds c = old;
	const bool any = capable(CAP_SETGID);

	if (r != KEEP) {
		if (r != old.gid && r != old.egid && !any)
			return -EPERM;
		c.gid = r;
	}
	if (e != KEEP) {
		if (e != old.gid && e != old.egid && e != old.sgid && !any)
			return -EPERM;
		c.egid = e;
	}
	if (r != KEEP || (e != KEEP && e != old.gid))
		c.sgid = c.egid;
	c.fsgid = c.egid;
	return commit(&c);
}

static bool among(u32 id, u32 x, u32 y, u32 z) { return id == KEEP || id == x || id == y || id == z; }

SYSCALL(setresuid)
{
	const u32 r = (u32)a[0], e = (u32)a[1], s = (u32)a[2];
	struct creds c = begin();

	if (!capable(CAP_SETUID) &&
	    !(among(r, c.uid, c.euid, c.suid) && among(e, c.uid, c.euid, c.suid) && among(s, c.uid, c.euid, c.suid)))
		return -EPERM;
	if (r != KEEP)
		c.uid = r;
	if (e != KEEP)
		c.euid = e;
	c.fsuid = c.euid;
	if (s != KEEP)
		c.suid = s;
	return commit(&c);
}

SYSCALL(setresgid)
{
	const u32 r = (u32)a[0], e = (u32)a[1], s = (u32)a[2];
	struct creds c = begin();

	if (!capable(CAP_SETGID) &&
	    !(among(r, c.gid, c.egid, c.sgid) && among(e, c.gid, c.egid, c.sgid) && among(s, c.gid, c.egid, c.sgid)))
		return -EPERM;
	if (r != KEEP)
		c.gid = r;
	if (e != KEEP)
		c.egid = e;
	c.fsgid = c.egid;
	if (s != KEEP)
		c.sgid = s;
	return commit(&c);
}

SYSCALL(getresuid)
{
	const struct creds c = begin();
	return put_user(c.uid, a[0]) || put_user(c.euid, a[1]) || put_user(c.suid, a[2]) ? -EFAULT : 0;
}

SYSCALL(getresgid)
{
	const struct creds c = begin();
	return put_user(c.gid, a[0]) || put_user(c.egid, a[1]) || put_user(c.sgid, a[2]) ? -EFAULT : 0;
}

/* These two never fail: they return what was. */
/* Of a program's capabilities only those over files follow the file system's id. */
static void fix_fs_caps(struct creds *c, u32 id)
{
	const u64 set = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER | 1ull << CAP_FSETID |
		1ull << CAP_LINUX_IMMUTABLE | 1ull << CAP_MKNOD | 1ull << CAP_MAC_OVERRIDE;

	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (c->fsuid == 0 && id != 0)
		c->cap_effective &= ~set;
	if (c->fsuid != 0 && id == 0)
		c->cap_effective |= c->cap_permitted & set;
}

SYSCALL(setfsuid)
{
	const u32 id = (u32)a[0];
	struct creds c = begin();
	const u32 old = c.fsuid;

	if (id != KEEP && (id == c.uid || id == c.euid || id == c.suid || id == c.fsuid || capable(CAP_SETUID))) {
		fix_fs_caps(&c, id);
		c.fsuid = id;
		commit(&c);
	}
	return old;
}

SYSCALL(setfsgid)
{
	const u32 id = (u32)a[0];
	struct creds c = begin();
	const u32 old = c.fsgid;

	if (id != KEEP && (id == c.gid || id == c.egid || id == c.sgid || id == c.fsgid || capable(CAP_SETGID))) {
		c.fsgid = id;
		commit(&c);
	}
	return old;
}

SYSCALL(getgroups)
{
	const struct creds c = begin();

	if ((s32)a[0] < 0)
		return -EINVAL;
	if (a[0]) {
		if ((u32)a[0] < c.group_count)
			return -EINVAL;
		if (copy_to_user(a[1], c.groups, c.group_count * sizeof(u32)))
			return -EFAULT;
	}
	return c.group_count;
}

SYSCALL(setgroups)
{
	struct creds c = begin();
	const u32 n = (u32)a[0];

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (n > MAX_GROUPS)
		return -EINVAL;
	if (copy_from_user(c.groups, a[1], MIN(n, ARRAY_SIZE(c.groups)) * sizeof(u32)))
		return -EFAULT;
	if (n > ARRAY_SIZE(c.groups))
		return -ENOMEM;
	for (u32 i = 0; i < n; i++)
		if (c.groups[i] == KEEP)
			return -EINVAL;
	for (u32 i = 1; i < n; i++) /* in order, as getgroups gives them */
		for (u32 j = i; j && c.groups[j - 1] > c.groups[j]; j--) {
			const u32 x = c.groups[j];
			c.groups[j] = c.groups[j - 1];
			c.groups[j - 1] = x;
		}
	c.group_count = n;
	return commit(&c);
}

/* ---- capabilities ---- */

static int check_version(uaddr header, u32 *words, s32 *pid)
{
	u32 version;
	const u32 ours = _LINUX_CAPABILITY_VERSION_3;

	if (get_user(version, header))
		return -EFAULT;
	if (version == _LINUX_CAPABILITY_VERSION_1)
		*words = 1;
	else if (version == _LINUX_CAPABILITY_VERSION_2 || version == _LINUX_CAPABILITY_VERSION_3)
		*words = 2;
	else
		return put_user(ours, header) ? -EFAULT : -EINVAL;
	return get_user(*pid, header + 4);
}

SYSCALL(capget)
{
	u32 words, data[2][3];
	s32 pid;
	int err = check_version(a[0], &words, &pid);

	if (err)
		return err == -EINVAL && !a[1] ? 0 : err; /* a probe for the version */
	if (pid < 0)
		return -EINVAL;
	struct task *t = task_by_tid(pid ? (u32)pid : current->tid);
	if (!t)
		return -ESRCH;
	const struct creds *c = &t->process->creds;
	for (u32 i = 0; i < 2; i++) {
		data[i][0] = (u32)(c->cap_effective >> (32 * i));
		data[i][1] = (u32)(c->cap_permitted >> (32 * i));
		data[i][2] = (u32)(c->cap_inheritable >> (32 * i));
	}
	task_put(t);
	return a[1] ? copy_to_user(a[1], data, words * sizeof(data[0])) : 0;
}

SYSCALL(capset)
{
	u32 words, data[2][3] = { { 0 } };
	s32 pid;
	int err = check_version(a[0], &words, &pid);
	struct creds c = begin();

	if (err)
		return err;
	if (pid && (u32)pid != current->tid)
		return -EPERM;
	if (copy_from_user(data, a[1], words * sizeof(data[0])))
		return -EFAULT;
	const u64 e = (data[0][0] | (u64)data[1][0] << 32) & ALL_CAPS, p = (data[0][1] | (u64)data[1][1] << 32) & ALL_CAPS;
	const u64 i = (data[0][2] | (u64)data[1][2] << 32) & ALL_CAPS;
	if ((i & ~(c.cap_inheritable | c.cap_permitted) && !capable(CAP_SETPCAP)) || (i & ~(c.cap_inheritable | c.cap_bounding)) ||
	    (p & ~c.cap_permitted) || (e & ~p))
		return -EPERM;
	c.cap_effective = e;
	c.cap_permitted = p;
	c.cap_inheritable = i;
	c.cap_ambient &= p & i;
	lock(&current->process->lock);
	current->process->creds = c;
	unlock(&current->process->lock);
	return 0;
}
