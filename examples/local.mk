# SPDX-License-Identifier: Apache-2.0
#
# Examples: small host applications, built and run by the tests.
