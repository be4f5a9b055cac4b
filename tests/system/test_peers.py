#!/usr/bin/env python3
"""Peers that speak garbage, stall, or come in crowds: bounded, closed in time, honest peers served."""
import socket
import struct
import time

from nodes import case, dial, equal, main, same, wait_for

MIB = 1 << 20


def framed(text):
    return bytes([len(text) + 1]) + text + b"\n"


MULTISTREAM = framed(b"/multistream/1.0.0")


def closed_within(connection, seconds):
    """Everything the node says until it closes; fails when it does not."""
    end, said = time.monotonic() + seconds, b""
    while True:
        connection.settimeout(max(0.01, end - time.monotonic()))
        try:
            part = connection.recv(65536)
        except ConnectionError:
            return said
        except TimeoutError:
            raise AssertionError(f"still open after {seconds} s; it said {said!r:.200}") from None
        if not part:
            return said
        said += part


def host(node, counter):
    return node.status()["host"][counter]


def still_serves(bench, seeder, name="honest"):
    getter = bench.node(f"{name} getter")
    ticket = seeder.share(bench.file(name, 2 * MIB))
    for carrier in ("udp", "stream"):
        getter.get(ticket, "-o", bench.path(f"{name} {carrier}"), "--carrier", carrier).ok()
        same(bench.path(name), bench.path(f"{name} {carrier}"))


@case("garbage at every step of the handshake ends the connection at once, and only that")
def garbage(bench):
    seeder = bench.node("seeder")
    noise = framed(b"/noise")
    openings = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bench.bytes(200),
        bench.bytes(4096),
        b"\0" * 4096,
        MULTISTREAM + b"\0\0\0\0",
        MULTISTREAM + noise + struct.pack(">H", 32) + b"\0" * 32,
        MULTISTREAM + noise + struct.pack(">H", 5) + b"short" + bench.bytes(300),
        MULTISTREAM + noise + struct.pack(">H", 65535) + bench.bytes(65535),
    ]
    # A peer that sends no more bytes than these must not be waited for beyond the deadline of 5 s.
    for opening in openings:
        with dial(seeder) as connection:
            connection.sendall(opening)
            connection.shutdown(socket.SHUT_WR)
            closed_within(connection, 8)
    assert host(seeder, "faulty") >= len(openings) - 1, seeder.status()["host"]
    equal(host(seeder, "connected"), 0)
    still_serves(bench, seeder)


@case("lengths beyond any limit are refused before they are believed: memory stays as it was")
def lengths(bench):
    seeder = bench.node("seeder")
    before = seeder.status()["node"]["peak_rss_bytes"]
    for opening in (b"\xff" * 10, b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\x7f" + b"a" * 2000,
                    MULTISTREAM + b"\xff\xff\x7f" + b"/noise\n" * 1000):
        with dial(seeder) as connection:
            connection.sendall(opening)
            closed_within(connection, 8)
    after = seeder.status()["node"]["peak_rss_bytes"]
    assert after - before < 8 * MIB, (before, after)


@case("a peer that stalls in mid-handshake is closed within the deadline, wherever it stalls")
def stalls(bench):
    seeder = bench.node("seeder")
    noise = framed(b"/noise")
    openings = [b"", MULTISTREAM[:7], MULTISTREAM, MULTISTREAM + noise, MULTISTREAM + noise + b"\0",
                MULTISTREAM + noise + struct.pack(">H", 32) + bench.bytes(32)]
    connections = [dial(seeder) for _ in openings]
    for connection, opening in zip(connections, openings):
        connection.sendall(opening)
    began = time.monotonic()
    for connection in connections:
        closed_within(connection, 10)
        connection.close()
    assert time.monotonic() - began < 10
    equal((host(seeder, "late"), host(seeder, "connected")), (len(openings), 0))
    still_serves(bench, seeder)


@case("one that trickles a byte now and then does not outlast the deadline either")
def trickle(bench):
    seeder = bench.node("seeder")
    with dial(seeder) as connection:
        began = time.monotonic()
        text = iter(MULTISTREAM + framed(b"/noise") + struct.pack(">H", 200) + bytes(200))
        connection.settimeout(0.3)

        def step():
            try:
                connection.send(bytes([next(text)]))
                while connection.recv(4096):
                    pass
                return True
            except TimeoutError:
                return False
            except (ConnectionError, BrokenPipeError):
                return True

        wait_for(step, "the end of a trickling connection", 12)
        assert time.monotonic() - began < 10


@case("200 half-open connections cost little, and an honest peer is served all the while")
def crowd(bench):
    seeder = bench.node("seeder")
    before = seeder.status()["node"]["peak_rss_bytes"]
    connections = []
    try:
        for number in range(200):
            connection = dial(seeder)
            if number % 2:
                connection.sendall(MULTISTREAM)
            connections.append(connection)
        still_serves(bench, seeder)
        after = seeder.status()["node"]["peak_rss_bytes"]
        assert host(seeder, "half_open_dropped") >= 200 - 64, seeder.status()["host"]
        assert host(seeder, "half_open") <= 32, seeder.status()["host"]
        assert after - before < 96 * MIB, (before, after)
        # No deadline is an hour: in the end all of them are gone.
        for connection in connections:
            closed_within(connection, 20)
    finally:
        for connection in connections:
            connection.close()
    equal(seeder.alive(), True)


@case("more connections than the limit are refused, and room comes back")
def limit(bench):
    seeder = bench.node("seeder", settings={"limits.connections": "8"})
    connections = [dial(seeder) for _ in range(20)]
    wait_for(lambda: host(seeder, "over_limit") >= 12, "the counter of refused connections")
    still_serves(bench, seeder)
    for connection in connections:
        closed_within(connection, 20)
        connection.close()
    still_serves(bench, seeder, "later")


if __name__ == "__main__":
    main(at_once=6)
