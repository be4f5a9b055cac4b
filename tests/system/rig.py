"""What the system tests share: real nodes in temporary homes, commands against them, and promises
that are counted. HAUL names the program."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HAUL = os.environ.get("HAUL", os.path.join(ROOT, "build/release/controlplane/cmd/haul"))
PATIENCE = 60

passed = 0
failed = 0
work = tempfile.mkdtemp(prefix="haul-test-", dir=os.environ.get("TMPDIR", "/var/tmp"))
nodes = []


def check(promise, kept, why=""):
    """Counts one promise; a broken one says why."""
    global passed, failed
    if kept:
        passed += 1
        print(f"ok      {promise}", flush=True)
    else:
        failed += 1
        print(f"FAILED  {promise}\n        {str(why)[-2000:]}", flush=True)
    return bool(kept)


def path(*names):
    return os.path.join(work, *names)


def haul(*words, home=None, stdin=None, ok=None, timeout=PATIENCE, env=None, cwd=None):
    """Runs a command; `ok` True or False asserts how it ends."""
    argv = [HAUL, *words]
    if home is not None:
        argv += ["--home", home]
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False,
                              env={**os.environ, **(env or {})}, cwd=cwd)
    except subprocess.TimeoutExpired as late:
        done = subprocess.CompletedProcess(argv, 124, late.stdout or b"", b"timed out")
    if ok is not None and (done.returncode == 0) != ok:
        check(f"`haul {' '.join(words)}` {'works' if ok else 'fails'}", False,
              f"exit {done.returncode}: {done.stdout[-500:]!r} {done.stderr[-1500:]!r}")
    return done


def text(done):
    return done.stdout.decode().strip()


def code(done):
    """The stable error code that a command printed, with its exit status."""
    words = done.stderr.decode(errors="replace")
    found = words[words.rfind("[") + 1:words.rfind("]")] if "[" in words else ""
    return done.returncode, found


class Node:
    """A running `haul node`."""

    def __init__(self, name, *settings, perf=False):
        self.home = path(name)
        self.log = path(name + ".log")
        argv = [HAUL, "node", "--home", self.home]
        for setting in ("listen.tcp=127.0.0.1:0", "listen.udp=127.0.0.1:0", *settings):
            argv += ["--set", setting]
        if perf:
            argv.append("--perf")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline().decode()
        if not line.startswith("ready "):
            raise RuntimeError(f"node {name} did not start: {open(self.log).read()[-2000:]}")
        self.peer = line.split("peer=")[1].split()[0]
        nodes.append(self)

    def status(self):
        return json.loads(text(haul("status", "--json", home=self.home)))

    def stop(self, how=signal.SIGTERM):
        """The exit status."""
        if self in nodes:
            nodes.remove(self)
        self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -1

    def alive(self):
        return self.process.poll() is None

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()


def listing(root):
    """Kind, name, target, permission bits and content of everything below a directory."""
    found = {}
    for where, directories, files in os.walk(root):
        for name in directories + files:
            full = os.path.join(where, name)
            relative = os.path.relpath(full, root)
            facts = os.lstat(full)
            if os.path.islink(full):
                found[relative] = ("link", os.readlink(full))
            elif os.path.isdir(full):
                found[relative] = ("directory", facts.st_mode & 0o777)
            else:
                with open(full, "rb") as file:
                    found[relative] = ("file", facts.st_mode & 0o777, file.read())
    return found


def same(a, b, modes=True):
    left, right = listing(a), listing(b)
    if not modes:
        left = {k: v[:1] + v[2:] if v[0] == "file" else v[0] for k, v in left.items()}
        right = {k: v[:1] + v[2:] if v[0] == "file" else v[0] for k, v in right.items()}
    return left == right


def leftovers(directory):
    return [name for name in os.listdir(directory) if "haul-part" in name]


def wait_until(function, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if function():
            return True
        time.sleep(0.05)
    return False


def main(function):
    """Runs the test, cleans up, prints the sum, and ends the process."""
    status = 1
    guard = threading.Timer(600, lambda: os.kill(os.getpid(), signal.SIGALRM))
    guard.daemon = True
    guard.start()
    try:
        if not os.access(HAUL, os.X_OK):
            print(f"{HAUL} is not built")
            sys.exit(77)
        function()
        for node in list(nodes):
            ended = node.stop() if node.alive() else "gone"
            check(f"{os.path.basename(node.home)} runs to the end and stops in order",
                  ended == 0, f"{node.words()}\nexit status: {ended}")
        status = 1 if failed else 0
    except Exception as error:  # pylint: disable=broad-except
        import traceback
        traceback.print_exc()
        check("the test itself runs to its end", False, error)
    finally:
        for node in list(nodes):
            node.process.kill()
            node.process.wait()
        shutil.rmtree(work, ignore_errors=True)
        print(f"{passed} passed, {failed} failed", flush=True)
        os._exit(1 if failed else status)
