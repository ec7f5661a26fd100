/* SPDX-License-Identifier: Apache-2.0
 *
 * The dentry cache: names of files in a hash table of the shared segment. A
 * dentry nobody refers to stays until it is among the least recently used. It
 * must not know what file system a name comes from.
 */
#include "internal.h"

#define HASH_BUCKETS 1024u /* at the start */
#define HASH_MOST (1u << 22)
#define LRU_KEEP 16384u

int dentry_init(void)
{
	struct vfs *v = vfs();
	/* The pages come zeroed; a bucket becomes a list when it is first used. */
	v->hash = page_alloc(HASH_BUCKETS * sizeof(struct list) / PAGE_SIZE);
	if (!v->hash) return -ENOMEM;
	v->hash_mask = HASH_BUCKETS - 1;
	list_init(&v->lru);
	return 0;
}

static inline struct list *bucket(u32 hash)
{
	struct list *l = &vfs()->hash[hash & vfs()->hash_mask];
	if (unlikely(!l->next)) list_init(l);
	return l;
}

static void hash_grow(void)
{
	struct vfs *v = vfs();
	u32 size = v->hash_mask + 1, more = size * 4;
	struct list *table = page_alloc(more * sizeof(struct list) / PAGE_SIZE), *old = table;

	if (!table) return; /* it works on, more slowly */
	lock(&v->lock);
	if (v->hash_mask + 1 == size) {
		old = v->hash;
		v->hash = table;
		v->hash_mask = more - 1;
		for (u32 k = 0; k < size; k++)
			while (old[k].next && !list_empty(&old[k])) {
				struct dentry *d = list_entry(old[k].next, struct dentry, hash_node);
				list_del(&d->hash_node);
				list_add(bucket(d->hash), &d->hash_node);
			}
		more = size;
	}
	unlock(&v->lock);
	page_free(old, more * sizeof(struct list) / PAGE_SIZE);
}

u32 dentry_hash(const struct dentry *parent, const char *name, size_t size)
{
	u64 h = ((u64)(uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15ull;
	while (size >= 8) {
		u64 w;
		memcpy(&w, name, 8);
		h = (h ^ w) * 0x9fb21c651e98df25ull;
		h ^= h >> 29;
		name += 8;
		size -= 8;
	}
	u64 w = 0;
	for (size_t i = 0; i < size; i++) w |= (u64)(u8)name[i] << (8 * i);
	h = (h ^ w ^ ((u64)size << 56)) * 0x9fb21c651e98df25ull;
	return (u32)(h >> 32) ^ (u32)(h >> 13);
}

struct dentry *dentry_alloc(struct dentry *parent, const char *name, size_t size)
{
	size_t room = ALIGN_UP(size + 1, 16);
	struct dentry *d = kmalloc(sizeof(*d) + room);

	if (!d) return NULL;
	memset(d, 0, sizeof(*d));
	ref_init(&d->ref);
	list_init(&d->hash_node);
	list_init(&d->child_node);
	list_init(&d->children);
	list_init(&d->lru);
	list_init(&d->alias);
	memcpy(d->name_inline, name, size);
	d->name_inline[size] = 0;
	d->name = d->name_inline;
	d->name_size = (u16)size;
	d->name_room = (u16)room;
	if (parent) {
		d->parent = dentry_get(parent);
		d->hash = dentry_hash(parent, name, size);
	}
	__atomic_fetch_add(&vfs()->dentry_count, 1, __ATOMIC_RELAXED);
	return d;
}

static void alias_add(struct dentry *d) /* dentry lock held */
{
	if (d->inode && !(d->flags & DENTRY_ALIAS)) {
		list_add_tail(&d->inode->aliases, &d->alias);
		d->flags |= DENTRY_ALIAS;
	}
}

struct dentry *dentry_alloc_root(struct inode *i)
{
	struct dentry *d = dentry_alloc(NULL, "/", 1);

	if (!d) {
		inode_put(i);
		return NULL;
	}
	d->inode = i;
	lock(&vfs()->lock);
	alias_add(d);
	unlock(&vfs()->lock);
	return d;
}

struct dentry *dentry_get(struct dentry *d)
{
	ref_get(&d->ref);
	return d;
}

static void lru_remove(struct dentry *d)
{
	if (d->flags & DENTRY_LRU) {
		list_del(&d->lru);
		d->flags &= ~DENTRY_LRU;
		vfs()->lru_count--;
	}
}

/* Out of every list; dentry lock held. */
static void unlink_lists(struct dentry *d)
{
	list_del(&d->hash_node);
	list_del(&d->child_node);
	d->flags &= ~DENTRY_HASHED;
	lru_remove(d);
}

/* The count is 0 and the lists are left: free it. Returns the parent, whose
 * reference the caller now owns. No lock held. */
static struct dentry *dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent;

	if (d->inode) inode_put(d->inode);
	if (d->name != d->name_inline) kfree((void *)(uintptr_t)d->name);
	kfree(d);
	__atomic_fetch_sub(&vfs()->dentry_count, 1, __ATOMIC_RELAXED);
	return parent;
}

static void alias_remove(struct dentry *d)
{
	if (d->flags & DENTRY_ALIAS) {
		list_del(&d->alias);
		d->flags &= ~DENTRY_ALIAS;
	}
}

static bool is_transient(const struct dentry *d)
{
	return d && d->inode && d->inode->ops && d->inode->ops->transient;
}

void dentry_put(struct dentry *d)
{
	struct vfs *v = vfs();

	while (d) {
		u32 c = __atomic_load_n(&d->ref.count, __ATOMIC_RELAXED);
		while (c > 1)
			if (__atomic_compare_exchange_n(&d->ref.count, &c, c - 1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
				return;
		lock(&v->lock);
		if (!ref_put(&d->ref)) {
			unlock(&v->lock);
			return;
		}
		if ((d->flags & DENTRY_HASHED) && !is_transient(d) && !is_transient(d->parent)) {
			if (!(d->flags & DENTRY_LRU)) {
				list_add_tail(&v->lru, &d->lru);
				d->flags |= DENTRY_LRU;
				v->lru_count++;
			}
			bool many = v->lru_count > LRU_KEEP;
			unlock(&v->lock);
			if (many) dentry_shrink(LRU_KEEP - LRU_KEEP / 16);
			return;
		}
		unlink_lists(d);
		alias_remove(d);
		unlock(&v->lock);
		d = dentry_free(d);
	}
}

void dentry_shrink(u32 keep)
{
	struct vfs *v = vfs();
	struct list dead;

	list_init(&dead);
	lock(&v->lock);
	for (u32 turns = v->lru_count; turns && v->lru_count > keep; turns--) {
		struct dentry *d = list_entry(v->lru.next, struct dentry, lru);
		lru_remove(d);
		/* Used again since it was put here: it comes back with its last put. */
		if (__atomic_load_n(&d->ref.count, __ATOMIC_RELAXED)) continue;
		unlink_lists(d);
		alias_remove(d);
		list_add_tail(&dead, &d->lru);
	}
	unlock(&v->lock);
	while (!list_empty(&dead)) {
		struct dentry *d = list_entry(dead.next, struct dentry, lru);
		list_del(&d->lru);
		dentry_put(dentry_free(d));
	}
}

void dentry_kill_children(struct dentry *root)
{
	for (;;) {
		struct dentry *d = root;
		lock(&vfs()->lock);
		while (!list_empty(&d->children)) d = list_entry(d->children.next, struct dentry, child_node);
		if (d == root) {
			unlock(&vfs()->lock);
			return;
		}
		unlink_lists(d);
		d->flags |= DENTRY_DEAD;
		unlock(&vfs()->lock);
		dentry_put(d);
	}
}

struct dentry *dentry_find(struct dentry *parent, u32 hash, const char *name, size_t size)
{
	struct list *b = bucket(hash);

	for (struct list *p = b->next; p != b; p = p->next) {
		struct dentry *d = list_entry(p, struct dentry, hash_node);
		if (d->hash == hash && d->parent == parent && d->name_size == size && !memcmp(d->name, name, size))
			return d;
	}
	return NULL;
}

struct dentry *dentry_cached(struct dentry *parent, const char *name, size_t size)
{
	struct dentry *d;

	lock(&vfs()->lock);
	d = dentry_find(parent, dentry_hash(parent, name, size), name, size);
	if (d) ref_get(&d->ref);
	unlock(&vfs()->lock);
	return d;
}

void dentry_publish(struct dentry *d)
{
	u32 buckets = vfs()->hash_mask + 1;

	if (unlikely(vfs()->dentry_count / 2 > buckets && buckets < HASH_MOST)) hash_grow();
	lock(&vfs()->lock);
	if (!(d->flags & (DENTRY_HASHED | DENTRY_DEAD))) {
		list_add(bucket(d->hash), &d->hash_node);
		list_add_tail(&d->parent->children, &d->child_node);
		d->flags |= DENTRY_HASHED;
	} else if (d->flags & DENTRY_PINNED) { /* listed in the order of cookies */
		list_del(&d->child_node);
		list_add_tail(&d->parent->children, &d->child_node);
	}
	alias_add(d);
	unlock(&vfs()->lock);
}

void dentry_set(struct dentry *d, struct inode *i)
{
	lock(&vfs()->lock);
	__atomic_store_n(&d->inode, i, __ATOMIC_RELEASE);
	alias_add(d);
	unlock(&vfs()->lock);
}

void dentry_bound(struct dentry *d)
{
	lock(&vfs()->lock);
	alias_add(d);
	unlock(&vfs()->lock);
}

void dentry_drop(struct dentry *d, u32 flags)
{
	lock(&vfs()->lock);
	list_del(&d->hash_node);
	list_del(&d->child_node);
	d->flags = (d->flags & ~DENTRY_HASHED) | flags;
	bool orphan = (d->flags & DENTRY_LRU) && !__atomic_load_n(&d->ref.count, __ATOMIC_RELAXED);
	if (orphan) ref_get(&d->ref);
	unlock(&vfs()->lock);
	if (orphan) dentry_put(d);
}

bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor)
{
	for (; d; d = d->parent)
		if (d == ancestor) return true;
	return false;
}

int dentry_reserve_name(struct dentry *d, size_t size, char **spare)
{
	*spare = NULL;
	if (size < d->name_room) return 0;
	*spare = kmalloc(NAME_MAX + 1);
	return *spare ? 0 : -ENOMEM;
}

static void set_name(struct dentry *d, const char *name, size_t size, char **spare)
{
	if (size < d->name_room) {
		memcpy((char *)(uintptr_t)d->name, name, size + 1);
	} else {
		/* The old name is freed by the caller, after the lock. */
		char *old = d->name == d->name_inline ? NULL : (char *)(uintptr_t)d->name;
		memcpy(*spare, name, size + 1);
		d->name = *spare;
		d->name_room = NAME_MAX + 1;
		*spare = old;
	}
	d->name_size = (u16)size;
}

static void place(struct dentry *d, struct dentry *parent)
{
	d->parent = parent;
	d->hash = dentry_hash(parent, d->name, d->name_size);
	list_del(&d->hash_node);
	list_del(&d->child_node);
	list_add(bucket(d->hash), &d->hash_node);
	list_add_tail(&parent->children, &d->child_node);
	d->flags |= DENTRY_HASHED;
}

/* Both directories' locks are held. spare comes from dentry_reserve_name() of
 * d (spare[0]) and of target (spare[1], for an exchange). */
void dentry_move(struct dentry *d, struct dentry *target, bool exchange, char **spare)
{
	char name[NAME_MAX + 1];
	size_t size;
	struct dentry *old_parent, *target_parent;

	lock(&vfs()->lock);
	old_parent = d->parent;
	target_parent = target->parent;
	size = d->name_size;
	memcpy(name, d->name, size + 1);
	set_name(d, target->name, target->name_size, &spare[0]);
	if (exchange) {
		set_name(target, name, size, &spare[1]);
		place(d, target_parent); /* the two references on the parents change owners */
		place(target, old_parent);
	} else {
		list_del(&target->hash_node);
		list_del(&target->child_node);
		target->flags = (target->flags & ~DENTRY_HASHED) | (target->inode ? DENTRY_DEAD : 0);
		if (target_parent != old_parent) ref_get(&target_parent->ref);
		place(d, target_parent);
	}
	unlock(&vfs()->lock);
	if (!exchange && target_parent != old_parent) dentry_put(old_parent);
	kfree(spare[0]);
	if (exchange) kfree(spare[1]);
}
