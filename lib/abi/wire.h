/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gate, the helper and the monitor agree on: places, private request
 * numbers, the mailbox, the spawn messages. Not part of the ABI: all three are
 * built together and may change together. A library OS never sees this file.
 *
 * Everything in the mailbox is written by the guest: the monitor copies each
 * value once, checks it, and uses the copy.
 */
#ifndef PICO_WIRE_H
#define PICO_WIRE_H

#include <pico/abi.h>

/* ---- places in a picoprocess (all inside the system range) ---- */
#define PICO_GATE_TEXT (PICO_ABI_PAGE + 0x1000) /* the gate's segments start here */
#define PICO_HELPER_BASE 0x00007e0040000000ull /* the helper program's own segments: unmapped in a seed; near the gate, so that one can call the other */
#define PICO_MAILBOX_BASE 0x00007e0400000000ull
#define PICO_BOOT_BASE 0x00007e0500000000ull /* boot block, mapped read-only */
#define PICO_VDSO_BASE 0x00007e0600000000ull /* the host's vDSO, where the kernel put it below 0x7ef000000000 */
#define PICO_SYSTEM_END 0x00007ffffffff000ull

/* The three system-call instructions of the gate: the value of rip *after*
 * each, which the filter compares. lib/gate/entry.S places them here. */
#define PICO_RIP_PLAIN (PICO_GATE_TEXT + 0x10)
#define PICO_RIP_WAIT (PICO_GATE_TEXT + 0x40)
#define PICO_RIP_SIGRETURN (PICO_GATE_TEXT + 0x50)

#define PICO_MADV_GUARD_INSTALL 102 /* Linux 6.13, newer than many headers */
#define PICO_MADV_GUARD_REMOVE 103
#define PICO_INTERRUPT_SIGNAL 23 /* SIGURG: ignored by default, so harmless before a handler is there */

/* ---- handles: type in bits 56..62 ---- */
#define PICO_HT_SHIFT 56
enum pico_handle_type {
	PICO_HT_STREAM = 0, /* payload: descriptor number, the same in every picoprocess of the instance */
	PICO_HT_MONITOR = 1, /* stream without descriptor (dir: app:); payload: monitor's id */
	PICO_HT_OBJECT = 2, /* event or semaphore; payload: index | generation << 24 */
	PICO_HT_STREAM_EVENT = 3, /* payload: descriptor | kind << 48 */
	PICO_HT_THREAD = 4, /* payload: slot | generation << 24 */
	PICO_HT_PROCESS = 5, /* payload: descriptor of an eventfd that becomes readable at exit */
};
#define PICO_HANDLE(type, payload) ((pico_handle)(((uint64_t)(type) << PICO_HT_SHIFT) | (uint64_t)(payload)))
#define PICO_HANDLE_TYPE(h) ((unsigned)((uint64_t)(h) >> PICO_HT_SHIFT))
#define PICO_HANDLE_PAYLOAD(h) ((uint64_t)(h) & ((1ull << PICO_HT_SHIFT) - 1))
#define PICO_FIRST_FD 16 /* numbers below are never granted */

/* ---- instances without notifications ----
 * The kernel gives a task tree one listener; where somebody above us has it, a
 * request is a message on a socket, the bell, whose answer comes in the slot,
 * and descriptors are put in place by the keeper, a process of the instance that
 * runs no guest byte and shares its descriptor table. That table then has, in
 * every picoprocess, out of the reach of its filter but for writing to the bell: */
enum { PICO_BELL_FD = 3, PICO_KEEPER_FD, PICO_KEEPER_HOST_FD, PICO_KEEPER_HELPER_FD, PICO_BELL_FD_END };
struct pico_bell { /* gate -> monitor; the kernel adds whose it is */
	uint32_t slot, seq;
	uint64_t nr; /* a request's number, or clone's: may I? */
	uint64_t arg[6]; /* 0 only of a clone; a request's is made of slot and seq */
};
struct pico_grant { int32_t number; }; /* monitor -> keeper, SCM_RIGHTS: the descriptor */
struct pico_granted { int32_t error; }; /* keeper -> monitor: 0 or a negative errno; one more at its start */

/* ---- private system-call numbers: all of them become notifications ----
 * Downcalls of class MONITOR use PICO_NR(PICO_DC_...). Register 0 is always
 * PICO_REQUEST_WORD(slot, seq); registers 1..5 are listed with each request. */
#define PICO_NR_BASE 0x1000
#define PICO_NR(downcall) (PICO_NR_BASE + (downcall))
#define PICO_NR_PRIVATE (PICO_NR_BASE + 64)
enum pico_private_request {
	PICO_NR_SEED_WAIT = PICO_NR_PRIVATE, /* (result of the last order's clone, 0 at first) -> PICO_ORDER_* ; the seed asks what to do */
	PICO_NR_HELLO, /* (kind: 0 process 1 thread, cookie, own thread id if there are no notifications) a new picoprocess's or thread's first request; -> enum pico_init_reason for a picoprocess made by the seed (struct pico_hello_answer in DATA), else 0; an error: exit */
	PICO_NR_WAKE_FD, /* () -> descriptor of an eventfd for this slot (granted once a slot) */
	PICO_NR_STREAM_READ, /* (handle, offset, size) monitor streams: data in slot; -> bytes */
	PICO_NR_STREAM_WRITE, /* (handle, offset, size) */
	PICO_NR_CRASHED, /* (signal, rip, address) the library OS failed; ends the instance; never answered but by death */
	PICO_NR_PRIVATE_END
};
struct pico_hello_answer { uint64_t param; int64_t segment; /* handle of the segment: granted before the answer */ uint64_t memory_limit; };
#define PICO_REQUEST_WORD(slot, seq) ((uint64_t)(slot) | ((uint64_t)(seq) << 32))
#define PICO_ORDER_PROCESS 1 /* SEED_WAIT: clone a picoprocess; bits 8..23 slot, bits 24..55 cookie for HELLO */

/* clone through the filter: exactly these two flag words, always notified or asked for.
 * Registers of a thread clone: flags, stack, ptid, ctid, tls=0, r9 = PICO_CLONE_TAG(slot, cookie).
 * Of a process clone: flags, 0, 0, 0, 0, r9 = tag of the child's first thread. */
#define PICO_CLONE_THREAD_FLAGS 0x00350f00ull /* VM FS FILES SIGHAND THREAD SYSVSEM PARENT_SETTID CHILD_CLEARTID */
#define PICO_CLONE_PROCESS_FLAGS 0x00008411ull /* SIGCHLD PARENT FILES */
#define PICO_CLONE_TAG(slot, cookie) ((uint64_t)(slot) | ((uint64_t)(cookie) << 32))

/* ---- mailbox: one sealed memfd an instance, mapped at PICO_MAILBOX_BASE in
 * each picoprocess and anywhere in the host ---- */
#define PICO_SLOT_SIZE 0x4000u
#define PICO_SLOT_COUNT PICO_THREADS_MAX
#define PICO_OBJECT_COUNT 65536u
#define PICO_WAIT_NODE_COUNT 64u /* event objects one thread may wait for at once */

struct pico_mailbox_header { /* page 0: written by zygote, gate and monitor */
	uint32_t listener; /* seed -> zygote: descriptor number + 1, or a negative errno; futex */
	uint32_t seed_error_where; /* enum pico_seed_step of the failure */
	uint32_t walled; /* seed -> monitor: RLIMIT_NPROC holds for this instance alone; read before there is a guest */
	uint32_t slots_lock; /* gate's */
	uint32_t objects_lock;
	uint32_t object_free, object_high;
	uint32_t slot_high; /* slots below were used once */
	struct pico_host_info host; /* written by the monitor */
	uint32_t slot_used[PICO_SLOT_COUNT / 32]; /* bit set: taken. Monitor clears a dead picoprocess's */
};
struct pico_object { /* gate's: events and semaphores */
	uint32_t lock, type, references, generation;
	uint32_t count, maximum;
	uint32_t first_waiter, last_waiter; /* node index + 1 */
};
struct pico_wait_node { uint32_t object, next, prev, slot; };
/* Offsets in a slot's data. Strings go to DATA; a second string to DATA2. */
#define PICO_SLOT_DATA 64u /* from the slot's start */
#define PICO_SLOT_DATA2 (PICO_SLOT_DATA + PICO_URI_MAX) /* 4416 */
#define PICO_SLOT_ATTR (PICO_SLOT_DATA2 + PICO_URI_MAX) /* 8768: struct pico_stream_attributes, in or out */
#define PICO_SLOT_BULK 0x2400u /* 9216: read and write data, directory records, random bits */
#define PICO_SLOT_BULK_SIZE (PICO_SLOT_SIZE - PICO_SLOT_BULK) /* 7168 */
struct pico_slot {
	uint32_t seq; /* number of the last request the gate made from this slot */
	uint32_t wait_word; /* futex: object waits */
	uint32_t wake_fd; /* 0: none; set for mixed waits */
	uint32_t wait_mode; /* 0 not waiting, 1 futex, 2 wake_fd */
	uint32_t signalled; /* node index + 1 that satisfied the wait */
	uint32_t generation; /* of the thread handle */
	uint32_t answered; /* futex: seq of the last request answered, where there are no notifications */
	uint32_t exit_note; /* PICO_EXIT_NOTE, before exit_group of a clone that nobody has a handle of */
	int64_t answer;
	uint8_t pad[24];
	uint8_t data[PICO_SLOT_SIZE - 64];
};
#define PICO_EXIT_NOTE 0x80000000u /* and the code, 0..255: it stands for the request */
#define PICO_MAILBOX_OBJECTS 0x10000ull
#define PICO_MAILBOX_NODES (PICO_MAILBOX_OBJECTS + PICO_OBJECT_COUNT * sizeof(struct pico_object))
#define PICO_MAILBOX_REFS 0xb00000ull /* uint32_t reference counts of descriptor handles: the gate's; the monitor hears of the last close only */
#define PICO_NUMBER_MAX (1u << 20) /* descriptor numbers are below */
#define PICO_MAILBOX_SLOTS 0x1000000ull
#define PICO_MAILBOX_SIZE (PICO_MAILBOX_SLOTS + (uint64_t)PICO_SLOT_COUNT * PICO_SLOT_SIZE)

/* ---- monitor requests: what the registers 1..5 and the slot carry ----
 * ThreadCreate and ProcessClone are not requests: the clone itself is notified.
 * ThreadInterrupt        r1 thread handle
 * StreamOpen             r1 uri size, r2 access, r3 flags, r4 mode, r5 want attributes; uri in DATA; -> handle; attributes in ATTR
 * StreamSetLength        r1 handle, r2 length, r3 mode, r4 offset
 * StreamFlush            r1 handle, r2 flags
 * StreamDelete           r1 uri size, r2 flags; uri in DATA
 * StreamRename           r1 uri size, r2 new uri size, r3 flags; DATA, DATA2
 * StreamWaitForClient    r1 handle -> handle, or -EAGAIN: the gate waits for readable and asks again
 * StreamGetName          r1 handle -> size, uri in DATA
 * StreamAttributesQuery  r1 uri size, r2 flags, uri in DATA -> link size; link text in DATA2, attributes in ATTR
 * StreamAttributesQueryByHandle r1 handle; attributes in ATTR
 * StreamAttributesSet    r1 handle, r2 uri size; uri in DATA, attributes in ATTR
 * StreamEnumerateChildren r1 handle, r2 cookie, r3 size -> bytes in BULK
 * ProcessCreate          r1 param -> handle (eventfd already granted)
 * ProcessClone           r1 flags -> handle; asked before the clone unless NO_HANDLE; the handle's cookie travels in the clone's tag
 * ProcessExit            r1 code; recorded, -> 0; the gate then calls exit_group. Not asked where an exit note does
 * ProcessGetExitCode     r1 handle
 * ProcessCheckpoint      r1 flags
 * RandomBitsRead         r1 size <= PICO_SLOT_BULK_SIZE; bytes in BULK
 * DebugStringPrint       r1 size; text in DATA
 * ObjectClose            r1 handle: HT_STREAM and HT_PROCESS when the gate dropped the last reference and closed the
 *                        descriptor: the entry is freed whatever its history; HT_MONITOR: one reference less
 * ObjectReference        r1 handle: HT_MONITOR only (references of descriptor handles are counted by the gate)
 */

/* ---- spawn socket: host <-> zygote, SOCK_SEQPACKET ---- */
#define PICO_SPAWN_VERSION 1u
struct pico_seed_limits { uint64_t data_bytes /* RLIMIT_DATA, 0 none */, nofile; };
struct pico_spawn_order { /* host -> zygote; SCM_RIGHTS: mailbox, segment, boot, libos; with PICO_SPAWN_BELL bell and keeper's socket */
	uint32_t version, id;
	struct pico_seed_limits limits;
	uint64_t segment_size, boot_size;
	char name[16]; /* for prctl(PR_SET_NAME) */
	uint32_t flags; /* PICO_SPAWN_ */
	uint32_t tasks; /* with PICO_SPAWN_BELL: threads in all, seed and keeper among them */
};
enum {
	PICO_SPAWN_INTERRUPTIBLE = 1, /* do without WAIT_KILLABLE_RECV: for tests of what older kernels do */
	PICO_SPAWN_BELL = 2, /* do without notifications */
};
struct pico_spawn_answer { /* zygote -> host; SCM_RIGHTS when error is 0: pidfd of the seed, then the listener if there is one */
	uint32_t id;
	int32_t error; /* negative errno */
	uint32_t where; /* enum pico_seed_step */
	int32_t pid; /* in the zygote's pid namespace: for messages only */
	uint32_t killable_recv; /* 1: WAIT_KILLABLE_RECV is on */
};
enum pico_seed_step {
	PICO_SEED_OK = 0, PICO_SEED_MESSAGE, PICO_SEED_CLONE, PICO_SEED_RLIMIT, PICO_SEED_PRCTL,
	PICO_SEED_SIGACTION, PICO_SEED_MAP_MAILBOX, PICO_SEED_MAP_SEGMENT, PICO_SEED_MAP_BOOT,
	PICO_SEED_LIBOS_HEADER, PICO_SEED_MAP_LIBOS, PICO_SEED_MAP_STACK, PICO_SEED_FILTER, PICO_SEED_SEND,
	PICO_SEED_DIED, PICO_SEED_DESCRIPTORS, PICO_SEED_KEEPER
};

/* ---- control socket: host <-> helper, SOCK_SEQPACKET ---- */
enum pico_control_kind {
	PICO_CONTROL_READY = 1, /* helper -> host: features, value = errno of the first namespace refused */
	PICO_CONTROL_EXITED, /* helper -> host: pid (host's namespace), value = wait status; not reaped before ACK */
	PICO_CONTROL_ACK, /* host -> helper: pid may be reaped */
	PICO_CONTROL_FAILED, /* helper -> host: value = errno, text says what failed; helper ends */
};
struct pico_control { uint32_t kind; int32_t pid; int64_t value; uint32_t features; uint32_t pad; char text[64]; };
enum { /* features of a started helper */
	PICO_HELPER_USERNS = 1, PICO_HELPER_MNTNS = 2, PICO_HELPER_NETNS = 4, PICO_HELPER_IPCNS = 8,
	PICO_HELPER_UTSNS = 16, PICO_HELPER_PIDNS = 32, PICO_HELPER_EMPTY_ROOT = 64, PICO_HELPER_DROPPED_ROOT = 128,
};

/* ---- what the zygote leaves for the gate before it jumps to it ---- */
struct pico_gate_params {
	uint64_t segment_size, boot_size;
	uint64_t vdso; /* AT_SYSINFO_EHDR */
	uint64_t xstate_size, xstate_mask, minsigstksz;
	uint64_t phys_memory;
	uint32_t cpu_count, vdso_usable;
	uint32_t bell, pad; /* bell: there are no notifications */
	const struct pico_libos_header *libos;
	int32_t mailbox_fd, segment_fd, boot_fd, libos_fd;
	uint64_t unmap[8][2]; /* start, size: the helper's text, data, stack: the gate unmaps them on its own stack */
};

#endif
