# SPDX-License-Identifier: Apache-2.0
#
# Tests of the ABI and of the built files.
