#!/usr/bin/env python3
"""A haul that was built without DPDK: a port is refused with the reason, and everything else works."""
import subprocess

from nodes import HAUL, case, contains, equal, main, same

MIB = 1 << 20


@case("it is linked to nothing of DPDK, and the probe says what to do about that")
def linked(bench):
    said = subprocess.run(["ldd", HAUL], capture_output=True, check=False, text=True).stdout
    equal([line for line in said.splitlines() if "librte_" in line], [])
    rows = [row for row in bench.run("hw", "probe", "--json").ok().objects if row["event"] == "backend"]
    ports = [row for row in rows if row["backend"].startswith("dpdk-")]
    assert ports and not any(row["usable"] for row in ports), ports
    for row in ports:
        contains(row["reason"], "without DPDK")
        contains(row["remedy"], "libdpdk-dev")
    assert any(row["usable"] for row in rows if row["backend"].startswith("udp-")), rows


@case("a port that the configuration asks for is refused, by a node and by perf loop")
def refused(bench):
    home = bench.path("home")
    for device in ("0000:3b:00.0", "net_memif0,role=server"):
        done = bench.run("node", "--home", home, "--json", "--set", f"dpdk.device={device}", "--set",
                         "dpdk.addresses=10.77.0.1/24", "--set", "listen.tcp=127.0.0.1:0")
        done.fails("dpdk-absent", device, "without DPDK")
    done = bench.run("perf", "loop", "--carrier", "dpdk", "--size", "1MiB", "--runs", "1")
    equal(done.status, 1)
    contains(done.err.decode(), "dpdk-absent")


@case("udp, stream and auto move a dataset, and dpdk says that there is none")
def moves(bench):
    seeder, getter = bench.pair()
    source = bench.path("tree")
    bench.file("tree/file", 8 * MIB + 3)
    bench.file("tree/small", 10)
    ticket = seeder.share(source)
    for carrier in ("udp", "stream", "auto"):
        got = bench.path(f"{carrier} got")
        record = getter.get(ticket, "-o", got, "--carrier", carrier).ok().object
        assert "dpdk" not in record["bytes_by_carrier"], record
        same(source, got)
    equal("dpdk" in seeder.status(), False)
    equal(getter.get(ticket, "-o", bench.path("none"), "--carrier", "dpdk").status, 1)


if __name__ == "__main__":
    main()
