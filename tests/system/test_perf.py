#!/usr/bin/env python3
"""Rate tests: what they print and refuse. Sizes are small: no figure here means anything."""
import os

from nodes import case, contains, equal, main

SMALL = ("--span", "20ms", "--runs", "1", "--size", "4M")
ROWS = ("copy", "aead-1408", "aead-8192", "aead-stream", "hash-blake3", "hash-sha2-256", "tcp", "udp-1408",
        "udp-8192", "sealed-udp-1408", "sealed-udp-1408-verified", "sealed-udp-8192",
        "sealed-udp-8192-verified", "sealed-stream", "sealed-stream-verified")
# Where DPDK and its drivers are installed: one of each device.
PORT_ROWS = ("memif-1408", "sealed-vhost-1408")


def ceiling(bench, *words):
    return bench.run("perf", "ceiling", *words)


@case("perf ceiling measures its rows, each within one placement and beside the limit it is a share of")
def rows(bench):
    found = ceiling(bench, *ROWS, "--json", *SMALL).ok().objects
    end = found[-1]
    equal(end["event"], "perf-ceiling")
    equal(end["area_bytes"], 4 << 20)
    assert end["placement"] in ("alone", "near", "far"), end
    assert end["placement"] == "alone" or (end["core_to_core_ns"] > 0 and end["both_over_one"] > 0), end
    figures = {row["name"] for row in found if row["event"] == "ceiling"}
    assert set(ROWS) <= figures, figures
    kept = {(row["name"], row["placement"]) for row in found if row["event"] == "ceiling" and row["kept"]}
    equal({(group["name"], group["placement"]) for group in end["groups"]}, kept)
    for group in end["groups"]:
        rate = group["rate_bytes_per_second"]
        assert 0 <= rate["min"] <= rate["q1"] <= rate["median"] <= rate["q3"] <= rate["max"], group
        equal("limit" in group, "share_of_limit" in group)
        if "limit" in group:
            assert (group["limit"], group["placement"]) in kept, group
    for row in found[:-1]:
        equal(row["event"], "ceiling")
        equal(row["damaged"], 0, row["name"])
        assert {"rate_bytes_per_second", "core_to_core_ns", "core_to_core_after_ns", "load"} <= set(row), row


@case("perf ceiling measures pipes over ports of DPDK, or says why it cannot")
def port_rows(bench):
    found = ceiling(bench, *PORT_ROWS, "--json", *SMALL).ok().objects
    figures = {row["name"] for row in found if row["event"] == "ceiling"}
    equal(figures | set(found[-1]["not_possible"]), set(PORT_ROWS))
    for row in found[:-1]:
        equal(row["damaged"], 0, row["name"])


@case("perf ceiling measures only what is named, and its table says so too")
def named(bench):
    found = ceiling(bench, "copy", "hash-blake3", "--json", *SMALL).ok().objects
    equal({row["name"] for row in found[:-1]}, {"copy", "hash-blake3"})
    table = ceiling(bench, "copy", "--quiet", *SMALL).ok()
    contains(table.text, "core to core")
    contains(table.text, "memory to memory")
    equal(table.err, b"")


@case("perf refuses what it does not know, by name and with the nearest")
def refused(bench):
    ceiling(bench, "sealed-upd-1408", "--json").fails("usage", "sealed-udp-1408", status=2)
    ceiling(bench, "--json", "--span", "11s").fails("usage", "--span", status=2)
    ceiling(bench, "--json", "--span", "0").fails("usage", "--span", status=2)
    ceiling(bench, "--json", "--size", "100").fails("usage", "--size", status=2)
    ceiling(bench, "--json", "--size", "5000M").fails("usage", "--size", status=2)
    ceiling(bench, "--json", "--runs", "33").fails("usage", "--runs", status=2)
    ceiling(bench, "--json", "--cipher", "none").fails("usage", "--cipher", status=2)
    bench.run("perf", "loop", "--json", "--span", "1s").fails("usage", "--span", status=2)
    bench.run("perf", "loop", "--json", "--mtu", "9000").fails("usage", "--carrier dpdk", status=2)
    bench.run("perf", "loop", "--json", "--device", "vhost").fails("usage", "--carrier dpdk", status=2)
    bench.run("perf", "loop", "--json", "--carrier", "dpdk", "--mtu", "100").fails("usage", "--mtu", status=2)
    bench.run("perf", "loop", "copy", "--json").fails("usage", "many arguments", status=2)
    bench.run("perf", "celing", "--json").fails("usage", "perf ceiling", status=2)
    bench.run("perf", "--json").fails("usage", status=2)


@case("perf loop says its share of each carrier's sealed pipe")
def loop(bench):
    pipes = {"udp": ("sealed-udp-1408-verified", "sealed-udp-8192-verified"), "stream": ("sealed-stream",)}
    found = bench.run("perf", "loop", "--json", "--runs", "1", "--size", "8M").ok().objects
    runs = [row for row in found if row["event"] == "transfer" and row["kept"]]
    equal(found[-1]["event"], "perf-loop")
    for row in runs:
        assert row["pipe"] in pipes[row["carrier"]], row
        assert row["share_of_pipe"] > 0 and row["pipe_bytes_per_second"] > 0, row
    equal([group["share_of_pipe"]["count"] for group in found[-1]["groups"]], [1] * len(runs))


@case("a node has no service for rate tests unless it was started with --perf, and counts who asks for it")
def bare(bench):
    assert "perf" in bench.node("tested", options=("--perf",)).status()
    node = bench.node("bare")
    before = node.status()
    assert "perf" not in before
    equal(before["host"]["protocols_refused"], 0)
    bench.run("perf", "peer", "--json", f"/ip4/127.0.0.1/tcp/{node.tcp_port}/p2p/{node.peer}").fails("peer-protocol")
    after = node.status()["host"]
    equal((after["protocols_refused"], after["protocol_refused_last"]), (1, "/perf/1.0.0"))


@case("perf ceiling leaves nothing behind")
def traces(bench):
    private = bench.path("temporary")
    os.mkdir(private)
    os.environ["TMPDIR"] = private
    try:
        ceiling(bench, "sealed-udp-1408", "sealed-stream", "--quiet", *SMALL).ok()
    finally:
        del os.environ["TMPDIR"]
    equal(os.listdir(private), [])


if __name__ == "__main__":
    main()
