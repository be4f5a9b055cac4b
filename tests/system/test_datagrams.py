#!/usr/bin/env python3
"""Strangers at the UDP port, and genuine datagrams that come again: silence, counters, and the
transfer completes. Genuine datagrams are read off the loopback device, which needs CAP_NET_RAW."""
import socket
import struct
import threading
import time

from nodes import Skip, case, equal, main, same, wait_for

MIB = 1 << 20
HEADER, TAG = 24, 16
ETH_P_IP = 0x0800


class Tap:
    """Copies of what goes to some UDP ports of this machine, as single datagrams."""

    def __init__(self, ports):
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        except PermissionError:
            raise Skip("reading the loopback device needs CAP_NET_RAW") from None
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MIB)
        self.socket.bind(("lo", ETH_P_IP))
        self.socket.settimeout(0.05)
        self.ports = ports

    def datagrams(self):
        """(source, destination, payload) of one packet, cut into the datagrams of its train."""
        try:
            packet, where = self.socket.recvfrom(65536)
        except TimeoutError:
            return
        if where[2] == socket.PACKET_OUTGOING or packet[9] != socket.IPPROTO_UDP:
            return
        start = (packet[0] & 15) * 4
        source, destination = struct.unpack(">HH", packet[start:start + 4])
        if destination not in self.ports:
            return
        payload = packet[start + 8:]
        while payload:
            length, units = len(payload), struct.unpack_from("<H", payload, 2)[0] if len(payload) > 4 else 0
            if payload[0] >> 3 & 3 == 0:
                length = min(length, HEADER + units * 64 + TAG)
            yield source, destination, payload[:length]
            payload = payload[length:]

    def close(self):
        self.socket.close()


def udp_packet(source, destination, payload):
    """With an IPv4 header, for a raw socket: the kernel fills in its checksum; UDP goes without."""
    udp = struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload
    local = socket.inet_aton("127.0.0.1")
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, local, local) + udp


def under_fire(bench, mangle, spoof=False, genuine=False):
    """A get over udp while every genuine datagram is followed by what `mangle` makes of it, from
    another address, or from the sender's own when spoofed. Nothing may come back; only where a copy is
    genuine and its original was never opened (data that overtook its accept), a stranger looks like
    the peer behind a new address, and gets what a path allows: a challenge of 100 bytes a second."""
    seeder, getter = bench.node("seeder", settings={"flow.rate": "64Mbit"}), bench.node("getter")
    began = time.monotonic()
    ports = {seeder.udp_port, getter.udp_port}
    tap = Tap(ports)
    forgers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    for number, forger in enumerate(forgers):
        forger.bind((f"127.0.0.{number + 2}" if number else "127.0.0.1", 0))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) if spoof else None
    own = {forger.getsockname()[1] for forger in forgers}
    stop = threading.Event()
    sent = [0]

    def fire():
        ours = set()
        while not stop.is_set():
            for source, destination, payload in tap.datagrams():
                if source in own or (spoof and payload in ours):
                    ours.discard(payload)
                    continue
                for number, forged in enumerate(mangle(payload)):
                    if spoof:
                        ours.add(forged)
                        raw.sendto(udp_packet(source, destination, forged), ("127.0.0.1", 0))
                    else:
                        forgers[(sent[0] + number) % 4].sendto(forged, ("127.0.0.1", destination))
                    sent[0] += 1

    shooter = threading.Thread(target=fire, daemon=True)
    shooter.start()
    try:
        source = bench.file("file", 6 * MIB)
        ticket = seeder.share(source)
        record = getter.get(ticket, "-o", bench.path("got"), "--carrier", "udp").ok().object
        equal(list(record["bytes_by_carrier"]), ["udp"])
        same(source, bench.path("got"))
    finally:
        stop.set()
        shooter.join(10)
        tap.close()
    assert sent[0] > 100, f"only {sent[0]} datagrams were forged"
    answers = []
    for forger in forgers:
        forger.setblocking(False)
        try:
            while True:
                answers.append(forger.recv(65536))
        except BlockingIOError:
            forger.close()
    if genuine:
        assert len(answers) <= 2 * (time.monotonic() - began + 1), f"{len(answers)} answers"
        assert all(len(answer) <= 100 for answer in answers), "an answer that is no challenge"
    else:
        equal(answers, [], "answers to strangers")
    return seeder, getter


def flows(node, name):
    return sum(flow.get(name, 0) for group, flow in node.status().items() if group.startswith("flow-"))


@case("datagrams of strangers get no answer, move a counter, and no flow")
def strangers(bench):
    node = bench.node("node")
    port = node.udp_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for length in (0, 1, 23, 24, 39, 40, 41, 100, 1448, 9000, 60000):
            stranger.sendto(bench.bytes(length), ("127.0.0.1", port))
            stranger.sendto(b"\x20" + bytes(max(0, length - 1)), ("127.0.0.1", port))
            stranger.sendto(b"\x28" + bytes(max(0, length - 1)), ("127.0.0.1", port))
        wait_for(lambda: node.status()["worker"]["rx_unknown"] >= 15, "the counter of strangers")
        stranger.setblocking(False)
        try:
            said = stranger.recv(65536)
        except BlockingIOError:
            said = None
        equal(said, None, "an answer to a stranger")
    equal(node.status()["net"]["tx_datagrams"], 0)


@case("forged datagrams at an open flow: silence, a counter, and the transfer completes")
def forged(bench):
    def mangle(payload):
        if len(payload) < HEADER + TAG + 8:
            return
        for place in (HEADER, len(payload) - 1, 12):
            changed = bytearray(payload)
            changed[place] ^= 1
            yield bytes(changed)

    seeder, getter = under_fire(bench, mangle)
    assert flows(getter, "rx_forged") > 0, getter.status()


@case("truncated copies of genuine datagrams are dropped and counted, and the transfer completes")
def truncated(bench):
    def mangle(payload):
        yield payload[:-1]
        yield payload[:len(payload) // 2]
        yield payload[:HEADER + TAG]
        yield payload[:HEADER]
        yield payload[:5]

    seeder, getter = under_fire(bench, mangle)
    moved = flows(getter, "rx_forged") + flows(getter, "rx_malformed")
    assert moved > 0, getter.status()


@case("copies from other source addresses do not move the path, and get no answer, or one challenge")
def elsewhere(bench):
    def mangle(payload):
        yield payload
        yield payload

    seeder, getter = under_fire(bench, mangle, genuine=True)
    for node in (seeder, getter):
        equal(flows(node, "path_moves"), 0, "moves of a path after copies")
    assert flows(getter, "rx_replayed") + flows(getter, "rx_duplicate_bytes") > 0, getter.status()


@case("copies from the sender's own address change nothing: every one is a duplicate or a replay")
def replayed(bench):
    seeder, getter = under_fire(bench, lambda payload: [payload], spoof=True)
    assert flows(getter, "rx_replayed") + flows(getter, "rx_duplicate_bytes") > 0, getter.status()
    assert flows(seeder, "rx_replayed") > 0, seeder.status()


@case("genuine datagrams that are sent again after the transfer get no answer")
def late(bench):
    kept = []

    def mangle(payload):
        kept.append(payload)
        return [payload] if len(kept) < 200 else []

    seeder, getter = under_fire(bench, mangle, genuine=True)
    before = seeder.status()["net"]["tx_datagrams"]
    received = seeder.status()["net"]["rx_datagrams"]
    ports = seeder.udp_port, getter.udp_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for payload in kept[:500]:
            for port in ports:
                stranger.sendto(payload, ("127.0.0.1", port))
        wait_for(lambda: seeder.status()["net"]["rx_datagrams"] >= received + 100, "the copies")
        stranger.setblocking(False)
        try:
            said = stranger.recv(65536)
        except BlockingIOError:
            said = None
        equal(said, None, "an answer to a copy")
    assert seeder.status()["net"]["tx_datagrams"] - before < 50, "a storm of answers"


if __name__ == "__main__":
    main()
