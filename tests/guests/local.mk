# SPDX-License-Identifier: Apache-2.0
#
# Small programs that run inside, and the script that runs them. Each is one
# source that includes nothing of pico, prints "ok" and ends with 0; it must do
# so on the host itself too. To add one: its name in guest_tests.
# Each is built twice, without and with the dynamic linker (NAME.dyn).
guest_tests = fs_attr fs_copy fs_data fs_dir fs_fd fs_lock fs_map fs_mount fs_names fs_open fs_threads \
	ipc_event ipc_files ipc_pipe ipc_poll ipc_unix \
	mm_advise mm_exec mm_map mm_stack mm_threads \
	proc_files proc_futex proc_ids proc_signals proc_storm proc_threads proc_time

guest_static = $(guest_tests:%=tests/guests/%) tests/guests/ends tests/guests/hostile
guest_dynamic = $(guest_tests:%=tests/guests/%.dyn)
guest_cflags = -std=gnu11 $(WARN_CFLAGS) -O1 -g -pthread

$(guest_static): tests/guests/%: tests/guests/%.c tests/guests/check.h
	@$(MKDIR_P) tests/guests
	$(AM_V_CC)$(CC) $(guest_cflags) -static -o $@ $<

$(guest_dynamic): tests/guests/%.dyn: tests/guests/%.c tests/guests/check.h
	@$(MKDIR_P) tests/guests
	$(AM_V_CC)$(CC) $(guest_cflags) -o $@ $<

check_DATA += $(guest_static) $(guest_dynamic)
CLEANFILES += $(guest_static) $(guest_dynamic)
EXTRA_DIST += $(guest_tests:%=tests/guests/%.c) tests/guests/check.h tests/guests/fs.h tests/guests/ends.c tests/guests/hostile.c
tap_tests += tests/guests/run.sh tests/guests/ends.sh tests/guests/hostile.sh tests/guests/host.sh
