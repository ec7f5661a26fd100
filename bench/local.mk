# SPDX-License-Identifier: Apache-2.0
#
# Measurements; no test depends on them. `make bench` prints the tables that
# the README shows.
EXTRA_PROGRAMS = bench/pairs bench/life bench/continuity bench/process_guest
bench_pairs_SOURCES = bench/pairs.c
bench_pairs_LDADD =
bench_life_SOURCES = bench/life.c
bench_continuity_SOURCES = bench/continuity.c
bench_process_guest_SOURCES = bench/process_guest.c
bench_process_guest_LDADD =
EXTRA_DIST += bench/process.sh
CLEANFILES += $(EXTRA_PROGRAMS)

bench: all $(EXTRA_PROGRAMS)
	@bench/life
	@echo
	@bench/pairs
	@echo
	@$(srcdir)/bench/process.sh ./pico bench/process_guest
	@echo
	@PICO_LIBEXECDIR=`pwd` bench/continuity
	@echo
	@set -e; t=`mktemp -d`; trap 'rm -rf $$t' EXIT; n=0; \
	for f in .libs/libpico.so pico-helper libos-linux; do \
		strip -o $$t/f $$f; s=`wc -c <$$t/f`; n=`expr $$n + $$s`; echo "$$f: $$s bytes stripped"; done; \
	echo "together: $$n bytes"
.PHONY: bench
