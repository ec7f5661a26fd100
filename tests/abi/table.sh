#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The ABI table against what was promised: 45 downcalls, 3 upcalls, signatures
# that never change, a reference page that is up to date.
. "${srcdir:-.}/tests/tap.sh"
table=$srcdir/include/pico/abi.def
generate="${AWK:-awk} -f $srcdir/lib/abi/gen-abi-doc"

is 'there are 45 downcalls' "$(grep -c '^PICO_DOWNCALL(' "$table")" 45
is 'their numbers are 0 to 44, in order' \
	"$(sed -n 's/^PICO_DOWNCALL(\([0-9]*\),.*/\1/p' "$table" | tr '\n' ' ')" \
	"$(seq 0 44 | tr '\n' ' ')"
is 'no name is used twice' \
	"$(sed -n 's/^PICO_DOWNCALL([0-9]*, \([A-Za-z]*\),.*/\1/p' "$table" | sort | uniq -d)" ''
is 'abi.h says 45' "$(sed -n 's/^#define PICO_DOWNCALL_COUNT //p' "$srcdir/include/pico/abi.h")" 45
is 'abi.h says 3 upcalls' "$(sed -n 's/^#define PICO_UPCALL_COUNT //p' "$srcdir/include/pico/abi.h")" 3
is 'a library OS header has 3 entry points' \
	"$(sed -n '/^struct pico_libos_header/,/^};/p' "$srcdir/include/pico/abi.h" |
		grep -cE '^	pico_(initialize|thread_start|exception)_fn ')" 3

$generate -v signatures=1 "$table" >"$tap_tmp/now"
check 'signatures are those frozen for version 1' \
	diff -u "$srcdir/tests/abi/signatures-v1.txt" "$tap_tmp/now"

errors=$(sed -n 's/^	X(\([A-Z0-9]*\), .*/\1/p' "$srcdir/include/pico/errors.h")
unknown=$(sed -n 's/^  "\([A-Z0-9 ]*\)",$/\1/p' "$table" | tr ' ' '\n' | sort -u | while read -r name; do
	[ -z "$name" ] || echo "$errors" | grep -qx "$name" || echo "$name"
done)
empty 'every error named in the table is in errors.h' "$unknown"

# The error numbers never change either.
check 'error numbers are those frozen for version 1' sh -c '
	sed -n "s/^	X(\([A-Z0-9]*\), \([0-9]*\),.*/\1 \2/p" "$1" | diff -u "$2" - | grep "^-[^-]" && exit 1; exit 0' \
	- "$srcdir/include/pico/errors.h" "$srcdir/tests/abi/errors-v1.txt"

# Offsets in the ABI page and in structs that both sides share, by the compiler.
cat >"$tap_tmp/layout.c" <<'END'
#include <pico/abi.h>
_Static_assert(sizeof(struct pico_abi_page) == 64 + 45 * 8, "ABI page");
_Static_assert(offsetof(struct pico_abi_page, call) == 64, "first call");
_Static_assert(offsetof(struct pico_abi_page, call.DebugStringPrint) == 64 + 44 * 8, "last call");
_Static_assert(sizeof(struct pico_context) == 22 * 8, "context");
_Static_assert(offsetof(struct pico_context, rip) == 16 * 8, "iretq frame");
_Static_assert(offsetof(struct pico_thread_block, context) == PICO_TB_CONTEXT, "context");
_Static_assert(offsetof(struct pico_thread_block, exception) == PICO_TB_EXCEPTION, "exception");
_Static_assert(offsetof(struct pico_thread_block, libos) == PICO_TB_LIBOS, "libos");
_Static_assert(offsetof(struct pico_thread_block, stack_top) == PICO_TB_STACK_TOP, "stack");
_Static_assert(offsetof(struct pico_thread_block, pending) == PICO_TB_PENDING, "pending");
_Static_assert(offsetof(struct pico_thread_block, slot) == PICO_TB_SLOT, "slot");
_Static_assert(offsetof(struct pico_thread_block, scratch) == PICO_TB_SCRATCH, "scratch");
_Static_assert(sizeof(struct pico_peer) == 256, "peer");
_Static_assert(offsetof(struct pico_dirent, name) == 24, "dirent");
_Static_assert(sizeof(struct pico_boot_record) == 8, "boot record");
_Static_assert(sizeof(struct pico_libos_header) == 8 + 8 + 5 * 8 + 64, "libos header");
END
check 'layouts are those of version 1' \
	${CC:-cc} -std=gnu11 -I"$srcdir/include" -fsyntax-only "$tap_tmp/layout.c"

$generate "$table" >"$tap_tmp/abi.md"
check 'docs/abi.md is up to date (make update-generated)' diff -u "$srcdir/docs/abi.md" "$tap_tmp/abi.md"
tap_end
