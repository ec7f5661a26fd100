/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of procfs share: proc.c (the root and the machine),
 * proc_cpu.c, proc_sys.c (knobs), proc_task.c (processes), proc_mm.c.
 */
#ifndef FS_PROC_H
#define FS_PROC_H

#include "pseudo.h"
#include "linux/lx/mm.h"
#include "linux/lx/proc.h"

extern const struct pseudo_entry proc_sys_table[], proc_net_table[], proc_sysvipc_table[], proc_mqueue_table[];
extern const struct pseudo_entry proc_process_dir; /* a process: pid and tid set */
int proc_find_process(struct pseudo *dir, const char *name, size_t size, struct pseudo *child);
bool proc_next_process(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child);
int show_cpuinfo(struct pseudo *p, struct seq *s);

/* Limits of System V IPC: the entry's arg says which. */
enum ipc_knob { KNOB_NONE, KNOB_SHMMAX, KNOB_SHMALL, KNOB_SHMMNI, KNOB_SHM_RMID_FORCED, KNOB_SHM_NEXT_ID, KNOB_SEM, KNOB_SEM_NEXT_ID,
	KNOB_MSGMAX, KNOB_MSGMNB, KNOB_MSGMNI, KNOB_MSG_NEXT_ID,
	KNOB_MQ_QUEUES_MAX, KNOB_MQ_MSG_MAX, KNOB_MQ_MSGSIZE_MAX, KNOB_MQ_MSG_DEFAULT, KNOB_MQ_MSGSIZE_DEFAULT };
int show_ipc_knob(struct pseudo *p, struct seq *s);
int store_ipc_knob(struct pseudo *p, char *text, size_t size);
#define IPC_KNOB(n, which) { .name = n, .mode = S_IFREG | 0644, .show = show_ipc_knob, .store = store_ipc_knob, .arg = (which) }

struct task *proc_task(struct pseudo *p); /* the task an entry is about; reference or NULL */
struct mm *proc_mm_get(struct task *t); /* reference or NULL */
static inline u64 ticks(u64 ns) { return ns / 10000000u; } /* USER_HZ is 100 */
static inline u64 kb(u64 bytes) { return bytes >> 10; }
void proc_owner(struct pseudo *p, struct kstat *st);
bool proc_gone(struct pseudo *p);
int show_maps(struct pseudo *p, struct seq *s);
int show_smaps(struct pseudo *p, struct seq *s);
int show_smaps_rollup(struct pseudo *p, struct seq *s);
int show_statm(struct pseudo *p, struct seq *s);
int show_cmdline(struct pseudo *p, struct seq *s);
int show_environ(struct pseudo *p, struct seq *s);
int show_auxv(struct pseudo *p, struct seq *s);
int open_mem(struct pseudo *p, struct file *f);
int mm_exe_path(struct mm *mm, struct path *out); /* of the file the program was started from; reference */

#endif
