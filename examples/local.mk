# SPDX-License-Identifier: Apache-2.0
#
# Examples: small host applications, built and run by the tests. They link with
# the shared library, so they prove that what is exported is enough.
check_PROGRAMS += examples/hello examples/capture examples/loop
examples_hello_SOURCES = examples/hello.c
examples_hello_LDADD = libpico.la
examples_capture_SOURCES = examples/capture.c examples/guest.h
examples_capture_LDADD = libpico.la
examples_loop_SOURCES = examples/loop.c examples/guest.h
examples_loop_LDADD = libpico.la
tap_tests += examples/check.sh
