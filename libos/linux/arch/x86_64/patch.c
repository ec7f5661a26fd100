/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls without traps. A site that has trapped often enough is patched,
 * alone: nothing is scanned, a short program pays nothing, and that the two
 * bytes are a system call instruction is known, since they were executed as one.
 *
 * `mov $nr,%eax; syscall` becomes a jump to a trampoline in the place of the
 * mov; the syscall bytes stay, so that who jumps straight to them still traps,
 * and so does a restarted call. A lone syscall that is followed by the check for
 * errors, a ret and padding up to the next sixteen becomes a short jump to a
 * long one in that padding, which nothing reaches: what follows a system call
 * can be decoded with certainty, what comes before cannot.
 *
 * Only text that a private file mapping makes executable and not writable is
 * patched, never what a program generates. Where others may execute the same
 * bytes meanwhile, the change must be one aligned store of eight bytes, which
 * processors see whole or not at all (AMD64 manual, volume 2, 7.6.1); a site
 * where it is not goes on trapping.
 */
#include "patch.h"
#include "../../lx/uaccess.h"
#include "../../mm/vma.h"
#include "entry.h"

#define HOT 24 /* traps, which cost together what patching does */
#define SLOT 32u
#define ISLAND_SIZE (4 * PAGE_SIZE)
#define ISLAND_NAME "[pico]"
#define REACH (1ull << 30) /* a jump's is two */
#define MOV_SIZE 5u
#define RUN 48u /* bytes looked at after a lone site */
#define CHECK_SIZE 6u /* of the cmp after it */

/* Traps by site: an estimate, which two sites of the same place may disturb. */
static struct { u64 rip; u32 count; } sites[256] __percpu_process;

struct site {
	u64 rip; /* after the syscall instruction */
	u64 from; /* where the first jump is written, */
	u64 through; /* and the second, for a lone one; else 0 */
	u32 nr; /* in the mov */
};

/* ---- what a site looks like ---- */

/* A byte before it that would make something else of `mov $nr,%eax`, or of a jump. */
static bool is_prefix(u8 b)
{
	return (b & 0xf1) == 0x41 || b == 0x66 || b == 0x0f;
}

/* The 0xb8 may be the displacement of an instruction with the number as its
 * immediate, such as movl $39,-0x48(%rbp), or belong to a lea. Loads and stores
 * cannot look so: rax is the number, and no program's memory is as low. b: the
 * three bytes before. */
static bool is_operand(const u8 *b)
{
	const bool direct = (b[2] & 0xc0) == 0x40 && (b[2] & 7) != 4, indexed = (b[1] & 0xc0) == 0x40 && (b[1] & 7) == 4;
	const u8 op = direct ? b[1] : indexed ? b[0] : 0;

	return op == 0xc7 || op == 0x81 || op == 0x69 || op == 0xf7 || b[2] == 0x8d;
}

static bool is_pair(const struct vma *v, struct site *s, u64 rax)
{
	u8 b[3 + MOV_SIZE];

	s->from = s->rip - 2 - MOV_SIZE;
	s->through = 0;
	if (s->from < v->start + 3 || copy_from_user(b, s->from - 3, sizeof(b)))
		return false;
	memcpy(&s->nr, b + 4, 4);
	return b[3] == 0xb8 && s->nr == rax && !is_prefix(b[2]) && !is_operand(b);
}

static u32 nop_size(const u8 *b, u32 room)
{
	static const struct { u8 size, known, bytes[4]; } nops[] = {
		{ 1, 1, { 0x90 } }, { 1, 1, { 0xcc } }, { 3, 3, { 0x0f, 0x1f, 0x00 } }, { 4, 3, { 0x0f, 0x1f, 0x40 } },
		{ 5, 3, { 0x0f, 0x1f, 0x44 } }, { 7, 3, { 0x0f, 0x1f, 0x80 } }, { 8, 3, { 0x0f, 0x1f, 0x84 } },
	};
	u32 prefixes = 0;

	while (prefixes < room && (b[prefixes] == 0x66 || b[prefixes] == 0x2e))
		prefixes++;
	b += prefixes;
	room -= prefixes;
	for (size_t i = 0; i < ARRAY_SIZE(nops); i++)
		if (nops[i].size <= room && !memcmp(b, nops[i].bytes, nops[i].known))
			return prefixes + nops[i].size;
	return 0;
}

/* cmp $-4096 or $-4095,%rax; ja or jae, short or near; ret; padding. */
static bool is_lone(const struct vma *v, struct site *s)
{
	u8 b[RUN];
	u32 at = 0;

	if (v->end - s->rip < RUN || copy_from_user(b, s->rip, RUN))
		return false;
	if (b[0] != 0x48 || b[1] != 0x3d || b[2] > 1 || b[3] != 0xf0 || b[4] != 0xff || b[5] != 0xff)
		return false;
	if (b[CHECK_SIZE] == 0x77 || b[CHECK_SIZE] == 0x73)
		at = CHECK_SIZE + 2;
	else if (b[CHECK_SIZE] == 0x0f && (b[CHECK_SIZE + 1] == 0x87 || b[CHECK_SIZE + 1] == 0x83))
		at = CHECK_SIZE + 6;
	if (!at || b[at] != 0xc3)
		return false;
	s->from = s->rip - 2;
	s->through = s->rip + ++at;
	while ((s->rip + at) & 15) {
		const u32 n = nop_size(b + at, RUN - at);
		if (!n)
			return false;
		at += n;
	}
	return s->rip + at - s->through >= MOV_SIZE;
}

/* ---- trampolines ---- */

static bool in_reach(u64 island, const struct vma *v)
{
	return (island > v->start ? island - v->start : v->end - island) < REACH;
}

static u64 new_island(struct mm *mm, const struct vma *v)
{
	u64 at = vma_gap_down(mm, ISLAND_SIZE, MAX(v->start, REACH / 2 + PICO_GUEST_BASE) - REACH / 2, v->start);

	if (!at)
		at = vma_gap_up(mm, ISLAND_SIZE, v->end, MIN(v->end + REACH / 2, PICO_GUEST_END));
	if (!at)
		return 0;
	struct vma *n = vma_new(at, at + ISLAND_SIZE, VMA_READ | VMA_EXEC | VMA_MAYWRITE, NULL, 0);
	if (!n)
		return 0;
	if (host_map(n, 0)) {
		vma_drop(n);
		return 0;
	}
	memcpy(n->name, ISLAND_NAME, sizeof(ISLAND_NAME));
	vma_add(mm, n);
	n->flags |= VMA_WRITTEN;
	return at;
}

/* A program may unmap what it finds in its maps, or map over it. */
static bool is_island(const struct mm *mm, u64 start)
{
	const struct vma *v = vma_find(mm, start);

	return v && v->start <= start && v->end >= start + ISLAND_SIZE && !memcmp(v->name, ISLAND_NAME, sizeof(ISLAND_NAME)) &&
	       (v->flags & VMA_ACCESS) == (VMA_READ | VMA_EXEC);
}

/* Where the next trampoline goes; 0: nowhere near. */
static u64 take_slot(struct mm *mm, const struct vma *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(mm->islands); i++) {
		if (mm->islands[i].start && !is_island(mm, mm->islands[i].start))
			mm->islands[i].start = mm->islands[i].used = 0;
		if (!mm->islands[i].start && !(mm->islands[i].start = new_island(mm, v)))
			return 0;
		if (mm->islands[i].used < ISLAND_SIZE / SLOT && in_reach(mm->islands[i].start, v))
			return mm->islands[i].start + mm->islands[i].used++ * SLOT;
	}
	return 0;
}

static int put_text(u64 at, const void *bytes, u32 size)
{
	const u64 start = at & PAGE_MASK, span = page_up(at + size) - start;
	int err = host_protect(start, span, VMA_READ | VMA_WRITE | VMA_EXEC);

	if (!err)
		err = copy_to_user(at, bytes, size);
	return host_protect(start, span, VMA_READ | VMA_EXEC) || err ? -EFAULT : 0;
}

static const u8 lea[] = { 0x48, 0x8d, 0x0d };

static void put_jump(u8 *b, u64 at, u64 to)
{
	const s32 distance = (s32)(to - (at + MOV_SIZE));

	b[0] = 0xe9;
	memcpy(b + 1, &distance, 4);
}

/* [mov $nr,%eax]; lea back(%rip),%rcx; movabs $entry,%r11; jmp *%r11 */
static int write_trampoline(u64 at, const struct site *s)
{
	static const u8 movabs[] = { 0x49, 0xbb }, jmp[] = { 0x41, 0xff, 0xe3 };
	const u64 entry = (u64)libos_fast_syscall;
	u8 b[SLOT], *p = b;

	memset(b, 0xcc, sizeof(b));
	if (!s->through) {
		*p = 0xb8;
		memcpy(p + 1, &s->nr, 4);
		p += MOV_SIZE;
	}
	memcpy(p, lea, sizeof(lea));
	p += sizeof(lea);
	const s32 back = (s32)(s->rip - (at + (u64)(p - b) + 4));
	memcpy(p, &back, 4);
	memcpy(p + 4, movabs, sizeof(movabs));
	memcpy(p + 6, &entry, 8);
	memcpy(p + 14, jmp, sizeof(jmp));
	return put_text(at, b, sizeof(b));
}

/* ---- the site ---- */

static bool alone(const struct mm *mm) { return __atomic_load_n(&mm->users, __ATOMIC_ACQUIRE) == 1; }
static u32 first_size(const struct site *s) { return s->through ? 2 : MOV_SIZE; }

/* Whole or not at all for who executes it meanwhile. */
static int swap_bytes(u64 at, const u8 *new, u32 size)
{
	const u64 word = at & ~7ull, start = word & PAGE_MASK;
	u64 value;

	if (copy_from_user(&value, word, 8))
		return -EFAULT;
	memcpy((u8 *)&value + (at - word), new, size);
	if (host_protect(start, PAGE_SIZE, VMA_READ | VMA_WRITE | VMA_EXEC))
		return -EFAULT;
	const int err = user_store_u64(word, value); /* the file may have been cut meanwhile */
	return host_protect(start, PAGE_SIZE, VMA_READ | VMA_EXEC) || err ? -EFAULT : 0;
}

static int write_site(const struct mm *mm, const struct site *s, u64 trampoline)
{
	u8 jump[MOV_SIZE], hop[2] = { 0xeb };
	const u8 *first = s->through ? hop : jump;

	put_jump(jump, s->through ? s->through : s->from, trampoline);
	hop[1] = (u8)(s->through - s->rip);
	if (s->through && put_text(s->through, jump, sizeof(jump)))
		return -EFAULT;
	return alone(mm) ? put_text(s->from, first, first_size(s)) : swap_bytes(s->from, first, first_size(s));
}

static bool may_patch(const struct vma *v, u64 rip)
{
	return v && v->start < rip - 2 && v->file && !(v->flags & (VMA_SHARED | VMA_WRITE)) &&
	       (v->flags & (VMA_READ | VMA_EXEC)) == (VMA_READ | VMA_EXEC);
}

static void patch(struct mm *mm, u64 rip, u64 rax)
{
	struct site s = { .rip = rip };
	u64 slot;

	lock(&mm->lock);
	struct vma *v = vma_find(mm, rip - 1);
	if (!may_patch(v, rip) || (!is_pair(v, &s, rax) && !is_lone(v, &s)))
		goto out;
	if (!alone(mm) && (s.from & 7) + first_size(&s) > 8)
		goto out;
	slot = take_slot(mm, v);
	if (!slot || write_trampoline(slot, &s))
		goto out;
	v->flags |= VMA_WRITTEN; /* it differs from its file, a snapshot must know */
	if (!write_site(mm, &s, slot))
		__atomic_fetch_add(&K->patched, 1, __ATOMIC_RELAXED);
out:
	unlock(&mm->lock);
}

void patch_trapped(struct task *t, const struct pico_context *c)
{
	const u64 rip = c->rip;
	const u32 at = (u32)(rip ^ rip >> 8) & (ARRAY_SIZE(sites) - 1);

	if (sites[at].rip != rip) {
		if (sites[at].count) {
			sites[at].count--;
			return;
		}
		sites[at].rip = rip;
	}
	if (sites[at].count < HOT && ++sites[at].count == HOT && !K->no_patching && t->mm)
		patch(t->mm, rip, c->rax);
}

void patch_forget(void) { memset(sites, 0, sizeof(sites)); }

/* The slot that rip is in and what it does; false: rip is in no trampoline. */
static bool find_slot(struct mm *mm, u64 rip, struct site *s)
{
	u8 b[MOV_SIZE + 7];
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(mm->islands) && !found; i++) {
		const u64 start = __atomic_load_n(&mm->islands[i].start, __ATOMIC_RELAXED), slot = start + ((rip - start) & ~(u64)(SLOT - 1));
		if (!start || rip < start || rip >= start + ISLAND_SIZE)
			continue;
		lock(&mm->lock);
		found = is_island(mm, start);
		unlock(&mm->lock);
		if (!found || copy_from_user(b, slot, sizeof(b)))
			return false;
		const u32 at = b[0] == 0xb8 ? MOV_SIZE : 0;
		s32 back;
		memcpy(&s->nr, b + 1, 4);
		memcpy(&back, b + at + sizeof(lea), 4);
		s->through = !at;
		s->rip = slot + at + sizeof(lea) + 4 + (u64)(s64)back;
		if (memcmp(b + at, lea, sizeof(lea)))
			return false;
	}
	return found;
}

/* Unwinders know nothing of trampolines. What was done there so far is nothing
 * that the call would not do. */
void patch_rewind(struct task *t, struct pico_context *c)
{
	struct site s;

	if (!t->mm || !find_slot(t->mm, c->rip, &s))
		return;
	if (!s.through)
		c->rax = s.nr;
	c->rip = s.rip - 2;
}

/* A step from the site of a mov is the mov. One from a lone site would begin
 * anew for ever; its jumps together are the call. */
bool patch_stepped(struct task *t, struct pico_context *c)
{
	u8 jump[MOV_SIZE];
	s32 distance;
	struct site s;

	if (!t->mm || copy_from_user(jump, c->rip, sizeof(jump)))
		return false;
	memcpy(&distance, jump + 1, 4);
	if (jump[0] == 0xe9 && find_slot(t->mm, c->rip + MOV_SIZE + (u64)(s64)distance, &s) && s.through) {
		c->rip = s.rip;
		return true;
	}
	patch_rewind(t, c);
	return false;
}
