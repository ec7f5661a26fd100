#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A small Debian in a writable root: debootstrap's second stage configures all of its
# packages inside, and what comes out is what comes out on the host. Then apt
# and dpkg there, from a repository in the root itself: owners, conffiles, users made by
# maintainer scripts, alternatives, diversions, triggers, removal.
#
# The one difference is meant: set-id bits never reach the host. The packages
# come from the mirror that the host's apt uses, and are kept in the build folder.

# What follows is root's, writes whole trees and enters them: without a directory of
# its own it must not begin.
. "${srcdir:-.}/tests/tap.sh" || exit 1
case ${tap_tmp:-} in
*/pico-test.*) [ -d "$tap_tmp" ] || exit 1 ;;
*) exit 1 ;;
esac

pico=$(realpath "$builddir/pico")
[ -x "$pico" ] || { echo "Bail out! no pico in $builddir"; exit 1; }
root=$tap_tmp/root
PATH=$PATH:/usr/sbin:/sbin
path=/usr/sbin:/usr/bin:/sbin:/bin

give_up()
{
	skip 'a small Debian' "$1"
	tap_end
}

[ "$(id -u)" = 0 ] || give_up 'debootstrap wants to be root'
for tool in debootstrap dpkg-deb apt-get; do
	command -v $tool >/dev/null || give_up "$tool is not installed"
done
suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
[ -n "$suite" ] && [ -n "$mirror" ] || give_up 'the host is no Debian with a mirror'

mkdir -p "$builddir/tests/debs" "$root"
chmod 755 "$tap_tmp"
timeout 250 debootstrap --foreign --variant=minbase --cache-dir="$(realpath "$builddir/tests/debs")" \
	"$suite" "$root" "$mirror" >"$tap_tmp/first" 2>&1 || {
	sed 's/^/# /' "$tap_tmp/first" | tail -n 5
	give_up 'no mirror can be reached'
}

# inside COMMAND...: as root of the tree. $as: who runs pico.
as=()
inside()
{
	"${as[@]}" timeout 250 "$pico" run --root "$root" --root-rw --env PATH=$path --env HOME=/root --env LC_ALL=C \
		--env DEBIAN_FRONTEND=noninteractive -- "$@"
}

on_host()
{
	chroot "$tap_tmp/native" /usr/bin/env -i PATH=$path HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
}

# Names, kinds, modes without set-id bits, owners, links, contents.
tree()
{
	(cd "$1" && {
		find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp \) -prune -o -printf '%P %y %m %U:%G %l\n' |
			sed -E 's/^(.* f )[246]([0-7]{3}) /\1\2 /' | sort
		find . -xdev -type f -not -path './var/log/*' -not -path './var/cache/ldconfig/*' -not -path './run/*' -not -path './tmp/*' \
			-exec md5sum {} + | sort -k 2
	})
}

# ---- the second stage ----

mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/quick"

cp -a "$root" "$tap_tmp/native"
if inside /bin/sh /debootstrap/debootstrap --second-stage >"$tap_tmp/second" 2>&1; then
	tap_pass 'debootstrap --second-stage'
else
	tap_fail 'debootstrap --second-stage' "$(tail -n 20 "$tap_tmp/second")"
	tap_end
fi
timeout 250 chroot "$tap_tmp/native" /bin/sh /debootstrap/debootstrap --second-stage >"$tap_tmp/native.out" 2>&1
native=$?
umount "$tap_tmp/native/proc" "$tap_tmp/native/sys" 2>/dev/null # it does so itself, when nothing goes wrong
if [ "$native" = 0 ]; then
	tree "$root" >"$tap_tmp/tree"
	tree "$tap_tmp/native" >"$tap_tmp/native.tree"
	empty 'the same tree as on the host' "$(diff "$tap_tmp/native.tree" "$tap_tmp/tree" | head -n 20)"
	is 'the same packages' "$(inside dpkg -l)" "$(on_host dpkg -l)"
else
	skip 'the same tree as on the host' 'the host does not let us chroot'
fi
empty 'dpkg --verify' "$(inside dpkg --verify 2>&1)"

# ---- packages of our own ----

# package NAME VERSION [FIELD...]: from ./NAME, with the scripts in ./NAME/DEBIAN.
package()
{
	local name=$1 version=$2
	shift 2
	mkdir -p "$name/DEBIAN"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n' "$name" "$version"
		[ $# = 0 ] || printf '%s\n' "$@"
		printf 'Description: a test\n'
	} >"$name/DEBIAN/control"
	dpkg-deb -b "$name" "$root/repository/${name}_$version.deb" >/dev/null
}

repository()
{
	local deb
	for deb in ./*.deb; do
		dpkg-deb -f "$deb"
		printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum <"$deb" | cut -d' ' -f1)"
	done >Packages
}

mkdir "$root/repository" "$tap_tmp/packages"
cd "$tap_tmp/packages" || exit 1
umask 022
mkdir -p tool/usr/bin tool/usr/share/tool tool/etc tool/var/lib/tool tool/DEBIAN
printf '#!/bin/sh\necho "tool $(cat /etc/tool.conf)"\n' >tool/usr/bin/tool.real
chmod 755 tool/usr/bin/tool.real
echo first >tool/etc/tool.conf
echo /etc/tool.conf >tool/DEBIAN/conffiles
echo shared >tool/usr/share/tool/one
ln tool/usr/share/tool/one tool/usr/share/tool/two
ln -s ../share/tool/one tool/usr/bin/tool.link
echo secret >tool/var/lib/tool/secret
chown 0:42 tool/var/lib/tool/secret
chmod 640 tool/var/lib/tool/secret
chown 5:12 tool/usr/share/tool
cat >tool/DEBIAN/postinst <<-'END'
	#!/bin/sh -e
	[ "$1" = configure ] || exit 0
	adduser --system --group --home /var/lib/tool --no-create-home toolish >/dev/null 2>&1
	chown -R toolish:toolish /var/lib/tool
	chmod 2750 /var/lib/tool
	update-alternatives --install /usr/bin/tool tool /usr/bin/tool.real 10 >/dev/null
END
cat >tool/DEBIAN/prerm <<-'END'
	#!/bin/sh -e
	update-alternatives --remove tool /usr/bin/tool.real
END
chmod 755 tool/DEBIAN/postinst tool/DEBIAN/prerm
package tool 1.0 'Depends: library (>= 2)'
mkdir -p library/usr/share/library
echo 2 >library/usr/share/library/version
package library 2.0
cp -a tool tool.old
echo second >tool/etc/tool.conf
package tool 1.1 'Depends: library (>= 2)'
(cd "$root/repository" && repository)
echo 'deb [trusted=yes] file:/repository ./' >"$root/etc/apt/sources.list"

is 'apt-get update' "$(inside apt-get -q update >"$tap_tmp/out" 2>&1; echo $?)" 0
is 'apt-get install of an older version' "$(inside apt-get -q -y install tool=1.0 >"$tap_tmp/out" 2>&1; echo $?)" 0
is 'it runs' "$(inside tool)" 'tool first'
is 'owners of files' "$(inside stat -c '%n %U:%G %a' /var/lib/tool /var/lib/tool/secret /usr/share/tool)" \
	'/var/lib/tool toolish:toolish 2750
/var/lib/tool/secret toolish:toolish 640
/usr/share/tool games:man 755'
is 'hard links' "$(inside stat -c %h /usr/share/tool/one)" 2
is 'what the host sees of owners' "$(stat -c %u "$root/var/lib/tool")" "$(inside id -u toolish)"
is 'apt-get upgrade' "$(inside apt-get -q -y upgrade >"$tap_tmp/out" 2>&1; echo $?)" 0
is 'an untouched conffile is replaced' "$(inside tool)" 'tool second'
empty 'dpkg --verify of them' "$(inside dpkg --verify tool library)"
is 'apt-get install of a file' "$(inside sh -c 'apt-get -q -y remove tool && apt-get -q -y install /repository/tool_1.0.deb' >"$tap_tmp/out" 2>&1; echo $?)" 0
is 'a diversion' "$(inside sh -c 'dpkg-divert --quiet --rename --add /usr/share/library/version; ls /usr/share/library; dpkg-divert --quiet --rename --remove /usr/share/library/version; cat /usr/share/library/version')" \
	'version.distrib
2'
is 'purge and autoremove' "$(inside sh -c 'apt-get -q -y purge tool >/dev/null 2>&1; apt-get -q -y autoremove >/dev/null 2>&1; dpkg-query -W tool library 2>/dev/null; ls -d /etc/tool.conf /usr/share/library /usr/bin/tool 2>/dev/null; echo $?')" 2

# ---- by an ordinary user ----

# Such a host can give files to nobody else: all of the tree is the guest root's.
if command -v setpriv >/dev/null && as=(setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all) &&
	"${as[@]}" test -x "$pico"; then
	chown -R -h 1000:1000 "$root"
	is 'an ordinary user: dpkg -i' "$(inside dpkg -i /repository/library_2.0.deb >"$tap_tmp/out" 2>&1; echo $?)" 0
	is 'an ordinary user: all is root'\''s' "$(inside stat -c %u:%g /usr/share/library/version /etc/shadow)" '0:0
0:0'
	is 'an ordinary user: owners that cannot be are refused' \
		"$(inside sh -c 'chown 6 /usr/share/library/version 2>&1; chown 0:0 /usr/share/library/version && echo mine')" \
		"chown: changing ownership of '/usr/share/library/version': Operation not permitted
mine"
	is 'an ordinary user: apt-get update and remove' \
		"$(inside sh -c 'apt-get -q update && apt-get -q -y remove library' >"$tap_tmp/out" 2>&1; echo $?)" 0
else
	skip 'an ordinary user' 'none here'
fi
tap_end
