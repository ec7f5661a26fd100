/* SPDX-License-Identifier: Apache-2.0
 *
 * The mmap family of the library OS over the real system's memory calls: random
 * operations in a window of the address space, and after each the vmas, the
 * contents and the protection of every page compared with a plain model.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "lx_host.h"
#undef current
static struct task test_task;
#define current (&test_task)
#include "../../libos/linux/mm/page.c"
#include "../../libos/linux/mm/kmalloc.c"
#include "../../libos/linux/mm/vma.c"
#include "../../libos/linux/mm/space.c"
#include "../../libos/linux/mm/shm.c"
#include "../../libos/linux/mm/mmap.c"
#undef RLIMIT_DATA_
#include "../../libos/linux/mm/mremap.c"
#undef RLIMIT_MEMLOCK_
#include "../../libos/linux/mm/advise.c"
#include "../../libos/linux/mm/fault.c"

/* ---- what the sources need of the rest of the kernel ---- */

static u64 limits[RLIM_COUNT];
u64 rlimit_get(unsigned resource) { return limits[resource]; }
bool capable(int cap __attribute__((unused))) { return false; }
bool path_noexec(const struct path *p __attribute__((unused))) { return false; }
void remote_end(struct mm *mm __attribute__((unused))) {}
void aio_exit(struct mm *mm __attribute__((unused))) {}

struct file *file_alloc(const struct file_ops *ops, u32 flags __attribute__((unused)))
{
	struct file *f = kzalloc(sizeof(*f));
	ref_init(&f->ref);
	f->ops = ops;
	f->mode_bits = FMODE_READ | FMODE_WRITE;
	return f;
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	if (!ref_put(&f->ref))
		return;
	f->ops->release(f);
	kfree(f);
}

static int transfer(uaddr user, void *own, size_t size, bool write)
{
	struct iovec u = { (void *)user, size }, o = { own, size };
	ssize_t n = write ? process_vm_writev(getpid(), &o, 1, &u, 1, 0) : process_vm_readv(getpid(), &o, 1, &u, 1, 0);
	return n == (ssize_t)size ? 0 : -EFAULT;
}

int copy_from_user(void *to, uaddr from, size_t size) { return transfer(from, to, size, false); }
int copy_to_user(uaddr to, const void *from, size_t size) { return transfer(to, (void *)(u64)from, size, true); }
int user_load_u32(uaddr a, u32 *value) { return transfer(a, value, 4, false); }

int user_or_u32(uaddr a, u32 value, u32 *old)
{
	u32 v;
	if (transfer(a, &v, 4, false) < 0)
		return -EFAULT;
	*old = v;
	v |= value;
	return transfer(a, &v, 4, true);
}

/* ---- the ABI's memory calls over the system's ---- */

static bool refuse_moves; /* to try the way without */

static int64_t vm_allocate(void **address, uint64_t size, uint32_t flags, uint32_t prot, void *source, uint64_t source_size)
{
	void *p;
	if (flags & PICO_VM_ADVISE)
		return 0;
	if (flags & PICO_VM_MOVE) {
		if (refuse_moves)
			return -PICO_EFAULT;
		p = mremap(source, source_size, size, MREMAP_MAYMOVE | (flags & PICO_VM_FIXED ? MREMAP_FIXED : 0) |
			(flags & PICO_VM_KEEP_SOURCE ? MREMAP_DONTUNMAP : 0), *address);
	} else {
		p = mmap(*address, size, (int)(flags & PICO_VM_RESERVE ? 0 : prot), MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	}
	*address = p;
	return p == MAP_FAILED ? -errno : 0;
}

static int64_t vm_free(void *address, uint64_t size, uint32_t flags)
{
	int advice = flags == PICO_VM_DISCARD ? MADV_DONTNEED : flags == PICO_VM_REMOVE ? MADV_REMOVE : MADV_FREE;
	int r = flags == PICO_VM_RELEASE ? munmap(address, size) : madvise(address, size, advice);
	return r ? -errno : 0;
}

static int64_t vm_protect(void *address, uint64_t size, uint32_t prot) { return mprotect(address, size, (int)prot) ? -errno : 0; }

static int64_t stream_map(pico_handle stream, void **address, uint32_t prot, uint64_t offset, uint64_t size, uint32_t flags)
{
	void *p = mmap(*address, size, (int)prot, (flags & PICO_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, (int)stream, (off_t)offset);
	return p == MAP_FAILED ? -errno : 0;
}

static int64_t stream_open(const char *uri, uint64_t size, uint32_t access, uint32_t flags, uint32_t mode, struct pico_stream_attributes *a)
{
	(void)uri, (void)size, (void)access, (void)flags, (void)mode, (void)a;
	return -PICO_EACCES;
}

/* ---- the model ---- */

#define BASE 0x300000000000ull
#define PAGES 96u
#define OBJECT_PAGES 24u

struct object { unsigned char value[OBJECT_PAGES]; u32 pages; };
struct cell { bool mapped; u32 prot; struct object *object; u32 index; unsigned char value; };

static struct mm *mm;
static struct cell model[PAGES];
static unsigned seed = 3;

static unsigned pick(unsigned n) { return (unsigned)rand_r(&seed) % n; }
static u64 at(u64 page) { return BASE + page * PAGE_SIZE; }
static u32 random_prot(void) { return (u32[]){ 0, 1, 3, 3, 3 }[pick(5)]; }

static void setup(void)
{
	struct pico_abi_page *page = host_setup();
	mem_init((void *)PICO_SEGMENT_BASE, HOST_SEGMENT_SIZE);
	K->knobs.max_map_count = 65530;
	page->call.VirtualMemoryAllocate = vm_allocate;
	page->call.VirtualMemoryFree = vm_free;
	page->call.VirtualMemoryProtect = vm_protect;
	page->call.StreamMap = stream_map;
	page->call.StreamOpen = stream_open;
	memset(limits, 0xff, sizeof(limits));
	mm = mm_create();
	mm->mmap_base = 0x2fff00000000;
	test_task.mm = mm;
}

TestSuite(lx_mmap, .init = setup, .timeout = 120);

static unsigned char *cell_value(struct cell *c) { return c->object ? &c->object->value[c->index] : &c->value; }

/* The index of a page past its object's end stays out of bounds: no access. */
static bool cell_backed(const struct cell *c) { return !c->object || c->index < c->object->pages; }

static void check_page(u32 i)
{
	struct cell *c = &model[i];
	const struct vma *v = vma_find(mm, at(i));
	bool mapped = v && v->start <= at(i);
	unsigned char value;
	cr_assert_eq(mapped, c->mapped, "page %u", i);
	if (!mapped) {
		cr_assert(transfer(at(i), &value, 1, false) < 0, "page %u should be a hole", i);
		return;
	}
	cr_assert_eq(v->flags & VMA_ACCESS, c->prot);
	cr_assert_eq((v->flags & VMA_SHARED) != 0, c->object != NULL);
	if (c->object)
		cr_assert_eq(v->offset + (at(i) - v->start), c->index * PAGE_SIZE);
	bool readable = transfer(at(i) + 99, &value, 1, false) == 0;
	cr_assert_eq(readable, (c->prot & VMA_READ) && cell_backed(c), "page %u", i);
	if (readable)
		cr_assert_eq(value, *cell_value(c), "page %u holds %u, not %u", i, value, *cell_value(c));
	bool writable = c->prot & VMA_WRITE && cell_backed(c);
	unsigned char old = readable ? value : 0;
	cr_assert_eq(transfer(at(i) + 99, &old, 1, true) == 0, writable);
}

static void check_all(void)
{
	u64 total = 0, data = 0;
	u32 n = 0;
	for (u32 i = 0; i < PAGES; i++)
		check_page(i);
	for (const struct vma *v = mm->first; v; v = v->next, n++) {
		total += v->end - v->start;
		data += vma_is_data(v->flags) ? v->end - v->start : 0;
		cr_assert(!v->next || !can_join(v, v->next), "neighbours that could be one");
	}
	cr_assert(n == mm->vma_count && total == mm->total_vm && data == mm->data_vm);
}

static void do_map(u32 page, u32 n)
{
	u32 prot = random_prot();
	bool shared = pick(3) == 0 && n <= OBJECT_PAGES;
	s64 r = mm_map(mm, at(page), n * PAGE_SIZE, prot, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	cr_assert_eq(r, (s64)at(page));
	static struct object pool[8192];
	static u32 taken;
	struct object *o = shared ? &pool[taken++] : NULL;
	if (o)
		o->pages = n;
	for (u32 i = 0; i < n; i++)
		model[page + i] = (struct cell){ .mapped = true, .prot = prot, .object = o, .index = i };
}

static void do_unmap(u32 page, u32 n)
{
	cr_assert_eq(mm_unmap(mm, at(page), n * PAGE_SIZE), 0);
	memset(&model[page], 0, n * sizeof(model[0]));
}

static void do_protect(u32 page, u32 n)
{
	u32 prot = random_prot(), i = 0;
	int r = mm_protect(mm, at(page), n * PAGE_SIZE, prot);
	for (; i < n && model[page + i].mapped; i++)
		model[page + i].prot = prot;
	cr_assert_eq(r, i < n ? -ENOMEM : 0);
}

static void do_write(u32 page, u32 n)
{
	for (u32 i = page; i < page + n; i++) {
		unsigned char v = (unsigned char)pick(256);
		if (!model[i].mapped || !(model[i].prot & VMA_WRITE) || !cell_backed(&model[i]))
			continue;
		cr_assert_eq(transfer(at(i) + 99, &v, 1, true), 0);
		*cell_value(&model[i]) = v;
	}
}

static void do_discard(u32 page, u32 n)
{
	bool hole = false;
	int r = mm_advise(mm, at(page), n * PAGE_SIZE, MADV_DONTNEED);
	for (u32 i = page; i < page + n; i++) {
		hole |= !model[i].mapped;
		model[i].value = 0;
	}
	cr_assert_eq(r, hole ? -ENOMEM : 0);
}

/* All n pages are of one mapping, as mremap wants it. */
static bool one_vma(u32 page, u32 n)
{
	const struct vma *v = vma_find(mm, at(page));
	return v && v->start <= at(page) && v->end >= at(page + n);
}

static void do_move(u32 from, u32 n)
{
	u32 new = 1 + pick(12), to = pick(PAGES - new), flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	struct cell old[PAGES], last;
	bool overlap = from < to + new && to < from + n;
	if (overlap) {
		cr_assert_eq(mm_remap(mm, at(from), n * PAGE_SIZE, new * PAGE_SIZE, flags, at(to)),
			model[from].mapped ? -EINVAL : -EFAULT);
		return;
	}
	if (!one_vma(from, n))
		return;
	s64 r = mm_remap(mm, at(from), n * PAGE_SIZE, new * PAGE_SIZE, flags, at(to));
	cr_assert_eq(r, (s64)at(to), "mremap says %ld", (long)r);
	memcpy(old, &model[from], n * sizeof(old[0]));
	last = old[n - 1];
	memset(&model[from], 0, n * sizeof(old[0]));
	for (u32 i = 0; i < new; i++) {
		model[to + i] = i < n ? old[i] : last;
		if (i >= n) {
			model[to + i].index = last.index + (i - n + 1);
			model[to + i].value = 0;
		}
	}
}

static void do_resize(u32 page, u32 n)
{
	if (!one_vma(page, n))
		return;
	const struct vma *v = vma_find(mm, at(page));
	u32 new = 1 + pick(12);
	if (page + new > PAGES)
		return;
	bool room = new <= n || v->end == at(page + n);
	for (u32 i = n; i < new; i++)
		room &= !model[page + i].mapped;
	s64 r = mm_remap(mm, at(page), n * PAGE_SIZE, new * PAGE_SIZE, 0, 0);
	cr_assert_eq(r, room ? (s64)at(page) : -ENOMEM, "resize of %u to %u says %ld", n, new, (long)r);
	if (!room)
		return;
	for (u32 i = new; i < n; i++)
		model[page + i] = (struct cell){ 0 };
	for (u32 i = n; i < new; i++) {
		model[page + i] = model[page + n - 1];
		model[page + i].index += i - n + 1;
		model[page + i].value = 0;
	}
}

static void (*const operations[])(u32 page, u32 n) = {
	do_map, do_map, do_unmap, do_protect, do_protect, do_write, do_write, do_discard, do_move, do_move, do_resize,
};

static void run(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		u32 n = 1 + pick(12), page = pick(PAGES - n);
		operations[pick(ARRAY_SIZE(operations))](page, n);
		check_all();
	}
	u64 used = mm->vma_count;
	do_unmap(0, PAGES);
	cr_assert(mm->vma_count == 0 && mm->total_vm == 0 && mm->data_vm == 0 && used > 0);
	mm_put(mm);
	cr_assert_eq(mem_used(), 0, "all vmas, files and shared pages are given back");
}

Test(lx_mmap, random) { run(6000); }

Test(lx_mmap, random_without_host_moves)
{
	refuse_moves = true;
	seed = 11;
	run(3000);
}

Test(lx_mmap, places)
{
	s64 a = mm_map(mm, 0, 10 * PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	s64 b = mm_map(mm, 0, 10 * PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	cr_assert_eq(a, (s64)(mm->mmap_base - 10 * PAGE_SIZE));
	cr_assert_eq(b, a - (s64)(10 * PAGE_SIZE)); /* top down, and one vma in the end */
	cr_assert_eq(mm->vma_count, 1);
	s64 h = mm_map(mm, 0, HUGE_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	s64 g = mm_map(mm, 0, 2 * HUGE_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	cr_assert(h % (s64)HUGE_PAGE == 0 && g == h - 2 * (s64)HUGE_PAGE);
	cr_assert_eq(mm_map(mm, 0, PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0), -EPERM);
	cr_assert_eq(mm_map(mm, PICO_GUEST_END, PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0), -ENOMEM);
	limits[RLIMIT_AS_] = mm->total_vm;
	cr_assert_eq(mm_map(mm, 0, PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0), -ENOMEM);
	cr_assert_eq(mm_map(mm, (u64)a, PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0), a);
}

Test(lx_mmap, faults)
{
	int code;
	do_map(0, 4);
	mm_protect(mm, at(0), 4 * PAGE_SIZE, VMA_READ);
	cr_assert(mm_fault(mm, at(0), 6, &code) == SIG_SEGV && code == ACCESS_ERROR);
	cr_assert(mm_fault(mm, at(9), 4, &code) == SIG_SEGV && code == MAP_ERROR);
	cr_assert_eq(mm_fault(mm, at(1), 4, &code), 0); /* another thread was faster */
	munmap((void *)at(2), PAGE_SIZE);
	cr_assert(mm_fault(mm, at(2), 4, &code) == SIG_BUS && code == ADDRESS_ERROR);
	limits[RLIMIT_STACK_] = 1 << 20;
	mm_map(mm, at(500), PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, NULL, 0);
	cr_assert_eq(mm_fault(mm, at(400) + 5, 6, &code), 0);
	cr_assert(vma_find(mm, at(450))->start == at(400));
	cr_assert(mm_fault(mm, at(200), 6, &code) == SIG_SEGV && code == MAP_ERROR); /* over the limit */
	do_unmap(0, 4);
	mm_map(mm, at(300), PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	cr_assert(mm_fault(mm, at(399), 6, &code) == SIG_SEGV); /* into the guard gap */
}

Test(lx_mmap, heap)
{
	mm->brk_start = mm->brk = BASE + 100;
	cr_assert_eq(mm_brk(mm, 0), BASE + 100);
	cr_assert_eq(mm_brk(mm, BASE + 5000), BASE + 5000);
	cr_assert_eq(mm_brk(mm, BASE + 100000), BASE + 100000);
	cr_assert_eq(mm->vma_count, 1);
	cr_assert_str_eq(mm->first->name, "[heap]");
	mm_map(mm, BASE + 200 * PAGE_SIZE, PAGE_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	cr_assert_eq(mm_brk(mm, BASE + 250 * PAGE_SIZE), BASE + 100000);
	limits[RLIMIT_DATA_] = 110000;
	cr_assert_eq(mm_brk(mm, BASE + 120000), BASE + 100000);
	cr_assert_eq(mm_brk(mm, BASE + 100), BASE + 100);
	cr_assert_eq(mm->total_vm, PAGE_SIZE);
}
