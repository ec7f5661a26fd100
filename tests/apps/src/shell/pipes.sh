# SPDX-License-Identifier: Apache-2.0
# Pipelines, here-documents, substitutions, redirections, for any POSIX shell.
seq 100000 | sort -rn | head -n 3 | tac
yes | head -n 100000 | wc -l
echo a | cat | cat | cat | cat | cat | cat | cat
{ echo out; echo err >&2; } 2>&1 | sort
x=$(for i in 1 2 3; do echo $i | (read -r y; echo $((y * y))); done)
echo $x
cat <<E1; cat <<'E2'; cat <<-E3
$((6 * 7)) `echo back` $(echo dollar)
E1
$not $(expanded)
E2
	tab $x
	E3
big=$(head -c 300000 /dev/zero | tr '\0' x)
cat <<E | wc -c
$big
E
sum=0
while read -r l; do sum=$((sum + l)); done <<E
1
2
3
E
echo $sum
exec 3>kept 4<&0
echo three >&3
exec 3>&-
cat kept
mkfifo fifo
(echo through a fifo >fifo &)
cat fifo
rm fifo
(exit 3) | true
echo $?
! true
echo $?
(set -e; false; echo not) || echo yes
sh -c 'exit 5' || echo $?
yes 2>/dev/null | true
for i in 1 2 3 4 5 6 7 8 9 10; do
	(echo $i) &
	wait
done
f() { n=$1; [ "$n" -gt 0 ] && { (f $((n - 1))); echo "$n"; }; return 0; }
f 20 | tr '\n' ' '
i=0
while [ $i -lt 200 ]; do
	i=$((i + 1))
	v=$(echo $i)
	[ "$v" = $i ] || echo wrong
done
for i in $(seq 40); do (exit "$i") & done
for i in $(seq 40); do wait %"$i" 2>/dev/null; done
wait
umask 027
: >masked
stat -c %a masked
cd / && pwd && cd - >/dev/null && [ -e masked ] && echo back
exec sh -c 'echo "the last: $0"' x
