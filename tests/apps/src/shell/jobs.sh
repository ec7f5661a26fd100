# SPDX-License-Identifier: Apache-2.0
# Job control without a terminal, for bash.
set -m
sleep 30 &
sleep 31 &
sleep 32 &
jobs
jobs -l | wc -l
stopped() { while [ "$(cut -d ' ' -f 3 "/proc/$1/stat")" != T ]; do sleep 0.02; done; }
running() { while [ "$(cut -d ' ' -f 3 "/proc/$1/stat")" = T ]; do sleep 0.02; done; }
sleep 33 &
kill -STOP $!
stopped $!
jobs %+ | tail -n 1
bg %+ >/dev/null
running $!
jobs %+ | tail -n 1
sh -c 'kill -STOP $$; exit 9' &
stopped $!
fg %% 2>&1
echo $?
(sleep 0.05; exit 3) &
fg >/dev/null
echo $?
ps -o pgid= -p $$ | tr -d ' ' >a
sh -c 'ps -o pgid= -p $$' | tr -d ' ' >b
cmp -s a b || echo a group of its own
rm a b
exec 2>/dev/null
kill -9 %1 %2 %3 %4
wait
jobs
