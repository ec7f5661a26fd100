/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptor tables. A table that only one task uses is read without a lock:
 * nobody else can change it. It must not know what files are.
 */
#include "internal.h"

#define RLIMIT_NOFILE 7
#define FIRST_SLOTS 64u
#define MOST_SLOTS (1u << 20)

struct files {
	struct ref ref;
	struct lock lock;
	u32 size;
	u32 lowest; /* no free number below */
	struct file **slots;
	u64 *open, *cloexec; /* bitmaps */
	struct file *first_slots[FIRST_SLOTS];
	u64 first_open, first_cloexec;
};

static void files_init(struct files *fs)
{
	ref_init(&fs->ref);
	fs->size = FIRST_SLOTS;
	fs->slots = fs->first_slots;
	fs->open = &fs->first_open;
	fs->cloexec = &fs->first_cloexec;
}

struct files *files_create(void)
{
	struct files *fs = kzalloc(sizeof(*fs));

	if (fs) files_init(fs);
	return fs;
}

void files_get(struct files *fs) { ref_get(&fs->ref); }

static bool bit(const u64 *map, u32 n) { return map[n / 64] >> (n % 64) & 1; }
static void set_bit(u64 *map, u32 n, bool value)
{
	if (value) map[n / 64] |= 1ull << (n % 64);
	else map[n / 64] &= ~(1ull << (n % 64));
}

/* Room for number n; lock held. */
static int grow(struct files *fs, u32 n)
{
	u32 size = fs->size;

	if (n < size) return 0;
	while (size <= n) size *= 2;
	if (size > MOST_SLOTS) return -EMFILE;
	struct file **slots = kmalloc(size * sizeof(*slots));
	u64 *maps = kzalloc(size / 64 * 2 * sizeof(u64));
	if (!slots || !maps) {
		kfree(slots);
		kfree(maps);
		return -ENOMEM;
	}
	memcpy(slots, fs->slots, fs->size * sizeof(*slots));
	memset(slots + fs->size, 0, (size - fs->size) * sizeof(*slots));
	memcpy(maps, fs->open, fs->size / 64 * sizeof(u64));
	memcpy(maps + size / 64, fs->cloexec, fs->size / 64 * sizeof(u64));
	if (fs->slots != fs->first_slots) {
		kfree(fs->slots);
		kfree(fs->open);
	}
	fs->slots = slots;
	fs->open = maps;
	fs->cloexec = maps + size / 64;
	fs->size = size;
	return 0;
}

struct files *files_copy(struct files *old)
{
	struct files *fs = files_create();

	if (!fs) return NULL;
	lock(&old->lock);
	u32 used = 0;
	for (u32 w = 0; w < old->size / 64; w++)
		if (old->open[w]) used = (w + 1) * 64;
	if (used && grow(fs, used - 1)) {
		unlock(&old->lock);
		kfree(fs);
		return NULL;
	}
	for (u32 n = 0; n < used; n++)
		if (old->slots[n]) fs->slots[n] = file_get(old->slots[n]);
	memcpy(fs->open, old->open, used / 64 * sizeof(u64));
	memcpy(fs->cloexec, old->cloexec, used / 64 * sizeof(u64));
	fs->lowest = old->lowest;
	unlock(&old->lock);
	return fs;
}

/* What closing a descriptor does besides dropping the reference. */
static int close_file(struct files *fs, struct file *f)
{
	int err = 0;

	if (f->ops && f->ops->flush && !(f->mode_bits & FMODE_PATH)) err = f->ops->flush(f);
	if (f->inode && f->inode->flocks) locks_close(f, fs);
	if (unlikely(f->dnotify)) dnotify_close(fs, f);
	file_put(f);
	return err;
}

static struct file *take(struct files *fs, u32 n) /* lock held */
{
	struct file *f = n < fs->size ? fs->slots[n] : NULL;

	if (!f) return NULL;
	fs->slots[n] = NULL;
	set_bit(fs->open, n, false);
	set_bit(fs->cloexec, n, false);
	if (n < fs->lowest) fs->lowest = n;
	return f;
}

static void close_all(struct files *fs)
{
	for (u32 n = 0; n < fs->size; n++) {
		if (!fs->slots[n]) continue;
		lock(&fs->lock);
		struct file *f = take(fs, n);
		unlock(&fs->lock);
		close_file(fs, f);
	}
}

void files_put(struct files *fs)
{
	if (!fs || !ref_put(&fs->ref)) return;
	close_all(fs);
	if (fs->slots != fs->first_slots) {
		kfree(fs->slots);
		kfree(fs->open);
	}
	kfree(fs);
}

void files_close_on_exec(struct files *fs)
{
	for (u32 w = 0; w < fs->size / 64; w++)
		while (fs->cloexec[w]) {
			lock(&fs->lock);
			u32 n = w * 64 + (u32)__builtin_ctzll(fs->cloexec[w]);
			struct file *f = take(fs, n);
			if (!f) set_bit(fs->cloexec, n, false);
			unlock(&fs->lock);
			if (f) close_file(fs, f);
		}
}

struct file *fd_get_any(int fd)
{
	struct files *fs = current->files;
	struct file *f = NULL;

	if (likely(__atomic_load_n(&fs->ref.count, __ATOMIC_RELAXED) == 1)) {
		if (likely((u32)fd < fs->size) && (f = fs->slots[fd])) ref_get(&f->ref);
		return f;
	}
	lock(&fs->lock);
	if ((u32)fd < fs->size && (f = fs->slots[fd])) ref_get(&f->ref);
	unlock(&fs->lock);
	return f;
}

struct file *fd_get(int fd)
{
	struct file *f = fd_get_any(fd);

	if (f && unlikely(f->mode_bits & FMODE_PATH)) {
		file_put(f);
		return NULL;
	}
	return f;
}

static u32 find_free(struct files *fs, u32 from)
{
	if (from < fs->lowest) from = fs->lowest;
	if (from >= fs->size) return from;
	u64 word = ~fs->open[from / 64] & (~0ull << (from % 64));
	for (u32 w = from / 64;;) {
		if (word) return w * 64 + (u32)__builtin_ctzll(word);
		if (++w == fs->size / 64) return fs->size;
		word = ~fs->open[w];
	}
}

int fd_install(struct file *f, u32 o_cloexec, int lowest)
{
	struct files *fs = current->files;
	u64 limit = rlimit_get(RLIMIT_NOFILE);
	int err = 0;

	lock(&fs->lock);
	u32 n = find_free(fs, (u32)lowest);
	if (n >= limit) err = -EMFILE;
	else err = grow(fs, n);
	if (err) {
		unlock(&fs->lock);
		file_put(f);
		return err;
	}
	if ((u32)lowest <= fs->lowest) fs->lowest = n + 1;
	set_bit(fs->open, n, true);
	set_bit(fs->cloexec, n, o_cloexec != 0);
	fs->slots[n] = f;
	unlock(&fs->lock);
	return (int)n;
}

int fd_check_free(void)
{
	struct files *fs = current->files;

	lock(&fs->lock);
	const u32 n = find_free(fs, 0);
	unlock(&fs->lock);
	return n < rlimit_get(RLIMIT_NOFILE) ? 0 : -EMFILE;
}

int fd_install_at(struct file *f, u32 o_cloexec, int fd)
{
	struct files *fs = current->files;
	int err = 0;

	if ((u32)fd >= rlimit_get(RLIMIT_NOFILE)) {
		file_put(f);
		return -EBADF;
	}
	lock(&fs->lock);
	err = grow(fs, (u32)fd);
	if (err) {
		unlock(&fs->lock);
		file_put(f);
		return err;
	}
	struct file *old = fs->slots[fd];
	fs->slots[fd] = f;
	set_bit(fs->open, (u32)fd, true);
	set_bit(fs->cloexec, (u32)fd, o_cloexec != 0);
	unlock(&fs->lock);
	if (old) close_file(fs, old);
	return fd;
}

int fd_close(int fd)
{
	struct files *fs = current->files;

	lock(&fs->lock);
	struct file *f = take(fs, (u32)fd);
	unlock(&fs->lock);
	return f ? close_file(fs, f) : -EBADF;
}

int fd_get_cloexec(int fd)
{
	struct files *fs = current->files;
	int value = -EBADF;

	lock(&fs->lock);
	if ((u32)fd < fs->size && fs->slots[fd]) value = bit(fs->cloexec, (u32)fd);
	unlock(&fs->lock);
	return value;
}

int fd_set_cloexec(int fd, bool on)
{
	struct files *fs = current->files;
	int err = -EBADF;

	lock(&fs->lock);
	if ((u32)fd < fs->size && fs->slots[fd]) {
		set_bit(fs->cloexec, (u32)fd, on);
		err = 0;
	}
	unlock(&fs->lock);
	return err;
}

/* The next number in use in [fd,last], or -1. */
static int next_used(struct files *fs, u32 fd, u32 last)
{
	for (; fd < fs->size && fd <= last; fd++) {
		if (!fs->open[fd / 64]) {
			fd |= 63;
			continue;
		}
		if (fs->slots[fd]) return (int)fd;
	}
	return -1;
}

int files_next(struct files *fs, int fd, struct file **out, bool *cloexec)
{
	lock(&fs->lock);
	int n = next_used(fs, (u32)fd, ~0u);
	if (n >= 0) {
		if (out) *out = file_get(fs->slots[n]);
		if (cloexec) *cloexec = bit(fs->cloexec, (u32)n);
	}
	unlock(&fs->lock);
	return n;
}

struct file *files_file(struct files *fs, int fd, bool *cloexec)
{
	struct file *f = NULL;

	if (!fs || fd < 0) return NULL;
	lock(&fs->lock);
	if ((u32)fd < fs->size && (f = fs->slots[fd])) {
		ref_get(&f->ref);
		if (cloexec) *cloexec = bit(fs->cloexec, (u32)fd);
	}
	unlock(&fs->lock);
	return f;
}

u32 files_room(struct files *fs) { return fs->size; }

int fd_close_range(u32 first, u32 last, bool cloexec_only)
{
	struct files *fs = current->files;

	for (u32 fd = first;;) {
		struct file *f = NULL;
		lock(&fs->lock);
		int n = next_used(fs, fd, last);
		if (n >= 0 && cloexec_only) set_bit(fs->cloexec, (u32)n, true);
		else if (n >= 0) f = take(fs, (u32)n);
		unlock(&fs->lock);
		if (n < 0) return 0;
		if (f) close_file(fs, f);
		if ((u32)n == last) return 0;
		fd = (u32)n + 1;
	}
}

/* CLOSE_RANGE_UNSHARE, unshare(CLONE_FILES), and exec */
int files_unshare(void)
{
	struct files *old = current->files, *fs;

	if (__atomic_load_n(&old->ref.count, __ATOMIC_ACQUIRE) == 1) return 0;
	fs = files_copy(old);
	if (!fs) return -ENOMEM;
	files_replace(fs);
	return 0;
}

/* Who looks at this task's table takes a reference under sig_lock. Closing needs current->files. */
void files_replace(struct files *fs)
{
	struct files *old = current->files;

	if (!fs && __atomic_load_n(&old->ref.count, __ATOMIC_ACQUIRE) == 1)
		close_all(old);
	lock(&current->process->sig_lock);
	current->files = fs;
	unlock(&current->process->sig_lock);
	files_put(old);
}

/* ---- working directory, root, umask ---- */

struct fs_context *fs_context_copy(struct fs_context *old)
{
	struct fs_context *fs = kzalloc(sizeof(*fs));

	if (!fs) return NULL;
	ref_init(&fs->ref);
	lock(&old->lock);
	fs->root = old->root;
	fs->cwd = old->cwd;
	fs->umask = old->umask;
	path_get(&fs->root);
	path_get(&fs->cwd);
	unlock(&old->lock);
	return fs;
}

void fs_context_put(struct fs_context *fs)
{
	if (!fs || !ref_put(&fs->ref)) return;
	path_put(&fs->root);
	path_put(&fs->cwd);
	kfree(fs);
}
