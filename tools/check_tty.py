#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# The tool on a terminal: what is typed, ^C, ^Z, the window's size, and that a
# program cannot leave the terminal spoilt. Prints TAP.
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

PICO = os.path.join(os.environ.get('builddir', 'build'), 'pico')
count = failed = 0


def report(name, good, detail=''):
    global count, failed
    count += 1
    failed += not good
    print(f'{"ok" if good else "not ok"} {count} - {name}', flush=True)
    if not good:
        print('#   ' + detail.replace('\n', '\n#   '), flush=True)


class Session:
    """pico run ARGUMENTS on a terminal of its own."""

    def __init__(self, *arguments, rows=24, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(PICO, [PICO, 'run', *arguments])
        self.resize(rows, columns)
        self.text = ''
        self.status = None

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, wanted, seconds=10):
        end = time.monotonic() + seconds
        while wanted not in self.text and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode(errors='replace')
                except OSError:
                    break
        return wanted in self.text

    def wait(self, options=0, seconds=10):
        """The next change of state of the tool, or None."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.wait_for('\0', 0.02)
            pid, status = os.waitpid(self.pid, options | os.WNOHANG)
            if pid:
                return status
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

    def settings(self):
        return termios.tcgetattr(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


with Session('/bin/cat') as s:
    s.type('typed\r')
    report('what is typed is read', s.wait_for('typed\r\ntyped\r\n'), s.text)
    s.type('\x04')
    status = s.wait()
    report('^D ends the input', status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, str(status))

with Session('/bin/cat') as s:
    s.type('up\r')
    s.wait_for('up\r\nup\r\n')
    s.type('\x03')
    status = s.wait()
    report('^C interrupts the program, and the tool reports it',
           status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 130, str(status) + s.text)

with Session('/bin/cat') as s:
    s.type('up\r')
    s.wait_for('up\r\nup\r\n')
    s.type('\x1a')
    status = s.wait(os.WUNTRACED)
    report('^Z stops the tool', status is not None and os.WIFSTOPPED(status), str(status))
    if status is not None and os.WIFSTOPPED(status):
        os.kill(s.pid, signal.SIGCONT)
        s.type('again\r')
        report('and the program goes on with it', s.wait_for('again\r\nagain\r\n'), s.text)
        s.type('\x04')
        s.wait()
    else:
        report('and the program goes on with it', False, 'it was not stopped')

with Session('/bin/sh', '-c', 'cat | cat') as s:
    s.type('up\r')
    s.wait_for('up\r\nup\r\n')
    s.type('\x1a')
    status = s.wait(os.WUNTRACED)
    report('^Z stops a pipeline, all of it', status is not None and os.WIFSTOPPED(status), str(status))
    if status is not None and os.WIFSTOPPED(status):
        s.type('kept\r')
        report('which then reads nothing', not s.wait_for('kept\r\nkept\r\n', 0.5), s.text)
        os.kill(s.pid, signal.SIGCONT)
        report('until it goes on', s.wait_for('kept\r\nkept\r\n'), s.text)
        s.type('\x04')
        status = s.wait()
        report('and ends', status == 0, str(status))

with Session('--env=PS1=$ ', '--env=TERM=dumb', '/bin/bash', '--norc', '--noprofile', '-i') as s:
    s.wait_for('$ ')
    s.type('cat\r')
    s.wait_for('cat\r\n')
    time.sleep(0.2)
    s.type('up\r')
    s.wait_for('up\r\nup\r\n')
    s.type('\x1a')
    report('^Z in a shell with job control stops its job', s.wait_for('Stopped'), s.text)
    s.type('jobs; suspend -f\r')
    status = s.wait(os.WUNTRACED)
    report('and not the tool, until the shell itself is suspended', status is not None and os.WIFSTOPPED(status), str(status) + s.text)
    s.resize(17, 71)
    os.kill(s.pid, signal.SIGCONT)
    s.type('stty size\r')
    report('the window may have changed meanwhile', s.wait_for('17 71'), s.text)
    s.type('fg\r')
    s.wait_for('fg\r\ncat\r\n')
    time.sleep(0.2)
    s.type('again\r')
    report('its job goes on', s.wait_for('again\r\nagain\r\n'), s.text)
    s.type('\x03')
    s.wait_for('^C\r\n$ ')
    s.type('exit $?\r')
    status = s.wait()
    report('^C ends the job, not the shell', status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 130, str(status) + s.text)

with Session('/bin/sh', '-c', 'read x; exec stty size', rows=31, columns=97) as s:
    s.type('\r')
    report("the window's size", s.wait_for('31 97'), s.text)
    s.wait()

with Session('/bin/sh', '-c', 'trap "exec stty size" WINCH; echo up; while :; do :; done') as s:
    s.wait_for('up')
    s.resize(11, 55)
    report('and its change', s.wait_for('11 55'), s.text)
    s.wait()

SPOIL = 'import os, sys, tty; sys.stdin.readline(); tty.setraw(0); print("raw", flush=True); os.read(0, 1); os.kill(0, 9)'
with Session('/usr/bin/python3', '-S', '-c', SPOIL) as s:
    before = s.settings()
    s.type('\r')
    s.wait_for('raw')
    report('a program can set the terminal', s.settings() != before, s.text)
    s.type('x')
    status = s.wait()
    report('a killed one leaves it as it was', s.settings() == before, f'{status} {s.text}')

print(f'1..{count}')
sys.exit(failed != 0)
