#!/usr/bin/env python3
"""What happens to a port of DPDK in the middle of a transfer: its link goes and comes, its peer dies and
comes back. Nothing is lost, a counter and a line of the log tell of it, and the transfer goes on or ends
with an error that says how to go on."""
from nodes import case, equal, main, wait_for
from ports import MIB, begin, ends_whole, inside_run, ports, settings

AF_PACKET = "net_af_packet0,iface={},framesz=2048,framecnt=1024,blocksz=4096"


def link_goes_and_comes(bench, device):
    seeder, getter = ports(bench, device)
    command, _ = begin(bench, seeder, getter)
    equal(inside_run(seeder.launcher, "ip", "link", "set", "v0", "down").returncode, 0)
    for node, other, role in ((seeder, getter, "gives"), (getter, seeder, "gets")):
        flow = next(value for key, value in node.status().items() if key.startswith("flow-"))
        equal((flow["carrier"], flow["peer"], flow["role"]), ("dpdk", other.peer, role))
        assert flow["cid"].startswith("b") and max(flow["rx_bytes"], flow["tx_bytes"]) > 4 * MIB, flow
    for node in (seeder, getter):
        wait_for(lambda: "dpdk-link-down" in node.log(), f"{node.name} to tell that the link went")
        equal(node.status()["dpdk"]["link_up"], 0)
    equal(inside_run(seeder.launcher, "ip", "link", "set", "v0", "up").returncode, 0)
    ends_whole(bench, command)
    for node in (seeder, getter):
        port = node.status()["dpdk"]
        equal((port["link_up"], port["link_downs"]), (1, 1))


@case("a link that stays down: auto goes on over the stream")
def link_stays_down(bench):
    seeder, getter = ports(bench, AF_PACKET, {"listen.udp": ""})
    command, _ = begin(bench, seeder, getter, carrier="auto")
    equal(inside_run(seeder.launcher, "ip", "link", "set", "v0", "down").returncode, 0)
    for node in (seeder, getter):
        wait_for(lambda: "dpdk-link-down" in node.log(), f"{node.name} to tell that the link went")
    record = ends_whole(bench, command, ("dpdk", "stream"))
    assert record["bytes_by_carrier"]["stream"] > 0, record
    for node in (seeder, getter):
        equal((node.status()["dpdk"]["link_up"], node.status()["dpdk"]["link_downs"]), (0, 1))


@case("af_packet: the link goes down and up in mid-transfer, which goes on")
def link_af_packet(bench):
    link_goes_and_comes(bench, AF_PACKET)


@case("af_xdp: the link goes down and up in mid-transfer, which goes on")
def link_af_xdp(bench):
    link_goes_and_comes(bench, "net_af_xdp0,iface={}")


@case("frames without end that are not for us do not keep the worker: it answers, and it stops")
def endless(bench):
    node = bench.node("flooded", settings=settings("net_null0", 1))
    wait_for(lambda: node.status()["dpdk"]["rx_frames"] > 1000000, "a million frames")
    node.put(bench.file("something", MIB))
    equal(node.status()["dpdk"]["rx_datagrams"], 0)
    node.stop()


if __name__ == "__main__":
    main(at_once=2)
