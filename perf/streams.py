#!/usr/bin/env python3
"""Rates of one libp2p stream: haul, go, rust and js with themselves and with each other, side by side.

    perf/streams.py all FILE [--for SECONDS] [--rounds N]
    perf/streams.py run FILE [--rtt MS,...] [--security NAME,...] [--peers NAME,...] [--streams N,...]
                             [--rounds N] [--seconds N] [--link BYTES] [--first]
    perf/streams.py report FILE [--plot SVG] [--page MARKDOWN]

`all` measures what the aims of docs/STREAMS.md and its tables need, in groups: what a ratio is made of
is measured one right after the other. With --for it stops before the group that would begin after so
many seconds, and the next call goes on where it stopped. `run` measures every combination of its
options instead, round by round. Both append a JSON line each measurement to FILE, with the time from
core to core and back, the load and what the host took from us before and after.

Two processes of a kind speak over loopback, in a network namespace of their own where tcp_rmem and
tcp_wmem allow 64 MiB; beyond 0 ms a link (haul-link stream) delays what passes. Each measurement moves,
in one direction and on a new stream, what the pair moves in about --seconds, as shorter ones before it
estimated. "rust-fixed" is rust with its window held at 256 KiB; "js-warm" is js after seconds of
transfers that nobody measured; "tcp" is iperf3 without encryption, "pipe" the sealed stream pipe of
`haul perf ceiling`, "fast" haul's own carrier over UDP (haul perf loop, loopback alone), all for
comparison; "go>haul" is a pair of two kinds, the dialler first. --link gives the link a rate in bytes a
second. --first measures connect, authenticate and a byte each way instead; "byte" is then what one byte
takes there and back over the same link and plain TCP, timers and wake-ups included: a round trip.

`report` prints the aims (met or missed), medians and spreads; --plot draws them, --page puts all of it
between the marks of a page.
"""
import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))
import peers  # noqa: E402
import streams_plan  # noqa: E402
import streams_report  # noqa: E402
from streams_plan import Cell, PLAIN  # noqa: E402

LINK = os.path.join(peers.RELEASE, "perf", "haul-link")
PLACEMENT = os.path.join(peers.RELEASE, "perf", "haul-placement")
MIB = 1 << 20
NAMES = ["haul", "go", "rust", "rust-fixed", "js", "tcp"]
WARM_SECONDS = 6
TRIES = 2  # of a measurement during which the cores were moved
STEPS_MAX = 8


def kind_of(name):
    return peers.HAUL_KIND if name == "haul" else peers.KINDS[name.split("-")[0]]


def ends_of(name):
    return name.split(">") if ">" in name else [name, name]


def options_of(name, security):
    return ["--security", security] + (["--window", "fixed"] if name == "rust-fixed" else [])


class Link:
    """haul-link in front of an address, or nothing when there is no delay. Its buffer holds what a
    rate carries in a round trip."""

    def __init__(self, port, rtt_ms, rate=0):
        self.process, self.port = None, port
        if rtt_ms > 0:
            self.process = subprocess.Popen(
                [LINK, "stream", f"127.0.0.1:{port}", "--delay-us", str(int(rtt_ms * 500)),
                 "--rate", str(rate), "--buffer", str(max(1000000, int(rate * rtt_ms / 1000)))],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            self.port = json.loads(self.process.stdout.readline())["port"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def through(address, port):
    parts = address.split("/")
    parts[4] = str(port)
    return "/".join(parts)


def ask(peer, *words):
    line = peer.ask(*words, patience=100)
    if not line.get("ok"):
        raise RuntimeError(f"{peer.kind.name}: {' '.join(map(str, words))}: {line.get('why')}")
    return line


def processor_ns(process):
    """What all threads of a process have used; 0 for none."""
    total = 0
    folder = f"/proc/{process.pid}/task" if process is not None else None
    for thread in os.listdir(folder) if folder else ():
        with open(f"{folder}/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def measure_pair(cell, seconds):
    """Bytes a second from the dialler to the listener, and what a byte cost each process."""
    first, last = ends_of(cell.peer)
    with peers.Peer(kind_of(last), *options_of(last, cell.security)) as listener, \
            peers.Peer(kind_of(first), *options_of(first, cell.security)) as dialer, \
            Link(int(listener.address.split("/")[4]), cell.rtt_ms, cell.link) as link:
        ask(dialer, "dial", through(listener.address, link.port))
        ask(dialer, "identify", listener.id)

        def move(size):
            return ask(dialer, "perf", listener.id, size // cell.streams, 0, cell.streams)

        warm = time.monotonic() + (WARM_SECONDS if "-warm" in cell.peer else 0)
        while time.monotonic() < warm:
            move(16 * MIB)
        processes = {"dialler": dialer.process, "listener": listener.process, "link": link.process}
        size, line = max(MIB, cell.streams * MIB // 8), None
        # Until it takes long enough: what a short one shows at a long round trip is how windows begin.
        for _ in range(STEPS_MAX):
            before = {name: processor_ns(process) for name, process in processes.items()}
            line = move(size)
            spent = {name: processor_ns(process) - before[name] for name, process in processes.items()}
            if line["seconds"] >= 0.7 * seconds or size >= 8192 * MIB:
                break
            grown = 4 if line["seconds"] < seconds / 8 else seconds / line["seconds"]
            size = min(int(size * max(grown, 1.2)), 8192 * MIB)
        return {"value": line["bytes"] / line["seconds"], "bytes": line["bytes"],
                "cpu_ns_a_byte": {name: round(ns / line["bytes"], 3) for name, ns in spent.items() if ns}}


def measure_first(cell):
    """Seconds from nothing to the first byte of an answer, each time on a connection of its own. The
    first are left out: a young process still compiles."""
    with peers.Peer(kind_of(cell.peer), *options_of(cell.peer, cell.security)) as listener, \
            peers.Peer(kind_of(cell.peer), *options_of(cell.peer, cell.security)) as dialer, \
            Link(int(listener.address.split("/")[4]), cell.rtt_ms) as link:
        found = [dialer.ask("first", through(listener.address, link.port)) for _ in range(7)]
        good = [line["seconds"] for line in found if line.get("ok")]
        if len(good) < 3:
            raise RuntimeError(f"{cell.peer}: first: {found[-1].get('why')}")
        return {"value": statistics.median(good[2:])}


ECHO = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
client, _ = server.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while byte := client.recv(1):
    client.sendall(byte)
"""


def measure_byte(cell):
    """Seconds that a byte takes there and back between two processes, over a connection that stands."""
    with subprocess.Popen([sys.executable, "-c", ECHO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as echo:
        try:
            with Link(int(echo.stdout.readline()), cell.rtt_ms) as link, \
                    socket.create_connection(("127.0.0.1", link.port), timeout=10) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                found = []
                for _ in range(10):
                    began = time.monotonic()
                    client.sendall(b"?")
                    if not client.recv(1):
                        raise RuntimeError("the echo ended")
                    found.append(time.monotonic() - began)
                return {"value": statistics.median(found[1:])}  # the first waits for the link to open
        finally:
            echo.kill()


def haul_lines(*words):
    done = subprocess.run([peers.HAUL, "perf", *words, "--json"], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    rates = [line["rate_bytes_per_second"] for line in lines if line.get("event") in ("transfer", "ceiling")]
    if not rates:
        raise RuntimeError(f"haul perf {words[0]}: {done.stderr.strip()[-200:]}")
    return {"value": statistics.median(rates)}


def measure_tcp(cell, seconds):
    """iperf3 over the same link."""
    server = subprocess.Popen(["iperf3", "-s", "-1", "-p", "5201", "--forceflush"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        while "listening" not in server.stdout.readline():
            if server.poll() is not None:
                raise RuntimeError("iperf3 did not start")
        with Link(5201, cell.rtt_ms, cell.link) as link:
            done = subprocess.run(["iperf3", "-c", "127.0.0.1", "-p", str(link.port), "-J", "-t",
                                   str(max(1, int(seconds)))], capture_output=True, text=True, timeout=60)
        return {"value": json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 8}
    finally:
        server.kill()
        server.wait()


def measure(cell, seconds):
    if cell.what == "first":
        return measure_byte(cell) if cell.peer == "byte" else measure_first(cell)
    if cell.peer == "tcp":
        return measure_tcp(cell, seconds)
    if cell.peer == "fast":
        return haul_lines("loop", "--carrier", "udp", "--size", "2GiB", "--runs", "2")
    if cell.peer == "pipe":
        return haul_lines("ceiling", "sealed-stream", "--runs", "1", "--span", f"{seconds:g}s")
    return measure_pair(cell, seconds)


def placement():
    """Where the two cores are from each other at this moment."""
    return json.loads(subprocess.run([PLACEMENT], capture_output=True, text=True).stdout)


def stolen():
    """Ticks of all and those that the host took from us."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return sum(ticks), ticks[7]


def enter_namespace(words):
    """Starts over in a network namespace of its own, where the buffers of TCP can be set."""
    if os.environ.get("HAUL_STREAMS_INSIDE"):
        return
    script = ("ip link set lo up; sysctl -qw net.ipv4.tcp_rmem='4096 1048576 67108864' "
              "net.ipv4.tcp_wmem='4096 1048576 67108864'; exec \"$@\"")
    os.environ["HAUL_STREAMS_INSIDE"] = "1"
    if os.geteuid() == 0 and shutil.which("unshare"):
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, *words])
    print("not root: the buffers of TCP stay as they are", file=sys.stderr)


def show(line):
    value = line.get("value", 0)
    shown = line.get("error") or (f"{value * 1e3:.1f} ms" if line["what"] == "first" else f"{value / 1e6:.0f} MB/s")
    moved = ", the cores were moved meanwhile" if line["classes"][0] != line["classes"][1] else ""
    print(f"{line['peer']:13} {line['security']:6} {line['rtt_ms']:4g} ms {line['streams']:4} streams  {shown}{moved}",
          flush=True)


def record(file, cell, seconds, **more):
    """Measures a cell and appends its line; once more when the cores were moved meanwhile."""
    for _ in range(TRIES):
        before, (all_before, stolen_before) = placement(), stolen()
        line = {**cell._asdict(), **more, "at": int(time.time()), "load": round(os.getloadavg()[0], 2)}
        try:
            line.update(measure(cell, seconds))
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            line["error"] = str(error)
        after, (all_after, stolen_after) = placement(), stolen()
        line["stolen"] = round((stolen_after - stolen_before) / max(1, all_after - all_before), 3)
        line["cores_ns"] = [before["round_trip_ns"], after["round_trip_ns"]]
        line["classes"] = [before["class"], after["class"]]
        print(json.dumps(line), file=file, flush=True)
        show(line)
        if before["class"] == after["class"]:
            return


def build(cells):
    """Builds the peers; those that cannot be built are left out, with the reason."""
    missing = set()
    os.makedirs(peers.BUILD, exist_ok=True)
    for kind in {kind_of(one) for cell in cells if cell.peer not in PLAIN for one in ends_of(cell.peer)}:
        try:
            kind.build()
        except peers.Missing as why:
            missing.add(kind.name)
            print(f"without {kind.name}: {why}", flush=True)
    return missing


def lacks(cell, missing):
    return cell.peer not in PLAIN and any(kind_of(one).name in missing for one in ends_of(cell.peer))


def chosen(given):
    """What `run` was asked for."""
    for rtt in given.rtt:
        for streams in given.streams:
            for security in given.security:
                for name in given.peers:
                    if name not in PLAIN:
                        yield Cell("first" if given.first else "rate", name, security, rtt, streams, given.link)
                    elif name == "byte" and given.first:
                        yield Cell("first", name, "none", rtt, 1, 0)
                    elif (security, streams) == (given.security[0], given.streams[0]) and (name == "tcp" or rtt == 0):
                        yield Cell("rate", name, "none", rtt, 1, given.link)


def run(given):
    cells = list(chosen(given))
    missing = build(cells)
    with open(given.file, "a", encoding="utf-8") as file:
        for _ in range(given.rounds):
            for cell in cells:
                if not lacks(cell, missing):
                    record(file, cell, given.seconds)


def run_all(given):
    """The plan, group by group; what the file holds of the last run that did not end is not repeated."""
    began = time.monotonic()
    plan = list(streams_plan.plan(given.rounds))
    missing = build([cell for step in plan for cell in step.cells])
    run_at, done = streams_plan.resume(given.file, plan)
    with open(given.file, "a", encoding="utf-8") as file:
        for step in plan[done:]:
            if given.limit and time.monotonic() - began >= given.limit:
                print(f"{given.limit:g} s are over: the next call goes on", flush=True)
                return False
            for cell in step.cells:
                if not lacks(cell, missing):
                    record(file, cell, step.seconds, run=run_at, round=step.round, group=step.group)
            print(json.dumps({"run": run_at, "round": step.round, "group": step.group, "done": True}), file=file,
                  flush=True)
    return True


def main():
    words = lambda text: text.split(",")  # noqa: E731
    numbers = lambda kind: lambda text: [kind(one) for one in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("verb", choices=["all", "run", "report"])
    parser.add_argument("file")
    parser.add_argument("--rtt", type=numbers(float), default=[0, 4, 20, 60])
    parser.add_argument("--security", type=words, default=["noise", "tls"])
    parser.add_argument("--peers", type=words, default=NAMES)
    parser.add_argument("--streams", type=numbers(int), default=[1])
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--link", type=int, default=0)
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--for", dest="limit", type=float, default=0)
    parser.add_argument("--plot")
    parser.add_argument("--page")
    given = parser.parse_args()
    if given.verb == "report":
        streams_report.report(given.file, given.plot, given.page)
        return
    enter_namespace([os.path.abspath(__file__), *sys.argv[1:]])
    given.rounds = given.rounds or (streams_plan.ROUNDS if given.verb == "all" else 3)
    if given.verb == "run":
        run(given)
    elif not run_all(given):
        sys.exit(75)  # to be gone on with


main()
