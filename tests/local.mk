# SPDX-License-Identifier: Apache-2.0
#
# Tests. `make check` runs all of them, `make check-fast` all but slow_tests;
# both end with the line "N passed, N failed". Logs: tests/log/NAME.log.
#
# To add a unit test:   criterion_tests += tests/unit/NAME   (source NAME.c)
# To add a script:      tap_tests += tests/abi/NAME.sh       (prints TAP)
# A guest program:      check_PROGRAMS += tests/guests/NAME, and its flags
# Scripts find the tree in $srcdir and the built files in $builddir.

EXTRA_DIST += tests/run tests/fresh.sh tests/no-criterion.sh tests/installed.sh tests/tap.sh

include tests/unit/local.mk
include tests/abi/local.mk
include tests/guests/local.mk
include tests/apps/local.mk
include tests/fuzz/local.mk

# The thread checker and Criterion want the same addresses: under it only the
# programs and scripts that print TAP are run.
if TSAN
run_criterion =
else
run_criterion = $(criterion_tests)
endif

if HAVE_CRITERION
check_PROGRAMS += $(run_criterion)
else
tap_tests += tests/no-criterion.sh
endif

EXTRA_DIST += $(filter %.sh %.py,$(tap_tests))

run_tests = srcdir='$(srcdir)' builddir='$(builddir)' CC='$(CC)' CXX='$(CXX)' \
	$(srcdir)/tests/run --log tests/log $(RUNFLAGS)

check-local: all
	@$(run_tests) --criterion $(run_criterion) --tap $(tap_tests)

check-fast: all $(check_PROGRAMS) $(check_SCRIPTS) $(check_DATA)
	@$(run_tests) --criterion $(filter-out $(slow_tests),$(run_criterion)) \
		--tap $(filter-out $(slow_tests),$(tap_tests))

# Not meaningful with DESTDIR: the paths in the programs are those of configure.
installcheck-local:
	@test -n '$(DESTDIR)' || test -n '$(SANITIZE_CFLAGS)' || \
		bindir='$(bindir)' libdir='$(libdir)' mandir='$(mandir)' srcdir='$(srcdir)' CC='$(CC)' \
		$(SHELL) $(srcdir)/tests/installed.sh

clean-local:
	rm -rf tests/log tests/go-cache tests/sources tests/debs

.PHONY: check-fast
