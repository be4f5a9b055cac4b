#!/usr/bin/env python3
"""Trains that the card cuts into datagrams: nodes whose ports stand behind a card of the tests' own
(tests/lib/cutting_card.h), which ends its node when a packet is not as DPDK has it documented. What it
makes of them is summed up anew by another node's port, or by the kernel."""
import os
import shutil

from nodes import Skip, case, contains, equal, main, wait_for
from ports import MIB, begin, ends_whole, inside_run, linked, memif, moves, settings, veth

LIBRARY = os.environ.get("CUTTING_CARD_LIBRARY", "")
ROOM = {"dpdk.memory": "256"}  # the card takes 40 MiB of it a port


def card(how=""):
    """Words that start a node with such a card."""
    if not LIBRARY:
        raise Skip("CUTTING_CARD_LIBRARY is not set")
    return [shutil.which("env"), f"LD_PRELOAD={LIBRARY}", f"CUTTING_CARD={how}"]


def node(bench, name, device, number, launcher=(), **more):
    return bench.node(name, launcher, settings={**settings(device, number, **more), **ROOM})


def port(of):
    return of.status()["dpdk"]


def cuts(of):
    """That its card cut much of what it sent."""
    wait_for(lambda: port(of)["tx_segments"] == 1, "the port to say that its card cuts")
    found = port(of)
    # A train is one frame. On a slow machine they are short.
    assert found["tx_segmented"] > 300 and found["tx_frames"] * 5 < found["tx_datagrams"] * 4, found
    equal((found["tx_unsegmented"], found["tx_errors"]), (0, 0))


def verified(of):
    """That nothing came to it with a wrong sum or a length of its own."""
    found = port(of)
    equal([found["ether_" + name] for name in ("rx_udp_checksum", "rx_ip_checksum", "rx_short", "rx_udp_malformed",
                                               "rx_ip_malformed", "rx_fragment")], [0] * 6)


@case("a card that cuts gets trains in one piece, and a dataset arrives whole, both ways")
def both_cut(bench):
    seeder = node(bench, "seeder", memif(bench, "server"), 1, card())
    getter = node(bench, "getter", memif(bench, "client"), 2, card())
    linked(seeder, getter)
    moves(bench, seeder, getter, "there")
    moves(bench, getter, seeder, "back")
    for each in (seeder, getter):
        cuts(each)
        verified(each)
        contains(each.log(), "dpdk-segmentation")


@case("the same with jumbo frames in a VLAN, where 64 KiB end a packet")
def jumbo(bench):
    more = {"dpdk_mtu": "9000", "dpdk_vlan": "7"}
    seeder = node(bench, "seeder", memif(bench, "server") + ",bsize=9216", 1, card(), **more)
    getter = node(bench, "getter", memif(bench, "client") + ",bsize=9216", 2, card(), **more)
    linked(seeder, getter)
    moves(bench, seeder, getter, "tree", 40 * MIB)
    found = port(seeder)
    assert found["tx_segmented"] > 300, found
    equal((found["tx_unsegmented"], found["tx_errors"]), (0, 0))
    verified(getter)


@case("each pair of queues counts what its card cut for it")
def queues(bench):
    socket, two = bench.path("vhost"), {"worker_count": "2"}
    seeder = node(bench, "seeder", f"net_vhost0,iface={socket},client=0,queues=2", 1, card(), **two)
    getter = node(bench, "getter", f"net_virtio_user0,path={socket},queues=2", 2, card(), **two)
    linked(seeder, getter)

    def by_both(turn):
        moves(bench, seeder, getter, f"tree {turn}", 48 * MIB)
        status = seeder.status()
        each = [status[f"dpdk-{i}"]["tx_segmented"] for i in (0, 1)]
        return min(each) > 100 and sum(each) <= port(seeder)["tx_segmented"]

    assert any(by_both(turn) for turn in range(5)), seeder.status()
    verified(getter)
    getter.stop()
    seeder.stop()


@case("where it is switched off, or the driver refuses what it offers, trains are cut by haul")
def not_used(bench):
    seeder = node(bench, "seeder", memif(bench, "server"), 1, card(), dpdk_segmentation="off")
    getter = node(bench, "getter", memif(bench, "client"), 2, card("refuses-all"))
    linked(seeder, getter)
    moves(bench, seeder, getter, "there")
    moves(bench, getter, seeder, "back")
    contains(getter.log(), "it offers to cut trains into datagrams, and refuses one")
    for each in (seeder, getter):
        found = port(each)
        equal((found["tx_segments"], found["tx_segmented"], found["tx_unsegmented"], found["tx_errors"]), (0, 0, 0, 0))
        verified(each)


@case("trains that the driver refuses now and then go a frame a datagram, and are counted")
def refused(bench):
    seeder = node(bench, "seeder", memif(bench, "server"), 1, card("refuses-each=3"))
    getter = node(bench, "getter", memif(bench, "client"), 2)
    linked(seeder, getter)
    moves(bench, seeder, getter, "there")
    moves(bench, getter, seeder, "back")
    found = port(seeder)
    assert found["tx_unsegmented"] > 50 and found["tx_segmented"] > 100, found
    equal((found["tx_errors"], port(getter)["tx_segments"]), (0, 0))
    verified(getter)


@case("the kernel takes what the card cut: IPv4 and UDP sums of every datagram hold")
def kernel(bench):
    inside = veth(bench)
    equal(inside_run(inside, "ip", "addr", "add", "10.77.0.2/24", "dev", "v1").returncode, 0)
    own = node(bench, "own", "net_af_packet0,iface=v0,framesz=2048,framecnt=1024,blocksz=4096", 1, [*inside, *card()],
               listen_udp="")
    other = bench.node("kernel", inside, settings={"listen.udp": "10.77.0.2:0", "fast.networks": "10.77.0.0/24"})
    linked(own)

    def errors():
        """Of the namespace's UDP and IP: datagrams with a wrong sum, packets with a wrong header."""
        rows = {}
        for words in [line.split() for line in inside_run(inside, "cat", "/proc/net/snmp").stdout.decode().split("\n")]:
            if words and words[0] in ("Udp:", "Ip:"):
                rows.setdefault(words[0], []).append(words[1:])
        udp, ip = (dict(zip(*rows[name])) for name in ("Udp:", "Ip:"))
        return int(udp["InCsumErrors"]), int(ip["InHdrErrors"])

    source = bench.file("file", 8 * MIB)
    record = other.get(own.share(source), "-o", bench.path("got"), "--carrier", "udp").ok().object
    equal(list(record["bytes_by_carrier"]), ["udp"])
    assert port(own)["tx_segmented"] > 100, port(own)
    equal(errors(), (0, 0))


@case("where the card holds every buffer nothing is lent to send from, which is told, and the transfer goes on")
def no_buffer_to_send_from(bench):
    """It keeps all that are free, and for a while sends nothing."""
    still, device = bench.path("still"), memif(bench, "server")
    seeder = node(bench, "seeder", device, 1, [*card(), f"CUTTING_CARD_STILL={still}"], dpdk_segmentation="off",
                  dpdk_buffers="512")
    getter = node(bench, "getter", memif(bench, "client"), 2)
    linked(seeder, getter)
    command, _ = begin(bench, seeder, getter, 64 * MIB)
    with open(still, "w"):
        wait_for(lambda: port(seeder)["tx_no_frame"] > 0, "no buffer to send from")
        wait_for(lambda: "dpdk-no-buffer" in seeder.log(), "the seeder to tell of it")
    os.unlink(still)
    ends_whole(bench, command)
    equal(port(seeder)["tx_errors"], 0)


@case("frames longer than the getter's buffers are dropped there and counted, and the transfer goes on")
def longer_than_a_buffer(bench):
    """Its card sends some frames a second time, with 4,000 bytes: no sender of ours does."""
    socket = bench.path("vhost")
    seeder = node(bench, "seeder", f"net_vhost0,iface={socket},client=0", 1, card("long-each=100"),
                  dpdk_segmentation="off")
    getter = node(bench, "getter", f"net_virtio_user0,path={socket},queues=1", 2)
    linked(seeder, getter)
    moves(bench, seeder, getter, "tree")
    found = port(getter)
    assert found["rx_truncated"] > 100, found
    verified(getter)


if __name__ == "__main__":
    main(at_once=2)
