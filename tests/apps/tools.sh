#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tools with machinery of their own: text, archives, a database, interpreters,
# ciphers. Each runs on the host and inside with the same files.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=60

fixture()
{
	mkdir -p dir/sub/deep empty
	printf '%s\n' 'one two three' 'four five six' '' 'seven' >stdin
	awk 'BEGIN { for (i = 0; i < 20000; i++) printf "%d %d some words to press\n", i, i * i % 9973 }' >big
	printf 'apple 1\nbanana 2\nbanana 2\ncherry 3\n' >fruit
	cp fruit dir/copy
	ln dir/copy dir/hard
	ln -s ../fruit dir/soft
	ln -s nowhere dir/dangling
	printf 'deep down\n' >dir/sub/deep/file
	truncate -s 300K dir/sparse
	printf end >>dir/sparse
	printf '\377\376not text\000apple\n' >dir/binary
	chmod 640 dir/copy
	chmod 1770 dir/sub
	: >"dir/$(printf 'long%.0s' {1..40})"
	find . -exec touch -h -d '2021-03-04 05:06:07' {} +
	tar cf archive.tar dir fruit
	tar czf archive.tgz dir
	# Not all of these may be there: their cases are skipped then.
	gzip -9nk big
	bzip2 -k big
	xz -k big
	zstd -q -k big
	for file in gz bz2 xz zst; do
		[ -e "big.$file" ] && head -c 20000 "big.$file" >"short.$file"
	done 2>/dev/null
	cat >data.json <<-'END'
	{"people": [{"name": "Ada", "born": 1815, "tags": ["math", "first"]},
	 {"name": "Grace", "born": 1906, "tags": []}, {"name": "Zoë", "born": 1970.5, "tags": null}],
	 "big": 12345678901234567890, "nested": {"a": {"b": {"c": [1, 2, [3, {"d": false}]]}}}}
	END
	cat >sums.bc <<-'END'
	scale = 60
	4 * a(1)
	define f(n) { if (n < 2) return (1); return (n * f(n - 1)) }
	f(200)
	2 ^ 1000
	sqrt(2); e(1); l(10); s(1); 7 % 4; obase = 16; 65535
	END
	cat >report.awk <<-'END'
	BEGIN { OFS = "\t" }
	{ count[$2 % 10]++; sum[$2 % 10] += $1; line[NR] = $0 }
	END {
		for (i = 0; i < 10; i++) print i, count[i], sum[i], sprintf("%8.3f", sum[i] / count[i])
		n = split("b,a,c", part, ","); print n, part[3], substr("hello", 2, 3), index("foobar", "bar")
		gsub(/o/, "0", line[5]); print line[5], length(line[77]), toupper(line[7])
		print match("some text", /t.x/), RSTART, RLENGTH
		print "to a file" > "awk.out"; close("awk.out")
		while ((getline got < "awk.out") > 0) print "read back:", got
		printf "%c%5s|%-5s|%05d|%x|%e\n", 65, "ab", "cd", 42, 255, 12345.678
		srand(1); x = rand(); print (x >= 0 && x < 1), int(-3.7), 2 ^ 10, exp(1), atan2(0, -1)
		exit 3
	}
	END
	cat >script.pl <<-'END'
	use strict; use warnings;
	my (%seen, @order);
	open(my $in, '<', 'big') or die "big: $!";
	while (<$in>) { next unless /^(\d*7)\s+(\d+)\s/; push @order, $1 if !$seen{$2}++; }
	close $in;
	printf "%d kinds, first %s, last %s\n", scalar(keys %seen), @order[0, -1];
	my @sorted = sort { $seen{$b} <=> $seen{$a} || $a <=> $b } keys %seen;
	print join(' ', map { sprintf '%s=%d', $_, $seen{$_} } @sorted[0 .. 9]), "\n";
	open(my $out, '>', 'perl.out') or die; print $out scalar reverse("$_\n") for 1 .. 1000; close $out;
	print -s 'perl.out', ' ', (stat 'perl.out')[7], ' ', join(',', map { -d $_ ? "$_/" : $_ } sort glob 'dir/*'), "\n";
	opendir(my $d, 'dir/sub') or die; print join(' ', sort readdir $d), "\n"; closedir $d;
	rename 'perl.out', 'perl.kept' or die; utime 86400, 86400, 'perl.kept'; chmod 0600, 'perl.kept';
	mkdir 'made', 0711 or die; symlink 'perl.kept', 'made/link'; link 'fruit', 'made/hard';
	print readlink('made/link'), ' ', (stat 'fruit')[3], "\n"; unlink 'made/hard';
	my $text = 'The quick brown fox'; (my $swap = $text) =~ s/(\w+) (\w+)/$2 $1/g;
	print "$swap | ", join('|', $text =~ /\b(\w)/g), " | ", $text =~ tr/a-z//, "\n";
	printf "%s %.10g %s %s\n", 2 ** 0.5, 1e15 / 7, 0x1F, oct '0755';
	print pack('NnCA3', 1, 2, 3, 'abc') eq "\0\0\0\1\0\2\3abc" ? "packed\n" : "not packed\n";
	my @t = gmtime 1234567890; print "@t\n"; print sprintf('%vd', '1.22.333'), "\n";
	local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select undef, undef, undef, 5;
	local $SIG{USR1} = sub { die "signal\n" }; eval { kill 'USR1', $$; sleep 1 }; print "caught $@";
	pipe(my $r, my $w) or die; syswrite $w, 'through a pipe'; sysread $r, my $got, 100; print "$got\n";
	truncate 'perl.kept', 10 or die; open(my $rw, '+<', 'perl.kept') or die; seek $rw, -3, 2; print $rw 'END'; close $rw;
	eval { open(my $x, '<', 'absent') or die "cannot: $!\n" }; print $@; print STDERR "to stderr\n"; exit 5;
	END
	cat >script.lua <<-'END'
	local count, words = 0, {}
	for line in io.lines('big') do
		count = count + 1
		for w in line:gmatch('%a+') do words[w] = (words[w] or 0) + 1 end
	end
	local names = {}
	for w in pairs(words) do names[#names + 1] = w end
	table.sort(names)
	print(count, table.concat(names, ','), words.some)
	local f = assert(io.open('lua.out', 'w'))
	for i = 1, 1000 do f:write(string.format('%d %.3f\n', i, math.sqrt(i))) end
	f:seek('set', 5); f:write('XX'); f:close()
	print(#io.open('lua.out'):read('a'), io.open('absent'))
	local co = coroutine.wrap(function(a) for i = 1, 3 do a = a + coroutine.yield(a * i) end end)
	print(co(2), co(3), co(4), select('#', 1, nil, 3), 7 // 2, 7 % -3, 1 << 40, 0x7fffffffffffffff + 1)
	print(pcall(error, { code = 7 }), string.rep('ab', 3, '-'), ('x'):byte(), utf8.char(228, 8364))
	print(os.rename('lua.out', 'lua.kept'), os.remove('absent'), os.date('!%F %T', 86400), os.getenv('HOME'))
	local t = {} for i = 1, 100000 do t[i] = (i * 7919) % 100003 end table.sort(t) print(t[1], t[50000], t[100000])
	collectgarbage() io.stderr:write('to stderr\n') os.exit(4, true)
	END
	cat >basic.sql <<-'END'
	PRAGMA integrity_check;
	CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, value REAL, UNIQUE (name));
	CREATE INDEX by_value ON t (value);
	BEGIN;
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
		INSERT INTO t SELECT i, printf('name %d', i), i * 7919 % 10007 / 3.0 FROM n;
	COMMIT;
	SELECT count(*), sum(value), min(name), max(name) FROM t;
	BEGIN; DELETE FROM t WHERE id % 2; ROLLBACK;
	BEGIN; UPDATE t SET value = -value WHERE id % 3 = 0; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT;
	SELECT id, name, round(value, 2) FROM t ORDER BY value LIMIT 5;
	INSERT INTO t VALUES (1, 'again', 0);
	ATTACH ':memory:' AS other; CREATE TABLE other.u AS SELECT * FROM t WHERE id <= 10; SELECT count(*) FROM other.u JOIN t USING (id);
	DELETE FROM t WHERE id > 5000; VACUUM; PRAGMA page_count; PRAGMA integrity_check;
	END
	sed '1i PRAGMA journal_mode = WAL;' basic.sql >wal.sql
	echo 'PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous = FULL; UPDATE t SET value = 1; SELECT sum(value) FROM t;' >>wal.sql
	{
		echo 'CREATE TABLE t (a, b);'
		seq -f 'INSERT INTO t VALUES (%.0f, 3);' 1 40
		echo 'SELECT count(*), sum(a), sum(b) FROM t; PRAGMA integrity_check;'
	} >commits.sql
	{
		echo 'PRAGMA synchronous = OFF; CREATE TABLE t (a);'
		seq -f 'INSERT INTO t VALUES (%.0f);' 1 500
		echo 'BEGIN;'
		seq -f 'INSERT INTO t VALUES (%.0f);' 501 10000
		echo 'COMMIT; SELECT count(*), sum(a) FROM t;'
	} >inserts.sql
	touch -d '2021-03-04 05:06:07' ./*
}

table()
{
	cat <<-'END'
	# text
	ro grep -rn apple dir
	ro grep -r --include='*.awk' printf .
	ro grep -c words big
	ro grep -E '^1?9+ ' big
	ro grep -P '(?<=some )w\w+(?= to)' -m 2 big
	ro grep -F -x -f fruit fruit
	ro grep -v -i APPLE fruit
	ro grep -A 1 -B 1 -n seven
	ro grep -q nothing big
	ro grep -z text dir/binary
	ro grep x absent dir
	ro grep -R down dir
	rw sed -i 's/banana/kiwi/' fruit
	rw sed -i.bak -e '2d' -e '$a end' fruit dir/soft
	rw sed --follow-symlinks -i 's/1/one/' dir/soft
	rw sed -n -e '/ 9 /w nines' -e '100q' big
	ro sed -n '2,3s/a/<&>/gp;$=' fruit
	ro sed -E ':a;s/^([0-9]+)([0-9]{3})/\1,\2/;ta;10q' big
	ro sed -s -n '$p' fruit big absent
	rw mawk -f report.awk big
	ro mawk '{ print NF, $NF }'
	ro mawk 'BEGIN { while (i < 300000) s += i++ % 7; print s }'
	ro mawk 'BEGIN { print length(x) > "/absent/file" }'
	ro diff -u fruit dir/soft
	ro diff -rq dir empty
	ro diff big fruit
	ro cmp -l fruit archive.tar
	ro cmp big big.gz
	# compression
	rw gzip fruit
	rw gzip -k -1 -n big
	rw gzip -f -k -n big
	rw gzip -d -f big.gz
	rw gzip -r empty dir
	ro gzip -c -n big
	ro gzip -t short.gz
	ro gzip -dc short.gz
	ro gunzip -c big.gz
	rw bzip2 -k fruit
	rw bzip2 -d -f big.bz2
	ro bzip2 -c big
	ro bzip2 -tvv short.bz2
	rw xz -k fruit
	rw xz -T2 --block-size=64KiB -k -c fruit big
	rw xz -d -f big.xz
	ro xz -T0 -1 -c big
	ro xz -4e -c big
	ro xz --list --robot big.xz
	ro xz -t short.xz
	ro xz -dc --memlimit=1KiB big.xz
	rw zstd -q -k fruit
	rw zstd -q -T2 -f big
	rw zstd -q -d -f big.zst
	rw zstd -q --rm -19 fruit
	ro zstd -q -c -T0 -B32K big
	ro zstd -q -c -3 --long big
	ro zstd -q -t short.zst
	ro zstd -q -dc big.zst
	# archives
	ro tar tvf archive.tar --full-time
	ro tar tzf archive.tgz --warning=none --use-compress-program=false
	rw tar cf new.tar --sort=name --numeric-owner dir
	rw tar cf new.tar --sort=name --format=posix --pax-option=delete=atime,delete=ctime dir
	own tar cf new.tar -S dir
	rw tar xf archive.tar -C empty
	rw tar xpf archive.tar -C empty --strip-components=1
	rw tar xf archive.tar -C empty dir/hard dir/soft
	rw tar xf archive.tar --skip-old-files
	rw tar xf archive.tar --overwrite -m
	rw tar rf archive.tar big
	rw tar --delete -f archive.tar fruit
	rw tar xf archive.tar -C absent
	ro tar tf fruit
	ro tar df archive.tar
	ro tar cf - --sort=name dir
	ro tar xOf archive.tar dir/sub/deep/file
	# a database; ../ is a directory in memory inside
	rw sqlite3 base.db '.read basic.sql'
	rw sqlite3 base.db '.read commits.sql'
	own sqlite3 base.db '.read wal.sql'
	rw sqlite3 base.db '.read inserts.sql'
	ro sqlite3 ../basic.db '.read basic.sql'
	ro sqlite3 ../wal.db '.read wal.sql'
	ro sqlite3 ../inserts.db '.read inserts.sql'
	ro sqlite3 :memory: '.read basic.sql'
	ro sqlite3 fruit 'select * from t'
	ro sqlite3 absent/base.db 'create table t (a)'
	rw sqlite3 base.db 'pragma journal_mode=truncate; create table a(x); insert into a values(1);' '.dump'
	rw sqlite3 base.db 'pragma locking_mode=exclusive; pragma journal_mode=wal; create table a(x); insert into a values(1);' '.backup copy.db'
	rw sqlite3 base.db 'pragma mmap_size=10000000; create table a(x); insert into a values(zeroblob(3000000)); select length(x) from a; pragma integrity_check;'
	# calculators and JSON
	ro bc -l -q sums.bc
	ro bc -q
	ro jq . data.json
	ro jq -c '.people[] | select(.born > 1900) | {name, n: (.tags | length)}' data.json
	ro jq -r '[.people[].name] | sort | @csv, (join("+") | ascii_upcase), (map(length) | add)' data.json
	ro jq -n '[range(100000)] | map(. * .) | add'
	ro jq -S --tab 'paths | tojson' data.json
	ro jq '.x.y.z' fruit
	ro jq -e .absent data.json
	ro jq . absent
	# ciphers
	ro openssl dgst -sha256 -sha3-512 big
	ro openssl dgst -sha512 -hmac key big fruit
	ro openssl dgst -md5 absent
	ro openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:secret -in big -a
	rw openssl enc -chacha20 -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000 -in big -out new
	ro openssl enc -d -aes-128-cbc -pbkdf2 -pass pass:wrong -in fruit
	ro openssl prime -checks 20 2147483647
	ro openssl asn1parse -genstr UTF8:hello
	own openssl genrsa -out key.pem 1024
	own openssl rand -out random 1000000
	ro openssl version
	ro openssl speed -seconds 1 -bytes 1024 sha256
	# interpreters
	rw perl script.pl
	ro perl -e 'print "$0 @ARGV\n"; die "gone\n"' a b
	ro perl -MPOSIX -e 'print strftime("%F %T", gmtime 99), " ", floor(-1.5), " ", (uname)[0], "\n"; POSIX::_exit(9)'
	ro perl -MData::Dumper -MList::Util=sum,shuffle -e '$Data::Dumper::Sortkeys = 1; print Dumper({ a => [1, 2], s => sum(1 .. 100) })'
	ro perl -MTime::HiRes=time,sleep -e 'my $t = time; sleep 0.05; print time - $t >= 0.05 ? "ok\n" : "short\n"'
	ro perl -MDigest::SHA=sha256_hex -MMIME::Base64 -MEncode -e 'print sha256_hex("abc"), encode_base64("x" x 60), length(decode("UTF-8", "\xc3\xa9")), "\n"'
	rw perl -i -pe 's/(\d+)/$1 * 2/e' fruit
	rw perl -MFile::Find -MFile::Copy -MFile::Path -e 'find(sub { push @f, $File::Find::name }, "dir"); print "$_\n" for sort @f; copy("fruit", "new") or die; make_path("a/b/c"); move("new", "a/b/moved")'
	rw perl -MFcntl=:flock,:DEFAULT -e 'sysopen F, "lock", O_RDWR | O_CREAT | O_EXCL or die $!; flock F, LOCK_EX | LOCK_NB or die $!; print "locked\n"; sysopen(G, "lock", O_RDWR | O_CREAT | O_EXCL) or print "$!\n"'
	ro perl -e '$SIG{INT} = sub { print "int\n" }; kill INT => $$; kill KILL => $$'
	ro perl -e 'kill SEGV => $$'
	ro perl -e 'my @a = (1) x 3_000_000; print scalar(@a), "\n"'
	rw lua5.4 script.lua
	ro lua5.4 -e 'error("on purpose")'
	ro lua5.4 -e 'local s = 0 for i = 1, 3000000 do s = s + i % 7 end print(s)'
	ro lua5.4 - x
	ro lua5.4 absent.lua
	END
}

# Only what each side measures itself is taken out.
normal()
{
	case "$1 $2" in
	'openssl speed') sed -E 's/[0-9.]+k?( *$|s$)/N/; s/: [0-9]+ sha256/: N sha256/; /^(built|options|compiler|version|CPUINFO)/d' ;;
	openssl*) sed -E 's/^[0-9A-F]+:error/ID:error/' ;;
	*) cat ;;
	esac
}

table >"$tap_tmp/table"
compare_table <"$tap_tmp/table"
if compare_as_user; then
	grep -e '^rw' "$tap_tmp/table" | grep -v -e '[.]read' -e 'script[.]' -e 'big$' >"$tap_tmp/table.user"
	compare_table <"$tap_tmp/table.user"
else
	skip 'as an ordinary user' 'not root, or the programs are out of reach for others'
fi
tap_end
