/* SPDX-License-Identifier: Apache-2.0
 *
 * The ground of the Linux library OS: types, lists, errors, printing.
 *
 * Where things live: every object of this kernel that more than one picoprocess
 * may need is allocated in the shared segment (kmalloc, page_alloc), which has
 * the same address in each of them; pointers to it are good everywhere. The
 * image's own .data and .bss are private to a picoprocess (copied by fork):
 * nothing but per-picoprocess caches may be there, marked __percpu_process.
 */
#ifndef LX_BASE_H
#define LX_BASE_H

#include <pico/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <asm/errno.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef u64 uaddr; /* an address of the program: only uaccess.h takes it apart */

/* Errors inside are negative errno of Linux. These never reach a program: */
#define ERESTARTSYS 512 /* restart when SA_RESTART, or no handler runs */
#define ERESTARTNOINTR 513 /* always restart */
#define ERESTARTNOHAND 514 /* restart when no handler runs */
#define ERESTART_RESTARTBLOCK 516 /* continue by task->restart when no handler runs */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define MIN(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define ALIGN_UP(x, a) (((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define PAGE_SIZE 4096ul
#define PAGE_SHIFT 12
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define __percpu_process /* marks a variable private to one picoprocess */
#define __used __attribute__((used))
#define __printf(a, b) __attribute__((format(printf, a, b)))

/* Pointers that may be an error, as the kernel has them. */
static inline void *ERR_PTR(long e) { return (void *)e; }
static inline long PTR_ERR(const void *p) { return (long)p; }
static inline bool IS_ERR(const void *p) { return (unsigned long)p >= (unsigned long)-4095; }

struct list { struct list *next, *prev; };
#define LIST_INIT(l) { &(l), &(l) }
static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_add(struct list *head, struct list *n) { n->next = head->next; n->prev = head; head->next->prev = n; head->next = n; }
static inline void list_add_tail(struct list *head, struct list *n) { n->prev = head->prev; n->next = head; head->prev->next = n; head->prev = n; }
static inline void list_del(struct list *n) { n->prev->next = n->next; n->next->prev = n->prev; n->next = n->prev = n; }
#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, tmp, head) for (struct list *pos = (head)->next, *tmp = pos->next; pos != (head); pos = tmp, tmp = pos->next)

void *memcpy(void *d, const void *s, size_t n);
void *memmove(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
#ifndef LX_STRING_C /* the compiler may expand these in place, freestanding or not */
#define memcpy(d, s, n) __builtin_memcpy(d, s, n)
#define memmove(d, s, n) __builtin_memmove(d, s, n)
#define memset(d, c, n) __builtin_memset(d, c, n)
#define memcmp(a, b, n) __builtin_memcmp(a, b, n)
#define strlen(s) __builtin_strlen(s)
#endif
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4); /* %s %.*s %c %d %i %u %x %X %o %p %% with l ll z h, width, 0, -, + ; returns the length it would have */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

#define KERNEL_RELEASE "6.1.0-pico" /* uname, /proc */
#define KERNEL_VERSION "#1 SMP PREEMPT_DYNAMIC pico 0.1"
void printk(const char *fmt, ...) __printf(1, 2); /* one line to the host's log (DebugStringPrint) */
void boot_error(int exit_code, const char *fmt, ...) __printf(2, 3) __attribute__((noreturn)); /* "error: ..." to the host, then ProcessExit(exit_code) */
void panic(const char *fmt, ...) __printf(1, 2) __attribute__((noreturn)); /* the instance dies: a bug of the library OS */
#define BUG_ON(c) do { if (unlikely(c)) panic("%s:%d: %s", __FILE__, __LINE__, #c); } while (0)

static inline u64 hash_bytes(const void *p, size_t n) /* FNV-1a */
{
	const u8 *b = p;
	u64 h = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001b3ull;
	return h;
}

#endif
