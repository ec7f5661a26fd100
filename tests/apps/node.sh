#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# node: worker threads, shared memory, streams, compression, ciphers, timers.
# Its addresses are random and its threads many, so it is run three times.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

if ! command -v node >/dev/null; then
	skip 'node' 'nodejs is not installed'
	tap_end
fi

fixture()
{
	cp "$srcdir/tests/apps/src/node.js" program.js
	: >stdin
	printf "console.log('module', import.meta.url.endsWith('m.mjs'), await Promise.resolve(1));\n" >m.mjs
	printf 'const a = 1;\nthrow new Error("uncaught " + a);\n' >throws.js
}

# Where in node's own source, and which version.
normal()
{
	sed -e '/^ *at /d' -e '/^Node.js v/d'
}

compare_reset
for i in 1 2 3; do
	compare "what a program uses, $i" own node program.js "$work"
done
compare 'a module' ro node m.mjs
compare 'an error nobody catches' ro node throws.js
compare 'no code generated' ro node --jitless -e 'let s = 0; for (let i = 0; i < 3e5; i++) s += i; console.log(s)'
compare 'small heap, many collections' ro node --max-old-space-size=64 --expose-gc -e \
	'for (let i = 0; i < 300; i++) { new Array(100000).fill(i); if (i % 50 === 0) gc(); } console.log("collected")'
compare 'out of heap' ro bash -c 'exec node --max-old-space-size=40 -e "const a = []; for (;;) a.push(new Array(1000).fill({}))" 2>/dev/null'
tap_end
