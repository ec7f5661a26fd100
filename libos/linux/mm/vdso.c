/* SPDX-License-Identifier: Apache-2.0
 *
 * The library OS's side of the vDSO: finds the host's time functions and maps
 * our image, with the page that names them, into a new program.
 */
#include "vma.h"
#include "vdso/data.h"
#include <linux/elf.h>

extern const char vdso_image[], vdso_image_end[];

static __percpu_process struct vdso_data data;

/* What of the host's vDSO a symbol search needs. */
struct symbols { u64 bias; const Elf64_Sym *table; const char *strings; const u32 *hash, *gnu_hash; };

static u32 symbol_count(const struct symbols *s)
{
	u32 most = 0;
	if (s->hash)
		return s->hash[1];
	if (!s->gnu_hash)
		return 0;
	u32 buckets = s->gnu_hash[0], first = s->gnu_hash[1];
	const u32 *bucket = s->gnu_hash + 4 + s->gnu_hash[2] * 2, *chain = bucket + buckets;
	for (u32 i = 0; i < buckets; i++)
		most = MAX(most, bucket[i]);
	if (most < first)
		return 0;
	while (!(chain[most - first] & 1))
		most++;
	return most + 1;
}

static bool find_tables(const char *image, struct symbols *s)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)image;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(image + eh->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64)
		return false;
	*s = (struct symbols){ 0 };
	for (u32 i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !s->bias)
			s->bias = (u64)image + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const Elf64_Dyn *)(image + ph[i].p_offset);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		const void *p = (const void *)(s->bias + dyn->d_un.d_ptr);
		switch (dyn->d_tag) {
		case DT_SYMTAB: s->table = p; break;
		case DT_STRTAB: s->strings = p; break;
		case DT_HASH: s->hash = p; break;
		case 0x6ffffef5 /* DT_GNU_HASH */: s->gnu_hash = p; break;
		}
	}
	return s->table && s->strings;
}

static u64 find_symbol(const struct symbols *s, const char *name)
{
	for (u32 i = 0, n = symbol_count(s); i < n; i++)
		if (s->table[i].st_shndx != SHN_UNDEF && !strcmp(s->strings + s->table[i].st_name, name))
			return s->bias + s->table[i].st_value;
	return 0;
}

/* What a program's clock must add to the host's to say what our own says. */
static s64 clock_difference(void)
{
	struct { s64 sec, nsec; } ts;
	if (((int (*)(int, void *))data.clock_gettime)(1, &ts))
		return 0;
	s64 ours = Dk(SystemTimeQuery)(PICO_CLOCK_MONOTONIC), d = ours - (ts.sec * 1000000000 + ts.nsec);
	return d > -1000000 && d < 1000000 ? 0 : d;
}

void vdso_init(const struct pico_init_info *info)
{
	struct symbols s;
	data = (struct vdso_data){ .cpu_count = info->cpu_count };
	if (!info->vdso || !info->vdso_usable || !find_tables(info->vdso, &s))
		return;
	data.clock_gettime = find_symbol(&s, "__vdso_clock_gettime");
	data.gettimeofday = find_symbol(&s, "__vdso_gettimeofday");
	data.time = find_symbol(&s, "__vdso_time");
	data.clock_getres = find_symbol(&s, "__vdso_clock_getres");
	data.getcpu = find_symbol(&s, "__vdso_getcpu");
	if (data.clock_gettime)
		data.monotonic_offset = clock_difference();
}

static int add_vma(struct mm *mm, u64 start, u64 size, u32 flags, const char *name)
{
	struct vma *v = vma_new(start, start + size, flags, NULL, 0);
	if (!v)
		return -ENOMEM;
	memcpy(v->name, name, strlen(name) + 1);
	vma_add(mm, v);
	return host_protect(start, size, flags);
}

int vdso_map(struct mm *mm)
{
	u64 size = (u64)(vdso_image_end - vdso_image), total = size + VDSO_DATA_SIZE;
	u64 at = mm_find_area(mm, 0, total, 0);
	if (!at)
		return -ENOMEM;
	struct vma whole = { .start = at, .end = at + total, .flags = VMA_READ | VMA_WRITE };
	int r = host_map(&whole, 0);
	if (!r)
		r = copy_to_user(at, &data, sizeof(data));
	if (!r)
		r = copy_to_user(at + VDSO_DATA_SIZE, vdso_image, size);
	if (!r)
		r = add_vma(mm, at, VDSO_DATA_SIZE, VMA_READ, "[vvar]");
	if (!r)
		r = add_vma(mm, at + VDSO_DATA_SIZE, size, VMA_READ | VMA_EXEC | VMA_MAYWRITE, "[vdso]");
	mm->vdso = at + VDSO_DATA_SIZE;
	return r;
}

/* After a restore the host's functions may be elsewhere. */
int vdso_refresh(struct mm *mm)
{
	u64 page = mm->vdso - VDSO_DATA_SIZE;
	int r = -ENOENT;
	lock(&mm->lock);
	const struct vma *v = mm->vdso ? vma_find(mm, page) : NULL;
	if (v && v->start == page && !strcmp(v->name, "[vvar]")) {
		r = host_protect(page, VDSO_DATA_SIZE, VMA_READ | VMA_WRITE);
		if (!r)
			r = copy_to_user(page, &data, sizeof(data));
		if (!r)
			r = host_protect(page, VDSO_DATA_SIZE, VMA_READ);
	}
	unlock(&mm->lock);
	return r;
}
