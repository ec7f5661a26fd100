# SPDX-License-Identifier: Apache-2.0
# Traps and signals among shells, for any POSIX shell.
trap 'echo exit $?' EXIT
trap 'echo int' INT
trap 'echo term' TERM
trap 'echo hup' HUP
kill -INT $$
kill -TERM $$
kill -HUP $$
(trap 'echo sub; exit 4' TERM; sh -c 'kill -TERM $PPID'; sleep 0; echo not reached)
echo "sub: $?"
trap '' USR1
sh -c 'kill -USR1 $$; echo what is ignored is inherited'
trap - USR1
(sh -c 'kill -USR1 $$; echo not reached') 2>/dev/null
echo $?
sleep 5 &
pid=$!
(sleep 0.1; kill -USR2 $$) &
trap 'echo usr2' USR2
wait $pid
echo "wait: $(($? > 128))"
{ kill $pid; wait $pid; } 2>/dev/null
echo $?
trap

# Who gets what.
kill -l 9
kill -0 $$
echo $?
kill -0 99999 2>/dev/null
echo $?
{ sleep 10 & kill -9 $!; wait $!; echo $?; } 2>/dev/null
{ sleep 10 & kill -s INT $!; kill $!; wait $!; echo $?; } 2>/dev/null
sh -c 'trap "echo got; exit 2" TERM; echo up >ready; while :; do sleep 0.02; done' &
while [ ! -s ready ]; do sleep 0.02; done
rm ready
kill $!
wait $!
echo $?
(trap '' TERM; echo up >ready; exec sleep 0.5) &
while [ ! -s ready ]; do sleep 0.02; done
rm ready
kill $!
wait $!
echo $?
{
	setsid sh -c 'sleep 20 & sleep 20 & echo $$ >group; wait' &
	while [ ! -s group ]; do sleep 0.02; done
	kill -TERM "-$(cat group)"
	wait $!
	echo $?
	rm group
} 2>/dev/null
for s in HUP INT QUIT ABRT KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT XCPU XFSZ VTALRM PROF SYS; do
	(ulimit -c 0; exec sh -c "kill -$s \$\$") 2>/dev/null
	echo "$s $?"
done
for s in CHLD CONT URG WINCH; do
	sh -c "kill -$s \$\$; exit 1"
	echo "$s $?"
done
exit 7
