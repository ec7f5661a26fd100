#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Work on 200 MB: what comes out is as on the host to the last byte.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

fixture()
{
	seq 1 30000000 | head -c 200000000 >big
	: >stdin
}

compare_reset
for digest in sha256 md5 blake2b512; do
	compare "openssl $digest" ro openssl dgst "-$digest" big
done
compare 'openssl enc' ro openssl enc -aes-256-ctr -K 00 -iv 00 -in big
compare 'xz with two threads' ro xz -0 -T2 -c big
compare 'gzip' ro gzip -1 -n -c big
compare 'dd in odd pieces' ro dd if=big bs=77777 skip=3 iflag=fullblock status=none
tap_end
