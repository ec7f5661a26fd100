# SPDX-License-Identifier: Apache-2.0
#
# Fuzzers of what takes bytes from a guest. `make check` runs them with a seed
# and a count; `make fuzz` builds the same source for libFuzzer, with clang.
check_PROGRAMS += tests/fuzz/monitor
fuzz_sources = tests/fuzz/monitor.c tests/fuzz/life.c tests/fuzz/app.c tests/fuzz/ask.c tests/fuzz/process.c \
	tests/fuzz/script.c tests/fuzz/check.c tests/fuzz/make.c tests/fuzz/kernel.c tests/fuzz/host.c tests/fuzz/world.c
tests_fuzz_monitor_SOURCES = $(fuzz_sources) tests/fuzz/fuzz.h tests/fuzz/life.h tests/fuzz/source.h
# Calls of the monitor that end in the fuzzer instead.
fuzz_wrap = -Wl,--wrap=pico__notify_answer,--wrap=pico__notify_continue,--wrap=pico__notify_grant \
	-Wl,--wrap=pico__notify_valid,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup \
	-Wl,--wrap=open,--wrap=chmod,--wrap=faccessat,--wrap=linkat,--wrap=syscall
tests_fuzz_monitor_LDFLAGS = $(AM_LDFLAGS) $(fuzz_wrap)
tests_fuzz_monitor_LDADD = libpico-internal.la
tap_tests += tests/fuzz/monitor
slow_tests += tests/fuzz/monitor

FUZZ_CC = clang
fuzz_flags = -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

fuzz: fuzz-monitor
fuzz-monitor: $(fuzz_sources) $(libpico_internal_la_SOURCES)
	@echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' >fuzz-probe.c; \
	if $(FUZZ_CC) $(fuzz_flags) fuzz-probe.c -o fuzz-probe >/dev/null 2>&1; then rm -f fuzz-probe fuzz-probe.c; \
	else rm -f fuzz-probe fuzz-probe.c; echo 'make fuzz: $(FUZZ_CC) cannot build for libFuzzer (FUZZ_CC=... names another)' >&2; exit 1; fi
	$(FUZZ_CC) -g -O1 $(DEFS) $(AM_CPPFLAGS) -DFUZZ_LIBFUZZER -std=gnu11 $(fuzz_flags) -pthread $(fuzz_wrap) \
		$(filter %.c,$^) -o $@
	@echo 'run it with: mkdir -p corpus && ./fuzz-monitor -max_len=8192 corpus (root: chmod 777 . corpus)'

CLEANFILES += fuzz-monitor
.PHONY: fuzz
