#!/usr/bin/env python3
"""What a firewall does to the carriers, in a network namespace of its own."""
from network import firewall, namespace
from nodes import case, equal, main, same

MIB = 1 << 20


def pair_inside(bench, inside):
    return bench.node("seeder", inside), bench.node("getter", inside)


@case("in a namespace without a firewall, udp carries")
def free(bench):
    seeder, getter = pair_inside(bench, namespace(bench))
    ticket = seeder.share(bench.file("file", 3 * MIB))
    getter.get(ticket, "-o", bench.path("got"), "--carrier", "udp").ok()
    same(bench.path("file"), bench.path("got"))


@case("where UDP is blocked, auto falls to the stream and completes")
def auto(bench):
    inside = namespace(bench)
    firewall(inside)
    seeder, getter = pair_inside(bench, inside)
    ticket = seeder.share(bench.file("file", 3 * MIB))
    record = getter.get(ticket, "-o", bench.path("got")).ok().object
    equal(list(record["bytes_by_carrier"]), ["stream"])
    assert record["seconds"] < 15, record
    same(bench.path("file"), bench.path("got"))


@case("where UDP is blocked, --carrier udp fails with carrier-failed, and leaves nothing")
def forced(bench):
    inside = namespace(bench)
    firewall(inside)
    seeder, getter = pair_inside(bench, inside)
    ticket = seeder.share(bench.file("file", 3 * MIB))
    getter.get(ticket, "-o", bench.path("got"), "--carrier", "udp", "--timeout",
               "30s").fails("carrier-failed")
    getter.get(ticket, "-o", bench.path("got"), "--carrier", "stream").ok()
    same(bench.path("file"), bench.path("got"))


if __name__ == "__main__":
    main()
