# SPDX-License-Identifier: Apache-2.0
#
# Documentation that belongs to a release.
