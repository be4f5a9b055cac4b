#!/usr/bin/env python3
"""The peer of a port dies in the middle of a transfer and comes back: over shared memory (vhost) and over
a wire (af_xdp). The node that lives on says so, and moves the dataset when the other is back."""
from nodes import came_by, case, contains, equal, main, same, wait_for
from ports import MIB, begin, linked, ports, settings


def comes_back(node):
    """On the TCP port that its tickets name."""
    node.settings["listen.tcp"] = f"127.0.0.1:{node.tcp_port}"
    node.start()


def moves_now(bench, getter, ticket, name="got"):
    record = getter.get(ticket, "-o", bench.path(name), "--carrier", "dpdk").ok().object
    equal(came_by(record), ["dpdk"])
    same(bench.path("file"), bench.path(name))


def vhost(bench):
    """vhost as the client of the two dials again; virtio-user as the server waits for it."""
    socket = bench.path("vhost")
    seeder = bench.node("seeder", settings=settings(f"net_vhost0,iface={socket},client=1", 1))
    getter = bench.node("getter", settings=settings(
        f"net_virtio_user0,path={socket},queues=1,server=1", 2))
    linked(seeder, getter)
    return seeder, getter


@case("vhost: the seeder is killed in mid-transfer and restarted, and the getter goes on with it")
def vhost_seeder(bench):
    seeder, getter = vhost(bench)
    command, ticket = begin(bench, seeder, getter, 120 * MIB)
    seeder.kill()
    wait_for(lambda: "dpdk-link-down" in getter.log(), "the getter to tell that the link went")
    comes_back(seeder)
    linked(seeder, getter)
    moves_now(bench, getter, ticket, "again")  # while the first one still hopes
    bench.finish(command).fails("peer-gone", "stopped answering")


@case("vhost: the getter is killed in mid-transfer and restarted, and the seeder goes on with it")
def vhost_getter(bench):
    seeder, getter = vhost(bench)
    command, ticket = begin(bench, seeder, getter, 120 * MIB)
    getter.kill()
    contains(bench.finish(command).text, "node-absent")
    wait_for(lambda: "dpdk-link-down" in seeder.log(), "the seeder to tell that the link went")
    comes_back(getter)
    linked(seeder, getter)
    moves_now(bench, getter, ticket)


@case("af_xdp: the getter is killed in mid-transfer and restarted, and is served again")
def af_xdp(bench):
    seeder, getter = ports(bench, "net_af_xdp0,iface={}")
    command, ticket = begin(bench, seeder, getter, 64 * MIB)
    getter.kill()
    contains(bench.finish(command).text, "node-absent")
    comes_back(getter)
    linked(seeder, getter)
    moves_now(bench, getter, ticket)
    wait_for(lambda: seeder.status()["grants"]["ended_silent"] == 1, "the seeder to miss the one that was killed")


@case("af_xdp: the seeder is killed in mid-transfer and restarted, and the getter goes on with it")
def af_xdp_seeder(bench):
    seeder, getter = ports(bench, "net_af_xdp0,iface={}")
    command, ticket = begin(bench, seeder, getter, 64 * MIB)
    seeder.kill()
    comes_back(seeder)
    linked(seeder, getter)
    # The interface stayed up, so that no port has anything to tell: the flow finds out.
    bench.finish(command).fails("peer-gone", "stopped answering")
    contains(getter.log(), "transfer-failed")
    equal(getter.status()["grants"]["ended_silent"], 1)
    moves_now(bench, getter, ticket)
    equal(getter.status()["dpdk"]["link_downs"], 0)


if __name__ == "__main__":
    main(at_once=2)
