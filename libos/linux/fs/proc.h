/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of procfs share: proc.c (the root), proc_machine.c, proc_cpu.c,
 * proc_net.c, proc_sys.c (knobs), and of processes proc_task.c (the directories),
 * proc_stat.c, proc_link.c, proc_mm.c.
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

/* proc_machine.c */
int show_uptime(struct pseudo *p, struct seq *s);
int show_loadavg(struct pseudo *p, struct seq *s);
int show_version(struct pseudo *p, struct seq *s);
int show_machine_stat(struct pseudo *p, struct seq *s);
int show_interrupts(struct pseudo *p, struct seq *s);
int show_meminfo(struct pseudo *p, struct seq *s);
int show_vmstat(struct pseudo *p, struct seq *s);
int show_locks(struct pseudo *p, struct seq *s);

/* proc_task.c */
struct task *proc_task(struct pseudo *p); /* the task an entry is about; reference or NULL */
void proc_owner(struct pseudo *p, struct kstat *st);
bool proc_gone(struct pseudo *p);
int proc_may_open(struct pseudo *p, struct file *f);
bool proc_next_tid(u32 *tid); /* the first process at or after it */
int proc_number(const char *name, size_t size, u32 *out); /* a name that is a number; -ENOENT */
static inline u64 ticks(u64 ns) { return ns / 10000000u; } /* USER_HZ is 100 */
static inline u64 kb(u64 bytes) { return bytes >> 10; }

/* proc_stat.c */
int show_stat(struct pseudo *e, struct seq *s);
int show_thread_stat(struct pseudo *e, struct seq *s);
int show_status(struct pseudo *e, struct seq *s);
int show_schedstat(struct pseudo *e, struct seq *s);
int show_sched(struct pseudo *e, struct seq *s);
int show_wchan(struct pseudo *e, struct seq *s);
int show_syscall(struct pseudo *e, struct seq *s);

/* proc_link.c */
enum { PROC_CWD, PROC_ROOT, PROC_EXE }; /* pseudo_entry.arg */
int proc_read_path(struct pseudo *e, char *buf, size_t size);
int proc_follow_path(struct pseudo *e, struct path *out, struct file **f);
int proc_find_fd(struct pseudo *dir, const char *name, size_t size, struct pseudo *child);
bool proc_next_fd(struct pseudo *dir, u64 *pos, char name[64], struct pseudo *child);
extern const struct pseudo_entry proc_namespace_table[];

/* proc_mm.c */
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
