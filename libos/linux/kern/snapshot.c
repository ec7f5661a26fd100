/* SPDX-License-Identifier: Apache-2.0
 *
 * This library OS's part of a snapshot: the private pages of programs. Each
 * picoprocess writes its own: a copy-on-write clone does, so that the programs
 * need not stand still for it, or (when the host wants them to, or no clone can
 * be had) the picoprocess itself. Format and order: docs/snapshot.md.
 *
 * A clone shares the segment with programs that go on, so it looks at nothing
 * there but its own plan, which is made while all stand still.
 */
#include "../lx/arch.h"
#include "../lx/fs.h"
#include "../lx/mem.h"
#include "../lx/snapshot.h"
#include "../lx/proc.h"
#include "../lx/uaccess.h"
#include "../mm/vma.h"

#define PIECE (1ull << 20) /* of file space, and of what is looked at in one go */
#define COMPARE (16 * PAGE_SIZE)
#define BUFFER_PAGES 17 /* what a file has, and one page of ours */

static u32 done_number __percpu_process; /* the last snapshot this picoprocess did its part of */

/* What is to be looked at: private vmas that may hold something of their own. */
struct range { u64 start, end, offset; u32 flags; struct file *file; };
struct plan {
	u32 mm_id, count, room;
	struct range *ranges;
	u32 run_count, run_room;
	struct snapshot_run *runs;
	u8 *buffer;
	bool interrupted; /* who lent its thread is to know */
};

void snapshot_begin(pico_handle stream)
{
	const u64 base = K->host->snapshot_base;

	K->snapshot.stream = stream;
	K->snapshot.base = base & PAGE_MASK;
	K->snapshot.still = base & 1;
	K->snapshot.cursor = SNAPSHOT_TABLE_SIZE;
	K->snapshot.entries = K->snapshot.failed = 0;
	K->snapshot.writers = 1; /* until all have begun */
	K->snapshot.waiting = K->picoprocesses;
	K->snapshot.number++;
}

bool snapshot_due(void)
{
	if (!K->snapshot.waiting || done_number == K->snapshot.number || !current->mm)
		return false;
	done_number = K->snapshot.number;
	return true;
}

/* ---- the plan ---- */

static bool of_interest(const struct vma *v)
{
	if ((v->flags & VMA_SHARED) || !(v->flags & VMA_USED) || (v->flags & VMA_WIPEONFORK))
		return false;
	return !v->file || (v->flags & VMA_WRITTEN);
}

static struct plan *make_plan(struct mm *mm)
{
	struct plan *p = kzalloc(sizeof(*p));
	u32 n = 0;

	if (!p)
		return NULL;
	p->mm_id = mm->id;
	for (struct vma *v = mm->first; v; v = v->next)
		p->room += of_interest(v);
	p->ranges = kmalloc(MAX(p->room, 1u) * sizeof(*p->ranges));
	p->buffer = page_alloc(BUFFER_PAGES);
	if (!p->ranges || !p->buffer) {
		kfree(p->ranges);
		if (p->buffer)
			page_free(p->buffer, BUFFER_PAGES);
		kfree(p);
		return NULL;
	}
	for (struct vma *v = mm->first; v; v = v->next)
		if (of_interest(v))
			p->ranges[n++] = (struct range){ v->start, v->end, v->offset, v->flags, v->file ? file_get(v->file) : NULL };
	p->count = n;
	return p;
}

static void drop_plan(struct plan *p)
{
	for (u32 i = 0; i < p->count; i++)
		if (p->ranges[i].file)
			file_put(p->ranges[i].file);
	kfree(p->ranges);
	kfree(p->runs);
	page_free(p->buffer, BUFFER_PAGES);
	kfree(p);
}

/* ---- writing ---- */

/* An interrupt lasts until it is taken. A clone has no program to take it, and
 * whose thread this is must not be looked at there. */
static bool is_interrupt(struct plan *p, s64 r)
{
	if (r != -EINTR)
		return false;
	thread_block()->pending = 0;
	p->interrupted = true;
	return true;
}

static int put(struct plan *p, u64 place, const void *data, u64 size)
{
	while (size) {
		s64 n = Dk(StreamWrite)(K->snapshot.stream, K->snapshot.base + place, data, size, NULL);
		if (is_interrupt(p, n))
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		place += (u64)n;
		data = (const char *)data + n;
		size -= (u64)n;
	}
	return 0;
}

static u64 take_place(u64 size)
{
	return __atomic_fetch_add(&K->snapshot.cursor, ALIGN_UP(size, PAGE_SIZE), __ATOMIC_RELAXED);
}

static int add_run(struct plan *p, u64 start, u64 pages, u64 place)
{
	struct snapshot_run *last = p->run_count ? &p->runs[p->run_count - 1] : NULL;

	if (last && last->start + last->pages * PAGE_SIZE == start && last->place + last->pages * PAGE_SIZE == place) {
		last->pages += pages;
		return 0;
	}
	if (p->run_count == p->run_room) {
		const u32 room = MAX(64u, p->run_room * 2);
		struct snapshot_run *runs = krealloc(p->runs, room * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		p->runs = runs;
		p->run_room = room;
	}
	p->runs[p->run_count++] = (struct snapshot_run){ start, pages, place };
	return 0;
}

static int write_run(struct plan *p, u64 start, u64 end)
{
	if (start == end)
		return 0;
	const u64 place = take_place(end - start);
	const int err = put(p, place, (const void *)start, end - start);

	return err ? err : add_run(p, start, (end - start) / PAGE_SIZE, place);
}

static bool all_zero(const u64 *page)
{
	for (u32 i = 0; i < PAGE_SIZE / 8; i += 8)
		if (page[i] | page[i + 1] | page[i + 2] | page[i + 3] | page[i + 4] | page[i + 5] | page[i + 6] | page[i + 7])
			return false;
	return true;
}

static int write_anonymous(struct plan *p, u64 start, u64 end)
{
	u64 begin = start;
	int err = 0;

	for (u64 at = start; at < end && !err; at += PAGE_SIZE) {
		if (all_zero((const u64 *)at)) {
			err = write_run(p, begin, at);
			begin = at + PAGE_SIZE;
		} else if (at + PAGE_SIZE - begin == PIECE) {
			err = write_run(p, begin, at + PAGE_SIZE);
			begin = at + PAGE_SIZE;
		}
	}
	return err ? err : write_run(p, begin, end);
}

/* Also when it is no page any more, since the file has become shorter. */
static bool same_page(struct plan *p, u64 page, const u8 *of_file)
{
	u8 *mine = p->buffer + COMPARE;

	return copy_from_user(mine, page, PAGE_SIZE) || !memcmp(mine, of_file, PAGE_SIZE);
}

/* Of a private file mapping, what is not the file's. A page beyond the file's
 * end is none. */
static int write_changed(struct plan *p, const struct range *r)
{
	int err = 0;

	for (u64 at = r->start; at < r->end && !err; at += COMPARE) {
		const u64 size = MIN(COMPARE, r->end - at);
		s64 n;
		do
			n = file_read_kernel(r->file, p->buffer, size, r->offset + (at - r->start));
		while (is_interrupt(p, n));
		n = MAX(n, 0l);
		memset(p->buffer + n, 0, size - (u64)n);
		const u64 inside = page_up((u64)n);
		u64 begin = at, page;
		for (page = at; page < at + inside && !err; page += PAGE_SIZE)
			if (same_page(p, page, p->buffer + (page - at))) {
				err = write_run(p, begin, page);
				begin = page + PAGE_SIZE;
			}
		if (!err)
			err = write_run(p, begin, page);
	}
	return err;
}

static int write_range(struct plan *p, const struct range *r)
{
	const bool hidden = !(r->flags & VMA_READ);
	int err = hidden ? host_protect(r->start, r->end - r->start, VMA_READ) : 0;

	if (!err)
		err = r->file ? write_changed(p, r) : write_anonymous(p, r->start, r->end);
	if (hidden)
		host_protect(r->start, r->end - r->start, r->flags);
	return err;
}

static int write_table(struct plan *p)
{
	const u64 size = p->run_count * sizeof(*p->runs), place = take_place(MAX(size, 1ul));
	const u32 n = __atomic_fetch_add(&K->snapshot.entries, 1, __ATOMIC_RELAXED);
	const struct snapshot_entry entry = { p->mm_id, place, p->run_count };

	if ((n + 1) * sizeof(entry) > SNAPSHOT_TABLE_SIZE)
		return -ENOSPC;
	const int err = size ? put(p, place, p->runs, size) : 0;
	return err ? err : put(p, n * sizeof(entry), &entry, sizeof(entry));
}

static void write_all(struct plan *p)
{
	int err = 0;

	for (u32 i = 0; i < p->count && !err; i++)
		err = write_range(p, &p->ranges[i]);
	if (!err)
		err = write_table(p);
	if (err) {
		printk("snapshot: the memory of a program could not be written: error %d", -err);
		__atomic_store_n(&K->snapshot.failed, 1, __ATOMIC_SEQ_CST);
	}
}

/* ---- who writes ---- */

static void writer_done(void)
{
	if (__atomic_sub_fetch(&K->snapshot.writers, 1, __ATOMIC_SEQ_CST))
		return;
	const u32 what = __atomic_load_n(&K->snapshot.failed, __ATOMIC_SEQ_CST) ? PICO_CHECKPOINT_FAILED : PICO_CHECKPOINT_WRITTEN;
	while (Dk(ProcessCheckpoint)(what) == -PICO_EINTR) {
	}
}

/* Ranges that a clone would not have are shown to it. */
static void show_hidden(struct mm *mm, bool show)
{
	for (struct vma *v = mm->first; v; v = v->next) {
		void *a = (void *)v->start;
		if (v->flags & VMA_DONTFORK)
			Dk(VirtualMemoryAllocate)(&a, v->end - v->start, PICO_VM_ADVISE | (show ? PICO_VM_DO_FORK : PICO_VM_DONT_FORK), 0, NULL, 0);
	}
}

static void __attribute__((noreturn)) clone_main(struct plan *p)
{
	write_all(p);
	drop_plan(p);
	writer_done();
	for (;;)
		Dk(ProcessExit)(0);
}

void snapshot_part(void)
{
	struct mm *mm = current->mm;
	struct plan *p = make_plan(mm);
	s64 r = -ENOMEM;

	if (!p) {
		__atomic_store_n(&K->snapshot.failed, 1, __ATOMIC_SEQ_CST);
		return;
	}
	__atomic_fetch_add(&K->snapshot.writers, 1, __ATOMIC_SEQ_CST);
	if (!K->snapshot.still) {
		show_hidden(mm, true);
		r = Dk(ProcessClone)(PICO_CLONE_NO_HANDLE);
		if (r == 0)
			clone_main(p);
		show_hidden(mm, false);
	}
	if (r > 0)
		return;
	write_all(p);
	if (p->interrupted)
		interrupt_defer();
	drop_plan(p);
	writer_done();
}

void snapshot_parts_done(void)
{
	writer_done();
}
