# SPDX-License-Identifier: Apache-2.0
# What bash has beyond that.
shopt -s lastpipe
echo one two | read -r a b
echo $a $b
diff <(seq 5) <(seq 2 6)
echo $?
cat <(cat <(cat <(echo deep)))
for i in {1..50}; do read -r x < <(echo $i); [ "$x" = $i ] || echo wrong; done
tee >(sort -r | head -n 1 >first) < <(seq 10) >/dev/null
while [ ! -s first ]; do sleep 0.02; done
cat first
coproc W { while read -r l; do echo "<$l>"; done; echo end; }
echo a >&${W[1]}
read -r r <&${W[0]}
echo $r
fd=${W[1]} pid=$W_PID
exec {in}<&${W[0]}
exec {fd}>&-
cat <&$in
wait $pid
echo $?
(sleep 0.3; exit 3) & (exit 1) & wait -n; echo $?; wait -n; echo $?; wait -n; echo $?
(sleep 0.3; exit 6) & p=$!
(exit 5) & wait -n -p who
echo $? $([ $who != $p ] && echo other)
wait -f $p
echo $?
mapfile -t arr < <(seq 7)
echo ${#arr[@]} ${arr[3]}
set -o pipefail
false | true
echo $?
true | (exit 4) | cat
echo ${PIPESTATUS[@]}
read -t 0.1 x < <(sleep 1)
echo $(($? > 128))
read -n 3 x <<<abcdef
echo $x
exec 7<>both
echo hello >&7
read -u 7 x
echo "${x:-nothing}"
trap 'echo debug' DEBUG
true
trap - DEBUG
trap 'echo err $LINENO' ERR
false
trap - ERR
f() { trap 'echo return' RETURN; return 3; }
f
echo $?
[ $BASHPID = $$ ] && echo same
([ $BASHPID = $$ ] || echo another)
ulimit -S -n 64
ulimit -n
(ulimit -f 1; head -c 5000 /dev/zero >big) 2>/dev/null
echo $? $(stat -c %s big)
(ulimit -t 1; while :; do :; done) 2>/dev/null
echo $?
(ulimit -v 200000; bash -c 'x=$(head -c 300000000 /dev/zero | tr "\0" x)' 2>/dev/null)
echo $?
{ bash -c 'ulimit -c 0; kill -SEGV $$'; echo $?; } 2>/dev/null
sleep 100 & disown
kill $!
jobs
(exec -a name bash -c 'echo $0')
printf '%s\n' {1..300} | xargs -P 4 -n 7 echo | tr ' ' '\n' | sort -n | md5sum
SECONDS=0
sleep 0.1
echo $((SECONDS < 2))
set -m
sleep 0.3 | sleep 0.2 &
jobs | wc -l
wait
echo $?
