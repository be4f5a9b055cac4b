"""Real nodes for the system tests: temporary homes, free ports, and an end for every process.

A test is a python3 script of cases: functions with @case("a promise in words"), run in order by
main(). Each case gets a fresh Bench: a temporary directory, nodes, commands and random files. All of
it is gone when the case ends, whichever way. Nothing sleeps for a fixed time: wait_for() asks again
until its deadline.

main(at_once=N) runs N of them side by side.

    script.py PATH/OF/haul [PART OF A CASE'S NAME]

The last line is `N passed, N failed`; the exit status is 1 on a failure and 77 when nothing ran.
"""
import contextlib
import ctypes
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HAUL = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
# Small programs beside this file; the build hands in their places.
LIAR = os.environ.get("HAUL_LIAR", "")
PLANT_BLOCK = os.environ.get("PLANT_BLOCK", "")
WITHOUT_IO_URING = os.environ.get("WITHOUT_IO_URING", "")
WITHOUT_OPTION = os.environ.get("WITHOUT_OPTION", "")
DEADLINE = float(os.environ.get("HAUL_TEST_DEADLINE", "30"))  # seconds any one wait may take
# Small arenas, so that many tests run at once; loopback alone, so that nobody else can be met.
SETTINGS = {
    "listen.tcp": "127.0.0.1:0",
    "listen.udp": "127.0.0.1:0",
    "slots.filling": "16",
    "slots.serving": "16",
    "slots.control": "8",
}

_cases = []
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """Raised with the reason why this machine cannot run the case."""


def lacks(reason):
    """The machine has no ports of DPDK to test with: not to be had by everybody, but continuous integration has them."""
    return AssertionError(reason) if os.environ.get("HAUL_PORTS_REQUIRED") else Skip(reason)


def case(promise):
    def add(function):
        _cases.append((promise, function))
        return function

    return add


def wait_for(condition, what, seconds=None):
    """The first true value of condition(); fails after the deadline."""
    end = time.monotonic() + (seconds or DEADLINE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.01)


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r:.300}, expected {expected!r:.300}")


def contains(text, part, what=""):
    if part not in text:
        raise AssertionError(f"{what}: {part!r} is not in {text!r:.800}")


def _die_with_us():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Done:
    """A command that has ended."""

    def __init__(self, args, status, out, err, seconds):
        self.args, self.status, self.out, self.err, self.seconds = args, status, out, err, seconds

    @property
    def text(self):
        return self.out.decode(errors="replace").strip()

    @property
    def objects(self):
        """Every line of --json, each of which must be one object."""
        rows = [json.loads(line) for line in self.out.decode().splitlines()]
        for row in rows:
            equal(type(row), dict, f"a line of {self.args}")
        return rows

    @property
    def object(self):
        rows = self.objects
        assert rows, f"{self} printed nothing"
        return rows[-1]

    def ok(self):
        equal(self.status, 0, str(self))
        return self

    def fails(self, code, *parts, status=1):
        """With --json: this error code, and these parts in its text."""
        equal(self.status, status, str(self))
        error = self.object
        equal(error.get("event"), "error", str(self))
        equal(error["code"], code, f"{self.args}: {error['text']}")
        for part in parts:
            contains(error["text"], part, str(self.args))
        assert error["next"], "an error says what to do next"
        return self

    def __str__(self):
        said = (self.err + self.out)[-600:].decode(errors="replace")
        return f"{' '.join(map(str, self.args))} (exit {self.status}): {said}"


class Node:
    def __init__(self, bench, name, launcher=(), settings=None, options=(), wait=True):
        self.bench, self.name = bench, name
        self.home = bench.path(name)
        self.launcher = list(launcher)
        self.settings = {**SETTINGS, **(settings or {})}
        self.options = list(options)
        self.process = None
        self.start(wait)

    @property
    def log_path(self):
        return self.bench.path(f"{self.name}.log")

    def start(self, wait=True):
        args = [*self.launcher, HAUL, "node", "--home", self.home, *self.options]
        for key, value in self.settings.items():
            if value is not None:
                args += ["--set", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = self.bench.popen(args, stdout=subprocess.PIPE, stderr=log)
        self.ready = ""
        if wait:
            self.ready = self.process.stdout.readline().decode()
            if not self.ready.startswith("ready "):
                self.process.wait(DEADLINE)
                raise AssertionError(f"node {self.name} did not start: {self.ready}{self.log()}")

    @property
    def pid(self):
        return self.process.pid

    @property
    def peer(self):
        return self.ready.split("peer=")[1].split()[0]

    @property
    def addresses(self):
        return [word[8:] for word in self.ready.split() if word.startswith("address=")]

    @property
    def tcp_port(self):
        return int(self.addresses[0].split("/tcp/")[1])

    @property
    def udp_port(self):
        return int(self.status()["net"]["address"].rsplit(":", 1)[1])

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, "rb") as log:
            return log.read().decode(errors="replace")

    def run(self, command, *args, **options):
        return self.bench.run(command, "--home", self.home, *args, **options)

    def json(self, command, *args, **options):
        return self.run(command, "--json", *args, **options)

    def status(self):
        return self.json("status").ok().object

    def put(self, path, *args):
        return self.json("put", path, *args).ok().object["cid"]

    def share(self, what, *args):
        """The ticket."""
        return self.json("share", what, *args).ok().object["ticket"]

    def get(self, what, *args, **options):
        return self.json("get", what, *args, **options)

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """In order, as an operator would; the node must end well."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.process = None
        equal(status, 0, f"exit of node {self.name}: {self.log()[-500:]}")

    def kill(self):
        """As a crash would."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def __str__(self):
        return f"node {self.name}"


class Bench:
    """What one case uses."""

    def __init__(self, seed):
        self.root = tempfile.mkdtemp(prefix="haul-system-")
        self.random = random.Random(seed)
        self.processes = []
        self.nodes = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("HAUL_")}
        self.environment.update(HOME=self.root, LC_ALL="C.UTF-8", HAUL_HOME=self.path("no-home"))

    def path(self, *names):
        return os.path.join(self.root, *names)

    def popen(self, args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(args, env=self.environment, cwd=self.root,
                                   preexec_fn=_die_with_us, **options)
        self.processes.append(process)
        return process

    def start(self, command, *args, **options):
        """A haul command that goes on meanwhile."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return self.popen([HAUL, command, *args], **options)

    def finish(self, process, seconds=None):
        began = time.monotonic()
        out, err = process.communicate(timeout=seconds or DEADLINE * 2)
        return Done(process.args[1:], process.returncode, out, err, time.monotonic() - began)

    def run(self, command, *args, input=None, seconds=None):
        began = time.monotonic()
        process = self.start(command, *args, stdin=subprocess.PIPE if input is not None
                             else subprocess.DEVNULL)
        out, err = process.communicate(input, timeout=seconds or DEADLINE * 2)
        return Done([command, *args], process.returncode, out, err, time.monotonic() - began)

    def node(self, name, launcher=(), settings=None, options=(), wait=True):
        node = Node(self, name, launcher, settings, options, wait)
        self.nodes.append(node)
        return node

    def pair(self, settings=None, options=()):
        return (self.node("seeder", settings=settings, options=options),
                self.node("getter", settings=settings, options=options))

    def bytes(self, count):
        return self.random.randbytes(count)

    def file(self, name, content=b""):
        """Content, or that many random bytes."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(self.bytes(content) if isinstance(content, int) else content)
        return path

    def directory(self, name):
        os.makedirs(self.path(name), exist_ok=True)
        return self.path(name)

    def close(self):
        """Whatever still runs is ended by its id; a node that had died unasked is a failure."""
        dead = []
        for node in self.nodes:
            if node.process is not None and not node.alive() and node.ready:
                dead.append(f"{node} ended with {node.process.returncode}: {node.log()[-2000:]}")
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr, process.stdin):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        shutil.rmtree(self.root, ignore_errors=True)
        return dead


def describe(path):
    """What a tree holds: {relative name: file bytes' hash, link target, or directory}."""
    path = os.fsencode(path)
    found = {}

    def visit(at, name):
        if os.path.islink(at):
            found[name] = b"link " + os.readlink(at)
        elif os.path.isdir(at):
            found[name] = b"directory"
            for child in os.listdir(at):
                visit(os.path.join(at, child), name + b"/" + child)
        else:
            with open(at, "rb") as content:
                found[name] = hashlib.sha256(content.read()).hexdigest().encode()

    visit(path, b"")
    return found


def same(a, b):
    left, right = describe(a), describe(b)
    if left != right:
        wrong = [k for k in {**left, **right} if left.get(k) != right.get(k)]
        raise AssertionError(f"{a} and {b} differ in {sorted(wrong)[:5]}")


def came_by(record):
    """The carriers that moved any of it; what an earlier get had left did not move."""
    return [carrier for carrier in record["bytes_by_carrier"] if carrier != "local"]


def leftovers(directory, *expected):
    """Names in a directory apart from the expected ones: parts that a command left behind."""
    return sorted(set(os.listdir(directory)) - set(expected))


def dial(node, port=None):
    connection = socket.create_connection(("127.0.0.1", port or node.tcp_port), timeout=DEADLINE)
    return connection


def side_by_side(at_once):
    """Each case in a process of its own, so many at once: for those that mostly wait for a deadline."""
    waiting, running, sums = [promise for promise, _ in _cases], [], [0, 0, 0]
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                out = tempfile.TemporaryFile()
                running.append((subprocess.Popen([sys.executable, sys.argv[0], HAUL, waiting.pop(0)],
                                                 stdout=out, stderr=subprocess.STDOUT,
                                                 preexec_fn=_die_with_us), out))
            for process, out in [each for each in running if each[0].poll() is not None]:
                running.remove((process, out))
                out.seek(0)
                lines = out.read().decode(errors="replace").splitlines()
                out.close()
                found = re.fullmatch(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", lines[-1] if lines else "")
                numbers = [int(number or 0) for number in found.groups()] if found else [0, 1, 0]
                sums = [a + b for a, b in zip(sums, numbers)]
                print("\n".join(lines[:-1] if found else lines), flush=True)
            time.sleep(0.02)
    finally:
        for process, _ in running:
            process.terminate()
            process.wait()
    return sums


def finish(passed, failed, skipped):
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 77 if not passed else 0)


def main(at_once=1):
    passed = failed = 0
    skipped = []
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    # A runner that gives up sends SIGTERM: then everything is cleaned up as for a failure.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if at_once > 1 and not only:
        finish(*side_by_side(at_once))
    for number, (promise, function) in enumerate(_cases):
        if only not in promise:
            continue
        bench = Bench(number)
        began = time.monotonic()
        problem = []
        try:
            function(bench)
        except Skip as reason:
            skipped.append(promise)
            print(f"skipped {promise}: {reason}", flush=True)
            bench.close()
            continue
        except Exception:
            problem.append(traceback.format_exc())
            problem += [f"--- {node}\n{node.log()[-1500:]}" for node in bench.nodes]
        finally:
            problem += bench.close()
        seconds = time.monotonic() - began
        if problem:
            failed += 1
            print(f"FAILED  {promise} ({seconds:.1f} s)\n" + "\n".join(problem), flush=True)
        else:
            passed += 1
            print(f"ok      {promise} ({seconds:.1f} s)", flush=True)
    finish(passed, failed, len(skipped))
