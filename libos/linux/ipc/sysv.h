/* SPDX-License-Identifier: Apache-2.0
 *
 * What the three families of System V IPC share: objects with a key and an
 * owner, their numbers, who may do what. One lock a family protects all of its
 * objects; waits are counted in objects, so none goes while somebody sleeps on
 * it but by its removal, which wakes them. It knows nothing of what an object is.
 */
#ifndef LX_IPC_SYSV_H
#define LX_IPC_SYSV_H

#include <linux/ipc.h>

#include "ipc.h"

#define IPC_SLOTS 32768 /* IPCMNI: numbers of one family; an id is sequence * IPC_SLOTS + number */
#define IPC_KEY_LISTS 256

struct ipc_object { /* struct kern_ipc_perm, as it were; first member of each object */
	struct list key_node; /* on no list: nobody finds it by its key any more */
	s32 id, key;
	u32 mode; /* 0777, and what the family adds */
	u32 uid, gid, cuid, cgid;
	u16 seq;
};
struct ipc_family {
	struct lock lock; /* between pipe/socket objects and signals in the lock order; shm's comes after mm */
	struct ipc_object **slots; /* by number */
	u32 room, count;
	u32 cursor; /* where the search for a free number begins */
	s32 last; /* number given last; -1: none */
	u16 seq;
	s32 next_id; /* /proc/sys/kernel/shm_next_id and so on: the id the next object is to have; -1 */
	struct bells bells; /* wakes decided under the lock */
	struct list keys[IPC_KEY_LISTS];
};
struct sysv {
	struct ipc_family shm, sem, msg;
	u64 shm_max, shm_all, shm_pages; /* bytes; pages, allowed and given */
	s32 shm_mni, shm_rmid_forced;
	s32 sem_limits[4]; /* SEMMSL SEMMNS SEMOPM SEMMNI, the order of /proc/sys/kernel/sem */
	s32 sem_count;
	s32 msg_max, msg_mnb, msg_mni;
	u64 msg_bytes, msg_count; /* in all queues */
};
static inline struct sysv *sysv(void) { return IPC->sysv; }
void ipc_unlock(struct ipc_family *f); /* and ring */

/* What shmget(2) and its like need of a family. Called with the family's lock held. */
struct ipc_request { s32 key; u32 flags; u64 size; };
struct ipc_kind {
	s64 (*create)(const struct ipc_request *r); /* the id */
	int (*check)(const struct ipc_object *o, const struct ipc_request *r); /* it exists and may be used: is it as asked? NULL: always */
};
s64 ipc_get(struct ipc_family *f, const struct ipc_kind *kind, const struct ipc_request *r);

/* All of these: lock held. */
int ipc_add(struct ipc_family *f, struct ipc_object *o, const struct ipc_request *r, u32 limit); /* its id; -ENOSPC, -ENOMEM */
void ipc_remove(struct ipc_family *f, struct ipc_object *o);
void ipc_forget_key(struct ipc_object *o); /* it becomes one of IPC_PRIVATE */
struct ipc_object *ipc_find(const struct ipc_family *f, s32 id); /* NULL: EINVAL */
struct ipc_object *ipc_at(const struct ipc_family *f, s32 id); /* by its number alone (SHM_STAT ...); NULL: EINVAL */
/* Which one a STAT command is about, and whether it may be seen. any: with SHM_STAT_ANY and its like all may. */
int ipc_find_stat(const struct ipc_family *f, s32 id, bool by_number, bool any, struct ipc_object **out);
int ipc_find_owned(const struct ipc_family *f, s32 id, struct ipc_object **out); /* IPC_SET, IPC_RMID: -EINVAL, -EPERM */
bool ipc_allowed(const struct ipc_object *o, u32 mode); /* 0444, 0222 or any bits of these */
s32 ipc_last_number(const struct ipc_family *f); /* highest in use; 0 when none */
void ipc_get_perm(const struct ipc_object *o, struct ipc64_perm *p);
int ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *p); /* -EINVAL */
s64 ipc_seconds(void); /* of the times shown */

/* /proc/sysvipc */
struct pseudo;
struct seq;
int show_sysvipc_shm(struct pseudo *p, struct seq *s);
int show_sysvipc_sem(struct pseudo *p, struct seq *s);
int show_sysvipc_msg(struct pseudo *p, struct seq *s);
void shm_task_exit(struct task *t);
void shm_destroy_orphans(void); /* shm_rmid_forced was switched on */

/* Calls fn for each object, by number; lock held. */
void ipc_for_each(const struct ipc_family *f, void (*fn)(struct ipc_object *o, void *arg), void *arg);

#endif
