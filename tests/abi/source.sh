#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rules of the source tree that a machine can check: licence lines, which
# part may include which, sizes of files.
. "${srcdir:-.}/tests/tap.sh"
cd "$srcdir" || exit 1

sources=$(find include lib libos tools examples tests bench \
	\( -name '*.[chS]' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name '*.mk' -o -name '*.ld' \) \
	-type f | sort)
# shellcheck disable=SC2086
empty 'every source file has its licence line near the top' \
	"$(for f in $sources; do head -n 3 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f"; done)"
empty 'a library OS includes no header of lib/' \
	"$(grep -rnE '#include.*("|/)(\.\./lib|lib|monitor|gate|helper|api)/' libos || true)"
empty 'a library OS includes of pico the ABI only' \
	"$(grep -rnE '#include <pico/' libos | grep -vE '<pico/(abi|errors)\.h>' || true)"
empty 'lib/ knows no library OS' "$(grep -rnE '#include.*libos/' lib || true)"
empty 'the monitor does not include the public calls' "$(grep -rnE '#include.*"(\.\./)?api/' lib/monitor || true)"
empty 'nothing of pico ends its host: no exit, no abort' \
	"$(grep -rnE '(^|[^_a-z.>])(exit|abort|_exit) *\(' lib/api lib/monitor --include='*.c' || true)"
# A longer one says why near its top: "Longer than 800 lines: ...". Tests are
# lists of cases and may be twice as long.
# shellcheck disable=SC2086
empty 'no source file is longer than 800 lines without a reason' \
	"$(wc -l $sources | awk '$2 != "total" && $1 > ($2 ~ /^tests/ ? 1600 : 800) { print $2, $1 }' |
		while read -r f lines; do
			head -n 20 "$f" | grep -q 'Longer than 800 lines:' || echo "$f: $lines"
		done)"
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$tap_tmp/readme"
sed -n '/^#include/,$p' examples/hello.c >"$tap_tmp/hello"
check 'the example in the README is examples/hello.c' diff -u "$tap_tmp/hello" "$tap_tmp/readme"
if command -v man >/dev/null; then
	empty 'the manual page is well-formed' "$(MANWIDTH=80 man --warnings -l docs/pico.1 2>&1 >/dev/null)"
else
	skip 'the manual page is well-formed' 'no man'
fi
tap_end
