# SPDX-License-Identifier: Apache-2.0
#
# Fuzzers of what takes bytes from a guest.
