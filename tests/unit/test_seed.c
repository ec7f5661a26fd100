/* SPDX-License-Identifier: Apache-2.0
 *
 * Seeds as their host sees them: orders, refusals, exits, and what is left when
 * one of the processes concerned is killed. No guest code is ever run.
 */
#include "spawn_host.h"

/* ---- seeds ---- */

static int descriptors(int pid)
{
	char path[64];
	int count = -3; /* itself and two names */
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *table = opendir(path);
	if (!table)
		return 0; /* another user's: not dumpable */
	while (readdir(table))
		count++;
	closedir(table);
	return pid == getpid() ? count : count + 1;
}

Test(seed, the_first_notification_comes_through_the_listener)
{
	struct pico__helper *h = get_helper();
	struct pico__seed seed = get_seed(h);
	struct seccomp_notif n = { 0 };
	struct seccomp_notif_resp r = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	cr_assert_eq(ioctl(seed.listener, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
	cr_assert_eq(n.data.nr, SYS_close_range);
	cr_assert_eq(n.data.instruction_pointer, PICO_RIP_PLAIN);
	r.id = n.id;
	cr_assert_eq(ioctl(seed.listener, SECCOMP_IOCTL_NOTIF_SEND, &r), 0);
	n = (struct seccomp_notif){ 0 };
	cr_assert_eq(ioctl(seed.listener, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
	cr_assert_eq(n.data.nr, PICO_NR_SEED_WAIT);
	cr_assert(fcntl(seed.listener, F_GETFD) & FD_CLOEXEC);
	cr_assert(fcntl(seed.pidfd, F_GETFD) & FD_CLOEXEC);
	/* Its table is empty and its memory holds nothing of the helper's. */
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%d/maps", pid_of(seed.pidfd));
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		uint64_t start = strtoull(line, NULL, 16);
		cr_assert(start < PICO_HELPER_BASE || start >= PICO_LIBOS_BASE, "%s", line);
		cr_assert(start >= PICO_GUEST_END, "%s", line);
		cr_assert(!strstr(line, "[stack]") && !strstr(line, "rwx"), "%s", line);
	}
	if (f)
		fclose(f);
	cr_assert_eq(descriptors(pid_of(seed.pidfd)), 0);
	drop_seed(&seed);
	pico__helper_put(h);
}

static void ack_all(struct pico__helper *h, int count)
{
	struct pico_control m;
	while (count) {
		int status = pico__helper_read(h, &m);
		cr_assert(status >= 0);
		if (!status)
			continue;
		cr_assert_eq(m.kind, PICO_CONTROL_EXITED);
		pico__helper_ack(h, m.pid);
		count--;
	}
}

Test(seed, a_hundred_seeds_leave_no_descriptor)
{
	struct pico__helper *h = get_helper();
	struct world w = make_world();
	struct pico__seed seed = get_seed(h);
	int zygote = 0, session = session_of(seed.pidfd);
	count_session(session, "pico-zygote", &zygote);
	cr_assert(zygote > 0);
	int before = descriptors(getpid());
	double start = now(), worst = 0;
	for (int i = 0; i < 100; i++) {
		struct pico__seed s;
		double t = now();
		cr_assert_eq(order_seed(&w, h, &s), 0, "%s", w.error.where);
		if (now() - t > worst)
			worst = now() - t;
		syscall(SYS_pidfd_send_signal, s.pidfd, SIGKILL, NULL, 0);
		drop_seed(&s);
	}
	fprintf(stderr, "seed: %.0f us, worst %.0f us\n", (now() - start) * 1e4, worst * 1e6);
	ack_all(h, 100);
	cr_assert_eq(descriptors(getpid()), before);
	/* It answers first and closes then: its socket and two pidfds stay. */
	for (double end = now() + 1; descriptors(zygote) > 3 && now() < end;)
		;
	cr_assert(descriptors(zygote) <= 3, "%d", descriptors(zygote));
	cr_assert_eq(count_session(session, NULL, NULL), 4);
	drop_seed(&seed);
	pico__helper_put(h);
}

Test(seed, wrong_orders_are_refused_and_harm_nothing)
{
	struct pico__helper *h = get_helper();
	struct pico__seed seed;
	struct world w = make_world(), bad;
	bad = w;
	bad.mailbox = memory_file(4096);
	cr_assert(order_seed(&bad, h, &seed) < 0);
	cr_assert_eq(bad.error.host_errno, EINVAL);
	cr_assert(strstr(bad.error.where, "mailbox"));
	bad = w;
	bad.order.segment_size = SEGMENT_SIZE * 2;
	cr_assert(order_seed(&bad, h, &seed) < 0);
	cr_assert(strstr(bad.error.where, "segment"));
	bad = w;
	bad.order.boot_size = 4097;
	cr_assert(order_seed(&bad, h, &seed) < 0);
	cr_assert(strstr(bad.error.where, "boot"));
	bad = w;
	bad.libos = -1;
	cr_assert_eq(order_seed(&bad, h, &seed), -PICO_EBADF);
	bad = w;
	bad.order.limits.data_bytes = 4096;
	cr_assert_eq(order_seed(&bad, h, &seed), -PICO_ENOMEM, "%s %d", bad.error.where, bad.error.host_errno);
	cr_assert_eq(order_seed(&w, h, &seed), 0);
	drop_seed(&seed);
	pico__helper_put(h);
}

static void spoil(struct image *i, int how)
{
	switch (how) {
	case 0: i->elf.e_ident[0] = 'E'; break;
	case 1: i->elf.e_machine = EM_386; break;
	case 2: i->elf.e_type = ET_DYN; break;
	case 3: i->elf.e_phnum = 0; break;
	case 4: i->elf.e_phnum = 1000; break;
	case 5: i->elf.e_phoff = ~0ull; break;
	case 6: i->part[0].p_flags |= PF_W | PF_X; break;
	case 7: i->part[0].p_vaddr = PICO_HELPER_BASE; break;
	case 8: i->part[1].p_vaddr = PICO_LIBOS_END - 0x800; break;
	case 9: i->part[1].p_filesz = i->part[1].p_memsz = ~0ull; break;
	case 10: i->part[1].p_offset = 0x3001; break;
	case 11: i->part[1].p_offset = 0x10000; break;
	case 12: i->part[0].p_filesz = 0x10; break; /* bss in a read-only part */
	case 13: i->header.magic++; break;
	case 14: i->header.abi_version++; break;
	case 15: i->header.initialize = (pico_initialize_fn)PICO_LIBOS_BASE; break;
	case 16: i->header.exception = NULL; break;
	case 17: i->header.range_count = 1; break;
	case 18: i->header.range_count = ~0ull; break;
	case 19: i->part[2].p_type = PT_INTERP; break;
	case 20: i->header.system_pointer = 2; break;
	default: i->elf.e_phentsize = 1; break;
	}
}

Test(seed, damaged_images_are_refused)
{
	struct pico__helper *h = get_helper();
	struct pico__seed seed;
	struct world w = make_world();
	for (int how = 0; how < 22; how++) {
		struct image image = good_image();
		struct world bad = w;
		spoil(&image, how);
		bad.libos = image_file(&image);
		cr_assert_eq(order_seed(&bad, h, &seed), -PICO_ELIBOS, "%d: %s %d", how, bad.error.where,
			     bad.error.host_errno);
		close(bad.libos);
	}
	struct image image = good_image();
	image.part[2].p_vaddr = PICO_LIBOS_BASE; /* on top of another */
	w.libos = image_file(&image);
	cr_assert(order_seed(&w, h, &seed) < 0);
	cr_assert_eq(w.error.host_errno, EEXIST);
	ack_all(h, 23);
	pico__helper_put(h);
}

/* ---- exits ---- */

Test(seed, every_exit_is_told_once_and_the_pid_kept_until_then)
{
	enum { COUNT = 20 };
	struct pico__helper *h = get_helper();
	struct pico__seed seeds[COUNT];
	struct pico_control m;
	int pids[COUNT], told[COUNT] = { 0 }, total = 0;
	for (int i = 0; i < COUNT; i++) {
		seeds[i] = get_seed(h);
		pids[i] = pid_of(seeds[i].pidfd);
	}
	for (int i = 0; i < COUNT; i++)
		syscall(SYS_pidfd_send_signal, seeds[i].pidfd, SIGKILL, NULL, 0);
	for (double end = now() + 2; total < COUNT && now() < end;) {
		struct pollfd p = { .fd = pico__helper_fd(h), .events = POLLIN };
		poll(&p, 1, 100);
		int status = pico__helper_read(h, &m);
		cr_assert(status >= 0);
		if (!status)
			continue;
		cr_assert_eq(m.kind, PICO_CONTROL_EXITED);
		cr_assert_eq(m.value, SIGKILL);
		struct process z;
		cr_assert_eq(read_process(m.pid, &z), 0);
		cr_assert_eq(z.state, 'Z');
		for (int i = 0; i < COUNT; i++)
			told[i] += pids[i] == m.pid;
		pico__helper_ack(h, 1); /* not ours to reap */
		pico__helper_ack(h, m.pid);
		pico__helper_ack(h, m.pid);
		total++;
	}
	cr_assert_eq(total, COUNT);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(told[i], 1);
	usleep(20000);
	cr_assert_eq(pico__helper_read(h, &m), 0);
	for (int i = 0; i < COUNT; i++) {
		struct process z;
		cr_assert(read_process(pids[i], &z), "reaped");
		drop_seed(&seeds[i]);
	}
	pico__helper_put(h);
}

/* ---- deaths ---- */

static void die_by(const char *name)
{
	struct pico__helper *h = get_helper(), *again;
	struct pico__seed seed = get_seed(h), other = get_seed(h);
	struct pico_control m;
	struct world w = make_world();
	int found = 0, session = session_of(seed.pidfd), status = 0;
	for (double end = now() + 1; !found && now() < end;) /* they name themselves when they run */
		count_session(session, name, &found);
	cr_assert(found > 0, "%s runs", name);
	kill(found, SIGKILL);
	cr_assert(gone_within_a_second(session), "after the death of %s", name);
	for (double end = now() + 1; status >= 0 && now() < end;)
		status = pico__helper_read(h, &m);
	cr_assert_eq(status, -PICO_EHELPER);
	cr_assert_eq(order_seed(&w, h, &seed), -PICO_EHELPER);
	again = get_helper();
	cr_assert_neq(again, h, "a new one");
	seed = get_seed(again);
	drop_seed(&seed);
	drop_seed(&other);
	pico__helper_put(h);
	pico__helper_put(again);
}

Test(seed, nothing_survives_the_helper)
{
	die_by("pico-helper");
}

Test(seed, nothing_survives_the_watchdog)
{
	die_by("pico-watchdog");
}

Test(seed, nothing_survives_the_zygote)
{
	die_by("pico-zygote");
}

/* There the kernel does not help: it is the group, and three who watch. */
static int deaths_without_namespaces(void)
{
	if (leave_user_namespaces(4321))
		return 77;
	die_by("pico-helper");
	die_by("pico-watchdog");
	die_by("pico-zygote");
	struct pico__helper *h = get_helper();
	struct pico__seed seed = get_seed(h);
	int session = session_of(seed.pidfd), watchdog = 0;
	for (double end = now() + 1; !watchdog && now() < end;)
		count_session(session, "pico-watchdog", &watchdog);
	kill(watchdog, SIGKILL);
	kill(session, SIGKILL); /* the helper, before it can do anything */
	return !gone_within_a_second(session);
}

Test(seed, nothing_survives_without_namespaces)
{
	int status = in_child(deaths_without_namespaces);
	if (status == 77)
		cr_skip("no user namespace to try it in");
	cr_assert_eq(status, 0);
}

static int report[2];
static int host_that_is_killed(void)
{
	struct pico__helper *h = get_helper();
	struct pico__seed seed = get_seed(h), other = get_seed(h);
	int session = session_of(seed.pidfd);
	(void)other;
	if (fork() == 0) { /* holds every descriptor of the host */
		sleep(3);
		_exit(0);
	}
	cr_assert(write(report[1], &session, sizeof session) == sizeof session);
	kill(getpid(), SIGKILL);
	return 0;
}

Test(seed, nothing_survives_the_host)
{
	int session = 0;
	cr_assert_eq(pipe(report), 0);
	cr_assert_eq(in_child(host_that_is_killed), 1000 + SIGKILL);
	cr_assert(read(report[0], &session, sizeof session) == sizeof session);
	cr_assert(gone_within_a_second(session));
}

static struct pico__helper *inherited;
static int forked_host(void)
{
	struct world w = make_world();
	struct pico__seed seed;
	struct pico_control m;
	if (order_seed(&w, inherited, &seed) != -PICO_EHELPER || pico__helper_read(inherited, &m) != -PICO_EHELPER)
		return 20;
	pico__helper_ack(inherited, 1);
	int status = use_once();
	pico__helper_put(inherited);
	return status;
}

Test(seed, a_forked_host_has_its_own)
{
	inherited = get_helper();
	struct pico__seed seed = get_seed(inherited);
	int session = session_of(seed.pidfd);
	cr_assert_eq(in_child(forked_host), 0);
	cr_assert_eq(count_session(session, NULL, NULL), 4);
	struct pico__seed other = get_seed(inherited);
	drop_seed(&seed);
	drop_seed(&other);
	pico__helper_put(inherited);
	cr_assert(gone_within_a_second(session));
}
