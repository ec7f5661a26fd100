#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: postgres.sh BIN STEP, in a directory that may be written. What it
# prints is the same wherever it runs: no pids, no times.
set -u
PATH=$1:$PATH
step=$2
export PATH PGHOST="$PWD" PGUSER=someone PGDATABASE=postgres PGDATA="$PWD/base"

ask()
{
	psql -X -q -A -t "$@" 2>&1 | sed 's/PID [0-9]*/PID N/'
}

begin()
{
	pg_ctl -s -w -t 60 -l "$PWD/log" start || cat "$PWD/log"
}

prepare()
{
	initdb -U someone -A trust --no-locale -E UTF8 >init.out 2>&1 || { cat init.out; return 1; }
	cat >>base/postgresql.conf <<-END
		listen_addresses = ''
		unix_socket_directories = '$PWD'
		max_connections = 20
		shared_buffers = 16MB
		dynamic_shared_memory_type = $1
		log_checkpoints = off
		log_line_prefix = ''
	END
}

# One process that is the whole server.
single()
{
	prepare posix
	postgres --single -j postgres <<-'END' 2>&1 | grep -v -e '^PostgreSQL'
		create table t (i int primary key, name text);

		insert into t select g, 'row ' || g from generate_series(1, 5000) g;

		begin; delete from t where i > 10; rollback;

		begin; update t set name = upper(name) where i % 2 = 0; savepoint s; delete from t; rollback to s; commit;

		insert into t values (1, 'again');

		create index on t (name); vacuum analyze t;

		checkpoint;

		select count(*), sum(i), min(name), max(name) from t;
	END
	echo "single ended with $?"
	pg_controldata | grep -e 'cluster state'
}

sessions()
{
	for n in 1 2 3 4; do
		ask -c "begin; insert into n select $n, g from generate_series(1, 500) g; commit" &
	done
	wait
	ask -c 'select count(*), count(distinct who), sum(i) from n'
}

# A server and its clients, over a unix socket.
server()
{
	prepare "$1"
	begin
	ask -c 'create table n (who int, i int)'
	sessions
	ask <<-'END'
		create table big as select g as i, md5(g::text) as sum from generate_series(1, 60000) g;
		create index on big (sum); analyze big;
		set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
		set min_parallel_table_scan_size = 0;
		select count(*), min(sum), max(sum) from big where i % 3 = 0;
		set work_mem = '64kB'; select i from big order by sum limit 3;
		create function f(int) returns int language plpgsql as 'begin return $1 * 2; exception when others then return 0; end';
		select sum(f(i)) from big where i < 1000;
		select 1 / 0; select * from absent;
		select pg_advisory_lock(7); listen bell; notify bell, 'rings';
		\copy (select * from big where i < 4) to 'copied'
		\! cat copied
		begin; declare c cursor for select i from big order by i; fetch 2 from c; move 100 in c; fetch 1 from c; commit;
		copy (select 'through a program') to program 'cat >programmed';
		\! cat programmed
	END
	pg_dump -t n | grep -c '^[1-4]'
	pg_ctl -s -w -m fast stop
	echo "stopped with $?"
	ls base/postmaster.pid ./.s.PGSQL.5432 2>&1
}

# A backend that is killed takes all others along; the log brings all back.
killed()
{
	prepare posix
	begin
	ask -c 'create table kept (i int); insert into kept select generate_series(1, 20000)'
	ask -c 'create table lost (i int); begin; insert into lost select generate_series(1, 1000); select pg_sleep(100)' >lost.out &
	until pid=$(ask -c "select pid from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()") && [ "$pid" ]; do
		sleep 0.1
	done
	kill -9 "$pid"
	wait
	grep -c 'terminated abnormally' lost.out
	until ask -c 'select 1' | grep -q -x 1; do sleep 0.1; done
	ask -c 'select count(*) from kept; select count(*) from lost'
	grep -c 'automatic recovery in progress' log
	# The whole server at once.
	kill -9 "$(head -n 1 base/postmaster.pid)"
	until pg_ctl -s -w -l "$PWD/log" start >init.out 2>&1; do sleep 0.2; done # its backends end a little later
	ask -c 'select sum(i) from kept'
	pg_ctl -s -w -m immediate stop
	begin
	ask -c 'select sum(i) from kept; checkpoint'
	pg_ctl -s -w stop
	echo "stopped with $?"
}

bench()
{
	prepare posix
	begin
	pgbench -q -i >init.out 2>&1
	pgbench -n -c 4 -j 2 -t 100 2>&1 | grep -e processed -e failed
	ask -c 'select count(*), sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts'
	pg_ctl -s -w -m smart stop
	echo "stopped with $?"
}

case $step in
single) single ;;
posix | sysv) server "$step" ;;
killed) killed ;;
bench) bench ;;
esac
