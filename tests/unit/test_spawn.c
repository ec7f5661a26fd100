/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting the helper, in all the surroundings a host may give it, and sharing
 * it between users.
 */
#include "spawn_host.h"

#include <linux/filter.h>

/* ---- starting ---- */

Test(spawn, a_wrong_path_is_named)
{
	struct pico__spawn_error e = { 0 };
	struct pico__helper *h = NULL;
	cr_assert_eq(pico__helper_get("/nowhere/pico-helper", &h, &e), -PICO_EHELPER);
	cr_assert_eq(e.error, PICO_EHELPER);
	cr_assert_eq(e.host_errno, ENOENT);
	cr_assert(strstr(e.where, "/nowhere/pico-helper"), "%s", e.where);
	cr_assert_eq(pico__helper_get("/proc/self/status", &h, &e), -PICO_EHELPER);
	cr_assert_eq(e.host_errno, EACCES);
	cr_assert_eq(waitpid(-1, NULL, __WALL), -1);
	cr_assert_eq(errno, ECHILD);
}

Test(spawn, a_program_that_is_no_helper_is_an_error)
{
	struct pico__spawn_error e = { 0 };
	struct pico__helper *h = NULL;
	struct pico__seed seed;
	struct world w = make_world();
	cr_assert_eq(pico__helper_get("/bin/true", &h, &e), 0);
	cr_assert_eq(order_seed(&w, h, &seed), -PICO_EHELPER);
	cr_assert_eq(order_seed(&w, h, &seed), -PICO_EHELPER);
	cr_assert_eq(pico__helper_features(h), 0);
	struct pico_control m;
	cr_assert_eq(pico__helper_read(h, &m), -PICO_EHELPER);
	cr_assert_eq(pico__helper_read(h, &m), -PICO_EHELPER);
	pico__helper_put(h);
}

static volatile sig_atomic_t child_signals;
static void on_child(int signal)
{
	(void)signal;
	child_signals++;
}

Test(spawn, the_host_has_no_child_and_hears_no_signal)
{
	struct sigaction a = { .sa_handler = on_child }, after;
	sigset_t mask;
	sigaction(SIGCHLD, &a, NULL);
	struct pico__helper *h = get_helper();
	struct pico__seed seed = get_seed(h);
	cr_assert_eq(waitpid(-1, NULL, __WALL), -1);
	cr_assert_eq(errno, ECHILD);
	int session = session_of(seed.pidfd);
	cr_assert_neq(session, getsid(0));
	drop_seed(&seed);
	pico__helper_put(h);
	cr_assert(gone_within_a_second(session));
	cr_assert_eq(child_signals, 0);
	sigaction(SIGCHLD, NULL, &after);
	cr_assert(after.sa_handler == on_child);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	cr_assert(sigisemptyset(&mask));
}

Test(spawn, users_share_one_helper_and_the_last_ends_it)
{
	struct pico__helper *a = get_helper(), *b = get_helper();
	cr_assert_eq(a, b);
	struct pico__seed seed = get_seed(a);
	int session = session_of(seed.pidfd);
	pico__helper_put(a);
	usleep(20000);
	cr_assert_eq(count_session(session, NULL, NULL), 4, "helper, watchdog, zygote, seed");
	if (fork() == 0) { /* holds the sockets longer than we do */
		sleep(3);
		_exit(0);
	}
	pico__helper_put(b);
	cr_assert(gone_within_a_second(session));
}

/* ---- surroundings ---- */

static int without_standard_descriptors(void)
{
	close(0), close(1), close(2);
	return use_once();
}

Test(spawn, standard_descriptors_may_be_closed)
{
	cr_assert_eq(in_child(without_standard_descriptors), 0);
}

static int unlimited_stack(void)
{
	struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
	getrlimit(RLIMIT_STACK, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_STACK, &l);
	return use_once();
}

Test(spawn, the_stack_limit_of_the_host_does_not_matter)
{
	cr_assert_eq(in_child(unlimited_stack), 0);
}

static int ignored_and_blocked_signals(void)
{
	sigset_t all, after;
	for (int i = 1; i < 65; i++)
		signal(i, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	int status = use_once();
	sigprocmask(SIG_BLOCK, NULL, &after);
	return status ? status : sigismember(&after, SIGUSR1) == 1 ? 0 : 9;
}

Test(spawn, signals_of_the_host_do_not_matter)
{
	cr_assert_eq(in_child(ignored_and_blocked_signals), 0);
}

static int as_ordinary_user(void)
{
	if (syscall(SYS_setgroups, 0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
		return 50;
	prctl(PR_SET_DUMPABLE, 1);
	if (access(helper_path(), X_OK))
		return 77;
	return use_once_with(0, PICO_HELPER_DROPPED_ROOT);
}

Test(spawn, an_ordinary_user_may_start_it)
{
	if (geteuid())
		cr_skip("not root: all other tests are this one");
	int status = in_child(as_ordinary_user);
	if (status == 77)
		cr_skip("%s is out of reach for other users", helper_path());
	cr_assert_eq(status, 0);
}

Test(spawn, root_is_dropped)
{
	if (geteuid())
		cr_skip("not root");
	struct pico__helper *h = get_helper();
	struct pico__seed seed = get_seed(h);
	cr_assert(pico__helper_features(h) & PICO_HELPER_DROPPED_ROOT);
	char path[64], line[256];
	int ids = 0, empty = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid_of(seed.pidfd));
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		ids += !strcmp(line, "Uid:\t65534\t65534\t65534\t65534\n") || !strcmp(line, "Gid:\t65534\t65534\t65534\t65534\n");
		empty += !strncmp(line, "Cap", 3) && strstr(line, "\t0000000000000000\n");
		cr_assert(strncmp(line, "Groups:", 7) || !strpbrk(line, "0123456789"), "%s", line);
		cr_assert(strncmp(line, "NoNewPrivs:", 11) || strchr(line, '1'));
		cr_assert(strncmp(line, "SigBlk:", 7) || strstr(line, "0000000000000000"));
	}
	if (f)
		fclose(f);
	cr_assert_eq(ids, 2);
	cr_assert_eq(empty, 5, "five capability sets");
	drop_seed(&seed);
	pico__helper_put(h);
}

static int without_user_namespaces(void)
{
	return leave_user_namespaces(0) ? 77 : use_once_with(0, PICO_HELPER_USERNS | PICO_HELPER_DROPPED_ROOT);
}

Test(spawn, user_namespaces_are_not_needed)
{
	int status = in_child(without_user_namespaces);
	if (status == 77)
		cr_skip("no user namespace to try it in");
	cr_assert_eq(status, 0);
}

static int without_any_namespace(void)
{
	return leave_user_namespaces(4321) ? 77 : use_once_with(0, ~0u); /* not root inside either */
}

Test(spawn, no_namespace_is_needed)
{
	int status = in_child(without_any_namespace);
	if (status == 77)
		cr_skip("no user namespace to try it in");
	cr_assert_eq(status, 0);
}

static void *user_thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		if (use_once())
			return (void *)1;
	return NULL;
}

Test(spawn, threads_may_use_it_together)
{
	pthread_t threads[4];
	void *result;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, user_thread, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		cr_assert_null(result);
	}
}

/* ---- kernels and container managers that have a listener already ---- */

static int under_another_listener(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };
	struct pico__helper *h = get_helper_quietly();
	struct pico__seed seed;
	struct world w = make_world();
	if (h) /* the helper of before is not concerned */
		pico__helper_put(h);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0)
		return 77;
	h = get_helper_quietly();
	if (!h || order_seed(&w, h, &seed) != -PICO_EKERNEL || w.error.host_errno != EBUSY)
		return 1;
	pico__helper_put(h);
	return !strstr(w.error.where, "listener");
}

Test(spawn, another_listener_is_a_clear_error)
{
	int status = in_child(under_another_listener);
	if (status == 77)
		cr_skip("no listener to be had here");
	cr_assert_eq(status, 0);
}
