# SPDX-License-Identifier: Apache-2.0
#
# usage: python-suite.py PICO TABLE [WORD,WORD... | MODULE...]
#
# Runs test modules of Python's regression suite in groups, each group in one
# process on the host and in one inside, and prints TAP: a module is right when
# it ends as on the host and each of its tests says what it said there (passed,
# skipped). A module that fails on the host proves nothing and is skipped. Of
# modules marked so, tests may fail for want of internet sockets or of a /usr
# that can be written, and say so (EAFNOSUPPORT, EROFS).
# WORD: the modules that the table gives this word; else `same` and `alone`.
# MODULE...: these alone, each in its own process, as if each were `same`.
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as tree

GROUP = 12  # modules a process
LIMIT = 150  # seconds a process
FILES = 1024  # RLIMIT_NOFILE, as it is inside
# Seconds in all: groups that would begin later are skipped, and say so.
BUDGET = int(os.environ.get('PICO_TEST_TIMEOUT', 300)) - LIMIT // 3
SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc']


class Side:
    """One run of a group: which modules began and failed, what each test said."""

    def __init__(self, text, report, status):
        self.status = status
        self.text = text
        self.began = re.findall(r'^\S+ (?:load avg: \S+ )?\[ *\d+/\d+[^]]*\] (test_\w+)', text, re.M)
        self.failed = set()
        for names in re.findall(r'^\d+ tests? failed:\n((?:    .*\n)+)', text, re.M):
            self.failed.update(names.split())
        self.tests = {}
        self.deprived = set()  # tests that failed for want of what is not there
        try:
            cases = list(tree.parse(report).iter('testcase'))
        except (OSError, tree.ParseError):
            cases = None
        self.finished = cases is not None
        for case in cases or []:
            name, said = (case.get('name') or '').split(' ')[0], 'passed'  # without a subtest's parameters
            for child in case:
                if child.tag in ('error', 'failure', 'skipped'):
                    why = ''.join(child.itertext())
                    said = child.tag + ': ' + why.strip().split('\n')[-1]
                    if '[Errno 97]' in why or "[Errno 30] Read-only file system: '/usr/" in why:
                        self.deprived.add(name)
            self.tests.setdefault(name, []).append(said)

    def of(self, module):
        # the tests of a package may have other names: test_ctypes has ctypes.test
        packages = ('test.' + module + '.', module.replace('test_', '', 1) + '.test.')
        return {name: said for name, said in self.tests.items() if name.startswith(packages)}

    def broken(self, module):
        """Why the module did not end well, or None."""
        if module in self.failed:
            return 'failed'
        if self.finished:
            return None
        if module not in self.began:
            return 'did not run'
        return 'ended with status %s' % self.status if module == self.began[-1] else None


def command(report, modules, only):
    argv = ['/usr/bin/python3', '-m', 'test', '--timeout', str(LIMIT - 10), '--junit-xml', report]
    for pattern in only:
        argv += ['-i', pattern[1:]] if pattern.startswith('!') else ['-m', pattern]
    return argv + modules


def run(argv, report, **options):
    process = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             errors='replace', check=False, **options)
    return Side(process.stdout, report, process.returncode)


def on_host(scratch, modules, only):
    temporary = scratch + '/tmp'
    shutil.rmtree(temporary, ignore_errors=True)
    os.mkdir(temporary)
    environment = {
        'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'HOME': temporary, 'TMPDIR': temporary, 'TERM': 'xterm', 'LANG': 'C.UTF-8',
    }
    report = scratch + '/host.xml'
    return run(['timeout', str(LIMIT)] + command(report, modules, only), report, cwd=temporary, env=environment,
               preexec_fn=lambda: resource.setrlimit(
                   resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))


def inside(scratch, pico, modules, only):
    mounts = [scratch + '/out:/out:rw'] + [name for name in SYSTEM if os.path.exists(name)]
    argv = [pico, 'run', '--timeout', str(LIMIT), '--uid', str(os.getuid()), '--gid', str(os.getgid())]
    for mount in mounts:
        argv += ['--mount', mount]
    shutil.rmtree(scratch + '/out', ignore_errors=True)
    os.mkdir(scratch + '/out')
    return run(argv + ['--'] + command('/out/report.xml', modules, only), scratch + '/out/report.xml')


def differences(host, guest, module):
    lines = []
    here, there = host.of(module), guest.of(module)
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            lines.append('%s: %s on the host, %s inside' %
                         (name, ', '.join(here.get(name, ['absent'])), ', '.join(there.get(name, ['absent']))))
    return lines


def words(said):
    """Outcomes without their texts: a skipped test may say why in other words."""
    return {name: [one.split(':')[0] for one in outcomes] for name, outcomes in said.items()}


class Tap:
    def __init__(self):
        self.count = self.bad = 0

    def line(self, ok, name, detail=()):
        self.count += 1
        print('%s %d - %s' % ('ok' if ok else 'not ok', self.count, name), flush=True)
        self.bad += not ok
        for text in detail:
            print('#   ' + text, flush=True)

    def skip(self, name, why):
        self.count += 1
        print('ok %d - %s # SKIP %s' % (self.count, name, why), flush=True)


def without(said, names):
    return {name: outcomes for name, outcomes in said.items() if name not in names}


def judge(tap, host, guest, module, but_some):
    lacking = guest.deprived if but_some else set()
    here, there = words(without(host.of(module), lacking)), words(without(guest.of(module), lacking))
    if why := host.broken(module):
        tap.skip(module, 'on the host itself: ' + why)
    elif but_some and guest.finished and here and here == there:
        tap.line(True, '%s (%d, without %d that lack something)' %
                 (module, len(there), len(guest.of(module)) - len(there)))
    elif why := guest.broken(module):
        tap.line(False, module, [why] + differences(host, guest, module)[:8] + guest.text.split('\n')[-25:])
    elif here != there:
        tap.line(False, module, differences(host, guest, module)[:8])
    else:
        tap.line(True, '%s (%d)' % (module, len(guest.of(module))))


def group(tap, scratch, pico, modules, but_some, only):
    sides = {}
    threads = [
        threading.Thread(target=lambda: sides.update(host=on_host(scratch, modules, only))),
        threading.Thread(target=lambda: sides.update(inside=inside(scratch, pico, modules, only))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    host, guest = sides['host'], sides['inside']
    for module in modules:
        judge(tap, host, guest, module, but_some)
    # Tests whose names do not say of which module they are.
    named = set().union(*(side.of(module).keys() for side in (host, guest) for module in modules), guest.deprived)
    here, there = words(without(host.tests, named)), words(without(guest.tests, named))
    if host.finished and guest.finished and here != there:
        tap.line(False, 'other tests of ' + ' '.join(modules),
                 [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)])


def groups(table, words_wanted):
    """Lists of modules to run together, whether tests may fail for what they lack, and which tests."""
    with open(table, encoding='utf-8') as lines:
        rows = [line.split() for line in lines if line.strip() and not line.startswith('#')]
    for word, size, but_some in (('children', GROUP, False), ('partly', GROUP, True), ('some', 1, True),
                                 ('same', GROUP, False), ('alone', 1, False), ('long', 1, True)):
        if word not in words_wanted:
            continue
        mine = [row for row in rows if row[1] == word]
        together = [row[0] for row in mine if not row[2:]]
        for first in range(0, len(together), size):
            yield together[first:first + size], but_some, []
        for row in mine:
            if row[2:]:
                yield [row[0]], but_some, row[2:]


def main():
    pico, table, asked = sys.argv[1], sys.argv[2], sys.argv[3:]
    words_wanted = 'same,alone'
    if asked and not asked[0].startswith('test_'):
        words_wanted, asked = asked[0], []
    tap = Tap()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for modules, but_some, only in [([name], False, []) for name in asked] or groups(table, words_wanted.split(',')):
            if asked or time.monotonic() - start < BUDGET:
                group(tap, scratch, pico, modules, but_some, only)
            else:
                for module in modules:
                    tap.skip(module, 'no time left')
    print('1..%d' % tap.count)
    sys.exit(tap.bad != 0)


main()
