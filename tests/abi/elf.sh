#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks on the built freestanding programs: what the design says of their
# segments, relocations, system-call instructions and registers.
. "${srcdir:-.}/tests/tap.sh"

# constant NAME: value of a macro of wire.h as 16 hexadecimal digits
constant()
{
	printf '#include <stdio.h>\n#include "abi/wire.h"\nint main(void) { printf("%%llx", (unsigned long long)(%s)); }\n' \
		"$1" >"$tap_tmp/c.c"
	${CC:-cc} -I"$srcdir/include" -I"$srcdir/lib" -o "$tap_tmp/c" "$tap_tmp/c.c" && "$tap_tmp/c"
}

# syscalls PROGRAM: addresses of instructions that enter the host kernel
syscalls()
{
	objdump -d --no-show-raw-insn "$1" |
		awk '$2 ~ /^(syscall|sysenter)$/ || ($2 == "int" && $3 == "$0x80") { sub(/:$/, "", $1); print $1 }'
}

for program in pico-helper libos-linux libos-bare; do
	file=$builddir/$program
	if [ ! -e "$file" ]; then
		tap_fail "$program was built"
		continue
	fi
	readelf -lW "$file" >"$tap_tmp/headers"
	empty "$program: no segment is writable and executable" \
		"$(awk '$1 == "LOAD" && / RWE / ' "$tap_tmp/headers")"
	is "$program: the stack is not executable" \
		"$(awk '$1 == "GNU_STACK" { print ($7 == "RWE") }' "$tap_tmp/headers" | grep -c 1)" 0
	empty "$program: no interpreter, nothing dynamic, no TLS" \
		"$(grep -E '^ *(INTERP|DYNAMIC|TLS) ' "$tap_tmp/headers")"
	is "$program: it is an executable for a fixed address" \
		"$(readelf -hW "$file" | sed -n 's/^ *Type: *\([A-Z]*\).*/\1/p')" EXEC
	empty "$program: no relocations" "$(readelf -rW "$file" | grep -v '^$' | grep -v 'no relocations')"
	empty "$program: no undefined symbols" "$(nm -u "$file" 2>/dev/null)"
	empty "$program: no vector or x87 register is touched" \
		"$(objdump -d --no-show-raw-insn "$file" | grep -E '%[xyz]mm|%mm[0-7]|%st' | head -n 5)"
done

for program in libos-linux libos-bare; do
	[ -e "$builddir/$program" ] || continue
	empty "$program: no system-call instruction" "$(syscalls "$builddir/$program")"
	readelf -lW "$builddir/$program" | awk '$1 == "LOAD" && $6 !~ /^0x0+$/ { print $3, $6 }' >"$tap_tmp/load"
	base=$(constant PICO_LIBOS_BASE) end=$(constant PICO_LIBOS_END)
	outside=$(while read -r start size; do
		[ $((start)) -ge $((0x$base)) ] && [ $((start + size)) -le $((0x$end)) ] || echo "$start $size"
	done <"$tap_tmp/load")
	empty "$program: all segments lie in the library OS's range" "$outside"
	is "$program: the first segment starts at PICO_LIBOS_BASE" \
		"$(head -n 1 "$tap_tmp/load" | cut -d ' ' -f 1 | sed 's/^0x0*//')" "$base"
	magic=$(constant PICO_LIBOS_MAGIC)
	offset=$(readelf -lW "$builddir/$program" | awk '$1 == "LOAD" { print $2; exit }')
	is "$program: and with the header's magic" \
		"$(od -An -tx8 -j $((offset)) -N 8 "$builddir/$program" | tr -d ' ')" "$magic"
done

gate=$(constant PICO_ABI_PAGE) after=$(constant PICO_HELPER_BASE)
wanted=$(for rip in PICO_RIP_PLAIN PICO_RIP_WAIT PICO_RIP_SIGRETURN; do
	printf '%x\n' $((0x$(constant $rip) - 2))
done)
found=$(syscalls "$builddir/pico-helper" | while read -r address; do
	[ $((0x$address)) -ge $((0x$gate)) ] && [ $((0x$address)) -lt $((0x$after)) ] && echo "$address"
done | sort)
is 'the gate has exactly its three system-call instructions' "$found" "$(echo "$wanted" | sort)"
# A seed unmaps the helper around the gate, so the gate must not need it.
helper_page=$(constant PICO_HELPER_BASE | cut -c 1-5)
empty 'the gate refers to nothing of the helper' "$(objdump -d --no-show-raw-insn \
	--start-address=0x"$gate" --stop-address=0x"$after" "$builddir/pico-helper" |
	grep -E "[^0-9a-f]$helper_page[0-9a-f]{7}([^0-9a-f]|\$)" | head -n 5)"
tap_end
