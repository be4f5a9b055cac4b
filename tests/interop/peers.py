"""The peers: how each is built, started and asked. They speak one language (README.md)."""
import hashlib
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.path.join(ROOT, "build", "release")
HAUL = os.environ.get("HAUL", os.path.join(RELEASE, "controlplane", "cmd", "haul"))
BARE = os.environ.get("HAUL_PEER", os.path.join(RELEASE, "tests", "interop", "interop_peer"))
SOURCES = os.path.join(ROOT, "tests", "interop")
BUILD = os.path.join(ROOT, "build", "interop")
PATIENCE = 90


class Missing(Exception):
    """This peer cannot be built here; the text says why."""


def objects(text):
    """The JSON objects that a program printed, one a line, and the first line that is none: whoever
    dies while it prints leaves the beginning of one."""
    found, odd = [], None
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if isinstance(said, dict):
            found.append(said)
        else:
            odd = odd or line
    return found, odd


def told_by(command, seconds):
    """What a program tells until it ends, and why that may not be all: None when it is."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=seconds)
        said, fault = done.stdout, f"ended with {done.returncode}" if done.returncode else None
    except subprocess.TimeoutExpired as late:
        said, fault = late.stdout or b"", f"not done within {seconds} s"
    found, odd = objects(said.decode(errors="replace"))
    if odd is not None:
        fault = f"{fault or 'ended'}, and the last that it said was {odd[:60]!r}"
    return found, fault if fault or found else "told nothing"


class Peer:
    """A running peer: commands in, JSON lines out. It ends with its standard input."""

    def __init__(self, kind, *options, wrap=()):
        self.kind = kind
        self.log = open(os.path.join(BUILD, kind.name + ".log"), "ab")
        self.process = subprocess.Popen([*wrap, *kind.command, *options], cwd=kind.where,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, errors="replace", bufsize=1)
        self.lines = queue.Queue()
        self.ended, self.odd = threading.Event(), None
        threading.Thread(target=self.read, daemon=True).start()
        self.serving = self.line(lambda line: line.get("event") == "serving") \
            if "--file" in options else None
        listening = self.line(lambda line: "address" in line or line.get("ok") is False)
        if listening is None or "address" not in listening:
            why = listening or self.silence()
            self.close()
            raise RuntimeError(f"{kind.name} did not start: {why}")
        self.address = listening["address"]
        self.id = self.address.rsplit("/", 1)[1]

    def read(self):
        for line in self.process.stdout:
            found, odd = objects(line)
            self.odd = odd or self.odd
            for said in found:
                self.lines.put(said)
        self.ended.set()
        self.lines.put(None)

    def silence(self):
        """Why there is no answer."""
        if not self.ended.is_set():
            return f"{self.kind.name} said nothing"
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            status = "nothing, and runs on"
        return f"{self.kind.name} ended with {status}" + (f", and said {self.odd[:60]!r}" if self.odd else "")

    def line(self, wanted, patience=PATIENCE):
        """The next line that `wanted` likes; None when it does not come."""
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                self.lines.put(None)
                return None
            if wanted(line):
                return line

    def ask(self, *words, patience=PATIENCE):
        """Runs one command; its line, always with "ok"."""
        try:
            print(*words, file=self.process.stdin)
        except OSError:
            self.ended.wait(10)
            return {"ok": False, "why": self.silence()}
        found = self.line(lambda line: line.get("case") == words[0], patience)
        return found or {"ok": False, "why": self.silence()}

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Kind:
    """A kind of peer: `build` makes it, or raises Missing."""

    def __init__(self, name, command, where, securities, build, lacks=None):
        self.name, self.command, self.where = name, command, where
        self.securities, self.build = securities, build
        self.lacks = lacks or {}  # what the released library cannot do, and why


def version(*command):
    """The first dotted number that the command prints, as a tuple; () when it cannot run."""
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()


def make(name, command, environment=None):
    """Copies the sources of a peer into build/ and runs the command there when they have changed.
    What an earlier run of the command left behind stays, so that later ones are short."""
    source, where = os.path.join(SOURCES, name), os.path.join(BUILD, name)
    digest = hashlib.sha256(" ".join(command).encode())
    for folder, _, files in sorted(os.walk(source)):
        inside = os.path.join(where, os.path.relpath(folder, source))
        os.makedirs(inside, exist_ok=True)
        for file in sorted(files):
            shutil.copy(os.path.join(folder, file), inside)
            with open(os.path.join(folder, file), "rb") as opened:
                digest.update(file.encode() + opened.read())
    stamp = os.path.join(where, "made")
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == digest.hexdigest():
        return
    print(f"building the {name} peer in build/interop/{name}", flush=True)
    began = time.monotonic()
    done = subprocess.run(command, cwd=where, env={**os.environ, **(environment or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"{command[0]} failed: {done.stderr.strip()[-600:]}")
    print(f"built in {time.monotonic() - began:.0f} s", flush=True)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(digest.hexdigest())


def make_haul():
    for program in (HAUL, BARE):
        if not os.path.exists(program):
            raise Missing(f"{os.path.relpath(program, ROOT)} is not built")


def make_go():
    if version("go", "version") < (1, 26):
        raise Missing("go-libp2p needs go 1.26 or newer")
    make("go", ["go", "build", "-trimpath", "-mod=readonly", "-o", "peer", "."],
         {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"})


def make_rust():
    if version("cargo", "--version") < (1, 88) or shutil.which("cc") is None:
        raise Missing("rust-libp2p needs cargo 1.88 or newer, and a C compiler")
    make("rust", ["cargo", "build", "--release", "--quiet"])


def make_js():
    if version("node", "--version") < (20,) or shutil.which("npm") is None:
        raise Missing("js-libp2p needs node 20 or newer, and npm")
    make("js", ["npm", "ci", "--no-progress"])


def inside(name, *path):
    return os.path.join(BUILD, name, *path)


HAUL_KIND = Kind("haul", [BARE], ROOT, ["noise", "tls"], make_haul)
KINDS = {kind.name: kind for kind in (
    Kind("go", [inside("go", "peer")], ROOT, ["noise", "tls"], make_go),
    Kind("rust", [inside("rust", "target", "release", "haul-interop-rust")], ROOT,
         ["noise", "tls"], make_rust),
    Kind("js", ["node", "--import", inside("js", "polyfill.mjs"), inside("js", "peer.mjs")], ROOT,
         ["noise", "tls"], make_js, lacks={
             "much over tls": "@libp2p/tls 3.1 stands still when 100 streams of 10 MiB go both ways, with go too",
             "autonat 1 answers": "@libp2p/autonat 3.0 takes the asker's own connection for one it dialled, "
                                  "and closes it before it answers",
             "dcutr": "@libp2p/dcutr 3.0 dials with @libp2p/tcp 11.0, which cannot dial from the port that it listens on"}),
)}
