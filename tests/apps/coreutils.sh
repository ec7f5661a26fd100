#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# GNU coreutils and findutils: dynamic programs, each on the host and inside.
# What needs a second process (timeout, find -exec) is not here.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"

fixture()
{
	mkdir -p dir/sub/deep empty closed
	printf '%s\n' 'one two three' 'four five six' '' 'seven' >stdin
	for i in 3 1 2 10 7; do printf '%s line %s\tx\n' "$i" "$((i * i))"; done >lines
	printf 'apple 1\nbanana 2\nbanana 2\ncherry 3\n' >fruit
	printf 'apple red\ncherry dark\n' >colour
	printf 'a b\nb c\nc d\nx y\n' >graph
	awk 'BEGIN { for (i = 0; i < 20000; i++) printf "%d %d some words to read\n", i, i * i % 9973 }' >big
	printf 'a\000b\001\377\n' >binary
	printf '1000\n2K\n3500\n' >numbers
	cp fruit dir/copy
	cp lines dir/sub/lines
	: >dir/sub/deep/none
	ln dir/copy dir/hard
	ln -s ../lines dir/soft
	ln -s nowhere dir/dangling
	ln -s loop dir/loop
	truncate -s 1M sparse
	printf end >>sparse
	printf '#!/bin/true\n' >script
	printf 'odd' >"name with  spaces"
	printf 'odd' >$'new\nline'
	chmod 755 script
	cp fruit suid
	chmod 4711 suid
	chmod 600 colour
	chmod 1777 empty
	mkfifo fifo
	sha256sum lines fruit >sums
	md5sum lines absent >sums.bad 2>/dev/null
	echo '00000000000000000000000000000000  fruit' >>sums.bad
	find . -exec touch -h -d '2021-03-04 05:06:07.123456789 UTC' {} +
	chmod 0 closed
}

table()
{
	cat <<-'END'
	# reading and text
	ro cat lines fruit
	ro cat -A binary dos absent
	ro cat dir
	ro cat dir/loop
	ro cat -
	ro tac lines
	ro head -n 2 lines fruit
	ro head -c 10K big
	ro head -n -3 lines
	ro tail -n 2 lines
	ro tail -c 100 big
	ro tail -n +4
	ro wc lines big sparse
	ro wc -L fruit
	ro sort lines
	ro sort -n -k 2 big
	ro sort -R --random-source=big lines
	ro sort -S 16K -T /tmp -k 3 -k 2n big
	ro sort --parallel=2 -r big
	ro sort -c lines
	ro sort -m fruit colour
	ro sort -V lines
	ro sort absent
	ro uniq -c fruit
	ro uniq -d fruit
	ro shuf --random-source=big -n 5 big
	ro cut -d ' ' -f 2- lines
	ro cut -b 2-4
	ro tr a-z A-Z
	ro tr -cd '[:alpha:]\n'
	ro tr -s a
	ro od -A x -t x1z binary
	ro od -t f8 -N 32 big
	ro fold -s -w 5 fruit
	ro fmt -w 20 lines
	ro nl -ba -w 3 fruit
	ro pr -h title -D date -2 fruit
	ro expand lines
	ro unexpand -a lines
	ro paste fruit colour
	ro join fruit colour
	ro join -a 1 -o 0,2.2 fruit colour
	ro comm fruit colour
	ro tsort graph
	ro ptx fruit
	ro base64 big
	ro base64 -d
	ro base32 binary
	ro basenc --z85 -w 0 numbers
	ro md5sum lines big sparse
	ro sha1sum big
	ro sha224sum big
	ro sha256sum -c sums
	ro sha256sum big sparse
	ro sha384sum big
	ro sha512sum big absent
	ro b2sum big
	ro cksum big lines
	ro cksum -a sm3 lines
	ro sum big
	ro sum -s big
	ro md5sum -c sums.bad
	ro numfmt --to=iec 1048576
	ro numfmt --from=auto --field=1 1000 2K 3500
	ro numfmt --from=iec
	ro seq 3 4 20
	ro seq -f %05.1f 1 0.5 3
	ro seq 1 100000
	ro factor 12345678901234567890 97 600851475143
	ro expr 6 '*' 7
	ro expr abc : 'a\(.\)'
	ro expr 1 / 0
	ro printf '%05d|%s|%x|%q\n' 42 str 255 'a b'
	ro echo -e 'a\tb\x41\n'
	ro yes --version
	# names and attributes
	ro ls -lR --time-style=full-iso dir fruit
	ro ls -lA --time-style=+%s
	ro ls -1 -Q
	ro ls -C -w 60
	ro ls -lS --block-size=K
	ro ls -1t --zero
	ro ls -F --color=always
	ro ls -n absent dir/dangling dir/soft
	ro ls closed
	ro dir
	ro vdir --time-style=+%s empty dir
	ro stat -c '%n %s %a %A %F %h %u %g %U %G %Y %y %b %B %o %N' lines dir dir/soft fifo empty sparse closed suid
	ro stat -L -c '%n %s %F' dir/soft dir/dangling dir/loop
	ro stat absent
	ro stat -f -c '%l %t' absent
	ro du -a --apparent-size -b dir
	ro du -k sparse big
	ro du -s absent
	ro df absent
	ro readlink dir/soft fruit
	ro readlink -f dir/soft/../x dir/dangling dir/sub/../soft
	ro readlink -e dir/dangling
	ro realpath dir/../fruit absent dir/loop
	ro realpath --relative-to=dir/sub lines
	ro basename -a -s .c /a/b.c c.c
	ro dirname /a/b.c a //
	ro pwd -P
	ro pathchk -p 'a b' fruit
	ro test -L dir/dangling
	ro test -e dir/dangling
	ro test -x script
	ro test -u suid
	ro test fruit -nt absent
	ro test dir/copy -ef dir/hard
	ro [ -d dir -a -p fifo ]
	ro test -r closed
	ro dircolors -b
	ro find . -name 'l*' -type f
	ro find dir -newer absent
	ro find . -perm -600 -links +1 -printf '%p %m %n %y %l %s %d %f %h %u %T@\n'
	ro find . -size +1k -o -empty
	ro find . -newermt 2021-03-04 -type l -xtype l
	ro find dir -samefile dir/copy
	ro find dir -depth -print0
	ro find -L dir -type f
	ro find closed absent
	ro find . -maxdepth 1 -newer sums -ls
	ro find dir -regex '.*/[a-c].*' -prune -o -type d -print
	# changing
	rw cp fruit new
	rw cp -a dir new
	rw cp -r dir absent/new
	rw cp -rL dir new
	rw cp -p dir/sub/lines new
	rw cp -v --backup=numbered fruit lines
	rw cp --sparse=always sparse new
	rw cp --reflink=auto big new
	rw cp -l fruit new
	rw cp -s "$PWD/fruit" new
	rw cp -u fruit lines
	rw cp fruit fruit
	rw cp dir new
	own cp -a fifo new
	rw cp --parents dir/sub/lines empty
	rw cp -n fruit lines
	rw mv lines dir/moved
	rw mv dir new
	rw mv -v -T dir empty
	rw mv -n fruit lines
	rw mv fruit lines empty
	rw mv dir dir/sub
	rw mv absent lines
	rw rm fruit
	rw rm -rv dir
	rw rm dir
	rw rm -d empty
	rw rm -f absent
	rw rmdir empty
	rw rmdir -v -p dir/sub/deep
	rw rmdir dir
	rw mkdir -pv a/b/c dir
	rw mkdir -m 2750 one
	rw mkdir dir
	rw ln fruit hard
	rw ln -s fruit soft
	rw ln -sfr lines dir/soft
	rw ln -P dir/soft soft2
	rw ln dir new
	rw ln fruit lines
	rw link fruit hard2
	rw unlink dir/soft
	rw unlink dir
	rw touch new
	rw touch -d '2020-01-02 03:04:05.5' fruit new
	rw touch -a -t 202001020304 fruit
	rw touch -h -d @77 dir/soft
	rw touch -c absent
	rw touch absent/new
	rw touch -r fruit lines
	rw chmod 640 fruit
	rw chmod -v +t,u+x,g=rx,o-r fruit
	rw chmod -R u+X,go-r dir
	rw chmod +t closed
	rw chmod --reference=colour fruit
	rw chmod 700 absent
	rw chown -v --from=12345 1 fruit
	rw chgrp -c 0 fruit
	rw truncate -s 100 fruit
	rw truncate -s +5K new
	rw truncate -s %512 big
	rw truncate -s 1 dir
	rw dd if=big of=new bs=1000 count=5 skip=2 seek=1 status=none
	rw dd if=fruit of=lines conv=notrunc,ucase bs=1 seek=3 count=4 status=none
	rw dd if=big of=new bs=64K iflag=fullblock oflag=append conv=notrunc,fsync status=none
	rw dd if=sparse of=new bs=4K conv=sparse status=none
	ro dd if=absent
	ro dd if=/dev/zero bs=1M count=3 status=none
	rw tee new lines
	rw tee -a fruit
	rw tee dir
	rw split -n 3 big part.
	rw split -l 7000 -d --additional-suffix=.x big p
	rw csplit -s -f part. big 100 /^5000/ '{0}'
	rw csplit lines /absent/
	rw sort -o fruit fruit lines
	rw uniq fruit new
	rw install -m 711 fruit new
	rw install -D -p fruit a/b/c
	rw install -d -m 700 a/b
	rw shred -n 2 -z -u fruit
	rw mktemp -d -u -p . x.XXXXXX
	rw mktemp tmpl
	own mktemp ./x.XXXXXX
	own mkfifo -m 640 pipe
	own mkfifo fifo
	own mknod node p
	rw sync fruit
	rw sync -d absent
	rw ln -s "$(printf '%0300d' 0)" long
	rw touch "$(printf '%0300d' 0)"
	rw touch "$(printf 'a/%.0s' $(seq 2100))x"
	rw rm -rf dir closed empty
	rw rm -rf .
	# processes, users, the machine
	ro date -u -d '2024-02-29 12:34:56 +1 year' '+%F %T %j %a %B'
	ro date -u -r fruit --rfc-3339=ns
	ro date -d 'TZ="America/New_York" 2024-07-01 12:00' -u -R
	ro date -d nonsense
	ro env A=1 B=2 printenv A B
	ro env -i A=1
	ro env -i X=y /usr/bin/env
	ro env -C dir ls
	ro env no-such-program
	ro nice -n 5 nice
	ro nohup true
	ro stdbuf -oL cat fruit
	ro chroot absent
	ro id
	ro id -un
	ro id nobody
	ro groups nobody
	ro whoami
	ro logname
	ro tty
	ro sleep 0.05
	ro sleep x
	ro uname -s -m -o
	ro arch
	ro nproc
	ro kill -l TERM
	ro true
	ro false
	ro who absent
	ro users absent
	ro pinky -q absent
	ro stty -a
	END
}

# Numbers of inodes and random names are each side's own.
normal()
{
	case "$1 $2" in
	'mktemp '*) sed 's/x\.[A-Za-z0-9]*$/x.RANDOM/' ;;
	'find .') if [ "${*: -1}" = -ls ]; then sed 's/^ *[0-9]* //'; else cat; fi ;;
	*) cat ;;
	esac
}

compare_reset
# A set-user-id program is nothing a guest may make on the host; fifos and
# devices it makes are its own. So these two are no comparisons.
inside rw chmod 6755 fruit
is 'no set-user-id file is made on the host' "$(stat -c %a "$work/fruit")" 755
inside rw mkfifo pipe
is 'no fifo is made on the host' "$(LC_ALL=C ls "$work/pipe" 2>&1)" "ls: cannot access '$work/pipe': No such file or directory"

table >"$tap_tmp/table"
compare_table <"$tap_tmp/table"
if compare_as_user; then
	grep -e '^rw' -e closed "$tap_tmp/table" >"$tap_tmp/table.user"
	compare_table <"$tap_tmp/table.user"
else
	skip 'as an ordinary user' 'not root, or the programs are out of reach for others'
fi
tap_end
