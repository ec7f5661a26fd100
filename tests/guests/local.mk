# SPDX-License-Identifier: Apache-2.0
#
# Small programs that run inside, and the scripts that run them.
