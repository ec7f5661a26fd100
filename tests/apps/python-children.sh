#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The modules of Python's own regression suite that start processes, or of which
# some tests need what is not there: see python.sh and python-modules.txt.
exec "${srcdir:-.}/tests/apps/python.sh" children,partly
