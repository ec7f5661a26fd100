# SPDX-License-Identifier: Apache-2.0
# Children, pipes, sockets and signals of Perl.
use strict; use warnings; use IPC::Open3; use IPC::Open2; use POSIX ":sys_wait_h"; use Socket; use IO::Socket::UNIX; use IO::Select; use IO::Handle; use Symbol 'gensym';
$| = 1;
my $pid = fork(); if (!$pid) { exit 3 } waitpid($pid, 0); print "st ", $? >> 8, "\n";
open(my $p, '-|', 'seq 5') or die; print "pipe: $_" while <$p>; close $p; print "close $?\n";
open($p, '|-', 'sort -r') or die; print $p "$_\n" for 1..5; close $p; print "close $?\n";
open($p, '-|') // die or do { print "child says\n"; exit 2 }; print <$p>; close $p; print $? >> 8, "\n";
my $q = open(my $r, '|-') // die; if (!$q) { while (<STDIN>) { print "got $_" } exit 1 } print $r "to child\n"; close $r; print $? >> 8, "\n";
my ($in, $out, $err); $err = gensym; $pid = open3($in, $out, $err, 'sh', '-c', 'cat; echo err >&2; exit 9'); print $in "in\n"; close $in; print "o $_" while <$out>; print "e $_" while <$err>; waitpid($pid, 0); print $? >> 8, "\n";
$pid = open2(my $o2, my $i2, 'bc', '-q'); for (1..3) { print $i2 "$_ * 7\n"; print scalar <$o2> } close $i2; waitpid $pid, 0;
print `echo back; exit 4`, $? >> 8, "\n"; print system('exit 6') >> 8, "\n"; print system('true', 'x'), "\n"; print system('/nonexistent'), " $!\n";
my %kids; $SIG{CHLD} = sub { while ((my $k = waitpid(-1, WNOHANG)) > 0) { $kids{$k} = $? >> 8 } };
my @p; for my $i (1..20) { my $f = fork; if (!$f) { select undef, undef, undef, 0.01 * ($i % 4); exit $i } push @p, $f }
sleep 1 while keys %kids < 20; print join(' ', map { $kids{$_} } @p), "\n"; $SIG{CHLD} = 'DEFAULT';
print waitpid(-1, 0), " ", $!{ECHILD} ? 'ECHILD' : '', "\n";
local $SIG{CHLD} = 'IGNORE'; $pid = fork // die; exit 3 if !$pid; print waitpid($pid, 0), "\n"; $SIG{CHLD} = 'DEFAULT';
eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; sleep 10; }; print $@;
$SIG{USR1} = sub { print "usr1\n" }; $pid = fork; if (!$pid) { kill USR1 => getppid; exit } waitpid $pid, 0;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; $pid = fork; if (!$pid) { close $a; while (<$b>) { $b->syswrite("echo $_") } exit } close $b; $a->syswrite("hello\n"); print scalar <$a>; shutdown($a, 1); waitpid $pid, 0; print "sp $?\n";
my $s = IO::Socket::UNIX->new(Local => 'sock', Listen => 5) or die "$!"; my @c; for my $i (1..5) { my $f = fork; if (!$f) { my $c = IO::Socket::UNIX->new(Peer => 'sock') or die "$!"; print $c "client $i\n"; my $l = <$c>; exit($l eq "hi client $i\n" ? 0 : 1) } push @c, $f } for (1..5) { my $c = $s->accept; my $l = <$c>; print $c "hi $l"; } my $bad = 0; for (@c) { waitpid $_, 0; $bad += $? } print "bad $bad\n"; unlink 'sock';
pipe(my $pr, my $pw); my $sel = IO::Select->new($pr); print scalar($sel->can_read(0.05)), "\n"; syswrite $pw, "x"; print scalar($sel->can_read(0)), "\n";
$SIG{PIPE} = sub { print "sigpipe\n" }; close $pr; syswrite($pw, "y") // print $!{EPIPE} ? "EPIPE\n" : "$!\n";
$pid = fork; if (!$pid) { $SIG{TERM} = sub { exit 12 }; sleep 10; exit 1 } select undef, undef, undef, 0.2; kill TERM => $pid; waitpid $pid, 0; print $? >> 8, "\n";
$pid = fork; if (!$pid) { kill STOP => $$; exit 5 } waitpid $pid, WUNTRACED; print WIFSTOPPED($?) ? "stopped " . WSTOPSIG($?) : "no", "\n"; kill CONT => $pid; waitpid $pid, 0; print $? >> 8, "\n";
$pid = fork; if (!$pid) { setpgrp; my $g = fork; if (!$g) { sleep 20 } sleep 20 } select undef, undef, undef, 0.2; kill -15, $pid; waitpid $pid, 0; print $? & 127, "\n";
open(my $lock, '>', 'lock'); flock($lock, 2); $pid = fork; if (!$pid) { open(my $l2, '<', 'lock'); print flock($l2, 6) ? "got\n" : "locked\n"; exit } waitpid $pid, 0;
exec 'sh', '-c', 'echo exec; exit 8';
