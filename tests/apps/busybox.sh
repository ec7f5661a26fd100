#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# busybox, a static program that is a hundred: each applet on the host and
# inside, in one directory of files.
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"

if ! command -v busybox >/dev/null; then
	skip 'busybox applets' 'busybox-static is not installed'
	tap_end
fi

fixture()
{
	mkdir -p dir/sub/deep empty
	for i in 3 1 2 10 7; do printf '%s line %s\tx\n' "$i" "$((i * i))"; done >lines
	printf 'apple 1\nbanana 2\nbanana 2\ncherry 3\n' >fruit
	printf 'apple red\ncherry dark\n' >colour
	printf 'one two three\nfour five six\n\nseven\n' >stdin
	awk 'BEGIN { for (i = 0; i < 3000; i++) printf "%d %d some words to press\n", i, i * i % 997 }' >big
	printf '#!/bin/sh\necho "$# $1"\n' >script
	printf 'a\000b\001\377\n' >binary
	printf 'dos\r\nline\r\n' >dos
	cp fruit dir/copy
	cp lines dir/sub/lines
	: >dir/sub/deep/none
	ln dir/copy dir/hard
	ln -s ../lines dir/soft
	ln -s nowhere dir/dangling
	chmod 755 script
	chmod 600 colour
	chmod 1777 empty
	tar cf archive.tar dir fruit
	gzip -9nc big >big.gz
	bzip2 -c big >big.bz2 2>/dev/null || cp big.gz big.bz2
	xz -c big >big.xz 2>/dev/null || cp big.gz big.xz
	mkfifo fifo
	find . -exec touch -h -d '2021-03-04 05:06:07.123456789 UTC' {} +
}

# Which applets know something that a picoprocess has of its own: who is
# logged in, the clock, its ids; those are not in the table.
table()
{
	cat <<-'END'
	# reading and text
	ro cat lines fruit
	ro cat -n lines
	ro cat absent fruit
	ro tac lines
	ro head -n 2 lines fruit
	ro head -c 7 big
	ro tail -n 2 lines
	ro tail -c +10 fruit
	ro wc lines big
	ro wc
	ro sort -n lines
	ro sort -k 2 -r fruit
	ro sort -u fruit lines
	ro uniq -c fruit
	ro cut -d ' ' -f 2 lines
	ro cut -c 2-4
	ro tr a-z A-Z
	ro tr -d o
	ro rev lines
	ro nl lines
	ro fold -w 5 fruit
	ro expand lines
	ro unexpand -a lines
	ro paste fruit colour
	ro paste -s -d , fruit
	ro grep -n an fruit
	ro grep -r line dir
	ro grep -c absent fruit
	ro egrep -o '[a-n]+' fruit
	ro fgrep -v banana fruit
	ro sed -n '2,3s/a/<&>/gp' fruit
	ro awk '{ s += $2; print NR, $1 } END { print s; printf "%5.2f|%s\n", s / 3, toupper("x") }' fruit
	ro cmp fruit lines
	ro cmp fruit dir/copy
	ro diff fruit colour
	ro diff -u fruit lines
	ro od -An -tx1 -c binary
	ro od -b binary
	ro hexdump -C binary
	ro xxd binary
	ro strings big.gz
	ro base64 binary
	ro uuencode -m binary name
	ro md5sum lines big
	ro sha1sum lines
	ro sha256sum lines
	ro sha512sum lines
	ro sha3sum lines
	ro crc32 lines
	ro gunzip -c big.gz
	ro bzcat big.bz2
	ro xzcat big.xz
	ro dc -e '2 3 + p 7 * p'
	ro bc lines
	ro seq 3 4 20
	ro seq -w 8 11
	ro factor 123456789 97
	ro expr 6 '*' 7
	ro expr abc : 'a\(.\)'
	ro printf '%05d|%s|%x\n' 42 str 255
	ro echo -e 'a\tb\n'
	ro yes --help
	ro cal 2 2024
	ro shuf -i 1-1
	ro ascii
	# names and attributes
	ro ls -lA
	ro ls -lR dir
	ro ls -li dir/copy absent
	ro ls -1S
	ro stat -c '%n %s %a %A %F %h %u %g %Y' lines dir dir/soft fifo empty
	ro stat dir/soft
	ro du -a dir
	ro du -s absent
	ro find . -name 'l*' -type f
	ro find dir -newer absent
	ro find . -perm 600 -o -links 2
	ro find . -maxdepth 2 -size +1k
	ro readlink dir/soft
	ro readlink -f dir/soft
	ro realpath dir/../fruit absent
	ro basename /a/b.c .c
	ro dirname /a/b.c
	ro pwd
	ro test -L dir/dangling
	ro test -e dir/dangling
	ro test -x script
	ro test fruit -nt absent
	ro [ -d dir -a -p fifo ]
	ro which cat no-such-program
	# changing
	rw cp fruit new
	rw cp -a dir new
	rw cp -r dir absent/new
	rw cp fruit lines empty
	rw mv lines dir/moved
	rw mv dir new
	rw mv -n fruit lines
	rw mv absent lines
	rw rm fruit
	rw rm -r dir
	rw rm dir
	rw rm -f absent
	rw rmdir empty
	rw rmdir dir
	rw rmdir -p dir/sub/deep
	rw mkdir -p a/b/c dir
	rw mkdir -m 750 one
	rw mkdir dir
	rw ln fruit hard
	rw ln -s fruit soft
	rw ln -sf lines dir/soft
	rw ln fruit lines
	rw link fruit hard2
	rw unlink dir/soft
	rw touch new
	rw touch -d '2020-01-02 03:04:05' fruit new
	rw touch -c absent
	rw touch -r fruit lines
	rw chmod 640 fruit
	rw chmod -R u+x,go-r dir
	rw chmod 700 absent
	rw chown 0:0 fruit
	own mkfifo pipe
	rw mkfifo fifo
	rw truncate -s 100 fruit
	rw truncate -s 0 new
	rw fallocate -l 5000 new
	rw dd if=big of=new bs=1000 count=5 skip=2 seek=1
	rw dd if=fruit of=lines conv=notrunc bs=1 seek=3 count=4
	rw tee new
	rw tee -a fruit
	rw split -l 1000 big part.
	rw sed -i 's/banana/kiwi/' fruit
	rw sort -o fruit lines
	rw dos2unix dos
	rw unix2dos fruit
	rw gzip fruit
	rw gzip big
	rw gunzip -f big.gz
	rw bzip2 fruit
	rw bunzip2 -f big.bz2
	rw unxz -f big.xz
	rw tar cf new.tar dir
	rw tar xf archive.tar -C empty
	ro tar tvf archive.tar
	ro tar tf absent
	rw shred -n 1 -z -u fruit
	rw mktemp -u -p . x.XXXXXX
	rw uudecode stdin
	rw patch -p0
	rw run-parts --test dir
	rw cpio -t
	rw ar t archive.tar
	own mknod node p
	rw sync -d fruit
	rw od -d absent
	rw vi --help
	# processes, the shell, the machine
	ro sh -c 'for i in 1 2 3; do echo $((i * 2)); done; exit 7'
	ro sh -c 'while read a b; do echo "$b:$a"; done; trap "echo bye" EXIT; kill -0 $$'
	rw sh -c 'echo text >new; echo more >>new; read line <new; echo $line; exec 3<fruit; read x <&3; echo $x'
	rw sh -c 'umask 027; : >made; cd dir/sub; pwd; echo *; set -C; echo no >lines'
	ro sh -c 'kill -TERM $$'
	ro sh -c 'ulimit -n; ulimit -f 1; ulimit -f'
	ro sh script
	ro ash -c 'exec ./script one two'
	ro env A=1 B=2 busybox sh -c 'echo $A $B'
	ro env
	ro id -u
	ro groups
	ro whoami
	ro tty
	ro getopt -o ab: -- -a -b x y
	ro sleep 0.05
	ro usleep 1000
	ro date -u -d @86400 '+%F %T %j'
	ro date -u -r fruit
	ro uname -s
	ro nproc
	ro true
	ro false
	ro kill -l
	ro kill -0 99999
	ro ionice
	ro chroot absent
	ro ipcalc -n 10.1.2.3/8
	ro no-such-applet
	END
}

# Inside there is one process, and its number and free room are its own.
normal()
{
	case "$2 $3" in
	'mktemp -u') sed 's/x\.[A-Za-z0-9]*$/x.RANDOM/' ;;
	'ls -li') sed 's/^ *[0-9]* //' ;;
	'stat dir/soft') sed 's/^Device.*Links/Links/; /^Change/d; /^Access: 20/d' ;;
	'env ') sort | grep -v -e ^PWD -e ^SHLVL -e ^OLDPWD ;;
	*) cat ;;
	esac
}

# The limits a program starts with inside.
ulimit -Sn 1024

table | sed 's/^[a-z]* /&busybox /' >"$tap_tmp/table"
compare_table <"$tap_tmp/table"
if compare_as_user; then
	grep ^rw "$tap_tmp/table" >"$tap_tmp/table.user"
	compare_table <"$tap_tmp/table.user"
else
	skip 'as an ordinary user' 'not root, or the programs are out of reach for others'
fi
tap_end
