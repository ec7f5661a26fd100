/* SPDX-License-Identifier: Apache-2.0
 *
 * The data of a tmpfs file: a sorted array of runs of pages of the segment,
 * holes between them. Runs are long where they can be, so that mapping a file
 * takes few host mappings. It must not know names.
 */
#include "internal.h"

#define AHEAD_MAX 4096u /* pages taken ahead of a growing file */
#define F_SEAL_WRITES 0x18u /* F_SEAL_WRITE, F_SEAL_FUTURE_WRITE */
#define F_SEAL_GROWTH 4u
#define FALLOC_KEEP_SIZE 1u
#define FALLOC_PUNCH_HOLE 2u

static inline struct tnode *tnode(struct inode *i) { return i->data; }
static inline u64 pages_of(u64 size) { return (size + PAGE_SIZE - 1) >> PAGE_SHIFT; }
static inline u64 run_end(const struct run *r) { return r->index + r->pages; }

/* The first run that ends above page `index`; n->count when none. */
static u32 find_run(const struct tnode *n, u64 index)
{
	u32 low = 0, high = n->count;

	if (high && run_end(&n->runs[high - 1]) <= index) return high; /* appending */
	while (low < high) {
		u32 mid = (low + high) / 2;
		if (run_end(&n->runs[mid]) <= index) low = mid + 1;
		else high = mid;
	}
	return low;
}

static int insert_run(struct tnode *n, u32 at, u64 index, u64 pages, char *mem)
{
	struct run *before = at ? &n->runs[at - 1] : NULL;

	if (before && run_end(before) == index && before->mem + (before->pages << PAGE_SHIFT) == mem) {
		before->pages += pages;
		return 0;
	}
	if (n->count == n->room) {
		u32 room = n->room ? n->room * 2 : 4;
		struct run *more = krealloc(n->runs, room * sizeof(*more));
		if (!more) return -ENOMEM;
		n->runs = more;
		n->room = room;
	}
	memmove(&n->runs[at + 1], &n->runs[at], (n->count - at) * sizeof(struct run));
	n->runs[at] = (struct run){ index, pages, mem };
	n->count++;
	return 0;
}

static void remove_run(struct tnode *n, u32 at)
{
	memmove(&n->runs[at], &n->runs[at + 1], (n->count - at - 1) * sizeof(struct run));
	n->count--;
}

/* How many of `want` pages the file system's limit leaves; they are charged. */
static u64 charge(struct tmpfs *t, u64 want)
{
	u64 used = __atomic_add_fetch(&t->used_pages, want, __ATOMIC_RELAXED);

	if (!t->max_bytes || used <= t->max_pages) return want;
	u64 over = used - t->max_pages;
	if (over > want) over = want;
	__atomic_fetch_sub(&t->used_pages, over, __ATOMIC_RELAXED);
	return want - over;
}

static void uncharge(struct tmpfs *t, u64 pages)
{
	__atomic_fetch_sub(&t->used_pages, pages, __ATOMIC_RELAXED);
}

/* Pages [index,index+pages) lie in a hole: fill its start. Returns pages made. */
static s64 fill_hole(struct tnode *n, u32 at, u64 index, u64 pages, bool ahead)
{
	u64 extra = 0, got;
	char *mem = NULL;

	if (ahead && at == n->count && (at ? run_end(&n->runs[at - 1]) == index : !index)) {
		u64 have = at ? run_end(&n->runs[at - 1]) : 0;
		extra = have < AHEAD_MAX ? have : AHEAD_MAX;
	}
	if (extra) {
		got = charge(n->fs, pages + extra);
		if (got == pages + extra && (mem = page_alloc(got))) goto have;
		uncharge(n->fs, got);
	}
	extra = 0;
	got = charge(n->fs, pages);
	if (!got) return -ENOSPC;
	for (u64 want = got; want && !(mem = page_alloc(want)); want /= 2) {
		uncharge(n->fs, got - want / 2);
		got = want / 2;
	}
	if (!mem) return -ENOMEM;
have:;
	bool at_end = at == n->count;
	if (insert_run(n, at, index, got, mem)) {
		page_free(mem, got);
		uncharge(n->fs, got);
		return -ENOMEM;
	}
	if (at_end) n->extra = extra;
	return (s64)(got - extra);
}

/* All of [index,index+pages) exists afterwards. Returns how many pages from
 * index on do, or the error when none. */
static s64 ensure(struct inode *i, u64 index, u64 pages, bool ahead)
{
	struct tnode *n = tnode(i);
	u64 at = index, end = index + pages;

	while (at < end) {
		u32 r = find_run(n, at);
		if (r < n->count && n->runs[r].index <= at) {
			at = run_end(&n->runs[r]);
			continue;
		}
		u64 hole_end = r < n->count && n->runs[r].index < end ? n->runs[r].index : end;
		s64 made = fill_hole(n, r, at, hole_end - at, ahead);
		if (made < 0) return at > index ? (s64)(at - index) : made;
		at += (u64)made;
	}
	return (s64)pages;
}

/* What was taken ahead is taken into use when the file grows over it. */
static void settle_extra(struct inode *i)
{
	struct tnode *n = tnode(i);

	if (!n->extra) return;
	u64 last = run_end(&n->runs[n->count - 1]), used = pages_of(i->size);
	n->extra = last > used ? MIN(n->extra, last - used) : 0;
}

u64 tmpfs_data_pages(struct inode *i)
{
	struct tnode *n = tnode(i);
	u64 sum = 0;

	settle_extra(i);
	for (u32 r = 0; r < n->count; r++) sum += n->runs[r].pages;
	return sum - n->extra;
}

/* Zero for [from,to), bytes; whole pages of a mapped file go back to the host. */
static void zero_bytes(struct tnode *n, u64 from, u64 to)
{
	for (u32 r = find_run(n, from >> PAGE_SHIFT); r < n->count; r++) {
		struct run *run = &n->runs[r];
		u64 start = run->index << PAGE_SHIFT, end = run_end(run) << PAGE_SHIFT;
		if (start >= to) break;
		u64 a = MAX(start, from), b = MIN(end, to);
		char *p = run->mem + (a - start);
		u64 size = b - a;
		if (!((uintptr_t)p & ~PAGE_MASK) && !(size & ~PAGE_MASK) && size >= 16 * PAGE_SIZE &&
		    Dk(VirtualMemoryFree)(p, size, PICO_VM_REMOVE) >= 0)
			continue;
		memset(p, 0, size);
	}
}

/* Pages [from,to) become a hole. */
static int drop_pages(struct inode *i, u64 from, u64 to)
{
	struct tnode *n = tnode(i);

	settle_extra(i);
	if (n->mapped) {
		zero_bytes(n, from << PAGE_SHIFT, to > ~0ull >> PAGE_SHIFT ? ~0ull : to << PAGE_SHIFT);
		return 0;
	}
	for (u32 r = find_run(n, from); r < n->count && n->runs[r].index < to;) {
		struct run *run = &n->runs[r];
		u64 a = MAX(run->index, from), b = MIN(run_end(run), to), end = run_end(run);
		char *p = run->mem + ((a - run->index) << PAGE_SHIFT);
		bool was_last = r == n->count - 1;
		if (b < end && a > run->index) { /* the middle: two runs */
			if (insert_run(n, r + 1, b, end - b, p + ((b - a) << PAGE_SHIFT))) return -ENOMEM;
			n->runs[r].pages = a - n->runs[r].index;
			r += 2;
		} else if (b < end) {
			run->mem += (b - run->index) << PAGE_SHIFT;
			run->index = b;
			run->pages = end - b;
			r++;
		} else if (a > run->index) {
			run->pages = a - run->index;
			r++;
		} else {
			remove_run(n, r);
		}
		if (was_last && b == end) n->extra -= MIN(n->extra, b - a);
		page_free(p, b - a);
		uncharge(n->fs, b - a);
	}
	return 0;
}

/* Pages taken ahead must not turn up as data in what becomes a hole. */
static void drop_extra(struct inode *i)
{
	struct tnode *n = tnode(i);

	settle_extra(i);
	if (n->extra && !n->mapped && !n->keep) {
		u64 end = run_end(&n->runs[n->count - 1]);
		drop_pages(i, end - n->extra, end);
	}
	n->extra = 0;
}

int tmpfs_resize(struct inode *i, u64 size)
{
	u64 old = i->size;

	if (size > (u64)INT64_MAX) return -EFBIG;
	if (size < old) {
		i->size = size;
		drop_pages(i, pages_of(size), ~0ull >> PAGE_SHIFT);
		if (size & ~PAGE_MASK) zero_bytes(tnode(i), size, ALIGN_UP(size, PAGE_SIZE));
	} else {
		drop_extra(i);
		if (old & ~PAGE_MASK) zero_bytes(tnode(i), old, MIN(size, ALIGN_UP(old, PAGE_SIZE))); /* a mapping may have written there */
		i->size = size;
	}
	return 0;
}

void tmpfs_data_trim(struct inode *i)
{
	struct tnode *n = tnode(i);

	if (!__atomic_load_n(&n->extra, __ATOMIC_RELAXED)) return;
	lock(&i->lock);
	drop_extra(i);
	unlock(&i->lock);
}

void tmpfs_data_free(struct inode *i)
{
	struct tnode *n = tnode(i);

	for (u32 r = 0; r < n->count; r++) {
		page_free(n->runs[r].mem, n->runs[r].pages);
		uncharge(n->fs, n->runs[r].pages);
	}
	kfree(n->runs);
}

static int clear_buffer(const struct iobuf *b, size_t at, size_t n)
{
	static const char zeros[512];

	if (b->user && !b->vec_count) return clear_user(b->u + at, n);
	for (size_t done = 0; done < n; done += sizeof(zeros)) {
		int err = iobuf_copy_to(b, at + done, zeros, MIN(n - done, sizeof(zeros)));
		if (err) return err;
	}
	return 0;
}

/* From offset `at` of a buffer to the end of its page, or of its part of a vector. */
static size_t page_rest(const struct iobuf *b, size_t at)
{
	u32 n = 0;

	if (!b->user) return SIZE_MAX;
	if (!b->vec_count) return PAGE_SIZE - ((b->u + at) & ~PAGE_MASK);
	while (n < b->vec_count && at >= b->vec[n].size) at -= b->vec[n++].size;
	return n < b->vec_count ? MIN(b->vec[n].size - at, PAGE_SIZE - ((b->vec[n].base + at) & ~PAGE_MASK)) : SIZE_MAX;
}

static size_t copy_out(const struct iobuf *b, size_t at, const char *from, size_t n)
{
	size_t done = 0;

	if (!iobuf_copy_to(b, at, from, n)) return n;
	while (done < n) {
		size_t part = MIN(n - done, page_rest(b, at + done));
		if (iobuf_copy_to(b, at + done, from + done, part)) break;
		done += part;
	}
	return done;
}

s64 tmpfs_read(struct file *f, const struct iobuf *b, u64 pos)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode(i);
	size_t done = 0, size = b->size;
	int err = 0;

	lock(&i->lock);
	n->copier = current;
	if (pos >= i->size) size = 0;
	else if (size > i->size - pos) size = i->size - pos;
	u32 r = size ? find_run(n, pos >> PAGE_SHIFT) : 0;
	while (done < size && !err) {
		u64 at = pos + done, page = at >> PAGE_SHIFT;
		size_t part;
		while (r < n->count && run_end(&n->runs[r]) <= page) r++;
		if (r < n->count && n->runs[r].index <= page) {
			part = MIN(size - done, (run_end(&n->runs[r]) << PAGE_SHIFT) - at);
			size_t copied = copy_out(b, done, n->runs[r].mem + (at - (n->runs[r].index << PAGE_SHIFT)), part);
			if (copied < part) err = -EFAULT;
			part = copied;
		} else {
			part = r < n->count ? MIN(size - done, (n->runs[r].index << PAGE_SHIFT) - at) : size - done;
			err = clear_buffer(b, done, part);
			if (err) part = 0;
		}
		done += part;
	}
	n->copier = NULL;
	unlock(&i->lock);
	touch_atime(f);
	return done ? (s64)done : err;
}

/* Copies in pieces: on a fault what came before it stays written. */
static size_t copy_in(const struct iobuf *b, size_t at, char *to, size_t n)
{
	if (!iobuf_copy_from(b, at, to, n)) return n;
	size_t done = 0;
	while (done < n) {
		size_t part = MIN(n - done, page_rest(b, at + done));
		if (iobuf_copy_from(b, at + done, to + done, part)) break;
		done += part;
	}
	return done;
}

s64 tmpfs_write(struct file *f, const struct iobuf *b, u64 pos)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode(i);
	size_t done = 0, size = b->size;
	s64 err = 0;

	lock(&i->lock);
	n->copier = current;
	if (b->flags & IOBUF_APPEND) pos = i->size;
	if (size > (u64)INT64_MAX - pos) size = (u64)INT64_MAX - pos;
	if (i->seals & F_SEAL_GROWTH && pos + size > i->size) /* page by page: what comes before is written */
		size = ALIGN_DOWN(i->size, PAGE_SIZE) > pos ? ALIGN_DOWN(i->size, PAGE_SIZE) - pos : 0;
	if (i->seals & F_SEAL_WRITES || !size) {
		err = -EPERM;
		goto out;
	}
	u64 old_size = i->size;
	if (pages_of(old_size) < pos >> PAGE_SHIFT) drop_extra(i);
	while (done < size) {
		u64 at = pos + done, page = at >> PAGE_SHIFT;
		s64 have = ensure(i, page, pages_of(pos + size) - page, true);
		if (have < 0) {
			err = have;
			break;
		}
		u32 r = find_run(n, page);
		size_t part = MIN(size - done, (run_end(&n->runs[r]) << PAGE_SHIFT) - at);
		size_t copied = copy_in(b, done, n->runs[r].mem + (at - (n->runs[r].index << PAGE_SHIFT)), part);
		done += copied;
		if (copied < part) {
			err = -EFAULT;
			break;
		}
	}
	if (pos + done > i->size && done) {
		if (pos > old_size && old_size & ~PAGE_MASK) zero_bytes(n, old_size, MIN(pos, ALIGN_UP(old_size, PAGE_SIZE)));
		i->size = pos + done;
	}
	settle_extra(i);
	if (done) touch_mtime(i);
	f->append_end = pos + done;
out:
	n->copier = NULL;
	unlock(&i->lock);
	return done ? (s64)done : err;
}

s64 tmpfs_seek(struct file *f, s64 offset, int whence)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode(i);
	s64 result;

	if (whence < 3) return seek_to(f, offset, whence, i->size);
	if (whence > 4) return -EINVAL;
	lock(&i->lock);
	u64 size = i->size, page = (u64)offset >> PAGE_SHIFT;
	if (offset < 0 || (u64)offset >= size) {
		result = -ENXIO;
	} else {
		u32 r = find_run(n, page);
		bool data = r < n->count && n->runs[r].index <= page;
		u64 at = (u64)offset;
		if (whence == 3 && !data) at = r < n->count ? n->runs[r].index << PAGE_SHIFT : size;
		if (whence == 4 && data) {
			u64 end = run_end(&n->runs[r]);
			while (++r < n->count && n->runs[r].index == end) end = run_end(&n->runs[r]);
			at = MIN(end << PAGE_SHIFT, size);
		}
		result = whence == 3 && at >= size ? -ENXIO : (s64)at;
	}
	unlock(&i->lock);
	if (result >= 0) f->pos = (u64)result;
	return result;
}

int tmpfs_mmap(struct file *f, u64 addr, u64 size, u32 vma_flags, u64 offset)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode(i);
	u32 prot = vma_flags & 7; /* VMA_ and PICO_PROT_ agree */
	u32 flags = PICO_MAP_FIXED | (vma_flags & 8 /* VMA_SHARED */ ? PICO_MAP_SHARED : PICO_MAP_PRIVATE);
	u64 first = offset >> PAGE_SHIFT, count = size >> PAGE_SHIFT, end;
	int err = 0;

	if (i->seals & F_SEAL_WRITES && vma_flags & 8 && prot & PICO_PROT_WRITE) return -EPERM;
	lock(&i->lock);
	u64 file_pages = pages_of(i->size);
	end = first + count < file_pages ? first + count : file_pages;
	if (first < end) {
		s64 have = ensure(i, first, end - first, false);
		if (have < (s64)(end - first)) {
			err = -ENOMEM;
			goto out;
		}
		n->mapped = true;
	}
	u64 page = first;
	for (u32 r = find_run(n, page); page < end && !err; r++) {
		struct run *run = &n->runs[r];
		u64 pages = MIN(run_end(run), end) - page;
		void *a = (void *)(addr + ((page - first) << PAGE_SHIFT));
		s64 e = Dk(StreamMap)(K->segment_handle, &a, prot, page_segment_offset(run->mem + ((page - run->index) << PAGE_SHIFT)),
				      pages << PAGE_SHIFT, flags);
		if (e < 0) err = (int)e;
		page += pages;
	}
	/* Beyond the end a touch is SIGBUS; mm_fault() asks whether the file has
	 * grown meanwhile. */
	if (!err && page < first + count) {
		void *a = (void *)(addr + ((page - first) << PAGE_SHIFT));
		s64 e = Dk(StreamMap)(K->segment_handle, &a, prot, page_segment_end(), (first + count - page) << PAGE_SHIFT, flags);
		if (e < 0) err = (int)e;
	}
out:
	unlock(&i->lock);
	if (!err) touch_atime(f);
	return err;
}

/* A fault while we copy between a file and a mapping of itself must not want
 * the file's lock again: then it is EFAULT. */
bool tmpfs_grown(struct file *f, u64 offset)
{
	return offset < f->inode->size && tnode(f->inode)->copier != current;
}

int tmpfs_fallocate(struct file *f, u32 mode, u64 offset, u64 size)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode(i);
	u64 end = offset + size;
	int err = 0;

	if (mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE)) return -EOPNOTSUPP;
	lock(&i->lock);
	if (mode & FALLOC_PUNCH_HOLE) {
		u64 first = pages_of(offset), last = end >> PAGE_SHIFT;
		if (i->seals & F_SEAL_WRITES) {
			err = -EPERM;
			goto out;
		}
		if (first > last) { /* inside one page */
			zero_bytes(n, offset, end);
		} else {
			if (offset & ~PAGE_MASK) zero_bytes(n, offset, first << PAGE_SHIFT);
			if (end & ~PAGE_MASK) zero_bytes(n, last << PAGE_SHIFT, end);
			if (first < last) err = drop_pages(i, first, last);
		}
	} else {
		if (end > i->size && i->seals & F_SEAL_GROWTH) {
			err = -EPERM;
			goto out;
		}
		u64 first = offset >> PAGE_SHIFT, pages = pages_of(end) - first;
		drop_extra(i);
		s64 have = ensure(i, first, pages, false);
		if (have < (s64)pages) {
			err = have < 0 ? (int)have : -ENOSPC;
		} else if (end > i->size) {
			if (mode & FALLOC_KEEP_SIZE) n->keep = true;
			else i->size = end;
			n->extra = 0;
		}
	}
	if (!err) touch_mtime(i);
out:
	unlock(&i->lock);
	return err;
}
