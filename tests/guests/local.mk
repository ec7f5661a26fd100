# SPDX-License-Identifier: Apache-2.0
#
# Small programs that run inside, and the script that runs them. Each is one
# source that includes nothing of pico, prints "ok" and ends with 0; it must do
# so on the host itself too. To add one: its name in guest_tests.
# Each is built twice, without and with the dynamic linker (NAME.dyn); those of
# the C library also without it but for any address (NAME.pie). guest_cxx are in
# C++.
guest_tests = fork_ways fs_attr fs_copy fs_data fs_dir fs_fd fs_lock fs_map fs_mount fs_names fs_notify fs_open fs_shared fs_threads \
	ipc_event ipc_files ipc_pipe ipc_poll ipc_pty ipc_unix \
	lib_c lib_jumps lib_threads lib_timers \
	mm_advise mm_exec mm_map mm_stack mm_threads \
	proc_files proc_futex proc_ids proc_signals proc_storm proc_threads proc_time proc_tree
guest_tests += fs_loop job_control
guest_tests += mq_queues sysv_msg sysv_sem sysv_shm
guest_tests += fs_async fs_core fs_corners fs_numbers fs_steps proc_corners
guest_tests += fast_calls stress_tree
guest_tests += fs_flags mm_seal proc_filter
guest_cxx = cxx_throw

guest_static = $(guest_tests:%=tests/guests/%) tests/guests/ends tests/guests/hostile tests/guests/limits \
	tests/guests/park tests/guests/random-files tests/guests/random-ipc tests/guests/random-names
guest_dynamic = $(guest_tests:%=tests/guests/%.dyn)
guest_pie = $(patsubst %,tests/guests/%.pie,$(filter lib_%,$(guest_tests)))
guest_cxx_static = $(guest_cxx:%=tests/guests/%)
guest_cxx_dynamic = $(guest_cxx:%=tests/guests/%.dyn)
guest_all = $(guest_static) $(guest_dynamic) $(guest_pie) $(guest_cxx_static) $(guest_cxx_dynamic)
guest_cflags = -std=gnu11 $(WARN_CFLAGS) -O1 -g -pthread
guest_cxxflags = -std=c++20 -Wall -Wextra -Werror -O1 -g -pthread -fnon-call-exceptions

$(guest_static): tests/guests/%: tests/guests/%.c tests/guests/check.h
	@$(MKDIR_P) tests/guests
	$(AM_V_CC)$(CC) $(guest_cflags) -static -o $@ $<

$(guest_dynamic): tests/guests/%.dyn: tests/guests/%.c tests/guests/check.h
	@$(MKDIR_P) tests/guests
	$(AM_V_CC)$(CC) $(guest_cflags) -DGUEST_DYNAMIC -o $@ $<

$(guest_pie): tests/guests/%.pie: tests/guests/%.c tests/guests/check.h
	@$(MKDIR_P) tests/guests
	$(AM_V_CC)$(CC) $(guest_cflags) -fPIE -static-pie -o $@ $<

$(guest_cxx_static): tests/guests/%: tests/guests/%.cc
	@$(MKDIR_P) tests/guests
	$(AM_V_GEN)$(CXX) $(guest_cxxflags) -static -o $@ $<

$(guest_cxx_dynamic): tests/guests/%.dyn: tests/guests/%.cc
	@$(MKDIR_P) tests/guests
	$(AM_V_GEN)$(CXX) $(guest_cxxflags) -o $@ $<

check_DATA += $(guest_all)
CLEANFILES += $(guest_all)
EXTRA_DIST += $(guest_tests:%=tests/guests/%.c) $(guest_cxx:%=tests/guests/%.cc) tests/guests/check.h tests/guests/fs.h tests/guests/ends.c tests/guests/hostile.c tests/guests/limits.c tests/guests/park.c tests/guests/random-files.c \
	tests/guests/random.h tests/guests/random-ipc.c tests/guests/random-names.c
tap_tests += tests/guests/run.sh tests/guests/ends.sh tests/guests/hostile.sh tests/guests/host.sh tests/guests/compare-files.sh \
	tests/guests/compare.sh
