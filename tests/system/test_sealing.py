#!/usr/bin/env python3
"""Streams whose bulk threads seal and open, and gets over several connections: between real nodes."""
import ctypes
import os
import socket
import stat

from nodes import Skip, case, equal, main, same, wait_for

MIB = 1 << 20
PIDFD_GETFD = 438
THREADS = {"stream.seal-threads": "2"}


@case("with threads that seal at both ends, or at one, a get over streams brings an equal tree")
def equal_trees(bench):
    tree = bench.directory("tree")
    for i in range(5):
        with open(os.path.join(tree, f"file{i}"), "wb") as file:
            file.write(bench.bytes(5 * MIB + 77 * i))
    for number, (mine, yours) in enumerate(((THREADS, THREADS), (THREADS, {}), ({}, THREADS))):
        seeder = bench.node(f"seeder{number}", settings=yours)
        getter = bench.node(f"getter{number}", settings=mine)
        got = bench.path(f"got{number}")
        record = bench.run("get", "--home", getter.home, "--json", seeder.share(tree), "-o", got,
                           "--carrier", "stream").ok().object
        equal(list(record["bytes_by_carrier"]), ["stream"])
        same(tree, got)
        for node, settings, what in ((seeder, yours, "sealed"), (getter, mine, "opened")):
            host = node.status()["host"]
            if settings == THREADS:
                equal(host["seal_threads"], 2)
                assert host[what + "_apart_bytes"] > 15 * MIB, (what, host[what + "_apart_bytes"])
        seeder.stop()
        getter.stop()


WAYS = {**THREADS, "stream.connections": "3"}


def cut(node, port):
    """Ends the connection that the node has at its end from this port, as if the line were cut."""
    here = os.pidfd_open(node.pid)  # until this test ends
    for number in os.listdir(f"/proc/{node.pid}/fd"):
        taken = ctypes.CDLL(None).syscall(PIDFD_GETFD, here, int(number), 0)
        if taken < 0:
            continue
        if not stat.S_ISSOCK(os.fstat(taken).st_mode):
            os.close(taken)
            continue
        with socket.socket(fileno=taken) as end:
            if end.family in (socket.AF_INET, socket.AF_INET6) and end.getsockname()[1] == port:
                end.shutdown(socket.SHUT_RDWR)
                return
    raise Skip("pidfd_getfd is refused here")


def connections(node, peer):
    """The ports of that peer's ends, the oldest connection first."""
    lines = node.status().get("connections", {}).get("connection", [])
    lines = lines if isinstance(lines, list) else [lines]
    return [int(line.split()[1].rsplit(":", 1)[1]) for line in lines if line.startswith(peer)]


class Held:
    """A get to a pipe, of which only so much is read as one asks for."""

    def __init__(self, bench, getter, ticket):
        self.bench = bench
        self.process = bench.start("get", "--home", getter.home, ticket, "-o", "-", "--carrier",
                                   "stream", bufsize=0)
        self.begun = b""
        self.read(12 * MIB)  # less is over before further connections matter

    def read(self, count):
        end = len(self.begun) + count
        while len(self.begun) < end:
            part = self.process.stdout.read(end - len(self.begun))
            assert part, "the get ended early"
            self.begun += part

    def until(self, condition, what):
        """Reads on, a little at a time, until that is so."""
        def step():
            self.read(MIB)
            return condition()

        return wait_for(step, what)

    def ends_with(self, path):
        done = self.bench.finish(self.process).ok()
        with open(path, "rb") as content:
            assert self.begun + done.out == content.read(), "other bytes"


@case("a get over streams makes use of three connections, and in the end there is one again")
def three_connections(bench):
    seeder, getter = bench.pair(settings=WAYS)
    file = bench.file("file", 80 * MIB + 5)
    get = Held(bench, getter, seeder.share(file))
    get.until(lambda: getter.status()["ways"]["further"] == 2, "two further connections")
    equal(len(connections(seeder, getter.peer)), 3, "connections of the peer")
    get.until(lambda: getter.status()["ways"]["blocks"] > 0, "blocks over further connections")
    get.ends_with(file)
    wait_for(lambda: len(connections(seeder, getter.peer)) == 1, "one connection")
    ways = getter.status()["ways"]
    equal((ways["further"], ways["opened"], ways["failed"], ways["lost"]), (0, 2, 0, 0))


@case("a get over several connections goes on when one of them is cut off, be it the first")
def one_dies(bench):
    for which in (0, 2):
        seeder = bench.node(f"seeder{which}", settings=WAYS)
        getter = bench.node(f"getter{which}", settings=WAYS)
        file = bench.file(f"file{which}", 80 * MIB + 5)
        get = Held(bench, getter, seeder.share(file))
        get.until(lambda getter=getter: getter.status()["ways"]["further"] == 2,
                  "two further connections")
        cut(getter, connections(seeder, getter.peer)[which])
        get.until(lambda getter=getter: getter.status()["ways"]["lost"] == 1, "one to be lost")
        get.ends_with(file)
        seeder.stop()
        getter.stop()


@case("a get goes on with the first connection when the peer takes no further one")
def refused(bench):
    seeder = bench.node("seeder", settings={**THREADS, "limits.connections-per-peer": "1"})
    getter = bench.node("getter", settings=WAYS)
    file = bench.file("file", 48 * MIB + 5)
    get = Held(bench, getter, seeder.share(file))
    get.until(lambda: getter.status()["ways"]["failed"] > 0, "a connection to be refused")
    get.ends_with(file)
    equal(getter.status()["ways"]["blocks"], 0)
    assert seeder.status()["host"]["over_peer"] > 0, seeder.status()["host"]


if __name__ == "__main__":
    main()
