/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine as programs see it: its name and age, random numbers, and the
 * calls that would change what is not theirs, which are refused.
 */
#include "../lx/mem.h"
#include "../lx/proc.h"
#include "../lx/syscall.h"
#include "../lx/uaccess.h"
#include <linux/capability.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/signal.h>

#define NAME_SIZE 65
#define PERSONALITY_KNOWN 0xffffffffu

static void put_name(char *to, const char *from)
{
	memcpy(to, from, strnlen(from, NAME_SIZE - 1));
}

SYSCALL(uname)
{
	char u[6][NAME_SIZE];

	memset(u, 0, sizeof(u));
	put_name(u[0], "Linux");
	put_name(u[1], K->hostname);
	put_name(u[2], KERNEL_RELEASE);
	put_name(u[3], KERNEL_VERSION);
	put_name(u[4], "x86_64");
	put_name(u[5], K->domainname);
	return copy_to_user(a[0], u, sizeof(u));
}

static s64 set_machine_name(char *to, const u64 *a)
{
	char name[NAME_SIZE] = { 0 };

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if ((s32)a[1] < 0 || (s32)a[1] >= NAME_SIZE)
		return -EINVAL;
	if (copy_from_user(name, a[0], (u32)a[1]))
		return -EFAULT;
	memcpy(to, name, sizeof(name));
	return 0;
}

SYSCALL(sethostname) { return set_machine_name(K->hostname, a); }
SYSCALL(setdomainname) { return set_machine_name(K->domainname, a); }

struct lx_sysinfo {
	s64 uptime;
	u64 loads[3], total, free, shared, buffer, swap_total, swap_free;
	u16 processes, pad;
	u32 pad2;
	u64 high_total, high_free;
	u32 unit;
	u32 pad3;
};
_Static_assert(sizeof(struct lx_sysinfo) == 112, "");

SYSCALL(sysinfo)
{
	const u64 total = K->memory_limit ? K->memory_limit : K->phys_memory, used = K->host->memory_used + mem_used();
	u64 load[3];

	load_averages(load);
	const struct lx_sysinfo s = {
		.loads = { load[0] << 5, load[1] << 5, load[2] << 5 }, /* in units of 1/65536 */
		.uptime = (s64)(now_mono() / NSEC_PER_SEC),
		.total = total,
		.free = used < total ? total - used : 0,
		.shared = mem_used(),
		.processes = (u16)MIN(K->task_count, 65535u),
		.unit = 1,
	};
	return put_user(s, a[0]);
}

/* Straight from the host, never from a pool: a copy of this instance must not
 * draw the same numbers. */
static s64 random_to(uaddr to, u64 size)
{
	u8 chunk[256];
	u64 done = 0;

	while (done < size) {
		const u64 n = MIN(size - done, (u64)sizeof(chunk));
		if (Dk(RandomBitsRead)(chunk, n) < 0 || copy_to_user(to + done, chunk, n))
			return done ? (s64)done : -EFAULT;
		done += n;
		if (size > sizeof(chunk) && signal_pending())
			break;
	}
	return (s64)done;
}

SYSCALL(getrandom)
{
	const u32 flags = (u32)a[2];

	if (flags & ~(u32)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
		return -EINVAL;
	return random_to(a[0], MIN(a[1], 0x7fffffffull));
}

SYSCALL(personality)
{
	const u32 old = current->process->personality;

	if ((u32)a[0] != PERSONALITY_KNOWN)
		current->process->personality = (u32)a[0];
	return old;
}

/* ---- the kernel's log: empty, its size what Linux has ---- */

SYSCALL(syslog)
{
	enum { CLOSE, OPEN, READ, READ_ALL, READ_CLEAR, CLEAR, OFF, ON, LEVEL, UNREAD, SIZE };
	const s32 type = (s32)a[0];

	if (type != READ_ALL && type != SIZE && !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case READ:
	case READ_ALL:
	case READ_CLEAR:
		return !a[1] || (s32)a[2] < 0 ? -EINVAL : 0;
	case LEVEL:
		return (s32)a[2] < 1 || (s32)a[2] > 8 ? -EINVAL : 0;
	case SIZE:
		return 1 << 17;
	case CLOSE: case OPEN: case CLEAR: case OFF: case ON: case UNREAD:
		return 0;
	}
	return -EINVAL;
}

/* ---- not in here ---- */

#define REFUSED(name, capability, error) \
	SYSCALL(name) { return capable(capability) ? (error) : -EPERM; }

REFUSED(kexec_load, CAP_SYS_BOOT, -EPERM)
REFUSED(kexec_file_load, CAP_SYS_BOOT, -EPERM)
REFUSED(init_module, CAP_SYS_MODULE, -EPERM)
REFUSED(finit_module, CAP_SYS_MODULE, -EPERM)
REFUSED(delete_module, CAP_SYS_MODULE, -EPERM)
REFUSED(swapon, CAP_SYS_ADMIN, -EPERM)
REFUSED(swapoff, CAP_SYS_ADMIN, -EPERM)
REFUSED(acct, CAP_SYS_PACCT, -ENOSYS)
REFUSED(bpf, CAP_SYS_ADMIN, -EPERM)
REFUSED(perf_event_open, CAP_SYS_ADMIN, -ENOENT)

/* Ports stay closed; what asks for nothing is granted. */
SYSCALL(iopl) { return (u32)a[0] > 3 ? -EINVAL : a[0] ? -EPERM : 0; }
SYSCALL(ioperm) { return a[0] + a[1] <= a[0] || a[0] + a[1] > 65536 ? -EINVAL : (s32)a[2] ? -EPERM : 0; }

/* Without a terminal there is nothing to hang up. */
SYSCALL(vhangup)
{
	if (!capable(CAP_SYS_TTY_CONFIG))
		return -EPERM;
	return current->process->tty ? -ENOSYS : 0;
}

/* The machine is this instance: it ends as one does whose first process is gone. */
SYSCALL(reboot)
{
	const u32 magic = (u32)a[1];

	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if ((u32)a[0] != LINUX_REBOOT_MAGIC1 || (magic != LINUX_REBOOT_MAGIC2 && magic != LINUX_REBOOT_MAGIC2A &&
	     magic != LINUX_REBOOT_MAGIC2B && magic != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	switch ((u32)a[2]) {
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF: /* no keyboard has these keys */
		return 0;
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
	case LINUX_REBOOT_CMD_HALT:
	case LINUX_REBOOT_CMD_POWER_OFF:
		signal_send_process(K->init, SIGKILL, NULL);
		return 0;
	}
	return -EINVAL;
}

SYSCALL(ptrace) { return (s32)a[0] != 0 && (s32)a[1] > 0 && (u32)a[1] > 65535 ? -ESRCH : -EPERM; }
SYSCALL(modify_ldt) { return -ENOSYS; }
SYSCALL(rseq) { return -ENOSYS; } /* the host's kernel knows nothing of our signals: an abort could be lost */
SYSCALL(userfaultfd) { return -EPERM; }
