#!/usr/bin/env python3
"""Rates of one libp2p stream: haul, go, rust and js with themselves, side by side.

    perf/streams.py run FILE [--rtt MS,...] [--security NAME,...] [--peers NAME,...] [--streams N,...]
                             [--rounds N] [--seconds N] [--link BYTES] [--first]
    perf/streams.py report FILE [--plot SVG]

`run` measures every combination in turn, round by round, and appends a JSON line each to FILE; runs
may be repeated, with other choices, into the same file. Two processes of a kind speak over loopback,
in a network namespace of their own where tcp_rmem and tcp_wmem allow 64 MiB; beyond 0 ms a link
(haul-link stream) delays what passes. Each measurement moves, in one direction and on a new
stream, what the pair moves in about --seconds, as shorter ones before it estimated. "rust-fixed" is rust with its window held at
256 KiB, "tcp" is iperf3 without encryption, for comparison; "fast" is haul's own carrier over UDP
(haul perf loop, loopback alone); "go>haul" is a pair of two kinds, the dialler first. --link gives the
link a rate in bytes a second. --first measures connect, authenticate and a byte each way instead.

`report` prints medians and spreads and, with --plot, draws them.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))
import peers  # noqa: E402

LINK = os.path.join(peers.RELEASE, "perf", "haul-link")
PLACEMENT = os.path.join(peers.RELEASE, "perf", "haul-placement")
MIB = 1 << 20
NAMES = ["haul", "go", "rust", "rust-fixed", "js", "tcp"]
SHOWN = ["fast", *NAMES]
PLAIN = ("tcp", "fast")  # not a libp2p stream: once, whatever the security and the streams
COLOURS = {"haul": "#d6277a", "fast": "#5b2a86", "go": "#1f8fb4", "rust": "#b5651d", "rust-fixed": "#d9a066",
           "js": "#8a8a00", "tcp": "#777777"}


def kind_of(name):
    return peers.HAUL_KIND if name == "haul" else peers.KINDS[name.split("-")[0]]


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


def measure_pair(name, security, rtt_ms, streams, seconds, rate):
    """Bytes a second from the dialler to the listener."""
    first, last = name.split(">") if ">" in name else (name, name)
    with peers.Peer(kind_of(last), *options_of(last, security)) as listener, \
            peers.Peer(kind_of(first), *options_of(first, security)) as dialer, \
            Link(int(listener.address.split("/")[4]), rtt_ms, rate) as link:
        ask(dialer, "dial", through(listener.address, link.port))
        ask(dialer, "identify", listener.id)
        size, line = MIB, None
        # Until it takes long enough: what a short one shows at a long round trip is how windows begin.
        while line is None or (line["seconds"] < 0.7 * seconds and size < 8192 * MIB):
            grown = 4 if line is None or line["seconds"] < seconds / 8 else seconds / line["seconds"]
            size = min(int(size * max(grown, 1.2)), 8192 * MIB)
            line = ask(dialer, "perf", listener.id, size // streams, 0, streams)
        return line["bytes"] / line["seconds"]


def measure_first(name, security, rtt_ms):
    """Seconds from nothing to the first byte of an answer; the least of five, to leave out what a
    young process still compiles."""
    with peers.Peer(kind_of(name), *options_of(name, security)) as listener, \
            peers.Peer(kind_of(name), *options_of(name, security)) as dialer, \
            Link(int(listener.address.split("/")[4]), rtt_ms) as link:
        found = [dialer.ask("first", through(listener.address, link.port)) for _ in range(7)]
        good = [line["seconds"] for line in found if line.get("ok")]
        if len(good) < 3:
            raise RuntimeError(f"{name}: first: {found[-1].get('why')}")
        return statistics.median(good[2:])


def measure_fast(seconds):
    """The carrier over UDP, every block verified: median of two runs."""
    done = subprocess.run([peers.HAUL, "perf", "loop", "--carrier", "udp", "--size", "2GiB", "--runs", "2",
                           "--json"], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    rates = [line["rate_bytes_per_second"] for line in lines if line.get("event") == "transfer"]
    if not rates:
        raise RuntimeError(f"haul perf loop: {done.stderr.strip()[-200:]}")
    return statistics.median(rates)


def measure_tcp(rtt_ms, seconds, rate):
    """iperf3 over the same link."""
    server = subprocess.Popen(["iperf3", "-s", "-1", "-p", "5201", "--forceflush"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        while "listening" not in server.stdout.readline():
            if server.poll() is not None:
                raise RuntimeError("iperf3 did not start")
        with Link(5201, rtt_ms, rate) as link:
            done = subprocess.run(["iperf3", "-c", "127.0.0.1", "-p", str(link.port), "-J", "-t",
                                   str(max(1, int(seconds)))], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 8
    finally:
        server.kill()
        server.wait()


def placement():
    """Nanoseconds from core to core and back at this moment."""
    return json.loads(subprocess.run([PLACEMENT], capture_output=True, text=True).stdout)["round_trip_ns"]


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


def cells(given):
    for rtt in given.rtt:
        for streams in given.streams:
            for security in given.security:
                for name in given.peers:
                    if name not in PLAIN or (security == given.security[0] and
                                             streams == given.streams[0] and (name == "tcp" or rtt == 0)):
                        yield name, security, rtt, streams


def run(given):
    for name in given.peers:
        for one in () if name in PLAIN else name.split(">"):
            kind_of(one).build()
    with open(given.file, "a", encoding="utf-8") as file:
        for turn in range(given.rounds):
            for name, security, rtt, streams in cells(given):
                cell = {"peer": name, "security": "none" if name in PLAIN else security, "rtt_ms": rtt,
                        "streams": streams, "link": given.link, "what": "first" if given.first else "rate",
                        "at": int(time.time()), "load": round(os.getloadavg()[0], 2),
                        "cores_ns": [placement()]}
                try:
                    if given.first:
                        cell["value"] = measure_first(name, security, rtt)
                    elif name == "tcp":
                        cell["value"] = measure_tcp(rtt, given.seconds, given.link)
                    elif name == "fast":
                        cell["value"] = measure_fast(given.seconds)
                    else:
                        cell["value"] = measure_pair(name, security, rtt, streams, given.seconds, given.link)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    cell["error"] = str(error)
                cell["cores_ns"].append(placement())
                print(json.dumps(cell), file=file, flush=True)
                shown = cell.get("error") or (f"{cell['value'] / 1e6:.0f} MB/s" if not given.first
                                              else f"{cell['value'] * 1e3:.1f} ms")
                print(f"{name:11} {cell['security']:6} {rtt:4g} ms {streams:4} streams  {shown}", flush=True)


# --- report ---

def gather(path):
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in map(json.loads, file):
            if "value" in line:
                key = (line["what"] if not line.get("link") else "link", line["security"], line["streams"], line["peer"], line["rtt_ms"])
                found.setdefault(key, []).append(line["value"])
    return found


def cores(path):
    """The placement of the cores over the whole file: least, median, most."""
    with open(path, encoding="utf-8") as file:
        trips = [one for line in map(json.loads, file) for one in line.get("cores_ns", [])]
    return (min(trips), statistics.median(trips), max(trips)) if trips else None


def spread(values, scale, form):
    low, mid, high = min(values), statistics.median(values), max(values)
    text = form.format(mid * scale)
    return text if len(values) == 1 else f"{text} ({form.format(low * scale)}-{form.format(high * scale)})"


def table(found, what, security, streams):
    pairs = sorted({key[3] for key in found if ">" in key[3]})
    rows = [name for name in SHOWN + pairs if any(key[:4] == (what, security, streams, name) or
            (name in PLAIN and key[0] == what and key[3] == name) for key in found)]
    rtts = sorted({key[4] for key in found if key[:3] == (what, security, streams)})
    if not rtts:
        return
    unit, scale, form = ("round trips", None, "{:.1f}") if what == "first" else ("MB/s", 1e-6, "{:.0f}")
    print(f"\n{security}, {streams} stream{'s' if streams > 1 else ''}, {unit}: median (least-most)\n")
    print("| peer | " + " | ".join(f"{rtt:g} ms" for rtt in rtts) + " |")
    print("|---|" + "---:|" * len(rtts))
    for name in rows:
        texts = []
        for rtt in rtts:
            values = [one for key in found for one in found[key] if key[0] == what and key[3:] == (name, rtt)
                      and (name in PLAIN or key[1:3] == (security, streams))]
            by = scale or (1e3 / rtt if rtt else None)
            texts.append(spread(values, by, form) if values and by else
                         f"{statistics.median(values) * 1e3:.1f} ms" if values else "")
        print(f"| {name} | " + " | ".join(texts) + " |")


def plot(found, path):
    """Rate over round trip, both logarithmic, and the lines that a window allows."""
    from math import log10
    keys = [key for key in found if key[0] == "rate" and key[2] == 1 and key[1] in ("noise", "none")]
    rtts = sorted({key[4] for key in keys})
    wide, high, left, bottom = 760, 460, 70, 60
    low_rate, high_rate, low_rtt, high_rtt = 1e6, 1e10, 0.05, 100.0

    def x(rtt):
        rtt = max(rtt, low_rtt)
        return left + (wide - left - 20) * (log10(rtt / low_rtt) / log10(high_rtt / low_rtt))

    def y(rate):
        return high - bottom - (high - bottom - 20) * (log10(rate / low_rate) / log10(high_rate / low_rate))

    def text(at_x, at_y, words, more=""):
        return f'<text x="{at_x:.1f}" y="{at_y:.1f}" {more}>{words}</text>'

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{wide}" height="{high}" fill="white"/>']
    for power in range(6, 11):
        lines.append(f'<path d="M{left} {y(10.0 ** power):.1f}H{wide - 20}" stroke="#ddd"/>')
        lines.append(text(left - 8, y(10.0 ** power) + 4, {6: "1 MB/s", 7: "10 MB/s", 8: "100 MB/s",
                                                            9: "1 GB/s", 10: "10 GB/s"}[power],
                          'text-anchor="end"'))
    for rtt in rtts:
        lines.append(text(x(rtt), high - bottom + 18, "loopback" if rtt == 0 else f"{rtt:g} ms",
                          'text-anchor="middle"'))
    for window, words in ((256 << 10, "256 KiB / round trip"), (16 << 20, "16 MiB / round trip")):
        points = [(rtt, window / (rtt / 1e3)) for rtt in (0.05, 0.1, 1, 4, 20, 60, 100)]
        inside = [(rtt, rate) for rtt, rate in points if low_rate <= rate <= high_rate]
        lines.append('<polyline fill="none" stroke="#999" stroke-dasharray="4 4" points="'
                     + " ".join(f"{x(rtt):.1f},{y(rate):.1f}" for rtt, rate in inside) + '"/>')
        lines.append(text(x(inside[-1][0]) - 4, y(inside[-1][1]) - 6, words,
                          'text-anchor="end" fill="#777"'))
    lines.append(f'<path d="M{x(4):.1f} {y(60e6):.1f}m-5 0h10m-5 -5v10" stroke="black"/>')
    lines.append(text(x(4) + 8, y(60e6) + 14, "60 MB/s"))
    named = 0
    for name in SHOWN:
        series = [(rtt, found[key]) for rtt in rtts for key in keys if key[3] == name and key[4] == rtt]
        if not series:
            continue
        colour = COLOURS[name]
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="' + " ".join(
            f"{x(rtt):.1f},{y(statistics.median(values)):.1f}" for rtt, values in series) + '"/>')
        for rtt, values in series:
            lines.append(f'<path d="M{x(rtt):.1f} {y(min(values)):.1f}V{y(max(values)):.1f}" '
                         f'stroke="{colour}" stroke-width="4" stroke-opacity="0.5"/>')
            lines.append(f'<circle cx="{x(rtt):.1f}" cy="{y(statistics.median(values)):.1f}" r="3" '
                         f'fill="{colour}"/>')
        lines.append(text(left + 6 + 98 * named, high - 16, name, f'fill="{colour}" font-weight="bold"'))
        named += 1
    lines.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def report(given):
    found = gather(given.file)
    for what in ("rate", "link", "first"):
        for streams in sorted({key[2] for key in found if key[0] == what}):
            for security in ("noise", "tls"):
                table(found, what, security, streams)
    if cores(given.file):
        print("\ncore to core and back, before and after each: %.0f ns least, %.0f median, %.0f most"
              % cores(given.file))
    if given.plot:
        plot(found, given.plot)


def main():
    words = lambda text: text.split(",")  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("verb", choices=["run", "report"])
    parser.add_argument("file")
    parser.add_argument("--rtt", type=lambda text: [float(one) for one in text.split(",")], default=[0, 4, 20, 60])
    parser.add_argument("--security", type=words, default=["noise", "tls"])
    parser.add_argument("--peers", type=words, default=NAMES)
    parser.add_argument("--streams", type=lambda text: [int(one) for one in text.split(",")], default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--link", type=int, default=0)
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--plot")
    given = parser.parse_args()
    if given.verb == "report":
        report(given)
        return
    enter_namespace([os.path.abspath(__file__), *sys.argv[1:]])
    run(given)


main()
