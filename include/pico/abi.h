/* SPDX-License-Identifier: Apache-2.0
 *
 * The picoprocess ABI, version 1: everything a library OS may know of what is
 * below it. A library OS includes this header and nothing else of pico.
 *
 * Rules of this file: it depends on no other header but the C compiler's own
 * and errors.h; what is here never changes within a version; new members go to
 * the end and are found by their size. 45 downcalls, 3 upcalls.
 *
 * Conventions of a downcall: System V calling convention; it runs on the
 * caller's stack, preserves all vector and x87 state, never touches memory it
 * was not given, and returns a value >= 0 or a negative PICO_E number.
 * Every blocking call returns -PICO_EINTR when the thread is interrupted
 * (ThreadInterrupt) and may simply be issued again: deadlines are absolute.
 */
#ifndef PICO_ABI_H
#define PICO_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "errors.h"

#define PICO_ABI_VERSION 1u
#define PICO_DOWNCALL_COUNT 45
#define PICO_UPCALL_COUNT 3

/* ---- address space (x86-64) ----
 * [PICO_GUEST_BASE, PICO_GUEST_END) belongs to the library OS and its
 * programs: nothing is ever placed there that it did not ask for.
 * Above lies the system range. */
#define PICO_GUEST_BASE 0x0000000000010000ull
#define PICO_GUEST_END 0x00007e0000000000ull
#define PICO_ABI_PAGE 0x00007e0000000000ull /* struct pico_abi_page, read-only */
#define PICO_LIBOS_BASE 0x00007e0100000000ull /* library OS image: linked to this address */
#define PICO_LIBOS_END 0x00007e0140000000ull
#define PICO_SEGMENT_BASE 0x00007e1000000000ull /* the shared segment, see init info */
#define PICO_SEGMENT_NEAR 0x200000ull /* this much at its start is mapped in clones from the first, where the host can do that: for what is used most */
#define PICO_THREADS_BASE 0x00007e0200000000ull /* one PICO_THREAD_SIZE region a thread slot */
#define PICO_THREAD_SIZE 0x40000ull /* 256 KiB: guard, system stack, thread block, alternate stack */
#define PICO_THREADS_MAX 8192
#define PICO_PAGE_SIZE 4096ull

/* ---- handles ---- */
typedef int64_t pico_handle; /* > 0; never 0 */
#define PICO_HANDLE_NONE ((pico_handle)-1)

#define PICO_FOREVER UINT64_MAX /* as a deadline: no end. 0: do not wait */

/* ---- memory ---- */
enum {
	PICO_PROT_NONE = 0,
	PICO_PROT_READ = 1,
	PICO_PROT_WRITE = 2,
	PICO_PROT_EXEC = 4,
};
enum { /* VirtualMemoryAllocate; one of the first five, with modifiers */
	PICO_VM_RESERVE = 0x01, /* addresses only, no access, not accounted */
	PICO_VM_COMMIT = 0x02, /* zero pages with the given access, over anything that is there when FIXED */
	PICO_VM_RESET = 0x04, /* advice to *address,size: contents may be dropped when memory is short */
	PICO_VM_MOVE = 0x08, /* move source,source_size to size bytes, in place or (not FIXED) anywhere, or to *address (FIXED) */
	PICO_VM_ADVISE = 0x10, /* only apply the advice modifiers below to *address,size */
	PICO_VM_FIXED = 0x100, /* exactly at *address, replacing what is there */
	PICO_VM_NOREPLACE = 0x200, /* exactly at *address; EEXIST when something is there */
	PICO_VM_IN_PLACE = 0x400, /* MOVE: only without moving, else ENOMEM */
	PICO_VM_KEEP_SOURCE = 0x800, /* MOVE: the source range stays mapped, empty (private memory only) */
	PICO_VM_NORESERVE = 0x1000, /* COMMIT: do not account until touched */
	PICO_VM_HUGE = 0x10000, /* prefer huge pages */
	PICO_VM_NO_HUGE = 0x20000,
	PICO_VM_WIPE_ON_FORK = 0x40000, /* zero in a clone */
	PICO_VM_KEEP_ON_FORK = 0x80000,
	PICO_VM_DONT_FORK = 0x100000, /* absent in a clone */
	PICO_VM_DO_FORK = 0x200000,
	PICO_VM_WILL_NEED = 0x400000,
	PICO_VM_POPULATE = 0x800000, /* COMMIT or map: fault the pages in now */
};
enum { /* VirtualMemoryFree */
	PICO_VM_RELEASE = 0x01, /* the range becomes unallocated */
	PICO_VM_DISCARD = 0x02, /* contents dropped, zero (or the file's) at next touch; range and access stay */
	PICO_VM_LAZY_DISCARD = 0x04, /* the same, when the host wants */
	PICO_VM_REMOVE = 0x08, /* shared mapping: also free the pages behind it (hole) */
};

/* ---- streams ----
 * URI schemes: file: dir: pipe: tcp: udp: unix: console: image: memory: app:
 *   file:/abs/path   dir:/abs/path   names in the instance's own namespace,
 *                    which the policy's mounts make up; no component may be a
 *                    symbolic link (ELOOP names that case), `.` or `..`
 *   console:stdin  console:stdout  console:stderr
 *   memory:NAME      memory shared in the instance; memory: alone is anonymous
 *   pipe:            an anonymous pipe: see PICO_OPEN_PIPE
 *   pipe:NAME  unix:NAME    client; with PICO_OPEN_SERVER the server
 *   tcp: udp:        not granted by any policy yet (EACCES)
 *   app:NAME         served by the host application
 */
#define PICO_URI_MAX 4352u /* bytes, without a terminating zero */
#define PICO_OFFSET_NONE UINT64_MAX
enum { /* access */
	PICO_ACCESS_READ = 1,
	PICO_ACCESS_WRITE = 2,
	PICO_ACCESS_APPEND = 4, /* every write goes to the end */
	PICO_ACCESS_EXECUTE = 8, /* may be mapped executable */
};
enum { /* StreamOpen flags */
	PICO_OPEN_CREATE = 0x01, /* make it when absent, with mode */
	PICO_OPEN_EXCLUSIVE = 0x02, /* with CREATE: EEXIST when present */
	PICO_OPEN_TRUNCATE = 0x04,
	PICO_OPEN_TEMPORARY = 0x08, /* file: URI is a directory; make a file without a name */
	PICO_OPEN_SERVER = 0x10, /* pipe: unix: listen under this name */
	PICO_OPEN_PIPE = 0x20, /* pipe: anonymous; mode points nowhere: the call returns the read end, and the write end is the next handle of attributes->peer_handle */
};
enum pico_stream_type {
	PICO_STREAM_FILE = 1,
	PICO_STREAM_DIRECTORY = 2,
	PICO_STREAM_SYMLINK = 3,
	PICO_STREAM_CONSOLE = 4, /* a terminal */
	PICO_STREAM_PIPE = 5,
	PICO_STREAM_SOCKET = 6,
	PICO_STREAM_MEMORY = 7,
	PICO_STREAM_APP = 8,
	PICO_STREAM_NULL = 9, /* reads nothing, swallows writes */
	PICO_STREAM_FIFO = 10,
	PICO_STREAM_CHARDEV = 11,
	PICO_STREAM_BLOCKDEV = 12,
};
enum { /* pico_stream_attributes.valid */
	PICO_ATTR_MODE = 0x01,
	PICO_ATTR_OWNER = 0x02,
	PICO_ATTR_ATIME = 0x04,
	PICO_ATTR_MTIME = 0x08,
	PICO_ATTR_ATIME_NOW = 0x10,
	PICO_ATTR_MTIME_NOW = 0x20,
	PICO_ATTR_TERMINAL = 0x40, /* the term member */
	PICO_ATTR_FILESYSTEM = 0x80, /* the fs_ members */
	PICO_ATTR_BASIC = 0x100, /* all others; set in every answer */
};
struct pico_terminal { /* termios(3) and window size, numbers as Linux x86-64 */
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line;
	uint8_t cc[19];
	uint16_t rows, columns, xpixel, ypixel;
	uint32_t reserved;
};
struct pico_stream_attributes {
	uint32_t valid; /* PICO_ATTR_ bits */
	uint32_t type; /* enum pico_stream_type */
	uint32_t mode; /* permission bits, 07777 */
	uint32_t link_count;
	uint32_t uid, gid; /* as the guest sees them */
	uint64_t size; /* bytes */
	uint64_t blocks; /* 512-byte units in use */
	uint64_t inode;
	uint64_t device; /* which mount: two streams are the same when device and inode are equal */
	int64_t atime_sec, mtime_sec, ctime_sec, btime_sec;
	uint32_t atime_nsec, mtime_nsec, ctime_nsec, btime_nsec;
	uint32_t block_size; /* preferred for input and output */
	uint32_t flags; /* PICO_STREAM_FLAG_ */
	pico_handle peer_handle; /* PICO_OPEN_PIPE: the other end */
	uint64_t fs_type, fs_block_size, fs_blocks, fs_blocks_free, fs_blocks_available, fs_files, fs_files_free, fs_name_max;
	struct pico_terminal term;
};
enum {
	PICO_STREAM_FLAG_SEEKABLE = 1, /* takes offsets */
	PICO_STREAM_FLAG_MAPPABLE = 2,
	PICO_STREAM_FLAG_READ_ONLY_MOUNT = 4,
	PICO_STREAM_FLAG_TERMINAL = 8,
};
enum { /* StreamMap */
	PICO_MAP_SHARED = 0x01,
	PICO_MAP_PRIVATE = 0x02,
	PICO_MAP_FIXED = 0x100,
	PICO_MAP_NOREPLACE = 0x200,
	PICO_MAP_POPULATE = 0x800000,
};
enum { /* StreamSetLength mode, as fallocate(2) where not LENGTH_SET */
	PICO_LENGTH_SET = 0, /* file is `length` bytes long; offset must be 0 */
	PICO_LENGTH_ALLOCATE = 1, /* blocks for offset,length exist; size grows */
	PICO_LENGTH_ALLOCATE_KEEP_SIZE = 2,
	PICO_LENGTH_PUNCH_HOLE = 3,
	PICO_LENGTH_ZERO_RANGE = 4,
	PICO_LENGTH_COLLAPSE_RANGE = 5,
	PICO_LENGTH_INSERT_RANGE = 6,
};
enum { PICO_FLUSH_DATA = 1, PICO_FLUSH_FILESYSTEM = 2 };
enum { PICO_DELETE_DIRECTORY = 1 };
enum { /* StreamRename */
	PICO_RENAME_NOREPLACE = 1,
	PICO_RENAME_EXCHANGE = 2,
	PICO_RENAME_LINK = 4, /* the old name stays */
	PICO_RENAME_SYMLINK = 8, /* uri is "link:TEXT"; new_uri becomes a symbolic link to TEXT */
	PICO_RENAME_FROM_HANDLE = 16, /* uri is "handle:N" (decimal): name a TEMPORARY file */
};
enum { PICO_EVENT_READABLE = 1, PICO_EVENT_WRITABLE = 2, PICO_EVENT_HANGUP = 3 }; /* StreamGetEvent */
struct pico_peer { uint32_t size; char uri[252]; };
struct pico_dirent { /* 8-byte aligned records */
	uint64_t inode;
	uint64_t cookie; /* continues after this entry */
	uint16_t record_size, name_size;
	uint32_t type; /* enum pico_stream_type, 0 unknown */
	char name[]; /* name_size bytes, then zero */
};

/* ---- processes ---- */
enum { PICO_CLONE_NO_HANDLE = 1 }; /* parent gets 1, no handle is kept */
#define PICO_EXIT_SIGNAL(n) (256 + (n)) /* ProcessExit code: the program died by guest signal n */
#define PICO_EXIT_LIBOS_CRASH 512 /* the library OS itself failed: ends the whole instance */

/* ---- time ---- */
enum {
	PICO_CLOCK_MONOTONIC = 1, /* deadlines are on this one */
	PICO_CLOCK_REALTIME = 0,
	PICO_CLOCK_PROCESS_CPU = 2, /* of the calling picoprocess */
	PICO_CLOCK_THREAD_CPU = 3,
};

/* ---- exceptions and contexts ---- */
enum pico_exception_kind {
	PICO_EXC_SYSCALL = 1, /* the program executed a system-call instruction */
	PICO_EXC_INTERRUPT, /* ThreadInterrupt reached a running program */
	PICO_EXC_MEMORY, /* access fault: address, and access in code */
	PICO_EXC_BUS, /* beyond the end of a mapped file, or no memory */
	PICO_EXC_ARITHMETIC,
	PICO_EXC_ILLEGAL,
	PICO_EXC_TRAP, /* breakpoint or single step */
};
/* General registers. The last five are in the order of an iretq frame, so a
 * library OS can return to a context without any system call. */
struct pico_context {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t reserved;
	uint64_t rip, cs, rflags, rsp, ss;
	uint64_t pad;
};
struct pico_exception {
	uint32_t kind; /* enum pico_exception_kind */
	uint32_t in_libos; /* 1: the library OS's own code did it; context is not the program's */
	uint32_t signal; /* POSIX number of the host's signal, 0 for SYSCALL and INTERRUPT */
	int32_t code; /* si_code */
	uint64_t address; /* faulting address; SYSCALL: address after the instruction */
	uint32_t trap, error; /* x86 trap number and error code */
};

/* The thread block: at the system thread pointer (%gs:0 for a Linux library
 * OS), private to its thread. */
struct pico_thread_block {
	struct pico_thread_block *self; /* 0x00 */
	void *libos; /* 0x08 the library OS's own word */
	void *stack_top; /* 0x10 of the system stack; programs' exceptions enter here */
	uint32_t pending; /* 0x18 set by an interrupt outside program code; cleared by the library OS */
	uint32_t slot; /* 0x1c */
	uint64_t scratch[4]; /* 0x20 for the library OS's entry code */
	struct pico_context context; /* 0x40 the program's registers at the last exception */
	struct pico_exception exception; /* 0xf0 */
	pico_handle thread; /* 0x110 the thread's own handle, for ThreadInterrupt by others; needs no close */
	/* the gate's own members follow */
};
#define PICO_TB_SELF 0x00
#define PICO_TB_LIBOS 0x08
#define PICO_TB_STACK_TOP 0x10
#define PICO_TB_PENDING 0x18
#define PICO_TB_SLOT 0x1c
#define PICO_TB_SCRATCH 0x20
#define PICO_TB_CONTEXT 0x40
#define PICO_TB_EXCEPTION 0xf0
#define PICO_TB_THREAD 0x110

/* ---- upcalls: they have input parameters only and never return ---- */
enum pico_init_reason {
	PICO_INIT_FRESH = 0, /* first picoprocess of a new instance */
	PICO_INIT_PROCESS = 1, /* ProcessCreate(param) */
	PICO_INIT_RESUME = 2, /* memory was restored from a snapshot */
};
struct pico_init_info {
	uint32_t size; /* of this struct */
	uint32_t abi_version;
	uint32_t reason; /* enum pico_init_reason */
	uint32_t cpu_count;
	uint64_t param;
	void *segment; /* shared, zero-filled on FRESH, the same address in every picoprocess */
	uint64_t segment_size; /* bytes of address space; pages are taken when touched */
	pico_handle segment_handle; /* a memory: stream of it, for StreamMap */
	const void *boot; /* struct pico_boot_record list, read-only */
	uint64_t boot_size;
	volatile struct pico_host_info *host; /* written by the host at any time */
	const void *vdso; /* the host kernel's vDSO image, or NULL; for time calls only */
	uint64_t vdso_usable; /* 1: its clocks never enter the kernel */
	uint64_t memory_limit; /* bytes, 0 = none */
	uint64_t phys_memory; /* bytes */
	uint64_t xstate_mask; /* XCR0 */
	uint64_t xstate_size; /* bytes XSAVE of all of them needs */
};
struct pico_host_info {
	uint32_t events; /* PICO_HOST_ bits; the library OS takes them with an atomic exchange */
	uint32_t park; /* not 0: the host asks for a park */
	uint8_t generation[16]; /* fresh UUID at each start, restore and clone */
	uint64_t memory_used; /* bytes, sampled */
	uint64_t snapshot_base; /* where the library OS's part of the snapshot stream begins, page-aligned: see ProcessCheckpoint */
	int64_t clock_offset; /* ns added to the host's monotonic clock by SystemTimeQuery, and to deadlines: the host's affair */
};
enum { /* ProcessCheckpoint */
	PICO_CHECKPOINT_PARKED = 0, /* every other thread of the instance stands still */
	PICO_CHECKPOINT_WRITTEN = 1, /* the library OS's part of the snapshot is complete */
	PICO_CHECKPOINT_FAILED = 2, /* it could not be written */
	PICO_CHECKPOINT_REQUEST = 3, /* the guest wants a snapshot of itself, as the host application has arranged */
};
enum {
	PICO_HOST_INTERRUPT = 1, /* ^C */
	PICO_HOST_TERMINATE = 2,
	PICO_HOST_QUIT = 4,
	PICO_HOST_HANGUP = 8,
	PICO_HOST_WINDOW = 16, /* terminal size changed */
	PICO_HOST_USER1 = 32,
	PICO_HOST_USER2 = 64,
	PICO_HOST_CONTINUE = 128,
	PICO_HOST_STOP = 256,
	PICO_HOST_CPU_LIMIT = 512,
	PICO_HOST_PROCESS_LOST = 1024, /* a picoprocess asked for by ProcessCreate could not be made: its exit code is there */
};
/* Boot block: what the host application asked for, as 8-byte aligned records. */
struct pico_boot_record {
	uint32_t tag; /* enum pico_boot_tag; 0 ends the list */
	uint32_t size; /* bytes of data, without padding */
	/* data */
};
enum pico_boot_tag {
	PICO_BOOT_END = 0,
	PICO_BOOT_PROGRAM = 1, /* path, zero-terminated */
	PICO_BOOT_ARG = 2, /* one a record, in order, zero-terminated */
	PICO_BOOT_ENV = 3, /* "K=V", zero-terminated */
	PICO_BOOT_CWD = 4,
	PICO_BOOT_HOSTNAME = 5,
	PICO_BOOT_MOUNT = 6, /* struct pico_boot_mount */
	PICO_BOOT_IDS = 7, /* uint32_t uid, gid */
	PICO_BOOT_LIMITS = 8, /* struct pico_boot_limits */
	PICO_BOOT_STDIO = 9, /* uint32_t type[3]: enum pico_stream_type of console:stdin/out/err; 0: not there */
	PICO_BOOT_UMASK = 10, /* uint32_t */
	PICO_BOOT_FLAGS = 11, /* uint32_t, PICO_BOOT_FLAG_ */
	PICO_BOOT_HUGE_PAGES = 12, /* uint64_t: the program's anonymous memory in pieces of at least this size may be in huge pages; absent: only where it asks */
};
struct pico_boot_mount { uint32_t flags, type; char guest[]; }; /* guest path; type DIRECTORY or FILE */
enum { PICO_BOOT_MOUNT_READ_ONLY = 1 };
enum { PICO_BOOT_FLAG_NO_PATCH = 1 }; /* programs' text is not to be changed */
struct pico_boot_limits { uint64_t memory, processes, threads, streams, cpu_seconds; };

typedef void (*pico_initialize_fn)(const struct pico_init_info *info);
typedef void (*pico_thread_start_fn)(void *param);
typedef void (*pico_exception_fn)(struct pico_exception *exception, struct pico_context *context);

/* A library OS image is a static ELF64 executable linked to PICO_LIBOS_BASE;
 * this header is the first thing in its first segment. Its segments are mapped
 * as they are, copy-on-write, and no relocation is done. */
#define PICO_LIBOS_MAGIC 0x31736f62696c6970ull /* "pilibos1" */
struct pico_range { const void *start, *end, *restart; };
struct pico_libos_header {
	uint64_t magic;
	uint32_t abi_version;
	uint32_t system_pointer; /* 0: the thread block is at GS, 1: at FS */
	pico_initialize_fn initialize;
	pico_thread_start_fn thread_start;
	pico_exception_fn exception;
	/* Text without side effects: an interrupt that lands in [start,end)
	 * continues at restart, which may assume nothing but the system thread
	 * pointer. Used for the way out to the program. */
	const struct pico_range *ranges;
	uint64_t range_count;
	char name[32];
	char build_id[32];
};

/* ---- downcalls ---- */
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) \
	typedef int64_t(*pico_##name##_fn) proto;
#include "abi.def"
#undef PICO_DOWNCALL

enum pico_downcall {
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) PICO_DC_##name = index,
#include "abi.def"
#undef PICO_DOWNCALL
};

#define PICO_ABI_MAGIC 0x3149424143495049ull
struct pico_abi_page {
	uint64_t magic;
	uint32_t version, count;
	uint64_t reserved[6];
	struct {
#define PICO_DOWNCALL(index, name, klass, nargs, proto, origin, errors, text) pico_##name##_fn name;
#include "abi.def"
#undef PICO_DOWNCALL
	} call;
};
#define PICO_ABI ((const struct pico_abi_page *)PICO_ABI_PAGE)
#define Dk(name) (PICO_ABI->call.name) /* Dk(EventSet)(handle) */

#endif
