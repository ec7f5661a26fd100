# SPDX-License-Identifier: Apache-2.0
#
# Unit tests of the library, with Criterion.

# Parts of the Linux library OS that run in an ordinary process.
criterion_tests += tests/unit/test_lx_kmalloc tests/unit/test_lx_string tests/unit/test_lx_vma
EXTRA_DIST += tests/unit/lx_host.h
