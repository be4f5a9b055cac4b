#!/usr/bin/env python3
"""Which carrier moves what: auto starts on the stream, moves to the fast path when it is proven, and
comes back when it dies; what one carrier spoils the other brings."""
import os
import shutil

from network import firewall, namespace
from nodes import WITHOUT_IO_URING, case, equal, main, same, wait_for

MIB = 1 << 20
SPOIL_READ = os.environ.get("SPOIL_READ_LIBRARY", "")


def flows(node, name):
    return sum(flow.get(name, 0) for group, flow in node.status().items() if group.startswith("flow-"))


def get_held_up(bench, getter, ticket, *options):
    """A get to a pipe that nobody reads: it stops when some MiB wait there, and its flow is up."""
    get = bench.start("get", "--home", getter.home, "--json", ticket, "-o", "-", *options)
    wait_for(lambda: flows(getter, "path_challenges") > 0 and flows(getter, "rtt_ns") > 0,
             "the fast path to be proven")
    return get


@case("auto moves to the fast path when it is proven, and what it carries is most")
def moves(bench):
    seeder, getter = bench.pair()
    file = bench.file("file", 48 * MIB)
    ticket = seeder.share(file)
    get = get_held_up(bench, getter, ticket)
    done = bench.finish(get).ok()
    with open(file, "rb") as content:
        assert done.out == content.read(), "other bytes"
    by_stream = seeder.status()["blocks"]["answered_bytes"]
    assert by_stream < 24 * MIB, f"{by_stream} bytes by the stream"
    assert flows(getter, "rx_block_bytes") >= 48 * MIB - by_stream, getter.status()


@case("where UDP is blocked, auto has its first bytes by the stream without waiting for a proof")
def at_once(bench):
    inside = namespace(bench)
    firewall(inside)
    seeder, getter = bench.node("seeder", inside), bench.node("getter", inside)
    ticket = seeder.share(bench.file("file", 3 * MIB))
    record = getter.get(ticket, "-o", bench.path("got")).ok().object
    equal(record["bytes_by_carrier"], {"stream": 3 * MIB})
    assert record["negotiate_s"] < 1, record
    same(bench.path("file"), bench.path("got"))


@case("when UDP dies in mid-transfer, auto goes on by the stream and fetches no byte twice")
def falls(bench):
    inside = namespace(bench)
    seeder = bench.node("seeder", inside, settings={"flow.rate": "64Mbit"})
    getter = bench.node("getter", inside)
    file = bench.file("file", 32 * MIB)
    ticket = seeder.share(file)
    get = bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path("got"))
    wait_for(lambda: flows(getter, "rx_block_bytes") > 4 * MIB, "the fast path to carry")
    firewall(inside)
    record = bench.finish(get).ok().object
    same(file, bench.path("got"))
    carried = record["bytes_by_carrier"]
    equal(sum(carried.values()), 32 * MIB)
    assert carried["udp"] >= 3 * MIB and carried["stream"] >= MIB, carried
    # What the stream brought is what the seeder sent there: the rest was not asked for again.
    blocks = seeder.status()["blocks"]
    assert carried["stream"] <= blocks["answered_bytes"] <= carried["stream"] + MIB, (carried, blocks)


@case("a block of which the fast path brings wrong bytes comes by the stream, and the get goes on")
def spoilt(bench):
    flag = bench.path("spoil")
    seeder = bench.node("seeder", [WITHOUT_IO_URING, "EPERM", shutil.which("env"),
                                   f"LD_PRELOAD={SPOIL_READ}", f"SPOIL_READ={flag}"])
    getter = bench.node("getter")
    file = bench.file("file", 48 * MIB)
    ticket = seeder.share(file)
    get = get_held_up(bench, getter, ticket)

    def stream_rests():
        blocks = seeder.status()["blocks"]
        return blocks["answered"] == blocks["requests"] and flows(getter, "rx_block_bytes") > MIB

    wait_for(stream_rests, "the stream to be done with")
    bench.file("spoil")
    done = bench.finish(get)
    assert not os.path.exists(flag), "no read was spoilt"
    equal(done.status, 0, str(done.err))
    with open(file, "rb") as content:
        assert done.out == content.read(), "other bytes"
    wrong = [line for line in getter.log().splitlines() if "event=block-wrong" in line]
    assert len(wrong) == 1 and f"peer={seeder.peer} " in wrong[0] and "carrier=udp" in wrong[0], wrong


if __name__ == "__main__":
    main()
