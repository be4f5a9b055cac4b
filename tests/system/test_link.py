#!/usr/bin/env python3
"""The link of perf/: what goes in comes out, as late and as slowly as was asked.

    test_link.py HAUL-LINK
"""
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

LINK = sys.argv[1]
passed = 0
failed = 0


def check(name, ok, why=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok     ' if ok else 'FAILED '} {name} {'' if ok else why}", flush=True)


class Link:
    def __init__(self, port, *options):
        self.process = subprocess.Popen([LINK, "stream", f"127.0.0.1:{port}", *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def serve(answer):
    """A server of one connection, on any port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener, listener.accept()[0] as peer:
            peer.settimeout(60)
            answer(peer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return listener.getsockname()[1], thread


def echo(peer):
    while data := peer.recv(1 << 16):
        peer.sendall(data)


def hash_all(peer):
    digest, count = hashlib.sha256(), 0
    while data := peer.recv(1 << 16):
        digest.update(data)
        count += len(data)
    peer.sendall(json.dumps([count, digest.hexdigest()]).encode())


def dial(port):
    peer = socket.create_connection(("127.0.0.1", port))
    peer.settimeout(60)
    return peer


def all_of(peer):
    data = b""
    while more := peer.recv(1 << 16):
        data += more
    return data


def delays():
    port, _ = serve(echo)
    with Link(port, "--delay-us", "30000") as link, dial(link.port) as peer:
        peer.sendall(b"a")
        peer.recv(1)  # with what stands for the handshake
        trips = []
        for _ in range(5):
            began = time.monotonic()
            peer.sendall(b"a")
            peer.recv(1)
            trips.append(time.monotonic() - began)
    check("nothing comes back sooner than the round trip", min(trips) >= 0.06, trips)
    check("nor much later, when nothing else is sent", min(trips) < 0.09, trips)


def handshake():
    port, _ = serve(echo)
    with Link(port, "--delay-us", "30000") as link:
        began = time.monotonic()
        with dial(link.port) as peer:
            peer.sendall(b"a")
            peer.recv(1)
        took = time.monotonic() - began
    check("the first byte also waits for what TCP's handshake would take", took >= 0.12, took)


def whole():
    port, _ = serve(hash_all)
    data = os.urandom(48 << 20)
    with Link(port, "--delay-us", "10000") as link, dial(link.port) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        count, digest = json.loads(all_of(peer))
    check("48 MiB arrive whole, and half a close is passed on",
          count == len(data) and digest == hashlib.sha256(data).hexdigest(), count)


def paced():
    port, _ = serve(hash_all)
    data = bytes(8 << 20)
    began = time.monotonic()
    with Link(port, "--rate", "10000000", "--buffer", "100000") as link, dial(link.port) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        count, _ = json.loads(all_of(peer))
    rate = count / (time.monotonic() - began)
    check("a rate is kept", count == len(data) and rate <= 10_100_000, rate)


for case in (delays, handshake, whole, paced):
    case()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
