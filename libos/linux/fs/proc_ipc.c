/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/sysvipc, and the limits of System V IPC and POSIX message queues in
 * /proc/sys. It knows where these numbers are kept and between which bounds.
 */
#include "proc.h"
#include "linux/ipc/sysv.h"

struct knob {
	bool ipc; /* in struct ipc; else in struct sysv */
	bool wide; /* u64 of any value; else s32 */
	u32 offset, count;
	s32 low, high;
	void (*changed)(void);
};

static void forced_changed(void)
{
	if (sysv()->shm_rmid_forced)
		shm_destroy_orphans();
}

#define INT_MOST 0x7fffffff
#define WIDE(m) { .wide = true, .offset = offsetof(struct sysv, m) }
#define INTS(m, most) { .offset = offsetof(struct sysv, m), .count = sizeof(((struct sysv *)0)->m) / sizeof(s32), .high = (most) }
#define MQ(m, least, most) { .ipc = true, .offset = offsetof(struct ipc, m), .count = 1, .low = (least), .high = (most) }
static const struct knob knobs[] = {
	[KNOB_SHMMAX] = WIDE(shm_max),
	[KNOB_SHMALL] = WIDE(shm_all),
	[KNOB_SHMMNI] = INTS(shm_mni, IPC_SLOTS),
	[KNOB_SHM_RMID_FORCED] = { .offset = offsetof(struct sysv, shm_rmid_forced), .count = 1, .high = 1, .changed = forced_changed },
	[KNOB_SHM_NEXT_ID] = INTS(shm.next_id, INT_MOST),
	[KNOB_SEM] = INTS(sem_limits, INT_MOST),
	[KNOB_SEM_NEXT_ID] = INTS(sem.next_id, INT_MOST),
	[KNOB_MSGMAX] = INTS(msg_max, INT_MOST),
	[KNOB_MSGMNB] = INTS(msg_mnb, INT_MOST),
	[KNOB_MSGMNI] = INTS(msg_mni, IPC_SLOTS),
	[KNOB_MSG_NEXT_ID] = INTS(msg.next_id, INT_MOST),
	[KNOB_MQ_QUEUES_MAX] = MQ(mq_queues_max, 0, INT_MOST),
	[KNOB_MQ_MSG_MAX] = MQ(mq_msg_max, 1, 65536),
	[KNOB_MQ_MSGSIZE_MAX] = MQ(mq_msgsize_max, 128, 16 << 20),
	[KNOB_MQ_MSG_DEFAULT] = MQ(mq_msg_default, 1, 65536),
	[KNOB_MQ_MSGSIZE_DEFAULT] = MQ(mq_msgsize_default, 128, 16 << 20),
};

static void *knob_at(const struct knob *k)
{
	return (char *)(k->ipc ? (void *)IPC : (void *)sysv()) + k->offset;
}

int show_ipc_knob(struct pseudo *p, struct seq *s)
{
	const struct knob *k = &knobs[p->arg];
	const s32 *v = knob_at(k);

	if (k->wide)
		seq_printf(s, "%lu\n", *(const u64 *)knob_at(k));
	for (u32 i = 0; !k->wide && i < k->count; i++)
		seq_printf(s, i + 1 < k->count ? "%d\t" : "%d\n", v[i]);
	return 0;
}

/* The next number of a line, cut off it; -EINVAL. */
static int cut_number(char **text, u64 *value)
{
	char *end = *text;

	while (*end == ' ' || *end == '\t' || *end == '\n')
		end++;
	char *start = end;
	while (*end && *end != ' ' && *end != '\t' && *end != '\n')
		end++;
	*text = *end ? end + 1 : end;
	*end = 0;
	return pseudo_number(start, value);
}

/* As many as are written are set, from the first on. */
int store_ipc_knob(struct pseudo *p, char *text, size_t size)
{
	const struct knob *k = &knobs[p->arg];
	s32 *v = knob_at(k), new[4];
	u32 n = 0;
	u64 value;

	(void)size;
	if (k->wide) {
		int err = cut_number(&text, &value);
		if (!err)
			*(u64 *)knob_at(k) = value;
		return err;
	}
	for (; n < k->count && !cut_number(&text, &value); n++) {
		if ((s64)value < k->low || (s64)value > k->high)
			return -EINVAL;
		new[n] = (s32)value;
	}
	if (!n)
		return -EINVAL;
	if (n == 4 && new[3] > IPC_SLOTS) /* of sem: how many sets */
		return -EINVAL;
	memcpy(v, new, n * sizeof(*v));
	if (k->changed)
		k->changed();
	return 0;
}

const struct pseudo_entry proc_mqueue_table[] = {
	IPC_KNOB("msg_default", KNOB_MQ_MSG_DEFAULT), IPC_KNOB("msg_max", KNOB_MQ_MSG_MAX),
	IPC_KNOB("msgsize_default", KNOB_MQ_MSGSIZE_DEFAULT), IPC_KNOB("msgsize_max", KNOB_MQ_MSGSIZE_MAX),
	IPC_KNOB("queues_max", KNOB_MQ_QUEUES_MAX), { .name = NULL },
};
const struct pseudo_entry proc_sysvipc_table[] = {
	PFILE("msg", show_sysvipc_msg), PFILE("sem", show_sysvipc_sem), PFILE("shm", show_sysvipc_shm), { .name = NULL },
};
