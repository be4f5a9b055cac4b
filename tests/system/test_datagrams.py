#!/usr/bin/env python3
"""Strangers at the UDP port, and genuine datagrams that come again: silence, counters, and the
transfer completes. Genuine datagrams are read off the loopback device, which needs CAP_NET_RAW."""
import ctypes
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
        force = getattr(socket, "SO_RCVBUFFORCE", 33)  # beyond what others may have
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, force, 64 * MIB)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MIB)
        self.filter(ports)
        self.socket.bind(("lo", ETH_P_IP))
        self.socket.settimeout(0.05)
        self.ports = ports
        self.quiet = False  # nothing came within the time

    def filter(self, ports):
        """In the kernel, so that the traffic of others does not fill the buffer: a classic filter."""
        ports = sorted(ports)
        program = [(0x20, 0, 0, 0xfffff004),                    # what kind of packet
                   (0x15, len(ports) + 4, 0, socket.PACKET_OUTGOING),
                   (0x30, 0, 0, 9),                             # the protocol
                   (0x15, 0, len(ports) + 2, socket.IPPROTO_UDP),
                   (0xb1, 0, 0, 0),                             # behind the IP header:
                   (0x48, 0, 0, 2)]                             # the destination port
        program += [(0x15, len(ports) - number, 0, port) for number, port in enumerate(ports)]
        program += [(0x06, 0, 0, 0), (0x06, 0, 0, 0x40000)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *it) for it in program))
        SO_ATTACH_FILTER = 26
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                               struct.pack("HL", len(program), ctypes.addressof(code)))

    def datagrams(self):
        """(source, destination, payload) of one packet, cut into the datagrams of its train."""
        try:
            packet, where = self.socket.recvfrom(65536)
            self.quiet = False
        except TimeoutError:
            self.quiet = True
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
    another address, or from the sender's own when spoofed. Nothing may come back; only a genuine copy
    may overtake its original, and then looks like the peer behind a new address: that brings what a
    path allows, a challenge of 100 bytes a second."""
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


def copies(tap, taken):
    """Adds what the tap has, as (destination, payload)."""
    tap.quiet = False
    while not tap.quiet:
        taken += [(destination, payload) for _, destination, payload in tap.datagrams()]


@case("a copy of a datagram that was opened brings no answer, no challenge and no state")
def opened(bench):
    seeder, getter = bench.pair(settings={"flow.rate": "64Mbit"})
    nodes = {node.udp_port: node for node in (seeder, getter)}
    tap = Tap(set(nodes))
    file = bench.file("file", 24 * MIB)
    ticket = seeder.share(file)
    get = bench.start("get", "--home", getter.home, ticket, "-o", "-", "--carrier", "udp")
    taken = []

    held = [0]

    def all_are_opened():
        """The flow rests, as nobody reads what was got: every byte seen has been received, and none
        has been placed since this was asked last."""
        copies(tap, taken)
        before, held[0] = held[0], flows(getter, "rx_block_bytes")
        return held[0] == before >= 4 * MIB and all(
            node.status()["net"]["rx_bytes"] == sum(len(it) for to, it in taken if to == port)
            for port, node in nodes.items())

    wait_for(all_are_opened, "the flow to rest")
    tap.close()
    before = {node: (flows(node, "path_challenges"), len(node.status())) for node in nodes.values()}
    forgers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for number in range(0, len(taken), 50):
        forger = forgers[number // 50 % 2]
        unknown = {node: node.status()["worker"]["rx_unknown"] for node in nodes.values()}
        for destination, payload in taken[number:number + 50]:
            forger.sendto(payload, ("127.0.0.1", destination))
        for port, node in nodes.items():  # a marker: behind it, all copies have been looked at
            forger.sendto(b"\x28" + bytes(99), ("127.0.0.1", port))
            wait_for(lambda: node.status()["worker"]["rx_unknown"] > unknown[node], "the copies")
    for node, (challenges, groups) in before.items():
        equal(flows(node, "path_challenges"), challenges, f"challenges of {node}")
        equal(flows(node, "path_moves"), 0, f"moves of {node}")
        equal(len(node.status()), groups, f"groups in the status of {node}: a flow more is one more")
    assert flows(getter, "rx_duplicate_bytes") + flows(getter, "rx_unplaced") > 0, getter.status()
    assert flows(seeder, "rx_replayed") > 0, seeder.status()
    done = bench.finish(get)
    equal(done.status, 0, str(done.err))
    with open(file, "rb") as content:
        assert done.out == content.read(), "other bytes"
    for forger in forgers:
        forger.setblocking(False)
        try:
            answer = forger.recv(65536)
        except BlockingIOError:
            answer = None
        equal(answer, None, "an answer to a copy")
        forger.close()


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
