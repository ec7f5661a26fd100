# SPDX-License-Identifier: Apache-2.0
#
# Unit tests of the library, with Criterion.

# Parts of the Linux library OS that run in an ordinary process.
criterion_tests += tests/unit/test_lx_elf tests/unit/test_lx_kmalloc tests/unit/test_lx_mmap tests/unit/test_lx_string tests/unit/test_lx_vma
EXTRA_DIST += tests/unit/lx_host.h

# The helper, seen from a host.
criterion_tests += tests/unit/test_spawn tests/unit/test_seed
EXTRA_DIST += tests/unit/spawn_host.h

criterion_tests += tests/unit/test_api_options tests/unit/test_api_request tests/unit/test_api_life tests/unit/test_api_badinput
EXTRA_DIST += tests/unit/api_host.h

# The stream side of the monitor.
criterion_tests += tests/unit/test_policy tests/unit/test_streams
EXTRA_DIST += tests/unit/streams_fixture.h

# Notifications, without a kernel that makes them.
criterion_tests += tests/unit/test_notified
tests_unit_test_notified_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pico__notify_answer,--wrap=pico__notify_continue \
	-Wl,--wrap=pico__notify_grant,--wrap=pico__notify_valid

# Allocations that fail.
criterion_tests += tests/unit/test_no_memory
tests_unit_test_no_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free

# Standing still, with the guest program tests/guests/park.
criterion_tests += tests/unit/test_park

# Too much of everything, with the guest program tests/guests/limits.
criterion_tests += tests/unit/test_limits

# Snapshots, with the guest program tests/guests/park.
criterion_tests += tests/unit/test_snapshot
