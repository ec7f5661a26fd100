#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Those tests of Python's own regression suite that are about processes and what
# is between them: multiprocessing, concurrent.futures, asyncio, unix sockets.
# See python.sh and python-modules.txt.
exec "${srcdir:-.}/tests/apps/python.sh" some
