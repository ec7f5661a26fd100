/* SPDX-License-Identifier: Apache-2.0
 *
 * For musl, without and with its dynamic linker: threads and their storage,
 * stdio, signals, timers, cancellation, memory, libraries. Prints the same lines
 * wherever it runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHECK(c) do { if (!(c)) { printf("%s: %s (%s)\n", __func__, #c, strerror(errno)); exit(1); } } while (0)

static __thread int own = 5;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static atomic_int shared, got, cleaned;
static sem_t ready;
static int turn;

static void *counts(void *arg)
{
	intptr_t me = (intptr_t)arg;
	for (int i = 0; i < 10000; i++) {
		own++;
		atomic_fetch_add(&shared, 1);
	}
	pthread_barrier_wait(&barrier);
	pthread_mutex_lock(&lock);
	while (turn != me)
		pthread_cond_wait(&cond, &lock);
	turn++;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
	return (void *)(intptr_t)own;
}
static void on_cancel(void *unused) { (void)unused; cleaned++; }
static void *waits(void *unused)
{
	(void)unused;
	pthread_cleanup_push(on_cancel, NULL);
	sem_post(&ready);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}
static void *nothing(void *arg) { return arg; }
static void threads(void)
{
	pthread_t t[8];
	pthread_attr_t attr;
	void *r;
	intptr_t sum = 0;
	pthread_barrier_init(&barrier, NULL, 8);
	sem_init(&ready, 0, 0);
	for (intptr_t i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, counts, (void *)i) == 0);
	for (int i = 0; i < 8; i++) {
		CHECK(pthread_join(t[i], &r) == 0);
		sum += (intptr_t)r;
	}
	for (int i = 0; i < 20; i++) {
		CHECK(pthread_create(&t[0], NULL, waits, NULL) == 0 && sem_wait(&ready) == 0);
		CHECK(pthread_cancel(t[0]) == 0 && pthread_join(t[0], &r) == 0 && r == PTHREAD_CANCELED);
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 200; i++)
		while (pthread_create(&t[0], &attr, nothing, NULL) != 0)
			usleep(1000);
	printf("threads %d %d %ld %d %d\n", (int)shared, own, (long)sum, turn, (int)cleaned);
}

static void stdio_files(void)
{
	char text[64], name[] = "musl.XXXXXX";
	struct stat st;
	long sum = 0;
	int fd = mkstemp(name);
	FILE *f = fdopen(fd, "w+");
	for (int i = 0; i < 5000; i++)
		fprintf(f, "%d:%x:%s\n", i, i, i % 2 ? "odd" : "even");
	CHECK(fflush(f) == 0 && fstat(fd, &st) == 0);
	rewind(f);
	while (fgets(text, sizeof(text), f))
		sum += atoi(text);
	fclose(f);
	CHECK(unlink(name) == 0 && access(name, F_OK) == -1);
	f = fopen("/no/such/file", "r");
	printf("stdio %ld %ld %s\n", sum, (long)st.st_size, f ? "?" : strerror(errno));
	printf("float %a %.17g %Lg %s\n", 1.0 / 3, 2.0 / 3, 1.0L / 7, strtod("1e400", NULL) > 1e300 ? "inf" : "?");
}

static sigjmp_buf back;
static void on_signal(int signo) { got += signo; }
static void on_fault(int signo) { siglongjmp(back, signo); }
static void signals(void)
{
	static char stack[65536];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	struct itimerspec soon = { { 0, 1000000 }, { 0, 1000000 } };
	struct timespec limit = { 5, 0 };
	sigset_t set;
	timer_t timer;
	volatile int faults = 0;
	siginfo_t info;

	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	for (volatile int i = 0; i < 50; i++)
		if (sigsetjmp(back, 1) == 0)
			*(volatile int *)(uintptr_t)24 = i;
		else
			faults++;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(timer_create(CLOCK_MONOTONIC, &e, &timer) == 0 && timer_settime(timer, 0, &soon, NULL) == 0);
	int which = sigtimedwait(&set, &info, &limit);
	timer_delete(timer);
	printf("signals %d %d %d %d\n", (int)got, (int)faults, which == SIGUSR2, info.si_code == SI_TIMER);
}

static void memory(void)
{
	char *p[200];
	size_t sum = 0;
	for (int i = 0; i < 200; i++)
		memset(p[i] = malloc((size_t)i * 997 + 1), i, (size_t)i * 997 + 1);
	for (int i = 0; i < 200; i++)
		p[i] = realloc(p[i], (size_t)i * 2000 + 1);
	for (int i = 0; i < 200; i++) {
		sum += (unsigned char)p[i][i * 997];
		free(p[i]);
	}
	char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	m[12345] = 1;
	m = mremap(m, 1 << 20, 4 << 20, MREMAP_MAYMOVE);
	CHECK(m != MAP_FAILED && m[12345] == 1 && munmap(m, 4 << 20) == 0);
	CHECK(malloc(SIZE_MAX / 2) == NULL);
	printf("memory %zu\n", sum);
}

static void descriptors(void)
{
	int p[2], s[2], e = eventfd(3, 0);
	uint64_t value = 4;
	char text[16] = "";
	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && e >= 0);
	CHECK(write(e, &value, 8) == 8 && read(e, &value, 8) == 8);
	CHECK(write(p[1], "pipe", 4) == 4 && write(s[0], "socket", 6) == 6);
	struct pollfd f[] = { { p[0], POLLIN, 0 }, { s[1], POLLIN, 0 }, { e, POLLIN, 0 } };
	int n = poll(f, 3, 1000);
	ssize_t a = read(p[0], text, 15), b = read(s[1], text, 15);
	printf("descriptors %d %zd %zd %s %d\n", n, a, b, text, (int)value);
}

int main(int argc, char **argv)
{
	sigset_t set; /* blocked in all threads: some that are detached may live on when it comes */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	threads();
	stdio_files();
	signals();
	memory();
	descriptors();
	if (argc > 1) {
		void *m = dlopen(argv[1], RTLD_NOW);
		printf("library %s\n", m ? "loaded" : dlerror());
		int (*plus)(int) = m ? (int (*)(int))(uintptr_t)dlsym(m, "plus") : NULL;
		printf("library %d %d\n", plus ? plus(3) : 0, plus ? plus(4) : 0);
		printf("library %s\n", dlsym(m, "minus") ? "?" : "no such symbol");
	}
	struct timespec t = { 0, 20000000 };
	CHECK(nanosleep(&t, NULL) == 0);
	return 9;
}
