/* SPDX-License-Identifier: Apache-2.0
 *
 * execve and execveat: names and strings from the program's memory; the rest
 * is exec_load's.
 */
#include "../lx/fs.h"
#include "../lx/mem.h"
#include "../lx/mm.h"
#include "../lx/syscall.h"
#include "../lx/task.h"
#include "../lx/uaccess.h"
#include <asm/fcntl.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#define PATH_MOST 4096
#define STRING_MOST (32 * PAGE_SIZE) /* MAX_ARG_STRLEN */
#define POINTERS_MOST 0x7fffffffu

struct collect { struct exec_strings *out; u64 room, limit; };

/* How many pointers the array has; 0 for no array at all. */
static s64 count(uaddr array)
{
	u64 p;
	for (u64 n = 0;; n++) {
		if (!array)
			return 0;
		if (get_user(p, array + n * 8) < 0)
			return -EFAULT;
		if (!p)
			return (s64)n;
		if (n >= POINTERS_MOST)
			return -E2BIG;
	}
}

static int make_room(struct collect *c, u64 more)
{
	struct exec_strings *x = c->out;
	if (x->bytes + more <= c->room)
		return 0;
	u64 room = MAX(c->room * 2, x->bytes + more);
	char *data = krealloc(x->data, room);
	if (!data)
		return -ENOMEM;
	x->data = data;
	c->room = room;
	return 0;
}

/* A short string fits the room that is there; a long one is tried again with the most it may have. */
static int add_string(struct collect *c, uaddr s)
{
	struct exec_strings *x = c->out;
	int r = make_room(c, 256);
	if (r < 0)
		return r;
	u64 most = MIN(c->room - x->bytes, STRING_MOST);
	long n = strncpy_from_user(x->data + x->bytes, s, most);
	if (n == -ENAMETOOLONG && most < STRING_MOST) {
		if ((r = make_room(c, STRING_MOST)) < 0)
			return r;
		n = strncpy_from_user(x->data + x->bytes, s, STRING_MOST);
	}
	if (n < 0)
		return n == -ENAMETOOLONG ? -E2BIG : (int)n;
	x->bytes += (u64)n + 1;
	return x->bytes > c->limit ? -E2BIG : 0;
}

static int add_array(struct collect *c, uaddr array, u64 n)
{
	u64 p;
	for (u64 i = 0; i < n; i++) {
		if (get_user(p, array + i * 8) < 0)
			return -EFAULT;
		int r = add_string(c, p);
		if (r < 0)
			return r;
	}
	return 0;
}

static int collect(struct exec_strings *x, uaddr argv, uaddr envp)
{
	struct collect c = { .out = x };
	s64 argc = count(argv), envc = argc < 0 ? argc : count(envp);
	if (envc < 0)
		return (int)envc;
	u64 pointers = ((u64)MAX(argc, 1l) + (u64)envc) * 8;
	c.limit = exec_strings_limit();
	if (pointers >= c.limit)
		return -E2BIG;
	c.limit -= pointers;
	int r = make_room(&c, PAGE_SIZE);
	if (!r)
		r = add_array(&c, argv, (u64)argc);
	if (!r && !argc) { /* a program may count on argv[0] */
		x->data[x->bytes++] = 0;
		argc = 1;
	}
	if (!r)
		r = add_array(&c, envp, (u64)envc);
	x->argc = (u32)argc;
	x->envc = (u32)envc;
	return r;
}

/* The file is opened before the strings are looked at, as Linux does. */
static s64 exec_file(const char *path, struct file *f, uaddr argv, uaddr envp)
{
	struct exec_strings x = { 0 };
	int r = collect(&x, argv, envp);
	if (!r)
		r = exec_load(path, &x, f);
	kfree(x.data);
	return r;
}

static s64 exec_path(const char *path, uaddr argv, uaddr envp)
{
	struct file *f = file_open_exec(path);
	if (IS_ERR(f))
		return PTR_ERR(f);
	s64 r = exec_file(path, f, argv, envp);
	file_put(f);
	return r;
}

static char *get_path(uaddr name, bool may_be_empty)
{
	char *path = kmalloc(PATH_MOST);
	if (!path)
		return ERR_PTR(-ENOMEM);
	long n = strncpy_from_user(path, name, PATH_MOST);
	if (n <= 0 && !(n == 0 && may_be_empty)) {
		kfree(path);
		return ERR_PTR(n < 0 ? n : -ENOENT);
	}
	return path;
}

SYSCALL(execve)
{
	char *path = get_path(a[0], false);
	if (IS_ERR(path))
		return PTR_ERR(path);
	s64 r = exec_path(path, a[1], a[2]);
	kfree(path);
	return r == EXEC_MOVE ? exec_move() : r;
}

/* An open file: it may have no name any more. A script in it could not be
 * opened by its interpreter when the descriptor closes on exec. */
static s64 exec_descriptor(int fd, uaddr argv, uaddr envp)
{
	char path[32], head[2] = "";
	struct file *f = fd_get_any(fd);
	s64 r;
	if (!f)
		return -EBADF;
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	if (!f->inode || (f->inode->mode & S_IFMT) != S_IFREG) {
		r = -EACCES;
	} else if ((r = inode_permission(f->inode, 1)) == 0) {
		struct file *readable = f;
		if (!(f->mode_bits & FMODE_READ) || (f->mode_bits & FMODE_PATH)) {
			char *name = kmalloc(PATH_MOST);
			r = name ? path_name(&f->path, name, PATH_MOST) : -ENOMEM;
			readable = r < 0 ? ERR_PTR(r) : file_open_exec(name);
			kfree(name);
		}
		if (IS_ERR(readable)) {
			r = PTR_ERR(readable);
		} else if (fd_get_cloexec(fd) == 1 && file_read_kernel(readable, head, 2, 0) == 2 && head[0] == '#' && head[1] == '!') {
			r = -ENOENT;
		} else {
			r = exec_file(path, readable, argv, envp);
		}
		if (readable != f && !IS_ERR(readable))
			file_put(readable);
	}
	file_put(f);
	return r;
}

/* Relative to a directory: by the absolute name of what is found there. */
static s64 exec_at(int dirfd, const char *name, bool nofollow, uaddr argv, uaddr envp)
{
	struct path p;
	char *full = kmalloc(PATH_MOST);
	if (!full)
		return -ENOMEM;
	s64 r = path_lookup(dirfd, name, nofollow ? 0 : LOOKUP_FOLLOW, &p);
	if (r < 0)
		goto out;
	if (nofollow && p.dentry->inode && (p.dentry->inode->mode & S_IFMT) == S_IFLNK)
		r = -ELOOP;
	else
		r = path_name(&p, full, PATH_MOST);
	path_put(&p);
	if (r >= 0)
		r = exec_path(full, argv, envp);
out:
	kfree(full);
	return r;
}

SYSCALL(execveat)
{
	int dirfd = (int)a[0], flags = (int)a[4];
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	char *path = get_path(a[1], flags & AT_EMPTY_PATH);
	if (IS_ERR(path))
		return PTR_ERR(path);
	s64 r;
	if (!*path)
		r = exec_descriptor(dirfd, a[2], a[3]);
	else if ((*path == '/' || dirfd == AT_FDCWD) && !(flags & AT_SYMLINK_NOFOLLOW))
		r = exec_path(path, a[2], a[3]);
	else
		r = exec_at(dirfd, path, flags & AT_SYMLINK_NOFOLLOW, a[2], a[3]);
	kfree(path);
	return r == EXEC_MOVE ? exec_move() : r;
}
