#!/usr/bin/env python3
"""Which of two fast paths auto takes, where both nodes have kernel UDP and a port of DPDK: the one that
moves faster, whichever that is."""
import os
import re
import subprocess

from nodes import Skip, case, contains, equal, main, same
from network import namespace
from ports import MIB, inside_run, linked, memif, ports, settings

SLOW_UDP = """
table inet haul {
    chain input { type filter hook input priority 0; meta l4proto udp limit rate over 30 mbytes/second drop; }
}
"""


def chosen(bench, seeder, getter, way):
    """A large get settles on `way`; the next one begins with it."""
    ticket = seeder.share(bench.file("file", os.urandom(160 * MIB)))
    record = getter.get(ticket, "-o", bench.path("got"), "--carrier", "auto").ok().object
    same(bench.path("file"), bench.path("got"))
    os.remove(bench.path("got"))
    contains(getter.log(), f"transfer-way chosen={way}")
    said = re.search(r"event=transfer-way (.*)", getter.log())[1]
    by = record["bytes_by_carrier"]
    print(f"        {said}; {by}")
    equal(sum(by.values()), 160 * MIB, "no byte is fetched twice")
    assert record["wire_bytes"] < 1.15 * 160 * MIB, record
    assert by["udp"] > 0 and by["dpdk"] > 0, by
    assert by[way] == max(by.values()), by
    record = getter.get(ticket, "-o", bench.path("got"), "--carrier", "auto").ok().object
    same(bench.path("file"), bench.path("got"))
    equal([name for name in ("udp", "dpdk") if name in record["bytes_by_carrier"]], [way])
    equal(getter.log().count("transfer-way"), 1)


@case("auto settles on dpdk where the kernel's way is slower")
def dpdk_is_faster(bench):
    inside = namespace(bench)
    try:
        done = subprocess.run([*inside, "nft", "-f", "-"], input=SLOW_UDP.encode(), capture_output=True,
                              check=False)
    except FileNotFoundError:
        raise Skip("nft is not installed") from None
    if done.returncode:
        raise Skip("nft: " + done.stderr.decode().strip()[:200])
    seeder = bench.node("seeder", inside, settings=settings(memif(bench, "server"), 1))
    getter = bench.node("getter", inside, settings=settings(memif(bench, "client"), 2))
    linked(seeder, getter)
    chosen(bench, seeder, getter, "dpdk")


@case("auto settles on the kernel's UDP where the port is slower")
def udp_is_faster(bench):
    # The kernel's queue of the interface, which the port does not go past here, makes it slow.
    seeder, getter = ports(bench, "net_af_packet0,iface={},framesz=2048,framecnt=1024,blocksz=4096,qdisc_bypass=0")
    slow = inside_run(seeder.launcher, "tc", "qdisc", "add", "dev", "v0", "root", "tbf", "rate", "250mbit", "burst",
                      "64kb", "limit", "512kb")
    if slow.returncode:
        raise Skip("tc: " + slow.stderr.decode().strip()[:200])
    equal(inside_run(seeder.launcher, "ip", "link", "set", "lo", "mtu", "65536").returncode, 0)
    chosen(bench, seeder, getter, "udp")


if __name__ == "__main__":
    main()
