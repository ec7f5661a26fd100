#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The tools that look at processes, on the host and inside, over the same small
# tree of them. What they print is compared without its numbers.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=60

# One table for each tree: a line is a command, which finds the numbers in variables.
tables()
{
	cat >ps.cases <<-'END'
	ps -o s,ni,pri,cls,nlwp,wchan,comm,args --sort args -p $sleeps,$stopped,$unreaped,$zombie,$waits
	ps -f --sort args -p $all
	ps -F --sort args -p $sleeps,$waits | cut -c 1-30
	ps u --sort args -p $all
	ps l --sort args -p $sleeps,$stopped
	ps j --sort args -p $all
	ps s --sort args -p $all
	ps v -p $sleeps
	ps -o pid,ppid,pgid,sid,tty,tpgid,uid,euid,gid,user,group,ruser --sort args -p $all
	ps -o s,time,etime,cputime,start,lstart,nice -p $sleeps
	ps -o s,args --sort args --ppid $me
	ps -o s,args --sort args -s $me
	ps -o args= -p $named; ps -o comm= -p $named
	ps -p 1 -o ppid=
	ps -o pid= -p 999999
	ps -e -o pid= | grep -cx " *$me"
	ps -ef | grep -c "[d]ozing-shell -c ./snooze 304"
	ps aux | grep -c "[s]nooze 305"
	ps axjf | grep "[s]nooze 304" | grep -c ' \\_ '
	ps -eo vsz=,rss= -p $sleeps | awk "{ exit !(\$1 > 0 && \$1 >= \$2) }"
	ps -eLf | grep -c "[s]nooze 301"
	END
	cat >trees.cases <<-'END'
	pstree -Ac $me >tree; for name in snooze dozing-shell pstree; do grep -o $name tree | sort | uniq -c; done
	pstree -Ap $waits
	pstree -Apals $child | tail -n 2
	pstree -A $sleeps
	END
	cat >names.cases <<-'END'
	pgrep -s 0 -x snooze | wc -l
	pgrep -s 0 -f "snooze 30[14]$" | wc -l
	pgrep -s 0 -fa "snooze 301$"
	pgrep -l -P $waits
	pgrep -c -s $me snooze
	pgrep -s 0 -r T -f "snooze 303"
	pgrep -x no-such-name-here
	pidof ./snooze | grep -cw $child
	pkill -s 0 -f "another name" && wait $named; echo $?
	pkill -s 0 -CONT -f "snooze 303$" && settle $stopped S 303 && echo goes on
	killall -q -TERM $PWD/snooze; wait $sleeps; echo $?
	killall no-such-name-here
	kill -0 $zombie; echo $?; kill -0 999999
	END
	cat >files.cases <<-'END'
	lsof -p $sleeps -a -d cwd,txt,3 -Fftn
	lsof -a -p $sleeps,$named -t held | wc -l
	lsof -a -p $sleeps,$named +D . -Fn | grep held
	fuser held 2>/dev/null
	fuser -v held 2>&1 | grep f....
	pwdx $sleeps
	readlink /proc/$sleeps/fd/3 /proc/$sleeps/exe /proc/$sleeps/cwd /proc/$zombie/exe /proc/$zombie/cwd
	cat /proc/$sleeps/fd/3; cat 4</proc/$sleeps/fd/3 <&4
	ls /proc/$sleeps/fd | tail -n 1; ls /proc/$zombie/fd
	pmap $sleeps | head -n 1
	pmap -x $sleeps | tail -n 1
	END
	cat >proc.cases <<-'END'
	tr "\\0" "|" </proc/$sleeps/cmdline; tr "\\0" "|" </proc/$named/cmdline; wc -c </proc/$zombie/cmdline
	tr "\\0" "\\n" </proc/$sleeps/environ | grep ^TERM
	wc -w </proc/$sleeps/stat; cut -d " " -f 3 /proc/$stopped/stat
	grep -E "^(Name|State|Threads|Umask|SigIgn|ShdPnd|NoNewPrivs)" /proc/$stopped/status /proc/$zombie/status
	cat /proc/$me/task/$me/children | wc -w; ls /proc/$sleeps/task | wc -l
	cat /proc/$sleeps/comm /proc/$sleeps/oom_score_adj /proc/$sleeps/personality
	cut -d " " -f 1 /proc/$sleeps/syscall
	ls /proc/$sleeps/ns | head -n 5; readlink /proc/$sleeps/ns/pid | cut -c 1-5
	END
	cat >machine.cases <<-'END'
	uptime | sed "s/.*load/load/"
	free | awk "{ print \$1, NF }"
	top -b -n1 -p $sleeps,$stopped | sed -n "/PID/,\$p" | awk "{ print \$8, \$NF }" | sort
	top -b -n1 | grep -c Cpu
	w -h | wc -l; vmstat | wc -l; vmstat -s | wc -l
	taskset -p $sleeps
	renice -n 5 -p $sleeps; ps -o ni= -p $sleeps
	chrt -p $sleeps
	prlimit -p $sleeps --nproc -o resource --noheadings
	flock held sleep 0.3 & sleep 0.1; grep -c FLOCK /proc/locks >/dev/null && echo found
	END
	cat >runs.cases <<-'END'
	./dozing-shell -c 'while :; do :; done' & runs=$!
	settle $runs R while; ps -o s=,comm= -p $runs
	for i in $(seq 60); do ./snooze 0.3; [ $(ps -o cputimes= -p $runs) -ge 1 ] && break; done; ps -o cputimes= -p $runs
	ps -o cputimes= -p $sleeps | tr 123456789 x
	top -b -n 2 -d 1 -p $runs | tail -n 1 | awk '{ exit !($9 > 4) }'
	top -b -n 1 -p $sleeps | tail -n 1 | awk '{ exit !($9 > 4) }'
	END
}

# The tree, for a command that finds its numbers in variables: a sleeper, one
# that is stopped, a shell that waits for its child, a zombie, one that runs.
fixture()
{
	echo nothing >stdin
	# Names that no other process of the host has.
	cp /bin/sleep snooze
	cp /bin/bash dozing-shell
	echo held >held
	cat >tree.sh <<-'END'
	# settle PROCESS STATE WORDS: it is in that state and has come to be what it is to be
	settle() { while ! ps -o s=,args= -p $1 | grep -q "^$2 .*$3"; do ./snooze 0.01; done; }
	me=$$
	./snooze 301 3<held & sleeps=$!
	(exec -a 'another name' ./snooze 302) & named=$!
	./snooze 303 & stopped=$!
	./dozing-shell -c './snooze 304 & wait' & waits=$!
	./dozing-shell -c './snooze 0.3 & kill -STOP $$; wait' & unreaped=$!
	settle $stopped S 'snooze 303'
	kill -STOP $stopped
	settle $sleeps S 'snooze 301'
	settle $named S 'another name 302'
	settle $stopped T 'snooze 303'
	settle $waits S 'snooze 304 &'
	settle $unreaped T 'kill -STOP'
	while ! child=$(pgrep -P $waits); do :; done
	settle $child S 'snooze 304'
	zombie=$(pgrep -P $unreaped)
	settle $zombie Z defunct
	all=$sleeps,$named,$stopped,$waits,$child,$unreaped,$zombie
	while read -r line <&9; do
		case $line in '' | '#'*) continue ;; esac
		echo "$line:"
		eval "$line"
		echo "status $?"
	done 9<"$1"
	exec 2>/dev/null
	kill -KILL $sleeps $named $stopped $waits $child $runs
	kill -CONT $unreaped
	wait
	exit 0
	END
	tables
}

# Numbers and the width of columns are the machine's.
normal()
{
	sed -E -e '/^Cannot (open a network socket|stat file)/d' -e 's/[0-9]+/N/g' -e 's/N([.:,]N)+/N/g' -e 's/  +/ /g' -e 's/-{3,}/--/g' -e 's/^ //'
}

command -v ps >/dev/null && command -v pstree >/dev/null || {
	skip 'tools that look at processes' 'procps or psmisc is not installed'
	tap_end
}

# Without a terminal on both sides; processes in their own session.
for cases in ps trees names files proc machine runs; do
	echo "own setsid -w ./dozing-shell tree.sh $cases.cases"
done >"$tap_tmp/table"
compare_table <"$tap_tmp/table"
! compare_as_user || compare_table <"$tap_tmp/table"
tap_end
