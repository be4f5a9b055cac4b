#!/usr/bin/env python3
"""The carrier dpdk between real daemons: over memif, over vhost and virtio-user, and over a veth pair
whose ends are driven by af_packet and af_xdp."""
from nodes import case, contains, equal, main, same, wait_for

MIB = 1 << 20


def settings(device, number, **more):
    return {
        "dpdk.device": device,
        "dpdk.addresses": f"10.77.0.{number}/24, fd77::{number}/64",
        "fast.networks": "10.77.0.0/24, fd77::/64",
        "listen.udp": "127.0.0.1:0",
        **{key.replace("_", "."): value for key, value in more.items()},
    }


def memif(bench, role):
    return (f"net_memif0,role={role},socket={bench.path('memif')},socket-abstract=no"
            + (",zero-copy=no" if role == "client" else ""))


def linked(*nodes):
    for node in nodes:
        wait_for(lambda: node.status()["dpdk"]["link_up"] == 1, f"{node.name}: the link")


def pair(bench, first, second, **more):
    """A seeder on the first device and a getter on the second."""
    seeder = bench.node("seeder", settings=settings(first, 1, **more))
    getter = bench.node("getter", settings=settings(second, 2, **more))
    linked(seeder, getter)
    return seeder, getter


def moves(bench, seeder, getter, name, size=24 * MIB + 5):
    """A dataset goes over DPDK, whole and over nothing else."""
    source = bench.path(name)
    bench.file(f"{name}/file", size)
    bench.file(f"{name}/small", 10)
    ticket = seeder.share(source)
    got = bench.path(f"{name} got")
    record = getter.get(ticket, "-o", got, "--carrier", "dpdk").ok().object
    equal(list(record["bytes_by_carrier"]), ["dpdk"])
    equal(record["carrier"], "dpdk")
    same(source, got)
    return record


@case("two nodes move a dataset over memif, and say what their ports did")
def over_memif(bench):
    seeder, getter = pair(bench, memif(bench, "server"), memif(bench, "client"))
    moves(bench, seeder, getter, "tree")
    for node in (seeder, getter):
        port = node.status()["dpdk"]
        equal(port["address"], "10.77.0.%d:4501" % (1 if node is seeder else 2))
        assert port["rx_datagrams"] > 1000 or port["tx_datagrams"] > 1000, port
        equal((port["link_up"], port["tx_stalls"], port["rx_no_frame"]), (1, 0, 0))


if __name__ == "__main__":
    main()
