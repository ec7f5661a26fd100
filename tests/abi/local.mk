# SPDX-License-Identifier: Apache-2.0
#
# Tests of the ABI and of the built files.
tap_tests += tests/abi/table.sh tests/abi/headers.sh tests/abi/exports.sh \
	tests/abi/elf.sh tests/abi/source.sh
EXTRA_DIST += tests/abi/signatures-v1.txt tests/abi/errors-v1.txt
