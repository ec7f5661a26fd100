/* SPDX-License-Identifier: Apache-2.0
 *
 * Address spaces of programs. The vma tree says what a program mapped; the
 * host's own page tables do the rest. mm->lock is held over every change.
 */
#ifndef LX_MM_H
#define LX_MM_H

#include "lock.h"

struct file;
struct task;
#define VMA_READ 1u
#define VMA_WRITE 2u
#define VMA_EXEC 4u
#define VMA_SHARED 8u
#define VMA_STACK 16u /* grows down */
#define VMA_HEAP 32u
#define VMA_LOCKED 64u
#define VMA_DONTFORK 128u
#define VMA_WIPEONFORK 256u
#define VMA_DONTDUMP 512u
#define VMA_MAYWRITE 1024u /* mprotect may add write (shared mapping of a file opened for writing, or private) */
#define VMA_NORESERVE 2048u
#define VMA_USED 4096u /* was accessible at some time: there may be something in it */
#define VMA_WRITTEN 8192u /* was writable at some time: it may differ from its file */
#define VMA_SEALED 32768u /* mseal(2): stays as it is till the program ends */
#define VMA_THREAD_STACK 16384u /* MAP_STACK: most of it is never touched */
struct vma {
	u64 start, end;
	u32 flags;
	struct file *file; /* reference, or NULL */
	u64 offset; /* bytes, of start in file */
	char name[16]; /* "[heap]", "[stack]", "[vdso]" ... */
	/* mm/vma.c: balanced tree by start, and the same in a list */
	struct vma *left, *right, *prev, *next;
	u64 gap, max_gap; /* free bytes just below; the most of any in this subtree */
	u32 height;
};
struct mm {
	struct ref ref; /* of the struct: one for all users, one for each who looks at it */
	u32 id; /* in snapshots */
	bool restored; /* private pages may be mappings of a snapshot: to drop them means to map anew */
	u32 users; /* atomic: tasks whose program it is; the last takes the vmas along */
	struct lock lock;
	struct vma *root, *first;
	u32 vma_count;
	u64 total_vm, locked_vm, data_vm; /* bytes */
	u64 brk_start, brk, brk_mapped_end;
	u64 stack_top, stack_limit_bottom;
	u64 mmap_base;
	u64 arg_start, arg_end, env_start, env_end;
	u64 vdso;
	u64 auxv[64]; u32 auxv_count;
	u64 start_code, end_code;
	u64 hiwater_rss, hiwater_vm;
	u32 def_flags;
	struct { u64 start; u32 used; } islands[8]; /* trampolines of patched call sites, arch/x86_64/patch.c */
	void *aio; /* contexts of io_setup(2): sys/aio.c */
	struct lock remote_lock; struct remote_request *remote; /* what others want of this memory: proc/remote.c */
};
void aio_exit(struct mm *mm); /* its last user leaves */
struct mm *mm_create(void);
void mm_put(struct mm *mm);
static inline void mm_join(struct mm *mm) { __atomic_fetch_add(&mm->users, 1, __ATOMIC_RELAXED); }
void mm_leave(struct mm *mm); /* a task goes */
struct mm *mm_fork(struct mm *parent); /* bookkeeping only; the pages are the host's. parent->lock held, till they are copied too */
/* As mmap(2) with Linux's prot and flags; file may be NULL. mm->lock not held. Returns the address or -errno. */
s64 mm_map(struct mm *mm, u64 addr, u64 size, u32 prot, u32 flags, struct file *file, u64 offset);
int mm_unmap(struct mm *mm, u64 addr, u64 size);
/* For /proc: copies the first vma that ends above addr, with a reference on
 * out->file that the caller puts; false when none. */
bool mm_next_vma(struct mm *mm, u64 addr, struct vma *out);
/* A fault of a program: 0 when handled (stack growth) and the program may go on, else the signal to send, code in *code. */
int mm_fault(struct mm *mm, u64 addr, u32 error_code, int *code);
/* What is in memory of an address space, bytes. The host does not tell: an
 * estimate from what is mapped, see mm/usage.c. */
struct vma_usage { u64 anon, file, shared; };
struct mm_usage { u64 all, anon, file, shared; u64 stack, code, tables; /* mapped, not estimated */ };
void vma_usage(const struct vma *v, struct vma_usage *out);
void mm_usage(struct mm *mm, struct mm_usage *out); /* mm->lock not held */
u64 mm_rss(struct mm *mm); /* the sum */
/* Key of a futex word: private (mm, addr) or shared (object, offset). -EFAULT when not mapped. */
struct futex_key { u64 object, offset; };
int mm_futex_key(struct mm *mm, uaddr a, bool shared, struct futex_key *key);

/* A file whose shared mappings are the same zero-filled memory; for anonymous
 * shared mappings and /dev/zero. NULL: no memory. */
struct file *mm_shared_memory(u64 size);
/* Reads or writes the program's memory regardless of its protection (/proc/self/mem,
 * process_vm_readv): only the current mm. Bytes done, or -EIO / -EFAULT when none. */
s64 mm_access(struct mm *mm, u64 addr, void *buf, size_t size, bool write);
/* proc/remote.c: the same in any address space; buf lies in the segment. -ESRCH when
 * nobody runs there any more, -ERESTARTNOINTR when the caller is to end or to park.
 * No lock may be held. */
enum { REMOTE_READ, REMOTE_WRITE, REMOTE_PEEK /* whatever the protection */, REMOTE_POKE, REMOTE_REGISTERS };
s64 remote_access(struct mm *mm, u32 op, u64 addr, void *buf, size_t size);
/* mm/vdso.c: finds the host's time functions; at boot and again after a restore. */
struct pico_init_info;
void vdso_init(const struct pico_init_info *info);
int vdso_refresh(struct mm *mm); /* current mm: write the new functions where the program reads them */

/* exec.c: load a program into a fresh address space of the current picoprocess.
 * Everything is checked before anything of the old image is given up; after
 * the point of no return a failure kills the process. argv, envp are kernel
 * copies. On success current->regs is the start state. */
struct exec_strings { u32 argc, envc; u64 bytes; char *data; /* argc then envc zero-terminated strings */ };
u64 exec_strings_limit(void); /* bytes of strings and pointers to them; more is -E2BIG */
int exec_load(const char *path, struct exec_strings *strings, struct file *opened /* or NULL */);
/* In an address space that others use too: exec_load checks all, keeps the
 * program in current->process and returns this; then, when nothing of the call
 * is left to free, exec_move() has a fresh picoprocess go on with it. */
#define EXEC_MOVE 1
int exec_move(void); /* -errno; does not return on success */
void exec_abandon(struct task *t); /* what t was to run in a picoprocess that never came */
void exec_arrive(u64 param) __attribute__((noreturn)); /* in the fresh picoprocess */

#endif
