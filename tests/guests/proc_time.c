/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks, sleeping, interval timers, POSIX timers, CPU time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t count;
static volatile int overrun, value;

static void note(int signo) { (void)signo; count++; }

static void note_timer(int signo, siginfo_t *info, void *uc)
{
	(void)signo;
	(void)uc;
	CHECK(info->si_code == SI_TIMER);
	count++;
	overrun += info->si_overrun;
	value = info->si_value.sival_int;
}

static int64_t now(clockid_t c)
{
	struct timespec ts;
	CHECK(clock_gettime(c, &ts) == 0);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void burn(int64_t ns)
{
	const int64_t end = now(CLOCK_THREAD_CPUTIME_ID) + ns;
	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 10000; i++)
			;
}

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI };
	struct timespec ts;
	struct timeval tv;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		int64_t a = now(ids[i]), b = now(ids[i]);
		CHECK(b >= a && b - a < 1000000000);
		CHECK(clock_getres(ids[i], &ts) == 0 && ts.tv_sec == 0 && ts.tv_nsec > 0);
	}
	FAILS(clock_gettime(77, &ts), EINVAL);
	FAILS(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)16), EFAULT);
	ts = (struct timespec){ 0, 2000000000 };
	FAILS(clock_settime(CLOCK_REALTIME, &ts), EINVAL);
	FAILS(clock_settime(CLOCK_MONOTONIC, &ts), EINVAL);
	CHECK(gettimeofday(&tv, NULL) == 0);
	CHECK(tv.tv_sec - time(NULL) <= 1 && tv.tv_sec > 1600000000);
	int64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	burn(20000000);
	CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - cpu >= 19000000);
	struct tms t;
	CHECK(times(&t) != -1);
	struct rusage r;
	CHECK(getrusage(RUSAGE_SELF, &r) == 0 && r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec >= 19000);
}

static void *burner(void *arg)
{
	volatile int *go = arg;
	burn(20000000);
	*go = 1;
	while (*go)
		usleep(1000);
	return NULL;
}

static void other_thread_clock(void)
{
	volatile int go = 0;
	pthread_t t;
	clockid_t c;

	CHECK(pthread_create(&t, NULL, burner, (void *)&go) == 0);
	CHECK(pthread_getcpuclockid(t, &c) == 0);
	while (!go)
		usleep(1000);
	int64_t n = now(c);
	CHECK(n >= 20000000 && n < 500000000);
	go = 0;
	pthread_join(t, NULL);
}

static void sleeping(void)
{
	struct timespec ts = { 0, 20000000 }, bad = { 0, 1000000000 };
	int64_t t = now(CLOCK_MONOTONIC);

	CHECK(nanosleep(&ts, NULL) == 0);
	int64_t d = now(CLOCK_MONOTONIC) - t;
	CHECK(d >= 20000000 && d < 500000000);
	FAILS(nanosleep(&bad, NULL), EINVAL);
	bad.tv_nsec = -1;
	FAILS(nanosleep(&bad, NULL), EINVAL);
	t = now(CLOCK_REALTIME) + 20000000;
	ts = (struct timespec){ t / 1000000000, t % 1000000000 };
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == 0 && now(CLOCK_REALTIME) >= t);
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == 0); /* past */
	CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL) == EINVAL);
}

static void intervals(void)
{
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } }, old;
	struct itimerval bad = { { 0, 0 }, { 0, 1000000 } };

	signal(SIGALRM, note);
	signal(SIGPROF, note);
	signal(SIGVTALRM, note);
	count = 0;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (count < 5)
		pause();
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 10000);
	CHECK(setitimer(ITIMER_REAL, &off, &old) == 0 && old.it_interval.tv_usec == 10000);
	FAILS(setitimer(ITIMER_REAL, &bad, NULL), EINVAL);
	FAILS(setitimer(3, &it, NULL), EINVAL);
	CHECK(alarm(100) == 0);
	unsigned left = alarm(0);
	CHECK(left == 100 || left == 99);
	CHECK(alarm(0) == 0);
	static const int which[] = { ITIMER_VIRTUAL, ITIMER_PROF };
	for (int i = 0; i < 2; i++) {
		count = 0;
		CHECK(setitimer(which[i], &it, NULL) == 0);
		for (int n = 0; n < 100 && count < 3; n++)
			burn(10000000);
		CHECK(count >= 3);
		CHECK(setitimer(which[i], &off, NULL) == 0);
	}
}

static void timers(void)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77 };
	struct itimerspec its = { { 0, 1000000 }, { 0, 1000000 } }, off = { { 0, 0 }, { 0, 0 } }, got;
	struct sigaction sa = { .sa_sigaction = note_timer, .sa_flags = SA_SIGINFO };
	sigset_t s;
	timer_t t;

	sigaction(SIGUSR1, &sa, NULL);
	CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
	CHECK(timer_gettime(t, &got) == 0 && got.it_value.tv_nsec == 0 && got.it_value.tv_sec == 0);
	count = 0;
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	while (count < 5)
		pause();
	CHECK(value == 77);
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	usleep(50000);
	overrun = 0;
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	CHECK(overrun >= 20);
	CHECK(timer_settime(t, 0, &off, &got) == 0 && got.it_interval.tv_nsec == 1000000);
	CHECK(timer_delete(t) == 0);
	FAILS(syscall(SYS_timer_delete, 12345), EINVAL);
	FAILS(timer_create(77, &e, &t), EINVAL);
	e.sigev_signo = 99;
	FAILS(timer_create(CLOCK_MONOTONIC, &e, &t), EINVAL);
	/* on CPU time */
	e.sigev_signo = SIGUSR1;
	its = (struct itimerspec){ { 0, 0 }, { 0, 30000000 } };
	CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t) == 0);
	count = 0;
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	for (int n = 0; n < 100 && !count; n++)
		burn(10000000);
	CHECK(count == 1);
	CHECK(timer_delete(t) == 0);
}

static void fired(union sigval v) { __atomic_fetch_add((int *)v.sival_ptr, 1, __ATOMIC_SEQ_CST); }

static void thread_timer(void)
{
	int n = 0;
	struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = &n };
	struct itimerspec its = { { 0, 5000000 }, { 0, 5000000 } };
	timer_t t;

	e.sigev_notify_function = fired;
	CHECK(timer_create(CLOCK_REALTIME, &e, &t) == 0);
	CHECK(timer_settime(t, 0, &its, NULL) == 0);
	while (__atomic_load_n(&n, __ATOMIC_SEQ_CST) < 5)
		usleep(1000);
	CHECK(timer_delete(t) == 0);
	usleep(20000);
}

int main(void)
{
	clocks();
	other_thread_clock();
	sleeping();
	intervals();
	timers();
	thread_timer();
	OK();
}
