# SPDX-License-Identifier: Apache-2.0
#
# Tests of the ABI and of the built files.
tap_tests += tests/abi/table.sh tests/abi/headers.sh tests/abi/exports.sh \
	tests/abi/elf.sh tests/abi/source.sh
EXTRA_DIST += tests/abi/signatures-v1.txt tests/abi/errors-v1.txt

# Every test of the bare library OS, and the hostile guest; golden images of
# released versions of the ABI run the same.
check_PROGRAMS += tests/abi/bare tests/abi/boundary tests/abi/listener
tests_abi_bare_SOURCES = tests/abi/bare.c tests/abi/bare_run.h
tests_abi_boundary_SOURCES = tests/abi/boundary.c tests/abi/bare_run.h
tests_abi_listener_SOURCES = tests/abi/listener.c
tap_tests += tests/abi/bare tests/abi/old-kernel.sh tests/abi/bell.sh tests/abi/golden.sh tests/abi/boundary \
	tests/abi/boundary-bell.sh
slow_tests += tests/abi/boundary tests/abi/boundary-bell.sh
EXTRA_DIST += $(wildcard $(srcdir)/tests/abi/golden/*)
