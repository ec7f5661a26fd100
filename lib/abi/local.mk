# SPDX-License-Identifier: Apache-2.0
#
# The ABI table and what is made from it.

# Maintainer's: remake what is generated and stands in the tree. A test compares.
EXTRA_DIST += lib/abi/gen-abi-doc docs/abi.md
update-generated:
	$(srcdir)/lib/abi/gen-abi-doc $(srcdir)/include/pico/abi.def > $(srcdir)/docs/abi.md.new
	mv $(srcdir)/docs/abi.md.new $(srcdir)/docs/abi.md
.PHONY: update-generated
