#!/usr/bin/env python3
"""Providers that lie, stall or speak rubbish, and strangers who shout. What an honest node cannot be
made to do, tests/system/liar.c does."""
import contextlib
import os
import socket
import subprocess
import threading

import dagpb
from nodes import LIAR, case, equal, leftovers, main, wait_for

MIB = 1 << 20


@contextlib.contextmanager
def liar(bench, dataset, root, manner="honest"):
    """A provider of these blocks: its ticket and its peer id."""
    directory = bench.directory(f"blocks-{manner}")
    for multihash, content in dataset.blocks:
        with open(os.path.join(directory, multihash.hex()), "wb") as file:
            file.write(content)
    process = bench.popen([LIAR, directory, dagpb.text(root), manner], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
    yield tuple(process.stdout.readline().decode().strip() for _ in range(2))
    process.stdin.close()
    process.wait(20)


def parts(bench, target):
    return [name for name in os.listdir(bench.root) if name.startswith(f"{target}.haul-part")]


def nothing_left(bench):
    equal([name for name in leftovers(bench.root) if "haul-part" in name or name == "got"], [])


@case("a peer that dies in mid-transfer is peer-gone on either carrier, and at most a part is left")
def dies(bench):
    getter = bench.node("getter")
    source = bench.file("file", 200 * MIB)
    for carrier in ("udp", "stream"):
        seeder = bench.node(f"seeder-{carrier}")
        ticket = seeder.share(source)
        get = bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path(carrier),
                          "--carrier", carrier)
        wait_for(lambda: parts(bench, carrier), "a part")
        seeder.kill()
        bench.finish(get).fails("peer-gone")
        assert not os.path.exists(bench.path(carrier))
        for part in parts(bench, carrier):
            assert os.path.getsize(bench.path(part)) >= MIB, part


@case("a peer without a fast path: auto takes the stream, and --carrier udp says that it cannot")
def honest(bench):
    getter = bench.node("getter")
    data = dagpb.Dataset()
    root = data.directory([(b"a", data.file(b"one")), (b"l", data.symlink(b"a"))])
    with liar(bench, data, root) as (ticket, _):
        record = getter.get(ticket, "-o", bench.path("got")).ok().object
        equal(record["bytes_by_carrier"], {"stream": 3})
        with open(bench.path("got/a"), "rb") as file:
            equal(file.read(), b"one")
        equal(os.readlink(bench.path("got/l")), "a")
        getter.get(ticket, "-o", bench.path("x"), "--carrier", "udp").fails("carrier-failed")


@case("wrong bytes over the stream: the peer is named, nothing is left and nothing wrong is stored")
def wrong(bench):
    getter = bench.node("getter")
    data = dagpb.Dataset()
    root = data.directory([(b"a", data.file(bench.bytes(70000)))])
    with liar(bench, data, root, "wrong") as (ticket, peer):
        getter.get(ticket, "-o", bench.path("got"), "--carrier", "stream").fails("block-wrong", peer)
        getter.get(ticket).fails("block-wrong", peer)
    nothing_left(bench)
    equal(getter.json("ls").ok().objects, [])


@case("a block that the provider lacks ends the get as cid-unknown")
def missing(bench):
    getter = bench.node("getter")
    data = dagpb.Dataset()
    root = data.directory([(b"a", b"\x01\x55\x12\x20" + b"\0" * 32)])
    with liar(bench, data, root) as (ticket, _):
        getter.get(ticket, "-o", bench.path("got")).fails("cid-unknown")
    nothing_left(bench)


@case("rubbish for an answer is peer-protocol; a provider that never answers is ended by --timeout")
def rubbish(bench):
    getter = bench.node("getter")
    data = dagpb.Dataset()
    root = data.directory([(b"a", data.file(b"one"))])
    with liar(bench, data, root, "rubbish") as (ticket, _):
        getter.get(ticket, "-o", bench.path("got")).fails("peer-protocol")
    with liar(bench, data, root, "silent") as (ticket, _):
        done = getter.get(ticket, "-o", bench.path("got"), "--timeout", "2s").fails("timeout")
        assert done.seconds < 20, done.seconds
    nothing_left(bench)


@case("wrong bytes in mid-transfer end it with the peer's name, and what was verified before is gone")
def turning(bench):
    getter = bench.node("getter")
    data = dagpb.Dataset()
    root = data.directory([(b"%02d" % number, data.file(bench.bytes(200_000 + number)))
                           for number in range(40)])
    with liar(bench, data, root, "turning") as (ticket, peer):
        for options in (["-o", bench.path("got")], ["-o", bench.path("got"), "--keep"], []):
            getter.get(ticket, *options, "--carrier", "stream").fails("block-wrong", peer)
        wrong = [line for line in getter.log().splitlines() if "event=block-wrong" in line]
        assert len(wrong) == 3 and all(f"peer={peer} " in line for line in wrong), wrong
    nothing_left(bench)
    equal(getter.json("ls").ok().objects, [])


@case("a busy peer is asked again until it has time; one that never has, and one that cannot read, end it")
def busy(bench):
    getter = bench.node("getter")
    data = dagpb.Dataset()
    root = data.directory([(b"%02d" % number, data.file(bench.bytes(50_000 + number)))
                           for number in range(20)])
    with liar(bench, data, root, "hesitant") as (ticket, _):
        record = getter.get(ticket, "-o", bench.path("good"), "--carrier", "stream").ok().object
        equal(record["bytes"], sum(50_000 + number for number in range(20)))
    with liar(bench, data, root, "busy") as (ticket, _):
        getter.get(ticket, "-o", bench.path("got"), "--carrier", "stream").fails("refused", "busy")
    with liar(bench, data, root, "failing") as (ticket, _):
        getter.get(ticket, "-o", bench.path("got"), "--carrier", "stream").fails(
            "refused", dagpb.text(root))
    nothing_left(bench)


def shout(port, done, answers):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.01)
        while not done.is_set():
            for size in (0, 1, 23, 24, 40, 100, 1408, 1448, 60000):
                sender.sendto(os.urandom(size), ("127.0.0.1", port))
            with contextlib.suppress(socket.timeout):
                answers.append(sender.recv(2048))


def babble(port, done):
    while not done.is_set():
        for greeting in (os.urandom(2000), b"\x13/multistream/1.0.0\n" + b"\xff" * 3000,
                         b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff\xff" + b"x" * 70000):
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", port), 2) as client:
                client.settimeout(0.2)
                client.sendall(greeting)
                client.recv(4096)


@case("transfers complete while strangers shout at both ports; they get no answer and are counted")
def strangers(bench):
    seeder, getter = bench.pair()
    data = bench.bytes(40 * MIB)
    ticket = seeder.share(bench.file("file", data))
    done, answers = threading.Event(), []
    threads = [threading.Thread(target=shout, args=(seeder.udp_port, done, answers)),
               threading.Thread(target=babble, args=(seeder.tcp_port, done))]
    for thread in threads:
        thread.start()
    try:
        for carrier in ("udp", "stream"):
            got = getter.run("get", ticket, "--carrier", carrier, "-o", "-").ok()
            assert got.out == data, f"{carrier}: other bytes than were sent"
    finally:
        done.set()
        for thread in threads:
            thread.join()
    equal(answers, [])
    status = seeder.status()
    assert status["worker"]["rx_unknown"] > 0, status["worker"]
    assert status["node"]["peak_rss_bytes"] < 256 * MIB, status["node"]


if __name__ == "__main__":
    main(at_once=2)
