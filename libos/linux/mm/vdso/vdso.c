/* SPDX-License-Identifier: Apache-2.0
 *
 * The vDSO of programs: a shared object of its own, built apart and carried by
 * the library OS as bytes. It runs as a part of the program: it reads clocks
 * through the host's vDSO where that needs no kernel, and makes an ordinary
 * system call where not. It must have no data and no relocation.
 */
#include "data.h"

struct timespec { int64_t sec, nsec; };
struct timeval { int64_t sec, usec; };
struct timezone;

typedef int (*clock_fn)(int clock, struct timespec *ts);
typedef int (*timeofday_fn)(struct timeval *tv, struct timezone *tz);
typedef int64_t (*time_fn)(int64_t *t);
typedef int (*cpu_fn)(unsigned *cpu, unsigned *node, void *unused);

#define EXPORT __attribute__((visibility("default"), used))
#define ALIAS(name) __attribute__((visibility("default"), weak, alias(#name)))

/* REALTIME MONOTONIC MONOTONIC_RAW both _COARSE BOOTTIME TAI */
#define CLOCKS (1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 11)
#define FROM_START (1u << 1 | 1u << 4 | 1u << 6 | 1u << 7)
#define NSEC 1000000000

static inline const struct vdso_data *vdso_data(void)
{
	const struct vdso_data *d; /* hidden from the compiler, which would see an object before its start */
	__asm__(".hidden __ehdr_start\n\tlea __ehdr_start - %c1(%%rip), %0" : "=r"(d) : "i"(VDSO_DATA_SIZE));
	return d;
}

static inline long call(long number, const void *a, const void *b, const void *c)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}

static inline int in(unsigned set, int clock) { return (unsigned)clock < 32 && (set >> clock & 1); }

EXPORT int __vdso_clock_gettime(int clock, struct timespec *ts);
int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	const struct vdso_data *d = vdso_data();
	if (!d->clock_gettime || !in(CLOCKS, clock))
		return (int)call(228, (void *)(long)clock, ts, 0);
	/* The library OS has no raw and no coarse clocks; the two ways to read one must agree. */
	int r = ((clock_fn)d->clock_gettime)(clock == 4 || clock == 6 ? 1 : clock == 5 ? 0 : clock, ts);
	if (d->monotonic_offset && !r && in(FROM_START, clock)) {
		int64_t ns = ts->nsec + d->monotonic_offset % NSEC;
		ts->sec += d->monotonic_offset / NSEC + (ns >= NSEC) - (ns < 0);
		ts->nsec = ns >= NSEC ? ns - NSEC : ns < 0 ? ns + NSEC : ns;
	}
	return r;
}

EXPORT int __vdso_clock_getres(int clock, struct timespec *res);
int __vdso_clock_getres(int clock, struct timespec *res)
{
	const struct vdso_data *d = vdso_data();
	if (!d->clock_getres || !in(CLOCKS, clock))
		return (int)call(229, (void *)(long)clock, res, 0);
	return ((clock_fn)d->clock_getres)(clock, res);
}

EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	const struct vdso_data *d = vdso_data();
	if (!d->gettimeofday || tz)
		return (int)call(96, tv, tz, 0);
	return ((timeofday_fn)d->gettimeofday)(tv, tz);
}

EXPORT int64_t __vdso_time(int64_t *t);
int64_t __vdso_time(int64_t *t)
{
	const struct vdso_data *d = vdso_data();
	return d->time ? ((time_fn)d->time)(t) : call(201, t, 0, 0);
}

EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	const struct vdso_data *d = vdso_data();
	if (!d->getcpu)
		return call(309, cpu, node, unused);
	int r = ((cpu_fn)d->getcpu)(cpu, node, unused);
	if (cpu && d->cpu_count)
		*cpu %= d->cpu_count;
	return r;
}

int clock_gettime(int clock, struct timespec *ts) ALIAS(__vdso_clock_gettime);
int clock_getres(int clock, struct timespec *res) ALIAS(__vdso_clock_getres);
int gettimeofday(struct timeval *tv, struct timezone *tz) ALIAS(__vdso_gettimeofday);
int64_t time(int64_t *t) ALIAS(__vdso_time);
long getcpu(unsigned *cpu, unsigned *node, void *unused) ALIAS(__vdso_getcpu);
