# SPDX-License-Identifier: Apache-2.0
#
# Real programs, run inside.
