/* SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes kept in memory, for file systems that live there. Name
 * spaces and permission are the system calls' business.
 */
#include "internal.h"
#include <linux/xattr.h>

struct xattr { struct list node; size_t size; u8 *value; char name[]; };
struct xattrs { struct list list; struct lock lock; };

static struct xattrs *attrs_of(struct inode *i)
{
	return __atomic_load_n((struct xattrs **)&i->xattrs, __ATOMIC_ACQUIRE);
}

static struct xattrs *make(struct inode *i)
{
	struct xattrs *x = kzalloc(sizeof(*x)), *none = NULL;

	if (!x) return NULL;
	list_init(&x->list);
	if (__atomic_compare_exchange_n((struct xattrs **)&i->xattrs, &none, x, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return x;
	kfree(x);
	return none;
}

static struct xattr *find(struct xattrs *x, const char *name)
{
	list_for_each(p, &x->list) {
		struct xattr *a = list_entry(p, struct xattr, node);
		if (!strcmp(a->name, name)) return a;
	}
	return NULL;
}

static void drop(struct xattr *a)
{
	list_del(&a->node);
	kfree(a->value);
	kfree(a);
}

s64 simple_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct xattrs *x = attrs_of(i);
	s64 n = -ENODATA;

	if (!x) return n;
	lock(&x->lock);
	struct xattr *a = find(x, name);
	if (a) {
		n = (s64)a->size;
		if (size && a->size > size) n = -ERANGE;
		else if (size) memcpy(buf, a->value, a->size);
	}
	unlock(&x->lock);
	return n;
}

int simple_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
	struct xattrs *x = attrs_of(i) ? attrs_of(i) : make(i);
	size_t name_size = strlen(name) + 1;
	struct xattr *fresh = kmalloc(sizeof(*fresh) + name_size);
	u8 *copy = kmalloc(size ? size : 1);
	int err = 0;

	if (!x || !fresh || !copy) {
		kfree(fresh);
		kfree(copy);
		return -ENOMEM;
	}
	memcpy(copy, value, size);
	memcpy(fresh->name, name, name_size);
	fresh->size = size;
	fresh->value = copy;
	lock(&x->lock);
	struct xattr *a = find(x, name);
	if (a && flags & XATTR_CREATE) err = -EEXIST;
	if (!a && flags & XATTR_REPLACE) err = -ENODATA;
	if (!err) {
		if (a) drop(a);
		list_add_tail(&x->list, &fresh->node);
	}
	unlock(&x->lock);
	if (err) {
		kfree(fresh);
		kfree(copy);
	} else {
		i->ctime = timespec_now();
	}
	return err;
}

s64 simple_listxattr(struct inode *i, char *buf, size_t size)
{
	struct xattrs *x = attrs_of(i);
	size_t at = 0;
	bool fits = true, trusted = capable(CAP_SYS_ADMIN);

	if (!x) return 0;
	lock(&x->lock);
	list_for_each(p, &x->list) {
		struct xattr *a = list_entry(p, struct xattr, node);
		size_t n = strlen(a->name) + 1;
		if (!trusted && !strncmp(a->name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN)) continue;
		if (size && at + n > size) fits = false;
		else if (size) memcpy(buf + at, a->name, n);
		at += n;
	}
	unlock(&x->lock);
	return fits ? (s64)at : -ERANGE;
}

int simple_removexattr(struct inode *i, const char *name)
{
	struct xattrs *x = attrs_of(i);
	int err = -ENODATA;

	if (!x) return err;
	lock(&x->lock);
	struct xattr *a = find(x, name);
	if (a) {
		drop(a);
		err = 0;
	}
	unlock(&x->lock);
	if (!err) i->ctime = timespec_now();
	return err;
}

void simple_xattr_free(struct inode *i)
{
	struct xattrs *x = i->xattrs;

	while (!list_empty(&x->list)) drop(list_entry(x->list.next, struct xattr, node));
	kfree(x);
	i->xattrs = NULL;
}
