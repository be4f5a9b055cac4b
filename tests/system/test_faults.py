#!/usr/bin/env python3
"""Providers that lie, stall, speak rubbish or have a damaged disk, and datagrams from strangers. What
an honest node cannot be made to do, tests/system/liar.c does."""
import base64
import hashlib
import json
import os
import socket
import subprocess
import threading
import time

import rig
from rig import check, code, haul, path, text

LIAR = os.environ.get("HAUL_LIAR", os.path.join(rig.ROOT, "build/release/tests/system/liar"))


# --- datasets by hand: dag-pb and UnixFS, SHA2-256 ---

def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


class Blocks:
    """Blocks in a directory, as the liar reads them."""

    def __init__(self, name):
        self.directory = path(name)
        os.makedirs(self.directory)

    def add(self, data, codec):
        multihash = b"\x12\x20" + hashlib.sha256(data).digest()
        with open(os.path.join(self.directory, multihash.hex()), "wb") as file:
            file.write(data)
        return b"\x01" + bytes([codec]) + multihash

    def file(self, data):
        return self.add(data, 0x55)

    def directory_of(self, entries):
        """Links in the order given: nothing here is sorted or refused."""
        links = b"".join(field(2, field(1, cid) + field(2, name) + b"\x18" + varint(10))
                         for name, cid in entries)
        return self.add(links + field(1, b"\x08\x01"), 0x70)

    def link_to(self, target):
        return self.add(field(1, b"\x08\x04" + field(2, target)), 0x70)


def cid_text(cid):
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


class Liar:
    def __init__(self, blocks, root, manner="honest"):
        self.process = subprocess.Popen([LIAR, blocks.directory, cid_text(root), manner],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ticket = self.process.stdout.readline().decode().strip()
        self.peer = self.process.stdout.readline().decode().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)


def honest(getter):
    """The bench itself: what is in order is got, and auto finds the stream by itself."""
    blocks = Blocks("honest")
    root = blocks.directory_of([(b"a", blocks.file(b"one")), (b"l", blocks.link_to(b"a"))])
    with Liar(blocks, root) as liar:
        done = haul("get", liar.ticket, "-o", path("honest-got"), "--json", home=getter.home)
        check("auto falls to the stream where the peer has no fast path",
              done.returncode == 0
              and json.loads(done.stdout)["bytes_by_carrier"] == {"stream": 3}
              and open(path("honest-got", "a"), "rb").read() == b"one"
              and os.readlink(path("honest-got", "l")) == "a", done.stderr)
        check("--carrier udp fails there, and says so",
              code(haul("get", liar.ticket, "-o", path("x"), "--carrier", "udp", home=getter.home))
              == (1, "carrier-failed"))


def hostile_names(getter):
    blocks = Blocks("hostile")
    evil = blocks.file(b"evil")
    inner = blocks.directory_of([(b"evil", evil)])
    cases = {
        "..": [(b"..", evil)], ".": [(b".", evil)], "../evil": [(b"../evil", evil)],
        "/etc/evil": [(b"/etc/evil", evil)], "a/b": [(b"a/b", evil)], "an empty name": [(b"", evil)],
        "NUL": [(b"a\0b", evil)], "bad UTF-8": [(b"\xff\xfe", evil)],
        "300 bytes": [(b"n" * 300, evil)], "one name twice": [(b"a", evil), (b"a", evil)],
        "a link and a directory of one name": [(b"d", blocks.link_to(b"/tmp")), (b"d", inner)],
        ".. deeper": [(b"d", blocks.directory_of([(b"..", evil)]))],
    }
    outside = set(os.listdir(rig.work))
    for name, entries in cases.items():
        with Liar(blocks, blocks.directory_of(entries)) as liar:
            done = haul("get", liar.ticket, "-o", path("target"), "--carrier", "stream",
                        home=getter.home)
            check(f"a directory with {name} is refused, and nothing is written",
                  code(done)[0] == 1 and code(done)[1].startswith("manifest-")
                  and set(os.listdir(rig.work)) == outside, done.stderr)
    for name, data in (("rubbish", b"\xff" * 40), ("nothing", b""), ("a cut node", field(2, b"x")[:2])):
        with Liar(blocks, blocks.add(data, 0x70)) as liar:
            done = haul("get", liar.ticket, "-o", path("target"), "--carrier", "stream",
                        home=getter.home)
            check(f"a node of {name} is manifest-broken", code(done) == (1, "manifest-broken"),
                  done.stderr)


def lies(getter):
    blocks = Blocks("lies")
    root = blocks.directory_of([(b"a", blocks.file(os.urandom(70000)))])
    with Liar(blocks, root, "wrong") as liar:
        done = haul("get", liar.ticket, "-o", path("x"), "--carrier", "stream", home=getter.home)
        check("stream: wrong bytes are block-wrong, the peer is named, nothing is left",
              code(done) == (1, "block-wrong") and liar.peer.encode() in done.stderr
              and rig.leftovers(rig.work) == [], done.stderr)
        haul("get", liar.ticket, home=getter.home)
        check("... and nothing wrong is stored", cid_text(root) not in text(haul("ls", home=getter.home)))
    missing = blocks.directory_of([(b"a", b"\x01\x55\x12\x20" + b"\x00" * 32)])
    with Liar(blocks, missing) as liar:
        check("a block that the provider lacks ends the get",
              code(haul("get", liar.ticket, "-o", path("x"), home=getter.home)) == (1, "cid-unknown"))
    with Liar(blocks, root, "rubbish") as liar:
        check("rubbish answers end the get",
              code(haul("get", liar.ticket, "-o", path("x"), home=getter.home))
              == (1, "peer-protocol"))
    with Liar(blocks, root, "silent") as liar:
        began = time.monotonic()
        check("a silent provider ends with --timeout",
              code(haul("get", liar.ticket, "-o", path("x"), "--timeout", "2s", home=getter.home))
              == (1, "timeout") and time.monotonic() - began < 20)
    check("nothing is left of all this", rig.leftovers(rig.work) == [])


def damaged_disk(getter):
    """A seeder whose disk changed a block: found by the getter on either carrier."""
    seeder = rig.Node("damaged")
    ticket = text(haul("share", "-", home=seeder.home, stdin=os.urandom(5_000_000), ok=True))
    seeder.stop()
    damaged = 0
    for where, _, files in os.walk(os.path.join(seeder.home, "blocks")):
        for name in files:
            full = os.path.join(where, name)
            if os.path.getsize(full) > 1_000_000:
                with open(full, "r+b") as file:
                    file.seek(500_000)
                    data = file.read(64)
                    file.seek(500_000)
                    file.write(bytes(byte ^ 255 for byte in data))
                damaged += 1
    seeder = rig.Node("damaged")
    # The address of a ticket holds a port that the node no longer has.
    cid = json.loads(text(haul("ls", "--json", home=seeder.home)))["cid"]
    ticket = text(haul("share", cid, home=seeder.home, ok=True))
    for carrier in ("udp", "stream"):
        done = haul("get", ticket, "-o", path("x"), "--carrier", carrier, home=getter.home)
        check(f"{carrier}: a damaged block of the seeder is found, and nothing is left",
              damaged > 0 and code(done)[0] == 1
              and code(done)[1] in ("block-wrong", "refused", "cid-unknown", "store-failed")
              and rig.leftovers(rig.work) == [], done.stderr)


def strangers(getter):
    """Datagrams of no flow, garbage on TCP: silence, counters, and a transfer that completes."""
    seeder = rig.Node("steady")
    data = os.urandom(60_000_000)
    ticket = text(haul("share", "-", home=seeder.home, stdin=data, ok=True))
    udp = seeder.status()["net"]["address"].rsplit(":", 1)
    udp = (udp[0].strip("[]").replace("::ffff:", ""), int(udp[1]))
    tcp = seeder.status()["node"]["address"]
    tcp = int((tcp if isinstance(tcp, str) else tcp[0]).rsplit("/", 1)[1])
    done = threading.Event()
    answered = []

    def shout():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.01)
            while not done.is_set():
                for size in (0, 1, 23, 24, 40, 100, 1408, 1448, 60000):
                    sender.sendto(os.urandom(size), udp)
                try:
                    answered.append(sender.recv(2048))
                except socket.timeout:
                    pass

    def babble():
        while not done.is_set():
            for greeting in (os.urandom(2000), b"\x13/multistream/1.0.0\n" + b"\xff" * 3000,
                             b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff\xff" + b"x" * 70000):
                try:
                    with socket.create_connection(("127.0.0.1", tcp), 2) as client:
                        client.settimeout(0.2)
                        client.sendall(greeting)
                        client.recv(4096)
                except OSError:
                    pass

    threads = [threading.Thread(target=shout), threading.Thread(target=babble)]
    for thread in threads:
        thread.start()
    got = [haul("get", ticket, "--carrier", carrier, "-o", "-", home=getter.home).stdout
           for carrier in ("udp", "stream")]
    done.set()
    for thread in threads:
        thread.join()
    check("transfers complete while strangers shout", got == [data, data])
    check("strangers get no answer", answered == [])
    status = seeder.status()
    check("and are counted", status["worker"]["rx_unknown"] > 0, status["worker"])
    check("garbage does not make the node grow",
          status["node"]["peak_rss_bytes"] < 256 << 20, status["node"])


def main():
    if not os.access(LIAR, os.X_OK):
        raise RuntimeError(LIAR + " is not built")
    getter = rig.Node("getter")
    honest(getter)
    hostile_names(getter)
    lies(getter)
    damaged_disk(getter)
    strangers(getter)


rig.main(main)
