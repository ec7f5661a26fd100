/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, numbers and permissions of System V IPC objects, as the three families
 * share them. Numbers are given in a cycle, so that an id that is gone does not
 * soon name something else.
 */
#include <linux/capability.h>

#include "sysv.h"

#define CYCLE_LEAST 64u /* numbers that are used before one is given again */
#define SEQ_MAX (0x7fffffff / IPC_SLOTS)
#define SHM_MOST (~0ull - (1ull << 24)) /* as Linux, so that a program may add to it */

static void family_init(struct ipc_family *f)
{
	f->last = f->next_id = -1;
	for (unsigned i = 0; i < IPC_KEY_LISTS; i++)
		list_init(&f->keys[i]);
}

struct sysv *sysv_create(void)
{
	struct sysv *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	family_init(&s->shm);
	family_init(&s->sem);
	family_init(&s->msg);
	s->shm_max = s->shm_all = SHM_MOST;
	s->shm_mni = 4096;
	s->sem_limits[0] = 32000;
	s->sem_limits[1] = 32000 * 32000;
	s->sem_limits[2] = 500;
	s->sem_limits[3] = 32000;
	s->msg_max = 8192;
	s->msg_mnb = 16384;
	s->msg_mni = 32000;
	return s;
}

void sysv_task_exit(struct task *t)
{
	sem_undo_exit(t);
	shm_task_exit(t);
}

s64 ipc_seconds(void) { return (s64)(now_real() / NSEC_PER_SEC); }

void ipc_unlock(struct ipc_family *f)
{
	struct bells bells;

	bells.count = f->bells.count;
	memcpy(bells.bell, f->bells.bell, bells.count * sizeof(bells.bell[0]));
	f->bells.count = 0;
	unlock(&f->lock);
	wake_ring(&bells);
}

/* ---- who may ---- */

bool ipc_allowed(const struct ipc_object *o, u32 mode)
{
	const struct creds *c = &current->process->creds;
	u32 wanted = mode >> 6 | mode >> 3 | mode, granted = o->mode;
	bool group = c->fsgid == o->cgid || c->fsgid == o->gid;

	for (u32 i = 0; i < c->group_count && !group; i++)
		group = c->groups[i] == o->cgid || c->groups[i] == o->gid;
	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (group)
		granted >>= 3;
	return !(wanted & ~granted & 7) || capable(CAP_IPC_OWNER);
}

void ipc_get_perm(const struct ipc_object *o, struct ipc64_perm *p)
{
	p->key = o->key;
	p->uid = o->uid;
	p->gid = o->gid;
	p->cuid = o->cuid;
	p->cgid = o->cgid;
	p->mode = o->mode;
	p->seq = o->seq;
}

int ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *p)
{
	if (p->uid == (u32)-1 || p->gid == (u32)-1)
		return -EINVAL;
	o->uid = p->uid;
	o->gid = p->gid;
	o->mode = (o->mode & ~0777u) | (p->mode & 0777);
	return 0;
}

/* ---- keys ---- */

static struct list *key_list(struct ipc_family *f, s32 key)
{
	return &f->keys[(u32)key * 0x9e3779b1u >> 24];
}

static struct ipc_object *find_key(struct ipc_family *f, s32 key)
{
	list_for_each(pos, key_list(f, key)) {
		struct ipc_object *o = list_entry(pos, struct ipc_object, key_node);
		if (o->key == key)
			return o;
	}
	return NULL;
}

void ipc_forget_key(struct ipc_object *o)
{
	list_del(&o->key_node);
	o->key = IPC_PRIVATE;
}

s64 ipc_get(struct ipc_family *f, const struct ipc_kind *kind, const struct ipc_request *r)
{
	struct ipc_object *o = NULL;
	s64 ret;

	lock(&f->lock);
	if (r->key != IPC_PRIVATE)
		o = find_key(f, r->key);
	if (!o)
		ret = r->key == IPC_PRIVATE || r->flags & IPC_CREAT ? kind->create(r) : -ENOENT;
	else if (r->flags & IPC_CREAT && r->flags & IPC_EXCL)
		ret = -EEXIST;
	else if (!(ret = kind->check ? kind->check(o, r) : 0))
		ret = ipc_allowed(o, r->flags) ? o->id : -EACCES;
	ipc_unlock(f);
	return ret;
}

/* ---- numbers ---- */

/* A free one in [from,to); -1. */
static s32 free_number(const struct ipc_family *f, u32 from, u32 to)
{
	for (u32 n = from; n < to; n++)
		if (n >= f->room || !f->slots[n])
			return (s32)n;
	return -1;
}

static int make_room(struct ipc_family *f, u32 number)
{
	u32 room = f->room ? f->room : CYCLE_LEAST;

	while (room <= number)
		room *= 2;
	if (room == f->room)
		return 0;
	struct ipc_object **slots = krealloc(f->slots, room * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memset(slots + f->room, 0, (room - f->room) * sizeof(*slots));
	f->slots = slots;
	f->room = room;
	return 0;
}

static s32 next_number(const struct ipc_family *f)
{
	u32 most = MAX(f->count * 3 / 2, CYCLE_LEAST);

	most = MIN(most, (u32)IPC_SLOTS);
	const s32 n = free_number(f, f->cursor, most);

	return n < 0 ? free_number(f, 0, MIN(f->cursor, most)) : n;
}

int ipc_add(struct ipc_family *f, struct ipc_object *o, const struct ipc_request *r, u32 limit)
{
	const struct creds *c = &current->process->creds;
	const s32 wanted = f->next_id;

	if (f->count >= MIN(limit, (u32)IPC_SLOTS))
		return -ENOSPC;
	f->next_id = -1;
	s32 n = wanted < 0 ? next_number(f) : free_number(f, (u32)wanted % IPC_SLOTS, IPC_SLOTS);
	if (n < 0)
		return -ENOSPC;
	if (make_room(f, (u32)n))
		return -ENOMEM;
	if (wanted < 0) {
		f->cursor = (u32)n + 1;
		if (n <= f->last && ++f->seq >= SEQ_MAX)
			f->seq = 0;
		f->last = n;
	}
	o->seq = wanted < 0 ? f->seq : (u16)(wanted / IPC_SLOTS);
	o->id = o->seq * IPC_SLOTS + n;
	o->key = r->key;
	o->mode |= r->flags & 0777;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	list_init(&o->key_node);
	if (r->key != IPC_PRIVATE)
		list_add(key_list(f, r->key), &o->key_node);
	f->slots[n] = o;
	f->count++;
	return o->id;
}

void ipc_remove(struct ipc_family *f, struct ipc_object *o)
{
	list_del(&o->key_node);
	f->slots[o->id % IPC_SLOTS] = NULL;
	f->count--;
}

struct ipc_object *ipc_at(const struct ipc_family *f, s32 id)
{
	const u32 n = (u32)id % IPC_SLOTS;

	return id >= 0 && n < f->room ? f->slots[n] : NULL;
}

struct ipc_object *ipc_find(const struct ipc_family *f, s32 id)
{
	struct ipc_object *o = ipc_at(f, id);

	return o && o->id == id ? o : NULL;
}

int ipc_find_stat(const struct ipc_family *f, s32 id, bool by_number, bool any, struct ipc_object **out)
{
	*out = by_number ? ipc_at(f, id) : ipc_find(f, id);
	if (!*out)
		return -EINVAL;
	return any || ipc_allowed(*out, 0444) ? 0 : -EACCES;
}

int ipc_find_owned(const struct ipc_family *f, s32 id, struct ipc_object **out)
{
	const struct creds *c = &current->process->creds;
	struct ipc_object *o = *out = ipc_find(f, id);

	if (!o)
		return -EINVAL;
	return c->euid == o->cuid || c->euid == o->uid || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

s32 ipc_last_number(const struct ipc_family *f)
{
	for (u32 n = f->count ? f->room : 0; n-- > 0;)
		if (f->slots[n])
			return (s32)n;
	return 0;
}

void ipc_for_each(const struct ipc_family *f, void (*fn)(struct ipc_object *o, void *arg), void *arg)
{
	for (u32 n = 0; n < f->room; n++)
		if (f->slots[n])
			fn(f->slots[n], arg);
}
